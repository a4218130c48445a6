//! Errors as Python's exceptions, which `instil/errors.py` declares.

use std::error::Error as _;

use instil::Error;
use instil::error::ErrorKind;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// The exception of an error, with its causes and its way out.
pub(crate) fn exception(py: Python<'_>, error: &Error) -> PyErr {
    let class = match error.kind() {
        ErrorKind::Usage => "UsageError",
        ErrorKind::Input => "InputError",
        ErrorKind::Output => "OutputError",
        ErrorKind::Model => "ModelError",
    };
    let mut causes = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        causes.push(error.to_string());
        cause = error.source();
    }
    let made = || {
        let told = PyDict::new(py);
        told.set_item("cause", (!causes.is_empty()).then(|| causes.join(": ")))?;
        told.set_item("hint", error.hint())?;
        py.import("instil.errors")?.getattr(class)?.call((error.to_string(),), Some(&told))
    };
    made().map_or_else(|failed| failed, PyErr::from_value)
}
