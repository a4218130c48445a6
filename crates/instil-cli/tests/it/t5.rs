//! T5 through the program: wherever a decoder goes, and what is refused by name.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::{Place, objects, repository};

/// A random model of the engine's goldens, as a copy in the place.
fn model(place: &Place) -> PathBuf {
    let from = repository().join("crates/instil-model/tests/goldens/t5/v1.1");
    let folder = place.path("t5");
    fs::create_dir(&folder).unwrap();
    for file in ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
        fs::copy(from.join(file), folder.join(file)).unwrap();
    }
    folder
}

fn rows(place: &Place) {
    let answers = ["three", "forty sacks", "the smith", "iron"];
    let row = |n: usize| json!({"prompt": format!("The mill number {n}."), "completion": answers[n % 4]});
    place.write("rows.jsonl", (0..24).map(|n| row(n).to_string() + "\n").collect::<String>());
}

fn mean(scores: &str) -> f64 {
    let scores = objects(scores);
    assert_eq!(scores.len(), 24);
    let sum = |key: &str| scores.iter().map(|row| row[key].as_f64().unwrap()).sum::<f64>();
    sum("nll_nats") / sum("tokens")
}

#[test]
fn what_is_trained_is_scored_and_evaluated() {
    let place = Place::new();
    model(&place);
    rows(&place);
    let score = |model: &[&str]| mean(&place.ok(&[&["score", "rows.jsonl", "--eos", "-q"], model].concat()));
    let before = score(&["--model", "t5"]);
    let train = [
        "train",
        "rows.jsonl",
        "--model",
        "t5",
        "--epochs",
        "6",
        "--batch-size",
        "4",
        "--learning-rate",
        "5e-3",
        "-q",
    ];
    place.ok(&[&train[..], &["--method", "full", "-o", "full"]].concat());
    place.ok(&[&train[..], &["--method", "lora", "--r", "4", "-o", "lora"]].concat());
    place.ok(&["merge", "--model", "t5", "--adapter", "lora", "-o", "merged", "--dtype", "f32", "-q"]);
    let (full, lora, merged) = (
        score(&["--model", "full"]),
        score(&["--model", "t5", "--adapter", "lora"]),
        score(&["--model", "merged"]),
    );
    assert!(full < before - 1.0 && lora < before - 0.5, "{before}, {full}, {lora}");
    assert!((merged - lora).abs() < 1e-3, "{merged}, {lora}");
    // The loss that training says is of the same tokens.
    let report: Value =
        serde_json::from_slice(&fs::read(place.path("full/run/report.json")).unwrap()).unwrap();
    assert_eq!(report["finished"], json!(true));
    // The same command finds it done; another batch makes the same rows.
    let made = |output: &str, threads: &str| {
        let corpus = "The first wheel ground forty sacks of rye. The second one thirty-two.\n";
        place.write("notes.txt", corpus.repeat(4));
        place.ok(&[
            "generate",
            "notes.txt",
            "-o",
            output,
            "--model",
            "full",
            "--task",
            "qa",
            "-n",
            "3",
            "--max-tokens",
            "12",
            "--threads",
            threads,
            "-q",
            "--rejects",
            &format!("{output}.jsonl"),
        ]);
        fs::read(place.path(&format!("{output}.jsonl"))).unwrap()
    };
    let one = made("one", "1");
    assert!(!one.is_empty() && one == made("two", "2"));
}

#[test]
fn what_is_for_decoders_alone_is_refused_by_name() {
    let place = Place::new();
    model(&place);
    rows(&place);
    let told = |args: &[&str]| {
        let output = place.run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    for frame in ["text", "chat"] {
        let said = told(&["train", "rows.jsonl", "--model", "t5", "-o", "out", "--frame", frame]);
        assert!(said.contains(&format!("`--frame {frame}` is for decoders")), "{said}");
    }
    let said = told(&["bench", "--model", "t5", "--no-peers", "-q"]);
    assert!(said.contains("an encoder-decoder (t5) isn't measured"), "{said}");
    place.ok(&[
        "train",
        "rows.jsonl",
        "--model",
        "t5",
        "-o",
        "lora",
        "--method",
        "lora",
        "--steps",
        "1",
        "-q",
    ]);
    let said = told(&["merge", "--model", "t5", "--adapter", "lora", "-o", "out.gguf"]);
    assert!(said.contains("is an encoder-decoder (t5)"), "{said}");
}

#[test]
fn tasks_of_super_natural_instructions_are_asked_and_judged() {
    let data = repository().join("../shared/data/superni");
    if !data.is_dir() {
        println!("left out: there is no {}", data.display());
        return;
    }
    let place = Place::new();
    model(&place);
    let args = |limit: &'static str| {
        ["eval", "-b", "super_ni", "--data", data.to_str().unwrap(), "--limit", limit, "--json", "-q"]
            .map(str::to_owned)
    };
    let args = args("6");
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let questions = objects(&place.ok(&[&args[..], &["--dry-run"]].concat()));
    assert_eq!(questions.len(), 6);
    let prompt = questions[0]["prompt"].as_str().unwrap();
    assert!(prompt.starts_with("Definition: ") && prompt.ends_with("\nOutput: "), "{prompt}");
    let run = || place.ok(&[&args[..], &["--model", "t5", "-o", "out", "--overwrite"]].concat());
    let said = run();
    let report: Value = serde_json::from_str(&said).unwrap();
    let metrics = &report["reports"][0];
    assert_eq!(metrics["benchmark"], json!("super_ni"));
    for metric in ["rouge_l", "exact_match"] {
        assert!(said.contains(metric), "{said}");
    }
    // What the model wrote stands beside what was asked, and is the same again.
    let items = fs::read_to_string(place.path("out/items.jsonl")).unwrap();
    assert_eq!(objects(&items).len(), 6);
    assert_eq!(run(), said);
    assert_eq!(fs::read_to_string(place.path("out/items.jsonl")).unwrap(), items);
}
