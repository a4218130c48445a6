//! Rows of comma- or tab-separated values under a head.

use std::collections::VecDeque;
use std::io::{self, Read};

use csv::{ByteRecord, ErrorKind};

use super::bytes::Bytes;
use super::column::{Choice, Holds};
use super::place::{Item, Place};
use super::row::{Cell, Row};
use super::{Options, Reader};
use crate::reject::{Reason, Reject};

/// The records below a table's head, whatever is needed of them.
pub(super) struct Records {
    place: Place,
    reader: csv::Reader<Counted>,
    separator: u8,
    names: Option<Vec<String>>,
    record: ByteRecord,
    /// The line on which `record` starts.
    line: u64,
    ended: bool,
}

impl Records {
    /// Reads a table whose first record is its head. A quoted field may hold line breaks; a row is
    /// known by the line on which it starts.
    pub(super) fn new(place: Place, bytes: Bytes, separator: u8) -> Self {
        let reader = csv::ReaderBuilder::new()
            .delimiter(separator)
            .has_headers(false)
            // Rows of another length are counted here, with their line, not in the library.
            .flexible(true)
            .from_reader(Counted { bytes, offset: 0, line_ends: VecDeque::new() });
        Self { place, reader, separator, names: None, record: ByteRecord::new(), line: 1, ended: false }
    }

    /// Goes to the next record that is as long as the head, and gives its line.
    pub(super) fn next(&mut self) -> Option<Result<u64, Reject>> {
        while !self.ended {
            match (self.read(), &self.names) {
                (Ok(true), None) => {
                    let names = self.record.iter().map(|name| String::from_utf8_lossy(name).into_owned());
                    self.names = Some(names.collect());
                }
                (Ok(true), Some(names)) if self.record.len() != names.len() => {
                    let (fields, head) = (self.record.len(), names.len());
                    let raw = format!("{fields} fields, and the head has {head}: {}", self.raw());
                    return Some(Err(self.place.reject(Reason::InvalidRow, Some(self.line), raw)));
                }
                (Ok(true), Some(_)) => return Some(Ok(self.line)),
                (Ok(false), _) => self.ended = true,
                (Err(error), _) => {
                    self.ended = true;
                    return Some(Err(self.place.unreadable(Some(self.line), &error)));
                }
            }
        }
        None
    }

    /// The names in the head, from the time it has been read.
    pub(super) fn names(&self) -> &[String] {
        self.names.as_deref().unwrap_or_default()
    }

    /// The record that [`next`](Self::next) went to.
    pub(super) fn record(&self) -> &ByteRecord {
        &self.record
    }

    /// That record as a line.
    pub(super) fn raw(&self) -> String {
        let fields: Vec<_> = self.record.iter().map(String::from_utf8_lossy).collect();
        fields.join(if self.separator == b'\t' { "\t" } else { "," })
    }

    fn read(&mut self) -> io::Result<bool> {
        let before = self.reader.position().clone();
        let read = self.reader.read_byte_record(&mut self.record);
        self.line = before.line() + self.reader.get_mut().skip_line_ends(before.byte());
        read.map_err(|error| match error.into_kind() {
            ErrorKind::Io(error) => error,
            other => io::Error::other(format!("{other:?}")),
        })
    }
}

/// The documents of a table.
pub(super) struct Table {
    place: Place,
    records: Records,
    options: Options,
    head: Option<Head>,
}

/// The columns that are read.
struct Head {
    choice: Choice,
    text: usize,
    id: Option<usize>,
}

/// The documents of a table whose first record is its head.
pub(super) fn rows(place: Place, bytes: Bytes, separator: u8, options: Options) -> Table {
    Table { records: Records::new(place.clone(), bytes, separator), place, options, head: None }
}

impl Table {
    fn row(&mut self, line: u64) -> Item {
        let records = &self.records;
        let head = self.head.get_or_insert_with(|| {
            Head::choose(&self.place.0, records.names(), records.record(), &self.options)
        });
        if let Choice::Failed { .. } = head.choice {
            return Err(self.place.reject(Reason::MissingColumn, Some(line), records.raw()));
        }
        let record = records.record();
        let Ok(text) = str::from_utf8(&record[head.text]) else {
            return Err(self.place.reject(Reason::InvalidUtf8, Some(line), records.raw()));
        };
        let id = head.id.and_then(|id| str::from_utf8(&record[id]).ok()).filter(|id| !id.is_empty());
        let row = Row { text: Cell::Text(text.to_owned()), id: id.map(str::to_owned) };
        self.place.of_row(row, line, || records.raw())
    }
}

impl Head {
    /// Every field is a string; one that is a number in the first row is taken as one, so that a
    /// text beside a score is found.
    fn choose(source: &str, names: &[String], first: &ByteRecord, options: &Options) -> Self {
        let columns: Vec<_> = names
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
        let find = |wanted: &str| names.iter().position(|name| name == wanted);
        let (text, id) = match &choice {
            Choice::Made(columns) => {
                (find(&columns.text).expect("it was chosen among these names"), find(&columns.id))
            }
            Choice::Failed { .. } => (0, None),
        };
        Self { choice, text, id }
    }
}

impl Iterator for Table {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        Some(match self.records.next()? {
            Ok(line) => self.row(line),
            Err(reject) => Err(reject),
        })
    }
}

impl Reader for Table {
    fn choice(&self) -> Option<&Choice> {
        Some(&self.head.as_ref()?.choice)
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
