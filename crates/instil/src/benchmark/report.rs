//! From answers to numbers.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::alignment::{Alignment, Judged, Scored, alignments};
use super::item::Ask;
use super::run::{Account, Answer, Said};
use super::spec::{Benchmark, By, Compare, Kind, Metric};
use crate::metrics::classify::{Average, Counts, ZeroDivision};
use crate::metrics::{baseline, best, classify, interval, rouge, squad};
use crate::rng::{nth, seed_of};

/// What a benchmark came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The benchmark's name.
    pub benchmark: String,
    /// What went in and didn't come out.
    #[serde(flatten)]
    pub account: Account,
    /// The numbers, the headline first.
    pub metrics: Vec<Number>,
    /// The means of each group of rows, in the order of their names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, Group>,
    /// How far the answers follow the benchmark's rules.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alignment: Vec<Alignment>,
}

/// One number.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Number {
    /// What is measured.
    pub metric: Metric,
    /// The mean over the prompts; none without an answer.
    pub value: Option<f64>,
    /// Its standard error over the rows, where it is a mean of rows.
    pub standard_error: Option<f64>,
    /// Its 95 % interval by the bootstrap over rows.
    pub interval: Option<(f64, f64)>,
    /// The standard deviation over the prompts, where there are several.
    pub spread: Option<f64>,
    /// What the commonest answer would get, where there is such a thing.
    pub majority: Option<f64>,
    /// What chance would get: choices drawn evenly, or the answers of other rows.
    pub random: Option<f64>,
    /// The number under each prompt.
    pub prompts: BTreeMap<String, Option<f64>>,
}

/// The means of a group.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Group {
    /// Rows.
    pub rows: u64,
    /// The mean of each metric that is a mean of rows.
    pub metrics: BTreeMap<&'static str, f64>,
}

/// Answers as they come.
pub struct Tally<'a> {
    benchmark: &'a Benchmark,
    /// By prompt, then by row.
    values: BTreeMap<Metric, Vec<Vec<f64>>>,
    /// The right label and the guess, by prompt and row.
    labels: Vec<Vec<(usize, usize)>>,
    names: BTreeMap<String, usize>,
    /// What is right in each row, by the first prompt.
    rows: Vec<Fact>,
    groups: BTreeMap<String, Sums>,
    /// By item, where the benchmark has rules.
    judged: Vec<Judged>,
    scored: Vec<Vec<Scored>>,
}

/// Of a group: its rows, and of each metric the sum and how many answers it is of.
#[derive(Default)]
struct Sums {
    rows: u64,
    metrics: BTreeMap<&'static str, (f64, u64)>,
}

/// What is right in a row.
enum Fact {
    Choice { choices: usize, gold: usize },
    Texts(Vec<String>),
}

/// A guess that is no label of any row.
const NOTHING: &str = "\u{0}nothing";

impl<'a> Tally<'a> {
    /// Nothing yet.
    pub fn new(benchmark: &'a Benchmark) -> Self {
        let prompts = benchmark.prompts.len();
        let values = benchmark
            .metrics
            .iter()
            .filter(|metric| !is_of_labels(**metric))
            .map(|metric| (*metric, vec![Vec::new(); prompts]))
            .collect();
        Self {
            benchmark,
            values,
            labels: vec![Vec::new(); prompts],
            names: BTreeMap::new(),
            rows: Vec::new(),
            groups: BTreeMap::new(),
            judged: Vec::new(),
            scored: Vec::new(),
        }
    }

    /// Counts an answer; gives a line that tells of it.
    pub fn add(&mut self, answer: &Answer) -> Map<String, Value> {
        let (item, ask) = (&answer.item, &answer.item.ask);
        if item.prompt == 0 {
            self.rows.push(match ask {
                Ask::Choice { choices, gold, .. } => Fact::Choice { choices: choices.len(), gold: *gold },
                Ask::Text { references, .. } => Fact::Texts(references.clone()),
                Ask::Completion { completion, .. } => Fact::Texts(vec![completion.trim().to_owned()]),
            });
        }
        let mut judged = Map::new();
        for (metric, by_prompt) in &mut self.values {
            let value = value(*metric, self.benchmark, answer);
            by_prompt[item.prompt].push(value);
            judged.insert(metric.name().to_owned(), value.into());
            if let Some(group) = &item.group {
                let sums = self.groups.entry(group.clone()).or_default();
                let (sum, count) = sums.metrics.entry(metric.name()).or_default();
                *sum += value;
                *count += 1;
            }
        }
        if let Some(group) = item.group.as_ref().filter(|_| item.prompt == 0) {
            self.groups.entry(group.clone()).or_default().rows += 1;
        }
        let guess = guess(self.benchmark, answer);
        let (truth, guessed) = match ask {
            Ask::Choice { gold, .. } => (gold.to_string(), guess.map(|guess| guess.to_string())),
            _ => {
                let said = match &answer.said {
                    Said::Words { answer, .. } => Some(answer.clone()),
                    _ => None,
                };
                (ask.right().trim().to_owned(), said)
            }
        };
        let pair = (self.label(truth), self.label(guessed.unwrap_or_else(|| NOTHING.to_owned())));
        self.labels[item.prompt].push(pair);
        let mut line = line(self.benchmark, answer, guess, judged);
        let scored = self.benchmark.aligned(answer, guess);
        if !scored.is_empty() {
            let names = self.benchmark.rules();
            let by_rule: Map<String, Value> =
                names.zip(&scored).map(|(name, scored)| (name.to_owned(), json!(scored))).collect();
            line.insert("alignment".to_owned(), Value::Object(by_rule));
            self.judged.extend(Judged::of_line(&line));
            self.scored.push(scored);
        }
        line
    }

    /// What each item is worth and how far it follows the benchmark's rules, where there are some.
    pub fn judged(&self) -> &[Judged] {
        &self.judged
    }

    fn label(&mut self, name: String) -> usize {
        let next = self.names.len();
        *self.names.entry(name).or_insert(next)
    }

    /// The numbers.
    pub fn report(&self, account: Account, seed: u64) -> Report {
        let seed = seed_of(seed, &["eval", &self.benchmark.name]);
        let metrics = self.benchmark.metrics.iter().map(|metric| self.number(*metric, seed)).collect();
        let groups = self.groups.iter().map(|(name, sums)| {
            let mean = |(metric, (sum, count)): (&&'static str, &(f64, u64))| (*metric, sum / *count as f64);
            (name.clone(), Group { rows: sums.rows, metrics: sums.metrics.iter().map(mean).collect() })
        });
        let alignment = match self.scored.is_empty() {
            true => Vec::new(),
            false => alignments(self.benchmark, &self.scored, seed),
        };
        let benchmark = self.benchmark.name.clone();
        Report { benchmark, account, metrics, groups: groups.collect(), alignment }
    }

    fn number(&self, metric: Metric, seed: u64) -> Number {
        let all: Vec<usize> = (0..self.rows.len()).collect();
        let by_prompt: Vec<Option<f64>> =
            (0..self.benchmark.prompts.len()).map(|prompt| self.of_prompt(metric, prompt, &all)).collect();
        let known: Vec<f64> = by_prompt.iter().flatten().copied().collect();
        let standard_error =
            self.values.get(&metric).filter(|_| metric != Metric::Perplexity).and_then(|values| {
                let of_row =
                    |row: &usize| values.iter().map(|prompt| prompt[*row]).sum::<f64>() / values.len() as f64;
                interval::standard_error(&all.iter().map(of_row).collect::<Vec<_>>())
            });
        let (majority, random) = self.baselines(metric, seed);
        Number {
            metric,
            value: interval::mean(&known),
            standard_error,
            interval: interval::bootstrap(all.len(), seed, |drawn| self.over_prompts(metric, drawn)),
            spread: interval::deviation(&known),
            majority,
            random,
            prompts: self.benchmark.prompts().map(str::to_owned).zip(by_prompt).collect(),
        }
    }

    fn over_prompts(&self, metric: Metric, rows: &[usize]) -> Option<f64> {
        let prompts = 0..self.benchmark.prompts.len();
        interval::mean(&prompts.filter_map(|prompt| self.of_prompt(metric, prompt, rows)).collect::<Vec<_>>())
    }

    /// A metric under one prompt over some rows, of which one may come several times.
    fn of_prompt(&self, metric: Metric, prompt: usize, rows: &[usize]) -> Option<f64> {
        if let Some(average) = average(metric) {
            let pairs = rows.iter().map(|row| self.labels[prompt][*row]);
            return f1(pairs, self.names.len(), average);
        }
        let values = &self.values[&metric][prompt];
        // A completion that was not scored has no likelihood; any other answer that is lacking is wrong.
        let (sum, count) = rows
            .iter()
            .map(|row| values[*row])
            .filter(|value| !value.is_nan())
            .fold((0.0, 0_u32), |(sum, count), value| (sum + value, count + 1));
        let mean = (count > 0).then(|| sum / f64::from(count))?;
        Some(if metric == Metric::Perplexity { mean.exp() } else { mean })
    }

    /// What the commonest answer and chance would get.
    fn baselines(&self, metric: Metric, seed: u64) -> (Option<f64>, Option<f64>) {
        if metric == Metric::Perplexity || self.rows.is_empty() {
            return (None, None);
        }
        let choices: Vec<(usize, usize)> = self
            .rows
            .iter()
            .filter_map(|row| match row {
                Fact::Choice { choices, gold } => Some((*choices, *gold)),
                Fact::Texts(_) => None,
            })
            .collect();
        if choices.len() == self.rows.len() {
            let golds: Vec<usize> = choices.iter().map(|(_, gold)| *gold).collect();
            let counts: Vec<usize> = choices.iter().map(|(count, _)| *count).collect();
            let most = counts.iter().copied().max().unwrap_or(0);
            let of = |guess: &[usize]| match average(metric) {
                Some(average) => f1(golds.iter().copied().zip(guess.iter().copied()), most, average),
                None => classify::accuracy(&golds, guess),
            };
            let commonest = baseline::majority(&golds).map(|gold| vec![gold; golds.len()]);
            return (commonest.and_then(|guess| of(&guess)), baseline::chance(&counts, seed, of));
        }
        let references: Vec<&[String]> = self
            .rows
            .iter()
            .map(|row| match row {
                Fact::Texts(texts) => texts.as_slice(),
                Fact::Choice { .. } => &[],
            })
            .collect();
        let firsts: Vec<&str> =
            references.iter().map(|texts| texts.first().map_or("", |text| text.trim())).collect();
        let of = |guess: &dyn Fn(usize) -> String| {
            let guesses: Vec<String> = (0..firsts.len()).map(guess).collect();
            if let Some(average) = average(metric) {
                let truth: Vec<String> = firsts.iter().map(|text| (*text).to_owned()).collect();
                return classify::f1(&truth, &guesses, None, average, ZeroDivision::Zero);
            }
            let compare = compare(self.benchmark);
            let values: Vec<f64> = guesses
                .iter()
                .zip(&references)
                .map(|(guess, references)| of_text(metric, guess, references, compare))
                .collect();
            interval::mean(&values)
        };
        let commonest = baseline::majority(&firsts).and_then(|text| of(&|_| text.to_owned()));
        let row = seed_of(seed, &["other rows"]);
        let other = |place: usize| {
            let number = (u128::from(nth(row, place as u64)) * firsts.len() as u128) >> 64;
            firsts[number as usize].to_owned()
        };
        (commonest, of(&other))
    }
}

fn is_of_labels(metric: Metric) -> bool {
    average(metric).is_some()
}

fn average(metric: Metric) -> Option<Average> {
    match metric {
        Metric::MacroF1 => Some(Average::Macro),
        Metric::WeightedF1 => Some(Average::Weighted),
        _ => None,
    }
}

/// The F1 of pairs of a right label and a guess, each below `labels`; labels that are neither don't count.
fn f1(pairs: impl Iterator<Item = (usize, usize)>, labels: usize, average: Average) -> Option<f64> {
    let mut counts = vec![Counts::default(); labels];
    for (truth, guess) in pairs {
        if truth == guess {
            counts[truth].right += 1;
        } else {
            counts[truth].missed += 1;
            counts[guess].wrong += 1;
        }
    }
    counts.retain(|label| *label != Counts::default());
    classify::mean(&counts, average, ZeroDivision::Zero)
}

fn compare(benchmark: &Benchmark) -> Compare {
    match &benchmark.kind {
        Kind::Generate { compare, .. } => *compare,
        Kind::Rank { .. } | Kind::Greedy { .. } => Compare::Best,
    }
}

/// The number of the choice that was taken.
pub fn guess(benchmark: &Benchmark, answer: &Answer) -> Option<usize> {
    match (&answer.said, &benchmark.kind, &answer.item.ask) {
        (Said::Likely { by_sum, .. }, Kind::Rank { by: By::Sum, .. }, _) => Some(*by_sum),
        (Said::Likely { by_characters, .. }, ..) => Some(*by_characters),
        (Said::Words { answer, .. }, _, Ask::Choice { choices, .. }) => {
            choices.iter().position(|choice| choice.trim() == answer)
        }
        _ => None,
    }
}

/// What an answer is worth by the benchmark's first metric that is a mean of rows, or else by accuracy.
pub fn worth(benchmark: &Benchmark, answer: &Answer) -> f64 {
    let is_of_rows = |metric: &&Metric| !is_of_labels(**metric) && **metric != Metric::Perplexity;
    value(benchmark.metrics.iter().find(is_of_rows).copied().unwrap_or(Metric::Accuracy), benchmark, answer)
}

/// What an answer is worth by a metric that is a mean of rows.
fn value(metric: Metric, benchmark: &Benchmark, answer: &Answer) -> f64 {
    let is = |right: bool| f64::from(u8::from(right));
    match (&answer.item.ask, &answer.said) {
        (Ask::Choice { gold, .. }, Said::Likely { by_characters, .. }) if metric == Metric::AccNorm => {
            is(by_characters == gold)
        }
        (Ask::Choice { gold, .. }, _) => is(guess(benchmark, answer) == Some(*gold)),
        (Ask::Completion { .. }, Said::Completed { nll, is_greedy }) => match metric {
            Metric::Perplexity => *nll,
            _ => is(*is_greedy),
        },
        (Ask::Completion { completion, .. }, Said::Words { answer, .. }) => match metric {
            Metric::Perplexity => f64::NAN,
            _ => is(answer == completion.trim()),
        },
        (Ask::Text { .. }, Said::Words { answer: said, .. }) if metric == Metric::Verified => {
            benchmark.cooked.as_ref().map_or(0.0, |cooked| cooked.score(&answer.item.id, said))
        }
        (Ask::Text { references, .. }, Said::Words { answer, .. }) => {
            of_text(metric, answer, references, compare(benchmark))
        }
        _ if metric == Metric::Perplexity => f64::NAN,
        _ => 0.0,
    }
}

/// What a text is worth beside the right ones.
fn of_text(metric: Metric, answer: &str, references: &[String], compare: Compare) -> f64 {
    let references = match compare {
        Compare::First => &references[..references.len().min(1)],
        Compare::Best => references,
    };
    let of = |reference: &str| match metric {
        Metric::SquadEm => squad::exact_match(answer, reference),
        Metric::SquadF1 => squad::f1(answer, reference),
        Metric::ExactMatch => rouge::exact_match(answer, reference),
        Metric::RougeL => rouge::rouge_l(answer, reference),
        _ => f64::from(u8::from(answer.trim() == reference.trim())),
    };
    best(references, of).unwrap_or(0.0)
}

/// What is told of an answer.
fn line(
    benchmark: &Benchmark,
    answer: &Answer,
    guess: Option<usize>,
    judged: Map<String, Value>,
) -> Map<String, Value> {
    let item = &answer.item;
    let mut line = Map::new();
    let mut tell = |name: &str, value: Value| drop(line.insert(name.to_owned(), value));
    tell("benchmark", benchmark.name.as_str().into());
    tell("id", item.id.as_str().into());
    tell("prompt", benchmark.prompts[item.prompt].name.as_str().into());
    if let Some(group) = &item.group {
        tell("group", group.as_str().into());
    }
    match &item.ask {
        Ask::Choice { choices, gold, .. } => {
            tell("choices", json!(choices));
            tell("gold", json!(gold));
            tell("guess", json!(guess));
        }
        Ask::Text { references, .. } => tell("references", json!(references)),
        Ask::Completion { completion, .. } => tell("completion", completion.as_str().into()),
    }
    match &answer.said {
        Said::Likely { nlls, .. } => tell("nll_nats", json!(nlls)),
        Said::Completed { nll, is_greedy } => {
            tell("nll_nats", json!(nll));
            tell("greedy", json!(is_greedy));
        }
        Said::Words { answer, truncated } => {
            tell("answer", answer.as_str().into());
            tell("truncated", json!(truncated));
        }
        Said::Nothing(why) => tell("refused", why.as_str().into()),
    }
    tell("scores", Value::Object(judged));
    line
}
