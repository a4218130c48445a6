//! Instruction-tuning data from unannotated text.
//!
//! The road, in the order in which a record travels it:
//!
//! ```text
//! source -> chunk -> prompt -> generate -> parse -> check -> format -> sink
//! ```
//!
//! Each stop is a module of its own, declared below in that order; [`pipeline`] calls them one
//! after the other and is the place to start reading. This library knows text, Arrow and files. It
//! does not know tensors, terminals, sockets or the environment.

pub mod error;
pub mod record;
pub mod reject;
pub mod rng;
pub mod task;

pub mod source;
pub mod sentence;
pub mod chunk;
pub mod prompt;
pub mod lm;
pub mod rules;
pub mod cook;
pub mod parse;
pub mod template;
pub mod chat_template;
pub mod check;
pub mod format;
pub mod convert;
pub mod unify;
pub mod transfer;
pub mod sink;
pub mod companion;
pub mod compare;

pub mod near;
pub mod draw;
pub mod shuffle;
pub mod mix;

pub mod journal;
pub mod ledger;
pub mod recipe;
pub mod pipeline;
pub mod run;

pub mod rows;
pub mod stats;
pub mod trace;

pub mod benchmark;
pub mod chart;
pub mod metrics;
pub mod score;

pub use error::{Error, ErrorKind, Result};
pub use record::{Document, Example, Passage, Provenance, Role, Row, Turn};
pub use reject::{Reason, Reject};
pub use task::{Task, TaskKind};
