//! One instruction style for several datasets (spec/uit.md 1, 3.5, 8).
//!
//! Datasets word the same task differently, and a model that learns from several of them learns the wordings, too. Here
//! an [`Instruction`] is what a task says beside its instances, an [`Instance`] is a row's content without it, and a
//! [`Style`] says how both are put together to a prompt. Rules take rows apart; what they can't write is the one
//! sentence that a row of bare keywords doesn't have, which [`verify()`] looks at, whoever wrote it.
//!
//! An instance's content and its answer pass through byte for byte, in every direction.

mod instruction;
mod style;
pub(crate) mod content;
pub(crate) mod survey;
mod pattern;
mod induce;
mod known;
mod keyword;
mod wording;
pub(crate) mod plan;
mod verify;
pub(crate) mod imitate;
mod report;
mod runs;

pub use induce::induce;
pub use instruction::{Exemplar, Field, Instance, Instruction};
pub use keyword::{join, split};
pub use pattern::{Apart, Pattern, Piece};
pub use report::TaskReport;
pub use style::{Bound, Drawn, Level, Style};
pub use verify::{Check, CheckKind, Verdict, passes, quoted, verify};

#[cfg(test)]
mod tests;
