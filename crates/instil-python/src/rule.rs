//! A rule that is a Python function.

use std::sync::Arc;

use instil::Error;
use instil::cook::{HeldTemplate, HostedTemplate, Rule, Set, Slots, Word};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::error::exception;

/// Functions that make and solve samples, as `instil/template.py` wraps them.
struct PythonRule {
    make: Py<PyAny>,
    solve: Option<Py<PyAny>>,
}

/// A name that a template has as long as this object is there.
#[pyclass(frozen, module = "instil._instil")]
pub(crate) struct Rules {
    _held: HeldTemplate,
}

#[derive(FromPyObject)]
enum Part {
    Drawn(u32),
    Mark(String),
}

#[pymethods]
impl Rules {
    /// Gives a template its name. `make(seed, words, knobs)` gives slots by name, each a list of items, each a list of
    /// numbers of words or marks; or none for another draw. `solve(slots, knobs)` gives the words of the answer.
    #[new]
    #[pyo3(signature = (declaration, rule_hash, make, solve=None))]
    fn new(
        py: Python<'_>,
        declaration: &str,
        rule_hash: &str,
        make: Py<PyAny>,
        solve: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let rule = Box::new(PythonRule { make, solve });
        HostedTemplate::new(declaration, rule_hash, rule)
            .and_then(|template| HeldTemplate::new(Arc::new(template)))
            .map(|held| Self { _held: held })
            .map_err(|error| exception(py, &error))
    }
}

fn knobs_of<'py>(py: Python<'py>, knobs: &[(&str, Set)]) -> PyResult<Bound<'py, PyDict>> {
    let given = PyDict::new(py);
    for (name, set) in knobs {
        match set {
            Set::Count(number) => given.set_item(name, number)?,
            Set::Share(share) => given.set_item(name, share)?,
            Set::Choice(word) => given.set_item(name, word)?,
        }
    }
    Ok(given)
}

/// What a function raised, where it was raised.
fn fault(py: Python<'_>, what: &str, raised: &PyErr) -> Error {
    let place = raised.traceback(py).and_then(|traceback| traceback.format().ok());
    let place = place.as_deref().and_then(|text| text.trim_end().rsplit("  File ").next().map(str::to_owned));
    let at = place.map_or(String::new(), |place| format!(", at {}", place.trim().replace('\n', ":")));
    // In one line: of a sample's fault only the message and the way out travel on.
    Error::input(format!("the function that {what} raised {raised}{at}"))
        .with_hint("call it by yourself: the decorated function is still a function")
}

impl Rule for PythonRule {
    fn make(&self, seed: u64, words: u32, knobs: &[(&str, Set)]) -> instil::Result<Option<Slots<Word>>> {
        Python::attach(|py| {
            let made = || {
                let made = self.make.bind(py).call1((seed, words, knobs_of(py, knobs)?))?;
                made.extract::<Option<Vec<(String, Vec<Vec<Part>>)>>>()
            };
            made().map_err(|raised| fault(py, "makes samples", &raised))
        })
        .map(|slots| {
            let word = |part| match part {
                Part::Drawn(place) => Word::Drawn(place),
                Part::Mark(text) => Word::Mark(text),
            };
            let item = |item: Vec<Part>| item.into_iter().map(word).collect();
            let slot =
                |(name, items): (String, Vec<Vec<Part>>)| (name, items.into_iter().map(item).collect());
            slots.map(|slots| slots.into_iter().map(slot).collect())
        })
    }

    fn can_solve(&self) -> bool {
        self.solve.is_some()
    }

    fn solve(&self, slots: &Slots<&str>, knobs: &[(&str, Set)]) -> instil::Result<Option<Vec<String>>> {
        let Some(solve) = &self.solve else { return Ok(None) };
        Python::attach(|py| {
            let solved = || {
                let given = PyDict::new(py);
                for (name, items) in slots {
                    given.set_item(name, items)?;
                }
                solve.bind(py).call1((given, knobs_of(py, knobs)?))?.extract()
            };
            solved().map_err(|raised| fault(py, "solves samples", &raised))
        })
    }
}
