//! Companion files, the inputs of `convert`, and where converted rows came from.

use std::path::Path;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::{Place, assert_closes, objects, repository};

const ALPACA: &str = "{\"instruction\":\"Name a use.\",\"input\":\"A kettle.\",\"output\":\"Tea.\"}\n\
                      {\"instruction\":\"Name a colour.\",\"input\":\"\",\"output\":\"Red.\"}\n";

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn companions_stand_beside_a_file() {
    let place = Place::new();
    place.write("a.jsonl", ALPACA);
    let args = ["convert", "a.jsonl", "--to", "messages", "-o", "out.jsonl", "--companion"];
    assert_snapshot!(place.told(&[&args[..], &["axolotl,llama-factory,trl,lm-eval"]].concat()));
    assert_eq!(
        names(&place.path("")),
        ["a.jsonl", "dataset_info.json", "out.axolotl.yaml", "out.jsonl", "out.lmeval.yaml", "out.trl.py",]
    );
    let read = |name: &str| std::fs::read_to_string(place.path(name)).unwrap();
    assert_snapshot!("axolotl", read("out.axolotl.yaml"));
    assert_snapshot!("llama_factory", read("dataset_info.json"));
    assert_snapshot!("trl", read("out.trl.py"));
    assert_snapshot!("lm_eval", read("out.lmeval.yaml"));
}

#[test]
fn what_no_tool_reads_is_refused_before_anything_is_written() {
    let place = Place::new();
    place.write("a.jsonl", ALPACA);
    assert_snapshot!(place.told(&[
        "convert",
        "a.jsonl",
        "--to",
        "prompt-completion-messages",
        "-o",
        "out.jsonl",
        "--companion",
        "trl,axolotl"
    ]));
    place.told(&["convert", "a.jsonl", "--to", "messages", "-o", "-", "--companion", "trl"]);
    assert_eq!(names(&place.path("")), ["a.jsonl"]);
    assert_snapshot!(
        "unknown",
        place.told(&["convert", "a.jsonl", "--to", "messages", "-o", "b.jsonl", "--companion", "axolot"])
    );
}

#[test]
fn a_dataset_that_is_there_gets_companions_too() {
    let place = Place::new();
    place.write("p.jsonl", "{\"prompt\":\"a\",\"chosen\":\"b\",\"rejected\":\"c\"}\n");
    assert_snapshot!(place.told(&["companion", "p.jsonl", "--for", "trl", "--print"]));
    assert_eq!(names(&place.path("")), ["p.jsonl"]);
    place.write("s.jsonl", "{\"prompt\":\"a\",\"completions\":[\"b\"],\"labels\":[true]}\n");
    assert_snapshot!("all_that_can", place.told(&["companion", "s.jsonl"]));
    assert_eq!(names(&place.path("")), ["p.jsonl", "s.axolotl.yaml", "s.jsonl"]);
}

#[test]
fn a_folder_that_instil_wrote_is_read_and_has_companions() {
    let place = Place::with_examples();
    place.ok(&["generate", "examples/", "-o", "out", "--companion", "trl,llama-factory,axolotl", "-q"]);
    assert_eq!(
        names(&place.path("out")),
        ["README.md", "axolotl.yaml", "data", "dataset_info.json", "provenance", "run", "train_trl.py"]
    );
    // Its messages are a list of structs in Parquet; its ids go along where the shape has a place for them.
    place.ok(&["convert", "out", "--to", "sharegpt", "-o", "rows.jsonl.zst", "-q"]);
    let rows = objects(&place.ok(&["convert", "rows.jsonl.zst", "--to", "sharegpt", "-o", "-", "-q"]));
    let report: Value =
        serde_json::from_slice(&std::fs::read(place.path("out/run/report.json")).unwrap()).unwrap();
    assert_eq!(rows.len() as u64, report["rows"].as_u64().unwrap());
    assert_eq!(rows[0]["id"].as_str().unwrap().len(), 16);
    assert_eq!(rows[0]["conversations"][0]["from"], "human");
    // The same folder without its run, as it comes from the Hub, and its shards by a pattern.
    std::fs::remove_dir_all(place.path("out/run")).unwrap();
    for input in ["out", "out/data/train-*.parquet"] {
        let again = objects(&place.ok(&["convert", input, "--to", "sharegpt", "-o", "-", "-q"]));
        assert_eq!(again, rows);
    }
}

#[test]
fn a_folder_of_files_is_read_without_what_speaks_of_them() {
    let place = Place::new();
    std::fs::create_dir_all(place.path("set/data")).unwrap();
    place.write("set/README.md", "# A set");
    place.write("set/dataset_info.json", "{\"features\": {}}");
    place.write("set/data/a.jsonl", ALPACA);
    let array: Vec<Value> = objects(ALPACA);
    place.write("set/data/b.json", json!(array).to_string());
    place.ok(&["convert", "set", "--to", "messages", "-o", "out.jsonl", "--keep-run", "-q"]);
    std::fs::create_dir_all(place.path("closed/run")).unwrap();
    std::fs::copy(place.path("out.jsonl.run/report.json"), place.path("closed/run/report.json")).unwrap();
    assert_closes(&place.path("closed"));
    let report: Value =
        serde_json::from_slice(&std::fs::read(place.path("out.jsonl.run/report.json")).unwrap()).unwrap();
    assert_eq!(report["stages"][0]["rejects"], json!({}));
    assert_eq!(report["rows"], 4);

    std::fs::create_dir(place.path("saved")).unwrap();
    place.write("saved/state.json", "{}");
    place.write("saved/data-00000-of-00001.arrow", "");
    assert_snapshot!(place.told(&["convert", "saved", "--to", "messages", "-o", "b.jsonl"]));
}

#[test]
fn a_converted_row_is_traced_to_the_row_it_was() {
    let place = Place::new();
    place.write("a.jsonl", format!("{}nonsense\n{ALPACA}", ALPACA.lines().next().unwrap().to_owned() + "\n"));
    place.ok(&["convert", "a.jsonl", "--to", "sharegpt", "-o", "out.jsonl", "--keep-run", "-q"]);
    assert_snapshot!("stats", place.told(&["stats", "out.jsonl"]));
    let ids: Vec<String> = instil::rows::of_file(&place.path("out.jsonl.run/provenance.parquet"))
        .unwrap()
        .map(|row| row.unwrap()["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), 3);
    let trace: Value = serde_json::from_str(&place.ok(&["trace", &ids[2], "out.jsonl", "--json"])).unwrap();
    assert_eq!(trace["provenance"]["row"], 4);
    assert_eq!(trace["provenance"]["source"], "a.jsonl");
    assert_eq!(trace["row"]["conversations"][1]["value"], "Red.");
    assert!(trace["passage"].as_str().unwrap().contains("Name a colour."));
    assert_snapshot!(place.told(&["trace", &ids[1], "out.jsonl"]));
    // A source that has changed is noticed.
    place.write("a.jsonl", ALPACA.replace("Tea", "Soup").repeat(3));
    assert_snapshot!("changed", place.told(&["trace", &ids[1], "out.jsonl"]));
}

#[test]
fn stats_know_rows_of_every_shape() {
    let place = Place::new();
    place.write("p.jsonl", "{\"prompt\":\"a\",\"chosen\":\"bb\",\"rejected\":\"c\"}\n");
    let stats: Value = serde_json::from_str(&place.ok(&["stats", "p.jsonl", "--json"])).unwrap();
    assert_eq!((&stats["prompt_chars"]["max"], &stats["completion_chars"]["max"]), (&json!(1), &json!(2)));
    place.write("t.jsonl", "{\"text\":\"abc\"}\n");
    let stats: Value = serde_json::from_str(&place.ok(&["stats", "t.jsonl", "--json"])).unwrap();
    assert_eq!((&stats["prompt_chars"]["max"], &stats["completion_chars"]["max"]), (&json!(0), &json!(3)));
}

/// Files and folders of `../shared/data` with the shape of their rows.
const REAL: &[(&str, &str)] = &[
    ("superni/tasks", "super-ni"),
    ("p3_t0_samples", ""),
    ("ni_style_sets", ""),
    ("flan/cot_data", ""),
    ("gpt4all_suite/train_instruction_form", ""),
    ("medquad", ""),
];

#[test]
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn real_sets_are_converted_and_the_ledger_closes() {
    let data = repository().join("../shared/data");
    if !data.is_dir() {
        eprintln!("skipped: there is no ../shared/data");
        return;
    }
    let place = Place::new();
    for (set, shape) in REAL {
        let input = data.join(set);
        let out = format!("{}.jsonl", set.replace('/', "-"));
        let mut args =
            vec!["convert", input.to_str().unwrap(), "--to", "messages", "-o", &out, "--keep-run", "-q"];
        if !shape.is_empty() {
            args.extend(["--from", shape]);
        }
        place.ok(&args);
        let run = place.path(&format!("{out}.run"));
        std::fs::create_dir_all(place.path("closed/run")).unwrap();
        std::fs::copy(run.join("report.json"), place.path("closed/run/report.json")).unwrap();
        assert_closes(&place.path("closed"));
        let report: Value = serde_json::from_slice(&std::fs::read(run.join("report.json")).unwrap()).unwrap();
        let written = std::fs::read_to_string(place.path(&out)).unwrap().lines().count() as u64;
        assert_eq!(report["rows"], written, "{set}");
        assert!(written > 100, "{set}: {report}");
    }
}
