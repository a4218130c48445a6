//! `prompt-completion`: the columns that TRL's trainers know under these names.

use super::{Cell, Column, Kind, halves};
use crate::record::Example;

pub(super) const COLUMNS: &[Column] =
    &[Column::new("prompt", Kind::Text), Column::new("completion", Kind::Text)];

pub(super) fn cells(example: &Example) -> Vec<Cell<'_>> {
    let (prompt, completion) = halves(example);
    vec![Cell::Text(prompt), completion.into()]
}
