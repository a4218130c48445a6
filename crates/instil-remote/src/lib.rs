//! Everything of instil that calls out: [`Endpoint`], a model behind an OpenAI-compatible API, and [`hub`], models and
//! datasets of the Hugging Face Hub.
//!
//! This crate knows HTTP. It does not know what an example is, and it prints nothing. Of the
//! environment it uses only what `ureq` reads by itself: `ALL_PROXY`, `HTTPS_PROXY`, `HTTP_PROXY`
//! and `NO_PROXY`, in this order and whatever the scheme of the address; this machine (`localhost`,
//! 127.0.0.0/8, ::1) is reached without a proxy. Keys and addresses are handed in. Certificates are
//! checked against Mozilla's list as built in, so that an authority of one's own is not known.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod endpoint;
pub mod hub;

pub use endpoint::{Api, Config, Endpoint, Stats, Structured};
