//! The whole model: from tokens to the negative log-likelihoods of what follows them, and back.

use super::batch::Pass;
use super::block::{Block, Rows};
use super::ops::heads::Rotation;
use super::ops::linear::Linear;
use super::ops::norm::Norm;
use super::ops::{Dropout, Weight, loss};
use crate::decoder::Config;
use crate::numbers::Numbers;

/// A decoder that can be trained. Its trained weights lie elsewhere, in one row.
pub(super) struct Model {
    pub(super) config: Config,
    /// `[vocab, hidden]`
    pub(super) embed: Weight,
    pub(super) blocks: Vec<Block>,
    pub(super) norm: Norm,
    /// `[vocab, hidden]`
    pub(super) head: Linear,
}

/// What a pass with gradients is made with.
pub(super) struct Backward<'a> {
    /// What the sum of the negative log-likelihoods is multiplied with: one over the number of targets of a step.
    pub(super) scale: f32,
    /// As long as the trained weights; gradients are added.
    pub(super) gradients: &'a mut [f32],
    pub(super) dropout: Option<Dropout>,
    /// Whether of a block its input alone is kept, and the rest computed again on the way back.
    pub(super) recompute: bool,
}

impl Model {
    /// The negative log-likelihood in nats of every target, and the gradients of their sum.
    pub(super) fn pass(&self, weights: &[f32], pass: &Pass, back: Option<Backward<'_>>) -> Vec<f64> {
        let rotation = Rotation::at(&self.config, pass.positions());
        let rows = Rows {
            config: &self.config,
            weights,
            segments: &pass.segments,
            rotation: &rotation,
            dropout: back.as_ref().and_then(|back| back.dropout),
        };
        let (is_kept, recompute) = (back.is_some(), back.as_ref().is_some_and(|back| back.recompute));
        let mut inputs = Vec::new();
        let mut x = self.embedded(weights, &pass.tokens);
        for (layer, block) in self.blocks.iter().enumerate() {
            let saved = block.saved(&rows, layer, &x);
            let y = block.output(&rows, &saved);
            if is_kept {
                // The last block's is needed at once.
                let saved = (!recompute || layer + 1 == self.blocks.len()).then_some(saved);
                inputs.push((std::mem::take(&mut x), saved));
            }
            x = y;
        }
        let hidden = self.config.hidden;
        let at = |row: usize| row * hidden..(row + 1) * hidden;
        let wanted: Vec<f32> = pass.targets.iter().flat_map(|(row, _)| &x[at(*row)]).copied().collect();
        let targets: Vec<u32> = pass.targets.iter().map(|(_, token)| *token).collect();
        let normed = self.norm.forward(weights, &wanted);
        let Some(Backward { scale, gradients, .. }) = back else {
            return loss::cross_entropy(&self.head, weights, &normed, &targets, None, None);
        };
        let mut d_normed = vec![0.0; normed.len()];
        let found = {
            let back = loss::Back { scale, gradients: &mut *gradients, d_x: &mut d_normed };
            loss::cross_entropy(&self.head, weights, &normed, &targets, rows.dropout, Some(back))
        };
        let mut d_wanted = vec![0.0; wanted.len()];
        self.norm.backward(weights, &wanted, &d_normed, gradients, &mut d_wanted);
        let mut d = x;
        d.fill(0.0);
        for ((row, _), from) in pass.targets.iter().zip(d_wanted.chunks_exact(hidden)) {
            d[at(*row)].copy_from_slice(from);
        }
        let is_embed_trained = matches!(self.embed, Weight::Trained(_));
        for (layer, block) in self.blocks.iter().enumerate().rev() {
            let Some((x, saved)) = inputs.pop() else { break };
            let saved = saved.unwrap_or_else(|| block.saved(&rows, layer, &x));
            block.backward(&rows, layer, (&x, &saved), &mut d, gradients, is_embed_trained || layer > 0);
        }
        if let Weight::Trained(range) = &self.embed {
            let embed = &mut gradients[range.clone()];
            for (token, d) in pass.tokens.iter().zip(d.chunks_exact(hidden)) {
                for (to, d) in embed[at(*token as usize)].iter_mut().zip(d) {
                    *to += d;
                }
            }
        }
        found
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
}
