//! Between rows of projections and heads: `[rows, heads * head_dim]` and `[heads, rows, head_dim]`, with the rotation of
//! queries and keys in between.

use rayon::prelude::*;

use crate::decoder::Config;
use crate::numbers::Numbers;

/// The angles of a pass's rows.
pub(in crate::train) struct Rotation {
    interleaved: bool,
    /// Pairs of dimensions that are turned.
    pairs: usize,
    /// `[rows, pairs]`
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl Rotation {
    /// For rows at these positions.
    pub(in crate::train) fn at(config: &Config, positions: impl Iterator<Item = usize>) -> Self {
        let frequencies = config.rope.frequencies();
        // Positions are far below 2^24, so they are exact in f32.
        let angles: Vec<f32> = positions
            .flat_map(|position| frequencies.iter().map(move |frequency| position as f32 * frequency))
            .collect();
        Self {
            interleaved: config.rope.interleaved,
            pairs: frequencies.len(),
            cos: angles.iter().map(|angle| angle.cos()).collect(),
            sin: angles.iter().map(|angle| angle.sin()).collect(),
        }
    }

    /// Turns a head of a row, or turns it back, which is what its gradient wants.
    fn turn(&self, row: usize, head: &mut [f32], back: bool) {
        let angles = row * self.pairs..(row + 1) * self.pairs;
        for (pair, (cos, sin)) in self.cos[angles.clone()].iter().zip(&self.sin[angles]).enumerate() {
            let sin = if back { -sin } else { *sin };
            let (one, two) =
                if self.interleaved { (2 * pair, 2 * pair + 1) } else { (pair, pair + self.pairs) };
            let (x, y) = (head[one], head[two]);
            head[one] = x * cos - y * sin;
            head[two] = y * cos + x * sin;
        }
    }
}

/// Where heads lie in rows.
#[derive(Clone, Copy)]
pub(in crate::train) struct Heads {
    /// Numbers in a row.
    pub(in crate::train) width: usize,
    /// Where the first head begins.
    pub(in crate::train) first: usize,
    /// From one head to the next.
    pub(in crate::train) stride: usize,
    pub(in crate::train) head_dim: usize,
    pub(in crate::train) count: usize,
}

impl Heads {
    /// Heads side by side that fill their rows.
    pub(in crate::train) fn alone(count: usize, head_dim: usize) -> Self {
        Self { width: count * head_dim, first: 0, stride: head_dim, head_dim, count }
    }

    /// Rows -> heads, turned if there is a rotation.
    pub(in crate::train) fn part(&self, rows: &[f32], rotation: Option<&Rotation>) -> Numbers {
        let count = rows.len() / self.width;
        let mut heads = Numbers::unset(self.count * count * self.head_dim);
        heads.par_chunks_mut(count * self.head_dim).enumerate().for_each(|(head, out)| {
            let at = self.first + head * self.stride;
            let rows = rows.chunks_exact(self.width);
            for (number, (out, row)) in out.chunks_exact_mut(self.head_dim).zip(rows).enumerate() {
                out.copy_from_slice(&row[at..at + self.head_dim]);
                if let Some(rotation) = rotation {
                    rotation.turn(number, out, false);
                }
            }
        });
        heads
    }

    /// Heads -> rows, turned back if there is a rotation; what lies between the heads stays.
    pub(in crate::train) fn join(&self, heads: &[f32], rotation: Option<&Rotation>, rows: &mut [f32]) {
        let count = rows.len() / self.width;
        rows.par_chunks_mut(self.width).enumerate().with_min_len(16).for_each(|(number, row)| {
            for head in 0..self.count {
                let at = self.first + head * self.stride;
                let out = &mut row[at..at + self.head_dim];
                out.copy_from_slice(&heads[(head * count + number) * self.head_dim..][..self.head_dim]);
                if let Some(rotation) = rotation {
                    rotation.turn(number, out, true);
                }
            }
        });
    }
}
