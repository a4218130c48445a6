//! T5 beside transformers, and the same bits whatever is computed beside a row.

use std::path::{Path, PathBuf};

use instil_model::decoder::{BLOCK, Cache, Decoder, Step};
use instil_model::t5::{Source, T5};
use instil_model::tokenizer::Tokenizer;
use instil_model::weights::{Checkpoint, Model, Quantize};
use serde::Deserialize;

use crate::golden::{folder as decoder_folder, largest};

/// f32 implementations lie some 1e-5 apart.
const LOGIT: f32 = 1e-4;
const NATS: f64 = 1e-3;
/// Weights in bf16 are multiplied with activations in bf16 here, and with f32 in the reference: of a hundred nats.
const BF16_LOGIT: f32 = 0.2;
const BF16_NATS: f64 = 0.2;
/// Quantised weights are multiplied with quantised activations here, and with f32 in the reference.
const QUANTISED_LOGIT: f32 = 0.35;

/// The one whose weights are stored in bf16.
pub(crate) const BF16: &str = "v1.1";

/// How far nats may be from the reference's.
pub(crate) fn near(model: &str) -> f64 {
    if model == BF16 { BF16_NATS } else { NATS }
}

pub(crate) const MODELS: [&str; 3] = ["v1.0", "v1.1", "buckets"];

#[derive(Deserialize)]
pub(crate) struct Golden {
    pub(crate) pairs: Vec<Pair>,
    pub(crate) greedy: Vec<Greedy>,
    pub(crate) scores: Vec<Scored>,
}

#[derive(Deserialize)]
pub(crate) struct Pair {
    pub(crate) source: Vec<u32>,
    pub(crate) target: Vec<u32>,
}

#[derive(Deserialize)]
pub(crate) struct Greedy {
    pub(crate) source: Vec<u32>,
    pub(crate) tokens: Vec<u32>,
}

#[derive(Deserialize)]
pub(crate) struct Scored {
    pub(crate) source: Vec<u32>,
    pub(crate) target: Vec<u32>,
    pub(crate) log_likelihood: f64,
}

pub(crate) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/t5").join(name)
}

pub(crate) fn json<T: for<'a> Deserialize<'a>>(name: &str) -> T {
    serde_json::from_slice(&std::fs::read(folder(name)).unwrap()).unwrap()
}

impl Golden {
    pub(crate) fn of(model: &str) -> Self {
        json(&format!("{model}/golden.json"))
    }

    /// The logits of each pair's target.
    fn logits(model: &str) -> Vec<Vec<f32>> {
        let bytes = std::fs::read(folder(model).join("golden.safetensors")).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let numbers =
            |bytes: &[u8]| bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        (0..tensors.len())
            .map(|number| numbers(tensors.tensor(&format!("logits.{number}")).unwrap().data()))
            .collect()
    }
}

/// A model with a cache and the simplest bookkeeping: blocks are handed out one after the other.
struct Bench {
    model: T5,
    cache: Cache,
    next: u32,
}

/// A prompt that was read, and room for what is written.
struct Read {
    source: Vec<u32>,
    source_blocks: Vec<u32>,
    blocks: Vec<u32>,
}

impl Bench {
    fn load(name: &str, quantize: Quantize) -> Self {
        let checkpoint = Checkpoint::open(&folder(name), quantize).unwrap();
        let model = T5::load(&checkpoint, None).unwrap();
        let cache = model.cache(400);
        Self { model, cache, next: 0 }
    }

    fn blocks(&mut self, tokens: usize) -> Vec<u32> {
        let first = self.next;
        self.next += tokens.div_ceil(BLOCK) as u32;
        (first..self.next).collect()
    }

    fn read(&mut self, sources: &[&[u32]], room: usize) -> Vec<Read> {
        let reads: Vec<Read> = sources
            .iter()
            .map(|source| Read {
                source: source.to_vec(),
                source_blocks: self.blocks(source.len()),
                blocks: self.blocks(room),
            })
            .collect();
        let sources: Vec<Source<'_>> = reads.iter().map(Read::source).collect();
        self.model.encode(&sources, &mut self.cache).unwrap();
        reads
    }

    /// The logits of the wanted rows; a segment of the step for each prompt.
    fn run(&mut self, step: &Step, reads: &[&Read]) -> Vec<f32> {
        let sources: Vec<Source<'_>> = reads.iter().map(|read| read.source()).collect();
        let hidden = self.model.forward(step, &sources, &mut self.cache).unwrap();
        let mut logits = Vec::new();
        self.model.logits(&hidden, &mut logits).unwrap();
        logits
    }

    /// What the decoder is fed to predict a target.
    fn fed(&self, target: &[u32]) -> Vec<u32> {
        [&[self.model.config().start], &target[..target.len() - 1]].concat()
    }
}

impl Read {
    fn source(&self) -> Source<'_> {
        Source { tokens: &self.source, blocks: &self.source_blocks }
    }
}

fn farthest(found: &[f32], wanted: &[f32]) -> f32 {
    assert_eq!(found.len(), wanted.len());
    found.iter().zip(wanted).map(|(one, two)| (one - two).abs()).fold(0.0, f32::max)
}

/// The logits of all targets, all pairs side by side.
fn all_logits(bench: &mut Bench, golden: &Golden) -> Vec<f32> {
    let sources: Vec<&[u32]> = golden.pairs.iter().map(|pair| pair.source.as_slice()).collect();
    let reads = bench.read(&sources, 64);
    let mut step = Step::default();
    for (pair, read) in golden.pairs.iter().zip(&reads) {
        step.push(&bench.fed(&pair.target), 0, &read.blocks);
    }
    step.wanted = (0..step.tokens.len() as u32).collect();
    bench.run(&step, &reads.iter().collect::<Vec<_>>())
}

#[test]
fn logits_are_those_of_transformers() {
    for model in MODELS {
        let golden = Golden::of(model);
        let found = all_logits(&mut Bench::load(model, Quantize::None), &golden);
        let far = farthest(&found, &Golden::logits(model).concat());
        let near = if model == BF16 { BF16_LOGIT } else { LOGIT };
        assert!(far <= near, "{model}: logits are up to {far} away");
    }
}

#[test]
fn quantised_logits_are_near() {
    for quantize in [Quantize::Q8_0, Quantize::Q4K] {
        let golden = Golden::of("v1.0");
        let found = all_logits(&mut Bench::load("v1.0", quantize), &golden);
        let far = farthest(&found, &Golden::logits("v1.0").concat());
        assert!(far > 0.0 && far <= QUANTISED_LOGIT, "{quantize}: logits are up to {far} away");
    }
}

#[test]
fn greedy_tokens_are_those_of_transformers() {
    for model in MODELS {
        let mut bench = Bench::load(model, Quantize::None);
        for greedy in Golden::of(model).greedy {
            let read = bench.read(&[&greedy.source], greedy.tokens.len()).remove(0);
            let mut fed = bench.model.config().start;
            for (place, wanted) in greedy.tokens.iter().enumerate() {
                let mut step = Step { wanted: vec![0], ..Step::default() };
                step.push(&[fed], place, &read.blocks);
                fed = largest(&bench.run(&step, &[&read]));
                assert_eq!(fed, *wanted, "{model}: token {place} after {:?}", greedy.source);
            }
        }
    }
}

#[test]
fn rows_have_the_same_bits_alone_and_beside_others() {
    for model in MODELS {
        let golden = Golden::of(model);
        let mut bench = Bench::load(model, Quantize::None);
        let together = all_logits(&mut bench, &golden);
        let vocab = bench.model.config().vocab;
        let mut first = 0;
        for pair in &golden.pairs {
            // The prompt alone, the target token by token and in pieces.
            let end = first + pair.target.len() * vocab;
            for piece in [1, 3, 17] {
                let read = bench.read(&[&pair.source], pair.target.len()).remove(0);
                let mut found = Vec::new();
                for (number, part) in bench.fed(&pair.target).chunks(piece).enumerate() {
                    let mut step = Step { wanted: (0..part.len() as u32).collect(), ..Step::default() };
                    step.push(part, number * piece, &read.blocks);
                    found.extend(bench.run(&step, &[&read]));
                }
                assert!(found == together[first..end], "{model}: pieces of {piece} differ");
            }
            first = end;
        }
    }
}

#[test]
fn one_prompt_serves_several_completions() {
    let golden = Golden::of("v1.1");
    let mut bench = Bench::load("v1.1", Quantize::None);
    let read = bench.read(&[&golden.pairs[4].source], 64).remove(0);
    let mut step = Step::default();
    let mut alone = Vec::new();
    for pair in &golden.pairs {
        let fed = bench.fed(&pair.target);
        let blocks = bench.blocks(fed.len());
        step.push(&fed, 0, &blocks);
        let mut own = Step { wanted: (0..fed.len() as u32).collect(), ..Step::default() };
        own.push(&fed, 0, &blocks);
        alone.extend(bench.run(&own, &[&read]));
    }
    step.wanted = (0..step.tokens.len() as u32).collect();
    assert!(bench.run(&step, &vec![&read; golden.pairs.len()]) == alone);
}

#[test]
fn log_likelihoods_are_those_of_transformers() {
    for model in MODELS {
        let mut bench = Bench::load(model, Quantize::None);
        let vocab = bench.model.config().vocab;
        for Scored { source, target, log_likelihood } in Golden::of(model).scores {
            let read = bench.read(&[&source], target.len()).remove(0);
            let mut step = Step { wanted: (0..target.len() as u32).collect(), ..Step::default() };
            step.push(&bench.fed(&target), 0, &read.blocks);
            let logits = bench.run(&step, &[&read]);
            let sum: f64 = logits
                .chunks_exact(vocab)
                .zip(&target)
                .map(|(row, token)| {
                    let total: f64 = row.iter().map(|logit| f64::from(*logit).exp()).sum();
                    f64::from(row[*token as usize]) - total.ln()
                })
                .sum();
            assert!((sum - log_likelihood).abs() < near(model), "{model}: {sum}, not {log_likelihood}");
        }
    }
}

#[test]
fn texts_have_the_tokens_of_transformers() {
    let tokenizer = Tokenizer::of_folder(&folder("v1.0")).unwrap();
    have_the_tokens(&tokenizer, "texts.json");
    assert_eq!((tokenizer.end(), tokenizer.pad(), tokenizer.bos()), (Some(1), Some(0), None));
    // Sentinels stand behind the pieces, the first of them last.
    assert_eq!(tokenizer.id_of("<extra_id_0>"), Some(119));
}

/// Published tokenizers map characters before they look for pieces.
#[test]
fn ligatures_wide_characters_and_marks_become_what_they_stand_for() {
    let tokenizer = Tokenizer::of_folder(&folder("normalising")).unwrap();
    have_the_tokens(&tokenizer, "normalising/texts.json");
}

/// That texts have the tokens that a file says, and these its texts, at once and one by one.
fn have_the_tokens(tokenizer: &Tokenizer, file: &str) {
    #[derive(Deserialize)]
    struct Texts {
        texts: Vec<Text>,
    }
    #[derive(Deserialize)]
    struct Text {
        text: String,
        ids: Vec<u32>,
        decoded: String,
    }
    for Text { text, ids, decoded } in json::<Texts>(file).texts {
        assert_eq!(tokenizer.encode(&text, true).unwrap(), ids, "{text}");
        assert_eq!(tokenizer.decode(&ids).unwrap(), decoded);
        let mut one_by_one = tokenizer.detokenizer();
        let mut found: String = ids.iter().filter_map(|id| one_by_one.push(*id)).collect();
        found.extend(one_by_one.finish());
        assert_eq!(found, decoded);
    }
}

#[test]
fn a_model_of_the_other_kind_is_refused_by_name() {
    let t5 = Checkpoint::open(&folder("v1.0"), Quantize::None).unwrap();
    let refused = Decoder::load(&t5).err().unwrap().to_string();
    assert!(refused.contains("is an encoder-decoder (t5)"), "{refused}");
    let llama = Checkpoint::open(&decoder_folder("llama"), Quantize::None).unwrap();
    let refused = T5::load(&llama, None).err().unwrap().to_string();
    assert!(refused.contains("is no encoder-decoder"), "{refused}");
    assert!(matches!(t5.model(), Model::T5(config) if config.tied));
    let untied = Checkpoint::open(&folder("buckets"), Quantize::None).unwrap();
    assert!(matches!(untied.model(), Model::T5(config) if !config.tied && !config.scales_outputs));
}
