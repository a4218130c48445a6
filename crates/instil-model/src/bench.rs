//! How fast an engine is here, beside what the machine could do.

use std::time::Instant;

use instil::lm::Sampling;
use instil::rng::nth;
use instil::{Error, Result};

use crate::engine::{Engine, Event, Streamed, TokenRequest};
use crate::kernel::limits::Limits;

/// Tokens of a prompt whose reading is measured.
pub const PROMPT: usize = 512;

/// Tokens before what is written: few, so that weights and not the cache are what is read.
const BEFORE: usize = 16;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    /// Prompts of [`PROMPT`] tokens are read, so many of them.
    Read {
        /// How many.
        prompts: usize,
    },
    /// So many texts are written at once, each by so many tokens.
    Write {
        /// How many texts.
        texts: usize,
        /// Tokens of each.
        tokens: usize,
    },
}

/// How fast a job was done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speed {
    /// Tokens a second.
    pub tokens: f64,
    /// The share of what the machine could do: the time that reading the weights or multiplying with them takes at its
    /// limits, whichever is longer, in the time that it took. Attention isn't counted.
    pub share: f64,
}

/// Does a job several times, and gives the fastest.
///
/// # Errors
/// When the engine's window is too small for it.
pub fn measure(engine: &Engine, job: Job, limits: &Limits, times: usize) -> Result<Speed> {
    if engine.has_encoder() {
        return Err(Error::usage("an encoder-decoder (t5) isn't measured beside the machine's limits")
            .with_hint(
                "name a decoder; docs/benchmarks/t5.py measures encoder-decoders beside transformers",
            ));
    }
    let cost = engine.cost();
    let adds = limits.multiply_adds(cost.dtype);
    let pass = |rows: usize, heads: usize| {
        let computed = (rows * cost.row + heads * cost.head) as f64 / adds;
        computed.max(cost.bytes as f64 / limits.bytes)
    };
    let (tokens, least) = match job {
        Job::Read { prompts } => {
            let tokens = prompts * PROMPT;
            let passes = tokens.div_ceil(engine.rows()) as f64;
            (tokens, passes * pass(engine.rows(), 0))
        }
        Job::Write { texts, tokens } => (texts * tokens, tokens as f64 * pass(texts, texts)),
    };
    let mut best = f64::INFINITY;
    for time in 0..times as u64 {
        let seconds = match job {
            Job::Read { prompts } => seconds(engine, prompts, PROMPT, 1, 2 * time)?,
            Job::Write { texts, tokens } => {
                let all = seconds(engine, texts, BEFORE, 1 + tokens, 2 * time)?;
                // The first token comes with the prompt. Where all of it is noise, something is left.
                (all - seconds(engine, texts, BEFORE, 1, 2 * time + 1)?).max(all / 100.0)
            }
        };
        best = best.min(seconds);
    }
    Ok(Speed { tokens: tokens as f64 / best, share: least / best })
}

/// How long prompts of random tokens and `new` tokens after each take.
fn seconds(engine: &Engine, prompts: usize, len: usize, new: usize, seed: u64) -> Result<f64> {
    let sampling = Sampling { temperature: 0.0, max_tokens: new as u32, ..Sampling::default() };
    let vocab = engine.vocab() as u64;
    let request = |id: u64| {
        // Other tokens each time, so that none is in the cache.
        let token = |place: u64| (nth(nth(seed, id), place) % vocab) as u32;
        let prompt = (0..len as u64).map(token).collect();
        TokenRequest { ends: false, ..TokenRequest::new(id, prompt, sampling.clone()) }
    };
    let requests: Vec<TokenRequest> = (0..prompts as u64).map(request).collect();
    let mut stream = engine.stream();
    let start = Instant::now();
    stream.ask_tokens(requests);
    loop {
        match stream.wait()? {
            Streamed::Event(Event::Refused { why, .. }) => {
                return Err(Error::usage(format!("the model can't be measured: {why}"))
                    .with_hint(format!("a window of {} tokens is needed", PROMPT + 1)));
            }
            Streamed::Event(_) | Streamed::Waiting => {}
            Streamed::Idle => return Ok(start.elapsed().as_secs_f64()),
        }
    }
}
