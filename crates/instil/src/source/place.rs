//! Documents and rejects of one source: the same ids and the same words whatever its kind.

use std::io;
use std::sync::Arc;

use super::row::{Cell, Row};
use crate::record::{Document, Origin};
use crate::reject::{Reason, Reject};
use crate::rng::hex_of;

/// A document, or what could not become one.
pub(super) type Item = Result<Document, Reject>;

/// No single text or row of a table is larger, so that a broken file can't fill the memory.
pub(super) const MAX_TEXT_BYTES: u64 = 1 << 30;
/// How much of a bad line is kept: enough to see what it is.
const RAW_CHARS: usize = 300;

/// The source that is being read, as ids and messages name it.
#[derive(Clone, Debug)]
pub(super) struct Place(pub(super) Arc<str>);

impl Place {
    /// The text as a document, or a reject if there is none in it.
    pub(super) fn document(&self, text: String, id: Option<String>, row: Option<u64>) -> Item {
        if text.trim().is_empty() {
            return Err(self.reject(Reason::EmptyText, row, text));
        }
        let number = row.map_or(String::new(), |row| row.to_string());
        let id = id.unwrap_or_else(|| hex_of(&[&self.0, &number], 16));
        Ok(Document { id, text, origin: self.origin(row) })
    }

    /// The row's text as a document; `raw` gives the row as it came, for a reject.
    pub(super) fn of_row(&self, row: Row, number: u64, raw: impl FnOnce() -> String) -> Item {
        let reason = match row.text {
            Cell::Text(text) if !text.trim().is_empty() => return self.document(text, row.id, Some(number)),
            Cell::Text(_) => Reason::EmptyText,
            Cell::NotText => Reason::NotText,
            Cell::Missing => Reason::MissingColumn,
        };
        Err(self.reject(reason, Some(number), raw()))
    }

    /// Something of this source that can't be used; a long `raw` is cut.
    pub(super) fn reject(&self, reason: Reason, row: Option<u64>, raw: impl AsRef<str>) -> Reject {
        Reject::read(reason, self.origin(row), cut(raw.as_ref()))
    }

    /// The source, or the rest of it, can't be read.
    pub(super) fn unreadable(&self, row: Option<u64>, error: &io::Error) -> Reject {
        let message = match error.kind() {
            io::ErrorKind::UnexpectedEof => format!("the file ends in the middle of its data: {error}"),
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
                format!("the data is damaged: {error}")
            }
            _ => error.to_string(),
        };
        self.reject(Reason::Unreadable, row, message)
    }

    pub(super) fn origin(&self, row: Option<u64>) -> Origin {
        Origin { source: Arc::clone(&self.0), row }
    }
}

fn cut(raw: &str) -> String {
    match raw.char_indices().nth(RAW_CHARS) {
        Some((end, _)) => format!("{} … ({} bytes)", &raw[..end], raw.len()),
        None => raw.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_raw_text_is_cut_and_says_so() {
        assert_eq!(cut("short"), "short");
        let long = cut(&"ä".repeat(400));
        assert_eq!(long, format!("{} … (800 bytes)", "ä".repeat(300)));
    }

    #[test]
    fn an_id_is_the_hash_of_name_and_row() {
        let place = Place("docs/a.txt".into());
        let document = place.document("A cat.".to_owned(), None, None).unwrap();
        assert_eq!(document.id, hex_of(&["docs/a.txt", ""], 16));
        let document = place.document("A cat.".to_owned(), None, Some(3)).unwrap();
        assert_eq!(document.id, hex_of(&["docs/a.txt", "3"], 16));
        assert_eq!(document.origin, Origin { source: "docs/a.txt".into(), row: Some(3) });
    }
}
