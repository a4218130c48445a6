//! Products with quantised weights, in tiles of sixteen columns.
//!
//! A tile holds, for each 32 values of `k` (a block), eight groups of four values of each column: 64 bytes a group, which one
//! instruction multiplies with four values of a row and adds up for sixteen columns. Q8_0 stores `q + 128` in whole bytes
//! (512 a block); Q4_K two groups in the halves of a byte, group `g` low and `g + 4` high (256 a block); Q6_K its low four
//! bits like that and then the high two bits, groups `4h + g` at bits `2g` of half `h` (256 + 128 a block).

// Indices name registers: a row's, a tile's.
#![allow(clippy::needless_range_loop)]

use std::cell::Cell;
use std::ops::Range;

use super::dense::with_rows;
use super::simd::{Isa, Simd, Work};
use super::{Dtype, Line, Out, Shared, part, split};

/// Columns of a tile.
const WIDTH: usize = 16;

/// Values of a row that share a scale.
const BLOCK: usize = 32;

/// How many bytes before its use a line of quants is fetched.
const AHEAD: usize = 4096;

/// Values of a superblock of Q4_K and Q6_K.
const SUPER: usize = 256;

/// Weights `[n, k]`, repacked; `n` is padded to whole tiles with weights of zero.
pub(super) struct Tiles {
    dtype: Dtype,
    n: usize,
    k: usize,
    /// `[n / 16][k / 32]` blocks of quants.
    quants: Vec<Line>,
    /// `[n / 16][k / 32]` scales of blocks: Q8_0 16 f16; Q4_K 16 scales and 16 minima of a byte; Q6_K 16 scales of a byte of the
    /// first half and 16 of the second.
    scales: Vec<Half>,
    /// `[n / 16][k / 256]` scales of superblocks: 16 f16 each, for Q4_K those of the minima behind them.
    supers: Vec<Half>,
}

/// 32 bytes, aligned.
#[derive(Clone, Copy)]
#[repr(C, align(32))]
struct Half([u8; 32]);

/// Lines of quants in a block of a tile.
fn block_lines(dtype: Dtype) -> usize {
    match dtype {
        Dtype::Q4K => 4,
        Dtype::Q6K => 6,
        _ => 8,
    }
}

/// Halves of a line in the scales of a superblock of a tile.
fn super_halves(dtype: Dtype) -> usize {
    match dtype {
        Dtype::Q4K => 2,
        Dtype::Q6K => 1,
        _ => 0,
    }
}

impl Tiles {
    /// Repacks ggml's blocks `[n, k / block]`, whose length was checked.
    pub(super) fn pack(dtype: Dtype, n: usize, k: usize, source: &[u8]) -> Self {
        let tiles = n.div_ceil(WIDTH);
        let lines = block_lines(dtype) * (k / BLOCK);
        let halves = super_halves(dtype) * (k / SUPER);
        let mut packed = Self {
            dtype,
            n,
            k,
            quants: vec![Line([0; 64]); tiles * lines],
            scales: vec![Half([0; 32]); tiles * (k / BLOCK)],
            supers: vec![Half([0; 32]); tiles * halves],
        };
        if k == 0 {
            return packed;
        }
        let row_bytes = k / dtype.block() * dtype.block_bytes();
        let quants = Shared(packed.quants.as_mut_ptr());
        let scales = Shared(packed.scales.as_mut_ptr());
        let supers = Shared(packed.supers.as_mut_ptr());
        split(tiles, 1, WIDTH * k, |range| {
            for tile in range {
                // SAFETY: the buffers have so many elements for every tile, and each tile is one thread's.
                let mut tile_of = unsafe {
                    Tile {
                        quants: std::slice::from_raw_parts_mut(quants.at(tile * lines), lines),
                        scales: std::slice::from_raw_parts_mut(scales.at(tile * (k / BLOCK)), k / BLOCK),
                        supers: std::slice::from_raw_parts_mut(supers.at(tile * halves), halves),
                    }
                };
                for column in 0..WIDTH.min(n - tile * WIDTH) {
                    let row = &source[(tile * WIDTH + column) * row_bytes..][..row_bytes];
                    for (b, block) in row.chunks_exact(dtype.block_bytes()).enumerate() {
                        match dtype {
                            Dtype::Q8_0 => tile_of.put_q8_0(column, b, block),
                            Dtype::Q4K => tile_of.put_q4_k(column, b, block),
                            _ => tile_of.put_q6_k(column, b, block),
                        }
                    }
                }
            }
        });
        packed
    }

    pub(super) fn dtype(&self) -> Dtype {
        self.dtype
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.quants) + size_of_val(&*self.scales) + size_of_val(&*self.supers)
    }

    /// Row `i` in f32, as ggml dequantises it.
    pub(super) fn row(&self, i: usize, out: &mut [f32]) {
        let (tile, column) = (i / WIDTH, i % WIDTH);
        let lines = block_lines(self.dtype);
        let blocks = self.k / BLOCK;
        let half =
            |half: &Half, i: usize| half::f16::from_le_bytes([half.0[2 * i], half.0[2 * i + 1]]).to_f32();
        for (b, out) in out.chunks_exact_mut(BLOCK).enumerate() {
            let quants = &self.quants[(tile * blocks + b) * lines..][..lines];
            let scales = &self.scales[tile * blocks + b];
            let supers =
                &self.supers[(tile * (self.k / SUPER) + b * BLOCK / SUPER) * super_halves(self.dtype)..];
            for (v, out) in out.iter_mut().enumerate() {
                let (group, byte) = (v / 4, 4 * column + v % 4);
                let nibble = || quants[group % 4].0[byte] >> (group / 4 * 4) & 15;
                *out = match self.dtype {
                    Dtype::Q4K => {
                        let scale = half(&supers[0], column) * f32::from(scales.0[column]);
                        let min = half(&supers[1], column) * f32::from(scales.0[WIDTH + column]);
                        scale * f32::from(nibble()) - min
                    }
                    Dtype::Q6K => {
                        let high = quants[4 + group / 4].0[byte] >> (group % 4 * 2) & 3;
                        let scale = scales.0[v / 16 * WIDTH + column] as i8;
                        let q = i16::from(high << 4 | nibble()) - 32;
                        half(&supers[0], column) * f32::from(scale) * f32::from(q)
                    }
                    _ => half(scales, column) * f32::from(i16::from(quants[group].0[byte]) - 128),
                };
            }
        }
    }

    /// `out = x · Wᵀ` for `m` rows; lengths were checked.
    pub(super) fn matmul(&self, isa: Isa, x: &[f32], out: &mut [f32], m: usize) {
        assert!(x.len() == m * self.k && out.len() == m * self.n);
        let out = Out(out.as_mut_ptr());
        let mut acts = ACTS.take();
        acts.quantise(isa, self.dtype, x, m, self.k);
        let tiles = self.n.div_ceil(WIDTH);
        split(tiles, 2, m * self.k * WIDTH, |tiles| {
            // SAFETY: the tiles are in range and their columns this task's alone; `acts` holds `m` rows; `isa` is this
            // processor's.
            unsafe { isa.run(Task { weights: self, acts: &acts, out, m, tiles }) }
        });
        ACTS.set(acts);
    }
}

/// One tile while it is filled.
struct Tile<'a> {
    quants: &'a mut [Line],
    scales: &'a mut [Half],
    supers: &'a mut [Half],
}

impl Tile<'_> {
    /// `{ d: f16, qs: [i8; 32] }`
    fn put_q8_0(&mut self, column: usize, b: usize, block: &[u8]) {
        self.scales[b].0[2 * column..][..2].copy_from_slice(&block[..2]);
        for (v, q) in block[2..].iter().enumerate() {
            self.quants[b * 8 + v / 4].0[4 * column + v % 4] = q ^ 0x80;
        }
    }

    /// `{ d: f16, dmin: f16, scales: [u8; 12], qs: [u8; 128] }`
    fn put_q4_k(&mut self, column: usize, b: usize, block: &[u8]) {
        self.supers[2 * b].0[2 * column..][..2].copy_from_slice(&block[..2]);
        self.supers[2 * b + 1].0[2 * column..][..2].copy_from_slice(&block[2..4]);
        let six = &block[4..16];
        for sub in 0..8 {
            // ggml's `get_scale_min_k4`.
            let (scale, min) = if sub < 4 {
                (six[sub] & 63, six[sub + 4] & 63)
            } else {
                (six[sub + 4] & 15 | six[sub - 4] >> 6 << 4, six[sub + 4] >> 4 | six[sub] >> 6 << 4)
            };
            let scales = &mut self.scales[8 * b + sub].0;
            scales[column] = scale;
            scales[WIDTH + column] = min;
            for v in 0..BLOCK {
                let q = block[16 + sub / 2 * BLOCK + v] >> (sub % 2 * 4) & 15;
                self.put_nibble((8 * b + sub) * 4, column, v, q);
            }
        }
    }

    /// `{ ql: [u8; 128], qh: [u8; 64], scales: [i8; 16], d: f16 }`
    fn put_q6_k(&mut self, column: usize, b: usize, block: &[u8]) {
        self.supers[b].0[2 * column..][..2].copy_from_slice(&block[208..210]);
        for sub in 0..8 {
            let at = 8 * b + sub;
            self.scales[at].0[column] = block[192 + 2 * sub];
            self.scales[at].0[WIDTH + column] = block[192 + 2 * sub + 1];
            // Each half of 128 values: two runs of 32 in the low nibbles, two in the high ones of the same bytes.
            let (half, run) = (sub / 4, sub % 4);
            for v in 0..BLOCK {
                let low = block[64 * half + run % 2 * BLOCK + v] >> (run / 2 * 4) & 15;
                let high = block[128 + 32 * half + v] >> (2 * run) & 3;
                self.put_nibble(at * 6, column, v, low);
                let group = v / 4;
                self.quants[at * 6 + 4 + group / 4].0[4 * column + v % 4] |= high << (group % 4 * 2);
            }
        }
    }

    /// Four bits of value `v` of the block whose quants begin at `line`.
    fn put_nibble(&mut self, line: usize, column: usize, v: usize, q: u8) {
        let group = v / 4;
        self.quants[line + group % 4].0[4 * column + v % 4] |= q << (group / 4 * 4);
    }
}

thread_local! {
    /// The quantised rows; their memory is kept from call to call.
    static ACTS: Cell<Acts> = const { Cell::new(Acts { quants: Vec::new(), stride: 0, scales: Vec::new(), sums: Vec::new() }) };
}

/// Rows of activations, quantised.
#[derive(Default)]
struct Acts {
    /// `[m][stride]` values of i8.
    quants: Vec<Line>,
    /// Bytes from row to row: an odd number of cache lines, so that rows don't fall on the same lines of a cache.
    stride: usize,
    /// `[m][k / 32]`, what a quant is worth.
    scales: Vec<f32>,
    /// What corrects for the weights' offset: of Q8_0 `[m][k / 32]` and of Q6_K `[m][k / 16]` the sum of the quants times minus
    /// the offset, as i32; of Q4_K `[m][k / 32]` minus the sum of the values that the quants stand for, as f32. Bits of either.
    sums: Vec<u32>,
}

impl Acts {
    fn quantise(&mut self, isa: Isa, dtype: Dtype, x: &[f32], m: usize, k: usize) {
        let lines = k.div_ceil(64) | 1;
        let blocks = k / BLOCK;
        let sums = if dtype == Dtype::Q6K { 2 * blocks } else { blocks };
        self.stride = lines * 64;
        if self.quants.len() < m * lines {
            self.quants.resize(m * lines, Line([0; 64]));
        }
        if self.scales.len() < m * blocks {
            self.scales.resize(m * blocks, 0.0);
        }
        if self.sums.len() < m * sums {
            self.sums.resize(m * sums, 0);
        }
        let to_quants = Shared(self.quants.as_mut_ptr());
        let to_scales = Shared(self.scales.as_mut_ptr());
        let to_sums = Shared(self.sums.as_mut_ptr());
        // A value costs about as much as sixteen multiply-adds.
        split(m, 1, k * 16, |rows| {
            for i in rows {
                // SAFETY: the buffers were made long enough, and each row is one thread's.
                let row = unsafe {
                    QuantiseRow {
                        dtype,
                        x: &x[i * k..(i + 1) * k],
                        quants: std::slice::from_raw_parts_mut(to_quants.at(i * lines).cast(), k),
                        scales: std::slice::from_raw_parts_mut(to_scales.at(i * blocks), blocks),
                        sums: std::slice::from_raw_parts_mut(to_sums.at(i * sums), sums),
                    }
                };
                // SAFETY: `isa` is this processor's.
                unsafe { isa.run(row) };
            }
        });
    }
}

/// One row of activations to quantise.
struct QuantiseRow<'a> {
    dtype: Dtype,
    x: &'a [f32],
    quants: &'a mut [i8],
    scales: &'a mut [f32],
    sums: &'a mut [u32],
}

impl Work for QuantiseRow<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (x, _) = self.x.as_chunks::<BLOCK>();
        let (quants, _) = self.quants.as_chunks_mut::<BLOCK>();
        for (b, ((x, quants), scale)) in x.iter().zip(quants).zip(self.scales).enumerate() {
            let halves = quantise_block(x, quants, scale);
            match self.dtype {
                Dtype::Q6K => {
                    self.sums[2 * b] = (-32 * halves[0]).cast_unsigned();
                    self.sums[2 * b + 1] = (-32 * halves[1]).cast_unsigned();
                }
                Dtype::Q4K => self.sums[b] = (-(*scale * (halves[0] + halves[1]) as f32)).to_bits(),
                _ => self.sums[b] = (-S::OFFSET * (halves[0] + halves[1])).cast_unsigned(),
            }
        }
    }
}

/// Quantises 32 values; gives the sums of the two halves' quants. A value that is no number, or infinite, makes the scale
/// NaN, and so every output of the row.
#[inline(always)]
fn quantise_block(x: &[f32; BLOCK], quants: &mut [i8; BLOCK], scale: &mut f32) -> [i32; 2] {
    // Bits of positive floats are in the order of the floats, those of infinity and NaN above all.
    let mut top = 0_u32;
    for v in x {
        top = top.max(v.to_bits() & 0x7FFF_FFFF);
    }
    if top >= f32::INFINITY.to_bits() {
        *scale = f32::NAN;
        quants.fill(0);
        return [0; 2];
    }
    // Adding 1.5 * 2^23 rounds to a whole number, half to even, and leaves it in the low bits.
    const MAGIC: f32 = 12_582_912.0;
    *scale = f32::from_bits(top) / 127.0;
    // Of a block below the normal numbers nothing is kept: its reciprocal would be infinite.
    let inverse = if *scale >= f32::MIN_POSITIVE { 1.0 / *scale } else { 0.0 };
    let mut sums = [0; 2];
    for half in 0..2 {
        for v in 16 * half..16 * half + 16 {
            let q = (x[v] * inverse + MAGIC).to_bits().wrapping_sub(MAGIC.to_bits()).cast_signed();
            quants[v] = q as i8;
            sums[half] += q;
        }
    }
    sums
}

/// Some tiles of columns for all rows.
struct Task<'a> {
    weights: &'a Tiles,
    acts: &'a Acts,
    out: Out,
    m: usize,
    tiles: Range<usize>,
}

impl Work for Task<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { weights, acts, out, m, tiles } = self;
        let (n, k) = (weights.n, weights.k);
        let blocks = k / BLOCK;
        let lines = block_lines(weights.dtype) * blocks;
        let halves = super_halves(weights.dtype) * (k / SUPER);
        let sums = if weights.dtype == Dtype::Q6K { 2 * blocks } else { blocks };
        let groups = m.div_ceil(S::QUANT_ROWS);
        let mut tile = tiles.start;
        while tile < tiles.end {
            let two = S::QUANT_TILES == 2 && tile + 2 <= tiles.end;
            let width = if two { 2 } else { 1 };
            for group in 0..groups {
                let rows = part(m, groups, group);
                // SAFETY: tile and row, and as many behind them as the kernel takes, are in range.
                unsafe {
                    let job = Job {
                        x: acts.quants.as_ptr().cast::<i8>().add(rows.start * acts.stride),
                        x_stride: acts.stride,
                        x_scales: acts.scales.as_ptr().add(rows.start * blocks),
                        x_sums: acts.sums.as_ptr().add(rows.start * sums),
                        quants: weights.quants.as_ptr().add(tile * lines).cast(),
                        scales: weights.scales.as_ptr().add(tile * blocks).cast(),
                        supers: weights.supers.as_ptr().add(tile * halves).cast(),
                        blocks,
                        out: out.at(rows.start * n + tile * WIDTH),
                        n,
                        columns: (width * WIDTH).min(n - tile * WIDTH),
                    };
                    match weights.dtype {
                        Dtype::Q4K => with_rows!(rows.len(), M => if two {
                            S::call(Q4K::<M, 2>(job));
                        } else {
                            S::call(Q4K::<M, 1>(job));
                        }),
                        Dtype::Q6K => with_rows!(rows.len(), M => if two {
                            S::call(Q6K::<M, 2>(job));
                        } else {
                            S::call(Q6K::<M, 1>(job));
                        }),
                        _ => with_rows!(rows.len(), M => if two {
                            S::call(Q8_0::<M, 2>(job));
                        } else {
                            S::call(Q8_0::<M, 1>(job));
                        }),
                    }
                }
            }
            tile += width;
        }
    }
}

/// What a kernel reads and writes: some rows from one on, one or two tiles from one on.
struct Job {
    x: *const i8,
    x_stride: usize,
    x_scales: *const f32,
    x_sums: *const u32,
    quants: *const u8,
    scales: *const u8,
    supers: *const u8,
    /// In `k`; the stride, too, from row to row of `x_scales` and from tile to tile of the weights.
    blocks: usize,
    out: *mut f32,
    n: usize,
    /// Columns of the output, at most the tiles'.
    columns: usize,
}

impl Job {
    /// Four values of row `i` from `v` on.
    ///
    /// # Safety
    /// Row and values are in range.
    #[inline(always)]
    unsafe fn four(&self, i: usize, v: usize) -> i32 {
        // SAFETY: passed on to the caller.
        i32::from_le(unsafe { self.x.add(i * self.x_stride + v).cast::<i32>().read_unaligned() })
    }

    /// Fetches what a block, whose quants begin at `block`, will be followed by a while later: lines of as many bytes as
    /// [`AHEAD`] says.
    ///
    /// # Safety
    /// The processor has the features.
    #[inline(always)]
    unsafe fn fetch<S: Simd, const LINES: usize>(block: *const u8) {
        for line in 0..LINES {
            // SAFETY: passed on to the caller.
            unsafe { S::prefetch(block.wrapping_add(AHEAD + 64 * line)) };
        }
    }

    /// Writes the rows of the output.
    ///
    /// # Safety
    /// The processor has the features; rows and columns are in range.
    #[inline(always)]
    unsafe fn write<S: Simd, const M: usize, const N: usize>(&self, total: [[S::F; N]; M]) {
        // SAFETY: whole tiles are written at once only where all their columns are the output's.
        unsafe {
            for (i, tiles) in total.into_iter().enumerate() {
                for (t, tile) in tiles.into_iter().enumerate() {
                    let out = self.out.add(i * self.n + t * WIDTH);
                    if (t + 1) * WIDTH <= self.columns {
                        S::store(out, tile);
                    } else {
                        let mut line = [0.0; WIDTH];
                        S::store(line.as_mut_ptr(), tile);
                        std::ptr::copy_nonoverlapping(line.as_ptr(), out, self.columns - t * WIDTH);
                    }
                }
            }
        }
    }
}

/// `M` rows times `N` tiles.
struct Q8_0<const M: usize, const N: usize>(Job);

impl<const M: usize, const N: usize> Work for Q8_0<M, N> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let job = self.0;
        let blocks = job.blocks;
        // SAFETY: the job's rows, tiles and blocks are in range.
        unsafe {
            let mut total = [[S::zero(); N]; M];
            for b in 0..blocks {
                let mut acc = [[S::splat_i32(0); N]; M];
                for i in 0..M {
                    let offset = *job.x_sums.add(i * blocks + b);
                    acc[i] = [S::splat_i32(offset.cast_signed()); N];
                }
                for t in 0..N {
                    Job::fetch::<S, 8>(job.quants.add((t * blocks + b) * 512));
                }
                for g in 0..8 {
                    let mut w = [S::bytes(job.quants.add(b * 512 + g * 64)); N];
                    for t in 1..N {
                        w[t] = S::bytes(job.quants.add((t * blocks + b) * 512 + g * 64));
                    }
                    for i in 0..M {
                        let x = job.four(i, b * BLOCK + g * 4);
                        for t in 0..N {
                            acc[i][t] = S::dot_offset(acc[i][t], w[t], x);
                        }
                    }
                }
                for t in 0..N {
                    let scale = S::load_f16(job.scales.add((t * blocks + b) * 32));
                    for i in 0..M {
                        let scale = S::mul(scale, S::splat(*job.x_scales.add(i * blocks + b)));
                        total[i][t] = S::fma(S::to_f32(acc[i][t]), scale, total[i][t]);
                    }
                }
            }
            job.write::<S, M, N>(total);
        }
    }
}

/// `M` rows times `N` tiles.
struct Q4K<const M: usize, const N: usize>(Job);

impl<const M: usize, const N: usize> Work for Q4K<M, N> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let job = self.0;
        let blocks = job.blocks;
        // SAFETY: the job's rows, tiles and blocks are in range.
        unsafe {
            let mut total = [[S::zero(); N]; M];
            for b in 0..blocks {
                let mut acc = [[S::splat_i32(0); N]; M];
                for t in 0..N {
                    Job::fetch::<S, 4>(job.quants.add((t * blocks + b) * 256));
                }
                for g in 0..4 {
                    let mut both = [S::bytes(job.quants.add(b * 256 + g * 64)); N];
                    for t in 1..N {
                        both[t] = S::bytes(job.quants.add((t * blocks + b) * 256 + g * 64));
                    }
                    for high in [false, true] {
                        let mut w = both;
                        for w in &mut w {
                            *w = if high { S::high_nibbles(*w) } else { S::low_nibbles(*w) };
                        }
                        for i in 0..M {
                            let x = job.four(i, b * BLOCK + g * 4 + if high { 16 } else { 0 });
                            for t in 0..N {
                                acc[i][t] = S::dot(acc[i][t], w[t], x);
                            }
                        }
                    }
                }
                for t in 0..N {
                    let halves = job.supers.add((t * blocks / 8 + b / 8) * 64);
                    let bytes = job.scales.add((t * blocks + b) * 32);
                    let scale = S::mul(S::load_f16(halves), S::load_u8(bytes));
                    let min = S::mul(S::load_f16(halves.add(32)), S::load_u8(bytes.add(16)));
                    for i in 0..M {
                        let scale = S::mul(scale, S::splat(*job.x_scales.add(i * blocks + b)));
                        let sum = f32::from_bits(*job.x_sums.add(i * blocks + b));
                        total[i][t] = S::fma(S::to_f32(acc[i][t]), scale, total[i][t]);
                        total[i][t] = S::fma(min, S::splat(sum), total[i][t]);
                    }
                }
            }
            job.write::<S, M, N>(total);
        }
    }
}

/// `M` rows times `N` tiles.
struct Q6K<const M: usize, const N: usize>(Job);

impl<const M: usize, const N: usize> Q6K<M, N> {
    /// Adds half a block: sixteen values with one scale.
    ///
    /// # Safety
    /// The job's rows, tiles and blocks are in range, and the processor has the features.
    #[inline(always)]
    unsafe fn half<S: Simd, const HIGH: bool>(job: &Job, b: usize, d: [S::F; N], total: &mut [[S::F; N]; M]) {
        let blocks = job.blocks;
        let half = usize::from(HIGH);
        // SAFETY: passed on to the caller.
        unsafe {
            let mut acc = [[S::splat_i32(0); N]; M];
            for i in 0..M {
                let offset = *job.x_sums.add((i * blocks + b) * 2 + half);
                acc[i] = [S::splat_i32(offset.cast_signed()); N];
            }
            let lines = |t: usize| job.quants.add((t * blocks + b) * 384);
            let mut pairs = [S::bytes(lines(0).add(256 + 64 * half)); N];
            for t in 1..N {
                pairs[t] = S::bytes(lines(t).add(256 + 64 * half));
            }
            for g in 0..4 {
                let mut w = pairs;
                for t in 0..N {
                    let both = S::bytes(lines(t).add(g * 64));
                    let low = if HIGH { S::high_nibbles(both) } else { S::low_nibbles(both) };
                    let high = match g {
                        0 => S::high_pairs::<0>(pairs[t]),
                        1 => S::high_pairs::<1>(pairs[t]),
                        2 => S::high_pairs::<2>(pairs[t]),
                        _ => S::high_pairs::<3>(pairs[t]),
                    };
                    w[t] = S::or(low, high);
                }
                for i in 0..M {
                    let x = job.four(i, b * BLOCK + 16 * half + g * 4);
                    for t in 0..N {
                        acc[i][t] = S::dot(acc[i][t], w[t], x);
                    }
                }
            }
            for t in 0..N {
                let scale = S::mul(d[t], S::load_i8(job.scales.add((t * blocks + b) * 32 + 16 * half)));
                for i in 0..M {
                    let scale = S::mul(scale, S::splat(*job.x_scales.add(i * blocks + b)));
                    total[i][t] = S::fma(S::to_f32(acc[i][t]), scale, total[i][t]);
                }
            }
        }
    }
}

impl<const M: usize, const N: usize> Work for Q6K<M, N> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let job = self.0;
        // SAFETY: the job's rows, tiles and blocks are in range.
        unsafe {
            let mut total = [[S::zero(); N]; M];
            for b in 0..job.blocks {
                let mut d = [S::zero(); N];
                for (t, d) in d.iter_mut().enumerate() {
                    Job::fetch::<S, 6>(job.quants.add((t * job.blocks + b) * 384));
                    *d = S::load_f16(job.supers.add((t * job.blocks / 8 + b / 8) * 32));
                }
                Self::half::<S, false>(&job, b, d, &mut total);
                Self::half::<S, true>(&job, b, d, &mut total);
            }
            job.write::<S, M, N>(total);
        }
    }
}
