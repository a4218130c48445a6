//! Plain text, and prompts without answers (spec/uit.md 7.7).

use serde_json::{Map, Value};

use super::form::{Form, Kind, holds_text, texts};
use super::halves::{Halves, bare_pair, split_before, unfit, wanted};
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

/// A text that asks and nothing that answers it.
pub(super) struct Prompt {
    /// Its name.
    pub(super) prompt: &'static str,
    /// The name of a text that stands before it, such as the passage that is asked about.
    pub(super) before: Option<&'static str>,
    /// The names of all columns, in order.
    pub(super) columns: &'static [&'static str],
}

impl Form for Prompt {
    fn read(&self, keys: &mut Keys<'_>) -> Result<Record, Misfit> {
        let mut prompt = keys.needed_text(self.prompt)?;
        let mut record = Record { prompt: Some(1), ..Record::default() };
        if let Some(name) = self.before {
            let before = keys.needed_text(name)?;
            prompt = format!("{before}\n\n{prompt}");
            record.fields.insert(name.to_owned(), before);
        }
        record.turns.push(Turn::new(Role::User, prompt));
        Ok(record)
    }

    fn write(&self, record: &Record, _: bool, losses: &mut Losses) -> Result<Map<String, Value>, Misfit> {
        let halves = Halves::without_system(record, losses);
        losses.add_if(halves.completion.is_some(), Loss::Completion);
        let prompt = wanted(halves.prompt(), "prompt", "a row of prompts")?;
        let (prompt, before) = split_before(record, self.before, prompt)?;
        let mut row = Map::with_capacity(2);
        if let Some(name) = self.before {
            row.insert(name.to_owned(), before.into());
        }
        row.insert(self.prompt.to_owned(), prompt.into());
        Ok(row)
    }

    fn fits(&self, row: &Map<String, Value>) -> bool {
        self.columns.iter().all(|column| holds_text(row, column))
    }

    fn why(&self) -> String {
        format!("{}, and nothing answers", texts(self.columns))
    }

    fn kind(&self) -> Kind {
        Kind::Prompt
    }

    fn columns(&self) -> &'static [&'static str] {
        self.columns
    }

    fn path(&self, _: &Record, _: usize) -> String {
        format!("/{}", self.prompt)
    }
}
