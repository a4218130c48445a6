//! Everything of instil that listens: a model behind OpenAI's API.
//!
//! It is handed a [`TokenModel`](instil::lm::tokens::TokenModel) and knows nothing of tensors, files or flags. Read it
//! in the order in which a request travels it: [`server`](Server) (connections and their limits), `handle` (who may ask
//! what), [`request`] (what is asked), `job` (the model's side of it), `answer` (the JSON), `body` (how it is sent).

mod answer;
mod body;
mod connection;
mod handle;
mod job;
mod metrics;
mod refusal;
pub mod request;
mod server;

pub use refusal::Refusal;
pub use server::{Config, Ended, Server, Stopper};
