//! How likely completions are: sums of negative log-likelihoods in nats.

use instil::lm::Prefill;
use rayon::prelude::*;

use super::blocks::{Blocks, Wait};
use super::schedule::Limits;
use crate::decoder::{Cache, Decoder, Step};
use crate::kernel::rows;

/// Logits that are held at once, 64 MiB of them: a vocabulary is wide, and nothing of a row but two numbers is kept; but
/// the output head is read from memory once for all rows of a batch.
pub(super) const LOGITS: usize = 16 << 20;

/// The fewest and the most rows whose logits are held at once.
pub(super) const LOGIT_ROWS: (usize, usize) = (64, 512);

/// A text's tokens, and from which on they are scored.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// All of it.
    pub tokens: Vec<u32>,
    /// The first scored token; at least 1, since nothing precedes token 0.
    pub from: usize,
}

/// A part of a text that fits the window.
struct Part<'a> {
    text: usize,
    /// Where in the text it begins.
    start: usize,
    tokens: &'a [u32],
    /// The first scored token of the part.
    from: usize,
}

/// A part under way.
struct Running<'a> {
    part: Part<'a>,
    blocks: Vec<u32>,
    filled: usize,
    sum: Sum,
}

/// What is kept of the scored tokens of a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sum {
    /// The negative log-likelihoods in nats.
    pub(super) nll: f64,
    /// Whether no other token was likelier anywhere.
    pub(super) is_greedy: bool,
}

impl Sum {
    pub(super) const NOTHING: Self = Self { nll: 0.0, is_greedy: true };

    pub(super) fn add(&mut self, other: Self) {
        self.nll += other.nll;
        self.is_greedy &= other.is_greedy;
    }
}

/// The sum of every text's negative log-likelihoods in nats, each addition in the order of the tokens.
///
/// Texts are packed side by side without padding; where two begin alike, what precedes their
/// scored tokens is computed once. A text longer than the window is cut into overlapping parts:
/// each token is scored once, in a part in which at least half a window precedes it. What was given and what of it was
/// computed is added to `prefill`.
///
/// # Errors
/// When shapes don't fit, which is a mistake of this crate.
pub(super) fn score(
    decoder: &Decoder,
    limits: Limits,
    cache: &mut Cache,
    blocks: &mut Blocks,
    prefill: &mut Prefill,
    texts: &[Tokens],
) -> candle_core::Result<Vec<Sum>> {
    let mut parts: Vec<Part<'_>> =
        texts.iter().enumerate().flat_map(|(text, tokens)| parts(text, tokens, limits.window)).collect();
    // Common heads side by side, so that they are still in the cache.
    parts.sort_by(|one, two| two.tokens.cmp(one.tokens).then(two.text.cmp(&one.text)));
    let mut sums = vec![Sum::NOTHING; texts.len()];
    let mut done: Vec<(usize, usize, Sum)> = Vec::with_capacity(parts.len());
    let mut running: Vec<Running<'_>> = Vec::new();
    let mut logits = Vec::new();
    while !parts.is_empty() || !running.is_empty() {
        let mut unfilled: usize = running.iter().map(|one| one.part.tokens.len() - one.filled).sum();
        let mut place = parts.len();
        while unfilled < limits.rows && running.len() < limits.sequences && place > 0 {
            let part = &parts[place - 1];
            match blocks.lease(&part.tokens[..part.from], part.tokens.len() - part.from) {
                Ok(lease) => {
                    let part = parts.remove(place - 1);
                    unfilled += part.tokens.len() - lease.filled;
                    prefill.given += part.tokens.len() as u64 - 1;
                    prefill.computed += (part.tokens.len() - 1 - lease.filled) as u64;
                    running.push(Running {
                        part,
                        blocks: lease.blocks,
                        filled: lease.filled,
                        sum: Sum::NOTHING,
                    });
                }
                Err(Wait::ForRoom) => break,
                Err(Wait::ForHead) => {}
            }
            place -= 1;
        }
        let (step, chunks) = next_rows(&running, limits.rows);
        let hidden = decoder.forward(&step, cache)?; // [wanted, hidden]
        // What follows each wanted row, in the same order.
        let targets: Vec<(usize, u32)> = running
            .iter()
            .zip(&chunks)
            .enumerate()
            .flat_map(|(number, (one, chunk))| {
                let first = one.filled.max(one.part.from - 1);
                let last = (one.filled + chunk).min(one.part.tokens.len() - 1);
                (first..last).map(move |position| (number, one.part.tokens[position + 1]))
            })
            .collect();
        let mut first = 0;
        let rows = (LOGITS / decoder.config().vocab.max(1)).clamp(LOGIT_ROWS.0, LOGIT_ROWS.1);
        for targets in targets.chunks(rows) {
            decoder.logits(&hidden.narrow(0, first, targets.len())?, &mut logits)?; // [rows, vocab]
            first += targets.len();
            let scored: Vec<Sum> = logits
                .par_chunks(decoder.config().vocab)
                .zip(targets)
                .map(|(logits, (_, token))| of_token(logits, *token))
                .collect();
            for (one, (number, _)) in scored.into_iter().zip(targets) {
                running[*number].sum.add(one);
            }
        }
        for (one, chunk) in running.iter_mut().zip(&chunks) {
            one.filled += chunk;
            blocks.fill(&one.blocks, one.filled.min(one.part.from));
        }
        running.retain(|one| {
            // The last token is scored, not fed.
            let is_done = one.filled + 1 >= one.part.tokens.len();
            if is_done {
                blocks.release(&one.blocks);
                done.push((one.part.text, one.part.start, one.sum));
            }
            !is_done
        });
    }
    // A long text's parts are added in their order, whichever ended first.
    done.sort_by_key(|(text, start, _)| (*text, *start));
    for (text, _, sum) in done {
        sums[text].add(sum);
    }
    Ok(sums)
}

/// A text cut to the window.
fn parts(text: usize, tokens: &Tokens, window: usize) -> Vec<Part<'_>> {
    let all = &tokens.tokens;
    let mut parts = Vec::new();
    let mut from = tokens.from;
    while from < all.len() {
        // The scored tokens of a part and the half window before them.
        let start = if all.len() <= window { 0 } else { from.saturating_sub(window.div_ceil(2)) };
        let end = all.len().min(start + window);
        parts.push(Part { text, start, tokens: &all[start..end], from: from - start });
        from = end;
    }
    parts
}

/// The rows of the next step, and how many of them each part has.
fn next_rows(running: &[Running<'_>], most: usize) -> (Step, Vec<usize>) {
    let mut left = most.saturating_sub(running.len());
    let mut step = Step::default();
    let mut chunks = Vec::with_capacity(running.len());
    for one in running {
        let fed = &one.part.tokens[one.filled..one.part.tokens.len() - 1];
        let chunk = fed.len().min(1 + left);
        left = left.saturating_sub(chunk.saturating_sub(1));
        let first = step.tokens.len();
        step.push(&fed[..chunk], one.filled, &one.blocks);
        let scored = one.filled.max(one.part.from - 1)..one.filled + chunk;
        // Rows of a step are far below 2^32.
        step.wanted.extend(scored.map(|position| (first + position - one.filled) as u32));
        chunks.push(chunk);
    }
    (step, chunks)
}

/// `-log softmax(logits)[token]`, in f64, and whether no logit is greater.
pub(super) fn of_token(logits: &[f32], token: u32) -> Sum {
    let logit = logits[token as usize];
    let nll = rows::log_sum_exp(logits) - f64::from(logit);
    Sum { nll, is_greedy: logits.iter().all(|other| *other <= logit) }
}
