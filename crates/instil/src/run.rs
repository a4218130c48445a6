//! A run on disk: what is settled before it, what continues it, and what stands after it.
//!
//! [`Plan`] looks names up and opens files without spending anything; [`generate`] sends the plan's
//! documents down the [road](crate::pipeline) and finishes the output.

use std::fs::{self, File};
use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::chunk::{self, Chunker, Limit};
use crate::error::{Error, Result};
use crate::format::Format;
use crate::journal::Journal;
use crate::ledger::Ledger;
use crate::lm::LanguageModel;
use crate::pipeline::{self, Ended, Road, Window};
use crate::prompt::Style;
use crate::recipe::{Generate, Recipe};
use crate::record::{Document, Passage};
use crate::reject::{Reject, Stage};
use crate::sink::{Card, Layout, Writer};
use crate::source::{self, Documents, SourceFile};
use crate::task::TaskKind;

/// Tokens that joining passage and prompt may add to the sum of their own counts.
const SEAM_TOKENS: usize = 8;

/// A recipe whose names are looked up and whose inputs are found.
pub struct Plan {
    /// The files, in the order in which they are read.
    pub files: Vec<SourceFile>,
    /// What is made of each document.
    pub road: Road,
    /// The shape of the rows.
    pub format: Format,
    /// Where they go.
    pub layout: Layout,
}

impl Plan {
    /// Settles a recipe. Nothing is written and no model is asked.
    ///
    /// # Errors
    /// When an input is missing, a name unknown, or a combination of settings has no meaning.
    pub fn of(recipe: &Generate) -> Result<Self> {
        if recipe.input.is_empty() {
            return Err(Error::usage("no input is named")
                .with_hint("name files, folders or `-`, as in `instil generate notes/ -o out`"));
        }
        let kinds = recipe.kinds()?;
        let format = Format::parse(&recipe.format)?;
        let layout = Layout::of(Path::new(&recipe.output))?;
        let style = Style::parse(&recipe.prompt)?;
        let sampling = recipe.sampling()?;
        if recipe.samples == 0 || recipe.shard_rows == 0 {
            let what = if recipe.samples == 0 { "samples" } else { "shard_rows" };
            return Err(Error::usage(format!("{what} must be at least 1")));
        }
        if recipe.max_drop.is_some_and(|most| !(0.0..=1.0).contains(&most)) {
            return Err(Error::usage("max_drop must be a share from 0 to 1"));
        }
        if recipe.reference && style == Style::Instruct {
            return Err(Error::usage("the published library has no `instruct` prompts")
                .with_hint("leave out --reference or --prompt instruct"));
        }
        if !recipe.labels.is_empty() && !kinds.iter().any(|kind| crate::prompt::takes_labels(*kind)) {
            return Err(Error::usage("labels are given, but no task kind that takes them")
                .with_hint("add `--task topic_class` or `--task sentiment`"));
        }
        let tokenizer = match &recipe.tokenizer {
            Some(path) => Some(Arc::new(chunk::load_tokenizer(Path::new(path))?)),
            None => None,
        };
        let window = match (recipe.window, &tokenizer) {
            (Some(tokens), Some(tokenizer)) => Some(Window { tokens, tokenizer: Arc::clone(tokenizer) }),
            (Some(_), None) => return Err(needs_tokenizer("--window")),
            (None, _) => None,
        };
        let mut road = Road {
            kinds,
            labels: recipe.labels.clone(),
            style,
            reference: recipe.reference,
            chunker: Chunker::whole(),
            sampling,
            samples: recipe.samples,
            seed: recipe.seed,
            window,
        };
        road.chunker = chunker(recipe, &road, tokenizer)?;
        let mut files = source::resolve(&recipe.input)?;
        // `generate . -o out` must not read its own rows the second time.
        let own: Vec<_> = [layout.output(), &layout.run()].iter().flat_map(fs::canonicalize).collect();
        if !own.is_empty() {
            files.retain(|file| {
                let path = fs::canonicalize(&file.path);
                !path.is_ok_and(|path| own.iter().any(|own| path.starts_with(own)))
            });
        }
        Ok(Self { files, road, format, layout })
    }

    /// Begins to read.
    ///
    /// # Errors
    /// When the first table has no such column, or the first file can't be opened.
    pub fn documents(&self, recipe: &Generate) -> Result<Documents> {
        let options =
            source::Options { text_column: recipe.text_column.clone(), id_column: recipe.id_column.clone() };
        source::open(self.files.clone(), &options)
    }

    /// What the files and the model were when a run began; none for standard input, which can't be looked at twice.
    fn fingerprint(&self, model: &dyn LanguageModel) -> Option<String> {
        let mut parts = vec![model.identity().to_string()];
        for file in &self.files {
            let modified = file.modified?;
            parts.push(format!("{} {} {modified}", file.name, file.bytes));
        }
        Some(crate::rng::hex_of(&parts.iter().map(String::as_str).collect::<Vec<_>>(), 32))
    }
}

fn needs_tokenizer(flag: &str) -> Error {
    Error::usage(format!("{flag} counts tokens, and no tokenizer is named"))
        .with_hint("add `--tokenizer PATH/tokenizer.json`, the model's own")
}

/// The chunker of the recipe: never so long a passage that the prompt's tail, or a whole completion,
/// would leave the window (the published code cuts `<|task|>` away there, spec/bonito.md 1.5).
fn chunker(recipe: &Generate, road: &Road, tokenizer: Option<Arc<tokenizers::Tokenizer>>) -> Result<Chunker> {
    if recipe.reference {
        return Ok(Chunker::whole());
    }
    let room = match &road.window {
        None => usize::MAX,
        Some(window) => {
            let nothing = Passage {
                document: "".into(),
                origin: crate::record::Origin { source: "".into(), row: None },
                span: 0..0,
                text: String::new(),
            };
            let frame = road
                .kinds
                .iter()
                .map(|kind| {
                    let prompt = road.request(0, *kind, &nothing).input.text();
                    chunk::count_tokens(&window.tokenizer, &prompt)
                })
                .max()
                .unwrap_or(0);
            let taken = frame + SEAM_TOKENS + recipe.max_tokens as usize;
            window.tokens.checked_sub(taken).filter(|room| *room > 0).ok_or_else(|| {
                Error::usage(format!(
                    "a window of {} tokens has no room for a passage: the prompt around it and the completion take {taken}",
                    window.tokens
                ))
                .with_hint("raise --window or lower --max-tokens")
            })?
        }
    };
    match (recipe.chunk_tokens, tokenizer) {
        (Some(0), _) => Err(Error::usage("chunk_tokens must be at least 1")),
        (Some(_), None) => Err(needs_tokenizer("--chunk-tokens")),
        (Some(max), Some(tokenizer)) => Ok(Chunker::new(Limit::Tokens { max: max.min(room), tokenizer })),
        (None, Some(tokenizer)) if room < usize::MAX => {
            // A token is rarely longer than four characters of prose.
            let max = room.min(recipe.chunk_chars.div_ceil(4));
            Ok(Chunker::new(Limit::Tokens { max, tokenizer }))
        }
        _ if recipe.chunk_chars == 0 => Err(Error::usage("chunk_chars must be at least 1")),
        _ => Ok(Chunker::new(Limit::Chars(recipe.chunk_chars))),
    }
}

/// What to do about an output that is there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// Continue a run of the same recipe, refuse anything else.
    #[default]
    Same,
    /// Take over another recipe's run: its journal answers what it can.
    Resume,
    /// Begin anew: run folder, journal and rows are removed.
    Overwrite,
}

/// `report.json`: the ledger of a run and what it came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Whether the output is whole.
    pub finished: bool,
    /// Rows written.
    pub rows: u64,
    /// The ledger: `stages`, `kinds`, `repairs`, `tokens`.
    #[serde(flatten)]
    pub ledger: Ledger,
    /// The model's identity.
    pub model: String,
    /// Seconds of this start of the run; what the journal knew took none of them.
    pub seconds: f64,
    /// [`Generate::hash`].
    pub recipe_hash: String,
    /// What the inputs and the model were, where that can be said.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub inputs: Option<String>,
}

impl Report {
    /// Reads the report of a run folder.
    ///
    /// # Errors
    /// When there is none, or it isn't one.
    pub fn read(run: &Path) -> Result<Self> {
        let path = run.join("report.json");
        let failed = || Error::input(format!("failed to read `{}`", path.display()));
        let text = fs::read(&path).map_err(|e| failed().because(e))?;
        serde_json::from_slice(&text).map_err(|e| failed().because(e))
    }
}

/// How a run ended.
#[derive(Debug)]
pub enum Done {
    /// The output is whole.
    Finished(Report),
    /// It was whole before; nothing was done.
    AlreadyFinished(Report),
    /// The caller broke off; the same command continues.
    Interrupted(Report),
    /// Calls failed for good; the same command tries them again.
    Failed(Report),
}

/// Makes, or continues, the dataset of a recipe.
///
/// `watch` sees, after each step, the ledger and the share of the input's bytes that is read (none
/// for standard input), and can break off.
///
/// # Errors
/// When the output belongs to another run, another process is at it, it can't be written, the inputs
/// hold no document at all, or the model can't be used.
pub fn generate(
    recipe: &Generate,
    plan: &Plan,
    model: &dyn LanguageModel,
    existing: Existing,
    watch: &mut dyn FnMut(&Ledger, Option<f64>) -> ControlFlow<()>,
) -> Result<Done> {
    let started = Instant::now();
    if plan.road.style == Style::Instruct && !model.capabilities().messages {
        return Err(Error::usage(format!("`{}` can't follow `instruct` prompts", recipe.model))
            .with_hint("name a chat model with --endpoint, or leave out --prompt instruct"));
    }
    let documents = plan.documents(recipe)?;
    let run = plan.layout.run();
    let run = run.as_path();
    let fingerprint = plan.fingerprint(model);
    refuse_foreign(recipe, plan, existing)?;

    let failed = |what: &str, e: std::io::Error| {
        Error::output(format!("failed to write `{}`", run.join(what).display())).because(e).with_hint(
            "check the folder's permissions and that the disk has room, then run the same command again",
        )
    };
    fs::create_dir_all(run).map_err(|e| failed("", e))?;
    let lock = File::create(run.join("lock")).map_err(|e| failed("lock", e))?;
    if lock.try_lock().is_err() {
        return Err(Error::output(format!("another process is writing `{}`", recipe.output))
            .with_hint("wait for it, or name another output"));
    }
    // Only now, behind the lock, can it be said what is there and what is to go.
    if let Some(report) = settle_existing(recipe, plan, existing, fingerprint.as_deref())? {
        return Ok(Done::AlreadyFinished(report));
    }
    // A report that says `finished` must not outlive the rows it speaks of.
    match fs::remove_file(run.join("report.json")) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(failed("report.json", e)),
        _ => {}
    }
    let settled = Recipe::of(recipe.clone()).to_toml();
    write_whole(&run.join("recipe.toml"), settled.as_bytes()).map_err(|e| failed("recipe.toml", e))?;
    let journal = match (&recipe.journal, model.capabilities().journaled) {
        (_, false) => None,
        (Some(path), true) => Some(Journal::open(Path::new(path))?),
        (None, true) => Some(Journal::open(&run.join("journal.sqlite"))?),
    };

    let sampling = plan.road.sampling.clone();
    let mut writer = Writer::create(&plan.layout, plan.format, sampling, recipe.shard_rows)?;
    let bytes: u64 = plan.files.iter().map(|file| file.bytes).sum();
    let read = documents.read_bytes();
    let mut watch = |ledger: &Ledger| {
        // Sizes of files are far below 2^53.
        let share = (bytes > 0).then(|| read.load(Ordering::Relaxed) as f64 / bytes as f64);
        watch(ledger, share)
    };
    let documents = only(documents, recipe.document.clone()).take_documents(recipe.limit.unwrap_or(u64::MAX));
    let (ledger, ended) =
        pipeline::generate(&plan.road, documents, model, journal.as_ref(), &mut writer, &mut watch)?;
    assert!(ledger.closes(), "the ledger doesn't close: {ledger:?}");

    let read = ledger.stage(Stage::Read);
    if ended == Ended::Whole && read.out == 0 {
        if let Some(id) = &recipe.document {
            return Err(Error::input(format!(
                "no document of `{}` has the id `{id}`",
                recipe.input.join("`, `")
            ))
            .with_hint("`--dry-run` shows the ids of the first documents"));
        }
        if read.r#in > 0 {
            return Err(nothing_read(recipe, read));
        }
    }
    let failures = ledger.stage(Stage::Generate).errors > 0 && !recipe.allow_errors;
    let mut report = Report {
        finished: ended == Ended::Whole && !failures,
        rows: ledger.kept(),
        model: model.identity().to_string(),
        ledger,
        seconds: 0.0,
        recipe_hash: recipe.hash(),
        inputs: fingerprint,
    };
    if report.finished {
        writer.finish(&card(recipe, plan, &report))?;
    }
    report.seconds = started.elapsed().as_secs_f64();
    let text = serde_json::to_vec_pretty(&report).expect("a report is plain values");
    write_whole(&run.join("report.json"), &text).map_err(|e| failed("report.json", e))?;
    Ok(match (ended, failures) {
        (Ended::Interrupted, _) => Done::Interrupted(report),
        (Ended::Whole, true) => Done::Failed(report),
        (Ended::Whole, false) => Done::Finished(report),
    })
}

fn nothing_read(recipe: &Generate, read: &crate::ledger::StageCount) -> Error {
    let counts: Vec<String> = read.rejects.iter().map(|(word, count)| format!("{count} {word}")).collect();
    Error::input(format!("nothing could be read from `{}`", recipe.input.join("`, `")))
        .because(counts.join(", "))
        .with_hint("`instil list rejects` says what the words mean, `instil check` shows what is found")
}

/// Removes what is no longer needed once the caller has seen all of a run: the run folder beside a
/// finished single file, unless the recipe keeps it.
///
/// # Errors
/// When it can't be removed.
pub fn tidy(recipe: &Generate, plan: &Plan, done: &Done) -> Result<()> {
    if plan.layout.is_folder() || recipe.keep_run || !matches!(done, Done::Finished(_)) {
        return Ok(());
    }
    remove(&plan.layout.run())
}

/// Removes everything that a run has made, and nothing else.
fn clear(layout: &Layout) -> Result<()> {
    if layout.is_folder() {
        for file in layout.data_files()?.iter().chain(&layout.provenance_files()?) {
            remove(file)?;
        }
        remove(&layout.output().join("README.md"))?;
    }
    // The lock stays: it is what keeps a second process out while this one goes on.
    let entries = fs::read_dir(layout.run()).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name() != "lock") {
        remove(&entry.path())?;
    }
    Ok(())
}

fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::output(format!("failed to remove `{}`", path.display())).because(e))
        }
        _ => Ok(()),
    }
}

/// Writes a small file so that it is there whole or not at all.
fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let partial = path.with_extension("partial");
    let mut file = File::create(&partial)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&partial, path)
}

/// What instil may have put into a run folder before its recipe.
const BEFORE_THE_RECIPE: [&str; 4] = ["lock", "partial", "recipe.partial", "report.partial"];

/// Refuses an output that holds what instil did not make.
fn refuse_foreign(recipe: &Generate, plan: &Plan, existing: Existing) -> Result<()> {
    let (output, run) = (plan.layout.output(), plan.layout.run());
    if run.join("recipe.toml").exists() {
        return Ok(());
    }
    if !plan.layout.is_folder() {
        if output.exists() && existing != Existing::Overwrite {
            return Err(Error::output(format!(
                "`{}` is there already, and its run folder is not",
                recipe.output
            ))
            .with_hint(
                "--overwrite makes it anew; --keep-run keeps the run folder, so that a run can be continued",
            ));
        }
        return Ok(());
    }
    // A first attempt that was stopped very early leaves a run folder without a recipe.
    let names = |folder: &Path| -> Vec<String> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    };
    let is_ours = names(output).iter().all(|name| name == "run")
        && names(&run).iter().all(|name| BEFORE_THE_RECIPE.contains(&name.as_str()));
    if is_ours {
        return Ok(());
    }
    Err(Error::output(format!("`{}` is there already, and no run of instil made it", recipe.output))
        .with_hint("name another output: instil replaces only what it has made"))
}

/// Decides about a run that is there; gives its report if there is nothing to do.
fn settle_existing(
    recipe: &Generate,
    plan: &Plan,
    existing: Existing,
    fingerprint: Option<&str>,
) -> Result<Option<Report>> {
    let run = plan.layout.run();
    let settled = run.join("recipe.toml");
    if !settled.exists() {
        return Ok(None);
    }
    if existing == Existing::Overwrite {
        return clear(&plan.layout).map(|()| None);
    }
    let there = Recipe::read(&settled)?;
    let differences = match there.step.as_slice() {
        [step] => recipe.differences(step),
        _ => vec!["it has several steps".to_owned()],
    };
    if !differences.is_empty() {
        if existing == Existing::Resume || came_to_nothing(&plan.layout)? {
            return Ok(None);
        }
        return Err(Error::output(format!("`{}` was made by another recipe", recipe.output))
            .because(differences.join("; "))
            .with_hint("--resume takes it over and keeps its journal, --overwrite begins anew, or name another output"));
    }
    let rows_are_there = if plan.layout.is_folder() {
        !plan.layout.data_files()?.is_empty() && !plan.layout.provenance_files()?.is_empty()
    } else {
        plan.layout.output().exists()
    };
    let report = Report::read(&run).ok().filter(|report| {
        report.finished
            && rows_are_there
            && report.ledger.stage(Stage::Generate).errors == 0
            && report.recipe_hash == recipe.hash()
            && fingerprint.is_some()
            && report.inputs.as_deref() == fingerprint
    });
    Ok(report)
}

/// Whether a run left neither rows nor answers: a wrong key, a wrong column. Another recipe may take its place.
fn came_to_nothing(layout: &Layout) -> Result<bool> {
    let rows = if layout.is_folder() { !layout.data_files()?.is_empty() } else { layout.output().exists() };
    let journal = layout.run().join("journal.sqlite");
    Ok(!rows && (!journal.exists() || Journal::open(&journal)?.is_empty()?))
}

fn card(recipe: &Generate, plan: &Plan, report: &Report) -> Card {
    let kept = |kind: &TaskKind| report.ledger.kinds.get(kind.short()).map_or(0, |count| count.kept);
    let name = Path::new(&recipe.output)
        .file_name()
        .map_or_else(|| "dataset".to_owned(), |name| name.to_string_lossy().into_owned());
    Card {
        name,
        license: recipe.license.clone(),
        model: report.model.clone(),
        is_rules: recipe.model == "rules" && recipe.endpoint.is_none() && recipe.replay.is_none(),
        template: plan.road.style.template().to_owned(),
        documents: report.ledger.stage(Stage::Read).out,
        passages: report.ledger.stage(Stage::Chunk).out,
        kinds: plan.road.kinds.iter().map(|kind| (*kind, kept(kind))).collect(),
        rejects: report.ledger.rejects(),
    }
}

type Read = Result<Document, Reject>;

/// Only the document of this id, where one is named.
fn only(documents: Documents, id: Option<String>) -> impl Iterator<Item = Read> {
    documents.filter(move |read| match (&id, read) {
        (Some(id), Ok(document)) => document.id == *id,
        (Some(_), Err(_)) => false,
        (None, _) => true,
    })
}

trait TakeDocuments: Iterator<Item = Read> + Sized {
    /// The first `limit` documents, and the rejects between them.
    fn take_documents(mut self, limit: u64) -> impl Iterator<Item = Read> {
        let mut taken = 0;
        std::iter::from_fn(move || {
            if taken == limit {
                return None;
            }
            let read = self.next()?;
            taken += u64::from(read.is_ok());
            Some(read)
        })
    }
}

impl<I: Iterator<Item = Read>> TakeDocuments for I {}

/// What a plan would do, as far as the first documents show.
pub struct Look {
    /// The files that would be read.
    pub files: Vec<SourceFile>,
    /// The kinds that would be asked for.
    pub kinds: Vec<TaskKind>,
    /// The first prompts.
    pub prompts: Vec<LookPrompt>,
    /// What could not be read before them.
    pub rejects: Vec<Reject>,
}

/// One of the first prompts.
pub struct LookPrompt {
    /// What it asks for.
    pub kind: TaskKind,
    /// The document's id.
    pub document: Arc<str>,
    /// The prompt as one text.
    pub text: String,
    /// Its tokens, where a tokenizer is named.
    pub tokens: Option<usize>,
}

/// Looks at a recipe: reads as many documents as it takes to show `prompts` prompts. Nothing is written.
///
/// # Errors
/// As [`Plan::of`] and [`Plan::documents`].
pub fn look(recipe: &Generate, prompts: usize) -> Result<Look> {
    let plan = Plan::of(recipe)?;
    let mut look = Look {
        files: plan.files.clone(),
        kinds: plan.road.kinds.clone(),
        prompts: Vec::new(),
        rejects: Vec::new(),
    };
    let documents = only(plan.documents(recipe)?, recipe.document.clone())
        .take_documents(recipe.limit.unwrap_or(u64::MAX));
    for read in documents {
        let document = match read {
            Ok(document) => document,
            Err(reject) => {
                look.rejects.push(reject);
                continue;
            }
        };
        for passage in plan.road.chunker.chunk(&document) {
            for kind in &plan.road.kinds {
                if look.prompts.len() == prompts {
                    return Ok(look);
                }
                let text = plan.road.request(0, *kind, &passage).input.text();
                let window = plan.road.window.as_ref();
                let tokens = window.map(|window| chunk::count_tokens(&window.tokenizer, &text));
                look.prompts.push(LookPrompt {
                    kind: *kind,
                    document: Arc::clone(&passage.document),
                    text,
                    tokens,
                });
            }
        }
    }
    Ok(look)
}
