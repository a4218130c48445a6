//! A projection `x Wᵀ`, with what an adapter adds.

use std::sync::Arc;

use crate::kernel::{Matrix, rows};

/// A projection without a bias, as all of T5's are.
pub(super) struct Linear {
    /// `[n, k]`
    pub(super) weight: Arc<Matrix>,
    pub(super) adapter: Option<LowRank>,
}

/// `scaling * (x Aᵀ) Bᵀ`.
pub(super) struct LowRank {
    /// `[r, k]`
    pub(super) a: Matrix,
    /// `[n, r]`
    pub(super) b: Matrix,
    pub(super) scaling: f32,
}

impl Linear {
    /// `[rows, k]` -> `[rows, n]`
    pub(super) fn forward(&self, x: &[f32]) -> Vec<f32> {
        let mut out = Vec::new();
        self.forward_into(x, &mut out);
        out
    }

    /// The same, into memory that is used again.
    pub(super) fn forward_into(&self, x: &[f32], out: &mut Vec<f32>) {
        let rows = x.len() / self.weight.k();
        out.resize(rows * self.weight.n(), 0.0);
        self.weight.matmul(x, out);
        let Some(LowRank { a, b, scaling }) = &self.adapter else { return };
        let mut inner = vec![0.0; rows * a.n()];
        a.matmul(x, &mut inner);
        inner.iter_mut().for_each(|number| *number *= scaling);
        let mut added = vec![0.0; out.len()];
        b.matmul(&inner, &mut added);
        rows::add_in_place(out, &added);
    }
}
