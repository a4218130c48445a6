//! Which rows of a source a mix takes, and how often: decided row by row, so that nothing but counts is held.

use crate::draw::Selection;
use crate::error::{Error, Result};
use crate::rng::{nth, seed_of};

/// How finely rows are parted by their keys while their tokens are counted.
const BUCKETS: usize = 1 << 14;
const BUCKET_SHIFT: u32 = u64::BITS - BUCKETS.trailing_zeros();

/// How large a source is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Size {
    /// Rows that can be used.
    pub rows: u64,
    /// Their tokens, where they are counted.
    pub tokens: u64,
    seed: u64,
    /// Tokens of the rows whose keys begin with the same bits; empty where tokens aren't counted.
    buckets: Vec<u64>,
}

impl Size {
    /// Of a source without a row yet. `seed` is the source's own: it decides which rows come first.
    pub fn of_rows(seed: u64) -> Self {
        Self { rows: 0, tokens: 0, seed, buckets: Vec::new() }
    }

    /// The same, where tokens are counted.
    pub fn of_tokens(seed: u64) -> Self {
        Self { buckets: vec![0; BUCKETS], ..Self::of_rows(seed) }
    }

    /// Counts the next row.
    pub fn add(&mut self, tokens: u64) {
        if !self.buckets.is_empty() {
            self.buckets[bucket(key(self.seed, self.rows))] += tokens;
        }
        self.rows += 1;
        self.tokens += tokens;
    }
}

/// The place of row `ordinal` among all rows of its source, from 0 to 2^64.
fn key(seed: u64, ordinal: u64) -> u64 {
    nth(seed_of(seed, &["mix", "tokens"]), ordinal)
}

fn bucket(key: u64) -> usize {
    (key >> BUCKET_SHIFT) as usize
}

/// Says of the rows of a source, in their order, how often each is taken.
#[derive(Clone, Debug)]
pub struct Draw {
    /// Every row is taken so often, ...
    whole: u32,
    /// ... and some once more.
    rest: Rest,
}

#[derive(Clone, Debug)]
enum Rest {
    /// Exactly so many.
    Rows(Selection),
    /// Those whose keys lie in buckets below one, and of that one as many as fit what is left.
    Tokens { seed: u64, bucket: usize, left: u64, ordinal: u64, is_full: bool },
}

impl Draw {
    /// A draw of exactly `wanted` rows of a source of this size: each as often as the source goes into it, and of the
    /// rest every set as likely as any other.
    pub fn of_rows(size: &Size, wanted: u64) -> Self {
        let rows = size.rows.max(1);
        let whole = u32::try_from(wanted / rows).unwrap_or(u32::MAX);
        let rest = Selection::new(size.rows, wanted % rows, seed_of(size.seed, &["mix"]));
        Self { whole, rest: Rest::Rows(rest) }
    }

    /// A draw of at most `wanted` tokens: of what remains after whole rounds, rows in a random order until the next
    /// one doesn't fit. So it lacks less than the longest row has.
    ///
    /// # Panics
    /// When the size doesn't count tokens.
    pub fn of_tokens(size: &Size, wanted: u64) -> Self {
        assert!(!size.buckets.is_empty(), "tokens were counted");
        let tokens = size.tokens.max(1);
        let whole = u32::try_from(wanted / tokens).unwrap_or(u32::MAX);
        let mut left = wanted % tokens;
        let mut bucket = 0;
        while bucket < BUCKETS && size.buckets[bucket] <= left {
            left -= size.buckets[bucket];
            bucket += 1;
        }
        Self { whole, rest: Rest::Tokens { seed: size.seed, bucket, left, ordinal: 0, is_full: false } }
    }

    /// How often the next row is taken; its tokens are asked for only where they decide that.
    pub fn take(&mut self, tokens: impl FnOnce() -> u64) -> u32 {
        let once_more = match &mut self.rest {
            Rest::Rows(selection) => selection.take(),
            Rest::Tokens { seed, bucket: last, left, ordinal, is_full } => {
                let of_row = bucket(key(*seed, *ordinal));
                *ordinal += 1;
                match of_row.cmp(last) {
                    std::cmp::Ordering::Less => true,
                    std::cmp::Ordering::Greater => false,
                    std::cmp::Ordering::Equal if *is_full => false,
                    std::cmp::Ordering::Equal => {
                        let tokens = tokens();
                        let fits = tokens <= *left;
                        *is_full = !fits;
                        if fits {
                            *left -= tokens;
                        }
                        fits
                    }
                }
            }
        };
        self.whole + u32::from(once_more)
    }
}

/// Refuses to take rows of a source twice where that isn't asked for. `unit` is what is counted, `most` how large the
/// whole mix can be.
///
/// # Errors
/// When more is wanted of a source than it has.
pub fn enough(name: &str, has: u64, wanted: u64, unit: &str, most: u64) -> Result<()> {
    if wanted <= has {
        return Ok(());
    }
    Err(Error::usage(format!("the mix takes {wanted} {unit} of `{name}`, which has {has}")).with_hint(format!(
        "`--repeat` takes them again and again, `--{unit} {most}` is the most without; or give `{name}` a smaller weight"
    )))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sized(tokens: &[u64], seed: u64) -> Size {
        let mut size = Size::of_tokens(seed);
        tokens.iter().for_each(|tokens| size.add(*tokens));
        size
    }

    proptest! {
        #[test]
        fn exactly_so_many_rows(rows in 1..400u64, wanted in 0..1500u64, seed: u64) {
            let mut size = Size::of_rows(seed);
            (0..rows).for_each(|_| size.add(0));
            let mut draw = Draw::of_rows(&size, wanted);
            let taken: Vec<u32> = (0..rows).map(|_| draw.take(|| 0)).collect();
            prop_assert_eq!(taken.iter().copied().map(u64::from).sum::<u64>(), wanted);
            // No row is taken a second time before every row was taken once.
            let (least, most) = (taken.iter().min().unwrap(), taken.iter().max().unwrap());
            prop_assert!(most - least <= 1);
        }

        #[test]
        fn tokens_are_never_more_and_lack_less_than_a_row(
            tokens in proptest::collection::vec(1..60u64, 1..300),
            share in 0.0..2.5f64,
            seed: u64,
        ) {
            let size = sized(&tokens, seed);
            let all: u64 = tokens.iter().sum();
            let wanted = (share * all as f64) as u64;
            let mut draw = Draw::of_tokens(&size, wanted);
            let got: u64 = tokens.iter().map(|tokens| u64::from(draw.take(|| *tokens)) * tokens).sum();
            prop_assert!(got <= wanted, "{} of {}", got, wanted);
            prop_assert!(got + tokens.iter().max().unwrap() > wanted, "{} of {}", got, wanted);
        }
    }

    #[test]
    fn every_row_is_as_likely_as_any_other() {
        let tokens = vec![5; 40];
        let mut often = vec![0_u32; tokens.len()];
        for seed in 0..400 {
            let mut draw = Draw::of_tokens(&sized(&tokens, seed), 50);
            for (row, tokens) in tokens.iter().enumerate() {
                often[row] += draw.take(|| *tokens);
            }
        }
        // 10 of 40 in 400 draws: 100 each, with a standard deviation of less than 9.
        assert!(often.iter().all(|count| (60..140).contains(count)), "{often:?}");
    }
}
