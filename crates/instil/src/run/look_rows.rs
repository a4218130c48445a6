//! A look at a recipe of `apply` or `remix` that costs nothing: its files, templates and first examples.

use std::sync::Arc;

use super::rows_plan::RowsPlan;
use crate::error::Result;
use crate::pipeline::from_rows::preview;
use crate::recipe::FromRows;
use crate::record::Example;
use crate::reject::Reject;
use crate::source::SourceFile;

/// What a plan would do, as far as the first rows show.
pub struct LookRows {
    /// The files that would be read.
    pub files: Vec<SourceFile>,
    /// Each dataset that has templates: its key and how many.
    pub templates: Vec<(Arc<str>, usize)>,
    /// Templates that can't be used, and why.
    pub unusable: Vec<String>,
    /// The first examples.
    pub examples: Vec<Example>,
    /// What was not used before them.
    pub rejects: Vec<Reject>,
}

/// Looks at a recipe: reads as many rows of each input as it takes to show one example, up to `most`
/// examples. Nothing is written.
///
/// # Errors
/// As [`RowsPlan::of`] and [`Set::rows`](super::Set::rows).
pub fn look_rows(recipe: &FromRows, most: usize) -> Result<LookRows> {
    // Counting all rows for a cap is for the run.
    let plan = RowsPlan::of(&FromRows { cap: None, ..recipe.clone() })?;
    let mut templates: Vec<_> =
        plan.road.templates.iter().map(|(key, templates)| (Arc::clone(key), templates.len())).collect();
    templates.sort();
    let mut look = LookRows {
        files: plan.files().cloned().collect(),
        templates,
        unusable: plan.unusable.clone(),
        examples: Vec::new(),
        rejects: Vec::new(),
    };
    'sets: for set in &plan.sets {
        for row in set.rows()?.take(LOOKED_AT) {
            let before = look.examples.len();
            for made in preview(&plan.road, row, 0) {
                if look.examples.len() == most {
                    break 'sets;
                }
                match made {
                    Ok(example) => look.examples.push(example),
                    Err(reject) => look.rejects.push(reject),
                }
            }
            if look.examples.len() > before {
                break;
            }
        }
    }
    Ok(look)
}

/// The most rows of an input that are looked at in search of an example.
const LOOKED_AT: usize = 100;
