//! Products with weights of 4 bits by a code book, in bitsandbytes' layout: NF4, and FP4 where a checkpoint has it.
//!
//! The numbers of a matrix are one run, row after row, in blocks (64, as a rule). A number is `code[q] * scale`, where `q` has 4
//! bits, two in a byte with the first above, and each block has its scale. With double quantisation the scales are bytes of a
//! second code book, in blocks (256) with a scale of their own, around a common offset.
//!
//! Some columns at a time are widened to f32 in a buffer that stays in a cache, and multiplied there as dense weights are:
//! every product has the bits that the widened matrix would give.

use std::cell::Cell;
use std::ops::Range;

use instil::error::{Error, Result};

use super::simd::Isa;
use super::{Bytes, Out, dense, split};

/// Numbers that are widened at once: 256 KiB, a part of a level-2 cache.
const TILE: usize = 1 << 16;

/// Weights of 4 bits.
#[derive(Clone)]
pub struct FourBit {
    packed: Bytes,
    /// By byte, the two numbers of its halves.
    pairs: Box<[[f32; 2]; 256]>,
    block: usize,
    scales: Scales,
}

/// The scales of blocks.
#[derive(Clone)]
pub enum Scales {
    /// As they are.
    Plain(Vec<f32>),
    /// Quantised once more.
    Nested {
        /// By block, which of the code.
        quants: Bytes,
        /// The code book.
        code: Box<[f32; 256]>,
        /// What multiplies the code, for so many scales at a time.
        scales: Vec<f32>,
        /// How many.
        block: usize,
        /// What is added.
        offset: f32,
    },
}

impl Scales {
    /// How many there are.
    fn len(&self) -> usize {
        match self {
            Self::Plain(scales) => scales.len(),
            Self::Nested { quants, scales, block, .. } => {
                quants.as_slice().len().min(scales.len().saturating_mul(*block))
            }
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Plain(scales) => size_of_val(&scales[..]),
            Self::Nested { quants, code, scales, .. } => {
                quants.as_slice().len() + size_of_val(&code[..]) + size_of_val(&scales[..])
            }
        }
    }

    /// These blocks' scales.
    pub(crate) fn range(&self, blocks: Range<usize>) -> Vec<f32> {
        blocks.map(|block| self.at(block)).collect()
    }

    #[inline]
    fn at(&self, index: usize) -> f32 {
        match self {
            Self::Plain(scales) => scales[index],
            Self::Nested { quants, code, scales, block, offset } => {
                code[usize::from(quants.as_slice()[index])] * scales[index / block] + offset
            }
        }
    }
}

impl FourBit {
    /// Weights of `count` numbers.
    ///
    /// # Errors
    /// If there are too few bytes or scales for them.
    pub fn new(code: &[f32; 16], count: usize, packed: Bytes, block: usize, scales: Scales) -> Result<Self> {
        let (bytes, blocks) = (count.div_ceil(2), count.div_ceil(block.max(1)));
        if block == 0 || packed.as_slice().len() != bytes || scales.len() < blocks {
            return Err(Error::input(format!("{count} weights of 4 bits in blocks of {block}"))
                .because(format!(
                    "they have {} bytes and {} scales, not {bytes} and {blocks}",
                    packed.as_slice().len(),
                    scales.len()
                ))
                .with_hint("the file is cut short, or its shapes are not its tensors'; get it again"));
        }
        let mut pairs = Box::new([[0.0; 2]; 256]);
        for (byte, pair) in pairs.iter_mut().enumerate() {
            *pair = [code[byte >> 4], code[byte & 15]];
        }
        Ok(Self { packed, pairs, block, scales })
    }

    /// Numbers in a block.
    pub(crate) fn block(&self) -> usize {
        self.block
    }

    /// The scales of the blocks.
    pub(crate) fn scales(&self) -> &Scales {
        &self.scales
    }

    /// The bytes of all numbers, two in each.
    pub(crate) fn packed(&self) -> &[u8] {
        self.packed.as_slice()
    }

    /// The code book.
    pub(crate) fn code(&self) -> [f32; 16] {
        std::array::from_fn(|q| self.pairs[q][1])
    }

    /// Bytes in memory.
    pub(super) fn bytes(&self) -> usize {
        self.packed.as_slice().len() + self.scales.bytes()
    }

    /// Widens the numbers from `start` on.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn widen(&self, start: usize, out: &mut [f32]) {
        let packed = self.packed.as_slice();
        let (mut at, mut rest) = (start, out);
        while !rest.is_empty() {
            let block = at / self.block;
            let len = (self.block - at % self.block).min(rest.len());
            let (now, later) = rest.split_at_mut(len);
            self.run(packed, at, self.scales.at(block), now);
            (at, rest) = (at + len, later);
        }
    }

    /// Widens a part of one block.
    #[inline]
    fn run(&self, packed: &[u8], at: usize, scale: f32, out: &mut [f32]) {
        let end = (at + out.len()).div_ceil(2);
        let (first, rest) = out.split_at_mut(at % 2);
        if let [first] = first {
            *first = self.pairs[usize::from(packed[at / 2])][1] * scale;
        }
        let bytes = &packed[at.div_ceil(2)..end];
        let (pairs, last) = rest.as_chunks_mut::<2>();
        for (pair, byte) in pairs.iter_mut().zip(bytes) {
            let [one, two] = self.pairs[usize::from(*byte)];
            *pair = [one * scale, two * scale];
        }
        if let ([last], Some(byte)) = (last, bytes.last()) {
            *last = self.pairs[usize::from(*byte)][0] * scale;
        }
    }

    /// `out[m, n] = x[m, k] · Wᵀ`; lengths were checked.
    pub(super) fn matmul(&self, isa: Isa, x: &[f32], out: &mut [f32], [m, n, k]: [usize; 3]) {
        assert!(x.len() == m * k && out.len() == m * n);
        let out = Out(out.as_mut_ptr());
        let tile = (TILE / k).clamp(4, 64).next_multiple_of(4);
        dense::in_groups(isa, x, m, k, |rows, x| {
            let m = rows.len();
            split(n, tile, m * k, |columns| {
                // Taken and not borrowed: see `dense::in_groups`.
                let mut wide = WIDE.take();
                for first in columns.clone().step_by(tile) {
                    let count = tile.min(columns.end - first);
                    if wide.len() < count * k {
                        wide.resize(count * k, 0.0);
                    }
                    self.widen(first * k, &mut wide[..count * k]);
                    // SAFETY: these columns of all rows are this task's alone; `isa` is this processor's.
                    unsafe {
                        let out = Out(out.at(rows.start * n + first));
                        dense::some_columns(isa, &wide[..count * k], x, out, [m, n, k]);
                    }
                }
                WIDE.set(wide);
            });
        });
    }
}

thread_local! {
    /// Widened columns, kept from call to call.
    static WIDE: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}
