//! A dataset as its companions speak of it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::convert::{Shape, detect};
use crate::draw::TRAIN;
use crate::error::{Error, Result};
use crate::sink::{self, Layout};
use crate::source::{self, Kind};

/// How many rows are looked at for their shape and columns.
const LOOKED_AT: usize = 1000;

/// A dataset folder or a file of rows: where it is and what its rows hold.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// Its path, as the user calls it.
    pub path: PathBuf,
    /// Whether it is a folder that `datasets.load_dataset` loads by its path.
    pub is_folder: bool,
    /// What trainers call it: letters, digits, `_` and `-`.
    pub name: String,
    /// The shape of its rows.
    pub shape: &'static Shape,
    /// The columns of its first rows.
    pub columns: BTreeSet<String>,
    /// Whether a message of its first rows calls functions.
    pub has_calls: bool,
    /// Its splits, `train` first; of a file `train` alone.
    pub splits: Vec<String>,
}

impl Dataset {
    /// A file, or a folder without other splits than `train`, of which the shape and the columns are known.
    ///
    /// # Errors
    /// When the path has an ending that no rows are written with.
    pub fn of(
        path: &Path,
        shape: &'static Shape,
        columns: impl IntoIterator<Item = &'static str>,
    ) -> Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            is_folder: Layout::of(path)?.is_folder(),
            name: name_of(path),
            shape,
            columns: columns.into_iter().map(str::to_owned).collect(),
            has_calls: false,
            splits: vec![TRAIN.to_owned()],
        })
    }

    /// Looks at the first thousand rows of a dataset; `shape` says what they are where that is known.
    ///
    /// # Errors
    /// When there is no dataset, when it has no rows, and when their shape is not known.
    pub fn look(path: &Path, shape: Option<&'static Shape>) -> Result<Self> {
        let shown = path.display();
        let layout = Layout::of(path)?;
        let files = layout.data_files()?;
        let Some(first) = files.first() else {
            let error = Error::input(format!("there is no dataset at `{shown}`"));
            return Err(error.with_hint(
                "name a file of rows, or a folder with `data/train-00000-of-00001.parquet` and so on in it",
            ));
        };
        let opened = source::resolve(&[first.to_string_lossy().into_owned()])?;
        let has_cells = opened.iter().any(|file| matches!(file.kind, Kind::Csv | Kind::Tsv));
        let rows: Vec<Map<String, Value>> = source::open_rows(opened)?
            .filter_map(Result::ok)
            .take(LOOKED_AT)
            .map(|mut row| {
                if has_cells {
                    // Cells are texts, also those that look like numbers.
                    row.fields.values_mut().for_each(|value| *value = String::new().into());
                }
                row.fields
            })
            .collect();
        let shape = match shape {
            Some(shape) => shape,
            None => match detect((1..).zip(&rows)) {
                Some(found) => found.shape,
                None if rows.is_empty() => {
                    return Err(Error::input(format!("`{shown}` has no rows to tell their shape by"))
                        .with_hint("`--from` says which shape it is"));
                }
                None => {
                    return Err(Error::input(format!("the rows of `{shown}` have no shape that is known"))
                        .with_hint(
                            "`instil list shapes` shows what is known, and `--from` names one of them",
                        ));
                }
            },
        };
        let mut dataset = Self::of(path, shape, [])?;
        dataset.has_calls = rows.iter().any(has_calls);
        dataset.columns = rows.into_iter().flat_map(|row| row.into_iter().map(|(key, _)| key)).collect();
        if dataset.is_folder {
            let splits: BTreeSet<&str> = files.iter().filter_map(|file| sink::split_of(file)).collect();
            dataset.splits = splits.iter().map(|split| (*split).to_owned()).collect();
            dataset.splits.sort_by_key(|split| split != TRAIN);
        }
        Ok(dataset)
    }

    /// The path of a companion that is the same for all datasets of a folder.
    pub(super) fn in_folder(&self, what: &str) -> PathBuf {
        if self.is_folder { self.path.join(what) } else { self.path.with_file_name(what) }
    }

    /// The path of a companion: in a dataset's folder, or beside a file with its stem before it.
    ///
    /// `datasets` takes `train.jsonl.axolotl.yaml` for JSON lines, as it would `train.jsonl.gz`; so the ending goes.
    pub(super) fn beside(&self, what: &str) -> PathBuf {
        if self.is_folder {
            return self.path.join(what);
        }
        self.path.with_file_name(format!("{}.{what}", self.stem()))
    }

    /// Its file's name without the ending.
    fn stem(&self) -> String {
        let name = self.file_name();
        let unpacked = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(&name);
        unpacked.rsplit_once('.').map_or(unpacked, |(stem, _)| stem).to_owned()
    }

    /// The last part of its path.
    pub(super) fn file_name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Its path with `/` between the parts, as typed.
    pub(super) fn typed(&self) -> String {
        self.path.to_string_lossy().replace('\\', "/")
    }

    /// What `datasets` calls the kind of file.
    pub(super) fn loader(&self) -> &'static str {
        match self.path.extension().and_then(|ending| ending.to_str()) {
            Some("csv") => "csv",
            Some("parquet") => "parquet",
            _ => "json",
        }
    }

    /// Whether a column is there.
    pub(super) fn has(&self, column: &str) -> bool {
        self.columns.contains(column)
    }
}

fn has_calls(row: &Map<String, Value>) -> bool {
    let calls = |message: &Value| message.get("tool_calls").is_some_and(|calls| !calls.is_null());
    row.values().any(|value| value.as_array().is_some_and(|list| list.iter().any(calls)))
}

/// The name before the first dot, as far as trainers take it.
fn name_of(path: &Path) -> String {
    let path = match path.file_name() {
        Some(_) => path.to_owned(),
        None => path.canonicalize().unwrap_or_default(),
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let stem = name.split('.').find(|part| !part.is_empty()).unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '_' };
    let name: String = stem.chars().map(plain).collect();
    if name.is_empty() { "dataset".to_owned() } else { name }
}
