//! What `--model owner/name` means on this machine.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use instil::{Error, Result};

use super::cache::Cache;
use super::config::Config;
use super::pull::{Wanted, find, pull};
use super::repo::{Kind, Repo};
use super::watch::Transfer;

/// The folder of a model in Hugging Face layout, or its `.gguf` file, by the path or the id that a user named: a path that
/// is there is given as it is; `owner/name[@revision]` is looked for in the cache, without asking anybody, and fetched
/// if it isn't there. None if `watch` broke off.
///
/// A model whose repository holds several `.gguf` files is found once one of them was pulled by name.
///
/// # Errors
/// When it is neither a path that is there nor an id, the cache has several `.gguf` files of it, it isn't there and
/// nothing may be fetched ([`Config::offline`]), or as [`pull`].
pub fn resolve_model(
    named: &str,
    config: &Config,
    watch: &mut dyn FnMut(&Transfer) -> ControlFlow<()>,
) -> Result<Option<PathBuf>> {
    let path = Path::new(named);
    if path.exists() {
        return Ok(Some(path.to_owned()));
    }
    let neither = || {
        Error::usage(format!("there is no model `{named}`")).with_hint(
            "name a folder in Hugging Face layout, a .gguf file, or an id of the Hub, `owner/name`",
        )
    };
    let repo = Repo::parse(named, Kind::Model).map_err(|_| neither())?;
    // A name without an owner is a slip more often than one of the few old models that have none.
    if !repo.id().contains('/') || is_file_name(named) {
        return Err(neither());
    }
    let wanted = Wanted::default();
    if let Some(found) = find(config, &repo, &wanted) {
        return weights(found.folder, &repo).map(Some);
    }
    if let Some(folder) = chosen(config, &repo) {
        return weights(folder, &repo).map(Some);
    }
    match pull(config, &repo, &wanted, watch)? {
        Some(pulled) => weights(pulled.folder, &repo).map(Some),
        None => Ok(None),
    }
}

/// Whether this looks like a path to a file of weights.
fn is_file_name(named: &str) -> bool {
    [".gguf", ".safetensors", ".bin", ".json"].iter().any(|ending| named.ends_with(ending))
}

/// The snapshot of a repository of which only some `.gguf` files were pulled.
fn chosen(config: &Config, repo: &Repo) -> Option<PathBuf> {
    let cache = Cache::of(config, repo);
    let folder = cache.snapshot(&cache.commit(repo)?);
    (!gguf_in(&folder).is_empty()).then_some(folder)
}

/// A snapshot's folder, or the one `.gguf` file in it where there are no other weights.
fn weights(folder: PathBuf, repo: &Repo) -> Result<PathBuf> {
    let names = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten();
    if names(&folder).any(|entry| entry.path().extension().is_some_and(|ending| ending == "safetensors")) {
        return Ok(folder);
    }
    match gguf_in(&folder).as_slice() {
        [] => Ok(folder),
        [file] => Ok(file.clone()),
        [first, ..] => Err(Error::usage(format!("several .gguf files of `{repo}` are in the cache"))
            .with_hint(format!("name the one that is meant, such as `{}`", first.display()))),
    }
}

/// The `.gguf` files of a folder that are there, sorted.
fn gguf_in(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.is_file() && path.extension().is_some_and(|ending| ending == "gguf") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
