//! Whether a rewritten definition still says what its task is: checks that need no model (spec/uit.md 8.3).
//!
//! The audit of the published sample (spec/uit.md 6.3) found its noise to be mechanical: cut definitions, lost
//! literals, fragments of a reply. These checks run before anything is scored, since likelihood prefers some of it.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;
use serde::{Deserialize, Serialize};

use super::instruction::{Instance, Instruction};

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckKind {
    /// Every quoted string, number and label of the source stands in the candidate.
    Literals,
    /// The outputs there are and those that the candidate allows are the same, where they are few.
    Labels,
    /// The candidate isn't cut off, its quotes and brackets pair, and nothing of a reply's form is left in it.
    Completeness,
    /// No instance's answer stands in it, and no exemplar is an instance.
    Leakage,
    /// It negates and restricts where the source does.
    Polarity,
    /// It asks for what the outputs are, and not for what the inputs are.
    Direction,
}

impl CheckKind {
    /// All of them, in the order of [`verify`].
    pub const ALL: [Self; 6] =
        [Self::Literals, Self::Labels, Self::Completeness, Self::Leakage, Self::Polarity, Self::Direction];

    /// The word for it in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Literals => "literals",
            Self::Labels => "labels",
            Self::Completeness => "completeness",
            Self::Leakage => "leakage",
            Self::Polarity => "polarity",
            Self::Direction => "direction",
        }
    }
}

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing speaks against it.
    Pass,
    /// A person should look at it.
    Warn,
    /// The candidate is not to be used.
    Fail,
}

/// One check of one candidate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What was looked at.
    pub kind: CheckKind,
    /// What it came to.
    pub verdict: Verdict,
    /// What speaks against the candidate, a line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub found: Vec<String>,
}

impl Check {
    fn new(kind: CheckKind) -> Self {
        Self { kind, verdict: Verdict::Pass, found: Vec::new() }
    }

    fn add(&mut self, verdict: Verdict, found: impl Into<String>) {
        /// More would say nothing new.
        const MOST: usize = 5;
        self.verdict = self.verdict.max(verdict);
        if self.found.len() < MOST {
            self.found.push(found.into());
        }
    }
}

/// Whether no check failed.
pub fn passes(checks: &[Check]) -> bool {
    checks.iter().all(|check| check.verdict != Verdict::Fail)
}

/// Looks at a candidate for the definition of a task whose instruction is known from its source.
///
/// The instances are a sample; what they can't show isn't held against the candidate. A source looked at with its own
/// definition as the candidate tells what is wrong with the source.
pub fn verify(source: &Instruction, candidate: &str, instances: &[Instance]) -> Vec<Check> {
    vec![
        literals(source, candidate),
        labels(source, candidate),
        completeness(candidate),
        leakage(source, candidate, instances),
        polarity(source, candidate),
        direction(candidate, instances),
    ]
}

fn literals(source: &Instruction, candidate: &str) -> Check {
    let mut check = Check::new(CheckKind::Literals);
    let Some(definition) = source.definition.as_deref() else { return check };
    let (plain, has) = (plain(candidate), numbers(candidate));
    for quoted in quoted(definition) {
        if !plain.contains(&self::plain(&quoted)) {
            check.add(Verdict::Fail, format!("“{quoted}” of the source is not in it"));
        }
    }
    for number in numbers(definition) {
        if !has.contains(&number) {
            check.add(Verdict::Fail, format!("the number {number} of the source is not in it"));
        }
    }
    for label in source.labels.iter().filter(|label| states(definition, label) && !states(candidate, label)) {
        check.add(Verdict::Fail, format!("the label “{label}”, which the source states, is not in it"));
    }
    check
}

fn labels(source: &Instruction, candidate: &str) -> Check {
    let mut check = Check::new(CheckKind::Labels);
    if source.labels.is_empty() {
        return check;
    }
    let (stated, missing): (Vec<&String>, Vec<&String>) =
        source.labels.iter().partition(|label| states(candidate, label));
    let list =
        |labels: &[&String]| labels.iter().map(|label| format!("“{label}”")).collect::<Vec<_>>().join(", ");
    if !missing.is_empty() {
        let by_source = source
            .definition
            .as_deref()
            .is_some_and(|definition| source.labels.iter().all(|label| states(definition, label)));
        // Where the source doesn't say them either, a definition without them is no worse.
        let verdict = if by_source || !stated.is_empty() { Verdict::Fail } else { Verdict::Warn };
        check.add(verdict, format!("outputs that it doesn't state: {}", list(&missing)));
    }
    let from_source = source.definition.as_deref().map(quoted).unwrap_or_default();
    for quoted in quoted(candidate) {
        let is_known = source.labels.iter().any(|label| plain(label) == plain(&quoted));
        if !is_known && !from_source.contains(&quoted) {
            check.add(Verdict::Warn, format!("it quotes “{quoted}”, which is no output"));
        }
    }
    check
}

fn completeness(candidate: &str) -> Check {
    let mut check = Check::new(CheckKind::Completeness);
    let text = candidate.trim();
    if text.is_empty() {
        check.add(Verdict::Fail, "it is empty");
        return check;
    }
    if text.matches('"').count() % 2 == 1 {
        check.add(Verdict::Fail, "a quotation mark has no other one");
    }
    for (open, close) in [('“', '”'), ('(', ')'), ('[', ']'), ('{', '}')] {
        let (opened, closed) = (text.matches(open).count(), text.matches(close).count());
        // Lists such as `1)` close what nothing has opened.
        if opened > closed {
            check.add(Verdict::Fail, format!("a `{open}` has no `{close}`"));
        }
    }
    let bare = text.trim_end_matches(['"', '”', '’', '\'', ')', ']', '*', '`']);
    match bare.chars().next_back() {
        Some('.' | '!' | '?' | '…' | '。' | '？' | '！') => {}
        Some(':') if !ends_dangling(bare) => check.add(Verdict::Warn, "it ends with a colon"),
        _ if bare.len() < text.len() && !ends_dangling(bare) => {
            check.add(Verdict::Warn, "it ends with a quotation or bracket and no full stop");
        }
        _ => check.add(Verdict::Fail, format!("it is cut off: it ends with “{}”", tail(text))),
    }
    static FRAGMENT: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?im)^\s*(?:definition|output|input|explanation|target)(?:\s+(?:positive|negative)\s+\d+)?\s*:|\|\|\||\{\{|```|utput negative \d")
            .expect("the pattern is valid")
    });
    if let Some(fragment) = FRAGMENT.find(text) {
        check.add(
            Verdict::Fail,
            format!("it holds a fragment of a reply or template: “{}”", fragment.as_str().trim()),
        );
    }
    if ["Ã©", "Ã¨", "â€™", "â€œ", "Â "].iter().any(|broken| text.contains(broken)) {
        check.add(Verdict::Warn, "UTF-8 was read as Latin-1 in it");
    }
    check
}

/// Whether what should follow is missing: a verb without its object, a word that begins something.
fn ends_dangling(text: &str) -> bool {
    const DANGLING: [&str; 29] = [
        "output",
        "write",
        "state",
        "say",
        "answer",
        "return",
        "respond",
        "reply",
        "print",
        "with",
        "as",
        "the",
        "a",
        "an",
        "and",
        "or",
        "of",
        "to",
        "is",
        "are",
        "be",
        "by",
        "for",
        "in",
        "that",
        "either",
        "only",
        "following",
        "respond with",
    ];
    let last = text.trim_end_matches([':', ',', ' ']).rsplit(char::is_whitespace).next().unwrap_or_default();
    DANGLING.contains(&last.to_lowercase().as_str())
}

fn leakage(source: &Instruction, candidate: &str, instances: &[Instance]) -> Check {
    let mut check = Check::new(CheckKind::Leakage);
    let mut seen = BTreeSet::new();
    let quoted = quoted(candidate);
    for instance in instances {
        for answer in std::iter::once(&instance.output).chain(&instance.references) {
            let answer = answer.trim();
            // What is answered again and again, or quoted, is one of the outputs there are.
            let same = instances.iter().filter(|instance| instance.output.trim() == answer).count();
            let is_label = source.labels.iter().any(|label| label.trim() == answer)
                || (same > 1 && 10 * same >= instances.len())
                || quoted.iter().any(|quoted| plain(quoted) == plain(answer));
            if is_label || answer.chars().count() < 4 || !seen.insert(answer) || !states(candidate, answer) {
                continue;
            }
            // A word such as `text` is an answer now and then, and in definitions often.
            let is_word = answer.chars().all(|c| c.is_lowercase());
            let by_source = source.definition.as_deref().is_some_and(|definition| states(definition, answer));
            let verdict = if is_word || by_source { Verdict::Warn } else { Verdict::Fail };
            check.add(verdict, format!("“{}” is the answer of an instance", cut(answer)));
        }
    }
    let inputs: BTreeSet<&str> = instances
        .iter()
        .filter_map(|instance| instance.fields.last())
        .map(|field| field.value.trim())
        .collect();
    for exemplar in source.positive.iter().chain(&source.negative) {
        let is_alone = instances.first().is_some_and(|instance| instance.fields.len() == 1);
        if is_alone && inputs.contains(exemplar.input.trim()) {
            check.add(Verdict::Warn, format!("the example “{}” is an instance, too", cut(&exemplar.input)));
        }
    }
    check
}

fn polarity(source: &Instruction, candidate: &str) -> Check {
    let mut check = Check::new(CheckKind::Polarity);
    let Some(definition) = source.definition.as_deref() else { return check };
    static NEGATION: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)\b(?:not|no|never|none|neither|nor|without|cannot|except|unless|\w+n['’]t)\b")
            .expect("the pattern is valid")
    });
    static RESTRICTION: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)\b(?:only|exactly|at least|at most|must|always|as (?:short|few|many) as)\b")
            .expect("the pattern is valid")
    });
    // Labels such as "no" negate nothing.
    let (definition, candidate) = (unquoted(definition), unquoted(candidate));
    for (pattern, what) in [(&*NEGATION, "negation"), (&*RESTRICTION, "restriction")] {
        let (there, here) = (pattern.find(&definition), pattern.find(&candidate));
        match (there, here) {
            (Some(there), None) => {
                check.add(
                    Verdict::Warn,
                    format!("the source has a {what}, “{}”, and it has none", there.as_str()),
                );
            }
            (None, Some(here)) if what == "negation" => {
                check
                    .add(Verdict::Warn, format!("it has a {what}, “{}”, and the source none", here.as_str()));
            }
            _ => {}
        }
    }
    check
}

fn direction(candidate: &str, instances: &[Instance]) -> Check {
    let mut check = Check::new(CheckKind::Direction);
    /// Fewer rows show nothing.
    const LEAST: usize = 4;
    if instances.len() < LEAST {
        return check;
    }
    static ASKS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"(?i)\b(?:(?:write|generate|create|formulate|compose|construct|come up with|make up|pose|produce)\s+(?:(?:a|an|one|the|some)\s+)?|ask\s+(?:an?|one)\s+)(?:[\w-]+\s+){0,3}?questions?\b",
        )
        .expect("the pattern is valid")
    });
    static ANSWERS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)\banswer\s+(?:(?:a|an|the|this|that|each|following|given|above|correctly|my|some)\s+)*questions?\b")
            .expect("the pattern is valid")
    });
    static SHORTENS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)\b(?:summari[sz]e|(?:write|generate|create|give|produce)\s+(?:a|an|the)\s+(?:[\w-]+\s+){0,2}?(?:summary|title|headline))\b")
            .expect("the pattern is valid")
    });
    let all = instances.len();
    let most = |count: usize| 5 * count >= 4 * all;
    let few = |count: usize| 5 * count < all;
    let asked = instances.iter().filter(|instance| instance.output.contains(['?', '？'])).count();
    let given = |instance: &Instance| instance.fields.iter().map(|field| field.value.len()).sum::<usize>();
    let longer = instances.iter().filter(|instance| instance.output.len() > given(instance)).count();
    if few(asked) && ASKS.is_match(candidate) && !ANSWERS.is_match(candidate) {
        check
            .add(Verdict::Fail, format!("it asks for questions, and {asked} of {all} outputs are questions"));
    }
    if most(asked) && ANSWERS.is_match(candidate) && !ASKS.is_match(candidate) {
        check.add(Verdict::Fail, format!("it asks for answers, and {asked} of {all} outputs are questions"));
    }
    if most(longer) && SHORTENS.is_match(candidate) {
        check.add(
            Verdict::Fail,
            format!("it asks for less text, and {longer} of {all} outputs are longer than inputs"),
        );
    }
    check
}

/// What stands in quotation marks: of plain, curly and single ones, and between backticks.
pub fn quoted(text: &str) -> Vec<String> {
    static QUOTED: LazyLock<Regex> = LazyLock::new(|| {
        // A single mark opens behind a blank or bracket and closes before one, so that an apostrophe is none.
        Regex::new(
            r#""([^"]{1,200})"|“([^”]{1,200})”|`([^`]{1,200})`|(?:^|[\s(\[,])['‘]([^'’\n]{1,80})['’](?:$|[\s.,;:?!)\]])"#,
        )
        .expect("the pattern is valid")
    });
    let mut found: Vec<String> = Vec::new();
    for captures in QUOTED.captures_iter(text) {
        let inner = captures.iter().skip(1).flatten().next().map_or("", |quoted| quoted.as_str());
        let inner = inner.trim().trim_end_matches(['.', ',', ';']);
        if !inner.is_empty() && !found.iter().any(|known| known == inner) {
            found.push(inner.to_owned());
        }
    }
    found
}

/// A text without what it quotes.
fn unquoted(text: &str) -> String {
    quoted(text).iter().fold(text.to_owned(), |text, quoted| text.replace(quoted.as_str(), ""))
}

/// The numbers of a text, in digits also where small ones are written as words.
fn numbers(text: &str) -> BTreeSet<String> {
    const WORDS: [&str; 13] = [
        "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
        "twelve",
    ];
    static NUMBER: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\d+(?:[.,]\d+)*|[A-Za-z]+").expect("the pattern is valid"));
    NUMBER
        .find_iter(text)
        .filter_map(|found| match found.as_str() {
            digits if digits.starts_with(|c: char| c.is_ascii_digit()) => Some(digits.to_owned()),
            // `one` is a pronoun as often as a number.
            word => WORDS
                .iter()
                .skip(2)
                .position(|known| known.eq_ignore_ascii_case(word))
                .map(|at| (at + 2).to_string()),
        })
        .collect()
}

/// A text for comparison: lower case, plain quotation marks, single blanks.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '“' | '”' => plain.push('"'),
            '‘' | '’' => plain.push('\''),
            c if c.is_whitespace() => {
                if !plain.ends_with(' ') {
                    plain.push(' ');
                }
            }
            c => plain.extend(c.to_lowercase()),
        }
    }
    plain.trim().to_owned()
}

/// Whether a text holds a phrase as words of their own, whatever its case.
pub(super) fn states(text: &str, phrase: &str) -> bool {
    let (text, phrase) = (plain(text), plain(phrase));
    if phrase.is_empty() {
        return false;
    }
    let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let bounded = |c: char, neighbour: Option<char>| !c.is_alphanumeric() || !is_word(neighbour);
    text.match_indices(&phrase).any(|(at, found)| {
        let (first, last) = (found.chars().next(), found.chars().next_back());
        first.is_some_and(|c| bounded(c, text[..at].chars().next_back()))
            && last.is_some_and(|c| bounded(c, text[at + found.len()..].chars().next()))
    })
}

/// The beginning of a text, for messages.
fn cut(text: &str) -> String {
    const MOST: usize = 60;
    if text.chars().count() <= MOST {
        text.to_owned()
    } else {
        text.chars().take(MOST).chain(['…']).collect()
    }
}

/// The end of a text, for messages.
fn tail(text: &str) -> &str {
    text.char_indices().rev().nth(24).map_or(text, |(at, _)| &text[at..])
}
