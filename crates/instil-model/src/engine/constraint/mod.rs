//! Completions held to a form: which tokens may come next.
//!
//! A form is compiled to automata over bytes ([`text`], [`track`]), and these to masks of tokens through the trie of the
//! vocabulary. Text can be written in any tokens that spell it: a mask leaves out what leads nowhere, and nothing else. It
//! also leaves out what could no longer be ended within the tokens that are left, so that no completion is cut off.

mod text;
mod track;
mod vocabulary;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use instil::TaskKind;
use instil::check::Answers;
use instil::lm::{Constraint, Pair};
use instil::prompt::bonito::PIPE;

use text::{At, Half, Rules, Step};
use track::{Places, Track};
use vocabulary::NEVER;
pub(super) use vocabulary::{Mask, Vocabulary};

/// What may stand between the pipe and the response, so many of them.
const BLANKS: [u8; 2] = [b'\n', b' '];
const LEAD: u8 = 2;

/// Tokens that are kept for a response while the instruction is written. Labels and words are shorter; where all options
/// of a question are longer, the response is any text.
const RESERVE: u32 = 20;

/// What the sequences of a model share.
pub(super) struct Constraints {
    vocabulary: Vocabulary,
    /// By what must not be written: as many as passages hold different markers of prompts.
    rules: Mutex<HashMap<Vec<&'static str>, Arc<Rules>>>,
}

impl Constraints {
    pub(super) fn new(vocabulary: Vocabulary) -> Self {
        Self { vocabulary, rules: Mutex::default() }
    }

    fn rules(&self, never: Vec<&'static str>) -> Arc<Rules> {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |never: &Vec<&'static str>| Arc::new(Rules::of(never, &self.vocabulary));
        Arc::clone(rules.entry(never).or_insert_with_key(of))
    }
}

/// A form and how much of it a completion has.
#[derive(Clone)]
pub(super) struct Form {
    shared: Arc<Constraints>,
    state: State,
}

#[derive(Clone)]
enum State {
    Instruction { pair: Arc<Pair>, rules: Arc<Rules>, at: At, half: Half, written: Vec<u8> },
    Response { rules: Arc<Rules>, at: At },
    Part { track: Arc<Track>, places: Places },
}

impl Form {
    /// A form of which nothing is written yet, for a completion of at most `left` tokens; none where anything may be
    /// written. With `continues` the completion isn't the head of a text.
    ///
    /// # Errors
    /// When it can't be written in so many tokens, or not at all; the text says why.
    pub(super) fn of(
        shared: &Arc<Constraints>,
        constraint: &Constraint,
        continues: bool,
        left: u32,
    ) -> Result<Option<Self>, String> {
        let vocabulary = &shared.vocabulary;
        let (state, least) = match constraint {
            Constraint::Free | Constraint::JsonSchema(_) => return Ok(None),
            Constraint::Choice(texts) => {
                let track = Track::of_texts(texts);
                let least = track.least(vocabulary).saturating_add(1);
                let lead = u8::from(vocabulary.drops_blank() && !continues);
                (State::Part { track: Arc::new(track), places: Places::first(lead) }, least)
            }
            Constraint::Pair(pair) => {
                let rules = shared.rules(pair.never());
                // To continue a passage, or to write it, it can be the whole instruction.
                let asks = !matches!(pair.kind, TaskKind::SentComp | TaskKind::TextGen);
                let (at, half) = (At::default(), Half::Instruction { asks });
                let least = rules.least(at, half);
                let pair = Arc::clone(pair);
                (State::Instruction { pair, rules, at, half, written: Vec::new() }, least)
            }
        };
        if least >= NEVER {
            return Err("the tokenizer has no tokens for what the completion is to be".to_owned());
        }
        if least > left {
            return Err(format!("what the completion is to be takes {least} tokens, and it may have {left}"));
        }
        Ok(Some(Self { shared: Arc::clone(shared), state }))
    }

    /// The tokens that may come next, where `left` tokens may come in all, the end of text among them. There is one at least.
    pub(super) fn mask(&self, left: u32) -> Arc<Mask> {
        let vocabulary = &self.shared.vocabulary;
        let mut mask = match &self.state {
            State::Instruction { rules, at, half, .. } => rules.mask(vocabulary, *at, *half, left),
            State::Response { rules, at } => rules.mask(vocabulary, *at, Half::Response, left),
            State::Part { track, places } => Arc::new(track.mask(vocabulary, places, left)),
        };
        if mask.is_empty() {
            debug_assert!(false, "a mask leaves nothing");
            let mut end = vocabulary.none();
            vocabulary.allow_end(&mut end);
            mask = Arc::new(end);
        }
        mask
    }

    /// Takes a token that the mask allowed; `left` tokens may come after it.
    pub(super) fn push(&mut self, token: u32, left: u32) {
        let shared = Arc::clone(&self.shared);
        let bytes = shared.vocabulary.bytes_of(token);
        match &mut self.state {
            State::Response { rules, at } => {
                for byte in bytes {
                    if let Step::Text(next) = rules.step(*at, *byte, Half::Response) {
                        *at = next;
                    }
                }
            }
            State::Part { track, places } => *places = track.push(places, bytes),
            State::Instruction { pair, rules, at, half, written } => {
                for (place, byte) in bytes.iter().enumerate() {
                    written.push(*byte);
                    match rules.step(*at, *byte, *half) {
                        Step::Text(next) => *at = next,
                        Step::Forbidden => {}
                        Step::Pipe => {
                            let instruction = &written[..written.len().saturating_sub(PIPE.len())];
                            let answers = pair.answers(&String::from_utf8_lossy(instruction));
                            // Behind it the token holds blanks at the most.
                            let lead = LEAD.saturating_sub((bytes.len() - place - 1).min(LEAD.into()) as u8);
                            self.state = response(&shared.vocabulary, rules, answers, lead, left);
                            return;
                        }
                    }
                }
            }
        }
    }
}

/// The state before a response that can be written in `left` tokens, the end of text among them.
fn response(vocabulary: &Vocabulary, rules: &Arc<Rules>, answers: Answers, lead: u8, left: u32) -> State {
    let track = match answers {
        Answers::Any => None,
        Answers::OneOf(texts) => Some(Track::of_texts(&texts)),
        Answers::WordsOf(text) => Some(Track::of_words(&text, PIPE)),
    };
    match track {
        // Blanks may take as many tokens before it.
        Some(track) if track.least(vocabulary) < left => {
            State::Part { track: Arc::new(track), places: Places::first(lead) }
        }
        _ => State::Response { rules: Arc::clone(rules), at: At::default() },
    }
}
