//! The engine: batches, sharing, seeds, stops, scores.

use std::collections::BTreeMap;
use std::path::Path;

use instil::lm::{Constraint, Input, LanguageModel, Next, Outcome, Prefill, Request, Sampling, Scoring};
use instil_model::engine::{Engine, Event, Finish, Scored, Settings, Streamed, TokenRequest, Tokens};

use crate::golden::{Golden, folder, models};

fn engine(model: &str, settings: &Settings) -> Engine {
    Engine::load(&folder(model), settings).unwrap()
}

#[test]
fn scores_are_those_of_transformers() {
    for model in models().into_iter().filter(|model| !model.contains('q') || model.contains("qwen")) {
        let scores = Golden::of(&model).scores;
        let texts: Vec<Tokens> = scores
            .iter()
            .map(|scored| Tokens {
                tokens: [scored.prompt.as_slice(), &scored.completion].concat(),
                from: scored.prompt.len(),
            })
            .collect();
        let found = engine(&model, &Settings::default()).score_tokens(&texts).unwrap();
        for (found, wanted) in found.iter().zip(&scores) {
            // Beside bf16 weights activations are rounded to bf16.
            let allowed = if model == "llama-bf16" { 0.05 } else { 1e-3 };
            assert!((found + wanted.log_likelihood).abs() < allowed, "{model}: {found}");
        }
    }
}

/// A request for these samples of a prompt.
fn request(id: u64, prompt: &str, samples: &[u32], sampling: &Sampling) -> Request {
    Request {
        id,
        input: Input::Prompt(prompt.to_owned()),
        sampling: sampling.clone(),
        seed: id * 7 + 1,
        samples: samples.to_vec(),
        constraint: Constraint::Free,
    }
}

fn warm(max_tokens: u32) -> Sampling {
    Sampling { temperature: 0.9, top_p: 0.9, max_tokens, ..Sampling::default() }
}

/// Every sample's outcome, by request and sample.
fn outcomes(engine: &Engine, requests: Vec<Request>) -> BTreeMap<(u64, u32), Outcome> {
    let mut session = engine.open().unwrap();
    session.submit(requests);
    let mut outcomes = BTreeMap::new();
    loop {
        match session.next().unwrap() {
            Next::Event(event) => {
                let before = outcomes.insert((event.request, event.sample), event.outcome);
                assert!(before.is_none(), "a sample ended twice");
            }
            Next::Waiting => {}
            Next::Idle => return outcomes,
        }
    }
}

/// Prompts of many lengths, the second half of them with a common head.
fn prompts() -> Vec<String> {
    let words = ["cat", "the dog", "a", "on", "of it", "xyz", "Is", "12"];
    let text = |seed: usize, len: usize| -> String {
        (0..len)
            .map(|place| words[(seed * 31 + place * place * 7 + place) % words.len()])
            .collect::<Vec<_>>()
            .join(" ")
    };
    let head = text(99, 14);
    let short = (0..12).map(|seed| text(seed, 1 + seed * 2));
    short.chain((0..12).map(|seed| format!("{head} {}", text(seed, 1 + seed % 5)))).collect()
}

const SAME_BITS: [&str; 6] =
    ["llama", "mistral", "gpt-neox", "gguf/llama-q8_0", "gguf/llama-q4_k-q6_k", "llama-bf16"];

/// Settings that must not change a bit.
fn all_settings() -> Vec<Settings> {
    let of = |sequences, threads, share_prefixes, rows| Settings {
        sequences,
        threads,
        share_prefixes,
        rows,
        ..Settings::default()
    };
    vec![
        of(1, 1, true, 256),
        of(8, 2, true, 256),
        of(64, 2, false, 256),
        of(64, 1, true, 24),
        of(3, 2, false, 5),
        // Room for hardly more than one sequence at a time.
        Settings { cache_bytes: Some(600_000), ..of(64, 2, true, 256) },
    ]
}

#[test]
fn completions_depend_on_nothing_beside_them() {
    for model in SAME_BITS {
        let requests: Vec<Request> =
            (0..).zip(prompts()).map(|(id, prompt)| request(id, &prompt, &[0, 1], &warm(12))).collect();
        let mut first = None;
        for settings in all_settings() {
            let found = outcomes(&engine(model, &settings), requests.clone());
            assert_eq!(found.len(), 2 * requests.len());
            assert!(
                found.values().filter(|outcome| matches!(outcome, Outcome::Text(_))).count() > 20,
                "{model}"
            );
            let first = first.get_or_insert_with(|| found.clone());
            assert!(*first == found, "{model}: {settings:?} changes a completion");
        }
    }
}

#[test]
fn log_likelihoods_depend_on_nothing_beside_them() {
    for model in SAME_BITS {
        let mut first: Option<Vec<f64>> = None;
        for settings in all_settings() {
            let engine = engine(model, &settings);
            let texts: Vec<Tokens> = prompts()
                .iter()
                .map(|prompt| Tokens { tokens: engine.tokenizer().encode_prompt(prompt).unwrap(), from: 1 })
                .filter(|text| text.tokens.len() <= 40)
                .collect();
            let found = engine.score_tokens(&texts).unwrap();
            let first = first.get_or_insert_with(|| found.clone());
            assert!(*first == found, "{model}: {settings:?} changes a bit");
        }
    }
}

#[test]
fn a_sample_is_the_same_alone() {
    let engine = engine("llama", &Settings::default());
    let all = outcomes(&engine, vec![request(3, "a cat", &[0, 1, 2], &warm(16))]);
    let alone = outcomes(&engine, vec![request(3, "a cat", &[2], &warm(16))]);
    assert_eq!(all[&(3, 2)], alone[&(3, 2)]);
    assert_ne!(all[&(3, 1)], all[&(3, 2)], "samples have seeds of their own");
}

#[test]
fn text_comes_in_pieces_and_ends_before_a_stop_string() {
    let engine = engine("llama", &Settings::default());
    let whole = match &outcomes(&engine, vec![request(1, "a cat", &[0], &warm(24))])[&(1, 0)] {
        Outcome::Text(completion) => completion.text.clone(),
        other => panic!("{other:?}"),
    };
    let middle = whole.char_indices().nth(whole.chars().count() / 2).unwrap().0;
    let stop: String = whole[middle..].chars().take(2).collect();
    let sampling = Sampling { stop: vec!["never to be found".into(), stop.clone()], ..warm(24) };
    let mut stream = engine.stream();
    stream.ask(vec![request(1, "a cat", &[0], &sampling)]);
    let mut told = String::new();
    loop {
        match stream.wait().unwrap() {
            Streamed::Event(Event::Text { text, .. }) => told.push_str(&text),
            Streamed::Event(Event::Done { completion, finish, .. }) => {
                assert_eq!(finish, Finish::Stop);
                assert_eq!(completion.text, whole[..whole.find(&stop).unwrap()]);
                assert_eq!(told, completion.text);
                assert!(!completion.truncated);
                break;
            }
            Streamed::Waiting => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_request_can_be_taken_back_and_a_session_broken_off() {
    let engine = engine("llama", &Settings { sequences: 2, ..Settings::default() });
    let mut stream = engine.stream();
    stream.ask((0..40).map(|id| request(id, "a cat", &[0], &warm(60))).collect());
    (1..40).for_each(|id| stream.cancel(id, 1));
    let mut done = Vec::new();
    loop {
        match stream.wait().unwrap() {
            Streamed::Event(Event::Done { request, .. }) => done.push(request),
            Streamed::Idle => break,
            _ => {}
        }
    }
    assert!(done.contains(&0));
    stream.ask((0..40).map(|id| request(id, "a cat", &[0], &warm(60))).collect());
    drop(stream);
    // The next session has the whole cache again.
    assert_eq!(outcomes(&engine, vec![request(1, "a cat", &[0], &warm(4))]).len(), 1);
}

#[test]
fn prompts_that_cannot_be_completed_are_refused() {
    let engine = engine("llama", &Settings::default());
    let window = engine.window();
    let long = "a ".repeat(window);
    let found =
        outcomes(&engine, vec![request(1, &long, &[0, 1], &warm(4)), request(2, "a cat", &[0], &warm(4))]);
    let Outcome::Refused(why) = &found[&(1, 1)] else { panic!("{found:?}") };
    assert!(why.contains(&format!("the model's window is {window}")), "{why}");
    assert!(matches!(found[&(2, 0)], Outcome::Text(_)));

    let mut stream = engine.stream();
    let asked = |id, prompt| TokenRequest::new(id, prompt, warm(4));
    stream.ask_tokens(vec![asked(1, vec![]), asked(2, vec![1, 9_999])]);
    let mut whys = BTreeMap::new();
    while let Streamed::Event(Event::Refused { request, why, .. }) = stream.wait().unwrap() {
        whys.insert(request, why);
    }
    assert!(whys[&1].contains("no token") && whys[&2].contains("9999"), "{whys:?}");
}

#[test]
fn a_completion_ends_at_the_window() {
    let engine = engine("llama", &Settings::default());
    let mut stream = engine.stream();
    let prompt = vec![5; engine.window() - 3];
    let sampling = Sampling { temperature: 0.0, max_tokens: 50, ..Sampling::default() };
    stream.ask_tokens(vec![TokenRequest { ends: false, ..TokenRequest::new(1, prompt, sampling) }]);
    loop {
        if let Streamed::Event(Event::Done { completion, finish, .. }) = stream.wait().unwrap() {
            assert_eq!((completion.completion_tokens, finish), (Some(3), Finish::Length));
            assert!(completion.truncated);
            break;
        }
    }
}

#[test]
fn too_little_memory_is_told_before_it_is_taken() {
    let mut settings = Settings::default();
    settings.weights.available = Some(100_000);
    let error = Engine::load(&folder("llama"), &settings).err().unwrap();
    assert!(error.to_string().starts_with("the model needs "), "{error}");
    assert!(error.hint().unwrap().contains("--quantize"), "{error:?}");
}

#[test]
fn long_texts_are_scored_in_windows() {
    let engine = engine("llama", &Settings::default());
    let window = engine.window();
    let tokens: Vec<u32> = (0..window as u32 * 5 / 2).map(|place| 5 + place * place % 90).collect();
    let whole = engine.score_tokens(&[Tokens { tokens: tokens.clone(), from: 1 }]).unwrap()[0];
    // The first part is a window; each later one scores half a window, after half a window.
    let part = |range: std::ops::Range<usize>, from| Tokens { tokens: tokens[range].to_vec(), from };
    let half = window / 2;
    let mut parts = vec![part(0..window, 1)];
    let mut at = window;
    while at < tokens.len() {
        let start = at - half;
        let end = tokens.len().min(start + window);
        parts.push(part(start..end, half));
        at = end;
    }
    let sum: f64 = engine.score_tokens(&parts).unwrap().iter().sum();
    assert_eq!(whole, sum);
    assert!(engine.score_tokens(&[Tokens { tokens: vec![1, 2], from: 0 }]).is_err());
    assert_eq!(engine.score_tokens(&[Tokens { tokens: vec![1], from: 1 }]).unwrap(), [0.0]);
}

#[test]
fn texts_are_scored_as_their_tokens_are() {
    let engine = engine("llama", &Settings::default());
    let (prompt, completion) = ("a cat", " on the dog");
    let text = Scored { prompt: prompt.into(), completion: completion.into(), eos: true, apart: false };
    let score = engine.score(std::slice::from_ref(&text)).unwrap()[0];
    let from = engine.tokenizer().encode_prompt(prompt).unwrap().len();
    let mut tokens = engine.tokenizer().encode_prompt(&format!("{prompt}{completion}")).unwrap();
    tokens.push(engine.tokenizer().end().unwrap());
    assert_eq!(score.tokens, tokens.len() - from);
    assert_eq!(score.nll, engine.score_tokens(&[Tokens { tokens, from }]).unwrap()[0]);
    let without = engine.score(&[Scored { eos: false, ..text }]).unwrap()[0];
    assert!(without.nll < score.nll && without.tokens + 1 == score.tokens);
}

#[test]
fn prompt_and_completion_can_be_encoded_apart() {
    let engine = engine("llama", &Settings::default());
    let tokenizer = engine.tokenizer();
    // Together these end in a token that holds the border.
    let (prompt, completion) = ("a ca", "t");
    let ids = |text: &str| tokenizer.encode(text, false).unwrap();
    assert_ne!([ids(prompt), ids(completion)].concat(), ids("a cat"));
    let text = Scored { prompt: prompt.into(), completion: completion.into(), eos: true, apart: true };
    let score = engine.score(&[text]).unwrap()[0];
    let head = tokenizer.encode_prompt(prompt).unwrap();
    let tail = tokenizer.encode_completion(completion).unwrap();
    let (from, count) = (head.len(), tail.len());
    let tokens = Tokens { tokens: [head, tail].concat(), from };
    assert_eq!(score.nll, engine.score_tokens(&[tokens]).unwrap()[0]);
    assert_eq!((score.tokens, score.whole), (count, true));
}

#[test]
fn a_completion_without_a_token_of_its_own_is_refused() {
    let engine = engine("llama", &Settings::default());
    let text =
        |apart: bool| Scored { prompt: "a ca".into(), completion: "t".into(), apart, ..Scored::default() };
    assert_eq!(engine.score(&[text(false)]).unwrap()[0].tokens, 0);
    let scored = LanguageModel::score(&engine, &[text(false), text(true)]).unwrap();
    let Scoring::Refused(why) = &scored[0] else { panic!("{scored:?}") };
    assert!(why.contains("nothing is left to score"), "{why}");
    assert!(matches!(&scored[1], Scoring::Score(score) if score.tokens > 0), "{scored:?}");
}

#[test]
fn what_greedy_decoding_gives_is_greedy() {
    let engine = engine("llama", &Settings::default());
    let sampling = Sampling { temperature: 0.0, max_tokens: 4, ..Sampling::default() };
    let found = outcomes(&engine, vec![request(1, "a cat", &[0], &sampling)]);
    let Outcome::Text(completion) = &found[&(1, 0)] else { panic!("{found:?}") };
    let of = |completion: &str| Scored {
        prompt: "a cat".into(),
        completion: completion.into(),
        apart: true,
        ..Scored::default()
    };
    let ids = engine.tokenizer().encode(&completion.text, false).unwrap();
    let scores = engine.score(&[of(&completion.text), of(" on the dog"), of(" the dog sat")]).unwrap();
    // The text may be other tokens than those that were generated; here it is not.
    assert_eq!(ids.len(), 4, "{completion:?}");
    assert_eq!(scores[0].greedy, Some(true));
    assert!(scores[1..].iter().any(|score| score.greedy == Some(false)), "{scores:?}");
}

/// Real weights, that lie beside the checkout.
#[test]
fn a_trained_model_says_what_transformers_says() {
    let model = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/models/TinyStories-656K"));
    if !model.exists() {
        eprintln!("skipped: ../shared/models isn't there");
        return;
    }
    #[derive(serde::Deserialize)]
    struct Tiny {
        greedy: Vec<TinyGreedy>,
        scores: Vec<TinyScore>,
    }
    #[derive(serde::Deserialize)]
    struct TinyGreedy {
        prompt: String,
        text: String,
        tokens: Vec<u32>,
    }
    #[derive(serde::Deserialize)]
    struct TinyScore {
        prompt_ids: Vec<u32>,
        completion_ids: Vec<u32>,
        log_likelihood: f64,
    }
    let golden: Tiny = serde_json::from_slice(&std::fs::read(folder("tinystories.json")).unwrap()).unwrap();
    let engine = Engine::load(model, &Settings::default()).unwrap();
    for greedy in golden.greedy {
        let sampling =
            Sampling { temperature: 0.0, max_tokens: greedy.tokens.len() as u32, ..Sampling::default() };
        let found = outcomes(&engine, vec![request(1, &greedy.prompt, &[0], &sampling)]);
        let Outcome::Text(completion) = &found[&(1, 0)] else { panic!("{found:?}") };
        assert_eq!(completion.text.trim_start(), greedy.text.trim_start());
    }
    let texts: Vec<Tokens> = golden
        .scores
        .iter()
        .map(|score| Tokens {
            tokens: [score.prompt_ids.as_slice(), &score.completion_ids].concat(),
            from: score.prompt_ids.len(),
        })
        .collect();
    for (found, wanted) in engine.score_tokens(&texts).unwrap().iter().zip(golden.scores) {
        assert!((found + wanted.log_likelihood).abs() < 1e-3, "{found}");
    }
}

/// Choosing among candidates scores the same rows behind each of them (spec/uit.md 3.5).
#[test]
fn scoring_32_candidates_with_32_rows_computes_each_head_once() {
    const BLOCK: usize = 16;
    const MANY: usize = 32;
    let word = |seed: usize| ["cat", "the dog", "a", "on", "of it", "xyz", "Is", "12"][seed % 8];
    let phrase = |seed: usize, len: usize| {
        (0..len)
            .map(|place| word(seed * 31 + place * place * 7 + place + seed / 8))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let texts: Vec<Scored> = (0..MANY)
        .flat_map(|candidate| (0..MANY).map(move |row| (candidate, row)))
        .map(|(candidate, row)| Scored {
            prompt: format!("{candidate} {} {row} {}", phrase(candidate, 20), phrase(row + 77, 3)),
            completion: format!(" {}", word(row)),
            ..Scored::default()
        })
        .collect();
    // Room for a candidate and its rows, and not for all of them at once.
    let settings =
        |share_prefixes| Settings { share_prefixes, cache_bytes: Some(2_000_000), ..Settings::default() };
    let shared = engine("llama", &settings(true));
    let alone = engine("llama", &settings(false));
    let score = |engine: &Engine| {
        let scored = texts.chunks(instil::lm::score::TEXTS).map(|batch| engine.score(batch).unwrap());
        scored.flatten().map(|score| score.nll).collect::<Vec<_>>()
    };
    assert!(score(&shared) == score(&alone), "sharing changes no bit");
    let (shared_prefill, alone_prefill) = (shared.prefill().unwrap(), alone.prefill().unwrap());
    // By hand: of each text all tokens but the last are given, and of its head every full block is computed by the first text
    // that has it.
    let (mut given, mut computed) = (0, 0);
    let mut known = std::collections::HashSet::new();
    for text in &texts {
        let from = shared.tokenizer().encode_prompt(&text.prompt).unwrap().len();
        let tokens =
            shared.tokenizer().encode_prompt(&format!("{}{}", text.prompt, text.completion)).unwrap();
        assert!(tokens.len() <= shared.window() && from > 2 * BLOCK);
        given += tokens.len() - 1;
        computed += tokens.len() - 1;
        for end in (BLOCK..from).step_by(BLOCK) {
            computed -= if known.insert(tokens[..end].to_vec()) { 0 } else { BLOCK };
        }
    }
    assert_eq!(alone_prefill, Prefill { given: given as u64, computed: given as u64 });
    assert_eq!(shared_prefill, Prefill { given: given as u64, computed: computed as u64 });
    assert!(shared_prefill.saved() * 2 > shared_prefill.given, "{shared_prefill:?}");
}
