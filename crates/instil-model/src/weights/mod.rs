//! Weights: what a checkpoint holds, and its matrices in the type they are multiplied in.
//!
//! Files are mapped, not read. A dense matrix that stays as it is stored is the file's own memory; one that is
//! quantised is widened, checked and quantised in bands of rows, and the pages it came from are given back, so
//! that no f32 copy of a whole matrix ever exists.

mod convert;
mod map;
mod memory;
mod packed;
mod plan;
mod safetensors;
mod tensor;

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use instil::error::nearest;
use instil::{Error, Result};
use serde_json::Value;

pub use memory::available as available_memory;
pub use plan::Quantize;

use crate::decoder::Config;
use crate::kernel::Matrix;
use crate::tokenizer::Tokenizer;
use map::Map;
use packed::{Kind, Packed, Packing};
use plan::{Precision, Role};
use tensor::{Order, Rows, Stored, Tensor};

/// How a checkpoint is opened.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Whether weights are quantised.
    pub quantize: Quantize,
    /// Bytes of memory that there are; [`Quantize::Auto`] decides by them. Without it weights stay as stored.
    pub available: Option<usize>,
    /// A folder for quantised copies and for fingerprints, both keyed by the files' paths, sizes and times.
    pub cache: Option<PathBuf>,
}

/// Opened weights: what is there, nothing read yet.
pub struct Checkpoint {
    path: PathBuf,
    config: Config,
    files: Vec<Map>,
    tensors: BTreeMap<String, Tensor>,
    packing: Option<Packing>,
    precision: Precision,
    notes: Vec<String>,
    bytes: usize,
}

/// A matrix that was found: where its rows are and in which order they are wanted.
struct Found<'a> {
    file: &'a Map,
    /// What of the file it occupies; with packed weights several.
    ranges: Vec<Range<usize>>,
    rows: Rows<'a>,
    order: Order,
}

impl Checkpoint {
    /// Opens a Hugging Face folder (config.json with `model.safetensors`, with shards and their index, or with any
    /// `*.safetensors`), a GGUF file, or a folder that holds one.
    ///
    /// # Errors
    /// When something is missing or broken, or of a family or type that isn't known. Each names its file.
    pub fn open(path: &Path, quantize: Quantize) -> Result<Self> {
        Self::open_with(path, &Options { quantize, available: available_memory(), cache: None })
    }

    /// [`Checkpoint::open`] with everything that can be set.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn open_with(path: &Path, options: &Options) -> Result<Self> {
        let meta = fs::metadata(path)
            .map_err(|error| Error::input(format!("{} can't be opened", path.display())).because(error))?;
        if !meta.is_dir() {
            return Err(Error::input(format!("{} is no folder of a model", path.display())));
        }
        Self::open_folder(path, options)
    }

    fn open_folder(folder: &Path, options: &Options) -> Result<Self> {
        let contents = safetensors::open(folder)?;
        let path = folder.join("config.json");
        let trouble = || Error::input(format!("{} can't be read", path.display()));
        let text = fs::read(&path).map_err(|error| {
            trouble().because(error).with_hint("a model's folder holds config.json beside the weights")
        })?;
        let json: Value = serde_json::from_slice(&text).map_err(|error| trouble().because(error))?;
        let within =
            |error: Error| Error::input(format!("{} isn't understood", path.display())).because(error);
        let packing = Packing::of_config(&json).map_err(within)?;
        let config = Config::from_hugging_face(&json).map_err(within)?;
        let mut checkpoint = Self {
            path: folder.to_path_buf(),
            config,
            files: contents.files,
            tensors: contents.tensors,
            packing,
            precision: Precision::Stored,
            notes: Vec::new(),
            bytes: 0,
        };
        checkpoint.settle(options);
        Ok(checkpoint)
    }

    /// Decides how weights are held, and counts what that costs.
    fn settle(&mut self, options: &Options) {
        let quantised = self.tensors.values().any(|tensor| matches!(tensor.stored, Stored::Blocks(_)));
        self.precision = match options.quantize {
            Quantize::None => Precision::Stored,
            Quantize::Q8_0 => Precision::Q8_0,
            Quantize::Q4K => Precision::Q4K,
            Quantize::Auto if quantised => Precision::Stored,
            Quantize::Auto => self.largest_that_fits(options.available),
        };
        self.bytes = self.bytes_at(self.precision);
    }

    /// The most exact precision that leaves a third of the memory to everything else.
    fn largest_that_fits(&mut self, available: Option<usize>) -> Precision {
        let candidates: &[Precision] = if self.packing.is_some() {
            &[Precision::Q8_0, Precision::Q4K]
        } else {
            &[Precision::Stored, Precision::Q8_0, Precision::Q4K]
        };
        let Some(available) = available else { return candidates[0] };
        let chosen = candidates
            .iter()
            .find(|precision| self.bytes_at(**precision) <= available / 3 * 2)
            .unwrap_or(&Precision::Q4K);
        if *chosen != candidates[0] {
            self.notes.push(format!(
                "weights are quantised to {}: {} of them would need {}, and {} are available",
                chosen.name(),
                if self.packing.is_some() { "8 bits" } else { "the bits as stored" },
                memory::human(self.bytes_at(candidates[0])),
                memory::human(available),
            ));
        }
        *chosen
    }

    /// The names of linear layers stored as packed integers, with their shapes `[n, k]`.
    fn packed_layers(&self) -> impl Iterator<Item = (String, usize, usize)> {
        let kind = self.packing.map(|packing| packing.kind);
        self.tensors.iter().filter_map(move |(name, tensor)| {
            let stem = name.strip_suffix(".qweight")?;
            let [rows, columns] = tensor.shape[..] else { return None };
            let (n, k) = match kind? {
                Kind::AwqGemm => (columns.checked_mul(8)?, rows),
                Kind::Gptq { .. } => (columns, rows.checked_mul(8)?),
            };
            Some((format!("{stem}.weight"), n, k))
        })
    }

    /// Bytes of all weights, were they held so.
    fn bytes_at(&self, precision: Precision) -> usize {
        let held = |name: &str, stored: &Stored, packed: bool, n: usize, k: usize| {
            let role = Role::of(name, self.config.layers, self.config.tied);
            n.saturating_mul(plan::row_bytes(plan::target(stored, packed, precision, role, k), k))
        };
        let plain = self.tensors.iter().map(|(name, tensor)| match (&tensor.stored, &tensor.shape[..]) {
            (Stored::I32 | Stored::Other(_), _) => 0,
            (stored, &[n, k]) => held(name, stored, false, n, k),
            (_, &[len]) => len.saturating_mul(size_of::<f32>()),
            _ => 0,
        });
        let packed = self.packed_layers().map(|(name, n, k)| held(&name, &Stored::I32, true, n, k));
        plain.chain(packed).fold(0, usize::saturating_add)
    }

    /// The decoder's configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The checkpoint's tokenizer.
    ///
    /// # Errors
    /// When it is missing, broken or of a kind that isn't known.
    pub fn tokenizer(&self) -> Result<Tokenizer> {
        Tokenizer::of_folder(&self.path)
    }

    /// What the user should know about how the weights are held: sentences.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Bytes of memory that the loaded weights will occupy; mapped files count as much as they are used.
    pub fn bytes_needed(&self) -> usize {
        self.bytes
    }

    /// Whether a tensor is there, stored plainly or packed.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(self.stored_name(name)) || self.packed_stem(name).is_some()
    }

    /// The matrix `[n, k]` of this Hugging Face name, in the type it is held in.
    ///
    /// # Errors
    /// When it is missing, of another shape or type, or holds a number that isn't finite.
    pub fn matrix(&self, name: &str, n: usize, k: usize) -> Result<Matrix> {
        let found = self.find(name, n, k)?;
        self.load(name, found, n, k)
    }

    /// Rows of the matrix `[n, k]`, one range after the other: a part of projections that are stored as one.
    ///
    /// # Errors
    /// As [`Checkpoint::matrix`].
    pub fn matrix_rows(&self, name: &str, n: usize, k: usize, rows: &[Range<usize>]) -> Result<Matrix> {
        let mut found = self.find(name, n, k)?;
        let picked = rows.iter().cloned().flatten();
        if let Some(row) = picked.clone().find(|row| *row >= n) {
            return Err(self.trouble(format_args!("tensor `{name}` has no row {row} of {n}")));
        }
        found.order = found.order.then(picked);
        let count = rows.iter().map(ExactSizeIterator::len).sum();
        self.load(name, found, count, k)
    }

    /// The vector of this name, widened.
    ///
    /// # Errors
    /// As [`Checkpoint::matrix`].
    pub fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>> {
        let tensor = self.tensors.get(name).ok_or_else(|| self.missing(name))?;
        if tensor.shape != [len] {
            return Err(self.wrong_shape(name, &tensor.shape, &[len]));
        }
        if tensor.stored.row_bytes(len).is_none() || tensor.stored == Stored::I32 {
            return Err(self.unread(name, &tensor.stored));
        }
        let mut numbers = vec![0.0; len];
        let file = &self.files[tensor.file];
        tensor::widen(&tensor.stored, &file[tensor.range.clone()], &mut numbers);
        match numbers.iter().position(|number| !number.is_finite()) {
            Some(index) => Err(self.not_finite(name, &[index], numbers[index])),
            None => Ok(numbers),
        }
    }

    /// Elements of the vector of `len`, one range after the other.
    ///
    /// # Errors
    /// As [`Checkpoint::vector`].
    pub fn vector_rows(&self, name: &str, len: usize, rows: &[Range<usize>]) -> Result<Vec<f32>> {
        let whole = self.vector(name, len)?;
        rows.iter()
            .cloned()
            .flatten()
            .map(|row| {
                let number = whole.get(row).copied();
                number.ok_or_else(|| {
                    self.trouble(format_args!("tensor `{name}` has no element {row} of {len}"))
                })
            })
            .collect()
    }

    /// The name under which a tensor is stored: of tied ones, files keep whichever of the two names they like.
    fn stored_name<'n>(&self, name: &'n str) -> &'n str {
        const TIED: [[&str; 2]; 3] = [
            ["model.embed_tokens.weight", "lm_head.weight"],
            ["gpt_neox.embed_in.weight", "embed_out.weight"],
            ["transformer.wte.weight", "lm_head.weight"],
        ];
        if !self.config.tied || self.tensors.contains_key(name) {
            return name;
        }
        let twins = TIED.iter().flat_map(|[one, other]| [(*one, *other), (*other, *one)]);
        let mut twins = twins.filter(|(one, other)| *one == name && self.tensors.contains_key(*other));
        twins.next().map_or(name, |(_, other)| other)
    }

    /// Finds a matrix and checks its shape.
    fn find(&self, name: &str, n: usize, k: usize) -> Result<Found<'_>> {
        let name = self.stored_name(name);
        if let Some(stem) = self.packed_stem(name) {
            return self.find_packed(name, stem, n, k);
        }
        let tensor = self.tensors.get(name).ok_or_else(|| self.missing(name))?;
        if tensor.shape != [n, k] {
            return Err(self.wrong_shape(name, &tensor.shape, &[n, k]));
        }
        let row = tensor.stored.row_bytes(k).filter(|_| tensor.stored != Stored::I32);
        if row.is_none() {
            return Err(self.unread(name, &tensor.stored));
        }
        let file = &self.files[tensor.file];
        Ok(Found {
            file,
            ranges: vec![tensor.range.clone()],
            rows: Rows::Plain { stored: &tensor.stored, bytes: &file[tensor.range.clone()], k },
            order: Order::All,
        })
    }

    /// The name without `.weight`, if that layer is stored as packed integers.
    fn packed_stem<'n>(&self, name: &'n str) -> Option<&'n str> {
        self.packing?;
        let stem = name.strip_suffix(".weight")?;
        self.tensors.contains_key(&format!("{stem}.qweight")).then_some(stem)
    }

    fn find_packed(&self, name: &str, stem: &str, n: usize, k: usize) -> Result<Found<'_>> {
        let Some(packing) = self.packing else { return Err(self.missing(name)) };
        let group = packing.group_of(k);
        if !n.is_multiple_of(8) || !k.is_multiple_of(8) || group == 0 {
            return Err(
                self.trouble(format_args!("tensor `{name}` [{n}, {k}] can't be packed eight by eight"))
            );
        }
        let groups = k.div_ceil(group);
        let part = |part: &str, shape: [usize; 2], wanted: &dyn Fn(&Stored) -> bool| -> Result<&Tensor> {
            let name = format!("{stem}.{part}");
            let tensor = self.tensors.get(&name).ok_or_else(|| self.missing(&name))?;
            if tensor.shape != shape {
                return Err(self.wrong_shape(&name, &tensor.shape, &shape));
            }
            if wanted(&tensor.stored) { Ok(tensor) } else { Err(self.unread(&name, &tensor.stored)) }
        };
        let integers = |stored: &Stored| *stored == Stored::I32;
        let shape = match packing.kind {
            Kind::AwqGemm => [k, n / 8],
            Kind::Gptq { .. } => [k / 8, n],
        };
        let weights = part("qweight", shape, &integers)?;
        let zeros = part("qzeros", [groups, n / 8], &integers)?;
        let floats = |stored: &Stored| matches!(stored, Stored::F16 | Stored::Bf16 | Stored::F32);
        let scales = part("scales", [groups, n], &floats)?;
        let bytes = |tensor: &Tensor| &self.files[tensor.file][tensor.range.clone()];

        let index = format!("{stem}.g_idx");
        let by_input = match self.tensors.get(&index) {
            Some(tensor) if matches!(packing.kind, Kind::Gptq { .. }) => {
                if tensor.shape != [k] {
                    return Err(self.wrong_shape(&index, &tensor.shape, &[k]));
                }
                if !integers(&tensor.stored) {
                    return Err(self.unread(&index, &tensor.stored));
                }
                let (words, _) = bytes(tensor).as_chunks();
                let group = |word: &[u8; 4]| {
                    let group = i32::from_le_bytes(*word);
                    usize::try_from(group).ok().filter(|group| *group < groups).ok_or_else(|| {
                        self.trouble(format_args!("tensor `{index}` names the group {group} of {groups}"))
                    })
                };
                words.iter().map(group).collect::<Result<Vec<_>>>()?
            }
            _ => (0..k).map(|input| input / group).collect(),
        };
        let packed = Packed {
            kind: packing.kind,
            k,
            n,
            weights: bytes(weights),
            zeros: bytes(zeros),
            scales: bytes(scales),
            scale_type: &scales.stored,
            groups: by_input,
        };
        Ok(Found {
            file: &self.files[weights.file],
            ranges: vec![weights.range.clone()],
            rows: Rows::Packed(packed),
            order: Order::All,
        })
    }

    fn load(&self, name: &str, found: Found<'_>, n: usize, k: usize) -> Result<Matrix> {
        let role = Role::of(name, self.config.layers, self.config.tied);
        let (stored, packed) = match &found.rows {
            Rows::Plain { stored, .. } => (*stored, false),
            Rows::Packed(_) => (&Stored::I32, true),
        };
        let dtype = plan::target(stored, packed, self.precision, role, k);
        let matrix = convert::matrix(&found, n, k, dtype).map_err(|trouble| match trouble {
            convert::Trouble::NotFinite { row, column, number } => {
                self.not_finite(name, &[found.order.at(row), column], number)
            }
            convert::Trouble::Failed(error) => {
                self.trouble(format_args!("tensor `{name}` can't be loaded")).because(error)
            }
        })?;
        Ok(matrix)
    }

    fn trouble(&self, what: std::fmt::Arguments<'_>) -> Error {
        Error::input(format!("{}: {what}", self.path.display()))
    }

    /// The file that a tensor is in.
    fn file_of(&self, name: &str) -> &Path {
        self.tensors.get(name).map_or(&self.path, |tensor| self.files[tensor.file].path())
    }

    fn missing(&self, name: &str) -> Error {
        let place = map::named(&self.files, &self.path);
        let error = Error::input(format!("{}: tensor `{name}` is missing", place.display()));
        match nearest(name, self.tensors.keys().map(String::as_str)) {
            Some(near) => error.with_hint(format!("the nearest name there is `{near}`")),
            None => error.with_hint("config.json may belong to another model than the weights"),
        }
    }

    fn wrong_shape(&self, name: &str, found: &[usize], wanted: &[usize]) -> Error {
        Error::input(format!(
            "{}: tensor `{name}` has the shape {found:?}; loading it needs {wanted:?} by the configuration",
            self.file_of(name).display()
        ))
        .with_hint("config.json may belong to another model than the weights")
    }

    fn unread(&self, name: &str, stored: &Stored) -> Error {
        Error::input(format!(
            "{}: tensor `{name}` is stored as {}, which isn't read",
            self.file_of(name).display(),
            stored.name()
        ))
        .with_hint("safetensors are read as F32, F16 and BF16; GGUF also in blocks from Q4_0 to Q8_0 and Q2_K to Q6_K")
    }

    fn not_finite(&self, name: &str, index: &[usize], number: f32) -> Error {
        Error::input(format!("{}: tensor `{name}` holds {number} at {index:?}", self.file_of(name).display()))
            .with_hint("the weights are broken: a training that diverged, or a damaged download")
    }
}

#[cfg(test)]
mod tests;
