//! `eval`: what a model makes of benchmarks.

mod folder;
mod show;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use instil::benchmark::alignment::{Gain, Judged, gains};
use instil::benchmark::report::{Report, Tally};
use instil::benchmark::run::{Settings, ask};
use instil::benchmark::{Benchmark, Kind, Wrap, built_in, data};
use instil::journal::Journal;
use instil::lm::LanguageModel;
use instil::lm::replay::Replay;
use instil::recipe::Eval;
use instil::{Error, Result};
use instil_remote::hub::{self, Repo, Wanted};
use serde_json::{Value, json};

use crate::args::{EvalArgs, HowOfAll, ModelArgs};
use crate::progress::{Progress, catch_interrupts};
use crate::{exit, output, settings};
use folder::Folder;

pub(crate) fn run(args: EvalArgs) -> Result<u8> {
    if args.list {
        show::list(args.json);
        return Ok(exit::DONE);
    }
    let benchmarks = benchmarks(&args.benchmark)?;
    let asked: Vec<Asked> =
        benchmarks.iter().map(|benchmark| Asked::of(benchmark, &args)).collect::<Result<_>>()?;
    // What is missing of any of them is known before the first is asked.
    for one in &asked {
        one.rows()?;
    }
    if args.dry_run {
        return show::questions(&asked, args.json);
    }
    let before = args.before.as_deref().map(|path| before(path, &asked)).transpose()?;
    catch_interrupts()?;
    let mut progress = Progress::start(args.quiet);
    let model: Box<dyn LanguageModel> = match &args.replay {
        Some(recording) => Box::new(Replay::open(recording)?),
        None => match settings::measured(&args.model, args.constrain, &mut progress)? {
            Some(model) => model,
            None => {
                progress.finish();
                output::talk("interrupted; the same command goes on where this one stopped");
                return Ok(exit::INTERRUPTED);
            }
        },
    };
    if !args.quiet {
        model.notes().iter().for_each(|note| output::talk(note));
    }
    for one in &asked {
        one.check(model.as_ref(), args.model.endpoint.is_some())?;
    }
    let mut folder = match &args.output {
        Some(path) => Some(Folder::begin(path, &what(&asked, model.as_ref(), args.seed)?, args.overwrite)?),
        None => None,
    };
    let journal = match (&args.journal, &folder) {
        (Some(path), _) => Some(Journal::open(path)?),
        (None, Some(folder)) => Some(Journal::open(&folder.journal())?),
        (None, None) => None,
    };
    let mut reports: Vec<Report> = Vec::with_capacity(asked.len());
    let mut gained: BTreeMap<String, Vec<Gain>> = BTreeMap::new();
    for one in &asked {
        let mut tally = Tally::new(one.benchmark);
        let (account, whole) = ask(
            one.benchmark,
            &one.settings,
            one.rows()?,
            model.as_ref(),
            journal.as_ref(),
            &mut |answer| {
                let line = tally.add(&answer);
                folder.as_mut().map_or(Ok(()), |folder| folder.item(line))
            },
            &mut |account| progress.watch_items(&one.benchmark.name, account.items),
        )?;
        if !whole {
            progress.finish();
            output::talk(match args.output {
                Some(_) => "interrupted; the same command goes on where this one stopped",
                None => "interrupted; with -o DIR the same command would go on where this one stopped",
            });
            return Ok(exit::INTERRUPTED);
        }
        if let Some(before) = before.as_ref().filter(|_| !tally.judged().is_empty()) {
            gained.insert(one.benchmark.name.clone(), gains(before, tally.judged(), args.seed)?);
        }
        reports.push(tally.report(account, args.seed));
    }
    let seconds = progress.finish();
    let failed: u64 = reports.iter().map(|report| report.account.failed).sum();
    let whole = whole(&reports, &asked, model.as_ref(), args.seed, &gained);
    if failed == 0
        && let Some(folder) = folder
    {
        folder.finish(&whole)?;
    }
    match args.json {
        true => output::data(&whole.to_string()),
        false => {
            show::numbers(&reports);
            show::gains(&gained);
        }
    }
    if !args.quiet {
        show::account(&reports, &asked, args.output.as_deref(), seconds);
    }
    Ok(if failed > 0 { exit::NOT_DONE } else { exit::DONE })
}

/// Runs a recipe's step.
pub(crate) fn execute(step: Eval, how: &HowOfAll) -> Result<u8> {
    let threads = how.threads.or((step.threads > 0).then_some(step.threads));
    let args = EvalArgs {
        overwrite: how.overwrite,
        dry_run: how.dry_run,
        json: how.json,
        quiet: how.quiet,
        ..EvalArgs::from(step)
    };
    run(EvalArgs { model: ModelArgs { threads, ..args.model }, ..args })
}

/// Prints what a recipe's step would ask.
pub(crate) fn show(step: &Eval, as_json: bool) -> Result<u8> {
    if as_json {
        output::data(&json!({"recipe": step}).to_string());
        return Ok(exit::DONE);
    }
    let found = benchmarks(&step.benchmark)?;
    let names: Vec<&str> = found.iter().map(|benchmark| benchmark.name.as_str()).collect();
    output::data(&format!("asks `{}` about {}", step.model, names.join(", ")));
    Ok(exit::DONE)
}

impl From<Eval> for EvalArgs {
    fn from(step: Eval) -> Self {
        let Eval { verb: _, benchmark, output, data, model, adapter, endpoint, quantize, .. } = step;
        let Eval { wrap, together, in_words, constrain, limit, seed, before, journal, threads: _, .. } = step;
        Self {
            benchmark,
            data,
            model: ModelArgs { model: Some(model), adapter, endpoint, quantize, ..ModelArgs::default() },
            wrap,
            together,
            in_words,
            constrain,
            limit,
            seed,
            output: Some(output.into()),
            journal: journal.map(PathBuf::from),
            before: before.map(PathBuf::from),
            ..Self::default()
        }
    }
}

/// A benchmark and how it is run.
struct Asked<'a> {
    benchmark: &'a Benchmark,
    settings: Settings,
    data: &'a [String],
}

impl<'a> Asked<'a> {
    fn of(benchmark: &'a Benchmark, args: &'a EvalArgs) -> Result<Self> {
        let wrap = args.wrap.as_deref().map(Wrap::parse).transpose()?;
        let settings = Settings {
            wrap: wrap.unwrap_or_else(|| benchmark.wrap.clone()),
            together: args.together,
            // A recording has texts and no likelihoods.
            in_words: args.in_words || args.replay.is_some(),
            constrain: args.constrain,
            limit: args.limit.unwrap_or(u64::MAX),
        };
        Ok(Self { benchmark, settings, data: &args.data })
    }

    fn rows(&self) -> Result<data::Rows<'a>> {
        data::open(self.benchmark, self.data, &snapshot)
    }

    /// Refuses a model that can't be asked so.
    fn check(&self, model: &dyn LanguageModel, is_endpoint: bool) -> Result<()> {
        let name = &self.benchmark.name;
        let needs_text = match &self.benchmark.kind {
            _ if self.settings.constrain && !model.capabilities().constrains => {
                return Err(Error::usage(format!("`{}` can't be held to choices", model.identity()))
                    .with_hint("leave out --constrain: then what it writes is compared with them"));
            }
            _ if self.settings.in_words => return Ok(()),
            Kind::Generate { .. } => return Ok(()),
            Kind::Greedy { .. } => false,
            Kind::Rank { eos, apart, .. } => (*eos || *apart) && !self.settings.together,
        };
        if !model.capabilities().scores {
            return Err(Error::usage(format!(
                "`{name}` is about likelihoods, and `{}` gives none",
                model.identity()
            ))
            .with_hint("name weights with --model, or a server with --endpoint; `--in-words` has a model write its choice"));
        }
        if is_endpoint && needs_text {
            return Err(Error::usage(format!(
                "`{name}` encodes prompt and choice apart and scores the end of text, which no endpoint can"
            ))
            .with_hint(
                "run the model here, with its weights as --model; or `--together`, whose figures are not comparable",
            ));
        }
        Ok(())
    }
}

/// The benchmarks that are named, a suite's in its place, each once.
fn benchmarks(named: &[String]) -> Result<Vec<Benchmark>> {
    let mut names: Vec<&str> = Vec::new();
    for name in named {
        match built_in::suite(name) {
            Some(suite) => names.extend(suite),
            None => names.push(name),
        }
    }
    let mut found: Vec<Benchmark> = Vec::with_capacity(names.len());
    for name in names {
        let benchmark = Benchmark::find(name)?;
        if !benchmark.is_labelled {
            return Err(Error::usage(format!("`{}` is unlabelled: its rows don't say what is right", benchmark.name))
                .with_hint("`mix --learn` asks about such rows; to measure, its file needs `gold`, `answer` or `references`"));
        }
        if !found.iter().any(|other| other.hash == benchmark.hash) {
            found.push(benchmark);
        }
    }
    Ok(found)
}

/// The folder of a dataset's snapshot in the Hub's cache. Nobody is asked.
pub(crate) fn snapshot(id: &str) -> Option<PathBuf> {
    let config = super::pull::hub_config().ok()?;
    let repo = Repo::parse(id, hub::Kind::Dataset).ok()?;
    if let Some(pulled) = hub::find(&config, &repo, &Wanted::default()) {
        return Some(pulled.folder);
    }
    // What another library has fetched in part.
    let folder = config.cache.join(format!("datasets--{}", id.replace('/', "--")));
    let commit = std::fs::read_to_string(folder.join("refs/main")).ok()?;
    Some(folder.join("snapshots").join(commit.trim())).filter(|path| path.is_dir())
}

/// What decides the numbers: written beside them, so that a folder isn't continued with something else.
fn what(asked: &[Asked<'_>], model: &dyn LanguageModel, seed: u64) -> Result<Value> {
    let of = |one: &Asked<'_>| {
        let files = one.rows()?.files;
        let files: Vec<Value> =
            files.iter().map(|file| json!({"name": &*file.name, "bytes": file.bytes})).collect();
        let Settings { wrap, together, in_words, constrain, limit } = &one.settings;
        let mut what = json!({
            "benchmark": one.benchmark.name,
            "hash": one.benchmark.hash,
            "files": files,
            "wrap": wrap.name(),
            "together": together,
            "in_words": in_words,
            "limit": (*limit < u64::MAX).then_some(limit),
        });
        if *constrain {
            what["constrain"] = true.into();
        }
        Ok(what)
    };
    let benchmarks = asked.iter().map(of).collect::<Result<Vec<Value>>>()?;
    Ok(json!({"model": &*model.identity(), "seed": seed, "benchmarks": benchmarks}))
}

/// The report as JSON.
fn whole(
    reports: &[Report],
    asked: &[Asked<'_>],
    model: &dyn LanguageModel,
    seed: u64,
    gained: &BTreeMap<String, Vec<Gain>>,
) -> Value {
    let wraps: Vec<Value> = asked.iter().map(|one| one.settings.wrap.name().into()).collect();
    let mut whole = json!({
        "model": &*model.identity(),
        "seed": seed,
        "wrap": wraps,
        "reports": reports,
        "suites": show::suites(reports),
    });
    if !gained.is_empty() {
        whole["gains"] = json!(gained);
    }
    whole
}

/// What an evaluation of the base left of each item.
fn before(folder: &Path, asked: &[Asked<'_>]) -> Result<Vec<Judged>> {
    if asked.iter().all(|one| one.benchmark.rules().next().is_none()) {
        return Err(Error::usage("none of these benchmarks has rules by which a difference is explained")
            .with_hint("add `rules` to its file: `docs/guides/evaluate.md` says how"));
    }
    let path = folder.join(folder::ITEMS);
    let failed = || Error::input(format!("failed to read `{}`", shown(&path)));
    let text = std::fs::read_to_string(&path)
        .map_err(|e| failed().because(e).with_hint("name the folder of a finished `eval -o DIR`"))?;
    let mut judged = Vec::new();
    for line in text.lines() {
        let line = serde_json::from_str(line).map_err(|e| failed().because(e))?;
        judged.extend(Judged::of_line(&line));
    }
    Ok(judged)
}

/// The path as messages show it.
fn shown(path: &Path) -> String {
    path.display().to_string()
}
