//! `apply` and `remix`: labelled rows down the road, from a plan to a finished output.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

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
use crate::reject::Stage;
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
    let rows = rows.into_iter().flatten();
    let (ledger, ended) =
        road::from_rows(&plan.road, rows, plan.threads, shuffle.transpose()?, &mut writer, watch)?;
    let read = ledger.stage(Stage::Read);
    if ended == Ended::Whole && read.out == 0 && read.r#in > 0 {
        return Err(nothing_read(&recipe.input, read));
    }
    held.end(ledger, ended, false, String::new(), writer, |report| card(recipe, plan, report))
}

fn card(recipe: &FromRows, plan: &RowsPlan, report: &Report) -> Card {
    let license = |key: &str| {
        let mut licenses: Vec<&str> = plan
            .sets
            .iter()
            .filter(|set| set.dataset.as_deref().is_none_or(|dataset| dataset == key))
            .filter_map(|set| set.license.as_deref())
            .collect();
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
