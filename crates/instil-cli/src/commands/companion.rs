//! `companion`, and `--companion` of the verbs that write datasets: what trainers have to be told of one.

use std::path::Path;

use instil::companion::{Companion, Dataset, write};
use instil::convert::Shape;
use instil::sink::Layout;
use instil::{Error, Result};

use crate::args::{CompanionArgs, HowOfAll};
use crate::{exit, output};

pub(crate) fn run(args: CompanionArgs) -> Result<u8> {
    let shape = args.from.as_deref().map(Shape::parse).transpose()?;
    let data = Dataset::look(&args.dataset, shape)?;
    let all = args.r#for.is_empty();
    let companions = match all {
        true => Companion::ALL.to_vec(),
        false => parse(&args.r#for)?,
    };
    let mut made = 0;
    for companion in companions {
        let done = match args.print {
            true => companion.text(&data).map(|text| output::data(text.trim_end_matches('\n'))),
            false => write(companion, &data).map(|path| output::data(&path.display().to_string())),
        };
        match done {
            Ok(()) => made += 1,
            // Of all tools those are left out that can't read it.
            Err(error) if all && companion.text(&data).is_err() => {
                output::talk(&format!("{}: {error}", companion.name()));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(if made > 0 { exit::DONE } else { exit::NOT_DONE })
}

/// The companions of these names.
fn parse(names: &[String]) -> Result<Vec<Companion>> {
    names.iter().map(|name| Companion::parse(name)).collect()
}

/// Refuses companions of rows that they can't speak of, before the rows are made.
pub(super) fn check(how: &HowOfAll, output: &Path, shape: &str) -> Result<()> {
    if how.companion.is_empty() {
        return Ok(());
    }
    if Layout::of(output)?.is_in_memory() {
        return Err(Error::usage("companions stand beside a dataset, and these rows stay in memory")
            .with_hint("name an output for the dataset"));
    }
    let shape = Shape::parse(shape)?;
    // What can be said of the file's name alone is said now, too.
    let data = Dataset::of(output, shape, shape.columns().iter().copied())?;
    parse(&how.companion)?.into_iter().try_for_each(|companion| companion.text(&data).map(drop))
}

/// Writes the companions of a dataset that is whole.
pub(super) fn beside(how: &HowOfAll, output: &Path, shape: &str) -> Result<()> {
    if how.companion.is_empty() {
        return Ok(());
    }
    let data = Dataset::look(output, Some(Shape::parse(shape)?))?;
    for companion in parse(&how.companion)? {
        let path = write(companion, &data)?;
        if !how.quiet {
            output::talk(&format!("for {}: `{}`", companion.name(), path.display()));
        }
    }
    Ok(())
}

/// Refuses companions of rows that are printed.
pub(super) fn none_of_stdout(how: &HowOfAll) -> Result<()> {
    if how.companion.is_empty() {
        return Ok(());
    }
    Err(Error::usage("companions stand beside a dataset, and these rows are printed")
        .with_hint("write the rows to a file or folder with -o"))
}
