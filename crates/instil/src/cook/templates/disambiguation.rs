//! T3, entity disambiguation: of two entities the answer is the one whose attributes come again.

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

const SLOTS: [&str; 4] = ["text", "clause", "entities", "answer"];
/// Sentences: an entity with what is said of it, the other, and one of neither.
const TEXT: usize = 0;
const CLAUSE: usize = 1;
const ENTITIES: usize = 2;
const ANSWER: usize = 3;

const KNOBS: &[Knob] = &[
    Knob::count("entity_len", "Words of each entity.", (1, 3), (1, 20)),
    Knob::count("attribute_len", "Words that are said of each entity.", (3, 6), (1, 1000)),
    Knob::count(
        "clause_len",
        "Words of the clause that say of whom it is, or all that was said if that is less.",
        (2, 4),
        (1, 1000),
    ),
    Knob::count("cross", "Words of the clause that were said of the other entity.", (0, 0), (0, 100)),
    Knob::count(
        "filler",
        "Words behind the two that say nothing; 0 for no such sentence.",
        (0, 6),
        (0, 10_000),
    ),
];
const ENTITY_LEN: usize = 0;
const ATTRIBUTE_LEN: usize = 1;
const CLAUSE_LEN: usize = 2;
const CROSS: usize = 3;
const FILLER: usize = 4;

const TEXTS: Texts = Texts {
    asks: &[
        "Each entity is followed by what is said of it. Who is meant by the blank?",
        "Fill the blank with the entity whose description the last clause repeats.",
        "Which of the two entities does `_` stand for? Compare what follows it with what was said before.",
        "Replace `_` by the entity that the rest of its clause was said of.",
    ],
    bodies: &[
        ("{text/*./} _{clause}\nOptions:{entities/*/,}\n", "Answer:", "{answer}"),
        ("Text:{text/*./} _{clause}\n{entities/#.*/\n}\n", "Entity:", "{answer}"),
        ("Sentence:{text/*./} _{clause}\nCandidates:{entities/*/ |}\n", "Blank:", "{answer}"),
        ("{text/*./} _{clause}\n\n{entities/-*/\n}\n\n", "Meant is:", "{answer}"),
    ],
    // winogrande, scored partially: the sentence up to the blank with either entity, then what they have in common.
    harness: ("{text/*./}{answer}", "{clause}"),
};

/// T3: who is meant.
#[derive(Debug)]
pub(super) struct Disambiguation;

impl Template for Disambiguation {
    fn name(&self) -> &str {
        "disambiguation"
    }

    fn family(&self) -> Family {
        Family::Selection
    }

    fn about(&self) -> &str {
        "The answer is the entity whose attributes come again in the last clause."
    }

    fn stands_for(&self) -> &str {
        "entity disambiguation (WinoGrande)"
    }

    fn knobs(&self) -> &[Knob] {
        KNOBS
    }

    fn slots(&self) -> Vec<&str> {
        SLOTS.to_vec()
    }

    fn options(&self) -> Option<usize> {
        Some(ENTITIES)
    }

    fn frames(&self, wording: Wording) -> Result<Vec<Frame>> {
        TEXTS.frames(wording, &SLOTS)
    }

    fn check(&self, settings: &Settings, pool: &Pool) -> Result<()> {
        let [entity, attribute, clause, cross, filler] =
            [ENTITY_LEN, ATTRIBUTE_LEN, CLAUSE_LEN, CROSS, FILLER].map(|knob| settings.at(knob));
        if clause.lo.min(attribute.lo) <= cross.hi {
            return Err(settings.impossible(
                CLAUSE_LEN,
                CROSS,
                "the clause would be about the other entity as much",
            ));
        }
        let words = 2 * (entity.hi + attribute.hi) + filler.hi;
        needs(pool, words, "a text in which every word comes once")
    }

    fn make(
        &self,
        settings: &Settings,
        draw: &mut Draw,
        pool: &Pool,
        content: &mut Content,
    ) -> Result<(), Ambiguous> {
        let Draw { steady, free, .. } = draw;
        let gold = steady.below(2) as usize;
        let lens = [0, 1].map(|_| {
            (
                steady.within(settings.at(ENTITY_LEN)) as usize,
                steady.within(settings.at(ATTRIBUTE_LEN)) as usize,
            )
        });
        let clause = steady.within(settings.at(CLAUSE_LEN)) as usize;
        let cross = steady.within(settings.at(CROSS)) as usize;
        let filler = steady.within(settings.at(FILLER)) as usize;

        // All words differ, so that those that come again do so by the rule.
        let total = lens.iter().map(|(entity, said)| entity + said).sum::<usize>() + filler;
        ops::sample_distinct(free, pool.size(), total, 0, &mut content.scratch);
        if content.scratch.len() < total {
            return Err(Ambiguous);
        }
        let (mut at, mut entities, mut attributes) = (0, [(0, 0); 2], [(0, 0); 2]);
        content.begin(TEXT);
        for (block, (entity, said)) in lens.into_iter().enumerate() {
            entities[block] = (at, at + entity);
            attributes[block] = (at + entity, at + entity + said);
            content.tokens.extend_from_slice(&content.scratch[at..at + entity + said]);
            content.close();
            at += entity + said;
        }
        if filler > 0 {
            content.tokens.extend_from_slice(&content.scratch[at..at + filler]);
            content.close();
        }
        content.begin(CLAUSE);
        for (block, words) in [(gold, clause), (1 - gold, cross)] {
            let (from, to) = attributes[block];
            ops::pick(free, &content.scratch[from..to], words, &mut content.tokens);
        }
        let range = content.close();
        ops::shuffle(free, &mut content.tokens[range]);
        // Options in an order of their own, since their places in the text say nothing of it.
        let flipped = steady.below(2) as usize;
        content.begin(ENTITIES);
        for place in 0..2 {
            let (from, to) = entities[place ^ flipped];
            content.tokens.extend_from_slice(&content.scratch[from..to]);
            content.close();
        }
        let (from, to) = entities[gold];
        content.begin(ANSWER);
        content.tokens.extend_from_slice(&content.scratch[from..to]);
        content.close();
        content.facts.choice = Some(((gold ^ flipped) as u32, 2));
        content.facts.place = Some((gold as u32, 2));
        Ok(())
    }

    fn solve(&self, _: &Settings, asked: &Reading<'_>) -> Option<Vec<String>> {
        let repeated = repeated(asked);
        let best = (0..repeated.len()).max_by_key(|place| repeated[*place])?;
        let is_alone = repeated.iter().filter(|words| **words == repeated[best]).count() == 1;
        is_alone.then(|| owned(&asked.items(ENTITIES)[best]))
    }

    fn score(&self, settings: &Settings, asked: &Reading<'_>, output: &str) -> f64 {
        let entities = asked.items(ENTITIES);
        let place = |words: &[String]| entities.iter().position(|entity| owned(entity) == words);
        let right = self.solve(settings, asked).and_then(|right| place(&right));
        by_rank(&repeated(asked), right, place(&owned(&answer_words(output))))
    }
}

/// How many words of the clause are in the sentence that begins with each entity.
fn repeated(asked: &Reading<'_>) -> Vec<usize> {
    let said_of = |entity: &Vec<&str>| {
        let sentence = asked.items(TEXT).iter().find(|sentence| sentence.starts_with(entity));
        sentence.map(|sentence| &sentence[entity.len()..]).unwrap_or_default()
    };
    let clause = asked.first(CLAUSE);
    let count = |said: &[&str]| clause.iter().filter(|word| said.contains(word)).count();
    asked.items(ENTITIES).iter().map(|entity| count(said_of(entity))).collect()
}
