//! What of a model is trained.

use instil::{Error, Result};

/// What of a model is trained.
#[derive(Clone, Debug, PartialEq)]
pub enum Method {
    /// All weights.
    Full,
    /// Low-rank matrices beside the projections; the weights stay as they are stored. With quantised weights this is QLoRA.
    Lora(Lora),
}

/// A low-rank adapter, in PEFT's words.
#[derive(Clone, Debug, PartialEq)]
pub struct Lora {
    /// The rank.
    pub r: usize,
    /// What the product is multiplied with, over `r`.
    pub lora_alpha: f64,
    /// The share of an adapter's inputs that is dropped while training, from 0 to below 1.
    pub lora_dropout: f64,
    /// Whether `lora_alpha` is divided by the square root of `r` instead (Kalajdzievski 2023).
    pub use_rslora: bool,
    /// Which projections: the last parts of their names, such as `q_proj`; none means all but the output head
    /// (`all-linear`).
    pub target_modules: Option<Vec<String>>,
}

impl Default for Lora {
    /// PEFT's values, over all projections.
    fn default() -> Self {
        Self { r: 8, lora_alpha: 8.0, lora_dropout: 0.0, use_rslora: false, target_modules: None }
    }
}

impl Lora {
    /// What the product is multiplied with.
    pub fn scaling(&self) -> f64 {
        let r = self.r as f64;
        self.lora_alpha / if self.use_rslora { r.sqrt() } else { r }
    }

    /// Whether a projection of this name gets matrices.
    pub(super) fn targets(&self, module: &str) -> bool {
        self.target_modules.as_ref().is_none_or(|targets| {
            targets.iter().any(|target| {
                module
                    .strip_suffix(target.as_str())
                    .is_some_and(|head| head.is_empty() || head.ends_with('.'))
            })
        })
    }

    /// # Errors
    /// When a number is out of its range.
    pub(super) fn check(&self) -> Result<()> {
        if self.r == 0 {
            return Err(
                Error::usage("an adapter of rank r = 0 learns nothing").with_hint("r is 8 to 64 mostly")
            );
        }
        if !(0.0..1.0).contains(&self.lora_dropout) {
            return Err(Error::usage(format!(
                "lora_dropout is {}, not from 0 to below 1",
                self.lora_dropout
            )));
        }
        if !self.lora_alpha.is_finite() {
            return Err(Error::usage(format!("lora_alpha is {}, which is no number", self.lora_alpha)));
        }
        Ok(())
    }
}
