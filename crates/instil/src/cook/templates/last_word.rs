//! T10, last-word completion: two words come again, and what followed them follows once more.

use super::{Ambiguous, Family, Template, needs};
use crate::cook::content::Content;
use crate::cook::draw::Draw;
use crate::cook::frame::{Frame, Texts, Wording};
use crate::cook::knobs::{Knob, Settings};
use crate::cook::ops;
use crate::cook::reading::Reading;
use crate::cook::score::exactly;
use crate::cook::tokens::Pool;
use crate::error::Result;

const SLOTS: [&str; 2] = ["context", "answer"];
const CONTEXT: usize = 0;
const ANSWER: usize = 1;

const KNOBS: &[Knob] = &[
    Knob::count("context_len", "Words of the context.", (40, 120), (5, 100_000)),
    Knob::count("times", "How often the two words were followed by the answer before.", (2, 2), (1, 100)),
    Knob::count(
        "decoys",
        "How often the second of the two words comes after another, and before another word than the answer.",
        (0, 0),
        (0, 100),
    ),
];
const CONTEXT_LEN: usize = 0;
const TIMES: usize = 1;
const DECOYS: usize = 2;

const TEXTS: Texts = Texts {
    asks: &[
        "Continue the text with the word that has followed its last two words before.",
        "The last two words have occurred earlier. Which word came after them?",
        "Complete the text: what came after its final pair of words comes again.",
        "Give the next word, as the text has shown it.",
    ],
    bodies: &[
        ("{context}", "", "{answer}"),
        ("Text:{context}", "", "{answer}"),
        ("Context:\n{context}", "", "{answer}"),
    ],
    // lambada_openai: the text without its last word.
    harness: ("{context}", "{answer}"),
};

/// T10: the word that followed before.
#[derive(Debug)]
pub(super) struct LastWord;

impl Template for LastWord {
    fn name(&self) -> &str {
        "last_word"
    }

    fn family(&self) -> Family {
        Family::Generation
    }

    fn about(&self) -> &str {
        "The answer is the word that followed the last two words of the context before."
    }

    fn stands_for(&self) -> &str {
        "the last word of a passage (LAMBADA)"
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
        let [len, times, decoys] = [CONTEXT_LEN, TIMES, DECOYS].map(|knob| settings.at(knob));
        if len.lo < 3 * (times.hi + decoys.hi) + 2 {
            let many = if times.hi >= decoys.hi { TIMES } else { DECOYS };
            return Err(settings.impossible(
                CONTEXT_LEN,
                many,
                "each takes three words, and the last two come besides",
            ));
        }
        needs(pool, (len.hi / 4).max(16), "words that stand in the context nowhere else")
    }

    fn make(
        &self,
        settings: &Settings,
        draw: &mut Draw,
        pool: &Pool,
        content: &mut Content,
    ) -> Result<(), Ambiguous> {
        let Draw { steady, free, .. } = draw;
        let [len, times, decoys] =
            [CONTEXT_LEN, TIMES, DECOYS].map(|knob| steady.within(settings.at(knob)) as usize);
        // Places of three words each, from an offset on.
        let blocks = (len - 2) / 3;
        let offset = steady.below((len - 2 - 3 * blocks) as u32 + 1) as usize;
        ops::sample_distinct(steady, blocks as u32, times + decoys, 0, &mut content.spare);
        if content.spare.len() < times + decoys {
            return Err(Ambiguous);
        }
        ops::sample_distinct(free, pool.size(), 3, 0, &mut content.scratch);
        let three = [content.scratch[0], content.scratch[1], content.scratch[2]];
        let [first, second, answer] = three;

        content.begin(CONTEXT);
        ops::sample(free, pool.size(), len - 2, &mut content.tokens);
        if three.iter().any(|word| ops::count(&content.tokens, *word) > 0) {
            return Err(Ambiguous);
        }
        for (number, block) in content.spare.iter().enumerate() {
            let at = offset + 3 * *block as usize;
            if number < times {
                content.tokens[at..at + 3].copy_from_slice(&three);
            } else {
                content.tokens[at + 1] = second;
            }
        }
        content.tokens.extend([first, second]);
        content.close();
        content.put(ANSWER, &[answer]);
        let latest = content.spare[..times].iter().max().copied().unwrap_or_default();
        content.facts.place = Some((latest * 3 + offset as u32, len as u32));
        Ok(())
    }

    fn solve(&self, _: &Settings, asked: &Reading<'_>) -> Option<Vec<String>> {
        let context = asked.first(CONTEXT);
        let (before, pair) = context.split_at_checked(context.len().checked_sub(2)?)?;
        let mut followers = before.windows(3).filter(|three| three[..2] == *pair).map(|three| three[2]);
        let answer = followers.next()?;
        followers.all(|word| word == answer).then(|| vec![answer.to_owned()])
    }

    fn score(&self, settings: &Settings, asked: &Reading<'_>, output: &str) -> f64 {
        self.solve(settings, asked).map_or(0.0, |right| exactly(&right, output))
    }
}
