//! `bench`: how fast a model runs on this machine, beside what the machine could do and beside installed peers.

mod peers;

use std::path::Path;

use instil::Result;
use instil::recipe::Generate;
use instil_model::bench::{Job, PROMPT, Speed, measure};
use instil_model::engine::{Engine, Settings};
use instil_model::kernel::limits::Limits;
use instil_model::weights::RandomLlama;
use instil_remote::hub::Transfer;
use serde_json::{Value, json};

use crate::args::BenchArgs;
use crate::progress::{Progress, catch_interrupts};
use crate::settings::{Found, Local};
use crate::tables::table;
use crate::{exit, output};
use peers::Peer;

/// What is measured, with its word and the number of texts under way.
const JOBS: [(&str, Job); 3] = [
    ("read", Job::Read { prompts: 4 }),
    ("write 1", Job::Write { texts: 1, tokens: 64 }),
    ("write 32", Job::Write { texts: 32, tokens: 64 }),
];

pub(crate) fn run(args: BenchArgs) -> Result<u8> {
    let folder = tempfile::tempdir()
        .map_err(|e| instil::Error::output("failed to make a temporary folder").because(e))?;
    let random = folder.path().join("random-125m-q8_0.gguf");
    catch_interrupts()?;
    let mut progress = Progress::start(args.quiet);
    let named = match &args.model {
        Some(model) => model.clone(),
        None => {
            RandomLlama::M125.write(&random)?;
            random.display().to_string()
        }
    };
    let step = Generate {
        model: named,
        quantize: args.quantize.clone(),
        threads: args.threads.unwrap_or(0),
        ..Generate::default()
    };
    let local = match Local::of(&step, None, &mut |transfer: &Transfer| progress.watch_transfer(transfer))? {
        Found::Weights(local) => local,
        Found::Interrupted => {
            progress.finish();
            output::talk("interrupted; nothing is measured");
            return Ok(exit::INTERRUPTED);
        }
        Found::Nothing => {
            return Err(instil::Error::usage(format!("there is no model `{}` on this machine", step.model))
                .with_hint(
                    "name a folder, a .gguf file or an id of the Hub; without --model a random one is made",
                ));
        }
    };
    progress.finish();
    // What a random model writes repeats itself, and would be guessed.
    let engine = local.load_with(|settings| Settings { speculate: false, ..settings })?;
    let said = |line: &str| {
        if !args.quiet {
            output::talk(line);
        }
    };
    engine_notes(&engine, &said);
    said("measuring the machine's limits …");
    let limits = engine.limits();
    let mut speeds = Vec::with_capacity(JOBS.len());
    for (name, job) in JOBS {
        said(&format!("measuring `{name}` …"));
        speeds.push(measure(&engine, job, &limits, args.rounds)?);
    }
    let threads = engine.threads();
    // Nothing of it may be in the way of the others.
    drop(engine);
    let mut found: Vec<Peer> = Vec::new();
    if !args.no_peers {
        let path = local.path();
        said("measuring the peers that are installed …");
        for peer in
            [peers::llama_cpp(path, threads), peers::transformers(path, args.model.is_none(), threads)]
        {
            match peer {
                Ok(peer) => found.push(peer),
                Err(why) => said(&format!("left out: {why}")),
            }
        }
    }
    let model = args.model.as_deref().unwrap_or("random Llama of 125M weights, q8_0");
    match args.json {
        true => output::data(&as_json(model, threads, &limits, &speeds, &found).to_string()),
        false => show(model, threads, &limits, &speeds, &found),
    }
    Ok(exit::DONE)
}

fn engine_notes(engine: &Engine, said: &dyn Fn(&str)) {
    use instil::lm::LanguageModel as _;
    engine.notes().iter().for_each(|note| said(note));
}

fn show(model: &str, threads: usize, limits: &Limits, speeds: &[Speed], peers: &[Peer]) {
    output::data(&format!("{model}, {threads} threads"));
    output::data(&format!(
        "this machine: {:.1} GB/s read, {:.0} billion multiply-adds of f32 a second, {:.0} of bf16, {:.0} of 8-bit integers",
        limits.bytes / 1e9,
        limits.f32 / 1e9,
        limits.bf16 / 1e9,
        limits.i8 / 1e9
    ));
    let mut header = vec!["", "tokens/s", "of the limit"];
    header.extend(peers.iter().map(|peer| peer.name.as_str()));
    let mut table = table(&header);
    for (number, ((name, _), speed)) in JOBS.iter().zip(speeds).enumerate() {
        let of_peer = |peer: &Peer| match peer.tokens[number] {
            Some(tokens) => format!("{tokens:.1} ({:.2} x)", speed.tokens / tokens),
            None => String::new(),
        };
        let cells =
            [(*name).to_owned(), format!("{:.1}", speed.tokens), format!("{:.0} %", 100.0 * speed.share)];
        table.add_row(cells.into_iter().chain(peers.iter().map(of_peer)));
    }
    output::data(&table.trim_fmt());
    output::data(&format!(
        "read: prompts of {PROMPT} tokens; write: 64 tokens each, one text or 32 at a time; (n x): instil's speed to the peer's"
    ));
}

fn as_json(model: &str, threads: usize, limits: &Limits, speeds: &[Speed], peers: &[Peer]) -> Value {
    let jobs = JOBS.iter().zip(speeds).enumerate().map(|(number, ((name, _), speed))| {
        let of = |peer: &Peer| Some(json!({"name": peer.name, "tokens_per_second": peer.tokens[number]?}));
        json!({
            "job": name, "tokens_per_second": speed.tokens, "share_of_limit": speed.share,
            "peers": peers.iter().filter_map(of).collect::<Vec<_>>(),
        })
    });
    json!({
        "model": model, "threads": threads,
        "limits": {
            "bytes_per_second": limits.bytes, "f32_multiply_adds_per_second": limits.f32,
            "bf16_multiply_adds_per_second": limits.bf16, "i8_multiply_adds_per_second": limits.i8,
        },
        "jobs": jobs.collect::<Vec<_>>(),
    })
}

/// Whether a path is a GGUF file's.
fn is_gguf(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "gguf")
}
