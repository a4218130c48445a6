//! The exit codes, which scripts may rely on.

/// Done.
pub const DONE: u8 = 0;
/// Done, but a limit that the user set was missed: `--max-drop`, or warnings with `check --strict`.
pub const LIMIT_MISSED: u8 = 1;
/// Not done; the message says why.
pub const NOT_DONE: u8 = 2;
/// Interrupted; the same command continues.
pub const INTERRUPTED: u8 = 130;
