//! `train` on disk: what is read to be learnt, and the folder that holds what came of it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Existing;
use super::existing::remove;
use crate::convert::Severity;
use crate::convert::supervise::{Frame, Part, Supervised, supervise};
use crate::error::{Error, Result};
use crate::pipeline::convert::check_files;
use crate::recipe::{Recipe, Step, Train};
use crate::sink::write_whole;
use crate::source;

/// What was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Material {
    /// What a model reads, in the order of the rows.
    pub examples: Vec<Supervised>,
    /// Rows or documents that were read.
    pub rows: u64,
    /// Rows that can't be learnt, by the word for the reason.
    pub not_used: BTreeMap<String, u64>,
    /// The first row of each reason: where it stands and what is wrong.
    pub first: BTreeMap<String, String>,
}

impl Material {
    /// Counts a row that can't be learnt.
    pub fn refuse(&mut self, reason: &str, what: impl FnOnce() -> String) {
        *self.not_used.entry(reason.to_owned()).or_default() += 1;
        self.first.entry(reason.to_owned()).or_insert_with(what);
    }
}

/// Reads the rows of a recipe; with no `frame`, documents that are learnt whole.
///
/// # Errors
/// When an input is missing or can't be read, or a file's shape is not known.
pub fn material(recipe: &Train, frame: Option<&Frame>) -> Result<Material> {
    let mut material = Material::default();
    let limit = recipe.limit.unwrap_or(u64::MAX);
    let Some(frame) = frame else {
        let documents = source::open(source::resolve(&recipe.input)?, &source::Options::default())?;
        for read in documents.take(usize::try_from(limit).unwrap_or(usize::MAX)) {
            material.rows += 1;
            match read {
                Ok(document) => {
                    let parts = vec![Part { text: document.text, is_learnt: true }];
                    material.examples.push(Supervised { parts, has_ends: true });
                }
                Err(reject) => material.refuse(reject.reason.word(), || {
                    let row = reject.origin.row.map_or(String::new(), |row| format!(" row {row}"));
                    format!("{}{row}", reject.origin.source)
                }),
            }
        }
        return Ok(material);
    };
    for input in &recipe.input {
        let left = limit - material.rows.min(limit);
        check_files(input, recipe.from.as_deref(), left, &mut |checked| {
            material.rows += 1;
            let place = || {
                let row = checked.origin.row.map_or(String::new(), |row| format!(" row {row}"));
                format!("{}{row}", checked.origin.source)
            };
            let error = checked.findings.iter().find(|finding| finding.severity() == Severity::Error);
            if let Some(error) = error {
                material.refuse(error.code, || format!("{}: {}", place(), error.message));
                return;
            }
            for record in &checked.records {
                match supervise(record, frame) {
                    Ok(example) => material.examples.push(example),
                    Err(misfit) => {
                        material.refuse(misfit.reason.word(), || format!("{}: {misfit}", place()));
                    }
                }
            }
        })?;
    }
    Ok(material)
}

/// `run/report.json` of a training.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainReport {
    /// Whether every step was made and the result is whole.
    pub finished: bool,
    /// Rows or documents that were read.
    pub rows: u64,
    /// Examples that are learnt.
    pub examples: u64,
    /// Examples that are measured.
    pub validation_examples: u64,
    /// Rows that can't be learnt, by reason.
    pub not_used: BTreeMap<String, u64>,
    /// Tokens of the examples that are learnt.
    pub tokens: u64,
    /// Of them those that the loss counts.
    pub learnt_tokens: u64,
    /// Numbers that are trained.
    pub trained: u64,
    /// Steps that were made.
    pub steps: u64,
    /// The mean loss of the last steps, a tenth of all, in nats a token.
    pub loss: Option<f64>,
    /// The loss of the validation examples at the end, in nats a token.
    pub validation_loss: Option<f64>,
    /// Seconds of this start.
    pub seconds: f64,
    /// [`Step::hash`].
    pub recipe_hash: String,
    /// What inputs and model were.
    pub inputs: String,
}

/// The folder of a training, which no other process can take.
pub struct TrainFolder {
    output: PathBuf,
    _lock: File,
}

/// What is found when a training begins.
pub enum TrainBegun {
    /// It is whole already.
    Finished(TrainReport),
    /// There is something to do.
    Open(TrainFolder),
}

/// What stands beside `run/` in the folder of a training that is to be begun anew.
const MADE: [&str; 8] = [
    "adapter_config.json",
    "adapter_model.safetensors",
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "README.md",
];

impl TrainFolder {
    /// Takes the folder `recipe.output`: decides about what is there, and writes the recipe. `inputs` says what rows and
    /// model are.
    ///
    /// # Errors
    /// When the folder holds what instil did not make or another recipe's result, another process is at it, or it can't
    /// be written.
    pub fn begin(recipe: &Train, existing: Existing, inputs: &str) -> Result<TrainBegun> {
        let output = PathBuf::from(&recipe.output);
        let run = output.join("run");
        let step = Step::from(recipe.clone());
        let shown = recipe.output.as_str();
        let failed = |e| Error::output(format!("failed to write `{}`", run.display())).because(e);
        let settled = run.join("recipe.toml");
        // A training that was killed before its lock was there leaves an empty `run`.
        let is_of_us = |entry: fs::DirEntry| {
            entry.path() == run && fs::read_dir(&run).is_ok_and(|mut inside| inside.next().is_none())
        };
        let is_empty = fs::read_dir(&output).map_or(true, |entries| entries.flatten().all(is_of_us));
        if !settled.exists() && !is_empty && !run.join("lock").exists() {
            return Err(Error::output(format!(
                "`{shown}` is there already, and no training of instil made it"
            ))
            .with_hint("name another output: instil replaces only what it has made"));
        }
        fs::create_dir_all(&run).map_err(failed)?;
        let lock = File::create(run.join("lock")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::Error(e)) => return Err(failed(e)),
            Err(fs::TryLockError::WouldBlock) => {
                return Err(Error::output(format!("another process is training `{shown}`"))
                    .with_hint("wait for it, or name another output"));
            }
        }
        let folder = Self { output, _lock: lock };
        if settled.exists() {
            if existing == Existing::Overwrite {
                folder.clear()?;
            } else if folder.report().is_some() || run.join("checkpoints").exists() {
                let there = Recipe::read(&settled)?;
                let differences = there.step.first().map_or_else(Vec::new, |there| step.differences(there));
                let report = folder.report();
                let is_other = report.as_ref().is_some_and(|report| report.inputs != inputs);
                if !differences.is_empty() || is_other {
                    let why = if is_other && differences.is_empty() {
                        "its rows or its model were others".to_owned()
                    } else {
                        differences.join("; ")
                    };
                    return Err(Error::output(format!("`{shown}` was trained by another recipe"))
                        .because(why)
                        .with_hint("--overwrite begins anew; or name another output"));
                }
                if let Some(report) = report.filter(|report| report.finished) {
                    return Ok(TrainBegun::Finished(report));
                }
            }
        }
        write_whole(&settled, Recipe::of(step).to_toml().as_bytes())?;
        Ok(TrainBegun::Open(folder))
    }

    fn clear(&self) -> Result<()> {
        for name in MADE {
            remove(&self.output.join(name))?;
        }
        let entries = fs::read_dir(self.run()).into_iter().flatten().flatten();
        entries.filter(|entry| entry.file_name() != "lock").try_for_each(|entry| remove(&entry.path()))
    }

    fn report(&self) -> Option<TrainReport> {
        serde_json::from_slice(&fs::read(self.run().join("report.json")).ok()?).ok()
    }

    /// The folder of recipe, report, log and checkpoints.
    pub fn run(&self) -> PathBuf {
        self.output.join("run")
    }

    /// The folder that the result goes to.
    pub fn output(&self) -> &Path {
        &self.output
    }

    /// A folder for what is not whole, empty.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn partial(&self) -> Result<PathBuf> {
        let partial = self.run().join("partial");
        remove(&partial)?;
        fs::create_dir_all(&partial)
            .map_err(|e| Error::output(format!("failed to write `{}`", partial.display())).because(e))?;
        Ok(partial)
    }

    /// Puts the files of [`partial`](Self::partial) in their places, those that say that a result is there last.
    ///
    /// # Errors
    /// When one can't be moved.
    pub fn publish(&self) -> Result<()> {
        let partial = self.run().join("partial");
        let mut names: Vec<_> =
            fs::read_dir(&partial).into_iter().flatten().flatten().map(|entry| entry.file_name()).collect();
        names.sort_by_key(|name| (name == "config.json" || name == "adapter_config.json", name.clone()));
        for name in names {
            let (from, to) = (partial.join(&name), self.output.join(&name));
            fs::rename(&from, &to)
                .map_err(|e| Error::output(format!("failed to write `{}`", to.display())).because(e))?;
        }
        remove(&partial)
    }

    /// Writes the report; of a finished training the checkpoints are removed.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn end(&self, report: &TrainReport) -> Result<()> {
        let text = serde_json::to_vec_pretty(report).expect("a report is plain values");
        write_whole(&self.run().join("report.json"), &text)?;
        if report.finished {
            remove(&self.run().join("checkpoints"))?;
            remove(&self.run().join("moments"))?;
        }
        Ok(())
    }
}
