//! Products that training needs beside `x · Wᵀ`: any two factors by strides, or weights as they are stored.
//!
//! Factors are packed into panels, a dozen rows against two vectors of columns, some pieces of the depth at once, and
//! multiplied in registers. Weights of any type are widened while they are packed, so that no f32 copy of a matrix
//! exists. An element is the sum over the depth in its order, piece by piece of at most [`DEPTH`]; threads and
//! instruction sets don't change a bit.

// Indices name registers: a row's, a vector's.
#![allow(clippy::needless_range_loop)]

use std::cell::Cell;
use std::ops::Range;

use super::simd::{Isa, Simd, Work};
use super::{Matrix, Out};

/// The most depth of a piece: two vectors of columns of it are half a level-1 cache.
const DEPTH: usize = 512;

/// The most rows of the left factor that are packed at once.
const ROWS: usize = 3072;

/// The most columns of the right factor that are packed at once.
const COLUMNS: usize = 4096;

/// The most numbers of a factor that are packed at once, unless one piece has more.
const PACKED: usize = DEPTH * COLUMNS;

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
        let of = Gemm { right: self.right.in_f32(), ..*self };
        let out = Out(out.as_mut_ptr());
        let is_small = m * n * k < SPLIT_FROM;
        let most = match of.right {
            // Rows of stored weights are widened whole.
            Right::Weights(_) => n,
            Right::View(_) | Right::Transposed(_) => COLUMNS,
        };
        let all = k.div_ceil(DEPTH);
        // Whatever is packed and multiplied at once, threads wait for each other afterwards.
        let widest = n.min(most).next_multiple_of(N * LANES).max(m.min(ROWS).next_multiple_of(M));
        let together = (PACKED / (widest * k.div_ceil(all))).clamp(1, all);
        // Taken and not borrowed: while this thread waits for others, rayon may let it begin another product.
        let (mut left, mut right) = SCRATCH.take();
        for first in (0..all).step_by(together) {
            let pieces = Pieces { k, all, range: first..all.min(first + together) };
            for first in (0..n).step_by(most) {
                let columns = first..n.min(first + most);
                let panels = columns.len().div_ceil(N * LANES);
                grow(&mut right, panels * N * LANES * pieces.depth());
                for first in (0..m).step_by(ROWS) {
                    let rows = first..m.min(first + ROWS);
                    let groups = rows.len().div_ceil(M);
                    grow(&mut left, groups * M * pieces.depth());
                    let (to_left, to_right) = (Out(left.as_mut_ptr()), Out(right.as_mut_ptr()));
                    let pack_right = || {
                        if rows.start == 0 {
                            of.pack_right::<N>(isa, is_small, columns.clone(), &pieces, to_right);
                        }
                    };
                    let pack_left = || {
                        // Rows that are all there is are packed already, for the columns before.
                        if columns.start == 0 || m > ROWS {
                            of.pack_left::<M>(isa, is_small, rows.clone(), &pieces, to_left);
                        }
                    };
                    if is_small {
                        pack_right();
                        pack_left();
                    } else {
                        rayon::join(pack_right, pack_left);
                    }
                    split(is_small, panels * groups, M * N * LANES * pieces.depth(), |range| {
                        let task = Task::<M, N> {
                            left: &left,
                            right: &right,
                            pieces: &pieces,
                            groups,
                            panels,
                            range,
                            rows: rows.clone(),
                            columns: columns.clone(),
                            out,
                            stride,
                            scale: of.scale,
                            add: of.add,
                        };
                        // SAFETY: the panels hold the pieces whole; the tiles of the range are this task's alone and
                        // inside `out`, whose length was checked; `isa` is this processor's.
                        unsafe { isa.run(task) }
                    });
                }
            }
        }
        SCRATCH.set((left, right));
    }

    /// Of each piece `[panels][depth][N * LANES]` of the right factor, with zeros beyond its columns. `packed` has room for
    /// them.
    fn pack_right<const N: usize>(
        &self,
        isa: Isa,
        is_small: bool,
        columns: Range<usize>,
        pieces: &Pieces,
        packed: Out,
    ) {
        let width = N * LANES;
        let panels = columns.len().div_ceil(width);
        let to = |piece: usize| packed.at(pieces.before(piece) * panels * width);
        match self.right {
            Right::View(View { data, row, column: 1 }) => {
                pieces.split(is_small, panels, width, |piece, panels| {
                    let depth = pieces.of(piece);
                    let task = PackRows::<N> {
                        data,
                        row,
                        columns: columns.clone(),
                        panels,
                        depth,
                        to: Out(to(piece)),
                    };
                    // SAFETY: `packed` has so many elements for every panel of a piece, and each panel is one thread's;
                    // `isa` is this processor's.
                    unsafe { isa.run(task) }
                });
            }
            Right::View(View { data, row, column }) => {
                pieces.split(is_small, panels, width, |piece, panels| {
                    let depth = pieces.of(piece);
                    for panel in panels {
                        let from = columns.start + panel * width;
                        let count = width.min(columns.end - from);
                        let lines = Lines { data, first: from * column, line: column, step: row, count };
                        // SAFETY: as above.
                        unsafe {
                            let to = to(piece).add(panel * width * depth.len());
                            let to = std::slice::from_raw_parts_mut(to, width * depth.len());
                            interleave::<N>(isa, lines, depth.clone(), to);
                        }
                    }
                });
            }
            Right::Transposed(weights) => pieces.split(is_small, panels, width, |piece, panels| {
                let depth = pieces.of(piece);
                let mut wide = WIDE.take();
                grow(&mut wide, width * depth.len());
                for panel in panels {
                    let from = columns.start + panel * width;
                    let count = width.min(columns.end - from);
                    for (column, wide) in (from..from + count).zip(wide.chunks_exact_mut(depth.len())) {
                        weights.part(column, depth.clone(), wide);
                    }
                    let lines = Lines { data: &wide, first: 0, line: depth.len(), step: 1, count };
                    // SAFETY: as above.
                    unsafe {
                        let to = to(piece).add(panel * width * depth.len());
                        let to = std::slice::from_raw_parts_mut(to, width * depth.len());
                        interleave::<N>(isa, lines, 0..depth.len(), to);
                    }
                }
                WIDE.set(wide);
            }),
            // Whole rows are widened.
            Right::Weights(weights) => split(is_small, pieces.depth(), columns.len(), |range| {
                let n = columns.len();
                let mut wide = WIDE.take();
                grow(&mut wide, n);
                let start = pieces.of(pieces.range.start).start;
                for piece in pieces.range.clone() {
                    let depth = pieces.of(piece);
                    let own = depth.start.max(start + range.start)..depth.end.min(start + range.end);
                    for p in own {
                        weights.row(p, &mut wide[..n]);
                        for (panel, row) in wide[..n].chunks(width).enumerate() {
                            let at = (panel * depth.len() + p - depth.start) * width;
                            // SAFETY: as above; each row of the panels is one thread's.
                            let to = unsafe { std::slice::from_raw_parts_mut(to(piece).add(at), width) };
                            to[..row.len()].copy_from_slice(row);
                            to[row.len()..].fill(0.0);
                        }
                    }
                }
                WIDE.set(wide);
            }),
        }
    }

    /// Of each piece `[groups][depth][M]` of the left factor's rows, with zeros beyond them. `packed` has room for them.
    fn pack_left<const M: usize>(
        &self,
        isa: Isa,
        is_small: bool,
        rows: Range<usize>,
        pieces: &Pieces,
        packed: Out,
    ) {
        let View { data, row, column } = self.left;
        let groups = rows.len().div_ceil(M);
        pieces.split(is_small, groups, M, |piece, some| {
            let depth = pieces.of(piece);
            let to = Out(packed.at(pieces.before(piece) * groups * M));
            // SAFETY: `packed` has so many elements for every group of a piece, and each group is one thread's; `isa` is
            // this processor's.
            unsafe {
                if row == 1 {
                    let task = PackColumns::<M> { data, column, rows: rows.clone(), groups: some, depth, to };
                    return isa.run(task);
                }
                for group in some {
                    let first = rows.start + group * M;
                    let count = M.min(rows.end - first);
                    let lines = Lines { data, first: first * row, line: row, step: column, count };
                    let at = group * M * depth.len();
                    let to = std::slice::from_raw_parts_mut(to.at(at), M * depth.len());
                    isa.run(Interleave::<M> { lines, depth: depth.clone(), to, stride: M });
                }
            }
        });
    }
}

impl<'a> Right<'a> {
    /// Weights in f32 as the plain numbers that they are.
    fn in_f32(self) -> Self {
        match self {
            Self::Weights(weights) => {
                weights.floats().map_or(self, |data| Self::View(View::rows(data, weights.k())))
            }
            Self::Transposed(weights) => {
                weights.floats().map_or(self, |data| Self::View(View::rows(data, weights.k()).transposed()))
            }
            Self::View(_) => self,
        }
    }
}

/// Some of the pieces that the depth is parted into.
struct Pieces {
    k: usize,
    /// How many there are in all.
    all: usize,
    range: Range<usize>,
}

impl Pieces {
    /// The depth of a piece.
    fn of(&self, piece: usize) -> Range<usize> {
        super::part(self.k, self.all, piece)
    }

    /// How much depth the pieces before it have.
    fn before(&self, piece: usize) -> usize {
        self.of(piece).start - self.of(self.range.start).start
    }

    /// How much all have.
    fn depth(&self) -> usize {
        self.before(self.range.end - 1) + self.of(self.range.end - 1).len()
    }

    /// Calls `f` with every piece and ranges of `parts` that together are all of them; each part has so many numbers for
    /// each of the depth.
    fn split(&self, is_small: bool, parts: usize, numbers: usize, f: impl Fn(usize, Range<usize>) + Sync) {
        let deep = self.depth().div_ceil(self.range.len());
        split(is_small, self.range.len() * parts, numbers * deep, |range| {
            for piece in range.start / parts..range.end.div_ceil(parts) {
                let first = piece * parts;
                f(
                    self.range.start + piece,
                    range.start.max(first) - first..range.end.min(first + parts) - first,
                );
            }
        });
    }
}

/// Lines of numbers that are wanted side by side.
#[derive(Clone, Copy)]
struct Lines<'a> {
    data: &'a [f32],
    /// Where the first one begins.
    first: usize,
    /// From one line to the next.
    line: usize,
    /// From one number of a line to the next.
    step: usize,
    count: usize,
}

/// `[depth][W]` of at most [`LANES`] lines that lie along the depth, with zeros beyond them.
struct Interleave<'a, const W: usize> {
    lines: Lines<'a>,
    depth: Range<usize>,
    to: &'a mut [f32],
    /// From one depth to the next.
    stride: usize,
}

impl<const W: usize> Work for Interleave<'_, W> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { lines: Lines { data, first, line, step, count }, depth, to, stride } = self;
        let whole = if step == 1 { depth.len() / LANES * LANES } else { 0 };
        for start in (0..whole).step_by(LANES) {
            // SAFETY: the processor has the features; slices are checked.
            unsafe {
                let mut v = [S::zero(); LANES];
                for (i, v) in v.iter_mut().enumerate().take(W) {
                    if i < count {
                        let at = first + i * line + depth.start + start;
                        *v = S::load(data[at..at + LANES].as_ptr());
                    }
                }
                for (p, v) in S::transpose(v).into_iter().enumerate() {
                    let to = &mut to[(start + p) * stride..][..W];
                    if W == LANES {
                        S::store(to.as_mut_ptr(), v);
                    } else {
                        let mut row = [0.0; LANES];
                        S::store(row.as_mut_ptr(), v);
                        to.copy_from_slice(&row[..W]);
                    }
                }
            }
        }
        for p in whole..depth.len() {
            let at = first + (depth.start + p) * step;
            for (i, to) in to[p * stride..][..W].iter_mut().enumerate() {
                *to = if i < count { data[at + i * line] } else { 0.0 };
            }
        }
    }
}

/// `[depth][N * LANES]` of lines that lie along the depth, with zeros beyond them.
///
/// # Safety
/// `isa` is this processor's.
unsafe fn interleave<const N: usize>(isa: Isa, lines: Lines<'_>, depth: Range<usize>, to: &mut [f32]) {
    for group in 0..N {
        let before = group * LANES;
        let lines = Lines {
            first: lines.first + before * lines.line,
            count: lines.count.saturating_sub(before).min(LANES),
            ..lines
        };
        let (depth, to) = (depth.clone(), &mut to[before..]);
        // SAFETY: passed on to the caller.
        unsafe { isa.run(Interleave::<LANES> { lines, depth, to, stride: N * LANES }) };
    }
}

/// Parts side by side that are packed together, so that what is read lies together.
const SIDE: usize = 4;

/// Panels `[depth][N * LANES]` of rows of numbers, with zeros beyond their columns.
struct PackRows<'a, const N: usize> {
    data: &'a [f32],
    /// From one row to the next.
    row: usize,
    /// The columns that the panels are of.
    columns: Range<usize>,
    /// Which panels.
    panels: Range<usize>,
    depth: Range<usize>,
    /// The first panel.
    to: Out,
}

impl<const N: usize> Work for PackRows<'_, N> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let width = N * LANES;
        let depth = self.depth.len();
        for first in self.panels.clone().step_by(SIDE) {
            let panels = first..self.panels.end.min(first + SIDE);
            for p in 0..depth {
                let row = &self.data[(self.depth.start + p) * self.row..];
                for panel in panels.clone() {
                    let at = self.columns.start + panel * width;
                    let from = &row[at..self.columns.end.min(at + width)];
                    // SAFETY: the panels are the caller's, and the processor has the features.
                    unsafe {
                        let to = self.to.at((panel * depth + p) * width);
                        if from.len() == width {
                            for j in 0..N {
                                S::store(to.add(j * LANES), S::load(from.as_ptr().add(j * LANES)));
                            }
                            continue;
                        }
                        let to = std::slice::from_raw_parts_mut(to, width);
                        to[..from.len()].copy_from_slice(from);
                        to[from.len()..].fill(0.0);
                    }
                }
            }
        }
    }
}

/// Groups `[depth][M]` of rows whose numbers of one depth lie side by side, with zeros beyond the rows.
struct PackColumns<'a, const M: usize> {
    data: &'a [f32],
    /// From one depth to the next.
    column: usize,
    /// The rows that the groups are of.
    rows: Range<usize>,
    /// Which groups.
    groups: Range<usize>,
    depth: Range<usize>,
    /// The first group.
    to: Out,
}

impl<const M: usize> Work for PackColumns<'_, M> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let depth = self.depth.len();
        for first in self.groups.clone().step_by(SIDE) {
            let groups = first..self.groups.end.min(first + SIDE);
            for p in 0..depth {
                let column = &self.data[(self.depth.start + p) * self.column..];
                for group in groups.clone() {
                    let at = self.rows.start + group * M;
                    let from = &column[at..self.rows.end.min(at + M)];
                    // SAFETY: the groups are the caller's.
                    let to = unsafe { &mut *self.to.at((group * depth + p) * M).cast::<[f32; M]>() };
                    if let Some(from) = from.first_chunk::<M>() {
                        *to = *from;
                    } else {
                        to[..from.len()].copy_from_slice(from);
                        to[from.len()..].fill(0.0);
                    }
                }
            }
        }
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
    /// Rows of weights, widened.
    static WIDE: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// Tiles of some pieces: the panels of columns one after the other, for each the pieces and the groups of rows.
struct Task<'a, const M: usize, const N: usize> {
    left: &'a [f32],
    right: &'a [f32],
    pieces: &'a Pieces,
    /// How many groups of `M` rows there are.
    groups: usize,
    /// How many panels of columns.
    panels: usize,
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
        for panel in self.range.start / self.groups..self.range.end.div_ceil(self.groups) {
            let first = panel * self.groups;
            let groups = self.range.start.max(first) - first..self.range.end.min(first + self.groups) - first;
            for piece in self.pieces.range.clone() {
                for group in groups.clone() {
                    // SAFETY: passed on to the caller.
                    unsafe { self.tile::<S>(panel, piece, group) }
                }
            }
        }
    }
}

impl<const M: usize, const N: usize> Task<'_, M, N> {
    /// A tile's products over a piece.
    ///
    /// # Safety
    /// As [`Work::run`].
    #[inline(always)]
    unsafe fn tile<S: Simd>(&self, panel: usize, piece: usize, group: usize) {
        let width = N * LANES;
        let depth = self.pieces.of(piece).len();
        let before = self.pieces.before(piece);
        let first = self.rows.start + group * M;
        let rows = M.min(self.rows.end - first);
        let at = self.columns.start + panel * width;
        let columns = width.min(self.columns.end - at);
        let left = self.left[(before * self.groups + group * depth) * M..][..depth * M].as_ptr();
        let right = self.right[(before * self.panels + panel * depth) * width..][..depth * width].as_ptr();
        let add = self.add || piece > 0;
        // SAFETY: the slices hold the whole depth, and the caller's output these rows and columns.
        unsafe {
            let mut acc = [[S::zero(); N]; M];
            for p in 0..depth {
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
                        let v = if add {
                            S::fma(acc[i][j], scale, S::load(to))
                        } else {
                            S::mul(acc[i][j], scale)
                        };
                        S::store(to, v);
                        continue;
                    }
                    if add {
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

#[cfg(test)]
mod tests {
    use super::super::tests::random;
    use super::super::{Bytes, Dtype};
    use super::*;

    /// An element of the product in f64.
    fn element(of: &Gemm<'_>, i: usize, j: usize) -> f64 {
        let [_, n, k] = of.shape;
        let right = |p: usize| match of.right {
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
        let left = |p: usize| of.left.data[i * of.left.row + p * of.left.column];
        let sum: f64 = (0..k).map(|p| f64::from(left(p)) * f64::from(right(p))).sum();
        f64::from(of.scale) * sum
    }

    /// The product in f64, added to `out`.
    fn exact(of: &Gemm<'_>, out: &[f32], stride: usize) -> Vec<f64> {
        let [m, n, _] = of.shape;
        let element = |(i, j)| {
            let old = if of.add { f64::from(out[i * stride + j]) } else { 0.0 };
            old + element(of, i, j)
        };
        (0..m).flat_map(|i| (0..n).map(move |j| (i, j))).map(element).collect()
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
    fn threads_and_pieces_that_are_packed_apart_change_no_bit() {
        // Three pieces, of which one is packed at a time.
        let [m, n, k] = [9, COLUMNS + 4, 2 * DEPTH + 76];
        assert!(m * n * k > SPLIT_FROM && PACKED < 2 * COLUMNS * k.div_ceil(3));
        let (a, b) = (random(1, m * k), random(2, k * n));
        let f32s: Vec<u8> = b.iter().flat_map(|v| v.to_le_bytes()).collect();
        let bf16s: Vec<u8> =
            b.iter().flat_map(|v| half::bf16::from_f32(*v).to_bits().to_le_bytes()).collect();
        let stored =
            |dtype, n, k, bytes: &[u8]| Matrix::dense(dtype, n, k, Bytes::from(bytes.to_vec())).unwrap();
        let weights = [stored(Dtype::Bf16, k, n, &bf16s), stored(Dtype::F32, k, n, &f32s)];
        let transposed = [stored(Dtype::Bf16, n, k, &bf16s), stored(Dtype::F32, n, k, &f32s)];
        let rights = [
            Right::View(View::rows(&b, n)),
            Right::View(View::rows(&b, k).transposed()),
            Right::Weights(&weights[0]),
            Right::Weights(&weights[1]),
            Right::Transposed(&transposed[0]),
            Right::Transposed(&transposed[1]),
        ];
        for (number, right) in rights.into_iter().enumerate() {
            let left = if number % 2 == 0 { View::rows(&a, k) } else { View::rows(&a, m).transposed() };
            let of = Gemm { left, right, shape: [m, n, k], scale: 1.0, add: false };
            let [alone, together] = [1, 4].map(|threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let mut out = vec![f32::NAN; m * n];
                pool.install(|| of.run(&mut out, n));
                out
            });
            assert!(alone == together, "factor {number}: four threads give other bits");
            for (i, j) in [(0, 0), (m - 1, n - 1), (3, COLUMNS - 1), (5, COLUMNS), (8, 17)] {
                let far = (f64::from(alone[i * n + j]) - element(&of, i, j)).abs();
                assert!(far < 2e-5 * (k as f64).sqrt(), "factor {number}, ({i}, {j}): {far}");
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
