//! What code can check of an example.
