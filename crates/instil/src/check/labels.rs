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
