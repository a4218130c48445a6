//! Keys and values of all sequences, in blocks of a fixed number of tokens.
//!
//! The memory is laid out once. Which block belongs to which sequence is the caller's business
//! ([`crate::engine`]): two sequences with a common head may name the same blocks.

use candle_core::{Result, Tensor};
use rayon::prelude::*;

use super::{Config, Segment};

use crate::kernel::attend::BLOCK;

/// One layer's keys and values.
pub(crate) struct Layer<'a> {
    heads: usize,
    head_dim: usize,
    keys: &'a mut [f32],
    values: &'a mut [f32],
}

impl Layer<'_> {
    /// Stores new keys and values, as [`Cache::write`].
    pub(crate) fn write(self, k: &[f32], v: &[f32], segments: &[Segment]) {
        let Self { heads, head_dim, keys, values } = self;
        let width = heads * head_dim;
        for segment in segments {
            for (row, position) in segment.rows.clone().zip(segment.start..) {
                let (block, slot) = (segment.blocks[position / BLOCK], position % BLOCK);
                for head in 0..heads {
                    let from = row * width + head * head_dim;
                    let at = (block as usize * heads + head) * head_dim * BLOCK;
                    let keys = &mut keys[at..at + head_dim * BLOCK];
                    for (keys, key) in keys.chunks_exact_mut(BLOCK).zip(&k[from..from + head_dim]) {
                        keys[slot] = *key;
                    }
                    let at = at + slot * head_dim;
                    values[at..at + head_dim].copy_from_slice(&v[from..from + head_dim]);
                }
            }
        }
    }
}

/// Keys and values, f32.
pub struct Cache {
    heads: usize,
    head_dim: usize,
    /// [layers] of [blocks, kv_heads, head_dim, BLOCK]: a dimension of 16 keys lies together.
    pub(crate) keys: Vec<Vec<f32>>,
    /// [layers] of [blocks, kv_heads, BLOCK, head_dim].
    pub(crate) values: Vec<Vec<f32>>,
}

impl Cache {
    /// Room for `blocks` blocks of [`BLOCK`] tokens. The system commits a page when it is first written.
    pub fn new(config: &Config, blocks: usize) -> Self {
        Self::of(config.layers, config.kv_heads, config.head_dim, blocks)
    }

    /// The same for so many layers of key and value heads of this width.
    pub(crate) fn of(layers: usize, heads: usize, head_dim: usize, blocks: usize) -> Self {
        let len = blocks * heads * head_dim * BLOCK;
        let all = || (0..layers).map(|_| vec![0.0; len]).collect();
        Self { heads, head_dim, keys: all(), values: all() }
    }

    /// Stores a layer's new keys and values.
    ///
    /// `k` and `v` are [rows, kv_heads * head_dim], rows as the segments number them.
    pub(super) fn write(&mut self, layer: usize, k: &Tensor, v: &Tensor, segments: &[Segment]) -> Result<()> {
        let (k, k_layout) = k.storage_and_layout();
        let (v, v_layout) = v.storage_and_layout();
        let (k, v) = match (&*k, &*v) {
            (candle_core::Storage::Cpu(k), candle_core::Storage::Cpu(v)) => {
                (super::ops::numbers(k, k_layout)?, super::ops::numbers(v, v_layout)?)
            }
            _ => candle_core::bail!("the cache is in the processor's memory"),
        };
        self.write_rows(layer, k, v, segments);
        Ok(())
    }

    /// [`Cache::write`] of plain rows.
    pub(crate) fn write_rows(&mut self, layer: usize, k: &[f32], v: &[f32], segments: &[Segment]) {
        let (heads, head_dim) = (self.heads, self.head_dim);
        Layer { heads, head_dim, keys: &mut self.keys[layer], values: &mut self.values[layer] }
            .write(k, v, segments);
    }

    /// The layers, which threads may write at once.
    pub(crate) fn layers(&mut self) -> impl IndexedParallelIterator<Item = Layer<'_>> {
        let (heads, head_dim) = (self.heads, self.head_dim);
        let numbers = self.keys.par_iter_mut().zip(&mut self.values);
        numbers.map(move |(keys, values)| Layer { heads, head_dim, keys, values })
    }
}
