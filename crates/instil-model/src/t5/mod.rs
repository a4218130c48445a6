//! T5: encoder-decoder models (Raffel et al. 2020), as transformers computes them.
//!
//! The encoder reads a prompt whole, once. What the decoder sees of it, keys and values of every layer, goes into the
//! blocks of a [`Cache`] beside those of the decoder's own tokens, so that a new token costs one row. Every row's numbers
//! are the same bits whatever rows stand beside it, as with [`decoder`](crate::decoder).

pub(crate) mod attention;
mod config;
mod linear;
mod load;
pub(crate) mod names;
pub(crate) mod position;

use std::ops::Range;
use std::sync::Arc;

use candle_core::{Device, Result, Storage, Tensor, bail};
use rayon::prelude::*;

use self::attention::{Attention, by_head, by_row};
pub use self::config::{Activation, Config};
use self::linear::Linear;
pub(crate) use self::load::embedding;
use self::position::{Buckets, Sees, Shifts};
use crate::decoder::{BLOCK, Cache, Cost, Segment, Step};
use crate::kernel::shifted::{self, Shifted};
use crate::kernel::{Matrix, attend, rows};
use crate::numbers::Numbers;

/// An encoder-decoder with its weights.
pub struct T5 {
    config: Config,
    /// `[vocab, hidden]`, of both halves.
    embed: Arc<Matrix>,
    encoder: Stack,
    decoder: Stack,
    /// `[vocab, hidden]`
    head: Linear,
}

/// One of the two halves.
struct Stack {
    blocks: Vec<Block>,
    /// The weight of the norm after the last block.
    norm: Vec<f32>,
    /// What distances add to scores, `[buckets, heads]`, in every block.
    positions: Vec<f32>,
}

/// Attention, in the decoder attention to what the encoder read, and the feed-forward layer, each after a norm.
struct Block {
    norm: Vec<f32>,
    attention: Projections,
    cross: Option<(Vec<f32>, Projections)>,
    feed_norm: Vec<f32>,
    feed: Feed,
}

/// Queries, keys and values, and what is made of the values' sums.
struct Projections {
    q: Linear,
    k: Linear,
    v: Linear,
    o: Linear,
}

/// The feed-forward layer.
struct Feed {
    /// `wi`, or the gate's `wi_0`.
    first: Linear,
    /// `wi_1`, where there is a gate.
    second: Option<Linear>,
    out: Linear,
    activation: Activation,
}

/// A prompt that the encoder reads, and the blocks of the cache that what it makes of it goes to.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// All of the prompt.
    pub tokens: &'a [u32],
    /// Room for as many tokens.
    pub blocks: &'a [u32],
}

/// Adds what `f` makes of the normed rows to them.
fn residual(x: &mut [f32], norm: &[f32], eps: f32, f: impl FnOnce(&[f32]) -> Vec<f32>) {
    let mut h = vec![0.0; x.len()];
    rows::rms_norm(x, norm, eps, &mut h);
    rows::add_in_place(x, &f(&h));
}

impl T5 {
    /// What it is.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// A cache of so many blocks for its decoder.
    pub fn cache(&self, blocks: usize) -> Cache {
        let Config { decoder_layers, heads, head_dim, .. } = self.config;
        Cache::of(decoder_layers, heads, head_dim, blocks)
    }

    /// What a pass over the decoder's rows takes at least; attention, which depends on the rows, isn't counted.
    pub fn cost(&self) -> Cost {
        let head = &self.head.weight;
        let mut cost = Cost { bytes: head.bytes(), row: 0, head: head.n() * head.k(), dtype: head.dtype() };
        for block in &self.decoder.blocks {
            let of = |attention: &'_ Projections, all: bool| {
                let Projections { q, k, v, o } = attention;
                let read = if all { vec![q, k, v, o] } else { vec![q, o] };
                read.into_iter().map(|linear| Arc::clone(&linear.weight)).collect::<Vec<_>>()
            };
            let mut matrices = of(&block.attention, true);
            matrices.extend(block.cross.iter().flat_map(|(_, attention)| of(attention, false)));
            let Feed { first, second, out, .. } = &block.feed;
            let feed = [Some(first), second.as_ref(), Some(out)].into_iter().flatten();
            matrices.extend(feed.map(|linear| Arc::clone(&linear.weight)));
            for matrix in matrices {
                cost.bytes += matrix.bytes();
                cost.row += matrix.n() * matrix.k();
                cost.dtype = matrix.dtype();
            }
        }
        cost
    }

    fn buckets(&self, sees: Sees) -> Buckets {
        Buckets { count: self.config.buckets, max_distance: self.config.max_distance, sees }
    }

    /// Reads prompts, and puts what the decoder's layers see of them into the cache. A prompt is read whole: each of its
    /// tokens sees all others.
    ///
    /// # Errors
    /// When a prompt has no token or too few blocks, which is a mistake of this crate.
    pub fn encode(&self, sources: &[Source<'_>], cache: &mut Cache) -> Result<()> {
        let Config { heads, head_dim, norm_eps, .. } = self.config;
        let mut segments: Vec<Segment> = Vec::with_capacity(sources.len());
        for Source { tokens, blocks } in sources {
            let first = segments.last().map_or(0, |last| last.rows.end);
            if tokens.is_empty() || tokens.len() > blocks.len() * BLOCK {
                bail!("a prompt of {} tokens for {} blocks", tokens.len(), blocks.len());
            }
            segments.push(Segment { rows: first..first + tokens.len(), start: 0, blocks: blocks.to_vec() });
        }
        let ranges: Vec<Range<usize>> = segments.iter().map(|segment| segment.rows.clone()).collect();
        let Some(longest) = ranges.iter().map(ExactSizeIterator::len).max() else { return Ok(()) };
        let tokens: Vec<u32> = sources.iter().flat_map(|source| source.tokens).copied().collect();
        let shifts = self.buckets(Sees::Both).spread(&self.encoder.positions, heads, longest);
        let attention = Attention {
            heads,
            head_dim,
            queries: &ranges,
            keys: &ranges,
            is_causal: false,
            shifts: Some(&shifts),
        };
        let mut x = self.embedded(&tokens); // [rows, hidden]
        for block in &self.encoder.blocks {
            let Projections { q, k, v, o } = &block.attention;
            residual(&mut x, &block.norm, norm_eps, |h| {
                let [q, k, v] = [q, k, v].map(|linear| by_head(&linear.forward(h), heads, head_dim));
                o.forward(&by_row(&attention.forward(&q, &k, &v), heads, head_dim))
            });
            residual(&mut x, &block.feed_norm, norm_eps, |h| block.feed.forward(h));
        }
        let mut read = vec![0.0; x.len()];
        rows::rms_norm(&x, &self.encoder.norm, norm_eps, &mut read);
        cache.layers().zip(&self.decoder.blocks).with_max_len(1).for_each(|(layer, block)| {
            let Some((_, Projections { k, v, .. })) = &block.cross else { return };
            layer.write(&k.forward(&read), &v.forward(&read), &segments);
        });
        Ok(())
    }

    /// The hidden states of the wanted rows, after the last norm and scaled for the head; keys and values of all rows are
    /// put into the cache. `sources` are the prompts of the step's segments, which [`T5::encode`] has read.
    ///
    /// # Errors
    /// When shapes don't fit, which is a mistake of this crate.
    pub fn forward(&self, step: &Step, sources: &[Source<'_>], cache: &mut Cache) -> Result<Tensor> {
        let Config { hidden, heads, head_dim, norm_eps, .. } = self.config;
        if sources.len() != step.segments.len() {
            bail!("{} prompts for {} sequences", sources.len(), step.segments.len());
        }
        let longest =
            step.segments.iter().map(|segment| segment.start + segment.rows.len()).max().unwrap_or(1);
        let shifts = self.buckets(Sees::Before).spread(&self.decoder.positions, heads, longest);
        let groups = groups(step, sources);
        let mut x = self.embedded(&step.tokens); // [rows, hidden]
        for (layer, block) in self.decoder.blocks.iter().enumerate() {
            let Projections { q, k, v, o } = &block.attention;
            residual(&mut x, &block.norm, norm_eps, |h| {
                cache.write_rows(layer, &k.forward(h), &v.forward(h), &step.segments);
                let q = by_head(&q.forward(h), heads, head_dim);
                o.forward(&by_row(&self.own(&q, layer, cache, step, &shifts), heads, head_dim))
            });
            if let Some((norm, Projections { q, o, .. })) = &block.cross {
                residual(&mut x, norm, norm_eps, |h| {
                    let q = by_head(&q.forward(h), heads, head_dim);
                    o.forward(&by_row(&self.across(&q, layer, cache, &groups), heads, head_dim))
                });
            }
            residual(&mut x, &block.feed_norm, norm_eps, |h| block.feed.forward(h));
        }
        let at = |row: &u32| *row as usize * hidden..(*row as usize + 1) * hidden;
        let wanted: Vec<f32> = step.wanted.iter().flat_map(|row| &x[at(row)]).copied().collect();
        let mut out = vec![0.0; wanted.len()];
        rows::rms_norm(&wanted, &self.decoder.norm, norm_eps, &mut out);
        if self.config.scales_outputs {
            let scale = self.config.output_scale();
            out.iter_mut().for_each(|number| *number *= scale);
        }
        Tensor::from_vec(out, (step.wanted.len(), hidden), &Device::Cpu)
    }

    /// The logits of hidden states `[rows, hidden]`, put into `out`: `[rows, vocab]`.
    ///
    /// # Errors
    /// When shapes don't fit, which is a mistake of this crate.
    pub fn logits(&self, hidden: &Tensor, out: &mut Vec<f32>) -> Result<()> {
        let (storage, layout) = hidden.storage_and_layout();
        let Storage::Cpu(storage) = &*storage else { bail!("weights are in the processor's memory") };
        let numbers = storage.as_slice::<f32>()?;
        match layout.contiguous_offsets() {
            Some((start, end)) => self.head.forward_into(&numbers[start..end], out),
            None => bail!("contiguous rows are wanted, not {layout:?}"),
        }
        Ok(())
    }

    /// `[rows]` -> `[rows, hidden]`
    fn embedded(&self, tokens: &[u32]) -> Vec<f32> {
        let hidden = self.config.hidden;
        let mut rows = vec![0.0; tokens.len() * hidden];
        for (row, token) in rows.chunks_exact_mut(hidden).zip(tokens) {
            self.embed.row(*token as usize, row);
        }
        rows
    }

    /// Attention to the decoder's own tokens: `[heads, rows, head_dim]` -> the same.
    fn own(&self, q: &[f32], layer: usize, cache: &Cache, step: &Step, shifts: &Shifts) -> Vec<f32> {
        let Config { heads, head_dim, .. } = self.config;
        let rows = step.tokens.len();
        // Of every row its sequence and its position.
        let places: Vec<(&Segment, usize)> = step
            .segments
            .iter()
            .flat_map(|segment| {
                (segment.start..).take(segment.rows.len()).map(move |position| (segment, position))
            })
            .collect();
        let mut out = vec![0.0; q.len()];
        out.par_chunks_mut(head_dim).enumerate().with_min_len(8).for_each_init(
            Vec::new,
            |scores, (number, out)| {
                let (head, row) = (number / rows, number % rows);
                let (segment, position) = places[row];
                shifted::attend(Shifted {
                    q: &q[number * head_dim..(number + 1) * head_dim],
                    keys: &cache.keys[layer],
                    values: &cache.values[layer],
                    blocks: &segment.blocks,
                    head: (head, heads),
                    shifts: shifts.row(head, position, 0..position + 1),
                    scores,
                    out,
                });
            },
        );
        out
    }

    /// Attention to what the encoder read: `[heads, rows, head_dim]` -> the same.
    fn across(
        &self,
        q: &[f32],
        layer: usize,
        cache: &Cache,
        groups: &[(Range<usize>, Source<'_>)],
    ) -> Vec<f32> {
        let Config { heads, head_dim, .. } = self.config;
        let rows = q.len() / (heads * head_dim);
        let mut out = vec![0.0; q.len()];
        let ranges: Vec<Range<usize>> = groups.iter().map(|(range, _)| range.clone()).collect();
        let parts = attention::parts(&mut out, heads, head_dim, &ranges);
        parts.into_par_iter().enumerate().for_each_init(Vec::new, |scores, (number, out)| {
            let (head, (range, source)) = (number / groups.len(), &groups[number % groups.len()]);
            attend::attend(attend::Attend {
                q: &q[(head * rows + range.start) * head_dim..(head * rows + range.end) * head_dim],
                keys: &cache.keys[layer],
                values: &cache.values[layer],
                blocks: &source.blocks[..source.tokens.len().div_ceil(BLOCK)],
                head: (head, heads),
                seen: 0..source.tokens.len(),
                scores,
                out,
                head_dim,
            });
        });
        out
    }
}

/// Rows side by side that see the same prompt, and are computed together.
fn groups<'a>(step: &Step, sources: &[Source<'a>]) -> Vec<(Range<usize>, Source<'a>)> {
    /// So many that the prompt's keys are read seldom, and threads have something to share.
    const MOST: usize = 32;
    let mut groups: Vec<(Range<usize>, Source<'a>)> = Vec::new();
    for (segment, source) in step.segments.iter().zip(sources) {
        for row in segment.rows.clone() {
            match groups.last_mut() {
                Some((range, last)) if std::ptr::eq(last.blocks, source.blocks) && range.len() < MOST => {
                    range.end += 1
                }
                _ => groups.push((row..row + 1, *source)),
            }
        }
    }
    groups
}

impl Feed {
    /// `[rows, hidden]` -> `[rows, hidden]`
    fn forward(&self, x: &[f32]) -> Vec<f32> {
        let first = self.first.forward(x);
        let second = self.second.as_ref().map(|second| second.forward(x));
        self.out.forward(&activated(self.activation, &first, second.as_deref()))
    }
}

/// What the feed-forward layer makes between its projections; `second` is there where it is gated.
pub(crate) fn activated(activation: Activation, first: &[f32], second: Option<&[f32]>) -> Numbers {
    let mut out = Numbers::unset(first.len());
    match (activation, second) {
        (Activation::GatedGelu, Some(second)) => rows::gelu_tanh_mul(first, second, &mut out),
        (Activation::GatedSilu, Some(second)) => rows::silu_mul(first, second, &mut out),
        _ => rows::relu(first, &mut out),
    }
    out
}
