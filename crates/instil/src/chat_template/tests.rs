use serde_json::json;

use super::*;

fn rendered(jinja: &str, messages: &Value) -> Result<String> {
    let messages = messages.as_array().unwrap();
    ChatTemplate::parse(jinja, SpecialTokens::default())?.render(&Conversation::of(messages))
}

fn said(jinja: &str) -> String {
    rendered(jinja, &json!([{"role": "user", "content": "x"}])).unwrap_err().to_string()
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let jinja = [
        "{% macro no(m) %}{{ raise_exception('no ' ~ m.role) }}{% endmacro %}{{ no(messages[0]) }}",
        "a\n{% for m in messages %}\n{{ m.content + 1 }}{% endfor %}",
        "{{ x.y.z }}",
        "a\r\nb\r\n{{ nosuch(1) }}",
        "{{ 'a' | nosuch }}",
        "{% set _ = messages.append(1) %}",
        "a\n{% if x %}",
        "{{ 'a }}",
        "a\n\n{% do x() %}",
        "{% generation %}x",
    ];
    insta::assert_snapshot!(jinja.map(said).join("\n"), @r#"
    the chat template refuses the conversation: no user
    the chat template fails on the conversation: can only concatenate str (not "int") to str (line 3)
    the chat template fails on the conversation: `x` is undefined (line 1)
    the chat template fails on the conversation: `nosuch` is undefined (line 3)
    the chat template fails on the conversation: filter nosuch is unknown (line 1)
    the chat template fails on the conversation: access to attribute 'append' of 'list' object is unsafe (line 1)
    the chat template is no valid Jinja: unexpected end of input, expected end of block (line 2)
    the chat template is no valid Jinja: unexpected end of string (line 1)
    the chat template is no valid Jinja: transformers has no tag `do` (line 3)
    the chat template is no valid Jinja: unexpected end of input, expected end of block (line 1)
    "#);
}

#[test]
fn what_never_ends_is_stopped() {
    let grown =
        "{% set n = namespace(s='x', l=[]) %}{% for i in range(24) %}{% set n.s = n.s + n.s %}{% endfor %}";
    let nested = "{% set n = namespace(a='x' * 99999, b=0, c=0) %}{% for i in range(99) %}{% set n.a = [n.a, n.a] %}\
                  {% set n.b = [n.b, n.b] %}{% set n.c = [n.c, n.c] %}{% endfor %}";
    let jinja = [
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}".to_owned(),
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}".to_owned(),
        "{{ range(100001) | list }}".to_owned(),
        "{{ 'x' * 999999999 }}".to_owned(),
        format!("{grown}{{% for i in range(99) %}}{{{{ n.s }}}}{{% endfor %}}"),
        format!("{grown}{{% for i in range(9999) %}}{{% set x = n.s | string %}}{{% endfor %}}"),
        format!("{nested}{{{{ n.a }}}}"),
        format!("{nested}{{{{ n.a ~ 'x' }}}}"),
        format!("{nested}{{{{ n.a | tojson }}}}"),
    ];
    insta::assert_snapshot!(jinja.map(|jinja| said(&jinja)).join("\n"), @r"
    the chat template fails on the conversation: it takes more than 5000000 steps (line 1)
    the chat template fails on the conversation: recursion limit exceeded (line 1)
    the chat template fails on the conversation: range of 100001 numbers, above 100000 (line 1)
    the chat template fails on the conversation: a repeated value grew too long (line 1)
    the chat template fails on the conversation: the text grew longer than 67108864 bytes (line 1)
    the chat template fails on the conversation: it looks at more than 1073741824 bytes (line 1)
    the chat template fails on the conversation: a text grew too long (line 1)
    the chat template fails on the conversation: a text grew too long (line 1)
    the chat template fails on the conversation: a text grew too long (line 1)
    ");
    let compared = format!("{nested}{{{{ n.b == n.c }}}}");
    assert_eq!(rendered(&compared, &json!([{}])).unwrap(), "False");
}

#[test]
fn a_folder_s_templates_are_found_in_the_order_of_transformers() {
    let dir = tempfile::tempdir().unwrap();
    let found = || ChatTemplate::of_folder(dir.path());
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    let messages = [json!({"role": "user", "content": "x"})];
    let shown = |tools: bool| {
        let tool = [json!({"name": "f"})];
        let conversation = Conversation { tools: tools.then_some(&tool[..]), ..Conversation::of(&messages) };
        found().unwrap().unwrap().render(&conversation).unwrap()
    };
    assert!(found().unwrap().is_none());
    write("chat_template.json", r#"{"chat_template": "processor {{ bos_token }}"}"#);
    assert_eq!(shown(false), "processor ");
    let config = r#"{"bos_token": {"content": "<s>", "special": true}, "eos_token": null, "chat_template": "#;
    write("tokenizer_config.json", &[config, r#""config {{ bos_token }}{{ eos_token }}"}"#].concat());
    assert_eq!(shown(true), "config <s>");
    write("special_tokens_map.json", r#"{"bos_token": "<b>", "eos_token": "</s>"}"#);
    assert_eq!(shown(true), "config <s></s>");
    let list = r#"[{"name": "default", "template": "plain"}, {"name": "tool_use", "template": "tools"},
                   {"name": "rag", "template": "{{ broken"}]}"#;
    write("tokenizer_config.json", &[config, list].concat());
    assert_eq!((shown(false), shown(true)), ("plain".to_owned(), "tools".to_owned()));
    write("chat_template.jinja", "file {{ messages | length }}\n");
    assert_eq!((shown(false), shown(true)), ("file 1".to_owned(), "file 1".to_owned()));
    std::fs::create_dir(dir.path().join("additional_chat_templates")).unwrap();
    write("additional_chat_templates/tool_use.jinja", "more");
    assert_eq!((shown(false), shown(true)), ("file 1".to_owned(), "more".to_owned()));
    write("chat_template.jinja", "\n{% if %}");
    let said = found().err().unwrap().to_string();
    assert!(said.starts_with("the chat template of ") && said.ends_with(" (line 2)"), "{said}");
    std::fs::remove_file(dir.path().join("chat_template.jinja")).unwrap();
    let said = found().unwrap().unwrap().render(&Conversation::of(&messages)).unwrap_err().to_string();
    assert_eq!(said, "of the chat templates tool_use none is `default`");
    std::fs::remove_dir_all(dir.path().join("additional_chat_templates")).unwrap();
    write("tokenizer_config.json", &[config, "7}"].concat());
    assert!(found().err().unwrap().to_string().contains("has an unknown shape"));
    write("tokenizer_config.json", "{");
    assert!(found().err().unwrap().to_string().contains("is no JSON"));
}

#[test]
fn a_conversation_that_is_none_is_refused() {
    let template = ChatTemplate::parse("{{ messages[0].content | trim }}", SpecialTokens::default()).unwrap();
    let said = |conversation: &Conversation<'_>| template.render(conversation).unwrap_err().to_string();
    let (messages, words) =
        ([json!({"role": "user", "content": " x "}), json!({"role": "assistant"})], [json!("f")]);
    let plain = Conversation::of(&messages);
    let continued = Conversation { continue_final_message: true, ..plain.clone() };
    let lists = [
        said(&Conversation::of(&[])),
        said(&Conversation::of(&words)),
        said(&Conversation { tools: Some(&words), ..plain.clone() }),
        said(&Conversation { documents: Some(&words), ..plain.clone() }),
        said(&Conversation {
            extra: [("tools".to_owned(), Value::Null)].into_iter().collect(),
            ..plain.clone()
        }),
        said(&continued),
        said(&Conversation { add_generation_prompt: true, ..continued.clone() }),
    ];
    insta::assert_snapshot!(lists.join("\n"), @r"
    a conversation without a message
    message 1 of a conversation is no JSON object
    tool 1 of a conversation is no JSON object
    document 1 of a conversation is no JSON object
    `tools` is not one of the extra names for a chat template
    the final message has no text to continue
    a final message is either continued or followed by a new turn, not both
    ");
    assert_eq!(template.render(&Conversation { messages: &messages[..1], ..continued }).unwrap(), "x");
}
