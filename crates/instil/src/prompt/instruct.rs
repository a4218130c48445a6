//! Prompts for ordinary instruction models.
