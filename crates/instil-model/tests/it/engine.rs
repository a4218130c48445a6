//! The engine: batches, sharing, seeds, stops, scores.

use instil_model::engine::{Engine, Settings, Tokens};

use crate::golden::{Golden, folder, models};

fn engine(model: &str, settings: &Settings) -> Engine {
    Engine::load(&folder(model), settings).unwrap()
}

#[test]
fn scores_are_those_of_transformers() {
    for model in models().into_iter().filter(|model| !model.contains('q') || model.contains("qwen")) {
        let scores = Golden::of(&model).scores;
        let texts: Vec<Tokens> = scores
            .iter()
            .map(|scored| Tokens {
                tokens: [scored.prompt.as_slice(), &scored.completion].concat(),
                from: scored.prompt.len(),
            })
            .collect();
        let found = engine(&model, &Settings::default()).score_tokens(&texts).unwrap();
        for (found, wanted) in found.iter().zip(&scores) {
            assert!((found + wanted.log_likelihood).abs() < 1e-3, "{model}: {found}");
        }
    }
}
