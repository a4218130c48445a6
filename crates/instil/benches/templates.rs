//! Renderings a second, over rows and templates that the caller names:
//! `cargo bench -p instil --bench templates -- TEMPLATES_DIR ROWS.jsonl [--truncate]`.
//!
//! A line of ROWS.jsonl is `{"dataset": KEY, "rows": [{…}, …]}`. Every template of a dataset is rendered on
//! each of its rows, if that is possible, in rounds for about three seconds, with one thread and with two.

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![allow(clippy::unwrap_used, reason = "a benchmark stops at what is wrong")]

use std::hint::black_box;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use instil::template::Collection;
use instil::template::engine::{Compiled, Fields, Options};
use serde_json::{Map, Value, json};

const TIME: Duration = Duration::from_secs(3);
/// How many renderings a thread takes at once.
const BATCH: usize = 256;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|one| one != "--bench").collect();
    let truncate = arguments.iter().any(|one| one == "--truncate");
    let paths: Vec<&String> = arguments.iter().filter(|one| !one.starts_with("--")).collect();
    let [templates, rows] = paths.as_slice() else {
        println!("usage: cargo bench -p instil --bench templates -- TEMPLATES_DIR ROWS.jsonl [--truncate]");
        return;
    };
    let collection = Collection::read(Path::new(templates)).unwrap();
    let (mut compiled, mut fields, mut pairs) = (Vec::new(), Vec::new(), Vec::new());
    let mut faults = 0;
    for line in std::fs::read_to_string(rows).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let of_dataset: Vec<Map<String, Value>> = serde_json::from_value(line["rows"].clone()).unwrap();
        let first = fields.len();
        fields.extend(of_dataset.iter().map(Fields::of));
        let Ok(templates) = collection.dataset(line["dataset"].as_str().unwrap()) else { continue };
        for template in templates {
            let choices = template.answer_choices.as_deref();
            let Ok(one) = Compiled::new(&template.jinja, choices, Options { truncate }) else {
                faults += of_dataset.len();
                continue;
            };
            for (row, of_row) in fields.iter().enumerate().skip(first) {
                match one.render(of_row, 0) {
                    Ok(_) => pairs.push((compiled.len(), row)),
                    Err(_) => faults += 1,
                }
            }
            compiled.push(one);
        }
    }
    assert!(!pairs.is_empty(), "nothing renders");
    for threads in [1, 2] {
        let (next, start) = (AtomicUsize::new(0), Instant::now());
        let work = || {
            let mut rendered = 0;
            while start.elapsed() < TIME {
                let from = next.fetch_add(BATCH, Ordering::Relaxed);
                for at in from..from + BATCH {
                    let (template, row) = pairs[at % pairs.len()];
                    black_box(compiled[template].render(&fields[row], at as u64)).unwrap();
                }
                rendered += BATCH;
            }
            rendered
        };
        let rendered: usize = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).sum()
        });
        let per_second = rendered as f64 / start.elapsed().as_secs_f64();
        let figures = json!({
            "threads": threads,
            "renders_per_s": per_second.round(),
            "templates": compiled.len(),
            "rows": fields.len(),
            "faults": faults,
        });
        println!("{figures}");
    }
}
