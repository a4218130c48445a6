//! Replies of models that write definitions: a definition or a word that says why there is none.
#![no_main]

use instil::transfer::reply::{Fault, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, bool, u8)| {
    let (text, truncated, rows) = input;
    let rows = usize::from(rows % 4);
    match read(text, truncated, rows) {
        Ok(reply) => {
            assert!(!reply.definition.trim().is_empty());
            assert!(reply.explanations.is_empty() || reply.explanations.len() == rows);
        }
        // These are said of a model, not of its text.
        Err(fault) => assert!(!matches!(fault, Fault::Declined | Fault::Refused | Fault::Failed)),
    }
    // What was written whole is read whole, whatever stands in it.
    let json = serde_json::json!({"definition": text, "explanations": []}).to_string();
    if let Ok(reply) = read(&json, false, 0) {
        assert_eq!(reply.definition, text.trim());
    }
});
