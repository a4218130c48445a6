//! `mix`: several datasets to one, in proportions that are given.

use std::collections::BTreeMap;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::kill::{MOMENTS, kill_at_moments};
use crate::support::{Place, assert_closes, bytes, objects};

/// Rows of three sources: 60, 30 and 12 of them, one of the last of no use.
fn sources(place: &Place) {
    let rows = |name: &str, count: usize| -> String {
        let row = |i| json!({"prompt": format!("{name} {i}?"), "completion": format!("{i} of {name}")});
        (0..count).map(|i| format!("{}\n", row(i))).collect()
    };
    place.write("notes.jsonl", rows("notes", 60));
    place.write("forum.jsonl", rows("forum", 30));
    place.write("faq.jsonl", rows("faq", 11) + "{\"prompt\": \"no answer\"}\n");
}

fn rows(place: &Place, path: &str) -> Vec<Value> {
    objects(&std::fs::read_to_string(place.path(path)).unwrap())
}

/// How many rows of each source a mix has.
fn counts(rows: &[Value]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for row in rows {
        let name = row["prompt"].as_str().unwrap().split(' ').next().unwrap().to_owned();
        *counts.entry(name).or_default() += 1;
    }
    counts
}

fn has(counts: &BTreeMap<String, usize>, wanted: [usize; 3]) {
    let found = ["notes", "forum", "faq"].map(|name| counts.get(name).copied().unwrap_or(0));
    assert_eq!(found, wanted);
}

const INPUTS: [&str; 3] = ["notes.jsonl", "forum.jsonl", "faq.jsonl"];

#[test]
fn rows_come_in_the_proportions_that_are_asked_for() {
    let place = Place::new();
    sources(&place);
    let mix = |more: &[&str]| {
        let args = [&["mix"], &INPUTS[..], &["-o", "mixed.jsonl", "--overwrite", "-q"], more].concat();
        place.ok(&args);
        rows(&place, "mixed.jsonl")
    };
    has(&counts(&mix(&["--rows", "20", "--weights", "5,3,2"])), [10, 6, 4]);
    has(&counts(&mix(&["--rows", "20", "--weights", "faq=2,notes=5,forum=3"])), [10, 6, 4]);
    // Alike, and as many as there are without a row twice: the smallest has 11.
    has(&counts(&mix(&[])), [11, 11, 11]);
    has(&counts(&mix(&["--alpha", "1"])), [60, 30, 11]);
    // A remainder's row goes to the first of equal ones.
    has(&counts(&mix(&["--rows", "31", "--alpha", "0"])), [11, 10, 10]);
    let repeated = mix(&["--rows", "60", "--repeat", "--weights", "1,1,2"]);
    has(&counts(&repeated), [15, 15, 30]);
    let mut faq: BTreeMap<String, usize> = BTreeMap::new();
    for row in repeated.iter().filter(|row| row["prompt"].as_str().unwrap().starts_with("faq")) {
        *faq.entry(row["prompt"].to_string()).or_default() += 1;
    }
    // 30 of 11: each twice, and eight a third time.
    assert_eq!((faq.len(), faq.values().filter(|count| **count == 3).count()), (11, 8));
}

#[test]
fn a_mix_is_the_same_on_any_number_of_threads_and_tells_where_rows_came_from() {
    let place = Place::new();
    sources(&place);
    let mix = |output: &str, seed: &str, threads: &str| {
        let first = ["mix", "a=notes.jsonl", "b=forum.jsonl", "--rows", "24", "--weights", "a=3"];
        place.ok(&[&first[..], &["--seed", seed, "--threads", threads, "-o", output, "-q"]].concat());
        bytes(&place.path(output))
    };
    let one = mix("one", "1", "1");
    let again = mix("two", "1", "3");
    let plain = |files: &BTreeMap<String, Vec<u8>>| {
        files
            .iter()
            .filter(|(name, _)| *name != "README.md")
            .map(|(_, bytes)| bytes.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(plain(&one), plain(&again));
    assert_ne!(plain(&one), plain(&mix("three", "2", "1")));
    assert_closes(&place.path("one"));
    let card = String::from_utf8(one["README.md"].clone()).unwrap();
    assert!(
        card.contains("| `a` | 75.0 % | 60 | 18 |") && card.contains("config_name: provenance"),
        "{card}"
    );

    let ids = place.ok(&[
        "convert",
        "one/data/train-00000-of-00001.parquet",
        "--to",
        "prompt-completion",
        "-o",
        "-",
    ]);
    assert_eq!(ids.lines().count(), 24);
    let parquet = place.path("one/provenance/train-00000-of-00001.parquet");
    let provenance: Vec<_> = instil::rows::of_file(&parquet).unwrap().map(Result::unwrap).collect();
    let first = provenance.iter().find(|row| row["dataset"] == "b").unwrap();
    assert!(first["id"].as_str().unwrap().starts_with("b-") && first["source"] == "forum.jsonl");
    let traced: Value =
        serde_json::from_str(&place.ok(&["trace", first["id"].as_str().unwrap(), "one", "--json"])).unwrap();
    assert!(traced["passage"].as_str().unwrap().contains("forum"), "{traced}");
    assert!(traced["prompt"].as_str().unwrap().starts_with("forum"));
    assert_snapshot!(place.told(&[
        "mix",
        "a=notes.jsonl",
        "b=forum.jsonl",
        "--rows",
        "24",
        "--weights",
        "a=3",
        "--seed",
        "1",
        "-o",
        "one"
    ]));
    place.write("forum.jsonl", "{\"prompt\": \"new\", \"completion\": \"row\"}\n");
    assert_snapshot!(place.told(&["trace", first["id"].as_str().unwrap(), "one"]));
}

#[test]
fn tokens_are_counted_by_a_tokenizer() {
    let place = Place::new();
    sources(&place);
    place.add_model();
    let told = place.told(&[
        "mix",
        "notes.jsonl",
        "forum.jsonl",
        "--tokens",
        "200",
        "--tokenizer",
        "model/tokenizer.json",
        "-o",
        "mixed",
        "--json",
        "-q",
    ]);
    let report: Value = serde_json::from_str(told.lines().nth(2).unwrap()).unwrap();
    for name in ["notes", "forum"] {
        let tokens = report["sets"][name]["tokens"].as_u64().unwrap();
        // At most its hundred, and less than the longest row below it.
        assert!((60..=100).contains(&tokens), "{report}");
    }
    assert_closes(&place.path("mixed"));
}

#[test]
fn shapes_and_files_are_those_of_the_other_verbs() {
    let place = Place::new();
    sources(&place);
    place.write("chat.jsonl", "{\"conversations\": [{\"from\": \"human\", \"value\": \"chat 1?\"}, {\"from\": \"gpt\", \"value\": \"yes\"}]}\n");
    for (to, output) in [
        ("messages", "m.parquet"),
        ("sharegpt", "s.jsonl.zst"),
        ("alpaca", "a.csv"),
        ("prompt-completion", "p.json"),
    ] {
        place.ok(&["mix", "notes.jsonl", "chat.jsonl", "--weights", "3,1", "--to", to, "-o", output, "-q"]);
        let found =
            place.ok(&["convert", output, "--from", to, "--to", "prompt-completion", "-o", "-", "-q"]);
        assert_eq!(found.lines().count(), 4, "{to}");
    }
    // A dataset folder of ours is a source, too, and of its splits the one for training.
    place.ok(&["cook", "lookup", "-n", "40", "--validation-rows", "40", "-o", "cooked", "-q"]);
    place.ok(&["mix", "notes.jsonl", "cooked", "--alpha", "1", "-o", "mixed", "-q"]);
    let report: Value =
        serde_json::from_slice(&std::fs::read(place.path("mixed/run/report.json")).unwrap()).unwrap();
    assert_eq!((&report["sets"]["cooked"]["kept"], &report["rows"]), (&json!(40), &json!(100)));
}

#[test]
fn what_can_not_be_mixed_is_named() {
    let place = Place::new();
    sources(&place);
    place.write("chat.jsonl", "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", \"content\": \"b\"}]}\n");
    place.write("none.jsonl", "{\"prompt\": \"no answer\"}\n");
    let mut said = String::new();
    let cases: [&[&str]; 16] = [
        &["mix", "-o", "out"],
        &["mix", "notes.jsonl", "forum.jsonl"],
        &["mix", "notes.jsonl", "gone.jsonl", "-o", "out"],
        &["mix", "notes.jsonl", "notes.jsonl", "-o", "out"],
        &["mix", "notes.jsonl", "-", "-o", "out"],
        &["mix", "notes.jsonl", "forum.jsonl", "--rows", "80", "-o", "out"],
        &["mix", "notes.jsonl", "forum.jsonl", "--rows", "0", "-o", "out"],
        &["mix", "notes.jsonl", "forum.jsonl", "--weights", "1", "-o", "out"],
        &["mix", "notes.jsonl", "forum.jsonl", "--weights", "notess=1", "-o", "out"],
        &["mix", "notes.jsonl", "forum.jsonl", "--weights", "two,1", "-o", "out"],
        &["mix", "notes.jsonl", "forum.jsonl", "--weights", "1,1", "--alpha", "1", "-o", "out"],
        &["mix", "notes.jsonl", "chat.jsonl", "-o", "out"],
        &[
            "mix",
            "notes.jsonl",
            "none.jsonl",
            "--to",
            "prompt-completion",
            "--from",
            "prompt-completion",
            "-o",
            "out",
        ],
        &["mix", "notes.jsonl", "forum.jsonl", "--tokens", "100", "-o", "out"],
        &["mix", "notes.jsonl", "forum.jsonl", "--repeat", "-o", "out"],
        &["mix", "notes.jsonl", "forum.jsonl", "--to", "sharegpt", "-o", "out"],
    ];
    for args in cases {
        said += &format!("$ instil {}\n{}\n\n", args.join(" "), place.told(args));
        assert!(!place.path("out/data").exists());
    }
    assert_snapshot!(said);
}

#[test]
fn a_dry_run_shows_shares_and_a_run_says_what_it_took() {
    let place = Place::new();
    sources(&place);
    let args = [&["mix"], &INPUTS[..], &["--rows", "20", "--weights", "5,3,2", "-o", "mixed"]].concat();
    let dry = place.told(&[&args[..], &["--dry-run"]].concat());
    assert!(!place.path("mixed").exists());
    assert_snapshot!(format!("{dry}\n\n{}\n\n{}", place.told(&args), place.told(&args)));
}

#[test]
fn a_mix_survives_a_kill_at_any_moment() {
    let place = Place::new();
    let rows = |name: &str| -> String {
        (0..6000)
            .map(|i| {
                format!(
                    "{}\n",
                    json!({"prompt": format!("{name} {i}?"), "completion": "x".repeat(i % 90 + 1)})
                )
            })
            .collect()
    };
    place.write("a.jsonl", rows("a"));
    place.write("b.jsonl", rows("b"));
    let run =
        |output| ["mix", "a.jsonl", "b.jsonl", "--weights", "2,1", "--shard-rows", "3000", "-o", output];
    let started = std::time::Instant::now();
    place.ok(&run("straight/out"));
    let whole = started.elapsed();
    let straight = bytes(&place.path("straight/out"));
    let kills = kill_at_moments(&place, "killed/out", &run("killed/out"), whole, || {
        assert!(straight == bytes(&place.path("killed/out")));
        assert!(!place.path("killed/out/run/partial").exists());
    });
    assert!(kills >= MOMENTS / 4, "only {kills} kills came before the end");
}
