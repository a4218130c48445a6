//! Bytes as a GGUF file, and as the safetensors file of a folder: an error or a checkpoint whose tensors load or don't,
//! never an end of the program.
#![no_main]

use instil_model::weights::{Checkpoint, Options, Quantize};
use libfuzzer_sys::fuzz_target;

const CONFIG: &str = r#"{"model_type": "llama", "vocab_size": 8, "hidden_size": 8, "num_hidden_layers": 1,
    "num_attention_heads": 1, "intermediate_size": 8}"#;

fuzz_target!(|input: (bool, bool, &[u8])| {
    let (gguf, eight, bytes) = input;
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let name = if gguf { "a.gguf" } else { "model.safetensors" };
    std::fs::write(folder.path().join(name), bytes).expect("it can be written");
    if !gguf {
        std::fs::write(folder.path().join("config.json"), CONFIG).expect("it can be written");
    }
    let quantize = if eight { Quantize::Q8_0 } else { Quantize::None };
    let options = Options { quantize, ..Options::default() };
    let Ok(checkpoint) = Checkpoint::open_with(folder.path(), &options) else { return };
    for (name, shape) in checkpoint.tensors() {
        match *shape {
            [n, k] => drop(checkpoint.matrix(name, n, k)),
            [len] => drop(checkpoint.vector(name, len)),
            _ => {}
        }
    }
    drop(checkpoint.tokenizer());
    assert!(checkpoint.fingerprint().is_ok());
});
