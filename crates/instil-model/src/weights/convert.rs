//! From stored rows to the matrix that is multiplied.

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor as Candle};
use half::{bf16, f16};
use instil::Error;
use rayon::prelude::*;

use super::Found;
use super::tensor::{Order, Rows, Stored};
use super::{nf4, plan};
use crate::kernel::{Bytes, Dtype, FourBit, Matrix, Scales};

/// Rows that one thread widens and quantises at a time: 4 MiB of f32 at a width of 4096.
pub(super) const BAND: usize = 256;

/// Why a matrix wasn't made.
#[derive(Debug)]
pub(super) enum Trouble {
    /// A number that isn't finite, by its row of the result.
    NotFinite { row: usize, column: usize, number: f32 },
    /// Anything else.
    Failed(Error),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Makes the matrix of `n` rows of `k` numbers in this type.
pub(super) fn matrix(found: &Found<'_>, n: usize, k: usize, dtype: Dtype) -> Result<Matrix, Trouble> {
    let matrix = match &found.rows {
        Rows::Plain { stored, bytes, .. } if same(stored, dtype) => {
            check(stored, bytes, &found.order, n, k)?;
            let dense = !matches!(stored, Stored::Blocks(_));
            let size = if *stored == &Stored::F32 { 4 } else { 2 };
            match &found.order {
                Order::All if dense && (bytes.as_ptr() as usize).is_multiple_of(size) => {
                    // The file's own memory: nothing is copied, and its pages stay.
                    let bytes = Bytes::Mapped(found.file.memory(), found.ranges[0].clone());
                    return Ok(Matrix::dense(dtype, n, k, bytes)?);
                }
                Order::All if !dense => Matrix::blocks(dtype, n, k, bytes)?,
                order => {
                    let row_bytes = plan::row_bytes(dtype, k);
                    let mut rows = Vec::with_capacity(n * row_bytes);
                    for row in 0..n {
                        let start = order.at(row) * row_bytes;
                        rows.extend_from_slice(&bytes[start..start + row_bytes]);
                    }
                    if dense {
                        Matrix::dense(dtype, n, k, rows.into())?
                    } else {
                        Matrix::blocks(dtype, n, k, &rows)?
                    }
                }
            }
        }
        Rows::FourBit(weights, _) if dtype == Dtype::Nf4 => four_bit(weights, &found.order, n, k)?,
        rows if dtype == Dtype::Nf4 => nf4::matrix(rows, &found.order, n, k)?,
        rows => {
            let bytes = encode(rows, &found.order, n, k, dtype)?;
            match dtype {
                Dtype::F32 | Dtype::F16 | Dtype::Bf16 => Matrix::dense(dtype, n, k, bytes.into())?,
                _ => Matrix::blocks(dtype, n, k, &bytes)?,
            }
        }
    };
    for range in &found.ranges {
        found.file.give_back(range.clone());
    }
    Ok(matrix)
}

/// Rows of a matrix of 4 bits, as it is where all are wanted in their order.
fn four_bit(weights: &FourBit, order: &Order, n: usize, k: usize) -> Result<Matrix, Trouble> {
    let Order::Picked(rows) = order else { return Ok(Matrix::four_bit(n, k, weights.clone())?) };
    let block = weights.block();
    if !k.is_multiple_of(block) || !k.is_multiple_of(2) {
        // Blocks run over the ends of rows, so rows can't be taken as they are.
        let bytes = encode(&Rows::FourBit(weights.clone(), k), order, n, k, Dtype::F32)?;
        return Ok(Matrix::dense(Dtype::F32, n, k, bytes.into())?);
    }
    let mut packed = Vec::with_capacity(n * k / 2);
    let mut scales = Vec::with_capacity(n * k / block);
    for row in rows {
        packed.extend_from_slice(&weights.packed()[row * k / 2..(row + 1) * k / 2]);
        scales.extend(weights.scales().range(row * k / block..(row + 1) * k / block));
    }
    let picked = FourBit::new(&weights.code(), n * k, packed.into(), block, Scales::Plain(scales))?;
    Ok(Matrix::four_bit(n, k, picked)?)
}

fn same(stored: &Stored, dtype: Dtype) -> bool {
    matches!(
        (stored, dtype),
        (Stored::F32, Dtype::F32)
            | (Stored::F16, Dtype::F16)
            | (Stored::Bf16, Dtype::Bf16)
            | (Stored::Blocks(GgmlDType::Q8_0), Dtype::Q8_0)
            | (Stored::Blocks(GgmlDType::Q4K), Dtype::Q4K)
            | (Stored::Blocks(GgmlDType::Q6K), Dtype::Q6K)
    )
}

/// Widens, checks and encodes rows, a band of them on each thread.
pub(super) fn encode(
    rows: &Rows<'_>,
    order: &Order,
    n: usize,
    k: usize,
    dtype: Dtype,
) -> Result<Vec<u8>, Trouble> {
    let row_bytes = plan::row_bytes(dtype, k);
    let mut encoded = vec![0; n * row_bytes];
    encoded.par_chunks_mut(BAND * row_bytes).enumerate().try_for_each(|(band, out)| {
        let first = band * BAND;
        let last = n.min(first + BAND);
        let mut numbers = vec![0.0; (last - first) * k];
        rows.widen(order, first..last, &mut numbers);
        if let Some(at) = numbers.iter().position(|number| !number.is_finite()) {
            return Err(Trouble::NotFinite { row: first + at / k, column: at % k, number: numbers[at] });
        }
        write(&numbers, k, dtype, out)
    })?;
    Ok(encoded)
}

/// Writes rows of numbers in a type.
pub(super) fn write(numbers: &[f32], k: usize, dtype: Dtype, out: &mut [u8]) -> Result<(), Trouble> {
    match dtype {
        Dtype::F32 => {
            for (out, number) in out.as_chunks_mut().0.iter_mut().zip(numbers) {
                *out = number.to_le_bytes();
            }
        }
        Dtype::F16 => {
            for (out, number) in out.as_chunks_mut().0.iter_mut().zip(numbers) {
                *out = f16::from_f32(*number).to_le_bytes();
            }
        }
        Dtype::Bf16 => {
            for (out, number) in out.as_chunks_mut().0.iter_mut().zip(numbers) {
                *out = bf16::from_f32(*number).to_le_bytes();
            }
        }
        Dtype::Q8_0 | Dtype::Q4K | Dtype::Q6K | Dtype::Nf4 => {
            let Some(kind) = plan::ggml(dtype) else {
                return Err(Error::input(format!("{dtype} isn't written by itself")).into());
            };
            let blocks = Candle::from_slice(numbers, (numbers.len() / k, k), &Device::Cpu)
                .and_then(|band| QTensor::quantize(&band, kind))
                .map_err(|error| Error::input("the quantiser failed").because(error.to_string()))?;
            let blocks = blocks
                .data()
                .map_err(|error| Error::input("the quantiser failed").because(error.to_string()))?;
            out.copy_from_slice(&blocks);
        }
    }
    Ok(())
}

/// Looks for a number that isn't finite in rows that aren't widened: in dense types for an exponent of ones, in
/// blocks for such a scale.
fn check(stored: &Stored, bytes: &[u8], order: &Order, n: usize, k: usize) -> Result<(), Trouble> {
    let Some(row_bytes) = stored.row_bytes(k) else { return Ok(()) };
    (0..n).into_par_iter().with_min_len(64).try_for_each(|row| {
        let start = order.at(row) * row_bytes;
        let bytes = &bytes[start..start + row_bytes];
        match broken(stored, bytes) {
            None => Ok(()),
            Some((column, number)) => Err(Trouble::NotFinite { row, column, number }),
        }
    })
}

/// The first number of a row that isn't finite; in blocks the first of its block.
fn broken(stored: &Stored, row: &[u8]) -> Option<(usize, f32)> {
    match stored {
        Stored::F32 => {
            let numbers = row.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
            numbers.enumerate().find(|(_, number)| !number.is_finite())
        }
        Stored::F16 => halves(row, 0x7c00).map(|(at, bits)| (at, f16::from_bits(bits).to_f32())),
        Stored::Bf16 => halves(row, 0x7f80).map(|(at, bits)| (at, bf16::from_bits(bits).to_f32())),
        Stored::Blocks(dtype) => {
            let scales: &[usize] = match dtype {
                GgmlDType::Q8_0 => &[0],
                GgmlDType::Q4K => &[0, 2],
                GgmlDType::Q6K => &[208],
                _ => &[],
            };
            row.chunks_exact(dtype.type_size()).enumerate().find_map(|(block, bytes)| {
                scales.iter().find_map(|at| {
                    let scale = f16::from_le_bytes([bytes[*at], bytes[*at + 1]]);
                    (!scale.is_finite()).then(|| (block * dtype.block_size(), scale.to_f32()))
                })
            })
        }
        Stored::I32 | Stored::FourBit | Stored::Other(_) => None,
    }
}

/// The first 16-bit number whose exponent, masked so, is all ones.
fn halves(row: &[u8], exponent: u16) -> Option<(usize, u16)> {
    let numbers = row.as_chunks().0.iter().map(|bytes| u16::from_le_bytes(*bytes));
    numbers.enumerate().find(|(_, bits)| bits & exponent == exponent)
}
