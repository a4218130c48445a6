//! The road from one shape to another: rows are read, become records, and these become rows again.
//!
//! One thread reads and writes; others convert, in batches that are put back into the order of the rows.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};
use serde_json::{Map, Value};

use super::Ended;
use crate::convert::{
    Detected, Finding, LOOKED_AT, Loss, Misfit, Record, SHAPES, Shape, Written, check, detect, first_error,
    shape_of,
};
use crate::error::{Error, Result};
use crate::ledger::Ledger;
use crate::record::{Origin, Row};
use crate::reject::{Reason, Reject, Stage};
use crate::sink::{ObjectRow, ObjectWriter};
use crate::source::{self, Kind, LabelledRows, SourceFile};

/// A batch ends after this many rows …
const BATCH_ROWS: usize = 256;
/// … or after about this many bytes of text, so that long lines don't fill the memory.
const BATCH_BYTES: usize = 4 << 20;

/// Keys without a place are counted by their names as long as there are no more than so many.
const MOST_LOSSES: usize = 60;

/// What is made of each row.
#[derive(Clone, Copy, Debug)]
pub struct ConvertRoad {
    /// The shape of all rows; none where each file's is found out.
    pub from: Option<&'static Shape>,
    /// The shape that they get.
    pub to: &'static Shape,
    /// Whether a part that the new shape can't carry ends the run.
    pub strict: bool,
    /// Whether the output is a table of texts.
    pub is_table: bool,
    /// The most rows read of all files.
    pub limit: u64,
}

/// The shape that a file's rows are read as.
#[derive(Clone, Debug, PartialEq)]
pub struct FileShape {
    /// The file's name.
    pub file: Arc<str>,
    /// What was found out; none where the shape was given, or where the file has no row.
    pub detected: Option<Detected>,
}

/// A row with the shape that its file is read as.
struct Entry {
    row: Row,
    shape: &'static Shape,
}

type Item = Result<Entry, Reject>;

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
    let (work, batches) = bounded::<(u64, Vec<Item>)>(2 * threads.get());
    let (finished, results) = bounded::<(u64, Vec<Came>)>(4 * threads.get());
    let ended = std::thread::scope(|scope| {
        for _ in 0..threads.get() {
            let (batches, finished) = (batches.clone(), finished.clone());
            scope.spawn(move || work_off(road, &batches, &finished));
        }
        drop((batches, finished));
        // The sender lives in here, so that every way out lets the workers end.
        let work = work;
        let mut exhausted = false;
        let mut waiting: VecDeque<Option<Vec<Came>>> = VecDeque::new();
        // How many batches have been written: the number of the first one that waits.
        let mut left = 0;
        loop {
            while !exhausted && waiting.len() < 2 * threads.get() {
                let batch = entries.batch()?;
                exhausted = batch.is_empty();
                if !exhausted {
                    let number = left + waiting.len() as u64;
                    waiting.push_back(None);
                    work.send((number, batch)).expect("workers end only when there is no more work");
                }
            }
            while let Some(Some(_)) = waiting.front() {
                let batch = waiting.pop_front().flatten().expect("it was looked at above");
                left += 1;
                for came in batch {
                    account(road, came, &mut ledger, writer)?;
                }
                if watch(&ledger).is_break() {
                    return Ok(Ended::Interrupted);
                }
            }
            if waiting.is_empty() {
                if exhausted {
                    return Ok::<_, Error>(Ended::Whole);
                }
                continue;
            }
            let (number, batch) = results.recv().expect("every batch comes back");
            let place = usize::try_from(number - left).expect("the batches that wait are in memory");
            waiting[place] = Some(batch);
        }
    })?;
    Ok((ledger, ended, entries.found))
}

/// What rows would come to.
pub type Preview = Vec<Result<Map<String, Value>, Reject>>;

/// What the first rows of `files` would come to, and the shapes of the files that were opened for it.
///
/// # Errors
/// As [`convert`].
pub fn preview(road: &ConvertRoad, files: Vec<SourceFile>, most: usize) -> Result<(Preview, Vec<FileShape>)> {
    let mut entries = Entries::new(road, files);
    let mut rows = Vec::new();
    while rows.len() < most
        && let Some(item) = entries.next()?
    {
        match item {
            Err(reject) => rows.push(Err(reject)),
            Ok(entry) => rows.extend(
                convert_row(road, &entry).into_iter().map(|made| made.map(|(written, _)| written.row)),
            ),
        }
    }
    rows.truncate(most);
    Ok((rows, entries.found))
}

/// The rows of all files, each with the shape of its file.
struct Entries<'a> {
    road: &'a ConvertRoad,
    files: std::vec::IntoIter<SourceFile>,
    current: Option<Current>,
    found: Vec<FileShape>,
    taken: u64,
}

struct Current {
    /// Rows that were read to find out their shape.
    looked_at: VecDeque<Result<Row, Reject>>,
    rows: LabelledRows,
    /// Whether a number was made of a cell that stands for one.
    has_cells: bool,
    shape: Option<&'static Shape>,
}

impl<'a> Entries<'a> {
    fn new(road: &'a ConvertRoad, files: Vec<SourceFile>) -> Self {
        Self { road, files: files.into_iter(), current: None, found: Vec::new(), taken: 0 }
    }

    /// The next rows; none when there are no more.
    fn batch(&mut self) -> Result<Vec<Item>> {
        let mut batch = Vec::with_capacity(BATCH_ROWS);
        let mut bytes = 0;
        while batch.len() < BATCH_ROWS && bytes < BATCH_BYTES {
            let Some(item) = self.next()? else { break };
            bytes += match &item {
                Ok(entry) => entry.row.fields.values().map(weight).sum(),
                Err(reject) => reject.raw.len(),
            };
            batch.push(item);
        }
        Ok(batch)
    }

    fn next(&mut self) -> Result<Option<Item>> {
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
            return Ok(Some(match read {
                Ok(row) => {
                    self.taken += 1;
                    let shape = current.shape.expect("a file with rows has a shape, or is refused");
                    Ok(Entry { row, shape })
                }
                Err(reject) => Err(reject),
            }));
        }
    }
}

impl Current {
    fn open(road: &ConvertRoad, file: SourceFile) -> Result<(Self, FileShape)> {
        let has_cells = matches!(file.kind, Kind::Csv | Kind::Tsv);
        let name = Arc::clone(&file.name);
        let rows = source::open_rows(vec![file])?;
        let mut current = Self { looked_at: VecDeque::new(), rows, has_cells, shape: road.from };
        let mut found = FileShape { file: Arc::clone(&name), detected: None };
        if road.from.is_some() {
            return Ok((current, found));
        }
        let mut bytes = 0;
        while current.looked_at.len() < LOOKED_AT && bytes < 4 * BATCH_BYTES {
            let Some(read) = current.read() else { break };
            bytes += read.as_ref().map_or(0, |row| row.fields.values().map(weight).sum());
            current.looked_at.push_back(read);
        }
        let rows: Vec<&Row> = current.looked_at.iter().filter_map(|read| read.as_ref().ok()).collect();
        found.detected = detect(rows.iter().map(|row| (row.origin.row.unwrap_or(0), &row.fields)));
        if found.detected.is_none() && !rows.is_empty() {
            return Err(unknown(&name, rows[0]));
        }
        current.shape = found.detected.as_ref().map(|detected| detected.shape);
        // Rows that could not be read came first; what follows them, if anything, has no known shape.
        if current.shape.is_none() && current.looked_at.len() == LOOKED_AT {
            let message = format!("none of the first {LOOKED_AT} rows of `{name}` can be read");
            return Err(Error::input(message).with_hint("`--from` says which shape the others have"));
        }
        Ok((current, found))
    }

    fn next(&mut self) -> Option<Result<Row, Reject>> {
        self.looked_at.pop_front().or_else(|| self.read())
    }

    fn read(&mut self) -> Option<Result<Row, Reject>> {
        let mut read = self.rows.next()?;
        if let (true, Ok(row)) = (self.has_cells, &mut read) {
            // A cell that reads like an integer became one; shapes know texts.
            for value in row.fields.values_mut() {
                if let Value::Number(number) = value {
                    *value = number.to_string().into();
                }
            }
        }
        Some(read)
    }
}

/// The error of a file whose rows have no known shape.
fn unknown(file: &str, row: &Row) -> Error {
    let keys: Vec<String> = row.fields.keys().take(20).map(|key| format!("`{key}`")).collect();
    Error::input(format!("the rows of `{file}` have no shape that is known"))
        .because(format!("the first row has the keys {}", keys.join(", ")))
        .with_hint("`instil list shapes` shows what is known, and `--from` names one of them")
}

/// About how many bytes a value takes.
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

/// What a worker does until there is no more work.
fn work_off(road: &ConvertRoad, batches: &Receiver<(u64, Vec<Item>)>, finished: &Sender<(u64, Vec<Came>)>) {
    for (number, batch) in batches {
        let came = batch.into_iter().map(|item| work(road, item)).collect();
        // Nobody listens any more when the run was broken off.
        if finished.send((number, came)).is_err() {
            return;
        }
    }
}

fn work(road: &ConvertRoad, item: Item) -> Came {
    let entry = match item {
        Ok(entry) => entry,
        Err(reject) => return Came::Unread(reject),
    };
    let made = convert_row(road, &entry).into_iter().map(|made| {
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
        let row = ObjectWriter::row(&written.row, road.to.columns(), road.is_table);
        Ok(Made { row, losses, dropped, origin: entry.row.origin.clone() })
    });
    Came::Row { shape: entry.shape, made: made.collect() }
}

/// The rows of the new shape that a row becomes.
fn convert_row(road: &ConvertRoad, entry: &Entry) -> Vec<Result<(Written, Vec<Loss>), Reject>> {
    let Entry { row, shape } = entry;
    let mut made = Vec::new();
    let mut records = Vec::new();
    for (index, read) in shape.read(&row.fields).into_iter().enumerate() {
        let found =
            read.map_err(|misfit| other_shape(row, shape, misfit)).and_then(|record| {
                match first_error(&record, shape) {
                    None => Ok(record),
                    Some(finding) => Err(Misfit {
                        reason: finding.reason.expect("an error has a reason"),
                        path: if shape.is_task() { format!("/Instances/{index}") } else { finding.path },
                        message: finding.message,
                    }),
                }
            });
        match found {
            Ok(record) => records.push((index, record)),
            Err(misfit) => made.push(Err(reject(row, &misfit))),
        }
    }
    let written = |written: Result<Written, Misfit>, index: usize| match written {
        Ok(written) => {
            let losses = written.losses.kinds();
            Ok((written, losses))
        }
        Err(misfit) if shape.is_task() => {
            Err(reject(row, &Misfit { path: format!("/Instances/{index}"), ..misfit }))
        }
        Err(misfit) => Err(reject(row, &misfit)),
    };
    if road.to.is_task() {
        let (indices, records): (Vec<usize>, Vec<Record>) = records.into_iter().unzip();
        let mut before = 0;
        for task in records.chunk_by(|a, b| a.task == b.task) {
            made.push(written(road.to.write_task(task), indices[before]));
            before += task.len();
        }
    } else {
        made.extend(records.iter().map(|(index, record)| written(road.to.write(record), *index)));
    }
    made
}

/// A row that isn't of its file's shape, but of another one, is said to be that.
fn other_shape(row: &Row, shape: &Shape, misfit: Misfit) -> Misfit {
    if shape.fits(&row.fields) {
        return misfit;
    }
    match shape_of(&row.fields) {
        Some(other) => Misfit {
            reason: Reason::OtherShape,
            path: String::new(),
            message: format!("it is a row of `{}`, and its file is read as `{}`", other.name, shape.name),
        },
        None => misfit,
    }
}

/// A reject with what is wrong and the row as it was read; of a task's file, which may be large, its instance alone.
fn reject(row: &Row, misfit: &Misfit) -> Reject {
    let mut steps = misfit.path.split('/').skip(1);
    let part = match (steps.next(), steps.next().and_then(|index| index.parse::<usize>().ok())) {
        (Some("Instances"), Some(index)) => row.fields.get("Instances").and_then(|all| all.get(index)),
        _ => None,
    };
    let raw = match part {
        Some(part) => part.to_string(),
        None => serde_json::to_string(&row.fields).expect("fields are JSON"),
    };
    Reject::read(misfit.reason, row.origin.clone(), format!("{misfit}: {raw}"))
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
    for made in made {
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

/// A row that was looked at, and what is wrong with it.
#[derive(Debug)]
pub struct Checked<'a> {
    /// Where it was read.
    pub origin: &'a Origin,
    /// The row, where it could be read as an object.
    pub row: Option<Value>,
    /// What is wrong with it, by its place.
    pub findings: Vec<Finding>,
}

/// Looks at every row of a file or folder; gives the shapes that were found out.
///
/// # Errors
/// When there is no such file, or rows of no known shape.
pub fn check_files(
    input: &str,
    from: Option<&str>,
    each: &mut dyn FnMut(Checked<'_>),
) -> Result<Vec<FileShape>> {
    let from = from.map(Shape::parse).transpose()?;
    // Nothing is written, so any shape will do for the road's end.
    let road = ConvertRoad { from, to: &SHAPES[0], strict: false, is_table: false, limit: u64::MAX };
    let mut entries = Entries::new(&road, source::resolve(&[input.to_owned()])?);
    while let Some(item) = entries.next()? {
        match item {
            Err(reject) => {
                let finding = Finding {
                    code: reject.reason.word(),
                    reason: Some(reject.reason),
                    path: String::new(),
                    message: reject.raw,
                    hint: reject.reason.about(),
                };
                each(Checked { origin: &reject.origin, row: None, findings: vec![finding] });
            }
            Ok(Entry { row, shape }) => {
                let mut findings = Vec::new();
                for read in shape.read(&row.fields) {
                    match read.map_err(|misfit| other_shape(&row, shape, misfit)) {
                        Ok(record) => findings.extend(check(&record, shape)),
                        Err(misfit) => findings.push(Finding {
                            code: misfit.reason.word(),
                            reason: Some(misfit.reason),
                            path: misfit.path,
                            message: misfit.message,
                            hint: misfit.reason.about(),
                        }),
                    }
                }
                each(Checked { origin: &row.origin, row: Some(Value::Object(row.fields)), findings });
            }
        }
    }
    Ok(entries.found)
}
