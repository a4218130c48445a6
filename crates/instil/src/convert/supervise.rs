//! What a model reads of a record, and what of that it learns.
//!
//! A row is texts, one after the other, of which some are learnt: prompt and completion, or the turns of a conversation
//! under a chat template. They are tokenised apart, so that no token lies on a border.

use serde_json::Value;

use super::halves::{Halves, unfit, wanted};
use super::keys::Misfit;
use super::loss::Losses;
use super::record::Record;
use super::{Shape, suited};
use crate::chat_template::{ChatTemplate, Conversation, Moment, TODAY};
use crate::convert::Kind;

/// What stands around prompt and completion.
pub enum Frame {
    /// Nothing, as in Bonito's own training (spec/bonito.md 4.2).
    Plain,
    /// Texts around the prompt; prompt and completion lose the blanks at their ends.
    Around {
        /// What stands before the prompt.
        before: &'static str,
        /// What stands between prompt and completion.
        between: &'static str,
    },
    /// A chat template, whose prompt ends where the model's turn begins.
    Chat(ChatTemplate),
}

impl Frame {
    /// The frame that Bonito's authors adapt models with (spec/bonito.md 4.2).
    pub const BONITO: Self = Self::Around { before: "<|input|>\n", between: "\n<|output|>\n" };
    /// The frame of their prompts to models that were not adapted (spec/bonito.md 5.2).
    pub const INSTRUCT: Self = Self::Around { before: "Instruct: ", between: "\nAnswer:" };
}

/// A part of what a model reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its text.
    pub text: String,
    /// Whether the loss counts it.
    pub is_learnt: bool,
}

/// What a model reads of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Supervised {
    /// One after the other.
    pub parts: Vec<Part>,
    /// Whether the tokens that begin and end a text are put around it; a chat template writes them itself.
    pub has_ends: bool,
}

/// What a model reads of this record, and what it learns.
///
/// Of a conversation without a chat template the last answer is learnt, and the turns before it are parted by empty
/// lines. With one every answer is learnt that is not marked otherwise, where the template writes a turn the same
/// whatever follows it, else the last.
///
/// # Errors
/// When there is no answer, or the template refuses the record.
pub fn supervise(record: &Record, frame: &Frame) -> Result<Supervised, Misfit> {
    let mut losses = Losses::default();
    let (before, between) = match frame {
        Frame::Chat(template) => return conversation(record, template),
        Frame::Plain => ("", ""),
        Frame::Around { before, between } => (*before, *between),
    };
    let record = suited(Kind::Tuning, record, &mut losses)?;
    let halves = Halves::of(&record, &mut losses);
    let prompt = halves.prompt();
    let texts = halves.system.iter().chain(&prompt).filter(|text| !text.is_empty());
    let prompt = texts.map(String::as_str).collect::<Vec<_>>().join("\n\n");
    let completion = wanted(halves.completion, "completion", "what is to be learnt")?;
    let (prompt, completion) = match frame {
        Frame::Around { .. } => (prompt.trim(), completion.trim()),
        _ => (prompt.as_str(), completion.as_str()),
    };
    if completion.is_empty() {
        return Err(unfit("the answer is empty"));
    }
    let prompt = format!("{before}{prompt}{between}");
    let given = Part { text: prompt, is_learnt: false };
    let learnt = Part { text: completion.to_owned(), is_learnt: true };
    Ok(Supervised {
        parts: [given, learnt].into_iter().filter(|part| !part.text.is_empty()).collect(),
        has_ends: true,
    })
}

fn conversation(record: &Record, template: &ChatTemplate) -> Result<Supervised, Misfit> {
    let shape = Shape::parse("messages").expect("the shape of messages is there");
    let row = shape.write(record)?.row;
    let list = |key: &str| row.get(key).and_then(Value::as_array).map(Vec::as_slice);
    let messages = list("messages").unwrap_or_default();
    let is_answer = |message: &Value| message.get("role").and_then(Value::as_str) == Some("assistant");
    let is_learnt =
        |message: &Value| is_answer(message) && message.get("weight").and_then(Value::as_u64) != Some(0);
    let render = |messages: &[Value], asks: bool| {
        let conversation = Conversation {
            tools: list("tools"),
            add_generation_prompt: asks,
            now: Moment::new(TODAY, 0),
            ..Conversation::of(messages)
        };
        template.render(&conversation).map_err(|error| unfit(error.to_string()))
    };
    let last = messages.iter().rposition(is_answer).ok_or_else(|| unfit("there is no answer"))?;
    let whole = render(&messages[..=last], false)?;
    let spans = |answers: &[usize]| -> Option<Vec<(usize, usize)>> {
        answers
            .iter()
            .map(|&at| {
                let start = render(&messages[..at], true).ok()?;
                let end = if at == last { whole.len() } else { render(&messages[..=at], false).ok()?.len() };
                let fits = whole.starts_with(&start) && start.len() < end;
                // What the template writes of a turn must not depend on what follows.
                (fits && (at == last || whole.is_char_boundary(end))).then_some((start.len(), end))
            })
            .collect()
    };
    let ends_alike = |answers: &[usize]| {
        answers.iter().all(|&at| render(&messages[..=at], false).is_ok_and(|text| whole.starts_with(&text)))
    };
    let all: Vec<usize> = (0..=last).filter(|&at| is_learnt(&messages[at])).collect();
    let found = Some(&all)
        .filter(|all| !all.is_empty() && ends_alike(all))
        .and_then(|all| spans(all))
        .or_else(|| spans(&[last]).filter(|_| is_learnt(&messages[last])))
        .ok_or_else(|| {
            unfit("the chat template doesn't write the prompt of an answer as it writes the conversation")
        })?;
    let mut parts = Vec::with_capacity(2 * found.len());
    let mut at = 0;
    for (start, end) in found {
        parts.push(Part { text: whole[at..start].to_owned(), is_learnt: false });
        parts.push(Part { text: whole[start..end].to_owned(), is_learnt: true });
        at = end;
    }
    parts.retain(|part| !part.text.is_empty());
    Ok(Supervised { parts, has_ends: false })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::chat_template::SpecialTokens;

    fn record(shape: &str, row: &Value) -> Record {
        Shape::parse(shape).unwrap().read(row.as_object().unwrap()).remove(0).unwrap()
    }

    fn shown(supervised: &Supervised) -> Vec<String> {
        let mark = |part: &Part| format!("{}{}", if part.is_learnt { "+" } else { "-" }, part.text);
        supervised.parts.iter().map(mark).collect()
    }

    fn alpaca() -> Record {
        record("alpaca", &json!({"instruction": "Name a use.", "input": "A kettle.", "output": " Tea. "}))
    }

    fn chat(source: &str) -> Frame {
        Frame::Chat(ChatTemplate::parse(source, SpecialTokens::default()).unwrap())
    }

    fn rounds() -> Record {
        record(
            "messages",
            &json!({"messages": [
                {"role": "system", "content": "Be brief."}, {"role": "user", "content": "a"},
                {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"},
                {"role": "assistant", "content": "d"}
            ]}),
        )
    }

    #[test]
    fn prompt_and_completion_stay_as_they_are_or_are_framed() {
        let plain = supervise(&alpaca(), &Frame::Plain).unwrap();
        assert_eq!(shown(&plain), ["-Name a use.\n\nA kettle.", "+ Tea. "]);
        assert!(plain.has_ends);
        let bonito = supervise(&alpaca(), &Frame::BONITO).unwrap();
        assert_eq!(shown(&bonito), ["-<|input|>\nName a use.\n\nA kettle.\n<|output|>\n", "+Tea."]);
        let instruct = supervise(&alpaca(), &Frame::INSTRUCT).unwrap();
        assert_eq!(shown(&instruct), ["-Instruct: Name a use.\n\nA kettle.\nAnswer:", "+Tea."]);
        let rounds = supervise(&rounds(), &Frame::Plain).unwrap();
        assert_eq!(shown(&rounds), ["-Be brief.\n\na\n\nb\n\nc", "+d"]);
    }

    #[test]
    fn every_answer_of_a_conversation_is_learnt() {
        let template = chat(
            "{% for m in messages %}<{{ m.role }}>{{ m.content }}</>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}",
        );
        let supervised = supervise(&rounds(), &template).unwrap();
        assert_eq!(
            shown(&supervised),
            ["-<system>Be brief.</><user>a</><assistant>", "+b</>", "-<user>c</><assistant>", "+d</>"]
        );
        assert!(!supervised.has_ends);
    }

    #[test]
    fn a_template_that_writes_earlier_turns_otherwise_teaches_the_last_answer() {
        let template = chat(
            "{% for m in messages %}<{{ m.role }}>{{ m.content if loop.last or m.role == 'user' else '…' }}</>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}",
        );
        let supervised = supervise(&rounds(), &template).unwrap();
        assert_eq!(
            shown(&supervised),
            ["-<system>…</><user>a</><assistant>…</><user>c</><assistant>", "+d</>"]
        );
    }

    #[test]
    fn an_answer_that_is_marked_is_not_learnt() {
        let template = chat(
            "{% for m in messages %}<{{ m.role }}>{{ m.content }}</>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}",
        );
        let row = json!({"messages": [
            {"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "weight": 0},
            {"role": "user", "content": "c"}, {"role": "assistant", "content": "d", "weight": 1}
        ]});
        let supervised = supervise(&record("messages", &row), &template).unwrap();
        assert_eq!(shown(&supervised), ["-<user>a</><assistant>b</><user>c</><assistant>", "+d</>"]);
    }

    #[test]
    fn what_has_no_answer_has_nothing_to_be_learnt() {
        let row = json!({"prompt": "Why?"});
        let misfit = supervise(&record("prompt", &row), &Frame::Plain).unwrap_err();
        assert!(!misfit.message.is_empty());
        let refuses = chat("{{ raise_exception('no') }}");
        assert!(supervise(&alpaca(), &refuses).unwrap_err().message.contains("no"));
    }
}
