//! `cook`: from a recipe to a finished output.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use super::hold::{Begun, begin};
use super::{Done, Existing};
use crate::chat_template::SpecialTokens;
use crate::chunk::{Tokenizer, load_tokenizer};
use crate::cook::{
    Curriculum, HostedTemplate, HuggingFace, Plan, Pool, Script, ScriptTemplate, Settings, Split, Stream,
    Template, Wording, Words, hosted, template, templates as built_in,
};
use crate::error::{Error, Result, nearest};
use crate::ledger::Ledger;
use crate::pipeline::cook::{self as road, CookFormat, CookRoad, CookSplit, IdsBy};
use crate::recipe::{Cook, Step};
use crate::sink::{BatchWriter, Card, CardTemplate, Layout, Made};

/// The most rows of a round, over which weights are exact.
const MOST_WEIGHT: u64 = 10_000;

/// A recipe of `cook` whose names are looked up and whose settings can be met.
#[derive(Debug)]
pub struct CookPlan {
    /// What is made.
    pub road: CookRoad,
    /// Where it goes.
    pub layout: Layout,
    /// Threads that make it.
    pub threads: NonZeroUsize,
    /// What was read beside the recipe: the pool, and the texts of scripts.
    pub inputs: Vec<String>,
}

impl CookPlan {
    /// Settles a recipe. Nothing is written.
    ///
    /// # Errors
    /// When a name is unknown, a file can't be read, or settings can't be met.
    pub fn of(recipe: &Cook) -> Result<Self> {
        let scripts = scripts(recipe)?;
        let templates = templates(recipe, &scripts)?;
        let format = CookFormat::parse(&recipe.format)?;
        let wording = match (&recipe.wording, format) {
            (Some(name), _) => Wording::parse(name)?,
            (None, CookFormat::Messages) => Wording::Chat,
            (None, _) => Wording::Instruct,
        };
        if matches!(format, CookFormat::Text | CookFormat::Ids) && wording == Wording::Chat {
            return Err(Error::usage("turns of a conversation don't make one text").with_hint(
                "take `--format messages`, and `convert --chat-template` for the text; or another wording",
            ));
        }
        let layout = Layout::of(Path::new(&recipe.output))?;
        BatchWriter::check(&layout)?;
        let splits = [
            (Split::Train, recipe.rows),
            (Split::Validation, recipe.validation_rows),
            (Split::Test, recipe.test_rows),
        ];
        let splits: Vec<(Split, u64)> =
            splits.into_iter().filter(|(split, rows)| *rows > 0 || *split == Split::Train).collect();
        if splits.iter().all(|(_, rows)| *rows == 0) {
            return Err(Error::usage("no row is asked for").with_hint("add `--rows 1000`"));
        }
        let tokenizer = recipe
            .tokenizer
            .as_deref()
            .map(|path| load_tokenizer(Path::new(path)))
            .transpose()?
            .map(Arc::new);
        let pool = Arc::new(pool(recipe, tokenizer.as_deref())?);
        let ids = match (format, &recipe.tokenizer, tokenizer) {
            (CookFormat::Ids, Some(path), Some(tokenizer)) => Some(ids_by(Path::new(path), tokenizer)?),
            (CookFormat::Ids, ..) => {
                return Err(Error::usage("ids are a tokenizer's, and none is named")
                    .with_hint("add `--tokenizer PATH/tokenizer.json`, the model's own"));
            }
            _ => None,
        };
        let mut inputs = vec![pool.hash().to_owned()];
        inputs.extend(scripts.iter().flatten().map(|template| template.script().hash().to_owned()));
        inputs.extend(
            templates.iter().filter_map(|(template, _)| Some(hosted(template.name())?.hash().to_owned())),
        );
        inputs.dedup();
        let mut names: Vec<&str> = templates.iter().map(|(template, _)| template.name()).collect();
        names.sort_unstable();
        names.dedup();
        if names.len() < templates.len() {
            return Err(Error::usage("a template is named twice")
                .with_hint("name it once, with how often it comes: `doc_qa=2`"));
        }
        known_settings(recipe, &templates)?;
        let streams = |split: Split, rows: u64| -> Result<Vec<Stream>> {
            templates
                .iter()
                .map(|(template, _)| {
                    Stream::new(Plan {
                        template: Arc::clone(template),
                        settings: curriculum(recipe, template.as_ref(), rows)?,
                        pool: Arc::clone(&pool),
                        wording,
                        seed: recipe.seed,
                        split,
                    })
                })
                .collect()
        };
        let splits = splits
            .into_iter()
            .map(|(split, rows)| {
                Ok(CookSplit { name: split.name(), rows, streams: streams(split, recipe.rows.max(rows))? })
            })
            .collect::<Result<_>>()?;
        let road = CookRoad {
            splits,
            weights: templates.iter().map(|(_, weight)| *weight).collect(),
            seed: recipe.seed,
            format,
            has_ids: layout.is_folder(),
            is_arrays: BatchWriter::takes_arrays(&layout),
            verify: recipe.verify,
            ids,
        };
        let threads = NonZeroUsize::new(recipe.threads)
            .or_else(|| std::thread::available_parallelism().ok())
            .unwrap_or(NonZeroUsize::MIN);
        Ok(Self { road, layout, threads, inputs })
    }
}

/// The templates of each script.
fn scripts(recipe: &Cook) -> Result<Vec<Vec<Arc<ScriptTemplate>>>> {
    let scripts: Vec<_> =
        recipe.script.iter().map(|path| Script::open(Path::new(path))).collect::<Result<_>>()?;
    let all = || {
        scripts
            .iter()
            .zip(&recipe.script)
            .flat_map(|(script, path)| script.iter().map(move |one| (one, path)))
    };
    for (at, (one, path)) in all().enumerate() {
        let other =
            all().take(at).find(|(other, _)| other.name() == one.name()).map(|(_, path)| path.as_str());
        let is_built_in = built_in().iter().any(|known| known.name() == one.name());
        if let Some(other) = other.or(is_built_in.then_some("the program itself")) {
            return Err(Error::usage(format!("`{}` of {path} is also a template of {other}", one.name()))
                .with_hint("give it another name in its `template(…)`"));
        }
        if recipe.verify && !one.can_solve() {
            return Err(Error::usage(format!("`{}` of {path} has no function `solve`", one.name()))
                .because("`--verify` derives each answer anew from its text, by other code than made it")
                .with_hint("define `def solve(…):`, which takes the slots of the prompt and returns the answer; or leave `--verify` out"));
        }
    }
    Ok(scripts)
}

/// The templates with how many rows of a round each has. Those of a script come once each, or as they are named.
fn templates(recipe: &Cook, scripts: &[Vec<Arc<ScriptTemplate>>]) -> Result<Vec<(Arc<dyn Template>, u32)>> {
    if recipe.template.is_empty() && recipe.script.is_empty() {
        return Err(Error::usage("no template is named").with_hint(
            "name one, as in `instil cook doc_qa --rows 1000 -o out`; `instil list templates` shows them all",
        ));
    }
    let mut found: Vec<(Arc<dyn Template>, u32)> = Vec::new();
    let mut is_named = vec![false; scripts.len()];
    for word in &recipe.template {
        let (name, weight) = word.split_once('=').unwrap_or((word, "1"));
        let weight: u32 = weight.trim().parse().ok().filter(|weight| *weight > 0).ok_or_else(|| {
            Error::usage(format!("`{word}` doesn't say how often the template comes"))
                .with_hint("write a whole number from 1, as in `doc_qa=3 mcqa=1`")
        })?;
        let name = name.trim();
        let own = scripts.iter().enumerate().find_map(|(script, templates)| {
            Some((script, templates.iter().find(|template| template.name() == name)?))
        });
        match own {
            Some((script, own)) => {
                is_named[script] = true;
                found.push((Arc::clone(own) as Arc<dyn Template>, weight));
            }
            None => match hosted(name) {
                Some(hosted) => {
                    can_solve(recipe, &hosted)?;
                    found.push((hosted, weight));
                }
                None => found.push((template(name)?, weight)),
            },
        }
    }
    for (script, is_named) in scripts.iter().zip(is_named) {
        if !is_named {
            found.extend(script.iter().map(|own| (Arc::clone(own) as Arc<dyn Template>, 1)));
        }
    }
    let all: u64 = found.iter().map(|(_, weight)| u64::from(*weight)).sum();
    if all > MOST_WEIGHT {
        return Err(Error::usage(format!("the weights add up to {all}")).with_hint(format!(
            "they may add up to {MOST_WEIGHT}: `3` and `1` are as good as `3000` and `1000`"
        )));
    }
    Ok(found)
}

/// Refuses to derive anew what a rule can't.
fn can_solve(recipe: &Cook, hosted: &HostedTemplate) -> Result<()> {
    if recipe.verify && !hosted.can_solve() {
        return Err(Error::usage(format!("`{}` can't be verified: it solves nothing", hosted.name()))
            .because("`--verify` derives each answer anew from its text, by other code than made it")
            .with_hint("give it a second function that solves, or leave `--verify` out"));
    }
    Ok(())
}

/// Refuses settings of templates that aren't cooked.
fn known_settings(recipe: &Cook, templates: &[(Arc<dyn Template>, u32)]) -> Result<()> {
    let names = || templates.iter().map(|(template, _)| template.name());
    for key in recipe.set.keys().chain(recipe.until.keys()) {
        let named = key.split_once('.').map(|(name, _)| name);
        if named.is_none_or(|name| names().all(|known| known != name)) {
            let hint = match named.and_then(|name| nearest(name, names())) {
                Some(near) => format!("did you mean `{near}`?"),
                None => {
                    format!("settings are named as in `{}.KNOB=VALUE`", names().next().unwrap_or("doc_qa"))
                }
            };
            return Err(
                Error::usage(format!("`{key}` is no setting of a template that is cooked")).with_hint(hint)
            );
        }
    }
    Ok(())
}

fn curriculum(recipe: &Cook, template: &dyn Template, rows: u64) -> Result<Curriculum> {
    let of_template = |key: &str| {
        Some(key.split_once('.')?.1)
            .filter(|_| key.split('.').next() == Some(template.name()))
            .map(str::to_owned)
    };
    let mut from = Settings::new(template.knobs());
    for (key, value) in &recipe.set {
        if let Some(knob) = of_template(key) {
            from.set(&knob, value)?;
        }
    }
    let mut to = from.clone();
    for (key, value) in &recipe.until {
        if let Some(knob) = of_template(key) {
            to.set(&knob, value)?;
        }
    }
    // Where nothing changes, a row is the same however many there are.
    Ok(if from == to { Curriculum::constant(from) } else { Curriculum { from, to, rows } })
}

/// What makes ids: the tokenizer, what it puts before texts, and the end of text that the model's
/// `tokenizer_config.json` names beside it.
fn ids_by(path: &Path, tokenizer: Arc<Tokenizer>) -> Result<IdsBy> {
    let around = tokenizer.encode_fast("", true).map_err(|e| {
        Error::input(format!("`{}` can't encode an empty text", path.display())).because(e.to_string())
    })?;
    let config = std::fs::read_to_string(path.with_file_name("tokenizer_config.json")).unwrap_or_default();
    let config: serde_json::Value = serde_json::from_str(&config).unwrap_or_default();
    let end = SpecialTokens::of_json(&config).get("eos_token").and_then(|token| tokenizer.token_to_id(token));
    // Some tokenizers end a text themselves.
    let begin = around.get_ids().first().copied().filter(|id| Some(*id) != end);
    Ok(IdsBy { tokenizer, begin, end })
}

fn pool(recipe: &Cook, tokenizer: Option<&Tokenizer>) -> Result<Pool> {
    let mode = match (&recipe.pool, &recipe.tokenizer, &recipe.words) {
        (Some(mode), ..) => mode.as_str(),
        (None, Some(_), _) => "safe",
        (None, None, Some(_)) => "wordlist",
        (None, None, None) => "synthetic",
    };
    match mode {
        "synthetic" => Pool::synthetic(recipe.pool_words),
        "wordlist" => {
            let path = recipe.words.as_deref().ok_or_else(|| {
                Error::usage("a pool of words needs the words")
                    .with_hint("name a file of them: `--words FILE`")
            })?;
            Pool::wordlist(Path::new(path))
        }
        "safe" | "all" => {
            let tokenizer = tokenizer.ok_or_else(|| {
                Error::usage(format!("a pool `{mode}` is of a tokenizer, and none is named"))
                    .with_hint("add `--tokenizer PATH/tokenizer.json`")
            })?;
            let words = if mode == "safe" { Words::Safe } else { Words::All };
            Pool::of_vocabulary(&HuggingFace::new(tokenizer)?, words)
        }
        other => Err(Error::usage(format!("there is no pool `{other}`"))
            .with_hint("there are `synthetic`, `wordlist`, `safe` and `all`")),
    }
}

/// Makes the dataset of a recipe. A run that was broken off begins anew: making rows again costs no more than
/// remembering them.
///
/// `watch` sees the ledger after each batch, and can break off.
///
/// # Errors
/// When the output belongs to another run, another process is at it, or it can't be written.
pub fn cook(
    recipe: &Cook,
    plan: &CookPlan,
    existing: Existing,
    watch: &mut dyn FnMut(&Ledger) -> ControlFlow<()>,
) -> Result<Done> {
    let step = Step::from(recipe.clone());
    // Words and templates of one's own are inputs, too.
    let held = match begin(&step, &plan.layout, existing, Some(plan.inputs.join(" ")))? {
        Begun::Finished(report) => return Ok(Done::AlreadyFinished(report)),
        Begun::Held(held) => held,
    };
    let names: Vec<&str> = plan.road.splits.iter().map(|split| split.name).collect();
    let CookRoad { format, .. } = &plan.road;
    let mut writer =
        BatchWriter::create(&plan.layout, format.name(), plan.road.columns(), recipe.shard_rows, &names)?;
    let (ledger, ended) = road::cook(&plan.road, plan.threads, &mut writer, watch)?;
    held.end_with(ledger, ended, false, String::new(), |report| {
        writer.finish(&card(recipe, plan, report)).map(drop)
    })
}

fn card(recipe: &Cook, plan: &CookPlan, report: &super::Report) -> Card {
    let streams = &plan.road.splits[0].streams;
    let shown = |stream: &Stream| {
        let Curriculum { from, to, .. } = &stream.plan().settings;
        let from = from.to_string();
        let to = to.to_string();
        let words = stream.plan().wording.name();
        if from == to {
            format!("{from}; worded as `{words}`")
        } else {
            format!("{from}, up to {to}; worded as `{words}`")
        }
    };
    let templates = streams.iter().map(|stream| {
        let template = &stream.plan().template;
        CardTemplate {
            name: template.name().to_owned(),
            about: template.about().to_owned(),
            settings: shown(stream),
            rows: report.ledger.sets.get(template.name()).map_or(0, |set| set.kept),
        }
    });
    let pool = &streams[0].plan().pool;
    let pool = match pool.mode() {
        "synthetic" => format!("{} invented ones", pool.size()),
        "wordlist" => format!("{} of a list", pool.size()),
        _ => format!("{} tokens of a tokenizer", pool.size()),
    };
    Card {
        name: Card::name_of(&recipe.output),
        license: None,
        made: Made::Cooked { templates: templates.collect(), pool, seed: recipe.seed },
        kinds: Vec::new(),
        rejects: report.ledger.rejects(),
    }
}
