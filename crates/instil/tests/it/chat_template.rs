//! Chat templates against what transformers rendered (see `tests/goldens/chat/README.md`).

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use instil::chat_template::{ChatTemplate, Conversation, Moment, SpecialTokens};
use serde_json::Value;

const GOLDENS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens/chat");

/// The lines that come out otherwise, each with the reason. No template in `templates/` does.
const DIFFERENCES: [(&str, &str); 17] = [
    ("{% raw %}\n {{ x }} \n{% endraw %}\nz", "the line end after `raw` is cut"),
    ("{% autoescape true %}{{ '<' }}{% endautoescape %}", "the tag is refused"),
    (
        "{% macro m(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, x=4) }}",
        "macros take what they name",
    ),
    (
        "{% macro m(a=1, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ m() }}{{ m(2) }}",
        "a default doesn't see the argument before it",
    ),
    ("{% set x, y = 'ab' %}{{ x }}{{ y }}", "strings aren't unpacked"),
    (r#"{{ "a\"b\d\s\/" }}"#, "`\\/` is a slash"),
    ("{{ '%(a)s' % {'a': 1} }}", "`%` formats by place alone"),
    (r"{{ '\U0001f600' | tojson(ensure_ascii=true) }}", "`\\U` is no escape"),
    (r"{{ 'a\tb\\c\'d\x41\u00e9\N{BULLET}' }}", "`\\N` is no escape"),
    ("{{ 'a' < 1 }}", "minijinja compares constants itself"),
    ("{{ none < 1 }}", "minijinja compares constants itself"),
    ("{{ 1 in 'abc' }}", "minijinja compares constants itself"),
    (r"{{ 'a\tb'.expandtabs(4) }}", "there is no such method"),
    ("{{ 'é'.encode('utf-8') }}", "there are no bytes"),
    ("{{ '{!r}'.format('x') }}", "`format` converts nothing"),
    ("{{ messages | map(attribute='d.a.x') | first }}", "filters go through the whole list at once"),
    ("{{ self is defined }}", "there is no `self`"),
];
/// What stands before most of the lines.
const NAMES: &str = "{% set s, u, a, v = messages[0], messages[1], messages[2], messages[3] %}";

fn rendered(
    templates: &mut BTreeMap<String, String>,
    special: &Value,
    talk: &Value,
    case: &Value,
) -> Result<String, String> {
    let source = match case["template"].as_str() {
        Some(name) => templates
            .entry(name.to_owned())
            .or_insert_with(|| {
                std::fs::read_to_string(Path::new(GOLDENS).join(format!("templates/{name}.jinja"))).unwrap()
            })
            .as_str(),
        None => case["jinja"].as_str().unwrap(),
    };
    let list = |key: &str| talk.get(key).and_then(Value::as_array).map(Vec::as_slice);
    let conversation = Conversation {
        tools: list("tools"),
        documents: list("documents"),
        add_generation_prompt: case["add_generation_prompt"] == true,
        continue_final_message: case["continue_final_message"] == true,
        extra: case["extra"].as_object().cloned().unwrap_or_default(),
        now: Moment::new(1_707_498_303, 0).with_microsecond(1234),
        ..Conversation::of(talk["messages"].as_array().unwrap())
    };
    let template = ChatTemplate::parse(source, SpecialTokens::of_json(special)).map_err(|e| e.to_string())?;
    template.render(&conversation).map_err(|e| e.to_string())
}

#[test]
fn chat_templates_render_as_under_transformers() {
    let read = |name: &str| std::fs::read(Path::new(GOLDENS).join(name)).unwrap();
    let conversations: Value = serde_json::from_slice(&read("conversations.json")).unwrap();
    let mut cases = String::new();
    flate2::read::GzDecoder::new(&read("cases.jsonl.gz")[..]).read_to_string(&mut cases).unwrap();
    let mut templates = BTreeMap::new();
    let (mut count, mut texts, mut different) = (0, 0, BTreeMap::new());
    for line in cases.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let talk = &conversations[case["conversation"].as_str().unwrap()];
        let rendered = rendered(&mut templates, &conversations["special"], talk, &case);
        let refusal = "the chat template refuses the conversation: ";
        let same = match (case["text"].as_str(), case["refusal"].as_str(), &rendered) {
            (Some(text), None, Ok(rendered)) => rendered == text,
            (None, Some(said), Err(e)) => e.strip_prefix(refusal) == Some(said),
            (None, None, Err(e)) => case["error"].is_string() && !e.starts_with(refusal),
            _ => false,
        };
        count += 1;
        texts += usize::from(case["text"].is_string());
        let name = case["template"].as_str().or(case["jinja"].as_str()).unwrap();
        let name = name.strip_prefix(NAMES).unwrap_or(name);
        if !same {
            let said = format!("\n  {line}\n  {rendered:?}");
            different.entry(name.to_owned()).or_insert_with(Vec::new).push(said);
        }
    }
    assert!(count > 2000 && texts > 1500, "{texts} texts in {count} cases");
    for (name, reason) in DIFFERENCES {
        assert!(different.remove(name).is_some(), "{name} is as under transformers after all, not {reason}");
    }
    let shown: Vec<_> =
        different.values().map(|cases| format!("{} more like{}", cases.len(), cases[0])).collect();
    assert!(different.is_empty(), "{} templates differ:\n{}", shown.len(), shown.join("\n"));
}

/// Texts made of pieces of the templates, most of them broken: each renders or is told what is wrong.
#[test]
fn broken_templates_are_told() {
    let folder = std::fs::read_dir(Path::new(GOLDENS).join("templates")).unwrap();
    let mut paths: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let sources: Vec<String> = paths.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let conversations = std::fs::read_to_string(Path::new(GOLDENS).join("conversations.json")).unwrap();
    let conversations: Value = serde_json::from_str(&conversations).unwrap();
    let talks: Vec<_> =
        conversations.as_object().unwrap().values().filter(|talk| talk["messages"].is_array()).collect();
    let mut state = 1_u64;
    let mut draw = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let mut fine = 0;
    for _ in 0..1500 {
        let mut pieces: Vec<&str> = Vec::new();
        for _ in 0..=draw(3) {
            // Tags stay whole mostly, so that more than the lexer is tried.
            let source = &sources[draw(sources.len())];
            let parts: Vec<&str> =
                source.split_inclusive("%}").flat_map(|part| part.split_inclusive("}}")).collect();
            let from = draw(parts.len());
            pieces.extend(&parts[from..(from + 1 + draw(12)).min(parts.len())]);
        }
        if draw(2) == 0 {
            let at = draw(pieces.len());
            pieces.remove(at);
        }
        let mut jinja = pieces.concat();
        // What is open is closed, most of the time.
        let mut open = Vec::new();
        for piece in &pieces {
            let tag = piece.split("{%").nth(1).unwrap_or_default().trim_start_matches(['-', '+', ' ']);
            let word = tag.split([' ', '-', '%']).next().unwrap_or_default();
            match word {
                "if" | "for" | "macro" | "call" | "filter" | "generation" | "with" => open.push(word),
                _ if word.starts_with("end") => drop(open.pop()),
                _ => {}
            }
        }
        open.iter().rev().for_each(|word| jinja.push_str(&format!("{{% end{word} %}}")));
        let talk = talks[draw(talks.len())];
        let conversation = Conversation::of(talk["messages"].as_array().unwrap());
        let template = ChatTemplate::parse(&jinja, SpecialTokens::of_json(&conversations["special"]));
        match template.and_then(|template| template.render(&conversation)) {
            Ok(_) => fine += 1,
            Err(e) => assert!(e.to_string().starts_with("the chat template "), "{e}"),
        }
    }
    assert!(fine > 100, "{fine}");
}
