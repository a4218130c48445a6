//! The road from one shape to another: rows are read, become records, and these become rows again.
//!
//! One thread cuts files into rows, others parse and convert them, and a third kind writes, in batches that are put
//! back into the order of the rows.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};
use serde_json::{Map, Value};

use super::Ended;
use crate::convert::view::View;
use crate::convert::{
    self, Detected, Finding, LOOKED_AT, Loss, Misfit, Record, SHAPES, Shape, Written, check, detect,
    first_error, shape_of,
};
use crate::error::{Error, Result};
use crate::ledger::Ledger;
use crate::record::{Origin, Row};
use crate::reject::{Reason, Reject, Stage};
use crate::sink::{ObjectRow, ObjectWriter};
use crate::source::{self, Kind, RawRow, RawRows, SourceFile};

/// A batch ends after this many rows …
const BATCH_ROWS: usize = 256;
/// … or after about this many bytes of text, so that long lines don't fill the memory.
const BATCH_BYTES: usize = 4 << 20;

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

/// The shape that a file's rows are read as.
#[derive(Clone, Debug, PartialEq)]
pub struct FileShape {
    /// The file's name.
    pub file: Arc<str>,
    /// What was found out; none where the shape was given, or where the file has no row.
    pub detected: Option<Detected>,
}

/// A row as it was read, with the shape that its file is read as.
struct Entry {
    raw: RawRow,
    format: Format,
}

/// How the rows of a file become objects, and which shape these have.
#[derive(Clone, Copy)]
struct Format {
    shape: &'static Shape,
    /// Whether a number was made of a cell that stands for one.
    has_cells: bool,
    /// Whether a line is two texts with a tab between them, as in CrossFit's files.
    is_tabbed: bool,
}

type Item = Result<Entry, Reject>;

/// Rows that go their way together.
struct Batch {
    items: Vec<Item>,
    bytes: usize,
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
    let ended = std::thread::scope(|scope| {
        // Both ends here end with this function, and with them the other threads.
        let (results, leave) = (results, leave);
        for _ in 0..threads.get() {
            let (batches, finished) = (batches.clone(), finished.clone());
            scope.spawn(move || work_off(road, &batches, &finished));
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
                let Done { came, places } = waiting.pop_front().flatten().expect("it was looked at above");
                left += 1;
                for came in came {
                    account(road, came, &mut ledger, writer)?;
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
    looked_at: VecDeque<Result<RawRow, Reject>>,
    rows: RawRows,
    has_cells: bool,
    is_tabbed: bool,
    shape: Option<&'static Shape>,
}

impl<'a> Entries<'a> {
    fn new(road: &'a ConvertRoad, files: Vec<SourceFile>) -> Self {
        Self { road, files: files.into_iter(), current: None, found: Vec::new(), taken: 0 }
    }

    /// The next rows; none when there are no more.
    fn batch(&mut self) -> Result<Batch> {
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
fn parse(raw: RawRow, has_cells: bool, is_tabbed: bool) -> Result<Row, Reject> {
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
fn size(raw: &RawRow) -> usize {
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

/// The number that a worker gives instead of its batch's when it breaks down.
const PANICKED: u64 = u64::MAX;

/// Tells the writer that no batch will come, so that nobody waits for it.
struct Alarm<'a>(&'a Sender<(u64, Done)>);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Where nobody listens nobody waits.
            let _ = self.0.send((PANICKED, Done { came: Vec::new(), places: 0 }));
        }
    }
}

/// What a worker does until there is no more work.
fn work_off(road: &ConvertRoad, batches: &Receiver<(u64, Batch)>, finished: &Sender<(u64, Done)>) {
    let _alarm = Alarm(finished);
    for (number, batch) in batches {
        let places = batch.places();
        let came = batch.items.into_iter().map(|item| work(road, item)).collect();
        // Nobody listens any more when the run was broken off.
        if finished.send((number, Done { came, places })).is_err() {
            return;
        }
    }
}

fn work(road: &ConvertRoad, item: Item) -> Came {
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
        let object = ObjectWriter::row(&written.row, road.to.columns(), road.is_table, bytes);
        Ok(Made { row: object, losses, dropped, origin: row.origin.clone() })
    });
    Came::Row { shape, made: made.collect() }
}

/// The rows of the new shape that a row becomes.
fn convert_row(road: &ConvertRoad, row: &Row, shape: &Shape) -> Vec<Result<(Written, Vec<Loss>), Reject>> {
    let mut made = Vec::new();
    let mut records = Vec::new();
    let instance = |index: usize| Some(format!("/{}/{index}", shape.instances()?));
    for (index, read) in shape.read(&row.fields).into_iter().enumerate() {
        let found =
            read.map_err(|misfit| other_shape(row, shape, misfit)).and_then(|record| {
                match first_error(&record, shape) {
                    None => Ok(record),
                    Some(finding) => Err(Misfit {
                        reason: finding.reason.expect("an error has a reason"),
                        path: instance(index).unwrap_or(finding.path),
                        message: finding.message,
                    }),
                }
            });
        match found {
            Ok(record) => records.extend(road.to.parts(record).into_iter().map(|part| (index, part))),
            Err(misfit) => made.push(Err(reject(row, shape, &misfit))),
        }
    }
    let written = |written: Result<Written, Misfit>, index: usize| match written {
        Ok(written) => {
            let losses = written.losses.kinds();
            Ok((written, losses))
        }
        Err(misfit) => {
            let path = instance(index).unwrap_or(misfit.path);
            Err(reject(row, shape, &Misfit { path, ..misfit }))
        }
    };
    if road.to.is_task() {
        let (indices, records): (Vec<usize>, Vec<Record>) = records.into_iter().unzip();
        let mut before = 0;
        for task in records.chunk_by(|a, b| a.task == b.task) {
            made.push(written(road.to.write_task(task), indices[before]));
            before += task.len();
        }
    } else {
        let write = |record: &Record| match &road.view {
            Some(view) => view.write(record),
            None => road.to.write(record),
        };
        made.extend(records.iter().map(|(index, record)| written(write(record), *index)));
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
fn reject(row: &Row, shape: &Shape, misfit: &Misfit) -> Reject {
    let mut steps = misfit.path.split('/').skip(1);
    let part = match (steps.next(), steps.next().and_then(|index| index.parse::<usize>().ok())) {
        (Some(key), Some(index)) if shape.instances() == Some(key) => {
            row.fields.get(key).and_then(|all| all.get(index))
        }
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
    let road =
        ConvertRoad { from, to: &SHAPES[0], view: None, strict: false, is_table: false, limit: u64::MAX };
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
