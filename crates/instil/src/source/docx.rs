//! The text of a Word document.

use std::io::{Cursor, Read};

use quick_xml::events::{BytesRef, Event};
use quick_xml::{Reader as Xml, escape};
use zip::ZipArchive;

use super::bytes::Bytes;
use super::html::tidy;
use super::place::{Item, MAX_TEXT_BYTES, Place};
use super::whole::read_all;
use crate::reject::Reason;

/// The document's text, its paragraphs parted by blank lines, each row of a table on one line.
///
/// Headings are paragraphs; headers, footers, notes and comments are left out, and so is what a
/// tracked change has deleted.
pub(super) fn document(place: &Place, bytes: Bytes) -> Item {
    let bytes = read_all(place, bytes)?;
    let read = main_part(&bytes).and_then(|xml| text_of(&xml));
    match read {
        Ok(text) => place.document(tidy(&text), None, None),
        Err(message) => Err(place.reject(Reason::Unreadable, None, message)),
    }
}

fn main_part(bytes: &[u8]) -> Result<String, String> {
    if bytes.starts_with(&[0xd0, 0xcf, 0x11, 0xe0]) {
        return Err("it is protected by a password, or an old .doc: save it as .docx without one".to_owned());
    }
    let damaged = |error: &dyn std::fmt::Display| format!("the .docx is damaged: {error}");
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| damaged(&error))?;
    // Some programs call it `word/document2.xml`.
    let is_main = |name: &str| name.starts_with("word/document") && name.ends_with(".xml");
    let name = archive.file_names().flatten().find(|name| is_main(name)).map(|name| name.into_owned());
    let name = name.ok_or("it is a zip archive, but not a .docx: `word/document.xml` is not in it")?;
    let part = archive.by_name(&name).map_err(|error| damaged(&error))?;
    let mut xml = String::new();
    part.take(MAX_TEXT_BYTES).read_to_string(&mut xml).map_err(|error| damaged(&error))?;
    Ok(xml)
}

fn text_of(xml: &str) -> Result<String, String> {
    let mut reader = Xml::from_str(xml);
    let mut writer = Writer::default();
    loop {
        let event = reader.read_event().map_err(|error| {
            format!("the .docx is damaged: {error}, at byte {} of its text part", reader.error_position())
        })?;
        match event {
            Event::Eof => return Ok(writer.text),
            Event::Start(element) => match element.local_name().as_ref() {
                // Properties; where a moved text was; what repeats a drawing for old programs.
                "pPr" | "rPr" | "moveFrom" | "Fallback" => {
                    reader
                        .read_to_end(element.name())
                        .map_err(|error| format!("the .docx is damaged: {error}"))?;
                }
                name => writer.start(name),
            },
            Event::Empty(element) => {
                writer.start(element.local_name().as_ref());
                writer.end(element.local_name().as_ref());
            }
            Event::End(element) => writer.end(element.local_name().as_ref()),
            Event::Text(text) if writer.in_text => writer.text.push_str(&text.xml10_content()),
            Event::CData(text) if writer.in_text => writer.text.push_str(&text.xml10_content()),
            Event::GeneralRef(reference) if writer.in_text => writer.reference(&reference)?,
            _ => {}
        }
    }
}

#[derive(Default)]
struct Writer {
    text: String,
    in_text: bool,
    cells: usize,
}

impl Writer {
    fn start(&mut self, name: &str) {
        match name {
            "t" => self.in_text = true,
            "tc" => self.cells += 1,
            "tab" => self.text.push('\t'),
            "br" | "cr" => self.text.push('\n'),
            "noBreakHyphen" => self.text.push('\u{2011}'),
            _ => {}
        }
    }

    fn end(&mut self, name: &str) {
        match name {
            "t" => self.in_text = false,
            "p" if self.cells > 0 => self.text.push(' '),
            "p" => self.text.push_str("\n\n"),
            "tc" => {
                self.cells = self.cells.saturating_sub(1);
                self.trim_blanks();
                self.text.push('\t');
            }
            "tr" => {
                self.trim_blanks();
                self.text.push('\n');
            }
            "tbl" => self.text.push('\n'),
            _ => {}
        }
    }

    fn trim_blanks(&mut self) {
        let end = self.text.trim_end_matches([' ', '\t']).len();
        self.text.truncate(end);
    }

    fn reference(&mut self, reference: &BytesRef<'_>) -> Result<(), String> {
        let unknown = || format!("the .docx is damaged: `&{};` is not known", &**reference);
        match reference.resolve_char_ref().map_err(|_| unknown())? {
            Some(character) => self.text.push(character),
            None => self.text.push_str(escape::resolve_xml_entity(reference).ok_or_else(unknown)?),
        }
        Ok(())
    }
}
