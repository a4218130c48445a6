//! `train`: whole commands from rows to a model that other verbs take.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Place, objects};

fn config(place: &Place) {
    let config = json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 32, "intermediate_size": 64,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 400,
        "max_position_embeddings": 256, "rms_norm_eps": 1e-5, "tie_word_embeddings": true, "hidden_act": "silu",
        "rope_theta": 10000.0,
    });
    place.write("tiny.json", config.to_string());
}

/// Questions about a few things, with their answers.
fn data(place: &Place) {
    let rows: String = (0..120)
        .map(|n| {
            let thing = ["kettle", "mill", "weir", "barge"][n % 4];
            let use_of = ["boils water", "grinds grain", "holds back the river", "carries coal"][n % 4];
            json!({"prompt": format!("What does the {thing} number {n} do?\n"), "completion": format!("It {use_of}.")})
                .to_string()
                + "\n"
        })
        .collect();
    place.write("rows.jsonl", rows);
}

fn report(place: &Place, folder: &str) -> Value {
    serde_json::from_slice(&std::fs::read(place.path(folder).join("run/report.json")).unwrap()).unwrap()
}

fn new_model(place: &Place, steps: &str) {
    config(place);
    data(place);
    place.ok(&[
        "train",
        "rows.jsonl",
        "--new-model",
        "tiny.json",
        "-o",
        "model",
        "--steps",
        steps,
        "--epochs",
        "9",
        "--batch-size",
        "8",
        "--learning-rate",
        "3e-3",
        "--validation",
        "10%",
        "-q",
    ]);
}

#[test]
fn a_new_model_learns_and_its_adapter_is_scored_and_merged() {
    let place = Place::new();
    new_model(&place, "60");
    let log = objects(&std::fs::read_to_string(place.path("model/run/log.jsonl")).unwrap());
    let loss = |row: &Value| row["loss"].as_f64().unwrap();
    assert!(loss(&log[59]) < loss(&log[0]) / 3.0, "{} then {}", log[0], log[59]);
    let told = report(&place, "model");
    assert_eq!((&told["finished"], &told["steps"], &told["rows"]), (&json!(true), &json!(60), &json!(120)));
    assert_eq!(told["examples"].as_u64().unwrap() + told["validation_examples"].as_u64().unwrap(), 120);
    place.write(
        "other.jsonl",
        json!({"prompt": "What does the kettle number 8 do?\n", "completion": "It carries coal."})
            .to_string(),
    );
    place.ok(&[
        "train",
        "other.jsonl",
        "--model",
        "model",
        "-o",
        "adapter",
        "--r",
        "4",
        "--epochs",
        "150",
        "--batch-size",
        "1",
        "--learning-rate",
        "1e-2",
        "-q",
    ]);
    let nll = |more: &[&str]| {
        let first = ["score", "other.jsonl", "-q", "--model"];
        let output = place.run(&[&first, more].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let rows = objects(&String::from_utf8(output.stdout).unwrap());
        rows[0]["nll_nats"].as_f64().unwrap()
    };
    let (plain, adapted) = (nll(&["model"]), nll(&["model", "--adapter", "adapter"]));
    // So little can be learnt beside frozen embeddings this small: peft comes to the same loss.
    assert!(adapted < plain - 0.1, "{plain} then {adapted}");
    place.ok(&["merge", "--model", "model", "--adapter", "adapter", "-o", "merged", "-q"]);
    assert!((nll(&["merged"]) - adapted).abs() < 1e-3);
    // An adapter is trained on, and quantised weights beside one.
    place.ok(&[
        "train",
        "other.jsonl",
        "--model",
        "model",
        "--init-adapter",
        "adapter",
        "-o",
        "more",
        "--epochs",
        "2",
        "--method",
        "qlora",
        "-q",
    ]);
    assert_eq!(report(&place, "more")["trained"], report(&place, "adapter")["trained"]);
}

#[test]
fn a_killed_training_goes_on_to_the_same_bytes() {
    let place = Place::new();
    new_model(&place, "4");
    let train = |output: &str| {
        vec![
            "train".to_owned(),
            "rows.jsonl".into(),
            "--model".into(),
            "model".into(),
            "-o".into(),
            output.into(),
            "--steps".into(),
            "60".into(),
            "--epochs".into(),
            "9".into(),
            "--batch-size".into(),
            "8".into(),
            "--checkpoint-every".into(),
            "3".into(),
            "--r".into(),
            "2".into(),
            "-q".into(),
            "--lora-dropout".into(),
            "0.1".into(),
        ]
    };
    let arguments =
        |output: &str| train(output).iter().map(String::as_str).map(str::to_owned).collect::<Vec<_>>();
    let run = |output: &str| {
        let arguments = arguments(output);
        place.ok(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    };
    run("whole");
    let mut kills = 0;
    for wait in [150, 250, 350, 450] {
        let arguments = arguments("killed");
        let mut child =
            place.command(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(wait));
        kills += usize::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    run("killed");
    let read = |folder: &str| std::fs::read(place.path(folder).join("adapter_model.safetensors")).unwrap();
    assert_eq!(read("whole"), read("killed"));
    println!("killed {kills} times");
    let steps = |folder: &str| {
        let log = std::fs::read_to_string(place.path(folder).join("run/log.jsonl")).unwrap();
        let bare = |mut row: Value| {
            row.as_object_mut().unwrap().remove("seconds");
            row
        };
        objects(&log).into_iter().map(bare).collect::<Vec<_>>()
    };
    assert_eq!(steps("whole"), steps("killed"));
}

#[test]
fn what_is_not_learnt_is_counted_and_mistakes_are_named() {
    let place = Place::new();
    new_model(&place, "2");
    let rows = [
        json!({"prompt": "Why?", "completion": "So."}),
        json!({"prompt": "Why?", "completion": ""}),
        json!({"prompt": "Why? ".repeat(400), "completion": "So."}),
    ];
    place.write("odd.jsonl", rows.map(|row| row.to_string() + "\n").concat());
    place.ok(&["train", "odd.jsonl", "--model", "model", "-o", "odd", "-q", "--max-tokens", "64"]);
    assert_eq!(report(&place, "odd")["not_used"], json!({"empty_target": 1, "too_long": 1}));
    let error = |args: &[&str], parts: &[&str]| {
        let told = place.told(&[&["train"], args].concat());
        assert!(told.starts_with("exit 2"), "{told}");
        for part in parts {
            assert!(told.contains(part), "`{part}` is not in: {told}");
        }
    };
    error(&["rows.jsonl", "-o", "x"], &["no model is named", "--new-model"]);
    error(&["rows.jsonl", "--model", "model", "-o", "x", "--preset", "bonitto"], &["there is no preset"]);
    error(&["rows.jsonl", "--model", "model", "-o", "x", "--frame", "chat"], &["no chat template"]);
    error(&["rows.jsonl", "--model", "model", "-o", "x", "--method", "dora"], &["no method `dora`"]);
    error(&["rows.jsonl", "--model", "model", "-o", "odd"], &["trained by another recipe", "--overwrite"]);
    error(
        &["rows.jsonl", "--model", "model", "-o", "x", "--learning-rate", "1e30"],
        &["is", "learning rate"],
    );
    place.write("prompts.jsonl", json!({"prompt": "Why?"}).to_string());
    error(&["prompts.jsonl", "--model", "model", "-o", "y"], &["nothing in prompts.jsonl can be learnt"]);
}

#[test]
fn plain_texts_are_learnt_whole() {
    let place = Place::new();
    new_model(&place, "2");
    place.write("notes.txt", "The mill grinds grain while the weir holds back the river. ".repeat(60));
    place.ok(&[
        "train",
        "notes.txt",
        "--preset",
        "tapt",
        "--model",
        "model",
        "-o",
        "tapt",
        "-q",
        "--max-tokens",
        "32",
        "--method",
        "lora",
    ]);
    let told = report(&place, "tapt");
    assert_eq!(told["rows"], 1);
    assert!(told["examples"].as_u64().unwrap() > 10);
    assert_eq!(
        told["tokens"].as_u64().unwrap() - told["examples"].as_u64().unwrap(),
        told["learnt_tokens"].as_u64().unwrap()
    );
}
