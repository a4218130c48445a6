//! How messages are written: OpenAI's, ShareGPT's and their like (spec/uit.md 7.2, 7.3, 7.8).

use serde_json::{Map, Value, json};

use super::halves::unfit;
use super::keys::{At, Keys, Misfit, list};
use super::loss::{Loss, Losses};
use super::record::{Content, Role, ToolCall, Turn};
use crate::reject::Reason;

/// How messages are written in a list.
pub(super) struct Dialect {
    /// The key of the one who speaks.
    pub(super) role: &'static str,
    /// The key of what is said.
    pub(super) content: &'static str,
    /// The words for who speaks; the first for a role is the one that is written.
    pub(super) words: &'static [(&'static str, Role)],
    /// The key that says whether the loss counts a turn, and whether it is a boolean there, else 0 or 1.
    pub(super) train: (&'static str, bool),
    /// Whether calls, names and thoughts have keys of their own, as in OpenAI's messages.
    pub(super) has_calls: bool,
    /// Whether a call is a turn whose text is the call as JSON, as in ShareGPT.
    pub(super) calls_are_turns: bool,
    /// Whether its words tell it apart from another dialect with the same keys.
    pub(super) is_told_by_words: bool,
}

/// OpenAI's messages. The keys of thoughts and of results are those of TRL and axolotl.
pub(super) const OPENAI: Dialect = Dialect {
    role: "role",
    content: "content",
    words: &[
        ("system", Role::System),
        ("developer", Role::Developer),
        ("user", Role::User),
        ("assistant", Role::Assistant),
        ("tool", Role::Tool),
        ("function", Role::Tool),
    ],
    train: ("weight", false),
    has_calls: true,
    calls_are_turns: false,
    is_told_by_words: false,
};

/// axolotl's `chat_template`: OpenAI's messages with a boolean `train`.
pub(super) const AXOLOTL: Dialect = Dialect { train: ("train", true), ..OPENAI };

/// Cohere's messages: OpenAI's with other words for the roles, and nothing but texts.
pub(super) const COHERE: Dialect = Dialect {
    words: &[("System", Role::System), ("User", Role::User), ("Chatbot", Role::Assistant)],
    has_calls: false,
    is_told_by_words: true,
    ..OPENAI
};

/// The words of ShareGPT: those of Vicuna and LLaMA-Factory, then the others that are seen.
const SHAREGPT_WORDS: &[(&str, Role)] = &[
    ("system", Role::System),
    ("developer", Role::Developer),
    ("human", Role::User),
    ("gpt", Role::Assistant),
    ("observation", Role::Tool),
    ("user", Role::User),
    ("assistant", Role::Assistant),
    ("model", Role::Assistant),
    ("chatgpt", Role::Assistant),
    ("bing", Role::Assistant),
    ("bard", Role::Assistant),
    ("tool", Role::Tool),
    ("function_response", Role::Tool),
];

/// ShareGPT's conversations.
pub(super) const SHAREGPT: Dialect = Dialect {
    role: "from",
    content: "value",
    words: SHAREGPT_WORDS,
    train: ("weight", false),
    has_calls: false,
    calls_are_turns: true,
    is_told_by_words: false,
};

/// Pygmalion's conversations.
pub(super) const PYGMALION: Dialect = Dialect { role: "role", ..SHAREGPT };

/// The other key for what was thought, that of DeepSeek's and axolotl's messages.
const REASONING: &str = "reasoning_content";

/// The word of ShareGPT's turns that are calls.
const CALL: &str = "function_call";

impl Dialect {
    /// Whether a value looks like a message.
    pub(super) fn is_message(&self, value: &Value) -> bool {
        let word = value.get(self.role).and_then(Value::as_str);
        let is_known =
            |word: &str| !self.is_told_by_words || self.words.iter().any(|(known, _)| *known == word);
        word.is_some_and(is_known) && (self.has_calls || value.get(self.content).is_some())
    }

    /// Whether a key holds a list of messages, or an empty one.
    pub(super) fn holds_list(&self, row: &Map<String, Value>, key: &str) -> bool {
        match row.get(key) {
            Some(Value::Array(messages)) => messages.first().is_none_or(|message| self.is_message(message)),
            _ => false,
        }
    }

    /// The turns of a list of messages.
    pub(super) fn read(&self, messages: &Value, at: &At<'_>) -> Result<Vec<Turn>, Misfit> {
        let messages = list(messages, at)?;
        messages.iter().enumerate().map(|(index, message)| self.read_turn(message, at.index(index))).collect()
    }

    /// The turn of one message.
    pub(super) fn read_turn(&self, message: &Value, at: At<'_>) -> Result<Turn, Misfit> {
        let mut keys = Keys::of_value(message, at)?;
        let word = keys.needed_text(self.role)?;
        let mut turn = Turn::new(Role::Assistant, "");
        if self.calls_are_turns && word == CALL {
            self.read_call_turn(&mut keys, &mut turn)?;
        } else {
            let known = self.words.iter().find(|(known, _)| *known == word);
            let Some((_, role)) = known else {
                let words: Vec<&str> = self.words.iter().map(|(word, _)| *word).collect();
                let message = format!("the role `{word}` is unknown; there are {}", words.join(", "));
                return Err(at.key(self.role).misfit(Reason::UnknownRole, message));
            };
            turn.role = *role;
            if self.word(*role) != word {
                keys.spell(self.role, word.into());
            }
            turn.content = self.read_content(&mut keys)?;
        }
        if self.has_calls {
            self.read_calls(&mut keys, &mut turn)?;
        } else if turn.content.is_none() && turn.tool_calls.is_empty() {
            keys.needed(self.content)?;
        }
        self.read_train(&mut keys, &mut turn);
        (turn.extra, turn.spelling) = keys.rest();
        Ok(turn)
    }

    fn read_content(&self, keys: &mut Keys<'_>) -> Result<Content, Misfit> {
        let at = keys.at();
        match keys.value(self.content) {
            None => Ok(Content::None),
            Some(Value::String(text)) => Ok(Content::Text(text.clone())),
            Some(Value::Array(parts)) if self.has_calls => {
                for (index, part) in parts.iter().enumerate() {
                    if !part.is_object() {
                        return Err(at.key(self.content).index(index).wrong_type("a part of content", part));
                    }
                }
                Ok(Content::Parts(parts.clone()))
            }
            Some(other) => Err(at.key(self.content).wrong_type("a string", other)),
        }
    }

    /// A turn of ShareGPT that is a call. What isn't one as JSON goes on as what was said.
    fn read_call_turn(&self, keys: &mut Keys<'_>, turn: &mut Turn) -> Result<(), Misfit> {
        let said = keys.needed_text(self.content)?;
        let parsed = serde_json::from_str::<Value>(&said).ok();
        let calls = match &parsed {
            Some(Value::Array(calls)) => calls.iter().map(bare_call).collect(),
            Some(call) => bare_call(call).map(|call| vec![call]),
            None => None,
        };
        match calls.filter(|calls| !calls.is_empty()) {
            Some(calls) => {
                turn.content = Content::None;
                turn.tool_calls = calls;
                if calls_as_text(&turn.tool_calls) != said {
                    keys.spell(self.content, said.into());
                }
            }
            None => {
                turn.content = Content::Text(said);
                keys.spell(self.role, CALL.into());
            }
        }
        Ok(())
    }

    fn read_calls(&self, keys: &mut Keys<'_>, turn: &mut Turn) -> Result<(), Misfit> {
        let at = keys.at();
        turn.name = keys.text("name")?;
        turn.tool_call_id = keys.text("tool_call_id")?;
        turn.thinking = keys.text("thinking")?;
        if turn.thinking.is_none()
            && let Some(thinking) = keys.text(REASONING)?
        {
            keys.spell(REASONING, thinking.as_str().into());
            turn.thinking = Some(thinking);
        }
        if let Some(calls) = keys.value("tool_calls") {
            let at = at.key("tool_calls");
            for (index, call) in list(calls, &at)?.iter().enumerate() {
                turn.tool_calls.push(read_call(call, at.index(index))?);
            }
            if turn.tool_calls.is_empty() {
                keys.spell("tool_calls", Value::Array(Vec::new()));
            }
        }
        if let Some(call) = keys.value("function_call") {
            let at = at.key("function_call");
            let mut inside = Keys::of_value(call, at)?;
            let name = inside.needed_text("name")?;
            let arguments = inside.needed("arguments")?.clone();
            let (extra, _) = inside.rest();
            turn.tool_calls.push(ToolCall { id: None, name, arguments, is_legacy: true, extra });
        }
        if turn.content.is_none() && turn.tool_calls.is_empty() {
            keys.needed(self.content)?;
        }
        Ok(())
    }

    fn read_train(&self, keys: &mut Keys<'_>, turn: &mut Turn) {
        let (key, is_bool) = self.train;
        turn.train = match keys.value(key) {
            Some(Value::Bool(train)) if is_bool => Some(*train),
            Some(Value::Number(weight)) if !is_bool => match weight.as_u64() {
                Some(0) => Some(false),
                Some(1) => Some(true),
                _ => None,
            },
            _ => None,
        };
        if turn.train.is_none() && !keys.is_null(key) {
            keys.leave(key);
        }
    }

    /// The word that is written for a role.
    pub(super) fn word(&self, role: Role) -> &'static str {
        self.words.iter().find(|(_, known)| *known == role).map_or("", |(word, _)| word)
    }

    /// Refuses turns of a role that it has no word for.
    pub(super) fn has_words(&self, turns: &[Turn]) -> Result<(), Misfit> {
        match turns.iter().find(|turn| self.word(turn.role).is_empty()) {
            Some(turn) => Err(unfit(format!("there is no word for the role `{}`", turn.role.word()))),
            None => Ok(()),
        }
    }

    /// Turns as a list of messages.
    pub(super) fn write(&self, turns: &[Turn], is_same: bool, losses: &mut Losses) -> Value {
        let mut ids = Ids::default();
        let messages = turns.iter().map(|turn| self.write_turn(turn, is_same, &mut ids, losses));
        Value::Array(messages.collect())
    }

    /// A turn as a message.
    pub(super) fn write_turn(&self, turn: &Turn, is_same: bool, ids: &mut Ids, losses: &mut Losses) -> Value {
        let mut message = Map::with_capacity(4);
        let is_call = self.calls_are_turns && !turn.tool_calls.is_empty();
        let word = if is_call { CALL } else { self.word(turn.role) };
        message.insert(self.role.to_owned(), word.into());
        if is_call {
            losses.add_if(!turn.content.is_blank(), Loss::Parts);
            losses.add_if(turn.tool_calls.iter().any(|call| call.id.is_some()), Loss::ToolCallIds);
            message.insert(self.content.to_owned(), calls_as_text(&turn.tool_calls).into());
        } else {
            match &turn.content {
                Content::None if is_same => {}
                Content::None if self.has_calls => {
                    // Nothing is said where something is called; thoughts alone say an empty text.
                    let said = if turn.tool_calls.is_empty() { "".into() } else { Value::Null };
                    message.insert(self.content.to_owned(), said);
                }
                Content::Parts(parts) if self.has_calls => {
                    message.insert(self.content.to_owned(), Value::Array(parts.clone()));
                }
                Content::Parts(_) => {
                    let only_content =
                        Turn { content: turn.content.clone(), ..Turn::new(turn.role, String::new()) };
                    let text = super::halves::text_of(&only_content, losses);
                    message.insert(self.content.to_owned(), text.into());
                }
                content => {
                    message.insert(self.content.to_owned(), content.text().into());
                }
            }
        }
        if self.has_calls {
            write_calls(turn, is_same, ids, &mut message);
        } else {
            losses.add_if(!is_call && !turn.tool_calls.is_empty(), Loss::ToolCalls);
            losses.add_if(turn.name.is_some(), Loss::Names);
            losses.add_if(turn.thinking.is_some(), Loss::Thinking);
            losses.add_if(turn.tool_call_id.is_some(), Loss::ToolCallIds);
        }
        if let Some(train) = turn.train {
            let (key, is_bool) = self.train;
            let value = if is_bool { Value::Bool(train) } else { u8::from(train).into() };
            message.insert(key.to_owned(), value);
        }
        if is_same {
            super::keys::lay_over(&mut message, &turn.extra);
            super::keys::lay_over(&mut message, &turn.spelling);
        } else {
            losses.add_if(!turn.extra.is_empty(), Loss::TurnExtra);
        }
        Value::Object(message)
    }
}

/// Ids for calls that have none, so that a result says which call it answers.
#[derive(Default)]
pub(super) struct Ids {
    made: usize,
    /// Ids that wait for a result.
    open: std::collections::VecDeque<String>,
}

impl Ids {
    fn make(&mut self) -> String {
        let id = format!("call_{}", self.made);
        self.made += 1;
        self.open.push_back(id.clone());
        id
    }
}

fn write_calls(turn: &Turn, is_same: bool, ids: &mut Ids, message: &mut Map<String, Value>) {
    if let Some(name) = &turn.name {
        message.insert("name".to_owned(), name.as_str().into());
    }
    if let Some(thinking) = &turn.thinking {
        let is_reasoning = is_same && turn.spelling.get(REASONING).is_some_and(Value::is_string);
        let key = if is_reasoning { REASONING } else { "thinking" };
        message.insert(key.to_owned(), thinking.as_str().into());
    }
    match &turn.tool_call_id {
        Some(id) => drop(message.insert("tool_call_id".to_owned(), id.as_str().into())),
        None if turn.role == Role::Tool && !is_same => {
            if let Some(id) = ids.open.pop_front() {
                message.insert("tool_call_id".to_owned(), id.into());
            }
        }
        None => {}
    }
    let mut calls = Vec::new();
    for call in &turn.tool_calls {
        let mut function = Map::new();
        function.insert("name".to_owned(), call.name.as_str().into());
        function.insert("arguments".to_owned(), call.arguments.clone());
        if call.is_legacy && is_same {
            super::keys::lay_over(&mut function, &call.extra);
            message.insert("function_call".to_owned(), Value::Object(function));
            continue;
        }
        // OpenAI's arguments are a string; what was read from these messages stays as it is.
        if !is_same && !call.arguments.is_string() {
            function.insert("arguments".to_owned(), call.arguments.to_string().into());
        }
        let mut object = Map::new();
        match &call.id {
            Some(id) => drop(object.insert("id".to_owned(), id.as_str().into())),
            None if !is_same => drop(object.insert("id".to_owned(), ids.make().into())),
            None => {}
        }
        if !is_same {
            object.insert("type".to_owned(), "function".into());
        }
        object.insert("function".to_owned(), Value::Object(function));
        if is_same {
            super::keys::lay_over(&mut object, &call.extra);
        }
        calls.push(Value::Object(object));
    }
    if !calls.is_empty() {
        message.insert("tool_calls".to_owned(), Value::Array(calls));
    }
}

/// A call as OpenAI's messages have it.
fn read_call(call: &Value, at: At<'_>) -> Result<ToolCall, Misfit> {
    let mut keys = Keys::of_value(call, at)?;
    let id = keys.text("id")?;
    let function = keys.needed("function")?;
    let mut inside = Keys::of_value(function, at.key("function"))?;
    let name = inside.needed_text("name")?;
    let arguments = inside.needed("arguments")?.clone();
    let (more, nulls) = inside.rest();
    let (mut extra, spelling) = keys.rest();
    extra.extend(spelling);
    let within: Map<String, Value> = more.into_iter().chain(nulls).collect();
    if !within.is_empty() {
        extra.insert("function".to_owned(), Value::Object(within));
    }
    Ok(ToolCall { id, name, arguments, is_legacy: false, extra })
}

/// A call as ShareGPT has it: name and arguments, nothing around them.
fn bare_call(call: &Value) -> Option<ToolCall> {
    let object = call.as_object()?;
    let name = object.get("name")?.as_str()?.to_owned();
    let arguments = object.get("arguments")?.clone();
    Some(ToolCall { id: None, name, arguments, is_legacy: false, extra: Map::new() })
}

/// Calls as the text of a turn of ShareGPT.
fn calls_as_text(calls: &[ToolCall]) -> String {
    let object = |call: &ToolCall| {
        // A string that holds JSON is that JSON here.
        let arguments = match &call.arguments {
            Value::String(text) => serde_json::from_str(text).unwrap_or_else(|_| text.as_str().into()),
            arguments => arguments.clone(),
        };
        json!({"name": call.name, "arguments": arguments})
    };
    match calls {
        [call] => object(call).to_string(),
        calls => Value::Array(calls.iter().map(object).collect()).to_string(),
    }
}
