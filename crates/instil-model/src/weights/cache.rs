//! What is kept for the next time: quantised copies of checkpoints, and hashes of their files.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use instil::{Error, Result};
use rayon::prelude::*;

use super::convert::{self, Trouble};
use super::map::Map;
use super::plan;
use super::tensor::Stored;
use super::{Checkpoint, Found};
use crate::kernel::Dtype;

/// The version of what quantising gives; a change of it makes older copies and fingerprints another's.
const VERSION: &[u8] = b"weights 1";
/// The key under which a copy keeps the hash of what it was made from.
pub(super) const SOURCE: &str = "instil.source";
/// The small files that a copy takes along.
const FILES: [&str; 6] = [
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "generation_config.json",
    "chat_template.jinja",
];
/// Bytes that tensors are aligned to.
const ALIGNMENT: usize = 32;

/// The key under which a copy keeps the text of a file.
pub(super) fn file_key(name: &str) -> String {
    format!("instil.file.{name}")
}

/// A hash of texts, each with its length, and of this code's version.
pub(super) fn key(parts: &[&[u8]]) -> String {
    let mut hash = blake3::Hasher::new();
    for part in [&[VERSION], parts].concat() {
        hash.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    hash.finalize().to_hex().to_string()
}

/// Feeds the hashes of a mapped file's parts to a hash, computed on all threads, and gives its pages back.
pub(super) fn hash_all(file: &Map, hash: &mut blake3::Hasher) {
    const PART: usize = 16 << 20;
    let parts: Vec<blake3::Hash> = (0..file.len().div_ceil(PART))
        .into_par_iter()
        .map(|part| {
            let part = part * PART..file.len().min((part + 1) * PART);
            let hash = blake3::hash(&file[part.clone()]);
            file.give_back(part);
            hash
        })
        .collect();
    for part in parts {
        hash.update(part.as_bytes());
    }
}

/// Which files these are, as far as can be told without reading them.
pub(super) struct Identity {
    key: String,
    /// When the youngest of them was written.
    youngest: SystemTime,
}

impl Identity {
    pub(super) fn of(paths: &[&Path]) -> Result<Self> {
        let mut parts = Vec::new();
        let mut youngest = UNIX_EPOCH;
        for path in paths {
            let trouble =
                |error| Error::input(format!("{} can't be looked at", path.display())).because(error);
            let full = fs::canonicalize(path).map_err(trouble)?;
            let meta = fs::metadata(path).map_err(trouble)?;
            let written = meta.modified().map_err(trouble)?;
            youngest = youngest.max(written);
            let since = written.duration_since(UNIX_EPOCH).unwrap_or_default();
            let text = format!("{} {} {} {}", full.display(), meta.len(), since.as_nanos(), number(&meta));
            parts.push(text.into_bytes());
        }
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        Ok(Self { key: key(&parts), youngest })
    }

    /// The hash of the files, if it was found before.
    pub(super) fn known(&self, cache: &Path) -> Option<String> {
        let text = fs::read_to_string(self.path(cache)).ok()?;
        (text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(text)
    }

    /// Keeps the hash of the files. Failing costs time, the next time.
    pub(super) fn remember(&self, cache: &Path, hash: &str) {
        // What was written just now may be written again within the same tick of the clock.
        if self.youngest.elapsed().is_ok_and(|age| age > Duration::from_secs(2)) {
            let written = fs::create_dir_all(cache).and_then(|()| fs::write(self.path(cache), hash));
            written.ok();
        }
    }

    fn path(&self, cache: &Path) -> PathBuf {
        cache.join(format!("{}.hash", self.key))
    }
}

#[cfg(unix)]
fn number(meta: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(meta)
}

#[cfg(not(unix))]
fn number(_: &fs::Metadata) -> u64 {
    0
}

/// One tensor of a copy.
struct Part {
    name: String,
    shape: Vec<usize>,
    dtype: Dtype,
}

impl Part {
    fn bytes(&self) -> usize {
        let k = self.shape.last().copied().unwrap_or(1);
        let rows: usize = self.shape.iter().rev().skip(1).product();
        rows * plan::row_bytes(self.dtype, k)
    }
}

/// The path of the quantised copy of a checkpoint, written if it isn't there.
///
/// # Errors
/// When it can't be written, or the checkpoint can't be read.
pub(super) fn copy(checkpoint: &Checkpoint, folder: &Path) -> Result<PathBuf> {
    let mut paths: Vec<PathBuf> = checkpoint.files.iter().map(|file| file.path().to_path_buf()).collect();
    paths.extend(FILES.iter().map(|name| checkpoint.path.join(name)).filter(|path| path.exists()));
    let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    let identity = Identity::of(&paths)?;
    let name = checkpoint.path.file_name().map_or_else(|| "model".into(), |name| name.to_string_lossy());
    let path = folder.join(format!("{name}-{}-{}.gguf", checkpoint.precision.name(), &identity.key[..16]));
    if path.is_file() {
        return Ok(path);
    }
    let trouble = |error: std::io::Error| Error::output(format!("{}", path.display())).because(error);
    fs::create_dir_all(folder).map_err(trouble)?;
    // Written beside and renamed when whole: what is there under the name is always all of it.
    let part = folder.join(format!(".{name}-{}.part", std::process::id()));
    let written = write(checkpoint, &part, &trouble);
    let done = written.and_then(|()| fs::rename(&part, &path).map_err(trouble));
    if done.is_err() {
        fs::remove_file(&part).ok();
    }
    done.map(|()| path.clone())
}

fn write(checkpoint: &Checkpoint, path: &Path, trouble: &dyn Fn(std::io::Error) -> Error) -> Result<()> {
    let parts = parts(checkpoint);
    let mut texts = vec![("general.architecture".to_owned(), "instil".to_owned())];
    texts.push((SOURCE.into(), checkpoint.content()?));
    for name in FILES {
        if let Some(text) = checkpoint.file(name)?.and_then(|bytes| String::from_utf8(bytes).ok()) {
            texts.push((file_key(name), text));
        }
    }

    let mut header = b"GGUF".to_vec();
    let text = |header: &mut Vec<u8>, text: &str| {
        header.extend((text.len() as u64).to_le_bytes());
        header.extend(text.as_bytes());
    };
    header.extend(3u32.to_le_bytes());
    header.extend((parts.len() as u64).to_le_bytes());
    header.extend((texts.len() as u64).to_le_bytes());
    for (key, value) in &texts {
        text(&mut header, key);
        header.extend(8u32.to_le_bytes());
        text(&mut header, value);
    }
    let mut offset = 0usize;
    for part in &parts {
        text(&mut header, &part.name);
        header.extend((part.shape.len() as u32).to_le_bytes());
        for size in part.shape.iter().rev() {
            header.extend((*size as u64).to_le_bytes());
        }
        let number = number_of(part.dtype)
            .ok_or_else(|| Error::output(format!("GGUF has no type for {}", part.dtype)))?;
        header.extend(number.to_le_bytes());
        header.extend((offset as u64).to_le_bytes());
        offset += part.bytes().next_multiple_of(ALIGNMENT);
    }
    header.resize(header.len().next_multiple_of(ALIGNMENT), 0);

    let mut file = BufWriter::new(File::create(path).map_err(trouble)?);
    file.write_all(&header).map_err(trouble)?;
    for part in &parts {
        let mut bytes = match part.shape[..] {
            [n, k] => {
                let found = checkpoint.find(&part.name, n, k)?;
                let bytes = encoded(&found, n, k, part.dtype).map_err(|found| match found {
                    Trouble::Failed(error) => error,
                    Trouble::NotFinite { row, column, number } => {
                        checkpoint.not_finite(&part.name, &[row, column], number)
                    }
                })?;
                for range in &found.ranges {
                    found.file.give_back(range.clone());
                }
                bytes
            }
            _ => {
                let numbers = checkpoint.vector(&part.name, part.shape[0])?;
                numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
            }
        };
        bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
        file.write_all(&bytes).map_err(trouble)?;
    }
    let file = file.into_inner().map_err(|error| trouble(error.into_error()))?;
    file.sync_all().map_err(trouble)
}

fn encoded(found: &Found<'_>, n: usize, k: usize, dtype: Dtype) -> std::result::Result<Vec<u8>, Trouble> {
    convert::encode(&found.rows, &found.order, n, k, dtype)
}

/// The tensors that a copy holds: all matrices in the type they are held in, and vectors in f32.
fn parts(checkpoint: &Checkpoint) -> Vec<Part> {
    let matrices = checkpoint.matrices().into_iter().map(|(name, stored, packed, n, k)| {
        let dtype = checkpoint.target(checkpoint.precision, &name, &stored, packed, k);
        Part { name, shape: vec![n, k], dtype }
    });
    let vectors = checkpoint.tensors.iter().filter_map(|(name, tensor)| {
        let vector = tensor.shape.len() == 1 && !matches!(tensor.stored, Stored::I32 | Stored::Other(_));
        vector.then(|| Part { name: name.clone(), shape: tensor.shape.clone(), dtype: Dtype::F32 })
    });
    matrices.chain(vectors).collect()
}

/// The number of a type in ggml's list; none of what that list doesn't have.
pub(super) fn number_of(dtype: Dtype) -> Option<u32> {
    Some(match dtype {
        Dtype::F32 => 0,
        Dtype::F16 => 1,
        Dtype::Q8_0 => 8,
        Dtype::Q4K => 12,
        Dtype::Q6K => 14,
        Dtype::Bf16 => 30,
        Dtype::Nf4 => return None,
    })
}
