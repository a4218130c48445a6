//! One decoder for all families: its configuration, its weights and its forward pass.
//!
//! A step takes rows (tokens) of any number of sequences, each at its own position: whole prompts,
//! parts of prompts and single new tokens side by side. Every row's numbers are the same bits
//! whatever rows stand beside it, because each operation adds in an order that depends on the row
//! alone.

mod attention;
mod cache;
mod config;
mod config_gguf;
mod load;
pub(crate) mod names;
mod ops;

use std::ops::Range;
use std::sync::Arc;

use candle_core::{Device, Result, Tensor};

pub use cache::Cache;
pub(crate) use config::Keys;
pub use config::{Activation, Bias, Config, Family, Norm, Residual, Rope, RopeScaling};
use ops::{Add, Gelu, Linear, Rotate, SwiGlu};

pub use crate::kernel::attend::BLOCK;
use crate::kernel::{Dtype, Matrix};
use attention::Row;

/// A decoder-only transformer with its weights.
pub struct Decoder {
    config: Config,
    /// [vocab, hidden]
    embed: Arc<Matrix>,
    blocks: Vec<Block>,
    norm: ops::Norm,
    /// [vocab, hidden]
    head: Linear,
}

/// Attention and feed-forward.
struct Block {
    norm1: ops::Norm,
    /// None where one norm serves both parts.
    norm2: Option<ops::Norm>,
    /// [heads * head_dim, hidden]
    q: Linear,
    /// [kv_heads * head_dim, hidden]
    k: Linear,
    /// [kv_heads * head_dim, hidden]
    v: Linear,
    /// [head_dim]
    q_norm: Option<ops::Norm>,
    /// [head_dim]
    k_norm: Option<ops::Norm>,
    /// [hidden, heads * head_dim]
    out: Linear,
    feed: Feed,
}

/// The feed-forward layer.
enum Feed {
    /// `down(silu(gate x) * up x)`
    Gated {
        /// [intermediate, hidden]
        gate: Linear,
        /// [intermediate, hidden]
        up: Linear,
        /// [hidden, intermediate]
        down: Linear,
    },
    /// `down(activation(up x))`
    Plain {
        /// [intermediate, hidden]
        up: Linear,
        activation: Activation,
        /// [hidden, intermediate]
        down: Linear,
    },
}

/// Consecutive tokens of one sequence in a step.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Its rows of the step.
    pub rows: Range<usize>,
    /// The position of its first token.
    pub start: usize,
    /// The sequence's cache blocks from position 0 on; those of positions below `start` are filled.
    pub blocks: Vec<u32>,
}

/// What one forward pass computes.
#[derive(Clone, Debug, Default)]
pub struct Step {
    /// The tokens, one a row.
    pub tokens: Vec<u32>,
    /// Whose they are. Together they name each row once, in order.
    pub segments: Vec<Segment>,
    /// The rows whose hidden states are wanted, ascending.
    pub wanted: Vec<u32>,
}

impl Step {
    /// Adds tokens of a sequence whose earlier positions are in the cache.
    pub fn push(&mut self, tokens: &[u32], start: usize, blocks: &[u32]) {
        let first = self.tokens.len();
        self.tokens.extend_from_slice(tokens);
        self.segments.push(Segment { rows: first..self.tokens.len(), start, blocks: blocks.to_vec() });
    }

    /// Adds tokens behind those of the last sequence.
    pub fn extend(&mut self, tokens: &[u32]) {
        self.tokens.extend_from_slice(tokens);
        if let Some(segment) = self.segments.last_mut() {
            segment.rows.end = self.tokens.len();
        }
    }

    /// Whose each row is and where it stands.
    fn rows(&self) -> impl Iterator<Item = Row> {
        (0..).zip(&self.segments).flat_map(|(number, segment)| {
            // Positions are bounded by the model's window, far below 2^32.
            let start = segment.start as u32;
            (start..).take(segment.rows.len()).map(move |position| Row { segment: number, position })
        })
    }
}

/// What a forward pass takes at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Bytes of weights that are read, however many rows there are.
    pub bytes: usize,
    /// Multiply-adds with weights of each row.
    pub row: usize,
    /// Multiply-adds of each row whose logits are wanted, besides.
    pub head: usize,
    /// How the weights of the blocks are stored.
    pub dtype: Dtype,
}

impl Decoder {
    /// What a forward pass takes at least; attention, which depends on the rows, isn't counted.
    pub fn cost(&self) -> Cost {
        let head = &self.head.weight;
        let mut cost = Cost { bytes: head.bytes(), row: 0, head: head.n() * head.k(), dtype: head.dtype() };
        for block in &self.blocks {
            let feed = match &block.feed {
                Feed::Gated { gate, up, down } => vec![gate, up, down],
                Feed::Plain { up, down, .. } => vec![up, down],
            };
            for linear in [&block.q, &block.k, &block.v, &block.out].into_iter().chain(feed) {
                cost.bytes += linear.weight.bytes();
                cost.row += linear.weight.n() * linear.weight.k();
                cost.dtype = linear.weight.dtype();
            }
        }
        cost
    }

    /// What it is.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The hidden states of the wanted rows, after the last norm; keys and values of all rows are put into
    /// the cache.
    ///
    /// # Errors
    /// When shapes don't fit, which is a mistake of this crate.
    pub fn forward(&self, step: &Step, cache: &mut Cache) -> Result<Tensor> {
        let config = &self.config;
        let mut rows: Vec<Row> = step.rows().collect();
        let mut x = self.embedded(&step.tokens)?; // [rows, hidden]
        let mut rotate = Rotate::at(config, &rows);
        for (layer, block) in self.blocks.iter().enumerate() {
            let mut h = block.norm1.forward(&x)?; // [rows, hidden]
            let k = block.k.forward(&h)?; // [rows, kv_heads * head_dim]
            let v = block.v.forward(&h)?; // [rows, kv_heads * head_dim]
            let k = rotate.forward(&normed(&block.k_norm, k)?)?;
            cache.write(layer, &k, &v, &step.segments)?;
            if layer + 1 == config.layers {
                // From here on a row is of use to nobody but itself.
                let wanted = Tensor::new(step.wanted.as_slice(), &Device::Cpu)?;
                (x, h) = (x.index_select(&wanted, 0)?, h.index_select(&wanted, 0)?); // [wanted, hidden]
                rows = step.wanted.iter().map(|row| rows[*row as usize]).collect();
                rotate = Rotate::at(config, &rows);
            }
            let q = block.q.forward(&h)?; // [rows, heads * head_dim]
            let q = rotate.forward(&normed(&block.q_norm, q)?)?;
            let a = attention::attend(&q, config, layer, cache, &step.segments, &rows)?;
            let a = block.out.forward(&a)?; // [rows, hidden]
            x = match (config.residual, &block.norm2) {
                (Residual::Sequential, Some(norm2)) => {
                    let x = add(&x, &a)?;
                    add(&x, &block.feed.forward(&norm2.forward(&x)?)?)?
                }
                (_, Some(norm2)) => add(&add(&x, &a)?, &block.feed.forward(&norm2.forward(&x)?)?)?,
                (_, None) => add(&add(&x, &a)?, &block.feed.forward(&h)?)?,
            };
        }
        self.norm.forward(&x) // [wanted, hidden]
    }

    /// The logits of hidden states [rows, hidden], put into `out`: [rows, vocab].
    ///
    /// # Errors
    /// When shapes don't fit, which is a mistake of this crate.
    pub fn logits(&self, hidden: &Tensor, out: &mut Vec<f32>) -> Result<()> {
        self.head.forward_into(hidden, out)
    }

    /// [rows] -> [rows, hidden]
    fn embedded(&self, tokens: &[u32]) -> Result<Tensor> {
        let hidden = self.config.hidden;
        let mut rows = vec![0.0; tokens.len() * hidden];
        for (row, token) in rows.chunks_exact_mut(hidden).zip(tokens) {
            self.embed.row(*token as usize, row);
        }
        Tensor::from_vec(rows, (tokens.len(), hidden), &Device::Cpu)
    }
}

impl Feed {
    /// [rows, hidden] -> [rows, hidden]
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Gated { gate, up, down } => {
                let h = gate.forward(x)?.apply_op2_no_bwd(&up.forward(x)?, &SwiGlu)?; // [rows, intermediate]
                down.forward(&h)
            }
            Self::Plain { up, activation, down } => {
                let h = up.forward(x)?.apply_op1_no_bwd(&Gelu(*activation))?; // [rows, intermediate]
                down.forward(&h)
            }
        }
    }
}

/// [rows, hidden] + [rows, hidden]
fn add(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    x.apply_op2_no_bwd(y, &Add)
}

/// Heads normalised, where the family does that.
fn normed(norm: &Option<ops::Norm>, heads: Tensor) -> Result<Tensor> {
    match norm {
        Some(norm) => norm.forward(&heads),
        None => Ok(heads),
    }
}
