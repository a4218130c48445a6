//! What this machine can do at the most: bytes that its threads read a second, and multiply-adds.
//!
//! Measured with the same instructions as the kernels run, on rayon's current pool: sums over memory that no cache holds,
//! and chains of multiply-adds in registers.

use std::time::Instant;

use rayon::prelude::*;

use super::Dtype;
use super::simd::{Isa, Simd, Work};

/// The limits of a machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Bytes read from memory a second.
    pub bytes: f64,
    /// Multiply-adds of f32 a second.
    pub f32: f64,
    /// Multiply-adds of bf16, added up in f32, a second.
    pub bf16: f64,
    /// Multiply-adds of 8-bit integers a second.
    pub i8: f64,
}

/// Bytes that are read: more than any cache holds.
const MEMORY: usize = 256 << 20;

/// Rounds of multiply-adds of one measurement, some milliseconds.
const ROUNDS: usize = 1 << 20;

/// How often each limit is measured; the best counts, since nothing makes a machine faster than it is.
const TIMES: usize = 5;

/// Vectors that are summed at once, so that none waits for its last sum.
const CHAINS: usize = 8;

impl Limits {
    /// Measures them, which takes some seconds and a quarter of a gigabyte.
    pub fn measure() -> Self {
        let threads = rayon::current_num_threads();
        let memory = vec![1.0_f32; MEMORY / 4];
        // At least one part a thread, of the same length.
        let part = memory.len() / threads / (16 * CHAINS) * (16 * CHAINS);
        let bytes = best(|| {
            let sums = memory.par_chunks_exact(part).with_max_len(1).map(|part| run(Sum(part))).sum::<f32>();
            (threads * part * 4) as f64 * f64::from(u8::from(sums > 0.0))
        });
        let every =
            |work: fn() -> f64| best(|| (0..threads).into_par_iter().with_max_len(1).map(|_| work()).sum());
        Self { bytes, f32: every(|| run(F32)), bf16: every(|| run(Bf16)), i8: every(|| run(I8)) }
    }
}

impl Limits {
    /// Multiply-adds a second with weights that are stored so.
    pub fn multiply_adds(&self, dtype: Dtype) -> f64 {
        match dtype {
            Dtype::F32 | Dtype::F16 | Dtype::Nf4 => self.f32,
            Dtype::Bf16 => self.bf16,
            Dtype::Q8_0 | Dtype::Q4K | Dtype::Q6K => self.i8,
        }
    }
}

/// What was done a second, in the fastest of several measurements; `work` says how much it did.
fn best(mut work: impl FnMut() -> f64) -> f64 {
    let once = |_| {
        let start = Instant::now();
        let done = work();
        done / start.elapsed().as_secs_f64()
    };
    (0..TIMES).map(once).fold(0.0, f64::max)
}

fn run<W: Work>(work: W) -> W::Out {
    // SAFETY: the instructions are this processor's, and the works below read only their slices.
    unsafe { Isa::detect().run_bf16(work) }
}

/// The sum of numbers, whose count is a multiple of all chains' lanes.
struct Sum<'a>(&'a [f32]);

impl Work for Sum<'_> {
    type Out = f32;

    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> f32 {
        // SAFETY: each chunk has `CHAINS` vectors of sixteen numbers; the features are the caller's.
        unsafe {
            let one = S::splat(1.0);
            let mut acc = [S::zero(); CHAINS];
            for chunk in self.0.as_chunks::<{ 16 * CHAINS }>().0 {
                for (chain, acc) in acc.iter_mut().enumerate() {
                    *acc = S::fma(S::load(chunk.as_ptr().add(16 * chain)), one, *acc);
                }
            }
            S::sum4([acc[0], acc[1], acc[2], acc[3]]).iter().sum::<f32>()
                + S::sum4([acc[4], acc[5], acc[6], acc[7]]).iter().sum::<f32>()
        }
    }
}

/// Multiply-adds of f32 in registers; gives their number.
struct F32;

impl Work for F32 {
    type Out = f64;

    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> f64 {
        // SAFETY: the features are the caller's.
        unsafe {
            // What the compiler can't know.
            let factor = S::splat(std::hint::black_box(0.999));
            let added = S::splat(std::hint::black_box(1e-3));
            let mut acc = [added; CHAINS];
            for _ in 0..ROUNDS {
                for acc in &mut acc {
                    *acc = S::fma(*acc, factor, added);
                }
            }
            std::hint::black_box(S::sum4([acc[0], acc[1], acc[2], acc[3]]));
            std::hint::black_box(S::sum4([acc[4], acc[5], acc[6], acc[7]]));
        }
        (ROUNDS * CHAINS * 16) as f64
    }
}

/// Multiply-adds of bf16 in registers; gives their number.
struct Bf16;

impl Work for Bf16 {
    type Out = f64;

    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> f64 {
        // SAFETY: the features are the caller's; 64 bytes are readable.
        unsafe {
            let bytes = std::hint::black_box([1_u8; 64]);
            let weights = S::bytes(bytes.as_ptr());
            let mut acc = [S::zero(); CHAINS];
            for _ in 0..ROUNDS {
                for acc in &mut acc {
                    *acc = S::dot_bf16(*acc, weights, weights);
                }
            }
            std::hint::black_box(S::sum4([acc[0], acc[1], acc[2], acc[3]]));
            std::hint::black_box(S::sum4([acc[4], acc[5], acc[6], acc[7]]));
        }
        (ROUNDS * CHAINS * 32) as f64
    }
}

/// Multiply-adds of bytes in registers; gives their number.
struct I8;

impl Work for I8 {
    type Out = f64;

    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> f64 {
        // SAFETY: the features are the caller's; 64 bytes are readable.
        unsafe {
            let bytes = std::hint::black_box([1_u8; 64]);
            let weights = S::bytes(bytes.as_ptr());
            let mut acc = [S::splat_i32(0); CHAINS];
            for round in 0..ROUNDS {
                // Another factor each round, so that nothing is computed once for all.
                let x = std::hint::black_box((round & 1) as i32);
                for acc in &mut acc {
                    *acc = S::dot(*acc, weights, x);
                }
            }
            let sums = acc.map(|acc| S::to_f32(acc));
            std::hint::black_box(S::sum4([sums[0], sums[1], sums[2], sums[3]]));
            std::hint::black_box(S::sum4([sums[4], sums[5], sums[6], sums[7]]));
        }
        (ROUNDS * CHAINS * 64) as f64
    }
}
