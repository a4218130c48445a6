//! Products that training needs beside `x · Wᵀ`: any two factors by strides, or weights as they are stored.
//!
//! Factors are packed piece by piece of the depth into panels, a dozen rows against two vectors of columns, and
//! multiplied in registers. Weights of any type are widened while they are packed, so that no f32 copy of a matrix
//! exists. An element is the sum over the depth in its order, piece by piece of at most [`DEPTH`]; threads and
//! instruction sets don't change a bit.

// Indices name registers: a row's, a vector's.
#![allow(clippy::needless_range_loop)]

use std::cell::Cell;
use std::ops::Range;

use super::simd::{Isa, Simd, Work};
use super::{Matrix, Out};

/// The most depth that is packed at once: two vectors of columns of it are half a level-1 cache.
const DEPTH: usize = 512;

/// The most rows of the left factor that are packed at once.
const ROWS: usize = 3072;

/// The most columns of the right factor that are packed at once.
const COLUMNS: usize = 4096;

/// Multiply-adds below which a product stays on its thread: smaller ones are parts of what is split already.
const SPLIT_FROM: usize = 1 << 22;

/// Lanes of a vector.
const LANES: usize = 16;

/// Numbers of two indices somewhere in a slice.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    /// What holds them; the first is number (0, 0).
    pub(crate) data: &'a [f32],
    /// From one row to the next.
    pub(crate) row: usize,
    /// From one column to the next.
    pub(crate) column: usize,
}

impl<'a> View<'a> {
    /// Rows of `width`, one after the other.
    pub(crate) fn rows(data: &'a [f32], width: usize) -> Self {
        Self { data, row: width, column: 1 }
    }

    /// Columns for rows.
    pub(crate) fn transposed(self) -> Self {
        Self { row: self.column, column: self.row, ..self }
    }

    /// That numbers of this shape lie in the slice.
    fn holds(&self, rows: usize, columns: usize) -> bool {
        rows == 0 || columns == 0 || (rows - 1) * self.row + (columns - 1) * self.column < self.data.len()
    }
}

/// The right factor of a product.
#[derive(Clone, Copy)]
pub(crate) enum Right<'a> {
    /// Plain numbers.
    View(View<'a>),
    /// Weights `[depth, columns]`, as they are stored.
    Weights(&'a Matrix),
    /// Weights `[columns, depth]`, as they are stored.
    Transposed(&'a Matrix),
}

/// `out = scale · left · right`, or added to what is there.
#[derive(Clone, Copy)]
pub(crate) struct Gemm<'a> {
    /// `[m, k]`
    pub(crate) left: View<'a>,
    /// `[k, n]`
    pub(crate) right: Right<'a>,
    /// `m`, `n` and `k`.
    pub(crate) shape: [usize; 3],
    /// What the product is multiplied with.
    pub(crate) scale: f32,
    /// Whether `out` keeps what it holds.
    pub(crate) add: bool,
}

impl Gemm<'_> {
    /// Computes it into rows of `out` that lie `stride` apart, on the threads of rayon's current pool.
    ///
    /// # Panics
    /// If a factor or `out` is too short for the shape, or the rows of `out` overlap.
    pub(crate) fn run(&self, out: &mut [f32], stride: usize) {
        self.run_with(Isa::detect(), out, stride);
    }

    /// [`Gemm::run`] with these instructions, which this processor must have.
    pub(super) fn run_with(&self, isa: Isa, out: &mut [f32], stride: usize) {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Bf16 | Isa::Avx512 => self.tiled::<12, 2>(isa, out, stride),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => self.tiled::<6, 1>(isa, out, stride),
            Isa::Portable => self.tiled::<4, 1>(isa, out, stride),
        }
    }

    fn tiled<const M: usize, const N: usize>(&self, isa: Isa, out: &mut [f32], stride: usize) {
        let [m, n, k] = self.shape;
        if m == 0 || n == 0 {
            return;
        }
        let fits = match self.right {
            Right::View(view) => view.holds(k, n),
            Right::Weights(weights) => weights.n() == k && weights.k() == n,
            Right::Transposed(weights) => weights.n() == n && weights.k() == k,
        };
        assert!(
            fits && self.left.holds(m, k) && stride >= n && out.len() >= (m - 1) * stride + n,
            "gemm: factors or output are too short for {m} x {n} x {k}"
        );
        if k == 0 {
            if !self.add {
                out.chunks_mut(stride).take(m).for_each(|row| row[..n].fill(0.0));
            }
            return;
        }
        let out = Out(out.as_mut_ptr());
        let is_small = m * n * k < SPLIT_FROM;
        let pieces = k.div_ceil(DEPTH);
        let most = match self.right {
            // Rows of stored weights are widened whole.
            Right::Weights(_) => n,
            Right::View(_) | Right::Transposed(_) => COLUMNS,
        };
        // Taken and not borrowed: while this thread waits for others, rayon may let it begin another product.
        let (mut left, mut right) = SCRATCH.take();
        for piece in 0..pieces {
            let depth = super::part(k, pieces, piece);
            for first in (0..n).step_by(most) {
                let columns = first..n.min(first + most);
                let panels = columns.len().div_ceil(N * LANES);
                grow(&mut right, panels * N * LANES * depth.len());
                self.pack_right::<N>(is_small, columns.clone(), depth.clone(), &mut right);
                for first in (0..m).step_by(ROWS) {
                    let rows = first..m.min(first + ROWS);
                    let groups = rows.len().div_ceil(M);
                    // Rows that are all there is are packed already, for the columns before.
                    if columns.start == 0 || m > ROWS {
                        grow(&mut left, groups * M * depth.len());
                        self.pack_left::<M>(is_small, rows.clone(), depth.clone(), &mut left);
                    }
                    let (left, right) = (&*left, &*right);
                    split(is_small, panels * groups, M * N * LANES * depth.len(), |range| {
                        let task = Task::<M, N> {
                            left,
                            right,
                            depth: depth.len(),
                            groups,
                            range,
                            rows: rows.clone(),
                            columns: columns.clone(),
                            out,
                            stride,
                            scale: self.scale,
                            add: self.add || piece > 0,
                        };
                        // SAFETY: the panels hold the piece whole; the tiles of the range are this task's alone and
                        // inside `out`, whose length was checked; `isa` is this processor's.
                        unsafe { isa.run(task) }
                    });
                }
            }
        }
        SCRATCH.set((left, right));
    }

    /// `[panels][depth][N * LANES]` of the right factor, with zeros beyond its columns.
    fn pack_right<const N: usize>(
        &self,
        is_small: bool,
        columns: Range<usize>,
        depth: Range<usize>,
        packed: &mut [f32],
    ) {
        let n = columns.len();
        let width = N * LANES;
        let panels = n.div_ceil(width);
        let to = Out(packed.as_mut_ptr());
        match self.right {
            Right::View(View { row: 1.., column: 2.., .. }) | Right::Transposed(_) => {
                split(is_small, panels, width * depth.len(), |range| {
                    for panel in range {
                        let at = panel * width * depth.len();
                        // SAFETY: `packed` has so many elements for every panel, and each panel is one thread's.
                        let to = unsafe { std::slice::from_raw_parts_mut(to.at(at), width * depth.len()) };
                        let from = columns.start + panel * width;
                        self.pack_columns(from..columns.end.min(from + width), width, depth.clone(), to);
                    }
                });
            }
            _ => split(is_small, depth.len(), n, |range| {
                let mut wide = WIDE.take();
                for p in range {
                    let row = match self.right {
                        Right::View(view) => &view.data[(depth.start + p) * view.row + columns.start..][..n],
                        Right::Weights(weights) => {
                            grow(&mut wide, n);
                            weights.row(depth.start + p, &mut wide[..n]);
                            &wide[..n]
                        }
                        Right::Transposed(_) => unreachable!("its columns are packed"),
                    };
                    for (panel, row) in row.chunks(width).enumerate() {
                        // SAFETY: as above; each row of the panels is one thread's.
                        let to = unsafe {
                            std::slice::from_raw_parts_mut(to.at((panel * depth.len() + p) * width), width)
                        };
                        to[..row.len()].copy_from_slice(row);
                        to[row.len()..].fill(0.0);
                    }
                }
                WIDE.set(wide);
            }),
        }
    }

    /// One panel `[depth][width]` of these columns, whose numbers lie along the depth.
    fn pack_columns(&self, all: Range<usize>, width: usize, depth: Range<usize>, packed: &mut [f32]) {
        let mut wide = WIDE.take();
        grow(&mut wide, LANES * depth.len());
        for group in (0..width).step_by(LANES) {
            let columns = LANES.min(all.len().saturating_sub(group));
            for (column, wide) in wide.chunks_exact_mut(depth.len()).take(columns).enumerate() {
                let from = all.start + group + column;
                match self.right {
                    Right::Transposed(weights) => weights.part(from, depth.clone(), wide),
                    Right::View(View { data, row, column }) => {
                        for (to, p) in wide.iter_mut().zip(depth.clone()) {
                            *to = data[p * row + from * column];
                        }
                    }
                    Right::Weights(_) => unreachable!("its rows are packed"),
                }
            }
            wide[columns * depth.len()..LANES * depth.len()].fill(0.0);
            for (p, to) in packed.chunks_exact_mut(width).enumerate() {
                for (column, to) in to[group..group + LANES].iter_mut().enumerate() {
                    *to = wide[column * depth.len() + p];
                }
            }
        }
        WIDE.set(wide);
    }

    /// `[groups][depth][M]` of the left factor's rows, with zeros beyond them.
    fn pack_left<const M: usize>(
        &self,
        is_small: bool,
        rows: Range<usize>,
        depth: Range<usize>,
        packed: &mut [f32],
    ) {
        let View { data, row, column } = self.left;
        let groups = rows.len().div_ceil(M);
        let to = Out(packed.as_mut_ptr());
        split(is_small, groups, M * depth.len(), |range| {
            for group in range {
                // SAFETY: `packed` has so many elements for every group, and each group is one thread's.
                let to = unsafe {
                    std::slice::from_raw_parts_mut(to.at(group * depth.len() * M), depth.len() * M)
                };
                let first = rows.start + group * M;
                let count = M.min(rows.end - first);
                if row == 1 {
                    for (to, p) in to.chunks_exact_mut(M).zip(depth.clone()) {
                        to[..count].copy_from_slice(&data[p * column + first..][..count]);
                        to[count..].fill(0.0);
                    }
                    continue;
                }
                for i in 0..M {
                    for (to, p) in to.chunks_exact_mut(M).zip(depth.clone()) {
                        to[i] = if i < count { data[(first + i) * row + p * column] } else { 0.0 };
                    }
                }
            }
        });
    }
}

/// [`super::split`], but for small products.
fn split(is_small: bool, items: usize, cost: usize, f: impl Fn(Range<usize>) + Sync) {
    if is_small { f(0..items) } else { super::split(items, 1, cost, f) }
}

/// Makes room for `len` values.
fn grow(buffer: &mut Vec<f32>, len: usize) {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
}

thread_local! {
    /// The packed factors of a call, kept from call to call.
    static SCRATCH: Cell<(Vec<f32>, Vec<f32>)> = const { Cell::new((Vec::new(), Vec::new())) };
    /// A row of weights, widened.
    static WIDE: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// Tiles of a piece: the panels of columns one after the other, for each the groups of rows.
struct Task<'a, const M: usize, const N: usize> {
    left: &'a [f32],
    right: &'a [f32],
    depth: usize,
    /// How many groups of `M` rows there are.
    groups: usize,
    /// Which tiles.
    range: Range<usize>,
    /// The rows of `out` that the groups are of.
    rows: Range<usize>,
    /// Its columns that the panels are of.
    columns: Range<usize>,
    out: Out,
    stride: usize,
    scale: f32,
    add: bool,
}

impl<const M: usize, const N: usize> Work for Task<'_, M, N> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let width = N * LANES;
        for tile in self.range.clone() {
            let (panel, group) = (tile / self.groups, tile % self.groups);
            let first = self.rows.start + group * M;
            let rows = M.min(self.rows.end - first);
            let at = self.columns.start + panel * width;
            let columns = width.min(self.columns.end - at);
            let left = self.left[group * self.depth * M..][..self.depth * M].as_ptr();
            let right = self.right[panel * self.depth * width..][..self.depth * width].as_ptr();
            // SAFETY: the slices hold the whole depth, and the caller's output these rows and columns.
            unsafe {
                let mut acc = [[S::zero(); N]; M];
                for p in 0..self.depth {
                    let mut b = [S::zero(); N];
                    for j in 0..N {
                        b[j] = S::load(right.add((p * N + j) * LANES));
                    }
                    for i in 0..M {
                        let a = S::splat(*left.add(p * M + i));
                        for j in 0..N {
                            acc[i][j] = S::fma(a, b[j], acc[i][j]);
                        }
                    }
                }
                let scale = S::splat(self.scale);
                let mut edge = [0.0; LANES];
                for i in 0..rows {
                    for j in 0..N {
                        if j * LANES >= columns {
                            break;
                        }
                        let to = self.out.at((first + i) * self.stride + at + j * LANES);
                        let here = LANES.min(columns - j * LANES);
                        if here == LANES {
                            let v = if self.add {
                                S::fma(acc[i][j], scale, S::load(to))
                            } else {
                                S::mul(acc[i][j], scale)
                            };
                            S::store(to, v);
                            continue;
                        }
                        if self.add {
                            std::ptr::copy_nonoverlapping(to, edge.as_mut_ptr(), here);
                            let v = S::fma(acc[i][j], scale, S::load(edge.as_ptr()));
                            S::store(edge.as_mut_ptr(), v);
                        } else {
                            S::store(edge.as_mut_ptr(), S::mul(acc[i][j], scale));
                        }
                        std::ptr::copy_nonoverlapping(edge.as_ptr(), to, here);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::random;
    use super::super::{Bytes, Dtype};
    use super::*;

    /// The product in f64, added to `out`.
    fn exact(of: &Gemm<'_>, out: &[f32], stride: usize) -> Vec<f64> {
        let [m, n, k] = of.shape;
        let right = |p: usize, j: usize| match of.right {
            Right::View(view) => view.data[p * view.row + j * view.column],
            Right::Weights(weights) => {
                let mut row = vec![0.0; n];
                weights.row(p, &mut row);
                row[j]
            }
            Right::Transposed(weights) => {
                let mut row = vec![0.0; k];
                weights.row(j, &mut row);
                row[p]
            }
        };
        let element = |i: usize, j: usize| -> f64 {
            let left = |p: usize| of.left.data[i * of.left.row + p * of.left.column];
            let sum: f64 = (0..k).map(|p| f64::from(left(p)) * f64::from(right(p, j))).sum();
            let old = if of.add { f64::from(out[i * stride + j]) } else { 0.0 };
            old + f64::from(of.scale) * sum
        };
        (0..m).flat_map(|i| (0..n).map(move |j| (i, j))).map(|(i, j)| element(i, j)).collect()
    }

    #[test]
    fn products_are_those_of_f64_on_every_instruction_set() {
        for [m, n, k] in [
            [1, 1, 1],
            [3, 5, 2],
            [12, 32, 16],
            [13, 33, 700],
            [40, 70, 64],
            [7, 100, 1030],
            [2, 4200, 3],
            [3100, 2, 3],
        ] {
            let (a, b) = (random(1, m * k), random(2, k * n));
            let bytes: Vec<u8> =
                b.iter().flat_map(|v| half::bf16::from_f32(*v).to_bits().to_le_bytes()).collect();
            let weights = Matrix::dense(Dtype::Bf16, k, n, Bytes::from(bytes.clone())).unwrap();
            let transposed = Matrix::dense(Dtype::Bf16, n, k, Bytes::from(bytes)).unwrap();
            let lefts = [View::rows(&a, k), View::rows(&a, m).transposed()];
            let rights = [
                Right::View(View::rows(&b, n)),
                Right::View(View::rows(&b, k).transposed()),
                Right::Weights(&weights),
                Right::Transposed(&transposed),
            ];
            for (left, right) in lefts.iter().flat_map(|l| rights.iter().map(move |r| (*l, *r))) {
                for (scale, add) in [(1.0, false), (0.5, true)] {
                    let of = Gemm { left, right, shape: [m, n, k], scale, add };
                    let stride = n + 3;
                    let before = random(3, m * stride);
                    let wanted = exact(&of, &before, stride);
                    let mut first: Option<Vec<f32>> = None;
                    for isa in Isa::available() {
                        let mut out = before.clone();
                        of.run_with(isa, &mut out, stride);
                        for i in 0..m {
                            for j in 0..n {
                                let (found, wanted) = (f64::from(out[i * stride + j]), wanted[i * n + j]);
                                let far = (found - wanted).abs();
                                assert!(far < 2e-5 * (k as f64).sqrt(), "{isa:?} {m} {n} {k}: {far}");
                            }
                            assert_eq!(
                                out[i * stride + n..][..3],
                                before[i * stride + n..][..3],
                                "beyond a row"
                            );
                        }
                        let first = first.get_or_insert_with(|| out.clone());
                        assert!(*first == out, "{isa:?} gives other bits");
                    }
                }
            }
        }
    }

    #[test]
    fn more_rows_and_columns_than_are_packed_at_once_meet() {
        let [m, n, k] = [ROWS + 30, COLUMNS + 70, 2];
        let (a, b) = (random(1, m * k), random(2, k * n));
        let (left, right) = (View::rows(&a, k), Right::View(View::rows(&b, n)));
        let mut out = vec![0.0; m * n];
        Gemm { left, right, shape: [m, n, k], scale: 1.0, add: false }.run(&mut out, n);
        for (at, found) in out.iter().enumerate() {
            let (i, j) = (at / n, at % n);
            let wanted = a[2 * i] * b[j] + a[2 * i + 1] * b[n + j];
            assert!((found - wanted).abs() < 1e-5, "{i}, {j}: {found} for {wanted}");
        }
    }
}
