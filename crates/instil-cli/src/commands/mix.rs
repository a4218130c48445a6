//! `mix`: several datasets to one, in proportions.

use std::path::Path;

use indicatif::HumanCount;
use instil::ledger::SetCount;
use instil::recipe::{Mix, Step};
use instil::reject::Stage;
use instil::run::{Done, MixPlan, MixShares, Report};
use instil::{Error, Result};
use serde_json::json;

use crate::args::{HowOfAll, MixArgs};
use crate::progress::Progress;
use crate::tables::{reasons, table};
use crate::{exit, output, settings};

pub(crate) fn run(args: MixArgs) -> Result<u8> {
    let MixArgs { input, output, learn, what, how } = args;
    if let Some(file) = learn {
        return super::learn::run(&file, output, &how);
    }
    let mut step = Mix { input, ..Mix::default() };
    settings::mix_over(&mut step, what);
    step.output = super::output_of(output, &how)?;
    execute(step, &how)
}

/// Runs one settled step and says how it went.
pub(crate) fn execute(mut step: Mix, how: &HowOfAll) -> Result<u8> {
    if let Some(file) = learnt(&step)? {
        return super::learn::run(file, Some(step.output.clone()), how);
    }
    settings::mix_how_over(&mut step, how);
    super::execute(step, how, |step| (&mut step.output, &mut step.keep_run), show, to_path)
}

/// The file that says how a step's proportions are learnt, if they are.
///
/// # Errors
/// When the step has settings that would stand in that file.
fn learnt(step: &Mix) -> Result<Option<&Path>> {
    let Some(file) = &step.learn else { return Ok(None) };
    let alone = Mix { learn: Some(file.clone()), output: step.output.clone(), ..Mix::default() };
    if *step != alone {
        let differences = Step::from(step.clone()).differences(&alone.into());
        let keys: Vec<&str> = differences.iter().filter_map(|line| Some(line.split_once(':')?.0)).collect();
        return Err(Error::usage(format!(
            "a mix that is learnt has no settings but `learn` and `output`: {}",
            keys.join(", ")
        ))
        .with_hint(format!("what is mixed, and how, stands in `{file}`")));
    }
    Ok(Some(Path::new(file)))
}

/// Runs a step; `shown` is what the user calls its output.
fn to_path(step: &Mix, shown: &str, how: &HowOfAll) -> Result<u8> {
    let plan = MixPlan::of(step)?;
    let files = plan.road.sources.iter().flat_map(|source| &source.files);
    let existing = super::before(how, plan.layout.output(), plan.road.to.name, files)?;
    let progress = std::cell::RefCell::new(Progress::start(how.quiet));
    let done = instil::run::mix(
        step,
        &plan,
        existing,
        &mut |rows| progress.borrow_mut().watch_counted(rows),
        &mut |ledger| progress.borrow_mut().watch_mixed(ledger),
    );
    progress.into_inner().finish();
    let done = done?;
    let (report, code) =
        super::after(how, &plan.layout, plan.road.to.name, step.max_drop, step.keep_run, &done)?;
    if !how.quiet {
        say(step, &plan, shown, &done, report);
        super::say_limit(&report.ledger, step.max_drop, code);
    }
    Ok(code)
}

/// What came of the run, on stderr.
fn say(step: &Mix, plan: &MixPlan, shown: &str, done: &Done, report: &Report) {
    match done {
        Done::Finished(_) => {
            for stage in [Stage::Read, Stage::Convert] {
                let stage = report.ledger.stage(stage);
                if !stage.rejects.is_empty() {
                    output::talk(&format!("not used: {}", reasons(&stage.rejects)));
                }
            }
            let by_tokens = step.tokens.is_some();
            let size = |set: &SetCount| if by_tokens { set.tokens } else { set.kept };
            let sets = &report.ledger.sets;
            let all: u64 = sets.values().map(size).sum();
            for (name, set) in plan.names().iter().filter_map(|name| sets.get_key_value(*name)) {
                let tokens = match by_tokens {
                    true => format!(", {} tokens", HumanCount(set.tokens)),
                    false => String::new(),
                };
                let share = 100.0 * size(set) as f64 / all.max(1) as f64;
                output::talk(&format!("{} of {name}{tokens} ({share:.1} %)", HumanCount(set.kept)));
            }
            let what = if plan.layout.is_folder() { "dataset" } else { "file" };
            output::talk(&format!(
                "{} rows in the {what} `{shown}`, {:.1} s",
                HumanCount(report.rows),
                report.seconds
            ));
        }
        other => super::say_unchanged(other, shown),
    }
}

/// Prints what a step would do.
pub(crate) fn show(step: &Mix, as_json: bool) -> Result<u8> {
    if let Some(file) = learnt(step)? {
        return super::learn::look(file, as_json);
    }
    let plan = MixPlan::of(step)?;
    let mut progress = Progress::start(false);
    let shares = plan.shares(step, &mut |rows| progress.watch_counted(rows))?;
    progress.finish();
    let Some(MixShares { shares, wanted, sizes }) = shares else { return Ok(exit::INTERRUPTED) };
    let unit = if step.tokens.is_some() { "tokens" } else { "rows" };
    if as_json {
        let sources: Vec<_> = plan
            .names()
            .into_iter()
            .zip(shares.iter().zip(&wanted).zip(&sizes))
            .map(|(name, ((share, wanted), size))| {
                json!({"source": name, "share": share, "rows": size.rows, "tokens": size.tokens, "wanted": wanted})
            })
            .collect();
        output::data(&json!({"recipe": step, "unit": unit, "sources": sources}).to_string());
        return Ok(exit::DONE);
    }
    let mut rows = table(&["source", "share", "rows of it", "taken"]);
    for (name, ((share, wanted), size)) in
        plan.names().into_iter().zip(shares.iter().zip(&wanted).zip(&sizes))
    {
        rows.add_row([
            name.to_owned(),
            format!("{:.2} %", 100.0 * share),
            HumanCount(size.rows).to_string(),
            format!("{} {unit}", HumanCount(*wanted)),
        ]);
    }
    output::data(&rows.trim_fmt());
    let all: u64 = wanted.iter().sum();
    output::data(&format!("writes {} {unit} as {} to `{}`", HumanCount(all), plan.road.to.name, step.output));
    output::data(&format!("recipe {}", Step::from(step.clone()).hash()));
    Ok(exit::DONE)
}
