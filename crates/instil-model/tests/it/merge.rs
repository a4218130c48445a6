//! Merged models: the logits of base and adapter, in every layout.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use instil::error::Result;
use instil_model::adapter::Adapter;
use instil_model::decoder::Decoder;
use instil_model::weights::{Checkpoint, Layout, Merge, Merged, Quantize, WriteAs};

use crate::adapter::{ADAPTERS, adapter, farthest, golden, last};
use crate::golden::{Bench, folder};

fn open(path: &Path) -> Checkpoint {
    Checkpoint::open(path, Quantize::None).unwrap()
}

fn merge(base: &Path, name: &str, output: &Path, how: Merge) -> Result<Merged> {
    let adapter = Adapter::read(&adapter(name)).unwrap();
    let merged = how.write(&open(base), adapter, output, &mut |_, _| ControlFlow::Continue(()))?;
    Ok(merged.unwrap())
}

fn as_f32(layout: Layout) -> Merge {
    Merge { layout, dtype: Some(WriteAs::F32), ..Merge::default() }
}

fn far(path: &Path, name: &str) -> f32 {
    let (found, wanted) = last(&mut Bench::of(Decoder::load(&open(path)).unwrap()), name);
    farthest(&found, &wanted)
}

#[test]
fn merged_weights_give_the_logits_of_base_and_adapter() {
    let place = tempfile::tempdir().unwrap();
    for (name, base) in ADAPTERS {
        let output = place.path().join(name);
        let merged = merge(&folder(base), name, &output, as_f32(Layout::Safetensors)).unwrap();
        assert_eq!(merged.changed, Adapter::read(&adapter(name)).unwrap().modules.len());
        let far = far(&output, name);
        assert!(far <= 1e-4, "{name}: logits are up to {far} away");
        let (ours, bases) = (open(&output).tokenizer().unwrap(), open(&folder(base)).tokenizer().unwrap());
        assert_eq!(ours.hash(), bases.hash());
        assert!(!open(&output).config().unwrap().tied, "{name}: a changed head is its own");
    }
}

#[test]
fn a_gguf_file_gives_them_too_and_the_same_tokens() {
    let place = tempfile::tempdir().unwrap();
    for (name, base) in ADAPTERS.into_iter().filter(|(name, _)| *name != "gpt-j") {
        let output = place.path().join(format!("{name}.gguf"));
        merge(&folder(base), name, &output, as_f32(Layout::Gguf)).unwrap();
        let far = far(&output, name);
        assert!(far <= 1e-4, "{name}: logits are up to {far} away");
        let (ours, bases) = (open(&output), open(&folder(base)));
        let (ours, bases) = (ours.tokenizer().unwrap(), bases.tokenizer().unwrap());
        for text in ["The first wheel ground forty sacks.", " a  mill\n", "it's 1897", "<s>the wheels</s>"] {
            assert_eq!(ours.encode(text, true).unwrap(), bases.encode(text, true).unwrap(), "{name}: {text}");
        }
        assert_eq!((ours.bos(), ours.end()), (bases.bos(), bases.end()));
        // A GGUF file is a base in its turn.
        let again = place.path().join(format!("{name}-again.gguf"));
        merge(&output, name, &again, as_f32(Layout::Gguf)).unwrap();
        assert_eq!(open(&again).tokenizer().unwrap().hash(), open(&output).tokenizer().unwrap().hash());
    }
    let told = merge(&folder("gpt-j"), "gpt-j", &place.path().join("j.gguf"), as_f32(Layout::Gguf));
    assert!(told.unwrap_err().to_string().contains("GPT-J"));
}

#[test]
fn a_gguf_base_is_merged_in_its_own_order() {
    // Twice the same change is the change with twice the scaling.
    let place = tempfile::tempdir().unwrap();
    let (one, two) = (place.path().join("one.gguf"), place.path().join("two.gguf"));
    merge(&folder("llama"), "llama", &one, as_f32(Layout::Gguf)).unwrap();
    merge(&one, "llama", &two, as_f32(Layout::Gguf)).unwrap();
    let mut twice = Adapter::read(&adapter("llama")).unwrap();
    twice.lora_alpha *= 2.0;
    let (ids, _) = golden("llama");
    let wanted = Bench::of(Decoder::load_with(&open(&folder("llama")), Some(twice)).unwrap()).logits(&ids);
    let found = Bench::of(Decoder::load(&open(&two)).unwrap()).logits(&ids);
    let far = farthest(&found.concat(), &wanted.concat());
    assert!(far <= 1e-3, "logits are up to {far} away");
}

#[test]
fn quantised_bases_are_merged_into_plain_weights() {
    let place = tempfile::tempdir().unwrap();
    let base = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens/nf4/llama-nf4"));
    let output = place.path().join("merged");
    merge(base, "llama", &output, as_f32(Layout::Safetensors)).unwrap();
    let config = fs::read_to_string(output.join("config.json")).unwrap();
    assert!(!config.contains("quantization_config") && config.contains("float32"), "{config}");
    let (ids, _) = golden("llama");
    let with = Adapter::read(&adapter("llama")).unwrap();
    let wanted = Bench::of(Decoder::load_with(&open(base), Some(with)).unwrap()).logits(&ids);
    let found = Bench::of(Decoder::load(&open(&output)).unwrap()).logits(&ids);
    let far = farthest(&found.concat(), &wanted.concat());
    assert!(far <= 1e-4, "logits are up to {far} away");
    assert_eq!(open(&output).tensors().filter(|(name, _)| name.contains("absmax")).count(), 0);
}

#[test]
fn types_and_shards() {
    let place = tempfile::tempdir().unwrap();
    let size = |path: &Path| -> u64 {
        let files = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
        files
            .filter(|path| path.extension().is_some_and(|e| e == "safetensors"))
            .map(|path| path.metadata().unwrap().len())
            .sum()
    };
    let base = open(&folder("llama"));
    let numbers: u64 = base.tensors().map(|(_, shape)| shape.iter().product::<usize>() as u64).sum();
    for (dtype, bytes) in [(None, 4), (Some(WriteAs::F16), 2), (Some(WriteAs::Bf16), 2)] {
        let output = place.path().join(format!("{dtype:?}"));
        let how = Merge { dtype, shard_bytes: 60_000, ..Merge::default() };
        let merged = merge(&folder("llama"), "llama", &output, how).unwrap();
        assert_eq!(merged.bytes, bytes * numbers, "{dtype:?}");
        assert!(size(&output) > merged.bytes && output.join("model.safetensors.index.json").is_file());
        // Logits are some ten; rounded weights move them by hundredths.
        let (allowed, far) = (if bytes == 4 { 1e-4 } else { 0.5 }, far(&output, "llama"));
        assert!(far <= allowed, "{dtype:?}: logits are up to {far} away");
    }
    for (dtype, name) in [(WriteAs::Q8_0, "q8"), (WriteAs::Q4K, "q4")] {
        let output = place.path().join(name).with_extension("gguf");
        let how = Merge { layout: Layout::Gguf, dtype: Some(dtype), ..Merge::default() };
        merge(&folder("llama"), "llama", &output, how).unwrap();
        // Rows of 64 and 96 fill no blocks of 256: 8 bits hold them.
        let matrix = open(&output).matrix("model.layers.0.mlp.up_proj.weight", 96, 64).unwrap();
        assert_eq!(matrix.dtype(), instil_model::kernel::Dtype::Q8_0);
        let how = Merge { dtype: Some(dtype), ..Merge::default() };
        let told = merge(&folder("llama"), "llama", &place.path().join("folder"), how).unwrap_err();
        assert!(told.hint().unwrap().contains("--format gguf"), "{told:?}");
    }
}

#[test]
fn nothing_is_replaced_unasked_and_nothing_stands_there_by_half() {
    let place = tempfile::tempdir().unwrap();
    let output = place.path().join("merged");
    merge(&folder("llama"), "llama", &output, Merge::default()).unwrap();
    let told = merge(&folder("llama"), "llama", &output, Merge::default()).unwrap_err();
    assert!(told.to_string().contains("is there already") && told.hint().unwrap().contains("--overwrite"));
    let over = Merge { overwrite: true, ..Merge::default() };
    merge(&folder("llama"), "llama", &output, over).unwrap();
    fs::write(output.join("thesis.docx"), "years of work").unwrap();
    let told = merge(&folder("llama"), "llama", &output, over).unwrap_err().to_string();
    assert!(told.contains("thesis.docx"), "{told}");

    let stopped = place.path().join("stopped");
    let with = Adapter::read(&adapter("llama")).unwrap();
    let how = Merge::default();
    let base = open(&folder("llama"));
    let mut steps = 0;
    let mut watch = |_, _| {
        steps += 1;
        if steps > 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    assert_eq!(how.write(&base, with, &stopped, &mut watch).unwrap(), None);
    let names: Vec<_> = fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["merged"], "what was begun is removed");
}

#[test]
fn one_matrix_named_as_the_head_is_an_embedding() {
    let place = tempfile::tempdir().unwrap();
    let base = place.path().join("base");
    fs::create_dir(&base).unwrap();
    for file in ["config.json", "tokenizer.json", "tokenizer_config.json"] {
        fs::copy(folder("qwen2").join(file), base.join(file)).unwrap();
    }
    let bytes = fs::read(folder("qwen2").join("model.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let renamed =
        tensors.iter().map(|(name, tensor)| (name.replace("model.embed_tokens", "lm_head"), tensor));
    let renamed: Vec<_> = renamed.collect();
    assert!(renamed.iter().any(|(name, _)| name == "lm_head.weight"));
    fs::write(base.join("model.safetensors"), safetensors::serialize(renamed, None).unwrap()).unwrap();
    for (layout, name) in [(Layout::Safetensors, "merged"), (Layout::Gguf, "merged.gguf")] {
        let output = place.path().join(name);
        merge(&base, "qwen2-tied-head", &output, as_f32(layout)).unwrap();
        let far = far(&output, "qwen2-tied-head");
        assert!(far <= 1e-4, "{name}: logits are up to {far} away");
        let names: Vec<_> = open(&output).tensors().map(|(name, _)| name.to_owned()).collect();
        let has = |name: &str| names.iter().any(|known| known == name);
        assert!(has("model.embed_tokens.weight") && has("lm_head.weight"), "{names:?}");
    }
}
