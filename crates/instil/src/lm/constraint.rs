//! What a completion has to look like.
//!
//! Plain data: an engine compiles it, an endpoint maps it to its structured output, and who can't says so
//! by its [`Capabilities`](super::Capabilities).

use std::sync::Arc;

use serde_json::{Value, json};

use crate::check::{self, Answers};
use crate::parse;
use crate::prompt::bonito::python_strip;
use crate::task::TaskKind;

/// What a completion has to look like.
#[derive(Clone, Debug, PartialEq)]
pub enum Constraint {
    /// Anything.
    Free,
    /// A JSON document of this schema.
    JsonSchema(Arc<Value>),
    /// An instruction, exactly one `<|pipe|>`, and a response of the kind of answer that the task has.
    Pair(Arc<Pair>),
    /// One of these texts, and nothing else.
    Choice(Arc<[String]>),
}

/// What an instruction and its response have to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The kind of task.
    pub kind: TaskKind,
    /// The passage that the task is about.
    pub passage: String,
    /// The labels that the user gave, or none.
    pub labels: Vec<String>,
}

/// The version of the rules by which a [`Pair`] allows texts. A change of them makes journals ask again.
const RULES: u32 = 1;

impl Constraint {
    /// The bytes that stand for it in a journal's key: no two constraints that allow different texts share them.
    pub fn key(&self) -> Vec<u8> {
        // A schema stands there as it is, so that journals of earlier versions answer.
        let tagged = |value: Value| format!("\u{1}{value}").into_bytes();
        match self {
            Self::Free => Vec::new(),
            Self::JsonSchema(schema) => schema.to_string().into_bytes(),
            Self::Pair(pair) => tagged(json!({
                "pair": RULES, "kind": pair.kind.short(), "passage": pair.passage, "labels": pair.labels,
            })),
            Self::Choice(texts) => tagged(json!({"choice": texts})),
        }
    }
}

impl Pair {
    /// The responses to an instruction, as the completion has it: with `{{context}}` for the passage.
    pub fn answers(&self, instruction: &str) -> Answers {
        let ask = parse::without_passage(instruction, python_strip(&self.passage));
        check::answers(self.kind, &ask, &self.passage, &self.labels)
    }

    /// What neither instruction nor response may hold: the markers that [`parse::bonito`] takes for leaks.
    pub fn never(&self) -> Vec<&'static str> {
        parse::markers_not_in(&self.passage).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_constraints_apart() {
        let pair = Pair { kind: TaskKind::Nli, passage: "A cat.".into(), labels: Vec::new() };
        let schema = json!({"type": "object"});
        let all = [
            Constraint::Free,
            Constraint::JsonSchema(Arc::new(schema.clone())),
            Constraint::Pair(Arc::new(pair.clone())),
            Constraint::Pair(Arc::new(Pair { kind: TaskKind::Te, ..pair.clone() })),
            Constraint::Pair(Arc::new(Pair { passage: "A hen.".into(), ..pair.clone() })),
            Constraint::Pair(Arc::new(Pair { labels: vec!["a".into()], ..pair })),
            Constraint::Choice(["a".to_owned(), "b".to_owned()].into()),
            Constraint::Choice(["a\",\"b".to_owned()].into()),
        ];
        let keys: std::collections::HashSet<Vec<u8>> = all.iter().map(Constraint::key).collect();
        assert_eq!(keys.len(), all.len());
        assert_eq!(all[1].key(), schema.to_string().into_bytes());
    }
}
