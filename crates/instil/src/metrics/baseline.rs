//! What a number has to beat.

use std::collections::BTreeMap;

use crate::rng::{nth, seed_of};

/// The commonest of several answers; of equally common ones the least. None without an answer.
pub fn majority<L: Ord + Clone>(truth: &[L]) -> Option<L> {
    let mut counts: BTreeMap<&L, usize> = BTreeMap::new();
    for label in truth {
        *counts.entry(label).or_default() += 1;
    }
    let most = counts.values().copied().max()?;
    counts.into_iter().find(|(_, count)| *count == most).map(|(label, _)| label.clone())
}

/// How often chance is tried.
pub const TRIES: u64 = 100;

/// What chance gets: the mean of `statistic` over [`TRIES`] guesses, each a number below `choices` for every item, drawn
/// evenly. Items without a choice get 0.
pub fn chance(
    choices: &[usize],
    seed: u64,
    mut statistic: impl FnMut(&[usize]) -> Option<f64>,
) -> Option<f64> {
    let mut total = 0.0;
    for number in 0..TRIES {
        let row = seed_of(seed, &["chance", &number.to_string()]);
        let guess: Vec<usize> = choices
            .iter()
            .enumerate()
            .map(|(place, choices)| ((u128::from(nth(row, place as u64)) * *choices as u128) >> 64) as usize)
            .collect();
        total += statistic(&guess)?;
    }
    Some(total / TRIES as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::classify::accuracy;

    #[test]
    fn baselines_by_hand() {
        assert_eq!(majority(&["b", "a", "b", "c", "a"]), Some("a"));
        assert_eq!(majority::<u8>(&[]), None);
        // Half of the items have 2 choices, half 4: 3/8 is right by chance.
        let choices: Vec<usize> = (0..2000).map(|i| if i % 2 == 0 { 2 } else { 4 }).collect();
        let truth = vec![1; 2000];
        let found = chance(&choices, 3, |guess| accuracy(&truth, guess)).unwrap();
        assert!((found - 0.375).abs() < 0.01, "{found}");
    }
}
