//! The keys of an object, taken one by one; what nobody asked for is what has no place.

use std::fmt;

use serde_json::{Map, Value};

use crate::reject::Reason;

/// Why a row is not of the shape that it is read as, or can't be written in the one that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// The word for it.
    pub reason: Reason,
    /// Where in the row: a JSON pointer (RFC 6901); empty for the row itself.
    pub path: String,
    /// What is there and what should be.
    pub message: String,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.path, self.message)
        }
    }
}

/// A place in a row, written down only where it is needed.
#[derive(Clone, Copy)]
pub(super) enum At<'a> {
    Row,
    Key(&'a At<'a>, &'a str),
    Index(&'a At<'a>, usize),
}

impl At<'_> {
    pub(super) fn key<'a>(&'a self, key: &'a str) -> At<'a> {
        At::Key(self, key)
    }

    pub(super) fn index(&self, index: usize) -> At<'_> {
        At::Index(self, index)
    }

    pub(super) fn misfit(&self, reason: Reason, message: impl Into<String>) -> Misfit {
        Misfit { reason, path: self.to_string(), message: message.into() }
    }

    pub(super) fn wrong_type(&self, wanted: &str, found: &Value) -> Misfit {
        match found {
            Value::Null => self.misfit(Reason::NullValue, format!("it is null and should be {wanted}")),
            found => {
                self.misfit(Reason::WrongType, format!("it is {} and should be {wanted}", kind_of(found)))
            }
        }
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            At::Row => Ok(()),
            At::Key(before, key) => write!(f, "{before}/{}", key.replace('~', "~0").replace('/', "~1")),
            At::Index(before, index) => write!(f, "{before}/{index}"),
        }
    }
}

/// What a value is, with its article.
pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// An object whose keys are taken one by one.
pub(super) struct Keys<'a> {
    object: &'a Map<String, Value>,
    at: At<'a>,
    taken: Vec<&'a str>,
    spelling: Map<String, Value>,
    kept: Map<String, Value>,
}

impl<'a> Keys<'a> {
    pub(super) fn of(object: &'a Map<String, Value>, at: At<'a>) -> Self {
        Self { object, at, taken: Vec::with_capacity(8), spelling: Map::new(), kept: Map::new() }
    }

    /// The keys of a value that has to be an object.
    pub(super) fn of_value(value: &'a Value, at: At<'a>) -> Result<Self, Misfit> {
        match value {
            Value::Object(object) => Ok(Self::of(object, at)),
            other => Err(at.wrong_type("an object", other)),
        }
    }

    pub(super) fn at(&self) -> At<'a> {
        self.at
    }

    /// A value that is not null; a null is remembered as a spelling.
    pub(super) fn value(&mut self, key: &'a str) -> Option<&'a Value> {
        let value = self.object.get(key)?;
        if !self.taken.contains(&key) {
            self.taken.push(key);
        }
        if value.is_null() {
            self.spell(key, Value::Null);
            return None;
        }
        Some(value)
    }

    /// Whether a key is there and null.
    pub(super) fn is_null(&self, key: &str) -> bool {
        self.object.get(key).is_some_and(Value::is_null)
    }

    /// A value that must be there and not be null.
    pub(super) fn needed(&mut self, key: &'a str) -> Result<&'a Value, Misfit> {
        if let Some(value) = self.value(key) {
            return Ok(value);
        }
        let at = self.at;
        Err(match self.object.get(key) {
            Some(_) => at.key(key).misfit(Reason::NullValue, "it is null"),
            None => at.misfit(Reason::MissingKey, format!("there is no `{key}`")),
        })
    }

    /// A text, where there is one.
    pub(super) fn text(&mut self, key: &'a str) -> Result<Option<String>, Misfit> {
        let at = self.at;
        self.value(key).map(|value| text(value, &at.key(key))).transpose()
    }

    pub(super) fn needed_text(&mut self, key: &'a str) -> Result<String, Misfit> {
        let at = self.at;
        text(self.needed(key)?, &at.key(key))
    }

    /// A boolean that must be there.
    pub(super) fn needed_bool(&mut self, key: &'a str) -> Result<bool, Misfit> {
        let at = self.at;
        let value = self.needed(key)?;
        value.as_bool().ok_or_else(|| at.key(key).wrong_type("a boolean", value))
    }

    /// Keeps something under a key as what has no place.
    pub(super) fn keep(&mut self, key: &str, value: Value) {
        self.kept.insert(key.to_owned(), value);
    }

    /// Remembers how a known key was written.
    pub(super) fn spell(&mut self, key: &str, value: Value) {
        self.spelling.insert(key.to_owned(), value);
    }

    /// Gives a key back: it has no place after all.
    pub(super) fn leave(&mut self, key: &str) {
        self.taken.retain(|taken| *taken != key);
        self.spelling.remove(key);
    }

    /// The keys that nobody took, and the spellings of those that were.
    pub(super) fn rest(self) -> (Map<String, Value>, Map<String, Value>) {
        let mut extra = self.kept;
        if self.taken.len() < self.object.len() {
            for (key, value) in self.object {
                if !self.taken.contains(&key.as_str()) {
                    extra.insert(key.clone(), value.clone());
                }
            }
        }
        (extra, self.spelling)
    }
}

/// A value that has to be a text.
pub(super) fn text(value: &Value, at: &At<'_>) -> Result<String, Misfit> {
    match value {
        Value::String(text) => Ok(text.clone()),
        other => Err(at.wrong_type("a string", other)),
    }
}

/// A value that has to be a list.
pub(super) fn list<'a>(value: &'a Value, at: &At<'_>) -> Result<&'a [Value], Misfit> {
    match value {
        Value::Array(list) => Ok(list),
        other => Err(at.wrong_type("a list", other)),
    }
}

/// A list of texts.
pub(super) fn texts(value: &Value, at: &At<'_>) -> Result<Vec<String>, Misfit> {
    list(value, at)?.iter().enumerate().map(|(index, value)| text(value, &at.index(index))).collect()
}

/// Puts what was read besides over what is written, objects key by key.
pub(super) fn lay_over(object: &mut Map<String, Value>, more: &Map<String, Value>) {
    for (key, value) in more {
        match (object.get_mut(key), value) {
            (Some(Value::Object(below)), Value::Object(above)) => lay_over(below, above),
            _ => {
                object.insert(key.clone(), value.clone());
            }
        }
    }
}
