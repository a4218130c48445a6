//! One query over one head's cached keys and values, with a number added to each score: T5's relative positions.
//!
//! Blocks lie as [`attend`](super::attend) has them, and sums have the same orders: a score is added dimension by
//! dimension, a softmax over sixteen lanes, a weighted sum of values position by position.

use super::attend::BLOCK;
use super::simd::{Isa, Simd, Work};

/// A query and what it sees.
pub(crate) struct Shifted<'a> {
    /// `[head_dim]`
    pub(crate) q: &'a [f32],
    /// All keys of a layer, `[blocks, heads, head_dim, BLOCK]`.
    pub(crate) keys: &'a [f32],
    /// All values of a layer, `[blocks, heads, BLOCK, head_dim]`.
    pub(crate) values: &'a [f32],
    /// The sequence's blocks.
    pub(crate) blocks: &'a [u32],
    /// Which head's keys and values, and how many heads there are.
    pub(crate) head: (usize, usize),
    /// What is added to each score; as many positions are seen, from the first on.
    pub(crate) shifts: &'a [f32],
    /// Scratch memory.
    pub(crate) scores: &'a mut Vec<f32>,
    /// `[head_dim]`
    pub(crate) out: &'a mut [f32],
}

/// Computes `softmax(q Kᵀ + shifts) V`.
///
/// # Panics
/// If lengths don't fit together.
pub(crate) fn attend(query: Shifted<'_>) {
    assert!(query.q.len() == query.out.len() && !query.shifts.is_empty());
    assert!(query.shifts.len() <= query.blocks.len() * BLOCK);
    // SAFETY: the instructions are this processor's, and the work reads and writes by checked slices alone.
    unsafe { Isa::detect().run(query) }
}

impl Work for Shifted<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { q, keys, values, blocks, head, shifts, scores, out } = self;
        let head_dim = q.len();
        let seen = shifts.len();
        let blocks = &blocks[..seen.div_ceil(BLOCK)];
        let size = head_dim * BLOCK;
        let offset = |block: u32| (block as usize * head.1 + head.0) * size;
        scores.clear();
        scores.resize(blocks.len() * BLOCK, 0.0);
        let (fours, ones) = blocks.as_chunks::<4>();
        let (of_fours, of_ones) = scores.split_at_mut(fours.len() * 4 * BLOCK);
        for (blocks, scores) in fours.iter().zip(of_fours.chunks_exact_mut(4 * BLOCK)) {
            scored(q, blocks.map(|block| &keys[offset(block)..offset(block) + size]), scores);
        }
        for (block, scores) in ones.iter().zip(of_ones.chunks_exact_mut(BLOCK)) {
            scored(q, [&keys[offset(*block)..offset(*block) + size]], scores);
        }
        let scores = &mut scores[..seen];
        for (score, shift) in scores.iter_mut().zip(shifts) {
            *score += shift;
        }
        // SAFETY: the caller runs this with the features of `S`.
        unsafe { super::rows::softmax_of::<S>(scores) };
        let value = |position: usize| {
            let at = offset(blocks[position / BLOCK]) + position % BLOCK * head_dim;
            &values[at..at + head_dim]
        };
        let mut first = 0;
        while first < head_dim {
            first += match head_dim - first {
                64.. => weighted::<64>(first, scores, value, out),
                32.. => weighted::<32>(first, scores, value, out),
                16.. => weighted::<16>(first, scores, value, out),
                _ => weighted::<1>(first, scores, value, out),
            };
        }
    }
}

/// The scores of `B` blocks of keys, dimension by dimension.
#[inline(always)]
fn scored<const B: usize>(q: &[f32], keys: [&[f32]; B], scores: &mut [f32]) {
    let keys = keys.map(|keys| keys.as_chunks::<BLOCK>().0);
    let mut sums = [[0.0_f32; BLOCK]; B];
    for (dim, q) in q.iter().enumerate() {
        for (sums, keys) in sums.iter_mut().zip(keys) {
            for (sum, key) in sums.iter_mut().zip(&keys[dim]) {
                *sum = q.mul_add(*key, *sum);
            }
        }
    }
    for (scores, sums) in scores.chunks_exact_mut(BLOCK).zip(sums) {
        scores.copy_from_slice(&sums);
    }
}

/// `D` dimensions of the weighted sum of values, position by position; gives `D`.
#[inline(always)]
fn weighted<'a, const D: usize>(
    first: usize,
    weights: &[f32],
    value: impl Fn(usize) -> &'a [f32],
    out: &mut [f32],
) -> usize {
    let mut sums = [0.0_f32; D];
    for (position, weight) in weights.iter().enumerate() {
        let value = &value(position)[first..first + D];
        for (sum, value) in sums.iter_mut().zip(value) {
            *sum = weight.mul_add(*value, *sum);
        }
    }
    out[first..first + D].copy_from_slice(&sums);
    D
}

#[cfg(test)]
mod tests {
    use super::super::tests::random;
    use super::*;

    #[test]
    fn sums_are_those_of_f64_and_the_same_with_all_instructions() {
        for (head_dim, seen) in [(8, 1), (64, 200), (12, 16), (100, 75)] {
            let (heads, head, blocks) = (2, 1, [3_u32, 0, 5, 1, 7, 2, 9, 4, 6, 8, 10, 11, 12]);
            let size = heads * head_dim * BLOCK;
            let (keys, values) = (random(1, 13 * size), random(2, 13 * size));
            let (q, shifts) = (random(3, head_dim), random(4, seen));
            let at = |position: usize| (blocks[position / BLOCK] as usize * heads + head) * head_dim * BLOCK;
            let scores: Vec<f64> = (0..seen)
                .map(|position| {
                    let key = |dim: usize| f64::from(keys[at(position) + dim * BLOCK + position % BLOCK]);
                    let product: f64 = (0..head_dim).map(|dim| f64::from(q[dim]) * key(dim)).sum();
                    (product + f64::from(shifts[position])).exp()
                })
                .collect();
            let total: f64 = scores.iter().sum();
            let found: Vec<Vec<f32>> = Isa::available()
                .into_iter()
                .map(|isa| {
                    let mut out = vec![0.0; head_dim];
                    let query = Shifted {
                        q: &q,
                        keys: &keys,
                        values: &values,
                        blocks: &blocks,
                        head: (head, heads),
                        shifts: &shifts,
                        scores: &mut Vec::new(),
                        out: &mut out,
                    };
                    // SAFETY: this processor has what `available` says.
                    unsafe { isa.run(query) };
                    out
                })
                .collect();
            for (dim, out) in found[0].iter().enumerate() {
                let value = |position: usize| {
                    f64::from(values[at(position) + position % BLOCK * head_dim + dim]) * scores[position]
                };
                let exact = (0..seen).map(value).sum::<f64>() / total;
                assert!((f64::from(*out) - exact).abs() < 1e-5, "{head_dim} {seen}: {out} for {exact}");
            }
            assert!(found.iter().all(|one| *one == found[0]), "{head_dim} {seen}");
        }
    }
}
