//! GGUF files (versions 2 and 3): metadata, and where the tensors are.
//!
//! The layout is that of ggml's `docs/gguf.md`. Every count and offset is checked against the file's length before
//! anything is allocated or read, so a hostile file ends in an error.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::Path;

use candle_core::quantized::GgmlDType;
use instil::{Error, Result};

use super::map::Map;
use super::tensor::{Stored, Tensor};

/// What the values of one key are.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// A number that is no fraction.
    Whole(i128),
    /// A number that may be a fraction.
    Real(f64),
    /// True or false.
    Flag(bool),
    /// A text.
    Text(String),
    /// Texts.
    Texts(Vec<String>),
    /// Numbers or flags; f64 holds exactly what scores, kinds and factors are.
    Numbers(Vec<f64>),
    /// Something that no key we read has.
    Other,
}

/// The header of a GGUF file.
pub(crate) struct Gguf {
    /// For messages.
    pub(crate) place: String,
    pub(crate) metadata: HashMap<String, Value>,
    /// The keys in their order, with where key, type and value lie in the file.
    pub(crate) keys: Vec<(String, Range<usize>)>,
    /// Their names are the file's own.
    pub(crate) tensors: BTreeMap<String, Tensor>,
}

/// The longest array that is kept: no vocabulary has as many tokens.
const LONGEST: u64 = 1 << 24;
/// How deep arrays of arrays go.
const DEEPEST: usize = 4;

impl Gguf {
    /// Reads the header of a mapped file.
    ///
    /// # Errors
    /// When it is no GGUF file of a version that is read, or it contradicts itself.
    pub(crate) fn read(map: &Map) -> Result<Self> {
        Self::parse(map, map.path())
    }

    /// [`Gguf::read`] of the bytes of a whole file.
    pub(crate) fn parse(bytes: &[u8], path: &Path) -> Result<Self> {
        let place = path.display().to_string();
        let mut cursor = Cursor { bytes, at: 0 };
        let header = cursor.header().map_err(|trouble| {
            Error::input(format!("{place} is a broken GGUF file"))
                .because(format!("at byte {}: {trouble}", cursor.at))
                .with_hint("the download may not have finished: fetch the model again")
        })?;
        Ok(Self { place, metadata: header.0, keys: header.1, tensors: header.2 })
    }

    /// The text of a key.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        match self.metadata.get(key)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The texts of a key.
    pub(crate) fn texts(&self, key: &str) -> Option<&[String]> {
        match self.metadata.get(key)? {
            Value::Texts(texts) => Some(texts),
            _ => None,
        }
    }

    /// The numbers of a key.
    pub(crate) fn numbers(&self, key: &str) -> Option<&[f64]> {
        match self.metadata.get(key)? {
            Value::Numbers(numbers) => Some(numbers),
            _ => None,
        }
    }

    /// The number of a key.
    pub(crate) fn number(&self, key: &str) -> Option<f64> {
        match self.metadata.get(key)? {
            Value::Whole(number) => Some(*number as f64),
            Value::Real(number) => Some(*number),
            _ => None,
        }
    }

    /// The count of a key.
    pub(crate) fn count(&self, key: &str) -> Option<usize> {
        match self.metadata.get(key)? {
            Value::Whole(number) => usize::try_from(*number).ok(),
            _ => None,
        }
    }

    /// The flag of a key.
    pub(crate) fn flag(&self, key: &str) -> Option<bool> {
        match self.metadata.get(key)? {
            Value::Flag(flag) => Some(*flag),
            _ => None,
        }
    }
}

type Trouble<T> = std::result::Result<T, String>;
type Header = (HashMap<String, Value>, Vec<(String, Range<usize>)>, BTreeMap<String, Tensor>);

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take<const N: usize>(&mut self) -> Trouble<[u8; N]> {
        let taken = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk());
        let taken = *taken.ok_or("the file ends")?;
        self.at += N;
        Ok(taken)
    }

    fn u32(&mut self) -> Trouble<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Trouble<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn left(&self) -> u64 {
        (self.bytes.len() - self.at) as u64
    }

    /// A count of things that take at least so many bytes each.
    fn count(&mut self, what: &str, least: u64) -> Trouble<u64> {
        let count = self.u64()?;
        if count.checked_mul(least).is_none_or(|needed| needed > self.left()) {
            return Err(format!("{count} {what} don't fit into the {} bytes that are left", self.left()));
        }
        Ok(count)
    }

    fn text(&mut self) -> Trouble<String> {
        let len = self.count("bytes of a text", 1)? as usize;
        let text: &'a [u8] = &self.bytes[self.at..self.at + len];
        self.at += len;
        // Some files end their texts with a NUL, and some hold halves of characters.
        Ok(String::from_utf8_lossy(text).trim_end_matches('\0').to_owned())
    }

    fn header(&mut self) -> Trouble<Header> {
        if &self.take()? != b"GGUF" {
            return Err("it doesn't begin with GGUF".into());
        }
        match self.u32()? {
            2 | 3 => {}
            version if version.swap_bytes() <= 3 => return Err("it is big-endian, which isn't read".into()),
            version => return Err(format!("it is of version {version}; 2 and 3 are read")),
        }
        // A tensor has a name, dimensions, a type and an offset; a key has a name, a type and a value.
        let tensors = self.count("tensors", 24)?;
        let keys = self.count("keys", 13)?;
        let (mut metadata, mut order) = (HashMap::new(), Vec::new());
        for _ in 0..keys {
            let start = self.at;
            let key = self.text()?;
            let kind = self.u32()?;
            let value = self.value(kind, 0).map_err(|trouble| format!("key `{key}`: {trouble}"))?;
            order.push((key.clone(), start..self.at));
            metadata.insert(key, value);
        }
        let mut found = Vec::new();
        for _ in 0..tensors {
            found.push(self.tensor()?);
        }

        let alignment = match metadata.get("general.alignment") {
            None => 32,
            Some(Value::Whole(alignment)) => match usize::try_from(*alignment) {
                // Blocks begin with halves: less than eight would put them at odd addresses.
                Ok(alignment) if alignment.is_power_of_two() && (8..=1 << 20).contains(&alignment) => {
                    alignment
                }
                _ => return Err(format!("the alignment is {alignment}")),
            },
            Some(_) => return Err("the alignment is no number".into()),
        };
        let start = self.at.next_multiple_of(alignment);
        let mut placed = BTreeMap::new();
        let mut ranges: Vec<(Range<usize>, String)> = Vec::new();
        for (name, mut tensor, offset) in found {
            if let Some(size) = bytes_of(&tensor) {
                let end = usize::try_from(offset)
                    .ok()
                    .filter(|offset| offset.is_multiple_of(alignment))
                    .and_then(|offset| start.checked_add(offset))
                    .and_then(|start| Some(start..start.checked_add(size?)?));
                let Some(range) = end.filter(|range| range.end <= self.bytes.len()) else {
                    return Err(format!(
                        "tensor `{name}` {:?} {} at offset {offset} doesn't lie within the file's {} bytes",
                        tensor.shape,
                        tensor.stored.name(),
                        self.bytes.len()
                    ));
                };
                tensor.range = range.clone();
                ranges.push((range, name.clone()));
            }
            if placed.insert(name.clone(), tensor).is_some() {
                return Err(format!("tensor `{name}` is there twice"));
            }
        }
        ranges.sort_by_key(|(range, _)| (range.start, range.end));
        if let Some([(_, one), (_, other)]) =
            ranges.array_windows().find(|[(one, _), (other, _)]| one.end > other.start && !other.is_empty())
        {
            return Err(format!("tensors `{one}` and `{other}` overlap"));
        }
        Ok((metadata, order, placed))
    }

    fn value(&mut self, kind: u32, depth: usize) -> Trouble<Value> {
        Ok(match kind {
            0 => Value::Whole(u8::from_le_bytes(self.take()?).into()),
            1 => Value::Whole(i8::from_le_bytes(self.take()?).into()),
            2 => Value::Whole(u16::from_le_bytes(self.take()?).into()),
            3 => Value::Whole(i16::from_le_bytes(self.take()?).into()),
            4 => Value::Whole(u32::from_le_bytes(self.take()?).into()),
            5 => Value::Whole(i32::from_le_bytes(self.take()?).into()),
            6 => Value::Real(f32::from_le_bytes(self.take()?).into()),
            7 => Value::Flag(self.take::<1>()? != [0]),
            8 => Value::Text(self.text()?),
            9 => self.array(depth)?,
            10 => Value::Whole(u64::from_le_bytes(self.take()?).into()),
            11 => Value::Whole(i64::from_le_bytes(self.take()?).into()),
            12 => Value::Real(f64::from_le_bytes(self.take()?)),
            other => return Err(format!("{other} is no type of a value")),
        })
    }

    fn array(&mut self, depth: usize) -> Trouble<Value> {
        if depth >= DEEPEST {
            return Err("arrays lie too deep in each other".into());
        }
        let kind = self.u32()?;
        let least = match kind {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            8 | 10..=12 => 8,
            9 => 12,
            other => return Err(format!("{other} is no type of a value")),
        };
        let count = self.count("values", least)?;
        let (mut texts, mut numbers) = (Vec::new(), Vec::new());
        let kept = count <= LONGEST;
        for _ in 0..count {
            match self.value(kind, depth + 1)? {
                Value::Text(text) if kept => texts.push(text),
                Value::Whole(number) if kept => numbers.push(number as f64),
                Value::Real(number) if kept => numbers.push(number),
                Value::Flag(flag) if kept => numbers.push(f64::from(u8::from(flag))),
                _ => {}
            }
        }
        Ok(match kind {
            _ if !kept => Value::Other,
            8 => Value::Texts(texts),
            9 => Value::Other,
            _ => Value::Numbers(numbers),
        })
    }

    /// A tensor's name, what it is, and its offset among the tensors.
    fn tensor(&mut self) -> Trouble<(String, Tensor, u64)> {
        let name = self.text()?;
        let dimensions = self.u32()?;
        if dimensions > 4 {
            return Err(format!("tensor `{name}` has {dimensions} dimensions"));
        }
        let mut shape = Vec::new();
        for _ in 0..dimensions {
            let size = self.u64()?;
            let size = usize::try_from(size).map_err(|_| format!("tensor `{name}` has {size} rows"))?;
            shape.insert(0, size);
        }
        let stored = stored(self.u32()?);
        let offset = self.u64()?;
        Ok((name, Tensor { file: 0, range: 0..0, stored, shape }, offset))
    }
}

/// Bytes of a tensor: none at all where its type isn't read, `Some(None)` where its shape can't be.
#[expect(clippy::option_option, reason = "two reasons for there being no size, of which one is an error")]
fn bytes_of(tensor: &Tensor) -> Option<Option<usize>> {
    if matches!(tensor.stored, Stored::Other(_)) {
        return None;
    }
    let k = tensor.shape.last().copied().unwrap_or(1);
    let rows = tensor.shape.iter().rev().skip(1).try_fold(1usize, |rows, size| rows.checked_mul(*size));
    Some(rows.zip(tensor.stored.row_bytes(k)).and_then(|(rows, bytes)| rows.checked_mul(bytes)))
}

/// The type of this number in ggml's list.
fn stored(kind: u32) -> Stored {
    let name = match kind {
        0 => return Stored::F32,
        1 => return Stored::F16,
        2 => return Stored::Blocks(GgmlDType::Q4_0),
        3 => return Stored::Blocks(GgmlDType::Q4_1),
        6 => return Stored::Blocks(GgmlDType::Q5_0),
        7 => return Stored::Blocks(GgmlDType::Q5_1),
        8 => return Stored::Blocks(GgmlDType::Q8_0),
        10 => return Stored::Blocks(GgmlDType::Q2K),
        11 => return Stored::Blocks(GgmlDType::Q3K),
        12 => return Stored::Blocks(GgmlDType::Q4K),
        13 => return Stored::Blocks(GgmlDType::Q5K),
        14 => return Stored::Blocks(GgmlDType::Q6K),
        26 => return Stored::I32,
        30 => return Stored::Bf16,
        9 => "Q8_1",
        15 => "Q8_K",
        16 => "IQ2_XXS",
        17 => "IQ2_XS",
        18 => "IQ3_XXS",
        19 => "IQ1_S",
        20 => "IQ4_NL",
        21 => "IQ3_S",
        22 => "IQ2_S",
        23 => "IQ4_XS",
        24 => "I8",
        25 => "I16",
        27 => "I64",
        28 => "F64",
        29 => "IQ1_M",
        34 => "TQ1_0",
        35 => "TQ2_0",
        39 => "MXFP4",
        other => return Stored::Other(format!("type {other}")),
    };
    Stored::Other(name.into())
}
