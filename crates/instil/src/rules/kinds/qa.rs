//! Question answering in whole phrases and sentences.

use super::wording::draft;
use super::{Chance, Draft, Source, Traits};
use crate::rules::question::occurs;
use crate::rules::text::{Sentence, Text, capitalised, collapse};
use crate::rules::value::Kind;
use crate::rules::words::Class;

const WORDINGS: &[&str] = &[
    "{{context}}\n\nQuestion: [question]",
    "[question]\n\nUse the following text to answer.\n\n{{context}}",
    "Text: {{context}}\n\nAnswer this question about the text: [question]\n\nAnswer:",
    "I have read this:\n\n{{context}}\n\n[question]",
    "Answer the question with what you learn from the text.\n\n{{context}}\n\nQ: [question]\nA:",
    "{{context}}\n\nSomeone asks: [question] How would you reply, going by the text?",
    "Consider this text.\n\n{{context}}\n\nNow tell me: [question]",
];

struct Item {
    question: String,
    answer: String,
    sentence: usize,
    form: &'static str,
}

pub(super) fn drafts(source: &Source<'_>, chance: &Chance, most: usize) -> Vec<Draft> {
    let text = &source.text;
    let mut items: Vec<Item> = Vec::new();
    for question in source.questions() {
        items.push(Item {
            question: question.text.clone(),
            answer: as_reply(&question.answer),
            sentence: question.sentence,
            form: question.form,
        });
    }
    for sentence in &text.sentences {
        items.extend(definition(text, sentence));
        items.extend(condition(text, sentence));
        items.extend(about(text, sentence));
    }
    // A question that is to be denied is answered with the sentence that says how it is.
    for statement in
        source.statements().iter().filter(|statement| matches!(statement.form, "altered" | "opposite"))
    {
        if let Some(question) = &statement.question {
            let answer = format!("No. {}", statement.base);
            items.push(Item {
                question: question.clone(),
                answer,
                sentence: statement.sentence,
                form: "denied",
            });
        }
    }
    let picked = chance.pick(&items, most, |item| Traits {
        sentence: item.sentence,
        form: item.form,
        bias: if item.form == "about" { 3 } else { 0 },
        text: item.question.clone(),
    });
    let word = |(i, item): (usize, &Item)| {
        draft(WORDINGS[chance.wording(i, WORDINGS.len())], &[("question", &item.question)], &item.answer)
    };
    picked.into_iter().enumerate().map(word).collect()
}

/// A phrase as one would say it in reply: with a capital, and a full stop if it is long.
fn as_reply(answer: &str) -> String {
    let stop = if answer.split_whitespace().count() > 3 && !answer.ends_with('.') { "." } else { "" };
    format!("{}{stop}", capitalised(answer))
}

/// `"X" means Y.` -> How is "X" defined?
fn definition(text: &Text<'_>, sentence: &Sentence) -> Option<Item> {
    let tokens = &sentence.tokens;
    if !sentence.clean || tokens.len() < 8 {
        return None;
    }
    let open = tokens.iter().take(4).position(|token| token.is("“") || token.is("\""))?;
    let close =
        open + 1 + tokens[open + 1..].iter().take(6).position(|token| token.is("”") || token.is("\""))?;
    let after = &tokens[close + 1..];
    let skip = match (after.first()?.lower.as_str(), after.get(1)?.lower.as_str()) {
        ("means", _) => 1,
        ("shall" | "will", "mean") => 2,
        ("refers", "to") => 2,
        _ => return None,
    };
    let before_is_plain = tokens[..open]
        .iter()
        .all(|token| matches!(token.lower.as_str(), "the" | "term" | "expression" | "word" | "phrase"));
    let meaning = &after[skip..];
    if !before_is_plain || meaning.len() < 4 || !meaning[0].word {
        return None;
    }
    let term = text.words(&tokens[open + 1..close]);
    let answer = text.words(meaning);
    Some(Item {
        question: format!("How does the text define the term \"{term}\"?"),
        answer: as_reply(&answer),
        sentence: sentence.index,
        form: "define",
    })
}

/// "If C, S." -> What follows if C?
fn condition(text: &Text<'_>, sentence: &Sentence) -> Option<Item> {
    let tokens = &sentence.tokens;
    if !sentence.alone || !tokens[0].is("if") {
        return None;
    }
    let comma = tokens.iter().position(|token| token.is(","))?;
    let main = &tokens[comma + 1..];
    let condition = &tokens[1..comma];
    let again = condition
        .iter()
        .any(|token| matches!(token.lower.as_str(), "it" | "they" | "these" | "this" | "so" | "such"));
    let opens = main.first().is_some_and(|token| {
        token.word
            && !token.class.any(Class::CONJ | Class::ADV | Class::SUB | Class::PREP)
            && !token.lower.ends_with("ing")
    });
    let said = main.iter().take(8).any(|token| token.class.any(Class::AUX | Class::FINITE));
    if condition.len() < 4
        || main.len() < 5
        || again
        || !opens
        || !said
        || main.iter().any(|token| token.is("if") || token.is(";"))
    {
        return None;
    }
    let lead = text.words(condition);
    // "If you or a child, who ..." has a comma inside the condition.
    let whole = condition.iter().any(|token| token.class.any(Class::AUX | Class::FINITE));
    let answer = format!("{}.", capitalised(&text.words(main)));
    (whole && !occurs(&lead, &answer)).then(|| Item {
        question: format!("According to the text, what applies if {lead}?"),
        answer,
        sentence: sentence.index,
        form: "condition",
    })
}

/// "What does the text say about X?" for an X that only one sentence speaks of.
fn about(text: &Text<'_>, sentence: &Sentence) -> Option<Item> {
    if !sentence.alone || sentence.tokens.len() < 10 {
        return None;
    }
    let subject = sentence.clause.as_ref().map_or(0..0, |clause| clause.subject.clone());
    let topical = |kind: &Kind, at: &std::ops::Range<usize>| match kind {
        Kind::Name => {
            let before = at.start.checked_sub(1).map(|i| &sentence.tokens[i]);
            let party = sentence.tokens[at.end - 1].class.any(Class::PARTY);
            let aside = before.is_some_and(|token| token.class.any(Class::PREP | Class::CONJ));
            !party && (subject.contains(&at.start) || at.len() > 1 && !aside)
        }
        Kind::Phrase | Kind::Quoted => subject.contains(&at.start),
        _ => false,
    };
    let mut topics = sentence.values.iter().filter(|value| topical(&value.kind, &value.tokens));
    let topic = topics.find(|value| text.occurrences(&value.text) == 1)?;
    let before = &sentence.tokens[topic.tokens.start.checked_sub(1)?];
    let article = if before.is("the") { "the " } else { "" };
    if before.word && !before.class.any(Class::CLOSED) {
        return None;
    }
    let bare_singular = before.is("a") || before.is("an");
    let words = &topic.text;
    let phrase =
        if bare_singular { format!("{} {words}", before.lower) } else { format!("{article}{words}") };
    let answer = collapse(&format!("{}.", capitalised(&text.text[sentence.core.clone()])));
    Some(Item {
        question: format!("What does the text say about {phrase}?"),
        answer,
        sentence: sentence.index,
        form: "about",
    })
}
