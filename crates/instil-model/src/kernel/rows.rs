//! What stands between the products of a decoder: norms, activations, softmax. Each row's order of summation is fixed.

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::{ParallelSlice, ParallelSliceMut};

use super::simd::{Isa, Simd, Work};

/// Values from which a second thread is worth waking.
pub(super) const SPLIT_FROM: usize = 1 << 16;

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
pub(super) fn sum(x: &[f32], f: impl Fn(f32, f32) -> f32) -> f32 {
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
pub(super) fn exp(x: f32) -> f32 {
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
pub(super) fn erf(x: f32) -> f32 {
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
pub(super) fn map(
    isa: Isa,
    x: &[f32],
    y: &[f32],
    out: &mut [f32],
    f: impl Fn(f32, f32, f32) -> f32 + Sync + Copy,
) {
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
    map(Isa::detect(), x, x, out, |x, _, _| gelu_tanh_of(x));
}

/// [`gelu_tanh`] of one value.
#[inline(always)]
pub(super) fn gelu_tanh_of(x: f32) -> f32 {
    const MINUS_TWICE: f32 = -2.0 * 0.797_884_6;
    x / (1.0 + exp(MINUS_TWICE * (x * x * x).mul_add(0.044_715, x)))
}

/// `out = gelu_tanh(gate) * up`.
///
/// # Panics
/// If the lengths differ.
pub fn gelu_tanh_mul(gate: &[f32], up: &[f32], out: &mut [f32]) {
    map(Isa::detect(), gate, up, out, |gate, up, _| gelu_tanh_of(gate) * up);
}

/// `out = max(x, 0)`.
///
/// # Panics
/// If the lengths differ.
pub fn relu(x: &[f32], out: &mut [f32]) {
    map(Isa::detect(), x, x, out, |x, _, _| x.max(0.0));
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

/// [`softmax`] within a kernel that has its instructions already.
///
/// # Safety
/// The processor has the features of `S`.
#[inline(always)]
pub(super) unsafe fn softmax_of<S: Simd>(row: &mut [f32]) {
    // SAFETY: passed on to the caller.
    unsafe { Softmax(row).run::<S>() }
}

/// `row = e^(row - max) / Σ e^(row - max)`. Values of minus infinity become 0; at least one must be finite.
pub fn softmax(row: &mut [f32]) {
    // SAFETY: the instructions are this processor's.
    unsafe { Isa::detect().run(Softmax(row)) }
}

/// Weights for a draw, in place.
struct Weigh<'a> {
    row: &'a mut [f32],
    scale: f32,
}

impl Work for Weigh<'_> {
    type Out = f64;

    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> f64 {
        let top = max(self.row);
        let mut acc = [0.0_f64; 16];
        let weight = |x: f32| {
            let weight = exp((x - top) * self.scale);
            // What is no number has no weight.
            if weight > 0.0 { weight } else { 0.0 }
        };
        let (whole, tail) = self.row.as_chunks_mut::<16>();
        for x in whole {
            for l in 0..16 {
                x[l] = weight(x[l]);
                acc[l] += f64::from(x[l]);
            }
        }
        for (l, x) in tail.iter_mut().enumerate() {
            *x = weight(*x);
            acc[l] += f64::from(*x);
        }
        for half in [8, 4, 2, 1] {
            for l in 0..half {
                acc[l] += acc[l + half];
            }
        }
        acc[0]
    }
}

/// `row = e^((row - max) * scale)`, and their sum. Where the largest isn't finite, all are 0.
pub fn weigh(row: &mut [f32], scale: f32) -> f64 {
    // SAFETY: the instructions are this processor's.
    unsafe { Isa::detect().run(Weigh { row, scale }) }
}

/// The logarithm of a row's sum of exponentials.
struct LogSumExp<'a>(&'a [f32]);

impl Work for LogSumExp<'_> {
    type Out = f64;

    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> f64 {
        let top = max(self.0);
        // Infinity less infinity is no number.
        let top = if top.is_finite() { top } else { 0.0 };
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

#[cfg(test)]
mod tests {
    use super::*;

    /// From -1 to 1, of no particular kind.
    fn random(len: usize) -> Vec<f32> {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state as f32 / (1_u32 << 31) as f32 - 1.0
        };
        (0..len).map(|_| next()).collect()
    }

    /// The largest error of `f` against `exact` in units in the last place of the result, over `from..to` in even steps.
    fn worst(from: f32, to: f32, f: impl Fn(f32) -> f32, exact: impl Fn(f64) -> f64) -> f64 {
        let mut worst = 0.0_f64;
        for i in 0..200_000 {
            let x = from + (to - from) * (i as f32 / 200_000.0);
            let exact = exact(f64::from(x));
            let unit = f64::from((exact as f32).abs().next_up()) - f64::from((exact as f32).abs());
            worst = worst.max((f64::from(f(x)) - exact).abs() / unit);
        }
        worst
    }

    /// The error function by its series, with terms enough for |x| < 6.
    fn erf_f64(x: f64) -> f64 {
        let (mut term, mut total) = (x, x);
        for n in 1..200 {
            term *= -x * x / f64::from(n);
            total += term / f64::from(2 * n + 1);
        }
        total * std::f64::consts::FRAC_2_SQRT_PI
    }

    #[test]
    fn exponentials_are_within_two_units() {
        assert!(worst(-87.3, 88.7, exp, f64::exp) < 1.5);
        assert!(worst(-0.4, 0.4, exp, f64::exp) < 1.5);
        // Below the normal numbers a unit is larger than the result's rounding, and there are two roundings.
        assert!(worst(-103.0, -87.3, exp, f64::exp) <= 1.0);
        assert_eq!([exp(0.0), exp(f32::NEG_INFINITY), exp(-200.0)], [1.0, 0.0, 0.0]);
        assert_eq!([exp(f32::INFINITY), exp(89.0)], [f32::INFINITY; 2]);
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn the_error_function_is_within_two_units() {
        assert!(worst(-4.5, 4.5, erf, erf_f64) < 2.0);
        assert!(worst(-0.01, 0.01, erf, erf_f64) < 2.0);
        assert_eq!([erf(-f32::INFINITY), erf(0.0), erf(9.0)], [-1.0, 0.0, 1.0]);
        assert!(erf(f32::NAN).is_nan());
    }

    #[test]
    fn activations_are_those_of_f64() {
        let x: Vec<f32> = random(1003).iter().map(|v| v * 12.0).collect();
        let up = random(1003);
        let mut out = vec![f32::NAN; 1003];
        let close = |out: &[f32], exact: &dyn Fn(usize, f64) -> f64| {
            for (i, (out, x)) in out.iter().zip(&x).enumerate() {
                let exact = exact(i, f64::from(*x));
                assert!(
                    (f64::from(*out) - exact).abs() <= 3e-7 * exact.abs().max(x.abs().into()),
                    "{out} for {exact}"
                );
            }
        };
        silu_mul(&x, &up, &mut out);
        close(&out, &|i, x| x / (1.0 + (-x).exp()) * f64::from(up[i]));
        gelu(&x, &mut out);
        close(&out, &|_, x| {
            if x.abs() > 6.0 { x.max(0.0) } else { 0.5 * x * (1.0 + erf_f64(x / 2.0_f64.sqrt())) }
        });
        gelu_tanh(&x, &mut out);
        let inner = |x: f64| (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
        close(&out, &|_, x| 0.5 * x * (1.0 + inner(x).tanh()));
        gelu_tanh_mul(&x, &up, &mut out);
        close(&out, &|i, x| 0.5 * x * (1.0 + inner(x).tanh()) * f64::from(up[i]));
        relu(&x, &mut out);
        close(&out, &|_, x| x.max(0.0));
        out.copy_from_slice(&up);
        add_in_place(&mut out, &x);
        close(&out, &|i, x| x + f64::from(up[i]));
    }

    #[test]
    fn norms_are_those_of_f64() {
        for width in [1, 5, 16, 100, 768] {
            let x: Vec<f32> = random(3 * width).iter().map(|v| v * 3.0 + 1.0).collect();
            let (weight, bias) = (random(width), random(2 * width)[width..].to_vec());
            let (mut rms, mut layer) = (vec![0.0; x.len()], vec![0.0; x.len()]);
            rms_norm(&x, &weight, 1e-5, &mut rms);
            layer_norm(&x, &weight, &bias, 1e-5, &mut layer);
            for (r, row) in x.chunks(width).enumerate() {
                let row: Vec<f64> = row.iter().map(|v| f64::from(*v)).collect();
                let mean_of = |f: &dyn Fn(f64) -> f64| row.iter().map(|v| f(*v)).sum::<f64>() / width as f64;
                let square = mean_of(&|v| v * v);
                let mean = mean_of(&|v| v);
                let variance = mean_of(&|v| (v - mean) * (v - mean));
                for (c, v) in row.iter().enumerate() {
                    let (weight, bias) = (f64::from(weight[c]), f64::from(bias[c]));
                    let at = r * width + c;
                    assert!(
                        (f64::from(rms[at]) - v / (square + 1e-5).sqrt() * weight).abs() < 1e-6,
                        "{width}"
                    );
                    let exact = (v - mean) / (variance + 1e-5).sqrt() * weight + bias;
                    assert!((f64::from(layer[at]) - exact).abs() < 2e-6, "{width}");
                }
            }
        }
    }

    #[test]
    fn softmax_and_its_logarithm_are_those_of_f64() {
        for len in [1, 3, 16, 77, 32_000] {
            let mut row: Vec<f32> = random(len).iter().map(|v| v * 20.0).collect();
            if len > 3 {
                row[1] = f32::NEG_INFINITY;
            }
            let exact = row.iter().map(|v| f64::from(*v).exp()).sum::<f64>();
            assert!((log_sum_exp(&row) - exact.ln()).abs() < 1e-7 * exact.ln().abs().max(1.0), "{len}");
            let before = row.clone();
            softmax(&mut row);
            for (p, x) in row.iter().zip(before) {
                let exact = f64::from(x).exp() / exact;
                // The difference to the largest, up to 40, is rounded to 2^-19.
                assert!((f64::from(*p) - exact).abs() <= 4e-6 * exact, "{len}: {p} for {exact}");
            }
        }
        for (row, sum) in [([f32::NEG_INFINITY; 2], 0.0), ([1.0, f32::INFINITY], 0.0), ([1.0, f32::NAN], 1.0)]
        {
            assert_eq!(weigh(&mut row.clone(), 2.0), sum);
        }
        assert_eq!(log_sum_exp(&[f32::NEG_INFINITY; 5]), f64::NEG_INFINITY);
        assert_eq!(log_sum_exp(&[1.0, f32::INFINITY]), f64::INFINITY);
        assert!(log_sum_exp(&[f32::NEG_INFINITY, f32::NAN]).is_nan());
    }

    #[test]
    fn every_way_gives_the_same_bits() {
        let (x, y, b) = (random(2_011), random(4_022)[2_011..].to_vec(), random(2_011));
        let all: Vec<Vec<u32>> = Isa::available()
            .into_iter()
            .map(|isa| {
                let mut given = Vec::new();
                let mut out = vec![0.5; x.len()];
                map(isa, &x, &y, &mut out, |x, y, out| exp(20.0 * x) + erf(3.0 * y) * out);
                given.extend(&out);
                for bias in [None, Some(&b[..])] {
                    // SAFETY: this processor has what `available` says.
                    unsafe { isa.run(Norm { x: &x, out: &mut out, weight: &y, bias, eps: 1e-6 }) };
                    given.extend(&out);
                }
                // SAFETY: as above.
                unsafe { isa.run(Softmax(&mut out)) };
                given.extend(&out);
                // SAFETY: as above.
                given.push(unsafe { isa.run(LogSumExp(&x)) } as f32);
                out.copy_from_slice(&x);
                // SAFETY: as above.
                given.push(unsafe { isa.run(Weigh { row: &mut out, scale: 3.0 }) } as f32);
                given.extend(&out);
                given.iter().map(|v| v.to_bits()).collect()
            })
            .collect();
        assert!(all.iter().all(|one| *one == all[0]));
    }

    #[test]
    fn long_inputs_have_the_bits_of_their_rows() {
        let (x, w) = (random(300 * 768), random(768));
        let (mut whole, mut row) = (vec![0.0; x.len()], vec![0.0; 768]);
        rms_norm(&x, &w, 1e-6, &mut whole);
        for (x, whole) in x.chunks(768).zip(whole.chunks(768)) {
            rms_norm(x, &w, 1e-6, &mut row);
            assert_eq!(row, whole);
        }
        gelu(&x, &mut whole);
        for (x, whole) in x.chunks(768).zip(whole.chunks(768)) {
            gelu(x, &mut row);
            assert_eq!(row, whole);
        }
    }
}
