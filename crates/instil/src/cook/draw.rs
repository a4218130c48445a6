//! Chance for a sample: a key for each stream of samples, and from it a fast generator for each sample of it.
//!
//! The key is a hash of everything that the stream is made with. The state for a sample is a function of key and
//! index, so that no sample needs the one before it, and streams whose seeds are neighbours share nothing.

use super::knobs::Value;
use crate::rng;

/// What the samples of one stream are drawn with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key([u64; 4]);

impl Key {
    /// The key of a stream named by `parts` under `seed`.
    pub fn new(seed: u64, parts: &[&str]) -> Self {
        Self(["0", "1", "2", "3"].map(|word| {
            let mut named = vec!["cook", word];
            named.extend_from_slice(parts);
            rng::seed_of(seed, &named)
        }))
    }

    /// The chance of sample `index`.
    ///
    /// For one key, no two indices have the same state.
    pub fn draw(&self, index: u64) -> Draw {
        let [a, b, c, d] = self.0;
        let roots = [rng::nth(a, index), rng::nth(b, index)];
        let steady = Rng([roots[0], roots[1], roots[0] ^ c, roots[1] ^ d]);
        Draw { steady, free: Rng([0; 4]), roots, rest: [c, d] }
    }
}

/// The chance of one sample, in two parts.
#[derive(Clone, Debug)]
pub struct Draw {
    /// For what a redraw must not change: classes, places of right answers, lengths. Were they redrawn, then what is
    /// rejected more often would become rarer, and its absence a hint.
    pub steady: Rng,
    /// For everything else: it begins anew with each attempt.
    pub free: Rng,
    roots: [u64; 2],
    rest: [u64; 2],
}

impl Draw {
    /// The chance for attempt `attempt` at this sample; `steady` is as it was given.
    #[must_use]
    pub fn attempt(&self, attempt: u32) -> Self {
        let [a, b] = self.roots.map(|root| rng::nth(root, attempt.into()));
        let free = Rng([a, b, a ^ self.rest[1], b ^ self.rest[0]]);
        Self { free, ..self.clone() }
    }
}

/// xoshiro256++ 1.0 (Blackman and Vigna, 2019): a small fast generator of period 2^256 - 1.
#[derive(Clone, Debug)]
pub struct Rng([u64; 4]);

impl Rng {
    /// The next 64 bits.
    #[inline]
    pub fn bits(&mut self) -> u64 {
        let s = &mut self.0;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// A number below `n`, 0 for `n` 0. No number is likelier than another by more than `n` in 2^32.
    #[inline]
    pub fn below(&mut self, n: u32) -> u32 {
        scale(self.bits() >> 32, n)
    }

    /// A number from `lo` to `hi`, both included; `lo` if `hi` is less.
    #[inline]
    pub fn between(&mut self, lo: u32, hi: u32) -> u32 {
        lo + self.below(hi.saturating_sub(lo).saturating_add(1))
    }

    /// [`Rng::between`] the ends of a knob's value.
    #[inline]
    pub fn within(&mut self, value: Value) -> u32 {
        self.between(value.lo, value.hi)
    }

    /// True with a probability of `millionths` in a million.
    #[inline]
    pub fn chance(&mut self, millionths: u32) -> bool {
        self.bits() >> 32 < (u64::from(millionths) << 32) / 1_000_000
    }

    /// Appends `n` numbers below `bound` to `list`, each drawn by itself.
    #[inline]
    pub fn fill(&mut self, bound: u32, n: usize, list: &mut Vec<u32>) {
        let start = list.len();
        list.resize(start + n, 0);
        // A copy of its own stays in registers.
        let mut rng = self.clone();
        let mut pairs = list[start..].chunks_exact_mut(2);
        for pair in &mut pairs {
            let bits = rng.bits();
            pair[0] = scale(bits >> 32, bound);
            pair[1] = scale(bits & 0xffff_ffff, bound);
        }
        for last in pairs.into_remainder() {
            *last = rng.below(bound);
        }
        *self = rng;
    }
}

/// A number below `n` from one of 32 bits.
#[inline]
fn scale(random: u64, n: u32) -> u32 {
    ((random * u64::from(n)) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_xoshiro256_plus_plus() {
        // The first numbers of the reference code for the state 1, 2, 3, 4.
        let mut rng = Rng([1, 2, 3, 4]);
        let first = [41_943_041, 58_720_359, 3_588_806_011_781_223, 3_591_011_842_654_386];
        assert_eq!(first.map(|_| rng.bits()), first);
    }

    #[test]
    fn numbers_are_even_and_stay_in_their_bounds() {
        let mut rng = Key::new(7, &["test"]).draw(0).steady;
        let mut counts = [0_u32; 7];
        (0..70_000).for_each(|_| counts[rng.between(3, 9) as usize - 3] += 1);
        assert!(counts.iter().all(|count| (9_600..10_400).contains(count)), "{counts:?}");
        let mut list = vec![99];
        rng.fill(7, 10_001, &mut list);
        assert!(list.len() == 10_002 && list[0] == 99 && list[1..].iter().all(|one| *one < 7));
        let hits = (0..100_000).filter(|_| rng.chance(150_000)).count();
        assert!((14_500..15_500).contains(&hits), "{hits}");
        assert!(!rng.chance(0) && rng.chance(1_000_000) && rng.below(0) == 0 && rng.between(5, 3) == 5);
    }

    #[test]
    fn neighbours_share_nothing() {
        let mut seen = std::collections::HashSet::new();
        for seed in 0..20 {
            let key = Key::new(seed, &["test"]);
            for index in 0..20 {
                let draw = key.draw(index);
                assert!(seen.insert(draw.steady.clone().bits()));
                for attempt in 0..5 {
                    assert!(seen.insert(draw.attempt(attempt).free.bits()));
                }
            }
        }
    }
}
