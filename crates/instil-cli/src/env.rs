//! The environment variables that the program reads, all of them.

/// The key sent to an endpoint. It is never printed or stored.
pub(crate) const OPENAI_API_KEY: &str = "OPENAI_API_KEY";

/// The endpoint's base URL where `--endpoint` is not given and `--model` names something else than `rules`.
pub(crate) const OPENAI_BASE_URL: &str = "OPENAI_BASE_URL";

/// The value of a variable that is set to something.
pub(crate) fn get(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
