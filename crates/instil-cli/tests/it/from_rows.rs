//! `apply` and `remix`: whole commands over rows and templates of our own.

use std::collections::{BTreeMap, BTreeSet};

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::{Place, assert_closes, bytes, objects};

const ROWS: &str = "recipes/leases/clauses.jsonl";
const TEMPLATES: &str = "recipes/leases/templates.yaml";

/// So many rows with passages of which each stands in three of them.
fn many(place: &Place, rows: usize) {
    let lines: Vec<String> = (0..rows)
        .map(|row| {
            let clause = format!("Clause {} obliges the {}th party.", row / 3, row / 3);
            json!({"clause": clause, "question": format!("Who is obliged by {row}?"), "answer": "the party", "topic": row % 9})
                .to_string()
        })
        .collect();
    place.write("many.jsonl", lines.join("\n"));
}

fn ledger(place: &Place, output: &str) -> Value {
    serde_json::from_slice(&std::fs::read(place.path(output).join("run/report.json")).unwrap()).unwrap()
}

#[test]
fn apply_puts_each_row_into_a_template() {
    let place = Place::with_leases();
    assert_snapshot!(place.told(&["apply", ROWS, "--templates", TEMPLATES, "-o", "out"]));
    assert_closes(&place.path("out"));
    assert_snapshot!(place.ok(&[
        "apply",
        ROWS,
        "--templates",
        TEMPLATES,
        "--limit",
        "2",
        "--template",
        "all",
        "-o",
        "-",
        "-q"
    ]));
}

#[test]
fn remix_turns_templates_inside_out() {
    let place = Place::with_leases();
    let args = ["remix", ROWS, "--templates", TEMPLATES, "--limit", "3", "-o", "-", "-q"];
    assert_snapshot!(place.ok(&args));
    let published = place.ok(&[&args[..], &["--format", "ctga"]].concat());
    let columns: BTreeSet<String> =
        objects(&published)[0].as_object().unwrap().keys().map(ToOwned::to_owned).collect();
    let expected =
        ["context", "dataset", "dataset_config", "input", "output", "task_input", "task_output", "task_type"];
    assert_eq!(columns, expected.map(str::to_owned).into());
}

#[test]
fn remix_lists_templates_and_why_others_are_not_used() {
    let place = Place::with_leases();
    assert_snapshot!(place.told(&["remix", "--list", "--templates", TEMPLATES]));
    let listed = objects(&place.ok(&["remix", "--list", "--templates", TEMPLATES, "--json"]));
    assert_eq!(listed.len(), 3);
    assert_eq!(listed[0]["kind"], "exqa");
    place.write("plain.yaml", "name: plain\ntask: qa\njinja: 'Say {{a}} ||| {{b}}'\n");
    assert_snapshot!(place.told(&["remix", "--list", "--templates", "plain.yaml", "-v"]));
    assert_snapshot!(place.told(&["list", "templates", "--templates", TEMPLATES]));
}

#[test]
fn the_same_bytes_for_any_number_of_threads_and_after_a_second_start() {
    let place = Place::with_leases();
    many(&place, 2000);
    let make = |output: &str, more: &[&str]| {
        let args = ["remix", "many.jsonl", "--templates", TEMPLATES, "-o", output, "-q", "--shuffle"];
        place.ok(&[
            &args[..],
            &["--split", "validation=20%", "--cap", "1500", "--weight", "leases=1.5"],
            more,
        ]
        .concat());
        let mut bytes = bytes(&place.path(output));
        // The card says the folder's name.
        bytes.remove("README.md");
        bytes
    };
    let once = make("one", &["--threads", "1"]);
    assert_eq!(once, make("two", &["--threads", "2"]));
    assert_eq!(once, make("one", &["--threads", "3"]), "a finished run is left alone");
    assert_ne!(once, make("other", &["--seed", "1"]));
    assert_closes(&place.path("two"));
    place.ok(&["run", "one/run/recipe.toml", "-o", "again", "-q"]);
    let mut again = bytes(&place.path("again"));
    again.remove("README.md");
    assert_eq!(once, again);
}

#[test]
fn caps_and_weights_are_met_and_counted() {
    let place = Place::with_leases();
    many(&place, 900);
    place.ok(&[
        "apply",
        "many.jsonl",
        "--templates",
        TEMPLATES,
        "-o",
        "out",
        "-q",
        "--cap",
        "300",
        "--weight",
        "leases=2",
    ]);
    let report = ledger(&place, "out");
    assert_eq!(report["rows"], 600);
    assert_eq!(report["sets"]["leases"]["rows"], 900);
    assert_eq!(report["sets"]["leases"]["rejects"]["not_drawn"], 600);
    assert_closes(&place.path("out"));
    let none =
        place.told(&["apply", "many.jsonl", "--templates", TEMPLATES, "-o", "none", "--weight", "leese=2"]);
    assert_snapshot!(none);
}

#[test]
fn no_passage_is_on_both_sides_of_a_split() {
    let place = Place::with_leases();
    many(&place, 1500);
    for verb in ["apply", "remix"] {
        let args = [verb, "many.jsonl", "--templates", TEMPLATES, "--template", "all", "-o", verb, "-q"];
        place.ok(&[&args[..], &["--split", "validation=10%,test=5%"]].concat());
        let mut sides: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
        let mut rows = BTreeMap::new();
        for split in ["train", "validation", "test"] {
            let file = place.path(verb).join(format!("data/{split}-00000-of-00001.parquet"));
            for row in instil::rows::of_file(&file).unwrap() {
                let text = serde_json::to_string(&row.unwrap()).unwrap();
                let from = text.find("Clause ").unwrap();
                let passage = &text[from..from + text[from..].find(" obliges").unwrap()];
                sides.entry(passage.to_owned()).or_default().insert(split);
                *rows.entry(split).or_insert(0) += 1;
            }
        }
        assert_eq!(sides.len(), 500);
        assert!(sides.values().all(|sides| sides.len() == 1), "{verb}: {sides:?}");
        assert_eq!(rows.values().sum::<i32>(), 4500);
        assert!((300..600).contains(&rows["validation"]), "{rows:?}");
    }
}

#[test]
fn a_row_that_does_not_fit_is_rejected_by_name() {
    let place = Place::with_leases();
    let rows = [
        json!({"clause": "A.", "question": "B?", "answer": "C", "topic": 1}).to_string(),
        json!({"clause": "A.", "question": "B?", "topic": 1}).to_string(),
        json!({"clause": "A.", "question": null, "answer": "C"}).to_string(),
        json!({"clause": "A.", "question": "B?", "answer": "", "topic": 1}).to_string(),
        json!({"clause": "A {{context}}.", "question": "B?", "answer": "C", "topic": 1}).to_string(),
        json!({"clause": "", "question": "B?", "answer": "C", "topic": 1}).to_string(),
        "nonsense".to_owned(),
        "[1]".to_owned(),
    ];
    place.write("rows.jsonl", rows.join("\n"));
    let reasons = |verb: &str, template: &str| -> Vec<String> {
        let args = [verb, "rows.jsonl", "--templates", TEMPLATES, "--template", template, "-o", "out", "-q"];
        place.ok(&[&args[..], &["--rejects", "rejects.jsonl", "--overwrite"]].concat());
        assert_closes(&place.path("out"));
        let rejects = objects(&std::fs::read_to_string(place.path("rejects.jsonl")).unwrap());
        rejects
            .iter()
            .map(|reject| format!("{} {}", reject["row"], reject["reason"].as_str().unwrap()))
            .collect()
    };
    assert_eq!(
        reasons("apply", "ask about a clause"),
        ["2 missing_field", "3 missing_field", "4 empty_response", "7 invalid_json", "8 invalid_json"]
    );
    assert_eq!(
        reasons("remix", "ask about a clause"),
        [
            "2 missing_field",
            "3 missing_field",
            "4 empty_response",
            "5 marker_in_row",
            "6 no_passage",
            "7 invalid_json",
            "8 invalid_json"
        ]
    );
}

#[test]
fn mistakes_name_place_cause_and_way_out() {
    let place = Place::with_leases();
    place.write(
        "filter.yaml",
        "name: shout\ntask: qa\njinja: |\n  {{clause}}\n  Q: {{ question | uper }}\n  ||| {{answer}}\n",
    );
    place.write("syntax.yaml", "name: open\njinja: '{{ clause ||| {{answer}}'\n");
    place.write("shape.yaml", "- 1\n- 2\n");
    place.write(
        "lost.yaml",
        "name: lost\ntask: qa\ncontext: '{{paragraph}}'\njinja: '{{clause}} {{question}} ||| {{answer}}'\n",
    );
    place.write("unknown.yaml", "name: unknown\njinja: '{{clause}} {{quesstion}} ||| {{answer}}'\n");
    let say = |args: &[&str]| {
        let told = place.told(args);
        assert!(!place.path("out").exists(), "{told}");
        told
    };
    assert_snapshot!("undefined_filter", say(&["apply", ROWS, "--templates", "filter.yaml", "-o", "out"]));
    assert_snapshot!("check_undefined_filter", say(&["check", "filter.yaml"]));
    assert_snapshot!("broken_syntax", say(&["apply", ROWS, "--templates", "syntax.yaml", "-o", "out"]));
    assert_snapshot!("another_shape", say(&["apply", ROWS, "--templates", "shape.yaml", "-o", "out"]));
    assert_snapshot!("lost_context", say(&["remix", ROWS, "--templates", "lost.yaml", "-o", "out"]));
    assert_snapshot!("check_lost_context", say(&["check", "lost.yaml"]));
    assert_snapshot!("no_templates", say(&["apply", ROWS, "-o", "out"]));
    assert_snapshot!(
        "no_such_template",
        say(&["apply", ROWS, "--templates", TEMPLATES, "--template", "ask a clause", "-o", "out"])
    );
    assert_snapshot!(
        "no_such_dataset",
        say(&["apply", ROWS, "--templates", TEMPLATES, "--dataset", "lease", "-o", "out"])
    );
    assert_snapshot!(
        "split_into_a_file",
        say(&["apply", ROWS, "--templates", TEMPLATES, "--split", "test=10%", "-o", "out.jsonl"])
    );
    assert_snapshot!(
        "ctga_by_apply",
        say(&["apply", ROWS, "--templates", TEMPLATES, "--format", "ctga", "-o", "out"])
    );
    assert_snapshot!("text_is_no_rows", {
        place.write("a.txt", "text");
        say(&["apply", "a.txt", "--templates", TEMPLATES, "-o", "out"])
    });
    // A variable that no row has is found row by row, and every one of them says so.
    assert_snapshot!(
        "unknown_variable",
        place.told(&["apply", ROWS, "--templates", "unknown.yaml", "-o", "out"])
    );
}

#[test]
fn a_dry_run_shows_examples_and_writes_nothing() {
    let place = Place::with_leases();
    assert_snapshot!(place.told(&["remix", ROWS, "--templates", TEMPLATES, "--dry-run"]));
    assert!(!place.path("out").exists());
}

#[test]
fn a_recipe_of_two_verbs_is_checked_and_run() {
    let place = Place::with_leases();
    let recipe = format!(
        "version = 1\n[[step]]\nverb = 'apply'\ninput = ['{ROWS}']\ntemplates = ['{TEMPLATES}']\noutput = 'applied'\n\
         [[step]]\nverb = 'remix'\ninput = ['{ROWS}']\ntemplates = ['{TEMPLATES}']\noutput = 'remixed'\nshuffle = true\n"
    );
    place.write("recipe.toml", &recipe);
    place.ok(&["check", "recipe.toml"]);
    place.ok(&["run", "recipe.toml", "-q"]);
    assert_eq!(ledger(&place, "applied")["rows"], 12);
    assert_eq!(ledger(&place, "remixed")["rows"], 12);
    place.write("wrong.toml", recipe.replace("shuffle", "shufle"));
    assert_snapshot!(place.told(&["check", "wrong.toml"]));
}

#[test]
fn the_way_of_a_row_is_gone_again() {
    let place = Place::with_leases();
    let args =
        ["remix", ROWS, "--templates", TEMPLATES, "-o", "out", "-q", "--weight", "leases=2", "--shuffle"];
    place.ok(&args);
    let shard = place.path("out/provenance/train-00000-of-00001.parquet");
    let rows: Vec<_> = instil::rows::of_file(&shard).unwrap().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 24);
    for row in &rows {
        let id = row["id"].as_str().unwrap();
        let trace: Value = serde_json::from_str(&place.ok(&["trace", id, "out", "--json"])).unwrap();
        assert_eq!(trace["row"]["prompt"], trace["prompt"], "{id}");
        assert_eq!(trace["row"]["completion"], trace["completion"], "{id}");
    }
    let first = rows[0]["id"].as_str().unwrap();
    assert_snapshot!(place.told(&["trace", first, "out"]));
    place.write("recipes/leases/clauses.jsonl", "{\"clause\": \"Other.\"}\n");
    assert_snapshot!(place.told(&["trace", first, "out"]));
}

/// The recipe that makes a small training set out of the public sets, with fewer rows of each, twice.
#[test]
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn the_recipe_of_the_public_sets_makes_the_same_bytes_twice() {
    let repository = crate::support::repository();
    if !repository.join("../shared/data/promptsource").is_dir() {
        eprintln!("skipped: the public sets are not beside the repository");
        return;
    }
    let place = Place::new();
    let recipe = std::fs::read_to_string(repository.join("recipes/ctga-small.toml")).unwrap();
    let recipe = recipe
        .replace("\"../shared", &format!("\"{}/../shared", repository.display()))
        .replace("\"recipes/", &format!("\"{}/recipes/", repository.display()))
        .replace("cap = 2000", "limit = 60\ncap = 50");
    place.write("recipe.toml", recipe);
    let mut made = Vec::new();
    for (output, threads) in [("one", "1"), ("two", "2")] {
        place.ok(&["run", "recipe.toml", "-o", output, "--threads", threads, "-q"]);
        assert_closes(&place.path(output));
        let card = std::fs::read_to_string(place.path(output).join("README.md")).unwrap();
        assert!(
            card.contains("| `super_glue/rte` |") && card.contains("| extractive question answering |"),
            "{card}"
        );
        let mut bytes = bytes(&place.path(output));
        bytes.remove("README.md");
        made.push(bytes);
    }
    assert!(made[0] == made[1]);
    assert!(ledger(&place, "one")["rows"].as_u64().unwrap() > 500);
}

#[test]
fn a_field_that_is_printed_only_if_it_is_there_may_be_missing_and_a_label_may_not() {
    let place = Place::new();
    place.write("rows.jsonl", "{\"text\": \"A heron.\", \"title\": null}\n{\"text\": \"A stork.\", \"title\": \"Birds\", \"label\": 0}\n");
    place.write(
        "templates.yaml",
        "templates:\n\
         - {name: optional, jinja: '{% if title %}{{title}}: {% endif %}{{text}} ||| yes'}\n\
         - {name: needed, jinja: '{{text}} ||| {% if label %}yes{% else %}no{% endif %}'}\n",
    );
    let made = |template: &str| {
        let out = place.ok(&[
            "apply",
            "rows.jsonl",
            "--templates",
            "templates.yaml",
            "--template",
            template,
            "-o",
            "-",
            "-q",
        ]);
        objects(&out)
            .iter()
            .map(|row| row["messages"][0]["content"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(made("optional"), ["A heron.", "Birds: A stork."]);
    assert_eq!(made("needed"), ["A stork."]);
}

#[test]
fn rows_that_no_template_fits_count_against_max_drop() {
    let place = Place::with_leases();
    place.write("typo.yaml", "name: typo\njinja: '{{clause}} {{quesstion}} ||| {{answer}}'\n");
    let run = place.run(&["apply", ROWS, "--templates", "typo.yaml", "-o", "out", "--max-drop", "5%"]);
    assert_eq!(run.status.code(), Some(1));
}

/// Found by a first user: `--rejects` emptied the file that was to be read, and `-o` replaced it.
#[test]
fn what_is_read_is_never_written() {
    let place = Place::with_leases();
    let before = std::fs::read(place.path(ROWS)).unwrap();
    for more in [
        ["-o", "out", "--rejects", ROWS],
        ["-o", ROWS, "--overwrite", "-q"],
        ["-o", "out.jsonl", "--rejects", "out.jsonl"],
    ] {
        let told = place.told(&[&["apply", ROWS, "--templates", TEMPLATES][..], &more].concat());
        assert!(told.starts_with("exit 2"), "{told}");
        assert_eq!(std::fs::read(place.path(ROWS)).unwrap(), before, "{told}");
        assert!(!place.path("out.jsonl").exists());
    }
}

/// Found by a first user: the longest text of each row was taken for its passage, and of some rows that is
/// the question.
#[test]
fn the_passage_of_a_split_is_the_one_that_the_templates_name() {
    let place = Place::new();
    place.write("pairs.yaml", "name: pair\ntask: nli\ncontext: '{{premise}}'\njinja: '{{premise}} So {{hypothesis}}? ||| {{answer}}'\n");
    let rows = (0..600).map(|row| {
        let longer = "and that is a longer text ".repeat(row % 3);
        json!({"hypothesis": format!("row {row} {longer}"), "premise": format!("Premise {}", row / 3), "answer": "yes"}).to_string()
    });
    place.write("rows.jsonl", rows.collect::<Vec<_>>().join("\n"));
    place.ok(&["apply", "rows.jsonl", "--templates", "pairs.yaml", "-o", "out", "-q", "--split", "test=30%"]);
    let mut sides: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for split in ["train", "test"] {
        let file = place.path("out").join(format!("data/{split}-00000-of-00001.parquet"));
        for row in instil::rows::of_file(&file).unwrap() {
            let (prompt, _) = instil::rows::prompt_and_completion(&row.unwrap()).unwrap();
            sides.entry(prompt.split(" So ").next().unwrap().to_owned()).or_default().insert(split);
        }
    }
    assert_eq!(sides.len(), 200);
    assert!(sides.values().all(|sides| sides.len() == 1), "{sides:?}");
}

#[test]
fn what_comes_again_is_dropped_by_name_and_not_under_reference() {
    let place = Place::with_leases();
    let row = json!({"clause": "A.", "question": "B?", "answer": "C", "topic": 1}).to_string();
    place.write("rows.jsonl", [row.as_str(); 5].join("\n"));
    let args =
        ["apply", "rows.jsonl", "--templates", TEMPLATES, "--template", "ask about a clause", "-q", "-o"];
    place.ok(&[&args[..], &["out"]].concat());
    assert_eq!(ledger(&place, "out")["sets"]["leases"]["rejects"]["duplicate"], 4);
    assert_closes(&place.path("out"));
    place.ok(&[&args[..], &["published", "--reference"]].concat());
    assert_eq!(ledger(&place, "published")["rows"], 5);
    // A weight asks for the row again.
    place.ok(&[&args[..], &["thrice", "--limit", "1", "--weight", "leases=3"]].concat());
    assert_eq!(ledger(&place, "thrice")["rows"], 3);
}

#[test]
fn another_task_or_passage_of_a_template_is_another_run() {
    let place = Place::with_leases();
    let text = std::fs::read_to_string(place.path(TEMPLATES)).unwrap();
    let args = ["remix", ROWS, "--templates", TEMPLATES, "-o", "out"];
    place.ok(&args);
    assert!(place.told(&args).contains("is finished already"));
    place.write(TEMPLATES, text.replace("task: exqa", "task: qa"));
    assert!(!place.told(&args).contains("is finished already"));
}

#[test]
fn a_broken_template_stops_remix_too() {
    let place = Place::with_leases();
    place.write(
        "two.yaml",
        "templates:\n- {name: good, task: qa, context: '{{clause}}', jinja: '{{clause}} {{question}} ||| {{answer}}'}\n\
         - {name: bad, task: qa, context: '{{clause}}', jinja: '{{clause}} {{question | uper}} ||| {{answer}}'}\n",
    );
    assert_snapshot!(place.told(&["remix", ROWS, "--templates", "two.yaml", "-o", "out"]));
    place.write("heavy.yaml", "name: heavy\njinja: '{{clause}} ||| {{ \"%1000000000000s\" % answer }}'\n");
    place.ok(&["apply", ROWS, "--templates", "heavy.yaml", "-o", "heavy", "-q"]);
    assert_eq!(ledger(&place, "heavy")["sets"]["heavy"]["rejects"]["not_rendered"], 12);
    let told = place.told(&["apply", ROWS, "--templates", TEMPLATES, "-o", "out", "--weight", "leases=1e12"]);
    assert!(told.starts_with("exit 2"), "{told}");
}

#[test]
fn a_template_that_nothing_came_of_is_told() {
    let place = Place::with_leases();
    many(&place, 200);
    place.write(
        "two.yaml",
        "templates:\n- {name: good, jinja: '{{clause}} {{question}} ||| {{answer}}'}\n\
         - {name: typo, jinja: '{{clause}} {{questoin}} ||| {{answer}}'}\n",
    );
    assert_snapshot!(place.told(&["apply", "many.jsonl", "--templates", "two.yaml", "-o", "out"]));
}
