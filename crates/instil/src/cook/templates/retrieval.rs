//! T5, passage retrieval: the answer is the passage that the query is a noisy span of.

use super::mcqa::{best_option, overlaps};
use super::{Ambiguous, Family, Template, needs, owned};
use crate::cook::content::Content;
use crate::cook::draw::Draw;
use crate::cook::frame::{Frame, Texts, Wording};
use crate::cook::knobs::{Knob, Settings};
use crate::cook::ops;
use crate::cook::reading::Reading;
use crate::cook::score::{answer_words, by_rank};
use crate::cook::tokens::{Mark, NUMBERS, Pool};
use crate::error::Result;

const SLOTS: [&str; 3] = ["passages", "query", "answer"];
const PASSAGES: usize = 0;
const QUERY: usize = 1;
const ANSWER: usize = 2;

const KNOBS: &[Knob] = &[
    Knob::count("passages", "Passages to choose from.", (3, 8), (2, NUMBERS - 1)),
    Knob::count("passage_len", "Words of a passage.", (20, 60), (1, 10_000)),
    Knob::count("query_len", "Words of the query.", (4, 10), (1, 1000)),
    Knob::share("noise", "How often a word of the query is replaced by another.", 200_000).at_most(800_000),
    Knob::count("margin", "By how many words less, at least, the others overlap.", (2, 2), (1, 100)),
    Knob::choice("output", "What the answer is: the passage's number or its text.", &["number", "text"]),
];
const COUNT: usize = 0;
const PASSAGE_LEN: usize = 1;
const QUERY_LEN: usize = 2;
const NOISE: usize = 3;
const MARGIN: usize = 4;
const OUTPUT: usize = 5;

const TEXTS: Texts = Texts {
    asks: &[
        "Which passage is the query about? It shares most words with it.",
        "Find the passage that contains the words of the query.",
        "Search the passages for the query and name the best match.",
        "Rank the passages by the words they share with the query and give the first.",
    ],
    bodies: &[
        ("{passages/[#]*/\n}\n\nQuery:{query}\n", "Passage:", "{answer}"),
        ("Passages:\n{passages/#.*/\n}\nQuery:{query}\n", "Answer:", "{answer}"),
        ("{passages/Passage #:*/\n\n}\n\nSearch:{query}\n", "Best match:", "{answer}"),
        ("Documents\n{passages/(#)*/\n}\n\nWords:{query}\n", "Found in:", "{answer}"),
    ],
    // The table of spec 6 has no such task: a form with numbered passages, as retrieval is prompted for.
    harness: ("{passages/[#]*/\n}\nQuestion:{query}\nAnswer:", "{answer}"),
};

/// T5: the passage of a query.
#[derive(Debug)]
pub(super) struct Retrieval;

impl Template for Retrieval {
    fn name(&self) -> &str {
        "retrieval"
    }

    fn family(&self) -> Family {
        Family::Search
    }

    fn about(&self) -> &str {
        "The answer is the passage that shares most words with the query."
    }

    fn stands_for(&self) -> &str {
        "passage retrieval (MS MARCO)"
    }

    fn knobs(&self) -> &[Knob] {
        KNOBS
    }

    fn slots(&self) -> Vec<&str> {
        SLOTS.to_vec()
    }

    fn frames(&self, wording: Wording) -> Result<Vec<Frame>> {
        TEXTS.frames(wording, &SLOTS)
    }

    fn check(&self, settings: &Settings, pool: &Pool) -> Result<()> {
        let [passage, query, margin] = [PASSAGE_LEN, QUERY_LEN, MARGIN].map(|knob| settings.at(knob));
        if passage.lo < query.hi {
            return Err(settings.impossible(PASSAGE_LEN, QUERY_LEN, "the query is longer than the passage"));
        }
        if query.lo < margin.hi {
            return Err(settings.impossible(QUERY_LEN, MARGIN, "no passage overlaps by less than no word"));
        }
        needs(pool, 2 * passage.hi, "passages that have little in common")
    }

    fn make(
        &self,
        settings: &Settings,
        draw: &mut Draw,
        pool: &Pool,
        content: &mut Content,
    ) -> Result<(), Ambiguous> {
        let Draw { steady, free, .. } = draw;
        let passages = steady.within(settings.at(COUNT)) as usize;
        let gold = steady.below(passages as u32) as usize;
        let query_len = steady.within(settings.at(QUERY_LEN)) as usize;
        let margin = steady.within(settings.at(MARGIN)) as usize;
        let noise = steady.within(settings.at(NOISE));

        content.begin(PASSAGES);
        let mut right = 0..0;
        for passage in 0..passages {
            let len = steady.within(settings.at(PASSAGE_LEN)) as usize;
            ops::sample(free, pool.size(), len, &mut content.tokens);
            let range = content.close();
            if passage == gold {
                right = range;
            }
        }
        let start = right.start + ops::span(steady, right.len(), query_len);
        content.copy(QUERY, start..start + query_len);
        let query = content.ranges(QUERY).next().unwrap_or_default();
        ops::replace(free, pool.size(), noise, &mut content.tokens[query.clone()]);

        let asked = &content.tokens[query];
        let seen = ops::Filter::of(asked);
        let (mut best, mut next) = (0, 0);
        for (passage, words) in content.items(PASSAGES).enumerate() {
            let overlap = seen.overlap(asked, words);
            if passage == gold {
                best = overlap;
            } else {
                next = next.max(overlap);
            }
        }
        if best < next + margin {
            return Err(Ambiguous);
        }
        match settings.at(OUTPUT).lo {
            0 => content.put(ANSWER, &[pool.mark(Mark::Number(gold as u32 + 1))]),
            _ => content.copy(ANSWER, right),
        }
        content.facts.choice = Some((gold as u32, passages as u32));
        Ok(())
    }

    fn solve(&self, settings: &Settings, asked: &Reading<'_>) -> Option<Vec<String>> {
        let passages = asked.items(PASSAGES);
        let best = best_option(&overlaps(passages, asked.first(QUERY)))?;
        Some(match settings.at(OUTPUT).lo {
            0 => vec![(best + 1).to_string()],
            _ => owned(&passages[best]),
        })
    }

    fn score(&self, settings: &Settings, asked: &Reading<'_>, output: &str) -> f64 {
        let (said, passages) = (answer_words(output), asked.items(PASSAGES));
        let chosen = match settings.at(OUTPUT).lo {
            0 => (0..passages.len()).find(|place| said == [(place + 1).to_string().as_str()]),
            _ => passages.iter().position(|passage| said == *passage),
        };
        let overlaps = overlaps(passages, asked.first(QUERY));
        by_rank(&overlaps, best_option(&overlaps), chosen)
    }
}
