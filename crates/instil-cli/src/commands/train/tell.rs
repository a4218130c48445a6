//! What `train` says: what was read, what came of it, and what a step would do.

use std::fmt::Write as _;

use indicatif::HumanCount;
use instil::Error;
use instil::convert::supervise::Supervised;
use instil::recipe::{Step as RecipeStep, Train};
use instil::run::{Material, TrainReport};
use instil_model::train::Example;
use serde_json::{Value, json};

use crate::args::TrainHow;
use crate::tables::reasons;
use crate::{exit, output};

/// How many examples `--dry-run` shows.
const SHOWN: usize = 2;

/// The error of rows of which none can be learnt.
pub(super) fn nothing(step: &Train, material: &Material) -> Error {
    let error = Error::input(format!("nothing in {} can be learnt", step.input.join(" ")));
    match material.first.values().next() {
        Some(first) => error.because(format!("{} rows; the first: {first}", material.rows)).with_hint(
            "`instil check FILE` says what is wrong with rows; `--frame text` learns texts without prompts",
        ),
        None => error.because("there is no row"),
    }
}

/// What was read, on stderr.
pub(super) fn told(material: &Material, report: &TrainReport) {
    if !report.not_used.is_empty() {
        output::talk(&format!("not used: {}", reasons(&report.not_used)));
        for (reason, first) in &material.first {
            output::talk(&format!("  {reason}: {first}"));
        }
    }
    let held = match report.validation_examples {
        0 => String::new(),
        held => format!(", {} held out", HumanCount(held)),
    };
    output::talk(&format!(
        "{} examples{held}, {} tokens, {} of them learnt",
        HumanCount(report.examples),
        HumanCount(report.tokens),
        HumanCount(report.learnt_tokens)
    ));
}

/// What came of it, on stderr.
pub(super) fn say(step: &Train, report: &TrainReport) {
    if !report.finished {
        output::talk(&format!(
            "interrupted after {} steps; the same command goes on from there",
            report.steps
        ));
        return;
    }
    let mut line =
        format!("{} steps, {} numbers trained", HumanCount(report.steps), HumanCount(report.trained));
    if let Some(loss) = report.loss {
        let _ = write!(line, ", loss {loss:.4}");
    }
    if let Some(loss) = report.validation_loss {
        let _ = write!(line, ", held-out loss {loss:.4} (perplexity {:.2})", loss.exp());
    }
    output::talk(&line);
    let flag = if step.method == "full" { "--model" } else { "--adapter" };
    output::talk(&format!(
        "`{}` is whole, {:.1} s; other verbs take it by {flag}",
        step.output, report.seconds
    ));
}

pub(super) fn already(step: &Train, report: &TrainReport, how: &TrainHow) -> u8 {
    if how.json {
        output::data(&serde_json::to_string(report).expect("a report is plain values"));
    }
    if !how.quiet {
        output::talk(&format!("`{}` is finished already: {} steps", step.output, HumanCount(report.steps)));
    }
    exit::DONE
}

/// Prints what a step would do.
pub(super) fn show(
    step: &Train,
    material: &Material,
    learnt: &[Example],
    validation: &[Example],
    how: &TrainHow,
) {
    if how.json {
        let parts = |example: &Supervised| -> Vec<Value> {
            example.parts.iter().map(|part| json!({"text": part.text, "is_learnt": part.is_learnt})).collect()
        };
        let object = json!({
            "recipe": step, "rows": material.rows, "not_used": material.not_used,
            "examples": learnt.len(), "validation_examples": validation.len(),
            "first": material.examples.iter().take(SHOWN).map(parts).collect::<Vec<_>>(),
        });
        return output::data(&object.to_string());
    }
    output::data(&format!("reads {} rows of {}", HumanCount(material.rows), step.input.join(" ")));
    if !material.not_used.is_empty() {
        output::data(&format!("not used: {}", reasons(&material.not_used)));
    }
    output::data(&format!("{} examples, {} held out", HumanCount(learnt.len() as u64), validation.len()));
    output::data(&format!("recipe {}", RecipeStep::from(step.clone()).hash()));
    for example in material.examples.iter().take(SHOWN) {
        output::data("");
        for part in &example.parts {
            let mark = if part.is_learnt { "learnt" } else { "given " };
            for line in part.text.lines() {
                output::data(&format!("  {mark} | {line}"));
            }
        }
    }
}
