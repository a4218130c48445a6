//! `unify`: rows of several instruction styles into a file of one, or of one into several; from a recipe to a finished
//! output.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::Path;

use serde::Deserialize;

use super::generate::nothing_read;
use super::hold::{Begun, begin};
use super::rows_plan::without_own_output;
use super::{Done, Existing};
use crate::convert::Shape;
use crate::error::{Error, Result};
use crate::ledger::Ledger;
use crate::pipeline::Ended;
use crate::pipeline::convert::FileShape;
use crate::pipeline::unify::{Plans, UnifyRoad};
use crate::recipe::{Step, Unify};
use crate::reject::{Reject, Stage};
use crate::rng::hex_of;
use crate::sink::{Layout, ObjectWriter};
use crate::source::{self, SourceFile};
use crate::template::Collection;
use crate::template::rendered::Lifters;
use crate::transfer::Task;
use crate::unify::imitate::{Imitated, style_of};
use crate::unify::plan::Given;
use crate::unify::{Level, Style, TaskReport};

/// The shape of rows whose definition stands in a column of its own.
const APART: &str = "super-ni-rows";
/// The shape of rows whose prompt is one text.
const PAIRS: &str = "prompt-completion";
/// So many rows of a dataset show its style.
const SHOWN: u64 = 20_000;

/// A recipe of `unify` whose names are looked up and whose inputs are found.
pub struct UnifyPlan {
    /// What is read, in order.
    pub files: Vec<SourceFile>,
    /// What is made of each row.
    pub road: UnifyRoad,
    /// Where the rows go.
    pub layout: Layout,
    /// Threads that work.
    pub threads: NonZeroUsize,
    /// What was read beside the rows: styles and definitions.
    beside: Vec<String>,
}

impl UnifyPlan {
    /// Settles a recipe. Nothing is written; of a dataset whose style is taken over the first rows are read.
    ///
    /// # Errors
    /// When an input is missing, or a style, level or shape has no meaning.
    pub fn of(recipe: &Unify) -> Result<Self> {
        if recipe.input.is_empty() {
            return Err(Error::usage("no input is named")
                .with_hint("name files of rows, as in `instil unify rows.jsonl --level task -o out.jsonl`"));
        }
        if recipe.max_drop.is_some_and(|most| !(0.0..=1.0).contains(&most)) {
            return Err(Error::usage("max_drop must be a share from 0 to 1"));
        }
        let threads = NonZeroUsize::new(recipe.threads)
            .or_else(|| std::thread::available_parallelism().ok())
            .unwrap_or(NonZeroUsize::MIN);
        let asked = recipe.level.as_deref().map(Level::parse).transpose()?;
        let (level, styles) = styles(recipe, asked, threads)?;
        let to = Shape::parse(recipe.to.as_deref().unwrap_or(if styles.is_empty() { APART } else { PAIRS }))?;
        if to.is_task() {
            return Err(Error::usage(format!(
                "a row of `{}` holds a task with all of its instances",
                to.name
            ))
            .with_hint(format!("rows are written as they come: take `--to {APART}`")));
        }
        let from = recipe.from.as_deref().map(Shape::parse).transpose()?;
        let layout = Layout::of(Path::new(&recipe.output))?;
        if layout.is_folder() && !layout.is_in_memory() {
            return Err(Error::usage(format!(
                "`unify` writes one file, and `{}` is a folder",
                recipe.output
            ))
            .with_hint("end the output's name in .jsonl, .jsonl.gz, .jsonl.zst or .json"));
        }
        ObjectWriter::check(&layout, to.name, to.columns())?;
        let mut files = source::resolve_rows(&recipe.input)?;
        without_own_output(&mut files, &layout)?;
        if files.iter().any(|file| file.path == Path::new("-")) {
            return Err(Error::usage("rows are read twice, and standard input can be read once")
                .with_hint("put them into a file"));
        }
        if recipe.keep_rest && styles.is_empty() {
            return Err(Error::usage(
                "rows that stay as they are have no place in columns of definitions and inputs",
            )
            .with_hint("name a style with --style, so that all rows are prompts and completions"));
        }
        let mut beside: Vec<String> = styles.iter().map(Style::to_toml).collect();
        let definitions = match &recipe.definitions {
            Some(path) => {
                let definitions = definitions(Path::new(path))?;
                beside.push(format!("{definitions:?}"));
                definitions
            }
            None => BTreeMap::new(),
        };
        let lifters = (!recipe.templates.is_empty())
            .then(|| {
                let mut collection = Collection::default();
                recipe.templates.iter().try_for_each(|path| collection.add(Path::new(path)))?;
                Ok::<_, Error>(Lifters::of(&collection))
            })
            .transpose()?;
        let given = Given { definitions, lifters, wants_fields: level == Level::Keyword };
        let road = UnifyRoad {
            from,
            to,
            level,
            styles,
            task_column: recipe.task_column.clone(),
            keep_rest: recipe.keep_rest,
            seed: recipe.seed,
            is_table: ObjectWriter::is_table(&layout),
            limit: recipe.limit.unwrap_or(u64::MAX),
            given,
        };
        Ok(Self { files, road, layout, threads, beside })
    }

    /// The definitions that were given, by task.
    pub fn definitions(&self) -> &BTreeMap<String, String> {
        &self.road.given.definitions
    }

    /// What the files were when a run began.
    fn fingerprint(&self) -> Option<String> {
        let parts: Option<Vec<String>> = self
            .files
            .iter()
            .map(|file| Some(format!("{} {} {}", file.name, file.bytes, file.modified?)))
            .collect();
        let mut parts = parts?;
        parts.extend(self.beside.iter().cloned());
        Some(hex_of(&parts.iter().map(String::as_str).collect::<Vec<_>>(), 32))
    }
}

/// The level and the styles that a recipe names; no style where definition and input get columns of their own.
fn styles(recipe: &Unify, asked: Option<Level>, threads: NonZeroUsize) -> Result<(Level, Vec<Style>)> {
    let mut found: Vec<Style> = Vec::new();
    for named in &recipe.style {
        let path = Path::new(named);
        if named.ends_with(".toml") {
            let text = std::fs::read_to_string(path).map_err(|error| {
                Error::input(format!("failed to read the styles `{named}`")).because(error)
            })?;
            found.extend(Style::parse_file(&text).map_err(|error| {
                let hint = error.hint().map(str::to_owned);
                let whole =
                    Error::input(format!("failed to read the styles `{named}`")).because(error.to_string());
                match hint {
                    Some(hint) => whole.with_hint(hint),
                    None => whole,
                }
            })?);
        } else if path.exists() || named.contains(['*', '/', '\\']) {
            match imitated(recipe, named, threads)? {
                Imitated::Apart if recipe.style.len() == 1 && !recipe.diversify => {
                    return Ok((asked.unwrap_or(Level::Task), Vec::new()));
                }
                Imitated::Apart => {
                    return Err(Error::usage(format!("definition and input stand apart in `{named}`"))
                        .with_hint("name it alone, and without --diversify"));
                }
                Imitated::Style(style) => found.push(*style),
            }
        } else {
            found.push(Style::built_in(named)?);
        }
    }
    if recipe.diversify && found.is_empty() {
        found = Style::all_built_in();
        found.retain(|style| asked.map_or(style.has_definition(), |level| style.level() == level));
    }
    if recipe.style.is_empty() && !recipe.diversify {
        return match asked.unwrap_or(Level::Task) {
            Level::Task => Ok((Level::Task, Vec::new())),
            Level::Instance => Ok((Level::Instance, vec![Style::built_in("first")?])),
            Level::Keyword => Ok((Level::Keyword, vec![Style::built_in("crossfit")?])),
        };
    }
    if let Some(level) = asked {
        let names: Vec<String> = found.iter().map(|style| format!("`{}`", style.name())).collect();
        found.retain(|style| style.level() == level);
        if found.is_empty() {
            return Err(Error::usage(format!("{} is not of the level `{}`", names.join(", "), level.name()))
                .with_hint("leave out --level, or name another style"));
        }
    }
    if !recipe.diversify && found.len() > 1 {
        let names: Vec<String> = found.iter().map(|style| format!("`{}`", style.name())).collect();
        return Err(Error::usage(format!("one style is wanted, and there are {}", names.join(", ")))
            .with_hint("name one of them, or draw among them with --diversify"));
    }
    let level = match found.iter().find(|style| style.has_definition()) {
        Some(style) => style.level(),
        None => Level::Keyword,
    };
    Ok((level, found))
}

/// The style of a dataset.
fn imitated(recipe: &Unify, named: &str, threads: NonZeroUsize) -> Result<Imitated> {
    let road = UnifyRoad {
        from: None,
        to: Shape::parse(PAIRS)?,
        level: Level::Task,
        styles: Vec::new(),
        task_column: recipe.task_column.clone(),
        keep_rest: false,
        seed: recipe.seed,
        is_table: false,
        limit: SHOWN,
        given: Given::default(),
    };
    let files = source::resolve_rows(&[named.to_owned()])?;
    let (plans, _) = road.plan(files, threads, &mut |_| ControlFlow::Continue(()))?;
    let plans = plans.expect("nobody broke off");
    style_of(named, &plans.tasks)
}

/// Definitions by task, of a file with an object on each line.
fn definitions(path: &Path) -> Result<BTreeMap<String, String>> {
    #[derive(Deserialize)]
    struct Line {
        task: String,
        definition: Option<String>,
    }
    let failed = || Error::input(format!("failed to read the definitions `{}`", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| failed().because(error))?;
    let mut found = BTreeMap::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let line: Line = serde_json::from_str(line).map_err(|error| {
            failed().because(format!("line {number}: {error}")).with_hint(
                "a line looks like {\"task\": \"boolq\", \"definition\": \"Read the passage and answer yes or no.\"}; that of \
                 --report does, too",
            )
        })?;
        // Of a report, the tasks that still lack one.
        let Some(definition) = line.definition.filter(|definition| !definition.trim().is_empty()) else {
            continue;
        };
        if found.insert(line.task.clone(), definition).is_some() {
            return Err(failed().because(format!("line {number}: `{}` has two definitions", line.task)));
        }
    }
    Ok(found)
}

/// What a run was told of its tasks.
#[derive(Debug, Default)]
pub struct Unified {
    /// The shapes that files were read as.
    pub shapes: Vec<FileShape>,
    /// Every task, each of its templates.
    pub tasks: Vec<TaskReport>,
}

/// Brings the datasets of a recipe to one style, or to several. A run that was broken off begins anew.
///
/// `watch` sees the ledger after each batch, and can break off.
///
/// # Errors
/// When the output belongs to another run, another process is at it, it can't be written, or the inputs hold no row at
/// all or rows of no known shape.
pub fn unify(
    recipe: &Unify,
    plan: &UnifyPlan,
    existing: Existing,
    watch: &mut dyn FnMut(&Ledger) -> ControlFlow<()>,
) -> Result<(Done, Unified)> {
    let step = Step::from(recipe.clone());
    let held = match begin(&step, &plan.layout, existing, plan.fingerprint())? {
        Begun::Finished(report) => return Ok((Done::AlreadyFinished(report), Unified::default())),
        Begun::Held(held) => held,
    };
    let road = &plan.road;
    let empty = Ledger::of(&Stage::FROM_STYLES);
    let (plans, shapes) = road.plan(plan.files.clone(), plan.threads, &mut |_| watch(&empty))?;
    let Some(mut plans) = plans else {
        let done = held.end_with(empty, Ended::Interrupted, false, String::new(), |_| Ok(()))?;
        return Ok((done, Unified { shapes, tasks: Vec::new() }));
    };
    let mut round = 0;
    let (ledger, ended, writer) = loop {
        let mut writer = ObjectWriter::create(&plan.layout, road.to.name, road.to.columns())?;
        if recipe.keep_run {
            // Else it would be removed with the run folder.
            writer = writer.with_origins()?;
        }
        let (ledger, ended, misfits) =
            road.send(&plans, plan.files.clone(), plan.threads, &mut writer, watch)?;
        if ended == Ended::Interrupted || !plans.mend(misfits, &road.given, round) {
            break (ledger, ended, writer);
        }
        round += 1;
    };
    let read = ledger.stage(Stage::Read);
    if ended == Ended::Whole && read.out == 0 && read.r#in > 0 {
        return Err(nothing_read(&recipe.input, read));
    }
    let tasks = reports(road, &plans, &ledger);
    let done = held.end_with(ledger, ended, false, String::new(), |_| writer.finish().map(drop))?;
    if let (Some(path), Done::Finished(_)) = (&recipe.report, &done) {
        write_report(Path::new(path), &tasks)?;
    }
    Ok((done, Unified { shapes, tasks }))
}

/// What would become of the tasks, and the first rows.
///
/// # Errors
/// As [`unify`].
pub fn look_unify(
    plan: &UnifyPlan,
    most: usize,
) -> Result<(Unified, Vec<Result<serde_json::Value, Reject>>)> {
    let (plans, shapes) =
        plan.road.plan(plan.files.clone(), plan.threads, &mut |_| ControlFlow::Continue(()))?;
    let plans = plans.expect("nobody broke off");
    let rows = plan.road.first(&plans, plan.files.clone(), most)?;
    let tasks = reports(&plan.road, &plans, &Ledger::of(&Stage::FROM_STYLES));
    Ok((Unified { shapes, tasks }, rows))
}

/// The tasks whose definition rules can't write, each with some of its rows; none where it was broken off. The files are
/// read once.
///
/// # Errors
/// As [`unify`].
pub fn unwritten(
    plan: &UnifyPlan,
    watch: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<Option<Vec<Task>>> {
    if !plan.road.needs_definition() {
        return Ok(Some(Vec::new()));
    }
    let (plans, _) = plan.road.plan(plan.files.clone(), plan.threads, watch)?;
    Ok(plans.map(|plans| plans.unwritten(plan.road.level)))
}

fn reports(road: &UnifyRoad, plans: &Plans, ledger: &Ledger) -> Vec<TaskReport> {
    let of = |(task, plan): &(String, _)| -> Vec<TaskReport> {
        let plan: &crate::unify::plan::TaskPlan = plan;
        let count = ledger.sets.get(task);
        let report = |template| TaskReport::of(plan, template, count, road.needs_definition());
        plan.templates.iter().map(report).collect()
    };
    plans.tasks.iter().flat_map(of).collect()
}

/// An object of each task, a line each.
fn write_report(path: &Path, tasks: &[TaskReport]) -> Result<()> {
    let lines: Vec<String> = tasks
        .iter()
        .map(|task| serde_json::to_string(task).expect("a report is plain values") + "\n")
        .collect();
    std::fs::write(path, lines.concat()).map_err(|error| {
        Error::output(format!("failed to write the report `{}`", path.display())).because(error)
    })
}
