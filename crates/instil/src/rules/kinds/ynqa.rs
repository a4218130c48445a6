//! Yes-no questions: statements that the passage decides, asked.

use super::wording::draft;
use super::{Chance, Draft, Source, Traits};
use crate::rules::statement::{Statement, Truth};

/// A wording with its words for yes and no. `[question]` is an inverted question.
const ASKED: &[(&str, [&str; 2])] = &[
    ("{{context}}\n\nQuestion: [question]\nAnswer yes or no.", ["Yes", "No"]),
    ("Read the text and answer with \"Yes\" or \"No\".\n\n{{context}}\n\n[question]", ["Yes", "No"]),
    (
        "[question] Decide by the following text alone, and reply with yes or no.\n\n{{context}}",
        ["yes", "no"],
    ),
    ("Text: {{context}}\n\nGoing by this text: [question]\n\nOptions:\n- yes\n- no", ["yes", "no"]),
    ("{{context}}\n\n[question] Yes or no?", ["Yes", "No"]),
    ("Question: [question]\nSource: {{context}}\nAnswer (Yes/No):", ["Yes", "No"]),
];

/// The same for a statement in its own words.
const QUOTED: &[(&str, [&str; 2])] = &[
    ("{{context}}\n\nStatement: \"[statement]\"\nDoes the text say so? Answer yes or no.", ["Yes", "No"]),
    ("Text: {{context}}\n\nTrue or false, according to the text: [statement]", ["True", "False"]),
    (
        "Here is a claim: \"[statement]\"\n\nIs it correct, judging by this text?\n\n{{context}}\n\nAnswer Yes or No.",
        ["Yes", "No"],
    ),
    (
        "{{context}}\n\nA reader sums up part of this text as: \"[statement]\" Is the reader right? (yes/no)",
        ["yes", "no"],
    ),
    (
        "Check the statement against the text, and say \"true\" or \"false\".\n\nText: {{context}}\nStatement: [statement]",
        ["true", "false"],
    ),
];

pub(super) fn drafts(source: &Source<'_>, chance: &Chance, most: usize) -> Vec<Draft> {
    let decided: Vec<&Statement> =
        source.statements().iter().filter(|statement| statement.truth != Truth::Open).collect();
    let picked = balanced(chance, &decided, most, &[Truth::Follows, Truth::Conflicts]);
    let word = |(i, statement): (usize, &Statement)| {
        let asked =
            statement.question.as_ref().filter(|_| !chance.draw(&format!("quoted {i}")).is_multiple_of(4));
        let wordings = if asked.is_some() { ASKED } else { QUOTED };
        let (wording, labels) = wordings[chance.wording(i, wordings.len())];
        let label = labels[usize::from(statement.truth == Truth::Conflicts)];
        draft(wording, &[("question", asked.map_or("", |q| q)), ("statement", &statement.text)], label)
    };
    picked.into_iter().enumerate().map(word).collect()
}

/// The first `most` statements, each of a truth drawn from those that are left.
pub(super) fn balanced<'s>(
    chance: &Chance,
    all: &[&'s Statement],
    most: usize,
    truths: &[Truth],
) -> Vec<&'s Statement> {
    let traits = |statement: &&'s Statement| Traits {
        sentence: statement.sentence,
        form: statement.form,
        bias: if statement.form == "kept" { 3 } else { 0 },
        text: statement.text.clone(),
    };
    let mut piles: Vec<Vec<&Statement>> = Vec::new();
    for truth in truths {
        let pile: Vec<&Statement> =
            all.iter().copied().filter(|statement| statement.truth == *truth).collect();
        let picked: Vec<&Statement> = chance.pick(&pile, most, traits).into_iter().copied().collect();
        piles.push(picked.into_iter().rev().collect());
    }
    let mut picked: Vec<&Statement> = Vec::new();
    let mut taken = vec![0_usize; piles.len()];
    while picked.len() < most {
        let filled: Vec<usize> = (0..piles.len()).filter(|i| !piles[*i].is_empty()).collect();
        let draw = |part: &str, of: usize| {
            usize::try_from(chance.draw(&format!("{part} {}", picked.len())) % of as u64).unwrap_or(0)
        };
        let pile = match filled.as_slice() {
            [] => break,
            // A label that is the only one left comes seldom, so that labels are even over many passages.
            [only] if taken[*only] > taken.iter().sum::<usize>() - taken[*only] => break,
            [only] if taken.iter().sum::<usize>() == 0 && draw("alone", 3) > 0 => break,
            [only] => *only,
            // What is open is rare: where there is any, it is preferred.
            piles if piles.len() == 3 && draw("open", 2) == 0 => piles[1],
            piles => piles[draw("truth", piles.len())],
        };
        taken[pile] += 1;
        picked.extend(piles[pile].pop());
    }
    picked
}
