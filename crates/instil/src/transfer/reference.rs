//! The published procedure of choosing (spec/uit.md 3.2), as it was coded.
//!
//! Each candidate has examples of its own and is scored by rows that are shuffled for it alone; its definition stands in
//! the prompt as Python prints a list; prompt and answer are tokenised apart, the prompt with a blank at its end; losses are
//! means of four batches of eight, in which every batch counts the same; nothing is checked, and the least loss wins.
//! All of this is known to be wrong (spec/uit.md 3.4) and is kept here to be compared with.
//!
//! Three things are not known, and are settled here: the order of a shuffle (a function of our seed), the model (whichever
//! judges), and the selection itself, which isn't in the published repository. A tokenizer that puts a start token before a
//! text does so here, too; the published model's has none.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Task;
use super::ask::Candidate;
use super::choose::{self, Choice, Judge, Sure, Why};
use super::pool::{Drawn, POOL};
use crate::error::{Error, Result};
use crate::journal::{self, Journal};
use crate::lm::{LanguageModel, Scored, Scoring};
use crate::rng::seed_of;
use crate::template::engine::{Compiled, Fields, Options};
use crate::unify::{Check, Exemplar, Instance, Style};

/// Rows of a batch.
const BATCH: usize = 8;
/// Batches of a candidate.
const BATCHES: usize = 4;

/// The prompt, in the language of templates: a list prints as Python prints it.
const PROMPT: &str = "Definition: {{definition}}\n\n\
    Positive Examples 1\nInput: {{examples[0].input}}\nOutput: {{examples[0].output}}\n\n\
    Positive Examples 2\nInput: {{examples[1].input}}\nOutput: {{examples[1].output}}\n\n\
    Now complete the following example -\nInput: {{input}}\nOutput: ";

/// The prompt of a candidate and a row. The definition is the list that task files have.
///
/// # Errors
/// When there are not two examples.
pub fn prompt(definition: &[String], examples: &[Exemplar], input: &str) -> Result<String> {
    let failed = |why: String| Error::input("failed to make the published prompt").because(why);
    let [one, two] = examples else {
        return Err(failed(format!("it has two examples, not {}", examples.len())));
    };
    let example = |example: &Exemplar| json!({"input": example.input, "output": example.output});
    let Value::Object(fields) =
        json!({"definition": definition, "examples": [example(one), example(two)], "input": input})
    else {
        unreachable!("an object was written above")
    };
    let template = Compiled::new(PROMPT, None, Options::default()).map_err(|fault| failed(fault.message))?;
    template.text(&Fields::of(&fields), 0).map_err(|fault| failed(fault.message))
}

/// The loss of a candidate from its rows' sums: `(nats, tokens)` in the order in which they were drawn. None where a batch is
/// empty: of fewer than 25 rows.
pub fn loss(rows: &[(f64, usize)]) -> Option<f64> {
    let batches: Vec<f64> = (0..BATCHES)
        .map(|batch| {
            let rows = rows.get(batch * BATCH..rows.len().min((batch + 1) * BATCH))?;
            let tokens: usize = rows.iter().map(|(_, tokens)| tokens).sum();
            (tokens > 0).then(|| rows.iter().map(|(nats, _)| nats).sum::<f64>() / tokens as f64)
        })
        .collect::<Option<_>>()?;
    Some(batches.iter().sum::<f64>() / BATCHES as f64)
}

/// The loss of each definition, none where the published code stores a null: a prompt beyond the window, fewer than 25
/// rows, or a text that isn't scored.
///
/// # Errors
/// When the model gives no scores or can't be used.
pub fn losses(
    task: &Task,
    definitions: &[Option<&str>],
    (model, journal): (&dyn LanguageModel, Option<&Journal>),
    style: &Style,
    seed: u64,
) -> Result<Vec<Option<f64>>> {
    let mut found = Vec::with_capacity(definitions.len());
    for (number, definition) in definitions.iter().enumerate() {
        let Some(definition) = definition else {
            found.push(None);
            continue;
        };
        // The pool of examples was not taken out of the rows.
        let rows = drawn(task, seed, &["rows", &number.to_string()]);
        let mut pool = drawn(task, seed, &["pool"]);
        pool.truncate(POOL);
        let seed = seed_of(seed, &["examples", &number.to_string()]);
        pool.sort_by_cached_key(|row| seed_of(seed, &[task.name(), &row.to_string()]));
        let examples: Vec<Exemplar> =
            pool.iter().take(2).map(|row| example(&task.rows[*row], style)).collect();
        let mut texts = Vec::with_capacity(BATCH * BATCHES);
        for row in rows.into_iter().take(BATCH * BATCHES) {
            let row = &task.rows[row];
            let answer = if row.output.is_empty() { "null" } else { &row.output };
            let prompt = prompt(&[(*definition).to_owned()], &examples, &style.input(&row.fields))?;
            texts.push(Scored { prompt, completion: answer.to_owned(), eos: false, apart: true });
        }
        let scored = journal::scores(model, journal, &texts)?;
        let sums: Option<Vec<(f64, usize)>> = scored
            .iter()
            .map(|scoring| match scoring {
                Scoring::Score(score) if score.whole => Some((score.nll, score.tokens)),
                _ => None,
            })
            .collect();
        found.push(sums.and_then(|sums| loss(&sums)));
    }
    Ok(found)
}

/// Takes the candidate with the least loss. What the checks say of each is told and changes nothing.
///
/// # Errors
/// As [`losses`].
pub(super) fn choose(
    task: &Task,
    candidates: &[Candidate],
    judge: &Judge<'_>,
    seed: u64,
    check: &dyn Fn(&str, &[Instance]) -> Vec<Check>,
    watch: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<Option<Choice>> {
    let mut choice = Choice::open(task, choose::unjudged(&Drawn::of(task, seed), candidates, check));
    choice.rows = task.rows.len().min(BATCH * BATCHES);
    for at in 0..candidates.len() {
        if watch(at as u64).is_break() {
            return Ok(None);
        }
        let mut definitions = vec![None; candidates.len()];
        definitions[at] = candidates[at].definition();
        let found = losses(task, &definitions, (judge.model, judge.journal), judge.style, seed)?;
        choice.candidates[at].score = found[at];
    }
    let mut order: Vec<(u32, f64)> =
        choice.candidates.iter().filter_map(|one| Some((one.number, one.score?))).collect();
    order.sort_by(|(_, one), (_, other)| one.total_cmp(other));
    choice.chosen = order.first().map(|(number, _)| *number);
    choice.runner_up = order.get(1).map(|(number, _)| *number);
    if let [(_, least), (_, next), ..] = order.as_slice() {
        // Candidates have rows of their own, so there is no error of a paired difference.
        choice.gap = Some(Sure { nats: next - least, standard_error: None });
    }
    choice.reason = if order.is_empty() { Why::NoScore } else { Why::LeastLoss };
    Ok(Some(choice))
}

/// The numbers of all rows, in an order that a seed and a purpose decide.
fn drawn(task: &Task, seed: u64, what: &[&str]) -> Vec<usize> {
    let seed = seed_of(seed, what);
    let mut rows: Vec<usize> = (0..task.rows.len()).collect();
    rows.sort_by_cached_key(|row| seed_of(seed, &[task.name(), &row.to_string()]));
    rows
}

fn example(row: &Instance, style: &Style) -> Exemplar {
    Exemplar { input: style.input(&row.fields), output: row.output.clone(), explanation: None }
}

/// Losses of a task's candidates as the published code writes them: a line of `res.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// The task's file.
    pub task: String,
    /// The loss of each candidate's file; null where it failed.
    #[serde(rename = "CEloss")]
    pub losses: Map<String, Value>,
}

impl Recorded {
    /// What was recorded, line by line.
    ///
    /// # Errors
    /// When a line is something else; it is named.
    pub fn parse(text: &str) -> Result<Vec<Self>> {
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        lines
            .map(|(number, line)| {
                serde_json::from_str(line).map_err(|e| {
                    Error::input(format!("line {} is no record of losses", number + 1))
                        .because(e)
                        .with_hint("each is {\"task\": \"…\", \"CEloss\": {\"FILE\": LOSS or null}}")
                })
            })
            .collect()
    }

    /// The losses that are numbers, by candidate.
    pub fn numbers(&self) -> impl Iterator<Item = (&str, f64)> {
        self.losses.iter().filter_map(|(file, loss)| Some((file.as_str(), loss.as_f64()?)))
    }

    /// The candidate with the least loss.
    pub fn chosen(&self) -> Option<(&str, f64)> {
        self.numbers().min_by(|(_, one), (_, other)| one.total_cmp(other))
    }

    /// What the losses are like together.
    pub fn summary(&self) -> Option<Summary> {
        let losses: Vec<f64> = self.numbers().map(|(_, loss)| loss).collect();
        let mean = losses.iter().sum::<f64>() / losses.len() as f64;
        let squares: f64 = losses.iter().map(|loss| (loss - mean).powi(2)).sum();
        Some(Summary {
            candidates: losses.len(),
            least: losses.iter().copied().min_by(f64::total_cmp)?,
            mean,
            most: losses.iter().copied().max_by(f64::total_cmp)?,
            deviation: (squares / losses.len() as f64).sqrt(),
        })
    }
}

/// Losses of a task's candidates together (spec/uit.md 3.3).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Candidates that have one.
    pub candidates: usize,
    /// The least, in nats.
    pub least: f64,
    /// The mean.
    pub mean: f64,
    /// The greatest.
    pub most: f64,
    /// The standard deviation of the population.
    pub deviation: f64,
}

#[cfg(test)]
mod tests;
