//! Continuous batching: which rows the next forward pass has, and what its logits become.
//!
//! Sequences come and go one by one. Each step computes the next token of all that are running and,
//! up to a number of rows, the prompts of those that have just come in. A sequence is let in when the
//! cache has room for its prompt and all tokens it may generate, so that none has to be put out again.
//! None of this changes a bit of what comes out ([`crate::decoder`]).

use std::collections::VecDeque;
use std::sync::Arc;

use instil::lm::{Completion, Sampling};
use instil::rng::sample_seed;
use rayon::prelude::*;

use super::blocks::{Blocks, Wait};
use super::sample::{self, Seen};
use super::text::Text;
use crate::decoder::{Cache, Decoder, Step};
use crate::tokenizer::Tokenizer;

/// What happens to samples, as it happens.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// More text of a sample. Nothing of it is taken back later.
    Text {
        /// The request's number.
        request: u64,
        /// The sample's number.
        sample: u32,
        /// The text that was added.
        text: String,
    },
    /// A sample has ended.
    Done {
        /// The request's number.
        request: u64,
        /// The sample's number.
        sample: u32,
        /// Its whole text.
        completion: Completion,
        /// Why it ended.
        finish: Finish,
    },
}

/// Why a completion ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The model ended it.
    Eos,
    /// A stop string came.
    Stop,
    /// It is as long as it may be.
    Length,
}

/// A prompt and what is wanted of it.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) request: u64,
    /// At least one token, and fewer than the window.
    pub(super) prompt: Vec<u32>,
    pub(super) sampling: Arc<Sampling>,
    pub(super) seed: u64,
    pub(super) sample: u32,
    /// Whether the end of text ends it.
    pub(super) ends: bool,
}

/// The limits of one engine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The most sequences under way.
    pub(super) sequences: usize,
    /// The most rows of one step, unless more sequences than that are running.
    pub(super) rows: usize,
    /// The most tokens of a sequence.
    pub(super) window: usize,
}

/// The sequences of one session.
pub(super) struct Scheduler<'a> {
    decoder: &'a Decoder,
    tokenizer: &'a Tokenizer,
    limits: Limits,
    waiting: VecDeque<Ask>,
    running: Vec<Sequence>,
    logits: Vec<f32>,
}

struct Sequence {
    request: u64,
    sample: u32,
    /// The prompt, then what was generated.
    tokens: Vec<u32>,
    prompt: usize,
    /// How long it may become.
    most: usize,
    blocks: Vec<u32>,
    /// How many of its positions are in the cache.
    filled: usize,
    sampling: Arc<Sampling>,
    seed: u64,
    seen: Option<Seen>,
    text: Text,
    ends: bool,
}

impl<'a> Scheduler<'a> {
    pub(super) fn new(decoder: &'a Decoder, tokenizer: &'a Tokenizer, limits: Limits) -> Self {
        Self { decoder, tokenizer, limits, waiting: VecDeque::new(), running: Vec::new(), logits: Vec::new() }
    }

    pub(super) fn push(&mut self, ask: Ask) {
        self.waiting.push_back(ask);
    }

    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty()
    }

    /// Drops whatever belongs to a request.
    pub(super) fn cancel(&mut self, request: u64, blocks: &mut Blocks) {
        self.waiting.retain(|ask| ask.request != request);
        self.running.retain(|sequence| {
            let stays = sequence.request != request;
            if !stays {
                blocks.release(&sequence.blocks);
            }
            stays
        });
    }

    /// Gives all blocks back.
    pub(super) fn clear(&mut self, blocks: &mut Blocks) {
        self.waiting.clear();
        for sequence in self.running.drain(..) {
            blocks.release(&sequence.blocks);
        }
    }

    /// One forward pass.
    ///
    /// # Errors
    /// When shapes don't fit, which is a mistake of this crate.
    pub(super) fn step(
        &mut self,
        cache: &mut Cache,
        blocks: &mut Blocks,
        tell: &mut dyn FnMut(Event),
    ) -> candle_core::Result<()> {
        self.admit(blocks);
        let (step, chunks) = self.rows();
        let hidden = self.decoder.forward(&step, cache)?; // [wanted, hidden]
        if step.wanted.is_empty() {
            self.logits.clear();
        } else {
            self.decoder.logits(&hidden, &mut self.logits)?; // [wanted, vocab]
        }
        for (sequence, chunk) in self.running.iter_mut().zip(&chunks) {
            sequence.filled += chunk;
            blocks.fill(&sequence.blocks, sequence.filled.min(sequence.prompt));
        }
        let vocab = self.decoder.config().vocab;
        // Those whose last token was computed are those with a row of logits, in the same order.
        let mut ready: Vec<&mut Sequence> =
            self.running.iter_mut().filter(|sequence| sequence.filled == sequence.tokens.len()).collect();
        let next: Vec<u32> = ready
            .par_iter()
            .zip(self.logits.par_chunks_mut(vocab))
            .map(|(sequence, logits)| sequence.next(logits))
            .collect();
        let mut ended = Vec::with_capacity(ready.len());
        for (sequence, token) in ready.iter_mut().zip(next) {
            ended.push(sequence.push(token, self.tokenizer, tell));
        }
        let mut ended = ended.into_iter();
        self.running.retain_mut(|sequence| {
            // What was computed last step and has a token more now was ready.
            let was_ready = sequence.filled + 1 == sequence.tokens.len();
            let finish = if was_ready { ended.next().flatten() } else { None };
            if let Some(finish) = finish {
                blocks.release(&sequence.blocks);
                tell(sequence.done(finish));
            }
            finish.is_none()
        });
        Ok(())
    }

    /// Lets in whoever there is room for, in order. One that waits for another to fill their common head
    /// is passed by those behind it.
    fn admit(&mut self, blocks: &mut Blocks) {
        let mut unfilled: usize =
            self.running.iter().map(|sequence| sequence.tokens.len() - sequence.filled).sum();
        let mut place = 0;
        while self.running.len() < self.limits.sequences
            && unfilled < self.limits.rows
            && let Some(ask) = self.waiting.get(place)
        {
            let most = self.limits.window.min(ask.prompt.len() + ask.sampling.max_tokens as usize);
            // The last token generated is never fed back.
            let lease = match blocks.lease(&ask.prompt, most - ask.prompt.len()) {
                Ok(lease) => lease,
                Err(Wait::ForRoom) => break,
                Err(Wait::ForHead) => {
                    place += 1;
                    continue;
                }
            };
            let Some(ask) = self.waiting.remove(place) else { break };
            unfilled += ask.prompt.len() - lease.filled;
            self.running.push(Sequence {
                request: ask.request,
                sample: ask.sample,
                prompt: ask.prompt.len(),
                most,
                blocks: lease.blocks,
                filled: lease.filled,
                seed: sample_seed(ask.seed, ask.sample),
                seen: sample::is_penalised(&ask.sampling).then(|| Seen::prompt(&ask.prompt)),
                text: Text::new(self.tokenizer.detokenizer(), &ask.sampling.stop),
                tokens: ask.prompt,
                ends: ask.ends,
                sampling: ask.sampling,
            });
        }
    }

    /// The rows of the next step, and how many of them each sequence has.
    fn rows(&self) -> (Step, Vec<usize>) {
        let mut left = self.limits.rows.saturating_sub(self.running.len());
        let mut step = Step::default();
        let mut chunks = Vec::with_capacity(self.running.len());
        for sequence in &self.running {
            let unfilled = &sequence.tokens[sequence.filled..];
            // Every sequence has one row at least, so that none waits for the prompts of others.
            let chunk = unfilled.len().min(1 + left);
            left -= chunk - 1;
            step.push(&unfilled[..chunk], sequence.filled, &sequence.blocks);
            if chunk == unfilled.len() {
                // Rows of a step are far below 2^32.
                step.wanted.push(step.tokens.len() as u32 - 1);
            }
            chunks.push(chunk);
        }
        (step, chunks)
    }
}

impl Sequence {
    fn next(&self, logits: &mut [f32]) -> u32 {
        let step = (self.tokens.len() - self.prompt) as u64;
        sample::next(logits, &self.sampling, self.seen.as_ref(), self.seed, step)
    }

    /// Takes one more token; says whether it was the last.
    fn push(&mut self, token: u32, tokenizer: &Tokenizer, tell: &mut dyn FnMut(Event)) -> Option<Finish> {
        self.tokens.push(token);
        if self.ends && tokenizer.eos().contains(&token) {
            return Some(Finish::Eos);
        }
        if let Some(seen) = &mut self.seen {
            seen.push(token);
        }
        let (text, stopped) = self.text.push(token);
        if !text.is_empty() {
            let text = text.to_owned();
            tell(Event::Text { request: self.request, sample: self.sample, text });
        }
        match stopped {
            true => Some(Finish::Stop),
            false => (self.tokens.len() >= self.most).then_some(Finish::Length),
        }
    }

    fn done(&mut self, finish: Finish) -> Event {
        // A completion's tokens are bounded by the window, far below 2^32.
        let completion = Completion {
            text: self.text.finish(),
            truncated: finish == Finish::Length,
            prompt_tokens: Some(self.prompt as u32),
            completion_tokens: Some((self.tokens.len() - self.prompt) as u32),
        };
        Event::Done { request: self.request, sample: self.sample, completion, finish }
    }
}
