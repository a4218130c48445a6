//! A log-linear mixing law, fitted on a handful of mixed runs, and the mix that is best by it.
//!
//! The law of a task is `ln L(p) = b + t · (p - 1/m)`: its loss `L` after tuning on the mix `p` of `m` sources (the
//! exponential form of Ye et al. 2024, arXiv 2403.16952, without the constant). `t` is fitted by least squares with a
//! small ridge, so that fewer runs than sources still give an answer, the flattest one. Aioli (arXiv 2411.05735) found
//! that such laws fail where their numbers are wrong, so every fit comes with its error on runs that were left out.

use crate::error::{Error, Result};
use crate::mix::proportions::floored;

/// The ridge, in units of squared shares: a source whose share was never varied by more than a tenth says little.
const RIDGE: f64 = 1e-2;

/// One mixed run: its shares, and the loss of each task after it.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// The share of each source.
    pub shares: Vec<f64>,
    /// The loss of each task, above 0.
    pub losses: Vec<f64>,
}

/// The fitted law of all tasks.
#[derive(Clone, Debug, PartialEq)]
pub struct Law {
    /// The law of each task: `b`, then `t`.
    tasks: Vec<Vec<f64>>,
    /// Of each task the mean relative error of its loss on runs that were left out of the fit.
    pub errors: Vec<f64>,
}

impl Law {
    /// Fits the law.
    ///
    /// # Errors
    /// When there are fewer than three runs, or a loss is no number above 0.
    pub fn fit(runs: &[Run]) -> Result<Self> {
        if runs.len() < 3 {
            return Err(Error::usage(format!("a mixing law can't be fitted on {} runs", runs.len()))
                .with_hint("name more with `law_runs`, as many as there are sources at least"));
        }
        if let Some(loss) =
            runs.iter().flat_map(|run| &run.losses).find(|loss| !(loss.is_finite() && **loss > 0.0))
        {
            return Err(Error::input(format!("a run ended with the loss {loss}"))
                .because("the law is fitted on the logarithms of losses")
                .with_hint("ask about more items, or train with a lower rate"));
        }
        let tasks = runs[0].losses.len();
        let all: Vec<&Run> = runs.iter().collect();
        let error = |task: usize| {
            let of = |left_out: usize| {
                let others: Vec<&Run> =
                    runs.iter().enumerate().filter(|(run, _)| *run != left_out).map(|(_, run)| run).collect();
                let run = &runs[left_out];
                (loss(&coefficients(&others, task), &run.shares) / run.losses[task] - 1.0).abs()
            };
            (0..runs.len()).map(of).sum::<f64>() / runs.len() as f64
        };
        Ok(Self {
            tasks: (0..tasks).map(|task| coefficients(&all, task)).collect(),
            errors: (0..tasks).map(error).collect(),
        })
    }

    /// The loss of each task that the law expects of these shares.
    pub fn losses(&self, shares: &[f64]) -> Vec<f64> {
        self.tasks.iter().map(|task| loss(task, shares)).collect()
    }

    /// The shares, none below `floor`, whose losses are the least in the mean over tasks of these weights, each loss
    /// beside that of the even mix.
    ///
    /// The sum of exponentials is convex, so that descent along its gradient in the logarithms of the shares finds the
    /// only minimum.
    pub fn best(&self, weights: &[f64], floor: f64) -> Vec<f64> {
        let sources = self.tasks[0].len() - 1;
        let even = vec![1.0 / sources as f64; sources];
        let start = self.losses(&even);
        let all: f64 = weights.iter().sum();
        let value = |shares: &[f64]| -> f64 {
            let losses = self.losses(shares);
            losses
                .iter()
                .zip(&start)
                .zip(weights)
                .map(|((loss, even), weight)| weight / all * loss / even)
                .sum()
        };
        let (mut logs, mut shares) = (vec![0.0; sources], even.clone());
        let mut least = value(&shares);
        let mut step = 1.0;
        for _ in 0..2000 {
            let losses = self.losses(&shares);
            let gradient: Vec<f64> = (0..sources)
                .map(|source| {
                    let of_task = |task: usize| {
                        weights[task] / all * losses[task] / start[task] * self.tasks[task][source + 1]
                    };
                    (0..losses.len()).map(of_task).sum()
                })
                .collect();
            let next: Vec<f64> = logs.iter().zip(&gradient).map(|(log, slope)| log - step * slope).collect();
            let most = next.iter().copied().fold(f64::MIN, f64::max);
            // Below this a share is the floor's, and its logarithm needn't fall on.
            let next: Vec<f64> = next.iter().map(|log| (log - most).max(-50.0)).collect();
            let made = floored(&next.iter().map(|log| log.exp()).collect::<Vec<_>>(), floor);
            let found = value(&made);
            if found <= least {
                let is_still = made.iter().zip(&shares).all(|(a, b)| (a - b).abs() < 1e-12);
                (logs, shares, least) = (next, made, found);
                if is_still {
                    break;
                }
                step *= 1.5;
            } else {
                step *= 0.5;
                if step < 1e-12 {
                    break;
                }
            }
        }
        shares
    }
}

fn loss(task: &[f64], shares: &[f64]) -> f64 {
    let even = 1.0 / shares.len() as f64;
    let slope: f64 = task[1..].iter().zip(shares).map(|(t, share)| t * (share - even)).sum();
    (task[0] + slope).exp()
}

/// `b` and `t` of a task by least squares: the normal equations with the ridge on `t`.
fn coefficients(runs: &[&Run], task: usize) -> Vec<f64> {
    let sources = runs[0].shares.len();
    let even = 1.0 / sources as f64;
    let width = sources + 1;
    let mut matrix = vec![vec![0.0; width]; width];
    let mut right = vec![0.0; width];
    for run in runs {
        let row: Vec<f64> = std::iter::once(1.0).chain(run.shares.iter().map(|share| share - even)).collect();
        let target = run.losses[task].ln();
        for (i, a) in row.iter().enumerate() {
            right[i] += a * target;
            for (j, b) in row.iter().enumerate() {
                matrix[i][j] += a * b;
            }
        }
    }
    for (place, row) in matrix.iter_mut().enumerate().skip(1) {
        row[place] += RIDGE;
    }
    solved(matrix, right)
}

/// The solution of a system whose matrix is symmetric and positive definite, by Cholesky's factors.
fn solved(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Vec<f64> {
    let n = right.len();
    for i in 0..n {
        for j in 0..=i {
            let product: f64 = (0..j).map(|k| matrix[i][k] * matrix[j][k]).sum();
            let rest = matrix[i][j] - product;
            // The ridge keeps what is under the root above 0.
            matrix[i][j] = if i == j { rest.max(f64::MIN_POSITIVE).sqrt() } else { rest / matrix[j][j] };
        }
    }
    for i in 0..n {
        let product: f64 = (0..i).map(|k| matrix[i][k] * right[k]).sum();
        right[i] = (right[i] - product) / matrix[i][i];
    }
    for i in (0..n).rev() {
        let product: f64 = (i + 1..n).map(|k| matrix[k][i] * right[k]).sum();
        right[i] = (right[i] - product) / matrix[i][i];
    }
    right
}

/// The shares of mixed runs that vary all sources: the even mix first, then mixes in which the sources have parts
/// `1, 2, 4, …` in turn, so that `runs` of them are far from each other.
pub fn designs(sources: usize, runs: usize) -> Vec<Vec<f64>> {
    let even = vec![1.0 / sources as f64; sources];
    let turned = (0..runs.saturating_sub(1)).map(|run| {
        // Each source's part once in each place, and then the other way round.
        let part = |source: usize| {
            let place = (source + run) % sources;
            let place = if (run / sources).is_multiple_of(2) { place } else { sources - 1 - place };
            0.5_f64.powi(place as i32)
        };
        let parts: Vec<f64> = (0..sources).map(part).collect();
        let all: f64 = parts.iter().sum();
        parts.iter().map(|part| part / all).collect()
    });
    std::iter::once(even).chain(turned).take(runs).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn planted(slopes: &[[f64; 3]], shares: &[f64]) -> Vec<f64> {
        let of = |slopes: &[f64; 3]| (0.3 + slopes.iter().zip(shares).map(|(t, p)| t * p).sum::<f64>()).exp();
        slopes.iter().map(of).collect()
    }

    fn runs(slopes: &[[f64; 3]], count: usize) -> Vec<Run> {
        designs(3, count).into_iter().map(|shares| Run { losses: planted(slopes, &shares), shares }).collect()
    }

    #[test]
    fn a_planted_law_is_found() {
        let slopes = [[-2.0, 0.1, 0.3], [0.2, -1.5, 0.0]];
        let law = Law::fit(&runs(&slopes, 7)).unwrap();
        for shares in [[1.0, 0.0, 0.0], [0.2, 0.5, 0.3], [0.0, 0.0, 1.0]] {
            let (found, wanted) = (law.losses(&shares), planted(&slopes, &shares));
            assert!(
                found.iter().zip(&wanted).all(|(a, b)| (a / b - 1.0).abs() < 0.06),
                "{found:?} {wanted:?}"
            );
        }
        assert!(law.errors.iter().all(|error| *error < 0.05), "{:?}", law.errors);
        let best = law.best(&[1.0, 1.0], 0.02);
        // The third source helps neither task; the other two share the rest.
        assert!((best[2] - 0.02).abs() < 1e-9 && best[0] > 0.3 && best[1] > 0.2, "{best:?}");
    }

    #[test]
    fn where_one_source_is_best_for_all_the_floor_is_all_that_is_left() {
        let law = Law::fit(&runs(&[[-2.0, 0.0, 0.0]], 5)).unwrap();
        let best = law.best(&[1.0], 0.1);
        assert!((best[0] - 0.8).abs() < 1e-6 && (best[1] - 0.1).abs() < 1e-6, "{best:?}");
    }

    #[test]
    fn what_can_not_be_fitted_is_named() {
        let say = |runs: &[Run]| Law::fit(runs).unwrap_err().to_string();
        assert_eq!(say(&runs(&[[0.0; 3]], 2)), "a mixing law can't be fitted on 2 runs");
        let mut zero = runs(&[[0.0; 3]], 3);
        zero[1].losses[0] = 0.0;
        assert_eq!(say(&zero), "a run ended with the loss 0");
    }

    #[test]
    fn designs_are_shares_and_differ() {
        let designs = designs(4, 9);
        assert_eq!(designs.len(), 9);
        assert!(designs.iter().all(|shares| (shares.iter().sum::<f64>() - 1.0).abs() < 1e-12));
        for (number, shares) in designs.iter().enumerate() {
            assert!(designs[..number].iter().all(|other| other != shares), "{number}");
        }
    }

    proptest! {
        #[test]
        fn no_other_mix_is_better_by_the_law(
            slopes in proptest::collection::vec(proptest::array::uniform3(-2.0..2.0f64), 1..4),
            raw in proptest::array::uniform3(0.01..1.0f64),
        ) {
            let law = Law::fit(&runs(&slopes, 7)).unwrap();
            let weights = vec![1.0; slopes.len()];
            let even = law.losses(&[1.0 / 3.0; 3]);
            let value = |shares: &[f64]| -> f64 {
                law.losses(shares).iter().zip(&even).map(|(loss, even)| loss / even).sum()
            };
            let best = law.best(&weights, 0.0);
            prop_assert!((best.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            let all: f64 = raw.iter().sum();
            let other = raw.map(|raw| raw / all);
            prop_assert!(value(&best) <= value(&other) * (1.0 + 1e-3), "{best:?} {other:?}");
        }
    }
}
