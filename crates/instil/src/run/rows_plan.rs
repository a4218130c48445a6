//! A recipe of `apply` or `remix` settled: inputs found, templates read and compiled.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Result, nearest};
use crate::format::Format;
use crate::pipeline::from_rows::{Entry, Prepared, Quotas, RowsRoad, Templates};
use crate::recipe::{FromRows, Verb};
use crate::record::Row;
use crate::reject::Reject;
use crate::rng::hex_of;
use crate::sink::Layout;
use crate::source::adapter::Adapter;
use crate::source::{self, SourceFile};
use crate::task::Task;
use crate::template::engine::{Compiled, Fault, Options};
use crate::template::rendered::Lifters;
use crate::template::{Collection, Template, remix};

/// The cap of each dataset that the published construction sets (spec/bonito.md 2.4).
const PUBLISHED_CAP: u64 = 100_000;

/// No row is taken more often: what is made of it is in memory at once.
const MOST_WEIGHT: f64 = 1000.0;

/// A recipe whose names are looked up, whose inputs are found and whose templates are compiled.
pub struct RowsPlan {
    /// What is read, in order.
    pub sets: Vec<Set>,
    /// What is made of each row.
    pub road: RowsRoad,
    /// Templates that can't be used, and why: one line each.
    pub unusable: Vec<String>,
    /// The shape of the rows.
    pub format: Format,
    /// Where they go.
    pub layout: Layout,
    /// Threads that render.
    pub threads: NonZeroUsize,
    templates_hash: String,
}

/// Rows from one place: the files that the user named, or those of an adapter.
pub struct Set {
    /// The dataset that its rows belong to, where not each row says so itself.
    pub dataset: Option<Arc<str>>,
    /// The licence of its rows, where that is known.
    pub license: Option<String>,
    /// Its files, in the order in which they are read.
    pub files: Vec<SourceFile>,
    adapter: Option<(Adapter, PathBuf)>,
    /// Of the adapter's own text.
    adapter_hash: Option<String>,
    limit: u64,
}

type Entries = Box<dyn Iterator<Item = Result<Entry, Reject>> + Send>;

impl Set {
    /// Begins to read.
    ///
    /// # Errors
    /// When the first file can't be opened.
    pub fn rows(&self) -> Result<Entries> {
        let mut rows: Entries = match &self.adapter {
            Some((adapter, data)) => {
                let rendered = adapter.rendered();
                let entry = move |row| Entry { row, rendered };
                Box::new(adapter.rows(data)?.map(move |read| read.map(&entry)))
            }
            None => {
                let dataset = self.dataset.clone();
                let entry = move |row| Entry { row: Row { dataset: dataset.clone(), ..row }, rendered: None };
                Box::new(source::open_rows(self.files.clone())?.map(move |read| read.map(&entry)))
            }
        };
        let limit = self.limit;
        let mut taken = 0;
        // Every row that is read is given: one too many would be lost without a count.
        Ok(Box::new(std::iter::from_fn(move || {
            let read = if taken < limit { rows.next()? } else { return None };
            taken += u64::from(read.is_ok());
            Some(read)
        })))
    }
}

impl RowsPlan {
    /// Settles a recipe. Nothing is written.
    ///
    /// # Errors
    /// When an input is missing, a name unknown, a template of a named dataset faulty, or a combination of
    /// settings has no meaning.
    pub fn of(recipe: &FromRows) -> Result<Self> {
        let verb = recipe.verb.name();
        if recipe.input.is_empty() {
            return Err(Error::usage("no input is named").with_hint(format!(
                "name files of rows or adapters, as in `instil {verb} rows.jsonl --templates DIR --dataset KEY -o out`"
            )));
        }
        if recipe.shard_rows == 0 {
            return Err(Error::usage("shard_rows must be at least 1"));
        }
        if recipe.max_drop.is_some_and(|most| !(0.0..=1.0).contains(&most)) {
            return Err(Error::usage("max_drop must be a share from 0 to 1"));
        }
        let format = format(recipe)?;
        let layout = Layout::of(Path::new(&recipe.output))?;
        let splits = recipe.splits()?;
        let collection = collection(&recipe.templates)?;
        let mut sets = sets(recipe, &collection)?;
        for set in &mut sets {
            without_own_output(&mut set.files, &layout)?;
        }
        let (templates, unusable) = prepare(recipe, &collection, &sets)?;
        for dataset in recipe.weight.keys() {
            if !templates.contains_key(dataset.as_str()) {
                let known = templates.keys().map(|key| &**key);
                let hint = nearest(dataset, known).map(|near| format!("did you mean `{near}`?"));
                return Err(Error::usage(format!("a weight is given for `{dataset}`, which isn't read"))
                    .with_hint(hint.unwrap_or_else(|| "weights go by the key of the dataset".to_owned())));
            }
        }
        if let Some((dataset, weight)) =
            recipe.weight.iter().find(|(_, weight)| !(0.0..=MOST_WEIGHT).contains(*weight))
        {
            return Err(Error::usage(format!("the weight of `{dataset}` is {weight}")).with_hint(
                "1 takes each row once, 0.5 half of the rows, 2 each row twice; 1000 is the most",
            ));
        }
        let cap = recipe.cap.or((recipe.reference && recipe.verb == Verb::Remix).then_some(PUBLISHED_CAP));
        let quotas = Quotas { counts: counts(&sets, cap)?, cap, weights: recipe.weight.clone() };
        let texts: Vec<String> = collection
            .templates()
            .map(|template| {
                hex_of(
                    &[
                        &template.dataset,
                        &template.name,
                        &template.jinja,
                        template.answer_choices.as_deref().unwrap_or(""),
                        template.context.as_deref().unwrap_or(""),
                        template.task.map_or("", |kind| kind.short()),
                    ],
                    32,
                )
            })
            .collect();
        let templates_hash = hex_of(&texts.iter().map(String::as_str).collect::<Vec<_>>(), 32);
        let road = RowsRoad {
            templates,
            quotas,
            lifters: Lifters::of(&collection),
            all_templates: recipe.template == "all",
            reference: recipe.reference,
            splits,
            seed: recipe.seed,
        };
        let threads = NonZeroUsize::new(recipe.threads)
            .or_else(|| std::thread::available_parallelism().ok())
            .unwrap_or(NonZeroUsize::MIN);
        Ok(Self { sets, road, unusable, format, layout, threads, templates_hash })
    }

    /// Every file, in the order in which they are read.
    pub fn files(&self) -> impl Iterator<Item = &SourceFile> + Clone {
        self.sets.iter().flat_map(|set| &set.files)
    }

    /// What files, adapters and templates were when a run began; none for standard input.
    pub(super) fn fingerprint(&self) -> Option<String> {
        let mut parts = vec![self.templates_hash.clone()];
        for set in &self.sets {
            parts.extend(set.adapter_hash.clone());
            for file in &set.files {
                parts.push(format!("{} {} {}", file.name, file.bytes, file.modified?));
            }
        }
        Some(hex_of(&parts.iter().map(String::as_str).collect::<Vec<_>>(), 32))
    }
}

fn format(recipe: &FromRows) -> Result<Format> {
    let format = match (&recipe.format, recipe.verb) {
        (Some(name), _) => Format::parse(name)?,
        (None, Verb::Remix) => Format::PromptCompletion,
        (None, _) => Format::Messages,
    };
    if format == Format::Ctga && recipe.verb != Verb::Remix {
        return Err(not_ctga());
    }
    Ok(format)
}

/// The error of a verb that can't fill the columns of a generator's training set.
pub(super) fn not_ctga() -> Error {
    Error::usage("`ctga` is the shape of a generator's training set, which `remix` makes")
        .with_hint("use `instil remix`, or another --format")
}

/// Reads every template that is named.
///
/// # Errors
/// When none is named, or one can't be read.
pub fn collection(paths: &[String]) -> Result<Collection> {
    if paths.is_empty() {
        return Err(Error::usage("no templates are named").with_hint(
            "add `--templates DIR`: your own YAML files, or the folder `promptsource/templates` of a PromptSource checkout",
        ));
    }
    let mut collection = Collection::default();
    for path in paths {
        collection.add(Path::new(path))?;
    }
    Ok(collection)
}

/// What is read: one set for each adapter, one for the files beside them.
fn sets(recipe: &FromRows, collection: &Collection) -> Result<Vec<Set>> {
    let limit = recipe.limit.unwrap_or(u64::MAX);
    let data = PathBuf::from(recipe.data.as_deref().unwrap_or("."));
    let mut sets = Vec::new();
    let mut plain = Vec::new();
    for input in &recipe.input {
        if !input.ends_with(".toml") {
            plain.push(input.clone());
            continue;
        }
        let adapter = Adapter::read(Path::new(input))?;
        let files = adapter.files(&data).map_err(|e| match &recipe.data {
            Some(_) => e,
            None => Error::input(format!("the adapter `{input}` finds no file"))
                .because(e)
                .with_hint("--data DIR says where the paths of adapters begin"),
        })?;
        sets.push(Set {
            dataset: adapter.dataset().map(Into::into),
            license: Some(adapter.license().to_owned()).filter(|license| !license.is_empty()),
            files,
            adapter_hash: fs::read_to_string(input).ok().map(|text| hex_of(&[&text], 32)),
            adapter: Some((adapter, data.clone())),
            limit,
        });
    }
    if !plain.is_empty() {
        let keys: Vec<&str> = collection.datasets().collect();
        let dataset = match (&recipe.dataset, keys.as_slice()) {
            (Some(key), _) => key.as_str(),
            // The user's own templates are of one dataset, and it goes without saying.
            (None, [only]) => only,
            (None, _) => {
                return Err(Error::usage("nothing says which dataset the rows belong to").with_hint(
                    "add `--dataset KEY`, such as `super_glue/boolq`; `instil list templates --templates DIR` shows the keys",
                ));
            }
        };
        collection.dataset(dataset)?;
        let files = source::resolve(&plain)?;
        sets.insert(
            0,
            Set {
                dataset: Some(dataset.into()),
                license: recipe.license.clone(),
                files,
                adapter: None,
                adapter_hash: None,
                limit,
            },
        );
    } else if let Some(dataset) = &recipe.dataset {
        return Err(Error::usage(format!(
            "`--dataset {dataset}` is given, and adapters name their own datasets"
        ))
        .with_hint("leave it out"));
    }
    Ok(sets)
}

/// The templates of the datasets that are read, compiled.
fn prepare(recipe: &FromRows, collection: &Collection, sets: &[Set]) -> Result<(Templates, Vec<String>)> {
    let is_named = |key: &str| sets.iter().any(|set| set.dataset.as_deref() == Some(key));
    // Rows that say themselves what they belong to may belong to anything.
    let is_read = |key: &str| sets.iter().any(|set| set.dataset.is_none()) || is_named(key);
    let is_chosen = |name: &str| match recipe.template.as_str() {
        "one" | "all" => true,
        // PromptSource has names that end in a blank, which nobody types.
        wanted => name.trim() == wanted.trim(),
    };
    if !matches!(recipe.template.as_str(), "one" | "all") {
        if let Some(near) = ["one", "all"].into_iter().find(|word| recipe.template.eq_ignore_ascii_case(word))
        {
            return Err(Error::usage(format!("there is no template `{}`", recipe.template))
                .with_hint(format!("did you mean `{near}`?")));
        }
        for key in sets.iter().filter_map(|set| set.dataset.as_deref()) {
            collection.template(key, &recipe.template)?;
        }
    }
    let mut prepared = Templates::new();
    let mut unusable = Vec::new();
    let faulty = |template: &Template, fault: &Fault| {
        if is_named(&template.dataset) && !recipe.reference {
            return Err(faulty(template, fault));
        }
        Ok(format!("{} `{}`: {}", template.dataset, template.name, fault.message))
    };
    match recipe.verb {
        Verb::Remix => {
            let inversion = remix::invert(collection, recipe.reference);
            for inverted in &inversion.inverted {
                if !is_read(&inverted.key) || !is_chosen(&inverted.template) {
                    continue;
                }
                if !inverted.gives_pairs() {
                    let why = "its response is nothing but the passage";
                    unusable.push(format!("{} `{}`: {why}", inverted.key, inverted.template));
                    continue;
                }
                let template = collection.template(&inverted.key, &inverted.template)?;
                match inverted.compile() {
                    Ok(compiled) => prepared.entry(Arc::clone(&inverted.key)).or_default().push(Prepared {
                        name: inverted.template.as_str().into(),
                        task: inverted.kind.into(),
                        compiled,
                        inverted: Some(inverted.clone()),
                        passage: variables(&inverted.context),
                    }),
                    Err(fault) => unusable.push(faulty(template, &fault)?),
                }
            }
            // Of a whole PromptSource most templates make nothing that was asked for.
            for skipped in inversion.skipped.iter().filter(|skipped| is_named(&skipped.dataset)) {
                if skipped.reason == remix::SkipReason::InvalidTemplate && is_chosen(&skipped.template) {
                    let template = collection.template(&skipped.dataset, &skipped.template)?;
                    let choices = template.answer_choices.as_deref();
                    if let Err(fault) = Compiled::new(&template.jinja, choices, Options::default()) {
                        faulty(template, &fault)?;
                    }
                }
                unusable.push(format!("{} `{}`: {}", skipped.dataset, skipped.template, skipped.detail));
            }
        }
        _ => {
            let inverted = remix::invert(collection, false).inverted;
            let mut passages: HashMap<Arc<str>, BTreeSet<String>> = HashMap::new();
            for inverted in inverted.iter().filter(|inverted| is_read(&inverted.key)) {
                let fields = variables(&inverted.context);
                let known = passages.entry(Arc::clone(&inverted.key)).or_insert_with(|| fields.clone());
                // Templates of one dataset that mean different passages have none in common.
                if *known != fields {
                    known.clear();
                }
            }
            let kinds: BTreeMap<(Arc<str>, String), Task> = inverted
                .into_iter()
                .map(|inverted| ((inverted.key, inverted.template), inverted.kind.into()))
                .collect();
            let options = Options { truncate: recipe.reference };
            for template in collection.templates() {
                if !is_read(&template.dataset) || !is_chosen(&template.name) {
                    continue;
                }
                let key = (Arc::clone(&template.dataset), template.name.clone());
                let task = match template.task {
                    Some(kind) => kind.into(),
                    None => {
                        kinds.get(&key).cloned().unwrap_or_else(|| Task::Named(Arc::clone(&template.dataset)))
                    }
                };
                match Compiled::new(&template.jinja, template.answer_choices.as_deref(), options) {
                    Ok(compiled) => {
                        prepared.entry(Arc::clone(&template.dataset)).or_default().push(Prepared {
                            name: template.name.as_str().into(),
                            task,
                            compiled,
                            inverted: None,
                            passage: passages.get(&template.dataset).cloned().unwrap_or_default(),
                        })
                    }
                    Err(fault) => unusable.push(faulty(template, &fault)?),
                }
            }
        }
    }
    for key in sets.iter().filter_map(|set| set.dataset.as_deref()) {
        if !prepared.contains_key(key) {
            let why: Vec<&str> = unusable
                .iter()
                .filter(|line| line.starts_with(&format!("{key} ")))
                .map(String::as_str)
                .collect();
            let cause = if why.is_empty() { "none is there".to_owned() } else { why.join("; ") };
            collection.dataset(key)?;
            return Err(Error::usage(format!(
                "no template of `{key}` can be used by `{}`",
                recipe.verb.name()
            ))
            .because(cause)
            .with_hint("`instil check FILE.yaml` says what a template lacks"));
        }
    }
    Ok((prepared, unusable))
}

/// The names that an expression reads.
fn variables(expression: &str) -> BTreeSet<String> {
    Compiled::new(expression, None, Options::default())
        .map_or_else(|_| BTreeSet::new(), |compiled| compiled.variables().clone())
}

/// The error of a template that can't be compiled.
fn faulty(template: &Template, fault: &Fault) -> Error {
    let Template { dataset, name, file, .. } = template;
    let line = fault.line.map_or(String::new(), |line| format!(" at line {line} of its text"));
    Error::input(format!("the template `{name}` of `{dataset}` can't be used"))
        .because(format!("{}{line}", fault.message))
        .with_hint(format!("`instil check {}` shows the place", file.display()))
}

/// How many rows each dataset has, where a cap has to choose among them.
fn counts(sets: &[Set], cap: Option<u64>) -> Result<HashMap<Arc<str>, u64>> {
    let mut counts = HashMap::new();
    if cap.is_none() {
        return Ok(counts);
    }
    for set in sets {
        if set.files.iter().any(|file| file.path == Path::new("-")) {
            let cap = cap.unwrap_or_default();
            return Err(Error::usage(format!(
                "a cap of {cap} rows draws from all of them, and standard input can be read only once"
            ))
            .with_hint(
                "put the rows into a file, or take the first ones with --limit; --reference has the published cap",
            ));
        }
        for entry in set.rows()?.filter_map(Result::ok) {
            *counts.entry(entry.row.dataset.unwrap_or_else(|| "".into())).or_default() += 1;
        }
    }
    Ok(counts)
}

/// Removes what this run itself writes from what it reads.
///
/// # Errors
/// When the user names a file as input and as output.
pub(super) fn without_own_output(files: &mut Vec<SourceFile>, layout: &Layout) -> Result<()> {
    // `… . -o out` must not read its own rows the second time.
    let own: Vec<_> = [layout.output(), &layout.run()].iter().flat_map(fs::canonicalize).collect();
    let is_own = |file: &SourceFile| {
        let path = fs::canonicalize(&file.path);
        path.is_ok_and(|path| own.iter().any(|own| path.starts_with(own)))
    };
    if let Some(file) = files.iter().find(|file| !file.in_folder && is_own(file)) {
        let path = file.path.display();
        return Err(Error::usage(format!("`{path}` is read, and the output would replace it"))
            .with_hint("name another output"));
    }
    files.retain(|file| !is_own(file));
    Ok(())
}
