//! `pull`: what arrives, and what is told when it doesn't.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::loopback::{Fault, Files, Hub, TOKEN, commit_of, git_id, sha256};
use super::{bytes, command, ok, refused, run, run_with_token, stderr};
use crate::support::Place;

const SETTINGS: &[u8] = br#"{"model_type": "llama"}"#;

/// A Hub with a model of two shards and files that aren't needed.
fn with_model() -> (Hub, Files) {
    let hub = Hub::start();
    let (first, second) = (bytes(700_000, 1), bytes(300_001, 2));
    hub.add(
        "models/ines/tiny",
        &[
            (".gitattributes", b"x"),
            ("README.md", b"# tiny"),
            ("chat_template.jinja", b"{{ messages }}"),
            ("config.json", SETTINGS),
            ("model-00001-of-00002.safetensors", &first),
            ("model-00002-of-00002.safetensors", &second),
            ("onnx/model.onnx", &bytes(5000, 3)),
            ("pytorch_model.bin", &bytes(6000, 4)),
            ("tokenizer.json", b"{}"),
        ],
    );
    let files = hub.files("models/ines/tiny", "main");
    (hub, files)
}

const NEEDED: [&str; 5] = [
    "chat_template.jinja",
    "config.json",
    "model-00001-of-00002.safetensors",
    "model-00002-of-00002.safetensors",
    "tokenizer.json",
];

#[track_caller]
fn assert_holds(folder: &Path, files: &Files, paths: &[&str]) {
    for path in paths {
        assert!(fs::read(folder.join(path)).unwrap() == files[*path], "{path} has other bytes");
    }
    let mut entries: Vec<&str> = paths.iter().map(|path| path.split('/').next().unwrap()).collect();
    entries.dedup();
    assert_eq!(fs::read_dir(folder).unwrap().count(), entries.len(), "and nothing else");
}

fn blobs(place: &Place) -> PathBuf {
    place.path("hf/hub/models--ines--tiny/blobs")
}

#[test]
fn a_model_arrives_in_the_cache_as_its_library_would_put_it_there() {
    let (hub, files) = with_model();
    let place = Place::new();
    let output = run_with_token(&place, &hub, &["pull", "ines/tiny"]);
    let printed = ok(&output);
    let commit = commit_of(&files);
    let root = place.path("hf/hub/models--ines--tiny");
    let folder = root.join("snapshots").join(&commit);
    assert_eq!(printed, format!("{}\n", folder.display()));
    assert!(stderr(&output).contains("5 files, 5 of them fetched now"), "{}", stderr(&output));
    assert_holds(&folder, &files, &NEEDED);
    assert_eq!(fs::read_to_string(root.join("refs/main")).unwrap(), commit);
    for path in NEEDED {
        let large = files[path].len() > 1000;
        let name = if large { sha256(&files[path]) } else { git_id(&files[path]) };
        assert_eq!(fs::read_link(folder.join(path)).unwrap(), Path::new("../../blobs").join(&name));
        assert!(blobs(&place).join(name).is_file());
    }
    assert_eq!(fs::read_dir(blobs(&place)).unwrap().count(), 5, "nothing unfinished is left");

    // The store of large files was asked, and never saw the token, which the Hub always did.
    let seen = hub.seen();
    assert_eq!(seen.iter().filter(|seen| seen.at == "store").count(), 2);
    for seen in seen {
        let token = (seen.at == "hub").then(|| format!("Bearer {TOKEN}"));
        assert_eq!(seen.authorization, token, "{seen:?}");
    }
    assert!(!stderr(&output).contains(TOKEN));
}

#[test]
fn what_is_there_is_not_fetched_again() {
    let (hub, files) = with_model();
    let place = Place::new();
    let first = ok(&run(&place, &hub, &["pull", "ines/tiny", "-q"]));
    hub.seen();
    // Only what `main` stands for now is asked.
    assert_eq!(ok(&run(&place, &hub, &["pull", "ines/tiny", "-q"])), first);
    let asked: Vec<String> = hub.seen().into_iter().map(|seen| seen.path).collect();
    assert_eq!(asked, ["/api/models/ines/tiny/revision/main"]);
    // A commit doesn't change, and offline nothing may be asked.
    let commit = format!("ines/tiny@{}", commit_of(&files));
    assert_eq!(ok(&run(&place, &hub, &["pull", &commit, "-q"])), first);
    let mut offline = command(&place, &hub, &["pull", "ines/tiny"]);
    assert_eq!(ok(&offline.env("HF_HUB_OFFLINE", "1").output().unwrap()), first);
    assert_eq!(hub.seen().len(), 0);

    // Another commit shares the blobs that are the same.
    let mut changed = files.clone();
    changed.insert("config.json".to_owned(), b"{}".to_vec());
    let changed: Vec<(&str, &[u8])> =
        changed.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect();
    hub.add("models/ines/tiny", &changed);
    let output = run(&place, &hub, &["pull", "ines/tiny"]);
    assert_ne!(ok(&output), first);
    // The new config.json has the bytes of tokenizer.json.
    assert!(stderr(&output).contains("5 files, all of them here already"), "{}", stderr(&output));
}

#[test]
fn an_unreachable_hub_gives_what_was_fetched_before() {
    let (hub, _) = with_model();
    let place = Place::new();
    let first = ok(&run(&place, &hub, &["pull", "ines/tiny", "-q"]));
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = command(&place, &hub, &["pull", "ines/tiny"]);
    let output = command.env("HF_ENDPOINT", format!("http://{nobody}")).output().unwrap();
    assert_eq!(ok(&output), first);
    assert!(
        stderr(&output).contains("as it was fetched before: failed to reach the Hub"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn everything_that_passes_is_passed() {
    let (hub, files) = with_model();
    let place = Place::new();
    let (first, second) = (
        sha256(&files["model-00001-of-00002.safetensors"]),
        sha256(&files["model-00002-of-00002.safetensors"]),
    );
    hub.fail("/revision/main", Fault::Status(429));
    hub.fail("/tree/", Fault::Status(503));
    hub.fail("cursor=3", Fault::Cut(10));
    hub.fail("config.json", Fault::Status(500));
    hub.fail("tokenizer.json", Fault::Corrupt);
    hub.fail(&first, Fault::Cut(100_000));
    hub.fail(&first, Fault::Cut(50_000));
    hub.fail(&first, Fault::WholeFile);
    hub.fail(&second, Fault::Corrupt);
    let folder = ok(&run(&place, &hub, &["pull", "ines/tiny", "-q"]));
    assert!(hub.has_failed());
    assert_holds(Path::new(folder.trim()), &files, &NEEDED);
    let ranges: Vec<_> =
        hub.seen().into_iter().filter(|seen| seen.path.contains(&first)).map(|seen| seen.range).collect();
    // The third answer was the whole file again, and all of it was taken.
    assert_eq!(ranges, [None, Some("bytes=100000-".to_owned()), Some("bytes=150000-".to_owned())]);
}

#[test]
fn a_silent_server_is_left() {
    let (hub, files) = with_model();
    let place = Place::new();
    let first = sha256(&files["model-00001-of-00002.safetensors"]);
    hub.fail(&first, Fault::Hang(200_000));
    let mut command = command(&place, &hub, &["pull", "ines/tiny", "-q"]);
    let folder = ok(&command.env("HF_HUB_DOWNLOAD_TIMEOUT", "1").output().unwrap());
    assert_holds(Path::new(folder.trim()), &files, &NEEDED);
    let ranges: Vec<_> = hub
        .seen()
        .into_iter()
        .filter(|seen| seen.path.contains(&first))
        .filter_map(|seen| seen.range)
        .collect();
    assert_eq!(ranges, ["bytes=200000-"]);
}

#[test]
fn bytes_that_stay_wrong_are_refused_and_nothing_is_left_of_them() {
    let (hub, files) = with_model();
    let place = Place::new();
    let first = sha256(&files["model-00001-of-00002.safetensors"]);
    hub.fail(&first, Fault::Corrupt);
    hub.fail(&first, Fault::Corrupt);
    let told = refused(&run(&place, &hub, &["pull", "ines/tiny"]));
    assert!(
        told.contains("`model-00001-of-00002.safetensors` of `ines/tiny` arrived twice with other bytes"),
        "{told}"
    );
    assert!(told.contains(&first) && told.contains("hint: something between here and the Hub"), "{told}");
    assert!(
        !blobs(&place).join(&first).exists() && !blobs(&place).join(format!("{first}.incomplete")).exists()
    );
    assert!(!place.path("hf/hub/models--ines--tiny/snapshots").exists(), "no half of a snapshot");
}

#[test]
fn a_killed_pull_goes_on_where_it_stopped() {
    let (hub, files) = with_model();
    let place = Place::new();
    let first = sha256(&files["model-00001-of-00002.safetensors"]);
    hub.fail(&first, Fault::Hang(400_000));
    let mut child = command(&place, &hub, &["pull", "ines/tiny", "-q"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let partial = blobs(&place).join(format!("{first}.incomplete"));
    let begun = Instant::now();
    while fs::metadata(&partial).map_or(0, |found| found.len()) < 400_000 {
        assert!(begun.elapsed() < Duration::from_secs(30), "it never came so far");
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let mut printed = String::new();
    child.stdout.unwrap().read_to_string(&mut printed).unwrap();
    assert_eq!(printed, "", "a folder is named only when it is whole");

    // Offline, what is not whole isn't there.
    let mut offline = command(&place, &hub, &["pull", "ines/tiny"]);
    let told = refused(&offline.env("HF_HUB_OFFLINE", "1").output().unwrap());
    assert!(told.contains("the model `ines/tiny` is not in the cache"), "{told}");
    assert!(told.contains("without it `instil pull ines/tiny` fetches it"), "{told}");

    hub.seen();
    let folder = ok(&run(&place, &hub, &["pull", "ines/tiny", "-q"]));
    assert_holds(Path::new(folder.trim()), &files, &NEEDED);
    let of_first: Vec<_> = hub.seen().into_iter().filter(|seen| seen.path.contains(&first)).collect();
    assert_eq!(of_first.len(), 1);
    assert_eq!(of_first[0].range.as_deref(), Some("bytes=400000-"));
}

#[cfg(unix)]
#[test]
fn an_interrupted_pull_says_so_by_its_code() {
    let (hub, files) = with_model();
    let place = Place::new();
    hub.fail(&sha256(&files["model-00001-of-00002.safetensors"]), Fault::Hang(400_000));
    let child = command(&place, &hub, &["pull", "ines/tiny", "-q"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while !hub.has_failed() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it never came so far");
        std::thread::sleep(Duration::from_millis(10));
    }
    let killed = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(130), 0), "{}", stderr(&output));
    ok(&run(&place, &hub, &["pull", "ines/tiny", "-q"]));
}

#[test]
fn two_at_once_fetch_each_blob_once() {
    let (hub, files) = with_model();
    let place = Place::new();
    let spawn = || {
        let mut command = command(&place, &hub, &["pull", "ines/tiny", "-q"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let outputs = [spawn(), spawn(), spawn()].map(|child| child.wait_with_output().unwrap());
    for output in &outputs {
        assert_holds(Path::new(ok(output).trim()), &files, &NEEDED);
    }
    assert_eq!(hub.seen().iter().filter(|seen| seen.at == "store").count(), 2);
}

#[test]
fn a_dataset_comes_whole_or_by_name() {
    let hub = Hub::start();
    let shard = bytes(20_000, 5);
    hub.add(
        "datasets/ines/notes",
        &[
            ("README.md", b"# notes"),
            ("data/train-00000-of-00001.parquet", &shard),
            ("data/a b.txt", b"x"),
            ("x.json", b"{}"),
        ],
    );
    let files = hub.files("datasets/ines/notes", "main");
    let place = Place::new();
    let some = ok(&run(
        &place,
        &hub,
        &["pull", "ines/notes", "--dataset", "--file", "data/*.parquet,README.md", "-q"],
    ));
    assert_holds(Path::new(some.trim()), &files, &["README.md", "data/train-00000-of-00001.parquet"]);
    // Of what is there offline, only what was fetched.
    let offline = |args: &[&str]| {
        let mut command = command(&place, &hub, args);
        command.env("HF_HUB_OFFLINE", "1").output().unwrap()
    };
    assert_eq!(ok(&offline(&["pull", "ines/notes", "--dataset", "--file", "README.md"])), some);
    refused(&offline(&["pull", "ines/notes", "--dataset"]));

    let all = ok(&run(&place, &hub, &["pull", "ines/notes", "--dataset", "--json", "-q"]));
    let report: serde_json::Value = serde_json::from_str(&all).unwrap();
    assert_eq!(report["fetched"], 2);
    assert_eq!(report["files"].as_array().unwrap().len(), 4);
    let folder = PathBuf::from(report["folder"].as_str().unwrap());
    assert!(fs::read(folder.join("data/a b.txt")).unwrap() == b"x");
    assert_eq!(
        fs::read_link(folder.join("data/a b.txt")).unwrap(),
        Path::new("../../../blobs").join(git_id(b"x"))
    );
    assert_eq!(ok(&offline(&["pull", "ines/notes", "--dataset"])), some);
}

#[test]
fn who_is_not_let_in_is_told_why_and_what_to_do() {
    let (hub, _) = with_model();
    hub.state().repos.get_mut("models/ines/tiny").unwrap().gated = true;
    let place = Place::new();
    let told = |output| refused(&output).replace(&hub.url, "[HUB]");
    let gated = told(run(&place, &hub, &["pull", "ines/tiny"]));
    assert!(
        gated.contains("the model `ines/tiny` is given only to who has accepted its conditions"),
        "{gated}"
    );
    assert!(gated.contains("hint: accept them at [HUB]/ines/tiny and set HF_TOKEN"), "{gated}");
    ok(&run_with_token(&place, &hub, &["pull", "ines/tiny"]));

    let missing = told(run(&place, &hub, &["pull", "ines/other"]));
    assert!(missing.contains("the Hub has no model `ines/other` for this token"), "{missing}");
    assert!(missing.contains("A dataset wants --dataset, a private or gated model HF_TOKEN"), "{missing}");

    let revision = told(run(&place, &hub, &["pull", "ines/tiny@v9"]));
    assert!(revision.contains("the model `ines/tiny` has no revision `v9`"), "{revision}");

    let mut wrong = command(&place, &hub, &["pull", "ines/tiny"]);
    let wrong = told(wrong.env("HF_TOKEN", "hf_old_secret").output().unwrap());
    assert!(wrong.contains("the Hub refused the token: HTTP 401: Invalid credentials"), "{wrong}");
    assert!(wrong.contains("[HUB]/settings/tokens") && !wrong.contains("hf_old_secret"), "{wrong}");

    let no_id = told(run(&place, &hub, &["pull", "https://huggingface.co/ines/tiny"]));
    assert!(no_id.contains("hint: give what stands behind the address: `ines/tiny`"), "{no_id}");

    let no_file = told(run_with_token(&place, &hub, &["pull", "ines/tiny", "--file", "confg.json"]));
    assert!(no_file.contains("the model `ines/tiny` has no file `confg.json`"), "{no_file}");
    assert!(no_file.contains("did you mean `config.json`?"), "{no_file}");
}

#[test]
fn a_token_is_read_where_logging_in_left_it() {
    let (hub, _) = with_model();
    hub.state().repos.get_mut("models/ines/tiny").unwrap().private = true;
    let place = Place::new();
    refused(&run(&place, &hub, &["pull", "ines/tiny"]));
    fs::create_dir_all(place.path("hf")).unwrap();
    place.write("hf/token", format!("{TOKEN}\n"));
    ok(&run(&place, &hub, &["pull", "ines/tiny"]));
}

#[test]
fn a_model_that_is_named_is_fetched_once_and_then_nobody_is_asked() {
    use instil_remote::hub::{Config, Transfer, resolve_model};
    let (hub, files) = with_model();
    hub.add("models/ines/quantised", &[("x.Q4_K_M.gguf", &bytes(3000, 8)), ("x.Q8_0.gguf", &bytes(5000, 9))]);
    let place = Place::new();
    let config = Config { endpoint: hub.url.clone(), ..Config::new(place.path("hf/hub")) };
    let last = std::cell::Cell::new(Transfer::default());
    let resolve = |named: &str, config: &Config| {
        resolve_model(named, config, &mut |transfer| {
            last.set(*transfer);
            std::ops::ControlFlow::Continue(())
        })
    };
    let folder = resolve("ines/tiny", &config).unwrap().unwrap();
    let whole = NEEDED.iter().map(|path| files[*path].len() as u64).sum();
    assert_eq!(last.get(), Transfer { files: 5, files_done: 5, bytes: whole, bytes_done: whole });
    assert_holds(&folder, &files, &NEEDED);
    hub.seen();
    assert_eq!(resolve("ines/tiny", &config).unwrap().unwrap(), folder);
    assert!(hub.seen().is_empty(), "what is there is used as it is");

    // Of several files one is chosen by pulling it, and its path is what the name means from then on.
    let told = resolve("ines/quantised", &config).unwrap_err();
    assert!(told.to_string().ends_with("the model `ines/quantised` has 2 .gguf files"), "{told}");
    let snapshot = ok(&run(&place, &hub, &["pull", "ines/quantised", "--file", "*Q8_0*", "-q"]));
    let file = Path::new(snapshot.trim()).join("x.Q8_0.gguf");
    assert_eq!(resolve("ines/quantised", &config).unwrap().unwrap(), file);

    let offline = Config { offline: true, ..config };
    assert_eq!(resolve("ines/tiny", &offline).unwrap().unwrap(), folder);
    assert!(
        resolve("ines/other", &offline).unwrap_err().hint().unwrap().contains("`instil pull ines/other`")
    );
}

/// A limit on the size of files stands for a full disk: both fail a write.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_and_what_came_is_kept() {
    let (hub, files) = with_model();
    let place = Place::new();
    let program = env!("CARGO_BIN_EXE_instil");
    let mut limited = std::process::Command::new("bash");
    limited
        .args(["-c", &format!("trap '' XFSZ; ulimit -f 256; exec '{program}' pull ines/tiny -q")])
        .env("HF_ENDPOINT", &hub.url)
        .env("HF_HOME", place.path("hf"))
        .env_remove("HF_TOKEN")
        .env_remove("HF_HUB_CACHE")
        .env_remove("HF_HUB_OFFLINE");
    let told = refused(&limited.output().unwrap());
    assert!(told.contains("error: failed to write") && told.contains("hint: there is no room"), "{told}");
    hub.seen();
    let folder = ok(&run(&place, &hub, &["pull", "ines/tiny", "-q"]));
    assert_holds(Path::new(folder.trim()), &files, &NEEDED);
    assert!(hub.seen().iter().any(|seen| seen.range.as_deref() == Some("bytes=262144-")), "it goes on");
}
