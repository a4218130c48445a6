//! axolotl's `creative_acr`: an answer that is criticised, and then revised (spec/uit.md 7.8).
//!
//! Scores and critiques are objects; in a conversation they are one JSON text.

use serde_json::{Map, Value, json};

use super::form::{Form, Kind, holds_text, is_asked};
use super::halves::{Halves, count_structure, unfit, wanted};
use super::keys::{Keys, Misfit};
use super::loss::{Loss, Losses};
use super::record::{Record, Role, Turn};

/// An instruction, an answer and what is said of it.
pub(super) struct Creative {
    /// Whether the revision is to be learnt, else the critique.
    pub(super) has_revision: bool,
}

const FIELDS: [&str; 2] = ["instruction", "answer"];
const EVALUATION: &str = "evaluation";

impl Creative {
    /// What is asked, made of the slots; none where one is missing.
    fn asked(&self, record: &Record) -> Option<String> {
        let names = FIELDS.into_iter().chain(self.has_revision.then_some(EVALUATION));
        let texts: Option<Vec<&str>> =
            names.map(|name| record.fields.get(name).map(String::as_str)).collect();
        Some(texts?.join("\n\n"))
    }
}

impl Form for Creative {
    fn read(&self, keys: &mut Keys<'_>) -> Result<Record, Misfit> {
        let mut record = Record::default();
        for name in FIELDS {
            record.fields.insert(name.to_owned(), keys.needed_text(name)?);
        }
        let (scores, critiques) = (keys.needed("scores")?.clone(), keys.needed("critiques")?.clone());
        let evaluation = json!({"scores": scores, "critiques": critiques}).to_string();
        let completion = if self.has_revision {
            record.fields.insert(EVALUATION.to_owned(), evaluation);
            keys.needed_text("revision")?
        } else {
            evaluation
        };
        let asked = self.asked(&record).unwrap_or_default();
        record.turns = vec![Turn::new(Role::User, asked), Turn::new(Role::Assistant, completion)];
        Ok(record)
    }

    fn write(&self, record: &Record, _: bool, losses: &mut Losses) -> Result<Map<String, Value>, Misfit> {
        let halves = Halves::of(record, losses);
        losses.add_if(halves.system.is_some(), Loss::System);
        count_structure(record, losses);
        losses.add_if(record.fields.len() > FIELDS.len() + usize::from(self.has_revision), Loss::Fields);
        let is_whole = halves.prompt().is_some_and(|prompt| self.asked(record) == Some(prompt));
        if !is_whole {
            return Err(unfit("instruction and answer don't stand apart"));
        }
        let completion = wanted(halves.completion, "completion", "a critique")?;
        let evaluation = if self.has_revision { &record.fields[EVALUATION] } else { &completion };
        let evaluation: Value = serde_json::from_str(evaluation).unwrap_or_default();
        let (Some(scores), Some(critiques)) = (evaluation.get("scores"), evaluation.get("critiques")) else {
            return Err(unfit("there are no scores and critiques as JSON"));
        };
        let mut row = Map::with_capacity(5);
        for name in FIELDS {
            row.insert(name.to_owned(), record.fields[name].as_str().into());
        }
        row.insert("scores".to_owned(), scores.clone());
        row.insert("critiques".to_owned(), critiques.clone());
        if self.has_revision {
            row.insert("revision".to_owned(), completion.into());
        }
        Ok(row)
    }

    fn fits(&self, row: &Map<String, Value>) -> bool {
        FIELDS.iter().all(|name| holds_text(row, name))
            && row.contains_key("scores")
            && row.contains_key("critiques")
            && (!self.has_revision || holds_text(row, "revision"))
    }

    fn why(&self) -> String {
        let besides = if self.has_revision { " and a text `revision`" } else { "" };
        format!("`instruction` and `answer` are texts, beside `scores`, `critiques`{besides}")
    }

    fn kind(&self) -> Kind {
        Kind::Tuning
    }

    fn path(&self, record: &Record, turn: usize) -> String {
        match (is_asked(record, turn), self.has_revision) {
            (true, _) => "/instruction",
            (false, true) => "/revision",
            (false, false) => "/critiques",
        }
        .to_owned()
    }
}
