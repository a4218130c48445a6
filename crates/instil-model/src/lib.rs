//! The local engine of instil: language models on this machine's processor, in batches, exactly.
//!
//! Knows tensors and weights; never sockets, flags or what an example is.

pub mod decoder;
pub mod kernel;
pub mod tokenizer;
pub mod weights;
