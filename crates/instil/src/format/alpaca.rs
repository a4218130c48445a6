//! `alpaca`: instruction, input and output, with the passage as the input where it stands apart.

use std::borrow::Cow;

use super::{Cell, Column, Kind, halves};
use crate::record::Example;

pub(super) const COLUMNS: &[Column] = &[
    Column::new("instruction", Kind::Text),
    Column::new("input", Kind::Text),
    Column::new("output", Kind::Text),
];

pub(super) fn cells(example: &Example) -> Vec<Cell<'_>> {
    let (prompt, output) = halves(example);
    let passage = example.fields.get("context").map_or("", |context| context.trim());
    match split(&prompt, passage) {
        Some(instruction) => {
            vec![Cell::Text(Cow::Owned(instruction.to_owned())), passage.into(), output.into()]
        }
        None => vec![Cell::Text(prompt), "".into(), output.into()],
    }
}

/// What is left of `prompt` when `passage` is taken from its beginning or its end.
///
/// None if the passage is not there, if no blank parts it from the rest (it may be half a word
/// then), or if nothing is left, for an instruction must say something.
fn split<'a>(prompt: &'a str, passage: &str) -> Option<&'a str> {
    if passage.is_empty() {
        return None;
    }
    let prompt = prompt.trim();
    let after = prompt.strip_prefix(passage).filter(|rest| rest.starts_with(char::is_whitespace));
    let before = || prompt.strip_suffix(passage).filter(|rest| rest.ends_with(char::is_whitespace));
    after.or_else(before).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn the_passage_is_taken_from_the_beginning_or_the_end() {
        assert_eq!(split("A cat sat.\n\nWho sat?", "A cat sat."), Some("Who sat?"));
        assert_eq!(split("Who sat?\n\nA cat sat.\n", "A cat sat."), Some("Who sat?"));
        assert_eq!(split(" A cat sat.\u{a0}Who sat? A cat sat.", "A cat sat."), Some("Who sat? A cat sat."));
    }

    #[test]
    fn the_passage_stays_where_it_does_not_stand_apart() {
        assert_eq!(split("Read: A cat sat. Who sat?", "A cat sat."), None);
        assert_eq!(split("A cat sat.Who sat?", "A cat sat."), None);
        assert_eq!(split("catalogue", "cat"), None);
        assert_eq!(split("\"A cat sat.\"", "A cat sat."), None);
        assert_eq!(split("A cat sat. ", "A cat sat."), None);
        assert_eq!(split("Say hello.", ""), None);
    }
}
