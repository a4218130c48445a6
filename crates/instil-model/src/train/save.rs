//! Tensors on disk: safetensors files, written as they lie, and a model's folder.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use instil::{Error, Result};
use safetensors::{Dtype, SafeTensors};
use serde_json::{Map, Value, json};

/// A tensor to write: its name, its shape and its numbers.
pub(super) type Named<'a> = (&'a str, &'a [usize], &'a [f32]);

/// Files beside the weights that belong to a model, whatever was trained.
const BESIDE: [&str; 10] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "generation_config.json",
    "chat_template.jinja",
    "chat_template.json",
];

/// Writes numbers as f32 in the format of safetensors, and has them on the disk before it returns.
///
/// # Errors
/// When the file can't be written.
pub(super) fn safetensors(path: &Path, tensors: &[Named<'_>]) -> Result<()> {
    let mut header = Map::new();
    header.insert("__metadata__".into(), json!({"format": "pt"}));
    let mut end = 0;
    for (name, shape, numbers) in tensors {
        let start = end;
        end += size_of_val(*numbers);
        let entry = json!({"dtype": "F32", "shape": shape, "data_offsets": [start, end]});
        header.insert((*name).to_owned(), entry);
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    let write = || -> std::io::Result<()> {
        let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(&header)?;
        for (_, _, numbers) in tensors {
            for number in *numbers {
                file.write_all(&number.to_le_bytes())?;
            }
        }
        file.into_inner().map_err(|error| error.into_error())?.sync_all()
    };
    write().map_err(|error| unwritten(path, error))
}

/// What can't be written.
pub(super) fn unwritten(path: &Path, error: std::io::Error) -> Error {
    let full = error.kind() == std::io::ErrorKind::StorageFull;
    let error = Error::output(format!("{} can't be written", path.display())).because(error);
    if full { error.with_hint("the disk is full; what was written before is whole") } else { error }
}

/// Reads tensors of f32 that [`safetensors`] wrote, into `into`.
///
/// # Errors
/// When the file can't be read, or its tensors aren't these.
pub(super) fn read(path: &Path, into: &mut [(&str, &mut [f32])]) -> Result<()> {
    let trouble = || Error::input(format!("{} can't be read", path.display()));
    let bytes = crate::weights::Map::open(path)?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(|error| trouble().because(error))?;
    for (name, numbers) in into {
        let tensor = tensors.tensor(name).map_err(|error| trouble().because(error))?;
        let (data, _) = tensor.data().as_chunks::<4>();
        if tensor.dtype() != Dtype::F32 || data.len() != numbers.len() {
            return Err(trouble()
                .because(format!("tensor `{name}` has {} numbers, not {}", data.len(), numbers.len()))
                .with_hint("it is of another model or adapter"));
        }
        numbers.iter_mut().zip(data).for_each(|(number, bytes)| *number = f32::from_le_bytes(*bytes));
    }
    Ok(())
}

/// Writes a model's folder: the configuration, said to be f32, the weights, and what `file` has of the files beside.
///
/// # Errors
/// When something can't be read or written.
pub(super) fn folder(
    path: &Path,
    config: &Value,
    tensors: &[Named<'_>],
    file: &dyn Fn(&str) -> Result<Option<Vec<u8>>>,
) -> Result<()> {
    fs::create_dir_all(path).map_err(|error| unwritten(path, error))?;
    let mut config = config.clone();
    if let Some(config) = config.as_object_mut() {
        for key in ["torch_dtype", "dtype"] {
            if config.contains_key(key) {
                config.insert(key.into(), "float32".into());
            }
        }
        config.remove("quantization_config");
    }
    let write = |name: &str, bytes: &[u8]| {
        let path = path.join(name);
        fs::write(&path, bytes).map_err(|error| unwritten(&path, error))
    };
    let mut text = serde_json::to_string_pretty(&config).unwrap_or_default();
    text.push('\n');
    write("config.json", text.as_bytes())?;
    for name in BESIDE {
        if let Some(bytes) = file(name)? {
            write(name, &bytes)?;
        }
    }
    safetensors(&path.join("model.safetensors"), tensors)
}
