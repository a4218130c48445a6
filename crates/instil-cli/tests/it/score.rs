//! `score`: rows to how likely their completions are.

use std::process::Stdio;
use std::time::Instant;

use serde_json::Value;

use crate::kill::MOMENTS;
use crate::local::model;
use crate::support::{Place, objects};

/// Rows of words that the random models have tokens for.
fn rows(count: usize) -> String {
    let row = |i: usize| {
        let completion = " the dog sat".repeat(1 + i % 3);
        format!("{{\"id\": \"row {i}\", \"prompt\": \"A cat {i}.\", \"completion\": \"{completion}\"}}\n")
    };
    (0..count).map(row).collect()
}

#[test]
fn rows_are_scored_in_their_order_and_the_sums_are_theirs() {
    let place = Place::new();
    model(&place, "llama");
    place.write("rows.jsonl", rows(150) + "{\"prompt\": \"a\"}\nno json\n");
    let printed = place.ok(&["score", "rows.jsonl", "--model", "model", "-q"]);
    let lines = objects(&printed);
    let ids: Vec<&str> = lines.iter().map(|line| line["id"].as_str().unwrap()).collect();
    assert_eq!(ids, (0..150).map(|i| format!("row {i}")).collect::<Vec<_>>());
    let args =
        ["score", "rows.jsonl", "--model", "model", "-o", "out.jsonl", "--json", "--rejects", "not.jsonl"];
    let summary: Value = serde_json::from_str(&place.ok(&args)).unwrap();
    assert_eq!(std::fs::read_to_string(place.path("out.jsonl")).unwrap(), printed);
    assert!(!place.path("out.jsonl.run").exists());
    let sum = |name: &str| lines.iter().map(|line| line[name].as_f64().unwrap()).sum::<f64>();
    assert_eq!(summary["tokens"].as_f64().unwrap(), sum("tokens"));
    assert_eq!(summary["bytes"].as_f64().unwrap(), sum("bytes"));
    let nats = sum("nll_nats") / sum("tokens");
    assert!((summary["perplexity"].as_f64().unwrap() - nats.exp()).abs() < 1e-9 * nats.exp());
    assert_eq!(summary["rejects"], serde_json::json!({"missing_column": 1, "invalid_json": 1}));
    let rejects = objects(&std::fs::read_to_string(place.path("not.jsonl")).unwrap());
    assert_eq!(rejects[0]["row"], 151);
    // With an end of text there is a token more, and it costs something.
    let ended =
        objects(&place.ok(&["score", "rows.jsonl", "--model", "model", "-q", "--eos", "--limit", "1"]));
    assert_eq!(ended[0]["tokens"].as_u64(), lines[0]["tokens"].as_u64().map(|tokens| tokens + 1));
    assert!(ended[0]["nll_nats"].as_f64() > lines[0]["nll_nats"].as_f64());
}

#[test]
fn a_killed_scoring_goes_on_and_ends_with_the_same_bytes() {
    let place = Place::new();
    model(&place, "llama");
    place.write("rows.jsonl", rows(500));
    let args = |output| ["score", "rows.jsonl", "--model", "model", "-o", output];
    let started = Instant::now();
    place.ok(&args("straight.jsonl"));
    let whole = started.elapsed();
    let straight = std::fs::read(place.path("straight.jsonl")).unwrap();
    let mut kills = 0;
    for moment in 0..MOMENTS {
        let mut child = place.command(&args("killed.jsonl")).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(whole * (moment * 37 + moment % 7) / (MOMENTS * 37));
        kills += u32::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
        // A file that is whole is not made again.
        if !place.path("killed.jsonl").exists() {
            place.ok(&args("killed.jsonl"));
        }
        assert!(straight == std::fs::read(place.path("killed.jsonl")).unwrap());
        std::fs::remove_file(place.path("killed.jsonl")).unwrap();
        let _ = std::fs::remove_dir_all(place.path("killed.jsonl.run"));
    }
    assert!(kills >= MOMENTS / 4, "only {kills} kills came before the end");
}

#[test]
fn what_can_not_be_scored_is_told_by_name() {
    let place = Place::new();
    model(&place, "llama");
    place.write("rows.jsonl", rows(2));
    place.write("other.jsonl", "{\"text\": \"a\", \"label\": 1}\n");
    place.write("there.jsonl", "mine\n");
    let told = |args: &[&str]| {
        let told = place.told(&[&["score"], args].concat());
        assert!(told.starts_with("exit 2"), "{told}");
        told
    };
    let has = |told: &str, parts: &[&str]| assert!(parts.iter().all(|part| told.contains(part)), "{told}");
    has(&told(&["rows.jsonl"]), &["no model is named", "--endpoint"]);
    has(&told(&["rows.jsonl", "--model", "rules"]), &["says nothing of how likely", "--model"]);
    has(&told(&["other.jsonl", "--model", "model"]), &["`prompt`", "`text`, `label`", "convert"]);
    has(&told(&["rows.jsonl", "--model", "model", "-o", "there.jsonl"]), &["there already", "--overwrite"]);
    assert_eq!(std::fs::read_to_string(place.path("there.jsonl")).unwrap(), "mine\n");
    let eos = ["rows.jsonl", "--endpoint", "http://127.0.0.1:9/v1", "--model", "m", "--eos"];
    has(&told(&eos), &["127.0.0.1:9"]);
    let limit =
        place.told(&["score", "other.jsonl", "rows.jsonl", "--model", "model", "--max-drop", "10%", "-q"]);
    assert!(limit.starts_with("exit 1"), "{limit}");
}
