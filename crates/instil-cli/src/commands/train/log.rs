//! What stands of a training beside its report: a line for each step, and the curve.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;

use instil::chart::{self, Curve};
use instil::run::TrainFolder;
use instil::{Error, Result};
use instil_model::train::{Event, Step};
use serde_json::{Value, json};

/// `run/log.jsonl`: a line for each step and each measurement. What was logged after the checkpoint that a training goes
/// on from is dropped.
pub(super) struct Log {
    path: PathBuf,
    losses: Vec<(usize, f64)>,
    validation: Vec<(usize, f64)>,
}

impl Log {
    pub(super) fn open(folder: &TrainFolder) -> Result<Self> {
        let path = folder.run().join("log.jsonl");
        let mut log = Self { path, losses: Vec::new(), validation: Vec::new() };
        // A training that begins anew, unless a checkpoint says otherwise: one that is whole, and not what a kill left.
        let entries = fs::read_dir(folder.run().join("checkpoints"));
        let is_whole = |name: std::ffi::OsString| name.to_string_lossy().starts_with("step-");
        if !entries.is_ok_and(|mut all| all.any(|entry| entry.is_ok_and(|entry| is_whole(entry.file_name()))))
        {
            log.keep(0)?;
        }
        Ok(log)
    }

    /// Keeps the lines of the first `steps` steps.
    fn keep(&mut self, steps: usize) -> Result<()> {
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        let mut kept = String::new();
        self.losses.clear();
        self.validation.clear();
        for line in text.lines() {
            let Ok(row) = serde_json::from_str::<Value>(line) else { continue };
            let step = row["step"].as_u64().unwrap_or(u64::MAX) as usize;
            if step > steps {
                continue;
            }
            if let Some(loss) = row["loss"].as_f64() {
                self.losses.push((step, loss));
            }
            if let Some(loss) = row["validation_loss"].as_f64() {
                self.validation.push((step, loss));
            }
            let _ = writeln!(kept, "{line}");
        }
        fs::write(&self.path, kept).map_err(|e| self.failed(e))
    }

    pub(super) fn event(&mut self, event: &Event<'_>) -> Result<()> {
        let row = match event {
            Event::Resumed(steps) => return self.keep(*steps),
            Event::Step(step) => {
                let Step { step, epoch, loss, learning_rate, grad_norm, tokens, targets, seconds, .. } =
                    *step;
                self.losses.push((step, loss));
                json!({
                    "step": step, "epoch": epoch, "loss": loss, "learning_rate": learning_rate,
                    "grad_norm": grad_norm, "tokens": tokens, "targets": targets, "seconds": seconds,
                })
            }
            Event::Validated { step, loss } => {
                self.validation.push((*step, *loss));
                json!({"step": step, "validation_loss": loss})
            }
            Event::Kept(_) => return Ok(()),
        };
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path)
            .and_then(|mut file| writeln!(file, "{row}"))
            .map_err(|e| self.failed(e))
    }

    fn failed(&self, e: std::io::Error) -> Error {
        Error::output(format!("failed to write `{}`", self.path.display())).because(e)
    }

    /// The mean loss of the last tenth of all steps.
    pub(super) fn last_loss(&self) -> Option<f64> {
        let last = &self.losses[self.losses.len() - self.losses.len().div_ceil(10)..];
        (!last.is_empty()).then(|| last.iter().map(|(_, loss)| loss).sum::<f64>() / last.len() as f64)
    }

    /// `run/loss.svg`: the loss over the steps, as means of a hundredth of them each, and that of the validation examples.
    pub(super) fn draw(&self) -> Result<()> {
        let each = self.losses.len().div_ceil(100).max(1);
        let mean = |some: &[(usize, f64)]| {
            let last = some.last().map_or(0, |(step, _)| *step);
            (last as f64, some.iter().map(|(_, loss)| loss).sum::<f64>() / some.len() as f64)
        };
        let mut curves =
            vec![Curve { name: "learnt".to_owned(), points: self.losses.chunks(each).map(mean).collect() }];
        if !self.validation.is_empty() {
            let points = self.validation.iter().map(|(step, loss)| (*step as f64, *loss)).collect();
            curves.push(Curve { name: "held out".to_owned(), points });
        }
        if self.losses.is_empty() {
            return Ok(());
        }
        chart::write(&self.path.with_file_name("loss.svg"), "Loss", "step", "nats a token", &curves)
    }
}
