//! Rows that come rendered: a prompt and a completion, and the name of the template that made them.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value};

use super::engine::Options;
use super::lift::{Ambiguity, LiftFault, Lifted, Lifter, Unliftable};
use super::{Collection, Template};
use crate::record::Row;
use crate::reject::Reason;
use crate::source::adapter::RenderedColumns;

/// The templates of a collection, each turned round when the first row needs it.
pub struct Lifters(HashMap<Arc<str>, HashMap<String, Slot>>);

struct Slot {
    template: Template,
    /// The templates of the same dataset, which tell what kinds of values its fields hold.
    siblings: Arc<[Template]>,
    whole: OnceLock<Result<Lifter, Unliftable>>,
    cut: OnceLock<Result<Lifter, Unliftable>>,
}

/// What a rendered row tells of the row that it was rendered from.
pub struct Unrendered {
    /// The fields that are known.
    pub fields: Map<String, Value>,
    /// A whole row that renders to the same text with the template that the text came from.
    pub witness: Option<Witness>,
}

/// A row that renders to a given text with one template. Of what that template doesn't show, some is made up.
pub struct Witness {
    /// The name of the template.
    pub template: String,
    /// The row.
    pub fields: Map<String, Value>,
    /// What each `choice` has to draw, in the order of rendering.
    pub draws: Vec<usize>,
    /// The fields in which another row that renders to the same text may differ.
    pub unsure: Vec<String>,
}

impl Lifters {
    /// The templates of a collection.
    pub fn of(collection: &Collection) -> Self {
        let mut lifters = HashMap::<Arc<str>, HashMap<String, Slot>>::new();
        for (key, templates) in collection.by_dataset() {
            let siblings: Arc<[Template]> = templates.into();
            let slots = templates.iter().map(|template| {
                let (whole, cut) = (OnceLock::new(), OnceLock::new());
                let slot = Slot { template: template.clone(), siblings: Arc::clone(&siblings), whole, cut };
                (template.name.clone(), slot)
            });
            lifters.insert(Arc::clone(key), slots.collect());
        }
        Self(lifters)
    }

    /// What the template of a rendered row shows of its fields. It is read backwards as a template that shows
    /// its fields whole, and where that fails as one that cuts them, as the published package does.
    ///
    /// # Errors
    /// Why there are none: the reason, and one line of detail.
    pub fn lift(&self, row: &Row, columns: RenderedColumns) -> Result<Unrendered, (Reason, String)> {
        let text = |column: &str| row.fields.get(column).and_then(Value::as_str).unwrap_or_default();
        let (name, dataset) = (text(columns.template), row.dataset.as_deref().unwrap_or_default());
        let slot = self
            .0
            .get(dataset)
            .and_then(|templates| templates.get(name))
            .ok_or_else(|| (Reason::UnknownTemplate, format!("`{name}` of `{dataset}`")))?;
        let (prompt, completion) = (text(columns.prompt), text(columns.completion));
        let by = |lifter: &OnceLock<Result<Lifter, Unliftable>>, truncate| {
            let new = || Lifter::new(&slot.template, Options { truncate });
            let lifter = lifter.get_or_init(|| new().map(|lifter| lifter.beside(slot.siblings.iter())));
            let lifter = lifter.as_ref().map_err(|why| {
                (Reason::Unliftable, format!("`{name}` of `{dataset}`: {}, line {}", why.construct, why.line))
            })?;
            let witness = |lifted: Lifted, unsure| {
                let Lifted { row: fields, draws, .. } = lifted;
                Some(Witness { template: name.to_owned(), fields, draws, unsure })
            };
            let told = match lifter.lift(prompt, completion) {
                Ok(lifted) => Ok(Unrendered { fields: lifted.known(), witness: witness(lifted, Vec::new()) }),
                Err(LiftFault::Ambiguous(ambiguity)) if ambiguity.complete => {
                    let Ambiguity { fields, agreed, witness: lifted, .. } = *ambiguity;
                    Ok(Unrendered { fields: agreed, witness: witness(lifted, fields) })
                }
                Err(fault) => Err(fault),
            };
            told.map_err(|fault| {
                let reason = match fault {
                    LiftFault::Ambiguous(_) => Reason::Ambiguous,
                    LiftFault::TooHard { .. } => Reason::Unliftable,
                    LiftFault::NoMatch { .. }
                    | LiftFault::Contradiction { .. }
                    | LiftFault::Differs { .. } => Reason::NotLifted,
                };
                (reason, format!("`{name}` of `{dataset}`: {fault}"))
            })
        };
        by(&slot.whole, false).or_else(|fault| by(&slot.cut, true).map_err(|_| fault))
    }
}
