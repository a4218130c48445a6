//! One decoder for all families: its configuration, its weights and its forward pass.

mod config;
mod config_gguf;

pub use config::{Activation, Bias, Config, Family, Norm, Residual, Rope, RopeScaling};
