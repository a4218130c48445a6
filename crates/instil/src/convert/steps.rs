//! TRL's stepwise supervision (spec/uit.md 7.7).

use serde_json::{Map, Value};

use super::form::{Form, Kind, holds_text, is_asked};
use super::halves::{Halves, unfit, wanted};
use super::keys::{At, Keys, Misfit, list, texts};
use super::loss::Losses;
use super::record::{Preference, Record, Role, Step, Turn};
use crate::reject::Reason;

/// Prompt, steps of an answer and whether each is right.
pub(super) struct Stepwise;

impl Form for Stepwise {
    fn read(&self, keys: &mut Keys<'_>) -> Result<Record, Misfit> {
        let mut record = Record::of(vec![Turn::new(Role::User, keys.needed_text("prompt")?)]);
        record.prompt = Some(1);
        let steps = texts(keys.needed("completions")?, &At::Row.key("completions"))?;
        let at = At::Row;
        let at = at.key("labels");
        let labels = list(keys.needed("labels")?, &at)?;
        if labels.len() != steps.len() {
            let message = format!("{} labels for {} completions", labels.len(), steps.len());
            return Err(at.misfit(Reason::LengthMismatch, message));
        }
        let steps = steps.into_iter().zip(labels).enumerate().map(|(index, (text, label))| {
            let label = label.as_bool().ok_or_else(|| at.index(index).wrong_type("a boolean", label))?;
            Ok(Step { text, label })
        });
        record.preference = Some(Preference::Steps(steps.collect::<Result<_, Misfit>>()?));
        Ok(record)
    }

    fn write(&self, record: &Record, _: bool, losses: &mut Losses) -> Result<Map<String, Value>, Misfit> {
        let Some(Preference::Steps(steps)) = &record.preference else {
            return Err(unfit("there are no labelled steps"));
        };
        let halves = Halves::without_system(record, losses);
        let prompt = wanted(halves.prompt(), "prompt", "a row of steps")?;
        Ok(Map::from_iter([
            ("prompt".to_owned(), prompt.into()),
            ("completions".to_owned(), steps.iter().map(|step| step.text.as_str()).collect()),
            ("labels".to_owned(), steps.iter().map(|step| step.label).collect()),
        ]))
    }

    fn fits(&self, row: &Map<String, Value>) -> bool {
        holds_text(row, "prompt")
            && row.get("completions").is_some_and(Value::is_array)
            && row.get("labels").is_some_and(Value::is_array)
    }

    fn why(&self) -> String {
        "`completions` and `labels` are lists".to_owned()
    }

    fn kind(&self) -> Kind {
        Kind::Steps
    }

    fn path(&self, record: &Record, turn: usize) -> String {
        if is_asked(record, turn) { "/prompt" } else { "/completions" }.to_owned()
    }
}
