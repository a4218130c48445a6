//! Instruction styles: what is taken apart is put together again with the same bytes, whatever the rows are.
#![no_main]

use instil::unify::{Instruction, Level, Style, induce, join, split, verify};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let rows: Vec<&str> = text.split('\u{1}').take(24).collect();
    for pattern in induce(&rows) {
        for row in &rows {
            if let Some(apart) = pattern.apart(row) {
                let contents = apart.slots.into_iter().map(|slot| &row[slot]);
                assert_eq!(pattern.put_together(contents), **row);
            }
        }
    }
    if let Some(fields) = split(text) {
        assert_eq!(join(fields), text);
    }
    if let Ok(styles) = Style::parse_file(text) {
        assert_eq!(Style::parse_file(&styles[0].to_toml()).expect("what was written is read")[0], styles[0]);
    }
    let (definition, candidate) = text.split_once('\u{1}').unwrap_or((text, text));
    let source = Instruction { definition: Some(definition.to_owned()), ..Instruction::new("task", Level::Task) };
    verify(&source, candidate, &[]);
});
