//! ChatML: a conversation as one text (spec/uit.md 7.5).
//!
//! `<|im_start|>{role}\n{content}<|im_end|>\n` for each message. A content that holds one of the two delimiters
//! would change the structure and is refused.

use serde_json::{Map, Value};

use super::chat::turns_of;
use super::dialect::OPENAI;
use super::form::{Form, Kind};
use super::halves::{answers_something, count_fields, count_structure, text_of, unfit};
use super::keys::{At, Keys, Misfit};
use super::loss::Losses;
use super::record::{Content, Record, Role, Turn};
use crate::reject::Reason;

const START: &str = "<|im_start|>";
const END: &str = "<|im_end|>";

/// The text of a conversation, under the key `text`.
pub(super) struct ChatMl;

impl Form for ChatMl {
    fn read(&self, keys: &mut Keys<'_>) -> Result<Record, Misfit> {
        let text = keys.needed_text("text")?;
        let record = Record::of(parse(&text)?);
        // Line ends between messages are not everywhere; and a prompt for generation ends open.
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
        let plain: Vec<Turn> = turns.iter().map(|turn| Turn::new(turn.role, text_of(turn, losses))).collect();
        if plain.is_empty() {
            return Err(unfit("there is no message"));
        }
        let text = render(&plain)?;
        Ok(Map::from_iter([("text".to_owned(), text.into())]))
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

/// The turns of a text.
pub(super) fn parse(text: &str) -> Result<Vec<Turn>, Misfit> {
    let broken = |message: String| At::Row.key("text").misfit(Reason::BrokenMarkup, message);
    let mut turns = Vec::new();
    let mut rest = text;
    loop {
        let at = text.len() - rest.len();
        let Some(start) = rest.find(START) else {
            if rest.trim().is_empty() && !turns.is_empty() {
                return Ok(turns);
            }
            return Err(broken(format!("at byte {at} there is text outside of messages, or no message")));
        };
        if !rest[..start].trim().is_empty() {
            return Err(broken(format!("at byte {at} there is text outside of messages")));
        }
        let inside = &rest[start + START.len()..];
        let Some(end) = inside.find(END) else {
            return Err(broken(format!("the message at byte {} has no `{END}`", at + start)));
        };
        let message = &inside[..end];
        if message.contains(START) {
            return Err(broken(format!("the message at byte {} holds another one", at + start)));
        }
        let (word, content) = message.split_once('\n').ok_or_else(|| {
            broken(format!("the message at byte {} has no line end after its role", at + start))
        })?;
        let known = OPENAI.words.iter().find(|(known, _)| *known == word && *known != "function");
        let Some((_, role)) = known else {
            let message = format!("the role `{word}` is unknown");
            return Err(At::Row.key("text").misfit(Reason::UnknownRole, message));
        };
        turns.push(Turn::new(*role, content));
        rest = &inside[end + END.len()..];
    }
}

/// The text of turns.
fn render(turns: &[Turn]) -> Result<String, Misfit> {
    let mut text = String::new();
    for (index, turn) in turns.iter().enumerate() {
        let content = match &turn.content {
            Content::Text(content) => content.as_str(),
            _ => "",
        };
        if let Some(marker) = [START, END].into_iter().find(|marker| content.contains(marker)) {
            return Err(Misfit {
                reason: Reason::MarkerInText,
                path: format!("/turns/{index}/content"),
                message: format!("the text holds `{marker}`, which would end or begin a message"),
            });
        }
        let role = if turn.role == Role::Tool { "tool" } else { OPENAI.word(turn.role) };
        text += &format!("{START}{role}\n{content}{END}\n");
    }
    Ok(text)
}
