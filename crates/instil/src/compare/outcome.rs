//! What the answers of an arm's runs are worth, item by item, so that any draw of items has its number.

use super::read::{Arm, Asked};
use crate::error::{Error, Result};
use crate::metrics::classify::{self, Average, Counts, ZeroDivision};

/// A benchmark's answers of all runs of an arm.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) metric: String,
    worth: Worth,
}

#[derive(Clone, Debug)]
enum Worth {
    /// By run: of each item the mean over its prompts.
    Means(Vec<Vec<f64>>),
    /// By run and prompt: of each item the right label and the guess, each below `labels`.
    Labels { runs: Vec<Vec<Vec<(u32, u32)>>>, labels: usize, average: Average },
}

/// Which run's answer is taken for an item.
#[derive(Clone, Copy)]
pub(super) struct Taken<'a> {
    pub(super) outcome: &'a Outcome,
    pub(super) run: usize,
}

impl Outcome {
    /// That of an arm on a benchmark which all of its runs were asked.
    ///
    /// # Errors
    /// When the metric isn't there, or is no mean of items.
    pub(super) fn of(arm: &Arm, benchmark: &str, metric: Option<&str>) -> Result<Self> {
        let asked: Vec<&Asked> = arm.runs.iter().filter_map(|run| run.benchmark(benchmark)).collect();
        let first = asked.first().expect("every run was asked every benchmark");
        let known: Vec<&str> = first.numbers.iter().map(|number| number.metric.as_str()).collect();
        let metric = metric.or(known.first().copied()).unwrap_or_default();
        if !known.contains(&metric) {
            return Err(Error::usage(format!("`{benchmark}` has no metric `{metric}`"))
                .with_hint(format!("it has {}", known.join(", "))));
        }
        let average = match metric {
            "macro_f1" => Some(Average::Macro),
            "weighted_f1" => Some(Average::Weighted),
            _ => None,
        };
        let of_run = |asked: &&Asked| match average {
            Some(_) => by_prompt(asked, |line| {
                // A guess that is no choice is a label of its own.
                line.gold.map(|gold| (gold, line.guess.unwrap_or(line.choices.len() as u32)))
            })
            .map(Ok),
            None => by_prompt(asked, |line| line.scores.get(metric).copied()).map(Err),
        };
        let runs: Option<Vec<_>> = asked.iter().map(of_run).collect();
        let Some(runs) = runs else {
            return Err(Error::usage(format!("`{metric}` of `{benchmark}` can't be compared"))
                .because("it is no mean of what its items are worth")
                .with_hint("name another one with --metric"));
        };
        let (mut means, mut labelled) = (Vec::new(), Vec::new());
        for run in runs {
            match run {
                Ok(prompts) => labelled.push(prompts),
                Err(prompts) => means.push(mean_of_prompts(&prompts)),
            }
        }
        let worth = match average {
            None => Worth::Means(means),
            Some(average) => {
                let all = labelled.iter().flatten().flatten();
                let labels = all.map(|(gold, guess)| 1 + *gold.max(guess) as usize).max().unwrap_or(0);
                Worth::Labels { runs: labelled, labels, average }
            }
        };
        Ok(Self { metric: metric.to_owned(), worth })
    }

    pub(super) fn runs(&self) -> usize {
        match &self.worth {
            Worth::Means(runs) => runs.len(),
            Worth::Labels { runs, .. } => runs.len(),
        }
    }

    pub(super) fn items(&self) -> usize {
        match &self.worth {
            Worth::Means(runs) => runs[0].len(),
            Worth::Labels { runs, .. } => runs[0].first().map_or(0, Vec::len),
        }
    }

    /// The number of a draw of items, each answered as `taken` says of its place in the draw.
    pub(super) fn value<'a>(items: &[usize], taken: impl Fn(usize) -> Taken<'a>) -> f64 {
        let Some(first) = (!items.is_empty()).then(|| taken(0).outcome) else { return 0.0 };
        match &first.worth {
            Worth::Means(_) => {
                let of = |(place, item): (usize, &usize)| {
                    let Taken { outcome, run } = taken(place);
                    match &outcome.worth {
                        Worth::Means(runs) => runs[run][*item],
                        Worth::Labels { .. } => unreachable!("arms have the same metric"),
                    }
                };
                items.iter().enumerate().map(of).sum::<f64>() / items.len() as f64
            }
            Worth::Labels { runs, average, .. } => {
                let prompts = runs[0].len();
                let of_prompt = |prompt: usize| {
                    let mut counts: Vec<Counts> = Vec::new();
                    for (place, item) in items.iter().enumerate() {
                        let Taken { outcome, run } = taken(place);
                        let Worth::Labels { runs, labels, .. } = &outcome.worth else {
                            unreachable!("arms have the same metric")
                        };
                        if counts.len() < *labels {
                            counts.resize(*labels, Counts::default());
                        }
                        let (gold, guess) = runs[run][prompt][*item];
                        if gold == guess {
                            counts[gold as usize].right += 1;
                        } else {
                            counts[gold as usize].missed += 1;
                            counts[guess as usize].wrong += 1;
                        }
                    }
                    counts.retain(|label| *label != Counts::default());
                    classify::mean(&counts, *average, ZeroDivision::Zero).unwrap_or(0.0)
                };
                (0..prompts).map(of_prompt).sum::<f64>() / prompts.max(1) as f64
            }
        }
    }
}

/// What `of` gives of each item, by prompt; none where it gives nothing of one.
fn by_prompt<T>(asked: &Asked, of: impl Fn(&super::read::Line) -> Option<T>) -> Option<Vec<Vec<T>>> {
    let mut prompts: Vec<(&str, Vec<T>)> = Vec::new();
    for line in &asked.lines {
        let worth = of(line)?;
        match prompts.iter_mut().find(|(name, _)| *name == line.prompt) {
            Some((_, of_prompt)) => of_prompt.push(worth),
            None => prompts.push((&line.prompt, vec![worth])),
        }
    }
    let prompts: Vec<Vec<T>> = prompts.into_iter().map(|(_, of_prompt)| of_prompt).collect();
    prompts.windows(2).all(|two| two[0].len() == two[1].len()).then_some(prompts)
}

/// Of each item the mean over prompts.
fn mean_of_prompts(prompts: &[Vec<f64>]) -> Vec<f64> {
    let items = prompts.first().map_or(0, Vec::len);
    let of = |item: usize| prompts.iter().map(|prompt| prompt[item]).sum::<f64>() / prompts.len() as f64;
    (0..items).map(of).collect()
}
