//! Any text as a template over a fixed row: it renders the same twice, or what is wrong has a name and lies
//! within the text.
#![no_main]

use instil::template::engine::{Compiled, Fault, Fields, Options};
use libfuzzer_sys::fuzz_target;

const ROW: &str = r#"{"a": "It's ||| \"so\" é", "b": [1, [2.5, null], {"c": true}], "d": {"e": "f"}, "n": -7}"#;

fuzz_target!(|input: (bool, &str, Option<&str>)| {
    let (truncate, jinja, answer_choices) = input;
    let check = |fault: Fault| {
        assert!(!fault.message.is_empty());
        if let Some(span) = fault.span {
            assert!(jinja.get(span.clone()).is_some(), "{span:?} of {} bytes", jinja.len());
        }
    };
    let compiled = match Compiled::new(jinja, answer_choices, Options { truncate }) {
        Ok(compiled) => compiled,
        Err(fault) => return check(fault),
    };
    let fields = Fields::of(&serde_json::from_str(ROW).expect("the row is JSON"));
    let once = compiled.render(&fields, 7);
    assert_eq!(once, compiled.render(&fields, 7));
    if let Err(fault) = once {
        check(fault);
    }
});
