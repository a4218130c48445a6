//! A training on disk, from which it goes on to the same bits.
//!
//! A checkpoint is a folder `step-00000100`: `weights.safetensors` has the trained tensors by name, `moments.safetensors`
//! the optimiser's two, and `state.json` the step and what the training is of. It is written beside and renamed, so
//! that whatever is there under such a name is whole.

use std::fs;
use std::path::{Path, PathBuf};

use instil::{Error, Result};
use serde::{Deserialize, Serialize};

use super::optimizer::Optimizer;
use super::parameters::Parameters;
use super::save::{self, Named, unwritten};

/// What stands in `state.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    /// Steps that were made.
    pub(super) step: usize,
    /// A hash of everything that decides the bits: weights, examples, settings.
    pub(super) training: String,
}

const HEAD: &str = "step-";
const PARTIAL: &str = "partial-checkpoint";

/// Writes a checkpoint below `folder` and removes all but the newest `keep`.
///
/// # Errors
/// When it can't be written; older ones stay.
pub(super) fn write(
    folder: &Path,
    state: &State,
    parameters: &Parameters,
    optimizer: &Optimizer,
    keep: usize,
) -> Result<PathBuf> {
    let partial = folder.join(PARTIAL);
    if partial.exists() {
        fs::remove_dir_all(&partial).map_err(|error| unwritten(&partial, error))?;
    }
    fs::create_dir_all(&partial).map_err(|error| unwritten(&partial, error))?;
    let done = written(&partial, state, parameters, optimizer).and_then(|()| {
        let path = folder.join(format!("{HEAD}{:08}", state.step));
        if path.exists() {
            // Of a training that was begun anew.
            fs::remove_dir_all(&path).map_err(|error| unwritten(&path, error))?;
        }
        fs::rename(&partial, &path).map_err(|error| unwritten(&path, error))?;
        sync(folder)?;
        Ok(path)
    });
    if done.is_err() {
        // What is half written is of no use, and may be what fills the disk.
        fs::remove_dir_all(&partial).ok();
    }
    let path = done?;
    let all = found(folder)?;
    let older = all.iter().filter(|(step, _)| *step <= state.step).rev().skip(keep.max(1));
    for (_, path) in older {
        fs::remove_dir_all(path).map_err(|error| unwritten(path, error))?;
    }
    Ok(path)
}

fn written(folder: &Path, state: &State, parameters: &Parameters, optimizer: &Optimizer) -> Result<()> {
    let weights: Vec<Named<'_>> = parameters
        .table
        .iter()
        .map(|of| (of.name.as_str(), of.shape.as_slice(), &parameters.weights[of.range.clone()]))
        .collect();
    save::safetensors(&folder.join("weights.safetensors"), &weights)?;
    let len = [parameters.weights.len()];
    let moments: [Named<'_>; 2] = [("first", &len, &optimizer.first), ("second", &len, &optimizer.second)];
    save::safetensors(&folder.join("moments.safetensors"), &moments)?;
    let path = folder.join("state.json");
    let text = serde_json::to_vec_pretty(state).unwrap_or_default();
    fs::write(&path, text).map_err(|error| unwritten(&path, error))?;
    fs::File::open(&path).and_then(|file| file.sync_all()).map_err(|error| unwritten(&path, error))?;
    sync(folder)
}

/// Has a folder's entries on the disk.
fn sync(folder: &Path) -> Result<()> {
    #[cfg(unix)]
    fs::File::open(folder).and_then(|file| file.sync_all()).map_err(|error| unwritten(folder, error))?;
    Ok(())
}

/// The checkpoints below a folder, oldest first.
fn found(folder: &Path) -> Result<Vec<(usize, PathBuf)>> {
    let trouble =
        |error: std::io::Error| Error::input(format!("{} can't be read", folder.display())).because(error);
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(trouble(error)),
    };
    let mut all = Vec::new();
    for entry in entries {
        let path = entry.map_err(trouble)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Some(step) = name.strip_prefix(HEAD).and_then(|step| step.parse().ok()) {
            all.push((step, path));
        }
    }
    all.sort();
    Ok(all)
}

/// Reads the newest checkpoint below a folder; none where there is none.
///
/// # Errors
/// When it can't be read, or is of another training than the one with this hash.
pub(super) fn read(
    folder: &Path,
    training: &str,
    parameters: &mut Parameters,
    optimizer: &mut Optimizer,
) -> Result<Option<usize>> {
    let Some((_, path)) = found(folder)?.pop() else { return Ok(None) };
    let file = path.join("state.json");
    let trouble = || Error::input(format!("{} can't be read", file.display()));
    let bytes = fs::read(&file).map_err(|error| trouble().because(error))?;
    let state: State = serde_json::from_slice(&bytes).map_err(|error| trouble().because(error))?;
    if state.training != training {
        return Err(Error::input(format!("{} is of another training", path.display()))
            .because("its weights, examples or settings are others")
            .with_hint("go on with the same ones, or begin anew in another folder"));
    }
    let Parameters { table, weights } = parameters;
    let mut rest = weights.as_mut_slice();
    let mut all = Vec::with_capacity(table.len());
    for parameter in table.iter() {
        let (own, others) = rest.split_at_mut(parameter.range.len());
        all.push((parameter.name.as_str(), own));
        rest = others;
    }
    save::read(&path.join("weights.safetensors"), &mut all)?;
    let mut moments = [("first", &mut *optimizer.first), ("second", &mut *optimizer.second)];
    save::read(&path.join("moments.safetensors"), &mut moments)?;
    optimizer.steps = state.step;
    Ok(Some(state.step))
}
