//! A new tokenizer, learnt from texts: byte pairs over bytes, as GPT-2's.

use std::fs;
use std::path::Path;

use instil::{Error, Result};
use serde_json::json;
use tokenizers::models::bpe::{BPE, BpeTrainerBuilder};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{AddedToken, Tokenizer as HuggingFace, TokenizerBuilder};

/// The token that texts begin with, and the one that ends them.
const ENDS: [&str; 2] = ["<s>", "</s>"];

/// Learns a tokenizer of `vocab_size` tokens and writes `tokenizer.json` and `tokenizer_config.json` into `folder`.
///
/// No text is without tokens: what isn't in a pair is a byte. Texts begin with `<s>`, and `</s>` ends them. The same
/// texts give the same tokenizer.
///
/// # Errors
/// When the vocabulary is too small for all bytes, or the files can't be written.
pub fn learn<'a>(
    texts: impl Iterator<Item = &'a str> + Send,
    vocab_size: usize,
    folder: &Path,
) -> Result<()> {
    let least = ENDS.len() + 256;
    if vocab_size < least {
        return Err(Error::usage(format!("a tokenizer of {vocab_size} tokens has none for some bytes"))
            .with_hint(format!("`vocab_size` must be at least {least}")));
    }
    let failed = |e: tokenizers::Error| Error::model("no tokenizer could be learnt").because(e.to_string());
    let special: Vec<AddedToken> = ENDS.iter().map(|token| AddedToken::from(*token, true)).collect();
    let mut trainer: tokenizers::models::TrainerWrapper = BpeTrainerBuilder::new()
        .vocab_size(vocab_size)
        .special_tokens(special)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .show_progress(false)
        .build()
        .into();
    let bytes = ByteLevel::default().add_prefix_space(false);
    let begins = TemplateProcessing::builder()
        .try_single(format!("{} $A", ENDS[0]))
        .and_then(|template| template.try_pair(format!("{} $A {} $B", ENDS[0], ENDS[0])))
        .map_err(|e| Error::model("no tokenizer could be learnt").because(e.to_string()))?
        .special_tokens(vec![(ENDS[0], 0)])
        .build()
        .map_err(|e| Error::model("no tokenizer could be learnt").because(e.to_string()))?;
    let mut tokenizer: HuggingFace = TokenizerBuilder::default()
        .with_model(BPE::default().into())
        .with_normalizer(None::<tokenizers::NormalizerWrapper>)
        .with_pre_tokenizer(Some(tokenizers::PreTokenizerWrapper::from(bytes)))
        .with_post_processor(Some(tokenizers::PostProcessorWrapper::from(begins)))
        .with_decoder(Some(tokenizers::DecoderWrapper::from(bytes)))
        .build()
        .map(
            |inner: tokenizers::TokenizerImpl<
                tokenizers::ModelWrapper,
                tokenizers::NormalizerWrapper,
                tokenizers::PreTokenizerWrapper,
                tokenizers::PostProcessorWrapper,
                tokenizers::DecoderWrapper,
            >| inner.into(),
        )
        .map_err(failed)?;
    tokenizer.train::<_, _, _>(&mut trainer, texts).map_err(failed)?;
    let text = tokenizer.to_string(true).map_err(failed)?;
    let config = json!({
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": ENDS[0], "eos_token": ENDS[1],
        "clean_up_tokenization_spaces": false,
    });
    for (name, text) in [("tokenizer.json", text), ("tokenizer_config.json", format!("{config:#}\n"))] {
        let path = folder.join(name);
        fs::write(&path, text)
            .map_err(|e| Error::output(format!("{} can't be written", path.display())).because(e))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokenizer::Tokenizer;

    #[test]
    fn a_learnt_tokenizer_gives_every_text_back() {
        let folder = tempfile::tempdir().unwrap();
        let texts = ["the mill wheel turns while the water runs in the race"; 20];
        learn(texts.into_iter(), 300, folder.path()).unwrap();
        let tokenizer = Tokenizer::of_folder(folder.path()).unwrap();
        assert!(tokenizer.vocab_size() <= 300);
        for text in ["the mill", " naïve Ärger 水車\n", ""] {
            let tokens = tokenizer.encode_prompt(text).unwrap();
            assert_eq!(Some(tokens[0]), tokenizer.bos());
            assert_eq!(tokenizer.decode(&tokens).unwrap(), text);
        }
        let words = tokenizer.encode("the water", false).unwrap();
        assert!(words.len() < "the water".len() / 2, "{words:?}");
        assert!(tokenizer.end().is_some());
        let again = tempfile::tempdir().unwrap();
        learn(texts.into_iter(), 300, again.path()).unwrap();
        let read = |folder: &Path| fs::read(folder.join("tokenizer.json")).unwrap();
        assert_eq!(read(folder.path()), read(again.path()));
    }

    #[test]
    fn a_vocabulary_without_all_bytes_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(learn(["a"].into_iter(), 200, folder.path()).is_err());
    }
}
