//! The direction rule: the library knows no tensor, no socket and no terminal.

use std::process::Command;

#[test]
fn the_library_builds_without_tensors_sockets_and_terminals() {
    let tree = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--package",
            "instil",
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--offline",
            "--locked",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let tree = String::from_utf8(tree.stdout).expect("cargo prints UTF-8");
    assert!(tree.starts_with("instil v"), "{tree}");
    for forbidden in ["candle", "ureq", "rustls", "tokio", "axum", "clap", "indicatif", "pyo3", "instil-"] {
        let found: Vec<&str> = tree.lines().filter(|line| line.starts_with(forbidden)).collect();
        assert!(found.is_empty(), "{found:?}");
    }
}
