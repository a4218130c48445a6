//! What came in, went out and was not used, stage by stage: expected = out + rejects + errors + pending.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::parse::Repair;
use crate::reject::{Reason, Stage};
use crate::task::Task;

/// The counts of one stage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageCount {
    /// The stage's word.
    pub name: String,
    /// What the stage before gave out.
    pub r#in: u64,
    /// What this stage should make of it: its fan-out, summed.
    pub expected: u64,
    /// What it gave out.
    pub out: u64,
    /// What it did not use, by reason.
    pub rejects: BTreeMap<String, u64>,
    /// What failed and can be tried again.
    pub errors: u64,
    /// What was not reached: the run was interrupted.
    pub pending: u64,
}

impl StageCount {
    /// Everything expected that is neither out, rejected nor failed.
    fn open(&self) -> u64 {
        let settled = self.out + self.rejects.values().sum::<u64>() + self.errors;
        self.expected.checked_sub(settled).expect("a stage settles no more than it expected")
    }
}

/// What became of the rows of one dataset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetCount {
    /// Rows read.
    pub rows: u64,
    /// Examples that the rows drawn should make.
    pub expected: u64,
    /// Examples written.
    pub kept: u64,
    /// Tokens of the examples written, where they are counted.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tokens: u64,
    /// Examples written, by template.
    #[serde(default)]
    pub templates: BTreeMap<String, u64>,
    /// What was not used, by reason.
    pub rejects: BTreeMap<String, u64>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl SetCount {
    /// An example was made by this template.
    pub fn used(&mut self, template: &str) {
        match self.templates.get_mut(template) {
            Some(count) => *count += 1,
            None => drop(self.templates.insert(template.to_owned(), 1)),
        }
    }

    /// Something of this dataset was not used.
    pub fn reject(&mut self, reason: Reason) {
        *self.rejects.entry(reason.word().to_owned()).or_default() += 1;
    }
}

/// What became of one kind of task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindCount {
    /// Samples asked for.
    pub expected: u64,
    /// Examples written.
    pub kept: u64,
    /// Samples not used, by reason.
    pub rejects: BTreeMap<String, u64>,
    /// Samples whose call failed and can be tried again.
    pub errors: u64,
}

/// Tokens as the model counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// Of all prompts that were answered.
    pub prompt: u64,
    /// Of all completions.
    pub completion: u64,
}

/// The whole account of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// One entry a stage, in the order of the road.
    pub stages: Vec<StageCount>,
    /// By the short name of the kind.
    pub kinds: BTreeMap<String, KindCount>,
    /// By the key of the dataset, where rows have one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sets: BTreeMap<String, SetCount>,
    /// How often something was mended, by what.
    pub repairs: BTreeMap<String, u64>,
    /// How many rows lost a part that their new shape has no place for, by the part; keys without a place as
    /// `extra:KEY`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub losses: BTreeMap<String, u64>,
    /// Tokens, where the model counts them.
    pub tokens: Tokens,
}

impl Default for Ledger {
    fn default() -> Self {
        Self::of(&Stage::FROM_TEXT)
    }
}

impl Ledger {
    /// An empty account of a road of these stages.
    pub fn of(road: &[Stage]) -> Self {
        let stage = |stage: &Stage| StageCount { name: stage.name().to_owned(), ..StageCount::default() };
        Self {
            stages: road.iter().map(stage).collect(),
            kinds: BTreeMap::new(),
            sets: BTreeMap::new(),
            repairs: BTreeMap::new(),
            losses: BTreeMap::new(),
            tokens: Tokens::default(),
        }
    }

    /// The counts of a stage; nothing but zeros of one that isn't on this road.
    pub fn stage(&self, stage: Stage) -> &StageCount {
        static NONE: LazyLock<StageCount> = LazyLock::new(StageCount::default);
        self.stages.iter().find(|count| count.name == stage.name()).unwrap_or(&NONE)
    }

    fn stage_mut(&mut self, stage: Stage) -> &mut StageCount {
        let count = self.stages.iter_mut().find(|count| count.name == stage.name());
        count.expect("what is counted happens on this road")
    }

    /// Something came into `stage`, which should make `expected` of it.
    pub fn enter(&mut self, stage: Stage, expected: u64) {
        let count = self.stage_mut(stage);
        count.r#in += 1;
        count.expected += expected;
    }

    /// `stage` gave one thing out.
    pub fn leave(&mut self, stage: Stage) {
        self.stage_mut(stage).out += 1;
    }

    /// So many came into `stage`, each to become one, and so many of them went out.
    pub fn pass(&mut self, stage: Stage, entered: u64, left: u64) {
        let count = self.stage_mut(stage);
        count.r#in += entered;
        count.expected += entered;
        count.out += left;
    }

    /// So many were not used for this reason.
    pub fn reject_many(&mut self, reason: Reason, many: u64) {
        *self.stage_mut(reason.stage()).rejects.entry(reason.word().to_owned()).or_default() += many;
    }

    /// Something was not used; with the kind it was asked for, from the time one was, and the samples
    /// that this makes: a prompt that is too long is one prompt and all of its samples.
    pub fn reject(&mut self, reason: Reason, asked: Option<(&Task, u64)>) {
        *self.stage_mut(reason.stage()).rejects.entry(reason.word().to_owned()).or_default() += 1;
        if let Some((kind, samples)) = asked {
            *self.kind(kind).rejects.entry(reason.word().to_owned()).or_default() += samples;
        }
    }

    /// A call to the model failed for now.
    pub fn error(&mut self, kind: &Task) {
        self.stage_mut(Stage::Generate).errors += 1;
        self.kind(kind).errors += 1;
    }

    /// Something was mended.
    pub fn repair(&mut self, repair: Repair) {
        *self.repairs.entry(repair.word().to_owned()).or_default() += 1;
    }

    /// The counts of a kind.
    pub fn kind(&mut self, kind: &Task) -> &mut KindCount {
        if !self.kinds.contains_key(kind.short()) {
            self.kinds.insert(kind.short().to_owned(), KindCount::default());
        }
        self.kinds.get_mut(kind.short()).expect("it was put there above")
    }

    /// The counts of a dataset.
    pub fn set(&mut self, key: &str) -> &mut SetCount {
        if !self.sets.contains_key(key) {
            self.sets.insert(key.to_owned(), SetCount::default());
        }
        self.sets.get_mut(key).expect("it was put there above")
    }

    /// Examples written.
    pub fn kept(&self) -> u64 {
        self.stage(Stage::Write).out
    }

    /// Samples that were asked for and not kept, as a share of those asked for; 0 when none was.
    pub fn drop_share(&self) -> f64 {
        // A row that no template fits has no kind, but a dataset.
        let expected: u64 = match self.sets.is_empty() {
            true => self.kinds.values().map(|kind| kind.expected).sum(),
            false => self.sets.values().map(|set| set.expected).sum(),
        };
        if expected == 0 {
            return 0.0;
        }
        // Counts stay far below 2^53.
        1.0 - self.kept() as f64 / expected as f64
    }

    /// Counts what is still open as pending: the run has ended early.
    pub fn interrupt(&mut self) {
        for stage in &mut self.stages {
            stage.pending = stage.open();
        }
    }

    /// Whether every stage adds up and gets what the one before gave.
    pub fn closes(&self) -> bool {
        let sums = self.stages.iter().all(|stage| stage.open() == stage.pending);
        let links = self.stages.windows(2).all(|pair| pair[0].out == pair[1].r#in);
        sums && links
    }

    /// Every reason with its count, the most frequent first.
    pub fn rejects(&self) -> Vec<(Reason, u64)> {
        let count = |reason: &Reason| self.stage(reason.stage()).rejects.get(reason.word()).copied();
        let mut found: Vec<_> =
            Reason::ALL.iter().filter_map(|reason| Some((*reason, count(reason)?))).collect();
        found.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        found
    }
}
