//! How likely texts are to the model behind an endpoint.
//!
//! Two ways are known. `echo` with `logprobs` is OpenAI's old one: the prompt comes back with the log-likelihood of each
//! of its tokens (vLLM, SGLang, llama-cpp-python, instil's own server). `prompt_logprobs` is vLLM's. Which one a server
//! knows is found out with the first text; one that knows neither is told by name.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use instil::lm::{Input, Sampling, Score, Scored, Scoring};
use instil::rng::seed_of;
use instil::{Error, Result};

use super::call::{Called, Stop};
use super::client::Client;
use super::config::Api;
use super::http::{Answer, Trouble};
use super::score_wire::{self, Found};
use super::verdict::{Later, Verdict};
use super::wait::Cancel;
use super::wire::{self, Ask};

/// How a server is asked for the likelihoods of a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Likelihoods {
    /// `echo` with `logprobs`.
    Echo,
    /// `prompt_logprobs`.
    Prompt,
}

/// How a text is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Way {
    how: Likelihoods,
    /// New tokens that are made, which nobody wants.
    tokens: u32,
}

impl Client {
    /// The way that is right for this server, as far as is known.
    fn way(&self) -> Way {
        match self.quirks.no_echo.is_set() {
            // vLLM wants a token where it doesn't echo.
            true => Way { how: Likelihoods::Prompt, tokens: 1 },
            false => Way { how: Likelihoods::Echo, tokens: u32::from(self.quirks.least_one_token.is_set()) },
        }
    }

    /// Scores texts, as many at once as calls may be under way.
    pub(super) fn score(&self, texts: &[Scored]) -> Result<Vec<Scoring>> {
        if let Some(fault) = self.cannot_score(texts) {
            return Err(fault);
        }
        let (next, cancel) = (AtomicUsize::new(0), Cancel::default());
        let scored: Mutex<Vec<Option<Scoring>>> = Mutex::new(vec![None; texts.len()]);
        let fatal: Mutex<Option<Error>> = Mutex::new(None);
        std::thread::scope(|scope| {
            for _ in 0..self.config.concurrency.get().min(texts.len()) {
                scope.spawn(|| {
                    loop {
                        let place = next.fetch_add(1, Ordering::Relaxed);
                        let Some(text) = texts.get(place) else { break };
                        match self.score_one(text, &cancel) {
                            Ok(scoring) => {
                                scored.lock().unwrap_or_else(PoisonError::into_inner)[place] = Some(scoring);
                            }
                            Err(Stop::Cancelled) => break,
                            Err(Stop::Fatal(error)) => {
                                fatal.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                                cancel.raise();
                                break;
                            }
                        }
                    }
                });
            }
        });
        if let Some(error) = fatal.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        let scored = scored.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(scored.into_iter().map(|one| one.expect("every text was taken by a thread")).collect())
    }

    /// Why these texts can't be scored here, if they can't.
    fn cannot_score(&self, texts: &[Scored]) -> Option<Error> {
        let base = &self.http.base;
        if self.config.api == Api::Chat {
            return Some(
                Error::usage("the chat API says nothing of how likely a prompt is")
                    .with_hint("leave out `--api chat`, so that the completions API is asked"),
            );
        }
        let wanted = match texts.iter().find(|text| text.eos || text.apart)? {
            Scored { eos: true, .. } => "the end of text can't be scored",
            _ => "prompt and completion can't be encoded apart",
        };
        Some(
            Error::usage(format!("{wanted} through the endpoint `{base}`, which is given text")).with_hint(
                "run the model here (name its weights with --model), or have both scored as one text",
            ),
        )
    }

    fn score_one(&self, text: &Scored, cancel: &Cancel) -> Result<Scoring, Stop> {
        let input = Input::Prompt(text.prompt.clone() + &text.completion);
        let seed = seed_of(0, &[&text.prompt, &text.completion]);
        let called = self.insist(seed, cancel, || {
            let way = self.way();
            let sampling =
                Sampling { temperature: 0.0, top_p: 1.0, max_tokens: way.tokens, ..Sampling::default() };
            let ask = Ask {
                model: &self.model,
                input: &input,
                sampling: &sampling,
                n: 1,
                seed: 0,
                chat: false,
                schema: None,
                held: None,
                max_completion_tokens: false,
                likelihoods: Some(way.how),
            };
            match self.http.post(ask.path(), &ask.body()) {
                Ok(answer) => self.judge_scored(answer, &ask, text, way),
                Err(Trouble { message, unreachable: away }) => {
                    Verdict::Later(Later { message, asked: Duration::ZERO, away })
                }
            }
        })?;
        Ok(match called {
            Called::Answered(scoring) => scoring,
            Called::Refused(message) => Scoring::Refused(message),
            Called::Failed(message) => Scoring::Failed(message),
            Called::Singly => Scoring::Failed("the server wants one choice, and none was asked for".into()),
        })
    }

    fn judge_scored(&self, answer: Answer, ask: &Ask<'_>, text: &Scored, way: Way) -> Verdict<Scoring> {
        let how = way.how;
        if matches!(answer.status, 400 | 422) {
            // Another thread has found out meanwhile.
            if way != self.way() {
                return Verdict::Changed;
            }
            if !self.quirks.scored.is_set()
                && let Some(verdict) = self.judge_way(&answer.body, way)
            {
                return verdict;
            }
        }
        let verdict =
            self.judge(answer, ask, |body| score_wire::read(body, &text.prompt, &text.completion, how));
        match verdict {
            Verdict::Done(Found::Sum { nll, tokens, greedy }) => {
                self.quirks.scored.set();
                Verdict::Done(Scoring::Score(Score { nll, tokens, greedy, whole: true }))
            }
            Verdict::Done(Found::Unclear(why)) => Verdict::Done(Scoring::Refused(why)),
            Verdict::Done(Found::Nothing) if way != self.way() => Verdict::Changed,
            Verdict::Done(Found::Nothing) if how == Likelihoods::Echo && !self.quirks.scored.is_set() => {
                self.quirks.no_echo.set();
                Verdict::Changed
            }
            Verdict::Done(Found::Nothing) => Verdict::Fatal(self.no_likelihoods("its answers hold none")),
            Verdict::Changed => Verdict::Changed,
            Verdict::Singly => Verdict::Singly,
            Verdict::Later(later) => Verdict::Later(later),
            Verdict::Refused(message) => Verdict::Refused(message),
            Verdict::Fatal(error) => Verdict::Fatal(error),
        }
    }

    /// What a refusal says of the way to ask, before any text was scored.
    fn judge_way(&self, body: &[u8], way: Way) -> Option<Verdict<Scoring>> {
        let mut complaint = wire::complaint(body);
        complaint.message = self.http.scrub(&complaint.message);
        let low = complaint.message.to_lowercase();
        let is_about = |name: &str| low.contains(name) || complaint.param.as_deref() == Some(name);
        let is_about_tokens = ["max_tokens", "max_completion_tokens"].iter().any(|name| is_about(name));
        if way.tokens == 0 && is_about_tokens && !super::verdict::is_too_long(&complaint) {
            self.quirks.least_one_token.set();
            return Some(Verdict::Changed);
        }
        if !is_about("echo") && !is_about("logprobs") {
            return None;
        }
        Some(match way.how {
            Likelihoods::Echo => {
                self.quirks.no_echo.set();
                Verdict::Changed
            }
            Likelihoods::Prompt => Verdict::Fatal(self.no_likelihoods(&complaint.message)),
        })
    }

    fn no_likelihoods(&self, why: &str) -> Error {
        Error::model(format!(
            "the endpoint `{}` gives no likelihoods of what it is given, neither by `echo` with `logprobs` nor by \
             `prompt_logprobs`: {why}",
            self.http.base
        ))
        .with_hint("vLLM, and `instil serve`, give them; or run the model here: name its weights with --model")
    }
}
