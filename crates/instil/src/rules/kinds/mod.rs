//! One file for each kind of task: which questions or statements it uses and how it words them.

mod exqa;
mod mcqa;
mod nli;
mod paraphrase_id;
mod qa;
mod qg;
mod sent_comp;
mod summarization;
mod te;
mod text_gen;
mod wording;
mod ynqa;

use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

use rand::seq::SliceRandom;

use super::question::{Question, gaps, questions};
use super::statement::{Statement, statements};
use super::text::Text;
use crate::rng::{from_seed, seed_of};
use crate::task::TaskKind;

/// The kinds that rules can make, in the order of [`TaskKind::ALL`].
pub(super) const ALL: &[TaskKind] = &[
    TaskKind::Exqa,
    TaskKind::Mcqa,
    TaskKind::Qg,
    TaskKind::Qa,
    TaskKind::Ynqa,
    TaskKind::ParaphraseId,
    TaskKind::SentComp,
    TaskKind::Summarization,
    TaskKind::TextGen,
    TaskKind::Te,
    TaskKind::Nli,
];

/// One task over a passage: `{{context}}` stands for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Draft {
    /// What is asked.
    pub(super) instruction: String,
    /// The right answer.
    pub(super) response: String,
}

/// A passage with what has been made of it so far; questions and statements are made when first asked for.
pub(super) struct Source<'a> {
    text: Text<'a>,
    questions: OnceLock<Vec<Question>>,
    gaps: OnceLock<Vec<Question>>,
    statements: OnceLock<Vec<Statement>>,
}

impl<'a> Source<'a> {
    pub(super) fn new(text: Text<'a>) -> Self {
        Self { text, questions: OnceLock::new(), gaps: OnceLock::new(), statements: OnceLock::new() }
    }

    /// The passage.
    pub(super) fn passage(&self) -> &'a str {
        self.text.text
    }

    fn questions(&self) -> &[Question] {
        self.questions.get_or_init(|| questions(&self.text))
    }

    fn gaps(&self) -> &[Question] {
        self.gaps.get_or_init(|| gaps(&self.text))
    }

    fn statements(&self) -> &[Statement] {
        self.statements.get_or_init(|| statements(&self.text))
    }
}

/// The first `most` drafts of the list for this kind, passage and seed. Draft i doesn't depend on `most`.
pub(super) fn drafts(source: &Source<'_>, kind: TaskKind, seed: u64, most: usize) -> Vec<Draft> {
    let chance = Chance { seed: seed_of(seed, &[kind.short()]) };
    match kind {
        TaskKind::Exqa => exqa::drafts(source, &chance, most),
        TaskKind::Mcqa => mcqa::drafts(source, &chance, most),
        TaskKind::Qg => qg::drafts(source, &chance, most),
        TaskKind::Qa => qa::drafts(source, &chance, most),
        TaskKind::ParaphraseId => paraphrase_id::drafts(source, &chance, most),
        TaskKind::SentComp => sent_comp::drafts(source, &chance, most),
        TaskKind::TextGen => text_gen::drafts(source, &chance, most),
        TaskKind::Te => te::drafts(source, &chance, most),
        TaskKind::Ynqa => ynqa::drafts(source, &chance, most),
        TaskKind::Nli => nli::drafts(source, &chance, most),
        TaskKind::Summarization => summarization::drafts(source, &chance, most),
        _ => Vec::new(),
    }
}

/// The random choices of one list.
struct Chance {
    seed: u64,
}

impl Chance {
    /// A number for what is named by `part`.
    fn draw(&self, part: &str) -> u64 {
        seed_of(self.seed, &[part])
    }

    /// Which of `count` wordings draft `i` has: all are used before one comes again.
    fn wording(&self, i: usize, count: usize) -> usize {
        let mut order: Vec<usize> = (0..count).collect();
        order.shuffle(&mut from_seed(self.draw("wording")));
        order[i % count]
    }

    /// The first `most` items in an order in which sentences and forms change. `bias` puts an item back.
    fn pick<'i, T>(&self, items: &'i [T], most: usize, traits: impl Fn(&T) -> Traits) -> Vec<&'i T> {
        let mut shuffled: Vec<(&T, Traits)> = items.iter().map(|item| (item, traits(item))).collect();
        shuffled.shuffle(&mut from_seed(self.draw("order")));
        let mut used: HashMap<Use, u32> = HashMap::new();
        let mut texts = HashSet::new();
        let mut picked = Vec::new();
        while picked.len() < most {
            let cost = |traits: &Traits| {
                let count = |what| used.get(&what).copied().unwrap_or(0);
                3 * count(Use::Sentence(traits.sentence)) + 2 * count(Use::Form(traits.form)) + traits.bias
            };
            let Some(best) = (0..shuffled.len()).min_by_key(|i| cost(&shuffled[*i].1)) else { break };
            let (item, traits) = shuffled.remove(best);
            if texts.insert(traits.text) {
                *used.entry(Use::Sentence(traits.sentence)).or_default() += 1;
                *used.entry(Use::Form(traits.form)).or_default() += 1;
                picked.push(item);
            }
        }
        picked
    }
}

#[derive(PartialEq, Eq, Hash)]
enum Use {
    Sentence(usize),
    Form(&'static str),
}

/// What makes two items alike.
struct Traits {
    sentence: usize,
    form: &'static str,
    bias: u32,
    text: String,
}
