//! How a training is made.

use std::path::PathBuf;

use instil::{Error, Result};

use super::batch::Batch;
use super::method::Method;
use super::optimizer::AdamW;
use super::schedule::{Schedule, Warmup};

/// How long a training is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Length {
    /// So many times through all examples; a part of the last time, if it is no whole number.
    Epochs(f64),
    /// So many steps.
    Steps(usize),
}

/// How a model is trained. All but `pass_tokens`, `recompute`, `threads` and `moments` decides what comes out; of these,
/// `pass_tokens` moves the last bits, as sums are parted otherwise.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What is trained.
    pub method: Method,
    /// How long.
    pub length: Length,
    /// Examples of a step.
    pub batch: Batch,
    /// The most tokens of one forward pass, unless an example has more: a step's examples are computed in as many passes
    /// as that takes, and their gradients are added.
    pub pass_tokens: usize,
    /// Whether steps have examples of like length.
    pub group_by_length: bool,
    /// The highest learning rate.
    pub learning_rate: f64,
    /// How it falls.
    pub schedule: Schedule,
    /// How it rises at first.
    pub warmup: Warmup,
    /// The optimiser.
    pub adamw: AdamW,
    /// The longest that gradients may be together; longer ones are shortened to it.
    pub max_grad_norm: Option<f64>,
    /// Decides the order of examples, an adapter's first values, a new model's, and what is dropped.
    pub seed: u64,
    /// Whether a block's intermediate values are computed again on the way back instead of kept: a third more work, and
    /// memory for one block instead of all.
    pub recompute: bool,
    /// Threads; 0 means one a processor.
    pub threads: usize,
    /// A folder for files that hold the optimiser's moments, mapped into memory.
    pub moments: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            method: Method::Full,
            length: Length::Epochs(1.0),
            batch: Batch::Examples(16),
            pass_tokens: 2048,
            group_by_length: false,
            learning_rate: 1e-4,
            schedule: Schedule::Linear,
            warmup: Warmup::Steps(0),
            adamw: AdamW::default(),
            max_grad_norm: Some(1.0),
            seed: 42,
            recompute: true,
            threads: 0,
            moments: None,
        }
    }
}

/// What is done beside the steps.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// After so many steps each, and at the end, the loss of the validation examples is computed; at the end alone without.
    pub validate_every: Option<usize>,
    /// Where checkpoints go.
    pub checkpoints: Option<Checkpoints>,
}

/// Checkpoints of a training.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    /// The folder that they are below.
    pub folder: PathBuf,
    /// Steps from one to the next. There is always one at the end.
    pub every: usize,
    /// How many are kept.
    pub keep: usize,
}

impl Settings {
    /// # Errors
    /// When a number is out of its range.
    pub(super) fn check(&self) -> Result<()> {
        let is_positive = |number: f64| number.is_finite() && number > 0.0;
        let is_length = match self.length {
            Length::Epochs(epochs) => is_positive(epochs),
            Length::Steps(steps) => steps > 0,
        };
        let AdamW { beta1, beta2, eps, weight_decay } = self.adamw;
        let is_warmup = match self.warmup {
            Warmup::Steps(_) => true,
            Warmup::Ratio(ratio) => (0.0..=1.0).contains(&ratio),
        };
        for (is_right, what) in [
            (is_length, "the length of training is nothing"),
            (is_positive(self.learning_rate), "the learning rate is no positive number"),
            (!matches!(self.batch, Batch::Examples(0) | Batch::Tokens(0)), "a batch is of nothing"),
            ((0.0..1.0).contains(&beta1), "AdamW's beta1 is not from 0 to below 1"),
            ((0.0..1.0).contains(&beta2), "AdamW's beta2 is not from 0 to below 1"),
            (is_positive(eps), "AdamW's eps is no positive number"),
            (weight_decay.is_finite() && weight_decay >= 0.0, "the weight decay is below 0"),
            (self.max_grad_norm.is_none_or(is_positive), "the gradients' norm is cut to nothing"),
            (is_warmup, "the share of warm-up steps is not from 0 to 1"),
        ] {
            if !is_right {
                return Err(Error::usage(what));
            }
        }
        Ok(())
    }
}
