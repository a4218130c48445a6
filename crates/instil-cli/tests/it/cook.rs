//! `cook`: whole commands from a seed to files.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::{Place, assert_closes, objects};

fn rows(place: &Place, path: &str) -> Vec<Value> {
    objects(&std::fs::read_to_string(place.path(path)).unwrap())
}

#[test]
fn a_dataset_has_its_templates_in_their_proportions_and_no_prompt_twice() {
    let place = Place::new();
    let told = place.told(&[
        "cook",
        "doc_qa=3",
        "lookup",
        "-n",
        "4000",
        "--validation-rows",
        "300",
        "--test-rows",
        "300",
        "--seed",
        "7",
        "--verify",
        "--set",
        "doc_qa.doc_len=20..30,lookup.pairs=5",
        "-o",
        "out",
    ]);
    assert_snapshot!(told);
    assert_closes(&place.path("out"));
    let card = std::fs::read_to_string(place.path("out/README.md")).unwrap();
    assert!(card.contains("- split: validation") && card.contains("| `lookup` |"), "{card}");
    for split in ["train", "validation", "test"] {
        let file = format!("out/data/{split}-00000-of-00001.parquet");
        place.ok(&["convert", &file, "--to", "messages", "-o", &format!("{split}.jsonl"), "-q"]);
    }
    let mut prompts: Vec<String> = ["train", "validation", "test"]
        .iter()
        .flat_map(|split| rows(&place, &format!("{split}.jsonl")))
        .map(|row| row["messages"][0]["content"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(prompts.len(), 4600);
    prompts.sort_unstable();
    prompts.dedup();
    assert_eq!(prompts.len(), 4600);
}

#[test]
fn threads_and_the_number_of_rows_change_no_row() {
    let place = Place::new();
    let cook = |output: &str, rows: &str, more: &[&str]| {
        let seed = if output == "other.jsonl" { "4" } else { "3" };
        let first = ["cook", "mcqa", "retrieval=2", "--seed", seed, "-q", "-o", output, "-n", rows];
        place.ok(&[&first, more].concat());
        std::fs::read_to_string(place.path(output)).unwrap()
    };
    let one = cook("one.jsonl", "3000", &["--threads", "1"]);
    assert_eq!(one, cook("three.jsonl", "3000", &["--threads", "3"]));
    let few = cook("few.jsonl", "1100", &[]);
    assert!(one.lines().take(1100).eq(few.lines()), "the first rows depend on how many there are");
    let other = cook("other.jsonl", "3000", &[]);
    let lines: std::collections::HashSet<&str> = one.lines().collect();
    assert!(other.lines().all(|line| !lines.contains(line)), "two seeds share a row");
}

#[test]
fn rows_are_texts_conversations_or_ids() {
    let place = Place::new();
    let cook = |format: &str, more: &[&str]| {
        let first = ["cook", "lookup", "-n", "3", "-q", "--overwrite", "-o", "out.jsonl", "--format", format];
        place.ok(&[&first, more].concat());
        rows(&place, "out.jsonl")
    };
    let pairs = cook("prompt-completion", &["--wording", "bare"]);
    let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
    for (pair, one) in pairs.iter().zip(cook("text", &["--wording", "bare"])) {
        assert_eq!(text(&one, "text"), text(pair, "prompt") + &text(pair, "completion"));
    }
    for (pair, one) in pairs.iter().zip(cook("bonito", &["--wording", "bare"])) {
        assert_eq!((&one["input"], &one["output"]), (&pair["prompt"], &pair["completion"]));
    }
    let chat = cook("messages", &[]);
    assert_eq!(chat[0]["messages"][1]["role"], "assistant");
    // A tokenizer of words: each is a token, so that ids can be read back.
    let words: Vec<String> = ('a'..='z').flat_map(|a| ('a'..='z').map(move |b| format!("{a}{b}x"))).collect();
    let mut vocab = serde_json::Map::new();
    for (id, word) in ["?".to_owned(), "<s>".to_owned(), "</s>".to_owned()]
        .into_iter()
        .chain(words.iter().map(|word| format!("▁{word}")))
        .enumerate()
    {
        vocab.insert(word, json!(id));
    }
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [{"id": 2, "content": "</s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}],
        "normalizer": null, "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true},
        "post_processor": null, "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true},
        "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "?"},
    });
    place.write("tokenizer.json", tokenizer.to_string());
    place.write("tokenizer_config.json", r#"{"eos_token": "</s>"}"#);
    let ids = cook("ids", &["--wording", "bare", "--tokenizer", "tokenizer.json"]);
    let texts = cook("prompt-completion", &["--wording", "bare", "--tokenizer", "tokenizer.json"]);
    for (ids, text) in ids.iter().zip(&texts) {
        let list = |key: &str| {
            ids[key].as_array().unwrap().iter().map(|id| id.as_i64().unwrap()).collect::<Vec<_>>()
        };
        let (input, labels) = (list("input_ids"), list("labels"));
        assert_eq!(input.len(), labels.len());
        assert_eq!((*input.last().unwrap(), *labels.last().unwrap()), (2, 2));
        let answer: Vec<String> = labels
            .iter()
            .filter(|label| **label >= 3)
            .map(|label| words[*label as usize - 3].clone())
            .collect();
        assert_eq!(answer.join(" "), text["completion"].as_str().unwrap().trim());
    }
}

#[test]
fn what_cannot_be_made_is_named_before_anything_is_written() {
    let place = Place::new();
    for (name, args) in [
        ("longer", vec!["cook", "doc_qa", "--set", "doc_qa.question_len=500..600", "-o", "out"]),
        ("unknown", vec!["cook", "docqa", "-o", "out"]),
        ("knob", vec!["cook", "doc_qa", "--set", "doc_qa.len=3", "-o", "out"]),
        ("other", vec!["cook", "doc_qa", "--set", "mcqa.options=3", "-o", "out"]),
        ("weight", vec!["cook", "doc_qa=0", "-o", "out"]),
        ("twice", vec!["cook", "doc_qa", "doc_qa", "-o", "out"]),
        ("small_pool", vec!["cook", "mcqa", "--pool-words", "20", "-o", "out"]),
        ("csv", vec!["cook", "mcqa", "-o", "out.csv"]),
        ("ids", vec!["cook", "mcqa", "--format", "ids", "-o", "out"]),
    ] {
        assert_snapshot!(format!("cook_{name}"), place.told(&args));
    }
    assert!(!place.path("out").exists() && !place.path("out.csv").exists());
}

#[test]
fn difficulty_rises_from_the_first_row_to_the_last() {
    let place = Place::new();
    place.ok(&[
        "cook",
        "doc_qa",
        "-n",
        "1000",
        "-q",
        "-o",
        "out.jsonl",
        "--wording",
        "bare",
        "--set",
        "doc_qa.doc_len=20",
        "--until",
        "doc_qa.doc_len=200",
    ]);
    let lengths: Vec<usize> = rows(&place, "out.jsonl")
        .iter()
        .map(|row| row["prompt"].as_str().unwrap().split_whitespace().count())
        .collect();
    assert!(lengths[0] < 40 && lengths[999] > 180, "{} {}", lengths[0], lengths[999]);
    let mean = |range: &[usize]| range.iter().sum::<usize>() / range.len();
    assert!(
        mean(&lengths[..250]) < mean(&lengths[250..750]) && mean(&lengths[250..750]) < mean(&lengths[750..])
    );
}

#[test]
fn a_recipe_makes_the_same_rows_again() {
    let place = Place::new();
    place.ok(&["cook", "matching", "-n", "500", "-q", "-o", "out", "--seed", "9"]);
    place.ok(&["run", "out/run/recipe.toml", "-o", "again", "-q"]);
    let read =
        |folder: &str| std::fs::read(place.path(folder).join("data/train-00000-of-00001.parquet")).unwrap();
    assert_eq!(read("out"), read("again"));
    let told = place.told(&["cook", "matching", "-n", "500", "-o", "out", "--seed", "9"]);
    assert!(told.contains("is finished already"), "{told}");
}

#[test]
fn a_cooked_row_is_traced_to_its_number() {
    let place = Place::new();
    let cook = ["cook", "lookup", "mcqa=2", "-n", "12", "--test-rows", "3", "--seed", "5", "-q", "-o", "out"];
    place.ok(&cook);
    assert_snapshot!(place.told(&["trace", "mcqa-test-1", "out"]));
    assert_snapshot!("no_such_cooked_row", place.told(&["trace", "lookup-900", "out"]));
    // Every row is found under the name of one of the templates, and made again.
    for number in 0..12 {
        let ids = [format!("lookup-{number}"), format!("mcqa-{number}")];
        let found: Vec<Value> = ids
            .iter()
            .map(|id| place.run(&["trace", id, "out", "--json"]))
            .filter(|output| output.status.success())
            .map(|output| serde_json::from_slice(&output.stdout).unwrap())
            .collect();
        assert_eq!(found.len(), 1, "{ids:?}");
        assert_eq!(found[0]["row"]["prompt"], found[0]["prompt"]);
        assert_eq!(found[0]["provenance"]["verified"], true);
    }
}

#[test]
fn a_script_is_checked_and_its_templates_are_listed() {
    let place = Place::new();
    let script =
        std::fs::read_to_string(crate::support::repository().join("recipes/templates/after.star")).unwrap();
    place.write("after.star", &script);
    place.write("wrong.star", script.replace("behind + right]", "behind + right - 1]"));
    assert_snapshot!(place.told(&["check", "after.star"]));
    assert_snapshot!("a_wrong_script", place.told(&["check", "wrong.star"]));
    assert_snapshot!("listed_scripts", place.told(&["list", "templates", "--templates", "after.star"]));
}
