//! Completions held to a form, and tokens guessed: nothing else may change.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use instil::TaskKind;
use instil::check::check;
use instil::lm::tokens::{TokenEvent, TokenRequest};
use instil::lm::{Constraint, Input, LanguageModel, Next, Outcome, Pair, Request, Sampling};
use instil::parse::{Asked, bonito};
use instil::prompt::bonito::prompt;
use instil::reject::Reason;
use instil_model::engine::{Engine, Settings, Streamed};
use instil_model::tokenizer::new::learn;
use instil_model::train::{Method, Trainer};
use serde_json::json;

use crate::golden::folder;

const PASSAGES: [&str; 3] = [
    "The mill wheel turns while the water runs in the race. It was built in 1823.",
    "Ärger im Tal: \"30 days\", said Mr. O'Neill.",
    "北京在中国。",
];

/// A random model that can write any byte.
fn model(folder: &Path) {
    let config = json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 320, "hidden_size": 32,
        "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "max_position_embeddings": 512, "hidden_act": "silu", "rms_norm_eps": 1e-5, "tie_word_embeddings": false,
        "initializer_range": 0.3,
    });
    let settings = instil_model::train::Settings { method: Method::Full, ..Default::default() };
    Trainer::new(&config, settings).unwrap().save_model(folder, None).unwrap();
    learn(PASSAGES.into_iter().chain(["Yes or No? <|pipe|> {{context}} True or False?"; 3]), 310, folder)
        .unwrap();
}

fn sampling(max_tokens: u32) -> Sampling {
    Sampling { temperature: 1.0, top_p: 1.0, max_tokens, ..Sampling::default() }
}

/// Every kind of task over every passage.
fn pairs() -> Vec<Request> {
    let of = |(id, (passage, kind)): (u64, (&str, TaskKind))| Request {
        id,
        input: Input::Prompt(prompt(kind, passage)),
        sampling: sampling(40 + id as u32),
        seed: id,
        samples: vec![0, 1],
        constraint: Constraint::Pair(Arc::new(Pair {
            kind,
            passage: passage.to_owned(),
            labels: if instil::prompt::takes_labels(kind) { labels() } else { Vec::new() },
        })),
    };
    let asked = PASSAGES.into_iter().flat_map(|passage| TaskKind::ALL.map(|kind| (passage, kind)));
    (0..).zip(asked).map(of).collect()
}

fn labels() -> Vec<String> {
    ["Sports", "World news"].map(str::to_owned).to_vec()
}

fn outcomes(engine: &Engine, requests: Vec<Request>) -> BTreeMap<(u64, u32), Outcome> {
    let mut session = engine.open().unwrap();
    session.submit(requests);
    let mut outcomes = BTreeMap::new();
    loop {
        match session.next().unwrap() {
            Next::Event(event) => drop(outcomes.insert((event.request, event.sample), event.outcome)),
            Next::Waiting => {}
            Next::Idle => return outcomes,
        }
    }
}

/// Settings that must not change a token.
fn all_settings() -> Vec<Settings> {
    let of = |sequences, threads, rows, speculate| Settings {
        sequences,
        threads,
        rows,
        speculate,
        ..Settings::default()
    };
    vec![
        of(1, 1, 256, false),
        of(1, 2, 256, true),
        of(64, 2, 256, true),
        of(5, 1, 9, true),
        of(64, 2, 24, false),
    ]
}

#[test]
fn what_a_random_model_writes_under_a_constraint_parses() {
    let place = tempfile::tempdir().unwrap();
    model(place.path());
    let requests = pairs();
    let mut first = None;
    for settings in all_settings() {
        let engine = Engine::load(place.path(), &settings).unwrap();
        assert!(engine.capabilities().constrains);
        let found = outcomes(&engine, requests.clone());
        let first = first.get_or_insert_with(|| found.clone());
        assert!(*first == found, "{settings:?} changes a token");
    }
    for ((id, sample), outcome) in first.unwrap() {
        let Constraint::Pair(pair) = &requests[id as usize].constraint else { unreachable!() };
        let Outcome::Text(completion) = &outcome else { panic!("{outcome:?}") };
        let asked = Asked { kind: pair.kind, passage: &pair.passage, labels: &pair.labels };
        let parsed = bonito(&completion.text, completion.truncated, asked)
            .unwrap_or_else(|reason| panic!("{id} {sample}: {reason:?}: {completion:?}"));
        let verdict = check(&parsed, asked);
        assert!(
            !matches!(verdict, Err(Reason::AnswerNotInText | Reason::NotYesNo | Reason::NotALabel)),
            "{pair:?}: {verdict:?}: {completion:?}"
        );
    }
    // Without it, the same model makes none.
    let free = requests.iter().map(|request| Request { constraint: Constraint::Free, ..request.clone() });
    let engine = Engine::load(place.path(), &Settings::default()).unwrap();
    for outcome in outcomes(&engine, free.collect()).values() {
        let Outcome::Text(completion) = outcome else { panic!("{outcome:?}") };
        assert!(!completion.text.contains("<|pipe|>"));
    }
}

#[test]
fn a_choice_is_one_of_its_texts() {
    let place = tempfile::tempdir().unwrap();
    model(place.path());
    let engine = Engine::load(place.path(), &Settings::default()).unwrap();
    let texts = ["yes".to_owned(), "no, never".to_owned(), " of course".to_owned()];
    let request = |id| Request {
        id,
        input: Input::Prompt("Is it so?".into()),
        sampling: sampling(30),
        seed: id,
        samples: vec![0],
        constraint: Constraint::Choice(texts.clone().into()),
    };
    let found = outcomes(&engine, (0..40).map(request).collect());
    let mut counts = BTreeMap::new();
    for outcome in found.values() {
        let Outcome::Text(completion) = outcome else { panic!("{outcome:?}") };
        assert!(texts.contains(&completion.text) && !completion.truncated, "{completion:?}");
        *counts.entry(completion.text.clone()).or_insert(0) += 1;
    }
    assert_eq!(counts.len(), 3, "{counts:?}");
    let short = Request { sampling: sampling(1), ..request(1) };
    let Outcome::Refused(why) = &outcomes(&engine, vec![short])[&(1, 0)] else { panic!() };
    assert!(why.contains("and it may have 1"), "{why}");
}

#[test]
fn a_tokenizer_that_cannot_write_the_pipe_is_refused() {
    let engine = Engine::load(&folder("llama"), &Settings::default()).unwrap();
    assert!(!engine.capabilities().constrains);
    let pair = Pair { kind: TaskKind::Qa, passage: "a cat".into(), labels: Vec::new() };
    let request = Request {
        id: 1,
        input: Input::Prompt("a cat".into()),
        sampling: sampling(60),
        seed: 1,
        samples: vec![0],
        constraint: Constraint::Pair(Arc::new(pair)),
    };
    let Outcome::Refused(why) = &outcomes(&engine, vec![request])[&(1, 0)] else { panic!() };
    assert!(why.contains("no tokens for what the completion is to be"), "{why}");
}

/// What is told of requests, event by event, without how text was cut into pieces.
fn told(engine: &Engine, requests: Vec<TokenRequest>) -> BTreeMap<(u64, u32), Vec<String>> {
    let mut stream = engine.stream();
    stream.ask_tokens(requests);
    let mut told: BTreeMap<(u64, u32), Vec<String>> = BTreeMap::new();
    loop {
        match stream.wait().unwrap() {
            Streamed::Event(event) => match event {
                TokenEvent::Prompt { request, sample, tokens } => {
                    told.entry((request, sample)).or_default().push(format!("{tokens:?}"));
                }
                TokenEvent::Text { request, sample, text, tokens } => {
                    told.entry((request, sample)).or_default().push(format!("{text:?} {tokens:?}"));
                }
                TokenEvent::Done { request, sample, completion, finish } => {
                    told.entry((request, sample)).or_default().push(format!("{completion:?} {finish:?}"));
                }
                TokenEvent::Refused { why, .. } => panic!("{why}"),
            },
            Streamed::Waiting => {}
            Streamed::Idle => return told,
        }
    }
}

#[test]
fn guessed_tokens_change_nothing() {
    // Prompts that repeat themselves, and draws that follow them more or less.
    let prompt =
        |id: u64| -> Vec<u32> { (0..30).map(|place| 5 + ((place % 7) * (id + 3) % 90) as u32).collect() };
    let kinds: [(&str, Sampling); 6] = [
        ("greedy", Sampling { temperature: 0.0, ..sampling(60) }),
        ("cool", Sampling { temperature: 0.05, ..sampling(60) }),
        ("warm", Sampling { temperature: 0.9, top_p: 0.9, ..sampling(40) }),
        (
            "penalised",
            Sampling { temperature: 0.0, frequency_penalty: 0.02, repetition_penalty: 1.01, ..sampling(60) },
        ),
        ("stopped", Sampling { temperature: 0.0, stop: vec!["the".into(), "a".into()], ..sampling(60) }),
        ("to the window", Sampling { temperature: 0.0, ..sampling(u32::MAX) }),
    ];
    for model in ["llama", "mistral", "gguf/llama-q8_0", "gpt-neox"] {
        for (kind, sampling) in &kinds {
            let requests: Vec<TokenRequest> = (0..8)
                .map(|id| TokenRequest {
                    samples: 2,
                    seed: id,
                    ends: id % 2 == 0,
                    logprobs: (id % 3 == 0).then_some(2),
                    echo: id % 4 == 0,
                    ..TokenRequest::new(id, prompt(id), sampling.clone())
                })
                .collect();
            let mut first = None;
            for settings in all_settings() {
                let engine = Engine::load(&folder(model), &settings).unwrap();
                let found = told(&engine, requests.clone());
                let (made, right) = engine.guesses();
                assert!(settings.speculate || made == 0);
                if settings.speculate && settings.sequences == 1 && *kind == "greedy" {
                    assert!(right > 5 && right < made, "{model}: {right} of {made}");
                }
                let first = first.get_or_insert_with(|| found.clone());
                assert!(*first == found, "{model}, {kind}: {settings:?} changes something");
            }
        }
    }
}
