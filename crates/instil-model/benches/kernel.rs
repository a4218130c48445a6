//! Products of the kernels beside candle's, in one run: `cargo bench -p instil-model --bench kernel -- [FILTER]`.
//!
//! Prints the GFLOP/s of both (two operations a weight and row), best of several calls that take turns, and their ratio; for
//! one row also the gigabytes of weights a second. Candle has no product with bf16 and f16 weights that is not in f32: there
//! the ratio is to its f32.

#![allow(missing_docs)]
// A benchmark talks.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::time::{Duration, Instant};

use candle_core::quantized::{GgmlDType, QMatMul, QTensor};
use candle_core::{Device, Module, Tensor};
use instil_model::kernel::{Bytes, Dtype, Matrix};

const SHAPES: [[usize; 2]; 5] = [[768, 768], [768, 2048], [2048, 768], [768, 32000], [4096, 14336]];
const ROWS: [usize; 6] = [1, 4, 16, 32, 128, 512];
const DTYPES: [Dtype; 6] = [Dtype::F32, Dtype::Bf16, Dtype::F16, Dtype::Q8_0, Dtype::Q4K, Dtype::Q6K];

fn main() {
    let filter = std::env::args().skip(1).find(|a| !a.starts_with("--")).unwrap_or_default();
    println!("{} threads", rayon::current_num_threads());
    println!(
        "{:<6} {:>13} {:>4} {:>9} {:>9} {:>6} {:>7}",
        "dtype", "k x n", "m", "ours", "candle", "ratio", "GB/s"
    );
    for dtype in DTYPES {
        for [k, n] in SHAPES {
            let name = format!("{dtype} {k}x{n}");
            if name.contains(&filter) {
                shape(dtype, k, n);
            }
        }
    }
}

/// Values from -1 to 1 of no particular kind.
fn values(len: usize) -> Vec<f32> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state as f32 / (1_u32 << 31) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

fn shape(dtype: Dtype, k: usize, n: usize) {
    let device = Device::Cpu;
    let weights = values(n * k);
    let tensor = Tensor::from_slice(&weights, (n, k), &device).unwrap();
    let ggml = match dtype {
        Dtype::Q8_0 => Some(GgmlDType::Q8_0),
        Dtype::Q4K => Some(GgmlDType::Q4K),
        Dtype::Q6K => Some(GgmlDType::Q6K),
        _ => None,
    };
    let (matrix, quantised) = if let Some(ggml) = ggml {
        let quantised = QTensor::quantize(&tensor, ggml).unwrap();
        let matrix = Matrix::blocks(dtype, n, k, &quantised.data().unwrap()).unwrap();
        (matrix, Some(QMatMul::from_qtensor(quantised).unwrap()))
    } else {
        let bytes: Vec<u8> = match dtype {
            Dtype::F32 => weights.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Dtype::F16 => weights.iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect(),
            _ => weights.iter().flat_map(|v| half::bf16::from_f32(*v).to_le_bytes()).collect(),
        };
        (Matrix::dense(dtype, n, k, Bytes::from(bytes)).unwrap(), None)
    };
    drop(weights);
    let transposed = tensor.t().unwrap();
    for m in ROWS {
        let x = values(m * k);
        let rows = Tensor::from_slice(&x, (m, k), &device).unwrap();
        let mut out = vec![0.0; m * n];
        let mut best = [f64::INFINITY; 2];
        let begun = Instant::now();
        let mut turns = 0;
        while turns < 4 || (begun.elapsed() < Duration::from_millis(400) && turns < 2000) {
            let start = Instant::now();
            matrix.matmul(&x, &mut out);
            best[0] = best[0].min(start.elapsed().as_secs_f64());
            let start = Instant::now();
            let theirs = match &quantised {
                Some(quantised) => quantised.forward(&rows).unwrap(),
                None => rows.matmul(&transposed).unwrap(),
            };
            best[1] = best[1].min(start.elapsed().as_secs_f64());
            drop(theirs);
            turns += 1;
        }
        let work = 2.0 * (m * n * k) as f64 / 1e9;
        println!(
            "{:<6} {:>13} {m:>4} {:>9.1} {:>9.1} {:>6.2} {:>7.1}",
            dtype.to_string(),
            format!("{k}x{n}"),
            work / best[0],
            work / best[1],
            best[1] / best[0],
            matrix.bytes() as f64 / 1e9 / best[0],
        );
    }
}
