//! Alpaca's own prompt (spec/uit.md 7.1): instruction and input in the words that its trainer puts around them.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::form::{Form, Kind, holds_text, is_asked};
use super::halves::{Halves, unfit, wanted};
use super::keys::{At, Keys, Misfit};
use super::loss::Losses;
use super::record::{Record, Role, TaskPart, Turn};
use crate::reject::Reason;

const BEGINNING: &str = "Below is an instruction that describes a task";
const WITH_INPUT: &str = "Below is an instruction that describes a task, paired with an input that provides further \
     context. Write a response that appropriately completes the request.\n\n### Instruction:\n";
const WITHOUT_INPUT: &str = "Below is an instruction that describes a task. Write a response that appropriately \
     completes the request.\n\n### Instruction:\n";
const INPUT: &str = "\n\n### Input:\n";
const RESPONSE: &str = "\n\n### Response:";

/// `prompt` and `completion`, the prompt in Alpaca's words.
pub(super) struct Rendered;

impl Form for Rendered {
    fn read(&self, keys: &mut Keys<'_>) -> Result<Record, Misfit> {
        let prompt = keys.needed_text("prompt")?;
        let completion = keys.needed_text("completion")?;
        let (instruction, input) = parse(&prompt).ok_or_else(|| {
            At::Row.key("prompt").misfit(Reason::BrokenMarkup, "it is not in the words of Alpaca's prompt")
        })?;
        // Some write a blank or a line's end after the last heading.
        if render(instruction, input).as_deref() != Ok(&prompt) {
            keys.spell("prompt", prompt.as_str().into());
        }
        let mut record =
            Record::of(vec![Turn::new(Role::User, input), Turn::new(Role::Assistant, completion)]);
        record.task = Some(Arc::new(TaskPart::of(instruction)));
        Ok(record)
    }

    fn write(&self, record: &Record, _: bool, losses: &mut Losses) -> Result<Map<String, Value>, Misfit> {
        let halves = Halves::without_system(record, losses);
        let completion = wanted(halves.completion, "output", "Alpaca")?;
        let (instruction, input) = match (halves.definition, halves.input) {
            (Some(definition), input) => (definition, input.unwrap_or_default()),
            (None, Some(input)) => (input, String::new()),
            (None, None) => return Err(unfit("there is no instruction, which Alpaca has")),
        };
        Ok(Map::from_iter([
            ("prompt".to_owned(), render(&instruction, &input)?.into()),
            ("completion".to_owned(), completion.into()),
        ]))
    }

    fn fits(&self, row: &Map<String, Value>) -> bool {
        let is_rendered = |prompt: &str| prompt.starts_with(BEGINNING) && prompt.contains(RESPONSE);
        row.get("prompt").and_then(Value::as_str).is_some_and(is_rendered) && holds_text(row, "completion")
    }

    fn why(&self) -> String {
        format!("`prompt` begins with `{BEGINNING}`")
    }

    fn kind(&self) -> Kind {
        Kind::Tuning
    }

    fn columns(&self) -> &'static [&'static str] {
        &["prompt", "completion"]
    }

    fn path(&self, record: &Record, turn: usize) -> String {
        if is_asked(record, turn) { "/prompt" } else { "/completion" }.to_owned()
    }
}

/// Instruction and input of a prompt.
fn parse(prompt: &str) -> Option<(&str, &str)> {
    let body = prompt.trim_end().strip_suffix(RESPONSE)?;
    match body.strip_prefix(WITHOUT_INPUT) {
        Some(instruction) => Some((instruction, "")),
        None => body.strip_prefix(WITH_INPUT)?.split_once(INPUT),
    }
}

fn render(instruction: &str, input: &str) -> Result<String, Misfit> {
    for text in [instruction, input] {
        if let Some(heading) = [INPUT, RESPONSE].into_iter().find(|heading| text.contains(heading)) {
            return Err(Misfit {
                reason: Reason::MarkerInText,
                path: String::new(),
                message: format!("the text holds `{}`, a heading of the prompt", heading.trim()),
            });
        }
    }
    Ok(match input {
        "" => format!("{WITHOUT_INPUT}{instruction}{RESPONSE}"),
        input => format!("{WITH_INPUT}{instruction}{INPUT}{input}{RESPONSE}"),
    })
}
