//! What a request is told that isn't answered: OpenAI's error body.

use serde_json::{Value, json};

/// Why a request isn't answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// What is wrong, in a sentence.
    pub message: String,
    /// OpenAI's kind of error.
    pub kind: &'static str,
    /// The parameter that it is about.
    pub param: Option<String>,
    /// A word for programs.
    pub code: Option<&'static str>,
}

impl Refusal {
    /// A request that will never be answered as it is (400).
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "invalid_request_error", message)
    }

    /// [`Refusal::invalid`] about a parameter.
    pub fn about(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self { param: Some(param.into()), ..Self::invalid(message) }
    }

    /// A parameter that is known and not supported; `why` goes on where its name ends.
    pub fn unsupported(param: &str, why: &str) -> Self {
        Self::about(param, format!("`{param}` {why}")).with_code("unsupported_parameter")
    }

    /// Any other status.
    pub fn new(status: u16, kind: &'static str, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), kind, param: None, code: None }
    }

    /// The same with a word for programs.
    #[must_use]
    pub fn with_code(self, code: &'static str) -> Self {
        Self { code: Some(code), ..self }
    }

    /// The body.
    pub fn body(&self) -> Value {
        let Self { message, kind, param, code, .. } = self;
        json!({"error": {"message": message, "type": kind, "param": param, "code": code}})
    }
}
