//! Rows with a list of messages (spec/uit.md 7.2, 7.3, 7.8).

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::dialect::Dialect;
use super::form::{Form, Kind, holds_bool};
use super::halves::{answers_something, count_messages, label_of, with_definition};
use super::keys::{At, Keys, Misfit};
use super::loss::Losses;
use super::record::{Content, Preference, Record, Role, Turn};
use super::tools::{read_functions, read_tools, write_tools};

/// Rows with a list of messages.
pub(super) struct Chat {
    /// The key of the list.
    pub(super) list: &'static str,
    /// How its messages are written.
    pub(super) dialect: Dialect,
    /// Whether `system` is a key of the row, and `tools` a string that holds JSON.
    pub(super) is_sharegpt: bool,
    /// The name of the boolean that says whether the last answer is good.
    pub(super) label: Option<&'static str>,
}

impl Form for Chat {
    fn read(&self, keys: &mut Keys<'_>) -> Result<Record, Misfit> {
        let messages = keys.needed(self.list)?;
        let mut record = Record::of(self.dialect.read(messages, &At::Row.key(self.list))?);
        record.tools = read_tools(keys, self.is_sharegpt)?;
        if self.is_sharegpt {
            record.system = keys.text("system")?;
        } else if record.tools.is_none() {
            record.tools = read_functions(keys)?;
        }
        if let Some(label) = self.label {
            record.preference = Some(Preference::Label(keys.needed_bool(label)?));
        }
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
        let mut row = Map::with_capacity(3);
        let turns = turns_of(record, !self.is_sharegpt);
        self.dialect.has_words(&turns)?;
        row.insert(self.list.to_owned(), self.dialect.write(&turns, is_same, losses));
        if let Some(system) = record.system.as_deref().filter(|_| self.is_sharegpt) {
            row.insert("system".to_owned(), system.into());
        }
        write_tools(record, is_same, self.is_sharegpt, &mut row);
        if let Some(label) = self.label {
            row.insert(label.to_owned(), label_of(record)?);
        }
        Ok(row)
    }

    fn fits(&self, row: &Map<String, Value>) -> bool {
        if !self.label.is_none_or(|label| holds_bool(row, label)) {
            return false;
        }
        // `train` is axolotl's own.
        let is_marked = self.dialect.train.0 == "train";
        match row.get(self.list) {
            Some(Value::Array(messages)) => {
                messages.first().is_none_or(|message| self.dialect.is_message(message))
                    && (!is_marked || messages.iter().any(|message| message.get("train").is_some()))
            }
            Some(Value::Null) => !is_marked,
            _ => false,
        }
    }

    fn why(&self) -> String {
        let Dialect { role, content, train: (train, is_bool), .. } = self.dialect;
        let besides = match self.label {
            Some(label) => format!(", beside a boolean `{label}`"),
            None if is_bool => format!(", some with `{train}`"),
            None => String::new(),
        };
        format!("`{}` is a list of `{role}` and `{content}`{besides}", self.list)
    }

    fn kind(&self) -> Kind {
        if self.label.is_some() { Kind::Label } else { Kind::Tuning }
    }

    fn path(&self, _: &Record, turn: usize) -> String {
        format!("/{}/{turn}/{}", self.list, self.dialect.content)
    }
}

/// The turns for a shape without a task-level part: the definition before the first user's turn, and standing
/// instructions as the first turn where `with_system` asks for it.
pub(super) fn turns_of(record: &Record, with_system: bool) -> Cow<'_, [Turn]> {
    let system = record.system.as_deref().filter(|_| with_system);
    if system.is_none() && record.definition().is_none() {
        return record.turns.as_slice().into();
    }
    let mut turns = record.turns.clone();
    if let Some(definition) = record.definition() {
        let first = turns.iter().position(|turn| !turn.role.is_standing()).unwrap_or(turns.len());
        match turns.get_mut(first) {
            Some(turn) if turn.role == Role::User => match &mut turn.content {
                Content::Text(text) => *text = with_definition(definition, text),
                Content::Parts(parts) => {
                    parts.insert(0, json!({"type": "text", "text": format!("{definition}\n\n")}));
                }
                content @ Content::None => *content = Content::Text(definition.to_owned()),
            },
            _ => turns.insert(first, Turn::new(Role::User, definition)),
        }
    }
    if let Some(system) = system {
        turns.insert(0, Turn::new(Role::System, system));
    }
    turns.into()
}
