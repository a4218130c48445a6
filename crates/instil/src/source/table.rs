//! Rows of comma- or tab-separated values under a head.

use std::collections::VecDeque;
use std::io::{self, Read};

use csv::{ByteRecord, ErrorKind};

use super::bytes::Bytes;
use super::column::{Choice, Holds};
use super::place::{Item, Place};
use super::row::{Cell, Row};
use super::{Options, Reader};
use crate::reject::Reason;

/// The rows of a table.
pub(super) struct Table {
    place: Place,
    reader: csv::Reader<Counted>,
    options: Options,
    separator: u8,
    head: Option<Head>,
    record: ByteRecord,
    /// The line on which `record` starts.
    line: u64,
    ended: bool,
}

struct Head {
    names: Vec<String>,
    choice: Option<Choice>,
    text: usize,
    id: Option<usize>,
}

/// Reads a table whose first record is its head. A quoted field may hold line breaks; a row is
/// known by the line on which it starts.
pub(super) fn rows(place: Place, bytes: Bytes, separator: u8, options: Options) -> Table {
    let reader = csv::ReaderBuilder::new()
        .delimiter(separator)
        .has_headers(false)
        // Rows of another length are counted here, with their line, not in the library.
        .flexible(true)
        .from_reader(Counted { bytes, offset: 0, line_ends: VecDeque::new() });
    Table { place, reader, options, separator, head: None, record: ByteRecord::new(), line: 1, ended: false }
}

impl Table {
    fn read(&mut self) -> io::Result<bool> {
        let before = self.reader.position().clone();
        let read = self.reader.read_byte_record(&mut self.record);
        self.line = before.line() + self.reader.get_mut().skip_line_ends(before.byte());
        read.map_err(|error| match error.into_kind() {
            ErrorKind::Io(error) => error,
            other => io::Error::other(format!("{other:?}")),
        })
    }

    fn row(&mut self) -> Item {
        let line = self.line;
        let head = self.head.as_mut().expect("the head was read first");
        let raw = || {
            let fields: Vec<_> = self.record.iter().map(String::from_utf8_lossy).collect();
            fields.join(if self.separator == b'\t' { "\t" } else { "," })
        };
        if self.record.len() != head.names.len() {
            let raw =
                format!("{} fields, and the head has {}: {}", self.record.len(), head.names.len(), raw());
            return Err(self.place.reject(Reason::InvalidRow, Some(line), raw));
        }
        if head.choice.is_none() {
            head.choose(&self.place.0, &self.record, &self.options);
        }
        if let Some(Choice::Failed { .. }) = head.choice {
            return Err(self.place.reject(Reason::MissingColumn, Some(line), raw()));
        }
        let Ok(text) = str::from_utf8(&self.record[head.text]) else {
            return Err(self.place.reject(Reason::InvalidUtf8, Some(line), raw()));
        };
        let id = head.id.and_then(|id| str::from_utf8(&self.record[id]).ok()).filter(|id| !id.is_empty());
        let row = Row { text: Cell::Text(text.to_owned()), id: id.map(str::to_owned) };
        self.place.of_row(row, line, raw)
    }
}

impl Head {
    fn new(record: &ByteRecord) -> Self {
        let names = record.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        Self { names, choice: None, text: 0, id: None }
    }

    /// Every field is a string; one that is a number in the first row is taken as one, so that a
    /// text beside a score is found.
    fn choose(&mut self, source: &str, first: &ByteRecord, options: &Options) {
        let columns: Vec<_> = self
            .names
            .iter()
            .zip(first)
            .map(|(name, field)| {
                let field = str::from_utf8(field).unwrap_or("text").trim();
                let holds = match field {
                    "" => Holds::Null,
                    _ if field.parse::<f64>().is_ok() => Holds::Other,
                    _ => Holds::Text,
                };
                // A column that is called `text` is one, also where its first field is `7`.
                let is_named = super::column::is_text_name(name);
                (name.as_str(), if is_named { Holds::Text } else { holds })
            })
            .collect();
        let choice = Choice::among(source, &columns, options);
        if let Choice::Made(columns) = &choice {
            let find = |wanted: &str| self.names.iter().position(|name| name == wanted);
            self.text = find(&columns.text).expect("it was chosen among these names");
            self.id = find(&columns.id);
        }
        self.choice = Some(choice);
    }
}

impl Iterator for Table {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        while !self.ended {
            match self.read() {
                Ok(true) if self.head.is_none() => self.head = Some(Head::new(&self.record)),
                Ok(true) => return Some(self.row()),
                Ok(false) => self.ended = true,
                Err(error) => {
                    self.ended = true;
                    return Some(Err(self.place.unreadable(Some(self.line), &error)));
                }
            }
        }
        None
    }
}

impl Reader for Table {
    fn choice(&self) -> Option<&Choice> {
        self.head.as_ref()?.choice.as_ref()
    }
}

/// Bytes that know where their lines end.
///
/// The csv library takes a record to start right after the end of the one before, at the `\n` of
/// its `\r\n` and before empty lines; what it passes over there has to be counted.
struct Counted {
    bytes: Bytes,
    offset: u64,
    /// The offsets of the `\r` (false) and `\n` (true) that the library has read and not yet passed.
    line_ends: VecDeque<(u64, bool)>,
}

impl Counted {
    /// How many `\n` stand at `start` before anything but line ends does.
    fn skip_line_ends(&mut self, start: u64) -> u64 {
        let (mut at, mut lines) = (start, 0);
        while let Some(&(offset, is_newline)) = self.line_ends.front() {
            if offset > at {
                break;
            }
            self.line_ends.pop_front();
            if offset == at {
                at += 1;
                lines += u64::from(is_newline);
            }
        }
        lines
    }
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.bytes.read(buffer)?;
        for (index, byte) in buffer[..read].iter().enumerate() {
            if matches!(byte, b'\r' | b'\n') {
                self.line_ends.push_back((self.offset + index as u64, *byte == b'\n'));
            }
        }
        self.offset += read as u64;
        Ok(read)
    }
}
