use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

fn small() -> Adapter {
    let numbers = |count: usize| (0..count).map(|i| (i as f32 - 3.0) / 8.0).collect::<Vec<_>>();
    let mut adapter = Adapter::new(2, 16.0, TargetModules::Names(vec!["q_proj".into(), "down_proj".into()]));
    adapter.base_model_name_or_path = Some("owner/base".into());
    for (name, n, k, r) in
        [("model.layers.0.self_attn.q_proj", 4, 3, 2), ("model.layers.1.mlp.down_proj", 3, 5, 1)]
    {
        adapter.modules.insert(name.into(), LowRank { r, k, n, a: numbers(r * k), b: numbers(n * r) });
    }
    adapter.rank_pattern.insert("down_proj".into(), 1);
    adapter.alpha_pattern.insert(r"layers\.1\..*".into(), 0.5);
    adapter
}

/// A folder with the small adapter, whose configuration was changed so.
fn changed(key: &str, value: Value) -> TempDir {
    let folder = TempDir::new().unwrap();
    small().write(folder.path()).unwrap();
    let path = folder.path().join("adapter_config.json");
    let mut json: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    json[key] = value;
    fs::write(path, json.to_string()).unwrap();
    folder
}

/// The error with its causes and its hint.
fn said<T: std::fmt::Debug>(result: Result<T>) -> String {
    let error = result.unwrap_err();
    let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    format!("{error}: {cause} ({})", error.hint().unwrap_or_default())
}

#[test]
fn what_is_written_is_read_again() {
    let folder = TempDir::new().unwrap();
    small().write(folder.path()).unwrap();
    assert_eq!(Adapter::read(folder.path()).unwrap(), small());
    let names: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "nothing else is left there: {names:?}");
}

#[test]
fn scalings_are_those_of_peft() {
    let mut adapter = small();
    assert_eq!(adapter.scaling("model.layers.0.self_attn.q_proj").unwrap(), 8.0);
    assert_eq!(adapter.scaling("model.layers.1.mlp.down_proj").unwrap(), 0.5);
    adapter.use_rslora = true;
    assert_eq!(adapter.scaling("model.layers.0.self_attn.q_proj").unwrap(), (16.0 / 2f64.sqrt()) as f32);
    assert_eq!(adapter.rank_of("model.layers.9.mlp.down_proj").unwrap(), 1);
    assert_eq!(adapter.rank_of("model.layers.9.mlp.up_proj").unwrap(), 2);
}

#[test]
fn target_modules_in_three_ways() {
    let (q, head) = ("model.layers.0.self_attn.q_proj", "lm_head");
    let names = TargetModules::parse("q_proj, v_proj");
    assert_eq!(names, TargetModules::Names(vec!["q_proj".into(), "v_proj".into()]));
    assert!(names.matches(q, false).unwrap());
    assert!(!TargetModules::parse("proj").matches(q, false).unwrap(), "a name ends a module's at a dot");
    let pattern = TargetModules::parse(r".*\.(q|k)_proj");
    assert!(pattern.matches(q, false).unwrap() && !pattern.matches("x.q_proj.y", false).unwrap());
    assert!(TargetModules::AllLinear.matches(q, false).unwrap());
    assert!(!TargetModules::AllLinear.matches(head, true).unwrap());
    let broken = TargetModules::Pattern("(".into());
    assert!(said(broken.matches(q, false)).contains("`(` isn't understood"));
    for targets in [json!("all-linear"), json!(".*q_proj"), json!(["q_proj"])] {
        let folder = changed("target_modules", targets.clone());
        let read = Adapter::read(folder.path()).unwrap();
        assert_eq!(config::json(&read)["target_modules"], targets);
    }
}

#[test]
fn what_is_not_done_is_refused_by_name() {
    for (key, value, word) in [
        ("peft_type", json!("IA3"), "IA3"),
        ("use_dora", json!(true), "DoRA"),
        ("modules_to_save", json!(["lm_head"]), "modules_to_save"),
        ("bias", json!("lora_only"), "lora_only"),
        ("lora_bias", json!(true), "lora_bias"),
        ("init_lora_weights", json!("pissa_niter_16"), "pissa"),
        ("layer_replication", json!([[0, 2]]), "layer_replication"),
        ("r", json!(0), "`r` is 0"),
        ("r", json!("eight"), "`r` is \"eight\""),
        ("rank_pattern", json!({"q_proj": -1}), "rank_pattern"),
        ("target_modules", Value::Null, "`target_modules` is missing"),
        ("layers_to_transform", json!("all"), "layers_to_transform"),
    ] {
        let folder = changed(key, value);
        let said = said(Adapter::read(folder.path()));
        assert!(said.contains(word), "{key}: {said}");
    }
    for (key, value) in [
        ("modules_to_save", json!([])),
        ("init_lora_weights", json!("gaussian")),
        ("fan_in_fan_out", json!(true)),
        ("layers_to_transform", json!(1)),
        ("loftq_config", json!({})),
    ] {
        Adapter::read(changed(key, value).path()).unwrap();
    }
}

#[test]
fn a_broken_folder_says_which_file_and_what() {
    let folder = TempDir::new().unwrap();
    assert!(said(Adapter::read(&folder.path().join("absent"))).contains("no folder with an adapter"));
    assert!(said(Adapter::read(folder.path())).contains("adapter_config.json can't be read"));
    fs::write(folder.path().join("config.json"), "{}").unwrap();
    assert!(said(Adapter::read(folder.path())).contains("a whole model"));
    small().write(folder.path()).unwrap();
    let weights = folder.path().join("adapter_model.safetensors");
    let whole = fs::read(&weights).unwrap();
    fs::write(&weights, &whole[..whole.len() - 4]).unwrap();
    assert!(said(Adapter::read(folder.path())).contains("broken safetensors"));
    fs::remove_file(&weights).unwrap();
    assert!(said(Adapter::read(folder.path())).contains("is missing"));
    fs::write(folder.path().join("adapter_model.bin"), "PK").unwrap();
    let said = said(Adapter::read(folder.path()));
    assert!(said.contains("pickle") && said.contains("save_pretrained"), "{said}");
}

/// A file with these f32 tensors.
fn tensors(folder: &Path, tensors: &[(&str, &[usize], Vec<f32>)]) {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, _, numbers)| numbers.iter().flat_map(|n| n.to_le_bytes()).collect())
        .collect();
    let views = tensors.iter().zip(&bytes).map(|((name, shape, _), bytes)| {
        let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.to_vec(), bytes);
        (*name, view.unwrap())
    });
    fs::write(folder.join("adapter_model.safetensors"), safetensors::serialize(views, None).unwrap())
        .unwrap();
}

#[test]
fn tensors_by_any_of_their_names() {
    let folder = TempDir::new().unwrap();
    small().write(folder.path()).unwrap();
    tensors(
        folder.path(),
        &[
            ("base_model.model.layers.0.q.lora_A.weight", &[1, 2], vec![1.0, 2.0]),
            ("base_model.model.layers.0.q.lora_B.weight", &[2, 1], vec![3.0, 4.0]),
            ("model.layers.1.q.lora_A.default.weight", &[1, 2], vec![1.0, 2.0]),
            ("model.layers.1.q.lora_B.default.weight", &[2, 1], vec![3.0, 4.0]),
        ],
    );
    let adapter = Adapter::read(folder.path()).unwrap();
    assert_eq!(adapter.modules.keys().collect::<Vec<_>>(), ["layers.0.q", "model.layers.1.q"]);
    // The first is of the model without its head.
    let linears = ["model.layers.0.q", "model.layers.1.q"].map(|name| (name.to_owned(), (2, 2))).into();
    let fitted = adapter.fitted(&linears).unwrap();
    assert_eq!(fitted.modules.keys().collect::<Vec<_>>(), ["model.layers.0.q", "model.layers.1.q"]);
}

#[test]
fn tensors_that_are_no_adapter() {
    let folder = TempDir::new().unwrap();
    small().write(folder.path()).unwrap();
    let a = ("base_model.model.m.lora_A.weight", &[1usize, 2][..], vec![1.0, 2.0]);
    let b = |shape: &'static [usize], numbers| ("base_model.model.m.lora_B.weight", shape, numbers);
    for (content, word) in [
        (vec![], "holds no tensors"),
        (vec![a.clone()], "only one of lora_A and lora_B"),
        (vec![a.clone(), b(&[2, 2], vec![0.0; 4])], "don't fit each other"),
        (vec![a.clone(), b(&[2], vec![0.0; 2])], "is no matrix"),
        (vec![a.clone(), b(&[2, 1], vec![1.0, f32::NAN])], "holds NaN at [1, 0]"),
        (vec![("base_model.model.m.lora_embedding_A", &[1, 2], vec![0.0; 2])], "adapted embeddings"),
        (vec![("base_model.model.m.weight", &[1, 2], vec![0.0; 2])], "neither lora_A nor lora_B"),
    ] {
        tensors(folder.path(), &content);
        let said = said(Adapter::read(folder.path()));
        assert!(said.contains(word), "{word}: {said}");
    }
}

#[test]
fn what_does_not_fit_the_base_is_named_with_both_shapes() {
    let linears = |n, k| {
        BTreeMap::from([
            ("model.layers.0.self_attn.q_proj".to_owned(), (n, k)),
            ("model.layers.1.mlp.down_proj".to_owned(), (3, 5)),
        ])
    };
    small().fitted(&linears(4, 3)).unwrap();
    let wide = said(small().fitted(&linears(4, 7)));
    assert!(wide.contains("q_proj.lora_A.weight` has the shape [2, 3]"), "{wide}");
    assert!(wide.contains("[4, 7] needs [2, 7]") && wide.contains("owner/base"), "{wide}");
    assert!(said(small().fitted(&linears(5, 3))).contains("lora_B.weight` has the shape [4, 2]"));
    let other = BTreeMap::from([("transformer.h.0.attn.q_proj".to_owned(), (4, 3))]);
    assert!(said(small().fitted(&other)).contains("no linear layer of the base model"));
}

#[test]
fn the_fingerprint_depends_on_what_is_added_only() {
    let known = small().fingerprint().unwrap();
    let mut same = small();
    (same.lora_dropout, same.base_model_name_or_path) = (0.1, None);
    assert_eq!(same.fingerprint().unwrap(), known);
    let mut other = small();
    other.lora_alpha = 17.0;
    assert_ne!(other.fingerprint().unwrap(), known);
    let mut other = small();
    other.modules.values_mut().next().unwrap().b[0] += 1.0;
    assert_ne!(other.fingerprint().unwrap(), known);
}
