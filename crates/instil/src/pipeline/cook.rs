//! The road from a seed to rows: samples are made, verified if that is asked for, and put into columns on several
//! threads, and written in the order of their numbers.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use crossbeam_channel::bounded;
use tokenizers::Tokenizer;

use super::Ended;
use crate::cook::{Encoder, HuggingFace, Sample, Stream};
use crate::error::{Error, Result};
use crate::format::{Builder, Cell, Column, Kind, Row};
use crate::ledger::Ledger;
use crate::record::{Role, Turn};
use crate::reject::{Reason, Stage};
use crate::rng::{nth, seed_of};
use crate::sink::{Batch, BatchWriter};

/// Rows of a batch.
const BATCH_ROWS: u64 = 1024;

/// What a row of cooked data holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CookFormat {
    /// Two texts.
    PromptCompletion,
    /// The same under the names of Bonito's columns.
    Bonito,
    /// A conversation.
    Messages,
    /// One text.
    Text,
    /// Token ids of prompt and completion, and the labels that axolotl and transformers read: -100 for the prompt.
    Ids,
}

impl CookFormat {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 5] = [Self::PromptCompletion, Self::Bonito, Self::Messages, Self::Text, Self::Ids];

    /// Its name, which is also that of a shape that `convert` reads.
    pub fn name(self) -> &'static str {
        match self {
            Self::PromptCompletion => "prompt-completion",
            Self::Bonito => "bonito",
            Self::Messages => "messages",
            Self::Text => "text",
            Self::Ids => "ids",
        }
    }

    /// The format of this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn parse(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name).ok_or_else(|| {
            Error::usage(format!("`cook` has no format `{name}`"))
                .with_hint(format!("choose one of: {}", Self::ALL.map(Self::name).join(", ")))
        })
    }

    /// Its columns after the id.
    fn keyed(self) -> &'static [Column] {
        match self {
            Self::PromptCompletion => &PROMPT_COMPLETION,
            Self::Bonito => &BONITO,
            Self::Messages => &MESSAGES,
            Self::Text => &TEXT,
            Self::Ids => &IDS,
        }
    }
}

const ID: Column = Column::new("id", Kind::Text);
static PROMPT_COMPLETION: [Column; 3] =
    [ID, Column::new("prompt", Kind::Text), Column::new("completion", Kind::Text)];
static BONITO: [Column; 3] = [ID, Column::new("input", Kind::Text), Column::new("output", Kind::Text)];
static MESSAGES: [Column; 2] = [ID, Column::new("messages", Kind::Turns)];
static IDS: [Column; 4] = [
    ID,
    Column::new("input_ids", Kind::Int32s),
    Column::new("attention_mask", Kind::Int32s),
    Column::new("labels", Kind::Int32s),
];
static TEXT: [Column; 2] = [ID, Column::new("text", Kind::Text)];

/// The rows of one split.
#[derive(Debug)]
pub struct CookSplit {
    /// Its name.
    pub name: &'static str,
    /// How many rows it has.
    pub rows: u64,
    /// A stream for each template, in the order of [`CookRoad::weights`].
    pub streams: Vec<Stream>,
}

/// What is made.
#[derive(Debug)]
pub struct CookRoad {
    /// The splits, in order.
    pub splits: Vec<CookSplit>,
    /// How many rows of each template come in a round.
    pub weights: Vec<u32>,
    /// Decides the order within rounds.
    pub seed: u64,
    /// What a row holds.
    pub format: CookFormat,
    /// Whether rows have an id, as those of a dataset folder have.
    pub has_ids: bool,
    /// Whether the output takes arrays; else it takes lines of JSON.
    pub is_arrays: bool,
    /// Whether every answer is derived anew from the text, and ids are compared with those of the whole text.
    pub verify: bool,
    /// What makes ids, where rows hold some.
    pub ids: Option<IdsBy>,
}

/// What makes ids of samples.
#[derive(Clone, Debug)]
pub struct IdsBy {
    /// The tokenizer that the pool was made of.
    pub tokenizer: Arc<Tokenizer>,
    /// What stands before every sample.
    pub begin: Option<u32>,
    /// What stands behind every sample.
    pub end: Option<u32>,
}

impl CookRoad {
    /// The columns of a row.
    pub fn columns(&self) -> &'static [Column] {
        let keyed = self.format.keyed();
        // One file has no id: trainers break on columns that they don't expect.
        if self.has_ids { keyed } else { &keyed[1..] }
    }

    /// How many rows there are in all splits.
    pub fn rows(&self) -> u64 {
        self.splits.iter().map(|split| split.rows).sum()
    }
}

/// Which template each row has: round by round in a random order, so that any number of rows has them in their
/// proportions, and each row's is known without the ones before it.
struct Rounds<'a> {
    weights: &'a [u32],
    seed: u64,
    round: Option<u64>,
    order: Vec<u32>,
}

impl<'a> Rounds<'a> {
    fn new(road: &'a CookRoad, split: &CookSplit) -> Self {
        let seed = seed_of(road.seed, &["cook", split.name, "rounds"]);
        Self { weights: &road.weights, seed, round: None, order: Vec::new() }
    }

    fn template(&mut self, row: u64) -> usize {
        if let [_] = self.weights {
            return 0;
        }
        let len: u64 = self.weights.iter().copied().map(u64::from).sum();
        let round = row / len;
        if self.round != Some(round) {
            self.order.clear();
            for (template, weight) in (0..).zip(self.weights) {
                self.order.extend(std::iter::repeat_n(template, *weight as usize));
            }
            let seed = nth(self.seed, round);
            for last in (1..self.order.len()).rev() {
                self.order.swap(last, (nth(seed, last as u64) % (last as u64 + 1)) as usize);
            }
            self.round = Some(round);
        }
        self.order[(row % len) as usize] as usize
    }
}

/// Where a batch begins and ends.
#[derive(Clone, Debug)]
struct Job {
    split: usize,
    rows: Range<u64>,
}

/// What was made of it.
struct Made {
    split: usize,
    batch: Batch,
    /// For each template: rows kept, without a draw, and not as their rule says.
    counts: Vec<[u64; 3]>,
    /// A fault of a user's template, which ends the run.
    fault: Option<Error>,
}

/// Makes the rows and writes them in order.
///
/// `watch` sees the ledger after each batch and can break off.
///
/// # Errors
/// When the output can't be written.
pub fn cook(
    road: &CookRoad,
    threads: NonZeroUsize,
    writer: &mut BatchWriter,
    watch: &mut dyn FnMut(&Ledger) -> ControlFlow<()>,
) -> Result<(Ledger, Ended)> {
    let mut ledger = Ledger::of(&Stage::FROM_SEED);
    let jobs = road.splits.iter().enumerate().flat_map(|(split, of)| {
        (0..of.rows.div_ceil(BATCH_ROWS)).map(move |batch| Job {
            split,
            rows: batch * BATCH_ROWS..((batch + 1) * BATCH_ROWS).min(of.rows),
        })
    });
    let (work, todo) = bounded::<(u64, Job)>(2 * threads.get());
    let (finished, results) = bounded::<(u64, Made)>(2 * threads.get());
    let ended = std::thread::scope(|scope| {
        // Their ends here end with this function, and with them the other threads.
        let (work, results) = (work, results);
        let handles: Vec<_> = (0..threads.get())
            .map(|_| {
                let (todo, finished) = (todo.clone(), finished.clone());
                scope.spawn(move || {
                    let vocabulary =
                        road.ids.as_ref().map(|by| HuggingFace::new(&by.tokenizer)).transpose()?;
                    let mut maker = Maker::new(road, vocabulary.as_ref())?;
                    for (number, job) in todo {
                        if finished.send((number, maker.make(&job)?)).is_err() {
                            break;
                        }
                    }
                    Ok::<(), Error>(())
                })
            })
            .collect();
        drop((todo, finished));
        let mut jobs = (0..).zip(jobs).peekable();
        let mut waiting: BTreeMap<u64, Made> = BTreeMap::new();
        let (mut sent, mut written) = (0, 0);
        loop {
            // No more batches are under way than memory should hold.
            while sent < written + 4 * threads.get() as u64
                && let Some(job) = jobs.next_if(|_| !work.is_full())
            {
                if work.send(job).is_err() {
                    break;
                }
                sent += 1;
            }
            if written == sent && jobs.peek().is_none() {
                drop(work);
                return Ok(Ended::Whole);
            }
            let Ok((number, made)) = results.recv() else {
                // A worker broke down.
                for handle in handles {
                    handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
                }
                return Ok(Ended::Interrupted);
            };
            waiting.insert(number, made);
            while let Some(made) = waiting.remove(&written) {
                written += 1;
                // The first row's with a fault, whichever thread came first.
                if let Some(fault) = made.fault {
                    return Err(fault);
                }
                writer.push(&made.batch, made.split)?;
                account(&road.splits[made.split], &made.counts, &mut ledger);
                if watch(&ledger).is_break() {
                    return Ok(Ended::Interrupted);
                }
            }
        }
    });
    let ended = ended?;
    Ok((ledger, ended))
}

fn account(split: &CookSplit, counts: &[[u64; 3]], ledger: &mut Ledger) {
    for (stream, [kept, exhausted, unverified]) in split.streams.iter().zip(counts.iter().copied()) {
        let all = kept + exhausted + unverified;
        ledger.pass(Stage::Generate, all, kept + unverified);
        ledger.pass(Stage::Check, kept + unverified, kept);
        ledger.pass(Stage::Write, kept, kept);
        let set = ledger.set(stream.plan().template.name());
        set.rows += all;
        set.expected += all;
        set.kept += kept;
        for (reason, count) in [(Reason::Exhausted, exhausted), (Reason::Unverified, unverified)] {
            if count > 0 {
                ledger.reject_many(reason, count);
                *ledger
                    .set(stream.plan().template.name())
                    .rejects
                    .entry(reason.word().to_owned())
                    .or_default() += count;
            }
        }
    }
}

/// The id of row `row` of a split: its template, the split where it isn't `train`, and its number.
pub fn id_of(template: &str, split: &str, row: u64) -> String {
    if split == crate::draw::TRAIN {
        format!("{template}-{row}")
    } else {
        format!("{template}-{split}-{row}")
    }
}

/// The label that a loss passes over, in torch and all that stands on it.
const NOT_LEARNT: i32 = -100;

/// Makes batches, in the same room one after the other.
struct Maker<'a> {
    road: &'a CookRoad,
    samples: Vec<Vec<Sample>>,
    rounds: Vec<Rounds<'a>>,
    /// By split and template, where rows hold ids.
    encoders: Vec<Vec<Encoder<'a>>>,
    builder: Builder,
    turns: [Turn; 2],
}

impl<'a> Maker<'a> {
    fn new(road: &'a CookRoad, vocabulary: Option<&'a HuggingFace<'a>>) -> Result<Self> {
        let turn = |role| Turn { role, content: String::new() };
        let encoders = |split: &'a CookSplit| match (vocabulary, &road.ids) {
            (Some(vocabulary), Some(IdsBy { begin, end, .. })) => {
                split.streams.iter().map(|stream| Encoder::new(stream, vocabulary, *begin, *end)).collect()
            }
            _ => Ok(Vec::new()),
        };
        Ok(Self {
            encoders: road.splits.iter().map(encoders).collect::<Result<_>>()?,
            road,
            samples: road.splits.iter().map(|split| vec![Sample::default(); split.streams.len()]).collect(),
            rounds: road.splits.iter().map(|split| Rounds::new(road, split)).collect(),
            builder: Builder::new(road.columns()),
            turns: [turn(Role::User), turn(Role::Assistant)],
        })
    }

    fn make(&mut self, job: &Job) -> Result<Made> {
        let Self { road, samples, rounds, encoders, builder, turns } = self;
        let split = &road.splits[job.split];
        let mut counts = vec![[0; 3]; split.streams.len()];
        let mut text = Vec::new();
        let mut rows = 0;
        let mut fault = None;
        for row in job.rows.clone() {
            let template = rounds[job.split].template(row);
            let (stream, sample) = (&split.streams[template], &mut samples[job.split][template]);
            if stream.fill(row, sample).is_err() {
                fault = sample.fault();
                if fault.is_some() {
                    break;
                }
                counts[template][1] += 1;
                continue;
            }
            if road.verify {
                match stream.try_verify(sample) {
                    Ok(true) => {}
                    Ok(false) => {
                        counts[template][2] += 1;
                        continue;
                    }
                    Err(why) => {
                        fault = Some(why);
                        break;
                    }
                }
            }
            let mut ids = [Vec::new(), Vec::new(), Vec::new()];
            if let Some(encoder) = encoders[job.split].get_mut(template) {
                let made = encoder.encode(sample)?;
                if road.verify && !encoder.is_exact(sample, &made)? {
                    counts[template][2] += 1;
                    continue;
                }
                // Vocabularies end far below 2^31.
                ids[0] = made.input_ids.iter().map(|id| *id as i32).collect();
                ids[1] = vec![1; ids[0].len()];
                ids[2] = ids[0].clone();
                ids[2][..made.prompt].fill(NOT_LEARNT);
            }
            counts[template][0] += 1;
            rows += 1;
            let mut cells = Vec::with_capacity(3);
            if road.has_ids {
                let id = id_of(stream.plan().template.name(), split.name, row);
                cells.push(Cell::Text(Cow::Owned(id)));
            }
            match road.format {
                CookFormat::PromptCompletion | CookFormat::Bonito => {
                    cells.extend([Cell::from(sample.prompt()), Cell::from(sample.completion())]);
                }
                CookFormat::Text => cells.push(Cell::from(sample.text())),
                CookFormat::Ids => cells.extend(ids.iter().map(|ids| Cell::Ints(ids))),
                CookFormat::Messages => {
                    for (turn, said) in turns.iter_mut().zip([sample.prompt(), sample.completion()]) {
                        turn.content.clear();
                        turn.content.push_str(said.trim_start());
                    }
                    cells.push(Cell::Turns(turns.as_slice()));
                }
            }
            if road.is_arrays {
                builder.push(&cells);
            } else {
                serde_json::to_writer(&mut text, &Row::new(road.columns(), cells)).expect("a row is JSON");
                text.push(b'\n');
            }
        }
        let batch =
            if road.is_arrays { Batch::Arrays(builder.finish()) } else { Batch::Lines { text, rows } };
        Ok(Made { split: job.split, batch, counts, fault })
    }
}
