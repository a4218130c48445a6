//! `check` and `--dry-run`: everything that can be known before anything is spent.

use std::path::{Component, Path, PathBuf};

use instil::recipe::{Generate, Recipe, Step};
use instil::run::{Look, look};
use instil::source;
use instil::source::adapter::Adapter;
use instil::{Error, Result};
use serde_json::json;

use crate::args::{CheckArgs, How, HowOfAll, TrainHow};
use crate::settings::Local;
use crate::{exit, output, settings};

/// How many prompts are shown.
const PROMPTS: usize = 3;

pub(crate) fn run(args: CheckArgs) -> Result<u8> {
    // A folder of a dataset may hold a companion in YAML beside its rows.
    let has_rows = || source::resolve_rows(&[args.file.to_string_lossy().into_owned()]).is_ok();
    if args.file.is_dir() && !has_rows()
        || args.file.is_file()
            && args.file.extension().is_some_and(|ending| ending == "yaml" || ending == "yml")
    {
        return super::check_templates::run(&args);
    }
    if args.file.extension().is_some_and(|ending| ending == "star") {
        return super::check_script::run(&args);
    }
    if args.file.extension().is_none_or(|ending| ending != "toml") {
        return super::check_dataset::run(&args);
    }
    if let Some(adapter) = adapter(&args.file)? {
        return Ok(show_adapter(&adapter, args.json));
    }
    if is_learn(&args.file) {
        return super::learn::look(&args.file, args.json);
    }
    let recipe = Recipe::read(&args.file)?;
    let made: Vec<String> = recipe.step.iter().map(|step| step.output().to_owned()).collect();
    for (number, step) in (1..).zip(recipe.step) {
        if step.output().is_empty() {
            return Err(Error::input(format!("step {number} of `{}` names no output", args.file.display()))
                .with_hint("add `output = \"out\"`"));
        }
        // What an earlier step will have made can't be looked at yet.
        let plain = |path: &str| {
            Path::new(path).components().filter(|c| *c != Component::CurDir).collect::<PathBuf>()
        };
        let reads: Vec<&str> = reads(&step).into_iter().filter(|path| !path.is_empty()).collect();
        // A part of an output, a folder of outputs, or a pattern of them.
        let is_of = |path: &str, output: &str| {
            let (path, output) = (plain(path), plain(output));
            let (text, made) = (path.to_string_lossy(), output.to_string_lossy());
            let begin = text.split(['*', '?', '[']).next().unwrap_or(&text);
            path.starts_with(&output)
                || output.starts_with(&path)
                || !begin.is_empty() && begin.len() < text.len() && made.starts_with(begin)
        };
        let is_made = |path: &&&str| {
            made[..number - 1].iter().any(|output| is_of(path, output)) && !Path::new(path).exists()
        };
        let missing: Vec<&str> = reads.iter().filter(is_made).copied().collect();
        if !missing.is_empty() {
            if args.json {
                output::data(&json!({"recipe": step, "reads_what_an_earlier_step_makes": true}).to_string());
            } else {
                let verb = step.verb().name();
                output::data(&format!(
                    "step {number}, {verb}, reads what an earlier step makes: {}",
                    missing.join(" ")
                ));
            }
            continue;
        }
        match step {
            Step::Generate(mut step) => {
                settings::how_over(&mut step, &How::default());
                show(&step, args.json)?;
            }
            Step::FromRows(step) => {
                super::from_rows::show(&step, args.json)?;
            }
            Step::Convert(step) => {
                super::convert::show(&step, args.json)?;
            }
            Step::Train(step) => {
                let how = TrainHow { dry_run: true, json: args.json, ..TrainHow::default() };
                super::train::execute(*step, &how)?;
            }
            Step::Unify(step) => {
                let how = HowOfAll { dry_run: true, json: args.json, ..HowOfAll::default() };
                super::unify::execute(*step, &how)?;
            }
            Step::Cook(step) => {
                super::cook::show(&step, args.json)?;
            }
            Step::Mix(step) => {
                super::mix::show(&step, args.json)?;
            }
            Step::Eval(step) => {
                super::eval::show(&step, args.json)?;
            }
            Step::Compare(step) => {
                if args.json {
                    output::data(&json!({"recipe": step}).to_string());
                } else {
                    output::data(&format!("compares {}", step.input.join(" ")));
                }
            }
        }
    }
    Ok(exit::DONE)
}

/// What a step reads: its inputs, its model, and the folders of evaluations.
fn reads(step: &Step) -> Vec<&str> {
    let mut reads: Vec<&str> = match step {
        Step::Compare(step) => step
            .input
            .iter()
            .map(|named| named.split_once('=').map_or(named.as_str(), |(_, path)| path))
            .collect(),
        Step::Eval(_) => Vec::new(),
        other => other.input().iter().map(String::as_str).collect(),
    };
    match step {
        Step::Generate(step) => reads.push(&step.model),
        Step::Train(step) => {
            reads.extend(step.init_adapter.as_deref().into_iter().chain([step.model.as_str()]))
        }
        Step::Mix(step) => reads.extend(step.learn.as_deref()),
        Step::Unify(step) => reads.extend(
            [&step.model, &step.adapter, &step.scorer, &step.definitions, &step.make_pairs, &step.seeds]
                .into_iter()
                .filter_map(Option::as_deref)
                .chain(step.templates.iter().map(String::as_str)),
        ),
        Step::Eval(step) => {
            reads.extend(step.adapter.as_deref().into_iter().chain([step.model.as_str()]));
            reads.extend(step.data.iter().map(String::as_str));
        }
        _ => {}
    }
    reads
}

/// Whether a file is one of `mix --learn`: it has no steps, but sources.
fn is_learn(file: &Path) -> bool {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().any(|line| line.trim() == "[[source]]")
        && !text.lines().any(|line| line.trim() == "[[step]]")
}

/// The adapter that a file is, if it is one: it has no steps, but fields.
fn adapter(file: &Path) -> Result<Option<Adapter>> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let is_adapter = text.lines().any(|line| line.trim() == "[fields]");
    is_adapter.then(|| Adapter::read(file)).transpose()
}

fn show_adapter(adapter: &Adapter, as_json: bool) -> u8 {
    let fields: Vec<&str> = adapter.fields().collect();
    if as_json {
        let object = json!({"dataset": adapter.dataset(), "fields": fields, "license": adapter.license(), "about": adapter.about()});
        output::data(&object.to_string());
    } else {
        let dataset = adapter.dataset().unwrap_or("the dataset that each row names");
        output::data(&format!("an adapter: makes rows of `{dataset}` with the fields {}", fields.join(", ")));
        for line in [adapter.about(), adapter.license()].into_iter().filter(|line| !line.is_empty()) {
            output::data(&format!("  {line}"));
        }
    }
    exit::DONE
}

/// Prints what a step would do.
pub(crate) fn show(step: &Generate, as_json: bool) -> Result<u8> {
    settings::check_model(step)?;
    // Nothing is fetched for a look; a model that isn't here yet has no window to count with.
    let window = Local::if_here(step)?.as_ref().map(Local::window).transpose()?.flatten();
    let look = look(step, window, PROMPTS)?;
    if as_json {
        let object = json!({
            "files": look.files.iter().map(|file| json!({"name": &*file.name, "bytes": file.bytes})).collect::<Vec<_>>(),
            "recipe": step,
            "prompts": look.prompts.iter().map(|prompt| json!({
                "task": prompt.kind.short(), "document": &*prompt.document, "prompt": prompt.text, "tokens": prompt.tokens,
            })).collect::<Vec<_>>(),
            "rejects": look.rejects.iter().map(|reject| reject.reason.word()).collect::<Vec<_>>(),
        });
        output::data(&object.to_string());
    } else {
        print(step, &look);
    }
    Ok(exit::DONE)
}

fn print(step: &Generate, look: &Look) {
    super::show_files(&look.files);
    output::data(&format!(
        "makes {} x {} samples of each passage with `{}`, rows as {}, in `{}`",
        look.kinds.iter().map(|kind| kind.short()).collect::<Vec<_>>().join(", "),
        step.samples,
        if step.endpoint.is_some() && step.model == "rules" { "the endpoint's model" } else { &step.model },
        step.format,
        step.output
    ));
    output::data(&format!("recipe {}", Step::from(step.clone()).hash()));
    for reject in &look.rejects {
        output::data(&format!("not read: {} {}", reject.origin.source, reject.reason.word()));
    }
    for prompt in &look.prompts {
        let tokens = prompt.tokens.map_or(String::new(), |tokens| format!(", {tokens} tokens"));
        output::data(&format!(
            "\n--- {} of document {}{tokens}\n{}",
            prompt.kind.short(),
            prompt.document,
            prompt.text
        ));
    }
    if look.prompts.is_empty() {
        output::data("\nno prompt: the first documents give no passage");
    }
}
