//! Textual entailment: whether a statement follows from the passage, with two labels.

use super::wording::draft;
use super::ynqa::balanced;
use super::{Chance, Draft, Source};
use crate::rules::statement::{Statement, Truth};

/// A wording with its labels: follows, doesn't follow.
const WORDINGS: &[(&str, [&str; 2])] = &[
    (
        "Text: {{context}}\n\nHypothesis: [statement]\n\nDoes the text entail the hypothesis? Answer \"entailment\" or \"not entailment\".",
        ["entailment", "not entailment"],
    ),
    ("{{context}}\n\nDoes this follow from the text above? \"[statement]\" Yes or no?", ["Yes", "No"]),
    (
        "Someone who has read only the following text claims: \"[statement]\"\n\n{{context}}\n\nDoes the text bear the claim out? Answer yes or no.",
        ["yes", "no"],
    ),
    (
        "Premise: {{context}}\nConclusion: [statement]\nIs the conclusion warranted by the premise (yes/no)?",
        ["yes", "no"],
    ),
    (
        "Decide between \"entailment\" and \"not entailment\".\n\nPremise: {{context}}\n\nHypothesis: [statement]\n\nLabel:",
        ["entailment", "not entailment"],
    ),
    (
        "{{context}}\n\nStatement: [statement]\n\nIs the statement certain to be true, given the text?\n- yes\n- no",
        ["yes", "no"],
    ),
];

pub(super) fn drafts(source: &Source<'_>, chance: &Chance, most: usize) -> Vec<Draft> {
    let follows: Vec<&Statement> = source.statements().iter().collect();
    let picked = balanced(chance, &follows, most, &[Truth::Follows, Truth::Conflicts]);
    // What the text leaves open doesn't follow either: it stands in for a conflict half the time.
    let open: Vec<&Statement> =
        follows.iter().copied().filter(|statement| statement.truth == Truth::Open).collect();
    let mut left = open.into_iter();
    let word = |(i, statement): (usize, &Statement)| {
        let (wording, labels) = WORDINGS[chance.wording(i, WORDINGS.len())];
        let swap = statement.truth == Truth::Conflicts && chance.draw(&format!("open {i}")).is_multiple_of(2);
        let statement = if swap { left.next().unwrap_or(statement) } else { statement };
        draft(
            wording,
            &[("statement", &statement.text)],
            labels[usize::from(statement.truth != Truth::Follows)],
        )
    };
    picked.into_iter().enumerate().map(word).collect()
}
