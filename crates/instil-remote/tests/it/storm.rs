//! Failures that pass: nothing is lost, nothing comes twice, and nobody is pressed.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use instil::lm::{LanguageModel, Outcome};
use instil::rng::sample_seed;
use instil_remote::{Config, Endpoint};

use crate::server::{Call, Reply, Server, text};
use crate::{all, drive, one_by_one, quick, request, told};

/// Three of ten calls fail, each in another way; which ones is a matter of the prompt and the attempt alone.
fn failing(call: &Call) -> Option<Reply> {
    let number: usize = call.prompt().strip_prefix("prompt ").unwrap().parse().unwrap();
    let place = number + call.attempt;
    if !matches!(place % 10, 0 | 3 | 6) {
        return None;
    }
    let failures = [
        Reply::error(429, "slow down").with("Retry-After", 0),
        Reply::error(500, "oh"),
        Reply::text(503, "<html>busy</html>"),
        Reply::Gone,
        Reply::Half,
        Reply::text(200, "<html>welcome</html>"),
        Reply::text(200, ""),
        Reply::text(200, r#"{"object": "text_completion"}"#),
        Reply::text(200, r#"{"choices": [{"index": 0, "te"#),
        Reply::text(408, ""),
        Reply::error(425, "too early"),
    ];
    Some(failures[(number / 10 + place) % failures.len()].clone())
}

#[test]
fn every_sample_arrives_once_through_a_server_that_fails_three_calls_of_ten() {
    let server = Server::start(|call| failing(call).unwrap_or_else(|| call.answer(call.n())));
    let config = Config { concurrency: NonZeroUsize::new(32).unwrap(), ..quick(&server.base) };
    let endpoint = Endpoint::connect(config).unwrap();
    let (events, error) = drive(&endpoint, (0..300).map(|id| request(id, 2)).collect());
    assert!(error.is_none(), "{error:?}");

    let mut came: BTreeMap<(u64, u32), Vec<String>> = BTreeMap::new();
    for event in &events {
        came.entry((event.request, event.sample)).or_default().push(crate::text_of(event).to_owned());
    }
    let expected: BTreeMap<(u64, u32), Vec<String>> = (0..300_u64)
        .flat_map(|id| [(id, 0), (id, 1)])
        .map(|(id, sample)| {
            let text = text(&format!("prompt {id}"), sample_seed(id, 0), sample as usize);
            ((id, sample), vec![text])
        })
        .collect();
    assert!(came == expected);

    let calls = server.calls();
    let failed = calls.iter().filter(|call| failing(call).is_some()).count();
    assert_eq!((calls.len(), failed), (390, 90));
    let stats = endpoint.stats();
    assert_eq!((stats.calls, stats.retries), (390, 90));
    assert_eq!((stats.prompt_tokens, stats.completion_tokens), (300 * 11, 300 * 10));
}

#[test]
fn every_sample_arrives_once_from_such_a_server_that_ignores_n() {
    let server = Server::start(|call| failing(call).unwrap_or_else(|| call.answer(1)));
    let endpoint = Endpoint::connect(quick(&server.base)).unwrap();
    let events = all(&endpoint, (0..100).map(|id| request(id, 3)).collect());
    let came: Vec<_> =
        events.iter().map(|event| (event.request, event.sample, crate::text_of(event).to_owned())).collect();
    let expected: Vec<_> = (0..100_u64)
        .flat_map(|id| (0..3_u32).map(move |sample| (id, sample)))
        .map(|(id, sample)| (id, sample, text(&format!("prompt {id}"), sample_seed(id, sample), 0)))
        .collect();
    assert!(came == expected);
}

#[test]
fn retry_after_is_honoured() {
    let server = Server::start(|call| match (call.attempt, call.prompt()) {
        (0, "prompt 1") => Reply::error(429, "slow down").with("Retry-After", 1),
        (0, "prompt 2") => Reply::error(503, "starting")
            .with("Date", "Fri, 15 May 2015 15:34:20 GMT")
            .with("Retry-After", "Fri, 15 May 2015 15:34:21 GMT"),
        _ => call.answer(1),
    });
    let endpoint = Endpoint::connect(quick(&server.base)).unwrap();
    let events = all(&endpoint, vec![request(1, 1), request(2, 1)]);
    events.iter().for_each(|event| assert!(!crate::text_of(event).is_empty()));
    for prompt in ["prompt 1", "prompt 2"] {
        let at: Vec<Instant> =
            server.calls().iter().filter(|call| call.prompt() == prompt).map(|call| call.at).collect();
        assert_eq!(at.len(), 2);
        let waited = at[1] - at[0];
        assert!(waited >= Duration::from_secs(1) && waited < Duration::from_secs(3), "{waited:?}");
    }
}

#[test]
fn samples_fail_when_every_attempt_has() {
    let server = Server::start(|call| match call.prompt() {
        "prompt 1" => Reply::error(500, "oh"),
        "prompt 2" => Reply::error(429, "tomorrow").with("Retry-After", 86_400),
        "prompt 3" => Reply::text(200, "<html>"),
        _ => call.answer(call.n()),
    });
    let endpoint = Endpoint::connect(Config { attempts: 3, ..quick(&server.base) }).unwrap();
    let events = all(&endpoint, vec![request(1, 2), request(2, 1), request(3, 1), request(4, 1)]);
    let failed = |message: &str| Outcome::Failed(message.into());
    assert_eq!(events[0].outcome, failed("HTTP 500: oh (the last of 3 attempts)"));
    assert_eq!(events[1].outcome, events[0].outcome);
    assert_eq!(events[2].outcome, failed("HTTP 429: tomorrow; it asks to come back in 86400 s"));
    assert_eq!(events[3].outcome, failed("the answer is not JSON: `<html>` (the last of 3 attempts)"));
    assert!(matches!(events[4].outcome, Outcome::Text(_)));
    assert_eq!(server.calls().len(), 3 + 1 + 3 + 1);
}

#[test]
fn a_server_that_hangs_is_given_up() {
    let server = Server::start(|_| Reply::Hang);
    let config = Config { timeout: Duration::from_millis(150), attempts: 2, ..quick(&server.base) };
    let events = all(&Endpoint::connect(config).unwrap(), vec![request(1, 1)]);
    assert_eq!(
        events[0].outcome,
        Outcome::Failed("no answer in time (global) (the last of 2 attempts)".into())
    );
}

#[test]
fn a_server_that_is_gone_ends_the_run() {
    let server =
        Server::start(|call| if call.number < 3 { call.answer(1) } else { Reply::error(502, "gone") });
    let endpoint = Endpoint::connect(Config { attempts: 2, ..one_by_one(&server.base) }).unwrap();
    let (events, error) = drive(&endpoint, (0..100).map(|id| request(id, 1)).collect());
    let failed = events.iter().filter(|event| matches!(event.outcome, Outcome::Failed(_))).count();
    assert_eq!((events.len() - failed, failed), (3, 15));
    assert_eq!(
        told(&error.unwrap(), &server.base),
        "the endpoint `BASE` answers no more: 16 calls in a row failed: HTTP 502: gone (the last of 2 attempts)\n\
         hint: run the same again when it is back; what was answered so far is kept"
    );
}

#[test]
fn bad_prompts_do_not_end_the_run() {
    let server = Server::start(|_| Reply::error(500, "assertion failed"));
    let endpoint = Endpoint::connect(Config { attempts: 1, ..one_by_one(&server.base) }).unwrap();
    let events = all(&endpoint, (0..40).map(|id| request(id, 1)).collect());
    assert!(events.iter().all(|event| event.outcome == Outcome::Failed("HTTP 500: assertion failed".into())));
    assert_eq!(events.len(), 40);
}

#[test]
fn dropping_the_session_cancels_within_a_second() {
    // Some threads wait for an answer, some for their next attempt; more requests are queued.
    let server = Server::start(|call| match call.number % 2 {
        0 => Reply::Hang,
        _ => Reply::error(503, "later").with("Retry-After", 300),
    });
    let endpoint = Endpoint::connect(quick(&server.base)).unwrap();
    let mut session = endpoint.open().unwrap();
    assert_eq!(session.room(), 16);
    session.submit((0..12).map(|id| request(id, 1)).collect());
    assert_eq!(session.room(), 4);
    while server.calls().len() < 8 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let begun = Instant::now();
    drop(session);
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(server.calls().len(), 8, "nothing is begun after that");
}
