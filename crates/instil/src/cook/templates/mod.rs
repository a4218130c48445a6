//! The templates: each a rule over random words, with what makes samples of it and what solves them.
//!
//! A file holds one template. Its `make` knows everything and writes slots; its `solve` knows nothing but what can be
//! read and shares no code with `make`. The rules and all numbers are ours; of the published templates only what
//! spec/cookbook.md marks as confirmed is known.

mod mcqa;
mod commonsense;
mod disambiguation;
mod doc_qa;
mod retrieval;
mod lookup;
mod matching;
mod support;
mod poetry;
mod last_word;
mod summary;

use std::fmt;
use std::sync::Arc;

use super::content::Content;
use super::draw::Draw;
use super::frame::{Frame, Wording};
use super::knobs::{Knob, Settings};
use super::reading::Reading;
use super::score;
use super::tokens::Pool;
use crate::error::{Error, Result, nearest};

/// What a template asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// One of several options.
    Selection,
    /// Something that stands in the input.
    Search,
    /// Yes or no.
    Comparison,
    /// New text after a rule.
    Generation,
}

impl Family {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Selection => "selection",
            Self::Search => "search",
            Self::Comparison => "comparison",
            Self::Generation => "generation",
        }
    }
}

/// What was drawn has no answer, or more than one: it is to be drawn anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ambiguous;

/// A rule, and what makes samples of it.
///
/// The first slot must be in every prompt, since it decides a sample's split. The last slot is the answer.
pub trait Template: Send + Sync + fmt::Debug {
    /// Its name, as in `cook doc_qa`.
    fn name(&self) -> &str;

    /// Counts up with each change of what `make` gives for the same chance.
    fn version(&self) -> u32 {
        1
    }

    /// What it asks for.
    fn family(&self) -> Family;

    /// Its rule in one sentence.
    fn about(&self) -> &str;

    /// What it stands for: the tasks whose form it has.
    fn stands_for(&self) -> &str;

    /// What can be set.
    fn knobs(&self) -> &[Knob];

    /// The names of its slots, [`super::SLOTS`] at most; the last is the answer.
    fn slots(&self) -> Vec<&str>;

    /// The place of the slot that holds the options which evaluation scores, where there is one.
    fn options(&self) -> Option<usize> {
        None
    }

    /// The ways to word its samples.
    ///
    /// # Errors
    /// When a frame has no meaning, as one of a user's template may.
    fn frames(&self, wording: Wording) -> Result<Vec<Frame>>;

    /// Whether samples can be made with these settings and this pool.
    ///
    /// # Errors
    /// What can't be, by the names of the knobs.
    fn check(&self, settings: &Settings, pool: &Pool) -> Result<()>;

    /// Makes a sample: begins every slot in `content`. `steady` chance decides on classes, places and lengths.
    ///
    /// # Errors
    /// When what was drawn must be drawn anew.
    fn make(
        &self,
        settings: &Settings,
        draw: &mut Draw,
        pool: &Pool,
        content: &mut Content,
    ) -> Result<(), Ambiguous>;

    /// The words of the right answer to what was read, where there is just one.
    fn solve(&self, settings: &Settings, asked: &Reading<'_>) -> Option<Vec<String>>;

    /// What an output is worth, from 0 to 1; 1 if it is right, and only then.
    fn score(&self, settings: &Settings, asked: &Reading<'_>, output: &str) -> f64 {
        self.solve(settings, asked).map_or(0.0, |right| score::by_words(&right, output))
    }

    /// Whether `said`, the items of an answer, is right. Rules with more than one right answer only judge.
    ///
    /// # Errors
    /// When a user's template has a fault.
    fn judge(&self, settings: &Settings, asked: &Reading<'_>, said: &[Vec<&str>]) -> Result<bool> {
        Ok(match self.solve(settings, asked) {
            Some(right) => said.iter().flatten().copied().eq(right.iter().map(String::as_str)),
            None => {
                let lines: Vec<String> = said.iter().map(|line| line.join(" ")).collect();
                self.score(settings, asked, &lines.join("\n")) == 1.0
            }
        })
    }
}

/// Every template, in the order of spec/cookbook.md 2.
pub fn templates() -> Vec<Arc<dyn Template>> {
    vec![
        Arc::new(mcqa::Mcqa),
        Arc::new(commonsense::Commonsense),
        Arc::new(disambiguation::Disambiguation),
        Arc::new(doc_qa::DocQa),
        Arc::new(retrieval::Retrieval),
        Arc::new(lookup::Lookup),
        Arc::new(matching::Matching),
        Arc::new(support::Support),
        Arc::new(poetry::Poetry),
        Arc::new(last_word::LastWord),
        Arc::new(summary::Summary),
    ]
}

/// The template of this name.
///
/// # Errors
/// When there is none; the hint says the nearest.
pub fn template(name: &str) -> Result<Arc<dyn Template>> {
    let all = templates();
    if let Some(template) = all.iter().find(|template| template.name() == name) {
        return Ok(Arc::clone(template));
    }
    let hint = match nearest(name, all.iter().map(|template| template.name())) {
        Some(near) => format!("did you mean `{near}`? `instil list templates` shows them all"),
        None => "`instil list templates` shows them all".to_owned(),
    };
    Err(Error::usage(format!("unknown template `{name}`")).with_hint(hint))
}

/// An error if the pool has fewer than `least` words.
fn needs(pool: &Pool, least: u32, why: &str) -> Result<()> {
    if pool.size() >= least {
        return Ok(());
    }
    Err(Error::usage(format!("a pool of {} words is too small", pool.size()))
        .because(format!("{why} needs {least} different ones"))
        .with_hint("take a larger pool, or ask for less"))
}

/// The words of an answer, each for itself.
fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
