//! One row of a source to one row of PromptSource's fields.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::spec::{Field, Form, Path, Scalar, Type};
use crate::reject::Reason;

/// Why a row does not fit, and what is said of it.
pub(super) type Misfit = (Reason, String);

/// The columns of a row: its own, and the groups that patterns found in them.
pub(super) struct Columns<'a> {
    pub(super) groups: Map<String, Value>,
    pub(super) row: &'a Map<String, Value>,
}

impl Columns<'_> {
    /// The value of a field.
    ///
    /// # Errors
    /// When a column is missing or null, or holds what the field's form has no place for.
    pub(super) fn value(&self, field: &Field) -> Result<Value, Misfit> {
        Ok(match field {
            Field::From(path, form) => {
                let found = self.find(path).ok_or_else(|| missing(&path.whole))?;
                form.of(found.into_owned(), &path.whole)?
            }
            Field::Object(fields) => {
                let fields = fields.iter().map(|(name, field)| Ok((name.clone(), self.value(field)?)));
                Value::Object(fields.collect::<Result<_, Misfit>>()?)
            }
            Field::List(fields) => {
                Value::Array(fields.iter().map(|field| self.value(field)).collect::<Result<_, _>>()?)
            }
            Field::Join(fields, with) => {
                let texts =
                    fields.iter().map(|field| self.value(field).and_then(|value| text("join", &value)));
                texts.collect::<Result<Vec<_>, _>>()?.join(with).into()
            }
        })
    }

    /// What stands where a path leads, none if that is nothing or null.
    pub(super) fn find(&self, path: &Path) -> Option<Cow<'_, Value>> {
        let column = |name: &str| self.groups.get(name).or_else(|| self.row.get(name));
        let found = match column(&path.whole) {
            Some(value) => Some(Cow::Borrowed(value)),
            None => follow(column(&path.parts[0])?, &path.parts[1..]),
        };
        found.filter(|value| !value.is_null())
    }
}

/// Goes into objects by key and into lists by number; another part goes into each of a list.
fn follow<'a>(value: &'a Value, parts: &[String]) -> Option<Cow<'a, Value>> {
    let Some((part, rest)) = parts.split_first() else { return Some(Cow::Borrowed(value)) };
    match value {
        Value::Object(object) => follow(object.get(part)?, rest),
        Value::Array(list) => match part.parse::<usize>() {
            Ok(at) => follow(list.get(at)?, rest),
            Err(_) => {
                let each = list.iter().map(|value| follow(value, parts).map(Cow::into_owned));
                Some(Cow::Owned(Value::Array(each.collect::<Option<_>>()?)))
            }
        },
        _ => None,
    }
}

impl Form {
    fn of(&self, value: Value, column: &str) -> Result<Value, Misfit> {
        if let Some(wanted) = &self.position_of {
            return position(wanted, self.key.as_deref(), &value, column);
        }
        if let Value::Array(values) = value {
            return values.into_iter().map(|value| self.of(value, column)).collect();
        }
        let value = match value {
            Value::String(text) if self.trim => text.trim().into(),
            value => value,
        };
        if let Some(values) = &self.values {
            let text = text(column, &value)?;
            let known = values.get(&text).ok_or_else(|| {
                let known: Vec<_> = values.keys().map(|known| format!("`{known}`")).collect();
                (Reason::UnknownValue, format!("`{column}` holds `{text}`, not one of {}", known.join(", ")))
            })?;
            return Ok(match known {
                Scalar::Bool(value) => (*value).into(),
                Scalar::Int(value) => (*value).into(),
                Scalar::Text(value) => value.as_str().into(),
            });
        }
        match self.to {
            None => Ok(value),
            Some(Type::Text) => text(column, &value).map(Value::String),
            Some(Type::Int) if value.is_i64() || value.is_u64() => Ok(value),
            Some(Type::Int) => {
                let text = text(column, &value)?;
                text.trim()
                    .parse::<i64>()
                    .map(Value::from)
                    .map_err(|_| (Reason::UnknownValue, format!("`{column}` holds `{text}`, not an integer")))
            }
        }
    }
}

/// Where in a list the one value stands that reads `wanted`, or the one object that has it under `key`,
/// from 0.
fn position(wanted: &str, key: Option<&str>, value: &Value, column: &str) -> Result<Value, Misfit> {
    let list = match value {
        Value::Array(list) => list.as_slice(),
        other => std::slice::from_ref(other),
    };
    let is_wanted = |value: &Value| {
        let value = key.map_or(Some(value), |key| value.get(key));
        value.and_then(|value| text(column, value).ok()).is_some_and(|text| text == wanted)
    };
    let mut found = list.iter().enumerate().filter(|(_, value)| is_wanted(value)).map(|(at, _)| at);
    match (found.next(), found.next()) {
        (Some(at), None) => Ok(at.into()),
        (first, _) => {
            let how_often = if first.is_none() { "never" } else { "more than once" };
            Err((Reason::UnknownValue, format!("`{wanted}` stands {how_often} in `{column}`")))
        }
    }
}

/// A value that is one text, a number or true or false, as text.
pub(super) fn text(column: &str, value: &Value) -> Result<String, Misfit> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        Value::Null => Err(missing(column)),
        Value::Array(_) | Value::Object(_) => {
            Err((Reason::NotText, format!("`{column}` holds a list or an object, where one value is needed")))
        }
    }
}

pub(super) fn missing(column: &str) -> Misfit {
    (Reason::MissingColumn, format!("there is no `{column}`"))
}
