//! The library from outside: whole runs with a scripted model.

#![allow(clippy::unwrap_used, reason = "helpers of tests may")]

mod adapters;
mod chat_template;
mod journal;
mod layers;
mod remix;
mod lift;
mod road;
mod support;
mod templates;
mod unify;
