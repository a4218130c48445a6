//! Prompt templates over labelled rows: PromptSource's YAML files and the user's own.
//!
//! ```text
//! rows -> template -> check -> format -> sink        (instil apply)
//! rows -> inverted template -> format -> sink        (instil remix)
//! ```
//!
//! [`collection`] reads the files, [`engine`] renders one of their templates with the semantics of the
//! published package, [`remix`] turns a template inside out so that its passage becomes the input of a
//! task generator, and [`lift`] goes the other way: from rendered text back to the row's fields.

pub mod collection;
pub mod engine;
pub mod remix;
pub mod lift;
pub mod rendered;

pub use collection::{Collection, Metadata, Template};
