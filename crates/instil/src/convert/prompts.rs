//! TRL's prompts and completions as lists of messages (spec/uit.md 7.7).

use serde_json::{Map, Value};

use super::chat::turns_of;
use super::dialect::OPENAI;
use super::form::{Form, Kind, holds_bool};
use super::halves::{answers_something, count_messages, label_of, unfit};
use super::keys::{At, Keys, Misfit};
use super::loss::{Loss, Losses};
use super::record::{Preference, Record, Turn};
use super::tools::{read_tools, write_tools};

/// Prompt, and completion where there is one, as lists of messages.
pub(super) struct PromptMessages {
    /// Whether there is a completion.
    pub(super) has_completion: bool,
    /// Whether `label` says if it is good.
    pub(super) has_label: bool,
}

fn read_messages(keys: &mut Keys<'_>, key: &'static str) -> Result<Vec<Turn>, Misfit> {
    OPENAI.read(keys.needed(key)?, &At::Row.key(key))
}

impl Form for PromptMessages {
    fn read(&self, keys: &mut Keys<'_>) -> Result<Record, Misfit> {
        let mut record = Record::of(read_messages(keys, "prompt")?);
        record.prompt = Some(record.turns.len());
        if self.has_completion {
            record.turns.extend(read_messages(keys, "completion")?);
        }
        if self.has_label {
            record.preference = Some(Preference::Label(keys.needed_bool("label")?));
        }
        record.tools = read_tools(keys, false)?;
        Ok(record)
    }

    fn write(
        &self,
        record: &Record,
        is_same: bool,
        losses: &mut Losses,
    ) -> Result<Map<String, Value>, Misfit> {
        answers_something(record, is_same)?;
        count_messages(record, losses);
        let turns = turns_of(record, true);
        // Standing instructions and a definition that became turns stand before the completion.
        let at = record.completion_at().map_or(turns.len(), |at| at + turns.len() - record.turns.len());
        let (prompt, completion) = turns.split_at(at.min(turns.len()));
        let mut row = Map::with_capacity(3);
        row.insert("prompt".to_owned(), OPENAI.write(prompt, is_same, losses));
        if !self.has_completion {
            losses.add_if(!completion.is_empty(), Loss::Completion);
        } else if completion.is_empty() {
            return Err(unfit("there is no completion"));
        } else {
            row.insert("completion".to_owned(), OPENAI.write(completion, is_same, losses));
        }
        if self.has_label {
            row.insert("label".to_owned(), label_of(record)?);
        }
        write_tools(record, is_same, false, &mut row);
        Ok(row)
    }

    fn fits(&self, row: &Map<String, Value>) -> bool {
        OPENAI.holds_list(row, "prompt")
            && (!self.has_completion || OPENAI.holds_list(row, "completion"))
            && (!self.has_label || holds_bool(row, "label"))
    }

    fn why(&self) -> String {
        match (self.has_completion, self.has_label) {
            (false, _) => "`prompt` is a list of `role` and `content`, and nothing answers it".to_owned(),
            (true, false) => "`prompt` and `completion` are lists of `role` and `content`".to_owned(),
            (true, true) => {
                "`prompt` and `completion` are lists of `role` and `content`, beside a `label`".to_owned()
            }
        }
    }

    fn kind(&self) -> Kind {
        match (self.has_completion, self.has_label) {
            (_, true) => Kind::Label,
            (true, false) => Kind::Tuning,
            (false, false) => Kind::Prompt,
        }
    }

    fn path(&self, record: &Record, turn: usize) -> String {
        match record.prompt.and_then(|at| turn.checked_sub(at)) {
            Some(turn) => format!("/completion/{turn}/content"),
            None => format!("/prompt/{turn}/content"),
        }
    }
}
