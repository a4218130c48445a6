//! The parameters of a body, by name and type.

use instil::error::nearest;
use instil::lm::{Constraint, Sampling};
use serde_json::{Map, Value};

use crate::refusal::Refusal;

/// The most stop strings. OpenAI takes 4; benchmarks send more.
const MOST_STOPS: usize = 64;

/// The most completions of one prompt, as OpenAI has it.
const MOST_SAMPLES: u64 = 128;

/// What says something of the caller and nothing of the answer.
const IGNORED: [&str; 6] =
    ["user", "metadata", "service_tier", "safety_identifier", "prompt_cache_key", "store"];

/// What both ways of asking share.
#[derive(Clone, Debug, PartialEq)]
pub struct Common {
    /// The model that was named. Any name is taken while one model is served.
    pub model: Option<String>,
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// How many completions of each prompt.
    pub n: u32,
    /// Where chance begins; none is any.
    pub seed: Option<u64>,
    /// Whether the end of text ends a completion (not with vLLM's `ignore_eos`).
    pub ends: bool,
    /// Whether the answer comes piece by piece.
    pub stream: bool,
    /// Whether a stream's last piece counts the tokens.
    pub include_usage: bool,
    /// What completions are held to.
    pub constraint: Constraint,
}

/// The parameters that haven't been looked at yet.
pub(super) struct Fields {
    left: Map<String, Value>,
    /// Those that have been asked for, for a hint.
    known: Vec<&'static str>,
}

impl Fields {
    /// # Errors
    /// When the body is no JSON object.
    pub(super) fn of(body: &[u8]) -> Result<Self, Refusal> {
        let value: Value = serde_json::from_slice(body)
            .map_err(|e| Refusal::invalid(format!("the body is no JSON: {e}")).with_code("invalid_json"))?;
        let left = match value {
            Value::Object(left) => left,
            other => {
                return Err(Refusal::invalid(format!(
                    "the body must be a JSON object, not {}",
                    kind(&other)
                )));
            }
        };
        Ok(Self { left, known: Vec::new() })
    }

    /// A parameter; `null` is the same as nothing.
    pub(super) fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.left.remove(name).filter(|value| !value.is_null())
    }

    pub(super) fn text(&mut self, name: &'static str) -> Result<Option<String>, Refusal> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(wrong(name, "a string", &other)),
        }
    }

    pub(super) fn flag(&mut self, name: &'static str) -> Result<Option<bool>, Refusal> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(other) => Err(wrong(name, "true or false", &other)),
        }
    }

    /// A whole number from `least` to `most`.
    pub(super) fn whole(
        &mut self,
        name: &'static str,
        least: u64,
        most: u64,
    ) -> Result<Option<u64>, Refusal> {
        let Some(value) = self.take(name) else { return Ok(None) };
        if !value.is_number() {
            return Err(wrong(name, "a whole number", &value));
        }
        match value.as_u64().filter(|number| (least..=most).contains(number)) {
            Some(number) => Ok(Some(number)),
            None if most == u64::from(u32::MAX) => Err(Refusal::about(
                name,
                format!("`{name}` must be a whole number of at least {least}, not {value}"),
            )),
            None => Err(Refusal::about(
                name,
                format!("`{name}` must be a whole number from {least} to {most}, not {value}"),
            )),
        }
    }

    /// A number for which `holds`; `range` says which these are.
    fn number(
        &mut self,
        name: &'static str,
        default: f64,
        range: &str,
        holds: impl Fn(f64) -> bool,
    ) -> Result<f64, Refusal> {
        let Some(value) = self.take(name) else { return Ok(default) };
        let Some(number) = value.as_f64() else { return Err(wrong(name, "a number", &value)) };
        match holds(number) {
            true => Ok(number),
            false => Err(Refusal::about(name, format!("`{name}` must be {range}, not {value}"))),
        }
    }

    /// Refuses a parameter unless it says what happens without it.
    pub(super) fn only(
        &mut self,
        name: &'static str,
        why: &str,
        is_neutral: impl Fn(&Value) -> bool,
    ) -> Result<(), Refusal> {
        match self.take(name) {
            Some(value) if !is_neutral(&value) => Err(Refusal::unsupported(name, why)),
            _ => Ok(()),
        }
    }

    /// Whether anything is left that nobody knows.
    pub(super) fn end(mut self) -> Result<(), Refusal> {
        IGNORED.into_iter().for_each(|name| {
            self.take(name);
        });
        let Some((name, _)) = self.left.iter().find(|(_, value)| !value.is_null()) else { return Ok(()) };
        let hint = match nearest(name, self.known.iter().copied()) {
            Some(known) => format!("; did you mean `{known}`?"),
            None => String::new(),
        };
        let message = format!("`{name}` isn't a parameter here{hint}");
        Err(Refusal::about(name.clone(), message).with_code("unknown_parameter"))
    }

    /// What both ways of asking share, but for `max_tokens`.
    pub(super) fn common(&mut self) -> Result<Common, Refusal> {
        let any = |number: f64| number.is_finite();
        let share = |number: f64| (0.0..=1.0).contains(&number);
        let sampling = Sampling {
            temperature: self.number("temperature", 1.0, "0 or more", |t| t >= 0.0)?,
            top_p: self.number("top_p", 1.0, "above 0 and at most 1", |p| p > 0.0 && p <= 1.0)?,
            max_tokens: 0,
            top_k: self.top_k()?,
            min_p: self.number("min_p", 0.0, "from 0 to 1", share)?,
            repetition_penalty: self.number("repetition_penalty", 1.0, "above 0", |x| x > 0.0)?,
            presence_penalty: self.number("presence_penalty", 0.0, "a number", any)?,
            frequency_penalty: self.number("frequency_penalty", 0.0, "a number", any)?,
            stop: self.stop()?,
        };
        let n = self.whole("n", 1, MOST_SAMPLES)?.unwrap_or(1);
        let why = "isn't supported: the likeliest of several isn't chosen; ask for `n`, with `logprobs`";
        self.only("best_of", why, |value| value.as_u64() == Some(n))?;
        let is_empty = |value: &Value| value.as_object().is_some_and(Map::is_empty);
        self.only("logit_bias", "isn't supported", is_empty)?;
        let is_text =
            |value: &Value| value["type"] == "text" && value.as_object().is_some_and(|v| v.len() == 1);
        self.only(
            "response_format",
            "isn't supported but as {\"type\": \"text\"}: no JSON is enforced",
            is_text,
        )?;
        let seed = self.seed()?;
        let ends = !self.flag("ignore_eos")?.unwrap_or(false);
        let stream = self.flag("stream")?.unwrap_or(false);
        let include_usage = self.include_usage(stream)?;
        let constraint = self.constraint()?;
        if !ends && constraint != Constraint::Free {
            return Err(Refusal::about(
                "ignore_eos",
                "`ignore_eos` and a choice exclude each other: it has to end",
            ));
        }
        // MOST_SAMPLES is far below 2^32.
        let n = n as u32;
        Ok(Common { model: self.text("model")?, sampling, n, seed, ends, stream, include_usage, constraint })
    }

    /// vLLM's `structured_outputs`, and its older name for a choice.
    fn constraint(&mut self) -> Result<Constraint, Refusal> {
        let old = self.take("guided_choice").map(|choice| ("guided_choice", choice));
        let mut new = None;
        match self.take("structured_outputs") {
            None => {}
            Some(Value::Object(fields)) => {
                for (key, value) in fields.into_iter().filter(|(_, value)| !value.is_null()) {
                    if key != "choice" {
                        let name = format!("structured_outputs.{key}");
                        return Err(Refusal::unsupported(&name, "isn't supported: there is `choice`"));
                    }
                    new = Some(("structured_outputs.choice", value));
                }
            }
            Some(other) => return Err(wrong("structured_outputs", "an object", &other)),
        }
        let Some((name, choice)) = new.or(old) else { return Ok(Constraint::Free) };
        let Value::Array(list) = choice else { return Err(wrong(name, "a list of strings", &choice)) };
        let texts = list
            .into_iter()
            .map(|text| match text {
                Value::String(text) => Ok(text),
                other => Err(wrong(name, "a list of strings", &other)),
            })
            .collect::<Result<Vec<_>, _>>()?;
        if texts.is_empty() || texts.iter().any(String::is_empty) {
            return Err(Refusal::about(name, format!("`{name}` needs texts, none of them empty")));
        }
        Ok(Constraint::Choice(texts.into()))
    }

    /// 0 and vLLM's -1 are all tokens.
    fn top_k(&mut self) -> Result<u32, Refusal> {
        match self.take("top_k") {
            None => Ok(0),
            Some(value) if value.as_i64() == Some(-1) => Ok(0),
            Some(value) => match value.as_u64().map(u32::try_from) {
                Some(Ok(number)) => Ok(number),
                _ if value.is_number() => {
                    Err(Refusal::about("top_k", format!("`top_k` must be 0 (all) or more, not {value}")))
                }
                _ => Err(wrong("top_k", "a whole number", &value)),
            },
        }
    }

    fn seed(&mut self) -> Result<Option<u64>, Refusal> {
        match self.take("seed") {
            None => Ok(None),
            // A negative number is as good as any: its bits.
            Some(value) => match value.as_u64().or_else(|| value.as_i64().map(i64::cast_unsigned)) {
                Some(seed) => Ok(Some(seed)),
                None => Err(wrong("seed", "a whole number of 64 bits", &value)),
            },
        }
    }

    /// One string or a list of them.
    fn stop(&mut self) -> Result<Vec<String>, Refusal> {
        let stops = match self.take("stop") {
            None => Vec::new(),
            Some(Value::String(stop)) => vec![stop],
            Some(Value::Array(list)) => list
                .into_iter()
                .map(|stop| match stop {
                    Value::String(stop) => Ok(stop),
                    other => Err(wrong("stop", "a string or a list of strings", &other)),
                })
                .collect::<Result<_, _>>()?,
            Some(other) => return Err(wrong("stop", "a string or a list of strings", &other)),
        };
        if stops.iter().any(String::is_empty) {
            return Err(Refusal::about("stop", "a `stop` string must not be empty"));
        }
        match stops.len() {
            0..=MOST_STOPS => Ok(stops),
            len => Err(Refusal::about(
                "stop",
                format!("`stop` has {len} strings, and {MOST_STOPS} are the most"),
            )),
        }
    }

    fn include_usage(&mut self, stream: bool) -> Result<bool, Refusal> {
        let name = "stream_options";
        let Some(options) = self.take(name) else { return Ok(false) };
        let Value::Object(options) = options else { return Err(wrong(name, "an object", &options)) };
        if !stream {
            return Err(Refusal::about(name, "`stream_options` is for answers with `stream`"));
        }
        let mut include = false;
        for (key, value) in options {
            match (key.as_str(), value) {
                ("include_usage", Value::Bool(flag)) => include = flag,
                (_, Value::Null) => {}
                ("include_usage", other) => {
                    return Err(wrong("stream_options.include_usage", "true or false", &other));
                }
                (key, _) => {
                    return Err(Refusal::unsupported(&format!("{name}.{key}"), "isn't supported"));
                }
            }
        }
        Ok(include)
    }
}

/// A value of the wrong type.
pub(super) fn wrong(param: &str, wanted: &str, found: &Value) -> Refusal {
    Refusal::about(param, format!("`{param}` must be {wanted}, not {}", kind(found)))
        .with_code("invalid_type")
}

/// What a value is, in words.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a fraction",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
