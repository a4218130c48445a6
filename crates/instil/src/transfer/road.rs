//! The whole way of a task that rules can't write: asked, read, checked, chosen.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde::Serialize;

use super::ask::{self, Asked, Asking, End};
use super::choose::{Choice, Judge, choose};
use super::cost::{Budget, Spent};
use super::{Task, reference};
use crate::error::Result;
use crate::lm::Prefill;
use crate::unify::{Instance, verify};

/// How definitions are written.
pub struct How<'a> {
    /// Who is asked.
    pub asking: Asking<'a>,
    /// Who judges; without a judge the first candidate that passes is taken.
    pub judge: Option<Judge<'a>>,
    /// Whether the published procedure chooses, which checks nothing.
    pub reference: bool,
}

/// What came of some tasks.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// What was chosen for each task; none where it was not asked about to the end.
    pub choices: Vec<Option<Choice>>,
    /// How it ended.
    pub end: End,
    /// How often each fault and each note came, by its word.
    pub counts: BTreeMap<&'static str, u64>,
    /// Calls that failed for good.
    pub failed: u64,
    /// What was spent.
    pub spent: Spent,
    /// Its money, where there are prices.
    pub money: Option<f64>,
    /// What the judge computed; none where it doesn't tell, or there is none.
    pub prefill: Option<Prefill>,
}

/// What is told while it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// So many tasks have all their candidates.
    Asked(u64),
    /// So many tasks are decided.
    Chosen(u64),
}

/// Has definitions written for tasks and chooses among them. `watch` may break off: what was said stands in the journal.
///
/// # Errors
/// When a model can't be used, or the journal can't be read or written.
pub fn write(
    tasks: &[Task],
    how: &How<'_>,
    budget: &mut Budget,
    watch: &mut dyn FnMut(Step) -> ControlFlow<()>,
) -> Result<Written> {
    let asked = ask::ask(tasks, &how.asking, budget, &mut |done| watch(Step::Asked(done)))?;
    let prefill = |how: &How<'_>| how.judge.as_ref().and_then(|judge| judge.model.prefill());
    let before = prefill(how);
    let mut written = Written {
        choices: Vec::with_capacity(tasks.len()),
        end: asked.end.clone(),
        counts: asked.counts(),
        failed: asked.failed(),
        spent: budget.spent(),
        money: budget.money(),
        prefill: None,
    };
    choose_all(tasks, &asked, how, &mut written, watch)?;
    written.choices.resize(tasks.len(), None);
    written.prefill = prefill(how).zip(before).map(|(after, before)| after.since(before));
    Ok(written)
}

fn choose_all(
    tasks: &[Task],
    asked: &Asked,
    how: &How<'_>,
    written: &mut Written,
    watch: &mut dyn FnMut(Step) -> ControlFlow<()>,
) -> Result<()> {
    if asked.end == End::Interrupted {
        return Ok(());
    }
    for (number, (task, candidates)) in tasks.iter().zip(&asked.candidates).enumerate() {
        let Some(candidates) = candidates else {
            written.choices.push(None);
            continue;
        };
        let check = |definition: &str, rows: &[Instance]| verify(&task.source, definition, rows);
        let seed = how.asking.settings.seed;
        let mut step = |_| watch(Step::Chosen(number as u64));
        let judge = how.judge.as_ref();
        let choice = match (judge, how.reference) {
            (Some(judge), true) => reference::choose(task, candidates, judge, seed, &check, &mut step)?,
            _ => choose(task, candidates, judge, seed, &check, &mut step)?,
        };
        let Some(choice) = choice else {
            written.end = End::Interrupted;
            return Ok(());
        };
        written.choices.push(Some(choice));
    }
    if watch(Step::Chosen(tasks.len() as u64)).is_break() {
        written.end = End::Interrupted;
    }
    Ok(())
}

/// The lines of a report: a choice each, with the task's name where there is none yet.
pub fn report(tasks: &[Task], written: &Written) -> impl Iterator<Item = String> {
    #[derive(Serialize)]
    struct Pending<'a> {
        task: &'a str,
        pending: bool,
    }
    tasks.iter().zip(&written.choices).map(|(task, choice)| match choice {
        Some(choice) => serde_json::to_string(choice).expect("a choice is plain values"),
        None => {
            serde_json::to_string(&Pending { task: task.name(), pending: true }).expect("it is plain values")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::ask::Settings;
    use super::super::choose::Why;
    use super::super::cost::Caps;
    use super::*;
    use crate::lm::scripted::Scripted;
    use crate::lm::{Completion, Outcome, Score, Scoring};
    use crate::unify::{Field, Instruction, Level, Style};

    fn task(name: &str) -> Task {
        let row = |at: usize| Instance {
            fields: vec![Field { name: String::new(), value: format!("kettle {at}") }],
            output: format!("answer {at}"),
            references: vec![],
        };
        let source =
            Instruction { definition: Some("What is it?".into()), ..Instruction::new(name, Level::Instance) };
        Task { source, to: Level::Task, rows: (0..60).map(row).collect() }
    }

    #[test]
    fn a_task_is_asked_checked_and_chosen_and_told_of() {
        let model = Scripted::new(0, 2, |_, sample| {
            let definition =
                ["Say what the kettle is.", "Say what the kettle is and", "Say answer 7."][sample as usize];
            let text = serde_json::json!({"definition": definition, "explanations": []}).to_string();
            Outcome::Text(Completion { text, ..Completion::default() })
        })
        .scoring(|text| {
            let nll = if text.prompt.contains("Definition") { 1.0 } else { 2.0 };
            Scoring::Score(Score { nll, tokens: 1, greedy: None, whole: true })
        });
        let style = Style::built_in("super-ni").unwrap();
        let settings = Settings::of(3, 1);
        let tasks = [task("one"), task("two")];
        let run = |reference| {
            let asking = Asking { model: &model, journal: None, pairs: &[], settings: &settings };
            let judge = Some(Judge { model: &model, journal: None, style: &style });
            let how = How { asking, judge, reference };
            let mut budget = Budget::new(Caps::default(), None).unwrap();
            write(&tasks, &how, &mut budget, &mut |_| ControlFlow::Continue(())).unwrap()
        };
        let written = run(false);
        assert_eq!((written.end.clone(), written.failed, written.spent.calls), (End::Whole, 0, 2));
        let choice = written.choices[1].as_ref().unwrap();
        assert_eq!((choice.definition(), choice.reason), (Some("Say what the kettle is."), Why::Only));
        let lines: Vec<String> = report(&tasks, &written).collect();
        let line: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!((&line["task"], &line["reason"]), (&"one".into(), &"only_one".into()));
        assert_eq!(line["candidates"][1]["checks"].as_array().unwrap().len(), 6);
        // The published procedure looks at losses alone.
        let reference = run(true).choices[0].clone().unwrap();
        assert_eq!((reference.reason, reference.chosen), (Why::LeastLoss, Some(0)));
        assert!(reference.candidates.iter().all(|candidate| candidate.score == Some(1.0)));
    }
}
