//! JSON rows: one object on each line (`.jsonl`), or the elements of an array (`.json`).

use std::io::{self, BufRead};

use super::bytes::Bytes;
use super::column::{Choice, Holds};
use super::elements::Elements;
use super::place::{Item, MAX_TEXT_BYTES, Place};
use super::row::{Row, columns_of};
use super::{Options, Reader};
use crate::reject::{Reason, Reject};

/// A part of a file that should hold one JSON object, or the want of it.
pub(super) enum Piece {
    /// The one with this number, now in the buffer.
    Row(u64),
    /// The one with this number is larger than memory should hold; it was skipped.
    TooLong(u64),
    /// There is no other.
    End,
}

/// Where one object ends and the next begins.
pub(super) trait Pieces: Send {
    /// Puts the next piece into `buffer`, which is empty.
    fn next(&mut self, buffer: &mut Vec<u8>) -> io::Result<Piece>;

    /// The number of the piece that comes next, or of the one that broke.
    fn number(&self) -> u64;
}

/// The texts of a file's objects, whatever is needed of them.
pub(super) struct Objects<P> {
    place: Place,
    pieces: P,
    buffer: Vec<u8>,
    ended: bool,
}

impl<P: Pieces> Objects<P> {
    pub(super) fn new(place: Place, pieces: P) -> Self {
        Self { place, pieces, buffer: Vec::new(), ended: false }
    }

    /// The number and the text of the next piece that is not blank.
    pub(super) fn next(&mut self) -> Option<Result<(u64, &str), Reject>> {
        let number = match self.advance()? {
            Ok(number) => number,
            Err(reject) => return Some(Err(reject)),
        };
        Some(text_of(&self.place, number, &self.buffer).map(|text| (number, text)))
    }

    /// The number and the bytes of the next piece that is not blank.
    pub(super) fn take(&mut self) -> Option<Result<(u64, Vec<u8>), Reject>> {
        let number = self.advance()?;
        // The next one is mostly as long, and needn't grow to that.
        let next = Vec::with_capacity(self.buffer.len());
        Some(number.map(|number| (number, std::mem::replace(&mut self.buffer, next))))
    }

    /// Reads the next piece that is not blank and gives its number.
    fn advance(&mut self) -> Option<Result<u64, Reject>> {
        while !self.ended {
            self.buffer.clear();
            match self.pieces.next(&mut self.buffer) {
                Ok(Piece::Row(_)) if self.buffer.trim_ascii().is_empty() => {}
                Ok(Piece::Row(number)) => return Some(Ok(number)),
                Ok(Piece::TooLong(number)) => {
                    let raw = format!("the row is larger than {MAX_TEXT_BYTES} bytes");
                    return Some(Err(self.place.reject(Reason::InvalidJson, Some(number), raw)));
                }
                Ok(Piece::End) => self.ended = true,
                Err(error) => {
                    self.ended = true;
                    return Some(Err(self.place.unreadable(Some(self.pieces.number()), &error)));
                }
            }
        }
        None
    }
}

/// The text of a piece.
pub(super) fn text_of<'a>(place: &Place, number: u64, bytes: &'a [u8]) -> Result<&'a str, Reject> {
    if let Ok(text) = simdutf8::basic::from_utf8(bytes) {
        return Ok(text);
    }
    str::from_utf8(bytes).map_err(|error| {
        let lossy = String::from_utf8_lossy(bytes);
        let raw = format!("not UTF-8 at byte {} of the row: {lossy}", error.valid_up_to());
        place.reject(Reason::InvalidUtf8, Some(number), raw)
    })
}

/// A piece that is not the JSON that it should be.
pub(super) fn invalid(place: &Place, number: u64, text: &str, error: &serde_json::Error) -> Reject {
    // The line that serde_json counts is always the first of the piece in a `.jsonl`.
    let message = error.to_string().replace(" at line 1 column ", " at column ");
    place.reject(Reason::InvalidJson, Some(number), format!("{message}: {text}"))
}

/// The documents of a file of JSON objects.
pub(super) struct Json<P> {
    place: Place,
    objects: Objects<P>,
    options: Options,
    choice: Option<Choice>,
}

/// An object on each line. Lines end at `\n` only: U+2028 and its like may stand inside a string.
pub(super) fn lines(place: Place, bytes: Bytes, options: Options) -> Json<Lines> {
    Json::new(place, Lines::new(bytes), options)
}

/// The objects of an array, or objects one after the other; rows are counted from 1.
pub(super) fn elements(place: Place, bytes: Bytes, options: Options) -> Json<Elements> {
    Json::new(place, Elements::new(bytes), options)
}

impl<P: Pieces> Json<P> {
    fn new(place: Place, pieces: P, options: Options) -> Self {
        Self { objects: Objects::new(place.clone(), pieces), place, options, choice: None }
    }
}

fn choose(place: &Place, columns: &[(String, Holds)], options: &Options) -> Choice {
    let columns: Vec<_> = columns.iter().map(|(name, holds)| (name.as_str(), *holds)).collect();
    Choice::among(&place.0, &columns, options)
}

impl<P: Pieces> Iterator for Json<P> {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        let (number, text) = match self.objects.next()? {
            Ok(object) => object,
            Err(reject) => return Some(Err(reject)),
        };
        if self.choice.is_none() {
            match columns_of(text) {
                Ok(columns) => self.choice = Some(choose(&self.place, &columns, &self.options)),
                Err(error) => return Some(Err(invalid(&self.place, number, text, &error))),
            }
        }
        Some(match &self.choice {
            Some(Choice::Made(columns)) => match Row::parse(text, columns) {
                Ok(row) => self.place.of_row(row, number, || text.to_owned()),
                Err(error) => Err(invalid(&self.place, number, text, &error)),
            },
            _ => Err(self.place.reject(Reason::MissingColumn, Some(number), text)),
        })
    }
}

impl<P: Pieces> Reader for Json<P> {
    fn choice(&self) -> Option<&Choice> {
        self.choice.as_ref()
    }
}

/// The lines of a file.
pub(super) struct Lines {
    bytes: Bytes,
    number: u64,
}

impl Lines {
    pub(super) fn new(bytes: Bytes) -> Self {
        Self { bytes, number: 0 }
    }
}

impl Pieces for Lines {
    fn next(&mut self, buffer: &mut Vec<u8>) -> io::Result<Piece> {
        self.number += 1;
        let read = io::Read::take(&mut self.bytes, MAX_TEXT_BYTES).read_until(b'\n', buffer)?;
        if read == 0 {
            return Ok(Piece::End);
        }
        match buffer.last() {
            Some(b'\n') => {
                buffer.pop();
                buffer.pop_if(|last| *last == b'\r');
            }
            _ if read as u64 == MAX_TEXT_BYTES => {
                self.bytes.skip_until(b'\n')?;
                return Ok(Piece::TooLong(self.number));
            }
            _ => {}
        }
        Ok(Piece::Row(self.number))
    }

    fn number(&self) -> u64 {
        self.number
    }
}
