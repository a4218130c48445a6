//! Hugging Face folders: which safetensors files, and what is in them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use instil::{Error, Result};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

use super::map::Map;
use super::tensor::{Stored, Tensor};

/// The name of the file that says which shard holds which tensor.
const INDEX: &str = "model.safetensors.index.json";
/// The name of weights that are one file.
const SINGLE: &str = "model.safetensors";

/// The weights of a folder: the files, and every tensor by name.
pub(super) struct Contents {
    pub(super) files: Vec<Map>,
    pub(super) tensors: BTreeMap<String, Tensor>,
}

/// Whether a folder has safetensors files, or an index of them.
pub(super) fn any(folder: &Path) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let file = |path: PathBuf| path.extension().is_some_and(|ending| ending == "safetensors");
    folder.join(INDEX).is_file() || entries.map(|entry| entry.path()).any(file)
}

/// Opens the safetensors files of a folder.
///
/// # Errors
/// When there are none, one that the index names is missing, or one is broken.
pub(super) fn open(folder: &Path) -> Result<Contents> {
    let index = folder.join(INDEX);
    let (paths, indexed) = if folder.join(SINGLE).is_file() {
        (vec![folder.join(SINGLE)], None)
    } else if index.is_file() {
        let by_tensor = read_index(&index)?;
        let mut shards: Vec<&String> = by_tensor.values().collect();
        shards.sort_unstable();
        shards.dedup();
        let mut paths = Vec::new();
        for shard in shards {
            // The index comes with the download; a name with a path in it would read files elsewhere.
            if Path::new(shard).file_name() != Some(shard.as_ref()) {
                return Err(Error::input(format!("{}: `{shard}` is no name of a file", index.display())));
            }
            let path = folder.join(shard);
            if !path.is_file() {
                return Err(Error::input(format!("{} is missing, which {INDEX} names", path.display()))
                    .with_hint("the download may not have finished: fetch the model again"));
            }
            paths.push(path);
        }
        (paths, Some(by_tensor))
    } else {
        (loose(folder)?, None)
    };

    let mut contents = Contents { files: Vec::new(), tensors: BTreeMap::new() };
    for path in paths {
        let map = Map::open(&path)?;
        let file = contents.files.len();
        for (name, tensor) in read(&map, file)? {
            if let Some(twin) = contents.tensors.insert(name.clone(), tensor) {
                return Err(Error::input(format!(
                    "tensor `{name}` is in {} and in {}",
                    contents.files[twin.file].path().display(),
                    path.display()
                )));
            }
        }
        contents.files.push(map);
    }
    for (name, shard) in indexed.iter().flatten() {
        if !contents.tensors.contains_key(name) {
            return Err(Error::input(format!(
                "{} has no tensor `{name}`, which {INDEX} says it holds",
                folder.join(shard).display()
            )));
        }
    }
    Ok(contents)
}

/// Tensor names with the names of their files.
fn read_index(path: &Path) -> Result<BTreeMap<String, String>> {
    let trouble = || Error::input(format!("{} can't be read", path.display()));
    let text = fs::read(path).map_err(|error| trouble().because(error))?;
    let json: Value = serde_json::from_slice(&text).map_err(|error| trouble().because(error))?;
    let Some(map) = json.get("weight_map").and_then(Value::as_object) else {
        return Err(Error::input(format!("{}: `weight_map` is missing", path.display())));
    };
    map.iter()
        .map(|(name, shard)| match shard.as_str() {
            Some(shard) => Ok((name.clone(), shard.to_owned())),
            None => Err(Error::input(format!("{}: `{name}` is {shard}, not a file", path.display()))),
        })
        .collect()
}

/// All safetensors files of a folder that has no index.
fn loose(folder: &Path) -> Result<Vec<PathBuf>> {
    let trouble = || Error::input(format!("{} can't be read", folder.display()));
    let mut names: Vec<PathBuf> = fs::read_dir(folder)
        .map_err(|error| trouble().because(error))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<_>>()
        .map_err(|error| trouble().because(error))?;
    names.sort();
    let ending = |path: &Path, ending: &str| path.extension().is_some_and(|found| found == ending);
    let found: Vec<PathBuf> = names.iter().filter(|path| ending(path, "safetensors")).cloned().collect();
    if !found.is_empty() {
        return Ok(found);
    }
    if let Some(pickle) =
        names.iter().find(|path| ["bin", "pt", "pth", "ckpt"].iter().any(|kind| ending(path, kind)))
    {
        return Err(Error::input(format!("{} is a pickle, which isn't read: it may run code", pickle.display()))
            .with_hint(
                "convert it once: load it with transformers and write it with save_pretrained(…, safe_serialization=True)",
            ));
    }
    Err(Error::input(format!("{} holds no weights", folder.display()))
        .with_hint("a model is a folder with config.json, tokenizer.json and *.safetensors, or a .gguf file"))
}

/// The tensors of one file.
fn read(map: &Map, file: usize) -> Result<Vec<(String, Tensor)>> {
    let (header, metadata) = SafeTensors::read_metadata(map).map_err(|error| {
        Error::input(format!("{} is a broken safetensors file", map.path().display()))
            .because(error)
            .with_hint("the download may not have finished: fetch the model again")
    })?;
    let start = header + size_of::<u64>();
    let tensors = metadata.tensors().into_iter().map(|(name, info)| {
        let stored = match info.dtype {
            Dtype::F32 => Stored::F32,
            Dtype::F16 => Stored::F16,
            Dtype::BF16 => Stored::Bf16,
            Dtype::I32 => Stored::I32,
            other => Stored::Other(format!("{other:?}")),
        };
        let range = start + info.data_offsets.0..start + info.data_offsets.1;
        (name, Tensor { file, range, stored, shape: info.shape.clone() })
    });
    Ok(tensors.collect())
}
