//! Bytes under every ending: documents or rejects, never an end of the program.
#![no_main]

use instil::source::{Options, open, resolve};
use libfuzzer_sys::fuzz_target;

const ENDINGS: [&str; 10] =
    ["txt", "md", "html", "jsonl", "json", "csv", "tsv", "parquet", "docx", "jsonl.gz"];

fuzz_target!(|input: (u8, &[u8])| {
    let (ending, bytes) = input;
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let path = folder.path().join(format!("a.{}", ENDINGS[usize::from(ending) % ENDINGS.len()]));
    std::fs::write(&path, bytes).expect("it can be written");
    let Ok(files) = resolve(&[path.to_string_lossy().into_owned()]) else { return };
    let Ok(documents) = open(files, &Options::default()) else { return };
    let seen = documents.inspect(|read| assert!(!matches!(read, Ok(document) if document.text.trim().is_empty())));
    assert!(seen.count() > 0, "every file gives a document or a reject");
});
