//! Two answers as texts, of which one is better (spec/uit.md 7.7 to 7.9).

use std::sync::Arc;

use serde_json::{Map, Value};

use super::form::{Form, Kind, holds_text, is_asked, texts};
use super::halves::{Halves, count_fields, count_structure, joined, pair_of, wanted};
use super::keys::{Keys, Misfit};
use super::loss::{Loss, Losses};
use super::record::{Preference, Record, Role, TaskPart, Turn};

/// Names that prompts have.
const PROMPTS: &[&str] =
    &["prompt", "question", "instruction", "input", "query", "context", "messages", "history"];

/// Two answers as texts, under many names.
pub(super) struct Texts {
    /// The name of the task's definition, where it stands apart.
    pub(super) definition: Option<&'static str>,
    /// The name of the prompt; none where both answers begin with it.
    pub(super) prompt: Option<&'static str>,
    /// The name of standing instructions, where the shape has them.
    pub(super) system: Option<&'static str>,
    /// The name of the better answer.
    pub(super) chosen: &'static str,
    /// The name of the other one.
    pub(super) rejected: &'static str,
    /// The names of all columns, in order.
    pub(super) columns: &'static [&'static str],
}

impl Form for Texts {
    fn read(&self, keys: &mut Keys<'_>) -> Result<Record, Misfit> {
        let (mut chosen, mut rejected) = (keys.needed_text(self.chosen)?, keys.needed_text(self.rejected)?);
        let prompt = match self.prompt {
            Some(prompt) => keys.needed_text(prompt)?,
            None => {
                let prefix = common_prefix(&chosen, &rejected);
                rejected.drain(..prefix);
                chosen.drain(..prefix).collect()
            }
        };
        let mut record = Record::of(vec![Turn::new(Role::User, prompt)]);
        if let Some(system) = self.system {
            record.system = keys.text(system)?;
        }
        if let Some(definition) = self.definition {
            record.task = Some(Arc::new(TaskPart::of(keys.needed_text(definition)?)));
        }
        record.preference = Some(Preference::Pair {
            chosen: vec![Turn::new(Role::Assistant, chosen)],
            rejected: vec![Turn::new(Role::Assistant, rejected)],
        });
        Ok(record)
    }

    fn write(
        &self,
        record: &Record,
        is_same: bool,
        losses: &mut Losses,
    ) -> Result<Map<String, Value>, Misfit> {
        let (chosen, rejected) = pair_of(record)?;
        let chosen = joined(chosen, losses).unwrap_or_default();
        let rejected = joined(rejected, losses).unwrap_or_default();
        count_structure(record, losses);
        count_fields(record, losses);
        let mut halves = Halves::of(&Record { prompt: Some(record.turns.len()), ..record.clone() }, losses);
        let (definition, prompt) = match (self.definition, halves.definition.take()) {
            (Some(_), Some(definition)) => (definition, halves.input.take().unwrap_or_default()),
            // Without a definition the prompt is the instruction, as in Alpaca.
            (Some(_), None) => (wanted(halves.input.take(), "prompt", "a preference")?, String::new()),
            (None, definition) => {
                halves.definition = definition;
                (String::new(), wanted(halves.prompt(), "prompt", "a preference")?)
            }
        };
        if self.prompt.is_none() && !is_same {
            // Where the answers begin alike, or the prompt ends in a blank, it is read with another end.
            let same = common_prefix(&format!("{prompt}{chosen}"), &format!("{prompt}{rejected}"));
            losses.add_if(same != prompt.len(), Loss::Edges);
        }
        let mut row = Map::with_capacity(4);
        for column in self.columns {
            let value = if Some(*column) == self.prompt {
                prompt.clone()
            } else if Some(*column) == self.definition {
                definition.clone()
            } else if Some(*column) == self.system {
                match halves.system.take() {
                    Some(system) => system,
                    None if is_same => continue,
                    None => String::new(),
                }
            } else {
                let answer = if *column == self.chosen { &chosen } else { &rejected };
                if self.prompt.is_none() { format!("{prompt}{answer}") } else { answer.clone() }
            };
            row.insert((*column).to_owned(), value.into());
        }
        losses.add_if(halves.system.is_some(), Loss::System);
        Ok(row)
    }

    fn fits(&self, row: &Map<String, Value>) -> bool {
        holds_text(row, self.chosen)
            && holds_text(row, self.rejected)
            && self.prompt.is_none_or(|prompt| holds_text(row, prompt))
            && self.system.is_none_or(|system| holds_text(row, system))
            && self.definition.is_none_or(|definition| holds_text(row, definition))
            // A prompt under another name would be lost without a word.
            && (self.prompt.is_some() || !PROMPTS.iter().any(|prompt| row.contains_key(*prompt)))
    }

    fn why(&self) -> String {
        texts(self.columns)
    }

    fn kind(&self) -> Kind {
        Kind::Pair
    }

    fn columns(&self) -> &'static [&'static str] {
        self.columns
    }

    fn path(&self, record: &Record, turn: usize) -> String {
        let key = self.prompt.filter(|_| is_asked(record, turn));
        format!("/{}", key.unwrap_or(self.chosen))
    }
}

/// How many bytes two texts begin with that are the same, one blank at the end left out: the rule of TRL's
/// `extract_prompt` (trl/data_utils.py).
fn common_prefix(one: &str, other: &str) -> usize {
    let same = one.chars().zip(other.chars()).take_while(|(a, b)| a == b);
    let mut bytes: usize = same.map(|(a, _)| a.len_utf8()).sum();
    if one[..bytes].ends_with(' ') {
        bytes -= 1;
    }
    bytes
}
