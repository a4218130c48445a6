//! Tests of the crate as its users see it.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod adapter;
mod constrain;
mod decoder;
mod engine;
mod golden;
mod merge;
mod nf4;
mod t5;
mod t5_engine;
mod t5_train;
mod train;
mod tokens;
