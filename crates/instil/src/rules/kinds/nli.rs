//! Natural language inference: the passage is the premise.

use super::wording::draft;
use super::ynqa::balanced;
use super::{Chance, Draft, Source};
use crate::rules::statement::{Statement, Truth};

/// A wording with its labels: follows, open, conflicts.
const WORDINGS: &[(&str, [&str; 3])] = &[
    (
        "Premise: {{context}}\n\nHypothesis: [statement]\n\nHow does the hypothesis relate to the premise: entailment, neutral or contradiction?",
        ["entailment", "neutral", "contradiction"],
    ),
    (
        "{{context}}\n\nGiven only this text, is the following so: \"[statement]\" Answer yes, no or maybe.",
        ["Yes", "Maybe", "No"],
    ),
    (
        "Text: {{context}}\nClaim: [statement]\nIs the claim true, false or inconclusive?",
        ["True", "Inconclusive", "False"],
    ),
    (
        "Label the pair with entailment, contradiction or neutral.\n\nText: {{context}}\n\nStatement: [statement]\n\nLabel:",
        ["entailment", "neutral", "contradiction"],
    ),
    (
        "Suppose that all of this holds:\n\n{{context}}\n\nDoes this hold, too? \"[statement]\"\nChoose one:\n- yes\n- maybe\n- no",
        ["yes", "maybe", "no"],
    ),
    (
        "\"[statement]\"\n\nJudge this sentence by the text below: true (the text says so), false (the text says otherwise) or inconclusive (the text leaves it open).\n\n{{context}}",
        ["true", "inconclusive", "false"],
    ),
    (
        "Read the text, then decide whether it entails the statement, contradicts it, or is neutral towards it.\n\n{{context}}\n\nStatement: [statement]\n\nAnswer with entailment, contradiction or neutral.",
        ["entailment", "neutral", "contradiction"],
    ),
];

pub(super) fn drafts(source: &Source<'_>, chance: &Chance, most: usize) -> Vec<Draft> {
    let all: Vec<&Statement> = source.statements().iter().collect();
    let picked = balanced(chance, &all, most, &[Truth::Follows, Truth::Open, Truth::Conflicts]);
    let word = |(i, statement): (usize, &Statement)| {
        let (wording, labels) = WORDINGS[chance.wording(i, WORDINGS.len())];
        let label = match statement.truth {
            Truth::Follows => labels[0],
            Truth::Open => labels[1],
            Truth::Conflicts => labels[2],
        };
        draft(wording, &[("statement", &statement.text)], label)
    };
    picked.into_iter().enumerate().map(word).collect()
}
