//! Gradients of what stands between products: norms, activations, sums over rows. Each sum has one order, whatever the
//! number of threads.

use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};
use rayon::slice::{ParallelSlice, ParallelSliceMut};

use super::rows::{SPLIT_FROM, erf, exp, gelu_tanh_of, map, sum};
use super::simd::{Isa, Simd, Work};

/// Rows whose share in a weight's gradient is added up by itself, before the shares are.
const ROWS: usize = 64;

/// The gradients of `silu(gate) * up`: `d` is the output's gradient and becomes the gate's, and `d_up` is that of `up`.
///
/// # Panics
/// If the lengths differ.
pub(crate) fn silu_mul(gate: &[f32], up: &[f32], d: &mut [f32], d_up: &mut [f32]) {
    let isa = Isa::detect();
    map(isa, gate, d, d_up, |gate, d, _| d * (gate / (1.0 + exp(-gate))));
    map(isa, gate, up, d, |gate, up, d| {
        let s = 1.0 / (1.0 + exp(-gate));
        // Where e^-gate overflows, s is 0, and so is gate * s.
        d * up * (s * gate.mul_add(1.0 - s, 1.0))
    });
}

/// `d` times the derivative of the GELU with the error function at `x`.
///
/// # Panics
/// If the lengths differ.
pub(crate) fn gelu(x: &[f32], d: &mut [f32]) {
    /// 1 over the square root of 2 π.
    const DENSITY: f32 = 0.398_942_3;
    map(Isa::detect(), x, x, d, |x, _, d| {
        let below = 0.5 * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2));
        d * (x * DENSITY).mul_add(exp(-0.5 * x * x), below)
    });
}

/// `d` times the derivative of the GELU by tanh at `x`.
///
/// # Panics
/// If the lengths differ.
pub(crate) fn gelu_tanh(x: &[f32], d: &mut [f32]) {
    map(Isa::detect(), x, x, d, |x, _, d| d * gelu_tanh_slope(x));
}

/// The derivative of the GELU by tanh at `x`.
#[inline(always)]
fn gelu_tanh_slope(x: f32) -> f32 {
    const TWICE: f32 = 2.0 * 0.797_884_6;
    let s = 1.0 / (1.0 + exp(-TWICE * (x * x * x).mul_add(0.044_715, x)));
    let inner = TWICE * (3.0 * 0.044_715 * x * x + 1.0);
    (x * s * (1.0 - s)).mul_add(inner, s)
}

/// The gradients of `gelu_tanh(gate) * up`: `d` is the output's gradient and becomes the gate's, and `d_up` is that of `up`.
///
/// # Panics
/// If the lengths differ.
pub(crate) fn gelu_tanh_mul(gate: &[f32], up: &[f32], d: &mut [f32], d_up: &mut [f32]) {
    let isa = Isa::detect();
    map(isa, gate, d, d_up, |gate, d, _| gelu_tanh_of(gate) * d);
    map(isa, gate, up, d, |gate, up, d| d * up * gelu_tanh_slope(gate));
}

/// `d` where `x` is above zero, and zero elsewhere: the gradient of [`relu`](super::rows::relu).
///
/// # Panics
/// If the lengths differ.
pub(crate) fn relu(x: &[f32], d: &mut [f32]) {
    map(Isa::detect(), x, x, d, |x, _, d| if x <= 0.0 { 0.0 } else { d });
}

/// Adds the sum over the rows of `d`, which are as long as `out`, to it: a bias's gradient.
///
/// # Panics
/// If `d` is not whole rows.
pub(crate) fn add_rows(d: &[f32], out: &mut [f32]) {
    /// Columns of a task.
    const COLUMNS: usize = 256;
    let width = out.len();
    assert!(width > 0 && d.len().is_multiple_of(width), "{} values of rows of {width}", d.len());
    out.par_chunks_mut(COLUMNS).enumerate().for_each(|(number, out)| {
        for row in d.chunks_exact(width) {
            for (out, d) in out.iter_mut().zip(&row[number * COLUMNS..]) {
                *out += d;
            }
        }
    });
}

/// Norms of rows, backward: what [`rms_norm`](super::rows::rms_norm) or [`layer_norm`](super::rows::layer_norm) was given.
#[derive(Clone, Copy)]
pub(crate) struct Norm<'a> {
    /// The rows that were normalised.
    pub(crate) x: &'a [f32],
    /// The gradient of the output.
    pub(crate) d: &'a [f32],
    /// As long as a row.
    pub(crate) weight: &'a [f32],
    /// Whether the mean was taken off and a bias added.
    pub(crate) is_layer: bool,
    /// Added to the variance.
    pub(crate) eps: f32,
}

impl Norm<'_> {
    /// Adds the gradient of the rows to `d_x`, and to `d_weight` and `d_bias`, where they are wanted, those of the
    /// parameters.
    ///
    /// # Panics
    /// If the lengths don't fit.
    pub(crate) fn backward(self, d_x: &mut [f32], d_weight: Option<&mut [f32]>, d_bias: Option<&mut [f32]>) {
        let width = self.weight.len();
        assert!(
            width > 0
                && self.x.len().is_multiple_of(width)
                && self.x.len() == self.d.len()
                && d_x.len() == self.x.len()
                && d_weight.as_ref().is_none_or(|d| d.len() == width)
                && d_bias.as_ref().is_none_or(|d| d.len() == width),
            "norm: {} values and gradients of {}, for a weight of {width}",
            self.x.len(),
            self.d.len()
        );
        let isa = Isa::detect();
        let part = ROWS * width;
        let shares = d_weight.is_some() || d_bias.is_some();
        let share = |number: usize, d_x: &mut [f32]| {
            let range = number * part..number * part + d_x.len();
            let of = Norm { x: &self.x[range.clone()], d: &self.d[range], ..self };
            let mut sums = vec![0.0; if shares { 2 * width } else { 0 }];
            // SAFETY: `isa` is this processor's.
            unsafe { isa.run(Rows { of, d_x, sums: &mut sums }) };
            sums
        };
        let sums: Vec<Vec<f32>> = if self.x.len() < SPLIT_FROM {
            d_x.chunks_mut(part).enumerate().map(|(number, d_x)| share(number, d_x)).collect()
        } else {
            d_x.par_chunks_mut(part).enumerate().map(|(number, d_x)| share(number, d_x)).collect()
        };
        for (place, d) in [d_weight, d_bias].into_iter().enumerate() {
            let Some(d) = d else { continue };
            for sums in &sums {
                for (d, sum) in d.iter_mut().zip(&sums[place * width..]) {
                    *d += sum;
                }
            }
        }
    }
}

/// Some rows of a norm.
struct Rows<'a> {
    of: Norm<'a>,
    d_x: &'a mut [f32],
    /// The weight's share and the bias's, or nothing.
    sums: &'a mut [f32],
}

impl Work for Rows<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Norm { weight, is_layer, eps, .. } = self.of;
        let width = weight.len();
        let count = width as f32;
        let mut normed = vec![0.0; width];
        let mut d_normed = vec![0.0; width];
        let rows = self.of.x.chunks_exact(width).zip(self.of.d.chunks_exact(width));
        for ((x, d), d_x) in rows.zip(self.d_x.chunks_exact_mut(width)) {
            let mean = if is_layer { sum(x, |v, acc| acc + v) / count } else { 0.0 };
            let squares = sum(x, |v, acc| (v - mean).mul_add(v - mean, acc));
            let scale = 1.0 / (squares / count + eps).sqrt();
            for c in 0..width {
                normed[c] = (x[c] - mean) * scale;
                d_normed[c] = d[c] * weight[c];
            }
            if !self.sums.is_empty() {
                let (d_weight, d_bias) = self.sums.split_at_mut(width);
                for c in 0..width {
                    d_weight[c] = d[c].mul_add(normed[c], d_weight[c]);
                    d_bias[c] += d[c];
                }
            }
            let along = dot(&d_normed, &normed) / count;
            let level = if is_layer { sum(&d_normed, |v, acc| acc + v) / count } else { 0.0 };
            for c in 0..width {
                d_x[c] = (d_normed[c] - level - normed[c] * along).mul_add(scale, d_x[c]);
            }
        }
    }
}

/// The sum of products, over sixteen lanes.
#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut acc = [0.0_f32; 16];
    let ((a, a_tail), (b, b_tail)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    for (a, b) in a.iter().zip(b) {
        for l in 0..16 {
            acc[l] = a[l].mul_add(b[l], acc[l]);
        }
    }
    for (l, (a, b)) in a_tail.iter().zip(b_tail).enumerate() {
        acc[l] = a.mul_add(*b, acc[l]);
    }
    super::rows::sum_lanes(acc)
}

/// Softmax backward: `d = weights * (d - Σ weights * d)` for one row, in place.
pub(crate) fn softmax(weights: &[f32], d: &mut [f32]) {
    // SAFETY: the instructions are this processor's.
    unsafe { Isa::detect().run(Softmax { weights, d }) }
}

struct Softmax<'a> {
    weights: &'a [f32],
    d: &'a mut [f32],
}

impl Work for Softmax<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let along = dot(self.weights, self.d);
        for (d, weight) in self.d.iter_mut().zip(self.weights) {
            *d = weight * (*d - along);
        }
    }
}

/// Sums of squares in f64, part by part of a fixed length, added in their order.
pub(crate) fn squares(x: &[f32]) -> f64 {
    let part = SPLIT_FROM / 4;
    let parts: Vec<f64> = (0..x.len().div_ceil(part))
        .into_par_iter()
        .map(|number| {
            let mut acc = [0.0_f64; 16];
            let (whole, tail) = x[number * part..x.len().min((number + 1) * part)].as_chunks::<16>();
            for x in whole {
                for l in 0..16 {
                    acc[l] += f64::from(x[l]) * f64::from(x[l]);
                }
            }
            for (l, x) in tail.iter().enumerate() {
                acc[l] += f64::from(*x) * f64::from(*x);
            }
            acc.iter().sum()
        })
        .collect();
    parts.iter().sum()
}

/// What one AdamW step is made with (Loshchilov and Hutter 2019, as torch computes it).
#[derive(Clone, Copy, Debug)]
pub(crate) struct AdamW {
    /// What gradients are multiplied with first: clipping.
    pub(crate) clip: f32,
    /// What the mean of gradients keeps, and what it takes of the new ones: `1 - beta1`, rounded once.
    pub(crate) first: [f32; 2],
    /// The same of the mean of squares.
    pub(crate) second: [f32; 2],
    pub(crate) eps: f32,
    /// The learning rate over `1 - beta1^t`.
    pub(crate) rate: f32,
    /// 1 over the square root of `1 - beta2^t`.
    pub(crate) correction: f32,
    /// What weights are multiplied with before: `1 - learning rate * decay`.
    pub(crate) keep: f32,
}

impl AdamW {
    /// Changes weights and both moments in place.
    ///
    /// # Panics
    /// If the lengths differ.
    pub(crate) fn step(self, gradient: &[f32], weights: &mut [f32], first: &mut [f32], second: &mut [f32]) {
        let len = gradient.len();
        assert!(weights.len() == len && first.len() == len && second.len() == len, "a step of {len} weights");
        let isa = Isa::detect();
        let part = SPLIT_FROM / 4;
        let moments = first.par_chunks_mut(part).zip(second.par_chunks_mut(part));
        gradient.par_chunks(part).zip(weights.par_chunks_mut(part)).zip(moments).for_each(
            |((gradient, weights), (first, second))| {
                // SAFETY: `isa` is this processor's.
                unsafe { isa.run(Update { by: self, gradient, weights, first, second }) }
            },
        );
    }
}

/// A part of the weights.
struct Update<'a> {
    by: AdamW,
    gradient: &'a [f32],
    weights: &'a mut [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
}

impl Work for Update<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let AdamW { clip, first: [beta1, rest1], second: [beta2, rest2], eps, rate, correction, keep } =
            self.by;
        let moments = self.first.iter_mut().zip(self.second);
        for ((g, w), (m, v)) in self.gradient.iter().zip(self.weights).zip(moments) {
            let g = g * clip;
            *m = g.mul_add(rest1, beta1 * *m);
            *v = (g * g).mul_add(rest2, beta2 * *v);
            let by = *m / v.sqrt().mul_add(correction, eps);
            *w = (-rate).mul_add(by, *w * keep);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows;
    use super::super::tests::random;
    use super::*;

    /// `d · f` by central differences in `x`.
    fn differences(x: &[f32], d: &[f32], f: &dyn Fn(&[f32]) -> Vec<f32>) -> Vec<f64> {
        let value =
            |x: &[f32]| -> f64 { f(x).iter().zip(d).map(|(y, d)| f64::from(*y) * f64::from(*d)).sum() };
        let step = 1e-2;
        (0..x.len())
            .map(|i| {
                let mut moved = x.to_vec();
                moved[i] = x[i] + step;
                let (up, high) = (value(&moved), moved[i]);
                moved[i] = x[i] - step;
                (up - value(&moved)) / f64::from(high - moved[i])
            })
            .collect()
    }

    fn close(found: &[f32], wanted: &[f64], what: &str) {
        for (i, (found, wanted)) in found.iter().zip(wanted).enumerate() {
            assert!((f64::from(*found) - wanted).abs() < 2e-3, "{what} at {i}: {found} for {wanted}");
        }
    }

    #[test]
    fn activations_have_the_gradients_of_differences() {
        let x: Vec<f32> = random(1, 97).iter().map(|v| v * 3.0).collect();
        let (up, d) = (random(2, 97), random(3, 97));
        type Forward = fn(&[f32], &[f32], &mut [f32]);
        type Backward = fn(&[f32], &[f32], &mut [f32], &mut [f32]);
        for (forward, backward) in
            [(rows::silu_mul as Forward, silu_mul as Backward), (rows::gelu_tanh_mul, gelu_tanh_mul)]
        {
            let (mut d_gate, mut d_up) = (d.clone(), vec![0.0; 97]);
            backward(&x, &up, &mut d_gate, &mut d_up);
            let of = |gate: &[f32], up: &[f32]| {
                let mut out = vec![0.0; 97];
                forward(gate, up, &mut out);
                out
            };
            close(&d_gate, &differences(&x, &d, &|x| of(x, &up)), "gate");
            close(&d_up, &differences(&up, &d, &|up| of(&x, up)), "up");
        }
        let mut d_x = [3.0; 4];
        relu(&[-1.0, 0.0, 2.0, f32::NAN], &mut d_x);
        assert_eq!(d_x, [0.0, 0.0, 3.0, 3.0]);
        for (forward, backward) in [
            (rows::gelu as fn(&[f32], &mut [f32]), gelu as fn(&[f32], &mut [f32])),
            (rows::gelu_tanh, gelu_tanh),
        ] {
            let mut d_x = d.clone();
            backward(&x, &mut d_x);
            let of = |x: &[f32]| {
                let mut out = vec![0.0; 97];
                forward(x, &mut out);
                out
            };
            close(&d_x, &differences(&x, &d, &of), "gelu");
        }
        let mut far = vec![1.0, 1.0];
        let mut d_up = vec![0.0; 2];
        silu_mul(&[-200.0, 200.0], &[1.0, 1.0], &mut far, &mut d_up);
        assert_eq!((far, d_up), (vec![0.0, 1.0], vec![0.0, 200.0]));
    }

    #[test]
    fn norms_have_the_gradients_of_differences() {
        for (width, count) in [(1, 3), (20, 5), (33, 70)] {
            let (x, d) = (random(1, width * count), random(2, width * count));
            let (weight, bias) = (random(3, width), random(4, width));
            for is_layer in [false, true] {
                let of = |x: &[f32], weight: &[f32], bias: &[f32]| {
                    let mut out = vec![0.0; x.len()];
                    if is_layer {
                        rows::layer_norm(x, weight, bias, 0.1, &mut out);
                    } else {
                        rows::rms_norm(x, weight, 0.1, &mut out);
                    }
                    out
                };
                let mut d_x = random(5, x.len());
                let before = d_x.clone();
                let (mut d_weight, mut d_bias) = (vec![0.0; width], vec![0.0; width]);
                let norm = Norm { x: &x, d: &d, weight: &weight, is_layer, eps: 0.1 };
                norm.backward(&mut d_x, Some(&mut d_weight), Some(&mut d_bias));
                d_x.iter_mut().zip(&before).for_each(|(d, before)| *d -= before);
                close(&d_x, &differences(&x, &d, &|x| of(x, &weight, &bias)), "x");
                close(&d_weight, &differences(&weight, &d, &|w| of(&x, w, &bias)), "weight");
                if is_layer {
                    close(&d_bias, &differences(&bias, &d, &|b| of(&x, &weight, b)), "bias");
                }
            }
        }
    }

    #[test]
    fn a_softmax_has_the_gradient_of_differences() {
        let (x, d) = (random(1, 21), random(2, 21));
        let of = |x: &[f32]| {
            let mut out = x.to_vec();
            rows::softmax(&mut out);
            out
        };
        let mut d_x = d.clone();
        softmax(&of(&x), &mut d_x);
        close(&d_x, &differences(&x, &d, &of), "softmax");
    }

    #[test]
    fn sums_are_those_of_f64() {
        let x = random(1, 40_000);
        let exact: f64 = x.iter().map(|v| f64::from(*v) * f64::from(*v)).sum();
        assert!((squares(&x) - exact).abs() < 1e-9 * exact);
        let mut out = vec![1.0; 1000];
        add_rows(&x, &mut out);
        for (c, out) in out.iter().enumerate() {
            let exact: f64 = 1.0 + (0..40).map(|row| f64::from(x[row * 1000 + c])).sum::<f64>();
            assert!((f64::from(*out) - exact).abs() < 1e-4);
        }
    }
}
