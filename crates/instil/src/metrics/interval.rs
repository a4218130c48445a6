//! How sure a number is.

use crate::rng::{nth, seed_of};

/// The mean of values; none without one.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The standard deviation of a sample, with n - 1 below the line; none of fewer than two values.
pub fn deviation(values: &[f64]) -> Option<f64> {
    let middle = mean(values).filter(|_| values.len() > 1)?;
    let squares: f64 = values.iter().map(|value| (value - middle).powi(2)).sum();
    Some((squares / (values.len() - 1) as f64).sqrt())
}

/// The standard error of a mean: the deviation over the root of n, as lm-evaluation-harness gives it (`mean_stderr`).
pub fn standard_error(values: &[f64]) -> Option<f64> {
    Some(deviation(values)? / (values.len() as f64).sqrt())
}

/// How often the bootstrap draws.
pub const DRAWS: u64 = 1000;

/// The 95 % interval of a number by the percentile bootstrap (Efron 1979): the items are drawn anew with replacement
/// [`DRAWS`] times, `statistic` is taken of each draw, and the 2.5th and 97.5th percentiles are given, with linear
/// interpolation as NumPy's `percentile` does. Draws for which there is no number are left out.
///
/// `statistic` gets the numbers of the items drawn. The draws are a function of `seed` and `items`.
pub fn bootstrap(
    items: usize,
    seed: u64,
    mut statistic: impl FnMut(&[usize]) -> Option<f64>,
) -> Option<(f64, f64)> {
    if items == 0 {
        return None;
    }
    let mut drawn = vec![0; items];
    let mut values: Vec<f64> = Vec::with_capacity(DRAWS as usize);
    for draw in 0..DRAWS {
        let row = seed_of(seed, &["bootstrap", &draw.to_string()]);
        for (place, item) in drawn.iter_mut().enumerate() {
            // The high half of the product is a number below `items`.
            *item = ((u128::from(nth(row, place as u64)) * items as u128) >> 64) as usize;
        }
        values.extend(statistic(&drawn));
    }
    values.sort_by(f64::total_cmp);
    Some((percentile(&values, 2.5)?, percentile(&values, 97.5)?))
}

/// A percentile of sorted values, between two of them by linear interpolation.
pub fn percentile(sorted: &[f64], percent: f64) -> Option<f64> {
    let place = percent / 100.0 * sorted.len().checked_sub(1)? as f64;
    let (low, share) = (place.floor(), place.fract());
    let low = low as usize;
    let high = (low + 1).min(sorted.len() - 1);
    Some(sorted[low] + share * (sorted[high] - sorted[low]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_and_percentiles_by_hand() {
        let values = [1.0, 0.0, 1.0, 1.0];
        assert_eq!(mean(&values), Some(0.75));
        // Deviations 0.25, -0.75, 0.25, 0.25: squares 0.75 in all, over 3.
        assert_eq!(deviation(&values), Some(0.5));
        assert_eq!(standard_error(&values), Some(0.25));
        assert_eq!((mean(&[]), standard_error(&[1.0])), (None, None));
        let sorted = [1.0, 2.0, 4.0, 8.0];
        assert_eq!(percentile(&sorted, 50.0), Some(3.0));
        assert_eq!((percentile(&sorted, 0.0), percentile(&sorted, 100.0)), (Some(1.0), Some(8.0)));
    }

    #[test]
    fn an_interval_is_the_seeds_and_as_wide_as_it_should_be() {
        let values: Vec<f64> = (0..400).map(|i| f64::from(u8::from(i % 4 != 0))).collect();
        let of = |seed| {
            bootstrap(values.len(), seed, |drawn| {
                mean(&drawn.iter().map(|item| values[*item]).collect::<Vec<_>>())
            })
            .unwrap()
        };
        let (low, high) = of(7);
        assert_eq!(of(7), (low, high));
        assert_ne!(of(8), (low, high));
        assert!(low < 0.75 && 0.75 < high);
        // Twice 1.96 standard errors, of which one is sqrt(0.75 * 0.25 / 400).
        assert!((high - low - 3.92 * 0.02165).abs() < 0.012, "{low} {high}");
    }

    proptest::proptest! {
        #[test]
        fn an_interval_lies_within_the_values(values in proptest::collection::vec(-10.0..10.0f64, 1..20)) {
            let (low, high) = bootstrap(values.len(), 1, |drawn| {
                mean(&drawn.iter().map(|item| values[*item]).collect::<Vec<_>>())
            }).unwrap();
            let least = values.iter().copied().fold(f64::MAX, f64::min) - 1e-9;
            let most = values.iter().copied().fold(f64::MIN, f64::max) + 1e-9;
            assert!(least <= low && low <= high && high <= most);
        }
    }
}
