//! The environment variables that the program reads, all of them.

/// The key sent to an endpoint. It is never printed or stored.
pub(crate) const OPENAI_API_KEY: &str = "OPENAI_API_KEY";

/// The endpoint's base URL where `--endpoint` is not given and `--model` names something else than `rules`.
pub(crate) const OPENAI_BASE_URL: &str = "OPENAI_BASE_URL";

/// The key that `serve` asks of its clients. It is never printed or stored.
pub(crate) const INSTIL_API_KEY: &str = "INSTIL_API_KEY";

/// llama.cpp's `llama-bench`, where it isn't on the PATH.
pub(crate) const LLAMA_BENCH: &str = "LLAMA_BENCH";

/// The folders of programs, where `bench` looks for peers.
pub(crate) const PATH: &str = "PATH";

/// The folder of the Hub's cache.
pub(crate) const HF_HUB_CACHE: &str = "HF_HUB_CACHE";

/// The folder that the cache is in, as `hub`, where `HF_HUB_CACHE` isn't set, and the token, as `token`.
pub(crate) const HF_HOME: &str = "HF_HOME";

/// The token sent to the Hub. It is never printed or stored.
pub(crate) const HF_TOKEN: &str = "HF_TOKEN";

/// The Hub's address.
pub(crate) const HF_ENDPOINT: &str = "HF_ENDPOINT";

/// `1` keeps everything that asks the Hub to what is in the cache.
pub(crate) const HF_HUB_OFFLINE: &str = "HF_HUB_OFFLINE";

/// Seconds that the Hub may be silent.
pub(crate) const HF_HUB_DOWNLOAD_TIMEOUT: &str = "HF_HUB_DOWNLOAD_TIMEOUT";

/// The folder for caches, where `HF_HOME` isn't set.
pub(crate) const XDG_CACHE_HOME: &str = "XDG_CACHE_HOME";

/// Whether a variable says yes, as `huggingface_hub` reads it.
pub(crate) fn is_on(name: &str) -> bool {
    get(name).is_some_and(|value| ["1", "on", "yes", "true"].contains(&value.to_ascii_lowercase().as_str()))
}

/// The value of a variable that is set to something.
pub(crate) fn get(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
