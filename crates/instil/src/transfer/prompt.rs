//! What a model is given to write an instruction in another style.
//!
//! The wording stands in `prompts/transfer/v1`. It is part of the journal's key, so a released wording never
//! changes: a better one goes into a folder `v2`, and [`VERSION`] with it. What holds for all tasks of a direction
//! comes first, the task last, so that an engine computes the beginning once.

use std::sync::Arc;

use serde_json::{Value, json};

use super::pairs::{Pair, Shown};
use super::reply::Fault;
use super::{Task, given};
use crate::lm::{Input, Message};
use crate::unify::{Instance, Level};

/// The name and version of the wording.
pub const VERSION: &str = "transfer/v1";

const SYSTEM: &str = include_str!("../../prompts/transfer/v1/system.txt");

/// The most characters of a row's input that are shown. Of a longer one the beginning is, with a mark behind it.
pub const SHOWN_CHARS: usize = 1200;
const CUT: &str = " […]";

/// What stands before the next task, where a model goes on writing after its answer.
pub const STOP: &str = "\nSOURCE";

/// The prompt for a task: a conversation for models that take one, else one text that ends where the answer begins. Without
/// a pair that shows it how, a model that takes no conversation is one that was trained to write definitions
/// ([`offline`](super::offline)): it gets the task alone.
pub fn input(task: &Task, shown: &[&Instance], pairs: &[&Pair], messages: bool) -> Input {
    let head = SYSTEM.trim_end();
    let style = format!("The style that is wanted: {}.", about(task.to));
    let rows: Vec<Shown> =
        shown.iter().map(|row| Shown { input: given(row), output: row.output.clone() }).collect();
    let asked = source(&task.instruction(), &rows, &task.source.labels);
    let told = |pair: &Pair| source(&pair.src.instruction, &pair.src.rows, &[]);
    if messages {
        let mut conversation = vec![Message { role: "system", content: format!("{head}\n\n{style}") }];
        for pair in pairs {
            conversation.push(Message { role: "user", content: told(pair) });
            conversation.push(Message { role: "assistant", content: target(pair) });
        }
        conversation.push(Message { role: "user", content: asked });
        return Input::Messages(conversation);
    }
    if pairs.is_empty() {
        return Input::Prompt(format!("{asked}\nTARGET:"));
    }
    let mut text = format!("{head}\n\n{style}\n\n");
    for pair in pairs {
        text += &format!("{}\nTARGET: {}\n\n", told(pair), target(pair));
    }
    Input::Prompt(text + &asked + "\nTARGET:")
}

/// The prompt after an answer that can't be used: the same, the answer, and what is wrong with it.
pub fn again(input: &Input, answer: &str, fault: Fault) -> Input {
    let wrong = format!(
        "That answer can't be used: {} Answer again, with one JSON object that has the text \"definition\" and \
         the list \"explanations\", and with nothing else.",
        fault.about()
    );
    match input {
        Input::Messages(messages) => {
            let mut messages = messages.clone();
            messages.push(Message { role: "assistant", content: answer.to_owned() });
            messages.push(Message { role: "user", content: wrong });
            Input::Messages(messages)
        }
        Input::Prompt(text) => Input::Prompt(format!("{text} {}\n\n{wrong}\nTARGET:", answer.trim())),
    }
}

/// The JSON schema of the answer.
pub fn schema() -> Arc<Value> {
    Arc::new(json!({
        "type": "object",
        "properties": {
            "definition": {"type": "string", "minLength": 1},
            "explanations": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["definition", "explanations"],
        "additionalProperties": false,
    }))
}

/// What a pair's answer is, as a model is to write it.
pub fn target(pair: &Pair) -> String {
    json!({"definition": pair.tgt.definition, "explanations": pair.tgt.explanations}).to_string()
}

/// A task as it is shown.
pub fn source(instruction: &str, rows: &[Shown], labels: &[String]) -> String {
    let mut text = format!("SOURCE:\nInstruction: {instruction}\n");
    if !labels.is_empty() {
        text += &format!("Answers: {}\n", labels.join(" | "));
    }
    for row in rows {
        text += &format!("Row: {}\nAnswer: {}\n", beginning(&row.input), beginning(&row.output));
    }
    text.trim_end().to_owned()
}

fn beginning(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}{CUT}", &text[..end]),
        None => text.to_owned(),
    }
}

/// What a level is, in words that a model understands.
fn about(level: Level) -> &'static str {
    match level {
        Level::Task => {
            "a definition of the whole task that can be understood alone. It says what is given, what is to be done \
             and what the answer looks like"
        }
        Level::Instance => "one short sentence or question that asks for the answer of one row",
        Level::Keyword => "the names of what is given, each with a colon",
    }
}

#[cfg(test)]
mod tests {
    use super::super::pairs::{Source, Target};
    use super::*;
    use crate::unify::{Field, Instruction};

    fn pair() -> Pair {
        Pair {
            pair_id: "good".into(),
            src_format: String::new(),
            tgt_format: String::new(),
            src: Source { instruction: "Is it \"good\"? {text}".into(), rows: vec![] },
            tgt: Target { definition: "Say \"good\" or \"bad\".".into(), explanations: vec![] },
            origin: String::new(),
            approved_by: String::new(),
            licence: String::new(),
        }
    }

    fn task() -> Task {
        let mut source = Instruction::new("kettles", Level::Instance);
        source.definition = Some("Does the kettle leak?".into());
        source.fields = vec!["text".into()];
        source.labels = vec!["yes".into(), "no".into()];
        Task { source, to: Level::Task, rows: vec![] }
    }

    #[test]
    fn one_task_is_asked_about_after_the_same_beginning() {
        let field = Field { name: String::new(), value: "x".repeat(SHOWN_CHARS + 1) };
        let row = Instance { fields: vec![field], output: "no".into(), references: vec!["No".into()] };
        let Input::Prompt(text) = input(&task(), &[&row], &[&pair()], false) else { panic!() };
        assert!(text.contains(
            "SOURCE:\nInstruction: Is it \"good\"? {text}\nTARGET: {\"definition\":\"Say \\\"good\\\" or"
        ));
        assert!(text.ends_with("x […]\nAnswer: no\nTARGET:"), "{text}");
        assert!(text.contains("Does the kettle leak?\ntext: {text}\nAnswers: yes | no\nRow: xxx"));
        let Input::Messages(messages) = input(&task(), &[], &[&pair()], true) else { panic!() };
        assert_eq!(
            messages.iter().map(|one| one.role).collect::<Vec<_>>(),
            ["system", "user", "assistant", "user"]
        );
        assert!(messages[0].content.contains("a definition of the whole task"));
        // The answer that is shown is one that the schema allows.
        let shown: Value = serde_json::from_str(&messages[2].content).unwrap();
        assert_eq!(shown, json!({"definition": "Say \"good\" or \"bad\".", "explanations": []}));
    }

    #[test]
    fn what_was_wrong_is_told() {
        let first = input(&task(), &[], &[], true);
        let Input::Messages(messages) = again(&first, "Sure!", Fault::NoJson) else { panic!() };
        assert_eq!(messages[messages.len() - 2].content, "Sure!");
        assert!(messages.last().unwrap().content.contains(Fault::NoJson.about()));
        let first = input(&task(), &[], &[], false);
        assert!(
            again(&first, " Sure! ", Fault::NoJson).text().contains("TARGET: Sure!\n\nThat answer can't")
        );
    }
}
