//! A row of a dataset as far as instructions are concerned: which task it is of, what is given and what is answered.

use std::sync::Arc;

use serde_json::Value;

use crate::convert::Record;
use crate::convert::record::{Content as Said, Role, TaskPart};

/// The columns that name a row's task, where none is named; the first that a row has.
const TASK_COLUMNS: [&str; 2] = ["task", "task_name"];

/// One row, its instruction not yet taken off.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Content {
    /// The task that the row says it is of; none where it says nothing.
    pub(crate) task: Option<String>,
    /// What holds for the whole task, where the row has it apart.
    pub(crate) part: Option<Arc<TaskPart>>,
    /// What is given; the instruction stands in it where it isn't apart.
    pub(crate) prompt: String,
    /// What is answered.
    pub(crate) output: String,
    /// Other answers that would be as good.
    pub(crate) references: Vec<String>,
    /// The dataset and the template that the row was rendered with, where it says so.
    pub(crate) rendered: Option<(String, String)>,
    /// What of the row is no content, by the words of losses.
    pub(crate) dropped: Vec<String>,
}

impl Content {
    /// What a record says.
    ///
    /// # Errors
    /// Why it is no instruction with an answer: a preference, a conversation of several turns, a call.
    pub(crate) fn of(mut record: Record, column: Option<&str>) -> Result<Self, &'static str> {
        if record.preference.is_some() {
            return Err("it is a preference, and no single answer");
        }
        if record.tools.is_some() || record.turns.iter().any(|turn| !turn.tool_calls.is_empty()) {
            return Err("functions are called in it");
        }
        let mut dropped = Vec::new();
        let mut said = Vec::with_capacity(2);
        for turn in record.turns {
            match (turn.role, turn.content) {
                (role, _) if role.is_standing() => dropped.push("system".to_owned()),
                (role @ (Role::User | Role::Assistant), Said::Text(text)) => said.push((role, text)),
                (Role::User, Said::None) => {}
                _ => return Err("it holds something else than texts"),
            }
        }
        let (prompt, output) = match said.as_mut_slice() {
            [(Role::User, prompt), (Role::Assistant, output)] => {
                (std::mem::take(prompt), std::mem::take(output))
            }
            [(Role::Assistant, output)] if record.task.is_some() => (String::new(), std::mem::take(output)),
            [(Role::Assistant, _)] => return Err("it has no prompt"),
            _ => return Err("it isn't one prompt and one answer"),
        };
        if record.system.is_some_and(|system| !system.trim().is_empty()) {
            dropped.push("system".to_owned());
        }
        let text = |key: &str| record.extra.get(key).and_then(Value::as_str);
        let task = match column {
            Some(column) => text(column).map(str::to_owned),
            None => TASK_COLUMNS.into_iter().find_map(text).map(str::to_owned),
        };
        let rendered = text("dataset").zip(text("template")).map(|(a, b)| (a.to_owned(), b.to_owned()));
        dropped.extend(record.extra.keys().map(|key| format!("extra:{key}")));
        // A part that defines nothing is a list of choices.
        let part = record.task.take().filter(|part| part.definition.is_some());
        Ok(Self { task, part, prompt, output, references: record.references, rendered, dropped })
    }

    /// The definition that the row brings.
    pub(crate) fn definition(&self) -> Option<&str> {
        self.part.as_deref()?.definition.as_deref()
    }
}
