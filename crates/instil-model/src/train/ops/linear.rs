//! Projections `x Wᵀ + b`, frozen or trained, with a low-rank adapter beside.

use std::ops::Range;

use rayon::prelude::*;

use super::{Dropout, Vector, Weight};
use crate::kernel::gemm::{Gemm, Right, View};
use crate::kernel::{grad, rows};
use crate::numbers::Numbers;

/// A projection.
pub(in crate::train) struct Linear {
    /// `[n, k]`
    pub(in crate::train) weight: Weight,
    /// `[n]`
    pub(in crate::train) bias: Option<Vector>,
    pub(in crate::train) adapter: Option<Adapter>,
    /// Outputs.
    pub(in crate::train) n: usize,
    /// Inputs.
    pub(in crate::train) k: usize,
}

/// What is added to a projection: `scale · dropout(x) Aᵀ Bᵀ` (Hu et al. 2021, as PEFT computes it).
#[derive(Clone, Debug)]
pub(in crate::train) struct Adapter {
    /// `[r, k]` among the trained weights.
    pub(in crate::train) a: Range<usize>,
    /// `[n, r]` among the trained weights.
    pub(in crate::train) b: Range<usize>,
    pub(in crate::train) rank: usize,
    pub(in crate::train) scale: f32,
    /// Which of the model's adapters it is: each drops numbers of its own.
    pub(in crate::train) number: u64,
}

impl Linear {
    /// `[rows, k]` -> `[rows, n]`, and of an adapter what lies between its matrices, `[rows, r]` times the scale.
    pub(in crate::train) fn forward(
        &self,
        weights: &[f32],
        x: &[f32],
        dropout: Option<Dropout>,
    ) -> (Numbers, Numbers) {
        let (n, k) = (self.n, self.k);
        let m = x.len() / k;
        let mut y = Numbers::unset(m * n);
        let product =
            |right| Gemm { left: View::rows(x, k), right, shape: [m, n, k], scale: 1.0, add: false };
        match &self.weight {
            // With the engine's own product, which rounds activations to 8 bits.
            Weight::Frozen(matrix) if matrix.dtype().block() > 1 => matrix.matmul(x, &mut y),
            Weight::Frozen(matrix) => product(Right::Transposed(matrix)).run(&mut y, n),
            Weight::Trained(range) => {
                let view = View::rows(&weights[range.clone()], k).transposed();
                product(Right::View(view)).run(&mut y, n);
            }
        }
        if let Some(bias) = &self.bias {
            let bias = bias.of(weights);
            y.par_chunks_mut(n).for_each(|row| rows::add_in_place(row, bias));
        }
        let low = self.low(weights, x, dropout);
        let Some(adapter) = &self.adapter else { return (y, low) };
        let b = View::rows(&weights[adapter.b.clone()], adapter.rank);
        Gemm {
            left: View::rows(&low, adapter.rank),
            right: Right::View(b.transposed()),
            shape: [m, n, adapter.rank],
            scale: 1.0,
            add: true,
        }
        .run(&mut y, n);
        (y, low)
    }

    /// What lies within the adapter, `[rows, r]`, times the scale: `scale · dropout(x) Aᵀ`. Nothing without an adapter.
    pub(in crate::train) fn low(&self, weights: &[f32], x: &[f32], dropout: Option<Dropout>) -> Numbers {
        let Some(adapter) = &self.adapter else { return Numbers::default() };
        let dropped = dropout.map(|dropout| adapter.dropped(dropout, x));
        let x = dropped.as_deref().unwrap_or(x);
        let m = x.len() / self.k;
        let mut low = Numbers::unset(m * adapter.rank);
        let a = View::rows(&weights[adapter.a.clone()], self.k);
        Gemm {
            left: View::rows(x, self.k),
            right: Right::View(a.transposed()),
            shape: [m, adapter.rank, self.k],
            scale: adapter.scale,
            add: false,
        }
        .run(&mut low, adapter.rank);
        low
    }

    /// Adds the gradients of `forward(x)`, whose second result was `low`, given the gradient `d` of the first: that of `x`
    /// to `d_x`, if it is wanted, those of trained weights to `gradients`.
    pub(in crate::train) fn backward(
        &self,
        weights: &[f32],
        (x, low): (&[f32], &[f32]),
        d: &[f32],
        dropout: Option<Dropout>,
        gradients: &mut [f32],
        mut d_x: Option<&mut [f32]>,
    ) {
        let (n, k) = (self.n, self.k);
        let m = x.len() / k;
        if let Some(d_x) = &mut d_x {
            let right = match &self.weight {
                Weight::Frozen(matrix) => Right::Weights(matrix),
                Weight::Trained(range) => Right::View(View::rows(&weights[range.clone()], k)),
            };
            let shape = [m, k, n];
            Gemm { left: View::rows(d, n), right, shape, scale: 1.0, add: true }.run(d_x, k);
        }
        if let Weight::Trained(range) = &self.weight {
            outer((d, n), (x, k), &mut gradients[range.clone()]);
        }
        if let Some(bias) = self.bias.as_ref().and_then(|bias| bias.gradient(gradients)) {
            grad::add_rows(d, bias);
        }
        let Some(adapter) = &self.adapter else { return };
        let rank = adapter.rank;
        outer((d, n), (low, rank), &mut gradients[adapter.b.clone()]);
        let mut d_low = Numbers::unset(m * rank);
        Gemm {
            left: View::rows(d, n),
            right: Right::View(View::rows(&weights[adapter.b.clone()], rank)),
            shape: [m, rank, n],
            scale: adapter.scale,
            add: false,
        }
        .run(&mut d_low, rank);
        let dropped = dropout.map(|dropout| adapter.dropped(dropout, x));
        outer((&d_low, rank), (dropped.as_deref().unwrap_or(x), k), &mut gradients[adapter.a.clone()]);
        let Some(d_x) = d_x else { return };
        let product = Gemm {
            left: View::rows(&d_low, rank),
            right: Right::View(View::rows(&weights[adapter.a.clone()], k)),
            shape: [m, k, rank],
            scale: 1.0,
            add: true,
        };
        match dropout {
            None => product.run(d_x, k),
            Some(dropout) => {
                let mut d = Numbers::zeros(m * k);
                product.run(&mut d, k);
                adapter.drop(dropout, &mut d);
                rows::add_in_place(d_x, &d);
            }
        }
    }
}

/// `out += aᵀ b`: the gradient of a weight from that of its output and its input.
fn outer((a, n): (&[f32], usize), (b, k): (&[f32], usize), out: &mut [f32]) {
    Gemm {
        left: View::rows(a, n).transposed(),
        right: Right::View(View::rows(b, k)),
        shape: [n, k, a.len() / n],
        scale: 1.0,
        add: true,
    }
    .run(out, k);
}

impl Adapter {
    fn dropped(&self, dropout: Dropout, x: &[f32]) -> Numbers {
        let mut dropped = Numbers::unset(x.len());
        dropped.copy_from_slice(x);
        self.drop(dropout, &mut dropped);
        dropped
    }

    /// Sets a share of the numbers to 0 and makes up for it in the others. Which ones depends on the draw, the adapter and
    /// the number's place alone.
    fn drop(&self, dropout: Dropout, x: &mut [f32]) {
        const PART: usize = 1 << 14;
        let seed = instil::rng::nth(dropout.seed, self.number);
        let keep = 1.0 / (1.0 - dropout.share);
        x.par_chunks_mut(PART).enumerate().for_each(|(part, x)| {
            for (place, x) in (part * PART..).zip(x) {
                // 24 bits are an f32 from 0 to below 1, exactly.
                let drawn = (instil::rng::nth(seed, place as u64) >> 40) as f32 / (1 << 24) as f32;
                *x = if drawn < dropout.share { 0.0 } else { *x * keep };
            }
        });
    }
}
