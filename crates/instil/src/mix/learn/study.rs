//! What has to be run to learn proportions: which rows each tuning learns, and where everything lies.
//!
//! ```text
//! OUTPUT/
//!   sources/NAME-HASH/      rows that were cooked
//!   runs/LABEL-HASH/rows/   the rows of a tuning run, drawn by `mix`
//!                 /model/   what `train` made of it
//!                 /asked/   what the model answered, a file a task
//!   runs/base-HASH/asked/   what the base answered
//!   mix/                    the mix
//!   evidence.json  README.md  plot.svg    unless `page` names another folder
//! ```
//!
//! A folder's hash is of everything that decides what is in it: so a run that is there isn't repeated when a source is
//! added or the mode changes, and one that would come out otherwise lies elsewhere.

use std::path::{Path, PathBuf};

use super::{Learn, Task};
use crate::benchmark::Benchmark;
use crate::error::{Error, Result};
use crate::mix::law;
use crate::recipe::{Cook, Mix, Step, Train};
use crate::rng::hex_of;
use crate::source::SourceFile;

/// Digits of the hash in a folder's name.
const DIGITS: usize = 12;

/// A source whose rows are there.
#[derive(Clone, Debug, PartialEq)]
pub struct Ready {
    /// Its name.
    pub name: String,
    /// Where its rows lie.
    pub path: String,
    /// What decides them.
    pub hash: String,
}

/// The runs of a file, in its output.
#[derive(Clone, Debug)]
pub struct Study<'a> {
    learn: &'a Learn,
    sources: Vec<Ready>,
    /// What the base model is.
    base: String,
}

/// A tuning run: rows are drawn, the base is tuned on them.
#[derive(Clone, Debug, PartialEq)]
pub struct TuningRun {
    /// Its folder.
    pub folder: PathBuf,
    /// What draws its rows.
    pub mix: Mix,
    /// What tunes the base on them.
    pub train: Train,
}

impl TuningRun {
    /// Where the answers about a task lie.
    pub fn asked(&self, asked: &Asked) -> PathBuf {
        asked.file(&self.folder)
    }
}

/// A task as it is asked about.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// The benchmark's name.
    pub name: String,
    /// What decides what is asked.
    pub hash: String,
}

impl Asked {
    /// A task of this benchmark over these files, whose content counts: labels may change and sizes stay.
    ///
    /// # Errors
    /// When a file can't be read.
    pub fn of(task: &Task, benchmark: &Benchmark, files: &[SourceFile]) -> Result<Self> {
        let mut parts = vec![
            benchmark.hash.clone(),
            task.items.to_string(),
            task.test_items.to_string(),
            task.wrap.clone().unwrap_or_else(|| benchmark.wrap.name().to_owned()),
        ];
        for file in files {
            let failed = |e| Error::input(format!("failed to read `{}`", file.path.display())).because(e);
            let mut hasher = blake3::Hasher::new();
            let mut open = std::fs::File::open(&file.path).map_err(failed)?;
            hasher.update_reader(&mut open).map_err(failed)?;
            parts.push(format!("{} {}", file.name, hasher.finalize().to_hex()));
        }
        let hash = hex_of(&parts.iter().map(String::as_str).collect::<Vec<_>>(), DIGITS);
        Ok(Self { name: benchmark.name.clone(), hash })
    }

    fn file(&self, folder: &Path) -> PathBuf {
        folder.join("asked").join(format!("{}-{}.jsonl", self.name, self.hash))
    }
}

/// What cooks a source's rows: as many as the largest run wants.
pub fn cooking(learn: &Learn, source: &super::Source, inputs: &[String]) -> Option<(Cook, Ready)> {
    let cook = source.cook.clone()?;
    let rows = learn.rows.max(learn.tuning_rows);
    let mut cook = Cook { rows, validation_rows: 0, test_rows: 0, threads: learn.train.threads, ..cook };
    let step = Step::from(cook.clone()).hash();
    let mut parts = vec![step.as_str()];
    parts.extend(inputs.iter().map(String::as_str));
    let hash = hex_of(&parts, DIGITS);
    let path = Path::new(&learn.output).join("sources").join(format!("{}-{hash}", source.name));
    cook.output = path.to_string_lossy().into_owned();
    let ready = Ready { name: source.name.clone(), path: cook.output.clone(), hash };
    Some((cook, ready))
}

/// A source whose rows the user has.
pub fn given(name: &str, path: &str, files: &[SourceFile]) -> Ready {
    let parts: Vec<String> = files
        .iter()
        .map(|file| format!("{} {} {}", file.name, file.bytes, file.modified.unwrap_or_default()))
        .collect();
    let hash = hex_of(&parts.iter().map(String::as_str).collect::<Vec<_>>(), DIGITS);
    Ready { name: name.to_owned(), path: path.to_owned(), hash }
}

impl<'a> Study<'a> {
    /// The runs of a file whose sources are there; `base` says what the base model is.
    pub fn new(learn: &'a Learn, sources: Vec<Ready>, base: String) -> Self {
        Self { learn, sources, base }
    }

    /// The names of the sources.
    pub fn names(&self) -> Vec<&str> {
        self.sources.iter().map(|source| source.name.as_str()).collect()
    }

    /// Where what the base answered about a task lies.
    pub fn base_asked(&self, asked: &Asked) -> PathBuf {
        let name = format!("base-{}", hex_of(&[&self.base], DIGITS));
        asked.file(&self.runs().join(name))
    }

    fn runs(&self) -> PathBuf {
        Path::new(&self.learn.output).join("runs")
    }

    /// The run on one source alone.
    pub fn single(&self, source: usize) -> TuningRun {
        self.run(&one_hot(self.sources.len(), source), self.learn.tuning_rows, self.learn.seed)
    }

    /// The shares of the mixed runs that a law is fitted on.
    pub fn designs(&self) -> Vec<Vec<f64>> {
        let sources = self.sources.len();
        let runs = if self.learn.law_runs == 0 { sources + 1 } else { self.learn.law_runs };
        law::designs(sources, runs)
    }

    /// A run on a mix of so many rows, under a seed.
    pub fn run(&self, shares: &[f64], rows: u64, seed: u64) -> TuningRun {
        let mix = self.mix(shares, rows, seed);
        let train = Train { model: self.learn.base.clone(), seed, ..self.learn.train.clone() };
        // Where things lie doesn't decide what they are; the hashes of sources and base do.
        let what = Step::from(Mix { input: Vec::new(), ..mix.clone() }).hash();
        let how = Step::from(Train { model: String::new(), ..train.clone() }).hash();
        let mut parts = vec![what.as_str(), how.as_str(), &self.base];
        parts.extend(self.taken(shares).map(|(source, _)| source.hash.as_str()));
        let label = match self.taken(shares).collect::<Vec<_>>().as_slice() {
            [(one, _)] => one.name.clone(),
            _ => "mix".to_owned(),
        };
        let folder = self.runs().join(format!("{label}-{}", hex_of(&parts, DIGITS)));
        let inside = |name: &str| folder.join(name).to_string_lossy().into_owned();
        TuningRun {
            mix: Mix { output: inside("rows"), ..mix },
            train: Train { input: vec![inside("rows")], output: inside("model"), ..train },
            folder,
        }
    }

    /// The step that draws a mix of so many rows, without an output.
    pub fn mix(&self, shares: &[f64], rows: u64, seed: u64) -> Mix {
        let taken: Vec<(&Ready, f64)> = self.taken(shares).collect();
        Mix {
            input: taken.iter().map(|(source, _)| format!("{}={}", source.name, source.path)).collect(),
            // Ten digits are more than any number of rows can tell apart.
            weights: taken.iter().map(|(source, share)| format!("{}={share:.10}", source.name)).collect(),
            rows: Some(rows),
            repeat: self.learn.repeat,
            to: Some(self.learn.to.clone()),
            seed,
            threads: self.learn.train.threads,
            ..Mix::default()
        }
    }

    /// The sources that a mix has something of.
    fn taken(&self, shares: &[f64]) -> impl Iterator<Item = (&Ready, f64)> {
        self.sources.iter().zip(shares.to_vec()).filter(|(_, share)| *share > 0.0)
    }
}

/// All of one source.
pub fn one_hot(sources: usize, source: usize) -> Vec<f64> {
    (0..sources).map(|place| if place == source { 1.0 } else { 0.0 }).collect()
}

/// Refuses two tasks of one name, whose answers would be taken for each other's.
///
/// # Errors
/// When there are such.
pub fn check_names(asked: &[Asked]) -> Result<()> {
    for (number, task) in asked.iter().enumerate() {
        if asked[..number].iter().any(|other| other.name == task.name) {
            return Err(Error::usage(format!("two tasks are called `{}`", task.name))
                .with_hint("give one of them another `name` in its file"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mix::learn::Source;

    fn learn(sources: &[&str]) -> Learn {
        let source = |name: &&str| Source {
            name: (*name).to_owned(),
            cook: Some(Cook { template: vec![(*name).to_owned()], ..Cook::default() }),
            ..Source::default()
        };
        Learn {
            output: "out".to_owned(),
            base: "base".to_owned(),
            source: sources.iter().map(source).collect(),
            ..Learn::default()
        }
    }

    fn study<'a>(learn: &'a Learn, base: &str) -> Study<'a> {
        let sources = learn.source.iter().filter_map(|source| Some(cooking(learn, source, &[])?.1)).collect();
        Study::new(learn, sources, base.to_owned())
    }

    #[test]
    fn a_run_that_is_there_is_not_another_one_when_a_source_is_added() {
        let (before, after) =
            (learn(&["lookup", "mcqa", "doc_qa"]), learn(&["poetry", "lookup", "mcqa", "doc_qa"]));
        let (before, after) = (study(&before, "b"), study(&after, "b"));
        for source in 0..3 {
            assert_eq!(before.single(source), after.single(source + 1));
        }
        let folders =
            |study: &Study<'_>| (0..3).map(|source| study.single(source).folder).collect::<Vec<_>>();
        assert!(folders(&before)[0].to_string_lossy().starts_with("out/runs/lookup-"));
    }

    #[test]
    fn what_comes_out_otherwise_lies_elsewhere() {
        let plain = learn(&["lookup", "mcqa", "doc_qa"]);
        let folder = |learn: &Learn, base: &str| study(learn, base).single(0).folder;
        let here = folder(&plain, "b");
        assert_ne!(here, folder(&plain, "another"));
        let rate = Learn { train: Train { learning_rate: 0.5, ..Train::default() }, ..plain.clone() };
        assert_ne!(here, folder(&rate, "b"));
        assert_ne!(here, folder(&Learn { tuning_rows: 7, ..plain.clone() }, "b"));
        let threads = Learn { train: Train { threads: 1, ..Train::default() }, ..plain.clone() };
        assert_eq!(here, folder(&threads, "b"));
        let uniform = study(&plain, "b").run(&[1.0 / 3.0; 3], 10, 1);
        assert!(uniform.folder.to_string_lossy().starts_with("out/runs/mix-"));
        assert_eq!(uniform.mix.weights, ["lookup=0.3333333333", "mcqa=0.3333333333", "doc_qa=0.3333333333"]);
    }
}
