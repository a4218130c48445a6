//! Rows that say which template they were rendered with: the template is known, and read backwards.

use std::ops::Range;

use serde_json::{Map, Value};

use super::content::Content;
use super::pattern::{Pattern, Piece};
use crate::record::{Origin, Row};
use crate::source::adapter::RenderedColumns;
use crate::template::rendered::Lifters;

const COLUMNS: RenderedColumns =
    RenderedColumns { prompt: "prompt", completion: "completion", template: "template" };

/// What the template of a row's prompt is, seen in this row: constants, and slots with the names of the fields that
/// they show. None where the template isn't known or can't be read backwards.
pub(super) fn pattern(lifters: &Lifters, content: &Content<'_>, output: &str) -> Option<Pattern> {
    let (dataset, template) = content.rendered.as_ref()?;
    let text = |text: &str| Value::from(text);
    let fields =
        [("prompt", text(&content.prompt)), ("completion", text(output)), ("template", text(template))];
    let row = Row {
        fields: fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        origin: Origin { source: "row".into(), row: None },
        dataset: Some((&**dataset).into()),
    };
    let lifted = lifters.lift(&row, COLUMNS).ok()?;
    of_fields(&content.prompt, &lifted.fields)
}

/// The pattern that shows these fields in a prompt: where each of their texts stands in it, the longest first.
fn of_fields(prompt: &str, fields: &Map<String, Value>) -> Option<Pattern> {
    let mut texts: Vec<(&str, String)> = Vec::new();
    for (name, value) in fields {
        leaves(name, value, &mut texts);
    }
    texts.retain(|(_, text)| !text.trim().is_empty());
    texts.sort_by_key(|(_, text)| std::cmp::Reverse(text.len()));
    let mut slots: Vec<(Range<usize>, String)> = Vec::new();
    for (name, text) in texts {
        let free = |range: &Range<usize>| {
            slots.iter().all(|(taken, _)| range.end <= taken.start || taken.end <= range.start)
        };
        let found = prompt.match_indices(&text).map(|(at, _)| at..at + text.len()).find(free);
        if let Some(found) = found {
            slots.push((found, name.to_owned()));
        }
    }
    slots.sort_by_key(|(range, _)| range.start);
    let mut joined: Vec<(Range<usize>, String)> = Vec::new();
    for (range, name) in slots {
        match joined.last_mut() {
            // Items of a list are one field; what parts them goes along.
            Some((before, known)) if *known == name => before.end = range.end,
            Some((before, known)) if before.end == range.start => {
                before.end = range.end;
                *known = format!("{known} and {name}");
            }
            _ => joined.push((range, name)),
        }
    }
    if joined.is_empty() {
        return None;
    }
    let (mut pieces, mut at) = (Vec::new(), 0);
    for (range, name) in joined {
        pieces.push(Piece::Text(prompt[at..range.start].to_owned()));
        pieces.push(Piece::Slot(name));
        at = range.end;
    }
    pieces.push(Piece::Text(prompt[at..].to_owned()));
    Some(Pattern::new(pieces))
}

/// The texts in a field, each with the field's name.
fn leaves<'a>(name: &'a str, value: &Value, to: &mut Vec<(&'a str, String)>) {
    match value {
        Value::String(text) => to.push((name, text.clone())),
        Value::Number(number) => to.push((name, number.to_string())),
        Value::Array(items) => items.iter().for_each(|item| leaves(name, item, to)),
        Value::Object(fields) => fields.values().for_each(|value| leaves(name, value, to)),
        Value::Null | Value::Bool(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(prompt: &str, fields: Value) -> String {
        of_fields(prompt, fields.as_object().unwrap()).map_or(String::new(), |pattern| pattern.to_string())
    }

    #[test]
    fn a_prompt_shows_the_fields_of_its_row() {
        let row =
            serde_json::json!({"context": "It is red.", "question": "Is it red?", "choices": ["yes", "no"]});
        insta::assert_snapshot!(
            shown("Read: It is red.\nIs it red?\n- yes\n- no\nAnswer:", row),
            @r"
        Read: {context}
        {question}
        - {choices}
        Answer:
        "
        );
    }

    #[test]
    fn fields_without_anything_between_them_are_one() {
        let row = serde_json::json!({"a": "one", "b": "two"});
        insta::assert_snapshot!(shown("It says onetwo.", row.clone()), @"It says {a and b}.");
        insta::assert_snapshot!(shown("It says nothing.", row), @"");
    }
}
