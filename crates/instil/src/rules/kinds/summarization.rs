//! Summaries made of the passage's most central sentences.

use super::wording::draft;
use super::{Chance, Draft, Source, Traits};
use crate::rules::text::{Sentence, Text, capitalised};
use crate::rules::words::{Class, is_stop};

const ONE: &[&str] = &[
    "{{context}}\n\nSummarize the text above in one sentence.",
    "What is the main point of this text? Answer in a single sentence.\n\n{{context}}",
    "Text: {{context}}\n\nGive the gist of it in one sentence.",
    "Boil the following down to its central statement.\n\n{{context}}",
    "{{context}}\n\nIf a reader had time for only one sentence of this, what should it say?",
    "Write a one-sentence summary.\n\n{{context}}\n\nSummary:",
    "{{context}}\n\nIn short:",
];

const TWO: &[&str] = &[
    "{{context}}\n\nSummarize the text above in two sentences.",
    "Give the two most important statements of this text.\n\n{{context}}",
    "Text: {{context}}\n\nCut this down to two sentences that keep what matters most.",
    "Write a short summary (two sentences) of the following.\n\n{{context}}",
];

/// The fewest sentences, and clean ones among them, of a passage that is worth a summary.
const SENTENCES: usize = 3;
const CLEAN: usize = 2;

struct Summary {
    text: String,
    sentence: usize,
    wordings: &'static [&'static str],
    rank: u32,
}

pub(super) fn drafts(source: &Source<'_>, chance: &Chance, most: usize) -> Vec<Draft> {
    let text = &source.text;
    if text.sentences.len() < SENTENCES || text.clean().count() < CLEAN {
        return Vec::new();
    }
    let mut central: Vec<(f64, &Sentence)> = text
        .clean()
        .filter(|sentence| sentence.alone && is_claim(sentence))
        .map(|sentence| (centrality(text, sentence), sentence))
        .collect();
    central.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.index.cmp(&b.1.index)));
    central.truncate(3);
    let mut summaries: Vec<Summary> = Vec::new();
    if let Some((_, best)) = central.first() {
        summaries.push(Summary { text: shortened(text, best), sentence: best.index, wordings: ONE, rank: 0 });
    }
    if let [(_, one), (_, two), ..] = central.as_slice() {
        let (first, second) = if one.index < two.index { (one, two) } else { (two, one) };
        let both = format!("{} {}", shortened(text, first), shortened(text, second));
        summaries.push(Summary { text: both, sentence: 1 + text.sentences.len(), wordings: TWO, rank: 1 });
    }
    let passage = source.passage().trim().len();
    summaries.retain(|summary| summary.text.len() * 2 < passage);
    let picked = chance.pick(&summaries, most, |summary| Traits {
        sentence: summary.sentence,
        form: if summary.rank == 0 { "one" } else { "two" },
        bias: summary.rank,
        text: summary.text.clone(),
    });
    let word = |(i, summary): (usize, &Summary)| {
        draft(summary.wordings[chance.wording(i, summary.wordings.len())], &[], &summary.text)
    };
    picked.into_iter().enumerate().map(word).collect()
}

/// Whether the sentence states something, rather than setting a condition or giving an example.
fn is_claim(sentence: &Sentence) -> bool {
    let first = sentence.tokens[0].lower.as_str();
    // "the 4(th) year" would lose a part of a word with its brackets.
    let glued =
        sentence.tokens.windows(2).any(|pair| pair[1].is("(") && pair[0].span.end == pair[1].span.start);
    !glued && !matches!(first, "if" | "when" | "i" | "to" | "you") && sentence.tokens.len() >= 8
}

/// How much of what the passage repeats is in the sentence, for its length; early sentences count a little more.
fn centrality(text: &Text<'_>, sentence: &Sentence) -> f64 {
    let mut seen = std::collections::HashSet::new();
    let shared: f64 = sentence
        .tokens
        .iter()
        .filter(|token| {
            token.word && !token.digit && !is_stop(&token.lower) && seen.insert(token.lower.as_str())
        })
        .map(|token| f64::from(text.counts.get(&token.lower).copied().unwrap_or(1)) - 1.0)
        .sum();
    let words = sentence.tokens.len() as f64;
    let early = if sentence.index == 0 {
        1.3
    } else if sentence.index + 1 == text.sentences.len() {
        1.1
    } else {
        1.0
    };
    let telling = sentence.tokens.iter().any(|token| token.class.any(Class::TELLING));
    let defines = sentence.clause.as_ref().is_some_and(|clause| {
        let rest = &sentence.tokens[clause.short.start];
        sentence.tokens[clause.verb].is("is") && (rest.is("a") || rest.is("an"))
    });
    let early = if telling || defines { early * 1.4 } else { early };
    let certain = if sentence.clause.is_some() { 1.4 } else { 1.0 };
    (shared + 0.5) / words.sqrt() * early * certain
}

/// The sentence without what stands in brackets and without clauses that can be left away.
fn shortened(text: &Text<'_>, sentence: &Sentence) -> String {
    let end = sentence.clause.as_ref().map_or(sentence.tokens.len(), |clause| clause.short.end);
    let mut out = String::new();
    let mut depth = 0;
    let mut last_end = None;
    for token in &sentence.tokens[..end] {
        if token.is("(") {
            depth += 1;
        }
        if depth == 0 {
            let glued = last_end == Some(token.span.start);
            if !out.is_empty() && !glued && !matches!(token.lower.as_str(), "," | ";" | ":") {
                out.push(' ');
            }
            out.push_str(&text.text[token.span.clone()]);
        }
        if token.is(")") {
            depth -= 1;
        }
        last_end = Some(token.span.end);
    }
    capitalised(&format!("{out}."))
}
