//! Question generation: the response is a question that the passage answers.

use super::wording::draft;
use super::{Chance, Draft, Source, Traits};

const WORDINGS: &[&str] = &[
    "{{context}}\n\nWrite a question about this text whose answer is \"[answer]\".",
    "Text: {{context}}\nAnswer: [answer]\nWhich question about the text has this answer?",
    "A teacher wants to check that pupils have read the following.\n\n{{context}}\n\nWrite a question for which the right answer is: [answer]",
    "Read the text and turn one of its facts into a question. The answer should be \"[answer]\".\n\n{{context}}",
    "{{context}}\n\nThe answer is: [answer]\nWhat is the question?",
    "Make up a question that can be answered from this text with \"[answer]\".\n\nText: {{context}}\n\nQuestion:",
];

pub(super) fn drafts(source: &Source<'_>, chance: &Chance, most: usize) -> Vec<Draft> {
    let picked = chance.pick(source.questions(), most, |question| Traits {
        sentence: question.sentence,
        form: question.form,
        bias: 0,
        text: question.text.clone(),
    });
    let word = |(i, question): (usize, &crate::rules::question::Question)| {
        draft(WORDINGS[chance.wording(i, WORDINGS.len())], &[("answer", &question.answer)], &question.text)
    };
    picked.into_iter().enumerate().map(word).collect()
}
