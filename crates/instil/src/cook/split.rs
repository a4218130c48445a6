//! Splits that can't overlap: what a sample is about decides where it belongs, in every run, under every seed.

use super::tokens::Pool;
use crate::error::{Error, Result};
use crate::rng;

/// So many of the first words of a sample decide.
const WORDS: usize = 32;

/// Where a sample belongs.
///
/// The first 32 words of a sample's first slot, which every frame shows in its prompt, are hashed; the hash alone says
/// the split. So two samples of different splits never have the same prompt, whatever their seeds, settings, pools or
/// frames are; samples that begin alike are in one split together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Split {
    /// Thirty parts of 32.
    Train,
    /// One part of 32.
    Validation,
    /// One part of 32.
    Test,
}

impl Split {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }

    /// The split of this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn parse(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|split| split.name() == name).ok_or_else(|| {
            Error::usage(format!("there is no split `{name}`"))
                .with_hint(format!("choose one of: {}", Self::ALL.map(Self::name).join(", ")))
        })
    }

    /// The split that a sample belongs to whose first slot holds these tokens.
    pub(super) fn of(pool: &Pool, tokens: &[u32]) -> Self {
        // The words' own hashes times odd numbers that tell their places: multilinear hashing.
        let words = tokens.iter().take(WORDS).zip(FACTORS);
        let sum = words.fold(tokens.len().min(WORDS) as u64, |sum, (token, factor)| {
            sum.wrapping_add(u64::from(pool.hash_of(*token)).wrapping_mul(factor))
        });
        match rng::nth(sum, 0) >> 59 {
            0 => Self::Test,
            1 => Self::Validation,
            _ => Self::Train,
        }
    }
}

/// An odd number for each place: those of a linear congruential generator (Knuth's MMIX) made odd.
const FACTORS: [u64; WORDS] = {
    let mut factors = [0; WORDS];
    let mut number: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut place = 0;
    while place < WORDS {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        factors[place] = number | 1;
        place += 1;
    }
    factors
};
