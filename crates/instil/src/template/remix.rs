//! A template turned inside out: the passage in front, instruction and response behind it (spec/bonito.md 2.2).
//!
//! The expression that prints the passage is found in the template and replaced by `{{copy_context}}`, a
//! variable that prints [`PLACEHOLDER`]; the expression itself goes in front, parted by `|||`. Rendered, such
//! a meta-template gives the passage and what a task generator is to make of it:
//!
//! ```
//! use instil::template::{Collection, remix};
//! # let folder = tempfile::tempdir()?;
//! # let file = folder.path().join("leases.yaml");
//! std::fs::write(&file, "{name: ask, task: qa, jinja: '{{ text }} {{ question }} ||| {{ answer }}'}")?;
//! let inversion = remix::invert(&Collection::read(&file)?, false);
//! let [inverted] = inversion.inverted.as_slice() else { unreachable!() };
//! assert_eq!(inverted.jinja, "{{ text }} ||| {{copy_context}} {{ question }} ||| {{ answer }}");
//!
//! let row = serde_json::json!({"text": "The lease ends.", "question": "What ends?", "answer": "The lease"});
//! let fields = remix::fields(row.as_object().unwrap().clone(), inverted.reference)?;
//! let pair = inverted.pair(&inverted.compile().unwrap().render(&fields, 0).unwrap())?;
//! assert_eq!((&*pair.instruction, &*pair.response), ("{{context}} What ends?", "The lease"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The two ways
//!
//! Under reference a collection becomes what the published construction makes of it, defects included: the
//! 323 templates of its table, the passage found literally or else with more or fewer blanks inside its
//! braces, fields cut at 2,048 characters, instruction and response parted by a line `[pipe]`.
//!
//! Otherwise the passage is found by its tokens, so that blanks, quotes, escapes and the marks that eat
//! blanks make no difference, and behind the filters `trim`, `string` and `safe` too, which change no more
//! than its ends; the four templates that the table lost are used; nothing is cut; instruction and response
//! are parted by the template's own `|||`, with blanks around it, which the engine keeps apart from the same
//! characters in a row; and what makes no example to learn from has a named fault.

mod ctga;
mod explain;
mod syntax;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use regex::{NoExpand, Regex};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::prompt::bonito::{PLACEHOLDER, python_strip};
use crate::source::TEXT_NAMES;
use crate::task::TaskKind;
use crate::template::collection::{Collection, Template};
use crate::template::engine::{self, Compiled, Fault, Fields, SEPARATOR};

pub use explain::{Finding, Severity, explain};

/// The variable of a meta-template that prints [`PLACEHOLDER`]; [`fields`] gives it.
pub const VARIABLE: &str = "copy_context";
/// What parts instruction and response in the rendered text, under reference.
pub const PIPE: &str = "\n[pipe]\n";

/// How one template is turned inside out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// As the published construction does it; `task` and `context` have no say then.
    pub reference: bool,
    /// The kind of task; otherwise what the template says, otherwise the published table.
    pub task: Option<TaskKind>,
    /// The expression that stands for the passage, `{{clause}}` or `clause`; otherwise what the template says,
    /// otherwise the published list, otherwise the output of the one variable that is named like a text.
    pub context: Option<String>,
}

/// A template turned inside out. It serialises to one object, for `--list --json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inverted {
    /// The key of the dataset in its collection, `super_glue/boolq`.
    pub key: Arc<str>,
    /// The dataset without its configuration, as the published table has it; the whole key of a dataset that
    /// isn't in the table.
    pub dataset: String,
    /// The configuration, of datasets in the published table that have several.
    pub config: Option<String>,
    /// The template's name.
    pub template: String,
    /// The template's identifier.
    pub id: String,
    /// The kind of task.
    pub kind: TaskKind,
    /// The expression that prints the passage, as it stands in front of the meta-template.
    pub context: String,
    /// The meta-template.
    pub jinja: String,
    /// Jinja that renders to the possible completions, from the template.
    pub answer_choices: Option<String>,
    /// Whether every response is nothing but the placeholder: a target that teaches nothing. Such a template
    /// is listed, and gives pairs under reference only.
    pub only_passage: bool,
    /// Whether it was made as the published construction makes it; [`compile`](Self::compile) and
    /// [`pair`](Self::pair) go on that way.
    pub reference: bool,
}

impl Serialize for Inverted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Line<'a> {
            dataset: &'a str,
            config: Option<&'a str>,
            template: &'a str,
            id: &'a str,
            kind: &'a str,
            task_type: &'a str,
            context: &'a str,
            jinja: &'a str,
            answer_choices: Option<&'a str>,
            only_passage: bool,
        }
        let line = Line {
            dataset: &self.dataset,
            config: self.config.as_deref(),
            template: &self.template,
            id: &self.id,
            kind: self.kind.short(),
            task_type: self.kind.full(),
            context: &self.context,
            jinja: &self.jinja,
            answer_choices: self.answer_choices.as_deref(),
            only_passage: self.only_passage,
        };
        line.serialize(serializer)
    }
}

impl Inverted {
    /// The meta-template, ready to render over the [`fields`] of a row. Of its variables [`VARIABLE`] is not
    /// the row's.
    ///
    /// # Errors
    /// When the template was no Jinja to begin with, or names a filter that there isn't.
    pub fn compile(&self) -> Result<Compiled, Fault> {
        let options = engine::Options { truncate: self.reference };
        Compiled::new(&self.jinja, self.answer_choices.as_deref(), options)
    }

    /// The pair in the parts that [`Compiled::render`] gives for the meta-template.
    ///
    /// # Errors
    /// When the parts make no example; under reference only when the response is empty.
    pub fn pair(&self, parts: &[String]) -> Result<Pair, PairFault> {
        if self.reference { published_pair(parts) } else { pair(parts) }
    }

    /// Whether the template can give pairs. One that can't shouldn't be among those that are drawn from.
    pub fn gives_pairs(&self) -> bool {
        self.reference || !self.only_passage
    }
}

macro_rules! words {
    ($(#[$about_enum:meta])* $name:ident; $($variant:ident $word:literal $about:literal;)*) => {
        $(#[$about_enum])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $(#[doc = $about] $variant,)* }

        impl $name {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word for it in reports.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// What it means, in one sentence.
            pub fn about(self) -> &'static str {
                match self { $(Self::$variant => $about,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.about().trim_end_matches('.'))
            }
        }
    };
}

words! {
    /// Why a template can't be turned inside out: a closed list.
    SkipReason;
    NotInTable "not_in_table" "The published table does not have the template.";
    NoContext "no_context" "The expression that stands for the passage is not in the template.";
    SeveralContexts "several_contexts" "More than one expression may stand for the passage.";
    NoTaskKind "no_task_kind" "Nothing says which kind of task the template makes.";
    NoSeparator "no_separator" "The template has no `|||`, so no response.";
    ContextOnly "context_only" "The template is nothing but the passage.";
    InvalidTemplate "invalid_template" "The template is no Jinja that can be rendered, or reads `copy_context`.";
}

words! {
    /// Why the rendered parts make no pair: a closed list.
    PairFault;
    EmptyContext "empty_context" "The passage is empty.";
    EmptyInstruction "empty_instruction" "The instruction is empty, or is nothing but the passage.";
    EmptyResponse "empty_response" "The response is empty.";
    OnlyPassage "only_passage" "The response is nothing but the passage.";
    NoPassage "no_passage" "The passage stands neither in the instruction nor in the response.";
    SeveralResponses "several_responses" "There is more than one `|||` behind the passage.";
    MarkerInRow "marker_in_row" "The row holds `{{context}}`, or `|||` inside a list or object.";
}

impl std::error::Error for PairFault {}

/// A template that was not turned inside out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The key of its dataset.
    pub dataset: Arc<str>,
    /// Its name.
    pub template: String,
    /// Why.
    pub reason: SkipReason,
    /// What this template has instead, or what to do about it; one line without a final full stop.
    pub detail: String,
}

/// What became of a collection: each template is in one of the two lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inversion {
    /// The templates of the published table in its order, behind those of a dataset the ones that the table
    /// lost; then the others in the collection's order.
    pub inverted: Vec<Inverted>,
    /// The rest, in the collection's order.
    pub skipped: Vec<Skipped>,
}

impl Inversion {
    /// The templates that can give pairs.
    pub fn usable(&self) -> impl Iterator<Item = &Inverted> {
        self.inverted.iter().filter(|inverted| inverted.gives_pairs())
    }

    /// How many templates were skipped for this reason.
    pub fn count(&self, reason: SkipReason) -> usize {
        self.skipped.iter().filter(|skipped| skipped.reason == reason).count()
    }
}

/// Turns every template of a collection inside out that can be.
pub fn invert(collection: &Collection, reference: bool) -> Inversion {
    let options = Options { reference, ..Options::default() };
    let mut places = Vec::new();
    let mut skipped = Vec::new();
    for template in collection.templates() {
        match invert_one(template, &options) {
            Ok(inverted) => {
                let place = ctga::row(&template.dataset, &template.name).map(|(place, _)| place);
                places.push((place.unwrap_or((usize::MAX, usize::MAX)), inverted));
            }
            Err(skip) => skipped.push(skip),
        }
    }
    places.sort_by_key(|(place, _)| *place);
    Inversion { inverted: places.into_iter().map(|(_, inverted)| inverted).collect(), skipped }
}

/// Turns one template inside out.
///
/// # Errors
/// When it can't be, with the reason.
pub fn invert_one(template: &Template, options: &Options) -> Result<Inverted, Skipped> {
    let inverted = if options.reference { as_published(template) } else { mended(template, options) };
    inverted.map_err(|(reason, detail)| Skipped {
        dataset: Arc::clone(&template.dataset),
        template: template.name.clone(),
        reason,
        detail,
    })
}

type Skip = (SkipReason, String);

/// Steps 1 to 5 of spec/bonito.md 2.2, and the table of 2.3.
fn as_published(template: &Template) -> Result<Inverted, Skip> {
    let key = &*template.dataset;
    let context = ctga::context(key)
        .ok_or_else(|| (SkipReason::NotInTable, "the published list does not have the dataset".to_owned()))?;
    let variable = format!("{{{{{VARIABLE}}}}}");
    let jinja = &template.jinja;
    let copied = if jinja.contains(context) {
        jinja.replace(context, &variable)
    } else {
        let pattern = tolerant(key, context).filter(|pattern| pattern.is_match(jinja));
        let pattern = pattern.ok_or_else(|| (SkipReason::NoContext, outputs_of(jinja)))?;
        pattern.replace_all(jinja, NoExpand(&variable)).into_owned()
    };
    if copied.trim() == variable {
        return Err((SkipReason::ContextOnly, format!("`{context}` is all of it")));
    }
    let row = ctga::row(key, &template.name).filter(|(_, row)| row.published);
    let (_, row) = row.ok_or_else(|| {
        (SkipReason::NotInTable, "the published table does not have the template's name".to_owned())
    })?;
    let only_passage =
        syntax::pieces(&copied).is_ok_and(|pieces| syntax::completes_with_only(&pieces, VARIABLE));
    let jinja = [context, SEPARATOR, &copied.replace(SEPARATOR, PIPE)].concat();
    Ok(inverted(template, Some(row), row.kind, context, jinja, only_passage, true))
}

/// The published second attempt at a match, for templates without the literal expression: blanks behind `{{`
/// and before `}}` may be others.
fn tolerant(key: &str, context: &str) -> Option<Regex> {
    let pattern = match key {
        ctga::QASC => return None,
        // Not escaped, so `|` parts two patterns and only `{{dialogue ` is ever found.
        ctga::DREAM => context.replace("{{", r"\{\{\s*").replace("}}", r"\s*\}\}"),
        _ => {
            let spread = |pattern: &str, found: &str, by: &str| {
                let found = Regex::new(found).expect("a pattern");
                found.replace_all(pattern, NoExpand(by)).into_owned()
            };
            // These find braces and bars that are escaped already.
            let pattern = spread(&regex::escape(context), r"\\\{\\\{ *", r"\{\{\s*");
            let pattern = spread(&pattern, r" *\\\}\\\}", r"\s*\}\}");
            if key == ctga::DBPEDIA { spread(&pattern, r" *\\\| *", r"\s*\|\s*") } else { pattern }
        }
    };
    Some(Regex::new(&pattern).expect("the published expressions are patterns"))
}

/// The same with its defects mended, and for the user's own templates.
fn mended(template: &Template, options: &Options) -> Result<Inverted, Skip> {
    let key = &*template.dataset;
    let invalid = |fault: &Fault| {
        let line = fault.line.map_or(String::new(), |line| format!("line {line}: "));
        (SkipReason::InvalidTemplate, format!("{line}{}", fault.message))
    };
    let pieces = syntax::pieces(&template.jinja).map_err(|fault| invalid(&fault))?;
    let row = ctga::row(key, &template.name).map(|(_, row)| row);
    let kind = options.task.or(template.task).or(row.map(|row| row.kind));
    let given = options.context.as_deref().or(template.context.as_deref());

    let listed = ctga::context(key).filter(|_| given.is_none());
    let listed = listed.map(|context| (context.to_owned(), find(&template.jinja, &pieces, context)));
    // A template of the user's own for a published dataset may read another field.
    let listed = listed.filter(|(_, ranges)| !ranges.is_empty() || row.is_some() || kind.is_none());
    let (context, ranges) = match listed {
        Some(listed) => listed,
        None => {
            // PromptSource's other datasets: nothing else is worth saying about them.
            if kind.is_none() {
                return Err((SkipReason::NoTaskKind, "say `task:` in the template's file".to_owned()));
            }
            let engine = engine::Options { truncate: false };
            let compiled = Compiled::new(&template.jinja, template.answer_choices.as_deref(), engine)
                .map_err(|fault| invalid(&fault))?;
            let context = match given {
                Some(given) => spelled(given),
                None => guessed(&compiled, &pieces)?,
            };
            let of_context = Compiled::new(&context, None, engine).map_err(|fault| {
                let message = format!("the context `{context}`: {}", fault.message);
                (SkipReason::InvalidTemplate, message)
            })?;
            let own = of_context.variables().iter().find(|name| !compiled.variables().contains(*name));
            let ranges = find(&template.jinja, &pieces, &context);
            if let Some(name) = own.filter(|_| !ranges.is_empty()) {
                let message =
                    format!("`{name}` is set inside the template; the context has to be of the row");
                return Err((SkipReason::NoContext, message));
            }
            (context, ranges)
        }
    };
    if ranges.is_empty() {
        let detail = format!("`{context}` is not there; {}", outputs(&template.jinja, &pieces));
        return Err((SkipReason::NoContext, detail));
    }
    let copied = syntax::replace(&template.jinja, &ranges, VARIABLE);
    let pieces = syntax::pieces(&copied).map_err(|fault| invalid(&fault))?;
    if let [piece] = &*pieces.iter().filter(|piece| !piece.source.trim().is_empty()).collect::<Vec<_>>()
        && piece.prints(VARIABLE)
    {
        return Err((SkipReason::ContextOnly, format!("`{context}` is all of it")));
    }
    if template.jinja.contains(VARIABLE) {
        let message = format!("`{VARIABLE}` is the name of the placeholder; name the field otherwise");
        return Err((SkipReason::InvalidTemplate, message));
    }
    let kind = kind.ok_or_else(|| {
        let message = "the published table does not have the template; say `task:` in a file of your own";
        (SkipReason::NotInTable, message.to_owned())
    })?;
    if !template.jinja.contains(SEPARATOR) {
        let message = "put `|||` between the prompt and the completion".to_owned();
        return Err((SkipReason::NoSeparator, message));
    }
    let only_passage = syntax::completes_with_only(&pieces, VARIABLE);
    let jinja = [&context, " ||| ", &syntax::spaced(&copied, &pieces)].concat();
    Ok(inverted(template, row, kind, &context, jinja, only_passage, false))
}

fn inverted(
    template: &Template,
    row: Option<ctga::Row>,
    kind: TaskKind,
    context: &str,
    jinja: String,
    only_passage: bool,
    reference: bool,
) -> Inverted {
    Inverted {
        key: Arc::clone(&template.dataset),
        dataset: row.map_or(&*template.dataset, |row| row.dataset).to_owned(),
        config: row.and_then(|row| row.config).map(str::to_owned),
        template: template.name.clone(),
        id: template.id.clone(),
        kind,
        context: context.to_owned(),
        jinja,
        answer_choices: template.answer_choices.clone(),
        only_passage,
        reference,
    }
}

/// The expression as Jinja: a user may leave out the braces.
fn spelled(context: &str) -> String {
    if context.contains("{{") || context.contains("{%") {
        context.trim().to_owned()
    } else {
        format!("{{{{ {} }}}}", context.trim())
    }
}

/// Where `context` stands in a template: by its tokens, or literally where it begins or ends with text.
fn find(jinja: &str, pieces: &[syntax::Piece<'_>], context: &str) -> Vec<std::ops::Range<usize>> {
    match syntax::pieces(context) {
        Ok(context) if syntax::can_be_found(&context) => syntax::find(pieces, &context),
        _ => jinja.match_indices(context).map(|(at, _)| at..at + context.len()).collect(),
    }
}

/// The output of the one field that is named like a text.
fn guessed(compiled: &Compiled, pieces: &[syntax::Piece<'_>]) -> Result<String, Skip> {
    let printed = |name: &&&str| pieces.iter().any(|piece| piece.prints(name));
    let named: Vec<&str> = TEXT_NAMES
        .iter()
        .filter(|name| compiled.variables().contains(**name))
        .filter(printed)
        .copied()
        .collect();
    match named.as_slice() {
        [name] => Ok(format!("{{{{ {name} }}}}")),
        [] => {
            let variables: Vec<String> =
                compiled.variables().iter().map(|name| format!("`{name}`")).collect();
            let has = match variables.as_slice() {
                [] => "it prints no field".to_owned(),
                variables => format!("its fields are {}", variables.join(", ")),
            };
            Err((SkipReason::NoContext, format!("{has}; say `context:` in the template's file")))
        }
        several => {
            let several: Vec<String> = several.iter().map(|name| format!("`{{{{ {name} }}}}`")).collect();
            let message = format!("it prints {}; say which one as `context:`", several.join(" and "));
            Err((SkipReason::SeveralContexts, message))
        }
    }
}

fn outputs_of(jinja: &str) -> String {
    match syntax::pieces(jinja) {
        Ok(pieces) => outputs(jinja, &pieces),
        Err(fault) => fault.message,
    }
}

/// What a template prints, for a message.
fn outputs(jinja: &str, pieces: &[syntax::Piece<'_>]) -> String {
    let mut printed: Vec<String> = Vec::new();
    for piece in pieces.iter().filter(|piece| piece.kind == syntax::Kind::Output) {
        let output = format!("`{}`", &jinja[piece.range.clone()]);
        if !printed.contains(&output) {
            printed.push(output);
        }
    }
    match printed.as_slice() {
        [] => "it prints nothing of a row".to_owned(),
        printed => format!("it prints {}", printed.join(", ")),
    }
}

/// The fields of a row as a meta-template takes them: with [`VARIABLE`] beside.
///
/// # Errors
/// Where a field could be taken for a mark: one that holds `{{context}}`, or a list or object that holds
/// `|||`, which the engine protects in plain strings only. Never under reference.
pub fn fields(mut row: Map<String, Value>, reference: bool) -> Result<Fields, PairFault> {
    fn forged(value: &Value, nested: bool) -> bool {
        let marked = |text: &str, nested| text.contains(PLACEHOLDER) || (nested && text.contains(SEPARATOR));
        match value {
            Value::String(text) => marked(text, nested),
            Value::Array(items) => items.iter().any(|item| forged(item, true)),
            Value::Object(entries) => {
                entries.iter().any(|(key, value)| marked(key, true) || forged(value, true))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }
    if !reference && row.values().any(|value| forged(value, false)) {
        return Err(PairFault::MarkerInRow);
    }
    row.insert(VARIABLE.to_owned(), PLACEHOLDER.into());
    Ok(Fields::of(&row))
}

/// A passage, and what a task generator is to make of it; nothing has blanks at its ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The passage.
    pub context: String,
    /// The instruction, with [`PLACEHOLDER`] where the passage belongs.
    pub instruction: String,
    /// The response; it may hold [`PLACEHOLDER`] too.
    pub response: String,
}

impl Pair {
    /// Instruction and response with the passage in its place.
    pub fn filled(&self) -> (String, String) {
        let fill = |text: &str| text.replace(PLACEHOLDER, &self.context);
        (fill(&self.instruction), fill(&self.response))
    }
}

/// The pair in the parts of a rendered meta-template: passage, instruction, response.
fn pair(parts: &[String]) -> Result<Pair, PairFault> {
    let parts: Vec<&str> = parts.iter().map(|part| python_strip(part)).collect();
    let part = |at: usize| parts.get(at).copied().unwrap_or_default();
    let (context, instruction, response) = (part(0), part(1), part(2));
    let fault = if context.is_empty() {
        Some(PairFault::EmptyContext)
    } else if parts.len() > 3 {
        Some(PairFault::SeveralResponses)
    } else if response.is_empty() {
        Some(PairFault::EmptyResponse)
    } else if response == PLACEHOLDER {
        Some(PairFault::OnlyPassage)
    } else if instruction.is_empty() || instruction == PLACEHOLDER {
        Some(PairFault::EmptyInstruction)
    } else if !instruction.contains(PLACEHOLDER) && !response.contains(PLACEHOLDER) {
        Some(PairFault::NoPassage)
    } else {
        None
    };
    fault.map_or_else(|| Ok(made(context, instruction, response)), Err)
}

/// The same as the published construction reads them (spec/bonito.md 2.4): passage and rest, which ends with
/// the second [`PIPE`].
fn published_pair(parts: &[String]) -> Result<Pair, PairFault> {
    let mut parts = parts.iter().map(|part| python_strip(part));
    let (context, rest) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let mut rest = rest.split(PIPE).map(python_strip);
    let (instruction, response) = (rest.next().unwrap_or_default(), rest.next().unwrap_or_default());
    if response.is_empty() {
        return Err(PairFault::EmptyResponse);
    }
    Ok(made(context, instruction, response))
}

fn made(context: &str, instruction: &str, response: &str) -> Pair {
    let (context, instruction, response) = (context.to_owned(), instruction.to_owned(), response.to_owned());
    Pair { context, instruction, response }
}
