//! Alpaca: instruction, input and output (spec/uit.md 7.1), and LLaMA-Factory's, which has `system` and
//! `history` too (7.9).
//!
//! The instruction is the task's definition, since Alpaca is a task-level format; the input is the instance.
//! Where the shape written to has no task-level part the two are joined by an empty line, as Alpaca's own
//! template parts them.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::form::{Form, Kind, holds_bool, holds_text, is_asked, texts};
use super::halves::{
    Halves, count_fields, count_structure, label_of, text_of, unfit, wanted, with_definition,
};
use super::keys::{At, Keys, Misfit, list, text};
use super::loss::{Loss, Losses};
use super::record::{Content, Preference, Record, Role, TaskPart, Turn};

/// Instruction, input and output.
pub(super) struct Alpaca {
    /// The name of the output.
    pub(super) output: &'static str,
    /// Whether `system` and `history` have places.
    pub(super) has_history: bool,
    /// The name of the boolean that says whether the output is good.
    pub(super) label: Option<&'static str>,
    /// The names of structured slots; a row of the shape has all of them.
    pub(super) fields: &'static [&'static str],
}

impl Alpaca {
    /// Instruction, input and output alone.
    pub(super) const BARE: Self = Self { output: "output", has_history: false, label: None, fields: &[] };
}

const COLUMNS: [&[&str]; 2] = [&["instruction", "input", "output"], &["instruction", "input", "response"]];

impl Form for Alpaca {
    fn read(&self, keys: &mut Keys<'_>) -> Result<Record, Misfit> {
        let instruction = keys.needed_text("instruction")?;
        let input = keys.text("input")?;
        let output = keys.needed_text(self.output)?;
        let mut record = Record::default();
        if self.has_history {
            record.system = keys.text("system")?;
            if let Some(history) = keys.value("history") {
                read_history(history, &mut record.turns)?;
                if record.turns.is_empty() {
                    keys.spell("history", Value::Array(Vec::new()));
                }
            }
        }
        for name in self.fields {
            record.fields.insert((*name).to_owned(), keys.needed_text(name)?);
        }
        if let Some(label) = self.label {
            record.preference = Some(Preference::Label(keys.needed_bool(label)?));
        }
        if record.turns.is_empty() {
            record.task = Some(Arc::new(TaskPart::of(instruction)));
            record.turns.extend(input.map(|input| Turn::new(Role::User, input)));
        } else {
            // After a conversation the instruction is a turn of it, not what holds for all of them.
            let mut turn = Turn::new(Role::User, instruction);
            if let Some(input) = input {
                if input.is_empty() {
                    keys.spell("input", input.into());
                } else {
                    let split = turn.content.text().to_owned();
                    turn.content = Content::Text(format!("{split}\n{input}"));
                    keys.spell("instruction", split.into());
                    keys.spell("input", input.into());
                }
            }
            record.turns.push(turn);
        }
        record.turns.push(Turn::new(Role::Assistant, output));
        Ok(record)
    }

    fn write(
        &self,
        record: &Record,
        is_same: bool,
        losses: &mut Losses,
    ) -> Result<Map<String, Value>, Misfit> {
        let mut row = Map::with_capacity(4);
        let (record, history) = match self.has_history.then(|| split_history(record, losses)).flatten() {
            Some((record, history)) => (std::borrow::Cow::Owned(record), Some(history)),
            None => (std::borrow::Cow::Borrowed(record), None),
        };
        let halves = Halves::of(&record, losses);
        count_structure(&record, losses);
        if !record.fields.keys().all(|name| self.fields.contains(&name.as_str())) {
            count_fields(&record, losses);
        }
        let output = wanted(halves.completion, "output", "Alpaca")?;
        let (instruction, input) = match (halves.definition, halves.input) {
            (Some(definition), input) => (definition, input),
            (None, Some(input)) => (input, (!is_same).then(String::new)),
            (None, None) => return Err(unfit("there is no instruction, which Alpaca has")),
        };
        row.insert("instruction".to_owned(), instruction.into());
        if let Some(input) = input.or_else(|| (!is_same).then(String::new)) {
            row.insert("input".to_owned(), input.into());
        }
        row.insert(self.output.to_owned(), output.into());
        for name in self.fields {
            let field = record.fields.get(*name);
            let field = field.ok_or_else(|| unfit(format!("there is no field `{name}`")))?;
            row.insert((*name).to_owned(), field.as_str().into());
        }
        match halves.system {
            Some(system) if self.has_history => drop(row.insert("system".to_owned(), system.into())),
            Some(_) => losses.add(Loss::System),
            None => {}
        }
        if let Some(history) = history {
            row.insert("history".to_owned(), history);
        }
        if let Some(label) = self.label {
            row.insert(label.to_owned(), label_of(&record)?);
        }
        Ok(row)
    }

    fn fits(&self, row: &Map<String, Value>) -> bool {
        let has_its_own = match (self.has_history, self.label) {
            (_, Some(label)) => holds_bool(row, label),
            (true, _) => holds_text(row, "system") || row.get("history").is_some_and(Value::is_array),
            // Without an input, `instruction` and `response` are a plain pair.
            (false, _) => self.output == "output" || row.contains_key("input"),
        };
        has_its_own
            && self.fields.iter().all(|name| holds_text(row, name))
            && holds_text(row, "instruction")
            && holds_text(row, self.output)
    }

    fn why(&self) -> String {
        let besides = match (self.label, self.has_history) {
            (Some(label), _) => format!(", and `{label}` is a boolean"),
            (None, true) => ", besides `system` or `history`".to_owned(),
            (None, false) => String::new(),
        };
        let names: Vec<&str> =
            ["instruction", self.output].into_iter().chain(self.fields.iter().copied()).collect();
        format!("{}{besides}", texts(&names))
    }

    fn kind(&self) -> Kind {
        if self.label.is_some() { Kind::Label } else { Kind::Tuning }
    }

    fn columns(&self) -> &'static [&'static str] {
        match (self.has_history || self.label.is_some() || !self.fields.is_empty(), self.output) {
            (true, _) => &[],
            (false, "output") => COLUMNS[0],
            (false, _) => COLUMNS[1],
        }
    }

    fn path(&self, record: &Record, turn: usize) -> String {
        if !is_asked(record, turn) {
            return format!("/{}", self.output);
        }
        if record.task.is_some() { "/input" } else { "/instruction" }.to_owned()
    }
}

fn read_history(history: &Value, turns: &mut Vec<Turn>) -> Result<(), Misfit> {
    let at = At::Row;
    let at = at.key("history");
    for (index, pair) in list(history, &at)?.iter().enumerate() {
        let at = at.index(index);
        match list(pair, &at)? {
            [user, assistant] => {
                turns.push(Turn::new(Role::User, text(user, &at.index(0))?));
                turns.push(Turn::new(Role::Assistant, text(assistant, &at.index(1))?));
            }
            pair => {
                let message = format!("it has {} texts, and a round of a conversation has two", pair.len());
                return Err(at.misfit(crate::reject::Reason::WrongType, message));
            }
        }
    }
    Ok(())
}

/// The last round of a conversation as a record of its own, and the rounds before it as `history`; none where
/// there are none, or where they are not rounds.
fn split_history(record: &Record, losses: &mut Losses) -> Option<(Record, Value)> {
    let standing = record.turns.iter().take_while(|turn| turn.role.is_standing()).count();
    let at = record.turns.len().checked_sub(2)?;
    let rounds = record.turns.get(standing..at)?;
    let (rounds, rest) = rounds.as_chunks::<2>();
    let is_text = |turn: &Turn, role| turn.role == role && matches!(turn.content, Content::Text(_));
    let is_round = |[user, assistant]: &[Turn; 2]| {
        is_text(user, Role::User) && is_text(assistant, Role::Assistant) && assistant.tool_calls.is_empty()
    };
    if rounds.is_empty() || !rest.is_empty() || !rounds.iter().all(is_round) {
        return None;
    }
    // What holds for the whole task stands before the first round.
    let definition = record.definition();
    let first = |index: usize, text: &str| match definition {
        Some(definition) if index == 0 => with_definition(definition, text),
        _ => text.to_owned(),
    };
    let history = rounds.iter().enumerate().map(|(index, [user, assistant])| {
        Value::from(vec![first(index, &text_of(user, losses)), text_of(assistant, losses)])
    });
    let history = Value::Array(history.collect());
    let mut last = record.clone();
    last.turns.drain(standing..at);
    last.prompt = None;
    if definition.is_some() {
        last.task =
            record.task.as_deref().map(|task| Arc::new(TaskPart { definition: None, ..task.clone() }));
    }
    Some((last, history))
}
