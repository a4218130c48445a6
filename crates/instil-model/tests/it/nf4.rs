//! bitsandbytes' checkpoints, and bases held as NF4.

use std::path::PathBuf;

use instil::lm::LanguageModel;
use instil_model::decoder::Decoder;
use instil_model::engine::{Engine, Settings};
use instil_model::kernel::Dtype;
use instil_model::weights::{Checkpoint, Quantize};

use crate::golden::{Bench, folder};

fn model(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens/nf4")).join(name)
}

/// The numbers of a golden, as 32-bit words.
fn golden(name: &str, tensor: &str) -> Vec<[u8; 4]> {
    let bytes = std::fs::read(model(name).join("golden.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    tensors.tensor(tensor).unwrap().data().as_chunks::<4>().0.to_vec()
}

fn floats(words: Vec<[u8; 4]>) -> Vec<f32> {
    words.into_iter().map(f32::from_le_bytes).collect()
}

#[test]
fn checkpoints_of_bitsandbytes_give_what_their_dequantised_weights_give() {
    for name in ["llama-nf4", "llama-fp4"] {
        let checkpoint = Checkpoint::open(&model(name), Quantize::Auto).unwrap();
        let matrix = checkpoint.matrix("model.layers.0.mlp.down_proj.weight", 64, 96).unwrap();
        assert_eq!(matrix.dtype(), Dtype::Nf4);
        let mut found = vec![0.0; 64 * 96];
        matrix.dequantize_rows(0..64, &mut found);
        assert!(found == floats(golden(name, "dequantised")), "{name}");
        let head = checkpoint.matrix("lm_head.weight", 128, 64).unwrap();
        assert_eq!(head.dtype(), Dtype::F32);

        let ids: Vec<u32> = golden(name, "ids").into_iter().map(u32::from_le_bytes).collect();
        let wanted = floats(golden(name, "logits"));
        let logits = Bench::of(Decoder::load(&checkpoint).unwrap()).logits(&ids).concat();
        let last = &logits[logits.len() - wanted.len()..];
        let far = last.iter().zip(&wanted).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max);
        assert!(far <= 1e-4, "{name}: logits are up to {far} away");
    }
}

#[test]
fn weights_quantised_here_are_those_that_bitsandbytes_quantised() {
    let ours = Checkpoint::open(&folder("llama"), Quantize::Nf4).unwrap();
    let theirs = Checkpoint::open(&model("llama-nf4"), Quantize::Auto).unwrap();
    for (name, n, k) in [("self_attn.q_proj", 64, 64), ("self_attn.v_proj", 32, 64), ("mlp.up_proj", 96, 64)]
    {
        let name = format!("model.layers.1.{name}.weight");
        let rows = |checkpoint: &Checkpoint| {
            let matrix = checkpoint.matrix(&name, n, k).unwrap();
            assert_eq!(matrix.dtype(), Dtype::Nf4);
            let mut rows = vec![0.0; n * k];
            matrix.dequantize_rows(0..n, &mut rows);
            rows
        };
        // A scale that lies between two steps of its code may take the other one: half a percent.
        let (ours, theirs) = (rows(&ours), rows(&theirs));
        let away: Vec<f32> = ours.iter().zip(&theirs).map(|(one, other)| (one - other).abs()).collect();
        let same = away.iter().filter(|away| **away < 1e-6).count();
        assert!(same * 100 >= away.len() * 97, "{name}: {same} of {} are the same", away.len());
        let most = theirs.iter().fold(0.0f32, |most, number| most.max(number.abs()));
        assert!(away.iter().all(|away| *away <= 0.01 * most), "{name}");
    }
    // Rows of 96 are no whole blocks: 8 bits hold those.
    let odd = ours.matrix("model.layers.0.mlp.down_proj.weight", 64, 96).unwrap();
    assert_eq!(odd.dtype(), Dtype::Q8_0);
    assert_eq!(ours.matrix("lm_head.weight", 128, 64).unwrap().dtype(), Dtype::F32);
}

#[test]
fn an_engine_holds_its_weights_as_nf4() {
    let load = |quantize| {
        let mut settings = Settings { threads: 2, ..Settings::default() };
        settings.weights.quantize = quantize;
        Engine::load(&folder("llama"), &settings).unwrap().identity()
    };
    assert_ne!(load(Quantize::Nf4), load(Quantize::Q8_0));
    let loaded = Engine::load(&model("llama-nf4"), &Settings::default()).unwrap();
    assert!(loaded.notes().is_empty(), "{:?}", loaded.notes());
}

#[test]
fn what_is_not_read_is_named() {
    let place = tempfile::tempdir().unwrap();
    for file in ["config.json", "model.safetensors", "tokenizer.json"] {
        std::fs::copy(model("llama-nf4").join(file), place.path().join(file)).unwrap();
    }
    let path = place.path().join("config.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("\"load_in_8bit\": false", "\"load_in_8bit\": true")).unwrap();
    let error = Checkpoint::open(place.path(), Quantize::Auto).err().unwrap();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("bitsandbytes with 8 bits"), "{cause}");
    assert!(error.hint().unwrap().contains("original weights"), "{error:?}");

    std::fs::write(&path, text.replace("\"hidden_size\": 64", "\"hidden_size\": 128")).unwrap();
    let checkpoint = Checkpoint::open(place.path(), Quantize::Auto).unwrap();
    let error = Decoder::load(&checkpoint).err().unwrap();
    assert!(error.to_string().contains("[128, 64]"), "{error}");
    let error = checkpoint.matrix("model.layers.0.mlp.up_proj.weight", 96, 128).err().unwrap();
    assert!(error.to_string().contains("[96, 64]") && error.to_string().contains("[96, 128]"), "{error}");
}
