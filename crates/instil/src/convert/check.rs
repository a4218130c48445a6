//! The universal validator (spec/uit.md 7.12): what is wrong with a record whatever its shape.
//!
//! An error is a record that would teach something that nobody meant: an empty answer, a call of a function that
//! isn't there. A warning is a text that looks as if something went wrong on its way.

use std::collections::HashSet;

use serde_json::Value;

use super::record::{Content, Preference, Ranked, Record, Role, Turn};
use super::{Kind, Shape};
use crate::reject::Reason;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The row should not be used; `convert` rejects it.
    Error,
    /// It may be meant.
    Warning,
}

impl Severity {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// Something that is wrong with a record.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// One word; of an error, the word of its [`Reason`].
    pub code: &'static str,
    /// The reason that rejects know an error by.
    pub reason: Option<Reason>,
    /// Where in the row: a JSON pointer.
    pub path: String,
    /// What is there.
    pub message: String,
    /// What to do about it.
    pub hint: &'static str,
}

impl Finding {
    /// How bad it is.
    pub fn severity(&self) -> Severity {
        if self.reason.is_some() { Severity::Error } else { Severity::Warning }
    }
}

/// The first error of a record that was read as `shape`.
pub fn first_error(record: &Record, shape: &Shape) -> Option<Finding> {
    let mut found = Vec::new();
    errors(record, shape, &mut found);
    found.into_iter().next()
}

/// Everything that is wrong with a record that was read as `shape`, errors first.
pub fn check(record: &Record, shape: &Shape) -> Vec<Finding> {
    let mut found = Vec::new();
    errors(record, shape, &mut found);
    warnings(record, shape, &mut found);
    found
}

fn errors(record: &Record, shape: &Shape, found: &mut Vec<Finding>) {
    let mut error = |reason: Reason, path: String, message: String, hint: &'static str| {
        found.push(Finding { code: reason.word(), reason: Some(reason), path, message, hint });
    };
    let kind = shape.kind();
    if let Some((turn, message)) = out_of_order(record, kind) {
        error(
            Reason::RoleOrder,
            shape.path(record, turn),
            message,
            "a user's and an assistant's turns alternate",
        );
    }
    if let Some((turn, message)) = empty_target(record, kind) {
        error(
            Reason::EmptyTarget,
            shape.path(record, turn),
            message,
            "give it an answer or leave the row out",
        );
    }
    for (turn, reason, message) in tool_faults(record) {
        error(reason, shape.path(record, turn), message, "calls, their results and `tools` belong together");
    }
    match &record.preference {
        Some(Preference::Pair { chosen, rejected }) if chosen == rejected => {
            let path = shape.path(record, record.turns.len());
            let message = "the answer that is liked better and the other one are the same".to_owned();
            error(Reason::SameAnswers, path, message, "leave the row out: nothing is to be learnt from it");
        }
        Some(Preference::Pair { .. }) if is_mismatched(record, shape) => {
            let message = "the two answers don't begin with the same prompt".to_owned();
            let hint = "both must be the same conversation up to the answer";
            error(Reason::PromptMismatch, shape.path(record, 0), message, hint);
        }
        Some(Preference::Ranked(answers)) => {
            let rank = |answer: &Ranked| answer.rank.as_f64().map(f64::to_bits);
            let mut seen = HashSet::new();
            if let Some(twice) = answers.iter().find(|answer| !seen.insert(rank(answer))) {
                let message = format!("two answers have the rank {}", twice.rank);
                let hint = "ranks tell answers apart: leave one of them out";
                error(Reason::DuplicateRank, shape.path(record, record.turns.len()), message, hint);
            }
        }
        _ => {}
    }
    let mut assistants = record.turns.iter().filter(|turn| turn.role == Role::Assistant).peekable();
    if assistants.peek().is_some() && assistants.all(|turn| turn.train == Some(false)) {
        let message = "no answer counts for the loss".to_owned();
        error(Reason::NothingTrained, shape.path(record, 0), message, "give one answer the weight 1");
    }
}

/// Whether a prompt that both answers should begin with is not there.
fn is_mismatched(record: &Record, shape: &Shape) -> bool {
    let has_prompt = record.turns.iter().any(|turn| turn.role == Role::User && !turn.content.is_blank());
    match shape.name {
        "preference-implicit" | "preference-implicit-messages" => !has_prompt,
        "preference-ultra" => !has_prompt || record.spelling.contains_key("prompt"),
        _ => false,
    }
}

/// The first turn that is not where it should be.
fn out_of_order(record: &Record, kind: Kind) -> Option<(usize, String)> {
    if matches!(kind, Kind::Segments | Kind::Text | Kind::Tokens) {
        return None;
    }
    let standing = record.turns.iter().take_while(|turn| turn.role.is_standing()).count();
    let chosen = match &record.preference {
        Some(Preference::Pair { chosen, .. }) => chosen.as_slice(),
        _ => &[],
    };
    // A definition without an input stands for the user's turn.
    let mut before = record.definition().map(|_| (Role::User, false));
    for (index, turn) in record.turns.iter().chain(chosen).enumerate().skip(standing) {
        let calls = !turn.tool_calls.is_empty() || turn.spelling.values().any(|word| word == "function_call");
        let is_right = match (before, turn.role) {
            (None, Role::User) => true,
            // The definition is before the first user's turn, not in its place.
            (Some((Role::User, _)), Role::User) => index == standing && record.task.is_some(),
            (Some((Role::User | Role::Tool, _)), Role::Assistant) => true,
            (Some((Role::Assistant, called)), Role::Tool) => called,
            (Some((Role::Tool, _)), Role::Tool) => true,
            (Some((Role::Assistant, _)), Role::User) => true,
            _ => false,
        };
        if !is_right {
            let role = turn.role.word();
            let message = match before {
                None => format!("the conversation begins with `{role}`"),
                Some((Role::Assistant, false)) if turn.role == Role::Tool => {
                    "a result follows an answer that calls nothing".to_owned()
                }
                Some((before, _)) => format!("`{role}` follows `{}`", before.word()),
            };
            return Some((index, message));
        }
        before = Some((turn.role, calls));
    }
    None
}

fn empty_target(record: &Record, kind: Kind) -> Option<(usize, String)> {
    let is_empty = |turn: &Turn| turn.content.is_blank() && turn.tool_calls.is_empty();
    match (&record.preference, kind) {
        (Some(Preference::Pair { chosen, rejected }), _) => {
            let is_blank = |turns: &[Turn]| turns.iter().all(is_empty);
            (is_blank(chosen) || is_blank(rejected))
                .then(|| (record.turns.len(), "one of the answers is empty".to_owned()))
        }
        (Some(Preference::Steps(steps)), _) => {
            steps.is_empty().then(|| (record.turns.len(), "there is no step of an answer".to_owned()))
        }
        (Some(Preference::Ranked(answers)), _) => {
            let is_blank = answers.is_empty() || answers.iter().any(|answer| answer.text.trim().is_empty());
            is_blank.then(|| (record.turns.len(), "one of the answers is empty".to_owned()))
        }
        (_, Kind::Tokens) => None,
        (_, Kind::Prompt) => record.turns.iter().all(is_empty).then(|| (0, "the prompt is empty".to_owned())),
        _ => match record.turns.iter().rposition(|turn| turn.role == Role::Assistant) {
            None => Some((record.turns.len().saturating_sub(1), "there is no answer".to_owned())),
            Some(last) => is_empty(&record.turns[last]).then(|| (last, "the answer is empty".to_owned())),
        },
    }
}

/// Calls and results that don't belong together.
fn tool_faults(record: &Record) -> Vec<(usize, Reason, String)> {
    let mut faults = Vec::new();
    let answers: Vec<&[Turn]> = match &record.preference {
        Some(Preference::Pair { chosen, rejected }) => vec![chosen, rejected],
        _ => Vec::new(),
    };
    let has_calls = |turn: &Turn| !turn.tool_calls.is_empty() || turn.tool_call_id.is_some();
    if !record.turns.iter().chain(answers.iter().copied().flatten()).any(has_calls) {
        return faults;
    }
    let names: HashSet<&str> = record
        .tools
        .iter()
        .filter_map(Value::as_array)
        .flatten()
        .filter_map(|tool| tool.get("function").unwrap_or(tool).get("name")?.as_str())
        .collect();
    let mut ids = HashSet::new();
    let mut look = |index: usize, turn: &Turn| {
        for call in &turn.tool_calls {
            ids.extend(call.id.clone());
            if !names.contains(call.name.as_str()) {
                let message = format!("`{}` is called, and `tools` doesn't define it", call.name);
                faults.push((index, Reason::UndefinedTool, message));
            }
            if let Value::String(arguments) = &call.arguments
                && serde_json::from_str::<serde::de::IgnoredAny>(arguments).is_err()
            {
                let message = format!("the arguments of `{}` are no JSON", call.name);
                faults.push((index, Reason::InvalidArguments, message));
            }
        }
        if let Some(id) = turn.tool_call_id.as_ref().filter(|id| !ids.contains(*id)) {
            faults.push((index, Reason::UnmatchedTool, format!("no call before has the id `{id}`")));
        }
    };
    for (index, turn) in record.turns.iter().enumerate() {
        look(index, turn);
    }
    for answer in answers {
        for (index, turn) in answer.iter().enumerate() {
            look(record.turns.len() + index, turn);
        }
    }
    faults
}

/// Delimiters of chat templates.
const MARKERS: &[&str] = &[
    "<|im_start|>",
    "<|im_end|>",
    "<|endoftext|>",
    "<|eot_id|>",
    "<|start_header_id|>",
    "[INST]",
    "[/INST]",
    "<start_of_turn>",
    "<end_of_turn>",
];

/// Traces of UTF-8 that was read as Latin-1.
const MOJIBAKE: &[&str] =
    &["â€™", "â€œ", "â€\u{9d}", "â€“", "â€”", "Ã©", "Ã¨", "Ã¼", "Ã¶", "Ã¤", "Â\u{a0}", "\u{fffd}"];

const ENTITIES: &[&str] = &["&amp;", "&lt;", "&gt;", "&quot;", "&#39;", "&nbsp;"];

fn warnings(record: &Record, shape: &Shape, found: &mut Vec<Finding>) {
    let mut warn = |code: &'static str, path: String, message: String, hint: &'static str| {
        found.push(Finding { code, reason: None, path, message, hint });
    };
    // What stands apart from the turns has its place in the row itself.
    for text in record.system.as_deref().into_iter().chain(record.definition()) {
        of_text(text, &mut |code, message, hint| warn(code, String::new(), message, hint));
    }
    let chosen = match &record.preference {
        Some(Preference::Pair { chosen, .. }) => chosen.as_slice(),
        _ => &[],
    };
    for (index, turn) in record.turns.iter().chain(chosen).enumerate() {
        let Content::Text(text) = &turn.content else { continue };
        let mut warn = |code, message, hint| warn(code, shape.path(record, index), message, hint);
        of_text(text, &mut warn);
        if turn.role != Role::Assistant {
            continue;
        }
        if !is_declared(record, text) {
            let message = "the answer is none of the outputs that are declared".to_owned();
            warn("undeclared_output", message, "a label may be misspelt");
        }
        if text.ends_with("...") || text.ends_with('…') {
            warn("cut_off", "the answer ends in dots".to_owned(), "it may have been cut");
        } else if ends_amid_sentence(text) {
            warn("mid_sentence", "the answer ends amid a sentence".to_owned(), "it may have been cut");
        }
    }
    if shape.kind() == Kind::Tuning
        && let Some(last) = record.turns.last().filter(|last| last.role != Role::Assistant)
        && record.turns.iter().any(|turn| turn.role == Role::Assistant)
    {
        let path = shape.path(record, record.turns.len() - 1);
        let message = format!("the conversation ends with `{}`", last.role.word());
        warn("trailing_turn", path, message, "nothing answers it, so that nothing is learnt from it");
    }
}

/// What looks wrong in a text whoever says it; `warn` gets code, message and hint.
fn of_text(text: &str, warn: &mut dyn FnMut(&'static str, String, &'static str)) {
    if let Some(marker) = MARKERS.iter().find(|marker| text.contains(**marker)) {
        let hint = "a chat template would take it for its own; it stays as it is in shapes that are no text";
        warn("template_marker", format!("the text holds `{marker}`"), hint);
    }
    if text.contains("|||") {
        let hint = "PromptSource parts prompt and answer by it; it may be left over";
        warn("separator", "the text holds `|||`".to_owned(), hint);
    }
    if let Some(slot) = slot(text) {
        let hint = "a template may not have been filled in";
        warn("unresolved_slot", format!("the text holds `{slot}`"), hint);
    }
    if let Some(entity) = ENTITIES.iter().find(|entity| text.contains(**entity)) {
        warn("html_entity", format!("the text holds `{entity}`"), "decode it if it is not meant");
    }
    if let Some(trace) = MOJIBAKE.iter().find(|trace| text.contains(**trace)) {
        let hint = "the text was read in another encoding than it was written in";
        warn("mojibake", format!("the text holds `{trace}`"), hint);
    }
    if let Some(control) = text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        let message = format!("the text holds U+{:04X}", u32::from(control));
        warn("control_character", message, "leave it out if it is not meant");
    }
    if matches!(text.trim(), "nan" | "NaN" | "None" | "null" | "undefined") {
        let message = format!("the text is `{}`", text.trim());
        warn("literal_null", message, "a missing value may have become a word");
    }
    if let Some(open) = left_open(text) {
        warn("unbalanced", format!("a `{open}` is not closed"), "the text may have been cut");
    }
}

/// A bracket of which more open than close, or a quotation mark that is there an odd number of times.
fn left_open(text: &str) -> Option<char> {
    let count = |wanted: char| text.chars().filter(|c| *c == wanted).count();
    let bracket =
        [('(', ')'), ('[', ']'), ('{', '}')].into_iter().find(|(open, close)| count(*open) > count(*close));
    bracket.map(|(open, _)| open).or_else(|| (count('"') % 2 == 1).then_some('"'))
}

/// Whether a text of several sentences has no end: a label or a phrase needs none.
fn ends_amid_sentence(text: &str) -> bool {
    let end = text.trim_end();
    let has_sentences = end.contains(". ") || end.contains(".\n");
    has_sentences && end.ends_with(|last: char| last.is_alphanumeric() || matches!(last, ',' | ';' | '-'))
}

/// Whether an answer is one of the outputs there are, where they are said and the answer is one of few.
fn is_declared(record: &Record, answer: &str) -> bool {
    let outputs = record.task.as_deref().map_or(&[][..], |task| &task.allowed_outputs);
    let is_label = record.read_as.as_deref() != Some("explain-choice");
    outputs.is_empty() || !is_label || outputs.iter().any(|output| output.trim() == answer.trim())
}

/// The first `{{ name }}` or `{name}` of a text.
fn slot(text: &str) -> Option<&str> {
    let is_name = |name: &str| {
        !name.is_empty() && name.len() <= 40 && name.chars().all(|c| c.is_alphanumeric() || c == '_')
    };
    text.match_indices('{').find_map(|(start, _)| {
        let rest = &text[start..];
        let (open, close) = if rest.starts_with("{{") { ("{{", "}}") } else { ("{", "}") };
        let end = rest.find(close)?;
        let name = rest.get(open.len()..end)?;
        let name = if open == "{{" { name.trim() } else { name };
        // A single letter or a number in braces is mathematics.
        let is_slot = is_name(name) && (open == "{{" || name.len() > 2 && name.is_ascii());
        is_slot.then(|| &rest[..end + close.len()])
    })
}
