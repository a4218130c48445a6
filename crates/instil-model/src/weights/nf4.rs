//! bitsandbytes' 4 bits: NF4 with double quantisation made as bitsandbytes 0.50 makes it, and its checkpoints read.
//!
//! QLoRA (Dettmers et al. 2023) quantises blocks of 64 numbers by their largest magnitude to the 16 quantiles of a normal
//! distribution, and these magnitudes, less their mean, in blocks of 256 to a code of 8 bits. A checkpoint holds of a layer
//! `weight` (U8, two numbers in a byte), `weight.absmax`, `weight.quant_map` (the code), with double quantisation
//! `weight.nested_absmax` and `weight.nested_quant_map`, and `weight.quant_state.bitsandbytes__nf4`: JSON as bytes, with shape,
//! block sizes and the mean.

use instil::{Error, Result};
use rayon::prelude::*;
use serde_json::Value;

use super::convert::{BAND, Trouble};
use super::tensor::{Order, Rows};
use crate::kernel::{FourBit, Matrix, Scales};

/// Numbers that share a scale.
const BLOCK: usize = 64;
/// Scales that share a scale.
const NESTED: usize = 256;

/// The code of NF4 (bitsandbytes 0.50, `get_4bit_type`).
#[expect(
    clippy::excessive_precision,
    reason = "the digits are bitsandbytes'; they are read as f32 there too"
)]
const CODE: [f32; 16] = [
    -1.0,
    -0.6961928009986877,
    -0.5250730514526367,
    -0.39491748809814453,
    -0.28444138169288635,
    -0.18477343022823334,
    -0.09105003625154495,
    0.0,
    0.07958029955625534,
    0.16093020141124725,
    0.24611230194568634,
    0.33791524171829224,
    0.44070982933044434,
    0.5626170039176941,
    0.7229568362236023,
    1.0,
];

/// The endings of the tensors that say how a layer is quantised.
pub(super) const STATES: [&str; 2] = [".quant_state.bitsandbytes__nf4", ".quant_state.bitsandbytes__fp4"];

/// What such a tensor says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct State {
    pub(super) n: usize,
    pub(super) k: usize,
    pub(super) block: usize,
    /// Block and mean of the scales, where they are quantised too.
    pub(super) nested: Option<(usize, f32)>,
}

impl State {
    /// Reads the bytes of one; none where they aren't understood.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let json: Value = serde_json::from_slice(bytes).ok()?;
        let count = |value: &Value| value.as_u64().and_then(|count| usize::try_from(count).ok());
        let [n, k] = &json.get("shape")?.as_array()?[..] else { return None };
        let (n, k) = (count(n)?, count(k)?);
        let nested = match json.get("nested_blocksize").filter(|block| !block.is_null()) {
            None => None,
            Some(block) => Some((count(block)?, json.get("nested_offset")?.as_f64()? as f32)),
        };
        Some(Self { n, k, block: count(json.get("blocksize")?)?, nested })
    }
}

/// Quantises widened rows, double.
pub(super) fn matrix(
    rows: &Rows<'_>,
    order: &Order,
    n: usize,
    k: usize,
) -> std::result::Result<Matrix, Trouble> {
    // Whole blocks in each row: `plan` sees to it.
    let mut packed = vec![0; n * k / 2];
    let mut absmax = vec![0.0; n * k / BLOCK];
    packed
        .par_chunks_mut(BAND * k / 2)
        .zip(absmax.par_chunks_mut(BAND * k / BLOCK))
        .enumerate()
        .try_for_each(|(band, (packed, absmax))| {
            let first = band * BAND;
            let last = n.min(first + BAND);
            let mut numbers = vec![0.0; (last - first) * k];
            rows.widen(order, first..last, &mut numbers);
            if let Some(at) = numbers.iter().position(|number| !number.is_finite()) {
                return Err(Trouble::NotFinite { row: first + at / k, column: at % k, number: numbers[at] });
            }
            quantise(&numbers, packed, absmax);
            Ok(())
        })?;
    let weights = FourBit::new(&CODE, n * k, packed.into(), BLOCK, nested(&absmax))?;
    Ok(Matrix::four_bit(n, k, weights)?)
}

/// Numbers to their nearest of the code, block after block, and the blocks' largest magnitudes.
fn quantise(numbers: &[f32], packed: &mut [u8], absmax: &mut [f32]) {
    let bounds: [f32; 15] = std::array::from_fn(|q| (CODE[q] + CODE[q + 1]) / 2.0);
    for ((block, packed), absmax) in
        numbers.chunks(BLOCK).zip(packed.chunks_mut(BLOCK / 2)).zip(absmax.iter_mut())
    {
        *absmax = block.iter().fold(0.0, |most, number| most.max(number.abs()));
        let inverse = 1.0 / absmax.max(1e-38);
        let quant = |number: f32| {
            let scaled = (number * inverse).clamp(-1.0, 1.0);
            // Between the bounds it lies; on one, below.
            bounds.iter().map(|bound| u8::from(scaled > *bound)).sum::<u8>()
        };
        for (byte, pair) in packed.iter_mut().zip(block.chunks(2)) {
            let low = pair.get(1).map_or(quant(0.0), |number| quant(*number));
            *byte = quant(pair[0]) << 4 | low;
        }
    }
}

/// The scales quantised in their turn.
fn nested(absmax: &[f32]) -> Scales {
    let offset =
        (absmax.iter().map(|scale| f64::from(*scale)).sum::<f64>() / absmax.len().max(1) as f64) as f32;
    let code = dynamic_code();
    let mut quants = Vec::with_capacity(absmax.len());
    let mut scales = Vec::with_capacity(absmax.len().div_ceil(NESTED));
    for block in absmax.chunks(NESTED) {
        let most = block.iter().fold(0.0f32, |most, scale| most.max((scale - offset).abs()));
        let inverse = if most > 0.0 { 1.0 / most } else { 0.0 };
        scales.push(most);
        quants.extend(block.iter().map(|scale| nearest(&code, (scale - offset) * inverse)));
    }
    Scales::Nested { quants: quants.into(), code, scales, block: NESTED, offset }
}

/// Which of an ascending code is nearest; of two as near, the lower.
fn nearest(code: &[f32; 256], number: f32) -> u8 {
    let above = code.partition_point(|value| *value < number).min(255);
    let nearer = above.checked_sub(1).filter(|below| number - code[*below] <= code[above] - number);
    nearer.unwrap_or(above) as u8
}

/// bitsandbytes' dynamic code of 8 bits with a sign (`create_dynamic_map`): means of even steps from 0.1 to 1, for each power of
/// ten from 1e-6 to 1, twice as many for each.
fn dynamic_code() -> Box<[f32; 256]> {
    let mut code = Vec::with_capacity(256);
    for exponent in 0..7u8 {
        let steps = 1i32 << exponent;
        // torch's `linspace` goes from both ends, in f32 with one rounding a step.
        let step = f64::from((1.0 - 0.1f32) / steps as f32);
        let bound = |number: i32| {
            let bound = if number < (steps + 1) / 2 {
                f64::from(0.1f32) + step * f64::from(number)
            } else {
                1.0 - step * f64::from(steps - number)
            };
            bound as f32
        };
        let power = 10f64.powi(i32::from(exponent) - 6) as f32;
        for number in 0..steps {
            let value = power * ((bound(number) + bound(number + 1)) / 2.0);
            code.extend([value, -value]);
        }
    }
    code.extend([0.0, 1.0]);
    code.sort_by(f32::total_cmp);
    let mut all = Box::new([0.0; 256]);
    all.copy_from_slice(&code);
    all
}

/// The numbers of a code or of scales.
pub(super) fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

/// An error of one layer's tensors.
pub(super) fn trouble(name: &str, what: &str) -> Error {
    Error::input(format!("tensor `{name}` of 4 bits: {what}"))
        .with_hint("the weights are in another layout than bitsandbytes writes; take the original ones")
}

/// A code book of 16 or 256 numbers.
pub(super) fn code<const N: usize>(name: &str, bytes: &[u8]) -> Result<[f32; N]> {
    let code: Option<[f32; N]> = floats(bytes).try_into().ok();
    code.filter(|code| code.iter().all(|number| number.is_finite()))
        .ok_or_else(|| trouble(name, &format!("its code isn't {N} numbers")))
}

#[cfg(test)]
mod tests {
    use safetensors::SafeTensors;

    use super::*;
    use crate::kernel::Bytes;

    fn with_goldens(run: impl Fn(&str, &dyn Fn(&str) -> Vec<u8>)) {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens/nf4/matrices.safetensors");
        let bytes = std::fs::read(path).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        for case in ["usual", "wide", "ragged", "zeros"] {
            run(case, &|part: &str| tensors.tensor(&format!("{case}.{part}")).unwrap().data().to_vec());
        }
    }

    #[test]
    fn quantising_gives_the_bytes_of_bitsandbytes() {
        with_goldens(|case, golden| {
            let weight = floats(&golden("weight"));
            let mut packed = vec![0; weight.len().div_ceil(2)];
            let mut absmax = vec![0.0; weight.len().div_ceil(BLOCK)];
            quantise(&weight, &mut packed, &mut absmax);
            assert_eq!(packed, golden("packed"), "{case}");
            let Scales::Nested { quants, code, scales, block, offset } = nested(&absmax) else { panic!() };
            assert_eq!(&code[..], &floats(&golden("nested_quant_map"))[..], "{case}");
            for ((ours, theirs), scale) in quants.as_slice().iter().zip(golden("absmax")).zip(&absmax) {
                // bitsandbytes searches by table, so that which is nearer is decided to some thousandth of a step.
                let place = (scale - offset) / scales[0].max(f32::MIN_POSITIVE);
                let away = |quant: u8| (place - code[usize::from(quant)]).abs();
                let close = (away(*ours) - away(theirs)).abs() <= 2e-3 * (away(*ours) + away(theirs));
                assert!(
                    *ours == theirs || close || scales[0] == 0.0,
                    "{case}: {ours} for {theirs} at {place}"
                );
            }
            assert_eq!((&scales, block), (&floats(&golden("nested_absmax")), 256), "{case}");
            assert_eq!(scales.len(), 1, "{case}");
            let known = floats(&golden("offset"))[0];
            assert!((offset - known).abs() <= known.abs() * 1e-6, "{case}: {offset} for {known}");
            assert_eq!(&CODE[..], &floats(&golden("quant_map"))[..], "{case}");
        });
    }

    #[test]
    fn dequantising_gives_the_bits_of_bitsandbytes() {
        with_goldens(|case, golden| {
            let scales = Scales::Nested {
                quants: Bytes::from(golden("absmax")),
                code: Box::new(code(case, &golden("nested_quant_map")).unwrap()),
                scales: floats(&golden("nested_absmax")),
                block: NESTED,
                offset: floats(&golden("offset"))[0],
            };
            let wanted = floats(&golden("dequantised"));
            let book = code(case, &golden("quant_map")).unwrap();
            let weights = FourBit::new(&book, wanted.len(), golden("packed").into(), BLOCK, scales).unwrap();
            let mut found = vec![0.0; wanted.len()];
            weights.widen(0, &mut found);
            assert_eq!(found, wanted, "{case}");
            // Any stretch, from any place, also from the middle of a byte.
            for (start, len) in [(1, 7), (63, 2), (64, 64), (13, 100), (127, 1)] {
                let mut part = vec![0.0; len];
                weights.widen(start, &mut part);
                assert_eq!(part, &wanted[start..start + len], "{case} from {start}");
            }
        });
    }
}
