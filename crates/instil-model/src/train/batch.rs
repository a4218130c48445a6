//! Examples, and which of them a step has.

use std::iter::once;
use std::ops::Range;

use instil::rng::{nth, seed_of};
use instil::{Error, Result};

/// A tokenised text and which of its tokens are learnt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// All of it, as the model reads it: a start of text, the prompt, the completion and its end.
    pub tokens: Vec<u32>,
    /// The tokens whose likelihood is learnt, ascending. Token 0 is never: nothing precedes it.
    pub learnt: Vec<Range<usize>>,
}

impl Example {
    /// A prompt and its completion, of which the latter is learnt.
    pub fn completion(prompt: &[u32], completion: &[u32]) -> Self {
        let tokens = [prompt, completion].concat();
        let from = prompt.len().max(1).min(tokens.len());
        Self { learnt: once(from..tokens.len()).collect(), tokens }
    }

    /// A text that is learnt whole.
    pub fn text(tokens: Vec<u32>) -> Self {
        Self { learnt: once(tokens.len().min(1)..tokens.len()).collect(), tokens }
    }

    /// How many tokens are learnt.
    pub fn targets(&self) -> usize {
        self.learnt.iter().map(ExactSizeIterator::len).sum()
    }

    /// Rows that a pass has of it: its last token is predicted, not fed.
    pub(super) fn rows(&self) -> usize {
        self.tokens.len().saturating_sub(1)
    }

    /// That a model can learn it.
    ///
    /// # Errors
    /// When nothing is learnt, it is longer than the window, or a token isn't in the vocabulary; `number` says which it is.
    pub(super) fn check(&self, number: usize, window: usize, vocab: usize) -> Result<()> {
        let trouble = |what: String| Err(Error::input(format!("example {number}: {what}")));
        let len = self.tokens.len();
        let mut end = 1;
        for range in self.learnt.iter().filter(|range| !range.is_empty()) {
            if range.start < end || range.end > len {
                return trouble(format!("tokens {range:?} of {len} can't be learnt"));
            }
            end = range.end;
        }
        if self.targets() == 0 {
            return trouble("it has no token to learn".into());
        }
        if self.rows() > window {
            return trouble(format!("{len} tokens are longer than the model's window of {window}"));
        }
        match self.tokens.iter().find(|token| **token as usize >= vocab) {
            Some(token) => trouble(format!("token {token} isn't in a vocabulary of {vocab}")),
            None => Ok(()),
        }
    }
}

/// How many examples make a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batch {
    /// So many.
    Examples(usize),
    /// As many as have no more tokens together, at least one.
    Tokens(usize),
}

/// Which examples each step of an epoch has, in a random order that is a function of seed and epoch.
///
/// With `by_length`, examples of like length come together: 50 batches at a time are sorted, longest first, and the batch of
/// the longest comes first of all, so that memory that isn't there is missed at once (transformers'
/// `get_length_grouped_indices`).
pub(super) fn epoch(
    examples: &[Example],
    seed: u64,
    number: usize,
    batch: Batch,
    by_length: bool,
) -> Vec<Vec<usize>> {
    let len = |example: &usize| examples[*example].tokens.len();
    let mut order: Vec<usize> = (0..examples.len()).collect();
    let seed = nth(seed_of(seed, &["order"]), number as u64);
    for last in (1..order.len()).rev() {
        order.swap(last, (nth(seed, last as u64) % (last as u64 + 1)) as usize);
    }
    if by_length && !order.is_empty() {
        let mean = (order.iter().map(len).sum::<usize>() / order.len()).max(1);
        let most = match batch {
            Batch::Examples(count) => count,
            Batch::Tokens(tokens) => tokens / mean,
        };
        let most = most.max(1);
        for some in order.chunks_mut(50 * most) {
            some.sort_by_key(|example| std::cmp::Reverse(len(example)));
        }
        // Of equally long ones the first.
        let longest =
            (0..order.len()).rev().max_by_key(|place| len(&order[*place])).unwrap_or_default() / most * most;
        let end = (longest + most).min(order.len());
        order[..end].rotate_right(end - longest);
    }
    match batch {
        Batch::Examples(count) => order.chunks(count.max(1)).map(<[usize]>::to_vec).collect(),
        Batch::Tokens(tokens) => filled(examples, &order, tokens),
    }
}

/// Which examples the steps of a training have, epoch after epoch.
pub(super) struct Order<'a> {
    examples: &'a [Example],
    seed: u64,
    batch: Batch,
    by_length: bool,
    /// Which epoch is at hand.
    number: usize,
    /// Steps of the epochs before it.
    before: usize,
    /// Its own.
    steps: Vec<Vec<usize>>,
}

impl<'a> Order<'a> {
    /// Of at least one example.
    pub(super) fn new(examples: &'a [Example], seed: u64, batch: Batch, by_length: bool) -> Self {
        let steps = epoch(examples, seed, 0, batch, by_length);
        Self { examples, seed, batch, by_length, number: 0, before: 0, steps }
    }

    /// How many steps so many epochs are, rounded up.
    pub(super) fn steps(&self, epochs: f64) -> usize {
        let of = |number| match self.batch {
            // As many in every epoch.
            Batch::Examples(_) => self.steps.len(),
            Batch::Tokens(_) => epoch(self.examples, self.seed, number, self.batch, self.by_length).len(),
        };
        let whole = epochs.floor() as usize;
        let part = epochs - epochs.floor();
        let last = if part > 0.0 { (part * of(whole) as f64).ceil() as usize } else { 0 };
        (0..whole).map(of).sum::<usize>() + last
    }

    /// The examples of a step, counted from 0, and how many epochs are done after it. Steps are asked for in their order.
    pub(super) fn at(&mut self, step: usize) -> (&[usize], f64) {
        while step >= self.before + self.steps.len() {
            self.before += self.steps.len();
            self.number += 1;
            self.steps = epoch(self.examples, self.seed, self.number, self.batch, self.by_length);
        }
        let place = step - self.before;
        let epochs = self.number as f64 + (place + 1) as f64 / self.steps.len() as f64;
        (&self.steps[place], epochs)
    }
}

/// Examples in their order, in groups of at most so many tokens.
pub(super) fn filled(examples: &[Example], order: &[usize], tokens: usize) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut held = 0;
    for example in order {
        let len = examples[*example].tokens.len();
        match groups.last_mut() {
            Some(group) if held + len <= tokens => group.push(*example),
            _ => {
                groups.push(vec![*example]);
                held = 0;
            }
        }
        held += len;
    }
    groups
}

/// What one forward and backward pass is over: sequences side by side, without padding, each for itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Pass {
    /// A row each.
    pub(super) tokens: Vec<u32>,
    /// The rows of each sequence.
    pub(super) segments: Vec<Range<usize>>,
    /// Rows whose next token is learnt, ascending, and that token.
    pub(super) targets: Vec<(usize, u32)>,
}

impl Pass {
    pub(super) fn of<'a>(examples: impl IntoIterator<Item = &'a Example>) -> Self {
        let mut pass = Self::default();
        for example in examples {
            let first = pass.tokens.len();
            pass.tokens.extend_from_slice(&example.tokens[..example.rows()]);
            pass.segments.push(first..pass.tokens.len());
            let learnt = example.learnt.iter().cloned().flatten();
            pass.targets.extend(learnt.map(|place| (first + place - 1, example.tokens[place])));
        }
        pass
    }

    /// The position of every row in its sequence.
    pub(super) fn positions(&self) -> impl Iterator<Item = usize> {
        self.segments.iter().flat_map(|segment| 0..segment.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn examples(lens: impl IntoIterator<Item = usize>) -> Vec<Example> {
        lens.into_iter().map(|len| Example::text(vec![1; len])).collect()
    }

    #[test]
    fn an_epoch_has_every_example_once() {
        let examples = examples((0..203).map(|i| 2 + i * 7 % 40));
        for batch in [Batch::Examples(4), Batch::Tokens(90), Batch::Tokens(1)] {
            for by_length in [false, true] {
                let steps = epoch(&examples, 1, 0, batch, by_length);
                assert!(steps == epoch(&examples, 1, 0, batch, by_length), "the same seed");
                assert!(steps != epoch(&examples, 1, 1, batch, by_length), "another epoch");
                assert!(steps != epoch(&examples, 2, 0, batch, by_length), "another seed");
                let mut all = steps.concat();
                all.sort_unstable();
                assert!(all.iter().copied().eq(0..203));
                for step in &steps {
                    let tokens: usize = step.iter().map(|e| examples[*e].tokens.len()).sum();
                    match batch {
                        Batch::Examples(count) => assert!(step.len() <= count),
                        Batch::Tokens(most) => assert!(tokens <= most || step.len() == 1),
                    }
                }
                let longest = |step: &[usize]| step.iter().map(|e| examples[*e].tokens.len()).max();
                if by_length && batch == Batch::Examples(4) {
                    assert_eq!(longest(&steps[0]), Some(41));
                    // Batches of four of 203 examples lie within seven lengths of each other.
                    let far = steps[1..].iter().map(|step| {
                        let lens = step.iter().map(|e| examples[*e].tokens.len());
                        lens.clone().max().unwrap() - lens.min().unwrap()
                    });
                    assert!(far.filter(|far| *far > 7).count() <= 2);
                }
            }
        }
    }

    #[test]
    fn steps_go_from_epoch_to_epoch() {
        let examples = examples((0..10).map(|i| 2 + i % 5));
        for batch in [Batch::Examples(4), Batch::Tokens(13)] {
            let mut order = Order::new(&examples, 7, batch, false);
            let total = order.steps(2.5);
            let epochs: Vec<_> = (0..3).map(|number| epoch(&examples, 7, number, batch, false)).collect();
            let half = epochs[2].len().div_ceil(2);
            assert_eq!(total, epochs[0].len() + epochs[1].len() + half);
            let all = epochs.concat();
            let found: Vec<_> = (0..total).map(|step| order.at(step).0.to_vec()).collect();
            assert_eq!(found, all[..total]);
            // A training that goes on from a step finds its place.
            let mut later = Order::new(&examples, 7, batch, false);
            assert_eq!(later.at(total - 1).0, all[total - 1]);
            assert_eq!(Order::new(&examples, 7, batch, false).at(epochs[0].len() - 1).1, 1.0);
        }
    }

    #[test]
    fn rows_predict_what_follows_them_within_their_example() {
        let one = Example::completion(&[5, 6], &[7, 8]);
        let two = Example { tokens: vec![1, 2, 3, 4], learnt: vec![1..2, 3..4] };
        let pass = Pass::of([&one, &two]);
        assert_eq!(pass.tokens, [5, 6, 7, 1, 2, 3]);
        assert_eq!(pass.segments, [0..3, 3..6]);
        assert_eq!(pass.targets, [(1, 7), (2, 8), (3, 2), (5, 4)]);
        assert!(pass.positions().eq([0, 1, 2, 0, 1, 2]));
    }
}
