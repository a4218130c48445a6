//! Everything of instil that calls out: [`Endpoint`], a model behind an OpenAI-compatible API.
//!
//! This crate knows HTTP. It does not know what an example is, and it prints nothing. Of the
//! environment it uses only what `ureq` reads by itself: `ALL_PROXY`, `HTTPS_PROXY`, `HTTP_PROXY`
//! and `NO_PROXY`. Keys and addresses are handed in.

mod endpoint;

pub use endpoint::{Api, Config, Endpoint, Stats, Structured};
