//! The model's side of a request: prompts in tokens, places in the queue, what comes of them.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use instil::lm::tokens::{TokenEvent, TokenModel, TokenRequest};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::answer::{Answer, Echo, Shape};
use crate::refusal::Refusal;
use crate::request::{Call, Chat, Common, Completions, Prompt};
use crate::server::Shared;

/// A call whose prompts are tokens now.
pub(crate) struct Prepared {
    requests: Vec<TokenRequest>,
    answer: Answer,
    stream: bool,
}

/// Encodes a call's prompts. A long one takes a while.
///
/// # Errors
/// 400 where a prompt isn't one for this model, or there are more than are ever let in.
pub(crate) fn prepare(call: Call, shared: &Shared) -> Result<Prepared, Refusal> {
    let model = &*shared.model;
    let prepared = match call {
        Call::Completions(call) => completions(call, shared),
        Call::Chat(call) => chat(call, shared),
        Call::Plain(_) => Err(Refusal::invalid("nothing is asked of the model")),
    }?;
    for (place, request) in prepared.requests.iter().enumerate() {
        let param = match (prepared.answer.shape(), prepared.requests.len()) {
            (Shape::Chat, _) => "messages".to_owned(),
            (Shape::Completions, 1) => "prompt".to_owned(),
            (Shape::Completions, _) => format!("prompt[{place}]"),
        };
        fits(request, model).map_err(|refusal| Refusal { param: Some(param), ..refusal })?;
    }
    Ok(prepared)
}

fn completions(call: Completions, shared: &Shared) -> Result<Prepared, Refusal> {
    let model = &*shared.model;
    check_size(call.prompts.len(), &call.common, shared)?;
    let mut requests = Vec::with_capacity(call.prompts.len());
    let mut echoes = Vec::new();
    let seed = seed(&call.common);
    for prompt in call.prompts {
        let (tokens, text) = match prompt {
            Prompt::Tokens(tokens) => (tokens, None),
            Prompt::Text(text) => {
                let tokens = model.encode(&text).map_err(|e| Refusal::about("prompt", e.to_string()))?;
                (tokens, Some(text))
            }
        };
        if call.echo {
            echoes.push(Echo::of(text, model.pieces(&tokens)));
        }
        requests.push(TokenRequest {
            seed,
            samples: call.common.n,
            ends: call.common.ends,
            continues: true,
            logprobs: call.logprobs,
            echo: call.echo,
            constraint: call.common.constraint.clone(),
            ..TokenRequest::new(shared.number(), tokens, call.common.sampling.clone())
        });
    }
    let answer = Answer::new(Shape::Completions, shared, &call.common, &requests, echoes);
    Ok(Prepared { requests, answer, stream: call.common.stream })
}

fn chat(call: Chat, shared: &Shared) -> Result<Prepared, Refusal> {
    check_size(1, &call.common, shared)?;
    let told = |e: instil::Error| {
        let cause = std::error::Error::source(&e).map_or(String::new(), |cause| format!(": {cause}"));
        Refusal::about("messages", format!("{e}{cause}"))
    };
    let tokens = shared.model.chat(&call.messages, &call.more).map_err(told)?;
    let request = TokenRequest {
        seed: seed(&call.common),
        samples: call.common.n,
        ends: call.common.ends,
        logprobs: call.logprobs,
        constraint: call.common.constraint.clone(),
        ..TokenRequest::new(shared.number(), tokens, call.common.sampling.clone())
    };
    let requests = vec![request];
    let answer = Answer::new(Shape::Chat, shared, &call.common, &requests, Vec::new());
    Ok(Prepared { requests, answer, stream: call.common.stream })
}

fn seed(common: &Common) -> u64 {
    common.seed.unwrap_or_else(|| RandomState::new().hash_one(0))
}

/// A request that could never be let in must not be told to come again.
fn check_size(prompts: usize, common: &Common, shared: &Shared) -> Result<(), Refusal> {
    let (wanted, most) = (prompts.saturating_mul(common.n as usize), shared.most_places());
    if wanted <= most {
        return Ok(());
    }
    let message = format!("{wanted} completions are asked for at once, and {most} are the most");
    Err(Refusal::invalid(message).with_code("too_many_completions"))
}

/// Whether the model can complete this prompt.
fn fits(request: &TokenRequest, model: &dyn TokenModel) -> Result<(), Refusal> {
    let (window, vocabulary) = (model.window(), model.vocabulary());
    if request.prompt.is_empty() {
        return Err(Refusal::invalid("the prompt has no token"));
    }
    if let Some(token) = request.prompt.iter().find(|token| **token as usize >= vocabulary) {
        let message = format!("token {token} isn't in the model's vocabulary of {vocabulary}");
        return Err(Refusal::invalid(message));
    }
    let len = request.prompt.len();
    let new = usize::from(request.sampling.max_tokens > 0);
    if len + new > window {
        let more = if new > 0 { ", of which one at least is for the answer" } else { "" };
        let message = format!("the prompt has {len} tokens, and the model's window is {window}{more}");
        return Err(Refusal::invalid(message).with_code("context_length_exceeded"));
    }
    Ok(())
}

/// A call that the model is at. Dropped, it is cancelled: that is how a client's leaving is told.
pub(crate) struct Job {
    shared: Arc<Shared>,
    route: &'static str,
    started: Instant,
    ids: Vec<u64>,
    events: UnboundedReceiver<(usize, TokenEvent)>,
    /// Samples that haven't ended.
    left: usize,
    has_begun: bool,
}

/// What a [`Job`] gives.
pub(crate) enum Heard {
    /// Something of the choice of this number.
    Event(usize, TokenEvent),
    /// All samples have ended.
    Over,
    /// The model has failed.
    Failed,
}

/// Samples' places in the queue, given back one by one, or all at once when nobody hears of them any more.
struct Places {
    all: Arc<AtomicUsize>,
    held: usize,
}

impl Places {
    fn release(&mut self, count: usize) {
        self.held -= count;
        self.all.fetch_sub(count, Ordering::Relaxed);
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        self.release(self.held);
    }
}

impl Job {
    /// Gives the prompts to the model.
    ///
    /// # Errors
    /// 429 where the queue has no room.
    pub(crate) fn begin(
        requests: Vec<TokenRequest>,
        shared: Arc<Shared>,
        route: &'static str,
        started: Instant,
    ) -> Result<Self, Refusal> {
        let wanted: usize = requests.iter().map(|request| request.samples as usize).sum();
        let most = shared.most_places();
        let room = |held: usize| Some(held + wanted).filter(|held| *held <= most);
        if let Err(held) = shared.places.try_update(Ordering::Relaxed, Ordering::Relaxed, room) {
            let message =
                format!("{held} completions are waiting or running, and {most} are the most; try again");
            return Err(Refusal::new(429, "rate_limit_error", message).with_code("queue_full"));
        }
        let mut all = Places { all: Arc::clone(&shared.places), held: wanted };
        let (tell, events) = unbounded_channel();
        let mut ids = Vec::with_capacity(requests.len());
        let mut first = 0;
        for request in requests {
            ids.push(request.id);
            shared.metrics.prompted(request.prompt.len() as u64);
            let count = request.samples as usize;
            all.held -= count;
            let mut places = Places { all: Arc::clone(&shared.places), held: count };
            let tell = tell.clone();
            shared.session.ask(
                request,
                Box::new(move |event| {
                    let sample = match &event {
                        TokenEvent::Prompt { sample, .. } | TokenEvent::Text { sample, .. } => *sample,
                        TokenEvent::Done { sample, .. } | TokenEvent::Refused { sample, .. } => {
                            places.release(1);
                            *sample
                        }
                    };
                    // A client that has left hears of nothing.
                    let _ = tell.send((first + sample as usize, event));
                }),
            );
            first += count;
        }
        Ok(Self { shared, route, started, ids, events, left: wanted, has_begun: false })
    }

    /// The next thing that happens.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Heard> {
        if self.left == 0 {
            return Poll::Ready(Heard::Over);
        }
        self.events.poll_recv(cx).map(|heard| match heard {
            Some((choice, event)) => {
                self.count(&event);
                Heard::Event(choice, event)
            }
            None => Heard::Failed,
        })
    }

    fn count(&mut self, event: &TokenEvent) {
        let metrics = &self.shared.metrics;
        let since = self.started.elapsed();
        if !matches!(event, TokenEvent::Prompt { .. }) && !std::mem::replace(&mut self.has_begun, true) {
            metrics.began(self.route, since);
        }
        match event {
            TokenEvent::Prompt { .. } | TokenEvent::Text { .. } => return,
            TokenEvent::Done { completion, .. } => {
                metrics.generated(completion.completion_tokens.unwrap_or(0).into());
            }
            TokenEvent::Refused { .. } => {}
        }
        self.left -= 1;
        if self.left == 0 {
            metrics.ended(self.route, since);
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if self.left > 0 {
            self.ids.iter().for_each(|id| self.shared.session.cancel(*id));
        }
    }
}

impl Prepared {
    /// The prompts, for [`Job::begin`], and the rest.
    pub(crate) fn split(self) -> (Vec<TokenRequest>, Answer, bool) {
        (self.requests, self.answer, self.stream)
    }
}
