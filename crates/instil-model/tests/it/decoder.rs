//! Every family beside transformers, and the same bits whatever is computed beside a row.

use instil_model::decoder::Step;

use crate::golden::{Bench, Golden, largest, models};

/// The goldens' README says how far f32 implementations lie apart: 2e-5; this is five times that.
const LOGIT: f32 = 1e-4;
/// Nats of a whole completion.
const NATS: f64 = 1e-3;
/// Quantised weights are multiplied with quantised activations here, and with f32 in the reference.
const QUANTISED_LOGIT: f32 = 0.25;
/// The same of bf16 weights and activations rounded to bf16, and nats of a whole completion. transformers 5.23 in bf16 is up
/// to 0.107 and 0.13 away from its own f32.
const BF16_LOGIT: f32 = 0.08;
const BF16_NATS: f64 = 0.05;

fn is_quantised(model: &str) -> bool {
    model.contains("q8_0") || model.contains("q4_k") || model.contains("awq") || model.contains("gptq")
}

#[test]
fn logits_are_those_of_transformers() {
    for model in models() {
        let (golden, wanted) = (Golden::of(&model), Golden::logits(&model));
        let mut bench = Bench::load(&model);
        // All sequences in one step, ragged.
        let mut step = Step::default();
        for sequence in &golden.sequences {
            let first = step.tokens.len();
            let blocks = bench.blocks(sequence.ids.len());
            step.push(&sequence.ids, 0, &blocks);
            step.wanted.extend(sequence.positions.iter().map(|position| (first + position) as u32));
        }
        let found = bench.run(&step).concat();
        let wanted = wanted.concat();
        assert_eq!(found.len(), wanted.len(), "{model}");
        let far = found.iter().zip(&wanted).map(|(one, two)| (one - two).abs()).fold(0.0, f32::max);
        let allowed = match &*model {
            "llama-bf16" => BF16_LOGIT,
            quantised if is_quantised(quantised) => QUANTISED_LOGIT,
            _ => LOGIT,
        };
        assert!(far <= allowed, "{model}: logits are up to {far} away");
    }
}

#[test]
fn greedy_tokens_are_those_of_transformers() {
    for model in models().into_iter().filter(|model| !is_quantised(model)) {
        for greedy in Golden::of(&model).greedy {
            let mut bench = Bench::load(&model);
            let blocks = bench.blocks(greedy.prompt.len() + greedy.tokens.len());
            let mut fed = greedy.prompt.clone();
            let mut start = 0;
            for (place, wanted) in greedy.tokens.iter().enumerate() {
                let mut step = Step { wanted: vec![fed.len() as u32 - 1], ..Step::default() };
                step.push(&fed, start, &blocks);
                let token = largest(&bench.run(&step)[0]);
                assert_eq!(token, *wanted, "{model}: token {place} after {:?}", greedy.prompt);
                start += fed.len();
                fed = vec![token];
            }
        }
    }
}

#[test]
fn log_likelihoods_are_those_of_transformers() {
    for model in models().into_iter().filter(|model| !is_quantised(model)) {
        let mut bench = Bench::load(&model);
        for scored in Golden::of(&model).scores {
            let tokens = [scored.prompt.as_slice(), &scored.completion].concat();
            let logits = bench.logits(&tokens);
            let sum: f64 = (scored.prompt.len()..tokens.len())
                .map(|place| {
                    let row = &logits[place - 1];
                    let total: f64 = row.iter().map(|logit| f64::from(*logit).exp()).sum();
                    f64::from(row[tokens[place] as usize]) - total.ln()
                })
                .sum();
            let allowed = if model == "llama-bf16" { BF16_NATS } else { NATS };
            assert!(
                (sum - scored.log_likelihood).abs() < allowed,
                "{model}: {sum}, not {}",
                scored.log_likelihood
            );
        }
    }
}

#[test]
fn a_prompt_in_pieces_gives_the_same_bits() {
    for model in models() {
        let golden = Golden::of(&model);
        let tokens = &golden.sequences.last().unwrap().ids;
        let mut bench = Bench::load(&model);
        let whole = bench.logits(tokens);
        for piece in [1, 3, 16, 17] {
            let blocks = bench.blocks(tokens.len());
            let mut found = Vec::new();
            for (number, part) in tokens.chunks(piece).enumerate() {
                let mut step = Step { wanted: (0..part.len() as u32).collect(), ..Step::default() };
                step.push(part, number * piece, &blocks);
                found.extend(bench.run(&step));
            }
            assert!(found == whole, "{model}: pieces of {piece} tokens differ");
        }
    }
}
