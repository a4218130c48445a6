//! Intervals and tests of arms' numbers, on one benchmark or on the mean of several.

use super::outcome::{Outcome, Taken};
use crate::metrics::interval::{DRAWS, percentile};
use crate::rng::{nth, seed_of};

/// How often the randomisation draws: the least p is one in so many, and has to stand being multiplied by the number of
/// comparisons.
const COINS: u64 = 10_000;

/// What a run is worth: the mean of its numbers on these benchmarks.
pub(super) fn value_of(outcomes: &[&Outcome], run: usize) -> f64 {
    let of = |outcome: &&Outcome| {
        let items: Vec<usize> = (0..outcome.items()).collect();
        Outcome::value(&items, |_| Taken { outcome, run })
    };
    outcomes.iter().map(of).sum::<f64>() / outcomes.len() as f64
}

/// What an arm is worth: the mean of its runs.
pub(super) fn mean_of(outcomes: &[&Outcome]) -> f64 {
    let runs = outcomes[0].runs();
    (0..runs).map(|run| value_of(outcomes, run)).sum::<f64>() / runs as f64
}

/// Numbers below others, one after the other.
struct Draws {
    row: u64,
    next: u64,
}

impl Draws {
    fn below(&mut self, count: usize) -> usize {
        let drawn = nth(self.row, self.next);
        self.next += 1;
        // The high half of the product is a number below `count`.
        ((u128::from(drawn) * count as u128) >> 64) as usize
    }
}

/// The numbers of the runs that are drawn of so many: one fewer, with replacement; the only one where there is one.
fn drawn_runs(runs: usize, draws: &mut Draws) -> Vec<usize> {
    match runs {
        1 => vec![0],
        _ => (1..runs).map(|_| draws.below(runs)).collect(),
    }
}

/// The 95 % interval of an arm's mean.
pub(super) fn interval(outcomes: &[&Outcome], seed: u64) -> (f64, f64) {
    bootstrap(outcomes, seed, |items, draws| {
        let runs = drawn_runs(outcomes[0].runs(), draws);
        mean_over(outcomes, items, &runs)
    })
}

/// The 95 % interval of the difference of an arm's mean to another's, of which the same items are drawn.
pub(super) fn interval_of_difference(outcomes: &[&Outcome], base: &[&Outcome], seed: u64) -> (f64, f64) {
    bootstrap(outcomes, seed_of(seed, &["difference"]), |items, draws| {
        let runs = drawn_runs(outcomes[0].runs(), draws);
        let of_base = drawn_runs(base[0].runs(), draws);
        mean_over(outcomes, items, &runs) - mean_over(base, items, &of_base)
    })
}

/// The mean over benchmarks and runs, of items drawn of each benchmark.
fn mean_over(outcomes: &[&Outcome], items: &[Vec<usize>], runs: &[usize]) -> f64 {
    let of = |(outcome, items): (&&Outcome, &Vec<usize>)| {
        runs.iter().map(|run| Outcome::value(items, |_| Taken { outcome, run: *run })).sum::<f64>()
            / runs.len() as f64
    };
    outcomes.iter().zip(items).map(of).sum::<f64>() / outcomes.len() as f64
}

fn bootstrap(
    outcomes: &[&Outcome],
    seed: u64,
    statistic: impl Fn(&[Vec<usize>], &mut Draws) -> f64,
) -> (f64, f64) {
    let mut values: Vec<f64> = (0..DRAWS)
        .map(|draw| {
            let mut draws = Draws { row: seed_of(seed, &["bootstrap", &draw.to_string()]), next: 0 };
            let of = |outcome: &&Outcome| {
                let count = outcome.items();
                (0..count).map(|_| draws.below(count)).collect()
            };
            let items: Vec<Vec<usize>> = outcomes.iter().map(of).collect();
            statistic(&items, &mut draws)
        })
        .collect();
    values.sort_by(f64::total_cmp);
    let at = |percent: f64| percentile(&values, percent).expect("there are draws");
    (at(2.5), at(97.5))
}

/// How often chance brings about as large a difference between two arms: two-sided, one item's answers changing places
/// together. Where one arm has fewer runs they stand beside the other's in turn.
pub(super) fn randomisation(outcomes: &[&Outcome], base: &[&Outcome], seed: u64) -> f64 {
    let runs = outcomes[0].runs().max(base[0].runs());
    let items: Vec<Vec<usize>> = outcomes.iter().map(|outcome| (0..outcome.items()).collect()).collect();
    let difference = |changed: &[Vec<bool>]| {
        let of = |at: usize| {
            let (outcome, base, changed) = (outcomes[at], base[at], &changed[at]);
            let of_run = |run: usize| {
                let here = Taken { outcome, run: run % outcome.runs() };
                let there = Taken { outcome: base, run: run % base.runs() };
                let value = |is_base: bool| {
                    Outcome::value(&items[at], |item| if changed[item] == is_base { here } else { there })
                };
                value(false) - value(true)
            };
            (0..runs).map(of_run).sum::<f64>() / runs as f64
        };
        (0..outcomes.len()).map(of).sum::<f64>() / outcomes.len() as f64
    };
    let none: Vec<Vec<bool>> = outcomes.iter().map(|outcome| vec![false; outcome.items()]).collect();
    let observed = difference(&none).abs();
    // Sums in another order differ in their last bits.
    let as_large = observed - 1e-12;
    let larger = (0..COINS)
        .filter(|draw| {
            let row = seed_of(seed, &["randomisation", &draw.to_string()]);
            let mut next = 0;
            let changed: Vec<Vec<bool>> = outcomes
                .iter()
                .map(|outcome| {
                    (0..outcome.items())
                        .map(|_| {
                            next += 1;
                            nth(row, next) >> 63 == 1
                        })
                        .collect()
                })
                .collect();
            difference(&changed).abs() >= as_large
        })
        .count();
    (larger + 1) as f64 / (COINS + 1) as f64
}
