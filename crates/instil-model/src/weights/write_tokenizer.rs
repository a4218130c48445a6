//! A `tokenizer.json` as the metadata of a GGUF file, which llama.cpp reads.

use std::collections::HashMap;

use instil::{Error, Result};
use serde_json::Value;

use super::Checkpoint;
use super::write_gguf::{Keys, json};
use crate::tokenizer::patterns;

/// What a token is, by llama.cpp's number.
const NORMAL: i32 = 1;
const UNKNOWN: i32 = 2;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;
const UNUSED: i32 = 5;
const BYTE: i32 = 6;

/// Writes the tokenizer's keys; gives what the user should know.
pub(super) fn write(checkpoint: &Checkpoint, keys: &mut Keys) -> Result<Vec<String>> {
    let refused = |what: &str| {
        Error::input(format!("{}: GGUF can't hold its tokenizer: {what}", checkpoint.path.display())).with_hint(
            "merge it with --format safetensors, and let llama.cpp's convert_hf_to_gguf.py make the GGUF of that",
        )
    };
    let tokenizer = checkpoint.tokenizer()?;
    let whole = json(checkpoint, "tokenizer.json")?.ok_or_else(|| refused("tokenizer.json is missing"))?;
    let model = whole.get("model").unwrap_or(&Value::Null);
    if model.get("type").and_then(Value::as_str) != Some("BPE") {
        return Err(refused("it is no byte-pair encoding"));
    }
    let pieces = is_sentence_pieces(&whole);
    let merges = merges(model).ok_or_else(|| refused("its merges aren't understood"))?;

    let size = checkpoint.config()?.vocab;
    let mut tokens: Vec<String> = (0..size).map(|id| format!("[PAD{id}]")).collect();
    let mut kinds = vec![UNUSED; size];
    let id_of = |id: &Value| id.as_u64().and_then(|id| usize::try_from(id).ok()).filter(|id| *id < size);
    let vocabulary = model.get("vocab").and_then(Value::as_object);
    for (token, id) in vocabulary.into_iter().flatten() {
        let id = id_of(id).ok_or_else(|| refused("a token lies beyond the embedding's rows"))?;
        kinds[id] = if pieces && is_byte(token) { BYTE } else { NORMAL };
        tokens[id].clone_from(token);
    }
    for added in whole.get("added_tokens").and_then(Value::as_array).into_iter().flatten() {
        let (Some(id), Some(content)) =
            (added.get("id").and_then(&id_of), added.get("content").and_then(Value::as_str))
        else {
            return Err(refused("an added token lies beyond the embedding's rows"));
        };
        let special = added.get("special").and_then(Value::as_bool).unwrap_or(false);
        let unknown = pieces && model.get("unk_token").and_then(Value::as_str) == Some(content);
        kinds[id] = match special {
            true if unknown => UNKNOWN,
            true => CONTROL,
            false => USER_DEFINED,
        };
        content.clone_into(&mut tokens[id]);
    }

    let key = |part: &str| format!("tokenizer.ggml.{part}");
    if pieces {
        keys.text(&key("model"), "llama");
        keys.text(&key("pre"), "default");
        keys.floats(&key("scores"), &scores(&tokens, &merges));
        keys.flag(&key("add_space_prefix"), has_leading_blank(&whole));
    } else {
        let pre = pre(&whole).ok_or_else(|| refused("llama.cpp has no name for its pattern"))?;
        keys.text(&key("model"), "gpt2");
        keys.text(&key("pre"), pre);
        let joined: Vec<String> = merges.iter().map(|(one, other)| format!("{one} {other}")).collect();
        keys.texts(&key("merges"), &joined);
    }
    keys.texts(&key("tokens"), &tokens);
    keys.integers(&key("token_type"), &kinds);
    let unknown = model.get("unk_token").and_then(Value::as_str).and_then(|token| tokenizer.id_of(token));
    for (name, id) in [
        ("bos", tokenizer.bos()),
        ("eos", tokenizer.end()),
        ("unknown", unknown),
        ("padding", tokenizer.pad()),
    ] {
        if let Some(id) = id {
            keys.u32(&key(&format!("{name}_token_id")), id as usize);
        }
    }
    let around = tokenizer.encode("a", true)?;
    let begins = tokenizer.bos().is_some_and(|bos| around.first() == Some(&bos));
    let ends = tokenizer.end().is_some_and(|end| around.last() == Some(&end));
    keys.flag(&key("add_bos_token"), begins);
    keys.flag(&key("add_eos_token"), ends);
    if let Some(template) = chat_template(checkpoint)? {
        keys.text("tokenizer.chat_template", &template);
    }
    let unused = kinds.iter().filter(|kind| **kind == UNUSED).count();
    let note = format!("{unused} rows of the embedding have no token; they are named [PAD…] in the file");
    Ok((unused > 0).then_some(note).into_iter().collect())
}

/// Whether it is SentencePiece's BPE: blanks are `▁`, and what has no token is spelled in bytes.
fn is_sentence_pieces(whole: &Value) -> bool {
    let fallback = whole.pointer("/model/byte_fallback").and_then(Value::as_bool).unwrap_or(false);
    fallback && !mentions(whole.get("pre_tokenizer"), "ByteLevel")
}

/// Whether a part of the tokenizer, or one of a sequence of them, is of this kind.
fn mentions(part: Option<&Value>, kind: &str) -> bool {
    parts(part).iter().any(|part| part.get("type").and_then(Value::as_str) == Some(kind))
}

/// The parts of a sequence, or the one part.
fn parts(part: Option<&Value>) -> Vec<&Value> {
    let Some(part) = part.filter(|part| !part.is_null()) else { return Vec::new() };
    let inner = ["pretokenizers", "normalizers"].iter().find_map(|key| part.get(key)?.as_array());
    match inner {
        Some(inner) => inner.iter().collect(),
        None => vec![part],
    }
}

/// Whether texts get a blank at their head.
fn has_leading_blank(whole: &Value) -> bool {
    let scheme =
        |part: &&Value| part.get("prepend_scheme").and_then(Value::as_str).unwrap_or("always") != "never";
    mentions(whole.get("normalizer"), "Prepend")
        || parts(whole.get("pre_tokenizer"))
            .iter()
            .filter(|part| part.get("type").and_then(Value::as_str) == Some("Metaspace"))
            .any(scheme)
}

fn is_byte(token: &str) -> bool {
    token.len() == 6 && token.starts_with("<0x") && token.ends_with('>')
}

/// The pairs in their order; written as two texts, or as one with a blank between.
fn merges(model: &Value) -> Option<Vec<(String, String)>> {
    let pair = |merge: &Value| match merge {
        Value::String(text) => text.split_once(' ').map(|(one, other)| (one.to_owned(), other.to_owned())),
        Value::Array(pair) => match &pair[..] {
            [one, other] => Some((one.as_str()?.to_owned(), other.as_str()?.to_owned())),
            _ => None,
        },
        _ => None,
    };
    model.get("merges")?.as_array()?.iter().map(pair).collect()
}

/// SentencePiece's scores: the earlier a token is made, the higher. Tokens that nothing makes have none, 0.
fn scores(tokens: &[String], merges: &[(String, String)]) -> Vec<f32> {
    let mut ranks: HashMap<String, usize> = HashMap::new();
    for (rank, (one, other)) in merges.iter().enumerate() {
        ranks.entry(format!("{one}{other}")).or_insert(rank);
    }
    // Ranks are below 2^24, so they are exact.
    tokens.iter().map(|token| ranks.get(token).map_or(0.0, |rank| -(*rank as f32) - 1.0)).collect()
}

/// llama.cpp's name of the pattern that texts are cut by.
fn pre(whole: &Value) -> Option<&'static str> {
    let pre = parts(whole.get("pre_tokenizer"));
    let kinds =
        |kind: &str| pre.iter().filter(|part| part.get("type").and_then(Value::as_str) == Some(kind)).count();
    let levels = kinds("ByteLevel");
    if levels != 1 || levels + kinds("Split") != pre.len() {
        return None;
    }
    let level = pre.iter().find(|part| part.get("type").and_then(Value::as_str) == Some("ByteLevel"))?;
    let flag = |key: &str, default| level.get(key).and_then(Value::as_bool).unwrap_or(default);
    if flag("add_prefix_space", true) {
        return None;
    }
    let splits: Vec<&str> =
        pre.iter().filter_map(|part| part.pointer("/pattern/Regex").and_then(Value::as_str)).collect();
    match &splits[..] {
        [] if flag("use_regex", true) => Some("gpt-2"),
        [split] if !flag("use_regex", true) => {
            patterns().into_iter().find(|(_, known)| known == split).map(|(name, _)| name)
        }
        _ => None,
    }
}

/// The chat template, from whichever file has it.
fn chat_template(checkpoint: &Checkpoint) -> Result<Option<String>> {
    if let Some(bytes) = checkpoint.file("chat_template.jinja")? {
        return Ok(Some(String::from_utf8_lossy(&bytes).into_owned()));
    }
    let config = json(checkpoint, "tokenizer_config.json")?.unwrap_or_default();
    Ok(config.get("chat_template").and_then(Value::as_str).map(str::to_owned))
}
