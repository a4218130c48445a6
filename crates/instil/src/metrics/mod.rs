//! What answers are worth.
//!
//! Each function says whose definition it is and gives that definition's numbers, to rounding:
//!
//! | module | numbers of |
//! |---|---|
//! | [`classify`] | scikit-learn 1.9: accuracy, macro and weighted F1 |
//! | [`squad`] | the evaluation script of SQuAD 1.1: exact match and F1 of tokens |
//! | [`rouge`] | rouge-score 0.1.2 with its stemmer, as Super-NaturalInstructions uses it: ROUGE-L; and that project's exact match |
//! | [`choice`] | lm-evaluation-harness: the likeliest choice by its sum, or by its sum a character |
//! | [`interval`] | standard errors, and bootstrap intervals by percentiles as NumPy computes them |
//! | [`baseline`] | what the commonest answer and chance would get |
//!
//! They know texts and numbers, nothing of models or files.

pub mod baseline;
pub mod choice;
pub mod classify;
pub mod interval;
pub(crate) mod porter;
pub mod rouge;
pub mod squad;

/// The words between what Python takes for blanks, put together with one blank: `" ".join(text.split())`.
pub(crate) fn squeezed(text: &str) -> String {
    text.split(is_python_space).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// What Python's `str.isspace` and `str.split` take for a blank.
fn is_python_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// Python's `string.punctuation`, which is taken away: `!"#$%&'()*+,-./:;<=>?@[\]^_` + "`{|}~".
fn without_punctuation(text: &str) -> String {
    text.chars().filter(|c| !c.is_ascii_punctuation()).collect()
}

/// The best of a metric over references; none without one.
pub fn best(references: &[impl AsRef<str>], of: impl Fn(&str) -> f64) -> Option<f64> {
    references.iter().map(|reference| of(reference.as_ref())).max_by(f64::total_cmp)
}
