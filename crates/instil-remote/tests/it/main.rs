//! [`instil_remote::Endpoint`] against a scripted server.

#![allow(clippy::unwrap_used)]

mod answers;
mod fatal;
mod quirks;
mod score;
mod server;
mod storm;

use std::num::NonZeroUsize;
use std::time::Duration;

use instil::Error;
use instil::lm::{Constraint, Event, Input, LanguageModel, Next, Outcome, Request, Sampling};
use instil_remote::{Config, Endpoint};

/// Settings for tests: waits of milliseconds.
fn quick(base: &str) -> Config {
    Config {
        model: Some("tiny".into()),
        concurrency: NonZeroUsize::new(8).unwrap(),
        timeout: Duration::from_secs(20),
        backoff: Duration::from_millis(5),
        ..Config::new(base)
    }
}

/// The same with one call at a time, where a test is about their order.
fn one_by_one(base: &str) -> Config {
    Config { concurrency: NonZeroUsize::MIN, ..quick(base) }
}

/// Request `id` for samples 0 to `n` - 1 of a prompt of that number.
fn request(id: u64, n: u32) -> Request {
    Request {
        id,
        input: Input::Prompt(format!("prompt {id}")),
        sampling: Sampling::default(),
        seed: id,
        samples: (0..n).collect(),
        constraint: Constraint::Free,
    }
}

/// Submits as there is room until every request has ended: the events, and the error if one ends the session.
fn drive(endpoint: &Endpoint, requests: Vec<Request>) -> (Vec<Event>, Option<Error>) {
    let mut session = endpoint.open().unwrap();
    let (mut requests, mut events) = (requests.into_iter().peekable(), Vec::new());
    loop {
        while session.room() > 0 && requests.peek().is_some() {
            session.submit(requests.next().into_iter().collect());
        }
        match session.next() {
            Ok(Next::Event(event)) => events.push(event),
            Ok(Next::Waiting) => {}
            Err(error) => {
                assert_eq!(session.next().unwrap(), Next::Idle, "after an error there is nothing");
                assert_eq!(session.room(), 0);
                return (events, Some(error));
            }
            Ok(Next::Idle) => break,
        }
    }
    assert!(requests.next().is_none(), "no room was left");
    (events, None)
}

/// [`drive`] where no error is awaited, the events in order.
fn all(endpoint: &Endpoint, requests: Vec<Request>) -> Vec<Event> {
    let (mut events, error) = drive(endpoint, requests);
    assert!(error.is_none(), "{error:?}");
    events.sort_by_key(|event| (event.request, event.sample));
    events
}

/// The error that ends a session with these settings and one request.
fn fatal(config: Config) -> Error {
    let endpoint = Endpoint::connect(config).unwrap();
    let (events, error) = drive(&endpoint, vec![request(1, 1)]);
    assert_eq!(events, []);
    error.expect("the session ends with an error")
}

/// An error and its hint, with the server's address as `BASE`.
fn told(error: &Error, base: &str) -> String {
    format!("{error}\nhint: {}", error.hint().unwrap_or_default()).replace(base, "BASE")
}

fn text_of(event: &Event) -> &str {
    match &event.outcome {
        Outcome::Text(completion) => &completion.text,
        other => panic!("{other:?}"),
    }
}
