//! Texts to tokens that are learnt.

use instil::convert::supervise::Supervised;
use instil::{Error, Result};

use super::batch::Example;
use crate::tokenizer::Tokenizer;

impl Example {
    /// The tokens of parts that are tokenised apart, with the tokenizer's tokens that begin and end a text around them
    /// where the parts have none.
    ///
    /// # Errors
    /// When a part has a character for which there is no token.
    pub fn of_parts(supervised: &Supervised, tokenizer: &Tokenizer) -> Result<Self> {
        let Supervised { parts, has_ends } = supervised;
        let mut tokens = if *has_ends { tokenizer.encode_prompt("")? } else { Vec::new() };
        let mut learnt = Vec::new();
        for (number, part) in parts.iter().enumerate() {
            let start = tokens.len();
            tokens.extend(tokenizer.encode(&part.text, false)?);
            let is_last = number + 1 == parts.len();
            if is_last && *has_ends {
                tokens.extend(tokenizer.end());
            }
            if part.is_learnt {
                // Nothing precedes the first token.
                learnt.push(start.max(1).min(tokens.len())..tokens.len());
            }
        }
        Ok(Self { tokens, learnt })
    }

    /// The tokens of prompt and answer for an encoder-decoder: what stands before the first learnt part is read by the
    /// encoder, with its end; the rest is written by the decoder, with its end.
    ///
    /// # Errors
    /// When a part has a character for which there is no token.
    pub fn of_pair(supervised: &Supervised, tokenizer: &Tokenizer) -> Result<Self> {
        let from = supervised.parts.iter().position(|part| part.is_learnt).unwrap_or(supervised.parts.len());
        let (before, after) = supervised.parts.split_at(from);
        let prompt: String = before.iter().map(|part| part.text.as_str()).collect();
        let mut tokens = tokenizer.encode_source(&prompt)?;
        let mut learnt = Vec::new();
        for (number, part) in after.iter().enumerate() {
            let start = tokens.len();
            tokens.extend(tokenizer.encode(&part.text, false)?);
            if number + 1 == after.len() && supervised.has_ends {
                tokens.extend(tokenizer.end());
            }
            if part.is_learnt {
                learnt.push(start..tokens.len());
            }
        }
        Ok(Self { tokens, learnt })
    }

    /// A text in pieces of `most` tokens, every token learnt but each piece's first.
    ///
    /// # Errors
    /// When it has a character for which there is no token.
    ///
    /// # Panics
    /// If `most` is below 2.
    pub fn pieces(text: &str, tokenizer: &Tokenizer, most: usize) -> Result<Vec<Self>> {
        assert!(most >= 2, "a piece has a token and one that follows");
        let mut tokens = tokenizer.encode_prompt(text)?;
        tokens.extend(tokenizer.end());
        // A last token alone would follow nothing: it goes with the piece before, or not at all.
        let pieces = tokens.chunks(most).filter(|piece| piece.len() > 1);
        Ok(pieces.map(|piece| Self::text(piece.to_vec())).collect())
    }
}

/// The error of a tokenizer that ends no text, where answers have to end.
pub fn needs_end(tokenizer: &Tokenizer) -> Result<()> {
    match tokenizer.end() {
        Some(_) => Ok(()),
        None => Err(Error::input("the tokenizer has no end of text, so that no answer would end")
            .with_hint("`tokenizer_config.json` names it as `eos_token`; or take a chat template")),
    }
}
