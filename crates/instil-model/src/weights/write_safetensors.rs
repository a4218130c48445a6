//! A Hugging Face folder: safetensors in shards with their index, configuration and tokenizer.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use instil::{Error, Result};
use serde_json::{Map, Value, json};

use super::write::{Part, Weights};
use crate::kernel::Dtype;

/// What is taken along from the base's folder as it is.
const BESIDE: [&str; 10] = [
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "tokenizer.model",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
];

/// Writes the folder; none if the caller stops it.
pub(super) fn write(
    weights: &mut Weights<'_>,
    parts: &[Part],
    folder: &Path,
    shard_bytes: u64,
) -> Result<Option<Vec<String>>> {
    let trouble = |error: std::io::Error| Error::output(format!("{}", folder.display())).because(error);
    fs::create_dir_all(folder).map_err(trouble)?;
    let shards = shards(parts, shard_bytes);
    let mut by_tensor = Map::new();
    for (number, shard) in shards.iter().enumerate() {
        let name = match shards.len() {
            1 => "model.safetensors".to_owned(),
            count => format!("model-{:05}-of-{count:05}.safetensors", number + 1),
        };
        let mut file = BufWriter::new(File::create(folder.join(&name)).map_err(trouble)?);
        file.write_all(&header(shard)).map_err(trouble)?;
        for part in *shard {
            by_tensor.insert(part.name.clone(), name.clone().into());
            if !weights.write(part, &mut |bytes| file.write_all(bytes).map_err(trouble))? {
                return Ok(None);
            }
        }
        let file = file.into_inner().map_err(|error| trouble(error.into_error()))?;
        file.sync_all().map_err(trouble)?;
    }
    if shards.len() > 1 {
        let total: usize = parts.iter().map(Part::bytes).sum();
        let index = json!({"metadata": {"total_size": total}, "weight_map": by_tensor});
        fs::write(folder.join("model.safetensors.index.json"), format!("{index:#}\n")).map_err(trouble)?;
    }
    let config = config(weights, parts)?;
    fs::write(folder.join("config.json"), format!("{config:#}\n")).map_err(trouble)?;
    for name in BESIDE {
        if let Some(bytes) = weights.checkpoint.file(name)? {
            fs::write(folder.join(name), bytes).map_err(trouble)?;
        }
    }
    let untied =
        "the head was the embedding, and the adapter changes it alone: they are two matrices from now on";
    Ok(Some(weights.unties().then(|| untied.to_owned()).into_iter().collect()))
}

/// The base's configuration as that of plain weights.
fn config(weights: &Weights<'_>, parts: &[Part]) -> Result<Value> {
    let bytes = weights.checkpoint.file("config.json")?.unwrap_or_default();
    let mut config: Value = serde_json::from_slice(&bytes)
        .map_err(|error| Error::input("the base's config.json isn't understood").because(error))?;
    if let Some(config) = config.as_object_mut() {
        config.remove("quantization_config");
        let matrix = parts.iter().find(|part| part.shape.len() == 2);
        let dtype = match matrix.map(|part| part.dtype) {
            Some(Dtype::F16) => "float16",
            Some(Dtype::Bf16) => "bfloat16",
            _ => "float32",
        };
        // transformers 5 writes the shorter name.
        let key = if config.contains_key("torch_dtype") { "torch_dtype" } else { "dtype" };
        config.insert(key.into(), dtype.into());
        if weights.unties() {
            config.insert("tie_word_embeddings".into(), false.into());
        }
    }
    Ok(config)
}

/// The tensors of each file.
fn shards(parts: &[Part], most: u64) -> Vec<&[Part]> {
    let (mut shards, mut first, mut bytes) = (Vec::new(), 0, 0);
    for (number, part) in parts.iter().enumerate() {
        let size = part.bytes() as u64;
        if number > first && bytes + size > most {
            shards.push(&parts[first..number]);
            (first, bytes) = (number, 0);
        }
        bytes += size;
    }
    shards.push(&parts[first..]);
    shards
}

/// The header of a safetensors file.
fn header(parts: &[Part]) -> Vec<u8> {
    let mut tensors: BTreeMap<&str, Value> = BTreeMap::new();
    let mut offset = 0;
    for part in parts {
        let dtype = match part.dtype {
            Dtype::F16 => "F16",
            Dtype::Bf16 => "BF16",
            _ => "F32",
        };
        let end = offset + part.bytes();
        tensors
            .insert(&part.name, json!({"dtype": dtype, "shape": part.shape, "data_offsets": [offset, end]}));
        offset = end;
    }
    let mut all = Map::from_iter([("__metadata__".to_owned(), json!({"format": "pt"}))]);
    all.extend(tensors.into_iter().map(|(name, tensor)| (name.to_owned(), tensor)));
    let mut text = Value::Object(all).to_string().into_bytes();
    // The numbers begin at a multiple of eight.
    text.resize(text.len().next_multiple_of(8), b' ');
    [&(text.len() as u64).to_le_bytes()[..], &text].concat()
}
