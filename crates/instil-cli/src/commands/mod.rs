//! The verbs, a file each: settle, call the library, print. What every run does before and after stands here.

pub(crate) mod bench;
pub(crate) mod check;
pub(crate) mod check_dataset;
pub(crate) mod check_script;
pub(crate) mod check_templates;
pub(crate) mod companion;
pub(crate) mod compare;
pub(crate) mod convert;
pub(crate) mod cook;
pub(crate) mod doctor;
pub(crate) mod eval;
pub(crate) mod from_rows;
pub(crate) mod generate;
pub(crate) mod learn;
pub(crate) mod list;
pub(crate) mod merge;
pub(crate) mod mix;
pub(crate) mod pull;
pub(crate) mod push;
pub(crate) mod run;
pub(crate) mod score;
pub(crate) mod serve;
pub(crate) mod stats;
pub(crate) mod trace;
pub(crate) mod train;
pub(crate) mod unify;

use std::io::Write as _;
use std::path::Path;

use indicatif::HumanCount;
use instil::ledger::Ledger;
use instil::recipe::Step;
use instil::run::{Done, Existing, Report, tidy};
use instil::sink::Layout;
use instil::source::SourceFile;
use instil::{Error, Result};

use crate::args::HowOfAll;
use crate::progress::catch_interrupts;
use crate::tables::plural;
use crate::{exit, output};

/// The output as typed; with `--dry-run` none is needed.
fn output_of(typed: Option<String>, how: &HowOfAll) -> Result<String> {
    match (typed, how.dry_run) {
        (Some(output), _) => Ok(output),
        (None, true) => Ok("out".to_owned()),
        (None, false) => Err(Error::usage("no output is named").with_hint(
            "add `-o out` for a dataset folder, `-o out.jsonl` for a file, `-o -` to print the rows",
        )),
    }
}

/// Runs one settled step that makes rows: shows it, or writes its rows to its path, or to standard output by way of a
/// file. `place` gives the step's `output` and `keep_run`; `to_path` gets, too, what the user calls the output.
fn execute<S: Clone + Into<Step>>(
    mut step: S,
    how: &HowOfAll,
    place: fn(&mut S) -> (&mut String, &mut bool),
    show: impl FnOnce(&S, bool) -> Result<u8>,
    to_path: impl FnOnce(&S, &str, &HowOfAll) -> Result<u8>,
) -> Result<u8> {
    let is_stdout = place(&mut step).0 == "-";
    if how.dry_run {
        if is_stdout {
            *place(&mut step).0 = "rows.jsonl".to_owned();
        }
        return show(&step, how.json);
    }
    if is_stdout {
        let hash = step.clone().into().hash();
        return to_stdout(&hash, how, |file| {
            let (output, keep_run) = place(&mut step);
            (*output, *keep_run) = (file, true);
            to_path(&step, "-", how)
        });
    }
    let shown = place(&mut step).0.clone();
    to_path(&step, &shown, how)
}

/// Says how a run ended that wrote nothing.
fn say_unchanged(done: &Done, shown: &str) {
    match done {
        Done::AlreadyFinished(report) | Done::Finished(report) => {
            output::talk(&format!("`{shown}` is finished already: {} rows", HumanCount(report.rows)));
        }
        Done::Interrupted(_) | Done::Failed(_) => {
            output::talk("interrupted; nothing is written, and the same command begins again");
        }
    }
}

/// The rows of standard output are made as those of a file, so that nothing half made is printed. The
/// folder is that of the recipe with this hash: an interrupted run is continued by the same command here too.
fn to_stdout(hash: &str, how: &HowOfAll, to_file: impl FnOnce(String) -> Result<u8>) -> Result<u8> {
    companion::none_of_stdout(how)?;
    if how.json {
        return Err(Error::usage("--json prints the report on standard output, where the rows go")
            .with_hint("write the rows to a file with -o"));
    }
    let folder = std::env::temp_dir().join(format!("instil-{hash}"));
    let failed = |e| Error::output(format!("failed to use `{}`", folder.display())).because(e);
    std::fs::create_dir_all(&folder).map_err(failed)?;
    let file = folder.join("rows.jsonl").to_string_lossy().into_owned();
    let code = to_file(file.clone())?;
    if code > exit::LIMIT_MISSED {
        return Ok(code);
    }
    let printed = std::fs::File::open(&file)
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

/// The files that a plan would read, the first of them by name.
fn show_files(files: &[SourceFile]) {
    let bytes: u64 = files.iter().map(|file| file.bytes).sum();
    output::data(&format!("reads {}, {} bytes:", plural(files.len(), "file"), HumanCount(bytes)));
    for file in files.iter().take(10) {
        output::data(&format!("  {}", file.name));
    }
    if files.len() > 10 {
        output::data(&format!("  … and {} more", files.len() - 10));
    }
}

/// What comes before a run: the flags that can fail, the files that are read. `shape` is the name of the rows'.
fn before<'a>(
    how: &HowOfAll,
    output: &Path,
    shape: &str,
    files: impl Iterator<Item = &'a SourceFile> + Clone,
) -> Result<Existing> {
    companion::check(how, output, shape)?;
    if let Some(path) = &how.rejects {
        let whole = |path: &Path| std::path::absolute(path).ok();
        let is_same = |other: &Path| {
            whole(other) == whole(path) || other.canonicalize().ok() == path.canonicalize().ok()
        };
        let is_read = files.clone().any(|file| path.exists() && is_same(&file.path));
        if is_read || whole(output) == whole(path) {
            let what = if is_read { "is read" } else { "is the output" };
            return Err(Error::usage(format!("`{}` {what}, and --rejects would write it", path.display()))
                .with_hint("name another file for the rejects"));
        }
        // A path that can't be written is better known before the work than after it.
        std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .map_err(|e| Error::output(format!("failed to write `{}`", path.display())).because(e))?;
    }
    catch_interrupts()?;
    if how.verbose {
        for file in files {
            output::talk(&format!("reads {} ({} bytes)", file.name, HumanCount(file.bytes)));
        }
    }
    Ok(match (how.resume, how.overwrite) {
        (true, _) => Existing::Resume,
        (_, true) => Existing::Overwrite,
        _ => Existing::Same,
    })
}

/// What comes after a run: rejects, the run folder, companions, the report as JSON; and the exit code.
fn after<'a>(
    how: &HowOfAll,
    layout: &Layout,
    shape: &str,
    max_drop: Option<f64>,
    keep_run: bool,
    done: &'a Done,
) -> Result<(&'a Report, u8)> {
    let (report, code) = match done {
        Done::Finished(report) | Done::AlreadyFinished(report) => {
            let missed = max_drop.is_some_and(|most| report.ledger.drop_share() > most);
            (report, if missed { exit::LIMIT_MISSED } else { exit::DONE })
        }
        Done::Interrupted(report) => (report, exit::INTERRUPTED),
        Done::Failed(report) => (report, exit::NOT_DONE),
    };
    if let Some(path) = &how.rejects {
        instil::stats::write_rejects(layout.run().as_path(), path)?;
    }
    tidy(layout, keep_run, done)?;
    if matches!(done, Done::Finished(_) | Done::AlreadyFinished(_)) {
        companion::beside(how, layout.output(), shape)?;
    }
    if how.json {
        output::data(&serde_json::to_string(report).expect("a report is plain values"));
    }
    Ok((report, code))
}

/// Says that too much was dropped, if it was.
fn say_limit(ledger: &Ledger, max_drop: Option<f64>, code: u8) {
    if code == exit::LIMIT_MISSED {
        output::talk(&format!(
            "{:.1} % of the samples were dropped, more than --max-drop {:.1} %",
            100.0 * ledger.drop_share(),
            100.0 * max_drop.unwrap_or(1.0)
        ));
    }
}
