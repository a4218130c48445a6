//! The road from labelled rows: drawn, lifted where they come rendered, put into templates, parsed,
//! checked and written.
//!
//! Rows are read by one thread, worked on by others and written by a third kind, in batches that are put
//! back into the order of the rows; every choice is a function of the seed and of the row, so that the output
//! depends on the recipe alone.

mod account;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};
use serde_json::{Map, Value};

use super::Ended;
use crate::draw::{Selection, Splits, copies, split_of};
use crate::error::{Error, Result, nearest};
use crate::ledger::Ledger;
use crate::prompt::bonito;
use crate::record::{Example, Origin, Provenance, Role, Row, Turn};
use crate::reject::{Reason, Reject, Stage};
use crate::rng::{hex_of, seed_of};
use crate::shuffle::Shuffle;
use crate::sink::Writer;
use crate::source::TEXT_NAMES;
use crate::source::adapter::RenderedColumns;
use crate::task::Task;
use crate::template::engine::{Compiled, Fields};
use crate::template::remix::{self, Inverted, PairFault};
use crate::template::rendered::{Lifters, Witness};
use account::Account;

/// Rows of a batch: enough that handing it over costs nothing, few enough that memory stays flat.
const BATCH: usize = 256;
/// Bytes of a batch, with everything that is to be made of its rows, at which it is handed over.
const BATCH_BYTES: usize = 1 << 20;

/// The templates of each dataset, by its key.
pub type Templates = HashMap<Arc<str>, Vec<Prepared>>;

/// What is made of each row: a recipe with its names looked up and its templates compiled.
pub struct RowsRoad {
    /// The templates of each dataset.
    pub templates: Templates,
    /// How often each row is taken.
    pub quotas: Quotas,
    /// Reads rendered rows backwards.
    pub lifters: Lifters,
    /// Whether every template makes an example of a row, or a random one.
    pub all_templates: bool,
    /// Whether to follow the published construction: a template is drawn whether the row fits it or not.
    pub reference: bool,
    /// Which passages go to which split.
    pub splits: Splits,
    /// The seed that every random choice comes from.
    pub seed: u64,
}

/// A template ready to be used.
pub struct Prepared {
    /// Its name.
    pub name: Arc<str>,
    /// What it teaches.
    pub task: Task,
    /// What it is when it is rendered.
    pub compiled: Compiled,
    /// How its parts make a pair, where it is turned inside out.
    pub inverted: Option<Inverted>,
    /// The fields that its passage is made of, where that is known.
    pub passage: BTreeSet<String>,
}

/// How often each row of a dataset is taken.
#[derive(Clone, Debug, Default)]
pub struct Quotas {
    /// Rows of each dataset, counted beforehand where a cap has to choose among them.
    pub counts: HashMap<Arc<str>, u64>,
    /// The most rows of each dataset.
    pub cap: Option<u64>,
    /// How often a row that is taken is taken, by dataset; 1 where nothing is said.
    pub weights: BTreeMap<String, f64>,
}

/// The quota of one dataset, as far as it is used up.
struct Quota {
    selection: Option<Selection>,
    weight: f64,
    seed: u64,
    ordinal: u64,
}

impl Quotas {
    fn of(&self, dataset: &str, seed: u64) -> Quota {
        let count = self.counts.get(dataset).copied().unwrap_or(0);
        Quota {
            selection: self.cap.map(|cap| Selection::new(count, cap, seed_of(seed, &["cap", dataset]))),
            weight: self.weights.get(dataset).copied().unwrap_or(1.0),
            seed: seed_of(seed, &["weight", dataset]),
            ordinal: 0,
        }
    }
}

impl Quota {
    /// How often the next row is taken.
    fn next(&mut self) -> u32 {
        let is_taken = self.selection.as_mut().is_none_or(Selection::take);
        let ordinal = self.ordinal;
        self.ordinal += 1;
        if is_taken { copies(self.weight, self.seed, ordinal) } else { 0 }
    }
}

/// A labelled row, or the columns of one that comes rendered.
pub struct Entry {
    /// The row as it was read.
    pub row: Row,
    /// Where prompt, completion and template stand in it, if it comes rendered.
    pub rendered: Option<RenderedColumns>,
}

/// A row on its way: read, and taken so often.
struct Taken {
    entry: Entry,
    dataset: Arc<str>,
    copies: u32,
    /// The field that is taken for the passage where no template says which it is.
    passage: Option<Arc<str>>,
}

type Item = Result<Taken, Reject>;

/// What became of an item.
enum Came {
    /// It could not be read.
    Unread(Reject),
    /// It was read, and taken so often.
    Row { dataset: Arc<str>, copies: Vec<Copy> },
}

/// What became of one taking of a row: of each template that it was put into.
enum Copy {
    NotLifted(Reject),
    Made(Vec<Made>),
}

/// An example, or why there is none.
type Made = Result<MadeExample, Reject>;

struct MadeExample {
    example: Box<Example>,
    /// The index of its split.
    split: usize,
    /// Of its prompt and completion.
    hash: u64,
}

/// Sends `rows` down the road.
///
/// `watch` sees the ledger after each batch and can break off. With `shuffle` the examples are written in
/// a random order, and what doesn't fit into memory waits in its folder.
///
/// # Errors
/// When the output can't be written. Troubles of single rows are rejects.
pub fn from_rows(
    road: &RowsRoad,
    mut rows: impl Iterator<Item = Result<Entry, Reject>> + Send,
    threads: NonZeroUsize,
    shuffle: Option<Shuffle>,
    writer: &mut Writer,
    watch: &mut dyn FnMut(&Ledger) -> ControlFlow<()>,
) -> Result<(Ledger, Ended)> {
    let mut account = Account {
        ledger: Ledger::of(&Stage::FROM_ROWS),
        seen: (!road.reference).then(HashSet::new),
        shuffle,
        writer,
    };
    let (work, batches) = bounded::<(u64, Vec<Item>)>(2 * threads.get());
    let (finished, results) = bounded::<(u64, Vec<Came>)>(4 * threads.get());
    // One place for each batch between reader and writer: so many are in memory, however long one of them
    // takes.
    let (enter, leave) = bounded::<()>(4 * threads.get());
    let ended = std::thread::scope(|scope| {
        // Both ends here end with this function, and with them the other threads.
        let (results, leave) = (results, leave);
        for _ in 0..threads.get() {
            let (batches, finished) = (batches.clone(), finished.clone());
            scope.spawn(move || work_off(road, &batches, &finished));
        }
        drop((batches, finished));
        scope.spawn(move || {
            let mut line = Line::new(&mut rows, road);
            for number in 0.. {
                if line.exhausted || enter.send(()).is_err() || work.send((number, line.batch())).is_err() {
                    return;
                }
            }
        });
        let mut waiting: VecDeque<Option<Vec<Came>>> = VecDeque::new();
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
                let batch = waiting.pop_front().flatten().expect("it was looked at above");
                left += 1;
                for came in batch {
                    account.settle(came)?;
                }
                leave.recv().expect("every batch took a place");
                if watch(&account.ledger).is_break() {
                    return Ok(Ended::Interrupted);
                }
            }
        }
        Ok(Ended::Whole)
    });
    let ended = ended?;
    let Account { ledger, shuffle, writer, .. } = account;
    if let (Ended::Whole, Some(shuffle)) = (ended, shuffle) {
        for record in shuffle.finish()? {
            let (split, example): (usize, Example) = serde_json::from_slice(&record?)
                .map_err(|e| Error::output("failed to read shuffled rows back").because(e))?;
            writer.example(&example, split)?;
        }
    }
    Ok((ledger, ended))
}

/// What a row comes to when it is taken for the time `copy`, counted from 0.
pub fn preview(road: &RowsRoad, entry: Result<Entry, Reject>, copy: u32) -> Vec<Result<Example, Reject>> {
    let item = entry.map(|entry| {
        let dataset = entry.row.dataset.clone().unwrap_or_else(|| "".into());
        Taken { entry, dataset, copies: copy + 1, passage: None }
    });
    match work(road, item) {
        Came::Unread(reject) => vec![Err(reject)],
        Came::Row { copies, .. } => copies
            .into_iter()
            .skip(copy as usize)
            .flat_map(|copy| match copy {
                Copy::NotLifted(reject) => vec![Err(reject)],
                Copy::Made(made) => made,
            })
            .map(|made| made.map(|made| *made.example))
            .collect(),
    }
}

/// Rows on their way to the workers.
struct Line<'a, I> {
    rows: &'a mut I,
    road: &'a RowsRoad,
    sets: HashMap<Arc<str>, OfSet>,
    exhausted: bool,
}

/// What holds for the rows of one dataset.
struct OfSet {
    quota: Quota,
    passage: Option<Arc<str>>,
    /// How many examples may be made of one taking of a row.
    templates: usize,
}

impl<'a, I: Iterator<Item = Result<Entry, Reject>>> Line<'a, I> {
    fn new(rows: &'a mut I, road: &'a RowsRoad) -> Self {
        Self { rows, road, sets: HashMap::new(), exhausted: false }
    }

    fn batch(&mut self) -> Vec<Item> {
        let (mut batch, mut bytes) = (Vec::with_capacity(BATCH), 0);
        while batch.len() < BATCH && bytes < BATCH_BYTES {
            match self.rows.next() {
                Some(Ok(entry)) => {
                    let size = size(&entry.row.fields);
                    let (taken, templates) = self.take(entry);
                    bytes += size * templates * taken.copies.max(1) as usize;
                    batch.push(Ok(taken));
                }
                Some(Err(reject)) => {
                    bytes += reject.raw.len();
                    batch.push(Err(reject));
                }
                None => {
                    self.exhausted = true;
                    break;
                }
            }
        }
        batch
    }

    /// The row with what is to be done with it, and how many examples that may make each time.
    fn take(&mut self, entry: Entry) -> (Taken, usize) {
        let dataset = entry.row.dataset.clone().unwrap_or_else(|| "".into());
        if !self.sets.contains_key(&dataset) {
            let templates = self.road.templates.get(&dataset).map_or(1, Vec::len);
            let of_set = OfSet {
                quota: self.road.quotas.of(&dataset, self.road.seed),
                passage: longest_text(&entry.row.fields),
                templates: if self.road.all_templates { templates } else { 1 },
            };
            self.sets.insert(Arc::clone(&dataset), of_set);
        }
        let of_set = self.sets.get_mut(&dataset).expect("it was put there above");
        let taken = Taken { entry, dataset, copies: of_set.quota.next(), passage: of_set.passage.clone() };
        (taken, of_set.templates)
    }
}

/// Bytes of text in a row, near enough.
fn size(fields: &Map<String, Value>) -> usize {
    fn of(value: &Value) -> usize {
        match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(of).sum(),
            Value::Object(fields) => size(fields),
            Value::Null | Value::Bool(_) | Value::Number(_) => 8,
        }
    }
    fields.iter().map(|(name, value)| name.len() + of(value)).sum()
}

/// The field of a dataset's first row that is taken for the passage where no template says which it is:
/// the one that is named like a text, else the longest.
fn longest_text(fields: &Map<String, Value>) -> Option<Arc<str>> {
    let is_text = |name: &&&str| fields.get(**name).is_some_and(Value::is_string);
    let named = TEXT_NAMES.iter().find(is_text).map(|name| (*name).into());
    let texts = fields.iter().filter_map(|(name, value)| Some((name, value.as_str()?.len())));
    named.or_else(|| texts.max_by_key(|(_, length)| *length).map(|(name, _)| name.as_str().into()))
}

/// The number that a worker gives instead of its batch's when it breaks down.
const PANICKED: u64 = u64::MAX;

/// Tells the writer that no batch will come, so that nobody waits for it.
struct Alarm<'a>(&'a Sender<(u64, Vec<Came>)>);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Where nobody listens nobody waits.
            let _ = self.0.send((PANICKED, Vec::new()));
        }
    }
}

/// What a worker does until there is no more work.
fn work_off(road: &RowsRoad, batches: &Receiver<(u64, Vec<Item>)>, finished: &Sender<(u64, Vec<Came>)>) {
    let _alarm = Alarm(finished);
    for (number, batch) in batches {
        let came = batch.into_iter().map(|item| work(road, item)).collect();
        // Nobody listens any more when the run was broken off.
        if finished.send((number, came)).is_err() {
            return;
        }
    }
}

fn work(road: &RowsRoad, item: Item) -> Came {
    let Taken { entry: Entry { mut row, rendered }, dataset, copies, passage } = match item {
        Ok(taken) => taken,
        Err(reject) => return Came::Unread(reject),
    };
    if copies == 0 {
        return Came::Row { dataset, copies: Vec::new() };
    }
    let facts = RowFacts::of(&row, &dataset, rendered.is_some());
    let mut witness = None;
    // What no template would be found for needn't be read backwards.
    if let Some(columns) = rendered.filter(|_| road.templates.contains_key(&dataset)) {
        match road.lifters.lift(&row, columns) {
            Ok(told) => (row.fields, witness) = (told.fields, told.witness),
            Err((reason, why)) => {
                let not_lifted = || Copy::NotLifted(facts.reject(reason, None, why.clone()));
                return Came::Row { dataset, copies: (0..copies).map(|_| not_lifted()).collect() };
            }
        }
    }
    let facts = facts.with_passage_of(&row, road, passage.as_deref());
    let copies =
        (0..copies).map(|copy| Copy::Made(put(road, &facts, &row, witness.as_ref(), copy))).collect();
    Came::Row { dataset, copies }
}

/// What is known of a row whatever is made of it.
struct RowFacts<'a> {
    id: Arc<str>,
    origin: Origin,
    number: String,
    dataset: Arc<str>,
    /// Whether the row was read back from rendered text.
    is_rendered: bool,
    /// The row itself, for the texts of rejects.
    row: Option<&'a Row>,
    /// What must not stand on both sides of a split.
    passage: Cow<'a, str>,
}

impl RowFacts<'_> {
    fn of(row: &Row, dataset: &Arc<str>, is_rendered: bool) -> Self {
        let number = row.origin.row.map_or_else(String::new, |row| row.to_string());
        let id = match row.fields.get("id") {
            Some(Value::String(id)) if !id.is_empty() => id.as_str().into(),
            Some(Value::Number(id)) => id.to_string().into(),
            _ => hex_of(&[&row.origin.source, &number], 16).into(),
        };
        Self {
            id,
            origin: row.origin.clone(),
            number,
            dataset: Arc::clone(dataset),
            is_rendered,
            row: None,
            passage: Cow::Borrowed(""),
        }
    }

    /// The facts with the passage: what the templates of the dataset take for it, else the field `otherwise`.
    fn with_passage_of<'r>(self, row: &'r Row, road: &RowsRoad, otherwise: Option<&str>) -> RowFacts<'r> {
        let text = |name: &str| row.fields.get(name).and_then(Value::as_str);
        let templates = road.templates.get(&self.dataset).map_or(&[][..], Vec::as_slice);
        let known = templates.iter().map(|prepared| &prepared.passage).find(|fields| !fields.is_empty());
        let passage =
            match known.map(|fields| fields.iter().map(String::as_str).collect::<Vec<_>>()).as_deref() {
                Some([only]) if text(only).is_some() => Cow::Borrowed(text(only).unwrap_or_default()),
                Some(several) => {
                    let values = several.iter().filter_map(|name| row.fields.get(*name));
                    Cow::Owned(values.map(Value::to_string).collect::<Vec<_>>().join("\n"))
                }
                None => Cow::Borrowed(otherwise.and_then(text).unwrap_or_default()),
            };
        RowFacts { row: Some(row), passage, ..self }
    }

    fn reject(&self, reason: Reason, task: Option<Task>, raw: String) -> Reject {
        Reject {
            reason,
            origin: self.origin.clone(),
            document: Some(Arc::clone(&self.id)),
            span: None,
            task,
            sample: None,
            raw,
        }
    }
}

/// Puts a row into the template that is drawn for it, or into all of them.
fn put(road: &RowsRoad, facts: &RowFacts<'_>, row: &Row, witness: Option<&Witness>, copy: u32) -> Vec<Made> {
    let templates = road.templates.get(&facts.dataset).map_or(&[][..], Vec::as_slice);
    let refuse = |reason, task: Option<Task>, raw: String| Err(facts.reject(reason, task, raw));
    let Some(first) = templates.first() else {
        return vec![refuse(Reason::NoTemplate, None, facts.dataset.to_string())];
    };
    let drawn = seed_of(road.seed, &[&facts.dataset, &facts.origin.source, &facts.number]);
    let fields_of = |fields: &Map<String, Value>| match &first.inverted {
        Some(_) => remix::fields(fields.clone(), road.reference).map_err(fault),
        None => Ok(Fields::of(fields)),
    };
    let fields = match fields_of(&row.fields) {
        Ok(fields) => fields,
        Err(reason) => return vec![refuse(reason, None, raw_of(row))],
    };
    // Of a rendered row no more is known than its own template shows, and what that says is sure whatever
    // the rest of the row was.
    let own = witness.and_then(|witness| {
        let prepared = templates.iter().find(|prepared| *prepared.name == *witness.template)?;
        let is_sure =
            |path: &String| !prepared.passage.contains(path.split(['.', '[']).next().unwrap_or(path));
        let fields = fields_of(&witness.fields).ok()?;
        witness.unsure.iter().all(is_sure).then_some((prepared, fields, witness.draws.as_slice()))
    });
    let lacks = |prepared: &Prepared| -> Vec<String> {
        if road.reference && !facts.is_rendered {
            return Vec::new();
        }
        let names = prepared.compiled.required().iter();
        let names = names.filter(|name| *name != remix::VARIABLE);
        let is_there = |name: &&String| row.fields.get(*name).is_some_and(|value| !value.is_null());
        names.filter(|name| !is_there(name)).cloned().collect()
    };
    let with_own = |prepared: &Prepared| own.as_ref().filter(|(own, ..)| own.name == prepared.name);
    if road.all_templates {
        let made = |prepared: &Prepared| match (lacks(prepared), with_own(prepared)) {
            (lacking, _) if lacking.is_empty() => render(road, facts, prepared, &fields, None, drawn, copy),
            (_, Some((own, fields, draws))) => render(road, facts, own, fields, Some(draws), drawn, copy),
            (lacking, None) => {
                let what = format!("template `{}` reads {}", prepared.name, missing(&lacking, row));
                refuse(Reason::MissingField, Some(prepared.task.clone()), what)
            }
        };
        return templates.iter().map(made).collect();
    }
    let mut fit: Vec<(&Prepared, &Fields, Option<&[usize]>)> = templates
        .iter()
        .filter(|prepared| lacks(prepared).is_empty())
        .map(|prepared| (prepared, &fields, None))
        .collect();
    if let Some((own, fields, draws)) = &own
        && !fit.iter().any(|(prepared, ..)| prepared.name == own.name)
    {
        fit.push((own, fields, Some(draws)));
    }
    // The seed is uniform over 64 bits, and templates are few. A row that is taken again gets another one.
    match fit.len() as u64 {
        0 => {
            let mut lacking: Vec<String> = templates.iter().flat_map(lacks).collect();
            lacking.sort();
            lacking.dedup();
            let what = match templates {
                [only] => format!("template `{}` reads {}", only.name, missing(&lacking, row)),
                _ => format!("no template of `{}` does without {}", facts.dataset, missing(&lacking, row)),
            };
            vec![refuse(Reason::MissingField, None, what)]
        }
        count => {
            let (prepared, fields, draws) = fit[((drawn % count + u64::from(copy)) % count) as usize];
            vec![render(road, facts, prepared, fields, draws, drawn, copy)]
        }
    }
}

/// The fields that a row lacks, with what may have been meant.
fn missing(lacking: &[String], row: &Row) -> String {
    let said = |name: &String| match row.fields.get(name) {
        Some(_) => format!("`{name}`, which is null"),
        None => match nearest(name, row.fields.keys().map(String::as_str)) {
            Some(near) => format!("`{name}` (did you mean `{near}`?)"),
            None => format!("`{name}`"),
        },
    };
    lacking.iter().map(said).collect::<Vec<_>>().join(", ")
}

/// From a template and a row to an example. `draws` are those that a row which was read backwards was
/// rendered with.
fn render(
    road: &RowsRoad,
    facts: &RowFacts<'_>,
    prepared: &Prepared,
    fields: &Fields,
    draws: Option<&[usize]>,
    drawn: u64,
    copy: u32,
) -> Made {
    let task = &prepared.task;
    let refuse = |reason, raw: String| Err(facts.reject(reason, Some(task.clone()), raw));
    let seed = seed_of(drawn, &[&prepared.name, &copy.to_string()]);
    let rendered = match draws {
        None => prepared.compiled.render(fields, seed),
        Some(draws) => {
            let mut draws = draws.iter();
            prepared
                .compiled
                .render_with(fields, &mut |count| draws.next().copied().unwrap_or(0).min(count - 1))
        }
    };
    let parts = match rendered {
        Ok(parts) => parts,
        Err(fault) => {
            let line = fault.line.map_or(String::new(), |line| format!(", line {line}"));
            let what = format!("template `{}`{line}: {}", prepared.name, fault.message);
            return refuse(Reason::NotRendered, what);
        }
    };
    let raw = |parts: &[String]| {
        let row = facts.row.map_or_else(String::new, raw_of);
        format!("template `{}`: {}\nrow: {row}", prepared.name, parts.join("\n|||\n"))
    };
    let mut more = BTreeMap::new();
    let (prompt, completion) = match &prepared.inverted {
        Some(inverted) => {
            let pair = match inverted.pair(&parts) {
                Ok(pair) => pair,
                Err(why) => return refuse(fault(why), raw(&parts)),
            };
            let prompt = bonito::prompt(inverted.kind, &pair.context);
            let completion = bonito::target(&pair.instruction, &pair.response);
            more.insert("context".to_owned(), pair.context);
            more.insert("task_input".to_owned(), pair.instruction);
            more.insert("task_output".to_owned(), pair.response);
            (prompt, completion)
        }
        None => match <[String; 2]>::try_from(parts) {
            Ok([prompt, _]) if prompt.is_empty() => return refuse(Reason::EmptyInstruction, raw(&[prompt])),
            Ok([prompt, completion]) if completion.is_empty() => {
                return refuse(Reason::EmptyResponse, raw(&[prompt, completion]));
            }
            Ok([prompt, completion]) => (prompt, completion),
            Err(parts) if parts.len() < 2 => return refuse(Reason::NoSeparator, raw(&parts)),
            Err(parts) => return refuse(Reason::SeveralSeparators, raw(&parts)),
        },
    };
    let passage = more.entry("context".to_owned()).or_insert_with(|| facts.passage.clone().into_owned());
    let split = split_of(passage, &road.splits, road.seed);
    let prompt_hash = hex_of(&[&prompt], 32);
    let hash = seed_of(0, &[&prompt, &completion]);
    let id = hex_of(
        &[
            &facts.dataset,
            &facts.origin.source,
            &facts.number,
            &prepared.name,
            &copy.to_string(),
            &prompt_hash,
        ],
        16,
    );
    let example = Example {
        id,
        task: task.clone(),
        turns: vec![
            Turn { role: Role::User, content: prompt },
            Turn { role: Role::Assistant, content: completion },
        ],
        fields: more,
        provenance: Provenance {
            document: Arc::clone(&facts.id),
            origin: facts.origin.clone(),
            span: None,
            dataset: Some(Arc::clone(&facts.dataset)),
            template: Arc::clone(&prepared.name),
            model: None,
            seed,
            sample: copy,
            prompt_hash,
            repairs: Vec::new(),
            prompt_tokens: None,
            completion_tokens: None,
        },
    };
    Ok(MadeExample { example: Box::new(example), split, hash })
}

/// The reason that the ledger knows a fault of a pair by.
fn fault(fault: PairFault) -> Reason {
    match fault {
        PairFault::EmptyContext | PairFault::NoPassage => Reason::NoPassage,
        PairFault::EmptyInstruction => Reason::EmptyInstruction,
        PairFault::EmptyResponse => Reason::EmptyResponse,
        PairFault::OnlyPassage => Reason::OnlyPassage,
        PairFault::SeveralResponses => Reason::SeveralSeparators,
        PairFault::MarkerInRow => Reason::MarkerInRow,
    }
}

fn raw_of(row: &Row) -> String {
    serde_json::to_string(&row.fields).expect("fields are JSON")
}
