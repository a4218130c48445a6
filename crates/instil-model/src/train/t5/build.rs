//! A T5 to train, from a checkpoint or from nothing: every tensor by its name, frozen or among the trained weights.

use instil::{Error, Result};

use super::attention::Projections;
use super::block::{Block, Feed};
use super::{Model, Stack};
use crate::t5::names::{self, Stack as Half};
use crate::t5::{Config, embedding};
use crate::train::build::{Build, Source};
use crate::train::method::Method;
use crate::train::ops::Vector;
use crate::train::ops::linear::Linear;
use crate::train::ops::norm::Norm;
use crate::train::parameters::Parameters;

/// The deviations of a new model's matrices (transformers 5, `T5PreTrainedModel._init_weights`), times a factor.
struct Deviations {
    factor: f64,
    hidden: f64,
    head_dim: f64,
    width: f64,
    intermediate: f64,
}

impl Deviations {
    fn of(config: &Config, factor: f64) -> Self {
        Self {
            factor,
            hidden: config.hidden as f64,
            head_dim: config.head_dim as f64,
            width: config.width() as f64,
            intermediate: config.intermediate as f64,
        }
    }

    /// By the last part of a module's name.
    fn of_module(&self, last: &str) -> f64 {
        let by = match last {
            "q" => self.hidden * self.head_dim,
            "o" => self.width,
            "wo" => self.intermediate,
            names::EMBEDDING | names::HEAD => 1.0,
            _ => self.hidden,
        };
        self.factor * by.powf(-0.5)
    }
}

/// What is built, and how.
struct Builder<'a, 'b> {
    build: Build<'a>,
    config: &'b Config,
    deviations: Deviations,
}

impl Model {
    /// Reads or draws all weights.
    ///
    /// # Errors
    /// When a tensor is missing or doesn't fit, or no projection has a name that the adapter's targets fit.
    pub(in crate::train) fn build(
        source: Source<'_>,
        config: &Config,
        method: &Method,
        seed: u64,
    ) -> Result<(Self, Parameters)> {
        let factor = match source {
            Source::New { deviation, .. } => deviation,
            Source::Checkpoint(_) => 1.0,
        };
        let embed_name = match source {
            Source::Checkpoint(checkpoint) => embedding(checkpoint),
            Source::New { .. } => format!("{}.weight", names::EMBEDDING),
        };
        let build = Build::begin(source, method, seed)?;
        let mut builder = Builder { build, config, deviations: Deviations::of(config, factor) };
        let embed_name = embed_name.strip_suffix(".weight").unwrap_or(&embed_name);
        builder.draws_as(names::EMBEDDING);
        let embed = builder.build.weight(embed_name, config.vocab, config.hidden)?;
        let encoder = builder.stack(Half::Encoder, config.encoder_layers)?;
        let decoder = builder.stack(Half::Decoder, config.decoder_layers)?;
        let weight = if config.tied {
            embed.clone()
        } else {
            builder.draws_as(names::HEAD);
            builder.build.weight(names::HEAD, config.vocab, config.hidden)?
        };
        let adapter = builder.build.adapter(names::HEAD, config.vocab, config.hidden, true)?;
        let head = Linear { weight, bias: None, adapter, n: config.vocab, k: config.hidden };
        if let Method::Lora(lora) = method {
            builder.build.all_targets_fit(lora)?;
        }
        let model = Self { config: config.clone(), embed, encoder, decoder, head };
        Ok((model, builder.build.parameters))
    }
}

impl Builder<'_, '_> {
    fn draws_as(&mut self, last: &str) {
        if let Source::New { deviation, .. } = &mut self.build.source {
            *deviation = self.deviations.of_module(last);
        }
    }

    fn stack(&mut self, half: Half, layers: usize) -> Result<Stack> {
        let positions = self.positions(&half.positions())?;
        let blocks = (0..layers).map(|layer| self.block(half, layer)).collect::<Result<_>>()?;
        Ok(Stack { blocks, norm: self.norm(&half.norm())?, positions })
    }

    fn block(&mut self, half: Half, layer: usize) -> Result<Block> {
        let norm = self.norm(&half.attention_norm(layer))?;
        let attention = self.projections(&half.attention(layer))?;
        let cross = match (half.cross_norm(layer), half.cross_attention(layer)) {
            (Some(norm), Some(attention)) => Some((self.norm(&norm)?, self.projections(&attention)?)),
            _ => None,
        };
        let feed_norm = self.norm(&half.feed_norm(layer))?;
        Ok(Block { norm, attention, cross, feed_norm, feed: self.feed(&half.feed(layer))? })
    }

    fn projections(&mut self, name: &str) -> Result<Projections> {
        let (hidden, width) = (self.config.hidden, self.config.width());
        Ok(Projections {
            q: self.linear(name, "q", width, hidden)?,
            k: self.linear(name, "k", width, hidden)?,
            v: self.linear(name, "v", width, hidden)?,
            o: self.linear(name, "o", hidden, width)?,
        })
    }

    fn feed(&mut self, name: &str) -> Result<Feed> {
        let Config { hidden, intermediate, activation, .. } = *self.config;
        let (first, second) = match activation.is_gated() {
            false => (self.linear(name, "wi", intermediate, hidden)?, None),
            true => {
                let first = self.linear(name, "wi_0", intermediate, hidden)?;
                (first, Some(self.linear(name, "wi_1", intermediate, hidden)?))
            }
        };
        Ok(Feed { first, second, out: self.linear(name, "wo", hidden, intermediate)?, activation })
    }

    fn linear(&mut self, name: &str, part: &str, n: usize, k: usize) -> Result<Linear> {
        self.draws_as(part);
        self.build.linear(&format!("{name}.{part}"), n, k, false)
    }

    fn norm(&mut self, name: &str) -> Result<Norm> {
        let new = self.deviations.factor as f32;
        let weight = self.build.vector(format!("{name}.weight"), self.config.hidden, new)?;
        Ok(Norm { weight, bias: None, eps: self.config.norm_eps })
    }

    /// A table of relative positions, row after row.
    fn positions(&mut self, name: &str) -> Result<Vector> {
        let Config { buckets, heads, .. } = *self.config;
        self.draws_as(names::POSITIONS);
        match self.build.weight(name, buckets, heads)? {
            crate::train::ops::Weight::Trained(range) => Ok(Vector::Trained(range)),
            crate::train::ops::Weight::Frozen(matrix) => {
                let mut numbers = vec![0.0; buckets * heads];
                matrix.dequantize_rows(0..buckets, &mut numbers);
                Ok(Vector::Frozen(numbers))
            }
        }
    }
}

/// That a configuration can be learnt from nothing.
///
/// # Errors
/// When it says that head and embedding are one and two at once.
pub(in crate::train) fn new_config(json: &serde_json::Value) -> Result<Config> {
    let tied = json.get("tie_word_embeddings").and_then(serde_json::Value::as_bool).unwrap_or(true);
    let scales = json.get("scale_decoder_outputs").and_then(serde_json::Value::as_bool).unwrap_or(tied);
    if !tied && scales {
        return Err(Error::input("config.json: outputs are scaled, and the head is not the embedding")
            .with_hint("`scale_decoder_outputs` goes with `tie_word_embeddings`"));
    }
    Config::from_hugging_face(json, tied && scales)
}
