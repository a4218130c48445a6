//! The names that a template sees while it is rendered: the row's fields, the answer choices, and where
//! its random draws come from.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use minijinja::value::{Enumerator, Object};
use minijinja::{Error, State, Value};

use super::values::{copy, wrong};
use crate::rng::seed_of;

/// The name of the list of answers.
pub(super) const CHOICES: &str = "answer_choices";
/// The name of the [`Root`] itself, which no template can write.
const ROOT: &str = "\0root";

/// The fields of a row, the short names first: most names are told apart by their lengths.
#[derive(Debug, Default)]
pub(super) struct Row(Vec<(Box<str>, Value)>);

impl FromIterator<(Box<str>, Value)> for Row {
    fn from_iter<I: IntoIterator<Item = (Box<str>, Value)>>(fields: I) -> Self {
        let mut fields: Vec<_> = fields.into_iter().collect();
        fields.sort_unstable_by(|(a, _), (b, _)| (a.len(), a).cmp(&(b.len(), b)));
        Self(fields)
    }
}

impl Row {
    /// The field of this name.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        let place = self.0.binary_search_by(|(own, _)| (own.len(), &**own).cmp(&(name.len(), name)));
        place.ok().map(|at| &self.0[at].1)
    }
}

/// Where draws come from.
#[derive(Clone, Debug)]
pub(super) enum Draws {
    /// From a seed, and how many there were.
    Seeded(u64, u64),
    /// In this order, how many were taken, and among how many the one is that isn't there.
    Given(Vec<usize>, usize, Option<usize>),
}

impl Draws {
    /// The index of one of `n`.
    ///
    /// # Errors
    /// When it was to be given and isn't there, or isn't below `n`.
    pub(super) fn draw(&mut self, n: usize) -> Result<usize, Error> {
        match self {
            Self::Seeded(seed, count) => {
                let random = seed_of(*seed, &["draw", &count.to_string()]);
                *count += 1;
                let scaled = (u128::from(random) * n as u128) >> 64;
                usize::try_from(scaled).map_err(|_| wrong("too many to draw from"))
            }
            Self::Given(given, taken, missing) => match given.get(*taken) {
                Some(index) => {
                    *taken += 1;
                    Ok(*index)
                }
                None => {
                    *missing = Some(n);
                    Err(wrong("a draw is missing"))
                }
            },
        }
    }
}

/// The names of one rendering.
#[derive(Debug)]
pub(super) struct Root {
    pub(super) row: Arc<Row>,
    /// `None` while the answers themselves are rendered.
    pub(super) choices: Option<Value>,
    pub(super) draws: Mutex<Draws>,
    /// What was drawn from constants, before anything else.
    pub(super) fixed: Vec<usize>,
    /// Copies of the fields that were looked up, where the template changes lists or dictionaries.
    pub(super) copies: Option<Mutex<HashMap<Box<str>, Value>>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Root {
    pub(super) fn draws(&self) -> MutexGuard<'_, Draws> {
        locked(&self.draws)
    }
}

impl Object for Root {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        if key == CHOICES
            && let Some(choices) = &self.choices
        {
            return Some(choices.clone());
        }
        let Some(value) = self.row.get(key) else {
            return (key == ROOT).then(|| Value::from_dyn_object(Arc::clone(self)));
        };
        match &self.copies {
            Some(copies) if value.as_object().is_some() => {
                let mut copies = locked(copies);
                if let Some(copied) = copies.get(key) {
                    return Some(copied.clone());
                }
                let copied = copy(value, 0).ok()?;
                copies.insert(key.into(), copied.clone());
                Some(copied)
            }
            _ => Some(value.clone()),
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::NonEnumerable
    }
}

/// The index of one of `n`, drawn for the rendering that `state` belongs to.
///
/// # Errors
/// When there is nothing to draw from.
pub(super) fn draw(state: &State<'_, '_>, n: usize) -> Result<usize, Error> {
    of(state, |root| {
        let index = root.draws().draw(n)?;
        if index < n { Ok(index) } else { Err(wrong(format!("draw {index} of {n}"))) }
    })
}

/// The index that was drawn from the constant of this number.
///
/// # Errors
/// When there is none.
pub(super) fn chosen(state: &State<'_, '_>, number: usize) -> Result<usize, Error> {
    of(state, |root| root.fixed.get(number).copied().ok_or_else(|| wrong("nothing was drawn here")))
}

fn of<T>(state: &State<'_, '_>, ask: impl FnOnce(&Root) -> Result<T, Error>) -> Result<T, Error> {
    let root = state.lookup(ROOT).ok_or_else(|| wrong("there is no source of chance here"))?;
    ask(root.downcast_object_ref::<Root>().ok_or_else(|| wrong("there is no source of chance here"))?)
}
