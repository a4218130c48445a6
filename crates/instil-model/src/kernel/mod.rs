//! Matrix products and row operations of language models on this processor, on plain slices.
//!
//! **Every element has the same bits** whatever the number of rows in a call, the row's place among them, the number of
//! threads and the instruction set: an element is a sum over `k` in an order that depends on `k` alone.
//!
//! * Dense weights ([`Dtype::F32`], [`Dtype::F16`], [`Dtype::Bf16`]) stay where and as they are. An element is the sum, chunk
//!   after chunk of 1024 (2048 for bf16), of sums over sixteen lanes, which are reduced as a tree. f16 is widened in registers.
//!   Beside bf16 weights activations are rounded to bf16, half to even; products are exact, and a lane adds two neighbours,
//!   the second first, as AVX512-BF16 does. (Where a sum falls below the normal numbers, 2⁻¹²⁶, that instruction gives
//!   zero and the others what is left: bits that no sum of any size shows.)
//! * Quantised weights ([`Dtype::Q8_0`], [`Dtype::Q4K`], [`Dtype::Q6K`]) are repacked into tiles of sixteen columns. Rows of
//!   activations are quantised once a call, 32 values to i8 with one scale: `scale = max|x| / 127`, `x / scale` rounded half to
//!   even. Products are exact in i32 and then scaled and added in f32, block after block of 32 (16 for Q6_K).
//!
//! * Weights of 4 bits by a code book ([`Dtype::Nf4`]) are widened, some columns at a time, and multiplied as dense ones.
//!
//! Work is split over columns and rows, never over `k`, on rayon's current pool. [`rows`] has what stands between products.
#![allow(unsafe_code)]

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use instil::error::{Error, Result};
use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};

pub use self::nf4::{FourBit, Scales};
use self::simd::Isa;

pub mod attend;
pub mod limits;
pub mod rows;
mod dense;
pub(crate) mod gemm;
pub(crate) mod grad;
mod nf4;
mod quant;
pub(crate) mod shifted;
mod simd;
#[cfg(test)]
mod tests;

/// How the weights of a matrix are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// IEEE 754 single precision.
    F32,
    /// IEEE 754 half precision.
    F16,
    /// The upper half of single precision.
    Bf16,
    /// ggml's Q8_0: 32 values of i8 with one f16 scale.
    Q8_0,
    /// ggml's Q4_K: 256 values of 4 bits, with a scale and a minimum of 6 bits for each 32.
    Q4K,
    /// ggml's Q6_K: 256 values of 6 bits, with a scale of 8 bits for each 16.
    Q6K,
    /// bitsandbytes' 4 bits by a code book (NF4, or FP4 where a checkpoint has it), with a scale for each 64 values.
    Nf4,
}

impl Dtype {
    /// How many values of a row share a block (1 where there are no blocks); `k` must be a multiple of it, but for
    /// [`Dtype::Nf4`], whose blocks run over the ends of rows.
    pub fn block(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::Bf16 => 1,
            Self::Q8_0 => 32,
            Self::Nf4 => 64,
            Self::Q4K | Self::Q6K => 256,
        }
    }

    /// Bytes of one block in a file.
    pub fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::Q8_0 => 34,
            Self::Q4K => 144,
            Self::Q6K => 210,
            // The scale is beside, a byte of a second code book.
            Self::Nf4 => 33,
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::Q8_0 => "q8_0",
            Self::Q4K => "q4_k",
            Self::Q6K => "q6_k",
            Self::Nf4 => "nf4",
        })
    }
}

/// Bytes of weights: a range of a file, or memory of one's own.
#[derive(Clone)]
pub enum Bytes {
    /// A range of a memory map.
    Mapped(Arc<memmap2::Mmap>, Range<usize>),
    /// Memory.
    Owned(Arc<[u8]>),
}

impl Bytes {
    /// The bytes. A range that the map doesn't have gives none.
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Mapped(map, range) => map.get(range.clone()).unwrap_or_default(),
            Self::Owned(bytes) => bytes,
        }
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Owned(bytes.into())
    }
}

/// A weight matrix `W` of shape `[n, k]` (`n` outputs of `k` inputs), ready for products with rows.
pub struct Matrix {
    n: usize,
    k: usize,
    weights: Weights,
}

enum Weights {
    Dense(Dtype, Bytes),
    Quant(quant::Tiles),
    FourBit(FourBit),
}

impl Matrix {
    /// Dense weights, row-major `[n, k]`, little endian, of any alignment; they are kept where they are.
    ///
    /// # Errors
    /// If `dtype` is a quantised one, or there are not `n * k` values.
    pub fn dense(dtype: Dtype, n: usize, k: usize, bytes: Bytes) -> Result<Self> {
        if dtype.block() != 1 {
            return Err(Error::input(format!("a dense matrix of {dtype}"))
                .because("this type is stored in blocks, which are repacked")
                .with_hint("use Matrix::blocks"));
        }
        check_length(dtype, n, k, bytes.as_slice().len())?;
        Ok(Self { n, k, weights: Weights::Dense(dtype, bytes) })
    }

    /// Quantised weights in ggml's blocks, row-major `[n, k / block]`, repacked; `blocks` can be dropped afterwards.
    ///
    /// # Errors
    /// If `dtype` is a dense one, `k` is no multiple of its block, or there are not `n * k` values.
    pub fn blocks(dtype: Dtype, n: usize, k: usize, blocks: &[u8]) -> Result<Self> {
        if dtype.block() == 1 || dtype == Dtype::Nf4 {
            return Err(Error::input(format!("a matrix of {dtype} in blocks"))
                .because("this type is not stored in blocks of ggml")
                .with_hint("use Matrix::dense or Matrix::four_bit"));
        }
        check_length(dtype, n, k, blocks.len())?;
        Ok(Self { n, k, weights: Weights::Quant(quant::Tiles::pack(dtype, n, k, blocks)) })
    }

    /// Weights of 4 bits by a code book, `n * k` of them.
    ///
    /// # Errors
    /// If there are more or fewer.
    pub fn four_bit(n: usize, k: usize, weights: FourBit) -> Result<Self> {
        if n.checked_mul(k).map(|count| count.div_ceil(2)) != Some(weights.packed().len()) {
            return Err(Error::input(format!("a matrix of nf4 and shape [{n}, {k}]"))
                .because(format!("it has {} bytes of 4-bit values", weights.packed().len()))
                .with_hint("the file is cut short, or its shapes are not its tensors'; get it again"));
        }
        Ok(Self { n, k, weights: Weights::FourBit(weights) })
    }

    /// The number of outputs.
    pub fn n(&self) -> usize {
        self.n
    }

    /// The number of inputs.
    pub fn k(&self) -> usize {
        self.k
    }

    /// How the weights are stored.
    pub fn dtype(&self) -> Dtype {
        match &self.weights {
            Weights::Dense(dtype, _) => *dtype,
            Weights::Quant(tiles) => tiles.dtype(),
            Weights::FourBit(_) => Dtype::Nf4,
        }
    }

    /// The bytes that the weights occupy, in memory or in the mapped file.
    pub fn bytes(&self) -> usize {
        match &self.weights {
            Weights::Dense(_, bytes) => bytes.as_slice().len(),
            Weights::Quant(tiles) => tiles.bytes(),
            Weights::FourBit(weights) => weights.bytes(),
        }
    }

    /// `out[m, n] = x[m, k] · Wᵀ`, where `m = x.len() / k`.
    ///
    /// # Panics
    /// If `x` is not whole rows of `k`, or `out` not as many of `n`.
    pub fn matmul(&self, x: &[f32], out: &mut [f32]) {
        self.matmul_with(Isa::detect(), x, out);
    }

    /// [`Matrix::matmul`] with these instructions, which this processor must have.
    fn matmul_with(&self, isa: Isa, x: &[f32], out: &mut [f32]) {
        let Self { n, k, .. } = *self;
        let m = x.len().checked_div(k).unwrap_or_else(|| out.len().checked_div(n).unwrap_or(0));
        assert!(
            x.len() == m * k && out.len() == m * n,
            "matmul: x has {} values and out {}, for a weight matrix of shape [{n}, {k}]",
            x.len(),
            out.len()
        );
        if m == 0 || n == 0 {
            return;
        }
        if k == 0 {
            return out.fill(0.0);
        }
        match &self.weights {
            Weights::Dense(dtype, bytes) => dense::matmul(isa, *dtype, bytes.as_slice(), x, out, [m, n, k]),
            Weights::Quant(tiles) => tiles.matmul(isa, x, out, m),
            Weights::FourBit(weights) => weights.matmul(isa, x, out, [m, n, k]),
        }
    }

    /// Row `i` of the weights in f32, as for an embedding.
    ///
    /// # Panics
    /// If there is no such row, or `out` is not `k` long.
    pub fn row(&self, i: usize, out: &mut [f32]) {
        assert!(
            i < self.n && out.len() == self.k,
            "row {i} into {} values, of a weight matrix of shape [{}, {}]",
            out.len(),
            self.n,
            self.k
        );
        match &self.weights {
            Weights::Dense(dtype, bytes) => dense::row(*dtype, bytes.as_slice(), i, out),
            Weights::Quant(tiles) => tiles.row(i, out),
            Weights::FourBit(weights) => weights.widen(i * self.k, out),
        }
    }

    /// Rows of the weights in f32, row after row: what `dx = dy · W` multiplies, some rows at a time.
    ///
    /// # Panics
    /// If there are no such rows, or `out` is not as many of `k` long.
    pub fn dequantize_rows(&self, rows: Range<usize>, out: &mut [f32]) {
        assert!(rows.end <= self.n && out.len() == rows.len() * self.k);
        if let Weights::FourBit(weights) = &self.weights {
            return weights.widen(rows.start * self.k, out);
        }
        for (row, out) in rows.zip(out.chunks_exact_mut(self.k.max(1))) {
            self.row(row, out);
        }
    }

    /// All numbers, row after row, of weights that are stored in f32 as this processor has it.
    fn floats(&self) -> Option<&[f32]> {
        let Weights::Dense(Dtype::F32, bytes) = &self.weights else { return None };
        // SAFETY: any four bytes are an f32.
        let (before, floats, after) = unsafe { bytes.as_slice().align_to::<f32>() };
        (cfg!(target_endian = "little") && before.is_empty() && after.is_empty()).then_some(floats)
    }

    /// The columns `range` of row `i`, in f32.
    fn part(&self, i: usize, range: Range<usize>, out: &mut [f32]) {
        match &self.weights {
            Weights::Dense(dtype, bytes) => {
                let size = dtype.block_bytes();
                let bytes =
                    &bytes.as_slice()[(i * self.k + range.start) * size..(i * self.k + range.end) * size];
                dense::row(*dtype, bytes, 0, out);
            }
            _ => {
                let mut row = vec![0.0; self.k];
                self.row(i, &mut row);
                out.copy_from_slice(&row[range]);
            }
        }
    }
}

impl fmt::Debug for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Matrix({} [{}, {}])", self.dtype(), self.n, self.k)
    }
}

/// That a matrix of this shape and type has this many bytes.
fn check_length(dtype: Dtype, n: usize, k: usize, length: usize) -> Result<()> {
    let place = || format!("a matrix of {dtype} and shape [{n}, {k}]");
    if !k.is_multiple_of(dtype.block()) {
        return Err(Error::input(place())
            .because(format!("rows of {k} values are no whole number of blocks of {}", dtype.block()))
            .with_hint("quantise this tensor as q8_0 (blocks of 32), or keep it dense"));
    }
    let expected = n.checked_mul(k / dtype.block()).and_then(|b| b.checked_mul(dtype.block_bytes()));
    if expected != Some(length) {
        let expected = expected.map_or_else(|| "more than memory can have".to_owned(), |e| e.to_string());
        return Err(Error::input(place())
            .because(format!("it has {length} bytes, not {expected}"))
            .with_hint("the file is cut short, or its shapes are not its tensors'; get it again"));
    }
    Ok(())
}

/// Multiply-adds below which waking another thread costs more than it gives.
const SPLIT_FROM: usize = 1 << 18;

/// Calls `f` on ranges that together are `0..items`, each but the last a multiple of `unit` long, on the threads of rayon's
/// current pool if `items * cost` (in multiply-adds) is worth it.
fn split(items: usize, unit: usize, cost: usize, f: impl Fn(Range<usize>) + Sync) {
    let units = items.div_ceil(unit);
    let work = items.saturating_mul(cost);
    let threads = rayon::current_num_threads();
    if threads == 1 || units == 1 || work < SPLIT_FROM {
        return f(0..items);
    }
    // Several parts a thread: another program may hold one of them up.
    let parts = (work / (SPLIT_FROM / 2)).min(threads * 8).min(units);
    (0..parts).into_par_iter().with_max_len(1).for_each(|p| {
        let at = |p: usize| (p * units / parts * unit).min(items);
        f(at(p)..at(p + 1));
    });
}

/// The output that several threads write, each its own elements.
#[derive(Clone, Copy)]
struct Out(*mut f32);

// SAFETY: `split` gives every thread ranges of its own, and the kernels write only inside them.
unsafe impl Send for Out {}
// SAFETY: as above.
unsafe impl Sync for Out {}

impl Out {
    /// The element at `i`. A method, so that closures take the whole and not the bare pointer.
    fn at(self, i: usize) -> *mut f32 {
        self.0.wrapping_add(i)
    }
}

/// A buffer that threads fill, each its own elements.
#[derive(Clone, Copy)]
struct Shared<T>(*mut T);

// SAFETY: the users of `at` give every thread elements of its own.
unsafe impl<T> Sync for Shared<T> {}

impl<T> Shared<T> {
    fn at(&self, i: usize) -> *mut T {
        self.0.wrapping_add(i)
    }
}

/// A cache line; buffers of them are aligned for every instruction set.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// `block` of `blocks` parts of `m` rows, which differ by one row at most.
fn part(m: usize, blocks: usize, block: usize) -> Range<usize> {
    block * m / blocks..(block + 1) * m / blocks
}
