//! The elements of a JSON array, cut out of a stream one by one.

use std::io::{self, BufRead};

use super::bytes::Bytes;
use super::json::{Piece, Pieces};
use super::place::MAX_TEXT_BYTES;

/// Cuts an array, or JSON values one after the other, into its elements.
///
/// It looks only at brackets and strings; whether an element is right JSON is seen when it is
/// parsed, so that one bad element does not end the file.
pub(super) struct Elements {
    bytes: Bytes,
    number: u64,
    array: Array,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Array {
    /// Nothing was read yet.
    Unknown,
    /// There is none: values follow one another.
    None,
    /// Its `[` was read.
    Open,
    /// Its `]` was read.
    Closed,
}

/// Where in an element the reading is.
#[derive(Default)]
struct Scan {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Scan {
    /// Goes over one byte; whether the element's last bracket was closed by it.
    fn step(&mut self, byte: u8) -> bool {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return false;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                return self.depth == 0;
            }
            _ => {}
        }
        false
    }

    fn is_outside(&self) -> bool {
        self.depth == 0 && !self.in_string
    }
}

impl Elements {
    pub(super) fn new(bytes: Bytes) -> Self {
        Self { bytes, number: 0, array: Array::Unknown }
    }

    /// Reads what stands between elements; whether another one follows.
    fn skip_to_element(&mut self) -> io::Result<bool> {
        loop {
            let Some(&byte) = self.bytes.fill_buf()?.first() else {
                return match self.array {
                    Array::Open => Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "the array's closing bracket is missing",
                    )),
                    _ => Ok(false),
                };
            };
            match (byte, self.array) {
                (b' ' | b'\t' | b'\r' | b'\n', _) | (b',', Array::Open) => {}
                (b'[', Array::Unknown) => self.array = Array::Open,
                (b']', Array::Open) => self.array = Array::Closed,
                (_, Array::Unknown) => {
                    self.array = Array::None;
                    return Ok(true);
                }
                _ => return Ok(true),
            }
            self.bytes.consume(1);
        }
    }
}

impl Pieces for Elements {
    fn next(&mut self, buffer: &mut Vec<u8>) -> io::Result<Piece> {
        self.number += 1;
        if !self.skip_to_element()? {
            return Ok(Piece::End);
        }
        let (mut scan, mut long) = (Scan::default(), false);
        loop {
            let chunk = self.bytes.fill_buf()?;
            if chunk.is_empty() {
                break;
            }
            let in_array = self.array == Array::Open;
            // A number or a string, which no row is, ends before what parts elements.
            let parts = |byte: u8| byte == b'\n' || in_array && (byte == b',' || byte == b']');
            let mut taken = 0;
            let ends = chunk.iter().any(|&byte| {
                if scan.is_outside() && parts(byte) {
                    return true;
                }
                taken += 1;
                scan.step(byte)
            });
            if !long {
                buffer.extend_from_slice(&chunk[..taken]);
                long = buffer.len() as u64 > MAX_TEXT_BYTES;
            }
            self.bytes.consume(taken);
            if ends {
                break;
            }
        }
        Ok(if long { Piece::TooLong(self.number) } else { Piece::Row(self.number) })
    }

    fn number(&self) -> u64 {
        self.number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(json: &str) -> (Vec<String>, Option<String>) {
        let mut elements = Elements::new(Box::new(io::Cursor::new(json.to_owned().into_bytes())));
        let mut found = Vec::new();
        loop {
            let mut buffer = Vec::new();
            match elements.next(&mut buffer) {
                Ok(Piece::Row(number)) => {
                    assert_eq!(number, found.len() as u64 + 1);
                    found.push(String::from_utf8(buffer).unwrap());
                }
                Ok(_) => return (found, None),
                Err(error) => return (found, Some(error.to_string())),
            }
        }
    }

    #[test]
    fn an_array_is_cut_at_its_elements() {
        let (found, error) =
            elements("\n[ {\"a\": \"}],{\\\"\"} ,\n {\"b\": [1, {}]}, 3, \"x,]\", [4]\n ]\n");
        assert_eq!(found, [r#"{"a": "}],{\""}"#, r#"{"b": [1, {}]}"#, "3", "\"x,]\"", "[4]"]);
        assert_eq!(error, None);
        assert_eq!(elements("[]"), (vec![], None));
        assert_eq!(elements(" "), (vec![], None));
    }

    #[test]
    fn objects_may_follow_one_another() {
        assert_eq!(elements("{\n\"a\": 1}\n{\"b\": 2} {}").0, ["{\n\"a\": 1}", "{\"b\": 2}", "{}"]);
        assert_eq!(elements("nonsense {\nmore").0, ["nonsense {\nmore"]);
        assert_eq!(elements("[1]{}]").0, ["1", "{}", "]"]);
    }

    #[test]
    fn a_cut_array_says_so() {
        let (found, error) = elements("[{\"a\": 1}, {\"b\": 2");
        assert_eq!(found, ["{\"a\": 1}", "{\"b\": 2"]);
        assert_eq!(error.as_deref(), Some("the array's closing bracket is missing"));
    }
}
