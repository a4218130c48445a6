//! Files as memory: mapped once, shared by all tensors in them, and given back page by page.

#![allow(unsafe_code)]

use std::fs::File;
use std::ops::{Deref, Range};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use instil::{Error, Result};
use memmap2::Mmap;

/// A file mapped for reading. A clone is the same map.
#[derive(Clone)]
pub(crate) struct Map {
    path: Arc<Path>,
    memory: Arc<Mmap>,
}

impl Map {
    /// Maps a whole file.
    ///
    /// # Errors
    /// When it can't be opened or mapped.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let trouble =
            |error: std::io::Error| Error::input(format!("{} can't be read", path.display())).because(error);
        let file = File::open(path).map_err(trouble)?;
        // SAFETY: the map is only read. Another program that cuts the file short while it is mapped ends
        // this one with a signal, and one that writes to it changes the weights, as with every program that
        // maps model files; neither reaches memory that isn't the file's.
        let memory = unsafe { Mmap::map(&file) }.map_err(trouble)?;
        Ok(Self { path: path.into(), memory: Arc::new(memory) })
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The map itself, for what outlives this handle.
    pub(crate) fn memory(&self) -> Arc<Mmap> {
        Arc::clone(&self.memory)
    }

    /// Tells the system that these bytes won't be read soon: their pages leave this process's resident memory,
    /// and come back from the file if they are read all the same.
    pub(crate) fn give_back(&self, range: Range<usize>) {
        #[cfg(unix)]
        {
            // Only pages that lie wholly inside: their neighbours may be in use.
            const PAGE: usize = 4096;
            let (start, end) = (range.start.next_multiple_of(PAGE), range.end / PAGE * PAGE);
            if start < end && end <= self.memory.len() {
                // SAFETY: the map is of a file, shared and read only, so that dropped pages are read again
                // from the file with the same content; nobody holds them as anything but plain bytes.
                let advised = unsafe {
                    self.memory.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, start, end - start)
                };
                // Advice that isn't taken costs memory, not correctness.
                advised.ok();
            }
        }
        #[cfg(not(unix))]
        drop(range);
    }
}

impl Deref for Map {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory
    }
}

/// The files' common folder or the file itself, for messages.
pub(crate) fn named(files: &[Map], path: &Path) -> PathBuf {
    match files {
        [one] => one.path().to_path_buf(),
        _ => path.to_path_buf(),
    }
}
