//! The road: documents in, examples and rejects out, every one of them accounted for.
//!
//! [`generate`] is the whole of it, in order. Completions come back in any order and are put back
//! into the order of their documents before anything is parsed, so that what is written depends on
//! the recipe alone.

pub mod convert;
pub mod cook;
pub mod from_rows;
pub mod mix;
pub mod unify;
mod in_order;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::check::check;
use crate::chunk::Chunker;
use crate::error::Result;
use crate::journal::{self, Journal};
use crate::ledger::Ledger;
use crate::lm::{Completion, Event, LanguageModel, Next, Outcome, Request, Sampling};
use crate::parse::{self, Asked, Parsed};
use crate::prompt::Style;
use crate::record::{Document, Example, Passage, Provenance, Role, Turn};
use crate::reject::{Reason, Reject, Stage};
use crate::rng::{hex_of, sample_seed, seed_of};
use crate::sink::Writer;
use crate::task::TaskKind;

/// The most passages under way: it bounds the memory when one slow answer holds up the rest.
const WINDOW: usize = 4096;

/// What is made of each document: a recipe with its names looked up and its files loaded.
pub struct Road {
    /// The kinds asked of each passage, in this order.
    pub kinds: Vec<TaskKind>,
    /// The user's labels for topic and sentiment.
    pub labels: Vec<String>,
    /// How a passage is put to the model.
    pub style: Style,
    /// Whether to give exactly what the published library gives: its parse, no checks.
    pub reference: bool,
    /// Whether completions are held to what the parse and the checks take.
    pub constrain: bool,
    /// How documents are cut.
    pub chunker: Chunker,
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// Samples of each prompt.
    pub samples: u32,
    /// The seed that every random choice comes from.
    pub seed: u64,
    /// The model's window, where it is known.
    pub window: Option<Window>,
}

/// A model's window, in tokens of its own tokenizer.
pub struct Window {
    /// Tokens of prompt and completion together.
    pub tokens: usize,
    /// The model's tokenizer.
    pub tokenizer: Arc<tokenizers::Tokenizer>,
}

impl Road {
    /// The request for `kind` over `passage`; the number is the caller's.
    pub fn request(&self, id: u64, kind: TaskKind, passage: &Passage) -> Request {
        let span = format!("{}-{}", passage.span.start, passage.span.end);
        Request {
            id,
            input: self.style.input(kind, &passage.text, &self.labels),
            sampling: self.sampling.clone(),
            seed: seed_of(self.seed, &[&passage.document, &span, kind.short()]),
            samples: (0..self.samples).collect(),
            constraint: self.style.constraint(kind, &passage.text, &self.labels, self.constrain),
        }
    }

    /// Whether the prompt leaves room for a whole completion in the model's window.
    fn fits(&self, request: &Request) -> bool {
        self.window.as_ref().is_none_or(|window| {
            let prompt = crate::chunk::count_tokens(&window.tokenizer, &request.input.text());
            prompt + self.sampling.max_tokens as usize <= window.tokens
        })
    }
}

/// How a run of the road ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everything was reached.
    Whole,
    /// The caller broke off; the ledger says what is pending.
    Interrupted,
}

/// Sends `documents` down the road.
///
/// `watch` sees the ledger after each step and can break off.
///
/// # Errors
/// When the model can't be used at all, or the output can't be written. Troubles of single records
/// are rejects, failed calls are counted as errors; neither ends the run.
pub fn generate(
    road: &Road,
    mut documents: impl Iterator<Item = Result<Document, Reject>>,
    model: &dyn LanguageModel,
    journal: Option<&Journal>,
    writer: &mut Writer,
    watch: &mut dyn FnMut(&Ledger) -> ControlFlow<()>,
) -> Result<(Ledger, Ended)> {
    let identity = model.identity();
    let mut session = journal::session(model, journal)?;
    let mut ledger = Ledger::default();
    let mut line = Line::default();
    let mut exhausted = false;
    loop {
        while session.room() > 0 && line.slots.len() < WINDOW {
            if let Some(passage) = line.cut.pop_front() {
                session.submit(line.prompt(road, passage, &mut ledger));
            } else if exhausted {
                break;
            } else {
                match documents.next() {
                    None => exhausted = true,
                    Some(read) => line.enter(road, read, &mut ledger),
                }
            }
        }
        while let Some(slot) = line.leave() {
            match slot {
                Slot::Reject(reject) => writer.reject(&reject)?,
                Slot::Passage(slot) => settle(road, &identity, slot, &mut ledger, writer)?,
            }
        }
        if watch(&ledger).is_break() {
            ledger.interrupt();
            return Ok((ledger, Ended::Interrupted));
        }
        match session.next()? {
            Next::Event(event) => line.arrive(event),
            Next::Idle if exhausted && line.is_empty() => return Ok((ledger, Ended::Whole)),
            Next::Idle | Next::Waiting => {}
        }
    }
}

/// Documents under way, in their order.
#[derive(Default)]
struct Line {
    /// What is left of the document read last: a book is many passages, and is asked for as there is room.
    cut: VecDeque<Passage>,
    slots: VecDeque<Slot>,
    /// How many slots have left: the number of the first one still there.
    left: u64,
}

enum Slot {
    Reject(Reject),
    Passage(PassageSlot),
}

/// A passage, its prompts, and what has come back for them.
struct PassageSlot {
    passage: Arc<Passage>,
    prompts: Vec<Prompted>,
    waiting: usize,
}

struct Prompted {
    kind: TaskKind,
    seed: u64,
    hash: String,
    outcomes: Vec<Option<Outcome>>,
}

impl Line {
    /// Reads one thing: a reject takes its place in the line, a document is cut.
    fn enter(&mut self, road: &Road, read: Result<Document, Reject>, ledger: &mut Ledger) {
        ledger.enter(Stage::Read, 1);
        let document = match read {
            Ok(document) => document,
            Err(reject) => {
                ledger.reject(reject.reason, None);
                self.slots.push_back(Slot::Reject(reject));
                return;
            }
        };
        ledger.leave(Stage::Read);
        let passages = road.chunker.chunk(&document);
        ledger.enter(Stage::Chunk, passages.len() as u64);
        self.cut = passages.into();
    }

    /// Whether everything that came in has left.
    fn is_empty(&self) -> bool {
        self.cut.is_empty() && self.slots.is_empty()
    }

    /// The requests for a passage, which takes its place in the line.
    fn prompt(&mut self, road: &Road, passage: Passage, ledger: &mut Ledger) -> Vec<Request> {
        let passage = Arc::new(passage);
        ledger.leave(Stage::Chunk);
        ledger.enter(Stage::Prompt, road.kinds.len() as u64);
        let mut requests = Vec::with_capacity(road.kinds.len());
        let mut prompts = Vec::with_capacity(road.kinds.len());
        // Rejects of this passage stand before it, so its number is known only after them.
        let mut too_long = Vec::new();
        for &kind in &road.kinds {
            let request = road.request(prompts.len() as u64, kind, &passage);
            if !road.fits(&request) {
                ledger.reject(Reason::TooLong, Some((&kind.into(), road.samples.into())));
                ledger.kind(&kind.into()).expected += u64::from(road.samples);
                too_long.push(Slot::Reject(reject(
                    Reason::TooLong,
                    &passage,
                    kind,
                    None,
                    request.input.text(),
                )));
                continue;
            }
            ledger.leave(Stage::Prompt);
            ledger.enter(Stage::Generate, road.samples.into());
            ledger.kind(&kind.into()).expected += u64::from(road.samples);
            prompts.push(Prompted {
                kind,
                seed: request.seed,
                hash: hex_of(&[&request.input.text()], 32),
                outcomes: vec![None; road.samples as usize],
            });
            requests.push(request);
        }
        self.slots.extend(too_long);
        if !prompts.is_empty() {
            // A request's number says where in the line its answers go.
            let slot = self.left + self.slots.len() as u64;
            for request in &mut requests {
                request.id += slot * TaskKind::ALL.len() as u64;
            }
            let waiting = prompts.len() * road.samples as usize;
            self.slots.push_back(Slot::Passage(PassageSlot { passage, prompts, waiting }));
        }
        requests
    }

    /// Puts an answer into its place.
    fn arrive(&mut self, event: Event) {
        let kinds = TaskKind::ALL.len() as u64;
        let slot = usize::try_from(event.request / kinds - self.left).expect("the line is in memory");
        let Slot::Passage(slot) = &mut self.slots[slot] else {
            unreachable!("requests are numbered after passages");
        };
        let prompt = &mut slot.prompts[(event.request % kinds) as usize];
        let place = &mut prompt.outcomes[event.sample as usize];
        assert!(place.is_none(), "a sample was answered twice");
        *place = Some(event.outcome);
        slot.waiting -= 1;
    }

    /// The first of the line, once everything of it has come back.
    fn leave(&mut self) -> Option<Slot> {
        if matches!(self.slots.front()?, Slot::Passage(slot) if slot.waiting > 0) {
            return None;
        }
        self.left += 1;
        self.slots.pop_front()
    }
}

/// Parses, checks and writes everything that came back for one passage.
fn settle(
    road: &Road,
    identity: &Arc<str>,
    slot: PassageSlot,
    ledger: &mut Ledger,
    writer: &mut Writer,
) -> Result<()> {
    let passage = &slot.passage;
    let mut seen = HashSet::new();
    for prompt in slot.prompts {
        let kind = prompt.kind;
        for (sample, outcome) in (0..).zip(prompt.outcomes) {
            let outcome = outcome.expect("a passage leaves the line when all samples are there");
            let (reason, raw) = match settle_outcome(road, kind, passage, &outcome, &mut seen, ledger) {
                Settled::Kept(parsed, completion) => {
                    for repair in &parsed.repairs {
                        ledger.repair(*repair);
                    }
                    let prompt = PromptFacts { kind, seed: prompt.seed, hash: &prompt.hash, sample };
                    writer.example(&example(road, identity, passage, prompt, parsed, completion), 0)?;
                    ledger.leave(Stage::Write);
                    ledger.kind(&kind.into()).kept += 1;
                    continue;
                }
                Settled::Failed => {
                    ledger.error(&kind.into());
                    continue;
                }
                Settled::Dropped(reason, raw) => (reason, raw),
            };
            ledger.reject(reason, Some((&kind.into(), 1)));
            writer.reject(&reject(reason, passage, kind, Some(sample), raw.to_owned()))?;
        }
    }
    Ok(())
}

enum Settled<'a> {
    Kept(Parsed, &'a Completion),
    Dropped(Reason, &'a str),
    Failed,
}

/// From a completion to an example or the reason why not, counting each stage that it reaches.
fn settle_outcome<'a>(
    road: &Road,
    kind: TaskKind,
    passage: &Passage,
    outcome: &'a Outcome,
    seen: &mut HashSet<(String, String)>,
    ledger: &mut Ledger,
) -> Settled<'a> {
    let completion = match outcome {
        Outcome::Text(completion) => completion,
        Outcome::Declined => return Settled::Dropped(Reason::Declined, ""),
        Outcome::Refused(message) => return Settled::Dropped(Reason::Refused, message),
        Outcome::Failed(_) => return Settled::Failed,
    };
    ledger.leave(Stage::Generate);
    ledger.tokens.prompt += u64::from(completion.prompt_tokens.unwrap_or(0));
    ledger.tokens.completion += u64::from(completion.completion_tokens.unwrap_or(0));

    ledger.enter(Stage::Parse, 1);
    let labels = road.style.labels(kind, &road.labels);
    let asked = Asked { kind, passage: &passage.text, labels: &labels };
    let parsed = match (road.reference, road.style) {
        (true, _) => parse::reference(&completion.text, &passage.text).map(|(instruction, response)| {
            Parsed { ask: String::new(), instruction, response, repairs: Vec::new() }
        }),
        (false, Style::Bonito) => parse::bonito(&completion.text, completion.truncated, asked),
        (false, Style::Instruct) => parse::answer(&completion.text, completion.truncated, asked),
    };
    let parsed = match parsed {
        Ok(parsed) => parsed,
        Err(reason) => return Settled::Dropped(reason, &completion.text),
    };
    ledger.leave(Stage::Parse);

    ledger.enter(Stage::Check, 1);
    if !road.reference {
        let verdict = check(&parsed, asked).and_then(|()| {
            let is_new = seen.insert((parsed.instruction.clone(), parsed.response.clone()));
            if is_new { Ok(()) } else { Err(Reason::Duplicate) }
        });
        if let Err(reason) = verdict {
            return Settled::Dropped(reason, &completion.text);
        }
    }
    ledger.leave(Stage::Check);
    ledger.enter(Stage::Write, 1);
    Settled::Kept(parsed, completion)
}

struct PromptFacts<'a> {
    kind: TaskKind,
    seed: u64,
    hash: &'a str,
    sample: u32,
}

fn example(
    road: &Road,
    identity: &Arc<str>,
    passage: &Passage,
    prompt: PromptFacts<'_>,
    parsed: Parsed,
    completion: &Completion,
) -> Example {
    let PromptFacts { kind, seed, hash, sample } = prompt;
    let span = format!("{}-{}", passage.span.start, passage.span.end);
    let id = hex_of(&[&passage.document, &span, &passage.text, kind.short(), &sample.to_string()], 16);
    let context = crate::prompt::bonito::python_strip(&passage.text).to_owned();
    Example {
        id,
        task: kind.into(),
        turns: vec![
            Turn { role: Role::User, content: parsed.instruction },
            Turn { role: Role::Assistant, content: parsed.response },
        ],
        fields: BTreeMap::from([("context".to_owned(), context)]),
        provenance: Provenance {
            document: Arc::clone(&passage.document),
            origin: passage.origin.clone(),
            span: Some(passage.span.clone()),
            dataset: None,
            template: road.style.template().into(),
            model: Some(Arc::clone(identity)),
            seed: sample_seed(seed, sample),
            sample,
            prompt_hash: hash.to_owned(),
            repairs: parsed.repairs,
            prompt_tokens: completion.prompt_tokens,
            completion_tokens: completion.completion_tokens,
        },
    }
}

fn reject(reason: Reason, passage: &Passage, kind: TaskKind, sample: Option<u32>, raw: String) -> Reject {
    Reject {
        reason,
        origin: passage.origin.clone(),
        document: Some(Arc::clone(&passage.document)),
        span: Some(passage.span.clone()),
        task: Some(kind.into()),
        sample,
        raw,
    }
}
