//! Steps over a row that templates can't say.

use std::sync::LazyLock;

use regex::Regex;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::convert::Encoder;
use crate::convert::record::{TaskExample, TaskPart};

/// A step of code over each row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Prepare {
    /// HellaSwag's texts as lm-evaluation-harness cleans them (commit 4e7e0d47f, `tasks/hellaswag/utils.py`): fields
    /// `query` and `choices` of `activity_label`, `ctx_a`, `ctx_b` and `endings`; rows that have `query` already are left.
    Hellaswag,
    /// The prompt of Tk-Instruct with the definition and two positive examples (spec/uit.md 1.3a): field `prompt` of
    /// `definition`, `positive` and `input`.
    SuperNi,
}

impl Prepare {
    /// Adds the fields; what is missing is not made, and told by the prompt that reads it.
    pub(super) fn row(self, fields: &mut Map<String, Value>) {
        match self {
            Self::Hellaswag => hellaswag(fields),
            Self::SuperNi => super_ni(fields),
        }
    }
}

static BRACKETS: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\[.*?\]").expect("the pattern is right"));

fn clean(text: &str) -> String {
    let text = text.trim().replace(" [title]", ". ");
    BRACKETS.replace_all(&text, "").replace("  ", " ")
}

fn hellaswag(fields: &mut Map<String, Value>) {
    if fields.contains_key("query") {
        return;
    }
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    let (Some(label), Some(a), Some(b), Some(Value::Array(endings))) =
        (text("activity_label"), text("ctx_a"), text("ctx_b"), fields.get("endings"))
    else {
        return;
    };
    // Python's `capitalize`: the first letter large, all others small.
    let mut letters = b.chars();
    let capital: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    let b = capital + &letters.as_str().to_lowercase();
    let query = clean(&format!("{label}: {a} {b}"));
    let choices: Vec<Value> =
        endings.iter().filter_map(Value::as_str).map(|text| clean(text).into()).collect();
    fields.insert("query".into(), query.into());
    fields.insert("choices".into(), choices.into());
}

fn super_ni(fields: &mut Map<String, Value>) {
    let definition = match fields.get("definition") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(list)) => match list.first().and_then(Value::as_str) {
            Some(text) => text.to_owned(),
            None => return,
        },
        _ => return,
    };
    let Some(input) = fields.get("input").and_then(Value::as_str) else { return };
    let example = |value: &Value| {
        let text = |name: &str| value.get(name)?.as_str().map(str::to_owned);
        Some(TaskExample {
            input: text("input")?,
            output: text("output")?,
            explanation: None,
            ..TaskExample::default()
        })
    };
    let positive = fields.get("positive").and_then(Value::as_array);
    let positive = positive.map(|list| list.iter().filter_map(example).collect());
    let task = TaskPart { definition: Some(definition), positive, ..TaskPart::default() };
    let encoder =
        Encoder { definition: true, positive: 2, negative: 0, explanations: false, fits: &|_| true };
    let prompt = encoder.prompt(&task, input);
    fields.insert("prompt".into(), prompt.into());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn prepared(step: Prepare, row: Value) -> Map<String, Value> {
        let Value::Object(mut fields) = row else { panic!("{row}") };
        step.row(&mut fields);
        fields
    }

    #[test]
    fn hellaswag_is_cleaned_as_the_harness_does() {
        let fields = prepared(
            Prepare::Hellaswag,
            json!({
                "activity_label": "Mending a kettle",
                "ctx_a": "[header] How to mend a kettle [title] Open it. [step] Look  inside [a [b] c].",
                "ctx_b": "the Lid IS",
                "endings": [" [substeps] is  off.  ", "falls [x] down"],
            }),
        );
        assert_eq!(
            fields["query"],
            "Mending a kettle: How to mend a kettle. Open it. Look inside c]. The lid is"
        );
        assert_eq!(fields["choices"], json!([" is off.", "falls down"]));
    }

    #[test]
    fn the_prompt_of_a_task_has_its_definition_and_two_examples() {
        let example = |input: &str| json!({"input": input, "output": "good", "explanation": "why"});
        let fields = prepared(
            Prepare::SuperNi,
            json!({
                "definition": ["Answer good or bad"],
                "positive": [example("Boils fast."), example("Holds much"), example("third")],
                "input": "It leaks",
            }),
        );
        assert_eq!(
            fields["prompt"],
            "Definition: Answer good or bad.\n\n Positive Example 1 -\nInput: Boils fast.\n Output: good.\n\n \
             Positive Example 2 -\nInput: Holds much.\n Output: good.\n\nNow complete the following example -\n\
             Input: It leaks.\nOutput: "
        );
    }
}
