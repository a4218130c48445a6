//! `generate` with weights on this machine.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::Value;

use crate::kill::{MOMENTS, corpus, kill_at_moments};
use crate::support::{Place, assert_closes, bytes, repository};

/// A random model of the engine's goldens.
fn golden(model: &str) -> PathBuf {
    repository().join("crates/instil-model/tests/goldens/decoder").join(model)
}

/// Puts a copy of a random model into the place, with a window that prompts fit.
pub(crate) fn model(place: &Place, name: &str) -> PathBuf {
    let folder = place.path("model");
    std::fs::create_dir(&folder).unwrap();
    for file in ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
        std::fs::copy(golden(name).join(file), folder.join(file)).unwrap();
    }
    change_config(&folder, |config| config["max_position_embeddings"] = 4096.into());
    folder
}

fn change_config(folder: &Path, change: impl FnOnce(&mut Value)) {
    let path = folder.join("config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(&mut config);
    std::fs::write(path, config.to_string()).unwrap();
}

/// The report of a finished run.
fn report(output: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(output.join("run/report.json")).unwrap()).unwrap()
}

#[test]
fn every_completion_is_kept_or_stands_in_the_rejects_with_its_text() {
    let place = Place::new();
    model(&place, "llama");
    place.write("corpus.jsonl", corpus(6));
    let args = ["generate", "corpus.jsonl", "--model", "model", "-o", "out", "--max-tokens", "24", "-n", "2"];
    place.ok(&[&args[..], &["--rejects", "rejects.jsonl"]].concat());
    assert_closes(&place.path("out"));
    let report = report(&place.path("out"));
    let generated = report["stages"].as_array().unwrap().iter().find(|stage| stage["name"] == "generate");
    let made = generated.unwrap()["out"].as_u64().unwrap();
    assert!(made >= 6 * 4 * 2, "{report}");
    assert!(report["tokens"]["completion"].as_u64().unwrap() > made);
    // A model with random weights writes no marker, so nothing is kept, and everything is told.
    let rejects = crate::support::objects(&std::fs::read_to_string(place.path("rejects.jsonl")).unwrap());
    assert_eq!(rejects.len() as u64 + report["rows"].as_u64().unwrap(), made);
    assert!(rejects.iter().any(|reject| !reject["raw"].as_str().unwrap().is_empty()), "{rejects:?}");
    assert!(report["model"].as_str().unwrap().starts_with("instil-model"), "{report}");
}

#[test]
fn batches_and_threads_change_no_byte() {
    let place = Place::new();
    model(&place, "mistral");
    place.write("corpus.jsonl", corpus(20));
    let run = |output, threads| {
        place.ok(&[
            "generate",
            "corpus.jsonl",
            "--model",
            "model",
            "-o",
            output,
            "--task",
            "qa",
            "--threads",
            threads,
            "--max-tokens",
            "12",
        ]);
        bytes(&place.path(output))
    };
    assert!(run("one/out", "1") == run("two/out", "2"));
}

#[test]
fn a_run_of_every_format_survives_a_kill_at_any_moment() {
    for (name, quantize) in [("llama", "none"), ("llama", "q8_0"), ("gguf/llama-q8_0", "auto")] {
        let place = Place::new();
        let folder = match name.starts_with("gguf") {
            true => golden(name).join("model.gguf"),
            false => model(&place, name),
        };
        let documents: String = (0..60).map(|i| format!("{{\"text\": \"A cat {i}.\"}}\n")).collect();
        place.write("corpus.jsonl", documents);
        let folder = folder.to_str().unwrap();
        let run = |output| {
            [
                "generate",
                "corpus.jsonl",
                "--model",
                folder,
                "-o",
                output,
                "--task",
                "qa,nli",
                "--quantize",
                quantize,
                "--max-tokens",
                "20",
            ]
        };
        let started = Instant::now();
        place.ok(&run("straight/out"));
        let whole = started.elapsed();
        let straight = bytes(&place.path("straight/out"));
        let kills = kill_at_moments(&place, "killed/out", &run("killed/out"), whole, || {
            assert!(straight == bytes(&place.path("killed/out")), "{name}");
        });
        assert!(kills >= MOMENTS / 4, "{name}: only {kills} kills came before the end");
    }
}

#[test]
fn a_dry_run_counts_with_the_models_own_tokenizer() {
    let place = Place::new();
    model(&place, "llama");
    place.write("corpus.jsonl", corpus(2));
    let shown = place.ok(&["generate", "corpus.jsonl", "--model", "model", "--dry-run", "--json"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert!(shown["prompts"][0]["tokens"].as_u64().unwrap() > 40, "{shown}");
}

#[test]
fn what_is_wrong_with_a_model_is_told_by_name() {
    let place = Place::new();
    let folder = model(&place, "llama");
    place.write("corpus.jsonl", corpus(1));
    let told = |model: &str, more: &[&str]| {
        let args = ["generate", "corpus.jsonl", "-o", "out", "--model", model];
        let told = place.told(&[&args[..], more].concat());
        assert!(told.starts_with("exit 2"), "{told}");
        told
    };
    let has = |told: &str, parts: &[&str]| assert!(parts.iter().all(|part| told.contains(part)), "{told}");

    has(&told("nothing-here", &[]), &["there is no model `nothing-here`", "--endpoint"]);
    has(&told("./nothing-here", &[]), &["./nothing-here"]);
    has(&told("model", &["--quantize", "q5"]), &["q5", "q8_0"]);
    has(&told("rules", &["--quantize", "q8_0"]), &["--quantize q8_0 is for a model that runs here"]);
    has(&told("model", &["--prompt", "instruct"]), &["can't follow `instruct` prompts"]);

    let tokenizer = folder.join("tokenizer.json");
    std::fs::rename(&tokenizer, folder.join("kept")).unwrap();
    has(&told("model", &[]), &["tokenizer.json"]);
    std::fs::rename(folder.join("kept"), &tokenizer).unwrap();

    change_config(&folder, |config| config["hidden_size"] = 128.into());
    has(&told("model", &[]), &["model.embed_tokens.weight", "128", "64"]);
    change_config(&folder, |config| config["hidden_size"] = 64.into());

    change_config(&folder, |config| config["num_hidden_layers"] = 9.into());
    has(&told("model", &[]), &["model.layers.2."]);
    change_config(&folder, |config| config["model_type"] = "mamba".into());
    has(&told("model", &[]), &["mamba", "gpt_neox"]);
    change_config(&folder, |config| config["model_type"] = "llama".into());

    let weights = folder.join("model.safetensors");
    let whole = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &whole[..whole.len() / 2]).unwrap();
    has(&told("model", &[]), &["model.safetensors"]);
    let mut broken = whole.clone();
    let end = broken.len();
    broken[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(&weights, &broken).unwrap();
    change_config(&folder, |config| config["num_hidden_layers"] = 2.into());
    has(&told("model", &[]), &["NaN"]);
}

#[test]
fn a_model_of_the_hub_that_is_not_here_is_not_asked_for_offline() {
    let place = Place::new();
    place.write("corpus.jsonl", corpus(1));
    let output = place
        .command(&["generate", "corpus.jsonl", "-o", "out", "--model", "nobody/nothing"])
        .env("HF_HUB_OFFLINE", "1")
        .env("HF_HUB_CACHE", place.path("hub"))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(told.contains("nobody/nothing") && told.contains("HF_HUB_OFFLINE"), "{told}");
}

/// The command of the issue, where the real weights and texts lie beside the checkout.
#[test]
fn real_weights_go_the_whole_road() {
    let shared = repository().join("../shared");
    if !shared.join("models/TinyStories-656K").exists() {
        println!("skipped: ../shared/models isn't there");
        return;
    }
    let place = Place::new();
    let path = |name: &str| shared.join(name).to_str().unwrap().to_owned();
    let (texts, weights) = (path("data/unlabelled/medical.jsonl.gz"), path("models/TinyStories-656K"));
    let args = ["generate", &texts, "--model", &weights, "--limit", "50", "-o", "out", "--max-tokens", "64"];
    place.ok(&args);
    assert_closes(&place.path("out"));
    let report = report(&place.path("out"));
    assert_eq!(report["stages"][0]["out"], 50);
    assert!(report["tokens"]["completion"].as_u64().unwrap() > 1000, "{report}");
}

#[test]
fn a_constrained_run_keeps_what_parses() {
    let place = Place::new();
    let config = serde_json::json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 32, "intermediate_size": 48,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 320,
        "max_position_embeddings": 1024, "rms_norm_eps": 1e-5, "hidden_act": "silu", "tie_word_embeddings": true,
    });
    place.write("tiny.json", config.to_string());
    place.write("corpus.jsonl", corpus(6));
    let rows = r#"{"prompt": "What sat on the mat?", "completion": "A cat sat there. Yes, no, maybe."}"#;
    place.write("rows.jsonl", format!("{rows}\n").repeat(8));
    place.ok(&[
        "train",
        "rows.jsonl",
        "--new-model",
        "tiny.json",
        "-o",
        "model",
        "--steps",
        "1",
        "--validation",
        "0",
        "-q",
    ]);
    let run = |output, more: &[&str]| {
        let args = ["generate", "corpus.jsonl", "--model", "model", "-o", output, "--max-tokens", "50"];
        let tasks =
            ["--task", "exqa,ynqa,nli,topic_class", "--labels", "news,sport", "--journal", "journal.sqlite"];
        place.ok(&[&args[..], &tasks, &["--temperature", "1", "-n", "3", "-q"], more].concat());
        assert_closes(&place.path(output));
        report(&place.path(output))
    };
    let parse = |report: &Value| {
        let stages = report["stages"].as_array().unwrap();
        stages.iter().find(|stage| stage["name"] == "parse").unwrap().clone()
    };
    let free = run("free/out", &[]);
    assert_eq!(parse(&free)["out"], 0, "{free}");
    let held = run("held/out", &["--constrain", "--threads", "1"]);
    let parsed = parse(&held);
    assert!(parsed["in"].as_u64().unwrap() >= 72, "{held}");
    assert_eq!((&parsed["in"], &parsed["rejects"]), (&parsed["out"], &serde_json::json!({})), "{held}");
    assert!(held["rows"].as_u64().unwrap() > 20, "{held}");
    for word in ["not_yes_no", "not_a_label", "answer_not_in_text"] {
        assert!(!held.to_string().contains(word), "{held}");
    }
    assert!(run("again/out", &["--constrain"])["seconds"].as_f64().unwrap() < 60.0);
    assert!(bytes(&place.path("held/out")) == bytes(&place.path("again/out")));
    let told = place.ok(&["stats", "held/out"]);
    assert!(told.contains("exqa") && told.contains("kept"), "{told}");
}

#[test]
fn who_cannot_be_constrained_says_so() {
    let place = Place::new();
    place.write("a.txt", "A cat sat on the mat.");
    let told = |args: &[&str]| {
        let told = place.told(&[&["generate", "a.txt", "-o", "out", "--constrain"], args].concat());
        told.split_once("--- stderr\n").unwrap().1.to_owned()
    };
    assert!(told(&[]).contains("right by construction"), "{}", told(&[]));
    assert!(told(&["--reference"]).contains("constrains nothing"));
    place.write("r.jsonl", "{\"prompt\": \"a\", \"completion\": \"b\"}\n");
    assert!(told(&["--replay", "r.jsonl"]).contains("a recording says what it says"));
}
