//! `cook`: task data from programs over random words.

use indicatif::HumanCount;
use instil::Result;
use instil::cook::{Sample, Stream};
use instil::recipe::{Cook, Step};
use instil::run::{CookPlan, Done, Report};
use instil::sink::Layout;
use serde_json::{Value, json};

use crate::args::{CookArgs, HowOfAll};
use crate::progress::Progress;
use crate::tables::{plural, reasons};
use crate::{exit, output, settings};

pub(crate) fn run(args: CookArgs) -> Result<u8> {
    let CookArgs { template, output, what, how } = args;
    let samples = what.report;
    let mut step = Cook { template, ..Cook::default() };
    settings::cook_over(&mut step, what);
    if let Some(samples) = samples {
        step.output = "out".to_owned();
        return report(&step, samples, how.json);
    }
    step.output = super::output_of(output, &how)?;
    execute(step, &how)
}

/// Runs one settled step and says how it went.
pub(crate) fn execute(mut step: Cook, how: &HowOfAll) -> Result<u8> {
    settings::cook_how_over(&mut step, how);
    super::execute(step, how, |step| (&mut step.output, &mut step.keep_run), show, to_path)
}

/// Runs a step; `shown` is what the user calls its output.
fn to_path(step: &Cook, shown: &str, how: &HowOfAll) -> Result<u8> {
    let plan = CookPlan::of(step)?;
    let existing = super::before(how, plan.layout.output(), &step.format, std::iter::empty())?;
    let mut progress = Progress::start(how.quiet);
    let rows = plan.road.rows();
    let done = instil::run::cook(step, &plan, existing, &mut |ledger| progress.watch_made(ledger, rows));
    progress.finish();
    let done = done?;
    let (report, code) = super::after(how, &plan.layout, &step.format, None, step.keep_run, &done)?;
    if !how.quiet {
        say(step, &plan.layout, shown, &done, report);
    }
    Ok(code)
}

/// What came of the run, on stderr.
fn say(step: &Cook, layout: &Layout, shown: &str, done: &Done, report: &Report) {
    match done {
        Done::Finished(_) => {
            let not_used: Vec<String> = report
                .ledger
                .stages
                .iter()
                .map(|stage| reasons(&stage.rejects))
                .filter(|line| !line.is_empty())
                .collect();
            if !not_used.is_empty() {
                output::talk(&format!("not used: {}", not_used.join(", ")));
            }
            for (template, count) in &report.ledger.sets {
                output::talk(&format!("{} of {template}", HumanCount(count.kept)));
            }
            let verified = if step.verify { ", each answer derived anew from its text" } else { "" };
            let what = if layout.is_folder() { "dataset" } else { "file" };
            output::talk(&format!(
                "{} rows in the {what} `{shown}`{verified}, {:.1} s",
                HumanCount(report.rows),
                report.seconds
            ));
        }
        other => super::say_unchanged(other, shown),
    }
}

/// Prints what of a step's samples could be guessed without their rules.
fn report(step: &Cook, samples: u64, as_json: bool) -> Result<u8> {
    for stream in &CookPlan::of(step)?.road.splits[0].streams {
        let report = stream.report(samples);
        if as_json {
            output::data(&serde_json::to_string(&report).expect("a report is plain values"));
        } else {
            output::data(&format!("{report}"));
        }
    }
    Ok(exit::DONE)
}

/// A template's first sample as JSON.
pub(crate) fn example(stream: &Stream) -> Value {
    let mut sample = Sample::default();
    match stream.fill(0, &mut sample) {
        Ok(()) => json!({"prompt": sample.prompt(), "completion": sample.completion()}),
        Err(_) => Value::Null,
    }
}

/// Prints what a step would do.
pub(crate) fn show(step: &Cook, as_json: bool) -> Result<u8> {
    let plan = CookPlan::of(step)?;
    let streams = &plan.road.splits[0].streams;
    if as_json {
        let templates: Vec<Value> = streams
            .iter()
            .map(|stream| {
                let plan = stream.plan();
                json!({
                    "template": plan.template.name(), "version": plan.template.version(),
                    "settings": plan.settings.from.to_string(), "until": plan.settings.to.to_string(),
                    "example": example(stream),
                })
            })
            .collect();
        let pool = &streams[0].plan().pool;
        output::data(
            &json!({
                "recipe": step, "pool": {"mode": pool.mode(), "words": pool.size(), "hash": pool.hash()},
                "templates": templates,
            })
            .to_string(),
        );
        return Ok(exit::DONE);
    }
    for split in &plan.road.splits {
        output::data(&format!("makes {} of `{}`", plural(split.rows as usize, "row"), split.name));
    }
    output::data(&format!("writes rows of {} to `{}`", step.format, step.output));
    output::data(&format!("recipe {}", Step::from(step.clone()).hash()));
    for stream in streams {
        let made = stream.plan();
        output::data(&format!("\n{}: {}", made.template.name(), made.template.about()));
        output::data(&format!("set to {}", made.settings.from));
        if !made.settings.is_constant() {
            output::data(&format!("and at the last row to {}", made.settings.to));
        }
        let mut sample = Sample::default();
        if stream.fill(0, &mut sample).is_ok() {
            output::data(&format!("\n{}", indented(sample.prompt())));
            output::data(&format!("=> {}", sample.completion().trim_start()));
        }
    }
    Ok(exit::DONE)
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("   {line}")).collect::<Vec<_>>().join("\n")
}
