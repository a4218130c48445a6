//! What a trainer trains: a decoder, or an encoder with one.

use instil::Result;
use serde_json::Value;

use super::batch::{Example, Pass};
use super::build::{Build, Source};
use super::method::Method;
use super::model::{Backward, Model};
use super::parameters::Parameters;
use super::t5;
use crate::weights::{self, Checkpoint};

/// A model whose trained weights lie elsewhere, in one row.
pub(super) enum Net {
    /// Prompt and answer are one text.
    Decoder(Model),
    /// A prompt is read by an encoder.
    T5(t5::Model),
}

impl Net {
    /// The model of a checkpoint, and its trained weights.
    ///
    /// # Errors
    /// When a tensor is missing or doesn't fit, or no projection has a name that the adapter's targets fit.
    pub(super) fn read(checkpoint: &Checkpoint, method: &Method, seed: u64) -> Result<(Self, Parameters)> {
        let source = Source::Checkpoint(checkpoint);
        match checkpoint.model() {
            weights::Model::Decoder(config) => {
                let (model, parameters) = Build::model(source, config, method, seed)?;
                Ok((Self::Decoder(model), parameters))
            }
            weights::Model::T5(config) => {
                let (model, parameters) = t5::Model::build(source, config, method, seed)?;
                Ok((Self::T5(model), parameters))
            }
        }
    }

    /// A new model of this `config.json`, its weights drawn as transformers draws them.
    ///
    /// # Errors
    /// When the configuration isn't understood, or the method needs weights.
    pub(super) fn new(json: &Value, method: &Method, seed: u64) -> Result<(Self, Parameters)> {
        let number = |key: &str, default| json.get(key).and_then(Value::as_f64).unwrap_or(default);
        if crate::t5::Config::is_of(json) {
            let source = Source::New { deviation: number("initializer_factor", 1.0), seed };
            let (model, parameters) = t5::Model::build(source, &t5::new_config(json)?, method, seed)?;
            return Ok((Self::T5(model), parameters));
        }
        let source = Source::New { deviation: number("initializer_range", 0.02), seed };
        let config = crate::decoder::Config::from_hugging_face(json)?;
        let (model, parameters) = Build::model(source, &config, method, seed)?;
        Ok((Self::Decoder(model), parameters))
    }

    /// Rows of the embedding.
    pub(super) fn vocab(&self) -> usize {
        match self {
            Self::Decoder(model) => model.config.vocab,
            Self::T5(model) => model.config.vocab,
        }
    }

    /// The longest example, in rows.
    pub(super) fn window(&self) -> usize {
        match self {
            Self::Decoder(model) => model.config.positions,
            Self::T5(_) => crate::t5::Config::WINDOW,
        }
    }

    /// Its configuration, for a hash of what decides the bits.
    pub(super) fn described(&self) -> String {
        match self {
            Self::Decoder(model) => format!("{:?}", model.config),
            Self::T5(model) => format!("{:?}", model.config),
        }
    }

    /// The negative log-likelihood in nats of every target of these examples, and the gradients of their sum.
    pub(super) fn pass<'e>(
        &self,
        weights: &[f32],
        examples: impl IntoIterator<Item = &'e Example>,
        back: Option<Backward<'_>>,
    ) -> Vec<f64> {
        match self {
            Self::Decoder(model) => model.pass(weights, &Pass::of(examples), back),
            Self::T5(model) => model.pass(weights, &t5::Pass::of(model.config.start, examples), back),
        }
    }
}
