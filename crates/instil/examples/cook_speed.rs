//! Characters a second that each template makes in memory, on one thread:
//! `cargo run --release -p instil --example cook_speed -- [SECONDS] [WORDING] [TEMPLATE[.KNOB=VALUE]…]`.
//!
//! Each sample is written into the room of the one before, and is looked at as text, so that it is checked to be UTF-8.
//! Seconds are those of the processor where the system tells them, since other programs take the clock's.

#![allow(clippy::print_stdout, reason = "a measurement prints its figures")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use instil::Result;
use instil::cook::{
    Curriculum, Plan, Pool, SYNTHETIC_WORDS, Sample, Settings, Split, Stream, Wording, template, templates,
};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let seconds: f64 = arguments.first().and_then(|seconds| seconds.parse().ok()).unwrap_or(2.0);
    let wording = arguments.get(1).map_or(Ok(Wording::Bare), |wording| Wording::parse(wording))?;
    let mut asked: Vec<String> = arguments.into_iter().skip(2).collect();
    if asked.is_empty() {
        asked = templates().iter().map(|template| template.name().to_owned()).collect();
    }
    let pool = Arc::new(Pool::synthetic(SYNTHETIC_WORDS)?);
    println!("{:<40} {:>10} {:>12} {:>12}", "template", "chars each", "samples/s", "Mchars/s");
    for asked in asked {
        let (name, set) = asked.split_once('.').unwrap_or((&asked, ""));
        let template = template(name)?;
        let mut settings = Settings::new(template.knobs());
        for (knob, value) in set.split(',').filter_map(|one| one.split_once('=')) {
            settings.set(knob, value)?;
        }
        let settings = Curriculum::constant(settings);
        let stream = Stream::new(Plan {
            template,
            settings,
            pool: Arc::clone(&pool),
            wording,
            seed: 7,
            split: Split::Train,
        })?;
        let (mut sample, mut characters, mut index) = (Sample::default(), 0, 0);
        let start = Clock::start();
        while start.seconds() < seconds {
            for _ in 0..4096 {
                if stream.fill(index, &mut sample).is_ok() {
                    characters += black_box(sample.text()).len();
                }
                index += 1;
            }
        }
        let (made, seconds) = (sample.tally().samples as f64, start.seconds());
        let (each, rate) = (characters as f64 / made, made / seconds);
        println!("{asked:<40} {each:>10.0} {rate:>12.0} {:>12.1}", each * rate / 1e6);
    }
    Ok(())
}

/// Seconds that this thread has run.
struct Clock {
    clock: Instant,
    processor: Option<u64>,
}

impl Clock {
    fn start() -> Self {
        Self { clock: Instant::now(), processor: processor_nanoseconds() }
    }

    fn seconds(&self) -> f64 {
        match (self.processor, processor_nanoseconds()) {
            (Some(start), Some(now)) => (now - start) as f64 / 1e9,
            _ => self.clock.elapsed().as_secs_f64(),
        }
    }
}

/// What Linux counts of this thread.
fn processor_nanoseconds() -> Option<u64> {
    let counts = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    counts.split(' ').next()?.parse().ok()
}
