//! Prompts for ordinary instruction models: what to do is said in words and shown by two
//! demonstrations, and the answer is a JSON object.
//!
//! The wording stands in `prompts/instruct/v1`: `system.txt` for all kinds, and a file for each kind
//! that begins with `passage.txt` and ends with `answer.txt`. It is part of what a dataset was made
//! with and part of the journal's key, so a released wording never changes: a better one goes into a
//! folder `v2`, and [`VERSION`] with it.
//!
//! The templates are Jinja with square brackets, `[[ value ]]` and `[% statement %]`, since the
//! `{{context}}` of the demonstrations has to reach the model as it stands.
//!
//! The passage comes first in the user's message. Everything up to its end is the same for all
//! kinds, so that an engine computes it once for a passage.

use std::sync::{Arc, LazyLock};

use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, context};
use serde_json::{Value, json};

use super::bonito::python_strip;
use crate::lm::Message;
use crate::rng;
use crate::task::TaskKind;

/// The name and version of these prompts, as provenance and the journal write it.
pub const VERSION: &str = "instruct/v1";

/// The labels of [`TaskKind::Sentiment`] where the user names none.
pub const SENTIMENT_LABELS: [&str; 3] = ["positive", "negative", "neutral"];

const SYSTEM: &str = include_str!("../../prompts/instruct/v1/system.txt");

macro_rules! files {
    ($($name:literal)*) => {
        /// Every template of the folder with its name, without the ending.
        const FILES: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../prompts/instruct/v1/", $name, ".txt"))),)*];
    };
}

files! {
    "passage" "answer"
    "exqa" "mcqa" "qg" "qa" "ynqa" "coref" "paraphrase" "paraphrase_id"
    "sent_comp" "sentiment" "summarization" "text_gen" "topic_class" "wsd" "te" "nli"
}

static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut templates = Environment::new();
    templates.set_auto_escape_callback(|_| AutoEscape::None);
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    let syntax = SyntaxConfig::builder()
        .variable_delimiters("[[", "]]")
        .block_delimiters("[%", "%]")
        .comment_delimiters("[#", "#]")
        .trim_blocks(true)
        .build()
        .expect("the three opening delimiters differ");
    templates.set_syntax(syntax);
    for (name, text) in FILES {
        templates.add_template(name, text).expect("a test renders every template of the folder");
    }
    templates
});

/// The conversation that asks for one example of `kind` over `passage`: a system message and a
/// user's.
///
/// The passage is stripped at its ends, as it is in the example later, and otherwise untouched:
/// template or chat markers in it are plain text here.
///
/// `labels` are what [`TaskKind::TopicClass`] and [`TaskKind::Sentiment`] choose from; other kinds
/// don't look at them. Without any, sentiment has [`SENTIMENT_LABELS`], and a short general topic is
/// asked for.
///
/// Left to themselves, models tend to write questions whose answer is yes. The prompts of
/// yes-no and inference kinds therefore say which answer is wanted: one that depends on the passage
/// and the kind alone, each equally often.
///
/// ```
/// use instil::{TaskKind, prompt::instruct::messages};
/// let messages = messages(TaskKind::Qa, "Rust was first released in 2015.", &[]);
/// assert_eq!(messages[0].role, "system");
/// assert!(messages[1].content.starts_with("<text>\nRust was first released in 2015.\n</text>\n"));
/// ```
pub fn messages(kind: TaskKind, passage: &str, labels: &[String]) -> Vec<Message> {
    let passage = python_strip(passage);
    let labels: Vec<String> = match kind {
        TaskKind::Sentiment if labels.is_empty() => SENTIMENT_LABELS.map(str::to_owned).to_vec(),
        TaskKind::Sentiment | TaskKind::TopicClass => labels.to_vec(),
        _ => Vec::new(),
    };
    let user = TEMPLATES
        .get_template(kind.short())
        .and_then(|template| {
            template.render(context! {
                passage,
                labels,
                open_label => kind == TaskKind::TopicClass,
                wanted => wanted(kind, passage),
            })
        })
        .expect("every kind has a template, and a test renders each with and without labels");
    vec![
        Message { role: "system", content: SYSTEM.trim_end().to_owned() },
        Message { role: "user", content: user },
    ]
}

/// The JSON schema of the answer: an object of two strings that aren't empty.
pub fn schema() -> Arc<Value> {
    static SCHEMA: LazyLock<Arc<Value>> = LazyLock::new(|| {
        Arc::new(json!({
            "type": "object",
            "properties": {
                "instruction": {"type": "string", "minLength": 1},
                "response": {"type": "string", "minLength": 1},
            },
            "required": ["instruction", "response"],
            "additionalProperties": false,
        }))
    });
    Arc::clone(&SCHEMA)
}

/// [`schema`] with a response out of a closed set, where there is one.
pub fn schema_of(responses: Vec<String>) -> Arc<Value> {
    if responses.is_empty() {
        return schema();
    }
    let mut closed = Value::clone(&schema());
    closed["properties"]["response"] = json!({"type": "string", "enum": responses});
    Arc::new(closed)
}

/// The responses that the prompt of a kind leaves to choose from, none where it is any; `labels` are those of
/// [`Style::labels`](super::Style::labels).
pub fn responses(kind: TaskKind, labels: &[String]) -> Vec<String> {
    match answers(kind) {
        [] => labels.to_vec(),
        answers => answers.iter().map(|answer| (*answer).to_owned()).collect(),
    }
}

/// The answer that an example of this kind over this passage is to have, for kinds whose answers
/// are a closed set.
fn wanted(kind: TaskKind, passage: &str) -> Option<&'static str> {
    let answers = answers(kind);
    if answers.is_empty() {
        return None;
    }
    let turn = rng::seed_of(0, &[VERSION, kind.short(), passage]) % answers.len() as u64;
    answers.get(turn as usize).copied()
}

/// The answers of the kinds whose prompts fix them; none for the other kinds.
fn answers(kind: TaskKind) -> &'static [&'static str] {
    match kind {
        TaskKind::Ynqa | TaskKind::ParaphraseId | TaskKind::Wsd | TaskKind::Te => &["Yes", "No"],
        TaskKind::Nli => &["Entailment", "Contradiction", "Neutral"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests;
