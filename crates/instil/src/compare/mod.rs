//! Evaluations beside each other: which arm of an experiment is better than another, and how sure that is.
//!
//! ```text
//! folders of `eval` -> arms of runs -> differences, intervals, tests -> table, drawing, numbers
//! ```
//!
//! An arm is what was done (`rules`); its runs are the same under different seeds. All runs have to be asked the same items. Of
//! each benchmark the arm's number is the mean of its runs', and its difference to the arm that it is compared with has
//!
//! - a 95 % interval by the percentile bootstrap over items and runs together: items are drawn anew with replacement, the same ones for
//!   both arms, and of `k` runs `k - 1`, which makes the spread of means of few runs right (Rao and Wu 1988);
//! - a p-value by approximate randomisation (Noreen 1989), which any metric allows: for each item a coin says whether the two arms'
//!   answers change places, and p is how often chance brings about a difference as large; corrected for the number of
//!   comparisons by Holm's method (1979).
//!
//! Something is said to be better or worse only if the interval doesn't hold zero and p is below 0.05 (ours; spec/uit.md 5.4 and
//! spec/cookbook.md 5.3 ask for the first).

mod outcome;
mod page;
mod plot;
mod read;
mod test;

pub use page::page;
pub(crate) use page::write_section;
pub use plot::svg;
pub(crate) use read::Worths;
pub use read::{Arm, Run, arms};

use std::path::Path;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::metrics::interval::{deviation, mean};
use crate::rng::seed_of;
use crate::sink::write_whole;

/// A comparison of arms.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The arm that the others are compared with.
    pub against: String,
    /// Of each benchmark, and of all together where there are several.
    pub benchmarks: Vec<OnBenchmark>,
}

/// What the arms are worth on a benchmark.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OnBenchmark {
    /// The benchmark's name; none for the mean of all.
    pub benchmark: Option<String>,
    /// The metric, by name; none for a mean of several.
    pub metric: Option<String>,
    /// How many items each run was asked.
    pub items: usize,
    /// What the commonest answer would get.
    pub majority: Option<f64>,
    /// What chance would get.
    pub random: Option<f64>,
    /// The arms, in the order in which they were given.
    pub arms: Vec<OfArm>,
}

impl OnBenchmark {
    /// The most that chance or the commonest answer gets; none where neither is known.
    pub(crate) fn without_a_model(&self) -> Option<f64> {
        [self.majority, self.random].into_iter().flatten().reduce(f64::max)
    }
}

/// What an arm is worth on a benchmark.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OfArm {
    /// The arm.
    pub arm: String,
    /// What each run is worth.
    pub runs: Vec<f64>,
    /// Their mean.
    pub value: f64,
    /// Their standard deviation; none of one run.
    pub deviation: Option<f64>,
    /// The 95 % interval of the mean.
    pub interval: (f64, f64),
    /// The difference to the arm that it is compared with; none for that arm itself.
    pub difference: Option<Difference>,
}

/// A difference between two arms.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// This arm's value less the other's.
    pub value: f64,
    /// Its 95 % interval.
    pub interval: (f64, f64),
    /// How often chance brings about as large a difference, corrected for the number of comparisons.
    pub p: f64,
    /// What may be said.
    pub verdict: Verdict,
}

/// What may be said of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The arm is better.
    Better,
    /// The arm is worse.
    Worse,
    /// Neither was shown.
    NotShown,
}

impl Verdict {
    /// The word for it in tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::NotShown => "not shown",
        }
    }

    fn of(interval: (f64, f64), p: f64) -> Self {
        match p < 0.05 {
            true if interval.0 > 0.0 => Self::Better,
            true if interval.1 < 0.0 => Self::Worse,
            _ => Self::NotShown,
        }
    }
}

/// Compares arms; `against` names the one that the others are compared with, else it is the first. `metric` is that of all
/// benchmarks, else it is each one's first.
///
/// # Errors
/// When there are no two arms, none of the name, runs were asked other items or benchmarks, or a metric is no mean of items.
pub fn compare(arms: &[Arm], against: Option<&str>, metric: Option<&str>, seed: u64) -> Result<Comparison> {
    let [first, _, ..] = arms else {
        return Err(Error::usage("there is one arm, and nothing to compare it with")
            .with_hint("name two: instil compare base=out/base tuned=out/tuned"));
    };
    let against = against.unwrap_or(&first.name);
    let Some(base) = arms.iter().position(|arm| arm.name == against) else {
        let names: Vec<&str> = arms.iter().map(|arm| arm.name.as_str()).collect();
        return Err(Error::usage(format!("no arm is named `{against}`"))
            .with_hint(format!("there are {}", names.join(", "))));
    };
    let asked = read::asked(arms)?;
    let mut outcomes = Vec::with_capacity(asked.len());
    for benchmark in &asked {
        let of_arms = arms
            .iter()
            .map(|arm| outcome::Outcome::of(arm, benchmark, metric))
            .collect::<Result<Vec<_>>>()?;
        outcomes.push(of_arms);
    }
    let mut benchmarks = Vec::new();
    for (name, of_arms) in asked.iter().zip(&outcomes) {
        let parts: Vec<Vec<&outcome::Outcome>> = of_arms.iter().map(|of_arm| vec![of_arm]).collect();
        let about = arms[base].runs[0].benchmark(name);
        let metric = of_arms[base].metric.clone();
        let number = about.and_then(|about| about.number(&metric));
        benchmarks.push(OnBenchmark {
            benchmark: Some(name.clone()),
            metric: Some(metric),
            items: of_arms[base].items(),
            majority: number.and_then(|number| number.majority),
            random: number.and_then(|number| number.random),
            arms: compared(arms, &parts, base, seed_of(seed, &["compare", name])),
        });
    }
    if outcomes.len() > 1 {
        let parts: Vec<Vec<&outcome::Outcome>> =
            (0..arms.len()).map(|arm| outcomes.iter().map(|of_arms| &of_arms[arm]).collect()).collect();
        let of_all = |of: &dyn Fn(&OnBenchmark) -> Option<f64>| {
            let known: Option<Vec<f64>> = benchmarks.iter().map(of).collect();
            known.and_then(|known| mean(&known))
        };
        benchmarks.push(OnBenchmark {
            benchmark: None,
            metric: None,
            items: benchmarks.iter().map(|benchmark| benchmark.items).sum(),
            majority: of_all(&|benchmark| benchmark.majority),
            random: of_all(&|benchmark| benchmark.random),
            arms: compared(arms, &parts, base, seed_of(seed, &["compare all"])),
        });
    }
    correct(&mut benchmarks);
    Ok(Comparison { against: against.to_owned(), benchmarks })
}

/// The page, the drawing and the numbers in a comparison's folder.
const PAGE: &str = "README.md";
const PLOT: &str = "plot.svg";
const NUMBERS: &str = "comparison.json";

/// Refuses a folder in which something else than a comparison lies, unless that is to be written over.
///
/// # Errors
/// When there is such a thing.
pub fn check_folder(folder: &Path, overwrite: bool) -> Result<()> {
    let is_empty = std::fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none());
    if is_empty || overwrite || folder.join(NUMBERS).is_file() {
        return Ok(());
    }
    Err(Error::output(format!("`{}` is no folder of a comparison", folder.display()))
        .with_hint("name another one, or one that isn't there yet"))
}

/// Writes a comparison, its [`page`] and its [drawing](svg) to a folder.
///
/// # Errors
/// When it can't be written.
pub fn write(folder: &Path, comparison: &Comparison, title: &str, page: &str) -> Result<()> {
    std::fs::create_dir_all(folder)
        .map_err(|e| Error::output(format!("failed to make `{}`", folder.display())).because(e))?;
    let numbers = serde_json::to_string_pretty(comparison).expect("numbers are JSON") + "\n";
    let plot = svg(comparison, title)?;
    for (name, text) in [(PAGE, page), (PLOT, plot.as_str()), (NUMBERS, numbers.as_str())] {
        write_whole(&folder.join(name), text.as_bytes())?;
    }
    Ok(())
}

/// The arms on one benchmark, or on several, of which the mean is taken; `parts` are the outcomes of each arm.
fn compared(arms: &[Arm], parts: &[Vec<&outcome::Outcome>], base: usize, seed: u64) -> Vec<OfArm> {
    let of_arm = |(arm, outcomes): (&Arm, &Vec<&outcome::Outcome>)| {
        let runs: Vec<f64> = (0..arm.runs.len()).map(|run| test::value_of(outcomes, run)).collect();
        let value = mean(&runs).expect("an arm has a run");
        let seed = seed_of(seed, &[&arm.name]);
        let difference = (arm.name != arms[base].name).then(|| {
            let interval = test::interval_of_difference(outcomes, &parts[base], seed);
            let p = test::randomisation(outcomes, &parts[base], seed);
            let value = value - test::mean_of(&parts[base]);
            // Told once p is corrected.
            Difference { value, interval, p, verdict: Verdict::NotShown }
        });
        OfArm {
            arm: arm.name.clone(),
            deviation: deviation(&runs),
            interval: test::interval(outcomes, seed),
            runs,
            value,
            difference,
        }
    };
    // A draw depends on the arm's name alone, so that threads change nothing.
    std::thread::scope(|scope| {
        let of_arm = &of_arm;
        let running: Vec<_> = arms.iter().zip(parts).map(|one| scope.spawn(move || of_arm(one))).collect();
        running
            .into_iter()
            .map(|arm| arm.join().expect("numbers of an arm are found without a panic"))
            .collect()
    })
}

/// Corrects the p-values for their number by Holm's method, and says what may be said.
fn correct(benchmarks: &mut [OnBenchmark]) {
    let mut differences: Vec<&mut Difference> = benchmarks
        .iter_mut()
        .flat_map(|benchmark| &mut benchmark.arms)
        .filter_map(|arm| arm.difference.as_mut())
        .collect();
    differences.sort_by(|a, b| a.p.total_cmp(&b.p));
    let all = differences.len();
    let mut least: f64 = 0.0;
    for (rank, difference) in differences.into_iter().enumerate() {
        least = least.max((difference.p * (all - rank) as f64).min(1.0));
        difference.p = least;
        difference.verdict = Verdict::of(difference.interval, least);
    }
}

#[cfg(test)]
mod tests;
