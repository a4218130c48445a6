//! What of a model is trained.

use instil::{Error, Result};

use crate::adapter::{Adapter, TargetModules};

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
    /// Which projections.
    pub target_modules: TargetModules,
}

impl Default for Lora {
    /// PEFT's values, over all projections but the output head.
    fn default() -> Self {
        let target_modules = TargetModules::AllLinear;
        Self { r: 8, lora_alpha: 8.0, lora_dropout: 0.0, use_rslora: false, target_modules }
    }
}

impl Lora {
    /// What the product is multiplied with.
    pub fn scaling(&self) -> f64 {
        let r = self.r as f64;
        self.lora_alpha / if self.use_rslora { r.sqrt() } else { r }
    }

    /// What an adapter was made with, so that it can be trained on ([`Trainer::set_adapter`](super::Trainer::set_adapter)).
    ///
    /// # Errors
    /// When its modules differ in rank or scaling, or it is limited to some layers.
    pub fn of(adapter: &Adapter) -> Result<Self> {
        let trouble = |what| {
            Err(Error::input(format!("the adapter can't be trained on: {what}"))
                .with_hint("merge it into its base model, and begin a new one"))
        };
        if !adapter.rank_pattern.is_empty() || !adapter.alpha_pattern.is_empty() {
            return trouble("its modules differ in rank or scaling (rank_pattern, alpha_pattern)");
        }
        if adapter.layers_to_transform.is_some() {
            return trouble("it is limited to some layers (layers_to_transform)");
        }
        Ok(Self {
            r: adapter.r,
            lora_alpha: adapter.lora_alpha,
            lora_dropout: adapter.lora_dropout,
            use_rslora: adapter.use_rslora,
            target_modules: adapter.target_modules.clone(),
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
