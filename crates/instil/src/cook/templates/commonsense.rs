//! T2, commonsense selection: of several endings one is made of the goal's own words.

use super::mcqa::{best_option, overlaps};
use super::{Ambiguous, Family, Template, needs, owned};
use crate::cook::content::Content;
use crate::cook::draw::Draw;
use crate::cook::frame::{Frame, Texts, Wording};
use crate::cook::knobs::{Knob, Settings};
use crate::cook::ops;
use crate::cook::reading::Reading;
use crate::cook::score::{answer_words, by_rank};
use crate::cook::tokens::Pool;
use crate::error::Result;

const SLOTS: [&str; 3] = ["goal", "endings", "answer"];
const GOAL: usize = 0;
const ENDINGS: usize = 1;
const ANSWER: usize = 2;

const KNOBS: &[Knob] = &[
    Knob::count("goal_len", "Words of the goal.", (6, 20), (1, 10_000)),
    Knob::count("ending_len", "Words of each ending.", (3, 6), (1, 1000)),
    Knob::count("endings", "Endings to choose from.", (2, 2), (2, 20)),
    Knob::share("noise", "How often a word of the right ending is replaced by another.", 300_000)
        .at_most(900_000),
    Knob::count("shared", "Words of the goal that each wrong ending has by design.", (0, 0), (0, 100)),
];
const GOAL_LEN: usize = 0;
const ENDING_LEN: usize = 1;
const COUNT: usize = 2;
const NOISE: usize = 3;
const SHARED: usize = 4;

const TEXTS: Texts = Texts {
    asks: &[
        "Which ending is made of the words of the goal? Answer with the ending itself.",
        "One of the endings repeats words of the goal in another order. Copy that ending.",
        "Choose the ending that belongs to the goal and write it out.",
        "Pick the continuation that takes most of its words from the goal.",
    ],
    bodies: &[
        ("Goal:{goal}\n{endings/#.*/\n}\n", "Ending:", "{answer}"),
        ("Goal:{goal}\nEndings:\n{endings/-*/\n}\n", "Answer:", "{answer}"),
        ("Context:{goal}\n\n{endings/[#]*/\n}\n\n", "Continuation:", "{answer}"),
        ("{goal}\n{endings/(@)*/\n}\n", "The right one:", "{answer}"),
    ],
    // piqa: the endings aren't shown, their texts are scored.
    harness: ("Question:{goal}\nAnswer:", "{answer}"),
};

/// T2: the ending that comes from the goal.
#[derive(Debug)]
pub(super) struct Commonsense;

impl Template for Commonsense {
    fn name(&self) -> &str {
        "commonsense"
    }

    fn family(&self) -> Family {
        Family::Selection
    }

    fn about(&self) -> &str {
        "The answer is the ending that is a shuffled, noisy copy of a span of the goal."
    }

    fn stands_for(&self) -> &str {
        "choice between endings (PIQA, HellaSwag)"
    }

    fn knobs(&self) -> &[Knob] {
        KNOBS
    }

    fn slots(&self) -> Vec<&str> {
        SLOTS.to_vec()
    }

    fn options(&self) -> Option<usize> {
        Some(ENDINGS)
    }

    fn frames(&self, wording: Wording) -> Result<Vec<Frame>> {
        TEXTS.frames(wording, &SLOTS)
    }

    fn check(&self, settings: &Settings, pool: &Pool) -> Result<()> {
        let [goal, ending, shared] = [GOAL_LEN, ENDING_LEN, SHARED].map(|knob| settings.at(knob));
        if goal.lo < ending.hi {
            return Err(settings.impossible(
                GOAL_LEN,
                ENDING_LEN,
                "a span of the goal is longer than the goal",
            ));
        }
        if ending.lo <= shared.hi {
            return Err(settings.impossible(
                ENDING_LEN,
                SHARED,
                "a wrong ending would be as near as the right one",
            ));
        }
        needs(pool, 4 * goal.hi, "endings that have nothing to do with their goals")
    }

    fn make(
        &self,
        settings: &Settings,
        draw: &mut Draw,
        pool: &Pool,
        content: &mut Content,
    ) -> Result<(), Ambiguous> {
        let Draw { steady, free, .. } = draw;
        let [goal_len, ending_len, endings, shared] =
            [GOAL_LEN, ENDING_LEN, COUNT, SHARED].map(|knob| steady.within(settings.at(knob)) as usize);
        let gold = steady.below(endings as u32) as usize;
        let noise = steady.within(settings.at(NOISE));

        content.begin(GOAL);
        ops::sample(free, pool.size(), goal_len, &mut content.tokens);
        let goal = content.close();
        let seen = ops::Filter::of(&content.tokens[goal.clone()]);
        content.begin(ENDINGS);
        let (mut right, mut most, mut alike) = (0..0, 0, 0);
        for ending in 0..endings {
            let start = content.tokens.len();
            if ending == gold {
                let from = ops::span(free, goal_len, ending_len);
                content.tokens.extend_from_within(from..from + ending_len);
                ops::replace(free, pool.size(), noise, &mut content.tokens[start..]);
            } else {
                content.scratch.clear();
                ops::pick(free, &content.tokens[goal.clone()], shared, &mut content.scratch);
                content.tokens.extend_from_slice(&content.scratch);
                ops::sample(free, pool.size(), ending_len - shared, &mut content.tokens);
            }
            ops::shuffle(free, &mut content.tokens[start..]);
            let item = content.close();
            let overlap = seen.overlap(&content.tokens[goal.clone()], &content.tokens[item.clone()]);
            if ending == gold {
                (right, alike) = (item, overlap);
            } else {
                most = most.max(overlap);
            }
        }
        if alike <= most {
            return Err(Ambiguous);
        }
        content.copy(ANSWER, right);
        content.facts.choice = Some((gold as u32, endings as u32));
        Ok(())
    }

    fn solve(&self, _: &Settings, asked: &Reading<'_>) -> Option<Vec<String>> {
        let endings = asked.items(ENDINGS);
        let best = best_option(&overlaps(endings, asked.first(GOAL)))?;
        Some(owned(&endings[best]))
    }

    fn score(&self, _: &Settings, asked: &Reading<'_>, output: &str) -> f64 {
        let (said, endings) = (answer_words(output), asked.items(ENDINGS));
        let overlaps = overlaps(endings, asked.first(GOAL));
        by_rank(&overlaps, best_option(&overlaps), endings.iter().position(|ending| said == *ending))
    }
}
