//! The two columns of a JSON object that are needed, without building the rest of it.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::column::{Columns, Holds};

/// What the text column holds in one row.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) enum Cell {
    /// The row does not have it.
    #[default]
    Missing,
    /// Something else than a string.
    NotText,
    /// A string.
    Text(String),
}

/// What is needed of one row.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Row {
    /// The text column.
    pub(super) text: Cell,
    /// The id column, where it holds a string that is not empty, or an integer.
    pub(super) id: Option<String>,
}

impl Row {
    /// Reads a JSON object.
    ///
    /// # Errors
    /// When `json` is anything else.
    pub(super) fn parse(json: &str, columns: &Columns) -> serde_json::Result<Self> {
        let mut deserializer = serde_json::Deserializer::from_str(json);
        let row = PickRow(columns).deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(row)
    }
}

/// The columns of a JSON object and what each holds.
///
/// # Errors
/// When `json` is anything else.
pub(super) fn columns_of(json: &str) -> serde_json::Result<Vec<(String, Holds)>> {
    match serde_json::from_str(json)? {
        Value::Object(map) => Ok(map
            .into_iter()
            .map(|(name, value)| {
                let holds = match value {
                    Value::String(_) => Holds::Text,
                    Value::Null => Holds::Null,
                    _ => Holds::Other,
                };
                (name, holds)
            })
            .collect()),
        _ => Err(serde_json::Error::custom("it is JSON, but not an object")),
    }
}

struct PickRow<'a>(&'a Columns);

impl<'de> DeserializeSeed<'de> for PickRow<'_> {
    type Value = Row;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Row, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for PickRow<'_> {
    type Value = Row;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Row, A::Error> {
        let mut row = Row::default();
        while let Some(key) = map.next_key_seed(PickKey(self.0))? {
            match key {
                Key::Text => row.text = map.next_value_seed(PickCell)?.into(),
                Key::Id => row.id = map.next_value_seed(PickCell)?.into_id(),
                Key::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(row)
    }
}

enum Key {
    Text,
    Id,
    Other,
}

struct PickKey<'a>(&'a Columns);

impl<'de> DeserializeSeed<'de> for PickKey<'_> {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for PickKey<'_> {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Key, E> {
        Ok(if key == self.0.text {
            Key::Text
        } else if key == self.0.id {
            Key::Id
        } else {
            Key::Other
        })
    }
}

/// Any JSON value, as far as a text or an id may be made of it.
enum Picked {
    String(String),
    Integer(String),
    Other,
}

impl Picked {
    fn into_id(self) -> Option<String> {
        match self {
            Self::String(id) | Self::Integer(id) => Some(id).filter(|id| !id.is_empty()),
            Self::Other => None,
        }
    }
}

impl From<Picked> for Cell {
    fn from(picked: Picked) -> Self {
        match picked {
            Picked::String(text) => Self::Text(text),
            Picked::Integer(_) | Picked::Other => Self::NotText,
        }
    }
}

struct PickCell;

impl<'de> DeserializeSeed<'de> for PickCell {
    type Value = Picked;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Picked, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for PickCell {
    type Value = Picked;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Picked, E> {
        Ok(Picked::String(text.to_owned()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Picked, E> {
        Ok(Picked::Integer(number.to_string()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Picked, E> {
        Ok(Picked::Integer(number.to_string()))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Picked, E> {
        Ok(Picked::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Picked, E> {
        Ok(Picked::Other)
    }

    fn visit_unit<E>(self) -> Result<Picked, E> {
        Ok(Picked::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Picked, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Picked::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Picked, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Picked::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> serde_json::Result<Row> {
        Row::parse(json, &Columns { text: "text".to_owned(), id: "id".to_owned() })
    }

    #[test]
    fn the_two_columns_are_picked_out_of_anything() {
        let row = parse(r#"{"a": {"text": [1, {}]}, "te\u0078t": "x\ny\u00e9", "id": 7, "b": 1e9}"#).unwrap();
        assert_eq!(row, Row { text: Cell::Text("x\nyé".to_owned()), id: Some("7".to_owned()) });
        for other in ["null", "1", "-1", "1.5", "true", "[1, [2]]", r#"{"a": {"b": 1}}"#] {
            let row = parse(&format!(r#"{{"text": {other}, "id": {{}}}}"#)).unwrap();
            assert_eq!(row, Row { text: Cell::NotText, id: None }, "{other}");
        }
        assert_eq!(parse(r#"{"id": ""}"#).unwrap(), Row::default());
    }

    #[test]
    fn what_is_no_object_is_an_error() {
        for json in ["[1]", "1", "\"a\"", "{", "{} {}", "{\"text\": \"\\ud800\"}", ""] {
            parse(json).unwrap_err();
        }
        columns_of("[1]").unwrap_err();
        assert_eq!(
            columns_of(r#"{"b": null, "a": "x", "c": []}"#).unwrap(),
            [("b".to_owned(), Holds::Null), ("a".to_owned(), Holds::Text), ("c".to_owned(), Holds::Other)]
        );
    }
}
