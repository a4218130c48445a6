//! Products with dense weights: f32, f16 and bf16, row-major as in their file.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ops::Range;

use super::simd::{Isa, Simd, Work};
use super::{Dtype, Line, Out, part, split};

/// Values of `k` whose products are summed in lanes before the lanes are added up. Four rows of them in f32 are half of a
/// level-1 cache.
const CHUNK: usize = 1024;

/// Steps of sixteen lanes in a chunk.
const STEPS: usize = CHUNK / 16;

/// Columns, which are rows of the weights, that are summed side by side.
const COLUMNS: usize = 4;

/// From this many rows on, operands are copied into the order in which they are read.
const PACK_FROM: usize = 16;

/// Rows of activations that stay in a level-2 cache while the columns pass: a chunk of 120 is 480 KiB.
const SLAB: usize = 120;

/// A stored type of weights.
trait Element {
    /// Bytes of one.
    const SIZE: usize;

    /// Sixteen, widened.
    ///
    /// # Safety
    /// They are readable, and the processor has the features.
    unsafe fn load<S: Simd>(p: *const u8) -> S::F;
}

struct F32;
struct F16;
struct Bf16;

impl Element for F32 {
    const SIZE: usize = 4;

    #[inline(always)]
    unsafe fn load<S: Simd>(p: *const u8) -> S::F {
        // SAFETY: passed on to the caller.
        unsafe { S::load(p.cast()) }
    }
}

impl Element for F16 {
    const SIZE: usize = 2;

    #[inline(always)]
    unsafe fn load<S: Simd>(p: *const u8) -> S::F {
        // SAFETY: passed on to the caller.
        unsafe { S::load_f16(p) }
    }
}

impl Element for Bf16 {
    const SIZE: usize = 2;

    #[inline(always)]
    unsafe fn load<S: Simd>(p: *const u8) -> S::F {
        // SAFETY: passed on to the caller.
        unsafe { S::load_bf16(p) }
    }
}

/// The first `len` (below sixteen) elements at `p`, then zeros.
///
/// # Safety
/// They are readable, and the processor has the features.
#[inline(always)]
unsafe fn load_head<S: Simd, E: Element>(p: *const u8, len: usize) -> S::F {
    let mut line = Line([0; 64]);
    // SAFETY: `len` elements are readable, and fewer than sixteen of at most four bytes fit a line.
    unsafe {
        std::ptr::copy_nonoverlapping(p, line.0.as_mut_ptr(), len * E::SIZE);
        E::load::<S>(line.0.as_ptr())
    }
}

/// `out = x · Wᵀ` for `[m, n, k]`; lengths were checked.
pub(super) fn matmul(isa: Isa, dtype: Dtype, w: &[u8], x: &[f32], out: &mut [f32], shape: [usize; 3]) {
    match dtype {
        Dtype::F32 => matmul_of::<F32>(isa, w, x, out, shape),
        Dtype::F16 => matmul_of::<F16>(isa, w, x, out, shape),
        Dtype::Bf16 => matmul_of::<Bf16>(isa, w, x, out, shape),
        Dtype::Q8_0 | Dtype::Q4K | Dtype::Q6K => unreachable!("quantised weights are tiles"),
    }
}

fn matmul_of<E: Element>(isa: Isa, w: &[u8], x: &[f32], out: &mut [f32], [m, n, k]: [usize; 3]) {
    assert!(w.len() == n * k * E::SIZE && x.len() == m * k && out.len() == m * n);
    let out = Out(out.as_mut_ptr());
    if m < PACK_FROM {
        let weights = Slice(w.as_ptr());
        let rows = Rows(x.as_ptr());
        split(n, COLUMNS, m * k, |columns| {
            let task =
                Few::<E> { x: rows.get(), w: weights.get(), out, shape: [m, n, k], columns, of: PhantomData };
            // SAFETY: the slices have the lengths asserted above; the columns are in range and this task's alone; `isa`
            // is this processor's.
            unsafe { isa.run(task) }
        });
        return;
    }
    // So many rows at a time bound the copy of the activations.
    for group in 0..m.div_ceil(4 * SLAB) {
        let rows = part(m, m.div_ceil(4 * SLAB), group);
        let x = &x[rows.start * k..rows.end * k];
        with_scratch(rows.len() * k.next_multiple_of(16), |packed| {
            // SAFETY: as above, and `packed` has room for every row padded to whole steps.
            unsafe {
                let out = Out(out.at(rows.start * n));
                isa.run(Many::<E> { isa, x, packed, w, out, shape: [rows.len(), n, k], of: PhantomData });
            }
        });
    }
}

/// Pointers that threads share for reading.
#[derive(Clone, Copy)]
struct Slice(*const u8);
#[derive(Clone, Copy)]
struct Rows(*const f32);

// SAFETY: the slices they come from are borrowed for the whole call, and only read.
unsafe impl Sync for Slice {}
// SAFETY: as above.
unsafe impl Sync for Rows {}

impl Slice {
    fn get(self) -> *const u8 {
        self.0
    }
}

impl Rows {
    fn get(self) -> *const f32 {
        self.0
    }
}

thread_local! {
    /// Where activations are put in order; kept from call to call.
    static SCRATCH: Cell<Vec<Line>> = const { Cell::new(Vec::new()) };
}

/// Calls `f` with `len` floats of no particular value.
fn with_scratch(len: usize, f: impl FnOnce(&mut [f32])) {
    // Taken and not borrowed: while this thread waits for others, rayon may let it begin another product.
    let mut lines = SCRATCH.take();
    let wanted = len.div_ceil(16);
    if lines.len() < wanted {
        lines.resize(wanted, Line([0; 64]));
    }
    // SAFETY: a line is sixteen floats, every bit pattern of which is one, and is aligned for them.
    f(unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), len) });
    SCRATCH.set(lines);
}

/// The lanes of `M` rows times `N` columns over `steps` steps and a tail. Strides are in bytes.
///
/// # Safety
/// All that the strides reach is readable, and the processor has the features.
#[inline(always)]
unsafe fn lanes<S: Simd, E: Element, const M: usize, const N: usize>(
    (x, x_row, x_step): (*const u8, usize, usize),
    (w, w_row, w_step): (*const u8, usize, usize),
    steps: usize,
    tail: usize,
) -> [[S::F; N]; M] {
    // SAFETY: passed on to the caller.
    unsafe {
        let mut acc = [[S::zero(); N]; M];
        for step in 0..steps {
            let mut wv = [S::zero(); N];
            for j in 0..N {
                wv[j] = E::load::<S>(w.add(j * w_row + step * w_step));
            }
            for i in 0..M {
                let xv = S::load(x.add(i * x_row + step * x_step).cast());
                for j in 0..N {
                    acc[i][j] = S::fma(xv, wv[j], acc[i][j]);
                }
            }
        }
        if tail > 0 {
            for j in 0..N {
                let wv = load_head::<S, E>(w.add(j * w_row + steps * w_step), tail);
                for i in 0..M {
                    let xv = load_head::<S, F32>(x.add(i * x_row + steps * x_step), tail);
                    acc[i][j] = S::fma(xv, wv, acc[i][j]);
                }
            }
        }
        acc
    }
}

/// The lanes of up to four columns, added up.
///
/// # Safety
/// The processor has the features.
#[inline(always)]
unsafe fn sums<S: Simd, const N: usize>(acc: [S::F; N]) -> [f32; N] {
    // SAFETY: passed on to the caller.
    unsafe {
        let mut four = [S::zero(); COLUMNS];
        four[..N].copy_from_slice(&acc);
        let four = S::sum4(four);
        let mut out = [0.0; N];
        out.copy_from_slice(&four[..N]);
        out
    }
}

/// Runs `$body` with the constant `$M` equal to `$m`, which is 1 to 6.
macro_rules! with_rows {
    ($m:expr, $M:ident => $body:expr) => {
        match $m {
            1 => {
                const $M: usize = 1;
                $body
            }
            2 => {
                const $M: usize = 2;
                $body
            }
            3 => {
                const $M: usize = 3;
                $body
            }
            4 => {
                const $M: usize = 4;
                $body
            }
            5 => {
                const $M: usize = 5;
                $body
            }
            _ => {
                const $M: usize = 6;
                $body
            }
        }
    };
}
pub(super) use with_rows;

/// Some columns for few rows: both operands are read where they are.
struct Few<E> {
    x: *const f32,
    w: *const u8,
    out: Out,
    shape: [usize; 3],
    columns: Range<usize>,
    of: PhantomData<E>,
}

impl<E: Element> Work for Few<E> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let [m, n, k] = self.shape;
        let blocks = m.div_ceil(S::DENSE_ROWS);
        let mut j = self.columns.start;
        while j < self.columns.end {
            let whole = j + COLUMNS <= self.columns.end;
            for block in 0..blocks {
                let rows = part(m, blocks, block);
                // SAFETY: row, column and their successors up to M and N are inside the shape.
                unsafe {
                    let x = self.x.add(rows.start * k);
                    let w = self.w.add(j * k * E::SIZE);
                    let out = self.out.at(rows.start * n + j);
                    with_rows!(rows.len(), M => if whole {
                        S::call(FewBlock::<E, M, COLUMNS> { x, w, out, n, k, of: PhantomData });
                    } else {
                        S::call(FewBlock::<E, M, 1> { x, w, out, n, k, of: PhantomData });
                    });
                }
            }
            j += if whole { COLUMNS } else { 1 };
        }
    }
}

/// `M` rows times `N` columns over the whole of `k`.
struct FewBlock<E, const M: usize, const N: usize> {
    x: *const f32,
    w: *const u8,
    out: *mut f32,
    n: usize,
    k: usize,
    of: PhantomData<E>,
}

impl<E: Element, const M: usize, const N: usize> Work for FewBlock<E, M, N> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let mut total = [[0.0; N]; M];
        for start in (0..self.k).step_by(CHUNK) {
            let len = CHUNK.min(self.k - start);
            // SAFETY: the chunk is inside the rows.
            unsafe {
                let acc = lanes::<S, E, M, N>(
                    (self.x.add(start).cast(), self.k * 4, 64),
                    (self.w.add(start * E::SIZE), self.k * E::SIZE, 16 * E::SIZE),
                    len / 16,
                    len % 16,
                );
                for i in 0..M {
                    let chunk = sums::<S, N>(acc[i]);
                    for j in 0..N {
                        total[i][j] = if start == 0 { chunk[j] } else { total[i][j] + chunk[j] };
                    }
                }
            }
        }
        for (i, row) in total.iter().enumerate() {
            // SAFETY: the caller's block of the output.
            unsafe { std::ptr::copy_nonoverlapping(row.as_ptr(), self.out.add(i * self.n), N) };
        }
    }
}

/// Many rows: activations are copied once into the order in which they are read, weights four columns and a chunk at a time.
struct Many<'a, E> {
    isa: Isa,
    x: &'a [f32],
    packed: &'a mut [f32],
    w: &'a [u8],
    out: Out,
    shape: [usize; 3],
    of: PhantomData<E>,
}

impl<E: Element> Work for Many<'_, E> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { isa, x, packed, w, out, shape, .. } = self;
        let [m, n, k] = shape;
        let blocks = m.div_ceil(S::DENSE_ROWS);
        let padded = k.next_multiple_of(16);
        let target = Out(packed.as_mut_ptr());
        split(blocks, 1, S::DENSE_ROWS * k, |range| {
            for block in range {
                let rows = part(m, blocks, block);
                // SAFETY: every block of rows is one thread's; a row padded to whole steps has room.
                unsafe { pack_rows(&x[rows.start * k..rows.end * k], k, target.at(rows.start * padded)) };
            }
        });
        let slabs = m.div_ceil(SLAB);
        // A range of columns for each slab of blocks, one after the other.
        let columns = n.next_multiple_of(COLUMNS);
        split(slabs * columns, 16 * COLUMNS, m.div_ceil(slabs) * k, |range| {
            let mut at = range.start;
            while at < range.end {
                let slab = at / columns;
                let end = range.end.min((slab + 1) * columns);
                let task = ManyTask::<E> {
                    packed: target.at(0),
                    w: w.as_ptr(),
                    out,
                    shape,
                    blocks,
                    slab: part(blocks, slabs, slab),
                    columns: at - slab * columns..(end - slab * columns).min(n),
                    of: PhantomData,
                };
                // SAFETY: the slab's rows and the range's columns are this task's; the packed rows are all written.
                unsafe { isa.run(task) };
                at = end;
            }
        });
    }
}

/// Puts rows of `k` into steps of sixteen values of each row, zeros after the last.
///
/// # Safety
/// `out` has room for the rows, padded to whole steps.
unsafe fn pack_rows(x: &[f32], k: usize, out: *mut f32) {
    let m = x.len() / k;
    for (i, row) in x.chunks_exact(k).enumerate() {
        for (step, values) in row.chunks(16).enumerate() {
            let mut lane = [0.0; 16];
            lane[..values.len()].copy_from_slice(values);
            // SAFETY: step and row are inside the room.
            unsafe { out.add((step * m + i) * 16).cast::<[f32; 16]>().write(lane) };
        }
    }
}

/// Some columns for a slab of blocks of rows.
struct ManyTask<E> {
    packed: *const f32,
    w: *const u8,
    out: Out,
    shape: [usize; 3],
    blocks: usize,
    slab: Range<usize>,
    columns: Range<usize>,
    of: PhantomData<E>,
}

impl<E: Element> Work for ManyTask<E> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let [m, n, k] = self.shape;
        let padded = k.next_multiple_of(16);
        let mut tile = [Line([0; 64]); COLUMNS * STEPS];
        let tile = tile.as_mut_ptr().cast::<f32>();
        for start in (0..k).step_by(CHUNK) {
            let len = CHUNK.min(k - start);
            let steps = len.div_ceil(16);
            for j in self.columns.clone().step_by(COLUMNS) {
                let width = COLUMNS.min(self.columns.end - j);
                // SAFETY: the chunk of `width` rows of the weights is readable, and the tile has room for four; the packed
                // rows are whole steps; the output's rows and columns are this task's.
                unsafe {
                    for c in 0..width {
                        let w = self.w.add(((j + c) * k + start) * E::SIZE);
                        for step in 0..len / 16 {
                            S::store(
                                tile.add((step * COLUMNS + c) * 16),
                                E::load::<S>(w.add(step * 16 * E::SIZE)),
                            );
                        }
                        if len % 16 > 0 {
                            let last = load_head::<S, E>(w.add((steps - 1) * 16 * E::SIZE), len % 16);
                            S::store(tile.add(((steps - 1) * COLUMNS + c) * 16), last);
                        }
                    }
                    for block in self.slab.clone() {
                        let rows = part(m, self.blocks, block);
                        let x = self.packed.add(rows.start * padded + start * rows.len());
                        let out = self.out.at(rows.start * n + j);
                        let first = start == 0;
                        with_rows!(rows.len(), M => S::call(ManyBlock::<M> { x, tile, out, n, steps, width, first }));
                    }
                }
            }
        }
    }
}

/// `M` rows times four columns over a chunk, both in the order in which they are read.
struct ManyBlock<const M: usize> {
    x: *const f32,
    tile: *const f32,
    out: *mut f32,
    n: usize,
    steps: usize,
    width: usize,
    first: bool,
}

impl<const M: usize> Work for ManyBlock<M> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: the caller's packed operands of `steps` steps, and its block of the output.
        unsafe {
            let acc = lanes::<S, F32, M, COLUMNS>(
                (self.x.cast(), 64, 64 * M),
                (self.tile.cast(), 64, 64 * COLUMNS),
                self.steps,
                0,
            );
            for (i, acc) in acc.into_iter().enumerate() {
                let chunk = sums::<S, COLUMNS>(acc);
                let out = self.out.add(i * self.n);
                for (j, chunk) in chunk.into_iter().enumerate().take(self.width) {
                    let out = out.add(j);
                    *out = if self.first { chunk } else { *out + chunk };
                }
            }
        }
    }
}

/// Row `i`, widened.
pub(super) fn row(dtype: Dtype, w: &[u8], i: usize, out: &mut [f32]) {
    let size = dtype.block_bytes();
    let row = &w[i * out.len() * size..(i + 1) * out.len() * size];
    match dtype {
        Dtype::F32 => {
            for (v, b) in out.iter_mut().zip(row.as_chunks::<4>().0) {
                *v = f32::from_le_bytes(*b);
            }
        }
        Dtype::F16 => {
            for (v, b) in out.iter_mut().zip(row.as_chunks::<2>().0) {
                *v = half::f16::from_le_bytes(*b).to_f32();
            }
        }
        Dtype::Bf16 => {
            for (v, b) in out.iter_mut().zip(row.as_chunks::<2>().0) {
                *v = half::bf16::from_le_bytes(*b).to_f32();
            }
        }
        Dtype::Q8_0 | Dtype::Q4K | Dtype::Q6K => unreachable!("quantised weights are tiles"),
    }
}
