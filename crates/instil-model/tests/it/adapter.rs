//! Adapters beside Python's peft, whatever the base's family and however its weights are held.

use std::path::{Path, PathBuf};

use instil::lm::LanguageModel;
use instil_model::adapter::Adapter;
use instil_model::decoder::{Decoder, Step};
use instil_model::engine::{Engine, Settings};
use instil_model::weights::{Checkpoint, Quantize};

use crate::golden::{Bench, folder};

/// As for the models themselves: f32 sums in another order.
const LOGIT: f32 = 1e-4;

/// The goldens and their bases.
pub(crate) const ADAPTERS: [(&str, &str); 6] = [
    ("llama", "llama"),
    ("mistral", "mistral"),
    ("qwen2-tied-head", "qwen2"),
    ("qwen3", "qwen3"),
    ("gpt-neox", "gpt-neox"),
    ("gpt-j", "gpt-j"),
];

pub(crate) fn adapter(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens/adapter")).join(name)
}

/// The tokens, and the logits of the last positions.
pub(crate) fn golden(name: &str) -> (Vec<u32>, Vec<f32>) {
    let bytes = std::fs::read(adapter(name).join("golden.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let words = |tensor: &str| tensors.tensor(tensor).unwrap().data().as_chunks::<4>().0.to_vec();
    (
        words("ids").into_iter().map(u32::from_le_bytes).collect(),
        words("logits").into_iter().map(f32::from_le_bytes).collect(),
    )
}

fn bench(base: &str, quantize: Quantize, with: Option<&str>) -> Bench {
    let checkpoint = Checkpoint::open(&folder(base), quantize).unwrap();
    let with = with.map(|name| Adapter::read(&adapter(name)).unwrap());
    let decoder = Decoder::load_with(&checkpoint, with).unwrap();
    Bench::of(decoder)
}

/// The logits of the last positions, and what was wanted.
pub(crate) fn last(bench: &mut Bench, name: &str) -> (Vec<f32>, Vec<f32>) {
    let (ids, wanted) = golden(name);
    let logits = bench.logits(&ids).concat();
    (logits[logits.len() - wanted.len()..].to_vec(), wanted)
}

pub(crate) fn farthest(one: &[f32], other: &[f32]) -> f32 {
    assert_eq!(one.len(), other.len());
    one.iter().zip(other).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max)
}

#[test]
fn logits_are_those_of_peft() {
    for (name, base) in ADAPTERS {
        let (found, wanted) = last(&mut bench(base, Quantize::None, Some(name)), name);
        let far = farthest(&found, &wanted);
        assert!(far <= LOGIT, "{name}: logits are up to {far} away");
        let (without, _) = last(&mut bench(base, Quantize::None, None), name);
        assert!(farthest(&without, &wanted) > 0.1, "{name}: the adapter changes next to nothing");
    }
}

/// `tests/peers/test_adapter.py` loads these bytes in peft.
#[test]
fn what_is_written_is_what_peft_was_shown() {
    let place = tempfile::tempdir().unwrap();
    let known = adapter("written");
    let written = if std::env::var_os("UPDATE").is_some() { known.as_path() } else { place.path() };
    Adapter::read(&adapter("llama")).unwrap().write(written).unwrap();
    for file in ["adapter_config.json", "adapter_model.safetensors"] {
        let read = |folder: &Path| std::fs::read(folder.join(file)).unwrap();
        assert!(
            read(written) == read(&known),
            "{file} is another: UPDATE=1 cargo test -p instil-model peft_was_shown"
        );
    }
}

#[test]
fn quantised_weights_carry_an_adapter() {
    for (name, base) in ADAPTERS {
        let (found, wanted) = last(&mut bench(base, Quantize::Q8_0, Some(name)), name);
        let norm = |numbers: &mut dyn Iterator<Item = f32>| numbers.map(|x| x * x).sum::<f32>().sqrt();
        let away = norm(&mut found.iter().zip(&wanted).map(|(one, other)| one - other));
        let share = away / norm(&mut wanted.iter().copied());
        assert!(share < 0.1, "{name}: the logits are {share} of themselves away");
    }
}

#[test]
fn a_row_has_the_same_bits_alone_and_beside_others() {
    for (name, base) in ADAPTERS {
        let (ids, _) = golden(name);
        let mut bench = bench(base, Quantize::None, Some(name));
        let whole = bench.logits(&ids);
        let blocks = bench.blocks(ids.len());
        let mut found = Vec::new();
        for (place, id) in ids.iter().enumerate() {
            let mut step = Step { wanted: vec![0], ..Step::default() };
            step.push(&[*id], place, &blocks);
            found.extend(bench.run(&step));
        }
        assert!(found == whole, "{name}: one token at a time differs");
    }
}

fn settings(with: Option<&str>) -> Settings {
    let mut settings = Settings { adapter: with.map(adapter), threads: 2, ..Settings::default() };
    settings.weights.quantize = Quantize::None;
    settings
}

#[test]
fn the_adapter_is_part_of_what_an_engine_is() {
    let without = Engine::load(&folder("llama"), &settings(None)).unwrap();
    let with = Engine::load(&folder("llama"), &settings(Some("llama"))).unwrap();
    assert!(!without.identity().contains("adapter"));
    let hash = Adapter::read(&adapter("llama")).unwrap().fingerprint().unwrap();
    assert_eq!(*with.identity(), *format!("{}; adapter {hash}", without.identity()));
}

#[test]
fn an_adapter_of_another_model_is_refused() {
    let told = |base: &str, name: &str| {
        let error = Engine::load(&folder(base), &settings(Some(name))).err().unwrap();
        format!("{error} ({})", error.hint().unwrap_or_default())
    };
    let other = told("gpt-j", "llama");
    assert!(other.contains("no linear layer of the base model"), "{other}");
    let wide = told("llama-f16", "llama");
    assert!(wide.contains("[4, 96]") && wide.contains("[4, 48]"), "{wide}");
    assert!(wide.contains("was trained on `llama`"), "{wide}");
}
