//! T4, document QA: the question is a span of the document, the answer is what stands around it there.

use super::{Ambiguous, Family, Template, owned};
use crate::cook::content::Content;
use crate::cook::draw::Draw;
use crate::cook::frame::{Frame, Texts, Wording};
use crate::cook::knobs::{Knob, Settings};
use crate::cook::ops;
use crate::cook::reading::Reading;
use crate::cook::score::answer_words;
use crate::cook::tokens::{Mark, Pool};
use crate::error::Result;

const SLOTS: [&str; 5] = ["doc", "question", "before", "after", "answer"];
const DOC: usize = 0;
const QUESTION: usize = 1;
const BEFORE: usize = 2;
const AFTER: usize = 3;
const ANSWER: usize = 4;

const KNOBS: &[Knob] = &[
    Knob::count("doc_len", "Words of the document.", (50, 400), (2, 100_000)),
    Knob::count("question_len", "Words of the question.", (3, 8), (1, 1000)),
    Knob::share("noise", "How often a word of the question is replaced by another.", 0).at_most(500_000),
    Knob::count(
        "left",
        "Words of the answer before the place of the question. A range is said in each prompt.",
        (0, 0),
        (0, 100),
    ),
    // Spec 2 has 1..5 behind the question. A reader can't know a number that was drawn in secret, so it is one
    // number by default, and a prompt says it where a range is asked for.
    Knob::count(
        "right",
        "Words of the answer behind the place of the question. A range is said in each prompt.",
        (3, 3),
        (0, 100),
    ),
    Knob::choice(
        "answer",
        "The words around the question, or the rest of the sentence that it is in.",
        &["window", "sentence"],
    ),
    Knob::count("sentence_len", "Words of a sentence, for answer=sentence.", (6, 12), (2, 1000)),
    Knob::choice("include", "Whether the answer has the words of the question too.", &["no", "yes"]),
];
const DOC_LEN: usize = 0;
const QUESTION_LEN: usize = 1;
const NOISE: usize = 2;
const LEFT: usize = 3;
const RIGHT: usize = 4;
const BY: usize = 5;
const SENTENCE_LEN: usize = 6;
const INCLUDE: usize = 7;

/// Words around the place of the question within which an answer is near, for [`Template::score`].
const NEAR: usize = 10;

const TEXTS: Texts = Texts {
    asks: &[
        "Find the words of the question in the document and answer with what stands there around them.",
        "The question is a piece of the document. Continue from the place where it occurs.",
        "Read the document, locate the question in it, and copy the answer from that place.",
        "Answer from the document alone: look up where the question stands in it.",
    ],
    bodies: &[
        (
            "Document:{doc}\nQuestion:{question}{before/\nWords before:*/}{after/\nWords after:*/}\n",
            "Answer:",
            "{answer}",
        ),
        ("Text:{doc}\n\nFind:{question}{before/\nBefore it:*/}{after/\nAfter it:*/}\n", "Found:", "{answer}"),
        ("{doc}\n\nQ:{question}{before/\nBefore:*/}{after/\nAfter:*/}\n", "A:", "{answer}"),
        (
            "Passage:\n{doc}\n\nQuery:{question}{before/\nLeft:*/}{after/\nRight:*/}\n",
            "Response:",
            "{answer}",
        ),
    ],
    // The table of spec 6 has no task for it; this is the form that question answering over a text has there (SQuAD's).
    harness: (
        "Background:{doc}\n\nQuestion:{question}{before/\n\nWords before:*/}{after/\n\nWords after:*/}\n\nAnswer:",
        "{answer}",
    ),
};

/// T4: find the question in the document.
#[derive(Debug)]
pub(super) struct DocQa;

impl Template for DocQa {
    fn name(&self) -> &str {
        "doc_qa"
    }

    fn family(&self) -> Family {
        Family::Search
    }

    fn about(&self) -> &str {
        "The question is a span of the document; the answer is what stands around it there."
    }

    fn stands_for(&self) -> &str {
        "question answering over a document (SQuAD, TyDi QA)"
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

    fn check(&self, settings: &Settings, _: &Pool) -> Result<()> {
        let [doc, question, left, right] = [DOC_LEN, QUESTION_LEN, LEFT, RIGHT].map(|knob| settings.at(knob));
        if settings.at(BY).lo == 1 {
            if settings.at(SENTENCE_LEN).lo <= question.hi {
                return Err(settings.impossible(
                    SENTENCE_LEN,
                    QUESTION_LEN,
                    "a sentence must be longer than the question, or nothing of it is left to answer with",
                ));
            }
            if doc.lo < settings.at(SENTENCE_LEN).hi {
                return Err(settings.impossible(
                    DOC_LEN,
                    SENTENCE_LEN,
                    "a sentence is longer than the document",
                ));
            }
            return Ok(());
        }
        if doc.lo < question.hi + 1 {
            return Err(settings.impossible(
                DOC_LEN,
                QUESTION_LEN,
                "the question is longer than the document",
            ));
        }
        if left.lo + right.lo == 0 && settings.at(INCLUDE).lo == 0 {
            return Err(settings.impossible(LEFT, RIGHT, "the answer would be empty"));
        }
        if doc.lo < question.hi + left.hi + right.hi {
            let wide = if left.hi > right.hi { LEFT } else { RIGHT };
            return Err(settings.impossible(
                DOC_LEN,
                wide,
                "question and answer together are longer than the document",
            ));
        }
        Ok(())
    }

    fn make(
        &self,
        settings: &Settings,
        draw: &mut Draw,
        pool: &Pool,
        content: &mut Content,
    ) -> Result<(), Ambiguous> {
        let steady = &mut draw.steady;
        let doc_len = steady.within(settings.at(DOC_LEN)) as usize;
        let len = steady.within(settings.at(QUESTION_LEN)) as usize;
        let (left, right) =
            (steady.within(settings.at(LEFT)) as usize, steady.within(settings.at(RIGHT)) as usize);
        let by_sentence = settings.at(BY).lo == 1;

        content.begin(DOC);
        // Where the answer is taken from, and where in it the question begins.
        let (around, start) = if by_sentence {
            sentences(settings, draw, pool, doc_len, len, content)
        } else {
            ops::sample(&mut draw.free, pool.size(), doc_len, &mut content.tokens);
            let start = left + ops::span(&mut draw.steady, doc_len.saturating_sub(left + right), len);
            (start.saturating_sub(left)..(start + len + right).min(doc_len), start)
        };
        let doc = content.close();
        if start + len > doc.end {
            return Err(Ambiguous);
        }

        content.copy(QUESTION, start..start + len);
        let question = content.ranges(QUESTION).next().unwrap_or_default();
        let noise = settings.at(NOISE);
        if noise.hi > 0 {
            let millionths = draw.steady.within(noise);
            ops::replace(&mut draw.free, pool.size(), millionths, &mut content.tokens[question.clone()]);
        }
        let (text, asked) = (&content.tokens[doc.clone()], &content.tokens[question]);
        let is_clear = match noise.hi {
            0 => ops::occurrences(text, asked) == 1,
            _ => ops::argmax(text.windows(len).map(|part| alike(part, asked))) == Some(start),
        };
        if !is_clear {
            return Err(Ambiguous);
        }
        for (slot, knob, number) in [(BEFORE, LEFT, left), (AFTER, RIGHT, right)] {
            content.begin(slot);
            if !by_sentence && !settings.at(knob).is_one() {
                content.tokens.push(pool.mark(Mark::Number(number as u32)));
                content.close();
            }
        }
        content.begin(ANSWER);
        if settings.at(INCLUDE).lo == 1 {
            content.tokens.extend_from_within(around);
        } else {
            content.tokens.extend_from_within(around.start..start);
            content.tokens.extend_from_within(start + len..around.end);
        }
        content.close();
        content.facts.place = Some((start as u32, doc.end as u32));
        Ok(())
    }

    fn solve(&self, settings: &Settings, asked: &Reading<'_>) -> Option<Vec<String>> {
        let (doc, question) = (asked.first(DOC), asked.first(QUESTION));
        let place = best_place(doc, question)?;
        let behind = place + question.len();
        let (from, to) = if settings.at(BY).lo == 1 {
            let from = doc[..place].iter().rposition(|word| *word == ".").map_or(0, |stop| stop + 1);
            (from, behind + doc[behind..].iter().position(|word| *word == ".")?)
        } else {
            let number = |slot: usize, knob: usize| match asked.first(slot) {
                [number] => number.parse().ok(),
                _ => Some(settings.at(knob).lo as usize),
            };
            (place.saturating_sub(number(BEFORE, LEFT)?), (behind + number(AFTER, RIGHT)?).min(doc.len()))
        };
        if settings.at(INCLUDE).lo == 1 {
            return Some(owned(&doc[from..to]));
        }
        Some([owned(&doc[from..place]), owned(&doc[behind..to])].concat())
    }

    /// For a wrong answer half of the share of its words that stand within ten words of the place of the question.
    fn score(&self, settings: &Settings, asked: &Reading<'_>, output: &str) -> f64 {
        let said = answer_words(output);
        let Some(right) = self.solve(settings, asked) else { return 0.0 };
        if right.iter().map(String::as_str).eq(said.iter().copied()) {
            return 1.0;
        }
        let (doc, question) = (asked.first(DOC), asked.first(QUESTION));
        let Some(place) = best_place(doc, question) else { return 0.0 };
        let near = &doc[place.saturating_sub(NEAR)..(place + question.len() + NEAR).min(doc.len())];
        let inside = said.iter().filter(|word| near.contains(word)).count();
        inside as f64 / said.len().max(1) as f64 / 2.0
    }
}

/// Writes a document of sentences; gives the words of one of them, and where in it a question of `len` words begins.
fn sentences(
    settings: &Settings,
    draw: &mut Draw,
    pool: &Pool,
    doc_len: usize,
    len: usize,
    content: &mut Content,
) -> (std::ops::Range<usize>, usize) {
    let mut left = doc_len;
    while left > 0 {
        let words = draw.steady.within(settings.at(SENTENCE_LEN)) as usize;
        // A rest that would be too short for a sentence of its own goes with the last.
        let words = if left - words.min(left) <= len { left } else { words };
        content.scratch.push(content.tokens.len() as u32);
        ops::sample(&mut draw.free, pool.size(), words, &mut content.tokens);
        content.tokens.push(pool.mark(Mark::Stop));
        left -= words;
    }
    content.scratch.push(content.tokens.len() as u32);
    let sentence = draw.steady.below(content.scratch.len() as u32 - 1) as usize;
    let bounds = content.scratch[sentence] as usize..content.scratch[sentence + 1] as usize - 1;
    let start = bounds.start + ops::span(&mut draw.steady, bounds.len(), len);
    (bounds, start)
}

/// How many words of two lists of one length are the same at the same place.
fn alike(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).filter(|(a, b)| a == b).count()
}

/// The one place of the document that is most like the question; none if there are two.
fn best_place(doc: &[&str], question: &[&str]) -> Option<usize> {
    if question.is_empty() || question.len() > doc.len() {
        return None;
    }
    let mut places: Vec<(usize, usize)> = doc
        .windows(question.len())
        .enumerate()
        .map(|(place, part)| ((0..part.len()).filter(|word| part[*word] == question[*word]).count(), place))
        .collect();
    places.sort_unstable_by(|a, b| b.cmp(a));
    match places[..] {
        [(most, _), (next, _), ..] if most == next => None,
        [(0, _), ..] => None,
        [(_, place), ..] => Some(place),
        [] => None,
    }
}
