//! `mix`: several datasets to one, from a recipe to a finished output.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use super::hold::{Begun, begin};
use super::rows_plan::without_own_output;
use super::{Done, Existing};
use crate::chunk::load_tokenizer;
use crate::convert::Shape;
use crate::draw::TRAIN;
use crate::error::{Error, Result, nearest};
use crate::ledger::Ledger;
use crate::mix::draw::{Draw, Size, enough};
use crate::mix::weights::{Weights, counts, most_rows, shares};
use crate::pipeline::Ended;
use crate::pipeline::convert::{ConvertRoad, preview};
use crate::pipeline::mix::{self as road, MixRoad, MixSource};
use crate::recipe::{Mix, Step};
use crate::rng::hex_of;
use crate::sink::{Card, CardSource, Layout, Made, MixWriter, split_of};
use crate::source;

/// A recipe of `mix` whose names are looked up and whose inputs are found.
#[derive(Debug)]
pub struct MixPlan {
    /// How rows are read.
    pub road: MixRoad,
    /// What the shares are.
    pub weights: Weights,
    /// Where the rows go.
    pub layout: Layout,
    /// Threads that read and convert.
    pub threads: NonZeroUsize,
    inputs: Option<String>,
}

/// How much of each source is taken.
#[derive(Clone, Debug, PartialEq)]
pub struct MixShares {
    /// The share of each source, from 0 to 1.
    pub shares: Vec<f64>,
    /// What is wanted of each: rows, or tokens where the mix is measured in them.
    pub wanted: Vec<u64>,
    /// How large each is.
    pub sizes: Vec<Size>,
}

impl MixPlan {
    /// Settles a recipe. Nothing is written.
    ///
    /// # Errors
    /// When an input is missing, a name or number has no meaning, or the sources' rows have not the same shape and
    /// none is asked for.
    pub fn of(recipe: &Mix) -> Result<Self> {
        if recipe.input.is_empty() {
            return Err(Error::usage("no source is named")
                .with_hint("name datasets, as in `instil mix notes=a.jsonl forum=b/ --rows 1000 -o mixed`"));
        }
        let tokenizer = match (recipe.tokens, &recipe.tokenizer) {
            (None, None) => None,
            (_, Some(path)) => Some(Arc::new(load_tokenizer(Path::new(path))?)),
            (Some(_), None) => {
                return Err(Error::usage("tokens are a tokenizer's, and none is named")
                    .with_hint("add `--tokenizer PATH/tokenizer.json`, the model's own; or count `--rows`"));
            }
        };
        if recipe.tokens.is_some() && recipe.rows.is_some() {
            return Err(Error::usage("a mix has so many rows or so many tokens, not both")
                .with_hint("leave `--rows` or `--tokens` out"));
        }
        if recipe.tokens.is_none() && tokenizer.is_some() {
            return Err(Error::usage("a tokenizer is named, and the mix is measured in rows")
                .with_hint("add `--tokens N`, or leave `--tokenizer` out"));
        }
        if recipe.rows == Some(0) || recipe.tokens == Some(0) {
            return Err(Error::usage("a mix of nothing is asked for").with_hint("ask for 1 at least"));
        }
        if recipe.repeat && recipe.rows.is_none() && recipe.tokens.is_none() {
            return Err(Error::usage("with `--repeat` nothing says how large the mix is")
                .with_hint("add `--rows N`, or `--tokens N` with a tokenizer"));
        }
        if recipe.max_drop.is_some_and(|most| !(0.0..=1.0).contains(&most)) {
            return Err(Error::usage("max_drop must be a share from 0 to 1"));
        }
        let layout = Layout::of(Path::new(&recipe.output))?;
        let sources = sources(&recipe.input, &layout)?;
        let from = recipe.from.as_deref().map(Shape::parse).transpose()?;
        let to = match &recipe.to {
            Some(name) => Shape::parse(name)?,
            None => common_shape(&sources, from)?,
        };
        if to.is_task() {
            return Err(Error::usage(format!("a row of `{}` is a task with all its instances", to.name))
                .with_hint("`--to messages` mixes the instances"));
        }
        MixWriter::check(&layout, to)?;
        let names: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
        let weights = weights(recipe, &names)?;
        let threads = NonZeroUsize::new(recipe.threads)
            .or_else(|| std::thread::available_parallelism().ok())
            .unwrap_or(NonZeroUsize::MIN);
        let inputs = fingerprint(&sources);
        let has_columns = MixWriter::has_columns(&layout);
        let road = MixRoad { sources, from, to, has_columns, tokenizer, seed: recipe.seed };
        Ok(Self { road, weights, layout, threads, inputs })
    }

    /// The names of the sources.
    pub fn names(&self) -> Vec<&str> {
        self.road.sources.iter().map(|source| source.name.as_str()).collect()
    }

    /// Counts the sources, and says how much is taken of each. None where `watch` broke off, which is asked after each
    /// batch with the rows read so far.
    ///
    /// # Errors
    /// When a source has no row that can be used, or fewer than are wanted of it.
    pub fn shares(
        &self,
        recipe: &Mix,
        watch: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> Result<Option<MixShares>> {
        let Some(sizes) = road::sizes(&self.road, self.threads, watch)? else { return Ok(None) };
        let names = self.names();
        let has: Vec<u64> = match recipe.tokens {
            None => sizes.iter().map(|size| size.rows).collect(),
            Some(_) => sizes.iter().map(|size| size.tokens).collect(),
        };
        let shares = shares(&self.weights, &has, &names)?;
        let most = most_rows(&shares, &has);
        let unit = if recipe.tokens.is_some() { "tokens" } else { "rows" };
        let all = recipe.tokens.or(recipe.rows).unwrap_or(most);
        if all == 0 {
            return Err(Error::usage("in these proportions no row can be taken without one twice")
                .with_hint("`--rows N --repeat` takes rows of small sources again and again"));
        }
        let wanted = counts(&shares, all);
        if !recipe.repeat {
            for ((name, has), wanted) in names.iter().zip(&has).zip(&wanted) {
                enough(name, *has, *wanted, unit, most)?;
            }
        }
        Ok(Some(MixShares { shares, wanted, sizes }))
    }
}

/// The sources by their names: `NAME=PATH`, or a path whose last part without endings is the name.
fn sources(inputs: &[String], layout: &Layout) -> Result<Vec<MixSource>> {
    let mut sources: Vec<MixSource> = Vec::with_capacity(inputs.len());
    for input in inputs {
        let (name, path) = named(input);
        if path == "-" {
            return Err(Error::usage("sources are read twice, and standard input can't be")
                .with_hint("write it to a file and name that"));
        }
        let mut files = source::resolve_rows(&[path.to_owned()])?;
        without_own_output(&mut files, layout)?;
        // Of a dataset with splits the others are there to measure.
        let is_of_train = |split: Option<&str>| split.is_none_or(|split| split == TRAIN);
        files.retain(|file| !file.in_folder || is_of_train(split_of(&file.path)));
        if files.is_empty() {
            return Err(Error::input(format!("there is no file of rows in `{path}`"))
                .with_hint("name a dataset folder or files of rows"));
        }
        if let Some(other) = sources.iter().find(|other| other.name == name) {
            return Err(Error::usage(format!("two sources are called `{}`", other.name))
                .with_hint(format!("give them names: `{name}-a={path}`")));
        }
        sources.push(MixSource { name: name.to_owned(), files });
    }
    Ok(sources)
}

/// Name and path of a source as it was typed.
pub(super) fn named(input: &str) -> (&str, &str) {
    match input.split_once('=') {
        Some((name, path))
            if !name.is_empty() && !name.contains(['/', '\\', '*']) && !Path::new(input).exists() =>
        {
            (name, path)
        }
        _ => {
            let last = input.trim_end_matches('/').rsplit(['/', '\\']).next().unwrap_or(input);
            let stem = last.split('.').next().filter(|stem| !stem.is_empty());
            (stem.unwrap_or(last), input)
        }
    }
}

/// The shape that the first rows of all sources have.
fn common_shape(sources: &[MixSource], from: Option<&'static Shape>) -> Result<&'static Shape> {
    if let Some(from) = from {
        return Ok(from);
    }
    let mut found: Vec<(&str, &'static Shape)> = Vec::new();
    for source in sources {
        let road = ConvertRoad {
            from: None,
            to: Shape::parse("messages")?,
            view: None,
            strict: false,
            is_table: false,
            limit: u64::MAX,
        };
        let (_, shapes) = preview(&road, source.files.clone(), 1)?;
        if let Some(detected) = shapes.iter().find_map(|shape| shape.detected.as_ref()) {
            found.push((&source.name, detected.shape));
        }
    }
    let Some((_, first)) = found.first() else {
        return Err(Error::input("no source has a row that can be read")
            .with_hint("`instil check FILE` says what is wrong with rows"));
    };
    if found.iter().all(|(_, shape)| shape == first) {
        return Ok(first);
    }
    let shapes: Vec<String> = found.iter().map(|(name, shape)| format!("`{name}`: {}", shape.name)).collect();
    Err(Error::usage("the sources' rows have different shapes")
        .because(shapes.join("\n"))
        .with_hint("`--to messages` brings them into one"))
}

fn weights(recipe: &Mix, names: &[&str]) -> Result<Weights> {
    if let Some(alpha) = recipe.alpha {
        if !recipe.weights.is_empty() {
            return Err(Error::usage("weights and alpha are two ways to say the same")
                .with_hint("leave `--weights` or `--alpha` out"));
        }
        return Ok(Weights::Alpha(alpha));
    }
    if recipe.weights.is_empty() {
        return Ok(Weights::Alpha(0.0));
    }
    let number = |text: &str| {
        text.trim().parse::<f64>().map_err(|e| {
            Error::usage(format!("the weight `{text}` is no number"))
                .because(e)
                .with_hint("weights are numbers from 0, in the order of the sources or by name: `notes=2`")
        })
    };
    if recipe.weights.iter().all(|word| !word.contains('=')) {
        return Ok(Weights::Given(recipe.weights.iter().map(|word| number(word)).collect::<Result<_>>()?));
    }
    let mut given: Vec<Option<f64>> = vec![None; names.len()];
    for word in &recipe.weights {
        let (name, weight) = word.rsplit_once('=').ok_or_else(|| {
            Error::usage(format!("the weight `{word}` has no name, and others have"))
                .with_hint("name all of them, as in `--weights notes=2,forum=1`")
        })?;
        let place = names.iter().position(|known| *known == name.trim()).ok_or_else(|| {
            let hint = match nearest(name.trim(), names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the sources are {}", names.join(", ")),
            };
            Error::usage(format!("a weight is given for `{name}`, which isn't mixed")).with_hint(hint)
        })?;
        if given[place].replace(number(weight)?).is_some() {
            return Err(Error::usage(format!("`{name}` has two weights")).with_hint("give it one"));
        }
    }
    // A source that is named and not weighed is one of several: 1, as a template of `cook` is.
    Ok(Weights::Given(given.into_iter().map(|weight| weight.unwrap_or(1.0)).collect()))
}

/// What the files were when a run began.
fn fingerprint(sources: &[MixSource]) -> Option<String> {
    let parts: Option<Vec<String>> = sources
        .iter()
        .flat_map(|source| &source.files)
        .map(|file| Some(format!("{} {} {}", file.name, file.bytes, file.modified?)))
        .collect();
    Some(hex_of(&parts?.iter().map(String::as_str).collect::<Vec<_>>(), 32))
}

/// Mixes the datasets of a recipe. A run that was broken off begins anew: reading rows again costs no more than
/// remembering them.
///
/// `count` is asked after each batch of the first reading, with the rows read so far, `watch` after each of the second;
/// both can break off.
///
/// # Errors
/// When the output belongs to another run, another process is at it, it can't be written, or a source has too few rows.
pub fn mix(
    recipe: &Mix,
    plan: &MixPlan,
    existing: Existing,
    count: &mut dyn FnMut(u64) -> ControlFlow<()>,
    watch: &mut dyn FnMut(&Ledger) -> ControlFlow<()>,
) -> Result<Done> {
    let step = Step::from(recipe.clone());
    let held = match begin(&step, &plan.layout, existing, plan.inputs.clone())? {
        Begun::Finished(report) => return Ok(Done::AlreadyFinished(report)),
        Begun::Held(held) => held,
    };
    let Some(MixShares { shares, wanted, sizes }) = plan.shares(recipe, count)? else {
        let ledger = Ledger::of(&crate::reject::Stage::FROM_SOURCES);
        return held.end_with(ledger, Ended::Interrupted, false, String::new(), |_| Ok(()));
    };
    let draws = sizes
        .iter()
        .zip(&wanted)
        .map(|(size, wanted)| match recipe.tokens {
            Some(_) => Draw::of_tokens(size, *wanted),
            None => Draw::of_rows(size, *wanted),
        })
        .collect();
    let mut writer = MixWriter::create(&plan.layout, plan.road.to, recipe.shard_rows)?;
    let partial = plan.layout.partial();
    let (ledger, ended) = road::mix(&plan.road, &sizes, draws, plan.threads, &partial, &mut writer, watch)?;
    held.end_with(ledger, ended, false, String::new(), |report| {
        let source = |((name, share), size): ((&str, &f64), &Size)| {
            let set = report.ledger.sets.get(name).cloned().unwrap_or_default();
            CardSource {
                name: name.to_owned(),
                share: *share,
                rows: size.rows,
                kept: set.kept,
                tokens: set.tokens,
            }
        };
        let card = Card {
            name: Card::name_of(&recipe.output),
            license: recipe.license.clone(),
            made: Made::Mixed {
                sources: plan.names().into_iter().zip(&shares).zip(&sizes).map(source).collect(),
                seed: recipe.seed,
            },
            kinds: Vec::new(),
            rejects: report.ledger.rejects(),
        };
        writer.finish(&card).map(drop)
    })
}
