//! A benchmark's rows made by a [template of `cook`](crate::cook) instead of read from files, and its answers judged by
//! that template's own scorer.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Map;

use crate::cook::{
    Curriculum, Plan, Pool, SYNTHETIC_WORDS, Sample, Script, Settings, Split, Stream, Template, Wording,
    template,
};
use crate::error::{Error, Result};
use crate::record::{Origin, Row};
use crate::reject::{Reason, Reject};

/// The key `cook` of a benchmark's file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CookedFile {
    template: String,
    script: Option<String>,
    #[serde(default)]
    set: BTreeMap<String, serde_norway::Value>,
    wording: Option<String>,
    words: Option<String>,
    pool_words: Option<u32>,
    rows: Option<u64>,
    #[serde(default)]
    seed: u64,
}

/// The rows of a benchmark where it says none.
const ROWS: u64 = 500;

/// Samples that are asked about: those of the split test, which no other split of any seed has.
pub(super) struct Cooked {
    stream: Arc<Stream>,
    rows: u64,
    name: Arc<str>,
}

impl Cooked {
    /// # Errors
    /// When a name is unknown, a file can't be read, or settings can't be met.
    pub(super) fn of(file: CookedFile) -> Result<Self> {
        let template: Arc<dyn Template> = match &file.script {
            None => template(&file.template)?,
            Some(path) => {
                let own = Script::open(Path::new(path))?;
                own.into_iter()
                    .find(|own| own.name() == file.template)
                    .ok_or_else(|| Error::input(format!("`{path}` has no template `{}`", file.template)))?
            }
        };
        let mut settings = Settings::new(template.knobs());
        for (knob, value) in &file.set {
            let value = match value {
                serde_norway::Value::String(text) => text.clone(),
                serde_norway::Value::Number(number) => number.to_string(),
                serde_norway::Value::Bool(is) => if *is { "yes" } else { "no" }.to_owned(),
                _ => return Err(Error::input(format!("`{knob}` is set to no number, range or word"))),
            };
            settings.set(knob, &value)?;
        }
        let pool = match &file.words {
            Some(path) => Pool::wordlist(Path::new(path))?,
            None => Pool::synthetic(file.pool_words.unwrap_or(SYNTHETIC_WORDS))?,
        };
        let stream = Stream::new(Plan {
            template,
            settings: Curriculum::constant(settings),
            pool: Arc::new(pool),
            wording: Wording::parse(file.wording.as_deref().unwrap_or("instruct"))?,
            seed: file.seed,
            split: Split::Test,
        })?;
        let rows = file.rows.unwrap_or(ROWS);
        Ok(Self { stream: Arc::new(stream), rows, name: format!("cook {}", file.template).into() })
    }

    /// Rows with `id` (the sample's number), `prompt`, and `answer`, which is right.
    pub(super) fn rows(&self) -> impl Iterator<Item = Result<Row, Reject>> + use<> {
        let (stream, name) = (Arc::clone(&self.stream), Arc::clone(&self.name));
        let mut sample = Sample::default();
        (0..self.rows).map(move |index| {
            let origin = Origin { source: Arc::clone(&name), row: Some(index) };
            if stream.fill(index, &mut sample).is_err() {
                return Err(Reject::read(Reason::Exhausted, origin, format!("sample {index}")));
            }
            let fields: Map<_, _> = [
                ("id", index.to_string()),
                ("prompt", sample.prompt().to_owned()),
                ("answer", sample.completion().trim().to_owned()),
            ]
            .map(|(name, text)| (name.to_owned(), text.into()))
            .into_iter()
            .collect();
            Ok(Row { fields, origin, dataset: None })
        })
    }

    /// What an answer to the row of this `id` is worth by the template's scorer, from 0 to 1.
    pub(super) fn score(&self, id: &str, answer: &str) -> f64 {
        let mut sample = Sample::default();
        match id.parse() {
            Ok(index) if self.stream.fill(index, &mut sample).is_ok() => self.stream.score(&sample, answer),
            _ => 0.0,
        }
    }
}
