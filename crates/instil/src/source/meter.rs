//! How much of the files on disk has been read, for whoever shows progress.

use std::fs::File;
use std::io::Seek as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Items between two looks at how far a file is read.
const ITEMS_PER_LOOK: u64 = 256;

/// A file that is being read.
pub(super) struct Position {
    /// Its size on disk.
    pub(super) bytes: u64,
    /// The open file, which shares its position with the reader; none for a pipe.
    pub(super) file: Option<File>,
}

impl Position {
    fn read(&self) -> u64 {
        self.file.as_ref().and_then(|mut file| file.stream_position().ok()).unwrap_or(0).min(self.bytes)
    }
}

/// Counts the bytes of files that are read one after the other.
#[derive(Default)]
pub(super) struct Meter {
    finished: u64,
    items: u64,
    read_bytes: Arc<AtomicU64>,
}

impl Meter {
    pub(super) fn read_bytes(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.read_bytes)
    }

    /// Another item of the file is read.
    pub(super) fn step(&mut self, position: &Position) {
        self.items += 1;
        if self.items.is_multiple_of(ITEMS_PER_LOOK) {
            self.read_bytes.store(self.finished + position.read(), Ordering::Relaxed);
        }
    }

    /// The file is read to its end.
    pub(super) fn finish(&mut self, position: &Position) {
        self.finished += position.bytes;
        self.read_bytes.store(self.finished, Ordering::Relaxed);
    }
}
