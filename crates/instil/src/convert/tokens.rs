//! Rows that are tokens already (spec/uit.md 7.8): they can be looked over and kept, but hold no text.

use serde_json::{Map, Value};

use super::form::{Form, Kind};
use super::halves::unfit;
use super::keys::{At, Keys, Misfit, list};
use super::loss::Losses;
use super::record::Record;
use crate::reject::Reason;

/// The ids of tokens, which of them count, and what is to be learnt.
pub(super) struct Tokens;

const LISTS: [&str; 3] = ["input_ids", "attention_mask", "labels"];

impl Form for Tokens {
    fn read(&self, keys: &mut Keys<'_>) -> Result<Record, Misfit> {
        let mut first = None;
        for name in LISTS {
            let at = At::Row.key(name);
            let numbers = keys.needed(name)?;
            let length = list(numbers, &at)?.len();
            for (index, number) in list(numbers, &at)?.iter().enumerate() {
                if !number.is_i64() && !number.is_u64() {
                    return Err(at.index(index).wrong_type("an integer", number));
                }
            }
            if *first.get_or_insert(length) != length {
                let message =
                    format!("{length} numbers, and `{}` has {}", LISTS[0], first.unwrap_or_default());
                return Err(at.misfit(Reason::LengthMismatch, message));
            }
            // They have no place in a record, and go back as they came.
            keys.leave(name);
        }
        Ok(Record::default())
    }

    fn write(&self, _: &Record, is_same: bool, _: &mut Losses) -> Result<Map<String, Value>, Misfit> {
        match is_same {
            true => Ok(Map::new()),
            false => Err(unfit("texts become tokens by a tokenizer alone")),
        }
    }

    fn fits(&self, row: &Map<String, Value>) -> bool {
        LISTS.iter().all(|name| row.get(*name).is_some_and(Value::is_array))
    }

    fn why(&self) -> String {
        "`input_ids`, `attention_mask` and `labels` are lists".to_owned()
    }

    fn kind(&self) -> Kind {
        Kind::Tokens
    }

    fn path(&self, _: &Record, _: usize) -> String {
        "/labels".to_owned()
    }
}
