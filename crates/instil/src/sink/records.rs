//! The tables beside the rows: where each example came from, and what was not used.

use crate::format::{Cell, Column, Format, Kind};
use crate::lm::Sampling;
use crate::record::{Example, Origin};
use crate::reject::Reject;
use crate::rng::hex_of;
use crate::sink::MixedFrom;

/// The key that parts a dataset's rows and ties them to their provenance.
const ID: Column = Column::new("id", Kind::Text);

/// The columns of a dataset folder's rows.
pub(super) fn keyed(format: Format) -> Vec<Column> {
    std::iter::once(ID).chain(format.columns().iter().copied()).collect()
}

pub(super) const PROVENANCE: &[Column] = &[
    ID,
    Column::new("document", Kind::Text),
    Column::new("source", Kind::Text),
    Column::nullable("row", Kind::Int64),
    Column::nullable("start", Kind::Int64),
    Column::nullable("end", Kind::Int64),
    Column::nullable("dataset", Kind::Text),
    Column::new("task", Kind::Text),
    Column::new("template", Kind::Text),
    Column::nullable("model", Kind::Text),
    Column::nullable("temperature", Kind::Float64),
    Column::nullable("top_p", Kind::Float64),
    Column::nullable("max_tokens", Kind::Int64),
    Column::new("seed", Kind::UInt64),
    Column::new("sample", Kind::Int64),
    Column::new("prompt_hash", Kind::Text),
    Column::new("repairs", Kind::Texts),
    Column::nullable("prompt_tokens", Kind::Int32),
    Column::nullable("completion_tokens", Kind::Int32),
];

pub(super) fn provenance<'a>(example: &'a Example, sampling: &Sampling) -> Vec<Cell<'a>> {
    let made = &example.provenance;
    // Without a model nothing was sampled.
    let sampling = made.model.as_ref().map(|_| sampling);
    vec![
        example.id.as_str().into(),
        made.document.as_ref().into(),
        made.origin.source.as_ref().into(),
        made.origin.row.map(signed).into(),
        made.span.as_ref().map(|span| signed(span.start as u64)).into(),
        made.span.as_ref().map(|span| signed(span.end as u64)).into(),
        made.dataset.as_deref().into(),
        example.task.short().into(),
        made.template.as_ref().into(),
        made.model.as_deref().into(),
        sampling.map_or(Cell::Null, |sampling| Cell::Float(sampling.temperature)),
        sampling.map_or(Cell::Null, |sampling| Cell::Float(sampling.top_p)),
        sampling.map(|sampling| i64::from(sampling.max_tokens)).into(),
        Cell::UInt(made.seed),
        i64::from(made.sample).into(),
        made.prompt_hash.as_str().into(),
        Cell::Texts(made.repairs.iter().map(|repair| repair.word()).collect()),
        made.prompt_tokens.map(i64::from).into(),
        made.completion_tokens.map(i64::from).into(),
    ]
}

/// Where each row of a dataset came from that was converted.
pub(super) const ORIGINS: &[Column] = &[
    ID,
    Column::new("source", Kind::Text),
    Column::nullable("row", Kind::Int64),
    Column::new("shape", Kind::Text),
    Column::new("sample", Kind::Int64),
];

/// The id of a converted row: 16 hexadecimal digits, from where it was read.
pub(super) fn converted_id(origin: &Origin, sample: u64) -> String {
    let row = origin.row.map_or(String::new(), |row| row.to_string());
    hex_of(&[&origin.source, &row, &sample.to_string()], 16)
}

pub(super) fn origin<'a>(id: &'a str, origin: &'a Origin, shape: &'a str, sample: u64) -> Vec<Cell<'a>> {
    vec![
        id.into(),
        origin.source.as_ref().into(),
        origin.row.map(signed).into(),
        shape.into(),
        signed(sample).into(),
    ]
}

/// Where each row of a mix came from.
pub(super) const MIXED: &[Column] = &[
    ID,
    Column::new("dataset", Kind::Text),
    Column::new("source", Kind::Text),
    Column::nullable("row", Kind::Int64),
    Column::new("shape", Kind::Text),
    Column::new("sample", Kind::Int64),
    Column::new("copy", Kind::Int64),
    Column::nullable("source_id", Kind::Text),
];

pub(super) fn mixed<'a>(id: &'a str, from: &'a MixedFrom) -> Vec<Cell<'a>> {
    vec![
        id.into(),
        from.name.as_str().into(),
        from.origin.source.as_ref().into(),
        from.origin.row.map(signed).into(),
        from.shape.as_str().into(),
        signed(from.sample).into(),
        i64::from(from.copy).into(),
        from.id.as_deref().into(),
    ]
}

pub(super) const REJECTS: &[Column] = &[
    Column::new("reason", Kind::Text),
    Column::new("stage", Kind::Text),
    Column::new("source", Kind::Text),
    Column::nullable("row", Kind::Int64),
    Column::nullable("document", Kind::Text),
    Column::nullable("start", Kind::Int64),
    Column::nullable("end", Kind::Int64),
    Column::nullable("task", Kind::Text),
    Column::nullable("sample", Kind::Int64),
    Column::new("raw", Kind::Text),
];

pub(super) fn reject(reject: &Reject) -> Vec<Cell<'_>> {
    vec![
        reject.reason.word().into(),
        reject.reason.stage().name().into(),
        reject.origin.source.as_ref().into(),
        reject.origin.row.map(signed).into(),
        reject.document.as_deref().into(),
        reject.span.as_ref().map(|span| signed(span.start as u64)).into(),
        reject.span.as_ref().map(|span| signed(span.end as u64)).into(),
        reject.task.as_ref().map(|task| task.short()).into(),
        reject.sample.map(i64::from).into(),
        reject.raw.as_str().into(),
    ]
}

fn signed(number: u64) -> i64 {
    number.try_into().expect("rows and bytes of one source are fewer than 2^63")
}
