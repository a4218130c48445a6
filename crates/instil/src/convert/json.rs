//! One JSON object of which no key is there twice.
//!
//! Most parsers keep the last of two keys, some the first: which of them a trainer learns from is a matter of luck.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::keys::Misfit;
use crate::reject::Reason;

/// The object that a text holds.
///
/// # Errors
/// When it is no JSON, which `NaN` and half a surrogate pair are not either, no object, or has a key twice.
pub fn object(text: &str) -> Result<Map<String, Value>, Misfit> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let parsed = Once.deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    let (reason, message) = match parsed {
        Ok(Value::Object(object)) => return Ok(object),
        Ok(_) => (Reason::InvalidJson, "it is JSON, but not an object".to_owned()),
        Err(error) => {
            let message = error.to_string().replace(" at line 1 column ", " at byte ");
            let reason = if message.starts_with(TWICE) { Reason::DuplicateKey } else { Reason::InvalidJson };
            (reason, message)
        }
    };
    Err(Misfit { reason, path: String::new(), message })
}

const TWICE: &str = "there are two keys ";

/// Any JSON value.
struct Once;

impl<'de> DeserializeSeed<'de> for Once {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Once {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(Once)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let mut values = Map::new();
        while let Some(key) = object.next_key::<String>()? {
            let value = object.next_value_seed(Once)?;
            match values.entry(key) {
                serde_json::map::Entry::Vacant(entry) => drop(entry.insert(value)),
                serde_json::map::Entry::Occupied(entry) => {
                    return Err(serde::de::Error::custom(format!("{TWICE}`{}`", entry.key())));
                }
            }
        }
        Ok(Value::Object(values))
    }
}
