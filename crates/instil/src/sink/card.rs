//! The dataset card: what `README.md` says to the Hub, to `datasets` and to people.
//!
//! It is a function of the run's result alone, without dates and paths of a machine, so that the same
//! run writes the same bytes.

use std::fmt::Write;
use std::ops::AddAssign;

use super::features;
use crate::draw::TRAIN;
use crate::format::Column;
use crate::lm::Sampling;
use crate::reject::Reason;
use crate::task::{Task, TaskKind};

/// What a run tells about itself on its dataset's card.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Card {
    /// The dataset's name, as a title.
    pub name: String,
    /// The licence of the source texts, as the Hub spells it, where the user gave one.
    pub license: Option<String>,
    /// What it was made of, and how.
    pub made: Made,
    /// How many examples of each kind were kept, in the order in which they are to be shown.
    pub kinds: Vec<(Task, u64)>,
    /// How much was not used for each reason, in the order in which it is to be shown.
    pub rejects: Vec<(Reason, u64)>,
}

/// What a dataset was made of, and how.
#[derive(Clone, Debug, PartialEq)]
pub enum Made {
    /// Text, by a model.
    FromText {
        /// The generator, as the user knows it.
        model: String,
        /// Whether the generator is the built-in `rules`, which is no language model.
        is_rules: bool,
        /// The prompt's name and version.
        template: String,
        /// How many documents were read.
        documents: u64,
        /// How many passages they were cut into.
        passages: u64,
    },
    /// Labelled rows, by templates.
    FromRows {
        /// Whether the templates were turned inside out.
        is_inverted: bool,
        /// How many templates there were to choose from.
        templates: usize,
        /// Each dataset: its key, the rows read, the examples kept, its licence where that is known.
        sets: Vec<CardSet>,
    },
    /// Nothing, by programs over random words.
    Cooked {
        /// The templates.
        templates: Vec<CardTemplate>,
        /// The words that they draw from, in a sentence.
        pool: String,
        /// The seed.
        seed: u64,
    },
    /// Rows of several datasets, in proportions.
    Mixed {
        /// The sources.
        sources: Vec<CardSource>,
        /// The seed.
        seed: u64,
    },
}

/// One of the datasets that a mix was made of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CardSource {
    /// Its name in the mix.
    pub name: String,
    /// Its share, from 0 to 1.
    pub share: f64,
    /// Rows of it that could be used.
    pub rows: u64,
    /// Rows of the mix that are its.
    pub kept: u64,
    /// Their tokens, where these are counted.
    pub tokens: u64,
}

/// One of the templates that samples were made by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CardTemplate {
    /// Its name.
    pub name: String,
    /// Its rule, in a sentence.
    pub about: String,
    /// What it was set to.
    pub settings: String,
    /// Rows of it.
    pub rows: u64,
}

/// One of the datasets that a dataset was made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CardSet {
    /// Its key, such as `super_glue/boolq`.
    pub dataset: String,
    /// Rows read.
    pub rows: u64,
    /// Examples kept.
    pub kept: u64,
    /// Its licence, where that is known.
    pub license: Option<String>,
}

impl Default for Made {
    fn default() -> Self {
        Self::FromRows { is_inverted: false, templates: 0, sets: Vec::new() }
    }
}

/// What the sink knows about the files that the card describes.
pub(super) struct Facts<'a> {
    /// The format's name.
    pub(super) format: &'a str,
    /// The columns of its files.
    pub(super) columns: Vec<Column>,
    pub(super) sampling: &'a Sampling,
    /// The splits of the rows with their sizes, in order.
    pub(super) data: Vec<(String, Size)>,
    /// The same for their provenance; none where there is no such table.
    pub(super) provenance: Vec<(String, Size)>,
    /// The columns of that table.
    pub(super) provenance_columns: &'a [Column],
}

impl Facts<'_> {
    fn rows(&self) -> u64 {
        self.data.iter().map(|(_, size)| size.rows).sum()
    }

    /// Those of `splits` that `datasets` is told of. It refuses a whole dataset for one split without rows
    /// ("corresponds to no data", 5.2.0), so these are left out, but for the first where all are empty.
    fn listed<'a>(&self, splits: &'a [(String, Size)]) -> impl Iterator<Item = &'a (String, Size)> {
        let none = self.rows() == 0;
        splits
            .iter()
            .enumerate()
            .filter(move |(index, (_, size))| size.rows > 0 || none && *index == 0)
            .map(|(_, split)| split)
    }
}

/// The size of one split of one config of the dataset.
#[derive(Clone, Copy, Default)]
pub(super) struct Size {
    pub(super) rows: u64,
    pub(super) arrow_bytes: u64,
    pub(super) file_bytes: u64,
}

impl AddAssign for Size {
    fn add_assign(&mut self, other: Self) {
        self.rows += other.rows;
        self.arrow_bytes += other.arrow_bytes;
        self.file_bytes += other.file_bytes;
    }
}

impl Card {
    /// The name of a dataset that is written to `output`.
    pub fn name_of(output: &str) -> String {
        let name = std::path::Path::new(output).file_name();
        name.map_or_else(|| "dataset".to_owned(), |name| name.to_string_lossy().into_owned())
    }

    pub(super) fn text(&self, facts: &Facts<'_>) -> String {
        let mut out = String::new();
        self.front_matter(facts, &mut out)
            .and_then(|()| self.body(facts, &mut out))
            .expect("a String takes any text");
        out
    }

    fn front_matter(&self, facts: &Facts<'_>, out: &mut String) -> std::fmt::Result {
        writeln!(out, "---")?;
        if let Some(license) = &self.license {
            writeln!(out, "license: {}", yaml_string(license))?;
        }
        writeln!(out, "pretty_name: {}", yaml_string(&self.name))?;
        let synthetic = if matches!(self.made, Made::FromText { .. } | Made::Cooked { .. }) {
            "- synthetic\n"
        } else {
            ""
        };
        writeln!(out, "tags:\n{synthetic}- instil")?;
        let mut categories: Vec<_> =
            self.kinds.iter().filter(|(_, kept)| *kept > 0).map(|(task, _)| category(task)).collect();
        categories.sort_unstable();
        categories.dedup();
        if !categories.is_empty() {
            writeln!(out, "task_categories:")?;
            for category in categories {
                writeln!(out, "- {category}")?;
            }
        }
        writeln!(out, "size_categories:\n- {}", size_category(facts.rows()))?;
        writeln!(out, "configs:")?;
        let configs = [
            ("default", "data", facts.columns.as_slice(), &facts.data),
            ("provenance", "provenance", facts.provenance_columns, &facts.provenance),
        ];
        let configs = || configs.into_iter().filter(|(.., splits)| !splits.is_empty());
        for (config, folder, ..) in configs() {
            writeln!(out, "- config_name: {config}\n  data_files:")?;
            for (split, _) in facts.listed(&facts.data) {
                writeln!(out, "  - split: {split}\n    path: {folder}/{split}-*.parquet")?;
            }
        }
        writeln!(out, "dataset_info:")?;
        for (config, _, columns, splits) in configs() {
            writeln!(out, "- config_name: {config}\n  features:")?;
            write!(out, "{}", features::yaml(columns))?;
            writeln!(out, "  splits:")?;
            let mut all = Size::default();
            for (split, size) in facts.listed(splits) {
                writeln!(out, "  - name: {split}")?;
                writeln!(out, "    num_bytes: {}\n    num_examples: {}", size.arrow_bytes, size.rows)?;
                all += *size;
            }
            writeln!(out, "  download_size: {}\n  dataset_size: {}", all.file_bytes, all.arrow_bytes)?;
        }
        writeln!(out, "---\n")
    }

    fn body(&self, facts: &Facts<'_>, out: &mut String) -> std::fmt::Result {
        let rows = facts.rows();
        writeln!(out, "# {}\n", one_line(&self.name))?;
        let shape = format!(
            "{} in the format `{}`: columns {}.",
            plural(rows, "example"),
            facts.format,
            facts.columns.iter().map(|column| format!("`{}`", column.name)).collect::<Vec<_>>().join(", "),
        );
        match &self.made {
            Made::FromText { documents, passages, is_rules, .. } => {
                let (documents, passages) = (plural(*documents, "document"), plural(*passages, "passage"));
                writeln!(
                    out,
                    "Instruction-tuning data made with instil from {documents} ({passages}).\n{shape}\n"
                )?;
                if *is_rules {
                    writeln!(
                        out,
                        "They were made by `rules`: programs over the text itself. `rules` is no language model; the answers are\n\
                         right by construction, the wordings are few.\n"
                    )?;
                }
            }
            Made::FromRows { is_inverted, templates, sets } => {
                let read = plural(sets.iter().map(|set| set.rows).sum(), "labelled row");
                let what = if *is_inverted {
                    "Training pairs of a task generator (a passage and a kind of task in, instruction and response out)"
                } else {
                    "Instruction-tuning data"
                };
                let by = plural(*templates as u64, "prompt template");
                writeln!(out, "{what}, made with instil from {read} by {by}.\n{shape}\n")?;
            }
            Made::Cooked { templates, pool, .. } => {
                let by = plural(templates.len() as u64, "template");
                writeln!(
                    out,
                    "Task data made with instil by {by} over random words: no person, no model and no text had a part in it. The\n\
                     words are {pool}. {shape}\n"
                )?;
            }
            Made::Mixed { sources, .. } => {
                let of = plural(sources.len() as u64, "dataset");
                writeln!(out, "A mix of {of}, made with instil.\n{shape}\n")?;
            }
        }
        writeln!(out, "## Load it\n\n```python\nfrom datasets import load_dataset\n")?;
        let first = facts.listed(&facts.data).next().map_or(TRAIN, |(split, _)| split);
        writeln!(out, "data = load_dataset(\"path/to/this/folder\", split=\"{first}\")")?;
        if !facts.provenance.is_empty() {
            writeln!(
                out,
                "origin = load_dataset(\"path/to/this/folder\", \"provenance\", split=\"{first}\")  # same rows, same `id`"
            )?;
        }
        writeln!(out, "```\n")?;
        if facts.data.len() > 1 {
            writeln!(out, "## Splits\n")?;
            let lines = facts.data.iter().map(|(split, size)| (format!("`{split}`"), size.rows));
            table(out, ["Split", "Examples"], lines, rows)?;
            writeln!(out)?;
        }
        if let Made::Cooked { templates, .. } = &self.made {
            writeln!(out, "## What is in it\n\n| Template | Rule | Set to | Examples |\n|---|---|---|---:|")?;
            for CardTemplate { name, about, settings, rows } in templates {
                let (about, settings) = (about.replace('|', "\\|"), settings.replace('|', "\\|"));
                writeln!(out, "| `{name}` | {about} | {settings} | {rows} |")?;
            }
        } else if let Made::Mixed { sources, .. } = &self.made {
            let has_tokens = sources.iter().any(|source| source.tokens > 0);
            let (head, rule) = if has_tokens { (" Tokens |", "---:|") } else { ("", "") };
            writeln!(
                out,
                "## What is in it\n\n| Source | Share | Rows of it | Examples |{head}\n|---|---:|---:|---:|{rule}"
            )?;
            for CardSource { name, share, rows, kept, tokens } in sources {
                let tokens = if has_tokens { format!(" {tokens} |") } else { String::new() };
                let name = name.replace('|', "\\|");
                writeln!(out, "| `{name}` | {:.1} % | {rows} | {kept} |{tokens}", 100.0 * share)?;
            }
        } else {
            writeln!(out, "## What was kept\n")?;
            table(
                out,
                ["Task kind", "Examples"],
                self.kinds.iter().map(|(task, kept)| (task.full().to_owned(), *kept)),
                rows,
            )?;
        }
        if let Made::FromRows { sets, .. } = &self.made {
            writeln!(
                out,
                "\n## What it was made of\n\n| Dataset | Rows | Examples | Licence |\n|---|---:|---:|---|"
            )?;
            for CardSet { dataset, rows, kept, license } in sets.iter().filter(|set| set.kept > 0) {
                let license = license.as_deref().unwrap_or("not stated").replace('|', "\\|");
                writeln!(out, "| `{dataset}` | {rows} | {kept} | {license} |")?;
            }
        }
        writeln!(out, "\n## What was not\n")?;
        let total = self.rejects.iter().map(|(_, count)| count).sum();
        if total == 0 {
            writeln!(out, "Nothing was rejected.")?;
        } else {
            let reasons = self.rejects.iter().filter(|(_, count)| *count > 0);
            let lines =
                reasons.map(|(reason, count)| (format!("`{}`: {}", reason.word(), reason.about()), *count));
            table(out, ["Reason", "Count"], lines, total)?;
            let but = match self.rejects.iter().any(|(reason, _)| *reason == Reason::NotDrawn) {
                true => ", but for those of rows that were not drawn",
                false => "",
            };
            writeln!(out, "\nThe texts are in `run/rejects.parquet`{but}.")?;
        }
        writeln!(out, "\n## How it was made\n")?;
        match &self.made {
            Made::FromText { model, template, is_rules, .. } => {
                writeln!(out, "- Generator: `{}`", one_line(model))?;
                writeln!(out, "- Prompt: `{}`", one_line(template))?;
                if !is_rules {
                    let Sampling { temperature, top_p, max_tokens, .. } = facts.sampling;
                    writeln!(
                        out,
                        "- Sampling: temperature {temperature}, top-p {top_p}, at most {max_tokens} tokens"
                    )?;
                }
            }
            Made::Cooked { seed, .. } => {
                writeln!(
                    out,
                    "- Seed: {seed}. A row's `id` is its template and its number; `instil trace ID` makes it again"
                )?;
            }
            Made::FromRows { .. } => {
                writeln!(out, "- Templates: the `template` of each row stands in its provenance")?;
            }
            Made::Mixed { seed, .. } => {
                writeln!(out, "- Seed: {seed}. Source, file and row of each row stand in its provenance")?;
            }
        }
        writeln!(
            out,
            "- Again: `instil run run/recipe.toml`, whose paths are meant from where it was run first"
        )?;
        let what = match &self.made {
            Made::FromText { .. } => {
                "examples are synthetic: read some before you train on them. The licence of the source texts holds for\n"
            }
            Made::Cooked { .. } => {
                return writeln!(
                    out,
                    "\nNobody's text is in it, so that no licence of a source holds for it."
                );
            }
            Made::Mixed { .. } => "licences of the datasets hold for\n",
            Made::FromRows { .. } => "licences of the datasets, and of the templates' wordings, hold for\n",
        };
        writeln!(out, "\nThe {what}what was made of them.")
    }
}

fn table(
    out: &mut String,
    head: [&str; 2],
    lines: impl Iterator<Item = (String, u64)>,
    total: u64,
) -> std::fmt::Result {
    writeln!(out, "| {} | {} |\n|---|---:|", head[0], head[1])?;
    for (name, count) in lines {
        // A bar would end the cell, even between backticks.
        writeln!(out, "| {} | {count} |", name.replace('|', "\\|"))?;
    }
    writeln!(out, "| all | {total} |")
}

fn plural(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// The Hub's name for what a model learns from this kind.
fn category(task: &Task) -> &'static str {
    let Some(kind) = task.kind() else { return "text-generation" };
    match kind {
        TaskKind::Exqa | TaskKind::Mcqa | TaskKind::Qa | TaskKind::Ynqa | TaskKind::Coref => {
            "question-answering"
        }
        TaskKind::ParaphraseId
        | TaskKind::Sentiment
        | TaskKind::TopicClass
        | TaskKind::Wsd
        | TaskKind::Te
        | TaskKind::Nli => "text-classification",
        TaskKind::Summarization => "summarization",
        TaskKind::Qg | TaskKind::Paraphrase | TaskKind::SentComp | TaskKind::TextGen => "text-generation",
    }
}

/// The Hub's name for a number of rows.
fn size_category(rows: u64) -> &'static str {
    match rows {
        0..1_000 => "n<1K",
        1_000..10_000 => "1K<n<10K",
        10_000..100_000 => "10K<n<100K",
        100_000..1_000_000 => "100K<n<1M",
        1_000_000..10_000_000 => "1M<n<10M",
        10_000_000..100_000_000 => "10M<n<100M",
        100_000_000..1_000_000_000 => "100M<n<1B",
        _ => "n>1B",
    }
}

/// A text as YAML: bare if it is a plain word, else between quotes.
fn yaml_string(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let is_word = text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(plain);
    let is_constant =
        ["true", "false", "yes", "no", "on", "off", "null", "y", "n"].contains(&text.to_lowercase().as_str());
    if is_word && !is_constant {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            // YAML takes none of these bare.
            '\0'..='\x1f'
            | '\x7f'..='\u{9f}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => {
                quoted.push_str(&format!("\\u{:04x}", c as u32));
            }
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

/// A text for a line of Markdown.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_strings_are_quoted_where_they_must_be() {
        for (text, yaml) in [
            ("cc-by-4.0", "cc-by-4.0"),
            ("no", "\"no\""),
            ("1.0", "\"1.0\""),
            ("a: b", "\"a: b\""),
            ("say \"é\"\n\\", "\"say \\\"é\\\"\\u000a\\\\\""),
            ("", "\"\""),
        ] {
            assert_eq!(yaml_string(text), yaml);
        }
    }
}
