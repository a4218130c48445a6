//! What comes of the answers: how good each source is for each task, the proportions, and what they are compared with.

use std::collections::HashMap;

use serde::Serialize;

use super::answers::{Answered, check_labels, votes};
use super::study::one_hot;
use super::{Learn, Mode};
use crate::compare::{self, Arm, Comparison, Worths};
use crate::error::{Error, Result};
use crate::metrics::interval::{DRAWS, deviation, mean, standard_error};
use crate::mix::labelfree::{estimate, interval_of};
use crate::mix::law::{Law, Run};
use crate::mix::proportions::{by_gain, means};
use crate::rng::{nth, seed_of};

/// Answers of several models to several tasks: `[model][task][item]`.
pub type Answers = [Vec<Vec<Answered>>];

/// Numbers by source and task, each with its 95 % interval.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Matrix {
    /// `values[source][task]`; no number of a task that nothing can be said of.
    pub values: Vec<Vec<f64>>,
    /// The same for the intervals.
    pub intervals: Vec<Vec<(f64, f64)>>,
    /// `draws[draw][source]`: the weighted mean over tasks of each bootstrap draw.
    #[serde(skip)]
    draws: Vec<Vec<f64>>,
}

/// A mix: its name and the share of each source.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Named {
    /// `learned`, `uniform`, `best single`, `oracle` or `by gain`.
    pub name: String,
    /// The share of each source.
    pub shares: Vec<f64>,
    /// Their 95 % intervals, where they follow from accuracies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub intervals: Vec<(f64, f64)>,
}

/// The fitted law.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fitted {
    /// The shares of each run that it is fitted on, and the loss of each task after it.
    pub runs: Vec<(Vec<f64>, Vec<f64>)>,
    /// The mean relative error of each task's loss on runs that were left out.
    pub errors: Vec<f64>,
    /// The losses that it expects of the learned mix, by task.
    pub expected: Vec<f64>,
}

/// A model that was tuned on one of the mixes under a seed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Compared {
    /// The mix's name.
    pub name: String,
    /// By seed: the seed, and the measured worth of each task's test items.
    pub seeds: Vec<(u64, Vec<f64>)>,
    /// The weighted mean over tasks, in the mean over seeds.
    pub mean: f64,
    /// Its standard deviation over seeds, where there are several.
    pub deviation: Option<f64>,
}

/// Everything that was learnt, and how.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evidence {
    /// How the worth of sources was found.
    pub mode: Mode,
    /// The names of the sources.
    pub sources: Vec<String>,
    /// The names of the tasks.
    pub tasks: Vec<String>,
    /// How much each task counts.
    pub weights: Vec<f64>,
    /// Items of each task that proportions were learnt on.
    pub items: Vec<u64>,
    /// What the base is worth at each task, where labels are there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<Vec<f64>>,
    /// Accuracies by agreement. They rank sources; they are no measurements.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated: Option<Matrix>,
    /// Accuracies by labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured: Option<Matrix>,
    /// Spearman's rank correlation of both for each task, and for the means over tasks at the end.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rank_correlation: Vec<Option<f64>>,
    /// The law, in its mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub law: Option<Fitted>,
    /// The learned mix first, then those that it is compared with.
    pub mixes: Vec<Named>,
    /// What models are worth that were tuned on the mixes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub compared: Vec<Compared>,
    /// The same with intervals and tests, beside the uniform mix; the base is among them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
    /// What has to be known of the numbers.
    pub notes: Vec<String>,
}

/// What the mixes are called.
pub const LEARNED: &str = "learned";
const UNIFORM: &str = "uniform";

impl Evidence {
    /// What the answers of models that were tuned on single sources come to; with `runs` those of mixed runs, which the
    /// mode of a law needs. `base` are the answers of the base.
    ///
    /// # Errors
    /// When nothing can be learnt of the answers, which is explained.
    pub fn of(
        learn: &Learn,
        tasks: &[String],
        base: &[Vec<Answered>],
        singles: &Answers,
        runs: &[(Vec<f64>, Vec<Vec<Answered>>)],
    ) -> Result<Self> {
        let sources: Vec<String> = learn.source.iter().map(|source| source.name.clone()).collect();
        let names: Vec<&str> = sources.iter().map(String::as_str).collect();
        let weights: Vec<f64> = learn.task.iter().map(|task| task.weight).collect();
        let mut notes = Vec::new();
        let labels = (0..tasks.len()).try_for_each(|task| check_labels(&tasks[task], &base[task]));
        if learn.mode != Mode::LabelFree {
            labels.as_ref().map_err(copied)?;
        }
        differ(&names, singles)?;
        let measured = labels.is_ok().then(|| Matrix::measured(singles, &weights, learn.seed));
        // A task that nothing can be estimated of doesn't count.
        let mut counted = weights.clone();
        let estimated = match learn.mode {
            Mode::LabelFree => {
                Some(Matrix::estimated(singles, tasks, &names, &mut counted, learn.seed, &mut notes)?)
            }
            Mode::Labelled | Mode::Law => None,
        };
        let base_worth =
            labels.is_ok().then(|| base.iter().map(|answers| worth(answers)).collect::<Vec<f64>>());
        let (learned, law) = match (learn.mode, &estimated, &measured) {
            (Mode::Law, ..) => {
                let (shares, law) = by_law(learn, tasks, singles, runs, &weights)?;
                (Named { name: LEARNED.to_owned(), shares, intervals: Vec::new() }, Some(law))
            }
            (_, Some(matrix), _) | (_, None, Some(matrix)) => (matrix.named(LEARNED, learn, &counted), None),
            (_, None, None) => unreachable!("labels were asked for above"),
        };
        let mut mixes = vec![learned];
        let many = sources.len();
        let plain =
            |name: &str, shares: Vec<f64>| Named { name: name.to_owned(), shares, intervals: Vec::new() };
        mixes.push(plain(UNIFORM, vec![1.0 / many as f64; many]));
        // The best by what is known in this mode: without labels that is an estimate.
        let known = estimated.as_ref().or(measured.as_ref());
        if let Some(matrix) = known {
            let means = means(&matrix.values, &counted);
            let best = (0..many).max_by(|a, b| means[*a].total_cmp(&means[*b]).then(b.cmp(a))).unwrap_or(0);
            mixes.push(plain("best single", one_hot(many, best)));
        }
        if let (Mode::LabelFree | Mode::Law, Some(matrix)) = (learn.mode, &measured) {
            mixes.push(matrix.named("oracle", learn, &weights));
        }
        if let (Some(matrix), Some(base)) = (&measured, &base_worth) {
            let mean_base = means(std::slice::from_ref(base), &weights)[0];
            let gains = by_gain(&means(&matrix.values, &weights), mean_base, learn.proportions.floor);
            mixes.push(plain("by gain", gains));
        }
        let rank_correlation = match (&estimated, &measured) {
            (Some(estimated), Some(measured)) => correlations(estimated, measured, &counted),
            _ => Vec::new(),
        };
        if learn.mode == Mode::LabelFree {
            notes.insert(0, "Accuracies without labels rank the sources; they don't measure them. All models come from one base and share its errors, which looks like being right, so that the level is too high.".to_owned());
        }
        if let Err(error) = &labels {
            notes.push(format!("There is no oracle and nothing is measured: {error}."));
        }
        Ok(Self {
            mode: learn.mode,
            sources,
            tasks: tasks.to_vec(),
            weights,
            items: base.iter().map(|answers| answers.len() as u64).collect(),
            base: base_worth,
            estimated,
            measured,
            rank_correlation,
            law,
            mixes,
            compared: Vec::new(),
            comparison: None,
            notes,
        })
    }

    /// Adds what models are worth that were tuned on a mix: for each seed, the answers to each task's test items.
    ///
    /// # Errors
    /// When the items have no labels.
    pub fn compare(&mut self, name: &str, seeds: &[(u64, Vec<Vec<Answered>>)]) -> Result<()> {
        for (task, answers) in seeds.iter().flat_map(|(_, tasks)| self.tasks.iter().zip(tasks)) {
            check_labels(task, answers)?;
        }
        let by_seed: Vec<(u64, Vec<f64>)> = seeds
            .iter()
            .map(|(seed, tasks)| (*seed, tasks.iter().map(|task| worth(task)).collect()))
            .collect();
        let worths: Vec<f64> =
            by_seed.iter().map(|(_, tasks)| means(std::slice::from_ref(tasks), &self.weights)[0]).collect();
        self.compared.push(Compared {
            name: name.to_owned(),
            seeds: by_seed,
            mean: mean(&worths).unwrap_or(f64::NAN),
            deviation: deviation(&worths),
        });
        Ok(())
    }

    /// Adds the comparison of the mixes with the uniform one, with intervals and tests; `base` are the base's answers to the
    /// same items.
    ///
    /// # Errors
    /// When they weren't asked the same items.
    pub fn beside(&mut self, base: &[Vec<Answered>], mixes: &[(String, BySeed)], seed: u64) -> Result<()> {
        let run = |answers: &[Vec<Answered>]| run_of(&self.tasks, answers);
        let arm = |(name, seeds): &(String, BySeed)| Arm {
            name: name.clone(),
            runs: seeds.iter().map(|(_, answers)| run(answers)).collect(),
        };
        let mut arms: Vec<Arm> = mixes.iter().map(arm).filter(|arm| !arm.runs.is_empty()).collect();
        arms.push(Arm { name: "no mix".to_owned(), runs: vec![run(base)] });
        let against = arms.iter().find(|arm| arm.name == UNIFORM).map(|arm| arm.name.clone());
        let mut comparison = compare::compare(&arms, against.as_deref(), None, seed)?;
        if self.weights.windows(2).any(|pair| pair[0] != pair[1]) {
            // Its mean over tasks is not the one by which mixes are judged.
            comparison.benchmarks.retain(|benchmark| benchmark.benchmark.is_some());
        }
        self.comparison = (!comparison.benchmarks.is_empty()).then_some(comparison);
        Ok(())
    }
}

/// Answers to each task's test items, by seed.
pub type BySeed = Vec<(u64, Vec<Vec<Answered>>)>;

/// What answers are worth, task by task; a task without items is none.
fn run_of(tasks: &[String], answers: &[Vec<Answered>]) -> compare::Run {
    let worths = |(task, answers): (&String, &Vec<Answered>)| {
        let golds: Vec<&str> = answers.iter().filter_map(|answer| answer.gold.as_deref()).collect();
        let choices: Option<Vec<f64>> =
            answers.iter().map(|answer| answer.choices.map(|choices| 1.0 / f64::from(choices))).collect();
        let commonest = || {
            let mut counts: HashMap<&str, usize> = HashMap::new();
            golds.iter().for_each(|gold| *counts.entry(gold).or_default() += 1);
            counts.into_values().max().unwrap_or_default() as f64 / answers.len() as f64
        };
        let item = |answer: &Answered| {
            let (id, prompt) = answer.id.rsplit_once('#').unwrap_or((&answer.id, ""));
            (id.to_owned(), prompt.to_owned(), answer.worth.unwrap_or(0.0))
        };
        Worths {
            benchmark: task.clone(),
            majority: choices.is_some().then(commonest),
            random: choices.as_deref().and_then(mean),
            items: answers.iter().map(item).collect(),
        }
    };
    let asked = tasks.iter().zip(answers).filter(|(_, answers)| !answers.is_empty());
    compare::Run::of(asked.map(worths).collect())
}

/// Refuses models that all answer everything alike: nothing was learnt from any source.
fn differ(names: &[&str], singles: &Answers) -> Result<()> {
    let said = |model: &Vec<Vec<Answered>>| -> Vec<Option<String>> {
        model.iter().flatten().map(|answer| answer.said.clone()).collect()
    };
    let mut all = singles.iter().map(said);
    let first = all.next().unwrap_or_default();
    if first.is_empty() || !all.all(|other| other == first) {
        return Ok(());
    }
    Err(Error::input(format!(
        "the models of `{}` give the same answers to all {} items of all tasks",
        names.join("`, `"),
        first.len()
    ))
    .because("their tuning has changed no answer, so that nothing can be said of the sources")
    .with_hint("train longer or with a higher rate, or ask about more items"))
}

/// An error told once more.
fn copied(error: &Error) -> Error {
    let told = Error::new(error.kind(), error.to_string());
    let told = match std::error::Error::source(error) {
        Some(cause) => told.because(cause.to_string()),
        None => told,
    };
    match error.hint() {
        Some(hint) => told.with_hint(hint),
        None => told,
    }
}

/// An error with the task that it is about.
fn of_task(name: &str, error: &Error) -> Error {
    let told = Error::new(error.kind(), format!("task `{name}`: {error}"));
    let told = match std::error::Error::source(error) {
        Some(cause) => told.because(cause.to_string()),
        None => told,
    };
    match error.hint() {
        Some(hint) => told.with_hint(hint),
        None => told,
    }
}

/// The mean worth of answers.
fn worth(answers: &[Answered]) -> f64 {
    mean(&answers.iter().map(|answer| answer.worth.unwrap_or(0.0)).collect::<Vec<_>>()).unwrap_or(f64::NAN)
}

impl Matrix {
    /// Accuracies by agreement. A task that nothing can be estimated of loses its weight, and a note explains why.
    fn estimated(
        singles: &Answers,
        tasks: &[String],
        names: &[&str],
        weights: &mut [f64],
        seed: u64,
        notes: &mut Vec<String>,
    ) -> Result<Self> {
        let mut found = Vec::with_capacity(tasks.len());
        for (task, name) in tasks.iter().enumerate() {
            let of_task: Vec<&[Answered]> = singles.iter().map(|model| model[task].as_slice()).collect();
            let seed = seed_of(seed, &["mix", "estimate", name]);
            found.push(estimate(&votes(&of_task)?, names, seed));
        }
        if found.iter().all(std::result::Result::is_err)
            && let (Some(Err(error)), Some(name)) = (found.first(), tasks.first())
        {
            return Err(of_task(name, error));
        }
        for ((weight, name), found) in weights.iter_mut().zip(tasks).zip(&found) {
            if let Err(error) = found {
                *weight = 0.0;
                let why = std::error::Error::source(error).map_or(String::new(), |why| format!(" ({why})"));
                notes.push(format!("The task `{name}` doesn't count in the proportions: {error}{why}."));
            }
        }
        let all: f64 = weights.iter().sum();
        let mut matrix = Self::empty(singles.len());
        for ((weight, name), found) in weights.iter().zip(tasks).zip(found) {
            let Ok(found) = found else {
                let nothing = vec![f64::NAN; singles.len()];
                matrix.add(&nothing, &vec![(f64::NAN, f64::NAN); singles.len()], &[], 0.0);
                continue;
            };
            for voter in &found.constant {
                notes.push(format!(
                    "The model of `{}` takes the choice of the same number of every item of `{name}`; where others lean to it, too, that looks like being right.",
                    names[*voter]
                ));
            }
            matrix.add(&found.accuracy, &found.interval, &found.draws, weight / all);
        }
        Ok(matrix)
    }

    fn measured(singles: &Answers, weights: &[f64], seed: u64) -> Self {
        let mut matrix = Self::empty(singles.len());
        let all: f64 = weights.iter().sum();
        for (task, weight) in weights.iter().enumerate() {
            let worths: Vec<Vec<f64>> = singles
                .iter()
                .map(|model| model[task].iter().map(|answer| answer.worth.unwrap_or(0.0)).collect())
                .collect();
            let items = worths.first().map_or(0, Vec::len);
            let values: Vec<f64> = worths.iter().map(|worths| mean(worths).unwrap_or(f64::NAN)).collect();
            // 1.96 standard errors: 500 items have one of 0.022 at most.
            let interval = |(value, worths): (&f64, &Vec<f64>)| {
                let reach = 1.96 * standard_error(worths).unwrap_or(0.0);
                (value - reach, value + reach)
            };
            let intervals: Vec<(f64, f64)> = values.iter().zip(&worths).map(interval).collect();
            let seed = seed_of(seed, &["mix", "measured", &task.to_string()]);
            let draws: Vec<Vec<f64>> = (0..DRAWS)
                .map(|draw| {
                    let row = nth(seed, draw);
                    let drawn: Vec<usize> = (0..items as u64)
                        .map(|place| ((u128::from(nth(row, place)) * items as u128) >> 64) as usize)
                        .collect();
                    let of = |worths: &Vec<f64>| {
                        drawn.iter().map(|item| worths[*item]).sum::<f64>() / items.max(1) as f64
                    };
                    worths.iter().map(of).collect()
                })
                .collect();
            matrix.add(&values, &intervals, &draws, weight / all);
        }
        matrix
    }

    fn empty(sources: usize) -> Self {
        Self {
            values: vec![Vec::new(); sources],
            intervals: vec![Vec::new(); sources],
            draws: vec![vec![0.0; sources]; DRAWS as usize],
        }
    }

    fn add(&mut self, values: &[f64], intervals: &[(f64, f64)], draws: &[Vec<f64>], weight: f64) {
        for (source, (value, interval)) in values.iter().zip(intervals).enumerate() {
            self.values[source].push(*value);
            self.intervals[source].push(*interval);
        }
        for (sum, draw) in self.draws.iter_mut().zip(draws) {
            for (sum, value) in sum.iter_mut().zip(draw) {
                *sum += weight * value;
            }
        }
    }

    /// The mix that follows from these accuracies.
    fn named(&self, name: &str, learn: &Learn, weights: &[f64]) -> Named {
        let shares = learn.proportions.of(&means(&self.values, weights));
        let draws: Vec<Vec<f64>> = self.draws.iter().map(|means| learn.proportions.of(means)).collect();
        let intervals = (0..shares.len()).map(|source| interval_of(&draws, source)).collect();
        Named { name: name.to_owned(), shares, intervals }
    }
}

fn by_law(
    learn: &Learn,
    tasks: &[String],
    singles: &Answers,
    runs: &[(Vec<f64>, Vec<Vec<Answered>>)],
    weights: &[f64],
) -> Result<(Vec<f64>, Fitted)> {
    let losses = |answers: &Vec<Vec<Answered>>| -> Result<Vec<f64>> {
        let of = |(task, answers): (&String, &Vec<Answered>)| {
            let losses: Option<Vec<f64>> = answers.iter().map(|answer| answer.loss).collect();
            losses.as_deref().and_then(mean).ok_or_else(|| {
                Error::usage(format!("a law is fitted on likelihoods, and the answers to `{task}` have none"))
                    .with_hint("take tasks whose choices are ranked, or `mode = \"labelled\"`")
            })
        };
        tasks.iter().zip(answers).map(of).collect()
    };
    let mut fitted: Vec<Run> = Vec::new();
    for (source, answers) in singles.iter().enumerate() {
        fitted.push(Run { shares: one_hot(singles.len(), source), losses: losses(answers)? });
    }
    for (shares, answers) in runs {
        fitted.push(Run { shares: shares.clone(), losses: losses(answers)? });
    }
    let law = Law::fit(&fitted)?;
    let shares = law.best(weights, learn.proportions.floor);
    let told = Fitted {
        runs: fitted.into_iter().map(|run| (run.shares, run.losses)).collect(),
        errors: law.errors.clone(),
        expected: law.losses(&shares),
    };
    Ok((shares, told))
}

/// Spearman's rank correlation of estimates and measurements: for each task, then for the means.
fn correlations(estimated: &Matrix, measured: &Matrix, weights: &[f64]) -> Vec<Option<f64>> {
    let column =
        |matrix: &Matrix, task: usize| matrix.values.iter().map(|row| row[task]).collect::<Vec<f64>>();
    let mut found: Vec<Option<f64>> =
        (0..weights.len()).map(|task| spearman(&column(estimated, task), &column(measured, task))).collect();
    found.push(spearman(&means(&estimated.values, weights), &means(&measured.values, weights)));
    found
}

/// Spearman's rank correlation: Pearson's of the ranks, equal values sharing theirs. None where one side is all alike.
fn spearman(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.iter().chain(b).any(|value| value.is_nan()) {
        return None;
    }
    let ranks = |values: &[f64]| -> Vec<f64> {
        let below = |value: &f64| values.iter().filter(|other| *other < value).count() as f64;
        let alike = |value: &f64| values.iter().filter(|other| *other == value).count() as f64;
        values.iter().map(|value| below(value) + (alike(value) - 1.0) / 2.0).collect()
    };
    let (a, b) = (ranks(a), ranks(b));
    let (middle_a, middle_b) = (mean(&a)?, mean(&b)?);
    let (mut both, mut of_a, mut of_b) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(&b) {
        both += (a - middle_a) * (b - middle_b);
        of_a += (a - middle_a).powi(2);
        of_b += (b - middle_b).powi(2);
    }
    (of_a > 0.0 && of_b > 0.0).then(|| both / (of_a * of_b).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mix::learn::{Source, Task};

    /// Answers of a model that is right so often, erring by itself: the truth of item `i` is `i % 4`.
    fn answers(accuracy: f64, seed: u64, items: u64) -> Vec<Answered> {
        let unit = |number: u64| (number >> 11) as f64 / (1_u64 << 53) as f64;
        (0..items)
            .map(|item| {
                let gold = item % 4;
                let is_right = unit(nth(seed, 2 * item)) < accuracy;
                let said = if is_right { gold } else { (gold + 1 + nth(seed, 2 * item + 1) % 3) % 4 };
                Answered {
                    id: item.to_string(),
                    choices: Some(4),
                    said: Some(said.to_string()),
                    gold: Some(gold.to_string()),
                    worth: Some(f64::from(u8::from(is_right))),
                    loss: Some(if is_right { 0.2 } else { 2.0 }),
                }
            })
            .collect()
    }

    fn learn(mode: Mode) -> Learn {
        let source = |name: &str| Source { name: name.to_owned(), ..Source::default() };
        Learn {
            mode,
            source: ["a", "b", "c"].map(source).into(),
            task: vec![Task::default(), Task::default()],
            ..Learn::default()
        }
    }

    fn evidence(mode: Mode) -> Result<Evidence> {
        let of = |accuracies: [f64; 2], seed: u64| -> Vec<Vec<Answered>> {
            accuracies.into_iter().zip(0..).map(|(a, task)| answers(a, 100 * seed + task, 600)).collect()
        };
        let singles = [of([0.9, 0.5], 1), of([0.6, 0.6], 2), of([0.4, 0.45], 3)];
        let runs = [(vec![0.34, 0.33, 0.33], of([0.7, 0.6], 5)), (vec![0.6, 0.3, 0.1], of([0.85, 0.6], 6))];
        Evidence::of(&learn(mode), &["t".to_owned(), "u".to_owned()], &of([0.3, 0.3], 9), &singles, &runs)
    }

    #[test]
    fn without_labels_the_best_source_gets_the_most_and_it_is_said_that_this_is_a_rank() {
        let found = evidence(Mode::LabelFree).unwrap();
        let names: Vec<&str> = found.mixes.iter().map(|mix| mix.name.as_str()).collect();
        assert_eq!(names, ["learned", "uniform", "best single", "oracle", "by gain"]);
        let learned = &found.mixes[0];
        assert!(learned.shares.windows(2).all(|pair| pair[0] > pair[1]), "{:?}", learned.shares);
        for (share, (low, high)) in learned.shares.iter().zip(&learned.intervals) {
            assert!(low <= share && share <= high);
        }
        assert_eq!(found.mixes[2].shares, [1.0, 0.0, 0.0]);
        assert_eq!(*found.rank_correlation.last().unwrap(), Some(1.0));
        assert!(found.notes[0].contains("rank the sources; they don't measure them"));
        for mix in &found.mixes {
            assert!((mix.shares.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{mix:?}");
        }
    }

    #[test]
    fn with_labels_accuracies_are_measured() {
        let found = evidence(Mode::Labelled).unwrap();
        assert!(found.estimated.is_none() && found.rank_correlation.is_empty());
        let measured = found.measured.unwrap();
        assert!((measured.values[0][0] - 0.9).abs() < 0.04, "{measured:?}");
        let (low, high) = measured.intervals[0][0];
        assert!(low < 0.9 && 0.9 < high && high - low < 0.08);
        assert!(found.mixes.iter().all(|mix| mix.name != "oracle"));
    }

    #[test]
    fn a_law_is_fitted_on_losses() {
        let found = evidence(Mode::Law).unwrap();
        let law = found.law.unwrap();
        assert_eq!((law.runs.len(), law.errors.len(), law.expected.len()), (5, 2, 2));
        assert!(found.mixes[0].shares[0] > found.mixes[0].shares[2], "{:?}", found.mixes[0]);
    }

    #[test]
    fn what_nothing_can_be_learnt_of_is_explained_with_the_task() {
        let same = vec![answers(0.5, 1, 40)];
        let learn = Learn { task: vec![Task::default()], ..learn(Mode::LabelFree) };
        let singles = [same.clone(), same.clone(), same.clone()];
        let error = Evidence::of(&learn, &["t".to_owned()], &same, &singles, &[]).unwrap_err();
        insta::assert_snapshot!(error, @"the models of `a`, `b`, `c` give the same answers to all 40 items of all tasks");
        let two = [same.clone(), same.clone(), vec![answers(0.5, 2, 40)]];
        let error = Evidence::of(&learn, &["t".to_owned()], &same, &two, &[]).unwrap_err();
        insta::assert_snapshot!(error, @"task `t`: the models of `a` and `b` give the same answer to each of 40 items");
    }

    #[test]
    fn a_task_that_nothing_can_be_estimated_of_does_not_count() {
        let alike = answers(0.5, 7, 600);
        let of = |accuracy: f64, seed: u64| vec![answers(accuracy, seed, 600), alike.clone()];
        let singles = [of(0.9, 1), of(0.6, 2), of(0.4, 3)];
        let tasks = ["t".to_owned(), "u".to_owned()];
        let found = Evidence::of(&learn(Mode::LabelFree), &tasks, &of(0.3, 9), &singles, &[]).unwrap();
        let values = &found.estimated.as_ref().unwrap().values;
        assert!(values.iter().all(|row| row[0].is_finite() && row[1].is_nan()), "{values:?}");
        let learned = &found.mixes[0];
        assert!(
            learned.shares[0] > 0.8 && learned.intervals.iter().all(|(low, high)| low <= high),
            "{learned:?}"
        );
        assert_eq!(found.rank_correlation, [Some(1.0), None, Some(1.0)]);
        assert!(
            found.notes[1]
                .starts_with("The task `u` doesn't count in the proportions: the models of `a` and `b` give"),
            "{:?}",
            found.notes
        );
    }

    #[test]
    fn comparing_gives_mean_and_deviation_over_seeds() {
        let mut found = evidence(Mode::LabelFree).unwrap();
        let of =
            |accuracy: f64, seed: u64| vec![answers(accuracy, seed, 400), answers(accuracy, seed + 50, 400)];
        found.compare(LEARNED, &[(1, of(0.8, 1)), (2, of(0.7, 2))]).unwrap();
        let compared = &found.compared[0];
        assert!((compared.mean - 0.75).abs() < 0.03 && compared.deviation.unwrap() > 0.03, "{compared:?}");
    }

    #[test]
    fn mixes_stand_beside_the_uniform_one_with_intervals() {
        let mut found = evidence(Mode::LabelFree).unwrap();
        let of =
            |accuracy: f64, seed: u64| vec![answers(accuracy, seed, 400), answers(accuracy, seed + 50, 400)];
        let seeds =
            |accuracy: f64, from: u64| (1..=3).map(|seed| (seed, of(accuracy, from + seed))).collect();
        let all = [(LEARNED.to_owned(), seeds(0.8, 10)), (UNIFORM.to_owned(), seeds(0.5, 20))];
        found.beside(&of(0.5, 30), &all, 1).unwrap();
        let comparison = found.comparison.as_ref().unwrap();
        assert_eq!((comparison.against.as_str(), comparison.benchmarks.len()), (UNIFORM, 3));
        let learned = &comparison.benchmarks[2].arms[0];
        assert!((learned.difference.unwrap().value - 0.3).abs() < 0.05, "{learned:?}");
        assert_eq!(comparison.benchmarks[0].random, Some(0.25));
        assert_eq!(comparison.benchmarks[0].majority, Some(0.25));
        let page = super::super::report::page(&learn(Mode::LabelFree), &found, false, "Today.");
        let better = format!("- **better**: `{LEARNED}` on {}", found.tasks[0]);
        assert!(page.contains("## Beside each other") && page.contains(&better), "{page}");
        assert!(page.contains("| no mix | 1 |"), "{page}");
    }

    #[test]
    fn rank_correlation_by_hand() {
        assert_eq!(spearman(&[1.0, 2.0, 3.0], &[10.0, 20.0, 30.0]), Some(1.0));
        assert_eq!(spearman(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]), Some(-1.0));
        assert_eq!(spearman(&[1.0, 1.0], &[3.0, 2.0]), None);
        // Ranks 0.5 0.5 2 and 0 1 2: 1.5 over the root of 1.5 times 2.
        assert!((spearman(&[1.0, 1.0, 2.0], &[1.0, 2.0, 3.0]).unwrap() - 0.75_f64.sqrt()).abs() < 1e-12);
    }
}
