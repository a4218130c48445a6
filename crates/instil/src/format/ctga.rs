//! `ctga`: the columns of `BatsResearch/ctga-v1`, the training set of the published Bonito models
//! (spec/bonito.md 2.6).

use super::{Cell, Column, Kind, halves};
use crate::record::Example;

pub(super) const COLUMNS: &[Column] = &[
    Column::new("context", Kind::Text),
    Column::new("task_input", Kind::Text),
    Column::new("task_output", Kind::Text),
    Column::new("dataset", Kind::Text),
    Column::new("dataset_config", Kind::Text),
    Column::new("task_type", Kind::Text),
    Column::new("input", Kind::Text),
    Column::new("output", Kind::Text),
];

pub(super) fn cells(example: &Example) -> Vec<Cell<'_>> {
    let field = |name: &str| Cell::from(example.fields.get(name).map_or("", String::as_str));
    let key = example.provenance.dataset.as_deref().unwrap_or_default();
    let (dataset, config) = key.split_once('/').unwrap_or((key, ""));
    let (input, output) = halves(example);
    vec![
        field("context"),
        field("task_input"),
        field("task_output"),
        dataset.into(),
        config.into(),
        example.task.full().into(),
        Cell::Text(input),
        output.into(),
    ]
}
