//! Two texts, what is given and what is to be learnt, under many pairs of names (spec/uit.md 7.6, 7.8).

use std::sync::Arc;

use serde_json::{Map, Value};

use super::form::{Form, Kind, holds_text, is_asked};
use super::halves::{Halves, count_fields, count_structure, unfit, wanted};
use super::keys::{At, Keys, Misfit};
use super::loss::{Loss, Losses};
use super::record::{Record, Role, TaskPart, Turn};

/// Two texts under these names.
pub(super) struct Pair {
    /// The name of what is given.
    pub(super) prompt: &'static str,
    /// The name of what is to be learnt.
    pub(super) completion: &'static str,
    /// The name of standing instructions, where the shape has them.
    pub(super) system: Option<&'static str>,
    /// The name of a text that stands before the prompt, such as the passage that is asked about.
    pub(super) before: Option<&'static str>,
    /// The name of the task's definition, where it stands apart from the instance.
    pub(super) definition: Option<&'static str>,
    /// The names of structured slots; a row of the shape has all of them.
    pub(super) fields: &'static [&'static str],
    /// The names of all columns, in order.
    pub(super) columns: &'static [&'static str],
}

impl Form for Pair {
    fn read(&self, row: &Map<String, Value>) -> Result<Record, Misfit> {
        let mut keys = Keys::of(row, At::Row);
        let mut prompt = keys.needed_text(self.prompt)?;
        let before = self.before.map(|before| Ok((before, keys.needed_text(before)?))).transpose()?;
        if let Some((_, before)) = &before {
            prompt = format!("{before}\n\n{prompt}");
        }
        let completion = keys.needed_text(self.completion)?;
        let mut record =
            Record::of(vec![Turn::new(Role::User, prompt), Turn::new(Role::Assistant, completion)]);
        record.fields.extend(before.map(|(name, before)| (name.to_owned(), before)));
        if let Some(system) = self.system {
            record.system = keys.text(system)?;
        }
        if let Some(definition) = self.definition {
            let definition = Some(keys.needed_text(definition)?);
            record.task = Some(Arc::new(TaskPart { definition, ..TaskPart::default() }));
        }
        for name in self.fields {
            record.fields.insert((*name).to_owned(), keys.needed_text(name)?);
        }
        (record.extra, record.spelling) = keys.rest();
        Ok(record)
    }

    fn write(
        &self,
        record: &Record,
        is_same: bool,
        losses: &mut Losses,
    ) -> Result<Map<String, Value>, Misfit> {
        let halves = Halves::of(record, losses);
        count_structure(record, losses);
        let prompt = match (self.definition, &halves.definition) {
            (Some(_), None) => return Err(unfit("there is no definition of a task")),
            (Some(_), Some(_)) => halves.input.clone().unwrap_or_default(),
            (None, _) => wanted(halves.prompt(), "prompt", "a pair of prompt and completion")?,
        };
        let (prompt, before) = match self.before {
            None => (prompt, String::new()),
            Some(name) => {
                let before = record.fields.get(name).cloned();
                let split = before.and_then(|before| {
                    let prompt = prompt.strip_prefix(&before)?.strip_prefix("\n\n")?.to_owned();
                    Some((prompt, before))
                });
                split.ok_or_else(|| unfit(format!("no `{name}` stands apart before the prompt")))?
            }
        };
        let completion = wanted(halves.completion, "completion", "a pair of prompt and completion")?;
        let mut row = Map::with_capacity(self.columns.len());
        if self.system.is_none() {
            losses.add_if(halves.system.is_some(), Loss::System);
        }
        for column in self.columns {
            let value = if *column == self.prompt {
                prompt.clone()
            } else if *column == self.completion {
                completion.clone()
            } else if Some(*column) == self.before {
                before.clone()
            } else if Some(*column) == self.definition {
                halves.definition.clone().unwrap_or_default()
            } else if Some(*column) == self.system {
                match &halves.system {
                    Some(system) => system.clone(),
                    // The key may be missing; a row of another shape gets it, so that columns are the same.
                    None if is_same => continue,
                    None => String::new(),
                }
            } else {
                match record.fields.get(*column) {
                    Some(field) => field.clone(),
                    None => return Err(unfit(format!("there is no field `{column}`"))),
                }
            };
            row.insert((*column).to_owned(), value.into());
        }
        let has_place = |name: &str| self.fields.contains(&name) || self.before == Some(name);
        if !record.fields.keys().all(|name| has_place(name)) {
            count_fields(record, losses);
        }
        Ok(row)
    }

    fn fits(&self, row: &Map<String, Value>) -> bool {
        holds_text(row, self.prompt)
            && holds_text(row, self.completion)
            && self.before.is_none_or(|before| holds_text(row, before))
            && self.definition.is_none_or(|definition| holds_text(row, definition))
            && self.fields.iter().all(|name| row.contains_key(*name))
            && self.system.is_none_or(|system| holds_text(row, system))
    }

    fn why(&self) -> String {
        let names: Vec<String> = self.columns.iter().map(|name| format!("`{name}`")).collect();
        format!("{} are texts", names.join(" and "))
    }

    fn kind(&self) -> Kind {
        Kind::Tuning
    }

    fn columns(&self) -> &'static [&'static str] {
        self.columns
    }

    fn path(&self, record: &Record, turn: usize) -> String {
        format!("/{}", if is_asked(record, turn) { self.prompt } else { self.completion })
    }
}
