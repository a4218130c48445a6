//! `compare`: evaluations beside each other.

use std::path::Path;
use std::time::SystemTime;

use instil::Result;
use instil::compare;
use instil::recipe::Compare;

use crate::args::CompareArgs;
use crate::tables::plural;
use crate::{exit, output};

pub(crate) fn run(args: CompareArgs) -> Result<u8> {
    let CompareArgs { input, output, against, metric, title, seed, overwrite, json } = args;
    let output = output.unwrap_or_default();
    let step = Compare { input, output, against, metric, title, seed, ..Compare::default() };
    execute(&step, overwrite, json)
}

/// Compares, prints the page or the numbers, and writes both where a folder is named.
pub(crate) fn execute(step: &Compare, overwrite: bool, json: bool) -> Result<u8> {
    let folder = (!step.output.is_empty()).then(|| Path::new(&step.output));
    folder.map_or(Ok(()), |folder| compare::check_folder(folder, overwrite))?;
    let arms = compare::arms(&step.input)?;
    let compared = compare::compare(&arms, step.against.as_deref(), step.metric.as_deref(), step.seed)?;
    let title = step.title.as_deref().unwrap_or("A comparison");
    let page = compare::page(&compared, title, &note());
    if let Some(folder) = folder {
        compare::write(folder, &compared, title, &page)?;
    }
    match json {
        true => output::data(&serde_json::to_string(&compared).expect("numbers are JSON")),
        false => output::data(page.trim_end()),
    }
    Ok(exit::DONE)
}

/// When and on what: `22 Nov 2026, 2 processors`.
pub(crate) fn note() -> String {
    let date = httpdate::fmt_http_date(SystemTime::now());
    let day: Vec<&str> = date.split(' ').skip(1).take(3).collect();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{}, {}.", day.join(" "), plural(processors, "processor"))
}
