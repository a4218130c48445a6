//! Which shape a file's rows have, and how that is known.

use std::fmt;

use serde_json::{Map, Value};

use super::{SHAPES, Shape};

/// How many rows of a file are looked at.
pub const LOOKED_AT: usize = 100;

/// Shapes that read the rows of another one too and find more in them: a file in which some rows are of the
/// first is of the first.
const WIDER: &[(&str, &str)] = &[
    ("axolotl-chat", "messages"),
    ("llamafactory-alpaca", "alpaca"),
    ("dpo-prompt-pairs", "preference"),
    ("dpo-intel", "preference-question"),
    ("dpo-argilla", "preference-instruction"),
];

/// How many rows of another shape are named.
const NAMED: usize = 5;

/// What was found. `Display` gives the reason in a line.
#[derive(Clone, Debug, PartialEq)]
pub struct Detected {
    /// The shape of most rows.
    pub shape: &'static Shape,
    /// How many of them there are.
    pub rows: u64,
    /// How many rows were looked at.
    pub of: u64,
    /// The first rows that are of another shape, by their number, or of none that is known.
    pub others: Vec<(u64, Option<&'static Shape>)>,
}

impl fmt::Display for Detected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { shape, rows, of, others } = self;
        write!(f, "{}: {}, in {rows} of {of} rows", shape.why(), shape.name)?;
        for (index, (row, other)) in others.iter().enumerate() {
            let name = other.map_or("of no known shape", |shape| shape.name);
            write!(f, "{} row {row} is {name}", if index == 0 { ";" } else { "," })?;
        }
        let named = others.len() as u64;
        if of - rows > named { write!(f, " and {} more", of - rows - named) } else { Ok(()) }
    }
}

/// The shape of a row: the first of [`SHAPES`] that fits.
pub fn shape_of(row: &Map<String, Value>) -> Option<&'static Shape> {
    SHAPES.iter().find(|shape| shape.fits(row))
}

/// The shape that most of these rows, given with their numbers, have; none where no row has a known one.
pub fn detect<'a>(rows: impl IntoIterator<Item = (u64, &'a Map<String, Value>)>) -> Option<Detected> {
    let mut found: Vec<(u64, Option<&'static Shape>)> =
        rows.into_iter().map(|(number, row)| (number, shape_of(row))).collect();
    let is_there = |name: &str| found.iter().any(|(_, shape)| shape.is_some_and(|shape| shape.name == name));
    for (wide, narrow) in WIDER.iter().copied().filter(|(wide, _)| is_there(wide)).collect::<Vec<_>>() {
        let wide = SHAPES.iter().find(|shape| shape.name == wide);
        for (_, shape) in &mut found {
            if shape.is_some_and(|shape| shape.name == narrow) {
                *shape = wide;
            }
        }
    }
    let count = |shape: &Shape| found.iter().filter(|(_, other)| *other == Some(shape)).count() as u64;
    // Of shapes that are as frequent the one that comes first in the file is taken.
    let mut best: Option<(&'static Shape, u64)> = None;
    for shape in found.iter().filter_map(|(_, shape)| *shape) {
        let rows = count(shape);
        if best.is_none_or(|(_, most)| rows > most) {
            best = Some((shape, rows));
        }
    }
    let (shape, rows) = best?;
    let others = found.iter().filter(|(_, other)| *other != Some(shape)).copied().take(NAMED).collect();
    Some(Detected { shape, rows, of: found.len() as u64, others })
}
