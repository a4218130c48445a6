//! Completions to instruction and response. Pure: the same text gives the same result, and no text
//! is a failure of the program.
//!
//! [`reference()`] is the published library's post-processing, byte for byte. [`bonito`] is ours: it
//! understands what [`reference()`] lets through broken, and names what it can't use. [`answer`] reads
//! what an ordinary instruction model was asked for, a JSON object.

use std::sync::LazyLock;

use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::check::words::squash;
use crate::prompt::bonito::{PIPE, PLACEHOLDER, python_strip};
use crate::reject::Reason;
use crate::task::TaskKind;

/// What was mended in a completion; counted in the report and kept in the provenance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Repair {
    /// A variant such as `{{ context }}` was read as the placeholder.
    PlaceholderVariant,
    /// The passage was put before an instruction that had no place for it.
    ContextInserted,
    /// The JSON answer stood among other text, such as a code fence or a `<think>` block.
    AnswerUnwrapped,
    /// The label was spelt another way than the user spells it.
    LabelSpelling,
}

impl Repair {
    /// Every repair.
    pub const ALL: [Self; 4] =
        [Self::PlaceholderVariant, Self::ContextInserted, Self::AnswerUnwrapped, Self::LabelSpelling];

    /// The word for it in reports and provenance.
    pub fn word(self) -> &'static str {
        match self {
            Self::PlaceholderVariant => "placeholder_variant",
            Self::ContextInserted => "context_inserted",
            Self::AnswerUnwrapped => "answer_unwrapped",
            Self::LabelSpelling => "label_spelling",
        }
    }

    /// What it means, in one sentence.
    pub fn about(self) -> &'static str {
        match self {
            Self::PlaceholderVariant => "A variant such as `{{ context }}` was read as the placeholder.",
            Self::ContextInserted => "The passage was put before an instruction that had no place for it.",
            Self::AnswerUnwrapped => "The JSON answer stood among other text.",
            Self::LabelSpelling => "The label was spelt another way than the user spells it.",
        }
    }
}

/// An instruction and its response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// The instruction, the passage in its place.
    pub instruction: String,
    /// The response, likewise.
    pub response: String,
    /// The instruction without the passage: what is asked, in the generator's own words.
    pub ask: String,
    /// What was mended, in the order in which it was.
    pub repairs: Vec<Repair>,
}

/// What the parser knows of the prompt that a completion answers.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The kind of task that was asked for.
    pub kind: TaskKind,
    /// The passage; it is stripped before it is put in.
    pub passage: &'a str,
    /// The labels that the user gave, or none.
    pub labels: &'a [String],
}

/// What `BatsResearch/bonito` HEAD 1e1efb2 makes of a completion: `(input, output)`
/// (spec/bonito.md 1.4).
///
/// The placeholder is replaced in both halves, once, after each half was stripped. Nothing else is
/// looked at, so both halves may be empty.
///
/// # Errors
/// [`Reason::NoPipe`] and [`Reason::SeveralPipes`], where the library drops without a word.
///
/// ```
/// use instil::parse::reference;
/// let halves = reference(" {{context}} Is it a cat?\n<|pipe|>\nYes ", "  A cat sat.\n").unwrap();
/// assert_eq!(halves, ("A cat sat. Is it a cat?".to_owned(), "Yes".to_owned()));
/// ```
pub fn reference(text: &str, passage: &str) -> Result<(String, String), Reason> {
    let (instruction, response) = halves(text)?;
    let passage = python_strip(passage);
    Ok((instruction.replace(PLACEHOLDER, passage), response.replace(PLACEHOLDER, passage)))
}

/// Parses a Bonito completion and mends what can be mended (spec/bonito.md 9).
///
/// # Errors
/// The parsing stage's [`Reason`]s.
pub fn bonito(text: &str, truncated: bool, asked: Asked<'_>) -> Result<Parsed, Reason> {
    let split = halves(text);
    if truncated {
        return Err(Reason::Truncated);
    }
    let (instruction, response) = split?;
    finish(instruction, response, Vec::new(), asked)
}

/// Parses the answer of an ordinary instruction model: `{"instruction", "response"}`, alone or in a
/// code fence, after a `<think>` block or among other words; failing that, Bonito's form.
///
/// A `<think>` block is taken away only when the text as it is can't be read, since a passage may be
/// about such tags.
///
/// # Errors
/// The parsing stage's [`Reason`]s.
pub fn answer(text: &str, truncated: bool, asked: Asked<'_>) -> Result<Parsed, Reason> {
    if truncated {
        return Err(Reason::Truncated);
    }
    let text = python_strip(text);
    let (found, repairs) = match json_halves(text) {
        Some(found) => (Some(found), Vec::new()),
        None => (unwrapped(text), vec![Repair::AnswerUnwrapped]),
    };
    match found {
        Some((instruction, response)) => {
            finish(python_strip(&instruction), python_strip(&response), repairs, asked)
        }
        None => match halves(text) {
            Ok((instruction, response)) => finish(instruction, response, Vec::new(), asked),
            Err(Reason::SeveralPipes) => Err(Reason::SeveralPipes),
            Err(_) => Err(Reason::InvalidAnswer),
        },
    }
}

/// The two stripped halves around exactly one pipe.
fn halves(text: &str) -> Result<(&str, &str), Reason> {
    let (instruction, response) = python_strip(text).split_once(PIPE).ok_or(Reason::NoPipe)?;
    if response.contains(PIPE) {
        return Err(Reason::SeveralPipes);
    }
    Ok((python_strip(instruction), python_strip(response)))
}

fn json_halves(text: &str) -> Option<(String, String)> {
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).ok()?;
    let part = |name| match object.get(name)? {
        serde_json::Value::String(text) => Some(text.clone()),
        value @ (serde_json::Value::Number(_) | serde_json::Value::Bool(_)) => Some(value.to_string()),
        _ => None,
    };
    Some((part("instruction")?, part("response")?))
}

fn unwrapped(text: &str) -> Option<(String, String)> {
    let said = text.rsplit_once("</think>").map_or(text, |(_, said)| said);
    let (from, to) = (said.find('{')?, said.rfind('}')?);
    json_halves(said.get(from..=to)?)
}

static VARIANT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)\{\{\s*(?:copy_)?(?:context|passage|document|text)\s*\}\}?|\{\s*context\s*\}\}?")
        .expect("the pattern is valid")
});
static SLOT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\{\{[^{}]*\}\}|\| *string *\| *truncate").expect("the pattern is valid"));

/// Markers of Bonito's prompt and of the chat templates in use; in an answer they are leaks.
const MARKERS: [&str; 16] = [
    "<|tasktype|>",
    "<|context|>",
    "<|task|>",
    "<|input|>",
    "<|output|>",
    "[INST]",
    "[/INST]",
    "<<SYS>>",
    "<s>",
    "</s>",
    "<|im_start|>",
    "<|im_end|>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<|begin_of_text|>",
    "<|eot_id|>",
];

/// Beginnings of the filter that CTGA's templates cut passages by, as they leak.
const FILTERS: [&str; 2] = ["| truncate", "|truncate"];

/// The markers that are leaks in a completion about this passage.
pub(crate) fn markers_not_in(passage: &str) -> impl Iterator<Item = &'static str> {
    MARKERS.into_iter().chain(FILTERS).filter(move |marker| !passage.contains(marker))
}

/// What is asked, without the passage: `instruction` has its placeholder, or quotes the stripped passage.
pub(crate) fn without_passage(instruction: &str, passage: &str) -> String {
    match passage {
        _ if instruction.contains(PLACEHOLDER) => instruction.replace(PLACEHOLDER, " "),
        passage if !passage.is_empty() && instruction.contains(passage) => instruction.replace(passage, " "),
        _ => instruction.to_owned(),
    }
}

fn finish(
    instruction: &str,
    response: &str,
    mut repairs: Vec<Repair>,
    asked: Asked<'_>,
) -> Result<Parsed, Reason> {
    let passage = python_strip(asked.passage);
    let instruction = settle_placeholder(instruction, &mut repairs);
    let mut response = settle_placeholder(response, &mut repairs);

    if python_strip(&response).is_empty() {
        return Err(Reason::EmptyResponse);
    }
    let leaks = |half: &str| {
        let slots = SLOT.find_iter(half).map(|slot| slot.as_str()).filter(|slot| *slot != PLACEHOLDER);
        let markers = MARKERS.into_iter().filter(|marker| half.contains(marker));
        slots.chain(markers).any(|leak| !passage.contains(leak))
    };
    if leaks(&instruction) || leaks(&response) {
        return Err(Reason::LeakedMarker);
    }
    if let Some(label) = asked.labels.iter().find(|label| squash(label) == squash(&response))
        && *label != response
    {
        response.clone_from(label);
        repairs.push(Repair::LabelSpelling);
    }

    let given = instruction.contains(PLACEHOLDER);
    let quoted = !given && !passage.is_empty() && instruction.contains(passage);
    let ask = python_strip(&without_passage(&instruction, passage)).to_owned();
    // To continue the passage, or to write it, the passage alone can be the whole instruction.
    let may_be_bare = matches!(asked.kind, TaskKind::SentComp | TaskKind::TextGen);
    if instruction.is_empty() || squash(&ask).trim().is_empty() && !may_be_bare {
        return Err(Reason::EmptyInstruction);
    }

    let mut instruction = instruction.replace(PLACEHOLDER, passage);
    let needs_passage = asked.kind != TaskKind::TextGen;
    if needs_passage && !given && !quoted && !passage.is_empty() {
        instruction = format!("{passage}\n\n{instruction}");
        repairs.push(Repair::ContextInserted);
    }
    Ok(Parsed { instruction, response: response.replace(PLACEHOLDER, passage), ask, repairs })
}

/// The half with every variant of the placeholder in its proper form.
fn settle_placeholder(half: &str, repairs: &mut Vec<Repair>) -> String {
    let settled = VARIANT.replace_all(half, regex::NoExpand(PLACEHOLDER));
    if settled != half && !repairs.contains(&Repair::PlaceholderVariant) {
        repairs.push(Repair::PlaceholderVariant);
    }
    settled.into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CAT: &str = "  A cat sat.\n";

    fn parse(kind: TaskKind, text: &str) -> Result<Parsed, Reason> {
        bonito(text, false, Asked { kind, passage: CAT, labels: &[] })
    }

    /// Every vector of spec/bonito.md 1.4, which was computed from the published module.
    #[test]
    fn the_reference_vectors_of_the_specification() {
        let kept = |text: &str| reference(text, CAT).unwrap();
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(kept(" {{context}} Is it a cat?\n<|pipe|>\nYes "), pair("A cat sat. Is it a cat?", "Yes"));
        assert_eq!(reference("Q? Yes", CAT), Err(Reason::NoPipe));
        assert_eq!(reference("a<|pipe|>b<|pipe|>c", CAT), Err(Reason::SeveralPipes));
        assert_eq!(kept("<|pipe|>"), pair("", ""));
        assert_eq!(kept("Write a text.\n<|pipe|>\n{{context}}"), pair("Write a text.", "A cat sat."));
        assert_eq!(kept("{{ context }} Q<|pipe|>A"), pair("{{ context }} Q", "A"));
    }

    #[test]
    fn the_strip_comes_before_the_replacement_and_is_pythons() {
        assert_eq!(
            reference("{{context}}\u{1c}<|pipe|>\u{1f}A", " x ").unwrap(),
            ("x".to_owned(), "A".to_owned())
        );
        assert_eq!(
            reference("{{context}}<|pipe|>A", "{{context}}").unwrap(),
            ("{{context}}".to_owned(), "A".to_owned())
        );
    }

    #[test]
    fn variants_of_the_placeholder_are_understood_and_counted() {
        for variant in
            ["{{ context }}", "{{Context}}", "{context}", "{{copy_context}}", "{{context}", "{{ passage }}"]
        {
            let parsed = parse(TaskKind::Qa, &format!("{variant} Who sat?<|pipe|>A cat")).unwrap();
            assert_eq!(parsed.instruction, "A cat sat. Who sat?", "{variant}");
            assert_eq!(parsed.ask, "Who sat?");
            assert_eq!(parsed.repairs, [Repair::PlaceholderVariant]);
        }
        assert_eq!(parse(TaskKind::Qa, "{{context}} Who?<|pipe|>A cat").unwrap().repairs, []);
    }

    #[test]
    fn a_missing_passage_is_put_before_the_instruction() {
        let parsed = parse(TaskKind::Qa, "Who sat?<|pipe|>A cat").unwrap();
        assert_eq!(parsed.instruction, "A cat sat.\n\nWho sat?");
        assert_eq!(parsed.repairs, [Repair::ContextInserted]);
        let quoted = parse(TaskKind::Qa, "A cat sat. Who sat?<|pipe|>A cat").unwrap();
        assert_eq!((quoted.repairs.len(), quoted.ask.as_str()), (0, "Who sat?"));
        let made = parse(TaskKind::TextGen, "Write about a cat.<|pipe|>{{context}}").unwrap();
        assert_eq!((made.instruction.as_str(), made.response.as_str()), ("Write about a cat.", "A cat sat."));
        assert_eq!(made.repairs, []);
    }

    #[test]
    fn each_reason_has_its_text() {
        use Reason::*;
        let qa = |text| parse(TaskKind::Qa, text).unwrap_err();
        assert_eq!(qa("Who sat? A cat"), NoPipe);
        assert_eq!(qa("a<|pipe|>b<|pipe|>c"), SeveralPipes);
        assert_eq!(qa("<|pipe|>A cat"), EmptyInstruction);
        assert_eq!(qa("{{context}}\n<|pipe|>\nA cat"), EmptyInstruction);
        assert_eq!(qa("{{context}} Who?<|pipe|> \u{1e}"), EmptyResponse);
        assert_eq!(qa("{{context}} Who?<|pipe|>A cat<|task|>"), LeakedMarker);
        assert_eq!(qa("[INST] {{context}} Who?<|pipe|>A cat"), LeakedMarker);
        assert_eq!(qa("{{context}} {{question}}<|pipe|>A cat"), LeakedMarker);
        assert_eq!(
            qa("{{context}}| join(\"\\n\\n\") | string | truncate(2048) }} Who?<|pipe|>A cat"),
            LeakedMarker
        );
        let cut = bonito(
            "{{context}} Who?<|pipe|>A c",
            true,
            Asked { kind: TaskKind::Qa, passage: CAT, labels: &[] },
        );
        assert_eq!(cut, Err(Truncated));
        let words =
            answer("I would rather not.", false, Asked { kind: TaskKind::Qa, passage: CAT, labels: &[] });
        assert_eq!(words, Err(InvalidAnswer));
    }

    #[test]
    fn a_marker_that_the_passage_itself_holds_is_no_leak() {
        let asked = Asked { kind: TaskKind::Exqa, passage: "The end is </s>.", labels: &[] };
        let parsed = bonito("{{context}} What ends it?<|pipe|></s>", false, asked).unwrap();
        assert_eq!(parsed.response, "</s>");
    }

    #[test]
    fn an_instruction_that_is_the_passage_alone_does_where_it_is_to_be_continued() {
        assert!(parse(TaskKind::SentComp, "{{context}}<|pipe|>on the mat.").is_ok());
    }

    #[test]
    fn labels_take_the_users_spelling() {
        let labels = ["World".to_owned(), "Sports".to_owned()];
        let asked = Asked { kind: TaskKind::TopicClass, passage: CAT, labels: &labels };
        let parsed = bonito("{{context}} Topic?<|pipe|>sports.", false, asked).unwrap();
        assert_eq!(
            (parsed.response.as_str(), parsed.repairs.as_slice()),
            ("Sports", &[Repair::LabelSpelling][..])
        );
    }

    #[test]
    fn answers_are_read_with_and_without_wrapping() {
        let asked = Asked { kind: TaskKind::Qa, passage: CAT, labels: &[] };
        let plain = r#"{"instruction": "{{context}}\nWho {sat}?", "response": "A cat"}"#;
        let read = |text: &str| answer(text, false, asked).unwrap();
        assert_eq!(read(plain).repairs, []);
        assert_eq!(read(plain).instruction, "A cat sat.\nWho {sat}?");
        for wrapped in [
            format!("```json\n{plain}\n```"),
            format!("<think>{{maybe}} a dog?</think>\n{plain}"),
            format!("Here it is: {plain} Enjoy!"),
        ] {
            assert_eq!(read(&wrapped).repairs, [Repair::AnswerUnwrapped], "{wrapped}");
            assert_eq!(read(&wrapped).response, "A cat");
        }
        assert_eq!(read("{{context}} Who?\n<|pipe|>\nA cat").response, "A cat");
        assert_eq!(read(r#"{"instruction": "{{context}} How many?", "response": 1}"#).response, "1");
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_named(text in "\\PC{0,80}", passage in "\\PC{0,40}", truncated: bool) {
            for kind in TaskKind::ALL {
                let asked = Asked { kind, passage: &passage, labels: &[] };
                if let Ok(parsed) = bonito(&text, truncated, asked) {
                    prop_assert!(!parsed.response.is_empty());
                    prop_assert!(!parsed.instruction.is_empty());
                }
                let _ = answer(&text, truncated, asked);
            }
            let _ = reference(&text, &passage);
        }

        #[test]
        fn what_was_written_is_read(ask in "[a-zA-Z][a-zA-Z ?]{0,30}[a-z]", response in "[a-zA-Z]{1,20}") {
            let parsed = parse(TaskKind::Qa, &format!("{{{{context}}}}\n{ask}\n<|pipe|>\n{response}")).unwrap();
            prop_assert_eq!(parsed.instruction, format!("A cat sat.\n{ask}"));
            prop_assert_eq!(parsed.response, response);
        }
    }
}
