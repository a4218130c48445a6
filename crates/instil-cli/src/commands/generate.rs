//! `generate`: text to task data.

use std::io::Write as _;

use indicatif::HumanCount;
use instil::ledger::Ledger;
use instil::recipe::{Generate, Step};
use instil::reject::Stage;
use instil::run::{Done, Existing, Plan, Report};
use instil::{Error, Result};

use crate::args::{GenerateArgs, How};
use crate::progress::{Progress, catch_interrupts};
use crate::{exit, output, settings, tables};
use tables::reasons;

pub(crate) fn run(args: GenerateArgs) -> Result<u8> {
    let mut step = Generate { input: args.input, ..Generate::default() };
    settings::what_over(&mut step, args.what);
    step.output = match (args.output, args.how.dry_run) {
        (Some(output), _) => output,
        (None, true) => "out".to_owned(),
        (None, false) => {
            return Err(Error::usage("no output is named").with_hint(
                "add `-o out` for a dataset folder, `-o out.jsonl` for a file, `-o -` to print the rows",
            ));
        }
    };
    execute(step, &args.how)
}

/// Runs one settled step of `generate` and says how it went.
pub(crate) fn execute(mut step: Generate, how: &How) -> Result<u8> {
    settings::how_over(&mut step, how);
    if how.dry_run {
        if step.output == "-" {
            step.output = "rows.jsonl".to_owned();
        }
        return super::check::show(&step, how.json);
    }
    if step.output == "-" {
        return to_stdout(step, how);
    }
    let shown = step.output.clone();
    to_path(&step, &shown, how)
}

/// The rows of standard output are made as those of a file, so that nothing half made is printed. The
/// folder is that of the recipe: an interrupted run is continued by the same command here too.
fn to_stdout(mut step: Generate, how: &How) -> Result<u8> {
    if how.json {
        return Err(Error::usage("--json prints the report on standard output, where the rows go")
            .with_hint("write the rows to a file with -o"));
    }
    let folder = std::env::temp_dir().join(format!("instil-{}", Step::from(step.clone()).hash()));
    let failed = |e| Error::output(format!("failed to use `{}`", folder.display())).because(e);
    std::fs::create_dir_all(&folder).map_err(failed)?;
    step.output = folder.join("rows.jsonl").to_string_lossy().into_owned();
    // Rows that an earlier start made and could not print are made again.
    step.keep_run = true;
    let code = to_path(&step, "-", how)?;
    if code > exit::LIMIT_MISSED {
        return Ok(code);
    }
    let printed = std::fs::File::open(&step.output)
        .and_then(|mut rows| std::io::copy(&mut rows, &mut std::io::stdout()))
        .and_then(|_| std::io::stdout().flush());
    std::fs::remove_dir_all(&folder).map_err(failed)?;
    match printed {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::output("failed to print the rows").because(e))
        }
        _ => Ok(code),
    }
}

/// Runs a step; `shown` is what the user calls its output.
fn to_path(step: &Generate, shown: &str, how: &How) -> Result<u8> {
    let plan = Plan::of(step)?;
    let model = settings::model(step)?;
    let existing = match (how.resume, how.overwrite) {
        (true, _) => Existing::Resume,
        (_, true) => Existing::Overwrite,
        _ => Existing::Same,
    };
    if let Some(path) = &how.rejects {
        // A path that can't be written is better known before the work than after it.
        std::fs::File::create(path)
            .map_err(|e| Error::output(format!("failed to write `{}`", path.display())).because(e))?;
    }
    catch_interrupts()?;
    if how.verbose {
        for file in &plan.files {
            output::talk(&format!("reads {} ({} bytes)", file.name, HumanCount(file.bytes)));
        }
    }
    let mut progress = Progress::start(how.quiet);
    let done = instil::run::generate(step, &plan, model.as_ref(), existing, &mut |ledger, read| {
        progress.watch(ledger, read)
    });
    progress.finish();
    let done = done?;

    let (report, code) = match &done {
        Done::Finished(report) | Done::AlreadyFinished(report) => {
            let missed = step.max_drop.is_some_and(|most| report.ledger.drop_share() > most);
            (report, if missed { exit::LIMIT_MISSED } else { exit::DONE })
        }
        Done::Interrupted(report) => (report, exit::INTERRUPTED),
        Done::Failed(report) => (report, exit::NOT_DONE),
    };
    if let Some(path) = &how.rejects {
        instil::stats::write_rejects(plan.layout.run().as_path(), path)?;
    }
    instil::run::tidy(&plan.layout, step.keep_run, &done)?;
    if how.json {
        output::data(&serde_json::to_string(report).expect("a report is plain values"));
    }
    if !how.quiet {
        say(step, shown, how, &done, report, code);
    }
    Ok(code)
}

/// What came of the run, on stderr.
fn say(step: &Generate, shown: &str, how: &How, done: &Done, report: &Report, code: u8) {
    let ledger = &report.ledger;
    let read = ledger.stage(Stage::Read);
    if how.verbose || matches!(done, Done::Finished(_)) {
        output::talk(&tables::kinds(ledger).trim_fmt());
    }
    if !read.rejects.is_empty() {
        output::talk(&format!("not read: {}", reasons(&read.rejects)));
    }
    if !ledger.repairs.is_empty() {
        output::talk(&format!("mended: {}", reasons(&ledger.repairs)));
    }
    let rows = HumanCount(report.rows);
    match done {
        Done::Finished(_) => {
            output::talk(&format!("{rows} rows in `{}`, {:.1} s", shown, report.seconds));
            let errors = failures(ledger);
            if errors > 0 {
                output::talk(&format!("{} calls failed for good and are left out", HumanCount(errors)));
            }
            if report.rows == 0 && read.out > 0 {
                output::talk("no row was kept: `--rejects FILE` shows what came instead");
            }
            if step.model == "rules" && step.endpoint.is_none() && step.replay.is_none() {
                output::talk(
                    "made by `rules`, programs over your own text; for a model's rows name one with --endpoint",
                );
            }
        }
        Done::AlreadyFinished(_) => {
            output::talk(&format!("`{}` is finished already: {rows} rows", shown));
        }
        Done::Interrupted(_) => output::talk("interrupted; the same command continues"),
        Done::Failed(_) => {
            let errors = failures(ledger);
            output::talk(&format!(
                "{} calls failed for good, so `{}` is not written; the same command asks only for those again",
                HumanCount(errors),
                shown
            ));
        }
    }
    if code == exit::LIMIT_MISSED {
        output::talk(&format!(
            "{:.1} % of the samples were dropped, more than --max-drop {:.1} %",
            100.0 * ledger.drop_share(),
            100.0 * step.max_drop.unwrap_or(1.0)
        ));
    }
}

fn failures(ledger: &Ledger) -> u64 {
    ledger.stage(Stage::Generate).errors
}
