//! Parallel pairs: an instruction in one style, and the same task's in another.
//!
//! A file of pairs is lines `{"pair_id", "src_format", "tgt_format", "src", "tgt", "origin", "approved_by", "licence"}`
//! (spec/uit.md 2.3). `src` is `{"instruction", "rows": [{"input", "output"}]}`, `tgt` is `{"definition",
//! "explanations"}`; either may be a text alone.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::rng::seed_of;

/// How many pairs demonstrate, unless told otherwise (spec/uit.md 2.3).
pub const SHOWN: usize = 5;

/// A task's instruction in two styles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// Its name, unlike any other's.
    pub pair_id: String,
    /// The style of the source, by name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub src_format: String,
    /// The style of the target, by name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tgt_format: String,
    /// The instruction in the first style.
    pub src: Source,
    /// The same in the second.
    pub tgt: Target,
    /// Where both come from.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub origin: String,
    /// Who has looked at the pair.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub approved_by: String,
    /// Under which licence both may be used.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub licence: String,
}

/// An instruction with some rows of its task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "TextOr<SourceParts>")]
pub struct Source {
    /// The instruction.
    pub instruction: String,
    /// Rows of the task.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<Shown>,
}

/// A row as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// What is given.
    pub input: String,
    /// What is answered.
    pub output: String,
}

/// What a model is to write.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "TextOr<TargetParts>")]
pub struct Target {
    /// The instruction in the style that is wanted.
    pub definition: String,
    /// Why the answer of each row is right.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub explanations: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum TextOr<T> {
    Text(String),
    Parts(T),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceParts {
    instruction: String,
    #[serde(default)]
    rows: Vec<Shown>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TargetParts {
    definition: String,
    #[serde(default)]
    explanations: Vec<String>,
}

impl From<TextOr<SourceParts>> for Source {
    fn from(read: TextOr<SourceParts>) -> Self {
        match read {
            TextOr::Text(instruction) => Self { instruction, rows: Vec::new() },
            TextOr::Parts(SourceParts { instruction, rows }) => Self { instruction, rows },
        }
    }
}

impl From<TextOr<TargetParts>> for Target {
    fn from(read: TextOr<TargetParts>) -> Self {
        match read {
            TextOr::Text(definition) => Self { definition, explanations: Vec::new() },
            TextOr::Parts(TargetParts { definition, explanations }) => Self { definition, explanations },
        }
    }
}

/// Reads a file of pairs.
///
/// # Errors
/// When the file can't be read, a line is no pair, or two have one name; the line is named.
pub fn read(path: &Path) -> Result<Vec<Pair>> {
    let failed = |what: &str| Error::input(format!("failed to read pairs `{}`{what}", path.display()));
    let text = fs::read_to_string(path).map_err(|e| failed("").because(e))?;
    let mut pairs: Vec<Pair> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let at = format!(" at line {}", number + 1);
        let pair: Pair = serde_json::from_str(line).map_err(|e| {
            failed(&at).because(e).with_hint(
                "each line is {\"pair_id\": \"…\", \"src\": {\"instruction\": \"…\", \"rows\": […]}, \
                 \"tgt\": {\"definition\": \"…\", \"explanations\": […]}}",
            )
        })?;
        if pairs.iter().any(|other| other.pair_id == pair.pair_id) {
            return Err(failed(&at).because(format!("`{}` is the name of another pair", pair.pair_id)));
        }
        if pair.src.instruction.trim().is_empty() || pair.tgt.definition.trim().is_empty() {
            return Err(failed(&at).because("an instruction is empty"));
        }
        pairs.push(pair);
    }
    match pairs.is_empty() {
        true => Err(failed("").because("there is no pair in it")),
        false => Ok(pairs),
    }
}

/// `most` pairs that demonstrate a direction, drawn without replacement as a function of `seed` and `task`. Those whose
/// file names both styles of the direction go first, then those that name none; others are not drawn. A pair that is
/// named like the task is none of its demonstrations.
pub fn draw<'a>(
    pairs: &'a [Pair],
    (from, to): (&str, &str),
    task: &str,
    most: usize,
    seed: u64,
) -> Vec<&'a Pair> {
    let rank = |pair: &Pair| {
        let is = |name: &str, wanted: &str| name.is_empty() || name.eq_ignore_ascii_case(wanted);
        let named = usize::from(pair.src_format.is_empty() || pair.tgt_format.is_empty());
        (is(&pair.src_format, from) && is(&pair.tgt_format, to) && pair.pair_id != task).then_some(named)
    };
    let mut fitting: Vec<(usize, u64, &Pair)> = pairs
        .iter()
        .filter_map(|pair| Some((rank(pair)?, seed_of(seed, &["pairs", task, &pair.pair_id]), pair)))
        .collect();
    fitting.sort_by_key(|(rank, order, _)| (*rank, *order));
    fitting.into_iter().take(most).map(|(_, _, pair)| pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Result<Vec<Pair>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pairs.jsonl");
        fs::write(&path, text).unwrap();
        read(&path)
    }

    fn why(error: &Error) -> String {
        format!("{error}: {}", std::error::Error::source(error).map_or(String::new(), ToString::to_string))
    }

    #[test]
    fn pairs_are_read_in_both_spellings_and_lines_are_named() {
        let pairs = file(
            "{\"pair_id\": \"a\", \"src\": \"Is it good?\", \"tgt\": \"Say whether it is good.\"}\n\n\
             {\"pair_id\": \"b\", \"src_format\": \"instance\", \"tgt_format\": \"task\", \"licence\": \"CC0\",\
             \"src\": {\"instruction\": \"Why?\", \"rows\": [{\"input\": \"x\", \"output\": \"y\"}]},\
             \"tgt\": {\"definition\": \"Say why.\", \"explanations\": [\"It is so.\"]}}\n",
        )
        .unwrap();
        assert_eq!(pairs[0].src, Source { instruction: "Is it good?".into(), rows: vec![] });
        assert_eq!(pairs[1].tgt.explanations, ["It is so."]);
        let again: Pair = serde_json::from_str(&serde_json::to_string(&pairs[1]).unwrap()).unwrap();
        assert_eq!(again, pairs[1]);
        let error = file("{\"pair_id\": \"a\", \"src\": \"x\", \"tgt\": \"y\"}\n{\"src\": 1}").unwrap_err();
        assert!(error.to_string().ends_with("at line 2"), "{error}");
        assert!(why(&file("\n").unwrap_err()).contains("no pair"));
        let twice = "{\"pair_id\": \"a\", \"src\": \"x\", \"tgt\": \"y\"}\n".repeat(2);
        assert!(why(&file(&twice).unwrap_err()).contains("`a` is the name of another"));
    }

    #[test]
    fn a_direction_has_its_own_pairs_and_no_task_its_own_answer() {
        let pair = |name: &str, from: &str, to: &str| Pair {
            pair_id: name.into(),
            src_format: from.into(),
            tgt_format: to.into(),
            src: Source { instruction: name.into(), rows: vec![] },
            tgt: Target { definition: name.into(), explanations: vec![] },
            origin: String::new(),
            approved_by: String::new(),
            licence: String::new(),
        };
        let pairs = [
            pair("any", "", ""),
            pair("there", "instance", "task"),
            pair("there too", "Instance", "task"),
            pair("back", "task", "instance"),
        ];
        let names = |task: &str, most: usize| {
            let drawn = draw(&pairs, ("instance", "task"), task, most, 3);
            drawn.iter().map(|pair| pair.pair_id.clone()).collect::<Vec<_>>()
        };
        let all = names("kettles", 5);
        assert_eq!((all.len(), all[2].as_str()), (3, "any"));
        assert_eq!(names("kettles", 5), all);
        assert_eq!(names("there", 5), ["there too", "any"]);
        assert_eq!(names("kettles", 1).len(), 1);
    }
}
