//! Any instruction dataset into any trainer's shape (spec/uit.md 7).
//!
//! A [`Shape`] is one way in which datasets are written: the keys of a row, what they hold and what they mean.
//! [`Shape::read`] makes [`Record`]s of a row and [`Shape::write`] makes a row of a record; every pair of shapes
//! goes through the record, and no shape knows another. What a shape can't carry is a [`Loss`], counted by kind;
//! what isn't of the shape is a [`Misfit`], with its place in the row.
//!
//! A row that is read and written as the same shape is the same JSON, but for the order of its keys. What a row
//! holds besides, under keys that the shape doesn't know, goes along to the same shape only: trainers break on
//! columns that they don't expect.
//!
//! ```
//! use instil::convert::Shape;
//! let row = serde_json::json!({"instruction": "Name a use.", "input": "A kettle.", "output": "Tea."});
//! let records = Shape::parse("alpaca")?.read(row.as_object().unwrap());
//! let written = Shape::parse("sharegpt")?.write(records[0].as_ref().unwrap()).unwrap();
//! assert_eq!(
//!     serde_json::to_string(&written.row).unwrap(),
//!     r#"{"conversations":[{"from":"human","value":"Name a use.\n\nA kettle."},{"from":"gpt","value":"Tea."}]}"#,
//! );
//! assert!(written.losses.is_empty());
//! # Ok::<(), instil::Error>(())
//! ```

mod json;
mod keys;
mod halves;
mod loss;
pub mod record;
mod form;
mod alpaca;
mod pair;
mod plain;
mod dialect;
mod chat;
mod chatml;
mod prompts;
mod steps;
mod answer_texts;
mod answer_messages;
mod tools;
mod segments;
mod task_file;
mod instructions;
mod p3;
mod choices;
mod creative;
mod ranked;
mod tokens;
mod harmony;
mod rendered;
mod tk_instruct;
mod shapes;
mod detect;
mod check;
pub mod supervise;
pub mod view;

use std::borrow::Cow;

use serde_json::{Map, Value};

pub use check::{Finding, Severity, check, first_error};
pub use detect::{Detected, LOOKED_AT, detect, shape_of};
pub use form::Kind;
pub use json::object;
pub use keys::Misfit;
pub use loss::{Loss, Losses};
pub use record::Record;
pub use shapes::SHAPES;
pub use tk_instruct::Encoder;

use crate::error::{Error, Result, nearest};
use form::{Form, TaskForm};
use keys::{At, Keys};
use record::{Preference, Ranked, Role, Step, Turn};

/// One way in which datasets are written.
pub struct Shape {
    /// Its name, as in `--to alpaca`.
    pub name: &'static str,
    /// The names that trainers and collections have for the same shape.
    pub also: &'static [&'static str],
    /// What it is, in one sentence.
    pub about: &'static str,
    form: Holds,
}

/// What a row holds.
enum Holds {
    /// One record.
    Record(&'static dyn Form),
    /// A task with all of its instances.
    Task(&'static dyn TaskForm),
}

/// A row that was written, and what it couldn't carry.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// The row.
    pub row: Map<String, Value>,
    /// What is not in it.
    pub losses: Losses,
    /// Where [`Loss::Extra`] is among the losses: the keys of the row that have no place.
    pub dropped: Vec<String>,
}

impl std::fmt::Debug for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Shape").field(&self.name).finish()
    }
}

impl PartialEq for Shape {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Shape {
    /// The shape of this name, its own or another's for it.
    ///
    /// # Errors
    /// When no shape has that name; the hint says the nearest one.
    pub fn parse(name: &str) -> Result<&'static Self> {
        SHAPES.iter().find(|shape| shape.name == name || shape.also.contains(&name)).ok_or_else(|| {
            let known = SHAPES.iter().flat_map(|shape| std::iter::once(&shape.name).chain(shape.also));
            let hint = match nearest(name, known.copied()) {
                Some(near) => format!("did you mean `{near}`? `instil list shapes` shows them all"),
                None => "`instil list shapes` shows them all".to_owned(),
            };
            Error::usage(format!("unknown shape `{name}`")).with_hint(hint)
        })
    }

    /// The records of a row: one, or of a task's file one for each instance.
    pub fn read(&self, row: &Map<String, Value>) -> Vec<std::result::Result<Record, Misfit>> {
        let mut read = match self.form {
            Holds::Record(form) => {
                let mut keys = Keys::of(row, At::Row);
                vec![form.read(&mut keys).map(|mut record| {
                    (record.extra, record.spelling) = keys.rest();
                    record
                })]
            }
            Holds::Task(form) => form.read(row),
        };
        for record in read.iter_mut().flatten() {
            record.read_as = Some(self.name.to_owned());
            if record.extra.get("id").is_some_and(Value::is_string)
                && let Some(Value::String(id)) = record.extra.shift_remove("id")
            {
                record.id = Some(id);
            }
        }
        read
    }

    /// The records that are written for this one: of two answers both, each with its label, where the shape
    /// labels single answers.
    pub fn parts(&self, record: Record) -> Vec<Record> {
        let (Kind::Label, Some(Preference::Pair { chosen, rejected })) = (self.kind(), &record.preference)
        else {
            return vec![record];
        };
        let labelled = |(answer, label): (&Vec<Turn>, bool)| Record {
            prompt: Some(record.turns.len()),
            turns: [record.turns.as_slice(), answer].concat(),
            preference: Some(Preference::Label(label)),
            ..record.clone()
        };
        [(chosen, true), (rejected, false)].map(labelled).into()
    }

    /// The row of a record.
    ///
    /// # Errors
    /// When the record lacks what the shape can't do without, or holds what would change its structure.
    pub fn write(&self, record: &Record) -> std::result::Result<Written, Misfit> {
        let is_same = self.is_of(record);
        let mut losses = Losses::default();
        let form = match self.form {
            Holds::Record(form) => form,
            Holds::Task(_) => return self.write_task(std::slice::from_ref(record)),
        };
        let suited = if is_same { Cow::Borrowed(record) } else { suited(form.kind(), record, &mut losses)? };
        let mut row = form.write(&suited, is_same, &mut losses)?;
        let mut dropped = Vec::new();
        if is_same {
            keys::lay_over(&mut row, &record.extra);
            keys::lay_over(&mut row, &record.spelling);
        } else {
            losses.add_if(!record.extra.is_empty(), Loss::Extra);
            dropped.extend(record.extra.keys().cloned());
        }
        match &record.id {
            Some(id) if is_same || self.name == "sharegpt" => {
                row.insert("id".to_owned(), id.as_str().into());
            }
            Some(_) => losses.add(Loss::Id),
            None => {}
        }
        Ok(Written { row, losses, dropped })
    }

    /// The row of a task with these records as its instances; of a shape that has a row for each record, that of
    /// the first.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    ///
    /// # Panics
    /// When there is no record.
    pub fn write_task(&self, records: &[Record]) -> std::result::Result<Written, Misfit> {
        let Holds::Task(form) = self.form else { return self.write(&records[0]) };
        let mut losses = Losses::default();
        let is_same = self.is_of(&records[0]);
        let suited: Vec<Record> = records
            .iter()
            .map(|record| suited(Kind::Tuning, record, &mut losses).map(Cow::into_owned))
            .collect::<std::result::Result<_, _>>()?;
        let row = form.write(&suited, is_same, &mut losses)?;
        Ok(Written { row, losses, dropped: Vec::new() })
    }

    /// Whether a row holds a task with all of its instances.
    pub fn is_task(&self) -> bool {
        self.instances().is_some()
    }

    /// The key of the instances, where a row holds a task with all of them.
    pub fn instances(&self) -> Option<&'static str> {
        match self.form {
            Holds::Task(form) => Some(form.instances()),
            Holds::Record(_) => None,
        }
    }

    /// Whether a row has the keys of this shape.
    pub fn fits(&self, row: &Map<String, Value>) -> bool {
        match self.form {
            Holds::Record(form) => form.fits(row),
            Holds::Task(form) => form.fits(row),
        }
    }

    /// What a row of it has, in words: `` `conversations` is a list of `from` and `value` ``.
    pub fn why(&self) -> String {
        match self.form {
            Holds::Record(form) => form.why(),
            Holds::Task(form) => form.why(),
        }
    }

    /// What its rows are for.
    pub fn kind(&self) -> Kind {
        match self.form {
            Holds::Record(form) => form.kind(),
            Holds::Task(_) => Kind::Tuning,
        }
    }

    /// The names of its columns where each is a text, so that rows fit a table; none where they nest.
    pub fn columns(&self) -> &'static [&'static str] {
        match self.form {
            Holds::Record(form) => form.columns(),
            Holds::Task(_) => &[],
        }
    }

    /// The JSON pointer of a turn's content in a row.
    fn path(&self, record: &Record, turn: usize) -> String {
        match self.form {
            Holds::Record(form) => form.path(record, turn),
            Holds::Task(form) => format!("/{}", form.instances()),
        }
    }

    fn is_of(&self, record: &Record) -> bool {
        record.read_as.as_deref() == Some(self.name)
    }
}

/// The record as rows of this kind have it: a preference becomes its better answer where answers have no rank.
fn suited<'a>(
    kind: Kind,
    record: &'a Record,
    losses: &mut Losses,
) -> std::result::Result<Cow<'a, Record>, Misfit> {
    // The one shape whose turns are spans of a text.
    if record.read_as.as_deref() == Some("segments")
        && !matches!(record.turns.as_slice(), [a, b] if a.role == Role::User && b.role == Role::Assistant)
    {
        return Err(halves::unfit(
            "segments are spans of one text, and only two of them are prompt and completion",
        ));
    }
    if record.read_as.as_deref() == Some("tokens") {
        return Err(halves::unfit("tokens are no text; convert the set that they were made of"));
    }
    let Some(preference) = &record.preference else { return Ok(Cow::Borrowed(record)) };
    let mut plain = Record { preference: None, ..record.clone() };
    let answer = |text: String| Turn::new(Role::Assistant, text);
    match (kind, preference) {
        (Kind::Pair, Preference::Pair { .. })
        | (Kind::Label, Preference::Label(_))
        | (Kind::Steps, Preference::Steps(_))
        | (Kind::Ranked, Preference::Ranked(_) | Preference::Pair { .. }) => {
            return Ok(Cow::Borrowed(record));
        }
        (Kind::Pair, Preference::Ranked(answers)) => {
            let (best, worst) = extremes(answers)?;
            losses.add_if(answers.len() > 2, Loss::Ranks);
            plain.preference = Some(Preference::Pair {
                chosen: vec![answer(best.text.clone())],
                rejected: vec![answer(worst.text.clone())],
            });
        }
        (Kind::Label, Preference::Steps(steps)) => {
            losses.add(Loss::Label);
            plain.turns.push(answer(joined(steps)));
            plain.preference = Some(Preference::Label(steps.iter().all(|step| step.label)));
        }
        (Kind::Pair | Kind::Label | Kind::Steps | Kind::Ranked, _) => {
            return Err(halves::unfit("it has another kind of preference than the shape"));
        }
        (_, Preference::Pair { chosen, .. }) => {
            losses.add(Loss::Rejected);
            plain.prompt = Some(plain.turns.len());
            plain.turns.extend(chosen.iter().cloned());
        }
        (_, Preference::Ranked(answers)) => {
            losses.add(Loss::Rejected);
            plain.turns.push(answer(extremes(answers)?.0.text.clone()));
        }
        (_, Preference::Label(is_good)) => {
            losses.add(Loss::Label);
            if !is_good && kind != Kind::Prompt {
                return Err(halves::unfit("the answer is labelled as a bad one"));
            }
        }
        (_, Preference::Steps(steps)) => {
            losses.add(Loss::Label);
            if kind != Kind::Prompt && steps.iter().any(|step| !step.label) {
                return Err(halves::unfit("a step of the answer is labelled as wrong"));
            }
            plain.turns.push(answer(joined(steps)));
        }
    }
    Ok(Cow::Owned(plain))
}

/// The steps of an answer as one text.
fn joined(steps: &[Step]) -> String {
    steps.iter().map(|step| step.text.as_str()).collect()
}

/// The best and the worst of ranked answers.
fn extremes(answers: &[Ranked]) -> std::result::Result<(&Ranked, &Ranked), Misfit> {
    Preference::extremes(answers).ok_or_else(|| halves::unfit("no answer is ranked before another"))
}

#[cfg(test)]
mod acceptance;
#[cfg(test)]
mod tests;
