//! What became of each row, counted and written.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Came, Copy, MadeExample};
use crate::error::Result;
use crate::ledger::Ledger;
use crate::record::Role;
use crate::reject::{Reason, Reject, Stage};
use crate::shuffle::Shuffle;
use crate::sink::Writer;

/// What is counted, and where it goes.
pub(super) struct Account<'a> {
    pub(super) ledger: Ledger,
    /// The hashes of what was written, to tell what comes again; none where the published construction is
    /// followed, which doesn't ask.
    pub(super) seen: Option<HashSet<u64>>,
    pub(super) shuffle: Option<Shuffle>,
    pub(super) writer: &'a mut Writer,
}

impl Account<'_> {
    /// Counts what became of an item, and writes it.
    pub(super) fn settle(&mut self, came: Came) -> Result<()> {
        self.ledger.enter(Stage::Read, 1);
        let (dataset, copies) = match came {
            Came::Unread(reject) => {
                self.ledger.reject(reject.reason, None);
                return self.writer.reject(&reject);
            }
            Came::Row { dataset, copies } => (dataset, copies),
        };
        self.ledger.leave(Stage::Read);
        self.ledger.set(&dataset).rows += 1;
        self.ledger.enter(Stage::Draw, copies.len().max(1) as u64);
        if copies.is_empty() {
            // The rows that were not drawn may be millions; they are counted, and stand in their source.
            self.ledger.reject(Reason::NotDrawn, None);
            self.ledger.set(&dataset).reject(Reason::NotDrawn);
            return Ok(());
        }
        for copy in copies {
            self.ledger.leave(Stage::Draw);
            self.ledger.enter(Stage::Lift, 1);
            let made = match copy {
                Copy::NotLifted(reject) => {
                    self.ledger.set(&dataset).expected += 1;
                    self.refuse(&dataset, &reject)?;
                    continue;
                }
                Copy::Made(made) => made,
            };
            self.ledger.leave(Stage::Lift);
            self.ledger.enter(Stage::Template, made.len() as u64);
            for made in made {
                self.ledger.set(&dataset).expected += 1;
                match made {
                    Ok(made) => self.keep(&dataset, made)?,
                    Err(reject) => {
                        self.travel(reject.reason.stage());
                        if let Some(task) = &reject.task {
                            self.ledger.kind(task).expected += 1;
                        }
                        self.refuse(&dataset, &reject)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Counts the stages that a rendering passed before it came to its end in `end`.
    fn travel(&mut self, end: Stage) {
        for stage in [Stage::Template, Stage::Parse, Stage::Check] {
            if stage != Stage::Template {
                self.ledger.enter(stage, 1);
            }
            if stage == end {
                return;
            }
            self.ledger.leave(stage);
        }
        self.ledger.enter(Stage::Write, 1);
    }

    fn refuse(&mut self, dataset: &str, reject: &Reject) -> Result<()> {
        self.ledger.reject(reject.reason, reject.task.as_ref().map(|task| (task, 1)));
        self.ledger.set(dataset).reject(reject.reason);
        self.writer.reject(reject)
    }

    fn keep(&mut self, dataset: &str, made: MadeExample) -> Result<()> {
        let MadeExample { example, split, hash } = made;
        self.ledger.kind(&example.task).expected += 1;
        // A row that is to be taken several times may well come to the same.
        let is_new = self.seen.as_mut().is_none_or(|seen| seen.insert(hash)) || example.provenance.sample > 0;
        if !is_new {
            self.travel(Reason::Duplicate.stage());
            let made = &example.provenance;
            let reject = Reject {
                reason: Reason::Duplicate,
                origin: made.origin.clone(),
                document: Some(Arc::clone(&made.document)),
                span: None,
                task: Some(example.task.clone()),
                sample: None,
                raw: format!("template `{}`: {}", made.template, example.first(Role::User)),
            };
            return self.refuse(dataset, &reject);
        }
        self.travel(Stage::Write);
        self.ledger.leave(Stage::Write);
        self.ledger.set(dataset).kept += 1;
        self.ledger.set(dataset).used(&example.provenance.template);
        self.ledger.kind(&example.task).kept += 1;
        match &mut self.shuffle {
            Some(shuffle) => {
                shuffle.push(&serde_json::to_vec(&(split, &*example)).expect("an example is plain values"))
            }
            None => self.writer.example(&example, split),
        }
    }
}
