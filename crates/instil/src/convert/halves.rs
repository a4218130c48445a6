//! A conversation as texts, for shapes that have no messages: what is given and what is to be learnt.

use super::keys::{At, Misfit};
use super::loss::{Loss, Losses};
use super::record::{Content, Record, Role, Turn};
use crate::reject::Reason;

/// A record as a few texts.
pub(super) struct Halves {
    /// Standing instructions.
    pub(super) system: Option<String>,
    /// The task's definition, where it stands apart.
    pub(super) definition: Option<String>,
    /// What is asked; none where there is no turn before the answer.
    pub(super) input: Option<String>,
    /// The answer; none where there is none.
    pub(super) completion: Option<String>,
}

impl Halves {
    /// What is lost by having texts is counted; what of the texts a shape has no key for is for the caller.
    pub(super) fn of(record: &Record, losses: &mut Losses) -> Self {
        let mut system = record.system.clone();
        let turns = match record.turns.as_slice() {
            [first, rest @ ..] if first.role.is_standing() && system.is_none() => {
                system = Some(text_of(first, losses));
                rest
            }
            turns => turns,
        };
        let skipped = record.turns.len() - turns.len();
        let at = record.completion_at().map(|at| at.saturating_sub(skipped));
        let (before, after) = turns.split_at(at.unwrap_or(turns.len()).min(turns.len()));
        let (answer, trailing) = match after.iter().rposition(|turn| turn.role == Role::Assistant) {
            Some(last) => after.split_at(last + 1),
            None => (after, &[][..]),
        };
        losses.add_if(!trailing.is_empty(), Loss::TrailingTurns);
        Self {
            system,
            definition: record.definition().map(str::to_owned),
            input: joined(before, losses),
            completion: joined(answer, losses),
        }
    }

    /// Definition and input as one text.
    pub(super) fn prompt(&self) -> Option<String> {
        match (&self.definition, &self.input) {
            (Some(definition), Some(input)) if !input.is_empty() => Some(with_definition(definition, input)),
            (Some(definition), _) => Some(definition.clone()),
            (None, input) => input.clone(),
        }
    }
}

/// A definition before the input of an instance.
pub(super) fn with_definition(definition: &str, input: &str) -> String {
    if input.is_empty() { definition.to_owned() } else { format!("{definition}\n\n{input}") }
}

/// Turns as one text, parted by empty lines.
pub(super) fn joined(turns: &[Turn], losses: &mut Losses) -> Option<String> {
    match turns {
        [] => None,
        [turn] => Some(text_of(turn, losses)),
        turns => {
            losses.add(Loss::Roles);
            let texts: Vec<String> = turns.iter().map(|turn| text_of(turn, losses)).collect();
            Some(texts.join("\n\n"))
        }
    }
}

/// A turn's text, what can't be in it counted.
pub(super) fn text_of(turn: &Turn, losses: &mut Losses) -> String {
    losses.add_if(turn.name.is_some(), Loss::Names);
    losses.add_if(!turn.tool_calls.is_empty(), Loss::ToolCalls);
    losses.add_if(turn.tool_call_id.is_some(), Loss::ToolCallIds);
    losses.add_if(turn.thinking.is_some(), Loss::Thinking);
    losses.add_if(turn.train.is_some(), Loss::Train);
    losses.add_if(!turn.extra.is_empty(), Loss::TurnExtra);
    match &turn.content {
        Content::None => String::new(),
        Content::Text(text) => text.clone(),
        Content::Parts(parts) => {
            let texts = parts.iter().map(|part| {
                let only_text = part.as_object().is_some_and(|part| {
                    part.get("type").is_some_and(|kind| kind == "text") && part.len() == 2
                });
                let text = part.get("text").and_then(serde_json::Value::as_str);
                losses.add_if(text.is_none() || !only_text, Loss::Parts);
                text.unwrap_or_default()
            });
            texts.collect()
        }
    }
}

/// What of a record no shape of plain texts can carry.
pub(super) fn count_structure(record: &Record, losses: &mut Losses) {
    losses.add_if(record.tools.is_some(), Loss::Tools);
    losses.add_if(!record.references.is_empty(), Loss::References);
    count_task(record, losses);
}

/// Whether a slot's text stands in no turn, so that a shape without slots loses it.
pub(super) fn count_fields(record: &Record, losses: &mut Losses) {
    let is_said =
        |field: &String| record.turns.iter().any(|turn| turn.content.text().contains(field.as_str()));
    losses.add_if(!record.fields.values().all(is_said), Loss::Fields);
}

/// What of a task only a task's file can carry; its definition goes before the input.
pub(super) fn count_task(record: &Record, losses: &mut Losses) {
    if let Some(task) = &record.task {
        losses.add_if(task.id.is_some(), Loss::TaskId);
        losses.add_if(!task.allowed_outputs.is_empty(), Loss::AllowedOutputs);
        let examples = [&task.positive, &task.negative];
        losses.add_if(examples.into_iter().flatten().any(|list| !list.is_empty()), Loss::TaskExamples);
        losses.add_if(!task.extra.is_empty(), Loss::TaskFacts);
    }
}

/// The answer or prompt that a shape can't do without.
pub(super) fn wanted(text: Option<String>, what: &str, shape: &str) -> Result<String, Misfit> {
    text.ok_or_else(|| unfit(format!("there is no {what}, which {shape} has")))
}

/// The record can't be written in the shape that is asked for.
pub(super) fn unfit(message: impl Into<String>) -> Misfit {
    At::Row.misfit(Reason::Unfit, message)
}
