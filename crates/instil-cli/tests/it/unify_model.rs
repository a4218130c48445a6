//! `unify` with a model that writes definitions: a server on 127.0.0.1, a recording, random weights that judge.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use instil::transfer::{Task, offline, prompt};
use instil::unify::{Instruction, Level};
use serde_json::{Value, json};

use crate::support::{Place, objects};

/// A chat server that answers a call with texts; it ends with the test process.
struct Server {
    url: String,
    /// The bodies of all calls.
    calls: Arc<Mutex<Vec<Value>>>,
}

impl Server {
    fn start(delay: Duration, answer: impl Fn(&Value, usize) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let calls: Arc<Mutex<Vec<Value>>> = Arc::default();
        let (seen, answer) = (Arc::clone(&calls), Arc::new(answer));
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                std::thread::spawn(move || {
                    let mut reader = BufReader::new(stream.try_clone().unwrap());
                    loop {
                        let (mut head, mut length) = (String::new(), 0);
                        if reader.read_line(&mut head).unwrap_or(0) == 0 {
                            return;
                        }
                        loop {
                            let mut line = String::new();
                            reader.read_line(&mut line).unwrap();
                            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                                length = value.trim().parse().unwrap();
                            }
                            if line.trim().is_empty() {
                                break;
                            }
                        }
                        let mut body = vec![0; length];
                        reader.read_exact(&mut body).unwrap();
                        let reply = if head.starts_with("GET") {
                            json!({"data": [{"id": "tiny"}]})
                        } else {
                            let call: Value = serde_json::from_slice(&body).unwrap();
                            let choices: Vec<Value> = (0..call["n"].as_u64().unwrap_or(1) as usize)
                                .map(|at| json!({"index": at, "message": {"content": (*answer)(&call, at)}, "finish_reason": "stop"}))
                                .collect();
                            std::thread::sleep(delay);
                            seen.lock().unwrap().push(call);
                            json!({"choices": choices, "usage": {"prompt_tokens": 100, "completion_tokens": 40}})
                        };
                        let reply = reply.to_string();
                        let head = format!(
                            "HTTP/1.1 200 X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                            reply.len()
                        );
                        // A client that was killed in the middle is no matter here.
                        if stream.write_all(format!("{head}{reply}").as_bytes()).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { url, calls }
    }

    fn count(&self) -> usize {
        self.calls.lock().unwrap().len()
    }
}

/// The last thing that was said to the model.
fn asked(call: &Value) -> &str {
    call["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap()
}

fn definition(text: &str) -> String {
    json!({"definition": text, "explanations": ["It is so.", "It is so."]}).to_string()
}

const GOOD: &str =
    "Given a premise and a hypothesis, answer \"yes\" if the second follows from the first, else \"no\".";

/// Rows of keywords, for which rules can't write what is to be done.
fn keywords(place: &Place, tasks: &[&str]) {
    let mut lines = String::new();
    for task in tasks {
        for row in 0..60 {
            let input =
                format!("premise: the cat {row} is on the dog [SEP] hypothesis: a dog is there {row}");
            let output = if row % 2 == 0 { "yes" } else { "no" };
            lines += &format!("{}\n", json!({"task": task, "prompt": input, "completion": output}));
        }
    }
    place.write("rows.jsonl", lines);
}

fn report(place: &Place, folder: &str) -> Vec<Value> {
    objects(&std::fs::read_to_string(place.path(folder).join("candidates.jsonl")).unwrap())
}

#[test]
fn what_rules_cannot_write_is_asked_once_and_the_rows_stay_as_they_were() {
    let server =
        Server::start(Duration::ZERO, |call, at| match (asked(call).contains("can't be used"), at) {
            (true, _) => definition(GOOD),
            (false, 0) => "I'd say: it depends.".to_owned(),
            // Cut off at its first quote, as the published ones are.
            (false, 1) => definition("Given a premise and a hypothesis, answer "),
            (false, 2) => {
                format!("Here you are:\n```json\n{{\"definition\": \"{GOOD}\", \"explanations\": []}}\n```")
            }
            // It gives an answer that is no label away, and forgets the labels.
            (false, _) => definition("Say whether the hypothesis follows."),
        });
    let place = Place::new();
    keywords(&place, &["rte"]);
    let args = [
        "unify",
        "rows.jsonl",
        "-o",
        "out.jsonl",
        "--endpoint",
        &server.url,
        "--candidates",
        "4",
        "--prices",
        "1,2",
    ];
    let told = place.told(&args);
    assert!(told.starts_with("exit 0"), "{told}");
    for part in [
        "1 definition to be written: 1 call",
        "nobody judges",
        "of money",
        "1 asked_again",
        "1 prose_around",
        "1 inner_quotes",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!(server.count(), 2, "one call for the task, one for the reply without JSON");
    let rows = objects(&std::fs::read_to_string(place.path("out.jsonl")).unwrap());
    assert_eq!(rows.len(), 60);
    for (at, row) in rows.iter().enumerate() {
        assert_eq!(row["definition"], GOOD);
        let inputs = row["inputs"].as_str().unwrap();
        assert!(
            inputs.contains(&format!("the cat {at} is on the dog"))
                && inputs.contains(&format!("a dog is there {at}")),
            "{inputs}"
        );
        assert_eq!(row["targets"], if at % 2 == 0 { "yes" } else { "no" });
    }
    let choice = &report(&place, "out.jsonl.definitions")[0];
    assert_eq!((&choice["chosen"], &choice["reason"]), (&json!(0), &json!("first_that_passes")));
    assert_eq!(choice["candidates"][0]["raw"][0], "I'd say: it depends.");
    let failed = |at: usize| {
        let checks = choice["candidates"][at]["checks"].as_array().unwrap();
        checks
            .iter()
            .filter(|check| check["verdict"] == "fail")
            .map(|check| check["kind"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!((failed(0), failed(1).contains(&json!("completeness"))), (vec![], true));
    // The settled run needs no model: its definitions stand in a file.
    let again = [
        "unify",
        "rows.jsonl",
        "-o",
        "again.jsonl",
        "--definitions",
        "out.jsonl.definitions/definitions.jsonl",
    ];
    place.ok(&again);
    assert_eq!(
        std::fs::read(place.path("again.jsonl")).unwrap(),
        std::fs::read(place.path("out.jsonl")).unwrap()
    );
    assert_eq!(server.count(), 2);
}

#[test]
fn a_capped_run_stops_in_order_and_goes_on_where_it_stopped() {
    let server = Server::start(Duration::ZERO, |_, _| definition(GOOD));
    let place = Place::new();
    keywords(&place, &["one", "two", "three"]);
    let args = |more: &[&'static str]| {
        let mut args =
            vec!["unify", "rows.jsonl", "-o", "out.jsonl", "--endpoint", &server.url, "--candidates", "2"];
        args.extend(more);
        args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<String>>()
    };
    let told = |args: Vec<String>| place.told(&args.iter().map(String::as_str).collect::<Vec<_>>());
    let first = told(args(&["--cap-calls", "2"]));
    assert!(
        first.starts_with("exit 2") && first.contains("the cap of 2 calls is reached; 1 task left"),
        "{first}"
    );
    assert!(!place.path("out.jsonl").exists());
    assert_eq!(server.count(), 2);
    let rest = told(args(&["--cap-calls", "1"]));
    assert!(rest.starts_with("exit 0") && rest.contains("1 call made"), "{rest}");
    assert_eq!(server.count(), 3, "no call was made twice");
    let error = told(args(&["--cap-money", "1"]));
    assert!(error.contains("--prices"), "{error}");
    // A look costs nothing.
    let look = told(args(&["--dry-run"]));
    assert!(look.contains("3 definitions to be written: 3 calls"), "{look}");
    assert_eq!(server.count(), 3);
}

#[test]
fn acceptance_7_a_killed_unify_calls_nobody_twice() {
    let server = Server::start(Duration::from_millis(40), |_, _| definition(GOOD));
    let place = Place::new();
    let names: Vec<String> = (0..12).map(|task| format!("task {task}")).collect();
    keywords(&place, &names.iter().map(String::as_str).collect::<Vec<_>>());
    let args = [
        "unify",
        "rows.jsonl",
        "-o",
        "out.jsonl",
        "--endpoint",
        &server.url,
        "--candidates",
        "2",
        "--concurrency",
        "1",
    ];
    // Twelve calls take half a second and more; a run that is done sooner than it is killed is the last one.
    let mut kills = 0;
    for moment in 1..=6_u64 {
        let mut child = place.command(&args).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(100 + 20 * moment));
        if child.try_wait().unwrap().is_some() {
            break;
        }
        kills += 1;
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(kills > 0);
    if !place.path("out.jsonl").exists() {
        place.ok(&args);
    }
    let calls = server.calls.lock().unwrap();
    let tasks: std::collections::BTreeSet<&str> = calls.iter().map(asked).collect();
    assert!(!tasks.is_empty());
    // Each of the twelve tasks has a call of its own seed. A call that was under way at a kill is unanswered, and is asked for
    // again; no other is.
    let seeds: std::collections::BTreeSet<u64> =
        calls.iter().map(|call| call["seed"].as_u64().unwrap()).collect();
    assert_eq!(seeds.len(), 12);
    assert!(calls.len() <= 12 + kills, "{} calls after {kills} kills", calls.len());
}

#[test]
fn weights_judge_by_the_same_rows_and_shared_heads_are_told() {
    let server = Server::start(Duration::ZERO, |_, at| {
        definition(&format!(
            "{GOOD} Look at both of them with care, and take your time{}.",
            " again".repeat(at)
        ))
    });
    let place = Place::new();
    place.add_model();
    keywords(&place, &["rte"]);
    let run = |output: &str, more: &[&str]| {
        let mut args = vec![
            "unify",
            "rows.jsonl",
            "-o",
            output,
            "--endpoint",
            &server.url,
            "--scorer",
            "model",
            "--candidates",
            "4",
        ];
        args.extend(more);
        place.told(&args)
    };
    let told = run("out.jsonl", &[]);
    assert!(told.contains("saved by shared heads"), "{told}");
    let choice = report(&place, "out.jsonl.definitions").remove(0);
    assert_eq!(choice["rows"], 32);
    let scored = choice["candidates"].as_array().unwrap();
    assert!(
        scored
            .iter()
            .all(|one| one["score"].is_f64() && one["right"].is_f64() && one["lift"]["nats"].is_f64()),
        "{choice}"
    );
    // Random weights may find no definition better than none; whichever it is, it is said.
    let reason = choice["reason"].as_str().unwrap();
    assert!(["likeliest", "shorter", "most_right", "only_one", "no_lift"].contains(&reason), "{reason}");
    assert_eq!(choice["chosen"].is_null(), reason == "no_lift");
    // The same again: no call, no score, the same report.
    let calls = server.count();
    std::fs::remove_file(place.path("out.jsonl")).unwrap();
    run("out.jsonl", &[]);
    assert_eq!((server.count(), report(&place, "out.jsonl.definitions").remove(0)), (calls, choice));
    let published = run("published.jsonl", &["--reference"]);
    assert!(published.contains("least_loss"), "{published}");
}

#[test]
fn one_instruction_is_brought_to_the_style() {
    let place = Place::new();
    place.write("mine.txt", "Which kettle leaks, \"A\" or \"B\"?\n");
    let mut source = Instruction::new("mine.txt", Level::Instance);
    source.definition = Some("Which kettle leaks, \"A\" or \"B\"?".to_owned());
    let task = Task { source, to: Level::Task, rows: Vec::new() };
    let asked = prompt::input(&task, &[], &[], true).text();
    let line = |text: &str| {
        json!({"prompt": asked, "completion": json!({"definition": text, "explanations": []}).to_string()})
            .to_string()
    };
    let lost = line("Say which of two kettles leaks.");
    let whole = line("You are told of two kettles. Answer \"A\" or \"B\": the one that leaks.");
    place.write("said.jsonl", format!("{lost}\n{whole}\n"));
    let args = ["unify", "--prompt-file", "mine.txt", "--replay", "said.jsonl", "--candidates", "2"];
    let output = place.run(&args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "You are told of two kettles. Answer \"A\" or \"B\": the one that leaks.\n",
        "the other one lost its literals"
    );
    let nobody = place.told(&["unify", "--prompt-file", "mine.txt"]);
    assert!(nobody.contains("--replay"), "{nobody}");
}

#[test]
fn pairs_are_made_of_templates_and_definitions_and_what_writes_is_judged() {
    let place = Place::new();
    let sets = ["boilq", "steamq", "teaqa", "kettleqa", "lidqa", "spoutqa"];
    let mut definitions = String::new();
    std::fs::create_dir(place.path("templates")).unwrap();
    for set in sets {
        definitions += &format!(
            "{}\n",
            json!({
                "task": format!("task7_{set}_answer_generation"),
                "definition": format!("Answer the question about the {set}, with \"yes\" or \"no\"."),
                "positive_example": {"input": "Does it boil?", "output": "yes", "explanation": "It boils."},
            })
        );
        place.write(&format!("templates/{set}.yaml"), format!(
            "dataset: {set}\ntemplates:\n  a: {{name: asks, id: a, jinja: \"{{{{text}}}}\\nIs the {set} \\\"yes\\\" or \\\"no\\\"? ||| {{{{answer}}}}\", answer_choices: null, metadata: {{original_task: true}}}}\n"
        ));
    }
    place.write("definitions.jsonl", definitions);
    place.write(
        "pairs.toml",
        "version = 1\n[[step]]\nverb = \"unify\"\nmake_pairs = \"definitions.jsonl\"\ntemplates = [\"templates\"]\noutput = \"pairs\"\n",
    );
    let shown = place.ok(&["check", "pairs.toml"]);
    assert!(shown.contains("would pair the definitions of `definitions.jsonl`"), "{shown}");
    place.ok(&["run", "pairs.toml", "--dry-run", "-q"]);
    place.ok(&["unify", "--judge", "no.jsonl", "--dry-run", "-q"]);
    assert!(!Path::new(&place.path("pairs")).exists(), "looking writes nothing");
    let made = place.told(&[
        "unify",
        "--make-pairs",
        "definitions.jsonl",
        "--templates",
        "templates",
        "-o",
        "pairs",
        "--seed",
        "3",
    ]);
    assert!(made.starts_with("exit 0"), "{made}");
    let read =
        |name: &str| objects(&std::fs::read_to_string(place.path("pairs").join(name)).unwrap_or_default());
    let (train, test) = (read("train.jsonl"), read("test.jsonl"));
    assert_eq!(train.len() + test.len(), sets.len(), "{made}");
    assert!(!test.is_empty() && !train.is_empty(), "{made}");
    assert_eq!(read("rows.jsonl").len(), train.len());
    // A recording that knows the answer to each pair that was held out.
    let pairs = instil::transfer::pairs::read(Path::new(&place.path("pairs/test.jsonl"))).unwrap();
    let said: String = pairs
        .iter()
        .map(|pair| {
            let prompt = prompt::input(&offline::task(pair), &[], &[], true).text();
            format!("{}\n", json!({"prompt": prompt, "completion": offline::example(pair).1}))
        })
        .collect();
    place.write("said.jsonl", said);
    let table = place.ok(&["unify", "--judge", "pairs/test.jsonl", "--replay", "said.jsonl", "-q"]);
    let row = |name: &str| {
        table
            .lines()
            .find(|line| line.trim().starts_with(name))
            .unwrap_or_else(|| panic!("{table}"))
            .to_owned()
    };
    assert!(row("replay").matches("100.0 %").count() == 3 && row("replay").contains("100.00"), "{table}");
    assert!(row("copying").contains("100.0 %") && !row("rules").contains("100.00"), "{table}");
}

#[test]
fn a_step_of_a_recipe_has_definitions_written_and_its_settled_recipe_needs_no_model() {
    let server = Server::start(Duration::ZERO, |_, _| definition(GOOD));
    let place = Place::new();
    keywords(&place, &["rte"]);
    place.write(
        "recipe.toml",
        format!(
            "version = 1\n[[step]]\nverb = \"unify\"\ninput = [\"rows.jsonl\"]\noutput = \"out.jsonl\"\nkeep_run = true\n\
             endpoint = \"{}\"\ncandidates = 2\n",
            server.url
        ),
    );
    let shown = place.ok(&["check", "recipe.toml"]);
    assert!(shown.contains("1 definition to be written: 1 call"), "{shown}");
    assert_eq!(server.count(), 0);
    place.ok(&["run", "recipe.toml", "-q"]);
    assert_eq!(server.count(), 1);
    let rows = objects(&std::fs::read_to_string(place.path("out.jsonl")).unwrap());
    assert_eq!((rows.len(), rows[0]["definition"].as_str()), (60, Some(GOOD)));
    let settled = std::fs::read_to_string(place.path("out.jsonl.run/recipe.toml")).unwrap();
    assert!(
        settled.contains("out.jsonl.definitions/definitions.jsonl") && !settled.contains("endpoint"),
        "{settled}"
    );

    let none = "version = 1\n[[step]]\nverb = \"unify\"\ninput = [\"rows.jsonl\"]\noutput = \"out.jsonl\"\nmodel = \"m\"\ncandidates = 0\n";
    place.write("none.toml", none);
    let told = place.told(&["run", "none.toml"]);
    assert!(told.contains("can't be chosen of 0 candidates"), "{told}");
}
