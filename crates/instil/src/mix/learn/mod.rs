//! Proportions that are learnt: what is asked for ([`Learn`]), what has to be run ([`study`]), what models answered
//! ([`answers`]), and what comes of it ([`evidence`]), told in words and a picture ([`report`], [`plot`]).
//!
//! This is COOKBOOK-MIX (spec/cookbook.md 3.2): a model is tuned on each source, from one base; all are asked about the
//! same items; how good each is gives the proportions, and with these the mix is drawn. Nothing here trains or asks a
//! model: a [`study::Study`] says which rows, which training and which questions, and whoever runs them hands the
//! answers back.

pub mod answers;
pub mod evidence;
pub mod plot;
pub mod report;
pub mod study;

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::proportions::Proportions;
use crate::error::{Error, Result};
use crate::recipe::{Cook, Train, misread};

/// The form of the file that this version reads.
const VERSION: u32 = 1;

/// How the worth of a source is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// From agreements of the tuned models, without labels: it ranks, and doesn't measure.
    #[default]
    LabelFree,
    /// From how often each tuned model is right about labelled items.
    Labelled,
    /// By a log-linear law, fitted on some mixed runs and labelled items.
    Law,
}

impl Mode {
    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::LabelFree => "label-free",
            Self::Labelled => "labelled",
            Self::Law => "law",
        }
    }
}

/// A file that says how proportions are learnt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Learn {
    /// The form of the file: 1.
    pub version: u32,
    /// A folder: the mix in `mix/`, the evidence beside it unless `page` is another folder, the runs in `runs/`.
    pub output: String,
    /// Another folder that gets the evidence: the page, the plot and all figures; none means `output`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub page: String,
    /// The model that every tuning begins from: a folder, or an id of the Hub.
    pub base: String,
    /// How the worth of a source is found.
    pub mode: Mode,
    /// Rows of the mix, and of each that it is compared with.
    pub rows: u64,
    /// Rows that each tuning run learns.
    pub tuning_rows: u64,
    /// Whether sources that are too small are gone through again and again.
    pub repeat: bool,
    /// The shape of the mix's rows.
    pub to: String,
    /// Decides every random choice.
    pub seed: u64,
    /// Seeds under which models are tuned on the mix and on those that it is compared with; none to leave that out.
    pub compare: Vec<u64>,
    /// Mixed runs that the law is fitted on, besides those of single sources; 0 means one more than sources.
    pub law_runs: usize,
    /// How worth becomes proportions.
    pub proportions: Proportions,
    /// What is mixed.
    pub source: Vec<Source>,
    /// What the mix is for.
    pub task: Vec<Task>,
    /// How models are tuned: the keys of `train`, but for input, output and model.
    pub train: Train,
}

impl Default for Learn {
    fn default() -> Self {
        Self {
            version: VERSION,
            output: String::new(),
            page: String::new(),
            base: String::new(),
            mode: Mode::default(),
            rows: 20_000,
            tuning_rows: 5_000,
            repeat: false,
            to: "prompt-completion".to_owned(),
            seed: 0,
            compare: Vec::new(),
            law_runs: 0,
            proportions: Proportions::default(),
            source: Vec::new(),
            task: Vec::new(),
            train: Train::default(),
        }
    }
}

/// One of the datasets that are mixed: rows that are there, or rows that `cook` makes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Source {
    /// What it is called.
    pub name: String,
    /// A file of rows, a dataset folder or a glob.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub input: String,
    /// What is cooked instead: the keys of `cook`, but for output and rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cook: Option<Cook>,
}

/// A task that the mix is for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Task {
    /// A benchmark by name, or its file; with `unlabelled: true` in it no row needs a right answer.
    pub benchmark: String,
    /// Its rows: files, or a folder to look in.
    pub data: Vec<String>,
    /// How many rows proportions are learnt on, the first ones.
    pub items: u64,
    /// How many of the rows after these the mixes are compared on.
    pub test_items: u64,
    /// How much it counts beside the other tasks.
    pub weight: f64,
    /// What stands around each prompt; none means what the benchmark says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wrap: Option<String>,
}

impl Default for Task {
    fn default() -> Self {
        Self {
            benchmark: String::new(),
            data: Vec::new(),
            items: 500,
            test_items: 0,
            weight: 1.0,
            wrap: None,
        }
    }
}

impl Learn {
    /// The folder that gets the evidence.
    pub fn page_folder(&self) -> &Path {
        Path::new(if self.page.is_empty() { &self.output } else { &self.page })
    }

    /// Reads a file.
    ///
    /// # Errors
    /// When it can't be read, is no TOML, has an unknown key, or [`check`](Self::check) refuses it.
    pub fn read(path: &Path) -> Result<Self> {
        let failed = || Error::input(format!("failed to read `{}`", path.display()));
        let text = std::fs::read_to_string(path).map_err(|e| failed().because(e))?;
        let learn: Self = toml::from_str(&text).map_err(|error| {
            let error = misread(&text, &error);
            let hint = error.hint().map(str::to_owned);
            let told = failed().because(error.to_string());
            match hint {
                Some(hint) => told.with_hint(hint),
                None => told,
            }
        })?;
        learn.check()?;
        Ok(learn)
    }

    /// Refuses what nothing can be learnt with, before anything is run.
    ///
    /// # Errors
    /// When it lacks what it needs, or settings contradict each other.
    pub fn check(&self) -> Result<()> {
        let usage = |message: String, hint: &str| Err(Error::usage(message).with_hint(hint.to_owned()));
        if self.version != VERSION {
            return usage(
                format!("version {} of the file is not known", self.version),
                "this instil reads version 1",
            );
        }
        if self.base.is_empty() {
            return usage(
                "no base model is named".to_owned(),
                "add `base = \"FOLDER\"`: what every tuning begins from",
            );
        }
        let (least, why) = match self.mode {
            Mode::LabelFree => {
                (3, "of two models it can be seen how often they agree, not which of them is right")
            }
            Mode::Labelled | Mode::Law => (2, "one source has nothing to be mixed with"),
        };
        if self.source.len() < least {
            return Err(Error::usage(format!(
                "there are {} sources, and the mode `{}` needs {least}",
                self.source.len(),
                self.mode.name()
            ))
            .because(why)
            .with_hint("add a `[[source]]`; with labelled tasks `mode = \"labelled\"` does with two"));
        }
        for (number, source) in self.source.iter().enumerate() {
            let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
            if source.name.is_empty() || !source.name.chars().all(is_name) {
                return usage(
                    format!("`{}` can't be the name of a source", source.name),
                    "a name is letters, digits, `_`, `-` and `.`",
                );
            }
            if self.source[..number].iter().any(|other| other.name == source.name) {
                return usage(
                    format!("two sources are called `{}`", source.name),
                    "give them different names",
                );
            }
            if source.input.is_empty() == source.cook.is_none() {
                return usage(
                    format!("the source `{}` needs `input` or `cook`, and not both", source.name),
                    "`input = \"rows.jsonl\"` names rows, `cook = { template = [\"lookup\"] }` makes some",
                );
            }
        }
        if self.task.is_empty() {
            return usage(
                "no task is named".to_owned(),
                "add a `[[task]]` with `benchmark` and `data`: what the mix is for",
            );
        }
        for task in &self.task {
            if task.benchmark.is_empty() || task.items == 0 || !(task.weight.is_finite() && task.weight > 0.0)
            {
                return usage(
                    format!("the task `{}` needs a benchmark, items and a weight above 0", task.benchmark),
                    "as in `benchmark = \"boolq\"`, `items = 500`, `weight = 1`",
                );
            }
            if !self.compare.is_empty() && task.test_items == 0 {
                return usage(
                    format!("the mixes are compared, and `{}` has no items for that", task.benchmark),
                    "add `test_items = 500`: the rows after those that proportions are learnt on",
                );
            }
        }
        if self.rows == 0 || self.tuning_rows == 0 {
            return usage(
                "a mix of no rows is asked for".to_owned(),
                "`rows` and `tuning_rows` are numbers from 1",
            );
        }
        let train = &self.train;
        if !train.input.is_empty()
            || !train.output.is_empty()
            || !train.model.is_empty()
            || train.new_model.is_some()
        {
            return usage(
                "`[train]` names rows, a model or an output".to_owned(),
                "leave them out: each run has its own rows, and all begin from `base`",
            );
        }
        self.proportions.check(self.source.len())
    }
}
