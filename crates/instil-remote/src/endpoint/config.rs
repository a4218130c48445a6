//! The settings of an endpoint.

use std::fmt;
use std::num::NonZeroUsize;
use std::time::Duration;

use instil::{Error, Result};

/// Which API is called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Api {
    /// `/completions` for prompts, `/chat/completions` for messages.
    #[default]
    Auto,
    /// `/completions` only; messages are not taken.
    Completions,
    /// `/chat/completions` only; a prompt is one message of the user.
    Chat,
}

/// Whether a schema for the answer is sent along, as `response_format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Structured {
    /// In chat, until the server refuses one; from then on without, and the parser decides what the
    /// answers are worth.
    #[default]
    Auto,
    /// Always; a server that refuses it ends the run.
    On,
    /// Never; a constraint has no effect.
    Off,
}

/// How an endpoint is reached and used.
///
/// ```
/// use instil_remote::{Api, Config};
/// let config = Config { api: Api::Chat, api_key: Some("secret".into()), ..Config::new("http://127.0.0.1:8000/v1") };
/// assert_eq!(config.attempts, 6);
/// assert!(!format!("{config:?}").contains("secret"));
/// ```
#[derive(Clone)]
pub struct Config {
    /// What stands before `/completions`, as a rule ending in `/v1`. Without user name, password or query.
    pub base_url: String,
    /// The model's name; where it is left out the server must have just one.
    pub model: Option<String>,
    /// Sent as a bearer token; never printed.
    pub api_key: Option<String>,
    /// Which API is called.
    pub api: Api,
    /// Whether a schema for the answer is sent along.
    pub structured: Structured,
    /// Whether completions will be held to pairs or choices: the server is asked which structured output it has.
    pub constrain: bool,
    /// Calls under way at once, each on a thread.
    pub concurrency: NonZeroUsize,
    /// The longest that one call may take, from the connection (10 s of it at most) to the answer's last byte.
    pub timeout: Duration,
    /// How often a call is made before its samples count as failed; 0 is taken as 1.
    pub attempts: u32,
    /// The longest wait before the second attempt. It doubles with each attempt up to a minute, and a
    /// random share of it is waited, but never less than the server asks for with `Retry-After`.
    pub backoff: Duration,
}

impl Config {
    /// The defaults for this base URL: 32 calls at once, 10 minutes for each, 6 attempts, 1 s.
    pub fn new(base_url: impl Into<String>) -> Self {
        Self {
            base_url: base_url.into(),
            model: None,
            api_key: None,
            api: Api::Auto,
            structured: Structured::Auto,
            constrain: false,
            concurrency: NonZeroUsize::new(32).expect("32 is not 0"),
            timeout: Duration::from_secs(600),
            attempts: 6,
            backoff: Duration::from_secs(1),
        }
    }

    /// The base URL without slashes at its end, and its host.
    ///
    /// # Errors
    /// When it is not the http(s) URL of a folder.
    pub(super) fn base(&self) -> Result<(String, String)> {
        let typed = self.base_url.trim();
        // A URL with a password in it is not repeated.
        let wrong = |what: &str, hint: &str| {
            let shown =
                if typed.contains('@') { "the base URL".to_owned() } else { format!("base URL `{typed}`") };
            Error::usage(format!("{shown} {what}")).with_hint(hint)
        };
        let uri: ureq::http::Uri =
            typed.parse().map_err(|_| wrong("is not a URL", "such as `http://127.0.0.1:8000/v1`"))?;
        let host = match (uri.scheme_str(), uri.host()) {
            (Some("http" | "https"), Some(host)) if !host.is_empty() => host.to_owned(),
            _ => {
                return Err(wrong(
                    "does not begin with http:// or https://",
                    "such as `http://127.0.0.1:8000/v1`",
                ));
            }
        };
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(wrong(
                "holds a user name or password",
                "leave it out and give the key as OPENAI_API_KEY",
            ));
        }
        if uri.query().is_some() || typed.contains('#') {
            return Err(wrong("holds a query", "leave out what begins with `?` or `#`"));
        }
        let base = typed.trim_end_matches('/');
        if let Some(folder) = base.strip_suffix("/completions") {
            let folder = folder.strip_suffix("/chat").unwrap_or(folder);
            return Err(wrong("names one API", &format!("give what stands before it: `{folder}`")));
        }
        Ok((base.to_owned(), host))
    }
}

impl fmt::Debug for Config {
    /// Everything but the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let base_url = if self.base_url.contains('@') { "(with credentials)" } else { &self.base_url };
        f.debug_struct("Config")
            .field("base_url", &base_url)
            .field("model", &self.model)
            .field("api_key", &self.api_key.as_ref().map(|_| "(hidden)"))
            .field("api", &self.api)
            .field("structured", &self.structured)
            .field("constrain", &self.constrain)
            .field("concurrency", &self.concurrency)
            .field("timeout", &self.timeout)
            .field("attempts", &self.attempts)
            .field("backoff", &self.backoff)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble(url: &str) -> String {
        let error = Config::new(url).base().unwrap_err();
        format!("{error}; {}", error.hint().unwrap())
    }

    #[test]
    fn a_base_url_loses_its_slashes() {
        let (base, host) = Config::new(" https://api.example.org/v1// ").base().unwrap();
        assert_eq!((base.as_str(), host.as_str()), ("https://api.example.org/v1", "api.example.org"));
    }

    #[test]
    fn what_is_no_base_url_is_told() {
        let begin = "does not begin with http:// or https://; such as `http://127.0.0.1:8000/v1`";
        assert_eq!(
            trouble("localhost:8000/v1"),
            "base URL `localhost:8000/v1` is not a URL; such as `http://127.0.0.1:8000/v1`"
        );
        assert_eq!(trouble("ftp://a/v1"), format!("base URL `ftp://a/v1` {begin}"));
        assert_eq!(
            trouble("http://a/v1/chat/completions"),
            "base URL `http://a/v1/chat/completions` names one API; give what stands before it: `http://a/v1`"
        );
        assert_eq!(
            trouble("http://a/v1?x=1"),
            "base URL `http://a/v1?x=1` holds a query; leave out what begins with `?` or `#`"
        );
    }

    #[test]
    fn a_password_is_not_repeated() {
        let config = Config::new("http://me:hush@a/v1");
        assert_eq!(
            trouble(&config.base_url),
            "the base URL holds a user name or password; leave it out and give the key as OPENAI_API_KEY"
        );
        assert!(!format!("{config:?}").contains("hush"));
    }
}
