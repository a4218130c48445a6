//! The folder that an evaluation is written to.
//!
//! `eval.json` says what is evaluated, `journal.sqlite` holds what the model has said, `items.jsonl` what each answer is worth, and
//! `report.json` the numbers. The last two appear when all is there.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use instil::{Error, Result};
use serde_json::{Map, Value};

use super::shown;

const WHAT: &str = "eval.json";
const JOURNAL: &str = "journal.sqlite";
pub(super) const ITEMS: &str = "items.jsonl";
const REPORT: &str = "report.json";
const PARTIAL: &str = "items.partial";

pub(super) struct Folder {
    path: PathBuf,
    items: BufWriter<File>,
    _lock: File,
}

impl Folder {
    /// Takes the folder for what is evaluated.
    ///
    /// # Errors
    /// When it holds something else, another process is at it, or it can't be written.
    pub(super) fn begin(path: &Path, what: &Value, overwrite: bool) -> Result<Self> {
        let failed = |name: &str, e: std::io::Error| {
            Error::output(format!("failed to write `{}`", shown(&path.join(name)))).because(e)
        };
        let is_empty = fs::read_dir(path).map_or(true, |mut entries| entries.next().is_none());
        let before = fs::read_to_string(path.join(WHAT)).ok();
        if !is_empty && before.is_none() {
            return Err(Error::output(format!("`{}` is no folder of an evaluation", shown(path)))
                .with_hint("name another one, or one that isn't there yet"));
        }
        let now = serde_json::to_string_pretty(what).expect("a value is JSON");
        if let Some(before) = before.filter(|before| *before != now && !overwrite) {
            return Err(Error::output(format!("`{}` holds another evaluation", shown(path)))
                .because(difference(&before, what))
                .with_hint(
                    "name another folder; or `--overwrite` begins it anew, with what the journal knows",
                ));
        }
        fs::create_dir_all(path).map_err(|e| failed("", e))?;
        let lock = File::create(path.join("lock")).map_err(|e| failed("lock", e))?;
        if let Err(e) = lock.try_lock() {
            return Err(match e {
                fs::TryLockError::Error(e) => failed("lock", e),
                fs::TryLockError::WouldBlock => {
                    Error::output(format!("another process is writing `{}`", shown(path)))
                        .with_hint("wait for it, or name another folder")
                }
            });
        }
        for old in [REPORT, ITEMS] {
            match fs::remove_file(path.join(old)) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(failed(old, e)),
                _ => {}
            }
        }
        fs::write(path.join(WHAT), now).map_err(|e| failed(WHAT, e))?;
        let items = File::create(path.join(PARTIAL)).map_err(|e| failed(PARTIAL, e))?;
        Ok(Self { path: path.to_owned(), items: BufWriter::new(items), _lock: lock })
    }

    pub(super) fn journal(&self) -> PathBuf {
        self.path.join(JOURNAL)
    }

    /// Adds what an answer is worth.
    pub(super) fn item(&mut self, line: Map<String, Value>) -> Result<()> {
        writeln!(self.items, "{}", Value::Object(line)).map_err(|e| self.failed(PARTIAL, e))
    }

    /// Puts items and report in their places.
    pub(super) fn finish(mut self, report: &Value) -> Result<()> {
        self.items.flush().map_err(|e| self.failed(PARTIAL, e))?;
        fs::rename(self.path.join(PARTIAL), self.path.join(ITEMS)).map_err(|e| self.failed(ITEMS, e))?;
        let text = serde_json::to_string_pretty(report).expect("a value is JSON");
        let partial = self.path.join("report.partial");
        fs::write(&partial, text)
            .and_then(|()| fs::rename(&partial, self.path.join(REPORT)))
            .map_err(|e| self.failed(REPORT, e))
    }

    fn failed(&self, name: &str, e: std::io::Error) -> Error {
        Error::output(format!("failed to write `{}`", shown(&self.path.join(name)))).because(e)
    }
}

/// What is evaluated otherwise than before.
fn difference(before: &str, now: &Value) -> String {
    let Ok(before) = serde_json::from_str::<Value>(before) else { return "it can't be read".to_owned() };
    let differs: Vec<String> = ["model", "seed", "benchmarks"]
        .iter()
        .filter(|key| before[**key] != now[**key])
        .map(|key| format!("{key}: {} then, {} now", before[*key], now[*key]))
        .collect();
    differs.join("\n")
}
