//! Lifting the rendered P3 pairs of `../shared`, template by template.
//!
//! `LIFT_ONLY=wiki` reads only the files whose name holds it; `LIFT_SHOW=2` prints the rows of the first two
//! pairs of each template.

#![allow(clippy::print_stdout, reason = "the table is what the test is for")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::{Duration, Instant};

use instil::template::engine::Options;
use instil::template::lift::{LiftFault, Lifter};
use instil::template::{Collection, Template};

const SHARED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared");

#[derive(Default)]
struct Tally {
    pairs: usize,
    whole: usize,
    with_losses: usize,
    ambiguous: usize,
    agreed: usize,
    faults: BTreeMap<&'static str, usize>,
    example: Option<String>,
    spent: Duration,
    slowest: Duration,
}

impl Tally {
    fn lifted(&self) -> usize {
        self.whole + self.with_losses
    }

    fn add(&mut self, other: &Self) {
        self.pairs += other.pairs;
        self.whole += other.whole;
        self.with_losses += other.with_losses;
        self.ambiguous += other.ambiguous;
        self.agreed += other.agreed;
        for (fault, count) in &other.faults {
            *self.faults.entry(fault).or_default() += count;
        }
        self.spent += other.spent;
        self.slowest = self.slowest.max(other.slowest);
    }
}

/// Lifts every `nth` pair of each template and counts what comes of it.
fn survey(nth: usize) -> Option<BTreeMap<(String, String), Tally>> {
    let samples = Path::new(SHARED).join("data/p3_t0_samples");
    let templates = Path::new(SHARED).join("data/promptsource/templates");
    if !samples.is_dir() || !templates.is_dir() {
        println!("skipped: {} is not there", samples.display());
        return None;
    }
    let only = std::env::var("LIFT_ONLY").unwrap_or_default();
    let show: usize = std::env::var("LIFT_SHOW").map_or(0, |n| n.parse().unwrap());
    let mut files: Vec<_> = std::fs::read_dir(samples)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "gz"))
        .filter(|path| path.to_string_lossy().contains(&only))
        .collect();
    files.sort();
    let mut collections: BTreeMap<String, Collection> = BTreeMap::new();
    let mut lifters: BTreeMap<(String, String), Result<Lifter, String>> = BTreeMap::new();
    let mut seen: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut tallies: BTreeMap<(String, String), Tally> = BTreeMap::new();
    for file in files {
        let lines = BufReader::new(flate2::read::MultiGzDecoder::new(File::open(file).unwrap()));
        for line in lines.lines() {
            let record: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
            let word = |key: &str| record[key].as_str().unwrap().to_owned();
            let key = (word("dataset"), word("template"));
            let number = seen.entry(key.clone()).or_default();
            *number += 1;
            if !(*number - 1).is_multiple_of(nth) {
                continue;
            }
            let collection = collections.entry(key.0.clone()).or_insert_with(|| {
                let of_dataset = templates.join(&key.0).join("templates.yaml");
                Collection::read(&of_dataset).unwrap()
            });
            let lifter = lifters.entry(key.clone()).or_insert_with(|| {
                let template: &Template = collection.template(&key.0, &key.1).unwrap();
                let lifter = Lifter::new(template, Options { truncate: true }).map_err(|e| e.to_string());
                lifter.map(|lifter| lifter.beside(collection.dataset(&key.0).unwrap()))
            });
            let (prompt, completion) = (word("prompt"), word("completion"));
            let completion = completion.strip_suffix("<|endoftext|>").unwrap();
            let tally = tallies.entry(key).or_default();
            tally.pairs += 1;
            let begun = Instant::now();
            let said = match lifter {
                Ok(lifter) => match lifter.lift(&prompt, completion).inspect(|lifted| {
                    if tally.pairs <= show {
                        println!("{}", serde_json::to_string(&lifted.row).unwrap());
                        println!("   {:?} {:?} {:?}", lifted.assumed, lifted.losses, lifted.truncated);
                    }
                }) {
                    Ok(lifted) if lifted.losses.is_empty() => {
                        tally.whole += 1;
                        None
                    }
                    Ok(_) => {
                        tally.with_losses += 1;
                        None
                    }
                    Err(fault) => {
                        let kind = match &fault {
                            LiftFault::NoMatch { .. } => "no match",
                            LiftFault::Contradiction { .. } => "contradiction",
                            LiftFault::Ambiguous(ambiguity) => {
                                tally.ambiguous += 1;
                                tally.agreed += usize::from(!ambiguity.agreed.is_empty());
                                "ambiguous"
                            }
                            LiftFault::Differs { .. } => "differs",
                            LiftFault::TooHard { .. } => "too hard",
                        };
                        Some((kind, fault.to_string()))
                    }
                },
                Err(why) => Some(("unliftable", why.clone())),
            };
            let spent = begun.elapsed();
            tally.spent += spent;
            tally.slowest = tally.slowest.max(spent);
            if let Some((kind, said)) = said {
                *tally.faults.entry(kind).or_default() += 1;
                tally.example.get_or_insert(said);
            }
        }
    }
    Some(tallies)
}

/// The table, worst templates first, and the total.
fn table(tallies: &BTreeMap<(String, String), Tally>) -> (String, Tally) {
    let mut total = Tally::default();
    let mut text = String::new();
    let mut rows: Vec<_> = tallies.iter().collect();
    rows.sort_by_key(|(_, tally)| (tally.lifted() * 1000).checked_div(tally.pairs));
    for ((dataset, template), tally) in rows {
        total.add(tally);
        let faults: Vec<String> =
            tally.faults.iter().map(|(fault, count)| format!("{count} {fault}")).collect();
        writeln!(
            text,
            "{:>5} / {:>5}  {dataset} / {template}: {} {}",
            tally.lifted(),
            tally.pairs,
            faults.join(", "),
            tally.example.as_ref().map(|said| format!("({said})")).unwrap_or_default()
        )
        .unwrap();
    }
    writeln!(
        text,
        "{} of {} pairs lifted ({} with something that the template leaves out); {} ambiguous, of which {} agree in \
         some fields; {:?}\n{:.0} µs a pair, at most {:.1} ms",
        total.lifted(),
        total.pairs,
        total.with_losses,
        total.ambiguous,
        total.agreed,
        total.faults,
        total.spent.as_secs_f64() * 1e6 / total.pairs.max(1) as f64,
        total.slowest.as_secs_f64() * 1e3
    )
    .unwrap();
    (text, total)
}

fn assert_share(nth: usize, at_least: f64) {
    let Some(tallies) = survey(nth) else { return };
    let (text, total) = table(&tallies);
    println!("{text}");
    let share = total.lifted() as f64 / total.pairs as f64;
    assert!(share >= at_least, "{share} of the pairs lift, {at_least} did");
}

#[test]
fn a_tenth_of_the_p3_samples_lifts_as_far_as_it_did() {
    assert_share(10, 0.87);
}

#[test]
#[ignore = "all 50,585 pairs; a tenth is always run"]
fn the_p3_samples_lift_as_far_as_they_did() {
    assert_share(1, 0.877);
}
