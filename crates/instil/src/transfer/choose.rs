//! Choosing among candidates: the definition under which a model finds the known answers likeliest
//! (spec/uit.md 3.5).
//!
//! Every candidate is scored with the same rows and behind the same examples, so that what differs is the definition.
//! What fails a check is not scored at all. The prompt ends without blanks, and the answer begins with them. A row's loss is
//! the mean over its answer's tokens, a candidate's the mean over rows; differences are taken row by row, and their standard
//! errors stand beside them. A definition has to do better than none ([`Judge::texts`] without one).

use std::collections::HashMap;
use std::ops::ControlFlow;

use serde::Serialize;

use super::ask::Candidate;
use super::pool::Drawn;
use super::{Task, words};
use crate::error::Result;
use crate::journal::{self, Journal};
use crate::lm::score::TEXTS;
use crate::lm::{LanguageModel, Scored, Scoring};
use crate::metrics::interval::{mean, standard_error};
use crate::unify::{Check, Exemplar, Instance, Style, passes};

words! {
    /// Why a candidate was chosen, or why none was.
    Why;
    Likeliest "likeliest" "The answers are likeliest under it, by more than one standard error.";
    Shorter "shorter" "Another one is within one standard error of it, and longer.";
    MostRight "most_right" "Under it the right label is the likeliest most often.";
    Only "only_one" "It is the only one that passes the checks, or all that do are the same.";
    Unscored "first_that_passes" "Nothing was scored; it is the first that passes the checks.";
    NonePasses "none_passes" "Every candidate has a fault or fails a check.";
    NoLift "no_lift" "Under none of them are the answers likelier than without a definition.";
    NoScore "no_score" "None of them could be scored.";
    LeastLoss "least_loss" "By the published procedure it has the least loss; nothing was checked.";
}

/// The most labels that are ranked; where there are more, answers are not taken for a closed set.
pub const LABELS: usize = 16;

/// A model that judges, and how.
pub struct Judge<'a> {
    /// The model that says how likely answers are.
    pub model: &'a dyn LanguageModel,
    /// What it has said before.
    pub journal: Option<&'a Journal>,
    /// The style in which definitions, examples and rows are put together.
    pub style: &'a Style,
}

/// A number with the standard error of what it is the mean of.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Sure {
    /// The mean, in nats a token.
    pub nats: f64,
    /// Its standard error; none of fewer than two rows.
    pub standard_error: Option<f64>,
}

impl Sure {
    fn of(values: &[f64]) -> Self {
        Self { nats: mean(values).unwrap_or(0.0), standard_error: standard_error(values) }
    }
}

/// A candidate and all that is known of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judged {
    /// Its number.
    pub number: u32,
    /// The definition; none where there is a fault.
    pub definition: Option<String>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<&'static str>,
    /// What was mended.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<&'static str>,
    /// What is wrong with it, as far as can be said without a model.
    pub checks: Vec<Check>,
    /// The replies as they came, where the last can't be used or was mended.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub raw: Vec<String>,
    /// The earlier candidate with the same words, whose scores these are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub same_as: Option<u32>,
    /// The mean loss of a row's answer, in nats a token.
    pub score: Option<f64>,
    /// How much likelier the answers are than without a definition.
    pub lift: Option<Sure>,
    /// How far it is behind the chosen one.
    pub behind: Option<Sure>,
    /// The share of rows of which the right label is the likeliest; none where answers are no closed set.
    pub right: Option<f64>,
}

/// What was chosen for a task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Choice {
    /// The task.
    pub task: String,
    /// How many rows candidates were judged by.
    pub rows: usize,
    /// The loss without a definition.
    pub without: Option<f64>,
    /// The candidate; none where rules have to do.
    pub chosen: Option<u32>,
    /// The one that would be next.
    pub runner_up: Option<u32>,
    /// How far that is behind.
    pub gap: Option<Sure>,
    /// Why it was chosen, or why none was.
    pub reason: Why,
    /// Texts longer than the judge's window.
    pub beyond_window: u64,
    /// All candidates, by their numbers.
    pub candidates: Vec<Judged>,
}

impl Choice {
    /// Nothing chosen yet among these candidates.
    pub(super) fn open(task: &Task, candidates: Vec<Judged>) -> Self {
        Self {
            task: task.name().to_owned(),
            rows: 0,
            without: None,
            chosen: None,
            runner_up: None,
            gap: None,
            reason: Why::NonePasses,
            beyond_window: 0,
            candidates,
        }
    }

    /// The definition that was chosen.
    pub fn definition(&self) -> Option<&str> {
        let chosen = self.candidates.iter().find(|one| Some(one.number) == self.chosen)?;
        chosen.definition.as_deref()
    }
}

/// The losses of a definition: one for each row, and how often the right label was the likeliest.
#[derive(Clone, Debug, PartialEq)]
struct Losses {
    rows: Vec<f64>,
    right: Option<f64>,
}

impl Judge<'_> {
    /// The texts that a definition is judged by, or what is judged without one: row by row, and for each row the answer,
    /// or every label where answers are a closed set.
    pub fn texts(&self, task: &Task, drawn: &Drawn<'_>, definition: Option<&str>) -> Vec<Scored> {
        let mut instruction = task.source.clone();
        instruction.negative = Vec::new();
        // Checked rows are none of these: the pool is drawn apart.
        instruction.positive = drawn
            .shown()
            .iter()
            .map(|row| Exemplar {
                input: self.style.input(&row.fields),
                output: row.output.clone(),
                explanation: None,
            })
            .collect();
        instruction.definition = Some(definition.unwrap_or(NOTHING).to_owned());
        let bound = self.style.bind(&instruction);
        let labels = closed(task, drawn);
        let mut texts = Vec::new();
        for row in &drawn.scored {
            let mut prompt = bound.prompt(row);
            if definition.is_none() {
                prompt = without(&prompt);
            }
            match labels {
                Some(labels) => texts.extend(labels.iter().map(|label| text(&prompt, label))),
                None => texts.push(text(&prompt, &row.output)),
            }
        }
        texts
    }

    fn losses(
        &self,
        task: &Task,
        drawn: &Drawn<'_>,
        definition: Option<&str>,
        beyond: &mut u64,
    ) -> Result<Option<Losses>> {
        let texts = self.texts(task, drawn, definition);
        let mut per_token = Vec::with_capacity(texts.len());
        for batch in texts.chunks(TEXTS) {
            for scoring in journal::scores(self.model, self.journal, batch)? {
                let Scoring::Score(score) = scoring else { return Ok(None) };
                if score.tokens == 0 {
                    return Ok(None);
                }
                *beyond += u64::from(!score.whole);
                per_token.push(score.nll / score.tokens as f64);
            }
        }
        let Some(labels) = closed(task, drawn) else {
            return Ok(Some(Losses { rows: per_token, right: None }));
        };
        let mut rows = Vec::with_capacity(drawn.scored.len());
        let mut right = 0_usize;
        for (row, losses) in drawn.scored.iter().zip(per_token.chunks(labels.len())) {
            let gold = labels.iter().position(|label| label.trim() == row.output.trim());
            let gold = gold.expect("answers of a closed set are labels");
            rows.push(losses[gold]);
            right +=
                usize::from(losses.iter().enumerate().all(|(at, loss)| at == gold || losses[gold] < *loss));
        }
        let right = right as f64 / rows.len().max(1) as f64;
        Ok(Some(Losses { rows, right: Some(right) }))
    }
}

/// Stands where a definition would, and in no text.
const NOTHING: &str = "\u{1}no definition\u{1}";

/// A prompt without the line of its definition: nothing of it is left, neither its label nor the blank line behind it.
fn without(prompt: &str) -> String {
    let Some(at) = prompt.find(NOTHING) else { return prompt.to_owned() };
    let (before, after) = (&prompt[..at], &prompt[at + NOTHING.len()..]);
    let line = before.rfind('\n').map_or(0, |end| end + 1);
    let is_alone = after.is_empty() || after.starts_with('\n');
    match is_alone {
        true => format!("{}{}", &before[..line], after.trim_start_matches('\n')),
        false => format!("{before}{}", after.trim_start()),
    }
}

/// Prompt and answer, parted where the prompt's last word ends: blanks begin the answer, as tokenizers want it.
fn text(prompt: &str, answer: &str) -> Scored {
    let head = prompt.trim_end();
    let gap = match &prompt[head.len()..] {
        "" if head.ends_with(':') => " ",
        "" => "\n",
        gap => gap,
    };
    let completion = format!("{gap}{}", answer.trim());
    Scored { prompt: head.to_owned(), completion, eos: false, apart: false }
}

/// The labels, where answers are a closed set that is small enough to be ranked.
fn closed<'a>(task: &'a Task, drawn: &Drawn<'_>) -> Option<&'a [String]> {
    let labels = &task.source.labels;
    let is_label = |row: &&Instance| labels.iter().any(|label| label.trim() == row.output.trim());
    let is_closed = (2..=LABELS).contains(&labels.len()) && drawn.scored.iter().all(is_label);
    is_closed.then_some(labels.as_slice())
}

/// Chooses among a task's candidates. `check` says what is wrong with a definition, given rows of the task; without a
/// judge, or without rows, the first that passes is chosen. None where `watch` broke off, which it is asked after each
/// candidate with the texts and tokens that were scored.
///
/// # Errors
/// When the judge gives no scores or can't be used.
pub fn choose(
    task: &Task,
    candidates: &[Candidate],
    judge: Option<&Judge<'_>>,
    seed: u64,
    check: &dyn Fn(&str, &[Instance]) -> Vec<Check>,
    watch: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<Option<Choice>> {
    let drawn = Drawn::of(task, seed);
    let mut judged = unjudged(&drawn, candidates, check);
    let mut first_with: HashMap<String, u32> = HashMap::new();
    for one in &mut judged {
        if let Some(definition) = &one.definition {
            let first = *first_with.entry(definition.clone()).or_insert(one.number);
            one.same_as = (first != one.number).then_some(first);
        }
    }
    let fit: Vec<usize> = (0..judged.len()).filter(|at| is_fit(&judged[*at])).collect();
    let mut choice = Choice::open(task, judged);
    let Some(&first) = fit.first() else { return Ok(Some(choice)) };
    let judge = judge.filter(|_| !drawn.scored.is_empty());
    let Some(judge) = judge else {
        choice.chosen = Some(choice.candidates[first].number);
        choice.reason = if fit.len() == 1 { Why::Only } else { Why::Unscored };
        return Ok(Some(choice));
    };
    choice.rows = drawn.scored.len();
    let mut beyond = 0;
    let nothing = judge.losses(task, &drawn, None, &mut beyond)?;
    choice.without = nothing.as_ref().and_then(|losses| mean(&losses.rows));
    let mut losses: Vec<(usize, Losses)> = Vec::new();
    for (done, at) in fit.iter().enumerate() {
        if watch(done as u64).is_break() {
            return Ok(None);
        }
        let definition = choice.candidates[*at].definition.as_deref();
        if let Some(found) = judge.losses(task, &drawn, definition, &mut beyond)? {
            let one = &mut choice.candidates[*at];
            one.score = mean(&found.rows);
            one.right = found.right;
            one.lift = nothing.as_ref().map(|nothing| Sure::of(&differences(&nothing.rows, &found.rows)));
            losses.push((*at, found));
        }
    }
    choice.beyond_window = beyond;
    settle(&mut choice, losses);
    Ok(Some(choice))
}

/// Candidates with what can be said of them without a model.
pub(super) fn unjudged(
    drawn: &Drawn<'_>,
    candidates: &[Candidate],
    check: &dyn Fn(&str, &[Instance]) -> Vec<Check>,
) -> Vec<Judged> {
    let seen: Vec<Instance> = drawn.pool.iter().chain(&drawn.scored).map(|row| (*row).clone()).collect();
    candidates.iter().map(|candidate| of(candidate, check, &seen)).collect()
}

fn of(candidate: &Candidate, check: &dyn Fn(&str, &[Instance]) -> Vec<Check>, seen: &[Instance]) -> Judged {
    let definition = candidate.definition().map(str::to_owned);
    let is_clean = candidate.reply.is_ok() && candidate.notes().is_empty();
    Judged {
        number: candidate.number,
        checks: definition.as_deref().map_or(Vec::new(), |definition| check(definition, seen)),
        definition,
        fault: candidate.reply.as_ref().err().map(|fault| fault.word()),
        notes: candidate.notes().iter().map(|note| note.word()).collect(),
        raw: if is_clean { Vec::new() } else { candidate.raw.clone() },
        same_as: None,
        score: None,
        lift: None,
        behind: None,
        right: None,
    }
}

/// Whether a candidate may be chosen, and is the first with its words.
fn is_fit(one: &Judged) -> bool {
    one.definition.is_some() && one.same_as.is_none() && passes(&one.checks)
}

fn differences(one: &[f64], other: &[f64]) -> Vec<f64> {
    one.iter().zip(other).map(|(one, other)| one - other).collect()
}

/// Takes the best of what was scored.
fn settle(choice: &mut Choice, mut losses: Vec<(usize, Losses)>) {
    if losses.is_empty() {
        choice.reason = Why::NoScore;
        return;
    }
    let score = |losses: &Losses| mean(&losses.rows).unwrap_or(f64::INFINITY);
    losses.sort_by(|(_, one), (_, other)| {
        let by_right = other.right.unwrap_or(0.0).total_cmp(&one.right.unwrap_or(0.0));
        by_right.then(score(one).total_cmp(&score(other)))
    });
    let is_behind_nothing = |at: usize| choice.candidates[at].lift.is_some_and(|lift| lift.nats <= 0.0);
    if losses.iter().all(|(at, _)| is_behind_nothing(*at)) {
        choice.reason = Why::NoLift;
        return;
    }
    // One that is no better than nothing is not chosen for the labels that it happens to get right.
    losses.retain(|(at, _)| !is_behind_nothing(*at));
    let mut order = (0, 1);
    choice.reason = Why::Only;
    if let [(best, first), (next, second), ..] = losses.as_slice() {
        let gap = Sure::of(&differences(&second.rows, &first.rows));
        let length =
            |at: usize| choice.candidates[at].definition.as_ref().map_or(0, |text| text.chars().count());
        let is_near = gap.standard_error.is_none_or(|error| gap.nats.abs() <= error);
        choice.reason = if first.right != second.right {
            Why::MostRight
        } else if !is_near {
            Why::Likeliest
        } else {
            if length(*next) < length(*best) {
                order = (1, 0);
            }
            Why::Shorter
        };
    }
    let (chosen, chosen_losses) = &losses[order.0];
    for (at, found) in &losses {
        choice.candidates[*at].behind = Some(Sure::of(&differences(&found.rows, &chosen_losses.rows)));
    }
    choice.chosen = Some(choice.candidates[*chosen].number);
    if let Some((runner_up, _)) = losses.get(order.1) {
        choice.runner_up = Some(choice.candidates[*runner_up].number);
        choice.gap = choice.candidates[*runner_up].behind;
    }
}

#[cfg(test)]
mod tests;
