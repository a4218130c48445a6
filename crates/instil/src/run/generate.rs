//! `generate`: documents down the road, from a plan to a finished output.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::Ordering;

use super::hold::{Begun, begin};
use super::{Done, Existing, Plan, Report};
use crate::draw::TRAIN;
use crate::error::{Error, Result};
use crate::journal::Journal;
use crate::ledger::{Ledger, StageCount};
use crate::lm::LanguageModel;
use crate::pipeline::{self, Ended};
use crate::prompt::Style;
use crate::recipe::{Generate, Step};
use crate::reject::Stage;
use crate::sink::{Card, Made, Writer};

/// Makes, or continues, the dataset of a recipe.
///
/// `watch` sees, after each step, the ledger and the share of the input's bytes that is read (none
/// for standard input), and can break off.
///
/// # Errors
/// When the output belongs to another run, another process is at it, it can't be written, the inputs
/// hold no document at all, or the model can't be used.
pub fn generate(
    recipe: &Generate,
    plan: &Plan,
    model: &dyn LanguageModel,
    existing: Existing,
    watch: &mut dyn FnMut(&Ledger, Option<f64>) -> ControlFlow<()>,
) -> Result<Done> {
    if plan.road.style == Style::Instruct && !model.capabilities().messages {
        return Err(Error::usage(format!("`{}` can't follow `instruct` prompts", recipe.model))
            .with_hint("name a chat model with --endpoint, or leave out --prompt instruct"));
    }
    if plan.road.constrain {
        can_constrain(recipe, plan.road.style, model)?;
    }
    let documents = plan.documents(recipe)?;
    let step = Step::from(recipe.clone());
    let held = match begin(&step, &plan.layout, existing, plan.fingerprint(model))? {
        Begun::Finished(report) => return Ok(Done::AlreadyFinished(report)),
        Begun::Held(held) => held,
    };
    let journal = match (&recipe.journal, model.capabilities().journaled) {
        (_, false) => None,
        (Some(path), true) => Some(Journal::open(Path::new(path))?),
        (None, true) => Some(Journal::open(&plan.layout.run().join("journal.sqlite"))?),
    };

    let sampling = plan.road.sampling.clone();
    let mut writer = Writer::create(&plan.layout, plan.format, sampling, recipe.shard_rows, &[TRAIN])?;
    let bytes: u64 = plan.files.iter().map(|file| file.bytes).sum();
    let read = documents.read_bytes();
    let mut watch = |ledger: &Ledger| {
        // Sizes of files are far below 2^53.
        let share = (bytes > 0).then(|| read.load(Ordering::Relaxed) as f64 / bytes as f64);
        watch(ledger, share)
    };
    let documents = recipe.choose(documents);
    let (ledger, ended) =
        pipeline::generate(&plan.road, documents, model, journal.as_ref(), &mut writer, &mut watch)?;

    let read = ledger.stage(Stage::Read);
    if ended == Ended::Whole && read.out == 0 {
        if let Some(id) = &recipe.document {
            return Err(Error::input(format!(
                "no document of `{}` has the id `{id}`",
                recipe.input.join("`, `")
            ))
            .with_hint("`--dry-run` shows the ids of the first documents"));
        }
        if read.r#in > 0 {
            return Err(nothing_read(&recipe.input, read));
        }
    }
    let identity = model.identity().to_string();
    held.end(ledger, ended, recipe.allow_errors, identity, writer, |report| card(recipe, plan, report))
}

/// That a model can be held to a form.
fn can_constrain(recipe: &Generate, style: Style, model: &dyn LanguageModel) -> Result<()> {
    let can = model.capabilities();
    let holds = match style {
        Style::Bonito => can.constrains,
        Style::Instruct => can.json_schema,
    };
    if holds {
        return Ok(());
    }
    let (what, hint) = if recipe.replay.is_some() {
        ("a recording says what it says".to_owned(), "leave out --constrain")
    } else if recipe.endpoint.is_some() {
        (
            format!("`{}` offers no structured output that instil knows", model.identity()),
            "llama.cpp's server and vLLM do; without --constrain the parse and the checks decide",
        )
    } else if recipe.model == "rules" {
        ("what `rules` makes is right by construction".to_owned(), "leave out --constrain")
    } else if style == Style::Instruct {
        (
            "a model of this machine isn't held to the JSON of `instruct` prompts".to_owned(),
            "leave out --constrain or --prompt instruct",
        )
    } else {
        (
            format!(
                "the tokenizer of `{}` has no tokens for `<|pipe|>`, or no bytes of its own",
                recipe.model
            ),
            "leave out --constrain",
        )
    };
    Err(Error::usage(format!("{what}, so --constrain can't be obeyed")).with_hint(hint))
}

/// The error of a run that could read nothing of what it found.
pub(super) fn nothing_read(input: &[String], read: &StageCount) -> Error {
    let counts: Vec<String> = read.rejects.iter().map(|(word, count)| format!("{count} {word}")).collect();
    Error::input(format!("nothing could be read from `{}`", input.join("`, `")))
        .because(counts.join(", "))
        .with_hint("`instil list rejects` says what the words mean, `instil check` shows what is found")
}

fn card(recipe: &Generate, plan: &Plan, report: &Report) -> Card {
    let kept = |kind: &str| report.ledger.kinds.get(kind).map_or(0, |count| count.kept);
    Card {
        name: Card::name_of(&recipe.output),
        license: recipe.license.clone(),
        made: Made::FromText {
            model: report.model.clone(),
            is_rules: recipe.model == "rules" && recipe.endpoint.is_none() && recipe.replay.is_none(),
            template: plan.road.style.template().to_owned(),
            documents: report.ledger.stage(Stage::Read).out,
            passages: report.ledger.stage(Stage::Chunk).out,
        },
        kinds: plan.road.kinds.iter().map(|kind| ((*kind).into(), kept(kind.short()))).collect(),
        rejects: report.ledger.rejects(),
    }
}
