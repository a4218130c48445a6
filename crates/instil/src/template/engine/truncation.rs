//! The text that is compiled, which isn't quite the text that was written, and the way back from its
//! places (spec/bonito.md 2.5).

use std::ops::Range;

use minijinja::machinery::{Token, tokenize};
use minijinja::syntax::SyntaxConfig;

/// What the published package puts in front of every `}}`.
const CUT: &str = " | string | truncate(2048) ";

/// A text made of another, with the places where they part.
pub(super) struct Rewritten {
    /// The text to compile.
    pub(super) text: String,
    /// Places in the text and the places of the original that they stand for, in order.
    marks: Vec<(usize, usize)>,
    /// Where the lines of the original begin, from the second on.
    lines: Vec<usize>,
}

impl Rewritten {
    /// The text as Jinja2 reads it: every line end is `\n`, and with `truncate` every `}}` is preceded by
    /// the filters that cut what is printed. What minijinja's syntax lacks is written otherwise.
    pub(super) fn of(original: &str, truncate: bool) -> Self {
        let bytes = original.as_bytes();
        let (mut edits, mut lines) = (Vec::new(), Vec::new());
        let mut at = 0;
        while at < bytes.len() {
            match bytes[at] {
                b'\r' => {
                    let width = if bytes.get(at + 1) == Some(&b'\n') { 2 } else { 1 };
                    edits.push((at..at + width, "\n"));
                    at += width - 1;
                    lines.push(at + 1);
                }
                b'\n' => lines.push(at + 1),
                b'}' if truncate && bytes.get(at + 1) == Some(&b'}') => {
                    edits.push((at..at, CUT));
                    at += 1;
                }
                _ => {}
            }
            at += 1;
        }
        edits.extend(foreign_syntax(original));
        // Of two at one place the longer one counts: the line end after a backslash.
        edits.sort_by_key(|(range, _)| (range.start, usize::MAX - range.end));
        let mut text = String::with_capacity(original.len() + edits.len() * CUT.len());
        let mut marks = Vec::with_capacity(2 * edits.len());
        let mut rest = 0;
        for (range, instead) in edits {
            if range.start < rest {
                continue;
            }
            text.push_str(&original[rest..range.start]);
            marks.push((text.len(), range.start));
            text.push_str(instead);
            marks.push((text.len(), range.end));
            rest = range.end;
        }
        text.push_str(&original[rest..]);
        Self { text, marks, lines }
    }

    /// The line of the original, from 1, that holds one of its places.
    pub(super) fn line(&self, place: usize) -> usize {
        1 + self.lines.partition_point(|begin| *begin <= place)
    }

    /// The place of the original that a place of the text stands for.
    fn back(&self, place: usize) -> usize {
        let before = self.marks.partition_point(|(at, _)| *at <= place);
        let Some(&(at, original)) = before.checked_sub(1).map(|index| &self.marks[index]) else {
            return place;
        };
        let end = self.marks.get(before).map_or(usize::MAX, |(_, original)| *original);
        (original + (place - at)).min(end)
    }

    /// The bytes of the original that a range of the text stands for, widened to whole characters.
    pub(super) fn original(&self, range: &Range<usize>) -> Range<usize> {
        let (mut start, mut end) = (range.start.min(self.text.len()), range.end.min(self.text.len()));
        while !self.text.is_char_boundary(start) {
            start -= 1;
        }
        while !self.text.is_char_boundary(end) {
            end += 1;
        }
        let start = self.back(start);
        start..self.back(end).max(start)
    }
}

/// Signs before operands, which minijinja doesn't read and which change nothing; line ends that a backslash
/// takes out of a string; and tuples without parentheses in `{{ a, b }}` and `{% for x in a, b %}`.
fn foreign_syntax(original: &str) -> Vec<(Range<usize>, &'static str)> {
    let mut edits = Vec::new();
    let mut after_operand = false;
    // Where a tuple may have begun, how many brackets are open since, and whether there was a comma.
    let (mut begin, mut depth, mut comma) = (None, 0_usize, false);
    let mut in_for = false;
    for token in tokenize(original, false, SyntaxConfig::default()) {
        let Ok((token, span)) = token else { break };
        let (start, end) = (span.start_offset as usize, span.end_offset as usize);
        match &token {
            Token::VariableStart => (begin, depth, comma) = (Some(end), 0, false),
            Token::BlockStart => (begin, in_for) = (None, false),
            Token::Ident("for") if begin.is_none() => in_for = true,
            Token::Ident("in") if in_for && begin.is_none() => (begin, depth, comma) = (Some(end), 0, false),
            Token::ParenOpen | Token::BracketOpen | Token::BraceOpen => depth += 1,
            Token::ParenClose | Token::BracketClose | Token::BraceClose => depth = depth.saturating_sub(1),
            Token::Comma if depth == 0 => comma = true,
            Token::VariableEnd | Token::BlockEnd => {
                close(begin.take().filter(|_| comma), start, &mut edits);
            }
            Token::Ident("if" | "recursive") if in_for && depth == 0 => {
                close(begin.take().filter(|_| comma), start, &mut edits);
                in_for = false;
            }
            Token::Plus if !after_operand => edits.push((start..end, " ")),
            Token::Str(_) | Token::String(_) => {
                let literal = original.get(start..end).unwrap_or_default();
                let mut at = 0;
                while let Some(found) = literal[at..].find('\\') {
                    let place = at + found;
                    let skipped = match &literal[place + 1..] {
                        rest if rest.starts_with("\r\n") => 3,
                        rest if rest.starts_with(['\n', '\r']) => 2,
                        rest => {
                            at = place + 1 + rest.chars().next().map_or(0, char::len_utf8);
                            continue;
                        }
                    };
                    edits.push((start + place..start + place + skipped, ""));
                    at = place + skipped;
                }
            }
            _ => {}
        }
        after_operand = match token {
            Token::Ident(word) => {
                !matches!(word, "and" | "or" | "not" | "in" | "is" | "if" | "else" | "elif" | "for" | "set")
            }
            Token::Str(_)
            | Token::String(_)
            | Token::Int(_)
            | Token::Int128(_)
            | Token::Float(_)
            | Token::BracketClose
            | Token::ParenClose
            | Token::BraceClose => true,
            _ => false,
        };
    }
    edits
}

/// Puts parentheses around a tuple that has none.
fn close(begin: Option<usize>, end: usize, edits: &mut Vec<(Range<usize>, &'static str)>) {
    if let Some(begin) = begin {
        edits.push((begin..begin, "("));
        edits.push((end..end, ")"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_closing_brace_pair_is_preceded_by_the_cut() {
        let rewritten = Rewritten::of("a {{b}} c {{d }}", true);
        assert_eq!(rewritten.text, "a {{b | string | truncate(2048) }} c {{d  | string | truncate(2048) }}");
        let of = |part: &str| {
            let at = rewritten.text.find(part).unwrap();
            rewritten.original(&(at..at + part.len()))
        };
        assert_eq!(of("b"), 4..5);
        assert_eq!(of("{{d"), 10..13);
        assert_eq!(of("truncate(2048) }}"), 5..7);
    }

    #[test]
    fn what_minijinja_does_not_read_is_written_otherwise() {
        let tuples = Rewritten::of("{{ a, [b, c] }}{{ f(a, b) }}{% for x in 1, 2 if x %}{% endfor %}", true);
        let cut = "{{( a, [b, c]  | string | truncate(2048) )}}{{ f(a, b)  | string | truncate(2048) }}";
        assert_eq!(tuples.text, [cut, "{% for x in( 1, 2 )if x %}{% endfor %}"].concat());
        let rewritten = Rewritten::of("{{ +a + +1 }}+{{ 'x\\\ny\\\\' }}\n{{ c }}", false);
        assert_eq!(rewritten.text, "{{  a +  1 }}+{{ 'xy\\\\' }}\n{{ c }}");
        let at = rewritten.text.find("c }").unwrap();
        let original = rewritten.original(&(at..at + 1));
        assert_eq!((rewritten.line(original.start), original), (3, 32..33));
    }

    #[test]
    fn line_ends_become_one_kind() {
        let rewritten = Rewritten::of("a\r\nb\rc\n{{d}}", false);
        assert_eq!(rewritten.text, "a\nb\nc\n{{d}}");
        assert_eq!(rewritten.original(&(2..3)), 3..4);
        assert_eq!(rewritten.original(&(6..11)), 7..12);
    }
}
