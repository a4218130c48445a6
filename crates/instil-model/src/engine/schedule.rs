//! Continuous batching: which rows the next forward pass has, and what its logits become.
//!
//! Sequences come and go one by one. Each step computes the next token of all that are running and,
//! up to a number of rows, the prompts of those that have just come in. A sequence is let in when the
//! cache has room for its prompt and all tokens it may generate, so that none has to be put out again.
//! None of this changes a bit of what comes out ([`crate::decoder`]).

use std::collections::VecDeque;
use std::sync::Arc;

use instil::lm::tokens::{Finish, Load, TokenEvent as Event, TokenLogprob};
use instil::lm::{Completion, Sampling};
use instil::rng::sample_seed;
use rayon::prelude::*;

use super::blocks::{Blocks, Wait};
use super::sample::{self, Seen};
use super::text::Text;
use crate::decoder::{Cache, Decoder, Step};
use crate::tokenizer::Tokenizer;

/// Rows whose logits are held at once, unless more sequences than that are running: a prompt may want them of every
/// row, and the vocabulary is wide.
const LOGIT_ROWS: usize = 64;

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
    /// Whether its text goes on where the prompt's ends.
    pub(super) continues: bool,
    /// How many of the likeliest tokens are told at each place, where log-probabilities are wanted.
    pub(super) logprobs: Option<usize>,
    /// Whether the prompt's log-probabilities are wanted too.
    pub(super) echo: bool,
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
    /// How many of its tokens may be shared with others and are known to the cache by what they are: none where the
    /// logits of all of the prompt are wanted.
    head: usize,
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
    logprobs: Option<usize>,
    /// Whether the prompt's log-probabilities are still to be told.
    echo: bool,
    /// What was computed and not told yet.
    untold: Vec<TokenLogprob>,
    ended: Option<Finish>,
}

/// What a row of logits is for.
#[derive(Clone, Copy)]
enum Wanted {
    /// How likely this token of the prompt was.
    Prompt(u32),
    /// The token that follows.
    Next,
    /// Nothing: a prompt that isn't to be completed has ended here.
    Nothing,
}

/// What became of a row of logits.
enum Computed {
    Prompt(TokenLogprob),
    Next(u32, Option<TokenLogprob>),
    Nothing,
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
        let (step, chunks, wanted) = self.rows();
        let hidden = self.decoder.forward(&step, cache)?; // [wanted, hidden]
        for (sequence, chunk) in self.running.iter_mut().zip(&chunks) {
            sequence.filled += chunk;
            blocks.fill(&sequence.blocks, sequence.filled.min(sequence.head));
        }
        let vocab = self.decoder.config().vocab;
        let most = LOGIT_ROWS.max(self.running.len());
        let mut first = 0;
        for wanted in wanted.chunks(most) {
            let rows = hidden.narrow(0, first, wanted.len())?;
            first += wanted.len();
            self.decoder.logits(&rows, &mut self.logits)?; // [rows, vocab]
            let running = &self.running;
            let computed: Vec<Computed> = wanted
                .par_iter()
                .zip(self.logits.par_chunks_mut(vocab))
                .map(|((place, wanted), logits)| running[*place].compute(*wanted, logits))
                .collect();
            for ((place, _), computed) in wanted.iter().zip(computed) {
                self.running[*place].take(computed, self.tokenizer, tell);
            }
        }
        self.running.retain_mut(|sequence| {
            if let Some(finish) = sequence.ended {
                blocks.release(&sequence.blocks);
                sequence.done(finish, tell);
            }
            sequence.ended.is_none()
        });
        Ok(())
    }

    /// How many samples wait, and how many are under way.
    pub(super) fn load(&self) -> Load {
        Load { waiting: self.waiting.len(), running: self.running.len() }
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
            let echo = ask.echo && ask.logprobs.is_some();
            // What is taken from the cache has no logits.
            let head = if echo { 1 } else { ask.prompt.len() };
            // The last token generated is never fed back.
            let lease = match blocks.lease(&ask.prompt[..head], most - head) {
                Ok(lease) => lease,
                Err(Wait::ForRoom) => break,
                Err(Wait::ForHead) => {
                    place += 1;
                    continue;
                }
            };
            let Some(ask) = self.waiting.remove(place) else { break };
            unfilled += ask.prompt.len() - lease.filled;
            let detokenizer = match ask.continues {
                true => self.tokenizer.detokenizer().after(&ask.prompt),
                false => self.tokenizer.detokenizer(),
            };
            self.running.push(Sequence {
                request: ask.request,
                sample: ask.sample,
                prompt: ask.prompt.len(),
                head,
                most,
                blocks: lease.blocks,
                filled: lease.filled,
                seed: sample_seed(ask.seed, ask.sample),
                seen: sample::is_penalised(&ask.sampling).then(|| Seen::prompt(&ask.prompt)),
                text: Text::new(detokenizer, &ask.sampling.stop),
                untold: if echo { vec![first_of(&ask.prompt)] } else { Vec::new() },
                tokens: ask.prompt,
                ends: ask.ends,
                sampling: ask.sampling,
                logprobs: ask.logprobs,
                echo,
                ended: None,
            });
        }
    }

    /// The rows of the next step, how many of them each sequence has, and what the rows with logits are for, with the
    /// place of their sequence.
    fn rows(&self) -> (Step, Vec<usize>, Vec<(usize, Wanted)>) {
        let mut left = self.limits.rows.saturating_sub(self.running.len());
        let mut step = Step::default();
        let mut chunks = Vec::with_capacity(self.running.len());
        let mut wanted = Vec::with_capacity(self.running.len());
        for (place, sequence) in self.running.iter().enumerate() {
            let unfilled = &sequence.tokens[sequence.filled..];
            // Every sequence has one row at least, so that none waits for the prompts of others.
            let chunk = unfilled.len().min(1 + left);
            left -= chunk - 1;
            step.push(&unfilled[..chunk], sequence.filled, &sequence.blocks);
            // Rows of a step are far below 2^32.
            let end = step.tokens.len() as u32;
            if sequence.echo {
                let following = unfilled.iter().skip(1).take(chunk);
                step.wanted.extend((end - chunk as u32..).take(following.len()));
                wanted.extend(following.map(|token| (place, Wanted::Prompt(*token))));
            }
            if chunk == unfilled.len() {
                step.wanted.push(end - 1);
                let is_full = sequence.tokens.len() >= sequence.most;
                wanted.push((place, if is_full { Wanted::Nothing } else { Wanted::Next }));
            }
            chunks.push(chunk);
        }
        (step, chunks, wanted)
    }
}

impl Sequence {
    /// What a row of logits says.
    fn compute(&self, wanted: Wanted, logits: &mut [f32]) -> Computed {
        match wanted {
            Wanted::Nothing => Computed::Nothing,
            Wanted::Prompt(token) => {
                let likely = sample::Likely::of(logits, self.logprobs.unwrap_or(0));
                Computed::Prompt(likely.token(logits, token))
            }
            Wanted::Next => {
                let likely = self.logprobs.map(|top| sample::Likely::of(logits, top));
                // Penalties change the logits.
                let raw = (likely.is_some() && self.seen.is_some()).then(|| logits.to_vec());
                let step = (self.tokens.len() - self.prompt) as u64;
                let token = sample::next(logits, &self.sampling, self.seen.as_ref(), self.seed, step);
                let raw = raw.as_deref().unwrap_or(logits);
                Computed::Next(token, likely.map(|likely| likely.token(raw, token)))
            }
        }
    }

    /// Takes what a row of logits said.
    fn take(&mut self, computed: Computed, tokenizer: &Tokenizer, tell: &mut dyn FnMut(Event)) {
        if let Computed::Prompt(scored) = computed {
            self.untold.push(scored);
            return;
        }
        if std::mem::take(&mut self.echo) {
            let tokens = std::mem::take(&mut self.untold);
            tell(Event::Prompt { request: self.request, sample: self.sample, tokens });
        }
        self.ended = match computed {
            Computed::Next(token, scored) => self.push(token, scored, tokenizer, tell),
            _ => Some(Finish::Length),
        };
    }

    /// Takes one more token; says whether it was the last.
    fn push(
        &mut self,
        token: u32,
        scored: Option<TokenLogprob>,
        tokenizer: &Tokenizer,
        tell: &mut dyn FnMut(Event),
    ) -> Option<Finish> {
        self.tokens.push(token);
        self.untold.extend(scored.map(|scored| TokenLogprob { offset: self.text.characters(), ..scored }));
        if self.ends && tokenizer.eos().contains(&token) {
            return Some(Finish::Eos);
        }
        if let Some(seen) = &mut self.seen {
            seen.push(token);
        }
        let (text, stopped) = self.text.push(token);
        if !text.is_empty() {
            let (text, tokens) = (text.to_owned(), std::mem::take(&mut self.untold));
            tell(Event::Text { request: self.request, sample: self.sample, text, tokens });
        }
        match stopped {
            true => Some(Finish::Stop),
            false => (self.tokens.len() >= self.most).then_some(Finish::Length),
        }
    }

    /// Tells what is left of the text, and the end.
    fn done(&mut self, finish: Finish, tell: &mut dyn FnMut(Event)) {
        let (request, sample) = (self.request, self.sample);
        let (rest, text) = self.text.finish();
        if !rest.is_empty() || !self.untold.is_empty() {
            tell(Event::Text { request, sample, text: rest, tokens: std::mem::take(&mut self.untold) });
        }
        // A completion's tokens are bounded by the window, far below 2^32.
        let completion = Completion {
            text,
            truncated: finish == Finish::Length,
            prompt_tokens: Some(self.prompt as u32),
            completion_tokens: Some((self.tokens.len() - self.prompt) as u32),
        };
        tell(Event::Done { request, sample, completion, finish });
    }
}

/// A text's first token, which nothing precedes.
fn first_of(prompt: &[u32]) -> TokenLogprob {
    TokenLogprob { token: prompt[0], logprob: None, top: Vec::new(), offset: 0 }
}
