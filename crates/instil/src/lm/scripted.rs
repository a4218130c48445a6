//! A model for tests.
