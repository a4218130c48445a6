//! `/v1/chat/completions`: conversations to be answered.

use serde_json::{Map, Value};

use super::MOST_LOGPROBS;
use super::fields::{Common, Fields, wrong};
use crate::refusal::Refusal;

/// The roles that chat templates know. `developer` is passed on: newer templates have it.
const ROLES: [&str; 4] = ["system", "developer", "user", "assistant"];

/// What has no meaning without tools or sound.
const NO_TOOLS: &str = "isn't supported: the model is not told of tools";

/// What `/v1/chat/completions` is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Chat {
    /// Objects with `role` and `content`, the content as one text.
    pub messages: Vec<Value>,
    /// Further names for the chat template (`chat_template_kwargs`).
    pub more: Map<String, Value>,
    /// What it shares with completions.
    pub common: Common,
    /// Whether log-probabilities are told, and of how many of the likeliest tokens besides.
    pub logprobs: Option<usize>,
}

impl Chat {
    /// Reads a body.
    ///
    /// # Errors
    /// 400 for whatever isn't understood.
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let mut fields = Fields::of(body)?;
        let messages = match fields.take("messages") {
            Some(Value::Array(list)) if list.is_empty() => {
                return Err(Refusal::about("messages", "`messages` is an empty list"));
            }
            Some(Value::Array(list)) => {
                (0..).zip(list).map(|(place, one)| message(place, one)).collect::<Result<Vec<_>, _>>()?
            }
            Some(other) => return Err(wrong("messages", "a list of objects", &other)),
            None => return Err(Refusal::about("messages", "`messages` is missing")),
        };
        let mut common = fields.common()?;
        let most = u64::from(u32::MAX);
        let limits = (fields.whole("max_completion_tokens", 1, most)?, fields.whole("max_tokens", 1, most)?);
        common.sampling.max_tokens = match limits {
            (Some(one), Some(other)) if one != other => {
                let message =
                    "`max_tokens` and `max_completion_tokens` are two names of one limit, and differ";
                return Err(Refusal::about("max_tokens", message));
            }
            // Bounded above; without a limit the window is one.
            (one, other) => one.or(other).map_or(u32::MAX, |limit| limit as u32),
        };
        let logprobs = fields.flag("logprobs")?.unwrap_or(false);
        let top = fields.whole("top_logprobs", 0, MOST_LOGPROBS)?;
        if top.is_some() && !logprobs {
            return Err(Refusal::about(
                "top_logprobs",
                "`top_logprobs` is told only where `logprobs` is true",
            ));
        }
        let more = match fields.take("chat_template_kwargs") {
            None => Map::new(),
            Some(Value::Object(more)) => more,
            Some(other) => return Err(wrong("chat_template_kwargs", "an object", &other)),
        };
        let is_empty = |value: &Value| value.as_array().is_some_and(Vec::is_empty);
        fields.only("tools", NO_TOOLS, is_empty)?;
        fields.only("functions", NO_TOOLS, is_empty)?;
        fields.only("tool_choice", NO_TOOLS, |value| value == "none")?;
        fields.only("function_call", NO_TOOLS, |value| value == "none")?;
        fields.only("parallel_tool_calls", NO_TOOLS, Value::is_boolean)?;
        fields.only("modalities", "isn't supported but as [\"text\"]", |value| {
            *value == serde_json::json!(["text"])
        })?;
        fields.end()?;
        let logprobs = logprobs.then(|| top.unwrap_or(0) as usize);
        Ok(Self { messages, more, common, logprobs })
    }
}

/// A message as chat templates read it.
fn message(place: usize, message: Value) -> Result<Value, Refusal> {
    let at = |key: &str| format!("messages[{place}].{key}");
    let Value::Object(mut message) = message else {
        return Err(wrong(&format!("messages[{place}]"), "an object with `role` and `content`", &message));
    };
    message.retain(|_, value| !value.is_null());
    match message.get("role") {
        Some(Value::String(role)) if ROLES.contains(&role.as_str()) => {}
        Some(Value::String(role)) => {
            let name = at("role");
            let known = ROLES.join("`, `");
            return Err(Refusal::about(&*name, format!("`{name}` is `{role}`; there are `{known}`")));
        }
        Some(other) => return Err(wrong(&at("role"), "a string", other)),
        None => return Err(Refusal::about(at("role"), format!("`{}` is missing", at("role")))),
    }
    for key in ["tool_calls", "function_call", "tool_call_id", "audio"] {
        if message.contains_key(key) {
            return Err(Refusal::unsupported(&at(key), NO_TOOLS));
        }
    }
    let content = match message.get_mut("content").map(Value::take) {
        Some(Value::String(text)) => text,
        Some(Value::Array(parts)) => text_of(&at("content"), parts)?,
        Some(other) => return Err(wrong(&at("content"), "a string or a list of parts", &other)),
        None => return Err(Refusal::about(at("content"), format!("`{}` is missing", at("content")))),
    };
    message.insert("content".to_owned(), content.into());
    Ok(Value::Object(message))
}

/// Parts of text as one, a line break between two, as vLLM and llama.cpp join them.
fn text_of(name: &str, parts: Vec<Value>) -> Result<String, Refusal> {
    let part = |(place, part): (usize, Value)| match (part["type"].as_str(), part["text"].as_str()) {
        (Some("text"), Some(text)) => Ok(text.to_owned()),
        (Some(kind), _) if kind != "text" => {
            let name = format!("{name}[{place}].type");
            Err(Refusal::unsupported(&name, &format!("is `{kind}`, and only `text` is read")))
        }
        _ => Err(wrong(&format!("{name}[{place}]"), "an object with `type` and `text`", &part)),
    };
    Ok(parts.into_iter().enumerate().map(part).collect::<Result<Vec<_>, _>>()?.join("\n"))
}
