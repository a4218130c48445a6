//! `generate` and what looks at its output.

use insta::assert_snapshot;

use crate::support::{Place, bytes, objects};

#[test]
fn the_examples_make_a_dataset_and_every_verb_reads_it() {
    let place = Place::with_examples();
    let told = place.told(&["generate", "examples/", "-o", "out"]);
    assert!(told.starts_with("exit 0\n--- stdout\n--- stderr\n"), "{told}");
    let stats: serde_json::Value = serde_json::from_str(&place.ok(&["stats", "out", "--json"])).unwrap();
    let rows = stats["rows"].as_u64().unwrap();
    assert!(rows >= 30, "{rows} rows");
    assert_eq!(stats["duplicates"], 0);
    assert_eq!(stats["report"]["rows"], rows);
    assert!(place.ok(&["stats", "out"]).contains("kept by source"));

    // The same command on its own output does nothing, and says so.
    let before = bytes(&place.path("out"));
    assert!(place.told(&["generate", "examples/", "-o", "out"]).contains("is finished already"));
    // Its recipe makes the same bytes elsewhere.
    place.ok(&["run", "out/run/recipe.toml", "-o", "again", "-q"]);
    assert!(place.path("again/README.md").exists());
    let again = bytes(&place.path("again"));
    for (name, bytes) in before.iter().filter(|(name, _)| name.ends_with(".parquet")) {
        assert!(again[name] == *bytes, "{name}");
    }
}

#[test]
fn every_example_is_traced_and_made_again() {
    let place = Place::with_examples();
    place.ok(&["generate", "examples/", "-o", "out", "-n", "2", "--seed", "3", "-q"]);
    let provenance = place.path("out/provenance/train-00000-of-00001.parquet");
    let rows: Vec<_> = instil::rows::of_file(&provenance).unwrap().map(Result::unwrap).collect();
    assert!(rows.len() > 40);
    for row in rows.iter().step_by(9) {
        let id = row["id"].as_str().unwrap();
        let trace: serde_json::Value = serde_json::from_str(&place.ok(&["trace", id, "--json"])).unwrap();
        let completion = trace["completion"].as_str().unwrap();
        assert!(completion.contains("<|pipe|>"));
        assert!(trace["prompt"].as_str().unwrap().contains(trace["passage"].as_str().unwrap().trim()));
        // The command that it names prints the row, the id aside.
        let command = trace["command"].as_str().unwrap();
        let args: Vec<&str> = command.split(' ').skip(1).collect();
        let made = objects(&place.ok(&args));
        let mut row = trace["row"].clone();
        row.as_object_mut().unwrap().remove("id");
        assert!(made.contains(&row), "{command}");
    }
    assert_snapshot!(place.told(&["trace", "zzzz"]));
}

#[test]
fn a_row_comes_from_the_bytes_that_its_provenance_names() {
    let place = Place::with_examples();
    place.ok(&["generate", "examples/supply-contract.txt", "-o", "out", "--chunk-chars", "600", "-q"]);
    let text = std::fs::read_to_string(place.path("examples/supply-contract.txt")).unwrap();
    let data = instil::rows::of_file(&place.path("out/data/train-00000-of-00001.parquet")).unwrap();
    let provenance =
        instil::rows::of_file(&place.path("out/provenance/train-00000-of-00001.parquet")).unwrap();
    let mut rows = 0;
    for (row, facts) in data.zip(provenance) {
        let (row, facts) = (row.unwrap(), facts.unwrap());
        assert_eq!(row["id"], facts["id"]);
        let span = facts["start"].as_u64().unwrap() as usize..facts["end"].as_u64().unwrap() as usize;
        let (prompt, _) = instil::rows::prompt_and_completion(&row).unwrap();
        assert!(prompt.contains(&text[span]), "{prompt}");
        rows += 1;
    }
    assert!(rows > 5);
}

#[test]
fn single_files_hold_the_formats_columns_and_nothing_else() {
    let place = Place::with_examples();
    for (format, columns) in [
        ("messages", "messages"),
        ("prompt-completion", "prompt completion"),
        ("bonito", "input output"),
        ("alpaca", "instruction input output"),
    ] {
        place.ok(&["generate", "examples/", "-o", "rows.jsonl", "-f", format, "--overwrite", "-q"]);
        let rows = objects(&std::fs::read_to_string(place.path("rows.jsonl")).unwrap());
        for row in &rows {
            let keys: Vec<&str> = row.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(keys.join(" "), columns);
        }
        assert!(!place.path("rows.jsonl.run").exists());
    }
    for name in ["rows.jsonl.gz", "rows.jsonl.zst", "rows.json", "rows.csv", "rows.parquet"] {
        place.ok(&["generate", "examples/", "-o", name, "-f", "alpaca", "-q"]);
        let stats: serde_json::Value = serde_json::from_str(&place.ok(&["stats", name, "--json"])).unwrap();
        assert!(stats["rows"].as_u64().unwrap() >= 30, "{name}");
    }
}

#[test]
fn rows_are_printed_on_request_and_read_from_standard_input() {
    use std::io::Write;
    let place = Place::new();
    let line = "{\"text\": \"The mill was built by Tomas Reyl in 1874. It ground rye until 1931.\"}\n";
    let mut child = place
        .command(&["generate", "-", "-o", "-", "--task", "exqa", "-q"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(line.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let rows = objects(&String::from_utf8(output.stdout).unwrap());
    assert!(rows[0]["messages"][0]["content"].as_str().unwrap().contains("Tomas Reyl"));
}

#[test]
fn a_limit_that_is_missed_is_exit_code_1() {
    let place = Place::new();
    place.write("a.txt", "Too short.");
    let told = place.told(&["generate", "a.txt", "-o", "out", "--max-drop", "50%"]);
    assert!(told.starts_with("exit 1\n"), "{told}");
    assert!(told.contains("more than --max-drop 50.0 %"), "{told}");
    assert!(place.path("out/README.md").exists(), "the output is there all the same");
}

#[test]
fn a_dry_run_shows_the_prompts_and_writes_nothing() {
    let place = Place::new();
    place.write("a.txt", "The library opens at nine.\n");
    assert_snapshot!(place.told(&["generate", "a.txt", "-o", "out", "--task", "nli,qa", "--dry-run"]));
    assert!(!place.path("out").exists());
}

#[test]
fn steps_of_a_recipe_run_one_after_the_other() {
    let place = Place::with_examples();
    let step = |input: &str, output: &str, rest: &str| {
        format!("[[step]]\nverb = \"generate\"\ninput = [\"{input}\"]\noutput = \"{output}\"\n{rest}\n")
    };
    let recipe = format!(
        "version = 1\n{}{}",
        step("examples/", "first.jsonl", "format = \"bonito\"\ntask = [\"summarization\"]"),
        // The summaries of the first step are the texts of the second.
        step("first.jsonl", "second", "text_column = \"input\"\ntask = [\"exqa\"]"),
    );
    place.write("chain.toml", recipe);
    assert!(
        place
            .ok(&["check", "chain.toml"])
            .contains("step 2, generate, reads what an earlier step makes: first.jsonl")
    );
    place.ok(&["run", "chain.toml", "-q"]);
    let stats: serde_json::Value = serde_json::from_str(&place.ok(&["stats", "second", "--json"])).unwrap();
    assert!(stats["sources"]["first.jsonl"]["exqa"]["kept"].as_u64().unwrap() > 0);
}

#[test]
fn lists_and_doctor_answer() {
    let place = Place::new();
    assert_eq!(place.ok(&["list", "tasks", "--json"]).lines().count(), 16);
    for what in ["tasks", "formats", "rejects", "repairs"] {
        assert!(place.ok(&["list", what]).lines().count() >= 4);
    }
    assert!(place.ok(&["doctor"]).contains("ok working folder"));
    assert_snapshot!(place.told(&["list", "formats"]));
}

#[test]
fn ctrl_c_leaves_a_run_that_the_same_command_continues() {
    use crate::server::{Reply, Server};
    use std::time::Duration;
    let server = Server::start(Duration::from_millis(150), |_| Reply::Answer);
    let place = Place::new();
    let lines: String =
        (0..60).map(|i| format!("{{\"id\": \"d{i}\", \"text\": \"Herd {i} is large.\"}}\n")).collect();
    place.write("a.jsonl", lines);
    let args = [
        "generate",
        "a.jsonl",
        "-o",
        "out",
        "--task",
        "exqa",
        "--concurrency",
        "2",
        "--endpoint",
        &server.url,
    ];
    let child = place.command(&args).stderr(std::process::Stdio::piped()).spawn().unwrap();
    while server.calls.load(std::sync::atomic::Ordering::Relaxed) < 6 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let interrupt =
        std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(interrupt.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert!(String::from_utf8_lossy(&output.stderr).contains("interrupted; the same command continues"));
    let report: serde_json::Value =
        serde_json::from_slice(&std::fs::read(place.path("out/run/report.json")).unwrap()).unwrap();
    assert_eq!(report["finished"], false);
    assert!(report["stages"][3]["pending"].as_u64().unwrap() > 0);
    place.ok(&args);
    assert!(place.path("out/README.md").exists());
}

#[test]
fn an_output_inside_of_the_input_is_not_read_the_second_time() {
    let place = Place::new();
    place.write("a.txt", "The mill was built by Tomas Reyl in 1874. It ground rye until 1931.");
    for output in ["out", "rows.jsonl"] {
        let args = ["generate", ".", "-o", output, "--keep-run", "--overwrite", "--verbose"];
        place.ok(&args);
        let again = place.told(&args);
        let read: Vec<&str> = again.lines().filter(|line| line.starts_with("reads ")).collect();
        assert!(read.len() == 1 && read[0].contains("/a.txt "), "{again}");
        if output == "out" {
            std::fs::remove_dir_all(place.path("out")).unwrap();
        }
    }
}
