//! Where the files of a run lie.

use std::path::{Path, PathBuf};

use super::memory;
use crate::draw;
use crate::error::{Error, Result, nearest};

/// The endings that give one file, as messages name them.
const ENDINGS: [&str; 6] = [".jsonl", ".jsonl.gz", ".jsonl.zst", ".json", ".csv", ".parquet"];

/// Endings that people give files, besides those above. A folder may have any other dot in its
/// name, as `corpus-v1.2`.
const OTHER_FILES: [&str; 32] = [
    "7z",
    "arrow",
    "avro",
    "bz2",
    "db",
    "docx",
    "feather",
    "gz",
    "h5",
    "html",
    "jsonlines",
    "jsonlz4",
    "md",
    "ndjson",
    "npy",
    "orc",
    "parq",
    "pdf",
    "pickle",
    "pkl",
    "pq",
    "sqlite",
    "tar",
    "tgz",
    "toml",
    "tsv",
    "txt",
    "xls",
    "xlsx",
    "xml",
    "yaml",
    "zst",
];

/// How the bytes of a file of lines are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// As they are.
    Plain,
    /// gzip, level 6.
    Gzip,
    /// Zstandard, level 3.
    Zstd,
}

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A folder that `datasets.load_dataset` loads.
    Folder,
    /// A JSON object on each line.
    Jsonl(Packing),
    /// One JSON array.
    Json,
    /// A table of comma-separated values with a head.
    Csv,
    /// One Parquet file.
    Parquet,
    /// Arrow data for whoever keeps this output ([`Kept`](super::Kept)); all but the rows lies in a folder.
    Memory,
}

/// Where the files of a run lie, settled from the output path that the user gave.
///
/// | | dataset folder | one file |
/// |---|---|---|
/// | rows | `DIR/data/SPLIT-00000-of-00001.parquet` … | `NAME` |
/// | card | `DIR/README.md` | |
/// | provenance | `DIR/provenance/SPLIT-00000-of-00001.parquet` … | `NAME.run/provenance.parquet` |
/// | rejects | `DIR/run/rejects.parquet` | `NAME.run/rejects.parquet` |
/// | under way | `DIR/run/partial/` | `NAME.run/partial/` |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    output: PathBuf,
    shape: Shape,
}

impl Layout {
    /// The layout for this output path.
    ///
    /// # Errors
    /// When the name ends like a file of a kind that isn't written, when a folder stands where a
    /// file is to be written or the other way round, and for `-`, since a run keeps files.
    ///
    /// ```
    /// use instil::sink::{Layout, Shape};
    /// use std::path::Path;
    /// assert_eq!(Layout::of(Path::new("out"))?.run(), Path::new("out/run"));
    /// assert_eq!(Layout::of(Path::new("out.csv"))?.run(), Path::new("out.csv.run"));
    /// assert_eq!(Layout::of(Path::new("corpus-v1.2"))?.shape(), Shape::Folder);
    /// assert!(Layout::of(Path::new("out.xlsx")).is_err());
    /// # Ok::<(), instil::Error>(())
    /// ```
    pub fn of(output: &Path) -> Result<Self> {
        let shown = output.display();
        let name = match output.file_name() {
            Some(name) if name == "-" => {
                return Err(Error::usage("can't write a dataset to `-`")
                    .with_hint("a run keeps its journal beside its output: name a folder or a file"));
            }
            Some(name) => name.to_string_lossy().to_lowercase(),
            // `.`, `..` and `/` are folders.
            None => String::new(),
        };
        let shape = shape_of(&name).map_err(|ending| {
            let near = nearest(ending, ENDINGS.iter().map(|known| &known[1..]));
            let meant = near.map_or(String::new(), |near| format!("did you mean `.{near}`? "));
            Error::usage(format!("can't tell what to write from the ending of `{shown}`: .{ending}"))
                .with_hint(format!(
                    "{meant}{} give one file, a name without an ending gives a dataset folder",
                    ENDINGS.join(" ")
                ))
        })?;
        let shape = if memory::is_kept(output) { Shape::Memory } else { shape };
        let layout = Self { output: output.to_owned(), shape };
        match output.metadata() {
            Ok(there) if there.is_dir() && !layout.is_folder() => {
                Err(Error::output(format!("can't write the file `{shown}`: a folder has this name"))
                    .with_hint("name another file, or the folder without its ending"))
            }
            Ok(there) if !there.is_dir() && layout.is_folder() => {
                Err(Error::output(format!("can't write the dataset folder `{shown}`: a file has this name"))
                    .with_hint(format!("name another folder, or a file that ends in {}", ENDINGS.join(" "))))
            }
            _ => Ok(layout),
        }
    }

    /// The path that the user gave.
    pub fn output(&self) -> &Path {
        &self.output
    }

    /// What is written there.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Whether it is a dataset folder, not one file; what lies beside rows in memory is a folder, too.
    pub fn is_folder(&self) -> bool {
        matches!(self.shape, Shape::Folder | Shape::Memory)
    }

    /// Whether its rows stay in memory.
    pub fn is_in_memory(&self) -> bool {
        self.shape == Shape::Memory
    }

    /// The folder of recipe, report, journal and rejects.
    pub fn run(&self) -> PathBuf {
        if self.is_folder() {
            return self.output.join("run");
        }
        let mut name = self.output.clone().into_os_string();
        name.push(".run");
        name.into()
    }

    /// The folder of what is not finished.
    pub fn partial(&self) -> PathBuf {
        self.run().join("partial")
    }

    /// The file of what was not used.
    pub fn rejects(&self) -> PathBuf {
        self.run().join("rejects.parquet")
    }

    /// The files of rows that are there: those of all splits, by the names of splits and then in order.
    ///
    /// # Errors
    /// When the folder can't be listed.
    pub fn data_files(&self) -> Result<Vec<PathBuf>> {
        match self.shape {
            Shape::Folder | Shape::Memory => shards_in(&self.output.join("data")),
            _ => Ok(existing(self.output.clone())),
        }
    }

    /// Whether all shards are there that a finished run with these splits leaves; of a single file, whether
    /// it is there itself. `has_provenance` says whether the run leaves a table of provenance, too.
    ///
    /// # Errors
    /// When a folder can't be listed.
    pub fn is_whole(&self, splits: &[&str], has_provenance: bool) -> Result<bool> {
        if !self.is_folder() {
            return Ok(self.output.exists());
        }
        let (data, provenance) = (self.data_files()?, self.provenance_files()?);
        let is_whole = |files: &[PathBuf]| {
            splits.iter().all(|split| {
                let shards = files.iter().filter(|file| split_of(file) == Some(split));
                let count = shards.clone().count();
                let is_named =
                    |(index, file): (usize, &PathBuf)| file.ends_with(shard_name(split, index, count));
                count > 0 && shards.enumerate().all(is_named)
            })
        };
        Ok(is_whole(&data) && (!has_provenance || is_whole(&provenance)))
    }

    /// The files of provenance that are there, in the same order. Row by row they are in step with
    /// [`data_files`](Self::data_files).
    ///
    /// # Errors
    /// When the folder can't be listed.
    pub fn provenance_files(&self) -> Result<Vec<PathBuf>> {
        match self.shape {
            Shape::Folder | Shape::Memory => shards_in(&self.output.join("provenance")),
            _ => Ok(existing(self.run().join("provenance.parquet"))),
        }
    }
}

/// The shape that a name in lower case asks for, or the ending that asks for something else.
fn shape_of(name: &str) -> Result<Shape, &str> {
    let Some((stem, ending)) = name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()) else {
        return Ok(Shape::Folder);
    };
    match ending {
        "jsonl" => Ok(Shape::Jsonl(Packing::Plain)),
        "gz" if stem.ends_with(".jsonl") => Ok(Shape::Jsonl(Packing::Gzip)),
        "zst" if stem.ends_with(".jsonl") => Ok(Shape::Jsonl(Packing::Zstd)),
        "json" => Ok(Shape::Json),
        "csv" => Ok(Shape::Csv),
        "parquet" => Ok(Shape::Parquet),
        _ if OTHER_FILES.contains(&ending) => Err(ending),
        // A slip such as `.josnl`.
        _ if nearest(ending, ["jsonl", "json", "csv", "parquet"]).is_some() => Err(ending),
        _ => Ok(Shape::Folder),
    }
}

/// The name of a finished shard.
pub(super) fn shard_name(split: &str, index: usize, of: usize) -> String {
    format!("{split}-{index:05}-of-{of:05}.parquet")
}

/// The split whose shard has this name, if [`shard_name`] may have made it.
fn split_of_shard(name: &str) -> Option<&str> {
    let number = |digits: &str| digits.len() >= 5 && digits.bytes().all(|digit| digit.is_ascii_digit());
    let (split, rest) = name.strip_suffix(".parquet")?.split_once('-')?;
    let (index, of) = rest.split_once("-of-")?;
    (draw::check_name(split).is_ok() && number(index) && number(of)).then_some(split)
}

/// The split that a file of a dataset folder belongs to.
pub(crate) fn split_of(file: &Path) -> Option<&str> {
    split_of_shard(file.file_name()?.to_str()?)
}

/// The shards that lie in a folder, sorted; none if it isn't there.
pub(super) fn shards_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed =
        |error| Error::output(format!("can't list the folder `{}`", folder.display())).because(error);
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut shards = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        if entry.file_name().to_str().is_some_and(|name| split_of_shard(name).is_some()) {
            shards.push(entry.path());
        }
    }
    shards.sort();
    Ok(shards)
}

fn existing(file: PathBuf) -> Vec<PathBuf> {
    if file.exists() { vec![file] } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint(output: &str) -> String {
        Layout::of(Path::new(output)).unwrap_err().hint().unwrap().to_owned()
    }

    #[test]
    fn endings_decide() {
        for (name, shape) in [
            ("out", Shape::Folder),
            ("out/", Shape::Folder),
            (".", Shape::Folder),
            (".hidden", Shape::Folder),
            ("corpus-v1.2", Shape::Folder),
            ("a.b", Shape::Folder),
            ("a.jsonl", Shape::Jsonl(Packing::Plain)),
            ("a.JSONL.gz", Shape::Jsonl(Packing::Gzip)),
            ("a.jsonl.zst", Shape::Jsonl(Packing::Zstd)),
            ("x/a.json", Shape::Json),
            ("a.csv", Shape::Csv),
            ("a.parquet", Shape::Parquet),
        ] {
            assert_eq!(Layout::of(Path::new(name)).unwrap().shape(), shape, "{name}");
        }
    }

    #[test]
    fn other_endings_are_refused_with_those_there_are() {
        insta::assert_snapshot!(hint("out.xlsx"), @".jsonl .jsonl.gz .jsonl.zst .json .csv .parquet give one file, a name without an ending gives a dataset folder");
        assert!(hint("out.josnl").starts_with("did you mean `.jsonl`? "));
        for name in ["out.txt", "out.csv.gz", "out.zst", "out.pq"] {
            assert!(hint(name).contains(".jsonl.zst"), "{name}");
        }
        assert!(hint("-").contains("name a folder"));
    }

    #[test]
    fn a_folder_and_a_file_do_not_replace_each_other() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("a.jsonl")).unwrap();
        std::fs::write(folder.path().join("b"), "").unwrap();
        assert!(Layout::of(&folder.path().join("a.jsonl")).is_err());
        assert!(Layout::of(&folder.path().join("b")).is_err());
    }

    #[test]
    fn shards_are_known_by_their_names() {
        assert_eq!(split_of_shard(&shard_name("train", 0, 1)), Some("train"));
        assert_eq!(split_of_shard(&shard_name("validation", 123_456, 200_000)), Some("validation"));
        for name in [
            "train-0-of-1.parquet",
            "train-00000-of-00001.parquet.tmp",
            "my-train-00000-of-00001.parquet",
            "Test-00000-of-00001.parquet",
            "-00000-of-00001.parquet",
            "train.parquet",
        ] {
            assert_eq!(split_of_shard(name), None, "{name}");
        }
    }
}
