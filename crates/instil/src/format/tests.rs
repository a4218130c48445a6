use std::collections::BTreeMap;

use super::*;
use crate::parse::Repair;
use crate::record::{Origin, Provenance, Turn};
use crate::task::TaskKind;

/// An example with this passage, instruction and response; the number is its id.
pub(crate) fn example(number: u64, passage: &str, instruction: &str, response: &str) -> Example {
    let turn = |role, content: &str| Turn { role, content: content.to_owned() };
    Example {
        id: format!("{number:016x}"),
        task: TaskKind::ALL[number as usize % 16].into(),
        turns: vec![turn(Role::User, instruction), turn(Role::Assistant, response)],
        fields: BTreeMap::from([("context".to_owned(), passage.to_owned())]),
        provenance: Provenance {
            document: "doc".into(),
            origin: Origin { source: "notes.txt".into(), row: (!number.is_multiple_of(3)).then_some(number) },
            span: Some(0..passage.len()),
            dataset: None,
            template: "bonito".into(),
            model: Some("rules/1".into()),
            seed: number,
            sample: 0,
            prompt_hash: "0".repeat(32),
            repairs: if number.is_multiple_of(2) { vec![] } else { vec![Repair::ContextInserted] },
            prompt_tokens: (!number.is_multiple_of(5)).then_some(7),
            completion_tokens: None,
        },
    }
}

#[test]
fn rows_of_every_format() {
    let example = example(1, " A cat sat.\n", "A cat sat.\n\nWho sat?", "A cat");
    let rows = Format::ALL.map(|format| format!("{:<18}{}", format.name(), format.json(&example)));
    insta::assert_snapshot!(rows.join("\n"), @r#"
    messages          {"messages":[{"role":"user","content":"A cat sat.\n\nWho sat?"},{"role":"assistant","content":"A cat"}]}
    prompt-completion {"prompt":"A cat sat.\n\nWho sat?","completion":"A cat"}
    bonito            {"input":"A cat sat.\n\nWho sat?","output":"A cat"}
    alpaca            {"instruction":"Who sat?","input":"A cat sat.","output":"A cat"}
    ctga              {"context":" A cat sat.\n","task_input":"","task_output":"","dataset":"","dataset_config":"","task_type":"multiple-choice question answering","input":"A cat sat.\n\nWho sat?","output":"A cat"}
    "#);
}

#[test]
fn a_conversation_loses_nothing_in_two_halves() {
    let mut example = example(1, "", "Who sat?", "A cat");
    example.turns.insert(0, Turn { role: Role::System, content: "Be short.".to_owned() });
    assert_eq!(
        Format::Bonito.json(&example),
        serde_json::json!({"input": "Be short.\n\nWho sat?", "output": "A cat"})
    );
}

#[test]
fn an_empty_builder_has_the_schema_of_a_full_one() {
    for format in Format::ALL {
        let mut builder = format.builder();
        assert_eq!(builder.finish().schema(), format.schema());
        builder.push(format.row(&example(1, "a", "b", "c")).cells());
        assert_eq!((builder.rows(), builder.text_bytes() > 1), (1, true));
        let batch = builder.finish();
        assert_eq!((batch.num_rows(), batch.schema()), (1, format.schema()));
        assert!(format.schema().fields().iter().all(|field| !field.is_nullable()));
        assert_eq!(builder.rows(), 0);
    }
}

#[test]
fn only_the_conversation_does_not_fit_a_flat_table() {
    let flat = Format::ALL.map(Format::is_flat);
    assert_eq!(flat, [false, true, true, true, true]);
}
