//! `messages`: the conversation as it is.

use super::{Cell, Column, Kind};
use crate::record::Example;

pub(super) const COLUMNS: &[Column] = &[Column::new("messages", Kind::Turns)];

pub(super) fn cells(example: &Example) -> Vec<Cell<'_>> {
    vec![Cell::Turns(&example.turns)]
}
