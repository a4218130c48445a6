//! The Python module `instil._instil`: what Python can't do by itself. The package around it, in `python/instil`, makes
//! arguments of keyword arguments and tables of what came out; it decides nothing either.
//!
//! Every verb is called as the command line calls it ([`instil_cli::host`]), so that flags, defaults, checks and messages
//! are the same.

mod call;
mod error;
mod kept;
mod rule;
mod table;

use pyo3::prelude::*;

// As in the program: rows are allocated on one thread and freed on another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[pymodule]
mod _instil {
    #[pymodule_export]
    use super::call::{call, flags, main};
    #[pymodule_export]
    use super::kept::{Came, Kept};
    #[pymodule_export]
    use super::rule::Rules;
    #[pymodule_export]
    use super::table::{Held, Table};

    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");

    #[pymodule_export]
    const LIST: char = instil_cli::host::LIST;
}
