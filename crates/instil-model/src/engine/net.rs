//! What an engine runs: a decoder, or an encoder with one.

use candle_core::{Result, Tensor};

use crate::decoder::{Cache, Cost, Decoder};
use crate::t5::T5;

/// A model's weights and forward pass.
pub(super) enum Net {
    /// Prompt and completion are one text.
    Decoder(Decoder),
    /// A prompt is read by an encoder.
    T5(T5),
}

impl Net {
    /// Rows of the embedding.
    pub(super) fn vocab(&self) -> usize {
        match self {
            Self::Decoder(decoder) => decoder.config().vocab,
            Self::T5(t5) => t5.config().vocab,
        }
    }

    /// A cache of so many blocks.
    pub(super) fn cache(&self, blocks: usize) -> Cache {
        match self {
            Self::Decoder(decoder) => Cache::new(decoder.config(), blocks),
            Self::T5(t5) => t5.cache(blocks),
        }
    }

    /// What a forward pass takes at least.
    pub(super) fn cost(&self) -> Cost {
        match self {
            Self::Decoder(decoder) => decoder.cost(),
            Self::T5(t5) => t5.cost(),
        }
    }

    /// The logits of hidden states `[rows, hidden]`, put into `out`: `[rows, vocab]`.
    ///
    /// # Errors
    /// When shapes don't fit, which is a mistake of this crate.
    pub(super) fn logits(&self, hidden: &Tensor, out: &mut Vec<f32>) -> Result<()> {
        match self {
            Self::Decoder(decoder) => decoder.logits(hidden, out),
            Self::T5(t5) => t5.logits(hidden, out),
        }
    }
}
