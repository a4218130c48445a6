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

pub mod check;
pub mod chunk;
pub mod format;
pub mod lm;
pub mod parse;
pub mod prompt;
pub mod rules;
pub mod sentence;
pub mod sink;
pub mod source;

pub mod journal;
pub mod ledger;
pub mod pipeline;
pub mod recipe;
pub mod stats;
pub mod trace;

pub use error::{Error, ErrorKind, Result};
pub use record::{Document, Example, Passage, Provenance, Role, Turn};
pub use reject::{Reason, Reject};
pub use task::TaskKind;
