//! What stands between the products of a decoder: norms, activations, softmax. Each row's order of summation is fixed.

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::{ParallelSlice, ParallelSliceMut};

use super::simd::{Isa, Simd, Work};

/// Values from which a second thread is worth waking.
const SPLIT_FROM: usize = 1 << 16;

/// Adds up sixteen lanes: `l` and `l + 8` first, then `l + 4`, `l + 2`, `l + 1`.
#[inline(always)]
pub(super) fn sum_lanes(mut v: [f32; 16]) -> f32 {
    for half in [8, 4, 2, 1] {
        for l in 0..half {
            v[l] += v[l + half];
        }
    }
    v[0]
}

/// `f` of every value, added up over sixteen lanes.
#[inline(always)]
fn sum(x: &[f32], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut acc = [0.0; 16];
    let (whole, tail) = x.as_chunks::<16>();
    for x in whole {
        for l in 0..16 {
            acc[l] = f(x[l], acc[l]);
        }
    }
    for (l, x) in tail.iter().enumerate() {
        acc[l] = f(*x, acc[l]);
    }
    sum_lanes(acc)
}

/// The largest value; infinity below all if there is none.
#[inline(always)]
fn max(x: &[f32]) -> f32 {
    let mut acc = [f32::NEG_INFINITY; 16];
    let (whole, tail) = x.as_chunks::<16>();
    for x in whole {
        for l in 0..16 {
            acc[l] = if x[l] > acc[l] { x[l] } else { acc[l] };
        }
    }
    tail.iter().chain(&acc).fold(f32::NEG_INFINITY, |top, v| if *v > top { *v } else { top })
}

/// `eˣ`, within 2 units in the last place; 0 and infinity beyond the range of f32, NaN for NaN.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // Adding 1.5 * 2^23 rounds to a whole number and leaves it in the low bits.
    const MAGIC: f32 = 12_582_912.0;
    // ln 2 in two parts, the first with zeros at its end.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = if x > 89.0 { 89.0 } else { x };
    let x = if x < -104.0 { -104.0 } else { x };
    let shifted = x.mul_add(std::f32::consts::LOG2_E, MAGIC);
    let n = shifted - MAGIC;
    let r = n.mul_add(-LN_2_LOW, n.mul_add(-LN_2_HIGH, x));
    // The series of eʳ for |r| <= ln 2 / 2: the first term left out is below 2^-27.
    let mut p = 1.0 / 5040.0;
    for c in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = r.mul_add(p, c);
    }
    // 2ⁿ as two factors, so that neither leaves the range where the product doesn't.
    let n = shifted.to_bits().wrapping_sub(MAGIC.to_bits()).cast_signed();
    let half = n >> 1;
    let power = |n: i32| f32::from_bits(((n + 127) << 23).cast_unsigned());
    p * power(half) * power(n - half)
}

/// The error function, within 2 units in the last place.
#[inline(always)]
fn erf(x: f32) -> f32 {
    // Minimax fits: of (erf(x) - x) / x in x² up to 0.86, and of -ln(1 - erf(x)) / x in x up to 4, from where erf is 1.
    const NEAR: [f32; 6] =
        [-6.203_253e-4, 5.032_181e-3, -2.679_146_3e-2, 1.128_245_5e-1, -3.761_255e-1, 1.283_791_5e-1];
    const TAIL: [f32; 8] = [
        6.259_624_6e-6,
        -6.145_496e-5,
        3.009_928_3e-5,
        2.713_425_3e-3,
        -2.232_910_1e-2,
        1.049_410_3e-1,
        6.357_879_6e-1,
        1.128_517_3,
    ];
    let s = x * x;
    let mut near = 0.0;
    for c in NEAR {
        near = s.mul_add(near, c);
    }
    let near = near.mul_add(x, x);
    let t = x.abs();
    let t = if t > 4.0 { 4.0 } else { t };
    let mut tail = 0.0;
    for c in TAIL {
        tail = t.mul_add(tail, c);
    }
    let tail = (1.0 - exp(-t * tail)).copysign(x);
    if t > 0.86 { tail } else { near }
}

/// A function of values of the same place, written once over the instruction sets.
struct Map<'a, F> {
    x: &'a [f32],
    y: &'a [f32],
    out: &'a mut [f32],
    f: F,
}

impl<F: Fn(f32, f32, f32) -> f32> Work for Map<'_, F> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for ((out, x), y) in self.out.iter_mut().zip(self.x).zip(self.y) {
            *out = (self.f)(*x, *y, *out);
        }
    }
}

/// `out = f(x, y, out)` for every place, on the pool's threads if there are many.
fn map(isa: Isa, x: &[f32], y: &[f32], out: &mut [f32], f: impl Fn(f32, f32, f32) -> f32 + Sync + Copy) {
    assert!(
        x.len() == out.len() && y.len() == out.len(),
        "{} and {} values to {}",
        x.len(),
        y.len(),
        out.len()
    );
    if out.len() < SPLIT_FROM {
        // SAFETY: `isa` is this processor's.
        return unsafe { isa.run(Map { x, y, out, f }) };
    }
    let part = SPLIT_FROM / 4;
    x.par_chunks(part).zip(y.par_chunks(part)).zip(out.par_chunks_mut(part)).for_each(|((x, y), out)| {
        // SAFETY: as above.
        unsafe { isa.run(Map { x, y, out, f }) }
    });
}

/// Rows of `width` and one output of the same shape.
struct Norm<'a> {
    x: &'a [f32],
    out: &'a mut [f32],
    weight: &'a [f32],
    /// For a layer norm: the mean is taken off, and this is added.
    bias: Option<&'a [f32]>,
    eps: f32,
}

impl Work for Norm<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let width = self.weight.len();
        let count = width as f32;
        for (x, out) in self.x.chunks_exact(width).zip(self.out.chunks_exact_mut(width)) {
            match self.bias {
                None => {
                    let squares = sum(x, |v, acc| v.mul_add(v, acc));
                    let scale = 1.0 / (squares / count + self.eps).sqrt();
                    for ((out, x), w) in out.iter_mut().zip(x).zip(self.weight) {
                        *out = x * scale * w;
                    }
                }
                Some(bias) => {
                    let mean = sum(x, |v, acc| acc + v) / count;
                    let squares = sum(x, |v, acc| (v - mean).mul_add(v - mean, acc));
                    let scale = 1.0 / (squares / count + self.eps).sqrt();
                    for (((out, x), w), b) in out.iter_mut().zip(x).zip(self.weight).zip(bias) {
                        *out = ((x - mean) * scale).mul_add(*w, *b);
                    }
                }
            }
        }
    }
}

/// Normalises rows on the pool's threads if there are many.
fn norm(x: &[f32], weight: &[f32], bias: Option<&[f32]>, eps: f32, out: &mut [f32]) {
    let width = weight.len();
    assert!(
        x.len() == out.len()
            && width > 0
            && x.len().is_multiple_of(width)
            && bias.is_none_or(|b| b.len() == width),
        "norm: {} values to {}, for a weight of {width}",
        x.len(),
        out.len()
    );
    let isa = Isa::detect();
    if out.len() < SPLIT_FROM {
        // SAFETY: `isa` is this processor's.
        return unsafe { isa.run(Norm { x, out, weight, bias, eps }) };
    }
    let part = (SPLIT_FROM / 4).next_multiple_of(width);
    x.par_chunks(part).zip(out.par_chunks_mut(part)).for_each(|(x, out)| {
        // SAFETY: as above.
        unsafe { isa.run(Norm { x, out, weight, bias, eps }) }
    });
}

/// `out = x / sqrt(mean(x²) + eps) * weight` for every row of `x`, which are as long as `weight`.
///
/// # Panics
/// If `x` is not whole rows, or `out` of another length.
pub fn rms_norm(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    norm(x, weight, None, eps, out);
}

/// `out = (x - mean(x)) / sqrt(var(x) + eps) * weight + bias` for every row of `x`, which are as long as `weight`.
///
/// # Panics
/// If `x` is not whole rows, or `out` or `bias` of another length.
pub fn layer_norm(x: &[f32], weight: &[f32], bias: &[f32], eps: f32, out: &mut [f32]) {
    norm(x, weight, Some(bias), eps, out);
}

/// `out = silu(gate) * up`, where `silu(v) = v / (1 + e⁻ᵛ)`.
///
/// # Panics
/// If the lengths differ.
pub fn silu_mul(gate: &[f32], up: &[f32], out: &mut [f32]) {
    map(Isa::detect(), gate, up, out, |gate, up, _| gate / (1.0 + exp(-gate)) * up);
}

/// `out = x * Φ(x)` by the error function, the form of GPT-NeoX.
///
/// # Panics
/// If the lengths differ.
pub fn gelu(x: &[f32], out: &mut [f32]) {
    map(Isa::detect(), x, x, out, |x, _, _| 0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2)));
}

/// `out = 0.5 x (1 + tanh(sqrt(2 / π) (x + 0.044715 x³)))`, the form of GPT-J (`gelu_new`), as `x / (1 + e⁻²ᵘ)`.
///
/// # Panics
/// If the lengths differ.
pub fn gelu_tanh(x: &[f32], out: &mut [f32]) {
    const MINUS_TWICE: f32 = -2.0 * 0.797_884_6;
    map(Isa::detect(), x, x, out, |x, _, _| x / (1.0 + exp(MINUS_TWICE * (x * x * x).mul_add(0.044_715, x))));
}

/// `out += x`.
///
/// # Panics
/// If the lengths differ.
pub fn add_in_place(out: &mut [f32], x: &[f32]) {
    map(Isa::detect(), x, x, out, |x, _, out| out + x);
}

/// A row's softmax in place.
struct Softmax<'a>(&'a mut [f32]);

impl Work for Softmax<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let top = max(self.0);
        for v in self.0.iter_mut() {
            *v = exp(*v - top);
        }
        let scale = 1.0 / sum(self.0, |v, acc| acc + v);
        for v in self.0.iter_mut() {
            *v *= scale;
        }
    }
}

/// `row = e^(row - max) / Σ e^(row - max)`. Values of minus infinity become 0; at least one must be finite.
pub fn softmax(row: &mut [f32]) {
    // SAFETY: the instructions are this processor's.
    unsafe { Isa::detect().run(Softmax(row)) }
}

/// The logarithm of a row's sum of exponentials.
struct LogSumExp<'a>(&'a [f32]);

impl Work for LogSumExp<'_> {
    type Out = f64;

    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> f64 {
        let top = max(self.0);
        let mut acc = [0.0_f64; 16];
        let (whole, tail) = self.0.as_chunks::<16>();
        for x in whole {
            for l in 0..16 {
                acc[l] += f64::from(exp(x[l] - top));
            }
        }
        for (l, x) in tail.iter().enumerate() {
            acc[l] += f64::from(exp(*x - top));
        }
        for half in [8, 4, 2, 1] {
            for l in 0..half {
                acc[l] += acc[l + half];
            }
        }
        f64::from(top) + acc[0].ln()
    }
}

/// `ln Σ e^row`, in nats, added up in f64.
pub fn log_sum_exp(row: &[f32]) -> f64 {
    // SAFETY: the instructions are this processor's.
    unsafe { Isa::detect().run(LogSumExp(row)) }
}
