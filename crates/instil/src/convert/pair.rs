//! Two texts, what is given and what is to be learnt, under many pairs of names (spec/uit.md 7.6 to 7.8).

use std::sync::Arc;

use serde_json::{Map, Value};

use super::form::{Form, Kind, holds_bool, holds_text, is_asked, texts};
use super::halves::{Halves, count_fields, count_structure, label_of, split_before, unfit, wanted};
use super::keys::{Keys, Misfit};
use super::loss::{Loss, Losses};
use super::record::{Preference, Record, Role, TaskPart, Turn};

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
    /// The name of the boolean that says whether the completion is good.
    pub(super) label: Option<&'static str>,
    /// The names of structured slots; a row of the shape has all of them.
    pub(super) fields: &'static [&'static str],
    /// The names of all columns but the label, in order.
    pub(super) columns: &'static [&'static str],
}

impl Pair {
    /// Prompt and completion and nothing else.
    pub(super) const BARE: Self = Self {
        prompt: "prompt",
        completion: "completion",
        system: None,
        before: None,
        definition: None,
        label: None,
        fields: &[],
        columns: &["prompt", "completion"],
    };
}

impl Form for Pair {
    fn read(&self, keys: &mut Keys<'_>) -> Result<Record, Misfit> {
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
            record.task = Some(Arc::new(TaskPart::of(keys.needed_text(definition)?)));
        }
        if let Some(label) = self.label {
            record.preference = Some(Preference::Label(keys.needed_bool(label)?));
        }
        for name in self.fields {
            record.fields.insert((*name).to_owned(), keys.needed_text(name)?);
        }
        Ok(record)
    }

    fn write(
        &self,
        record: &Record,
        is_same: bool,
        losses: &mut Losses,
    ) -> Result<Map<String, Value>, Misfit> {
        let mut halves = Halves::of(record, losses);
        count_structure(record, losses);
        let prompt = match (self.definition, &halves.definition) {
            (Some(_), None) => return Err(unfit("there is no definition of a task")),
            (Some(_), Some(_)) => halves.input.clone().unwrap_or_default(),
            (None, _) => wanted(halves.prompt(), "prompt", "a pair of prompt and completion")?,
        };
        let (prompt, before) = split_before(record, self.before, prompt)?;
        let completion = wanted(halves.completion, "completion", "a pair of prompt and completion")?;
        let has_place = |name: &str| self.fields.contains(&name) || self.before == Some(name);
        if !record.fields.keys().all(|name| has_place(name)) {
            count_fields(record, losses);
        }
        let mut row = Map::with_capacity(self.columns.len() + 1);
        for column in self.columns {
            let value = if *column == self.prompt {
                prompt.clone()
            } else if *column == self.completion {
                completion.clone()
            } else if Some(*column) == self.before {
                before.clone()
            } else if Some(*column) == self.definition {
                halves.definition.take().unwrap_or_default()
            } else if Some(*column) == self.system {
                match halves.system.take() {
                    Some(system) => system,
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
        losses.add_if(halves.system.is_some(), Loss::System);
        if let Some(label) = self.label {
            row.insert(label.to_owned(), label_of(record)?);
        }
        Ok(row)
    }

    fn fits(&self, row: &Map<String, Value>) -> bool {
        // A label tells enough; without one, standing instructions tell the shape apart from simpler ones.
        let needs_system = self.label.is_none() || self.prompt == "prompt";
        holds_text(row, self.prompt)
            && holds_text(row, self.completion)
            && self.label.is_none_or(|label| holds_bool(row, label))
            && self.before.is_none_or(|before| holds_text(row, before))
            && self.definition.is_none_or(|definition| holds_text(row, definition))
            && self.fields.iter().all(|name| row.contains_key(*name))
            && self.system.is_none_or(|system| !needs_system || holds_text(row, system))
    }

    fn why(&self) -> String {
        match self.label {
            Some(label) => format!("{}, and `{label}` is a boolean", texts(&[self.prompt, self.completion])),
            None => texts(self.columns),
        }
    }

    fn kind(&self) -> Kind {
        if self.label.is_some() { Kind::Label } else { Kind::Tuning }
    }

    fn columns(&self) -> &'static [&'static str] {
        if self.label.is_some() { &[] } else { self.columns }
    }

    fn path(&self, record: &Record, turn: usize) -> String {
        format!("/{}", if is_asked(record, turn) { self.prompt } else { self.completion })
    }
}
