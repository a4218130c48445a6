//! From rendered text back to the fields of the row, given the template (spec/uit.md 8.1).
//!
//! A template becomes a pattern of constants, slots, branches and loops (`lift/pattern.rs`); each way in
//! which the pattern fits a prompt and its completion (`lift/matching.rs`) is turned into the rows that
//! show it (`lift/solving.rs`); each of these rows is rendered again, and counts if the same bytes come out.
//! One row is a lift, several are an ambiguity. What rests on a reading rather than on a proof is said in
//! [`Lifted::losses`] and [`Lifted::assumed`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Map, Value as Json};

use self::matching::{Furthest, Matcher, Text};
use self::pattern::Pattern;
use self::solving::Solution;
use crate::prompt::bonito::python_strip;
use crate::template::Template;
use crate::template::engine::{Compiled, Fields, Options};

mod expression;
mod knowledge;
mod matching;
mod pattern;
mod solving;
#[cfg(test)]
mod tests;

/// Ways through a pattern beyond which no more are looked at.
const WAYS: usize = 256;
/// Characters that the cut word of a truncated text is taken to have at most.
const WORD: usize = 64;

/// A template turned round: it takes rendered text and gives the row. It can be shared between threads.
pub struct Lifter {
    pattern: Pattern,
    compiled: Compiled,
    options: Options,
    /// The names that the template reads.
    variables: BTreeSet<String>,
}

/// The row that a prompt and its completion were rendered from.
#[derive(Clone, Debug, PartialEq)]
pub struct Lifted {
    /// A row that renders to exactly these texts: what the template shows, and what is in `assumed`.
    pub row: Map<String, Json>,
    /// The paths in the row whose values are made up so that the template's conditions come out right,
    /// such as `choices.label` where the template shows only the text of the choice.
    pub assumed: BTreeSet<String>,
    /// The paths of which the template does not show everything, and what it leaves out.
    pub losses: BTreeSet<(String, LossKind)>,
    /// The fields whose text is cut, as far as can be told: it has the length of a cut text and ends in `...`.
    pub truncated: Vec<String>,
    /// What each `choice` has to draw, in the order of rendering, for the row to render to these texts.
    pub draws: Vec<usize>,
}

/// What a template leaves out of a field that it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LossKind {
    /// What a filter takes away: case, the characters that `trim` trims, underscores.
    Filtered,
    /// The other items of a list of which one or some are shown.
    Others,
    /// Whether an item held the separator that the items are joined with; it is taken not to.
    Joined,
    /// The first characters of the text; blanks stand for them.
    Cut,
    /// Blanks at the ends of a text, or empty items at the end of a list.
    Blanks,
}

/// A template that can't be turned round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unliftable {
    /// What in it, such as "the filter `most_frequent`".
    pub construct: String,
    /// Its line in the Jinja text, from 1; 0 where that is unknown.
    pub line: usize,
    /// Its bytes in the Jinja text.
    pub span: std::ops::Range<usize>,
}

/// Why a prompt and completion can't be lifted.
#[derive(Clone, Debug, PartialEq)]
pub enum LiftFault {
    /// The template renders to no such text.
    NoMatch {
        /// Whether the completion is where it fails.
        completion: bool,
        /// The byte of the stripped prompt or completion up to which it could be followed.
        at: usize,
        /// The template's words that should come there; empty where the text should end.
        expected: String,
    },
    /// The text fits, but a field would need two values.
    Contradiction {
        /// The field.
        field: String,
    },
    /// Several rows render to the same text.
    Ambiguous(Box<Ambiguity>),
    /// The row that was found does not render to the same text.
    Differs {
        /// Whether the completion is where they differ.
        completion: bool,
        /// The first byte at which they differ.
        at: usize,
        /// The engine's words where the row could not be rendered at all.
        fault: Option<String>,
    },
    /// There are more possibilities than are looked at, or one that can't be worked out.
    TooHard {
        /// What makes it hard.
        why: String,
    },
}

/// What several rows that render to the same text have in common.
#[derive(Clone, Debug, PartialEq)]
pub struct Ambiguity {
    /// The paths in which they differ.
    pub fields: Vec<String>,
    /// What is the same in each of them, as far as the template shows it.
    pub agreed: Map<String, Json>,
    /// The first of these rows, which renders to exactly the text.
    pub witness: Lifted,
    /// Whether all rows were looked at; if not, `agreed` is empty.
    pub complete: bool,
}

/// What was found so far.
#[derive(Default)]
struct Found {
    lifted: Vec<Lifted>,
    ways: usize,
    gave_up: bool,
    unsolved: Option<String>,
    contradiction: Option<String>,
    differs: Option<LiftFault>,
    furthest: Furthest,
}

impl Lifter {
    /// Turns a template round. `options` are those that the texts were rendered with.
    ///
    /// # Errors
    /// When the template uses a construct that can't be turned round, or can't be rendered either.
    pub fn new(template: &Template, options: Options) -> Result<Self, Unliftable> {
        Self::of(&template.jinja, template.answer_choices.as_deref(), options)
    }

    /// As [`new`](Self::new), from the Jinja texts.
    ///
    /// # Errors
    /// As there.
    pub fn of(jinja: &str, answer_choices: Option<&str>, options: Options) -> Result<Self, Unliftable> {
        let pattern = pattern::compile(jinja, answer_choices).map_err(|e| Unliftable {
            construct: e.construct,
            line: usize::from(e.span.start_line),
            span: e.span.start_offset as usize..e.span.end_offset as usize,
        })?;
        let compiled = Compiled::new(jinja, answer_choices, options).map_err(|fault| Unliftable {
            construct: fault.message,
            line: fault.line.unwrap_or_default(),
            span: fault.span.unwrap_or_default(),
        })?;
        let variables = compiled.variables().clone();
        Ok(Self { pattern, compiled, options, variables })
    }

    /// Takes from the other templates of the dataset which fields are whole numbers, so that such a field
    /// comes out as one where this template only shows it.
    #[must_use]
    pub fn beside<'t>(mut self, others: impl IntoIterator<Item = &'t Template>) -> Self {
        for other in others {
            if let Ok(pattern) = pattern::compile(&other.jinja, other.answer_choices.as_deref()) {
                self.pattern.integers.extend(pattern.integers);
            }
        }
        self
    }

    /// The row that renders to this prompt and completion. Blanks around either make no difference, since
    /// rendering strips them.
    ///
    /// Four readings are taken where others would render to the same text: a field that is shown shows
    /// something; so does a turn of a loop; an item of a list does not hold what parts the items
    /// ([`LossKind::Joined`] tells of it); and blanks that stripping ate were not there. Everything else
    /// that several rows would explain is an ambiguity.
    ///
    /// # Errors
    /// When no row does, several do, or that can't be found out.
    pub fn lift(&self, prompt: &str, completion: &str) -> Result<Lifted, LiftFault> {
        let (prompt, completion) = (python_strip(prompt), python_strip(completion));
        let text = Text::new(prompt, completion);
        let mut found = Found::default();
        // A field that is shown is taken to show something, and so is a turn of a loop, where the text fits so.
        for (filled, unseen) in [(true, 0), (true, 1), (false, 0), (false, 1)] {
            if unseen > 0 && (self.pattern.loops.is_empty() || found.ways == 0) {
                continue;
            }
            self.read(&text, filled, unseen, prompt, completion, &mut found);
            if !found.lifted.is_empty() {
                break;
            }
        }
        let Found { mut lifted, ways, gave_up, unsolved, contradiction, differs, furthest } = found;
        let complete = !gave_up && unsolved.is_none();
        if lifted.is_empty() && gave_up {
            return Err(LiftFault::TooHard { why: "there are too many ways to read the text".to_owned() });
        }
        match lifted.as_slice() {
            [] if ways == 0 && contradiction.is_none() => {
                let Furthest { at, expected } = furthest;
                let behind = at > text.parted;
                let at = if behind { at - text.parted - 1 } else { at };
                Err(LiftFault::NoMatch { completion: behind, at, expected })
            }
            [] => Err(match (unsolved, differs, contradiction) {
                (Some(why), ..) => LiftFault::TooHard { why },
                (_, Some(differs), _) => differs,
                (.., field) => LiftFault::Contradiction { field: field.unwrap_or_default() },
            }),
            [_] if complete => Ok(lifted.remove(0)),
            [_] => Err(LiftFault::TooHard { why: unsolved.unwrap_or_else(|| "too many ways".to_owned()) }),
            [first, others @ ..] => {
                if complete
                    && others.iter().all(|other| {
                        knowledge::alike(&Json::Object(first.known()), &Json::Object(other.known()))
                    })
                {
                    let mut canonical = lifted.remove(shortest(&lifted));
                    let paths = differing(&[canonical.clone(), lifted.remove(0)]);
                    canonical.losses.extend(paths.into_iter().map(|path| (path, LossKind::Blanks)));
                    return Ok(canonical);
                }
                Err(LiftFault::Ambiguous(Box::new(Ambiguity {
                    fields: differing(&lifted),
                    agreed: if complete { agreed(&lifted) } else { Map::new() },
                    complete,
                    witness: lifted.swap_remove(0),
                })))
            }
        }
    }

    /// Goes every way through the pattern and keeps the rows that render to the text.
    fn read(
        &self,
        text: &Text,
        filled: bool,
        unseen: usize,
        prompt: &str,
        completion: &str,
        found: &mut Found,
    ) {
        let mut matcher = Matcher::new(&self.pattern, text, filled, unseen);
        let ways = found.ways;
        let gone = matcher.each(self.pattern.start, 0, 0, &mut |events| {
            found.ways += 1;
            let solved = solving::solve(&self.pattern, text, events);
            if let Some(what) = solved.unsolved {
                found.unsolved.get_or_insert(what);
            }
            if found.contradiction.is_none() {
                found.contradiction = solved.contradiction;
            }
            for solution in solved.solutions {
                let candidate = self.candidate(solution);
                let known = candidate.known();
                if found.lifted.iter().any(|other| other.known() == known) {
                    continue;
                }
                match self.verify(&candidate, prompt, completion) {
                    Ok(()) => found.lifted.push(candidate),
                    Err(fault) => {
                        found.differs.get_or_insert(fault);
                    }
                }
            }
            found.ways - ways < WAYS
        });
        found.gave_up |= !matches!(gone, Ok(true));
        if let Some(slot) = matcher.contradicted {
            found.contradiction.get_or_insert_with(|| self.pattern.slots[slot].shows.describe());
        }
        found.furthest = matcher.furthest;
    }

    /// A row with what the template reads of it besides.
    fn candidate(&self, solution: Solution) -> Lifted {
        let Solution { row, mut notes, draws } = solution;
        let mut row = match row {
            Json::Object(row) => row,
            _ => Map::new(),
        };
        for name in &self.variables {
            if !row.contains_key(name) {
                row.insert(name.clone(), Json::from(""));
                notes.assumed.insert(name.clone());
            }
        }
        let mut truncated = Vec::new();
        if self.options.truncate {
            let mut leaves = BTreeMap::new();
            knowledge::leaves(&Json::Object(row.clone()), "", &mut leaves);
            let cut = leaves.into_iter().filter(|(_, value)| value.as_str().is_some_and(looks_cut));
            truncated = cut.map(|(path, _)| path).collect();
        }
        Lifted { row, assumed: notes.assumed, losses: notes.losses, truncated, draws }
    }

    /// Renders a row again: the same texts, or where they differ.
    fn verify(&self, lifted: &Lifted, prompt: &str, completion: &str) -> Result<(), LiftFault> {
        let differs = |completion: bool, at: usize, fault: Option<String>| {
            Err(LiftFault::Differs { completion, at, fault })
        };
        let rendered = {
            let mut left = lifted.draws.iter();
            self.compiled.render_with(&Fields::of(&lifted.row), &mut |count| {
                left.next().copied().unwrap_or_default().min(count.saturating_sub(1))
            })
        };
        let parts = match rendered {
            Ok(parts) => parts,
            Err(fault) => return differs(false, 0, Some(fault.message)),
        };
        let [said, answer] = parts.as_slice() else {
            return differs(false, 0, Some(format!("it renders to {} parts", parts.len())));
        };
        let apart = |a: &str, b: &str| a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
        if said != prompt {
            return differs(false, apart(said, prompt), None);
        }
        if answer != completion {
            return differs(true, apart(answer, completion), None);
        }
        Ok(())
    }
}

/// Whether a text may be what Jinja's `truncate(2048)` leaves of a longer one: cut before a word that
/// would have gone beyond 2,045 characters, and `...`.
fn looks_cut(text: &str) -> bool {
    text.ends_with("...") && (2048 - WORD..=2048).contains(&text.chars().count())
}

/// The row with the least text.
fn shortest(lifted: &[Lifted]) -> usize {
    let length = |one: &Lifted| serde_json::to_string(&one.row).map_or(0, |text| text.len());
    (0..lifted.len()).min_by_key(|at| length(&lifted[*at])).unwrap_or_default()
}

fn known_leaves(one: &Lifted) -> BTreeMap<String, Json> {
    let mut leaves = BTreeMap::new();
    knowledge::leaves(&Json::Object(one.known()), "", &mut leaves);
    leaves
}

/// The paths in which rows differ.
fn differing(lifted: &[Lifted]) -> Vec<String> {
    let all: Vec<BTreeMap<String, Json>> = lifted.iter().map(known_leaves).collect();
    let paths: BTreeSet<&String> = all.iter().flat_map(BTreeMap::keys).collect();
    let mut paths: Vec<String> = paths
        .into_iter()
        .filter(|path| all.iter().any(|leaves| leaves.get(*path) != all[0].get(*path)))
        .map(|path| path.trim_end_matches("[]").to_owned())
        .collect();
    paths.dedup();
    paths
}

/// The fields that are the same in each row; of objects, the entries.
fn agreed(lifted: &[Lifted]) -> Map<String, Json> {
    fn both(a: &Map<String, Json>, b: &Map<String, Json>) -> Map<String, Json> {
        a.iter()
            .filter_map(|(key, a)| match (a, b.get(key)?) {
                (Json::Object(a), Json::Object(b)) => Some((key.clone(), Json::Object(both(a, b)))),
                (a, b) => (a == b).then(|| (key.clone(), a.clone())),
            })
            .filter(|(_, value)| value.as_object().is_none_or(|map| !map.is_empty()))
            .collect()
    }
    let mut all = lifted.iter().map(Lifted::known);
    let first = all.next().unwrap_or_default();
    all.fold(first, |agreed, one| both(&agreed, &one))
}

impl Lifted {
    /// The fields that the template shows: the row without what is [`assumed`](Self::assumed). Items of
    /// lists stay where they are.
    pub fn known(&self) -> Map<String, Json> {
        fn without(map: &Map<String, Json>, path: &str, assumed: &BTreeSet<String>) -> Map<String, Json> {
            map.iter()
                .filter_map(|(key, value)| {
                    let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    if assumed.contains(&path) {
                        return None;
                    }
                    match value {
                        Json::Object(inner) => {
                            let inner = without(inner, &path, assumed);
                            (!inner.is_empty()).then(|| (key.clone(), Json::Object(inner)))
                        }
                        Json::Array(items)
                            if !items.is_empty()
                                && (0..items.len()).all(|at| assumed.contains(&format!("{path}[{at}]"))) =>
                        {
                            None
                        }
                        Json::Array(items) => {
                            let items = items.iter().enumerate().map(|(at, item)| match item {
                                Json::Object(inner) => {
                                    Json::Object(without(inner, &format!("{path}[{at}]"), assumed))
                                }
                                item => item.clone(),
                            });
                            Some((key.clone(), items.collect()))
                        }
                        value => Some((key.clone(), value.clone())),
                    }
                })
                .collect()
        }
        without(&self.row, "", &self.assumed)
    }
}

impl fmt::Display for Unliftable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} can't be turned round", self.construct)?;
        if self.line > 0 { write!(f, " (line {})", self.line) } else { Ok(()) }
    }
}

impl fmt::Display for LiftFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |completion: &bool| if *completion { "completion" } else { "prompt" };
        match self {
            LiftFault::NoMatch { completion, at, expected } if expected.is_empty() => {
                write!(f, "the {} goes on where the template ends it, at byte {at}", part(completion))
            }
            LiftFault::NoMatch { completion, at, expected } => {
                let some: String = expected.chars().take(60).collect();
                write!(f, "the {} lacks the template's {some:?} from byte {at} on", part(completion))
            }
            LiftFault::Contradiction { field } => {
                write!(f, "the text fits only if `{field}` has two values at once")
            }
            LiftFault::Ambiguous(ambiguity) => {
                let Ambiguity { fields, complete, .. } = &**ambiguity;
                let more = if *complete { "" } else { ", and there are more rows than were looked at" };
                write!(f, "several rows render to it; they differ in {}{more}", fields.join(", "))
            }
            LiftFault::Differs { fault: Some(fault), .. } => {
                write!(f, "the row that fits can't be rendered: {fault}")
            }
            LiftFault::Differs { completion, at, fault: None } => {
                write!(f, "the row that fits renders to another {} from byte {at} on", part(completion))
            }
            LiftFault::TooHard { why } => write!(f, "too hard: {why}"),
        }
    }
}

impl std::error::Error for Unliftable {}
impl std::error::Error for LiftFault {}
