//! A model for tests: a function answers, in an order that a seed decides.

use std::sync::Arc;

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::{Capabilities, Event, LanguageModel, Next, Outcome, Request, Scored, Scoring, Session};
use crate::error::{Error, Result};
use crate::rng::from_seed;

type Script = dyn Fn(&Request, u32) -> Outcome + Send + Sync;
type Scorer = dyn Fn(&Scored) -> Scoring + Send + Sync;

/// Answers by a function of request and sample, and gives the answers back out of order.
pub struct Scripted {
    script: Box<Script>,
    order: u64,
    room: usize,
    journaled: bool,
    scorer: Option<Box<Scorer>>,
}

impl Scripted {
    /// A model that answers by `script`. Events come in an order drawn from `order`; as many
    /// requests as `room` are taken before the first is answered.
    pub fn new(
        order: u64,
        room: usize,
        script: impl Fn(&Request, u32) -> Outcome + Send + Sync + 'static,
    ) -> Self {
        Self { script: Box::new(script), order, room: room.max(1), journaled: false, scorer: None }
    }

    /// The same model, whose calls are worth remembering in a journal.
    #[must_use]
    pub fn journaled(mut self) -> Self {
        self.journaled = true;
        self
    }

    /// The same model, which scores by `scorer`.
    #[must_use]
    pub fn scoring(mut self, scorer: impl Fn(&Scored) -> Scoring + Send + Sync + 'static) -> Self {
        self.scorer = Some(Box::new(scorer));
        self
    }
}

impl LanguageModel for Scripted {
    fn identity(&self) -> Arc<str> {
        "scripted".into()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            json_schema: true,
            constrains: true,
            messages: true,
            journaled: self.journaled,
            scores: self.scorer.is_some(),
        }
    }

    fn open(&self) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(Telling { model: self, waiting: Vec::new(), rng: from_seed(self.order) }))
    }

    fn score(&self, texts: &[Scored]) -> Result<Vec<Scoring>> {
        let scorer = self.scorer.as_ref().ok_or_else(|| Error::usage("the script has no scores"))?;
        Ok(texts.iter().map(scorer).collect())
    }
}

struct Telling<'a> {
    model: &'a Scripted,
    waiting: Vec<(Request, u32)>,
    rng: ChaCha8Rng,
}

impl Session for Telling<'_> {
    fn room(&self) -> usize {
        self.model.room.saturating_sub(self.waiting.len())
    }

    fn submit(&mut self, requests: Vec<Request>) {
        for request in requests {
            for &sample in &request.samples {
                self.waiting.push((request.clone(), sample));
            }
        }
    }

    fn next(&mut self) -> Result<Next> {
        if self.waiting.is_empty() {
            return Ok(Next::Idle);
        }
        let (request, sample) = self.waiting.swap_remove(self.rng.random_range(0..self.waiting.len()));
        let outcome = (self.model.script)(&request, sample);
        Ok(Next::Event(Event { request: request.id, sample, outcome }))
    }
}
