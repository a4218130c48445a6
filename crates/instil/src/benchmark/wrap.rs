//! What stands around a prompt.

use crate::error::{Error, Result};

/// How a prompt is put to a model, as Bonito's evaluation does (spec/bonito.md 5.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrap {
    /// Nothing.
    None,
    /// `Instruct: {prompt}␊Answer:`: models as they were pre-trained.
    Simple,
    /// `<|input|>␊{prompt}␊<|output|>␊`: models that were trained so.
    Tagged,
    /// `[INST] {prompt} [/INST]`: Mistral's instruction models.
    Inst,
    /// A text of the user's.
    Text(String),
}

/// What stands for the prompt in a text of the user's.
const PLACE: &str = "{prompt}";

impl Wrap {
    /// The wrapper of this name, or this text with `{prompt}`.
    ///
    /// # Errors
    /// When it is neither.
    pub fn parse(text: &str) -> Result<Self> {
        Ok(match text {
            "none" => Self::None,
            "simple" => Self::Simple,
            "tagged" => Self::Tagged,
            "inst" => Self::Inst,
            text if text.contains(PLACE) => Self::Text(text.to_owned()),
            text => {
                return Err(Error::usage(format!("unknown wrapper `{text}`")).with_hint(
                    "there are `none`, `simple`, `tagged` and `inst`, or a text with `{prompt}`",
                ));
            }
        })
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        match self {
            Self::None => "none",
            Self::Simple => "simple",
            Self::Tagged => "tagged",
            Self::Inst => "inst",
            Self::Text(text) => text,
        }
    }

    /// The prompt with what stands around it.
    pub fn around(&self, prompt: &str) -> String {
        match self {
            Self::None => prompt.to_owned(),
            Self::Simple => format!("Instruct: {prompt}\nAnswer:"),
            Self::Tagged => format!("<|input|>\n{prompt}\n<|output|>\n"),
            Self::Inst => format!("[INST] {prompt} [/INST]"),
            Self::Text(text) => text.replacen(PLACE, prompt, 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrappers_are_those_of_the_published_evaluation() {
        let of = |name: &str| Wrap::parse(name).unwrap().around("Is it? {prompt}");
        assert_eq!(of("simple"), "Instruct: Is it? {prompt}\nAnswer:");
        assert_eq!(of("tagged"), "<|input|>\nIs it? {prompt}\n<|output|>\n");
        assert_eq!(of("inst"), "[INST] Is it? {prompt} [/INST]");
        assert_eq!(of("Q: {prompt}"), "Q: Is it? {prompt}");
        assert!(Wrap::parse("tags").is_err());
    }
}
