//! Labelled rows: tables read with all their columns.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arrow_array::RecordBatch;
use serde::de::Error as _;
use serde_json::{Map, Value};

use super::elements::Elements;
use super::json::{Lines, Objects, Pieces, invalid, text_of};
use super::memory::MemoryTable;
use super::meter::{Meter, Position};
use super::parquet_rows::BatchReader;
use super::place::Place;
use super::table::Records;
use super::{Kind, PARQUET_NEEDS_A_FILE, SourceFile, arrow_value, parquet_rows, unpacked};
use crate::error::{Error, Result};
use crate::record::{Origin, Row};
use crate::reject::{Reason, Reject};

/// A row, or what could not become one.
pub(super) type Item = Result<Row, Reject>;

/// A row as it was read: of JSON its bytes, so that it can be parsed elsewhere.
#[derive(Clone, Debug)]
pub enum RawRow {
    /// One piece of a file of JSON, and where it stands; [`text_of`](Self::text_of) is its text.
    Piece(Vec<u8>, Origin),
    /// A row of any other file.
    Row(Row),
}

impl RawRow {
    /// The row of an object.
    ///
    /// # Errors
    /// When the text is no JSON object.
    pub fn parse(self) -> Result<Row, Reject> {
        let (bytes, origin) = match self {
            Self::Row(row) => return Ok(row),
            Self::Piece(bytes, origin) => (bytes, origin),
        };
        let text = Self::text_of(&bytes, &origin)?;
        // Not parsed as a map, which `null` would be an empty one of.
        match serde_json::from_str(text) {
            Ok(Value::Object(fields)) => Ok(Row { fields, origin, dataset: None }),
            Ok(_) => Err(refused(&origin, text, &serde_json::Error::custom("it is JSON, but not an object"))),
            Err(error) => Err(refused(&origin, text, &error)),
        }
    }

    /// The text of a piece.
    ///
    /// # Errors
    /// When it isn't UTF-8.
    pub fn text_of<'a>(bytes: &'a [u8], origin: &Origin) -> Result<&'a str, Reject> {
        text_of(&Place(Arc::clone(&origin.source)), origin.row.unwrap_or(0), bytes)
    }
}

fn refused(origin: &Origin, text: &str, error: &serde_json::Error) -> Reject {
    invalid(&Place(Arc::clone(&origin.source)), origin.row.unwrap_or(0), text, error)
}

/// As [`open_rows`], each row as it was read.
///
/// # Errors
/// As [`open_rows`].
pub fn open_raw_rows(files: Vec<SourceFile>) -> crate::Result<RawRows> {
    Ok(open_rows(files)?.0)
}

/// The rows of one file, in order.
pub(super) type Rows = Box<dyn Iterator<Item = Result<RawRow, Reject>> + Send>;

/// The endings that hold rows, as messages name them.
const ENDINGS: &str = ".jsonl, .ndjson, .json, .csv, .tsv (each also with .gz or .zst) and .parquet";

/// Begins to read the rows of `files`, with all their columns.
///
/// The fields of a row are what the file says they are:
///
/// - **JSON**, an object on each line, the objects of an array, or objects one after the other: the
///   object's own values.
/// - **Separated values**: a cell is a string as it stands in the file. Only a cell that is an integer
///   as a program would write it (`0`, `42`, `-1`; not `042`, `-0`, `+1`, `1.0` or ` 1`, and of at most 64
///   bits) is a number, since templates choose an answer by its number:
///   `{{ answer_choices[label] }}`. An empty cell is the empty string.
/// - **Parquet**: integers, floats, booleans and strings as they are, lists as arrays, structs and maps
///   as objects. A float that is no number becomes null; bytes without a type are taken as text, and
///   a row in which they are none is a reject; dates, times, durations and decimals become text as Arrow
///   writes it, instants in UTC, `2026-03-01T12:00:00Z` or `12.50`.
///
/// Stdin is JSON: an object on each line, unless it begins like an array or like an object over many
/// lines. `Origin::row` counts as for documents: lines of separated values and `.jsonl`, else rows.
///
/// # Errors
/// When a file that the user named is of a kind that has no rows; one that was found in a folder
/// becomes a reject.
pub fn open_rows(files: Vec<SourceFile>) -> Result<LabelledRows> {
    let has_no_rows = |file: &&SourceFile| {
        !file.in_folder && matches!(file.kind, Kind::Text | Kind::Html | Kind::Pdf | Kind::Docx)
    };
    if let Some(file) = files.iter().find(has_no_rows) {
        return Err(Error::input(format!("`{}` holds no rows", file.path.display()))
            .with_hint(format!("rows are read from {ENDINGS}")));
    }
    Ok(LabelledRows::new(files, read))
}

/// The rows of all files, in order, each read when it is asked for.
///
/// A file without any row is a reject, so that every file is accounted for.
pub struct LabelledRows(RawRows);

/// The same before what is JSON is parsed.
pub struct RawRows {
    files: std::vec::IntoIter<SourceFile>,
    open: Open,
    current: Option<Current>,
    meter: Meter,
}

/// Reads the bytes of a file's rows.
type Open = fn(Place, Box<dyn Read + Send>, &Kind) -> io::Result<Rows>;

struct Current {
    place: Place,
    rows: Rows,
    is_empty: bool,
    position: Position,
}

impl LabelledRows {
    /// The rows of `files`, those that are no parquet read by `open`.
    pub(super) fn new(files: Vec<SourceFile>, open: Open) -> Self {
        Self(RawRows { files: files.into_iter(), open, current: None, meter: Meter::default() })
    }

    /// A counter of the bytes read from disk so far, kept up to date while the rows are used
    /// elsewhere. Against the sum of [`SourceFile::bytes`] it says how much is left.
    pub fn read_bytes(&self) -> Arc<AtomicU64> {
        self.0.meter.read_bytes()
    }
}

impl Iterator for LabelledRows {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        Some(self.0.next()?.and_then(RawRow::parse))
    }
}

impl Iterator for RawRows {
    type Item = Result<RawRow, Reject>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let current = match &mut self.current {
                Some(current) => current,
                None => self.current.insert(Current::new(&self.files.next()?, self.open)),
            };
            self.meter.step(&current.position);
            if let Some(item) = current.rows.next() {
                current.is_empty = false;
                return Some(item);
            }
            self.meter.finish(&current.position);
            let current = self.current.take()?;
            if current.is_empty {
                return Some(Err(current.place.reject(Reason::EmptyText, None, "there is no row in it")));
            }
        }
    }
}

impl Current {
    fn new(file: &SourceFile, open: Open) -> Self {
        let place = Place(Arc::clone(&file.name));
        let (rows, open) = Self::open(&place, file, open)
            .unwrap_or_else(|error| (only(place.unreadable(None, &error)), None));
        Self { place, rows, is_empty: true, position: Position { bytes: file.bytes, file: open } }
    }

    /// The rows of a file, and the file where it is one.
    fn open(place: &Place, file: &SourceFile, open: Open) -> io::Result<(Rows, Option<File>)> {
        if let Kind::Unreadable(why) = &file.kind {
            return Ok((only(place.reject(Reason::Unreadable, None, why)), None));
        }
        if let Kind::Table(table) = &file.kind {
            return Ok((Box::new(Batches::of_table(place.clone(), table.clone())), None));
        }
        if file.path == Path::new("-") {
            return Ok((open(place.clone(), Box::new(io::stdin()), &file.kind)?, None));
        }
        let raw = File::open(&file.path)?;
        let same = raw.try_clone().ok();
        let rows = match file.kind {
            Kind::Parquet => Box::new(Batches::of_parquet(place.clone(), raw)?),
            _ => open(place.clone(), Box::new(raw), &file.kind)?,
        };
        Ok((rows, same))
    }
}

/// Reads what can be read from its beginning to its end.
fn read(place: Place, raw: Box<dyn Read + Send>, kind: &Kind) -> io::Result<Rows> {
    let (kind, bytes) = match unpacked(&place, raw, kind, of_stream)? {
        Ok(unpacked) => unpacked,
        Err(reject) => return Ok(only(reject)),
    };
    Ok(match kind {
        Some(Kind::Jsonl) => Box::new(Json::new(place, Lines::new(bytes))),
        Some(Kind::Json) => Box::new(Json::new(place, Elements::new(bytes))),
        Some(Kind::Csv) => Box::new(Table { records: Records::new(place.clone(), bytes, b','), place }),
        Some(Kind::Tsv) => Box::new(Table { records: Records::new(place.clone(), bytes, b'\t'), place }),
        Some(Kind::Parquet) => only(place.reject(Reason::Unreadable, None, PARQUET_NEEDS_A_FILE)),
        _ => only(place.reject(
            Reason::Unreadable,
            None,
            format!("it holds no rows; they are read from {ENDINGS}"),
        )),
    })
}

/// What rows a stream holds: JSON lines unless its first bytes say something else, so that a line that
/// is none is told with its number.
fn of_stream(head: &[u8]) -> Option<Kind> {
    match Kind::of_content(head) {
        Some(Kind::Json) => Some(Kind::Json),
        Some(kind) if !kind.is_characters() => Some(kind),
        _ => Some(Kind::Jsonl),
    }
}

pub(super) fn only(reject: Reject) -> Rows {
    Box::new(std::iter::once(Err(reject)))
}

fn row(place: &Place, number: u64, fields: Map<String, Value>) -> Row {
    Row { fields, origin: place.origin(Some(number)), dataset: None }
}

/// Rows of JSON objects.
struct Json<P> {
    place: Place,
    objects: Objects<P>,
}

impl<P: Pieces> Json<P> {
    fn new(place: Place, pieces: P) -> Self {
        Self { objects: Objects::new(place.clone(), pieces), place }
    }
}

impl<P: Pieces> Iterator for Json<P> {
    type Item = Result<RawRow, Reject>;

    fn next(&mut self) -> Option<Self::Item> {
        let piece = self.objects.take()?;
        Some(piece.map(|(number, bytes)| RawRow::Piece(bytes, self.place.origin(Some(number)))))
    }
}

/// Rows of separated values.
struct Table {
    place: Place,
    records: Records,
}

impl Table {
    fn row(&self, line: u64) -> Item {
        let (names, record) = (self.records.names(), self.records.record());
        let mut fields = Map::with_capacity(names.len());
        for (name, cell) in names.iter().zip(record) {
            let Ok(cell) = str::from_utf8(cell) else {
                return Err(self.place.reject(Reason::InvalidUtf8, Some(line), self.records.raw()));
            };
            if fields.insert(name.clone(), cell_value(cell)).is_some() {
                let raw = format!("two columns are named `{name}`: {}", self.records.raw());
                return Err(self.place.reject(Reason::InvalidRow, Some(line), raw));
            }
        }
        Ok(row(&self.place, line, fields))
    }
}

impl Iterator for Table {
    type Item = Result<RawRow, Reject>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.records.next()?.and_then(|line| self.row(line)).map(RawRow::Row))
    }
}

/// A cell of separated values: an integer as a program writes it, else the string.
fn cell_value(cell: &str) -> Value {
    let digits = cell.strip_prefix('-').unwrap_or(cell);
    let is_integer = match digits.as_bytes() {
        [b'0'] => digits.len() == cell.len(),
        [b'1'..=b'9', rest @ ..] => rest.len() < 20 && rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    let integer = is_integer.then(|| cell.parse().map(i64::into).or_else(|_| cell.parse().map(u64::into)));
    integer.and_then(Result::ok).unwrap_or_else(|| cell.into())
}

/// Rows of parquet or of a table in memory, a batch at a time.
struct Batches {
    place: Place,
    reader: Option<BatchReader>,
    batch: Option<RecordBatch>,
    /// The next row of the batch.
    next: usize,
    /// Rows that were read.
    read: u64,
    rows: u64,
}

impl Batches {
    fn of_parquet(place: Place, file: File) -> io::Result<Self> {
        let builder = parquet_rows::opened(file)?;
        let mut names = HashSet::new();
        if let Some(twice) =
            builder.schema().fields().iter().find(|field| !names.insert(field.name().clone()))
        {
            return Err(parquet_rows::damaged(format!("two columns are named `{}`", twice.name())));
        }
        let rows = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
        let batch_rows = parquet_rows::batch_rows(builder.metadata(), |_| true);
        let reader = builder.with_batch_size(batch_rows).build().map_err(parquet_rows::damaged)?;
        Ok(Self { place, reader: Some(Box::new(reader)), batch: None, next: 0, read: 0, rows })
    }

    fn of_table(place: Place, table: MemoryTable) -> Self {
        let rows = table.rows();
        let reader: BatchReader = Box::new(table.into_batches());
        Self { place, reader: Some(reader), batch: None, next: 0, read: 0, rows }
    }

    fn row(&self, batch: &RecordBatch, index: usize) -> Item {
        let mut fields = Map::with_capacity(batch.num_columns());
        for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            match arrow_value::value(column, index) {
                Ok(value) => fields.insert(field.name().clone(), value),
                Err(message) => {
                    let raw = format!("column `{}` holds {message}", field.name());
                    return Err(self.place.reject(Reason::InvalidRow, Some(self.read), raw));
                }
            };
        }
        Ok(row(&self.place, self.read, fields))
    }
}

impl Iterator for Batches {
    type Item = Result<RawRow, Reject>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(batch) = self.batch.as_ref().filter(|batch| self.next < batch.num_rows()) {
                let index = self.next;
                self.next += 1;
                self.read += 1;
                return Some(self.row(batch, index).map(RawRow::Row));
            }
            match parquet_rows::next_batch(self.reader.as_mut()?) {
                Ok(Some(batch)) => (self.batch, self.next) = (Some(batch), 0),
                Ok(None) => return None,
                Err(message) => {
                    self.reader = None;
                    return Some(Err(parquet_rows::broken(&self.place, self.read, self.rows, &message)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
