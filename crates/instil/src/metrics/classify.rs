//! Accuracy and F1 of labels.

use std::collections::BTreeMap;

/// The share of guesses that are right, `sklearn.metrics.accuracy_score`; none without a pair.
pub fn accuracy<L: PartialEq>(truth: &[L], guess: &[L]) -> Option<f64> {
    assert_eq!(truth.len(), guess.len(), "every label has its guess");
    let right = truth.iter().zip(guess).filter(|(truth, guess)| truth == guess).count();
    (!truth.is_empty()).then(|| right as f64 / truth.len() as f64)
}

/// What stands for the F1 of a label that is neither among the labels nor among the guesses, where it would be 0 / 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ZeroDivision {
    /// 0, which scikit-learn takes unless told otherwise.
    #[default]
    Zero,
    /// 1.
    One,
    /// Nothing: the label doesn't count for the mean (`numpy.nan` in scikit-learn).
    LeftOut,
}

/// How the labels' F1 become one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Average {
    /// The plain mean.
    Macro,
    /// The mean weighted by how often each label is the right one.
    Weighted,
}

/// The F1 of labels, `sklearn.metrics.f1_score`: of each label 2 TP / (2 TP + FP + FN), then their average.
///
/// `labels` are those that count; without them all that are among the labels or the guesses. None where
/// nothing is left to average.
pub fn f1<L: Ord + Clone>(
    truth: &[L],
    guess: &[L],
    labels: Option<&[L]>,
    average: Average,
    zero_division: ZeroDivision,
) -> Option<f64> {
    assert_eq!(truth.len(), guess.len(), "every label has its guess");
    let mut counts: BTreeMap<&L, Counts> = BTreeMap::new();
    for (truth, guess) in truth.iter().zip(guess) {
        if truth == guess {
            counts.entry(truth).or_default().right += 1;
        } else {
            counts.entry(truth).or_default().missed += 1;
            counts.entry(guess).or_default().wrong += 1;
        }
    }
    let of_labels: Vec<Counts> = match labels {
        Some(labels) => labels.iter().map(|label| counts.get(label).copied().unwrap_or_default()).collect(),
        None => counts.into_values().collect(),
    };
    mean(&of_labels, average, zero_division)
}

/// Of one label: guesses that are right, guesses that are wrong, and those that were missed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// True positives.
    pub right: u64,
    /// False positives.
    pub wrong: u64,
    /// False negatives.
    pub missed: u64,
}

impl Counts {
    fn f1(self, zero_division: ZeroDivision) -> Option<f64> {
        let whole = 2 * self.right + self.wrong + self.missed;
        match zero_division {
            _ if whole > 0 => Some(2.0 * self.right as f64 / whole as f64),
            ZeroDivision::Zero => Some(0.0),
            ZeroDivision::One => Some(1.0),
            ZeroDivision::LeftOut => None,
        }
    }
}

/// The average F1 of labels that were counted.
pub fn mean(labels: &[Counts], average: Average, zero_division: ZeroDivision) -> Option<f64> {
    let weight = |counts: &Counts| match average {
        Average::Macro => 1.0,
        Average::Weighted => (counts.right + counts.missed) as f64,
    };
    let scored: Vec<(f64, f64)> =
        labels.iter().filter_map(|counts| Some((counts.f1(zero_division)?, weight(counts)))).collect();
    let weights: f64 = scored.iter().map(|(_, weight)| weight).sum();
    if scored.is_empty() {
        return None;
    }
    if weights == 0.0 {
        // No guess was asked for: scikit-learn gives what stands for 0 / 0.
        return match zero_division {
            ZeroDivision::Zero => Some(0.0),
            ZeroDivision::One => Some(1.0),
            ZeroDivision::LeftOut => None,
        };
    }
    Some(scored.iter().map(|(f1, weight)| f1 * weight).sum::<f64>() / weights)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f1_by_hand() {
        // yes: right 2, wrong 1, missed 1: 4/6. no: right 1, wrong 1, missed 1: 2/4. maybe: missed 1, wrong 1: 0.
        let truth = ["yes", "yes", "yes", "no", "no", "maybe"];
        let guess = ["yes", "yes", "no", "no", "maybe", "yes"];
        assert_eq!(accuracy(&truth, &guess), Some(0.5));
        let of = |average, labels: Option<&[&str]>, zero| f1(&truth, &guess, labels, average, zero).unwrap();
        let third = (2.0 / 3.0 + 0.5 + 0.0) / 3.0;
        assert!((of(Average::Macro, None, ZeroDivision::Zero) - third).abs() < 1e-15);
        let weighted = (3.0 * 2.0 / 3.0 + 2.0 * 0.5) / 6.0;
        assert!((of(Average::Weighted, None, ZeroDivision::Zero) - weighted).abs() < 1e-15);
        // A label that nobody names.
        let labels: &[&str] = &["yes", "no", "never"];
        let two = 2.0 / 3.0 + 0.5;
        for (zero, wanted) in [
            (ZeroDivision::Zero, two / 3.0),
            (ZeroDivision::One, (two + 1.0) / 3.0),
            (ZeroDivision::LeftOut, two / 2.0),
        ] {
            assert!((of(Average::Macro, Some(labels), zero) - wanted).abs() < 1e-15, "{zero:?}");
        }
        assert_eq!(f1::<u8>(&[], &[], None, Average::Macro, ZeroDivision::Zero), None);
        assert_eq!(accuracy::<u8>(&[], &[]), None);
    }

    proptest::proptest! {
        #[test]
        fn f1_is_a_share_and_1_for_what_is_all_right(pairs in proptest::collection::vec((0..4u8, 0..4u8), 1..60)) {
            let (truth, guess): (Vec<u8>, Vec<u8>) = pairs.into_iter().unzip();
            for average in [Average::Macro, Average::Weighted] {
                let of = |truth: &[u8], guess: &[u8]| f1(truth, guess, None, average, ZeroDivision::Zero).unwrap();
                assert!((0.0..=1.0).contains(&of(&truth, &guess)));
                assert_eq!(of(&truth, &truth), 1.0);
            }
            // Exchanging labels and guesses exchanges wrong and missed.
            let of = |truth: &[u8], guess: &[u8]| f1(truth, guess, None, Average::Macro, ZeroDivision::Zero).unwrap();
            assert!((of(&truth, &guess) - of(&guess, &truth)).abs() < 1e-12);
        }
    }
}
