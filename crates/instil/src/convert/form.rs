//! What a shape has to know.

use serde_json::{Map, Value};

use super::keys::{Keys, Misfit};
use super::loss::Losses;
use super::record::{Record, Role};

/// What rows of a shape are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Prompts with their answers.
    Tuning,
    /// Spans of one text, of which the loss counts some.
    Segments,
    /// Texts.
    Text,
    /// Prompts alone.
    Prompt,
    /// Two answers, of which one is better.
    Pair,
    /// An answer that is good, or isn't.
    Label,
    /// Steps of an answer that are right, or aren't.
    Steps,
    /// Several answers with their ranks.
    Ranked,
    /// Tokens, which hold no text.
    Tokens,
}

/// One way to write a record as a row.
pub(super) trait Form: Sync {
    /// The record of a row. Keys that nobody takes, and how those that were taken are spelt, are added by the
    /// caller.
    fn read(&self, keys: &mut Keys<'_>) -> Result<Record, Misfit>;

    /// The row of a record; what it can't carry is added to `losses`. `is_same` says that the record was read
    /// from this very shape. What a record has in `extra` and `spelling` is not its matter, and what it has in
    /// `preference` only where its kind is one of preferences.
    fn write(
        &self,
        record: &Record,
        is_same: bool,
        losses: &mut Losses,
    ) -> Result<Map<String, Value>, Misfit>;

    /// Whether a row has the keys of this shape.
    fn fits(&self, row: &Map<String, Value>) -> bool;

    /// What a row has that fits, in words.
    fn why(&self) -> String;

    /// What its rows are for.
    fn kind(&self) -> Kind;

    /// The names of its columns where each is a text, so that they fit a table; none where rows nest.
    fn columns(&self) -> &'static [&'static str] {
        &[]
    }

    /// The JSON pointer of a turn's content; turns after the last are those of the better answer.
    fn path(&self, record: &Record, turn: usize) -> String;
}

/// Whether the turn of this number is said by the one who asks.
pub(super) fn is_asked(record: &Record, turn: usize) -> bool {
    record.turns.get(turn).is_some_and(|turn| turn.role != Role::Assistant)
}

/// One way to write a task with its instances as a row.
pub(super) trait TaskForm: Sync {
    /// A record for each instance of a task.
    fn read(&self, row: &Map<String, Value>) -> Vec<Result<Record, Misfit>>;

    /// The row of a task with these instances, which share the task of the first; otherwise as [`Form::write`].
    fn write(
        &self,
        records: &[Record],
        is_same: bool,
        losses: &mut Losses,
    ) -> Result<Map<String, Value>, Misfit>;

    /// As [`Form::fits`].
    fn fits(&self, row: &Map<String, Value>) -> bool;

    /// As [`Form::why`].
    fn why(&self) -> String;

    /// The key of the instances.
    fn instances(&self) -> &'static str;
}

/// What a row has whose columns are texts, in words.
pub(super) fn texts(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match names.as_slice() {
        [name] => format!("{name} is a text"),
        names => format!("{} are texts", names.join(" and ")),
    }
}

/// Whether there is a boolean.
pub(super) fn holds_bool(row: &Map<String, Value>, key: &str) -> bool {
    row.get(key).is_some_and(Value::is_boolean)
}

/// Whether there is a text, or a null in a text's place.
pub(super) fn holds_text(row: &Map<String, Value>, key: &str) -> bool {
    matches!(row.get(key), Some(Value::String(_) | Value::Null))
}
