//! How long a checkpoint takes to load, and what of it stays in memory.
//!
//!     cargo run --release -p instil-model --example load -- MODEL [auto|none|q8_0|q4_k] [CACHE]
#![allow(clippy::print_stdout)]

use std::path::PathBuf;
use std::time::Instant;

use instil_model::weights::{Checkpoint, Options, available_memory};

/// A number of kilobytes in `/proc/self/status`, as gigabytes.
fn memory(key: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
    let kilobytes = line.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<f64>();
    kilobytes.unwrap_or_default() * 1024.0 / 1e9
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = PathBuf::from(arguments.next().ok_or("a model is needed")?);
    let quantize = arguments.next().as_deref().unwrap_or("auto").parse()?;
    let options =
        Options { quantize, available: available_memory(), cache: arguments.next().map(PathBuf::from) };

    let start = Instant::now();
    let checkpoint = Checkpoint::open_with(&path, &options)?;
    println!(
        "opened in {:.2} s, {:.2} GB needed",
        start.elapsed().as_secs_f64(),
        checkpoint.bytes_needed() as f64 / 1e9
    );
    checkpoint.notes().iter().for_each(|note| println!("{note}"));

    let start = Instant::now();
    let (mut matrices, mut bytes) = (Vec::new(), 0);
    for (name, shape) in checkpoint.tensors() {
        if let [n, k] = *shape {
            let matrix = checkpoint.matrix(name, n, k)?;
            bytes += matrix.bytes();
            matrices.push(matrix);
        }
    }
    println!(
        "{} matrices of {:.2} GB in {:.2} s; resident {:.2} GB (anonymous {:.2}), at most {:.2} GB",
        matrices.len(),
        bytes as f64 / 1e9,
        start.elapsed().as_secs_f64(),
        memory("VmRSS"),
        memory("RssAnon"),
        memory("VmHWM"),
    );

    let start = Instant::now();
    println!("fingerprint {} in {:.2} s", checkpoint.fingerprint()?, start.elapsed().as_secs_f64());
    Ok(())
}
