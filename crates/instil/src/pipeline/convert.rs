//! The road from one shape to another: rows are read, become records, and these become rows again.
//!
//! One thread cuts files into rows, others parse and convert them, and a third kind writes, in batches that are put
//! back into the order of the rows.

mod check;
pub(super) mod entries;
pub(super) mod row;

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow_array::RecordBatch;
use crossbeam_channel::{Receiver, Sender, bounded};
use serde_json::{Map, Value};

use self::entries::{BATCH_BYTES, Batch, Entries, Entry, Format, Item, parse, size};
use self::row::convert_row;
use super::Ended;
use crate::convert::view::View;
use crate::convert::{Loss, Shape};
use crate::error::{Error, Result};
use crate::format::{Mixed, ObjectBuilder};
use crate::ledger::Ledger;
use crate::record::{Origin, Row};
use crate::reject::{Reject, Stage};
use crate::sink::{ObjectRow, ObjectWriter};
use crate::source::SourceFile;

pub use self::check::{Checked, check_files};
pub use self::entries::FileShape;

/// So many batches are in memory between reader and writer, more where there are many threads.
const PLACES: usize = 16;

/// Keys without a place are counted by their names as long as there are no more than so many.
const MOST_LOSSES: usize = 60;

/// What is made of each row.
#[derive(Clone, Debug)]
pub struct ConvertRoad {
    /// The shape of all rows; none where each file's is found out.
    pub from: Option<&'static Shape>,
    /// The shape that they get.
    pub to: &'static Shape,
    /// What conversations are rendered with, where they become texts.
    pub view: Option<Arc<View>>,
    /// Whether a part that the new shape can't carry ends the run.
    pub strict: bool,
    /// Whether the output is a table of texts.
    pub is_table: bool,
    /// The most rows read of all files.
    pub limit: u64,
}

impl Batch {
    /// How many places it takes of those that bound the memory: that of one with a long line is several.
    fn places(&self) -> usize {
        (self.bytes / BATCH_BYTES).clamp(1, PLACES)
    }
}

/// What a worker made of a batch.
struct Done {
    came: Vec<Came>,
    /// Its rows as arrays, where they stay in memory.
    arrays: Option<Result<RecordBatch, Mixed>>,
    /// Those that it took.
    places: usize,
}

/// What became of an item.
enum Came {
    Unread(Reject),
    Row { shape: &'static Shape, made: Vec<Result<Made, Reject>> },
}

/// A row of the output, and what it doesn't carry.
struct Made {
    row: ObjectRow,
    losses: Vec<Loss>,
    /// The keys that have no place.
    dropped: Vec<String>,
    origin: Origin,
}

/// Sends the rows of `files` down the road.
///
/// `watch` sees the ledger after each batch and can break off.
///
/// # Errors
/// When a file's shape is asked for and not known, when a part is lost that must not be, or when the output can't
/// be written. Troubles of single rows are rejects.
pub fn convert(
    road: &ConvertRoad,
    files: Vec<SourceFile>,
    threads: NonZeroUsize,
    writer: &mut ObjectWriter,
    watch: &mut dyn FnMut(&Ledger) -> ControlFlow<()>,
) -> Result<(Ledger, Ended, Vec<FileShape>)> {
    let mut ledger = Ledger::of(&Stage::FROM_DATASET);
    let mut entries = Entries::new(road, files);
    let (work, batches) = bounded::<(u64, Batch)>(2 * threads.get());
    let (finished, results) = bounded::<(u64, Done)>(4 * threads.get());
    // So many batches are in memory, however long one of them takes.
    let (enter, leave) = bounded::<()>(PLACES.max(4 * threads.get()));
    let in_memory = writer.is_in_memory();
    let ended = std::thread::scope(|scope| {
        // Both ends here end with this function, and with them the other threads.
        let (results, leave) = (results, leave);
        for _ in 0..threads.get() {
            let (batches, finished) = (batches.clone(), finished.clone());
            scope.spawn(move || work_off(road, in_memory, &batches, &finished));
        }
        drop((batches, finished));
        let entries = &mut entries;
        let reader = scope.spawn(move || -> Result<()> {
            for number in 0.. {
                let batch = entries.batch()?;
                let is_over = batch.items.is_empty() || (0..batch.places()).any(|_| enter.send(()).is_err());
                if is_over || work.send((number, batch)).is_err() {
                    break;
                }
            }
            Ok(())
        });
        let mut waiting: VecDeque<Option<Done>> = VecDeque::new();
        // How many batches have been written: the number of the first one that waits.
        let mut left = 0;
        for (number, batch) in &results {
            if number == PANICKED {
                // The scope passes the panic on when the other threads have ended.
                return Ok(Ended::Interrupted);
            }
            let place = usize::try_from(number - left).expect("the batches that wait are in memory");
            if waiting.len() <= place {
                waiting.resize_with(place + 1, || None);
            }
            waiting[place] = Some(batch);
            while let Some(Some(_)) = waiting.front() {
                let Done { came, arrays, places } =
                    waiting.pop_front().flatten().expect("it was looked at above");
                left += 1;
                for came in came {
                    account(road, came, &mut ledger, writer)?;
                }
                if let Some(arrays) = arrays {
                    writer.push_batch(arrays);
                }
                for _ in 0..places {
                    leave.recv().expect("every batch took its places");
                }
                if watch(&ledger).is_break() {
                    return Ok(Ended::Interrupted);
                }
            }
        }
        reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok::<_, Error>(Ended::Whole)
    })?;
    Ok((ledger, ended, entries.found))
}

/// What rows would come to.
pub type Preview = Vec<Result<Map<String, Value>, Reject>>;

/// What the first rows of `files` would come to, and the shapes of the files that were opened for it.
///
/// # Errors
/// As [`convert()`].
pub fn preview(road: &ConvertRoad, files: Vec<SourceFile>, most: usize) -> Result<(Preview, Vec<FileShape>)> {
    let mut entries = Entries::new(road, files);
    let mut rows = Vec::new();
    while rows.len() < most
        && let Some(item) = entries.next()?
    {
        match item {
            Err(reject) => rows.push(Err(reject)),
            Ok(Entry { raw, format: Format { shape, has_cells, is_tabbed } }) => {
                match parse(raw, has_cells, is_tabbed) {
                    Ok(row) => rows.extend(
                        convert_row(road, &row, shape)
                            .into_iter()
                            .map(|made| made.map(|(written, _)| written.row)),
                    ),
                    Err(reject) => rows.push(Err(reject)),
                }
            }
        }
    }
    rows.truncate(most);
    Ok((rows, entries.found))
}

/// The row with this number of a file, and what it becomes; none where the file has no such row.
///
/// # Errors
/// As [`convert()`].
pub fn one(road: &ConvertRoad, file: SourceFile, number: Option<u64>) -> Result<Option<(Row, Preview)>> {
    let mut entries = Entries::new(road, vec![file]);
    while let Some(item) = entries.next()? {
        if let Ok(Entry { raw, format: Format { shape, has_cells, is_tabbed } }) = item
            && let Ok(row) = parse(raw, has_cells, is_tabbed)
            && row.origin.row == number
        {
            let made = convert_row(road, &row, shape);
            let made = made.into_iter().map(|made| made.map(|(written, _)| written.row)).collect();
            return Ok(Some((row, made)));
        }
    }
    Ok(None)
}

/// The number that a worker gives instead of its batch's when it breaks down.
const PANICKED: u64 = u64::MAX;

/// Tells the writer that no batch will come, so that nobody waits for it.
struct Alarm<'a>(&'a Sender<(u64, Done)>);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Where nobody listens nobody waits.
            let _ = self.0.send((PANICKED, Done { came: Vec::new(), arrays: None, places: 0 }));
        }
    }
}

/// What a worker does until there is no more work.
fn work_off(
    road: &ConvertRoad,
    in_memory: bool,
    batches: &Receiver<(u64, Batch)>,
    finished: &Sender<(u64, Done)>,
) {
    let _alarm = Alarm(finished);
    for (number, batch) in batches {
        let places = batch.places();
        let mut arrays = in_memory.then(|| Ok(ObjectBuilder::default()));
        let came = batch.items.into_iter().map(|item| work(road, item, arrays.as_mut())).collect();
        let arrays = arrays.map(|built| built.map(|mut built| built.finish()));
        // Nobody listens any more when the run was broken off.
        if finished.send((number, Done { came, arrays, places })).is_err() {
            return;
        }
    }
}

/// What becomes of an item; its rows go to `arrays` where they stay in memory, as long as they fit.
fn work(road: &ConvertRoad, item: Item, mut arrays: Option<&mut Result<ObjectBuilder, Mixed>>) -> Came {
    let (Format { shape, has_cells, is_tabbed }, bytes) = match &item {
        Ok(entry) => (entry.format, size(&entry.raw)),
        Err(reject) => return Came::Unread(reject.clone()),
    };
    let row = match item.and_then(|entry| parse(entry.raw, has_cells, is_tabbed)) {
        Ok(row) => row,
        // What is JSON and not the row that it should be was read, and is told from what could not be.
        Err(reject) if reject.reason.stage() == Stage::Convert => {
            return Came::Row { shape, made: vec![Err(reject)] };
        }
        Err(reject) => return Came::Unread(reject),
    };
    let made = convert_row(road, &row, shape).into_iter().map(|made| {
        let (written, mut losses) = made?;
        let mut dropped = written.dropped;
        if road.is_table {
            // A table has the shape's own columns alone.
            let has_no_column = |key: &&String| !road.to.columns().contains(&key.as_str());
            dropped.extend(written.row.keys().filter(has_no_column).cloned());
            if !dropped.is_empty() && !losses.contains(&Loss::Extra) {
                losses.push(Loss::Extra);
            }
        }
        let object = match &mut arrays {
            None => ObjectWriter::row(&written.row, road.to.columns(), road.is_table, bytes),
            Some(arrays) => {
                if let Ok(built) = arrays
                    && let Err(mixed) = built.push(&written.row)
                {
                    **arrays = Err(mixed);
                }
                ObjectRow::InBatch
            }
        };
        Ok(Made { row: object, losses, dropped, origin: row.origin.clone() })
    });
    Came::Row { shape, made: made.collect() }
}

/// Counts what became of an item, and writes it.
fn account(road: &ConvertRoad, came: Came, ledger: &mut Ledger, writer: &mut ObjectWriter) -> Result<()> {
    ledger.enter(Stage::Read, 1);
    let (shape, made) = match came {
        Came::Unread(reject) => {
            ledger.reject(reject.reason, None);
            return writer.reject(&reject);
        }
        Came::Row { shape, made } => (shape, made),
    };
    ledger.leave(Stage::Read);
    ledger.enter(Stage::Convert, made.len() as u64);
    let set = ledger.set(shape.name);
    set.rows += 1;
    set.expected += made.len() as u64;
    for (made, place) in made.into_iter().zip(0..) {
        match made {
            Ok(Made { row, losses, dropped, origin }) => {
                if road.strict && !losses.is_empty() {
                    return Err(lossy(road, &origin, &losses, &dropped));
                }
                for loss in losses {
                    if loss == Loss::Extra && !dropped.is_empty() {
                        continue;
                    }
                    *ledger.losses.entry(loss.word().to_owned()).or_default() += 1;
                }
                for key in dropped {
                    // Keys may be as many as rows, where they are values by mistake.
                    let named = format!("{}:{key}", Loss::Extra.word());
                    let is_known = ledger.losses.contains_key(&named) || ledger.losses.len() < MOST_LOSSES;
                    let word = if is_known { named } else { Loss::Extra.word().to_owned() };
                    *ledger.losses.entry(word).or_default() += 1;
                }
                ledger.leave(Stage::Convert);
                ledger.enter(Stage::Write, 1);
                ledger.leave(Stage::Write);
                ledger.set(shape.name).kept += 1;
                writer.push(&row)?;
                writer.origin(&origin, shape.name, place)?;
            }
            Err(reject) => {
                ledger.reject(reject.reason, None);
                ledger.set(shape.name).reject(reject.reason);
                writer.reject(&reject)?;
            }
        }
    }
    Ok(())
}

/// The error of a row that loses something where nothing may be lost.
fn lossy(road: &ConvertRoad, origin: &Origin, losses: &[Loss], dropped: &[String]) -> Error {
    let row = origin.row.map_or(String::new(), |row| format!("row {row} of "));
    let part = |loss: &Loss| match loss {
        Loss::Extra if !dropped.is_empty() => {
            let keys: Vec<String> = dropped.iter().map(|key| format!("`{key}`")).collect();
            format!("{}: the keys {}", loss.word(), keys.join(", "))
        }
        loss => format!("{}: {}", loss.word(), loss.about()),
    };
    let parts: Vec<String> = losses.iter().map(part).collect();
    Error::input(format!("{row}`{}` holds what `{}` has no place for", origin.source, road.to.name))
        .because(parts.join("\n"))
        .with_hint("leave out --strict, and such parts are dropped and counted")
}
