//! Every command in the documents runs, and prints what they say.
//!
//! A ```` ```console ```` block holds lines `$ command` and, below each, what it prints; a line `…`
//! stands for any lines, and `…` inside a line for anything. Blocks of one document run in one place, in
//! order, with the repository's `examples/` in it.

use std::process::Command;

use crate::support::{Place, objects, repository};

const DOCUMENTS: [&str; 5] =
    ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/start.md", "docs/guides"];

struct Step {
    command: String,
    expected: Vec<String>,
}

fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if inside && let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step { command: command.to_owned(), expected: Vec::new() });
        } else if inside && let Some(step) = steps.last_mut() {
            step.expected.push(line.trim_end().to_owned());
        }
    }
    steps
}

#[test]
fn every_command_of_the_documents_runs() {
    let mut ran = 0;
    for name in DOCUMENTS {
        let path = repository().join(name);
        let files = match std::fs::read_dir(&path) {
            Ok(entries) => entries.map(|entry| entry.unwrap().path()).collect(),
            Err(_) => vec![path],
        };
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            let place = Place::with_examples();
            place.add_leases();
            place.add_model();
            for step in steps(&text) {
                ran += run(&place, &step, &file.display().to_string());
            }
        }
    }
    assert!(ran > 10, "only {ran} commands were found");
}

fn run(place: &Place, step: &Step, file: &str) -> usize {
    // The repository's own commands (tests, builds) are what runs this test.
    if step.command.starts_with("./test")
        || step.command.starts_with("cargo ") && !step.command.contains("cargo run --release -- ")
    {
        return 0;
    }
    let program = format!("'{}' ", env!("CARGO_BIN_EXE_instil"));
    let command = step.command.replace("cargo run --release -- ", "instil ");
    let command = command
        .split(" | ")
        .map(|part| part.strip_prefix("instil ").map_or(part.to_owned(), |args| program.clone() + args))
        .collect::<Vec<_>>()
        .join(" | ");
    let output = Command::new("bash")
        .args(["-c", &format!("set -o pipefail; {{ {command}; }} 2>&1")])
        .current_dir(place.path(""))
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let expected_failure = step.expected.iter().any(|line| line.starts_with("error:"));
    assert_eq!(output.status.success(), !expected_failure, "{file}: {}\n{printed}", step.command);
    let printed: Vec<&str> = printed.lines().map(str::trim_end).collect();
    let expected: Vec<&str> = step.expected.iter().map(String::as_str).collect();
    let expected = match expected.iter().rposition(|line| !line.is_empty()) {
        Some(last) => &expected[..=last],
        None => return 1,
    };
    assert!(
        matches(expected, &printed),
        "{file}: `{}` printed\n{}\n--- and not\n{}",
        step.command,
        printed.join("\n"),
        expected.join("\n")
    );
    1
}

fn matches(expected: &[&str], printed: &[&str]) -> bool {
    match expected {
        [] => printed.iter().all(|line| line.is_empty()),
        ["…", rest @ ..] => (0..=printed.len()).any(|skip| matches(rest, &printed[skip..])),
        [first, rest @ ..] => {
            printed.first().is_some_and(|line| line_matches(first, line)) && matches(rest, &printed[1..])
        }
    }
}

fn line_matches(expected: &str, line: &str) -> bool {
    let mut parts = expected.split('…');
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut open = false;
    for part in parts {
        open = part.is_empty();
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    open || rest.is_empty()
}

/// The README shows rows; they are rows of the command above them.
#[test]
fn the_rows_that_the_readme_shows_are_rows_of_its_command() {
    let readme = std::fs::read_to_string(repository().join("README.md")).unwrap();
    let rows: Vec<&str> = readme
        .lines()
        .skip_while(|line| !line.starts_with("| kind | "))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .collect();
    assert_eq!(rows.len(), 10, "the README shows ten rows");
    let place = Place::with_examples();
    let made =
        objects(&place.ok(&["generate", "examples/", "-o", "-", "--format", "prompt-completion", "-q"]));
    let squash = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    for row in rows {
        let cells: Vec<String> = row.trim_matches('|').split(" | ").map(squash).collect();
        let [_, instruction, response] = cells.as_slice() else { panic!("{row}") };
        let found = made.iter().any(|made| {
            line_matches(instruction, &squash(made["prompt"].as_str().unwrap()))
                && squash(made["completion"].as_str().unwrap()) == *response
        });
        assert!(found, "no such row is made any more: {row}");
    }
}

/// docs/reference is what the program says of itself; `UPDATE=1` writes it anew.
#[test]
fn the_reference_is_what_the_program_says() {
    let place = Place::new();
    let mut text = String::from("# The program\n\nWritten by a test from what the program says of itself.\n");
    let verbs = [
        "generate",
        "apply",
        "remix",
        "cook",
        "mix",
        "convert",
        "unify",
        "companion",
        "train",
        "merge",
        "score",
        "eval",
        "compare",
        "serve",
        "run",
        "check",
        "stats",
        "trace",
        "list",
        "pull",
        "push",
        "bench",
        "doctor",
    ];
    for verb in [""].into_iter().chain(verbs) {
        let args: Vec<&str> = [verb, "--help"].into_iter().filter(|arg| !arg.is_empty()).collect();
        let help = place.ok(&args);
        let name = ["instil", verb].join(" ");
        text += &format!("\n## `{}`\n\n```text\n{}\n```\n", name.trim(), help.trim_end());
    }
    for (what, title) in [
        ("tasks", "Kinds of task"),
        ("formats", "Formats"),
        ("shapes", "Shapes of datasets"),
        ("rejects", "Reject reasons"),
        ("repairs", "Repairs"),
    ] {
        text += &format!("\n## {title}\n\n");
        for (i, row) in objects(&place.ok(&["list", what, "--json"])).iter().enumerate() {
            let row = row.as_object().unwrap();
            let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
            if i == 0 {
                text += &line(row.keys().cloned().collect());
                text += &line(row.keys().map(|_| "---".to_owned()).collect());
            }
            text += &line(row.values().map(|cell| cell.as_str().unwrap().replace('|', "\\|")).collect());
        }
    }
    let text: String = text.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    let path = repository().join("docs/reference/program.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == text,
        "docs/reference/program.md is stale: UPDATE=1 cargo test -p instil-cli reference"
    );
}
