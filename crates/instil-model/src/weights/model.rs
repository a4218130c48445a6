//! What a checkpoint holds, by its configuration: a decoder, or an encoder with one.

use std::collections::BTreeMap;

use instil::{Error, Result};
use serde_json::Value;

use super::tensor::Tensor;
use super::{Checkpoint, Map};
use crate::decoder::{self, Family};
use crate::t5;

/// What kind of model a checkpoint holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Model {
    /// Prompt and completion are one text.
    Decoder(decoder::Config),
    /// A prompt is read by an encoder.
    T5(t5::Config),
}

impl Model {
    /// Reads a Hugging Face `config.json`; `is_tied` says of an encoder-decoder whether its head is its embedding.
    ///
    /// # Errors
    /// When the family is unknown, or the configuration isn't understood.
    pub(super) fn from_hugging_face(json: &Value, is_tied: impl FnOnce() -> bool) -> Result<Self> {
        if t5::Config::is_of(json) {
            return t5::Config::from_hugging_face(json, is_tied()).map(Self::T5);
        }
        decoder::Config::from_hugging_face(json).map(Self::Decoder)
    }

    /// The most tokens of prompt and completion together.
    pub fn window(&self) -> usize {
        match self {
            Self::Decoder(config) => config.positions,
            Self::T5(_) => t5::Config::WINDOW,
        }
    }

    /// Rows of the embedding and of the output head.
    pub fn vocab(&self) -> usize {
        match self {
            Self::Decoder(config) => config.vocab,
            Self::T5(config) => config.vocab,
        }
    }

    /// Bytes that one token occupies in the key-value cache: of a decoder's, or of a prompt that an encoder read.
    pub(crate) fn cache_bytes_per_token(&self) -> usize {
        match self {
            Self::Decoder(config) => config.cache_bytes_per_token(),
            Self::T5(config) => 2 * config.decoder_layers * config.width() * size_of::<f32>(),
        }
    }

    /// Width of the residual stream.
    pub(crate) fn hidden(&self) -> usize {
        match self {
            Self::Decoder(config) => config.hidden,
            Self::T5(config) => config.hidden,
        }
    }

    /// Whether the output head is the embedding itself.
    pub(crate) fn tied(&self) -> bool {
        match self {
            Self::Decoder(config) => config.tied,
            Self::T5(config) => config.tied,
        }
    }

    /// Blocks of the half that a tensor belongs to.
    pub(crate) fn layers(&self, name: &str) -> usize {
        match self {
            Self::Decoder(config) => config.layers,
            Self::T5(config) if name.starts_with("encoder.") => config.encoder_layers,
            Self::T5(config) => config.decoder_layers,
        }
    }

    /// The linear layers by name, without `.weight`, with outputs and inputs: what an adapter can change.
    pub fn linears(&self) -> BTreeMap<String, (usize, usize)> {
        match self {
            Self::Decoder(config) => config.linears(),
            Self::T5(config) => config.linears(),
        }
    }

    /// The name, without `.weight`, of the embedding.
    pub(crate) fn embedding(&self) -> &'static str {
        match self {
            Self::Decoder(config) => config.embedding(),
            Self::T5(_) => t5::names::EMBEDDING,
        }
    }

    /// The name, without `.weight`, of the linear layer that makes the logits.
    pub fn head(&self) -> &'static str {
        match self {
            Self::Decoder(config) => config.head(),
            Self::T5(_) => t5::names::HEAD,
        }
    }

    /// Every family's `model_type`, for messages.
    pub(crate) fn families() -> String {
        [Family::MODEL_TYPES.as_slice(), &[t5::Config::MODEL_TYPE]].concat().join(", ")
    }
}

impl Checkpoint {
    /// What kind of model it holds.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The decoder's configuration.
    ///
    /// # Errors
    /// When the model is an encoder-decoder.
    pub fn config(&self) -> Result<&decoder::Config> {
        match &self.model {
            Model::Decoder(config) => Ok(config),
            Model::T5(_) => Err(Error::usage(format!(
                "{} is an encoder-decoder (t5), and a decoder alone is wanted",
                self.path.display()
            ))
            .with_hint(format!(
                "of these families models are taken here: {}",
                Family::MODEL_TYPES.join(", ")
            ))),
        }
    }

    /// The encoder-decoder's configuration.
    ///
    /// # Errors
    /// When the model is a decoder alone.
    pub fn t5(&self) -> Result<&t5::Config> {
        match &self.model {
            Model::T5(config) => Ok(config),
            Model::Decoder(_) => Err(Error::usage(format!("{} is no encoder-decoder", self.path.display()))
                .with_hint("name a model whose config.json says `\"model_type\": \"t5\"`")),
        }
    }
}

/// Whether an encoder-decoder's head is its embedding: no file tells them apart, whatever the configuration says
/// (transformers 5 says of each that they are one).
pub(super) fn is_tied(tensors: &BTreeMap<String, Tensor>, files: &[Map]) -> bool {
    let of = |name: &str| tensors.get(&format!("{name}.weight"));
    let bytes = |tensor: &Tensor| files.get(tensor.file).and_then(|file| file.get(tensor.range.clone()));
    let embedding = t5::names::EMBEDDINGS.into_iter().find_map(of);
    match (of(t5::names::HEAD), embedding) {
        (Some(head), Some(embedding)) => head.stored == embedding.stored && bytes(head) == bytes(embedding),
        _ => true,
    }
}
