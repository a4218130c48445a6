//! From weights or sizes to shares, and from shares to whole numbers.

use crate::error::{Error, Result};

/// What the shares of sources are.
#[derive(Clone, Debug, PartialEq)]
pub enum Weights {
    /// As these numbers to each other, one a source.
    Given(Vec<f64>),
    /// As the sources' sizes to the power of this: 1 keeps their sizes, 0 makes all alike, and what lies between
    /// lifts the small ones (the exponent of mT5 and of multilingual BERT).
    Alpha(f64),
}

/// The share of each source, from 0 to 1; together 1.
///
/// # Errors
/// When the weights are not one a source, one is negative or no number, all are 0, or a source that gets a share is
/// empty.
pub fn shares(weights: &Weights, sizes: &[u64], names: &[&str]) -> Result<Vec<f64>> {
    let raw: Vec<f64> = match weights {
        Weights::Given(given) => {
            if given.len() != sizes.len() {
                return Err(Error::usage(format!(
                    "there are {} weights for {} sources",
                    given.len(),
                    sizes.len()
                ))
                .with_hint("give one for each, in their order, or by name: `--weights notes=2,forum=1`"));
            }
            if let Some((weight, name)) =
                given.iter().zip(names).find(|(w, _)| !(w.is_finite() && **w >= 0.0))
            {
                return Err(Error::usage(format!("`{name}` has the weight {weight}"))
                    .with_hint("weights are numbers from 0"));
            }
            given.clone()
        }
        Weights::Alpha(alpha) => {
            if !alpha.is_finite() {
                return Err(Error::usage(format!("alpha is {alpha}"))
                    .with_hint("1 mixes sources by their sizes, 0 makes them alike"));
            }
            // Over the largest, so that no power overflows.
            let most = sizes.iter().copied().max().unwrap_or(0).max(1) as f64;
            let power = |size: &u64| if *size == 0 { 0.0 } else { (*size as f64 / most).powf(*alpha) };
            sizes.iter().map(power).collect()
        }
    };
    let has_share = |place: usize| raw[place] > 0.0 || matches!(weights, Weights::Alpha(_));
    if let Some(place) = (0..sizes.len()).find(|place| has_share(*place) && sizes[*place] == 0) {
        return Err(Error::input(format!(
            "`{}` has a share of the mix and no row that can be used",
            names[place]
        ))
        .with_hint("`instil check FILE` says what is wrong with its rows; or leave it out"));
    }
    let all: f64 = raw.iter().sum();
    if all <= 0.0 || !all.is_finite() {
        return Err(Error::usage("no source has a weight above 0").with_hint("raise one of the weights"));
    }
    Ok(raw.iter().map(|weight| weight / all).collect())
}

/// `n` things parted by shares, by the largest remainder: each share's whole part, and one more for those with the
/// largest rests, of equal ones the first.
///
/// ```
/// use instil::mix::weights::counts;
/// assert_eq!(counts(&[0.336273, 0.359455, 0.304272], 1000), [336, 360, 304]);
/// assert_eq!(counts(&[1.0 / 3.0; 3], 1000), [334, 333, 333]);
/// ```
pub fn counts(shares: &[f64], n: u64) -> Vec<u64> {
    let quotas: Vec<f64> = shares.iter().map(|share| snapped(share * n as f64)).collect();
    let mut counts: Vec<u64> = quotas.iter().map(|quota| quota.floor() as u64).collect();
    let mut order: Vec<usize> = (0..shares.len()).filter(|place| shares[*place] > 0.0).collect();
    let rest = |place: usize| quotas[place] - quotas[place].floor();
    order.sort_by(|a, b| rest(*b).total_cmp(&rest(*a)).then(a.cmp(b)));
    let given: u64 = counts.iter().sum();
    for place in order.iter().cycle().take(n.saturating_sub(given) as usize) {
        counts[*place] += 1;
    }
    // Rounding may have made the quotas a little more than there is.
    let mut over = given.saturating_sub(n);
    for place in order.iter().rev().cycle().take(order.len() * 2) {
        if over > 0 && counts[*place] > 0 {
            counts[*place] -= 1;
            over -= 1;
        }
    }
    counts
}

/// A quota that is whole but for rounding is whole.
fn snapped(quota: f64) -> f64 {
    let whole = quota.round();
    if (quota - whole).abs() <= 1e-9 * whole.max(1.0) { whole } else { quota }
}

/// The size of the largest mix in these shares that takes nothing twice.
pub fn most_rows(shares: &[f64], sizes: &[u64]) -> u64 {
    let whole = |(share, size): (&f64, &u64)| (*share > 0.0).then(|| snapped(*size as f64 / share) as u64);
    let all: u64 = sizes.iter().sum();
    let mut most = shares.iter().zip(sizes).filter_map(whole).min().unwrap_or(0).min(all);
    // A remainder may ask for one more than there is.
    while counts(shares, most).iter().zip(sizes).any(|(count, size)| count > size) {
        most -= 1;
    }
    most
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_test_vectors_of_the_specification() {
        // spec/cookbook.md 3.4.
        for (shares, wanted) in [
            ([0.336_273, 0.359_455, 0.304_272], [336, 360, 304]),
            ([0.337_683, 0.385_846, 0.276_471], [338, 386, 276]),
            ([0.301_603, 0.587_443, 0.110_954], [302, 587, 111]),
        ] {
            assert_eq!(counts(&shares, 1000), wanted);
        }
        assert_eq!(counts(&[1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0], 1000), [334, 333, 333]);
    }

    #[test]
    fn alpha_lies_between_alike_and_by_size() {
        for (alpha, wanted) in [(0.0, [0.5, 0.5]), (1.0, [0.9, 0.1]), (0.5, [0.75, 0.25])] {
            let found = shares(&Weights::Alpha(alpha), &[900, 100], &["a", "b"]).unwrap();
            assert!(found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?}");
        }
    }

    #[test]
    fn what_makes_no_shares_is_named() {
        let say =
            |weights: Weights, sizes: &[u64]| shares(&weights, sizes, &["a", "b"]).unwrap_err().to_string();
        assert_eq!(say(Weights::Given(vec![1.0]), &[1, 1]), "there are 1 weights for 2 sources");
        assert_eq!(say(Weights::Given(vec![1.0, -2.0]), &[1, 1]), "`b` has the weight -2");
        assert_eq!(say(Weights::Given(vec![0.0, 0.0]), &[1, 1]), "no source has a weight above 0");
        assert_eq!(
            say(Weights::Given(vec![1.0, 1.0]), &[1, 0]),
            "`b` has a share of the mix and no row that can be used"
        );
        assert_eq!(
            say(Weights::Alpha(0.0), &[0, 1]),
            "`a` has a share of the mix and no row that can be used"
        );
        assert_eq!(say(Weights::Alpha(f64::NAN), &[1, 1]), "alpha is NaN");
    }

    proptest! {
        #[test]
        fn counts_are_as_many_as_there_are(raw in proptest::collection::vec(0.0..9.0f64, 1..12), n in 0..100_000u64) {
            prop_assume!(raw.iter().sum::<f64>() > 0.01);
            let sizes = vec![1; raw.len()];
            let names = vec!["x"; raw.len()];
            let shares = shares(&Weights::Given(raw), &sizes, &names).unwrap();
            prop_assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            let counts = counts(&shares, n);
            prop_assert_eq!(counts.iter().sum::<u64>(), n);
            for (count, share) in counts.iter().zip(&shares) {
                prop_assert!((*count as f64 - share * n as f64).abs() <= 1.0 + 1e-6);
                prop_assert!(*share > 0.0 || *count == 0);
            }
        }

        #[test]
        fn the_largest_mix_fits_and_uses_one_source_up(
            raw in proptest::collection::vec(0.1..9.0f64, 1..6),
            size in 1..500u64,
        ) {
            let sizes: Vec<u64> = (0..raw.len() as u64).map(|place| size + 7 * place).collect();
            let names = vec!["x"; raw.len()];
            let shares = shares(&Weights::Given(raw), &sizes, &names).unwrap();
            let most = most_rows(&shares, &sizes);
            let counts = counts(&shares, most);
            prop_assert!(counts.iter().zip(&sizes).all(|(count, size)| count <= size));
            let left = |(share, size): (&f64, &u64)| *size as f64 - share * most as f64;
            let least = shares.iter().zip(&sizes).map(left).fold(f64::MAX, f64::min);
            prop_assert!(least <= 2.0, "{} left of the source that limits it", least);
        }
    }
}
