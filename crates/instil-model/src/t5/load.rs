//! A T5 from a checkpoint: every tensor asked for by name and shape.

use std::sync::Arc;

use instil::Result;

use super::linear::{Linear, LowRank};
use super::names::{self, Stack as Half};
use super::{Activation, Block, Config, Feed, Projections, Stack, T5};
use crate::adapter::Adapter;
use crate::kernel::{Dtype, Matrix};
use crate::weights::Checkpoint;

impl T5 {
    /// Reads all weights, with an adapter, if there is one, whose products are added to those of the weights.
    ///
    /// # Errors
    /// When the checkpoint isn't a T5's, a tensor is missing, has another shape or type, or holds what is no number; when
    /// the adapter doesn't fit the model.
    pub fn load(checkpoint: &Checkpoint, adapter: Option<Adapter>) -> Result<Self> {
        let config = checkpoint.t5()?.clone();
        let adapter = adapter.map(|adapter| adapter.fitted(&config.linears())).transpose()?;
        let from = From { checkpoint, config: &config, adapter: adapter.as_ref() };
        let embed = Arc::new(checkpoint.matrix(&embedding(checkpoint), config.vocab, config.hidden)?);
        let head = Linear {
            weight: match config.tied {
                true => Arc::clone(&embed),
                false => Arc::new(checkpoint.matrix(&weight(names::HEAD), config.vocab, config.hidden)?),
            },
            adapter: from.low_rank(names::HEAD)?,
        };
        let encoder = from.stack(Half::Encoder, config.encoder_layers)?;
        let decoder = from.stack(Half::Decoder, config.decoder_layers)?;
        Ok(Self { embed, encoder, decoder, head, config })
    }
}

fn weight(name: &str) -> String {
    format!("{name}.weight")
}

/// The name of the embedding's tensor: files keep whichever of its names they like.
pub(crate) fn embedding(checkpoint: &Checkpoint) -> String {
    let found = names::EMBEDDINGS.into_iter().chain([names::HEAD]).find(|name| checkpoint.has(&weight(name)));
    weight(found.unwrap_or(names::EMBEDDING))
}

/// A checkpoint and what is known of it.
struct From<'a> {
    checkpoint: &'a Checkpoint,
    config: &'a Config,
    /// Its modules are the checkpoint's.
    adapter: Option<&'a Adapter>,
}

impl From<'_> {
    fn stack(&self, half: Half, layers: usize) -> Result<Stack> {
        let Config { buckets, heads, .. } = *self.config;
        let mut positions = vec![0.0; buckets * heads];
        let table = self.checkpoint.matrix(&weight(&half.positions()), buckets, heads)?;
        table.dequantize_rows(0..buckets, &mut positions);
        Ok(Stack {
            blocks: (0..layers).map(|layer| self.block(half, layer)).collect::<Result<_>>()?,
            norm: self.norm(&half.norm())?,
            positions,
        })
    }

    fn block(&self, half: Half, layer: usize) -> Result<Block> {
        let cross = match (half.cross_norm(layer), half.cross_attention(layer)) {
            (Some(norm), Some(attention)) => Some((self.norm(&norm)?, self.projections(&attention)?)),
            _ => None,
        };
        Ok(Block {
            norm: self.norm(&half.attention_norm(layer))?,
            attention: self.projections(&half.attention(layer))?,
            cross,
            feed_norm: self.norm(&half.feed_norm(layer))?,
            feed: self.feed(&half.feed(layer))?,
        })
    }

    fn projections(&self, name: &str) -> Result<Projections> {
        let (hidden, width) = (self.config.hidden, self.config.width());
        let part = |part: &str, n, k| self.linear(&format!("{name}.{part}"), n, k);
        Ok(Projections {
            q: part("q", width, hidden)?,
            k: part("k", width, hidden)?,
            v: part("v", width, hidden)?,
            o: part("o", hidden, width)?,
        })
    }

    fn feed(&self, name: &str) -> Result<Feed> {
        let Config { hidden, intermediate, activation, .. } = *self.config;
        let part = |part: &str| self.linear(&format!("{name}.{part}"), intermediate, hidden);
        let (first, second) = match activation {
            Activation::Relu => (part("wi")?, None),
            _ => (part("wi_0")?, Some(part("wi_1")?)),
        };
        let out = self.linear(&format!("{name}.wo"), hidden, intermediate)?;
        Ok(Feed { first, second, out, activation })
    }

    fn linear(&self, name: &str, n: usize, k: usize) -> Result<Linear> {
        let weight = Arc::new(self.checkpoint.matrix(&weight(name), n, k)?);
        Ok(Linear { weight, adapter: self.low_rank(name)? })
    }

    fn norm(&self, name: &str) -> Result<Vec<f32>> {
        self.checkpoint.vector(&weight(name), self.config.hidden)
    }

    /// What the adapter adds to a module.
    fn low_rank(&self, name: &str) -> Result<Option<LowRank>> {
        let Some((adapter, module)) =
            self.adapter.and_then(|adapter| Some((adapter, adapter.modules.get(name)?)))
        else {
            return Ok(None);
        };
        let a = dense(module.r, module.k, &module.a)?;
        let b = dense(module.n, module.r, &module.b)?;
        Ok(Some(LowRank { a, b, scaling: adapter.scaling(name)? }))
    }
}

/// A matrix `[n, k]` of these numbers.
fn dense(n: usize, k: usize, numbers: &[f32]) -> Result<Matrix> {
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    Matrix::dense(Dtype::F32, n, k, bytes.into())
}
