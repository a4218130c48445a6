//! Numbers in memory, or in a file that is mapped: an optimiser's moments are two numbers a weight, and are touched once a
//! step.

#![allow(unsafe_code)]

use std::fs::OpenOptions;
use std::ops::{Deref, DerefMut};
use std::path::Path;

use instil::{Error, Result};
use memmap2::MmapMut;

/// Zeros at first.
pub(super) enum Buffer {
    Memory(Vec<f32>),
    File(MmapMut),
}

impl Buffer {
    /// In memory.
    pub(super) fn new(len: usize) -> Self {
        Self::Memory(vec![0.0; len])
    }

    /// In a file at this path, which is made anew. Its content is of no use to another run.
    ///
    /// # Errors
    /// When it can't be made or mapped.
    pub(super) fn in_file(path: &Path, len: usize) -> Result<Self> {
        let trouble =
            |error: std::io::Error| Error::output(format!("{} can't be made", path.display())).because(error);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)
            .map_err(trouble)?;
        if len == 0 {
            return Ok(Self::new(0));
        }
        file.set_len((len * size_of::<f32>()) as u64).map_err(trouble)?;
        // SAFETY: the file was made here and is this run's; another program that cuts it short ends this one with a signal,
        // and reaches no memory that isn't the file's.
        unsafe { MmapMut::map_mut(&file) }.map(Self::File).map_err(trouble)
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match self {
            Self::Memory(numbers) => numbers,
            // SAFETY: a map begins at a page, all its bytes are there, and every four bytes are an f32.
            Self::File(map) => unsafe { std::slice::from_raw_parts(map.as_ptr().cast(), map.len() / 4) },
        }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        match self {
            Self::Memory(numbers) => numbers,
            // SAFETY: as above, and the map is borrowed alone.
            Self::File(map) => unsafe {
                std::slice::from_raw_parts_mut(map.as_mut_ptr().cast(), map.len() / 4)
            },
        }
    }
}
