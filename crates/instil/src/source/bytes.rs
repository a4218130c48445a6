//! Bytes as they are behind gzip and zstd, with a look at the first of them.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use flate2::read::MultiGzDecoder;

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// Not at all.
    Plain,
    /// gzip, of any number of members.
    Gzip,
    /// Zstandard, of any number of frames.
    Zstd,
}

/// The bytes of a source, unpacked.
pub(super) type Bytes = Box<dyn BufRead + Send>;

/// Large enough that reading costs nothing beside unpacking, small enough for many files at once.
const BUFFER_BYTES: usize = 256 * 1024;
/// How far a look inside goes: a page of text, or the start of a row.
pub(super) const HEAD_BYTES: usize = 4096;

impl Packing {
    /// The packing whose signature `head` begins with.
    pub(super) fn of(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            _ => Self::Plain,
        }
    }

    /// A reader of what is packed in `raw`.
    pub(super) fn unpack(self, raw: impl Read + Send + 'static) -> io::Result<Bytes> {
        let raw = BufReader::with_capacity(BUFFER_BYTES, raw);
        Ok(match self {
            Self::Plain => Box::new(raw),
            Self::Gzip => Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(raw))),
            Self::Zstd => {
                let decoder = zstd::stream::read::Decoder::with_buffer(raw)?;
                Box::new(BufReader::with_capacity(BUFFER_BYTES, decoder))
            }
        })
    }

    /// As much as can be unpacked of a file's first bytes.
    pub(super) fn unpack_head(self, head: &[u8]) -> Vec<u8> {
        match self.unpack(Cursor::new(head.to_vec())) {
            Ok(bytes) => Peeked::new(bytes).head().to_vec(),
            Err(_) => Vec::new(),
        }
    }
}

/// A reader whose first bytes have been looked at and are read again.
pub(super) struct Peeked<R> {
    head: Cursor<Vec<u8>>,
    /// What ended the look, told again when reading gets there.
    error: Option<io::Error>,
    rest: R,
}

impl<R: Read> Peeked<R> {
    /// Looks at the first [`HEAD_BYTES`].
    pub(super) fn new(mut rest: R) -> Self {
        let mut head = Vec::new();
        let error = rest.by_ref().take(HEAD_BYTES as u64).read_to_end(&mut head).err();
        Self { head: Cursor::new(head), error, rest }
    }

    /// The first bytes, fewer only where the source ends or breaks.
    pub(super) fn head(&self) -> &[u8] {
        self.head.get_ref()
    }

    /// Skips the mark that some programs put before UTF-8.
    pub(super) fn skip_byte_order_mark(&mut self) {
        if self.head().starts_with(b"\xef\xbb\xbf") {
            self.head.set_position(3);
        }
    }

    fn head_is_read(&self) -> bool {
        self.head.position() >= self.head.get_ref().len() as u64
    }
}

impl<R: Read> Read for Peeked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.head_is_read() {
            return self.head.read(buffer);
        }
        match self.error.take() {
            Some(error) => Err(error),
            None => self.rest.read(buffer),
        }
    }
}

impl<R: BufRead> BufRead for Peeked<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if !self.head_is_read() {
            return self.head.fill_buf();
        }
        match self.error.take() {
            Some(error) => Err(error),
            None => self.rest.fill_buf(),
        }
    }

    fn consume(&mut self, amount: usize) {
        if self.head_is_read() { self.rest.consume(amount) } else { self.head.consume(amount) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn all_members_are_read() {
        let packed = [gzip(b"one "), gzip(b"two")].concat();
        let mut text = String::new();
        Packing::of(&packed).unpack(Cursor::new(packed)).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "one two");
        let packed =
            [zstd::encode_all(&b"one "[..], 1).unwrap(), zstd::encode_all(&b"two"[..], 1).unwrap()].concat();
        let mut text = String::new();
        Packing::of(&packed).unpack(Cursor::new(packed)).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "one two");
    }

    #[test]
    fn what_was_looked_at_is_read_again_and_so_is_its_error() {
        let mut packed = gzip(&b"0123456789".repeat(300));
        packed.truncate(packed.len() - 4);
        let mut peeked = Peeked::new(Packing::Gzip.unpack(Cursor::new(packed)).unwrap());
        assert_eq!(peeked.head().len(), 3000);
        let mut text = Vec::new();
        peeked.read_to_end(&mut text).unwrap_err();
        assert_eq!(text.len(), 3000);
        let long = b"x".repeat(HEAD_BYTES + 5);
        let mut peeked = Peeked::new(&long[..]);
        assert_eq!(peeked.head().len(), HEAD_BYTES);
        let mut text = Vec::new();
        peeked.read_until(b'\n', &mut text).unwrap();
        assert_eq!(text, long);
    }
}
