//! Formats: the words around what a template makes, and the way back from a text to its parts.
//!
//! A frame is written as a string with slots: `{doc}` is the one item of a slot; `{options/@.*/\n}` are all items of one,
//! each in the shape `@.*` with a line's end between two, where `*` is the item, `@` its letter and `#` its number. A
//! slot without items writes nothing. Every word brings the blank before it, so that `Question:{question}` is
//! `Question: tol bes`.
//!
//! Words have no punctuation and no line ends. So where each literal behind a slot begins with one of these, a text is
//! written in one way alone and can be taken apart again; a test holds every frame to it.

use std::borrow::Cow;

use super::content::Content;
use super::page::{Literal, Page};
use super::reading::{Reading, words};
use super::tokens::Pool;
use crate::error::{Error, Result};

/// So many items of a list have their heads written in advance.
const HEADS: usize = 64;

/// How a sample is worded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wording {
    /// Labels alone: `Document: … Question: … Answer:`.
    Bare,
    /// A short instruction first.
    Instruct,
    /// As the evaluation task of lm-evaluation-harness words it (spec/cookbook.md 6).
    Harness,
    /// A user's turn and an assistant's.
    Chat,
}

impl Wording {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Bare, Self::Instruct, Self::Harness, Self::Chat];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Instruct => "instruct",
            Self::Harness => "harness",
            Self::Chat => "chat",
        }
    }

    /// What it is, in one sentence.
    pub fn about(self) -> &'static str {
        match self {
            Self::Bare => "Labels alone, such as `Document:` and `Answer:`.",
            Self::Instruct => "One short instruction, then the labels.",
            Self::Harness => "The words of the task in lm-evaluation-harness that the template stands for.",
            Self::Chat => "A user's turn and an assistant's, for a model's chat template.",
        }
    }

    /// The wording of this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn parse(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|wording| wording.name() == name).ok_or_else(|| {
            Error::usage(format!("there is no wording `{name}`"))
                .with_hint(format!("choose one of: {}", Self::ALL.map(Self::name).join(", ")))
        })
    }
}

/// The texts that a template's frames are put together from, in any combination.
#[derive(Clone, Copy, Debug)]
pub struct Texts {
    /// Instructions: one sentence or two that say the rule.
    pub asks: &'static [&'static str],
    /// Labels with the slots behind them, and at the end the cue that the answer follows: body, cue, answer.
    pub bodies: &'static [(&'static str, &'static str, &'static str)],
    /// Prompt and completion as the evaluation task has them.
    pub harness: (&'static str, &'static str),
}

impl Texts {
    /// The frames of a wording: every combination of its parts.
    ///
    /// # Errors
    /// When one names a slot that isn't among `slots`.
    pub fn frames(&self, wording: Wording, slots: &[&str]) -> Result<Vec<Frame>> {
        let mut frames = Vec::new();
        if wording == Wording::Harness {
            frames.push(Frame::parse(self.harness.0, self.harness.1, false, slots)?);
            return Ok(frames);
        }
        for (body, cue, answer) in self.bodies {
            if wording == Wording::Bare {
                frames.push(Frame::parse(&format!("{body}{cue}"), answer, false, slots)?);
                continue;
            }
            for ask in self.asks {
                frames.push(match wording {
                    // The one who answers needs no cue: the turn is it.
                    Wording::Chat => {
                        Frame::parse(&format!("{ask}\n\n{}", body.trim_end()), answer, true, slots)?
                    }
                    _ => Frame::parse(&format!("{ask}\n{body}{cue}"), answer, false, slots)?,
                });
            }
        }
        Ok(frames)
    }
}

/// One way to word the samples of a template.
#[derive(Clone, Debug)]
pub struct Frame {
    prompt: Vec<Segment>,
    completion: Vec<Segment>,
    /// Whether the completion is a text of its own, and doesn't go on from the prompt after a blank.
    is_turn: bool,
}

#[derive(Clone, Debug)]
enum Segment {
    Literal(Literal),
    Slot(usize),
    List { slot: usize, heads: Vec<Literal>, tail: Literal, shape: Shape },
}

/// What stands around the items of a list.
#[derive(Clone, Debug)]
struct Shape {
    before: String,
    after: String,
    joint: String,
}

impl Shape {
    /// What is written before item `place`: what ends the one before, and what begins this one.
    fn head(&self, place: usize) -> String {
        let letter = char::from(b'A' + (place % 26) as u8);
        let before = self.before.replace('@', &letter.to_string()).replace('#', &(place + 1).to_string());
        if place == 0 { before } else { format!("{}{}{before}", self.after, self.joint) }
    }
}

impl Frame {
    /// Reads a frame from the texts of its prompt and its completion. Where `is_turn`, the completion begins a turn of
    /// its own.
    ///
    /// # Errors
    /// When a brace is not closed, a slot isn't among `slots`, or the shape of a list has no `*`.
    pub fn parse(prompt: &str, completion: &str, is_turn: bool, slots: &[&str]) -> Result<Self> {
        Ok(Self { prompt: segments(prompt, slots)?, completion: segments(completion, slots)?, is_turn })
    }

    /// The slot that this frame has answered: `answer`, or if that isn't in it the first of the completion.
    pub fn wanted(&self, answer: usize) -> usize {
        let slot = |segment: &Segment| match segment {
            Segment::Literal(_) => None,
            Segment::Slot(slot) | Segment::List { slot, .. } => Some(*slot),
        };
        if self.prompt.iter().chain(&self.completion).any(|segment| slot(segment) == Some(answer)) {
            return answer;
        }
        self.completion.iter().find_map(slot).unwrap_or(answer)
    }

    /// Whether the prompt shows a slot.
    pub fn shows(&self, slot: usize) -> bool {
        self.prompt.iter().any(|segment| match segment {
            Segment::Literal(_) => false,
            Segment::Slot(one) | Segment::List { slot: one, .. } => *one == slot,
        })
    }

    /// Writes a sample.
    pub(super) fn write(&self, pool: &Pool, content: &Content, page: &mut Page) {
        page.clear();
        for segment in &self.prompt {
            write(segment, pool, content, false, page);
        }
        page.cut();
        for (place, segment) in self.completion.iter().enumerate() {
            write(segment, pool, content, place == 0 && self.is_turn, page);
        }
    }

    /// The parts of a text that this frame has worded; none where it hasn't.
    pub fn read<'a>(&self, prompt: &'a str, completion: &'a str) -> Option<Reading<'a>> {
        let mut reading = Reading::default();
        read(&self.prompt, prompt, &mut reading)?;
        read(&self.completion, completion, &mut reading)?;
        Some(reading)
    }

    /// The parts of a prompt alone.
    pub fn read_prompt<'a>(&self, prompt: &'a str) -> Option<Reading<'a>> {
        let mut reading = Reading::default();
        read(&self.prompt, prompt, &mut reading)?;
        Some(reading)
    }

    /// Calls back with each piece of the sample in order, literal or tokens, and whether it is of the completion.
    pub(super) fn pieces<'a>(&'a self, content: &'a Content, visit: &mut dyn FnMut(Piece<'a>, bool)) {
        let parts = self.prompt.iter().map(|part| (part, false));
        for (segment, is_completion) in parts.chain(self.completion.iter().map(|part| (part, true))) {
            match segment {
                Segment::Literal(text) => visit(Piece::Literal(Cow::Borrowed(text.text())), is_completion),
                Segment::Slot(slot) => visit(Piece::Tokens(content.first(*slot)), is_completion),
                Segment::List { slot, shape, .. } => {
                    for (place, item) in content.items(*slot).enumerate() {
                        visit(Piece::Literal(Cow::Owned(shape.head(place))), is_completion);
                        visit(Piece::Tokens(item), is_completion);
                    }
                    if content.items(*slot).len() > 0 {
                        visit(Piece::Literal(Cow::Borrowed(&shape.after)), is_completion);
                    }
                }
            }
        }
    }

    /// Whether the completion begins a turn of its own.
    pub fn is_turn(&self) -> bool {
        self.is_turn
    }
}

/// A part of a sample that is to be encoded.
pub(super) enum Piece<'a> {
    /// Words of the frame.
    Literal(Cow<'a, str>),
    /// Words of the template.
    Tokens(&'a [u32]),
}

fn segments(text: &str, slots: &[&str]) -> Result<Vec<Segment>> {
    let wrong = |why: String| Error::usage(format!("the frame `{text}` has no meaning")).because(why);
    let mut segments = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        if open > 0 {
            segments.push(Segment::Literal(Literal::new(&rest[..open])));
        }
        let close = rest[open..].find('}').ok_or_else(|| wrong("a brace is not closed".into()))? + open;
        let mut parts = rest[open + 1..close].splitn(3, '/');
        let name = parts.next().unwrap_or_default();
        let slot = slots
            .iter()
            .position(|slot| *slot == name)
            .ok_or_else(|| wrong(format!("there is no slot `{name}`, only {}", slots.join(", "))))?;
        segments.push(match parts.next() {
            None => Segment::Slot(slot),
            Some(shape) => {
                let (before, after) =
                    shape.split_once('*').ok_or_else(|| wrong(format!("the shape `{shape}` has no `*`")))?;
                let joint = parts.next().unwrap_or_default().to_owned();
                if before.is_empty() && after.is_empty() && joint.is_empty() {
                    return Err(wrong(format!("nothing parts the items of `{name}`")));
                }
                let shape = Shape { before: before.to_owned(), after: after.to_owned(), joint };
                let heads = (0..HEADS).map(|place| Literal::new(&shape.head(place))).collect();
                Segment::List { slot, heads, tail: Literal::new(&shape.after), shape }
            }
        });
        rest = &rest[close + 1..];
    }
    if !rest.is_empty() {
        segments.push(Segment::Literal(Literal::new(rest)));
    }
    Ok(segments)
}

#[inline]
fn write(segment: &Segment, pool: &Pool, content: &Content, is_start: bool, page: &mut Page) {
    match segment {
        Segment::Literal(text) => page.literal(text),
        Segment::Slot(slot) => page.tokens(pool, content.first(*slot), is_start),
        Segment::List { slot, heads, tail, shape } => {
            let mut is_start = is_start;
            for (place, item) in content.items(*slot).enumerate() {
                match heads.get(place) {
                    Some(head) => page.literal(head),
                    None => page.literal(&Literal::new(&shape.head(place))),
                }
                page.tokens(pool, item, is_start && shape.before.is_empty());
                is_start = false;
            }
            if content.items(*slot).len() > 0 {
                page.literal(tail);
            }
        }
    }
}

/// Takes `text` apart by `segments`.
fn read<'a>(segments: &[Segment], text: &'a str, reading: &mut Reading<'a>) -> Option<()> {
    let mut rest = text;
    for (place, segment) in segments.iter().enumerate() {
        let follow = &segments[place + 1..];
        match segment {
            Segment::Literal(literal) => rest = rest.strip_prefix(literal.text())?,
            Segment::Slot(slot) => {
                let end = end_of(rest, follow, None)?;
                reading.push(*slot, words(&rest[..end]));
                rest = &rest[end..];
            }
            Segment::List { slot, shape, .. } => {
                reading.open(*slot);
                let mut item = 0;
                loop {
                    // A list is over where what follows it begins.
                    let over = match item {
                        0 => Some(rest).filter(|_| shape.before.is_empty()),
                        _ => rest.strip_prefix(shape.after.as_str()),
                    };
                    if over.is_some_and(|over| follows(over, follow) == Some(0)) {
                        break;
                    }
                    let Some(behind) = rest.strip_prefix(shape.head(item).as_str()) else { break };
                    // What nothing ends is no item.
                    let next = shape.head(item + 1);
                    let Some(end) = end_of(behind, follow, Some((&next, &shape.after))) else { break };
                    item += 1;
                    reading.push(*slot, words(&behind[..end]));
                    rest = &behind[end..];
                }
                if item > 0 {
                    rest = rest.strip_prefix(shape.after.as_str())?;
                }
            }
        }
    }
    rest.is_empty().then_some(())
}

/// Where the words end that `text` begins with: before what can follow, or at its end if nothing does.
fn end_of(text: &str, follow: &[Segment], list: Option<(&str, &str)>) -> Option<usize> {
    let behind = match list {
        None => follows(text, follow),
        Some((_, "")) => follows(text, follow),
        Some((_, after)) => text.find(after),
    };
    let next = list.and_then(|(head, _)| text.find(head));
    match (behind, next) {
        (Some(behind), Some(next)) => Some(behind.min(next)),
        (one, other) => one.or(other),
    }
}

/// Where in `text` the first of what can follow begins; at its end if that may be nothing.
fn follows(text: &str, follow: &[Segment]) -> Option<usize> {
    let mut first: Option<usize> = None;
    for segment in follow {
        let (mark, is_certain) = match segment {
            Segment::Literal(text) => (text.text(), true),
            Segment::List { heads, .. } => (heads.first().map_or("", |head| head.text()), false),
            Segment::Slot(_) => continue,
        };
        if let Some(place) = text.find(mark).filter(|_| !mark.is_empty()) {
            first = Some(first.map_or(place, |first| first.min(place)));
        }
        if is_certain {
            return first;
        }
    }
    Some(first.unwrap_or(text.len()))
}
