//! A decoder from a checkpoint: every tensor asked for by name and shape.

use std::ops::Range;
use std::sync::Arc;

use instil::Result;

use super::names::{Attention, Names};
use super::ops::{Linear, LowRank, Norm};
use super::{Block, Config, Decoder, Feed, Residual, config};
use crate::adapter::{self, Adapter};
use crate::kernel::{Dtype, Matrix};
use crate::weights::Checkpoint;

impl Decoder {
    /// Reads all weights.
    ///
    /// # Errors
    /// When a tensor is missing, has another shape or type, or holds what is no number.
    pub fn load(checkpoint: &Checkpoint) -> Result<Self> {
        Self::load_with(checkpoint, None)
    }

    /// [`Decoder::load`] with an adapter, whose products are added to those of the weights; the weights stay as they are.
    ///
    /// # Errors
    /// As [`Decoder::load`], and when the adapter doesn't fit the model.
    pub fn load_with(checkpoint: &Checkpoint, adapter: Option<Adapter>) -> Result<Self> {
        let config = checkpoint.config()?.clone();
        let names = Names::of(config.family);
        let adapter = adapter.map(|adapter| adapter.fitted(&config.linears())).transpose()?;
        let from = From { checkpoint, config: &config, adapter: adapter.as_ref() };

        // Where the embedding is also the head, files name it as the one or as the other.
        let weight = |name: &str| format!("{name}.weight");
        let embed_name =
            if config.tied && !checkpoint.has(&weight(names.embed)) { names.head } else { names.embed };
        let embed = Arc::new(checkpoint.matrix(&weight(embed_name), config.vocab, config.hidden)?);
        let head = if config.tied {
            Linear {
                weight: embed.clone(),
                bias: from.bias(names.head, config.vocab, config.bias.head)?,
                adapter: from.low_rank(names.head)?,
            }
        } else {
            from.linear(names.head, config.vocab, config.hidden, config.bias.head)?
        };
        let blocks = (0..config.layers).map(|layer| from.block(&names, layer)).collect::<Result<_>>()?;
        let norm = from.norm(names.norm, config.hidden)?;
        Ok(Self { embed, blocks, norm, head, config })
    }
}

/// A checkpoint and what is known of it.
struct From<'a> {
    checkpoint: &'a Checkpoint,
    config: &'a Config,
    /// Its modules are the checkpoint's.
    adapter: Option<&'a Adapter>,
}

impl From<'_> {
    fn block(&self, names: &Names, layer: usize) -> Result<Block> {
        let config = self.config;
        let (hidden, head_dim) = (config.hidden, config.head_dim);
        let name = |part: &str| format!("{}.{layer}.{part}", names.layers);
        let (q, k, v) = match names.attention {
            Attention::Apart { q, k, v } => {
                let linear =
                    |part, heads: usize| self.linear(&name(part), heads * head_dim, hidden, config.bias.qkv);
                (linear(q, config.heads)?, linear(k, config.kv_heads)?, linear(v, config.kv_heads)?)
            }
            Attention::ByHead(part) => {
                let part = name(part);
                let a = self.inner(&part)?;
                let of = |number| self.of_heads(&part, number, a.clone());
                (of(0)?, of(1)?, of(2)?)
            }
        };
        let head_norm = |part| -> Result<Option<Norm>> {
            config.qk_norm.then(|| self.norm(&name(part), head_dim)).transpose()
        };
        let up = self.linear(&name(names.up), config.intermediate, hidden, config.bias.mlp)?;
        let down = self.linear(&name(names.down), hidden, config.intermediate, config.bias.mlp)?;
        let feed = match config.activation {
            config::Activation::Silu => {
                let gate = self.linear(&name(names.gate), config.intermediate, hidden, config.bias.mlp)?;
                Feed::Gated { gate, up, down }
            }
            activation => Feed::Plain { up, activation, down },
        };
        Ok(Block {
            norm1: self.norm(&name(names.norm1), hidden)?,
            norm2: match config.residual {
                Residual::ParallelOneNorm => None,
                _ => Some(self.norm(&name(names.norm2), hidden)?),
            },
            q,
            k,
            v,
            q_norm: head_norm(names.q_norm)?,
            k_norm: head_norm(names.k_norm)?,
            out: self.linear(
                &name(names.attention_out),
                hidden,
                config.heads * head_dim,
                config.bias.attention_out,
            )?,
            feed,
        })
    }

    fn bias(&self, name: &str, n: usize, has_bias: bool) -> Result<Option<Vec<f32>>> {
        has_bias.then(|| self.checkpoint.vector(&format!("{name}.bias"), n)).transpose()
    }

    fn linear(&self, name: &str, n: usize, k: usize, has_bias: bool) -> Result<Linear> {
        let weight: Matrix = self.checkpoint.matrix(&format!("{name}.weight"), n, k)?;
        Ok(Linear {
            weight: Arc::new(weight),
            bias: self.bias(name, n, has_bias)?,
            adapter: self.low_rank(name)?,
        })
    }

    /// What the adapter adds to a module.
    fn low_rank(&self, name: &str) -> Result<Option<LowRank>> {
        let Some(a) = self.inner(name)? else { return Ok(None) };
        let rows = self.module(name).map_or(0, |(_, module)| module.n);
        self.low_rank_rows(name, a, std::slice::from_ref(&(0..rows)))
    }

    /// The adapter and its matrices of a module.
    fn module(&self, name: &str) -> Option<(&Adapter, &adapter::LowRank)> {
        let adapter = self.adapter?;
        adapter.modules.get(name).map(|module| (adapter, module))
    }

    /// The matrix A of a module.
    fn inner(&self, name: &str) -> Result<Option<Arc<Matrix>>> {
        let of = |(_, module): (_, &adapter::LowRank)| dense(module.r, module.k, &module.a).map(Arc::new);
        self.module(name).map(of).transpose()
    }

    /// What the adapter adds to these outputs of a module, whose matrix A is given.
    fn low_rank_rows(&self, name: &str, a: Arc<Matrix>, rows: &[Range<usize>]) -> Result<Option<LowRank>> {
        let Some((adapter, module)) = self.module(name) else { return Ok(None) };
        let b = rows.iter().flat_map(|rows| &module.b[rows.start * module.r..rows.end * module.r]);
        let b: Vec<f32> = b.copied().collect();
        let b = dense(b.len() / module.r, module.r, &b)?;
        Ok(Some(LowRank { a, b, scaling: adapter.scaling(name)? }))
    }

    /// Query (0), key (1) or value (2) rows of a tensor that holds them head by head.
    /// `a` is the adapter's matrix A, if it changes that tensor.
    fn of_heads(&self, name: &str, part: usize, a: Option<Arc<Matrix>>) -> Result<Linear> {
        let (heads, head_dim) = (self.config.heads, self.config.head_dim);
        let rows: Vec<Range<usize>> = (0..heads)
            .map(|head| (3 * head + part) * head_dim)
            .map(|start| start..start + head_dim)
            .collect();
        let n = 3 * heads * head_dim;
        let weight = self.checkpoint.matrix_rows(&format!("{name}.weight"), n, self.config.hidden, &rows)?;
        let bias = self.config.bias.qkv;
        let bias =
            bias.then(|| self.checkpoint.vector_rows(&format!("{name}.bias"), n, &rows)).transpose()?;
        let adapter = match a {
            Some(a) => self.low_rank_rows(name, a, &rows)?,
            None => None,
        };
        Ok(Linear { weight: Arc::new(weight), bias, adapter })
    }

    fn norm(&self, name: &str, width: usize) -> Result<Norm> {
        Ok(Norm {
            weight: self.checkpoint.vector(&format!("{name}.weight"), width)?,
            bias: match self.config.norm {
                config::Norm::Layer => Some(self.checkpoint.vector(&format!("{name}.bias"), width)?),
                config::Norm::Rms => None,
            },
            eps: self.config.norm_eps,
        })
    }
}

/// A matrix `[n, k]` of these numbers.
fn dense(n: usize, k: usize, numbers: &[f32]) -> Result<Matrix> {
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    Matrix::dense(Dtype::F32, n, k, bytes.into())
}
