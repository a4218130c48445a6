//! The rows of a call, which stay in memory until Python asks for them.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use instil::sink;
use pyo3::prelude::*;

use crate::error::exception;
use crate::table::Table;

/// An output whose rows stay in memory as long as this object is there.
#[pyclass(frozen, module = "instil._instil")]
pub(crate) struct Kept(Mutex<Option<sink::Kept>>);

/// What a finished run has left in memory.
#[pyclass(frozen, module = "instil._instil")]
pub(crate) struct Came(sink::Came);

#[pymethods]
impl Kept {
    /// Keeps the rows that are written to this path; all else is written there as in a dataset folder.
    #[new]
    fn new(output: PathBuf) -> Self {
        Self(Mutex::new(Some(sink::Kept::new(&output))))
    }

    /// What the run has left; once, and after it has finished.
    fn take(&self, py: Python<'_>) -> PyResult<Came> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let came =
            kept.ok_or_else(|| instil::Error::output("the rows were taken")).and_then(sink::Kept::take);
        came.map(Came).map_err(|error| exception(py, &error))
    }
}

#[pymethods]
impl Came {
    /// The names of its splits, in their order.
    #[getter]
    fn splits(&self) -> Vec<String> {
        self.0.splits().map(str::to_owned).collect()
    }

    /// The rows of a split, none of their buffers copied.
    fn table(&self, py: Python<'_>, split: &str) -> PyResult<Table> {
        self.0.table(split).map(Table).map_err(|error| exception(py, &error))
    }

    /// Where each row comes from, of rows that were converted; else it lies in files.
    fn provenance(&self, py: Python<'_>) -> Option<Table> {
        py.detach(|| self.0.provenance()).map(Table)
    }
}
