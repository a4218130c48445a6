//! T8, yes or no: whether a passage supports a hypothesis.

use super::{Ambiguous, Family, Template, needs};
use crate::cook::content::Content;
use crate::cook::draw::Draw;
use crate::cook::frame::{Frame, Texts, Wording};
use crate::cook::knobs::{Knob, Settings};
use crate::cook::ops;
use crate::cook::reading::Reading;
use crate::cook::score::exactly;
use crate::cook::tokens::{Mark, Pool};
use crate::error::Result;

const SLOTS: [&str; 3] = ["passage", "hypothesis", "answer"];
const PASSAGE: usize = 0;
const HYPOTHESIS: usize = 1;
const ANSWER: usize = 2;

const KNOBS: &[Knob] = &[
    Knob::count("passage_len", "Words of the passage.", (30, 120), (1, 100_000)),
    Knob::count("hypothesis_len", "Words of the hypothesis.", (4, 10), (1, 1000)),
    Knob::choice(
        "rule",
        "Yes if enough words are in the passage, or if all stand there together in this order.",
        &["overlap", "order"],
    ),
    Knob::share("yes_noise", "How often a word of a supported hypothesis is replaced.", 100_000)
        .at_most(500_000),
    Knob::share("no_noise", "How often a word of an unsupported hypothesis is replaced.", 600_000),
    Knob::share("other", "How many unsupported hypotheses are from another passage.", 500_000),
    Knob::share("theta", "From which overlap on a hypothesis is supported.", 500_000),
    Knob::share("band", "How far from `theta` every overlap stays.", 100_000).at_most(400_000),
];
const PASSAGE_LEN: usize = 0;
const HYPOTHESIS_LEN: usize = 1;
const RULE: usize = 2;
const YES_NOISE: usize = 3;
const NO_NOISE: usize = 4;
const OTHER: usize = 5;
const THETA: usize = 6;
const BAND: usize = 7;

const TEXTS: Texts = Texts {
    asks: &[
        "Does the passage support the statement? Answer yes or no.",
        "Say yes if the statement is taken from the passage, otherwise no.",
        "Check the statement against the passage.",
        "Is what is claimed found in the passage? Reply with yes or no.",
    ],
    bodies: &[
        ("Passage:{passage}\nStatement:{hypothesis}\n", "Supported:", "{answer}"),
        ("Text:{passage}\n\nClaim:{hypothesis}\n", "Answer:", "{answer}"),
        ("{passage}\n\nHypothesis:{hypothesis}\n", "Yes or no:", "{answer}"),
        ("Premise:\n{passage}\n\nClaim:\n{hypothesis}\n\n", "Verdict:", "{answer}"),
    ],
    // boolq.
    harness: ("{passage}\nQuestion:{hypothesis}?\nAnswer:", "{answer}"),
};

/// T8: supported or not.
#[derive(Debug)]
pub(super) struct Support;

impl Template for Support {
    fn name(&self) -> &str {
        "support"
    }

    fn family(&self) -> Family {
        Family::Comparison
    }

    fn about(&self) -> &str {
        "The answer is whether the words of a hypothesis are in the passage."
    }

    fn stands_for(&self) -> &str {
        "yes-no questions over a passage (BoolQ, RTE)"
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
        let [passage, hypothesis, theta, band] =
            [PASSAGE_LEN, HYPOTHESIS_LEN, THETA, BAND].map(|knob| settings.at(knob));
        if passage.lo < hypothesis.hi {
            return Err(settings.impossible(
                PASSAGE_LEN,
                HYPOTHESIS_LEN,
                "the hypothesis is longer than the passage",
            ));
        }
        if settings.at(RULE).lo == 1 && hypothesis.lo < 2 {
            return Err(settings.impossible(RULE, HYPOTHESIS_LEN, "one word has no order"));
        }
        if !theta.is_one() || !band.is_one() {
            return Err(settings.impossible(THETA, BAND, "the rule must be the same for all samples"));
        }
        if theta.lo <= band.lo || theta.lo + band.lo > 1_000_000 {
            return Err(settings.impossible(THETA, BAND, "no overlap is so small, or none so large"));
        }
        needs(pool, 4 * hypothesis.hi, "hypotheses that have nothing to do with a passage")
    }

    fn make(
        &self,
        settings: &Settings,
        draw: &mut Draw,
        pool: &Pool,
        content: &mut Content,
    ) -> Result<(), Ambiguous> {
        let Draw { steady, free, .. } = draw;
        let is_yes = steady.chance(500_000);
        let passage_len = steady.within(settings.at(PASSAGE_LEN)) as usize;
        let len = steady.within(settings.at(HYPOTHESIS_LEN)) as usize;
        let by_order = settings.at(RULE).lo == 1;

        content.begin(PASSAGE);
        ops::sample(free, pool.size(), passage_len, &mut content.tokens);
        let passage = content.close();
        let start = ops::span(steady, passage_len, len);
        content.begin(HYPOTHESIS);
        if !is_yes && !by_order && free.chance(settings.at(OTHER).lo) {
            ops::sample(free, pool.size(), len, &mut content.tokens);
        } else {
            content.tokens.extend_from_within(start..start + len);
        }
        let range = content.close();
        let hypothesis = &mut content.tokens[range.clone()];
        match (by_order, is_yes) {
            (true, true) => {}
            (true, false) => ops::shuffle(free, hypothesis),
            (false, true) => ops::replace(free, pool.size(), settings.at(YES_NOISE).lo, hypothesis),
            (false, false) => ops::replace(free, pool.size(), settings.at(NO_NOISE).lo, hypothesis),
        }
        let (passage, hypothesis) = (&content.tokens[passage], &content.tokens[range]);
        let (theta, band) = (settings.at(THETA).lo, settings.at(BAND).lo);
        let is_clear = match (by_order, is_yes) {
            (true, true) => true,
            (true, false) => ops::occurrences(passage, hypothesis) == 0,
            (false, true) => ops::is_share(ops::overlap(hypothesis, passage), len, theta + band),
            (false, false) => !ops::is_share(ops::overlap(hypothesis, passage), len, theta - band),
        };
        if !is_clear {
            return Err(Ambiguous);
        }
        content.put(ANSWER, &[pool.mark(Mark::Holds(is_yes))]);
        content.facts.choice = Some((u32::from(is_yes), 2));
        if is_yes {
            content.facts.place = Some((start as u32, passage_len as u32));
        }
        Ok(())
    }

    fn solve(&self, settings: &Settings, asked: &Reading<'_>) -> Option<Vec<String>> {
        let (passage, hypothesis) = (asked.first(PASSAGE), asked.first(HYPOTHESIS));
        if hypothesis.is_empty() {
            return None;
        }
        let is_yes = if settings.at(RULE).lo == 1 {
            passage.windows(hypothesis.len()).any(|part| part == hypothesis)
        } else {
            // Each word of the passage bears one of the hypothesis.
            let mut left = passage.to_vec();
            left.sort_unstable();
            let mut wanted = hypothesis.to_vec();
            wanted.sort_unstable();
            let mut left = left.into_iter().peekable();
            let found = wanted.iter().filter(|word| {
                while left.next_if(|one| one < *word).is_some() {}
                left.next_if(|one| one == *word).is_some()
            });
            found.count() as u64 * 1_000_000 >= hypothesis.len() as u64 * u64::from(settings.at(THETA).lo)
        };
        Some(vec![if is_yes { "yes" } else { "no" }.to_owned()])
    }

    fn score(&self, settings: &Settings, asked: &Reading<'_>, output: &str) -> f64 {
        self.solve(settings, asked).map_or(0.0, |right| exactly(&right, output))
    }
}
