//! The dataset card: what `README.md` says to the Hub, to `datasets` and to people.
//!
//! It is a function of the run's result alone, without dates and paths of a machine, so that the same
//! run writes the same bytes.

use std::fmt::Write;

use super::features;
use super::records::{self, PROVENANCE};
use crate::format::Format;
use crate::lm::Sampling;
use crate::reject::Reason;
use crate::task::TaskKind;

/// What a run tells about itself on its dataset's card.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Card {
    /// The dataset's name, as a title.
    pub name: String,
    /// The licence of the source texts, as the Hub spells it, where the user gave one.
    pub license: Option<String>,
    /// The generator, as the user knows it.
    pub model: String,
    /// Whether the generator is the built-in `rules`, which is no language model.
    pub is_rules: bool,
    /// The prompt's name and version.
    pub template: String,
    /// How many documents were read.
    pub documents: u64,
    /// How many passages they were cut into.
    pub passages: u64,
    /// How many examples of each kind were kept, in the order in which they are to be shown.
    pub kinds: Vec<(TaskKind, u64)>,
    /// How much was not used for each reason, in the order in which it is to be shown.
    pub rejects: Vec<(Reason, u64)>,
}

/// What the sink knows about the files that the card describes.
pub(super) struct Facts<'a> {
    pub(super) format: Format,
    pub(super) sampling: &'a Sampling,
    pub(super) data: Size,
    pub(super) provenance: Size,
}

/// The size of one config of the dataset.
#[derive(Clone, Copy, Default)]
pub(super) struct Size {
    pub(super) rows: u64,
    pub(super) arrow_bytes: u64,
    pub(super) file_bytes: u64,
}

impl Card {
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
        writeln!(out, "tags:\n- synthetic\n- instil")?;
        let mut categories: Vec<_> =
            self.kinds.iter().filter(|(_, kept)| *kept > 0).map(|(kind, _)| category(*kind)).collect();
        categories.sort_unstable();
        categories.dedup();
        if !categories.is_empty() {
            writeln!(out, "task_categories:")?;
            for category in categories {
                writeln!(out, "- {category}")?;
            }
        }
        writeln!(out, "size_categories:\n- {}", size_category(facts.data.rows))?;
        writeln!(out, "configs:")?;
        for (config, folder) in [("default", "data"), ("provenance", "provenance")] {
            writeln!(
                out,
                "- config_name: {config}\n  data_files:\n  - split: train\n    path: {folder}/train-*.parquet"
            )?;
        }
        writeln!(out, "dataset_info:")?;
        let columns = records::keyed(facts.format);
        for (config, columns, size) in
            [("default", columns.as_slice(), facts.data), ("provenance", PROVENANCE, facts.provenance)]
        {
            writeln!(out, "- config_name: {config}\n  features:")?;
            write!(out, "{}", features::yaml(columns))?;
            writeln!(out, "  splits:\n  - name: train")?;
            writeln!(out, "    num_bytes: {}\n    num_examples: {}", size.arrow_bytes, size.rows)?;
            writeln!(out, "  download_size: {}\n  dataset_size: {}", size.file_bytes, size.arrow_bytes)?;
        }
        writeln!(out, "---\n")
    }

    fn body(&self, facts: &Facts<'_>, out: &mut String) -> std::fmt::Result {
        let rows = facts.data.rows;
        let columns = records::keyed(facts.format);
        writeln!(out, "# {}\n", one_line(&self.name))?;
        writeln!(
            out,
            "Instruction-tuning data made with instil from {} ({}).\n\
             {} in the format `{}`: columns {}.\n",
            plural(self.documents, "document"),
            plural(self.passages, "passage"),
            plural(rows, "example"),
            facts.format.name(),
            columns.iter().map(|column| format!("`{}`", column.name)).collect::<Vec<_>>().join(", "),
        )?;
        if self.is_rules {
            writeln!(
                out,
                "They were made by `rules`: programs over the text itself. `rules` is no language model; the answers are\n\
                 right by construction, the wordings are few.\n"
            )?;
        }
        writeln!(out, "## Load it\n\n```python\nfrom datasets import load_dataset\n")?;
        writeln!(out, "data = load_dataset(\"path/to/this/folder\", split=\"train\")")?;
        writeln!(
            out,
            "origin = load_dataset(\"path/to/this/folder\", \"provenance\", split=\"train\")  # same rows, same `id`"
        )?;
        writeln!(out, "```\n\n## What was kept\n")?;
        table(
            out,
            ["Task kind", "Examples"],
            self.kinds.iter().map(|(kind, kept)| (kind.full().to_owned(), *kept)),
            rows,
        )?;
        writeln!(out, "\n## What was not\n")?;
        let total = self.rejects.iter().map(|(_, count)| count).sum();
        if total == 0 {
            writeln!(out, "Nothing was rejected.")?;
        } else {
            let reasons = self.rejects.iter().filter(|(_, count)| *count > 0);
            let lines =
                reasons.map(|(reason, count)| (format!("`{}`: {}", reason.word(), reason.about()), *count));
            table(out, ["Reason", "Count"], lines, total)?;
            writeln!(out, "\nThe texts are in `run/rejects.parquet`.")?;
        }
        writeln!(out, "\n## How it was made\n")?;
        writeln!(out, "- Generator: `{}`", one_line(&self.model))?;
        writeln!(out, "- Prompt: `{}`", one_line(&self.template))?;
        if !self.is_rules {
            let Sampling { temperature, top_p, max_tokens } = facts.sampling;
            writeln!(
                out,
                "- Sampling: temperature {temperature}, top-p {top_p}, at most {max_tokens} tokens"
            )?;
        }
        writeln!(
            out,
            "- Again: `instil run run/recipe.toml`, whose paths are meant from where it was run first"
        )?;
        writeln!(
            out,
            "\nThe examples are synthetic: read some before you train on them. The licence of the source texts holds for\n\
             what was made of them."
        )
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
fn category(kind: TaskKind) -> &'static str {
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
