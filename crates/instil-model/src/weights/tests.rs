use half::f16;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::kernel::Dtype;

fn goldens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/decoder")
}

fn stored() -> Options {
    Options { quantize: Quantize::None, ..Options::default() }
}

/// The numbers of a safetensors file's tensor, by name.
fn numbers(path: &Path) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let bytes = fs::read(path).unwrap();
    let file = ::safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let read = |(name, view): (String, ::safetensors::tensor::TensorView<'_>)| {
        assert_eq!(view.dtype(), ::safetensors::Dtype::F32);
        let numbers = view.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        (name, (view.shape().to_vec(), numbers))
    };
    file.tensors().into_iter().map(read).collect()
}

fn rows(matrix: &Matrix) -> Vec<f32> {
    let mut rows = vec![0.0; matrix.n() * matrix.k()];
    rows.chunks_exact_mut(matrix.k()).enumerate().for_each(|(row, out)| matrix.row(row, out));
    rows
}

/// A checkpoint of one block with matrices of ones, smaller than any real one, with changes to it.
struct Made {
    folder: tempfile::TempDir,
    config: Value,
    tensors: BTreeMap<String, (::safetensors::Dtype, Vec<usize>, Vec<u8>)>,
}

impl Made {
    fn new(hidden: usize) -> Self {
        let config = json!({
            "model_type": "llama", "vocab_size": 64, "hidden_size": hidden, "num_hidden_layers": 1,
            "num_attention_heads": 2, "intermediate_size": hidden, "max_position_embeddings": 32
        });
        let mut made = Self { folder: tempfile::tempdir().unwrap(), config, tensors: BTreeMap::new() };
        let square =
            ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.down_proj"];
        for name in square {
            made.put(&format!("model.layers.0.{name}.weight"), &[hidden, hidden]);
        }
        made.put("model.embed_tokens.weight", &[64, hidden]);
        made.put("lm_head.weight", &[64, hidden]);
        made.put("model.norm.weight", &[hidden]);
        made
    }

    /// A tensor of F32 with a different number at each place.
    fn put(&mut self, name: &str, shape: &[usize]) {
        let numbers = (0..shape.iter().product::<usize>()).map(|at| ((at * 37 % 101) as f32 - 50.0) / 64.0);
        let bytes = numbers.flat_map(f32::to_le_bytes).collect();
        self.tensors.insert(name.into(), (::safetensors::Dtype::F32, shape.to_vec(), bytes));
    }

    fn write(&self) -> &Path {
        let views = self.tensors.iter().map(|(name, (dtype, shape, bytes))| {
            (name, ::safetensors::tensor::TensorView::new(*dtype, shape.clone(), bytes).unwrap())
        });
        let bytes = ::safetensors::serialize(views, None).unwrap();
        fs::write(self.folder.path().join("model.safetensors"), bytes).unwrap();
        fs::write(self.folder.path().join("config.json"), self.config.to_string()).unwrap();
        self.folder.path()
    }

    fn open(&self, quantize: Quantize) -> Checkpoint {
        Checkpoint::open_with(self.write(), &Options { quantize, ..Options::default() }).unwrap()
    }
}

fn refused(path: &Path) -> Error {
    Checkpoint::open_with(path, &stored()).map(drop).unwrap_err()
}

/// An error's message with those of its causes.
fn whole(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[test]
fn every_golden_folder_opens_and_has_its_tensors() {
    for entry in fs::read_dir(goldens()).unwrap() {
        let path = entry.unwrap().path();
        if !path.join("config.json").is_file() {
            continue;
        }
        let checkpoint = Checkpoint::open_with(&path, &stored()).unwrap();
        let mut loaded = 0;
        for (name, tensor) in &checkpoint.tensors {
            match (&tensor.stored, &tensor.shape[..]) {
                (Stored::I32 | Stored::Other(_), _) => {}
                (_, &[n, k]) if !name.ends_with(".scales") => {
                    let matrix = checkpoint.matrix(name, n, k).unwrap();
                    loaded += matrix.bytes();
                }
                (_, &[len]) => loaded += 4 * checkpoint.vector(name, len).unwrap().len(),
                _ => {}
            }
        }
        for (name, n, k) in checkpoint.packed_layers() {
            loaded += checkpoint.matrix(&name, n, k).unwrap().bytes();
        }
        assert_eq!(loaded, checkpoint.bytes_needed(), "{}", path.display());
        assert!(checkpoint.tokenizer().unwrap().vocab_size() > 0);
    }
}

#[test]
fn packed_integers_are_dequantised_as_the_reference_does() {
    for name in ["awq", "gptq", "gptq-act-order"] {
        let folder = goldens().join(name);
        let checkpoint = Checkpoint::open_with(&folder, &stored()).unwrap();
        let wanted = numbers(&folder.join("dequantised.safetensors"));
        assert!(!wanted.is_empty());
        for (tensor, (shape, wanted)) in wanted {
            assert!(checkpoint.has(&tensor), "{tensor}");
            let matrix = checkpoint.matrix(&tensor, shape[0], shape[1]).unwrap();
            assert_eq!(matrix.dtype(), Dtype::F16);
            for (index, (found, wanted)) in rows(&matrix).iter().zip(&wanted).enumerate() {
                assert_eq!(*found, f16::from_f32(*wanted).to_f32(), "{name} {tensor} at {index}");
            }
        }
        let eight = Checkpoint::open_with(&folder, &Options::default()).unwrap();
        assert_eq!(eight.precision, Precision::Q8_0, "`auto` holds packed integers in 8 bits");
    }
}

#[test]
fn blocks_of_a_gguf_file_are_those_of_the_reference() {
    for name in ["llama-q8_0", "llama-q4_k-q6_k"] {
        let folder = goldens().join("gguf").join(name);
        let checkpoint = Checkpoint::open_with(&folder.join("model.gguf"), &stored()).unwrap();
        let mut types = std::collections::BTreeSet::new();
        for (theirs, (shape, wanted)) in numbers(&folder.join("dequantised.safetensors")) {
            let ours = names::hugging_face_name(Architecture::Llama, &theirs).unwrap();
            let tensor = &checkpoint.tensors[&ours];
            let (n, k) = (tensor.shape[0], tensor.shape[1]);
            let matrix = checkpoint.matrix(&ours, n, k).unwrap();
            types.insert(matrix.dtype().to_string());
            let order = checkpoint.order(&ours, n);
            let mut row = vec![0.0; k];
            for place in 0..n {
                let at = order.at(place);
                if at < shape[0] {
                    matrix.row(place, &mut row);
                    assert_eq!(row, wanted[at * k..(at + 1) * k], "{name} {theirs} row {at}");
                }
            }
        }
        let expected: &[&str] = if name == "llama-q8_0" { &["q8_0"] } else { &["q4_k", "q6_k"] };
        assert_eq!(types.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn a_gguf_files_metadata_are_a_configuration() {
    use crate::decoder::{Family, RopeScaling};

    let open = |name: &str| {
        Checkpoint::open_with(&goldens().join("gguf").join(name), &stored())
            .unwrap()
            .config()
            .unwrap()
            .clone()
    };
    let llama = open("llama-f32");
    assert_eq!((llama.family, llama.tied, llama.qk_norm), (Family::Llama, false, false));
    assert_eq!((llama.vocab, llama.rope.scaling), (384, RopeScaling::None));
    assert!(!llama.bias.qkv && !llama.rope.interleaved);
    let scaled = open("llama-q4_k-q6_k");
    let llama3 = RopeScaling::Llama3 { factor: 8.0, low: 1.0, high: 4.0, original: 32.0 };
    assert_eq!((scaled.rope.scaling, scaled.rope.theta), (llama3, 500_000.0));
    assert_eq!((scaled.hidden, scaled.kv_heads, scaled.layers), (256, 1, 1));
    let qwen = open("qwen2-f16");
    assert_eq!((qwen.family, qwen.tied, qwen.bias.qkv, qwen.bias.mlp), (Family::Qwen2, true, true, false));
}

#[test]
fn rows_are_turned_back_from_llama_cpps_order() {
    let gguf = Checkpoint::open_with(&goldens().join("gguf/llama-f32"), &stored()).unwrap();
    let mut config = gguf.config().unwrap().clone();
    config.head_dim = 6;
    config.heads = 2;
    let Order::Picked(rows) = names::order(Architecture::Llama, "a.q_proj.weight", &config, 12) else {
        panic!()
    };
    // The file holds a head's halves in turns: 0 3 1 4 2 5.
    assert_eq!(rows, [0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11]);
    assert!(matches!(names::order(Architecture::Qwen2, "a.q_proj.weight", &config, 12), Order::All));
    config.head_dim = 1;
    let Order::Picked(rows) = names::order(Architecture::GptNeoX, "a.query_key_value.bias", &config, 6)
    else {
        panic!()
    };
    // The file holds q0 q1 k0 k1 v0 v1; Hugging Face wants q0 k0 v0 q1 k1 v1.
    assert_eq!(rows, [0, 2, 4, 1, 3, 5]);
}

#[test]
fn names_are_translated_both_ways() {
    for (architecture, ours, theirs) in [
        (Architecture::Llama, "model.layers.11.self_attn.q_proj.weight", "blk.11.attn_q.weight"),
        (Architecture::Qwen2, "model.layers.0.self_attn.k_proj.bias", "blk.0.attn_k.bias"),
        (Architecture::Qwen3, "model.layers.3.self_attn.k_norm.weight", "blk.3.attn_k_norm.weight"),
        (Architecture::GptNeoX, "gpt_neox.layers.1.attention.query_key_value.bias", "blk.1.attn_qkv.bias"),
        (Architecture::Llama, "lm_head.weight", "output.weight"),
        (Architecture::GptNeoX, "gpt_neox.final_layer_norm.bias", "output_norm.bias"),
    ] {
        assert_eq!(names::gguf_name(architecture, ours).as_deref(), Some(theirs));
        assert_eq!(names::hugging_face_name(architecture, theirs).as_deref(), Some(ours));
    }
    assert_eq!(names::hugging_face_name(Architecture::Llama, "rope_freqs.weight"), None);
    assert_eq!(names::gguf_name(Architecture::Llama, "model.layers.0.mlp.router.weight"), None);
}

#[test]
fn quantised_matrices_lie_near_the_stored_ones() {
    let made = Made::new(256);
    let exact = made.open(Quantize::None);
    let name = "model.layers.0.self_attn.q_proj.weight";
    let wanted = rows(&exact.matrix(name, 256, 256).unwrap());
    for (quantize, dtype, most) in [(Quantize::Q8_0, Dtype::Q8_0, 0.01), (Quantize::Q4K, Dtype::Q4K, 0.12)] {
        let checkpoint = made.open(quantize);
        let matrix = checkpoint.matrix(name, 256, 256).unwrap();
        assert_eq!(matrix.dtype(), dtype);
        let error: f32 = rows(&matrix).iter().zip(&wanted).map(|(one, other)| (one - other).powi(2)).sum();
        let size: f32 = wanted.iter().map(|number| number.powi(2)).sum();
        let relative = (error / size).sqrt();
        assert!(relative > 0.0 && relative < most, "{quantize}: {relative}");
        assert!(checkpoint.bytes_needed() < exact.bytes_needed());
    }
    let four = made.open(Quantize::Q4K);
    assert_eq!(four.matrix("lm_head.weight", 64, 256).unwrap().dtype(), Dtype::Q6K, "as llama.cpp's Q4_K_M");
    assert_eq!(four.matrix("model.embed_tokens.weight", 64, 256).unwrap().dtype(), Dtype::Q4K);
}

#[test]
fn rows_that_no_block_divides_are_held_in_the_next_type_and_told() {
    let eight = Made::new(96).open(Quantize::Q4K);
    let matrix = eight.matrix("model.layers.0.self_attn.q_proj.weight", 96, 96).unwrap();
    assert_eq!(matrix.dtype(), Dtype::Q8_0);
    assert!(
        eight.notes()[0].starts_with("7 matrices are held in q8_0: their rows of 96"),
        "{:?}",
        eight.notes()
    );
    let dense = Made::new(40).open(Quantize::Q8_0);
    assert_eq!(dense.matrix("lm_head.weight", 64, 40).unwrap().dtype(), Dtype::F32);
    assert!(
        dense.notes()[0].starts_with("7 matrices are held in f32: their rows of 40"),
        "{:?}",
        dense.notes()
    );
    assert!(Made::new(256).open(Quantize::Q8_0).notes().is_empty());
}

#[test]
fn memory_decides_what_auto_does() {
    let made = Made::new(256);
    let dense = made.open(Quantize::None).bytes_needed();
    let open = |available| {
        let options = Options { available, ..Options::default() };
        Checkpoint::open_with(made.write(), &options).unwrap()
    };
    assert_eq!(open(Some(2 * dense)).precision, Precision::Stored);
    assert_eq!(open(None).precision, Precision::Stored);
    let eight = open(Some(dense));
    assert_eq!(eight.precision, Precision::Q8_0);
    assert!(eight.notes()[0].contains("quantised to q8_0"), "{:?}", eight.notes());
    assert_eq!(open(Some(dense / 10)).precision, Precision::Q4K);
}

#[test]
fn parts_of_a_matrix_are_its_rows() {
    let checkpoint = Made::new(64).open(Quantize::None);
    let name = "model.layers.0.self_attn.o_proj.weight";
    let all = rows(&checkpoint.matrix(name, 64, 64).unwrap());
    let part = checkpoint.matrix_rows(name, 64, 64, &[60..62, 3..4]).unwrap();
    assert_eq!(rows(&part), [&all[60 * 64..62 * 64], &all[3 * 64..4 * 64]].concat());
    let error = checkpoint.matrix_rows(name, 64, 64, &[0..1, 63..65]).unwrap_err();
    assert!(error.to_string().ends_with("has no row 64 of 64"), "{error}");
    let vector = checkpoint.vector("model.norm.weight", 64).unwrap();
    assert_eq!(
        checkpoint.vector_rows("model.norm.weight", 64, &[5..7, 1..2]).unwrap(),
        [vector[5], vector[6], vector[1]]
    );
}

#[test]
fn of_tied_matrices_either_name_does() {
    let mut made = Made::new(64);
    made.config["tie_word_embeddings"] = true.into();
    made.tensors.remove("model.embed_tokens.weight");
    let checkpoint = made.open(Quantize::None);
    assert!(checkpoint.has("model.embed_tokens.weight"));
    let one = rows(&checkpoint.matrix("model.embed_tokens.weight", 64, 64).unwrap());
    assert_eq!(one, rows(&checkpoint.matrix("lm_head.weight", 64, 64).unwrap()));
}

#[test]
fn a_copy_holds_what_quantising_gives() {
    let cache = tempfile::tempdir().unwrap();
    let options =
        |quantize| Options { quantize, cache: Some(cache.path().join("deep")), ..Options::default() };
    let packed = goldens().join("gptq");
    for (folder, quantize, name, n, k) in [
        (goldens().join("llama"), Quantize::Q8_0, "model.layers.0.mlp.up_proj.weight", 96, 64),
        (packed, Quantize::Q8_0, "model.layers.0.mlp.up_proj.weight", 96, 64),
    ] {
        let plain = Checkpoint::open_with(&folder, &Options { quantize, ..Options::default() }).unwrap();
        let first = Checkpoint::open_with(&folder, &options(quantize)).unwrap();
        assert!(matches!(first.source, Source::Gguf(_, Architecture::Own)));
        let written = fs::metadata(&first.path).unwrap().modified().unwrap();
        let second = Checkpoint::open_with(&folder, &options(quantize)).unwrap();
        assert_eq!(
            fs::metadata(&second.path).unwrap().modified().unwrap(),
            written,
            "it isn't written again"
        );
        let wanted = plain.matrix(name, n, k).unwrap();
        let found = second.matrix(name, n, k).unwrap();
        assert_eq!((found.dtype(), rows(&found)), (wanted.dtype(), rows(&wanted)));
        assert_eq!(second.model(), plain.model());
        assert_eq!(second.bytes_needed(), plain.bytes_needed());
        assert_eq!(second.fingerprint().unwrap(), plain.fingerprint().unwrap());
        assert_eq!(second.tokenizer().unwrap().hash(), plain.tokenizer().unwrap().hash());
        assert_eq!(
            second.vector("model.norm.weight", 64).unwrap(),
            plain.vector("model.norm.weight", 64).unwrap()
        );
        let named = Checkpoint::open_with(&second.path, &Options::default()).unwrap();
        assert_eq!(rows(&named.matrix(name, n, k).unwrap()), rows(&wanted), "it opens as any GGUF file");
    }
    let left: Vec<_> =
        fs::read_dir(cache.path().join("deep")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.iter().all(|path| path.extension().is_some_and(|ending| ending != "part")), "{left:?}");
}

#[test]
fn a_copy_that_cannot_be_written_is_done_without() {
    let folder = tempfile::tempdir().unwrap();
    let blocked = folder.path().join("a file");
    fs::write(&blocked, "").unwrap();
    let options = Options { quantize: Quantize::Q8_0, cache: Some(blocked), ..Options::default() };
    let checkpoint = Checkpoint::open_with(&goldens().join("llama"), &options).unwrap();
    assert!(matches!(checkpoint.source, Source::Folder));
    assert!(
        checkpoint.notes()[0].starts_with("the quantised weights aren't kept"),
        "{:?}",
        checkpoint.notes()
    );
    checkpoint.matrix("model.layers.0.mlp.up_proj.weight", 96, 64).unwrap();
}

#[test]
fn a_fingerprint_follows_weights_configuration_and_precision() {
    let mut made = Made::new(64);
    let print = |made: &Made, quantize| made.open(quantize).fingerprint().unwrap();
    let first = print(&made, Quantize::None);
    assert_eq!((first.len(), &print(&made, Quantize::None)), (64, &first));
    assert_ne!(print(&made, Quantize::Q8_0), first);
    made.tensors.get_mut("model.norm.weight").unwrap().2[7] ^= 1;
    let second = print(&made, Quantize::None);
    assert_ne!(second, first);
    made.config["rope_theta"] = 20_000.0.into();
    assert_ne!(print(&made, Quantize::None), second);
}

#[test]
fn a_fingerprint_is_kept_until_the_files_change() {
    let cache = tempfile::tempdir().unwrap();
    let mut made = Made::new(64);
    let options = Options { cache: Some(cache.path().into()), ..stored() };
    let print =
        |made: &Made| Checkpoint::open_with(made.folder.path(), &options).unwrap().fingerprint().unwrap();
    let count = || fs::read_dir(cache.path()).unwrap().count();
    made.write();
    let first = print(&made);
    assert_eq!(count(), 0, "a file this young may change unnoticed");
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
    let age = |time| {
        let file =
            fs::File::options().write(true).open(made.folder.path().join("model.safetensors")).unwrap();
        file.set_modified(time).unwrap();
    };
    age(old);
    assert_eq!((print(&made), count()), (first.clone(), 1));
    let kept = fs::read_dir(cache.path()).unwrap().next().unwrap().unwrap().path();
    fs::write(&kept, "0".repeat(64)).unwrap();
    assert_ne!(print(&made), first, "what was kept is used");
    age(old - std::time::Duration::from_secs(1));
    assert_eq!(print(&made), first, "and not for files of another time");
    made.tensors.get_mut("model.norm.weight").unwrap().2[7] ^= 1;
    made.write();
    assert_ne!(print(&made), first);
}

#[test]
fn broken_folders_are_named_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    assert!(refused(&path.join("none")).to_string().ends_with("none can't be opened"));
    assert!(refused(path).to_string().ends_with("holds no weights"));
    fs::write(path.join("pytorch_model.bin"), "x").unwrap();
    let error = refused(path);
    assert!(error.to_string().contains("pytorch_model.bin is a pickle"), "{error}");
    assert!(error.hint().unwrap().contains("safe_serialization"));
    fs::write(path.join("notes.txt"), "x").unwrap();
    assert!(refused(&path.join("notes.txt")).to_string().ends_with("is neither a folder nor a .gguf file"));
    fs::write(path.join("a.gguf"), "x").unwrap();
    assert!(whole(&refused(path)).contains("a.gguf is a broken GGUF file: at byte 0: the file ends"));
    fs::write(path.join("b.gguf"), "x").unwrap();
    assert!(refused(path).to_string().ends_with("holds 2 GGUF files"));

    let made = Made::new(64);
    made.write();
    fs::remove_file(made.folder.path().join("config.json")).unwrap();
    assert!(refused(made.folder.path()).to_string().ends_with("config.json can't be read"));
}

#[test]
fn a_missing_shard_and_a_wrong_index_are_named() {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(goldens().join("llama-sharded")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    Checkpoint::open_with(folder.path(), &stored()).unwrap();
    let index = folder.path().join("model.safetensors.index.json");
    let text = fs::read_to_string(&index).unwrap();
    let mut json: Value = serde_json::from_str(&text).unwrap();
    let name = json["weight_map"]["lm_head.weight"].as_str().unwrap().to_owned();
    let shard = folder.path().join(&name);

    json["weight_map"]["ghost"] = name.clone().into();
    fs::write(&index, json.to_string()).unwrap();
    let error = refused(folder.path()).to_string();
    assert!(error.contains(&name) && error.contains("has no tensor `ghost`"), "{error}");
    fs::write(&index, text.replace(&name, "../elsewhere.safetensors")).unwrap();
    assert!(refused(folder.path()).to_string().contains("`../elsewhere.safetensors` is no name of a file"));
    fs::write(&index, &text).unwrap();
    fs::remove_file(&shard).unwrap();
    let error = refused(folder.path()).to_string();
    assert!(
        error.contains(&format!("{name} is missing, which model.safetensors.index.json names")),
        "{error}"
    );
}

#[test]
fn broken_tensors_are_named_with_their_file() {
    let mut made = Made::new(64);
    let checkpoint = made.open(Quantize::None);
    let error = checkpoint.matrix("model.layers.0.mlp.up_proj.weight", 64, 64).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("model.safetensors: tensor `model.layers.0.mlp.up_proj.weight` is missing")
    );
    assert_eq!(error.hint(), Some("the nearest name there is `model.layers.0.mlp.down_proj.weight`"));
    let error = checkpoint.matrix("lm_head.weight", 64, 96).unwrap_err();
    assert!(error.to_string().ends_with(
        "model.safetensors: tensor `lm_head.weight` has the shape [64, 64]; \
         loading it needs [64, 96] by the configuration"
    ));
    assert!(checkpoint.vector("lm_head.weight", 64).unwrap_err().to_string().contains("needs [64]"));

    made.tensors.insert("double".into(), (::safetensors::Dtype::F64, vec![1, 2], vec![0; 16]));
    made.tensors.insert("word".into(), (::safetensors::Dtype::I32, vec![1, 2], vec![0; 8]));
    for (number, bytes) in [("NaN", f32::NAN.to_le_bytes()), ("inf", f32::INFINITY.to_le_bytes())] {
        made.tensors.get_mut("lm_head.weight").unwrap().2[4 * 67..4 * 68].copy_from_slice(&bytes);
        made.tensors.get_mut("model.norm.weight").unwrap().2[12..16].copy_from_slice(&bytes);
        for quantize in [Quantize::None, Quantize::Q8_0] {
            let checkpoint = made.open(quantize);
            let error = checkpoint.matrix("lm_head.weight", 64, 64).unwrap_err().to_string();
            assert!(error.ends_with(&format!("tensor `lm_head.weight` holds {number} at [1, 3]")), "{error}");
            let error = checkpoint.vector("model.norm.weight", 64).unwrap_err().to_string();
            assert!(error.ends_with(&format!("holds {number} at [3]")), "{error}");
        }
    }
    let checkpoint = made.open(Quantize::None);
    for (name, stored) in [("double", "F64"), ("word", "I32")] {
        let error = checkpoint.matrix(name, 1, 2).unwrap_err().to_string();
        assert!(
            error.ends_with(&format!("tensor `{name}` is stored as {stored}, which isn't read")),
            "{error}"
        );
    }
}

#[test]
fn broken_safetensors_are_refused() {
    let made = Made::new(64);
    let path = made.write().join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let told = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        whole(&refused(made.folder.path()))
    };
    for cut in [0, 7, 8, 100, bytes.len() - 1] {
        let error = told(&bytes[..cut]);
        assert!(error.contains("model.safetensors is a broken safetensors file"), "{error}");
    }
    // Offsets that overlap, and one outside of the file.
    let header = usize::try_from(u64::from_le_bytes(bytes[..8].try_into().unwrap())).unwrap();
    let text = std::str::from_utf8(&bytes[8..8 + header]).unwrap();
    for broken in [text.replacen("[0,", "[4,", 1), text.replacen("[64,64]", "[64,65]", 1)] {
        assert_ne!(broken, text);
        let mut file = (broken.len() as u64).to_le_bytes().to_vec();
        file.extend(broken.as_bytes());
        file.extend(&bytes[8 + header..]);
        assert!(told(&file).contains("is a broken safetensors file"));
    }
}

#[test]
fn packings_that_are_not_known_are_refused_by_name() {
    let refusal = |config: Value| {
        let mut made = Made::new(64);
        made.config["quantization_config"] = config;
        whole(&refused(made.write()))
    };
    for (config, what) in [
        (
            json!({"quant_method": "bitsandbytes", "load_in_8bit": true}),
            "quantised by bitsandbytes with 8 bits, which isn't read",
        ),
        (
            json!({"quant_method": "awq", "bits": 4, "group_size": 128, "version": "gemv"}),
            "awq in the layout gemv",
        ),
        (json!({"quant_method": "gptq", "bits": 3, "group_size": 128}), "gptq with 3 bits"),
        (json!({"quant_method": "gptq", "bits": 4}), "`group_size` of quantization_config is missing"),
        (json!({"quant_method": "gptq", "bits": 4, "group_size": 0}), "group_size is 0"),
        (json!({"bits": 4}), "quantised by a method without a name"),
    ] {
        let error = refusal(config);
        assert!(error.contains(what), "{error}");
    }
}

#[test]
fn ways_to_quantise_have_names() {
    for name in ["auto", "none", "q8_0", "q4_k", "nf4"] {
        assert_eq!(name.parse::<Quantize>().unwrap().to_string(), name);
    }
    let error = "q4k".parse::<Quantize>().unwrap_err();
    assert_eq!(error.to_string(), "`q4k` is no way to quantise weights");
    assert_eq!(error.hint(), Some("did you mean `q4_k`? There are auto, none, q8_0, q4_k, nf4"));
}

#[test]
fn every_cut_of_a_gguf_file_is_an_error() {
    let path = goldens().join("gguf/llama-q8_0/model.gguf");
    let bytes = fs::read(&path).unwrap();
    Gguf::parse(&bytes, &path).unwrap();
    let cuts = (0..2000).chain((2000..bytes.len()).step_by(997)).chain([bytes.len() - 33]);
    for cut in cuts {
        assert!(Gguf::parse(&bytes[..cut], &path).is_err(), "cut to {cut} of {}", bytes.len());
    }
}

#[test]
fn empty_tensors_are_no_matrices() {
    let mut made = Made::new(64);
    made.put("nothing", &[1 << 40, 0]);
    made.put("none", &[0, 64]);
    let cache = tempfile::tempdir().unwrap();
    let checkpoint = made.open(Quantize::Q8_0);
    let error = checkpoint.matrix("nothing", 1 << 40, 0).unwrap_err().to_string();
    assert!(error.ends_with("tensor `nothing` [1099511627776, 0] is empty"), "{error}");
    let options =
        Options { quantize: Quantize::Q8_0, cache: Some(cache.path().into()), ..Options::default() };
    let copy = Checkpoint::open_with(made.folder.path(), &options).unwrap();
    assert!(matches!(copy.source, Source::Gguf(..)), "{:?}", copy.notes());
    assert!(!copy.has("nothing") && copy.has("lm_head.weight"));
}

#[test]
fn a_folder_may_hold_a_gguf_file_beside_its_configuration() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(goldens().join("gguf/llama-f32/model.gguf"), folder.path().join("model.gguf")).unwrap();
    fs::write(folder.path().join("config.json"), "{}").unwrap();
    assert!(Checkpoint::open_with(folder.path(), &stored()).unwrap().has("lm_head.weight"));
}

#[test]
fn more_layers_than_tensors_are_refused_before_they_are_counted_out() {
    let bytes = fs::read(goldens().join("gguf/llama-f32/model.gguf")).unwrap();
    let mut gguf = Gguf::parse(&bytes, Path::new("a.gguf")).unwrap();
    gguf.metadata.insert("llama.block_count".into(), gguf::Value::Whole(i128::from(u32::MAX)));
    let error = Config::from_gguf(&gguf, Architecture::Llama, None).unwrap_err().to_string();
    assert!(error.contains("a.gguf: 4294967295 layers have"), "{error}");
    gguf.metadata.insert("llama.block_count".into(), gguf::Value::Whole(1));
    let pairs = Config::from_gguf(&gguf, Architecture::Llama, None).unwrap().rope.dim / 2;
    for (factors, known) in [(vec![1.0; pairs], true), (vec![1.5; pairs], false), (vec![2.0], false)] {
        let read = Config::from_gguf(&gguf, Architecture::Llama, Some(&factors));
        assert_eq!(read.is_ok(), known, "{factors:?}");
    }
}

/// A GGUF header: keys of whole numbers, and tensors with a type and an offset.
fn gguf_bytes(keys: &[(&str, u32)], tensors: &[(&str, &[u64], u32, u64)], data: usize) -> Vec<u8> {
    let mut bytes = b"GGUF".to_vec();
    bytes.extend(3u32.to_le_bytes());
    bytes.extend((tensors.len() as u64).to_le_bytes());
    bytes.extend((keys.len() as u64).to_le_bytes());
    let text = |bytes: &mut Vec<u8>, text: &str| {
        bytes.extend((text.len() as u64).to_le_bytes());
        bytes.extend(text.as_bytes());
    };
    for (key, value) in keys {
        text(&mut bytes, key);
        bytes.extend(4u32.to_le_bytes());
        bytes.extend(value.to_le_bytes());
    }
    for (name, shape, kind, offset) in tensors {
        text(&mut bytes, name);
        bytes.extend((shape.len() as u32).to_le_bytes());
        shape.iter().for_each(|size| bytes.extend(size.to_le_bytes()));
        bytes.extend(kind.to_le_bytes());
        bytes.extend(offset.to_le_bytes());
    }
    bytes.resize(bytes.len().next_multiple_of(32) + data, 0);
    bytes
}

#[test]
fn hostile_gguf_headers_are_errors() {
    let told = |bytes: Vec<u8>| match Gguf::parse(&bytes, Path::new("a.gguf")) {
        Ok(_) => "it was read".to_owned(),
        Err(error) => whole(&error),
    };
    assert_eq!(told(gguf_bytes(&[], &[("a", &[8, 2], 0, 0), ("b", &[32], 8, 64)], 128)), "it was read");
    for (bytes, what) in [
        (gguf_bytes(&[("general.alignment", 0)], &[], 0), "the alignment is 0"),
        (gguf_bytes(&[("general.alignment", 3)], &[], 0), "the alignment is 3"),
        (gguf_bytes(&[("general.alignment", 1 << 31)], &[], 0), "the alignment is 2147483648"),
        (
            gguf_bytes(&[], &[("a", &[8, 3], 0, 0)], 64),
            "tensor `a` [3, 8] F32 at offset 0 doesn't lie within",
        ),
        (gguf_bytes(&[], &[("a", &[8], 0, u64::MAX - 31)], 64), "doesn't lie within"),
        (gguf_bytes(&[], &[("a", &[8], 0, 4)], 64), "at offset 4 doesn't lie within"),
        (gguf_bytes(&[], &[("a", &[u64::MAX, u64::MAX], 0, 0)], 64), "doesn't lie within"),
        (gguf_bytes(&[], &[("a", &[33], 8, 0)], 64), "tensor `a` [33] Q8_0"),
        (gguf_bytes(&[], &[("a", &[1; 5], 0, 0)], 64), "tensor `a` has 5 dimensions"),
        (gguf_bytes(&[], &[("a", &[8], 0, 0), ("a", &[8], 0, 32)], 64), "tensor `a` is there twice"),
        (gguf_bytes(&[], &[("a", &[16], 0, 0), ("b", &[8], 0, 32)], 64), "tensors `a` and `b` overlap"),
    ] {
        let error = told(bytes);
        assert!(error.contains(what), "{error} should say {what}");
    }
    let mut bytes = gguf_bytes(&[], &[], 0);
    bytes[8..16].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(told(bytes).contains("tensors don't fit into"));
    let mut bytes = gguf_bytes(&[], &[], 0);
    bytes[4..8].copy_from_slice(&3u32.to_be_bytes());
    assert!(told(bytes).contains("it is big-endian"));
    let unread = gguf_bytes(&[], &[("a", &[256], 23, 0)], 0);
    let gguf = Gguf::parse(&unread, Path::new("a.gguf")).unwrap();
    assert_eq!(gguf.tensors["a"].stored, Stored::Other("IQ4_XS".into()), "only an error if it is asked for");
}

#[test]
fn unknown_architectures_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.gguf");
    fs::write(&path, gguf_bytes(&[], &[], 0)).unwrap();
    let error = refused(&path);
    assert!(error.to_string().ends_with("a.gguf: the architecture `` isn't known"), "{error}");
    assert_eq!(error.hint(), Some("of GGUF files llama, qwen2, qwen3, gptneox, instil are read"));
}

proptest! {
    #[test]
    fn damaged_gguf_files_never_end_the_program(
        damage in prop::collection::vec((0usize..4000, any::<u8>()), 1..6),
        word in prop::option::of((0usize..3990, prop::sample::select(vec![u64::MAX, 1 << 62, 1 << 32, 0]))),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.gguf");
        let mut bytes = fs::read(goldens().join("gguf/llama-q8_0/model.gguf")).unwrap();
        for (at, byte) in damage {
            bytes[at] = byte;
        }
        if let Some((at, word)) = word {
            bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
        }
        fs::write(&path, &bytes).unwrap();
        if let Ok(checkpoint) = Checkpoint::open_with(&path, &stored()) {
            for (name, tensor) in &checkpoint.tensors {
                match tensor.shape[..] {
                    [n, k] => drop(checkpoint.matrix(name, n, k)),
                    [len] => drop(checkpoint.vector(name, len)),
                    _ => {}
                }
            }
            drop(checkpoint.tokenizer());
        }
    }

    #[test]
    fn damaged_safetensors_never_end_the_program(damage in prop::collection::vec((0usize..1200, any::<u8>()), 1..6)) {
        let made = Made::new(64);
        let path = made.write().join("model.safetensors");
        let mut bytes = fs::read(&path).unwrap();
        for (at, byte) in damage {
            bytes[at] = byte;
        }
        fs::write(&path, &bytes).unwrap();
        if let Ok(checkpoint) = Checkpoint::open_with(made.folder.path(), &Options::default()) {
            for (name, tensor) in &checkpoint.tensors {
                if let [n, k] = tensor.shape[..] {
                    drop(checkpoint.matrix(name, n, k));
                }
            }
        }
    }
}
