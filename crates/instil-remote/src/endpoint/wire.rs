//! The JSON of the two APIs: what is asked, what comes back, and what a server complains of.

use instil::lm::{Completion, Input, Outcome, Sampling};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::score::Likelihoods;

/// One call, ready to be written.
pub(super) struct Ask<'a> {
    pub(super) model: &'a str,
    pub(super) input: &'a Input,
    pub(super) sampling: &'a Sampling,
    /// Choices wanted.
    pub(super) n: usize,
    pub(super) seed: u64,
    /// Whether it goes to `/chat/completions`.
    pub(super) chat: bool,
    pub(super) schema: Option<&'a Value>,
    /// The field that holds the completion to something.
    pub(super) held: Option<(&'static str, Value)>,
    /// Whether `max_tokens` goes by OpenAI's newer name.
    pub(super) max_completion_tokens: bool,
    /// Whether and how the likelihoods of the prompt are wanted.
    pub(super) likelihoods: Option<Likelihoods>,
}

impl Ask<'_> {
    /// Where it goes.
    pub(super) fn path(&self) -> &'static str {
        if self.chat { "/chat/completions" } else { "/completions" }
    }

    /// What is sent.
    pub(super) fn body(&self) -> Vec<u8> {
        let mut body = Map::new();
        body.insert("model".into(), self.model.into());
        match (self.input, self.chat) {
            (Input::Messages(messages), _) => body.insert("messages".into(), json!(messages)),
            (Input::Prompt(text), true) => {
                body.insert("messages".into(), json!([{"role": "user", "content": text}]))
            }
            (Input::Prompt(text), false) => body.insert("prompt".into(), text.as_str().into()),
        };
        body.insert("temperature".into(), self.sampling.temperature.into());
        body.insert("top_p".into(), self.sampling.top_p.into());
        let limit = if self.max_completion_tokens { "max_completion_tokens" } else { "max_tokens" };
        body.insert(limit.into(), self.sampling.max_tokens.into());
        // What is left at its default is not sent: OpenAI's own API knows only some of these.
        let default = Sampling::default();
        let sampling = self.sampling;
        let mut unless = |is_default: bool, key: &str, value: serde_json::Value| {
            if !is_default {
                body.insert(key.into(), value);
            }
        };
        unless(sampling.top_k == default.top_k, "top_k", sampling.top_k.into());
        unless(sampling.min_p == default.min_p, "min_p", sampling.min_p.into());
        let (key, penalty) = ("repetition_penalty", sampling.repetition_penalty);
        unless(penalty == default.repetition_penalty, key, penalty.into());
        let (key, penalty) = ("presence_penalty", sampling.presence_penalty);
        unless(penalty == default.presence_penalty, key, penalty.into());
        let (key, penalty) = ("frequency_penalty", sampling.frequency_penalty);
        unless(penalty == default.frequency_penalty, key, penalty.into());
        unless(sampling.stop.is_empty(), "stop", sampling.stop.clone().into());
        if self.n > 1 {
            body.insert("n".into(), self.n.into());
        }
        match self.likelihoods {
            Some(Likelihoods::Echo) => {
                body.insert("echo".into(), true.into());
                body.insert("logprobs".into(), 1.into());
            }
            Some(Likelihoods::Prompt) => drop(body.insert("prompt_logprobs".into(), 0.into())),
            None => {}
        }
        body.insert("seed".into(), self.seed.into());
        body.insert("stream".into(), false.into());
        if let Some(schema) = self.schema {
            let named = json!({"name": "answer", "schema": schema, "strict": true});
            body.insert("response_format".into(), json!({"type": "json_schema", "json_schema": named}));
        }
        if let Some((name, value)) = &self.held {
            body.insert((*name).into(), value.clone());
        }
        Value::Object(body).to_string().into_bytes()
    }
}

/// What a call brought.
pub(super) struct Reply {
    /// How each choice ended, with its number.
    pub(super) choices: Vec<(usize, Outcome)>,
    pub(super) prompt_tokens: Option<u32>,
    /// Of all choices together.
    pub(super) completion_tokens: Option<u32>,
}

#[derive(Deserialize)]
struct RawReply {
    choices: Vec<RawChoice>,
    #[serde(default)]
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct RawChoice {
    index: Option<usize>,
    text: Option<String>,
    message: Option<RawMessage>,
    finish_reason: Option<String>,
}

/// A model that thinks aloud puts that into `reasoning_content`, which is not read.
#[derive(Deserialize)]
struct RawMessage {
    #[serde(default)]
    content: Value,
    refusal: Option<String>,
}

#[derive(Deserialize)]
struct Usage {
    prompt_tokens: Option<u32>,
    completion_tokens: Option<u32>,
}

/// Reads the answer of a call that went well.
///
/// # Errors
/// When it is not JSON or has no choices, in words for the user.
pub(super) fn read(body: &[u8]) -> Result<Reply, String> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err("the answer is empty".into());
    }
    let value: Value =
        serde_json::from_slice(body).map_err(|_| format!("the answer is not JSON: `{}`", beginning(body)))?;
    // Some gateways put an error under a status of 200.
    if value.get("choices").is_none() {
        return Err(format!("the answer has no choices: {}", complaint(body).message));
    }
    let raw =
        RawReply::deserialize(&value).map_err(|error| format!("the answer can't be understood: {error}"))?;
    if raw.choices.is_empty() {
        return Err("the answer has no choices: the list is empty".into());
    }
    let mut choices = Vec::with_capacity(raw.choices.len());
    for (place, choice) in raw.choices.into_iter().enumerate() {
        choices.push((choice.index.unwrap_or(place), outcome(choice)?));
    }
    let (prompt_tokens, completion_tokens) =
        raw.usage.map_or((None, None), |usage| (usage.prompt_tokens, usage.completion_tokens));
    Ok(Reply { choices, prompt_tokens, completion_tokens })
}

fn outcome(choice: RawChoice) -> Result<Outcome, String> {
    let reason = choice.finish_reason.as_deref();
    if let Some(reason @ ("error" | "abort")) = reason {
        return Err(format!("the server ended a text with `{reason}`"));
    }
    if reason == Some("content_filter") {
        return Ok(Outcome::Refused("the server's content filter stopped the answer".into()));
    }
    let text = match (choice.text, choice.message) {
        (Some(text), _) => text,
        (None, Some(RawMessage { refusal: Some(refusal), .. })) => return Ok(Outcome::Refused(refusal)),
        (None, Some(message)) => content(&message.content),
        (None, None) => return Err("a choice has neither text nor message".into()),
    };
    Ok(Outcome::Text(Completion { text, truncated: reason == Some("length"), ..Completion::default() }))
}

/// The content of a message: text, nothing, or a list of parts of which those of text count.
fn content(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part.get("text")?.as_str()).collect(),
        _ => String::new(),
    }
}

/// What a server has to say about a call that it didn't answer.
pub(super) struct Complaint {
    pub(super) message: String,
    /// OpenAI's short word for it.
    pub(super) code: Option<String>,
    /// The setting that it is about.
    pub(super) param: Option<String>,
}

/// Reads a complaint in any of the shapes that servers use: OpenAI's and llama.cpp's
/// `{"error": {"message", "code", "param"}}`, `{"error": "…"}`, older vLLM's `{"message"}`, FastAPI's
/// `{"detail"}` (a text, or a list of what is wrong with which field), or plain text.
pub(super) fn complaint(body: &[u8]) -> Complaint {
    let value: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let inner = match value.get("error") {
        Some(inner @ Value::Object(_)) => inner,
        _ => &value,
    };
    let text = |name: &str| inner.get(name).and_then(Value::as_str).map(str::to_owned);
    let message = text("message")
        .or_else(|| text("error"))
        .or_else(|| text("detail"))
        .or_else(|| Some(fields(inner.get("detail")?.as_array()?)))
        .unwrap_or_else(|| beginning(body));
    Complaint { message, code: text("code"), param: text("param") }
}

/// FastAPI's list: `body.seed: Extra inputs are not permitted`.
fn fields(details: &[Value]) -> String {
    let one = |detail: &Value| {
        let place: Vec<String> = detail
            .get("loc")
            .and_then(Value::as_array)
            .map(|parts| {
                parts.iter().map(|part| part.as_str().map_or(part.to_string(), str::to_owned)).collect()
            })
            .unwrap_or_default();
        let what = detail.get("msg").and_then(Value::as_str).unwrap_or("wrong");
        format!("{}: {what}", place.join("."))
    };
    details.iter().map(one).collect::<Vec<_>>().join("; ")
}

fn beginning(body: &[u8]) -> String {
    const SHOWN: usize = 200;
    let text = String::from_utf8_lossy(body);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN) {
        _ if line.is_empty() => "(no message)".to_owned(),
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// The names in the answer to `GET /models`.
pub(super) fn model_names(body: &[u8]) -> Option<Vec<String>> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let models = value.get("data")?.as_array()?;
    Some(models.iter().filter_map(|model| model.get("id")?.as_str().map(str::to_owned)).collect())
}

/// The owner of a model in the answer to `GET /models`.
pub(super) fn model_owner(body: &[u8], model: &str) -> Option<String> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let models = value.get("data")?.as_array()?;
    let found = models.iter().find(|one| one.get("id").and_then(Value::as_str) == Some(model))?;
    found.get("owned_by")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str, truncated: bool) -> Outcome {
        Outcome::Text(Completion { text: text.into(), truncated, ..Completion::default() })
    }

    fn one(body: Value) -> Result<Outcome, String> {
        read(body.to_string().as_bytes()).map(|mut reply| reply.choices.remove(0).1)
    }

    fn ask<'a>(input: &'a Input, sampling: &'a Sampling, chat: bool) -> Ask<'a> {
        Ask {
            model: "m",
            input,
            sampling,
            n: 1,
            seed: 7,
            chat,
            schema: None,
            held: None,
            max_completion_tokens: false,
            likelihoods: None,
        }
    }

    #[test]
    fn a_prompt_is_written_for_either_api() {
        let (input, sampling) = (Input::Prompt("héllo\n".into()), Sampling::default());
        assert_eq!(
            String::from_utf8(ask(&input, &sampling, false).body()).unwrap(),
            r#"{"model":"m","prompt":"héllo\n","temperature":0.5,"top_p":0.95,"max_tokens":256,"seed":7,"stream":false}"#
        );
        let schema = json!({"type": "object"});
        let asked =
            Ask { n: 3, schema: Some(&schema), max_completion_tokens: true, ..ask(&input, &sampling, true) };
        assert_eq!(
            String::from_utf8(asked.body()).unwrap(),
            r#"{"model":"m","messages":[{"role":"user","content":"héllo\n"}],"temperature":0.5,"top_p":0.95,"max_completion_tokens":256,"n":3,"seed":7,"stream":false,"response_format":{"type":"json_schema","json_schema":{"name":"answer","schema":{"type":"object"},"strict":true}}}"#
        );
    }

    #[test]
    fn choices_are_read_in_every_shape() {
        let choice = |choice: Value| one(json!({"choices": [choice]}));
        assert_eq!(choice(json!({"text": "a", "finish_reason": "stop"})), Ok(text("a", false)));
        assert_eq!(choice(json!({"text": "a", "finish_reason": "length"})), Ok(text("a", true)));
        assert_eq!(
            choice(json!({"message": {"content": null}, "finish_reason": "length"})),
            Ok(text("", true))
        );
        assert_eq!(choice(json!({"message": {"role": "assistant"}})), Ok(text("", false)));
        assert_eq!(
            choice(json!({"message": {"content": "a", "reasoning_content": "hm"}})),
            Ok(text("a", false))
        );
        assert_eq!(
            choice(json!({"message": {"content": [{"type": "thinking"}, {"type": "text", "text": "a"}]}})),
            Ok(text("a", false))
        );
        assert_eq!(
            choice(json!({"message": {"content": null, "refusal": "I won't"}})),
            Ok(Outcome::Refused("I won't".into()))
        );
        assert_eq!(
            choice(json!({"text": "a", "finish_reason": "content_filter"})),
            Ok(Outcome::Refused("the server's content filter stopped the answer".into()))
        );
        assert_eq!(
            choice(json!({"text": "a", "finish_reason": "abort"})),
            Err("the server ended a text with `abort`".into())
        );
        assert_eq!(choice(json!({})), Err("a choice has neither text nor message".into()));
    }

    #[test]
    fn what_is_no_answer_is_told() {
        let trouble = |body: &str| read(body.as_bytes()).err().unwrap();
        assert_eq!(trouble(""), "the answer is empty");
        assert_eq!(trouble("<html>\n<p>hi"), "the answer is not JSON: `<html> <p>hi`");
        assert_eq!(trouble(r#"{"choices": ["#), "the answer is not JSON: `{\"choices\": [`");
        assert_eq!(trouble(r#"{"choices": []}"#), "the answer has no choices: the list is empty");
        assert_eq!(trouble(r#"{"error": {"message": "busy"}}"#), "the answer has no choices: busy");
    }

    #[test]
    fn complaints_are_read_in_every_shape() {
        let message = |body: &str| complaint(body.as_bytes()).message;
        assert_eq!(message(r#"{"error": {"message": "a", "code": 400}}"#), "a");
        assert_eq!(message(r#"{"error": "b"}"#), "b");
        assert_eq!(message(r#"{"object": "error", "message": "c"}"#), "c");
        assert_eq!(message(r#"{"detail": "d"}"#), "d");
        assert_eq!(
            message(r#"{"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]}"#),
            "body.seed: Extra inputs are not permitted"
        );
        assert_eq!(message("Bad Gateway\n"), "Bad Gateway");
        assert_eq!(message(""), "(no message)");
        let full = complaint(br#"{"error": {"message": "a", "code": "unknown_parameter", "param": "seed"}}"#);
        assert_eq!((full.code.as_deref(), full.param.as_deref()), (Some("unknown_parameter"), Some("seed")));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
            let _ = (read(&bytes).is_ok(), complaint(&bytes).message, model_names(&bytes));
        }
    }
}
