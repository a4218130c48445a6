//! A tensor as it lies in its file, and its rows widened to f32.

use std::borrow::Cow;
use std::ops::Range;

use candle_core::CpuStorage;
use candle_core::quantized::GgmlDType;
use half::{bf16, f16};

use super::packed::Packed;
use crate::kernel::FourBit;

/// How the numbers of a tensor are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    /// 32-bit floats.
    F32,
    /// IEEE half precision.
    F16,
    /// The upper half of an f32.
    Bf16,
    /// Blocks of ggml.
    Blocks(GgmlDType),
    /// 32-bit integers, of which packed 4-bit checkpoints consist.
    I32,
    /// bitsandbytes' 4 bits, whose scales are tensors beside.
    FourBit,
    /// What this engine doesn't read, by the name it has in its format.
    Other(String),
}

impl Stored {
    /// The name that the formats use.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::F32 => "F32".into(),
            Self::F16 => "F16".into(),
            Self::Bf16 => "BF16".into(),
            Self::I32 => "I32".into(),
            Self::FourBit => "4 bits".into(),
            Self::Blocks(dtype) => block_name(*dtype).into(),
            Self::Other(name) => name.clone(),
        }
    }

    /// Bytes of one row of `k` numbers; none where it isn't read or `k` fills no whole blocks.
    pub(crate) fn row_bytes(&self, k: usize) -> Option<usize> {
        match self {
            Self::F32 | Self::I32 => k.checked_mul(4),
            Self::F16 | Self::Bf16 => k.checked_mul(2),
            Self::Blocks(dtype) => {
                if !k.is_multiple_of(dtype.block_size()) {
                    return None;
                }
                (k / dtype.block_size()).checked_mul(dtype.type_size())
            }
            Self::FourBit | Self::Other(_) => None,
        }
    }
}

/// The name of a block type as llama.cpp writes it.
pub(crate) fn block_name(dtype: GgmlDType) -> &'static str {
    match dtype {
        GgmlDType::F32 => "F32",
        GgmlDType::F16 => "F16",
        GgmlDType::BF16 => "BF16",
        GgmlDType::Q4_0 => "Q4_0",
        GgmlDType::Q4_1 => "Q4_1",
        GgmlDType::Q5_0 => "Q5_0",
        GgmlDType::Q5_1 => "Q5_1",
        GgmlDType::Q8_0 => "Q8_0",
        GgmlDType::Q8_1 => "Q8_1",
        GgmlDType::Q2K => "Q2_K",
        GgmlDType::Q3K => "Q3_K",
        GgmlDType::Q4K => "Q4_K",
        GgmlDType::Q5K => "Q5_K",
        GgmlDType::Q6K => "Q6_K",
        GgmlDType::Q8K => "Q8_K",
    }
}

/// Where a tensor lies.
#[derive(Clone, Debug)]
pub(crate) struct Tensor {
    /// Index of its file.
    pub(crate) file: usize,
    /// Its bytes in that file.
    pub(crate) range: Range<usize>,
    /// How its numbers are stored.
    pub(crate) stored: Stored,
    /// Outermost dimension first, as in Hugging Face's files.
    pub(crate) shape: Vec<usize>,
}

/// Which rows of a tensor make a matrix, in which order.
#[derive(Clone, Debug)]
pub(crate) enum Order {
    /// All, as they lie.
    All,
    /// These.
    Picked(Vec<usize>),
}

impl Order {
    pub(crate) fn at(&self, row: usize) -> usize {
        match self {
            Self::All => row,
            Self::Picked(rows) => rows[row],
        }
    }

    /// These rows of what this order gives.
    pub(crate) fn then(&self, rows: impl Iterator<Item = usize>) -> Self {
        Self::Picked(rows.map(|row| self.at(row)).collect())
    }
}

/// Rows of numbers, however they are stored.
pub(crate) enum Rows<'a> {
    /// Row after row.
    Plain {
        /// How the numbers are stored.
        stored: &'a Stored,
        /// All rows of the tensor.
        bytes: &'a [u8],
        /// Numbers in a row.
        k: usize,
    },
    /// 4-bit integers with scales and zeros beside.
    Packed(Packed<'a>),
    /// bitsandbytes' 4 bits, rows of so many numbers.
    FourBit(FourBit, usize),
}

impl Rows<'_> {
    /// Widens the rows `band` of `order` into `out`, row after row.
    pub(crate) fn widen(&self, order: &Order, band: Range<usize>, out: &mut [f32]) {
        match self {
            Self::Plain { stored, bytes, k } => {
                let Some(row_bytes) = stored.row_bytes(*k) else { return };
                for (row, out) in band.zip(out.chunks_exact_mut(*k)) {
                    let start = order.at(row) * row_bytes;
                    widen(stored, &bytes[start..start + row_bytes], out);
                }
            }
            Self::Packed(packed) => packed.widen(order, band, out),
            Self::FourBit(weights, k) => {
                for (row, out) in band.zip(out.chunks_exact_mut(*k)) {
                    weights.widen(order.at(row) * k, out);
                }
            }
        }
    }
}

/// Widens stored numbers.
pub(crate) fn widen(stored: &Stored, bytes: &[u8], out: &mut [f32]) {
    match stored {
        Stored::F32 => {
            for (out, bytes) in out.iter_mut().zip(bytes.as_chunks().0) {
                *out = f32::from_le_bytes(*bytes);
            }
        }
        Stored::F16 => {
            for (out, bytes) in out.iter_mut().zip(bytes.as_chunks().0) {
                *out = f16::from_le_bytes(*bytes).to_f32();
            }
        }
        Stored::Bf16 => {
            for (out, bytes) in out.iter_mut().zip(bytes.as_chunks().0) {
                *out = bf16::from_le_bytes(*bytes).to_f32();
            }
        }
        Stored::Blocks(dtype) => {
            // The blocks' scales are halves: readers see to it that tensors begin at even addresses.
            let blocks = dtype.from_data(Cow::Borrowed(bytes));
            if let Ok(CpuStorage::F32(numbers)) = blocks.dequantize(out.len()) {
                out.copy_from_slice(&numbers);
            }
        }
        Stored::I32 | Stored::FourBit | Stored::Other(_) => {}
    }
}
