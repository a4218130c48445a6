//! A run on disk: what is settled before it, what continues it, and what stands after it.
//!
//! [`Plan`] looks names up and opens files without spending anything; [`generate`] sends the plan's
//! documents down the [road](crate::pipeline) and finishes the output; [`look`] only looks. For the
//! verbs that begin from labelled rows, [`RowsPlan`], [`from_rows`] and [`look_rows`] are the same three.

mod plan;
mod existing;
mod hold;
mod generate;
mod look;
mod rows_plan;
mod from_rows;
mod look_rows;
mod convert;
mod cook;
mod mix;
mod train;
mod unify;

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::ledger::Ledger;
use crate::sink::Layout;

pub use convert::{ConvertPlan, convert};
pub use cook::{CookPlan, cook};
pub use existing::Existing;
pub use from_rows::from_rows;
pub use generate::generate;
pub use look::{Look, LookPrompt, look};
pub use look_rows::{LookRows, look_rows};
pub use mix::{MixPlan, MixShares, mix};
pub use plan::Plan;
pub use rows_plan::{RowsPlan, Set, collection};
pub use train::{Material, TrainBegun, TrainFolder, TrainReport, material};
pub use unify::{Unified, UnifyPlan, look_unify, unify, unwritten};

use existing::remove;

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
    /// The model's identity; empty where none was asked.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub model: String,
    /// Seconds of this start of the run; what the journal knew took none of them.
    pub seconds: f64,
    /// [`Step::hash`](crate::recipe::Step::hash).
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

/// Removes what is no longer needed once the caller has seen all of a run: the run folder beside a
/// finished single file, unless the recipe keeps it.
///
/// # Errors
/// When it can't be removed.
pub fn tidy(layout: &Layout, keep_run: bool, done: &Done) -> Result<()> {
    if layout.is_folder() || keep_run || !matches!(done, Done::Finished(_)) {
        return Ok(());
    }
    remove(&layout.run())
}
