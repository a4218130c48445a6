//! What was trained, as others take it: an adapter, or a model's folder.

use std::path::Path;

use instil::{Error, Result};

use super::build::place;
use super::method::Method;
use super::parameters::Parameter;
use super::save::{self, Named};
use super::trainer::Trainer;
use crate::adapter::{Adapter, LowRank};
use crate::weights::Checkpoint;

/// How an adapter's matrices are called after their modules.
const A: &str = ".lora_A.weight";
const B: &str = ".lora_B.weight";

impl Trainer {
    /// The adapter as it stands, for [`Adapter::write`] or a merge; none where all weights are trained.
    pub fn adapter(&self) -> Option<Adapter> {
        let Method::Lora(lora) = &self.settings.method else { return None };
        let mut adapter = Adapter::new(lora.r, lora.lora_alpha, lora.target_modules.clone());
        adapter.lora_dropout = lora.lora_dropout;
        adapter.use_rslora = lora.use_rslora;
        for [a, b] in self.parameters.table.as_chunks::<2>().0 {
            let module = a.name.strip_suffix(A).unwrap_or(&a.name).to_owned();
            let numbers = |of: &Parameter| self.parameters.weights[of.range.clone()].to_vec();
            let (k, n) = (a.shape[1], b.shape[0]);
            adapter.modules.insert(module, LowRank { r: lora.r, k, n, a: numbers(a), b: numbers(b) });
        }
        Some(adapter)
    }

    /// Sets the adapter that is trained on; [`Lora::of`](super::Lora::of) gives its settings.
    ///
    /// # Errors
    /// When its modules, shapes or scalings are not those of the settings.
    pub fn set_adapter(&mut self, adapter: &Adapter) -> Result<()> {
        let Method::Lora(lora) = &self.settings.method else {
            return Err(Error::usage("all weights are trained, and no adapter")
                .with_hint("merge the adapter into the model first"));
        };
        let (r, scaling) = (lora.r, lora.scaling() as f32);
        let trained = self.parameters.table.iter().filter_map(|of| {
            let module = of.name.strip_suffix(A)?;
            let b = place(&self.parameters, &format!("{module}{B}"))?;
            Some((module.to_owned(), (b.len() / r, of.shape[1])))
        });
        let adapter = adapter.clone().fitted(&trained.collect())?;
        if adapter.modules.len() * 2 != self.parameters.table.len() {
            return Err(Error::input(format!(
                "the adapter has {} modules, and {} are to be trained",
                adapter.modules.len(),
                self.parameters.table.len() / 2
            ))
            .with_hint("train with the adapter's own target_modules"));
        }
        for (name, module) in &adapter.modules {
            if module.r != r || adapter.scaling(name)? != scaling {
                return Err(Error::input(format!(
                    "the adapter's `{name}` has the rank {} and the scaling {}; rank {r} and scaling {scaling} are set",
                    module.r,
                    adapter.scaling(name)?
                ))
                .with_hint("train with the adapter's own r and lora_alpha"));
            }
            self.set_weights(&format!("{name}{A}"), &module.a)?;
            self.set_weights(&format!("{name}{B}"), &module.b)?;
        }
        Ok(())
    }

    /// Writes the model that was trained whole as a folder that the engine and transformers load: `config.json`,
    /// `model.safetensors` in f32, and of `beside`, the checkpoint it came from, the tokenizer.
    ///
    /// # Errors
    /// When an adapter was trained, or something can't be written.
    pub fn save_model(&self, folder: &Path, beside: Option<&Checkpoint>) -> Result<()> {
        if self.settings.method != Method::Full {
            return Err(Error::usage("an adapter was trained, and no whole model")
                .with_hint("write the adapter, and merge it where a whole model is wanted"));
        }
        let json = self.json.as_ref().ok_or_else(|| Error::usage("the model has no config.json to write"))?;
        let tensors: Vec<Named<'_>> = self
            .parameters
            .table
            .iter()
            .map(|of| (of.name.as_str(), of.shape.as_slice(), &self.parameters.weights[of.range.clone()]))
            .collect();
        save::folder(folder, json, &tensors, &|name| beside.map_or(Ok(None), |beside| beside.file(name)))
    }
}
