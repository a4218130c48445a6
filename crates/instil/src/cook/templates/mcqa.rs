//! T1, multiple-choice QA: the answer is the option that shares most words with the question.

use super::{Ambiguous, Family, Template, needs, owned};
use crate::cook::content::Content;
use crate::cook::draw::Draw;
use crate::cook::frame::{Frame, Texts, Wording};
use crate::cook::knobs::{Knob, Settings};
use crate::cook::ops;
use crate::cook::reading::Reading;
use crate::cook::score::{answer_words, by_rank};
use crate::cook::tokens::{Mark, Pool};
use crate::error::Result;

const SLOTS: [&str; 4] = ["question", "options", "gold", "answer"];
const QUESTION: usize = 0;
const OPTIONS: usize = 1;
/// The text of the right option, whatever the answer is: evaluation scores texts.
const GOLD: usize = 2;
const ANSWER: usize = 3;

const KNOBS: &[Knob] = &[
    Knob::count("question_len", "Words of the question.", (10, 40), (1, 10_000)),
    Knob::count("options", "Options to choose from.", (4, 4), (2, 20)),
    Knob::count("shared", "Words that the right option takes from the question.", (3, 6), (1, 100)),
    Knob::count("fresh", "Words of the right option that are drawn anew.", (1, 4), (0, 100)),
    Knob::count("margin", "By how many words less, at least, the others overlap.", (2, 2), (1, 100)),
    Knob::share("flip", "How often another option overlaps by just one word less.", 0),
    Knob::choice("output", "What the answer is: the option's letter or its text.", &["label", "text"]),
];
const QUESTION_LEN: usize = 0;
const COUNT: usize = 1;
const SHARED: usize = 2;
const FRESH: usize = 3;
const MARGIN: usize = 4;
const FLIP: usize = 5;
const OUTPUT: usize = 6;

/// So often is an option drawn before the whole sample is.
const TRIES: usize = 16;

const TEXTS: Texts = Texts {
    asks: &[
        "Choose the option that has the most words in common with the question.",
        "Which option overlaps most with the question? Exactly one does.",
        "Compare each option with the question word by word and pick the one that shares the most.",
        "One of the options repeats more words of the question than any other. Name it.",
    ],
    bodies: &[
        ("Question:{question}\n{options/@.*/\n}\n", "Answer:", "{answer}"),
        ("Question:{question}\nOptions:\n{options/(@)*/\n}\n", "Choice:", "{answer}"),
        ("Q:{question}\n\n{options/@)*/\n}\n\n", "A:", "{answer}"),
        ("{question}\n{options/- @:*/\n}\n", "The best option is:", "{answer}"),
    ],
    // arc_easy and arc_challenge: options aren't shown, their texts are scored.
    harness: ("Question:{question}\nAnswer:", "{gold}"),
};

/// T1: the option nearest to the question.
#[derive(Debug)]
pub(super) struct Mcqa;

impl Template for Mcqa {
    fn name(&self) -> &str {
        "mcqa"
    }

    fn family(&self) -> Family {
        Family::Selection
    }

    fn about(&self) -> &str {
        "The answer is the option that shares most words with the question."
    }

    fn stands_for(&self) -> &str {
        "multiple-choice questions (ARC, OpenBookQA, MMLU)"
    }

    fn knobs(&self) -> &[Knob] {
        KNOBS
    }

    fn slots(&self) -> Vec<&str> {
        SLOTS.to_vec()
    }

    fn options(&self) -> Option<usize> {
        Some(OPTIONS)
    }

    fn frames(&self, wording: Wording) -> Result<Vec<Frame>> {
        TEXTS.frames(wording, &SLOTS)
    }

    fn check(&self, settings: &Settings, pool: &Pool) -> Result<()> {
        let [question, shared, margin] = [QUESTION_LEN, SHARED, MARGIN].map(|knob| settings.at(knob));
        if question.lo < shared.hi {
            return Err(settings.impossible(
                QUESTION_LEN,
                SHARED,
                "the option takes more words than there are",
            ));
        }
        if shared.lo < margin.hi {
            return Err(settings.impossible(SHARED, MARGIN, "no option overlaps by less than no word"));
        }
        needs(pool, 4 * question.hi, "options that hardly overlap with their questions")
    }

    fn make(
        &self,
        settings: &Settings,
        draw: &mut Draw,
        pool: &Pool,
        content: &mut Content,
    ) -> Result<(), Ambiguous> {
        let Draw { steady, free, .. } = draw;
        let [len, options, shared, fresh, margin] = [QUESTION_LEN, COUNT, SHARED, FRESH, MARGIN]
            .map(|knob| steady.within(settings.at(knob)) as usize);
        let gold = steady.below(options as u32) as usize;
        let flip = steady.within(settings.at(FLIP));

        content.begin(QUESTION);
        ops::sample(free, pool.size(), len, &mut content.tokens);
        let question = content.close();
        let seen = ops::Filter::of(&content.tokens[question.clone()]);
        content.begin(OPTIONS);
        let mut most = 0;
        for option in 0..options {
            // Another option may share so many words; the right one shares `shared`, or more by chance.
            let limit = shared - if option == gold || free.chance(flip) { 1 } else { margin };
            let wanted = match option == gold {
                true => shared,
                false if limit == shared - 1 => limit,
                false => free.between(0, limit as u32) as usize,
            };
            let start = content.tokens.len();
            for attempt in 0.. {
                content.scratch.clear();
                ops::pick(free, &content.tokens[question.clone()], wanted, &mut content.scratch);
                ops::sample(free, pool.size(), shared + fresh - wanted, &mut content.scratch);
                let overlap = seen.overlap(&content.tokens[question.clone()], &content.scratch);
                if option == gold || overlap <= limit {
                    most = most.max(if option == gold { 0 } else { overlap });
                    break;
                }
                if attempt == TRIES {
                    return Err(Ambiguous);
                }
            }
            ops::shuffle(free, &mut content.scratch);
            content.tokens.extend_from_slice(&content.scratch);
            debug_assert_eq!(content.tokens.len(), start + shared + fresh);
            content.close();
        }
        if most >= shared {
            return Err(Ambiguous);
        }
        let right = content.ranges(OPTIONS).nth(gold).unwrap_or_default();
        content.copy(GOLD, right.clone());
        match settings.at(OUTPUT).lo {
            0 => content.put(ANSWER, &[pool.mark(Mark::Letter(gold as u32))]),
            _ => content.copy(ANSWER, right),
        }
        content.facts.choice = Some((gold as u32, options as u32));
        Ok(())
    }

    fn solve(&self, settings: &Settings, asked: &Reading<'_>) -> Option<Vec<String>> {
        let options = asked.items(OPTIONS);
        let best = best_option(&overlaps(options, asked.first(QUESTION)))?;
        Some(match settings.at(OUTPUT).lo {
            0 if asked.wanted() != GOLD => vec![char::from(b'A' + best as u8).to_string()],
            _ => owned(&options[best]),
        })
    }

    fn score(&self, settings: &Settings, asked: &Reading<'_>, output: &str) -> f64 {
        let (said, options) = (answer_words(output), asked.items(OPTIONS));
        let chosen = match settings.at(OUTPUT).lo {
            0 => options.iter().enumerate().position(|(place, option)| {
                let letter = char::from(b'A' + place as u8).to_string();
                said == [letter.as_str()] || said == *option
            }),
            _ => options.iter().position(|option| said == *option),
        };
        let overlaps = overlaps(options, asked.first(QUESTION));
        by_rank(&overlaps, best_option(&overlaps), chosen)
    }
}

/// How many words each option shares with the question, each word as often as both have it.
pub(super) fn overlaps(options: &[Vec<&str>], question: &[&str]) -> Vec<usize> {
    let shared = |option: &Vec<&str>| {
        let mut left = question.to_vec();
        let take =
            |word: &&&str| left.iter().position(|one| one == *word).map(|at| left.swap_remove(at)).is_some();
        option.iter().filter(take).count()
    };
    options.iter().map(shared).collect()
}

/// The place of the largest of these numbers; none if there are two.
pub(super) fn best_option(overlaps: &[usize]) -> Option<usize> {
    let most = *overlaps.iter().max()?;
    let mut best = (0..overlaps.len()).filter(|place| overlaps[*place] == most);
    best.next().filter(|_| best.next().is_none())
}
