//! T6, key-value retrieval: the answer is the value of a key; a value that is itself a key leads on.

use super::{Ambiguous, Family, Template, needs};
use crate::cook::content::Content;
use crate::cook::draw::Draw;
use crate::cook::frame::{Frame, Texts, Wording};
use crate::cook::knobs::{Knob, Settings, Value};
use crate::cook::ops;
use crate::cook::reading::Reading;
use crate::cook::score;
use crate::cook::tokens::{Mark, Pool};
use crate::error::Result;

const SLOTS: [&str; 3] = ["pairs", "keys", "answer"];
const PAIRS: usize = 0;
const KEYS: usize = 1;
const ANSWER: usize = 2;

/// The most words of a key.
const WIDTH: usize = 4;
/// The most keys that are asked for.
const ASKED: usize = 16;

const KNOBS: &[Knob] = &[
    Knob::count("pairs", "Keys with a value.", (5, 50), (1, 5000)),
    Knob::count("key_len", "Words of a key.", (1, 2), (1, WIDTH as u32)),
    Knob::count("value_len", "Words of a value.", (1, 3), (1, 100)),
    Knob::count("queries", "Keys that are asked for, answered in their order.", (1, 1), (1, ASKED as u32)),
    Knob::count(
        "hops",
        "Pairs from the key to the answer: above 1, values are keys of other pairs.",
        (1, 1),
        (1, 8),
    ),
    Knob::count("repeats", "Keys that come twice; the later value counts.", (0, 0), (0, 1000)),
    Knob::count(
        "place",
        "Where the first answer's pair stands, in hundredths of the list.",
        (0, 100),
        (0, 100),
    ),
];
const COUNT: usize = 0;
const KEY_LEN: usize = 1;
const VALUE_LEN: usize = 2;
const QUERIES: usize = 3;
const HOPS: usize = 4;
const REPEATS: usize = 5;
const PLACE: usize = 6;

const TEXTS: Texts = Texts {
    asks: &[
        "Look up the key in the list and give its value. If the value is itself a key, look that up in turn; if a key comes twice, the later entry counts.",
        "Each entry maps a key to a value. Report what the asked key leads to: follow values that are keys, and let later entries replace earlier ones.",
        "Find the entry for the key. A value that is again a key points to another entry; of two entries with one key the last is valid.",
        "Which value belongs to the key? Follow references until you reach a value that is no key. Later entries override earlier ones.",
    ],
    bodies: &[
        ("{pairs/*/\n}\n\nKey:{keys/*/,}\n", "Value:", "{answer/*/,}"),
        ("List:{pairs/*/;}\nLook up:{keys/*/;}\n", "Answer:", "{answer/*/,}"),
        ("Entries:\n{pairs/-*/\n}\nWanted:{keys/*/,}\n", "Found:", "{answer/*/,}"),
        ("Table:{pairs/*/ |} |\nKeys:{keys/*/,}\n", "Values:", "{answer/*/,}"),
    ],
    // The table of spec 6 has no such task: the bare form.
    harness: ("{pairs/*/\n}\n\nKey:{keys/*/,}\nValue:", "{answer/*/,}"),
};

/// T6: the value of a key.
#[derive(Debug)]
pub(super) struct Lookup;

impl Template for Lookup {
    fn name(&self) -> &str {
        "lookup"
    }

    fn family(&self) -> Family {
        Family::Search
    }

    fn about(&self) -> &str {
        "The answer is the value that a list of pairs gives for a key."
    }

    fn stands_for(&self) -> &str {
        "needle and key-value lookup in long contexts"
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
        let (pairs, hops, queries) = (settings.at(COUNT), settings.at(HOPS), settings.at(QUERIES));
        if pairs.lo < hops.hi {
            return Err(settings.impossible(COUNT, HOPS, "a chain of pairs is longer than the list"));
        }
        if pairs.lo < hops.hi * queries.hi {
            return Err(settings.impossible(
                COUNT,
                QUERIES,
                "each key that is asked for needs a chain of its own",
            ));
        }
        if settings.at(REPEATS).hi > pairs.lo {
            return Err(settings.impossible(COUNT, REPEATS, "more keys come twice than there are"));
        }
        if settings.at(REPEATS).hi > 0 && settings.at(PLACE) != Value::range(0, 100) {
            return Err(settings.impossible(
                PLACE,
                REPEATS,
                "the later of two entries counts, so that it can't stand anywhere",
            ));
        }
        let words = 2 * pairs.hi + settings.at(REPEATS).hi;
        needs(pool, words, &format!("`pairs={}`, where no value begins as a key does,", pairs.hi))
    }

    fn make(
        &self,
        settings: &Settings,
        draw: &mut Draw,
        pool: &Pool,
        content: &mut Content,
    ) -> Result<(), Ambiguous> {
        let Draw { steady, free, .. } = draw;
        let [pairs, queries, hops, repeats] =
            [COUNT, QUERIES, HOPS, REPEATS].map(|knob| steady.within(settings.at(knob)) as usize);
        let queries = queries.min(ASKED).min(pairs / hops.max(1));
        let place = steady.within(settings.at(PLACE)) as usize;
        let (entries, chains) = (pairs + repeats, pairs / hops.max(1));

        // First words: of each key, then of each value; all differ, so that no value is a key by chance.
        let (firsts, order) = (&mut content.scratch, &mut content.spare);
        ops::sample_distinct(free, pool.size(), pairs + entries, 0, firsts);
        if firsts.len() < pairs + entries {
            return Err(Ambiguous);
        }
        // Then the rest of each key, in places of one width, and how many words it has.
        let keys = firsts.len();
        for pair in 0..pairs {
            let (first, len) = (firsts[pair], free.within(settings.at(KEY_LEN)).min(WIDTH as u32));
            firsts.extend([len, first]);
            firsts.extend((1..WIDTH as u32).map(|word| if word < len { free.below(pool.size()) } else { 0 }));
        }
        let key = |firsts: &[u32], pair: usize| {
            let at = keys + pair * (WIDTH + 1);
            at + 1..at + 1 + firsts[at] as usize
        };

        // Entry e is pair e, or from `pairs` on an earlier value of a pair that is drawn.
        order.extend(0..entries as u32);
        ops::shuffle(steady, order);
        let again = order.len();
        ops::sample_distinct(free, pairs as u32, repeats, again, order);
        let find = |order: &[u32], entry: usize| order[..entries].iter().position(|one| *one == entry as u32);
        for repeat in 0..repeats {
            let pair = order[again + repeat] as usize;
            let (earlier, later) = (find(order, pairs + repeat), find(order, pair));
            if let (Some(earlier), Some(later)) = (earlier, later)
                && earlier > later
            {
                order.swap(earlier, later);
            }
        }
        let last = hops - 1;
        if settings.at(PLACE) != Value::range(0, 100)
            && let Some(at) = find(order, last)
        {
            order.swap(at, (place * (entries - 1) + 50) / 100);
        }
        content.facts.place = find(order, last).map(|at| (at as u32, entries as u32));

        let mut answers = [(0, 0); ASKED];
        content.begin(PAIRS);
        for at in 0..entries {
            let entry = content.spare[at] as usize;
            let pair = if entry < pairs { entry } else { content.spare[again + entry - pairs] as usize };
            content.tokens.extend_from_slice(&content.scratch[key(&content.scratch, pair)]);
            content.tokens.push(pool.mark(Mark::Colon));
            // Most lists have no chains, and divisions are what is slow here.
            let (chain, link) = if hops == 1 { (pair, 0) } else { (pair / hops, pair % hops) };
            if entry < pairs && link < last && chain < chains {
                content.tokens.extend_from_slice(&content.scratch[key(&content.scratch, pair + 1)]);
            } else {
                let value = content.tokens.len();
                content.tokens.push(content.scratch[pairs + entry]);
                let more = free.within(settings.at(VALUE_LEN)) as usize - 1;
                free.fill(pool.size(), more, &mut content.tokens);
                if entry < pairs && link == last && chain < queries {
                    answers[chain] = (value, content.tokens.len());
                }
            }
            content.close();
        }
        content.begin(KEYS);
        for query in 0..queries {
            content.tokens.extend_from_slice(&content.scratch[key(&content.scratch, query * hops)]);
            content.close();
        }
        content.begin(ANSWER);
        for (from, to) in &answers[..queries] {
            content.tokens.extend_from_within(*from..*to);
            content.close();
        }
        Ok(())
    }

    fn solve(&self, _: &Settings, asked: &Reading<'_>) -> Option<Vec<String>> {
        let table: std::collections::HashMap<&[&str], &[&str]> = asked
            .items(PAIRS)
            .iter()
            .filter_map(|pair| {
                let colon = pair.iter().position(|word| *word == ":")?;
                Some((&pair[..colon], &pair[colon + 1..]))
            })
            .collect();
        let mut answer = Vec::new();
        for wanted in asked.items(KEYS) {
            let mut value = *table.get(wanted.as_slice())?;
            // A chain longer than the table is a circle.
            let mut steps = table.len();
            while let Some(next) = table.get(value) {
                value = next;
                steps = steps.checked_sub(1)?;
            }
            answer.extend(value.iter().map(|word| (*word).to_owned()));
        }
        (!answer.is_empty()).then_some(answer)
    }

    fn score(&self, settings: &Settings, asked: &Reading<'_>, output: &str) -> f64 {
        self.solve(settings, asked).map_or(0.0, |right| score::exactly(&right, output))
    }
}
