//! The Hugging Face Hub: models and datasets into the user's cache ([`pull`], [`resolve_model`]), datasets out of a
//! folder ([`push`]).
//!
//! The cache is `huggingface_hub`'s, so that what either has fetched the other finds:
//!
//! ```text
//! CACHE/models--OWNER--NAME/blobs/<sha256 of a large file, or git's id of a small one>
//!                           refs/<branch or tag>            the commit that it stood for
//!                           snapshots/<commit>/<path>       a link to the blob
//!                           trees/<commit>.instil.json      what there is at that commit
//! CACHE/.locks/…                                            one process fetches a blob, others wait
//! ```
//!
//! The protocol was read in `huggingface_hub` 2.4.0 (`_snapshot_download.py`, `file_download.py`, `_commit_api.py`,
//! `lfs.py`) and in git-lfs's `docs/api/batch.md`; docs/design/decisions.md says why the crate `hf-hub` isn't used.
//!
//! | module | answers |
//! |---|---|
//! | [`config`](Config), [`repo`](Repo) | Where is the Hub, where the cache? What is meant by `owner/name@revision`? |
//! | `http` | What is sent, to whom, how often, and what does an answer's status mean? |
//! | `listing` | What is there at a commit, and what of it is needed? |
//! | `cache` | What is there on this machine? |
//! | `download` | How does one file arrive whole? |
//! | `pull`, `resolve` | How does a snapshot? |
//! | `local`, `push`, `lfs`, `commit` | What is sent of a dataset, and how? |
//!
//! The token goes to the Hub's own address and nowhere else: a redirect to a store of large files, or an address
//! for an upload there, gets none.

mod cache;
mod commit;
mod config;
mod digest;
mod download;
mod http;
mod lfs;
mod listing;
mod local;
mod pull;
mod push;
mod repo;
mod resolve;
#[cfg(test)]
mod tests;
mod watch;

pub use config::Config;
pub use local::{LocalFile, local_files};
pub use pull::{Pulled, Wanted, find, pull};
pub use push::{Push, Pushed, push};
pub use repo::{Kind, Repo};
pub use resolve::resolve_model;
pub use watch::Transfer;
