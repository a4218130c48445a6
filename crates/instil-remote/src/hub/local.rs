//! What of an output is sent: its card, rows and provenance, and nothing of its run.

use std::fs;
use std::path::{Path, PathBuf};

use instil::run::Report;
use instil::{Error, Result};

/// A file on this machine that belongs into a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalFile {
    /// Where it is.
    pub file: PathBuf,
    /// Where it goes, below the repository's root, with `/`.
    pub path: String,
    /// Its size.
    pub bytes: u64,
}

/// The files of a dataset folder that instil has finished, which are `README.md` and the shards of `data/` and
/// `provenance/`; or the one file.
///
/// `run/` stays here: the journal and the rejects hold texts that nobody chose to publish.
///
/// # Errors
/// When there is no such folder or file, or its run isn't finished.
pub fn local_files(output: &Path) -> Result<Vec<LocalFile>> {
    let shown = output.display();
    if output.is_file() {
        let mut run = output.as_os_str().to_owned();
        run.push(".run");
        if Path::new(&run).exists() {
            check_finished(output, Path::new(&run))?;
        }
        let name = output.file_name().unwrap_or_default();
        return Ok(vec![local(output, "", name.to_str())?]);
    }
    if !output.is_dir() {
        return Err(Error::input(format!("there is no dataset `{shown}`"))
            .with_hint("name a dataset folder that instil wrote, or one file"));
    }
    check_finished(output, &output.join("run"))?;
    let mut files = vec![local(&output.join("README.md"), "", Some("README.md"))?];
    for folder in ["data", "provenance"] {
        let failed =
            |e| Error::input(format!("failed to list `{}`", output.join(folder).display())).because(e);
        let mut shards = Vec::new();
        for entry in fs::read_dir(output.join(folder)).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.file_name().and_then(|name| name.to_str()).is_some_and(is_shard_name) {
                shards.push(local(
                    &path,
                    &format!("{folder}/"),
                    path.file_name().and_then(|name| name.to_str()),
                )?);
            }
        }
        shards.sort_by(|a, b| a.path.cmp(&b.path));
        files.extend(shards);
    }
    if !files.iter().any(|file| file.path.starts_with("data/")) {
        return Err(Error::input(format!("`{shown}` has no rows in `data/`")).with_hint("make it anew"));
    }
    Ok(files)
}

fn check_finished(output: &Path, run: &Path) -> Result<()> {
    let shown = output.display();
    let unfinished = |what: &str| {
        Error::input(format!("`{shown}` {what}"))
            .with_hint("the command that began it finishes it; then push it")
    };
    if run.join("partial").exists() {
        return Err(unfinished("is being made, or its run was broken off"));
    }
    if !run.join("report.json").exists() {
        return Err(Error::input(format!(
            "`{shown}` is no dataset that instil has finished: it has no run/report.json"
        ))
        .with_hint("name a dataset folder that instil wrote, or one file"));
    }
    match Report::read(run)?.finished {
        true => Ok(()),
        false => Err(unfinished("is not finished")),
    }
}

fn local(file: &Path, folder: &str, name: Option<&str>) -> Result<LocalFile> {
    let failed = || Error::input(format!("failed to read `{}`", file.display()));
    let name = name.ok_or_else(|| failed().with_hint("its name is no UTF-8: give it another one"))?;
    let found = fs::metadata(file).map_err(|e| failed().because(e))?;
    Ok(LocalFile { file: file.to_owned(), path: format!("{folder}{name}"), bytes: found.len() })
}

/// Whether a path of a repository is one that a dataset of instil has for its rows or their provenance.
pub(super) fn is_shard(path: &str) -> bool {
    path.strip_prefix("data/").or_else(|| path.strip_prefix("provenance/")).is_some_and(is_shard_name)
}

/// Whether this is the name of a shard, such as `train-00000-of-00001.parquet`.
fn is_shard_name(name: &str) -> bool {
    let number = |digits: &str| digits.len() >= 5 && digits.bytes().all(|digit| digit.is_ascii_digit());
    let parts = name.strip_suffix(".parquet").and_then(|name| name.rsplit_once("-of-"));
    let Some((index, of)) = parts.and_then(|(rest, of)| Some((rest.rsplit_once('-')?, of))) else {
        return false;
    };
    !index.0.is_empty() && !index.0.contains('/') && number(index.1) && number(of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_told_from_other_files() {
        for path in ["data/train-00000-of-00001.parquet", "provenance/my-split-00012-of-100000.parquet"] {
            assert!(is_shard(path), "{path}");
        }
        for path in [
            "README.md",
            "train-00000-of-00001.parquet",
            "data/train.parquet",
            "data/train-0-of-1.parquet",
            "data/x/train-00000-of-00001.parquet",
            "data/-00000-of-00001.parquet",
            "data/train-00000-of-00001.parquet.tmp",
        ] {
            assert!(!is_shard(path), "{path}");
        }
    }
}
