//! Every operation's gradient beside central differences of its own forward function.

use std::ops::Deref;

use std::sync::Arc;

use super::attention::Attention;
use super::feed::Feed;
use super::heads::{Heads, Rotation};
use super::linear::{Adapter, Linear};
use super::loss::{Back, cross_entropy};
use super::norm::Norm;
use super::{Dropout, Vector, Weight};
use crate::decoder::{Activation, Config};
use crate::kernel::{Bytes, Dtype, Matrix};

/// From -1 to 1, of no particular kind.
pub(in crate::train) fn random(seed: u64, len: usize) -> Vec<f32> {
    (0..len as u64).map(|i| (instil::rng::nth(seed, i) >> 40) as f32 / (1 << 23) as f32 - 1.0).collect()
}

/// `d · f(x)` by central differences in every number of `x`.
fn differences<R: Deref<Target = [f32]>>(x: &[f32], d: &[f32], f: &dyn Fn(&[f32]) -> R) -> Vec<f64> {
    let value = |x: &[f32]| -> f64 { f(x).iter().zip(d).map(|(y, d)| f64::from(*y) * f64::from(*d)).sum() };
    let slope = |i: usize, step: f32| {
        let (mut up, mut down) = (x.to_vec(), x.to_vec());
        up[i] += step;
        down[i] -= step;
        (value(&up) - value(&down)) / f64::from(up[i] - down[i])
    };
    // Two steps, so that the third derivative falls out.
    (0..x.len()).map(|i| (4.0 * slope(i, 2e-2) - slope(i, 4e-2)) / 3.0).collect()
}

#[track_caller]
fn close(found: &[f32], wanted: &[f64], what: &str) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    let size = wanted.iter().fold(0.1, |size: f64, v| size.max(v.abs()));
    for (i, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        let far = (f64::from(*found) - wanted).abs();
        assert!(far < 2e-3 * size, "{what} at {i}: {found} for {wanted}");
    }
}

/// Random weights `[n, k]` of this type.
fn matrix(dtype: Dtype, n: usize, k: usize) -> Matrix {
    let numbers = random(77, n * k);
    let dense = |bytes: Vec<u8>| Matrix::dense(dtype, n, k, Bytes::from(bytes)).unwrap();
    match dtype {
        Dtype::F32 => dense(numbers.iter().flat_map(|v| v.to_le_bytes()).collect()),
        Dtype::Bf16 => {
            dense(numbers.iter().flat_map(|v| half::bf16::from_f32(*v).to_bits().to_le_bytes()).collect())
        }
        Dtype::Q8_0 => {
            let block = |block: &[f32]| {
                let scale = half::f16::from_f32(1.0 / 127.0);
                let quants = block.iter().map(|v| (v * 127.0) as i8 as u8);
                scale.to_bits().to_le_bytes().into_iter().chain(quants).collect::<Vec<u8>>()
            };
            Matrix::blocks(dtype, n, k, &numbers.chunks(32).flat_map(block).collect::<Vec<u8>>()).unwrap()
        }
        _ => panic!("no test of {dtype}"),
    }
}

/// The matrix in f32.
fn widened(matrix: &Matrix) -> Vec<f32> {
    let mut out = vec![0.0; matrix.n() * matrix.k()];
    out.chunks_exact_mut(matrix.k()).enumerate().for_each(|(row, out)| matrix.row(row, out));
    out
}

const DROPOUT: Dropout = Dropout { share: 0.3, seed: 9 };

#[test]
fn frozen_projections_pass_gradients_on() {
    let (m, n, k) = (5, 7, 64);
    let (x, d) = (random(1, m * k), random(2, m * n));
    for dtype in [Dtype::F32, Dtype::Bf16, Dtype::Q8_0] {
        let weight = matrix(dtype, n, k);
        let exact = widened(&weight);
        let bias = Some(Vector::Frozen(random(3, n)));
        let linear = Linear { weight: Weight::Frozen(Arc::new(weight)), bias, adapter: None, n, k };
        let mut d_x = vec![1.0; m * k];
        linear.backward(&[], (&x, &[]), &d, None, &mut [], Some(&mut d_x));
        // Of quantised weights the forward product rounds what it is given, so differences are those of exact products.
        let wanted: Vec<f64> = (0..m * k)
            .map(|at| {
                let (row, column) = (at / k, at % k);
                let terms = (0..n).map(|j| f64::from(d[row * n + j]) * f64::from(exact[j * k + column]));
                1.0 + terms.sum::<f64>()
            })
            .collect();
        close(&d_x, &wanted, &format!("{dtype}"));
        let (y, _) = linear.forward(&[], &x, None);
        let far = (0..m * n).map(|at| {
            let (row, j) = (at / n, at % n);
            let sum: f32 = (0..k).map(|c| x[row * k + c] * exact[j * k + c]).sum();
            (y[at] - sum - random(3, n)[j]).abs()
        });
        let allowed = if dtype == Dtype::Q8_0 { 0.1 } else { 1e-4 };
        assert!(far.fold(0.0, f32::max) < allowed, "{dtype} forward");
    }
}

/// A projection of which all is trained, with an adapter: its weights are `[n, k]`, `[n]`, `[r, k]`, `[n, r]`.
fn trained(n: usize, k: usize, r: usize) -> (Linear, Vec<f32>) {
    let (bias, a) = (n * k..n * k + n, n * k + n..n * k + n + r * k);
    let b = a.end..a.end + n * r;
    let weights = random(5, b.end);
    let adapter = Adapter { a, b, rank: r, scale: 0.7, number: 3 };
    let weight = Weight::Trained(0..n * k);
    (Linear { weight, bias: Some(Vector::Trained(bias)), adapter: Some(adapter), n, k }, weights)
}

#[test]
fn projections_and_adapters_have_the_gradients_of_differences() {
    let (m, n, k) = (6, 5, 9);
    let (linear, weights) = trained(n, k, 3);
    let (x, d) = (random(1, m * k), random(2, m * n));
    for dropout in [None, Some(DROPOUT)] {
        let (y, low) = linear.forward(&weights, &x, dropout);
        assert!(y == linear.forward(&weights, &x, dropout).0, "the same draw drops the same");
        let (mut d_x, mut gradients) = (vec![0.0; x.len()], vec![0.0; weights.len()]);
        linear.backward(&weights, (&x, &low), &d, dropout, &mut gradients, Some(&mut d_x));
        close(&d_x, &differences(&x, &d, &|x| linear.forward(&weights, x, dropout).0), "x");
        close(&gradients, &differences(&weights, &d, &|w| linear.forward(w, &x, dropout).0), "weights");
        // Without the input's gradient the others are the same.
        let mut alone = vec![0.0; weights.len()];
        linear.backward(&weights, (&x, &low), &d, dropout, &mut alone, None);
        assert_eq!(alone, gradients);
    }
}

#[test]
fn dropout_drops_its_share_and_keeps_the_mean() {
    let (linear, mut weights) = trained(4, 400, 4);
    let (m, k) = (200, 400);
    weights.fill(1.0);
    let low = linear.low(&weights, &vec![1.0; m * k], Some(DROPOUT));
    let mean = low.iter().map(|v| f64::from(*v)).sum::<f64>() / (m * 4) as f64 / k as f64 / 0.7;
    assert!((mean - 1.0).abs() < 0.01, "{mean}");
    let kept = low.iter().map(|v| f64::from(*v) * 0.7 / 0.7).sum::<f64>();
    assert!(kept > 0.0);
    let other = linear.low(&weights, &vec![1.0; m * k], Some(Dropout { seed: 10, ..DROPOUT }));
    assert!(low != other, "another draw drops others");
}

#[test]
fn norms_have_the_gradients_of_differences() {
    let width = 12;
    let (x, d, weights) = (random(1, 5 * width), random(2, 5 * width), random(3, 2 * width));
    for bias in [None, Some(Vector::Trained(width..2 * width))] {
        let norm = Norm { weight: Vector::Trained(0..width), bias, eps: 0.1 };
        let (mut d_x, mut gradients) = (vec![0.0; x.len()], vec![0.0; weights.len()]);
        norm.backward(&weights, &x, &d, &mut gradients, &mut d_x);
        close(&d_x, &differences(&x, &d, &|x| norm.forward(&weights, x)), "x");
        close(&gradients, &differences(&weights, &d, &|w| norm.forward(w, &x)), "weights");
    }
}

#[test]
fn feed_forward_layers_have_the_gradients_of_differences() {
    let (m, hidden, inner) = (3, 4, 6);
    let at = |start: usize, n: usize, k: usize| Linear {
        weight: Weight::Trained(start..start + n * k),
        bias: None,
        adapter: None,
        n,
        k,
    };
    let weights = random(3, 3 * hidden * inner);
    let (x, d) = (random(1, m * hidden), random(2, m * hidden));
    let size = hidden * inner;
    let (up, down) = (|| at(size, inner, hidden), || at(2 * size, hidden, inner));
    for feed in [
        Feed::Gated { gate: at(0, inner, hidden), up: up(), down: down() },
        Feed::Plain { up: up(), activation: Activation::Gelu, down: down() },
        Feed::Plain { up: up(), activation: Activation::GeluTanh, down: down() },
    ] {
        let run = |w: &[f32], x: &[f32]| feed.outer(w, &feed.inner(w, x, None), None);
        let (mut d_x, mut gradients) = (vec![0.0; x.len()], vec![0.0; weights.len()]);
        let saved = feed.inner(&weights, &x, None);
        feed.backward(&weights, (&x, &saved), &d, None, &mut gradients, &mut d_x);
        close(&d_x, &differences(&x, &d, &|x| run(&weights, x)), "x");
        close(&gradients, &differences(&weights, &d, &|w| run(w, &x)), "weights");
    }
}

/// A configuration with heads of eight, of which six dimensions are turned.
fn config(interleaved: bool) -> Config {
    let json = serde_json::json!({
        "model_type": "llama", "vocab_size": 10, "hidden_size": 32, "num_hidden_layers": 1,
        "num_attention_heads": 4, "intermediate_size": 8, "hidden_act": "silu", "head_dim": 8,
    });
    let mut config = Config::from_hugging_face(&json).unwrap();
    config.rope.dim = 6;
    config.rope.interleaved = interleaved;
    config
}

#[test]
fn heads_are_parted_turned_and_joined_again() {
    for interleaved in [false, true] {
        let rotation = Rotation::at(&config(interleaved), [0, 1, 2, 0, 1].into_iter());
        let places = [Heads::alone(4, 8), Heads { width: 48, first: 8, stride: 24, head_dim: 8, count: 2 }];
        for place in places {
            let (x, d) = (random(1, 5 * place.width), random(2, 5 * place.count * 8));
            let mut d_x = vec![0.0; x.len()];
            place.join(&d, Some(&rotation), &mut d_x);
            close(&d_x, &differences(&x, &d, &|x| place.part(x, Some(&rotation))), "turned");
            let mut same = x.clone();
            place.join(&place.part(&x, Some(&rotation)), Some(&rotation), &mut same);
            close(&same, &x.iter().map(|v| f64::from(*v)).collect::<Vec<_>>(), "there and back");
        }
    }
}

#[test]
fn attention_has_the_gradients_of_differences() {
    let head_dim = 4;
    for (heads, kv_heads, window, lens) in [
        (2, 2, None, vec![5]),
        (4, 2, None, vec![3, 1, 4]),
        (2, 1, Some(3), vec![6, 2]),
        (1, 1, Some(1), vec![3]),
    ] {
        let mut end = 0;
        let segments: Vec<_> = lens
            .iter()
            .map(|len| {
                end += len;
                end - len..end
            })
            .collect();
        let attention = Attention { heads, kv_heads, head_dim, window, segments: &segments };
        let size = end * head_dim;
        let (q, k, v) = (random(1, heads * size), random(2, kv_heads * size), random(3, kv_heads * size));
        let d = random(4, heads * size);
        let [d_q, d_k, d_v] = attention.backward(&q, &k, &v, &d);
        close(&d_q, &differences(&q, &d, &|q| attention.forward(q, &k, &v)), "queries");
        close(&d_k, &differences(&k, &d, &|k| attention.forward(&q, k, &v)), "keys");
        close(&d_v, &differences(&v, &d, &|v| attention.forward(&q, &k, v)), "values");
    }
}

/// Attention of one head by its definition, in f64.
fn attended(q: &[f32], k: &[f32], v: &[f32], head_dim: usize, window: usize) -> Vec<f64> {
    let row = |x: &[f32], i: usize| -> Vec<f64> {
        x[i * head_dim..][..head_dim].iter().map(|v| f64::from(*v)).collect()
    };
    let count = q.len() / head_dim;
    let mut out = Vec::new();
    for i in 0..count {
        let seen = (i + 1).saturating_sub(window)..i + 1;
        let score = |j: usize| -> f64 {
            let dot: f64 = row(q, i).iter().zip(row(k, j)).map(|(q, k)| q * k).sum();
            (dot / (head_dim as f64).sqrt()).exp()
        };
        let total: f64 = seen.clone().map(score).sum();
        for dim in 0..head_dim {
            out.push(seen.clone().map(|j| score(j) / total * row(v, j)[dim]).sum());
        }
    }
    out
}

#[test]
fn long_sequences_are_attended_to_piece_by_piece() {
    let head_dim = 8;
    for (len, window) in [(300, None), (300, Some(130)), (129, Some(7))] {
        let numbers = len * head_dim;
        let (q, k, v) = (random(1, numbers), random(2, numbers), random(3, numbers));
        let wanted = attended(&q, &k, &v, head_dim, window.unwrap_or(len));
        // Alone, and behind another sequence, of which nothing may be seen.
        let whole = 0..len;
        let segments = std::slice::from_ref(&whole);
        let alone = Attention { heads: 1, kv_heads: 1, head_dim, window, segments };
        let found = alone.forward(&q, &k, &v);
        close(&found, &wanted, "alone");
        let packed = Attention { segments: &[0..5, 5..5 + len], ..alone };
        let before = |x: &[f32]| [random(8, 5 * head_dim), x.to_vec()].concat();
        let behind = packed.forward(&before(&q), &before(&k), &before(&v));
        assert!(behind[5 * head_dim..] == *found, "packed");
        let d = random(4, numbers);
        let [d_q, d_k, d_v] = alone.backward(&q, &k, &v, &d);
        let [p_q, p_k, p_v] = packed.backward(&before(&q), &before(&k), &before(&v), &before(&d));
        for (alone, packed) in [(d_q, p_q), (d_k, p_k), (d_v, p_v)] {
            assert!(packed[5 * head_dim..] == *alone, "packed, backward");
        }
    }
}

#[test]
fn cross_entropy_has_the_gradient_of_differences() {
    let (vocab, hidden) = (11, 6);
    let weights = random(3, vocab * hidden + vocab);
    let head = Linear {
        weight: Weight::Trained(0..vocab * hidden),
        bias: Some(Vector::Trained(vocab * hidden..vocab * hidden + vocab)),
        adapter: None,
        n: vocab,
        k: hidden,
    };
    let targets: Vec<u32> = vec![3, 0, 10, 3];
    let x = random(1, targets.len() * hidden);
    let (mut d_x, mut gradients) = (vec![0.0; x.len()], vec![0.0; weights.len()]);
    let back = Back { scale: 0.25, gradients: &mut gradients, d_x: &mut d_x };
    let found = cross_entropy(&head, &weights, &x, &targets, None, Some(back));
    assert_eq!(found, cross_entropy(&head, &weights, &x, &targets, None, None));
    let run = |w: &[f32], x: &[f32]| -> Vec<f32> {
        cross_entropy(&head, w, x, &targets, None, None).into_iter().map(|nll| nll as f32).collect()
    };
    let d = [0.25; 4];
    close(&d_x, &differences(&x, &d, &|x| run(&weights, x)), "x");
    close(&gradients, &differences(&weights, &d, &|w| run(w, &x)), "weights");
}

#[test]
fn cross_entropy_is_the_same_in_pieces() {
    // More rows than are held at once.
    let (vocab, hidden, count) = (1 << 14, 3, 700);
    let weights = random(3, vocab * hidden);
    let weight = Weight::Trained(0..vocab * hidden);
    let head = Linear { weight, bias: None, adapter: None, n: vocab, k: hidden };
    let targets: Vec<u32> = (0..count).map(|i| i * 7 % vocab as u32).collect();
    let x = random(1, targets.len() * hidden);
    let found = cross_entropy(&head, &weights, &x, &targets, None, None);
    for (row, found) in found.iter().enumerate().step_by(37) {
        let x = &x[row * hidden..(row + 1) * hidden];
        let logit = |token: usize| -> f64 {
            x.iter().zip(&weights[token * hidden..]).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum()
        };
        let total: f64 = (0..vocab).map(|token| logit(token).exp()).sum();
        let wanted = total.ln() - logit(targets[row] as usize);
        assert!((found - wanted).abs() < 1e-5, "{found} for {wanted}");
    }
}
