//! Cross-entropy over the vocabulary, some rows at a time: logits of all rows never exist at once.

use instil::rng::nth;
use rayon::prelude::*;

use super::Dropout;
use super::linear::Linear;
use crate::kernel::rows;

/// Logits that are held at once: 32 MiB.
const LOGITS: usize = 1 << 23;

/// Where gradients go.
pub(in crate::train) struct Back<'a> {
    /// What the sum of the negative log-likelihoods is multiplied with.
    pub(in crate::train) scale: f32,
    /// Of trained weights.
    pub(in crate::train) gradients: &'a mut [f32],
    /// Of the rows, `[rows, hidden]`; it is added to.
    pub(in crate::train) d_x: &'a mut [f32],
}

/// The negative log-likelihoods in nats of `targets`, each given its row of `x` `[rows, hidden]`, and their gradients if
/// they are wanted.
pub(in crate::train) fn cross_entropy(
    head: &Linear,
    weights: &[f32],
    x: &[f32],
    targets: &[u32],
    dropout: Option<Dropout>,
    mut back: Option<Back<'_>>,
) -> Vec<f64> {
    let (vocab, hidden) = (head.n, head.k);
    let some = (LOGITS / vocab).clamp(32, 512);
    let mut found = Vec::with_capacity(targets.len());
    for (number, targets) in targets.chunks(some).enumerate() {
        let range = number * some * hidden..(number * some + targets.len()) * hidden;
        let x = &x[range.clone()];
        // What is dropped is told by its place among these rows.
        let dropout = dropout.map(|of| Dropout { seed: nth(of.seed, number as u64), ..of });
        let (mut logits, low) = head.forward(weights, x, dropout);
        let scale = back.as_ref().map(|back| back.scale);
        found.par_extend(logits.par_chunks_mut(vocab).zip(targets).map(|(row, target)| {
            let target = *target as usize;
            let nll = rows::log_sum_exp(row) - f64::from(row[target]);
            if let Some(scale) = scale {
                rows::softmax(row);
                row[target] -= 1.0;
                row.iter_mut().for_each(|d| *d *= scale);
            }
            nll
        }));
        if let Some(Back { gradients, d_x, .. }) = &mut back {
            head.backward(weights, (x, &low), &logits, dropout, gradients, Some(&mut d_x[range]));
        }
    }
    found
}
