//! Where one example came from: source bytes, passage, prompt, completion, row, and the command that
//! makes it again.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::convert::Shape;
use crate::cook::Sample;
use crate::error::{Error, Result};
use crate::journal::Journal;
use crate::lm::{Event, LanguageModel, Next, Outcome, Request};
use crate::pipeline::convert::{self, ConvertRoad};
use crate::pipeline::cook::id_of;
use crate::pipeline::from_rows::{Entry, preview};
use crate::pipeline::mix;
use crate::recipe::{Convert, Cook, FromRows, Generate, Mix, Recipe, Step};
use crate::record::{Origin, Role};
use crate::rows::{self, Object, text};
use crate::run::{ConvertPlan, CookPlan, MixPlan, Plan, RowsPlan, collection};
use crate::sink::{Layout, MixedFrom};
use crate::task::TaskKind;

/// The whole way of one example.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trace {
    /// The row as it stands in the dataset.
    pub row: Object,
    /// What the provenance says of it.
    pub provenance: Object,
    /// The file that it was read from, as the recipe finds it today.
    pub file: String,
    /// The passage, read again from that file; of a labelled or converted row, its fields as JSON.
    pub passage: String,
    /// The template that a labelled row was put into.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// The prompt as one text, made again.
    pub prompt: String,
    /// The model's text before it was parsed: from the journal, or from the model where asking it costs nothing.
    /// Of a labelled row, the completion, made again.
    pub completion: Option<String>,
    /// A command that makes this row again, and the others of its document; of a labelled row, of its run.
    pub command: String,
}

/// Finds the one example whose id begins with `id` and goes its way again.
///
/// `model` makes the generator of a recipe where that costs nothing (a program, a recording); where it
/// gives none, the completion comes from the journal.
///
/// # Errors
/// When there is no such example, or more than one; when the source has changed or is gone.
pub fn trace(
    dataset: &Path,
    id: &str,
    model: impl FnOnce(&Generate) -> Result<Option<Box<dyn LanguageModel>>>,
) -> Result<Trace> {
    let layout = Layout::of(dataset)?;
    let run = layout.run();
    let recipe_path = run.join("recipe.toml");
    if !recipe_path.exists() {
        return Err(Error::input(format!("there is no run of instil at `{}`", dataset.display())).with_hint(
            "name the dataset folder, as in `instil trace ID out`; single files keep theirs with --keep-run",
        ));
    }
    let step = Recipe::read(&recipe_path)?.step.pop();
    // What was made of numbers needs no provenance.
    if let Some(Step::Cook(recipe)) = &step {
        return of_cooked(&layout, recipe, &recipe_path, id);
    }
    let provenance = find(&layout, id)?;
    let id = text(&provenance, "id").to_owned();
    let recipe = match step {
        Some(Step::Generate(recipe)) => *recipe,
        Some(Step::FromRows(recipe)) => return of_row(&layout, &recipe, &recipe_path, provenance),
        Some(Step::Convert(recipe)) => return of_converted(&layout, &recipe, &recipe_path, provenance),
        Some(Step::Unify(_)) => {
            return Err(Error::input(format!(
                "`{id}` was put together anew from its row and its task's words"
            ))
            .with_hint(
                "`run/provenance.parquet` says which row it was; `--report` of `unify` how its task was read",
            ));
        }
        Some(Step::Mix(recipe)) => return of_mixed(&layout, &recipe, &recipe_path, provenance),
        Some(Step::Cook(_) | Step::Train(_) | Step::Eval(_) | Step::Compare(_)) => {
            return Err(Error::input(format!("`{}` is a trained model and has no rows", dataset.display()))
                .with_hint("name the dataset that it was trained on"));
        }
        None => return Err(Error::input(format!("`{}` has no step", recipe_path.display()))),
    };
    let row = data_row(&layout, &id)?;

    let mut plan = Plan::of(&recipe)?;
    let kind = TaskKind::parse(text(&provenance, "task"))?;
    let (document_id, source) = (text(&provenance, "document"), text(&provenance, "source"));
    let span = |name: &str| provenance.get(name).and_then(Value::as_u64).unwrap_or_default() as usize;
    let (start, end) = (span("start"), span("end"));
    let changed = |what: &str| changed(&id, what);
    let file = plan
        .files
        .iter()
        .find(|file| *file.name == *source)
        .ok_or_else(|| changed(&format!("source `{source}` is gone")))?
        .clone();
    let path = file.path.display().to_string();
    if path == "-" {
        return Err(from_stdin());
    }
    // Ids of documents come from the caller and may repeat; row numbers don't.
    let row_number = provenance.get("row").and_then(Value::as_u64);
    plan.files = vec![file];
    let document = plan
        .documents(&recipe)?
        .filter_map(Result::ok)
        .find(|document| document.id == document_id && document.origin.row == row_number)
        .ok_or_else(|| changed(&format!("document `{document_id}` is not in `{path}` any more")))?;
    let passage = plan
        .road
        .chunker
        .chunk(&document)
        .into_iter()
        .find(|passage| passage.span == (start..end))
        .ok_or_else(|| changed(&format!("`{path}` has changed")))?;
    let mut request = plan.road.request(0, kind, &passage);
    let sample = provenance.get("sample").and_then(Value::as_u64).unwrap_or_default() as u32;
    request.samples = vec![sample];
    let prompt = request.input.text();
    if crate::rng::hex_of(&[&prompt], 32) != text(&provenance, "prompt_hash") {
        return Err(changed(&format!("`{path}` has changed")));
    }
    let completion = match model(&recipe)? {
        Some(model) => ask(model.as_ref(), request)?,
        None => {
            let path = recipe.journal.as_ref().map_or_else(|| run.join("journal.sqlite"), Into::into);
            remembered(&path, text(&provenance, "model"), &request, sample)?
        }
    };
    let command = command(&recipe, document_id);
    Ok(Trace {
        row,
        provenance,
        file: path,
        passage: passage.text,
        template: None,
        prompt,
        completion,
        command,
    })
}

/// The way of an example that a labelled row was made into.
fn of_row(layout: &Layout, recipe: &FromRows, recipe_path: &Path, provenance: Object) -> Result<Trace> {
    let id = text(&provenance, "id").to_owned();
    let row = data_row(layout, &id)?;
    // Which rows a cap draws makes no difference to this one.
    let mut plan = RowsPlan::of(&FromRows { cap: None, ..recipe.clone() })?;
    plan.road.all_templates = true;
    let source = text(&provenance, "source");
    let file = plan.files().find(|file| *file.name == *source);
    let file = file.ok_or_else(|| changed(&id, &format!("source `{source}` is gone")))?;
    let path = file.path.display().to_string();
    if path == "-" {
        return Err(from_stdin());
    }
    let number = provenance.get("row").and_then(Value::as_u64);
    let copy = provenance.get("sample").and_then(Value::as_u64).unwrap_or_default() as u32;
    let name = text(&provenance, "template");
    for set in &plan.sets {
        let is_it = |entry: &Entry| *entry.row.origin.source == *source && entry.row.origin.row == number;
        let Some(entry) = set.rows()?.filter_map(Result::ok).find(is_it) else { continue };
        let fields = serde_json::to_string_pretty(&entry.row.fields).expect("fields are JSON");
        let dataset = entry.row.dataset.as_deref().unwrap_or_default().to_owned();
        let made = preview(&plan.road, Ok(entry), copy).into_iter().filter_map(Result::ok);
        let Some(example) = made.into_iter().find(|example| example.id == id) else { continue };
        let template = collection(&recipe.templates)?.template(&dataset, name)?.jinja.clone();
        return Ok(Trace {
            row,
            provenance,
            file: path,
            passage: fields,
            template: Some(template),
            prompt: example.first(Role::User).to_owned(),
            completion: Some(example.first(Role::Assistant).to_owned()),
            command: format!("instil run {}", quoted(&recipe_path.display().to_string())),
        });
    }
    Err(changed(&id, &format!("`{path}` or the templates have changed")))
}

/// The way of a row that was another shape's.
fn of_converted(layout: &Layout, recipe: &Convert, recipe_path: &Path, provenance: Object) -> Result<Trace> {
    let id = text(&provenance, "id").to_owned();
    let row = data_row(layout, &id)?;
    let plan = ConvertPlan::of(recipe)?;
    let source = text(&provenance, "source");
    let file = plan.files.iter().find(|file| *file.name == *source);
    let file = file.ok_or_else(|| changed(&id, &format!("source `{source}` is gone")))?.clone();
    let path = file.path.display().to_string();
    if path == "-" {
        return Err(from_stdin());
    }
    let number = provenance.get("row").and_then(Value::as_u64);
    let sample = provenance.get("sample").and_then(Value::as_u64).unwrap_or_default() as usize;
    // The shape is the one that was found for the file then.
    let road = ConvertRoad { from: Some(Shape::parse(text(&provenance, "shape"))?), ..plan.road.clone() };
    let has_changed = || changed(&id, &format!("`{path}` has changed"));
    let (read, made) = convert::one(&road, file, number)?.ok_or_else(has_changed)?;
    let made = made.into_iter().nth(sample).and_then(Result::ok).ok_or_else(has_changed)?;
    // A table has a cell for each column, an empty one where a row has no such key.
    let is_cell = |value: &Value| plan.road.is_table && value.as_str() == Some("");
    if !row.iter().all(|(key, value)| made.get(key) == Some(value) || is_cell(value)) {
        return Err(has_changed());
    }
    let (prompt, completion) = rows::prompt_and_completion(&row).unwrap_or_default();
    Ok(Trace {
        row,
        provenance,
        file: path,
        passage: serde_json::to_string_pretty(&read.fields).expect("fields are JSON"),
        template: None,
        prompt,
        completion: Some(completion),
        command: format!("instil run {}", quoted(&recipe_path.display().to_string())),
    })
}

/// The way of a row that was made of its number and the seed.
fn of_cooked(layout: &Layout, recipe: &Cook, recipe_path: &Path, id: &str) -> Result<Trace> {
    let row = data_row(layout, id)?;
    let plan = CookPlan::of(recipe)?;
    let streams = plan.road.splits.iter().flat_map(|split| {
        split.streams.iter().map(move |stream| (split.name, stream.plan().template.name(), stream))
    });
    let number = id.rsplit('-').next().and_then(|number| number.parse().ok()).unwrap_or_default();
    let Some((split, name, stream)) =
        streams.into_iter().find(|(split, name, _)| id_of(name, split, number) == id)
    else {
        return Err(changed(id, "the recipe's templates are others"));
    };
    let mut sample = Sample::default();
    let is_made = stream.fill(number, &mut sample).is_ok();
    let is_same = rows::prompt_and_completion(&row)
        .is_none_or(|(prompt, completion)| prompt == sample.prompt() && completion == sample.completion());
    if !is_made || !is_same {
        return Err(changed(id, "the template, its words or the program is another than it was"));
    }
    let provenance = serde_json::json!({
        "id": id,
        "template": name,
        "settings": stream.settings(number).to_string(),
        "split": split,
        "seed": recipe.seed,
        "sample": number,
        "verified": stream.try_verify(&sample)?,
    });
    Ok(Trace {
        row,
        provenance: provenance.as_object().cloned().unwrap_or_default(),
        file: recipe_path.display().to_string(),
        passage: String::new(),
        template: None,
        prompt: sample.prompt().to_owned(),
        completion: Some(sample.completion().to_owned()),
        command: format!("instil run {}", quoted(&recipe_path.display().to_string())),
    })
}

/// The way of a row of a mix.
fn of_mixed(layout: &Layout, recipe: &Mix, recipe_path: &Path, provenance: Object) -> Result<Trace> {
    let id = text(&provenance, "id").to_owned();
    let row = data_row(layout, &id)?;
    let plan = MixPlan::of(recipe)?;
    let (dataset, source) = (text(&provenance, "dataset"), text(&provenance, "source"));
    let gone = || changed(&id, &format!("source `{source}` of `{dataset}` is gone"));
    let of = plan.road.sources.iter().find(|of| of.name == dataset).ok_or_else(gone)?;
    let file = of.files.iter().find(|file| *file.name == *source).ok_or_else(gone)?;
    let number = |name: &str| provenance.get(name).and_then(Value::as_u64);
    let from = MixedFrom {
        name: dataset.to_owned(),
        origin: Origin { source: Arc::clone(&file.name), row: number("row") },
        shape: text(&provenance, "shape").to_owned(),
        sample: number("sample").unwrap_or_default(),
        copy: 0,
        id: None,
    };
    let path = file.path.display().to_string();
    let has_changed = || changed(&id, &format!("`{path}` has changed"));
    let (read, made) = mix::one(&plan.road, of, &from)?.ok_or_else(has_changed)?;
    // A row of a folder has its id besides, and a table a cell for each column.
    let is_cell = |value: &Value| plan.road.has_columns && value.as_str() == Some("");
    let is_same = |(key, value): (&String, &Value)| {
        layout.is_folder() && key == "id" || made.get(key) == Some(value) || is_cell(value)
    };
    if !row.iter().all(is_same) {
        return Err(has_changed());
    }
    let (prompt, completion) = rows::prompt_and_completion(&row).unwrap_or_default();
    Ok(Trace {
        row,
        provenance,
        file: path,
        passage: serde_json::to_string_pretty(&read.fields).expect("fields are JSON"),
        template: None,
        prompt,
        completion: Some(completion),
        command: format!("instil run {}", quoted(&recipe_path.display().to_string())),
    })
}

fn changed(id: &str, what: &str) -> Error {
    Error::input(format!("{what}, so the way of `{id}` can't be gone again"))
        .with_hint("run the recipe again after a change of the source, from the folder that it was run in")
}

fn from_stdin() -> Error {
    Error::input("the run read standard input, which can't be read again")
        .with_hint("the row and its provenance are in the dataset; keep the text in a file to trace it")
}

fn find(layout: &Layout, id: &str) -> Result<Object> {
    let mut found: Option<Object> = None;
    for file in layout.provenance_files()? {
        for row in rows::of_file(&file)? {
            let row = row?;
            let this = text(&row, "id");
            if !this.starts_with(id) {
                continue;
            }
            if let Some(other) = found.as_ref().filter(|other| text(other, "id") != this) {
                return Err(Error::usage(format!("several examples begin with `{id}`"))
                    .with_hint(format!("`{}` and `{this}`: give more digits", text(other, "id"))));
            }
            found = Some(row);
        }
    }
    found.ok_or_else(|| {
        Error::usage(format!("no example of `{}` has the id `{id}`", layout.output().display()))
            .with_hint("ids stand in the `id` column of data/ and of provenance/")
    })
}

fn data_row(layout: &Layout, id: &str) -> Result<Object> {
    if !layout.is_folder() {
        // Rows of a single file carry no id; provenance stands in their order.
        let mut place = 0;
        for file in layout.provenance_files()? {
            for row in rows::of_file(&file)? {
                if text(&row?, "id") == id {
                    return rows::of_file(layout.output())?.nth(place).unwrap_or_else(|| {
                        Err(Error::input(format!(
                            "`{}` has fewer rows than its run",
                            layout.output().display()
                        )))
                    });
                }
                place += 1;
            }
        }
    }
    for file in layout.data_files()? {
        for row in rows::of_file(&file)? {
            let row = row?;
            if text(&row, "id") == id {
                return Ok(row);
            }
        }
    }
    Err(Error::input(format!("no row of `{}` has the id `{id}`", layout.output().display()))
        .with_hint("ids stand in the `id` column of data/"))
}

fn ask(model: &dyn LanguageModel, request: Request) -> Result<Option<String>> {
    let mut session = model.open()?;
    session.submit(vec![request]);
    loop {
        match session.next()? {
            Next::Event(Event { outcome: Outcome::Text(completion), .. }) => {
                return Ok(Some(completion.text));
            }
            Next::Event(_) | Next::Idle => return Ok(None),
            Next::Waiting => {}
        }
    }
}

fn remembered(path: &Path, identity: &str, request: &Request, sample: u32) -> Result<Option<String>> {
    if !path.exists() {
        return Ok(None);
    }
    let answer = Journal::open(path)?.get(&Journal::key(identity, request, sample))?;
    Ok(match answer {
        Some(Outcome::Text(completion)) => Some(completion.text),
        _ => None,
    })
}

/// `instil generate` with the flags in which the recipe differs from the defaults.
fn command(recipe: &Generate, document: &str) -> String {
    let step = Generate {
        output: "-".to_owned(),
        document: Some(document.to_owned()),
        limit: None,
        max_drop: None,
        shard_rows: Generate::default().shard_rows,
        license: None,
        ..recipe.clone()
    };
    let table = |step: &Generate| toml::Table::try_from(step).expect("settings are plain values");
    let defaults = table(&Generate::default());
    let mut words = vec!["instil".to_owned(), "generate".to_owned()];
    words.extend(step.input.iter().map(|input| quoted(input)));
    for (key, value) in table(&step) {
        if matches!(key.as_str(), "input" | "verb" | "keep_run" | "journal" | "allow_errors" | "threads")
            || defaults.get(&key) == Some(&value)
        {
            continue;
        }
        words.push(format!("--{}", key.replace('_', "-")));
        let of = |value: &toml::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        match &value {
            toml::Value::Boolean(_) => {}
            toml::Value::Array(values) => {
                words.push(quoted(&values.iter().map(of).collect::<Vec<_>>().join(",")));
            }
            value => words.push(quoted(&of(value))),
        }
    }
    words.join(" ")
}

/// A word as a shell reads it back.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-,:=@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_says_only_what_differs_from_the_defaults() {
        let recipe = Generate {
            input: vec!["my notes/".to_owned()],
            output: "out".to_owned(),
            seed: 7,
            labels: vec!["a".to_owned(), "it's".to_owned()],
            reference: true,
            ..Generate::default()
        };
        assert_eq!(
            command(&recipe, "d 1"),
            r"instil generate 'my notes/' --output - --reference --labels 'a,it'\''s' --document 'd 1' --seed 7"
        );
    }
}
