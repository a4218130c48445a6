//! `--adapter` and `merge`.

use std::path::Path;

use serde_json::Value;

use crate::kill::corpus;
use crate::support::{Place, assert_closes, bytes};

fn place() -> Place {
    let place = Place::new();
    place.add_model();
    place.write("corpus.jsonl", corpus(4));
    place
}

/// The texts of all completions: a random model's are rejects, as a rule.
fn completions(place: &Place, output: &str, more: &[&str]) -> String {
    let rejects = format!("{output}.rejects.jsonl");
    let args = ["generate", "corpus.jsonl", "--task", "qa", "--max-tokens", "12", "-o", output];
    place.ok(&[&args[..], &["--rejects", &rejects], more].concat());
    assert_closes(&place.path(output));
    std::fs::read_to_string(place.path(&rejects)).unwrap()
}

fn report(output: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(output.join("run/report.json")).unwrap()).unwrap()
}

#[test]
fn an_adapter_changes_what_a_model_says_and_merged_says_it_too() {
    let place = place();
    let plain = completions(&place, "plain", &["--model", "model"]);
    let adapted = completions(&place, "adapted", &["--model", "model", "--adapter", "adapter"]);
    assert_ne!(plain, adapted);
    let model = |output| report(&place.path(output))["model"].as_str().unwrap().to_owned();
    assert!(
        !model("plain").contains("adapter") && model("adapted").contains("; adapter "),
        "{}",
        model("adapted")
    );

    place.ok(&["merge", "--model", "model", "--adapter", "adapter", "-o", "merged", "-q"]);
    assert_eq!(completions(&place, "of-merged", &["--model", "merged"]), adapted);
    place.ok(&["merge", "--model", "model", "--adapter", "adapter", "-o", "merged.gguf", "-q"]);
    // The random model's vocabulary lacks letters of the prompt, which GGUF's byte pairs leave out, so the texts are others.
    assert!(!completions(&place, "of-gguf", &["--model", "merged.gguf"]).is_empty());
}

#[test]
fn scores_are_those_of_the_merged_model() {
    let place = place();
    place.write(
        "pairs.jsonl",
        "{\"id\": \"a\", \"prompt\": \"The first wheel\", \"completion\": \" ground forty sacks\"}\n",
    );
    place.ok(&["merge", "--model", "model", "--adapter", "adapter", "-o", "merged", "-q"]);
    let nll = |more: &[&str]| {
        let printed = place.ok(&[&["score", "pairs.jsonl", "--quantize", "none"], more].concat());
        serde_json::from_str::<Value>(&printed).unwrap()["nll_nats"].as_f64().unwrap()
    };
    let (plain, adapted) = (nll(&["--model", "model"]), nll(&["--model", "model", "--adapter", "adapter"]));
    assert!((plain - adapted).abs() > 0.1, "{plain} and {adapted}");
    let merged = nll(&["--model", "merged"]);
    assert!((merged - adapted).abs() < 1e-3, "{merged} for {adapted}");
}

#[test]
fn a_recipe_names_the_adapter_and_is_the_same_run() {
    let place = place();
    let typed = completions(&place, "typed", &["--model", "model", "--adapter", "adapter"]);
    let recipe = std::fs::read_to_string(place.path("typed/run/recipe.toml")).unwrap();
    assert!(recipe.contains("adapter = \"adapter\""), "{recipe}");
    place.write("recipe.toml", recipe.replace("\"typed\"", "\"again\""));
    place.ok(&["run", "recipe.toml", "--rejects", "again.jsonl"]);
    assert_eq!(std::fs::read_to_string(place.path("again.jsonl")).unwrap(), typed);
    assert!(bytes(&place.path("typed/data")) == bytes(&place.path("again/data")));
    let without = completions(&place, "without", &["--model", "model"]);
    assert_ne!(without, typed);
    let recipe = std::fs::read_to_string(place.path("without/run/recipe.toml")).unwrap();
    assert!(!recipe.contains("adapter"), "{recipe}");
}

#[test]
fn what_is_wrong_with_an_adapter_is_told_by_name() {
    let place = place();
    let told = |more: &[&str]| {
        let args = ["generate", "corpus.jsonl", "-o", "out"];
        let told = place.told(&[&args[..], more].concat());
        assert!(told.starts_with("exit 2"), "{told}");
        told
    };
    let has = |told: &str, parts: &[&str]| assert!(parts.iter().all(|part| told.contains(part)), "{told}");
    has(&told(&["--adapter", "adapter"]), &["--adapter adapter is for a model that runs here", "--model"]);
    has(
        &told(&["--model", "model", "--adapter", "nowhere"]),
        &["there is no adapter `nowhere`", "owner/name"],
    );
    has(&told(&["--model", "model", "--adapter", "./nowhere"]), &["./nowhere", "adapter_config.json"]);
    has(&told(&["--model", "model", "--adapter", "model"]), &["adapter_config.json", "a whole model"]);

    let config = std::fs::read_to_string(place.path("adapter/adapter_config.json")).unwrap();
    place.write("adapter/adapter_config.json", config.replace("\"use_dora\": false", "\"use_dora\": true"));
    has(&told(&["--model", "model", "--adapter", "adapter"]), &["DoRA", "merge_and_unload"]);
    place.write("adapter/adapter_config.json", config);
    let model = std::fs::read_to_string(place.path("model/config.json")).unwrap();
    let narrow = model.replace("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1");
    place.write("model/config.json", narrow);
    has(&told(&["--model", "model", "--adapter", "adapter"]), &["model.layers.1.", "no linear layer"]);
}

#[test]
fn an_adapter_of_the_hub_is_found_in_its_cache() {
    let place = place();
    let typed = completions(&place, "typed", &["--model", "model", "--adapter", "adapter"]);
    let repo = place.path("hub/models--owner--adapted");
    let snapshot = repo.join("snapshots/0123456789012345678901234567890123456789");
    std::fs::create_dir_all(repo.join("refs")).unwrap();
    std::fs::create_dir_all(&snapshot).unwrap();
    std::fs::write(repo.join("refs/main"), "0123456789012345678901234567890123456789").unwrap();
    for file in ["adapter_config.json", "adapter_model.safetensors"] {
        std::fs::copy(place.path("adapter").join(file), snapshot.join(file)).unwrap();
    }
    let args = [
        "generate",
        "corpus.jsonl",
        "--task",
        "qa",
        "--max-tokens",
        "12",
        "-o",
        "of-hub",
        "--model",
        "model",
    ];
    let output = place
        .command(&[&args[..], &["--adapter", "owner/adapted", "--rejects", "of-hub.jsonl"]].concat())
        .env("HF_HUB_OFFLINE", "1")
        .env("HF_HUB_CACHE", place.path("hub"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(std::fs::read_to_string(place.path("of-hub.jsonl")).unwrap(), typed);
}

#[test]
fn merge_says_what_it_can_not_do() {
    let place = place();
    let told = |more: &[&str]| {
        let args = ["merge", "--model", "model", "--adapter", "adapter"];
        let told = place.told(&[&args[..], more].concat());
        assert!(told.starts_with("exit 2"), "{told}");
        told
    };
    let has = |told: &str, parts: &[&str]| assert!(parts.iter().all(|part| told.contains(part)), "{told}");
    has(&told(&["-o", "out", "--dtype", "q8"]), &["`q8` is no type", "q8_0"]);
    has(&told(&["-o", "out", "--dtype", "q8_0"]), &["safetensors of blocks", "--format gguf"]);
    has(&told(&["-o", "out", "--format", "gguf"]), &["no name of a GGUF file", ".gguf"]);
    has(&told(&["-o", "out.gguf", "--format", "safetensors"]), &["name of a GGUF file"]);
    has(&told(&["-o", "model"]), &["`model` is there already", "--overwrite"]);
    has(&told(&["-o", "corpus.jsonl/out"]), &["corpus.jsonl/out"]);
    assert!(!place.path("out").exists());

    let shown = place.ok(&["merge", "--model", "model", "--adapter", "adapter", "-o", "out", "--json", "-q"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((shown["changed"].as_u64(), shown["output"].as_str()), (Some(14), Some("out")));
}
