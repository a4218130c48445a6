//! Bytes out and bytes in: the one place that knows `ureq`.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use instil::{Error, Result};
use ureq::http::{HeaderMap, HeaderValue};

use super::config::Config;

/// The longest that a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);
/// The longest that small questions (`GET /models`) may take.
const SMALL: Duration = Duration::from_secs(15);
/// vLLM's web server closes a connection that was idle for 5 s, so none is used again after that.
const IDLE: Duration = Duration::from_secs(4);
/// The longest answer that is read: far above any completion, far below what hurts.
const MAX_BODY_BYTES: u64 = 64 << 20;

/// A server and the way to it.
pub(super) struct Http {
    /// The base URL without a slash at its end.
    pub(super) base: String,
    agent: ureq::Agent,
    bearer: Option<HeaderValue>,
    key: Option<String>,
}

/// What a server answered, whatever its status.
pub(super) struct Answer {
    pub(super) status: u16,
    /// What `Retry-After` asks for.
    pub(super) retry_after: Option<Duration>,
    /// Where a redirect leads.
    pub(super) location: Option<String>,
    pub(super) body: Vec<u8>,
}

/// No answer, or half of one.
pub(super) struct Trouble {
    pub(super) message: String,
    /// Whether not even a connection was made.
    pub(super) unreachable: bool,
}

impl Http {
    /// The way to the server of these settings.
    ///
    /// # Errors
    /// When the base URL is none or the key can't stand in a header.
    pub(super) fn new(config: &Config) -> Result<Self> {
        let (base, host) = config.base()?;
        let key = config.api_key.as_deref().map(str::trim).filter(|key| !key.is_empty()).map(str::to_owned);
        let bearer = match &key {
            None => None,
            Some(key) => {
                let mut value = HeaderValue::from_str(&format!("Bearer {key}")).map_err(|_| {
                    Error::usage("the API key holds characters that can't be sent")
                        .with_hint("look for a line break or a quote in OPENAI_API_KEY")
                })?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        let calls = config.concurrency.get();
        let mut settings = ureq::Agent::config_builder()
            .http_status_as_error(false)
            // A prompt is somebody's text: it goes to the address that was given and nowhere else.
            .max_redirects(0)
            .timeout_connect(Some(CONNECT))
            .timeout_global(Some(config.timeout))
            .max_idle_connections(calls)
            .max_idle_connections_per_host(calls)
            .max_idle_age(IDLE)
            .user_agent(concat!("instil/", env!("CARGO_PKG_VERSION")));
        if is_this_machine(&host) {
            // A proxy's loopback is not ours.
            settings = settings.proxy(None);
        }
        Ok(Self { base, agent: settings.build().into(), bearer, key })
    }

    /// Whether a key is sent.
    pub(super) fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// Asks for something small.
    pub(super) fn get(&self, path: &str) -> Result<Answer, Trouble> {
        let mut request = self.agent.get(format!("{}{path}", self.base));
        if let Some(bearer) = &self.bearer {
            request = request.header("authorization", bearer);
        }
        let sent = request.config().timeout_global(Some(SMALL)).build().call();
        self.take(sent)
    }

    /// Sends a JSON document and waits for what comes back.
    pub(super) fn post(&self, path: &str, json: &[u8]) -> Result<Answer, Trouble> {
        let mut request =
            self.agent.post(format!("{}{path}", self.base)).header("content-type", "application/json");
        if let Some(bearer) = &self.bearer {
            request = request.header("authorization", bearer);
        }
        self.take(request.send(json))
    }

    fn take(&self, sent: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Answer, Trouble> {
        let mut response = sent.map_err(|error| self.trouble(&error))?;
        let headers = response.headers();
        let location = header(headers, "location").map(str::to_owned);
        let retry_after = retry_after(headers);
        let status = response.status().as_u16();
        let body =
            response.body_mut().with_config().limit(MAX_BODY_BYTES).read_to_vec().map_err(|error| {
                Trouble { message: format!("the answer broke off: {}", self.say(&error)), unreachable: false }
            })?;
        Ok(Answer { status, retry_after, location, body })
    }

    fn trouble(&self, error: &ureq::Error) -> Trouble {
        use std::io::ErrorKind as Io;
        use ureq::Timeout;
        let unreachable = match error {
            ureq::Error::HostNotFound
            | ureq::Error::ConnectionFailed
            | ureq::Error::ConnectProxyFailed(_)
            | ureq::Error::Rustls(_)
            | ureq::Error::Tls(_)
            | ureq::Error::Timeout(Timeout::Connect | Timeout::Resolve) => true,
            ureq::Error::Io(error) => {
                matches!(error.kind(), Io::ConnectionRefused | Io::HostUnreachable | Io::NetworkUnreachable)
            }
            _ => false,
        };
        Trouble { message: self.say(error), unreachable }
    }

    fn say(&self, error: &ureq::Error) -> String {
        let text = match error {
            ureq::Error::HostNotFound => "there is no such host".to_owned(),
            ureq::Error::Timeout(which) => format!("no answer in time ({which})"),
            ureq::Error::Io(error) => error.to_string(),
            other => other.to_string(),
        };
        self.scrub(&text)
    }

    /// `text` on one line, of a length to be shown, and without the key if a server repeats it.
    pub(super) fn scrub(&self, text: &str) -> String {
        const LONGEST: usize = 600;
        let hidden = match &self.key {
            Some(key) => text.replace(key.as_str(), "(key)"),
            None => text.to_owned(),
        };
        let mut line = hidden.split_whitespace().collect::<Vec<_>>().join(" ");
        if let Some((end, _)) = line.char_indices().nth(LONGEST) {
            line.truncate(end);
            line.push('…');
        }
        line
    }
}

pub(crate) fn is_this_machine(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback() || address.is_unspecified())
}

pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// What `Retry-After` asks for: seconds, or a date, which is compared with the server's own clock if it tells it.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let asked = header(headers, "retry-after")?.trim();
    if let Ok(seconds) = asked.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let then = httpdate::parse_http_date(asked).ok()?;
    let now = header(headers, "date").and_then(|date| httpdate::parse_http_date(date).ok());
    Some(then.duration_since(now.unwrap_or_else(SystemTime::now)).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(headers: &[(&'static str, &str)]) -> Option<Duration> {
        let map =
            headers.iter().map(|(name, value)| ((*name).parse().unwrap(), value.parse().unwrap())).collect();
        retry_after(&map)
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(asked(&[]), None);
        assert_eq!(asked(&[("retry-after", "7")]), Some(Duration::from_secs(7)));
        assert_eq!(asked(&[("retry-after", "0.5")]), Some(Duration::from_millis(500)));
        assert_eq!(asked(&[("retry-after", "-1")]), None);
        assert_eq!(asked(&[("retry-after", "soon")]), None);
        let date = "Fri, 15 May 2015 15:34:21 GMT";
        assert_eq!(asked(&[("retry-after", date)]), Some(Duration::ZERO));
        assert_eq!(
            asked(&[("retry-after", date), ("date", "Fri, 15 May 2015 15:34:11 GMT")]),
            Some(Duration::from_secs(10))
        );
    }

    #[test]
    fn this_machine_is_reached_without_a_proxy() {
        for host in ["localhost", "127.0.0.1", "127.8.8.8", "[::1]", "0.0.0.0"] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in ["localhost.example.org", "10.0.0.1", "api.example.org"] {
            assert!(!is_this_machine(host), "{host}");
        }
    }

    #[test]
    fn a_key_that_a_server_repeats_is_hidden() {
        let config = Config { api_key: Some(" sk-hush\n".into()), ..Config::new("http://127.0.0.1:9/v1") };
        let http = Http::new(&config).unwrap();
        assert_eq!(http.scrub("no\n key `sk-hush` here"), "no key `(key)` here");
    }
}
