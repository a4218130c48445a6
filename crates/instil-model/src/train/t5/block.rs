//! A block of either half, forward and backward.

use super::attention::{Attended, Projections};
use crate::kernel::grad;
use crate::kernel::rows::add_in_place;
use crate::numbers::Numbers;
use crate::t5::attention::Attention;
use crate::t5::position::Shifts;
use crate::t5::{Activation, activated};
use crate::train::ops::Dropout;
use crate::train::ops::linear::Linear;
use crate::train::ops::norm::Norm;

/// Attention, in the decoder attention to what was read, and the feed-forward layer.
pub(super) struct Block {
    pub(super) norm: Norm,
    pub(super) attention: Projections,
    pub(super) cross: Option<(Norm, Projections)>,
    pub(super) feed_norm: Norm,
    pub(super) feed: Feed,
}

/// The feed-forward layer.
pub(super) struct Feed {
    /// `wi`, or the gate's `wi_0`.
    pub(super) first: Linear,
    /// `wi_1`, where there is a gate.
    pub(super) second: Option<Linear>,
    pub(super) out: Linear,
    pub(super) activation: Activation,
}

/// What a pass is over, the same for all blocks of a half.
pub(super) struct Rows<'a> {
    /// The trained weights.
    pub(super) weights: &'a [f32],
    /// What rows see of their own half.
    pub(super) own: Attention<'a>,
    /// What distances add to its scores.
    pub(super) shifts: &'a Shifts,
    /// What they see of the other, in the decoder.
    pub(super) across: Option<Attention<'a>>,
    pub(super) dropout: Option<Dropout>,
}

/// What the way back needs of the way there, beside the block's input.
pub(super) struct Saved {
    /// After the first norm.
    h: Numbers,
    attended: Attended,
    /// The input and the attention.
    x1: Numbers,
    crossed: Option<Crossed>,
    /// After the last norm.
    fed: Numbers,
    /// What the projections in give, and what lies within their adapters.
    first: (Numbers, Numbers),
    second: Option<(Numbers, Numbers)>,
    /// What the projection out is given.
    inner: Numbers,
}

/// The same of the attention to what was read.
struct Crossed {
    h: Numbers,
    attended: Attended,
    /// What came before, and this attention.
    x2: Numbers,
}

impl Saved {
    /// The rows that the feed-forward layer's output is added to.
    fn before_feed(&self) -> &[f32] {
        self.crossed.as_ref().map_or(&self.x1, |crossed| &crossed.x2)
    }
}

impl Block {
    /// All but the last product, from the input `[rows, hidden]` and what was read.
    pub(super) fn saved(&self, rows: &Rows<'_>, x: &[f32], read: &[f32]) -> Saved {
        let Rows { weights, dropout, .. } = *rows;
        let h = self.norm.forward(weights, x);
        let (mut x1, attended) = self.attention.forward(rows, &rows.own, &h, &h);
        add_in_place(&mut x1, x);
        let crossed = match (&self.cross, &rows.across) {
            (Some((norm, cross)), Some(across)) => {
                let h = norm.forward(weights, &x1);
                let (mut x2, attended) = cross.forward(rows, across, &h, read);
                add_in_place(&mut x2, &x1);
                Some(Crossed { h, attended, x2 })
            }
            _ => None,
        };
        let fed = self.feed_norm.forward(weights, crossed.as_ref().map_or(&x1, |crossed| &crossed.x2));
        let first = self.feed.first.forward(weights, &fed, dropout);
        let second = self.feed.second.as_ref().map(|second| second.forward(weights, &fed, dropout));
        let inner = activated(self.feed.activation, &first.0, second.as_ref().map(|(second, _)| &**second));
        Saved { h, attended, x1, crossed, fed, first, second, inner }
    }

    /// The output `[rows, hidden]`.
    pub(super) fn output(&self, rows: &Rows<'_>, saved: &Saved) -> Numbers {
        let (mut y, _) = self.feed.out.forward(rows.weights, &saved.inner, rows.dropout);
        add_in_place(&mut y, saved.before_feed());
        y
    }

    /// The gradient of the input `x`, in place of the output's in `d`; that of what was read is added to `d_read`, those of
    /// trained weights to `gradients`, that of what distances add to `d_shifts`.
    #[allow(clippy::too_many_arguments, reason = "values and their gradients come in pairs")]
    pub(super) fn backward(
        &self,
        rows: &Rows<'_>,
        (x, saved): (&[f32], &Saved),
        (read, d_read): (&[f32], &mut [f32]),
        d: &mut [f32],
        gradients: &mut [f32],
        d_shifts: &mut Shifts,
    ) {
        let weights = rows.weights;
        let d_fed = self.feed.backward(rows, saved, d, gradients);
        self.feed_norm.backward(weights, saved.before_feed(), &d_fed, gradients, d);
        if let (Some((norm, cross)), Some(across), Some(crossed)) =
            (&self.cross, &rows.across, &saved.crossed)
        {
            let mut d_h = Numbers::zeros(crossed.h.len());
            let given = (&*crossed.h, &mut *d_h);
            cross.backward(rows, across, &crossed.attended, given, (read, Some(d_read)), d, gradients, None);
            norm.backward(weights, &saved.x1, &d_h, gradients, d);
        }
        let mut d_h = Numbers::zeros(saved.h.len());
        let given = (&*saved.h, &mut *d_h);
        let own = (&rows.own, &saved.attended);
        self.attention.backward(rows, own.0, own.1, given, (&saved.h, None), d, gradients, Some(d_shifts));
        self.norm.backward(weights, x, &d_h, gradients, d);
    }
}

impl Feed {
    /// The gradient of what the layer was given, from that of what it gave.
    fn backward(&self, rows: &Rows<'_>, saved: &Saved, d: &[f32], gradients: &mut [f32]) -> Numbers {
        let Rows { weights, dropout, .. } = *rows;
        // Computing `out` again for what lies within its adapter is cheap: only that is.
        let low = self.out.low(weights, &saved.inner, dropout);
        let mut d_first = Numbers::zeros(saved.inner.len());
        self.out.backward(weights, (&saved.inner, &low), d, dropout, gradients, Some(&mut d_first));
        let mut d_fed = Numbers::zeros(saved.fed.len());
        let (first, low_first) = &saved.first;
        if let (Some(linear), Some((second, low))) = (&self.second, &saved.second) {
            let d_second = self.gate_back(first, second, &mut d_first);
            linear.backward(weights, (&saved.fed, low), &d_second, dropout, gradients, Some(&mut d_fed));
        } else {
            grad::relu(first, &mut d_first);
        }
        self.first.backward(weights, (&saved.fed, low_first), &d_first, dropout, gradients, Some(&mut d_fed));
        d_fed
    }

    /// The gradient of `second`, given that of `activation(first) * second` in `d`, which becomes that of `first`.
    fn gate_back(&self, first: &[f32], second: &[f32], d: &mut [f32]) -> Numbers {
        let mut d_second = Numbers::unset(d.len());
        match self.activation {
            Activation::GatedSilu => grad::silu_mul(first, second, d, &mut d_second),
            _ => grad::gelu_tanh_mul(first, second, d, &mut d_second),
        }
        d_second
    }
}
