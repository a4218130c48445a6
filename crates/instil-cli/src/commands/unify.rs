//! `unify`: one instruction style for several datasets, or several for one.

mod transfer;

use indicatif::HumanCount;
use instil::recipe::{Step, Unify};
use instil::reject::Stage;
use instil::run::{Done, Report, Unified, UnifyPlan, look_unify};
use instil::unify::TaskReport;
use instil::{Error, Result};
use serde_json::json;

use crate::args::{HowOfAll, TransferArgs, UnifyArgs};
use crate::progress::Progress;
use crate::tables::{plural, reasons, table};
use crate::{exit, output, settings};

/// How many rows `--dry-run` shows.
const ROWS: usize = 3;
/// How many tasks are told, unless all are asked for.
const TASKS: usize = 12;

pub(crate) fn run(args: UnifyArgs) -> Result<u8> {
    let UnifyArgs { input, output, what, transfer: model, how } = args;
    let mut step = Unify { input, ..Unify::default() };
    settings::unify_over(&mut step, what);
    if let Some(code) = transfer::alone(&step, output.as_deref(), &model, &how)? {
        return Ok(code);
    }
    step.output = match output {
        // One file is written, also where none is named yet.
        None if how.dry_run => "out.jsonl".to_owned(),
        output => super::output_of(output, &how)?,
    };
    written(step, &model, &how)
}

/// Runs one settled step and says how it went.
pub(crate) fn execute(mut step: Unify, how: &HowOfAll) -> Result<u8> {
    let model = TransferArgs::taken(&mut step);
    if let Some(code) = transfer::alone(&step, Some(&step.output), &model, how)? {
        return Ok(code);
    }
    written(step, &model, how)
}

/// Has a model, if one is named, write the definitions that rules can't, and makes the rows.
fn written(mut step: Unify, model: &TransferArgs, how: &HowOfAll) -> Result<u8> {
    if model.candidates == Some(0) {
        return Err(
            Error::usage("a definition can't be chosen of 0 candidates").with_hint("1 is written greedily")
        );
    }
    if model.has_model()
        && let Some(code) = transfer::before(&mut step, model, how)?
    {
        return Ok(code);
    }
    settings::unify_how_over(&mut step, how);
    super::execute(step, how, |step| (&mut step.output, &mut step.keep_run), show, to_path)
}

/// Runs a step; `shown` is what the user calls its output.
fn to_path(step: &Unify, shown: &str, how: &HowOfAll) -> Result<u8> {
    let plan = UnifyPlan::of(step)?;
    let existing = super::before(how, plan.layout.output(), plan.road.to.name, plan.files.iter())?;
    let mut progress = Progress::start(how.quiet);
    let done = instil::run::unify(step, &plan, existing, &mut |ledger| progress.watch_rows(ledger));
    progress.finish();
    let (done, unified) = done?;
    let (report, code) =
        super::after(how, &plan.layout, plan.road.to.name, step.max_drop, step.keep_run, &done)?;
    if !how.quiet {
        say(&plan, &unified, shown, how, &done, report);
        super::say_limit(&report.ledger, step.max_drop, code);
    }
    Ok(code)
}

/// What came of the run, on stderr.
fn say(plan: &UnifyPlan, unified: &Unified, shown: &str, how: &HowOfAll, done: &Done, report: &Report) {
    let most = if how.verbose { usize::MAX } else { TASKS };
    for line in
        super::convert::found(&unified.shapes, if how.verbose { usize::MAX } else { super::convert::FILES })
    {
        output::talk(&line);
    }
    let ledger = &report.ledger;
    match done {
        Done::Finished(_) => {
            for line in told(&unified.tasks, most) {
                output::talk(&line);
            }
            let not_used: Vec<_> = [Stage::Read, Stage::Convert, Stage::Lift, Stage::Restyle]
                .map(|stage| reasons(&ledger.stage(stage).rejects))
                .into_iter()
                .filter(|line| !line.is_empty())
                .collect();
            if !not_used.is_empty() {
                output::talk(&format!("not used: {}", not_used.join(", ")));
            }
            if !ledger.losses.is_empty() {
                output::talk(&format!("the new rows don't carry: {}", reasons(&ledger.losses)));
            }
            if let Some(ambiguous) = ledger.repairs.get("ambiguous") {
                output::talk(&format!(
                    "words of the template stand in the content of {}; they were taken apart at the first place",
                    plural(usize::try_from(*ambiguous).unwrap_or(usize::MAX), "row"),
                ));
            }
            if let Some(as_it_was) = ledger.repairs.get("as_it_was") {
                let rows = plural(usize::try_from(*as_it_was).unwrap_or(usize::MAX), "row");
                output::talk(&format!("rules can't bring {rows} to the style; they stay as they were"));
            }
            let rows = HumanCount(report.rows);
            output::talk(&format!(
                "{rows} rows of {} in `{shown}`, {:.1} s",
                plan.road.to.name, report.seconds
            ));
            let without: Vec<&str> = unified
                .tasks
                .iter()
                .filter(|task| task.needs_definition() && task.reason.is_some())
                .map(|task| task.instruction.task.as_str())
                .collect();
            if !without.is_empty() {
                output::talk(&format!(
                    "rules can't write what is to be done in {}: {}{}; --definitions FILE says it",
                    plural(without.len(), "task"),
                    without[..without.len().min(most)].join(", "),
                    if without.len() > most { ", …" } else { "" },
                ));
            }
        }
        other => super::say_unchanged(other, shown),
    }
}

/// A line for each task, those with findings first, and what the checks found.
fn told(tasks: &[TaskReport], most: usize) -> Vec<String> {
    let mut sorted: Vec<&TaskReport> = tasks.iter().collect();
    sorted.sort_by_key(|task| (task.reason.is_none(), task.findings().next().is_none()));
    let mut table = table(&["task", "level", "rows", "kept", "definition by", "what to look at"]);
    for task in sorted.iter().take(most) {
        let mut look_at: Vec<String> = task.reason.iter().cloned().collect();
        look_at.extend(task.findings().flat_map(|check| {
            check.found.iter().take(1).map(|found| format!("{}: {found}", check.kind.word()))
        }));
        table.add_row([
            task.instruction.task.clone(),
            task.instruction.level.name().to_owned(),
            HumanCount(task.rows).to_string(),
            HumanCount(task.kept).to_string(),
            task.by.to_owned(),
            look_at.join("; "),
        ]);
    }
    let mut lines: Vec<String> = table.to_string().lines().map(|line| line.trim_end().to_owned()).collect();
    if sorted.len() > most {
        lines.push(format!("… and {} more; --report FILE has them all", sorted.len() - most));
    }
    lines
}

/// Prints what a step would do.
pub(crate) fn show(step: &Unify, as_json: bool) -> Result<u8> {
    let plan = UnifyPlan::of(step)?;
    let (unified, rows) = look_unify(&plan, ROWS)?;
    if as_json {
        let object = json!({
            "files": plan.files.iter().map(|file| json!({"name": &*file.name, "bytes": file.bytes})).collect::<Vec<_>>(),
            "recipe": step,
            "tasks": unified.tasks,
            "rows": rows.iter().filter_map(|row| row.as_ref().ok()).collect::<Vec<_>>(),
            "rejects": rows.iter().filter_map(|row| Some(row.as_ref().err()?.reason.word())).collect::<Vec<_>>(),
        });
        output::data(&object.to_string());
        return Ok(exit::DONE);
    }
    let bytes: u64 = plan.files.iter().map(|file| file.bytes).sum();
    output::data(&format!("reads {}, {} bytes", plural(plan.files.len(), "file"), HumanCount(bytes)));
    for line in super::convert::found(&unified.shapes, super::convert::FILES) {
        output::data(&format!("  {line}"));
    }
    output::data(&format!("writes rows of {} to `{}`", plan.road.to.name, step.output));
    for style in &plan.road.styles {
        output::data(&format!("in the style `{}`, of the level `{}`", style.name(), style.level().name()));
    }
    output::data(&format!("recipe {}\n", Step::from(step.clone()).hash()));
    for task in unified.tasks.iter().take(TASKS) {
        let instruction = &task.instruction;
        output::data(&format!(
            "{}: {} of level {}, read as {:?}",
            instruction.task,
            plural(usize::try_from(task.rows).unwrap_or(usize::MAX), "row"),
            instruction.level.name(),
            task.template
        ));
        let definition = instruction.definition.as_deref().unwrap_or("none");
        output::data(&format!("  definition by {}: {definition}", task.by));
        for check in task.findings() {
            output::data(&format!("  {}: {}", check.kind.word(), check.found.join("; ")));
        }
    }
    if unified.tasks.len() > TASKS {
        output::data(&format!("… and {} more", unified.tasks.len() - TASKS));
    }
    for row in &rows {
        match row {
            Ok(row) => {
                output::data(&format!("\n{}", serde_json::to_string_pretty(row).expect("a row is JSON")));
            }
            Err(reject) => output::data(&format!("\nno row: {} ({})", reject.reason.word(), reject.raw)),
        }
    }
    Ok(exit::DONE)
}
