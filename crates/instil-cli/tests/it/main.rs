//! The program from outside: exit code, stdout and stderr of whole commands.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests may")]

mod adapter;
mod companion;
mod convert;
mod cook;
mod cook_script;
mod docs;
mod errors;
mod eval;
mod from_rows;
mod generate;
mod hub;
mod kill;
mod local;
mod mix;
mod mix_learn;
mod recorded;
mod regressions;
mod score;
mod serve;
mod server;
mod support;
mod t5;
mod train;
mod unify;
mod unify_model;
