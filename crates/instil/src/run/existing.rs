//! An output that is there already: continued, left alone, refused, taken over or removed.

use std::fs;
use std::path::Path;

use super::Report;
use crate::error::{Error, Result};
use crate::journal::Journal;
use crate::recipe::{Recipe, Step, Verb};
use crate::reject::Stage;
use crate::sink::Layout;

/// What to do about an output that is there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// Continue a run of the same recipe, refuse anything else.
    #[default]
    Same,
    /// Take over another recipe's run: its journal answers what it can.
    Resume,
    /// Begin anew: run folder, journal and rows are removed.
    Overwrite,
}

/// What instil may have put into a run folder before its recipe.
const BEFORE_THE_RECIPE: [&str; 4] = ["lock", "partial", "recipe.partial", "report.partial"];

/// Refuses an output that holds what instil did not make.
pub(super) fn refuse_foreign(recipe: &Step, layout: &Layout, existing: Existing) -> Result<()> {
    let (output, run) = (layout.output(), layout.run());
    if run.join("recipe.toml").exists() {
        return Ok(());
    }
    if !layout.is_folder() {
        if output.exists() && existing != Existing::Overwrite {
            return Err(Error::output(format!(
                "`{}` is there already, and its run folder is not",
                recipe.output()
            ))
            .with_hint(
                "--overwrite makes it anew; --keep-run keeps the run folder, so that a run can be continued",
            ));
        }
        return Ok(());
    }
    // A first attempt that was stopped very early leaves a run folder without a recipe.
    let names = |folder: &Path| -> Vec<String> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    };
    let is_ours = names(output).iter().all(|name| name == "run")
        && names(&run).iter().all(|name| BEFORE_THE_RECIPE.contains(&name.as_str()));
    if is_ours {
        return Ok(());
    }
    Err(Error::output(format!("`{}` is there already, and no run of instil made it", recipe.output()))
        .with_hint("name another output: instil replaces only what it has made"))
}

/// Decides about a run that is there; gives its report if there is nothing to do.
pub(super) fn settle_existing(
    recipe: &Step,
    layout: &Layout,
    existing: Existing,
    fingerprint: Option<&str>,
) -> Result<Option<Report>> {
    let run = layout.run();
    let settled = run.join("recipe.toml");
    if !settled.exists() {
        return Ok(None);
    }
    if existing == Existing::Overwrite {
        return clear(layout).map(|()| None);
    }
    let there = Recipe::read(&settled)?;
    let differences = match there.step.as_slice() {
        [step] => recipe.differences(step),
        _ => vec!["it has several steps".to_owned()],
    };
    if !differences.is_empty() {
        if existing == Existing::Resume || came_to_nothing(layout)? {
            return Ok(None);
        }
        return Err(Error::output(format!("`{}` was made by another recipe", recipe.output()))
            .because(differences.join("; "))
            .with_hint("--resume takes it over and keeps its journal, --overwrite begins anew, or name another output"));
    }
    let rows_are_there = layout.is_whole(&recipe.splits()?.names(), recipe.verb() != Verb::Cook)?;
    let report = Report::read(&run).ok().filter(|report| {
        report.finished
            && rows_are_there
            && report.ledger.stage(Stage::Generate).errors == 0
            && report.recipe_hash == recipe.hash()
            && fingerprint.is_some()
            && report.inputs.as_deref() == fingerprint
    });
    Ok(report)
}

/// Whether a run left neither rows nor answers: a wrong key, a wrong column. Another recipe may take its place.
fn came_to_nothing(layout: &Layout) -> Result<bool> {
    let rows = if layout.is_folder() { !layout.data_files()?.is_empty() } else { layout.output().exists() };
    let journal = layout.run().join("journal.sqlite");
    Ok(!rows && (!journal.exists() || Journal::open(&journal)?.is_empty()?))
}

/// Removes everything that a run has made, and nothing else.
fn clear(layout: &Layout) -> Result<()> {
    if layout.is_folder() {
        for file in layout.data_files()?.iter().chain(&layout.provenance_files()?) {
            remove(file)?;
        }
        remove(&layout.output().join("README.md"))?;
    }
    // The lock stays: it is what keeps a second process out while this one goes on.
    let entries = fs::read_dir(layout.run()).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name() != "lock") {
        remove(&entry.path())?;
    }
    Ok(())
}

pub(super) fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::output(format!("failed to remove `{}`", path.display())).because(e))
        }
        _ => Ok(()),
    }
}
