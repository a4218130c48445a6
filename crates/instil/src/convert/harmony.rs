//! Harmony, the text that gpt-oss is trained on (spec/uit.md 7.5): `<|start|>{header}<|message|>{content}` and an end.
//!
//! What an assistant thinks stands in the channel `analysis`, a call in `commentary` with the function that it is
//! sent to, an answer in `final`. As in OpenAI's guide the last answer ends with `<|return|>`, a call with
//! `<|call|>` and everything else with `<|end|>`. Roles stay what they are: that a system's message should become
//! a developer's is a matter of the chat template. A text that holds one of the markers is refused.

use serde_json::{Map, Value};

use super::chat::turns_of;
use super::dialect::OPENAI;
use super::form::{Form, Kind};
use super::halves::{answers_something, count_fields, count_structure, text_of, unfit};
use super::keys::{At, Keys, Misfit};
use super::loss::{Loss, Losses};
use super::record::{Content, Record, Role, ToolCall, Turn};
use crate::reject::Reason;

const START: &str = "<|start|>";
const MESSAGE: &str = "<|message|>";
const CHANNEL: &str = "<|channel|>";
const ENDS: [&str; 3] = ["<|end|>", "<|call|>", "<|return|>"];
const MARKERS: [&str; 7] = [START, MESSAGE, CHANNEL, "<|constrain|>", "<|end|>", "<|call|>", "<|return|>"];

/// The text of a conversation, under the key `text`.
pub(super) struct Harmony;

impl Form for Harmony {
    fn read(&self, keys: &mut Keys<'_>) -> Result<Record, Misfit> {
        let text = keys.needed_text("text")?;
        let record = Record::of(parse(&text)?);
        if render(&record.turns).as_deref() != Ok(&text) {
            keys.spell("text", text.into());
        }
        Ok(record)
    }

    fn write(
        &self,
        record: &Record,
        is_same: bool,
        losses: &mut Losses,
    ) -> Result<Map<String, Value>, Misfit> {
        answers_something(record, is_same)?;
        count_structure(record, losses);
        count_fields(record, losses);
        let turns = turns_of(record, true);
        if turns.is_empty() {
            return Err(unfit("there is no message"));
        }
        let plain: Vec<Turn> = turns.iter().map(|turn| bare(turn, losses)).collect();
        Ok(Map::from_iter([("text".to_owned(), render(&plain)?.into())]))
    }

    fn fits(&self, row: &Map<String, Value>) -> bool {
        row.get("text").and_then(Value::as_str).is_some_and(|text| text.trim_start().starts_with(START))
    }

    fn why(&self) -> String {
        format!("`text` begins with `{START}`")
    }

    fn kind(&self) -> Kind {
        Kind::Tuning
    }

    fn columns(&self) -> &'static [&'static str] {
        &["text"]
    }

    fn path(&self, _: &Record, _: usize) -> String {
        "/text".to_owned()
    }
}

/// What of a turn has a place: its text, what was thought, calls, and the function that a result comes from.
fn bare(turn: &Turn, losses: &mut Losses) -> Turn {
    let has_place = turn.role == Role::Assistant;
    let is_result = turn.role == Role::Tool;
    let mut rest = turn.clone();
    if has_place {
        rest.thinking = None;
        rest.tool_calls.clear();
        losses.add_if(turn.tool_calls.iter().any(|call| call.id.is_some()), Loss::ToolCallIds);
    }
    if is_result {
        rest.name = None;
    }
    let text = text_of(&rest, losses);
    let content = if text.is_empty() && turn.content.is_none() { Content::None } else { Content::Text(text) };
    Turn {
        content,
        name: turn.name.clone().filter(|_| is_result),
        thinking: turn.thinking.clone().filter(|_| has_place),
        tool_calls: if has_place { turn.tool_calls.clone() } else { Vec::new() },
        ..Turn::new(turn.role, "")
    }
}

fn broken(message: impl Into<String>) -> Misfit {
    At::Row.key("text").misfit(Reason::BrokenMarkup, message)
}

/// The turns of a text.
fn parse(text: &str) -> Result<Vec<Turn>, Misfit> {
    let mut turns: Vec<Turn> = Vec::new();
    // What an assistant has said that its answer still belongs to.
    let mut open: Option<Turn> = None;
    let mut rest = text;
    while !rest.trim().is_empty() {
        let at = text.len() - rest.len();
        let message = rest.trim_start().strip_prefix(START);
        let message =
            message.ok_or_else(|| broken(format!("at byte {at} there is text outside of messages")))?;
        let (header, said) = message
            .split_once(MESSAGE)
            .ok_or_else(|| broken(format!("the message at byte {at} has no `{MESSAGE}`")))?;
        let end = ENDS.iter().filter_map(|end| Some((said.find(end)?, *end))).min();
        let (length, end) = end.ok_or_else(|| broken(format!("the message at byte {at} has no end")))?;
        let content = &said[..length];
        if let Some(marker) = MARKERS.iter().find(|marker| content.contains(**marker)) {
            return Err(broken(format!("the message at byte {at} holds `{marker}`")));
        }
        rest = &said[length + end.len()..];
        let header = Header::of(header).ok_or_else(|| {
            let message = format!("the message at byte {at} has a header that is not known: `{header}`");
            At::Row.key("text").misfit(Reason::UnknownRole, message)
        })?;
        let Header::Assistant { channel, to } = header else {
            turns.extend(open.take());
            turns.push(header.turn(content));
            continue;
        };
        let mut turn =
            open.take().unwrap_or_else(|| Turn { content: Content::None, ..Turn::new(Role::Assistant, "") });
        match (channel, to) {
            ("analysis", None)
                if turn.thinking.is_none() && turn.content.is_none() && turn.tool_calls.is_empty() =>
            {
                turn.thinking = Some(content.to_owned());
                open = Some(turn);
            }
            (_, Some(name)) => {
                turn.tool_calls.push(ToolCall {
                    id: None,
                    name: name.to_owned(),
                    arguments: content.into(),
                    is_legacy: false,
                    extra: Map::new(),
                });
                open = Some(turn);
            }
            ("commentary", None) if turn.content.is_none() && turn.tool_calls.is_empty() => {
                turn.content = Content::Text(content.to_owned());
                open = Some(turn);
            }
            ("final" | "", None) if turn.content.is_none() && turn.tool_calls.is_empty() => {
                turn.content = Content::Text(content.to_owned());
                turns.push(turn);
            }
            // Something new begins.
            ("final" | "", None) => {
                turns.push(turn);
                turns.push(Turn::new(Role::Assistant, content));
            }
            ("analysis", None) => {
                turns.push(turn);
                let mut next = Turn { content: Content::None, ..Turn::new(Role::Assistant, "") };
                next.thinking = Some(content.to_owned());
                open = Some(next);
            }
            ("commentary", None) => {
                turns.push(turn);
                open = Some(Turn::new(Role::Assistant, content));
            }
            _ => {
                return Err(broken(format!(
                    "the message at byte {at} is in the unknown channel `{channel}`"
                )));
            }
        }
    }
    turns.extend(open);
    match turns.is_empty() {
        true => Err(broken("there is no message")),
        false => Ok(turns),
    }
}

/// Who speaks in a message, and to whom.
#[derive(Clone, Copy)]
enum Header<'a> {
    Plain(Role),
    Assistant { channel: &'a str, to: Option<&'a str> },
    Result { name: &'a str },
}

impl<'a> Header<'a> {
    fn of(header: &'a str) -> Option<Self> {
        let (speaker, channel) = match header.split_once(CHANNEL) {
            Some((speaker, channel)) => (speaker, channel.split("<|constrain|>").next().unwrap_or(channel)),
            None => (header, ""),
        };
        let mut words = speaker.split_whitespace().chain(channel.split_whitespace());
        let who = words.next()?;
        let to = words.clone().find_map(|word| word.strip_prefix("to="));
        let function = |name: &'a str| name.strip_prefix("functions.");
        match who {
            "assistant" => {
                let channel = channel.split_whitespace().next().unwrap_or("");
                Some(Self::Assistant { channel, to: to.and_then(function) })
            }
            "tool" => Some(Self::Plain(Role::Tool)),
            who => match function(who) {
                Some(name) => Some(Self::Result { name }),
                None => {
                    let known = OPENAI.words.iter().find(|(word, _)| *word == who && *word != "function");
                    known.map(|(_, role)| Self::Plain(*role))
                }
            },
        }
    }

    fn turn(self, content: &str) -> Turn {
        match self {
            Self::Plain(role) => Turn::new(role, content),
            Self::Assistant { .. } => Turn::new(Role::Assistant, content),
            Self::Result { name } => Turn { name: Some(name.to_owned()), ..Turn::new(Role::Tool, content) },
        }
    }
}

/// The text of turns.
fn render(turns: &[Turn]) -> Result<String, Misfit> {
    let mut text = String::new();
    for (index, turn) in turns.iter().enumerate() {
        let mut push = |header: &str, content: &str, end: &str| {
            if let Some(marker) = MARKERS.iter().find(|marker| content.contains(**marker)) {
                return Err(Misfit {
                    reason: Reason::MarkerInText,
                    path: format!("/turns/{index}/content"),
                    message: format!("the text holds `{marker}`, which would end or begin a message"),
                });
            }
            text += &format!("{START}{header}{MESSAGE}{content}{end}");
            Ok(())
        };
        let said = turn.content.text();
        if turn.role != Role::Assistant {
            let header = match (&turn.name, turn.role) {
                (Some(name), Role::Tool) => {
                    format!("functions.{} to=assistant{CHANNEL}commentary", word(name)?)
                }
                (_, role) => role.word().to_owned(),
            };
            push(&header, said, "<|end|>")?;
            continue;
        }
        if let Some(thinking) = &turn.thinking {
            push("assistant<|channel|>analysis", thinking, "<|end|>")?;
        }
        if turn.tool_calls.is_empty() {
            let end = if index + 1 == turns.len() { "<|return|>" } else { "<|end|>" };
            if !(turn.content.is_none() && turn.thinking.is_some()) {
                push("assistant<|channel|>final", said, end)?;
            }
            continue;
        }
        if !turn.content.is_none() {
            push("assistant<|channel|>commentary", said, "<|end|>")?;
        }
        for call in &turn.tool_calls {
            let arguments = match &call.arguments {
                Value::String(text) => text.clone(),
                arguments => arguments.to_string(),
            };
            let header =
                format!("assistant{CHANNEL}commentary to=functions.{} <|constrain|>json", word(&call.name)?);
            push(&header, &arguments, "<|call|>")?;
        }
    }
    Ok(text)
}

/// The name of a function, which has to be one word.
fn word(name: &str) -> Result<&str, Misfit> {
    let is_word = !name.is_empty() && !name.contains(char::is_whitespace) && !name.contains("<|");
    if is_word { Ok(name) } else { Err(unfit(format!("the function's name `{name}` is not one word"))) }
}
