//! The local engine of instil: language models on this machine's processor, in batches, exactly.
//!
//! Knows tensors and weights; never sockets, flags or what an example is. Read it in this order:
//! [`weights`] (files), [`adapter`] (what is added to them), [`decoder`] and [`t5`] (the forward passes), [`engine`] (batches, sampling, scores), and
//! [`kernel`] for the arithmetic.

pub mod adapter;
pub mod bench;
pub mod decoder;
pub mod engine;
pub mod kernel;
mod numbers;
pub mod t5;
pub mod tokenizer;
pub mod train;
pub mod weights;
