//! A file that is being written: counted, and named in every error.

use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Bytes collected before they go to the disk.
const BUFFER_BYTES: usize = 1 << 16;

/// A file that is being written.
pub(super) struct OutFile {
    path: PathBuf,
    inner: BufWriter<File>,
    bytes: u64,
}

/// A file that is written whole and lies on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
}

impl OutFile {
    pub(super) fn create(path: PathBuf) -> Result<Self> {
        let file = File::create(&path).map_err(|error| failed("create the file", &path, error))?;
        let inner = BufWriter::with_capacity(BUFFER_BYTES, file);
        Ok(Self { path, inner, bytes: 0 })
    }

    /// Brings every byte to the disk.
    pub(super) fn finish(mut self) -> Result<Written> {
        let done = self.inner.flush().and_then(|()| self.inner.get_ref().sync_all());
        done.map_err(|error| failed("write", &self.path, error))?;
        Ok(Written { path: self.path, bytes: self.bytes })
    }
}

impl Write for OutFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// The error for an output that can't be written: "can't `what` `path`", the cause, a way out.
pub(crate) fn failed(
    what: &str,
    path: &Path,
    cause: impl std::error::Error + Send + Sync + 'static,
) -> Error {
    let hint = match io_kind(&cause) {
        Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge) => {
            "the run can be continued: free some space, then give the same command again"
        }
        Some(ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) => {
            "this place can't be written to: allow it, or name another with `-o`"
        }
        _ => {
            "the run can be continued: give the same command again when the cause is gone, or name another place with `-o`"
        }
    };
    Error::output(format!("can't {what} `{}`", path.display())).because(cause).with_hint(hint)
}

/// The kind of the I/O error at the bottom of a chain of causes.
fn io_kind(error: &(dyn std::error::Error + 'static)) -> Option<ErrorKind> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return Some(error.kind());
        }
        next = error.source();
    }
    None
}
