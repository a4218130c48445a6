//! Plain text, and prompts without answers (spec/uit.md 7.7).

use serde_json::{Map, Value};

use super::form::{Form, Kind, holds_text, texts};
use super::halves::{Halves, bare_pair, unfit, wanted};
use super::keys::{Keys, Misfit};
use super::loss::{Loss, Losses};
use super::record::{Record, Role, Turn};

/// A text under the key `text`: language modelling.
pub(super) struct Text;

impl Form for Text {
    fn read(&self, keys: &mut Keys<'_>) -> Result<Record, Misfit> {
        Ok(Record::of(vec![Turn::new(Role::Assistant, keys.needed_text("text")?)]))
    }

    fn write(&self, record: &Record, _: bool, losses: &mut Losses) -> Result<Map<String, Value>, Misfit> {
        let halves = Halves::counted(record, losses);
        let text = if record.is_plain_text() {
            wanted(halves.completion, "text", "plain text")?
        } else if bare_pair(record).is_some() {
            losses.add(Loss::Roles);
            [halves.input, halves.completion].into_iter().flatten().collect()
        } else {
            return Err(unfit(
                "a conversation becomes text by a chat template alone; `chatml` is one such text",
            ));
        };
        Ok(Map::from_iter([("text".to_owned(), text.into())]))
    }

    fn fits(&self, row: &Map<String, Value>) -> bool {
        holds_text(row, "text")
    }

    fn why(&self) -> String {
        texts(&["text"])
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
    fn read(&self, keys: &mut Keys<'_>) -> Result<Record, Misfit> {
        let mut record = Record::of(vec![Turn::new(Role::User, keys.needed_text("prompt")?)]);
        record.prompt = Some(1);
        Ok(record)
    }

    fn write(&self, record: &Record, _: bool, losses: &mut Losses) -> Result<Map<String, Value>, Misfit> {
        let halves = Halves::without_system(record, losses);
        losses.add_if(halves.completion.is_some(), Loss::Completion);
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
