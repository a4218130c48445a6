//! What is sent and what is made of the answer, when all goes well.

use std::process::Command;

use instil::lm::{Capabilities, Completion, Input, LanguageModel, Message, Outcome};
use instil::rng::sample_seed;
use instil_remote::{Api, Config, Endpoint, Stats, Structured};
use serde_json::json;

use crate::server::{Reply, Server, text};
use crate::{all, drive, quick, request, told};

#[test]
fn a_prompt_goes_to_completions() {
    let server = Server::start(|call| call.answer(call.n()));
    let endpoint =
        Endpoint::connect(Config { api_key: Some("sk-hush".into()), ..quick(&server.base) }).unwrap();
    let events = all(&endpoint, vec![request(7, 1)]);

    let seed = sample_seed(7, 0);
    let completion = Completion {
        text: text("prompt 7", seed, 0),
        truncated: false,
        prompt_tokens: Some(11),
        completion_tokens: Some(5),
    };
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].request, events[0].sample), (7, 0));
    assert_eq!(events[0].outcome, Outcome::Text(completion));

    let calls = server.calls();
    assert_eq!(calls[0].path, "/v1/completions");
    assert_eq!(calls[0].authorization.as_deref(), Some("Bearer sk-hush"));
    let sent = json!({
        "model": "tiny", "prompt": "prompt 7", "temperature": 0.5, "top_p": 0.95, "max_tokens": 256,
        "seed": seed, "stream": false,
    });
    assert_eq!(calls[0].body, sent);
    assert_eq!(endpoint.stats(), Stats { calls: 1, retries: 0, prompt_tokens: 11, completion_tokens: 5 });
}

#[test]
fn messages_and_wrapped_prompts_go_to_chat() {
    let server = Server::start(|call| call.answer(call.n()));
    let endpoint = Endpoint::connect(quick(&server.base)).unwrap();
    let mut asked = request(1, 1);
    let message = |role, content: &str| Message { role, content: content.into() };
    asked.input = Input::Messages(vec![message("system", "be brief"), message("user", "why?")]);
    assert_eq!(crate::text_of(&all(&endpoint, vec![asked])[0]), text("why?", sample_seed(1, 0), 0));

    let endpoint = Endpoint::connect(Config { api: Api::Chat, ..quick(&server.base) }).unwrap();
    all(&endpoint, vec![request(2, 1)]);

    let calls = server.calls();
    assert!(calls.iter().all(|call| call.path == "/v1/chat/completions" && call.authorization.is_none()));
    assert_eq!(
        calls[0].body["messages"],
        json!([{"role": "system", "content": "be brief"}, {"role": "user", "content": "why?"}])
    );
    assert_eq!(calls[1].body["messages"], json!([{"role": "user", "content": "prompt 2"}]));
}

#[test]
fn messages_are_nothing_for_the_completions_api() {
    let server = Server::start(|call| call.answer(call.n()));
    let endpoint = Endpoint::connect(Config { api: Api::Completions, ..quick(&server.base) }).unwrap();
    let mut asked = request(1, 1);
    asked.input = Input::Messages(vec![Message { role: "user", content: "why?".into() }]);
    let error = drive(&endpoint, vec![asked]).1.unwrap();
    assert_eq!(told(&error, &server.base), "the completions API takes no messages\nhint: use the chat API");
}

#[test]
fn several_samples_are_one_call_and_keep_their_numbers() {
    let server = Server::start(|call| match call.prompt() {
        // One choice too many, in another order.
        "prompt 2" => Reply::json(
            200,
            json!({"choices": [
                {"index": 2, "text": "two"}, {"index": 7, "text": "seven"}, {"index": 0, "text": "zero", "finish_reason": "length"},
                {"index": 1, "text": "one"}, {"index": 1, "text": "one again"},
            ]}),
        ),
        _ => call.answer(call.n()),
    });
    let endpoint = Endpoint::connect(quick(&server.base)).unwrap();
    let events = all(&endpoint, vec![request(1, 2), request(2, 3)]);

    let texts: Vec<&str> = events.iter().map(crate::text_of).collect();
    let seed = sample_seed(1, 0);
    assert_eq!(texts, [&text("prompt 1", seed, 0), &text("prompt 1", seed, 1), "zero", "one", "two"]);
    let Outcome::Text(first) = &events[0].outcome else { panic!() };
    assert_eq!((first.prompt_tokens, first.completion_tokens), (Some(11), None), "the sum is not shared out");
    let truncated =
        |at: usize| matches!(&events[at].outcome, Outcome::Text(completion) if completion.truncated);
    assert!(truncated(2) && !truncated(3));
    assert_eq!(server.calls().len(), 2);
    assert_eq!(endpoint.stats().completion_tokens, 10);
}

#[test]
fn a_sample_alone_has_its_own_seed() {
    let server = Server::start(|call| call.answer(call.n()));
    let endpoint = Endpoint::connect(quick(&server.base)).unwrap();
    let mut asked = request(1, 0);
    asked.samples = vec![1, 3];
    let events = all(&endpoint, vec![asked, request(2, 0)]);
    let texts: Vec<&str> = events.iter().map(crate::text_of).collect();
    assert_eq!(texts, [text("prompt 1", sample_seed(1, 1), 0), text("prompt 1", sample_seed(1, 3), 0)]);
    assert_eq!(events.iter().map(|event| event.sample).collect::<Vec<_>>(), [1, 3]);
}

#[test]
fn the_only_model_is_taken_and_others_are_named() {
    let unnamed = |base: &str| Endpoint::connect(Config { model: None, ..quick(base) });
    let server = Server::start(|call| call.answer(call.n()));
    let endpoint = unnamed(&server.base).unwrap();
    assert_eq!(endpoint.model(), "tiny");
    all(&endpoint, vec![request(1, 1)]);
    assert_eq!(server.calls()[0].body["model"], "tiny");

    let failing = |models: Reply| {
        let server = Server::with_models(models, |call| call.answer(1));
        told(&unnamed(&server.base).unwrap_err(), &server.base)
    };
    assert_eq!(
        failing(Reply::json(200, json!({"data": [{"id": "a"}, {"id": "b"}]}))),
        "`BASE` has 2 models\nhint: name one of them: `a`, `b`"
    );
    assert_eq!(
        failing(Reply::json(200, json!({"data": []}))),
        "`BASE` lists no models\nhint: name the model"
    );
    assert_eq!(
        failing(Reply::text(404, "not found")),
        "`BASE` doesn't list its models: HTTP 404\nhint: the base URL should end in `/v1`; if it does, name the model"
    );
    assert_eq!(
        failing(Reply::error(401, "no key")),
        "the endpoint `BASE` asks for a key: HTTP 401: no key\nhint: set OPENAI_API_KEY to a key that is good for this endpoint and model"
    );
}

#[test]
fn identity_and_capabilities_follow_the_settings() {
    let with = |api, structured| {
        let config = Config { api, structured, ..quick("http://127.0.0.1:9/v1/") };
        let endpoint = Endpoint::connect(config).unwrap();
        (endpoint.identity().to_string(), endpoint.capabilities())
    };
    let can = |json_schema, messages| Capabilities {
        json_schema,
        constrains: false,
        messages,
        journaled: true,
        scores: true,
    };
    let plain = "http://127.0.0.1:9/v1 tiny".to_owned();
    assert_eq!(with(Api::Auto, Structured::Auto), (plain.clone(), can(true, true)));
    assert_eq!(with(Api::Auto, Structured::Off), (plain.clone(), can(false, true)));
    assert_eq!(with(Api::Completions, Structured::Auto), (plain.clone(), can(false, false)));
    assert_eq!(with(Api::Completions, Structured::On), (plain.clone(), can(true, false)));
    let chat = Capabilities { scores: false, ..can(true, true) };
    assert_eq!(with(Api::Chat, Structured::Auto), (format!("{plain} chat"), chat));
}

/// The variables are set for another process, since a test can't change its own safely.
#[test]
fn a_proxy_is_not_asked_for_this_machine() {
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "answers::a_prompt_goes_to_completions"]);
    for name in ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "http_proxy"] {
        again.env(name, "http://127.0.0.1:1");
    }
    for name in ["NO_PROXY", "no_proxy"] {
        again.env_remove(name);
    }
    let output = again.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}
