//! P3: templates of PromptSource as they were rendered (spec/uit.md 1.3b).

use std::sync::Arc;

use serde_json::{Map, Value};

use super::form::{Form, Kind, holds_text, is_asked, texts};
use super::halves::{Halves, count_fields, count_structure, wanted};
use super::keys::{At, Keys, Misfit, texts as list_of_texts};
use super::loss::{Loss, Losses};
use super::record::{Preference, Record, Role, TaskPart, Turn};

const COLUMNS: &[&str] = &["inputs_pretokenized", "targets_pretokenized"];
const CHOICES: &str = "answer_choices";
/// Of rank classification: whether the target is the right one among the choices.
const IS_CORRECT: &str = "is_correct";

/// Prompt and target as texts, with the choices there were.
pub(super) struct P3;

impl Form for P3 {
    fn read(&self, keys: &mut Keys<'_>) -> Result<Record, Misfit> {
        let prompt = keys.needed_text(COLUMNS[0])?;
        let target = keys.needed_text(COLUMNS[1])?;
        // Line ends around a target are left over from its template.
        let completion = target.trim();
        let mut record =
            Record::of(vec![Turn::new(Role::User, prompt), Turn::new(Role::Assistant, completion)]);
        if completion != target {
            keys.spell(COLUMNS[1], target.into());
        }
        if let Some(choices) = keys.value(CHOICES) {
            let allowed_outputs = list_of_texts(choices, &At::Row.key(CHOICES))?;
            if allowed_outputs.is_empty() {
                keys.spell(CHOICES, choices.clone());
            } else {
                record.task = Some(Arc::new(TaskPart { allowed_outputs, ..TaskPart::default() }));
            }
        }
        if keys.value(IS_CORRECT).is_some() {
            record.preference = Some(Preference::Label(keys.needed_bool(IS_CORRECT)?));
        }
        Ok(record)
    }

    fn write(&self, record: &Record, _: bool, losses: &mut Losses) -> Result<Map<String, Value>, Misfit> {
        let halves = Halves::of(record, losses);
        losses.add_if(halves.system.is_some(), Loss::System);
        count_fields(record, losses);
        let choices = record.task.as_deref().map_or(&[][..], |task| &task.allowed_outputs);
        // Of the task the outputs there are have a place.
        let mut rest = record.clone();
        if let Some(task) = &mut rest.task {
            Arc::make_mut(task).allowed_outputs.clear();
        }
        count_structure(&rest, losses);
        let prompt = wanted(halves.prompt(), "prompt", "a rendered template")?;
        let completion = wanted(halves.completion, "target", "a rendered template")?;
        let mut row = Map::with_capacity(4);
        row.insert(COLUMNS[0].to_owned(), prompt.into());
        row.insert(COLUMNS[1].to_owned(), completion.into());
        if !choices.is_empty() {
            row.insert(CHOICES.to_owned(), choices.into());
        }
        if let Some(Preference::Label(is_correct)) = record.preference {
            row.insert(IS_CORRECT.to_owned(), is_correct.into());
        }
        Ok(row)
    }

    fn fits(&self, row: &Map<String, Value>) -> bool {
        COLUMNS.iter().all(|column| holds_text(row, column))
    }

    fn why(&self) -> String {
        texts(COLUMNS)
    }

    fn kind(&self) -> Kind {
        Kind::Tuning
    }

    fn columns(&self) -> &'static [&'static str] {
        COLUMNS
    }

    fn path(&self, record: &Record, turn: usize) -> String {
        format!("/{}", COLUMNS[usize::from(!is_asked(record, turn))])
    }
}
