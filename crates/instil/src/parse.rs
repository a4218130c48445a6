//! Completions to instruction and response.
