//! Text generation: an order for a text, and the passage as the text that fills it.

use super::wording::draft;
use super::{Chance, Draft, Source, Traits};
use crate::prompt::bonito::PLACEHOLDER;
use crate::rules::text::{Text, collapse};
use crate::rules::value::Kind;

const BY_OPENING: &[&str] = &[
    "Write a passage that begins with the words \"[opening]\" and mentions [topics].",
    "Continue this beginning into a passage of [sentences] sentences that touches on [topics]:\n\n[opening] ...",
    "Write about [topics]. Your text should open with \"[opening]\".",
];

const BY_FIRST: &[&str] = &[
    "Here is the first sentence of a text: \"[first]\" Write the whole text. It should also speak of [topics].",
    "Write a passage that starts from this statement and works in [topics]:\n\n[first]",
    "Expand the following sentence into a full passage in which [topics] come up.\n\n[first]",
];

struct Item {
    wording: &'static str,
    topics: String,
}

pub(super) fn drafts(source: &Source<'_>, chance: &Chance, most: usize) -> Vec<Draft> {
    let text = &source.text;
    let whole = text.clean().count();
    let Some(first) = text.sentences.first().filter(|sentence| sentence.clean && sentence.core.start == 0)
    else {
        return Vec::new();
    };
    if whole < 3 || whole * 3 < text.sentences.len() * 2 || source.passage().len() > 2_500 {
        return Vec::new();
    }
    let topics = topics(text);
    if topics.len() < 3 {
        return Vec::new();
    }
    let words: Vec<&str> = source.passage().split_whitespace().take(6).collect();
    let opening = words.join(" ").trim_end_matches([',', ';', ':', '(', '"', '“']).to_owned();
    let first = collapse(&format!("{}.", &text.text[first.core.clone()]));
    let mut items = Vec::new();
    for (turn, wording) in BY_OPENING.iter().chain(BY_FIRST).enumerate() {
        let some: Vec<&str> = (0..3).map(|i| topics[(turn + i) % topics.len()].as_str()).collect();
        items.push(Item { wording, topics: format!("{}, {} and {}", some[0], some[1], some[2]) });
    }
    let count = text.sentences.len().to_string();
    let picked = chance.pick(&items, most, |item| Traits {
        sentence: 0,
        form: "order",
        bias: 0,
        text: item.wording.to_owned(),
    });
    let parts = |item: &Item| {
        draft(
            item.wording,
            &[("opening", &opening), ("topics", &item.topics), ("sentences", &count), ("first", &first)],
            PLACEHOLDER,
        )
    };
    picked.into_iter().map(parts).collect()
}

/// Names and phrases of the later sentences, each as it would stand in a list.
fn topics(text: &Text<'_>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for sentence in text.clean().filter(|sentence| sentence.index > 0) {
        let shouted = |words: &str| !words.chars().any(char::is_lowercase) || words.contains('/');
        let told = |words: &str| {
            text.sentences[0].clean
                && crate::rules::question::occurs(&text.text[text.sentences[0].core.clone()], words)
        };
        let topic = sentence.values.iter().find(|value| {
            matches!(value.kind, Kind::Name | Kind::Phrase) && !shouted(&value.text) && !told(&value.text)
        });
        let Some(topic) = topic else { continue };
        let before = topic.tokens.start.checked_sub(1).map(|i| sentence.tokens[i].lower.as_str());
        let words = match before {
            Some(article @ ("the" | "a" | "an")) => format!("{article} {}", topic.text),
            _ => topic.text.clone(),
        };
        if !found.iter().any(|known| {
            known.to_lowercase().contains(&words.to_lowercase())
                || words.to_lowercase().contains(&known.to_lowercase())
        }) {
            found.push(words);
        }
    }
    found
}
