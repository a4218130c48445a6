//! The style of a dataset, read off its rows: what stands around definitions and inputs, and how fields are written.

use std::collections::BTreeMap;

use super::pattern::{Pattern, Piece};
use super::plan::{By, Reading, TaskPlan, TaskTemplate, WhereFrom};
use super::style::{Level, Style};
use crate::error::{Error, Result};

/// How a dataset is written.
#[derive(Debug)]
pub(crate) enum Imitated {
    /// Definition and input stand apart.
    Apart,
    /// Both stand in one text.
    Style(Box<Style>),
}

/// What stands around definition and input in one template.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Frame {
    prompt: String,
    field: String,
    between: String,
    has_definition: bool,
}

/// The style of the dataset that these plans are of.
///
/// # Errors
/// When rules find none in it.
pub(crate) fn style_of(name: &str, plans: &[(String, TaskPlan)]) -> Result<Imitated> {
    let is_apart = |plan: &TaskPlan| matches!(plan.where_from, WhereFrom::Apart | WhereFrom::Own);
    if !plans.is_empty() && plans.iter().all(|(_, plan)| is_apart(plan)) {
        return Ok(Imitated::Apart);
    }
    let templates: Vec<&TaskTemplate> = plans.iter().flat_map(|(_, plan)| &plan.templates).collect();
    if templates.iter().any(|template| template.reading == Reading::Keywords) {
        let frame = Frame {
            prompt: "{input}".to_owned(),
            field: "{name}: {value}".to_owned(),
            between: " [SEP] ".to_owned(),
            has_definition: false,
        };
        return frame.style(name).map(|style| Imitated::Style(Box::new(style)));
    }
    let definitions: Vec<&str> = templates
        .iter()
        .filter(|template| template.by == By::Rules)
        .filter_map(|template| template.instruction.definition.as_deref())
        .collect();
    let lead = lead(&definitions);
    let mut frames: BTreeMap<Frame, usize> = BTreeMap::new();
    for template in &templates {
        if let Reading::Template(pattern) = &template.reading
            && let Some(frame) = frame(pattern, template, lead)
        {
            *frames.entry(frame).or_default() += template.instances.len();
        }
    }
    let most = frames.into_iter().max_by_key(|(_, count)| *count);
    let Some((frame, _)) = most else {
        return Err(Error::input(format!("rules find no style in `{name}`"))
            .because("nothing is the same in the rows of any of its tasks")
            .with_hint("write the style down in a file; `docs/guides/unify.md` shows how"));
    };
    frame.style(name).map(|style| Imitated::Style(Box::new(style)))
}

impl Frame {
    fn style(self, name: &str) -> Result<Style> {
        let level =
            match (self.has_definition, self.prompt.find("{definition}") < self.prompt.find("{input}")) {
                (false, _) => Level::Keyword,
                // A heading before the definition is what styles at the level of tasks have.
                (true, true) if self.prompt.contains(":") || self.prompt.contains('#') => Level::Task,
                (true, _) => Level::Instance,
            };
        Style::new(name, level, &self.prompt, &self.field, &self.between)
    }
}

/// What stands before every definition, and belongs to the style: a label that all share.
fn lead<'a>(definitions: &[&'a str]) -> &'a str {
    let Some(first) = definitions.first() else { return "" };
    let label = first.find(": ").map_or("", |at| &first[..at + 2]);
    let is_short = label.split_whitespace().count() <= 2 && !label.contains(['.', '?', '\n']);
    let is_shared = definitions.iter().all(|definition| definition.starts_with(label));
    if is_short && is_shared { label } else { "" }
}

/// What stands around definition and input in a template, where the definition stands in it as it is.
fn frame(pattern: &Pattern, template: &TaskTemplate, lead: &str) -> Option<Frame> {
    let pieces = pattern.pieces();
    let first = pieces.iter().position(|piece| matches!(piece, Piece::Slot(_)))?;
    let last = pieces.iter().rposition(|piece| matches!(piece, Piece::Slot(_)))?;
    let text = |at: Option<usize>| match at.and_then(|at| pieces.get(at)) {
        Some(Piece::Text(text)) => text.as_str(),
        _ => "",
    };
    let (before, after) = (text(first.checked_sub(1)), text(Some(last + 1)));
    let names: Vec<&str> = pattern.slots().collect();
    let label = |before: &str, name: &str| before.rfind(name).map(|at| before[at + name.len()..].to_owned());
    let first_label = label(before, names.first()?).filter(|after| after.starts_with(':'));
    let field = match &first_label {
        Some(after) => format!("{{name}}{}{{value}}", escaped(after)),
        None => "{name}: {value}".to_owned(),
    };
    // What stands between the first field and the label of the second.
    let between = match (pieces.get(first + 1), names.get(1)) {
        (Some(Piece::Text(between)), Some(name)) => {
            let at = between.rfind(name).unwrap_or(between.len());
            between[..at].to_owned()
        }
        _ => "\n".to_owned(),
    };
    // The label of the first field belongs to the fields.
    let before = match (&first_label, before.rfind(names[0])) {
        (Some(_), Some(at)) if names.len() > 1 => &before[..at],
        _ => before,
    };
    let definition = template.instruction.definition.as_deref().and_then(|definition| {
        // Rules may have put a full stop behind it, or the outputs there are.
        let definition = definition.split(" The output is one of: ").next().unwrap_or(definition);
        let definition = definition.strip_prefix(lead).unwrap_or(definition);
        [definition, definition.trim_end_matches('.')].into_iter().find(|definition| {
            !definition.is_empty() && (before.contains(definition) || after.contains(definition))
        })
    });
    let has_definition = definition.is_some();
    if template.instruction.definition.is_some() && !has_definition {
        return None;
    }
    let put = |text: &str| match definition {
        Some(definition) => {
            let parts: Vec<String> = text.splitn(2, definition).map(escaped).collect();
            parts.join("{definition}")
        }
        None => escaped(text),
    };
    let (before, after) = (put(before), put(after));
    let (before, after) = match (before.contains("{definition}"), after.contains("{definition}")) {
        (true, true) => return None,
        _ => (before, after),
    };
    Some(Frame { prompt: format!("{before}{{input}}{after}"), field, between, has_definition })
}

/// A constant text as a style's file has it.
fn escaped(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}
