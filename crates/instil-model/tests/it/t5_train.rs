//! Training T5 beside torch, and what is written of it.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use instil::convert::supervise::{Part, Supervised};
use instil_model::adapter::Adapter;
use instil_model::engine::{Engine, Settings as EngineSettings, Tokens};
use instil_model::train::{AdamW, Example, Length, Lora, Method, Plan, Schedule, Settings, Trainer};
use instil_model::weights::{Checkpoint, Merge, Options, Quantize};
use serde::Deserialize;

use crate::t5::{BF16, MODELS, folder, json};

#[derive(Deserialize)]
struct Golden {
    settings: GoldenSettings,
    examples: Vec<GoldenExample>,
    runs: BTreeMap<String, Run>,
}

#[derive(Deserialize)]
struct GoldenSettings {
    rate: f64,
    decay: f64,
    clip: f64,
    warmup: usize,
    total: usize,
    rank: usize,
    alpha: f64,
}

#[derive(Deserialize)]
struct GoldenExample {
    source: Vec<u32>,
    target: Vec<u32>,
}

#[derive(Deserialize)]
struct Run {
    losses: Vec<f64>,
    norms: Vec<f64>,
    rates: Vec<f64>,
    after: f64,
}

fn opened(model: &str) -> Checkpoint {
    Checkpoint::open(&folder(model), Quantize::None).unwrap()
}

/// Tensors of a file whose names begin so, by the rest of the name.
fn tensors(run: &str, head: &str) -> BTreeMap<String, Vec<f32>> {
    let bytes = std::fs::read(folder(&format!("{run}.safetensors"))).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let numbers = |bytes: &[u8]| bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    tensors
        .iter()
        .filter_map(|(name, tensor)| Some((name.strip_prefix(head)?.to_owned(), numbers(tensor.data()))))
        .collect()
}

/// How far two tensors lie apart, over the length of the second.
fn far(found: &[f32], wanted: &[f32]) -> f64 {
    assert_eq!(found.len(), wanted.len());
    let length = |of: &mut dyn Iterator<Item = f64>| of.map(|v| v * v).sum::<f64>().sqrt();
    let apart = length(&mut found.iter().zip(wanted).map(|(one, two)| f64::from(*one) - f64::from(*two)));
    apart / length(&mut wanted.iter().map(|v| f64::from(*v)))
}

fn examples(golden: &Golden) -> Vec<Example> {
    golden.examples.iter().map(|one| Example::completion(&one.source, &one.target)).collect()
}

#[test]
fn ten_steps_are_those_of_torch() {
    let golden: Golden = json("train.json");
    let of = &golden.settings;
    let examples = examples(&golden);
    assert_eq!(golden.runs.len(), 2 * MODELS.len());
    for (name, run) in &golden.runs {
        let (model, kind) = name.rsplit_once('-').unwrap();
        let method = match kind {
            "full" => Method::Full,
            _ => Method::Lora(Lora { r: of.rank, lora_alpha: of.alpha, ..Lora::default() }),
        };
        let settings = Settings {
            method,
            adamw: AdamW { weight_decay: of.decay, ..AdamW::default() },
            max_grad_norm: Some(of.clip),
            ..Settings::default()
        };
        let mut trainer = Trainer::load(&opened(model), settings).unwrap();
        for (tensor, numbers) in tensors(name, "first.") {
            trainer.set_weights(&tensor, &numbers).unwrap();
        }
        assert_eq!(run.losses.len(), 10);
        let steps = run.losses.iter().zip(&run.norms).zip(&run.rates).zip(examples.chunks(2));
        for (number, (((loss, norm), rate), batch)) in steps.enumerate() {
            let factor = Schedule::Linear.factor(number, of.warmup, of.total);
            assert!((rate - of.rate * factor).abs() < 1e-12, "{name}: {rate} at step {number}");
            let batch: Vec<&Example> = batch.iter().collect();
            let (found, found_norm) = trainer.step(&batch, *rate).unwrap();
            assert!((found - loss).abs() < 1e-4 * loss, "{name}: loss {found}, not {loss}, at step {number}");
            assert!(
                (found_norm - norm).abs() < 2e-4 * norm,
                "{name}: norm {found_norm}, not {norm}, at {number}"
            );
            if number == 0 {
                let gradients = tensors(name, "gradient.");
                assert!(gradients.len() > 1);
                for (tensor, wanted) in gradients {
                    let far = far(trainer.gradient(&tensor).unwrap(), &wanted);
                    assert!(far < 1e-4, "{name}: the gradient of {tensor} is {far} away");
                }
            }
        }
        let after = trainer.loss(&examples).unwrap();
        assert!((after - run.after).abs() < 1e-4 * run.after, "{name}: {after}, not {}", run.after);
        for (tensor, wanted) in tensors(name, "last.") {
            let far = far(trainer.weights(&tensor).unwrap(), &wanted);
            assert!(far < 3e-4, "{name}: {tensor} is {far} away");
        }
    }
}

fn engine(path: &std::path::Path, adapter: Option<&std::path::Path>) -> Engine {
    let weights = Options { quantize: Quantize::None, ..Options::default() };
    let adapter = adapter.map(std::path::Path::to_owned);
    Engine::load(path, &EngineSettings { weights, adapter, ..EngineSettings::default() }).unwrap()
}

fn scores(engine: &Engine, examples: &[Example]) -> f64 {
    let texts: Vec<Tokens> = examples
        .iter()
        .map(|example| Tokens { tokens: example.tokens.clone(), from: example.learnt[0].start })
        .collect();
    let targets: usize = examples.iter().map(Example::targets).sum();
    engine.score_tokens(&texts).unwrap().iter().sum::<f64>() / targets as f64
}

fn trained(model: &str, method: Method, examples: &[Example]) -> (Trainer, f64) {
    let settings = Settings { method, learning_rate: 3e-3, length: Length::Steps(6), ..Settings::default() };
    let mut trainer = Trainer::load(&opened(model), settings).unwrap();
    let before = trainer.loss(examples).unwrap();
    trainer.train(examples, &[], &Plan::default(), &mut |_| ControlFlow::Continue(())).unwrap();
    let after = trainer.loss(examples).unwrap();
    assert!(after < before - 0.1, "{before} to {after}");
    (trainer, after)
}

#[test]
fn a_trained_model_is_read_again() {
    let examples = examples(&json("train.json"));
    for model in MODELS {
        let (trainer, after) = trained(model, Method::Full, &examples);
        let out = tempfile::tempdir().unwrap();
        trainer.save_model(out.path(), Some(&opened(model))).unwrap();
        let (saved, base) = (Checkpoint::open(out.path(), Quantize::None).unwrap(), opened(model));
        assert_eq!(saved.model(), base.model());
        assert!(saved.tensors().eq(base.tensors()), "names and shapes are the base's");
        let found = scores(&engine(out.path(), None), &examples);
        assert!((found - after).abs() < 1e-4, "{model}: {found}, not {after}");
    }
}

#[test]
fn an_adapter_is_read_again_and_merged() {
    let examples = examples(&json("train.json"));
    for model in MODELS {
        let lora = Lora { r: 4, lora_alpha: 8.0, ..Lora::default() };
        let (trainer, after) = trained(model, Method::Lora(lora), &examples);
        let out = tempfile::tempdir().unwrap();
        let adapter = trainer.adapter().unwrap();
        adapter.write(&out.path().join("adapter")).unwrap();
        let read = Adapter::read(&out.path().join("adapter")).unwrap();
        assert!(read.modules.contains_key("decoder.block.1.layer.1.EncDecAttention.k"));
        let found = scores(&engine(&folder(model), Some(&out.path().join("adapter"))), &examples);
        // The trainer's weights are in f32.
        let near = if model == BF16 { 1e-2 } else { 1e-4 };
        assert!((found - after).abs() < near, "{model}: {found}, not {after}");
        let merged = out.path().join("merged");
        let merge = Merge { dtype: Some(instil_model::weights::WriteAs::F32), ..Merge::default() };
        merge.write(&opened(model), read, &merged, &mut |_, _| ControlFlow::Continue(())).unwrap();
        let found = scores(&engine(&merged, None), &examples);
        assert!((found - after).abs() < 1e-4, "{model}, merged: {found}, not {after}");
    }
}

#[test]
fn a_new_model_is_drawn_as_transformers_draws_it() {
    let mut config: serde_json::Value = json("v1.1/config.json");
    config["num_layers"] = 1.into();
    config["d_model"] = 64.into();
    let trainer = Trainer::new(&config, Settings::default()).unwrap();
    let deviation = |name: &str| {
        let numbers = trainer.weights(name).unwrap();
        (numbers.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / numbers.len() as f64).sqrt()
    };
    for (name, wanted) in [
        ("shared.weight", 1.0),
        ("lm_head.weight", 1.0),
        ("encoder.block.0.layer.0.SelfAttention.q.weight", (64.0_f64 * 8.0).powf(-0.5)),
        ("decoder.block.0.layer.1.EncDecAttention.k.weight", 0.125),
        ("decoder.block.0.layer.2.DenseReluDense.wo.weight", 48.0_f64.powf(-0.5)),
        ("encoder.final_layer_norm.weight", 1.0),
    ] {
        let found = deviation(name);
        assert!((found / wanted - 1.0).abs() < 0.1, "{name}: {found}, not {wanted}");
    }
    assert!(trainer.loss(&[Example::completion(&[5, 1], &[6, 1])]).unwrap().is_finite());
}

#[test]
fn prompt_and_answer_are_encoded_apart_each_with_its_end() {
    let tokenizer = opened("v1.0").tokenizer().unwrap();
    let part = |text: &str, is_learnt| Part { text: text.to_owned(), is_learnt };
    let pair = Supervised { parts: vec![part("The mill.", false), part("The wheel", true)], has_ends: true };
    let example = Example::of_pair(&pair, &tokenizer).unwrap();
    let prompt = tokenizer.encode("The mill.", true).unwrap();
    let answer = tokenizer.encode("The wheel", true).unwrap();
    assert_eq!(example.tokens, [prompt.as_slice(), &answer].concat());
    assert_eq!((example.learnt.len(), &example.learnt[0]), (1, &(prompt.len()..example.tokens.len())));
    // Without a prompt the encoder reads an end alone.
    let alone = Supervised { parts: vec![part("The wheel", true)], has_ends: true };
    assert_eq!(Example::of_pair(&alone, &tokenizer).unwrap().tokens[..1], [1]);
}
