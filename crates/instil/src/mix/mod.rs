//! How much of each source a mix has, and which of its rows: given, or learnt (spec/cookbook.md 3).
//!
//! [`shares`](weights::shares) makes shares of weights or sizes, [`counts`](weights::counts) whole rows of shares, and a
//! [`Draw`](draw::Draw) says of every row how often it is taken. To learn the shares, [`labelfree`] estimates from
//! agreements alone how good models are that were each tuned on one source, [`proportions`] makes shares of that, and
//! [`law`] finds the best mix by a law fitted on some mixes. [`learn`] is the whole: what has to be run, and what
//! comes of it.

pub mod draw;
pub mod labelfree;
pub mod learn;
pub mod law;
pub mod proportions;
pub mod weights;
