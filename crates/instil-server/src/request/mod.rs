//! What is asked, from a request's bytes: no sockets, no model, no state.

mod chat;
mod completions;
mod fields;

use crate::refusal::Refusal;
pub use chat::Chat;
pub use completions::{Completions, Prompt};
pub use fields::Common;

/// The most log-probabilities told at each token.
const MOST_LOGPROBS: u64 = 20;

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// `POST /v1/completions`
    Completions,
    /// `POST /v1/chat/completions`
    Chat,
    /// `GET /v1/models`
    Models,
    /// `GET /v1/models/{id}`, with the id.
    Model(String),
    /// `GET /health`
    Health,
    /// `GET /metrics`
    Metrics,
}

impl Route {
    /// The route of a method and a path.
    ///
    /// # Errors
    /// 404 for a path that isn't there, 405 for a method that it hasn't.
    pub fn of(method: &str, path: &str) -> Result<Self, Refusal> {
        let route = match path {
            "/v1/completions" => Self::Completions,
            "/v1/chat/completions" => Self::Chat,
            "/v1/models" => Self::Models,
            "/health" => Self::Health,
            "/metrics" => Self::Metrics,
            _ => match path.strip_prefix("/v1/models/").filter(|id| !id.is_empty()) {
                Some(id) => Self::Model(id.to_owned()),
                None => {
                    let message = format!(
                        "there is nothing at {path}; there are /v1/completions, /v1/chat/completions, /v1/models, \
                         /health and /metrics"
                    );
                    return Err(Refusal::new(404, "invalid_request_error", message).with_code("unknown_url"));
                }
            },
        };
        let allowed = route.method();
        // What is asked by GET can be asked by HEAD: the connection leaves the body out.
        if method != allowed && !(method == "HEAD" && allowed == "GET") {
            let message = format!("{path} is asked by {allowed}, not by {method}");
            return Err(Refusal::new(405, "invalid_request_error", message).with_code("method_not_supported"));
        }
        Ok(route)
    }

    /// The method by which it is asked.
    pub fn method(&self) -> &'static str {
        if self.has_body() { "POST" } else { "GET" }
    }

    /// Whether a request has a body.
    pub fn has_body(&self) -> bool {
        matches!(self, Self::Completions | Self::Chat)
    }

    /// Its name in metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Completions => "/v1/completions",
            Self::Chat => "/v1/chat/completions",
            Self::Models | Self::Model(_) => "/v1/models",
            Self::Health => "/health",
            Self::Metrics => "/metrics",
        }
    }
}

/// A whole request, understood.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    /// Prompts to be completed.
    Completions(Completions),
    /// A conversation to be answered.
    Chat(Chat),
    /// A route without a body.
    Plain(Route),
}

impl Call {
    /// What the bytes of a request's body ask at this route.
    ///
    /// # Errors
    /// 400, with the parameter's name, for whatever isn't understood or isn't supported: nothing is left out silently.
    pub fn parse(route: Route, body: &[u8]) -> Result<Self, Refusal> {
        match route {
            Route::Completions => Completions::parse(body).map(Self::Completions),
            Route::Chat => Chat::parse(body).map(Self::Chat),
            plain => Ok(Self::Plain(plain)),
        }
    }
}

#[cfg(test)]
mod tests;
