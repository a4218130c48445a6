//! Chance by counting: every random choice is a function of the recipe's seed and of what it is for,
//! so that it doesn't matter which thread makes it, when, or after which others.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// The seed of something named by `parts`, under `seed`.
///
/// Parts are hashed with their lengths, so that `["ab", "c"]` and `["a", "bc"]` differ.
///
/// ```
/// use instil::rng::seed_of;
/// assert_eq!(seed_of(7, &["doc", "nli"]), seed_of(7, &["doc", "nli"]));
/// assert_ne!(seed_of(7, &["doc", "nli"]), seed_of(8, &["doc", "nli"]));
/// assert_ne!(seed_of(7, &["ab", "c"]), seed_of(7, &["a", "bc"]));
/// ```
pub fn seed_of(seed: u64, parts: &[&str]) -> u64 {
    let hash = hash_parts(seed, parts);
    u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("a BLAKE3 hash has 32 bytes"))
}

/// The seed of sample `index` of a request whose seed is `seed`.
///
/// It fits 63 bits, since several servers read a seed as a signed number.
pub fn sample_seed(seed: u64, index: u32) -> u64 {
    seed_of(seed, &[&index.to_string()]) >> 1
}

/// The number at place `ordinal` of the endless row of numbers that `seed` begins: cheap, and in any order.
///
/// It is SplitMix64 (Steele, Lea and Flood, 2014) with a mixed seed, so that neighbouring seeds give
/// rows that have nothing to do with each other. No number comes twice in a row.
///
/// ```
/// use instil::rng::nth;
/// assert_eq!(nth(7, 3), nth(7, 3));
/// assert_ne!(nth(7, 3), nth(7, 4));
/// assert_ne!(nth(7, 3), nth(8, 2));
/// ```
pub fn nth(seed: u64, ordinal: u64) -> u64 {
    /// 2^64 over the golden ratio, made odd.
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    mix(mix(seed).wrapping_add(ordinal.wrapping_add(1).wrapping_mul(STEP)))
}

/// The mixing function of SplitMix64: one to one, and every bit of `x` moves every bit of the result.
fn mix(mut x: u64) -> u64 {
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

/// A generator for `seed`; the same numbers on every platform.
pub fn from_seed(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// The first `digits` hexadecimal digits of the BLAKE3 hash of `parts`, each with its length.
pub fn hex_of(parts: &[&str], digits: usize) -> String {
    let mut hex = hash_parts(0, parts).to_hex().to_string();
    hex.truncate(digits);
    hex
}

fn hash_parts(seed: u64, parts: &[&str]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mixing_function_is_that_of_splitmix64() {
        // The first numbers of Java's SplittableRandom and of Vigna's splitmix64.c for the seed 0.
        let step = 0x9e37_79b9_7f4a_7c15;
        assert_eq!(mix(step), 0xe220_a839_7b1d_cdaf);
        assert_eq!(mix(step.wrapping_mul(2)), 0x6e78_9e6a_a1b9_65f4);
        assert_eq!((nth(0, 0), nth(0, 1)), (mix(step), mix(step.wrapping_mul(2))));
    }
}
