//! `/v1/completions`: prompts to be continued.

use serde_json::Value;

use super::MOST_LOGPROBS;
use super::fields::{Common, Fields, kind, wrong};
use crate::refusal::Refusal;

/// What OpenAI's API takes where no length is asked for.
const MAX_TOKENS: u64 = 16;

/// A text to be continued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// As text; the tokenizer puts its own BOS before it.
    Text(String),
    /// As tokens, which are taken as they are.
    Tokens(Vec<u32>),
}

/// What `/v1/completions` is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Completions {
    /// One or more.
    pub prompts: Vec<Prompt>,
    /// What it shares with chat.
    pub common: Common,
    /// Whether log-probabilities are told, and of how many of the likeliest tokens besides.
    pub logprobs: Option<usize>,
    /// Whether the answer begins with the prompt.
    pub echo: bool,
}

impl Completions {
    /// Reads a body.
    ///
    /// # Errors
    /// 400 for whatever isn't understood.
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let mut fields = Fields::of(body)?;
        let prompts = match fields.take("prompt") {
            Some(prompt) => prompts(prompt)?,
            None => return Err(Refusal::about("prompt", "`prompt` is missing")),
        };
        let mut common = fields.common()?;
        let echo = fields.flag("echo")?.unwrap_or(false);
        let max_tokens = fields.whole("max_tokens", 0, u64::from(u32::MAX))?.unwrap_or(MAX_TOKENS);
        if max_tokens == 0 && !echo {
            return Err(Refusal::about(
                "max_tokens",
                "`max_tokens` must be at least 1 where `echo` isn't true",
            ));
        }
        // Bounded above.
        common.sampling.max_tokens = max_tokens as u32;
        let logprobs = fields.whole("logprobs", 0, MOST_LOGPROBS)?.map(|top| top as usize);
        fields.only("suffix", "isn't supported: text is only continued", |suffix| suffix == "")?;
        fields.end()?;
        Ok(Self { prompts, common, logprobs, echo })
    }
}

/// A text, a list of tokens, or a list of these.
fn prompts(prompt: Value) -> Result<Vec<Prompt>, Refusal> {
    let list = match prompt {
        Value::String(text) => return Ok(vec![Prompt::Text(text)]),
        Value::Array(list) => list,
        other => {
            return Err(wrong(
                "prompt",
                "a string, a list of strings, of tokens, or of lists of tokens",
                &other,
            ));
        }
    };
    match list.first() {
        None => Err(Refusal::about("prompt", "`prompt` is an empty list")),
        Some(Value::Number(_)) => tokens("prompt", &list).map(|tokens| vec![Prompt::Tokens(tokens)]),
        Some(_) => (0..)
            .zip(list)
            .map(|(place, one)| {
                let name = format!("prompt[{place}]");
                match one {
                    Value::String(text) => Ok(Prompt::Text(text)),
                    Value::Array(list) if list.is_empty() => {
                        Err(Refusal::about(&*name, format!("`{name}` is an empty list")))
                    }
                    Value::Array(list) => tokens(&name, &list).map(Prompt::Tokens),
                    other => Err(wrong(&name, "a string or a list of tokens", &other)),
                }
            })
            .collect(),
    }
}

/// Numbers of tokens; whether the model has them is not known here.
fn tokens(name: &str, list: &[Value]) -> Result<Vec<u32>, Refusal> {
    let token = |(place, value): (usize, &Value)| {
        value.as_u64().and_then(|token| u32::try_from(token).ok()).ok_or_else(|| {
            let found = if value.is_number() { value.to_string() } else { kind(value).to_owned() };
            let name = format!("{name}[{place}]");
            Refusal::about(&*name, format!("`{name}` must be a token's number, not {found}"))
                .with_code("invalid_type")
        })
    };
    list.iter().enumerate().map(token).collect()
}
