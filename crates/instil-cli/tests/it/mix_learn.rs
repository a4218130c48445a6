//! `mix --learn`: whole runs, from three templates and a small base to a mix and its evidence.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::Place;

const BENCHMARK: &str = "name: colours\nprompts: [{name: p, prompt: '{{ question }}'}]\nchoices: options\n\
                         gold: '{{ gold }}'\nrank: {by: sum}\nmetrics: [accuracy]\n";

/// A small base, and a task of sixty items with three options each.
fn place() -> Place {
    let place = Place::new();
    let config = json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 32, "intermediate_size": 64,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 400,
        "max_position_embeddings": 256, "rms_norm_eps": 1e-5, "tie_word_embeddings": true, "hidden_act": "silu",
        "rope_theta": 10000.0,
    });
    place.write("tiny.json", config.to_string());
    place.ok(&[
        "cook",
        "lookup",
        "last_word",
        "-n",
        "60",
        "--set",
        "lookup.pairs=2,last_word.context_len=40..50",
        "-o",
        "base.jsonl",
        "-q",
    ]);
    place.ok(&["train", "base.jsonl", "--new-model", "tiny.json", "-o", "base", "--steps", "3", "-q"]);
    items(&place, 3);
    place.write("task.yaml", BENCHMARK);
    place
}

/// Items of which so many options in turn are the right one.
fn items(place: &Place, classes: usize) {
    let colours = ["red", "green", "blue", "grey", "white"];
    let item = |i: usize| {
        let options = [0, 1, 2].map(|o| format!("{} {}", colours[(i + o) % 5], colours[(i * 3 + o) % 5]));
        json!({"question": format!("Which, {i}? {}", options[i % classes]), "options": options, "gold": i % classes})
    };
    place.write("task.jsonl", (0..60).map(|i| format!("{}\n", item(i))).collect::<String>());
}

fn learn(sources: &[&str], more: &str, train: &str) -> String {
    let source = |name: &&str| {
        format!(
            "[[source]]\nname = \"{name}\"\ncook = {{ template = [\"{name}\"], wording = \"bare\", set = {{ {} }} }}\n",
            match *name {
                "lookup" => "\"lookup.pairs\" = \"2\"",
                "mcqa" => "\"mcqa.question_len\" = \"10\"",
                "commonsense" => "\"commonsense.goal_len\" = \"6\"",
                _ => "\"last_word.context_len\" = \"40..44\"",
            }
        )
    };
    let sources: String = sources.iter().map(source).collect();
    format!(
        "version = 1\noutput = \"out\"\nbase = \"base\"\ntuning_rows = 48\nrows = 40\nseed = 3\n{more}\n[train]\nmethod = \"full\"\n\
         frame = \"plain\"\nbatch_size = 8\n{train}\n{sources}\n[[task]]\nbenchmark = \"task.yaml\"\ndata = [\"task.jsonl\"]\n\
         items = 40\ntest_items = 20\n"
    )
}

const THREE: [&str; 3] = ["lookup", "mcqa", "commonsense"];
const RATE: &str = "learning_rate = 0.01";

fn evidence(place: &Place) -> Value {
    serde_json::from_slice(&std::fs::read(place.path("out/evidence.json")).unwrap()).unwrap()
}

/// When each file of the runs was written.
fn written(folder: &Path) -> BTreeMap<PathBuf, SystemTime> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "safetensors" || ending == "jsonl") {
                found.insert(path.clone(), std::fs::metadata(&path).unwrap().modified().unwrap());
            }
        }
    }
    found
}

#[test]
fn proportions_are_learnt_without_labels_and_compared_with_the_baselines() {
    let place = place();
    place.write("learn.toml", learn(&THREE, "compare = [1, 2]", RATE));
    place.ok(&["mix", "--learn", "learn.toml", "-q"]);
    let first = evidence(&place);
    let found = &first["evidence"];
    assert_eq!(found["mode"], "label-free");
    let names: Vec<&str> =
        found["mixes"].as_array().unwrap().iter().map(|mix| mix["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["learned", "uniform", "best single", "oracle", "by gain"]);
    for mix in found["mixes"].as_array().unwrap() {
        let sum: f64 = mix["shares"].as_array().unwrap().iter().map(|share| share.as_f64().unwrap()).sum();
        assert!((sum - 1.0).abs() < 1e-9, "{mix}");
    }
    assert_eq!(found["estimated"]["values"].as_array().unwrap().len(), 3);
    assert_eq!(found["compared"].as_array().unwrap().len(), 5);
    assert!(found["notes"][0].as_str().unwrap().contains("don't measure"));
    let page = std::fs::read_to_string(place.path("out/README.md")).unwrap();
    assert!(
        page.contains("## Accuracies by agreement, for ranking alone") && page.contains("plot.svg"),
        "{page}"
    );
    assert!(std::fs::read_to_string(place.path("out/plot.svg")).unwrap().ends_with("</svg>\n"));
    let mixed = std::fs::read_to_string(place.path("out/mix/README.md")).unwrap();
    assert!(mixed.contains("| `lookup` |"), "{mixed}");

    // What is there is not repeated: neither by the same command, nor when a source is added.
    let before = written(&place.path("out/runs"));
    place.ok(&["mix", "--learn", "learn.toml", "-q"]);
    assert_eq!(evidence(&place), first);
    assert_eq!(written(&place.path("out/runs")), before);
    place.write("learn.toml", learn(&["last_word", "lookup", "mcqa", "commonsense"], "", RATE));
    place.ok(&["mix", "--learn", "learn.toml", "-q"]);
    let after = written(&place.path("out/runs"));
    assert!(before.iter().all(|(path, time)| after.get(path) == Some(time)), "a run was repeated");
    // The new source's run and nothing else: a model, its answers, and a log.
    let added: Vec<&PathBuf> = after.keys().filter(|path| !before.contains_key(*path)).collect();
    assert!(
        added.iter().all(|path| path.to_string_lossy().contains("runs/last_word-")) && !added.is_empty(),
        "{added:?}"
    );
    assert_eq!(evidence(&place)["evidence"]["sources"].as_array().unwrap().len(), 4);
}

#[test]
fn labels_and_a_law_are_two_other_modes() {
    let place = place();
    place.write("learn.toml", learn(&THREE, "mode = \"labelled\"", RATE));
    let told: Value =
        serde_json::from_str(&place.ok(&["mix", "--learn", "learn.toml", "-q", "--json"])).unwrap();
    assert!(told["measured"].is_object() && told.get("estimated").is_none(), "{told}");
    place.write("learn.toml", learn(&THREE, "mode = \"law\"\nlaw_runs = 2", RATE));
    let told: Value =
        serde_json::from_str(&place.ok(&["mix", "--learn", "learn.toml", "-q", "--json"])).unwrap();
    assert_eq!(told["law"]["runs"].as_array().unwrap().len(), 5);
}

#[test]
fn a_task_without_labels_is_enough() {
    let place = place();
    place.write("task.yaml", BENCHMARK.replace("gold: '{{ gold }}'\n", "unlabelled: true\n"));
    place.write("learn.toml", learn(&THREE, "compare = [1]", RATE));
    place.ok(&["mix", "--learn", "learn.toml", "-q"]);
    let found = &evidence(&place)["evidence"];
    assert!(
        found["estimated"].is_object() && found.get("measured").is_none() && found.get("compared").is_none()
    );
    assert!(
        found["notes"].as_array().unwrap().iter().any(|note| note.as_str().unwrap().contains("no oracle"))
    );
    assert_snapshot!(place.told(&["eval", "-b", "task.yaml", "--data", "task.jsonl", "--model", "base"]));
}

#[test]
fn a_dry_run_says_what_would_be_run() {
    let place = place();
    place.write("learn.toml", learn(&THREE, "compare = [1, 2]", RATE));
    assert_snapshot!(place.told(&["mix", "--learn", "learn.toml", "--dry-run"]));
    assert!(!place.path("out").exists());
    let look = place.ok(&["check", "learn.toml"]);
    assert!(place.ok(&["mix", "--learn", "learn.toml", "--dry-run"]) == look, "{look}");
}

#[test]
fn what_nothing_can_be_learnt_of_is_explained() {
    let place = place();
    let mut said = String::new();
    let mut tell = |what: &str, text: String| {
        place.write("learn.toml", text);
        said += &format!("# {what}\n{}\n\n", place.told(&["mix", "--learn", "learn.toml", "-q"]));
    };
    tell("two sources", learn(&["lookup", "mcqa"], "", RATE));
    // A rate so low that no answer changes.
    tell("identical answers", learn(&THREE, "", "learning_rate = 1e-30"));
    tell("an unknown key", learn(&THREE, "colour = 1", RATE));
    tell("too few rows", learn(&THREE, "", RATE).replace("items = 40", "items = 400"));
    tell("no test items", learn(&THREE, "compare = [1]", RATE).replace("test_items = 20", "test_items = 0"));
    tell("a floor that is too high", learn(&THREE, "proportions = { floor = 0.5 }", RATE));
    items(&place, 1);
    tell("one class", learn(&THREE, "mode = \"labelled\"", RATE));
    assert_snapshot!(said);
}

#[test]
fn a_run_that_is_killed_goes_on_to_the_same_evidence() {
    let place = place();
    place.write("learn.toml", learn(&THREE, "compare = [1]", RATE));
    let args = |output: &'static str| ["mix", "--learn", "learn.toml", "-q", "-o", output];
    let started = std::time::Instant::now();
    place.ok(&args("straight"));
    let whole = started.elapsed();
    let read = |folder: &str| {
        let text = std::fs::read_to_string(place.path(folder).join("evidence.json")).unwrap();
        text.replace(folder, "OUT")
    };
    let mut kills = 0;
    for moment in 1..8 {
        let mut child =
            place.command(&args("killed")).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(whole * moment / 12 + Duration::from_millis(7));
        kills += u32::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    place.ok(&args("killed"));
    assert!(kills >= 2, "only {kills} kills came before the end");
    assert_eq!(read("straight"), read("killed"));
}

#[test]
fn a_step_of_a_recipe_learns_proportions_and_its_page_goes_where_the_file_says() {
    let place = place();
    place.write("learn.toml", learn(&THREE, "page = \"pages/mix\"", RATE));
    let step = "version = 1\n[[step]]\nverb = \"mix\"\nlearn = \"learn.toml\"\noutput = \"elsewhere\"\n";
    place.write("recipe.toml", step);
    let shown = place.ok(&["check", "recipe.toml"]);
    assert!(shown.contains("tunes `base` on 48 rows of each of 3 sources"), "{shown}");
    place.ok(&["run", "recipe.toml", "-q"]);
    let page = std::fs::read_to_string(place.path("pages/mix/README.md")).unwrap();
    assert!(page.contains("## Proportions"), "{page}");
    assert!(place.path("pages/mix/evidence.json").exists() && place.path("elsewhere/mix/README.md").exists());
    assert!(!place.path("elsewhere/README.md").exists() && !place.path("out").exists());

    place.write("recipe.toml", format!("{step}rows = 7\nalpha = 0.5\n"));
    let told = place.told(&["run", "recipe.toml"]);
    assert!(
        told.contains("a mix that is learnt has no settings but `learn` and `output`: alpha, rows"),
        "{told}"
    );
}
