//! T9, poetry: lines that rhyme by a scheme and name a topic once. What rhymes is what ends with the same letters.

use std::collections::HashMap;

use super::{Ambiguous, Family, Template};
use crate::cook::content::Content;
use crate::cook::draw::Draw;
use crate::cook::frame::{Frame, Texts, Wording};
use crate::cook::knobs::{Knob, Settings};
use crate::cook::ops;
use crate::cook::reading::{Reading, words};
use crate::cook::tokens::{Mark, Pool, SCHEMES};
use crate::error::{Error, Result};

const SLOTS: [&str; 4] = ["topic", "scheme", "lines", "answer"];
const TOPIC: usize = 0;
const SCHEME: usize = 1;
const LINES: usize = 2;
const ANSWER: usize = 3;

/// Lines of a stanza: the length of every scheme.
const STANZA: usize = 4;

const KNOBS: &[Knob] = &[
    Knob::count("stanzas", "Stanzas of four lines.", (1, 1), (1, 20)),
    Knob::count("line_len", "Words of a line.", (5, 9), (2, 100)),
    Knob::count("letters", "How many last letters two words share that rhyme.", (2, 2), (2, 3)),
];
const STANZAS: usize = 0;
const LINE_LEN: usize = 1;
const LETTERS: usize = 2;

const TEXTS: Texts = Texts {
    asks: &[
        "Write a poem that names its topic once. Lines with the same letter in the scheme rhyme: they end with the same letters.",
        "Compose lines whose endings follow the rhyme scheme, and use the topic word in exactly one place.",
        "Make a poem on the topic. The scheme says which of every four lines end alike.",
        "Give a rhymed verse. Mention the topic one single time.",
    ],
    bodies: &[
        ("Topic:{topic}\nScheme:{scheme}\nLines:{lines}\n", "Poem:\n", "{answer/*/\n}"),
        ("Word:{topic}\nRhyme:{scheme}\nLength:{lines}\n\n", "", "{answer/*/\n}"),
        ("About:{topic}\nPattern:{scheme}\nNumber of lines:{lines}\n", "Verse:\n", "{answer/*/\n}"),
    ],
    // The table of spec 6 has no such task: the bare form.
    harness: ("Topic:{topic}\nScheme:{scheme}\nLines:{lines}\nPoem:\n", "{answer/*/\n}"),
};

/// T9: a rhymed poem. Many poems are right; the sample has one of them.
#[derive(Debug)]
pub(super) struct Poetry;

impl Template for Poetry {
    fn name(&self) -> &str {
        "poetry"
    }

    fn family(&self) -> Family {
        Family::Generation
    }

    fn about(&self) -> &str {
        "The answer is lines whose last words rhyme, by spelling, as a scheme says, and that name the topic once."
    }

    fn stands_for(&self) -> &str {
        "rhymed verse"
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
        let letters = settings.at(LETTERS);
        if !letters.is_one() {
            return Err(settings.impossible(LETTERS, LINE_LEN, "the rule must be the same for all samples"));
        }
        if pool.is_bytes() {
            return Err(Error::usage("tokens of an `all` pool have no spelling to rhyme by")
                .with_hint("take `--pool safe` for poetry"));
        }
        let classes = pool.rhymes(letters.lo).len();
        if classes < 2 {
            return Err(Error::usage(format!("the pool has {classes} rhymes with `letters={}`", letters.lo))
                .because("a scheme needs two groups of words that end alike")
                .with_hint("take a larger pool, or let fewer letters rhyme"));
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
        let Draw { steady, free, .. } = draw;
        let rhymes = pool.rhymes(settings.at(LETTERS).lo);
        let scheme = steady.below(SCHEMES.len() as u32);
        let lines = STANZA * steady.within(settings.at(STANZAS)) as usize;
        let named = steady.below(lines as u32) as usize;
        let topic = free.below(pool.size());

        content.put(TOPIC, &[topic]);
        content.put(SCHEME, &[pool.mark(Mark::Scheme(scheme))]);
        content.put(LINES, &[pool.mark(Mark::Number(lines as u32))]);
        content.begin(ANSWER);
        let letters = SCHEMES[scheme as usize].as_bytes();
        for line in 0..lines {
            if line % STANZA == 0 {
                // Two words of each of two classes, for this stanza.
                content.spare.clear();
                ops::sample_distinct(free, rhymes.len() as u32, 2, 0, &mut content.spare);
                content.scratch.clear();
                for class in &content.spare {
                    let class = &rhymes[*class as usize];
                    let start = content.scratch.len();
                    ops::pick(free, class, 2, &mut content.scratch);
                    ops::shuffle(free, &mut content.scratch[start..]);
                }
            }
            let start = content.tokens.len();
            let len = steady.within(settings.at(LINE_LEN)) as usize;
            ops::sample(free, pool.size(), len - 1, &mut content.tokens);
            let class = usize::from(letters[line % STANZA] - b'A');
            let is_second = letters[..line % STANZA].contains(&letters[line % STANZA]);
            content.tokens.push(content.scratch[2 * class + usize::from(is_second)]);
            if ops::count(&content.tokens[start..], topic) > 0 {
                return Err(Ambiguous);
            }
            if line == named {
                let place = start + free.below(len as u32 - 1) as usize;
                content.tokens[place] = topic;
            }
            content.close();
        }
        content.facts.place = Some((named as u32, lines as u32));
        Ok(())
    }

    /// None: there are as many right poems as one likes.
    fn solve(&self, _: &Settings, _: &Reading<'_>) -> Option<Vec<String>> {
        None
    }

    /// 1 if everything that is asked for is there. Else half of the mean of four shares: lines, lines of the right
    /// length, pairs of lines that rhyme or don't as the scheme says, and the topic named once.
    fn score(&self, settings: &Settings, asked: &Reading<'_>, output: &str) -> f64 {
        let ([topic], [scheme], [lines]) = (asked.first(TOPIC), asked.first(SCHEME), asked.first(LINES))
        else {
            return 0.0;
        };
        let wanted: usize = lines.parse().unwrap_or(0);
        let poem: Vec<Vec<&str>> = output.lines().map(words).filter(|line| !line.is_empty()).collect();
        let len = settings.at(LINE_LEN);
        let of_length = poem.iter().filter(|line| (len.lo..=len.hi).contains(&(line.len() as u32))).count();
        let (rhymed, pairs) = rhymed(&poem, scheme, wanted, settings.at(LETTERS).lo as usize);
        let named = poem.iter().flatten().filter(|word| *word == topic).count();
        let parts = [
            (wanted.min(poem.len()), wanted.max(poem.len())),
            (of_length, wanted.max(poem.len())),
            (rhymed, pairs),
            (usize::from(named == 1), 1),
        ];
        if parts.iter().all(|(part, whole)| part == whole && *whole > 0) {
            return 1.0;
        }
        let shares = parts.iter().map(|(part, whole)| *part as f64 / (*whole).max(1) as f64);
        shares.sum::<f64>() / parts.len() as f64 / 2.0
    }
}

/// How many pairs of lines of one stanza end as the scheme says, and how many pairs there should be.
fn rhymed(poem: &[Vec<&str>], scheme: &str, lines: usize, letters: usize) -> (usize, usize) {
    let end = |line: usize| {
        let word = poem.get(line)?.last()?.to_lowercase();
        let tail: Vec<char> = word.chars().rev().take(letters).collect();
        (tail.len() == letters).then_some((word, tail))
    };
    let scheme: Vec<char> = scheme.chars().collect();
    let ends: HashMap<usize, _> = (0..lines).filter_map(|line| Some((line, end(line)?))).collect();
    let (mut right, mut pairs) = (0, 0);
    for one in 0..lines {
        for other in one + 1..lines.min(one - one % STANZA + STANZA) {
            pairs += 1;
            let (Some((a, tail)), Some((b, other_tail))) = (ends.get(&one), ends.get(&other)) else {
                continue;
            };
            let should = scheme.get(one % STANZA) == scheme.get(other % STANZA);
            // A word doesn't rhyme with itself.
            right += usize::from(if should { tail == other_tail && a != b } else { tail != other_tail });
        }
    }
    (right, pairs)
}
