//! Any bytes as a request's path and body: it is understood within its limits, or refused with an error body.
#![no_main]

use instil_server::request::{Call, Route};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, bool, &[u8])| {
    let (path, is_chat, body) = input;
    for method in ["GET", "POST", path] {
        if let Err(refusal) = Route::of(method, path) {
            assert!([404, 405].contains(&refusal.status) && refusal.body()["error"]["message"].is_string());
        }
    }
    let route = if is_chat { Route::Chat } else { Route::Completions };
    let common = match Call::parse(route, body) {
        Err(refusal) => return assert!(refusal.status == 400 && !refusal.message.is_empty()),
        Ok(Call::Completions(call)) => {
            assert!(!call.prompts.is_empty() && (call.echo || call.common.sampling.max_tokens > 0));
            call.common
        }
        Ok(Call::Chat(call)) => {
            assert!(call.messages.iter().all(|message| message["content"].is_string()));
            call.common
        }
        Ok(Call::Plain(route)) => panic!("{route:?} has no body"),
    };
    assert!((1..=128).contains(&common.n) && (common.stream || !common.include_usage));
    // Whatever came through is in the range of each setting.
    let sampling = common.sampling;
    let max_tokens = sampling.max_tokens.max(1);
    assert!(instil::lm::Sampling { max_tokens, ..sampling }.checked().is_ok());
});
