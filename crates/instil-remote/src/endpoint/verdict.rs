//! What an HTTP answer to a call means.

use std::time::Duration;

use instil::Error;

use super::client::Client;
use super::config::Structured;
use super::http::Answer;
use super::wire::{self, Ask, Complaint};

/// What to do next.
pub(super) enum Verdict<T> {
    /// What was asked for came.
    Done(T),
    /// Something about the call was changed for good; make it again at once.
    Changed,
    /// Several choices in one call may be what it can't do; ask for each alone.
    Singly,
    /// It may go better later.
    Later(Later),
    /// This prompt is refused.
    Refused(String),
    /// No call can go well.
    Fatal(Error),
}

/// An attempt that failed.
pub(super) struct Later {
    /// How, in words for the user.
    pub(super) message: String,
    /// How long the server asks to be left alone.
    pub(super) asked: Duration,
    /// Whether it says nothing of this prompt: nobody is there, or nobody is served.
    pub(super) away: bool,
}

impl Client {
    /// Judges the answer to `ask`, which `read` understands if it went well.
    pub(super) fn judge<T>(
        &self,
        answer: Answer,
        ask: &Ask<'_>,
        read: impl FnOnce(&[u8]) -> Result<T, String>,
    ) -> Verdict<T> {
        let status = answer.status;
        if (200..300).contains(&status) {
            return match read(&answer.body) {
                Ok(reply) => Verdict::Done(reply),
                Err(what) => {
                    let message = self.http.scrub(&what);
                    Verdict::Later(Later { message, asked: Duration::ZERO, away: false })
                }
            };
        }
        let mut complaint = wire::complaint(&answer.body);
        complaint.message = self.http.scrub(&complaint.message);
        let message = &complaint.message;
        match status {
            300..=399 => Verdict::Fatal(self.redirected(answer.location.as_deref())),
            400 | 413 | 422 => self.judge_refusal(complaint, ask),
            401 | 403 => Verdict::Fatal(self.no_entry(status, message)),
            402 => Verdict::Fatal(self.no_money(message)),
            404 | 405 | 410 => Verdict::Fatal(self.nothing_there(status, ask.path(), message)),
            429 if complaint.code.as_deref() == Some("insufficient_quota") => {
                Verdict::Fatal(self.no_money(message))
            }
            // What versions of llama.cpp's server that don't know `n` say to it.
            500 if ask.n > 1 && message.to_lowercase().contains("one completion choice") => Verdict::Singly,
            408 | 409 | 425 | 429 | 500.. => Verdict::Later(Later {
                message: format!("HTTP {status}: {message}"),
                asked: answer.retry_after.unwrap_or_default(),
                away: matches!(status, 429 | 502 | 503),
            }),
            _ => Verdict::Refused(format!("HTTP {status}: {message}")),
        }
    }

    fn judge_refusal<T>(&self, complaint: Complaint, ask: &Ask<'_>) -> Verdict<T> {
        let is_about = |names: &[&str]| {
            let low = complaint.message.to_lowercase();
            names.iter().any(|name| low.contains(name) || complaint.param.as_deref() == Some(name))
        };
        let too_long = is_too_long(&complaint);
        if !ask.max_completion_tokens && is_about(&["max_completion_tokens"]) && !too_long {
            self.quirks.max_completion_tokens.set();
            return Verdict::Changed;
        }
        if ask.schema.is_some()
            && is_about(&["response_format", "schema", "structured", "guided", "grammar"])
            && !too_long
        {
            if self.config.structured == Structured::On {
                return Verdict::Fatal(self.no_schema(&complaint.message));
            }
            self.quirks.no_schema.set();
            return Verdict::Changed;
        }
        if ask.held.is_some() && is_about(&["structured", "guided", "grammar"]) && !too_long {
            return Verdict::Fatal(self.no_constraint(&complaint.message));
        }
        // Before a first text came, a setting that is refused is refused for every prompt.
        if !self.met.is_set() && is_about_a_setting(&complaint) {
            return Verdict::Fatal(self.no_setting(&complaint.message));
        }
        if ask.n > 1 && !self.quirks.takes_n.is_set() {
            return Verdict::Singly;
        }
        Verdict::Refused(complaint.message)
    }
}

/// Whether a 400 speaks of the prompt's length. vLLM names `max_tokens` and `max_completion_tokens` in it.
pub(super) fn is_too_long(complaint: &Complaint) -> bool {
    let low = complaint.message.to_lowercase();
    complaint.code.as_deref() == Some("context_length_exceeded")
        || ["context length", "context size", "maximum context", "too large", "too long"]
            .iter()
            .any(|words| low.contains(words))
}

/// Whether a 400 is about a setting that every call carries, and not about this prompt.
fn is_about_a_setting(complaint: &Complaint) -> bool {
    const SETTINGS: [&str; 9] = [
        "temperature",
        "top_p",
        "max_tokens",
        "max_completion_tokens",
        "seed",
        "stream",
        "model",
        "messages",
        "prompt",
    ];
    const REFUSED: [&str; 12] = [
        "unknown",
        "unrecognized",
        "unrecognised",
        "unsupported",
        "not supported",
        "does not support",
        "isn't supported",
        "not permitted",
        "not allowed",
        "unexpected",
        "extra field",
        "invalid param",
    ];
    if is_too_long(complaint) {
        return false;
    }
    let code = complaint.code.as_deref().unwrap_or_default();
    if matches!(code, "unknown_parameter" | "unsupported_parameter" | "unsupported_value" | "model_not_found")
    {
        return true;
    }
    let low = complaint.message.to_lowercase();
    let refused = REFUSED.iter().any(|words| low.contains(words));
    // `model`, `messages` and `prompt` are words of any message, so only the field counts.
    let named =
        low.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| SETTINGS[..6].contains(&word));
    refused && (named || complaint.param.as_deref().is_some_and(|param| SETTINGS.contains(&param)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(message: &str) -> Complaint {
        Complaint { message: message.into(), code: None, param: None }
    }

    #[test]
    fn a_setting_is_told_from_a_prompt() {
        for message in [
            "Unrecognized request argument supplied: seed",
            "body.seed: Extra inputs are not permitted",
            "Unsupported value: 'temperature' does not support 0.5 with this model.",
        ] {
            assert!(is_about_a_setting(&said(message)), "{message}");
        }
        for message in [
            "This model's maximum context length is 2048 tokens. However, you requested 2300 tokens (2044 in the messages, 256 in the completion).",
            "'max_tokens' or 'max_completion_tokens' is too large: 256. Unexpected length.",
            "the request exceeds the available context size, try increasing it",
            "prompt is empty",
        ] {
            assert!(!is_about_a_setting(&said(message)), "{message}");
        }
        let code = Some("unsupported_parameter".to_owned());
        assert!(is_about_a_setting(&Complaint { code, ..said("no") }));
    }
}
