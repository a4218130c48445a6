//! What all sessions of an endpoint share, and the words for what ends a run.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use instil::error::nearest;
use instil::{Error, Result};

use super::config::Config;
use super::http::{Http, Trouble};
use super::structure::Structure;
use super::wire;

/// An endpoint's settings and what has been learned about its server.
pub(super) struct Client {
    pub(super) http: Http,
    pub(super) config: Config,
    pub(super) model: String,
    /// What its completions can be held to things by, where that was asked.
    pub(super) structure: Option<Structure>,
    pub(super) quirks: Quirks,
    pub(super) counters: Counters,
    /// Whether a call brought a text.
    pub(super) met: Known,
    /// Whether the server gave any answer to anything.
    reached: Known,
    /// Calls since the last one that was answered whose every attempt found nobody there or nobody served.
    pub(super) in_vain: AtomicU32,
}

/// What this server is like, found out on the way.
#[derive(Default)]
pub(super) struct Quirks {
    /// It gave several choices in one call.
    pub(super) takes_n: Known,
    /// It doesn't give several choices in one call.
    pub(super) ignores_n: Known,
    /// It takes no `response_format`.
    pub(super) no_schema: Known,
    /// It wants `max_tokens` by its newer name.
    pub(super) max_completion_tokens: Known,
    /// It gives no likelihoods of a prompt by `echo`.
    pub(super) no_echo: Known,
    /// It takes no `max_tokens` of 0.
    pub(super) least_one_token: Known,
    /// It has said how likely a text is.
    pub(super) scored: Known,
}

/// Something that is found out once and stays so.
#[derive(Default)]
pub(super) struct Known(AtomicBool);

impl Known {
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The numbers of [`Stats`](super::Stats).
#[derive(Default)]
pub(super) struct Counters {
    pub(super) calls: AtomicU64,
    pub(super) retries: AtomicU64,
    pub(super) prompt_tokens: AtomicU64,
    pub(super) completion_tokens: AtomicU64,
}

impl Client {
    pub(super) fn connect(config: Config) -> Result<Self> {
        let http = Http::new(&config)?;
        let mut client = Self {
            http,
            model: config.model.clone().unwrap_or_default(),
            config,
            structure: None,
            quirks: Quirks::default(),
            counters: Counters::default(),
            met: Known::default(),
            reached: Known::default(),
            in_vain: AtomicU32::new(0),
        };
        if client.config.model.is_none() {
            client.model = client.only_model()?;
        }
        if client.config.constrain {
            client.structure = client.owner()?.as_deref().and_then(Structure::of_owner);
        }
        Ok(client)
    }

    /// Makes sure that somebody answers at the address.
    pub(super) fn greet(&self) -> Result<()> {
        if self.reached.is_set() {
            return Ok(());
        }
        match self.http.get("/models") {
            Err(trouble) if trouble.unreachable => Err(self.unreachable(&trouble)),
            // What it says is no matter: a key may be good for completions only, and not every server lists models.
            _ => {
                self.reached.set();
                Ok(())
            }
        }
    }

    fn only_model(&self) -> Result<String> {
        let base = &self.http.base;
        let answer = self.http.get("/models").map_err(|trouble| self.unreachable(&trouble))?;
        self.reached.set();
        if matches!(answer.status, 401 | 403) {
            let message = self.http.scrub(&wire::complaint(&answer.body).message);
            return Err(self.no_entry(answer.status, &message));
        }
        let names = match answer.status {
            200 => wire::model_names(&answer.body),
            _ => None,
        };
        match names.as_deref() {
            Some([name]) => Ok(name.clone()),
            Some([]) => Err(Error::model(format!("`{base}` lists no models")).with_hint("name the model")),
            Some(names) => Err(Error::usage(format!("`{base}` has {} models", names.len()))
                .with_hint(format!("name one of them: {}", listed(names)))),
            None => Err(Error::model(format!("`{base}` doesn't list its models: HTTP {}", answer.status))
                .with_hint("the base URL should end in `/v1`; if it does, name the model")),
        }
    }

    /// Whom the server says that the model belongs to, which tells what server it is.
    fn owner(&self) -> Result<Option<String>> {
        let answer = self.http.get("/models").map_err(|trouble| self.unreachable(&trouble))?;
        self.reached.set();
        Ok(wire::model_owner(&answer.body, &self.model))
    }

    fn unreachable(&self, trouble: &Trouble) -> Error {
        Error::model(format!("failed to reach `{}`: {}", self.http.base, trouble.message))
            .with_hint("is the server running, and are host and port right?")
    }

    pub(super) fn no_entry(&self, status: u16, message: &str) -> Error {
        let what = if self.http.has_key() { "refused the key" } else { "asks for a key" };
        Error::model(format!("the endpoint `{}` {what}: HTTP {status}: {message}", self.http.base))
            .with_hint("set OPENAI_API_KEY to a key that is good for this endpoint and model")
    }

    pub(super) fn no_money(&self, message: &str) -> Error {
        Error::model(format!("the endpoint `{}` wants to be paid: {message}", self.http.base))
            .with_hint("fill the account or use another one; what was answered so far is kept")
    }

    pub(super) fn redirected(&self, to: Option<&str>) -> Error {
        let to = self.http.scrub(to.unwrap_or("nowhere"));
        Error::model(format!("the endpoint `{}` redirects to `{to}`", self.http.base)).with_hint(
            "prompts are sent only to the address that was given; if the new one is right, give that",
        )
    }

    pub(super) fn no_schema(&self, message: &str) -> Error {
        Error::model(format!("the endpoint `{}` refused the answer's schema: {message}", self.http.base))
            .with_hint("switch structured answers off for this endpoint, or leave it to instil to find out")
    }

    pub(super) fn no_constraint(&self, message: &str) -> Error {
        Error::model(format!(
            "the endpoint `{}` refused to hold its answers to a form: {message}",
            self.http.base
        ))
        .with_hint("leave out --constrain: then the parse and the checks decide")
    }

    pub(super) fn no_setting(&self, message: &str) -> Error {
        Error::model(format!("the endpoint `{}` refused a setting of every call: {message}", self.http.base))
            .with_hint("give another value, or use a model and server that take it")
    }

    pub(super) fn silent(&self, calls: u32, message: &str) -> Error {
        Error::model(format!(
            "the endpoint `{}` answers no more: {calls} calls in a row failed: {message}",
            self.http.base
        ))
        .with_hint("run the same again when it is back; what was answered so far is kept")
    }

    /// A 404: the model or the path is not there, and `GET /models` helps to say which.
    pub(super) fn nothing_there(&self, status: u16, path: &str, message: &str) -> Error {
        let (base, model) = (&self.http.base, &self.model);
        let names = self.http.get("/models").ok().and_then(|answer| wire::model_names(&answer.body));
        match names {
            Some(names) if names.contains(model) => Error::model(format!(
                "the endpoint `{base}` has model `{model}` but not at `{path}`: HTTP {status}: {message}"
            ))
            .with_hint(
                "it may offer the other API: completions instead of chat, or chat instead of completions",
            ),
            Some(names) if !names.is_empty() => {
                let near = match nearest(model, names.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean `{near}`? "),
                    None => String::new(),
                };
                Error::model(format!(
                    "the endpoint `{base}` has no model `{model}`: HTTP {status}: {message}"
                ))
                .with_hint(format!("{near}it has: {}", listed(&names)))
            }
            _ => Error::model(format!("there is nothing at `{base}{path}`: HTTP {status}: {message}"))
                .with_hint(format!(
                    "the base URL should end in `/v1`; if it does, is there a model `{model}`?"
                )),
        }
    }
}

/// Up to ten names.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 10;
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    let more = if names.len() > SHOWN { format!(" and {} more", names.len() - SHOWN) } else { String::new() };
    format!("{}{more}", shown.join(", "))
}
