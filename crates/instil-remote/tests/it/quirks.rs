//! What servers do differently, and that it is found out once.

use std::sync::Arc;

use instil::lm::{Constraint, Input, LanguageModel, Message, Outcome, Request};
use instil::rng::sample_seed;
use instil_remote::{Config, Endpoint, Structured};
use serde_json::json;

use crate::server::{Call, Reply, Server, text};
use crate::{all, drive, one_by_one, request, told};

/// Two requests for three samples each, one after the other: their texts and the `n` and seed of each call.
fn three_each(script: impl Fn(&Call) -> Reply + Send + Sync + 'static) -> (Vec<String>, Vec<(usize, u64)>) {
    let server = Server::start(script);
    let endpoint = Endpoint::connect(one_by_one(&server.base)).unwrap();
    let events = all(&endpoint, vec![request(1, 3), request(2, 3)]);
    assert_eq!(
        events.iter().map(|event| (event.request, event.sample)).collect::<Vec<_>>(),
        [(1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)]
    );
    let texts = events.iter().map(|event| crate::text_of(event).to_owned()).collect();
    (texts, server.calls().iter().map(|call| (call.n(), call.seed())).collect())
}

/// The texts of samples asked for one by one.
fn one_by_one_texts() -> Vec<String> {
    [(1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)]
        .map(|(id, sample)| text(&format!("prompt {id}"), sample_seed(id, sample), 0))
        .to_vec()
}

#[test]
fn a_server_that_ignores_n_is_asked_for_each_sample() {
    let (texts, calls) = three_each(|call| call.answer(1));
    assert_eq!(texts, one_by_one_texts());
    let seeds = |id| (0..3).map(move |sample| (1, sample_seed(id, sample)));
    let expected: Vec<_> =
        std::iter::once((3, sample_seed(1, 0))).chain(seeds(1).skip(1)).chain(seeds(2)).collect();
    assert_eq!(calls, expected, "only the first call has `n`");
}

#[test]
fn choices_that_are_left_out_are_asked_for_alone() {
    let (texts, calls) = three_each(|call| call.answer(call.n().min(2)));
    let alone = |id, sample| text(&format!("prompt {id}"), sample_seed(id, sample), 0);
    let second = |id| text(&format!("prompt {id}"), sample_seed(id, 0), 1);
    let expected = [alone(1, 0), second(1), alone(1, 2), alone(2, 0), second(2), alone(2, 2)];
    assert_eq!(texts, expected);
    assert_eq!(calls.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [3, 1, 3, 1]);
}

#[test]
fn a_server_that_refuses_n_is_asked_for_each_sample() {
    let refusals = [
        Reply::error(500, "Only one completion choice is allowed"),
        Reply::error(400, "Only one completion choice is allowed"),
        Reply::error(422, "n > 1 is not for you"),
    ];
    for refusal in refusals {
        let (texts, calls) =
            three_each(move |call| if call.n() > 1 { refusal.clone() } else { call.answer(1) });
        assert_eq!(texts, one_by_one_texts());
        assert_eq!(calls.iter().filter(|(n, _)| *n > 1).count(), 1, "{calls:?}");
        assert_eq!(calls.len(), 7);
    }
}

#[test]
fn a_prompt_that_is_refused_for_several_is_tried_for_one_only_once() {
    let server = Server::start(|_| Reply::error(400, "too long"));
    let endpoint = Endpoint::connect(one_by_one(&server.base)).unwrap();
    let events = all(&endpoint, vec![request(1, 4)]);
    assert_eq!(events.len(), 4);
    assert!(events.iter().all(|event| event.outcome == Outcome::Refused("too long".into())));
    assert_eq!(server.calls().iter().map(Call::n).collect::<Vec<_>>(), [4, 1]);
}

#[test]
fn greedy_samples_are_asked_for_one_by_one() {
    let server = Server::start(|call| call.answer(call.n()));
    let endpoint = Endpoint::connect(one_by_one(&server.base)).unwrap();
    let mut greedy = request(1, 2);
    greedy.sampling.temperature = 0.0;
    assert_eq!(all(&endpoint, vec![greedy]).len(), 2);
    assert_eq!(server.calls().iter().map(Call::n).collect::<Vec<_>>(), [1, 1]);
}

#[test]
fn max_tokens_goes_by_its_newer_name_where_it_must() {
    let server = Server::start(|call| match call.body.get("max_tokens") {
        Some(_) => Reply::json(
            400,
            json!({"error": {
                "message": "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
                "type": "invalid_request_error", "param": "max_tokens", "code": "unsupported_parameter",
            }}),
        ),
        None => call.answer(1),
    });
    let endpoint = Endpoint::connect(one_by_one(&server.base)).unwrap();
    assert_eq!(all(&endpoint, vec![request(1, 1), request(2, 1)]).len(), 2);
    let calls = server.calls();
    assert_eq!(calls.len(), 3);
    assert!(calls[1..].iter().all(|call| call.body["max_completion_tokens"] == 256));
    assert_eq!(endpoint.stats().retries, 0);
}

/// A question for a JSON object.
fn structured(id: u64) -> Request {
    let schema = json!({"type": "object", "properties": {"answer": {"type": "string"}}});
    Request {
        input: Input::Messages(vec![Message { role: "user", content: format!("prompt {id}") }]),
        constraint: Constraint::JsonSchema(Arc::new(schema)),
        ..request(id, 1)
    }
}

fn no_schemas(call: &Call) -> Reply {
    match call.body.get("response_format") {
        Some(_) => Reply::error(400, "'response_format.type' must be 'text'"),
        None => call.answer(1),
    }
}

#[test]
fn a_schema_is_sent_as_response_format() {
    let server = Server::start(|call| call.answer(1));
    let endpoint = Endpoint::connect(one_by_one(&server.base)).unwrap();
    all(&endpoint, vec![structured(1), request(2, 1)]);
    let schema = json!({"type": "object", "properties": {"answer": {"type": "string"}}});
    let calls = server.calls();
    let expected =
        json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": true}});
    assert_eq!(calls[0].body["response_format"], expected);
    assert!(calls[1].body.get("response_format").is_none());
}

#[test]
fn a_schema_that_is_refused_is_left_out_from_then_on() {
    let server = Server::start(no_schemas);
    let endpoint = Endpoint::connect(one_by_one(&server.base)).unwrap();
    let events = all(&endpoint, vec![structured(1), structured(2)]);
    assert!(events.iter().all(|event| matches!(event.outcome, Outcome::Text(_))));
    let with = server.calls().iter().filter(|call| call.body.get("response_format").is_some()).count();
    assert_eq!((server.calls().len(), with), (3, 1));
}

#[test]
fn a_schema_that_must_be_is_not_left_out() {
    let server = Server::start(no_schemas);
    let on = Config { structured: Structured::On, ..one_by_one(&server.base) };
    let (_, error) = drive(&Endpoint::connect(on).unwrap(), vec![structured(1)]);
    assert_eq!(
        told(&error.unwrap(), &server.base),
        "the endpoint `BASE` refused the answer's schema: 'response_format.type' must be 'text'\n\
         hint: switch structured answers off for this endpoint, or leave it to instil to find out"
    );
    let off = Config { structured: Structured::Off, ..one_by_one(&server.base) };
    all(&Endpoint::connect(off).unwrap(), vec![structured(2)]);
    assert_eq!(server.calls().len(), 2);
}

/// A question whose answer is one of two.
fn choice(id: u64) -> Request {
    Request { constraint: Constraint::Choice(["yes".to_owned(), "no".to_owned()].into()), ..request(id, 1) }
}

#[test]
fn completions_are_held_to_things_as_the_server_has_it() {
    for (owner, field, value) in [
        ("llamacpp", "grammar", json!("root ::= \"yes\" | \"no\"\n")),
        ("vllm", "structured_outputs", json!({"choice": ["yes", "no"]})),
    ] {
        let models = json!({"data": [{"id": "other", "owned_by": "x"}, {"id": "tiny", "owned_by": owner}]});
        let server = Server::with_models(Reply::json(200, models), |call| call.answer(1));
        let endpoint = Endpoint::connect(Config { constrain: true, ..one_by_one(&server.base) }).unwrap();
        assert!(endpoint.capabilities().constrains);
        all(&endpoint, vec![choice(1), request(2, 1)]);
        let calls = server.calls();
        assert_eq!(calls[0].body[field], value);
        assert!(calls[1].body.get(field).is_none());
    }
}

#[test]
fn a_server_without_structured_output_is_not_asked() {
    let models = json!({"data": [{"id": "tiny", "owned_by": "openai"}]});
    let server = Server::with_models(Reply::json(200, models), |call| call.answer(1));
    let endpoint = Endpoint::connect(Config { constrain: true, ..one_by_one(&server.base) }).unwrap();
    assert!(!endpoint.capabilities().constrains);
    let mut session = endpoint.open().unwrap();
    session.submit(vec![choice(1)]);
    let error = loop {
        match session.next() {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("offers no structured output"), "{error}");
    assert!(server.calls().is_empty());
}
