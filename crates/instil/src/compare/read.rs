//! The folders of finished evaluations, by arm.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{Error, Result};

/// The numbers of a finished evaluation.
const REPORT: &str = "report.json";

/// What was done, under one or several seeds.
#[derive(Clone, Debug)]
pub struct Arm {
    /// Its name.
    pub name: String,
    /// Its runs; at least one.
    pub runs: Vec<Run>,
}

/// A finished evaluation, or several of one model.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its folder.
    pub folder: PathBuf,
    /// Its benchmarks, in the order in which they were asked.
    pub(super) benchmarks: Vec<Asked>,
}

/// A benchmark as a run was asked it.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) name: String,
    /// Its metrics, the first of them the headline.
    pub(super) numbers: Vec<Number>,
    pub(super) lines: Vec<Line>,
}

/// A metric of a report.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Number {
    pub(super) metric: String,
    pub(super) majority: Option<f64>,
    pub(super) random: Option<f64>,
}

/// What an answer is worth.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Line {
    benchmark: String,
    pub(super) id: String,
    pub(super) prompt: String,
    pub(super) gold: Option<u32>,
    pub(super) guess: Option<u32>,
    #[serde(default)]
    pub(super) choices: Vec<String>,
    #[serde(default)]
    pub(super) scores: BTreeMap<String, f64>,
}

/// What the answers to a benchmark's items are worth.
#[derive(Clone, Debug)]
pub(crate) struct Worths {
    /// The benchmark's name.
    pub(crate) benchmark: String,
    /// What the commonest answer would get.
    pub(crate) majority: Option<f64>,
    /// What chance would get.
    pub(crate) random: Option<f64>,
    /// The id of each item, its prompt, and what the answer is worth, from 0 to 1.
    pub(crate) items: Vec<(String, String, f64)>,
}

/// The metric of answers that lie in no folder.
const WORTH: &str = "worth";

impl Asked {
    pub(super) fn number(&self, metric: &str) -> Option<&Number> {
        self.numbers.iter().find(|number| number.metric == metric)
    }
}

impl Run {
    /// Reads a folder that `eval -o` has finished, or one that holds several such folders, in the order of their names.
    ///
    /// # Errors
    /// When it is none, or when two of its folders are of one benchmark.
    pub fn read(folder: &Path) -> Result<Self> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut parts: Vec<PathBuf> =
            entries.map(|entry| entry.path()).filter(|path| path.join(REPORT).is_file()).collect();
        if folder.join(REPORT).is_file() || parts.is_empty() {
            return Self::read_one(folder);
        }
        parts.sort();
        let mut whole = Self { folder: folder.to_owned(), benchmarks: Vec::new() };
        for part in parts {
            for asked in Self::read_one(&part)?.benchmarks {
                if whole.benchmark(&asked.name).is_some() {
                    return Err(Error::input(format!(
                        "two folders in `{}` are of `{}`",
                        folder.display(),
                        asked.name
                    ))
                    .with_hint("name each of them, where they are runs under different seeds"));
                }
                whole.benchmarks.push(asked);
            }
        }
        Ok(whole)
    }

    fn read_one(folder: &Path) -> Result<Self> {
        #[derive(Deserialize)]
        struct Report {
            reports: Vec<OfBenchmark>,
        }
        #[derive(Deserialize)]
        struct OfBenchmark {
            benchmark: String,
            metrics: Vec<Number>,
        }
        let failed = || Error::input(format!("`{}` holds no finished evaluation", folder.display()));
        let hint = "name the folder of `eval -o`; what was broken off goes on with the same command";
        let read = |name: &str| {
            std::fs::read_to_string(folder.join(name)).map_err(|e| failed().because(e).with_hint(hint))
        };
        let report: Report = serde_json::from_str(&read(REPORT)?).map_err(|e| failed().because(e))?;
        let mut benchmarks: Vec<Asked> = report
            .reports
            .into_iter()
            .map(|report| Asked { name: report.benchmark, numbers: report.metrics, lines: Vec::new() })
            .collect();
        for line in read("items.jsonl")?.lines() {
            let line: Line = serde_json::from_str(line).map_err(|e| failed().because(e))?;
            let Some(asked) = benchmarks.iter_mut().find(|asked| asked.name == line.benchmark) else {
                return Err(failed().because(format!("`{}` is in no report of it", line.benchmark)));
            };
            asked.lines.push(line);
        }
        Ok(Self { folder: folder.to_owned(), benchmarks })
    }

    /// Answers that lie in no folder, by benchmark.
    pub(crate) fn of(benchmarks: Vec<Worths>) -> Self {
        let asked = |worths: Worths| {
            let Worths { benchmark, majority, random, items } = worths;
            let line = |(id, prompt, worth): (String, String, f64)| Line {
                benchmark: benchmark.clone(),
                id,
                prompt,
                gold: None,
                guess: None,
                choices: Vec::new(),
                scores: BTreeMap::from([(WORTH.to_owned(), worth)]),
            };
            let lines = items.into_iter().map(line).collect();
            let number = Number { metric: WORTH.to_owned(), majority, random };
            Asked { name: benchmark, numbers: vec![number], lines }
        };
        Self { folder: PathBuf::new(), benchmarks: benchmarks.into_iter().map(asked).collect() }
    }

    pub(super) fn benchmark(&self, name: &str) -> Option<&Asked> {
        self.benchmarks.iter().find(|asked| asked.name == name)
    }
}

/// The arms of `NAME=FOLDER`, in the order of their names' first mention. A pattern stands for all folders that it fits.
///
/// # Errors
/// When a text isn't written so, a folder comes twice, a pattern fits none, or a folder holds no finished evaluation.
pub fn arms(named: &[String]) -> Result<Vec<Arm>> {
    let mut arms: Vec<Arm> = Vec::new();
    let mut known: Vec<PathBuf> = Vec::new();
    for text in named {
        let Some((name, pattern)) =
            text.split_once('=').filter(|(name, path)| !name.is_empty() && !path.is_empty())
        else {
            return Err(Error::usage(format!("`{text}` names no arm"))
                .with_hint("write NAME=FOLDER, and the same name for runs under other seeds"));
        };
        let folders = folders(pattern)?;
        for folder in folders {
            if known.contains(&folder) {
                return Err(Error::usage(format!("`{}` comes twice", folder.display()))
                    .with_hint("each evaluation is one run of one arm"));
            }
            let run = Run::read(&folder)?;
            known.push(folder);
            match arms.iter_mut().find(|arm| arm.name == name) {
                Some(arm) => arm.runs.push(run),
                None => arms.push(Arm { name: name.to_owned(), runs: vec![run] }),
            }
        }
    }
    Ok(arms)
}

/// The folders that a pattern fits, by name; a folder's own name fits itself.
fn folders(pattern: &str) -> Result<Vec<PathBuf>> {
    if Path::new(pattern).is_dir() {
        return Ok(vec![PathBuf::from(pattern)]);
    }
    let failed = || Error::input(format!("no folder fits `{pattern}`"));
    let paths = glob::glob(pattern).map_err(|e| failed().because(e))?;
    let mut folders = paths.collect::<std::result::Result<Vec<_>, _>>().map_err(|e| failed().because(e))?;
    folders.retain(|path| path.is_dir());
    if folders.is_empty() {
        return Err(failed().with_hint("`instil eval -o FOLDER` makes one"));
    }
    Ok(folders)
}

/// The benchmarks that all runs were asked, in the first one's order.
///
/// # Errors
/// When a run was asked another one, or other items.
pub(super) fn asked(arms: &[Arm]) -> Result<Vec<String>> {
    let first = &arms[0].runs[0];
    let names = |run: &Run| {
        let mut names: Vec<String> = run.benchmarks.iter().map(|asked| asked.name.clone()).collect();
        names.sort();
        names
    };
    for run in arms.iter().flat_map(|arm| &arm.runs) {
        let differ = |what: String| {
            Error::input(format!(
                "`{}` and `{}` can't be compared",
                first.folder.display(),
                run.folder.display()
            ))
            .because(what)
            .with_hint("evaluate both with the same --benchmark, --data and --limit")
        };
        if names(run) != names(first) {
            return Err(differ(format!("{} there, {} here", names(first).join(", "), names(run).join(", "))));
        }
        for asked in &first.benchmarks {
            let here = run.benchmark(&asked.name).map_or(&[][..], |asked| &asked.lines);
            let is_same = asked.lines.len() == here.len()
                && asked.lines.iter().zip(here).all(|(a, b)| a.id == b.id && a.prompt == b.prompt);
            if !is_same {
                return Err(differ(format!("`{}` was asked about other items", asked.name)));
            }
        }
    }
    Ok(first.benchmarks.iter().map(|asked| asked.name.clone()).collect())
}
