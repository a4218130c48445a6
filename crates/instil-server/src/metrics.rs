//! What is counted, as Prometheus reads it (text format 0.0.4).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use instil::lm::tokens::Load;

/// The upper ends of a histogram's parts, in seconds.
const SECONDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

/// The status of a request whose client has left, as nginx has it.
pub(crate) const LEFT: u16 = 499;

/// Counts since the server began.
#[derive(Default)]
pub(crate) struct Metrics {
    requests: Mutex<BTreeMap<(&'static str, u16), u64>>,
    prompt_tokens: AtomicU64,
    generated_tokens: AtomicU64,
    first_token: Mutex<BTreeMap<&'static str, Histogram>>,
    whole: Mutex<BTreeMap<&'static str, Histogram>>,
}

#[derive(Clone, Default)]
struct Histogram {
    counts: [u64; SECONDS.len()],
    sum: f64,
    count: u64,
}

impl Metrics {
    /// A request has its status.
    pub(crate) fn answered(&self, route: &'static str, status: u16) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.entry((route, status)).or_default() += 1;
    }

    /// Prompts were taken.
    pub(crate) fn prompted(&self, tokens: u64) {
        self.prompt_tokens.fetch_add(tokens, Ordering::Relaxed);
    }

    /// A sample has ended.
    pub(crate) fn generated(&self, tokens: u64) {
        self.generated_tokens.fetch_add(tokens, Ordering::Relaxed);
    }

    /// The first of an answer came so long after the request.
    pub(crate) fn began(&self, route: &'static str, after: Duration) {
        observe(&self.first_token, route, after);
    }

    /// The whole of it.
    pub(crate) fn ended(&self, route: &'static str, after: Duration) {
        observe(&self.whole, route, after);
    }

    /// All of it as text. `queued` are samples let in that the model hasn't begun.
    pub(crate) fn text(&self, load: Load, queued: usize) -> String {
        let mut text = String::new();
        head(&mut text, "requests_total", "counter", "Requests by route and status; 499: the client left.");
        for ((route, status), count) in &*self.requests.lock().unwrap_or_else(PoisonError::into_inner) {
            line(&mut text, "requests_total", &format!("route=\"{route}\",status=\"{status}\""), count);
        }
        let tokens = [
            ("prompt_tokens_total", "Tokens of prompts.", &self.prompt_tokens),
            ("generated_tokens_total", "Tokens of completions.", &self.generated_tokens),
        ];
        for (name, help, count) in tokens {
            head(&mut text, name, "counter", help);
            line(&mut text, name, "", count.load(Ordering::Relaxed));
        }
        for (name, help, count) in [
            ("queue_length", "Samples that wait for a place among those running.", queued),
            ("running_sequences", "Samples in the forward passes.", load.running),
        ] {
            head(&mut text, name, "gauge", help);
            line(&mut text, name, "", count);
        }
        let histograms = [
            (
                "time_to_first_token_seconds",
                "From a request's head to its first new text.",
                &self.first_token,
            ),
            ("request_seconds", "From a request's head to the end of its answer.", &self.whole),
        ];
        for (name, help, histograms) in histograms {
            head(&mut text, name, "histogram", help);
            for (route, histogram) in &*histograms.lock().unwrap_or_else(PoisonError::into_inner) {
                for (most, count) in SECONDS.iter().zip(&histogram.counts) {
                    line(
                        &mut text,
                        &format!("{name}_bucket"),
                        &format!("route=\"{route}\",le=\"{most}\""),
                        count,
                    );
                }
                let all = format!("route=\"{route}\",le=\"+Inf\"");
                line(&mut text, &format!("{name}_bucket"), &all, histogram.count);
                line(&mut text, &format!("{name}_sum"), &format!("route=\"{route}\""), histogram.sum);
                line(&mut text, &format!("{name}_count"), &format!("route=\"{route}\""), histogram.count);
            }
        }
        text
    }
}

fn observe(histograms: &Mutex<BTreeMap<&'static str, Histogram>>, route: &'static str, after: Duration) {
    let seconds = after.as_secs_f64();
    let mut histograms = histograms.lock().unwrap_or_else(PoisonError::into_inner);
    let histogram = histograms.entry(route).or_default();
    // Each part counts those below it too.
    for (count, most) in histogram.counts.iter_mut().zip(SECONDS) {
        *count += u64::from(seconds <= most);
    }
    histogram.sum += seconds;
    histogram.count += 1;
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a string can't fail.
    let _ = writeln!(text, "# HELP instil_{name} {help}\n# TYPE instil_{name} {kind}");
}

fn line(text: &mut String, name: &str, labels: &str, value: impl std::fmt::Display) {
    let _ = match labels {
        "" => writeln!(text, "instil_{name} {value}"),
        labels => writeln!(text, "instil_{name}{{{labels}}} {value}"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_written_as_prometheus_reads_them() {
        let metrics = Metrics::default();
        metrics.answered("/v1/completions", 200);
        metrics.answered("/v1/completions", 200);
        metrics.answered("/health", 200);
        metrics.prompted(7);
        metrics.generated(5);
        metrics.ended("/v1/completions", Duration::from_millis(30));
        metrics.ended("/v1/completions", Duration::from_secs(400));
        let text = metrics.text(Load { waiting: 2, running: 3 }, 2);
        for line in [
            "instil_requests_total{route=\"/v1/completions\",status=\"200\"} 2",
            "instil_prompt_tokens_total 7",
            "instil_generated_tokens_total 5",
            "instil_queue_length 2",
            "instil_running_sequences 3",
            "instil_request_seconds_bucket{route=\"/v1/completions\",le=\"0.025\"} 0",
            "instil_request_seconds_bucket{route=\"/v1/completions\",le=\"0.05\"} 1",
            "instil_request_seconds_bucket{route=\"/v1/completions\",le=\"300\"} 1",
            "instil_request_seconds_bucket{route=\"/v1/completions\",le=\"+Inf\"} 2",
            "instil_request_seconds_sum{route=\"/v1/completions\"} 400.03",
            "instil_request_seconds_count{route=\"/v1/completions\"} 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} isn't in\n{text}");
        }
    }
}
