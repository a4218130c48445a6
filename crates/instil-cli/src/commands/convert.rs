//! `convert`: datasets of one shape into a file of another.

use std::collections::BTreeMap;

use indicatif::HumanCount;
use instil::Result;
use instil::convert::Shape;
use instil::pipeline::convert::{FileShape, preview};
use instil::recipe::{Convert, Step};
use instil::reject::Stage;
use instil::run::{ConvertPlan, Done, Report};
use serde_json::json;

use crate::args::{ConvertArgs, HowOfAll};
use crate::progress::Progress;
use crate::tables::reasons;
use crate::{exit, output, settings};

/// How many rows `--dry-run` shows.
const ROWS: usize = 3;
/// How many files' shapes are told, unless all are asked for.
pub(super) const FILES: usize = 5;

pub(crate) fn run(args: ConvertArgs) -> Result<u8> {
    let ConvertArgs { input, output, what, how } = args;
    let mut step = Convert { input, ..Convert::default() };
    settings::convert_over(&mut step, what);
    step.output = match output {
        // One file is written, also where none is named yet.
        None if how.dry_run => "out.jsonl".to_owned(),
        output => super::output_of(output, &how)?,
    };
    execute(step, &how)
}

/// Runs one settled step and says how it went.
pub(crate) fn execute(mut step: Convert, how: &HowOfAll) -> Result<u8> {
    settings::convert_how_over(&mut step, how);
    super::execute(step, how, |step| (&mut step.output, &mut step.keep_run), show, to_path)
}

/// Runs a step; `shown` is what the user calls its output.
fn to_path(step: &Convert, shown: &str, how: &HowOfAll) -> Result<u8> {
    let plan = ConvertPlan::of(step)?;
    let existing = super::before(how, plan.layout.output(), plan.road.to.name, plan.files.iter())?;
    let mut progress = Progress::start(how.quiet);
    let done = instil::run::convert(step, &plan, existing, &mut |ledger| progress.watch_rows(ledger));
    progress.finish();
    let (done, shapes) = done?;
    let (report, code) =
        super::after(how, &plan.layout, plan.road.to.name, step.max_drop, step.keep_run, &done)?;
    if !how.quiet {
        say(&plan, &shapes, shown, how, &done, report);
        super::say_limit(&report.ledger, step.max_drop, code);
    }
    Ok(code)
}

/// What came of the run, on stderr.
fn say(plan: &ConvertPlan, shapes: &[FileShape], shown: &str, how: &HowOfAll, done: &Done, report: &Report) {
    for line in found(shapes, if how.verbose { usize::MAX } else { FILES }) {
        output::talk(&line);
    }
    let ledger = &report.ledger;
    match done {
        Done::Finished(_) => {
            let not_used: Vec<_> = [Stage::Read, Stage::Convert]
                .map(|stage| reasons(&ledger.stage(stage).rejects))
                .into_iter()
                .filter(|line| !line.is_empty())
                .collect();
            if !not_used.is_empty() {
                output::talk(&format!("not used: {}", not_used.join(", ")));
            }
            if !ledger.losses.is_empty() {
                output::talk(&format!("`{}` can't carry: {}", plan.road.to.name, reasons(&ledger.losses)));
            }
            let rows = HumanCount(report.rows);
            output::talk(&format!(
                "{rows} rows of {} in `{shown}`, {:.1} s",
                plan.road.to.name, report.seconds
            ));
            if report.rows == 0 {
                output::talk("no row was kept: `--rejects FILE` shows why, row by row");
            }
        }
        other => super::say_unchanged(other, shown),
    }
}

/// A line for each file whose shape was found out, or for each shape where they are many.
pub(super) fn found(shapes: &[FileShape], most: usize) -> Vec<String> {
    let found: Vec<_> =
        shapes.iter().filter_map(|shape| Some((&shape.file, shape.detected.as_ref()?))).collect();
    if found.len() <= most {
        return found.iter().map(|(file, detected)| format!("{file}: {detected}")).collect();
    }
    let mut files: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, detected) in &found {
        *files.entry(detected.shape.name).or_default() += 1;
    }
    files.iter().map(|(shape, files)| format!("{files} files of {shape}")).collect()
}

/// Prints what a step would do.
pub(crate) fn show(step: &Convert, as_json: bool) -> Result<u8> {
    let plan = ConvertPlan::of(step)?;
    let (rows, shapes) = preview(&plan.road, plan.files.clone(), ROWS)?;
    if as_json {
        let object = json!({
            "files": plan.files.iter().map(|file| json!({"name": &*file.name, "bytes": file.bytes})).collect::<Vec<_>>(),
            "recipe": step,
            "shapes": shapes.iter().map(|shape| json!({
                "file": &*shape.file,
                "shape": shape.detected.as_ref().map(|detected| detected.shape.name),
                "reason": shape.detected.as_ref().map(ToString::to_string),
            })).collect::<Vec<_>>(),
            "rows": rows.iter().filter_map(|row| row.as_ref().ok()).collect::<Vec<_>>(),
            "rejects": rows.iter().filter_map(|row| Some(row.as_ref().err()?.reason.word())).collect::<Vec<_>>(),
        });
        output::data(&object.to_string());
        return Ok(exit::DONE);
    }
    let bytes: u64 = plan.files.iter().map(|file| file.bytes).sum();
    output::data(&format!("reads {} files, {} bytes", plan.files.len(), HumanCount(bytes)));
    for line in found(&shapes, FILES) {
        output::data(&format!("  {line}"));
    }
    let to: &Shape = plan.road.to;
    output::data(&format!("writes rows of {} to `{}`: {}", to.name, step.output, to.about));
    output::data(&format!("recipe {}", Step::from(step.clone()).hash()));
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
