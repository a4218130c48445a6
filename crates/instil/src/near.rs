//! Texts that are nearly the same, without comparing each with each: MinHash (Broder, 1997) with banding.
//!
//! A text is the set of its runs of `RUN` words. `HASHES` hash functions each keep the least value of the set;
//! the share of them on which two texts agree estimates the share of runs that they have in common (Jaccard), with a
//! standard error of at most 0.063. Texts that agree on all of one of `BANDS` groups of `ROWS` are compared.

use std::collections::HashMap;

use crate::rng;

/// Words of a run.
const RUN: usize = 5;
/// Hash functions.
const HASHES: usize = BANDS * ROWS;
/// Groups of hash functions, and functions of a group. Texts that share four fifths of their runs meet in one of
/// these groups with a probability of 0.9998, those that share a half with one of 0.64.
const BANDS: usize = 16;
const ROWS: usize = 4;

/// The texts that were seen. Each takes some 700 bytes of memory.
pub struct NearTexts {
    /// The share of runs in common from which on two texts are nearly the same.
    least: f64,
    sketches: Vec<[u32; HASHES]>,
    /// The first text with this content of a group.
    bands: [HashMap<u64, u32>; BANDS],
    multipliers: [u64; HASHES],
}

/// A text that came before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Near {
    /// Its number, from 0.
    pub number: usize,
    /// The share of runs in common, as it is estimated.
    pub similarity: f64,
}

impl NearTexts {
    /// No text yet; `least` is the share of runs in common from which on two texts are nearly the same.
    pub fn new(least: f64) -> Self {
        Self {
            least,
            sketches: Vec::new(),
            bands: std::array::from_fn(|_| HashMap::new()),
            multipliers: std::array::from_fn(|at| rng::nth(0, at as u64) | 1),
        }
    }

    /// Adds a text; gives the most similar one of those that were compared with it, if one is similar enough.
    ///
    /// # Panics
    /// After four billion texts.
    pub fn push(&mut self, text: &str) -> Option<Near> {
        let sketch = self.sketch(text);
        let number = u32::try_from(self.sketches.len()).expect("fewer than four billion texts");
        let mut nearest: Option<Near> = None;
        for (band, rows) in self.bands.iter_mut().zip(sketch.chunks_exact(ROWS)) {
            let key = rows.iter().fold(0, |key, hash| rng::nth(key, u64::from(*hash)));
            let first = *band.entry(key).or_insert(number);
            if first == number || nearest.is_some_and(|near| near.number == first as usize) {
                continue;
            }
            let other = &self.sketches[first as usize];
            let equal = other.iter().zip(&sketch).filter(|(a, b)| a == b).count();
            let similarity = equal as f64 / HASHES as f64;
            if similarity >= self.least && nearest.is_none_or(|near| near.similarity < similarity) {
                nearest = Some(Near { number: first as usize, similarity });
            }
        }
        self.sketches.push(sketch);
        nearest
    }

    fn sketch(&self, text: &str) -> [u32; HASHES] {
        let words: Vec<u64> = text
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(|word| {
                word.chars().flat_map(char::to_lowercase).fold(0, |hash, c| rng::nth(hash, u64::from(c)))
            })
            .collect();
        let mut least = [u32::MAX; HASHES];
        // A text of fewer words is one run.
        for run in words.windows(RUN.min(words.len().max(1))) {
            let run = run.iter().fold(0, |hash, word| rng::nth(hash, *word));
            for (least, multiplier) in least.iter_mut().zip(&self.multipliers) {
                // The upper half of the product of a 64-bit number and an odd one, as multiply-shift hashing takes it.
                *least = (*least).min((run.wrapping_mul(*multiplier) >> 32) as u32);
            }
        }
        least
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `count` words of which those from `changed` on are others than in other texts.
    fn text(count: usize, changed: usize, seed: u64) -> String {
        let word = |at: usize| {
            let seed = if at < changed { 7 } else { seed };
            format!("w{}", rng::nth(seed, at as u64) % 100_000)
        };
        (0..count).map(word).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn case_and_punctuation_make_no_difference() {
        let mut texts = NearTexts::new(0.8);
        assert_eq!(texts.push("The mill wheel turns: while water runs, in the race."), None);
        let near = texts.push("the mill wheel turns while water runs in the race").unwrap();
        assert_eq!((near.number, near.similarity), (0, 1.0));
    }

    #[test]
    fn the_share_in_common_is_estimated() {
        for (changed, least, most) in [(196, 0.85, 1.0), (180, 0.65, 0.95)] {
            let mut texts = NearTexts::new(0.5);
            texts.push(&text(200, changed, 1));
            let near = texts.push(&text(200, changed, 2)).unwrap();
            // Runs in common over runs in all.
            let common = (changed - 4) as f64;
            let share = common / (2.0 * 196.0 - common);
            assert!((least..=most).contains(&share), "{share}");
            assert!((near.similarity - share).abs() < 0.15, "{} for {share}", near.similarity);
        }
    }

    #[test]
    fn texts_of_other_words_are_not_near() {
        let mut texts = NearTexts::new(0.8);
        let near = (0..2000).filter(|seed| texts.push(&text(60, 20, 100 + seed)).is_some()).count();
        assert_eq!(near, 0);
    }

    #[test]
    fn short_and_empty_texts_are_texts() {
        let mut texts = NearTexts::new(0.8);
        assert_eq!(texts.push("Yes."), None);
        assert_eq!(texts.push("No."), None);
        assert_eq!(texts.push(""), None);
        assert_eq!(texts.push("yes").unwrap().number, 0);
        assert_eq!(texts.push(" ").unwrap().number, 2);
    }
}
