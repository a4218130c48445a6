//! Plain text, and prompts without answers.

use serde_json::{Map, Value};

use super::form::{Form, Kind, holds_text};
use super::halves::{Halves, count_fields, count_structure, unfit, wanted};
use super::keys::{At, Keys, Misfit};
use super::loss::{Loss, Losses};
use super::record::{Record, Role, Turn};

/// A text under the key `text`: language modelling.
pub(super) struct Text;

impl Form for Text {
    fn read(&self, row: &Map<String, Value>) -> Result<Record, Misfit> {
        let mut keys = Keys::of(row, At::Row);
        let mut record = Record::of(vec![Turn::new(Role::Assistant, keys.needed_text("text")?)]);
        (record.extra, record.spelling) = keys.rest();
        Ok(record)
    }

    fn write(&self, record: &Record, _: bool, losses: &mut Losses) -> Result<Map<String, Value>, Misfit> {
        let is_pair = matches!(record.turns.as_slice(), [prompt, completion]
            if prompt.role == Role::User && completion.role == Role::Assistant);
        let is_bare = record.system.is_none() && record.task.is_none();
        count_structure(record, losses);
        count_fields(record, losses);
        let halves = Halves::of(record, losses);
        let text = match (record.is_plain_text(), is_pair && is_bare) {
            (true, _) => wanted(halves.completion, "text", "plain text")?,
            (_, true) => {
                losses.add(Loss::Roles);
                [halves.input, halves.completion].into_iter().flatten().collect()
            }
            _ => {
                return Err(unfit(
                    "a conversation becomes text by a chat template alone; `chatml` is one such text",
                ));
            }
        };
        Ok(Map::from_iter([("text".to_owned(), text.into())]))
    }

    fn fits(&self, row: &Map<String, Value>) -> bool {
        holds_text(row, "text")
    }

    fn why(&self) -> String {
        "`text` is a text".to_owned()
    }

    fn kind(&self) -> Kind {
        Kind::Text
    }

    fn columns(&self) -> &'static [&'static str] {
        &["text"]
    }

    fn path(&self, _: &Record, _: usize) -> String {
        "/text".to_owned()
    }
}

/// A text under the key `prompt`.
pub(super) struct Prompt;

impl Form for Prompt {
    fn read(&self, row: &Map<String, Value>) -> Result<Record, Misfit> {
        let mut keys = Keys::of(row, At::Row);
        let mut record = Record::of(vec![Turn::new(Role::User, keys.needed_text("prompt")?)]);
        record.prompt = Some(1);
        (record.extra, record.spelling) = keys.rest();
        Ok(record)
    }

    fn write(&self, record: &Record, _: bool, losses: &mut Losses) -> Result<Map<String, Value>, Misfit> {
        count_structure(record, losses);
        count_fields(record, losses);
        let halves = Halves::of(record, losses);
        losses.add_if(halves.completion.is_some(), Loss::Completion);
        losses.add_if(halves.system.is_some(), Loss::System);
        let prompt = wanted(halves.prompt(), "prompt", "a row of prompts")?;
        Ok(Map::from_iter([("prompt".to_owned(), prompt.into())]))
    }

    fn fits(&self, row: &Map<String, Value>) -> bool {
        holds_text(row, "prompt")
    }

    fn why(&self) -> String {
        "`prompt` is a text, and nothing answers it".to_owned()
    }

    fn kind(&self) -> Kind {
        Kind::Prompt
    }

    fn columns(&self) -> &'static [&'static str] {
        &["prompt"]
    }

    fn path(&self, _: &Record, _: usize) -> String {
        "/prompt".to_owned()
    }
}
