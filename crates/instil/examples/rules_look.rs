//! Shows drafts of the rules to read: `cargo run -p instil --example rules_look -- FILE.jsonl.gz KIND COUNT SEED`.
//!
//! Without KIND it prints the share of passages of the file that each kind declines, and the passages per second.

#![allow(clippy::print_stdout, reason = "an example talks to the terminal")]

use std::io::{BufRead, BufReader};
use std::num::NonZeroUsize;
use std::time::Instant;

use instil::TaskKind;
use instil::lm::{Constraint, Input, LanguageModel, Next, Outcome, Request, Sampling};
use instil::prompt::bonito::prompt;
use instil::rules::Rules;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let path = args.first().ok_or("give the path of a jsonl.gz file with a `text` column")?;
    let kind = args.get(1).map(|name| TaskKind::parse(name)).transpose()?;
    let count: usize = args.get(2).map_or(Ok(10), |count| count.parse())?;
    let seed: u64 = args.get(3).map_or(Ok(1), |seed| seed.parse())?;
    let lines = BufReader::new(flate2::read::GzDecoder::new(std::fs::File::open(path)?)).lines();
    let mut passages = Vec::new();
    for line in lines {
        let row: serde_json::Value = serde_json::from_str(&line?)?;
        passages.push(row["text"].as_str().unwrap_or_default().trim().to_owned());
    }
    match kind {
        Some(kind) => show(kind, &passages, count, seed),
        None => measure(&passages, seed),
    }
}

fn outcomes(
    kinds: &[TaskKind],
    passages: &[String],
    seed: u64,
) -> Result<Vec<(usize, Outcome)>, Box<dyn std::error::Error>> {
    let rules = Rules::new(NonZeroUsize::MIN);
    let mut session = rules.open()?;
    let mut found = Vec::new();
    for (i, passage) in passages.iter().enumerate() {
        let request = |(k, kind): (usize, &TaskKind)| Request {
            id: (i * kinds.len() + k) as u64,
            input: Input::Prompt(prompt(*kind, passage)),
            sampling: Sampling::default(),
            seed: seed.wrapping_mul(1_000_003).wrapping_add(i as u64),
            samples: vec![0],
            constraint: Constraint::Free,
        };
        session.submit(kinds.iter().enumerate().map(request).collect());
        loop {
            match session.next()? {
                Next::Event(event) => found.push((usize::try_from(event.request)?, event.outcome)),
                Next::Waiting => {}
                Next::Idle => break,
            }
        }
    }
    Ok(found)
}

fn show(
    kind: TaskKind,
    passages: &[String],
    count: usize,
    seed: u64,
) -> Result<(), Box<dyn std::error::Error>> {
    let stride = (passages.len() / (count * 3).max(1)).max(1);
    let some: Vec<String> =
        passages.iter().skip(usize::try_from(seed)? % stride).step_by(stride).cloned().collect();
    let texts = outcomes(&[kind], &some, seed)?.into_iter().filter_map(|(i, outcome)| match outcome {
        Outcome::Text(completion) => Some((i, completion.text)),
        _ => None,
    });
    for (i, text) in texts.take(count) {
        if std::env::var_os("FULL").is_some() {
            println!("##### {}\n", some[i]);
        }
        println!("{text}\n-----");
    }
    Ok(())
}

fn measure(passages: &[String], seed: u64) -> Result<(), Box<dyn std::error::Error>> {
    let started = Instant::now();
    let kinds = Rules::kinds();
    let all = outcomes(kinds, passages, seed)?;
    let seconds = started.elapsed().as_secs_f64();
    for (k, kind) in kinds.iter().enumerate() {
        let of_kind = all.iter().filter(|(i, _)| i % kinds.len() == k);
        let declined = of_kind.filter(|(_, outcome)| *outcome == Outcome::Declined).count();
        println!("{:>14} declined {:5.1} %", kind.short(), 100.0 * declined as f64 / passages.len() as f64);
    }
    println!("{} passages, {:.0} a second", passages.len(), passages.len() as f64 / seconds);
    Ok(())
}
