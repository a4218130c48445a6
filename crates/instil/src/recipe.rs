//! A run written down: a TOML file of steps, each with the settings of one verb.
//!
//! The keys are the flags of the program with `_` for `-`. The settled recipe of any run stands in
//! its `run/recipe.toml`, every default filled in, and `instil run` repeats it.

use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, nearest};
use crate::lm::Sampling;
use crate::task::TaskKind;

/// The form of the file that this version reads and writes.
pub const VERSION: u32 = 1;

/// A file of steps, run one after the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// [`VERSION`].
    pub version: u32,
    /// The steps; a later one may read what an earlier one wrote.
    pub step: Vec<Generate>,
}

/// What a step does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Text to task data.
    #[default]
    Generate,
}

/// The settings of `generate`, with the defaults of the program.
///
/// Relative paths are meant from the working directory, as they are on the command line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Generate {
    /// The verb.
    pub verb: Verb,
    /// Files, folders, globs or `-`.
    pub input: Vec<String>,
    /// A dataset folder, or a file by its ending.
    pub output: String,
    /// Kinds of task, by short or full name.
    pub task: Vec<String>,
    /// `rules`, or the name that the endpoint knows the model by.
    pub model: String,
    /// The base URL of an OpenAI-compatible server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// `auto`, `completions` or `chat`.
    pub api: String,
    /// A recording that answers in the model's place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay: Option<String>,
    /// `bonito` or `instruct`.
    pub prompt: String,
    /// Exactly what the published library gives.
    pub reference: bool,
    /// The labels of topic classification and sentiment.
    pub labels: Vec<String>,
    /// The column that holds the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_column: Option<String>,
    /// The column that holds the document's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_column: Option<String>,
    /// Only this document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// The most characters of a passage, where tokens don't say.
    pub chunk_chars: usize,
    /// The most tokens of a passage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chunk_tokens: Option<usize>,
    /// The `tokenizer.json` that counts them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<String>,
    /// The model's window: the tokens of prompt and completion together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<usize>,
    /// Samples of each prompt.
    pub samples: u32,
    /// 0 is greedy.
    pub temperature: f64,
    /// The share of probability that the nucleus keeps.
    pub top_p: f64,
    /// The most tokens of one completion.
    pub max_tokens: u32,
    /// Every random choice comes from it. 63 bits, as TOML's numbers go.
    pub seed: u64,
    /// The most documents read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// The shape of the rows.
    pub format: String,
    /// Rows of a shard.
    pub shard_rows: usize,
    /// The licence for the dataset's card.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// The share of samples not kept, above which the exit code is 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_drop: Option<f64>,
    /// A journal shared with other runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub journal: Option<String>,
    /// Whether the output is written although calls failed for good.
    pub allow_errors: bool,
    /// Whether the run folder beside a single file stays.
    pub keep_run: bool,
    /// Calls to the endpoint at once.
    pub concurrency: usize,
    /// Seconds that one call may take.
    pub timeout: u64,
    /// Threads of `rules`; 0 means one a processor.
    pub threads: usize,
}

impl Default for Generate {
    fn default() -> Self {
        let Sampling { temperature, top_p, max_tokens } = Sampling::default();
        Self {
            verb: Verb::Generate,
            input: Vec::new(),
            output: String::new(),
            task: ["exqa", "ynqa", "nli", "summarization"].map(str::to_owned).to_vec(),
            model: "rules".to_owned(),
            endpoint: None,
            api: "auto".to_owned(),
            replay: None,
            prompt: "bonito".to_owned(),
            reference: false,
            labels: Vec::new(),
            text_column: None,
            id_column: None,
            document: None,
            chunk_chars: 2000,
            chunk_tokens: None,
            tokenizer: None,
            window: None,
            samples: 1,
            temperature,
            top_p,
            max_tokens,
            seed: 0,
            limit: None,
            format: "messages".to_owned(),
            shard_rows: 500_000,
            license: None,
            max_drop: None,
            journal: None,
            allow_errors: false,
            keep_run: false,
            concurrency: 32,
            timeout: 600,
            threads: 0,
        }
    }
}

/// Keys that say where and how fast, not what: two runs that differ in them make the same rows.
const NOT_WHAT: [&str; 8] =
    ["output", "max_drop", "journal", "allow_errors", "keep_run", "concurrency", "timeout", "threads"];

impl Generate {
    /// The kinds of task, in the order asked for, none twice.
    ///
    /// # Errors
    /// When a name is unknown, or there is none.
    pub fn kinds(&self) -> Result<Vec<TaskKind>> {
        let mut kinds = Vec::new();
        for name in &self.task {
            let kind = TaskKind::parse(name)?;
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        if kinds.is_empty() {
            return Err(
                Error::usage("no task kind is asked for").with_hint("`instil list tasks` shows them all")
            );
        }
        Ok(kinds)
    }

    /// How tokens are drawn.
    ///
    /// # Errors
    /// When a number is out of its range.
    pub fn sampling(&self) -> Result<Sampling> {
        let must = |holds: bool, what: &str| if holds { Ok(()) } else { Err(Error::usage(what)) };
        must(self.temperature >= 0.0 && self.temperature.is_finite(), "temperature must be 0 or more")?;
        must(self.top_p > 0.0 && self.top_p <= 1.0, "top_p must be above 0 and at most 1")?;
        must(self.max_tokens > 0, "max_tokens must be at least 1")?;
        Ok(Sampling { temperature: self.temperature, top_p: self.top_p, max_tokens: self.max_tokens })
    }

    /// The settings that decide the rows, by key.
    fn what(&self) -> toml::Table {
        let mut table = toml::Table::try_from(self).expect("settings are plain values");
        for key in NOT_WHAT {
            table.remove(key);
        }
        table
    }

    /// 16 hexadecimal digits that two recipes share when they make the same rows of the same files.
    pub fn hash(&self) -> String {
        crate::rng::hex_of(&[&self.what().to_string()], 16)
    }

    /// Where two recipes make different rows: lines such as `seed: 0 there, 1 here`.
    pub fn differences(&self, there: &Self) -> Vec<String> {
        let (here, there) = (self.what(), there.what());
        let mut keys: Vec<&String> = here.keys().chain(there.keys()).collect();
        keys.sort();
        keys.dedup();
        let shown = |value: Option<&toml::Value>| value.map_or("not set".to_owned(), ToString::to_string);
        keys.into_iter()
            .filter(|key| here.get(*key) != there.get(*key))
            .map(|key| format!("{key}: {} there, {} here", shown(there.get(key)), shown(here.get(key))))
            .collect()
    }
}

impl Recipe {
    /// A recipe of one step.
    pub fn of(step: Generate) -> Self {
        Self { version: VERSION, step: vec![step] }
    }

    /// Reads a recipe.
    ///
    /// # Errors
    /// When the file can't be read, is no TOML, has an unknown key (the nearest name is the hint), a
    /// value of the wrong type, another version or no step. The line is named.
    pub fn read(path: &Path) -> Result<Self> {
        let failed = || Error::input(format!("failed to read recipe `{}`", path.display()));
        let text = std::fs::read_to_string(path).map_err(|e| failed().because(e))?;
        Self::parse(&text).map_err(|e| {
            let hint = e.hint().map(str::to_owned);
            let error = failed().because(e.to_string());
            match hint {
                Some(hint) => error.with_hint(hint),
                None => error,
            }
        })
    }

    /// [`Recipe::read`] of a text.
    ///
    /// # Errors
    /// As there, without the file's name.
    pub fn parse(text: &str) -> Result<Self> {
        static UNKNOWN: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new("unknown (?:field|variant) `([^`]*)`, expected (.*)").expect("the pattern is valid")
        });
        static NAME: LazyLock<Regex> =
            LazyLock::new(|| Regex::new("`([^`]*)`").expect("the pattern is valid"));
        let recipe: Self = toml::from_str(text).map_err(|e: toml::de::Error| {
            let line = e.span().map(|span| 1 + text[..span.start].matches('\n').count());
            let at = line.map_or(String::new(), |line| format!(" at line {line}"));
            let Some(unknown) = UNKNOWN.captures(e.message()) else {
                return Error::input(format!("{}{at}", e.message().trim()));
            };
            let known: Vec<&str> =
                NAME.captures_iter(&unknown[2]).filter_map(|name| Some(name.get(1)?.as_str())).collect();
            let hint = match nearest(&unknown[1], known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are {}", known.join(", ")),
            };
            Error::input(format!("unknown name `{}`{at}", &unknown[1])).with_hint(hint)
        })?;
        if recipe.version != VERSION {
            return Err(Error::input(format!("recipe version {} is not known", recipe.version))
                .with_hint(format!("this instil reads version {VERSION}")));
        }
        if recipe.step.is_empty() {
            return Err(Error::input("the recipe has no step").with_hint("a step begins with [[step]]"));
        }
        Ok(recipe)
    }

    /// The recipe as a file.
    pub fn to_toml(&self) -> String {
        let body = toml::to_string(self).expect("settings are plain values");
        format!("# `instil run` with this file makes the same rows again.\n{body}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_settled_recipe_reads_back() {
        let recipe = Recipe::of(Generate {
            input: vec!["a \"quoted\" path/".to_owned()],
            output: "out".to_owned(),
            limit: Some(3),
            ..Generate::default()
        });
        assert_eq!(Recipe::parse(&recipe.to_toml()).unwrap(), recipe);
    }

    #[test]
    fn what_is_left_out_has_the_programs_defaults() {
        let recipe = Recipe::parse("version = 1\n[[step]]\ninput = ['a']\noutput = 'out'\n").unwrap();
        assert_eq!(recipe.step[0].samples, 1);
        assert_eq!(recipe.step[0].kinds().unwrap().len(), 4);
    }

    #[test]
    fn faults_are_named_with_their_line() {
        let say = |text: &str| {
            let e = Recipe::parse(text).unwrap_err();
            format!("{e} / {}", e.hint().unwrap_or("-"))
        };
        insta::assert_snapshot!(say("version = 1\n[[step]]\nsampels = 2\n"), @"unknown name `sampels` at line 3 / did you mean `samples`?");
        insta::assert_snapshot!(say("version = 1\n[[step]]\nverb = 'generat'\n"), @"unknown name `generat` at line 3 / did you mean `generate`?");
        insta::assert_snapshot!(say("version = 1\n[[step]]\nsamples = 'two'\n"), @r#"invalid type: string "two", expected u32 at line 3 / -"#);
        insta::assert_snapshot!(say("version = 2\nstep = []\n"), @"recipe version 2 is not known / this instil reads version 1");
        insta::assert_snapshot!(say("version = 1\nstep = []\n"), @"the recipe has no step / a step begins with [[step]]");
    }

    #[test]
    fn the_hash_is_of_what_is_made_not_of_where() {
        let a = Generate::default();
        let elsewhere = Generate { output: "b".to_owned(), threads: 7, ..a.clone() };
        let other = Generate { seed: 1, ..a.clone() };
        assert_eq!(a.hash(), elsewhere.hash());
        assert_ne!(a.hash(), other.hash());
        assert_eq!(other.differences(&a), ["seed: 0 there, 1 here"]);
    }
}
