//! `serve`, from the other end of a socket.

mod client;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread::scope;
use std::time::{Duration, Instant};

use instil_model::engine::{Engine, Settings, Tokens};
use serde_json::{Value, json};

use crate::support::Place;
use client::{Served, events};

/// With an `n` of 128 it takes half a minute at least.
fn endless(n: usize) -> Value {
    json!({"prompt": [5, 6, 7], "max_tokens": 4000, "n": n, "ignore_eos": true, "temperature": 1.5})
}

#[test]
fn tokens_are_taken_as_they_are_and_told_back_with_the_bits_of_their_scores() {
    let served = Served::start(&[]);
    let engine = Engine::load(&served.model(), &Settings::default()).unwrap();
    let prompts: Vec<Vec<u32>> =
        (1..9_u32).map(|i| (0..i * 5).map(|j| 3 + (i * 7 + j * j) % 120).collect()).collect();
    let texts: Vec<Tokens> =
        prompts.iter().map(|prompt| Tokens { tokens: prompt.clone(), from: 1 }).collect();
    let scores = engine.score_tokens(&texts).unwrap();
    for max_tokens in [0, 1] {
        let body = json!({"prompt": prompts, "max_tokens": max_tokens, "echo": true, "logprobs": 1, "ignore_eos": true});
        let answer = served.ask("/v1/completions", &body);
        let count: usize = prompts.iter().map(Vec::len).sum();
        assert_eq!(answer["usage"]["prompt_tokens"], count, "no BOS is added");
        assert_eq!(answer["usage"]["completion_tokens"], max_tokens * prompts.len());
        for (index, (prompt, score)) in prompts.iter().zip(&scores).enumerate() {
            let choice = &answer["choices"][index];
            let logprobs = &choice["logprobs"];
            let list = |name: &str| logprobs[name].as_array().unwrap();
            for name in ["tokens", "token_logprobs", "top_logprobs", "text_offset"] {
                assert_eq!(list(name).len(), prompt.len() + max_tokens, "{name}");
            }
            assert!(list("token_logprobs")[0].is_null() && list("top_logprobs")[0].is_null());
            let nll = list("token_logprobs")[1..prompt.len()]
                .iter()
                .fold(0.0, |sum, logprob| sum - logprob.as_f64().unwrap());
            assert_eq!(nll.to_bits(), score.to_bits());
            for (logprob, top) in list("token_logprobs").iter().zip(list("top_logprobs")).skip(1) {
                let likeliest =
                    top.as_object().unwrap().values().map(|v| v.as_f64().unwrap()).fold(f64::MIN, f64::max);
                assert!(logprob.as_f64().unwrap() <= likeliest);
            }
            let text = choice["text"].as_str().unwrap();
            assert!(text.starts_with(&engine.tokenizer().decode(prompt).unwrap()), "{text:?}");
            assert!(list("text_offset").is_sorted_by_key(|offset| offset.as_u64()));
            assert_eq!((&choice["index"], &choice["finish_reason"]), (&json!(index), &json!("length")));
        }
    }
    // A text gets what the tokenizer puts before texts.
    let answer = served.ask("/v1/completions", &json!({"prompt": "a cat", "max_tokens": 1}));
    assert_eq!(answer["usage"]["prompt_tokens"], engine.tokenizer().encode_prompt("a cat").unwrap().len());
}

#[test]
fn a_seed_makes_the_same_answer_alone_and_beside_others_whole_and_in_pieces() {
    let served = Served::start(&[]);
    let body =
        |seed: u32| json!({"prompt": "a cat", "max_tokens": 40, "seed": seed, "n": 2, "temperature": 0.9});
    let texts = |answer: &Value| {
        let choices = answer["choices"].as_array().unwrap();
        choices.iter().map(|choice| choice["text"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let alone: Vec<Vec<String>> =
        (0..4).map(|seed| texts(&served.ask("/v1/completions", &body(seed)))).collect();
    assert_ne!(alone[0], alone[1]);
    assert_ne!(alone[0][0], alone[0][1], "samples have seeds of their own");
    scope(|scope| {
        let others: Vec<_> = (0..32_u32)
            .map(|client| {
                let served = &served;
                scope.spawn(move || served.ask("/v1/completions", &body(client % 4)))
            })
            .collect();
        for (client, other) in others.into_iter().enumerate() {
            assert_eq!(texts(&other.join().unwrap()), alone[client % 4]);
        }
    });
    let mut streamed = body(2);
    streamed["stream"] = true.into();
    let mut pieces = vec![String::new(), String::new()];
    for event in events(&served.post("/v1/completions", &streamed).body) {
        for choice in event["choices"].as_array().unwrap() {
            pieces[choice["index"].as_u64().unwrap() as usize] += choice["text"].as_str().unwrap();
        }
    }
    assert_eq!(pieces, alone[2]);
    // Without a seed chance begins anywhere.
    let mut any = body(0);
    any.as_object_mut().unwrap().remove("seed");
    assert_ne!(texts(&served.ask("/v1/completions", &any)), texts(&served.ask("/v1/completions", &any)));
}

#[test]
fn a_stream_has_the_pieces_that_clients_know() {
    let served = Served::start(&[]);
    let body = json!({
        "prompt": [[5, 6], [7, 8, 9]], "max_tokens": 8, "seed": 1, "echo": true, "logprobs": 2, "stream": true,
        "stream_options": {"include_usage": true}, "model": "whatever", "ignore_eos": true,
    });
    let reply = served.post("/v1/completions", &body);
    assert_eq!(reply.header("content-type"), Some("text/event-stream"));
    assert!(reply.body.ends_with("data: [DONE]\n\n"));
    let pieces = events(&reply.body);
    let (last, pieces) = pieces.split_last().unwrap();
    assert_eq!(last["usage"], json!({"prompt_tokens": 5, "completion_tokens": 16, "total_tokens": 21}));
    assert_eq!(last["choices"], json!([]));
    let mut tokens = [0, 0];
    let mut finish = [0, 0];
    for piece in pieces {
        assert_eq!((&piece["object"], &piece["model"]), (&json!("text_completion"), &json!("whatever")));
        assert_eq!((&piece["id"], &piece["usage"]), (&last["id"], &Value::Null));
        let choice = &piece["choices"][0];
        let index = choice["index"].as_u64().unwrap() as usize;
        tokens[index] += choice["logprobs"]["tokens"].as_array().unwrap().len();
        finish[index] += usize::from(choice["finish_reason"] == "length");
    }
    assert_eq!((tokens, finish), ([10, 11], [1, 1]));
    // What the whole answer says is what its pieces say.
    let mut whole = body.clone();
    whole["stream"] = false.into();
    whole.as_object_mut().unwrap().remove("stream_options");
    let whole = served.ask("/v1/completions", &whole);
    for name in ["tokens", "token_logprobs", "top_logprobs", "text_offset"] {
        let joined: Vec<&Value> = pieces
            .iter()
            .filter(|piece| piece["choices"][0]["index"] == 1)
            .flat_map(|piece| piece["choices"][0]["logprobs"][name].as_array().unwrap())
            .collect();
        assert_eq!(
            joined,
            whole["choices"][1]["logprobs"][name].as_array().unwrap().iter().collect::<Vec<_>>()
        );
    }
}

#[test]
fn a_conversation_is_answered_by_the_models_template() {
    let served = Served::start(&[]);
    let body = json!({
        "messages": [
            {"role": "system", "content": "is a cat"},
            {"role": "user", "content": [{"type": "text", "text": "the dog"}, {"type": "text", "text": "a"}]},
        ],
        "max_completion_tokens": 6, "n": 2, "seed": 5, "logprobs": true, "top_logprobs": 2, "ignore_eos": true,
    });
    let answer = served.ask("/v1/chat/completions", &body);
    let engine = Engine::load(&served.model(), &Settings::default()).unwrap();
    let shown = "system: is a cat\nuser: the dog\na\nassistant:";
    assert_eq!(answer["usage"]["prompt_tokens"], engine.tokenizer().encode(shown, false).unwrap().len());
    assert_eq!((&answer["object"], &answer["model"]), (&json!("chat.completion"), &json!("model")));
    for index in 0..2 {
        let choice = &answer["choices"][index];
        assert_eq!(
            (&choice["message"]["role"], &choice["finish_reason"]),
            (&json!("assistant"), &json!("length"))
        );
        let tokens = choice["logprobs"]["content"].as_array().unwrap();
        assert_eq!(tokens.len(), 6);
        for token in tokens {
            assert_eq!(token["top_logprobs"].as_array().unwrap().len(), 2);
            assert!(token["logprob"].as_f64().unwrap() < 0.0 && token["bytes"].is_array());
        }
    }
    let mut streamed = body.clone();
    streamed["stream"] = true.into();
    let pieces = events(&served.post("/v1/chat/completions", &streamed).body);
    assert_eq!(pieces[0]["choices"][0]["delta"], json!({"role": "assistant", "content": ""}));
    assert_eq!(pieces[0]["object"], "chat.completion.chunk");
    let of =
        |index: usize| pieces.iter().map(|piece| &piece["choices"][0]).filter(move |c| c["index"] == index);
    for index in 0..2 {
        let text: String = of(index).filter_map(|choice| choice["delta"]["content"].as_str()).collect();
        assert_eq!(text, answer["choices"][index]["message"]["content"].as_str().unwrap());
        assert_eq!(of(index).filter(|choice| choice["finish_reason"] == "length").count(), 1);
        assert!(of(index).next_back().unwrap()["delta"].as_object().unwrap().is_empty());
    }
    // The template has a say, and a model without one refuses.
    let refused =
        served.post("/v1/chat/completions", &json!({"messages": [{"role": "user", "content": "refuse"}]}));
    assert_eq!((refused.status, &refused.json()["error"]["param"]), (400, &json!("messages")));
    assert!(refused.body.contains("not this"), "{}", refused.body);
}

#[test]
fn stop_strings_end_a_completion() {
    let served = Served::start(&[]);
    let body = json!({"prompt": "a cat", "max_tokens": 40, "seed": 3, "ignore_eos": true});
    let whole = served.ask("/v1/completions", &body)["choices"][0]["text"].as_str().unwrap().to_owned();
    let at = whole.char_indices().nth(whole.chars().count() / 2).unwrap().0;
    let stop: String = whole[at..].chars().take(2).collect();
    for stop in [json!(stop), json!(["never found", stop])] {
        let mut stopped = body.clone();
        stopped["stop"] = stop.clone();
        stopped["logprobs"] = 0.into();
        let answer = served.ask("/v1/completions", &stopped);
        let choice = &answer["choices"][0];
        let text = stop.as_str().unwrap_or_else(|| stop[1].as_str().unwrap());
        assert_eq!(choice["text"], whole[..whole.find(text).unwrap()]);
        assert_eq!(choice["finish_reason"], "stop");
        let tokens = choice["logprobs"]["tokens"].as_array().unwrap().len();
        assert_eq!(answer["usage"]["completion_tokens"], tokens, "every generated token is told");
    }
}

#[test]
fn what_is_wrong_is_told_in_openais_words() {
    let served = Served::start(&["--max-body", "5000"]);
    let post = |path: &str, body: &str| {
        let head = format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
        served
            .raw(&format!("POST {path} HTTP/1.1\r\nhost: localhost\r\n{head}connection: close\r\n\r\n{body}"))
    };
    let long: Vec<u32> = vec![5; 4096];
    let long = json!({"prompt": long, "max_tokens": 1});
    let (completions, chat) = ("/v1/completions", "/v1/chat/completions");
    for (path, body, status, param, code) in [
        (completions, "{".to_owned(), 400, Value::Null, "invalid_json"),
        (completions, json!({"prompt": 5}).to_string(), 400, json!("prompt"), "invalid_type"),
        (completions, json!({"prompt": "a", "max_tokens": "x"}).to_string(), 400, json!("max_tokens"), "invalid_type"),
        (completions, json!({"prompt": "a", "suffix": "x"}).to_string(), 400, json!("suffix"), "unsupported_parameter"),
        (chat, json!({"prompt": "a"}).to_string(), 400, json!("messages"), ""),
        (
            chat,
            json!({"messages": [{"role": "user", "content": "a"}], "response_format": {"type": "json_schema"}})
                .to_string(),
            400,
            json!("response_format"),
            "unsupported_parameter",
        ),
        (completions, json!({"prompt": [5, 999]}).to_string(), 400, json!("prompt"), ""),
        (completions, json!({"prompt": ["a", [999]]}).to_string(), 400, json!("prompt[1]"), ""),
        (completions, long.to_string(), 413, Value::Null, "request_too_large"),
        ("/v1/embeddings", "{}".to_owned(), 404, Value::Null, "unknown_url"),
        ("/v1/models", "{}".to_owned(), 405, Value::Null, "method_not_supported"),
    ] {
        let reply = post(path, &body);
        let error = &reply.json()["error"];
        assert_eq!((reply.status, &error["param"]), (status, &param), "{}", reply.body);
        assert!(code.is_empty() && error["code"].is_null() || error["code"] == code, "{}", reply.body);
        assert!(error["message"].is_string() && error["type"] == "invalid_request_error", "{}", reply.body);
    }
    let reply = served.raw("DELETE /v1/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    assert_eq!((reply.status, reply.header("allow")), (405, Some("POST")));
    let form = "POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
    assert_eq!(served.raw(form).status, 415);
    // A page in a browser that calls this machine by a name of its own.
    assert_eq!(
        served.raw("GET /v1/models HTTP/1.1\r\nhost: evil.test:80\r\nconnection: close\r\n\r\n").status,
        403
    );
    assert_eq!(served.raw("nonsense\r\n\r\n").status, 400);
    let wide = format!("GET /health HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "x".repeat(70_000));
    assert_eq!(served.raw(&wide).status, 431);
    // Its length isn't told before it comes.
    let chunk = format!("{:x}\r\n{}\r\n", 3000, "x".repeat(3000));
    let head = "POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    assert_eq!(
        served.raw(&format!("{head}transfer-encoding: chunked\r\n\r\n{chunk}{chunk}0\r\n\r\n")).status,
        413
    );
    let huge = format!("{head}content-length: 99999999999\r\n\r\n{}", "x".repeat(200_000));
    assert_eq!(served.raw(&huge).status, 413);
    // After all of that it answers.
    assert_eq!(served.get("/health").status, 200);
}

#[test]
fn a_prompt_beyond_the_window_is_told_both_numbers() {
    let served = Served::start(&[]);
    let ask = |tokens: usize, max_tokens: usize| {
        let body =
            json!({"prompt": vec![5; tokens], "max_tokens": max_tokens, "echo": true, "ignore_eos": true});
        served.post("/v1/completions", &body)
    };
    let reply = ask(4097, 0);
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (400, &json!("context_length_exceeded")));
    assert!(reply.body.contains("4097 tokens") && reply.body.contains("window is 4096"), "{}", reply.body);
    assert_eq!(ask(4096, 1).status, 400);
    assert_eq!(ask(4096, 0).status, 200);
    // What is asked beyond it ends there.
    let reply = ask(4090, 50).json();
    assert_eq!(reply["usage"]["completion_tokens"], 6);
    assert_eq!(reply["choices"][0]["finish_reason"], "length");
}

#[test]
fn a_key_is_asked_for_where_there_is_one() {
    let served = Served::start_with(|command| {
        command.env("INSTIL_API_KEY", "s3cret");
    });
    let get = |path: &str, more: &str| {
        served.raw(&format!("GET {path} HTTP/1.1\r\nhost: any.test\r\n{more}connection: close\r\n\r\n"))
    };
    assert_eq!(get("/health", "").status, 200);
    for (more, status) in [
        ("", 401),
        ("authorization: Bearer wrong\r\n", 401),
        ("authorization: Bearer s3cret2\r\n", 401),
        ("authorization: s3cret\r\n", 401),
        ("authorization: Bearer s3cret\r\n", 200),
        ("authorization: bearer s3cret\r\n", 200),
    ] {
        let reply = get("/v1/models", more);
        assert_eq!(reply.status, status, "{more}");
        if status == 401 {
            assert_eq!(reply.json()["error"]["code"], "invalid_api_key");
            assert!(!reply.body.contains("s3cret") && reply.header("www-authenticate") == Some("Bearer"));
        }
    }
    assert_eq!(get("/metrics", "").status, 401);
    assert_eq!(get("/nowhere", "").status, 401, "strangers aren't told what there is");

    let place = Place::new();
    client::model(&place);
    let told = place.told(&["serve", "--model", "model", "--host", "0.0.0.0", "--port", "0"]);
    assert!(
        told.starts_with("exit 2") && told.contains("--api-key") && told.contains("INSTIL_API_KEY"),
        "{told}"
    );
    let told = place.told(&["serve", "--model", "rules"]);
    assert!(told.starts_with("exit 2") && told.contains("no language model"), "{told}");
    let told = place.told(&["serve", "--model", "nothing-here"]);
    assert!(told.starts_with("exit 2") && told.contains("there is no model `nothing-here`"), "{told}");
    let port = served.address.port().to_string();
    let told = place.told(&["serve", "--model", "model", "--port", &port]);
    assert!(
        told.starts_with("exit 2") && told.contains(&format!("failed to listen at 127.0.0.1:{port}")),
        "{told}"
    );
}

#[test]
fn models_and_metrics_are_told() {
    let served = Served::start(&["--name", "mine/own"]);
    let models = served.get("/v1/models").json();
    assert_eq!(models["data"][0]["id"], "mine/own");
    assert_eq!(models["data"][0]["max_model_len"], 4096);
    assert_eq!(served.get("/v1/models/mine/own").status, 200);
    assert_eq!(served.get("/v1/models/other").json()["error"]["code"], "model_not_found");
    served.ask("/v1/completions", &json!({"prompt": [5, 6, 7], "max_tokens": 4, "ignore_eos": true, "n": 2}));
    let head = served.raw("HEAD /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    let metrics = served.get("/metrics").body;
    for line in [
        "instil_requests_total{route=\"/v1/completions\",status=\"200\"} 1",
        "instil_requests_total{route=\"/v1/models\",status=\"404\"} 1",
        "instil_prompt_tokens_total 3",
        "instil_generated_tokens_total 8",
        "instil_queue_length 0",
        "instil_running_sequences 0",
        "instil_request_seconds_count{route=\"/v1/completions\"} 1",
        "instil_time_to_first_token_seconds_bucket{route=\"/v1/completions\",le=\"+Inf\"} 1",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} isn't in\n{metrics}");
    }
}

#[test]
fn a_full_queue_says_when_to_come_again() {
    let served = Served::start(&["--max-queue", "0"]);
    let reply = served.post("/v1/completions", &endless(65));
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (400, &json!("too_many_completions")));
    let running = served.begin("/v1/completions", &endless(64));
    served.wait_until_running(|count| count > 0);
    let reply = served.post("/v1/completions", &endless(1));
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (429, &json!("queue_full")));
    assert_eq!(reply.header("retry-after"), Some("1"));
    drop(running);
    served.wait_until_running(|count| count == 0);
    assert_eq!(served.post("/v1/completions", &json!({"prompt": "a", "max_tokens": 1})).status, 200);
}

#[test]
fn a_client_that_leaves_makes_room() {
    let served = Served::start(&["--timeout", "1"]);
    // Before its answer, by going away or by saying that nothing more comes from it.
    for half in [false, true] {
        let client = served.begin("/v1/completions", &endless(128));
        served.wait_until_running(|count| count > 0);
        match half {
            true => client.shutdown(Shutdown::Write).unwrap(),
            false => drop(client),
        }
        served.wait_until_running(|count| count == 0);
    }
    served.wait_for("instil_requests_total{route=\"/v1/completions\",status=\"499\"} 2");
    // In the middle of its answer.
    let mut stream = endless(128);
    stream["stream"] = true.into();
    let mut client = served.begin("/v1/completions", &stream);
    client.read_exact(&mut [0; 2000]).unwrap();
    served.wait_until_running(|count| count > 0);
    drop(client);
    served.wait_until_running(|count| count == 0);
    // By not taking its answer, which no socket holds.
    stream["logprobs"] = 20.into();
    let client = served.begin("/v1/completions", &stream);
    served.wait_until_running(|count| count > 0);
    served.wait_until_running(|count| count == 0);
    drop(client);
    assert_eq!(
        served.ask("/v1/completions", &json!({"prompt": "a", "max_tokens": 1}))["choices"][0]["index"],
        0
    );
}

#[test]
fn slow_clients_are_not_waited_for() {
    let served = Served::start(&["--timeout", "1"]);
    let begun = Instant::now();
    let head = "POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    for sent in [head.to_owned(), format!("{head}content-length: 100\r\n\r\n{{\"prompt\"")] {
        let mut client = TcpStream::connect(served.address).unwrap();
        client.write_all(sent.as_bytes()).unwrap();
        let mut reply = String::new();
        client.read_to_string(&mut reply).unwrap();
        assert!(reply.starts_with("HTTP/1.1 408"), "{reply}");
        assert!(reply.contains("\"request_timeout\"") && reply.contains("within 1 s"), "{reply}");
    }
    // Who says nothing at all is let go without a word, and so is who has broken off.
    let mut silent = TcpStream::connect(served.address).unwrap();
    let mut half = TcpStream::connect(served.address).unwrap();
    half.write_all(format!("{head}content-length: 100\r\n\r\n{{").as_bytes()).unwrap();
    half.shutdown(Shutdown::Write).unwrap();
    let mut reply = String::new();
    assert_eq!(silent.read_to_string(&mut reply).unwrap(), 0);
    let mut reply = String::new();
    half.read_to_string(&mut reply).unwrap();
    assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 400"), "{reply}");
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert_eq!(served.get("/health").status, 200);
}

#[test]
fn connections_are_bounded_and_are_kept() {
    let served = Served::start(&["--max-connections", "2"]);
    let mut kept = TcpStream::connect(served.address).unwrap();
    // Two requests on one connection, sent at once.
    kept.write_all(
        b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\nGET /v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n",
    )
    .unwrap();
    kept.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut read = String::new();
    while read.matches("HTTP/1.1 200").count() < 2 || !read.contains("max_model_len") {
        let mut bytes = [0; 1024];
        let count = kept.read(&mut bytes).unwrap();
        assert!(count > 0, "{read}");
        read += std::str::from_utf8(&bytes[..count]).unwrap();
    }
    let _second = TcpStream::connect(served.address).unwrap();
    let mut third = String::new();
    // The others are known by now: connections are taken in order.
    TcpStream::connect(served.address).unwrap().read_to_string(&mut third).unwrap();
    assert!(third.starts_with("HTTP/1.1 503") && third.contains("too_many_connections"), "{third}");
    drop(kept);
    let freed = Instant::now();
    while served.get("/health").status != 200 {
        assert!(freed.elapsed() < Duration::from_secs(20));
    }
}

#[cfg(unix)]
#[test]
fn a_stop_lets_what_is_running_end() {
    let mut served = Served::start(&["--stop-within", "60"]);
    let mut kept = TcpStream::connect(served.address).unwrap();
    let body = json!({"prompt": [5], "max_tokens": 1000, "n": 40, "ignore_eos": true});
    let running = served.begin("/v1/completions", &body);
    served.wait_until_running(|count| count > 0);
    served.signal();
    // A connection without a request ends; whoever comes now is sent away.
    assert_eq!(kept.read(&mut [0; 10]).unwrap(), 0);
    let reply = served.post("/v1/completions", &json!({"prompt": "a"}));
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (503, &json!("stopping")));
    let answer = client::read(running).json();
    assert_eq!(answer["usage"]["completion_tokens"], 40 * 1000);
    assert_eq!(served.end(), (Some(0), "stopped".to_owned()));
}

#[cfg(unix)]
#[test]
fn a_stop_does_not_wait_for_ever() {
    let mut served = Served::start(&["--stop-within", "1"]);
    let mut stream = endless(64);
    stream["stream"] = true.into();
    let client = served.begin("/v1/completions", &stream);
    served.wait_until_running(|count| count > 0);
    let begun = Instant::now();
    served.signal();
    let (code, last) = served.end();
    assert_eq!(code, Some(0));
    assert!(last.contains("1 request took too long"), "{last}");
    assert!(begun.elapsed() < Duration::from_secs(15));
    drop(client);
}

#[test]
fn a_choice_is_all_that_is_said() {
    let served = Served::start(&[]);
    let texts = ["the wheel", "a mill"];
    for (field, value) in [("guided_choice", json!(texts)), ("structured_outputs", json!({"choice": texts}))]
    {
        let mut body = json!({"prompt": "a cat", "max_tokens": 20, "n": 6, "seed": 1});
        body[field] = value;
        let reply = served.post("/v1/completions", &body);
        assert_eq!(reply.status, 200, "{reply:?}");
        let answer: Value = serde_json::from_str(&reply.body).unwrap();
        for choice in answer["choices"].as_array().unwrap() {
            assert!(texts.contains(&choice["text"].as_str().unwrap()), "{answer}");
            assert_eq!(choice["finish_reason"], "stop");
        }
    }
    let body = json!({"prompt": "a cat", "max_tokens": 1, "guided_choice": ["the wheel turns"]});
    let reply = served.post("/v1/completions", &body);
    assert!(reply.status == 400 && reply.body.contains("and it may have 1"), "{reply:?}");
}
