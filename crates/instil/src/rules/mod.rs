//! Task data from the text itself, by programs: no model, offline, answers right by construction.
//!
//! `text` analyses a passage once: sentences, words, values, clauses. `question` and `statement`
//! turn its sentences into questions with answers and statements of known truth. Each file of
//! `kinds` words these as tasks of one [`TaskKind`]. What is not certain is left alone: a generator
//! that says nothing costs a row, one that says something wrong costs the reader's trust.

mod clause;
mod kinds;
mod question;
mod statement;
mod text;
mod value;
mod words;

use std::num::NonZeroUsize;
use std::sync::Arc;

use crate::error::Result;
use crate::lm::pool::Pool;
use crate::lm::{Capabilities, Completion, Event, Input, LanguageModel, Outcome, Request, Session};
use crate::prompt::bonito;
use crate::task::TaskKind;
use kinds::Source;
use text::Text;

/// The version of what the rules make: part of every row's provenance.
const IDENTITY: &str = "rules/1";

/// The generator that needs no model: it completes Bonito prompts by rules over their passage.
///
/// ```
/// use instil::lm::{Constraint, Input, LanguageModel, Next, Outcome, Request, Sampling, Session};
/// use instil::{TaskKind, prompt::bonito::prompt, rules::Rules};
///
/// let passage = "The Beagle left Plymouth in 1831. The ship was commanded by Robert FitzRoy.";
/// let rules = Rules::new(std::num::NonZeroUsize::MIN);
/// let mut session = rules.open()?;
/// session.submit(vec![Request {
///     id: 1,
///     input: Input::Prompt(prompt(TaskKind::Exqa, passage)),
///     sampling: Sampling::default(),
///     seed: 7,
///     samples: vec![0],
///     constraint: Constraint::Free,
/// }]);
/// let event = loop {
///     match session.next()? {
///         Next::Event(event) => break event,
///         Next::Waiting => {}
///         Next::Idle => unreachable!("one sample is under way"),
///     }
/// };
/// let Outcome::Text(completion) = event.outcome else { panic!() };
/// assert!(completion.text.contains("{{context}}") && completion.text.contains("<|pipe|>"));
/// # Ok::<(), instil::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    threads: NonZeroUsize,
}

impl Rules {
    /// A generator that works on `threads` threads; what it makes doesn't depend on their number.
    pub fn new(threads: NonZeroUsize) -> Self {
        Self { threads }
    }

    /// The kinds of task that rules can make. The others need a reader's judgement.
    pub fn kinds() -> &'static [TaskKind] {
        kinds::ALL
    }
}

impl LanguageModel for Rules {
    fn identity(&self) -> Arc<str> {
        IDENTITY.into()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            json_schema: false,
            constrains: false,
            messages: false,
            journaled: false,
            scores: false,
        }
    }

    fn open(&self) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(Pool::start(self.threads, answer)))
    }
}

/// Answers the requests of one batch; a passage that several share is analysed once.
fn answer(requests: Vec<Request>) -> Vec<Event> {
    let mut events = Vec::new();
    let mut last: Option<Source<'_>> = None;
    for request in &requests {
        let outcomes = match task_of(&request.input) {
            Err(refusal) => request.samples.iter().map(|_| Outcome::Refused(refusal.clone())).collect(),
            Ok((kind, passage)) => {
                if last.as_ref().is_none_or(|source| source.passage() != passage) {
                    last = Some(Source::new(Text::new(passage)));
                }
                let source = last.as_ref().expect("it was set above if it was not there");
                samples(source, kind, request)
            }
        };
        let event =
            |(sample, outcome): (&u32, Outcome)| Event { request: request.id, sample: *sample, outcome };
        events.extend(request.samples.iter().zip(outcomes).map(event));
    }
    events
}

/// The kind and passage of a prompt that rules can complete, or why they can't.
fn task_of(input: &Input) -> Result<(TaskKind, &str), String> {
    let able = || Rules::kinds().iter().map(|kind| kind.short()).collect::<Vec<_>>().join(", ");
    let Input::Prompt(prompt) = input else {
        return Err(format!("rules read Bonito prompts, not messages; they can make: {}", able()));
    };
    match bonito::read(prompt) {
        Some((kind, passage)) if Rules::kinds().contains(&kind) => Ok((kind, passage)),
        Some((kind, _)) => {
            Err(format!("rules can't make `{}` from a text alone; they can make: {}", kind.short(), able()))
        }
        None => {
            Err(format!("this is no Bonito prompt, which is all that rules read; they can make: {}", able()))
        }
    }
}

fn samples(source: &Source<'_>, kind: TaskKind, request: &Request) -> Vec<Outcome> {
    let most = request.samples.iter().max().map_or(0, |last| *last as usize + 1);
    let drafts = kinds::drafts(source, kind, request.seed, most);
    let outcome = |sample: &u32| match drafts.get(*sample as usize) {
        Some(draft) => Outcome::Text(Completion {
            text: format!("{}\n{}\n{}", draft.instruction, bonito::PIPE, draft.response),
            ..Completion::default()
        }),
        None => Outcome::Declined,
    };
    request.samples.iter().map(outcome).collect()
}

#[cfg(test)]
mod tests;
