//! T11, span summary: the sentences that begin with a cue, without it.

use super::{Ambiguous, Family, Template, needs};
use crate::cook::content::Content;
use crate::cook::draw::Draw;
use crate::cook::frame::{Frame, Texts, Wording};
use crate::cook::knobs::{Knob, Settings};
use crate::cook::ops;
use crate::cook::reading::Reading;
use crate::cook::tokens::{Mark, Pool};
use crate::error::Result;

const SLOTS: [&str; 3] = ["doc", "cue", "answer"];
const DOC: usize = 0;
const CUE: usize = 1;
const ANSWER: usize = 2;

const KNOBS: &[Knob] = &[
    Knob::count("sentences", "Sentences of the document.", (4, 8), (2, 5000)),
    Knob::count("sentence_len", "Words of a sentence, without the cue.", (3, 8), (1, 1000)),
    Knob::count("marked", "Sentences that begin with the cue.", (1, 3), (1, 1000)),
];
const SENTENCES: usize = 0;
const SENTENCE_LEN: usize = 1;
const MARKED: usize = 2;

const TEXTS: Texts = Texts {
    asks: &[
        "Summarise the document: copy the sentences that begin with the cue, without it.",
        "Keep only what the cue marks, in the order of the text, and leave the cue out.",
        "Write out every sentence that starts with the cue word, each without that word.",
        "Extract the marked sentences. The mark itself is not part of them.",
    ],
    bodies: &[
        ("Document:{doc}\nCue:{cue}\n", "Summary:", "{answer}"),
        ("Text:{doc}\n\nMark:{cue}\n", "Extract:", "{answer}"),
        ("Key word:{cue}\n\n{doc}\n\n", "Kept:", "{answer}"),
        ("Article:\n{doc}\n\nMarker:{cue}\n", "In short:", "{answer}"),
    ],
    // The table of spec 6 has no such task; this is the form that summaries are prompted for in.
    harness: ("{doc}\nCue:{cue}\nSummary:", "{answer}"),
};

/// T11: what the cue marks.
#[derive(Debug)]
pub(super) struct Summary;

impl Template for Summary {
    fn name(&self) -> &str {
        "summary"
    }

    fn family(&self) -> Family {
        Family::Generation
    }

    fn about(&self) -> &str {
        "The answer is the sentences that begin with a cue, in their order and without it."
    }

    fn stands_for(&self) -> &str {
        "summaries made of sentences of the text"
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
        let [sentences, len, marked] = [SENTENCES, SENTENCE_LEN, MARKED].map(|knob| settings.at(knob));
        if sentences.lo <= marked.hi {
            return Err(settings.impossible(SENTENCES, MARKED, "every sentence would be in the summary"));
        }
        needs(pool, (sentences.hi.saturating_mul(len.hi) / 4).max(16), "a cue that stands nowhere else")
    }

    fn make(
        &self,
        settings: &Settings,
        draw: &mut Draw,
        pool: &Pool,
        content: &mut Content,
    ) -> Result<(), Ambiguous> {
        let Draw { steady, free, .. } = draw;
        let sentences = steady.within(settings.at(SENTENCES)) as usize;
        let marked = (steady.within(settings.at(MARKED)) as usize).min(sentences);
        let (cue, stop) = (free.below(pool.size()), pool.mark(Mark::Stop));

        content.begin(DOC);
        let mut left = marked;
        for sentence in 0..sentences {
            let is_marked = (steady.below((sentences - sentence) as u32) as usize) < left;
            if is_marked {
                content.tokens.push(cue);
                left -= 1;
            }
            let start = content.tokens.len();
            let len = steady.within(settings.at(SENTENCE_LEN)) as usize;
            ops::sample(free, pool.size(), len, &mut content.tokens);
            if ops::count(&content.tokens[start..], cue) > 0 {
                return Err(Ambiguous);
            }
            content.tokens.push(stop);
            if is_marked {
                content.scratch.extend_from_slice(&content.tokens[start..]);
                content.facts.place.get_or_insert((start as u32, 0));
            }
        }
        let doc = content.close();
        content.put(CUE, &[cue]);
        content.begin(ANSWER);
        content.tokens.extend_from_slice(&content.scratch);
        content.close();
        content.facts.place = content.facts.place.map(|(first, _)| (first, doc.len() as u32));
        Ok(())
    }

    fn solve(&self, _: &Settings, asked: &Reading<'_>) -> Option<Vec<String>> {
        let [cue] = asked.first(CUE) else { return None };
        let mut kept = Vec::new();
        for sentence in asked.first(DOC).split_inclusive(|word| *word == ".") {
            if let Some(rest) = sentence.strip_prefix(&[*cue]) {
                kept.extend(rest.iter().map(|word| (*word).to_owned()));
            }
        }
        (!kept.is_empty()).then_some(kept)
    }
}
