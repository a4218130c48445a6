//! A document taken apart into pieces that each fit the limit.

use std::ops::Range;

use super::{Limit, trim};
use crate::sentence::sentences;

/// The bound between a piece and the one before it, the better ones last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Bound {
    /// Inside a word.
    Char,
    /// At a blank inside a sentence.
    Blank,
    /// Between sentences.
    Sentence,
    /// Between paragraphs.
    Paragraph,
}

/// A part of a document that is not cut any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Its bytes, without blanks at its ends.
    pub(super) span: Range<usize>,
    /// What parts it from the piece before.
    pub(super) bound: Bound,
    /// Whether it says what the next one is about.
    pub(super) is_heading: bool,
    /// How much of the document, in the limit's measure, there is before its begin and its end. In
    /// tokens it is the sum of what the pieces have one by one.
    pub(super) extent: Range<usize>,
}

/// Long sentences are cut into this many parts of the limit, so that passages can be filled.
const PARTS: usize = 8;
/// The most characters of a line that can be a heading.
const HEADING_CHARS: usize = 60;

/// The pieces of `text`, in order: together they cover everything that is not blank.
pub(super) fn pieces(text: &str, limit: &Limit) -> Vec<Piece> {
    let mut cutter = Cutter { text, limit, parts: Vec::new() };
    for paragraph in paragraphs(text) {
        cutter.paragraph(paragraph);
    }
    measured(text, limit, cutter.parts)
}

fn measured(text: &str, limit: &Limit, parts: Vec<(Range<usize>, Bound, usize)>) -> Vec<Piece> {
    let (mut at, mut before) = (0, 0);
    let piece = |(span, bound, size): (Range<usize>, Bound, usize)| {
        at += limit.measure_blanks(&text[before..span.start]);
        before = span.end;
        let extent = at..at + size;
        at = extent.end;
        Piece { is_heading: is_heading(&text[span.clone()]), span, bound, extent }
    };
    parts.into_iter().map(piece).collect()
}

struct Cutter<'a> {
    text: &'a str,
    limit: &'a Limit,
    /// Spans, their bounds and sizes.
    parts: Vec<(Range<usize>, Bound, usize)>,
}

impl Cutter<'_> {
    /// Keeps the span as a piece if it fits.
    fn keep(&mut self, span: &Range<usize>, bound: Bound) -> bool {
        let size = self.limit.measure(&self.text[span.clone()]);
        let fits = size <= self.limit.max();
        if fits {
            self.parts.push((span.clone(), bound, size));
        }
        fits
    }

    fn paragraph(&mut self, span: Range<usize>) {
        if self.keep(&span, Bound::Paragraph) {
            return;
        }
        let mut bound = Bound::Paragraph;
        for sentence in sentences(&self.text[span.clone()]) {
            self.sentence(span.start + sentence.start..span.start + sentence.end, bound);
            bound = Bound::Sentence;
        }
    }

    fn sentence(&mut self, span: Range<usize>, mut bound: Bound) {
        if self.keep(&span, bound) {
            return;
        }
        let part_chars = self.limit.likely_chars() / PARTS;
        let mut part = span.start..span.start;
        let mut chars = 0;
        for word in words(self.text, span.clone()) {
            let word_chars = self.text[word.clone()].chars().count();
            if !part.is_empty() && chars + word_chars > part_chars {
                self.part(part, bound);
                bound = Bound::Blank;
                part = word.start..word.start;
                chars = 0;
            }
            chars += word_chars + 1;
            part.end = word.end;
        }
        self.part(part, bound);
    }

    /// Some words of a sentence, or one that is long.
    fn part(&mut self, span: Range<usize>, mut bound: Bound) {
        if self.keep(&span, bound) {
            return;
        }
        for word in words(self.text, span.clone()) {
            self.word(word, bound);
            bound = Bound::Blank;
        }
    }

    fn word(&mut self, span: Range<usize>, mut bound: Bound) {
        let mut rest = span;
        while !rest.is_empty() {
            let word = &self.text[rest.clone()];
            let length = word.char_indices().nth(self.limit.likely_chars()).map_or(word.len(), |(at, _)| at);
            self.halve(rest.start..rest.start + length, bound);
            bound = Bound::Char;
            rest.start += length;
        }
    }

    fn halve(&mut self, span: Range<usize>, bound: Bound) {
        let word = &self.text[span.clone()];
        let middle = match word.floor_char_boundary(word.len() / 2) {
            0 => word.chars().next().map_or(0, char::len_utf8),
            middle => middle,
        };
        if self.keep(&span, bound) {
            return;
        }
        if middle == word.len() {
            let size = self.limit.measure(word);
            return self.parts.push((span, bound, size));
        }
        self.halve(span.start..span.start + middle, bound);
        self.halve(span.start + middle..span.end, Bound::Char);
    }
}

/// What stands between blank lines; a Markdown heading is a paragraph of its own.
fn paragraphs(text: &str) -> Vec<Range<usize>> {
    let mut paragraphs = Vec::new();
    let (mut start, mut at) = (0, 0);
    let mut end_at = |start: usize, end: usize| {
        let paragraph = trim(text, start..end);
        if !paragraph.is_empty() {
            paragraphs.push(paragraph);
        }
    };
    for line in text.split_inclusive('\n') {
        let next = at + line.len();
        let is_heading = is_markdown_heading(line);
        if is_heading || line.trim().is_empty() {
            end_at(start, at);
            start = at;
        }
        if is_heading {
            end_at(start, next);
            start = next;
        }
        at = next;
    }
    end_at(start, text.len());
    paragraphs
}

fn words(text: &str, span: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let mut rest = trim(text, span);
    std::iter::from_fn(move || {
        let word = text[rest.clone()].split_whitespace().next()?;
        let found = rest.start..rest.start + word.len();
        rest = trim(text, found.end..rest.end);
        Some(found)
    })
}

fn is_markdown_heading(line: &str) -> bool {
    let rest = line.trim_start_matches('#');
    (1..=6).contains(&(line.len() - rest.len())) && rest.starts_with([' ', '\t'])
}

/// A Markdown heading, or a short line that is neither a sentence nor one of a list.
fn is_heading(piece: &str) -> bool {
    if piece.contains('\n') {
        return false;
    }
    is_markdown_heading(piece)
        || piece.chars().nth(HEADING_CHARS).is_none()
            && piece.contains(char::is_alphabetic)
            && !piece.starts_with(['-', '*', '+', '•', '–', '—', '|', '>'])
            && !piece.ends_with([
                '.', '!', '?', ';', ',', '…', '"', '”', '\'', '’', ')', ']', '|', '。', '！', '？',
            ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_are_what_stands_between_blank_lines() {
        let text = "\n One\ntwo \r\n \t\r\n\nthree\n## Four \nfive\n#six\n";
        let found: Vec<_> = paragraphs(text).into_iter().map(|span| &text[span]).collect();
        assert_eq!(found, ["One\ntwo", "three", "## Four", "five\n#six"]);
    }

    #[test]
    fn headings_are_short_lines_that_are_no_sentences() {
        for heading in ["# A.", "Scope of the lease", "1. Scope", "CHAPTER IV", "Note:"] {
            assert!(is_heading(heading), "{heading}");
        }
        let long = "a ".repeat(40);
        for other in ["It rains.", "- milk", "one\ntwo", "1", "* * *", "said he,", &long] {
            assert!(!is_heading(other), "{other}");
        }
    }
}
