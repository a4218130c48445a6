//! Extractive question answering: the answer is a piece of the passage.

use super::wording::draft;
use super::{Chance, Draft, Source, Traits};
use crate::rules::question::Question;

const ASKED: &[&str] = &[
    "{{context}}\n\nQuestion: [question]\nAnswer with words taken from the text above.",
    "Read the text and answer the question with a phrase copied from it.\n\nText: {{context}}\n\nQuestion: [question]\n\nAnswer:",
    "[question]\n\nFind the answer in this text and copy it exactly:\n\n{{context}}",
    "{{context}}\n\nUsing only words from this text, answer: [question]",
    "Here is a text:\n\n{{context}}\n\n[question] Quote the part that answers this.",
    "Question: [question]\nText: {{context}}\nThe answer is a span of the text. Which one?",
    "Extract the answer to the question from the document.\n\nDocument: {{context}}\nQuestion: [question]",
    "{{context}}\n\nBased on what you have just read: [question] (Reply with the exact words, nothing more.)",
];

const GAPPED: &[&str] = &[
    "{{context}}\n\nFill in the blank with words from the text: [question]",
    "Text: {{context}}\n\nThe following sentence comes from the text, with some words left out. Which words belong in the gap?\n\n[question]",
    "Complete the sentence with the missing words of the passage.\n\nPassage: {{context}}\n\nSentence: [question]\n\nMissing words:",
    "{{context}}\n\nOne sentence of this text is repeated here with a gap:\n[question]\nGive what is missing.",
    "[question]\n\nWhat goes in place of the blank, according to this text?\n\n{{context}}",
    "Find what the blank stands for.\n\n{{context}}\n\n[question]",
];

pub(super) fn drafts(source: &Source<'_>, chance: &Chance, most: usize) -> Vec<Draft> {
    let all: Vec<&Question> = source.questions().iter().chain(source.gaps()).collect();
    let picked = chance.pick(&all, most, |question| Traits {
        sentence: question.sentence,
        form: question.form,
        bias: bias(question.form) + u32::from(question.text.len() > 220),
        text: question.text.clone(),
    });
    let word = |(i, question): (usize, &&Question)| {
        let wordings = if question.form.starts_with("gap") { GAPPED } else { ASKED };
        draft(wordings[chance.wording(i, wordings.len())], &[("question", &question.text)], &question.answer)
    };
    picked.into_iter().enumerate().map(word).collect()
}

/// Real questions before gaps, gaps of names and numbers before those of phrases.
pub(super) fn bias(form: &str) -> u32 {
    match form {
        "gap-name" | "gap-number" => 3,
        "gap-phrase" => 4,
        _ => 0,
    }
}
