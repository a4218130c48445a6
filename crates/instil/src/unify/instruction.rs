//! What a task says beside its instances, and the instances without it.

use serde::{Deserialize, Serialize};

use super::style::Level;
use crate::convert::record::TaskExample;

/// What is known of a task's instruction, whichever style it came in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instruction {
    /// The task's name, as rows or files give it.
    pub task: String,
    /// At which level its rows were written.
    pub level: Level,
    /// What is to be done, in words that hold for every instance; none where nothing in the rows says it, as at the
    /// level of keywords.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<String>,
    /// The names of an instance's fields, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    /// The outputs there are, sorted, where they are few; empty where outputs are open.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Examples of how it is done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub positive: Vec<Exemplar>,
    /// Examples of how it isn't.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub negative: Vec<Exemplar>,
}

impl Instruction {
    /// An instruction of which nothing but task and level is known.
    pub fn new(task: impl Into<String>, level: Level) -> Self {
        Self {
            task: task.into(),
            level,
            definition: None,
            fields: Vec::new(),
            labels: Vec::new(),
            positive: Vec::new(),
            negative: Vec::new(),
        }
    }
}

/// An example that belongs to a task's definition: input, output, and why that is right or wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exemplar {
    /// What is given.
    pub input: String,
    /// What is answered.
    pub output: String,
    /// Why that is right or wrong, where it is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<String>,
}

impl From<&TaskExample> for Exemplar {
    fn from(example: &TaskExample) -> Self {
        let TaskExample { input, output, explanation, .. } = example.clone();
        Self { input, output, explanation }
    }
}

/// One row's content, free of instructions: what is given, field by field, and what is answered. Every byte of it
/// stands in whatever the row is written as.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// What is given, in order. The name is empty where nothing tells it.
    pub fields: Vec<Field>,
    /// What is answered.
    pub output: String,
    /// Other answers that would be as good.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<String>,
}

/// A named part of what is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Its name, such as `premise`.
    pub name: String,
    /// Its content.
    pub value: String,
}
