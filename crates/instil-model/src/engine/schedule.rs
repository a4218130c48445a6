//! Continuous batching: which rows the next forward pass has, and what its logits become.
//!
//! Sequences come and go one by one. Each step computes the next token of all that are running and,
//! up to a number of rows, the prompts of those that have just come in. A sequence is let in when the
//! cache has room for its prompt and all tokens it may generate, so that none has to be put out again.
//! None of this changes a bit of what comes out ([`crate::decoder`]).

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use instil::lm::tokens::{Finish, Load, TokenEvent as Event, TokenLogprob};
use instil::lm::{Completion, Sampling};
use instil::rng::sample_seed;
use rayon::prelude::*;

use super::blocks::{Blocks, Wait};
use super::constraint::Form;
use super::lookup::Lookup;
use super::net::Net;
use super::sample::{self, Seen};
use super::sources::Sources;
use super::text::Text;
use crate::decoder::{Cache, Step};
use crate::tokenizer::Tokenizer;

/// Rows whose logits are held at once, unless more sequences than that are running: a prompt may want them of every
/// row, and the vocabulary is wide.
const LOGIT_ROWS: usize = 64;

/// A prompt and what is wanted of it.
pub(super) struct Ask {
    pub(super) request: u64,
    /// At least one token, and fewer than the window. With an encoder it is the token that the decoder begins with.
    pub(super) prompt: Vec<u32>,
    /// What the encoder reads, where there is one; the samples of a request have it together.
    pub(super) source: Option<Arc<[u32]>>,
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
    /// What the completion is held to.
    pub(super) form: Option<Form>,
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
    /// The most rows of a step in which tokens are guessed.
    pub(super) guessed: usize,
}

/// How many tokens were guessed, and how many of them came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Guesses {
    pub(super) made: u64,
    pub(super) right: u64,
}

/// The sequences of one session.
pub(super) struct Scheduler<'a> {
    net: &'a Net,
    tokenizer: &'a Tokenizer,
    limits: Limits,
    waiting: VecDeque<Ask>,
    running: Vec<Sequence>,
    sources: Sources,
    logits: Vec<f32>,
    guesses: Guesses,
}

struct Sequence {
    request: u64,
    sample: u32,
    /// The prompt, then what was generated.
    tokens: Vec<u32>,
    prompt: usize,
    /// What the encoder reads, where there is one.
    source: Option<Arc<[u32]>>,
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
    form: Option<Form>,
    lookup: Lookup,
    /// How many tokens were guessed in this step.
    guessed: usize,
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
    /// The token that follows `fed`, the one at `place`. Where it was guessed, the row counts only if it came.
    Next { place: usize, fed: u32 },
    /// Nothing: a prompt that isn't to be completed has ended here.
    Nothing,
}

/// What became of a row of logits.
enum Computed {
    Prompt(TokenLogprob),
    Next(u32, Option<TokenLogprob>),
    Nothing,
}

/// The rows of a step.
struct Rows {
    step: Step,
    /// How many each sequence has.
    chunks: Vec<usize>,
    /// What those with logits are for, each with the place of its sequence.
    wanted: Vec<(usize, Wanted)>,
}

impl<'a> Scheduler<'a> {
    pub(super) fn new(net: &'a Net, tokenizer: &'a Tokenizer, limits: Limits) -> Self {
        Self {
            net,
            tokenizer,
            limits,
            waiting: VecDeque::new(),
            running: Vec::new(),
            sources: Sources::default(),
            logits: Vec::new(),
            guesses: Guesses::default(),
        }
    }

    /// What was guessed since this was asked.
    pub(super) fn take_guesses(&mut self) -> Guesses {
        std::mem::take(&mut self.guesses)
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
        self.sources.release_unused(blocks);
    }

    /// Gives all blocks back.
    pub(super) fn clear(&mut self, blocks: &mut Blocks) {
        self.waiting.clear();
        for sequence in self.running.drain(..) {
            blocks.release(&sequence.blocks);
        }
        self.sources.release_unused(blocks);
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
        let Rows { step, chunks, wanted } = self.rows();
        let hidden = match self.net {
            Net::Decoder(decoder) => decoder.forward(&step, cache)?,
            Net::T5(t5) => {
                self.sources.read(t5, cache)?;
                let sources =
                    self.running.iter().filter_map(|sequence| self.sources.of(sequence.source.as_ref()?));
                t5.forward(&step, &sources.collect::<Vec<_>>(), cache)?
            }
        }; // [wanted, hidden]
        for (sequence, chunk) in self.running.iter_mut().zip(&chunks) {
            sequence.filled += chunk;
            blocks.fill(&sequence.blocks, sequence.filled.min(sequence.head));
        }
        let vocab = self.net.vocab();
        let most = LOGIT_ROWS.max(self.running.len());
        let mut first = 0;
        for wanted in wanted.chunks(most) {
            let rows = hidden.narrow(0, first, wanted.len())?;
            first += wanted.len();
            self.net.logits(&rows, &mut self.logits)?; // [rows, vocab]
            let (running, tokenizer) = (&self.running, self.tokenizer);
            let mut logits = self.logits.as_mut_slice();
            // What follows one token decides whether the next guess counts, so a sequence's rows are taken in order.
            let together = |one: &(usize, Wanted), two: &(usize, Wanted)| {
                one.0 == two.0 && matches!(two.1, Wanted::Next { .. })
            };
            let groups: Vec<_> = wanted
                .chunk_by(together)
                .map(|group| {
                    let (these, others) = std::mem::take(&mut logits).split_at_mut(group.len() * vocab);
                    logits = others;
                    (group, these)
                })
                .collect();
            let computed: Vec<(usize, Vec<Computed>)> = groups
                .into_par_iter()
                .map(|(group, logits)| {
                    let place = group[0].0;
                    (place, running[place].compute(group, logits.chunks_mut(vocab), tokenizer))
                })
                .collect();
            for (place, computed) in computed {
                for computed in computed {
                    self.running[place].take(computed, self.tokenizer, tell);
                }
            }
        }
        for sequence in &mut self.running {
            let (made, wrong) = sequence.settle();
            self.guesses.made += made as u64;
            self.guesses.right += (made - wrong) as u64;
        }
        self.running.retain_mut(|sequence| {
            if let Some(finish) = sequence.ended {
                blocks.release(&sequence.blocks);
                sequence.done(finish, tell);
            }
            sequence.ended.is_none()
        });
        self.sources.release_unused(blocks);
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
            let new = ask.sampling.max_tokens as usize;
            let (most, unread) = match &ask.source {
                None => (self.limits.window.min(ask.prompt.len() + new), 0),
                Some(source) => match self.sources.hold(source, blocks) {
                    Ok(unread) => (ask.prompt.len() + new.min(self.limits.window - source.len()), unread),
                    Err(_) => break,
                },
            };
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
            unfilled += unread + ask.prompt.len() - lease.filled;
            let detokenizer = match ask.continues {
                true => self.tokenizer.detokenizer().after(&ask.prompt),
                false => self.tokenizer.detokenizer(),
            };
            self.running.push(Sequence {
                request: ask.request,
                sample: ask.sample,
                prompt: ask.prompt.len(),
                source: ask.source,
                head,
                most,
                blocks: lease.blocks,
                filled: lease.filled,
                seed: sample_seed(ask.seed, ask.sample),
                seen: sample::is_penalised(&ask.sampling).then(|| Seen::prompt(&ask.prompt)),
                form: ask.form,
                lookup: Lookup::default(),
                guessed: 0,
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

    /// The rows of the next step.
    fn rows(&mut self) -> Rows {
        let mut left = self.limits.rows.saturating_sub(self.running.len());
        let mut rows = Rows {
            step: Step::default(),
            chunks: Vec::new(),
            wanted: Vec::with_capacity(self.running.len()),
        };
        // Every sequence has one row at least, so that none waits for the prompts of others.
        let chunks = self.running.iter().map(|sequence| {
            let chunk = (sequence.tokens.len() - sequence.filled).min(1 + left);
            left -= chunk - 1;
            chunk
        });
        rows.chunks.extend(chunks);
        let mut guesses = self.limits.guessed.saturating_sub(rows.chunks.iter().sum());
        for (place, sequence) in self.running.iter_mut().enumerate() {
            let chunk = rows.chunks[place];
            let first = rows.step.tokens.len();
            let start = sequence.filled;
            let unfilled = &sequence.tokens[start..];
            rows.step.push(&unfilled[..chunk], start, &sequence.blocks);
            // Rows of a step are far below 2^32.
            let end = (first + chunk) as u32;
            if sequence.echo {
                let following = unfilled.iter().skip(1).take(chunk);
                rows.step.wanted.extend((first as u32..).take(following.len()));
                rows.wanted.extend(following.map(|token| (place, Wanted::Prompt(*token))));
            }
            if chunk < unfilled.len() {
                continue;
            }
            rows.step.wanted.push(end - 1);
            let len = sequence.tokens.len();
            if len >= sequence.most {
                rows.wanted.push((place, Wanted::Nothing));
                continue;
            }
            rows.wanted.push((place, Wanted::Next { place: len - 1, fed: sequence.tokens[len - 1] }));
            // The last token is never fed.
            let most = guesses.min(sequence.most - len - 1);
            let guessed = sequence.lookup.guess(&sequence.tokens, most);
            if guessed.is_empty() {
                continue;
            }
            guesses -= guessed.len();
            sequence.guessed = guessed.len();
            rows.chunks[place] += guessed.len();
            rows.step.extend(guessed);
            rows.step.wanted.extend((end..).take(guessed.len()));
            let wanted = (len..).zip(guessed).map(|(at, fed)| (place, Wanted::Next { place: at, fed: *fed }));
            rows.wanted.extend(wanted);
        }
        rows
    }
}

impl Sequence {
    /// What rows of logits say, as far as they count.
    fn compute<'a>(
        &self,
        wanted: &[(usize, Wanted)],
        rows: impl Iterator<Item = &'a mut [f32]>,
        tokenizer: &Tokenizer,
    ) -> Vec<Computed> {
        let mut len = self.tokens.len();
        let mut last = self.tokens.last().copied();
        let mut seen = self.seen.as_ref().map(Cow::Borrowed);
        let mut form = self.form.as_ref().map(Cow::Borrowed);
        let mut computed = Vec::with_capacity(wanted.len());
        let several = wanted.len() > 1;
        for ((_, wanted), logits) in wanted.iter().zip(rows) {
            match *wanted {
                Wanted::Nothing => computed.push(Computed::Nothing),
                Wanted::Prompt(token) => {
                    let likely = sample::Likely::of(logits, self.logprobs.unwrap_or(0));
                    computed.push(Computed::Prompt(likely.token(logits, token)));
                }
                Wanted::Next { place, fed } => {
                    if self.ended.is_some() || place + 1 != len || last != Some(fed) {
                        break;
                    }
                    let (token, scored) = self.next(len, logits, seen.as_deref(), form.as_deref());
                    computed.push(Computed::Next(token, scored));
                    len += 1;
                    last = Some(token);
                    if len >= self.most || self.ends && tokenizer.eos().contains(&token) {
                        break;
                    }
                    // What `push` does once the token is taken, for the rows behind it.
                    if several {
                        if let Some(seen) = &mut seen {
                            seen.to_mut().push(token);
                        }
                        if let Some(form) = &mut form {
                            form.to_mut().push(token, (self.most - len) as u32);
                        }
                    }
                }
            }
        }
        computed
    }

    /// The token at place `len`, from the logits of the one before.
    fn next(
        &self,
        len: usize,
        logits: &mut [f32],
        seen: Option<&Seen>,
        form: Option<&Form>,
    ) -> (u32, Option<TokenLogprob>) {
        let likely = self.logprobs.map(|top| sample::Likely::of(logits, top));
        // A draw uses them up.
        let raw = likely.is_some().then(|| logits.to_vec());
        // Tokens of a sequence are far below 2^32.
        let mask = form.map(|form| form.mask((self.most - len) as u32));
        if let Some(mask) = &mask {
            mask.apply(logits);
        }
        let step = (len - self.prompt) as u64;
        let mut token = sample::next(logits, &self.sampling, seen, self.seed, step);
        // Logits that are no numbers decide nothing.
        if let Some(first) = mask.filter(|mask| !mask.allows(token)).and_then(|mask| mask.first()) {
            token = first;
        }
        let raw = raw.as_deref().unwrap_or(logits);
        (token, likely.map(|likely| likely.token(raw, token)))
    }

    /// After a step: what was fed and didn't come isn't in the cache. How many tokens were guessed, and
    /// how many of them wrongly.
    fn settle(&mut self) -> (usize, usize) {
        let fed = self.filled;
        self.filled = fed.min(self.tokens.len() - 1);
        match std::mem::take(&mut self.guessed) {
            0 => (0, 0),
            guessed => {
                let wrong = (fed - self.filled).min(guessed);
                self.lookup.learn(guessed, wrong);
                (guessed, wrong)
            }
        }
    }

    /// Takes what a row of logits said.
    fn take(&mut self, computed: Computed, tokenizer: &Tokenizer, tell: &mut dyn FnMut(Event)) {
        if let Computed::Prompt(scored) = computed {
            self.untold.push(scored);
            return;
        }
        if self.ended.is_some() {
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
        if let Some(form) = &mut self.form {
            form.push(token, (self.most - self.tokens.len()) as u32);
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
            prompt_tokens: Some(self.source.as_ref().map_or(self.prompt, |source| source.len()) as u32),
            completion_tokens: Some((self.tokens.len() - self.prompt) as u32),
        };
        tell(Event::Done { request, sample, completion, finish });
    }
}

/// A text's first token, which nothing precedes.
fn first_of(prompt: &[u32]) -> TokenLogprob {
    TokenLogprob { token: prompt[0], logprob: None, top: Vec::new(), offset: 0 }
}
