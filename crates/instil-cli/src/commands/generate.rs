//! `generate`: text to task data.

use indicatif::HumanCount;
use instil::Result;
use instil::ledger::Ledger;
use instil::recipe::{Generate, Step};
use instil::reject::Stage;
use instil::run::{Done, Plan, Report};
use instil_remote::hub::Transfer;

use crate::args::{GenerateArgs, How};
use crate::progress::{Progress, catch_interrupts};
use crate::settings::{Found, Local};
use crate::{exit, output, settings, tables};
use tables::reasons;

pub(crate) fn run(args: GenerateArgs) -> Result<u8> {
    let mut step = Generate { input: args.input, ..Generate::default() };
    settings::what_over(&mut step, args.what);
    step.output = super::output_of(args.output, &args.how.of_all)?;
    execute(step, &args.how)
}

/// Runs one settled step of `generate` and says how it went.
pub(crate) fn execute(mut step: Generate, how: &How) -> Result<u8> {
    settings::how_over(&mut step, how);
    if how.of_all.dry_run {
        if step.output == "-" {
            step.output = "rows.jsonl".to_owned();
        }
        return super::check::show(&step, how.of_all.json);
    }
    if step.output == "-" {
        let hash = Step::from(step.clone()).hash();
        return super::to_stdout(&hash, &how.of_all, |file| {
            // Rows that an earlier start made and could not print are made again.
            to_path(&Generate { output: file, keep_run: true, ..step }, "-", how)
        });
    }
    let shown = step.output.clone();
    to_path(&step, &shown, how)
}

/// Runs a step; `shown` is what the user calls its output.
fn to_path(step: &Generate, shown: &str, how: &How) -> Result<u8> {
    let mut progress = Progress::start(how.of_all.quiet);
    if settings::is_local(step) {
        catch_interrupts()?;
    }
    let watch: &mut dyn FnMut(&Transfer) -> _ = &mut |transfer| progress.watch_transfer(transfer);
    let local = match Local::of(step, how.weights_cache.clone(), watch)? {
        Found::Nothing => None,
        Found::Weights(local) => Some(local),
        Found::Interrupted => {
            progress.finish();
            output::talk("interrupted; the same command goes on where this one stopped");
            return Ok(exit::INTERRUPTED);
        }
    };
    let window = local.as_ref().map(Local::window).transpose()?.flatten();
    let plan = Plan::with_window(step, window)?;
    let existing = super::before(&how.of_all, plan.layout.output(), plan.format.name(), plan.files.iter())?;
    let model = settings::model(step, local.as_ref())?;
    if !how.of_all.quiet {
        model.notes().iter().for_each(|note| output::talk(note));
    }
    let done = instil::run::generate(step, &plan, model.as_ref(), existing, &mut |ledger, read| {
        progress.watch(ledger, read)
    });
    progress.finish();
    let done = done?;

    let (report, code) =
        super::after(&how.of_all, &plan.layout, plan.format.name(), step.max_drop, step.keep_run, &done)?;
    if !how.of_all.quiet {
        say(step, shown, how, &done, report, code);
    }
    Ok(code)
}

/// What came of the run, on stderr.
fn say(step: &Generate, shown: &str, how: &How, done: &Done, report: &Report, code: u8) {
    let ledger = &report.ledger;
    let read = ledger.stage(Stage::Read);
    if how.of_all.verbose || matches!(done, Done::Finished(_)) {
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
                    "made by `rules`, programs over your own text; for a model's rows name one with --model or --endpoint",
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
    super::say_limit(ledger, step.max_drop, code);
}

fn failures(ledger: &Ledger) -> u64 {
    ledger.stage(Stage::Generate).errors
}
