//! Where the Hub is and where its cache, who asks, and how patiently.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use instil::{Error, Result};

/// How the Hub is reached, and where what it has is kept.
///
/// ```
/// use instil_remote::hub::Config;
/// let config = Config { token: Some("hf_secret".into()), ..Config::new("/tmp/hub") };
/// assert_eq!(config.endpoint, "https://huggingface.co");
/// assert!(!format!("{config:?}").contains("hf_secret"));
/// ```
#[derive(Clone)]
pub struct Config {
    /// The folder of the cache, which `HF_HUB_CACHE` names.
    pub cache: PathBuf,
    /// The Hub's address, which `HF_ENDPOINT` names.
    pub endpoint: String,
    /// Sent as a bearer token to that address alone; never printed.
    pub token: Option<String>,
    /// Nothing is sent: what isn't in the cache isn't there.
    pub offline: bool,
    /// The longest that a server may be silent.
    pub patience: Duration,
    /// How often something is tried before it counts as failed; 0 is taken as 1.
    pub attempts: u32,
    /// The longest wait before the second attempt. It doubles with each attempt up to a minute, and a random share of
    /// it is waited, but never less than the server asks for.
    pub backoff: Duration,
    /// Files under way at once, each on a thread.
    pub concurrency: NonZeroUsize,
}

impl Config {
    /// The defaults with this cache: huggingface.co without a token, online, 30 s of silence, 6 attempts, 1 s, 4 files.
    pub fn new(cache: impl Into<PathBuf>) -> Self {
        Self {
            cache: cache.into(),
            endpoint: "https://huggingface.co".to_owned(),
            token: None,
            offline: false,
            patience: Duration::from_secs(30),
            attempts: 6,
            backoff: Duration::from_secs(1),
            concurrency: NonZeroUsize::new(4).expect("4 is not 0"),
        }
    }

    /// The address without slashes at its end.
    ///
    /// # Errors
    /// When it is no http(s) URL, or one with a password or query in it, which is not repeated.
    pub(super) fn base(&self) -> Result<String> {
        let typed = self.endpoint.trim();
        let wrong = |what: &str| {
            let shown = if typed.contains('@') {
                "the Hub's address".to_owned()
            } else {
                format!("the Hub's address `{typed}`")
            };
            Error::usage(format!("{shown} {what}"))
                .with_hint("HF_ENDPOINT looks like `https://huggingface.co`; leave it unset for that")
        };
        let uri: ureq::http::Uri = typed.parse().map_err(|_| wrong("is no URL"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none_or(str::is_empty) {
            return Err(wrong("does not begin with http:// or https://"));
        }
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(wrong("holds a user name or password"));
        }
        if uri.query().is_some() || typed.contains('#') {
            return Err(wrong("holds a query"));
        }
        Ok(typed.trim_end_matches('/').to_owned())
    }
}

impl fmt::Debug for Config {
    /// Everything but the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endpoint = if self.endpoint.contains('@') { "(with credentials)" } else { &self.endpoint };
        f.debug_struct("Config")
            .field("cache", &self.cache)
            .field("endpoint", &endpoint)
            .field("token", &self.token.as_ref().map(|_| "(hidden)"))
            .field("offline", &self.offline)
            .field("patience", &self.patience)
            .field("attempts", &self.attempts)
            .field("backoff", &self.backoff)
            .field("concurrency", &self.concurrency)
            .finish()
    }
}
