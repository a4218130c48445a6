//! Words of a tokenizer, each a token of its own.

use std::collections::HashMap;

use tokenizers::Tokenizer;

use super::{Mark, Pool};
use crate::error::{Error, Result};

/// What a pool has to know of a tokenizer: `tokenizers` has it from a `tokenizer.json`; others can be given it.
pub trait Vocabulary {
    /// One more than the largest id.
    fn size(&self) -> u32;

    /// The bytes that a token stands for inside a text, with the blank that it brings; none for special, added and
    /// control tokens, for those that stand for single bytes because the vocabulary has no better, and for unknown ids.
    fn bytes(&self, id: u32) -> Option<Vec<u8>>;

    /// The tokens of a text, without those that are put around texts.
    ///
    /// # Errors
    /// When the text can't be encoded.
    fn encode(&self, text: &str) -> Result<Vec<u32>>;
}

/// Which tokens of a tokenizer are words of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Words {
    /// A blank and at least two ASCII letters, encoded as that one token again.
    Safe,
    /// A blank and at least two letters of any script, likewise.
    AnyScript,
    /// Every token that isn't special, added, of control or a spare byte. A text of these is encoded as other tokens
    /// again as a rule, so that they are for exact ids alone.
    All,
}

/// What words are tried behind.
const BEFORE: &str = "Text:";

impl Pool {
    /// The words of a tokenizer.
    ///
    /// # Errors
    /// When it has too few such tokens, or doesn't encode its own.
    pub fn of_vocabulary(vocabulary: &dyn Vocabulary, words: Words) -> Result<Self> {
        let mode = if words == Words::All { "all" } else { "safe" };
        let before = vocabulary.encode(BEFORE)?;
        let (mut texts, mut ids) = (Vec::new(), Vec::new());
        for id in 0..vocabulary.size() {
            let Some(bytes) = vocabulary.bytes(id).filter(|bytes| !bytes.is_empty()) else { continue };
            let is_taken = match words {
                Words::All => true,
                Words::Safe => is_word(&bytes, |letter| letter.is_ascii_alphabetic()),
                Words::AnyScript => is_word(&bytes, char::is_alphabetic),
            };
            if !is_taken || (words != Words::All && !comes_again(vocabulary, &before, &bytes, id)?) {
                continue;
            }
            texts.push(bytes);
            ids.push(vec![id].into_boxed_slice());
        }
        if ids.is_empty() {
            return Err(Error::usage("the tokenizer has no token that could be a word")
                .because("none is a blank and two letters that are encoded as this token again")
                .with_hint(
                    "take words of your own with `--pool wordlist`, or invented ones with `--pool synthetic`",
                ));
        }
        let anchor = String::from_utf8_lossy(&texts[0]).trim_start().to_owned();
        for mark in Mark::all() {
            ids.push(encode_behind(vocabulary, &anchor, &mark.text())?.into_boxed_slice());
        }
        Self::of_bytes(mode, texts.into_iter(), Some(ids))
    }
}

/// The tokens of `text` where it stands behind `before`.
///
/// Where the tokenizer joins the two, they are those of the text alone; whether the whole is right, only encoding the
/// whole tells ([`super::super::Encoder::is_exact`]).
pub(in crate::cook) fn encode_behind(
    vocabulary: &dyn Vocabulary,
    before: &str,
    text: &str,
) -> Result<Vec<u32>> {
    let head = vocabulary.encode(before)?;
    let whole = vocabulary.encode(&format!("{before}{text}"))?;
    match whole.strip_prefix(head.as_slice()) {
        Some(rest) => Ok(rest.to_vec()),
        None => vocabulary.encode(text),
    }
}

/// Whether the bytes are a blank and at least two letters.
fn is_word(bytes: &[u8], is_letter: impl Fn(char) -> bool) -> bool {
    let word = std::str::from_utf8(bytes).ok().and_then(|text| text.strip_prefix(' '));
    word.is_some_and(|word| word.chars().count() >= 2 && word.chars().all(is_letter))
}

/// Whether a word, twice behind a text that is encoded as `before`, is that token twice.
fn comes_again(vocabulary: &dyn Vocabulary, before: &[u32], bytes: &[u8], id: u32) -> Result<bool> {
    let word = String::from_utf8_lossy(bytes);
    let encoded = vocabulary.encode(&format!("{BEFORE}{word}{word}"))?;
    Ok(encoded.strip_prefix(before) == Some(&[id, id]))
}

/// A tokenizer of the `tokenizers` crate with what its tokens stand for.
pub struct HuggingFace<'a> {
    tokenizer: &'a Tokenizer,
    bytes: Vec<Option<Vec<u8>>>,
}

impl<'a> HuggingFace<'a> {
    /// The vocabulary of a tokenizer whose decoder is that of GPT-2 (bytes as letters) or that of SentencePiece (`▁` for
    /// a blank).
    ///
    /// # Errors
    /// When its decoder is another.
    pub fn new(tokenizer: &'a Tokenizer) -> Result<Self> {
        let decoder = tokenizer.get_decoder().and_then(|decoder| serde_json::to_string(decoder).ok());
        let decoder = decoder.unwrap_or_default();
        let alphabet = alphabet();
        let is_bytes = decoder.contains("ByteLevel");
        if !is_bytes && !decoder.contains('▁') {
            return Err(Error::usage("this tokenizer's tokens have no bytes of their own")
                .because("its decoder is neither of bytes, as GPT-2's, nor one that writes `▁` for a blank")
                .with_hint("take invented words with `--pool synthetic`"));
        }
        let added = tokenizer.get_added_tokens_decoder();
        let largest = tokenizer.get_vocab(true).into_values().max().unwrap_or_default();
        let bytes = |id: u32| {
            let token = tokenizer.id_to_token(id).filter(|_| !added.contains_key(&id))?;
            if is_bytes {
                return token.chars().map(|letter| alphabet.get(&letter).copied()).collect();
            }
            let is_spare = token.len() == 6 && token.starts_with("<0x") && token.ends_with('>');
            let is_control = token.starts_with('<') && token.ends_with('>') && token.len() > 2;
            (!is_spare && !is_control).then(|| token.replace('▁', " ").into_bytes())
        };
        Ok(Self { tokenizer, bytes: (0..=largest).map(bytes).collect() })
    }
}

impl Vocabulary for HuggingFace<'_> {
    fn size(&self) -> u32 {
        self.bytes.len() as u32
    }

    fn bytes(&self, id: u32) -> Option<Vec<u8>> {
        self.bytes.get(id as usize).cloned().flatten()
    }

    fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self.tokenizer.encode_fast(text, false).map_err(|error| {
            Error::input(format!(
                "the tokenizer has no tokens for {} characters of text",
                text.chars().count()
            ))
            .because(error)
            .with_hint("take another tokenizer, or words that it has")
        })?;
        Ok(encoding.get_ids().to_vec())
    }
}

/// GPT-2's alphabet: a printable letter for each byte.
fn alphabet() -> HashMap<char, u8> {
    let mut others = 256_u32..;
    (0..=255_u8)
        .filter_map(|byte| {
            let is_printable = matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
            let letter = if is_printable { u32::from(byte) } else { others.next()? };
            Some((char::from_u32(letter)?, byte))
        })
        .collect()
}

impl Pool {
    /// A pool of as many words, each of which can be read, in the places of those that can't.
    pub(in crate::cook) fn stand_in(&self) -> Result<Self> {
        let words: Vec<String> = (0..self.size()).map(|number| format!("w{number}")).collect();
        Self::new("stand-in", &words)
    }
}
