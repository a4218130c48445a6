//! Recorded completions, given back for their prompts.
//!
//! A recording is a file of lines `{"prompt", "completion"}`; several lines of one prompt are its
//! samples in order. `"finish_reason": "length"` marks a completion that was cut off. The prompt of
//! a chat is [`Input::text`](super::Input::text). The whole recording is held in memory.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;

use super::{Capabilities, Completion, Event, LanguageModel, Next, Outcome, Request, Session};
use crate::error::{Error, Result};

/// A model that knows nothing but its recording.
pub struct Replay {
    identity: Arc<str>,
    completions: HashMap<String, Vec<Completion>>,
}

#[derive(serde::Deserialize)]
struct Line {
    prompt: String,
    completion: String,
    #[serde(default)]
    finish_reason: Option<String>,
}

impl Replay {
    /// Reads a recording.
    ///
    /// # Errors
    /// When the file can't be read, or a line isn't such an object; the line is named.
    pub fn open(path: &Path) -> Result<Self> {
        let failed =
            |what: String| Error::input(format!("failed to read recording `{}`{what}", path.display()));
        let file = File::open(path).map_err(|e| failed(String::new()).because(e))?;
        let mut hasher = blake3::Hasher::new();
        let mut completions: HashMap<String, Vec<Completion>> = HashMap::new();
        for (number, line) in BufReader::new(file).split(b'\n').enumerate() {
            let at = || failed(format!(" at line {}", number + 1));
            let line = line.map_err(|e| at().because(e))?;
            hasher.update(&line).update(b"\n");
            if line.trim_ascii().is_empty() {
                continue;
            }
            let line: Line = serde_json::from_slice(&line).map_err(|e| {
                at().because(e).with_hint("each line is {\"prompt\": \"…\", \"completion\": \"…\"}")
            })?;
            completions.entry(line.prompt).or_default().push(Completion {
                text: line.completion,
                truncated: line.finish_reason.as_deref() == Some("length"),
                ..Completion::default()
            });
        }
        let identity = format!("replay/{}", &hasher.finalize().to_hex()[..16]).into();
        Ok(Self { identity, completions })
    }

    fn outcome(&self, request: &Request, sample: u32) -> Outcome {
        match self.completions.get(&request.input.text()) {
            None => Outcome::Refused("the recording has no such prompt".to_owned()),
            Some(samples) => match samples.get(sample as usize) {
                None => {
                    Outcome::Refused(format!("the recording has {} samples of this prompt", samples.len()))
                }
                Some(completion) => Outcome::Text(completion.clone()),
            },
        }
    }
}

impl LanguageModel for Replay {
    fn identity(&self) -> Arc<str> {
        Arc::clone(&self.identity)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { json_schema: true, constrains: false, messages: true, journaled: false, scores: false }
    }

    fn open(&self) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(Playing { replay: self, ready: VecDeque::new() }))
    }
}

struct Playing<'a> {
    replay: &'a Replay,
    ready: VecDeque<Event>,
}

impl Session for Playing<'_> {
    fn room(&self) -> usize {
        usize::from(self.ready.is_empty())
    }

    fn submit(&mut self, requests: Vec<Request>) {
        for request in requests {
            for &sample in &request.samples {
                let outcome = self.replay.outcome(&request, sample);
                self.ready.push_back(Event { request: request.id, sample, outcome });
            }
        }
    }

    fn next(&mut self) -> Result<Next> {
        Ok(self.ready.pop_front().into())
    }
}
