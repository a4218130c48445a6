//! The last step of a run: finished files take their places.
//!
//! Every file is whole and on the disk before the first is moved, each is moved by one `rename`, and
//! the card, which makes a folder a dataset, goes first when it is an old one and comes last when it
//! is the new one. A run that is stopped in between leaves a folder without a card; the same run
//! done again ends in the same bytes, for it writes all files anew and removes shards that aren't its own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::file::failed;
use crate::error::Result;

/// What is done to the folder, in order.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
}

/// One change of the folder; none leaves a half-written file.
#[derive(Debug)]
pub(super) enum Step {
    /// Removes a file, if it is there.
    Remove(PathBuf),
    /// Makes a folder, if it isn't there.
    Folder(PathBuf),
    /// Moves a file, over the one that is there.
    Move { from: PathBuf, to: PathBuf },
    /// Removes the folder of unfinished files.
    Clear(PathBuf),
    /// Brings a folder's names to the disk.
    Sync(PathBuf),
}

impl Plan {
    pub(super) fn add(&mut self, step: Step) {
        self.steps.push(step);
    }

    pub(super) fn run(&self) -> Result<()> {
        self.steps.iter().try_for_each(Step::run)
    }
}

impl Step {
    pub(super) fn run(&self) -> Result<()> {
        match self {
            Self::Remove(path) => {
                missing_is_fine(fs::remove_file(path)).map_err(|error| failed("remove", path, error))
            }
            Self::Folder(path) => make_folder(path),
            Self::Move { from, to } => {
                fs::rename(from, to).map_err(|error| failed("put the finished file in its place", to, error))
            }
            Self::Clear(path) => clear(path),
            Self::Sync(path) => sync(path).map_err(|error| failed("write the folder", path, error)),
        }
    }
}

/// Makes a folder and those above it.
pub(super) fn make_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|error| failed("make the folder", path, error))
}

/// Removes a folder and what is in it.
pub(super) fn clear(path: &Path) -> Result<()> {
    missing_is_fine(fs::remove_dir_all(path)).map_err(|error| failed("clear the folder", path, error))
}

fn missing_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

#[cfg(unix)]
fn sync(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

/// Elsewhere a folder can't be opened as a file; its names reach the disk in time.
#[cfg(not(unix))]
fn sync(_: &Path) -> io::Result<()> {
    Ok(())
}
