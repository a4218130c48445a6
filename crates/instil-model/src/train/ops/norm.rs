//! Norms of rows.

use super::Vector;
use crate::kernel::{grad, rows};
use crate::numbers::Numbers;

/// A norm over rows as wide as its weight.
pub(in crate::train) struct Norm {
    pub(in crate::train) weight: Vector,
    /// With a bias it is a layer norm, without one the root mean square.
    pub(in crate::train) bias: Option<Vector>,
    pub(in crate::train) eps: f32,
}

impl Norm {
    /// `[.., width]` -> `[.., width]`
    pub(in crate::train) fn forward(&self, weights: &[f32], x: &[f32]) -> Numbers {
        let mut out = Numbers::unset(x.len());
        match &self.bias {
            Some(bias) => rows::layer_norm(x, self.weight.of(weights), bias.of(weights), self.eps, &mut out),
            None => rows::rms_norm(x, self.weight.of(weights), self.eps, &mut out),
        }
        out
    }

    /// Adds the gradient of `x` to `d_x`, given that of the output, and those of trained weights to `gradients`.
    pub(in crate::train) fn backward(
        &self,
        weights: &[f32],
        x: &[f32],
        d: &[f32],
        gradients: &mut [f32],
        d_x: &mut [f32],
    ) {
        let is_layer = self.bias.is_some();
        let norm = grad::Norm { x, d, weight: self.weight.of(weights), is_layer, eps: self.eps };
        match (&self.weight, &self.bias) {
            (Vector::Trained(weight), Some(Vector::Trained(bias))) => {
                let mut d_weight = vec![0.0; weight.len()];
                norm.backward(d_x, Some(&mut d_weight), Some(&mut gradients[bias.clone()]));
                rows::add_in_place(&mut gradients[weight.clone()], &d_weight);
            }
            (Vector::Trained(weight), _) => {
                norm.backward(d_x, Some(&mut gradients[weight.clone()]), None);
            }
            _ => norm.backward(d_x, None, None),
        }
    }
}
