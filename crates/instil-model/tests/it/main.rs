//! Tests of the crate as its users see it.

#![allow(clippy::unwrap_used)]

mod decoder;
mod engine;
mod golden;
