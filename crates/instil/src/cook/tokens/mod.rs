//! The tokens that templates draw from: a pool of words, and the few marks and labels that stand among them.

mod marks;
mod synthetic;
mod vocabulary;
mod wordlist;

use std::collections::HashMap;
use std::sync::OnceLock;

pub use marks::{Mark, NUMBERS, SCHEMES};
pub use synthetic::SYNTHETIC_WORDS;
pub(super) use vocabulary::encode_behind;
pub use vocabulary::{HuggingFace, Vocabulary, Words};

use crate::error::{Error, Result};

/// Bytes of a cell: a word of up to 15 bytes with the blank before it, and its length.
pub(super) const CELL: usize = 16;
/// The length in a cell whose word is longer.
pub(super) const LONG: u8 = u8::MAX;

/// The least words of a pool: below it, what templates draw at random would too often be the same.
const LEAST: usize = 16;

/// The tokens of templates: words from 0 to [`Pool::size`], and marks behind them.
///
/// A word is written with a blank before it, a mark without one, so that a list of tokens is written by writing one
/// after the other.
pub struct Pool {
    mode: &'static str,
    size: u32,
    /// What every token is written as, one after the other.
    text: Vec<u8>,
    /// Where each begins in `text`, and where the last ends.
    starts: Vec<u32>,
    /// Every token once more at places that its number alone tells.
    cells: Vec<[u8; CELL]>,
    /// A hash of each token's bytes.
    hashes: Vec<u32>,
    /// Ids of every token in the tokenizer that the pool is of.
    ids: Option<Vec<Box<[u32]>>>,
    hash: String,
    /// The words by their last letters, for two letters and for three.
    rhymes: [OnceLock<Vec<Vec<u32>>>; 2],
}

impl Pool {
    /// A pool of these words, without blanks around them.
    fn new(mode: &'static str, words: &[impl AsRef<str>]) -> Result<Self> {
        let spaced = words.iter().map(|word| format!(" {}", word.as_ref()).into_bytes());
        Self::of_bytes(mode, spaced, None)
    }

    /// A pool of tokens as they are written.
    fn of_bytes(
        mode: &'static str,
        words: impl Iterator<Item = Vec<u8>>,
        ids: Option<Vec<Box<[u32]>>>,
    ) -> Result<Self> {
        let (mut text, mut starts, mut cells, mut hashes) = (Vec::new(), vec![0], Vec::new(), Vec::new());
        let mut add = |word: &[u8]| {
            text.extend_from_slice(word);
            starts.push(text.len() as u32);
            let mut cell = [b' '; CELL];
            if word.len() < CELL {
                cell[..word.len()].copy_from_slice(word);
                cell[CELL - 1] = word.len() as u8;
            } else {
                cell[..CELL - 1].copy_from_slice(&word[..CELL - 1]);
                cell[CELL - 1] = LONG;
            }
            cells.push(cell);
            let hash = blake3::hash(word);
            hashes.push(u32::from_le_bytes(hash.as_bytes()[..4].try_into().expect("a hash has 32 bytes")));
        };
        words.for_each(|word| add(&word));
        Mark::all().for_each(|mark| add(mark.text().as_bytes()));
        let size = cells.len() - Mark::all().count();
        if size < LEAST {
            return Err(Error::usage(format!("a pool of {size} words is too small to draw from"))
                .with_hint(format!("give at least {LEAST} words; some templates need more")));
        }
        let mut hasher = blake3::Hasher::new();
        for bounds in starts.windows(2).take(size) {
            let word = &text[bounds[0] as usize..bounds[1] as usize];
            hasher.update(&(word.len() as u64).to_le_bytes());
            hasher.update(word);
        }
        for id in ids.iter().flatten().flatten() {
            hasher.update(&id.to_le_bytes());
        }
        let mut hash = hasher.finalize().to_hex().to_string();
        hash.truncate(32);
        let size = size as u32;
        Ok(Self { mode, size, text, starts, cells, hashes, ids, hash, rhymes: Default::default() })
    }

    /// How its words were chosen: `synthetic`, `wordlist`, `safe` or `all`.
    pub fn mode(&self) -> &'static str {
        self.mode
    }

    /// Whether a word may be a part of a character, so that not every text of words is UTF-8.
    pub(super) fn is_bytes(&self) -> bool {
        self.mode == "all"
    }

    /// How many words it has.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// 32 hexadecimal digits that depend on every word and its place: the same seed gives other data with another pool.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The number of a mark.
    pub fn mark(&self, mark: Mark) -> u32 {
        self.size + mark.place()
    }

    /// A token as it is written, a word with the blank before it.
    pub fn bytes(&self, token: u32) -> &[u8] {
        let token = token as usize;
        &self.text[self.starts[token] as usize..self.starts[token + 1] as usize]
    }

    /// A word without the blank before it; what isn't UTF-8 in it is replaced.
    pub fn word(&self, token: u32) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(self.bytes(token).trim_ascii_start())
    }

    /// The ids of a token, where the pool is a tokenizer's.
    pub fn ids(&self, token: u32) -> Option<&[u32]> {
        self.ids.as_ref().map(|ids| ids[token as usize].as_ref())
    }

    /// Every token in a cell: its first bytes, and in the last byte their number or [`LONG`].
    pub(super) fn cells(&self) -> &[[u8; CELL]] {
        &self.cells
    }

    /// A number that depends on the bytes of a token alone.
    pub(super) fn hash_of(&self, token: u32) -> u32 {
        self.hashes[token as usize]
    }

    /// Words that end with the same `letters` letters (two or three), by these; only classes of at least two words.
    pub fn rhymes(&self, letters: u32) -> &[Vec<u32>] {
        let letters = letters.clamp(2, 3) as usize;
        self.rhymes[letters - 2].get_or_init(|| {
            let mut classes: HashMap<String, usize> = HashMap::new();
            let mut rhymes: Vec<Vec<u32>> = Vec::new();
            for token in 0..self.size {
                let word = self.word(token).to_lowercase();
                let Some((start, _)) = word.char_indices().rev().nth(letters - 1) else { continue };
                let class = *classes.entry(word[start..].to_owned()).or_insert(rhymes.len());
                if class == rhymes.len() {
                    rhymes.push(Vec::new());
                }
                rhymes[class].push(token);
            }
            rhymes.retain(|words| words.len() > 1);
            rhymes
        })
    }
}

/// Without its words, which are thousands.
impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool")
            .field("mode", &self.mode)
            .field("size", &self.size)
            .field("hash", &self.hash)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
