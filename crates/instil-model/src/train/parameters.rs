//! The trained weights: one flat row of numbers, and which tensor lies where in it.

use std::ops::Range;

/// A trained tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name: as in Hugging Face's files, and of an adapter `MODULE.lora_A.weight` and `MODULE.lora_B.weight`.
    pub name: String,
    /// Outermost dimension first.
    pub shape: Vec<usize>,
    /// Where its numbers are, row after row.
    pub range: Range<usize>,
}

/// The trained weights of a model.
#[derive(Debug, Default)]
pub(super) struct Parameters {
    /// What lies where, in order and without gaps.
    pub(super) table: Vec<Parameter>,
    /// All numbers.
    pub(super) weights: Vec<f32>,
}

impl Parameters {
    /// Adds a tensor; `fill` is given its numbers, which are zeros.
    pub(super) fn push<E>(
        &mut self,
        name: String,
        shape: &[usize],
        fill: impl FnOnce(&mut [f32]) -> Result<(), E>,
    ) -> Result<Range<usize>, E> {
        let start = self.weights.len();
        let range = start..start + shape.iter().product::<usize>();
        self.weights.resize(range.end, 0.0);
        fill(&mut self.weights[range.clone()])?;
        self.table.push(Parameter { name, shape: shape.to_vec(), range: range.clone() });
        Ok(range)
    }
}
