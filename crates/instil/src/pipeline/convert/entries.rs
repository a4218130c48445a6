//! The rows of datasets as they were read, each with the shape of its file.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::Value;

use super::ConvertRoad;
use crate::convert::{self, Detected, LOOKED_AT, Shape, detect};
use crate::error::{Error, Result};
use crate::record::Row;
use crate::reject::{Reason, Reject};
use crate::source::{self, Kind, RawRow, RawRows, SourceFile};
/// A batch ends after this many rows …
const BATCH_ROWS: usize = 256;
/// … or after about this many bytes of text, so that long lines don't fill the memory.
pub(in crate::pipeline) const BATCH_BYTES: usize = 4 << 20;

/// The shape that a file's rows are read as.
#[derive(Clone, Debug, PartialEq)]
pub struct FileShape {
    /// The file's name.
    pub file: Arc<str>,
    /// What was found out; none where the shape was given, or where the file has no row.
    pub detected: Option<Detected>,
}

/// A row as it was read, with the shape that its file is read as.
pub(in crate::pipeline) struct Entry {
    pub(in crate::pipeline) raw: RawRow,
    pub(in crate::pipeline) format: Format,
}

/// How the rows of a file become objects, and which shape these have.
#[derive(Clone, Copy)]
pub(in crate::pipeline) struct Format {
    pub(in crate::pipeline) shape: &'static Shape,
    /// Whether a number was made of a cell that stands for one.
    pub(in crate::pipeline) has_cells: bool,
    /// Whether a line is two texts with a tab between them, as in CrossFit's files.
    pub(in crate::pipeline) is_tabbed: bool,
}

pub(in crate::pipeline) type Item = Result<Entry, Reject>;

/// Rows that go their way together.
pub(in crate::pipeline) struct Batch {
    pub(in crate::pipeline) items: Vec<Item>,
    pub(in crate::pipeline) bytes: usize,
}

/// The rows of all files, each with the shape of its file.
pub(in crate::pipeline) struct Entries<'a> {
    road: &'a ConvertRoad,
    files: std::vec::IntoIter<SourceFile>,
    current: Option<Current>,
    pub(in crate::pipeline) found: Vec<FileShape>,
    taken: u64,
}

struct Current {
    /// Rows that were read to find out their shape.
    looked_at: VecDeque<Result<RawRow, Reject>>,
    rows: RawRows,
    has_cells: bool,
    is_tabbed: bool,
    shape: Option<&'static Shape>,
}

impl<'a> Entries<'a> {
    pub(in crate::pipeline) fn new(road: &'a ConvertRoad, files: Vec<SourceFile>) -> Self {
        Self { road, files: files.into_iter(), current: None, found: Vec::new(), taken: 0 }
    }

    /// The next rows; none when there are no more.
    pub(in crate::pipeline) fn batch(&mut self) -> Result<Batch> {
        let mut batch = Batch { items: Vec::with_capacity(BATCH_ROWS), bytes: 0 };
        while batch.items.len() < BATCH_ROWS && batch.bytes < BATCH_BYTES {
            let Some(item) = self.next()? else { break };
            batch.bytes += match &item {
                Ok(Entry { raw, .. }) => size(raw),
                Err(reject) => reject.raw.len(),
            };
            batch.items.push(item);
        }
        Ok(batch)
    }

    pub(in crate::pipeline) fn next(&mut self) -> Result<Option<Item>> {
        if self.taken == self.road.limit {
            return Ok(None);
        }
        loop {
            let current = match &mut self.current {
                Some(current) => current,
                None => {
                    let Some(file) = self.files.next() else { return Ok(None) };
                    let (current, found) = Current::open(self.road, file)?;
                    self.found.push(found);
                    self.current.insert(current)
                }
            };
            let Some(read) = current.next() else {
                self.current = None;
                continue;
            };
            return Ok(Some(read.map(|raw| {
                self.taken += 1;
                let Current { has_cells, is_tabbed, .. } = *current;
                let shape = current.shape.expect("a file with rows has a shape, or is refused");
                Entry { raw, format: Format { shape, has_cells, is_tabbed } }
            })));
        }
    }
}

impl Current {
    fn open(road: &ConvertRoad, mut file: SourceFile) -> Result<(Self, FileShape)> {
        let name = Arc::clone(&file.name);
        let is_crossfit = road.from.is_none_or(|from| from.name == CROSSFIT) && file.kind == Kind::Tsv;
        let is_tabbed = is_crossfit && (road.from.is_some() || is_named_by_crossfit(&name));
        let has_cells = matches!(file.kind, Kind::Csv | Kind::Tsv);
        if is_tabbed {
            // There is no head, and nothing is quoted.
            file.kind = Kind::Jsonl;
        }
        let rows = source::open_raw_rows(vec![file])?;
        let from = if is_tabbed { Some(Shape::parse(CROSSFIT)?) } else { road.from };
        let mut current = Self { looked_at: VecDeque::new(), rows, has_cells, is_tabbed, shape: from };
        let mut found = FileShape { file: Arc::clone(&name), detected: None };
        if from.is_some() {
            return Ok((current, found));
        }
        let mut bytes = 0;
        // Those that can be parsed, for looking at alone: a row is parsed where it is converted.
        let mut parsed = Vec::new();
        while current.looked_at.len() < LOOKED_AT && bytes < 4 * BATCH_BYTES {
            let Some(read) = current.rows.next() else { break };
            if let Ok(raw) = &read {
                bytes += size(raw);
                parsed.extend(parse(raw.clone(), has_cells, false).ok());
            }
            current.looked_at.push_back(read);
        }
        found.detected = detect(parsed.iter().map(|row| (row.origin.row.unwrap_or(0), &row.fields)));
        if let (None, Some(first)) = (&found.detected, parsed.first()) {
            return Err(unknown(&name, first));
        }
        current.shape = found.detected.as_ref().map(|detected| detected.shape);
        if current.shape.is_none() {
            // Rows that could not be read came first; what follows them, if anything, has no known shape.
            if current.looked_at.len() == LOOKED_AT {
                let message = format!("none of the first {LOOKED_AT} rows of `{name}` can be read");
                return Err(Error::input(message).with_hint("`--from` says which shape the others have"));
            }
            current.refuse_all(has_cells);
        }
        Ok((current, found))
    }

    /// Makes rejects of rows of which none can be parsed.
    fn refuse_all(&mut self, has_cells: bool) {
        for read in &mut self.looked_at {
            if let Ok(raw) = read
                && let Err(reject) = parse(raw.clone(), has_cells, false)
            {
                *read = Err(reject);
            }
        }
    }

    fn next(&mut self) -> Option<Result<RawRow, Reject>> {
        self.looked_at.pop_front().or_else(|| self.rows.next())
    }
}

/// The shape of files that have no head and nothing quoted.
const CROSSFIT: &str = "crossfit";

/// Whether a file is named as CrossFit names them: `{task}_{k}_{seed}_{train|dev|test}.tsv`.
fn is_named_by_crossfit(name: &str) -> bool {
    let stem = name.rsplit(['/', '\\']).next().unwrap_or(name).split('.').next().unwrap_or(name);
    let mut parts = stem.rsplit('_');
    let is_number = |part: Option<&str>| part.is_some_and(|part| part.parse::<u32>().is_ok());
    matches!(parts.next(), Some("train" | "dev" | "test"))
        && is_number(parts.next())
        && is_number(parts.next())
}

/// The object of a row as it was read.
pub(in crate::pipeline) fn parse(raw: RawRow, has_cells: bool, is_tabbed: bool) -> Result<Row, Reject> {
    let (bytes, origin) = match raw {
        RawRow::Piece(bytes, origin) => (bytes, origin),
        RawRow::Row(mut row) => {
            if has_cells {
                // A cell that reads like an integer became one; shapes know texts.
                for value in row.fields.values_mut() {
                    if let Value::Number(number) = value {
                        *value = number.to_string().into();
                    }
                }
            }
            return Ok(row);
        }
    };
    let text = RawRow::text_of(&bytes, &origin)?;
    if is_tabbed {
        return match text.split_once('\t') {
            Some((input, output)) if !output.contains('\t') => {
                let pairs = [("input", input), ("output", output)];
                let fields = pairs.map(|(name, text)| (name.to_owned(), text.into())).into_iter().collect();
                Ok(Row { fields, origin, dataset: None })
            }
            _ => {
                let parts = text.split('\t').count();
                Err(Reject::read(Reason::InvalidRow, origin, format!("{parts} parts and not two: {text}")))
            }
        };
    }
    match convert::object(text) {
        Ok(fields) => Ok(Row { fields, origin, dataset: None }),
        Err(misfit) => Err(Reject::read(misfit.reason, origin, format!("{misfit}: {text}"))),
    }
}

/// The error of a file whose rows have no known shape.
fn unknown(file: &str, row: &Row) -> Error {
    let keys: Vec<String> = row.fields.keys().take(20).map(|key| format!("`{key}`")).collect();
    Error::input(format!("the rows of `{file}` have no shape that is known"))
        .because(format!("the first row has the keys {}", keys.join(", ")))
        .with_hint("`instil list shapes` shows what is known, and `--from` names one of them")
}

/// Bytes of text in a row, near enough.
pub(in crate::pipeline) fn size(raw: &RawRow) -> usize {
    fn weight(value: &Value) -> usize {
        match value {
            Value::String(text) => 24 + text.len(),
            Value::Array(list) => 24 + list.iter().map(weight).sum::<usize>(),
            Value::Object(object) => {
                48 + object.iter().map(|(key, value)| key.len() + weight(value)).sum::<usize>()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => 24,
        }
    }
    match raw {
        RawRow::Piece(bytes, _) => bytes.len(),
        RawRow::Row(row) => row.fields.values().map(weight).sum(),
    }
}
