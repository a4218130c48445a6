use instil::lm::Sampling;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn completions(body: &Value) -> Result<Completions, Refusal> {
    Completions::parse(body.to_string().as_bytes())
}

fn chat(body: &Value) -> Result<Chat, Refusal> {
    Chat::parse(body.to_string().as_bytes())
}

#[test]
fn a_path_and_a_method_are_a_route() {
    assert_eq!(Route::of("POST", "/v1/completions"), Ok(Route::Completions));
    assert_eq!(Route::of("GET", "/v1/models/owner/name"), Ok(Route::Model("owner/name".into())));
    assert_eq!(Route::of("HEAD", "/health"), Ok(Route::Health));
    let status = |method, path| Route::of(method, path).unwrap_err().status;
    assert_eq!(status("GET", "/v1/completions"), 405);
    assert_eq!(status("HEAD", "/v1/chat/completions"), 405);
    assert_eq!(status("DELETE", "/v1/models/m"), 405);
    assert_eq!(status("POST", "/v1/embeddings"), 404);
    assert_eq!(status("GET", "/v1/models/"), 404);
    assert_eq!(status("GET", "/"), 404);
}

#[test]
fn prompts_are_texts_or_tokens_or_lists_of_these() {
    let prompts = |prompt: Value| completions(&json!({"prompt": prompt})).unwrap().prompts;
    let text = |text: &str| Prompt::Text(text.to_owned());
    assert_eq!(prompts(json!("a")), [text("a")]);
    assert_eq!(prompts(json!(["a", "b"])), [text("a"), text("b")]);
    assert_eq!(prompts(json!([1, 2])), [Prompt::Tokens(vec![1, 2])]);
    assert_eq!(prompts(json!([[1, 2], [3]])), [Prompt::Tokens(vec![1, 2]), Prompt::Tokens(vec![3])]);
    assert_eq!(prompts(json!(["a", [3]])), [text("a"), Prompt::Tokens(vec![3])]);
}

#[test]
fn what_is_left_out_is_as_openai_has_it() {
    let asked =
        completions(&json!({"prompt": "a", "seed": null, "user": "u", "best_of": 1, "n": 1})).unwrap();
    let sampling = Sampling { temperature: 1.0, top_p: 1.0, max_tokens: 16, ..Sampling::default() };
    assert_eq!(asked.common.sampling, sampling);
    let Common { model, n, seed, ends, stream, include_usage, .. } = asked.common;
    assert_eq!((model, n, seed, ends, stream, include_usage), (None, 1, None, true, false, false));
    assert_eq!((asked.logprobs, asked.echo), (None, false));
    let asked = chat(&json!({"messages": [{"role": "user", "content": "a"}]})).unwrap();
    assert_eq!((asked.common.sampling.max_tokens, asked.logprobs), (u32::MAX, None));
}

#[test]
fn everything_that_is_asked_is_read() {
    let body = json!({
        "model": "any", "prompt": [5], "max_tokens": 0, "echo": true, "logprobs": 3, "temperature": 0, "top_p": 0.5,
        "top_k": -1, "min_p": 0.1, "repetition_penalty": 1.1, "presence_penalty": -1, "frequency_penalty": 2,
        "stop": "x", "n": 4, "seed": -1, "ignore_eos": true, "stream": true,
        "stream_options": {"include_usage": true}, "logit_bias": {}, "suffix": "", "best_of": 4,
        "response_format": {"type": "text"},
    });
    let asked = completions(&body).unwrap();
    let sampling = Sampling {
        temperature: 0.0,
        top_p: 0.5,
        max_tokens: 0,
        top_k: 0,
        min_p: 0.1,
        repetition_penalty: 1.1,
        presence_penalty: -1.0,
        frequency_penalty: 2.0,
        stop: vec!["x".into()],
    };
    assert_eq!(asked.common.sampling, sampling);
    let Common { model, n, seed, ends, stream, include_usage, .. } = asked.common;
    assert_eq!((model.as_deref(), n, seed, ends), (Some("any"), 4, Some(u64::MAX), false));
    assert!(stream && include_usage && asked.echo);
    assert_eq!(asked.logprobs, Some(3));

    let body = json!({
        "messages": [
            {"role": "system", "content": "be kind", "name": "me"},
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            {"role": "assistant", "content": "c", "tool_calls": null, "refusal": null},
        ],
        "max_completion_tokens": 7, "max_tokens": 7, "logprobs": true, "top_logprobs": 2,
        "chat_template_kwargs": {"enable_thinking": false}, "tools": [], "tool_choice": "none",
    });
    let asked = chat(&body).unwrap();
    assert_eq!(asked.messages[0]["name"], "me");
    assert_eq!(asked.messages[1], json!({"role": "user", "content": "a\nb"}));
    assert_eq!(asked.messages[2], json!({"role": "assistant", "content": "c"}));
    assert_eq!((asked.common.sampling.max_tokens, asked.logprobs), (7, Some(2)));
    assert_eq!(asked.more["enable_thinking"], false);
}

#[test]
fn what_is_wrong_is_told_by_its_name() {
    let with = |key: &str, value: Value| {
        let mut body = json!({"prompt": "a"});
        body[key] = value;
        completions(&body).unwrap_err()
    };
    for (key, value, part) in [
        ("prompt", json!(3), "`prompt` must be a string, a list of strings"),
        ("prompt", json!([]), "`prompt` is an empty list"),
        ("prompt", json!(null), "`prompt` is missing"),
        ("max_tokens", json!("many"), "`max_tokens` must be a whole number, not a string"),
        ("max_tokens", json!(-1), "at least 0, not -1"),
        ("max_tokens", json!(1.5), "not 1.5"),
        ("max_tokens", json!(0), "at least 1 where `echo`"),
        ("temperature", json!(-0.5), "`temperature` must be 0 or more, not -0.5"),
        ("temperature", json!("0"), "a number, not a string"),
        ("top_p", json!(0), "above 0"),
        ("top_k", json!(-2), "0 (all) or more"),
        ("min_p", json!(1.1), "from 0 to 1"),
        ("n", json!(0), "from 1 to 128"),
        ("n", json!(129), "from 1 to 128"),
        ("best_of", json!(2), "`best_of` isn't supported"),
        ("logprobs", json!(21), "from 0 to 20"),
        ("logprobs", json!(true), "a whole number, not a boolean"),
        ("echo", json!(1), "true or false, not a number"),
        ("stop", json!([1]), "a string or a list of strings"),
        ("stop", json!([""]), "must not be empty"),
        ("stop", json!(vec!["x"; 65]), "65 strings"),
        ("seed", json!(0.5), "a whole number"),
        ("stream_options", json!({"include_usage": true}), "for answers with `stream`"),
        ("suffix", json!("end"), "`suffix` isn't supported"),
        ("logit_bias", json!({"5": 1}), "`logit_bias` isn't supported"),
        (
            "response_format",
            json!({"type": "json_schema", "json_schema": {}}),
            "`response_format` isn't supported",
        ),
        ("guided_choice", json!(["a", 1]), "a list of strings"),
        ("guided_choice", json!([]), "needs texts"),
        ("temprature", json!(1), "did you mean `temperature`?"),
        ("model", json!(7), "a string, not a number"),
    ] {
        let refusal = with(key, value);
        assert_eq!((refusal.status, refusal.param.as_deref()), (400, Some(key)), "{refusal:?}");
        assert!(refusal.message.contains(part), "{refusal:?}");
    }
    let structured = with("structured_outputs", json!({"choice": null, "regex": "a+"}));
    assert_eq!(structured.param.as_deref(), Some("structured_outputs.regex"));
    let both = completions(&json!({"prompt": "a", "guided_choice": ["a"], "ignore_eos": true})).unwrap_err();
    assert_eq!(both.param.as_deref(), Some("ignore_eos"));
    assert_eq!(with("prompt", json!([1, "a"])).param.as_deref(), Some("prompt[1]"));
    assert_eq!(with("prompt", json!(["a", 1])).param.as_deref(), Some("prompt[1]"));
    assert_eq!(with("prompt", json!([[1], [2, -3]])).param.as_deref(), Some("prompt[1][1]"));
    assert_eq!(with("prompt", json!([4_294_967_296_u64])).param.as_deref(), Some("prompt[0]"));
}

#[test]
fn what_is_wrong_with_a_conversation_is_told_by_its_name() {
    let user = json!({"role": "user", "content": "a"});
    let with = |key: &str, value: Value| {
        let mut body = json!({"messages": [user]});
        body[key] = value;
        chat(&body).unwrap_err()
    };
    for (key, value, param) in [
        ("messages", json!("a"), "messages"),
        ("messages", json!([]), "messages"),
        ("messages", json!(["a"]), "messages[0]"),
        ("messages", json!([{"content": "a"}]), "messages[0].role"),
        ("messages", json!([user, {"role": "tool", "content": "a"}]), "messages[1].role"),
        ("messages", json!([{"role": "user"}]), "messages[0].content"),
        (
            "messages",
            json!([{"role": "user", "content": [{"type": "image_url"}]}]),
            "messages[0].content[0].type",
        ),
        ("messages", json!([{"role": "user", "content": ["a"]}]), "messages[0].content[0]"),
        ("messages", json!([{"role": "user", "content": "a", "tool_calls": []}]), "messages[0].tool_calls"),
        ("max_tokens", json!(0), "max_tokens"),
        ("top_logprobs", json!(3), "top_logprobs"),
        ("logprobs", json!(3), "logprobs"),
        ("tools", json!([{"type": "function"}]), "tools"),
        ("response_format", json!({"type": "json_schema"}), "response_format"),
        ("prompt", json!("a"), "prompt"),
        ("chat_template_kwargs", json!([]), "chat_template_kwargs"),
    ] {
        let refusal = with(key, value);
        assert_eq!((refusal.status, refusal.param.as_deref()), (400, Some(param)), "{refusal:?}");
    }
    let limits = chat(&json!({"messages": [user], "max_tokens": 1, "max_completion_tokens": 2}));
    assert!(limits.unwrap_err().message.contains("differ"));
}

#[test]
fn what_is_no_json_is_told_with_its_place() {
    for (body, part) in
        [("", "no JSON"), ("{\"prompt\": ", "line 1 column 11"), ("[1]", "not a list"), ("\u{0}", "no JSON")]
    {
        let refusal = Completions::parse(body.as_bytes()).unwrap_err();
        assert!(refusal.status == 400 && refusal.message.contains(part), "{refusal:?}");
    }
    let deep = "[".repeat(100_000);
    assert_eq!(Chat::parse(deep.as_bytes()).unwrap_err().status, 400);
    let error = Refusal::about("n", "no").with_code("c").body();
    let wanted =
        json!({"error": {"message": "no", "type": "invalid_request_error", "param": "n", "code": "c"}});
    assert_eq!(error, wanted);
}

/// Any JSON, often with the names that are known.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z<>\\u{0}é]{0,6}".prop_map(Value::from),
    ];
    let key = prop_oneof![
        Just("prompt"),
        Just("messages"),
        Just("role"),
        Just("content"),
        Just("stop"),
        Just("n"),
        Just("logprobs"),
        Just("stream_options"),
        Just("include_usage"),
        Just("type"),
        Just("text"),
        Just("seed"),
        Just("top_k"),
        Just("best_of"),
        Just("response_format"),
        Just("max_tokens"),
        Just("echo"),
        Just("model"),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::vec((key.clone(), inner), 0..8).prop_map(|pairs| {
                pairs
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect::<serde_json::Map<_, _>>()
                    .into()
            }),
        ]
    })
}

proptest! {
    /// Whatever comes is understood or refused with a status, and what is understood is within its limits.
    #[test]
    fn any_body_is_understood_or_refused(body in value(), prompt in value()) {
        let mut with_prompt = body.clone();
        if let Value::Object(map) = &mut with_prompt {
            map.insert("prompt".to_owned(), prompt);
        }
        for body in [body, with_prompt] {
            for route in [Route::Completions, Route::Chat] {
                match Call::parse(route, body.to_string().as_bytes()) {
                    Err(refusal) => prop_assert_eq!(refusal.status, 400),
                    Ok(Call::Completions(call)) => {
                        prop_assert!(!call.prompts.is_empty() && (1..=128).contains(&call.common.n));
                        prop_assert!(call.echo || call.common.sampling.max_tokens > 0);
                    }
                    Ok(Call::Chat(call)) => prop_assert!(call.messages.iter().all(|m| m["content"].is_string())),
                    Ok(Call::Plain(_)) => prop_assert!(false),
                }
            }
        }
    }

    #[test]
    fn any_bytes_are_understood_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for route in [Route::Completions, Route::Chat] {
            prop_assert!(Call::parse(route, &bytes).is_err_and(|refusal| refusal.status == 400));
        }
    }
}
