//! Tokens to text, one at a time, without ever emitting half a character.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

/// The replacement character, for bytes that are no text.
const BROKEN: &str = "\u{fffd}";

/// What the tokens of a vocabulary stand for.
pub(super) struct Pieces {
    rule: Rule,
    pieces: Vec<Piece>,
}

/// How pieces make a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// All are bytes, which together are UTF-8 (GPT-2).
    Bytes,
    /// Texts, with single bytes for what the vocabulary lacks; a text may lose a blank at its head (SentencePiece).
    Texts(Head),
    /// Some other decoder, which is asked when all is there.
    Unknown,
}

/// What happens at the head of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Head {
    /// Nothing.
    Kept,
    /// One blank is dropped.
    OneBlank,
    /// The first piece loses its blanks.
    PieceBlanks,
}

/// What one token stands for.
enum Piece {
    /// Nothing: a special token, or no token at all.
    Nothing,
    /// These bytes; with `Rule::Texts` they are UTF-8.
    Bytes(Box<[u8]>),
    /// A byte that counts only together with those beside it.
    Byte([u8; 1]),
}

impl Pieces {
    pub(super) fn of(tokenizer: &tokenizers::Tokenizer) -> Self {
        let decoder = tokenizer.get_decoder().and_then(|decoder| serde_json::to_value(decoder).ok());
        let (rule, fallback, blank) = rule(decoder.as_ref());
        let vocabulary = tokenizer.get_vocab(true);
        // By id: tokenizers 0.23.2 doesn't recognise special tokens that are `normalized` by their text.
        let added = tokenizer.get_added_tokens_decoder();
        let len = vocabulary.values().max().map_or(0, |largest| *largest as usize + 1);
        let alphabet = alphabet();
        let mut pieces = Vec::new();
        pieces.resize_with(len, || Piece::Nothing);
        for id in 0..len as u32 {
            let Some(token) = tokenizer.id_to_token(id) else { continue };
            if added.get(&id).is_some_and(|token| token.special) {
                continue;
            }
            pieces[id as usize] = match (rule, fallback.then(|| fallback_byte(&token)).flatten()) {
                (Rule::Bytes, _) => {
                    let bytes: Option<Vec<u8>> =
                        token.chars().map(|letter| alphabet.get(&letter).copied()).collect();
                    Piece::Bytes(bytes.unwrap_or_else(|| token.into_bytes()).into())
                }
                (_, Some(byte)) => Piece::Byte([byte]),
                (_, None) => {
                    let text = match blank {
                        Some(blank) => token.replace(blank, " "),
                        None => token,
                    };
                    Piece::Bytes(text.into_bytes().into())
                }
            };
        }
        Self { rule, pieces }
    }

    pub(super) fn len(&self) -> usize {
        self.pieces.len()
    }

    /// Whether a token is one that the text doesn't show.
    pub(super) fn is_special(&self, id: u32) -> bool {
        matches!(self.pieces.get(id as usize), Some(Piece::Nothing))
    }

    /// Whether tokens have bytes of their own.
    pub(super) fn tells_bytes(&self) -> bool {
        self.rule != Rule::Unknown
    }

    /// Whether a text loses a blank at its head.
    pub(super) fn drops_blank(&self) -> bool {
        matches!(self.rule, Rule::Texts(Head::OneBlank | Head::PieceBlanks))
    }

    pub(super) fn bytes(&self, id: u32) -> Option<&[u8]> {
        match self.pieces.get(id as usize)? {
            _ if self.rule == Rule::Unknown => None,
            Piece::Nothing => None,
            Piece::Bytes(bytes) => Some(bytes),
            Piece::Byte(byte) => Some(byte),
        }
    }
}

/// The rule of a decoder as `tokenizer.json` writes it, whether single bytes are spelt `<0x41>`, and what stands for
/// a blank.
fn rule(decoder: Option<&Value>) -> (Rule, bool, Option<char>) {
    let unknown = (Rule::Unknown, false, None);
    let kind = |json: &Value| json.get("type").and_then(Value::as_str).map(str::to_owned);
    let Some(decoder) = decoder else { return unknown };
    match kind(decoder).as_deref() {
        Some("ByteLevel") => (Rule::Bytes, false, None),
        Some("Metaspace") => {
            let blank =
                decoder.get("replacement").and_then(Value::as_str).and_then(|text| text.chars().next());
            let never = decoder.get("prepend_scheme").and_then(Value::as_str) == Some("never");
            let head = if never { Head::Kept } else { Head::PieceBlanks };
            (Rule::Texts(head), false, blank)
        }
        Some("Sequence") => {
            let Some(steps) = decoder.get("decoders").and_then(Value::as_array) else { return unknown };
            let kinds: Vec<String> = steps.iter().filter_map(kind).collect();
            let kinds: Vec<&str> = kinds.iter().map(String::as_str).collect();
            let is_blank = |step: &Value| {
                step.pointer("/pattern/String").and_then(Value::as_str) == Some("▁")
                    && step.get("content").and_then(Value::as_str) == Some(" ")
            };
            let is_head = |step: &Value| {
                step.get("content").and_then(Value::as_str) == Some(" ")
                    && step.get("start").and_then(Value::as_u64) == Some(1)
                    && step.get("stop").and_then(Value::as_u64) == Some(0)
            };
            match kinds.as_slice() {
                ["ByteLevel"] => (Rule::Bytes, false, None),
                ["Replace", "ByteFallback", "Fuse"] if is_blank(&steps[0]) => {
                    (Rule::Texts(Head::Kept), true, Some('▁'))
                }
                ["Replace", "ByteFallback", "Fuse", "Strip"] if is_blank(&steps[0]) && is_head(&steps[3]) => {
                    (Rule::Texts(Head::OneBlank), true, Some('▁'))
                }
                _ => unknown,
            }
        }
        _ => unknown,
    }
}

/// The byte that `<0x41>` spells, read as tokenizers 0.23 reads it.
fn fallback_byte(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    if token.len() == 6 { u8::from_str_radix(digits, 16).ok() } else { None }
}

/// GPT-2's alphabet: a printable letter for each byte.
fn alphabet() -> HashMap<char, u8> {
    let mut others = 256u32..;
    (0..=255u8)
        .filter_map(|byte| {
            let printable = matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
            let letter = if printable { u32::from(byte) } else { others.next()? };
            Some((char::from_u32(letter)?, byte))
        })
        .collect()
}

/// Text from tokens as they come. What [`Detokenizer::push`] and at last [`Detokenizer::finish`] give is together
/// what [`Tokenizer::decode`](super::Tokenizer::decode) gives for all of them, and every part is whole characters.
pub struct Detokenizer {
    pieces: Arc<Pieces>,
    tokenizer: Arc<tokenizers::Tokenizer>,
    /// Bytes that aren't a character yet, or a run of single bytes.
    held: Vec<u8>,
    /// With an unknown rule: all tokens.
    ids: Vec<u32>,
    /// Whether a piece has come.
    begun: bool,
    /// Whether a part of the text is out.
    emitted: bool,
}

impl Detokenizer {
    pub(super) fn new(pieces: Arc<Pieces>, tokenizer: Arc<tokenizers::Tokenizer>) -> Self {
        Self { pieces, tokenizer, held: Vec::new(), ids: Vec::new(), begun: false, emitted: false }
    }

    /// One whose text goes on behind that of these tokens: a blank at its head isn't at the head of a text.
    #[must_use]
    pub fn after(mut self, tokens: &[u32]) -> Self {
        let is_text = |id: &u32| !matches!(self.pieces.pieces.get(*id as usize), None | Some(Piece::Nothing));
        self.begun = tokens.iter().any(is_text);
        self.emitted = self.begun;
        self
    }

    /// The text that is certain with this token; none while it isn't. A decoder that isn't understood makes
    /// nothing certain before the end.
    pub fn push(&mut self, id: u32) -> Option<String> {
        let pieces = Arc::clone(&self.pieces);
        let mut text = String::new();
        match (pieces.rule, pieces.pieces.get(id as usize)) {
            (_, None | Some(Piece::Nothing)) => {}
            (Rule::Unknown, _) => self.ids.push(id),
            (Rule::Bytes, Some(Piece::Bytes(bytes))) => {
                self.held.extend_from_slice(bytes);
                self.take_characters(&mut text);
            }
            // What a run of bytes says is known when it is over: one wrong byte makes all of them illegible.
            (_, Some(Piece::Byte([byte]))) => {
                self.begun = true;
                self.held.push(*byte);
            }
            (Rule::Texts(head), Some(Piece::Bytes(bytes))) => {
                self.take_run(&mut text);
                let piece = String::from_utf8_lossy(bytes);
                if head == Head::PieceBlanks && !self.begun {
                    text.extend(piece.chars().filter(|letter| *letter != ' '));
                } else {
                    text.push_str(&piece);
                }
                self.begun = true;
            }
        }
        self.emit(text)
    }

    /// What is left when no more tokens come; the next token begins a new text.
    pub fn finish(&mut self) -> Option<String> {
        let mut text = String::new();
        match self.pieces.rule {
            Rule::Unknown => {
                text = self.tokenizer.decode(&self.ids, true).unwrap_or_default();
                self.ids.clear();
            }
            Rule::Bytes => text.push_str(&String::from_utf8_lossy(&std::mem::take(&mut self.held))),
            Rule::Texts(_) => self.take_run(&mut text),
        }
        let text = self.emit(text);
        (self.begun, self.emitted) = (false, false);
        text
    }

    /// The held bytes as far as they are whole characters, or can't become any.
    fn take_characters(&mut self, text: &mut String) {
        loop {
            match std::str::from_utf8(&self.held) {
                Ok(whole) => {
                    text.push_str(whole);
                    self.held.clear();
                    return;
                }
                Err(error) => {
                    let good = error.valid_up_to();
                    text.push_str(&String::from_utf8_lossy(&self.held[..good]));
                    let Some(bad) = error.error_len() else {
                        self.held.drain(..good);
                        return;
                    };
                    text.push_str(BROKEN);
                    self.held.drain(..good + bad);
                }
            }
        }
    }

    /// The held run of single bytes: their text, or a replacement for each.
    fn take_run(&mut self, text: &mut String) {
        match std::str::from_utf8(&self.held) {
            Ok(whole) => text.push_str(whole),
            Err(_) => (0..self.held.len()).for_each(|_| text.push_str(BROKEN)),
        }
        self.held.clear();
    }

    fn emit(&mut self, mut text: String) -> Option<String> {
        if text.is_empty() {
            return None;
        }
        if !self.emitted && self.pieces.rule == Rule::Texts(Head::OneBlank) && text.starts_with(' ') {
            text.remove(0);
        }
        self.emitted = true;
        (!text.is_empty()).then_some(text)
    }
}
