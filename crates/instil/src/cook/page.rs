//! A sample as text: one buffer that is written again and again.

use super::tokens::{CELL, LONG, Pool};

/// Where samples are written. Give the same page to one call after the other: it grows to the longest sample and is
/// not allocated again.
#[derive(Clone, Debug)]
pub struct Page {
    /// The text from 1 on; the byte before it is room for the blank that a line doesn't begin with.
    bytes: Vec<u8>,
    /// Where the next byte goes.
    at: usize,
    /// Where the completion begins.
    cut: usize,
}

impl Default for Page {
    fn default() -> Self {
        Self { bytes: vec![b'\n'], at: 1, cut: 1 }
    }
}

impl Page {
    /// The prompt.
    pub fn prompt(&self) -> &str {
        text(&self.bytes[1..self.cut])
    }

    /// The completion.
    pub fn completion(&self) -> &str {
        text(&self.bytes[self.cut..self.at])
    }

    /// Prompt and completion, one after the other.
    pub fn text(&self) -> &str {
        text(&self.bytes[1..self.at])
    }

    pub(super) fn clear(&mut self) {
        self.at = 1;
        self.cut = 1;
    }

    /// Ends the prompt.
    pub(super) fn cut(&mut self) {
        self.cut = self.at;
    }

    /// Writes a literal text.
    #[inline]
    pub(super) fn literal(&mut self, text: &Literal) {
        self.room(text.bytes.len());
        if text.bytes.len() <= CELL {
            // A copy of known size costs less than one that is just as long as needed.
            self.bytes[self.at..self.at + CELL].copy_from_slice(&text.cell);
        } else {
            self.bytes[self.at..self.at + text.bytes.len()].copy_from_slice(&text.bytes);
        }
        self.at += text.bytes.len();
    }

    /// Writes tokens. The first has no blank before it where a line begins, or where `is_start`, unless blanks are parts of
    /// the pool's words like any other byte.
    #[inline]
    pub(super) fn tokens(&mut self, pool: &Pool, tokens: &[u32], is_start: bool) {
        if tokens.is_empty() {
            return;
        }
        self.room(tokens.len() * CELL + 1);
        // A blank that is not wanted is written over the byte before, which is then put back.
        let before = self.bytes[self.at - 1];
        let cells = pool.cells();
        let is_blank_over =
            (is_start || before == b'\n') && cells[tokens[0] as usize][0] == b' ' && !pool.is_bytes();
        let back = self.at - 1;
        self.at -= usize::from(is_blank_over);
        for token in tokens {
            let cell = &cells[*token as usize];
            let len = cell[CELL - 1];
            if len == LONG {
                let word = pool.bytes(*token);
                // Behind a long word there must be room again for all that are to come.
                self.room(word.len() + tokens.len() * CELL);
                self.bytes[self.at..self.at + word.len()].copy_from_slice(word);
                self.at += word.len();
                continue;
            }
            self.bytes[self.at..self.at + CELL].copy_from_slice(cell);
            self.at += usize::from(len);
        }
        if is_blank_over {
            self.bytes[back] = before;
        }
    }

    /// Replaces what isn't UTF-8, which only tokens of `all` can make.
    pub(super) fn mend(&mut self) {
        if [1..self.cut, self.cut..self.at]
            .into_iter()
            .all(|part| std::str::from_utf8(&self.bytes[part]).is_ok())
        {
            return;
        }
        let prompt = String::from_utf8_lossy(&self.bytes[1..self.cut]).into_owned();
        let completion = String::from_utf8_lossy(&self.bytes[self.cut..self.at]).into_owned();
        self.clear();
        self.literal(&Literal::new(&prompt));
        self.cut();
        self.literal(&Literal::new(&completion));
    }

    /// Makes sure that `more` bytes fit behind the last.
    #[inline]
    fn room(&mut self, more: usize) {
        if self.bytes.len() < self.at + more + CELL {
            self.bytes.resize((self.at + more + CELL).next_power_of_two(), b' ');
        }
    }
}

/// A text that is written often.
#[derive(Clone, Debug)]
pub(super) struct Literal {
    bytes: Box<[u8]>,
    /// Its first bytes.
    cell: [u8; CELL],
}

impl Literal {
    pub(super) fn new(text: &str) -> Self {
        let mut cell = [b' '; CELL];
        let len = text.len().min(CELL);
        cell[..len].copy_from_slice(&text.as_bytes()[..len]);
        Self { bytes: text.as_bytes().into(), cell }
    }

    pub(super) fn text(&self) -> &str {
        text(&self.bytes)
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("what isn't UTF-8 was mended")
}
