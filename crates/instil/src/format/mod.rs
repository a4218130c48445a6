//! Examples to rows: the shapes that trainers read.
//!
//! A [`Format`] says which columns there are and what of an example goes into each. It knows no
//! files; [`crate::sink`] writes its rows. Each format is a file of its own with two items: its
//! `COLUMNS`, and `cells`, which gives one [`Cell`] for each of them.

mod alpaca;
mod bonito;
mod column;
mod ctga;
mod messages;
mod objects;
mod prompt_completion;

pub use column::{Builder, Cell, Column, Kind, Row, schema};
pub use objects::{Mixed, ObjectBuilder, together};

use std::borrow::Cow;

use crate::error::{Error, Result, nearest};
use crate::record::{Example, Role};

/// A shape of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// A conversation: a list of role and content.
    Messages,
    /// What is given and what is to be learnt, as two texts.
    PromptCompletion,
    /// What the published Bonito library gives.
    Bonito,
    /// Instruction, passage and answer apart.
    Alpaca,
    /// What the published training set of Bonito holds; for `remix` only.
    Ctga,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 5] =
        [Self::Messages, Self::PromptCompletion, Self::Bonito, Self::Alpaca, Self::Ctga];

    /// Its name, as in `--format messages`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::PromptCompletion => "prompt-completion",
            Self::Bonito => "bonito",
            Self::Alpaca => "alpaca",
            Self::Ctga => "ctga",
        }
    }

    /// What it is, in one sentence.
    pub fn about(self) -> &'static str {
        match self {
            Self::Messages => "A list of role and content; what TRL, axolotl and chat templates read.",
            Self::PromptCompletion => {
                "Prompt and completion as two texts; TRL counts the loss on the completion only."
            }
            Self::Bonito => "Input and output, the columns of the published Bonito library.",
            Self::Alpaca => "Instruction, input and output; the input is the passage where it stands apart.",
            Self::Ctga => "The eight columns of Bonito's published training set; what `remix` makes.",
        }
    }

    /// The format of this name.
    ///
    /// # Errors
    /// When no format has that name; the hint says the nearest one.
    ///
    /// ```
    /// use instil::format::Format;
    /// assert_eq!(Format::parse("alpaca")?, Format::Alpaca);
    /// assert_eq!(
    ///     Format::parse("mesages").unwrap_err().hint(),
    ///     Some("did you mean `messages`? `instil list formats` shows them all"),
    /// );
    /// # Ok::<(), instil::Error>(())
    /// ```
    pub fn parse(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name).ok_or_else(|| {
            let hint = match nearest(name, Self::ALL.map(Self::name)) {
                Some(near) => format!("did you mean `{near}`? `instil list formats` shows them all"),
                None => "`instil list formats` shows them all".to_owned(),
            };
            Error::usage(format!("unknown format `{name}`")).with_hint(hint)
        })
    }

    /// Its columns, in order. None of them is ever null.
    pub fn columns(self) -> &'static [Column] {
        match self {
            Self::Messages => messages::COLUMNS,
            Self::PromptCompletion => prompt_completion::COLUMNS,
            Self::Bonito => bonito::COLUMNS,
            Self::Alpaca => alpaca::COLUMNS,
            Self::Ctga => ctga::COLUMNS,
        }
    }

    /// The row of an example.
    pub fn row(self, example: &Example) -> Row<'_> {
        let cells = match self {
            Self::Messages => messages::cells(example),
            Self::PromptCompletion => prompt_completion::cells(example),
            Self::Bonito => bonito::cells(example),
            Self::Alpaca => alpaca::cells(example),
            Self::Ctga => ctga::cells(example),
        };
        Row::new(self.columns(), cells)
    }

    /// The row of an example as a JSON object, its keys in the order of the columns.
    pub fn json(self, example: &Example) -> serde_json::Value {
        serde_json::to_value(self.row(example)).expect("texts and lists of texts are always JSON")
    }

    /// The Arrow schema of its columns, and of nothing else.
    pub fn schema(self) -> arrow_schema::SchemaRef {
        schema(self.columns())
    }

    /// A builder of Arrow arrays for its columns.
    pub fn builder(self) -> Builder {
        Builder::new(self.columns())
    }

    /// Whether its rows are plain texts, so that they fit a table of CSV.
    pub fn is_flat(self) -> bool {
        self.columns().iter().all(|column| column.kind == Kind::Text)
    }
}

/// What is given and what is to be learnt, for the formats that have one text of each: the last
/// assistant's turn is the completion, the turns before it, parted by an empty line, are the prompt.
fn halves(example: &Example) -> (Cow<'_, str>, &str) {
    let last = example.turns.iter().rposition(|turn| turn.role == Role::Assistant);
    let completion = last.map_or("", |last| example.turns[last].content.as_str());
    let prompt = match &example.turns[..last.unwrap_or(example.turns.len())] {
        [only] => Cow::Borrowed(only.content.as_str()),
        turns => Cow::Owned(turns.iter().map(|turn| turn.content.as_str()).collect::<Vec<_>>().join("\n\n")),
    };
    (prompt, completion)
}

#[cfg(test)]
pub(crate) mod tests;
