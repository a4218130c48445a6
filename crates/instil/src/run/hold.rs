//! The run folder while a run is at it: locked, its recipe in it, its report written at the end.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use super::existing::{refuse_foreign, settle_existing};
use super::{Done, Existing, Report};
use crate::error::{Error, Result};
use crate::ledger::Ledger;
use crate::pipeline::Ended;
use crate::recipe::{Recipe, Step};
use crate::reject::Stage;
use crate::sink::{Card, Layout, Writer};

/// A run folder that no other process can take.
pub(super) struct Held<'a> {
    step: &'a Step,
    layout: &'a Layout,
    fingerprint: Option<String>,
    started: Instant,
    _lock: File,
}

/// What is found when a run begins.
pub(super) enum Begun<'a> {
    /// The output is whole already.
    Finished(Report),
    /// There is something to do.
    Held(Held<'a>),
}

/// Takes the run folder: decides about what is there, and writes the recipe.
///
/// `fingerprint` says what inputs and model are, where that can be said.
///
/// # Errors
/// When the output belongs to another run, another process is at it, or it can't be written.
pub(super) fn begin<'a>(
    step: &'a Step,
    layout: &'a Layout,
    existing: Existing,
    fingerprint: Option<String>,
) -> Result<Begun<'a>> {
    let started = Instant::now();
    let run = layout.run();
    refuse_foreign(step, layout, existing)?;
    let failed = |what: &str, e| failed(&run, what, e);
    fs::create_dir_all(&run).map_err(|e| failed("", e))?;
    let lock = File::create(run.join("lock")).map_err(|e| failed("lock", e))?;
    if let Err(e) = lock.try_lock() {
        if let std::fs::TryLockError::Error(e) = e {
            return Err(failed("lock", e));
        }
        return Err(Error::output(format!("another process is writing `{}`", step.output()))
            .with_hint("wait for it, or name another output"));
    }
    // Only now, behind the lock, can it be said what is there and what is to go.
    if let Some(report) = settle_existing(step, layout, existing, fingerprint.as_deref())? {
        return Ok(Begun::Finished(report));
    }
    // A report that says `finished` must not outlive the rows it speaks of.
    match fs::remove_file(run.join("report.json")) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(failed("report.json", e)),
        _ => {}
    }
    let settled = Recipe::of(step.clone()).to_toml();
    write_whole(&run.join("recipe.toml"), settled.as_bytes()).map_err(|e| failed("recipe.toml", e))?;
    Ok(Begun::Held(Held { step, layout, fingerprint, started, _lock: lock }))
}

impl Held<'_> {
    /// Ends a run: puts the files in their places if it is whole, and writes the report.
    ///
    /// `allow_errors` says whether calls that failed for good keep it from being whole.
    ///
    /// # Errors
    /// When something can't be written.
    pub(super) fn end(
        self,
        ledger: Ledger,
        ended: Ended,
        allow_errors: bool,
        model: String,
        writer: Writer,
        card: impl FnOnce(&Report) -> Card,
    ) -> Result<Done> {
        self.end_with(ledger, ended, allow_errors, model, |report| writer.finish(&card(report)).map(drop))
    }

    /// [`end`](Self::end) with another way to put the files in their places.
    ///
    /// # Errors
    /// When something can't be written.
    pub(super) fn end_with(
        self,
        ledger: Ledger,
        ended: Ended,
        allow_errors: bool,
        model: String,
        finish: impl FnOnce(&Report) -> Result<()>,
    ) -> Result<Done> {
        assert!(ledger.closes(), "the ledger doesn't close: {ledger:?}");
        let failures = ledger.stage(Stage::Generate).errors > 0 && !allow_errors;
        let mut report = Report {
            finished: ended == Ended::Whole && !failures,
            rows: ledger.kept(),
            model,
            ledger,
            seconds: 0.0,
            recipe_hash: self.step.hash(),
            inputs: self.fingerprint,
        };
        if report.finished {
            finish(&report)?;
        }
        report.seconds = self.started.elapsed().as_secs_f64();
        let text = serde_json::to_vec_pretty(&report).expect("a report is plain values");
        let run = self.layout.run();
        write_whole(&run.join("report.json"), &text).map_err(|e| failed(&run, "report.json", e))?;
        Ok(match (ended, failures) {
            (Ended::Interrupted, _) => Done::Interrupted(report),
            (Ended::Whole, true) => Done::Failed(report),
            (Ended::Whole, false) => Done::Finished(report),
        })
    }
}

fn failed(run: &Path, what: &str, e: std::io::Error) -> Error {
    Error::output(format!("failed to write `{}`", run.join(what).display())).because(e).with_hint(
        "check the folder's permissions and that the disk has room, then run the same command again",
    )
}

/// Writes a small file so that it is there whole or not at all.
fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let partial = path.with_extension("partial");
    let mut file = File::create(&partial)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&partial, path)
}
