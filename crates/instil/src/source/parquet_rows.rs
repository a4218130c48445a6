//! Rows of a parquet file, or of a table in memory: the columns that are needed, a batch at a time.

use std::fs::File;
use std::io;

use arrow_array::cast::AsArray;
use arrow_array::{Array, LargeStringArray, RecordBatch};
use arrow_cast::cast;
use arrow_schema::{ArrowError, DataType, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::ParquetMetaData;

use super::column::{Choice, Columns, Holds};
use super::memory::MemoryTable;
use super::place::{Item, Place};
use super::row::{Cell, Row};
use super::{Options, Reader, guard};
use crate::reject::{Reason, Reject};

/// Rows in one batch, where they are not long.
const BATCH_ROWS: usize = 1024;
/// What the text of one batch should not exceed by much.
const BATCH_BYTES: i64 = 16 << 20;

/// Batches from wherever they are.
pub(super) type BatchReader = Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>> + Send>;

/// Rows in batches, counted from 1.
pub(super) struct Rows {
    place: Place,
    choice: Choice,
    batches: Batches,
    batch: Option<Batch>,
    /// Rows that were read.
    read: u64,
    rows: u64,
}

enum Batches {
    Reading(BatchReader),
    /// No column can be read; the rows are counted.
    Counting,
    Ended,
}

struct Batch {
    text: LargeStringArray,
    id: Option<LargeStringArray>,
    next: usize,
}

/// Opens a parquet file.
///
/// # Errors
/// When it is none, or its end is missing, where its layout is written.
pub(super) fn rows(place: Place, file: File, options: &Options) -> io::Result<Rows> {
    let builder = opened(file)?;
    let choice = choose(&place, builder.schema(), options);
    let rows = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
    let batches = match &choice {
        Choice::Made(columns) => {
            let find = |name: &str| builder.schema().index_of(name).ok();
            let is_id = |index: &usize| holds_id(builder.schema().field(*index).data_type());
            let text = find(&columns.text);
            let id = find(&columns.id).filter(is_id);
            let mask = ProjectionMask::roots(builder.parquet_schema(), text.into_iter().chain(id));
            let rows = batch_rows(builder.metadata(), |column| column == columns.text);
            let reader = builder.with_projection(mask).with_batch_size(rows).build().map_err(damaged)?;
            Batches::Reading(Box::new(reader))
        }
        Choice::Failed { .. } => Batches::Counting,
    };
    Ok(Rows { place, choice, batches, batch: None, read: 0, rows })
}

/// Reads a table that is in memory.
pub(super) fn rows_of_table(place: Place, table: MemoryTable, options: &Options) -> Rows {
    let choice = choose(&place, table.schema(), options);
    let rows = table.rows();
    let batches = match &choice {
        Choice::Made(columns) => {
            let find = |name: &str| table.schema().index_of(name).ok();
            let is_id = |index: &usize| holds_id(table.schema().field(*index).data_type());
            let read: Vec<usize> =
                find(&columns.text).into_iter().chain(find(&columns.id).filter(is_id)).collect();
            Batches::Reading(Box::new(table.into_batches().map(move |batch| batch?.project(&read))))
        }
        Choice::Failed { .. } => Batches::Counting,
    };
    Rows { place, choice, batches, batch: None, read: 0, rows }
}

fn choose(place: &Place, schema: &Schema, options: &Options) -> Choice {
    let columns: Vec<_> = schema
        .fields()
        .iter()
        .map(|field| {
            let holds = if holds_text(field.data_type()) { Holds::Text } else { Holds::Other };
            (field.name().as_str(), holds)
        })
        .collect();
    let choice = Choice::among(&place.0, &columns, options);
    let Choice::Made(Columns { text, .. }) = &choice else { return choice };
    match schema.field_with_name(text).map(arrow_schema::Field::data_type) {
        Ok(kind) if !holds_text(kind) => {
            let texts: Vec<_> = columns
                .iter()
                .filter(|(_, holds)| *holds == Holds::Text)
                .map(|(name, _)| format!("`{name}`"))
                .collect();
            let hint = match &texts[..] {
                [] => "it has no column of text".to_owned(),
                texts => format!("its columns of text are {}", texts.join(", ")),
            };
            Choice::Failed {
                message: format!("column `{text}` of `{}` holds {kind}, not text", place.0),
                hint,
            }
        }
        _ => choice,
    }
}

fn holds_text(kind: &DataType) -> bool {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => holds_text(values),
        _ => false,
    }
}

fn holds_id(kind: &DataType) -> bool {
    kind.is_integer() || holds_text(kind)
}

/// A parquet file's layout, read.
///
/// # Errors
/// When it is none, or its end is missing, where its layout is written.
pub(super) fn opened(file: File) -> io::Result<ParquetRecordBatchReaderBuilder<File>> {
    let opened = guard::catch(|| ParquetRecordBatchReaderBuilder::try_new(file));
    opened.map_err(damaged)?.map_err(damaged)
}

/// How many rows of the columns that are read fit [`BATCH_BYTES`], going by the sizes that the file
/// itself tells.
pub(super) fn batch_rows(about: &ParquetMetaData, is_read: impl Fn(&str) -> bool) -> usize {
    let chunks = about.row_groups().iter().flat_map(|group| group.columns());
    let bytes: i64 = chunks
        .filter(|chunk| chunk.column_path().parts().first().is_some_and(|part| is_read(part)))
        .map(|chunk| chunk.uncompressed_size())
        .sum();
    let row_bytes = bytes / about.file_metadata().num_rows().max(1);
    usize::try_from(BATCH_BYTES / row_bytes.max(1)).unwrap_or(BATCH_ROWS).clamp(1, BATCH_ROWS)
}

/// The next batch; none at the end.
pub(super) fn next_batch(reader: &mut BatchReader) -> Result<Option<RecordBatch>, String> {
    let batch = guard::catch(|| reader.next())?;
    batch.transpose().map_err(|error| error.to_string())
}

/// The rest of a file that broke after `read` of its `rows`.
pub(super) fn broken(place: &Place, read: u64, rows: u64, message: &str) -> Reject {
    let first = read + 1;
    let raw = format!("rows {first} to {rows} can't be read, the data is damaged: {message}");
    place.reject(Reason::Unreadable, Some(first), raw)
}

impl Batch {
    fn new(batch: &RecordBatch, columns: &Columns) -> Result<Self, String> {
        let strings = |name: &str| {
            let column = batch.column_by_name(name)?;
            let strings = cast(column, &DataType::LargeUtf8);
            Some(strings.map(|strings| strings.as_string::<i64>().clone()).map_err(|error| error.to_string()))
        };
        let text = strings(&columns.text).ok_or("the text column is not in the batch")??;
        Ok(Self { text, id: strings(&columns.id).transpose()?, next: 0 })
    }

    fn next(&mut self) -> Option<Row> {
        let index = self.next;
        self.next += 1;
        let value =
            |strings: &LargeStringArray| strings.is_valid(index).then(|| strings.value(index).to_owned());
        (index < self.text.len()).then(|| Row {
            text: value(&self.text).map_or(Cell::NotText, Cell::Text),
            id: self.id.as_ref().and_then(value).filter(|id| !id.is_empty()),
        })
    }
}

impl Rows {
    /// The next batch; none at the end.
    fn read_batch(&mut self) -> Result<Option<Batch>, String> {
        let (Batches::Reading(reader), Choice::Made(columns)) = (&mut self.batches, &self.choice) else {
            return Ok(None);
        };
        next_batch(reader)?.map(|batch| Batch::new(&batch, columns)).transpose()
    }
}

impl Iterator for Rows {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(row) = self.batch.as_mut().and_then(Batch::next) {
                self.read += 1;
                let raw = || if row.text == Cell::NotText { "null".to_owned() } else { String::new() };
                return Some(self.place.of_row(row.clone(), self.read, raw));
            }
            match self.batches {
                Batches::Reading(_) => {}
                Batches::Counting if self.read < self.rows => {
                    self.read += 1;
                    let raw = "the file has no such column";
                    return Some(Err(self.place.reject(Reason::MissingColumn, Some(self.read), raw)));
                }
                Batches::Counting | Batches::Ended => return None,
            }
            match self.read_batch() {
                Ok(Some(batch)) => self.batch = Some(batch),
                Ok(None) => self.batches = Batches::Ended,
                Err(message) => {
                    self.batches = Batches::Ended;
                    self.batch = None;
                    return Some(Err(broken(&self.place, self.read, self.rows, &message)));
                }
            }
        }
    }
}

impl Reader for Rows {
    fn choice(&self) -> Option<&Choice> {
        Some(&self.choice)
    }
}

pub(super) fn damaged(error: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}
