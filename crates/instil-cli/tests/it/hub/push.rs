//! `push`: what is sent, what isn't, and what is told when it fails.

use std::fs;
use std::path::Path;

use super::loopback::{Fault, Files, Hub, PART, TOKEN};
use super::{bytes, command, ok, refused, run, run_with_token, stderr};
use crate::support::Place;

/// A place with a finished dataset `out`.
fn with_dataset() -> Place {
    let place = Place::with_examples();
    place.ok(&["generate", "examples/", "-o", "out", "-q"]);
    place
}

/// The files of `out` that belong on the Hub.
fn published(place: &Place) -> Files {
    let mut files = Files::new();
    for folder in ["", "data/", "provenance/"] {
        for entry in fs::read_dir(place.path("out").join(folder)).unwrap() {
            let entry = entry.unwrap();
            if entry.path().is_file() {
                let name = entry.file_name().to_string_lossy().into_owned();
                files.insert(format!("{folder}{name}"), fs::read(entry.path()).unwrap());
            }
        }
    }
    files
}

#[test]
fn a_dataset_is_made_sent_and_named_in_one_commit() {
    let (hub, place) = (Hub::start(), with_dataset());
    let output = run_with_token(&place, &hub, &["push", "out", "ines/notes", "--private", "-m", "First"]);
    assert_eq!(ok(&output), format!("{}/datasets/ines/notes\n", hub.url));
    let mut expected = published(&place);
    assert!(expected.values().any(|bytes| bytes.len() > PART), "one of them goes in parts");
    assert_eq!(
        expected.keys().map(String::as_str).collect::<Vec<_>>(),
        ["README.md", "data/train-00000-of-00001.parquet", "provenance/train-00000-of-00001.parquet"]
    );
    let told = stderr(&output);
    assert!(
        told.contains("made the dataset `ines/notes`") && told.contains("3 files sent, 0 there already"),
        "{told}"
    );
    expected.insert(".gitattributes".to_owned(), b"*.parquet lfs\n".to_vec());
    assert!(hub.files("datasets/ines/notes", "main") == expected);
    {
        let state = hub.state();
        let repo = &state.repos["datasets/ines/notes"];
        assert_eq!((repo.private, repo.message.as_str()), (true, "First"));
        // No file is made whole of its parts but those, and the journal stays here.
        assert!(state.store.len() >= 2);
    }
    let seen = hub.seen();
    assert!(seen.iter().any(|seen| seen.path.starts_with("/part/") && seen.body == PART));
    assert!(seen.iter().any(|seen| seen.path == "/verify"));
    for seen in seen {
        let token = (seen.at == "hub").then(|| format!("Bearer {TOKEN}"));
        assert_eq!(seen.authorization, token, "{seen:?}");
    }

    // The same again sends nothing and commits nothing.
    let again = run_with_token(&place, &hub, &["push", "out", "ines/notes", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&ok(&again)).unwrap();
    assert_eq!((report["sent"].as_array().unwrap().len(), &report["unchanged"]), (0, &serde_json::json!(3)));
    assert_eq!(report["created"], false);
    assert!(hub.seen().iter().all(|seen| seen.method == "GET"));

    // What was pushed is pulled, byte for byte.
    let folder = ok(&run_with_token(&place, &hub, &["pull", "ines/notes", "--dataset", "-q"]));
    for (path, bytes) in published(&place) {
        assert!(fs::read(Path::new(folder.trim()).join(&path)).unwrap() == bytes, "{path}");
    }
}

#[test]
fn a_new_dataset_takes_the_place_of_the_old_one() {
    let (hub, place) = (Hub::start(), with_dataset());
    let old = bytes(2000, 7);
    hub.add(
        "datasets/ines/notes",
        &[
            ("README.md", b"# old"),
            ("data/train-00000-of-00002.parquet", &old),
            ("data/train-00001-of-00002.parquet", &old),
            ("data/extra.parquet", &old),
            ("notes.txt", b"mine"),
        ],
    );
    let output = run_with_token(&place, &hub, &["push", "out", "ines/notes", "-q"]);
    ok(&output);
    let mut expected = published(&place);
    // What no dataset of instil would have written stays.
    expected.insert("data/extra.parquet".to_owned(), old);
    expected.insert("notes.txt".to_owned(), b"mine".to_vec());
    assert!(hub.files("datasets/ines/notes", "main") == expected);
}

#[test]
fn one_file_and_a_branch() {
    let (hub, place) = (Hub::start(), Place::new());
    hub.add("datasets/ines/notes", &[("README.md", b"# notes")]);
    place.write("rows.jsonl", "{\"text\": \"a\"}\n");
    place.write("none.jsonl", "");
    let url = ok(&run_with_token(&place, &hub, &["push", "rows.jsonl", "ines/notes@draft"]));
    assert_eq!(url, format!("{}/datasets/ines/notes/tree/draft\n", hub.url));
    ok(&run_with_token(&place, &hub, &["push", "none.jsonl", "ines/notes@draft"]));
    let draft = hub.files("datasets/ines/notes", "draft");
    assert_eq!(
        draft.keys().map(String::as_str).collect::<Vec<_>>(),
        ["README.md", "none.jsonl", "rows.jsonl"]
    );
    assert_eq!(draft["rows.jsonl"], b"{\"text\": \"a\"}\n");
    assert_eq!(hub.files("datasets/ines/notes", "main").len(), 1);
}

#[test]
fn failures_that_pass_cost_nothing() {
    let (hub, place) = (Hub::start(), with_dataset());
    hub.fail("/revision/main", Fault::Status(503));
    hub.fail("/preupload/", Fault::Cut(5));
    hub.fail("/objects/batch", Fault::Status(429));
    hub.fail("/part/", Fault::Status(500));
    hub.fail("/part/", Fault::Unanswered);
    hub.fail("/complete/", Fault::Status(502));
    hub.fail("/verify", Fault::Status(503));
    // The commit is made, and its answer is lost.
    hub.fail("/commit/", Fault::Unanswered);
    let output = run_with_token(&place, &hub, &["push", "out", "ines/notes"]);
    assert_eq!(ok(&output), format!("{}/datasets/ines/notes\n", hub.url));
    assert!(hub.has_failed());
    let mut expected = published(&place);
    expected.insert(".gitattributes".to_owned(), b"*.parquet lfs\n".to_vec());
    assert!(hub.files("datasets/ines/notes", "main") == expected);
    assert_eq!(hub.state().repos["datasets/ines/notes"].commits.len(), 2, "no commit comes twice");
}

#[test]
fn a_push_that_is_killed_has_changed_nothing_and_is_finished_by_the_same_command() {
    let (hub, place) = (Hub::start(), with_dataset());
    hub.add("datasets/ines/notes", &[("README.md", b"# old")]);
    hub.fail("/verify", Fault::Hang(0));
    let mut child = command(&place, &hub, &["push", "out", "ines/notes", "-q"])
        .env("HF_TOKEN", TOKEN)
        .stderr(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let begun = std::time::Instant::now();
    while !hub.has_failed() {
        assert!(begun.elapsed().as_secs() < 30, "it never came so far");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(hub.files("datasets/ines/notes", "main").len(), 1, "half a dataset is nowhere to be seen");
    let stored = hub.state().store.len();
    assert!(stored > 0);
    hub.seen();
    ok(&run_with_token(&place, &hub, &["push", "out", "ines/notes", "-q"]));
    assert!(hub.files("datasets/ines/notes", "main") == published(&place));
    let wholes = hub.seen().iter().filter(|seen| seen.path == "/verify").count();
    assert_eq!(wholes, hub.state().store.len() - stored, "what the store has is not sent again");
}

#[test]
fn what_can_not_be_pushed_is_told_before_anything_is_sent() {
    let (hub, place) = (Hub::start(), with_dataset());
    let told = |output| refused(&output).replace(&hub.url, "[HUB]");

    let no_token = told(run(&place, &hub, &["push", "out", "ines/notes"]));
    assert!(no_token.contains("a push needs a token"), "{no_token}");
    assert!(no_token.contains("[HUB]/settings/tokens and set HF_TOKEN"), "{no_token}");

    let mut wrong = command(&place, &hub, &["push", "out", "ines/notes"]);
    let wrong = told(wrong.env("HF_TOKEN", "hf_old_secret").output().unwrap());
    assert!(wrong.contains("the Hub refused the token") && !wrong.contains("hf_old_secret"), "{wrong}");

    hub.add("datasets/ines/public", &[("README.md", b"# old")]);
    let public = told(run_with_token(&place, &hub, &["push", "out", "ines/public", "--private"]));
    assert!(public.contains("the dataset `ines/public` is there and public"), "{public}");

    let no_owner = told(run_with_token(&place, &hub, &["push", "out", "notes"]));
    assert!(no_owner.contains("`notes` has no owner"), "{no_owner}");

    let missing = told(run_with_token(&place, &hub, &["push", "nothing", "ines/notes"]));
    assert!(missing.contains("there is no dataset `nothing`"), "{missing}");
    let other = told(run_with_token(&place, &hub, &["push", "examples", "ines/notes"]));
    assert!(other.contains("`examples` is no dataset that instil has finished"), "{other}");
    fs::create_dir(place.path("out/run/partial")).unwrap();
    let partial = told(run_with_token(&place, &hub, &["push", "out", "ines/notes"]));
    assert!(partial.contains("`out` is being made, or its run was broken off"), "{partial}");
    assert!(partial.contains("hint: the command that began it finishes it"), "{partial}");
    assert!(hub.seen().iter().all(|seen| seen.method == "GET"), "nothing was sent");
}

#[test]
fn a_dry_run_asks_nobody() {
    let (hub, place) = (Hub::start(), with_dataset());
    let shown = ok(&run(&place, &hub, &["push", "out", "ines/notes", "--dry-run"]));
    let files = published(&place);
    assert!(
        shown.starts_with("would send to `ines/notes`, as far as they aren't there: 3 files, "),
        "{shown}"
    );
    for path in files.keys() {
        assert!(shown.contains(&format!("\n  {path} (")), "{shown}");
    }
    assert!(!shown.contains("run/"));
    let shown = ok(&run(&place, &hub, &["push", "out", "ines/notes", "--dry-run", "--json"]));
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["files"].as_array().unwrap().len(), files.len());
    assert!(hub.seen().is_empty());
}
