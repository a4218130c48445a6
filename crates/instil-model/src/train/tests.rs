//! Whole models: the loss is the engine's, and every trained tensor's gradient is that of differences.

use std::path::{Path, PathBuf};

use super::batch::{Example, Pass};
use super::build::{Build, Source};
use super::method::{Lora, Method};
use super::model::{Backward, Model};
use super::ops::Dropout;
use super::ops::tests::random;
use super::parameters::Parameters;
use crate::adapter::TargetModules;
use crate::engine::{Engine, Settings, Tokens};
use crate::weights::{Checkpoint, Options, Quantize};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/decoder").join(name)
}

/// A model of every family and of every choice that a family has.
const MODELS: [&str; 14] = [
    "llama",
    "llama-tied",
    "llama-llama3-rope",
    "llama-linear-rope",
    "llama-biases",
    "llama-head-dim",
    "mistral",
    "qwen2",
    "qwen2-window",
    "qwen3",
    "qwen3-tied",
    "gpt-neox",
    "gpt-neox-sequential",
    "gpt-j",
];

/// Of bitsandbytes: weights of 4 bits, multiplied with activations as they are.
const FOUR_BIT: [&str; 2] = ["../nf4/llama-nf4", "../nf4/llama-fp4"];

fn built(name: &str, method: &Method) -> (Model, Parameters) {
    let checkpoint = Checkpoint::open(&folder(name), Quantize::None).unwrap();
    let config = checkpoint.config().unwrap().clone();
    Build::model(Source::Checkpoint(&checkpoint), &config, method, 3).unwrap()
}

/// Texts of many lengths, the longest longer than the windows, and what is learnt of them.
fn examples() -> Vec<Example> {
    let token = |place: u64| (instil::rng::nth(5, place) % 128) as u32;
    let tokens = |from: u64, len: u64| (from..from + len).map(token).collect::<Vec<_>>();
    vec![
        Example::text(tokens(0, 30)),
        Example::completion(&tokens(100, 4), &tokens(200, 5)),
        Example { tokens: tokens(300, 12), learnt: vec![2..4, 9..12] },
    ]
}

fn mean(nlls: &[f64]) -> f64 {
    nlls.iter().sum::<f64>() / nlls.len() as f64
}

#[test]
fn losses_are_those_of_the_engine() {
    let all = ["gguf/llama-q8_0", "gguf/llama-q4_k-q6_k", "gguf/qwen2-f16", "llama-bf16", "awq", "gptq"];
    for name in MODELS.into_iter().chain(all).chain(FOUR_BIT) {
        let (model, parameters) = built(name, &Method::Lora(Lora::default()));
        let weights = Options { quantize: Quantize::None, ..Options::default() };
        let engine = Engine::load(&folder(name), &Settings { weights, ..Settings::default() }).unwrap();
        let texts: Vec<Tokens> =
            examples().iter().map(|example| Tokens { tokens: example.tokens.clone(), from: 1 }).collect();
        let wanted = engine.score_tokens(&texts).unwrap();
        let examples: Vec<Example> = texts.iter().map(|text| Example::text(text.tokens.clone())).collect();
        let packed = model.pass(&parameters.weights, &Pass::of(&examples), None);
        let mut from = 0;
        for (example, wanted) in examples.iter().zip(wanted) {
            let alone = model.pass(&parameters.weights, &Pass::of([example]), None);
            let targets = example.targets();
            let own = &packed[from..from + targets];
            from += targets;
            // Quantised weights are multiplied with rows rounded to 8 bits, and roundings fall to either side; the engine
            // rounds rows to bf16 beside bf16 weights, training doesn't.
            let allowed = match name {
                "llama-bf16" => 2e-2,
                _ if name.contains("q8") || name.contains("q4") => 1e-2,
                _ => 1e-4,
            };
            let far = (mean(own) - wanted / targets as f64).abs();
            assert!(far < allowed, "{name}: {far} nats from the engine");
            assert!(*own == alone, "{name}: packed otherwise than alone");
        }
    }
}

fn gradients(model: &Model, weights: &[f32], pass: &Pass, dropout: Option<Dropout>) -> Vec<f32> {
    let mut found: Option<Vec<f32>> = None;
    // Whether it is computed again or kept changes nothing.
    for recompute in [true, false] {
        let mut gradients = vec![0.0; weights.len()];
        let scale = 1.0 / pass.targets.len() as f32;
        let back = Backward { scale, gradients: &mut gradients, dropout, recompute };
        let nlls = model.pass(weights, pass, Some(back));
        if dropout.is_none() {
            assert_eq!(nlls, model.pass(weights, pass, None));
        }
        assert!(found.is_none_or(|found| found == gradients));
        found = Some(gradients);
    }
    found.unwrap()
}

/// The slope of the mean loss along `direction`, by differences.
fn slope(model: &Model, weights: &[f32], pass: &Pass, direction: &[(usize, f32)], step: f64) -> f64 {
    let at = |by: f64| {
        let mut moved = weights.to_vec();
        for (place, d) in direction {
            moved[*place] = (f64::from(moved[*place]) + by * f64::from(*d)) as f32;
        }
        mean(&model.pass(&moved, pass, None))
    };
    let of = |step: f64| (at(step) - at(-step)) / (2.0 * step);
    (4.0 * of(step) - of(2.0 * step)) / 3.0
}

/// Along its own gradient a tensor changes the loss by the gradient's length; a wrong gradient falls short of its own.
fn gradients_are_those_of_differences(name: &str, method: &Method) {
    let (model, mut parameters) = built(name, method);
    if *method != Method::Full {
        // With B of zeros A has no gradient.
        for parameter in parameters.table.iter().filter(|p| p.name.ends_with("lora_B.weight")) {
            let drawn = random(parameter.range.start as u64, parameter.range.len());
            for (weight, drawn) in parameters.weights[parameter.range.clone()].iter_mut().zip(drawn) {
                *weight = 0.2 * drawn;
            }
        }
    }
    let pass = Pass::of(&examples());
    let gradients = gradients(&model, &parameters.weights, &pass, None);
    assert!(!parameters.table.is_empty());
    let end = parameters.table.iter().fold(0, |end, parameter| {
        assert_eq!(parameter.range.start, end);
        parameter.range.end
    });
    assert_eq!(end, parameters.weights.len());
    for parameter in &parameters.table {
        let own = &gradients[parameter.range.clone()];
        let length = own.iter().map(|d| f64::from(*d).powi(2)).sum::<f64>().sqrt();
        assert!(length.is_finite(), "{name}: {}", parameter.name);
        if parameter.name.ends_with("k_proj.bias") {
            // A bias of all keys adds the same to all scores of a row, which a softmax takes off again; but for rotation.
            continue;
        }
        assert!(length > 1e-6, "{name}: {} has no gradient", parameter.name);
        let direction: Vec<(usize, f32)> =
            parameter.range.clone().zip(own.iter().map(|d| (f64::from(*d) / length) as f32)).collect();
        let slope = slope(&model, &parameters.weights, &pass, &direction, (4e-3 / length).min(0.05));
        let far = (slope - length).abs() / length;
        let allowed = 0.01 + 2e-5 / length;
        assert!(far < allowed, "{name}: {}: slope {slope}, gradient {length}", parameter.name);
    }
}

#[test]
fn gradients_of_all_weights_are_those_of_differences() {
    MODELS.iter().for_each(|name| gradients_are_those_of_differences(name, &Method::Full));
}

#[test]
fn gradients_of_adapters_are_those_of_differences() {
    let lora = Lora { r: 3, lora_alpha: 6.0, use_rslora: true, ..Lora::default() };
    let head = TargetModules::Names(vec!["lm_head".into()]);
    gradients_are_those_of_differences(
        "llama-tied",
        &Method::Lora(Lora { target_modules: head, ..lora.clone() }),
    );
    let all = MODELS.iter().chain(&FOUR_BIT);
    all.for_each(|name| gradients_are_those_of_differences(name, &Method::Lora(lora.clone())));
}

#[test]
fn every_trained_tensor_has_a_gradient_over_quantised_weights() {
    for name in ["gguf/llama-q8_0", "gguf/llama-q4_k-q6_k", "awq", "gptq-act-order", "llama-bf16"] {
        let (model, parameters) = built(name, &Method::Lora(Lora { r: 2, ..Lora::default() }));
        let mut weights = parameters.weights.clone();
        weights.iter_mut().filter(|weight| **weight == 0.0).for_each(|weight| *weight = 0.01);
        let dropout = Some(Dropout { share: 0.1, seed: 4 });
        let gradients = gradients(&model, &weights, &Pass::of(&examples()), dropout);
        for parameter in &parameters.table {
            let own = &gradients[parameter.range.clone()];
            assert!(own.iter().all(|d| d.is_finite()), "{name}: {}", parameter.name);
            assert!(own.iter().any(|d| d.abs() > 1e-7), "{name}: {} has no gradient", parameter.name);
        }
    }
}

#[test]
fn targets_name_projections() {
    let of = |targets: &[&str]| Lora {
        target_modules: TargetModules::Names(targets.iter().map(|target| (*target).to_owned()).collect()),
        ..Lora::default()
    };
    let (_, parameters) = built("llama", &Method::Lora(of(&["q_proj", "self_attn.v_proj"])));
    let names: Vec<&str> = parameters.table.iter().map(|parameter| parameter.name.as_str()).collect();
    assert_eq!(names.len(), 8);
    assert_eq!(names[0], "model.layers.0.self_attn.q_proj.lora_A.weight");
    assert_eq!(names[7], "model.layers.1.self_attn.v_proj.lora_B.weight");
    // GPT-NeoX: `dense` is the attention's output and not `dense_h_to_4h`.
    assert_eq!(built("gpt-neox", &Method::Lora(of(&["dense"]))).1.table.len(), 4);
    assert_eq!(built("gpt-neox", &Method::Lora(Lora::default())).1.table.len(), 2 * 2 * 4);

    let some = Lora { target_modules: TargetModules::Pattern(r".*\.1\.mlp\..*".into()), ..Lora::default() };
    assert_eq!(built("llama", &Method::Lora(some)).1.table.len(), 6);

    let checkpoint = Checkpoint::open(&folder("llama"), Quantize::None).unwrap();
    let config = checkpoint.config().unwrap().clone();
    let none = Lora { target_modules: TargetModules::Names(Vec::new()), ..Lora::default() };
    for (method, said) in [
        (none, "no projection is meant"),
        (of(&["q_proj", "query_key_value"]), "no projection is called `query_key_value`"),
        (Lora { r: 0, ..Lora::default() }, "rank r = 0"),
        (Lora { lora_dropout: 1.0, ..Lora::default() }, "lora_dropout is 1"),
    ] {
        let error = Build::model(Source::Checkpoint(&checkpoint), &config, &Method::Lora(method), 3).err();
        let error = error.unwrap().to_string();
        assert!(error.contains(said), "{error}");
    }
}
