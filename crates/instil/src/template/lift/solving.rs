//! From what a way through the pattern shows to the rows that show it.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use serde_json::Value as Json;

use super::LossKind;
use super::expression::{self, Expression as E};
use super::knowledge::{Known, Leaf, Notes, Step};
use super::matching::{Event, Text};
use super::pattern::{Over, Pattern};
use crate::prompt::bonito::python_strip;
use crate::template::engine::PROTECTOR;

/// A row that may have shown what was matched.
#[derive(Clone, Debug)]
pub(super) struct Solution {
    pub(super) row: Json,
    pub(super) notes: Notes,
    /// What each draw has to draw, in the order of rendering.
    pub(super) draws: Vec<usize>,
}

/// What came of one way through the pattern.
#[derive(Debug, Default)]
pub(super) struct Solved {
    pub(super) solutions: Vec<Solution>,
    /// What could not be turned round on this way, so that more rows may fit than were found.
    pub(super) unsolved: Option<String>,
    /// The field whose occurrences do not agree.
    pub(super) contradiction: Option<String>,
}

/// Rows of one way beyond which none is looked for.
const ROWS: usize = 64;

type Turns = Rc<[usize]>;

#[derive(Clone, Debug)]
enum Goal<'a> {
    /// The expression is this; the number of the event that says so.
    Is(&'a E, Turns, Leaf, usize),
    Holds(&'a E, Turns, bool),
    Length(&'a E, Turns, usize),
}

enum Outcome<'a> {
    Done,
    Fails,
    /// Something else has to be known before.
    Waits,
    Ways(Vec<Vec<Goal<'a>>>),
    Unsolved(String),
}

#[derive(Clone, Default)]
struct State {
    row: Known,
    notes: Notes,
    picks: BTreeMap<usize, usize>,
}

struct Solver<'a> {
    pattern: &'a Pattern,
    counts: HashMap<usize, usize>,
    draws: HashMap<usize, usize>,
    found: Solved,
}

/// The rows that show what the events say.
pub(super) fn solve(pattern: &Pattern, text: &Text, events: &[Event]) -> Solved {
    let mut solver =
        Solver { pattern, counts: HashMap::new(), draws: HashMap::new(), found: Solved::default() };
    let mut state = State { row: Known::Map(BTreeMap::new()), ..State::default() };
    let mut goals = Vec::new();
    for (number, event) in events.iter().enumerate() {
        match event {
            Event::Slot { slot, start, end, turns } => {
                let shown = text.text.get(*start..*end).unwrap_or_default();
                let open = (*start == text.start(*start), *end == text.end(*start));
                let leaf = Leaf { value: Json::from(shown), open };
                goals.push(Goal::Is(&pattern.slots[*slot].shows, Rc::clone(turns), leaf, number));
            }
            Event::Test { test, verdict, turns } => {
                goals.push(Goal::Holds(&pattern.tests[*test], Rc::clone(turns), *verdict));
            }
            Event::Ended { number, count, at_edge, turns } => {
                solver.counts.insert(*number, *count);
                let over: Vec<&E> = match &pattern.loops[*number] {
                    Over::Count(of) => vec![of],
                    Over::Lists(lists) => lists.iter().filter(|list| !matches!(list, E::List(_))).collect(),
                };
                for of in over {
                    let name = solver.named(of, turns, &state.row);
                    // Turns that showed nothing may have been eaten by stripping.
                    if *at_edge && pattern.silent[*number] {
                        state.notes.losses.insert((name.clone(), LossKind::Others));
                    }
                    if *count > 1 {
                        state.notes.losses.insert((name, LossKind::Joined));
                    }
                }
                match &pattern.loops[*number] {
                    Over::Count(count_of) => {
                        goals.push(Goal::Is(
                            count_of,
                            Rc::clone(turns),
                            Leaf::closed((*count).into()),
                            usize::MAX,
                        ));
                    }
                    Over::Lists(lists) => {
                        let ended =
                            lists.iter().any(|list| matches!(list, E::List(items) if items.len() == *count));
                        for list in lists.iter().filter(|_| !ended) {
                            goals.push(Goal::Length(list, Rc::clone(turns), *count));
                        }
                        if lists.iter().any(|list| matches!(list, E::List(items) if items.len() < *count)) {
                            return solver.found;
                        }
                    }
                }
            }
            Event::Drawn { number: draw, option } => {
                solver.draws.insert(*draw, *option);
                state.picks.insert(number, *option);
            }
        }
    }
    solver.run(state, goals);
    solver.found
}

impl<'a> Solver<'a> {
    fn run(&mut self, mut state: State, mut goals: Vec<Goal<'a>>) {
        if self.found.solutions.len() >= ROWS {
            self.found.unsolved.get_or_insert_with(|| "more rows fit than are looked at".to_owned());
            return;
        }
        loop {
            // First everything that follows from what is known.
            let mut waiting: Vec<Goal<'a>> = Vec::new();
            let mut ways: Option<(usize, Vec<Vec<Goal<'a>>>)> = None;
            let mut progress = false;
            for goal in goals {
                match self.reach(&goal, &mut state, false) {
                    Outcome::Waits => waiting.push(goal),
                    Outcome::Ways(all) if all.len() != 1 => {
                        ways.get_or_insert((waiting.len(), all));
                        waiting.push(goal);
                    }
                    outcome => {
                        progress = true;
                        match self.settled(outcome, &goal) {
                            Some(more) => waiting.extend(more),
                            None => return,
                        }
                    }
                }
            }
            goals = waiting;
            if goals.is_empty() {
                let mut notes = state.notes;
                let row = state.row.settle("", &mut notes);
                self.found.solutions.push(Solution {
                    row,
                    notes,
                    draws: state.picks.into_values().collect(),
                });
                return;
            }
            if progress {
                continue;
            }
            // Then each of several ways; at last something is assumed, of what is shown before what is asked.
            if ways.is_none() {
                let mut order: Vec<usize> = (0..goals.len()).collect();
                order.sort_by_key(|at| matches!(goals[*at], Goal::Holds(..)));
                let mut forced = None;
                for at in order {
                    let mut trial = state.clone();
                    match self.reach(&goals[at], &mut trial, true) {
                        Outcome::Waits => {}
                        outcome => {
                            forced = Some((at, outcome, trial));
                            break;
                        }
                    }
                }
                let Some((at, outcome, trial)) = forced else {
                    self.found
                        .unsolved
                        .get_or_insert_with(|| "conditions that depend on one another".to_owned());
                    return;
                };
                state = trial;
                match outcome {
                    Outcome::Ways(all) if all.len() != 1 => ways = Some((at, all)),
                    outcome => {
                        let goal = goals.remove(at);
                        match self.settled(outcome, &goal) {
                            Some(more) => goals.extend(more),
                            None => return,
                        }
                        continue;
                    }
                }
            }
            if let Some((at, ways)) = ways {
                goals.remove(at);
                for way in ways {
                    let mut all = goals.clone();
                    all.extend(way);
                    self.run(state.clone(), all);
                }
                return;
            }
        }
    }

    /// The goals that follow from an outcome; none when there is no row on this way.
    fn settled(&mut self, outcome: Outcome<'a>, goal: &Goal<'a>) -> Option<Vec<Goal<'a>>> {
        match outcome {
            Outcome::Done => Some(Vec::new()),
            Outcome::Ways(mut all) => Some(if all.is_empty() { Vec::new() } else { all.swap_remove(0) }),
            Outcome::Waits => Some(vec![goal.clone()]),
            Outcome::Fails => {
                if let Goal::Is(shows, ..) | Goal::Length(shows, ..) = goal {
                    self.found.contradiction.get_or_insert_with(|| shows.describe());
                }
                None
            }
            Outcome::Unsolved(what) => {
                self.found.unsolved.get_or_insert(what);
                None
            }
        }
    }

    fn reach(&self, goal: &Goal<'a>, state: &mut State, force: bool) -> Outcome<'a> {
        match goal {
            Goal::Is(shows, turns, leaf, event) => self.is(shows, turns, leaf, *event, state, force),
            Goal::Holds(test, turns, verdict) => self.holds(test, turns, *verdict, state, force),
            Goal::Length(list, turns, count) => self.length(list, turns, *count, state),
        }
    }

    fn length(&self, list: &'a E, turns: &Turns, count: usize, state: &mut State) -> Outcome<'a> {
        match list {
            E::List(items) => done(items.len() == count),
            E::Slice(of, start, stop) => match (start.unwrap_or(0), *stop) {
                (start, None) if start >= 0 => {
                    self.length(of, turns, count + usize::try_from(start).unwrap_or(0), state)
                }
                (0, Some(stop)) if stop < 0 => {
                    self.length(of, turns, count + usize::try_from(-stop).unwrap_or(0), state)
                }
                _ => Outcome::Unsolved("the length of a slice".to_owned()),
            },
            list => match self.locate(list, turns, &state.row) {
                Some(path) => done(state.row.reach(&path).is_some_and(|known| known.tell_length(count))),
                None => Outcome::Unsolved(format!("the length of {}", list.describe())),
            },
        }
    }

    fn is(
        &self,
        shows: &'a E,
        turns: &Turns,
        leaf: &Leaf,
        event: usize,
        state: &mut State,
        force: bool,
    ) -> Outcome<'a> {
        let is = |of: &'a E, leaf: Leaf| Goal::Is(of, Rc::clone(turns), leaf, event);
        let text = leaf.value.as_str();
        let shows = self.written(shows, turns, &state.row);
        match shows {
            E::Constant(_) | E::Turn(_) | E::Draw(_) => {
                done(self.value(shows, turns, &state.row).is_some_and(|value| same(&value, leaf)))
            }
            E::Item(of, key) => {
                let at = self.value(key, turns, &state.row);
                match (self.written(of, turns, &state.row), at) {
                    (E::List(items), Some(at)) => match expression::place(&at, items.len()) {
                        Some(at) => Outcome::Ways(vec![vec![is(&items[at], leaf.clone())]]),
                        None => Outcome::Fails,
                    },
                    (E::List(items), None) => {
                        let possible = |(_, item): &(usize, &E)| self.possible(item, turns, leaf, &state.row);
                        let ways = items.iter().enumerate().filter(possible);
                        let way = |(at, item): (usize, &'a E)| {
                            vec![is(item, leaf.clone()), is(key, Leaf::closed(at.into()))]
                        };
                        ways_or_fail(ways.map(way).collect())
                    }
                    (E::Map(entries), at) => {
                        let ways = entries.iter().filter_map(|(k, item)| {
                            let named = self.value(k, turns, &state.row)?;
                            (at.as_ref().is_none_or(|at| *at == named)
                                && self.possible(item, turns, leaf, &state.row))
                            .then(|| vec![is(item, leaf.clone()), is(key, Leaf::closed(named))])
                        });
                        ways_or_fail(ways.collect())
                    }
                    (_, Some(_)) => self.tell(shows, turns, leaf, state),
                    (of, None) => {
                        // An item at an unknown place of a list.
                        let Some(path) = self.locate(of, turns, &state.row) else { return Outcome::Waits };
                        let known = state.row.find(&path).and_then(Known::items);
                        if let Some(items) = known {
                            let open = opened(of, leaf);
                            let ways = items.iter().enumerate().filter(|(_, item)| same(item, &open));
                            return ways_or_fail(
                                ways.map(|(at, _)| vec![is(key, Leaf::closed(at.into()))]).collect(),
                            );
                        }
                        if !force {
                            return Outcome::Waits;
                        }
                        // Nothing else shows the list: it is the only item known of it.
                        state.notes.losses.insert((self.named(of, turns, &state.row), LossKind::Others));
                        let mut path = path;
                        path.push(Step::At(0));
                        if !state.row.tell(&path, &opened(of, leaf)) {
                            return Outcome::Fails;
                        }
                        Outcome::Ways(vec![vec![is(key, Leaf::closed(0.into()))]])
                    }
                }
            }
            E::If(test, a, b) => Outcome::Ways(vec![
                vec![Goal::Holds(test, Rc::clone(turns), true), is(a, leaf.clone())],
                vec![Goal::Holds(test, Rc::clone(turns), false), is(b, leaf.clone())],
            ]),
            E::Sum(a, b) | E::Difference(a, b) => {
                let number = match &leaf.value {
                    Json::Number(number) => number.as_i64(),
                    Json::String(text) => text.parse().ok(),
                    _ => None,
                };
                let Some(number) = number else { return Outcome::Fails };
                let sum = matches!(shows, E::Sum(..));
                let known = |of: &E| self.value(of, turns, &state.row).and_then(|value| value.as_i64());
                match (known(a), known(b)) {
                    (Some(a), Some(b)) => done(number == if sum { a + b } else { a - b }),
                    (Some(a), None) => {
                        let b_is = if sum { number - a } else { a - number };
                        Outcome::Ways(vec![vec![is(b, Leaf::closed(b_is.into()))]])
                    }
                    (None, Some(b)) => {
                        let a_is = if sum { number - b } else { number + b };
                        Outcome::Ways(vec![vec![is(a, Leaf::closed(a_is.into()))]])
                    }
                    (None, None) if force => Outcome::Unsolved("a sum of two unknown numbers".to_owned()),
                    (None, None) => Outcome::Waits,
                }
            }
            E::Filter(name, of, arguments) => match (name.as_str(), text) {
                ("trim" | "lower" | "upper" | "capitalize", Some(text)) => {
                    let arguments_known: Vec<E> = arguments.clone();
                    let changed = expression::apply(name, text, &arguments_known);
                    // Blanks that stripping ate would be eaten by `trim` just as well.
                    if changed.as_deref() != Some(text) {
                        return Outcome::Fails;
                    }
                    if let Some(known) = self.value(of, turns, &state.row) {
                        let again =
                            known.as_str().and_then(|known| expression::apply(name, known, arguments));
                        return done(again.is_some_and(|again| same(&again.into(), leaf)));
                    }
                    // Another filter or another place may show more of it.
                    if !force && !self.alone(of) {
                        return Outcome::Waits;
                    }
                    // The end of the text is shown as it is: only its start can have been changed.
                    let path = self.locate(of, turns, &state.row);
                    let end = path.and_then(|path| state.row.find(&path)).and_then(Known::tail);
                    if let Some((from, tail)) = end {
                        let whole: String = text.chars().take(from).chain(tail.chars()).collect();
                        if expression::apply(name, &whole, arguments).as_deref() == Some(text) {
                            state
                                .notes
                                .losses
                                .insert((self.named(of, turns, &state.row), LossKind::Filtered));
                            return Outcome::Ways(vec![vec![is(
                                of,
                                Leaf { value: whole.into(), open: leaf.open },
                            )]]);
                        }
                    }
                    state.notes.losses.insert((self.named(of, turns, &state.row), LossKind::Filtered));
                    let open = if name == "trim" {
                        Leaf { value: leaf.value.clone(), open: (true, true) }
                    } else {
                        leaf.clone()
                    };
                    Outcome::Ways(vec![vec![is(of, open)]])
                }
                ("string" | "safe" | "list", _) => Outcome::Ways(vec![vec![is(of, leaf.clone())]]),
                ("stripped", _) => {
                    Outcome::Ways(vec![vec![is(of, Leaf { value: leaf.value.clone(), open: (true, true) })]])
                }
                ("int", text) => {
                    let number = match text {
                        Some(text) => text.parse::<i64>().ok(),
                        None => leaf.value.as_i64(),
                    };
                    let Some(number) = number else { return Outcome::Fails };
                    match self.value(of, turns, &state.row) {
                        Some(Json::Number(known)) => done(known.as_i64() == Some(number)),
                        Some(Json::String(known)) => done(python_strip(&known).parse() == Ok(number)),
                        Some(_) => Outcome::Fails,
                        // What has to be made a number is a text.
                        None => Outcome::Ways(vec![vec![is(of, Leaf::closed(number.to_string().into()))]]),
                    }
                }
                ("replace", Some(text)) => {
                    self.replaced(of, arguments, turns, text, leaf, event, state, force)
                }
                ("join", Some(text)) => self.joined(of, arguments, turns, text, leaf, state),
                ("choice", Some(_)) => self.chosen(of, turns, leaf, event, state, force),
                ("index", _) => {
                    let number = match text {
                        Some(text) => text.parse::<usize>().ok(),
                        None => leaf.value.as_u64().and_then(|n| usize::try_from(n).ok()),
                    };
                    match (number, arguments.first()) {
                        (Some(number), Some(key)) => self.placed(of, key, number, turns, event, state, force),
                        _ => Outcome::Fails,
                    }
                }
                ("length" | "count", _) => {
                    let number = match text {
                        Some(text) => text.parse::<usize>().ok(),
                        None => leaf.value.as_u64().and_then(|n| usize::try_from(n).ok()),
                    };
                    match number {
                        Some(number) => Outcome::Ways(vec![vec![Goal::Length(of, Rc::clone(turns), number)]]),
                        None => Outcome::Fails,
                    }
                }
                _ => self.tell(shows, turns, leaf, state),
            },
            E::Field(_) | E::Slice(..) => self.tell(shows, turns, leaf, state),
            other => match self.value(other, turns, &state.row) {
                Some(value) => done(same(&value, leaf)),
                None => Outcome::Unsolved(other.describe()),
            },
        }
    }

    /// Whether an expression is read nowhere else in the template.
    fn alone(&self, of: &E) -> bool {
        let whole =
            |e: &E| if let E::Item(of, _) | E::Slice(of, ..) = e { (**of).clone() } else { e.clone() };
        let root = whole(of);
        self.pattern.slots.iter().filter(|slot| mentions(&slot.shows, &root)).count() <= 1
    }

    /// Whether an expression may be this, as far as constants and known values say.
    fn possible(&self, item: &E, turns: &Turns, leaf: &Leaf, row: &Known) -> bool {
        match item {
            E::Filter(name, of, _) if name == "stripped" => {
                self.possible(of, turns, &Leaf { value: leaf.value.clone(), open: (true, true) }, row)
            }
            item => self.value(item, turns, row).is_none_or(|value| same(&value, leaf)),
        }
    }

    /// `list | join(separator)`.
    fn joined(
        &self,
        of: &'a E,
        arguments: &[E],
        turns: &Turns,
        text: &str,
        leaf: &Leaf,
        state: &mut State,
    ) -> Outcome<'a> {
        let separator = match arguments.first() {
            Some(E::Constant(Json::String(separator))) if !separator.is_empty() => separator.as_str(),
            _ => {
                return Outcome::Unsolved(format!(
                    "the items of {}, joined without a separator",
                    of.describe()
                ));
            }
        };
        let (list, start, missing) = match of {
            E::Slice(of, start, stop) => {
                let (start, stop) = (start.unwrap_or(0), stop.unwrap_or(0));
                if start < 0 || stop > 0 {
                    return Outcome::Unsolved(format!("a slice of {}", of.describe()));
                }
                (&**of, usize::try_from(start).unwrap_or(0), usize::try_from(-stop).unwrap_or(0))
            }
            of => (of, 0, 0),
        };
        let Some(path) = self.locate(list, turns, &state.row) else {
            return Outcome::Unsolved(format!("the items of {}", of.describe()));
        };
        let mut parts: Vec<Leaf> = text.split(separator).map(|part| Leaf::closed(part.into())).collect();
        // Stripping may have eaten the blanks of a separator behind which there was nothing.
        let bare = separator.trim_end();
        if leaf.open.1
            && bare.len() < separator.len()
            && let Some(Leaf { value: Json::String(last), .. }) = parts.last_mut()
            && let Some(rest) = last.strip_suffix(bare)
            && !bare.is_empty()
        {
            *last = rest.to_owned();
            parts.push(Leaf::closed("".into()));
        }
        if text.is_empty() {
            parts.clear();
        }
        if let Some(first) = parts.first_mut() {
            first.open.0 = leaf.open.0;
        }
        if let Some(last) = parts.last_mut() {
            last.open.1 = leaf.open.1;
        }
        for part in &mut parts {
            *part = opened(list, part);
        }
        if parts.len() > 1 {
            state.notes.losses.insert((self.named(list, turns, &state.row), LossKind::Joined));
        }
        done(state.row.reach(&path).is_some_and(|known| known.tell_slice(&parts, start, missing)))
    }

    /// `text | replace(old, new)`.
    #[allow(clippy::too_many_arguments, reason = "the parts of one goal")]
    fn replaced(
        &self,
        of: &'a E,
        arguments: &'a [E],
        turns: &Turns,
        text: &str,
        leaf: &Leaf,
        event: usize,
        state: &mut State,
        force: bool,
    ) -> Outcome<'a> {
        let (Some(E::Constant(Json::String(old))), Some(new)) = (arguments.first(), arguments.get(1)) else {
            return Outcome::Unsolved(format!("what was replaced in {}", of.describe()));
        };
        let Some(Json::String(new)) = self.value(new, turns, &state.row) else {
            return if force {
                Outcome::Unsolved(format!("a replacement of unknown text in {}", of.describe()))
            } else {
                Outcome::Waits
            };
        };
        if let Some(known) = self.value(of, turns, &state.row) {
            let again = known.as_str().map(|known| known.replace(old.as_str(), &new));
            return done(again.is_some_and(|again| same(&again.into(), leaf)));
        }
        if !old.is_empty() && text.contains(old.as_str()) && !new.contains(old.as_str()) {
            return Outcome::Fails;
        }
        let is = |text: String| {
            vec![Goal::Is(of, Rc::clone(turns), Leaf { value: text.into(), open: leaf.open }, event)]
        };
        let places: Vec<usize> = if new.is_empty() {
            Vec::new()
        } else {
            text.match_indices(new.as_str()).map(|(at, _)| at).collect()
        };
        if new.is_empty() {
            state.notes.losses.insert((self.named(of, turns, &state.row), LossKind::Filtered));
            return Outcome::Ways(vec![is(text.to_owned())]);
        }
        // A blank that may have been an underscore was one: the names of columns and relations have no blanks.
        let name = old == "_" && new == " ";
        match places.len() {
            0 => Outcome::Ways(vec![is(text.to_owned())]),
            _ if name => {
                state.notes.losses.insert((self.named(of, turns, &state.row), LossKind::Filtered));
                Outcome::Ways(vec![is(text.replace(new.as_str(), old))])
            }
            // Where the new text stands it may have stood before; each is a way.
            count @ 1..=4 => {
                let ways = (0..1_usize << count).map(|mask| {
                    let mut before = String::new();
                    let mut from = 0;
                    for (i, at) in places.iter().enumerate() {
                        before.push_str(&text[from..*at]);
                        before.push_str(if mask & (1 << i) > 0 { old } else { &new });
                        from = at + new.len();
                    }
                    before.push_str(&text[from..]);
                    is(before)
                });
                Outcome::Ways(ways.collect())
            }
            _ => Outcome::Unsolved(format!("a replacement in {} at many places", of.describe())),
        }
    }

    /// `list | choice`.
    fn chosen(
        &self,
        of: &'a E,
        turns: &Turns,
        leaf: &Leaf,
        event: usize,
        state: &mut State,
        force: bool,
    ) -> Outcome<'a> {
        if let E::List(items) = of {
            let ways: Vec<(usize, Vec<Goal<'a>>)> = items
                .iter()
                .enumerate()
                .filter(|(_, item)| self.possible(item, turns, leaf, &state.row))
                .map(|(at, item)| (at, vec![Goal::Is(item, Rc::clone(turns), leaf.clone(), event)]))
                .collect();
            if let [(at, _)] = ways[..] {
                state.picks.insert(event, at);
            }
            if ways.len() > 1 && !force {
                return Outcome::Waits;
            }
            if let Some((at, _)) = ways.first() {
                state.picks.insert(event, *at);
            }
            return ways_or_fail(ways.into_iter().map(|(_, way)| way).collect());
        }
        let Some(path) = self.locate(of, turns, &state.row) else {
            return Outcome::Unsolved(format!("a choice from {}", of.describe()));
        };
        let (path, behind) = self.split_attribute(of, path);
        let known = match state.row.find(&path) {
            Some(Known::List { length: Some(length), .. }) => Some(*length),
            _ => None,
        };
        if let Some(length) = known {
            let open = opened(of, leaf);
            let at = (0..length).find(|at| {
                let mut path = path.clone();
                path.push(Step::At(i64::try_from(*at).unwrap_or(i64::MAX)));
                path.extend(behind.clone());
                state.row.find(&path).and_then(Known::leaf).is_some_and(|item| same(item, &open))
            });
            return match at {
                Some(at) => {
                    state.picks.insert(event, at);
                    Outcome::Done
                }
                None => Outcome::Fails,
            };
        }
        if !force {
            return Outcome::Waits;
        }
        // Nothing else shows the list: its items are those that were drawn.
        state.notes.losses.insert((self.named(of, turns, &state.row), LossKind::Others));
        let open = opened(of, leaf);
        for at in 0.. {
            let mut item = path.clone();
            item.push(Step::At(at));
            item.extend(behind.iter().cloned());
            let there = state.row.find(&item).and_then(Known::leaf);
            if there.is_none_or(|there| same(there, &open)) {
                state.picks.insert(event, usize::try_from(at).unwrap_or_default());
                return done(state.row.tell(&item, &open));
            }
        }
        Outcome::Fails
    }

    /// `list.index(key)`.
    #[allow(clippy::too_many_arguments, reason = "the parts of one goal")]
    fn placed(
        &self,
        list: &'a E,
        key: &'a E,
        at: usize,
        turns: &Turns,
        event: usize,
        state: &mut State,
        force: bool,
    ) -> Outcome<'a> {
        let is = |of: &'a E, value: Json| vec![Goal::Is(of, Rc::clone(turns), Leaf::closed(value), event)];
        if let Some(items) = self.values(list, turns, &state.row) {
            return match items.get(at) {
                Some(item) => Outcome::Ways(vec![is(key, item.clone())]),
                None => Outcome::Fails,
            };
        }
        let Some(path) = self.locate(list, turns, &state.row) else {
            return Outcome::Unsolved(format!("a place in {}", list.describe()));
        };
        let number = i64::try_from(at).unwrap_or(i64::MAX);
        let mut at_path = path.clone();
        at_path.push(Step::At(number));
        let there = state.row.find(&at_path).and_then(Known::leaf).cloned();
        let sought = self.value(key, turns, &state.row);
        match (there, sought) {
            (Some(there), Some(sought)) => done(there == sought),
            (Some(there), None) => Outcome::Ways(vec![is(key, there)]),
            _ if !force => Outcome::Waits,
            (None, sought) => {
                // Nothing shows the list's items: letters do.
                let key_unknown = sought.is_none();
                let sought = sought.unwrap_or_else(|| letter(at).into());
                for before in 0..at {
                    let mut path = path.clone();
                    path.push(Step::At(i64::try_from(before).unwrap_or(i64::MAX)));
                    if state.row.find(&path).is_none() {
                        let mut other = letter(before);
                        if sought.as_str() == Some(other.as_str()) {
                            other.push('\'');
                        }
                        state.row.tell(&path, &Leaf::closed(other.into()));
                        state.notes.assumed.insert(name(&path));
                    }
                }
                state.notes.assumed.insert(name(&at_path));
                if !state.row.tell(&at_path, &Leaf::closed(sought.clone())) {
                    return Outcome::Fails;
                }
                if key_unknown {
                    state.notes.assumed.insert(self.named(key, turns, &state.row));
                }
                Outcome::Ways(vec![is(key, sought)])
            }
        }
    }

    fn tell(&self, shows: &E, turns: &Turns, leaf: &Leaf, state: &mut State) -> Outcome<'a> {
        let Some(path) = self.locate(shows, turns, &state.row) else {
            return match self.value(shows, turns, &state.row) {
                Some(value) => done(same(&value, leaf)),
                None => Outcome::Unsolved(shows.describe()),
            };
        };
        let leaf = match shows {
            E::Item(of, _) => opened(of, leaf),
            _ => leaf.clone(),
        };
        // A number elsewhere in the dataset is one here.
        let leaf = match &leaf.value {
            Json::String(text) if self.pattern.integers.contains(shows) => match text.parse::<i64>() {
                Ok(number) if number.to_string() == *text => Leaf::closed(number.into()),
                _ => leaf,
            },
            _ => leaf,
        };
        // What the engine stands in for the separator is the separator in the row.
        let leaf = match &leaf.value {
            Json::String(text) if text.contains(PROTECTOR) => {
                Leaf { value: text.replace(PROTECTOR, "|||").into(), open: leaf.open }
            }
            _ => leaf,
        };
        done(state.row.tell(&path, &leaf))
    }

    fn holds(
        &self,
        test: &'a E,
        turns: &Turns,
        verdict: bool,
        state: &mut State,
        force: bool,
    ) -> Outcome<'a> {
        if let Some(known) = self.truth(test, turns, &state.row) {
            return done(known == verdict);
        }
        let holds = |test: &'a E, verdict: bool| Goal::Holds(test, Rc::clone(turns), verdict);
        match (test, verdict) {
            (E::Not(test), _) => Outcome::Ways(vec![vec![holds(test, !verdict)]]),
            (E::And(a, b), true) => Outcome::Ways(vec![vec![holds(a, true), holds(b, true)]]),
            (E::And(a, b), false) => {
                Outcome::Ways(vec![vec![holds(a, false)], vec![holds(a, true), holds(b, false)]])
            }
            (E::Or(a, b), true) => {
                Outcome::Ways(vec![vec![holds(a, true)], vec![holds(a, false), holds(b, true)]])
            }
            (E::Or(a, b), false) => Outcome::Ways(vec![vec![holds(a, false), holds(b, false)]]),
            (E::Equal(a, b), _) => {
                let known = (self.value(a, turns, &state.row), self.value(b, turns, &state.row));
                let (other, value) = match known {
                    (Some(value), None) => (&**b, Some(value)),
                    (None, Some(value)) => (&**a, Some(value)),
                    _ => (&**a, None),
                };
                let is =
                    |of: &'a E, value: Json| Goal::Is(of, Rc::clone(turns), Leaf::closed(value), usize::MAX);
                match value {
                    Some(value) if verdict => Outcome::Ways(vec![vec![is(other, value)]]),
                    _ if !force => Outcome::Waits,
                    Some(value) if self.locate(other, turns, &state.row).is_none() => {
                        // Of something computed: some value that makes it another.
                        self.mark(other, turns, state);
                        Outcome::Ways(vec![vec![is(other, different(&value))]])
                    }
                    Some(value) => self.assume(other, turns, different(&value), state),
                    None => match self.assume(a, turns, "A".into(), state) {
                        Outcome::Done if verdict => {
                            state.notes.assumed.insert(self.named(b, turns, &state.row));
                            Outcome::Ways(vec![vec![is(b, "A".into())]])
                        }
                        Outcome::Done => self.assume(b, turns, "B".into(), state),
                        other => other,
                    },
                }
            }
            // Whether a text holds another, and what only rendering can tell: checked there.
            (E::In(..) | E::Opaque | E::Last(_), _) => {
                if force {
                    Outcome::Done
                } else {
                    Outcome::Waits
                }
            }
            (_, _) if !force => Outcome::Waits,
            (test, verdict) => self.assume(test, turns, verdict.into(), state),
        }
    }

    /// Makes up a value that nothing shows.
    fn assume(&self, of: &E, turns: &Turns, value: Json, state: &mut State) -> Outcome<'a> {
        let Some(path) = self.locate(of, turns, &state.row) else {
            // A condition on something computed: rendering checks it.
            return Outcome::Done;
        };
        state.notes.assumed.insert(name(&path));
        done(state.row.tell(&path, &Leaf::closed(value)))
    }

    /// The path of what an expression reads, for notes.
    fn named(&self, of: &E, turns: &Turns, row: &Known) -> String {
        let below = match of {
            E::Filter(_, below, _) | E::Slice(below, ..) => Some(&**below),
            _ => None,
        };
        match (self.locate(of, turns, row), below) {
            (Some(path), _) => name(&path),
            (None, Some(below)) => self.named(below, turns, row),
            (None, None) => of.describe(),
        }
    }

    /// Notes the fields that an expression reads as made up.
    fn mark(&self, expression: &E, turns: &Turns, state: &mut State) {
        match expression {
            E::Field(_) | E::Item(..) => {
                state.notes.assumed.insert(self.named(expression, turns, &state.row));
            }
            E::Sum(a, b) | E::Difference(a, b) => {
                self.mark(a, turns, state);
                self.mark(b, turns, state);
            }
            E::Filter(_, of, _) | E::Slice(of, ..) => self.mark(of, turns, state),
            _ => {}
        }
    }

    /// An item of a list or map that the template writes out: the expression that it is.
    fn written<'e>(&self, of: &'e E, turns: &Turns, row: &Known) -> &'e E {
        let E::Item(list, key) = of else { return of };
        let found = match self.written(list, turns, row) {
            E::List(items) => self
                .value(key, turns, row)
                .and_then(|key| expression::place(&key, items.len()))
                .and_then(|at| items.get(at)),
            E::Map(entries) => self.value(key, turns, row).and_then(|key| {
                entries.iter().find(|(k, _)| self.value(k, turns, row).as_ref() == Some(&key)).map(|(_, v)| v)
            }),
            _ => None,
        };
        found.map_or(of, |found| self.written(found, turns, row))
    }

    /// Where in the row an expression's value is.
    fn locate(&self, of: &E, turns: &Turns, row: &Known) -> Option<Vec<Step>> {
        match self.written(of, turns, row) {
            E::Field(name) => Some(vec![Step::Key(name.clone())]),
            E::Item(of, key) => match self.value(key, turns, row)? {
                Json::String(key) => {
                    let mut path = self.locate(of, turns, row)?;
                    path.push(Step::Key(key));
                    Some(path)
                }
                Json::Number(at) => {
                    let at = at.as_i64()?;
                    if self.pattern.texts.contains(of) {
                        let mut path = self.locate(of, turns, row)?;
                        path.push(Step::Character(usize::try_from(at).ok()?));
                        return Some(path);
                    }
                    match &**of {
                        E::List(items) => {
                            self.locate(items.get(expression::place(&at.into(), items.len())?)?, turns, row)
                        }
                        E::Slice(of, start, stop) => {
                            let mut path = self.locate(of, turns, row)?;
                            path.push(Step::At(if at < 0 {
                                at + stop.filter(|stop| *stop < 0).unwrap_or(0)
                            } else {
                                at + start.filter(|start| *start > 0).unwrap_or(0)
                            }));
                            Some(path)
                        }
                        of => {
                            let path = self.locate(of, turns, row)?;
                            let (mut path, behind) = self.split_attribute(of, path);
                            path.push(Step::At(at));
                            path.extend(behind);
                            Some(path)
                        }
                    }
                }
                _ => None,
            },
            E::Slice(of, Some(start), None) if self.pattern.texts.contains(of) => {
                let mut path = self.locate(of, turns, row)?;
                path.push(Step::Tail(usize::try_from(*start).ok()?));
                Some(path)
            }
            E::Filter(name, of, arguments) => match (name.as_str(), arguments.as_slice()) {
                ("split", [E::Constant(Json::String(separator))]) => {
                    let mut path = self.locate(of, turns, row)?;
                    path.push(Step::Parted(separator.replace(PROTECTOR, "|||")));
                    Some(path)
                }
                ("attribute", [E::Constant(Json::String(key))]) => {
                    let mut path = self.locate(of, turns, row)?;
                    path.push(Step::Key(key.clone()));
                    Some(path)
                }
                ("filled" | "list" | "choices" | "string" | "safe" | "stripped", []) => {
                    self.locate(of, turns, row)
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// For `list | map(attribute="a")`: the path of the list, and what follows behind an item.
    fn split_attribute(&self, of: &E, mut path: Vec<Step>) -> (Vec<Step>, Vec<Step>) {
        let mut of = of;
        while let E::Filter(name, inner, _) = of {
            match name.as_str() {
                "attribute" => {
                    let key = path.pop();
                    return (path, key.into_iter().collect());
                }
                "list" | "filled" => of = inner,
                _ => break,
            }
        }
        (path, Vec::new())
    }

    /// The value of an expression, where what is known tells it.
    fn value(&self, of: &E, turns: &Turns, row: &Known) -> Option<Json> {
        let of = self.written(of, turns, row);
        match of {
            E::Constant(value) => Some(value.clone()),
            E::Turn(number) => turns.get(*number).map(|turn| (*turn).into()),
            E::Draw(number) => self.draws.get(number).map(|option| (*option).into()),
            E::Last(number) => {
                let (turn, count) = (turns.get(*number)?, self.counts.get(number)?);
                Some((turn + 1 == *count).into())
            }
            E::Sum(a, b) | E::Difference(a, b) => {
                let (a, b) = (self.value(a, turns, row)?.as_i64()?, self.value(b, turns, row)?.as_i64()?);
                Some(if matches!(of, E::Sum(..)) { a.checked_add(b)? } else { a.checked_sub(b)? }.into())
            }
            E::Equal(..) | E::In(..) | E::Not(_) | E::And(..) | E::Or(..) => {
                self.truth(of, turns, row).map(Json::Bool)
            }
            E::If(test, a, b) => {
                let verdict = self.truth(test, turns, row)?;
                self.value(if verdict { a } else { b }, turns, row)
            }
            E::Filter(name, inner, arguments) => match name.as_str() {
                "join" => {
                    let separator = match arguments.first() {
                        Some(E::Constant(Json::String(separator))) => separator.as_str(),
                        None => "",
                        Some(_) => return None,
                    };
                    let texts: Vec<String> = self.values(inner, turns, row)?.iter().map(display).collect();
                    Some(texts.join(separator).into())
                }
                "length" | "count" => self.values(inner, turns, row).map(|items| items.len().into()),
                "index" => {
                    let key = self.value(arguments.first()?, turns, row)?;
                    self.values(inner, turns, row)?.iter().position(|item| *item == key).map(Into::into)
                }
                "int" => match self.value(inner, turns, row)? {
                    Json::String(text) => python_strip(&text).parse::<i64>().ok().map(Into::into),
                    number @ Json::Number(_) => Some(number),
                    _ => None,
                },
                "trim" | "lower" | "upper" | "capitalize" | "replace" | "stripped" => {
                    let text = self.value(inner, turns, row)?;
                    let arguments: Option<Vec<E>> =
                        arguments.iter().map(|a| self.value(a, turns, row).map(E::Constant)).collect();
                    expression::apply(name, &display(&text), &arguments?).map(Into::into)
                }
                "string" | "safe" => self.value(inner, turns, row).map(|value| display(&value).into()),
                "choice" => None,
                _ => row.find(&self.locate(of, turns, row)?)?.single(),
            },
            E::Field(_) | E::Item(..) => row.find(&self.locate(of, turns, row)?)?.single(),
            E::Slice(..) | E::List(_) | E::Map(_) | E::Concat(_) | E::Opaque => None,
        }
    }

    /// The items of a list, where all of them are known.
    fn values(&self, list: &E, turns: &Turns, row: &Known) -> Option<Vec<Json>> {
        match list {
            E::List(items) => items.iter().map(|item| self.value(item, turns, row)).collect(),
            E::Filter(name, of, _) if name == "choices" => {
                let items = self.values(of, turns, row)?;
                Some(items.iter().map(|item| python_strip(&display(item)).into()).collect())
            }
            list => {
                let path = self.locate(list, turns, row)?;
                Some(row.find(&path)?.items()?.into_iter().cloned().collect())
            }
        }
    }

    fn truth(&self, test: &E, turns: &Turns, row: &Known) -> Option<bool> {
        match test {
            E::Not(test) => self.truth(test, turns, row).map(|verdict| !verdict),
            E::And(a, b) => match (self.truth(a, turns, row), self.truth(b, turns, row)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            },
            E::Or(a, b) => match (self.truth(a, turns, row), self.truth(b, turns, row)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
            E::Equal(a, b) => match (self.value(a, turns, row), self.value(b, turns, row)) {
                (Some(a), Some(b)) => Some(a == b),
                // What has some text is not empty.
                (None, Some(empty)) | (Some(empty), None) if empty == "" => {
                    let other = if matches!(**b, E::Constant(_)) { a } else { b };
                    let known = row.find(&self.locate(other, turns, row)?)?;
                    (known.truth() == Some(true)).then_some(false)
                }
                _ => None,
            },
            E::In(a, b) => {
                let a = self.value(a, turns, row)?;
                if let Some(items) = self.values(b, turns, row) {
                    return Some(items.contains(&a));
                }
                match (a, self.value(b, turns, row)?) {
                    (Json::String(a), Json::String(b)) => Some(b.contains(&a)),
                    _ => None,
                }
            }
            E::Opaque => None,
            test => {
                if let Some(path) = self.locate(test, turns, row) {
                    return row.find(&path)?.truth();
                }
                Some(match self.value(test, turns, row)? {
                    Json::Bool(verdict) => verdict,
                    Json::String(text) => !text.is_empty(),
                    Json::Number(number) => number.as_f64() != Some(0.0),
                    Json::Null => false,
                    _ => return None,
                })
            }
        }
    }
}

/// A path as messages say it: `choices.text[0]`. What is a part of a text counts as the text.
fn name(path: &[Step]) -> String {
    let mut name = String::new();
    for step in path {
        match step {
            Step::Key(key) if name.is_empty() => name.push_str(key),
            Step::Key(key) => {
                name.push('.');
                name.push_str(key);
            }
            Step::At(at) => name.push_str(&format!("[{at}]")),
            Step::Parted(_) | Step::Tail(_) | Step::Character(_) => break,
        }
    }
    name
}

/// Whether an expression reads another.
fn mentions(expression: &E, other: &E) -> bool {
    expression == other
        || match expression {
            E::Item(a, b)
            | E::Sum(a, b)
            | E::Difference(a, b)
            | E::Equal(a, b)
            | E::In(a, b)
            | E::And(a, b)
            | E::Or(a, b) => mentions(a, other) || mentions(b, other),
            E::Slice(a, ..) | E::Not(a) => mentions(a, other),
            E::Filter(_, a, arguments) => mentions(a, other) || arguments.iter().any(|a| mentions(a, other)),
            E::List(items) | E::Concat(items) => items.iter().any(|item| mentions(item, other)),
            E::Map(entries) => entries.iter().any(|(k, v)| mentions(k, other) || mentions(v, other)),
            E::If(a, b, c) => mentions(a, other) || mentions(b, other) || mentions(c, other),
            _ => false,
        }
}

/// The items of `answer_choices` are shown stripped.
fn opened(list: &E, leaf: &Leaf) -> Leaf {
    match list {
        E::Filter(name, ..) if name == "choices" => Leaf { value: leaf.value.clone(), open: (true, true) },
        _ => leaf.clone(),
    }
}

fn done<'a>(fits: bool) -> Outcome<'a> {
    if fits { Outcome::Done } else { Outcome::Fails }
}

fn ways_or_fail<'a>(ways: Vec<Vec<Goal<'a>>>) -> Outcome<'a> {
    if ways.is_empty() { Outcome::Fails } else { Outcome::Ways(ways) }
}

fn display(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Whether a value is what was shown.
fn same(value: &Json, leaf: &Leaf) -> bool {
    match (value, &leaf.value) {
        (a, b) if a == b => true,
        (Json::String(_) | Json::Number(_), Json::String(shown)) => {
            let value = display(value);
            let value = if leaf.open.0 { value.trim_start() } else { &value };
            let value = if leaf.open.1 { value.trim_end() } else { value };
            let shown = if leaf.open.0 { shown.trim_start() } else { shown };
            let shown = if leaf.open.1 { shown.trim_end() } else { shown };
            value == shown
        }
        _ => false,
    }
}

/// A value other than this one.
fn different(value: &Json) -> Json {
    match value {
        Json::Bool(value) => (!value).into(),
        Json::Number(number) => number.as_i64().map_or(0, |n| n.wrapping_add(1)).into(),
        Json::String(text) if text == "A" => "B".into(),
        _ => "A".into(),
    }
}

/// A, B, C and so on.
fn letter(at: usize) -> String {
    u8::try_from(at)
        .ok()
        .filter(|at| *at < 26)
        .map_or_else(|| format!("L{at}"), |at| char::from(b'A' + at).to_string())
}
