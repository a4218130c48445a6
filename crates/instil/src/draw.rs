//! Draws over rows: which are taken, how often each is written, on which side of a split it is.
//!
//! All are functions of a seed and of what is drawn for, so that they neither depend on each other nor
//! on how often a run was begun.

use crate::error::{Error, Result};
use crate::rng;

/// Chooses exactly `cap` of `n` rows, or all of them if there are no more, in one pass and in their order.
/// Every set of so many rows is as likely as any other.
///
/// This is selection sampling (Knuth, The Art of Computer Programming, volume 2, 3.4.2, algorithm S): a
/// row is taken with the probability (rows still to take) / (rows still to come). What is drawn for row
/// `i` is the number `i` of the seed's, so a row's fate is decided by seed, `n`, `cap` and how many were
/// taken before it. Give each source of rows a seed of its own.
///
/// ```
/// use instil::draw::Selection;
/// let mut selection = Selection::new(100, 3, 7);
/// let taken: Vec<u32> = (0..100).filter(|_| selection.take()).collect();
/// assert_eq!(taken.len(), 3);
/// ```
#[derive(Clone, Debug)]
pub struct Selection {
    seed: u64,
    row: u64,
    n: u64,
    wanted: u64,
}

impl Selection {
    /// A choice of `min(n, cap)` of `n` rows.
    pub fn new(n: u64, cap: u64, seed: u64) -> Self {
        Self { seed: rng::seed_of(seed, &["selection"]), row: 0, n, wanted: cap.min(n) }
    }

    /// Whether the next row is taken; no row after the first `n` is.
    pub fn take(&mut self) -> bool {
        if self.row == self.n {
            return false;
        }
        let drawn = below(self.n - self.row, rng::nth(self.seed, self.row));
        let is_taken = drawn < self.wanted;
        self.row += 1;
        self.wanted -= u64::from(is_taken);
        is_taken
    }
}

/// A number below `n` from a random one. No number is likelier than another by more than `n` in 2^64.
fn below(n: u64, random: u64) -> u64 {
    ((u128::from(random) * u128::from(n)) >> 64) as u64
}

/// A random number in 0..1 from a random one of 64 bits.
fn unit(random: u64) -> f64 {
    // The 53 bits that a float has.
    (random >> 11) as f64 / (1_u64 << 53) as f64
}

/// How many copies row `ordinal` of a source with this weight gets: `weight` rounded down, and one more
/// with the probability of what was cut off, so that the mean is `weight`.
///
/// No weight above 0, and what is no number, gives 0. Give each source of rows a seed of its own.
///
/// ```
/// use instil::draw::copies;
/// assert_eq!(copies(3.0, 7, 0), 3);
/// let all: u32 = (0..1000).map(|row| copies(0.25, 7, row)).sum();
/// assert!((200..300).contains(&all));
/// ```
pub fn copies(weight: f64, seed: u64, ordinal: u64) -> u32 {
    // A seed of its own, so that rows that a `Selection` takes are copied as often as others.
    let seed = seed ^ u64::from_be_bytes(*b"\0\0copies");
    let whole = weight.trunc();
    // Casts to integers end at the smallest and the greatest.
    (whole as u32).saturating_add(u32::from(unit(rng::nth(seed, ordinal)) < weight - whole))
}

/// The split that takes what no other split takes.
pub const TRAIN: &str = "train";

/// The splits that passages are parted into, with the share of each.
#[derive(Clone, Debug, PartialEq)]
pub struct Splits {
    /// Names and shares of the splits after `train`.
    others: Vec<(String, f64)>,
}

impl Default for Splits {
    /// Everything in `train`.
    fn default() -> Self {
        Self { others: Vec::new() }
    }
}

impl Splits {
    /// `train` and splits of these names, whose sizes are known otherwise.
    pub(crate) fn named<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        Self { others: names.map(|name| (name.to_owned(), 0.0)).collect() }
    }

    /// Reads splits as a user writes them: `validation=5%,test=0.02`. `train` is not named: it is what
    /// the others leave.
    ///
    /// # Errors
    /// When a name is no split's name, is `train`, or comes twice; when a share is no number, is not
    /// between 0 and 1, or when the shares leave nothing for `train`.
    ///
    /// ```
    /// use instil::draw::Splits;
    /// assert_eq!(Splits::parse("validation=5%,test=0.02")?.names(), ["train", "validation", "test"]);
    /// assert!(Splits::parse("validation=60%,test=40%").is_err());
    /// # Ok::<(), instil::Error>(())
    /// ```
    pub fn parse(words: &str) -> Result<Self> {
        let mut splits = Self::default();
        for word in words.split(',').map(str::trim) {
            let Some((name, share)) = word.split_once('=') else {
                return Err(Error::usage(format!("can't read the split `{word}`")).with_hint(EXAMPLE));
            };
            let (name, share) = (name.trim(), share.trim());
            if name == TRAIN {
                return Err(Error::usage("`train` gets no share: it is what the other splits leave")
                    .with_hint(format!("name the others alone; {EXAMPLE}")));
            }
            check_name(name)?;
            if splits.others.iter().any(|(other, _)| other == name) {
                return Err(Error::usage(format!("the split `{name}` is named twice")).with_hint(EXAMPLE));
            }
            splits.others.push((name.to_owned(), read_share(name, share)?));
        }
        let sum: f64 = splits.others.iter().map(|(_, share)| share).sum();
        // Sums such as 0.7 + 0.2 + 0.1 come out a little below 1.
        if sum >= 1.0 - 1e-9 {
            return Err(Error::usage(format!("the splits of `{words}` leave nothing for `train`"))
                .with_hint(format!("make the shares smaller, so that their sum is below 100%; {EXAMPLE}")));
        }
        Ok(splits)
    }

    /// The names of all splits, `train` first, then as the user named them.
    pub fn names(&self) -> Vec<&str> {
        std::iter::once(TRAIN).chain(self.others.iter().map(|(name, _)| name.as_str())).collect()
    }
}

/// How splits are written, for hints.
const EXAMPLE: &str = "write NAME=SHARE, as in `validation=5%,test=0.02`";

/// Refuses what can't be the name of a split.
pub(crate) fn check_name(name: &str) -> Result<()> {
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return Err(Error::usage(format!("`{name}` can't be the name of a split"))
            .with_hint("a name is letters from a to z, as `validation`, `test` or `dev`"));
    }
    // `datasets` gives all splits together under this name.
    if name == "all" {
        return Err(Error::usage("`all` can't be the name of a split: `datasets` means all splits by it")
            .with_hint("take another name, as `validation` or `test`"));
    }
    Ok(())
}

fn read_share(name: &str, share: &str) -> Result<f64> {
    let failed = |what: String| Error::usage(what).with_hint(EXAMPLE);
    let (number, whole) = match share.strip_suffix('%') {
        Some(number) => (number.trim_end(), 100.0),
        None => (share, 1.0),
    };
    let number: f64 = number
        .parse()
        .map_err(|cause| failed(format!("can't read the share of `{name}`: `{share}`")).because(cause))?;
    let value = number / whole;
    // What is no number fails here too.
    if !(value > 0.0 && value < 1.0) {
        let error = failed(format!("the share of `{name}` is not between 0 and 1: `{share}`"));
        return Err(match value {
            1.0..100.0 if whole == 1.0 => {
                error.with_hint(format!("did you mean `{name}={share}%`? {EXAMPLE}"))
            }
            _ => error,
        });
    }
    Ok(value)
}

/// The split that a passage belongs to, as an index into [`Splits::names`].
///
/// It is decided by the seed and by the passage's text, whose runs of blanks count as one blank and
/// not at all at the ends. So one passage is on one side only, however often it comes, under
/// whatever template and however it was wrapped. A split that is added at the end takes from `train` alone.
///
/// ```
/// use instil::draw::{Splits, split_of};
/// let splits = Splits::parse("validation=50%")?;
/// assert_eq!(split_of("A heron  stood.\n", &splits, 7), split_of("A heron stood.", &splits, 7));
/// # Ok::<(), instil::Error>(())
/// ```
pub fn split_of(context: &str, splits: &Splits, seed: u64) -> usize {
    if splits.others.is_empty() {
        return 0;
    }
    let mut text = String::with_capacity(context.len());
    for word in context.split_whitespace() {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(word);
    }
    let drawn = unit(rng::seed_of(seed, &["split", &text]));
    let mut bound = 0.0;
    let found = splits.others.iter().position(|(_, share)| {
        bound += share;
        drawn < bound
    });
    found.map_or(0, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn taken(n: u64, cap: u64, seed: u64) -> Vec<u64> {
        let mut selection = Selection::new(n, cap, seed);
        (0..n).filter(|_| selection.take()).collect()
    }

    /// The sum of squares of how far `counts` are from what is expected, in units of that.
    fn chi(counts: &[u32], expected: f64) -> f64 {
        counts.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum()
    }

    #[test]
    fn every_row_and_every_pair_is_taken_as_often() {
        const SEEDS: u32 = 20_000;
        let mut rows = [0; 10];
        let mut pairs = Vec::from([0; 45]);
        for seed in 0..SEEDS {
            let of = taken(10, 3, seed.into());
            for (place, &a) in of.iter().enumerate() {
                rows[a as usize] += 1;
                for &b in &of[place + 1..] {
                    pairs[(b * (b - 1) / 2 + a) as usize] += 1;
                }
            }
        }
        // Seeds are fixed, so that this can't flake. Counts of rows vary less than those of dice, since three
        // are always taken: 0.7 * 10 on average.
        assert!((1.0..20.0).contains(&chi(&rows, f64::from(SEEDS) * 0.3)), "{rows:?}");
        assert!((15.0..85.0).contains(&chi(&pairs, f64::from(SEEDS) * 3.0 / 45.0)), "{pairs:?}");
    }

    #[test]
    fn a_selection_is_the_same_again_and_another_for_another_seed() {
        assert_eq!(taken(1000, 10, 7), taken(1000, 10, 7));
        assert_ne!(taken(1000, 10, 7), taken(1000, 10, 8));
        let mut selection = Selection::new(1, 1, 7);
        assert_eq!([selection.take(), selection.take(), selection.take()], [true, false, false]);
        // No 64-bit number is too great.
        assert!(Selection::new(u64::MAX, u64::MAX, 7).take());
    }

    #[test]
    fn copies_are_the_weight_on_average() {
        for weight in [0.0, 0.1, 0.5, 1.0, 1.25, 3.0, 7.9] {
            let all: u32 = (0..10_000).map(|row| copies(weight, 7, row)).sum();
            assert!((f64::from(all) / 10_000.0 - weight).abs() < 0.015, "{weight}: {all}");
            assert!((0..100).all(|row| (copies(weight, 7, row)).abs_diff(weight as u32) <= 1));
        }
        assert!((0..100).any(|row| copies(0.5, 7, row) != copies(0.5, 8, row)));
        assert_eq!([-1.5, f64::NAN, f64::NEG_INFINITY].map(|weight| copies(weight, 7, 0)), [0; 3]);
        assert_eq!(copies(f64::INFINITY, 7, 0), u32::MAX);
    }

    #[test]
    fn what_is_taken_is_copied_as_often_as_the_rest() {
        let mut selection = Selection::new(10_000, 5_000, 7);
        let both = (0..10_000).filter(|&row| selection.take() & (copies(0.5, 7, row) == 1)).count();
        assert!(both.abs_diff(2_500) < 150, "{both}");
    }

    #[test]
    fn splits_get_their_shares() {
        let splits = Splits::parse("validation=5%, test = 0.2").unwrap();
        let mut counts = [0_u32; 3];
        for n in 0..10_000 {
            counts[split_of(&format!("Heron {n} stood in the reeds."), &splits, 7)] += 1;
        }
        for (count, expected) in counts.into_iter().zip([7_500, 500, 2_000]) {
            assert!(count.abs_diff(expected) < 120, "{counts:?}");
        }
    }

    #[test]
    fn an_added_split_takes_from_train_alone() {
        let (one, two) = (Splits::parse("test=10%").unwrap(), Splits::parse("test=10%,dev=10%").unwrap());
        for n in 0..1000 {
            let (before, after) = (split_of(&n.to_string(), &one, 7), split_of(&n.to_string(), &two, 7));
            assert!(before == after || (before, after) == (0, 2), "{n}");
        }
    }

    #[test]
    fn splits_without_sense_are_refused() {
        let errors: Vec<String> = [
            "",
            "validation",
            "validation=",
            "validation=five",
            "validation=5,",
            "validation=5",
            "validation=5%,",
            "validation=0",
            "validation=-5%",
            "validation=nan",
            "validation=100%",
            "train=95%,validation=5%",
            "Test=5%",
            "../test=5%",
            "=5%",
            "all=5%",
            "test=5%,test=6%",
            "validation=60%,test=40%",
            "a=0.7,b=0.2,c=0.1",
        ]
        .map(|words| {
            let error = Splits::parse(words).unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::Usage);
            format!("{words}\n    {error}\n    {}", error.hint().unwrap())
        })
        .into();
        insta::assert_snapshot!(errors.join("\n"), @r"

            can't read the split ``
            write NAME=SHARE, as in `validation=5%,test=0.02`
        validation
            can't read the split `validation`
            write NAME=SHARE, as in `validation=5%,test=0.02`
        validation=
            can't read the share of `validation`: ``
            write NAME=SHARE, as in `validation=5%,test=0.02`
        validation=five
            can't read the share of `validation`: `five`
            write NAME=SHARE, as in `validation=5%,test=0.02`
        validation=5,
            the share of `validation` is not between 0 and 1: `5`
            did you mean `validation=5%`? write NAME=SHARE, as in `validation=5%,test=0.02`
        validation=5
            the share of `validation` is not between 0 and 1: `5`
            did you mean `validation=5%`? write NAME=SHARE, as in `validation=5%,test=0.02`
        validation=5%,
            can't read the split ``
            write NAME=SHARE, as in `validation=5%,test=0.02`
        validation=0
            the share of `validation` is not between 0 and 1: `0`
            write NAME=SHARE, as in `validation=5%,test=0.02`
        validation=-5%
            the share of `validation` is not between 0 and 1: `-5%`
            write NAME=SHARE, as in `validation=5%,test=0.02`
        validation=nan
            the share of `validation` is not between 0 and 1: `nan`
            write NAME=SHARE, as in `validation=5%,test=0.02`
        validation=100%
            the share of `validation` is not between 0 and 1: `100%`
            write NAME=SHARE, as in `validation=5%,test=0.02`
        train=95%,validation=5%
            `train` gets no share: it is what the other splits leave
            name the others alone; write NAME=SHARE, as in `validation=5%,test=0.02`
        Test=5%
            `Test` can't be the name of a split
            a name is letters from a to z, as `validation`, `test` or `dev`
        ../test=5%
            `../test` can't be the name of a split
            a name is letters from a to z, as `validation`, `test` or `dev`
        =5%
            `` can't be the name of a split
            a name is letters from a to z, as `validation`, `test` or `dev`
        all=5%
            `all` can't be the name of a split: `datasets` means all splits by it
            take another name, as `validation` or `test`
        test=5%,test=6%
            the split `test` is named twice
            write NAME=SHARE, as in `validation=5%,test=0.02`
        validation=60%,test=40%
            the splits of `validation=60%,test=40%` leave nothing for `train`
            make the shares smaller, so that their sum is below 100%; write NAME=SHARE, as in `validation=5%,test=0.02`
        a=0.7,b=0.2,c=0.1
            the splits of `a=0.7,b=0.2,c=0.1` leave nothing for `train`
            make the shares smaller, so that their sum is below 100%; write NAME=SHARE, as in `validation=5%,test=0.02`
        ");
        assert_eq!(Splits::default().names(), ["train"]);
    }

    proptest! {
        #[test]
        fn exactly_so_many_are_taken(n in 0_u64..500, cap in 0_u64..600, seed: u64) {
            prop_assert_eq!(taken(n, cap, seed).len() as u64, n.min(cap));
        }

        #[test]
        fn one_passage_is_on_one_side(words in proptest::collection::vec("\\S{1,5}", 0..9), seed: u64, blank in "[ \\t\\r\\n\u{a0}]{1,3}") {
            let splits = Splits::parse("a=30%,b=30%").unwrap();
            let split = split_of(&words.join(" "), &splits, seed);
            prop_assert!(split < splits.names().len());
            prop_assert_eq!(split_of(&format!("{blank}{}{blank}", words.join(&blank)), &splits, seed), split);
        }
    }
}
