//! How the rows of a task are taken apart, and what is known of its instruction.

use std::collections::{BTreeMap, BTreeSet};

use super::content::Content;
use super::induce::induce;
use super::instruction::{Exemplar, Field, Instance, Instruction};
use super::pattern::{Finders, Pattern};
use super::style::Level;
use super::survey::{Outputs, Seen};
use super::verify::{Check, states, verify};
use super::{keyword, known, wording};
use crate::template::rendered::Lifters;

/// What ends an output where a model's own mark was left in it.
const END_MARKS: [&str; 6] =
    ["<|endoftext|>", "</s>", "<|im_end|>", "<|end_of_text|>", "<|eot_id|>", "<eos>"];
/// So many instances of a task are looked at for its checks.
const SHOWN: usize = 32;

/// What is given besides the rows.
#[derive(Default)]
pub(crate) struct Given {
    /// Definitions by task, which take the place of what rules would write.
    pub(crate) definitions: BTreeMap<String, String>,
    /// Templates that rows may say they were rendered with.
    pub(crate) lifters: Option<Lifters>,
    /// Whether inputs are taken apart, too, where a task's definition stands apart from them.
    pub(crate) wants_fields: bool,
}

/// How the rows of one task are read.
#[derive(Clone, Debug)]
pub(crate) struct TaskPlan {
    /// Its rows, as the survey counted them.
    pub(crate) rows: u64,
    /// Where the instruction stands.
    pub(crate) where_from: WhereFrom,
    /// The definition that all rows have apart.
    pub(crate) definition: Option<String>,
    /// What is left off the end of each output: a model's own mark.
    pub(crate) mark: &'static str,
    /// Why no row of it is taken apart.
    pub(crate) refused: Option<String>,
    /// Its templates, the most frequent first; at least one.
    pub(crate) templates: Vec<TaskTemplate>,
}

/// Where the instruction of a row stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhereFrom {
    /// Apart from the input, and the same in all rows.
    Apart,
    /// Apart from the input, each row its own.
    Own,
    /// In the text that is given.
    Prompt,
    /// In the definition, which holds the instance, too, while the input is empty.
    Definition,
}

/// One way in which the rows of a task are written.
#[derive(Clone, Debug)]
pub(crate) struct TaskTemplate {
    /// How a text is taken apart.
    pub(crate) reading: Reading,
    /// What finds the constants of its pattern.
    finders: Finders,
    /// What is known of the instruction.
    pub(crate) instruction: Instruction,
    /// Who wrote the definition.
    pub(crate) by: By,
    /// Rows of the sample that it fits.
    pub(crate) instances: Vec<Instance>,
    /// What the checks say of the definition.
    pub(crate) checks: Vec<Check>,
}

/// How a text is taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// It is content and nothing else.
    Whole,
    /// Names of fields part it.
    Keywords,
    /// Constants of a template part it.
    Template(Pattern),
}

/// Who wrote a definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// Nobody: there is none.
    Nobody,
    /// The source: it stands apart in the rows.
    Source,
    /// Rules, of the template's constants.
    Rules,
    /// It was given besides.
    Given,
}

impl By {
    /// The word for it in reports.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::Source => "source",
            Self::Rules => "rules",
            Self::Given => "given",
        }
    }
}

/// The fields of a row, as they stand in it.
pub(crate) type Fields<'a> = Vec<(&'a str, &'a str)>;

/// A row that was taken apart.
pub(crate) struct Apart<'a> {
    /// Which of the task's templates fits it.
    pub(crate) template: usize,
    /// What is given.
    pub(crate) fields: Fields<'a>,
    /// What is answered.
    pub(crate) output: &'a str,
    /// Whether it could be taken apart in another way.
    pub(crate) is_ambiguous: bool,
}

impl TaskPlan {
    /// The plan for a task of which this was seen.
    pub(crate) fn of(task: &str, seen: &Seen, given: &Given) -> Self {
        let sample: Vec<&Content<'_>> = seen.sample.values().collect();
        let mark = END_MARKS
            .into_iter()
            .find(|mark| sample.iter().all(|content| content.output.ends_with(mark)))
            .unwrap_or_default();
        let labels = labels(seen, mark);
        let definitions: BTreeSet<&str> = sample.iter().filter_map(|content| content.definition()).collect();
        let is_empty = |content: &&&Content<'_>| content.prompt.trim().is_empty();
        let where_from = match definitions.len() {
            0 => WhereFrom::Prompt,
            1 => WhereFrom::Apart,
            _ if 10 * sample.iter().filter(is_empty).count() >= 9 * sample.len() => WhereFrom::Definition,
            _ => WhereFrom::Own,
        };
        let definition = definitions.first().map(|&definition| definition.to_owned());
        let definition = definition.filter(|_| where_from == WhereFrom::Apart);
        let mut plan =
            Self { rows: seen.rows, where_from, definition, mark, refused: None, templates: Vec::new() };
        let texts: Vec<&str> = sample.iter().map(|content| plan.text(content)).collect();
        let (mut readings, mut level) = match where_from {
            WhereFrom::Apart | WhereFrom::Own if given.wants_fields => {
                let parts = keywords(&texts).or_else(|| {
                    Some(induce(&texts).into_iter().map(Reading::Template).collect::<Vec<_>>())
                        .filter(|found| found.iter().all(Reading::has_names))
                });
                (parts.unwrap_or_default(), Level::Task)
            }
            WhereFrom::Apart | WhereFrom::Own => (Vec::new(), Level::Task),
            WhereFrom::Prompt | WhereFrom::Definition => {
                (readings(&sample, &texts, mark, given), Level::Instance)
            }
        };
        if readings.is_empty() {
            if where_from == WhereFrom::Definition {
                // Each row is an instruction of its own, as in Alpaca's.
                plan.where_from = WhereFrom::Own;
            }
            readings.push(Reading::Whole);
            if where_from == WhereFrom::Prompt {
                level = Level::Keyword;
            }
        }
        if plan.where_from == WhereFrom::Own {
            level = Level::Task;
        }
        let several = readings.len() > 1;
        plan.templates = readings
            .into_iter()
            .enumerate()
            .map(|(at, reading)| {
                let name = if several { format!("{task}#{}", at + 1) } else { task.to_owned() };
                TaskTemplate::new(
                    reading,
                    Instruction { labels: labels.clone(), ..Instruction::new(name, level) },
                )
            })
            .collect();
        plan.show(&sample);
        for template in &mut plan.templates {
            let given = given.definitions.get(&template.instruction.task).or(given.definitions.get(task));
            template.define(plan.where_from, &sample, given);
        }
        plan
    }

    /// Whether it takes the same rows apart in the same way as another plan.
    pub(crate) fn reads_as(&self, other: &Self) -> bool {
        let readings = |plan: &Self| -> Vec<Reading> {
            plan.templates.iter().map(|template| template.reading.clone()).collect()
        };
        self.where_from == other.where_from
            && self.definition == other.definition
            && self.mark == other.mark
            && readings(self) == readings(other)
    }

    /// How many of these rows it takes apart, where it does more than take a whole text for content.
    pub(crate) fn fitting(&self, rows: &BTreeMap<u64, Content<'static>>) -> usize {
        let is_prompt = matches!(self.where_from, WhereFrom::Prompt | WhereFrom::Definition);
        let fits = |content: &&Content<'_>| {
            self.apart(content)
                .is_some_and(|apart| !is_prompt || self.templates[apart.template].reading != Reading::Whole)
        };
        rows.values().filter(|content| fits(content)).count()
    }

    /// The text of a row that is taken apart.
    pub(crate) fn text<'a>(&self, content: &'a Content<'_>) -> &'a str {
        match self.where_from {
            WhereFrom::Definition => content.definition().unwrap_or_default(),
            WhereFrom::Apart | WhereFrom::Own | WhereFrom::Prompt => &content.prompt,
        }
    }

    /// Takes a row apart: none where no template fits it, and where its definition isn't that of its task. What is
    /// found renders to the same bytes again.
    pub(crate) fn apart<'a>(&'a self, content: &'a Content<'_>) -> Option<Apart<'a>> {
        let output = content.output.strip_suffix(self.mark)?;
        let is_of_task = match self.where_from {
            WhereFrom::Apart => content.definition() == self.definition.as_deref(),
            WhereFrom::Own => content.definition().is_some(),
            WhereFrom::Prompt => content.definition().is_none(),
            WhereFrom::Definition => content.definition().is_some() && content.prompt.trim().is_empty(),
        };
        if !is_of_task || self.refused.is_some() {
            return None;
        }
        let text = self.text(content);
        self.templates.iter().enumerate().find_map(|(at, template)| {
            let (fields, is_ambiguous) = template.fields(text)?;
            Some(Apart { template: at, fields, output, is_ambiguous })
        })
    }

    /// Gives each template the rows of the sample that it fits.
    fn show(&mut self, sample: &[&Content<'_>]) {
        let mut shown: Vec<Vec<Instance>> = vec![Vec::new(); self.templates.len()];
        for content in sample {
            let text = self.text(content);
            let found = self
                .templates
                .iter()
                .enumerate()
                .find_map(|(at, template)| Some((at, template.fields(text)?.0)));
            if let Some((at, fields)) = found
                && shown[at].len() < SHOWN
            {
                let field =
                    |(name, value): (&str, &str)| Field { name: name.to_owned(), value: value.to_owned() };
                shown[at].push(Instance {
                    fields: fields.into_iter().map(field).collect(),
                    output: content.output.strip_suffix(self.mark).unwrap_or(&content.output).to_owned(),
                    references: content.references.clone(),
                });
            }
        }
        for (template, instances) in self.templates.iter_mut().zip(shown) {
            template.instances = instances;
        }
    }
}

impl Reading {
    /// Whether it parts a text into several named fields and says nothing else.
    fn has_names(&self) -> bool {
        match self {
            Self::Whole => false,
            Self::Keywords => true,
            Self::Template(pattern) => {
                let wording = wording::read(pattern);
                wording.definition.is_none() && wording.names.len() > 1
            }
        }
    }
}

impl TaskTemplate {
    fn new(reading: Reading, mut instruction: Instruction) -> Self {
        let mut by = By::Nobody;
        let reading = match reading {
            Reading::Template(pattern) => {
                let wording = wording::read(&pattern);
                instruction.fields.clone_from(&wording.names);
                match wording.definition {
                    Some(definition) if instruction.level != Level::Task => {
                        instruction.definition = Some(definition);
                        by = By::Rules;
                    }
                    None if instruction.level != Level::Task => instruction.level = Level::Keyword,
                    _ => {}
                }
                Reading::Template(pattern.named(&wording.names))
            }
            Reading::Keywords => {
                if instruction.level != Level::Task {
                    instruction.level = Level::Keyword;
                }
                Reading::Keywords
            }
            Reading::Whole => Reading::Whole,
        };
        let finders = match &reading {
            Reading::Template(pattern) => pattern.finders(),
            Reading::Whole | Reading::Keywords => Finders::default(),
        };
        Self { reading, finders, instruction, by, instances: Vec::new(), checks: Vec::new() }
    }

    /// Settles the definition and looks at it.
    fn define(&mut self, where_from: WhereFrom, sample: &[&Content<'_>], given: Option<&String>) {
        let Self { instruction, by, instances, .. } = self;
        if where_from == WhereFrom::Apart
            && let Some(part) = sample.iter().find_map(|content| content.part.as_deref())
        {
            instruction.definition.clone_from(&part.definition);
            instruction.positive = part.positive.iter().flatten().map(Exemplar::from).collect();
            instruction.negative = part.negative.iter().flatten().map(Exemplar::from).collect();
            if !part.allowed_outputs.is_empty() {
                instruction.labels.clone_from(&part.allowed_outputs);
            }
            *by = By::Source;
        }
        if instruction.fields.is_empty()
            && let Some(first) = instances.first()
        {
            instruction.fields = first.fields.iter().map(|field| field.name.clone()).collect();
        }
        let source = instruction.clone();
        if *by == By::Rules
            && let Some(definition) = &mut instruction.definition
        {
            with_outputs(definition, &instruction.labels);
        }
        if let Some(given) = given {
            instruction.definition = Some(given.clone());
            *by = By::Given;
        }
        if let Some(definition) = &instruction.definition {
            self.checks = verify(&source, definition, instances);
        }
    }

    /// The fields of a text, and whether it could be taken apart in another way.
    pub(crate) fn fields<'a>(&'a self, text: &'a str) -> Option<(Fields<'a>, bool)> {
        match &self.reading {
            Reading::Whole => Some((vec![("", text)], false)),
            Reading::Keywords => keyword::split(text).map(|fields| (fields, false)),
            Reading::Template(pattern) => {
                let apart = pattern.apart_with(&self.finders, text)?;
                let names = self.instruction.fields.iter().map(String::as_str);
                let fields = names.zip(apart.slots).map(|(name, range)| (name, &text[range])).collect();
                Some((fields, apart.is_ambiguous))
            }
        }
    }
}

/// How the prompts of a task's rows are taken apart; nothing where no rule can.
fn readings(sample: &[&Content<'_>], texts: &[&str], mark: &str, given: &Given) -> Vec<Reading> {
    if let Some(lifters) = &given.lifters {
        let mut counts: BTreeMap<String, (usize, Pattern)> = BTreeMap::new();
        for content in sample {
            let output = content.output.strip_suffix(mark).unwrap_or(&content.output);
            if let Some(pattern) = known::pattern(lifters, content, output) {
                counts.entry(pattern.to_string()).or_insert((0, pattern)).0 += 1;
            }
        }
        let mut patterns: Vec<(usize, Pattern)> =
            counts.into_values().filter(|(count, _)| *count > 1).collect();
        patterns.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
        let fits = |text: &&&str| patterns.iter().any(|(_, pattern)| pattern.apart(text).is_some());
        // Where a branch of the template depends on a row, there are several patterns, but few.
        if patterns.len() <= 4 && !texts.is_empty() && texts.iter().filter(fits).count() == texts.len() {
            return patterns.into_iter().map(|(_, pattern)| Reading::Template(pattern)).collect();
        }
    }
    if texts.iter().any(|text| text.contains("[SEP]"))
        && let Some(readings) = keywords(texts)
    {
        return readings;
    }
    let induced = induce(texts);
    match keywords(texts) {
        Some(readings) if !induced.iter().any(Pattern::has_words) => readings,
        _ => induced.into_iter().map(Reading::Template).collect(),
    }
}

/// Keywords, where all texts are written so and a separator stands in some.
fn keywords(texts: &[&str]) -> Option<Vec<Reading>> {
    let split: Vec<Fields<'_>> = texts.iter().map(|text| keyword::split(text)).collect::<Option<_>>()?;
    let names: BTreeSet<&str> = split.iter().flatten().map(|(name, _)| *name).collect();
    // A prose text may begin with a word and a colon.
    (!split.is_empty() && names.len() <= 8 && (split.len() > 1 || split[0].len() > 1))
        .then(|| vec![Reading::Keywords])
}

/// The outputs of a task, where they are few for its rows.
fn labels(seen: &Seen, mark: &str) -> Vec<String> {
    let Outputs::Few(outputs) = &seen.outputs else { return Vec::new() };
    let mut labels: Vec<String> =
        outputs.iter().map(|output| output.strip_suffix(mark).unwrap_or(output).trim().to_owned()).collect();
    labels.sort();
    labels.dedup();
    // Titles of a few texts come again and again, and are no labels.
    let words = |label: &String| label.split_whitespace().count();
    let is_short = labels.len() <= 4 || labels.iter().all(|label| words(label) <= 4);
    let is_closed = is_short && labels.len() > 1 && seen.rows >= 4 * labels.len() as u64;
    if is_closed && labels.iter().all(|label| !label.is_empty()) { labels } else { Vec::new() }
}

/// Says which outputs there are, where a definition doesn't say all of them.
fn with_outputs(definition: &mut String, labels: &[String]) {
    if labels.is_empty() || labels.iter().all(|label| states(definition, label)) {
        return;
    }
    let list: Vec<String> = labels.iter().map(|label| format!("\"{label}\"")).collect();
    definition.push_str(&format!(" The output is one of: {}.", list.join(", ")));
}
