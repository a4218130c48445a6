//! Text to tokens and back.

mod detokenizer;
mod gguf;
pub mod new;
mod sentencepiece;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use instil::{Error, Result};
use serde_json::Value;

pub use detokenizer::Detokenizer;
use detokenizer::Pieces;
pub(crate) use gguf::patterns;
use sentencepiece::SentencePiece;

/// A model's tokenizer, with what it begins and ends sequences with.
#[derive(Clone)]
pub struct Tokenizer {
    inner: Arc<tokenizers::Tokenizer>,
    /// What encodes in place of `inner`.
    merges: Option<Arc<SentencePiece>>,
    pieces: Arc<Pieces>,
    /// What the tokenizer puts before a text.
    head: Vec<u32>,
    /// What it puts behind.
    tail: Vec<u32>,
    bos: Option<u32>,
    eos: BTreeSet<u32>,
    /// The one that trainings end texts with, where `eos` has several.
    end: Option<u32>,
    pad: Option<u32>,
    hash: String,
}

/// The ids that a tokenizer's surroundings name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Specials {
    pub(crate) bos: Option<u32>,
    pub(crate) end: Option<u32>,
    pub(crate) eos: BTreeSet<u32>,
    pub(crate) pad: Option<u32>,
    /// Whether texts begin with `bos`, where something beside the tokenizer says so.
    pub(crate) add_bos: Option<bool>,
    /// Whether texts end with `end`, likewise.
    pub(crate) add_eos: Option<bool>,
}

impl Tokenizer {
    /// Reads the tokenizer of a Hugging Face folder: `tokenizer.json`, and the special tokens from
    /// `tokenizer_config.json`, `special_tokens_map.json`, `generation_config.json` and `config.json`, as far as there.
    ///
    /// # Errors
    /// When `tokenizer.json` is missing or broken, or one of the others is no JSON.
    pub fn of_folder(folder: &Path) -> Result<Self> {
        Self::of_files(&folder.display().to_string(), &|name| {
            let path = folder.join(name);
            match fs::read(&path) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(Error::input(format!("{} can't be read", path.display())).because(error)),
            }
        })
    }

    /// [`Tokenizer::of_folder`], with the files from anywhere; `place` names it in messages.
    pub(crate) fn of_files(place: &str, file: &dyn Fn(&str) -> Result<Option<Vec<u8>>>) -> Result<Self> {
        let Some(bytes) = file("tokenizer.json")? else {
            let error = Error::input(format!("{place} has no tokenizer.json"));
            let others = ["tokenizer.model", "vocab.json", "spiece.model"];
            for other in others {
                if file(other)?.is_some() {
                    return Err(error.because(format!("`{other}` alone isn't read")).with_hint(
                        "make tokenizer.json once: load the tokenizer with transformers' AutoTokenizer \
                         and write it with save_pretrained",
                    ));
                }
            }
            return Err(error.with_hint("copy it from the model's page: text can't be read without it"));
        };
        let inner = tokenizers::Tokenizer::from_bytes(&bytes).map_err(|error| {
            Error::input(format!("{place}: tokenizer.json isn't understood")).because(error)
        })?;

        let json = |name: &str| -> Result<Value> {
            let Some(bytes) = file(name)? else { return Ok(Value::Null) };
            serde_json::from_slice(&bytes)
                .map_err(|error| Error::input(format!("{place}: {name} isn't JSON")).because(error))
        };
        let config = json("tokenizer_config.json")?;
        let map = json("special_tokens_map.json")?;
        let generation = json("generation_config.json")?;
        let model = json("config.json")?;

        // A token is written as its text, or as an object with its text.
        let token = |key: &str| {
            [&config, &map].into_iter().find_map(|json| {
                let value = json.get(key)?;
                let text = value.as_str().or_else(|| value.get("content")?.as_str())?;
                inner.token_to_id(text)
            })
        };
        let id = |key: &str| {
            [&generation, &model].into_iter().find_map(|json| u32::try_from(json.get(key)?.as_u64()?).ok())
        };
        let end = token("eos_token").or_else(|| id("eos_token_id"));
        // One id, or a list of them; each source may know one that the others don't.
        let eos =
            [&generation, &model].into_iter().filter_map(|json| json.get("eos_token_id")).flat_map(|value| {
                let list = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
                list.into_iter().filter_map(|id| u32::try_from(id.as_u64()?).ok())
            });
        let specials = Specials {
            bos: token("bos_token").or_else(|| id("bos_token_id")),
            eos: eos.chain(end).collect(),
            end,
            pad: token("pad_token").or_else(|| id("pad_token_id")),
            add_bos: config.get("add_bos_token").and_then(Value::as_bool),
            add_eos: config.get("add_eos_token").and_then(Value::as_bool),
        };
        Self::new(place, inner, None, specials, blake3::Hasher::new().update(&bytes).clone())
    }

    /// Puts a tokenizer together; `hash` has been fed with what it was made of.
    fn new(
        place: &str,
        mut inner: tokenizers::Tokenizer,
        merges: Option<SentencePiece>,
        specials: Specials,
        mut hash: blake3::Hasher,
    ) -> Result<Self> {
        // Settings of a training that was saved with it.
        inner
            .with_truncation(None)
            .map_err(|error| Error::input(format!("{place}: the tokenizer's settings")).because(error))?;
        inner.with_padding(None);

        let pieces = Arc::new(Pieces::of(&inner));
        let mut tokenizer = Self {
            inner: Arc::new(inner),
            merges: merges.map(Arc::new),
            pieces,
            head: Vec::new(),
            tail: Vec::new(),
            bos: specials.bos,
            eos: specials.eos,
            end: specials.end,
            pad: specials.pad,
            hash: String::new(),
        };
        if tokenizer.inner.get_post_processor().is_some() {
            (tokenizer.head, tokenizer.tail) = tokenizer.surroundings()?;
        }
        // transformers lets these flags replace what tokenizer.json's post-processor does.
        match (specials.add_bos, specials.bos) {
            (Some(true), Some(bos)) if tokenizer.head.first() != Some(&bos) => tokenizer.head.insert(0, bos),
            (Some(false), Some(bos)) if tokenizer.head.first() == Some(&bos) => {
                tokenizer.head.remove(0);
            }
            _ => {}
        }
        match (specials.add_eos, specials.end) {
            (Some(true), Some(end)) if tokenizer.tail.last() != Some(&end) => tokenizer.tail.push(end),
            (Some(false), Some(end)) if tokenizer.tail.last() == Some(&end) => {
                tokenizer.tail.pop();
            }
            _ => {}
        }
        for ids in [&tokenizer.head, &tokenizer.tail, &tokenizer.eos.iter().copied().collect()] {
            hash.update(&(ids.len() as u64).to_le_bytes());
            for id in ids {
                hash.update(&id.to_le_bytes());
            }
        }
        hash.update(&tokenizer.end.unwrap_or(u32::MAX).to_le_bytes());
        tokenizer.hash = hash.finalize().to_hex().to_string();
        Ok(tokenizer)
    }

    /// What the post-processor puts before and behind a text.
    fn surroundings(&self) -> Result<(Vec<u32>, Vec<u32>)> {
        let plain = self.plain("a")?;
        let whole = self.inner.encode_fast("a", true).map_err(failed)?;
        let whole = whole.get_ids();
        let at = whole.windows(plain.len().max(1)).position(|window| window == plain.as_slice());
        match at {
            Some(at) if !plain.is_empty() => Ok((whole[..at].to_vec(), whole[at + plain.len()..].to_vec())),
            _ => Ok((Vec::new(), Vec::new())),
        }
    }

    fn plain(&self, text: &str) -> Result<Vec<u32>> {
        if let Some(merges) = &self.merges {
            return Ok(merges.encode(text));
        }
        Ok(self.inner.encode_fast(text, false).map_err(failed)?.get_ids().to_vec())
    }

    /// The tokens of a text; with `add_special` between what the tokenizer puts before and behind texts.
    /// Special tokens that are written in the text are those tokens, as in transformers.
    ///
    /// # Errors
    /// When the text has a character for which the tokenizer has no token, not even an unknown one.
    pub fn encode(&self, text: &str, add_special: bool) -> Result<Vec<u32>> {
        let mut ids = self.plain(text)?;
        if add_special {
            ids.splice(0..0, self.head.iter().copied());
            ids.extend(&self.tail);
        }
        Ok(ids)
    }

    /// The tokens of a text that is to be continued: with what the tokenizer puts before texts, without what it puts
    /// behind, since an end of sequence is nothing to continue.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_prompt(&self, text: &str) -> Result<Vec<u32>> {
        let mut ids = self.plain(text)?;
        ids.splice(0..0, self.head.iter().copied());
        Ok(ids)
    }

    /// The tokens of a text that an encoder reads: between what the tokenizer puts before and behind texts, and with an end
    /// where it puts none.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_source(&self, text: &str) -> Result<Vec<u32>> {
        let mut ids = self.encode(text, true)?;
        if ids.last() != self.end.as_ref() {
            ids.extend(self.end);
        }
        Ok(ids)
    }

    /// The tokens of a continuation that is over: the text on its own, then the end of sequence, as trainings of
    /// prompts and completions have it.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_completion(&self, text: &str) -> Result<Vec<u32>> {
        let mut ids = self.plain(text)?;
        ids.extend(self.end);
        Ok(ids)
    }

    /// The text of tokens, special ones left out.
    ///
    /// # Errors
    /// When the tokenizer's decoder fails.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        let ids: Vec<u32> = ids.iter().copied().filter(|id| !self.pieces.is_special(*id)).collect();
        self.inner.decode(&ids, true).map_err(failed)
    }

    /// A [`Tokenizer::decode`] that is given one token at a time.
    pub fn detokenizer(&self) -> Detokenizer {
        Detokenizer::new(Arc::clone(&self.pieces), Arc::clone(&self.inner))
    }

    /// The bytes that a token stands for within a text; none for special tokens, unknown ids, and tokenizers whose
    /// tokens have no bytes of their own.
    pub fn token_bytes(&self, id: u32) -> Option<&[u8]> {
        self.pieces.bytes(id)
    }

    /// Whether [`Tokenizer::token_bytes`] knows the tokens of texts.
    pub(crate) fn tells_bytes(&self) -> bool {
        self.pieces.tells_bytes()
    }

    /// Whether a text loses a blank at its head.
    pub(crate) fn drops_blank(&self) -> bool {
        self.pieces.drops_blank()
    }

    /// Tokens, added ones included: one more than the largest id.
    pub fn vocab_size(&self) -> usize {
        self.pieces.len()
    }

    /// The token of this text, if it is one.
    pub fn id_of(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// The text of this token as the vocabulary writes it.
    pub fn token_of(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// The tokenizer of the `tokenizers` crate, where that is what encodes: one that was read from a GGUF file's
    /// scores encodes otherwise.
    pub fn hugging_face(&self) -> Option<Arc<tokenizers::Tokenizer>> {
        self.merges.is_none().then(|| Arc::clone(&self.inner))
    }

    /// The token that sequences begin with, if there is one.
    pub fn bos(&self) -> Option<u32> {
        self.bos
    }

    /// The tokens that end a generation.
    pub fn eos(&self) -> &BTreeSet<u32> {
        &self.eos
    }

    /// The token that completions are trained to end with.
    pub fn end(&self) -> Option<u32> {
        self.end
    }

    /// The token that fills batches up, if there is one.
    pub fn pad(&self) -> Option<u32> {
        self.pad
    }

    /// 64 hexadecimal digits that depend on everything this tokenizer does.
    pub fn hash(&self) -> &str {
        &self.hash
    }
}

fn failed(error: tokenizers::Error) -> Error {
    Error::input("the tokenizer failed").because(error)
}

#[cfg(test)]
mod tests;
