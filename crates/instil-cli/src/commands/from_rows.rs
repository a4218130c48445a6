//! `apply` and `remix`: labelled rows to prompts and completions, or to a generator's training pairs.

use indicatif::HumanCount;
use instil::ledger::Ledger;
use instil::recipe::{FromRows, Step, Verb};
use instil::record::Role;
use instil::reject::Stage;
use instil::run::{Done, LookRows, Report, RowsPlan, collection, look_rows};
use instil::template::remix::{Inversion, VARIABLE, invert};
use instil::{Error, Result};
use serde_json::json;

use crate::args::{ApplyArgs, HowOfAll, RemixArgs, RowsArgs};
use crate::progress::Progress;
use crate::tables::{plural, reasons};
use crate::{exit, output, settings, tables};

/// How many examples `--dry-run` shows.
const EXAMPLES: usize = 3;

pub(crate) fn apply(args: ApplyArgs) -> Result<u8> {
    start(Verb::Apply, args.input, args.rows)
}

pub(crate) fn remix(args: RemixArgs) -> Result<u8> {
    if args.list {
        return list(args.rows);
    }
    start(Verb::Remix, args.input, args.rows)
}

fn start(verb: Verb, input: Vec<String>, args: RowsArgs) -> Result<u8> {
    let RowsArgs { output, what, how } = args;
    let mut step = FromRows { verb, input, ..FromRows::default() };
    settings::rows_over(&mut step, what);
    step.output = super::output_of(output, &how)?;
    execute(step, &how)
}

/// Runs one settled step and says how it went.
pub(crate) fn execute(mut step: FromRows, how: &HowOfAll) -> Result<u8> {
    settings::rows_how_over(&mut step, how);
    if step.output == "-" && step.split.is_some() && !how.dry_run {
        return Err(
            Error::usage("splits can't be printed").with_hint("write a folder with -o, or leave out --split")
        );
    }
    super::execute(step, how, |step| (&mut step.output, &mut step.keep_run), show, to_path)
}

/// Runs a step; `shown` is what the user calls its output.
fn to_path(step: &FromRows, shown: &str, how: &HowOfAll) -> Result<u8> {
    let plan = RowsPlan::of(step)?;
    let existing = super::before(how, plan.layout.output(), plan.format.name(), plan.files())?;
    if how.verbose {
        for line in &plan.unusable {
            output::talk(&format!("not used: {line}"));
        }
    }
    let mut progress = Progress::start(how.quiet);
    let done = instil::run::from_rows(step, &plan, existing, &mut |ledger| progress.watch_rows(ledger));
    progress.finish();
    let done = done?;
    let first_reject = match &done {
        Done::Finished(report) if report.rows == 0 => first_reject(&plan)?,
        _ => None,
    };
    let (report, code) =
        super::after(how, &plan.layout, plan.format.name(), step.max_drop, step.keep_run, &done)?;
    if !how.quiet {
        say(step, shown, how, &done, report, code);
        if matches!(done, Done::Finished(_)) {
            say_idle(&plan, &report.ledger);
        }
        if let Some(why) = first_reject {
            output::talk(&format!("no row was kept; the first: {why}"));
        }
    }
    Ok(code)
}

/// Says which templates were given to no row although there were many: a field that they read has another name.
fn say_idle(plan: &RowsPlan, ledger: &Ledger) {
    for (dataset, count) in &ledger.sets {
        let templates = plan.road.templates.get(dataset.as_str()).map_or(&[][..], Vec::as_slice);
        if count.expected < ENOUGH * templates.len() as u64 || count.kept == 0 {
            continue;
        }
        for prepared in templates.iter().filter(|prepared| !count.templates.contains_key(&*prepared.name)) {
            let reads = prepared.compiled.required().iter().filter(|name| *name != VARIABLE);
            let reads = reads.map(|name| format!("`{name}`"));
            let reads = reads.collect::<Vec<_>>().join(", ");
            output::talk(&format!(
                "no row came out of the template `{}` of {dataset}, which reads {reads}",
                prepared.name
            ));
        }
    }
}

/// Takings of rows for each template, after which one that made nothing is odd.
const ENOUGH: u64 = 20;

/// The first reject of a run, in one line.
fn first_reject(plan: &RowsPlan) -> Result<Option<String>> {
    let Some(reject) = instil::rows::of_file(&plan.layout.rejects())?.next().transpose()? else {
        return Ok(None);
    };
    let text = |name: &str| reject.get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
    let row = reject.get("row").map_or(String::new(), |row| format!(" row {row}"));
    Ok(Some(format!("{}{row}: {}, {}", text("source"), text("reason"), first_line(text("raw")))))
}

/// What came of the run, on stderr.
fn say(step: &FromRows, shown: &str, how: &HowOfAll, done: &Done, report: &Report, code: u8) {
    let ledger = &report.ledger;
    let rows = HumanCount(report.rows);
    match done {
        Done::Finished(_) => {
            if ledger.sets.len() > 1 || how.verbose {
                output::talk(&tables::sets(ledger).trim_fmt());
                output::talk("");
            }
            output::talk(&tables::kinds(ledger).trim_fmt());
            let others: Vec<_> = [Stage::Read, Stage::Draw, Stage::Lift, Stage::Template]
                .map(|stage| reasons(&ledger.stage(stage).rejects))
                .into_iter()
                .filter(|line| !line.is_empty())
                .collect();
            if !others.is_empty() {
                output::talk(&format!("not used: {}", others.join(", ")));
            }
            output::talk(&format!(
                "{rows} {} in `{shown}`, {:.1} s",
                if report.rows == 1 { "row" } else { "rows" },
                report.seconds
            ));
        }
        Done::AlreadyFinished(_) => output::talk(&format!("`{shown}` is finished already: {rows} rows")),
        Done::Interrupted(_) | Done::Failed(_) => {
            output::talk("interrupted; nothing is written, and the same command begins again");
        }
    }
    super::say_limit(ledger, step.max_drop, code);
}

/// Prints what a step would do.
pub(crate) fn show(step: &FromRows, as_json: bool) -> Result<u8> {
    let look = look_rows(step, EXAMPLES)?;
    if as_json {
        let object = json!({
            "files": look.files.iter().map(|file| json!({"name": &*file.name, "bytes": file.bytes})).collect::<Vec<_>>(),
            "recipe": step,
            "templates": look.templates.iter().map(|(key, count)| json!({"dataset": &**key, "templates": count})).collect::<Vec<_>>(),
            "unusable": look.unusable,
            "examples": look.examples.iter().map(|example| json!({
                "task": example.task.short(),
                "dataset": example.provenance.dataset.as_deref(),
                "template": &*example.provenance.template,
                "prompt": example.first(Role::User),
                "completion": example.first(Role::Assistant),
            })).collect::<Vec<_>>(),
            "rejects": look.rejects.iter().map(|reject| reject.reason.word()).collect::<Vec<_>>(),
        });
        output::data(&object.to_string());
    } else {
        print(step, &look);
    }
    Ok(exit::DONE)
}

fn print(step: &FromRows, look: &LookRows) {
    super::show_files(&look.files);
    let templates: usize = look.templates.iter().map(|(_, count)| count).sum();
    let which = match step.template.as_str() {
        "one" => format!("a random one of its dataset's templates ({templates} in all)"),
        "all" => format!("each of its dataset's templates ({templates} in all)"),
        name => format!("the template `{name}`"),
    };
    output::data(&format!("puts each row into {which}, in `{}`", step.output));
    output::data(&format!("recipe {}", Step::from(step.clone()).hash()));
    for line in look.unusable.iter().take(10) {
        output::data(&format!("not used: {line}"));
    }
    if look.unusable.len() > 10 {
        output::data(&format!("… and {} more", look.unusable.len() - 10));
    }
    for reject in look.rejects.iter().take(10) {
        output::data(&format!("no example: {} ({})", reject.reason.word(), first_line(&reject.raw)));
    }
    for example in &look.examples {
        output::data(&format!(
            "\n--- {} by `{}` of {}\n{}\n--- completion\n{}",
            example.task.short(),
            example.provenance.template,
            example.provenance.dataset.as_deref().unwrap_or_default(),
            example.first(Role::User),
            example.first(Role::Assistant)
        ));
    }
    if look.examples.is_empty() {
        output::data("\nno example: the first rows give none");
    }
}

fn first_line(text: &str) -> String {
    let line = text.trim().replace('\n', "\\n");
    match line.char_indices().nth(100) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// `remix --list`: the templates turned inside out.
fn list(args: RowsArgs) -> Result<u8> {
    if args.output.is_some() {
        return Err(Error::usage("--list writes no output").with_hint("leave out --output"));
    }
    let templates = collection(&args.what.templates.unwrap_or_default())?;
    let Inversion { mut inverted, mut skipped, .. } = invert(&templates, args.what.reference);
    if let Some(key) = &args.what.dataset {
        templates.dataset(key)?;
        inverted.retain(|inverted| *inverted.key == **key);
        skipped.retain(|skipped| *skipped.dataset == **key);
    }
    if args.how.json {
        for inverted in &inverted {
            output::data(&serde_json::to_string(inverted).expect("an inverted template is plain values"));
        }
        return Ok(exit::DONE);
    }
    let mut table = tables::table(&["dataset", "template", "task", "passage"]);
    for inverted in &inverted {
        let passage = if inverted.gives_pairs() {
            first_line(&inverted.context)
        } else {
            "no pairs: the response is only the passage".to_owned()
        };
        table.add_row([&*inverted.key, inverted.template.as_str(), inverted.kind.short(), &passage]);
    }
    output::data(&table.trim_fmt());
    let mut keys: Vec<&str> = inverted.iter().map(|inverted| &*inverted.key).collect();
    keys.dedup();
    if !args.how.quiet {
        output::talk(&format!("{} of {}", plural(inverted.len(), "template"), plural(keys.len(), "dataset")));
        let mut why = std::collections::BTreeMap::<String, u64>::new();
        for skipped in &skipped {
            *why.entry(skipped.reason.word().to_owned()).or_default() += 1;
        }
        if !why.is_empty() {
            output::talk(&format!("not turned: {}", reasons(&why)));
        }
        if args.how.verbose {
            for skipped in &skipped {
                output::talk(&format!("{} `{}`: {}", skipped.dataset, skipped.template, skipped.detail));
            }
        }
    }
    Ok(exit::DONE)
}
