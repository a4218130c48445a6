//! What a model said: a definition, or the one word that says why there is none.
//!
//! A reply is a JSON object. Models put prose and fences around it, leave quotes inside it unescaped, or are cut off.
//! A quote is never taken for the end of a text because it is a quote: of 32 published candidates 21 were cut at the first
//! one inside (spec/uit.md 6.3). Where the JSON is broken, a text ends before what can only follow its end.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value};

use super::words;

words! {
    /// Why there is no definition in a reply. The reply is kept beside it.
    Fault;
    Empty "empty_reply" "The reply is empty.";
    NoJson "no_json" "There is no JSON object in the reply.";
    Truncated "truncated_reply" "The reply ends in the middle of its JSON.";
    NoDefinition "no_definition" "The JSON has no text `definition`.";
    Placeholder "placeholder" "The definition is a placeholder, such as `nan` or `...`.";
    Scaffold "scaffold" "The definition holds pieces of the prompt, such as `SOURCE` or `TARGET`.";
    Declined "declined" "The model has nothing to say to this prompt.";
    Refused "refused" "The model refused to answer.";
    Failed "failed" "Every attempt to ask failed; asking again later may help.";
}

words! {
    /// What was mended or left out in a reply whose definition is used.
    Note;
    Prose "prose_around" "There is prose around the JSON; it is left out.";
    Fence "fence" "The JSON stands in a fence of Markdown.";
    InnerQuotes "inner_quotes" "Quotes inside a text were not escaped; they are kept.";
    RawBreaks "raw_breaks" "Line breaks or tabs inside a text were not escaped; they are kept.";
    Explanations "explanations_missing" "There is not one explanation for each row that was shown; they are left out.";
    AskedAgain "asked_again" "An earlier reply could not be used, and the model was told why.";
}

/// A definition as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The instruction, without blanks around it.
    pub definition: String,
    /// An explanation for each row that was shown, or none at all.
    pub explanations: Vec<String>,
    /// What was mended, each once.
    pub notes: Vec<Note>,
}

/// Where objects are looked for: a text with more braces than that is no reply.
const BEGINNINGS: usize = 64;

/// Reads a reply. `truncated` says that the model was cut off, `rows` how many explanations were asked for.
///
/// # Errors
/// Says why there is no definition.
///
/// ```
/// use instil::transfer::reply::{Fault, Note, read};
/// let said = "Sure! Here it is:\n{\"definition\": \"Answer \"yes\" or \"no\".\", \"explanations\": []}";
/// let reply = read(said, false, 0).unwrap();
/// assert_eq!(reply.definition, "Answer \"yes\" or \"no\".");
/// assert_eq!(reply.notes, [Note::Prose, Note::InnerQuotes]);
/// assert_eq!(read("{\"definition\": \"Answer ", false, 0), Err(Fault::Truncated));
/// ```
pub fn read(reply: &str, truncated: bool, rows: usize) -> Result<Reply, Fault> {
    let text = reply.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Err(if truncated { Fault::Truncated } else { Fault::Empty });
    }
    let mut is_open = false;
    let mut is_object = false;
    let mut at = 0;
    for _ in 0..BEGINNINGS {
        let Some(brace) = text[at..].find('{') else { break };
        let begin = at + brace;
        let mut values = serde_json::Deserializer::from_str(&text[begin..]).into_iter::<Value>();
        match values.next() {
            Some(Ok(Value::Object(object))) => {
                let end = begin + values.byte_offset();
                if object.contains_key("definition") {
                    return whole(object, around(text, begin, end), rows);
                }
                is_object = true;
                at = end;
            }
            Some(Err(error)) => {
                is_open |= error.is_eof();
                at = begin + 1;
            }
            Some(Ok(_)) | None => at = begin + 1,
        }
    }
    if let Some(reply) = mended(text, truncated, rows) {
        return reply;
    }
    Err(match (truncated || is_open, is_object) {
        (true, _) => Fault::Truncated,
        (false, true) => Fault::NoDefinition,
        (false, false) => Fault::NoJson,
    })
}

/// What stands before and behind the JSON.
fn around(text: &str, begin: usize, end: usize) -> Vec<Note> {
    let mut notes = Vec::new();
    let (before, behind) = (text[..begin].trim(), text[end..].trim());
    let opened = before.strip_suffix("json").or_else(|| before.strip_suffix("JSON")).unwrap_or(before);
    let unfenced = opened.trim_end().strip_suffix("```");
    let closed = behind.strip_prefix("```");
    if !unfenced.unwrap_or(before).trim().is_empty() || !closed.unwrap_or(behind).trim().is_empty() {
        notes.push(Note::Prose);
    }
    if unfenced.is_some() || closed.is_some() {
        notes.push(Note::Fence);
    }
    notes
}

fn whole(mut object: Map<String, Value>, mut notes: Vec<Note>, rows: usize) -> Result<Reply, Fault> {
    let Some(Value::String(definition)) = object.remove("definition") else {
        return Err(Fault::NoDefinition);
    };
    let explanations = match object.remove("explanations") {
        Some(Value::Array(texts)) if texts.len() == rows => {
            texts.iter().map(|text| Some(text.as_str()?.trim().to_owned())).collect()
        }
        _ => None,
    };
    let explanations: Option<Vec<String>> =
        explanations.filter(|texts: &Vec<String>| texts.iter().all(|text| !is_placeholder(text)));
    if explanations.is_none() && rows > 0 {
        notes.push(Note::Explanations);
    }
    looked_at(definition.trim().to_owned(), explanations.unwrap_or_default(), notes)
}

/// A definition that is one.
fn looked_at(definition: String, explanations: Vec<String>, notes: Vec<Note>) -> Result<Reply, Fault> {
    if is_placeholder(&definition) {
        return Err(Fault::Placeholder);
    }
    if ["SOURCE:", "TARGET:", "\"definition\":"].iter().any(|piece| definition.contains(piece)) {
        return Err(Fault::Scaffold);
    }
    Ok(Reply { definition, explanations, notes })
}

fn is_placeholder(text: &str) -> bool {
    let bare = text.trim().trim_matches(|c: char| !c.is_alphanumeric());
    bare.is_empty()
        || ["nan", "none", "null", "n/a", "string", "definition", "todo"].contains(&&*bare.to_lowercase())
}

/// Where the text of the key begins.
static BEGIN: LazyLock<Regex> = LazyLock::new(|| Regex::new(r#""definition"\s*:\s*""#).expect("it is valid"));
/// What can only follow the end of the text: the other key, or the end of the object and of the reply.
static OTHER_KEY: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#""\s*,\s*"explanations"\s*:\s*"#).expect("it is valid"));
static END: LazyLock<Regex> = LazyLock::new(|| Regex::new(r#""\s*,?\s*\}[^"{}]*$"#).expect("it is valid"));

/// A definition whose JSON is broken by quotes or line breaks inside it; none where it has no end.
fn mended(text: &str, truncated: bool, rows: usize) -> Option<Result<Reply, Fault>> {
    let begin = BEGIN.find(text)?;
    let rest = &text[begin.end()..];
    let (inner, list, behind) = match OTHER_KEY.find(rest) {
        Some(key) => (&rest[..key.start()], Some(&rest[key.end()..]), rest.len()),
        // Without the other key a quote and a brace could stand anywhere, unless they are the reply's last.
        None if truncated => return None,
        None => {
            let end = END.find(rest)?;
            let brace = rest[end.start()..].find('}')?;
            (&rest[..end.start()], None, end.start() + brace + 1)
        }
    };
    let (escaped, mut mends) = escape(inner);
    let definition: String = serde_json::from_str(&format!("\"{escaped}\"")).ok()?;
    let mut object_end = begin.end() + behind;
    let mut explanations = None;
    if let Some(list) = list {
        let mut values = serde_json::Deserializer::from_str(list).into_iter::<Vec<String>>();
        if let Some(Ok(texts)) = values.next() {
            let end = text.len() - list.len() + values.byte_offset();
            object_end = text[end..].find('}').map_or(text.len(), |brace| end + brace + 1);
            explanations = (texts.len() == rows).then_some(texts);
        }
    }
    let object_begin = text[..begin.start()].rfind('{').unwrap_or(begin.start());
    let mut notes = around(text, object_begin, object_end.min(text.len()));
    notes.append(&mut mends);
    if explanations.is_none() && rows > 0 {
        notes.push(Note::Explanations);
    }
    Some(looked_at(definition.trim().to_owned(), explanations.unwrap_or_default(), notes))
}

/// The inside of a JSON text with what should have been escaped escaped, and what that was.
fn escape(inner: &str) -> (String, Vec<Note>) {
    let mut escaped = String::with_capacity(inner.len() + 8);
    let (mut quotes, mut breaks) = (false, false);
    let mut chars = inner.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.peek() {
                Some(next @ ('"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't' | 'u')) => {
                    escaped.push('\\');
                    escaped.push(*next);
                    chars.next();
                }
                _ => escaped.push_str("\\\\"),
            },
            '"' => {
                quotes = true;
                escaped.push_str("\\\"");
            }
            c if c.is_control() && (c as u32) < 0x20 => {
                breaks = true;
                escaped.push_str(&format!("\\u{:04x}", c as u32));
            }
            c => escaped.push(c),
        }
    }
    let notes = [(quotes, Note::InnerQuotes), (breaks, Note::RawBreaks)];
    (escaped, notes.into_iter().filter_map(|(is, note)| is.then_some(note)).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn good(reply: &str, rows: usize) -> Reply {
        read(reply, false, rows).unwrap_or_else(|fault| panic!("{fault:?}: {reply}"))
    }

    #[test]
    fn what_stands_around_the_json_is_named_and_left_out() {
        let bare = r#"{"definition": "Say why.", "explanations": ["It is so."]}"#;
        assert_eq!(good(bare, 1).notes, []);
        assert_eq!(good(bare, 1).explanations, ["It is so."]);
        assert_eq!(good(&format!("```json\n{bare}\n```"), 1).notes, [Note::Fence]);
        assert_eq!(
            good(&format!("Of course {{smiling}}:\n```\n{bare}\n```\nBye."), 1).notes,
            [Note::Prose, Note::Fence]
        );
        assert_eq!(good(&format!("{{\"thought\": 1}} {bare}"), 1).notes, [Note::Prose]);
        assert_eq!(good(bare, 2).notes, [Note::Explanations]);
        assert!(good(bare, 2).explanations.is_empty());
    }

    /// The DuoRC candidates lost everything behind the first quote.
    #[test]
    fn acceptance_4_a_definition_with_inner_quotes_is_whole() {
        let definition = "Answer from the text. If there is none, write \"Insufficient information to provide an answer.\", nothing else.";
        let right = serde_json::json!({"definition": definition, "explanations": []}).to_string();
        assert_eq!(good(&right, 0).definition, definition);
        for broken in [
            format!("{{\"definition\": \"{definition}\", \"explanations\": []}}"),
            format!("{{\n  \"definition\": \"{definition}\"\n}}"),
            format!("{{\"definition\": \"{definition}\",}}\n```"),
        ] {
            let reply = good(&broken, 0);
            assert_eq!(reply.definition, definition);
            assert!(reply.notes.contains(&Note::InnerQuotes), "{broken}");
        }
        let lines = "{\"definition\": \"First.\nThen \\\"this\\\" and \\quite.\", \"explanations\": [\"a\"]}";
        let reply = good(lines, 1);
        assert_eq!(reply.definition, "First.\nThen \"this\" and \\quite.");
        assert_eq!((reply.notes, reply.explanations), (vec![Note::RawBreaks], vec!["a".to_owned()]));
    }

    #[test]
    fn what_is_no_definition_has_a_name() {
        let fault = |reply: &str, truncated| read(reply, truncated, 0).unwrap_err();
        assert_eq!(fault(" \n", false), Fault::Empty);
        assert_eq!(fault("I can't do that.", false), Fault::NoJson);
        assert_eq!(fault("{definition: good}", false), Fault::NoJson);
        assert_eq!(fault("{\"definition\": \"Answer with ", true), Fault::Truncated);
        assert_eq!(fault("{\"definition\": \"Answer with \"yes\" or ", true), Fault::Truncated);
        assert_eq!(fault("{\"instruction\": \"Say why.\"}", false), Fault::NoDefinition);
        assert_eq!(fault("{\"definition\": 3}", false), Fault::NoDefinition);
        assert_eq!(fault("{\"definition\": \" nan \"}", false), Fault::Placeholder);
        assert_eq!(fault("{\"definition\": \"...\"}", false), Fault::Placeholder);
        assert_eq!(fault("{\"definition\": \"x\\nTARGET: y\"}", false), Fault::Scaffold);
        // A definition that came whole is used, though what follows it was cut off.
        let cut = "{\"definition\": \"Say why.\", \"explanations\": [\"It is";
        let reply = read(cut, true, 1).unwrap();
        assert_eq!((reply.definition.as_str(), reply.notes), ("Say why.", vec![Note::Explanations]));
    }

    #[test]
    fn every_word_is_one() {
        let mut words: Vec<&str> = Fault::ALL.iter().map(|one| one.word()).collect();
        words.extend(Note::ALL.iter().map(|one| one.word()));
        let all = words.len();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), all);
        assert!(Fault::ALL.iter().all(|one| one.about().ends_with('.')));
    }

    proptest! {
        #[test]
        fn any_definition_comes_back_from_its_json(definition in "\\PC{1,80}", before in "[a-z{}\"` ]{0,12}") {
            prop_assume!(looked_at(definition.trim().to_owned(), vec![], vec![]).is_ok());
            let json = serde_json::json!({"definition": definition, "explanations": []}).to_string();
            prop_assert_eq!(&good(&json, 0).definition, definition.trim());
            prop_assert_eq!(&good(&format!("{before}\n{json}"), 0).definition, definition.trim());
        }

        #[test]
        fn any_text_ends_with_a_definition_or_a_word(
            text in "(\\PC|[\\{\\}\"\\\\,: \n]|\"definition\": \"|\"explanations\": \\[){0,40}", truncated: bool
        ) {
            if let Ok(reply) = read(&text, truncated, 1) {
                prop_assert!(!reply.definition.trim().is_empty());
                prop_assert!(reply.explanations.len() <= 1);
            }
        }
    }
}
