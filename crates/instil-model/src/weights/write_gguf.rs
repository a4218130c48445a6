//! A GGUF file as llama.cpp reads it: metadata, tokenizer, and tensors under its names and in its order.
//!
//! Keys and their meaning are those of `convert_hf_to_gguf.py` (llama.cpp, 2026-11). Of a base that is a GGUF file the keys
//! are taken along as they are.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use instil::{Error, Result};
use serde_json::Value;

use super::names::{self, Architecture};
use super::tensor::Order;
use super::write::{Part, Weights, WriteAs};
use super::{Checkpoint, Source, cache, write_tokenizer};
use crate::decoder::{Config, Family, Norm, Residual, Rope, RopeScaling};
use crate::kernel::Dtype;

/// Bytes that tensors are aligned to.
pub(super) const ALIGNMENT: usize = 32;
/// llama.cpp's name of the factors by which each wavelength is stretched.
const FACTORS: &str = "rope_freqs.weight";
/// The number of f32 in ggml's list.
const F32: u32 = 0;

/// Keys with their values, as bytes of the file.
#[derive(Default)]
pub(super) struct Keys {
    count: u64,
    bytes: Vec<u8>,
}

impl Keys {
    fn put(&mut self, key: &str, kind: u32, value: &[u8]) {
        self.count += 1;
        text(&mut self.bytes, key);
        self.bytes.extend(kind.to_le_bytes());
        self.bytes.extend(value);
    }

    pub(super) fn u32(&mut self, key: &str, value: usize) {
        // Counts of a model are far below 2^32.
        self.put(key, 4, &(value as u32).to_le_bytes());
    }

    pub(super) fn f32(&mut self, key: &str, value: f32) {
        self.put(key, 6, &value.to_le_bytes());
    }

    pub(super) fn flag(&mut self, key: &str, value: bool) {
        self.put(key, 7, &[value.into()]);
    }

    pub(super) fn text(&mut self, key: &str, value: &str) {
        let mut bytes = Vec::new();
        text(&mut bytes, value);
        self.put(key, 8, &bytes);
    }

    pub(super) fn texts(&mut self, key: &str, values: &[String]) {
        let mut bytes = array(8, values.len());
        values.iter().for_each(|value| text(&mut bytes, value));
        self.put(key, 9, &bytes);
    }

    pub(super) fn floats(&mut self, key: &str, values: &[f32]) {
        let mut bytes = array(6, values.len());
        values.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
        self.put(key, 9, &bytes);
    }

    pub(super) fn integers(&mut self, key: &str, values: &[i32]) {
        let mut bytes = array(5, values.len());
        values.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
        self.put(key, 9, &bytes);
    }

    /// Their number, and they.
    pub(super) fn write(&self, header: &mut Vec<u8>) {
        header.extend(self.count.to_le_bytes());
        header.extend(&self.bytes);
    }

    /// A key with its value as another file has them.
    fn copied(&mut self, bytes: &[u8]) {
        self.count += 1;
        self.bytes.extend(bytes);
    }
}

/// The head of an array.
fn array(kind: u32, len: usize) -> Vec<u8> {
    [&kind.to_le_bytes()[..], &(len as u64).to_le_bytes()].concat()
}

pub(super) fn text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
}

/// Writes the file; none if the caller stops it.
pub(super) fn write(
    weights: &mut Weights<'_>,
    parts: &[Part],
    path: &Path,
    dtype: Option<WriteAs>,
) -> Result<Option<Vec<String>>> {
    let trouble = |error: std::io::Error| Error::output(format!("{}", path.display())).because(error);
    let checkpoint = weights.checkpoint;
    let config = checkpoint.config()?;
    let architecture = architecture(checkpoint)?;
    let mut notes = Vec::new();
    let keys = match &checkpoint.source {
        Source::Gguf(gguf, own) if *own != Architecture::Own => {
            let mut keys = Keys::default();
            let settled = ["general.file_type", "general.alignment", "general.quantization_version"];
            for (key, range) in gguf.keys.iter().filter(|(key, _)| !settled.contains(&key.as_str())) {
                if !key.starts_with("split.") {
                    keys.copied(&checkpoint.files[0][range.clone()]);
                }
            }
            keys
        }
        _ => {
            let mut keys = described(checkpoint, architecture)?;
            notes.extend(write_tokenizer::write(checkpoint, &mut keys)?);
            keys
        }
    };
    if let Some(Some(window)) = config.windows.first() {
        notes.push(format!(
            "llama.cpp leaves out this model's sliding window of {window} tokens: from there on its texts are others"
        ));
    }
    let keys = with_file_type(keys, parts, dtype);

    let mut tensors = Vec::new();
    for part in parts {
        let name = names::gguf_name(architecture, &part.name).ok_or_else(|| {
            Error::input(format!("{}: GGUF has no name for `{}`", checkpoint.path.display(), part.name))
                .with_hint("merge it with --format safetensors")
        })?;
        let order = match names::order(architecture, &part.name, config, part.shape[0]) {
            Order::All => Order::All,
            // Read, a row of Hugging Face's is this one of the file; written, it is the other way round.
            Order::Picked(rows) => {
                let mut turned = vec![0; rows.len()];
                rows.iter().enumerate().for_each(|(ours, theirs)| turned[*theirs] = ours);
                Order::Picked(turned)
            }
        };
        tensors.push((
            name,
            Part { name: part.name.clone(), shape: part.shape.clone(), dtype: part.dtype, order },
        ));
    }
    let factors = factors(&config.rope);

    let mut header = b"GGUF".to_vec();
    header.extend(3u32.to_le_bytes());
    header.extend((tensors.len() as u64 + u64::from(factors.is_some())).to_le_bytes());
    keys.write(&mut header);
    let mut offset = 0;
    let mut place = |header: &mut Vec<u8>, name: &str, shape: &[usize], kind: u32, bytes: usize| {
        text(header, name);
        header.extend((shape.len() as u32).to_le_bytes());
        shape.iter().rev().for_each(|size| header.extend((*size as u64).to_le_bytes()));
        header.extend(kind.to_le_bytes());
        header.extend((offset as u64).to_le_bytes());
        offset += bytes.next_multiple_of(ALIGNMENT);
    };
    if let Some(factors) = &factors {
        place(&mut header, FACTORS, &[factors.len()], F32, size_of_val(&factors[..]));
    }
    for (name, part) in &tensors {
        let kind = cache::number_of(part.dtype)
            .ok_or_else(|| Error::output(format!("GGUF has no type for {}", part.dtype)))?;
        place(&mut header, name, &part.shape, kind, part.bytes());
    }
    header.resize(header.len().next_multiple_of(ALIGNMENT), 0);

    let mut file = BufWriter::new(File::create(path).map_err(trouble)?);
    file.write_all(&header).map_err(trouble)?;
    let padding = |bytes: usize| vec![0u8; bytes.next_multiple_of(ALIGNMENT) - bytes];
    if let Some(factors) = &factors {
        let bytes: Vec<u8> = factors.iter().flat_map(|factor| factor.to_le_bytes()).collect();
        file.write_all(&bytes).and_then(|()| file.write_all(&padding(bytes.len()))).map_err(trouble)?;
    }
    for (_, part) in &tensors {
        if !weights.write(part, &mut |bytes| file.write_all(bytes).map_err(trouble))? {
            return Ok(None);
        }
        file.write_all(&padding(part.bytes())).map_err(trouble)?;
    }
    let file = file.into_inner().map_err(|error| trouble(error.into_error()))?;
    file.sync_all().map_err(trouble)?;
    Ok(Some(notes))
}

/// llama.cpp's architecture of the model.
fn architecture(checkpoint: &Checkpoint) -> Result<Architecture> {
    let config = checkpoint.config()?;
    let refused = |what: &str| {
        Err(Error::input(format!("{}: GGUF can't hold {what}", checkpoint.path.display()))
            .with_hint("merge it with --format safetensors"))
    };
    if config.windows.iter().any(|window| *window != config.windows[0]) {
        return refused("sliding windows in some of the layers only");
    }
    match config.family {
        Family::Llama | Family::Mistral => Ok(Architecture::Llama),
        Family::Qwen2 => Ok(Architecture::Qwen2),
        Family::Qwen3 => Ok(Architecture::Qwen3),
        Family::GptNeoX => Ok(Architecture::GptNeoX),
        Family::GptJ => refused("GPT-J: llama.cpp doesn't compute it"),
    }
}

/// The keys that say what the model is.
fn described(checkpoint: &Checkpoint, architecture: Architecture) -> Result<Keys> {
    let config = checkpoint.config()?;
    let Config { heads, kv_heads, head_dim, .. } = *config;
    let named = Architecture::ALL.iter().find(|(_, known)| *known == architecture);
    let name = named.map_or("llama", |(name, _)| name);
    let mut keys = Keys::default();
    keys.text("general.architecture", name);
    keys.text("general.type", "model");
    let title = checkpoint.path.file_name().map_or_else(|| "model".into(), |name| name.to_string_lossy());
    keys.text("general.name", &title);
    let key = |part: &str| format!("{name}.{part}");
    for (part, count) in [
        ("block_count", config.layers),
        ("context_length", config.positions),
        ("embedding_length", config.hidden),
        ("feed_forward_length", config.intermediate),
        ("attention.head_count", heads),
        ("attention.head_count_kv", kv_heads),
        ("attention.key_length", head_dim),
        ("attention.value_length", head_dim),
        ("rope.dimension_count", config.rope.dim),
        ("vocab_size", config.vocab),
    ] {
        keys.u32(&key(part), count);
    }
    if let Some(Some(window)) = config.windows.first() {
        keys.u32(&key("attention.sliding_window"), *window);
    }
    keys.f32(&key("rope.freq_base"), config.rope.theta as f32);
    let epsilon = match config.norm {
        Norm::Rms => "attention.layer_norm_rms_epsilon",
        Norm::Layer => "attention.layer_norm_epsilon",
    };
    keys.f32(&key(epsilon), config.norm_eps);
    if config.family == Family::GptNeoX {
        keys.flag(&key("use_parallel_residual"), config.residual == Residual::Parallel);
    }
    if let RopeScaling::Linear { factor } = config.rope.scaling {
        keys.text(&key("rope.scaling.type"), "linear");
        keys.f32(&key("rope.scaling.factor"), factor as f32);
    }
    Ok(keys)
}

/// The keys, with the number by which llama.cpp calls the types of the tensors.
fn with_file_type(mut keys: Keys, parts: &[Part], dtype: Option<WriteAs>) -> Keys {
    let matrix = parts.iter().find(|part| part.shape.len() == 2).map(|part| part.dtype);
    let number = match (dtype, matrix) {
        (Some(WriteAs::Q4K), _) => 15,
        (Some(WriteAs::Q8_0), _) => 7,
        (_, Some(Dtype::F16)) => 1,
        (_, Some(Dtype::Bf16)) => 32,
        _ => 0,
    };
    keys.u32("general.file_type", number);
    keys.u32("general.quantization_version", 2);
    keys
}

/// By what each frequency is divided, where llama3's scaling is asked for.
fn factors(rope: &Rope) -> Option<Vec<f32>> {
    matches!(rope.scaling, RopeScaling::Llama3 { .. }).then(|| {
        let plain = Rope { scaling: RopeScaling::None, ..*rope }.frequencies();
        plain.iter().zip(rope.frequencies()).map(|(plain, scaled)| plain / scaled).collect()
    })
}

/// A JSON file beside the weights.
pub(super) fn json(checkpoint: &Checkpoint, name: &str) -> Result<Option<Value>> {
    let Some(bytes) = checkpoint.file(name)? else { return Ok(None) };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| {
        Error::input(format!("{}: {name} isn't JSON", checkpoint.path.display())).because(error)
    })
}
