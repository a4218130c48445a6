//! A folder to run the program in, and what it printed.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A fresh folder; commands run in it.
pub(crate) struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// A place that holds a copy of the repository's `examples/`.
    pub(crate) fn with_examples() -> Self {
        let place = Self::new();
        std::fs::create_dir(place.path("examples")).unwrap();
        for entry in std::fs::read_dir(repository().join("examples")).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), place.path("examples").join(entry.file_name())).unwrap();
        }
        place
    }

    /// A place that holds a copy of the repository's `recipes/leases/`, labelled rows and templates, and of what else the guides name of `recipes/`.
    pub(crate) fn with_leases() -> Self {
        let place = Self::new();
        place.add_leases();
        place
    }

    pub(crate) fn add_leases(&self) {
        for folder in ["recipes/leases", "recipes/models", "recipes/templates", "recipes/doc_qa"] {
            std::fs::create_dir_all(self.path(folder)).unwrap();
            for entry in std::fs::read_dir(repository().join(folder)).unwrap() {
                let entry = entry.unwrap();
                std::fs::copy(entry.path(), self.path(folder).join(entry.file_name())).unwrap();
            }
        }
    }

    /// Puts a random model and an adapter of it into the place, as `model` and `adapter`. The model's window is made wide
    /// enough for prompts.
    pub(crate) fn add_model(&self) {
        let goldens = repository().join("crates/instil-model/tests/goldens");
        for (to, from) in [("model", "decoder/llama"), ("adapter", "adapter/llama")] {
            std::fs::create_dir(self.path(to)).unwrap();
            for entry in std::fs::read_dir(goldens.join(from)).unwrap() {
                let entry = entry.unwrap();
                if !entry.file_name().to_string_lossy().starts_with("golden") {
                    std::fs::copy(entry.path(), self.path(to).join(entry.file_name())).unwrap();
                }
            }
        }
        let config = std::fs::read_to_string(self.path("model/config.json")).unwrap();
        let wide = config.replace("\"max_position_embeddings\": 128", "\"max_position_embeddings\": 4096");
        assert_ne!(wide, config);
        std::fs::write(self.path("model/config.json"), wide).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The program with these arguments, in this place, with nothing of the caller's environment that it reads.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_instil"));
        command.args(args).current_dir(self.folder.path());
        for variable in [
            "OPENAI_API_KEY",
            "INSTIL_API_KEY",
            "OPENAI_BASE_URL",
            "HF_HOME",
            "HF_HUB_CACHE",
            "HF_TOKEN",
            "HF_ENDPOINT",
            "HF_HUB_OFFLINE",
            "COLUMNS",
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "http_proxy",
            "https_proxy",
        ] {
            command.env_remove(variable);
        }
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs, and tells code, stdout and stderr with the changing parts filtered.
    pub(crate) fn told(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let told = format!(
            "exit {}\n--- stdout\n{}--- stderr\n{}",
            output.status.code().map_or("signal".to_owned(), |code| code.to_string()),
            text(&output.stdout),
            text(&output.stderr)
        );
        let told = told.replace(&*self.folder.path().to_string_lossy(), "[PLACE]");
        let lines = told.lines().map(|line| seconds_hidden(line.trim_end()));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Runs a command that has to succeed; gives its stdout.
    #[track_caller]
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

/// `12 rows in …, 0.1 s` with the time taken out.
fn seconds_hidden(line: &str) -> String {
    match line.rsplit_once(", ") {
        Some((rest, time)) if time.ends_with(" s") && time.starts_with(|c: char| c.is_ascii_digit()) => {
            format!("{rest}, [TIME]")
        }
        _ => line.to_owned(),
    }
}

pub(crate) fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The objects of JSON lines.
pub(crate) fn objects(lines: &str) -> Vec<serde_json::Value> {
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Asserts that every stage of a run adds up and gets what the one before gave.
pub(crate) fn assert_closes(output: &Path) {
    let report: serde_json::Value =
        serde_json::from_slice(&std::fs::read(output.join("run/report.json")).unwrap()).unwrap();
    let mut given = None;
    for stage in report["stages"].as_array().unwrap() {
        let rejects: u64 = stage["rejects"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
        let number = |name: &str| stage[name].as_u64().unwrap();
        let settled = number("out") + rejects + number("errors") + number("pending");
        assert_eq!(number("expected"), settled, "{stage}");
        assert!(given.is_none_or(|given| given == number("in")), "{stage}");
        given = Some(number("out"));
    }
}

/// Every file of an output that must be the same bytes for the same recipe.
pub(crate) fn bytes(output: &Path) -> std::collections::BTreeMap<String, Vec<u8>> {
    let mut found = std::collections::BTreeMap::new();
    let mut folders = vec![output.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(output).unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if !name.starts_with("run") || name == "run/rejects.parquet" {
                found.insert(name, std::fs::read(path).unwrap());
            }
        }
    }
    found
}
