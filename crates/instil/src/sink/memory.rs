//! Rows that stay in memory. A program that wants Arrow data says so of an output before the run; the road then makes what it
//! makes of a dataset folder, with provenance and rejects in files, but the rows are kept as batches for whoever asked.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use arrow_select::concat::concat_batches;
use serde_json::{Map, Value};

use super::features;
use super::records::{self, ORIGINS};
use crate::draw::TRAIN;
use crate::error::{Error, Result};
use crate::format::{Builder, Cell, Column, Mixed, ObjectBuilder, schema, together};
use crate::record::Origin;
use crate::source::MemoryTable;

/// Batches that are kept have no more rows than so many …
const BATCH_ROWS: usize = 65_536;
/// … and are closed when they have so many bytes, far below the 2³¹ that a column of texts can have.
const BATCH_BYTES: usize = 64 << 20;
/// Rows that come one by one go to a builder of so many rows …
const PART_ROWS: usize = 4096;
/// … or so many bytes of text.
const PART_TEXT_BYTES: usize = 4 << 20;

/// The outputs whose rows stay in memory, with what has come for them.
static KEPT: LazyLock<Mutex<BTreeMap<PathBuf, Option<Came>>>> = LazyLock::new(Mutex::default);

fn kept() -> MutexGuard<'static, BTreeMap<PathBuf, Option<Came>>> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An output whose rows stay in memory, until this is dropped or the rows are taken.
///
/// ```
/// use instil::sink::{Kept, Layout};
/// # let folder = tempfile::tempdir().unwrap();
/// # let output = folder.path().join("rows");
/// let kept = Kept::new(&output);
/// assert!(Layout::of(&output)?.is_in_memory());
/// drop(kept);
/// assert!(!Layout::of(&output)?.is_in_memory());
/// # Ok::<(), instil::Error>(())
/// ```
#[derive(Debug)]
pub struct Kept(PathBuf);

impl Kept {
    /// Keeps the rows that are written to this path, which nothing else may be named. What lies beside rows, and the run
    /// folder, is written there as in a dataset folder.
    pub fn new(output: &Path) -> Self {
        kept().insert(output.to_owned(), None);
        Self(output.to_owned())
    }

    /// What the run has left, once it has finished.
    ///
    /// # Errors
    /// When no run has finished.
    pub fn take(self) -> Result<Came> {
        let came = kept().get_mut(&self.0).and_then(Option::take);
        came.ok_or_else(|| Error::output("there are no rows: no run has finished"))
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        kept().remove(&self.0);
    }
}

/// Whether the rows of this output stay in memory.
pub(super) fn is_kept(output: &Path) -> bool {
    kept().contains_key(output)
}

/// Gives rows to whoever keeps the output; nobody may any more.
fn hand_over(output: &Path, came: Came) {
    if let Some(place) = kept().get_mut(output) {
        *place = Some(came);
    }
}

/// What a run has left in memory.
#[derive(Debug)]
pub struct Came {
    splits: Vec<Split>,
    origins: Option<Origins>,
}

impl Came {
    /// The names of its splits, in their order.
    pub fn splits(&self) -> impl Iterator<Item = &str> {
        self.splits.iter().map(|split| split.name.as_str())
    }

    /// The rows of a split.
    ///
    /// # Errors
    /// When there is no such split, and when a column has values of different types.
    pub fn table(&self, split: &str) -> Result<MemoryTable> {
        let split = self.splits.iter().find(|known| known.name == split);
        split.ok_or_else(|| Error::input("there is no such split"))?.table()
    }

    /// Where each row comes from, of rows that were converted; else it lies in files beside the run folder.
    pub fn provenance(&self) -> Option<MemoryTable> {
        self.origins.as_ref().map(Origins::table)
    }
}

/// The rows of a split, finished.
#[derive(Debug)]
struct Split {
    name: String,
    /// Its batches, or why they don't fit one table.
    rows: Result<(SchemaRef, Vec<RecordBatch>), Mixed>,
}

impl Split {
    fn table(&self) -> Result<MemoryTable> {
        let (schema, batches) = self.rows.clone().map_err(|mixed| {
            Error::input("the rows don't fit one table")
                .because(mixed)
                .with_hint("give `output` and read the file as you like")
        })?;
        MemoryTable::new(schema, batches)
    }
}

/// Rows of known columns in splits.
pub(super) struct SplitTables {
    schema: SchemaRef,
    splits: Vec<Table>,
}

struct Table {
    name: String,
    builder: Builder,
    pile: Pile,
    rows: u64,
}

impl SplitTables {
    /// For these splits.
    pub(super) fn new(names: &[&str], columns: &[Column]) -> Self {
        // As in a Parquet file: it says which features `datasets` sees.
        let metadata = HashMap::from([("huggingface".to_owned(), features::json(columns))]);
        let table = |name: &&str| Table {
            name: (*name).to_owned(),
            builder: Builder::new(columns),
            pile: Pile::default(),
            rows: 0,
        };
        Self {
            schema: Arc::new(Schema::clone(&schema(columns)).with_metadata(metadata)),
            splits: names.iter().map(table).collect(),
        }
    }

    /// Adds a row.
    pub(super) fn push(&mut self, split: usize, cells: &[Cell<'_>]) {
        let Table { builder, pile, rows, .. } = &mut self.splits[split];
        builder.push(cells);
        *rows += 1;
        if builder.rows() >= PART_ROWS || builder.text_bytes() >= PART_TEXT_BYTES {
            pile.push(builder.finish());
        }
    }

    /// Adds rows that were put into arrays elsewhere; no row may have been pushed by itself.
    pub(super) fn push_batch(&mut self, split: usize, batch: RecordBatch) {
        let Table { pile, rows, .. } = &mut self.splits[split];
        *rows += batch.num_rows() as u64;
        pile.push(batch);
    }

    /// Gives all rows to whoever keeps this output; says how many they are.
    pub(super) fn hand_over(self, output: &Path) -> u64 {
        let rows = self.splits.iter().map(|table| table.rows).sum();
        hand_over(output, Came { splits: self.finish(), origins: None });
        rows
    }

    fn finish(self) -> Vec<Split> {
        let split = |Table { name, mut builder, mut pile, .. }: Table| {
            pile.push(builder.finish());
            Split { name, rows: Ok((Arc::clone(&self.schema), pile.finish())) }
        };
        self.splits.into_iter().map(split).collect()
    }
}

/// Rows of any columns.
pub(super) struct Objects {
    builder: ObjectBuilder,
    pile: Pile,
    /// Why there is no table of them.
    mixed: Option<Mixed>,
}

impl Objects {
    pub(super) fn new() -> Self {
        Self { builder: ObjectBuilder::default(), pile: Pile::default(), mixed: None }
    }

    /// Adds a row.
    pub(super) fn push(&mut self, object: &Map<String, Value>) {
        if self.mixed.is_some() {
            return;
        }
        if let Err(mixed) = self.builder.push(object) {
            self.mixed = Some(mixed);
            self.pile = Pile::default();
        } else if self.builder.rows() >= PART_ROWS || self.builder.text_bytes() >= PART_TEXT_BYTES {
            self.pile.push(self.builder.finish());
        }
    }

    /// Adds rows that were put into arrays elsewhere, or could not be; no row may have been pushed by itself.
    pub(super) fn push_batch(&mut self, batch: Result<RecordBatch, Mixed>) {
        match (batch, &self.mixed) {
            (Ok(batch), None) => self.pile.push(batch),
            (Err(mixed), None) => {
                self.mixed = Some(mixed);
                self.pile = Pile::default();
            }
            (_, Some(_)) => {}
        }
    }

    /// Gives all rows to whoever keeps this output, with where they came from.
    pub(super) fn hand_over(mut self, output: &Path, origins: Option<Origins>) {
        let last = self.builder.finish();
        self.push_batch(Ok(last));
        let whole = || together(self.pile.finish()).map(|(schema, batches)| (schema, Pile::of(batches)));
        let rows = self.mixed.map_or_else(whole, Err);
        hand_over(output, Came { splits: vec![Split { name: TRAIN.to_owned(), rows }], origins });
    }
}

/// Where rows come from, 24 bytes a row: what tables repeat is written when somebody asks.
#[derive(Debug, Default)]
pub(super) struct Origins {
    /// The names of sources and shapes.
    names: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u32>,
    rows: Vec<Whence>,
}

#[derive(Clone, Copy, Debug)]
struct Whence {
    row: Option<NonZeroU64>,
    source: u32,
    shape: u32,
    sample: u64,
}

impl Origins {
    pub(super) fn push(&mut self, origin: &Origin, shape: &str, sample: u64) {
        let last = self.rows.last().copied();
        let is = |number: u32, name: &str| *self.names[number as usize] == *name;
        let source = last.map(|last| last.source).filter(|number| is(*number, &origin.source));
        let shape_before = last.map(|last| last.shape).filter(|number| is(*number, shape));
        let source = source.unwrap_or_else(|| self.number(&origin.source));
        let shape = shape_before.unwrap_or_else(|| self.number(shape));
        // Rows are counted from 1.
        let row = origin.row.and_then(NonZeroU64::new);
        self.rows.push(Whence { row, source, shape, sample });
    }

    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = u32::try_from(self.names.len()).expect("there are fewer than 2^32 names");
        let name: Arc<str> = name.into();
        self.names.push(Arc::clone(&name));
        self.numbers.insert(name, number);
        number
    }

    fn table(&self) -> MemoryTable {
        let mut table = SplitTables::new(&[TRAIN], ORIGINS);
        for from in &self.rows {
            let source = Arc::clone(&self.names[from.source as usize]);
            let origin = Origin { source, row: from.row.map(NonZeroU64::get) };
            let id = records::converted_id(&origin, from.sample);
            table.push(0, &records::origin(&id, &origin, &self.names[from.shape as usize], from.sample));
        }
        let [split] = table.finish().try_into().expect("it has one split");
        split.table().expect("its columns are known")
    }
}

/// Batches that come one after the other, small ones of the same columns put together. What is put together has no room to
/// grow, so that memory is that of the rows.
#[derive(Default)]
struct Pile {
    /// Not put together yet.
    parts: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
    done: Vec<RecordBatch>,
}

impl Pile {
    fn of(batches: Vec<RecordBatch>) -> Vec<RecordBatch> {
        let mut pile = Self::default();
        batches.into_iter().for_each(|batch| pile.push(batch));
        pile.finish()
    }

    fn push(&mut self, batch: RecordBatch) {
        if batch.num_rows() == 0 {
            return;
        }
        let bytes = batch.get_array_memory_size();
        let differs = self.parts.first().is_some_and(|first| first.schema_ref() != batch.schema_ref());
        if differs || self.rows + batch.num_rows() > BATCH_ROWS || self.bytes + bytes > BATCH_BYTES {
            self.close();
        }
        self.rows += batch.num_rows();
        self.bytes += bytes;
        self.parts.push(batch);
    }

    fn close(&mut self) {
        (self.rows, self.bytes) = (0, 0);
        match self.parts.as_slice() {
            [] => {}
            [_] => self.done.append(&mut self.parts),
            [first, ..] => {
                let whole = concat_batches(first.schema_ref(), &self.parts);
                self.done.push(whole.expect("they have the same columns, and few enough bytes"));
                self.parts.clear();
            }
        }
    }

    fn finish(mut self) -> Vec<RecordBatch> {
        self.close();
        self.done
    }
}
