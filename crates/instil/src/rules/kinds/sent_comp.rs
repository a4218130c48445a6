//! Sentence completion: a sentence of the passage is begun, the response ends it as the passage does.

use super::wording::draft;
use super::{Chance, Draft, Source, Traits};
use crate::rules::question::occurs;
use crate::rules::text::{Sentence, Text, collapse};
use crate::rules::words::Class;

const WORDINGS: &[&str] = &[
    "{{context}}\n\nComplete this sentence as the text has it: [begun]",
    "Text: {{context}}\n\nA sentence of the text begins: \"[begun]\" How does it go on?",
    "How does this sentence end in the text below?\n\n[begun] ...\n\n{{context}}",
    "{{context}}\n\nFinish the sentence with the words of the text.\n\n[begun]",
    "Read the text, then continue the unfinished sentence.\n\nText: {{context}}\n\nUnfinished sentence: [begun]\n\nContinuation:",
    "{{context}}\n\nSupply the rest: \"[begun] ...\"",
];

struct Item {
    begun: String,
    rest: String,
    sentence: usize,
}

pub(super) fn drafts(source: &Source<'_>, chance: &Chance, most: usize) -> Vec<Draft> {
    let items: Vec<Item> = source.text.clean().filter_map(|sentence| cut(&source.text, sentence)).collect();
    let picked = chance.pick(&items, most, |item| Traits {
        sentence: item.sentence,
        form: "cut",
        bias: 0,
        text: item.begun.clone(),
    });
    let word = |(i, item): (usize, &Item)| {
        draft(WORDINGS[chance.wording(i, WORDINGS.len())], &[("begun", &item.begun)], &item.rest)
    };
    picked.into_iter().enumerate().map(word).collect()
}

/// The sentence in two, cut before a preposition, relative or conjunction nearest to its middle.
fn cut(text: &Text<'_>, sentence: &Sentence) -> Option<Item> {
    let tokens = &sentence.tokens;
    let count = tokens.len();
    if count < 12 || text.occurrences(&text.words(tokens)) != 1 {
        return None;
    }
    let joint = |at: &usize| {
        let token = &tokens[*at];
        let before = &tokens[at - 1];
        let open =
            tokens[..*at].iter().filter(|token| matches!(token.lower.as_str(), "(" | "“" | "\"")).count();
        let closed = tokens[..*at].iter().filter(|token| matches!(token.lower.as_str(), ")" | "”")).count();
        before.word
            && !before.class.any(Class::CLOSED)
            && open == closed
            && token.class.any(Class::PREP | Class::REL | Class::SUB)
    };
    let middle = count * 11 / 20;
    let at = (count / 3..count - 4).filter(joint).min_by_key(|at| at.abs_diff(middle))?;
    let begun = collapse(&text.text[sentence.core.start..tokens[at - 1].span.end]);
    let rest = collapse(&format!("{}.", &text.text[tokens[at].span.start..sentence.core.end]));
    (!occurs(&begun, &rest)).then_some(Item { begun, rest, sentence: sentence.index })
}
