//! Products against references in f64, and the same bits on every way to them.

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use proptest::prelude::*;
use rayon::ThreadPool;

use super::simd::Isa;
use super::{Bytes, Dtype, FourBit, Matrix, Scales};

const DENSE: [Dtype; 3] = [Dtype::F32, Dtype::F16, Dtype::Bf16];
const QUANTISED: [Dtype; 3] = [Dtype::Q8_0, Dtype::Q4K, Dtype::Q6K];

/// `len` values from -2 to 2 (splitmix64), of different sizes so that scales differ.
pub(super) fn random(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z >> 40) as f32) / ((1 << 23) as f32) - 1.0
    };
    (0..len).map(|_| next() * next().exp2()).collect()
}

fn pool(threads: usize) -> ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
}

/// A matrix of random weights, and these weights as they are after being stored.
fn matrix(dtype: Dtype, n: usize, k: usize, seed: u64) -> (Matrix, Vec<f32>) {
    let values = random(seed, n * k);
    if DENSE.contains(&dtype) {
        return dense(dtype, n, k, &values);
    }
    let ggml = match dtype {
        Dtype::Q8_0 => GgmlDType::Q8_0,
        Dtype::Q4K => GgmlDType::Q4K,
        _ => GgmlDType::Q6K,
    };
    let tensor = Tensor::from_vec(values, (n, k), &Device::Cpu).unwrap();
    let quantised = QTensor::quantize(&tensor, ggml).unwrap();
    let stored = quantised.dequantize(&Device::Cpu).unwrap().flatten_all().unwrap().to_vec1().unwrap();
    (Matrix::blocks(dtype, n, k, &quantised.data().unwrap()).unwrap(), stored)
}

/// A dense matrix of these weights, one byte off every alignment, and the weights as stored.
fn dense(dtype: Dtype, n: usize, k: usize, values: &[f32]) -> (Matrix, Vec<f32>) {
    let mut bytes = vec![0_u8];
    let mut stored = Vec::new();
    for v in values {
        match dtype {
            Dtype::F32 => {
                bytes.extend(v.to_le_bytes());
                stored.push(*v);
            }
            Dtype::F16 => {
                bytes.extend(half::f16::from_f32(*v).to_le_bytes());
                stored.push(half::f16::from_f32(*v).to_f32());
            }
            _ => {
                bytes.extend(half::bf16::from_f32(*v).to_le_bytes());
                stored.push(half::bf16::from_f32(*v).to_f32());
            }
        }
    }
    let mut map = memmap2::MmapMut::map_anon(bytes.len()).unwrap();
    map.copy_from_slice(&bytes);
    let map = map.make_read_only().unwrap();
    let range = 1..bytes.len();
    (Matrix::dense(dtype, n, k, Bytes::Mapped(map.into(), range)).unwrap(), stored)
}

fn product(matrix: &Matrix, isa: Isa, x: &[f32]) -> Vec<f32> {
    let mut out = vec![f32::NAN; x.len() / matrix.k() * matrix.n()];
    matrix.matmul_with(isa, x, &mut out);
    out
}

/// What a row of activations is after being quantised as the module says.
fn quantised(x: &[f32]) -> Vec<f64> {
    let mut out = Vec::new();
    for block in x.chunks(32) {
        let scale = block.iter().fold(0.0_f32, |top, v| top.max(v.abs())) / 127.0;
        let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        out.extend(block.iter().map(|v| f64::from((v * inverse).round_ties_even()) * f64::from(scale)));
    }
    out
}

/// That every element is the dot product in f64, up to `bound` of the sum of its terms' sizes.
fn assert_product(out: &[f32], x: &[f64], w: &[f32], [n, k]: [usize; 2], bound: f64, what: &str) {
    for (i, (row, x)) in out.chunks(n).zip(x.chunks(k)).enumerate() {
        for (j, (out, w)) in row.iter().zip(w.chunks(k)).enumerate() {
            let terms = || x.iter().zip(w).map(|(x, w)| x * f64::from(*w));
            let (exact, size) = (terms().sum::<f64>(), terms().map(f64::abs).sum::<f64>());
            let error = (f64::from(*out) - exact).abs();
            assert!(error <= bound * size, "{what} [{i}, {j}]: {out} for {exact}, off by {error} of {size}");
        }
    }
}

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|v| f64::from(*v)).collect()
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|v| v.to_bits()).collect()
}

#[test]
fn dense_products_are_those_of_f64() {
    for dtype in DENSE {
        for (n, k) in [(1, 1), (3, 5), (7, 100), (16, 16), (33, 257), (50, 1025), (9, 2060), (5, 4133)] {
            let (matrix, w) = matrix(dtype, n, k, 1);
            for m in [1, 4, 7, 16, 37] {
                let x = random(2, m * k);
                let out = product(&matrix, Isa::detect(), &x);
                let what = format!("{dtype} {m}x{k}x{n}");
                let rounded: Vec<f64> = x.iter().map(|v| half::bf16::from_f32(*v).to_f64()).collect();
                let held = if dtype == Dtype::Bf16 { rounded } else { wide(&x) };
                assert_product(&out, &held, &w, [n, k], 2e-6, &what);
                // bf16 has eight digits.
                assert_product(&out, &wide(&x), &w, [n, k], 1.0 / 256.0, &what);
            }
        }
    }
}

#[test]
fn quantised_products_are_those_of_the_quantised_rows() {
    for dtype in QUANTISED {
        for (n, k) in [(1, 256), (16, 256), (33, 512), (50, 768), (31, 1280)] {
            let (matrix, w) = matrix(dtype, n, k, 3);
            for m in [1, 4, 7, 37] {
                let x = random(4, m * k);
                let out = product(&matrix, Isa::detect(), &x);
                let what = format!("{dtype} {m}x{k}x{n}");
                // Q4_K's terms here are whole weights: what its scale and minimum have apart is a few times as large.
                assert_product(&out, &quantised(&x), &w, [n, k], 4e-6, &what);
                // Half a step of i8 against blocks whose values are up to twice their mean size and more.
                assert_product(&out, &wide(&x), &w, [n, k], 2e-2, &what);
            }
        }
    }
    let (matrix, w) = matrix(Dtype::Q8_0, 5, 96, 3);
    let x = random(4, 96);
    assert_product(
        &product(&matrix, Isa::detect(), &x),
        &quantised(&x),
        &w,
        [5, 96],
        4e-6,
        "q8_0 of three blocks",
    );
}

#[test]
fn extreme_quants_are_exact() {
    // All weights -128, all activations the largest: where sums of two products don't fit 16 bits.
    let block: Vec<u8> = [0x00, 0x3C].into_iter().chain([0x80; 32]).collect();
    let matrix = Matrix::blocks(Dtype::Q8_0, 16, 32, &block.repeat(16)).unwrap();
    for isa in Isa::available() {
        assert_eq!(product(&matrix, isa, &[127.0; 32]), [-128.0 * 127.0 * 32.0; 16], "{isa:?}");
        assert_eq!(product(&matrix, isa, &[-127.0; 32]), [128.0 * 127.0 * 32.0; 16], "{isa:?}");
    }
}

#[test]
fn every_element_has_the_same_bits_on_every_way() {
    let shapes =
        [(Dtype::F32, 67, 1100), (Dtype::F16, 37, 333), (Dtype::Bf16, 130, 70), (Dtype::F32, 515, 64)]
            .into_iter()
            .chain([(Dtype::Bf16, 9, 4133)])
            .chain(QUANTISED.map(|dtype| (dtype, 83, 768)));
    for (dtype, n, k) in shapes {
        let (matrix, _) = matrix(dtype, n, k, 5);
        let x = random(6, 200 * k);
        let expected = bits(&pool(1).install(|| product(&matrix, Isa::Portable, &x)));
        for isa in Isa::available() {
            for threads in [1, 2] {
                pool(threads).install(|| {
                    for m in [1, 2, 3, 5, 8, 17, 64, 200] {
                        for first in [0, 1, 11, 97, 200 - m] {
                            let rows = first.min(200 - m)..first.min(200 - m) + m;
                            let out = product(&matrix, isa, &x[rows.start * k..rows.end * k]);
                            let same = bits(&out) == expected[rows.start * n..rows.end * n];
                            assert!(same, "{dtype} {isa:?}: rows {rows:?} on {threads} threads");
                        }
                    }
                });
            }
        }
    }
}

#[test]
fn a_row_is_what_the_file_says() {
    for dtype in DENSE.into_iter().chain(QUANTISED) {
        let (matrix, w) = matrix(dtype, 19, 512, 7);
        let mut row = vec![0.0; 512];
        for i in 0..19 {
            matrix.row(i, &mut row);
            assert_eq!(bits(&row), bits(&w[i * 512..(i + 1) * 512]), "{dtype} row {i}");
        }
    }
}

#[test]
fn packed_weights_are_small() {
    for (dtype, most) in [(Dtype::Q8_0, 8.5), (Dtype::Q4K, 4.625), (Dtype::Q6K, 6.5625)] {
        let (matrix, _) = matrix(dtype, 32, 512, 8);
        assert_eq!(matrix.bytes() as f64 * 8.0 / (32.0 * 512.0), most, "{dtype}");
    }
}

#[test]
fn what_is_no_number_stays_none() {
    for dtype in DENSE {
        let mut values = random(9, 8 * 40);
        values[3] = f32::NAN;
        values[40] = f32::INFINITY;
        let (matrix, _) = dense(dtype, 8, 40, &values);
        for isa in Isa::available() {
            for m in [1, 20] {
                for row in product(&matrix, isa, &vec![1.0; m * 40]).chunks(8) {
                    assert!(
                        row[0].is_nan() && row[1] == f32::INFINITY && row[2].is_finite(),
                        "{dtype} {isa:?}"
                    );
                }
            }
        }
    }
    for dtype in QUANTISED {
        let (matrix, _) = matrix(dtype, 20, 256, 9);
        for bad in [f32::NAN, f32::NEG_INFINITY] {
            let mut x = random(10, 3 * 256);
            x[256 + 7] = bad;
            for isa in Isa::available() {
                let out = product(&matrix, isa, &x);
                assert!(out[..20].iter().all(|v| v.is_finite()) && out[40..].iter().all(|v| v.is_finite()));
                assert!(out[20..40].iter().all(|v| v.is_nan()), "{dtype} {isa:?}");
            }
        }
    }
}

#[test]
fn nothing_times_something_is_nothing() {
    let (matrix, _) = matrix(Dtype::Q8_0, 4, 32, 1);
    matrix.matmul(&[], &mut []);
    assert_eq!(product(&matrix, Isa::detect(), &[0.0; 32]), [0.0; 4]);
    // Too small to have a scale that is a normal number.
    assert_eq!(product(&matrix, Isa::detect(), &[1e-41; 32]), [0.0; 4]);
    let none = Matrix::dense(Dtype::F32, 3, 0, vec![].into()).unwrap();
    let mut out = [1.0; 6];
    none.matmul(&[], &mut out);
    assert_eq!(out, [0.0; 6]);
}

#[test]
#[should_panic(expected = "x has 33 values and out 4, for a weight matrix of shape [4, 32]")]
fn rows_of_another_length_are_refused() {
    matrix(Dtype::Q8_0, 4, 32, 1).0.matmul(&[0.0; 33], &mut [0.0; 4]);
}

#[test]
fn what_is_no_such_matrix_is_refused() {
    let refused = |result: instil::error::Result<Matrix>| {
        let error = result.unwrap_err();
        format!("{error}: {}", std::error::Error::source(&error).unwrap())
    };
    assert_eq!(
        refused(Matrix::blocks(Dtype::Q4K, 16, 128, &[0; 16 * 72])),
        "a matrix of q4_k and shape [16, 128]: rows of 128 values are no whole number of blocks of 256"
    );
    assert_eq!(
        refused(Matrix::dense(Dtype::Bf16, 2, 3, vec![0; 11].into())),
        "a matrix of bf16 and shape [2, 3]: it has 11 bytes, not 12"
    );
    assert!(Matrix::dense(Dtype::F32, usize::MAX, 8, vec![].into()).is_err());
    assert!(Matrix::dense(Dtype::Q8_0, 1, 32, vec![0; 34].into()).is_err());
    assert!(Matrix::blocks(Dtype::F32, 1, 1, &[0; 4]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_row_alone_has_the_bits_that_it_has_among_others(
        dtype in prop::sample::select([DENSE, QUANTISED].concat()),
        n in 1..70_usize,
        k in 1..1400_usize,
        m in 2..40_usize,
        seed: u64,
    ) {
        let k = k.next_multiple_of(dtype.block());
        let (matrix, _) = matrix(dtype, n, k, seed);
        let x = random(!seed, m * k);
        let isas = Isa::available();
        let all = product(&matrix, isas[0], &x);
        let i = seed as usize % m;
        for isa in isas {
            let alone = product(&matrix, isa, &x[i * k..(i + 1) * k]);
            prop_assert_eq!(bits(&alone), bits(&all[i * n..(i + 1) * n]), "{} {:?}", dtype, isa);
        }
    }
}

/// Random weights of 4 bits whose blocks run over the ends of rows where `k` says so.
fn four_bit(n: usize, k: usize, nested: bool, seed: u64) -> Matrix {
    let count = n * k;
    let code: [f32; 16] = random(seed, 16).try_into().unwrap();
    let byte = |v: &f32| (v.to_bits() >> 7) as u8;
    let packed: Vec<u8> = random(seed + 1, count.div_ceil(2)).iter().map(byte).collect();
    let blocks = count.div_ceil(64);
    let scales = if nested {
        Scales::Nested {
            quants: random(seed + 2, blocks).iter().map(byte).collect::<Vec<u8>>().into(),
            code: Box::new(random(seed + 3, 256).try_into().unwrap()),
            scales: random(seed + 4, blocks.div_ceil(256)),
            block: 256,
            offset: 0.5,
        }
    } else {
        Scales::Plain(random(seed + 2, blocks))
    };
    Matrix::four_bit(n, k, FourBit::new(&code, count, packed.into(), 64, scales).unwrap()).unwrap()
}

#[test]
fn four_bits_give_the_bits_of_the_widened_matrix_on_every_way() {
    for (n, k, m) in [(7, 64, 1), (70, 100, 3), (33, 33, 9), (130, 1088, 20), (3, 4096, 2), (257, 128, 400)] {
        let matrix = four_bit(n, k, k % 64 == 0, (n * k) as u64);
        let mut stored = vec![0.0; n * k];
        matrix.dequantize_rows(0..n, &mut stored);
        let (wide, _) = dense(Dtype::F32, n, k, &stored);
        let x = random(9, m * k);
        let expected = product(&wide, Isa::detect(), &x);
        for isa in Isa::available() {
            for threads in [1, 3] {
                let found = pool(threads).install(|| product(&matrix, isa, &x));
                assert!(found == expected, "[{n}, {k}] for {m} rows, {isa:?}, {threads} threads");
            }
        }
        let alone: Vec<f32> = x.chunks(k).flat_map(|x| product(&matrix, Isa::detect(), x)).collect();
        assert!(alone == expected, "[{n}, {k}]: rows alone");
        let mut row = vec![0.0; k];
        matrix.row(n - 1, &mut row);
        assert_eq!(row, stored[(n - 1) * k..]);
    }
}

#[test]
fn four_bits_of_another_length_are_refused() {
    let weights = |bytes: usize, scales: usize| {
        FourBit::new(&[0.0; 16], 128, vec![0; bytes].into(), 64, Scales::Plain(vec![1.0; scales]))
    };
    assert!(weights(63, 2).is_err() && weights(64, 1).is_err());
    assert!(Matrix::four_bit(3, 64, weights(64, 2).unwrap()).is_err());
    assert_eq!(Matrix::four_bit(2, 64, weights(64, 2).unwrap()).unwrap().dtype(), Dtype::Nf4);
}
