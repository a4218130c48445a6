//! The records that travel the road: a [`Document`] comes in, is cut into [`Passage`]s, and leaves
//! as [`Example`]s.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::parse::Repair;
use crate::task::Task;

/// One source text.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// The caller's id where the source has an `id` column, else a hash of the source's name and row.
    pub id: String,
    /// The whole text, UTF-8, as the source gives it: never trimmed, so that byte spans stay true.
    pub text: String,
    /// Where it was read.
    pub origin: Origin,
}

/// The place that a document was read from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The source's name: its path below the input that the user named, with `/` between parts, or
    /// `stdin`. It is free of the machine's own folders, so that ids are the same everywhere.
    pub source: Arc<str>,
    /// The line (of a text table, counted from 1) or row (of parquet, counted from 1); none where
    /// the file is one document.
    pub row: Option<u64>,
}

/// One labelled row of a dataset: fields by name, as JSON has them.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The fields, in the order of the source.
    pub fields: serde_json::Map<String, serde_json::Value>,
    /// Where it was read.
    pub origin: Origin,
    /// The key of the dataset that it belongs to, where the source tells: `super_glue/boolq`.
    pub dataset: Option<Arc<str>>,
}

/// A part of a document small enough to be prompted with.
#[derive(Clone, Debug, PartialEq)]
pub struct Passage {
    /// The document it is a part of.
    pub document: Arc<str>,
    /// Where that document was read.
    pub origin: Origin,
    /// The bytes of the document's text that it covers: `text` is exactly these bytes.
    pub span: Range<usize>,
    /// The passage itself, not trimmed.
    pub text: String,
}

/// Who speaks in a [`Turn`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// Standing instructions.
    System,
    /// The one who asks: the prompt.
    User,
    /// The one who answers: the completion.
    Assistant,
}

impl Role {
    /// The word that chat formats use.
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// One message of an example.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
}

/// A finished instruction and its response: the canonical record (spec/uit.md 7.0) as far as the
/// verbs that are there fill it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// 16 hexadecimal digits, from everything that it was made of.
    pub id: String,
    /// What kind of task it is.
    pub task: Task,
    /// The conversation: a user's turn and an assistant's.
    pub turns: Vec<Turn>,
    /// Structured parts by name: `context`, the passage, where there is one; `task_input` and `task_output`,
    /// instruction and response, where the turns are those of a task generator.
    pub fields: BTreeMap<String, String>,
    /// How it came to be.
    pub provenance: Provenance,
}

impl Example {
    /// The content of the first turn of this role, or the empty string.
    pub fn first(&self, role: Role) -> &str {
        self.turns.iter().find(|turn| turn.role == role).map_or("", |turn| turn.content.as_str())
    }
}

/// How an example came to be: enough to make it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// The document's or the row's id.
    pub document: Arc<str>,
    /// Where it was read.
    pub origin: Origin,
    /// The bytes of the document's text that the passage covers; none of a labelled row.
    pub span: Option<Range<usize>>,
    /// The key of the dataset that a labelled row belongs to.
    pub dataset: Option<Arc<str>>,
    /// The prompt's name and version, such as `bonito` or `instruct/v1`; of a labelled row, the template's name.
    pub template: Arc<str>,
    /// The model as the journal knows it, where one was asked.
    pub model: Option<Arc<str>>,
    /// The seed of this sample.
    pub seed: u64,
    /// Which sample of its prompt, or which taking of its row, this is, from 0.
    pub sample: u32,
    /// 32 hexadecimal digits of the BLAKE3 hash of the prompt.
    pub prompt_hash: String,
    /// What was mended in the model's text.
    pub repairs: Vec<Repair>,
    /// Tokens of the prompt, where the model counts them.
    pub prompt_tokens: Option<u32>,
    /// Tokens of the completion, where the model counts them.
    pub completion_tokens: Option<u32>,
}
