//! Adapters that others wrote, over lines that others wrote: rows or rejects, never an end of the program.
#![no_main]

use instil::source::Adapter;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &str, bool)| {
    let (fields, bytes, is_xml) = input;
    let reader = if is_xml { "xml" } else { "rows" };
    let text = format!("dataset = \"d\"\npath = \"a.jsonl\"\nlicense = \"l\"\nreader = \"{reader}\"\n{fields}");
    let Ok(adapter) = Adapter::parse("fuzzed", &text) else { return };
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    std::fs::write(folder.path().join("a.jsonl"), bytes).expect("it can be written");
    for item in adapter.rows(folder.path()).into_iter().flatten().take(10_000) {
        assert!(item.is_err() || item.is_ok_and(|row| row.fields.keys().map(String::as_str).eq(adapter.fields())));
    }
});
