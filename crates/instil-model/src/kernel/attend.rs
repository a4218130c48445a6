//! One query group over one head's cached keys and values.
//!
//! Keys and values lie in blocks of sixteen positions. A score is added dimension by dimension, a softmax over
//! sixteen lanes from the first position seen, a weighted sum of values position by position: which other queries
//! are computed beside it changes no bit.

#![allow(clippy::needless_range_loop, reason = "indices name registers of several arrays")]

use super::simd::{Isa, Simd, Work};

/// Positions of a block. Attention adds in vectors of this width, so it is part of the numerics.
pub const BLOCK: usize = 16;

/// Queries that share a head's keys and values, and what they see.
pub(crate) struct Attend<'a> {
    /// `[group, head_dim]`, already scaled.
    pub(crate) q: &'a [f32],
    /// All keys of a layer, `[blocks, kv_heads, head_dim, BLOCK]`.
    pub(crate) keys: &'a [f32],
    /// All values of a layer, `[blocks, kv_heads, BLOCK, head_dim]`.
    pub(crate) values: &'a [f32],
    /// The sequence's blocks from the first seen on.
    pub(crate) blocks: &'a [u32],
    /// Which head's keys and values, and how many heads there are.
    pub(crate) head: (usize, usize),
    /// The first position seen, counted from the first block's beginning, and the one after the last.
    pub(crate) seen: std::ops::Range<usize>,
    /// Scratch memory.
    pub(crate) scores: &'a mut Vec<f32>,
    /// `[group, head_dim]`
    pub(crate) out: &'a mut [f32],
    pub(crate) head_dim: usize,
}

/// Computes `softmax(q Kᵀ) V` for every query.
///
/// # Panics
/// If lengths don't fit together.
pub(crate) fn attend(attend: Attend<'_>) {
    assert!(attend.q.len() == attend.out.len() && attend.q.len().is_multiple_of(attend.head_dim));
    assert!(attend.seen.start < attend.seen.end && attend.seen.end <= attend.blocks.len() * BLOCK);
    let least = attend.keys.len().min(attend.values.len());
    assert!(attend.blocks.iter().all(|block| attend.offset(*block) + attend.head_dim * BLOCK <= least));
    // SAFETY: the instructions are this processor's, and the lengths were checked.
    unsafe { Isa::detect().run(attend) }
}

impl Work for Attend<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(mut self) {
        let group = self.q.len() / self.head_dim;
        let padded = self.blocks.len() * BLOCK;
        self.scores.clear();
        self.scores.resize(group * padded, 0.0);
        let mut first = 0;
        // SAFETY: `first` and what follows it are queries of the group.
        unsafe {
            while first < group {
                first += match group - first {
                    1 => self.scored::<S, 1, 4>(first),
                    2 => self.scored::<S, 2, 2>(first),
                    3 => self.scored::<S, 3, 2>(first),
                    _ => self.scored::<S, 4, 2>(first),
                };
            }
            for scores in self.scores.chunks_exact_mut(padded) {
                super::rows::softmax_of::<S>(&mut scores[self.seen.clone()]);
            }
            first = 0;
            while first < group {
                first += match group - first {
                    1 => self.weighted::<S, 1>(first),
                    2 => self.weighted::<S, 2>(first),
                    3 => self.weighted::<S, 3>(first),
                    _ => self.weighted::<S, 4>(first),
                };
            }
        }
    }
}

impl Attend<'_> {
    /// Where the head's keys and values of a block begin.
    #[inline(always)]
    fn offset(&self, block: u32) -> usize {
        (block as usize * self.head.1 + self.head.0) * self.head_dim * BLOCK
    }

    /// Scores of `G` queries, `B` blocks at a time; gives `G`.
    ///
    /// # Safety
    /// There are `G` queries from `first` on, and the processor has the features of `S`.
    #[inline(always)]
    unsafe fn scored<S: Simd, const G: usize, const B: usize>(&mut self, first: usize) -> usize {
        let padded = self.blocks.len() * BLOCK;
        let (batches, rest) = self.blocks.as_chunks::<B>();
        // SAFETY: passed on to the caller; blocks are whole.
        unsafe {
            for (number, blocks) in batches.iter().enumerate() {
                let acc = self.products::<S, G, B>(first, blocks);
                for g in 0..G {
                    for b in 0..B {
                        let at = (first + g) * padded + (number * B + b) * BLOCK;
                        S::store(self.scores[at..at + BLOCK].as_mut_ptr(), acc[g][b]);
                    }
                }
            }
            for (number, block) in rest.iter().enumerate() {
                let acc = self.products::<S, G, 1>(first, &[*block]);
                for g in 0..G {
                    let at = (first + g) * padded + (batches.len() * B + number) * BLOCK;
                    S::store(self.scores[at..at + BLOCK].as_mut_ptr(), acc[g][0]);
                }
            }
        }
        G
    }

    /// `G` queries times the sixteen keys of each of `B` blocks.
    ///
    /// # Safety
    /// As [`Attend::scored`].
    #[inline(always)]
    unsafe fn products<S: Simd, const G: usize, const B: usize>(
        &self,
        first: usize,
        blocks: &[u32; B],
    ) -> [[S::F; B]; G] {
        // SAFETY: each block has `head_dim * BLOCK` keys, each query `head_dim` values.
        unsafe {
            let q: [*const f32; G] =
                std::array::from_fn(|g| self.q.as_ptr().add((first + g) * self.head_dim));
            let keys: [*const f32; B] =
                std::array::from_fn(|b| self.keys.as_ptr().add(self.offset(blocks[b])));
            let mut acc = [[S::zero(); B]; G];
            for dim in 0..self.head_dim {
                let keys: [S::F; B] = std::array::from_fn(|b| S::load(keys[b].add(dim * BLOCK)));
                for g in 0..G {
                    let q = S::splat(*q[g].add(dim));
                    for b in 0..B {
                        acc[g][b] = S::fma(q, keys[b], acc[g][b]);
                    }
                }
            }
            acc
        }
    }

    /// Weighted sums of values for `G` queries; gives `G`.
    ///
    /// # Safety
    /// As [`Attend::scored`].
    #[inline(always)]
    unsafe fn weighted<S: Simd, const G: usize>(&mut self, first: usize) -> usize {
        let whole = self.head_dim / 16;
        let mut vector = 0;
        // SAFETY: vectors `vector..whole` lie within a head; passed on to the caller.
        unsafe {
            while vector < whole {
                vector += match whole - vector {
                    1 => self.weighted_part::<S, G, 1>(first, vector),
                    2 | 3 => self.weighted_part::<S, G, 2>(first, vector),
                    _ => self.weighted_part::<S, G, 4>(first, vector),
                };
            }
        }
        let padded = self.blocks.len() * BLOCK;
        for dim in whole * 16..self.head_dim {
            for query in first..first + G {
                let mut sum = 0.0_f32;
                for position in self.seen.clone() {
                    let block = self.offset(self.blocks[position / BLOCK]);
                    let value = self.values[block + position % BLOCK * self.head_dim + dim];
                    sum = self.scores[query * padded + position].mul_add(value, sum);
                }
                self.out[query * self.head_dim + dim] = sum;
            }
        }
        G
    }

    /// `V` vectors of sixteen dimensions from `vector` on; gives `V`.
    ///
    /// # Safety
    /// As [`Attend::scored`], and the vectors lie within a head.
    #[inline(always)]
    unsafe fn weighted_part<S: Simd, const G: usize, const V: usize>(
        &mut self,
        first: usize,
        vector: usize,
    ) -> usize {
        let padded = self.blocks.len() * BLOCK;
        // SAFETY: positions seen are in the blocks, whose values are whole.
        unsafe {
            let mut acc = [[S::zero(); V]; G];
            let scores: [*const f32; G] =
                std::array::from_fn(|g| self.scores.as_ptr().add((first + g) * padded));
            for block in self.seen.start / BLOCK..self.seen.end.div_ceil(BLOCK) {
                let from = self.seen.start.max(block * BLOCK);
                let to = self.seen.end.min((block + 1) * BLOCK);
                let values = self.values.as_ptr().add(self.offset(self.blocks[block]) + vector * 16);
                for position in from..to {
                    let values = values.add(position % BLOCK * self.head_dim);
                    let values: [S::F; V] = std::array::from_fn(|v| S::load(values.add(v * 16)));
                    for g in 0..G {
                        let weight = S::splat(*scores[g].add(position));
                        for v in 0..V {
                            acc[g][v] = S::fma(weight, values[v], acc[g][v]);
                        }
                    }
                }
            }
            for g in 0..G {
                for v in 0..V {
                    let at = (first + g) * self.head_dim + (vector + v) * 16;
                    S::store(self.out[at..at + 16].as_mut_ptr(), acc[g][v]);
                }
            }
        }
        V
    }
}
