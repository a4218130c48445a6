//! A session: requests in, text and ends out, a thread of forward passes in between.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Result as Caught;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, unbounded};
use instil::Result;
use instil::lm::{Event as Ended, Input, Next, Outcome, Request, Sampling, Session, TICK};

use super::schedule::{Ask, Event, Scheduler};
use super::{Inner, Memory, failed};

/// Samples that wait for each one under way, so that a place that is free is taken at once.
const QUEUE: usize = 2;

/// A prompt in tokens.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// The caller's number for it.
    pub id: u64,
    /// The whole prompt, with whatever begins a text.
    pub prompt: Vec<u32>,
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// The seed, as in [`Request`].
    pub seed: u64,
    /// Whether the end of text ends the completion; without it nothing but its length and stop strings do.
    pub ends: bool,
}

/// What a session's thread is told.
enum Command {
    Ask(Vec<Request>),
    AskTokens(Vec<TokenRequest>),
    Cancel(u64),
}

/// What it tells.
enum Told {
    Event(Event),
    Refused {
        request: u64,
        sample: u32,
        why: String,
    },
    /// The thread has ended by a mistake of this crate.
    Failed(Caught<instil::Error>),
}

/// A session with an [`Engine`](super::Engine) that gives text as it comes. Dropped, it breaks off at the next
/// forward pass.
pub struct Stream {
    commands: Option<Sender<Command>>,
    told: Receiver<Told>,
    is_dropped: Arc<AtomicBool>,
    /// Samples that haven't ended.
    pending: usize,
    capacity: usize,
}

/// What a [`Stream`] gives.
#[derive(Clone, Debug, PartialEq)]
pub enum Streamed {
    /// Text, or an end.
    Event(Event),
    /// A sample that can't be made, and why.
    Refused {
        /// The request's number.
        request: u64,
        /// The sample's number.
        sample: u32,
        /// Why.
        why: String,
    },
    /// Nothing happened within [`TICK`]; samples are under way.
    Waiting,
    /// Nothing is under way.
    Idle,
}

impl Stream {
    pub(super) fn start(inner: Arc<Inner>) -> Self {
        let (commands, asked) = unbounded();
        let (tell, told) = unbounded();
        let is_dropped = Arc::new(AtomicBool::new(false));
        let capacity = inner.limits.sequences * (1 + QUEUE);
        let dropped = Arc::clone(&is_dropped);
        std::thread::spawn(move || {
            // A mistake of this crate is carried to the caller, who would else wait for ever.
            let ended = catch_unwind(AssertUnwindSafe(|| {
                inner.pool.install(|| run(&inner, &asked, &tell, &dropped))
            }));
            let failure = match ended {
                Ok(Ok(())) => return,
                Ok(Err(error)) => Ok(failed(error)),
                Err(panic) => Err(panic),
            };
            // Whoever doesn't listen any more needs no answer.
            let _ = tell.send(Told::Failed(failure));
        });
        Self { commands: Some(commands), told, is_dropped, pending: 0, capacity }
    }

    /// Takes a request.
    pub fn ask(&mut self, requests: Vec<Request>) {
        self.pending += requests.iter().map(|request| request.samples.len()).sum::<usize>();
        self.command(Command::Ask(requests));
    }

    /// Takes prompts in tokens, a sample of each.
    pub fn ask_tokens(&mut self, requests: Vec<TokenRequest>) {
        self.pending += requests.len();
        self.command(Command::AskTokens(requests));
    }

    /// Drops a request: none of its samples under way ends any more. `left` is how many of them had not.
    pub fn cancel(&mut self, request: u64, left: usize) {
        self.pending -= left;
        self.command(Command::Cancel(request));
    }

    fn command(&self, command: Command) {
        if let Some(commands) = &self.commands {
            // If the thread has ended, the next event says why.
            let _ = commands.send(command);
        }
    }

    /// Waits for something to happen, [`TICK`] at the most.
    ///
    /// # Errors
    /// When a forward pass failed, which is a mistake of this crate.
    pub fn wait(&mut self) -> Result<Streamed> {
        if self.pending == 0 {
            return Ok(Streamed::Idle);
        }
        match self.told.recv_timeout(TICK) {
            Ok(Told::Event(event)) => {
                self.pending -= usize::from(matches!(event, Event::Done { .. }));
                Ok(Streamed::Event(event))
            }
            Ok(Told::Refused { request, sample, why }) => {
                self.pending -= 1;
                Ok(Streamed::Refused { request, sample, why })
            }
            Ok(Told::Failed(Ok(error))) => Err(error),
            Ok(Told::Failed(Err(panic))) => resume_unwind(panic),
            Err(RecvTimeoutError::Timeout) => Ok(Streamed::Waiting),
            Err(RecvTimeoutError::Disconnected) => Err(instil::Error::model("the engine has ended")),
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.is_dropped.store(true, Ordering::Relaxed);
        self.commands = None;
    }
}

impl Session for Stream {
    fn room(&self) -> usize {
        self.capacity.saturating_sub(self.pending)
    }

    fn submit(&mut self, requests: Vec<Request>) {
        self.ask(requests);
    }

    fn next(&mut self) -> Result<Next> {
        loop {
            let (request, sample, outcome) = match self.wait()? {
                Streamed::Event(Event::Text { .. }) => continue,
                Streamed::Event(Event::Done { request, sample, completion, .. }) => {
                    (request, sample, Outcome::Text(completion))
                }
                Streamed::Refused { request, sample, why } => (request, sample, Outcome::Refused(why)),
                Streamed::Waiting => return Ok(Next::Waiting),
                Streamed::Idle => return Ok(Next::Idle),
            };
            return Ok(Next::Event(Ended { request, sample, outcome }));
        }
    }
}

/// The thread: takes what is asked, makes a forward pass, tells what came of it.
fn run(
    inner: &Inner,
    asked: &Receiver<Command>,
    tell: &Sender<Told>,
    is_dropped: &AtomicBool,
) -> candle_core::Result<()> {
    let mut memory = inner.memory();
    let Memory { cache, blocks } = &mut *memory;
    let mut scheduler = Scheduler::new(&inner.decoder, &inner.tokenizer, inner.limits);
    'steps: while !is_dropped.load(Ordering::Relaxed) {
        loop {
            // Where nothing is under way there is time to wait.
            let command = match scheduler.is_idle() {
                true => asked.recv().map_err(|_| TryRecvError::Disconnected),
                false => asked.try_recv(),
            };
            match command {
                Ok(Command::Ask(requests)) => requests.into_iter().for_each(|request| {
                    take(inner, request, &mut scheduler, tell);
                }),
                Ok(Command::AskTokens(requests)) => requests.into_iter().for_each(|request| {
                    take_tokens(inner, request, &mut scheduler, tell);
                }),
                Ok(Command::Cancel(request)) => scheduler.cancel(request, blocks),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => break 'steps,
            }
        }
        scheduler.step(cache, blocks, &mut |event| {
            // Whoever doesn't listen any more has dropped the session.
            let _ = tell.send(Told::Event(event));
        })?;
    }
    scheduler.clear(blocks);
    Ok(())
}

/// Puts a request's samples into the queue, or refuses them.
fn take(inner: &Inner, request: Request, scheduler: &mut Scheduler<'_>, tell: &Sender<Told>) {
    let sampling = Arc::new(request.sampling);
    let tokens = match &request.input {
        Input::Prompt(text) => inner.tokenizer.encode_prompt(text),
        Input::Messages(messages) => inner.chat(messages),
    };
    match tokens.map_err(|e| e.to_string()).and_then(|tokens| fitting(inner, tokens)) {
        Ok(prompt) => {
            for sample in request.samples {
                scheduler.push(Ask {
                    request: request.id,
                    prompt: prompt.clone(),
                    sampling: Arc::clone(&sampling),
                    seed: request.seed,
                    sample,
                    ends: true,
                });
            }
        }
        Err(why) => {
            for sample in request.samples {
                let _ = tell.send(Told::Refused { request: request.id, sample, why: why.clone() });
            }
        }
    }
}

/// [`take`] for a prompt in tokens.
fn take_tokens(inner: &Inner, request: TokenRequest, scheduler: &mut Scheduler<'_>, tell: &Sender<Told>) {
    match fitting(inner, request.prompt) {
        Ok(prompt) => scheduler.push(Ask {
            request: request.id,
            prompt,
            sampling: Arc::new(request.sampling),
            seed: request.seed,
            sample: 0,
            ends: request.ends,
        }),
        Err(why) => {
            let _ = tell.send(Told::Refused { request: request.id, sample: 0, why });
        }
    }
}

/// The tokens of a prompt if it can be completed, or why not.
fn fitting(inner: &Inner, tokens: Vec<u32>) -> std::result::Result<Vec<u32>, String> {
    let (window, vocab) = (inner.limits.window, inner.decoder.config().vocab);
    if let Some(token) = tokens.iter().find(|token| **token as usize >= vocab) {
        return Err(format!("token {token} isn't in the model's vocabulary of {vocab}"));
    }
    match tokens.len() {
        0 => Err("the prompt has no token".to_owned()),
        len if len >= window => {
            Err(format!("the prompt has {len} tokens, and the model's window is {window}"))
        }
        _ => Ok(tokens),
    }
}
