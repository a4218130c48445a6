//! A block of the decoder, forward and backward.

use std::ops::Range;

use super::ops::Dropout;
use super::ops::attention::Attention;
use super::ops::feed::{self, Feed};
use super::ops::heads::{Heads, Rotation};
use super::ops::linear::Linear;
use super::ops::norm::Norm;
use crate::decoder::{Config, Residual};
use crate::kernel::rows::add_in_place;
use crate::numbers::Numbers;

/// Attention and feed-forward.
pub(super) struct Block {
    pub(super) norm1: Norm,
    /// None where one norm serves both parts.
    pub(super) norm2: Option<Norm>,
    pub(super) projections: Projections,
    /// `[head_dim]`
    pub(super) q_norm: Option<Norm>,
    /// `[head_dim]`
    pub(super) k_norm: Option<Norm>,
    /// `[hidden, heads * head_dim]`
    pub(super) out: Linear,
    pub(super) feed: Feed,
}

/// Queries, keys and values.
pub(super) enum Projections {
    /// A projection each: queries `[heads * head_dim, hidden]`, keys and values `[kv_heads * head_dim, hidden]`.
    Apart(Box<[Linear; 3]>),
    /// One, head by head its query rows, its key rows and its value rows: `[3 * heads * head_dim, hidden]`.
    ByHead(Linear),
}

/// What a pass is over, the same for all blocks.
pub(super) struct Rows<'a> {
    pub(super) config: &'a Config,
    /// The trained weights.
    pub(super) weights: &'a [f32],
    /// The rows of each sequence; together they name each row once, in order.
    pub(super) segments: &'a [Range<usize>],
    pub(super) rotation: &'a Rotation,
    pub(super) dropout: Option<Dropout>,
}

/// What the way back needs of the way there, beside the block's input.
pub(super) struct Saved {
    /// After the first norm.
    h1: Numbers,
    /// By projection, what lies within its adapter.
    lows: Vec<Numbers>,
    /// Queries and keys before their norms, where they have any.
    raw: [Numbers; 2],
    /// Queries, keys and values by head.
    heads: [Numbers; 3],
    /// What `out` is given.
    attended: Numbers,
    out_low: Numbers,
    /// The input and the attention.
    x1: Numbers,
    /// After the second norm; nothing where there is none.
    h2: Numbers,
    feed: feed::Saved,
}

impl Saved {
    /// What the feed-forward layer is given.
    fn fed(&self) -> &[f32] {
        if self.h2.is_empty() { &self.h1 } else { &self.h2 }
    }
}

impl Block {
    /// Where queries, keys and values lie in what the projections give.
    fn places(&self, config: &Config) -> [Heads; 3] {
        let Config { heads, kv_heads, head_dim, .. } = *config;
        match &self.projections {
            Projections::Apart(_) => [heads, kv_heads, kv_heads].map(|count| Heads::alone(count, head_dim)),
            Projections::ByHead(_) => [0, 1, 2].map(|part| Heads {
                width: 3 * heads * head_dim,
                first: part * head_dim,
                stride: 3 * head_dim,
                head_dim,
                count: heads,
            }),
        }
    }

    fn attention<'a>(&self, rows: &Rows<'a>, layer: usize) -> Attention<'a> {
        let Config { heads, kv_heads, head_dim, .. } = *rows.config;
        Attention { heads, kv_heads, head_dim, window: rows.config.windows[layer], segments: rows.segments }
    }

    /// All but the last product, from the input `[rows, hidden]`.
    pub(super) fn saved(&self, rows: &Rows<'_>, layer: usize, x: &[f32]) -> Saved {
        let Rows { config, weights, rotation, dropout, .. } = *rows;
        let h1 = self.norm1.forward(weights, x);
        let (mut raw, mut lows) = (Vec::new(), Vec::new());
        let all = match &self.projections {
            Projections::Apart(all) => all.as_slice(),
            Projections::ByHead(one) => std::slice::from_ref(one),
        };
        for linear in all {
            let (y, low) = linear.forward(weights, &h1, dropout);
            raw.push(y);
            lows.push(low);
        }
        let norms = [&self.q_norm, &self.k_norm, &None];
        let mut kept: [Numbers; 2] = Default::default();
        let mut heads: [Numbers; 3] = Default::default();
        for (part, place) in self.places(config).iter().enumerate() {
            let rotation = (part < 2).then_some(rotation);
            heads[part] = match norms[part] {
                Some(norm) => {
                    kept[part] = std::mem::take(&mut raw[part]);
                    place.part(&norm.forward(weights, &kept[part]), rotation)
                }
                None => place.part(&raw[part.min(raw.len() - 1)], rotation),
            };
        }
        drop(raw);
        let attended = self.attention(rows, layer).forward(&heads[0], &heads[1], &heads[2]);
        let place = Heads::alone(config.heads, config.head_dim);
        let mut joined = Numbers::unset(attended.len());
        place.join(&attended, None, &mut joined);
        let attended = joined;
        let (mut x1, out_low) = self.out.forward(weights, &attended, dropout);
        add_in_place(&mut x1, x);
        let h2 = match (&self.norm2, config.residual) {
            (Some(norm), Residual::Sequential) => norm.forward(weights, &x1),
            (Some(norm), _) => norm.forward(weights, x),
            (None, _) => Numbers::default(),
        };
        let feed = self.feed.inner(weights, if h2.is_empty() { &h1 } else { &h2 }, dropout);
        Saved { h1, lows, raw: kept, heads, attended, out_low, x1, h2, feed }
    }

    /// The output `[rows, hidden]`.
    pub(super) fn output(&self, rows: &Rows<'_>, saved: &Saved) -> Numbers {
        let mut y = self.feed.outer(rows.weights, &saved.feed, rows.dropout);
        add_in_place(&mut y, &saved.x1);
        y
    }

    /// The gradient of the input `x`, in place of the output's in `d`; those of trained weights are added to `gradients`.
    /// Where nothing before the block is trained, what `d` holds afterwards is of no use, and isn't computed whole.
    pub(super) fn backward(
        &self,
        rows: &Rows<'_>,
        layer: usize,
        (x, saved): (&[f32], &Saved),
        d: &mut [f32],
        gradients: &mut [f32],
        is_wanted: bool,
    ) {
        let Rows { config, weights, rotation, dropout, .. } = *rows;
        let mut d_fed = Numbers::zeros(saved.fed().len());
        self.feed.backward(weights, (saved.fed(), &saved.feed), d, dropout, gradients, &mut d_fed);
        // `d` becomes the gradient of `x1` where the feed-forward layer is after the attention; beside it, that of the
        // attention's output is the block's, and what comes through the second norm waits.
        let mut d_x = Numbers::default();
        let mut d_h1 = match (&self.norm2, config.residual) {
            (Some(norm), Residual::Sequential) => {
                norm.backward(weights, &saved.x1, &d_fed, gradients, d);
                Numbers::zeros(x.len())
            }
            (Some(norm), _) => {
                d_x = Numbers::zeros(x.len());
                norm.backward(weights, x, &d_fed, gradients, &mut d_x);
                Numbers::zeros(x.len())
            }
            (None, _) => d_fed,
        };
        let mut d_attended = Numbers::zeros(saved.attended.len());
        let given = (&*saved.attended, &*saved.out_low);
        self.out.backward(weights, given, d, dropout, gradients, Some(&mut d_attended));
        let d_heads = Heads::alone(config.heads, config.head_dim).part(&d_attended, None);
        let [q, k, v] = &saved.heads;
        let d_parts = self.attention(rows, layer).backward(q, k, v, &d_heads);
        let places = self.places(config);
        let turned = |part: usize| (part < 2).then_some(rotation);
        match &self.projections {
            Projections::Apart(all) => {
                let norms = [&self.q_norm, &self.k_norm, &None];
                for (part, d_heads) in d_parts.iter().enumerate() {
                    let mut d = Numbers::unset(d_heads.len());
                    places[part].join(d_heads, turned(part), &mut d);
                    if let Some(norm) = norms[part] {
                        let mut d_raw = Numbers::zeros(d.len());
                        norm.backward(weights, &saved.raw[part], &d, gradients, &mut d_raw);
                        d = d_raw;
                    }
                    let given = (&*saved.h1, &*saved.lows[part]);
                    all[part].backward(
                        weights,
                        given,
                        &d,
                        dropout,
                        gradients,
                        is_wanted.then_some(&mut d_h1),
                    );
                }
            }
            Projections::ByHead(one) => {
                let mut d = Numbers::unset(3 * d_parts[0].len());
                for (part, d_heads) in d_parts.iter().enumerate() {
                    places[part].join(d_heads, turned(part), &mut d);
                }
                let given = (&*saved.h1, &*saved.lows[0]);
                one.backward(weights, given, &d, dropout, gradients, is_wanted.then_some(&mut d_h1));
            }
        }
        if !is_wanted {
            return;
        }
        if !d_x.is_empty() {
            add_in_place(d, &d_x);
        }
        self.norm1.backward(weights, x, &d_h1, gradients, d);
    }
}
