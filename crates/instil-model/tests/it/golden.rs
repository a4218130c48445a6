//! The models below `tests/goldens/decoder`, and what transformers makes of them (its README says how).

use std::path::{Path, PathBuf};

use instil_model::decoder::{BLOCK, Cache, Decoder, Step};
use instil_model::weights::{Checkpoint, Quantize};
use serde::Deserialize;

/// What transformers says of a model.
#[derive(Deserialize)]
pub(crate) struct Golden {
    pub(crate) sequences: Vec<Sequence>,
    pub(crate) greedy: Vec<Greedy>,
    pub(crate) scores: Vec<Scored>,
}

#[derive(Deserialize)]
pub(crate) struct Sequence {
    pub(crate) ids: Vec<u32>,
    pub(crate) positions: Vec<usize>,
}

#[derive(Deserialize)]
pub(crate) struct Greedy {
    pub(crate) prompt: Vec<u32>,
    pub(crate) tokens: Vec<u32>,
}

#[derive(Deserialize)]
pub(crate) struct Scored {
    pub(crate) prompt: Vec<u32>,
    pub(crate) completion: Vec<u32>,
    pub(crate) log_likelihood: f64,
}

pub(crate) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/decoder").join(name)
}

/// Folders of all models, by name.
pub(crate) fn models() -> Vec<String> {
    let below = |name: &str| {
        let entries = std::fs::read_dir(folder(name)).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>()
    };
    let mut models: Vec<String> =
        below("").into_iter().filter(|name| folder(name).join("golden.json").exists()).collect();
    let gguf = below("gguf").into_iter().map(|name| format!("gguf/{name}"));
    models.extend(gguf.filter(|name| folder(name).join("golden.json").exists()));
    models.sort();
    models
}

impl Golden {
    pub(crate) fn of(model: &str) -> Self {
        let text = std::fs::read(folder(model).join("golden.json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    /// The logits of each sequence's positions.
    pub(crate) fn logits(model: &str) -> Vec<Vec<f32>> {
        let bytes = std::fs::read(folder(model).join("golden.safetensors")).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let numbers =
            |bytes: &[u8]| bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        (0..tensors.len())
            .map(|number| numbers(tensors.tensor(&format!("logits.{number}")).unwrap().data()))
            .collect()
    }
}

/// A decoder with a cache and the simplest bookkeeping: blocks are handed out one after the other.
pub(crate) struct Bench {
    pub(crate) decoder: Decoder,
    pub(crate) cache: Cache,
    next: u32,
}

impl Bench {
    pub(crate) fn load(model: &str) -> Self {
        let checkpoint = Checkpoint::open(&folder(model), Quantize::None).unwrap();
        Self::of(Decoder::load(&checkpoint).unwrap())
    }

    pub(crate) fn of(decoder: Decoder) -> Self {
        let cache = Cache::new(decoder.config(), 256);
        Self { decoder, cache, next: 0 }
    }

    /// Blocks for a sequence of so many tokens.
    pub(crate) fn blocks(&mut self, tokens: usize) -> Vec<u32> {
        let first = self.next;
        self.next += tokens.div_ceil(BLOCK) as u32;
        (first..self.next).collect()
    }

    /// The logits of the step's wanted rows.
    pub(crate) fn run(&mut self, step: &Step) -> Vec<Vec<f32>> {
        let hidden = self.decoder.forward(step, &mut self.cache).unwrap();
        let mut logits = Vec::new();
        self.decoder.logits(&hidden, &mut logits).unwrap();
        logits.chunks_exact(self.decoder.config().vocab).map(<[f32]>::to_vec).collect()
    }

    /// The logits of every token of a sequence, computed at once.
    pub(crate) fn logits(&mut self, tokens: &[u32]) -> Vec<Vec<f32>> {
        let blocks = self.blocks(tokens.len());
        let mut step = Step { wanted: (0..tokens.len() as u32).collect(), ..Step::default() };
        step.push(tokens, 0, &blocks);
        self.run(&step)
    }
}

/// The place of the largest number.
pub(crate) fn largest(logits: &[f32]) -> u32 {
    (0..)
        .zip(logits)
        .fold((0, f32::NEG_INFINITY), |best, (at, x)| if *x > best.1 { (at, *x) } else { best })
        .0
}
