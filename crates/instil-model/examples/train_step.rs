//! How long a training step takes, and how much memory: one line of JSON.
//!
//!     cargo run --release -p instil-model --example train_step -- MODEL [--lora RANK] [--batch N] [--length TOKENS]
//!         [--prompt TOKENS] [--steps N] [--threads N] [--keep] [--quantize none|q8_0|q4_k] [--save FOLDER]
//!
//! MODEL is a folder to train from, or a config.json of which a new model is made. Of `--length` tokens all
//! are learnt, or those after the first `--prompt`, which the encoder of a T5 reads. `--keep` keeps what blocks compute instead of
//! computing it again, `--save` writes the model. docs/benchmarks/train.py runs it beside torch.
#![allow(clippy::print_stdout)]

use std::path::Path;
use std::time::Instant;

use instil_model::train::{Batch, Example, Length, Lora, Method, Settings, Trainer};
use instil_model::weights::{Checkpoint, Quantize};
use serde_json::json;

/// A number of kilobytes in `/proc/self/status`, as MiB.
fn memory(key: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
    let kilobytes = line.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<f64>();
    kilobytes.unwrap_or_default() / 1024.0
}

/// Seconds of processor time that this process has had, of all its threads, to a hundredth.
fn processor() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // After the name, which may hold blanks: the state is the first, user and system time are the 12th and 13th.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    fields.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| -> Option<&str> {
        let place = arguments.iter().position(|argument| argument == name)?;
        arguments.get(place + 1).map(String::as_str)
    };
    let number = |name: &str, usual: usize| value(name).map_or(Ok(usual), str::parse);
    let path = Path::new(arguments.first().ok_or("a model is needed")?);
    let (batch, length) = (number("--batch", 2)?, number("--length", 256)?);
    let method = match value("--lora") {
        Some(rank) => Method::Lora(Lora { r: rank.parse()?, lora_alpha: 4.0, ..Lora::default() }),
        None => Method::Full,
    };
    let settings = Settings {
        method,
        length: Length::Steps(number("--steps", 6)?),
        batch: Batch::Examples(batch),
        threads: number("--threads", 2)?,
        recompute: !arguments.iter().any(|argument| argument == "--keep"),
        ..Settings::default()
    };
    let steps = number("--steps", 6)?;
    let mut trainer = if path.is_dir() {
        let quantize: Quantize = value("--quantize").unwrap_or("none").parse()?;
        Trainer::load(&Checkpoint::open(path, quantize)?, settings)?
    } else {
        Trainer::new(&serde_json::from_slice(&std::fs::read(path)?)?, settings)?
    };
    let vocab = trainer.vocab() as u64;
    // The same numbers as in train.py; a row more than is fed, as its last token is predicted.
    let tokens = |row: u64| {
        (0..=length as u64).map(move |place| ((row * 7919 + place * 104_729 + 13) % (vocab - 3) + 3) as u32)
    };
    let prompt = number("--prompt", 0)?;
    let example = |row: u64| {
        let tokens: Vec<u32> = tokens(row).collect();
        if prompt > 0 {
            Example::completion(&tokens[..prompt], &tokens[prompt..])
        } else {
            Example::text(tokens)
        }
    };
    let examples: Vec<Example> = (0..batch as u64).map(example).collect();
    let batch: Vec<&Example> = examples.iter().collect();
    let before = memory("VmHWM");
    let (mut seconds, mut busy, mut losses) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..steps {
        let (start, had) = (Instant::now(), processor());
        let (loss, _) = trainer.step(&batch, 1e-4)?;
        seconds.push(start.elapsed().as_secs_f64());
        busy.push(processor() - had);
        losses.push(loss);
    }
    if let Some(folder) = value("--save") {
        trainer.save_model(Path::new(folder), None)?;
    }
    let said = json!({
        "trained": trainer.trained(),
        "seconds": seconds,
        "processor_seconds": busy,
        "losses": losses,
        "before_mib": before,
        "peak_mib": memory("VmHWM"),
        "anonymous_mib": memory("RssAnon"),
    });
    println!("{said}");
    Ok(())
}
