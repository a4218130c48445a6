//! Task data from programs over random words: no text, no person, no model.
//!
//! A [`Template`] is a rule. It makes lists of random tokens (`content`) out of a [`Pool`] (`tokens`) with the
//! operations of `ops`, as its knobs are set ([`Settings`]); a [`Frame`] gives them words. A [`Stream`] is endless: its
//! sample `i` is a function of plan and `i` alone (`draw`), on any thread, in any order.
//!
//! Each template solves its samples a second time from the text alone ([`Stream::verify`]); the two share no code.
//!
//! The idea is that of Cookbook (Narayan, Chen, Bhatia and Ré, COLM 2024, arXiv 2410.05224), whose templates,
//! parameters and formats are not public: all of these are ours (spec/cookbook.md).

mod content;
mod draw;
mod frame;
mod hosted;
mod ids;
mod knobs;
pub mod ops;
mod page;
mod reading;
mod report;
pub mod score;
mod script;
mod split;
mod stream;
mod templates;
mod tokens;

pub use content::{Content, Facts, SLOTS};
pub use draw::{Draw, Key, Rng};
pub use frame::{Frame, Texts, Wording};
pub(crate) use hosted::hosted;
pub use hosted::{HeldTemplate, HostedTemplate, Rule, Set, Slots, Word};
pub use ids::{Encoder, Ids};
pub use knobs::{Curriculum, Knob, KnobKind, Settings, Value};
pub use page::Page;
pub use reading::{Reading, words};
pub use report::{Baseline, Report};
pub use script::{Limits, Script, ScriptTemplate};
pub use split::Split;
pub use stream::{Exhausted, Plan, Sample, Stream, Tally};
pub use templates::{Ambiguous, Family, Template, template, templates};
pub use tokens::{HuggingFace, Mark, NUMBERS, Pool, SCHEMES, SYNTHETIC_WORDS, Vocabulary, Words};

#[cfg(test)]
mod tests;
