//! `eval`: benchmarks, asked of models that run here and of recordings.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use serde_json::{Value, json};

use crate::kill::MOMENTS;
use crate::local::model;
use crate::support::{Place, objects, repository};

/// Rows of the shape that Symmetric FEVER has, of words that the random models know.
fn claims(count: usize) -> String {
    let labels = ["REFUTES", "SUPPORTS", "NOT ENOUGH INFO"];
    (0..count)
        .map(|i| {
            let row = json!({
                "claim": format!("The cat {i} sat."),
                "evidence": format!("A cat {} sat on the mat.", i / 2),
                "label": labels[i * 5 % 3],
            });
            format!("{row}\n")
        })
        .collect()
}

/// The report that `--json` prints.
fn numbers(printed: &str) -> Value {
    serde_json::from_str(printed.lines().last().unwrap()).unwrap()
}

fn value(report: &Value, benchmark: &str, metric: &str) -> f64 {
    let reports = report["reports"].as_array().unwrap();
    let report = reports.iter().find(|report| report["benchmark"] == benchmark).unwrap();
    let numbers = report["metrics"].as_array().unwrap();
    numbers.iter().find(|number| number["metric"] == metric).unwrap()["value"].as_f64().unwrap()
}

/// A recording of what is asked, with the right answers or with those of the next question of another answer.
fn recording(place: &Place, name: &str, questions: &[Value], is_right: bool) {
    let lines: String = (0..questions.len())
        .map(|at| {
            let right = &questions[at]["completion"];
            let other =
                (1..questions.len()).map(|step| &questions[(at + step) % questions.len()]["completion"]);
            let other = other.into_iter().find(|other| *other != right).unwrap_or(&Value::Null);
            let completion = if is_right { right } else { other };
            format!("{}\n", json!({"prompt": questions[at]["prompt"], "completion": completion}))
        })
        .collect();
    place.write(name, lines);
}

#[test]
fn items_of_a_model_add_up_to_its_report_and_come_again_from_the_journal() {
    let place = Place::new();
    model(&place, "llama");
    place.write("dev.jsonl", claims(20));
    let args = ["eval", "--benchmark", "vitaminc", "--data", "dev.jsonl", "--model", "model", "-o", "out"];
    let printed = place.ok(&args);
    assert!(printed.contains("vitaminc") && printed.contains("macro_f1"), "{printed}");
    let report: Value = serde_json::from_slice(&fs::read(place.path("out/report.json")).unwrap()).unwrap();
    let items = objects(&fs::read_to_string(place.path("out/items.jsonl")).unwrap());
    assert_eq!(items.len(), 100);
    let right = items.iter().map(|item| item["scores"]["accuracy"].as_f64().unwrap()).sum::<f64>();
    assert!((value(&report, "vitaminc", "accuracy") - right / 100.0).abs() < 1e-12);
    for item in &items {
        let nlls: Vec<f64> =
            item["nll_nats"].as_array().unwrap().iter().map(|nll| nll.as_f64().unwrap()).collect();
        let best = (0..3).min_by(|a, b| nlls[*a].total_cmp(&nlls[*b])).unwrap();
        assert_eq!(item["guess"], best, "{item}");
        assert_eq!(item["scores"]["accuracy"], f64::from(u8::from(item["guess"] == item["gold"])));
    }
    // `score` says the same of a choice: apart, with the end of text.
    let rows = json!({
        "prompt": "Instruct: A cat 0 sat on the mat.\nDoes it follow from this that \"The cat 0 sat.\"? Yes, no, or maybe?\nAnswer:",
        "completion": "No",
    });
    place.write("one.jsonl", rows.to_string());
    let scored = objects(&place.ok(&["score", "one.jsonl", "--model", "model", "--eos", "--apart", "-q"]));
    assert_eq!(scored[0]["nll_nats"], items[0]["nll_nats"][0]);
    // The same command gives the same again; another one is refused, and the numbers are a function of the seed.
    let started = fs::read(place.path("out/items.jsonl")).unwrap();
    assert_eq!(place.ok(&args), printed);
    assert!(started == fs::read(place.path("out/items.jsonl")).unwrap());
    let told = place.told(&[&args[..], &["--limit", "3"]].concat());
    assert!(
        told.starts_with("exit 2") && told.contains("another evaluation") && told.contains("--overwrite"),
        "{told}"
    );
    place.ok(&[&args[..], &["--limit", "3", "--overwrite"]].concat());
    assert_eq!(objects(&fs::read_to_string(place.path("out/items.jsonl")).unwrap()).len(), 15);
}

#[test]
fn an_oracle_gets_1_and_a_shuffled_one_does_not() {
    let place = Place::with_leases();
    place.write("dev.jsonl", claims(30));
    let context = |i: usize| format!("Heron {i} stood at Pine Point in {}.", 1900 + i);
    let questions: Vec<Value> = (0..12)
        .map(|i| json!({"id": i.to_string(), "context": context(i), "question": format!("When did heron {i} stand there?"),
                        "answers": {"text": [format!("in {}", 1900 + i)], "answer_start": [0]}}))
        .collect();
    place.write("xquad_rows.jsonl", questions.iter().map(|row| format!("{row}\n")).collect::<String>());
    let task = json!({
        "Definition": ["Say the colour."], "Categories": ["Question Answering"],
        "Positive Examples": [{"input": "Snow", "output": "white", "explanation": ""}],
        "Instances": [{"id": "a", "input": "Coal", "output": ["black", "dark"]}, {"id": "b", "input": "Grass", "output": ["green"]}],
    });
    place.write("task.json", task.to_string());
    let wino = |i: usize, gold: usize| json!({"context_options": [format!("{i} since tea"), format!("{i} since milk")], "continuation": "was hot.", "gold": gold});
    place.write("wino.jsonl", (0..6).map(|i| format!("{}\n", wino(i, i % 2))).collect::<String>());
    for (benchmark, data, metric) in [
        ("vitaminc", "dev.jsonl", "macro_f1"),
        ("xquad", "xquad_rows.jsonl", "squad_f1"),
        ("super_ni", "task.json", "rouge_l"),
        ("winogrande", "wino.jsonl", "accuracy"),
        ("recipes/leases/benchmark.yaml", "recipes/leases/clauses.jsonl", "accuracy"),
    ] {
        let base = ["eval", "--benchmark", benchmark, "--data", data, "--json", "-q"];
        let questions = objects(&place.ok(&[&base[..], &["--dry-run"]].concat()));
        assert!(!questions.is_empty());
        let mut found = BTreeMap::new();
        for (name, is_right) in [("right.jsonl", true), ("wrong.jsonl", false)] {
            recording(&place, name, &questions, is_right);
            let report = numbers(&place.ok(&[&base[..], &["--replay", name]].concat()));
            let name = report["reports"][0]["benchmark"].as_str().unwrap().to_owned();
            found.insert(is_right, value(&report, &name, metric));
        }
        assert_eq!(found[&true], 1.0, "{benchmark}");
        assert!(found[&false] < 0.7, "{benchmark}: {found:?}");
    }
}

#[test]
fn a_killed_evaluation_goes_on_and_ends_with_the_same_bytes() {
    let place = Place::new();
    model(&place, "llama");
    place.write("dev.jsonl", claims(60));
    let args = |output| ["eval", "-b", "vitaminc", "--data", "dev.jsonl", "--model", "model", "-o", output];
    let started = Instant::now();
    let straight = place.ok(&args("straight"));
    let whole = started.elapsed();
    let items = fs::read(place.path("straight/items.jsonl")).unwrap();
    let mut kills = 0;
    for moment in (0..MOMENTS).step_by(2) {
        let mut child =
            place.command(&args("killed")).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(whole * (moment * 37 + moment % 7) / (MOMENTS * 37));
        kills += u32::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(place.ok(&args("killed")), straight);
        assert!(items == fs::read(place.path("killed/items.jsonl")).unwrap());
        assert!(!place.path("killed/items.partial").exists());
        fs::remove_dir_all(place.path("killed")).unwrap();
    }
    assert!(kills >= MOMENTS / 8, "only {kills} kills came before the end");
}

#[test]
fn what_can_not_be_evaluated_is_told_by_name() {
    let place = Place::with_leases();
    place.write("dev.jsonl", claims(3));
    place.write("other.jsonl", "{\"text\": \"a\"}\n");
    let told = |args: &[&str]| {
        let told = place
            .command(&[&["eval"], args].concat())
            .env("HF_HUB_CACHE", place.path("hub"))
            .output()
            .unwrap();
        let said = String::from_utf8(told.stderr).unwrap();
        assert_eq!(told.status.code(), Some(2), "{said}");
        said
    };
    let has = |told: &str, parts: &[&str]| assert!(parts.iter().all(|part| told.contains(part)), "{told}");
    has(&told(&["-b", "pubmedq", "--model", "m"]), &["no benchmark `pubmedq`", "`pubmedqa`"]);
    has(&told(&["-b", "arc_easy", "--model", "m"]), &["allenai/ai2_arc", "Hub's cache", "--data PATH"]);
    has(
        &told(&["-b", "vitaminc", "--data", "other.jsonl", "--model", "m"]),
        &["no row of `other.jsonl`", "`evidence`"],
    );
    has(&told(&["-b", "vitaminc", "--data", "nowhere", "--model", "m"]), &["nowhere"]);
    has(&told(&["-b", "vitaminc", "--data", "dev.jsonl"]), &["no model is named"]);
    has(
        &told(&["-b", "vitaminc", "--data", "dev.jsonl", "--model", "rules"]),
        &["is about likelihoods", "--in-words"],
    );
    let endpoint =
        ["-b", "vitaminc", "--data", "dev.jsonl", "--endpoint", "http://127.0.0.1:9/v1", "--model", "m"];
    has(&told(&endpoint), &["apart", "--together"]);
    place.write(
        "bad.yaml",
        "prompts: [{name: p, prompt: '{{ a }}'}]\nchoices: [x]\ngold: '0'\nrank: {}\nmetrics: [accurcy]\n",
    );
    has(&told(&["-b", "bad.yaml", "--data", "dev.jsonl", "--model", "m"]), &["bad.yaml", "accurcy"]);
    fs::create_dir_all(place.path("mine")).unwrap();
    place.write("mine/text.txt", "mine");
    place.write("right.jsonl", "");
    let args = ["-b", "vitaminc", "--data", "dev.jsonl", "--replay", "right.jsonl", "-o", "mine"];
    has(&told(&args), &["`mine` is no folder of an evaluation"]);
}

/// What `datasets` or `hf` have fetched is found without asking anybody.
#[test]
fn data_is_found_in_the_hubs_cache() {
    let place = Place::new();
    let folder = place.path("hub/datasets--EleutherAI--lambada_openai");
    fs::create_dir_all(folder.join("refs")).unwrap();
    fs::write(folder.join("refs/main"), "0123abcd").unwrap();
    fs::create_dir_all(folder.join("snapshots/0123abcd/data")).unwrap();
    let questions = |args: &[&str]| {
        let asked = place.command(&[&["eval", "-b", "lambada_openai", "--dry-run", "--json"], args].concat());
        let asked = { asked }.env("HF_HUB_CACHE", place.path("hub")).output().unwrap();
        (asked.status.success(), String::from_utf8([asked.stdout, asked.stderr].concat()).unwrap())
    };
    let (is_found, told) = questions(&[]);
    assert!(!is_found && told.contains("snapshots/0123abcd` has no `default/test-*.parquet`"), "{told}");
    let rows = "{\"text\": \"He drank his tea\"}\n{\"text\": \"She sat on a mat\"}\n";
    fs::write(folder.join("snapshots/0123abcd/data/lambada_test_en.jsonl"), rows).unwrap();
    let (is_found, told) = questions(&[]);
    assert!(is_found, "{told}");
    let questions = objects(&told);
    assert_eq!(questions.len(), 2);
    assert_eq!(
        (&questions[0]["prompt"], &questions[0]["completion"]),
        (&json!("He drank his"), &json!("tea"))
    );
}

/// The commands of the issue, where the real rows and weights lie beside the checkout.
#[test]
fn real_rows_go_the_whole_road() {
    let shared = repository().join("../shared");
    if !shared.join("models/TinyStories-656K").exists() || !shared.join("data").exists() {
        println!("skipped: ../shared isn't there");
        return;
    }
    let place = Place::new();
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let (data, weights) = (text(&shared.join("data")), text(&shared.join("models/TinyStories-656K")));
    for (names, metric, rows) in [
        ("pubmedqa,contractnli,vitaminc", "macro_f1", 12),
        ("policyqa,xquad", "squad_f1", 12),
        ("arc_easy,arc_challenge,hellaswag,openbookqa,piqa", "acc_norm", 4),
        ("boolq,winogrande", "accuracy", 12),
    ] {
        let limit = rows.to_string();
        let args =
            ["eval", "-b", names, "--data", &data, "--model", &weights, "--limit", &limit, "--json", "-q"];
        let report = numbers(&place.ok(&args));
        for name in names.split(',') {
            let found = value(&report, name, metric);
            assert!((0.0..=1.0).contains(&found), "{name}: {found}");
        }
        for report in report["reports"].as_array().unwrap() {
            assert_eq!((&report["items"], &report["rejects"]), (&json!(rows), &json!({})), "{report}");
        }
        // Right answers are right, and other ones aren't.
        let questions = objects(&place.ok(&[
            "eval",
            "-b",
            names,
            "--data",
            &data,
            "--limit",
            &limit,
            "--dry-run",
            "--json",
        ]));
        recording(&place, "right.jsonl", &questions, true);
        recording(&place, "wrong.jsonl", &questions, false);
        let base = ["eval", "-b", names, "--data", &data, "--limit", &limit, "--json", "-q", "--replay"];
        let right = numbers(&place.ok(&[&base[..], &["right.jsonl"]].concat()));
        let wrong = numbers(&place.ok(&[&base[..], &["wrong.jsonl"]].concat()));
        for name in names.split(',') {
            assert_eq!(value(&right, name, metric), 1.0, "{name}");
            assert!(value(&wrong, name, metric) < 0.7, "{name}");
        }
    }
}

/// Six rows: the rule is followed by the right answer of four.
fn overlaps(place: &Place) {
    place.write(
        "overlap.yaml",
        "name: overlap\nprompts: [{name: p, prompt: 'Which? {{ question }}'}]\nchoices: options\ngold: '{{ gold }}'\n\
         rank: {}\nmetrics: [accuracy]\nrules:\n  - {name: shared, follows: most_overlap, of: '{{ question }}'}\n  \
         - {name: other, follows: threshold, of: '{{ question }}', with: '{{ options[0] }}', at: 1, above: 'a tea'}\n",
    );
    let row = |i: usize| {
        let options = [format!("a kettle {i}"), "a tea".to_owned()];
        json!({"question": format!("kettle {i} boils"), "options": options, "gold": usize::from(i > 3)})
    };
    place.write("overlap.jsonl", (0..6).map(|i| format!("{}\n", row(i))).collect::<String>());
}

#[test]
fn rules_of_templates_have_a_ceiling_and_explain_gains() {
    let place = Place::new();
    overlaps(&place);
    let of = ["eval", "-b", "overlap.yaml", "--data", "overlap.jsonl"];
    insta::assert_snapshot!(place.told(&[&of[..], &["--dry-run"]].concat()));
    // The base says the second answer everywhere, the tuned model the first.
    let answers = |name: &str, said: &dyn Fn(usize) -> String| {
        let line = |i| json!({"prompt": format!("Which? kettle {i} boils"), "completion": said(i)});
        place.write(name, (0..6).map(|i| format!("{}\n", line(i))).collect::<String>());
    };
    answers("base.jsonl", &|_| "a tea".to_owned());
    answers("tuned.jsonl", &|i| format!("a kettle {i}"));
    place.ok(&[&of[..], &["--replay", "base.jsonl", "-o", "before", "-q"]].concat());
    let told =
        place.told(&[&of[..], &["--replay", "tuned.jsonl", "--before", "before", "-o", "after"]].concat());
    insta::assert_snapshot!(told);
    let report: Value = serde_json::from_slice(&fs::read(place.path("after/report.json")).unwrap()).unwrap();
    let gain = &report["gains"]["overlap"][0];
    assert_eq!((&gain["explained"]["value"], &gain["turned"]), (&json!(1.0), &json!([4, 2])));
    let alignment = &report["reports"][0]["alignment"][0];
    assert_eq!(alignment["follows"], json!(1.0));
    assert!((alignment["ceiling"].as_f64().unwrap() - 4.0 / 6.0).abs() < 1e-12);
    insta::assert_snapshot!(
        place.told(&[&of[..], &["--replay", "tuned.jsonl", "--before", "gone"]].concat())
    );
}

#[test]
fn each_benchmark_finds_its_own_files_in_several_folders() {
    let place = Place::new();
    for (folder, name) in [("one", "left"), ("two", "right")] {
        std::fs::create_dir(place.path(folder)).unwrap();
        place.write(
            &format!("{folder}/{name}.jsonl"),
            format!("{{\"q\": \"Which side, {name}?\", \"a\": \"{name}\"}}\n"),
        );
        place.write(&format!("{folder}/other.jsonl"), "{\"q\": \"Nothing to do with it?\", \"a\": \"no\"}\n");
        let benchmark = format!(
            "name: {name}\ndata: [{{files: [{name}.jsonl], fields: {{q: q, a: a}}}}]\nprompts: [{{name: p, prompt: '{{{{ q }}}}'}}]\n\
             references: a\ngenerate: {{max_tokens: 4}}\nmetrics: [exact_match]\n"
        );
        place.write(&format!("{name}.yaml"), benchmark);
    }
    let asked = place.ok(&["eval", "-b", "left.yaml,right.yaml", "--data", "one,two", "--dry-run", "--json"]);
    let prompts: Vec<Value> = objects(&asked).into_iter().map(|row| row["prompt"].clone()).collect();
    assert_eq!(prompts, ["Which side, left?", "Which side, right?"]);
    let told = place.told(&["eval", "-b", "left.yaml", "--data", "two", "--dry-run"]);
    assert!(told.contains("the folder `two` has no data of the benchmark `left`"), "{told}");
}
