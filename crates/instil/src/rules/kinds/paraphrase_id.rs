//! Paraphrase identification: a sentence of the passage beside one that says the same in other words, or something else.

use super::wording::draft;
use super::ynqa::balanced;
use super::{Chance, Draft, Source};
use crate::rules::statement::{SAME, Statement, Truth};

/// A wording with its labels: the same, not the same.
const WORDINGS: &[(&str, [&str; 2])] = &[
    (
        "Both sentences are about this text:\n\n{{context}}\n\nSentence 1: [one]\nSentence 2: [two]\n\nDo they mean the same? Answer yes or no.",
        ["Yes", "No"],
    ),
    (
        "{{context}}\n\nOne sentence of this text reads: \"[one]\"\nSomebody has reworded it as: \"[two]\"\nIs the meaning kept? (yes/no)",
        ["yes", "no"],
    ),
    (
        "Background: {{context}}\n\nA: [one]\nB: [two]\n\nIs B a paraphrase of A? Reply Yes or No.",
        ["Yes", "No"],
    ),
    (
        "Compare the two sentences, in the light of the text they come from.\n\nText: {{context}}\n\n1. [one]\n2. [two]\n\nDo both say the same thing?\n- yes\n- no",
        ["yes", "no"],
    ),
    (
        "An editor changed \"[one]\" to \"[two]\" in the text below. Does the new sentence mean what the old one meant? Yes or no.\n\n{{context}}",
        ["Yes", "No"],
    ),
];

pub(super) fn drafts(source: &Source<'_>, chance: &Chance, most: usize) -> Vec<Draft> {
    let usable: Vec<&Statement> = source
        .statements()
        .iter()
        .filter(|statement| {
            statement.text != statement.base
                && (statement.truth != Truth::Follows || SAME.contains(&statement.form))
        })
        .filter(|statement| statement.truth != Truth::Open)
        .collect();
    let picked = balanced(chance, &usable, most, &[Truth::Follows, Truth::Conflicts]);
    let word = |(i, statement): (usize, &Statement)| {
        let (wording, labels) = WORDINGS[chance.wording(i, WORDINGS.len())];
        let label = labels[usize::from(statement.truth != Truth::Follows)];
        draft(wording, &[("one", &statement.base), ("two", &statement.text)], label)
    };
    picked.into_iter().enumerate().map(word).collect()
}
