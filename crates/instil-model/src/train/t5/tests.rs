//! Whole models: every trained tensor's gradient is that of differences, and nothing of another example matters.

use std::path::{Path, PathBuf};

use super::{Model, Pass};
use crate::train::batch::Example;
use crate::train::build::Source;
use crate::train::method::{Lora, Method};
use crate::train::model::Backward;
use crate::train::ops::Dropout;
use crate::train::ops::tests::random;
use crate::train::parameters::Parameters;
use crate::weights::{Checkpoint, Quantize};

const MODELS: [&str; 3] = ["v1.0", "v1.1", "buckets"];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/t5").join(name)
}

fn built(name: &str, quantize: Quantize, method: &Method) -> (Model, Parameters) {
    let checkpoint = Checkpoint::open(&folder(name), quantize).unwrap();
    let config = checkpoint.t5().unwrap().clone();
    Model::build(Source::Checkpoint(&checkpoint), &config, method, 3).unwrap()
}

fn examples() -> Vec<Example> {
    let token = |place: u64| 3 + (instil::rng::nth(5, place) % 100) as u32;
    let tokens = |from: u64, len: u64| (from..from + len).map(token).collect::<Vec<_>>();
    vec![
        Example::completion(&tokens(0, 30), &tokens(50, 12)),
        Example::completion(&tokens(100, 1), &tokens(200, 1)),
        Example { tokens: tokens(300, 14), learnt: vec![4..6, 9..14] },
    ]
}

fn mean(nlls: &[f64]) -> f64 {
    nlls.iter().sum::<f64>() / nlls.len() as f64
}

fn gradients(model: &Model, weights: &[f32], pass: &Pass, dropout: Option<Dropout>) -> Vec<f32> {
    let mut found: Option<Vec<f32>> = None;
    // Whether it is computed again or kept changes nothing.
    for recompute in [true, false] {
        let mut gradients = vec![0.0; weights.len()];
        let scale = 1.0 / pass.targets.len() as f32;
        model.pass(weights, pass, Some(Backward { scale, gradients: &mut gradients, dropout, recompute }));
        assert!(found.is_none_or(|found| found == gradients));
        found = Some(gradients);
    }
    found.unwrap()
}

/// Along its own gradient a tensor changes the loss by the gradient's length.
fn gradients_are_those_of_differences(name: &str, method: &Method) {
    let (model, mut parameters) = built(name, Quantize::None, method);
    if *method != Method::Full {
        for parameter in parameters.table.iter().filter(|p| p.name.ends_with("lora_B.weight")) {
            let drawn = random(parameter.range.start as u64, parameter.range.len());
            for (weight, drawn) in parameters.weights[parameter.range.clone()].iter_mut().zip(drawn) {
                *weight = 0.2 * drawn;
            }
        }
    }
    let pass = Pass::of(0, &examples());
    let gradients = gradients(&model, &parameters.weights, &pass, None);
    for parameter in &parameters.table {
        let own = &gradients[parameter.range.clone()];
        let length = own.iter().map(|d| f64::from(*d).powi(2)).sum::<f64>().sqrt();
        assert!(length > 1e-6, "{name}: {} has no gradient", parameter.name);
        let at = |by: f64| {
            let mut moved = parameters.weights.clone();
            for (weight, d) in moved[parameter.range.clone()].iter_mut().zip(own) {
                *weight = (f64::from(*weight) + by * f64::from(*d) / length) as f32;
            }
            mean(&model.pass(&moved, &pass, None))
        };
        let of = |step: f64| (at(step) - at(-step)) / (2.0 * step);
        let step = (4e-3 / length).min(0.02);
        let slope = (4.0 * of(step) - of(2.0 * step)) / 3.0;
        let far = (slope - length).abs() / length;
        // Where a ReLU's input changes its sign within the step, differences are off; torch's own gradients are among the
        // goldens.
        let allowed = if name == "v1.0" { 0.1 } else { 0.02 } + 4e-5 / length;
        assert!(far < allowed, "{name}: {}: slope {slope}, gradient {length}", parameter.name);
    }
}

#[test]
fn gradients_of_all_weights_are_those_of_differences() {
    MODELS.iter().for_each(|name| gradients_are_those_of_differences(name, &Method::Full));
}

#[test]
fn gradients_of_adapters_are_those_of_differences() {
    let lora = Method::Lora(Lora { r: 3, lora_alpha: 6.0, ..Lora::default() });
    MODELS.iter().for_each(|name| gradients_are_those_of_differences(name, &lora));
}

#[test]
fn every_adapter_has_a_gradient_over_quantised_weights() {
    for quantize in [Quantize::Q8_0, Quantize::Nf4] {
        let (model, parameters) = built("v1.1", quantize, &Method::Lora(Lora { r: 2, ..Lora::default() }));
        let mut weights = parameters.weights.clone();
        weights.iter_mut().filter(|weight| **weight == 0.0).for_each(|weight| *weight = 0.01);
        let dropout = Some(Dropout { share: 0.1, seed: 4 });
        let gradients = gradients(&model, &weights, &Pass::of(0, &examples()), dropout);
        for parameter in &parameters.table {
            let own = &gradients[parameter.range.clone()];
            assert!(own.iter().all(|d| d.is_finite()), "{}", parameter.name);
            assert!(own.iter().any(|d| d.abs() > 1e-7), "{} has no gradient", parameter.name);
        }
    }
}

#[test]
fn examples_side_by_side_have_the_bits_they_have_alone() {
    let (model, parameters) = built("v1.1", Quantize::None, &Method::Full);
    let together = model.pass(&parameters.weights, &Pass::of(0, &examples()), None);
    let alone: Vec<f64> = examples()
        .iter()
        .flat_map(|example| model.pass(&parameters.weights, &Pass::of(0, [example]), None))
        .collect();
    assert_eq!(together, alone);
}
