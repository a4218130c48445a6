//! Prompts of tokens completed in batches, and how long that took.
//!
//!     cargo run --release -p instil-model --example throughput -- MODEL PROMPTS.json \
//!         [--new 64] [--threads 2] [--quantize none] [--sequences 64] [--rows 256] [--score] [--no-speculation] \
//!         [--temperature 0] [--constrain exqa]
//!
//! PROMPTS.json is a list of objects with `ids` and `text`. Prints one line of JSON: load_seconds, seconds, prompt_tokens,
//! new_tokens, guessed tokens and those of them that came, and a hash of all tokens' text, which is the same whatever the
//! settings. With `--score` the prompts are scored instead: `nll` is the sum over every token after a prompt's first, in
//! nats. With `--constrain` completions are held to pairs of a kind of task over the text, and end.
#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use instil::TaskKind;
use instil::lm::{Constraint, Pair, Sampling};
use instil_model::engine::{Engine, Event, Settings, Streamed, TokenRequest, Tokens};
use serde::Deserialize;

#[derive(Deserialize)]
struct Prompt {
    ids: Vec<u32>,
    #[serde(default)]
    text: String,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut paths = Vec::new();
    let (mut is_scored, mut kind) = (false, None);
    let mut sampling = Sampling { temperature: 0.0, max_tokens: 64, ..Sampling::default() };
    let mut settings = Settings::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} wants a value"));
        match argument.as_str() {
            "--new" => sampling.max_tokens = value()?.parse()?,
            "--temperature" => sampling.temperature = value()?.parse()?,
            "--constrain" => kind = Some(TaskKind::parse(&value()?)?),
            "--threads" => settings.threads = value()?.parse()?,
            "--quantize" => settings.weights.quantize = value()?.parse()?,
            "--sequences" => settings.sequences = value()?.parse()?,
            "--rows" => settings.rows = value()?.parse()?,
            "--score" => is_scored = true,
            "--no-speculation" => settings.speculate = false,
            _ => paths.push(PathBuf::from(argument)),
        }
    }
    let [model, prompts] = &paths[..] else { return Err("a model and a file of prompts are wanted".into()) };
    let prompts: Vec<Prompt> = serde_json::from_slice(&std::fs::read(prompts)?)?;
    let prompt_tokens: usize = prompts.iter().map(|prompt| prompt.ids.len()).sum();

    let start = Instant::now();
    let engine = Engine::load(model, &settings)?;
    let load_seconds = start.elapsed().as_secs_f64();

    let start = Instant::now();
    let mut hash = blake3::Hasher::new();
    let mut sum = 0.0;
    let new_tokens = if is_scored {
        let texts: Vec<Tokens> =
            prompts.into_iter().map(|prompt| Tokens { tokens: prompt.ids, from: 1 }).collect();
        for nll in engine.score_tokens(&texts)? {
            hash.update(&nll.to_le_bytes());
            sum += nll;
        }
        0
    } else {
        complete(&engine, prompts, &sampling, kind, &mut hash)?
    };
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{}",
        serde_json::json!({
            "load_seconds": load_seconds, "seconds": seconds,
            "prompt_tokens": prompt_tokens, "new_tokens": new_tokens, "nll": sum,
            "guessed": engine.guesses().0, "guessed_right": engine.guesses().1,
            "hash": &hash.finalize().to_hex()[..16],
        })
    );
    Ok(())
}

/// Completes all prompts, by exactly as many tokens as may come where nothing constrains them; gives the number of new
/// tokens.
fn complete(
    engine: &Engine,
    prompts: Vec<Prompt>,
    sampling: &Sampling,
    kind: Option<TaskKind>,
    hash: &mut blake3::Hasher,
) -> Result<u64, Box<dyn Error>> {
    let mut stream = engine.stream();
    let requests = (0..).zip(prompts).map(|(id, prompt)| TokenRequest {
        ends: kind.is_some(),
        constraint: kind.map_or(Constraint::Free, |kind| {
            Constraint::Pair(Arc::new(Pair { kind, passage: prompt.text, labels: Vec::new() }))
        }),
        ..TokenRequest::new(id, prompt.ids, sampling.clone())
    });
    stream.ask_tokens(requests.collect());
    let mut texts = BTreeMap::new();
    let mut new_tokens = 0;
    loop {
        match stream.wait()? {
            Streamed::Event(Event::Done { request, completion, .. }) => {
                new_tokens += u64::from(completion.completion_tokens.unwrap_or(0));
                texts.insert(request, completion.text);
            }
            Streamed::Event(Event::Refused { request, why, .. }) => {
                return Err(format!("prompt {request}: {why}").into());
            }
            Streamed::Event(Event::Prompt { .. } | Event::Text { .. }) | Streamed::Waiting => {}
            Streamed::Idle => break,
        }
    }
    for text in texts.values() {
        hash.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
    }
    Ok(new_tokens)
}
