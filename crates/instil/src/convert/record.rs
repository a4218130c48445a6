//! The canonical record (spec/uit.md 7.0): what every shape is read into and written from.
//!
//! [`Example`] is the same idea as far as the verbs that *make* data fill it:
//! every one of its parts has a name here, and `Record::from` brings it over. A [`Record`] has to hold whatever
//! somebody else's dataset holds, so it knows more: tools and their calls, preferences, the task-level part, and
//! what has no place at all.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::record::{self, Example};

/// A row of any instruction dataset.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The row's own id, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The name of the [shape](super::Shape) that it was read from; none where it was made otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_as: Option<String>,
    /// Standing instructions, where a shape has a key for them. Where they are the first message of a
    /// conversation they are a turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// What holds for the whole task. The definition stands before the first user's turn, which holds the
    /// instance alone and is missing where the instance has no input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<Arc<TaskPart>>,
    /// The conversation. Of a preference it is the prompt alone; plain text is one assistant's turn.
    pub turns: Vec<Turn>,
    /// How many of the turns are the prompt, where the shape says it. Elsewhere they are those before the last
    /// assistant's turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<usize>,
    /// The functions that may be called, as the list that OpenAI's messages have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<Value>,
    /// Other outputs that would be as good as the last assistant's turn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<String>,
    /// What is liked better than what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preference: Option<Preference>,
    /// Structured slots by name, such as `context`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
    /// Keys that have no place above, as they were read. Only the shape that they were read from writes them.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
    /// How known keys were written where the parts above can't tell: a null, a list that stood in a string.
    /// Nothing is lost where another shape leaves it out.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub spelling: Map<String, Value>,
}

/// What holds for all instances of a task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TaskPart {
    /// The task's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What is to be done, in words that hold for every instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<String>,
    /// The outputs there are, where they are few.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_outputs: Vec<String>,
    /// Examples of how it is done; none where the task has no list of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub positive: Option<Vec<TaskExample>>,
    /// Examples of how it isn't.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub negative: Option<Vec<TaskExample>>,
    /// What else the task's file says of it.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
    /// As [`Record::spelling`]: a definition that is no list, or one of several texts.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub spelling: Map<String, Value>,
}

impl TaskPart {
    /// A task of which the definition alone is known.
    pub fn of(definition: impl Into<String>) -> Self {
        Self { definition: Some(definition.into()), ..Self::default() }
    }
}

/// An example that belongs to a task's definition.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TaskExample {
    /// What is given.
    pub input: String,
    /// What is answered.
    pub output: String,
    /// Why that is right or wrong, where it is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<String>,
    /// What else is said of it.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Standing instructions.
    System,
    /// The same, by the newer name that some models give them.
    Developer,
    /// The one who asks.
    User,
    /// The one who answers.
    Assistant,
    /// What a called function gave back.
    Tool,
}

impl Role {
    /// The word that OpenAI's messages have for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Developer => "developer",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }

    /// Whether it is standing instructions, which are no part of the alternation.
    pub fn is_standing(self) -> bool {
        matches!(self, Self::System | Self::Developer)
    }
}

/// One message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    #[serde(default, skip_serializing_if = "Content::is_none")]
    pub content: Content,
    /// The speaker's name, or that of the function that gave this back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The functions that are called.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// The call that this answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// What was thought before it was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thinking: Option<String>,
    /// Whether the loss counts it, where that is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train: Option<bool>,
    /// Keys that have no place above.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
    /// As [`Record::spelling`]: another word for the role, a null.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub spelling: Map<String, Value>,
}

impl Turn {
    /// A turn that is a text and nothing else.
    pub fn new(role: Role, text: impl Into<String>) -> Self {
        Self {
            role,
            content: Content::Text(text.into()),
            name: None,
            tool_calls: Vec::new(),
            tool_call_id: None,
            thinking: None,
            train: None,
            extra: Map::new(),
            spelling: Map::new(),
        }
    }
}

/// What is said in a turn.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Content {
    /// Nothing, as where a function is called.
    #[default]
    None,
    /// A text.
    Text(String),
    /// Typed parts, as OpenAI's messages have them.
    Parts(Vec<Value>),
}

impl Content {
    /// Whether there is none.
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }

    /// The text where it is one, else the empty string.
    pub fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::None | Self::Parts(_) => "",
        }
    }

    /// Whether nothing but blanks is said.
    pub fn is_blank(&self) -> bool {
        match self {
            Self::None => true,
            Self::Text(text) => text.trim().is_empty(),
            Self::Parts(parts) => parts.is_empty(),
        }
    }
}

/// A call of a function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// What the answer refers to it by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The function's name.
    pub name: String,
    /// Its arguments: a string that holds JSON, or the JSON itself.
    pub arguments: Value,
    /// Whether it stood in the older key `function_call`, which a message has once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_legacy: bool,
    /// Keys beside these, `function` among them for those inside it.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

/// What is liked better than what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preference {
    /// Of two answers to the prompt, one is better.
    Pair {
        /// The better one.
        chosen: Vec<Turn>,
        /// The other one.
        rejected: Vec<Turn>,
    },
    /// The answer that the turns hold is good, or isn't.
    Label(bool),
    /// Each step of the answer is right, or isn't.
    Steps(Vec<Step>),
    /// Several answers with their ranks; the lowest is the best.
    Ranked(Vec<Ranked>),
}

/// An answer with its rank.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ranked {
    /// What it says.
    pub text: String,
    /// Its rank, as it was written.
    pub rank: serde_json::Number,
    /// What else is said of it.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

impl Preference {
    /// The best and the worst of ranked answers; none where there are not two ranks.
    pub fn extremes(answers: &[Ranked]) -> Option<(&Ranked, &Ranked)> {
        let rank = |answer: &&Ranked| answer.rank.as_f64().unwrap_or(f64::INFINITY);
        let best = answers.iter().min_by(|a, b| rank(a).total_cmp(&rank(b)))?;
        let worst = answers.iter().max_by(|a, b| rank(a).total_cmp(&rank(b)))?;
        (rank(&best) < rank(&worst)).then_some((best, worst))
    }
}

/// A step of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// What it says.
    pub text: String,
    /// Whether it is right.
    pub label: bool,
}

impl Record {
    /// A record of these turns.
    pub fn of(turns: Vec<Turn>) -> Self {
        Self { turns, ..Self::default() }
    }

    /// The definition of its task.
    pub fn definition(&self) -> Option<&str> {
        self.task.as_deref()?.definition.as_deref()
    }

    /// Where the completion begins among the turns: what the shape said, else the last assistant's turn.
    pub fn completion_at(&self) -> Option<usize> {
        self.prompt.or_else(|| self.turns.iter().rposition(|turn| turn.role == Role::Assistant))
    }

    /// Whether it is nothing but a text: no prompt, one assistant's turn.
    pub fn is_plain_text(&self) -> bool {
        matches!(self.turns.as_slice(), [turn] if turn.role == Role::Assistant && turn.tool_calls.is_empty())
            && self.task.is_none()
            && self.system.is_none()
            && self.preference.is_none()
    }
}

impl From<record::Role> for Role {
    fn from(role: record::Role) -> Self {
        match role {
            record::Role::System => Self::System,
            record::Role::User => Self::User,
            record::Role::Assistant => Self::Assistant,
        }
    }
}

impl From<&Example> for Record {
    /// The id, turns and fields are the same; the kind of task becomes the task's id. How it came to be is told
    /// by provenance files, not by rows.
    fn from(example: &Example) -> Self {
        let turn = |turn: &record::Turn| Turn::new(turn.role.into(), turn.content.as_str());
        let task = TaskPart { id: Some(example.task.short().to_owned()), ..TaskPart::default() };
        Self {
            id: Some(example.id.clone()),
            task: Some(Arc::new(task)),
            fields: example.fields.clone(),
            ..Self::of(example.turns.iter().map(turn).collect())
        }
    }
}
