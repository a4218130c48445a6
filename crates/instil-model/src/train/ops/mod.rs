//! The decoder's operations, each forward and backward, over plain rows of f32.
//!
//! A backward function is given what its forward function was given, and the gradient of what it gave. Gradients of rows
//! are added to what is there, so that branches need no sums of their own; gradients of trained weights are added to the
//! flat gradient at the weights' place. Nothing is computed for weights that are not trained.

pub(super) mod attention;
pub(super) mod feed;
pub(super) mod heads;
pub(super) mod linear;
pub(super) mod loss;
pub(super) mod norm;
#[cfg(test)]
pub(super) mod tests;

use std::ops::Range;
use std::sync::Arc;

use crate::kernel::Matrix;

/// Where a vector's numbers are.
pub(super) enum Vector {
    /// They stay as they are.
    Frozen(Vec<f32>),
    /// Their place among the trained weights.
    Trained(Range<usize>),
}

impl Vector {
    /// The numbers.
    pub(super) fn of<'a>(&'a self, weights: &'a [f32]) -> &'a [f32] {
        match self {
            Self::Frozen(numbers) => numbers,
            Self::Trained(range) => &weights[range.clone()],
        }
    }

    /// The place of the gradient, if it is trained.
    pub(super) fn gradient<'a>(&self, gradients: &'a mut [f32]) -> Option<&'a mut [f32]> {
        match self {
            Self::Frozen(_) => None,
            Self::Trained(range) => Some(&mut gradients[range.clone()]),
        }
    }
}

/// Where a matrix's numbers are.
#[derive(Clone)]
pub(super) enum Weight {
    /// As stored in a checkpoint; they stay as they are.
    Frozen(Arc<Matrix>),
    /// Their place among the trained weights, row after row.
    Trained(Range<usize>),
}

/// What random numbers a pass draws for dropout.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dropout {
    /// The share of numbers that are dropped, from 0 to below 1.
    pub(super) share: f32,
    /// Which draw; every step and pass has its own.
    pub(super) seed: u64,
}
