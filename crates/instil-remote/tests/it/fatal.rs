//! What ends a run, in the words that the user reads, and what is refused for one prompt only.

use std::net::TcpListener;

use instil::lm::{LanguageModel, Outcome};
use instil_remote::{Config, Endpoint};
use serde_json::json;

use crate::server::{Reply, Server};
use crate::{all, drive, fatal, one_by_one, quick, request, told};

/// What ends a run against a server that gives every call this reply.
fn ended_by(reply: Reply) -> String {
    let server = Server::start(move |_| reply.clone());
    told(&fatal(quick(&server.base)), &server.base)
}

#[test]
fn a_key_that_is_refused_is_not_shown() {
    let server = Server::start(|_| Reply::error(401, "Incorrect API key provided: sk-hush."));
    let config = Config { api_key: Some("sk-hush".into()), ..quick(&server.base) };
    assert!(!format!("{config:?}").contains("hush"));
    let endpoint = Endpoint::connect(config.clone()).unwrap();
    assert_eq!(format!("{endpoint:?}").replace(&server.base, "BASE"), "Endpoint(\"BASE tiny\")");
    let error = fatal(config);
    assert_eq!(
        told(&error, &server.base),
        "the endpoint `BASE` refused the key: HTTP 401: Incorrect API key provided: (key).\n\
         hint: set OPENAI_API_KEY to a key that is good for this endpoint and model"
    );
    assert!(!format!("{error:?}").contains("hush"));
    assert_eq!(server.calls().len(), 1, "it is not tried again");

    let failing = Server::start(|_| Reply::error(500, "sk-hush is unlucky"));
    let config = Config { api_key: Some("sk-hush".into()), attempts: 1, ..quick(&failing.base) };
    let events = all(&Endpoint::connect(config).unwrap(), vec![request(1, 1)]);
    assert_eq!(events[0].outcome, Outcome::Failed("HTTP 500: (key) is unlucky".into()));

    let broken = Config { api_key: Some("sk-\nhush".into()), ..quick(&server.base) };
    let error = Endpoint::connect(broken).unwrap_err();
    assert_eq!(
        told(&error, &server.base),
        "the API key holds characters that can't be sent\nhint: look for a line break or a quote in OPENAI_API_KEY"
    );
}

#[test]
fn a_key_that_is_missing_is_asked_for() {
    assert_eq!(
        ended_by(Reply::json(403, json!({"detail": "Forbidden"}))),
        "the endpoint `BASE` asks for a key: HTTP 403: Forbidden\n\
         hint: set OPENAI_API_KEY to a key that is good for this endpoint and model"
    );
}

#[test]
fn a_model_that_is_not_there_is_named_with_the_nearest() {
    let models = json!({"data": [{"id": "bonito-v1"}, {"id": "other"}]});
    let server = Server::with_models(Reply::json(200, models), |_| Reply::error(404, "no such model"));
    let config = Config { model: Some("bonito-v2".into()), ..quick(&server.base) };
    assert_eq!(
        told(&fatal(config), &server.base),
        "the endpoint `BASE` has no model `bonito-v2`: HTTP 404: no such model\n\
         hint: did you mean `bonito-v1`? it has: `bonito-v1`, `other`"
    );
}

#[test]
fn a_path_that_is_not_there_is_named() {
    assert_eq!(
        ended_by(Reply::json(404, json!({"detail": "Not Found"}))),
        "the endpoint `BASE` has model `tiny` but not at `/completions`: HTTP 404: Not Found\n\
         hint: it may offer the other API: completions instead of chat, or chat instead of completions"
    );
    let server = Server::with_models(Reply::text(404, "nope"), |_| Reply::text(404, "nope"));
    assert_eq!(
        told(&fatal(quick(&server.base)), &server.base),
        "there is nothing at `BASE/completions`: HTTP 404: nope\n\
         hint: the base URL should end in `/v1`; if it does, is there a model `tiny`?"
    );
}

#[test]
fn an_empty_account_is_not_tried_again() {
    let quota = json!({"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}});
    let expected = "the endpoint `BASE` wants to be paid: You exceeded your quota\n\
                    hint: fill the account or use another one; what was answered so far is kept";
    assert_eq!(ended_by(Reply::json(429, quota)), expected);
    assert_eq!(ended_by(Reply::error(402, "You exceeded your quota")), expected);
}

#[test]
fn a_redirect_is_not_followed() {
    assert_eq!(
        ended_by(Reply::text(307, "").with("Location", "https://elsewhere.example/v1/completions")),
        "the endpoint `BASE` redirects to `https://elsewhere.example/v1/completions`\n\
         hint: prompts are sent only to the address that was given; if the new one is right, give that"
    );
}

#[test]
fn an_address_where_nobody_is_is_told_at_once() {
    // A port that was free a moment ago.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let base = format!("http://{address}/v1");
    let expected = "failed to reach `BASE`: Connection refused (os error 111)\n\
                    hint: is the server running, and are host and port right?";
    let without_os = |text: String| text.split(" (os error").next().unwrap_or_default().to_owned();
    let endpoint = Endpoint::connect(quick(&base)).unwrap();
    let error = endpoint.open().err().unwrap();
    assert_eq!(without_os(told(&error, &base)), without_os(expected.to_owned()));
    assert_eq!(error.hint(), Some("is the server running, and are host and port right?"));
    let unnamed = Endpoint::connect(Config { model: None, ..quick(&base) });
    assert_eq!(told(&unnamed.unwrap_err(), &base), told(&error, &base));
}

#[test]
fn a_prompt_that_is_refused_concerns_no_other() {
    let server = Server::start(|call| match call.prompt() {
        "prompt 1" => Reply::error(400, "This model's maximum context length is 2048 tokens."),
        "prompt 2" => Reply::text(413, "Payload Too Large"),
        "prompt 3" => Reply::json(422, json!({"error": "`inputs` must have less than 1024 tokens"})),
        _ => call.answer(call.n()),
    });
    let endpoint = Endpoint::connect(one_by_one(&server.base)).unwrap();
    let events = all(&endpoint, (0..5).map(|id| request(id, 2)).collect());
    let refused = |message: &str| Outcome::Refused(message.into());
    for sample in [0, 1] {
        assert_eq!(
            events[2 + sample].outcome,
            refused("This model's maximum context length is 2048 tokens.")
        );
        assert_eq!(events[4 + sample].outcome, refused("Payload Too Large"));
        assert_eq!(events[6 + sample].outcome, refused("`inputs` must have less than 1024 tokens"));
    }
    for event in [0, 1, 8, 9] {
        assert!(matches!(events[event].outcome, Outcome::Text(_)));
    }
    // The server is known to take `n`, so that a refusal is not asked about again.
    assert_eq!(server.calls().len(), 5);
}

#[test]
fn a_setting_that_is_refused_at_first_ends_the_run() {
    assert_eq!(
        ended_by(Reply::error(400, "Unrecognized request argument supplied: seed")),
        "the endpoint `BASE` refused a setting of every call: Unrecognized request argument supplied: seed\n\
         hint: give another value, or use a model and server that take it"
    );
    // After a text it can only be about the prompt.
    let server = Server::start(|call| match call.number {
        0 => call.answer(1),
        _ => Reply::error(400, "Unrecognized request argument supplied: seed"),
    });
    let endpoint = Endpoint::connect(one_by_one(&server.base)).unwrap();
    let (events, error) = drive(&endpoint, vec![request(1, 1), request(2, 1)]);
    assert!(error.is_none());
    assert_eq!(events[1].outcome, Outcome::Refused("Unrecognized request argument supplied: seed".into()));
}
