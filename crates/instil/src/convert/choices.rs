//! axolotl's `explainchoice` and `concisechoice`: a question with a list of choices (spec/uit.md 7.8).

use std::sync::Arc;

use serde_json::{Map, Value};

use super::form::{Form, Kind, holds_text, is_asked};
use super::halves::{Halves, count_structure, unfit, wanted};
use super::keys::{At, Keys, Misfit, texts};
use super::loss::{Loss, Losses};
use super::record::{Record, Role, TaskPart, Turn};

/// A question, its choices and what is answered.
pub(super) struct Choices {
    /// The name of what is answered.
    pub(super) completion: &'static str,
}

const QUESTION: &str = "question";
const CHOICES: &str = "choices";

/// The question and below it a line for each choice.
fn asked(question: &str, choices: &[String]) -> String {
    let lines: Vec<String> = choices.iter().map(|choice| format!("- {choice}")).collect();
    format!("{question}\n\n{}", lines.join("\n"))
}

impl Form for Choices {
    fn read(&self, keys: &mut Keys<'_>) -> Result<Record, Misfit> {
        let question = keys.needed_text(QUESTION)?;
        let choices = texts(keys.needed(CHOICES)?, &At::Row.key(CHOICES))?;
        let completion = keys.needed_text(self.completion)?;
        let mut record = Record::of(vec![
            Turn::new(Role::User, asked(&question, &choices)),
            Turn::new(Role::Assistant, completion),
        ]);
        record.fields.insert(QUESTION.to_owned(), question);
        record.task = Some(Arc::new(TaskPart { allowed_outputs: choices, ..TaskPart::default() }));
        Ok(record)
    }

    fn write(&self, record: &Record, _: bool, losses: &mut Losses) -> Result<Map<String, Value>, Misfit> {
        let halves = Halves::of(record, losses);
        losses.add_if(halves.system.is_some(), Loss::System);
        let mut rest = record.clone();
        let choices = match &mut rest.task {
            Some(task) => std::mem::take(&mut Arc::make_mut(task).allowed_outputs),
            None => Vec::new(),
        };
        count_structure(&rest, losses);
        losses.add_if(record.fields.len() > 1, Loss::Fields);
        let prompt = wanted(halves.prompt(), "question", "a row of choices")?;
        let question = record.fields.get(QUESTION).filter(|question| asked(question, &choices) == prompt);
        let question = question.ok_or_else(|| unfit("question and choices don't stand apart"))?;
        let completion = wanted(halves.completion, "answer", "a row of choices")?;
        Ok(Map::from_iter([
            (QUESTION.to_owned(), question.as_str().into()),
            (CHOICES.to_owned(), choices.into()),
            (self.completion.to_owned(), completion.into()),
        ]))
    }

    fn fits(&self, row: &Map<String, Value>) -> bool {
        holds_text(row, QUESTION)
            && row.get(CHOICES).is_some_and(Value::is_array)
            && holds_text(row, self.completion)
    }

    fn why(&self) -> String {
        format!("`{QUESTION}` and `{}` are texts, beside a list `{CHOICES}`", self.completion)
    }

    fn kind(&self) -> Kind {
        Kind::Tuning
    }

    fn path(&self, record: &Record, turn: usize) -> String {
        format!("/{}", if is_asked(record, turn) { QUESTION } else { self.completion })
    }
}
