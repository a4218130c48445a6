//! Asking a model for candidates: one call a task, and again where an answer can't be used.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::ControlFlow;

use super::cost::{Budget, Spent, by_characters};
use super::pairs::{self, Pair};
use super::pool::Drawn;
use super::reply::{Fault, Note, Reply, read};
use super::{Task, prompt};
use crate::error::Result;
use crate::journal::{self, Journal};
use crate::lm::{Constraint, Input, LanguageModel, Next, Outcome, Request, Sampling};
use crate::rng::seed_of;

/// How candidates are asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How many a task has.
    pub candidates: u32,
    /// How many pairs demonstrate.
    pub pairs: usize,
    /// How they are drawn.
    pub sampling: Sampling,
    /// How often a model is asked again for an answer that can't be used.
    pub again: u32,
    /// What all drawing begins with.
    pub seed: u64,
}

impl Settings {
    /// So many candidates: at temperature 1 and top-p 0.95, or greedily where there is one (spec/uit.md 2.4); 512 tokens
    /// at the most, five pairs, and two more attempts (spec/uit.md 8.5).
    pub fn of(candidates: u32, seed: u64) -> Self {
        let (temperature, top_p) = if candidates == 1 { (0.0, 1.0) } else { (1.0, 0.95) };
        let sampling = Sampling { temperature, top_p, max_tokens: 512, ..Sampling::default() };
        Self { candidates, pairs: pairs::SHOWN, sampling, again: 2, seed }
    }
}

/// Whom candidates are asked of, and how.
pub struct Asking<'a> {
    /// The model.
    pub model: &'a dyn LanguageModel,
    /// What it has said before.
    pub journal: Option<&'a Journal>,
    /// Pairs that may demonstrate.
    pub pairs: &'a [Pair],
    /// How it is asked.
    pub settings: &'a Settings,
}

/// A definition that a model wrote, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its number among the task's.
    pub number: u32,
    /// What was read of the last reply.
    pub reply: Result<Reply, Fault>,
    /// All replies as they came, the last one last; what a refusal or failure said stands here, too.
    pub raw: Vec<String>,
}

impl Candidate {
    /// The definition, if there is one.
    pub fn definition(&self) -> Option<&str> {
        self.reply.as_ref().ok().map(|reply| reply.definition.as_str())
    }

    /// What was mended; empty where there is no definition.
    pub fn notes(&self) -> &[Note] {
        self.reply.as_ref().map_or(&[], |reply| &reply.notes)
    }
}

/// How asking ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Every task has its candidates.
    Whole,
    /// The caller broke off; the same run goes on.
    Interrupted,
    /// A cap was reached, which the text names. Tasks without candidates were not asked about.
    Capped(String),
}

/// What came of asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The candidates of each task, by their numbers; none where the task was not asked about, or not to the end.
    pub candidates: Vec<Option<Vec<Candidate>>>,
    /// How it ended.
    pub end: End,
}

impl Asked {
    /// How often each fault and each note came, by its word.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        let mut counts = BTreeMap::new();
        for candidate in self.candidates.iter().flatten().flatten() {
            match &candidate.reply {
                Ok(reply) => reply.notes.iter().for_each(|note| *counts.entry(note.word()).or_default() += 1),
                Err(fault) => *counts.entry(fault.word()).or_default() += 1,
            }
        }
        counts
    }

    /// How many calls failed for good; asking again later may help.
    pub fn failed(&self) -> u64 {
        let all = self.candidates.iter().flatten().flatten();
        all.filter(|candidate| candidate.reply == Err(Fault::Failed)).count() as u64
    }
}

/// A request under way or waiting.
struct Open {
    task: usize,
    /// The candidates that its samples are, in the samples' order.
    numbers: Vec<u32>,
    request: Request,
    held: Spent,
    /// How many of its samples have not ended, and what the others cost.
    left: usize,
    cost: Spent,
    /// How many rows' explanations are asked for.
    rows: usize,
}

/// What a task's model is given, and the pairs that are shown in it.
pub(super) fn prompt_of<'a>(task: &Task, asking: &Asking<'a>) -> (Input, Vec<&'a Pair>) {
    let Settings { pairs: most, seed, .. } = *asking.settings;
    let direction = (task.source.level.name(), task.to.name());
    let shown = pairs::draw(asking.pairs, direction, task.name(), most, seed);
    let drawn = Drawn::of(task, seed);
    let messages = asking.model.capabilities().messages;
    (prompt::input(task, drawn.shown(), &shown, messages), shown)
}

/// Asks for the candidates of all tasks. `watch` is told how many tasks have theirs, and may break off.
///
/// A call is held against `budget` before it is made; one that the journal knows costs nothing. Where a cap is reached
/// no further call is made, what is under way comes to its end, and what the journal knows is still used.
///
/// # Errors
/// When the model can't be used, or the journal can't be read or written.
pub fn ask(
    tasks: &[Task],
    asking: &Asking<'_>,
    budget: &mut Budget,
    watch: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<Asked> {
    let mut found: Vec<BTreeMap<u32, Candidate>> = vec![BTreeMap::new(); tasks.len()];
    let mut waiting: VecDeque<Open> =
        (0..tasks.len()).map(|task| first(task, &tasks[task], asking)).collect();
    let mut under_way: HashMap<u64, Open> = HashMap::new();
    let mut session = journal::session(asking.model, asking.journal)?;
    let identity = asking.model.identity();
    let mut end = End::Whole;
    let mut next_id = 0;
    loop {
        while session.room() > 0
            && let Some(mut open) = waiting.pop_front()
        {
            let unknown = unknown(&open.request, &identity, asking)?;
            if unknown > 0 {
                open.held = most(&open.request, unknown);
                if let Err(cap) = budget.hold(open.held) {
                    end = End::Capped(cap);
                    continue;
                }
            }
            open.request.id = next_id;
            next_id += 1;
            session.submit(vec![open.request.clone()]);
            under_way.insert(open.request.id, open);
        }
        if under_way.is_empty() {
            break;
        }
        if let Next::Event(event) = session.next()? {
            let open = under_way.get_mut(&event.request).expect("only what was asked comes back");
            let place = open.request.samples.iter().position(|sample| *sample == event.sample);
            let number = open.numbers[place.expect("only samples that were asked for come back")];
            open.cost = cost(open.cost, &open.request, &event.outcome);
            open.left -= 1;
            let mut candidate = candidate(number, event.outcome, open.rows);
            let (task, request) = (open.task, open.request.clone());
            let rows = open.rows;
            if open.left == 0 {
                let open = under_way.remove(&event.request).expect("it was there");
                // What the journal knew was paid for before.
                let cost = if open.held == Spent::default() { Spent::default() } else { open.cost };
                budget.settle(open.held, cost);
            }
            let mut earlier = found[task].remove(&number).map_or(Vec::new(), |earlier| earlier.raw);
            let again = u32::try_from(earlier.len()).unwrap_or(u32::MAX);
            if let Ok(reply) = &mut candidate.reply
                && again > 0
            {
                reply.notes.push(Note::AskedAgain);
            }
            let said = candidate.raw.first().cloned().unwrap_or_default();
            earlier.append(&mut candidate.raw);
            candidate.raw = earlier;
            if let Err(fault) = &candidate.reply
                && is_worth_asking(*fault)
                && again < asking.settings.again
            {
                waiting.push_back(another(task, number, again, &request, &said, *fault, rows, asking));
            }
            found[task].insert(number, candidate);
        }
        let open = |task: usize| under_way.values().chain(&waiting).any(|open: &Open| open.task == task);
        let done = (0..tasks.len()).filter(|task| !found[*task].is_empty() && !open(*task)).count();
        if watch(done as u64).is_break() {
            end = End::Interrupted;
            break;
        }
    }
    let is_cut = |task: usize| under_way.values().chain(&waiting).any(|open| open.task == task);
    let all = asking.settings.candidates as usize;
    let candidates = found
        .iter()
        .enumerate()
        .map(|(task, candidates)| {
            let is_whole = candidates.len() == all && !is_cut(task);
            is_whole.then(|| candidates.values().cloned().collect())
        })
        .collect();
    Ok(Asked { candidates, end })
}

/// Whether another answer may be better.
fn is_worth_asking(fault: Fault) -> bool {
    !matches!(fault, Fault::Declined | Fault::Refused | Fault::Failed)
}

fn first(number: usize, task: &Task, asking: &Asking<'_>) -> Open {
    let (input, _) = prompt_of(task, asking);
    let Settings { candidates, seed, .. } = *asking.settings;
    let rows = Drawn::of(task, seed).shown().len();
    let samples: Vec<u32> = (0..candidates).collect();
    let seed = seed_of(seed, &[prompt::VERSION, task.name()]);
    open(number, samples, input, seed, rows, asking)
}

#[allow(clippy::too_many_arguments, reason = "all of them decide what is asked")]
fn another(
    task: usize,
    number: u32,
    again: u32,
    request: &Request,
    said: &str,
    fault: Fault,
    rows: usize,
    asking: &Asking<'_>,
) -> Open {
    let input = prompt::again(&request.input, said, fault);
    let seed = seed_of(request.seed, &["again", &number.to_string(), &again.to_string()]);
    open(task, vec![number], input, seed, rows, asking)
}

fn open(task: usize, numbers: Vec<u32>, input: Input, seed: u64, rows: usize, asking: &Asking<'_>) -> Open {
    let mut sampling = asking.settings.sampling.clone();
    if matches!(input, Input::Prompt(_)) && !sampling.stop.iter().any(|stop| stop == prompt::STOP) {
        // A base model goes on with the next task.
        sampling.stop.push(prompt::STOP.to_owned());
    }
    let constraint = match asking.model.capabilities().json_schema {
        true => Constraint::JsonSchema(prompt::schema()),
        false => Constraint::Free,
    };
    let samples: Vec<u32> = (0..numbers.len() as u32).collect();
    let left = samples.len();
    let request = Request { id: 0, input, sampling, seed, samples, constraint };
    Open { task, numbers, request, held: Spent::default(), left, cost: Spent::default(), rows }
}

/// How many of a request's samples have to be paid for.
fn unknown(request: &Request, identity: &str, asking: &Asking<'_>) -> Result<u64> {
    let Some(journal) = asking.journal.filter(|_| asking.model.capabilities().journaled) else {
        return Ok(request.samples.len() as u64);
    };
    let mut unknown = 0;
    for sample in &request.samples {
        unknown += u64::from(journal.get(&Journal::key(identity, request, *sample))?.is_none());
    }
    Ok(unknown)
}

/// What a call costs at the most: its prompt once, and every sample as long as may be.
fn most(request: &Request, samples: u64) -> Spent {
    Spent {
        calls: 1,
        tokens_in: by_characters(&request.input.text()),
        tokens_out: samples * u64::from(request.sampling.max_tokens),
    }
}

/// What a call cost, with one more of its samples.
fn cost(so_far: Spent, request: &Request, outcome: &Outcome) -> Spent {
    let (given, written) = match outcome {
        Outcome::Text(text) => (
            text.prompt_tokens.map_or_else(|| by_characters(&request.input.text()), u64::from),
            text.completion_tokens.map_or_else(|| by_characters(&text.text), u64::from),
        ),
        Outcome::Declined | Outcome::Refused(_) | Outcome::Failed(_) => (0, 0),
    };
    Spent { calls: 1, tokens_in: so_far.tokens_in.max(given), tokens_out: so_far.tokens_out + written }
}

fn candidate(number: u32, outcome: Outcome, rows: usize) -> Candidate {
    let (reply, raw) = match outcome {
        Outcome::Text(text) => (read(&text.text, text.truncated, rows), text.text),
        Outcome::Declined => (Err(Fault::Declined), String::new()),
        Outcome::Refused(why) => (Err(Fault::Refused), why),
        Outcome::Failed(why) => (Err(Fault::Failed), why),
    };
    Candidate { number, reply, raw: vec![raw] }
}

#[cfg(test)]
mod tests;
