//! Prompts of tokens completed in batches, and how long that took.
//!
//!     cargo run --release -p instil-model --example throughput -- MODEL PROMPTS.json \
//!         [--new 64] [--threads 2] [--quantize none] [--sequences 64] [--rows 256] [--score] [--no-speculation] \
//!         [--temperature 0] [--constrain exqa]
//!
//! PROMPTS.json is a list of objects with `ids` and `text`. Prints one line of JSON: load_seconds, seconds, prompt_tokens,
//! new_tokens, guessed tokens and those of them that came, and a hash of all tokens' text, which is the same whatever the
//! settings. With `--score` the prompts are scored instead: `nll` is the sum over every token after a prompt's first, in
//! nats. With `--constrain` completions are held to pairs of a kind of task over the text, and end; with `--constrain choice`
//! to one of the text's quarters. `step_ms` is the mean time from one piece of a text to the next, before a pipe and after it:
//! with `--sequences 1 --no-speculation` that is a step.
#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

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
    let (mut is_scored, mut held) = (false, Held::Free);
    let mut sampling = Sampling { temperature: 0.0, max_tokens: 64, ..Sampling::default() };
    let mut settings = Settings::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} wants a value"));
        match argument.as_str() {
            "--new" => sampling.max_tokens = value()?.parse()?,
            "--temperature" => sampling.temperature = value()?.parse()?,
            "--constrain" => {
                held = match value()?.as_str() {
                    "choice" => Held::Choice,
                    kind => Held::Pair(TaskKind::parse(kind)?),
                }
            }
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
    let mut steps = [(Duration::ZERO, 0_u32); 2];
    let new_tokens = if is_scored {
        let texts: Vec<Tokens> =
            prompts.into_iter().map(|prompt| Tokens { tokens: prompt.ids, from: 1 }).collect();
        for nll in engine.score_tokens(&texts)? {
            hash.update(&nll.to_le_bytes());
            sum += nll;
        }
        0
    } else {
        complete(&engine, prompts, &sampling, held, (&mut hash, &mut steps))?
    };
    let seconds = start.elapsed().as_secs_f64();
    let milliseconds =
        |(time, steps): (Duration, u32)| (steps > 0).then(|| 1e3 * time.as_secs_f64() / f64::from(steps));
    println!(
        "{}",
        serde_json::json!({
            "load_seconds": load_seconds, "seconds": seconds,
            "prompt_tokens": prompt_tokens, "new_tokens": new_tokens, "nll": sum,
            "step_ms": steps.map(milliseconds), "guessed": engine.guesses().0, "guessed_right": engine.guesses().1,
            "hash": &hash.finalize().to_hex()[..16],
        })
    );
    Ok(())
}

/// What completions are held to.
#[derive(Clone, Copy)]
enum Held {
    Free,
    Pair(TaskKind),
    Choice,
}

impl Held {
    fn constraint(self, text: String) -> Constraint {
        match self {
            Self::Free => Constraint::Free,
            Self::Pair(kind) => Constraint::Pair(Arc::new(Pair { kind, passage: text, labels: Vec::new() })),
            Self::Choice => {
                let words: Vec<&str> = text.split_whitespace().collect();
                let quarters = words.chunks(words.len().div_ceil(4).max(1));
                Constraint::Choice(quarters.map(|words| words.join(" ")).collect())
            }
        }
    }
}

/// Completes all prompts, by exactly as many tokens as may come where nothing constrains them; gives the number of new
/// tokens, a hash of the texts, and for how long and how often a piece of text followed another, before a pipe and after
/// it.
fn complete(
    engine: &Engine,
    prompts: Vec<Prompt>,
    sampling: &Sampling,
    held: Held,
    (hash, steps): (&mut blake3::Hasher, &mut [(Duration, u32); 2]),
) -> Result<u64, Box<dyn Error>> {
    let mut stream = engine.stream();
    let requests = (0..).zip(prompts).map(|(id, prompt)| TokenRequest {
        ends: !matches!(held, Held::Free),
        constraint: held.constraint(prompt.text),
        ..TokenRequest::new(id, prompt.ids, sampling.clone())
    });
    stream.ask_tokens(requests.collect());
    let mut texts = BTreeMap::new();
    let mut new_tokens = 0;
    let mut pieces: BTreeMap<_, (Instant, String)> = BTreeMap::new();
    loop {
        match stream.wait()? {
            Streamed::Event(Event::Done { request, completion, .. }) => {
                new_tokens += u64::from(completion.completion_tokens.unwrap_or(0));
                texts.insert(request, completion.text);
            }
            Streamed::Event(Event::Refused { request, why, .. }) => {
                return Err(format!("prompt {request}: {why}").into());
            }
            Streamed::Event(Event::Text { request, text, .. }) => {
                let now = Instant::now();
                let Some((last, before)) = pieces.get_mut(&request) else {
                    pieces.insert(request, (now, text));
                    continue;
                };
                let (time, count) = &mut steps[usize::from(before.contains("<|pipe|>"))];
                (*time, *count) = (*time + (now - *last), *count + 1);
                *last = now;
                before.push_str(&text);
            }
            Streamed::Event(Event::Prompt { .. }) | Streamed::Waiting => {}
            Streamed::Idle => break,
        }
    }
    for text in texts.values() {
        hash.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
    }
    Ok(new_tokens)
}
