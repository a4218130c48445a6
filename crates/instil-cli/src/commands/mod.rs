//! The verbs, a file each: settle, call the library, print.

pub(crate) mod check;
pub(crate) mod doctor;
pub(crate) mod generate;
pub(crate) mod list;
pub(crate) mod run;
pub(crate) mod stats;
pub(crate) mod trace;
