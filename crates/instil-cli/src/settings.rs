//! Flags over environment over recipe over defaults: what was typed, settled once.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use instil::lm::LanguageModel;
use instil::lm::replay::Replay;
use instil::pipeline::Window;
use instil::prompt::Style;
use instil::recipe::{Convert, Cook, FromRows, Generate, Mix, Train, Unify};
use instil::rules::Rules;
use instil::{Error, Result};
use instil_model::engine::{Engine, Settings};
use instil_model::weights::{Checkpoint, Options};
use instil_remote::hub::{self, Transfer};
use instil_remote::{Api, Config, Endpoint, Structured};

use crate::args::{
    ApiArg, ConvertWhat, CookWhat, How, HowOfAll, MixWhat, ModelArgs, RowsWhat, TrainHow, TrainWhat,
    UnifyWhat, What,
};
use crate::commands::pull::hub_config;
use crate::commands::score::needs_model;
use crate::env;
use crate::progress::Progress;

/// Puts the typed flags over a recipe's step.
pub(crate) fn what_over(step: &mut Generate, what: What) {
    macro_rules! over {
        ($($key:ident),*) => { $(if let Some(value) = what.$key { step.$key = value; })* };
    }
    macro_rules! over_optional {
        ($($key:ident),*) => { $(if what.$key.is_some() { step.$key = what.$key; })* };
    }
    over!(
        task,
        model,
        prompt,
        labels,
        chunk_chars,
        samples,
        temperature,
        top_p,
        max_tokens,
        stop,
        seed,
        format,
        shard_rows
    );
    over_optional!(
        adapter,
        endpoint,
        replay,
        text_column,
        id_column,
        document,
        chunk_tokens,
        tokenizer,
        window,
        top_k,
        min_p,
        repetition_penalty,
        presence_penalty,
        frequency_penalty,
        quantize,
        limit,
        license
    );
    if let Some(api) = what.api {
        step.api = match api {
            ApiArg::Auto => "auto",
            ApiArg::Completions => "completions",
            ApiArg::Chat => "chat",
        }
        .to_owned();
    }
    step.reference |= what.reference;
    step.constrain |= what.constrain;
}

/// Puts the flags that say how to run over a recipe's step, and the environment below them.
pub(crate) fn how_over(step: &mut Generate, how: &How) {
    if let Some(concurrency) = how.concurrency {
        step.concurrency = concurrency;
    }
    if let Some(timeout) = how.timeout {
        step.timeout = timeout;
    }
    if let Some(threads) = how.of_all.threads {
        step.threads = threads;
    }
    if how.of_all.max_drop.is_some() {
        step.max_drop = how.of_all.max_drop;
    }
    if how.journal.is_some() {
        step.journal.clone_from(&how.journal);
    }
    step.keep_run |= how.of_all.keep_run;
    step.allow_errors |= how.allow_errors;
    // The one environment variable that is a setting. With `rules` nothing may leave the machine.
    let is_here = step.model == "rules" || Path::new(&step.model).exists();
    if step.endpoint.is_none() && step.replay.is_none() && !is_here {
        step.endpoint = env::get(env::OPENAI_BASE_URL);
    }
}

/// Puts the typed flags of `apply` and `remix` over a recipe's step.
pub(crate) fn rows_over(step: &mut FromRows, what: RowsWhat) {
    macro_rules! over {
        ($($key:ident),*) => { $(if let Some(value) = what.$key { step.$key = value; })* };
    }
    macro_rules! over_optional {
        ($($key:ident),*) => { $(if what.$key.is_some() { step.$key = what.$key; })* };
    }
    over!(templates, template, seed, shard_rows);
    over_optional!(dataset, data, cap, split, limit, format, license);
    if let Some(weights) = what.weight {
        step.weight = weights.into_iter().collect();
    }
    step.reference |= what.reference;
    step.shuffle |= what.shuffle;
}

/// Puts the flags that say how to run over a recipe's step of `apply` or `remix`.
pub(crate) fn rows_how_over(step: &mut FromRows, how: &HowOfAll) {
    if let Some(threads) = how.threads {
        step.threads = threads;
    }
    if how.max_drop.is_some() {
        step.max_drop = how.max_drop;
    }
    step.keep_run |= how.keep_run;
}

/// Puts the typed flags of `convert` over a recipe's step.
pub(crate) fn convert_over(step: &mut Convert, what: ConvertWhat) {
    if let Some(to) = what.to {
        step.to = to;
    }
    if what.from.is_some() {
        step.from = what.from;
    }
    if what.limit.is_some() {
        step.limit = what.limit;
    }
    if what.chat_template.is_some() {
        step.chat_template = what.chat_template;
    }
    if step.to.is_empty() && step.chat_template.is_some() {
        instil::convert::view::SHAPE.clone_into(&mut step.to);
    }
    step.strict |= what.strict;
}

/// Puts the typed flags of `unify` over a recipe's step.
pub(crate) fn unify_over(step: &mut Unify, what: UnifyWhat) {
    macro_rules! over_optional {
        ($($key:ident),*) => { $(if what.$key.is_some() { step.$key = what.$key; })* };
    }
    over_optional!(level, from, to, task_column, definitions, report, limit);
    if !what.style.is_empty() {
        step.style = what.style;
    }
    if !what.templates.is_empty() {
        step.templates = what.templates;
    }
    if let Some(seed) = what.seed {
        step.seed = seed;
    }
    step.diversify |= what.diversify;
    step.keep_rest |= what.keep_rest;
}

/// Puts the flags that say how to run over a recipe's step of `unify`.
pub(crate) fn unify_how_over(step: &mut Unify, how: &HowOfAll) {
    if let Some(threads) = how.threads {
        step.threads = threads;
    }
    if how.max_drop.is_some() {
        step.max_drop = how.max_drop;
    }
    step.keep_run |= how.keep_run;
}

/// Puts the typed flags of `cook` over a recipe's step.
pub(crate) fn cook_over(step: &mut Cook, what: CookWhat) {
    macro_rules! over {
        ($($key:ident),*) => { $(if let Some(value) = what.$key { step.$key = value; })* };
    }
    macro_rules! over_optional {
        ($($key:ident),*) => { $(if what.$key.is_some() { step.$key = what.$key; })* };
    }
    over!(rows, validation_rows, test_rows, pool_words, format, seed, shard_rows);
    over_optional!(pool, words, tokenizer, wording);
    if !what.script.is_empty() {
        step.script = what.script;
    }
    step.set.extend(what.set);
    step.until.extend(what.until);
    step.verify |= what.verify;
}

/// Puts the flags that say how to run over a recipe's step of `cook`.
pub(crate) fn cook_how_over(step: &mut Cook, how: &HowOfAll) {
    if let Some(threads) = how.threads {
        step.threads = threads;
    }
    step.keep_run |= how.keep_run;
}

/// Puts the typed flags of `mix` over a recipe's step.
pub(crate) fn mix_over(step: &mut Mix, what: MixWhat) {
    macro_rules! over_optional {
        ($($key:ident),*) => { $(if what.$key.is_some() { step.$key = what.$key; })* };
    }
    over_optional!(rows, tokens, tokenizer, alpha, from, to, license);
    if !what.weights.is_empty() {
        step.weights = what.weights;
    }
    if let Some(seed) = what.seed {
        step.seed = seed;
    }
    if let Some(shard_rows) = what.shard_rows {
        step.shard_rows = shard_rows;
    }
    step.repeat |= what.repeat;
}

/// Puts the flags that say how to run over a recipe's step of `mix`.
pub(crate) fn mix_how_over(step: &mut Mix, how: &HowOfAll) {
    if let Some(threads) = how.threads {
        step.threads = threads;
    }
    if how.max_drop.is_some() {
        step.max_drop = how.max_drop;
    }
    step.keep_run |= how.keep_run;
}

/// Puts the typed flags of `train` over a recipe's step.
pub(crate) fn train_over(step: &mut Train, what: TrainWhat, is_preset: bool) {
    macro_rules! over {
        ($($key:ident),*) => { $(if let Some(value) = what.$key { step.$key = value; })* };
    }
    macro_rules! over_optional {
        ($($key:ident),*) => { $(if what.$key.is_some() { step.$key = what.$key; })* };
    }
    // A new model has nothing that could stay as it is, and learns from nothing.
    if what.new_model.is_some() && !is_preset {
        "full".clone_into(&mut step.method);
        step.learning_rate = 1e-3;
    }
    over_optional!(new_model, tokenizer, init_adapter, quantize, from, limit, validate_every, steps);
    over!(
        model,
        method,
        r,
        lora_alpha,
        lora_dropout,
        frame,
        max_tokens,
        validation,
        epochs,
        batch_size,
        pass_tokens,
        learning_rate,
        schedule,
        warmup_ratio,
        weight_decay,
        max_grad_norm,
        seed
    );
    if !what.target_modules.is_empty() {
        step.target_modules = what.target_modules;
    }
    step.use_rslora |= what.use_rslora;
    step.group_by_length |= what.group_by_length;
}

/// Puts the flags that say how to run over a recipe's step of `train`.
pub(crate) fn train_how_over(step: &mut Train, how: &TrainHow) {
    if let Some(threads) = how.threads {
        step.threads = threads;
    }
    if let Some(every) = how.checkpoint_every {
        step.checkpoint_every = every;
    }
    step.gradient_checkpointing |= how.gradient_checkpointing;
    step.moments_on_disk |= how.moments_on_disk;
}

/// Puts the flags that say how to run over a recipe's step of `convert`.
pub(crate) fn convert_how_over(step: &mut Convert, how: &HowOfAll) {
    if let Some(threads) = how.threads {
        step.threads = threads;
    }
    if how.max_drop.is_some() {
        step.max_drop = how.max_drop;
    }
    step.keep_run |= how.keep_run;
}

/// The threads of programs: the number asked for, or one a processor.
pub(crate) fn threads(step: &Generate) -> NonZeroUsize {
    NonZeroUsize::new(step.threads)
        .or_else(|| std::thread::available_parallelism().ok())
        .unwrap_or(NonZeroUsize::MIN)
}

/// The generator that a settled step names; `local` are the weights of one that runs here.
pub(crate) fn model(step: &Generate, local: Option<&Local>) -> Result<Box<dyn LanguageModel>> {
    match (&step.endpoint, local) {
        (_, Some(local)) => Ok(Box::new(local.load()?)),
        (Some(endpoint), _) if step.replay.is_none() => {
            Ok(Box::new(Endpoint::connect(endpoint_config(step, endpoint)?)?))
        }
        _ => offline_model(step),
    }
}

/// The model that is to be measured, and perhaps held to something; none if Ctrl-C came while its weights were fetched.
pub(crate) fn measured(
    args: &ModelArgs,
    constrain: bool,
    progress: &mut Progress,
) -> Result<Option<Box<dyn LanguageModel>>> {
    needs_model(args)?;
    let mut step = Generate { constrain, ..Generate::default() };
    if let Some(model) = &args.model {
        step.model.clone_from(model);
    }
    step.endpoint.clone_from(&args.endpoint);
    step.adapter.clone_from(&args.adapter);
    step.quantize.clone_from(&args.quantize);
    let of_all = HowOfAll { threads: args.threads, ..HowOfAll::default() };
    how_over(
        &mut step,
        &How { of_all, concurrency: args.concurrency, timeout: args.timeout, ..How::default() },
    );
    let watch: &mut dyn FnMut(&Transfer) -> _ = &mut |transfer| progress.watch_transfer(transfer);
    match Local::of(&step, args.weights_cache.clone(), watch)? {
        Found::Interrupted => Ok(None),
        Found::Nothing => model(&step, None).map(Some),
        Found::Weights(local) => model(&step, Some(&local)).map(Some),
    }
}

/// Weights on this machine that a settled step names.
pub(crate) struct Local {
    path: PathBuf,
    settings: Settings,
}

/// What [`Local::of`] found.
pub(crate) enum Found {
    /// The step's generator is none that runs here.
    Nothing,
    /// Ctrl-C came while the weights were fetched.
    Interrupted,
    /// These weights.
    Weights(Local),
}

impl Local {
    /// The weights of a step's model: a path, or an id of the Hub, which is fetched if it isn't in the cache.
    pub(crate) fn of(
        step: &Generate,
        weights_cache: Option<PathBuf>,
        watch: &mut dyn FnMut(&Transfer) -> ControlFlow<()>,
    ) -> Result<Found> {
        if !is_local(step) {
            let flags = [("--quantize", &step.quantize), ("--adapter", &step.adapter)];
            return match flags.into_iter().find_map(|(flag, value)| Some((flag, value.as_ref()?))) {
                Some((flag, value)) => Err(Error::usage(format!(
                    "{flag} {value} is for a model that runs here"
                ))
                .with_hint(format!("name its folder or .gguf file with --model, or leave {flag} out"))),
                None => Ok(Found::Nothing),
            };
        }
        let Some(path) = resolved(&step.model, watch)? else { return Ok(Found::Interrupted) };
        let adapter = match &step.adapter {
            None => None,
            Some(adapter) => match resolved_adapter(adapter, watch)? {
                None => return Ok(Found::Interrupted),
                found => found,
            },
        };
        Self::at(&path, adapter, step, weights_cache).map(Found::Weights)
    }

    /// The weights of a step's model if they are there already.
    pub(crate) fn if_here(step: &Generate) -> Result<Option<Self>> {
        let is_path = Path::new(&step.model).exists() || looks_like_path(&step.model);
        if !is_local(step) || !is_path {
            return Ok(None);
        }
        let adapter = step.adapter.as_ref().map(PathBuf::from);
        Self::at(Path::new(&step.model), adapter, step, None).map(Some)
    }

    fn at(
        path: &Path,
        adapter: Option<PathBuf>,
        step: &Generate,
        weights_cache: Option<PathBuf>,
    ) -> Result<Self> {
        let quantize = step.quantize.as_deref().unwrap_or("auto").parse()?;
        let weights = Options { quantize, cache: weights_cache, ..Settings::default().weights };
        let settings = Settings { weights, adapter, threads: step.threads, ..Settings::default() };
        Ok(Self { path: path.to_owned(), settings })
    }

    /// The model's window with its tokenizer. Only headers are read.
    pub(crate) fn window(&self) -> Result<Option<Window>> {
        let checkpoint = Checkpoint::open_with(&self.path, &self.settings.weights)?;
        let tokenizer = checkpoint.tokenizer()?.hugging_face();
        Ok(tokenizer.map(|tokenizer| Window { tokens: checkpoint.model().window(), tokenizer }))
    }

    /// Where they are.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The model, in memory.
    pub(crate) fn load(&self) -> Result<Engine> {
        self.load_with(|settings| settings)
    }

    /// [`Local::load`] with other settings.
    pub(crate) fn load_with(&self, change: impl FnOnce(Settings) -> Settings) -> Result<Engine> {
        Engine::load(&self.path, &change(self.settings.clone()))
    }
}

/// Whether a step's generator is weights on this machine.
pub(crate) fn is_local(step: &Generate) -> bool {
    step.model != "rules"
        && step.endpoint.is_none()
        && step.replay.is_none()
        && (Path::new(&step.model).exists() || looks_like_path(&step.model) || step.model.contains('/'))
}

/// Where a model or adapter is: a path, or an id of the Hub, which is fetched if it isn't in the cache; none if Ctrl-C came
/// while it was.
pub(crate) fn resolved(
    named: &str,
    watch: &mut dyn FnMut(&Transfer) -> ControlFlow<()>,
) -> Result<Option<PathBuf>> {
    if Path::new(named).exists() || looks_like_path(named) {
        return Ok(Some(PathBuf::from(named)));
    }
    hub::resolve_model(named, &hub_config()?, watch)
}

/// [`resolved`] for an adapter.
pub(crate) fn resolved_adapter(
    named: &str,
    watch: &mut dyn FnMut(&Transfer) -> ControlFlow<()>,
) -> Result<Option<PathBuf>> {
    if !Path::new(named).exists() && !named.contains('/') {
        return Err(Error::usage(format!("there is no adapter `{named}`"))
            .with_hint("name a folder as Python's peft writes it, or an id of the Hub, `owner/name`"));
    }
    resolved(named, watch)
}

/// Whether a model's name can only be that of a file or folder.
fn looks_like_path(model: &str) -> bool {
    model.ends_with(".gguf") || model.starts_with(['.', '/', '~'])
}

/// Whether a step's generator is well named, as far as that can be said without calling anybody.
pub(crate) fn check_model(step: &Generate) -> Result<()> {
    match &step.endpoint {
        Some(endpoint) if step.replay.is_none() => {
            let is_url = endpoint.starts_with("http://") || endpoint.starts_with("https://");
            if !is_url {
                return Err(Error::usage(format!("endpoint `{endpoint}` is no URL"))
                    .with_hint("it looks like `http://localhost:8000/v1`"));
            }
            endpoint_config(step, endpoint).map(|_| ())
        }
        _ if is_local(step) => Ok(()),
        _ => offline_model(step).map(|_| ()),
    }
}

/// A generator that calls nobody: a recording or `rules`.
fn offline_model(step: &Generate) -> Result<Box<dyn LanguageModel>> {
    if let Some(recording) = &step.replay {
        return Ok(Box::new(Replay::open(Path::new(recording))?));
    }
    if step.model != "rules" {
        return Err(Error::usage(format!("there is no model `{}`", step.model)).with_hint(format!(
            "name a folder or .gguf file, an id of the Hub (`owner/name`), or a server with `--endpoint URL` (or {})",
            env::OPENAI_BASE_URL
        )));
    }
    let style = Style::parse(&step.prompt)?;
    if style == Style::Instruct {
        return Err(Error::usage("`rules` can't follow `instruct` prompts")
            .with_hint("name a chat model with --endpoint, or leave out --prompt instruct"));
    }
    let able = Rules::kinds();
    let unable: Vec<_> = step.kinds()?.into_iter().filter(|kind| !able.contains(kind)).collect();
    if !unable.is_empty() {
        let names =
            |kinds: &[instil::TaskKind]| kinds.iter().map(|kind| kind.short()).collect::<Vec<_>>().join(", ");
        return Err(Error::usage(format!("`rules` can't make {}", names(&unable)))
            .with_hint(format!("it can make {}; for the others name a model with --endpoint", names(able))));
    }
    Ok(Box::new(Rules::new(threads(step))))
}

fn endpoint_config(step: &Generate, endpoint: &str) -> Result<Config> {
    let api = match step.api.as_str() {
        "auto" => Api::Auto,
        "completions" => Api::Completions,
        "chat" => Api::Chat,
        other => {
            return Err(Error::usage(format!("unknown api `{other}`"))
                .with_hint("there are `auto`, `completions` and `chat`"));
        }
    };
    let concurrency =
        NonZeroUsize::new(step.concurrency).ok_or_else(|| Error::usage("concurrency must be at least 1"))?;
    Ok(Config {
        // `rules` is the default where no model is named; an endpoint is then asked what it has.
        model: Some(step.model.clone()).filter(|model| model != "rules"),
        api_key: env::get(env::OPENAI_API_KEY),
        api,
        // The schema of `instruct` prompts is sent anyway; then it has to be obeyed.
        structured: if step.constrain && step.prompt == Style::Instruct.name() {
            Structured::On
        } else {
            Structured::Auto
        },
        constrain: step.constrain && step.prompt == Style::Bonito.name(),
        concurrency,
        timeout: Duration::from_secs(step.timeout.max(1)),
        ..Config::new(endpoint)
    })
}
