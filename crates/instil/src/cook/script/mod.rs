//! Templates of one's own: scripts in Python's syntax, without I/O, without chance of their own, with an end.
//!
//! The language is a part of Starlark (bazelbuild/starlark, spec.md): `def`, `for`, `if`, comprehensions, lists, tuples,
//! dicts, strings and whole numbers; what it leaves out is refused by name. The operations of spec/cookbook.md 1.4 are
//! built in. Words are values of their own, so that no number is taken for a word.
//!
//! A script is read, its names are settled and its top level runs once ([`Script::read`]); what that made is frozen and
//! shared by all threads. Each call of `make`, `solve` or `check` has an empty heap of its own, which goes with it.
//! [`Limits`] count what a call does, not how long it takes, so that a script stops at the same place everywhere.
//!
//! Why this isn't the crate `starlark` is in docs/design/decisions.md.

mod ast;
mod builtins;
mod declare;
mod eval;
mod heap;
mod lex;
mod methods;
mod ops;
mod parse;
mod resolve;
mod template;

use std::path::Path;
use std::sync::Arc;

pub use heap::Limits;
pub use template::ScriptTemplate;
pub(super) use template::mark;

use crate::error::{Error, Result};
use crate::rng::hex_of;
use ast::Program;
use heap::Frozen;

/// The most bytes of a script.
const MOST_BYTES: usize = 1 << 20;

/// A script that was read.
#[derive(Debug)]
pub struct Script {
    name: String,
    hash: String,
    program: Program,
    frozen: Frozen,
    limits: Limits,
}

impl Script {
    /// Reads a file and the templates that it declares, in their order.
    ///
    /// # Errors
    /// When it can't be read, is no script, or declares nothing; the message names line and column.
    pub fn open(path: &Path) -> Result<Vec<Arc<ScriptTemplate>>> {
        let name = path.display().to_string();
        let text = std::fs::read(path).map_err(|e| {
            Error::input(format!("can't read the script `{name}`"))
                .because(e)
                .with_hint("see its path and rights")
        })?;
        let text = String::from_utf8(text).map_err(|e| {
            Error::input(format!("the script `{name}` is not UTF-8"))
                .because(e.utf8_error())
                .with_hint("save it as UTF-8")
        })?;
        Self::read(&name, &text, Limits::default())
    }

    /// Reads a script from its text; `name` is what messages call it.
    ///
    /// # Errors
    /// As [`Script::open`].
    pub fn read(name: &str, text: &str, limits: Limits) -> Result<Vec<Arc<ScriptTemplate>>> {
        if text.len() > MOST_BYTES {
            return Err(Error::input(format!("the script `{name}` has {} bytes", text.len()))
                .with_hint(format!("a script may have {MOST_BYTES}; words belong into `--words FILE`")));
        }
        let (program, frozen, declared) = eval::load(text, limits).map_err(|fault| fault.into_error(name))?;
        if declared.is_empty() {
            return Err(Error::input(format!("the script `{name}` declares no template"))
                .with_hint("call `template(\"NAME\", prompt = \"…\")` at its top level"));
        }
        let hash = hex_of(&["script", text], 32);
        let script = Arc::new(Self { name: name.to_owned(), hash, program, frozen, limits });
        declared.into_iter().map(|declared| ScriptTemplate::new(&script, declared).map(Arc::new)).collect()
    }

    /// 32 hexadecimal digits of its text.
    pub fn hash(&self) -> &str {
        &self.hash
    }
}

/// A place in a script, both counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    line: u32,
    column: u32,
}

/// What is wrong in a script, and where.
#[derive(Clone, Debug)]
struct Fault {
    place: Place,
    message: String,
    hint: Option<String>,
}

impl Fault {
    fn new(place: Place, message: impl Into<String>) -> Self {
        Self { place, message: message.into(), hint: None }
    }

    fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn into_error(self, name: &str) -> Error {
        let Place { line, column } = self.place;
        let error = Error::input(format!("{name}:{line}:{column}: {}", self.message));
        error.with_hint(self.hint.unwrap_or_else(|| "see docs/guides/scripts.md for the language".to_owned()))
    }
}

#[cfg(test)]
mod tests;
