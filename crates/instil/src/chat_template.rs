//! Chat templates: what a model is shown of a conversation.
//!
//! A model that was tuned on conversations brings a Jinja text, which makes one text of messages, tools and
//! documents. [`ChatTemplate::of_folder`] finds it among a model's files, [`ChatTemplate::render`] gives the
//! bytes of `apply_chat_template(…, tokenize=False)` of transformers 5.23.0 under jinja2 3.1.6.
//!
//! Known to differ: whole numbers beyond 64 bits in a conversation become floats, an object without a text of
//! its own (a macro, a namespace) can't be printed, and a rendering is stopped where it takes too many steps
//! or writes too much.

mod moment;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::template::engine::Fault;
use crate::template::engine::chat::{Chat, Failure};
use crate::{Error, Result};
pub use moment::Moment;

/// The template that is used where none is asked for by name.
const DEFAULT: &str = "default";
/// The template that is used where there are tools.
const TOOL_USE: &str = "tool_use";
/// The special tokens with a name, which templates can print.
const NAMED_TOKENS: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];
/// The names under which a message tells its reasoning; the first is the one that templates read.
const REASONING: [&str; 3] = ["reasoning_content", "thinking", "reasoning"];
/// What is put behind a message that is to be continued, and cut off again.
const CONTINUED: &str = "CONTINUE_FINAL_MESSAGE_TAG ";

/// The special tokens of a model by name, such as `bos_token`, as templates print them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpecialTokens(BTreeMap<String, String>);

impl SpecialTokens {
    /// The tokens of a `tokenizer_config.json` or a `special_tokens_map.json`: each a string, or an object
    /// with the string as `content`.
    ///
    /// Some tokenizer classes of transformers know a token that their files don't name; these are not here.
    pub fn of_json(config: &Value) -> Self {
        let text = |name: &str| {
            let token = config.get(name)?;
            token.as_str().or_else(|| token.get("content")?.as_str()).map(str::to_owned)
        };
        NAMED_TOKENS.into_iter().filter_map(|name| Some((name, text(name)?))).collect()
    }

    /// The token of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl<N: Into<String>, T: Into<String>> FromIterator<(N, T)> for SpecialTokens {
    fn from_iter<I: IntoIterator<Item = (N, T)>>(tokens: I) -> Self {
        Self(tokens.into_iter().map(|(name, token)| (name.into(), token.into())).collect())
    }
}

/// What a chat template is told of the time where nobody says it: 26 July 2024, in seconds since 1970. The same
/// request gives the same text on any day, and this is the day that Llama 3's templates name where nobody tells them.
pub const TODAY: i64 = 1_721_952_000;

/// What a template makes a text of.
#[derive(Clone, Debug)]
pub struct Conversation<'a> {
    /// Objects with `role` and `content`, or whatever else the template reads.
    pub messages: &'a [Value],
    /// The schemas of functions, as objects. `Some` of none is not `None` to a template.
    pub tools: Option<&'a [Value]>,
    /// Objects, most often with `title` and `text`.
    pub documents: Option<&'a [Value]>,
    /// Whether the text ends with what begins the model's turn.
    pub add_generation_prompt: bool,
    /// Whether the text ends with the content of the last message, without what closes it.
    pub continue_final_message: bool,
    /// More names for the template, such as `enable_thinking`; they go before the special tokens.
    pub extra: Map<String, Value>,
    /// What `strftime_now` shows.
    pub now: Moment,
}

impl<'a> Conversation<'a> {
    /// These messages alone, at the beginning of 1970.
    pub fn of(messages: &'a [Value]) -> Self {
        Self {
            messages,
            tools: None,
            documents: None,
            add_generation_prompt: false,
            continue_final_message: false,
            extra: Map::new(),
            now: Moment::new(0, 0),
        }
    }
}

/// The chat templates of a model; it can be shared between threads.
pub struct ChatTemplate {
    special: SpecialTokens,
    templates: BTreeMap<String, Named>,
}

struct Named {
    source: String,
    /// A template that is no Jinja fails where it is used, since many models have more than they need.
    compiled: Result<Chat, Fault>,
}

impl ChatTemplate {
    /// The templates of a model's folder, as transformers finds them: `chat_template.jinja` and
    /// `additional_chat_templates/*.jinja`, where one of these is there; else `chat_template` in
    /// `tokenizer_config.json`, a text or a list of `{name, template}`. Where a tokenizer has none, what a
    /// processor has in `chat_template.json` is taken. None where there is none at all.
    ///
    /// # Errors
    /// When a file can't be read or has another shape, or when the template that is used by default is no Jinja.
    pub fn of_folder(dir: &Path) -> Result<Option<Self>> {
        let config = json(&dir.join("tokenizer_config.json"))?.unwrap_or_default();
        let mut special = SpecialTokens::of_json(&config);
        if let Some(older) = json(&dir.join("special_tokens_map.json"))? {
            for (name, token) in SpecialTokens::of_json(&older).0 {
                special.0.entry(name).or_insert(token);
            }
        }
        let mut sources = files(dir)?;
        if sources.is_empty() {
            sources = listed(&config, &dir.join("tokenizer_config.json"))?;
        }
        if sources.is_empty() {
            let path = dir.join("chat_template.json");
            sources = listed(&json(&path)?.unwrap_or_default(), &path)?;
        }
        if sources.is_empty() {
            return Ok(None);
        }
        let found = Self::new(sources, special);
        if let Some(Named { compiled: Err(fault), .. }) = found.templates.get(DEFAULT) {
            let message = format!("the chat template of {} is {}", dir.display(), with_line(fault));
            return Err(Error::input(message));
        }
        Ok(Some(found))
    }

    /// One template, and the tokens that it can print.
    ///
    /// # Errors
    /// When it is no Jinja.
    pub fn parse(source: &str, special: SpecialTokens) -> Result<Self> {
        let found = Self::new([(DEFAULT.to_owned(), source.to_owned())].into(), special);
        match found.templates.get(DEFAULT) {
            Some(Named { compiled: Err(fault), .. }) => {
                Err(Error::input(format!("the chat template is {}", with_line(fault))))
            }
            _ => Ok(found),
        }
    }

    fn new(sources: BTreeMap<String, String>, special: SpecialTokens) -> Self {
        let named = |(name, source): (String, String)| {
            let compiled = Chat::new(&source);
            (name, Named { source, compiled })
        };
        Self { special, templates: sources.into_iter().map(named).collect() }
    }

    /// The template that conversations with or without tools are rendered with.
    fn chosen(&self, tools: bool) -> Result<(&str, &Named)> {
        let named = |name: &'static str| self.templates.get(name).map(|found| (name, found));
        tools.then(|| named(TOOL_USE)).flatten().or_else(|| named(DEFAULT)).ok_or_else(|| {
            let names: Vec<_> = self.templates.keys().map(String::as_str).collect();
            Error::input(format!("of the chat templates {} none is `{DEFAULT}`", names.join(", ")))
        })
    }

    /// The Jinja text that conversations with or without tools are rendered with.
    ///
    /// # Errors
    /// When the model has several, and none of them is for that.
    pub fn source(&self, tools: bool) -> Result<&str> {
        self.chosen(tools).map(|(_, named)| named.source.as_str())
    }

    /// The special tokens that the template can print.
    pub fn special(&self) -> &SpecialTokens {
        &self.special
    }

    /// The text of a conversation.
    ///
    /// As in transformers, what is null in a message is taken to be lacking, and reasoning is told under each of
    /// the names that templates read.
    ///
    /// # Errors
    /// When the template refuses the conversation (`raise_exception`), or doesn't fit it; when a message, tool or
    /// document is no object; when the final message can't be continued.
    pub fn render(&self, conversation: &Conversation<'_>) -> Result<String> {
        let Conversation { messages, tools, documents, now, .. } = conversation;
        if messages.is_empty() {
            return Err(Error::usage("a conversation without a message"));
        }
        for (what, list) in [("message", Some(*messages)), ("tool", *tools), ("document", *documents)] {
            if let Some(at) = list.into_iter().flatten().position(|one| !one.is_object()) {
                return Err(Error::input(format!("{what} {} of a conversation is no JSON object", at + 1)));
            }
        }
        let own = ["messages", "tools", "documents", "add_generation_prompt"];
        if let Some(name) = own.into_iter().find(|name| conversation.extra.contains_key(*name)) {
            return Err(Error::usage(format!("`{name}` is not one of the extra names for a chat template")));
        }
        let (name, Named { source, compiled }) = self.chosen(tools.is_some())?;
        let chat = compiled
            .as_ref()
            .map_err(|fault| Error::input(format!("the chat template `{name}` is {}", with_line(fault))))?;
        let mut messages: Vec<Value> = messages.iter().map(normalized).collect();
        let continued = if conversation.continue_final_message {
            Some(mark(&mut messages, source, conversation.add_generation_prompt)?)
        } else {
            None
        };
        let list = |list: Option<&[Value]>| list.map_or(Value::Null, |list| Value::Array(list.to_vec()));
        let mut names: Map<String, Value> = Map::new();
        for (name, token) in &self.special.0 {
            names.insert(name.clone(), Value::from(token.as_str()));
        }
        names.extend(conversation.extra.clone());
        names.insert("messages".to_owned(), Value::Array(messages));
        names.insert("tools".to_owned(), list(*tools));
        names.insert("documents".to_owned(), list(*documents));
        names.insert("add_generation_prompt".to_owned(), Value::Bool(conversation.add_generation_prompt));
        let now = *now;
        let rendered = chat.render(names, Arc::new(move |format| now.strftime(format)));
        let text = rendered.map_err(|failure| match failure {
            Failure::Raised(message) => {
                Error::input(format!("the chat template refuses the conversation: {message}"))
            }
            Failure::Fault(fault) => {
                Error::input(format!("the chat template fails on the conversation: {}", with_line(&fault)))
                    .with_hint("the template is the model's; see what roles and fields it expects")
            }
        })?;
        match continued {
            Some(last) => cut(text, &last),
            None => Ok(text),
        }
    }
}

/// What is wrong, and in which line of the template.
fn with_line(fault: &Fault) -> String {
    match fault.line {
        Some(line) => format!("{} (line {line})", fault.message),
        None => fault.message.clone(),
    }
}

fn read(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::input(format!("{} can't be read", path.display())).because(e)),
    }
}

fn json(path: &Path) -> Result<Option<Value>> {
    let Some(text) = read(path)? else { return Ok(None) };
    let value = serde_json::from_str(&text);
    value.map(Some).map_err(|e| Error::input(format!("{} is no JSON", path.display())).because(e))
}

/// The templates that have files of their own.
fn files(dir: &Path) -> Result<BTreeMap<String, String>> {
    let mut sources = BTreeMap::new();
    if let Some(source) = read(&dir.join("chat_template.jinja"))? {
        sources.insert(DEFAULT.to_owned(), source);
    }
    let more = dir.join("additional_chat_templates");
    let entries = match fs::read_dir(&more) {
        Ok(entries) => entries,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(sources);
        }
        Err(e) => return Err(Error::input(format!("{} can't be read", more.display())).because(e)),
    };
    for entry in entries {
        let entry =
            entry.map_err(|e| Error::input(format!("{} can't be read", more.display())).because(e))?;
        let file = entry.file_name();
        if let Some(name) = file.to_str().and_then(|file| file.strip_suffix(".jinja"))
            && let Some(source) = read(&entry.path())?
        {
            sources.insert(name.to_owned(), source);
        }
    }
    Ok(sources)
}

/// The templates under `chat_template` in a JSON file.
fn listed(config: &Value, path: &Path) -> Result<BTreeMap<String, String>> {
    let wrong = || {
        let message = format!("`chat_template` in {} has an unknown shape", path.display());
        Error::input(message).with_hint("a text, or a list of objects with `name` and `template`")
    };
    match config.get("chat_template") {
        None | Some(Value::Null) => Ok(BTreeMap::new()),
        Some(Value::String(source)) => Ok([(DEFAULT.to_owned(), source.clone())].into()),
        Some(Value::Array(list)) => {
            let one = |one: &Value| {
                let text = |key: &str| one.get(key).and_then(Value::as_str).map(str::to_owned);
                text("name").zip(text("template")).ok_or_else(wrong)
            };
            list.iter().map(one).collect()
        }
        Some(_) => Err(wrong()),
    }
}

/// A message as transformers gives it to a template.
fn normalized(message: &Value) -> Value {
    let Value::Object(given) = message else { return message.clone() };
    let given = given.iter().filter(|(_, value)| !value.is_null());
    let mut message: Map<String, Value> = given.map(|(key, value)| (key.clone(), value.clone())).collect();
    let Some(reasoning) = REASONING.into_iter().find_map(|name| message.get(name).cloned()) else {
        return Value::Object(message);
    };
    // The order of the keys counts where a template prints a message as JSON.
    let mut aliased = Map::new();
    aliased.insert("thinking".to_owned(), reasoning.clone());
    aliased.append(&mut message);
    aliased.insert("reasoning_content".to_owned(), reasoning);
    Value::Object(aliased)
}

/// Puts the mark behind the content of the final message, and gives that content.
fn mark(messages: &mut [Value], source: &str, add_generation_prompt: bool) -> Result<String> {
    if add_generation_prompt {
        return Err(Error::usage("a final message is either continued or followed by a new turn, not both"));
    }
    if !source.contains("content") {
        return Err(Error::input("the chat template doesn't read `content`, so no message can be continued"));
    }
    let content = messages.last_mut().and_then(|message| message.get_mut("content"));
    let text = match content {
        Some(Value::Array(blocks)) => blocks.iter_mut().rev().find_map(|block| block.get_mut("text")),
        content => content,
    };
    match text {
        Some(Value::String(text)) => {
            let last = text.clone();
            text.push_str(CONTINUED);
            Ok(last)
        }
        _ => Err(Error::input("the final message has no text to continue")),
    }
}

/// Cuts a text where the mark stands in it.
fn cut(mut text: String, last: &str) -> Result<String> {
    use crate::prompt::bonito::python_strip;
    let place = text.rfind(CONTINUED.trim_end()).filter(|_| text.contains(python_strip(last)));
    let Some(place) = place else {
        return Err(Error::input("the chat template drops the final message or a part of it")
            .with_hint("it can't be continued then; ask for a new turn"));
    };
    let whole = text[place..].starts_with(CONTINUED);
    text.truncate(place);
    if !whole {
        // The template has taken the space off the end of the message.
        text.truncate(text.trim_end().len());
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
