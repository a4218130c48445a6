//! Sentences and passages: ranges that ascend, lie on characters and cover every byte that isn't blank.
#![no_main]

use instil::chunk::{Chunker, Limit};
use instil::record::{Document, Origin};
use instil::sentence::sentences;
use libfuzzer_sys::fuzz_target;

fn covers(text: &str, ranges: impl Iterator<Item = std::ops::Range<usize>>) {
    let mut end = 0;
    for range in ranges {
        assert!(range.start >= end && range.end > range.start);
        assert!(text[end..range.start].trim().is_empty());
        end = range.end;
    }
    assert!(text[end..].trim().is_empty());
}

fuzz_target!(|input: (u8, &str)| {
    let (limit, text) = input;
    covers(text, sentences(text).into_iter());
    let origin = Origin { source: "a".into(), row: None };
    let document = Document { id: "a".to_owned(), text: text.to_owned(), origin };
    let chunker = Chunker::new(Limit::Chars(usize::from(limit) + 1));
    covers(text, chunker.chunk(&document).into_iter().map(|passage| passage.span));
});
