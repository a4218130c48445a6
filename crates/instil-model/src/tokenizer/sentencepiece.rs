//! SentencePiece's BPE: the neighbours whose union scores highest are joined, as long as a union is a token.
//!
//! `tokenizers` orders merges by rank, which two pairs with one union can't share; the scores of a GGUF file are
//! therefore followed here, exactly as llama.cpp's `llm_tokenizer_spm` follows them.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};

/// The mark of a blank.
const BLANK: &str = "▁";

/// A vocabulary with scores.
pub(super) struct SentencePiece {
    ids: HashMap<String, u32>,
    scores: Vec<f64>,
    /// The tokens of single bytes.
    bytes: [Option<u32>; 256],
    unknown: Option<u32>,
    /// Tokens that a text is split at before anything is merged, longest first.
    apart: Vec<(String, u32)>,
    /// Whether texts get a blank at their head.
    leading: bool,
}

/// A stretch of the text, linked with its neighbours.
#[derive(Clone, Copy)]
struct Symbol {
    start: usize,
    end: usize,
    previous: Option<usize>,
    next: Option<usize>,
}

/// Two neighbours whose union is a token.
struct Pair {
    score: f64,
    left: usize,
    right: usize,
    /// Bytes of the union when it was found; it is stale if they are others now.
    size: usize,
}

impl Ord for Pair {
    /// The best is the greatest: the highest score, and of equals the leftmost.
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then(other.left.cmp(&self.left))
    }
}

impl PartialOrd for Pair {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Pair {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Pair {}

impl SentencePiece {
    /// `apart` says of an id whether texts are split at it.
    pub(super) fn new(
        tokens: &[String],
        scores: &[f64],
        apart: &dyn Fn(usize) -> bool,
        leading: bool,
    ) -> Self {
        let ids: HashMap<String, u32> =
            tokens.iter().zip(0..).map(|(token, id)| (token.clone(), id)).collect();
        let byte = |byte: usize| ids.get(&format!("<0x{byte:02X}>")).copied();
        let mut split: Vec<(String, u32)> = tokens
            .iter()
            .zip(0u32..)
            .filter(|(token, id)| apart(*id as usize) && !token.is_empty())
            .map(|(token, id)| (token.clone(), id))
            .collect();
        split.sort_by_key(|(token, id)| (std::cmp::Reverse(token.len()), *id));
        Self {
            bytes: std::array::from_fn(byte),
            unknown: ids.get("<unk>").copied(),
            ids,
            scores: scores.to_vec(),
            apart: split,
            leading,
        }
    }

    /// The tokens of a text.
    pub(super) fn encode(&self, text: &str) -> Vec<u32> {
        let mut ids = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            // The first place where a token stands apart; at one place the longest.
            let found = self
                .apart
                .iter()
                .filter_map(|(token, id)| Some((rest.find(token.as_str())?, token.len(), *id)))
                .min_by_key(|(at, len, _)| (*at, std::cmp::Reverse(*len)));
            let end = found.map_or(rest.len(), |(at, ..)| at);
            if end > 0 {
                let head = if self.leading { BLANK } else { "" };
                self.merge(&format!("{head}{}", rest[..end].replace(' ', BLANK)), &mut ids);
            }
            let Some((at, len, id)) = found else { break };
            ids.push(id);
            rest = &rest[at + len..];
        }
        ids
    }

    /// Merges one stretch without tokens that stand apart.
    fn merge(&self, text: &str, ids: &mut Vec<u32>) {
        let mut symbols: Vec<Symbol> = text
            .char_indices()
            .enumerate()
            .map(|(index, (start, letter))| Symbol {
                start,
                end: start + letter.len_utf8(),
                previous: index.checked_sub(1),
                next: Some(index + 1),
            })
            .collect();
        let Some(last) = symbols.last_mut() else { return };
        last.next = None;

        let pair = |symbols: &[Symbol], left: usize, right: usize| {
            let union = &text[symbols[left].start..symbols[right].end];
            let id = *self.ids.get(union)?;
            Some(Pair { score: self.scores[id as usize], left, right, size: union.len() })
        };
        let mut pairs: BinaryHeap<Pair> =
            (1..symbols.len()).filter_map(|right| pair(&symbols, right - 1, right)).collect();
        while let Some(Pair { left, right, size, .. }) = pairs.pop() {
            let (one, other) = (symbols[left], symbols[right]);
            let whole = one.start < one.end && other.start < other.end;
            if !whole || one.end != other.start || other.end - one.start != size {
                continue;
            }
            symbols[left].end = other.end;
            symbols[left].next = other.next;
            symbols[right].end = other.start;
            if let Some(next) = other.next {
                symbols[next].previous = Some(left);
                pairs.extend(pair(&symbols, left, next));
            }
            if let Some(previous) = one.previous {
                pairs.extend(pair(&symbols, previous, left));
            }
        }

        let mut at = Some(0);
        while let Some(index) = at {
            let symbol = &text[symbols[index].start..symbols[index].end];
            match self.ids.get(symbol) {
                Some(id) => ids.push(*id),
                None => ids
                    .extend(symbol.bytes().filter_map(|byte| self.bytes[usize::from(byte)].or(self.unknown))),
            }
            at = symbols[index].next;
        }
    }
}
