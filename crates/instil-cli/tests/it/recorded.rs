//! Recorded completions made by hand: every reject word occurs, and each line ends as it was meant to.

use std::collections::{BTreeMap, BTreeSet};

use instil::reject::Stage;
use instil::{Reason, TaskKind};

use crate::support::{Place, assert_closes, objects, repository};

fn recorded(name: &str) -> String {
    let path = repository().join("crates/instil-cli/tests/data/recorded").join(name);
    std::fs::read_to_string(path).unwrap()
}

/// What became of each (document, task, sample).
type Outcomes = BTreeMap<(String, String, u64), String>;

#[test]
fn every_recorded_completion_ends_as_expected() {
    let place = Place::new();
    place.write("passages.jsonl", recorded("passages.jsonl"));
    let expected: Outcomes = objects(&recorded("expected.jsonl"))
        .iter()
        .map(|line| {
            let text = |name: &str| line[name].as_str().unwrap().to_owned();
            ((text("id"), text("task"), line["sample"].as_u64().unwrap()), text("outcome"))
        })
        .collect();
    let completions = place.write("completions.jsonl", recorded("completions.jsonl"));
    let replay = completions.to_string_lossy().into_owned();
    // The labels are those of topic classification; sentiment was recorded without any.
    let (topic, others): (Vec<_>, Vec<_>) =
        TaskKind::ALL.into_iter().partition(|kind| *kind == TaskKind::TopicClass);
    let mut got = Outcomes::new();
    for (kinds, labels) in [(others, None), (topic, Some("World,Sports,Business,Science"))] {
        let tasks = kinds.into_iter().map(TaskKind::short).collect::<Vec<_>>().join(",");
        let mut args = vec![
            "generate",
            "passages.jsonl",
            "-o",
            "out",
            "--overwrite",
            "--replay",
            &replay,
            "-n",
            "2",
            "-q",
        ];
        args.extend(["--task", &tasks]);
        args.extend(labels.into_iter().flat_map(|labels| ["--labels", labels]));
        place.ok(&args);
        got.extend(outcomes(&place));
        assert_closes(&place.path("out"));
    }
    let wrong: Vec<String> = expected
        .iter()
        .filter(|(key, outcome)| got.get(*key) != Some(outcome))
        .map(|(key, outcome)| format!("{key:?}: {outcome} expected, {:?} came", got.get(key)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(got.len(), expected.len());

    let words: BTreeSet<&str> = got.values().map(String::as_str).collect();
    // Another prompt style's, those of labelled rows, and those of programs.
    let of_others = [
        Reason::InvalidAnswer,
        Reason::NoSeparator,
        Reason::SeveralSeparators,
        Reason::NoPassage,
        Reason::OnlyPassage,
        Reason::Unverified,
    ];
    for reason in Reason::ALL {
        if matches!(reason.stage(), Stage::Parse | Stage::Check) && !of_others.contains(reason) {
            assert!(words.contains(reason.word()), "no recorded completion ends as {}", reason.word());
        }
    }
}

/// What became of every sample that was recorded.
fn outcomes(place: &Place) -> Outcomes {
    let mut got = Outcomes::new();
    for folder in ["out/provenance", "out/run"] {
        for entry in std::fs::read_dir(place.path(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|ending| ending != "parquet") {
                continue;
            }
            for row in instil::rows::of_file(&path).unwrap() {
                let row = row.unwrap();
                let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
                let outcome = if row.contains_key("reason") { text("reason") } else { "kept".to_owned() };
                // Prompts that nobody recorded are refused by the replay.
                if outcome != "refused" {
                    got.insert((text("document"), text("task"), row["sample"].as_u64().unwrap()), outcome);
                }
            }
        }
    }
    got
}
