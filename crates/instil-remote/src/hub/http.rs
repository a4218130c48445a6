//! Requests to the Hub and to the stores that it names, and what their answers mean.

use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use instil::error::ErrorKind;
use instil::{Error, Result};
use serde_json::Value;
use ureq::http::uri::Authority;
use ureq::http::{HeaderMap, HeaderValue, Request, Response, Uri};
use ureq::{Body, SendBody};

use super::config::Config;
use super::repo::Repo;
use crate::endpoint::http::{header, is_this_machine, retry_after};
use crate::endpoint::wait::{Cancel, waits};

/// The longest that a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);
/// The longest answer that is read whole: a page of the list of a large repository's files has about a megabyte.
const MAX_ANSWER_BYTES: u64 = 64 << 20;
/// The longest wait that a server may ask for; the Hub counts calls over five minutes.
const LONGEST_WAIT: Duration = Duration::from_secs(310);
/// How often a request is sent on to another address.
const MAX_REDIRECTS: usize = 6;

/// A request, which can be sent again.
pub(super) struct Call<'a> {
    pub(super) method: &'static str,
    pub(super) url: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Sent<'a>,
}

/// What is sent with a request.
pub(super) enum Sent<'a> {
    Nothing,
    Bytes(Vec<u8>),
    /// So many bytes of what this opens.
    Stream(u64, &'a (dyn Fn() -> std::io::Result<Box<dyn Read + 'a>> + 'a)),
}

impl Call<'_> {
    pub(super) fn get(url: String) -> Self {
        Self { method: "GET", url, headers: Vec::new(), body: Sent::Nothing }
    }

    pub(super) fn post(url: String, json: &Value) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Self { method: "POST", url, headers, body: Sent::Bytes(json.to_string().into_bytes()) }
    }

    pub(super) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// Why a request came to nothing.
pub(super) enum Trouble {
    /// It may pass: a broken connection, a server that is busy.
    Passing { message: String, wait: Option<Duration>, unreachable: bool },
    /// It won't.
    Lasting(Failure),
}

impl Trouble {
    /// A broken connection or the like.
    pub(super) fn passing(message: impl Into<String>) -> Self {
        Self::Passing { message: message.into(), wait: None, unreachable: false }
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Lasting(failure)
    }
}

/// What failed for good.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) why: Why,
    pub(super) error: Error,
}

/// What a failure means to who can do something else instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// Nobody answers at the address.
    Unreachable,
    /// There is no such repository for this token.
    NoRepo,
    /// There is no such revision.
    NoRevision,
    /// It is there already.
    Conflict,
    /// Somebody was faster.
    Stale,
    /// A file has no bytes where they were asked for.
    Range,
    /// The caller broke off.
    Stopped,
    /// Anything else.
    Other,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { why: Why::Other, error }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

/// The way to the Hub for work on one repository.
pub(super) struct Client<'a> {
    pub(super) config: &'a Config,
    pub(super) repo: &'a Repo,
    /// The Hub's address, without a slash at its end.
    pub(super) base: String,
    /// Raised when nobody wants the result any more.
    pub(super) stop: &'a Cancel,
    agent: ureq::Agent,
    origin: Origin,
    bearer: Option<HeaderValue>,
    kind: ErrorKind,
    reached: AtomicBool,
}

impl<'a> Client<'a> {
    /// A client whose errors are of this kind: of an input where something is fetched, of an output where it is sent.
    ///
    /// # Errors
    /// When the Hub's address is no URL or the token can't stand in a header.
    pub(super) fn new(config: &'a Config, repo: &'a Repo, stop: &'a Cancel, kind: ErrorKind) -> Result<Self> {
        let base = config.base()?;
        let bearer = match token(config) {
            None => None,
            Some(token) => {
                let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| {
                    Error::usage("the Hub's token holds characters that can't be sent")
                        .with_hint("look for a line break or a quote in HF_TOKEN")
                })?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        let origin = base.parse().ok().as_ref().and_then(Origin::of);
        let settings = ureq::Agent::config_builder()
            .http_status_as_error(false)
            // They are followed here, since the token may not go along.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECT))
            .timeout_per_read(Some(config.patience))
            .timeout_per_write(Some(config.patience))
            .max_idle_connections_per_host(config.concurrency.get())
            .user_agent(concat!("instil/", env!("CARGO_PKG_VERSION")));
        Ok(Self {
            origin: origin.ok_or_else(|| Error::usage("the Hub's address is no URL"))?,
            agent: settings.build().into(),
            config,
            repo,
            base,
            stop,
            bearer,
            kind,
            reached: AtomicBool::new(false),
        })
    }

    /// Whether a token is sent.
    pub(super) fn has_token(&self) -> bool {
        self.bearer.is_some()
    }

    /// The repository's page for people.
    pub(super) fn page(&self) -> String {
        format!("{}{}", self.base, self.repo.page())
    }

    /// An address of the API for the repository, such as `/tree/main`.
    pub(super) fn api(&self, rest: &str) -> String {
        format!("{}{}{rest}", self.base, self.repo.api())
    }

    /// An error of this client's kind.
    pub(super) fn error(&self, message: impl Into<String>) -> Error {
        Error::new(self.kind, message)
    }

    /// What is said when the caller broke off.
    pub(super) fn stopped(&self) -> Failure {
        Failure { why: Why::Stopped, error: self.error("interrupted") }
    }

    /// Sends a request until it is answered, and reads the answer as JSON; an empty one is null.
    pub(super) fn json(&self, doing: &str, call: &Call<'_>) -> Result<Value, Failure> {
        self.json_and_headers(doing, call).map(|(value, _)| value)
    }

    /// The same with the answer's headers.
    pub(super) fn json_and_headers(
        &self,
        doing: &str,
        call: &Call<'_>,
    ) -> Result<(Value, HeaderMap), Failure> {
        self.patiently(doing, || {
            let response = self.open(call)?;
            let (parts, mut body) = response.into_parts();
            let bytes = body
                .with_config()
                .limit(MAX_ANSWER_BYTES)
                .read_to_vec()
                .map_err(|e| Trouble::passing(format!("the answer broke off: {}", self.say(&e))))?;
            if bytes.iter().all(u8::is_ascii_whitespace) {
                return Ok((Value::Null, parts.headers));
            }
            match serde_json::from_slice(&bytes) {
                Ok(value) => Ok((value, parts.headers)),
                Err(_) => Err(Trouble::passing("the answer is no JSON")),
            }
        })
    }

    /// Tries until it succeeds, fails for good, or was tried often enough. Where nobody has answered yet and nobody can
    /// be reached, once is enough.
    pub(super) fn patiently<T>(
        &self,
        doing: &str,
        mut attempt: impl FnMut() -> Result<T, Trouble>,
    ) -> Result<T, Failure> {
        let seed = instil::rng::seed_of(u64::from(std::process::id()), &["hub", doing]);
        let mut waits = waits(self.config.backoff, self.config.attempts, seed);
        loop {
            if self.stop.is_raised() {
                return Err(self.stopped());
            }
            let (message, wait, unreachable) = match attempt() {
                Ok(done) => return Ok(done),
                Err(Trouble::Lasting(failure)) => return Err(failure),
                Err(Trouble::Passing { message, wait, unreachable }) => (message, wait, unreachable),
            };
            if unreachable && !self.reached.load(Ordering::Relaxed) {
                return Err(Failure {
                    why: Why::Unreachable,
                    error: self
                        .error(format!("failed to reach the Hub at `{}`: {message}", self.base))
                        .with_hint("is this machine online, and HF_ENDPOINT right? HF_HUB_OFFLINE=1 keeps to the cache"),
                });
            }
            let asked = wait.unwrap_or_default();
            match waits.next().filter(|_| asked <= LONGEST_WAIT) {
                Some(drawn) => self.stop.wait(drawn.max(asked)),
                None => return Err(self.gave_up(doing, &message)),
            }
        }
    }

    /// What is said when something was tried often enough.
    pub(super) fn gave_up(&self, doing: &str, message: &str) -> Failure {
        let error = self
            .error(format!("failed to {doing}: {message}"))
            .with_hint("run the same again: what has come over so far is kept");
        Failure { why: Why::Other, error }
    }

    /// Sends a request once, and on to where it is redirected: the answer, whose body is not read yet, if it is a
    /// success.
    pub(super) fn open(&self, call: &Call<'_>) -> Result<Response<Body>, Trouble> {
        let mut url = call.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let response = self.send(call, &url)?;
            self.reached.store(true, Ordering::Relaxed);
            let status = response.status().as_u16();
            match status {
                200..=299 => return Ok(response),
                301 | 302 | 303 | 307 | 308 if call.method == "GET" || status >= 307 => {
                    url = self.redirected(&url, header(response.headers(), "location"))?;
                }
                _ if self.is_own(&url) => return Err(self.verdict(response)),
                416 => return Err(self.verdict(response)),
                // A store's address is good for an hour; the Hub gives another one.
                _ => {
                    let host = url.split('/').nth(2).unwrap_or_default();
                    return Err(Trouble::passing(format!("the store `{host}` answered HTTP {status}")));
                }
            }
        }
        Err(self.odd(&format!("redirects more than {MAX_REDIRECTS} times")).into())
    }

    /// Whether this is an address of the Hub itself.
    fn is_own(&self, url: &str) -> bool {
        url.parse().ok().as_ref().and_then(Origin::of).is_some_and(|origin| origin == self.origin)
    }

    fn send(&self, call: &Call<'_>, url: &str) -> Result<Response<Body>, Trouble> {
        let is_wrong = |_| Trouble::Lasting(self.odd("names an address that is none"));
        let uri: Uri = url.parse().map_err(|e: ureq::http::uri::InvalidUri| is_wrong(e.to_string()))?;
        let host = uri.host().unwrap_or_default().to_owned();
        let own = self.is_own(url);
        let mut request = Request::builder().method(call.method).uri(uri);
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        let names_itself = call.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        if let Some(bearer) = self.bearer.as_ref().filter(|_| own && !names_itself) {
            request = request.header("authorization", bearer);
        }
        let body = match &call.body {
            Sent::Nothing => SendBody::none(),
            Sent::Bytes(bytes) => {
                request = request.header("content-length", bytes.len());
                SendBody::from_owned_reader(std::io::Cursor::new(bytes.clone()))
            }
            Sent::Stream(bytes, open) => {
                request = request.header("content-length", *bytes);
                let reader = open()
                    .map_err(|e| Failure::from(self.error("failed to read what is to be sent").because(e)))?;
                return self.run(request, &host, SendBody::from_reader(&mut { reader }));
            }
        };
        self.run(request, &host, body)
    }

    fn run(
        &self,
        request: ureq::http::request::Builder,
        host: &str,
        body: SendBody<'_>,
    ) -> Result<Response<Body>, Trouble> {
        let request = request
            .body(body)
            .map_err(|e| Failure::from(self.error("a request can't be written").because(e)))?;
        let request = match is_this_machine(host) {
            // A proxy's loopback is not ours.
            true => self.agent.configure_request(request).proxy(None).build(),
            false => request,
        };
        self.agent.run(request).map_err(|e| Trouble::Passing {
            message: self.say(&e),
            wait: None,
            unreachable: is_unreachable(&e),
        })
    }

    /// Where a redirect leads.
    fn redirected(&self, from: &str, location: Option<&str>) -> Result<String, Failure> {
        let to = match location {
            Some(to) if to.starts_with('/') && !to.starts_with("//") => {
                let uri: Uri = from.parse().map_err(|_| self.odd("names an address that is none"))?;
                let host = uri.authority().map_or("", Authority::as_str);
                format!("{}://{host}{to}", uri.scheme_str().unwrap_or("https"))
            }
            Some(to) if to.starts_with("https://") => to.to_owned(),
            Some(to) if to.starts_with("http://") && from.starts_with("http://") => to.to_owned(),
            Some(to) if to.starts_with("http://") => {
                return Err(self.odd("redirects from https to http, which is not followed"));
            }
            _ => return Err(self.odd("redirects to no address")),
        };
        Ok(to)
    }

    /// What an answer means that is no success.
    fn verdict(&self, response: Response<Body>) -> Trouble {
        let (parts, mut body) = response.into_parts();
        let status = parts.status.as_u16();
        let text = body.with_config().limit(64 << 10).read_to_vec().unwrap_or_default();
        let message = self.complaint(&parts.headers, &text);
        let told =
            if message.is_empty() { format!("HTTP {status}") } else { format!("HTTP {status}: {message}") };
        if matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504) {
            let wait = retry_after(&parts.headers).or_else(|| window(&parts.headers));
            return Trouble::Passing { message: told, wait, unreachable: false };
        }
        let (repo, page) = (self.repo, self.page());
        let what = repo.kind().word();
        let code = header(&parts.headers, "x-error-code").unwrap_or_default();
        let (why, error, hint) = match (status, code) {
            (_, "GatedRepo") => (
                Why::Other,
                format!("the {what} `{repo}` is given only to who has accepted its conditions: {told}"),
                if self.has_token() {
                    format!(
                        "accept them at {page} with the account that the token is of, or wait to be let in"
                    )
                } else {
                    format!("accept them at {page} and set HF_TOKEN to a token of that account")
                },
            ),
            (_, "RevisionNotFound") => (
                Why::NoRevision,
                format!("the {what} `{}` has no revision `{}`", repo.id(), repo.revision()),
                format!("its branches and tags are at {page}/tree/main"),
            ),
            (_, "EntryNotFound") => (
                Why::Other,
                format!("the {what} `{repo}` lacks a file that it lists: {told}"),
                "run the same again".to_owned(),
            ),
            (416, _) => {
                (Why::Range, format!("a file of the {what} `{repo}` is shorter than listed"), String::new())
            }
            (401, _) if message.contains("Invalid credentials") => (
                Why::Other,
                format!("the Hub refused the token: {told}"),
                format!("set HF_TOKEN to one that is good, from {}/settings/tokens", self.base),
            ),
            (401 | 404, _) => (
                Why::NoRepo,
                format!("the Hub has no {what} `{repo}` for this token: {told}"),
                match (self.has_token(), repo.kind()) {
                    (true, _) => format!("is the name right, and is the account let in at {page}?"),
                    (false, super::Kind::Model) => {
                        "is the name right? A dataset wants --dataset, a private or gated model HF_TOKEN"
                            .to_owned()
                    }
                    (false, super::Kind::Dataset) => {
                        "is the name right? A private or gated dataset wants HF_TOKEN".to_owned()
                    }
                },
            ),
            (403, _) => (
                Why::Other,
                format!("the Hub refused access to the {what} `{repo}`: {told}"),
                format!(
                    "HF_TOKEN must be a token with the right to do so; see {}/settings/tokens",
                    self.base
                ),
            ),
            (409, _) => (Why::Conflict, format!("the Hub has it already: {told}"), String::new()),
            (412, _) => (
                Why::Stale,
                format!("the {what} `{repo}` was changed at the same time: {told}"),
                "run the same again".to_owned(),
            ),
            _ => (
                Why::Other,
                format!("the Hub refused a request about the {what} `{repo}`: {told}"),
                format!("is `{}` the Hub, or one of its mirrors?", self.base),
            ),
        };
        let error = self.error(error);
        Failure { why, error: if hint.is_empty() { error } else { error.with_hint(hint) } }.into()
    }

    /// What a server says for itself: in a header, in JSON, or in a line of text.
    fn complaint(&self, headers: &HeaderMap, body: &[u8]) -> String {
        if let Some(message) = header(headers, "x-error-message") {
            return self.scrub(message);
        }
        let text = String::from_utf8_lossy(body);
        match serde_json::from_str::<Value>(&text) {
            Ok(value) => {
                let said = [&value["error"], &value["message"], &value["error"]["message"]];
                self.scrub(said.iter().find_map(|said| said.as_str()).unwrap_or_default())
            }
            Err(_) if text.trim_start().starts_with('<') => String::new(),
            Err(_) => self.scrub(&text),
        }
    }

    fn odd(&self, what: &str) -> Failure {
        Failure::from(
            self.error(format!("the Hub at `{}` {what}", self.base)).with_hint("is HF_ENDPOINT right?"),
        )
    }

    /// A failed call in words.
    pub(super) fn say(&self, error: &ureq::Error) -> String {
        let text = match error {
            ureq::Error::HostNotFound => "there is no such host".to_owned(),
            ureq::Error::Timeout(_) => "the server was silent for too long".to_owned(),
            ureq::Error::Io(error) => error.to_string(),
            other => other.to_string(),
        };
        self.scrub(&text)
    }

    /// `text` on one line, of a length to be shown, and without the token if a server repeats it.
    fn scrub(&self, text: &str) -> String {
        const LONGEST: usize = 400;
        let hidden = match token(self.config) {
            Some(token) => text.replace(token, "(token)"),
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

/// The token as it is sent.
fn token(config: &Config) -> Option<&str> {
    config.token.as_deref().map(str::trim).filter(|token| !token.is_empty())
}

/// How long the Hub's window of calls is still shut: `t` of a header such as `ratelimit: "api";r=0;t=55`.
fn window(headers: &HeaderMap) -> Option<Duration> {
    let seconds = header(headers, "ratelimit")?.split(';').find_map(|part| part.trim().strip_prefix("t="))?;
    seconds.parse().ok().map(Duration::from_secs)
}

fn is_unreachable(error: &ureq::Error) -> bool {
    use std::io::ErrorKind as Io;
    use ureq::Timeout;
    match error {
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
    }
}

/// Whom a token is for: scheme, host and port.
#[derive(PartialEq, Eq)]
struct Origin(String, String, u16);

impl Origin {
    fn of(uri: &Uri) -> Option<Self> {
        let scheme = uri.scheme_str()?.to_owned();
        let port = uri.port_u16().unwrap_or(if scheme == "http" { 80 } else { 443 });
        Some(Self(scheme, uri.host()?.to_ascii_lowercase(), port))
    }
}
