//! T5 through the engine: completions, likelihoods, and what is refused.

use instil::lm::{Input, LanguageModel, Next, Outcome, Request, Sampling, Scored, Scoring};
use instil_model::bench::{Job, measure};
use instil_model::engine::{Engine, Event, Finish, Settings, Streamed, TokenRequest, Tokens};
use instil_model::weights::{Options, Quantize};

use crate::t5::{Golden, MODELS, folder, near};

fn settings() -> Settings {
    Settings { weights: Options { quantize: Quantize::None, ..Options::default() }, ..Settings::default() }
}

fn load(name: &str, settings: &Settings) -> Engine {
    Engine::load(&folder(name), settings).unwrap()
}

/// What became of each request's samples, in the order of requests and samples.
fn run(engine: &Engine, requests: Vec<TokenRequest>) -> Vec<Result<(String, u32, u32, Finish), String>> {
    let mut found = Vec::new();
    let mut stream = engine.stream();
    stream.ask_tokens(requests);
    loop {
        match stream.wait().unwrap() {
            Streamed::Event(Event::Done { request, sample, completion, finish }) => {
                let (prompt, new) =
                    (completion.prompt_tokens.unwrap(), completion.completion_tokens.unwrap());
                found.push((request, sample, Ok((completion.text, prompt, new, finish))));
            }
            Streamed::Event(Event::Refused { request, sample, why }) => {
                found.push((request, sample, Err(why)))
            }
            Streamed::Event(_) | Streamed::Waiting => {}
            Streamed::Idle => break,
        }
    }
    found.sort_by_key(|(request, sample, _)| (*request, *sample));
    found.into_iter().map(|(_, _, end)| end).collect()
}

fn greedy(max_tokens: u32) -> Sampling {
    Sampling { temperature: 0.0, max_tokens, ..Sampling::default() }
}

#[test]
fn completions_are_those_of_transformers_in_any_batch() {
    for model in MODELS {
        let golden = Golden::of(model);
        for (sequences, rows, cache_bytes) in [(64, 256, None), (1, 1, None), (3, 20, Some(100_000))] {
            let engine = load(model, &Settings { sequences, rows, cache_bytes, ..settings() });
            let requests = (0..).zip(&golden.greedy).map(|(id, greedy_of)| {
                let sampling = greedy(greedy_of.tokens.len() as u32);
                TokenRequest { samples: 2, ..TokenRequest::new(id, greedy_of.source.clone(), sampling) }
            });
            let found = run(&engine, requests.collect());
            assert_eq!(found.len(), 2 * golden.greedy.len());
            for (two, wanted) in found.chunks_exact(2).zip(&golden.greedy) {
                let text = engine.tokenizer().decode(&wanted.tokens).unwrap();
                let (prompt, new) = (wanted.source.len() as u32, wanted.tokens.len() as u32);
                let wanted = Ok((text, prompt, new, Finish::Length));
                assert!(two.iter().all(|one| *one == wanted), "{model}: {two:?}, not {wanted:?}");
            }
        }
    }
}

#[test]
fn a_draw_is_the_same_alone_and_among_others() {
    let golden = Golden::of("v1.1");
    let sampling = Sampling { temperature: 1.0, top_p: 1.0, max_tokens: 24, ..Sampling::default() };
    let request = |id: u64| {
        let source = golden.pairs[id as usize].source.clone();
        TokenRequest { samples: 5, seed: id, ..TokenRequest::new(id, source, sampling.clone()) }
    };
    let engine = load("v1.1", &settings());
    let together = run(&engine, (0..golden.pairs.len() as u64).map(request).collect());
    let small = load("v1.1", &Settings { sequences: 2, rows: 3, threads: 1, speculate: false, ..settings() });
    let alone: Vec<_> =
        (0..golden.pairs.len() as u64).flat_map(|id| run(&small, vec![request(id)])).collect();
    assert_eq!(together, alone);
    // Samples differ, and some end by themselves.
    assert!(together.windows(2).filter(|two| two[0] != two[1]).count() > 15);
    assert!(together.iter().flatten().any(|(_, _, _, finish)| *finish == Finish::Eos));
}

#[test]
fn texts_go_to_the_encoder_with_their_end() {
    let engine = load("v1.0", &settings());
    let request = Request {
        id: 7,
        input: Input::Prompt("The mill.".into()),
        sampling: greedy(8),
        seed: 0,
        samples: vec![0, 1],
        constraint: instil::lm::Constraint::Free,
    };
    let mut session = engine.open().unwrap();
    session.submit(vec![request]);
    let mut texts = Vec::new();
    loop {
        match session.next().unwrap() {
            Next::Event(event) => match event.outcome {
                Outcome::Text(completion) => texts.push(completion),
                other => panic!("{other:?}"),
            },
            Next::Waiting => {}
            Next::Idle => break,
        }
    }
    // A session has the model to itself.
    drop(session);
    let ids = engine.tokenizer().encode("The mill.", true).unwrap();
    assert_eq!(ids.last(), Some(&1));
    let wanted = run(&engine, vec![TokenRequest::new(0, ids.clone(), greedy(8))]).remove(0).unwrap();
    assert_eq!(texts.len(), 2);
    assert!(texts.iter().all(|one| one.text == wanted.0 && one.prompt_tokens == Some(ids.len() as u32)));
}

#[test]
fn scores_are_those_of_transformers() {
    for model in MODELS {
        let scores = Golden::of(model).scores;
        let engine = load(model, &Settings { rows: 30, ..settings() });
        // Some prompts twice, so that a prompt is read once for both.
        let twice = scores.iter().chain(scores.iter().rev());
        let texts: Vec<Tokens> = twice
            .clone()
            .map(|one| Tokens {
                tokens: [one.source.as_slice(), &one.target].concat(),
                from: one.source.len(),
            })
            .collect();
        let found = engine.score_tokens(&texts).unwrap();
        for (found, one) in found.iter().zip(twice) {
            assert!(
                (found + one.log_likelihood).abs() < near(model),
                "{model}: {found}, not {}",
                -one.log_likelihood
            );
        }
        let prefill = engine.prefill().unwrap();
        assert!(prefill.saved() > 0 && prefill.computed > 0, "{prefill:?}");
    }
}

#[test]
fn a_text_is_scored_given_its_prompt_and_its_end_if_wanted() {
    let engine = load("v1.1", &settings());
    let text = |eos, apart| Scored { prompt: "The mill.".into(), completion: "the wheel".into(), eos, apart };
    let scores = engine.score(&[text(false, false), text(false, true), text(true, false)]).unwrap();
    // Prompt and completion are apart in any case.
    assert_eq!(scores[0], scores[1]);
    assert_eq!(scores[2].tokens, scores[0].tokens + 1);
    assert!(scores[2].nll > scores[0].nll);
    // Another prompt, another likelihood.
    let other = Scored { prompt: "Nine years later".into(), ..text(false, false) };
    assert!((engine.score(&[other]).unwrap()[0].nll - scores[0].nll).abs() > 1e-3);
    let long = Scored { prompt: "mill ".repeat(5000), ..text(false, false) };
    let found = LanguageModel::score(&engine, &[text(false, false), long, text(true, false)]).unwrap();
    assert_eq!(found[0], Scoring::Score(scores[0]));
    assert!(
        matches!(&found[1], Scoring::Refused(why) if why.contains("the model's window is 4096")),
        "{:?}",
        found[1]
    );
    assert_eq!(found[2], Scoring::Score(scores[2]));
}

#[test]
fn what_is_for_decoders_alone_is_refused_by_name() {
    let engine = load("v1.0", &settings());
    let echo = TokenRequest { echo: true, logprobs: Some(0), ..TokenRequest::new(0, vec![5, 1], greedy(4)) };
    let long = TokenRequest::new(1, vec![5; 4096], greedy(4));
    let found = run(&engine, vec![echo, long]);
    assert!(found[0].as_ref().unwrap_err().contains("`echo`"), "{found:?}");
    assert!(found[1].as_ref().unwrap_err().contains("the model's window is 4096"), "{found:?}");
    let error = measure(&engine, Job::Read { prompts: 1 }, &engine.limits(), 1).unwrap_err();
    assert!(error.to_string().contains("encoder-decoder"), "{error}");
}

#[test]
fn a_constraint_holds_completions() {
    let engine = load("v1.1", &settings());
    let choices = ["wheel".to_owned(), "the miller's daughter".to_owned()];
    let sampling = Sampling { temperature: 1.0, max_tokens: 40, ..Sampling::default() };
    let request = TokenRequest {
        samples: 6,
        constraint: instil::lm::Constraint::Choice(choices.to_vec().into()),
        ..TokenRequest::new(0, vec![40, 52, 1], sampling)
    };
    for found in run(&engine, vec![request]) {
        let (text, ..) = found.unwrap();
        assert!(choices.contains(&text), "{text}");
    }
}
