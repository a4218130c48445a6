//! Attention of a step's rows over the cached keys and values.
//!
//! A row's scores are added dimension by dimension, its softmax block by block of 16 keys counted
//! from position 0, its values key by key: an order in which nothing but the row's own position
//! counts. So a prompt may be computed whole, in pieces or after a head that another sequence left
//! in the cache, and the bits are the same.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::cache::Cache;
use super::ops::numbers;
use super::{BLOCK, Config, Segment};
use crate::kernel::attend;

/// A row of a step: whose it is and where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) segment: u32,
    pub(super) position: u32,
}

/// [rows, heads * head_dim] -> [rows, heads * head_dim], each head's weighted sum of values.
pub(super) fn attend(
    q: &Tensor,
    config: &Config,
    layer: usize,
    cache: &Cache,
    segments: &[Segment],
    rows: &[Row],
) -> Result<Tensor> {
    q.apply_op1_no_bwd(&Attend { config, layer, cache, segments, rows })
}

struct Attend<'a> {
    config: &'a Config,
    layer: usize,
    cache: &'a Cache,
    segments: &'a [Segment],
    rows: &'a [Row],
}

impl CustomOp1 for Attend<'_> {
    fn name(&self) -> &'static str {
        "attend"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let q = numbers(storage, layout)?;
        let Config { heads, kv_heads, head_dim, .. } = *self.config;
        let width = heads * head_dim;
        if layout.dims() != [self.rows.len(), width] {
            bail!("attend: queries of {:?}, not [{}, {width}]", layout.dims(), self.rows.len());
        }
        let group = heads / kv_heads * head_dim; // the query heads of one key head lie together
        let mut out = vec![0.0; q.len()];
        out.par_chunks_mut(group).enumerate().for_each_init(Scratch::default, |scratch, (part, out)| {
            let (row, head) = (self.rows[part / kv_heads], part % kv_heads);
            self.one(row, head, &q[part * group..][..group], scratch, out);
        });
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }
}

/// Memory that a thread uses again.
#[derive(Default)]
struct Scratch {
    q: Vec<f32>,
    scores: Vec<f32>,
}

impl Attend<'_> {
    /// The query heads of one row that share a key head: `q` and `out` are [group, head_dim].
    fn one(&self, row: Row, head: usize, q: &[f32], scratch: &mut Scratch, out: &mut [f32]) {
        let head_dim = self.config.head_dim;
        let last = row.position as usize;
        let first = self.config.windows[self.layer].map_or(0, |window| (last + 1).saturating_sub(window));
        let blocks = &self.segments[row.segment as usize].blocks[first / BLOCK..=last / BLOCK];
        let base = first / BLOCK * BLOCK; // the position at which the first block begins
        let scale = 1.0 / (head_dim as f32).sqrt();
        scratch.q.clear();
        scratch.q.extend(q.iter().map(|q| q * scale));
        attend::attend(attend::Attend {
            q: &scratch.q,
            keys: &self.cache.keys[self.layer],
            values: &self.cache.values[self.layer],
            blocks,
            head: (head, self.config.kv_heads),
            seen: first - base..last + 1 - base,
            scores: &mut scratch.scores,
            out,
            head_dim,
        });
    }
}
