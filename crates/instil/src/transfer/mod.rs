//! A model for the one sentence that rules can't write: the definition of a task, asked once and chosen among
//! candidates.
//!
//! ```text
//! task -> prompt -> ask -> reply -> verify -> choose      (road)
//! ```
//!
//! [`pairs`] are instructions in both styles, of which some demonstrate what is wanted ([`prompt`]). [`ask`] asks
//! a model for candidates, [`reply`] reads what it says, and the caller's verification says what is wrong with each without
//! a model. [`choose`] takes the one under which a model finds the known answers likeliest: every candidate with
//! the same rows and examples. [`mod@reference`] is the published procedure (spec/uit.md 3.2), defects and all.
//! [`cost`] says beforehand what all this takes, and ends it in order where that is too much. [`offline`] makes
//! pairs of published templates and definitions, from which a model of one's own learns to write.
//!
//! Instances and answers never go through a model: what comes back is a definition and nothing else.

pub mod ask;
pub mod choose;
pub mod cost;
pub mod offline;
pub mod pairs;
pub mod pool;
pub mod prompt;
pub mod reference;
pub mod reply;
pub mod road;

use crate::unify::{Instance, Instruction, Level};

/// A task whose instruction is to be brought to another style.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// What is known of its instruction. Its name seeds all that is drawn for the task.
    pub source: Instruction,
    /// The level that is wanted.
    pub to: Level,
    /// Its rows, or as many of them as are at hand.
    pub rows: Vec<Instance>,
}

impl Task {
    /// The task's name.
    pub fn name(&self) -> &str {
        &self.source.task
    }

    /// Its instruction as a model is shown it: the definition, where there is one, and each field with a slot.
    pub fn instruction(&self) -> String {
        let definition = self.source.definition.iter().map(|text| text.trim().to_owned());
        let fields = self.source.fields.iter().filter(|name| !name.is_empty());
        definition.chain(fields.map(|name| format!("{name}: {{{name}}}"))).collect::<Vec<_>>().join("\n")
    }
}

/// What is given in a row, as a text: fields with their names, a line each.
pub(crate) fn given(row: &Instance) -> String {
    let line = |field: &crate::unify::Field| match field.name.is_empty() {
        true => field.value.clone(),
        false => format!("{}: {}", field.name, field.value),
    };
    row.fields.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Makes an enum of words, each with the sentence that explains it.
macro_rules! words {
    ($(#[$about_enum:meta])* $name:ident; $($variant:ident $word:literal $about:literal;)*) => {
        $(#[$about_enum])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $(#[doc = $about] $variant,)* }

        impl $name {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word for it in reports.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// What it means, in one sentence.
            pub fn about(self) -> &'static str {
                match self { $(Self::$variant => $about,)* }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(self.word())
            }
        }
    };
}
use words;
