//! A run on disk: what is settled before it, what continues it, and what stands after it.
//!
//! [`Plan`] looks names up and opens files without spending anything; [`generate`] sends the plan's
//! documents down the [road](crate::pipeline) and finishes the output; [`look`] only looks.

mod plan;
mod existing;
mod look;

use std::fs::{self, File};
use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::journal::Journal;
use crate::ledger::Ledger;
use crate::lm::LanguageModel;
use crate::pipeline::{self, Ended};
use crate::prompt::Style;
use crate::recipe::{Generate, Recipe};
use crate::reject::Stage;
use crate::sink::{Card, Writer};
use crate::task::TaskKind;

pub use existing::Existing;
pub use look::{Look, LookPrompt, look};
pub use plan::Plan;

use existing::{refuse_foreign, remove, settle_existing};

/// `report.json`: the ledger of a run and what it came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Whether the output is whole.
    pub finished: bool,
    /// Rows written.
    pub rows: u64,
    /// The ledger: `stages`, `kinds`, `repairs`, `tokens`.
    #[serde(flatten)]
    pub ledger: Ledger,
    /// The model's identity.
    pub model: String,
    /// Seconds of this start of the run; what the journal knew took none of them.
    pub seconds: f64,
    /// [`Generate::hash`].
    pub recipe_hash: String,
    /// What the inputs and the model were, where that can be said.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub inputs: Option<String>,
}

impl Report {
    /// Reads the report of a run folder.
    ///
    /// # Errors
    /// When there is none, or it isn't one.
    pub fn read(run: &Path) -> Result<Self> {
        let path = run.join("report.json");
        let failed = || Error::input(format!("failed to read `{}`", path.display()));
        let text = fs::read(&path).map_err(|e| failed().because(e))?;
        serde_json::from_slice(&text).map_err(|e| failed().because(e))
    }
}

/// How a run ended.
#[derive(Debug)]
pub enum Done {
    /// The output is whole.
    Finished(Report),
    /// It was whole before; nothing was done.
    AlreadyFinished(Report),
    /// The caller broke off; the same command continues.
    Interrupted(Report),
    /// Calls failed for good; the same command tries them again.
    Failed(Report),
}

/// Makes, or continues, the dataset of a recipe.
///
/// `watch` sees, after each step, the ledger and the share of the input's bytes that is read (none
/// for standard input), and can break off.
///
/// # Errors
/// When the output belongs to another run, another process is at it, it can't be written, the inputs
/// hold no document at all, or the model can't be used.
pub fn generate(
    recipe: &Generate,
    plan: &Plan,
    model: &dyn LanguageModel,
    existing: Existing,
    watch: &mut dyn FnMut(&Ledger, Option<f64>) -> ControlFlow<()>,
) -> Result<Done> {
    let started = Instant::now();
    if plan.road.style == Style::Instruct && !model.capabilities().messages {
        return Err(Error::usage(format!("`{}` can't follow `instruct` prompts", recipe.model))
            .with_hint("name a chat model with --endpoint, or leave out --prompt instruct"));
    }
    let documents = plan.documents(recipe)?;
    let run = plan.layout.run();
    let run = run.as_path();
    let fingerprint = plan.fingerprint(model);
    refuse_foreign(recipe, plan, existing)?;

    let failed = |what: &str, e: std::io::Error| {
        Error::output(format!("failed to write `{}`", run.join(what).display())).because(e).with_hint(
            "check the folder's permissions and that the disk has room, then run the same command again",
        )
    };
    fs::create_dir_all(run).map_err(|e| failed("", e))?;
    let lock = File::create(run.join("lock")).map_err(|e| failed("lock", e))?;
    if lock.try_lock().is_err() {
        return Err(Error::output(format!("another process is writing `{}`", recipe.output))
            .with_hint("wait for it, or name another output"));
    }
    // Only now, behind the lock, can it be said what is there and what is to go.
    if let Some(report) = settle_existing(recipe, plan, existing, fingerprint.as_deref())? {
        return Ok(Done::AlreadyFinished(report));
    }
    // A report that says `finished` must not outlive the rows it speaks of.
    match fs::remove_file(run.join("report.json")) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(failed("report.json", e)),
        _ => {}
    }
    let settled = Recipe::of(recipe.clone()).to_toml();
    write_whole(&run.join("recipe.toml"), settled.as_bytes()).map_err(|e| failed("recipe.toml", e))?;
    let journal = match (&recipe.journal, model.capabilities().journaled) {
        (_, false) => None,
        (Some(path), true) => Some(Journal::open(Path::new(path))?),
        (None, true) => Some(Journal::open(&run.join("journal.sqlite"))?),
    };

    let sampling = plan.road.sampling.clone();
    let mut writer = Writer::create(&plan.layout, plan.format, sampling, recipe.shard_rows)?;
    let bytes: u64 = plan.files.iter().map(|file| file.bytes).sum();
    let read = documents.read_bytes();
    let mut watch = |ledger: &Ledger| {
        // Sizes of files are far below 2^53.
        let share = (bytes > 0).then(|| read.load(Ordering::Relaxed) as f64 / bytes as f64);
        watch(ledger, share)
    };
    let documents = recipe.choose(documents);
    let (ledger, ended) =
        pipeline::generate(&plan.road, documents, model, journal.as_ref(), &mut writer, &mut watch)?;
    assert!(ledger.closes(), "the ledger doesn't close: {ledger:?}");

    let read = ledger.stage(Stage::Read);
    if ended == Ended::Whole && read.out == 0 {
        if let Some(id) = &recipe.document {
            return Err(Error::input(format!(
                "no document of `{}` has the id `{id}`",
                recipe.input.join("`, `")
            ))
            .with_hint("`--dry-run` shows the ids of the first documents"));
        }
        if read.r#in > 0 {
            return Err(nothing_read(recipe, read));
        }
    }
    let failures = ledger.stage(Stage::Generate).errors > 0 && !recipe.allow_errors;
    let mut report = Report {
        finished: ended == Ended::Whole && !failures,
        rows: ledger.kept(),
        model: model.identity().to_string(),
        ledger,
        seconds: 0.0,
        recipe_hash: recipe.hash(),
        inputs: fingerprint,
    };
    if report.finished {
        writer.finish(&card(recipe, plan, &report))?;
    }
    report.seconds = started.elapsed().as_secs_f64();
    let text = serde_json::to_vec_pretty(&report).expect("a report is plain values");
    write_whole(&run.join("report.json"), &text).map_err(|e| failed("report.json", e))?;
    Ok(match (ended, failures) {
        (Ended::Interrupted, _) => Done::Interrupted(report),
        (Ended::Whole, true) => Done::Failed(report),
        (Ended::Whole, false) => Done::Finished(report),
    })
}

fn nothing_read(recipe: &Generate, read: &crate::ledger::StageCount) -> Error {
    let counts: Vec<String> = read.rejects.iter().map(|(word, count)| format!("{count} {word}")).collect();
    Error::input(format!("nothing could be read from `{}`", recipe.input.join("`, `")))
        .because(counts.join(", "))
        .with_hint("`instil list rejects` says what the words mean, `instil check` shows what is found")
}

/// Removes what is no longer needed once the caller has seen all of a run: the run folder beside a
/// finished single file, unless the recipe keeps it.
///
/// # Errors
/// When it can't be removed.
pub fn tidy(recipe: &Generate, plan: &Plan, done: &Done) -> Result<()> {
    if plan.layout.is_folder() || recipe.keep_run || !matches!(done, Done::Finished(_)) {
        return Ok(());
    }
    remove(&plan.layout.run())
}

/// Writes a small file so that it is there whole or not at all.
fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let partial = path.with_extension("partial");
    let mut file = File::create(&partial)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&partial, path)
}

fn card(recipe: &Generate, plan: &Plan, report: &Report) -> Card {
    let kept = |kind: &TaskKind| report.ledger.kinds.get(kind.short()).map_or(0, |count| count.kept);
    let name = Path::new(&recipe.output)
        .file_name()
        .map_or_else(|| "dataset".to_owned(), |name| name.to_string_lossy().into_owned());
    Card {
        name,
        license: recipe.license.clone(),
        model: report.model.clone(),
        is_rules: recipe.model == "rules" && recipe.endpoint.is_none() && recipe.replay.is_none(),
        template: plan.road.style.template().to_owned(),
        documents: report.ledger.stage(Stage::Read).out,
        passages: report.ledger.stage(Stage::Chunk).out,
        kinds: plan.road.kinds.iter().map(|kind| (*kind, kept(kind))).collect(),
        rejects: report.ledger.rejects(),
    }
}
