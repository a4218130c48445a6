//! Samples of one template, endless and in any order.

use std::sync::Arc;

use super::content::{Content, Facts, SLOTS};
use super::draw::Key;
use super::frame::{Frame, Wording};
use super::knobs::{Curriculum, Settings};
use super::page::Page;
use super::reading::{Reading, words};
use super::score::answer_words;
use super::split::Split;
use super::templates::Template;
use super::tokens::Pool;
use crate::error::{Error, Result};

/// The most draws of one sample.
const ATTEMPTS: u32 = 4096;
/// So many places of a curriculum are looked at before anything is made.
const LOOKED_AT: u64 = 64;

/// What samples are made with.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The rule.
    pub template: Arc<dyn Template>,
    /// What it is set to.
    pub settings: Curriculum,
    /// The words that it draws from.
    pub pool: Arc<Pool>,
    /// How samples are worded. It changes nothing of their content: the same seed gives the same samples in other words.
    pub wording: Wording,
    /// The seed.
    pub seed: u64,
    /// The split that all samples belong to.
    pub split: Split,
}

/// The samples of one template under one seed: sample `i` is a function of the plan and `i` alone.
///
/// ```
/// use std::sync::Arc;
/// use instil::cook::{Curriculum, Plan, Pool, Sample, Settings, Split, Stream, Wording, template};
///
/// let template = template("doc_qa")?;
/// let mut settings = Settings::new(template.knobs());
/// settings.set("doc_len", "30..60")?;
/// let stream = Stream::new(Plan {
///     template,
///     settings: Curriculum::constant(settings),
///     pool: Arc::new(Pool::synthetic(4096)?),
///     wording: Wording::Bare,
///     seed: 7,
///     split: Split::Train,
/// })?;
/// let mut sample = Sample::default();
/// stream.fill(1_000_000, &mut sample).unwrap();
/// assert!(stream.verify(&sample));
/// assert_eq!(stream.score(&sample, sample.completion()), 1.0);
/// # Ok::<(), instil::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Stream {
    plan: Plan,
    key: Key,
    frames: Vec<Frame>,
    /// The place of the slot that is the answer.
    answer: usize,
    /// Whether the settings are the same for all samples.
    is_constant: bool,
    /// Words that can be read, in place of those of `all`, which may have line ends and parts of characters.
    stand_in: Option<Arc<Pool>>,
}

/// A sample, and the room that the next one is made in.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    pub(super) content: Content,
    page: Page,
    index: u64,
    pub(super) frame: usize,
    tally: Tally,
}

/// What was drawn, counted over all samples that were made in one room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    /// Samples that were made.
    pub samples: u64,
    /// Draws that had no answer or more than one.
    pub ambiguous: u64,
    /// Draws that belong to another split.
    pub elsewhere: u64,
    /// Samples that no draw was found for.
    pub exhausted: u64,
}

impl Tally {
    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: Self) {
        self.samples += other.samples;
        self.ambiguous += other.ambiguous;
        self.elsewhere += other.elsewhere;
        self.exhausted += other.exhausted;
    }
}

/// No draw of a sample was one that could be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted;

impl Sample {
    /// The prompt; for [`Wording::Chat`] the user's turn.
    pub fn prompt(&self) -> &str {
        self.page.prompt()
    }

    /// The completion with the blank that parts it from the prompt, if there is one; for [`Wording::Chat`] the
    /// assistant's turn.
    pub fn completion(&self) -> &str {
        self.page.completion()
    }

    /// Prompt and completion in one.
    pub fn text(&self) -> &str {
        self.page.text()
    }

    /// Its number in the stream.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Which of the stream's frames words it.
    pub fn frame(&self) -> usize {
        self.frame
    }

    /// What its making knows of it.
    pub fn facts(&self) -> Facts {
        self.content.facts
    }

    /// The items of a slot, each as its tokens in the pool.
    pub fn items(&self, slot: usize) -> impl ExactSizeIterator<Item = &[u32]> + '_ {
        self.content.items(slot)
    }

    /// Why it couldn't be made, where a script's fault is the reason.
    pub fn fault(&self) -> Option<Error> {
        let fault = self.content.fault.as_ref()?;
        let told = Error::new(fault.kind(), fault.to_string());
        Some(match fault.hint() {
            Some(hint) => told.with_hint(hint),
            None => told,
        })
    }

    /// What was drawn for all samples so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }
}

impl Stream {
    /// A stream of samples.
    ///
    /// # Errors
    /// When the settings can't be met, at the beginning or the end of the curriculum or between them, when the pool is
    /// too small, or when a frame has no meaning.
    pub fn new(plan: Plan) -> Result<Self> {
        let Plan { template, settings, pool, wording, seed, split } = &plan;
        let name = template.name().to_owned();
        settings.check()?;
        for place in 0..=LOOKED_AT {
            let index = (u128::from(settings.rows) * u128::from(place) / u128::from(LOOKED_AT)) as u64;
            template.check(&settings.at(index), pool)?;
        }
        let slots = template.slots();
        if slots.len() < 2 || slots.len() > SLOTS {
            return Err(Error::usage(format!("`{name}` has {} slots", slots.len()))
                .with_hint(format!("a template has from 2 to {SLOTS}, and the last is the answer")));
        }
        let answer = slots.len() - 1;
        let frames = template.frames(*wording)?;
        if frames.is_empty() || !frames.iter().all(|frame| frame.shows(0)) {
            return Err(Error::usage(format!("`{name}` has a frame that doesn't show `{}`", slots[0]))
                .because(
                    "the first slot says which split a sample belongs to, so that every prompt must show it",
                ));
        }
        let parts = [
            &name,
            &template.version().to_string(),
            pool.hash(),
            &settings.from.to_string(),
            &settings.to.to_string(),
            &settings.rows.to_string(),
            split.name(),
        ];
        let stand_in = if pool.is_bytes() { Some(Arc::new(pool.stand_in()?)) } else { None };
        let is_constant = settings.is_constant();
        let stream = Self { key: Key::new(*seed, &parts), frames, answer, is_constant, stand_in, plan };
        let mut sample = Sample::default();
        let ends = [0, stream.plan.settings.rows.saturating_sub(1)];
        if ends.iter().any(|index| stream.fill(*index, &mut sample).is_err()) {
            if let Some(fault) = sample.fault() {
                return Err(fault);
            }
            let settings = stream.settings(sample.index);
            return Err(Error::usage(format!("no sample of `{name}` can be made with `{settings}`"))
                .because(format!("none of {ATTEMPTS} draws had just one answer"))
                .with_hint("take a larger pool, less noise, or shorter lists"));
        }
        Ok(stream)
    }

    /// What the samples are made with.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The ways in which samples are worded.
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// The settings of sample `index`.
    pub fn settings(&self, index: u64) -> std::borrow::Cow<'_, Settings> {
        match self.is_constant {
            true => std::borrow::Cow::Borrowed(&self.plan.settings.from),
            false => self.plan.settings.at(index),
        }
    }

    /// Makes sample `index` in the place of what was there.
    ///
    /// # Errors
    /// When none of so many draws could be kept; `sample` then holds nothing that means anything, and counts it.
    pub fn fill(&self, index: u64, sample: &mut Sample) -> Result<(), Exhausted> {
        let settings = self.settings(index);
        let root = self.key.draw(index);
        sample.index = index;
        for attempt in 0..ATTEMPTS {
            let mut draw = root.attempt(attempt);
            // One draw, however many frames there are, so that the content is the same in every wording.
            sample.frame = draw.steady.below(self.frames.len() as u32) as usize;
            sample.content.clear();
            let made = self.plan.template.make(&settings, &mut draw, &self.plan.pool, &mut sample.content);
            if made.is_err() {
                if sample.content.fault.is_some() {
                    break;
                }
                sample.tally.ambiguous += 1;
                continue;
            }
            if self.split_of(&sample.content) != self.plan.split {
                sample.tally.elsewhere += 1;
                continue;
            }
            self.frames[sample.frame].write(&self.plan.pool, &sample.content, &mut sample.page);
            if self.plan.pool.is_bytes() {
                sample.page.mend();
            }
            sample.tally.samples += 1;
            return Ok(());
        }
        sample.tally.exhausted += 1;
        Err(Exhausted)
    }

    /// The split that a sample's first slot decides on.
    fn split_of(&self, content: &Content) -> Split {
        // The items of a slot lie one behind the other.
        let mut ranges = content.ranges(0);
        let first = ranges.next().unwrap_or_default();
        let end = ranges.last().map_or(first.end, |last| last.end);
        Split::of(&self.plan.pool, &content.tokens[first.start..end])
    }

    /// The options that evaluation scores, each as a text; none where the template has none.
    pub fn options(&self, sample: &Sample) -> Vec<String> {
        let Some(slot) = self.plan.template.options() else { return Vec::new() };
        sample.content.items(slot).map(|item| phrase(&self.plan.pool, item)).collect()
    }

    /// Tokens as a text of their own.
    pub fn phrase(&self, tokens: &[u32]) -> String {
        phrase(&self.plan.pool, tokens)
    }

    /// Whether the rule, read anew from the text, gives this sample's completion: nothing of its making is looked at
    /// but which frame words it, and the options where the frame doesn't show them.
    ///
    /// Texts of an `all` pool can't be taken apart into words. Of these the same tokens are read as words that can be.
    pub fn verify(&self, sample: &Sample) -> bool {
        let Some(pool) = &self.stand_in else {
            let (prompt, completion) = (sample.prompt(), sample.completion());
            return self.verify_text(sample.index, sample.frame, prompt, completion, &self.options(sample));
        };
        let page = self.readable(pool, sample);
        let options: Vec<String> = match self.plan.template.options() {
            Some(slot) => sample.content.items(slot).map(|item| phrase(pool, item)).collect(),
            None => Vec::new(),
        };
        self.verify_text(sample.index, sample.frame, page.prompt(), page.completion(), &options)
    }

    /// The sample in words of another pool.
    fn readable(&self, pool: &Pool, sample: &Sample) -> Page {
        let mut page = Page::default();
        self.frames[sample.frame].write(pool, &sample.content, &mut page);
        page
    }

    /// [`Stream::verify`] for a text that comes from elsewhere, as from a file.
    pub fn verify_text(
        &self,
        index: u64,
        frame: usize,
        prompt: &str,
        completion: &str,
        options: &[String],
    ) -> bool {
        self.judge(index, frame, prompt, completion, options).unwrap_or(false)
    }

    /// [`Stream::verify`], where a script's rule may have a fault.
    ///
    /// # Errors
    /// The fault, with its place in the script.
    pub fn try_verify(&self, sample: &Sample) -> Result<bool> {
        let (prompt, completion) = (sample.prompt(), sample.completion());
        self.judge(sample.index, sample.frame, prompt, completion, &self.options(sample))
    }

    fn judge(
        &self,
        index: u64,
        frame: usize,
        prompt: &str,
        completion: &str,
        options: &[String],
    ) -> Result<bool> {
        let Some(frame) = self.frames.get(frame) else { return Ok(false) };
        let Some(mut asked) = frame.read(prompt, completion) else { return Ok(false) };
        let said = asked.take(frame.wanted(self.answer));
        self.show(&mut asked, options);
        self.plan.template.judge(&self.settings(index), &asked, &said)
    }

    /// What an output is worth as the answer to this sample, from 0 to 1. It has no meaning for an `all` pool, whose texts
    /// can't be read.
    pub fn score(&self, sample: &Sample, output: &str) -> f64 {
        let frame = &self.frames[sample.frame];
        let Some(mut asked) = frame.read(sample.prompt(), sample.completion()) else { return 0.0 };
        asked.take(frame.wanted(self.answer));
        let options = self.options(sample);
        self.show(&mut asked, &options);
        self.plan.template.score(&self.settings(sample.index), &asked, output)
    }

    /// The right answer of a sample as a text of its own, a line for each item where the frame parts them by lines.
    pub fn answer(&self, sample: &Sample) -> String {
        let wanted = self.frames[sample.frame].wanted(self.answer);
        let items: Vec<String> = sample.content.items(wanted).map(|item| self.phrase(item)).collect();
        items.join("\n")
    }

    /// Adds the options where the frame doesn't show them.
    fn show<'a>(&self, asked: &mut Reading<'a>, options: &'a [String]) {
        if let Some(slot) = self.plan.template.options()
            && !asked.has(slot)
        {
            options.iter().for_each(|option| asked.push(slot, words(option)));
        }
    }

    /// Whether two answers are the same words.
    pub fn is_same(one: &str, other: &str) -> bool {
        answer_words(one) == answer_words(other)
    }
}

/// Tokens as a text of their own.
fn phrase(pool: &Pool, tokens: &[u32]) -> String {
    let bytes: Vec<u8> = tokens.iter().flat_map(|token| pool.bytes(*token)).copied().collect();
    String::from_utf8_lossy(&bytes).trim_start().to_owned()
}
