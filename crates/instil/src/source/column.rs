//! Which column of a table holds the text, and which the id.

use std::fmt::Write as _;

use super::Options;
use crate::error::{Error, Result, nearest};

/// The names that mean text, the likeliest first.
pub(crate) const TEXT_NAMES: [&str; 7] =
    ["text", "content", "context", "passage", "document", "body", "article"];
/// The name that means the id.
const ID_NAME: &str = "id";
/// A message with hundreds of columns helps nobody.
const SHOWN_COLUMNS: usize = 20;

/// What a column holds in the row that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    /// A string.
    Text,
    /// Nothing, so it may be a string elsewhere.
    Null,
    /// Something else, never a string.
    Other,
}

/// The columns that are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Columns {
    /// The text.
    pub(super) text: String,
    /// The id, in rows that have it.
    pub(super) id: String,
}

/// What was chosen for a table, or what keeps it from being read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// These columns are read.
    Made(Columns),
    /// No column can be.
    Failed {
        /// What is wrong, with the file's name.
        message: String,
        /// What to do about it.
        hint: String,
    },
}

impl Choice {
    /// Chooses among `columns`, those of the first good row of `source`.
    pub(super) fn among(source: &str, columns: &[(&str, Holds)], options: &Options) -> Self {
        for wanted in [&options.text_column, &options.id_column].into_iter().flatten() {
            if !columns.iter().any(|(name, _)| name == wanted) {
                return Self::missing(source, wanted, columns);
            }
        }
        let id = options.id_column.as_deref().unwrap_or(ID_NAME);
        let text = options.text_column.as_deref().or_else(|| guess(columns, id));
        match text {
            Some(text) => Self::Made(Columns { text: text.to_owned(), id: id.to_owned() }),
            None => Self::Failed {
                message: format!("can't tell which column of `{source}` holds the text"),
                hint: format!("name it with `--text-column`; {}", list(columns)),
            },
        }
    }

    fn missing(source: &str, wanted: &str, columns: &[(&str, Holds)]) -> Self {
        let near = nearest(wanted, columns.iter().map(|(name, _)| *name));
        let question = near.map_or(String::new(), |near| format!("did you mean `{near}`? "));
        Self::Failed {
            message: format!("`{source}` has no column `{wanted}`"),
            hint: question + &list(columns),
        }
    }

    /// The columns, or the failure as an error.
    pub(super) fn to_result(&self) -> Result<&Columns> {
        match self {
            Self::Made(columns) => Ok(columns),
            Self::Failed { message, hint } => Err(Error::input(message).with_hint(hint)),
        }
    }
}

/// Whether a column of this name is taken for the text.
pub(super) fn is_text_name(name: &str) -> bool {
    TEXT_NAMES.contains(&name)
}

fn guess<'a>(columns: &[(&'a str, Holds)], id: &str) -> Option<&'a str> {
    let by_name = TEXT_NAMES.iter().find_map(|known| {
        columns.iter().find(|(name, holds)| name == known && *holds != Holds::Other && *name != id)
    });
    let mut strings = columns.iter().filter(|(name, holds)| *holds == Holds::Text && *name != id);
    let only = strings.next().filter(|_| strings.next().is_none());
    by_name.or(only).map(|(name, _)| *name)
}

fn list(columns: &[(&str, Holds)]) -> String {
    if columns.is_empty() {
        return "it has no columns".to_owned();
    }
    let names: Vec<_> = columns.iter().take(SHOWN_COLUMNS).map(|(name, _)| format!("`{name}`")).collect();
    let mut list = format!("its columns are {}", names.join(", "));
    if columns.len() > SHOWN_COLUMNS {
        write!(list, " and {} more", columns.len() - SHOWN_COLUMNS).expect("a string takes all");
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use Holds::{Null, Other, Text};

    fn chosen(columns: &[(&str, Holds)], text: Option<&str>, id: Option<&str>) -> Result<String> {
        let options = Options { text_column: text.map(str::to_owned), id_column: id.map(str::to_owned) };
        Choice::among("a.jsonl", columns, &options).to_result().map(|columns| columns.text.clone())
    }

    #[test]
    fn known_names_come_first_then_the_only_string() {
        assert_eq!(chosen(&[("body", Text), ("content", Null)], None, None).unwrap(), "content");
        assert_eq!(chosen(&[("text", Other), ("story", Text)], None, None).unwrap(), "story");
        assert_eq!(chosen(&[("id", Text), ("story", Text), ("n", Other)], None, None).unwrap(), "story");
        assert_eq!(chosen(&[("text", Text), ("story", Text)], Some("story"), None).unwrap(), "story");
        assert_eq!(chosen(&[("key", Text), ("story", Text)], None, Some("key")).unwrap(), "story");
    }

    #[test]
    fn a_wrong_column_is_told_with_the_nearest_and_with_all_there_are() {
        let error = chosen(&[("text", Text), ("id", Other)], Some("txt"), None).unwrap_err();
        assert_eq!(error.to_string(), "`a.jsonl` has no column `txt`");
        assert_eq!(error.hint(), Some("did you mean `text`? its columns are `text`, `id`"));
        let error = chosen(&[("text", Text)], None, Some("number")).unwrap_err();
        assert_eq!(error.to_string(), "`a.jsonl` has no column `number`");
        assert_eq!(error.hint(), Some("its columns are `text`"));
    }

    #[test]
    fn a_doubtful_table_is_told_with_its_columns() {
        let error = chosen(&[("left", Text), ("right", Text)], None, None).unwrap_err();
        assert_eq!(error.to_string(), "can't tell which column of `a.jsonl` holds the text");
        assert_eq!(error.hint(), Some("name it with `--text-column`; its columns are `left`, `right`"));
        let error = chosen(&[], None, None).unwrap_err();
        assert_eq!(error.hint(), Some("name it with `--text-column`; it has no columns"));
        let names: Vec<String> = (0..25).map(|i| format!("c{i}")).collect();
        let many: Vec<_> = names.iter().map(|name| (name.as_str(), Text)).collect();
        assert!(chosen(&many, None, None).unwrap_err().hint().unwrap().ends_with("`c19` and 5 more"));
    }
}
