//! Progress on stderr: a bar on a terminal, a plain line now and then otherwise.

use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{DecimalBytes, HumanCount, HumanDuration, ProgressBar, ProgressStyle};
use instil::ledger::Ledger;
use instil::reject::Stage;
use instil::{Error, Result};
use instil_model::train::{Event, Step};
use instil_remote::hub::Transfer;

use crate::host::{self, Tick};
use crate::{exit, output};

/// Between two looks at a bar.
const BAR_EVERY: Duration = Duration::from_millis(100);
/// Between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(30);

/// How long a run may take to end in order after Ctrl-C.
const PATIENCE: Duration = Duration::from_secs(5);

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Makes Ctrl-C end the run in order the first time, and at once the second, or when that takes too long.
///
/// # Errors
/// When the handler can't be set.
pub(crate) fn catch_interrupts() -> Result<()> {
    // Signals are the host's.
    if host::is_there() {
        return Ok(());
    }
    #[expect(clippy::exit, reason = "what counts is in the journal, and any kill is survived")]
    fn at_once() {
        std::process::exit(exit::INTERRUPTED.into());
    }
    let handler = || {
        if INTERRUPTED.swap(true, Ordering::Relaxed) {
            at_once();
        }
        // A read from a terminal or a pipe may wait for ever, and hears of nothing.
        std::thread::spawn(|| {
            std::thread::sleep(PATIENCE);
            at_once();
        });
    };
    match ctrlc::set_handler(handler) {
        // A recipe of several steps sets it once.
        Ok(()) | Err(ctrlc::Error::MultipleHandlers) => Ok(()),
        Err(e) => Err(Error::usage("failed to listen for Ctrl-C").because(e)),
    }
}

/// Shows how a run goes on.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    quiet: bool,
    started: Instant,
    shown: Instant,
    /// When the first step of a training that was seen had ended, and which it was: what was before it, reading and learning a
    /// tokenizer, comes once, and a training that goes on begins in the middle.
    stepped: Option<(Instant, u64)>,
}

impl Progress {
    pub(crate) fn start(quiet: bool) -> Self {
        let bar = (!quiet && !host::is_there() && std::io::stderr().is_terminal()).then(|| {
            let style = ProgressStyle::with_template("{spinner} {msg}").expect("the template is valid");
            ProgressBar::new_spinner().with_style(style)
        });
        let now = Instant::now();
        Self { bar, quiet, started: now, shown: now, stepped: None }
    }

    /// Called after every step of the road; `read` is the share of the input that is read, where that is known.
    pub(crate) fn watch(&mut self, ledger: &Ledger, read: Option<f64>) -> ControlFlow<()> {
        self.show(read, |started| line(started, ledger, read))
    }

    /// Called after every batch of the road from labelled rows.
    pub(crate) fn watch_rows(&mut self, ledger: &Ledger) -> ControlFlow<()> {
        self.show(None, |started| rows_line(started, ledger))
    }

    /// Called after every batch of rows that are made of nothing; `rows` is how many there will be.
    pub(crate) fn watch_made(&mut self, ledger: &Ledger, rows: u64) -> ControlFlow<()> {
        let made = ledger.stage(Stage::Generate).r#in;
        self.show(Some(made as f64 / rows.max(1) as f64), |started| made_line(started, ledger, rows))
    }

    /// Called while sources are counted.
    pub(crate) fn watch_counted(&mut self, rows: u64) -> ControlFlow<()> {
        self.show(None, |started| {
            let seconds = started.elapsed().as_secs_f64();
            format!("{} rows counted, {seconds:.0} s", HumanCount(rows))
        })
    }

    /// Called after every batch of a mix.
    pub(crate) fn watch_mixed(&mut self, ledger: &Ledger) -> ControlFlow<()> {
        self.show(None, |started| {
            let read = ledger.stage(Stage::Read).out;
            let rate = read as f64 / started.elapsed().as_secs_f64();
            let (read, kept) = (HumanCount(read), HumanCount(ledger.kept()));
            format!("{read} rows read ({rate:.0}/s), {kept} written")
        })
    }

    /// Called after every step of a training.
    pub(crate) fn watch_training(&mut self, event: &Event<'_>) -> ControlFlow<()> {
        match event {
            Event::Step(step) => {
                let (since, first) = *self.stepped.get_or_insert((Instant::now(), step.step as u64));
                self.show(Some(step.step as f64 / step.of as f64), |_| step_line(since, first, step))
            }
            Event::Validated { step, loss } => {
                if !self.quiet {
                    let line = format!("step {step}: held-out loss {loss:.4}");
                    match &self.bar {
                        Some(bar) => bar.suspend(|| output::talk(&line)),
                        None => output::talk(&line),
                    }
                }
                ControlFlow::Continue(())
            }
            Event::Resumed(steps) => {
                if !self.quiet {
                    output::talk(&format!("goes on after step {steps}"));
                }
                ControlFlow::Continue(())
            }
            Event::Kept(_) => ControlFlow::Continue(()),
        }
    }

    /// Called while files go to or come from the Hub.
    pub(crate) fn watch_transfer(&mut self, transfer: &Transfer) -> ControlFlow<()> {
        let share = (transfer.bytes > 0).then(|| transfer.bytes_done as f64 / transfer.bytes as f64);
        self.show(share, |started| transfer_line(started, transfer))
    }

    /// Called while a benchmark is asked.
    pub(crate) fn watch_items(&mut self, benchmark: &str, rows: u64) -> ControlFlow<()> {
        self.show(None, |started| {
            let seconds = started.elapsed().as_secs_f64();
            format!("{benchmark}: {} rows asked about, {seconds:.0} s", HumanCount(rows))
        })
    }

    /// Called while texts are scored.
    pub(crate) fn watch_scores(&mut self, texts: u64, tokens: u64) -> ControlFlow<()> {
        self.show(None, |started| {
            let seconds = started.elapsed().as_secs_f64();
            let (texts_a_second, tokens_a_second) = (texts as f64 / seconds, tokens as f64 / seconds);
            format!(
                "{} texts scored ({texts_a_second:.0}/s), {} tokens ({tokens_a_second:.0}/s)",
                HumanCount(texts),
                HumanCount(tokens)
            )
        })
    }

    /// Called while definitions of tasks are written and chosen.
    pub(crate) fn watch_tasks(&mut self, line: String) -> ControlFlow<()> {
        self.show(None, |started| format!("{line}, {:.0} s", started.elapsed().as_secs_f64()))
    }

    /// Called while a model is written.
    pub(crate) fn watch_bytes(&mut self, done: u64, all: u64) -> ControlFlow<()> {
        self.show(Some(done as f64 / all.max(1) as f64), |started| {
            let rate = done as f64 / started.elapsed().as_secs_f64();
            let (done, all) = (DecimalBytes(done), DecimalBytes(all));
            format!("{done} of {all} written ({}/s)", DecimalBytes(rate as u64))
        })
    }

    /// Shows a line if it is time for one; `share` says how much is done, where that is known.
    fn show(&mut self, share: Option<f64>, line: impl FnOnce(Instant) -> String) -> ControlFlow<()> {
        if let Some(is_interrupted) = host::with(|host| host.is_interrupted()) {
            if !is_interrupted && self.shown.elapsed() >= BAR_EVERY {
                self.shown = Instant::now();
                let tick = Tick { text: line(self.started), share: share.map(|share| share.min(1.0)) };
                host::with(|host| host.progress(&tick));
            }
            return if is_interrupted { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        }
        if INTERRUPTED.load(Ordering::Relaxed) {
            return ControlFlow::Break(());
        }
        let every = if self.bar.is_some() { BAR_EVERY } else { LINE_EVERY };
        if !self.quiet && self.shown.elapsed() >= every {
            self.shown = Instant::now();
            let line = line(self.started);
            match &self.bar {
                Some(bar) => {
                    bar.set_message(line);
                    bar.tick();
                }
                None => output::talk(&line),
            }
        }
        ControlFlow::Continue(())
    }

    /// Takes the bar away; gives the seconds since the start.
    pub(crate) fn finish(self) -> f64 {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
        self.started.elapsed().as_secs_f64()
    }
}

/// How the road from text goes on.
fn line(started: Instant, ledger: &Ledger, read: Option<f64>) -> String {
    let seconds = started.elapsed().as_secs_f64();
    let generated = ledger.stage(Stage::Generate);
    let settled = generated.out + generated.rejects.values().sum::<u64>() + generated.errors;
    let kept = ledger.kept();
    let share = 100.0 * kept as f64 / settled.max(1) as f64;
    let mut line = format!(
        "{} documents, {} of {} samples kept ({share:.0} %), {:.0} samples/s",
        HumanCount(ledger.stage(Stage::Read).out),
        HumanCount(kept),
        HumanCount(settled),
        settled as f64 / seconds
    );
    if ledger.tokens.completion > 0 {
        let rate = ledger.tokens.completion as f64 / seconds;
        line += &format!(", {} tokens ({rate:.0}/s)", HumanCount(ledger.tokens.completion));
    }
    // Before a fiftieth is read the guess is worth nothing.
    if let Some(read) = read.filter(|read| *read > 0.02) {
        let left = Duration::from_secs_f64(seconds * (1.0 - read.min(1.0)) / read);
        line += &format!(", {} left", HumanDuration(left));
    }
    line
}

/// How far files have come.
fn transfer_line(started: Instant, transfer: &Transfer) -> String {
    let Transfer { files, files_done, bytes, bytes_done } = *transfer;
    if files == 0 {
        return "asking the Hub".to_owned();
    }
    let rate = bytes_done as f64 / started.elapsed().as_secs_f64();
    let mut line = format!(
        "{files_done} of {files} files, {} of {} ({}/s)",
        DecimalBytes(bytes_done),
        DecimalBytes(bytes),
        DecimalBytes(rate as u64)
    );
    if rate > 0.0 && bytes > bytes_done {
        let left = Duration::from_secs_f64((bytes - bytes_done) as f64 / rate);
        line += &format!(", {} left", HumanDuration(left));
    }
    line
}

/// How a training goes on, whose step `first` had ended when it was `since`.
fn step_line(since: Instant, first: u64, step: &Step) -> String {
    let Step { step, of, loss, learning_rate, tokens, seconds, .. } = *step;
    let rate = tokens as f64 / seconds;
    let mut line =
        format!("step {step} of {of}, loss {loss:.4}, learning rate {learning_rate:.1e}, {rate:.0} tokens/s");
    let steps = step as u64 - first;
    if steps > 0 && step < of {
        let left = since.elapsed().as_secs_f64() / steps as f64 * (of - step) as f64;
        line += &format!(", {} left", HumanDuration(Duration::from_secs_f64(left)));
    }
    line
}

/// How making rows goes on.
fn made_line(started: Instant, ledger: &Ledger, rows: u64) -> String {
    let made = ledger.stage(Stage::Generate).r#in;
    let seconds = started.elapsed().as_secs_f64();
    let rate = made as f64 / seconds;
    let left = Duration::from_secs_f64(rows.saturating_sub(made) as f64 / rate.max(1.0));
    format!("{} of {} rows ({rate:.0}/s), {} left", HumanCount(made), HumanCount(rows), HumanDuration(left))
}

/// How the road from labelled rows goes on.
fn rows_line(started: Instant, ledger: &Ledger) -> String {
    let read = ledger.stage(Stage::Read).out;
    let rate = read as f64 / started.elapsed().as_secs_f64();
    format!("{} rows read ({rate:.0}/s), {} examples kept", HumanCount(read), HumanCount(ledger.kept()))
}
