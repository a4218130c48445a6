//! A model as a server sees it: tokens in, tokens with their probabilities out, while they are made.
//!
//! [`LanguageModel`](super::LanguageModel) is what the road of a run needs of a model; [`TokenModel`] is what somebody
//! needs who answers for it to others: prompts taken token by token as they are, text as it comes, and how likely each
//! token was.

use serde_json::{Map, Value};

use super::{Completion, Constraint, Sampling};
use crate::error::Result;

/// A prompt in tokens and what is wanted of it.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenRequest {
    /// The caller's number for it, given back in every event.
    pub id: u64,
    /// The whole prompt, with whatever begins a text.
    pub prompt: Vec<u32>,
    /// How tokens are drawn. With a `max_tokens` of 0 nothing is generated.
    pub sampling: Sampling,
    /// The seed of the request; [`sample_seed`](crate::rng::sample_seed) makes each sample's of it.
    pub seed: u64,
    /// How many completions; their numbers are 0, 1, ….
    pub samples: u32,
    /// Whether the end of text ends a completion; without it nothing but its length and stop strings do.
    pub ends: bool,
    /// Whether the completion's text goes on where the prompt's ends. Otherwise it is a text of its own, and a
    /// tokenizer that drops the blank at the head of a text does so.
    pub continues: bool,
    /// Whether log-probabilities are told, and of how many of the likeliest tokens besides.
    pub logprobs: Option<usize>,
    /// Whether those of the prompt's tokens are told too, where log-probabilities are.
    pub echo: bool,
    /// What the completion has to look like. It wants the end of text to end it.
    pub constraint: Constraint,
}

impl TokenRequest {
    /// One completion of this prompt, without log-probabilities, as a text of its own.
    pub fn new(id: u64, prompt: Vec<u32>, sampling: Sampling) -> Self {
        Self {
            id,
            prompt,
            sampling,
            seed: 0,
            samples: 1,
            ends: true,
            continues: false,
            logprobs: None,
            echo: false,
            constraint: Constraint::Free,
        }
    }
}

/// How likely a token was, in nats.
///
/// The distribution is the model's own, before temperature, penalties and any narrowing of candidates, as transformers'
/// `output_logits`, vLLM's default (`raw_logprobs`) and llama.cpp's default have it.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenLogprob {
    /// The token.
    pub token: u32,
    /// The natural logarithm of its probability; none for a text's first token, which nothing precedes.
    pub logprob: Option<f64>,
    /// The likeliest tokens at its place, the likeliest first, the smaller id first of equals.
    pub top: Vec<(u32, f64)>,
    /// How many characters (Unicode scalar values) of the completion's text stand before it. 0 for the prompt's.
    pub offset: usize,
}

/// What happens to samples, as it happens.
#[derive(Clone, Debug, PartialEq)]
pub enum TokenEvent {
    /// The prompt's tokens with how likely they are: the first event of a sample that asks for them.
    Prompt {
        /// The request's number.
        request: u64,
        /// The sample's number.
        sample: u32,
        /// All of the prompt's tokens.
        tokens: Vec<TokenLogprob>,
    },
    /// More text of a sample. Nothing of it is taken back later, and all of it makes the completion's text.
    Text {
        /// The request's number.
        request: u64,
        /// The sample's number.
        sample: u32,
        /// The text that was added.
        text: String,
        /// Where log-probabilities are asked for: the tokens since the last event. Together they are all tokens that
        /// were generated, with the end of text and those of a stop string.
        tokens: Vec<TokenLogprob>,
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
    /// A sample that can't be made.
    Refused {
        /// The request's number.
        request: u64,
        /// The sample's number.
        sample: u32,
        /// Why.
        why: String,
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

/// What a token is to a reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenText {
    /// Its text within others; a special token's name; `bytes:\xe2\x82` where its bytes are no text on their own.
    pub text: String,
    /// The bytes that it adds to a text: none for a special token.
    pub bytes: Vec<u8>,
}

/// A model that others are served with.
pub trait TokenModel: Send + Sync {
    /// The most tokens of prompt and completion together.
    fn window(&self) -> usize;

    /// One more than the largest token that a prompt may hold.
    fn vocabulary(&self) -> usize;

    /// How many samples are under way at once, where memory allows; others wait.
    fn sequences(&self) -> usize;

    /// The tokens of a text that is to be continued, the tokenizer's own BOS first.
    ///
    /// # Errors
    /// When the text has a character for which there is no token.
    fn encode(&self, text: &str) -> Result<Vec<u32>>;

    /// The text that each token adds to those before it; together they are the tokens' text.
    fn pieces(&self, tokens: &[u32]) -> Vec<String>;

    /// One token by itself.
    fn token(&self, token: u32) -> TokenText;

    /// The tokens that the model's chat template makes of a conversation that is to be answered: objects with `role`
    /// and `content`. `more` are further names for the template, such as `enable_thinking`.
    ///
    /// # Errors
    /// When the model has no chat template, or it refuses the conversation.
    fn chat(&self, messages: &[Value], more: &Map<String, Value>) -> Result<Vec<u32>>;

    /// Begins a session. It has the model to itself until it is dropped, which cancels what is under way.
    fn serve(&self) -> Box<dyn TokenSession>;
}

/// What hears of one request. It is called on the model's own thread, so it must not wait; it is dropped when all
/// samples have ended, the request is cancelled, or the model has failed.
pub type Tell = Box<dyn FnMut(TokenEvent) + Send>;

/// A conversation of many requests at once with a [`TokenModel`].
pub trait TokenSession: Send + Sync {
    /// Takes a request. Numbers of requests that haven't ended differ.
    fn ask(&self, request: TokenRequest, tell: Tell);

    /// Drops a request: nothing is told of it any more, and its places are free at the next forward pass.
    fn cancel(&self, request: u64);

    /// What there is to do at the moment.
    fn load(&self) -> Load;

    /// Whether requests are still answered: not when the model has failed, which is a mistake of its code.
    fn is_alive(&self) -> bool;
}

/// How busy a session is, in samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Not begun yet.
    pub waiting: usize,
    /// In the forward passes.
    pub running: usize,
}
