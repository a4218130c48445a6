//! Training: a model whole, or low-rank matrices beside it, over plain or quantised weights.
//!
//! There is no tape. Each operation is a forward and a backward function over rows of f32 (`ops`), a block of the decoder
//! keeps its input and is computed again on the way back (`block`), and a step's gradients lie in one flat row beside
//! the trained weights and the optimiser's moments (`model`, `optimizer`). Sequences of a pass lie side by side without
//! padding, and none sees another. Every sum has one order, so that a training is a function of its weights, examples and
//! settings, on any number of threads, and goes on from a checkpoint to the same bits.
//!
//! ```no_run
//! # fn main() -> instil::Result<()> {
//! use std::ops::ControlFlow;
//! use std::path::Path;
//!
//! use instil_model::train::{Event, Example, Lora, Method, Plan, Settings, Trainer};
//! use instil_model::weights::{Checkpoint, Quantize};
//!
//! let checkpoint = Checkpoint::open(Path::new("model"), Quantize::None)?;
//! let settings = Settings { method: Method::Lora(Lora::default()), ..Settings::default() };
//! let mut trainer = Trainer::load(&checkpoint, settings)?;
//! let examples = [Example::completion(&[1, 5, 9], &[7, 2])];
//! let mut losses = Vec::new();
//! trainer.train(&examples, &[], &Plan::default(), &mut |event| {
//!     if let Event::Step(step) = event {
//!         losses.push(step.loss);
//!     }
//!     ControlFlow::Continue(())
//! })?;
//! # Ok(())
//! # }
//! ```

mod batch;
mod block;
mod buffer;
mod build;
mod checkpoint;
mod method;
mod model;
mod net;
mod ops;
mod optimizer;
mod parameters;
mod result;
mod save;
mod schedule;
mod settings;
mod t5;
mod text;
mod trainer;
#[cfg(test)]
mod tests;

pub use batch::{Batch, Example};
pub use method::{Lora, Method};
pub use optimizer::AdamW;
pub use parameters::Parameter;
pub use schedule::{Schedule, Warmup};
pub use settings::{Checkpoints, Length, Plan, Settings};
pub use text::needs_end;
pub use trainer::{Event, Step, Summary, Trainer};
