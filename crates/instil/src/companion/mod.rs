//! Companion files: what a trainer or an evaluation has to be told of a dataset, written beside it.
//!
//! [`Dataset::look`] finds out what a dataset is, [`Companion::text`] says it in a tool's own words, and
//! [`write()`] puts the file beside the data. A shape that a tool has no reader for is refused by name: a file that
//! maps it wrongly would train on the wrong text, and no message would say so.
//!
//! `datasets` reads a folder's files by their endings and finds splits in their names, so a companion's name has
//! neither: `.axolotl.yaml`, `.trl.py` and `.lmeval.yaml`, and `dataset_info.json`, which it passes over.
//!
//! ```
//! use instil::companion::{Companion, Dataset};
//! use instil::convert::Shape;
//! let data = Dataset::of("out/train.jsonl".as_ref(), Shape::parse("messages")?, ["messages"])?;
//! let yaml = Companion::parse("axolotl")?.text(&data)?;
//! assert!(yaml.contains("type: chat_template"));
//! # Ok::<(), instil::Error>(())
//! ```

mod axolotl;
mod dataset;
mod llama_factory;
mod lm_eval;
mod rows;
mod trl;

use std::fs;
use std::path::PathBuf;

use serde_json::{Map, Value};

pub use dataset::Dataset;

use crate::convert::Shape;
use crate::error::{Error, Result, nearest};
use crate::sink::write_whole;
use rows::Rows;

/// What stands in the first line of every companion but `dataset_info.json`, so that no other file is replaced.
const MARK: &str = "Made by instil";

/// A tool that reads datasets, and wants to be told how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Companion {
    /// axolotl: the part of its YAML that speaks of datasets.
    Axolotl,
    /// LLaMA-Factory: an entry of `dataset_info.json`.
    LlamaFactory,
    /// TRL: a Python program that trains.
    Trl,
    /// lm-eval, EleutherAI's harness: the YAML of a task.
    LmEval,
}

impl Companion {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Axolotl, Self::LlamaFactory, Self::Trl, Self::LmEval];

    /// Its name, as in `--companion axolotl`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Axolotl => "axolotl",
            Self::LlamaFactory => "llama-factory",
            Self::Trl => "trl",
            Self::LmEval => "lm-eval",
        }
    }

    /// What its file is, in one sentence.
    pub fn about(self) -> &'static str {
        match self {
            Self::Axolotl => "The `datasets` part of an axolotl configuration.",
            Self::LlamaFactory => "An entry of LLaMA-Factory's `dataset_info.json`.",
            Self::Trl => "A Python program that trains with TRL.",
            Self::LmEval => "A task of EleutherAI's lm-eval harness.",
        }
    }

    /// The companion of this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn parse(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|companion| companion.name() == name).ok_or_else(|| {
            let known = Self::ALL.map(Self::name);
            let hint = match nearest(name, known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are {}", known.join(", ")),
            };
            Error::usage(format!("unknown companion `{name}`")).with_hint(hint)
        })
    }

    /// Refuses a shape that the tool has no reader for. What depends on the rows themselves is known by
    /// [`text`](Self::text) alone.
    ///
    /// # Errors
    /// When it has none; the hint names a shape that it reads.
    pub fn check(self, shape: &Shape) -> Result<()> {
        let rows = Rows::of(shape)?;
        let why = match self {
            Self::Axolotl => axolotl::refusal(&rows),
            Self::LlamaFactory => llama_factory::refusal(&rows),
            Self::Trl => trl::refusal(&rows),
            Self::LmEval => lm_eval::refusal(&rows),
        };
        match why {
            None => Ok(()),
            Some(why) => Err(self.cannot_read(shape, why, &rows)),
        }
    }

    /// The file's text for a dataset; of LLaMA-Factory the whole of a `dataset_info.json` with one entry for each
    /// split.
    ///
    /// # Errors
    /// As [`check`](Self::check), and when the tool can't read the kind of file or a column of it.
    pub fn text(self, data: &Dataset) -> Result<String> {
        self.check(data.shape)?;
        let rows = Rows::of(data.shape)?;
        let text = match self {
            Self::Axolotl => axolotl::text(data, &rows),
            Self::LlamaFactory => llama_factory::text(data, &rows),
            Self::Trl => Ok(trl::text(data, &rows)),
            Self::LmEval => Ok(lm_eval::text(data, &rows)),
        };
        text.map_err(|why| self.cannot_read(data.shape, &why, &rows))
    }

    /// Where the file goes.
    pub fn path(self, data: &Dataset) -> PathBuf {
        match self {
            Self::Axolotl => data.beside("axolotl.yaml"),
            Self::LlamaFactory => data.in_folder("dataset_info.json"),
            // A program beside it that is named `trl.py` would be what `import trl` finds.
            Self::Trl if data.is_folder => data.beside("train_trl.py"),
            Self::Trl => data.beside("trl.py"),
            // `datasets` takes a file with `eval` for a word of its name for one of the test split.
            Self::LmEval => data.beside("lmeval.yaml"),
        }
    }

    fn cannot_read(self, shape: &Shape, why: &str, rows: &Rows) -> Error {
        let reads = match rows {
            // No other shape has answers that these rows lack.
            Rows::Prompt | Rows::PromptMessages => None,
            Rows::Preference { .. } | Rows::PreferenceMessages { .. } if self == Self::LlamaFactory => {
                Some("preference-sharegpt")
            }
            Rows::PreferenceMessages { .. }
            | Rows::PreferenceImplicitMessages
            | Rows::PreferenceImplicit
            | Rows::PreferenceAlpaca
            | Rows::OpenAiPreference => Some("preference"),
            Rows::UnpairedMessages if self != Self::LmEval => Some("unpaired"),
            _ => Some("messages"),
        };
        let hint = match reads {
            Some(reads) => format!("`instil convert … --to {reads}` makes rows that it reads"),
            None => "rows with answers are what it reads".to_owned(),
        };
        Error::usage(format!("{} can't be told to read rows of `{}`", self.name(), shape.name))
            .because(why.to_owned())
            .with_hint(hint)
    }
}

/// Writes a companion beside its dataset, whole or not at all; gives its path.
///
/// A `dataset_info.json` that is there keeps its other entries.
///
/// # Errors
/// As [`Companion::text`], when a file of that name is there that instil has not made, and when it can't be written.
pub fn write(companion: Companion, data: &Dataset) -> Result<PathBuf> {
    let mut text = companion.text(data)?;
    let path = companion.path(data);
    let shown = path.display();
    let there = match fs::read(&path) {
        Ok(there) => Some(String::from_utf8_lossy(&there).into_owned()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
        Err(e) => return Err(Error::output(format!("failed to read `{shown}`")).because(e)),
    };
    match there {
        Some(there) if companion == Companion::LlamaFactory => text = merged(&there, &text, &path)?,
        Some(there) if !there.lines().next().is_some_and(|line| line.contains(MARK)) => {
            return Err(Error::output(format!("`{shown}` is there already, and instil did not make it"))
                .with_hint("move it away, or name another output"));
        }
        _ => {}
    }
    write_whole(&path, text.as_bytes())?;
    Ok(path)
}

/// A `dataset_info.json` with these entries put into it.
fn merged(there: &str, new: &str, path: &std::path::Path) -> Result<String> {
    let no_entries = |why: String| {
        Error::output(format!("`{}` is there already, and holds no entries of datasets", path.display()))
            .because(why)
            .with_hint("move it away, or name another output")
    };
    let mut entries: Map<String, Value> =
        serde_json::from_str(there).map_err(|error| no_entries(error.to_string()))?;
    if let Some((key, _)) = entries.iter().find(|(_, entry)| !entry.is_object()) {
        // `datasets` writes a file of this name, too, about one dataset alone.
        return Err(no_entries(format!("`{key}` is no entry")));
    }
    let new: Map<String, Value> = serde_json::from_str(new).expect("it was written as an object");
    for (name, entry) in new {
        let place = |entry: &Value| (entry.get("file_name").cloned(), entry.get("script_url").cloned());
        if let Some(old) = entries.get(&name)
            && place(old) != place(&entry)
        {
            return Err(Error::output(format!("`{}` has an entry `{name}` for other data", path.display()))
                .with_hint("name another output: the entry gets its name"));
        }
        entries.insert(name, entry);
    }
    Ok(pretty(&entries))
}

/// Entries as LLaMA-Factory's own file has them.
fn pretty(entries: &Map<String, Value>) -> String {
    serde_json::to_string_pretty(entries).expect("entries are plain values") + "\n"
}

/// A text between quotes that YAML, Python and JSON read alike.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a text is JSON")
}

#[cfg(test)]
mod tests;
