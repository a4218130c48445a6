//! Invented words that can be pronounced: no tokenizer, no word list, no language.

use super::Pool;
use crate::error::{Error, Result};
use crate::rng;

/// How many words a synthetic pool has unless something else is said.
pub const SYNTHETIC_WORDS: u32 = 4096;

const HEADS: &[u8] = b"bdfgjklmnprstvz";
const VOWELS: &[u8] = b"aeiou";
const TAILS: &[u8] = b"klmnprstx";

/// Words of a head, a vowel and a tail: `tol`.
const SHORT: u64 = (HEADS.len() * VOWELS.len() * TAILS.len()) as u64;
/// Words of two syllables, the second with a tail: `mulbes` is none, `mubes` is.
const MIDDLE: u64 = SHORT * (HEADS.len() * VOWELS.len()) as u64;

impl Pool {
    /// `size` invented words of one or two syllables, the same ones always: a quarter as short as `tol`, if there are as
    /// many, the rest as long as `mubes`. One or another may be a word of some language.
    ///
    /// # Errors
    /// When there are too few to draw from, or more than there are such words.
    ///
    /// ```
    /// use instil::cook::Pool;
    /// let pool = Pool::synthetic(4096)?;
    /// assert_eq!((pool.size(), pool.mode()), (4096, "synthetic"));
    /// # Ok::<(), instil::Error>(())
    /// ```
    pub fn synthetic(size: u32) -> Result<Self> {
        let most = SHORT + MIDDLE;
        if u64::from(size) > most {
            return Err(Error::usage(format!("there are no {size} invented words"))
                .with_hint(format!("there are {most}; a list of your own may be longer")));
        }
        let short = (u64::from(size) / 4).min(SHORT);
        let words: Vec<String> = (0..u64::from(size))
            .map(|place| match place.checked_sub(short) {
                None => word(scattered(place, SHORT, 0), 1),
                Some(place) => word(scattered(place, MIDDLE, 1), 2),
            })
            .collect();
        Self::new("synthetic", &words)
    }
}

/// A number below `of` for each `place` below `of`, no number twice, in no visible order: a Feistel network over the
/// next power of four, walked until it falls below `of`.
fn scattered(place: u64, of: u64, kind: u64) -> u64 {
    let half = (u64::BITS - (of - 1).leading_zeros()).div_ceil(2);
    let mask = (1 << half) - 1;
    let mut number = place;
    loop {
        for round in 0..4 {
            let (left, right) = (number >> half, number & mask);
            number = right << half | (left ^ rng::nth(kind << 8 | round, right)) & mask;
        }
        if number < of {
            return number;
        }
    }
}

/// The word of this number with so many syllables, of which the last has a tail.
fn word(mut number: u64, syllables: usize) -> String {
    let mut take = |letters: &[u8]| {
        let letter = letters[(number % letters.len() as u64) as usize];
        number /= letters.len() as u64;
        char::from(letter)
    };
    let mut word = String::new();
    for _ in 0..syllables {
        word.push(take(HEADS));
        word.push(take(VOWELS));
    }
    word.push(take(TAILS));
    word
}
