//! Texts that are free but for what they must not hold, byte by byte.
//!
//! An Aho-Corasick automaton (1975) over what must not be written, over `<|pipe|>` and over the placeholder's
//! beginning; besides, that bytes are UTF-8 and that a half says something.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use instil::prompt::bonito::{PIPE, PLACEHOLDER};

use super::vocabulary::{Mask, NEVER, ROOT, Vocabulary};
use super::{BLANKS, LEAD, RESERVE};

/// What begins a placeholder; nothing else may follow it than the placeholder's rest.
const SLOT: &str = "{{";

/// The rest of the placeholder.
fn slot_rest() -> &'static [u8] {
    PLACEHOLDER.as_bytes().strip_prefix(SLOT.as_bytes()).unwrap_or_default()
}

/// States that are none: something forbidden, the pipe, the placeholder's beginning.
const FORBIDDEN: u16 = u16::MAX;
const PIPED: u16 = u16::MAX - 1;
const OPENED: u16 = u16::MAX - 2;

/// Masks that are kept. A row of 32,000 tokens is 4 kB.
const MASKS: usize = 2048;

/// Which half of a pair is written, and what it has to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Half {
    /// The instruction; with `asks` it says something beside the passage.
    Instruction { asks: bool },
    /// The response.
    Response,
}

/// How far a text has been written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct At {
    state: u16,
    /// Bytes of the placeholder's rest that are there, and one; 0 outside of it.
    slot: u8,
    letter: Letter,
    /// Whether it holds what its half has to hold.
    says: bool,
    /// Whether a `{` is open: what stands behind it may be read as the placeholder.
    is_open: bool,
}

/// A character of which some bytes are there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Letter {
    code: u32,
    /// Bytes that are to come.
    left: u8,
    /// What the next may be, where it isn't any continuation.
    range: Option<(u8, u8)>,
}

impl Letter {
    /// The character with one more byte; none where that is no UTF-8.
    fn push(self, byte: u8) -> Option<Self> {
        if self.left > 0 {
            let (low, high) = self.range.unwrap_or((0x80, 0xbf));
            let code = self.code << 6 | u32::from(byte & 0x3f);
            return (low..=high).contains(&byte).then_some(Self { code, left: self.left - 1, range: None });
        }
        let of = |mask: u8, left, range| Some(Self { code: u32::from(byte & mask), left, range });
        match byte {
            0..=0x7f => of(0x7f, 0, None),
            0xc2..=0xdf => of(0x1f, 1, None),
            0xe0 => of(0x0f, 2, Some((0xa0, 0xbf))),
            0xed => of(0x0f, 2, Some((0x80, 0x9f))),
            0xe1..=0xef => of(0x0f, 2, None),
            0xf0 => of(0x07, 3, Some((0x90, 0xbf))),
            0xf1..=0xf3 => of(0x07, 3, None),
            0xf4 => of(0x07, 3, Some((0x80, 0x8f))),
            _ => None,
        }
    }
}

/// What a byte leads to.
pub(super) enum Step {
    Text(At),
    /// The instruction has ended.
    Pipe,
    Forbidden,
}

/// What texts must not hold, compiled for a vocabulary.
pub(super) struct Rules {
    next: Vec<[u16; 256]>,
    /// By state: how many bytes of the pipe are there.
    piped: Vec<u8>,
    /// The fewest tokens for the rest of the pipe and of the placeholder, by the bytes that are there.
    pipe: Vec<u32>,
    slot: Vec<u32>,
    /// Whether there are tokens for any rest of a character, for a letter, and for `}`.
    continues: bool,
    says: bool,
    closes: bool,
    masks: Mutex<HashMap<(Half, At, u32), Arc<Mask>>>,
}

impl Rules {
    pub(super) fn of(never: &[&str], vocabulary: &Vocabulary) -> Self {
        let (next, piped) = automaton(never);
        let whole = |text: &[u8]| {
            let ends: Vec<bool> = (0..=text.len()).map(|place| place == text.len()).collect();
            vocabulary.least(text, &ends)
        };
        // No pattern ends in one of them.
        let mut letters = (b'a'..=b'z').filter(|letter| *letter != b'e');
        Self {
            next,
            piped,
            pipe: whole(PIPE.as_bytes()),
            slot: whole(slot_rest()),
            continues: (0x80..=0xbf).all(|byte| vocabulary.spells(byte)),
            says: letters.any(|letter| vocabulary.spells(letter)),
            closes: vocabulary.spells(b'}'),
            masks: Mutex::default(),
        }
    }

    /// The state with one more byte.
    pub(super) fn step(&self, at: At, byte: u8, half: Half) -> Step {
        if at.slot > 0 {
            let rest = slot_rest();
            let place = usize::from(at.slot) - 1;
            return match rest.get(place) {
                Some(wanted) if *wanted != byte => Step::Forbidden,
                _ if place + 1 < rest.len() => Step::Text(At { slot: at.slot + 1, ..at }),
                // The passage is there; only where that alone can be asked it says something.
                _ => Step::Text(At {
                    slot: 0,
                    says: at.says || half != Half::Instruction { asks: true },
                    is_open: false,
                    ..at
                }),
            };
        }
        let Some(letter) = at.letter.push(byte) else { return Step::Forbidden };
        let state = self.next[usize::from(at.state)][usize::from(byte)];
        match state {
            FORBIDDEN => return Step::Forbidden,
            PIPED => return if at.says && half != Half::Response { Step::Pipe } else { Step::Forbidden },
            OPENED => return Step::Text(At { state: 0, slot: 1, letter: Letter::default(), ..at }),
            _ => {}
        }
        let is_open = (at.is_open || byte == b'{') && byte != b'}';
        // Letters of a pipe that has begun say nothing: they go with it.
        let is_of_pipe = half != Half::Response && self.piped[usize::from(state)] > 0;
        let says = at.says
            || letter.left == 0
                && !is_of_pipe
                && char::from_u32(letter.code).is_some_and(|c| match half {
                    Half::Instruction { asks: true } => !is_open && c.is_alphanumeric(),
                    _ => !is_open && !c.is_whitespace() && !('\u{1c}'..='\u{1f}').contains(&c),
                });
        let letter = if letter.left == 0 { Letter::default() } else { letter };
        Step::Text(At { state, slot: 0, letter, says, is_open })
    }

    /// Whether a response may end here.
    pub(super) fn is_whole(&self, at: At) -> bool {
        at.says && at.slot == 0 && at.letter.left == 0
    }

    /// How few tokens surely end it from here, the end of text among them.
    pub(super) fn least(&self, at: At, half: Half) -> u32 {
        let mut before = u32::from(at.letter.left);
        if at.letter.left > 0 && !self.continues {
            return NEVER;
        }
        let mut is_open = at.is_open;
        let mut says = at.says;
        if at.slot > 0 {
            before += self.slot[usize::from(at.slot) - 1];
            is_open = false;
            says |= half != Half::Instruction { asks: true };
        }
        if !says {
            let can = self.says && (!is_open || self.closes);
            before += if can { 1 + u32::from(is_open) } else { NEVER };
        }
        let rest = match half {
            Half::Response => 1,
            Half::Instruction { .. } => {
                let piped = if before == 0 { self.piped[usize::from(at.state)] } else { 0 };
                self.pipe[usize::from(piped)] + RESERVE + 1
            }
        };
        NEVER.min(before.saturating_add(rest))
    }

    /// The tokens that lead on, so that at most `left` tokens, the end of text among them, are enough.
    pub(super) fn mask(&self, vocabulary: &Vocabulary, at: At, half: Half, left: u32) -> Arc<Mask> {
        // What is far from the limit doesn't depend on it.
        let left = left.min(self.farthest());
        let key = (half, at, left);
        let kept = |masks: &HashMap<_, Arc<Mask>>| masks.get(&key).cloned();
        if let Some(mask) = kept(&self.masks.lock().unwrap_or_else(PoisonError::into_inner)) {
            return mask;
        }
        let mut mask = vocabulary.none();
        if half == Half::Response && self.is_whole(at) {
            vocabulary.allow_end(&mut mask);
        }
        self.below(vocabulary, ROOT, at, (half, left), &mut mask);
        let mask = Arc::new(mask);
        let mut masks = self.masks.lock().unwrap_or_else(PoisonError::into_inner);
        if masks.len() >= MASKS {
            masks.clear();
        }
        masks.insert(key, Arc::clone(&mask));
        mask
    }

    /// A number of tokens with which any text can be ended, one token before.
    fn farthest(&self) -> u32 {
        let known = |costs: &[u32]| costs.iter().copied().filter(|cost| *cost < NEVER).max().unwrap_or(0);
        // A character's rest, a bracket and a letter, the end, and one token that is free.
        3 + known(&self.slot) + 2 + known(&self.pipe) + RESERVE + 1 + 1
    }

    fn below(&self, vocabulary: &Vocabulary, node: u32, at: At, limit: (Half, u32), mask: &mut Mask) {
        let (half, left) = limit;
        for (byte, child) in vocabulary.edges(node) {
            match self.step(at, byte, half) {
                Step::Forbidden => {}
                Step::Text(at) => {
                    if !vocabulary.tokens(child).is_empty() && self.least(at, half).saturating_add(1) <= left
                    {
                        vocabulary.allow(child, mask);
                    }
                    self.below(vocabulary, child, at, limit, mask);
                }
                Step::Pipe => {
                    if RESERVE + 2 <= left {
                        self.behind_pipe(vocabulary, child, LEAD, mask);
                    }
                }
            }
        }
    }

    /// Behind the pipe's last byte a token may hold blanks: which response follows depends on the whole instruction.
    fn behind_pipe(&self, vocabulary: &Vocabulary, node: u32, blanks: u8, mask: &mut Mask) {
        vocabulary.allow(node, mask);
        if let Some(blanks) = blanks.checked_sub(1) {
            for child in BLANKS.iter().filter_map(|byte| vocabulary.child(node, *byte)) {
                self.behind_pipe(vocabulary, child, blanks, mask);
            }
        }
    }
}

/// The automaton's table, and how many bytes of the pipe each state has.
fn automaton(never: &[&str]) -> (Vec<[u16; 256]>, Vec<u8>) {
    let patterns = never.iter().map(|text| (*text, FORBIDDEN)).chain([(PIPE, PIPED), (SLOT, OPENED)]);
    // The trie; 0 is no edge, since nothing leads back to the beginning.
    let mut next = vec![[0_u16; 256]];
    let mut ends = vec![0_u16];
    let mut piped = vec![0_u8];
    for (text, end) in patterns {
        let mut state = 0_usize;
        for (depth, byte) in (1..).zip(text.bytes()) {
            if next[state][usize::from(byte)] == 0 {
                // Markers have some hundred bytes together.
                next[state][usize::from(byte)] = next.len() as u16;
                next.push([0; 256]);
                ends.push(0);
                piped.push(0);
            }
            state = usize::from(next[state][usize::from(byte)]);
            if end == PIPED {
                piped[state] = depth;
            }
        }
        ends[state] = end;
    }
    // Edges of the longest suffix that is a state fill what is missing, shorter states first.
    let mut queue: VecDeque<(usize, usize)> = VecDeque::new();
    let mut whole = next.clone();
    for child in next[0].iter().map(|child| usize::from(*child)).filter(|child| *child > 0) {
        queue.push_back((child, 0));
    }
    while let Some((state, suffix)) = queue.pop_front() {
        if ends[state] == 0 {
            ends[state] = ends[suffix];
        }
        if piped[state] == 0 {
            piped[state] = piped[suffix];
        }
        for byte in 0..256 {
            let child = usize::from(next[state][byte]);
            whole[state][byte] = match child {
                0 => whole[suffix][byte],
                child => {
                    queue.push_back((child, usize::from(whole[suffix][byte])));
                    child as u16
                }
            };
        }
    }
    for row in &mut whole {
        for state in row.iter_mut().filter(|state| **state > 0) {
            let end = ends[usize::from(*state)];
            if end > 0 {
                *state = end;
            }
        }
    }
    (whole, piped)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the automaton makes of a whole text.
    fn end(never: &[&str], text: &str) -> u16 {
        let (next, _) = automaton(never);
        let mut state = 0;
        for byte in text.bytes() {
            state = next[usize::from(state)][usize::from(byte)];
            if state >= OPENED {
                return state;
            }
        }
        0
    }

    #[test]
    fn what_stands_anywhere_in_a_text_is_found() {
        let never = ["</s>", "<|task|>", "a</sb"];
        for (text, found) in [
            ("x </s", 0),
            ("x </s>", FORBIDDEN),
            ("a</s>", FORBIDDEN),
            ("<<|pipe|>", PIPED),
            ("<|task<|pipe|>", PIPED),
            ("<|tas<|task|>", FORBIDDEN),
            ("{ {{", OPENED),
            ("<|pipe|", 0),
        ] {
            assert_eq!(end(&never, text), found, "{text}");
        }
    }

    #[test]
    fn bytes_are_utf8_or_nothing() {
        let whole = |bytes: &[u8]| {
            bytes
                .iter()
                .try_fold(Letter::default(), |letter, byte| letter.push(*byte))
                .filter(|l| l.left == 0)
        };
        for c in ('\0'..='\u{10ffff}').step_by(37).chain([
            '\u{7ff}',
            '\u{800}',
            '\u{d7ff}',
            '\u{e000}',
            '\u{10ffff}',
        ]) {
            let mut bytes = [0; 4];
            assert_eq!(whole(c.encode_utf8(&mut bytes).as_bytes()).map(|l| l.code), Some(u32::from(c)));
        }
        let broken: [&[u8]; 7] =
            [b"\xc0\x80", b"\xe0\x80\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xf8", b"\x80", b"\xc3("];
        assert!(broken.iter().all(|bytes| whole(bytes).is_none()));
    }
}
