//! Recorded completions.
