//! Passages to prompts: Bonito's own form, and one for ordinary instruction models.

pub mod bonito;
pub mod instruct;
