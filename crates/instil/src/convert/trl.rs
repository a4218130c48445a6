//! TRL's conversational forms, and its forms of preference with the namesakes that other trainers have
//! (spec/uit.md 7.7 to 7.9).

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::form::{Form, Kind, holds_text, is_asked};
use super::halves::{Halves, count_fields, count_structure, count_task, joined, unfit, wanted};
use super::keys::{At, Keys, Misfit, list, text, texts};
use super::loss::{Loss, Losses};
use super::messages::{Dialect, OPENAI, tools_of, turns_of};
use super::record::{Content, Preference, Record, Role, Step, TaskPart, Turn};
use crate::reject::Reason;

/// Whether a key holds a list of messages, or a null or an empty list in its place.
fn holds_messages(row: &Map<String, Value>, key: &str) -> bool {
    match row.get(key) {
        Some(Value::Array(messages)) => {
            messages.first().is_none_or(|message| message.get("role").is_some_and(Value::is_string))
        }
        _ => false,
    }
}

fn read_messages(keys: &mut Keys<'_>, key: &'static str) -> Result<Vec<Turn>, Misfit> {
    let messages = keys.needed(key)?;
    OPENAI.read(messages, &At::Row.key(key))
}

/// `tools`, as they are.
fn read_tools(keys: &mut Keys<'_>) -> Result<Option<Value>, Misfit> {
    match keys.value("tools") {
        None => Ok(None),
        Some(tools @ Value::Array(_)) => Ok(Some(tools.clone())),
        Some(other) => Err(At::Row.key("tools").wrong_type("a list of functions", other)),
    }
}

/// What a shape of messages can't carry.
fn count(record: &Record, losses: &mut Losses) {
    count_task(record, losses);
    losses.add_if(!record.references.is_empty(), Loss::References);
    count_fields(record, losses);
}

fn with_tools(record: &Record, is_same: bool, mut row: Map<String, Value>) -> Map<String, Value> {
    if let Some(tools) = &record.tools {
        row.insert("tools".to_owned(), tools_of(tools, is_same));
    }
    row
}

/// Prompt, and completion where there is one, as lists of messages.
pub(super) struct PromptMessages {
    /// Whether there is a completion.
    pub(super) has_completion: bool,
    /// Whether `label` says if it is good.
    pub(super) has_label: bool,
}

impl Form for PromptMessages {
    fn read(&self, row: &Map<String, Value>) -> Result<Record, Misfit> {
        let mut keys = Keys::of(row, At::Row);
        let mut record = Record::of(read_messages(&mut keys, "prompt")?);
        record.prompt = Some(record.turns.len());
        if self.has_completion {
            record.turns.extend(read_messages(&mut keys, "completion")?);
        }
        if self.has_label {
            record.preference = Some(Preference::Label(read_label(&mut keys)?));
        }
        record.tools = read_tools(&mut keys)?;
        (record.extra, record.spelling) = keys.rest();
        Ok(record)
    }

    fn write(
        &self,
        record: &Record,
        is_same: bool,
        losses: &mut Losses,
    ) -> Result<Map<String, Value>, Misfit> {
        if record.is_plain_text() && !is_same {
            return Err(unfit("it is a text without a prompt"));
        }
        count(record, losses);
        let turns = turns_of(record, true);
        // Standing instructions and a definition that became turns stand before the completion.
        let at = record.completion_at().map_or(turns.len(), |at| at + turns.len() - record.turns.len());
        let (prompt, completion) = turns.split_at(at.min(turns.len()));
        let mut row = Map::with_capacity(3);
        row.insert("prompt".to_owned(), OPENAI.write(prompt, is_same, losses));
        if self.has_completion {
            if completion.is_empty() {
                return Err(unfit("there is no completion"));
            }
            row.insert("completion".to_owned(), OPENAI.write(completion, is_same, losses));
        } else {
            losses.add_if(!completion.is_empty(), Loss::Completion);
        }
        if self.has_label {
            row.insert("label".to_owned(), label_of(record)?);
        }
        Ok(with_tools(record, is_same, row))
    }

    fn fits(&self, row: &Map<String, Value>) -> bool {
        holds_messages(row, "prompt")
            && (!self.has_completion || holds_messages(row, "completion"))
            && (!self.has_label || row.get("label").is_some_and(Value::is_boolean))
    }

    fn why(&self) -> String {
        match (self.has_completion, self.has_label) {
            (false, _) => "`prompt` is a list of `role` and `content`, and nothing answers it".to_owned(),
            (true, false) => "`prompt` and `completion` are lists of `role` and `content`".to_owned(),
            (true, true) => {
                "`prompt` and `completion` are lists of `role` and `content`, beside a `label`".to_owned()
            }
        }
    }

    fn kind(&self) -> Kind {
        match (self.has_completion, self.has_label) {
            (_, true) => Kind::Label,
            (true, false) => Kind::Tuning,
            (false, false) => Kind::Prompt,
        }
    }

    fn columns(&self) -> &'static [&'static str] {
        &[]
    }

    fn path(&self, record: &Record, turn: usize) -> String {
        match record.prompt.and_then(|at| turn.checked_sub(at)) {
            Some(turn) => format!("/completion/{turn}/content"),
            None => format!("/prompt/{turn}/content"),
        }
    }
}

fn read_label(keys: &mut Keys<'_>) -> Result<bool, Misfit> {
    match keys.needed("label")? {
        Value::Bool(label) => Ok(*label),
        other => Err(At::Row.key("label").wrong_type("a boolean", other)),
    }
}

fn label_of(record: &Record) -> Result<Value, Misfit> {
    match record.preference {
        Some(Preference::Label(label)) => Ok(label.into()),
        _ => Err(unfit("nothing says whether the answer is good")),
    }
}

/// Prompt, completion and whether it is good.
pub(super) struct Unpaired;

impl Form for Unpaired {
    fn read(&self, row: &Map<String, Value>) -> Result<Record, Misfit> {
        let mut keys = Keys::of(row, At::Row);
        let prompt = Turn::new(Role::User, keys.needed_text("prompt")?);
        let completion = Turn::new(Role::Assistant, keys.needed_text("completion")?);
        let mut record = Record::of(vec![prompt, completion]);
        record.preference = Some(Preference::Label(read_label(&mut keys)?));
        (record.extra, record.spelling) = keys.rest();
        Ok(record)
    }

    fn write(&self, record: &Record, _: bool, losses: &mut Losses) -> Result<Map<String, Value>, Misfit> {
        count_structure(record, losses);
        count_fields(record, losses);
        let halves = Halves::of(record, losses);
        losses.add_if(halves.system.is_some(), Loss::System);
        let prompt = wanted(halves.prompt(), "prompt", "a labelled completion")?;
        let completion = wanted(halves.completion, "completion", "a labelled completion")?;
        Ok(Map::from_iter([
            ("prompt".to_owned(), prompt.into()),
            ("completion".to_owned(), completion.into()),
            ("label".to_owned(), label_of(record)?),
        ]))
    }

    fn fits(&self, row: &Map<String, Value>) -> bool {
        holds_text(row, "prompt")
            && holds_text(row, "completion")
            && row.get("label").is_some_and(Value::is_boolean)
    }

    fn why(&self) -> String {
        "`prompt` and `completion` are texts, and `label` is a boolean".to_owned()
    }

    fn kind(&self) -> Kind {
        Kind::Label
    }

    fn columns(&self) -> &'static [&'static str] {
        &[]
    }

    fn path(&self, record: &Record, turn: usize) -> String {
        if is_asked(record, turn) { "/prompt" } else { "/completion" }.to_owned()
    }
}

/// Prompt, steps of an answer and whether each is right.
pub(super) struct Stepwise;

impl Form for Stepwise {
    fn read(&self, row: &Map<String, Value>) -> Result<Record, Misfit> {
        let mut keys = Keys::of(row, At::Row);
        let mut record = Record::of(vec![Turn::new(Role::User, keys.needed_text("prompt")?)]);
        record.prompt = Some(1);
        let steps = texts(keys.needed("completions")?, &At::Row.key("completions"))?;
        let at = At::Row;
        let at = at.key("labels");
        let labels = list(keys.needed("labels")?, &at)?;
        if labels.len() != steps.len() {
            let message = format!("{} labels for {} completions", labels.len(), steps.len());
            return Err(at.misfit(Reason::LengthMismatch, message));
        }
        let steps = steps.into_iter().zip(labels).enumerate().map(|(index, (text, label))| {
            let label = label.as_bool().ok_or_else(|| at.index(index).wrong_type("a boolean", label))?;
            Ok(Step { text, label })
        });
        record.preference = Some(Preference::Steps(steps.collect::<Result<_, Misfit>>()?));
        (record.extra, record.spelling) = keys.rest();
        Ok(record)
    }

    fn write(&self, record: &Record, _: bool, losses: &mut Losses) -> Result<Map<String, Value>, Misfit> {
        let Some(Preference::Steps(steps)) = &record.preference else {
            return Err(unfit("there are no labelled steps"));
        };
        count_structure(record, losses);
        count_fields(record, losses);
        let halves = Halves::of(record, losses);
        losses.add_if(halves.system.is_some(), Loss::System);
        let prompt = wanted(halves.prompt(), "prompt", "a row of steps")?;
        Ok(Map::from_iter([
            ("prompt".to_owned(), prompt.into()),
            ("completions".to_owned(), steps.iter().map(|step| step.text.as_str()).collect()),
            ("labels".to_owned(), steps.iter().map(|step| step.label).collect()),
        ]))
    }

    fn fits(&self, row: &Map<String, Value>) -> bool {
        holds_text(row, "prompt")
            && row.get("completions").is_some_and(Value::is_array)
            && row.get("labels").is_some_and(Value::is_array)
    }

    fn why(&self) -> String {
        "`completions` and `labels` are lists".to_owned()
    }

    fn kind(&self) -> Kind {
        Kind::Steps
    }

    fn columns(&self) -> &'static [&'static str] {
        &[]
    }

    fn path(&self, record: &Record, turn: usize) -> String {
        if is_asked(record, turn) { "/prompt" } else { "/completions" }.to_owned()
    }
}

/// Names that prompts have.
const PROMPTS: &[&str] =
    &["prompt", "question", "instruction", "input", "query", "context", "messages", "history"];

/// Two answers as texts, under many names.
pub(super) struct Texts {
    /// The name of the task's definition, where it stands apart.
    pub(super) definition: Option<&'static str>,
    /// The name of the prompt; none where both answers begin with it.
    pub(super) prompt: Option<&'static str>,
    /// The name of standing instructions, where the shape has them.
    pub(super) system: Option<&'static str>,
    /// The name of the better answer.
    pub(super) chosen: &'static str,
    /// The name of the other one.
    pub(super) rejected: &'static str,
    /// The names of all columns, in order.
    pub(super) columns: &'static [&'static str],
}

impl Form for Texts {
    fn read(&self, row: &Map<String, Value>) -> Result<Record, Misfit> {
        let mut keys = Keys::of(row, At::Row);
        let (mut chosen, mut rejected) = (keys.needed_text(self.chosen)?, keys.needed_text(self.rejected)?);
        let prompt = match self.prompt {
            Some(prompt) => keys.needed_text(prompt)?,
            None => {
                let prefix = common_prefix(&chosen, &rejected);
                rejected.drain(..prefix);
                chosen.drain(..prefix).collect()
            }
        };
        let mut record = Record::of(vec![Turn::new(Role::User, prompt)]);
        if let Some(system) = self.system {
            record.system = keys.text(system)?;
        }
        if let Some(definition) = self.definition {
            let definition = Some(keys.needed_text(definition)?);
            record.task = Some(Arc::new(TaskPart { definition, ..TaskPart::default() }));
        }
        record.preference = Some(Preference::Pair {
            chosen: vec![Turn::new(Role::Assistant, chosen)],
            rejected: vec![Turn::new(Role::Assistant, rejected)],
        });
        (record.extra, record.spelling) = keys.rest();
        Ok(record)
    }

    fn write(
        &self,
        record: &Record,
        is_same: bool,
        losses: &mut Losses,
    ) -> Result<Map<String, Value>, Misfit> {
        let (chosen, rejected) = pair(record)?;
        let chosen = joined(chosen, losses).unwrap_or_default();
        let rejected = joined(rejected, losses).unwrap_or_default();
        count_structure(record, losses);
        count_fields(record, losses);
        let mut halves = Halves::of(&Record { prompt: Some(record.turns.len()), ..record.clone() }, losses);
        let (definition, prompt) = match (self.definition, halves.definition.take()) {
            (Some(_), Some(definition)) => (definition, halves.input.take().unwrap_or_default()),
            // Without a definition the prompt is the instruction, as in Alpaca.
            (Some(_), None) => (wanted(halves.input.take(), "prompt", "a preference")?, String::new()),
            (None, definition) => {
                halves.definition = definition;
                (String::new(), wanted(halves.prompt(), "prompt", "a preference")?)
            }
        };
        let mut row = Map::with_capacity(4);
        for column in self.columns {
            let value = if Some(*column) == self.prompt {
                prompt.clone()
            } else if Some(*column) == self.definition {
                definition.clone()
            } else if Some(*column) == self.system {
                match halves.system.take() {
                    Some(system) => system,
                    None if is_same => continue,
                    None => String::new(),
                }
            } else {
                let answer = if *column == self.chosen { &chosen } else { &rejected };
                if self.prompt.is_none() { format!("{prompt}{answer}") } else { answer.clone() }
            };
            row.insert((*column).to_owned(), value.into());
        }
        losses.add_if(halves.system.is_some(), Loss::System);
        Ok(row)
    }

    fn fits(&self, row: &Map<String, Value>) -> bool {
        holds_text(row, self.chosen)
            && holds_text(row, self.rejected)
            && self.prompt.is_none_or(|prompt| holds_text(row, prompt))
            && self.system.is_none_or(|system| holds_text(row, system))
            && self.definition.is_none_or(|definition| holds_text(row, definition))
            // A prompt under another name would be lost without a word.
            && (self.prompt.is_some() || !PROMPTS.iter().any(|prompt| row.contains_key(*prompt)))
    }

    fn why(&self) -> String {
        let names: Vec<String> = self.columns.iter().map(|name| format!("`{name}`")).collect();
        format!("{} are texts", names.join(" and "))
    }

    fn kind(&self) -> Kind {
        Kind::Pair
    }

    fn columns(&self) -> &'static [&'static str] {
        self.columns
    }

    fn path(&self, record: &Record, turn: usize) -> String {
        let key = self.prompt.filter(|_| is_asked(record, turn));
        format!("/{}", key.unwrap_or(self.chosen))
    }
}

/// The two answers of a record.
fn pair(record: &Record) -> Result<(&[Turn], &[Turn]), Misfit> {
    match &record.preference {
        Some(Preference::Pair { chosen, rejected }) => Ok((chosen, rejected)),
        _ => Err(unfit("there are no two answers of which one is better")),
    }
}

/// How many bytes two texts begin with that are the same, one blank at the end left out: the rule of TRL's
/// `extract_prompt` (trl/data_utils.py).
fn common_prefix(one: &str, other: &str) -> usize {
    let same = one.chars().zip(other.chars()).take_while(|(a, b)| a == b);
    let mut bytes: usize = same.map(|(a, _)| a.len_utf8()).sum();
    if one[..bytes].ends_with(' ') {
        bytes -= 1;
    }
    bytes
}

/// Two answers as lists of messages.
pub(super) struct Messages {
    /// The key of the list that holds the prompt; none where both answers begin with it.
    pub(super) prompt: Option<&'static str>,
    /// How messages are written.
    pub(super) dialect: Dialect,
    /// Whether an answer is one message and not a list of them.
    pub(super) is_single: bool,
}

impl Messages {
    fn read_answer(&self, keys: &mut Keys<'_>, key: &'static str) -> Result<Vec<Turn>, Misfit> {
        let at = At::Row;
        let at = at.key(key);
        let answer = keys.needed(key)?;
        if self.is_single {
            return Ok(vec![self.dialect.read_turn(answer, at)?]);
        }
        self.dialect.read(answer, &at)
    }
}

impl Form for Messages {
    fn read(&self, row: &Map<String, Value>) -> Result<Record, Misfit> {
        let mut keys = Keys::of(row, At::Row);
        let mut chosen = self.read_answer(&mut keys, "chosen")?;
        let mut rejected = self.read_answer(&mut keys, "rejected")?;
        let turns = match self.prompt {
            Some(prompt) => self.dialect.read(keys.needed(prompt)?, &At::Row.key(prompt))?,
            None => {
                let same = chosen.iter().zip(&rejected).take_while(|(a, b)| a == b).count();
                // An answer has at least one message; where all are the same, the last is the answer.
                let same = same.min(chosen.len().saturating_sub(1)).min(rejected.len().saturating_sub(1));
                rejected.drain(..same);
                chosen.drain(..same).collect()
            }
        };
        let mut record = Record::of(turns);
        record.preference = Some(Preference::Pair { chosen, rejected });
        record.tools = read_tools(&mut keys)?;
        (record.extra, record.spelling) = keys.rest();
        Ok(record)
    }

    fn write(
        &self,
        record: &Record,
        is_same: bool,
        losses: &mut Losses,
    ) -> Result<Map<String, Value>, Misfit> {
        let (chosen, rejected) = pair(record)?;
        count(record, losses);
        let prompt = turns_of(record, true);
        let mut row = Map::with_capacity(4);
        if let Some(key) = self.prompt {
            row.insert(key.to_owned(), self.dialect.write(&prompt, is_same, losses));
        }
        for (key, answer) in [("chosen", chosen), ("rejected", rejected)] {
            let value = match (self.is_single, self.prompt.is_some(), answer) {
                (true, _, [turn]) => self.dialect.write_turn(turn, is_same, &mut Default::default(), losses),
                (true, ..) => {
                    return Err(unfit("an answer has several turns, and the shape has room for one"));
                }
                (false, true, answer) => self.dialect.write(answer, is_same, losses),
                (false, false, answer) => {
                    let whole: Vec<Turn> = prompt.iter().chain(answer).cloned().collect();
                    self.dialect.write(&whole, is_same, losses)
                }
            };
            row.insert(key.to_owned(), value);
        }
        if self.dialect.has_calls {
            return Ok(with_tools(record, is_same, row));
        }
        losses.add_if(record.tools.is_some(), Loss::Tools);
        Ok(row)
    }

    fn fits(&self, row: &Map<String, Value>) -> bool {
        let is_message = |message: &Value| message.get(self.dialect.role).is_some_and(Value::is_string);
        let holds = |key: &str, is_single: bool| match row.get(key) {
            Some(Value::Array(messages)) if !is_single => messages.first().is_none_or(is_message),
            Some(message @ Value::Object(_)) if is_single => is_message(message),
            _ => false,
        };
        holds("chosen", self.is_single)
            && holds("rejected", self.is_single)
            && self.prompt.is_none_or(|prompt| holds(prompt, false))
    }

    fn why(&self) -> String {
        let Dialect { role, content, .. } = self.dialect;
        let what = if self.is_single { "have" } else { "are lists of" };
        match self.prompt {
            Some(prompt) => {
                format!("`chosen` and `rejected` {what} `{role}` and `{content}`, beside a list `{prompt}`")
            }
            None => format!("`chosen` and `rejected` {what} `{role}` and `{content}`"),
        }
    }

    fn kind(&self) -> Kind {
        Kind::Pair
    }

    fn columns(&self) -> &'static [&'static str] {
        &[]
    }

    fn path(&self, record: &Record, turn: usize) -> String {
        let content = self.dialect.content;
        match (self.prompt, turn.checked_sub(record.turns.len())) {
            (Some(prompt), None) => format!("/{prompt}/{turn}/{content}"),
            (Some(_), Some(_)) if self.is_single => format!("/chosen/{content}"),
            (Some(_), Some(answer)) => format!("/chosen/{answer}/{content}"),
            // The answer goes on from the prompt in one list.
            (None, _) => format!("/chosen/{turn}/{content}"),
        }
    }
}

/// OpenAI's preferences: `input`, `preferred_output`, `non_preferred_output` (spec/uit.md 7.4).
pub(super) struct OpenAiPreference;

impl Form for OpenAiPreference {
    fn read(&self, row: &Map<String, Value>) -> Result<Record, Misfit> {
        let mut keys = Keys::of(row, At::Row);
        let at = At::Row;
        let at_input = at.key("input");
        let mut input = Keys::of_value(keys.needed("input")?, at_input)?;
        let mut record = Record::of(OPENAI.read(input.needed("messages")?, &at_input.key("messages"))?);
        record.tools = match input.value("tools") {
            None => None,
            Some(tools @ Value::Array(_)) => Some(tools.clone()),
            Some(other) => return Err(at_input.key("tools").wrong_type("a list of functions", other)),
        };
        let chosen = read_messages(&mut keys, "preferred_output")?;
        let rejected = read_messages(&mut keys, "non_preferred_output")?;
        record.preference = Some(Preference::Pair { chosen, rejected });
        (record.extra, record.spelling) = keys.rest();
        let (more, nulls) = input.rest();
        for (name, keys, all) in [("input", more, &mut record.extra), ("input", nulls, &mut record.spelling)]
        {
            if !keys.is_empty() {
                all.insert(name.to_owned(), Value::Object(keys));
            }
        }
        Ok(record)
    }

    fn write(
        &self,
        record: &Record,
        is_same: bool,
        losses: &mut Losses,
    ) -> Result<Map<String, Value>, Misfit> {
        let (chosen, rejected) = pair(record)?;
        count(record, losses);
        let mut input = Map::with_capacity(2);
        let messages = OPENAI.write(&turns_of(record, true), is_same, losses);
        input.insert("messages".to_owned(), messages);
        Ok(Map::from_iter([
            ("input".to_owned(), Value::Object(with_tools(record, is_same, input))),
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

    fn columns(&self) -> &'static [&'static str] {
        &[]
    }

    fn path(&self, record: &Record, turn: usize) -> String {
        match turn.checked_sub(record.turns.len()) {
            Some(turn) => format!("/preferred_output/{turn}/content"),
            None => format!("/input/messages/{turn}/content"),
        }
    }
}

/// Spans of text of which the loss counts some: axolotl's `input_output`.
pub(super) struct Segments;

impl Form for Segments {
    fn read(&self, row: &Map<String, Value>) -> Result<Record, Misfit> {
        let mut keys = Keys::of(row, At::Row);
        let at = At::Row;
        let at = at.key("segments");
        let mut record = Record::default();
        for (index, segment) in list(keys.needed("segments")?, &at)?.iter().enumerate() {
            let at = at.index(index);
            let mut inside = Keys::of_value(segment, at)?;
            let said = text(inside.needed("text")?, &at.key("text"))?;
            let label = inside.needed("label")?;
            let label = label.as_bool().ok_or_else(|| at.key("label").wrong_type("a boolean", label))?;
            let mut turn = Turn::new(if label { Role::Assistant } else { Role::User }, said);
            (turn.extra, turn.spelling) = inside.rest();
            record.turns.push(turn);
        }
        (record.extra, record.spelling) = keys.rest();
        Ok(record)
    }

    fn write(
        &self,
        record: &Record,
        is_same: bool,
        losses: &mut Losses,
    ) -> Result<Map<String, Value>, Misfit> {
        count_structure(record, losses);
        count_fields(record, losses);
        // Segments are joined as they are: what parts the turns of a conversation is for a chat template.
        let is_pair = matches!(record.turns.as_slice(), [prompt, completion]
            if prompt.role == Role::User && completion.role == Role::Assistant);
        if !is_same && (!is_pair || record.system.is_some() || record.task.is_some()) {
            return Err(unfit("segments are joined as they are, and a conversation needs a chat template"));
        }
        let mut segments = Vec::with_capacity(record.turns.len());
        for turn in &record.turns {
            let label = turn.role == Role::Assistant;
            let said = match &turn.content {
                Content::Text(text) => text.clone(),
                _ => super::halves::text_of(turn, losses),
            };
            let mut segment = json!({"text": said, "label": label});
            if let (true, Some(segment)) = (is_same, segment.as_object_mut()) {
                super::keys::lay_over(segment, &turn.extra);
                super::keys::lay_over(segment, &turn.spelling);
            }
            segments.push(segment);
        }
        Ok(Map::from_iter([("segments".to_owned(), Value::Array(segments))]))
    }

    fn fits(&self, row: &Map<String, Value>) -> bool {
        row.get("segments")
            .and_then(Value::as_array)
            .is_some_and(|segments| segments.first().is_none_or(|segment| segment.get("label").is_some()))
    }

    fn why(&self) -> String {
        "`segments` is a list of `text` and `label`".to_owned()
    }

    fn kind(&self) -> Kind {
        Kind::Segments
    }

    fn columns(&self) -> &'static [&'static str] {
        &[]
    }

    fn path(&self, _: &Record, turn: usize) -> String {
        format!("/segments/{turn}/text")
    }
}
