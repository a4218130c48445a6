//! `convert`: datasets of one shape into a file of another, from a recipe to a finished output.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use super::generate::nothing_read;
use super::hold::{Begun, begin};
use super::rows_plan::without_own_output;
use super::{Done, Existing};
use crate::convert::Shape;
use crate::convert::view::{self, View};
use crate::error::{Error, Result};
use crate::ledger::Ledger;
use crate::pipeline::Ended;
use crate::pipeline::convert::{self as road, ConvertRoad, FileShape};
use crate::recipe::{Convert, Step};
use crate::reject::Stage;
use crate::rng::hex_of;
use crate::sink::{Layout, ObjectWriter};
use crate::source::{self, SourceFile};

/// A recipe of `convert` whose names are looked up and whose inputs are found.
#[derive(Debug)]
pub struct ConvertPlan {
    /// What is read, in order.
    pub files: Vec<SourceFile>,
    /// What is made of each row.
    pub road: ConvertRoad,
    /// Where the rows go.
    pub layout: Layout,
    /// Threads that convert.
    pub threads: NonZeroUsize,
}

impl ConvertPlan {
    /// Settles a recipe. Nothing is written.
    ///
    /// # Errors
    /// When an input is missing or a shape unknown.
    pub fn of(recipe: &Convert) -> Result<Self> {
        if recipe.input.is_empty() {
            return Err(Error::usage("no input is named").with_hint(
                "name files of rows, as in `instil convert rows.jsonl --to messages -o out.jsonl`",
            ));
        }
        if recipe.max_drop.is_some_and(|most| !(0.0..=1.0).contains(&most)) {
            return Err(Error::usage("max_drop must be a share from 0 to 1"));
        }
        if recipe.to.is_empty() {
            return Err(Error::usage("nothing says which shape the rows are to get")
                .with_hint("add `--to messages`; `instil list shapes` shows all shapes"));
        }
        let view = recipe.chat_template.as_deref().map(|path| View::open(Path::new(path))).transpose()?;
        let to = Shape::parse(&recipe.to)?;
        if view.is_some() && to.name != view::SHAPE {
            return Err(Error::usage(format!(
                "a chat template makes texts, and `{}` isn't `{}`",
                to.name,
                view::SHAPE
            ))
            .with_hint("leave out `--to`, or the chat template: trainers render messages themselves"));
        }
        let from = recipe.from.as_deref().map(Shape::parse).transpose()?;
        let layout = Layout::of(Path::new(&recipe.output))?;
        ObjectWriter::check(&layout, to.name, to.columns())?;
        let mut files = source::resolve_rows(&recipe.input)?;
        without_own_output(&mut files, &layout)?;
        let road = ConvertRoad {
            from,
            to,
            view: view.map(Arc::new),
            strict: recipe.strict,
            is_table: ObjectWriter::is_table(&layout),
            limit: recipe.limit.unwrap_or(u64::MAX),
        };
        let threads = NonZeroUsize::new(recipe.threads)
            .or_else(|| std::thread::available_parallelism().ok())
            .unwrap_or(NonZeroUsize::MIN);
        Ok(Self { files, road, layout, threads })
    }

    /// What the files were when a run began; none for standard input.
    fn fingerprint(&self) -> Option<String> {
        let parts: Option<Vec<String>> = self
            .files
            .iter()
            .map(|file| Some(format!("{} {} {}", file.name, file.bytes, file.modified?)))
            .collect();
        Some(hex_of(&parts?.iter().map(String::as_str).collect::<Vec<_>>(), 32))
    }
}

/// Converts the datasets of a recipe; gives the shapes that their files were read as. A run that was broken off
/// begins anew.
///
/// `watch` sees the ledger after each batch, and can break off.
///
/// # Errors
/// When the output belongs to another run, another process is at it, it can't be written, the inputs hold no row
/// at all or rows of no known shape, or when a part would be lost and must not be.
pub fn convert(
    recipe: &Convert,
    plan: &ConvertPlan,
    existing: Existing,
    watch: &mut dyn FnMut(&Ledger) -> ControlFlow<()>,
) -> Result<(Done, Vec<FileShape>)> {
    let step = Step::from(recipe.clone());
    let held = match begin(&step, &plan.layout, existing, plan.fingerprint())? {
        Begun::Finished(report) => return Ok((Done::AlreadyFinished(report), Vec::new())),
        Begun::Held(held) => held,
    };
    let to = plan.road.to;
    let mut writer = ObjectWriter::create(&plan.layout, to.name, to.columns())?;
    if recipe.keep_run {
        // Else it would be removed with the run folder.
        writer = writer.with_origins()?;
    }
    let (ledger, ended, shapes) =
        road::convert(&plan.road, plan.files.clone(), plan.threads, &mut writer, watch)?;
    let read = ledger.stage(Stage::Read);
    if ended == Ended::Whole && read.out == 0 && read.r#in > 0 {
        return Err(nothing_read(&recipe.input, read));
    }
    let done = held.end_with(ledger, ended, false, String::new(), |_| writer.finish().map(drop))?;
    Ok((done, shapes))
}
