//! The text that is compiled, which isn't quite the text that was written, and the way back from its
//! places (spec/bonito.md 2.5).

use std::ops::Range;

/// What the published package puts in front of every `}}`.
const CUT: &str = " | string | truncate(2048) ";

/// A text made of another, with the places where they part.
pub(super) struct Rewritten {
    /// The text to compile.
    pub(super) text: String,
    /// Places in the text and the places of the original that they stand for, in order.
    marks: Vec<(usize, usize)>,
}

impl Rewritten {
    /// The text as Jinja2 reads it: every line end is `\n`, and with `truncate` every `}}` is preceded by
    /// the filters that cut what is printed.
    pub(super) fn of(original: &str, truncate: bool) -> Self {
        let mut text = String::with_capacity(original.len() + 64);
        let mut marks = Vec::new();
        let mut rest = 0;
        let bytes = original.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            let (width, instead) = match bytes[at] {
                b'\r' if bytes.get(at + 1) == Some(&b'\n') => (2, "\n"),
                b'\r' => (1, "\n"),
                b'}' if truncate && bytes.get(at + 1) == Some(&b'}') => (2, CUT),
                _ => {
                    at += 1;
                    continue;
                }
            };
            text.push_str(&original[rest..at]);
            text.push_str(instead);
            if instead == CUT {
                marks.push((text.len() - CUT.len(), at));
                text.push_str("}}");
                marks.push((text.len() - 2, at));
            }
            at += width;
            rest = at;
            marks.push((text.len(), at));
        }
        text.push_str(&original[rest..]);
        Self { text, marks }
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

    /// The bytes of the original that a range of the text stands for.
    pub(super) fn original(&self, range: &Range<usize>) -> Range<usize> {
        let start = self.back(range.start);
        start..self.back(range.end).max(start)
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
    fn line_ends_become_one_kind() {
        let rewritten = Rewritten::of("a\r\nb\rc\n{{d}}", false);
        assert_eq!(rewritten.text, "a\nb\nc\n{{d}}");
        assert_eq!(rewritten.original(&(2..3)), 3..4);
        assert_eq!(rewritten.original(&(6..11)), 7..12);
    }
}
