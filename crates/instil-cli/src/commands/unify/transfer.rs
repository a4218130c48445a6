//! `unify` with a model: definitions that rules can't write, one instruction of a file, pairs and what models make of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use indicatif::HumanCount;
use instil::journal::Journal;
use instil::lm::LanguageModel;
use instil::lm::replay::Replay;
use instil::lm::scripted::Scripted;
use instil::recipe::Unify;
use instil::run::{UnifyPlan, unwritten};
use instil::transfer::Task;
use instil::transfer::ask::{Asking, End, Settings, ask};
use instil::transfer::choose::Judge;
use instil::transfer::cost::{self, Budget, Caps, Estimate, Prices};
use instil::transfer::offline::{self, Worth};
use instil::transfer::pairs::{self, Pair};
use instil::transfer::road::{self, How, Step, Written};
use instil::unify::{Instruction, Level, Style};
use instil::{Error, Result};
use serde_json::json;

use crate::args::{HowOfAll, TransferArgs};
use crate::progress::{Progress, catch_interrupts};
use crate::tables::{plural, reasons, table};
use crate::{exit, output, settings};

/// What `unify` does without rows: one instruction, pairs, what a model is worth. None where none of it is asked for.
pub(crate) fn alone(
    step: &Unify,
    to: Option<&str>,
    args: &TransferArgs,
    how: &HowOfAll,
) -> Result<Option<u8>> {
    let around = Around { threads: how.threads, seed: step.seed, quiet: how.quiet, run: None };
    if let Some(file) = &args.make_pairs {
        let to = to.ok_or_else(|| {
            Error::usage("no output is named").with_hint("add `-o pairs`: a folder that gets the pairs")
        })?;
        if how.dry_run {
            let would = format!("pair the definitions of `{}` with templates, in `{to}`", file.display());
            return Ok(Some(said(&would, how)));
        }
        return make_pairs(file, &step.templates, Path::new(to), step.seed).map(Some);
    }
    if let Some(file) = &args.judge {
        if how.dry_run {
            return Ok(Some(said(&format!("try ways to write definitions on `{}`", file.display()), how)));
        }
        return judge(args, file, &around).map(Some);
    }
    let Some(file) = &args.prompt_file else { return Ok(None) };
    if !args.has_model() {
        return Err(Error::usage("nobody is named who could write")
            .with_hint("name weights with --model, a server with --endpoint, or a recording with --replay"));
    }
    if how.dry_run {
        return Ok(Some(said(&format!("bring the instruction of `{}` to a style", file.display()), how)));
    }
    let style = match step.style.first() {
        Some(named) => Style::built_in(named)?,
        None => match step.level.as_deref().map(Level::parse).transpose()?.unwrap_or(Level::Task) {
            Level::Instance => Style::built_in("first")?,
            Level::Task | Level::Keyword => Style::built_in(NATURAL)?,
        },
    };
    prompt_file(args, file, &style, &around).map(Some)
}

/// Says what would be done.
fn said(would: &str, how: &HowOfAll) -> u8 {
    output::data(&match how.json {
        true => json!({ "would": would }).to_string(),
        false => format!("would {would}"),
    });
    exit::DONE
}

/// Has the definitions written that a step's tasks lack, and puts their file into the step: rows are then made by rules
/// alone, and the same recipe makes them again without a model. None where the step goes on, else the exit code.
pub(crate) fn before(step: &mut Unify, args: &TransferArgs, how: &HowOfAll) -> Result<Option<u8>> {
    settings::unify_how_over(step, how);
    if step.output == "-" && !how.dry_run {
        return Err(Error::usage("what a model wrote is kept beside the output, which is none")
            .with_hint("write the rows to a file with -o"));
    }
    let plan = UnifyPlan::of(step)?;
    catch_interrupts()?;
    let mut progress = Progress::start(how.quiet);
    let tasks =
        unwritten(&plan, &mut |rows| progress.watch_tasks(format!("{} rows seen", HumanCount(rows))))?;
    progress.finish();
    let Some(tasks) = tasks else { return Ok(Some(exit::INTERRUPTED)) };
    if tasks.is_empty() {
        if !how.quiet {
            output::talk("rules can write every definition; no model is asked");
        }
        return Ok(None);
    }
    let natural = Style::built_in(NATURAL)?;
    let style = plan.road.styles.first().unwrap_or(&natural);
    if how.dry_run {
        dry_run(args, &tasks, style, step.seed, how.json)?;
        return Ok(None);
    }
    let folder = PathBuf::from(format!("{}.definitions", step.output));
    fs::create_dir_all(&folder)
        .map_err(|e| Error::output(format!("failed to make `{}`", folder.display())).because(e))?;
    let around = Around { threads: how.threads, seed: step.seed, quiet: how.quiet, run: Some(&folder) };
    let written = match definitions(args, &tasks, style, &around)? {
        Found::Ended(code) => return Ok(Some(code)),
        Found::Definitions(written) => written,
    };
    let line = |(task, definition): (&String, &String)| {
        json!({"task": task, "definition": definition}).to_string() + "\n"
    };
    let lines: String = plan.definitions().iter().chain(&written).map(line).collect();
    let path = folder.join("definitions.jsonl");
    let partial = folder.join("definitions.jsonl.partial");
    fs::write(&partial, lines)
        .and_then(|()| fs::rename(&partial, &path))
        .map_err(|e| Error::output(format!("failed to write `{}`", path.display())).because(e))?;
    step.definitions = Some(path.display().to_string());
    Ok(None)
}

/// The style in which definitions are judged where definition and input get columns of their own.
const NATURAL: &str = "super-ni";

/// How a run is, besides what is asked for.
pub(crate) struct Around<'a> {
    /// Threads of what runs here.
    pub(crate) threads: Option<usize>,
    /// What all drawing begins with.
    pub(crate) seed: u64,
    /// Whether nothing but errors is said.
    pub(crate) quiet: bool,
    /// Where the journal and the report of the candidates are; nowhere for one instruction.
    pub(crate) run: Option<&'a Path>,
}

/// What came of having definitions written.
pub(crate) enum Found {
    /// Definitions by task.
    Definitions(BTreeMap<String, String>),
    /// It ended before every task had one; the code says how.
    Ended(u8),
}

/// The name of the file that tells of every task's candidates.
pub(crate) const REPORT: &str = "candidates.jsonl";

/// Has definitions written for tasks, and tells of it.
pub(crate) fn definitions(
    args: &TransferArgs,
    tasks: &[Task],
    style: &Style,
    around: &Around<'_>,
) -> Result<Found> {
    let Some(written) = write(args, tasks, style, around)? else {
        return Ok(Found::Ended(exit::INTERRUPTED));
    };
    if let Some(run) = around.run {
        let lines: String = road::report(tasks, &written).map(|line| line + "\n").collect();
        let path = run.join(REPORT);
        fs::write(&path, lines)
            .map_err(|e| Error::output(format!("failed to write `{}`", path.display())).because(e))?;
    }
    if !around.quiet {
        say(tasks, &written, around.run);
    }
    match &written.end {
        End::Interrupted => {
            output::talk("interrupted; the same command goes on where this one stopped");
            return Ok(Found::Ended(exit::INTERRUPTED));
        }
        End::Capped(cap) => {
            let pending = written.choices.iter().filter(|choice| choice.is_none()).count();
            output::talk(&format!(
                "{cap}; {} left. The same command with a higher cap goes on where this one stopped",
                plural(pending, "task")
            ));
            return Ok(Found::Ended(exit::NOT_DONE));
        }
        End::Whole => {}
    }
    if written.failed > 0 {
        output::talk(&format!(
            "{} calls failed for good; the same command asks only for those again",
            HumanCount(written.failed)
        ));
        return Ok(Found::Ended(exit::NOT_DONE));
    }
    let definitions = tasks
        .iter()
        .zip(&written.choices)
        .filter_map(|(task, choice)| {
            Some((task.name().to_owned(), choice.as_ref()?.definition()?.to_owned()))
        })
        .collect();
    Ok(Found::Definitions(definitions))
}

/// None if Ctrl-C came while weights were fetched.
fn write(args: &TransferArgs, tasks: &[Task], style: &Style, around: &Around<'_>) -> Result<Option<Written>> {
    let prices = args.prices.as_deref().map(Prices::parse).transpose()?;
    let caps = Caps { calls: args.cap_calls, tokens: args.cap_tokens, money: args.cap_money };
    let mut budget = Budget::new(caps, prices)?;
    let pairs = args.seeds.as_deref().map(pairs::read).transpose()?.unwrap_or_default();
    let asked = Settings::of(args.many(), around.seed);
    catch_interrupts()?;
    let mut progress = Progress::start(around.quiet);
    let Some(writer) = writer(args, around, &mut progress)? else { return Ok(None) };
    let scorer = match args.judge_model(around.threads) {
        None => None,
        Some(scorer) => match settings::measured(&scorer, false, &mut progress)? {
            None => return Ok(None),
            scorer => scorer,
        },
    };
    if !around.quiet {
        writer.notes().iter().for_each(|note| output::talk(note));
    }
    let journal = match around.run {
        Some(run) => Some(Journal::open(&run.join("journal.sqlite"))?),
        None => None,
    };
    let judge: Option<&dyn LanguageModel> =
        scorer.as_deref().or(Some(writer.as_ref()).filter(|_| args.has_judge()));
    let judge = judge.filter(|model| model.capabilities().scores);
    if args.reference && judge.is_none() {
        return Err(Error::usage("--reference chooses by likelihood, and nobody gives any")
            .with_hint("name weights with --scorer"));
    }
    let asking =
        Asking { model: writer.as_ref(), journal: journal.as_ref(), pairs: &pairs, settings: &asked };
    let judge = judge.map(|model| Judge { model, journal: journal.as_ref(), style });
    if !around.quiet {
        let estimate = Estimate::of(tasks, &asking, judge.as_ref(), prices, &cost::by_characters);
        output::talk(&told(&estimate));
    }
    if judge.is_none() && !around.quiet {
        output::talk(
            "nobody judges: the first definition that passes the checks is taken; --scorer names weights that choose",
        );
    }
    let how = How { asking, judge, reference: args.reference };
    let all = tasks.len() as u64;
    let written = road::write(tasks, &how, &mut budget, &mut |step| {
        progress.watch_tasks(match step {
            Step::Asked(done) => format!("{done} of {all} tasks have their candidates"),
            Step::Chosen(done) => format!("{done} of {all} tasks are decided"),
        })
    });
    progress.finish();
    written.map(Some)
}

/// The model that writes; none if Ctrl-C came while its weights were fetched.
fn writer(
    args: &TransferArgs,
    around: &Around<'_>,
    progress: &mut Progress,
) -> Result<Option<Box<dyn LanguageModel>>> {
    match &args.replay {
        Some(recording) => Ok(Some(Box::new(Replay::open(recording)?))),
        None => settings::measured(&args.writer(around.threads), false, progress),
    }
}

/// What having definitions written would take, as `--dry-run` prints it. Nobody is asked, and no weights are read: prompts
/// are counted as those of a model that takes conversations.
pub(crate) fn dry_run(
    args: &TransferArgs,
    tasks: &[Task],
    style: &Style,
    seed: u64,
    as_json: bool,
) -> Result<()> {
    let prices = args.prices.as_deref().map(Prices::parse).transpose()?;
    let pairs = args.seeds.as_deref().map(pairs::read).transpose()?.unwrap_or_default();
    let settings = Settings::of(args.many(), seed);
    let nobody = Scripted::new(0, 1, |_, _| instil::lm::Outcome::Declined);
    let asking = Asking { model: &nobody, journal: None, pairs: &pairs, settings: &settings };
    let judge = Judge { model: &nobody, journal: None, style };
    let judge = Some(&judge).filter(|_| args.has_judge());
    let estimate = Estimate::of(tasks, &asking, judge, prices, &cost::by_characters);
    match as_json {
        true => output::data(&serde_json::to_string(&estimate).expect("an estimate is numbers")),
        false => output::data(&told(&estimate)),
    }
    Ok(())
}

/// An estimate in a sentence.
fn told(estimate: &Estimate) -> String {
    let Estimate {
        tasks, calls, tokens_in, tokens_out, tokens_out_most, texts, scored, scored_shared, ..
    } = *estimate;
    let mut line = format!(
        "{} to be written: {}, about {} tokens in and {} out, {} at the most",
        plural(tasks as usize, "definition"),
        plural(calls as usize, "call"),
        HumanCount(tokens_in),
        HumanCount(tokens_out),
        HumanCount(tokens_out_most)
    );
    if let (Some(money), Some(most)) = (estimate.money, estimate.money_most) {
        line += &format!("; {money:.4} of money, {most:.4} at the most");
    }
    if texts > 0 {
        line += &format!(
            "; {} scored, about {} tokens, {} with shared heads computed once",
            plural(texts as usize, "text"),
            HumanCount(scored),
            HumanCount(scored_shared)
        );
    }
    line
}

/// What came of the tasks, on stderr.
fn say(tasks: &[Task], written: &Written, run: Option<&Path>) {
    let counts: BTreeMap<String, u64> =
        written.counts.iter().map(|(word, count)| ((*word).to_owned(), *count)).collect();
    if !counts.is_empty() {
        output::talk(&format!("replies: {}", reasons(&counts)));
    }
    let mut rows = table(&["task", "fit", "chosen", "loss", "lift", "gap", "why"]);
    for (task, choice) in tasks.iter().zip(&written.choices) {
        let Some(choice) = choice else { continue };
        let number = |number: Option<f64>| number.map_or_else(String::new, |number| format!("{number:.3}"));
        let of_chosen = choice.candidates.iter().find(|one| Some(one.number) == choice.chosen);
        let fit =
            choice.candidates.iter().filter(|one| instil::unify::passes(&one.checks) && one.fault.is_none());
        let gap = choice.gap.map_or_else(String::new, |gap| match gap.standard_error {
            Some(error) => format!("{:.3} ± {error:.3}", gap.nats),
            None => format!("{:.3}", gap.nats),
        });
        rows.add_row([
            task.name().to_owned(),
            format!("{} of {}", fit.count(), choice.candidates.len()),
            choice.chosen.map_or_else(|| "none".to_owned(), |chosen| chosen.to_string()),
            number(of_chosen.and_then(|one| one.score)),
            number(of_chosen.and_then(|one| one.lift).map(|lift| lift.nats)),
            gap,
            choice.reason.word().to_owned(),
        ]);
    }
    output::talk(&rows.to_string());
    let spent = written.spent;
    let mut line = format!(
        "{} made, {} tokens in, {} out",
        plural(spent.calls as usize, "call"),
        HumanCount(spent.tokens_in),
        HumanCount(spent.tokens_out)
    );
    if let Some(money) = written.money {
        line += &format!(", {money:.4} of money");
    }
    output::talk(&line);
    if let Some(prefill) = written.prefill.filter(|prefill| prefill.given > 0) {
        output::talk(&format!(
            "scored {} tokens, of which {} were computed: {} ({:.0} %) saved by shared heads",
            HumanCount(prefill.given),
            HumanCount(prefill.computed),
            HumanCount(prefill.saved()),
            100.0 * prefill.saved() as f64 / prefill.given as f64
        ));
    }
    if let Some(run) = run {
        output::talk(&format!(
            "every candidate, its checks and its scores: `{}`",
            run.join(REPORT).display()
        ));
    }
}

/// Brings one instruction to another style and prints it (spec/uit.md 2.1, testing-time transfer).
pub(crate) fn prompt_file(
    args: &TransferArgs,
    file: &Path,
    style: &Style,
    around: &Around<'_>,
) -> Result<u8> {
    let text = fs::read_to_string(file)
        .map_err(|e| Error::input(format!("failed to read `{}`", file.display())).because(e))?;
    if text.trim().is_empty() {
        return Err(Error::input(format!("`{}` is empty", file.display())));
    }
    let mut source = Instruction::new(file.display().to_string(), Level::Instance);
    source.definition = Some(text.trim().to_owned());
    let task = Task { source, to: style.level(), rows: Vec::new() };
    match definitions(args, std::slice::from_ref(&task), style, around)? {
        Found::Ended(code) => Ok(code),
        Found::Definitions(definitions) => match definitions.get(task.name()) {
            Some(definition) => {
                output::data(definition);
                Ok(exit::DONE)
            }
            None => {
                output::talk("no candidate passes the checks; nothing is printed");
                Ok(exit::NOT_DONE)
            }
        },
    }
}

/// Makes pairs of templates and definitions, and the rows that a model learns from them.
pub(crate) fn make_pairs(definitions: &Path, templates: &[String], to: &Path, seed: u64) -> Result<u8> {
    let definitions = offline::definitions(&text_of(definitions)?)?;
    let collection = instil::run::collection(templates)?;
    let pairs = offline::pairs(&collection, &definitions);
    if pairs.is_empty() {
        return Err(Error::input("no template and no definition are of one dataset").with_hint(
            "tasks are named as Super-NaturalInstructions names them, `task380_boolq_yes_no_question`",
        ));
    }
    fs::create_dir_all(to)
        .map_err(|e| Error::output(format!("failed to make `{}`", to.display())).because(e))?;
    let (test, train): (Vec<Pair>, Vec<Pair>) =
        pairs.into_iter().partition(|pair| offline::is_held_out(pair, seed));
    let write = |name: &str, lines: Vec<String>| {
        let path = to.join(name);
        fs::write(&path, lines.join("\n") + "\n")
            .map_err(|e| Error::output(format!("failed to write `{}`", path.display())).because(e))
    };
    let line = |pair: &Pair| serde_json::to_string(pair).expect("a pair is texts");
    let row = |pair: &Pair| {
        let (prompt, completion) = offline::example(pair);
        json!({"prompt": prompt, "completion": completion}).to_string()
    };
    write("train.jsonl", train.iter().map(line).collect())?;
    write("test.jsonl", test.iter().map(line).collect())?;
    write("rows.jsonl", train.iter().map(row).collect())?;
    let sources = |pairs: &[Pair]| {
        offline::by_source(pairs)
            .iter()
            .map(|(source, count)| format!("{count} {source}"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    output::talk(&format!("{} to learn from: {}", plural(train.len(), "pair"), sources(&train)));
    output::talk(&format!("{} held out: {}", plural(test.len(), "pair"), sources(&test)));
    Ok(exit::DONE)
}

/// Prints what ways to write definitions are worth on pairs (spec/uit.md 4).
pub(crate) fn judge(args: &TransferArgs, file: &Path, around: &Around<'_>) -> Result<u8> {
    let pairs = pairs::read(file)?;
    let rules: Vec<String> = pairs.iter().map(|pair| offline::by_rules(&pair.src.instruction)).collect();
    let copied = offline::worth(pairs.iter().map(|pair| (pair, Some(pair.src.instruction.as_str()), true)));
    let by_rules =
        offline::worth(pairs.iter().zip(&rules).map(|(pair, text)| (pair, Some(text.as_str()), true)));
    let mut rows = vec![("copying", copied), ("rules", by_rules)];
    if args.has_model() {
        let demonstrations = args.seeds.as_deref().map(pairs::read).transpose()?.unwrap_or_default();
        let tasks: Vec<Task> = pairs.iter().map(offline::task).collect();
        let settings = Settings { again: 0, ..Settings::of(1, around.seed) };
        let mut progress = Progress::start(around.quiet);
        catch_interrupts()?;
        let Some(model) = writer(args, around, &mut progress)? else { return Ok(exit::INTERRUPTED) };
        let asking =
            Asking { model: model.as_ref(), journal: None, pairs: &demonstrations, settings: &settings };
        let mut budget = Budget::new(Caps::default(), None)?;
        let all = tasks.len();
        let asked = ask(&tasks, &asking, &mut budget, &mut |done| {
            progress.watch_tasks(format!("{done} of {all} pairs are answered"))
        })?;
        progress.finish();
        if asked.end == End::Interrupted {
            return Ok(exit::INTERRUPTED);
        }
        let name = if args.replay.is_some() { "replay" } else { "model" };
        rows.push((name, offline::worth(offline::written(&pairs, &asked.candidates))));
    }
    let mut shown = table(&["", "pairs", "schema", "usable", "literals", "ROUGE-L"]);
    for (name, worth) in &rows {
        let Worth { pairs, schema_valid, usable, literals, rouge_l } = *worth;
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        shown.add_row([
            (*name).to_owned(),
            pairs.to_string(),
            percent(schema_valid),
            percent(usable),
            percent(literals),
            format!("{:.2}", 100.0 * rouge_l),
        ]);
    }
    output::data(&shown.to_string());
    Ok(exit::DONE)
}

/// A text file, of which a packed one is unpacked.
fn text_of(path: &Path) -> Result<String> {
    let rows = instil::source::open_rows(instil::source::resolve_rows(&[path.display().to_string()])?)?;
    let mut text = String::new();
    for row in rows {
        let row = row.map_err(|reject| {
            Error::input(format!("`{}` has a line that can't be read", path.display())).because(reject.raw)
        })?;
        text += &serde_json::Value::Object(row.fields).to_string();
        text.push('\n');
    }
    Ok(text)
}
