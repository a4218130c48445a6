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
    "Compose a text of about [sentences] sentences. Its first words are \"[opening]\"; later it comes to [topics].",
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
    let Some(first) = text.sentences.first().filter(|sentence| sentence.core.start == 0) else {
        return Vec::new();
    };
    let whole = source.passage().trim_end().ends_with(['.', '?', '!', '”', '"', ')']);
    let topics = topics(text);
    if !whole || topics.len() < 2 || text.sentences.len() < 2 || text.sentences.len() > 20 {
        return Vec::new();
    }
    let words: Vec<&str> = source.passage().split_whitespace().take(6).collect();
    let opening = words.join(" ").trim_end_matches([',', ';', ':', '(', '"', '“']).to_owned();
    let plain =
        opening.chars().all(|c| c.is_alphanumeric() || matches!(c, ' ' | ',' | '-' | '\'' | '’' | '(' | ')'));
    let wordings = if plain { BY_OPENING } else { &[] };
    let more = if first.clean { BY_FIRST } else { &[] };
    let first = collapse(&format!("{}.", &text.text[first.core.clone()]));
    let mut items = Vec::new();
    for (turn, wording) in wordings.iter().chain(more).enumerate() {
        let some: Vec<&str> =
            (0..topics.len().min(3)).map(|i| topics[(turn + i) % topics.len()].as_str()).collect();
        let (last, others) = some.split_last().expect("there are two topics at least");
        items.push(Item { wording, topics: format!("{} and {last}", others.join(", ")) });
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
