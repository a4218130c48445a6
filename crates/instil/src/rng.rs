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
