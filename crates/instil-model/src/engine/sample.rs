//! One token from the logits of a row.
//!
//! The order is vLLM's (0.8, `v1/sample/sampler.py`): penalties, temperature, `min_p`, then `top_k` and
//! `top_p` together. Candidates are ranked by probability, ties by the smaller id, so that the draw
//! is a function of the logits and one number alone.

use std::cmp::Ordering;
use std::collections::HashMap;

use instil::lm::Sampling;
use instil::lm::tokens::TokenLogprob;
use instil::rng;

use crate::kernel::rows;

/// The tokens that penalties look at.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// By token: how often it was generated; tokens that stood only in the prompt have 0.
    counts: HashMap<u32, u32>,
}

impl Seen {
    /// What stands in the prompt.
    pub(super) fn prompt(tokens: &[u32]) -> Self {
        Self { counts: tokens.iter().map(|token| (*token, 0)).collect() }
    }

    /// One more generated token.
    pub(super) fn push(&mut self, token: u32) {
        *self.counts.entry(token).or_default() += 1;
    }
}

/// Whether any penalty is asked for, so that tokens have to be counted.
pub(super) fn is_penalised(sampling: &Sampling) -> bool {
    sampling.repetition_penalty != 1.0
        || sampling.presence_penalty != 0.0
        || sampling.frequency_penalty != 0.0
}

/// The token that follows. `step` counts the tokens generated before; `logits` are used up.
pub(super) fn next(
    logits: &mut [f32],
    sampling: &Sampling,
    seen: Option<&Seen>,
    seed: u64,
    step: u64,
) -> u32 {
    if let Some(seen) = seen {
        penalise(logits, sampling, seen);
    }
    if sampling.temperature == 0.0 {
        return greedy(logits);
    }
    let unit = (rng::nth(seed, step) >> 11) as f64 / (1_u64 << 53) as f64; // 53 bits, in [0, 1)
    draw(logits, sampling, unit)
}

/// Repetition penalty as in CTRL (Keskar et al. 2019) over prompt and completion; presence and frequency
/// penalties as OpenAI's API defines them, over the completion.
fn penalise(logits: &mut [f32], sampling: &Sampling, seen: &Seen) {
    for (&token, &count) in &seen.counts {
        let Some(logit) = logits.get_mut(token as usize) else { continue };
        let repetition = sampling.repetition_penalty as f32;
        *logit = if *logit > 0.0 { *logit / repetition } else { *logit * repetition };
        if count > 0 {
            let presence = sampling.presence_penalty + sampling.frequency_penalty * f64::from(count);
            *logit -= presence as f32;
        }
    }
}

/// What a row of logits says of probabilities before anything is done to it.
pub(super) struct Likely {
    /// `ln Σ exp(logit)`, as scores have it.
    log_sum: f64,
    top: Vec<(u32, f64)>,
}

impl Likely {
    /// Of raw logits, with so many of the likeliest tokens.
    pub(super) fn of(logits: &[f32], top: usize) -> Self {
        let log_sum = rows::log_sum_exp(logits);
        // Few of very many: the list is kept sorted, and nearly every logit is below its end.
        let mut best: Vec<(u32, f32)> = Vec::with_capacity(top + 1);
        for (token, &logit) in (0..).zip(logits) {
            if best.len() < top || best.last().is_some_and(|(_, least)| logit > *least) {
                let place = best.partition_point(|(_, other)| *other >= logit);
                best.insert(place, (token, logit));
                best.truncate(top);
            }
        }
        let top = best.into_iter().map(|(token, logit)| (token, f64::from(logit) - log_sum)).collect();
        Self { log_sum, top }
    }

    /// One token of that row.
    pub(super) fn token(self, logits: &[f32], token: u32) -> TokenLogprob {
        let logprob = f64::from(logits[token as usize]) - self.log_sum;
        TokenLogprob { token, logprob: Some(logprob), top: self.top, offset: 0 }
    }
}

/// The likeliest token, the smallest id of equals.
fn greedy(logits: &[f32]) -> u32 {
    let mut best = (0, f32::NEG_INFINITY);
    for (token, &logit) in (0..).zip(logits) {
        if logit > best.1 {
            best = (token, logit);
        }
    }
    best.0
}

/// A token by its weight among the candidates; `logits` become weights, relative to the likeliest one's, which is 1.
fn draw(logits: &mut [f32], sampling: &Sampling, unit: f64) -> u32 {
    let scale = (1.0 / sampling.temperature).min(f64::from(f32::MAX));
    let mut total = rows::weigh(logits, scale as f32);
    let is_narrowed = sampling.top_k > 0 || sampling.min_p > 0.0;
    if !is_narrowed && sampling.top_p >= 1.0 {
        let weights = (0..).zip(logits.iter().map(|weight| f64::from(*weight)));
        return among(weights, unit * total);
    }
    // So light that all of them together are less than what the nucleus leaves out; half of it, for rounding.
    let light = if is_narrowed { 0.0 } else { 0.5 * (1.0 - sampling.top_p) * total / logits.len() as f64 };
    let least = sampling.min_p.max(light) as f32;
    let mut all: Vec<(u32, f64)> = (0..)
        .zip(&*logits)
        .filter(|(_, weight)| **weight > 0.0 && **weight >= least)
        .map(|(token, weight)| (token, f64::from(*weight)))
        .collect();
    if is_narrowed {
        let top_k = if sampling.top_k == 0 { all.len() } else { sampling.top_k as usize };
        if top_k < all.len() {
            all.select_nth_unstable_by(top_k, by_weight);
            all.truncate(top_k);
        }
        total = all.iter().map(|(_, weight)| weight).sum();
    }
    let nucleus = if sampling.top_p < 1.0 { self::nucleus(&mut all, sampling.top_p * total) } else { total };
    among(all.iter().copied(), unit * nucleus)
}

/// The candidate at which the weights reach `left`.
fn among(candidates: impl Iterator<Item = (u32, f64)>, mut left: f64) -> u32 {
    // Rounding may leave a crumb; the last candidate is as good as any. Without a candidate nothing was finite.
    let mut last = 0;
    for (token, weight) in candidates.filter(|(_, weight)| *weight > 0.0) {
        last = token;
        left -= weight;
        if left < 0.0 {
            break;
        }
    }
    last
}

fn by_weight(one: &(u32, f64), two: &(u32, f64)) -> Ordering {
    two.1.total_cmp(&one.1).then(one.0.cmp(&two.0))
}

/// Keeps the fewest likeliest candidates whose weights reach `mass`, ranked; gives their sum.
fn nucleus(all: &mut Vec<(u32, f64)>, mass: f64) -> f64 {
    // Sorting a whole vocabulary is the slow part, and nearly all of it has no weight: ever longer heads of it
    // are sorted until one reaches the mass.
    let mut sorted = 0;
    let mut sum = 0.0;
    let mut head = 64;
    while sorted < all.len() {
        let end = head.min(all.len());
        if end < all.len() {
            all[sorted..].select_nth_unstable_by(end - sorted - 1, by_weight);
        }
        all[sorted..end].sort_unstable_by(by_weight);
        for place in sorted..end {
            sum += all[place].1;
            if sum >= mass {
                all.truncate(place + 1);
                return sum;
            }
        }
        sorted = end;
        head *= 8;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampling() -> Sampling {
        Sampling { temperature: 1.0, top_p: 1.0, ..Sampling::default() }
    }

    /// How often each token is drawn in 20,000 draws.
    fn shares(logits: &[f32], sampling: &Sampling) -> Vec<f64> {
        let mut counts = vec![0.0; logits.len()];
        for seed in 0..20_000 {
            counts[next(&mut logits.to_vec(), sampling, None, seed, 3) as usize] += 1.0 / 20_000.0;
        }
        counts
    }

    fn assert_near(found: &[f64], wanted: &[f64]) {
        for (found, wanted) in found.iter().zip(wanted) {
            // Four standard deviations of a share of 20,000 draws are at most 0.0142.
            assert!((found - wanted).abs() < 0.0142, "{found} is far from {wanted}");
            assert!(*wanted > 0.0 || *found == 0.0);
        }
    }

    fn logs(shares: &[f64]) -> Vec<f32> {
        shares.iter().map(|share| share.ln() as f32).collect()
    }

    #[test]
    fn tokens_are_drawn_with_their_probabilities() {
        let logits = logs(&[0.1, 0.2, 0.3, 0.4]);
        assert_near(&shares(&logits, &sampling()), &[0.1, 0.2, 0.3, 0.4]);
        // At temperature 0.5 probabilities are squared.
        let squares = [0.01 / 0.3, 0.04 / 0.3, 0.09 / 0.3, 0.16 / 0.3];
        assert_near(&shares(&logits, &Sampling { temperature: 0.5, ..sampling() }), &squares);
    }

    #[test]
    fn the_candidates_are_narrowed() {
        let logits = logs(&[0.1, 0.2, 0.3, 0.4]);
        let of = |sampling: Sampling| shares(&logits, &sampling);
        // 0.4 + 0.3 reach 0.7; the nucleus is the fewest that reach top_p.
        assert_near(&of(Sampling { top_p: 0.69, ..sampling() }), &[0.0, 0.0, 3.0 / 7.0, 4.0 / 7.0]);
        assert_near(&of(Sampling { top_k: 2, ..sampling() }), &[0.0, 0.0, 3.0 / 7.0, 4.0 / 7.0]);
        assert_near(&of(Sampling { min_p: 0.45, ..sampling() }), &[0.0, 2.0 / 9.0, 3.0 / 9.0, 4.0 / 9.0]);
        let both = Sampling { top_k: 3, top_p: 0.5, ..sampling() };
        assert_near(&of(both), &[0.0, 0.0, 3.0 / 7.0, 4.0 / 7.0]);
    }

    #[test]
    fn the_likeliest_are_ranked_and_their_probabilities_are_the_raw_ones() {
        let logits = logs(&[0.1, 0.3, 0.2, 0.3, 0.1]);
        let scored = Likely::of(&logits, 3).token(&logits, 4);
        assert_eq!(scored.top.iter().map(|(token, _)| *token).collect::<Vec<_>>(), [1, 3, 2]);
        let near = |found: f64, share: f64| assert!((found - share.ln()).abs() < 1e-6, "{found}");
        near(scored.top[0].1, 0.3);
        near(scored.top[2].1, 0.2);
        near(scored.logprob.unwrap(), 0.1);
        assert!(Likely::of(&logits, 0).top.is_empty());
        assert_eq!(Likely::of(&logits, 9).top.len(), 5);
    }

    #[test]
    fn of_equals_the_smallest_id_wins() {
        assert_eq!(greedy(&[1.0, 3.0, 3.0, 2.0]), 1);
        let one = Sampling { top_k: 1, ..sampling() };
        assert!((0..100).all(|seed| next(&mut [1.0, 3.0, 3.0, 2.0], &one, None, seed, 0) == 1));
    }

    #[test]
    fn a_nucleus_of_many_candidates_is_exact() {
        let logits: Vec<f32> = (0..5000).map(|token| ((token * 7919) % 5000) as f32 / 700.0).collect();
        let mut sorted: Vec<(u32, f64)> =
            (0..).zip(logits.iter().map(|logit| f64::from(*logit).exp())).collect();
        let mut quick = sorted.clone();
        sorted.sort_by(by_weight);
        let mass = 0.9 * sorted.iter().map(|(_, weight)| weight).sum::<f64>();
        let mut sum = 0.0;
        let mut kept = 0;
        while sum < mass {
            sum += sorted[kept].1;
            kept += 1;
        }
        assert_eq!(nucleus(&mut quick, mass), sum);
        assert_eq!(quick, sorted[..kept]);
    }

    /// What is too light for the nucleus is left out before anything is sorted.
    #[test]
    fn a_draw_is_the_same_with_and_without_what_is_too_light() {
        for seed in 0..200_u64 {
            let logits: Vec<f32> = (0..700)
                .map(|token| {
                    (rng::nth(seed, token) % 4000) as f32 / if seed % 2 == 0 { 100.0 } else { 2000.0 }
                })
                .collect();
            let sampling = Sampling { temperature: 0.7, top_p: 0.5 + 0.002 * seed as f64, ..sampling() };
            // All are candidates, so that none is too light.
            let all = Sampling { top_k: 700, ..sampling.clone() };
            for step in 0..20 {
                let one = next(&mut logits.clone(), &sampling, None, seed, step);
                assert_eq!(one, next(&mut logits.clone(), &all, None, seed, step), "{seed} {step}");
            }
        }
    }

    #[test]
    fn penalties_move_what_was_seen() {
        let mut seen = Seen::prompt(&[0, 1]);
        seen.push(1);
        seen.push(1);
        let sampling = Sampling {
            repetition_penalty: 2.0,
            presence_penalty: 0.5,
            frequency_penalty: 0.25,
            ..sampling()
        };
        let mut logits = [4.0, -4.0, 4.0];
        penalise(&mut logits, &sampling, &seen);
        assert_eq!(logits, [2.0, -9.0, 4.0]);
    }

    #[test]
    fn logits_that_are_no_numbers_do_not_panic() {
        for logits in [[f32::NAN; 3], [f32::NEG_INFINITY; 3], [f32::INFINITY; 3]] {
            assert!(next(&mut logits.clone(), &sampling(), None, 1, 1) < 3);
            let greedy = Sampling { temperature: 0.0, ..sampling() };
            assert!(next(&mut logits.clone(), &greedy, None, 1, 1) < 3);
        }
    }
}
