//! What there is at a commit, and what of it is needed.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use glob::Pattern;
use instil::error::nearest;
use instil::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::pull::Wanted;
use super::repo::{Kind, Repo};

/// A file of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RepoFile {
    /// Below the repository's root, with `/`.
    pub(super) path: String,
    pub(super) bytes: u64,
    pub(super) name: Name,
}

/// What a file's bytes are known by, in hexadecimal digits; it is the name of the blob in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// The SHA-256 of a large file.
    Sha256(String),
    /// Git's id of a small one.
    Git(String),
}

impl Name {
    pub(super) fn digits(&self) -> &str {
        match self {
            Self::Sha256(digits) | Self::Git(digits) => digits,
        }
    }
}

/// An entry of the Hub's answer to `/tree/`.
#[derive(Deserialize)]
struct Entry {
    r#type: String,
    path: String,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    oid: String,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    oid: String,
    size: u64,
}

/// The files of a page of the Hub's answer to `/tree/`.
///
/// # Errors
/// When it is another answer, or names a path that leads out of the repository.
pub(super) fn files_of(page: Value) -> Result<Vec<RepoFile>, String> {
    let entries: Vec<Entry> = serde_json::from_value(page).map_err(|e| format!("the list of files: {e}"))?;
    entries
        .into_iter()
        .filter(|entry| entry.r#type == "file")
        .map(|entry| {
            let (bytes, name) = match entry.lfs {
                Some(lfs) => (lfs.size, Name::Sha256(lfs.oid.trim_start_matches("sha256:").to_owned())),
                None => (entry.size, Name::Git(entry.oid)),
            };
            checked(RepoFile { path: entry.path, bytes, name })
        })
        .collect()
}

/// A file whose path and name can stand in the cache.
fn checked(file: RepoFile) -> Result<RepoFile, String> {
    let inside = Path::new(&file.path).components().all(|part| matches!(part, Component::Normal(_)));
    // A backslash parts folders on some machines.
    if file.path.is_empty() || file.path.contains(['\\', '\0', ':']) || !inside {
        return Err(format!("the list of files names `{}`, which is no path in a repository", file.path));
    }
    let digits = if matches!(file.name, Name::Sha256(_)) { 64 } else { 40 };
    let name = file.name.digits();
    if name.len() != digits || !name.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(format!("the list of files gives `{}` the id `{name}`, which is none", file.path));
    }
    Ok(file)
}

/// The list of a commit's files as it is kept in the cache, in the form of `huggingface_hub`.
#[derive(Serialize, Deserialize)]
struct Kept {
    format_version: u32,
    files: BTreeMap<String, KeptFile>,
}

#[derive(Serialize, Deserialize)]
struct KeptFile {
    size: u64,
    blob_id: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    lfs_sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    lfs_size: Option<u64>,
}

/// Writes a list of files down.
pub(super) fn to_json(files: &[RepoFile]) -> Vec<u8> {
    let files = files.iter().map(|file| {
        let (blob_id, lfs_sha256) = match &file.name {
            Name::Git(id) => (id.clone(), None),
            Name::Sha256(sha256) => (String::new(), Some(sha256.clone())),
        };
        let lfs_size = lfs_sha256.is_some().then_some(file.bytes);
        (file.path.clone(), KeptFile { size: file.bytes, blob_id, lfs_sha256, lfs_size })
    });
    let kept = Kept { format_version: 1, files: files.collect() };
    serde_json::to_vec_pretty(&kept).expect("a list of files is plain values")
}

/// Reads such a list; none if it is another form or says what can't be.
pub(super) fn from_json(text: &[u8]) -> Option<Vec<RepoFile>> {
    let kept: Kept = serde_json::from_slice(text).ok()?;
    if kept.format_version != 1 {
        return None;
    }
    let files = kept.files.into_iter().map(|(path, file)| {
        let (bytes, name) = match file.lfs_sha256 {
            Some(sha256) => (file.lfs_size.unwrap_or(file.size), Name::Sha256(sha256)),
            None => (file.size, Name::Git(file.blob_id)),
        };
        checked(RepoFile { path, bytes, name }).ok()
    });
    files.collect()
}

/// What of these files is needed.
///
/// # Errors
/// When nothing is: no file has such a name, a model has weights only in forms that aren't read, or several `.gguf`
/// files of which one is to be chosen.
pub(super) fn select(files: &[RepoFile], wanted: &Wanted, repo: &Repo) -> Result<Vec<RepoFile>> {
    let what = format!("the {} `{repo}`", repo.kind().word());
    if files.is_empty() {
        return Err(Error::input(format!("{what} has no files")));
    }
    if !wanted.files.is_empty() {
        return by_pattern(files, &wanted.files, &what);
    }
    if repo.kind() == Kind::Dataset {
        return Ok(files.to_vec());
    }
    let ends = |ending: &str| files.iter().filter(|file| file.path.ends_with(ending)).collect::<Vec<_>>();
    let safetensors: Vec<_> =
        ends(".safetensors").into_iter().filter(|file| !file.path.contains('/')).collect();
    // Mistral's own form of the same weights.
    let is_consolidated = |file: &RepoFile| file.path.starts_with("consolidated");
    let only_consolidated = safetensors.iter().all(|file| is_consolidated(file));
    let gguf = ends(".gguf");
    let mut selected: Vec<RepoFile> = files.iter().filter(|file| is_beside(&file.path)).cloned().collect();
    if !safetensors.is_empty() {
        let weights = safetensors.into_iter().filter(|file| only_consolidated || !is_consolidated(file));
        selected.extend(weights.cloned());
    } else if let [file] = gguf.as_slice() {
        selected.push((*file).clone());
    } else if !gguf.is_empty() {
        let sizes: Vec<String> = gguf.iter().take(12).map(|file| shown(file)).collect();
        let more = if gguf.len() > 12 { ", …" } else { "" };
        return Err(Error::usage(format!("{what} has {} .gguf files", gguf.len())).with_hint(format!(
            "choose one with --file, such as `--file {}`: {}{more}",
            gguf[0].path,
            sizes.join(", ")
        )));
    } else if let Some(other) = ends(".safetensors").first() {
        let folder = other.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        return Err(Error::usage(format!("{what} has weights in folders only, such as `{}`", other.path))
            .with_hint(format!("name what is wanted, such as `--file {folder}/`")));
    } else if let Some(other) = files.iter().find(|file| is_pickle(&file.path)) {
        return Err(Error::input(format!(
            "{what} has no weights in safetensors or GGUF, only such as `{}`",
            other.path
        ))
        .with_hint(
            "such files run code when they are read, so they aren't; look for a conversion, perhaps `@refs/pr/1`, or fetch all with --file '*'",
        ));
    }
    match selected.is_empty() {
        true => Err(Error::input(format!("{what} has neither weights nor settings"))
            .with_hint(format!("{}; --file '*' fetches all", listed(files)))),
        false => Ok(selected),
    }
}

/// Whether this is a file that a model's weights need beside them: settings, tokenizer, chat template.
fn is_beside(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let is_template = name.ends_with(".jinja");
    let is_setting =
        name.ends_with(".json") || matches!(name, "tokenizer.model" | "merges.txt" | "vocab.txt");
    is_template || is_setting && !path.contains('/')
}

/// Whether this holds weights in a form that runs code when it is read.
fn is_pickle(path: &str) -> bool {
    [".bin", ".pth", ".pt", ".ckpt"].iter().any(|ending| path.ends_with(ending))
}

fn by_pattern(files: &[RepoFile], patterns: &[String], what: &str) -> Result<Vec<RepoFile>> {
    let mut selected = vec![false; files.len()];
    for typed in patterns {
        // A folder means what is in it.
        let text = if typed.ends_with('/') { format!("{typed}*") } else { typed.clone() };
        let pattern = Pattern::new(&text).map_err(|e| {
            Error::usage(format!("`{typed}` is no pattern for files"))
                .because(e)
                .with_hint("`*` stands for any characters, `?` for one, `[ab]` for one of them")
        })?;
        let mut found = false;
        for (file, selected) in files.iter().zip(&mut selected) {
            if pattern.matches(&file.path) {
                found = true;
                *selected = true;
            }
        }
        if !found {
            let near = nearest(typed, files.iter().map(|file| file.path.as_str()));
            let near = near.map_or(String::new(), |near| format!("did you mean `{near}`? "));
            return Err(Error::usage(format!("{what} has no file `{typed}`"))
                .with_hint(format!("{near}{}", listed(files))));
        }
    }
    Ok(files.iter().zip(selected).filter(|(_, selected)| *selected).map(|(file, _)| file.clone()).collect())
}

fn shown(file: &RepoFile) -> String {
    format!("{} ({:.1} GB)", file.path, file.bytes as f64 / 1e9)
}

/// Up to ten paths.
fn listed(files: &[RepoFile]) -> String {
    let paths: Vec<String> = files.iter().take(10).map(|file| format!("`{}`", file.path)).collect();
    let more = if files.len() > 10 { format!(" and {} more", files.len() - 10) } else { String::new() };
    format!("it has {}{more}", paths.join(", "))
}
