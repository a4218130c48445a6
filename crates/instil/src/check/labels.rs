//! Closed sets of answers: yes and no, the labels of inference, the labels that a user gives.

use super::words::{occurs_squashed, squash};

/// The answers to a yes-no question.
pub(super) const YES_NO: [&[&str]; 2] = [&["yes", "no"], &["true", "false"]];

/// The label sets of natural language inference in the 30 templates that Bonito learnt from
/// (spec/bonito.md 2.3), and the names that the field uses besides.
pub(super) const THREE_WAY: [&[&str]; 7] = [
    &["entailment", "neutral", "contradiction"],
    &["yes", "no", "maybe"],
    &["true", "false", "inconclusive"],
    &["true", "false", "neither"],
    &["correct", "incorrect", "inconclusive"],
    &["always", "sometimes", "never"],
    &["guaranteed", "possible", "impossible"],
];

/// The label sets of textual entailment: two labels, or three as a few templates have it.
pub(super) const TWO_WAY: [&[&str]; 7] = [
    &["yes", "no"],
    &["true", "false"],
    &["entailment", "not entailment"],
    &["entailed", "not entailed"],
    &["true", "not necessarily"],
    &["yes", "not necessarily"],
    &["follows", "does not follow"],
];

/// The label sets for whether two texts, or two uses of a word, mean the same.
pub(super) const SAME: [&[&str]; 7] = [
    &["yes", "no"],
    &["true", "false"],
    &["same", "different"],
    &["equivalent", "not equivalent"],
    &["paraphrase", "not paraphrase"],
    &["paraphrase", "not a paraphrase"],
    &["duplicates", "not duplicates"],
];

/// Whether `response` is a label of one of `sets`.
///
/// Where the instruction names every label of some sets, it has to be one of theirs.
pub(super) fn is_label(response: &str, ask: &str, sets: &[&[&str]]) -> bool {
    let response = squash(response);
    let holds = |set: &&&[&str]| set.iter().any(|label| squash(label) == response);
    let ask = squash(ask);
    let named: Vec<_> =
        sets.iter().filter(|set| set.iter().all(|label| occurs_squashed(label, &ask))).collect();
    if named.is_empty() { sets.iter().any(|set| holds(&set)) } else { named.iter().any(holds) }
}

/// The labels of which [`is_label`] takes each: spelt as the instruction spells them, and where it names none, in lower
/// case and with a capital.
pub(super) fn answers(ask: &str, sets: &[&[&str]]) -> Vec<String> {
    let squashed = squash(ask);
    let is_named = |set: &&&[&str]| set.iter().all(|label| occurs_squashed(label, &squashed));
    let named: Vec<&&[&str]> = sets.iter().filter(is_named).collect();
    let mut found: Vec<String> = Vec::new();
    let labels = if named.is_empty() { sets.iter().collect() } else { named };
    for label in labels.into_iter().copied().flatten() {
        let spelt = match written(label, ask) {
            Some(spelt) => vec![spelt.to_owned()],
            None => vec![(*label).to_owned(), capital(label)],
        };
        found.extend(spelt.into_iter().filter(|label| !found.contains(label)).collect::<Vec<_>>());
    }
    found
}

/// The label as the text writes it, as words of their own.
fn written<'a>(label: &str, text: &'a str) -> Option<&'a str> {
    let bytes = text.as_bytes();
    let is_word =
        |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || !byte.is_ascii());
    (0..bytes.len()).find_map(|start| {
        let end = start + label.len();
        let is_label = bytes.get(start..end)?.eq_ignore_ascii_case(label.as_bytes());
        let is_whole = !is_word(bytes.get(end)) && (start == 0 || !is_word(bytes.get(start - 1)));
        (is_label && is_whole).then(|| &text[start..end])
    })
}

fn capital(label: &str) -> String {
    let mut letters = label.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_belongs_to_the_set_that_the_instruction_names() {
        assert!(is_label("Maybe.", "Yes, no, or maybe?", &THREE_WAY));
        assert!(!is_label("Neutral", "Yes, no, or maybe?", &THREE_WAY));
        assert!(is_label("neutral", "What is the relation?", &THREE_WAY));
        assert!(!is_label("Positive", "What is the relation?", &THREE_WAY));
        assert!(is_label("not entailment", "Entailment or not entailment?", &TWO_WAY));
    }
}
