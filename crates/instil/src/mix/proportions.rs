//! From accuracies to the shares of a mix (spec/cookbook.md 3.4).
//!
//! If a mix were as good as the mean of its parts, all of it would be of the best source. So the spread of the shares
//! counts, too: `max sum_i p_i a_i + H(p) / eta`, whose solution is `p_i = p0_i exp(eta a_i) / sum`, with the prior `p0`.
//! Under a floor the solution is the greater of the floor and of the same form.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// How accuracies become shares.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Proportions {
    /// How much an accuracy counts beside the spread; 0 gives the prior.
    pub eta: f64,
    /// The least share of a source.
    pub floor: f64,
    /// What is taken without knowing anything, one number a source; empty for all alike.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prior: Vec<f64>,
}

impl Default for Proportions {
    fn default() -> Self {
        Self { eta: 10.0, floor: 0.02, prior: Vec::new() }
    }
}

impl Proportions {
    /// Refuses settings that no shares can have.
    ///
    /// # Errors
    /// When eta, floor or prior are no such numbers, or the floors are together more than 1.
    pub fn check(&self, sources: usize) -> Result<()> {
        if !(self.eta.is_finite() && self.eta >= 0.0) {
            return Err(Error::usage(format!("`eta` is {}", self.eta)).with_hint("it is a number from 0"));
        }
        if !(self.floor >= 0.0 && self.floor * sources as f64 <= 1.0) {
            return Err(Error::usage(format!("{sources} sources can't have {} of the mix each", self.floor))
                .with_hint(format!("`floor` is a share from 0 to {:.4}", 1.0 / sources.max(1) as f64)));
        }
        let is_weight = |weight: &f64| weight.is_finite() && *weight > 0.0;
        if !self.prior.is_empty() && (self.prior.len() != sources || !self.prior.iter().all(is_weight)) {
            return Err(Error::usage(format!(
                "`prior` is not a number above 0 for each of {sources} sources"
            ))
            .with_hint("leave it out, and all are alike"));
        }
        Ok(())
    }

    /// The shares of sources whose tuned models are so accurate, in the mean over tasks.
    pub fn of(&self, accuracies: &[f64]) -> Vec<f64> {
        let most = accuracies.iter().copied().fold(f64::MIN, f64::max);
        let prior = |source: usize| self.prior.get(source).copied().unwrap_or(1.0);
        let raw: Vec<f64> = accuracies
            .iter()
            .enumerate()
            .map(|(source, accuracy)| prior(source) * (self.eta * (accuracy - most)).exp())
            .collect();
        floored(&raw, self.floor)
    }
}

/// Shares in the proportions of `raw`, but none below `floor`.
pub fn floored(raw: &[f64], floor: f64) -> Vec<f64> {
    let mut is_low = vec![false; raw.len()];
    loop {
        let low = is_low.iter().filter(|is_low| **is_low).count();
        let rest: f64 = raw.iter().zip(&is_low).filter(|(_, is_low)| !**is_low).map(|(raw, _)| raw).sum();
        let left = 1.0 - floor * low as f64;
        let share = |source: usize| if is_low[source] { floor } else { raw[source] / rest * left };
        let next: Vec<bool> = (0..raw.len()).map(|source| is_low[source] || share(source) < floor).collect();
        if next == is_low || next.iter().all(|is_low| *is_low) {
            let shares: Vec<f64> = (0..raw.len()).map(share).collect();
            let all: f64 = shares.iter().sum();
            return shares.iter().map(|share| share / all).collect();
        }
        is_low = next;
    }
}

/// The mean accuracy of each source over tasks of these weights: `accuracies[source][task]`. A task without weight doesn't
/// count, whatever stands there.
pub fn means(accuracies: &[Vec<f64>], weights: &[f64]) -> Vec<f64> {
    let all: f64 = weights.iter().sum();
    let mean = |row: &Vec<f64>| {
        let counted = row.iter().zip(weights).filter(|(_, weight)| **weight > 0.0);
        counted.map(|(value, weight)| value * weight).sum::<f64>() / all
    };
    accuracies.iter().map(mean).collect()
}

/// Shares in proportion to what each source gains over the base; all alike where none gains anything.
pub fn by_gain(accuracies: &[f64], base: f64, floor: f64) -> Vec<f64> {
    let gains: Vec<f64> = accuracies.iter().map(|accuracy| (accuracy - base).max(0.0)).collect();
    if gains.iter().all(|gain| *gain == 0.0) {
        return vec![1.0 / gains.len() as f64; gains.len()];
    }
    floored(&gains, floor)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mix::weights::counts;

    fn eta(eta: f64) -> Proportions {
        Proportions { eta, ..Proportions::default() }
    }

    #[test]
    fn the_test_vector_of_the_specification() {
        // spec/cookbook.md 3.4.
        let rows = [vec![0.70, 0.40, 0.61], vec![0.55, 0.62, 0.58], vec![0.50, 0.45, 0.70]];
        let means = means(&rows, &[1.0; 3]);
        assert!([0.57, 0.583_333, 0.55].iter().zip(&means).all(|(a, b)| (a - b).abs() < 1e-6));
        for (value, wanted, rows) in [
            (5.0, [0.336_273, 0.359_455, 0.304_272], [336, 360, 304]),
            (10.0, [0.337_683, 0.385_846, 0.276_471], [338, 386, 276]),
            (50.0, [0.301_603, 0.587_443, 0.110_954], [302, 587, 111]),
            (0.0, [1.0 / 3.0; 3], [334, 333, 333]),
        ] {
            let shares = eta(value).of(&means);
            assert!(shares.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-6), "{shares:?}");
            assert_eq!(counts(&shares, 1000), rows);
        }
    }

    #[test]
    fn prior_and_gain() {
        let skewed = Proportions { eta: 0.0, floor: 0.0, prior: vec![3.0, 1.0] };
        assert_eq!(skewed.of(&[0.1, 0.9]), [0.75, 0.25]);
        let gains = by_gain(&[0.6, 0.5, 0.4], 0.4, 0.0);
        assert!(gains.iter().zip([2.0 / 3.0, 1.0 / 3.0, 0.0]).all(|(a, b)| (a - b).abs() < 1e-12));
        assert_eq!(by_gain(&[0.2, 0.3], 0.4, 0.0), [0.5, 0.5]);
    }

    #[test]
    fn what_no_shares_can_have_is_named() {
        let say = |proportions: Proportions| proportions.check(3).unwrap_err().to_string();
        assert_eq!(say(eta(f64::NAN)), "`eta` is NaN");
        assert_eq!(say(Proportions { floor: 0.5, ..eta(1.0) }), "3 sources can't have 0.5 of the mix each");
        assert_eq!(
            say(Proportions { prior: vec![1.0], ..eta(1.0) }),
            "`prior` is not a number above 0 for each of 3 sources"
        );
    }

    proptest! {
        #[test]
        fn shares_sum_to_one_and_floors_hold(
            accuracies in proptest::collection::vec(0.0..1.0f64, 1..10),
            eta in 0.0..200.0f64,
            part in 0.0..1.0f64,
        ) {
            let floor = part / accuracies.len() as f64;
            let proportions = Proportions { eta, floor, prior: Vec::new() };
            proportions.check(accuracies.len()).unwrap();
            let shares = proportions.of(&accuracies);
            prop_assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            prop_assert!(shares.iter().all(|share| *share >= floor - 1e-9));
            for (i, a) in accuracies.iter().enumerate() {
                for (j, b) in accuracies.iter().enumerate() {
                    prop_assert!(a < b || shares[i] >= shares[j] - 1e-9);
                }
            }
        }

        #[test]
        fn under_a_floor_no_other_shares_are_better(
            accuracies in proptest::collection::vec(0.0..1.0f64, 3..5),
            eta in 0.1..50.0f64,
            raw in proptest::collection::vec(0.01..1.0f64, 5),
        ) {
            let floor = 0.05;
            let value = |shares: &[f64]| -> f64 {
                shares.iter().zip(&accuracies).map(|(p, a)| p * a - p * p.max(1e-300).ln() / eta).sum()
            };
            let best = Proportions { eta, floor, prior: Vec::new() }.of(&accuracies);
            let all: f64 = raw[..accuracies.len()].iter().sum();
            let left = 1.0 - floor * accuracies.len() as f64;
            let other: Vec<f64> = raw[..accuracies.len()].iter().map(|raw| floor + left * raw / all).collect();
            prop_assert!(value(&best) >= value(&other) - 1e-9, "{best:?} {other:?}");
        }
    }
}
