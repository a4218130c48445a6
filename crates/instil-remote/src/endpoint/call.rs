//! One call, made until it goes well or there is no more hope.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use instil::Error;
use instil::lm::{Constraint, Input, Outcome, Request};
use instil::rng::sample_seed;

use super::client::Client;
use super::config::{Api, Structured};
use super::http::Trouble;
use super::verdict::{Later, Verdict};
use super::wait::{Cancel, waits};
use super::wire::{self, Ask, Reply};

/// A server that asks to wait longer than this is not waited for.
const LONGEST_ASKED: Duration = Duration::from_secs(600);
/// So many calls in a row that found nobody, or twice the concurrency if that is more, mean that the server is gone.
const IN_VAIN: u32 = 16;

/// What a call brought.
pub(super) enum Called<T> {
    /// What was asked for.
    Answered(T),
    /// Perhaps each sample alone is answered.
    Singly,
    /// The prompt is refused.
    Refused(String),
    /// Every attempt failed.
    Failed(String),
}

/// Why a call was not finished.
pub(super) enum Stop {
    /// Nobody wants it any more.
    Cancelled,
    /// The run ends.
    Fatal(Error),
}

impl Client {
    /// Asks for these samples of a request in one call; gives those that came, in place of their choices.
    pub(super) fn call(
        &self,
        request: &Request,
        samples: &[u32],
        cancel: &Cancel,
    ) -> Result<Called<Vec<(u32, Outcome)>>, Stop> {
        let seed = sample_seed(request.seed, samples.first().copied().unwrap_or(0));
        let called = self.insist(seed, cancel, || {
            let ask = match self.ask(request, samples.len(), seed) {
                Ok(ask) => ask,
                Err(error) => return Verdict::Fatal(error),
            };
            match self.http.post(ask.path(), &ask.body()) {
                Ok(answer) => self.judge(answer, &ask, wire::read),
                Err(Trouble { message, unreachable: away }) => {
                    Verdict::Later(Later { message, asked: Duration::ZERO, away })
                }
            }
        })?;
        Ok(match called {
            Called::Answered(reply) => {
                self.met.set();
                Called::Answered(self.samples(reply, samples))
            }
            Called::Singly => Called::Singly,
            Called::Refused(message) => Called::Refused(message),
            Called::Failed(message) => Called::Failed(message),
        })
    }

    /// Makes a call until it goes well or there is no more hope, with pauses drawn from `seed`.
    pub(super) fn insist<T>(
        &self,
        seed: u64,
        cancel: &Cancel,
        attempt: impl Fn() -> Verdict<T>,
    ) -> Result<Called<T>, Stop> {
        let mut waits = waits(self.config.backoff, self.config.attempts, seed);
        let mut attempts = 0;
        loop {
            if cancel.is_raised() {
                return Err(Stop::Cancelled);
            }
            self.counters.calls.fetch_add(1, Relaxed);
            let Later { message, asked, away } = match attempt() {
                Verdict::Done(reply) => {
                    self.in_vain.store(0, Relaxed);
                    return Ok(Called::Answered(reply));
                }
                Verdict::Changed => continue,
                Verdict::Singly => return Ok(Called::Singly),
                Verdict::Refused(message) => {
                    self.in_vain.store(0, Relaxed);
                    return Ok(Called::Refused(message));
                }
                Verdict::Fatal(error) => return Err(Stop::Fatal(error)),
                Verdict::Later(later) => later,
            };
            attempts += 1;
            if asked > LONGEST_ASKED {
                let message = format!("{message}; it asks to come back in {} s", asked.as_secs());
                return self.in_vain(message, away);
            }
            match waits.next() {
                Some(wait) => {
                    cancel.wait(wait.max(asked));
                    if !cancel.is_raised() {
                        self.counters.retries.fetch_add(1, Relaxed);
                    }
                }
                None if attempts == 1 => return self.in_vain(message, away),
                None => return self.in_vain(format!("{message} (the last of {attempts} attempts)"), away),
            }
        }
    }

    fn ask<'a>(&'a self, request: &'a Request, n: usize, seed: u64) -> Result<Ask<'a>, Error> {
        let chat = match (self.config.api, &request.input) {
            (Api::Completions, Input::Messages(_)) => {
                return Err(
                    Error::usage("the completions API takes no messages").with_hint("use the chat API")
                );
            }
            (Api::Completions, _) | (Api::Auto, Input::Prompt(_)) => false,
            (Api::Chat, _) | (Api::Auto, Input::Messages(_)) => true,
        };
        let wanted = match self.config.structured {
            Structured::Auto => chat && !self.quirks.no_schema.is_set(),
            Structured::On => true,
            Structured::Off => false,
        };
        let schema = match &request.constraint {
            Constraint::JsonSchema(schema) if wanted => Some(&**schema),
            _ => None,
        };
        let held = match &request.constraint {
            Constraint::Free | Constraint::JsonSchema(_) => None,
            constraint => match self.structure {
                Some(structure) => structure.field(constraint),
                None => return Err(self.no_constraint("it offers no structured output that is known")),
            },
        };
        Ok(Ask {
            model: &self.model,
            input: &request.input,
            sampling: &request.sampling,
            n,
            seed,
            chat,
            schema,
            held,
            max_completion_tokens: self.quirks.max_completion_tokens.is_set(),
            likelihoods: None,
        })
    }

    /// The outcome of each sample whose choice came. Choices that nobody asked for are left out.
    fn samples(&self, reply: Reply, samples: &[u32]) -> Vec<(u32, Outcome)> {
        let Reply { choices, prompt_tokens, completion_tokens } = reply;
        self.counters.prompt_tokens.fetch_add(prompt_tokens.unwrap_or(0).into(), Relaxed);
        self.counters.completion_tokens.fetch_add(completion_tokens.unwrap_or(0).into(), Relaxed);
        let mut came: Vec<(u32, Outcome)> = Vec::with_capacity(samples.len());
        for (place, mut outcome) in choices {
            let Some(&sample) = samples.get(place) else { continue };
            if came.iter().any(|(other, _)| *other == sample) {
                continue;
            }
            if let Outcome::Text(completion) = &mut outcome {
                completion.prompt_tokens = prompt_tokens;
                // The server counts all choices together; how they share it is not known.
                completion.completion_tokens = completion_tokens.filter(|_| samples.len() == 1);
            }
            came.push((sample, outcome));
        }
        came
    }

    /// Every attempt failed, and so have this call's samples.
    ///
    /// Where many calls in a row ended because nobody is there or nobody is served, the run ends
    /// instead of counting what may be a million more samples as failed. Failures that may be the
    /// prompt's (a 500, a timeout, garbage) don't count for that: otherwise a few bad prompts left
    /// over at the end could never be got behind.
    fn in_vain<T>(&self, message: String, away: bool) -> Result<Called<T>, Stop> {
        if away {
            let calls = self.in_vain.fetch_add(1, Relaxed) + 1;
            let most = u32::try_from(self.config.concurrency.get() * 2).unwrap_or(u32::MAX).max(IN_VAIN);
            if calls >= most {
                return Err(Stop::Fatal(self.silent(calls, &message)));
            }
        }
        Ok(Called::Failed(message))
    }
}
