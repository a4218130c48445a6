//! A row under a prompt: what is asked, and what is right.

use serde_json::{Map, Value};

use super::alignment::{Ground, Rule};
use super::data::misfit;
use super::spec::{Benchmark, Choices, Head, Kind, Prompt, Template};
use super::wrap::Wrap;
use crate::record::Row;
use crate::reject::{Reason, Reject};
use crate::rng::seed_of;
use crate::template::engine::Fields;

/// One question.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// The row's own id, or its source and number.
    pub id: String,
    /// The row's group, where the benchmark has groups.
    pub group: Option<String>,
    /// Which of the benchmark's prompts it is under.
    pub prompt: usize,
    /// What is asked.
    pub ask: Ask,
    /// What each rule of the benchmark says of the row.
    pub grounds: Vec<Ground>,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// Which of these choices follows best.
    Choice {
        /// What stands before each choice.
        heads: Vec<String>,
        /// What is scored after each head.
        tails: Vec<String>,
        /// The choices, as texts.
        choices: Vec<String>,
        /// The number of the right one; 0 where the benchmark has no labels.
        gold: usize,
    },
    /// For an answer in words.
    Text {
        /// The prompt.
        prompt: String,
        /// The answers that are right; none where the benchmark has no labels.
        references: Vec<String>,
    },
    /// Whether this follows.
    Completion {
        /// What is given.
        prompt: String,
        /// What is to follow.
        completion: String,
    },
}

impl Ask {
    /// One text of what is asked, for those that answer in words.
    pub fn prompt(&self) -> String {
        match self {
            Self::Choice { heads, .. } if heads.windows(2).all(|pair| pair[0] == pair[1]) => {
                heads.first().cloned().unwrap_or_default()
            }
            Self::Choice { heads, .. } => heads.join("\n"),
            Self::Text { prompt, .. } | Self::Completion { prompt, .. } => prompt.clone(),
        }
    }

    /// The right answer in words.
    pub fn right(&self) -> &str {
        match self {
            Self::Choice { choices, gold, .. } => &choices[*gold],
            Self::Text { references, .. } => references.first().map_or("", String::as_str),
            Self::Completion { completion, .. } => completion,
        }
    }
}

/// What is wrong with a row, and the word for it.
pub(super) type Fault = (Reason, String);

impl Benchmark {
    /// The questions about a row, one under each prompt.
    ///
    /// # Errors
    /// When a field is missing, or the right answer is none of the choices.
    pub fn items(&self, row: &Row, wrap: &Wrap) -> Result<Vec<Item>, Reject> {
        self.asked(row, wrap).map_err(|(reason, why)| misfit(reason, &why, row))
    }

    fn asked(&self, row: &Row, wrap: &Wrap) -> Result<Vec<Item>, Fault> {
        let id = match row.fields.get("id") {
            Some(Value::String(id)) => id.clone(),
            Some(Value::Number(id)) => id.to_string(),
            _ => format!("{}:{}", row.origin.source, row.origin.row.unwrap_or(0)),
        };
        let fields = Fields::of(&row.fields);
        let group = match &self.group {
            None => None,
            Some(template) => Some(render(template, &fields, &row.fields, 0)?.trim().to_owned()),
        };
        let items = self.prompts.iter().enumerate().map(|(number, prompt)| {
            let seed = seed_of(0, &[&id, &prompt.name]);
            let asking = Asking { benchmark: self, row: &row.fields, fields: &fields, wrap, seed };
            let ask = asking
                .of(prompt)
                .map_err(|(reason, why)| (reason, format!("prompt `{}`: {why}", prompt.name)))?;
            let choices = match &ask {
                Ask::Choice { choices, .. } => choices.as_slice(),
                _ => &[],
            };
            let ground = |rule: &Rule| rule.ground(&fields, &row.fields, choices);
            let grounds = self.rules.iter().map(ground).collect::<Result<_, _>>()?;
            Ok(Item { id: id.clone(), group: group.clone(), prompt: number, ask, grounds })
        });
        items.collect()
    }
}

struct Asking<'a> {
    benchmark: &'a Benchmark,
    row: &'a Map<String, Value>,
    fields: &'a Fields,
    wrap: &'a Wrap,
    seed: u64,
}

impl Asking<'_> {
    fn of(&self, prompt: &Prompt) -> Result<Ask, Fault> {
        match &prompt.head {
            Head::Before(head, completion) => {
                let completion = self.text(completion)?;
                if completion.is_empty() {
                    return Err((Reason::EmptyText, "the completion is empty".into()));
                }
                Ok(Ask::Completion { prompt: self.wrapped(head)?, completion })
            }
            Head::Several(contexts, completion) => {
                let completion = self.text(completion)?;
                let heads = contexts.iter().map(|head| self.wrapped(head)).collect::<Result<Vec<_>, _>>()?;
                let choices = contexts.iter().map(|head| self.text(head)).collect::<Result<Vec<_>, _>>()?;
                let gold = self.gold(prompt, &choices)?;
                Ok(Ask::Choice { tails: vec![completion; heads.len()], heads, choices, gold })
            }
            Head::One(head) => {
                let text = self.wrapped(head)?;
                if matches!(self.benchmark.kind, Kind::Generate { .. }) {
                    let references = match &prompt.references {
                        Some(name) if self.benchmark.is_labelled => self.list(name)?,
                        _ => Vec::new(),
                    };
                    return Ok(Ask::Text { prompt: text, references });
                }
                let choices = match prompt.choices.as_ref() {
                    Some(Choices::Field(name)) => self.list(name)?,
                    Some(Choices::Each(list)) => {
                        list.iter().map(|jinja| self.text(jinja)).collect::<Result<_, _>>()?
                    }
                    None => Vec::new(),
                };
                let gold = self.gold(prompt, &choices)?;
                Ok(Ask::Choice { heads: vec![text; choices.len()], tails: choices.clone(), choices, gold })
            }
        }
    }

    fn wrapped(&self, head: &Template) -> Result<String, Fault> {
        Ok(self.wrap.around(&self.text(head)?))
    }

    fn text(&self, template: &Template) -> Result<String, Fault> {
        let text = render(template, self.fields, self.row, self.seed)?;
        Ok(if self.benchmark.strip { text.trim().to_owned() } else { text })
    }

    /// The texts of a field: those of its list, or the one that it is.
    fn list(&self, name: &str) -> Result<Vec<String>, Fault> {
        let text = |value: &Value| match value {
            Value::String(text) => Ok(text.clone()),
            Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
            _ => Err((Reason::NotText, format!("`{name}` holds something else than texts"))),
        };
        let list: Vec<String> = match self.row.get(name) {
            None | Some(Value::Null) => return Err((Reason::MissingField, format!("there is no `{name}`"))),
            Some(Value::Array(list)) => list.iter().map(text).collect::<Result<_, _>>()?,
            Some(one) => vec![text(one)?],
        };
        match list.is_empty() {
            true => Err((Reason::EmptyText, format!("`{name}` is empty"))),
            false => Ok(list),
        }
    }

    /// The number of the right choice.
    fn gold(&self, prompt: &Prompt, choices: &[String]) -> Result<usize, Fault> {
        if !self.benchmark.is_labelled {
            return Ok(0);
        }
        let given =
            |template: &Template| Ok(render(template, self.fields, self.row, self.seed)?.trim().to_owned());
        if let Some(template) = &prompt.gold {
            let text = given(template)?;
            return text.parse().ok().filter(|number| *number < choices.len()).ok_or_else(|| {
                (Reason::NotAnOption, format!("`{text}` is no number of one of {} choices", choices.len()))
            });
        }
        let text = prompt.answer.as_ref().map(given).transpose()?.unwrap_or_default();
        choices.iter().position(|choice| choice.trim() == text).ok_or_else(|| {
            (Reason::NotAnOption, format!("`{text}` is none of the choices `{}`", choices.join("`, `")))
        })
    }
}

/// A template over a row.
///
/// # Errors
/// When the row lacks a field that the template takes for granted, or doesn't fit it.
pub(super) fn render(
    template: &Template,
    fields: &Fields,
    row: &Map<String, Value>,
    seed: u64,
) -> Result<String, Fault> {
    let is_missing = |name: &&String| row.get(name.as_str()).is_none_or(Value::is_null);
    if let Some(name) = template.compiled.required().iter().find(is_missing) {
        return Err((Reason::MissingField, format!("there is no `{name}`")));
    }
    template
        .compiled
        .text(fields, seed)
        .map_err(|fault| (Reason::NotRendered, format!("{} in `{}`", fault.message, template.jinja)))
}
