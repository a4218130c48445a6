//! Products with dense weights: f32, f16 and bf16, row-major as in their file.

// Indices name registers: a row's, a column's.
#![allow(clippy::needless_range_loop)]

use std::cell::Cell;
use std::marker::PhantomData;
use std::ops::Range;

use super::simd::{Isa, Simd, Work};
use super::{Dtype, Line, Out, Shared, part, split};

/// Bytes of a row whose products are summed in lanes before the lanes are added up. Four rows of f32 weights beside as many
/// of activations are a level-1 cache.
const CHUNK: usize = 4096;

/// Columns, which are rows of the weights, that are summed side by side.
const COLUMNS: usize = 4;

/// The same for one or two rows, where memory is waited for and more streams of it are faster.
const WIDE: usize = 8;

/// How many bytes before its use a line of weights is fetched.
const AHEAD: usize = 4096;

/// Bytes of a row for which the rows of a slab and the columns pass before the next values' turn.
const PIECE: usize = 2 * CHUNK;

/// Rows of activations that stay in a level-2 cache while the columns pass: a piece of 96 is 768 KiB.
const SLAB: usize = 96;

/// From this many rows on they are copied to a stride of an odd number of cache lines: at a stride of a power of two, as `k`
/// mostly is, rows displace each other from the caches.
const COPY_FROM: usize = 8;

/// A stored type of weights, and how rows of activations are held beside it.
trait Element {
    /// Bytes of a weight.
    const SIZE: usize;
    /// Bytes of an activation: 4 as it is, 2 in bf16.
    const HELD: usize;
    /// Values of `k` in a vector.
    const STEP: usize = 64 / Self::HELD;
    /// A vector's worth of weights or activations.
    type Vector<S: Simd>: Copy;

    /// Loads weights.
    ///
    /// # Safety
    /// [`Element::STEP`] of them are readable, and the processor has the features.
    unsafe fn weights<S: Simd>(p: *const u8) -> Self::Vector<S>;

    /// Loads activations.
    ///
    /// # Safety
    /// As [`Element::weights`].
    unsafe fn row<S: Simd>(p: *const u8) -> Self::Vector<S>;

    /// Adds products to the lanes.
    ///
    /// # Safety
    /// The processor has the features.
    unsafe fn fma<S: Simd>(x: Self::Vector<S>, w: Self::Vector<S>, acc: S::F) -> S::F;
}

struct F32;
struct F16;
struct Bf16;

/// Types of weights that are multiplied in f32, by how sixteen of them are widened.
macro_rules! widened {
    ($($name:ident: $size:expr, $load:ident;)*) => {$(
        impl Element for $name {
            const SIZE: usize = $size;
            const HELD: usize = 4;
            type Vector<S: Simd> = S::F;

            #[inline(always)]
            unsafe fn weights<S: Simd>(p: *const u8) -> S::F {
                // SAFETY: passed on to the caller.
                unsafe { S::$load(p.cast()) }
            }

            #[inline(always)]
            unsafe fn row<S: Simd>(p: *const u8) -> S::F {
                // SAFETY: passed on to the caller.
                unsafe { S::load(p.cast()) }
            }

            #[inline(always)]
            unsafe fn fma<S: Simd>(x: S::F, w: S::F, acc: S::F) -> S::F {
                // SAFETY: passed on to the caller.
                unsafe { S::fma(x, w, acc) }
            }
        }
    )*};
}

widened! {
    F32: 4, load;
    F16: 2, load_f16;
}

impl Element for Bf16 {
    const SIZE: usize = 2;
    const HELD: usize = 2;
    type Vector<S: Simd> = S::B;

    #[inline(always)]
    unsafe fn weights<S: Simd>(p: *const u8) -> S::B {
        // SAFETY: passed on to the caller.
        unsafe { S::bytes(p) }
    }

    #[inline(always)]
    unsafe fn row<S: Simd>(p: *const u8) -> S::B {
        // SAFETY: passed on to the caller.
        unsafe { S::bytes(p) }
    }

    #[inline(always)]
    unsafe fn fma<S: Simd>(x: S::B, w: S::B, acc: S::F) -> S::F {
        // SAFETY: passed on to the caller.
        unsafe { S::dot_bf16(acc, x, w) }
    }
}

/// The first `bytes` (below a line) at `p`, then zeros.
///
/// # Safety
/// They are readable.
#[inline(always)]
unsafe fn head(p: *const u8, bytes: usize) -> Line {
    let mut line = Line([0; 64]);
    // SAFETY: passed on to the caller; a line is longer.
    unsafe { std::ptr::copy_nonoverlapping(p, line.0.as_mut_ptr(), bytes) }
    line
}

/// `out = x · Wᵀ` for `[m, n, k]`; lengths were checked.
pub(super) fn matmul(isa: Isa, dtype: Dtype, w: &[u8], x: &[f32], out: &mut [f32], shape: [usize; 3]) {
    match dtype {
        Dtype::F32 => matmul_of::<F32>(isa, w, x, out, shape),
        Dtype::F16 => matmul_of::<F16>(isa, w, x, out, shape),
        Dtype::Bf16 => matmul_of::<Bf16>(isa, w, x, out, shape),
        Dtype::Q8_0 | Dtype::Q4K | Dtype::Q6K | Dtype::Nf4 => unreachable!("quantised weights aren't dense"),
    }
}

fn matmul_of<E: Element>(isa: Isa, w: &[u8], x: &[f32], out: &mut [f32], [m, n, k]: [usize; 3]) {
    assert!(w.len() == n * k * E::SIZE && x.len() == m * k && out.len() == m * n);
    let out = Out(out.as_mut_ptr());
    held::<E>(isa, x, m, k, |rows, x| {
        let out = Out(out.at(rows.start * n));
        over_columns::<E>(isa, w, x, out, [rows.len(), n, k]);
    });
}

/// Rows of activations, held as some type of weights wants it: the bytes, and how many lead from one row to the next.
pub(super) type Held<'a> = (&'a [u8], usize);

/// Calls `f` on rows, group after group, held for weights in f32.
pub(super) fn in_groups(isa: Isa, x: &[f32], m: usize, k: usize, f: impl Fn(Range<usize>, Held)) {
    held::<F32>(isa, x, m, k, f);
}

/// Calls `f` on rows, group after group, held for weights of the type.
fn held<E: Element>(isa: Isa, x: &[f32], m: usize, k: usize, f: impl Fn(Range<usize>, Held)) {
    assert_eq!(x.len(), m * k);
    if E::HELD == 4 && m < COPY_FROM {
        // SAFETY: any f32 is four bytes.
        let bytes = unsafe { std::slice::from_raw_parts(x.as_ptr().cast(), size_of_val(x)) };
        return f(0..m, (bytes, k * 4));
    }
    let lines = (k * E::HELD).div_ceil(64) | 1;
    // So many rows at a time bound the copy.
    let groups = m.div_ceil(4 * SLAB);
    // Taken and not borrowed: while this thread waits for others, rayon may let it begin another product.
    let mut copy = COPY.take();
    for group in 0..groups {
        let rows = part(m, groups, group);
        if copy.len() < rows.len() * lines {
            copy.resize(rows.len() * lines, Line([0; 64]));
        }
        let to = Shared(copy.as_mut_ptr());
        // A value costs about as much as eight multiply-adds.
        split(rows.len(), 1, 8 * k, |some| {
            for i in some {
                let x = &x[(rows.start + i) * k..][..k];
                // SAFETY: `lines` lines hold a row, and each row is one thread's; `isa` is this processor's.
                unsafe {
                    let to = to.at(i * lines);
                    if E::HELD == 4 {
                        std::ptr::copy_nonoverlapping(x.as_ptr(), to.cast(), k);
                    } else {
                        isa.run(Round { x, to: std::slice::from_raw_parts_mut(to.cast(), k) });
                    }
                }
            }
        });
        // SAFETY: lines are bytes.
        let bytes = unsafe { std::slice::from_raw_parts(copy.as_ptr().cast(), rows.len() * lines * 64) };
        f(rows, (bytes, lines * 64));
    }
    COPY.set(copy);
}

/// Activations rounded to bf16, half to even; what is below the normal numbers becomes zero, as AVX512-BF16 has it.
struct Round<'a> {
    x: &'a [f32],
    to: &'a mut [u16],
}

impl Work for Round<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for (x, to) in self.x.iter().zip(self.to) {
            let bits = x.to_bits();
            let size = bits & 0x7FFF_FFFF;
            let rounded = bits.wrapping_add(0x7FFF + (bits >> 16 & 1));
            let rounded = if size < f32::MIN_POSITIVE.to_bits() { bits & 0x8000_0000 } else { rounded };
            let rounded = if size > f32::INFINITY.to_bits() { bits | 0x0040_0000 } else { rounded };
            *to = (rounded >> 16) as u16;
        }
    }
}

/// The products of held rows with some columns in f32, on this thread: `out` is the first row's first of them, in rows of
/// `n`.
///
/// # Safety
/// `m` rows of as many values as `w` has columns are the caller's alone to write, and `isa` is this processor's.
pub(super) unsafe fn some_columns(isa: Isa, w: &[f32], x: Held, out: Out, [m, n, k]: [usize; 3]) {
    let columns = w.len() / k;
    // SAFETY: any f32 is four bytes.
    let bytes = unsafe { std::slice::from_raw_parts(w.as_ptr().cast::<u8>(), size_of_val(w)) };
    let slabs = m.div_ceil(SLAB);
    for slab in 0..slabs {
        let rows = part(m, slabs, slab);
        assert!(x.0.len() >= (rows.end - 1) * x.1 + k * 4 && columns <= n);
        let task = Task::<F32> {
            x: (&x.0[rows.start * x.1..], x.1),
            w: bytes,
            out: Out(out.at(rows.start * n)),
            shape: [rows.len(), n, k],
            columns: 0..columns,
            of: PhantomData,
        };
        // SAFETY: rows and columns were checked; the outputs are the caller's.
        unsafe { isa.run(task) };
    }
}

thread_local! {
    /// The held rows of a call; their memory is kept from call to call.
    static COPY: Cell<Vec<Line>> = const { Cell::new(Vec::new()) };
}

/// The product of held rows.
fn over_columns<E: Element>(isa: Isa, w: &[u8], x: Held, out: Out, [m, n, k]: [usize; 3]) {
    let slabs = m.div_ceil(SLAB);
    // A range of columns for each slab of rows, one after the other.
    let columns = n.next_multiple_of(COLUMNS);
    split(slabs * columns, COLUMNS, m.div_ceil(slabs) * k, |range| {
        let mut at = range.start;
        while at < range.end {
            let slab = at / columns;
            let first = slab * columns;
            let end = range.end.min(first + columns);
            let rows = part(m, slabs, slab);
            let task = Task::<E> {
                x: (&x.0[rows.start * x.1..], x.1),
                w,
                out: Out(out.at(rows.start * n)),
                shape: [rows.len(), n, k],
                columns: at - first..(end - first).min(n),
                of: PhantomData,
            };
            // SAFETY: `matmul_of` checked the lengths; the slab's rows of these columns are this task's alone; `isa` is this
            // processor's.
            unsafe { if E::HELD == 2 { isa.run_bf16(task) } else { isa.run(task) } };
            at = end;
        }
    });
}

/// The lanes of `M` rows times `N` columns over `len` values; `x` and `w` are the first row and column, and the strides, in
/// bytes, lead to the next.
///
/// # Safety
/// `M` rows and `N` columns of `len` values are readable, and the processor has the features.
#[inline(always)]
unsafe fn lanes<S: Simd, E: Element, const M: usize, const N: usize>(
    (x, x_row): (*const u8, usize),
    (w, w_row): (*const u8, usize),
    len: usize,
) -> [[S::F; N]; M] {
    let (steps, tail) = (len / E::STEP, len % E::STEP);
    // SAFETY: passed on to the caller.
    unsafe {
        let mut acc = [[S::zero(); N]; M];
        for step in 0..steps {
            let w = w.add(step * E::STEP * E::SIZE);
            let mut wv = [E::weights::<S>(w); N];
            for (j, wv) in wv.iter_mut().enumerate() {
                let at = w.add(j * w_row);
                S::prefetch(at.wrapping_add(AHEAD));
                *wv = E::weights::<S>(at);
            }
            for i in 0..M {
                let xv = E::row::<S>(x.add(i * x_row + step * 64));
                for j in 0..N {
                    acc[i][j] = E::fma::<S>(xv, wv[j], acc[i][j]);
                }
            }
        }
        if tail > 0 {
            for j in 0..N {
                let wv = head(w.add(j * w_row + steps * E::STEP * E::SIZE), tail * E::SIZE);
                let wv = E::weights::<S>(wv.0.as_ptr());
                for (i, acc) in acc.iter_mut().enumerate() {
                    let xv = head(x.add(i * x_row + steps * 64), tail * E::HELD);
                    acc[j] = E::fma::<S>(E::row::<S>(xv.0.as_ptr()), wv, acc[j]);
                }
            }
        }
        acc
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

/// Some columns of a slab of rows.
struct Task<'a, E> {
    x: Held<'a>,
    w: &'a [u8],
    out: Out,
    shape: [usize; 3],
    columns: Range<usize>,
    of: PhantomData<E>,
}

impl<E: Element> Work for Task<'_, E> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let [m, n, k] = self.shape;
        let blocks = m.div_ceil(S::DENSE_ROWS);
        let piece = PIECE / E::HELD;
        for start in (0..k).step_by(piece) {
            let mut j = self.columns.start;
            while j < self.columns.end {
                let left = self.columns.end - j;
                let width = if m <= 2 && S::DENSE_ROWS > 2 && left >= WIDE {
                    WIDE
                } else if left >= COLUMNS {
                    COLUMNS
                } else {
                    1
                };
                for block in 0..blocks {
                    let rows = part(m, blocks, block);
                    if blocks > 1 {
                        // The next columns come while these are summed, with each block its share of their lines.
                        let lines = part((piece.min(k - start) * E::SIZE).div_ceil(64), blocks, block);
                        for column in j + width..j + 2 * width {
                            let first = self.w.as_ptr().wrapping_add((column * k + start) * E::SIZE);
                            for line in lines.clone() {
                                // SAFETY: only the features are asked for.
                                unsafe { S::prefetch(first.wrapping_add(line * 64)) };
                            }
                        }
                    }
                    // SAFETY: rows and columns from these on, as many as the block takes, are inside the shape.
                    unsafe {
                        let x = (self.x.0.as_ptr().add(rows.start * self.x.1), self.x.1);
                        let w = self.w.as_ptr().add(j * k * E::SIZE);
                        let out = self.out.at(rows.start * n + j);
                        match (width, rows.len()) {
                            (WIDE, 1) => {
                                S::call(Block::<E, 1, WIDE> { x, w, out, n, k, start, of: PhantomData })
                            }
                            (WIDE, _) => {
                                S::call(Block::<E, 2, WIDE> { x, w, out, n, k, start, of: PhantomData })
                            }
                            (COLUMNS, rows) => with_rows!(rows, M => {
                                S::call(Block::<E, M, COLUMNS> { x, w, out, n, k, start, of: PhantomData });
                            }),
                            (_, rows) => with_rows!(rows, M => {
                                S::call(Block::<E, M, 1> { x, w, out, n, k, start, of: PhantomData });
                            }),
                        }
                    }
                }
                j += width;
            }
        }
    }
}

/// `M` rows times `N` columns over the piece that begins at `start`.
struct Block<E, const M: usize, const N: usize> {
    /// The first row, and bytes from one to the next.
    x: (*const u8, usize),
    w: *const u8,
    out: *mut f32,
    n: usize,
    k: usize,
    start: usize,
    of: PhantomData<E>,
}

impl<E: Element, const M: usize, const N: usize> Work for Block<E, M, N> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { x, w, out, n, k, .. } = self;
        let (piece, chunk) = (PIECE / E::HELD, CHUNK / E::HELD);
        for start in (self.start..k.min(self.start + piece)).step_by(chunk) {
            // SAFETY: the chunk is inside the rows, and the outputs are the caller's.
            unsafe {
                let acc = lanes::<S, E, M, N>(
                    (x.0.add(start * E::HELD), x.1),
                    (w.add(start * E::SIZE), k * E::SIZE),
                    chunk.min(k - start),
                );
                for i in 0..M {
                    for j in (0..N).step_by(4) {
                        let width = if N - j < 4 { N - j } else { 4 };
                        let mut four = [acc[i][j]; 4];
                        four[..width].copy_from_slice(&acc[i][j..j + width]);
                        let four = S::sum4(four);
                        let out = out.add(i * n + j);
                        for c in 0..width {
                            *out.add(c) = if start == 0 { four[c] } else { *out.add(c) + four[c] };
                        }
                    }
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
        Dtype::Q8_0 | Dtype::Q4K | Dtype::Q6K | Dtype::Nf4 => unreachable!("quantised weights aren't dense"),
    }
}
