//! Mistakes and broken worlds: place, cause and way out, exit code 2, and nothing written.

use std::time::Duration;

use insta::assert_snapshot;

use crate::server::{Reply, Server};
use crate::support::Place;

const NOTE: &str =
    "The library opens at nine. It was founded by Ines Falk in 1921. Members may borrow six books.\n";

#[test]
fn an_unknown_task_names_the_nearest() {
    let place = Place::new();
    place.write("a.txt", NOTE);
    assert_snapshot!(place.told(&["generate", "a.txt", "-o", "out", "--task", "summarisation"]));
    assert!(!place.path("out").exists());
}

#[test]
fn a_missing_file_names_its_neighbour() {
    let place = Place::new();
    place.write("notes.txt", NOTE);
    assert_snapshot!(place.told(&["generate", "note.txt", "-o", "out"]));
}

#[test]
fn a_wrong_column_names_those_there_are() {
    let place = Place::new();
    place.write("a.jsonl", "{\"id\": 1, \"body\": \"x\", \"title\": \"y\"}\n");
    assert_snapshot!(place.told(&["generate", "a.jsonl", "-o", "out", "--text-column", "boddy"]));
    assert!(!place.path("out").exists());
}

#[test]
fn an_empty_file_is_counted_and_makes_an_empty_dataset() {
    let place = Place::new();
    place.write("a.txt", "");
    assert_snapshot!(place.told(&["generate", "a.txt", "-o", "out"]));
}

#[test]
fn invalid_utf8_is_counted_with_its_line() {
    let place = Place::new();
    place.write("a.jsonl", b"{\"text\": \"fine\"}\n{\"text\": \"caf\xe9\"}\nnot json\n");
    place.ok(&["generate", "a.jsonl", "-o", "out", "--rejects", "rejects.jsonl", "-q"]);
    let rejects = crate::support::objects(&std::fs::read_to_string(place.path("rejects.jsonl")).unwrap());
    let faults: Vec<_> = rejects
        .iter()
        .filter(|reject| reject["stage"] == "read")
        .map(|reject| (reject["reason"].as_str().unwrap(), reject["row"].as_u64().unwrap()))
        .collect();
    assert_eq!(faults, [("invalid_utf8", 2), ("invalid_json", 3)]);
}

#[test]
fn no_output_is_a_usage_error() {
    let place = Place::new();
    place.write("a.txt", NOTE);
    assert_snapshot!(place.told(&["generate", "a.txt"]));
}

#[test]
fn rules_refuse_by_name_what_they_cannot_make() {
    let place = Place::new();
    place.write("a.txt", NOTE);
    assert_snapshot!(place.told(&["generate", "a.txt", "-o", "out", "--task", "exqa,sentiment"]));
}

#[test]
fn a_model_that_is_nowhere_says_what_to_do() {
    let place = Place::new();
    place.write("a.txt", NOTE);
    assert_snapshot!(place.told(&["generate", "a.txt", "-o", "out", "--model", "bonito-v1"]));
}

#[test]
fn another_recipes_output_is_refused_with_the_difference() {
    let place = Place::new();
    place.write("a.txt", NOTE);
    place.ok(&["generate", "a.txt", "-o", "out", "-q"]);
    assert_snapshot!(place.told(&["generate", "a.txt", "-o", "out", "--seed", "4", "--task", "qa"]));
}

#[test]
fn a_recipe_is_checked_down_to_its_keys() {
    let place = Place::new();
    place.write("a.txt", NOTE);
    place.write(
        "r.toml",
        "version = 1\n\n[[step]]\nverb = \"generate\"\ninput = [\"a.txt\"]\noutput = \"out\"\nsampels = 3\n",
    );
    assert_snapshot!(place.told(&["check", "r.toml"]));
    place.write(
        "r.toml",
        "version = 1\n\n[[step]]\nverb = \"generate\"\ninput = [\"b.txt\"]\noutput = \"out\"\n",
    );
    assert_snapshot!(place.told(&["check", "r.toml"]));
}

#[test]
fn an_output_that_cannot_be_written_leaves_nothing_behind() {
    let place = Place::new();
    place.write("a.txt", NOTE);
    place.write("file", "in the way");
    let told = place.told(&["generate", "a.txt", "-o", "file/out"]);
    assert!(told.starts_with("exit 2") && told.contains("error: failed to write"), "{told}");
    assert!(told.contains("hint: "));
}

/// An endpoint that answers everything in this way.
fn told_by(reply: fn() -> Reply, args: &[&str]) -> String {
    let server = Server::start(Duration::ZERO, move |_| reply());
    let place = Place::new();
    place.write("a.txt", NOTE);
    let mut all = vec!["generate", "a.txt", "-o", "out", "--endpoint", &server.url, "--task", "exqa"];
    all.extend(args);
    let told = place.told(&all);
    assert!(!place.path("out/data").exists(), "nothing half made is in its place");
    told.replace(&server.url, "[URL]").replace(server.url.trim_end_matches("/v1"), "[HOST]")
}

#[test]
fn a_refused_key_ends_the_run() {
    assert_snapshot!(told_by(
        || Reply::Status(401, "{\"error\": {\"message\": \"Incorrect API key\"}}"),
        &[]
    ));
}

#[test]
fn a_wrong_model_ends_the_run() {
    assert_snapshot!(told_by(
        || Reply::Status(404, "{\"error\": {\"message\": \"The model `x` does not exist.\"}}"),
        &["--model", "x"]
    ));
}

#[test]
fn nobody_listening_ends_the_run() {
    let place = Place::new();
    place.write("a.txt", NOTE);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    drop(listener);
    let told = place.told(&["generate", "a.txt", "-o", "out", "--endpoint", &url, "--model", "x"]);
    assert_snapshot!(told.replace(&url, "[URL]").replace(url.trim_end_matches("/v1"), "[HOST]"));
}
