//! The JSON of answers, whole and in pieces, in the shapes of both ways of asking.

use std::sync::Arc;

use instil::lm::tokens::{Finish, TokenEvent, TokenLogprob, TokenModel, TokenRequest, TokenText};
use serde_json::{Map, Value, json};

use crate::refusal::Refusal;
use crate::request::Common;
use crate::server::Shared;

/// Which API's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Completions,
    Chat,
}

/// A prompt that its completions begin with.
pub(crate) struct Echo {
    text: String,
    /// Where in it each token's text begins, in characters.
    offsets: Vec<usize>,
    characters: usize,
}

impl Echo {
    /// A prompt's text as it was given, or else what its tokens say.
    pub(crate) fn of(text: Option<String>, pieces: Vec<String>) -> Self {
        let text = text.unwrap_or_else(|| pieces.concat());
        let characters = text.chars().count();
        let begin = |end: &mut usize, piece: &String| {
            let begin = *end;
            *end += piece.chars().count();
            // A tokenizer that normalises may say more than was given.
            Some(begin.min(characters))
        };
        let offsets = pieces.iter().scan(0, begin).collect();
        Self { text, offsets, characters }
    }
}

/// An answer as it grows.
pub(crate) struct Answer {
    shape: Shape,
    model: Arc<dyn TokenModel>,
    id: String,
    created: u64,
    name: String,
    n: usize,
    include_usage: bool,
    /// By prompt, where completions begin with them.
    echoes: Vec<Echo>,
    logprobs: bool,
    choices: Vec<Choice>,
    prompt_tokens: u64,
    completion_tokens: u64,
}

/// One completion, as far as it has come.
#[derive(Default)]
struct Choice {
    text: String,
    tokens: Vec<Scored>,
    finish: Option<&'static str>,
}

/// A token with its probability, readable.
struct Scored {
    token: TokenText,
    logprob: Option<f64>,
    top: Vec<(TokenText, f64)>,
    offset: usize,
}

impl Answer {
    pub(crate) fn new(
        shape: Shape,
        shared: &Shared,
        common: &Common,
        requests: &[TokenRequest],
        echoes: Vec<Echo>,
    ) -> Self {
        let prefix = if shape == Shape::Chat { "chatcmpl" } else { "cmpl" };
        let n = common.n as usize;
        let created = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
        Self {
            shape,
            model: Arc::clone(&shared.model),
            id: format!("{prefix}-{:x}-{:x}", shared.created, requests.first().map_or(0, |first| first.id)),
            created,
            name: common.model.clone().unwrap_or_else(|| shared.config.name.clone()),
            n,
            include_usage: common.include_usage,
            echoes,
            logprobs: requests.iter().any(|request| request.logprobs.is_some()),
            choices: (0..n * requests.len()).map(|_| Choice::default()).collect(),
            // Samples of a prompt share it.
            prompt_tokens: requests.iter().map(|request| request.prompt.len() as u64).sum(),
            completion_tokens: 0,
        }
    }

    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    /// What every choice begins with, before the model has said anything.
    pub(crate) fn begin(&mut self) {
        for index in 0..self.choices.len() {
            if let Some(echo) = self.echoes.get(index / self.n) {
                self.choices[index].text.push_str(&echo.text);
            }
        }
    }

    /// Takes what happened to a choice.
    ///
    /// # Errors
    /// When the model refuses a prompt that was thought good, which is a mistake of this program.
    pub(crate) fn take(&mut self, index: usize, event: TokenEvent) -> Result<(), Refusal> {
        let echo = self.echoes.get(index / self.n);
        match event {
            TokenEvent::Prompt { tokens, .. } => {
                let offsets = echo.map(|echo| echo.offsets.clone()).unwrap_or_default();
                for (place, scored) in tokens.into_iter().enumerate() {
                    let offset = offsets.get(place).copied().unwrap_or_default();
                    let scored = self.readable(scored, offset);
                    self.choices[index].tokens.push(scored);
                }
            }
            TokenEvent::Text { text, tokens, .. } => {
                let base = echo.map_or(0, |echo| echo.characters);
                self.choices[index].text.push_str(&text);
                for scored in tokens {
                    let offset = base + scored.offset;
                    let scored = self.readable(scored, offset);
                    self.choices[index].tokens.push(scored);
                }
            }
            TokenEvent::Done { completion, finish, .. } => {
                self.completion_tokens += u64::from(completion.completion_tokens.unwrap_or(0));
                self.choices[index].finish = Some(match finish {
                    Finish::Eos | Finish::Stop => "stop",
                    Finish::Length => "length",
                });
            }
            TokenEvent::Refused { why, .. } => return Err(Refusal::invalid(why)),
        }
        Ok(())
    }

    fn readable(&self, scored: TokenLogprob, offset: usize) -> Scored {
        let text = |token| self.model.token(token);
        let top = scored.top.into_iter().map(|(token, logprob)| (text(token), logprob)).collect();
        Scored { token: text(scored.token), logprob: scored.logprob, top, offset }
    }

    /// The whole answer.
    pub(crate) fn whole(mut self) -> Value {
        let choices: Vec<Value> = std::mem::take(&mut self.choices)
            .into_iter()
            .enumerate()
            .map(|(index, choice)| {
                let logprobs = self.logprobs(&choice.tokens);
                let finish = choice.finish;
                match self.shape {
                    Shape::Completions => json!({
                        "index": index, "text": choice.text, "logprobs": logprobs, "finish_reason": finish,
                    }),
                    Shape::Chat => json!({
                        "index": index,
                        "message": {"role": "assistant", "content": choice.text, "refusal": null},
                        "logprobs": logprobs,
                        "finish_reason": finish,
                    }),
                }
            })
            .collect();
        let object = match self.shape {
            Shape::Completions => "text_completion",
            Shape::Chat => "chat.completion",
        };
        let mut answer = self.head(object, choices);
        answer["usage"] = self.usage();
        answer
    }

    /// The pieces that say who answers, where a stream has such, and what the choices begin with.
    pub(crate) fn first_pieces(&mut self) -> Vec<Value> {
        (0..self.choices.len())
            .filter_map(|index| match self.shape {
                Shape::Chat => {
                    Some(self.chunk(index, json!({"role": "assistant", "content": ""}), Value::Null))
                }
                // With log-probabilities it waits for those of the prompt.
                Shape::Completions => (!self.logprobs).then(|| self.piece(index)).flatten(),
            })
            .collect()
    }

    /// What a choice has gained since the last piece, if anything.
    pub(crate) fn piece(&mut self, index: usize) -> Option<Value> {
        let choice = std::mem::take(&mut self.choices[index]);
        if choice.text.is_empty() && choice.tokens.is_empty() && choice.finish.is_none() {
            return None;
        }
        let logprobs = self.logprobs(&choice.tokens);
        let finish = choice.finish.map_or(Value::Null, Value::from);
        Some(match self.shape {
            Shape::Completions => {
                let choice = json!({"index": index, "text": choice.text, "logprobs": logprobs, "finish_reason": finish});
                self.chunk_of(vec![choice])
            }
            Shape::Chat => {
                let mut delta = Map::new();
                if !choice.text.is_empty() || !choice.tokens.is_empty() {
                    delta.insert("content".to_owned(), choice.text.into());
                }
                let mut chunk = self.chunk(index, delta.into(), finish);
                chunk["choices"][0]["logprobs"] = logprobs;
                chunk
            }
        })
    }

    /// The piece that counts tokens, where it is asked for.
    pub(crate) fn last_piece(&self) -> Option<Value> {
        self.include_usage.then(|| {
            let mut chunk = self.chunk_of(Vec::new());
            chunk["usage"] = self.usage();
            chunk
        })
    }

    fn chunk(&self, index: usize, delta: Value, finish: Value) -> Value {
        self.chunk_of(vec![
            json!({"index": index, "delta": delta, "logprobs": null, "finish_reason": finish}),
        ])
    }

    fn chunk_of(&self, choices: Vec<Value>) -> Value {
        let object = match self.shape {
            Shape::Completions => "text_completion",
            Shape::Chat => "chat.completion.chunk",
        };
        let mut chunk = self.head(object, choices);
        if self.include_usage {
            chunk["usage"] = Value::Null;
        }
        chunk
    }

    fn head(&self, object: &str, choices: Vec<Value>) -> Value {
        json!({
            "id": self.id, "object": object, "created": self.created, "model": self.name, "choices": choices,
        })
    }

    fn usage(&self) -> Value {
        json!({
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
        })
    }

    fn logprobs(&self, tokens: &[Scored]) -> Value {
        match (self.logprobs, self.shape) {
            (false, _) => Value::Null,
            (true, Shape::Completions) => legacy(tokens),
            (true, Shape::Chat) => {
                json!({"content": tokens.iter().map(of_chat).collect::<Vec<_>>(), "refusal": null})
            }
        }
    }
}

/// Four lists of the same length. A token's own place among the likeliest is always told; of two tokens with the same
/// text the likelier one is.
fn legacy(tokens: &[Scored]) -> Value {
    let top = |scored: &Scored| {
        let Some(logprob) = scored.logprob else { return Value::Null };
        let mut top = Map::new();
        for (token, logprob) in &scored.top {
            top.entry(token.text.as_str()).or_insert_with(|| (*logprob).into());
        }
        top.entry(scored.token.text.as_str()).or_insert_with(|| logprob.into());
        Value::Object(top)
    };
    json!({
        "tokens": tokens.iter().map(|scored| scored.token.text.as_str()).collect::<Vec<_>>(),
        "token_logprobs": tokens.iter().map(|scored| scored.logprob).collect::<Vec<_>>(),
        "top_logprobs": tokens.iter().map(top).collect::<Vec<_>>(),
        "text_offset": tokens.iter().map(|scored| scored.offset).collect::<Vec<_>>(),
    })
}

fn of_chat(scored: &Scored) -> Value {
    let one = |token: &TokenText, logprob: Option<f64>| json!({"token": token.text, "logprob": logprob, "bytes": token.bytes});
    let mut entry = one(&scored.token, scored.logprob);
    entry["top_logprobs"] = scored.top.iter().map(|(token, logprob)| one(token, Some(*logprob))).collect();
    entry
}
