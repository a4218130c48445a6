//! What a first user tripped over; each test failed before its fix.

use std::process::Stdio;
use std::time::Duration;

use crate::server::{Reply, Server};
use crate::support::{Place, objects};

const NOTE: &str = "The mill was built by Tomas Reyl in 1874. It ground rye until 1931.";

#[test]
fn an_output_in_progress_is_not_torn_down_by_overwrite() {
    let server = Server::start(Duration::from_millis(400), |_| Reply::Answer);
    let place = Place::with_examples();
    let args = [
        "generate",
        "examples/",
        "-o",
        "out",
        "--task",
        "qa",
        "--concurrency",
        "1",
        "--endpoint",
        &server.url,
    ];
    let mut first = place.command(&args).stderr(Stdio::null()).spawn().unwrap();
    while server.calls.load(std::sync::atomic::Ordering::Relaxed) < 2 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut second = args.to_vec();
    second.extend(["--overwrite", "--seed", "1"]);
    let told = place.told(&second);
    assert!(told.contains("another process is writing `out`"), "{told}");
    assert!(first.wait().unwrap().success());
    let recipe = std::fs::read_to_string(place.path("out/run/recipe.toml")).unwrap();
    assert!(recipe.contains("seed = 0"), "{recipe}");
}

#[test]
fn rows_that_were_removed_are_made_again() {
    let place = Place::new();
    place.write("a.txt", NOTE);
    place.ok(&["generate", "a.txt", "-o", "out", "-q"]);
    std::fs::remove_file(place.path("out/data/train-00000-of-00001.parquet")).unwrap();
    place.ok(&["generate", "a.txt", "-o", "out", "-q"]);
    assert!(place.path("out/data/train-00000-of-00001.parquet").exists());
}

#[test]
fn a_run_folder_without_a_recipe_is_taken_up() {
    let place = Place::new();
    place.write("a.txt", NOTE);
    std::fs::create_dir_all(place.path("out/run/partial")).unwrap();
    place.write("out/run/lock", "");
    place.write("out/run/recipe.partial", "half");
    place.ok(&["generate", "a.txt", "-o", "out", "-q"]);
    place.write("other", "");
    std::fs::create_dir_all(place.path("mine/run")).unwrap();
    place.write("mine/run/thesis.txt", "years of work");
    assert!(place.told(&["generate", "a.txt", "-o", "mine"]).contains("no run of instil made it"));
}

#[test]
fn a_first_attempt_that_came_to_nothing_is_in_nobodys_way() {
    let refusing = Server::start(Duration::ZERO, |_| Reply::Status(401, "{}"));
    let right = Server::start(Duration::ZERO, |_| Reply::Answer);
    let place = Place::new();
    place.write("a.txt", NOTE);
    let args = |url| ["generate", "a.txt", "-o", "out", "--task", "qa", "-q", "--endpoint", url];
    assert!(place.told(&args(&refusing.url)).contains("asks for a key"));
    place.ok(&args(&right.url));
}

#[test]
fn several_processes_begin_one_journal() {
    let server = Server::start(Duration::ZERO, |_| Reply::Answer);
    let place = Place::new();
    place.write("a.txt", NOTE);
    let children: Vec<_> = ["a", "b", "c", "d"]
        .map(|output| {
            let args = [
                "generate",
                "a.txt",
                "-o",
                output,
                "--journal",
                "shared.sqlite",
                "--task",
                "qa",
                "--endpoint",
                &server.url,
            ];
            place.command(&args).stderr(Stdio::piped()).spawn().unwrap()
        })
        .into();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn what_instil_made_is_no_source_text() {
    let place = Place::new();
    std::fs::create_dir(place.path("notes")).unwrap();
    place.write("notes/a.txt", NOTE);
    place.ok(&["generate", "notes", "-o", "notes/out", "-q"]);
    let told = place.told(&["generate", "notes", "-o", "other", "-v"]);
    assert!(told.starts_with("exit 0") && told.contains("not read: 1 unreadable"), "{told}");
    assert!(
        place.told(&["generate", "notes/out", "-o", "third"]).contains("is what instil made of other texts")
    );
}

#[test]
fn equal_ids_are_traced_apart_and_windows_are_cut_alike() {
    let place = Place::new();
    let line = |text: &str| format!("{{\"id\": \"d\", \"text\": \"{text}\"}}\n");
    place.write(
        "dup.jsonl",
        [line(NOTE), line("The weir was dug by Ada Brandt in 1902. It held until 1950.")].concat(),
    );
    place.ok(&["generate", "dup.jsonl", "-o", "out", "--task", "exqa,qa", "-n", "3", "-q"]);
    let rows = instil::rows::of_file(&place.path("out/provenance/train-00000-of-00001.parquet")).unwrap();
    let mut traced = 0;
    for row in rows {
        let id = row.unwrap()["id"].as_str().unwrap().to_owned();
        let trace: serde_json::Value = serde_json::from_str(&place.ok(&["trace", &id, "--json"])).unwrap();
        let args: Vec<&str> = trace["command"].as_str().unwrap().split(' ').skip(1).collect();
        let mut made = trace["row"].clone();
        made.as_object_mut().unwrap().remove("id");
        assert!(objects(&place.ok(&args)).contains(&made), "{}", trace["command"]);
        traced += 1;
    }
    assert!(traced >= 4);
}

#[test]
fn a_document_that_is_not_there_is_an_error() {
    let place = Place::new();
    place.write("a.txt", NOTE);
    assert!(
        place
            .told(&["generate", "a.txt", "-o", "out", "--document", "nosuch"])
            .contains("has the id `nosuch`")
    );
}

#[test]
fn a_full_standard_output_is_not_a_success() {
    let place = Place::new();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
    let Ok(full) = full else { return };
    let status = place.command(&["list", "tasks"]).stdout(full).stderr(Stdio::null()).status().unwrap();
    assert_eq!(status.code(), Some(2));
}

#[test]
fn a_check_finds_what_the_run_would_refuse() {
    let place = Place::new();
    place.write("a.txt", NOTE);
    for (line, fault) in [
        ("endpoint = \"nonsense\"", "is no URL"),
        ("endpoint = \"http://127.0.0.1:1/v1\"\napi = \"foo\"", "unknown api `foo`"),
        ("endpoint = \"http://127.0.0.1:1/v1\"\nconcurrency = 0", "concurrency must be at least 1"),
        ("max_drop = 20.0", "max_drop must be a share"),
    ] {
        place.write(
            "r.toml",
            format!("version = 1\n[[step]]\ninput = [\"a.txt\"]\noutput = \"out\"\n{line}\n"),
        );
        let told = place.told(&["check", "r.toml"]);
        assert!(told.starts_with("exit 2") && told.contains(fault), "{told}");
    }
}

#[test]
fn one_odd_table_does_not_stop_a_folder_whatever_its_name() {
    for name in ["a.csv", "z.csv"] {
        let place = Place::new();
        std::fs::create_dir(place.path("notes")).unwrap();
        place.write("notes/m.txt", NOTE);
        place.write(&format!("notes/{name}"), "count,size\n1,2\n3,4\n");
        let told = place.told(&["generate", "notes", "-o", "out"]);
        assert!(told.starts_with("exit 0") && told.contains("not read: 2 missing_column"), "{told}");
        let told = place.told(&["generate", &format!("notes/{name}"), "-o", "alone"]);
        assert!(told.starts_with("exit 2") && told.contains("`count`, `size`"), "{told}");
    }
}

#[test]
fn a_chain_of_steps_goes_on_behind_its_single_files() {
    let place = Place::new();
    std::fs::create_dir(place.path("notes")).unwrap();
    place.write("notes/a.txt", NOTE);
    let step = |verb: &str, input: &str, output: &str, rest: &str| {
        format!("[[step]]\nverb = \"{verb}\"\ninput = [\"{input}\"]\noutput = \"{output}\"\n{rest}\n")
    };
    let steps = [
        step("generate", "notes", "made/rows.jsonl", "format = \"messages\""),
        step("convert", "made/*.jsonl", "pairs.jsonl", "to = \"prompt-completion\""),
        step("unify", "later.jsonl", "unified.jsonl", "style = [\"last\"]"),
    ];
    place.write("r.toml", format!("version = 1\n{}", steps.concat()));
    let told = place.told(&["check", "r.toml"]);
    assert!(told.contains("step 2, convert, reads what an earlier step makes: made/*.jsonl"), "{told}");
    let told = place.told(&["run", "r.toml"]);
    assert!(told.starts_with("exit 2") && told.contains("later.jsonl"), "{told}");
    let first = std::fs::metadata(place.path("made/rows.jsonl")).unwrap().modified().unwrap();

    place.write("later.jsonl", "{\"instruction\":\"Add.\",\"input\":\"1 and 1\",\"output\":\"2\"}\n");
    let told = place.told(&["run", "r.toml"]);
    assert!(told.starts_with("exit 0") && told.contains("unified.jsonl"), "{told}");
    assert_eq!(std::fs::metadata(place.path("made/rows.jsonl")).unwrap().modified().unwrap(), first);
}
