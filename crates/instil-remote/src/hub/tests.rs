//! The choice of files, and what is found in a cache without asking anybody.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use super::listing::{Name, RepoFile, files_of, from_json, select, to_json};
use super::{Config, Kind, Repo, Wanted, find, resolve_model};

fn files(paths: &[&str]) -> Vec<RepoFile> {
    let file = |path: &&str| RepoFile { path: (*path).to_owned(), bytes: 2, name: Name::Git("0".repeat(40)) };
    paths.iter().map(file).collect()
}

fn model(named: &str) -> Repo {
    Repo::parse(named, Kind::Model).unwrap()
}

fn selected(paths: &[&str], patterns: &[&str]) -> Result<Vec<String>, String> {
    let wanted = Wanted { files: patterns.iter().map(|pattern| (*pattern).to_owned()).collect() };
    match select(&files(paths), &wanted, &model("a/b")) {
        Ok(files) => Ok(files.into_iter().map(|file| file.path).collect()),
        Err(error) => Err(format!("{error}; {}", error.hint().unwrap_or_default())),
    }
}

#[test]
fn of_a_model_what_it_needs_is_taken() {
    let all = [
        ".gitattributes",
        "README.md",
        "additional_chat_templates/tools.jinja",
        "chat_template.jinja",
        "config.json",
        "consolidated.safetensors",
        "generation_config.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
        "onnx/config.json",
        "onnx/model.safetensors",
        "original/consolidated.00.pth",
        "pytorch_model.bin",
        "tokenizer.json",
        "tokenizer.model",
    ];
    assert_eq!(
        selected(&all, &[]).unwrap(),
        [
            "additional_chat_templates/tools.jinja",
            "chat_template.jinja",
            "config.json",
            "generation_config.json",
            "model.safetensors.index.json",
            "tokenizer.json",
            "tokenizer.model",
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
        ]
    );
    assert_eq!(
        selected(&["consolidated.safetensors", "params.json"], &[]).unwrap(),
        ["params.json", "consolidated.safetensors"]
    );
    assert_eq!(
        selected(&all, &["onnx/", "*.bin"]).unwrap(),
        ["onnx/config.json", "onnx/model.safetensors", "pytorch_model.bin"]
    );
}

#[test]
fn of_several_gguf_files_one_is_to_be_chosen() {
    assert_eq!(selected(&["x.Q4_K_M.gguf", "config.json"], &[]).unwrap(), ["config.json", "x.Q4_K_M.gguf"]);
    let told = selected(&["x.Q4_K_M.gguf", "x.Q8_0.gguf"], &[]).unwrap_err();
    assert!(
        told.starts_with(
            "the model `a/b` has 2 .gguf files; choose one with --file, such as `--file x.Q4_K_M.gguf`"
        ),
        "{told}"
    );
    assert_eq!(selected(&["x.Q4_K_M.gguf", "x.Q8_0.gguf"], &["*Q8_0*"]).unwrap(), ["x.Q8_0.gguf"]);
}

#[test]
fn what_can_not_be_chosen_is_told() {
    let told = selected(&["config.json", "pytorch_model.bin"], &[]).unwrap_err();
    assert!(
        told.starts_with(
            "the model `a/b` has no weights in safetensors or GGUF, only such as `pytorch_model.bin`"
        ),
        "{told}"
    );
    let told = selected(&["config.json", "unet/x.safetensors"], &[]).unwrap_err();
    assert_eq!(
        told,
        "the model `a/b` has weights in folders only, such as `unet/x.safetensors`; name what is wanted, such as `--file unet/`"
    );
    let told = selected(&["config.json"], &["confg.json"]).unwrap_err();
    assert_eq!(
        told,
        "the model `a/b` has no file `confg.json`; did you mean `config.json`? it has `config.json`"
    );
    assert!(selected(&["a"], &["["]).unwrap_err().starts_with("`[` is no pattern for files"));
    assert_eq!(selected(&[], &[]).unwrap_err(), "the model `a/b` has no files; ");
}

#[test]
fn a_list_of_files_that_leads_out_of_the_repository_is_refused() {
    let page = |path: &str, oid: &str| serde_json::json!([{"type": "file", "path": path, "size": 1, "oid": oid}, {"type": "directory", "path": "d", "oid": "x"}]);
    let good = "0".repeat(40);
    assert_eq!(files_of(page("a/b.json", &good)).unwrap().len(), 1);
    for path in ["../x", "/etc/x", "a/../../x", "a\\..\\x", "", "C:x"] {
        assert!(files_of(page(path, &good)).is_err(), "{path}");
    }
    for oid in ["", "../../x", &"g".repeat(40), &"0".repeat(64)] {
        assert!(files_of(page("x", oid)).is_err(), "{oid}");
    }
    assert!(files_of(serde_json::json!({"error": "x"})).is_err());
}

#[test]
fn a_list_of_files_is_kept_and_read_again() {
    let mut all = files(&["a", "b/c"]);
    all[1].name = Name::Sha256("1".repeat(64));
    assert_eq!(from_json(&to_json(&all)).unwrap(), all);
    assert!(from_json(b"{\"format_version\": 2, \"files\": {}}").is_none());
    assert!(
        from_json(b"{\"format_version\": 1, \"files\": {\"../a\": {\"size\": 1, \"blob_id\": \"\"}}}")
            .is_none()
    );
}

/// A cache as an older `huggingface_hub` leaves it, without a list of files.
fn older(folder: &Path, present: &[&str]) -> Config {
    let commit = "c".repeat(40);
    let root = folder.join("models--a--b");
    let snapshot = root.join("snapshots").join(&commit);
    fs::create_dir_all(root.join("refs")).unwrap();
    fs::create_dir_all(&snapshot).unwrap();
    fs::write(root.join("refs/main"), &commit).unwrap();
    for path in present {
        let text = match path.ends_with("index.json") {
            true => r#"{"weight_map": {"x": "m-1.safetensors", "y": "m-2.safetensors"}}"#,
            false => "{}",
        };
        fs::write(snapshot.join(path), text).unwrap();
    }
    Config { offline: true, ..Config::new(folder) }
}

fn is_found(present: &[&str]) -> bool {
    let folder = tempfile::tempdir().unwrap();
    find(&older(folder.path(), present), &model("a/b"), &Wanted::default()).is_some()
}

#[test]
fn what_an_older_library_has_fetched_is_found_if_its_weights_are_whole() {
    assert!(is_found(&["config.json", "model.safetensors"]));
    assert!(is_found(&["config.json", "x.gguf"]));
    assert!(!is_found(&["config.json"]));
    assert!(!is_found(&["config.json", "pytorch_model.bin"]));
    assert!(is_found(&["model.safetensors.index.json", "m-1.safetensors", "m-2.safetensors"]));
    assert!(!is_found(&["model.safetensors.index.json", "m-1.safetensors"]));
}

#[test]
fn a_model_is_a_path_or_an_id() {
    let folder = tempfile::tempdir().unwrap();
    let config = older(folder.path(), &["x.gguf"]);
    let mut nobody = |_: &super::Transfer| ControlFlow::Continue(());
    let mut told = |named: &str| match resolve_model(named, &config, &mut nobody) {
        Ok(path) => path.unwrap().display().to_string(),
        Err(error) => format!("{error}; {}", error.hint().unwrap_or_default()),
    };
    let here = folder.path().display().to_string();
    assert_eq!(told(&here), here);
    assert!(told("a/b").ends_with("/x.gguf"), "{}", told("a/b"));
    for neither in ["rule", "models/x.gguf", "./model", "/no/such/folder"] {
        assert!(
            told(neither).starts_with(&format!("there is no model `{neither}`; name a folder")),
            "{neither}"
        );
    }
    assert!(
        told("a/other").ends_with("HF_HUB_OFFLINE is set: without it `instil pull a/other` fetches it"),
        "{}",
        told("a/other")
    );
}
