//! Multiple choice: the options are of one kind and come from the same passage.

use rand::seq::SliceRandom;

use super::exqa::bias;
use super::wording::draft;
use super::{Chance, Draft, Source, Traits};
use crate::rng::from_seed;
use crate::rules::question::{GAP, Question};
use crate::rules::statement::{Statement, Truth};
use crate::rules::text::{Sentence, Text, flat};
use crate::rules::value::{Kind, Value, is_plural_noun};
use crate::rules::words::Class;

/// The fewest and most options.
const FEWEST: usize = 3;
const MOST: usize = 4;

/// Wordings that want the option's text.
const BY_TEXT: &[&str] = &[
    "{{context}}\n\nQuestion: [question]\n\nOptions:\n[options]\n\nWhich option is right by the text?",
    "Read the text, then choose the right answer.\n\n{{context}}\n\n[question]\n[options]\n\nWrite out the option you choose.",
    "[question]\n\nChoices:\n[options]\n\nThe text to decide by:\n{{context}}",
    "Text: {{context}}\n\n[question]\n\nPick one:\n[options]",
];

/// Wordings that want its letter.
const BY_LETTER: &[&str] = &[
    "{{context}}\n\n[question]\n\n[options]\n\nAnswer with the letter of the right option.",
    "Text: {{context}}\n\nQuestion: [question]\n[options]\nReply with one letter.",
    "Choose by the text below. Give only the letter.\n\n[question]\n[options]\n\n{{context}}",
];

struct Item {
    question: String,
    answer: String,
    options: Vec<String>,
    sentence: usize,
    form: &'static str,
}

pub(super) fn drafts(source: &Source<'_>, chance: &Chance, most: usize) -> Vec<Draft> {
    let asked = source.questions().iter().chain(source.gaps());
    let mut items: Vec<Item> = asked
        .filter_map(|question| {
            let options = others(&source.text, question);
            let gap = question.form.starts_with("gap");
            let lead = if gap { "What belongs in the gap? " } else { "" };
            (options.len() + 1 >= FEWEST).then(|| Item {
                question: format!("{lead}{}", question.text),
                answer: question.answer.clone(),
                options,
                sentence: question.sentence,
                form: question.form,
            })
        })
        .collect();
    items.extend(right_or_wrong(source, Truth::Follows, Truth::Conflicts));
    items.extend(right_or_wrong(source, Truth::Conflicts, Truth::Follows));
    let picked = chance.pick(&items, most, |item| Traits {
        sentence: item.sentence,
        form: item.form,
        bias: if item.form.starts_with("which") { 1 } else { bias(item.form) },
        text: item.question.clone() + &item.answer,
    });
    picked.into_iter().enumerate().map(|(i, item)| word(i, item, chance)).collect()
}

/// Which statement the text bears out, or which it contradicts: each option from another sentence.
fn right_or_wrong(source: &Source<'_>, right: Truth, wrong: Truth) -> Vec<Item> {
    let (question, form) = match right {
        Truth::Follows => ("Which of these statements agrees with the text?", "which-agrees"),
        _ => ("Which of these statements contradicts the text?", "which-contradicts"),
    };
    let short = |statement: &&Statement| statement.text.split_whitespace().count() <= 22;
    let of = |truth: Truth| {
        source.statements().iter().filter(move |statement| statement.truth == truth).filter(short)
    };
    let mut items = Vec::new();
    let mut used = Vec::new();
    for answer in of(right) {
        if used.contains(&answer.sentence) {
            continue;
        }
        used.push(answer.sentence);
        let mut sentences = vec![answer.sentence];
        let mut options = Vec::new();
        for option in of(wrong) {
            if !sentences.contains(&option.sentence) {
                sentences.push(option.sentence);
                options.push(option.text.clone());
            }
        }
        if options.len() + 1 >= FEWEST {
            items.push(Item {
                question: question.to_owned(),
                answer: answer.text.clone(),
                options,
                sentence: answer.sentence,
                form,
            });
        }
    }
    items
}

fn word(i: usize, item: &Item, chance: &Chance) -> Draft {
    let mut rng = from_seed(chance.draw(&format!("options {i}")));
    let mut options = item.options.clone();
    options.shuffle(&mut rng);
    options.truncate(MOST - 1);
    options.push(item.answer.clone());
    options.shuffle(&mut rng);
    let right = options.iter().position(|option| *option == item.answer).expect("the answer was just put in");
    let letters = ["A", "B", "C", "D"];
    let style = chance.draw(&format!("style {i}")) % 5;
    let lettered = |mark: &str| -> Vec<String> {
        options.iter().zip(letters).map(|(option, letter)| format!("{letter}{mark} {option}")).collect()
    };
    let lines = match style {
        0 | 1 => options.iter().map(|option| format!("- {option}")).collect(),
        2 | 3 => lettered(")"),
        _ => lettered("."),
    };
    let by_letter = style >= 3;
    let wordings = if by_letter { BY_LETTER } else { BY_TEXT };
    let response = if by_letter { letters[right] } else { options[right].as_str() };
    draft(
        wordings[chance.wording(i, wordings.len())],
        &[("question", &item.question), ("options", &lines.join("\n"))],
        response,
    )
}

/// Wrong options: values of the same kind, or for a subject the subjects of other sentences.
fn others(text: &Text<'_>, question: &Question) -> Vec<String> {
    let Some(own) = text.sentences.get(question.sentence) else { return Vec::new() };
    let own_value = own.values.iter().find(|value| value.text == question.answer);
    let own_article = own_value.and_then(|value| article(own, value));
    let mut pool: Vec<String> = Vec::new();
    match &question.kind {
        Some(kind) => {
            for sentence in text.clean() {
                let alike = sentence.values.iter().filter(|value| {
                    same_kind(kind, &value.kind)
                        && shape(&value.text) == shape(&question.answer)
                        && (*kind != Kind::Phrase || article(sentence, value) == own_article)
                });
                pool.extend(alike.map(|value| value.text.clone()));
            }
            if matches!(kind, Kind::Phrase | Kind::Name) {
                pool.retain(|other| is_plural(other) == is_plural(&question.answer));
            }
        }
        None if matches!(question.form, "who" | "what-subject") => {
            let person = own.clause.as_ref().is_some_and(|clause| clause.person);
            for sentence in text.sentences.iter().filter(|sentence| sentence.index != question.sentence) {
                let Some(clause) = sentence.clause.as_ref().filter(|clause| {
                    clause.person == person && !clause.quantified && clause.subject.len() <= 7
                }) else {
                    continue;
                };
                let subject = &sentence.tokens[clause.subject.clone()];
                if !subject[0].class.any(Class::PRON | Class::NUM) && !subject[0].digit {
                    pool.push(text.words(subject));
                }
            }
        }
        None => return Vec::new(),
    }
    // Everything is compared as words with a blank on either side.
    let (answer, asked) = (flat(&question.answer), flat(&question.text.replace(GAP, " ")));
    let mut kept: Vec<(String, String)> = Vec::new();
    for other in pool {
        let words = flat(&other);
        let clear = |known: &str| !known.contains(&words) && !words.contains(known);
        if clear(&answer) && !asked.contains(&words) && kept.iter().all(|(_, known)| clear(known)) {
            kept.push((other, words));
        }
    }
    kept.into_iter().map(|(other, _)| other).collect()
}

/// The article before a phrase: phrases that follow the same one can stand in each other's place.
fn article<'s>(sentence: &'s Sentence, value: &Value) -> Option<&'s str> {
    let before = &sentence.tokens[value.tokens.start.checked_sub(1)?];
    before.class.any(Class::DET).then_some(before.lower.as_str())
}

fn same_kind(one: &Kind, other: &Kind) -> bool {
    match (one, other) {
        (Kind::Measure(one), Kind::Measure(other)) => one == other,
        _ => std::mem::discriminant(one) == std::mem::discriminant(other),
    }
}

/// Options of one list begin alike: all with digits or none.
fn shape(text: &str) -> (bool, bool) {
    (text.starts_with(|c: char| c.is_ascii_digit() || c == '$'), text.split_whitespace().count() > 1)
}

fn is_plural(text: &str) -> bool {
    let last = flat(text).split_whitespace().next_back().unwrap_or_default().to_owned();
    crate::rules::text::tokenize(&last, 0..last.len()).first().is_some_and(is_plural_noun)
}
