//! Weights: what a checkpoint holds, and its matrices in the type they are multiplied in.
//!
//! Files are mapped, not read. A dense matrix that stays as it is stored is the file's own memory; one that is
//! quantised is widened, checked and quantised in bands of rows, and the pages it came from are given back, so
//! that no f32 copy of a whole matrix ever exists.

mod cache;
mod convert;
pub(crate) mod gguf;
pub(crate) mod map;
mod memory;
mod model;
pub(crate) mod names;
mod nf4;
mod packed;
mod plan;
mod random;
mod safetensors;
pub(crate) mod tensor;
mod write;
mod write_gguf;
mod write_safetensors;
mod write_tokenizer;

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use instil::error::nearest;
use instil::{Error, Result};
use serde_json::Value;

pub use memory::available as available_memory;
pub(crate) use memory::human;
pub use model::Model;
pub use plan::Quantize;
pub use random::RandomLlama;
pub use write::{Layout, Merge, Merged, WriteAs};

use crate::decoder::Config;
use crate::kernel::{Bytes, Dtype, FourBit, Matrix, Scales};
use crate::tokenizer::Tokenizer;
use cache::Identity;
use gguf::Gguf;
pub(crate) use map::Map;
use names::Architecture;
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
    model: Model,
    files: Vec<Map>,
    tensors: BTreeMap<String, Tensor>,
    packing: Option<Packing>,
    /// Layers in bitsandbytes' 4 bits, by the name of their weight.
    four_bit: BTreeMap<String, nf4::State>,
    source: Source,
    precision: Precision,
    cache: Option<PathBuf>,
    notes: Vec<String>,
    bytes: usize,
}

/// Where the weights are.
enum Source {
    /// In the safetensors files of a folder.
    Folder,
    /// In a GGUF file, under llama.cpp's names and in its order.
    Gguf(Box<Gguf>, Architecture),
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
        let trouble = || Error::input(format!("{} can't be opened", path.display()));
        let meta = fs::metadata(path).map_err(|error| trouble().because(error))?;
        let single = if !meta.is_dir() {
            Some(path.to_path_buf())
        } else if path.join("config.json").is_file() && safetensors::any(path) {
            None
        } else {
            only_gguf(path)?
        };
        let Some(file) = single else {
            let checkpoint = Self::open_folder(path, options)?;
            return Ok(checkpoint.cached(options));
        };
        if !file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gguf")) {
            return Err(Error::input(format!("{} is neither a folder nor a .gguf file", file.display()))
                .with_hint("name the model's folder, which holds config.json and the weights"));
        }
        Self::open_gguf(&file, options)
    }

    fn open_gguf(path: &Path, options: &Options) -> Result<Self> {
        let map = Map::open(path)?;
        let mut gguf = Gguf::read(&map)?;
        let name = gguf.text("general.architecture").unwrap_or_default();
        let architecture = Architecture::named(name).ok_or_else(|| {
            let known = Architecture::ALL.map(|(known, _)| known).join(", ");
            Error::input(format!("{}: the architecture `{name}` isn't known", path.display()))
                .with_hint(format!("of GGUF files {known} are read"))
        })?;
        let model = if architecture == Architecture::Own {
            let text = gguf.text(&cache::file_key("config.json")).unwrap_or_default();
            let json: Value = serde_json::from_str(text).map_err(|error| {
                Error::input(format!("{}: its config.json isn't understood", path.display())).because(error)
            })?;
            Model::from_hugging_face(&json, || model::is_tied(&gguf.tensors, std::slice::from_ref(&map)))?
        } else {
            let factors = gguf.tensors.get("rope_freqs.weight").map(|tensor| {
                let mut factors = vec![0.0; tensor.range.len() / size_of::<f32>()];
                match tensor.stored {
                    Stored::F32 => tensor::widen(&Stored::F32, &map[tensor.range.clone()], &mut factors),
                    _ => factors.clear(),
                }
                factors
            });
            Model::Decoder(Config::from_gguf(&gguf, architecture, factors.as_deref())?)
        };
        let tensors = std::mem::take(&mut gguf.tensors).into_iter();
        let mut checkpoint = Self {
            path: path.to_path_buf(),
            model,
            files: vec![map],
            tensors: tensors
                .filter_map(|(name, tensor)| Some((names::hugging_face_name(architecture, &name)?, tensor)))
                .collect(),
            packing: None,
            four_bit: BTreeMap::new(),
            source: Source::Gguf(Box::new(gguf), architecture),
            precision: Precision::Stored,
            cache: options.cache.clone(),
            notes: Vec::new(),
            bytes: 0,
        };
        checkpoint.settle(options);
        Ok(checkpoint)
    }

    /// The quantised copy of this checkpoint, made if there is none; without a cache, or where it fails, itself.
    fn cached(mut self, options: &Options) -> Self {
        let Some(folder) = &options.cache else { return self };
        // GGUF has no type for NF4, so that is made anew each time.
        if self.precision == Precision::Stored
            || self.precision == Precision::Nf4
            || !self.four_bit.is_empty()
        {
            return self;
        }
        let copy = cache::copy(&self, folder).and_then(|path| {
            Self::open_gguf(&path, &Options { quantize: Quantize::None, ..options.clone() })
        });
        match copy {
            Ok(mut copy) => {
                copy.notes = self.notes;
                copy.precision = self.precision;
                copy
            }
            Err(error) => {
                self.notes.push(format!("the quantised weights aren't kept for the next time: {error}"));
                self
            }
        }
    }

    fn open_folder(folder: &Path, options: &Options) -> Result<Self> {
        let contents = safetensors::open(folder)?;
        let path = folder.join("config.json");
        let trouble = || Error::input(format!("{} can't be read", path.display()));
        let text = fs::read(&path).map_err(|error| {
            trouble().because(error).with_hint("a model's folder holds config.json beside the weights")
        })?;
        let json: Value = serde_json::from_slice(&text).map_err(|error| trouble().because(error))?;
        let within = |error: Error| {
            let hint = error.hint().map(str::to_owned);
            let error = Error::input(format!("{} isn't understood", path.display())).because(error);
            match hint {
                Some(hint) => error.with_hint(hint),
                None => error,
            }
        };
        let packing = Packing::of_config(&json).map_err(within)?;
        let tied = || model::is_tied(&contents.tensors, &contents.files);
        let model = Model::from_hugging_face(&json, tied).map_err(within)?;
        let four_bit = four_bit(&contents)?;
        let mut checkpoint = Self {
            path: folder.to_path_buf(),
            model,
            files: contents.files,
            tensors: contents.tensors,
            packing,
            four_bit,
            source: Source::Folder,
            precision: Precision::Stored,
            cache: options.cache.clone(),
            notes: Vec::new(),
            bytes: 0,
        };
        checkpoint.settle(options);
        Ok(checkpoint)
    }

    /// Decides how weights are held, and counts what that costs.
    fn settle(&mut self, options: &Options) {
        let blocks = self.tensors.values().any(|tensor| matches!(tensor.stored, Stored::Blocks(_)));
        let quantised = blocks || !self.four_bit.is_empty();
        self.precision = match options.quantize {
            Quantize::None => Precision::Stored,
            Quantize::Q8_0 => Precision::Q8_0,
            Quantize::Q4K => Precision::Q4K,
            Quantize::Nf4 => Precision::Nf4,
            Quantize::Auto if quantised => Precision::Stored,
            Quantize::Auto => self.largest_that_fits(options.available),
        };
        self.bytes = self.bytes_at(self.precision);
        self.remark();
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
            (n > 0 && k > 0).then(|| (format!("{stem}.weight"), n, k))
        })
    }

    /// Every matrix that could be asked for: its name, how it is stored, whether in packed integers, and `[n, k]`.
    fn matrices(&self) -> Vec<(String, Stored, bool, usize, usize)> {
        let plain =
            self.tensors.iter().filter_map(|(name, tensor)| match (&tensor.stored, &tensor.shape[..]) {
                (Stored::I32 | Stored::Other(_), _) => None,
                // The scales of packed layers lie beside what they belong to.
                _ if self.packing.is_some() && name.ends_with(".scales") => None,
                _ if self.is_beside_four_bit(name) => None,
                (stored, &[n, k]) if n > 0 && k > 0 => Some((name.clone(), stored.clone(), false, n, k)),
                _ => None,
            });
        let packed = self.packed_layers().map(|(name, n, k)| (name, Stored::I32, true, n, k));
        let four_bit = self
            .four_bit
            .iter()
            .map(|(name, state)| (name.clone(), Stored::FourBit, false, state.n, state.k));
        plain.chain(packed).chain(four_bit).collect()
    }

    /// Whether a tensor is a code or the scales of a layer of 4 bits.
    fn is_beside_four_bit(&self, name: &str) -> bool {
        let layer = name.split_inclusive(".weight").next().unwrap_or(name);
        layer.len() < name.len() && self.four_bit.contains_key(layer)
    }

    /// In which type a matrix is held.
    fn target(&self, precision: Precision, name: &str, stored: &Stored, packed: bool, k: usize) -> Dtype {
        let role = Role::of(name, self.model.layers(name), self.model.tied());
        plan::target(stored, packed, precision, role, k)
    }

    /// Bytes of all weights, were they held so.
    fn bytes_at(&self, precision: Precision) -> usize {
        let matrices = self.matrices().into_iter().map(|(name, stored, packed, n, k)| {
            n.saturating_mul(plan::row_bytes(self.target(precision, &name, &stored, packed, k), k))
        });
        let vectors = self.tensors.iter().map(|(name, tensor)| match (&tensor.stored, &tensor.shape[..]) {
            (Stored::I32 | Stored::Other(_), _) => 0,
            _ if self.is_beside_four_bit(name) => 0,
            (_, &[len]) => len.saturating_mul(size_of::<f32>()),
            _ => 0,
        });
        matrices.chain(vectors).fold(0, usize::saturating_add)
    }

    /// Says of which matrices the type isn't the one that was asked for or stored.
    fn remark(&mut self) {
        let mut remarks: BTreeMap<String, usize> = BTreeMap::new();
        for (name, stored, packed, _, k) in self.matrices() {
            let held = self.target(self.precision, &name, &stored, packed, k);
            // Blocks of all types divide 256.
            let wanted = self.target(self.precision, &name, &stored, packed, 256);
            let remark = match &stored {
                _ if held != wanted => format!("held in {held}: their rows of {k} don't fill other blocks"),
                Stored::Blocks(blocks) if held == Dtype::Q8_0 && plan::ggml(held) != Some(*blocks) => {
                    format!(
                        "held in q8_0: they are stored as {}, which isn't multiplied as it is",
                        stored.name()
                    )
                }
                _ => continue,
            };
            *remarks.entry(remark).or_default() += 1;
        }
        self.notes
            .extend(remarks.into_iter().map(|(remark, count)| format!("{count} matrices are {remark}")));
    }

    /// The checkpoint's tokenizer.
    ///
    /// # Errors
    /// When it is missing, broken or of a kind that isn't known.
    pub fn tokenizer(&self) -> Result<Tokenizer> {
        match &self.source {
            Source::Gguf(gguf, architecture) if *architecture != Architecture::Own => {
                Tokenizer::of_gguf(gguf)
            }
            _ => Tokenizer::of_files(&self.path.display().to_string(), &|name| self.file(name)),
        }
    }

    /// One of the small files beside the weights, such as `generation_config.json`; none where there is no such file.
    /// Of a GGUF file, `chat_template.jinja` is what its metadata hold.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn file(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let Source::Gguf(gguf, architecture) = &self.source else {
            let path = self.path.join(name);
            return match fs::read(&path) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(Error::input(format!("{} can't be read", path.display())).because(error)),
            };
        };
        let text = match (architecture, name) {
            (Architecture::Own, name) => gguf.text(&cache::file_key(name)),
            (_, "chat_template.jinja") => gguf.text("tokenizer.chat_template"),
            _ => None,
        };
        Ok(text.map(|text| text.as_bytes().to_vec()))
    }

    /// 64 hexadecimal digits that depend on the weights, the configuration and how they are held. All files are read
    /// for it once, as a sample of them could miss what a fine-tuning changed; with a cache, what was found is
    /// kept as long as the files' paths, sizes, times and numbers stay the same.
    ///
    /// # Errors
    /// When a file can't be looked at any more.
    pub fn fingerprint(&self) -> Result<String> {
        let content = match &self.source {
            Source::Gguf(gguf, Architecture::Own) => match gguf.text(cache::SOURCE) {
                Some(content) => content.to_owned(),
                None => self.content()?,
            },
            _ => self.content()?,
        };
        Ok(cache::key(&[content.as_bytes(), self.precision.name().as_bytes()]))
    }

    /// A hash of the weights' files and the configuration.
    fn content(&self) -> Result<String> {
        let paths: Vec<&Path> = self.files.iter().map(Map::path).collect();
        let identity = Identity::of(&paths)?;
        if let Some(known) = self.cache.as_deref().and_then(|cache| identity.known(cache)) {
            return Ok(self.with_config(&known));
        }
        let mut hash = blake3::Hasher::new();
        for file in &self.files {
            hash.update(&(file.len() as u64).to_le_bytes());
            cache::hash_all(file, &mut hash);
        }
        let weights = hash.finalize().to_hex().to_string();
        if let Some(cache) = &self.cache {
            identity.remember(cache, &weights);
        }
        Ok(self.with_config(&weights))
    }

    fn with_config(&self, weights: &str) -> String {
        let config = self.file("config.json").ok().flatten().unwrap_or_default();
        cache::key(&[weights.as_bytes(), &config])
    }

    /// What the user should know about how the weights are held: sentences.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Bytes of memory that the loaded weights will occupy; mapped files count as much as they are used.
    pub fn bytes_needed(&self) -> usize {
        self.bytes
    }

    /// The names and shapes of the tensors that lie plainly in the files, in Hugging Face's words.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor.shape.as_slice()))
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
        let mut stored = vec![0.0; len];
        let file = &self.files[tensor.file];
        tensor::widen(&tensor.stored, &file[tensor.range.clone()], &mut stored);
        let order = self.order(name, len);
        let numbers: Vec<f32> = (0..len).map(|index| stored[order.at(index)]).collect();
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

    /// In which order a tensor's rows lie.
    fn order(&self, name: &str, rows: usize) -> Order {
        match (&self.source, &self.model) {
            (Source::Gguf(_, architecture), Model::Decoder(config)) => {
                names::order(*architecture, name, config, rows)
            }
            _ => Order::All,
        }
    }

    /// The name under which a tensor is stored: of tied ones, files keep whichever name they like.
    fn stored_name<'n>(&self, name: &'n str) -> &'n str {
        // transformers 5 calls GPT-NeoX's head as every other's.
        const SAME: [[&str; 2]; 1] = [["embed_out.weight", "lm_head.weight"]];
        const TIED: [[&str; 2]; 4] = [
            ["model.embed_tokens.weight", "lm_head.weight"],
            ["gpt_neox.embed_in.weight", "embed_out.weight"],
            ["gpt_neox.embed_in.weight", "lm_head.weight"],
            ["transformer.wte.weight", "lm_head.weight"],
        ];
        if self.tensors.contains_key(name) {
            return name;
        }
        let tied = TIED.iter().filter(|_| self.model.tied());
        let twins = SAME.iter().chain(tied).flat_map(|[one, other]| [(*one, *other), (*other, *one)]);
        let mut twins = twins.filter(|(one, other)| *one == name && self.tensors.contains_key(*other));
        twins.next().map_or(name, |(_, other)| other)
    }

    /// Finds a matrix and checks its shape.
    fn find(&self, name: &str, n: usize, k: usize) -> Result<Found<'_>> {
        let name = self.stored_name(name);
        if n == 0 || k == 0 {
            return Err(self.trouble(format_args!("tensor `{name}` [{n}, {k}] is empty")));
        }
        if let Some(stem) = self.packed_stem(name) {
            return self.find_packed(name, stem, n, k);
        }
        if let Some(state) = self.four_bit.get(name) {
            return self.find_four_bit(name, state, n, k);
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
            order: self.order(name, n),
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

    fn find_four_bit(&self, name: &str, state: &nf4::State, n: usize, k: usize) -> Result<Found<'_>> {
        if (state.n, state.k) != (n, k) {
            return Err(self.wrong_shape(name, &[state.n, state.k], &[n, k]));
        }
        let part = |part: &str, wanted: &Stored| -> Result<&Tensor> {
            let name = format!("{name}{part}");
            let tensor = self.tensors.get(&name).ok_or_else(|| self.missing(&name))?;
            if tensor.stored == *wanted { Ok(tensor) } else { Err(self.unread(&name, &tensor.stored)) }
        };
        let whole = |tensor: &Tensor| &self.files[tensor.file][tensor.range.clone()];
        let mapped = |tensor: &Tensor| Bytes::Mapped(self.files[tensor.file].memory(), tensor.range.clone());
        let bytes = Stored::Other("U8".into());
        let weights = part("", &bytes)?;
        let code = nf4::code(name, whole(part(".quant_map", &Stored::F32)?))?;
        let scales = match state.nested {
            None => Scales::Plain(nf4::floats(whole(part(".absmax", &Stored::F32)?))),
            Some((block, offset)) => Scales::Nested {
                quants: mapped(part(".absmax", &bytes)?),
                code: Box::new(nf4::code(name, whole(part(".nested_quant_map", &Stored::F32)?))?),
                scales: nf4::floats(whole(part(".nested_absmax", &Stored::F32)?)),
                block,
                offset,
            },
        };
        let broken = match &scales {
            Scales::Plain(scales) => scales.iter().any(|scale| !scale.is_finite()),
            Scales::Nested { scales, offset, .. } => {
                !offset.is_finite() || scales.iter().any(|scale| !scale.is_finite())
            }
        };
        if broken {
            return Err(nf4::trouble(name, "its scales aren't all numbers"));
        }
        let count = n.checked_mul(k).ok_or_else(|| nf4::trouble(name, "it is too large"))?;
        let weights = FourBit::new(&code, count, mapped(weights), state.block, scales)
            .map_err(|error| self.trouble(format_args!("tensor `{name}` can't be loaded")).because(error))?;
        // Its pages stay: the matrix is the file's own memory.
        let file = &self.files[self.tensors[name].file];
        Ok(Found { file, ranges: Vec::new(), rows: Rows::FourBit(weights, k), order: Order::All })
    }

    fn load(&self, name: &str, found: Found<'_>, n: usize, k: usize) -> Result<Matrix> {
        let (stored, packed) = match &found.rows {
            Rows::Plain { stored, .. } => (*stored, false),
            Rows::Packed(_) => (&Stored::I32, true),
            Rows::FourBit(..) => (&Stored::FourBit, false),
        };
        let dtype = self.target(self.precision, name, stored, packed, k);
        convert::matrix(&found, n, k, dtype).map_err(|trouble| match trouble {
            convert::Trouble::NotFinite { row, column, number } => {
                self.not_finite(name, &[found.order.at(row), column], number)
            }
            convert::Trouble::Failed(error) => {
                self.trouble(format_args!("tensor `{name}` can't be loaded")).because(error)
            }
        })
    }

    fn trouble(&self, what: std::fmt::Arguments<'_>) -> Error {
        Error::input(format!("{}: {what}", self.path.display()))
    }

    /// The file that a tensor is in.
    fn file_of(&self, name: &str) -> &Path {
        self.tensors.get(name).map_or(&self.path, |tensor| self.files[tensor.file].path())
    }

    /// A tensor's name as its file has it.
    fn shown(&self, name: &str) -> String {
        match &self.source {
            Source::Folder => name.to_owned(),
            Source::Gguf(_, architecture) => {
                names::gguf_name(*architecture, name).unwrap_or_else(|| name.to_owned())
            }
        }
    }

    fn missing(&self, name: &str) -> Error {
        let place = map::named(&self.files, &self.path);
        let error = Error::input(format!("{}: tensor `{}` is missing", place.display(), self.shown(name)));
        match nearest(name, self.tensors.keys().map(String::as_str)) {
            Some(near) => error.with_hint(format!("the nearest name there is `{}`", self.shown(near))),
            None => error.with_hint("config.json may belong to another model than the weights"),
        }
    }

    fn wrong_shape(&self, name: &str, found: &[usize], wanted: &[usize]) -> Error {
        Error::input(format!(
            "{}: tensor `{}` has the shape {found:?}; loading it needs {wanted:?} by the configuration",
            self.file_of(name).display(),
            self.shown(name)
        ))
        .with_hint("config.json may belong to another model than the weights")
    }

    fn unread(&self, name: &str, stored: &Stored) -> Error {
        Error::input(format!(
            "{}: tensor `{}` is stored as {}, which isn't read",
            self.file_of(name).display(),
            self.shown(name),
            stored.name()
        ))
        .with_hint("safetensors are read as F32, F16 and BF16; GGUF also in blocks from Q4_0 to Q8_0 and Q2_K to Q6_K")
    }

    fn not_finite(&self, name: &str, index: &[usize], number: f32) -> Error {
        Error::input(format!("{}: tensor `{name}` holds {number} at {index:?}", self.file_of(name).display()))
            .with_hint("the weights are broken: a training that diverged, or a damaged download")
    }
}

/// The layers in bitsandbytes' 4 bits.
fn four_bit(contents: &safetensors::Contents) -> Result<BTreeMap<String, nf4::State>> {
    let states = contents.tensors.iter().filter_map(|(name, tensor)| {
        let layer = nf4::STATES.iter().find_map(|ending| name.strip_suffix(ending))?;
        Some((layer, tensor))
    });
    states
        .map(|(layer, tensor)| {
            let bytes = &contents.files[tensor.file][tensor.range.clone()];
            let state = nf4::State::read(bytes)
                .ok_or_else(|| nf4::trouble(layer, "what says its shape and blocks isn't understood"))?;
            Ok((layer.to_owned(), state))
        })
        .collect()
}

/// The one GGUF file of a folder; none where there is none.
fn only_gguf(folder: &Path) -> Result<Option<PathBuf>> {
    let trouble = || Error::input(format!("{} can't be read", folder.display()));
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| trouble().because(error))? {
        let path = entry.map_err(|error| trouble().because(error))?.path();
        if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gguf")) {
            found.push(path);
        }
    }
    match found.len() {
        0 | 1 => Ok(found.pop()),
        count => Err(Error::input(format!("{} holds {count} GGUF files", folder.display()))
            .with_hint("name the one that is meant")),
    }
}

#[cfg(test)]
mod tests;
