//! A request from its head to its answer.

use std::future::poll_fn;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use hyper::{Request, Response, StatusCode};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::body::{Body, Stream, failed};
use crate::job::{Heard, Job, prepare};
use crate::metrics::LEFT;
use crate::refusal::Refusal;
use crate::request::{Call, Route};
use crate::server::Shared;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Counts a request whose client leaves before it is answered.
struct Watched {
    shared: Arc<Shared>,
    route: &'static str,
    status: u16,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.shared.metrics.answered(self.route, self.status);
    }
}

/// Answers a request.
pub(crate) async fn handle(request: Request<Incoming>, shared: Arc<Shared>) -> Response<Body> {
    let route = Route::of(request.method().as_str(), request.uri().path());
    let name = route.as_ref().map_or("none", Route::name);
    let mut watched = Watched { shared: Arc::clone(&shared), route: name, status: LEFT };
    let allowed = route.as_ref().err().filter(|refusal| refusal.status == 405).map(|_| {
        // A path has one method.
        if request.method() == "POST" { "GET, HEAD" } else { "POST" }
    });
    let response = answer(route, request, shared).await.unwrap_or_else(|refusal| refused(&refusal, allowed));
    watched.status = response.status().as_u16();
    response
}

async fn answer(
    route: Result<Route, Refusal>,
    request: Request<Incoming>,
    shared: Arc<Shared>,
) -> Result<Response<Body>, Refusal> {
    let started = Instant::now();
    // Whoever watches over the server needs no key to ask whether it lives.
    if !matches!(route, Ok(Route::Health)) {
        may_ask(request.headers(), &shared)?;
    }
    let route = route?;
    if shared.stopping.load(Ordering::Relaxed) && route != Route::Metrics {
        return Err(Refusal::new(503, "server_error", "the server is stopping").with_code("stopping"));
    }
    if !route.has_body() {
        return plain(&route, &shared);
    }
    let name = route.name();
    check_type(request.headers())?;
    let body = read(request.into_body(), &shared).await?;
    // Parsing and encoding can take long enough for others to notice.
    let preparing = {
        let shared = Arc::clone(&shared);
        spawn_blocking(move || prepare(Call::parse(route, &body)?, &shared))
    };
    let (requests, mut answer, stream) = preparing.await.map_err(|_| failed())??.split();
    let mut job = Job::begin(requests, shared, name, started)?;
    if stream {
        let mut response = Response::new(Body::Stream(Box::new(Stream::new(job, answer))));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        return Ok(response);
    }
    answer.begin();
    loop {
        match poll_fn(|cx| job.poll_next(cx)).await {
            Heard::Event(index, event) => answer.take(index, event)?,
            Heard::Over => return Ok(json_of(&answer.whole())),
            Heard::Failed => return Err(failed()),
        }
    }
}

/// The routes that the model isn't asked for.
fn plain(route: &Route, shared: &Shared) -> Result<Response<Body>, Refusal> {
    let model = || {
        json!({
            "id": shared.config.name, "object": "model", "created": shared.created, "owned_by": "instil",
            "max_model_len": shared.model.window(),
        })
    };
    match route {
        Route::Models => Ok(json_of(&json!({"object": "list", "data": [model()]}))),
        Route::Model(id) if *id == shared.config.name => Ok(json_of(&model())),
        Route::Model(id) => {
            let message = format!("there is no model `{id}`; `{}` is served", shared.config.name);
            Err(Refusal::new(404, "invalid_request_error", message).with_code("model_not_found"))
        }
        Route::Metrics => {
            let load = shared.session.load();
            // What the model hasn't looked at yet waits too.
            let queued = shared.places.load(Ordering::Relaxed).saturating_sub(load.running);
            let mut response = Response::new(Body::Whole(shared.metrics.text(load, queued).into()));
            let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
            response.headers_mut().insert(CONTENT_TYPE, kind);
            Ok(response)
        }
        Route::Health if shared.session.is_alive() => Ok(json_of(&json!({"status": "ok"}))),
        Route::Health => Err(Refusal { status: 503, ..failed() }),
        Route::Completions | Route::Chat => Err(Refusal::invalid("nothing is asked")),
    }
}

/// Whether a request has the key; where there is none, whether it is meant for this machine.
fn may_ask(headers: &HeaderMap, shared: &Shared) -> Result<(), Refusal> {
    let Some(key) = shared.key else { return is_local(headers) };
    let given = headers.get(AUTHORIZATION).map(|value| value.as_bytes().split_at_checked("Bearer ".len()));
    match given {
        Some(Some((scheme, given)))
            if scheme.eq_ignore_ascii_case(b"Bearer ") && blake3::hash(given.trim_ascii()) == key =>
        {
            Ok(())
        }
        given => {
            let message = match given {
                None => "an API key is needed: `Authorization: Bearer …`",
                Some(_) => "the API key is wrong",
            };
            Err(Refusal::new(401, "invalid_request_error", message).with_code("invalid_api_key"))
        }
    }
}

/// A page in this machine's browser can be made to ask a server here under a name of its own (DNS rebinding), and would
/// read the answer. Without a key only addresses and `localhost` are answered.
fn is_local(headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(host) = headers.get(HOST) else { return Ok(()) };
    let host = String::from_utf8_lossy(host.as_bytes()).to_ascii_lowercase();
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    if name == "localhost" || name.ends_with(".localhost") || name.parse::<IpAddr>().is_ok() {
        return Ok(());
    }
    let message =
        format!("without an API key no request to `{name}` is answered, only to localhost or an address");
    Err(Refusal::new(403, "invalid_request_error", message).with_code("host_not_allowed"))
}

/// A page in a browser may send any site what isn't JSON, unasked.
fn check_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    if kind.eq_ignore_ascii_case(b"application/json") {
        return Ok(());
    }
    let message = "the body must be JSON: send `Content-Type: application/json`";
    Err(Refusal::new(415, "invalid_request_error", message).with_code("unsupported_media_type"))
}

/// The whole body, if it is small enough and comes soon enough.
async fn read(body: Incoming, shared: &Shared) -> Result<Bytes, Refusal> {
    let (most, patience) = (shared.config.max_body, shared.config.patience);
    let too_large = || {
        let message = format!("the body is larger than {most} bytes, which is the most");
        Refusal::new(413, "invalid_request_error", message).with_code("request_too_large")
    };
    if body.size_hint().lower() > most as u64 {
        return Err(too_large());
    }
    match timeout(patience, Limited::new(body, most).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Refusal::invalid("the body broke off")),
        Err(_) => {
            let message = format!("the body didn't come within {} s", patience.as_secs_f64());
            Err(Refusal::new(408, "invalid_request_error", message).with_code("request_timeout"))
        }
    }
}

fn json_of(value: &Value) -> Response<Body> {
    let mut response = Response::new(Body::Whole(value.to_string().into()));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

fn refused(refusal: &Refusal, allowed: Option<&'static str>) -> Response<Body> {
    let mut response = json_of(&refusal.body());
    *response.status_mut() =
        StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut add = |name, value| response.headers_mut().insert(name, HeaderValue::from_static(value));
    match refusal.status {
        401 => add(WWW_AUTHENTICATE, "Bearer"),
        405 => add(ALLOW, allowed.unwrap_or("GET")),
        // The rest of the body is not read.
        408 | 413 => add(CONNECTION, "close"),
        429 => add(RETRY_AFTER, "1"),
        503 => {
            add(RETRY_AFTER, "1");
            add(CONNECTION, "close")
        }
        _ => None,
    };
    response
}
