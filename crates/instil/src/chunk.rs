//! Documents to passages.

use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::{Document, Passage};

/// How long a passage may be.
pub enum Limit {
    /// In characters.
    Chars(usize),
    /// In tokens of a tokenizer.
    Tokens {
        /// The most of them.
        max: usize,
        /// What counts them.
        tokenizer: Arc<tokenizers::Tokenizer>,
    },
}

/// Cuts documents; for now each is one passage.
pub struct Chunker;

impl Chunker {
    /// A chunker for this limit.
    pub fn new(_limit: Limit) -> Self {
        Self
    }

    /// A chunker that never cuts.
    pub fn whole() -> Self {
        Self
    }

    /// The document's passages.
    pub fn chunk(&self, document: &Document) -> Vec<Passage> {
        vec![Passage {
            document: document.id.as_str().into(),
            origin: document.origin.clone(),
            span: 0..document.text.len(),
            text: document.text.clone(),
        }]
    }
}

/// Loads a `tokenizer.json`.
///
/// # Errors
/// When it can't be read.
pub fn load_tokenizer(path: &Path) -> Result<tokenizers::Tokenizer> {
    tokenizers::Tokenizer::from_file(path)
        .map_err(|e| Error::input(format!("failed to read tokenizer `{}`", path.display())).because(e))
}

/// The tokens of a text, without special ones.
pub fn count_tokens(tokenizer: &tokenizers::Tokenizer, text: &str) -> usize {
    tokenizer.encode_fast(text, false).map_or(0, |encoding| encoding.len())
}
