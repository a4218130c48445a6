//! T7, entity matching: whether two records have enough words in common to be of one thing.

use std::collections::HashMap;

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

const SLOTS: [&str; 3] = ["a", "b", "answer"];
const A: usize = 0;
const B: usize = 1;
const ANSWER: usize = 2;

/// The most fields of a record.
const FIELDS: usize = 32;

const KNOBS: &[Knob] = &[
    Knob::count("fields", "Fields of a record.", (2, 6), (1, FIELDS as u32)),
    Knob::count("value_len", "Words of a field's value.", (1, 6), (1, 1000)),
    Knob::share("matches", "How many pairs are of one thing.", 500_000),
    Knob::share("drop", "How often a field of the second record is left out.", 150_000).at_most(900_000),
    Knob::share("noise", "How often a word of a match is replaced by another.", 150_000).at_most(500_000),
    Knob::share("reorder", "How often the words of a value of a match are shuffled.", 300_000),
    Knob::share("hard", "How often records of two things have a whole field in common.", 500_000),
    Knob::share(
        "common",
        "Up to which share of its words a record of another thing takes from the first.",
        250_000,
    )
    .at_most(500_000),
    Knob::share("theta", "From which overlap on two records are of one thing.", 500_000),
    Knob::share("band", "How far from `theta` every overlap stays.", 100_000).at_most(400_000),
];
const COUNT: usize = 0;
const VALUE_LEN: usize = 1;
const MATCHES: usize = 2;
const DROP: usize = 3;
const NOISE: usize = 4;
const REORDER: usize = 5;
const HARD: usize = 6;
const COMMON: usize = 7;
const THETA: usize = 8;
const BAND: usize = 9;

const TEXTS: Texts = Texts {
    asks: &[
        "Do the two records describe the same thing? They do if their values share enough words.",
        "Compare the records. Answer Yes if most words of their values agree, otherwise No.",
        "Decide whether both entries are about one entity, by the words that their values have in common.",
        "Are these two records a match? Order and missing fields don't matter, shared words do.",
    ],
    bodies: &[
        ("Record A:{a/*/,}\nRecord B:{b/*/,}\n", "Same:", "{answer}"),
        ("First\n{a/-*/\n}\nSecond\n{b/-*/\n}\n", "Match:", "{answer}"),
        ("A |{a/*/ |}\nB |{b/*/ |}\n", "Equal:", "{answer}"),
        ("Entry 1:\n{a/*/\n}\n\nEntry 2:\n{b/*/\n}\n\n", "Answer:", "{answer}"),
    ],
    // The prompt of fm_data_tasks for product matching (spec 2, T7).
    harness: ("Product A is{a/*./} Product B is{b/*./} Are Product A and Product B the same?", "{answer}"),
};

/// T7: one thing or two.
#[derive(Debug)]
pub(super) struct Matching;

impl Template for Matching {
    fn name(&self) -> &str {
        "matching"
    }

    fn family(&self) -> Family {
        Family::Comparison
    }

    fn about(&self) -> &str {
        "The answer is whether the values of two records share enough words."
    }

    fn stands_for(&self) -> &str {
        "matching of products and other records"
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
        let (theta, band) = (settings.at(THETA), settings.at(BAND));
        if !theta.is_one() || !band.is_one() {
            return Err(settings.impossible(THETA, BAND, "the rule must be the same for all samples"));
        }
        if theta.lo <= band.lo || theta.lo + band.lo > 1_000_000 {
            return Err(settings.impossible(THETA, BAND, "no overlap is so small, or none so large"));
        }
        let words = settings.at(COUNT).hi * (settings.at(VALUE_LEN).hi + 1);
        needs(pool, 4 * words, "records of different things")
    }

    fn make(
        &self,
        settings: &Settings,
        draw: &mut Draw,
        pool: &Pool,
        content: &mut Content,
    ) -> Result<(), Ambiguous> {
        let Draw { steady, free, .. } = draw;
        let is_match = steady.chance(settings.at(MATCHES).lo);
        let fields = (steady.within(settings.at(COUNT)) as usize).min(FIELDS);
        let colon = pool.mark(Mark::Colon);

        ops::sample_distinct(free, pool.size(), fields, 0, &mut content.scratch);
        // Where the value of each field is.
        let mut values = [(0, 0); FIELDS];
        content.begin(A);
        for (field, value) in values[..fields].iter_mut().enumerate() {
            let len = steady.within(settings.at(VALUE_LEN)) as usize;
            content.tokens.extend([content.scratch[field], colon]);
            *value = (content.tokens.len(), content.tokens.len() + len);
            ops::sample(free, pool.size(), len, &mut content.tokens);
            content.close();
            let (from, to) = *value;
            content.spare.extend_from_slice(&content.tokens[from..to]);
        }

        // Both kinds of second record lose fields and change their order in the same way, and a record of another thing
        // has values as long as the first's, so that no length tells the answer.
        let mut order: [usize; FIELDS] = std::array::from_fn(|field| field);
        ops::shuffle(free, &mut order[..fields]);
        let drop = settings.at(DROP).lo;
        let mut kept = 0;
        for place in 0..fields {
            // The last is kept if no other is.
            if !free.chance(drop) || (kept == 0 && place + 1 == fields) {
                order[kept] = order[place];
                kept += 1;
            }
        }
        let len = |field: usize| values[field].1 - values[field].0;
        let (theta, band) = (settings.at(THETA).lo, settings.at(BAND).lo);
        let hard = order[free.below(kept as u32) as usize];
        // A field that would be enough for a match by itself can't be shared.
        let other: usize = order[..kept].iter().map(|field| len(*field)).sum();
        let is_hard = free.chance(settings.at(HARD).lo) && !ops::is_share(len(hard), other, theta - band);
        let hard = (is_hard && !is_match).then_some(hard);
        let common = free.between(0, settings.at(COMMON).hi);
        let words = content.spare.len() as u32;
        // The words of the second record's values go behind the names in `scratch`.
        let names = content.scratch.len();
        content.begin(B);
        for field in &order[..kept] {
            let (from, to) = values[*field];
            content.tokens.extend([content.scratch[*field], colon]);
            let start = content.tokens.len();
            if is_match {
                content.tokens.extend_from_within(from..to);
                ops::replace(free, pool.size(), settings.at(NOISE).lo, &mut content.tokens[start..]);
                if free.chance(settings.at(REORDER).lo) {
                    ops::shuffle(free, &mut content.tokens[start..]);
                }
            } else if hard == Some(*field) {
                content.tokens.extend_from_within(from..to);
            } else {
                for _ in from..to {
                    let is_common = free.chance(common);
                    let token = match is_common {
                        true => content.spare[free.below(words) as usize],
                        false => free.below(pool.size()),
                    };
                    content.tokens.push(token);
                }
            }
            content.scratch.extend_from_slice(&content.tokens[start..]);
            content.close();
        }
        let other = &content.scratch[names..];
        let (shared, least) = (ops::overlap(&content.spare, other), content.spare.len().min(other.len()));
        let is_clear = match is_match {
            true => ops::is_share(shared, least, theta + band),
            false => !ops::is_share(shared, least, theta - band),
        };
        if !is_clear {
            return Err(Ambiguous);
        }
        content.put(ANSWER, &[pool.mark(Mark::Same(is_match))]);
        content.facts.choice = Some((u32::from(is_match), 2));
        Ok(())
    }

    fn solve(&self, settings: &Settings, asked: &Reading<'_>) -> Option<Vec<String>> {
        let [a, b] = [A, B].map(|slot| counts(asked.items(slot)));
        let size = |counts: &HashMap<&str, u64>| counts.values().sum::<u64>();
        let shared: u64 = a.iter().map(|(word, times)| times.min(b.get(word).unwrap_or(&0))).sum();
        let least = size(&a).min(size(&b));
        if least == 0 {
            return None;
        }
        let is_match = shared * 1_000_000 >= least * u64::from(settings.at(THETA).lo);
        Some(vec![if is_match { "Yes" } else { "No" }.to_owned()])
    }

    fn score(&self, settings: &Settings, asked: &Reading<'_>, output: &str) -> f64 {
        self.solve(settings, asked).map_or(0.0, |right| exactly(&right, output))
    }
}

/// How often each word is in the values of a record.
fn counts<'a>(record: &[Vec<&'a str>]) -> HashMap<&'a str, u64> {
    let mut counts = HashMap::new();
    for field in record {
        let value = field.iter().skip_while(|word| **word != ":").skip(1);
        value.for_each(|word| *counts.entry(*word).or_insert(0) += 1);
    }
    counts
}
