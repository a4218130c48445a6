//! What one forward and backward pass is over.

use std::ops::Range;

use crate::train::batch::Example;

/// Examples side by side, without padding, each for itself: prompts that are read, and what follows them.
#[derive(Clone, Debug, Default)]
pub(in crate::train) struct Pass {
    /// What the encoder reads, a row each.
    pub(super) read: Vec<u32>,
    /// The rows of each prompt.
    pub(super) read_segments: Vec<Range<usize>>,
    /// What the decoder is fed: what it begins with, then all of an answer but its last token.
    pub(super) tokens: Vec<u32>,
    /// The rows of each answer.
    pub(super) segments: Vec<Range<usize>>,
    /// Rows whose next token is learnt, ascending, and that token.
    pub(super) targets: Vec<(usize, u32)>,
}

impl Pass {
    /// Of each example the encoder reads the tokens before the first that is learnt; the others are the answer.
    pub(in crate::train) fn of<'a>(start: u32, examples: impl IntoIterator<Item = &'a Example>) -> Self {
        let mut pass = Self::default();
        for example in examples {
            let from = example.learnt.iter().find(|range| !range.is_empty()).map_or(0, |range| range.start);
            let (prompt, answer) = example.tokens.split_at(from);
            let first = pass.read.len();
            pass.read.extend_from_slice(prompt);
            pass.read_segments.push(first..pass.read.len());
            let first = pass.tokens.len();
            pass.tokens.push(start);
            pass.tokens.extend_from_slice(&answer[..answer.len() - 1]);
            pass.segments.push(first..pass.tokens.len());
            let learnt = example.learnt.iter().cloned().flatten();
            pass.targets.extend(learnt.map(|place| (first + place - from, example.tokens[place])));
        }
        pass
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_shifted_behind_what_the_decoder_begins_with() {
        let one = Example::completion(&[5, 6, 1], &[7, 8, 1]);
        let two = Example { tokens: vec![3, 1, 9, 4, 1], learnt: vec![2..3, 4..5] };
        let pass = Pass::of(0, [&one, &two]);
        assert_eq!(pass.read, [5, 6, 1, 3, 1]);
        assert_eq!(pass.read_segments, [0..3, 3..5]);
        assert_eq!(pass.tokens, [0, 7, 8, 0, 9, 4]);
        assert_eq!(pass.segments, [0..3, 3..6]);
        assert_eq!(pass.targets, [(0, 7), (1, 8), (2, 1), (3, 9), (5, 1)]);
    }
}
