//! AdamW with decoupled weight decay, in place, and clipping by the gradients' norm.

use std::path::Path;

use instil::{Error, Result};

use super::buffer::Buffer;
use super::parameters::Parameter;
use crate::kernel::grad;

/// What AdamW is made with (Loshchilov and Hutter 2019, as torch computes it).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// How slowly the mean of gradients forgets.
    pub beta1: f64,
    /// How slowly the mean of their squares forgets.
    pub beta2: f64,
    /// Added to the root of the mean of squares.
    pub eps: f64,
    /// The share of the learning rate by which weights shrink each step. Norms and biases don't, as in transformers'
    /// trainer.
    pub weight_decay: f64,
}

impl Default for AdamW {
    /// torch's, without decay.
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0 }
    }
}

/// The moments of all trained weights.
pub(super) struct Optimizer {
    pub(super) settings: AdamW,
    /// Mean of gradients.
    pub(super) first: Buffer,
    /// Mean of their squares.
    pub(super) second: Buffer,
    /// Steps that were made.
    pub(super) steps: usize,
}

impl Optimizer {
    /// Moments of zero, in files below `folder`, if one is named.
    ///
    /// # Errors
    /// When the files can't be made.
    pub(super) fn new(settings: AdamW, len: usize, folder: Option<&Path>) -> Result<Self> {
        let (first, second) = match folder {
            None => (Buffer::new(len), Buffer::new(len)),
            Some(folder) => {
                std::fs::create_dir_all(folder).map_err(|error| {
                    Error::output(format!("{} can't be made", folder.display())).because(error)
                })?;
                let buffer = |name: &str| Buffer::in_file(&folder.join(name), len);
                (buffer("first-moments.f32")?, buffer("second-moments.f32")?)
            }
        };
        Ok(Self { settings, first, second, steps: 0 })
    }

    /// One step. `clip` is what gradients are multiplied with first.
    pub(super) fn step(
        &mut self,
        table: &[Parameter],
        weights: &mut [f32],
        gradients: &[f32],
        learning_rate: f64,
        clip: f64,
    ) {
        self.steps += 1;
        let AdamW { beta1, beta2, eps, weight_decay } = self.settings;
        let power = |beta: f64| 1.0 - beta.powf(self.steps as f64);
        let of = |decay: f64| grad::AdamW {
            clip: clip as f32,
            first: [beta1 as f32, (1.0 - beta1) as f32],
            second: [beta2 as f32, (1.0 - beta2) as f32],
            eps: eps as f32,
            rate: (learning_rate / power(beta1)) as f32,
            correction: (1.0 / power(beta2).sqrt()) as f32,
            keep: (1.0 - learning_rate * decay) as f32,
        };
        for parameter in table {
            let range = parameter.range.clone();
            // A table of relative positions is called a bias, and biases don't shrink.
            let shrinks = parameter.shape.len() > 1 && !parameter.name.ends_with("_bias.weight");
            of(if shrinks { weight_decay } else { 0.0 }).step(
                &gradients[range.clone()],
                &mut weights[range.clone()],
                &mut self.first[range.clone()],
                &mut self.second[range],
            );
        }
    }
}

/// What gradients of this norm are multiplied with so that their norm is at most `most` (torch's `clip_grad_norm_`).
pub(super) fn clip(norm: f64, most: Option<f64>) -> f64 {
    most.map_or(1.0, |most| (most / (norm + 1e-6)).min(1.0))
}

/// The length of all gradients together.
pub(super) fn norm(gradients: &[f32]) -> f64 {
    grad::squares(gradients).sqrt()
}
