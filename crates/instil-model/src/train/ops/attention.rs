//! Causal attention within the segments of a pass; nothing is seen across their borders.
//!
//! Weights of attention are never kept: some rows at a time they are computed forward, and again backward.

use std::ops::Range;

use rayon::prelude::*;

use crate::kernel::gemm::{Gemm, Right, View};
use crate::kernel::{grad, rows};
use crate::numbers::Numbers;

/// Query rows whose scores are held at once.
const ROWS: usize = 128;

/// What attention is among: `[heads, rows, head_dim]` of queries, `[kv_heads, rows, head_dim]` of keys and values.
#[derive(Clone, Copy)]
pub(in crate::train) struct Attention<'a> {
    pub(in crate::train) heads: usize,
    pub(in crate::train) kv_heads: usize,
    pub(in crate::train) head_dim: usize,
    /// How many tokens back, itself included, a token sees; none sees all.
    pub(in crate::train) window: Option<usize>,
    /// The rows of each sequence; together they name each row once, in order.
    pub(in crate::train) segments: &'a [Range<usize>],
}

/// A sequence's part of a key head, with the query heads that it serves.
struct Task<'a> {
    kv_head: usize,
    segment: Range<usize>,
    /// By query head of the group: its rows of the output.
    out: Vec<&'a mut [f32]>,
    /// Of the keys' and values' gradients the rows; nothing forward.
    d_keys: &'a mut [f32],
    d_values: &'a mut [f32],
}

/// Parts `[heads, rows, head_dim]` into head after head the rows of each segment.
fn parts<'a>(
    all: &'a mut [f32],
    rows: usize,
    head_dim: usize,
    segments: &[Range<usize>],
) -> Vec<Vec<&'a mut [f32]>> {
    let part = |mut head: &'a mut [f32]| {
        let mut parts = Vec::with_capacity(segments.len());
        for segment in segments {
            let (one, rest) = head.split_at_mut(segment.len() * head_dim);
            parts.push(one);
            head = rest;
        }
        parts
    };
    all.chunks_exact_mut((rows * head_dim).max(1)).map(part).collect()
}

impl Attention<'_> {
    fn rows(&self) -> usize {
        self.segments.last().map_or(0, |last| last.end)
    }

    /// The rows of a segment in a head.
    fn of<'a>(&self, all: &'a [f32], head: usize, segment: &Range<usize>) -> &'a [f32] {
        let start = (head * self.rows() + segment.start) * self.head_dim;
        &all[start..start + segment.len() * self.head_dim]
    }

    /// A task for every key head and segment. Without gradients `d_keys` and `d_values` are empty.
    fn tasks<'a>(&self, out: &'a mut [f32], d_keys: &'a mut [f32], d_values: &'a mut [f32]) -> Vec<Task<'a>> {
        let (rows, head_dim) = (self.rows(), self.head_dim);
        let group = self.heads / self.kv_heads;
        let mut out = parts(out, rows, head_dim, self.segments).into_iter();
        let mut d_keys = parts(d_keys, rows, head_dim, self.segments).into_iter();
        let mut d_values = parts(d_values, rows, head_dim, self.segments).into_iter();
        let mut tasks = Vec::with_capacity(self.kv_heads * self.segments.len());
        for kv_head in 0..self.kv_heads {
            let mut heads: Vec<_> = out.by_ref().take(group).map(Vec::into_iter).collect();
            let mut d_keys = d_keys.next().unwrap_or_default().into_iter();
            let mut d_values = d_values.next().unwrap_or_default().into_iter();
            for segment in self.segments {
                tasks.push(Task {
                    kv_head,
                    segment: segment.clone(),
                    out: heads.iter_mut().filter_map(Iterator::next).collect(),
                    d_keys: d_keys.next().unwrap_or_default(),
                    d_values: d_values.next().unwrap_or_default(),
                });
            }
        }
        tasks
    }

    /// The keys that some rows of a segment see, and their weights `[rows, keys]`.
    fn weights(&self, q: &[f32], keys: &[f32], rows: Range<usize>, out: &mut Vec<f32>) -> Range<usize> {
        let head_dim = self.head_dim;
        let first = |row: usize| self.window.map_or(0, |window| (row + 1).saturating_sub(window));
        let seen = first(rows.start)..rows.end;
        out.resize(rows.len() * seen.len(), 0.0);
        let keys = View::rows(&keys[seen.start * head_dim..seen.end * head_dim], head_dim);
        Gemm {
            left: View::rows(&q[rows.start * head_dim..rows.end * head_dim], head_dim),
            right: Right::View(keys.transposed()),
            shape: [rows.len(), seen.len(), head_dim],
            scale: 1.0 / (head_dim as f32).sqrt(),
            add: false,
        }
        .run(out, seen.len());
        for (row, scores) in rows.zip(out.chunks_exact_mut(seen.len())) {
            let own = first(row) - seen.start..row + 1 - seen.start;
            scores[..own.start].fill(0.0);
            scores[own.end..].fill(0.0);
            rows::softmax(&mut scores[own]);
        }
        seen
    }

    /// Queries, keys and values -> `[heads, rows, head_dim]`, each head's weighted sum of values.
    pub(in crate::train) fn forward(&self, q: &[f32], k: &[f32], v: &[f32]) -> Numbers {
        let head_dim = self.head_dim;
        let group = self.heads / self.kv_heads;
        let mut all = Numbers::unset(q.len());
        self.tasks(&mut all, &mut [], &mut []).into_par_iter().for_each_init(Vec::new, |weights, task| {
            let (keys, values) =
                (self.of(k, task.kv_head, &task.segment), self.of(v, task.kv_head, &task.segment));
            for (number, out) in task.out.into_iter().enumerate() {
                let q = self.of(q, task.kv_head * group + number, &task.segment);
                for start in (0..task.segment.len()).step_by(ROWS) {
                    let rows = start..task.segment.len().min(start + ROWS);
                    let seen = self.weights(q, keys, rows.clone(), weights);
                    Gemm {
                        left: View::rows(weights, seen.len()),
                        right: Right::View(View::rows(&values[seen.start * head_dim..], head_dim)),
                        shape: [rows.len(), head_dim, seen.len()],
                        scale: 1.0,
                        add: false,
                    }
                    .run(&mut out[rows.start * head_dim..rows.end * head_dim], head_dim);
                }
            }
        });
        all
    }

    /// The gradients of queries, keys and values, given that of the output.
    pub(in crate::train) fn backward(&self, q: &[f32], k: &[f32], v: &[f32], d: &[f32]) -> [Numbers; 3] {
        let head_dim = self.head_dim;
        let scale = 1.0 / (head_dim as f32).sqrt();
        let group = self.heads / self.kv_heads;
        let mut d_q = Numbers::unset(q.len());
        let (mut d_k, mut d_v) = (Numbers::zeros(k.len()), Numbers::zeros(v.len()));
        let tasks = self.tasks(&mut d_q, &mut d_k, &mut d_v).into_par_iter();
        tasks.for_each_init(Default::default, |scratch: &mut [Vec<f32>; 2], task| {
            let (keys, values) =
                (self.of(k, task.kv_head, &task.segment), self.of(v, task.kv_head, &task.segment));
            let [weights, d_weights] = scratch;
            for (number, d_q) in task.out.into_iter().enumerate() {
                let head = task.kv_head * group + number;
                let (q, d) = (self.of(q, head, &task.segment), self.of(d, head, &task.segment));
                for start in (0..task.segment.len()).step_by(ROWS) {
                    let rows = start..task.segment.len().min(start + ROWS);
                    let seen = self.weights(q, keys, rows.clone(), weights);
                    let numbers = rows.start * head_dim..rows.end * head_dim;
                    let cached = seen.start * head_dim..seen.end * head_dim;
                    let (q, d) = (&q[numbers.clone()], &d[numbers.clone()]);
                    let all = [rows.len(), seen.len(), head_dim];
                    // How the values' sum depends on the weights and the values.
                    d_weights.resize(weights.len(), 0.0);
                    Gemm {
                        left: View::rows(d, head_dim),
                        right: Right::View(View::rows(&values[cached.clone()], head_dim).transposed()),
                        shape: all,
                        scale: 1.0,
                        add: false,
                    }
                    .run(d_weights, seen.len());
                    back(weights, d, all, 1.0, &mut task.d_values[cached.clone()]);
                    // How the weights depend on the scores, and those on queries and keys.
                    for (weights, d) in
                        weights.chunks_exact(seen.len()).zip(d_weights.chunks_exact_mut(seen.len()))
                    {
                        grad::softmax(weights, d);
                    }
                    Gemm {
                        left: View::rows(d_weights, seen.len()),
                        right: Right::View(View::rows(&keys[cached.clone()], head_dim)),
                        shape: [rows.len(), head_dim, seen.len()],
                        scale,
                        add: false,
                    }
                    .run(&mut d_q[numbers], head_dim);
                    back(d_weights, q, all, scale, &mut task.d_keys[cached]);
                }
            }
        });
        [d_q, d_k, d_v]
    }
}

/// `out[keys, dims] += scale · weights[rows, keys]ᵀ x[rows, dims]`
fn back(weights: &[f32], x: &[f32], [rows, keys, dims]: [usize; 3], scale: f32, out: &mut [f32]) {
    Gemm {
        left: View::rows(weights, keys).transposed(),
        right: Right::View(View::rows(x, dims)),
        shape: [keys, dims, rows],
        scale,
        add: true,
    }
    .run(out, dims);
}
