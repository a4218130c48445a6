//! Attention with its projections, forward and backward: within a half, and of the decoder to what was read.

use super::block::Rows;
use crate::numbers::Numbers;
use crate::t5::attention::{Attention, by_head, by_row};
use crate::t5::position::Shifts;
use crate::train::ops::linear::Linear;

/// Queries, keys and values `[heads * head_dim, hidden]`, and what is made of the values' sums `[hidden, heads * head_dim]`.
pub(super) struct Projections {
    pub(super) q: Linear,
    pub(super) k: Linear,
    pub(super) v: Linear,
    pub(super) o: Linear,
}

/// What the way back needs of the way there.
pub(super) struct Attended {
    /// By projection, what lies within its adapter.
    lows: [Numbers; 4],
    /// Queries, keys and values, `[heads, rows, head_dim]`.
    heads: [Numbers; 3],
    /// What `o` is given.
    sums: Numbers,
}

impl Projections {
    /// What queries of `h` find among keys and values of `seen`, `[rows, hidden]` both.
    pub(super) fn forward(
        &self,
        rows: &Rows<'_>,
        attention: &Attention<'_>,
        h: &[f32],
        seen: &[f32],
    ) -> (Numbers, Attended) {
        let Attention { heads: count, head_dim, .. } = *attention;
        let of = |linear: &Linear, x: &[f32]| {
            let (y, low) = linear.forward(rows.weights, x, rows.dropout);
            (by_head(&y, count, head_dim), low)
        };
        let ((q, low_q), (k, low_k), (v, low_v)) = (of(&self.q, h), of(&self.k, seen), of(&self.v, seen));
        let sums = by_row(&attention.forward(&q, &k, &v), count, head_dim);
        let (y, low_o) = self.o.forward(rows.weights, &sums, rows.dropout);
        (y, Attended { lows: [low_q, low_k, low_v, low_o], heads: [q, k, v], sums })
    }

    /// Adds the gradient of `h` to `d_h`, that of `seen` to `d_seen` (to `d_h` where it is none, as `h` is seen itself),
    /// those of trained weights to `gradients` and that of what distances add to `d_shifts`, given the output's.
    #[allow(clippy::too_many_arguments, reason = "values and their gradients come in pairs")]
    pub(super) fn backward(
        &self,
        rows: &Rows<'_>,
        attention: &Attention<'_>,
        saved: &Attended,
        (h, d_h): (&[f32], &mut [f32]),
        (seen, mut d_seen): (&[f32], Option<&mut [f32]>),
        d: &[f32],
        gradients: &mut [f32],
        d_shifts: Option<&mut Shifts>,
    ) {
        let Rows { weights, dropout, .. } = *rows;
        let Attention { heads: count, head_dim, .. } = *attention;
        let [low_q, low_k, low_v, low_o] = &saved.lows;
        let mut d_sums = Numbers::zeros(saved.sums.len());
        self.o.backward(weights, (&saved.sums, low_o), d, dropout, gradients, Some(&mut d_sums));
        let [q, k, v] = &saved.heads;
        let [d_q, d_k, d_v] = attention
            .backward(q, k, v, &by_head(&d_sums, count, head_dim), d_shifts)
            .map(|d| by_row(&d, count, head_dim));
        self.q.backward(weights, (h, low_q), &d_q, dropout, gradients, Some(d_h));
        for (linear, low, d) in [(&self.k, low_k, &d_k), (&self.v, low_v, &d_v)] {
            let to = d_seen.as_deref_mut().unwrap_or(d_h);
            linear.backward(weights, (seen, low), d, dropout, gradients, Some(to));
        }
    }
}
