//! Nested rows, one for each of the innermost.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::super::labelled::Item;
use super::super::place::Place;
use super::field::missing;
use crate::record::Row;
use crate::reject::Reason;

/// The field that a row is given its name by, where rows are an object's values.
const KEY: &str = "@key";
/// Behind the name of an object whose values are rows.
const NAMED: &str = "{}";

/// Makes rows of the lists inside `row`, their fields beside those of the rows around them; of two
/// fields of one name the inner one stays. Rows are counted on from `number`.
pub(super) fn expand(row: Row, path: &[String], number: &mut u64, out: &mut impl Extend<Item>) {
    let Row { fields, origin, .. } = row;
    let place = Place(Arc::clone(&origin.source));
    go(&place, fields, path, number, out);
}

fn go(
    place: &Place,
    mut fields: Map<String, Value>,
    path: &[String],
    number: &mut u64,
    out: &mut impl Extend<Item>,
) {
    let Some((part, rest)) = path.split_first() else {
        *number += 1;
        let origin = place.origin(Some(*number));
        return out.extend([Ok(Row { fields, origin, dataset: None })]);
    };
    let name = part.strip_suffix(NAMED).unwrap_or(part);
    let list = match fields.shift_remove(name) {
        None | Some(Value::Null) => {
            let (reason, why) = missing(name);
            return reject(place, reason, &why, &fields.into(), number, out);
        }
        Some(Value::Array(list)) => list,
        // Rows by their names.
        Some(Value::Object(rows)) if name != part => rows
            .into_iter()
            .map(|(key, mut row)| {
                if let Value::Object(fields) = &mut row {
                    fields.insert(KEY.to_owned(), key.into());
                }
                row
            })
            .collect(),
        // XML can't tell a list of one from one.
        Some(one) => vec![one],
    };
    for inner in list {
        match inner {
            Value::Object(inner) => {
                let mut merged = fields.clone();
                merged.extend(inner);
                go(place, merged, rest, number, out);
            }
            other => {
                let why = format!("`{name}` holds something else than an object");
                reject(place, Reason::InvalidRow, &why, &other, number, out);
            }
        }
    }
}

fn reject(
    place: &Place,
    reason: Reason,
    why: &str,
    what: &Value,
    number: &mut u64,
    out: &mut impl Extend<Item>,
) {
    *number += 1;
    out.extend([Err(place.reject(reason, Some(*number), format!("{why}: {what}")))]);
}
