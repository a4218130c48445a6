//! A benchmark's file: its keys, and what of them makes sense together.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::alignment::{Rule, RuleFile};
use super::built_in;
use super::cooked::{Cooked, CookedFile};
use super::prepare::Prepare;
use super::wrap::Wrap;
use crate::error::{Error, Result, nearest};
use crate::rng::hex_of;
use crate::source::adapter::Shape;
use crate::template::engine::{Compiled, Fault, Options};

/// A benchmark, ready to be run.
pub struct Benchmark {
    /// What it is called.
    pub name: String,
    /// What it is.
    pub about: String,
    /// Whose wording and scoring it has.
    pub source: String,
    /// How an answer is found.
    pub kind: Kind,
    /// What answers are judged by; the first is the headline.
    pub metrics: Vec<Metric>,
    /// Whether its rows say what is right.
    pub is_labelled: bool,
    /// What stands around each prompt.
    pub wrap: Wrap,
    /// 16 hexadecimal digits of its file's text.
    pub hash: String,
    pub(super) forms: Vec<Form>,
    pub(super) cooked: Option<Cooked>,
    pub(super) prepare: Option<Prepare>,
    pub(super) constants: BTreeMap<String, String>,
    pub(super) strip: bool,
    pub(super) prompts: Vec<Prompt>,
    pub(super) group: Option<Template>,
    pub(super) rules: Vec<Rule>,
}

/// How an answer is found.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// The likeliest of the choices.
    Rank {
        /// What likelihoods are compared.
        by: By,
        /// Whether the end of text is scored behind each choice.
        eos: bool,
        /// Whether prompt and choice are encoded each on its own.
        apart: bool,
        /// What stands between prompt and choice where they are encoded together.
        delimiter: String,
    },
    /// A text, generated greedily.
    Generate {
        /// Its most tokens.
        max_tokens: u32,
        /// It ends before the first of these.
        stop: Vec<String>,
        /// With which of the references it is compared.
        compare: Compare,
    },
    /// Whether greedy decoding gives the completion, after this delimiter.
    Greedy {
        /// What stands between prompt and completion.
        delimiter: String,
    },
}

/// What likelihoods are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The sums.
    #[default]
    Sum,
    /// The sums over the characters of the choices.
    Characters,
}

/// With which of the references an answer is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compare {
    /// The one that it is nearest to.
    #[default]
    Best,
    /// The first, as Bonito's evaluation does.
    First,
}

/// What answers are judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// The share of answers that are right.
    Accuracy,
    /// The same, the likeliest choice being that with the fewest nats a character.
    AccNorm,
    /// The mean of the labels' F1.
    MacroF1,
    /// The same, each label weighted by how often it is right.
    WeightedF1,
    /// SQuAD's exact match.
    SquadEm,
    /// SQuAD's F1 of words.
    SquadF1,
    /// Super-NaturalInstructions' exact match.
    ExactMatch,
    /// ROUGE-L.
    RougeL,
    /// What the scorer of a template of `cook` gives, from 0 to 1.
    Verified,
    /// e to the power of the mean nats of a completion.
    Perplexity,
}

impl Metric {
    /// Its name in files and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::AccNorm => "acc_norm",
            Self::MacroF1 => "macro_f1",
            Self::WeightedF1 => "weighted_f1",
            Self::SquadEm => "squad_em",
            Self::SquadF1 => "squad_f1",
            Self::ExactMatch => "exact_match",
            Self::RougeL => "rouge_l",
            Self::Verified => "verified",
            Self::Perplexity => "perplexity",
        }
    }

    fn fits(self, kind: &Kind) -> bool {
        match kind {
            Kind::Rank { .. } => {
                matches!(self, Self::Accuracy | Self::AccNorm | Self::MacroF1 | Self::WeightedF1)
            }
            Kind::Generate { .. } => !matches!(self, Self::AccNorm | Self::Perplexity),
            Kind::Greedy { .. } => matches!(self, Self::Accuracy | Self::Perplexity),
        }
    }
}

/// One shape that the rows may have.
pub(super) struct Form {
    pub(super) hub: Option<String>,
    pub(super) files: Vec<String>,
    pub(super) shape: Option<Arc<serde_norway::Value>>,
    pub(super) derive: Vec<(String, Template)>,
}

/// One way to ask.
pub(super) struct Prompt {
    pub(super) name: String,
    pub(super) head: Head,
    pub(super) choices: Option<Choices>,
    pub(super) gold: Option<Template>,
    pub(super) answer: Option<Template>,
    pub(super) references: Option<String>,
}

/// What stands before the choice.
pub(super) enum Head {
    /// One text before each choice.
    One(Template),
    /// Several before one completion.
    Several(Vec<Template>, Template),
    /// One text before one completion.
    Before(Template, Template),
}

/// Where the choices are from.
pub(super) enum Choices {
    /// The list in this field.
    Field(String),
    /// These.
    Each(Vec<Template>),
}

/// Jinja over a row, with its text for messages.
pub(super) struct Template {
    pub(super) compiled: Compiled,
    pub(super) jinja: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: Option<String>,
    #[serde(default)]
    about: String,
    #[serde(default)]
    source: String,
    #[serde(default)]
    data: Vec<FormFile>,
    cook: Option<CookedFile>,
    prepare: Option<Prepare>,
    #[serde(default)]
    constants: BTreeMap<String, String>,
    #[serde(default)]
    prompts: Vec<PromptFile>,
    choices: Option<ChoicesFile>,
    gold: Option<String>,
    answer: Option<String>,
    references: Option<String>,
    completion: Option<String>,
    rank: Option<RankFile>,
    generate: Option<GenerateFile>,
    greedy: Option<GreedyFile>,
    wrap: Option<String>,
    strip: Option<bool>,
    #[serde(default)]
    unlabelled: bool,
    #[serde(default)]
    metrics: Vec<Metric>,
    group: Option<String>,
    #[serde(default)]
    rules: Vec<RuleFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FormFile {
    hub: Option<String>,
    #[serde(default)]
    files: Vec<String>,
    each: Option<serde_norway::Value>,
    r#match: Option<serde_norway::Value>,
    fields: Option<serde_norway::Value>,
    #[serde(default)]
    derive: serde_norway::Mapping,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct PromptFile {
    name: String,
    prompt: Option<String>,
    contexts: Option<Vec<String>>,
    completion: Option<String>,
    choices: Option<ChoicesFile>,
    gold: Option<String>,
    answer: Option<String>,
    references: Option<String>,
}

#[derive(Clone, Deserialize)]
#[serde(untagged, expecting = "expected a list of choices, or the name of a field that holds them")]
enum ChoicesFile {
    Field(String),
    Each(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RankFile {
    by: By,
    eos: bool,
    apart: bool,
    delimiter: String,
}

impl Default for RankFile {
    fn default() -> Self {
        Self { by: By::Sum, eos: false, apart: false, delimiter: " ".into() }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GenerateFile {
    max_tokens: u32,
    #[serde(default)]
    stop: Vec<String>,
    #[serde(default)]
    compare: Compare,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct GreedyFile {
    delimiter: String,
}

impl Default for GreedyFile {
    fn default() -> Self {
        Self { delimiter: " ".into() }
    }
}

impl Benchmark {
    /// The built-in benchmark of this name, or the one of this file.
    ///
    /// # Errors
    /// When there is no such name or file, or [`parse`](Self::parse) refuses it.
    pub fn find(named: &str) -> Result<Self> {
        if let Some(text) = built_in::text(named) {
            return Self::parse(named, &text);
        }
        let path = Path::new(named);
        let is_file = named.ends_with(".yaml") || named.ends_with(".yml") || path.is_file();
        if !is_file {
            let error = Error::usage(format!("there is no benchmark `{named}`"));
            let names = built_in::names();
            return Err(error.with_hint(match nearest(named, names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are {}, and YAML files of your own", names.join(", ")),
            }));
        }
        let failed = || Error::input(format!("failed to read the benchmark `{named}`"));
        let text = std::fs::read_to_string(path).map_err(|e| failed().because(e))?;
        let stem = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        Self::parse(&stem, &text).map_err(|error| {
            let told = failed().because(error.to_string());
            match error.hint() {
                Some(hint) => told.with_hint(hint),
                None => told,
            }
        })
    }

    /// The benchmark that `text` is, called `name` if it doesn't say.
    ///
    /// # Errors
    /// When it is no YAML, has an unknown key or lacks one, a template is no Jinja, or keys don't go together.
    pub fn parse(name: &str, text: &str) -> Result<Self> {
        let mut file: File = serde_norway::from_str(text).map_err(|e| Error::input(e.to_string()))?;
        if file.cook.is_some() {
            cooked(&mut file);
        }
        let kind = kind(&file)?;
        let fault = |what: String| Err(Error::input(what));
        if file.prompts.is_empty() {
            return fault("`prompts` is empty".into());
        }
        if file.metrics.is_empty() {
            return fault("`metrics` is empty: nothing says what answers are judged by".into());
        }
        if let Some(metric) = file.metrics.iter().find(|metric| !metric.fits(&kind)) {
            let how = match kind {
                Kind::Rank { .. } => "ranked choices",
                Kind::Generate { .. } => "generated answers",
                Kind::Greedy { .. } => "greedy completions",
            };
            return fault(format!("the metric `{}` doesn't fit {how}", metric.name()));
        }
        if file.metrics.contains(&Metric::Verified) && file.cook.is_none() {
            return fault("the metric `verified` is of rows that `cook` makes".into());
        }
        let mut prompts: Vec<Prompt> = Vec::with_capacity(file.prompts.len());
        for one in &file.prompts {
            if prompts.iter().any(|other| other.name == one.name) {
                return fault(format!("two prompts are named `{}`", one.name));
            }
            prompts.push(prompt(one, &file, &kind)?);
        }
        let rules: Vec<Rule> = file.rules.into_iter().map(Rule::of).collect::<Result<_>>()?;
        for (number, rule) in rules.iter().enumerate() {
            if rules[..number].iter().any(|other| other.name == rule.name) {
                return fault(format!("two rules are named `{}`", rule.name));
            }
        }
        let forms = file.data.into_iter().map(form).collect::<Result<_>>()?;
        Ok(Self {
            name: file.name.unwrap_or_else(|| name.to_owned()),
            about: file.about,
            source: file.source,
            kind,
            metrics: file.metrics,
            is_labelled: !file.unlabelled,
            wrap: Wrap::parse(file.wrap.as_deref().unwrap_or("none"))?,
            hash: hex_of(&[text], 16),
            forms,
            cooked: file.cook.map(Cooked::of).transpose()?,
            prepare: file.prepare,
            constants: file.constants,
            strip: file.strip.unwrap_or(true),
            prompts,
            group: file.group.as_deref().map(|jinja| Template::new("group", jinja)).transpose()?,
            rules,
        })
    }

    /// The names of its prompts.
    pub fn prompts(&self) -> impl Iterator<Item = &str> {
        self.prompts.iter().map(|prompt| prompt.name.as_str())
    }
}

/// Says of cooked rows what goes without saying.
fn cooked(file: &mut File) {
    if file.prompts.is_empty() {
        let (name, prompt) = ("as_is".to_owned(), Some("{{ prompt }}".to_owned()));
        file.prompts.push(PromptFile { name, prompt, ..PromptFile::default() });
        file.references.get_or_insert_with(|| "answer".to_owned());
        // A prompt ends where the answer's blank begins.
        file.strip.get_or_insert(false);
    }
    if file.generate.is_none() && file.rank.is_none() && file.greedy.is_none() {
        file.generate =
            Some(GenerateFile { max_tokens: COOKED_TOKENS, stop: Vec::new(), compare: Compare::Best });
    }
    if file.metrics.is_empty() {
        file.metrics = vec![Metric::Verified, Metric::ExactMatch];
    }
}

/// The most tokens of an answer to a cooked row, where the benchmark says none.
const COOKED_TOKENS: u32 = 128;

fn kind(file: &File) -> Result<Kind> {
    Ok(match (&file.rank, &file.generate, &file.greedy) {
        (Some(RankFile { by, eos, apart, delimiter }), None, None) => {
            Kind::Rank { by: *by, eos: *eos, apart: *apart, delimiter: delimiter.clone() }
        }
        (None, Some(GenerateFile { max_tokens, stop, compare }), None) => {
            if *max_tokens == 0 {
                return Err(Error::input("`max_tokens` must be at least 1"));
            }
            Kind::Generate { max_tokens: *max_tokens, stop: stop.clone(), compare: *compare }
        }
        (None, None, Some(GreedyFile { delimiter })) => Kind::Greedy { delimiter: delimiter.clone() },
        _ => {
            return Err(Error::input("one of `rank`, `generate` and `greedy` says how an answer is found")
                .with_hint(
                    "`rank: {}` takes the likeliest choice, `generate: {max_tokens: 25}` has a text written",
                ));
        }
    })
}

fn prompt(one: &PromptFile, file: &File, kind: &Kind) -> Result<Prompt> {
    let place = format!("prompt `{}`", one.name);
    let template =
        |jinja: &Option<String>| jinja.as_deref().map(|jinja| Template::new(&place, jinja)).transpose();
    let completion = one.completion.as_ref().or(file.completion.as_ref()).cloned();
    let head = match (&one.prompt, &one.contexts, completion) {
        (Some(prompt), None, Some(completion)) if matches!(kind, Kind::Greedy { .. }) => {
            Head::Before(Template::new(&place, prompt)?, Template::new(&place, &completion)?)
        }
        (Some(prompt), None, None) => Head::One(Template::new(&place, prompt)?),
        (None, Some(contexts), Some(completion)) if contexts.len() > 1 => {
            let contexts =
                contexts.iter().map(|jinja| Template::new(&place, jinja)).collect::<Result<_>>()?;
            Head::Several(contexts, Template::new(&place, &completion)?)
        }
        _ => {
            return Err(Error::input(format!(
                "{place} needs `prompt` (with `greedy` also `completion`), or several `contexts` and a `completion`"
            )));
        }
    };
    let choices = match one.choices.clone().or_else(|| file.choices.clone()) {
        None => None,
        Some(ChoicesFile::Field(name)) => Some(Choices::Field(name)),
        Some(ChoicesFile::Each(list)) => {
            Some(Choices::Each(list.iter().map(|jinja| Template::new(&place, jinja)).collect::<Result<_>>()?))
        }
    };
    // What one prompt says goes before what is said for all.
    let (gold, answer) = match (&one.gold, &one.answer) {
        (None, None) => (template(&file.gold)?, template(&file.answer)?),
        (gold, answer) => (template(gold)?, template(answer)?),
    };
    let references = one.references.as_ref().or(file.references.as_ref()).cloned();
    let lacks = |what: &str| Err(Error::input(format!("{place} lacks {what}")));
    match kind {
        Kind::Rank { .. } => {
            if choices.is_none() && matches!(head, Head::One(_)) {
                return lacks("`choices`");
            }
            if !file.unlabelled && gold.is_some() == answer.is_some() {
                return lacks("one of `gold`, the number of the right choice, and `answer`, its text");
            }
            if answer.is_some() && choices.is_none() {
                return lacks("`gold`: contexts are known by their number");
            }
        }
        Kind::Generate { .. } if references.is_none() && !file.unlabelled => return lacks("`references`"),
        Kind::Greedy { .. } if file.unlabelled => {
            return Err(Error::input(format!(
                "{place}: whether the right text follows is asked, and `unlabelled` says that there is none"
            )));
        }
        Kind::Greedy { .. } if !matches!(head, Head::Before(..)) => return lacks("`completion`"),
        Kind::Generate { .. } | Kind::Greedy { .. } => {}
    }
    Ok(Prompt { name: one.name.clone(), head, choices, gold, answer, references })
}

fn form(file: FormFile) -> Result<Form> {
    let FormFile { hub, files, each, r#match, fields, derive } = file;
    let derive = derive.into_iter().map(|(name, jinja)| match (name.as_str(), jinja.as_str()) {
        (Some(name), Some(jinja)) => Ok((name.to_owned(), Template::new(name, jinja)?)),
        _ => Err(Error::input("`derive` holds names of fields and their Jinja")),
    });
    let derive = derive.collect::<Result<_>>()?;
    let is_shaped = each.is_some() || r#match.is_some();
    let shape = match fields {
        None if is_shaped => return Err(Error::input("`each` and `match` need `fields`")),
        None => None,
        Some(fields) => {
            let mut shape = serde_norway::Mapping::new();
            shape.insert("fields".into(), fields);
            for (key, value) in [("each", each), ("match", r#match)] {
                if let Some(value) = value {
                    shape.insert(key.into(), value);
                }
            }
            Some(Arc::new(serde_norway::Value::Mapping(shape)))
        }
    };
    let form = Form { hub, files, shape, derive };
    form.shape()?;
    Ok(form)
}

impl Form {
    /// How rows are made, if they aren't taken as they are.
    pub(super) fn shape(&self) -> Result<Option<Shape>> {
        let Some(shape) = &self.shape else { return Ok(None) };
        let shape: Shape = serde_norway::from_value((**shape).clone())
            .map_err(|e| Error::input(format!("a shape of `data`: {e}")))?;
        Ok(Some(shape))
    }
}

impl Template {
    pub(super) fn new(place: &str, jinja: &str) -> Result<Self> {
        let fault = |fault: Fault| {
            let line = fault.line.map_or_else(String::new, |line| format!(" in line {line}"));
            Error::input(format!("{place}: {}{line} of `{jinja}`", fault.message))
        };
        let compiled = Compiled::new(jinja, None, Options::default()).map_err(fault)?;
        Ok(Self { compiled, jinja: jinja.to_owned() })
    }
}
