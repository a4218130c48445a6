//! Work on threads, looked at by the caller.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::endpoint::wait::Cancel;

/// Between two looks.
const EVERY: Duration = Duration::from_millis(100);

/// How far a transfer has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Transfer {
    /// Files to be transferred, those that need not be left out.
    pub files: u64,
    /// Of them, those that are done.
    pub files_done: u64,
    /// Bytes of the files to be transferred.
    pub bytes: u64,
    /// Of them, those that are done, in this process or before.
    pub bytes_done: u64,
}

/// Where those who work write what the caller sees.
#[derive(Default)]
pub(super) struct Counters {
    pub(super) files: AtomicU64,
    pub(super) files_done: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) bytes_done: AtomicU64,
}

impl Counters {
    pub(super) fn add_bytes(&self, bytes: u64) {
        self.bytes_done.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes that were counted are to be transferred again.
    pub(super) fn take_back(&self, bytes: u64) {
        self.bytes_done.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Another file is to be transferred.
    pub(super) fn expect(&self, bytes: u64) {
        self.files.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn file_done(&self) {
        self.files_done.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn look(&self) -> Transfer {
        Transfer {
            files: self.files.load(Ordering::Relaxed),
            files_done: self.files_done.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            bytes_done: self.bytes_done.load(Ordering::Relaxed),
        }
    }
}

/// Does `work` on a thread while the caller looks on; a caller who breaks off stops it.
pub(super) fn watched<T: Send>(
    stop: &Cancel,
    counters: &Counters,
    watch: &mut dyn FnMut(&Transfer) -> ControlFlow<()>,
    work: impl FnOnce() -> T + Send,
) -> T {
    let ended = Cancel::default();
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            /// Wakes the watcher even if the work panics.
            struct End<'a>(&'a Cancel);
            impl Drop for End<'_> {
                fn drop(&mut self) {
                    self.0.raise();
                }
            }
            let _end = End(&ended);
            work()
        });
        while !ended.is_raised() {
            ended.wait(EVERY);
            if watch(&counters.look()).is_break() {
                stop.raise();
            }
        }
        match worker.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}
