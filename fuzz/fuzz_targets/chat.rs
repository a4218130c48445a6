//! Any text as a chat template over a fixed conversation: it renders the same twice, or what is wrong is said.
#![no_main]

use instil::chat_template::{ChatTemplate, Conversation, SpecialTokens};
use libfuzzer_sys::fuzz_target;

const MESSAGES: &str = r#"[{"role": "system", "content": "It's \"so\" é"}, {"role": "user", "content": [{"type": "text", "text": "x"}]},
    {"role": "assistant", "tool_calls": [{"id": "abcdefghi", "function": {"name": "f", "arguments": {"a": [1, 2.5, null]}}}]}]"#;

fuzz_target!(|input: (bool, &str)| {
    let (add_generation_prompt, jinja) = input;
    let special = SpecialTokens::from_iter([("bos_token", "<s>"), ("eos_token", "</s>")]);
    let template = match ChatTemplate::parse(jinja, special) {
        Ok(template) => template,
        Err(e) => return assert!(!e.to_string().is_empty()),
    };
    let messages: Vec<serde_json::Value> = serde_json::from_str(MESSAGES).expect("the messages are JSON");
    let conversation =
        Conversation { add_generation_prompt, tools: Some(&messages), ..Conversation::of(&messages) };
    let rendered = || template.render(&conversation).map_err(|e| e.to_string());
    assert_eq!(rendered(), rendered());
});
