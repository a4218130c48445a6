//! `apply` and `remix`: labelled rows down the road, from a plan to a finished output.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use super::generate::nothing_read;
use super::hold::{Begun, begin};
use super::rows_plan::{RowsPlan, Set};
use super::{Done, Existing, Report};
use crate::error::Result;
use crate::ledger::Ledger;
use crate::lm::Sampling;
use crate::pipeline::Ended;
use crate::pipeline::from_rows as road;
use crate::recipe::{FromRows, Step, Verb};
use crate::reject::{Reject, Stage};
use crate::shuffle::Shuffle;
use crate::sink::{Card, CardSet, Made, Writer};
use crate::task::Task;

/// Makes the dataset of a recipe. A run that was broken off begins anew: making the rows again costs no
/// more than remembering them.
///
/// `watch` sees the ledger after each batch, and can break off.
///
/// # Errors
/// When the output belongs to another run, another process is at it, it can't be written, or the inputs
/// hold no row at all.
pub fn from_rows(
    recipe: &FromRows,
    plan: &RowsPlan,
    existing: Existing,
    watch: &mut dyn FnMut(&Ledger) -> ControlFlow<()>,
) -> Result<Done> {
    // What can't be read at all is known before anything is written.
    let rows = plan.sets.iter().map(Set::rows).collect::<Result<Vec<_>>>()?;
    let step = Step::from(recipe.clone());
    let held = match begin(&step, &plan.layout, existing, plan.fingerprint())? {
        Begun::Finished(report) => return Ok(Done::AlreadyFinished(report)),
        Begun::Held(held) => held,
    };
    let splits = plan.road.splits.names();
    let mut writer =
        Writer::create(&plan.layout, plan.format, Sampling::default(), recipe.shard_rows, &splits)?;
    let shuffle =
        recipe.shuffle.then(|| Shuffle::create(&plan.layout.partial().join("shuffle"), recipe.seed));
    let found = Mutex::new(Found::default());
    let rows = rows.into_iter().enumerate().flat_map(|(set, rows)| {
        let mut last: Option<Arc<str>> = None;
        let found = &found;
        rows.inspect(move |read| match read {
            Ok(entry) if last != entry.row.dataset => {
                last.clone_from(&entry.row.dataset);
                let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                found.sets.entry(last.clone().unwrap_or_default()).or_default().insert(set);
            }
            Ok(_) => {}
            Err(reject) => {
                let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                found.first_reject.get_or_insert_with(|| reject.clone());
            }
        })
    });
    let (ledger, ended) =
        road::from_rows(&plan.road, rows, plan.threads, shuffle.transpose()?, &mut writer, watch)?;
    let read = ledger.stage(Stage::Read);
    let Found { sets, first_reject } = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    if ended == Ended::Whole && read.out == 0 && read.r#in > 0 {
        let error = nothing_read(&recipe.input, read);
        return Err(match first_reject {
            Some(Reject { reason, origin, raw, .. }) => {
                let row = origin.row.map_or(String::new(), |row| format!(" row {row}"));
                let raw: String = raw.chars().take(RAW_CHARS).collect();
                error
                    .because(format!("the first is `{}`{row}: {}, {raw}", origin.source, reason.word()))
                    .with_hint("`instil list rejects` says what the words mean")
            }
            None => error,
        });
    }
    held.end(ledger, ended, false, String::new(), writer, |report| card(recipe, plan, report, &sets))
}

/// How much of a row that can't be read is shown.
const RAW_CHARS: usize = 200;

/// What is noticed of the rows as they are read.
#[derive(Default)]
struct Found {
    /// The inputs that the rows of each dataset came from.
    sets: BTreeMap<Arc<str>, BTreeSet<usize>>,
    /// The first row that could not be read.
    first_reject: Option<Reject>,
}

fn card(
    recipe: &FromRows,
    plan: &RowsPlan,
    report: &Report,
    inputs: &BTreeMap<Arc<str>, BTreeSet<usize>>,
) -> Card {
    let license = |key: &str| {
        let from = inputs.get(key).into_iter().flatten();
        let mut licenses: Vec<&str> = from.filter_map(|set| plan.sets[*set].license.as_deref()).collect();
        licenses.dedup();
        (!licenses.is_empty()).then(|| licenses.join("; "))
    };
    let sets = report.ledger.sets.iter().map(|(key, count)| CardSet {
        dataset: key.clone(),
        rows: count.rows,
        kept: count.kept,
        license: license(key),
    });
    let kinds: BTreeMap<Task, u64> =
        report.ledger.kinds.iter().map(|(kind, count)| (Task::from(kind.clone()), count.kept)).collect();
    Card {
        name: Card::name_of(&recipe.output),
        license: recipe.license.clone(),
        made: Made::FromRows {
            is_inverted: recipe.verb == Verb::Remix,
            templates: plan.road.templates.values().map(Vec::len).sum(),
            sets: sets.collect(),
        },
        kinds: kinds.into_iter().collect(),
        rejects: report.ledger.rejects(),
    }
}
