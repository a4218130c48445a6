//! Documents to passages: cut on paragraph and sentence bounds, byte spans kept.
//!
//! A document is taken apart into pieces that fit the limit by themselves (`pieces`), and
//! neighbouring pieces are put together again (`pack`). It does not know what a passage will be
//! used for.

mod pack;
mod pieces;

use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

pub use tokenizers::Tokenizer;

use crate::error::{Error, Result};
use crate::record::{Document, Passage};

/// How long a passage may be.
#[derive(Clone)]
pub enum Limit {
    /// In Unicode characters.
    Chars(usize),
    /// In tokens, without those that the tokenizer puts around a text.
    Tokens {
        /// The most of them.
        max: usize,
        /// What counts them; [`load_tokenizer`] makes it so that it counts to the end.
        tokenizer: Arc<Tokenizer>,
    },
}

impl Limit {
    fn max(&self) -> usize {
        match self {
            Self::Chars(max) | Self::Tokens { max, .. } => (*max).max(1),
        }
    }

    fn measure(&self, text: &str) -> usize {
        match self {
            Self::Chars(_) => text.chars().count(),
            Self::Tokens { tokenizer, .. } => count(tokenizer, text, false),
        }
    }

    /// How much the blanks between two pieces add to what these have by themselves.
    fn measure_blanks(&self, blanks: &str) -> usize {
        match self {
            Self::Chars(_) => blanks.chars().count(),
            // A tokenizer takes one blank together with the word behind it, and runs of line ends
            // together; a wrong guess is found when the passage is counted.
            Self::Tokens { .. } if blanks == " " => 0,
            Self::Tokens { .. } => blanks.len().min(2),
        }
    }

    /// As many characters as can be expected to fit.
    fn likely_chars(&self) -> usize {
        match self {
            Self::Chars(_) => self.max(),
            // English has about four characters to a token.
            Self::Tokens { .. } => self.max().saturating_mul(4),
        }
    }
}

/// Cuts documents into passages.
#[derive(Clone)]
pub struct Chunker {
    limit: Option<Limit>,
}

impl Chunker {
    /// Passages of up to `limit`; a limit of 0 is taken as 1. A single character may have more
    /// tokens than the limit, and then exceeds it.
    pub fn new(limit: Limit) -> Self {
        Self { limit: Some(limit) }
    }

    /// One passage of each document, however long.
    pub fn whole() -> Self {
        Self { limit: None }
    }

    /// The passages of `document`, in order.
    ///
    /// Their spans have no blanks at their ends, do not overlap, and together cover everything of the
    /// text that is not blank. Whole paragraphs go together as far as they fit; a heading goes with
    /// what follows it; a paragraph that is too long is cut between sentences, a sentence at blanks,
    /// a word between characters. A document without text has no passages.
    pub fn chunk(&self, document: &Document) -> Vec<Passage> {
        let id: Arc<str> = document.id.as_str().into();
        let passage = |span: Range<usize>| Passage {
            document: Arc::clone(&id),
            origin: document.origin.clone(),
            text: document.text[span.clone()].to_owned(),
            span,
        };
        self.spans(&document.text).into_iter().map(passage).collect()
    }

    fn spans(&self, text: &str) -> Vec<Range<usize>> {
        let whole = trim(text, 0..text.len());
        match &self.limit {
            _ if whole.is_empty() => Vec::new(),
            None => vec![whole],
            Some(limit) => pack::pack(text, &pieces::pieces(text, limit), limit),
        }
    }
}

/// Reads a `tokenizer.json`, and takes out of it what would stop it from counting to the end.
///
/// # Errors
/// When the file can't be read or is no tokenizer.
pub fn load_tokenizer(path: &Path) -> Result<Tokenizer> {
    let shown = path.display();
    let bytes = fs::read(path).map_err(|error| {
        Error::input(format!("failed to read tokenizer `{shown}`"))
            .because(error)
            .with_hint("name a `tokenizer.json`, as it lies beside the weights of a model")
    })?;
    let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(|error| {
        Error::input(format!("`{shown}` is not a tokenizer"))
            .because(error)
            .with_hint("it must be a `tokenizer.json` in the format of Hugging Face tokenizers")
    })?;
    tokenizer.with_truncation(None).expect("only a truncation that is set can be wrong");
    tokenizer.with_padding(None);
    Ok(tokenizer)
}

/// The tokens of `text` as a model is given it, with those that the tokenizer puts around it.
///
/// A text that the tokenizer has no tokens for counts as its bytes, which is never too few.
pub fn count_tokens(tokenizer: &Tokenizer, text: &str) -> usize {
    count(tokenizer, text, true)
}

fn count(tokenizer: &Tokenizer, text: &str, around: bool) -> usize {
    tokenizer.encode_fast(text, around).map_or(text.len(), |encoding| encoding.len())
}

/// `span` without the blanks at its ends.
fn trim(text: &str, span: Range<usize>) -> Range<usize> {
    let part = &text[span.clone()];
    let start = span.start + (part.len() - part.trim_start().len());
    start..start + part.trim().len()
}

#[cfg(test)]
mod tests;
