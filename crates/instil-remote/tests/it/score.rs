//! How likely texts are, asked of servers that tell it in their own ways.

use instil::Error;
use instil::lm::{LanguageModel, Score, Scored, Scoring};
use instil_remote::{Api, Config, Endpoint};
use serde_json::{Value, json};

use crate::quick;
use crate::server::{Call, Reply, Server};

fn text(prompt: &str, completion: &str) -> Scored {
    Scored { prompt: prompt.into(), completion: completion.into(), ..Scored::default() }
}

/// A token for each character, whose likelihood is its number in hundredths; the likeliest are those below `m`.
fn tokens(text: &str) -> Vec<(String, f64)> {
    text.chars().map(|one| (one.to_string(), -f64::from(u32::from(one) % 97) / 100.0)).collect()
}

/// What a server says that echoes, with as many new tokens as were asked for.
fn echoed(call: &Call) -> Reply {
    let made = "z".repeat(call.body["max_tokens"].as_u64().unwrap() as usize);
    let text = format!("{}{made}", call.prompt());
    let tokens = tokens(&text);
    let mut values: Vec<Value> = tokens.iter().map(|(_, value)| json!(value)).collect();
    values[0] = Value::Null;
    let top = tokens.iter().map(|(token, value)| match token.as_str() < "m" {
        true => json!({token: value}),
        false => json!({token: value, "better": value / 2.0}),
    });
    let logprobs = json!({
        "tokens": tokens.iter().map(|(token, _)| token).collect::<Vec<_>>(),
        "token_logprobs": values,
        "top_logprobs": top.collect::<Vec<_>>(),
        "text_offset": (0..tokens.len()).collect::<Vec<_>>(),
    });
    Reply::json(200, json!({"choices": [{"index": 0, "text": text, "logprobs": logprobs}]}))
}

/// What vLLM says to `prompt_logprobs`.
fn prompted(call: &Call) -> Reply {
    let one = |(place, (token, value)): (usize, (String, f64))| match place {
        0 => Value::Null,
        _ => {
            json!({"17": {"logprob": value, "rank": if token.as_str() < "m" { 1 } else { 2 }, "decoded_token": token}})
        }
    };
    let list: Vec<Value> = tokens(call.prompt()).into_iter().enumerate().map(one).collect();
    Reply::json(200, json!({"choices": [{"index": 0, "text": "z", "prompt_logprobs": list}]}))
}

fn scores(server: &Server, texts: &[Scored]) -> Result<Vec<Scoring>, Error> {
    Endpoint::connect(quick(&server.base)).unwrap().score(texts)
}

fn score(completion: &str) -> Scoring {
    let all = tokens(completion);
    Scoring::Score(Score {
        nll: -all.iter().map(|(_, value)| value).sum::<f64>(),
        tokens: all.len(),
        greedy: Some(all.iter().all(|(token, _)| token.as_str() < "m")),
        whole: true,
    })
}

fn assert_same(found: &[Scoring], wanted: &[Scoring]) {
    assert_eq!(found.len(), wanted.len());
    for (found, wanted) in found.iter().zip(wanted) {
        let (Some(found), Some(wanted)) = (found.score(), wanted.score()) else { panic!("{found:?}") };
        assert!((found.nll - wanted.nll).abs() < 1e-12, "{found:?} {wanted:?}");
        assert_eq!((found.tokens, found.greedy), (wanted.tokens, wanted.greedy));
    }
}

#[test]
fn likelihoods_come_by_echo_in_the_order_of_the_texts() {
    let server = Server::start(echoed);
    let texts: Vec<Scored> = (0..40).map(|i| text(&format!("Question {i}:"), &format!(" ab{i}"))).collect();
    let found = scores(&server, &texts).unwrap();
    let wanted: Vec<Scoring> = (0..40).map(|i| score(&format!(" ab{i}"))).collect();
    assert_same(&found, &wanted);
    let calls = server.calls();
    assert_eq!(calls.len(), 40);
    let body = &calls[0].body;
    assert_eq!((&body["echo"], &body["logprobs"], &body["max_tokens"]), (&json!(true), &json!(1), &json!(0)));
    assert_eq!(calls[0].path, "/v1/completions");
}

#[test]
fn a_server_that_makes_at_least_one_token_is_asked_for_one_which_is_dropped() {
    let server = Server::start(|call| match call.body["max_tokens"].as_u64() {
        Some(0) => Reply::error(400, "max_tokens must be at least 1, got 0"),
        _ => echoed(call),
    });
    let texts = [text("a", " zebra"), text("b", " cab")];
    assert_same(&scores(&server, &texts).unwrap(), &[score(" zebra"), score(" cab")]);
}

#[test]
fn prompt_logprobs_are_asked_for_where_nothing_is_echoed() {
    for script in [
        (|call: &Call| match call.body.get("echo") {
            Some(_) => Reply::error(400, "Echo is not supported"),
            None => prompted(call),
        }) as fn(&Call) -> Reply,
        |call| match call.body.get("echo") {
            Some(_) => call.answer(1),
            None => prompted(call),
        },
    ] {
        let server = Server::start(script);
        assert_same(&scores(&server, &[text("a", " cab")]).unwrap(), &[score(" cab")]);
        let last = server.calls().pop().unwrap();
        assert_eq!((&last.body["prompt_logprobs"], &last.body["max_tokens"]), (&json!(0), &json!(1)));
    }
}

#[test]
fn a_server_without_likelihoods_is_refused_by_name() {
    for script in [(|call: &Call| call.answer(1)) as fn(&Call) -> Reply, |call| match call.body.get("echo") {
        Some(_) => Reply::error(400, "setting 'echo' and 'logprobs' at the same time is not supported"),
        None => Reply::error(400, "Unrecognized request argument supplied: prompt_logprobs"),
    }] {
        let server = Server::start(script);
        let error = scores(&server, &[text("a", " b"), text("a", " c")]).unwrap_err();
        assert!(error.to_string().contains(&server.base), "{error}");
        assert!(error.to_string().contains("gives no likelihoods"), "{error}");
        assert!(error.hint().unwrap().contains("--model"));
    }
}

#[test]
fn one_text_that_is_refused_or_fails_is_one() {
    let server = Server::start(|call| match call.prompt() {
        "b too long" => Reply::error(400, "This model's maximum context length is 4 tokens"),
        "c fails" => Reply::text(500, "out of luck"),
        _ => echoed(call),
    });
    let found = scores(&server, &[text("a", " cab"), text("b", " too long"), text("c", " fails")]).unwrap();
    assert_same(&found[..1], &[score(" cab")]);
    assert!(matches!(&found[1], Scoring::Refused(why) if why.contains("maximum context")), "{found:?}");
    assert!(matches!(&found[2], Scoring::Failed(why) if why.contains("out of luck")), "{found:?}");
}

#[test]
fn what_text_can_not_ask_for_is_said_before_anything_is_sent() {
    let server = Server::start(echoed);
    let endpoint = Endpoint::connect(quick(&server.base)).unwrap();
    for (text, word) in [
        (Scored { eos: true, ..text("a", "b") }, "end of text"),
        (Scored { apart: true, ..text("a", "b") }, "apart"),
    ] {
        let error = endpoint.score(&[text]).unwrap_err();
        assert!(error.to_string().contains(word) && error.hint().is_some(), "{error}");
    }
    let chat = Endpoint::connect(Config { api: Api::Chat, ..quick(&server.base) }).unwrap();
    assert!(chat.score(&[text("a", "b")]).unwrap_err().to_string().contains("chat API"));
    assert!(server.calls().is_empty());
}
