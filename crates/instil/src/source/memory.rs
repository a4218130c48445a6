//! Tables that are in memory already. A program that holds Arrow data gives it a name for the time of a run, and an input
//! of that name is read as a file is: the same rows, the same rejects, nothing copied.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, SchemaRef};

use super::bytes::Packing;
use super::{Kind, SourceFile};
use crate::error::{Error, Result};

/// What the names of tables begin with.
pub(super) const PREFIX: &str = "table:";

/// Rows of a batch that is read at once.
const BATCH_ROWS: usize = 4096;

/// The tables that have names now.
static NAMED: LazyLock<Mutex<BTreeMap<String, Named>>> = LazyLock::new(Mutex::default);

/// A table and how often it was given its name.
struct Named {
    table: MemoryTable,
    times: usize,
}

/// Batches of one schema, shared with whoever made them.
#[derive(Clone, Debug)]
pub struct MemoryTable(Arc<(SchemaRef, Vec<RecordBatch>)>);

impl PartialEq for MemoryTable {
    /// Whether it is the same one, not whether it holds the same.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for MemoryTable {}

impl MemoryTable {
    /// A table of these batches.
    ///
    /// # Errors
    /// When a batch has other columns than `schema`, or two columns have one name.
    pub fn new(schema: SchemaRef, batches: Vec<RecordBatch>) -> Result<Self> {
        for (index, field) in schema.fields().iter().enumerate() {
            if schema.index_of(field.name()).ok() != Some(index) {
                return Err(Error::input(format!("two columns of the table are named `{}`", field.name()))
                    .with_hint("give one of them another name"));
            }
        }
        if batches.iter().any(|batch| batch.schema_ref().fields() != schema.fields()) {
            return Err(Error::input("the batches of the table have different columns")
                .with_hint("give all of them the same schema"));
        }
        Ok(Self(Arc::new((schema, batches))))
    }

    /// Its columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.0.0
    }

    /// Its rows.
    pub fn batches(&self) -> &[RecordBatch] {
        &self.0.1
    }

    /// How many rows it has.
    pub fn rows(&self) -> u64 {
        self.batches().iter().map(|batch| batch.num_rows() as u64).sum()
    }

    /// Its rows, few at a time, so that what is made of a batch stays small.
    pub(super) fn into_batches(self) -> impl Iterator<Item = Result<RecordBatch, ArrowError>> + Send {
        let (mut index, mut row) = (0, 0);
        std::iter::from_fn(move || {
            loop {
                let batch = self.batches().get(index)?;
                if row < batch.num_rows() {
                    let slice = batch.slice(row, BATCH_ROWS.min(batch.num_rows() - row));
                    row += slice.num_rows();
                    return Some(Ok(slice));
                }
                (index, row) = (index + 1, 0);
            }
        })
    }
}

/// A name that a table has until this is dropped.
#[derive(Debug)]
pub struct Held(String);

impl Held {
    /// Gives a table a name. `which` tells it from others, and stands in the recipe: a hash of what it holds, where a
    /// later run is to know whether it was given the same.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use arrow_schema::Schema;
    /// use instil::source::{Held, MemoryTable, resolve_rows};
    ///
    /// let table = MemoryTable::new(Arc::new(Schema::empty()), Vec::new())?;
    /// let held = Held::new("notes", table);
    /// assert_eq!(held.input(), "table:notes");
    /// assert_eq!(resolve_rows(&[held.input().to_owned()])?.len(), 1);
    /// # Ok::<(), instil::Error>(())
    /// ```
    pub fn new(which: &str, table: MemoryTable) -> Self {
        let name = format!("{PREFIX}{which}");
        let mut named = named();
        named.entry(name.clone()).or_insert(Named { table, times: 0 }).times += 1;
        Self(name)
    }

    /// What a recipe calls it.
    pub fn input(&self) -> &str {
        &self.0
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut named = named();
        if let Some(entry) = named.get_mut(&self.0) {
            entry.times -= 1;
            if entry.times == 0 {
                named.remove(&self.0);
            }
        }
    }
}

fn named() -> MutexGuard<'static, BTreeMap<String, Named>> {
    NAMED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The table that an input names, as a file; none where the input isn't a table's name.
///
/// # Errors
/// When no table has this name now.
pub(super) fn resolve(input: &str) -> Result<Option<SourceFile>> {
    if !input.starts_with(PREFIX) {
        return Ok(None);
    }
    let Some(table) = named().get(input).map(|entry| entry.table.clone()) else {
        return Err(Error::input(format!("there is no table `{input}`"))
            .because("it was in the memory of another program when the recipe was written")
            .with_hint("run the step from that program, or write the table to a file and name that"));
    };
    let bytes: usize = table.batches().iter().map(RecordBatch::get_array_memory_size).sum();
    Ok(Some(SourceFile {
        // Ids and provenance are the same however the table is called.
        name: "table".into(),
        path: PathBuf::from(input),
        kind: Kind::Table(table),
        packing: Packing::Plain,
        bytes: bytes as u64,
        // What it holds is in its name, where it matters.
        modified: Some(0),
        in_folder: false,
    }))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array, StringArray, cast::AsArray};
    use arrow_schema::{DataType, Field, Schema};

    use super::*;
    use crate::source::{Options, open, open_rows, resolve, resolve_rows};

    /// Several batches, one of them empty and one longer than what is read at once.
    fn table() -> MemoryTable {
        let lengths = [3, 0, BATCH_ROWS + 2, 1];
        let mut next = 0;
        let batches = lengths.map(|length| {
            let numbers: Vec<i64> = (next..next + length as i64).collect();
            next += length as i64;
            let texts: ArrayRef = Arc::new(StringArray::from_iter_values(
                numbers.iter().map(|number| format!("Text {number}.")),
            ));
            RecordBatch::try_from_iter([("text", texts), ("n", Arc::new(Int64Array::from(numbers)) as _)])
                .unwrap()
        });
        MemoryTable::new(batches[0].schema(), batches.to_vec()).unwrap()
    }

    #[test]
    fn every_row_of_every_batch_is_read() {
        let table = table();
        let rows = table.rows();
        let held = Held::new("all", table);
        let inputs = [held.input().to_owned()];
        let read: Vec<_> = open_rows(resolve_rows(&inputs).unwrap()).unwrap().map(Result::unwrap).collect();
        assert_eq!(read.len() as u64, rows);
        assert!((0..).zip(&read).all(|(n, row)| row.fields["n"] == n), "in order");
        let documents = open(resolve(&inputs).unwrap(), &Options::default()).unwrap();
        let documents: Vec<_> = documents.map(Result::unwrap).collect();
        assert_eq!(documents.len() as u64, rows);
        assert_eq!(documents.last().unwrap().text, format!("Text {}.", rows - 1));
        assert_eq!(&*documents[0].origin.source, "table");
    }

    #[test]
    fn nothing_is_copied() {
        let table = table();
        let address = |batch: &RecordBatch| batch.column(0).as_string::<i32>().values().as_ptr();
        let before = address(&table.batches()[0]);
        assert_eq!(address(&table.into_batches().next().unwrap().unwrap()), before);
    }

    #[test]
    fn a_name_goes_with_the_last_who_held_it() {
        let first = Held::new("twice", table());
        let second = Held::new("twice", table());
        drop(first);
        assert!(super::resolve(second.input()).unwrap().is_some());
        let name = second.input().to_owned();
        drop(second);
        let error = super::resolve(&name).unwrap_err();
        assert_eq!(error.to_string(), "there is no table `table:twice`");
        assert!(super::resolve("table.csv").unwrap().is_none());
    }

    #[test]
    fn a_table_has_each_column_once() {
        let twice = Schema::new(vec![Field::new("a", DataType::Utf8, true); 2]);
        let error = MemoryTable::new(Arc::new(twice), Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "two columns of the table are named `a`");
    }

    #[test]
    fn an_id_that_is_none_is_passed_over() {
        let lists = arrow_array::new_null_array(&DataType::new_list(DataType::Utf8, true), 1);
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["One."]));
        let batch =
            RecordBatch::try_from_iter_with_nullable([("text", texts, true), ("id", lists, true)]).unwrap();
        let held = Held::new("lists", MemoryTable::new(batch.schema(), vec![batch]).unwrap());
        let files = resolve(&[held.input().to_owned()]).unwrap();
        let documents: Vec<_> = open(files, &Options::default()).unwrap().map(Result::unwrap).collect();
        assert_eq!(documents.len(), 1);
        assert_eq!(documents[0].text, "One.");
    }
}
