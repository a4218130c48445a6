//! `bonito`: the columns of the published library's datasets (spec/bonito.md 1.4), nothing besides.

use super::{Cell, Column, Kind, halves};
use crate::record::Example;

pub(super) const COLUMNS: &[Column] = &[Column::new("input", Kind::Text), Column::new("output", Kind::Text)];

pub(super) fn cells(example: &Example) -> Vec<Cell<'_>> {
    let (input, output) = halves(example);
    vec![Cell::Text(input), output.into()]
}
