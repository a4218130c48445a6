//! Styles: how an instruction, its examples and an instance are put together to a prompt.
//!
//! A style is a table of a TOML file, so that whoever knows how a training set was worded can write it down:
//!
//! ```toml
//! [[style]]
//! name = "plain"
//! level = "task"
//! prompt = """
//! {definition}
//!
//! {input}"""
//! field = "{name}: {value}"
//! between = "\n"
//! ```
//!
//! `{definition}`, `{input}`, `{positive}` and `{negative}` stand for the parts of a prompt, `{{` and `}}` for braces.

use serde::{Deserialize, Serialize};

use super::instruction::{Exemplar, Field, Instance, Instruction};
use crate::error::{Error, Result, nearest};
use crate::recipe::misread;
use crate::rng;

/// Of what an instruction consists (spec/uit.md 1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// A definition that holds for all instances and stands apart from them, with examples.
    Task,
    /// A short text around one instance.
    Instance,
    /// The names of the fields and nothing else.
    Keyword,
}

impl Level {
    /// All levels.
    pub const ALL: [Self; 3] = [Self::Task, Self::Instance, Self::Keyword];

    /// The word for it, in recipes and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Instance => "instance",
            Self::Keyword => "keyword",
        }
    }

    /// The level of this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn parse(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|level| level.name() == name).ok_or_else(|| {
            Error::usage(format!("there is no level `{name}`"))
                .with_hint("there are `task`, `instance` and `keyword`")
        })
    }
}

/// A part of a style's template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    Definition,
    Input,
    Positive,
    Negative,
    Name,
    Value,
    Number,
    Output,
    Explanation,
}

const SLOTS: [(&str, Slot); 9] = [
    ("definition", Slot::Definition),
    ("input", Slot::Input),
    ("positive", Slot::Positive),
    ("negative", Slot::Negative),
    ("name", Slot::Name),
    ("value", Slot::Value),
    ("number", Slot::Number),
    ("output", Slot::Output),
    ("explanation", Slot::Explanation),
];

/// A constant text, or what stands for something.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Slot(Slot),
}

/// How instructions and instances are written: a table of a style file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Style {
    written: Written,
    prompt: Vec<Part>,
    field: Vec<Part>,
    positive: Vec<Part>,
    negative: Vec<Part>,
}

/// A style as its file has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    level: Level,
    #[serde(default = "once")]
    weight: f64,
    prompt: String,
    #[serde(default = "labelled")]
    field: String,
    #[serde(default = "line")]
    between: String,
    /// Whether a field that is alone stands with its name.
    #[serde(default)]
    name_alone: bool,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    positive: String,
    #[serde(default, skip_serializing_if = "is_none")]
    most_positive: usize,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    negative: String,
    #[serde(default, skip_serializing_if = "is_none")]
    most_negative: usize,
}

fn once() -> f64 {
    1.0
}

fn labelled() -> String {
    "{name}: {value}".to_owned()
}

fn line() -> String {
    "\n".to_owned()
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_none(number: &usize) -> bool {
    *number == 0
}

impl TryFrom<Written> for Style {
    type Error = Error;

    fn try_from(written: Written) -> Result<Self> {
        let Written { name, level, .. } = &written;
        let refuse = |what: &str, hint: &str| {
            Err(Error::input(format!("the style `{name}` {what}")).with_hint(hint.to_owned()))
        };
        if !(written.weight.is_finite() && written.weight > 0.0) {
            return refuse(
                "has a weight that is no number above 0",
                "`weight = 2` makes it come twice as often",
            );
        }
        let parts = |key: &str, text: &str, slots: &[Slot]| parse(name, key, text, slots);
        let prompt = parts(
            "prompt",
            &written.prompt,
            &[Slot::Definition, Slot::Input, Slot::Positive, Slot::Negative],
        )?;
        let count = |slot: Slot| prompt.iter().filter(|part| **part == Part::Slot(slot)).count();
        if count(Slot::Input) != 1 || count(Slot::Definition) > 1 {
            return refuse("has not one `{input}` in its prompt", "an instance stands in a prompt once");
        }
        match (level, count(Slot::Definition)) {
            (Level::Keyword, 1) => {
                return refuse(
                    "is of keywords and has a `{definition}`",
                    "at that level the names of the fields are all there is; write `level = \"instance\"`",
                );
            }
            (Level::Task | Level::Instance, 0) => {
                return refuse("has no `{definition}` in its prompt", "say where the task is told");
            }
            _ => {}
        }
        let field = parts("field", &written.field, &[Slot::Name, Slot::Value])?;
        if field.iter().filter(|part| **part == Part::Slot(Slot::Value)).count() != 1 {
            return refuse("has not one `{value}` in its field", "a field's content stands in a prompt once");
        }
        let example = [Slot::Number, Slot::Input, Slot::Output, Slot::Explanation];
        let positive = parts("positive", &written.positive, &example)?;
        let negative = parts("negative", &written.negative, &example)?;
        Ok(Self { prompt, field, positive, negative, written })
    }
}

impl From<Style> for Written {
    fn from(style: Style) -> Self {
        style.written
    }
}

/// The parts of a template's text, in which these slots may stand.
fn parse(style: &str, key: &str, text: &str, slots: &[Slot]) -> Result<Vec<Part>> {
    let fault = |what: String| {
        let known: Vec<String> = SLOTS
            .iter()
            .filter(|(_, slot)| slots.contains(slot))
            .map(|(name, _)| format!("`{{{name}}}`"))
            .collect();
        Error::input(format!("`{key}` of the style `{style}` {what}"))
            .with_hint(format!("there are {}; a brace is written twice: `{{{{`", known.join(", ")))
    };
    let mut parts = Vec::new();
    let mut constant = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        constant.push_str(&rest[..at]);
        let (brace, after) = (&rest[at..=at], &rest[at + 1..]);
        if let Some(after) = after.strip_prefix(brace) {
            constant.push_str(brace);
            rest = after;
            continue;
        }
        let end = after.find('}').filter(|_| brace == "{");
        let Some(end) = end else { return Err(fault("has a brace without its other one".to_owned())) };
        let name = &after[..end];
        let slot = SLOTS.iter().find(|(known, slot)| *known == name && slots.contains(slot));
        let Some((_, slot)) = slot else {
            return Err(fault(format!("has a `{{{name}}}`, which stands for nothing")));
        };
        if !constant.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut constant)));
        }
        parts.push(Part::Slot(*slot));
        rest = &after[end + 1..];
    }
    constant.push_str(rest);
    if !constant.is_empty() {
        parts.push(Part::Text(constant));
    }
    Ok(parts)
}

impl Style {
    /// The styles of a file.
    ///
    /// # Errors
    /// When it is no TOML, has no style, two of one name, or one that has no meaning.
    pub fn parse_file(text: &str) -> Result<Vec<Self>> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct File {
            #[serde(default)]
            style: Vec<Written>,
        }
        let File { style } = toml::from_str(text).map_err(|error| misread(text, &error))?;
        if style.is_empty() {
            return Err(Error::input("there is no style in it").with_hint("a style begins with [[style]]"));
        }
        let styles: Vec<Self> = style.into_iter().map(Self::try_from).collect::<Result<_>>()?;
        for (at, style) in styles.iter().enumerate() {
            if styles[..at].iter().any(|other| other.name() == style.name()) {
                return Err(Error::input(format!("two styles are named `{}`", style.name()))
                    .with_hint("give one of them another name"));
            }
        }
        Ok(styles)
    }

    /// A style without examples.
    ///
    /// # Errors
    /// When its texts have no meaning.
    pub(crate) fn new(name: &str, level: Level, prompt: &str, field: &str, between: &str) -> Result<Self> {
        Self::try_from(Written {
            name: name.to_owned(),
            level,
            weight: once(),
            prompt: prompt.to_owned(),
            field: field.to_owned(),
            between: between.to_owned(),
            name_alone: level == Level::Keyword,
            positive: String::new(),
            most_positive: 0,
            negative: String::new(),
            most_negative: 0,
        })
    }

    /// The style as a file has it.
    pub fn to_toml(&self) -> String {
        #[derive(Serialize)]
        struct File<'a> {
            style: [&'a Written; 1],
        }
        toml::to_string(&File { style: [&self.written] }).expect("a style is plain values")
    }

    /// The built-in style of this name.
    ///
    /// # Errors
    /// When there is none; the hint says the nearest one.
    pub fn built_in(name: &str) -> Result<Self> {
        let all = Self::all_built_in();
        let hint = match nearest(name, all.iter().map(Self::name)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                let names: Vec<&str> = all.iter().map(Self::name).collect();
                format!("name a file of styles or a dataset, or one of {}", names.join(", "))
            }
        };
        let found = all.into_iter().find(|style| style.name() == name);
        found.ok_or_else(|| Error::usage(format!("there is no style `{name}`")).with_hint(hint))
    }

    /// The styles that the program knows.
    ///
    /// # Panics
    /// Never: a test reads them.
    pub fn all_built_in() -> Vec<Self> {
        Self::parse_file(include_str!("styles.toml")).expect("the built-in styles are well formed")
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.written.name
    }

    /// Its level.
    pub fn level(&self) -> Level {
        self.written.level
    }

    /// How often it is drawn, in proportion to the others.
    pub fn weight(&self) -> f64 {
        self.written.weight
    }

    /// Whether it has a place for a definition.
    pub fn has_definition(&self) -> bool {
        self.prompt.contains(&Part::Slot(Slot::Definition))
    }

    /// What an instance's fields are in this style: the text that stands for `{input}`.
    pub fn input(&self, fields: &[Field]) -> String {
        let mut input = String::new();
        self.push_input(&pairs(fields), &mut input);
        input
    }

    /// Adds [`input`](Self::input) of names and contents; gives where each content begins.
    pub(crate) fn push_input(&self, fields: &[(&str, &str)], input: &mut String) -> Vec<usize> {
        let mut begins = Vec::with_capacity(fields.len());
        for (at, (name, value)) in fields.iter().enumerate() {
            if at > 0 {
                input.push_str(&self.written.between);
            }
            if name.is_empty() || (fields.len() == 1 && !self.written.name_alone) {
                begins.push(input.len());
                input.push_str(value);
                continue;
            }
            for part in &self.field {
                match part {
                    Part::Text(text) => input.push_str(text),
                    Part::Slot(Slot::Name) => input.push_str(name),
                    Part::Slot(_) => {
                        begins.push(input.len());
                        input.push_str(value);
                    }
                }
            }
        }
        begins
    }

    /// The style with a task's words in their places.
    pub fn bind(&self, instruction: &Instruction) -> Bound<'_> {
        let (mut before, mut after) = (String::new(), String::new());
        let mut is_before = true;
        for part in &self.prompt {
            let side = if is_before { &mut before } else { &mut after };
            match part {
                Part::Text(text) => side.push_str(text),
                Part::Slot(Slot::Definition) => {
                    let definition = instruction.definition.as_deref().unwrap_or_default();
                    match self.level() {
                        Level::Task => side.push_str(definition.trim()),
                        Level::Instance | Level::Keyword => side.push_str(&one_line(definition)),
                    }
                }
                Part::Slot(Slot::Positive) => {
                    push_examples(&self.positive, &instruction.positive, self.written.most_positive, side);
                }
                Part::Slot(Slot::Negative) => {
                    push_examples(&self.negative, &instruction.negative, self.written.most_negative, side);
                }
                Part::Slot(_) => is_before = false,
            }
        }
        Bound { style: self, before, after }
    }

    /// Whether examples of a task have no place in it.
    pub fn drops_examples(&self, instruction: &Instruction) -> bool {
        let has = |slot: Slot| self.prompt.contains(&Part::Slot(slot));
        let kept = |has: bool, most: usize| if has { most } else { 0 };
        instruction.positive.len() > kept(has(Slot::Positive), self.written.most_positive)
            || instruction.negative.len() > kept(has(Slot::Negative), self.written.most_negative)
    }
}

fn push_examples(parts: &[Part], examples: &[Exemplar], most: usize, to: &mut String) {
    for (at, example) in examples.iter().take(most).enumerate() {
        for part in parts {
            match part {
                Part::Text(text) => to.push_str(text),
                Part::Slot(Slot::Number) => to.push_str(&(at + 1).to_string()),
                Part::Slot(Slot::Input) => to.push_str(&example.input),
                Part::Slot(Slot::Output) => to.push_str(&example.output),
                Part::Slot(_) => to.push_str(example.explanation.as_deref().unwrap_or_default()),
            }
        }
    }
}

fn pairs(fields: &[Field]) -> Vec<(&str, &str)> {
    fields.iter().map(|field| (field.name.as_str(), field.value.as_str())).collect()
}

/// A text on one line: a definition at the level of instances.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A style with a task's words in their places: what is the same for all of its instances is a text already.
#[derive(Clone, Debug)]
pub struct Bound<'a> {
    style: &'a Style,
    before: String,
    after: String,
}

impl<'a> Bound<'a> {
    /// The style.
    pub fn style(&self) -> &'a Style {
        self.style
    }

    /// The prompt of an instance.
    pub fn prompt(&self, instance: &Instance) -> String {
        let mut prompt = String::new();
        self.push_prompt(&pairs(&instance.fields), &mut prompt);
        prompt
    }

    /// Adds [`prompt`](Self::prompt) of names and contents; gives where each content begins.
    pub(crate) fn push_prompt(&self, fields: &[(&str, &str)], prompt: &mut String) -> Vec<usize> {
        prompt.push_str(&self.before);
        let begins = self.style.push_input(fields, prompt);
        prompt.push_str(&self.after);
        begins
    }
}

/// Which of several styles a row gets: a function of the seed, the task and the row's number.
#[derive(Clone, Debug)]
pub struct Drawn {
    /// The sums of the weights up to each style, the last of which is 1.
    upto: Vec<f64>,
}

impl Drawn {
    /// A draw among these styles by their weights.
    pub fn new(styles: &[Style]) -> Self {
        let all: f64 = styles.iter().map(Style::weight).sum();
        let mut sum = 0.0;
        let upto = styles.iter().map(|style| {
            sum += style.weight() / all;
            sum
        });
        Self { upto: upto.collect() }
    }

    /// The style of row `number` of a task, whose seed is `seed`.
    pub fn at(&self, seed: u64, number: u64) -> usize {
        // The 53 bits that a float has.
        let drawn = (rng::nth(seed, number) >> 11) as f64 / (1_u64 << 53) as f64;
        self.upto.iter().position(|upto| drawn < *upto).unwrap_or(self.upto.len() - 1)
    }
}
