//! The engine as a server uses it: listeners of requests, log-probabilities, prompts told back.

use std::collections::BTreeMap;
use std::sync::mpsc;

use instil::lm::Sampling;
use instil::lm::tokens::{Finish, TokenEvent, TokenLogprob, TokenModel, TokenRequest, TokenSession};
use instil_model::engine::{Engine, Settings, Tokens};

use crate::golden::folder;

fn engine(model: &str, settings: &Settings) -> Engine {
    Engine::load(&folder(model), settings).unwrap()
}

/// Few rows and few sequences, so that prompts come in pieces and requests wait.
fn narrow() -> Settings {
    Settings { rows: 9, sequences: 5, ..Settings::default() }
}

fn sampling(max_tokens: u32) -> Sampling {
    Sampling { temperature: 0.8, top_p: 0.9, max_tokens, ..Sampling::default() }
}

/// What one sample came to.
#[derive(Clone, Debug, Default, PartialEq)]
struct Told {
    prompt: Vec<TokenLogprob>,
    pieces: Vec<String>,
    tokens: Vec<TokenLogprob>,
    text: String,
    counted: usize,
    finish: Option<Finish>,
}

/// Everything that is told of requests, by request and sample.
fn told(session: &dyn TokenSession, requests: Vec<TokenRequest>) -> BTreeMap<(u64, u32), Told> {
    let (tell, events) = mpsc::channel();
    for request in requests {
        let tell = tell.clone();
        session.ask(request, Box::new(move |event| tell.send(event).unwrap()));
    }
    drop(tell);
    let mut all: BTreeMap<(u64, u32), Told> = BTreeMap::new();
    // It ends when every listener is dropped.
    for event in events {
        match event {
            TokenEvent::Prompt { request, sample, tokens } => {
                let told = all.entry((request, sample)).or_default();
                assert_eq!(*told, Told::default(), "the prompt comes first, and once");
                told.prompt = tokens;
            }
            TokenEvent::Text { request, sample, text, tokens } => {
                let told = all.entry((request, sample)).or_default();
                assert!(told.finish.is_none());
                told.pieces.push(text);
                told.tokens.extend(tokens);
            }
            TokenEvent::Done { request, sample, completion, finish } => {
                let told = all.entry((request, sample)).or_default();
                assert_eq!(told.pieces.concat(), completion.text);
                told.text = completion.text;
                told.counted = completion.completion_tokens.unwrap() as usize;
                told.finish = Some(finish);
            }
            TokenEvent::Refused { why, .. } => panic!("{why}"),
        }
    }
    all
}

/// The sum of negative log-likelihoods.
fn nll(tokens: &[TokenLogprob]) -> f64 {
    tokens.iter().filter_map(|token| token.logprob).fold(0.0, |sum, logprob| sum - logprob)
}

/// Texts of tokens, some with a common head.
fn prompts(vocab: u32) -> Vec<Vec<u32>> {
    let text =
        |seed: u32, len: u32| (0..len).map(|i| 3 + (seed * 977 + i * i * 31 + i) % (vocab - 3)).collect();
    let head: Vec<u32> = text(9, 33);
    let tails = (0..5).map(|seed| [head.clone(), text(seed, 3 + seed * 4)].concat());
    (0..9).map(|seed| text(seed, 1 + seed * 6)).chain(tails).collect()
}

#[test]
fn a_prompt_told_back_has_the_bits_of_its_score() {
    for model in ["llama", "qwen2", "gpt-neox", "gpt-j", "mistral", "gguf/llama-q8_0"] {
        let path = if model.starts_with("gguf") { format!("{model}/model.gguf") } else { model.to_owned() };
        let engine = engine(&path, &narrow());
        let prompts = prompts(engine.vocabulary() as u32);
        let texts: Vec<Tokens> =
            prompts.iter().map(|prompt| Tokens { tokens: prompt.clone(), from: 1 }).collect();
        let scores = engine.score_tokens(&texts).unwrap();
        for max_tokens in [0, 1] {
            let session = engine.serve();
            let requests = (0..).zip(&prompts).map(|(id, prompt)| TokenRequest {
                logprobs: Some(2),
                echo: true,
                ends: false,
                ..TokenRequest::new(id, prompt.clone(), sampling(max_tokens))
            });
            let told = told(&*session, requests.collect());
            for ((told, prompt), score) in told.values().zip(&prompts).zip(&scores) {
                let tokens: Vec<u32> = told.prompt.iter().map(|scored| scored.token).collect();
                assert_eq!(tokens, *prompt, "{model}");
                assert!(told.prompt[0].logprob.is_none() && told.prompt[0].top.is_empty());
                assert_eq!(nll(&told.prompt).to_bits(), score.to_bits(), "{model}");
                for scored in &told.prompt[1..] {
                    let [first, second] = scored.top[..] else { panic!("{scored:?}") };
                    assert!(first.1 >= second.1 && first.1 >= scored.logprob.unwrap());
                }
                assert_eq!((told.counted, told.tokens.len()), (max_tokens as usize, max_tokens as usize));
                assert_eq!(told.finish, Some(Finish::Length));
            }
        }
    }
}

#[test]
fn what_is_generated_is_as_likely_as_the_same_text_told_back() {
    let engine = engine("llama", &narrow());
    let session = engine.serve();
    let asked = |max_tokens: u32, prompt: Vec<u32>, id| TokenRequest {
        logprobs: Some(3),
        samples: 3,
        ends: false,
        // Penalties and candidates change what is drawn, not how likely the model says it is.
        ..TokenRequest::new(
            id,
            prompt,
            Sampling { frequency_penalty: 1.5, top_k: 40, ..sampling(max_tokens) },
        )
    };
    let prompt: Vec<u32> = (10..50).collect();
    let made = told(&*session, vec![asked(12, prompt.clone(), 1)]);
    assert_eq!(made.len(), 3);
    assert_ne!(made[&(1, 0)].text, made[&(1, 1)].text);
    for made in made.values() {
        assert_eq!((made.tokens.len(), made.counted), (12, 12));
        let generated: Vec<u32> = made.tokens.iter().map(|scored| scored.token).collect();
        let whole = [prompt.clone(), generated].concat();
        let back = told(&*session, vec![TokenRequest { echo: true, samples: 1, ..asked(0, whole, 2) }]);
        for (made, back) in made.tokens.iter().zip(&back[&(2, 0)].prompt[prompt.len()..]) {
            assert_eq!((made.token, made.logprob, &made.top), (back.token, back.logprob, &back.top));
        }
    }
}

#[test]
fn probabilities_change_no_text_and_say_where_each_token_stands() {
    for model in ["llama", "qwen2", "gguf/llama-f32/model.gguf"] {
        let engine = engine(model, &narrow());
        let session = engine.serve();
        let plain = |id| TokenRequest { samples: 2, ..TokenRequest::new(id, vec![5, 6, 7], sampling(20)) };
        let with = TokenRequest { logprobs: Some(0), ..plain(2) };
        let all = told(&*session, vec![plain(1), with]);
        for sample in 0..2 {
            let (one, two) = (&all[&(1, sample)], &all[&(2, sample)]);
            assert_eq!((&one.text, one.finish, one.counted), (&two.text, two.finish, two.counted));
            assert_eq!((one.tokens.len(), two.tokens.len()), (0, two.counted));
            assert!(two.tokens.is_sorted_by_key(|scored| scored.offset));
            assert!(two.tokens.iter().all(|scored| scored.offset <= two.text.chars().count()));
            assert_eq!(two.tokens[0].offset, 0);
        }
    }
}

#[test]
fn a_cancelled_request_leaves_its_place_to_others() {
    let engine = engine("llama", &Settings { sequences: 1, ..Settings::default() });
    let session = engine.serve();
    let long = Sampling { temperature: 0.0, max_tokens: 10_000, ..Sampling::default() };
    let (tell, events) = mpsc::channel();
    let request = TokenRequest { ends: false, ..TokenRequest::new(1, vec![5, 6], long) };
    session.ask(request, Box::new(move |event| drop(tell.send(event))));
    events.recv().unwrap();
    session.cancel(1);
    let told =
        told(&*session, vec![TokenRequest { ends: false, ..TokenRequest::new(2, vec![7], sampling(3)) }]);
    assert_eq!(told[&(2, 0)].counted, 3);
    assert!(!events.iter().any(|event| matches!(event, TokenEvent::Done { .. })), "it was broken off");
    assert!(session.is_alive());
}

#[test]
fn tokens_have_texts_of_their_own_and_together() {
    for model in ["llama", "qwen2", "gpt-j"] {
        let engine = engine(model, &Settings::default());
        let text = "A cat — naïve, 日本";
        let tokens = engine.tokenizer().encode(text, false).unwrap();
        assert_eq!(engine.pieces(&tokens).concat(), engine.tokenizer().decode(&tokens).unwrap());
        let bytes: Vec<u8> = tokens.iter().flat_map(|token| engine.token(*token).bytes).collect();
        assert_eq!(
            String::from_utf8_lossy(&bytes).trim(),
            engine.tokenizer().decode(&tokens).unwrap().trim()
        );
        let end = engine.tokenizer().end().unwrap();
        let shown = engine.token(end);
        assert_eq!((Some(shown.text), shown.bytes.len()), (engine.tokenizer().token_of(end), 0));
        let broken =
            tokens.iter().map(|token| engine.token(*token)).find(|token| token.text.starts_with("bytes:"));
        if let Some(broken) = broken {
            assert!(broken.text.starts_with("bytes:\\x") && std::str::from_utf8(&broken.bytes).is_err());
        }
    }
}
