//! `unify` as a user meets it: rows of several styles in, rows of one out.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Place, objects};

const READING: &str = "Read the passage and answer the question.\n\nPassage: {p}\nQuestion: {q}\nAnswer:";
const SAME: &str = "{p}\n{q}\nDo these two sentences say the same? Answer yes or no.\n";

/// Rows of a template with contents that differ, the answers as a cycle.
fn rows(task: Option<&str>, template: &str, answers: &[&str], many: usize) -> Vec<Value> {
    let words = [
        "kettle", "harbour", "seven", "Velorin", "slowly", "the", "lamp", "walked", "no", "under", "rose",
        "of", "grey",
    ];
    let text = |row: usize, salt: usize| {
        let word = |at: usize| words[(row * row * 7 + at * (salt + row % 5) + salt) % words.len()];
        (0..4 + row % 3).map(word).collect::<Vec<_>>().join(" ") + &format!(" {row}")
    };
    (0..many)
        .map(|row| {
            let prompt = template.replace("{p}", &text(row, 3)).replace("{q}", &text(row, 11));
            let mut fields = json!({"prompt": prompt, "completion": answers[row % answers.len()]});
            if let Some(task) = task {
                fields["task"] = task.into();
            }
            fields
        })
        .collect()
}

fn write(place: &Place, name: &str, rows: &[Value]) {
    let lines: Vec<String> = rows.iter().map(|row| format!("{row}\n")).collect();
    fs::write(place.path(name), lines.concat()).unwrap();
}

fn read(place: &Place, name: &str) -> Vec<Value> {
    objects(&fs::read_to_string(place.path(name)).unwrap())
}

#[test]
fn rows_of_several_styles_are_brought_to_one() {
    let place = Place::new();
    let mut mixed =
        rows(Some("reading"), READING, &["a", "kettle 1", "seven", "lamp", "rose grey", "it", "x 7"], 40);
    mixed.extend(rows(Some("same"), SAME, &["yes", "no"], 40));
    write(&place, "mixed.jsonl", &mixed);
    let keywords: String =
        (0..20).map(|row| format!("premise: it is {row} [SEP] hypothesis: is it {row}?\tyes\n")).collect();
    fs::write(place.path("rte_16_13_train.tsv"), keywords).unwrap();
    let args =
        ["unify", "mixed.jsonl", "rte_16_13_train.tsv", "-o", "out.jsonl", "--rejects", "rejects.jsonl"];
    insta::assert_snapshot!(place.told(&args));
    let made = read(&place, "out.jsonl");
    assert_eq!(made.len(), 80);
    insta::assert_snapshot!(format!("{:#}\n{:#}", made[1], made[41]));
    assert_eq!(read(&place, "rejects.jsonl").len(), 20);

    // The sentence that no rule can write is given.
    fs::write(
        place.path("definitions.jsonl"),
        "{\"task\": \"rte\", \"definition\": \"Does the hypothesis follow from the premise? Answer yes or no.\"}\n",
    )
    .unwrap();
    let args =
        ["unify", "rte_16_13_train.tsv", "--definitions", "definitions.jsonl", "--style", "question-answer"];
    place.ok(&[args.as_slice(), &["-o", "rte.jsonl", "-q"]].concat());
    insta::assert_snapshot!(format!("{:#}", read(&place, "rte.jsonl")[0]));
}

#[test]
fn what_is_diversified_is_unified_again() {
    let place = Place::new();
    let instances: Vec<Value> = rows(None, "{p} | {q}", &["yes", "no"], 240)
        .into_iter()
        .map(|row| json!({"input": row["prompt"], "output": [row["completion"]]}))
        .collect();
    let task = json!({"Definition": ["Say \"yes\" if both halves of the line mean the same, else \"no\"."],
        "Positive Examples": [], "Negative Examples": [], "Instances": instances});
    fs::write(place.path("halves.json"), task.to_string()).unwrap();
    fs::create_dir(place.path("several")).unwrap();
    let run = |args: &[&str]| drop(place.ok(args));
    run(&["unify", "halves.json", "-o", "one.jsonl", "-q"]);
    let styles = "plain,input-output,first,last,question-answer";
    run(&["unify", "halves.json", "--diversify", "--style", styles, "-o", "several/halves.jsonl", "-q"]);
    let several = read(&place, "several/halves.jsonl");
    let begins =
        |text: &str| several.iter().filter(|row| row["prompt"].as_str().unwrap().starts_with(text)).count();
    assert!((20..80).contains(&begins("Q: Say")), "{}", begins("Q: Say"));
    run(&["unify", "several/halves.jsonl", "-o", "again.jsonl", "-q"]);
    let content = |row: &Value| (row["inputs"].clone(), row["targets"].clone());
    let (one, again) = (read(&place, "one.jsonl"), read(&place, "again.jsonl"));
    assert_eq!(one.iter().map(content).collect::<Vec<_>>(), again.iter().map(content).collect::<Vec<_>>());
    // The same seed draws the same styles, on any number of threads.
    run(&[
        "unify",
        "halves.json",
        "--diversify",
        "--style",
        styles,
        "-o",
        "same.jsonl",
        "-q",
        "--threads",
        "1",
    ]);
    assert_eq!(several, read(&place, "same.jsonl"));
}

#[test]
fn a_style_is_taken_over_from_a_dataset() {
    let place = Place::new();
    write(
        &place,
        "mine.jsonl",
        &rows(
            None,
            "### Task\nSay what comes next here.\n\n### Given\n{p} {q}\n\n### Answer\n",
            &["a", "b c", "d"],
            40,
        ),
    );
    write(&place, "other.jsonl", &rows(None, SAME, &["yes", "no"], 40));
    place.ok(&["unify", "other.jsonl", "--style", "mine.jsonl", "-o", "out.jsonl", "-q"]);
    let prompt = read(&place, "out.jsonl")[3]["prompt"].as_str().unwrap().to_owned();
    insta::assert_snapshot!(prompt);
}

#[test]
fn bad_rows_are_named_and_counted_and_bad_definitions_kept() {
    let place = Place::new();
    let mut bad = rows(Some("reading"), READING, &["a", "kettle 1", "seven", "lamp", "rose grey", "it"], 60);
    bad[7]["prompt"] = "Something else stands here.".into();
    write(&place, "bad.jsonl", &bad);
    let mut lines = fs::read_to_string(place.path("bad.jsonl")).unwrap();
    lines.push_str("no JSON\n{\"prompt\": \"p\"}\n");
    fs::write(place.path("bad.jsonl"), lines).unwrap();
    let task = |definition: &str, output: &str| {
        let instances: Vec<Value> = (0..12)
            .map(|at| json!({"input": format!("text {at}"), "output": [format!("{output} {at}")]}))
            .collect();
        json!({"Definition": [definition], "Positive Examples": [], "Negative Examples": [], "Instances": instances}).to_string()
    };
    fs::write(
        place.path("cut.json"),
        task("Answer the question. If there is no answer, write \"No", "Saltby Hall"),
    )
    .unwrap();
    fs::write(place.path("leaked.json"), task("Name the place, such as Saltby Hall 3.", "Saltby Hall"))
        .unwrap();
    let args = ["unify", "bad.jsonl", "cut.json", "leaked.json", "-o", "out.jsonl"];
    let told =
        place.told(&[args.as_slice(), &["--report", "report.jsonl", "--rejects", "rejects.jsonl"]].concat());
    let found =
        ["1 not_lifted", "completeness: a quotation mark has no other one", "leakage: “Saltby Hall 3”"];
    assert!(found.iter().all(|found| told.contains(found)), "{told}");
    assert_eq!(read(&place, "out.jsonl").len(), 59 + 12 + 12);
    let rejects: Vec<Value> =
        read(&place, "rejects.jsonl").into_iter().map(|reject| reject["reason"].clone()).collect();
    assert_eq!(rejects, ["not_lifted", "invalid_json", "other_shape"]);
    assert_eq!(read(&place, "report.jsonl").len(), 3);
}

#[test]
fn a_template_that_too_many_rows_miss_is_not_taken() {
    let place = Place::new();
    let mut mixed = rows(None, READING, &["a", "kettle 1", "seven", "lamp", "rose grey", "it"], 60);
    for row in mixed.iter_mut().step_by(3) {
        row["prompt"] = format!("{} stands alone", row["completion"].as_str().unwrap()).into();
    }
    write(&place, "mixed.jsonl", &mixed);
    insta::assert_snapshot!(place.told(&["unify", "mixed.jsonl", "-o", "out.jsonl"]));
    assert_eq!(fs::read_to_string(place.path("out.jsonl")).unwrap(), "");
}

#[test]
fn what_has_no_meaning_is_refused_with_a_way_out() {
    let place = Place::new();
    write(&place, "rows.jsonl", &rows(None, SAME, &["yes", "no"], 8));
    let say = |args: &[&str]| place.told(&[&["unify"][..], args].concat());
    let said = [
        say(&["rows.jsonl", "--level", "tasks", "-o", "out.jsonl"]),
        say(&["rows.jsonl", "--style", "plian", "-o", "out.jsonl"]),
        say(&["rows.jsonl", "--style", "plain,first", "-o", "out.jsonl"]),
        say(&["rows.jsonl", "--style", "plain", "--level", "keyword", "-o", "out.jsonl"]),
        say(&["rows.jsonl", "--to", "super-ni", "-o", "out.jsonl"]),
        say(&["-", "-o", "out.jsonl"]),
        say(&["rows.jsonl", "-o", "out"]),
    ];
    insta::assert_snapshot!(said.join("\n\n"));
}

#[test]
fn a_recipe_repeats_it() {
    let place = Place::new();
    write(&place, "rows.jsonl", &rows(None, SAME, &["yes", "no"], 30));
    fs::write(
        place.path("recipe.toml"),
        "version = 1\n[[step]]\nverb = 'unify'\ninput = ['rows.jsonl']\nstyle = ['last']\noutput = 'a.jsonl'\n",
    )
    .unwrap();
    for args in [
        ["run", "recipe.toml", "-q"].as_slice(),
        &["unify", "rows.jsonl", "--style", "last", "-o", "b.jsonl", "-q"],
    ] {
        place.ok(args);
    }
    let bytes = |name: &str| fs::read(place.path(name)).unwrap();
    assert_eq!(bytes("a.jsonl"), bytes("b.jsonl"));
    assert!(place.ok(&["check", "recipe.toml"]).contains("in the style `last`"));
}

#[test]
fn what_rules_cannot_bring_to_the_style_may_stay_as_it_is() {
    let place = Place::new();
    let named = rows(Some("reading"), READING, &["one", "two", "three"], 40);
    let bare: Vec<Value> = (0..40)
        .map(|row| json!({"task": "bare", "prompt": format!("{row} + {}", row * 3), "completion": (row * 4).to_string()}))
        .collect();
    write(&place, "rows.jsonl", &[bare.clone(), named].concat());
    let told = place.told(&["unify", "rows.jsonl", "--style", "last", "--keep-rest", "-o", "out.jsonl"]);
    assert!(told.contains("rules can't bring 40 rows to the style; they stay as they were"), "{told}");
    assert!(told.contains("80 rows of prompt-completion"), "{told}");
    let out = read(&place, "out.jsonl");
    assert_eq!(out.len(), 80);
    for (row, bare) in out.iter().zip(&bare) {
        assert_eq!((&row["prompt"], &row["completion"]), (&bare["prompt"], &bare["completion"]));
    }
    assert!(out[40]["prompt"].as_str().unwrap().contains("Read the passage"), "{}", out[40]);

    let told = place.told(&["unify", "rows.jsonl", "--keep-rest", "-o", "columns.jsonl"]);
    assert!(told.contains("name a style with --style"), "{told}");

    // What is dropped of them is counted.
    let spoken: Vec<Value> = bare
        .iter()
        .map(|row| {
            json!({"task": "bare", "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": row["prompt"]},
                {"role": "assistant", "content": row["completion"]},
            ]})
        })
        .collect();
    write(&place, "spoken.jsonl", &spoken);
    let told = place.told(&["unify", "spoken.jsonl", "--style", "last", "--keep-rest", "-o", "kept.jsonl"]);
    assert!(told.contains("40 rows of prompt-completion") && told.contains("system"), "{told}");

    // A definition in a column of its own would be gone: such rows don't stay.
    let mut apart: Vec<Value> = (0..40)
        .map(|row| json!({"task": "sums", "definition": "Add the two numbers.", "inputs": format!("{row} + 1"), "targets": (row + 1).to_string()}))
        .collect();
    apart[7]["definition"] = json!("Say which of the two numbers is larger.");
    write(&place, "apart.jsonl", &apart);
    place.ok(&["unify", "apart.jsonl", "--style", "last", "--keep-rest", "-o", "joined.jsonl", "-q"]);
    for row in read(&place, "joined.jsonl") {
        let prompt = row["prompt"].as_str().unwrap();
        assert!(prompt.contains("numbers"), "{prompt}");
    }
}
