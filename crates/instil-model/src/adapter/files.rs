//! An adapter's folder: its two files read and written.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use instil::error::nearest;
use instil::{Error, Result};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

use super::{Adapter, LowRank, PREFIX, config};
use crate::weights::map::Map;
use crate::weights::tensor::{Stored, widen};

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";

/// Reads both files.
pub(super) fn read(folder: &Path) -> Result<Adapter> {
    let path = folder.join(CONFIG);
    let trouble = || Error::input(format!("{} can't be read", path.display()));
    if !folder.is_dir() {
        return Err(Error::input(format!("{} is no folder with an adapter", folder.display()))
            .with_hint(format!("an adapter is a folder with {CONFIG} and {WEIGHTS}, as peft writes it")));
    }
    let text = fs::read(&path).map_err(|error| {
        trouble().because(error).with_hint(if folder.join("config.json").is_file() {
            format!("that is a whole model: name it with --model; an adapter's folder holds {CONFIG}")
        } else {
            format!("an adapter's folder holds {CONFIG} and {WEIGHTS}")
        })
    })?;
    let json: Value = serde_json::from_slice(&text).map_err(|error| trouble().because(error))?;
    let mut adapter = config::parse(&json, &path)?;
    adapter.modules = modules(folder)?;
    Ok(adapter)
}

/// One of a module's two matrices.
struct Half {
    shape: [usize; 2],
    numbers: Vec<f32>,
}

/// Reads the matrices.
fn modules(folder: &Path) -> Result<BTreeMap<String, LowRank>> {
    let path = folder.join(WEIGHTS);
    if !path.is_file() {
        let error = Error::input(format!("{} is missing", path.display()));
        let pickle = folder.join("adapter_model.bin");
        return Err(if pickle.is_file() {
            Error::input(format!("{} is a pickle, which isn't read: it may run code", pickle.display())).with_hint(
                "convert it once: load the adapter with Python's peft and write it with save_pretrained(…), which writes \
                 safetensors",
            )
        } else {
            error.with_hint("the download may not have finished: fetch the adapter again")
        });
    }
    let place = path.display();
    let map = Map::open(&path)?;
    let tensors = SafeTensors::deserialize(&map).map_err(|error| {
        Error::input(format!("{place} is a broken safetensors file"))
            .because(error)
            .with_hint("the download may not have finished: fetch the adapter again")
    })?;
    let mut halves: BTreeMap<String, [Option<Half>; 2]> = BTreeMap::new();
    for (name, tensor) in tensors.iter() {
        let Some((module, part)) = split(name) else {
            let error =
                Error::input(format!("{place}: tensor `{name}` is neither lora_A nor lora_B of a module"));
            return Err(if name.contains("lora_embedding_") {
                error.because("adapted embeddings aren't done here").with_hint(
                    "merge it with Python's peft (`merge_and_unload`, `save_pretrained`) and name the merged model",
                )
            } else {
                error.with_hint(format!("names are {PREFIX}MODULE.lora_A.weight and …lora_B.weight"))
            });
        };
        let half = half(name, &tensor).map_err(|error| error(&path))?;
        let twins = halves.entry(module.to_owned()).or_default();
        if twins[part].replace(half).is_some() {
            return Err(Error::input(format!("{place}: `{module}` has lora_{} twice", ["A", "B"][part])));
        }
    }
    if halves.is_empty() {
        return Err(Error::input(format!("{place} holds no tensors")).with_hint(
            "an adapter that peft saved under DeepSpeed ZeRO-3 may be empty: gather it before saving",
        ));
    }
    let names: Vec<String> = halves.keys().cloned().collect();
    let joined = halves.into_iter().map(|(module, twins)| {
        let [Some(a), Some(b)] = twins else {
            let near = nearest(&module, names.iter().map(String::as_str).filter(|name| **name != module));
            let error = Error::input(format!("{place}: `{module}` has only one of lora_A and lora_B"));
            return Err(match near {
                Some(near) => error.with_hint(format!("another module there is `{near}`")),
                None => error,
            });
        };
        let [r, k] = a.shape;
        let [n, inner] = b.shape;
        if inner != r || r == 0 || k == 0 || n == 0 {
            return Err(Error::input(format!(
                "{place}: lora_A {:?} and lora_B {:?} of `{module}` don't fit each other",
                a.shape, b.shape
            ))
            .with_hint("lora_A is [r, inputs], lora_B [outputs, r]"));
        }
        Ok((module, LowRank { r, k, n, a: a.numbers, b: b.numbers }))
    });
    joined.collect()
}

/// The module of a tensor and which half it is. Names may come without peft's prefix, and with the adapter's own name
/// (`lora_A.default.weight`), as a trainer's checkpoint has them.
fn split(name: &str) -> Option<(&str, usize)> {
    let name = name.strip_prefix(PREFIX).unwrap_or(name);
    let stem = name.strip_suffix(".weight")?;
    let stem = stem.strip_suffix(".default").unwrap_or(stem);
    let module = [".lora_A", ".lora_B"].iter().position(|part| stem.ends_with(part));
    module.map(|part| (&stem[..stem.len() - ".lora_A".len()], part))
}

/// Widens a tensor. Errors are completed with the file.
fn half(name: &str, tensor: &TensorView<'_>) -> Result<Half, impl Fn(&Path) -> Error + use<>> {
    let refuse = |what: String| Err(move |path: &Path| Error::input(format!("{}: {what}", path.display())));
    let stored = match tensor.dtype() {
        Dtype::F32 => Stored::F32,
        Dtype::F16 => Stored::F16,
        Dtype::BF16 => Stored::Bf16,
        other => {
            return refuse(format!("tensor `{name}` is stored as {other:?}; F32, F16 and BF16 are read"));
        }
    };
    let &[rows, columns] = tensor.shape() else {
        return refuse(format!("tensor `{name}` has the shape {:?}, and is no matrix", tensor.shape()));
    };
    let mut numbers = vec![0.0; rows * columns];
    widen(&stored, tensor.data(), &mut numbers);
    match numbers.iter().position(|number| !number.is_finite()) {
        Some(at) => refuse(format!(
            "tensor `{name}` holds {} at [{}, {}]; its training may have diverged",
            numbers[at],
            at / columns,
            at % columns
        )),
        None => Ok(Half { shape: [rows, columns], numbers }),
    }
}

/// Writes both files.
pub(super) fn write(adapter: &Adapter, folder: &Path) -> Result<()> {
    let trouble = |error: std::io::Error| {
        Error::output(format!("the adapter can't be written to {}", folder.display())).because(error)
    };
    let mut bytes: Vec<(String, [usize; 2], Vec<u8>)> = Vec::new();
    let of = |numbers: &[f32]| numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    for (name, module) in &adapter.modules {
        bytes.push((format!("{PREFIX}{name}.lora_A.weight"), [module.r, module.k], of(&module.a)));
        bytes.push((format!("{PREFIX}{name}.lora_B.weight"), [module.n, module.r], of(&module.b)));
    }
    let views = bytes
        .iter()
        .map(|(name, shape, bytes)| Ok((name, TensorView::new(Dtype::F32, shape.to_vec(), bytes)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
        .and_then(|views| {
            safetensors::serialize(views, Some(HashMap::from([("format".to_owned(), "pt".to_owned())])))
        })
        .map_err(|error| {
            Error::output(format!("the adapter for {} can't be laid out", folder.display())).because(error)
        })?;
    let json = format!("{:#}\n", config::json(adapter));
    fs::create_dir_all(folder).map_err(trouble)?;
    for (name, content) in [(WEIGHTS, views.as_slice()), (CONFIG, json.as_bytes())] {
        let part = folder.join(format!(".{name}.part"));
        let written = fs::write(&part, content).and_then(|()| fs::rename(&part, folder.join(name)));
        written.map_err(trouble)?;
    }
    Ok(())
}
