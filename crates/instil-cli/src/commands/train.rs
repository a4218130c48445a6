//! `train`: rows or texts to an adapter or a model.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use indicatif::HumanCount;
use instil::chat_template::ChatTemplate;
use instil::convert::supervise::{Frame, Supervised};
use instil::recipe::{Step as RecipeStep, Train};
use instil::rng::{nth, seed_of};
use instil::run::{Existing, Material, TrainBegun, TrainFolder, TrainReport, material};
use instil::{Error, Result};
use instil_model::adapter::{Adapter, TargetModules};
use instil_model::tokenizer::{Tokenizer, new};
use instil_model::train::{
    AdamW, Batch, Checkpoints, Event, Example, Length, Lora, Method, Plan, Schedule, Settings, Step, Trainer,
    Warmup, needs_end,
};
use instil_model::weights::{Checkpoint, Options};
use instil_remote::hub;
use serde_json::{Value, json};

use crate::args::{TrainArgs, TrainHow};
use crate::commands::pull::hub_config;
use crate::progress::{Progress, catch_interrupts};
use crate::tables::reasons;
use crate::{exit, output, settings};

/// How many examples `--dry-run` shows.
const SHOWN: usize = 2;

pub(crate) fn run(args: TrainArgs) -> Result<u8> {
    let TrainArgs { input, output, preset, what, how } = args;
    let step = match &preset {
        Some(name) => Train::preset(name)?,
        None => Train::default(),
    };
    let mut step = Train { input, ..step };
    settings::train_over(&mut step, what, preset.is_some());
    step.output = match output {
        Some(output) => output,
        None if how.dry_run => "out".to_owned(),
        None => {
            return Err(Error::usage("no output is named")
                .with_hint("add `-o DIR`, the folder of the adapter or the model"));
        }
    };
    execute(step, &how)
}

/// Runs one settled step and says how it went.
pub(crate) fn execute(mut step: Train, how: &TrainHow) -> Result<u8> {
    settings::train_how_over(&mut step, how);
    catch_interrupts()?;
    let started = Instant::now();
    let mut progress = Progress::start(how.quiet);
    let Some(base) = Base::of(&step, &mut progress)? else { return Ok(exit::INTERRUPTED) };
    let frame = base.frame(&step.frame)?;
    let mut material = material(&step, frame.as_ref())?;
    if material.examples.is_empty() {
        return Err(nothing(&step, &material));
    }
    let inputs = base.inputs(&material)?;
    let begun = if how.dry_run {
        None
    } else {
        let existing = if how.overwrite { Existing::Overwrite } else { Existing::Same };
        match TrainFolder::begin(&step, existing, &inputs)? {
            TrainBegun::Finished(report) => {
                progress.finish();
                return Ok(already(&step, &report, how));
            }
            TrainBegun::Open(folder) => Some(folder),
        }
    };
    let scratch;
    let work = match &begun {
        Some(folder) => folder.run(),
        None => {
            scratch = tempfile::tempdir()
                .map_err(|e| Error::output("a temporary folder can't be made").because(e))?;
            scratch.path().to_owned()
        }
    };
    let (tokenizer, config) = base.tokenizer(&step, &material, &work)?;
    if frame.as_ref().is_none_or(|frame| !matches!(frame, Frame::Chat(_))) {
        needs_end(&tokenizer)?;
    }
    let examples = tokenised(&step, &mut material, frame.is_none(), &tokenizer)?;
    if examples.is_empty() {
        return Err(nothing(&step, &material));
    }
    let (validation, learnt): (Vec<_>, Vec<_>) = {
        let seed = seed_of(step.seed, &["validation"]);
        let is_held =
            |number: u64| ((nth(seed, number) >> 11) as f64 / (1u64 << 53) as f64) < step.validation;
        let parted = (0..).zip(examples).partition::<Vec<_>, _>(|(number, _)| is_held(*number));
        let bare = |examples: Vec<(u64, Example)>| examples.into_iter().map(|(_, example)| example).collect();
        (bare(parted.0), bare(parted.1))
    };
    let Some(folder) = begun else {
        progress.finish();
        show(&step, &material, &learnt, &validation, how);
        return Ok(exit::DONE);
    };
    let mut report = TrainReport {
        rows: material.rows,
        examples: learnt.len() as u64,
        validation_examples: validation.len() as u64,
        not_used: material.not_used.clone(),
        tokens: learnt.iter().map(|example: &Example| example.tokens.len() as u64).sum(),
        learnt_tokens: learnt.iter().map(|example| example.targets() as u64).sum(),
        recipe_hash: RecipeStep::from(step.clone()).hash(),
        inputs,
        ..TrainReport::default()
    };
    if !how.quiet {
        told(&material, &report);
    }
    drop(material);
    let mut trainer = base.trainer(&step, config.as_ref(), learnt.len(), &folder)?;
    report.trained = trainer.trained() as u64;
    let mut log = Log::open(&folder)?;
    let plan = Plan {
        validate_every: step.validate_every,
        checkpoints: Some(Checkpoints {
            folder: folder.run().join("checkpoints"),
            every: step.checkpoint_every,
            keep: step.keep_checkpoints,
        }),
    };
    let mut said = Ok(());
    let summary = trainer.train(&learnt, &validation, &plan, &mut |event| {
        said = log.event(&event);
        let flow = progress.watch_training(&event);
        if said.is_err() { ControlFlow::Break(()) } else { flow }
    })?;
    progress.finish();
    said?;
    report.steps = summary.steps as u64;
    report.loss = log.last_loss();
    report.validation_loss = summary.validation;
    report.finished = summary.is_complete;
    report.seconds = started.elapsed().as_secs_f64();
    if summary.is_complete {
        let partial = folder.partial()?;
        base.save(&trainer, &step, &work, &partial)?;
        folder.publish()?;
    }
    folder.end(&report)?;
    if how.json {
        output::data(&serde_json::to_string(&report).expect("a report is plain values"));
    }
    if !how.quiet {
        say(&step, &report);
    }
    Ok(if report.finished { exit::DONE } else { exit::INTERRUPTED })
}

/// What is trained on: a model that is there, or the configuration of a new one.
enum Base {
    Weights { path: PathBuf, checkpoint: Box<Checkpoint> },
    New { path: PathBuf, config: Value },
}

impl Base {
    /// The base of a step; none if Ctrl-C came while it was fetched.
    fn of(step: &Train, progress: &mut Progress) -> Result<Option<Self>> {
        if let Some(path) = &step.new_model {
            let path = PathBuf::from(path);
            let text = fs::read_to_string(&path)
                .map_err(|e| Error::input(format!("failed to read `{}`", path.display())).because(e))?;
            let config = serde_json::from_str(&text)
                .map_err(|e| Error::input(format!("`{}` is no JSON", path.display())).because(e))?;
            return Ok(Some(Self::New { path, config }));
        }
        if step.model.is_empty() {
            return Err(Error::usage("no model is named").with_hint(
                "name the one to train with --model, or the config.json of a new one with --new-model",
            ));
        }
        let path = PathBuf::from(&step.model);
        let path = if path.exists() || !step.model.contains('/') {
            path
        } else {
            match hub::resolve_model(&step.model, &hub_config()?, &mut |transfer| {
                progress.watch_transfer(transfer)
            })? {
                Some(path) => path,
                None => return Ok(None),
            }
        };
        let quantize = match (step.quantize.as_deref(), step.method.as_str()) {
            (Some(quantize), _) => quantize,
            (None, "qlora") => "nf4",
            (None, _) => "none",
        };
        let options = Options { quantize: quantize.parse()?, ..Options::default() };
        let checkpoint = Box::new(Checkpoint::open_with(&path, &options)?);
        Ok(Some(Self::Weights { path, checkpoint }))
    }

    /// What stands around prompt and completion; none where texts are learnt whole.
    fn frame(&self, name: &str) -> Result<Option<Frame>> {
        let template = || match self {
            Self::Weights { path, .. } if path.is_dir() => ChatTemplate::of_folder(path),
            _ => Ok(None),
        };
        Ok(Some(match name {
            "text" => return Ok(None),
            "plain" => Frame::Plain,
            "bonito" => Frame::BONITO,
            "instruct" => Frame::INSTRUCT,
            "auto" => template()?.map_or(Frame::Plain, Frame::Chat),
            "chat" => Frame::Chat(template()?.ok_or_else(|| {
                Error::input("the model has no chat template").with_hint("take `--frame plain` or `bonito`")
            })?),
            other => {
                return Err(Error::usage(format!("there is no frame `{other}`"))
                    .with_hint("there are auto, plain, bonito, instruct, chat and text"));
            }
        }))
    }

    /// What rows and model are, in a few digits.
    fn inputs(&self, material: &Material) -> Result<String> {
        let base = match self {
            Self::Weights { checkpoint, .. } => checkpoint.fingerprint()?,
            Self::New { config, .. } => config.to_string(),
        };
        let mut texts = blake3::Hasher::new();
        for part in material.examples.iter().flat_map(|example| &example.parts) {
            texts.update(&(part.text.len() as u64).to_le_bytes()).update(part.text.as_bytes());
        }
        Ok(format!("{} {}", instil::rng::hex_of(&[&base], 16), &texts.finalize().to_hex()[..16]))
    }

    /// The tokenizer; for a new model also its configuration, settled.
    fn tokenizer(
        &self,
        step: &Train,
        material: &Material,
        work: &Path,
    ) -> Result<(Tokenizer, Option<Value>)> {
        let Self::New { path, config } = self else {
            let Self::Weights { checkpoint, .. } = self else { unreachable!("there are two") };
            return Ok((checkpoint.tokenizer()?, None));
        };
        let folder = work.join("tokenizer");
        fs::create_dir_all(&folder)
            .map_err(|e| Error::output(format!("failed to write `{}`", folder.display())).because(e))?;
        match &step.tokenizer {
            Some(file) => {
                let file = Path::new(file);
                let beside = file.with_file_name("tokenizer_config.json");
                for (from, name) in [(file, "tokenizer.json"), (&beside, "tokenizer_config.json")] {
                    if from.exists() {
                        fs::copy(from, folder.join(name)).map_err(|e| {
                            Error::input(format!("failed to read `{}`", from.display())).because(e)
                        })?;
                    }
                }
            }
            None => {
                let size = config.get("vocab_size").and_then(Value::as_u64).ok_or_else(|| {
                    Error::input(format!("`{}` has no `vocab_size`", path.display()))
                        .with_hint("it says how many tokens the new tokenizer gets")
                })?;
                let parts = material.examples.iter().flat_map(|example| &example.parts);
                new::learn(parts.map(|part| part.text.as_str()), size as usize, &folder)?;
            }
        }
        let tokenizer = Tokenizer::of_folder(&folder)?;
        let mut config = config.clone();
        let size = config.get("vocab_size").and_then(Value::as_u64).unwrap_or(0) as usize;
        if size < tokenizer.vocab_size() {
            return Err(Error::input(format!(
                "`{}` has a vocabulary of {size}, and the tokenizer of {}",
                path.display(),
                tokenizer.vocab_size()
            ))
            .with_hint("raise `vocab_size`"));
        }
        if let Some(config) = config.as_object_mut() {
            for (name, id) in [("bos_token_id", tokenizer.bos()), ("eos_token_id", tokenizer.end())] {
                config.insert(name.to_owned(), id.map_or(Value::Null, Value::from));
            }
        }
        Ok((tokenizer, Some(config)))
    }

    fn trainer(
        &self,
        step: &Train,
        config: Option<&Value>,
        examples: usize,
        folder: &TrainFolder,
    ) -> Result<Trainer> {
        let adapter = step.init_adapter.as_deref().map(|path| Adapter::read(Path::new(path))).transpose()?;
        let method = match (step.method.as_str(), &adapter) {
            ("full", None) => Method::Full,
            ("full", Some(_)) => {
                return Err(Error::usage("an adapter is trained on with `lora` or `qlora`")
                    .with_hint("`merge` makes one model of base and adapter, which `full` takes"));
            }
            ("lora" | "qlora", Some(adapter)) => Method::Lora(Lora::of(adapter)?),
            ("lora" | "qlora", None) => Method::Lora(Lora {
                r: step.r,
                lora_alpha: step.lora_alpha,
                lora_dropout: step.lora_dropout,
                use_rslora: step.use_rslora,
                target_modules: match step.target_modules.as_slice() {
                    [] => TargetModules::AllLinear,
                    names => TargetModules::Names(names.to_vec()),
                },
            }),
            (other, _) => {
                return Err(Error::usage(format!("there is no method `{other}`"))
                    .with_hint("there are full, lora and qlora"));
            }
        };
        let per_epoch = examples.div_ceil(step.batch_size.max(1)) as f64;
        let length = match step.steps {
            Some(steps) if (steps as f64) < step.epochs * per_epoch => Length::Steps(steps),
            _ => Length::Epochs(step.epochs),
        };
        let settings = Settings {
            method,
            length,
            batch: Batch::Examples(step.batch_size),
            pass_tokens: step.pass_tokens,
            group_by_length: step.group_by_length,
            learning_rate: step.learning_rate,
            schedule: match step.schedule.as_str() {
                "linear" => Schedule::Linear,
                "cosine" => Schedule::Cosine,
                "constant" => Schedule::Constant,
                other => {
                    return Err(Error::usage(format!("there is no schedule `{other}`"))
                        .with_hint("there are linear, cosine and constant"));
                }
            },
            warmup: Warmup::Ratio(step.warmup_ratio),
            adamw: AdamW {
                beta1: step.adam_beta1,
                beta2: step.adam_beta2,
                eps: step.adam_epsilon,
                weight_decay: step.weight_decay,
            },
            max_grad_norm: (step.max_grad_norm > 0.0).then_some(step.max_grad_norm),
            seed: step.seed,
            recompute: true,
            threads: step.threads,
            moments: step.moments_on_disk.then(|| folder.run().join("moments")),
        };
        let mut trainer = match (self, config) {
            (Self::Weights { checkpoint, .. }, _) => Trainer::load(checkpoint, settings)?,
            (Self::New { .. }, Some(config)) => Trainer::new(config, settings)?,
            (Self::New { .. }, None) => {
                unreachable!("a new model's configuration is settled with its tokenizer")
            }
        };
        if let Some(adapter) = &adapter {
            trainer.set_adapter(adapter)?;
        }
        Ok(trainer)
    }

    fn save(&self, trainer: &Trainer, step: &Train, work: &Path, to: &Path) -> Result<()> {
        if let Some(mut adapter) = trainer.adapter() {
            adapter.base_model_name_or_path = Some(step.model.clone());
            return adapter.write(to);
        }
        match self {
            Self::Weights { checkpoint, .. } => trainer.save_model(to, Some(checkpoint)),
            Self::New { .. } => {
                trainer.save_model(to, None)?;
                for name in ["tokenizer.json", "tokenizer_config.json"] {
                    let from = work.join("tokenizer").join(name);
                    if from.exists() {
                        fs::copy(&from, to.join(name))
                            .map_err(|e| Error::output(format!("failed to write `{name}`")).because(e))?;
                    }
                }
                Ok(())
            }
        }
    }
}

/// The examples as tokens; those that are too long are counted.
fn tokenised(
    step: &Train,
    material: &mut Material,
    is_text: bool,
    tokenizer: &Tokenizer,
) -> Result<Vec<Example>> {
    if step.max_tokens < 2 {
        return Err(Error::usage("an example has at least 2 tokens").with_hint("raise --max-tokens"));
    }
    let mut examples = Vec::with_capacity(material.examples.len());
    let all = std::mem::take(&mut material.examples);
    for (number, supervised) in (1..).zip(&all) {
        if is_text {
            examples.extend(Example::pieces(&supervised.parts[0].text, tokenizer, step.max_tokens)?);
            continue;
        }
        let example = Example::of_parts(supervised, tokenizer)?;
        if example.tokens.len() > step.max_tokens {
            let len = example.tokens.len();
            material.refuse("too_long", || {
                format!("example {number}: {len} tokens, and --max-tokens is {}", step.max_tokens)
            });
        } else if example.targets() == 0 {
            material.refuse("empty_target", || format!("example {number}: no token is learnt"));
        } else {
            examples.push(example);
        }
    }
    material.examples = all;
    Ok(examples)
}

/// The error of rows of which none can be learnt.
fn nothing(step: &Train, material: &Material) -> Error {
    let error = Error::input(format!("nothing in {} can be learnt", step.input.join(" ")));
    match material.first.values().next() {
        Some(first) => error.because(format!("{} rows; the first: {first}", material.rows)).with_hint(
            "`instil check FILE` says what is wrong with rows; `--frame text` learns texts without prompts",
        ),
        None => error.because("there is no row"),
    }
}

/// What was read, on stderr.
fn told(material: &Material, report: &TrainReport) {
    if !report.not_used.is_empty() {
        output::talk(&format!("not used: {}", reasons(&report.not_used)));
        for (reason, first) in &material.first {
            output::talk(&format!("  {reason}: {first}"));
        }
    }
    let held = match report.validation_examples {
        0 => String::new(),
        held => format!(", {} held out", HumanCount(held)),
    };
    output::talk(&format!(
        "{} examples{held}, {} tokens, {} of them learnt",
        HumanCount(report.examples),
        HumanCount(report.tokens),
        HumanCount(report.learnt_tokens)
    ));
}

/// What came of it, on stderr.
fn say(step: &Train, report: &TrainReport) {
    if !report.finished {
        output::talk(&format!(
            "interrupted after {} steps; the same command goes on from there",
            report.steps
        ));
        return;
    }
    let mut line =
        format!("{} steps, {} numbers trained", HumanCount(report.steps), HumanCount(report.trained));
    if let Some(loss) = report.loss {
        let _ = write!(line, ", loss {loss:.4}");
    }
    if let Some(loss) = report.validation_loss {
        let _ = write!(line, ", held-out loss {loss:.4} (perplexity {:.2})", loss.exp());
    }
    output::talk(&line);
    let flag = if step.method == "full" { "--model" } else { "--adapter" };
    output::talk(&format!(
        "`{}` is whole, {:.1} s; other verbs take it by {flag}",
        step.output, report.seconds
    ));
}

fn already(step: &Train, report: &TrainReport, how: &TrainHow) -> u8 {
    if how.json {
        output::data(&serde_json::to_string(report).expect("a report is plain values"));
    }
    if !how.quiet {
        output::talk(&format!("`{}` is finished already: {} steps", step.output, HumanCount(report.steps)));
    }
    exit::DONE
}

/// Prints what a step would do.
fn show(step: &Train, material: &Material, learnt: &[Example], validation: &[Example], how: &TrainHow) {
    if how.json {
        let parts = |example: &Supervised| -> Vec<Value> {
            example.parts.iter().map(|part| json!({"text": part.text, "is_learnt": part.is_learnt})).collect()
        };
        let object = json!({
            "recipe": step, "rows": material.rows, "not_used": material.not_used,
            "examples": learnt.len(), "validation_examples": validation.len(),
            "first": material.examples.iter().take(SHOWN).map(parts).collect::<Vec<_>>(),
        });
        return output::data(&object.to_string());
    }
    output::data(&format!("reads {} rows of {}", HumanCount(material.rows), step.input.join(" ")));
    if !material.not_used.is_empty() {
        output::data(&format!("not used: {}", reasons(&material.not_used)));
    }
    output::data(&format!("{} examples, {} held out", HumanCount(learnt.len() as u64), validation.len()));
    output::data(&format!("recipe {}", RecipeStep::from(step.clone()).hash()));
    for example in material.examples.iter().take(SHOWN) {
        output::data("");
        for part in &example.parts {
            let mark = if part.is_learnt { "learnt" } else { "given " };
            for line in part.text.lines() {
                output::data(&format!("  {mark} | {line}"));
            }
        }
    }
}

/// `run/log.jsonl`: a line for each step and each measurement. What was logged after the checkpoint that a training goes
/// on from is dropped.
struct Log {
    path: PathBuf,
    losses: Vec<(usize, f64)>,
}

impl Log {
    fn open(folder: &TrainFolder) -> Result<Self> {
        let path = folder.run().join("log.jsonl");
        let mut log = Self { path, losses: Vec::new() };
        // A training that begins anew, unless a checkpoint says otherwise.
        if !folder.run().join("checkpoints").exists() {
            log.keep(0)?;
        }
        Ok(log)
    }

    /// Keeps the lines of the first `steps` steps.
    fn keep(&mut self, steps: usize) -> Result<()> {
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        let mut kept = String::new();
        self.losses.clear();
        for line in text.lines() {
            let Ok(row) = serde_json::from_str::<Value>(line) else { continue };
            let step = row["step"].as_u64().unwrap_or(u64::MAX) as usize;
            if step > steps {
                continue;
            }
            if let Some(loss) = row["loss"].as_f64() {
                self.losses.push((step, loss));
            }
            let _ = writeln!(kept, "{line}");
        }
        fs::write(&self.path, kept).map_err(|e| self.failed(e))
    }

    fn event(&mut self, event: &Event<'_>) -> Result<()> {
        let row = match event {
            Event::Resumed(steps) => return self.keep(*steps),
            Event::Step(step) => {
                let Step { step, epoch, loss, learning_rate, grad_norm, tokens, targets, seconds, .. } =
                    *step;
                self.losses.push((step, loss));
                json!({
                    "step": step, "epoch": epoch, "loss": loss, "learning_rate": learning_rate,
                    "grad_norm": grad_norm, "tokens": tokens, "targets": targets, "seconds": seconds,
                })
            }
            Event::Validated { step, loss } => json!({"step": step, "validation_loss": loss}),
            Event::Kept(_) => return Ok(()),
        };
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path)
            .and_then(|mut file| writeln!(file, "{row}"))
            .map_err(|e| self.failed(e))
    }

    fn failed(&self, e: std::io::Error) -> Error {
        Error::output(format!("failed to write `{}`", self.path.display())).because(e)
    }

    /// The mean loss of the last tenth of all steps.
    fn last_loss(&self) -> Option<f64> {
        let last = &self.losses[self.losses.len() - self.losses.len().div_ceil(10)..];
        (!last.is_empty()).then(|| last.iter().map(|(_, loss)| loss).sum::<f64>() / last.len() as f64)
    }
}
