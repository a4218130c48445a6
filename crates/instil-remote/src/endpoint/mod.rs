//! A model behind an OpenAI-compatible API: what `--endpoint` names.
//!
//! It was written against three servers, of which none is run by the tests here; `tests/it/server.rs`
//! plays their parts. What follows is from their documentation and sources:
//!
//! | server | what is relied on |
//! |---|---|
//! | vLLM | `/completions` puts the tokenizer's BOS before the prompt; `n` and `seed` are honoured; `n > 1` at temperature 0 is a 400; a schema comes as `response_format`; a prompt too long is a 400; `owned_by` of its models is `vllm`, and `structured_outputs` takes a choice or a grammar |
//! | llama.cpp's server | in versions that don't know `n` it is a 500 saying that only one completion choice is allowed (llama-cpp-python's server ignores it); a seed keeps 32 bits; `max_tokens` is taken by both APIs; `owned_by` is `llamacpp`, and both APIs take a `grammar` |
//! | OpenAI | newer models refuse `max_tokens` and name `max_completion_tokens`; an empty account is a 429 of code `insufficient_quota`; `Retry-After` on 429 |
//!
//! The road of one request: [`session`] gives it to a thread, [`answer`] decides how many calls its
//! samples need, [`call`] makes one call with its retries, [`verdict`] says what an HTTP answer means,
//! [`wire`] reads and writes the JSON, [`http`] moves the bytes. Texts are scored by [`score`], whose answers
//! [`score_wire`] reads.

mod answer;
mod call;
mod client;
mod config;
pub(crate) mod http;
mod score;
mod score_wire;
mod session;
mod structure;
mod verdict;
pub(crate) mod wait;
mod wire;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use instil::lm::{Capabilities, LanguageModel, Scored, Scoring, Session};
use instil::{Error, Result};

use client::Client;
pub use config::{Api, Config, Structured};

/// A model behind an OpenAI-compatible API.
///
/// What a server makes of a seed is its own matter: the same request asked twice may be answered
/// differently, and sample 2 asked for alone has another seed than as the third of one call. What
/// makes a run repeatable is the journal.
pub struct Endpoint(Arc<Client>);

/// What an endpoint was used for so far, over all its sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Calls for completions, retried ones included.
    pub calls: u64,
    /// Calls made again because one before had failed.
    pub retries: u64,
    /// Tokens of prompts, as far as the server counts them; one prompt with `n` samples counts once.
    pub prompt_tokens: u64,
    /// Tokens of completions, as far as the server counts them.
    pub completion_tokens: u64,
}

impl Endpoint {
    /// An endpoint of these settings.
    ///
    /// Without a model's name the server is asked for one (`GET /models`); with one nothing is sent yet.
    ///
    /// # Errors
    /// When the base URL is none, the key can't stand in a header, or no model is named and the
    /// server can't be reached or doesn't have just one.
    pub fn connect(config: Config) -> Result<Self> {
        Client::connect(config).map(|client| Self(Arc::new(client)))
    }

    /// The model's name, as the server knows it.
    pub fn model(&self) -> &str {
        &self.0.model
    }

    /// What it was used for so far.
    pub fn stats(&self) -> Stats {
        let counters = &self.0.counters;
        Stats {
            calls: counters.calls.load(Ordering::Relaxed),
            retries: counters.retries.load(Ordering::Relaxed),
            prompt_tokens: counters.prompt_tokens.load(Ordering::Relaxed),
            completion_tokens: counters.completion_tokens.load(Ordering::Relaxed),
        }
    }
}

impl fmt::Debug for Endpoint {
    /// Its identity; never the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Endpoint").field(&self.identity()).finish()
    }
}

impl LanguageModel for Endpoint {
    /// The base URL and the model's name, and ` chat` where prompts are wrapped into messages.
    fn identity(&self) -> Arc<str> {
        let Client { http, model, config, .. } = &*self.0;
        let wrapped = if config.api == Api::Chat { " chat" } else { "" };
        format!("{} {model}{wrapped}", http.base).into()
    }

    fn capabilities(&self) -> Capabilities {
        let config = &self.0.config;
        let messages = config.api != Api::Completions;
        let json_schema = match config.structured {
            Structured::Auto => messages,
            Structured::On => true,
            Structured::Off => false,
        };
        let constrains = self.0.structure.is_some();
        Capabilities { json_schema, constrains, messages, journaled: true, scores: config.api != Api::Chat }
    }

    /// Begins a session, after one `GET /models` if the server was not heard of yet. Of that only one
    /// thing counts, that somebody answers: a wrong address is told at once instead of after all attempts.
    fn open(&self) -> Result<Box<dyn Session + '_>> {
        self.0.greet()?;
        let session = session::Talk::start(Arc::clone(&self.0)).map_err(|cause| {
            Error::model("failed to start the threads that call the endpoint").because(cause)
        })?;
        Ok(Box::new(session))
    }

    /// Prompt and completion are sent as one text. The completion's tokens are those that stand in it, and one that begins
    /// before and ends in it. An end of text can't be scored, and nothing be encoded apart.
    fn score(&self, texts: &[Scored]) -> Result<Vec<Scoring>> {
        self.0.greet()?;
        self.0.score(texts)
    }
}
