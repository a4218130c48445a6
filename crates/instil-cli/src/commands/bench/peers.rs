//! Peers that are installed: llama.cpp's `llama-bench`, and transformers of whichever Python there is.

use std::path::{Path, PathBuf};
use std::process::Command;

use instil_model::weights::RandomLlama;
use serde_json::Value;

use super::{JOBS, is_gguf};
use crate::env;

/// How fast a peer does each of [`JOBS`], as far as it can.
pub(super) struct Peer {
    pub(super) name: String,
    pub(super) tokens: [Option<f64>; JOBS.len()],
}

/// llama.cpp's own benchmark; or why there is none. It measures one text at a time.
pub(super) fn llama_cpp(model: &Path, threads: usize) -> Result<Peer, String> {
    if !is_gguf(model) {
        return Err("llama.cpp reads GGUF files, and the model is none".to_owned());
    }
    let program = match env::get(env::LLAMA_BENCH) {
        Some(named) => PathBuf::from(named),
        None => on_path(&["llama-bench"])
            .ok_or_else(|| format!("llama.cpp: no `llama-bench` on the PATH, and no {}", env::LLAMA_BENCH))?,
    };
    let threads = threads.to_string();
    let said = said(
        Command::new(&program)
            .arg("-m")
            .arg(model)
            .args(["-p", "512", "-n", "64", "-r", "3", "-o", "json", "-t", &threads]),
        &program,
    )?;
    let tokens = of_llama_bench(&said)
        .map_err(|e| format!("`{}` says something else than JSON: {e}", program.display()))?;
    Ok(Peer { name: "llama.cpp".to_owned(), tokens })
}

/// Tokens a second of what `llama-bench -o json` prints: a prompt of 512 tokens, then 64 tokens of one text.
fn of_llama_bench(said: &str) -> serde_json::Result<[Option<f64>; JOBS.len()]> {
    let tests: Vec<Value> = serde_json::from_str(said[said.find('[').unwrap_or(0)..].trim())?;
    let of = |prompt: u64, new: u64| {
        let is_it = |test: &&Value| test["n_prompt"] == prompt && test["n_gen"] == new;
        tests.iter().find(is_it)?["avg_ts"].as_f64()
    };
    Ok([of(512, 0), of(0, 64), None])
}

/// transformers with the same weights, or with as many where the model is a random one; or why there is none.
pub(super) fn transformers(model: &Path, is_random: bool, threads: usize) -> Result<Peer, String> {
    let program =
        on_path(&["python3", "python"]).ok_or_else(|| "transformers: no Python on the PATH".to_owned())?;
    let shape = RandomLlama::M125;
    let model = match (is_random, is_gguf(model)) {
        (true, _) => serde_json::json!({
            "vocab_size": shape.vocab, "hidden_size": shape.hidden, "intermediate_size": shape.intermediate,
            "num_hidden_layers": shape.layers, "num_attention_heads": shape.heads,
            "num_key_value_heads": shape.kv_heads, "max_position_embeddings": shape.positions,
        })
        .to_string(),
        (false, true) => return Err("transformers: a GGUF file isn't given to it".to_owned()),
        (false, false) => model.display().to_string(),
    };
    let said = said(
        Command::new(&program)
            .args(["-c", include_str!("transformers.py"), &model, &threads.to_string()])
            .env("HF_HUB_OFFLINE", "1"),
        &program,
    )?;
    let line = said.lines().rfind(|line| line.starts_with('{')).unwrap_or_default();
    let found: Value = serde_json::from_str(line).map_err(|e| format!("transformers: {e}"))?;
    let name = format!("transformers {}", found["dtype"].as_str().unwrap_or_default());
    Ok(Peer { name, tokens: ["read", "one", "many"].map(|key| found[key].as_f64()) })
}

/// What a program prints, or how it ended.
fn said(command: &mut Command, program: &Path) -> Result<String, String> {
    let output = command.output().map_err(|e| format!("`{}`: {e}", program.display()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let talk = String::from_utf8_lossy(&output.stderr);
    let last = talk.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no word of why");
    Err(format!("`{}`: {last}", program.display()))
}

/// The first of these programs that a folder of the PATH has.
fn on_path(names: &[&str]) -> Option<PathBuf> {
    let path = env::get(env::PATH)?;
    let ending = std::env::consts::EXE_SUFFIX;
    let of = |name: &&str| {
        std::env::split_paths(&path)
            .map(|folder| folder.join(format!("{name}{ending}")))
            .find(|p| p.is_file())
    };
    names.iter().find_map(of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn llama_bench_is_read() {
        let said = r#"ggml: loaded
            [{"n_prompt": 512, "n_gen": 0, "avg_ts": 1390.5}, {"n_prompt": 0, "n_gen": 64, "avg_ts": 270.0}]"#;
        assert_eq!(of_llama_bench(said).unwrap(), [Some(1390.5), Some(270.0), None]);
        assert!(of_llama_bench("no model").is_err());
    }
}
