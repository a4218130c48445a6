//! T5 as a model that learns: what the encoder reads of an example, and what the decoder is to write.

mod attention;
mod block;
mod build;
mod pass;
#[cfg(test)]
mod tests;

use super::model::Backward;
use super::ops::linear::Linear;
use super::ops::norm::Norm;
use super::ops::{Vector, Weight, loss};
use crate::kernel::rows;
use crate::numbers::Numbers;
use crate::t5::Config;
use crate::t5::attention::Attention;
use crate::t5::position::{Buckets, Sees, Shifts};
use block::{Block, Rows, Saved};
pub(super) use build::new_config;
pub(super) use pass::Pass;

/// An encoder-decoder that can be trained. Its trained weights lie elsewhere, in one row.
pub(super) struct Model {
    pub(super) config: Config,
    /// `[vocab, hidden]`, of both halves.
    embed: Weight,
    encoder: Stack,
    decoder: Stack,
    /// `[vocab, hidden]`
    head: Linear,
}

/// One of the two halves.
struct Stack {
    blocks: Vec<Block>,
    norm: Norm,
    /// What distances add to scores, `[buckets, heads]`.
    positions: Vector,
}

/// What the way back through a stack needs of the way there: of every block its input, and the rest where it is kept.
type Kept = Vec<(Numbers, Option<Saved>)>;

impl Model {
    /// The negative log-likelihood in nats of every target, and the gradients of their sum.
    pub(super) fn pass(&self, weights: &[f32], pass: &Pass, back: Option<Backward<'_>>) -> Vec<f64> {
        let Config { heads, head_dim, .. } = self.config;
        let dropout = back.as_ref().and_then(|back| back.dropout);
        let recompute = back.as_ref().map(|back| back.recompute);
        let shifts = |stack: &Stack, sees, segments: &[std::ops::Range<usize>]| {
            let longest = segments.iter().map(ExactSizeIterator::len).max().unwrap_or(1);
            self.buckets(sees).spread(stack.positions.of(weights), heads, longest)
        };
        let within = |segments, is_causal, shifts| Attention {
            heads,
            head_dim,
            queries: segments,
            keys: segments,
            is_causal,
            shifts: Some(shifts),
        };
        let read_shifts = shifts(&self.encoder, Sees::Both, &pass.read_segments);
        let read_rows = Rows {
            weights,
            own: within(&pass.read_segments, false, &read_shifts),
            shifts: &read_shifts,
            across: None,
            dropout,
        };
        let read_x = self.embedded(weights, &pass.read);
        let (read_x, read_kept) = self.encoder.forward(&read_rows, read_x, &[], recompute);
        let read = self.encoder.norm.forward(weights, &read_x);

        let shifts = shifts(&self.decoder, Sees::Before, &pass.segments);
        let across = Attention {
            heads,
            head_dim,
            queries: &pass.segments,
            keys: &pass.read_segments,
            is_causal: false,
            shifts: None,
        };
        let rows = Rows {
            weights,
            own: within(&pass.segments, true, &shifts),
            shifts: &shifts,
            across: Some(across),
            dropout,
        };
        let x = self.embedded(weights, &pass.tokens);
        let (x, kept) = self.decoder.forward(&rows, x, &read, recompute);

        let hidden = self.config.hidden;
        let at = |row: usize| row * hidden..(row + 1) * hidden;
        let wanted: Vec<f32> = pass.targets.iter().flat_map(|(row, _)| &x[at(*row)]).copied().collect();
        let targets: Vec<u32> = pass.targets.iter().map(|(_, token)| *token).collect();
        let scale_outputs = self.config.output_scale();
        let mut normed = self.decoder.norm.forward(weights, &wanted);
        normed.iter_mut().for_each(|number| *number *= scale_outputs);
        let Some(Backward { scale, gradients, .. }) = back else {
            return loss::cross_entropy(&self.head, weights, &normed, &targets, None, None);
        };
        let mut d_normed = vec![0.0; normed.len()];
        let found = {
            let back = loss::Back { scale, gradients: &mut *gradients, d_x: &mut d_normed };
            loss::cross_entropy(&self.head, weights, &normed, &targets, dropout, Some(back))
        };
        d_normed.iter_mut().for_each(|number| *number *= scale_outputs);
        let mut d_wanted = vec![0.0; wanted.len()];
        self.decoder.norm.backward(weights, &wanted, &d_normed, gradients, &mut d_wanted);
        let mut d = x;
        d.fill(0.0);
        for ((row, _), from) in pass.targets.iter().zip(d_wanted.chunks_exact(hidden)) {
            d[at(*row)].copy_from_slice(from);
        }
        let mut d_read = Numbers::zeros(read.len());
        let (d, d_shifts) = self.decoder.backward(&rows, kept, (&read, &mut d_read), d, gradients);
        self.decoder.gather(self.buckets(Sees::Before), &d_shifts, heads, gradients);
        self.embedded_back(&pass.tokens, &d, gradients);

        let mut d = Numbers::zeros(read_x.len());
        self.encoder.norm.backward(weights, &read_x, &d_read, gradients, &mut d);
        let (d, d_shifts) = self.encoder.backward(&read_rows, read_kept, (&[], &mut []), d, gradients);
        self.encoder.gather(self.buckets(Sees::Both), &d_shifts, heads, gradients);
        self.embedded_back(&pass.read, &d, gradients);
        found
    }

    fn buckets(&self, sees: Sees) -> Buckets {
        Buckets { count: self.config.buckets, max_distance: self.config.max_distance, sees }
    }

    /// `[rows]` -> `[rows, hidden]`
    fn embedded(&self, weights: &[f32], tokens: &[u32]) -> Numbers {
        let hidden = self.config.hidden;
        let mut rows = Numbers::unset(tokens.len() * hidden);
        for (row, token) in rows.chunks_exact_mut(hidden).zip(tokens) {
            let token = *token as usize;
            match &self.embed {
                Weight::Frozen(matrix) => matrix.row(token, row),
                Weight::Trained(range) => {
                    row.copy_from_slice(&weights[range.clone()][token * hidden..][..hidden]);
                }
            }
        }
        rows
    }

    fn embedded_back(&self, tokens: &[u32], d: &[f32], gradients: &mut [f32]) {
        let Weight::Trained(range) = &self.embed else { return };
        let hidden = self.config.hidden;
        let embed = &mut gradients[range.clone()];
        for (token, d) in tokens.iter().zip(d.chunks_exact(hidden)) {
            rows::add_in_place(&mut embed[*token as usize * hidden..][..hidden], d);
        }
    }
}

impl Stack {
    /// What the last block gives, and for the way back, where there is one, what is kept: `recompute` says whether
    /// that is the blocks' inputs alone.
    fn forward(
        &self,
        rows: &Rows<'_>,
        mut x: Numbers,
        read: &[f32],
        recompute: Option<bool>,
    ) -> (Numbers, Kept) {
        let mut kept = Kept::new();
        for block in &self.blocks {
            let saved = block.saved(rows, &x, read);
            let y = block.output(rows, &saved);
            if let Some(recompute) = recompute {
                kept.push((std::mem::take(&mut x), (!recompute).then_some(saved)));
            }
            x = y;
        }
        (x, kept)
    }

    /// The gradient of the first block's input and that of what distances add, given that of the last one's output; what
    /// was read has its own gradient beside, which is added to.
    fn backward(
        &self,
        rows: &Rows<'_>,
        mut kept: Kept,
        (read, d_read): (&[f32], &mut [f32]),
        mut d: Numbers,
        gradients: &mut [f32],
    ) -> (Numbers, Shifts) {
        let mut d_shifts = rows.shifts.zeros_like();
        for block in self.blocks.iter().rev() {
            let Some((x, saved)) = kept.pop() else { break };
            let saved = saved.unwrap_or_else(|| block.saved(rows, &x, read));
            block.backward(rows, (&x, &saved), (read, &mut *d_read), &mut d, gradients, &mut d_shifts);
        }
        (d, d_shifts)
    }

    fn gather(&self, buckets: Buckets, d_shifts: &Shifts, heads: usize, gradients: &mut [f32]) {
        if let Some(table) = self.positions.gradient(gradients) {
            buckets.gather(d_shifts, heads, table);
        }
    }
}
