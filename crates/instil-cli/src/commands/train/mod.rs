//! `train`: rows or texts to an adapter or a model.

mod base;
mod log;
mod tell;

use std::ops::ControlFlow;
use std::time::Instant;

use instil::convert::supervise::Frame;
use instil::recipe::{Step as RecipeStep, Train};
use instil::rng::{nth, seed_of};
use instil::run::{Existing, Material, TrainBegun, TrainFolder, TrainReport, material};
use instil::{Error, Result};
use instil_model::tokenizer::Tokenizer;
use instil_model::train::{Checkpoints, Example, Plan, needs_end};

use crate::args::{TrainArgs, TrainHow};
use crate::progress::{Progress, catch_interrupts};
use crate::{exit, output, settings};

use base::Base;
use log::Log;
use tell::{already, nothing, say, show, told};

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
    let examples = tokenised(&step, &mut material, frame.is_none(), base.has_encoder(), &tokenizer)?;
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
    log.draw()?;
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

/// The examples as tokens; those that are too long are counted.
fn tokenised(
    step: &Train,
    material: &mut Material,
    is_text: bool,
    has_encoder: bool,
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
        let example = match has_encoder {
            true => Example::of_pair(supervised, tokenizer)?,
            false => Example::of_parts(supervised, tokenizer)?,
        };
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
