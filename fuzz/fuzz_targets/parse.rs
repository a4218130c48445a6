//! Completions of every kind, in both forms: a result or a reason, and what is kept is checked.
#![no_main]

use instil::parse::{Asked, answer, bonito, reference};
use instil::{TaskKind, check::check};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, bool, &str, &str)| {
    let (kind, truncated, text, passage) = input;
    let labels = ["World".to_owned(), "Sports".to_owned()];
    let asked = Asked { kind: TaskKind::ALL[usize::from(kind) % 16], passage, labels: &labels };
    for parsed in [bonito(text, truncated, asked), answer(text, truncated, asked)].into_iter().flatten() {
        assert!(!parsed.instruction.is_empty() && !parsed.response.is_empty());
        let _ = check(&parsed, asked);
    }
    let _ = reference(text, passage);
});
