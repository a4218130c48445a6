//! Tests of the crate as its users see it.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod adapter;
mod constrain;
mod decoder;
mod engine;
mod golden;
mod merge;
mod nf4;
mod train;
mod tokens;
