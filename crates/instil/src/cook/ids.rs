//! Samples as exact token ids, with what the loss counts on.
//!
//! Words of a pool that is a tokenizer's are one token each, and stay the tokens that were drawn. The words of a frame
//! between them are encoded as they stand behind a word, once for each text, and the pieces are joined. So nothing is
//! encoded for a sample but a word at the head of a line, which has no blank before it and is other tokens then.
//! [`Encoder::is_exact`] encodes the whole text and compares: with `safe` words it is the same, or the sample is counted.

use std::collections::HashMap;

use super::frame::{Piece, Wording};
use super::stream::{Sample, Stream};
use super::tokens::{Vocabulary, encode_behind};
use crate::error::{Error, Result};

/// A sample as tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ids {
    /// Prompt and completion.
    pub input_ids: Vec<u32>,
    /// How many of them are the prompt, on which no loss is counted.
    pub prompt: usize,
}

impl Ids {
    /// 1 for each token that the loss counts on, 0 for the prompt.
    pub fn loss_mask(&self) -> impl ExactSizeIterator<Item = u8> + '_ {
        (0..self.input_ids.len()).map(|place| u8::from(place >= self.prompt))
    }
}

/// Makes ids of the samples of one stream.
pub struct Encoder<'a> {
    stream: &'a Stream,
    vocabulary: &'a dyn Vocabulary,
    /// What stands before every prompt and behind every completion.
    around: (Option<u32>, Option<u32>),
    /// A word that texts are encoded behind.
    anchor: String,
    /// What was encoded, by the text before it and itself.
    known: HashMap<(String, String), Box<[u32]>>,
}

impl<'a> Encoder<'a> {
    /// An encoder for a stream whose pool was made of `vocabulary`; `begin` stands before every sample and `end` behind.
    ///
    /// # Errors
    /// When the pool isn't of a tokenizer, and when the wording is a chat, which only a chat template makes a text of.
    pub fn new(
        stream: &'a Stream,
        vocabulary: &'a dyn Vocabulary,
        begin: Option<u32>,
        end: Option<u32>,
    ) -> Result<Self> {
        let plan = stream.plan();
        if plan.pool.ids(0).is_none() {
            return Err(Error::usage(format!("words of a `{}` pool are no tokens", plan.pool.mode()))
                .with_hint("for exact ids give a tokenizer, and take `--pool safe` or `--pool all`"));
        }
        if plan.wording == Wording::Chat {
            return Err(Error::usage("a chat has no ids before a chat template is applied")
                .with_hint("write messages, or take another wording"));
        }
        let anchor = plan.pool.word(0).into_owned();
        Ok(Self { stream, vocabulary, around: (begin, end), anchor, known: HashMap::new() })
    }

    /// The ids of a sample.
    ///
    /// # Errors
    /// When the tokenizer can't encode the frame's words.
    pub fn encode(&mut self, sample: &Sample) -> Result<Ids> {
        let (begin, end) = self.around;
        let mut ids = Ids { input_ids: begin.into_iter().collect(), prompt: 0 };
        // Literals that follow one another are encoded as one.
        let mut literal = String::new();
        let mut is_start = true;
        let mut outcome = Ok(());
        let stream = self.stream;
        stream.frames()[sample.frame].pieces(&sample.content, &mut |piece, is_completion| {
            if outcome.is_err() {
                return;
            }
            outcome = self.piece(piece, is_completion, &mut literal, &mut is_start, &mut ids);
        });
        outcome?;
        self.flush(&mut literal, &mut is_start, &mut ids)?;
        if ids.prompt == 0 {
            ids.prompt = ids.input_ids.len();
        }
        ids.input_ids.extend(end);
        Ok(ids)
    }

    /// Whether these are the ids that the tokenizer gives for the sample's text: what a trainer would make of it.
    ///
    /// # Errors
    /// When the tokenizer can't encode the text.
    pub fn is_exact(&self, sample: &Sample, ids: &Ids) -> Result<bool> {
        let (begin, end) = self.around;
        let text = self.vocabulary.encode(sample.text())?;
        let all = begin.into_iter().chain(text).chain(end);
        Ok(all.eq(ids.input_ids.iter().copied()))
    }

    fn piece(
        &mut self,
        piece: Piece<'_>,
        is_completion: bool,
        literal: &mut String,
        is_start: &mut bool,
        ids: &mut Ids,
    ) -> Result<()> {
        if is_completion && ids.prompt == 0 {
            self.flush(literal, is_start, ids)?;
            ids.prompt = ids.input_ids.len();
        }
        let tokens = match piece {
            Piece::Literal(text) => {
                literal.push_str(&text);
                return Ok(());
            }
            Piece::Tokens(tokens) => tokens,
        };
        let [first, rest @ ..] = tokens else { return Ok(()) };
        let is_line = literal.ends_with('\n') || (*is_start && literal.is_empty());
        // A completion goes on in the line that the prompt has ended with.
        let is_line = is_line || (literal.is_empty() && self.ends_line(ids));
        let was_start = *is_start && literal.is_empty();
        self.flush(literal, is_start, ids)?;
        let pool = &self.stream.plan().pool;
        if is_line && pool.mode() != "all" {
            let word = pool.word(*first).into_owned();
            let before = if was_start { "" } else { "\n" };
            let encoded = self.known(before, &word)?;
            ids.input_ids.extend_from_slice(encoded);
        } else {
            ids.input_ids.extend_from_slice(pool.ids(*first).unwrap_or_default());
        }
        for token in rest {
            ids.input_ids.extend_from_slice(self.stream.plan().pool.ids(*token).unwrap_or_default());
        }
        *is_start = false;
        Ok(())
    }

    /// Whether the last token that was written ends a line.
    fn ends_line(&self, ids: &Ids) -> bool {
        let last = ids.input_ids.last().and_then(|id| self.vocabulary.bytes(*id));
        last.is_some_and(|bytes| bytes.ends_with(b"\n"))
    }

    /// Encodes the literals so far.
    fn flush(&mut self, literal: &mut String, is_start: &mut bool, ids: &mut Ids) -> Result<()> {
        if literal.is_empty() {
            return Ok(());
        }
        let before = if *is_start { String::new() } else { self.anchor.clone() };
        let text = std::mem::take(literal);
        ids.input_ids.extend_from_slice(self.known(&before, &text)?);
        *is_start = false;
        Ok(())
    }

    /// The ids of a text behind another.
    fn known(&mut self, before: &str, text: &str) -> Result<&[u32]> {
        let key = (before.to_owned(), text.to_owned());
        if !self.known.contains_key(&key) {
            let ids = match before {
                "" => self.vocabulary.encode(text)?,
                before => encode_behind(self.vocabulary, before, text)?,
            };
            self.known.insert(key.clone(), ids.into());
        }
        Ok(&self.known[&key])
    }
}
