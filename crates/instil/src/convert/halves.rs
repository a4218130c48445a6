//! A conversation as texts, for shapes that have no messages: what is given and what is to be learnt.

use serde_json::Value;

use super::keys::{At, Misfit};
use super::loss::{Loss, Losses};
use super::record::{Content, Preference, Record, Role, Turn};
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

    /// The same for a shape that has texts alone: whatever else there is is counted.
    pub(super) fn counted(record: &Record, losses: &mut Losses) -> Self {
        count_structure(record, losses);
        count_fields(record, losses);
        Self::of(record, losses)
    }

    /// The same for a shape without a place for standing instructions.
    pub(super) fn without_system(record: &Record, losses: &mut Losses) -> Self {
        let halves = Self::counted(record, losses);
        losses.add_if(halves.system.is_some(), Loss::System);
        halves
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
                let text = part.get("text").and_then(Value::as_str);
                losses.add_if(text.is_none() || !only_text, Loss::Parts);
                text.unwrap_or_default()
            });
            texts.collect()
        }
    }
}

/// What of a record no shape of plain texts can carry.
pub(super) fn count_structure(record: &Record, losses: &mut Losses) {
    let has_tools = |tools: &Value| tools.as_array().is_none_or(|tools| !tools.is_empty());
    losses.add_if(record.tools.as_ref().is_some_and(has_tools), Loss::Tools);
    losses.add_if(!record.references.is_empty(), Loss::References);
    count_task(record, losses);
}

/// Whether a slot's text stands in no turn, so that a shape without slots loses it.
pub(super) fn count_fields(record: &Record, losses: &mut Losses) {
    let is_said =
        |field: &String| record.turns.iter().any(|turn| turn.content.text().contains(field.as_str()));
    losses.add_if(!record.fields.values().all(is_said), Loss::Fields);
}

/// What of a record no shape of messages can carry.
pub(super) fn count_messages(record: &Record, losses: &mut Losses) {
    count_task(record, losses);
    losses.add_if(!record.references.is_empty(), Loss::References);
    count_fields(record, losses);
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

/// The texts of one prompt and one answer with nothing around them, which is all that can be joined as it is.
pub(super) fn bare_pair(record: &Record) -> Option<[&Turn; 2]> {
    match record.turns.as_slice() {
        [prompt, answer]
            if prompt.role == Role::User
                && answer.role == Role::Assistant
                && record.system.is_none()
                && record.task.is_none() =>
        {
            Some([prompt, answer])
        }
        _ => None,
    }
}

/// A prompt without the slot that stands before it, and that slot; nothing is split off where there is no `name`.
pub(super) fn split_before(
    record: &Record,
    name: Option<&str>,
    prompt: String,
) -> Result<(String, String), Misfit> {
    let Some(name) = name else { return Ok((prompt, String::new())) };
    let split = record.fields.get(name).and_then(|before| {
        let prompt = prompt.strip_prefix(before.as_str())?.strip_prefix("\n\n")?.to_owned();
        Some((prompt, before.clone()))
    });
    split.ok_or_else(|| unfit(format!("no `{name}` stands apart before the prompt")))
}

/// Refuses a text without a prompt where turns are to be written.
pub(super) fn answers_something(record: &Record, is_same: bool) -> Result<(), Misfit> {
    match record.is_plain_text() && !is_same {
        true => Err(unfit("it is a text without a prompt, and messages answer something")),
        false => Ok(()),
    }
}

/// Whether the answer is good, where that has been said.
pub(super) fn label_of(record: &Record) -> Result<Value, Misfit> {
    match record.preference {
        Some(Preference::Label(label)) => Ok(label.into()),
        _ => Err(unfit("nothing says whether the answer is good")),
    }
}

/// The two answers of a record.
pub(super) fn pair_of(record: &Record) -> Result<(&[Turn], &[Turn]), Misfit> {
    match &record.preference {
        Some(Preference::Pair { chosen, rejected }) => Ok((chosen, rejected)),
        _ => Err(unfit("there are no two answers of which one is better")),
    }
}

/// The record can't be written in the shape that is asked for.
pub(super) fn unfit(message: impl Into<String>) -> Misfit {
    At::Row.misfit(Reason::Unfit, message)
}
