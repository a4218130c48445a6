//! A row of a dataset as far as instructions are concerned: which task it is of, what is given and what is answered.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;

use crate::convert::Record;
use crate::convert::record::{Content as Said, Role, TaskPart};

/// The columns that name a row's task, where none is named; the first that a row has.
pub(crate) const TASK_COLUMNS: [&str; 2] = ["task", "task_name"];

/// One row, its instruction not yet taken off.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Content<'a> {
    /// The task that the row says it is of; none where it says nothing.
    pub(crate) task: Option<Cow<'a, str>>,
    /// What holds for the whole task, where the row has it apart.
    pub(crate) part: Option<Arc<TaskPart>>,
    /// What is given; the instruction stands in it where it isn't apart.
    pub(crate) prompt: Cow<'a, str>,
    /// What is answered.
    pub(crate) output: Cow<'a, str>,
    /// Other answers that would be as good.
    pub(crate) references: Vec<String>,
    /// The dataset and the template that the row was rendered with, where it says so.
    pub(crate) rendered: Option<(Cow<'a, str>, Cow<'a, str>)>,
    /// Whether standing instructions are left out.
    pub(crate) has_system: bool,
    /// Keys that are no content.
    pub(crate) extra: Vec<Cow<'a, str>>,
}

impl Content<'static> {
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
        let mut has_system = false;
        let mut said = Vec::with_capacity(2);
        for turn in record.turns {
            match (turn.role, turn.content) {
                (role, _) if role.is_standing() => has_system = true,
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
        has_system |= record.system.is_some_and(|system| !system.trim().is_empty());
        let text = |key: &str| record.extra.get(key).and_then(Value::as_str);
        let owned = |text: &str| Cow::Owned(text.to_owned());
        let task = match column {
            Some(column) => text(column),
            None => TASK_COLUMNS.into_iter().find_map(text),
        };
        let task = task.map(owned);
        let rendered = text("dataset").map(owned).zip(text("template").map(owned));
        let extra = record.extra.keys().map(|key| owned(key)).collect();
        // A part that defines nothing is a list of choices.
        let part = record.task.take().filter(|part| part.definition.is_some());
        let (prompt, output) = (prompt.into(), output.into());
        Ok(Self { task, part, prompt, output, references: record.references, rendered, has_system, extra })
    }
}

impl Content<'_> {
    /// The same with texts of its own, without keys that are no content.
    pub(crate) fn to_static(&self) -> Content<'static> {
        let owned = |text: &Cow<'_, str>| Cow::Owned(text.clone().into_owned());
        Content {
            task: self.task.as_ref().map(owned),
            part: self.part.clone(),
            prompt: owned(&self.prompt),
            output: owned(&self.output),
            references: self.references.clone(),
            rendered: self.rendered.as_ref().map(|(dataset, template)| (owned(dataset), owned(template))),
            has_system: self.has_system,
            extra: Vec::new(),
        }
    }

    /// The definition that the row brings.
    pub(crate) fn definition(&self) -> Option<&str> {
        self.part.as_deref()?.definition.as_deref()
    }
}
