//! The children of an XML file's root, as rows.

use std::io::{self, Read};

use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Reader as Xml, escape};
use serde_json::{Map, Value};

use super::labelled::{Item, RawRow, Rows, only};
use super::place::Place;
use super::whole::read_text;
use super::{Kind, unpacked};
use crate::record::Row;
use crate::reject::Reason;

/// No data nests deeper, and a row's values are dropped by recursion.
const MAX_DEPTH: usize = 100;

/// Reads the children of the root, each a row.
///
/// An element that has neither attributes nor children is its text, with blanks at both ends left out.
/// Any other is an object: its attributes with `@` before their names, its children by name, several of
/// one name as a list, and its own text as `#text`. The file is held in memory while it is read; the
/// root's attributes and text are not read.
pub(super) fn read(place: Place, raw: Box<dyn Read + Send>, _kind: &Kind) -> io::Result<Rows> {
    let bytes = match unpacked(&place, raw, &Kind::Text, |_| None)? {
        Ok((_, bytes)) => bytes,
        Err(reject) => return Ok(only(reject)),
    };
    Ok(match read_text(&place, bytes) {
        Ok(text) => Box::new(rows(&place, &text).into_iter().map(|row| row.map(RawRow::Row))),
        Err(reject) => only(reject),
    })
}

#[derive(Default)]
struct Element {
    name: String,
    parts: Map<String, Value>,
    text: String,
}

fn rows(place: &Place, text: &str) -> Vec<Item> {
    let mut rows = Vec::new();
    if let Err(message) = elements(text, &mut |value| {
        let number = rows.len() as u64 + 1;
        rows.push(match value {
            Value::Object(fields) => Ok(Row { fields, origin: place.origin(Some(number)), dataset: None }),
            other => {
                let raw = format!("an element with text alone, which has no fields: {other}");
                Err(place.reject(Reason::InvalidRow, Some(number), raw))
            }
        });
    }) {
        let number = rows.len() as u64 + 1;
        rows.push(Err(place.reject(
            Reason::Unreadable,
            Some(number),
            format!("the XML is damaged: {message}"),
        )));
    }
    rows
}

/// Gives each child of the root to `row`.
fn elements(text: &str, row: &mut dyn FnMut(Value)) -> Result<(), String> {
    let mut reader = Xml::from_str(text);
    let mut open: Vec<Element> = Vec::new();
    loop {
        let event =
            reader.read_event().map_err(|error| format!("{error}, at byte {}", reader.error_position()))?;
        let closed = match event {
            Event::Eof if open.is_empty() => return Ok(()),
            Event::Eof => return Err("it ends before its root does".to_owned()),
            Event::Start(_) if open.len() == MAX_DEPTH => {
                return Err(format!("it is nested more than {MAX_DEPTH} deep"));
            }
            Event::Start(start) => {
                open.push(Element::new(&start)?);
                None
            }
            Event::Empty(start) => Some(Element::new(&start)?),
            Event::End(_) => open.pop(),
            Event::Text(text) => {
                add(&mut open, &text.xml10_content());
                None
            }
            Event::CData(text) => {
                add(&mut open, &text.xml10_content());
                None
            }
            Event::GeneralRef(reference) => {
                add(&mut open, &resolved(&reference)?);
                None
            }
            _ => None,
        };
        let Some(element) = closed else { continue };
        let depth = open.len();
        match open.last_mut() {
            Some(_) if depth == 1 => row(element.into_value()),
            Some(parent) => parent.insert(element),
            None => {}
        }
    }
}

fn add(open: &mut [Element], text: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(text);
    }
}

fn resolved(reference: &BytesRef<'_>) -> Result<String, String> {
    let unknown = || format!("`&{};` is not known", &**reference);
    match reference.resolve_char_ref().map_err(|_| unknown())? {
        Some(character) => Ok(character.to_string()),
        None => escape::resolve_xml_entity(reference).map(str::to_owned).ok_or_else(unknown),
    }
}

impl Element {
    fn new(start: &BytesStart<'_>) -> Result<Self, String> {
        let name = start.local_name().as_ref().to_owned();
        let mut parts = Map::new();
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|error| error.to_string())?;
            let value = escape::unescape(&attribute.value).map_err(|error| error.to_string())?;
            parts.insert(format!("@{}", attribute.key.local_name().as_ref()), value.into_owned().into());
        }
        Ok(Self { name, parts, text: String::new() })
    }

    fn into_value(mut self) -> Value {
        let text = self.text.trim();
        if self.parts.is_empty() {
            return text.into();
        }
        if !text.is_empty() {
            self.parts.insert("#text".to_owned(), text.into());
        }
        Value::Object(self.parts)
    }

    fn insert(&mut self, child: Self) {
        let (name, value) = (child.name.clone(), child.into_value());
        match self.parts.get_mut(&name) {
            Some(Value::Array(siblings)) => siblings.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
            None => {
                self.parts.insert(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Vec<Result<Value, String>> {
        let rows = rows(&Place("a.xml".into()), text).into_iter();
        rows.map(|row| row.map(|row| row.fields.into()).map_err(|reject| reject.raw)).collect()
    }

    #[test]
    fn a_child_of_the_root_is_a_row() {
        let text = "<?xml version=\"1.0\"?><!-- no --><all n=\"1\">\n <k id='a&amp;b'><t>\n  x &lt; y&#33; <![CDATA[<z>]]>\n </t><q i=\"1\"> Q? \
                    <a ok=\"True\">x</a>\n<a>y</a></q><e/></k>\n<k><q>one</q></k>text</all>\n";
        assert_eq!(
            read(text),
            [
                Ok(
                    json!({"@id": "a&b", "t": "x < y! <z>", "q": {"@i": "1", "a": [{"@ok": "True", "#text": "x"}, "y"], "#text": "Q?"}, "e": ""})
                ),
                Ok(json!({"q": "one"})),
            ]
        );
    }

    #[test]
    fn what_is_damaged_is_told_after_what_was_read() {
        let cut = read("<all><k><q>one</q></k><k>");
        assert_eq!(
            cut,
            [Ok(json!({"q": "one"})), Err("the XML is damaged: it ends before its root does".to_owned())]
        );
        let unknown = read("<all><k>&pizza;</k></all>");
        assert_eq!(unknown, [Err("the XML is damaged: `&pizza;` is not known".to_owned())]);
        assert_eq!(
            read("<all><k>x</k></all>"),
            [Err("an element with text alone, which has no fields: \"x\"".to_owned())]
        );
        let deep = read(&"<a>".repeat(5000));
        assert_eq!(deep, [Err("the XML is damaged: it is nested more than 100 deep".to_owned())]);
        for text in ["<a><b></a>", "<a b=></a>", "no", "<", "</a>"] {
            assert!(read(text).iter().all(Result::is_err), "{text}: {:?}", read(text));
        }
    }
}
