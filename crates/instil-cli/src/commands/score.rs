//! `score`: how likely completions are.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;

use indicatif::HumanCount;
use instil::journal::Journal;
use instil::reject::Reject;
use instil::score::{Options, Outcome, Summary};
use instil::sink::{Layout, ObjectWriter};
use instil::source;
use instil::{Error, Result};
use serde_json::json;

use crate::args::{ModelArgs, ScoreArgs};
use crate::progress::{Progress, catch_interrupts};
use crate::tables::reasons;
use crate::{exit, output, settings};

/// The kind of row that is written, as the sink's messages name it.
const SHAPE: &str = "scores";

pub(crate) fn run(args: ScoreArgs) -> Result<u8> {
    let mut files = source::resolve_rows(&args.input)?;
    let layout = args.output.as_deref().map(|path| Layout::of(Path::new(path))).transpose()?;
    if let Some(layout) = &layout {
        ObjectWriter::check(layout, SHAPE, &[])?;
        begin(layout, &args)?;
        let own = layout.output().canonicalize().ok();
        files.retain(|file| own.is_none() || file.path.canonicalize().ok() != own);
    }
    catch_interrupts()?;
    let mut progress = Progress::start(args.quiet);
    let Some(model) = settings::measured(&args.model, false, &mut progress)? else {
        progress.finish();
        output::talk("interrupted; the same command goes on where this one stopped");
        return Ok(exit::INTERRUPTED);
    };
    if !args.quiet {
        model.notes().iter().for_each(|note| output::talk(note));
    }
    let journal = match (&args.journal, &layout) {
        (Some(path), _) => Some(Journal::open(path)?),
        (None, Some(layout)) => Some(Journal::open(&layout.run().join("journal.sqlite"))?),
        (None, None) => None,
    };
    let mut writer = layout.as_ref().map(|layout| ObjectWriter::create(layout, SHAPE, &[])).transpose()?;
    let mut rejects = args.rejects.as_deref().map(Rejects::create).transpose()?;
    let options = Options { eos: args.eos, apart: args.apart };
    let rows = source::open_rows(files)?.take(args.limit.map_or(usize::MAX, |limit| limit as usize));
    let mut take = |outcome: Outcome| match (outcome, &mut writer) {
        (Outcome::Scored(row), Some(writer)) => writer.push_object(&row),
        (Outcome::Scored(row), None) => {
            output::data(&serde_json::Value::Object(row).to_string());
            Ok(())
        }
        (Outcome::Reject(reject), writer) => {
            if let Some(file) = &mut rejects {
                file.push(&reject)?;
            }
            writer.as_mut().map_or(Ok(()), |writer| writer.reject(&reject))
        }
    };
    let scored =
        instil::score::rows(rows, model.as_ref(), journal.as_ref(), options, &mut take, &mut |summary| {
            progress.watch_scores(summary.scored, summary.tokens)
        });
    let seconds = progress.finish();
    let (summary, whole) = scored?;
    if let Some(rejects) = rejects {
        rejects.finish()?;
    }
    let is_done = whole && summary.failed == 0;
    if is_done && let (Some(writer), Some(layout)) = (writer, &layout) {
        writer.finish()?;
        drop(journal);
        // Beside rows in memory it is all that says what was not scored.
        if !layout.is_in_memory() {
            let run = layout.run();
            fs::remove_dir_all(&run)
                .map_err(|e| Error::output(format!("failed to remove `{}`", run.display())).because(e))?;
        }
    }
    if args.json {
        output::data(&summary.to_json().to_string());
    }
    let dropped = (summary.rows - summary.scored) as f64 / summary.rows.max(1) as f64;
    let missed = args.max_drop.is_some_and(|most| dropped > most);
    if !args.quiet {
        say(&summary, args.output.as_deref(), whole, seconds);
        if missed {
            output::talk(&format!(
                "{:.1} % of the rows were not scored, more than --max-drop",
                100.0 * dropped
            ));
        }
    }
    Ok(match (whole, summary.failed, missed) {
        (false, ..) => exit::INTERRUPTED,
        (true, 1.., _) => exit::NOT_DONE,
        (true, 0, true) => exit::LIMIT_MISSED,
        (true, 0, false) => exit::DONE,
    })
}

/// Makes the run folder beside the output, or refuses what is there.
fn begin(layout: &Layout, args: &ScoreArgs) -> Result<()> {
    let (out, run) = (layout.output(), layout.run());
    if out.exists() && !args.overwrite {
        return Err(Error::output(format!("`{}` is there already", out.display()))
            .with_hint("name another output, or replace it with --overwrite"));
    }
    let is_foreign = run.exists()
        && !run.join("journal.sqlite").exists()
        && fs::read_dir(&run).is_ok_and(|mut entries| entries.next().is_some());
    if is_foreign || run.join("recipe.toml").exists() {
        return Err(Error::output(format!("`{}` belongs to something else", run.display()))
            .with_hint("name another output, or move the folder away"));
    }
    fs::create_dir_all(&run)
        .map_err(|e| Error::output(format!("failed to make `{}`", run.display())).because(e))
}

/// What came of the rows, on stderr.
fn say(summary: &Summary, shown: Option<&str>, whole: bool, seconds: f64) {
    if !summary.rejects.is_empty() {
        let counts: BTreeMap<String, u64> =
            summary.rejects.iter().map(|(word, count)| ((*word).to_owned(), *count)).collect();
        output::talk(&format!("not scored: {}", reasons(&counts)));
    }
    if summary.beyond_window > 0 {
        output::talk(&format!(
            "{} rows are longer than the model's window: each token was scored with at least half a window before it",
            HumanCount(summary.beyond_window)
        ));
    }
    if summary.failed > 0 {
        output::talk(&format!(
            "{} calls failed for good; the same command asks only for those again",
            HumanCount(summary.failed)
        ));
    }
    let derived = match (summary.nats_per_token(), summary.perplexity(), summary.bits_per_byte()) {
        (Some(nats), Some(perplexity), Some(bits)) => {
            format!(": {nats:.4} nats a token, perplexity {perplexity:.4}, {bits:.4} bits a byte")
        }
        (Some(nats), Some(perplexity), None) => {
            format!(": {nats:.4} nats a token, perplexity {perplexity:.4}")
        }
        _ => String::new(),
    };
    let place = shown.map_or_else(String::new, |path| format!(" in `{path}`"));
    output::talk(&format!(
        "{} of {} rows scored{place}, {} tokens, {} bytes{derived}, {seconds:.1} s",
        HumanCount(summary.scored),
        HumanCount(summary.rows),
        HumanCount(summary.tokens),
        HumanCount(summary.bytes)
    ));
    if !whole {
        output::talk("interrupted; the same command continues");
    }
}

/// The file of rows that were not scored.
struct Rejects<'a> {
    path: &'a Path,
    file: BufWriter<File>,
}

impl<'a> Rejects<'a> {
    fn create(path: &'a Path) -> Result<Self> {
        let file = File::create(path).map_err(|e| Self::failed(path, e))?;
        Ok(Self { path, file: BufWriter::new(file) })
    }

    fn failed(path: &Path, e: std::io::Error) -> Error {
        Error::output(format!("failed to write `{}`", path.display())).because(e)
    }

    fn push(&mut self, reject: &Reject) -> Result<()> {
        let line = json!({
            "reason": reject.reason.word(),
            "source": &*reject.origin.source,
            "row": reject.origin.row,
            "raw": reject.raw,
        });
        writeln!(self.file, "{line}").map_err(|e| Self::failed(self.path, e))
    }

    fn finish(mut self) -> Result<()> {
        self.file.flush().map_err(|e| Self::failed(self.path, e))
    }
}

/// Whether a model was named at all; `--replay` can stand in its place where answers are generated.
pub(crate) fn needs_model(args: &ModelArgs) -> Result<()> {
    if args.model.is_some() || args.endpoint.is_some() {
        return Ok(());
    }
    Err(Error::usage("no model is named").with_hint(
        "name weights with --model (a folder, a .gguf file, an id of the Hub), or a server with --endpoint URL",
    ))
}
