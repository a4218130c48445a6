//! The feed-forward layer.

use super::Dropout;
use super::linear::Linear;
use crate::decoder::Activation;
use crate::kernel::{grad, rows};
use crate::numbers::Numbers;

/// The feed-forward layer.
pub(in crate::train) enum Feed {
    /// `down(silu(gate x) * up x)`
    Gated {
        /// `[intermediate, hidden]`
        gate: Linear,
        /// `[intermediate, hidden]`
        up: Linear,
        /// `[hidden, intermediate]`
        down: Linear,
    },
    /// `down(activation(up x))`
    Plain {
        /// `[intermediate, hidden]`
        up: Linear,
        activation: Activation,
        /// `[hidden, intermediate]`
        down: Linear,
    },
}

/// What the way back needs of the way there.
pub(in crate::train) struct Saved {
    /// `gate x` and what lies within its adapter; nothing where there is no gate.
    gate: (Numbers, Numbers),
    up: (Numbers, Numbers),
    /// What `down` is given.
    inner: Numbers,
}

impl Feed {
    /// All up to what `down` is given.
    pub(in crate::train) fn inner(&self, weights: &[f32], x: &[f32], dropout: Option<Dropout>) -> Saved {
        match self {
            Self::Gated { gate, up, .. } => {
                let gate = gate.forward(weights, x, dropout);
                let up = up.forward(weights, x, dropout);
                let mut inner = Numbers::unset(up.0.len());
                rows::silu_mul(&gate.0, &up.0, &mut inner);
                Saved { gate, up, inner }
            }
            Self::Plain { up, activation, .. } => {
                let up = up.forward(weights, x, dropout);
                let mut inner = Numbers::unset(up.0.len());
                match activation {
                    Activation::Gelu => rows::gelu(&up.0, &mut inner),
                    _ => rows::gelu_tanh(&up.0, &mut inner),
                }
                Saved { gate: Default::default(), up, inner }
            }
        }
    }

    fn down(&self) -> &Linear {
        match self {
            Self::Gated { down, .. } | Self::Plain { down, .. } => down,
        }
    }

    /// The output.
    pub(in crate::train) fn outer(
        &self,
        weights: &[f32],
        saved: &Saved,
        dropout: Option<Dropout>,
    ) -> Numbers {
        self.down().forward(weights, &saved.inner, dropout).0
    }

    /// Adds the gradient of `x` to `d_x`, given that of the output. Computing `down` again for what lies within its adapter
    /// is cheap: only that is.
    pub(in crate::train) fn backward(
        &self,
        weights: &[f32],
        (x, saved): (&[f32], &Saved),
        d: &[f32],
        dropout: Option<Dropout>,
        gradients: &mut [f32],
        d_x: &mut [f32],
    ) {
        let low = self.down().low(weights, &saved.inner, dropout);
        let mut d_inner = Numbers::zeros(saved.inner.len());
        self.down().backward(weights, (&saved.inner, &low), d, dropout, gradients, Some(&mut d_inner));
        match self {
            Self::Gated { gate, up, .. } => {
                let mut d_up = Numbers::unset(d_inner.len());
                grad::silu_mul(&saved.gate.0, &saved.up.0, &mut d_inner, &mut d_up);
                gate.backward(weights, (x, &saved.gate.1), &d_inner, dropout, gradients, Some(d_x));
                up.backward(weights, (x, &saved.up.1), &d_up, dropout, gradients, Some(d_x));
            }
            Self::Plain { up, activation, .. } => {
                match activation {
                    Activation::Gelu => grad::gelu(&saved.up.0, &mut d_inner),
                    _ => grad::gelu_tanh(&saved.up.0, &mut d_inner),
                }
                up.backward(weights, (x, &saved.up.1), &d_inner, dropout, gradients, Some(d_x));
            }
        }
    }
}
