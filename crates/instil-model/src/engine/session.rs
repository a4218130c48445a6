//! A session: requests in, text and ends out, a thread of forward passes in between.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::Result as Caught;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, unbounded};
use instil::Result;
use instil::lm::tokens::{Load, Tell, TokenEvent as Event, TokenRequest};
use instil::lm::{Event as Ended, Input, Next, Outcome, Request, Session, TICK};

use super::net::Net;
use super::schedule::{Ask, Scheduler};
use super::{Inner, Memory, failed};

/// Samples that wait for each one under way, so that a place that is free is taken at once.
const QUEUE: usize = 2;

/// What a session's thread is told.
pub(super) enum Command {
    Ask(Vec<Request>),
    AskTokens(Vec<TokenRequest>),
    /// A request whose events go to this listener and not to the session.
    AskFor(TokenRequest, Tell),
    Cancel(u64),
}

/// What it tells.
enum Told {
    Event(Event),
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
    state: Arc<State>,
}

/// What the thread lets others see.
#[derive(Default)]
struct State {
    has_ended: AtomicBool,
    waiting: AtomicUsize,
    running: AtomicUsize,
}

/// Who hears of which request, and how many of its samples haven't ended.
type Listeners = HashMap<u64, (Tell, usize)>;

/// What a [`Stream`] gives.
#[derive(Clone, Debug, PartialEq)]
pub enum Streamed {
    /// Text, an end or a refusal.
    Event(Event),
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
        let state = Arc::new(State::default());
        let shown = Arc::clone(&state);
        std::thread::spawn(move || {
            // A mistake of this crate is carried to the caller, who would else wait for ever.
            let ended = catch_unwind(AssertUnwindSafe(|| {
                inner.pool.install(|| run(&inner, &asked, &tell, &dropped, &shown))
            }));
            shown.has_ended.store(true, Ordering::Relaxed);
            let failure = match ended {
                Ok(Ok(())) => return,
                Ok(Err(error)) => Ok(failed(error)),
                Err(panic) => Err(panic),
            };
            // Whoever doesn't listen any more needs no answer.
            let _ = tell.send(Told::Failed(failure));
        });
        Self { commands: Some(commands), told, is_dropped, pending: 0, capacity, state }
    }

    /// Takes a request.
    pub fn ask(&mut self, requests: Vec<Request>) {
        self.pending += requests.iter().map(|request| request.samples.len()).sum::<usize>();
        self.command(Command::Ask(requests));
    }

    /// Takes prompts in tokens.
    pub fn ask_tokens(&mut self, requests: Vec<TokenRequest>) {
        self.pending += requests.iter().map(|request| request.samples as usize).sum::<usize>();
        self.command(Command::AskTokens(requests));
    }

    /// Drops a request: none of its samples under way ends any more. `left` is how many of them had not.
    pub fn cancel(&mut self, request: u64, left: usize) {
        self.pending -= left;
        self.command(Command::Cancel(request));
    }

    /// How many samples wait and run, as of the last forward pass.
    pub(super) fn load(&self) -> Load {
        let count = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        Load { waiting: count(&self.state.waiting), running: count(&self.state.running) }
    }

    /// Whether the thread still answers.
    pub(super) fn is_alive(&self) -> bool {
        !self.state.has_ended.load(Ordering::Relaxed)
    }

    pub(super) fn command(&self, command: Command) {
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
                self.pending -= usize::from(is_end(&event));
                Ok(Streamed::Event(event))
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
                Streamed::Event(Event::Prompt { .. } | Event::Text { .. }) => continue,
                Streamed::Event(Event::Done { request, sample, completion, .. }) => {
                    (request, sample, Outcome::Text(completion))
                }
                Streamed::Event(Event::Refused { request, sample, why }) => {
                    (request, sample, Outcome::Refused(why))
                }
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
    state: &State,
) -> candle_core::Result<()> {
    let mut memory = inner.memory();
    let Memory { cache, blocks, .. } = &mut *memory;
    let mut scheduler = Scheduler::new(&inner.net, &inner.tokenizer, inner.limits);
    let mut listeners = Listeners::new();
    'steps: while !is_dropped.load(Ordering::Relaxed) {
        loop {
            let load = scheduler.load();
            state.waiting.store(load.waiting, Ordering::Relaxed);
            state.running.store(load.running, Ordering::Relaxed);
            // Where nothing is under way there is time to wait.
            let command = match scheduler.is_idle() {
                true => asked.recv().map_err(|_| TryRecvError::Disconnected),
                false => asked.try_recv(),
            };
            match command {
                Ok(Command::Ask(requests)) => requests.into_iter().for_each(|request| {
                    take(inner, request, &mut scheduler, &mut |event| told(event, &mut listeners, tell));
                }),
                Ok(Command::AskTokens(requests)) => requests.into_iter().for_each(|request| {
                    take_tokens(inner, request, &mut scheduler, &mut |event| {
                        told(event, &mut listeners, tell)
                    });
                }),
                Ok(Command::AskFor(request, listener)) => {
                    listeners.insert(request.id, (listener, request.samples as usize));
                    take_tokens(inner, request, &mut scheduler, &mut |event| {
                        told(event, &mut listeners, tell)
                    });
                }
                Ok(Command::Cancel(request)) => {
                    listeners.remove(&request);
                    scheduler.cancel(request, blocks);
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => break 'steps,
            }
        }
        scheduler.step(cache, blocks, &mut |event| told(event, &mut listeners, tell))?;
        let guesses = scheduler.take_guesses();
        inner.guessed.fetch_add(guesses.made, Ordering::Relaxed);
        inner.guessed_right.fetch_add(guesses.right, Ordering::Relaxed);
    }
    scheduler.clear(blocks);
    Ok(())
}

/// Gives an event to whoever listens to its request: a listener of its own, or the session.
fn told(event: Event, listeners: &mut Listeners, tell: &Sender<Told>) {
    let (Event::Prompt { request, .. }
    | Event::Text { request, .. }
    | Event::Done { request, .. }
    | Event::Refused { request, .. }) = &event;
    let Entry::Occupied(mut listener) = listeners.entry(*request) else {
        // Whoever doesn't listen any more has dropped the session.
        let _ = tell.send(Told::Event(event));
        return;
    };
    let (hear, left) = listener.get_mut();
    *left -= usize::from(is_end(&event));
    let is_last = *left == 0;
    hear(event);
    if is_last {
        drop(listener.remove());
    }
}

/// Whether an event is the last of its sample.
fn is_end(event: &Event) -> bool {
    matches!(event, Event::Done { .. } | Event::Refused { .. })
}

/// Puts a request's samples into the queue, or refuses them.
fn take(inner: &Inner, request: Request, scheduler: &mut Scheduler<'_>, tell: &mut dyn FnMut(Event)) {
    let tokens = match &request.input {
        Input::Prompt(text) => inner.encode(text),
        Input::Messages(messages) => inner.answer(messages),
    };
    let sampling = Arc::new(request.sampling);
    let fitted = tokens.map_err(|e| e.to_string()).and_then(|tokens| {
        let prompt = fitting(inner, tokens, 1)?;
        let form = inner.form(&request.constraint, &sampling, prompt.len(), false)?;
        Ok((prompt, form))
    });
    match fitted {
        Ok((prompt, form)) => {
            let (prompt, source) = parted(inner, prompt);
            for sample in request.samples {
                scheduler.push(Ask {
                    request: request.id,
                    prompt: prompt.clone(),
                    source: source.clone(),
                    sampling: Arc::clone(&sampling),
                    seed: request.seed,
                    sample,
                    ends: true,
                    continues: false,
                    logprobs: None,
                    echo: false,
                    form: form.clone(),
                });
            }
        }
        Err(why) => refuse(request.id, request.samples, &why, tell),
    }
}

/// [`take`] for a prompt in tokens.
fn take_tokens(
    inner: &Inner,
    request: TokenRequest,
    scheduler: &mut Scheduler<'_>,
    tell: &mut dyn FnMut(Event),
) {
    let least = usize::from(request.sampling.max_tokens > 0);
    let sampling = Arc::new(request.sampling);
    let has_encoder = matches!(inner.net, Net::T5(_));
    if has_encoder && request.echo && request.logprobs.is_some() {
        let why =
            "the model's prompts are read by an encoder, which says nothing of how likely they are (`echo`)";
        return refuse(request.id, 0..request.samples, why, tell);
    }
    let fitted = fitting(inner, request.prompt, least).and_then(|prompt| {
        let form = inner.form(&request.constraint, &sampling, prompt.len(), request.continues)?;
        Ok((prompt, form))
    });
    match fitted {
        Ok((prompt, form)) => {
            let (prompt, source) = parted(inner, prompt);
            for sample in 0..request.samples {
                scheduler.push(Ask {
                    request: request.id,
                    prompt: prompt.clone(),
                    source: source.clone(),
                    sampling: Arc::clone(&sampling),
                    seed: request.seed,
                    sample,
                    ends: request.ends,
                    // What an encoder reads isn't continued.
                    continues: request.continues && !has_encoder,
                    logprobs: request.logprobs,
                    echo: request.echo,
                    form: form.clone(),
                });
            }
        }
        Err(why) => refuse(request.id, 0..request.samples, &why, tell),
    }
}

/// What the decoder begins with, and what an encoder reads, where there is one.
fn parted(inner: &Inner, prompt: Vec<u32>) -> (Vec<u32>, Option<Arc<[u32]>>) {
    match &inner.net {
        Net::Decoder(_) => (prompt, None),
        Net::T5(t5) => (vec![t5.config().start], Some(prompt.into())),
    }
}

fn refuse(request: u64, samples: impl IntoIterator<Item = u32>, why: &str, tell: &mut dyn FnMut(Event)) {
    for sample in samples {
        tell(Event::Refused { request, sample, why: why.to_owned() });
    }
}

/// The tokens of a prompt if it can be completed by `least` tokens, or why not.
fn fitting(inner: &Inner, tokens: Vec<u32>, least: usize) -> std::result::Result<Vec<u32>, String> {
    let (window, vocab) = (inner.limits.window, inner.net.vocab());
    if let Some(token) = tokens.iter().find(|token| **token as usize >= vocab) {
        return Err(format!("token {token} isn't in the model's vocabulary of {vocab}"));
    }
    match tokens.len() {
        0 => Err("the prompt has no token".to_owned()),
        len if len + least > window => {
            Err(format!("the prompt has {len} tokens, and the model's window is {window}"))
        }
        _ => Ok(tokens),
    }
}
