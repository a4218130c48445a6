//! The border between text and models: requests in, events out in any order.
//!
//! [`LanguageModel`] is implemented by the programs in [`crate::rules`], by [`replay`], by
//! [`scripted`] (for tests), and outside this crate by everything with weights or a socket.

mod constraint;
pub mod pool;
pub mod replay;
pub mod score;
pub mod scripted;
pub mod tokens;

use std::sync::Arc;

use crate::error::{Error, Result};
pub use constraint::{Constraint, Pair};
pub use score::{Prefill, Score, Scored, Scoring};

/// How tokens are drawn. What is left at its default is not written, so that journals and recipes say
/// only what was chosen.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Sampling {
    /// 0 is greedy.
    pub temperature: f64,
    /// The share of probability that the nucleus keeps, in (0, 1].
    pub top_p: f64,
    /// The most tokens of one completion.
    pub max_tokens: u32,
    /// How many of the likeliest tokens are candidates; 0 means all.
    #[serde(skip_serializing_if = "is_zero")]
    pub top_k: u32,
    /// Candidates are at least this share of the likeliest one's probability, in [0, 1].
    #[serde(skip_serializing_if = "is_nothing")]
    pub min_p: f64,
    /// Logits of tokens that stand in prompt or completion are divided by it (multiplied where negative).
    #[serde(skip_serializing_if = "is_one")]
    pub repetition_penalty: f64,
    /// Taken from the logit of each token that the completion holds.
    #[serde(skip_serializing_if = "is_nothing")]
    pub presence_penalty: f64,
    /// Taken from the logit of a token once for each time that the completion holds it.
    #[serde(skip_serializing_if = "is_nothing")]
    pub frequency_penalty: f64,
    /// A completion ends before the first of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
}

impl Default for Sampling {
    /// What every published Bonito card recommends (spec/bonito.md 1.7).
    fn default() -> Self {
        Self {
            temperature: 0.5,
            top_p: 0.95,
            max_tokens: 256,
            top_k: 0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            stop: Vec::new(),
        }
    }
}

impl Sampling {
    /// The settings, if each is in its range.
    ///
    /// # Errors
    /// Names the first that isn't.
    pub fn checked(self) -> Result<Self> {
        let must = |holds: bool, what: &str| if holds { Ok(()) } else { Err(Error::usage(what)) };
        must(self.temperature >= 0.0 && self.temperature.is_finite(), "temperature must be 0 or more")?;
        must(self.top_p > 0.0 && self.top_p <= 1.0, "top_p must be above 0 and at most 1")?;
        must(self.max_tokens > 0, "max_tokens must be at least 1")?;
        must((0.0..=1.0).contains(&self.min_p), "min_p must be between 0 and 1")?;
        let penalty = self.repetition_penalty;
        must(penalty > 0.0 && penalty.is_finite(), "repetition_penalty must be above 0; 1 is none")?;
        must(self.presence_penalty.is_finite(), "presence_penalty must be a number")?;
        must(self.frequency_penalty.is_finite(), "frequency_penalty must be a number")?;
        must(!self.stop.iter().any(String::is_empty), "a stop string must not be empty")?;
        Ok(self)
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

fn is_nothing(number: &f64) -> bool {
    *number == 0.0
}

fn is_one(number: &f64) -> bool {
    *number == 1.0
}

/// One message of a chat prompt.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: &'static str,
    /// What is said.
    pub content: String,
}

/// What the model is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Text to be continued; the tokenizer's own BOS goes first.
    Prompt(String),
    /// A conversation to be answered.
    Messages(Vec<Message>),
}

impl Input {
    /// One text of it, for hashes, token counts and dry runs.
    pub fn text(&self) -> String {
        match self {
            Self::Prompt(text) => text.clone(),
            Self::Messages(messages) => {
                messages.iter().map(|message| format!("[{}]\n{}\n", message.role, message.content)).collect()
            }
        }
    }
}

/// One prompt and the samples wanted of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The caller's number for it, given back in every event.
    pub id: u64,
    /// What the model is given.
    pub input: Input,
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// The seed of the request; [`sample_seed`](crate::rng::sample_seed) makes each sample's of it.
    pub seed: u64,
    /// The numbers of the samples wanted, ascending. Sample 2 is the same whether 0 and 1 are
    /// wanted with it or not.
    pub samples: Vec<u32>,
    /// What the completion has to look like.
    pub constraint: Constraint,
}

/// A finished text.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Completion {
    /// The new text, without the prompt and without EOS.
    pub text: String,
    /// Whether it was cut off at `max_tokens`.
    pub truncated: bool,
    /// Tokens of the prompt, where the model counts them.
    pub prompt_tokens: Option<u32>,
    /// Tokens of this completion, where the model counts them.
    pub completion_tokens: Option<u32>,
}

/// How one sample ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With a text.
    Text(Completion),
    /// The generator has nothing to make of this prompt.
    Declined,
    /// This one prompt is refused for good; the message says why.
    Refused(String),
    /// Every attempt failed; asking again later may help. It is not remembered.
    Failed(String),
}

/// One sample of one request has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// [`Request::id`].
    pub request: u64,
    /// The sample's number, one of [`Request::samples`].
    pub sample: u32,
    /// How it ended.
    pub outcome: Outcome,
}

/// What a model can do and how it likes to be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Whether [`Constraint::JsonSchema`] is obeyed.
    pub json_schema: bool,
    /// Whether [`Constraint::Pair`] and [`Constraint::Choice`] are obeyed.
    pub constrains: bool,
    /// Whether [`Input::Messages`] is taken; otherwise only [`Input::Prompt`].
    pub messages: bool,
    /// Whether a call costs enough to be remembered in the journal. Programs are run again instead.
    pub journaled: bool,
    /// Whether [`LanguageModel::score`] says how likely texts are.
    pub scores: bool,
}

/// Something that completes prompts.
pub trait LanguageModel: Send + Sync {
    /// What keys the journal: everything that decides what the model answers except the request.
    /// For weights their fingerprint, the tokenizer's and the engine's numerics version; for an
    /// endpoint its URL and model name.
    fn identity(&self) -> Arc<str>;

    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// What the user should know of how it runs, such as a quantisation that memory made necessary: sentences.
    fn notes(&self) -> &[String] {
        &[]
    }

    /// Begins a session. Dropping the session cancels what is under way.
    ///
    /// # Errors
    /// When the model can't be reached or loaded.
    fn open(&self) -> Result<Box<dyn Session + '_>>;

    /// How likely completions are, one outcome for each text, in their order. [`score::TEXTS`] at once is a good number.
    ///
    /// # Errors
    /// When the model gives no likelihoods at all, or none of this kind; when it can't be used.
    fn score(&self, _texts: &[Scored]) -> Result<Vec<Scoring>> {
        Err(Error::usage(format!("`{}` says nothing of how likely a text is", self.identity())).with_hint(
            "name weights with --model (a folder, a .gguf file, an id of the Hub), or a server with --endpoint whose \
             /completions knows `echo` with `logprobs`, or `prompt_logprobs`",
        ))
    }

    /// What was computed of all texts that were scored so far; none where the model doesn't tell.
    fn prefill(&self) -> Option<Prefill> {
        None
    }
}

/// A conversation of many requests at once with a [`LanguageModel`].
pub trait Session {
    /// How many more requests should be submitted now to keep the model busy.
    fn room(&self) -> usize;

    /// Takes requests. Those of one call share a passage, so an engine can share their common head.
    fn submit(&mut self, requests: Vec<Request>);

    /// Waits for the next sample to end, [`TICK`] at the most, so that the caller can break off.
    ///
    /// # Errors
    /// When the model can't be used at all (a wrong key, a wrong model name): the run ends.
    fn next(&mut self) -> Result<Next>;
}

/// What [`Session::next`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// A sample has ended.
    Event(Event),
    /// None has ended within [`TICK`]; some are under way.
    Waiting,
    /// Nothing is under way.
    Idle,
}

impl From<Option<Event>> for Next {
    fn from(event: Option<Event>) -> Self {
        event.map_or(Self::Idle, Self::Event)
    }
}

/// How long [`Session::next`] waits before it says [`Next::Waiting`].
pub const TICK: std::time::Duration = std::time::Duration::from_millis(100);
