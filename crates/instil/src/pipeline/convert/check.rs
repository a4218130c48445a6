//! `check` of a dataset: every row is read as its file's shape, and nothing is written.

use serde_json::Value;

use super::ConvertRoad;
use super::entries::{Entries, Entry, FileShape, Format, parse};
use super::row::other_shape;
use crate::convert::{Finding, Record, SHAPES, Shape, check};
use crate::error::Result;
use crate::record::Origin;
use crate::source;

/// A row that was looked at, and what is wrong with it.
#[derive(Debug)]
pub struct Checked<'a> {
    /// Where it was read.
    pub origin: &'a Origin,
    /// The row, where it could be read as an object.
    pub row: Option<Value>,
    /// What could be read of it: one record, of a task's file one for each instance.
    pub records: Vec<Record>,
    /// What is wrong with it, by its place.
    pub findings: Vec<Finding>,
}

/// Looks at every row of a file or folder, at most `limit` of them; gives the shapes that were found out.
///
/// # Errors
/// When there is no such file, or rows of no known shape.
pub fn check_files(
    input: &str,
    from: Option<&str>,
    limit: u64,
    each: &mut dyn FnMut(Checked<'_>),
) -> Result<Vec<FileShape>> {
    let from = from.map(Shape::parse).transpose()?;
    // Nothing is written, so any shape will do for the road's end.
    let road = ConvertRoad { from, to: &SHAPES[0], view: None, strict: false, is_table: false, limit };
    let mut entries = Entries::new(&road, source::resolve_rows(&[input.to_owned()])?);
    while let Some(item) = entries.next()? {
        let parsed = item.and_then(|Entry { raw, format: Format { shape, has_cells, is_tabbed } }| {
            Ok((parse(raw, has_cells, is_tabbed)?, shape))
        });
        match parsed {
            Err(reject) => {
                let finding = Finding {
                    code: reject.reason.word(),
                    reason: Some(reject.reason),
                    path: String::new(),
                    message: reject.raw,
                    hint: reject.reason.about(),
                };
                each(Checked {
                    origin: &reject.origin,
                    row: None,
                    records: Vec::new(),
                    findings: vec![finding],
                });
            }
            Ok((row, shape)) => {
                let mut findings = Vec::new();
                let mut records = Vec::new();
                for read in shape.read(&row.fields) {
                    match read.map_err(|misfit| other_shape(&row, shape, misfit)) {
                        Ok(record) => {
                            findings.extend(check(&record, shape));
                            records.push(record);
                        }
                        Err(misfit) => findings.push(Finding {
                            code: misfit.reason.word(),
                            reason: Some(misfit.reason),
                            path: misfit.path,
                            message: misfit.message,
                            hint: misfit.reason.about(),
                        }),
                    }
                }
                each(Checked {
                    origin: &row.origin,
                    row: Some(Value::Object(row.fields)),
                    records,
                    findings,
                });
            }
        }
    }
    Ok(entries.found)
}
