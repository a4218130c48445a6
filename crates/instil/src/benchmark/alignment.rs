//! The template alignment statistic (spec/cookbook.md 4): how far answers follow the rule of a template of `cook`, which
//! is asked without asking whether they are right.
//!
//! Cookbook names such a statistic; its formula isn't public, and this one is ours. A benchmark's file says which rules
//! stand behind it:
//!
//! ```yaml
//! rules:
//!   - {name: overlap, follows: most_overlap, of: "{{ question }}"}
//!   - {name: near, follows: window, document: "{{ context }}", of: "{{ question }}", words: 10}
//!   - {name: alike, follows: threshold, of: "{{ left }}", with: "{{ right }}", at: 0.5, above: "yes"}
//! ```
//!
//! | `follows` | rule of | an answer's score |
//! |---|---|---|
//! | `most_overlap` | selection, and retrieval of passages | 1 for the choice that shares most words with `of`, a part of 1 where several share as many; with `graded: true` the share of choices that share fewer |
//! | `window` | search | the share of its words that stand within `words` words of the place of `document` that is most like `of` |
//! | `threshold` | comparison | 1 if it is `above` exactly where the shorter of `of` and `with` shares at least `at` of its words with the other |
//!
//! Words are compared in lower case and without marks; `stems: true` compares their stems, `stop_words: false` leaves out
//! the commonest words of English.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::item::{Ask, Fault, render};
use super::run::{Answer, Said};
use super::spec::{Benchmark, Template};
use crate::error::{Error, Result};
use crate::metrics::interval::{bootstrap, mean};
use crate::metrics::porter;
use crate::rng::seed_of;
use crate::template::engine::Fields;

/// A rule as a benchmark's file says it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleFile {
    name: Option<String>,
    follows: Follows,
    of: String,
    document: Option<String>,
    with: Option<String>,
    words: Option<usize>,
    at: Option<f64>,
    above: Option<String>,
    #[serde(default)]
    graded: bool,
    #[serde(default)]
    stems: bool,
    #[serde(default = "yes")]
    stop_words: bool,
}

fn yes() -> bool {
    true
}

/// The kinds of rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Follows {
    /// The choice that shares most words with a text.
    MostOverlap,
    /// Words from around the place of a document that is most like a text.
    Window,
    /// One answer where two texts share enough words, another where not.
    Threshold,
}

impl Follows {
    fn name(self) -> &'static str {
        match self {
            Self::MostOverlap => "most_overlap",
            Self::Window => "window",
            Self::Threshold => "threshold",
        }
    }
}

/// A rule, ready to be asked.
pub(super) struct Rule {
    pub(super) name: String,
    kind: Kind,
    of: Template,
    stems: bool,
    stop_words: bool,
}

enum Kind {
    MostOverlap { graded: bool },
    Window { document: Template, words: usize },
    Threshold { with: Template, at: f64, above: String },
}

impl Rule {
    /// The rule of a file.
    ///
    /// # Errors
    /// When it lacks what its kind needs, or has what it doesn't know.
    pub(super) fn of(file: RuleFile) -> Result<Self> {
        let RuleFile { name, follows, of, document, with, words, at, above, graded, stems, stop_words } =
            file;
        let name = name.unwrap_or_else(|| follows.name().to_owned());
        let place = format!("rule `{name}`");
        let needs =
            |what: &str| Error::input(format!("{place}, which follows `{}`, needs {what}", follows.name()));
        let strange = [
            ("document", document.is_some(), follows == Follows::Window),
            ("words", words.is_some(), follows == Follows::Window),
            ("with", with.is_some(), follows == Follows::Threshold),
            ("at", at.is_some(), follows == Follows::Threshold),
            ("above", above.is_some(), follows == Follows::Threshold),
            ("graded", graded, follows == Follows::MostOverlap),
        ];
        if let Some((key, ..)) = strange.iter().find(|(_, is_there, is_known)| *is_there && !is_known) {
            return Err(Error::input(format!("{place}, which follows `{}`, has no `{key}`", follows.name())));
        }
        let kind = match follows {
            Follows::MostOverlap => Kind::MostOverlap { graded },
            Follows::Window => Kind::Window {
                document: Template::new(&place, &document.ok_or_else(|| needs("`document`"))?)?,
                words: words.unwrap_or(10),
            },
            Follows::Threshold => Kind::Threshold {
                with: Template::new(&place, &with.ok_or_else(|| needs("`with`"))?)?,
                at: at
                    .filter(|at| (0.0..=1.0).contains(at))
                    .ok_or_else(|| needs("`at`, a share from 0 to 1"))?,
                above: above.ok_or_else(|| needs("`above`, the answer from there on"))?,
            },
        };
        Ok(Self { of: Template::new(&place, &of)?, name, kind, stems, stop_words })
    }

    fn words(&self, text: &str) -> Vec<String> {
        static WORD: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(r"[\p{L}\p{N}]+").expect("the pattern is right"));
        let lower = text.to_lowercase();
        let found = WORD.find_iter(&lower).map(|word| word.as_str());
        let found = found.filter(|word| self.stop_words || !STOP_WORDS.contains(word));
        // The stemmer is of English and knows no other letters.
        let stem = |word: &str| match self.stems && word.is_ascii() {
            true => porter::stem(word),
            false => word.to_owned(),
        };
        found.map(stem).collect()
    }

    /// What the rule says of a row, whose choices are these.
    pub(super) fn ground(
        &self,
        fields: &Fields,
        row: &Map<String, Value>,
        choices: &[String],
    ) -> std::result::Result<Ground, Fault> {
        let text = |template: &Template| {
            render(template, fields, row, 0)
                .map_err(|(reason, why)| (reason, format!("rule `{}`: {why}", self.name)))
        };
        let of = self.words(&text(&self.of)?);
        Ok(match &self.kind {
            Kind::MostOverlap { graded } => {
                let overlaps = choices.iter().map(|choice| overlap(&self.words(choice), &of)).collect();
                Ground::Overlaps { overlaps, graded: *graded }
            }
            Kind::Window { document, words } => {
                Ground::Window(window(&self.words(&text(document)?), &of, *words))
            }
            Kind::Threshold { with, at, above } => {
                let with = self.words(&text(with)?);
                let least = of.len().min(with.len());
                let is_above = least > 0 && overlap(&of, &with) as f64 >= at * least as f64;
                Ground::Side { is_above, above: above.trim().to_owned() }
            }
        })
    }

    /// How far an answer follows the rule: the number of a choice where one was taken, and its text.
    pub(super) fn score(&self, ground: &Ground, choice: Option<usize>, text: &str) -> f64 {
        match ground {
            Ground::Overlaps { overlaps, graded } => {
                let Some(mine) = choice.and_then(|choice| overlaps.get(choice)) else { return 0.0 };
                let below = overlaps.iter().filter(|other| *other < mine).count() as f64;
                let alike = overlaps.iter().filter(|other| *other == mine).count() as f64;
                let above = overlaps.len() as f64 - below - alike;
                match (graded, overlaps.len()) {
                    (true, 2..) => (below + (alike - 1.0) / 2.0) / (overlaps.len() as f64 - 1.0),
                    // Where the rule can't tell several apart, each follows it in part.
                    _ => {
                        if above == 0.0 {
                            1.0 / alike
                        } else {
                            0.0
                        }
                    }
                }
            }
            Ground::Window(window) => {
                let said = self.words(text);
                let mut left = window.clone();
                let inside = said.iter().filter(|word| match left.get_mut(*word) {
                    Some(count) if *count > 0 => {
                        *count -= 1;
                        true
                    }
                    _ => false,
                });
                let inside = inside.count();
                if said.is_empty() { 0.0 } else { inside as f64 / said.len() as f64 }
            }
            Ground::Side { is_above, above } => {
                f64::from(u8::from((text.trim().eq_ignore_ascii_case(above)) == *is_above))
            }
        }
    }
}

/// What a rule says of a row, before anything is answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Ground {
    /// How many words each choice shares with the text.
    Overlaps {
        /// By choice.
        overlaps: Vec<usize>,
        /// Whether the rank counts, and not the first place alone.
        graded: bool,
    },
    /// The words of the window, with how often each is there.
    Window(HashMap<String, usize>),
    /// Whether enough words are shared.
    Side {
        /// Whether they are.
        is_above: bool,
        /// The answer if they are.
        above: String,
    },
}

/// How many words two texts share, each as often as both have it.
fn overlap(a: &[String], b: &[String]) -> usize {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for word in b {
        *counts.entry(word).or_default() += 1;
    }
    let shared = a.iter().filter(|word| match counts.get_mut(word.as_str()) {
        Some(count) if *count > 0 => {
            *count -= 1;
            true
        }
        _ => false,
    });
    shared.count()
}

/// The words around the span of a document, as long as `of`, that shares most words with it; the first of several.
fn window(document: &[String], of: &[String], words: usize) -> HashMap<String, usize> {
    let len = of.len().clamp(1, document.len().max(1));
    let spans = document.windows(len.min(document.len()).max(1)).enumerate();
    let best = spans
        .map(|(start, span)| (overlap(span, of), start))
        .max_by_key(|(shared, start)| (*shared, std::cmp::Reverse(*start)));
    let start = best.map_or(0, |(_, start)| start);
    let (from, to) = (start.saturating_sub(words), (start + len + words).min(document.len()));
    let mut counts = HashMap::new();
    for word in &document[from.min(to)..to] {
        *counts.entry(word.clone()).or_default() += 1;
    }
    counts
}

/// The commonest words of English, which say little of what a text is about.
const STOP_WORDS: [&str; 47] = [
    "a", "an", "the", "and", "or", "but", "if", "of", "in", "on", "at", "to", "for", "from", "by", "with",
    "as", "is", "are", "was", "were", "be", "been", "it", "its", "this", "that", "these", "those", "he",
    "she", "they", "his", "her", "their", "did", "do", "does", "has", "have", "had", "not", "what", "which",
    "who", "when", "how",
];

/// How far answers follow a rule.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alignment {
    /// The rule's name.
    pub rule: String,
    /// The mean score of the answers.
    pub follows: f64,
    /// Its 95 % interval by the bootstrap over items.
    pub interval: Option<(f64, f64)>,
    /// The mean score of the right answers: the accuracy that following the rule would have, the most that a template
    /// of it can help. Known before anything is trained.
    pub ceiling: f64,
    /// Its 95 % interval.
    pub ceiling_interval: Option<(f64, f64)>,
    /// The mean score of choices that are drawn evenly; none where answers are free. A ceiling no higher than this says
    /// that the rule doesn't help.
    pub random: Option<f64>,
}

/// How far an answer, and the right one, follow each rule of the benchmark.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scored {
    /// The answer's score.
    pub said: f64,
    /// The right answer's score.
    pub gold: f64,
    /// The mean score of all choices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub random: Option<f64>,
}

impl Benchmark {
    /// The names of its rules.
    pub fn rules(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| rule.name.as_str())
    }

    /// The scores of an answer, one a rule.
    pub fn aligned(&self, answer: &Answer, guess: Option<usize>) -> Vec<Scored> {
        let ask = &answer.item.ask;
        let text = match (&answer.said, ask, guess) {
            (Said::Words { answer, .. }, ..) => answer.as_str(),
            (_, Ask::Choice { choices, .. }, Some(guess)) => &choices[guess],
            _ => "",
        };
        let gold = match ask {
            Ask::Choice { gold, .. } => Some(*gold),
            _ => None,
        };
        let scored = |(rule, ground): (&Rule, &Ground)| {
            let random = match ask {
                Ask::Choice { choices, .. } => {
                    let each = choices.iter().enumerate();
                    let scores: Vec<f64> =
                        each.map(|(choice, text)| rule.score(ground, Some(choice), text)).collect();
                    mean(&scores)
                }
                _ => None,
            };
            let said = match answer.said {
                Said::Nothing(_) => 0.0,
                _ => rule.score(ground, guess, text),
            };
            Scored { said, gold: rule.score(ground, gold, ask.right()), random }
        };
        self.rules.iter().zip(&answer.item.grounds).map(scored).collect()
    }
}

/// The statistic of each rule over items, whose scores these are: `scores[item][rule]`.
pub fn alignments(benchmark: &Benchmark, scores: &[Vec<Scored>], seed: u64) -> Vec<Alignment> {
    let seed = seed_of(seed, &["alignment", &benchmark.name]);
    let of = |(number, rule): (usize, &Rule)| {
        let column = |value: &dyn Fn(&Scored) -> f64| -> Vec<f64> {
            scores.iter().map(|item| value(&item[number])).collect()
        };
        let (said, gold) = (column(&|scored| scored.said), column(&|scored| scored.gold));
        let interval = |values: &[f64]| {
            bootstrap(values.len(), seed, |drawn| {
                mean(&drawn.iter().map(|item| values[*item]).collect::<Vec<_>>())
            })
        };
        let random: Option<Vec<f64>> = scores.iter().map(|item| item[number].random).collect();
        Alignment {
            rule: rule.name.clone(),
            follows: mean(&said).unwrap_or(f64::NAN),
            interval: interval(&said),
            ceiling: mean(&gold).unwrap_or(f64::NAN),
            ceiling_interval: interval(&gold),
            random: random.and_then(|random| mean(&random)),
        }
    };
    benchmark.rules.iter().enumerate().map(of).collect()
}

/// An item of an evaluation: what it was worth, and how far it followed each rule, by name.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The item: row and prompt.
    pub id: String,
    /// What the answer is worth by the first metric.
    pub worth: f64,
    /// The score of each rule.
    pub follows: Vec<(String, f64)>,
}

impl Judged {
    /// What a line of `items.jsonl` says; none where the benchmark has no rules.
    pub fn of_line(line: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| line.get(name).and_then(Value::as_str);
        let by_rule = line.get("alignment")?.as_object()?;
        let said = |(name, scored): (&String, &Value)| Some((name.clone(), scored.get("said")?.as_f64()?));
        // Of scores that can't be a mean of rows there is none; the others are in the order of the file's metrics.
        let scores = line.get("scores")?.as_object()?;
        Some(Self {
            id: format!("{} {} {}", text("benchmark")?, text("id")?, text("prompt")?),
            worth: scores.values().find_map(Value::as_f64).unwrap_or(0.0),
            follows: by_rule.iter().filter_map(said).collect(),
        })
    }
}

/// What a tuned model does otherwise than its base, by one rule.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Gain {
    /// The rule's name.
    pub rule: String,
    /// How much further the tuned model follows the rule.
    pub follows: Change,
    /// How much more it is worth.
    pub worth: Change,
    /// Of the items that it got right and the base didn't, the share on which it follows the rule further than the base,
    /// or wholly.
    pub explained: Option<Change>,
    /// The same of the items that it got wrong and the base didn't: what the shortcut costs.
    pub misled: Option<Change>,
    /// How many items became right, and how many wrong.
    pub turned: (u64, u64),
}

/// The score of the base's answer and of the tuned model's, then what they are worth.
type Pair = (f64, f64, f64, f64);

/// A number with its 95 % interval by the bootstrap over items.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The number.
    pub value: f64,
    /// Its interval.
    pub interval: Option<(f64, f64)>,
}

/// What a tuned model does otherwise than its base on the items that both were asked.
///
/// # Errors
/// When they have no item in common, or another rule.
pub fn gains(base: &[Judged], tuned: &[Judged], seed: u64) -> Result<Vec<Gain>> {
    let by_id: HashMap<&str, &Judged> = base.iter().map(|judged| (judged.id.as_str(), judged)).collect();
    let pairs: Vec<(&Judged, &Judged)> =
        tuned.iter().filter_map(|judged| Some((*by_id.get(judged.id.as_str())?, judged))).collect();
    let Some((_, first)) = pairs.first() else {
        return Err(Error::input("the base was asked none of these items")
            .with_hint("ask it the same benchmark over the same data, with the same `--limit`"));
    };
    let mut found = Vec::new();
    for (number, (rule, _)) in first.follows.iter().enumerate() {
        let score = |judged: &Judged| -> Result<f64> {
            let found = judged.follows.get(number).filter(|(name, _)| name == rule);
            found.map(|(_, score)| *score).ok_or_else(|| {
                Error::input(format!("the base's answers were not judged by the rule `{rule}`"))
                    .with_hint("evaluate it once more with the benchmark's file as it is now")
            })
        };
        let rows: Vec<Pair> = pairs
            .iter()
            .map(|(base, tuned)| Ok((score(base)?, score(tuned)?, base.worth, tuned.worth)))
            .collect::<Result<_>>()?;
        let seed = seed_of(seed, &["gain", rule]);
        let is_turned = |from: f64, to: f64| from < 0.5 && to >= 0.5;
        let over = |value: &dyn Fn(&Pair) -> Option<f64>| -> Option<Change> {
            let of = |drawn: &mut dyn Iterator<Item = usize>| {
                mean(&drawn.filter_map(|item| value(&rows[item])).collect::<Vec<_>>())
            };
            let interval = bootstrap(rows.len(), seed, |drawn| of(&mut drawn.iter().copied()));
            Some(Change { value: of(&mut (0..rows.len()))?, interval })
        };
        let follows_on = |row: &Pair| f64::from(u8::from(row.1 > row.0 || row.1 >= 1.0));
        let count = |is_it: &dyn Fn(&Pair) -> bool| rows.iter().filter(|row| is_it(row)).count() as u64;
        let none = Change { value: 0.0, interval: None };
        found.push(Gain {
            rule: rule.clone(),
            follows: over(&|row| Some(row.1 - row.0)).unwrap_or(none),
            worth: over(&|row| Some(row.3 - row.2)).unwrap_or(none),
            explained: over(&|row| is_turned(row.2, row.3).then(|| follows_on(row))),
            misled: over(&|row| is_turned(row.3, row.2).then(|| follows_on(row))),
            turned: (count(&|row| is_turned(row.2, row.3)), count(&|row| is_turned(row.3, row.2))),
        });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::record::{Origin, Row};

    fn benchmark(rules: &str, head: &str) -> Benchmark {
        Benchmark::parse("t", &format!("{head}\nrules:\n{rules}")).unwrap()
    }

    const CHOICES: &str = "prompts: [{name: p, prompt: '{{ question }}'}]\nchoices: options\ngold: '{{ gold }}'\nrank: {}\nmetrics: [accuracy]";
    const TEXTS: &str = "prompts: [{name: p, prompt: '{{ question }}'}]\nreferences: answer\ngenerate: {max_tokens: 9}\nmetrics: [squad_em]";

    /// The scores of an answer to a row.
    fn scored(benchmark: &Benchmark, row: serde_json::Value, said: Said) -> Scored {
        let fields = row.as_object().unwrap().clone();
        let row = Row { fields, origin: Origin { source: "s".into(), row: Some(1) }, dataset: None };
        let item = benchmark.items(&row, &benchmark.wrap).unwrap().remove(0);
        let guess = match &said {
            Said::Likely { by_sum, .. } => Some(*by_sum),
            _ => None,
        };
        benchmark.aligned(&Answer { item, row: 0, said }, guess).remove(0)
    }

    fn likely(choice: usize) -> Said {
        Said::Likely { nlls: Vec::new(), by_sum: choice, by_characters: choice }
    }

    fn words(answer: &str) -> Said {
        Said::Words { answer: answer.to_owned(), truncated: false }
    }

    #[test]
    fn the_choice_with_most_shared_words_follows() {
        let plain = benchmark("  - {follows: most_overlap, of: '{{ question }}'}", CHOICES);
        let row = json!({"question": "Where is the red kettle?", "options": ["a pot", "The red kettle!", "a red pot"], "gold": 2});
        let third = 1.0 / 3.0;
        for (choice, wanted) in [(0, 0.0), (1, 1.0), (2, 0.0)] {
            let found = scored(&plain, row.clone(), likely(choice));
            assert_eq!((found.said, found.gold), (wanted, 0.0), "{choice}");
            assert!((found.random.unwrap() - third).abs() < 1e-12);
        }
        let graded = benchmark("  - {follows: most_overlap, of: '{{ question }}', graded: true}", CHOICES);
        assert_eq!(scored(&graded, row, likely(2)).said, 0.5);
        // Nothing is shared: each choice follows in part, as chance does.
        let none = json!({"question": "Why?", "options": ["a", "b"], "gold": 0});
        assert_eq!(scored(&plain, none, likely(1)).said, 0.5);
    }

    #[test]
    fn words_from_around_the_place_follow() {
        let near =
            benchmark("  - {follows: window, document: '{{ text }}', of: '{{ question }}', words: 2}", TEXTS);
        let row = json!({"text": "one two three four five six seven eight", "question": "four five", "answer": "six"});
        for (said, wanted) in
            [("six", 1.0), ("Three six.", 1.0), ("eight", 0.0), ("six eight", 0.5), ("", 0.0)]
        {
            assert_eq!(scored(&near, row.clone(), words(said)).said, wanted, "{said}");
        }
        assert_eq!(scored(&near, row, Said::Nothing("refused".into())).said, 0.0);
    }

    #[test]
    fn an_answer_on_its_side_of_the_threshold_follows() {
        let alike = benchmark(
            "  - {follows: threshold, of: '{{ left }}', with: '{{ right }}', at: 0.5, above: 'Yes'}",
            CHOICES,
        );
        let row = |right: &str| json!({"question": "Same?", "left": "red kettle", "right": right, "options": ["yes", "no"], "gold": 0});
        assert_eq!(scored(&alike, row("a kettle, blue"), likely(0)).said, 1.0);
        assert_eq!(scored(&alike, row("a kettle, blue"), likely(1)).said, 0.0);
        assert_eq!(scored(&alike, row("blue pot"), likely(1)).said, 1.0);
        assert_eq!(scored(&alike, row(""), likely(1)).said, 1.0);
    }

    #[test]
    fn stems_and_stop_words() {
        let of = |options: &str| {
            let rule = format!("  - {{follows: most_overlap, of: '{{{{ question }}}}'{options}}}");
            let row =
                json!({"question": "the boiling of tea", "options": ["the cup of", "boils"], "gold": 0});
            scored(&benchmark(&rule, CHOICES), row, likely(1)).said
        };
        assert_eq!(
            (of(""), of(", stop_words: false"), of(", stop_words: false, stems: true")),
            (0.0, 0.5, 1.0)
        );
    }

    #[test]
    fn what_is_no_rule_is_named() {
        let say = |rule: &str| {
            Benchmark::parse("t", &format!("{CHOICES}\nrules:\n  - {rule}"))
                .map(drop)
                .unwrap_err()
                .to_string()
        };
        insta::assert_snapshot!(say("{follows: window, of: a}"), @"rule `window`, which follows `window`, needs `document`");
        insta::assert_snapshot!(say("{follows: threshold, of: a, with: b, at: 2, above: x}"), @"rule `threshold`, which follows `threshold`, needs `at`, a share from 0 to 1");
        insta::assert_snapshot!(say("{follows: most_overlap, of: a, words: 3}"), @"rule `most_overlap`, which follows `most_overlap`, has no `words`");
        insta::assert_snapshot!(say("{follows: most_overlap, of: a}\n  - {follows: most_overlap, of: b}"), @"two rules are named `most_overlap`");
    }

    fn judged(items: &[(f64, f64)]) -> Vec<Judged> {
        let of = |(number, (follows, worth)): (usize, &(f64, f64))| Judged {
            id: number.to_string(),
            worth: *worth,
            follows: vec![("r".to_owned(), *follows)],
        };
        items.iter().enumerate().map(of).collect()
    }

    #[test]
    fn gains_are_explained_where_the_rule_was_followed_further() {
        // (how far the rule is followed, worth) of base and tuned model.
        let base = judged(&[(0.0, 0.0), (0.0, 0.0), (0.0, 0.0), (0.0, 1.0), (1.0, 1.0)]);
        let tuned = judged(&[(1.0, 1.0), (0.5, 1.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)]);
        let found = gains(&base, &tuned, 1).unwrap().remove(0);
        assert_eq!(found.turned, (3, 1));
        assert!((found.follows.value - 0.5).abs() < 1e-12 && (found.worth.value - 0.4).abs() < 1e-12);
        // Of three items that became right the rule is followed further on two.
        assert!((found.explained.unwrap().value - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(found.misled.unwrap().value, 1.0);
        let none = gains(&base, &base, 1).unwrap().remove(0);
        assert_eq!((none.explained, none.misled, none.turned), (None, None, (0, 0)));
        let elsewhere = [Judged { id: "x".to_owned(), ..tuned[0].clone() }];
        assert_eq!(
            gains(&base, &elsewhere, 1).unwrap_err().to_string(),
            "the base was asked none of these items"
        );
    }
}
