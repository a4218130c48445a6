//! A run written down: a TOML file of steps, each with the settings of one verb.
//!
//! The keys are the flags of the program with `_` for `-`. The settled recipe of any run stands in
//! its `run/recipe.toml`, every default filled in, and `instil run` repeats it.

mod compare;
mod convert;
mod cook;
mod each;
mod eval;
mod from_rows;
mod generate;
mod mix;
mod train;
mod unify;

pub use compare::Compare;
pub use convert::Convert;
pub use cook::Cook;
pub use eval::Eval;
pub use from_rows::FromRows;
pub use generate::Generate;
pub use mix::Mix;
pub use train::Train;
pub use unify::Unify;

use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;
use serde::de::IntoDeserializer;
use serde::{Deserialize, Serialize};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::draw::Splits;
use crate::error::{Error, Result, nearest};

/// The form of the file that this version reads and writes.
pub const VERSION: u32 = 1;

/// A file of steps, run one after the other.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recipe {
    /// [`VERSION`].
    pub version: u32,
    /// The steps; a later one may read what an earlier one wrote.
    pub step: Vec<Step>,
}

/// What a step does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Text to task data.
    #[default]
    Generate,
    /// Labelled rows to prompts and completions.
    Apply,
    /// Labelled rows to the training pairs of a task generator.
    Remix,
    /// Rows of one shape to rows of another.
    Convert,
    /// Task data from programs over random words.
    Cook,
    /// Rows or texts to an adapter or a model.
    Train,
    /// Rows of one instruction style to rows of another.
    Unify,
    /// Several datasets to one, in proportions.
    Mix,
    /// What a model makes of benchmarks.
    Eval,
    /// Evaluations beside each other.
    Compare,
}

impl Verb {
    /// The word for it, in recipes and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Generate => "generate",
            Self::Apply => "apply",
            Self::Remix => "remix",
            Self::Convert => "convert",
            Self::Cook => "cook",
            Self::Train => "train",
            Self::Unify => "unify",
            Self::Mix => "mix",
            Self::Eval => "eval",
            Self::Compare => "compare",
        }
    }
}

/// One step of a recipe: the settings of its verb.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Step {
    /// `generate`.
    Generate(Box<Generate>),
    /// `apply` and `remix`.
    FromRows(Box<FromRows>),
    /// `convert`.
    Convert(Box<Convert>),
    /// `cook`.
    Cook(Box<Cook>),
    /// `train`.
    Train(Box<Train>),
    /// `unify`.
    Unify(Box<Unify>),
    /// `mix`.
    Mix(Box<Mix>),
    /// `eval`.
    Eval(Box<Eval>),
    /// `compare`.
    Compare(Box<Compare>),
}

/// Keys that say where and how fast, not what: two runs that differ in them make the same rows.
const NOT_WHAT: [&str; 13] = [
    "output",
    "report",
    "max_drop",
    "journal",
    "allow_errors",
    "keep_run",
    "concurrency",
    "timeout",
    "threads",
    "checkpoint_every",
    "keep_checkpoints",
    "gradient_checkpointing",
    "moments_on_disk",
];

impl From<Generate> for Step {
    fn from(step: Generate) -> Self {
        Self::Generate(Box::new(step))
    }
}

impl From<FromRows> for Step {
    fn from(step: FromRows) -> Self {
        Self::FromRows(Box::new(step))
    }
}

impl From<Convert> for Step {
    fn from(step: Convert) -> Self {
        Self::Convert(Box::new(step))
    }
}

impl From<Cook> for Step {
    fn from(step: Cook) -> Self {
        Self::Cook(Box::new(step))
    }
}

impl From<Train> for Step {
    fn from(step: Train) -> Self {
        Self::Train(Box::new(step))
    }
}

impl From<Unify> for Step {
    fn from(step: Unify) -> Self {
        Self::Unify(Box::new(step))
    }
}

impl From<Mix> for Step {
    fn from(step: Mix) -> Self {
        Self::Mix(Box::new(step))
    }
}

impl From<Eval> for Step {
    fn from(step: Eval) -> Self {
        Self::Eval(Box::new(step))
    }
}

impl From<Compare> for Step {
    fn from(step: Compare) -> Self {
        Self::Compare(Box::new(step))
    }
}

impl Step {
    /// What it does.
    pub fn verb(&self) -> Verb {
        match self {
            Self::Generate(step) => step.verb,
            Self::FromRows(step) => step.verb,
            Self::Convert(step) => step.verb,
            Self::Cook(step) => step.verb,
            Self::Train(step) => step.verb,
            Self::Unify(step) => step.verb,
            Self::Mix(step) => step.verb,
            Self::Eval(step) => step.verb,
            Self::Compare(step) => step.verb,
        }
    }

    /// What it reads: files, folders, globs, adapters or `-`.
    pub fn input(&self) -> &[String] {
        match self {
            Self::Generate(step) => &step.input,
            Self::FromRows(step) => &step.input,
            Self::Convert(step) => &step.input,
            Self::Cook(step) => &step.script,
            Self::Train(step) => &step.input,
            Self::Unify(step) => &step.input,
            Self::Mix(step) => &step.input,
            Self::Eval(step) => &step.benchmark,
            Self::Compare(step) => &step.input,
        }
    }

    /// A dataset folder, or a file by its ending.
    pub fn output(&self) -> &str {
        match self {
            Self::Generate(step) => &step.output,
            Self::FromRows(step) => &step.output,
            Self::Convert(step) => &step.output,
            Self::Cook(step) => &step.output,
            Self::Train(step) => &step.output,
            Self::Unify(step) => &step.output,
            Self::Mix(step) => &step.output,
            Self::Eval(step) => &step.output,
            Self::Compare(step) => &step.output,
        }
    }

    /// Another output.
    pub fn set_output(&mut self, output: String) {
        match self {
            Self::Generate(step) => step.output = output,
            Self::FromRows(step) => step.output = output,
            Self::Convert(step) => step.output = output,
            Self::Cook(step) => step.output = output,
            Self::Train(step) => step.output = output,
            Self::Unify(step) => step.output = output,
            Self::Mix(step) => step.output = output,
            Self::Eval(step) => step.output = output,
            Self::Compare(step) => step.output = output,
        }
    }

    /// The splits of its output.
    ///
    /// # Errors
    /// When they are not written as splits are.
    pub fn splits(&self) -> Result<Splits> {
        match self {
            Self::Generate(_)
            | Self::Convert(_)
            | Self::Train(_)
            | Self::Unify(_)
            | Self::Mix(_)
            | Self::Eval(_)
            | Self::Compare(_) => Ok(Splits::default()),
            Self::Cook(step) => {
                let others = [("validation", step.validation_rows), ("test", step.test_rows)];
                Ok(Splits::named(others.into_iter().filter(|(_, rows)| *rows > 0).map(|(name, _)| name)))
            }
            Self::FromRows(step) => step.splits(),
        }
    }

    /// The settings that decide the rows, by key.
    fn what(&self) -> toml::Table {
        let mut table = toml::Table::try_from(self).expect("settings are plain values");
        for key in NOT_WHAT {
            table.remove(key);
        }
        table
    }

    /// 16 hexadecimal digits that two steps share when they make the same rows of the same files.
    pub fn hash(&self) -> String {
        crate::rng::hex_of(&[&self.what().to_string()], 16)
    }

    /// Where two steps make different rows: lines such as `seed: 0 there, 1 here`.
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

    fn read(value: Spanned<DeValue<'_>>) -> Result<Self, toml::de::Error> {
        let verb = value.get_ref().get("verb").cloned();
        let verb = verb.map_or(Ok(Verb::Generate), |verb| Verb::deserialize(verb.into_deserializer()))?;
        let step = value.into_deserializer();
        Ok(match verb {
            Verb::Generate => Self::Generate(Box::deserialize(step)?),
            Verb::Apply | Verb::Remix => Self::FromRows(Box::deserialize(step)?),
            Verb::Convert => Self::Convert(Box::deserialize(step)?),
            Verb::Cook => Self::Cook(Box::deserialize(step)?),
            Verb::Train => Self::Train(Box::deserialize(step)?),
            Verb::Unify => Self::Unify(Box::deserialize(step)?),
            Verb::Mix => Self::Mix(Box::deserialize(step)?),
            Verb::Eval => Self::Eval(Box::deserialize(step)?),
            Verb::Compare => Self::Compare(Box::deserialize(step)?),
        })
    }
}

impl Recipe {
    /// A recipe of one step.
    pub fn of(step: impl Into<Step>) -> Self {
        Self { version: VERSION, step: vec![step.into()] }
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
        let recipe = Self::from_toml(text)?;
        if recipe.version != VERSION {
            return Err(Error::input(format!("recipe version {} is not known", recipe.version))
                .with_hint(format!("this instil reads version {VERSION}")));
        }
        if recipe.step.is_empty() {
            return Err(Error::input("the recipe has no step").with_hint("a step begins with [[step]]"));
        }
        Ok(recipe)
    }

    fn from_toml(text: &str) -> Result<Self> {
        /// The frame; what the steps hold depends on their verbs.
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Frame {
            version: u32,
            #[serde(rename = "step")]
            _step: Vec<serde::de::IgnoredAny>,
        }
        let misread = |error| misread(text, &error);
        let Frame { version, .. } = toml::from_str(text).map_err(misread)?;
        let mut root = DeTable::parse(text).map_err(misread)?.into_inner();
        let steps = match root.remove("step").map(Spanned::into_inner) {
            Some(DeValue::Array(steps)) => {
                let mut read = Vec::new();
                for step in steps {
                    for step in each::expanded(step, text)? {
                        read.push(Step::read(step).map_err(misread)?);
                    }
                }
                read
            }
            _ => Vec::new(),
        };
        Ok(Self { version, step: steps })
    }

    /// The recipe as a file.
    pub fn to_toml(&self) -> String {
        let body = toml::to_string(self).expect("settings are plain values");
        format!("# `instil run` with this file makes the same rows again.\n{body}")
    }
}

/// What is wrong with a TOML `text`, with its line and, for an unknown name, the nearest known one.
pub(crate) fn misread(text: &str, error: &toml::de::Error) -> Error {
    static UNKNOWN: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new("unknown (?:field|variant) `([^`]*)`, expected (.*)").expect("the pattern is valid")
    });
    static NAME: LazyLock<Regex> = LazyLock::new(|| Regex::new("`([^`]*)`").expect("the pattern is valid"));
    let line = error.span().map(|span| 1 + text[..span.start].matches('\n').count());
    let at = line.map_or(String::new(), |line| format!(" at line {line}"));
    let Some(unknown) = UNKNOWN.captures(error.message()) else {
        return Error::input(format!("{}{at}", error.message().trim()));
    };
    let known: Vec<&str> =
        NAME.captures_iter(&unknown[2]).filter_map(|name| Some(name.get(1)?.as_str())).collect();
    let hint = match nearest(&unknown[1], known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are {}", known.join(", ")),
    };
    Error::input(format!("unknown name `{}`{at}", &unknown[1])).with_hint(hint)
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
        let [Step::Generate(step)] = recipe.step.as_slice() else { panic!("{recipe:?}") };
        assert_eq!(step.samples, 1);
        assert_eq!(step.kinds().unwrap().len(), 4);
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
    fn the_recipes_of_the_repository_are_read() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../recipes");
        let files = walkdir::WalkDir::new(folder).into_iter().map(|entry| entry.unwrap().into_path());
        let mut read = 0;
        for file in files.filter(|file| file.extension().is_some_and(|ending| ending == "toml")) {
            if std::fs::read_to_string(&file).unwrap().contains("[[step]]") {
                Recipe::read(&file).unwrap_or_else(|e| panic!("{e}: {:?}", std::error::Error::source(&e)));
                read += 1;
            }
        }
        assert!(read >= 5, "only {read} were found");
    }

    #[test]
    fn the_hash_is_of_what_is_made_not_of_where() {
        let a = Generate::default();
        let elsewhere = Step::from(Generate { output: "b".to_owned(), threads: 7, ..a.clone() });
        let other = Step::from(Generate { seed: 1, ..a.clone() });
        let a = Step::from(a);
        assert_eq!(a.hash(), elsewhere.hash());
        assert_ne!(a.hash(), other.hash());
        assert_eq!(other.differences(&a), ["seed: 0 there, 1 here"]);
    }
}
