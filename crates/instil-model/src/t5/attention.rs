//! Attention of whole sequences, forward and backward: what the encoder does, and both halves while they learn.
//!
//! Sequences lie side by side, none sees another, and there is no padding. Scores aren't scaled: T5's weights are
//! drawn so that they needn't be. Weights of attention are never kept: some rows at a time they are computed
//! forward, and again backward.

use std::ops::Range;

use rayon::prelude::*;

use super::position::Shifts;
use crate::kernel::gemm::{Gemm, Right, View};
use crate::kernel::{grad, rows};
use crate::numbers::Numbers;

/// Query rows whose scores are held at once.
const ROWS: usize = 128;

/// Numbers for which waking another thread costs more than it gives.
const FEW: usize = 1 << 14;

/// What attention is among: `[heads, rows, head_dim]` of queries, and of keys and values.
#[derive(Clone, Copy)]
pub(crate) struct Attention<'a> {
    pub(crate) heads: usize,
    pub(crate) head_dim: usize,
    /// The query rows of each sequence; together they name each row once, in order.
    pub(crate) queries: &'a [Range<usize>],
    /// The rows of keys and values that those of the same place see, likewise.
    pub(crate) keys: &'a [Range<usize>],
    /// Whether a query sees no key after itself.
    pub(crate) is_causal: bool,
    /// What distances add to scores.
    pub(crate) shifts: Option<&'a Shifts>,
}

/// A sequence's part of a head.
struct Task<'a> {
    head: usize,
    place: usize,
    /// Its query rows of the output.
    out: &'a mut [f32],
    /// Its key rows of the keys' and values' gradients; nothing forward.
    d_keys: &'a mut [f32],
    d_values: &'a mut [f32],
}

/// Parts `[heads, rows, head_dim]` into head after head the rows of each segment.
pub(super) fn parts<'a>(
    mut all: &'a mut [f32],
    heads: usize,
    head_dim: usize,
    segments: &[Range<usize>],
) -> Vec<&'a mut [f32]> {
    let mut parts = Vec::with_capacity(heads * segments.len());
    for _ in 0..heads {
        for segment in segments {
            let (one, rest) = all.split_at_mut(segment.len() * head_dim);
            parts.push(one);
            all = rest;
        }
    }
    parts
}

fn rows_of(segments: &[Range<usize>]) -> usize {
    segments.last().map_or(0, |last| last.end)
}

impl Attention<'_> {
    /// A task for every head and sequence. Without gradients `d_keys` and `d_values` are empty.
    fn tasks<'a>(&self, out: &'a mut [f32], d_keys: &'a mut [f32], d_values: &'a mut [f32]) -> Vec<Task<'a>> {
        let of = |all: &'a mut [f32]| {
            let parted =
                if all.is_empty() { Vec::new() } else { parts(all, self.heads, self.head_dim, self.keys) };
            parted.into_iter()
        };
        let (mut d_keys, mut d_values) = (of(d_keys), of(d_values));
        parts(out, self.heads, self.head_dim, self.queries)
            .into_iter()
            .enumerate()
            .map(|(number, out)| Task {
                head: number / self.queries.len(),
                place: number % self.queries.len(),
                out,
                d_keys: d_keys.next().unwrap_or_default(),
                d_values: d_values.next().unwrap_or_default(),
            })
            .collect()
    }

    /// A sequence's rows of a head.
    fn part<'a>(&self, all: &'a [f32], head: usize, segments: &[Range<usize>], place: usize) -> &'a [f32] {
        let start = (head * rows_of(segments) + segments[place].start) * self.head_dim;
        &all[start..start + segments[place].len() * self.head_dim]
    }

    /// How many keys some query rows see, and their weights `[rows, keys]`.
    fn weights(&self, head: usize, q: &[f32], keys: &[f32], rows: Range<usize>, out: &mut Vec<f32>) -> usize {
        let head_dim = self.head_dim;
        let all = keys.len() / head_dim;
        let seen = if self.is_causal { rows.end.min(all) } else { all };
        out.resize(rows.len() * seen, 0.0);
        Gemm {
            left: View::rows(&q[rows.start * head_dim..rows.end * head_dim], head_dim),
            right: Right::View(View::rows(keys, head_dim).transposed()),
            shape: [rows.len(), seen, head_dim],
            scale: 1.0,
            add: false,
        }
        .run(out, seen);
        for (row, scores) in rows.zip(out.chunks_exact_mut(seen)) {
            let own = if self.is_causal { row + 1 } else { seen };
            scores[own..].fill(0.0);
            if let Some(shifts) = self.shifts {
                rows::add_in_place(&mut scores[..own], shifts.row(head, row, 0..own));
            }
            rows::softmax(&mut scores[..own]);
        }
        seen
    }

    /// Queries, keys and values -> `[heads, rows, head_dim]`, each head's weighted sum of values.
    pub(crate) fn forward(&self, q: &[f32], k: &[f32], v: &[f32]) -> Numbers {
        let head_dim = self.head_dim;
        let mut all = Numbers::unset(q.len());
        self.tasks(&mut all, &mut [], &mut []).into_par_iter().for_each_init(
            Vec::new,
            |weights, Task { head, place, out, .. }| {
                let q = self.part(q, head, self.queries, place);
                let (keys, values) =
                    (self.part(k, head, self.keys, place), self.part(v, head, self.keys, place));
                let len = self.queries[place].len();
                for start in (0..len).step_by(ROWS) {
                    let rows = start..len.min(start + ROWS);
                    let seen = self.weights(head, q, keys, rows.clone(), weights);
                    Gemm {
                        left: View::rows(weights, seen),
                        right: Right::View(View::rows(values, head_dim)),
                        shape: [rows.len(), head_dim, seen],
                        scale: 1.0,
                        add: false,
                    }
                    .run(&mut out[rows.start * head_dim..rows.end * head_dim], head_dim);
                }
            },
        );
        all
    }

    /// The gradients of queries, keys and values, given that of the output; those of the shifts are added to
    /// `d_shifts`, head by head and sequence by sequence.
    pub(crate) fn backward(
        &self,
        q: &[f32],
        k: &[f32],
        v: &[f32],
        d: &[f32],
        d_shifts: Option<&mut Shifts>,
    ) -> [Numbers; 3] {
        let head_dim = self.head_dim;
        let mut d_q = Numbers::unset(q.len());
        let (mut d_k, mut d_v) = (Numbers::zeros(k.len()), Numbers::zeros(v.len()));
        let has_shifts = d_shifts.is_some();
        let shifted: Vec<(usize, usize, Vec<f32>)> = self
            .tasks(&mut d_q, &mut d_k, &mut d_v)
            .into_par_iter()
            .map_init(
                Default::default,
                |scratch: &mut [Vec<f32>; 2], Task { head, place, out: d_q, d_keys, d_values }| {
                    let (q, d) =
                        (self.part(q, head, self.queries, place), self.part(d, head, self.queries, place));
                    let (keys, values) =
                        (self.part(k, head, self.keys, place), self.part(v, head, self.keys, place));
                    let [weights, d_weights] = scratch;
                    let len = self.queries[place].len();
                    // By distance, from the key `len - 1` places before its query on.
                    let mut by_distance = vec![0.0; if has_shifts { 2 * len - 1 } else { 0 }];
                    for start in (0..len).step_by(ROWS) {
                        let rows = start..len.min(start + ROWS);
                        let seen = self.weights(head, q, keys, rows.clone(), weights);
                        let numbers = rows.start * head_dim..rows.end * head_dim;
                        let (q, d) = (&q[numbers.clone()], &d[numbers.clone()]);
                        let all = [rows.len(), seen, head_dim];
                        // How the values' sum depends on the weights and the values.
                        d_weights.resize(weights.len(), 0.0);
                        Gemm {
                            left: View::rows(d, head_dim),
                            right: Right::View(View::rows(values, head_dim).transposed()),
                            shape: all,
                            scale: 1.0,
                            add: false,
                        }
                        .run(d_weights, seen);
                        back(weights, d, all, &mut d_values[..seen * head_dim]);
                        // How the weights depend on the scores, and those on queries, keys and shifts.
                        for (weights, d) in weights.chunks_exact(seen).zip(d_weights.chunks_exact_mut(seen)) {
                            grad::softmax(weights, d);
                        }
                        if has_shifts {
                            for (row, d) in rows.zip(d_weights.chunks_exact(seen)) {
                                rows::add_in_place(&mut by_distance[len - 1 - row..][..seen], d);
                            }
                        }
                        Gemm {
                            left: View::rows(d_weights, seen),
                            right: Right::View(View::rows(keys, head_dim)),
                            shape: [all[0], head_dim, seen],
                            scale: 1.0,
                            add: false,
                        }
                        .run(&mut d_q[numbers], head_dim);
                        back(d_weights, q, all, &mut d_keys[..seen * head_dim]);
                    }
                    (head, len, by_distance)
                },
            )
            .collect();
        if let Some(d_shifts) = d_shifts {
            for (head, len, by_distance) in shifted {
                // The first number is of the key farthest before the last query.
                let start = d_shifts.start(len - 1);
                d_shifts.add(head, start, &by_distance);
            }
        }
        [d_q, d_k, d_v]
    }
}

/// `out[keys, dims] += weights[rows, keys]ᵀ x[rows, dims]`
fn back(weights: &[f32], x: &[f32], [rows, keys, dims]: [usize; 3], out: &mut [f32]) {
    Gemm {
        left: View::rows(weights, keys).transposed(),
        right: Right::View(View::rows(x, dims)),
        shape: [keys, dims, rows],
        scale: 1.0,
        add: true,
    }
    .run(out, dims);
}

/// `[rows, heads * head_dim]` -> `[heads, rows, head_dim]`
pub(crate) fn by_head(rows: &[f32], heads: usize, head_dim: usize) -> Numbers {
    let width = heads * head_dim;
    let count = rows.len() / width;
    let mut out = Numbers::unset(rows.len());
    out.par_chunks_mut((count * head_dim).max(1))
        .enumerate()
        .with_min_len(FEW / (count * head_dim).max(1))
        .for_each(|(head, out)| {
            for (out, row) in out.chunks_exact_mut(head_dim).zip(rows.chunks_exact(width)) {
                out.copy_from_slice(&row[head * head_dim..(head + 1) * head_dim]);
            }
        });
    out
}

/// `[heads, rows, head_dim]` -> `[rows, heads * head_dim]`
pub(crate) fn by_row(by_head: &[f32], heads: usize, head_dim: usize) -> Numbers {
    let width = heads * head_dim;
    let count = by_head.len() / width;
    let mut out = Numbers::unset(by_head.len());
    out.par_chunks_mut(width).enumerate().with_min_len(FEW / width).for_each(|(number, row)| {
        for (head, out) in row.chunks_exact_mut(head_dim).enumerate() {
            out.copy_from_slice(&by_head[(head * count + number) * head_dim..][..head_dim]);
        }
    });
    out
}
