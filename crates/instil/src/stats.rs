//! What came out of a run: kept and rejected by source and kind, lengths, labels, duplicates, openings.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use crate::draw::TRAIN;
use crate::error::{Error, Result};
use crate::rows;
use crate::run::Report;
use crate::sink::{self, Layout};

/// More different responses than this are no set of labels.
const MOST_LABELS: usize = 24;
/// A longer response is no label.
const LONGEST_LABEL: usize = 40;
/// How many openings are given.
const OPENINGS: usize = 12;
/// How many different openings are counted.
const MOST_OPENINGS: usize = 200_000;
/// How many words an opening has.
const OPENING_WORDS: usize = 4;

/// What there is to say of a dataset.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stats {
    /// Rows.
    pub rows: u64,
    /// Rows by split; empty for a file, and for a folder without other splits than `train`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub splits: BTreeMap<String, u64>,
    /// Rows whose prompt and completion stand in an earlier row too.
    pub duplicates: u64,
    /// Characters of the prompts.
    pub prompt_chars: Lengths,
    /// Characters of the completions.
    pub completion_chars: Lengths,
    /// By kind of task; empty where the run folder is gone.
    pub kinds: BTreeMap<String, KindStats>,
    /// By source, then by kind: samples kept and not.
    pub sources: BTreeMap<String, BTreeMap<String, Share>>,
    /// The first words that paragraphs at either end of the prompts begin with most often.
    pub openings: Vec<(String, u64)>,
    /// The run's report, where its folder is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<Report>,
}

/// Lengths in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Lengths {
    /// The shortest.
    pub min: u32,
    /// Half are shorter.
    pub median: u32,
    /// 95 of 100 are shorter.
    pub p95: u32,
    /// The longest.
    pub max: u32,
}

/// One kind of task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KindStats {
    /// Rows.
    pub rows: u64,
    /// The responses and their counts, where they are a closed set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, u64>>,
}

/// Samples asked for, and what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Share {
    /// Kept.
    pub kept: u64,
    /// Not used.
    pub rejected: u64,
}

/// Reads a dataset folder, or a file of rows, and its run folder where that is there.
///
/// Lengths and a hash of each row are held in memory, some 20 bytes a row.
///
/// # Errors
/// When nothing of instil's is there, or it can't be read.
pub fn of(dataset: &Path) -> Result<Stats> {
    let (files, layout) = dataset_files(dataset)?;
    let mut stats = Stats {
        rows: 0,
        splits: BTreeMap::new(),
        duplicates: 0,
        prompt_chars: Lengths::default(),
        completion_chars: Lengths::default(),
        kinds: BTreeMap::new(),
        sources: BTreeMap::new(),
        openings: Vec::new(),
        report: layout.as_ref().and_then(|layout| Report::read(&layout.run()).ok()),
    };
    let provenance = match &layout {
        Some(layout) => layout.provenance_files()?,
        None => Vec::new(),
    };
    let mut provenance =
        provenance.iter().map(|path| rows::of_file(path)).collect::<Result<Vec<_>>>()?.into_iter().flatten();

    let (mut prompts, mut completions) = (Vec::new(), Vec::new());
    let mut seen = HashSet::new();
    let mut labels: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    let mut openings: HashMap<String, u64> = HashMap::new();
    for file in &files {
        let before = stats.rows;
        for row in rows::of_file(file)? {
            let row = row?;
            let (prompt, completion) = rows::prompt_and_completion(&row).ok_or_else(|| {
                let columns: Vec<&str> = row.keys().map(String::as_str).collect();
                Error::input(format!(
                    "`{}` has rows of another shape: {}",
                    file.display(),
                    columns.join(", ")
                ))
                .with_hint("`instil list shapes` shows the shapes that are known")
            })?;
            stats.rows += 1;
            prompts.push(chars(&prompt));
            completions.push(chars(&completion));
            let hash = crate::rng::seed_of(0, &[&prompt, &completion]);
            stats.duplicates += u64::from(!seen.insert(hash));
            for opening in openings_of(&prompt) {
                // What is common has been seen by then.
                if openings.len() < MOST_OPENINGS || openings.contains_key(&opening) {
                    *openings.entry(opening).or_default() += 1;
                }
            }
            // Provenance stands in the order of the rows.
            if let Some(facts) = provenance.next() {
                let facts = facts?;
                // Of converted rows there is no kind of task, but the shape that they were read as.
                let kind = facts.get("task").or(facts.get("shape")).and_then(Value::as_str);
                let kind = kind.unwrap_or_default().to_owned();
                let source = rows::text(&facts, "source").to_owned();
                stats.sources.entry(source).or_default().entry(kind.clone()).or_default().kept += 1;
                let of_kind = labels.entry(kind.clone()).or_default();
                if of_kind.len() <= MOST_LABELS {
                    let label = if completion.len() <= LONGEST_LABEL { completion.as_str() } else { "…" };
                    *of_kind.entry(label.to_owned()).or_default() += 1;
                }
                stats.kinds.entry(kind).or_default().rows += 1;
            }
        }
        if let Some(split) = sink::split_of(file) {
            *stats.splits.entry(split.to_owned()).or_default() += stats.rows - before;
        }
    }
    if stats.splits.keys().eq([TRAIN]) {
        stats.splits.clear();
    }
    for (kind, counts) in labels {
        let repeated = counts.values().sum::<u64>() >= 2 * counts.len() as u64;
        if counts.len() <= MOST_LABELS && repeated && !counts.contains_key("…") {
            stats.kinds.entry(kind).or_default().labels = Some(counts);
        }
    }
    if let Some(layout) = layout.as_ref().filter(|layout| layout.rejects().exists()) {
        for reject in rows::of_file(&layout.rejects())? {
            let reject = reject?;
            let (source, kind) = (rows::text(&reject, "source"), rows::text(&reject, "task"));
            if !kind.is_empty() {
                stats
                    .sources
                    .entry(source.to_owned())
                    .or_default()
                    .entry(kind.to_owned())
                    .or_default()
                    .rejected += 1;
            }
        }
    }
    stats.prompt_chars = lengths(prompts);
    stats.completion_chars = lengths(completions);
    let mut openings: Vec<_> = openings.into_iter().filter(|(_, count)| *count > 1).collect();
    openings.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    openings.truncate(OPENINGS);
    stats.openings = openings;
    Ok(stats)
}

/// The files that hold a dataset's rows, and its layout where instil knows it.
fn dataset_files(dataset: &Path) -> Result<(Vec<PathBuf>, Option<Layout>)> {
    let none = || {
        Error::input(format!("there is no dataset at `{}`", dataset.display()))
            .with_hint("name the folder or file that `instil generate … -o` wrote")
    };
    if !dataset.exists() {
        return Err(none());
    }
    let layout = Layout::of(dataset)?;
    if !layout.is_folder() {
        let layout = layout.run().join("report.json").exists().then_some(layout);
        return Ok((vec![dataset.to_owned()], layout));
    }
    let files = layout.data_files()?;
    if files.is_empty() {
        let unfinished = layout.run().join("recipe.toml").exists();
        return Err(if unfinished {
            none().because("its run has not finished").with_hint(format!(
                "`instil run {}` continues it",
                layout.run().join("recipe.toml").display()
            ))
        } else {
            none()
        });
    }
    Ok((files, Some(layout)))
}

fn chars(text: &str) -> u32 {
    u32::try_from(text.chars().count()).unwrap_or(u32::MAX)
}

fn lengths(mut all: Vec<u32>) -> Lengths {
    all.sort_unstable();
    let at = |share: usize| {
        all.get((all.len() * share / 100).min(all.len().saturating_sub(1))).copied().unwrap_or(0)
    };
    Lengths { min: at(0), median: at(50), p95: at(95), max: at(100) }
}

/// The first words of the first and of the last paragraph: the passage stands at one end of most
/// prompts, what is asked at the other, and only the latter repeats.
fn openings_of(prompt: &str) -> Vec<String> {
    let opening = |paragraph: &str| {
        let words: Vec<&str> = paragraph.split_whitespace().take(OPENING_WORDS).collect();
        words.join(" ")
    };
    let first = opening(prompt);
    let last = opening(prompt.trim_end().rsplit("\n\n").next().unwrap_or_default());
    if first == last { vec![first] } else { vec![first, last] }
}

/// Writes the rejects of a run folder as JSON lines.
///
/// # Errors
/// When they can't be read or written.
pub fn write_rejects(run: &Path, path: &Path) -> Result<()> {
    let failed =
        |e: std::io::Error| Error::output(format!("failed to write `{}`", path.display())).because(e);
    let mut out = BufWriter::new(File::create(path).map_err(failed)?);
    let rejects = run.join("rejects.parquet");
    if rejects.exists() {
        for row in rows::of_file(&rejects)? {
            let line = serde_json::to_string(&row?).expect("a row is plain values");
            writeln!(out, "{line}").map_err(failed)?;
        }
    }
    out.flush().map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_order_statistics() {
        assert_eq!(lengths(vec![]), Lengths::default());
        assert_eq!(lengths((1..=100).rev().collect()), Lengths { min: 1, median: 51, p95: 96, max: 100 });
    }

    #[test]
    fn openings_are_taken_at_both_ends() {
        assert_eq!(
            openings_of("The passage says it all here.\n\nWho sat on the mat?"),
            ["The passage says it", "Who sat on the"]
        );
        assert_eq!(openings_of("Who sat?"), ["Who sat?"]);
    }
}
