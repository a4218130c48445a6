//! Sentences with a value left out.

use super::Question;
use crate::rules::text::{Text, Token, collapse};
use crate::rules::value::Kind;

/// What stands for the words that are left out.
pub(in crate::rules) const GAP: &str = "____";

/// Sentences with a value left out.
pub(in crate::rules) fn gaps(text: &Text) -> Vec<Question> {
    let mut found = Vec::new();
    for sentence in text.clean().filter(|sentence| sentence.tokens.len() >= 9) {
        for value in &sentence.values {
            let words = &sentence.tokens[value.tokens.clone()];
            let often = matches!(value.kind, Kind::Name | Kind::Count(_));
            if !often && text.times(words) != 1 || repeats(&sentence.tokens, words) {
                continue;
            }
            let (start, end) = (words[0].span.start, words[words.len() - 1].span.end);
            let (before, after) =
                (&text.text[sentence.core.start..start], &text.text[end..sentence.core.end]);
            let gapped = collapse(&format!("{before}{GAP}{after}."));
            found.push(Question {
                text: gapped,
                answer: value.text.clone(),
                kind: Some(value.kind.clone()),
                sentence: sentence.index,
                form: gap_form(&value.kind),
            });
        }
    }
    found
}

/// Whether the words occur more than once in the sentence.
fn repeats(tokens: &[Token], words: &[Token]) -> bool {
    let same = |at: &[Token]| at.iter().zip(words).all(|(one, other)| one.lower == other.lower);
    tokens.windows(words.len()).filter(|at| same(at)).count() > 1
}

fn gap_form(kind: &Kind) -> &'static str {
    match kind {
        Kind::Name => "gap-name",
        Kind::Phrase | Kind::Quoted => "gap-phrase",
        _ => "gap-number",
    }
}
