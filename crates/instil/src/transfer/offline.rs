//! Pairs for a model of one's own that writes definitions, and what such a model is worth.
//!
//! Public collections hold the same datasets in both styles: PromptSource's templates are instructions at the level of
//! instances, Super-NaturalInstructions' definitions at that of tasks. A template and a definition are a pair where both
//! are of one source dataset and ask for the same side of it: for answers, or for questions. Templates with statements in
//! their prompt are left out, since what they say depends on the row.

use std::collections::{BTreeMap, HashSet};
use std::sync::LazyLock;

use regex::Regex;
use serde::{Deserialize, Serialize};

use super::ask::Candidate;
use super::pairs::{Pair, Shown, Source, Target};
use super::reply::Fault;
use super::{Task, prompt};
use crate::error::{Error, Result};
use crate::metrics::rouge::rouge_l;
use crate::rng::seed_of;
use crate::template::collection::{Collection, Template};
use crate::unify::{CheckKind, Instruction, Level, Verdict, verify};

/// A task's definition, as a line of a file of definitions has it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Definition {
    /// The task's name: `task380_boolq_yes_no_question`.
    pub task: String,
    /// What it asks for.
    pub definition: String,
    /// An example, if there is one.
    #[serde(default)]
    pub positive_example: Option<Example>,
}

/// An example of a task's definition.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Example {
    /// What is given.
    pub input: String,
    /// What is answered.
    pub output: String,
    /// Why.
    #[serde(default)]
    pub explanation: String,
}

/// The definitions of a file of JSON lines.
///
/// # Errors
/// When a line is none; it is named.
pub fn definitions(text: &str) -> Result<Vec<Definition>> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            serde_json::from_str(line).map_err(|e| {
                Error::input(format!("line {} is no definition", number + 1))
                    .because(e)
                    .with_hint("each line is {\"task\": \"task001_source_kind\", \"definition\": \"…\"}")
            })
        })
        .collect()
}

/// Which side of a dataset is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Answer,
    Question,
}

/// Pairs of all templates and definitions that are of one dataset and one side. Their rows are the definitions' examples.
pub fn pairs(collection: &Collection, definitions: &[Definition]) -> Vec<Pair> {
    let mut pairs = Vec::new();
    // Subsets repeat their dataset's templates.
    let mut known = HashSet::new();
    for template in collection.templates() {
        let keys = keys(&template.dataset);
        let Some((instruction, side)) = instruction(template) else { continue };
        for definition in definitions {
            let Some((source, kind)) = parts(&definition.task, &keys) else { continue };
            if side_of_task(&kind) != Some(side) {
                continue;
            }
            if !known.insert((instruction.clone(), definition.definition.trim())) {
                continue;
            }
            let example = definition.positive_example.as_ref();
            let rows =
                example.map(|example| Shown { input: example.input.clone(), output: example.output.clone() });
            pairs.push(Pair {
                pair_id: format!("{}/{}/{}", definition.task, template.dataset, template.name.trim()),
                src_format: Level::Instance.name().to_owned(),
                tgt_format: Level::Task.name().to_owned(),
                src: Source { instruction: instruction.clone(), rows: rows.into_iter().collect() },
                tgt: Target {
                    definition: definition.definition.trim().to_owned(),
                    explanations: example
                        .map(|example| example.explanation.trim().to_owned())
                        .into_iter()
                        .collect(),
                },
                origin: origin(&source).to_owned(),
                approved_by: String::new(),
                licence: String::new(),
            });
        }
    }
    pairs
}

/// Collections of datasets, whose parts are the sources.
const FAMILIES: [&str; 4] = ["superglue", "glue", "kilttasks", "tweeteval"];

/// The names that a dataset may have in a task's: its own, or that of its part where it is a collection, and both; in letters
/// and digits alone, also without the version that some end with.
fn keys(dataset: &str) -> Vec<String> {
    let bare =
        |text: &str| text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    let (name, part) = dataset.split_once('/').unwrap_or((dataset, ""));
    let own = if FAMILIES.contains(&bare(name).as_str()) { bare(part) } else { bare(name) };
    let mut keys = vec![own, bare(dataset)];
    let unversioned: Vec<String> =
        keys.iter().map(|key| key.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned()).collect();
    keys.extend(unversioned);
    keys.retain(|key| key.len() > 1 && !FAMILIES.contains(&key.as_str()));
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// A source without the collection that it is a part of, so that it is one source wherever it stands.
fn origin(source: &str) -> &str {
    let part = FAMILIES.iter().find_map(|family| source.strip_prefix(family));
    part.filter(|part| !part.is_empty()).unwrap_or(source)
}

/// A task's source, if it is one of these, and the rest of its name: `boolq` and `yes_no_question`.
fn parts(task: &str, keys: &[String]) -> Option<(String, String)> {
    static NUMBER: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^task\d+_").expect("it is valid"));
    let name = &task[NUMBER.find(task)?.end()..];
    let ends = name.char_indices().filter(|(_, c)| matches!(c, '_' | '-')).map(|(at, _)| at);
    let mut best = None;
    for end in ends {
        let source: String = name[..end].chars().filter(char::is_ascii_alphanumeric).collect();
        let source = source.to_lowercase();
        if keys.contains(&source) {
            best = Some((source, name[end + 1..].to_owned()));
        }
    }
    best
}

/// What a task of this kind asks for; none where it is neither, or asks for what is wrong.
fn side_of_task(kind: &str) -> Option<Side> {
    const OTHER: [&str; 11] = [
        "incorrect",
        "wrong",
        "modification",
        "perturbed",
        "inappropriate",
        "explanation",
        "fact",
        "words",
        "story",
        "identify",
        "answerability",
    ];
    if OTHER.iter().any(|word| kind.contains(word)) {
        return None;
    }
    if kind.contains("question_generation") {
        return Some(Side::Question);
    }
    const ANSWER: [&str; 9] = [
        "answer",
        "classification",
        "entailment",
        "yes_no",
        "paraphras",
        "summarization",
        "question_answering",
        "title",
        "sentence_generation",
    ];
    ANSWER.iter().any(|word| kind.contains(word)).then_some(Side::Answer)
}

static SLOT: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\{\{(.*?)\}\}").expect("it is valid"));

/// A template's prompt with its slots in single braces, and what it asks for; none where the prompt is no plain text.
fn instruction(template: &Template) -> Option<(String, Side)> {
    let (prompt, answer) = template.jinja.split_once("|||")?;
    if prompt.contains("{%") || prompt.contains("{#") || prompt.trim().is_empty() {
        return None;
    }
    static NAME: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^[A-Za-z_]\w*(?:\.\w+|\[[^\]]*\])*").expect("it is valid"));
    let choices = template.answer_choices.as_deref().filter(|choices| !choices.contains("{{"));
    let instruction = SLOT.replace_all(prompt.trim(), |slot: &regex::Captures<'_>| {
        let expression = slot[1].trim();
        let name = NAME.find(expression).map_or("value", |name| name.as_str());
        match (name.starts_with("answer_choices"), choices) {
            (true, Some(choices)) => choices.split("|||").map(str::trim).collect::<Vec<_>>().join(", "),
            (true, None) => "{choices}".to_owned(),
            (false, _) => format!("{{{}}}", name.rsplit('.').next().unwrap_or(name)),
        }
    });
    let asks = SLOT.captures_iter(answer).any(|slot| slot[1].trim().starts_with("question"));
    let side = match (asks, template.metadata.original_task) {
        (true, _) => Side::Question,
        (false, Some(true)) => Side::Answer,
        (false, _) => return None,
    };
    Some((instruction.into_owned(), side))
}

/// Whether a pair is held out under a seed: about a quarter of the source datasets are, with all their tasks and templates,
/// so that no dataset is learnt from and asked about.
pub fn is_held_out(pair: &Pair, seed: u64) -> bool {
    seed_of(seed, &["held out", &pair.origin]).is_multiple_of(4)
}

/// The row that a model learns a pair from: what it is asked without demonstrations, and its answer.
pub fn example(pair: &Pair) -> (String, String) {
    let prompt = format!("{}\nTARGET:", prompt::source(&pair.src.instruction, &[], &[]));
    let bare = Pair { tgt: Target { explanations: Vec::new(), ..pair.tgt.clone() }, ..pair.clone() };
    (prompt, format!(" {}", prompt::target(&bare)))
}

/// A pair as a task that a model is asked about: its source without rows.
pub fn task(pair: &Pair) -> Task {
    let mut source = Instruction::new(pair.pair_id.clone(), Level::Instance);
    source.definition = Some(pair.src.instruction.clone());
    Task { source, to: Level::Task, rows: Vec::new() }
}

/// What rules make of a template: its text without slots and the labels that stand before them on their line.
pub fn by_rules(instruction: &str) -> String {
    static LABELLED: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"(?m)^[ \t]*(?:[A-Z][\w ]{0,24}:)?[ \t"']*\{[^{}\n]+\}[ \t"'.]*$"#).expect("it is valid")
    });
    static NAMED: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\{([^{}\n]+)\}").expect("it is valid"));
    let text = LABELLED.replace_all(instruction, "");
    let text = NAMED.replace_all(&text, "the $1");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What a way to write definitions is worth on pairs that it hasn't seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Worth {
    /// Pairs.
    pub pairs: u64,
    /// The share of replies that are JSON of the schema, with nothing around it.
    pub schema_valid: f64,
    /// The share from which a definition could be read.
    pub usable: f64,
    /// The share of definitions in which every literal of the source stands, of all pairs.
    pub literals: f64,
    /// The mean ROUGE-L to the pair's definition; 0 where there is none.
    pub rouge_l: f64,
}

/// What definitions are worth: one for each pair, none where there is none, and whether its reply was of the schema.
pub fn worth<'a>(written: impl Iterator<Item = (&'a Pair, Option<&'a str>, bool)>) -> Worth {
    let mut all = Worth::default();
    for (pair, definition, is_valid) in written {
        all.pairs += 1;
        all.schema_valid += f64::from(u8::from(is_valid));
        let Some(definition) = definition else { continue };
        all.usable += 1.0;
        let checks = verify(&task(pair).source, definition, &[]);
        let literals = checks.iter().find(|check| check.kind == CheckKind::Literals);
        all.literals += f64::from(u8::from(literals.is_none_or(|check| check.verdict != Verdict::Fail)));
        all.rouge_l += rouge_l(definition, &pair.tgt.definition);
    }
    let pairs = all.pairs.max(1) as f64;
    Worth {
        pairs: all.pairs,
        schema_valid: all.schema_valid / pairs,
        usable: all.usable / pairs,
        literals: all.literals / pairs,
        rouge_l: all.rouge_l / pairs,
    }
}

/// Whether a reply is JSON of the schema and nothing else.
pub fn is_valid(reply: &str) -> bool {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only its shape is of interest")]
    struct Answer {
        definition: String,
        explanations: Vec<String>,
    }
    serde_json::from_str::<Answer>(reply).is_ok_and(|answer| !answer.definition.trim().is_empty())
}

/// Pairs with what a model said to each, for [`worth`].
pub fn written<'a>(
    pairs: &'a [Pair],
    candidates: &'a [Option<Vec<Candidate>>],
) -> impl Iterator<Item = (&'a Pair, Option<&'a str>, bool)> {
    pairs.iter().zip(candidates).map(|(pair, candidates)| {
        let candidate = candidates.as_ref().and_then(|candidates| candidates.first());
        let said = candidate.filter(|candidate| candidate.reply != Err(Fault::Failed));
        let is_valid = said.and_then(|said| said.raw.first()).is_some_and(|raw| is_valid(raw));
        (pair, said.and_then(Candidate::definition), is_valid)
    })
}

/// How many pairs there are of each source.
pub fn by_source(pairs: &[Pair]) -> BTreeMap<&str, u64> {
    let mut counts = BTreeMap::new();
    for pair in pairs {
        *counts.entry(pair.origin.as_str()).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::template::collection;

    const TEMPLATES: &str = "dataset: super_glue
subset: boilq
templates:
  a: {name: 'leaks? ', id: a, jinja: \"Passage: {{ passage }}\\nDoes it leak? {{answer_choices | join(' or ')}}? ||| {{ answer_choices[label] }}\", answer_choices: No ||| Yes, metadata: {original_task: true}}
  b: {name: asks, id: b, jinja: '{{passage}} Write a question. ||| {{question}}', metadata: {original_task: false}}
  c: {name: other, id: c, jinja: 'Say it. {{passage}} ||| {{passage}}', metadata: {original_task: false}}
  d: {name: branches, id: d, jinja: '{% if x %}{{x}}{% endif %} ||| {{label}}', metadata: {original_task: true}}
";

    fn collection() -> Collection {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("templates.yaml");
        std::fs::write(&path, TEMPLATES).unwrap();
        assert!(collection::parse(Path::new("x.yaml"), TEMPLATES).is_ok());
        Collection::read(&path).unwrap()
    }

    fn definition(task: &str) -> Definition {
        Definition {
            task: task.into(),
            definition: format!("Definition of {task}."),
            positive_example: Some(Example {
                input: "i".into(),
                output: "o".into(),
                explanation: "e".into(),
            }),
        }
    }

    #[test]
    fn templates_and_definitions_meet_on_dataset_and_side() {
        let tasks = [
            "task1_boilq_yes_no_question",
            "task2_boilq_question_generation",
            "task3_boilq_incorrect_answer_generation",
            "task4_boil_classification",
        ];
        let pairs = pairs(&collection(), &tasks.map(definition));
        let ids: Vec<&str> = pairs.iter().map(|pair| pair.pair_id.as_str()).collect();
        assert_eq!(
            ids,
            [
                "task1_boilq_yes_no_question/super_glue/boilq/leaks?",
                "task2_boilq_question_generation/super_glue/boilq/asks",
            ]
        );
        assert_eq!(pairs[0].src.instruction, "Passage: {passage}\nDoes it leak? No, Yes?");
        assert_eq!((pairs[0].origin.as_str(), pairs[0].src.rows.len()), ("boilq", 1));
        let (asked, answer) = example(&pairs[0]);
        assert!(asked.ends_with("Does it leak? No, Yes?\nTARGET:"), "{asked}");
        assert!(is_valid(answer.trim()));
        // Asked about without demonstrations, a model is given what it learnt from.
        let task = task(&pairs[0]);
        assert_eq!(prompt::input(&task, &[], &[], false).text(), asked);
        assert_eq!(by_rules(&pairs[0].src.instruction), "Does it leak? No, Yes?");
        assert_eq!(by_rules("Is {a} like {b}?"), "Is the a like the b?");
    }

    #[test]
    fn a_dataset_is_on_one_side_of_the_split() {
        let pairs = pairs(
            &collection(),
            &[definition("task1_boilq_answer"), definition("task9_boilq_classification")],
        );
        let sides: Vec<bool> = pairs.iter().map(|pair| is_held_out(pair, 3)).collect();
        assert!(sides.windows(2).all(|two| two[0] == two[1]));
        assert!((0..40).any(|seed| is_held_out(&pairs[0], seed)));
    }

    #[test]
    fn what_is_not_usable_counts_as_nothing() {
        let mut pair = pairs(&collection(), &[definition("task1_boilq_yes_no_question")]).remove(0);
        pair.src.instruction = "Answer \"yes\" within 5 words.".into();
        pair.tgt.definition = "Answer \"yes\" within 5 words.".into();
        let same = Some("Answer \"yes\" within 5 words.");
        let of =
            |definition, is_valid| worth([(&pair, definition, is_valid), (&pair, None, false)].into_iter());
        let half = of(same, true);
        assert_eq!(
            (half.pairs, half.schema_valid, half.usable, half.literals, half.rouge_l),
            (2, 0.5, 0.5, 0.5, 0.5)
        );
        assert_eq!(of(Some("Answer something."), true).literals, 0.0);
        assert!(is_valid("{\"definition\": \"a\", \"explanations\": []}"));
        assert!(
            !is_valid("Sure: {\"definition\": \"a\", \"explanations\": []}")
                && !is_valid("{\"definition\": \"a\"}")
        );
    }
}
