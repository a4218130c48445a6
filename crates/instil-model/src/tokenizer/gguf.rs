//! Tokenizers from the metadata of GGUF files, as llama.cpp (2026-11) reads them.

use std::collections::BTreeSet;

use instil::{Error, Result};
use serde_json::{Value, json};

use super::sentencepiece::SentencePiece;
use super::{Specials, Tokenizer};
use crate::weights::gguf::Gguf;

/// What a token is, by its number in `tokenizer.ggml.token_type`.
const UNKNOWN: f64 = 2.0;
const CONTROL: f64 = 3.0;
const USER_DEFINED: f64 = 4.0;

/// Tokens that end a turn under whatever id; files seldom name them beside the one end of sequence.
const ENDS: [&str; 6] =
    ["<|eot_id|>", "<|eom_id|>", "<|im_end|>", "<|end|>", "<|end_of_text|>", "<|endoftext|>"];

const GPT_2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const LLAMA_3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN_2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// llama.cpp's names of patterns, with the patterns as `tokenizer.json` files have them.
pub(crate) fn patterns() -> [(&'static str, &'static str); 3] {
    [("gpt-2", GPT_2), ("llama-bpe", LLAMA_3), ("qwen2", QWEN_2)]
}

impl Tokenizer {
    /// Makes the tokenizer that a GGUF file's metadata describe.
    ///
    /// # Errors
    /// When there is none, its lists contradict each other, or it is of a kind that isn't known.
    pub(crate) fn of_gguf(gguf: &Gguf) -> Result<Self> {
        let trouble = |what: String| Error::input(format!("{}: {what}", gguf.place));
        let model = gguf
            .text("tokenizer.ggml.model")
            .ok_or_else(|| trouble("there is no tokenizer (`tokenizer.ggml.model`)".into()))?;
        let tokens = gguf
            .texts("tokenizer.ggml.tokens")
            .ok_or_else(|| trouble("`tokenizer.ggml.tokens` is missing".into()))?;
        let kinds = gguf.numbers("tokenizer.ggml.token_type").unwrap_or_default();
        if !kinds.is_empty() && kinds.len() != tokens.len() {
            return Err(trouble(format!("{} tokens have {} types", tokens.len(), kinds.len())));
        }

        let mut hash = blake3::Hasher::new();
        for text in [model, gguf.text("tokenizer.ggml.pre").unwrap_or_default()].into_iter().chain(
            tokens.iter().chain(gguf.texts("tokenizer.ggml.merges").unwrap_or_default()).map(String::as_str),
        ) {
            hash.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
        }
        for number in kinds.iter().chain(gguf.numbers("tokenizer.ggml.scores").unwrap_or_default()) {
            hash.update(&number.to_le_bytes());
        }

        let id = |key: &str| {
            let id = gguf.count(&format!("tokenizer.ggml.{key}_token_id"))?;
            u32::try_from(id).ok().filter(|_| id < tokens.len())
        };
        let special = |id: usize| kinds.get(id).is_some_and(|kind| *kind == CONTROL || *kind == UNKNOWN);
        let ends =
            tokens.iter().enumerate().filter(|(id, token)| special(*id) && ENDS.contains(&token.as_str()));
        let eos: BTreeSet<u32> = ends
            .filter_map(|(id, _)| u32::try_from(id).ok())
            .chain([id("eos"), id("eot"), id("eom")].into_iter().flatten())
            .collect();
        let added: Vec<Value> = (0..kinds.len())
            .filter(|id| (special(*id) || kinds[*id] == USER_DEFINED) && !tokens[*id].is_empty())
            .map(|id| {
                json!({
                    "id": id, "content": tokens[id], "single_word": false, "lstrip": false, "rstrip": false,
                    "normalized": false, "special": special(id)
                })
            })
            .collect();

        let pre = gguf.text("tokenizer.ggml.pre").unwrap_or("default");
        let (parts, begins) = match model {
            "llama" => (sentence_pieces(), true),
            "gpt2" => (bytes(pre, gguf).map_err(&trouble)?, pre.starts_with("llama")),
            other => {
                return Err(trouble(format!("the tokenizer `{other}` isn't known"))
                    .with_hint("known are llama (SentencePiece) and gpt2 (byte-level BPE)"));
            }
        };
        let vocabulary: serde_json::Map<String, Value> =
            tokens.iter().enumerate().map(|(id, token)| (token.clone(), id.into())).collect();
        let json = json!({
            "version": "1.0", "truncation": null, "padding": null, "post_processor": null, "added_tokens": added,
            "normalizer": parts.normalizer, "pre_tokenizer": parts.pre_tokenizer, "decoder": parts.decoder,
            "model": {
                "type": "BPE", "vocab": vocabulary, "merges": parts.merges, "unk_token": null,
                "byte_fallback": false, "ignore_merges": parts.ignore_merges
            }
        });
        let inner = tokenizers::Tokenizer::from_bytes(json.to_string())
            .map_err(|error| trouble("its tokenizer isn't understood".into()).because(error))?;

        let flag = |key: &str| gguf.flag(&format!("tokenizer.ggml.{key}"));
        let specials = Specials {
            bos: id("bos"),
            end: id("eos"),
            eos,
            pad: id("padding"),
            add_bos: Some(flag("add_bos_token").unwrap_or(begins)),
            add_eos: Some(flag("add_eos_token").unwrap_or(false)),
        };
        let pieces = if model == "llama" {
            let scores = gguf.numbers("tokenizer.ggml.scores").unwrap_or_default();
            if scores.len() != tokens.len() {
                return Err(trouble(format!("{} tokens have {} scores", tokens.len(), scores.len())));
            }
            let leading = flag("add_space_prefix").unwrap_or(true);
            let apart = |id: usize| special(id) || kinds.get(id) == Some(&USER_DEFINED);
            Some(SentencePiece::new(tokens, scores, &apart, leading))
        } else {
            None
        };
        hash.update(&[u8::from(flag("add_space_prefix").unwrap_or(true))]);
        Self::new(&gguf.place, inner, pieces, specials, hash)
    }
}

/// The parts of a `tokenizer.json` in which tokenizers differ.
struct Parts {
    normalizer: Value,
    pre_tokenizer: Value,
    decoder: Value,
    merges: Vec<Value>,
    ignore_merges: bool,
}

/// For SentencePiece: only what decodes, as its merging is our own.
fn sentence_pieces() -> Parts {
    let decoder = json!({"type": "Sequence", "decoders": [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0}
    ]});
    Parts {
        normalizer: Value::Null,
        pre_tokenizer: Value::Null,
        decoder,
        merges: Vec::new(),
        ignore_merges: false,
    }
}

/// For byte-level BPE, with the pattern of this name.
fn bytes(pre: &str, gguf: &Gguf) -> std::result::Result<Parts, String> {
    let patterns: &[&str] = match pre {
        "gpt-2" | "olmo" | "mpt" | "phi-2" => &[GPT_2],
        "llama-bpe" | "llama3" | "llama-v3" => &[LLAMA_3],
        "qwen2" | "deepseek-r1-qwen" => &[QWEN_2],
        "default" => &[r"[\p{P}\$\+<=>\^~\|]+", GPT_2, r"\p{N}+", "[0-9][0-9][0-9]"],
        other => {
            return Err(format!(
                "the tokenizer's pattern `{other}` (`tokenizer.ggml.pre`) isn't known; \
                 known are gpt-2, llama-bpe, qwen2, olmo, mpt, phi-2, deepseek-r1-qwen and default"
            ));
        }
    };
    let merges = gguf.texts("tokenizer.ggml.merges").ok_or("`tokenizer.ggml.merges` is missing")?;
    let merges = merges.iter().map(|merge| {
        let pair = merge.split_once(' ').ok_or_else(|| format!("`{merge}` merges no two tokens"))?;
        Ok(json!([pair.0, pair.1]))
    });
    let splits = patterns.iter().map(|pattern| {
        json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false})
    });
    let letters =
        json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false});
    Ok(Parts {
        normalizer: Value::Null,
        pre_tokenizer: json!({"type": "Sequence", "pretokenizers": splits.chain([letters.clone()]).collect::<Vec<_>>()}),
        decoder: letters,
        merges: merges.collect::<std::result::Result<_, String>>()?,
        // What is a token as a whole isn't merged from parts.
        ignore_merges: pre.starts_with("llama"),
    })
}
