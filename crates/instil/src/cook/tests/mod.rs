//! What every template is held to: see `contract` for the list.

mod contract;
mod examples;
mod frames;
mod golden;
mod ids;
mod report;

use std::sync::Arc;

use super::*;

/// A stream of a template with these settings.
pub(super) fn stream(name: &str, wording: Wording, set: &[(&str, &str)]) -> Stream {
    plan(name, wording, set).and_then(Stream::new).unwrap()
}

pub(super) fn plan(name: &str, wording: Wording, set: &[(&str, &str)]) -> crate::Result<Plan> {
    let template = template(name)?;
    let mut settings = Settings::new(template.knobs());
    for (knob, value) in set {
        settings.set(knob, value)?;
    }
    let pool = Arc::new(Pool::synthetic(SYNTHETIC_WORDS)?);
    Ok(Plan {
        template,
        settings: Curriculum::constant(settings),
        pool,
        wording,
        seed: 7,
        split: Split::Train,
    })
}

/// Prompt and completion of some samples.
pub(super) fn rows(stream: &Stream, indices: impl Iterator<Item = u64>) -> Vec<(String, String)> {
    let mut sample = Sample::default();
    indices
        .map(|index| {
            stream.fill(index, &mut sample).unwrap();
            (sample.prompt().to_owned(), sample.completion().to_owned())
        })
        .collect()
}
