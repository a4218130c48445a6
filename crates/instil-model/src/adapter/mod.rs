//! Low-rank adapters (LoRA) in the layout of Python's `peft`.
//!
//! An adapter adds `scaling * (x Aᵀ) Bᵀ` to what a linear layer `x Wᵀ` gives, for the modules that it names. On disk it is
//! a folder: `adapter_config.json` says how it was made (`config`), `adapter_model.safetensors` holds `A` and `B` of each
//! module as `base_model.model.{module}.lora_A.weight` and `….lora_B.weight` (peft 0.21, `utils/save_and_load.py`).

mod config;
mod files;
mod targets;

use std::collections::BTreeMap;
use std::path::Path;

use instil::error::nearest;
use instil::{Error, Result};

pub use targets::TargetModules;

/// What stands before a module's name in an adapter's tensors.
pub const PREFIX: &str = "base_model.model.";

/// A low-rank adapter: how it was made, and its matrices.
#[derive(Clone, Debug, PartialEq)]
pub struct Adapter {
    /// The rank of modules that `rank_pattern` doesn't name.
    pub r: usize,
    /// With the rank it gives the scaling: `lora_alpha / r`, or `lora_alpha / √r` with [`Adapter::use_rslora`].
    pub lora_alpha: f64,
    /// The share of inputs that training dropped; nothing is dropped when an adapter is used.
    pub lora_dropout: f64,
    /// Whether the scaling divides by the root of the rank.
    pub use_rslora: bool,
    /// Which modules training was asked to adapt. What is adapted stands in [`Adapter::modules`].
    pub target_modules: TargetModules,
    /// Layers that training was limited to; none means all.
    pub layers_to_transform: Option<Vec<usize>>,
    /// By pattern of a module's name, another rank.
    pub rank_pattern: BTreeMap<String, usize>,
    /// By pattern of a module's name, another `lora_alpha`.
    pub alpha_pattern: BTreeMap<String, f64>,
    /// The model that it was trained on: a folder or an id of the Hub.
    pub base_model_name_or_path: Option<String>,
    /// The revision of that model.
    pub revision: Option<String>,
    /// By the name that the module has in the base model, such as `model.layers.0.self_attn.q_proj`.
    pub modules: BTreeMap<String, LowRank>,
}

/// What is added to one module.
#[derive(Clone, Debug, PartialEq)]
pub struct LowRank {
    /// Rows of `A`.
    pub r: usize,
    /// Inputs of the module.
    pub k: usize,
    /// Outputs of the module.
    pub n: usize,
    /// `[r, k]`, row after row.
    pub a: Vec<f32>,
    /// `[n, r]`, row after row.
    pub b: Vec<f32>,
}

impl Adapter {
    /// An adapter without modules yet, with peft's defaults for what isn't named.
    pub fn new(r: usize, lora_alpha: f64, target_modules: TargetModules) -> Self {
        Self {
            r,
            lora_alpha,
            lora_dropout: 0.0,
            use_rslora: false,
            target_modules,
            layers_to_transform: None,
            rank_pattern: BTreeMap::new(),
            alpha_pattern: BTreeMap::new(),
            base_model_name_or_path: None,
            revision: None,
            modules: BTreeMap::new(),
        }
    }

    /// Reads an adapter's folder.
    ///
    /// # Errors
    /// When a file is missing or broken, a number isn't finite, or the adapter does something that isn't done here
    /// (DoRA, trained biases, whole modules saved beside …), which is then named.
    pub fn read(folder: &Path) -> Result<Self> {
        files::read(folder)
    }

    /// Writes the folder that [`Adapter::read`] and `peft` read, matrices in f32. Each file is written beside its place
    /// and renamed, the configuration last.
    ///
    /// # Errors
    /// When a file can't be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        files::write(self, folder)
    }

    /// The rank that a module of this name has by the configuration.
    ///
    /// # Errors
    /// When a pattern is no regular expression.
    pub fn rank_of(&self, module: &str) -> Result<usize> {
        Ok(targets::pattern(&self.rank_pattern, module)?.copied().unwrap_or(self.r))
    }

    /// By what a module's low-rank product is multiplied.
    ///
    /// # Errors
    /// When a pattern is no regular expression.
    pub fn scaling(&self, module: &str) -> Result<f32> {
        let alpha = targets::pattern(&self.alpha_pattern, module)?.copied().unwrap_or(self.lora_alpha);
        let r = match self.modules.get(module) {
            Some(module) => module.r,
            None => self.rank_of(module)?,
        } as f64;
        // Python computes it in f64; the product is with f32 tensors.
        Ok((alpha / if self.use_rslora { r.sqrt() } else { r }) as f32)
    }

    /// Bytes of its matrices in memory.
    pub fn bytes(&self) -> usize {
        self.modules.values().map(|module| (module.a.len() + module.b.len()) * size_of::<f32>()).sum()
    }

    /// 64 hexadecimal digits that depend on what the adapter adds: modules, shapes, scalings and numbers.
    ///
    /// # Errors
    /// When a pattern is no regular expression.
    pub fn fingerprint(&self) -> Result<String> {
        let mut hash = blake3::Hasher::new();
        for (name, module) in &self.modules {
            hash.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes());
            hash.update(&self.scaling(name)?.to_le_bytes());
            for size in [module.r, module.n, module.k] {
                hash.update(&(size as u64).to_le_bytes());
            }
            for numbers in [&module.a, &module.b] {
                let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
                hash.update(&bytes);
            }
        }
        Ok(hash.finalize().to_hex().to_string())
    }

    /// The adapter as a base model knows its modules: `linears` are that model's linear layers with outputs and inputs.
    /// An adapter of the model without its head names its modules without the first part (`layers.0.…`), and heads have two
    /// names.
    ///
    /// # Errors
    /// When a module isn't the base's, or has other shapes there.
    pub fn fitted(mut self, linears: &BTreeMap<String, (usize, usize)>) -> Result<Self> {
        let mut modules = BTreeMap::new();
        for (name, module) in std::mem::take(&mut self.modules) {
            let known = linears
                .get_key_value(&name)
                .or_else(|| linears.iter().find(|(known, _)| headless(known) == Some(&name)))
                .or_else(|| {
                    linears
                        .iter()
                        .find(|(known, _)| HEADS.contains(&known.as_str()) && HEADS.contains(&name.as_str()))
                });
            let Some((known, &(n, k))) = known else {
                return Err(unknown(&name, linears));
            };
            for (part, found, wanted) in
                [("A", [module.r, module.k], [module.r, k]), ("B", [module.n, module.r], [n, module.r])]
            {
                if found != wanted {
                    return Err(Error::input(format!(
                        "the adapter's tensor `{PREFIX}{name}.lora_{part}.weight` has the shape {found:?}; the base model's \
                         `{known}.weight` [{n}, {k}] needs {wanted:?}"
                    ))
                    .with_hint(self.made_for()));
                }
            }
            modules.insert(known.clone(), module);
        }
        self.modules = modules;
        Ok(self)
    }

    /// For messages: which model the adapter says it is for.
    fn made_for(&self) -> String {
        match &self.base_model_name_or_path {
            Some(base) if !base.is_empty() => format!("the adapter says that it was trained on `{base}`"),
            _ => "the adapter was trained on another model".to_owned(),
        }
    }
}

/// The names of GPT-NeoX's head: published, and in transformers 5.
const HEADS: [&str; 2] = ["embed_out", "lm_head"];

/// A module's name in the model without its head.
fn headless(name: &str) -> Option<&str> {
    name.split_once('.').map(|(_, rest)| rest)
}

fn unknown(name: &str, linears: &BTreeMap<String, (usize, usize)>) -> Error {
    let error =
        Error::input(format!("the adapter changes `{name}`, which is no linear layer of the base model"));
    match nearest(name, linears.keys().map(String::as_str)) {
        Some(near) => error
            .with_hint(format!("the nearest name there is `{near}`; the adapter may be of another family")),
        None => error.with_hint("the adapter is of another family; name the model that it was trained on"),
    }
}

#[cfg(test)]
mod tests;
