//! Training beside torch, and what must hold whatever is trained.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use instil_model::adapter::{Adapter, TargetModules};
use instil_model::engine::{Engine, Settings as EngineSettings, Tokens};
use instil_model::train::{
    AdamW, Batch, Checkpoints, Event, Example, Length, Lora, Method, Plan, Schedule, Settings, Step, Trainer,
    Warmup,
};
use instil_model::weights::{Checkpoint, Quantize};
use serde::Deserialize;
use serde_json::json;

use crate::golden::folder;

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
    tokens: Vec<u32>,
    from: usize,
}

#[derive(Deserialize)]
struct Run {
    losses: Vec<f64>,
    norms: Vec<f64>,
    rates: Vec<f64>,
    after: f64,
}

fn goldens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/train")
}

/// Tensors of a file whose names begin so, by the rest of the name.
fn tensors(run: &str, head: &str) -> BTreeMap<String, Vec<f32>> {
    let bytes = std::fs::read(goldens().join(format!("{run}.safetensors"))).unwrap();
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

fn opened(model: &str) -> Checkpoint {
    Checkpoint::open(&folder(model), Quantize::None).unwrap()
}

#[test]
fn steps_are_those_of_torch() {
    let text = std::fs::read(goldens().join("golden.json")).unwrap();
    let golden: Golden = serde_json::from_slice(&text).unwrap();
    let of = &golden.settings;
    let examples: Vec<Example> = golden
        .examples
        .iter()
        .map(|example| Example::completion(&example.tokens[..example.from], &example.tokens[example.from..]))
        .collect();
    assert!(!golden.runs.is_empty());
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
        let steps = run.losses.iter().zip(&run.norms).zip(&run.rates).zip(examples.chunks(2));
        for (number, (((loss, norm), rate), batch)) in steps.enumerate() {
            let factor = Schedule::Linear.factor(number, of.warmup, of.total);
            assert!((rate - of.rate * factor).abs() < 1e-12, "{name}: {rate} at step {number}");
            let batch: Vec<&Example> = batch.iter().collect();
            let (found, found_norm) = trainer.step(&batch, *rate).unwrap();
            assert!((found - loss).abs() < 1e-4 * loss, "{name}: loss {found}, not {loss}, at step {number}");
            assert!((found_norm - norm).abs() < 1e-4 * norm, "{name}: norm {found_norm}, not {norm}");
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
            assert!(far < 1e-4, "{name}: {tensor} is {far} away");
        }
    }
}

/// Texts that a model can learn: after each token comes the same other one.
fn chains(count: usize) -> Vec<Example> {
    (0..count)
        .map(|number| {
            let mut token = 3 + number as u32 * 7 % 120;
            let tokens: Vec<u32> = (0..10 + number % 17)
                .map(|_| {
                    token = 3 + (token * 5 + 11) % 120;
                    token
                })
                .collect();
            Example::completion(&tokens[..1 + number % 3], &tokens[1 + number % 3..])
        })
        .collect()
}

fn lora() -> Method {
    Method::Lora(Lora { r: 4, lora_alpha: 8.0, lora_dropout: 0.1, ..Lora::default() })
}

fn settings(method: Method) -> Settings {
    Settings {
        method,
        length: Length::Epochs(2.0),
        batch: Batch::Examples(8),
        learning_rate: 1e-2,
        schedule: Schedule::Cosine,
        warmup: Warmup::Ratio(0.1),
        ..Settings::default()
    }
}

/// All trained numbers.
fn bits(trainer: &Trainer) -> Vec<u32> {
    let tensors = trainer.parameters().iter().map(|parameter| trainer.weights(&parameter.name).unwrap());
    tensors.flatten().map(|number| number.to_bits()).collect()
}

/// Trains and gives the steps.
fn run(trainer: &mut Trainer, examples: &[Example], plan: &Plan) -> Vec<Step> {
    let mut steps = Vec::new();
    let summary = trainer
        .train(examples, &[], plan, &mut |event| {
            if let Event::Step(step) = event {
                steps.push(Step { seconds: 0.0, ..step });
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(summary.is_complete);
    steps
}

#[test]
fn threads_memory_and_files_change_no_bit() {
    let examples = chains(40);
    for method in [Method::Full, lora()] {
        let states = tempfile::tempdir().unwrap();
        let same = [
            Settings { threads: 1, ..settings(method.clone()) },
            Settings { threads: 2, ..settings(method.clone()) },
            Settings { threads: 3, recompute: false, ..settings(method.clone()) },
            Settings { moments: Some(states.path().join("moments")), ..settings(method.clone()) },
        ];
        let mut first = None;
        for settings in same {
            let mut trainer = Trainer::load(&opened("llama"), settings).unwrap();
            let steps = run(&mut trainer, &examples, &Plan::default());
            assert_eq!(steps.len(), 10);
            assert!(steps[9].loss < steps[0].loss - 0.5, "nothing was learnt: {steps:?}");
            let found = (bits(&trainer), steps);
            assert!(*first.get_or_insert_with(|| found.clone()) == found, "other bits");
        }
    }
}

#[test]
fn a_step_in_many_passes_is_the_step_in_one() {
    let examples = chains(12);
    let batch: Vec<&Example> = examples.iter().collect();
    let gradients = |pass_tokens| {
        let settings = Settings { pass_tokens, ..settings(Method::Full) };
        let mut trainer = Trainer::load(&opened("qwen3"), settings).unwrap();
        let (loss, _) = trainer.step(&batch, 0.0).unwrap();
        let name = "model.layers.0.self_attn.k_proj.weight";
        (loss, trainer.gradient(name).unwrap().to_vec())
    };
    let (loss, whole) = gradients(10_000);
    for pass_tokens in [1, 40] {
        let (parts, gradient) = gradients(pass_tokens);
        assert!((parts - loss).abs() < 1e-6 && far(&gradient, &whole) < 1e-5);
    }
}

#[test]
fn a_training_goes_on_to_the_same_bits() {
    let examples = chains(40);
    for method in [Method::Full, lora()] {
        let settings = Settings { group_by_length: true, ..settings(method) };
        let mut whole = Trainer::load(&opened("llama-tied"), settings.clone()).unwrap();
        let steps = run(&mut whole, &examples, &Plan::default());

        let kept = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints { folder: kept.path().join("run"), every: 3, keep: 2 };
        let plan = Plan { checkpoints: Some(checkpoints), ..Plan::default() };
        let mut found = Vec::new();
        for stops in [1, 4, 5, 8, usize::MAX] {
            let mut trainer = Trainer::load(&opened("llama-tied"), settings.clone()).unwrap();
            let mut here = 0;
            let mut resumed = 0;
            let summary = trainer
                .train(&examples, &[], &plan, &mut |event| {
                    match event {
                        Event::Resumed(step) => resumed = step,
                        Event::Step(step) => {
                            found.push(Step { seconds: 0.0, ..step });
                            here = step.step;
                        }
                        _ => {}
                    }
                    if here >= stops { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                })
                .unwrap();
            assert_eq!(
                resumed,
                found.iter().map(|step| step.step).filter(|step| *step <= resumed).max().unwrap_or(0)
            );
            assert_eq!(summary.steps, stops.min(10));
            assert_eq!(summary.is_complete, stops > 10);
            if stops > 10 {
                assert!(bits(&trainer) == bits(&whole), "other bits");
            }
        }
        assert_eq!(found, steps);
        // What was half written by a run that was killed is in nobody's way, and the newest two are kept.
        let names = || {
            let entries = std::fs::read_dir(kept.path().join("run")).unwrap();
            let mut names: Vec<String> =
                entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        };
        assert_eq!(names(), ["step-00000009", "step-00000010"]);
        std::fs::create_dir(kept.path().join("run/partial-checkpoint")).unwrap();
        let mut again = Trainer::load(&opened("llama-tied"), settings.clone()).unwrap();
        assert!(run(&mut again, &examples, &plan).is_empty(), "it was over");
        assert!(bits(&again) == bits(&whole));

        let other = Settings { seed: 1, ..settings };
        let mut other = Trainer::load(&opened("llama-tied"), other).unwrap();
        let error = other.train(&examples, &[], &plan, &mut |_| ControlFlow::Continue(())).unwrap_err();
        assert!(error.to_string().contains("is of another training"), "{error}");
    }
}

#[test]
fn a_checkpoint_that_cannot_be_written_leaves_the_older_one() {
    let examples = chains(16);
    let kept = tempfile::tempdir().unwrap();
    let plan = |folder: PathBuf| Plan {
        checkpoints: Some(Checkpoints { folder, every: 1, keep: 1 }),
        ..Plan::default()
    };
    // A file where the folder should be.
    let file = kept.path().join("file");
    std::fs::write(&file, "").unwrap();
    let mut trainer = Trainer::load(&opened("llama"), settings(lora())).unwrap();
    let error = trainer.train(&examples, &[], &plan(file), &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert!(error.to_string().contains("file"), "{error}");

    let run = kept.path().join("run");
    let mut trainer = Trainer::load(&opened("llama"), settings(lora())).unwrap();
    let mut blocked = false;
    let error = trainer.train(&examples, &[], &plan(run.clone()), &mut |event| {
        if let Event::Kept(path) = event {
            assert!(path.ends_with("step-00000001"));
            // A file where the next checkpoint is to be written.
            std::fs::write(run.join("partial-checkpoint"), "").unwrap();
            blocked = true;
        }
        ControlFlow::Continue(())
    });
    assert!(blocked && error.is_err());
    assert!(run.join("step-00000001/state.json").is_file());
}

#[test]
fn a_new_model_is_trained_and_loaded() {
    let families = [
        json!({
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 128, "hidden_size": 32,
            "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
            "max_position_embeddings": 64, "hidden_act": "silu", "rms_norm_eps": 1e-5, "tie_word_embeddings": true,
            "torch_dtype": "bfloat16",
        }),
        json!({
            "architectures": ["GPTNeoXForCausalLM"], "model_type": "gpt_neox", "vocab_size": 128,
            "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
            "max_position_embeddings": 64, "hidden_act": "gelu", "tie_word_embeddings": false,
            "initializer_range": 0.05,
        }),
    ];
    for config in families {
        let settings = Settings { length: Length::Steps(60), ..settings(Method::Full) };
        let mut trainer = Trainer::new(&config, settings.clone()).unwrap();
        let embed = trainer.parameters()[0].clone();
        let numbers = trainer.weights(&embed.name).unwrap();
        let deviation = config.get("initializer_range").map_or(0.02, |range| range.as_f64().unwrap());
        let mean = numbers.iter().map(|v| f64::from(*v)).sum::<f64>() / numbers.len() as f64;
        let square = numbers.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / numbers.len() as f64;
        assert!(mean.abs() < 0.1 * deviation, "{mean}");
        assert!((square.sqrt() / deviation - 1.0).abs() < 0.05, "{square}");
        assert!(bits(&trainer) == bits(&Trainer::new(&config, settings.clone()).unwrap()), "the same seed");
        let other = Settings { seed: 1, ..settings };
        assert!(bits(&trainer) != bits(&Trainer::new(&config, other).unwrap()), "another seed");

        let steps = run(&mut trainer, &chains(64), &Plan::default());
        assert!(steps[0].loss > 4.5 && steps[59].loss < 2.0, "{} to {}", steps[0].loss, steps[59].loss);
        let out = tempfile::tempdir().unwrap();
        trainer.save_model(&out.path().join("model"), Some(&opened("llama"))).unwrap();
        let engine = Engine::load(&out.path().join("model"), &EngineSettings::default()).unwrap();
        let examples = chains(9);
        let texts: Vec<Tokens> = examples
            .iter()
            .map(|example| Tokens { tokens: example.tokens.clone(), from: example.learnt[0].start })
            .collect();
        let sum: f64 = engine.score_tokens(&texts).unwrap().iter().sum();
        let targets: usize = examples.iter().map(Example::targets).sum();
        let loss = trainer.loss(&examples).unwrap();
        assert!((sum / targets as f64 - loss).abs() < 1e-4, "{sum} and {loss}");
        let config = std::fs::read_to_string(out.path().join("model/config.json")).unwrap();
        assert!(!config.contains("bfloat16"), "{config}");
    }
}

#[test]
fn an_adapter_is_written_read_and_trained_on() {
    let examples = chains(24);
    let mut trainer = Trainer::load(&opened("gpt-neox"), settings(lora())).unwrap();
    run(&mut trainer, &examples, &Plan::default());
    let out = tempfile::tempdir().unwrap();
    trainer.adapter().unwrap().write(out.path()).unwrap();

    let read = Adapter::read(out.path()).unwrap();
    assert_eq!(read.modules.len(), 2 * 4);
    let method = Method::Lora(Lora::of(&read).unwrap());
    assert_eq!(method, lora());
    let mut again = Trainer::load(&opened("gpt-neox"), Settings { seed: 9, ..settings(method) }).unwrap();
    assert!(bits(&again) != bits(&trainer));
    again.set_adapter(&read).unwrap();
    assert!(bits(&again) == bits(&trainer));
    assert_eq!(again.loss(&examples).unwrap(), trainer.loss(&examples).unwrap());

    let refused = |trainer: &mut Trainer| trainer.set_adapter(&read).unwrap_err().to_string();
    let mut other = Trainer::load(&opened("llama"), settings(lora())).unwrap();
    assert!(refused(&mut other).contains("which is no linear layer of the base model"));
    let mut whole = Trainer::load(&opened("gpt-neox"), settings(Method::Full)).unwrap();
    assert!(whole.adapter().is_none() && refused(&mut whole).contains("no adapter"));
    let wide = Lora { r: 4, lora_alpha: 4.0, ..Lora::default() };
    let mut wide = Trainer::load(&opened("gpt-neox"), settings(Method::Lora(wide))).unwrap();
    assert!(refused(&mut wide).contains("the scaling"));
    let some = Lora { target_modules: TargetModules::parse("query_key_value"), r: 4, ..Lora::default() };
    let mut some = Trainer::load(&opened("gpt-neox"), settings(Method::Lora(some))).unwrap();
    assert!(refused(&mut some).contains("no linear layer"));
    let patterns = Adapter { layers_to_transform: Some(vec![0]), ..read.clone() };
    assert!(Lora::of(&patterns).unwrap_err().to_string().contains("some layers"));
}

#[test]
fn validation_is_told_and_does_not_train() {
    let (examples, held_out) = (chains(40), chains(50)[40..].to_vec());
    let mut plain = Trainer::load(&opened("llama"), settings(lora())).unwrap();
    run(&mut plain, &examples, &Plan::default());
    let mut trainer = Trainer::load(&opened("llama"), settings(lora())).unwrap();
    let before = trainer.loss(&held_out).unwrap();
    let mut told = Vec::new();
    let plan = Plan { validate_every: Some(4), ..Plan::default() };
    let summary = trainer
        .train(&examples, &held_out, &plan, &mut |event| {
            if let Event::Validated { step, loss } = event {
                told.push((step, loss));
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(told.iter().map(|(step, _)| *step).collect::<Vec<_>>(), [4, 8, 10]);
    assert_eq!(summary.validation, Some(told[2].1));
    assert!(told[2].1 < before - 0.5, "{before} to {told:?}");
    assert!(bits(&plain) == bits(&trainer));
}

#[test]
fn a_loss_that_is_no_number_stops_with_step_and_examples() {
    let mut trainer = Trainer::load(&opened("llama"), settings(Method::Full)).unwrap();
    let name = "model.norm.weight";
    let broken = vec![f32::MAX; trainer.weights(name).unwrap().len()];
    trainer.set_weights(name, &broken).unwrap();
    let before = bits(&trainer);
    let error =
        trainer.train(&chains(8), &[], &Plan::default(), &mut |_| ControlFlow::Continue(())).unwrap_err();
    let text = format!("{error}: {}", std::error::Error::source(&error).unwrap());
    assert!(text.contains("step 1: the loss is") && text.contains("examples ["), "{text}");
    assert!(before == bits(&trainer), "the weights are as before");
}

#[test]
fn what_cannot_be_learnt_is_refused() {
    let mut trainer = Trainer::load(&opened("llama"), settings(lora())).unwrap();
    let window = trainer.window();
    let refused = |example: Example, said: &str, trainer: &mut Trainer| {
        let examples = [Example::text(vec![1, 2, 3]), example];
        let error =
            trainer.train(&examples, &[], &Plan::default(), &mut |_| ControlFlow::Continue(())).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("example 1") && text.contains(said), "{text}");
    };
    refused(Example::text(vec![]), "no token to learn", &mut trainer);
    refused(Example::text(vec![5]), "no token to learn", &mut trainer);
    refused(Example::completion(&[1, 2], &[]), "no token to learn", &mut trainer);
    refused(Example::text(vec![1; window + 2]), "longer than the model's window", &mut trainer);
    refused(Example::text(vec![1, 9_999]), "token 9999", &mut trainer);
    let learnt = vec![std::ops::Range { start: 0, end: 2 }];
    refused(Example { tokens: vec![1, 2], learnt }, "can't be learnt", &mut trainer);
    // As long as the window and one token more, which is predicted.
    assert!(trainer.loss(&[Example::text(vec![1; window + 1])]).unwrap().is_finite());

    let error = trainer.train(&[], &[], &Plan::default(), &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert!(error.to_string().contains("no example"), "{error}");
    let error = trainer.save_model(Path::new("nowhere"), None).unwrap_err();
    assert!(error.to_string().contains("adapter"), "{error}");
    assert!(trainer.set_weights("lm_head.weight", &[]).unwrap_err().to_string().contains("lm_head"));

    let wrong = |change: &dyn Fn(&mut Settings)| {
        let mut settings = settings(Method::Full);
        change(&mut settings);
        Trainer::load(&opened("llama"), settings).err().map(|error| error.to_string()).unwrap_or_default()
    };
    assert!(wrong(&|s| s.length = Length::Epochs(0.0)).contains("length"));
    assert!(wrong(&|s| s.learning_rate = f64::NAN).contains("learning rate"));
    assert!(wrong(&|s| s.batch = Batch::Tokens(0)).contains("batch"));
    assert!(wrong(&|s| s.adamw.beta2 = 1.0).contains("beta2"));
    assert!(wrong(&|s| s.warmup = Warmup::Ratio(2.0)).contains("warm-up"));
    let error = Trainer::load(&opened("gguf/llama-f32"), settings(Method::Full)).err().unwrap().to_string();
    assert!(error.contains("config.json"), "{error}");
    let config = json!({"model_type": "llama"});
    assert!(Trainer::new(&config, settings(lora())).is_err());
}
