//! Merged models: a checkpoint's weights with what an adapter adds, written as a model of their own.
//!
//! Tensors go one after the other, in bands of rows: widened, added to, encoded and written, so that memory holds some
//! 64 MiB of a model of any size. What is written stands beside the output's place and is renamed when it is whole.

use std::fs;
use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};

use instil::{Error, Result};
use rayon::prelude::*;

use super::convert::{self, BAND, Trouble};
use super::plan::{self, Precision, Role};
use super::tensor::{Order, Stored};
use super::{Checkpoint, Source, write_gguf, write_safetensors};
use crate::adapter::{Adapter, LowRank};
use crate::kernel::Dtype;

/// Numbers that are widened at a time.
const AT_ONCE: usize = 16 << 20;

/// In which layout a merged model is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// A Hugging Face folder.
    Safetensors,
    /// One GGUF file, as llama.cpp reads it.
    Gguf,
}

/// In which type the matrices of a merged model are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteAs {
    /// Single precision.
    F32,
    /// Half precision.
    F16,
    /// The upper half of single precision.
    Bf16,
    /// Blocks of 32 numbers of 8 bits; GGUF only.
    Q8_0,
    /// Blocks of 256 numbers of 4 bits, some of 6; GGUF only.
    Q4K,
}

impl WriteAs {
    /// All with their names.
    pub const ALL: [(&'static str, Self); 5] = [
        ("f32", Self::F32),
        ("f16", Self::F16),
        ("bf16", Self::Bf16),
        ("q8_0", Self::Q8_0),
        ("q4_k", Self::Q4K),
    ];
}

/// How a merged model is written.
#[derive(Clone, Copy, Debug)]
pub struct Merge {
    /// In which layout.
    pub layout: Layout,
    /// In which type; none means as the base stores them, and f16 where that is quantised.
    pub dtype: Option<WriteAs>,
    /// The most bytes of one safetensors file.
    pub shard_bytes: u64,
    /// Whether an older model may be replaced.
    pub overwrite: bool,
}

impl Default for Merge {
    fn default() -> Self {
        Self { layout: Layout::Safetensors, dtype: None, shard_bytes: 5_000_000_000, overwrite: false }
    }
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// How many modules the adapter changed.
    pub changed: usize,
    /// How many tensors were written.
    pub tensors: usize,
    /// Bytes of their numbers.
    pub bytes: u64,
    /// What the user should know: sentences.
    pub notes: Vec<String>,
}

impl Merge {
    /// Writes the checkpoint, opened with [`Quantize::None`](super::Quantize::None), with what the adapter adds to `output`.
    /// `watch` is told the bytes done and of all, now and then; if it breaks, nothing is written and none is given.
    ///
    /// # Errors
    /// When adapter and base don't fit, the output is there already or can't be written, or the layout can't hold the model.
    pub fn write(
        &self,
        checkpoint: &Checkpoint,
        adapter: Adapter,
        output: &Path,
        watch: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<Option<Merged>> {
        let adapter = adapter.fitted(&checkpoint.model.linears())?;
        self.refuse(output)?;
        let parts = self.parts(checkpoint, &adapter)?;
        let bytes = parts.iter().map(|part| part.bytes() as u64).sum();
        let merged =
            Merged { changed: adapter.modules.len(), tensors: parts.len(), bytes, notes: Vec::new() };
        let mut source = Weights { checkpoint, adapter: &adapter, watch, done: 0, all: bytes };
        let place = part_path(output)?;
        let trouble = |error: std::io::Error| Error::output(format!("{}", output.display())).because(error);
        if let Some(folder) = output.parent() {
            fs::create_dir_all(folder).map_err(trouble)?;
        }
        remove(&place)?;
        let written = match self.layout {
            Layout::Safetensors => write_safetensors::write(&mut source, &parts, &place, self.shard_bytes),
            Layout::Gguf => write_gguf::write(&mut source, &parts, &place, self.dtype),
        };
        let notes = match written {
            Ok(Some(notes)) => notes,
            other => {
                remove(&place)?;
                return other.map(|_| None);
            }
        };
        let older = output.with_file_name(format!("{}.older", file_name(&place)));
        if output.exists() {
            remove(&older)?;
            fs::rename(output, &older).map_err(trouble)?;
        }
        fs::rename(&place, output).map_err(trouble)?;
        remove(&older)?;
        Ok(Some(Merged { notes, ..merged }))
    }

    /// Whether the output's place is free, or holds what may be replaced.
    fn refuse(&self, output: &Path) -> Result<()> {
        let Ok(meta) = fs::symlink_metadata(output) else { return Ok(()) };
        let place = output.display();
        if !self.overwrite {
            return Err(Error::output(format!("`{place}` is there already"))
                .with_hint("name another output, or replace it with --overwrite"));
        }
        let foreign = if meta.is_dir() {
            let entries = fs::read_dir(output)
                .map_err(|error| Error::output(format!("`{place}` can't be looked into")).because(error))?;
            entries
                .flatten()
                .map(|entry| entry.file_name())
                .find(|name| !is_a_models(&name.to_string_lossy()))
        } else {
            output.file_name().filter(|name| !is_a_models(&name.to_string_lossy())).map(ToOwned::to_owned)
        };
        match foreign {
            None => Ok(()),
            Some(name) => Err(Error::output(format!(
                "`{place}` isn't replaced: `{}` is no file of a model",
                name.to_string_lossy()
            ))
            .with_hint("name another output, or remove it yourself")),
        }
    }

    /// The tensors to write, by Hugging Face's names.
    fn parts(&self, checkpoint: &Checkpoint, adapter: &Adapter) -> Result<Vec<Part>> {
        let (model, gguf) = (&checkpoint.model, self.layout == Layout::Gguf);
        if !gguf && matches!(checkpoint.source, Source::Gguf(..)) {
            return Err(Error::usage("a GGUF base has no files of a Hugging Face folder to take along")
                .with_hint("merge it with --format gguf, or name the folder that it was made from"));
        }
        if !gguf && matches!(self.dtype, Some(WriteAs::Q8_0 | WriteAs::Q4K)) {
            return Err(Error::usage("safetensors of blocks are read by nobody")
                .with_hint("add --format gguf, or choose f32, f16 or bf16"));
        }
        let held = |name: &str, stored: &Stored, k: usize| {
            let dense = match stored {
                Stored::F32 => Dtype::F32,
                Stored::Bf16 => Dtype::Bf16,
                _ => Dtype::F16,
            };
            match self.dtype {
                None => dense,
                Some(WriteAs::F32) => Dtype::F32,
                Some(WriteAs::F16) => Dtype::F16,
                Some(WriteAs::Bf16) => Dtype::Bf16,
                Some(blocks) => {
                    let precision = if blocks == WriteAs::Q8_0 { Precision::Q8_0 } else { Precision::Q4K };
                    plan::target(
                        &Stored::F16,
                        false,
                        precision,
                        Role::of(name, model.layers(name), model.tied()),
                        k,
                    )
                }
            }
        };
        let mut parts: Vec<Part> = checkpoint
            .matrices()
            .into_iter()
            .map(|(name, stored, _, n, k)| {
                let dtype = held(&name, &stored, k);
                Part { name, shape: vec![n, k], dtype, order: Order::All }
            })
            .collect();
        let (embedding, head) = (format!("{}.weight", model.embedding()), format!("{}.weight", model.head()));
        let is_there = |parts: &[Part], name: &String| parts.iter().any(|part| part.name == *name);
        if model.tied() && !is_there(&parts, &embedding) {
            // Files may name the one matrix as the head; readers look for the embedding.
            let stored = checkpoint.stored_name(&embedding).to_owned();
            parts
                .iter_mut()
                .filter(|part| part.name == stored)
                .for_each(|part| part.name.clone_from(&embedding));
        }
        if model.tied() && adapter.modules.contains_key(model.head()) && !is_there(&parts, &head) {
            // What was one matrix is two from now on.
            let twin = parts.iter().find(|part| part.name == embedding).map(|part| part.dtype);
            let dtype = twin.filter(|_| self.dtype.is_none());
            let dtype = dtype.unwrap_or_else(|| held(&head, &Stored::F16, model.hidden()));
            parts.push(Part {
                name: head,
                shape: vec![model.vocab(), model.hidden()],
                dtype,
                order: Order::All,
            });
        }
        let narrow = parts.first().map_or(Dtype::F32, |part| part.dtype);
        for (name, tensor) in &checkpoint.tensors {
            // Old files keep the wavelengths, which the configuration gives.
            let wanted = matches!(tensor.stored, Stored::F32 | Stored::F16 | Stored::Bf16)
                && !checkpoint.is_beside_four_bit(name)
                && !name.ends_with("rotary_emb.inv_freq");
            if let (&[len], true) = (&tensor.shape[..], wanted) {
                // llama.cpp wants norms and biases in f32; transformers all of one type.
                let dtype = if gguf { Dtype::F32 } else { narrow };
                parts.push(Part { name: name.clone(), shape: vec![len], dtype, order: Order::All });
            }
        }
        parts.sort_by(|one, other| natural(&one.name).cmp(&natural(&other.name)));
        Ok(parts)
    }
}

/// A name with its numbers as numbers, so that layer 10 follows layer 9.
fn natural(name: &str) -> Vec<(Option<u64>, &str)> {
    name.split('.').map(|part| (part.parse().ok(), part)).collect()
}

/// Whether a file of this name is one that a model's folder has.
fn is_a_models(name: &str) -> bool {
    let endings = [".safetensors", ".gguf", ".json", ".jinja"];
    endings.iter().any(|ending| name.ends_with(ending))
        || ["tokenizer.model", "merges.txt", "vocab.txt"].contains(&name)
}

/// Where the output is made: beside its place.
fn part_path(output: &Path) -> Result<PathBuf> {
    match output.file_name() {
        Some(name) => Ok(output.with_file_name(format!(".{}.part", name.to_string_lossy()))),
        None => Err(Error::usage(format!("`{}` is no name for a model", output.display()))
            .with_hint("name a folder or a .gguf file that isn't there yet")),
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Removes what an earlier merge left; nothing may be there.
fn remove(path: &Path) -> Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Err(_) => return Ok(()),
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
    };
    removed.map_err(|error| Error::output(format!("`{}` can't be removed", path.display())).because(error))
}

/// One tensor to write.
pub(super) struct Part {
    /// Hugging Face's name.
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    pub(super) dtype: Dtype,
    /// Which of the tensor's rows are written, in which order.
    pub(super) order: Order,
}

impl Part {
    pub(super) fn bytes(&self) -> usize {
        let k = self.shape.last().copied().unwrap_or(1);
        let rows: usize = self.shape.iter().rev().skip(1).product();
        rows * plan::row_bytes(self.dtype, k)
    }
}

/// A checkpoint and an adapter that fits it.
pub(super) struct Weights<'a> {
    pub(super) checkpoint: &'a Checkpoint,
    pub(super) adapter: &'a Adapter,
    watch: &'a mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    done: u64,
    all: u64,
}

impl<'a> Weights<'a> {
    /// Whether the head is no longer the embedding.
    pub(super) fn unties(&self) -> bool {
        let model = &self.checkpoint.model;
        model.tied() && self.adapter.modules.contains_key(model.head())
    }

    /// Gives a tensor's bytes to `sink`, piece after piece; false if the caller stops it.
    pub(super) fn write(&mut self, part: &Part, sink: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<bool> {
        let checkpoint = self.checkpoint;
        let &[n, k] = &part.shape[..] else {
            let stored = checkpoint.vector(&part.name, part.shape[0])?;
            let numbers: Vec<f32> = (0..stored.len()).map(|index| stored[part.order.at(index)]).collect();
            let mut bytes = vec![0; part.bytes()];
            convert::write(&numbers, numbers.len(), part.dtype, &mut bytes)
                .map_err(|trouble| self.error(part, trouble))?;
            sink(&bytes)?;
            return Ok(self.tell(bytes.len()));
        };
        let found = checkpoint.find(&part.name, n, k)?;
        let (scaling, low_rank) = self.added(&part.name)?;
        let row_bytes = plan::row_bytes(part.dtype, k);
        let at_once = (AT_ONCE / k).next_multiple_of(BAND);
        for first in (0..n).step_by(at_once) {
            let rows = first..n.min(first + at_once);
            let mut bytes = vec![0; rows.len() * row_bytes];
            let encoded = bytes.par_chunks_mut(BAND * row_bytes).enumerate().try_for_each(|(band, out)| {
                let start = rows.start + band * BAND;
                let band = start..rows.end.min(start + BAND);
                let order = found.order.then(band.clone().map(|row| part.order.at(row)));
                let mut numbers = vec![0.0; band.len() * k];
                found.rows.widen(&order, 0..band.len(), &mut numbers);
                if let Some(low_rank) = low_rank {
                    add(&mut numbers, low_rank, scaling, band.map(|row| part.order.at(row)));
                }
                if let Some(at) = numbers.iter().position(|number| !number.is_finite()) {
                    let row = part.order.at(start + at / k);
                    return Err(Trouble::NotFinite { row, column: at % k, number: numbers[at] });
                }
                convert::write(&numbers, k, part.dtype, out)
            });
            encoded.map_err(|trouble| self.error(part, trouble))?;
            sink(&bytes)?;
            if !self.tell(bytes.len()) {
                return Ok(false);
            }
        }
        for range in &found.ranges {
            found.file.give_back(range.clone());
        }
        Ok(true)
    }

    /// What the adapter adds to a tensor.
    fn added(&self, name: &str) -> Result<(f32, Option<&'a LowRank>)> {
        let module = name.strip_suffix(".weight").unwrap_or(name);
        // A head may have its other name; an embedding that is the head too is not what is changed.
        let head = self.checkpoint.model.head();
        let is_head = ["lm_head", "embed_out"].contains(&module);
        let module = if is_head { head } else { module };
        match self.adapter.modules.get(module) {
            Some(low_rank) => Ok((self.adapter.scaling(module)?, Some(low_rank))),
            None => Ok((0.0, None)),
        }
    }

    fn tell(&mut self, bytes: usize) -> bool {
        self.done += bytes as u64;
        (self.watch)(self.done, self.all).is_continue()
    }

    fn error(&self, part: &Part, trouble: Trouble) -> Error {
        match trouble {
            Trouble::Failed(error) => error,
            Trouble::NotFinite { row, column, number } => {
                self.checkpoint.not_finite(&part.name, &[row, column], number)
            }
        }
    }
}

/// Adds `scaling * B A` to these rows.
fn add(numbers: &mut [f32], low_rank: &LowRank, scaling: f32, rows: impl Iterator<Item = usize>) {
    let LowRank { r, k, .. } = *low_rank;
    for (out, row) in numbers.chunks_exact_mut(k).zip(rows) {
        let factors: Range<usize> = row * r..(row + 1) * r;
        for (factor, a) in low_rank.b[factors].iter().zip(low_rank.a.chunks_exact(k)) {
            let factor = factor * scaling;
            for (out, a) in out.iter_mut().zip(a) {
                *out += factor * a;
            }
        }
    }
}
