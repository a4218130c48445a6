//! Two answers as lists of messages, of which one is better (spec/uit.md 7.4, 7.7 to 7.9).

use serde_json::{Map, Value};

use super::chat::turns_of;
use super::dialect::{Dialect, Ids, OPENAI};
use super::form::{Form, Kind, holds_text};
use super::halves::{count_messages, pair_of, text_of, unfit};
use super::keys::{At, Keys, Misfit};
use super::loss::{Loss, Losses};
use super::record::{Preference, Record, Role, Turn};
use super::tools::{read_tools, write_tools};

/// Two answers as lists of messages.
pub(super) struct Messages {
    /// Where the prompt is.
    pub(super) prompt: PromptAt,
    /// How messages are written.
    pub(super) dialect: Dialect,
    /// Whether an answer is one message and not a list of them.
    pub(super) is_single: bool,
}

/// Where the prompt of two answers is.
#[derive(Clone, Copy)]
pub(super) enum PromptAt {
    /// In a list of its own under this key.
    List(&'static str),
    /// Both answers begin with it.
    Both,
    /// Both answers begin with it, and the user's last turn stands under this key as a text besides.
    Text(&'static str),
}

impl Messages {
    fn read_answer(&self, keys: &mut Keys<'_>, key: &'static str) -> Result<Vec<Turn>, Misfit> {
        let answer = keys.needed(key)?;
        if self.is_single {
            return Ok(vec![self.dialect.read_turn(answer, At::Row.key(key))?]);
        }
        self.dialect.read(answer, &At::Row.key(key))
    }

    /// Whether `system` is a key of the row.
    fn has_system(&self) -> bool {
        !self.dialect.has_calls || matches!(self.prompt, PromptAt::Text(_))
    }
}

/// The turns that both answers begin with, taken out of them. An answer has at least one turn; where all are the
/// same, the last is the answer.
fn common_turns(chosen: &mut Vec<Turn>, rejected: &mut Vec<Turn>) -> Vec<Turn> {
    let same = chosen.iter().zip(rejected.iter()).take_while(|(a, b)| a == b).count();
    let same = same.min(chosen.len().saturating_sub(1)).min(rejected.len().saturating_sub(1));
    rejected.drain(..same);
    chosen.drain(..same).collect()
}

/// The text of the last turn that asks.
fn asked(turns: &[Turn], losses: &mut Losses) -> Option<String> {
    turns.iter().rfind(|turn| turn.role == Role::User).map(|turn| text_of(turn, losses))
}

impl Form for Messages {
    fn read(&self, keys: &mut Keys<'_>) -> Result<Record, Misfit> {
        let mut chosen = self.read_answer(keys, "chosen")?;
        let mut rejected = self.read_answer(keys, "rejected")?;
        let mut record = Record::of(match self.prompt {
            PromptAt::List(prompt) => self.dialect.read(keys.needed(prompt)?, &At::Row.key(prompt))?,
            PromptAt::Both | PromptAt::Text(_) => common_turns(&mut chosen, &mut rejected),
        });
        if let PromptAt::Text(key) = self.prompt {
            let text = keys.needed_text(key)?;
            if asked(&record.turns, &mut Losses::default()).as_ref() != Some(&text) {
                keys.spell(key, text.into());
            }
        }
        if self.has_system() {
            record.system = keys.text("system")?;
        }
        record.preference = Some(Preference::Pair { chosen, rejected });
        record.tools = read_tools(keys, !self.dialect.has_calls)?;
        Ok(record)
    }

    fn write(
        &self,
        record: &Record,
        is_same: bool,
        losses: &mut Losses,
    ) -> Result<Map<String, Value>, Misfit> {
        let (chosen, rejected) = pair_of(record)?;
        count_messages(record, losses);
        let prompt = turns_of(record, !self.has_system());
        let begins_alike = matches!((chosen, rejected), ([a, _, ..], [b, _, ..]) if a == b);
        let is_implicit = !matches!(self.prompt, PromptAt::List(_));
        losses.add_if(is_implicit && !is_same && begins_alike, Loss::Edges);
        let mut row = Map::with_capacity(4);
        match self.prompt {
            PromptAt::List(key) => {
                row.insert(key.to_owned(), self.dialect.write(&prompt, is_same, losses));
            }
            // What else the turn holds is in the lists.
            PromptAt::Text(key) => {
                let text = asked(&prompt, &mut Losses::default());
                row.insert(key.to_owned(), text.unwrap_or_default().into());
            }
            PromptAt::Both => {}
        }
        for (key, answer) in [("chosen", chosen), ("rejected", rejected)] {
            let value = match (self.is_single, self.prompt, answer) {
                (true, _, [turn]) => self.dialect.write_turn(turn, is_same, &mut Ids::default(), losses),
                (true, ..) => {
                    return Err(unfit("an answer has several turns, and the shape has room for one"));
                }
                (false, PromptAt::List(_), answer) => self.dialect.write(answer, is_same, losses),
                (false, _, answer) => {
                    let whole: Vec<Turn> = prompt.iter().chain(answer).cloned().collect();
                    self.dialect.write(&whole, is_same, losses)
                }
            };
            row.insert(key.to_owned(), value);
        }
        if let Some(system) = record.system.as_deref().filter(|_| self.has_system()) {
            row.insert("system".to_owned(), system.into());
        }
        write_tools(record, is_same, !self.dialect.has_calls, &mut row);
        Ok(row)
    }

    fn fits(&self, row: &Map<String, Value>) -> bool {
        let holds_answer = |key: &str| match self.is_single {
            true => row.get(key).is_some_and(|message| self.dialect.is_message(message)),
            false => self.dialect.holds_list(row, key),
        };
        let holds_prompt = match self.prompt {
            PromptAt::List(prompt) => self.dialect.holds_list(row, prompt),
            PromptAt::Text(prompt) => holds_text(row, prompt),
            PromptAt::Both => true,
        };
        holds_answer("chosen") && holds_answer("rejected") && holds_prompt
    }

    fn why(&self) -> String {
        let Dialect { role, content, .. } = self.dialect;
        let what = if self.is_single { "have" } else { "are lists of" };
        let besides = match self.prompt {
            PromptAt::List(prompt) => format!(", beside a list `{prompt}`"),
            PromptAt::Text(prompt) => format!(", beside a text `{prompt}`"),
            PromptAt::Both => String::new(),
        };
        format!("`chosen` and `rejected` {what} `{role}` and `{content}`{besides}")
    }

    fn kind(&self) -> Kind {
        Kind::Pair
    }

    fn path(&self, record: &Record, turn: usize) -> String {
        let content = self.dialect.content;
        match (self.prompt, turn.checked_sub(record.turns.len())) {
            (PromptAt::List(prompt), None) => format!("/{prompt}/{turn}/{content}"),
            (PromptAt::List(_), Some(_)) if self.is_single => format!("/chosen/{content}"),
            (PromptAt::List(_), Some(answer)) => format!("/chosen/{answer}/{content}"),
            // The answer goes on from the prompt in one list.
            _ => format!("/chosen/{turn}/{content}"),
        }
    }
}

/// OpenAI's preferences: `input`, `preferred_output`, `non_preferred_output` (spec/uit.md 7.4).
pub(super) struct OpenAiPreference;

impl Form for OpenAiPreference {
    fn read(&self, keys: &mut Keys<'_>) -> Result<Record, Misfit> {
        let at_input = At::Row.key("input");
        let mut input = Keys::of_value(keys.needed("input")?, at_input)?;
        let mut record = Record::of(OPENAI.read(input.needed("messages")?, &at_input.key("messages"))?);
        record.tools = read_tools(&mut input, false)?;
        let mut answer = |key| OPENAI.read(keys.needed(key)?, &At::Row.key(key));
        let (chosen, rejected) = (answer("preferred_output")?, answer("non_preferred_output")?);
        record.preference = Some(Preference::Pair { chosen, rejected });
        let (extra, spelling) = input.rest();
        if !extra.is_empty() {
            keys.keep("input", Value::Object(extra));
        }
        if !spelling.is_empty() {
            keys.spell("input", Value::Object(spelling));
        }
        Ok(record)
    }

    fn write(
        &self,
        record: &Record,
        is_same: bool,
        losses: &mut Losses,
    ) -> Result<Map<String, Value>, Misfit> {
        let (chosen, rejected) = pair_of(record)?;
        count_messages(record, losses);
        let mut input = Map::with_capacity(2);
        let messages = OPENAI.write(&turns_of(record, true), is_same, losses);
        input.insert("messages".to_owned(), messages);
        write_tools(record, is_same, false, &mut input);
        Ok(Map::from_iter([
            ("input".to_owned(), Value::Object(input)),
            ("preferred_output".to_owned(), OPENAI.write(chosen, is_same, losses)),
            ("non_preferred_output".to_owned(), OPENAI.write(rejected, is_same, losses)),
        ]))
    }

    fn fits(&self, row: &Map<String, Value>) -> bool {
        row.get("input").is_some_and(|input| input.get("messages").is_some())
            && row.contains_key("preferred_output")
            && row.contains_key("non_preferred_output")
    }

    fn why(&self) -> String {
        "`input` has `messages`, beside `preferred_output` and `non_preferred_output`".to_owned()
    }

    fn kind(&self) -> Kind {
        Kind::Pair
    }

    fn path(&self, record: &Record, turn: usize) -> String {
        match turn.checked_sub(record.turns.len()) {
            Some(turn) => format!("/preferred_output/{turn}/content"),
            None => format!("/input/messages/{turn}/content"),
        }
    }
}
