//! How likely completions are to an encoder-decoder, given prompts that its encoder reads.

use std::sync::Arc;

use instil::lm::Prefill;
use rayon::prelude::*;

use super::blocks::Blocks;
use super::schedule::Limits;
use super::score::{LOGIT_ROWS, LOGITS, Sum, Tokens, of_token};
use super::sources::Sources;
use crate::decoder::{Cache, Step};
use crate::t5::T5;

/// A completion of a batch.
struct Part<'a> {
    text: usize,
    source: Arc<[u32]>,
    target: &'a [u32],
    blocks: Vec<u32>,
}

/// The sum of every text's negative log-likelihoods in nats, each addition in the order of the tokens. What precedes a
/// text's scored tokens is its prompt; one that several texts have is read once. None is longer than the window.
///
/// # Errors
/// When shapes don't fit, which is a mistake of this crate.
pub(super) fn score(
    t5: &T5,
    limits: Limits,
    cache: &mut Cache,
    blocks: &mut Blocks,
    prefill: &mut Prefill,
    texts: &[Tokens],
) -> candle_core::Result<Vec<Sum>> {
    let mut order: Vec<usize> =
        (0..texts.len()).filter(|text| texts[*text].from < texts[*text].tokens.len()).collect();
    let prompt = |text: usize| &texts[text].tokens[..texts[text].from];
    order.sort_by(|one, two| prompt(*one).cmp(prompt(*two)).then(one.cmp(two)));
    let mut sums = vec![Sum::NOTHING; texts.len()];
    let mut sources = Sources::default();
    let mut batch: Vec<Part<'_>> = Vec::new();
    let mut rows = 0;
    let mut place = 0;
    while place < order.len() || !batch.is_empty() {
        let next = order.get(place).filter(|_| batch.is_empty() || rows < limits.rows);
        let taken = next.and_then(|text| {
            let (prompt, target) = (prompt(*text), &texts[*text].tokens[texts[*text].from..]);
            let last = batch.last().map(|last| &last.source).filter(|source| ***source == *prompt);
            let source = last.map_or_else(|| Arc::from(prompt), Arc::clone);
            let unread = if last.is_some() { 0 } else { prompt.len() };
            sources.hold(&source, blocks).ok()?;
            let lease = blocks.lease(&target[..1], target.len() - 1).ok()?;
            rows += unread + target.len();
            prefill.given += (prompt.len() + target.len()) as u64;
            prefill.computed += (unread + target.len()) as u64;
            Some(Part { text: *text, source, target, blocks: lease.blocks })
        });
        match taken {
            Some(part) => {
                batch.push(part);
                place += 1;
            }
            None if batch.is_empty() => candle_core::bail!("no room for one text"),
            None => {
                run(t5, cache, &mut sources, &batch, &mut sums)?;
                batch.iter().for_each(|part| blocks.release(&part.blocks));
                batch.clear();
                sources.release_unused(blocks);
                rows = 0;
            }
        }
    }
    Ok(sums)
}

fn run(
    t5: &T5,
    cache: &mut Cache,
    sources: &mut Sources,
    batch: &[Part<'_>],
    sums: &mut [Sum],
) -> candle_core::Result<()> {
    sources.read(t5, cache)?;
    let mut step = Step::default();
    let mut targets: Vec<(usize, u32)> = Vec::new();
    for part in batch {
        let fed = [&[t5.config().start], &part.target[..part.target.len() - 1]].concat();
        step.push(&fed, 0, &part.blocks);
        targets.extend(part.target.iter().map(|token| (part.text, *token)));
    }
    // Rows of a step are far below 2^32.
    step.wanted = (0..step.tokens.len() as u32).collect();
    let read: Vec<_> = batch.iter().filter_map(|part| sources.of(&part.source)).collect();
    let hidden = t5.forward(&step, &read, cache)?; // [rows, hidden]
    let vocab = t5.config().vocab;
    let most = (LOGITS / vocab).clamp(LOGIT_ROWS.0, LOGIT_ROWS.1);
    let mut logits = Vec::new();
    for (number, targets) in targets.chunks(most).enumerate() {
        t5.logits(&hidden.narrow(0, number * most, targets.len())?, &mut logits)?; // [rows, vocab]
        let scored: Vec<Sum> = logits
            .par_chunks(vocab)
            .zip(targets)
            .map(|(logits, (_, token))| of_token(logits, *token))
            .collect();
        for (one, (text, _)) in scored.into_iter().zip(targets) {
            sums[*text].add(one);
        }
    }
    Ok(())
}
