//! What is known of a row while the texts of its slots are put together.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json};

use super::LossKind;
use crate::prompt::bonito::python_strip;

/// One step from a value to a part of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    Key(String),
    /// An item; from the end where negative.
    At(i64),
    /// The list that a text is when it is parted at a separator.
    Parted(String),
    /// The text from this character on.
    Tail(usize),
    /// One character of a text.
    Character(usize),
}

/// A text or another single value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Leaf {
    pub(super) value: Json,
    /// Whether stripping may have eaten blanks at its start and end.
    pub(super) open: (bool, bool),
}

impl Leaf {
    pub(super) fn closed(value: Json) -> Self {
        Self { value, open: (false, false) }
    }

    /// What both say, where they agree.
    fn and(&self, other: &Self) -> Option<Self> {
        let open = (self.open.0 && other.open.0, self.open.1 && other.open.1);
        match (&self.value, &other.value) {
            (Json::String(a), Json::String(b)) => {
                if a == b {
                    return Some(Self { value: self.value.clone(), open });
                }
                // The one that may have lost blanks is the shorter one.
                let fits = |short: &str, long: &str, open: (bool, bool)| {
                    let start = if open.0 { long.trim_start() } else { long };
                    let both = if open.1 { start.trim_end() } else { start };
                    let short = if open.0 { short.trim_start() } else { short };
                    let short = if open.1 { short.trim_end() } else { short };
                    short == both
                };
                if a.len() <= b.len() && fits(a, b, self.open) {
                    return Some(Self { value: other.value.clone(), open });
                }
                if b.len() <= a.len() && fits(b, a, other.open) {
                    return Some(Self { value: self.value.clone(), open });
                }
                None
            }
            (Json::String(text), Json::Number(number)) if *text == number.to_string() => {
                Some(Self::closed(other.value.clone()))
            }
            (Json::Number(number), Json::String(text)) if *text == number.to_string() => {
                Some(Self::closed(self.value.clone()))
            }
            (a, b) => (a == b).then(|| Self::closed(a.clone())),
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) enum Known {
    #[default]
    Nothing,
    Leaf(Leaf),
    Map(BTreeMap<String, Known>),
    List {
        items: BTreeMap<usize, Known>,
        /// By their distance from the end, from 1.
        last: BTreeMap<usize, Known>,
        length: Option<usize>,
    },
    Parted(String, Box<Known>),
    /// A text by its first characters and by what follows so many of them.
    Pieces {
        characters: BTreeMap<usize, String>,
        tail: Option<(usize, Leaf)>,
    },
}

impl Known {
    /// Learns that a part of it is this; whether that agrees with what is known.
    pub(super) fn tell(&mut self, path: &[Step], leaf: &Leaf) -> bool {
        let Some((step, rest)) = path.split_first() else {
            return match self {
                Known::Nothing => {
                    *self = Known::Leaf(leaf.clone());
                    true
                }
                Known::Leaf(known) => match known.and(leaf) {
                    Some(both) => {
                        *known = both;
                        true
                    }
                    None => false,
                },
                Known::Map(_) => false,
                Known::List { .. } => false,
                // A text known by its parts and as a whole.
                Known::Parted(separator, list) => {
                    let Json::String(text) = &leaf.value else { return false };
                    let parts: Vec<Leaf> =
                        text.split(separator.as_str()).map(|part| Leaf::closed(part.into())).collect();
                    list.tell_slice(&parts, 0, 0)
                }
                Known::Pieces { characters, tail } => {
                    let Json::String(text) = &leaf.value else { return false };
                    let fits = characters
                        .iter()
                        .all(|(i, c)| text.chars().nth(*i).is_some_and(|other| *c == other.to_string()))
                        && tail.as_ref().is_none_or(|(from, tail)| {
                            let end: String = text.chars().skip(*from).collect();
                            Leaf::closed(end.into()).and(tail).is_some()
                        });
                    if fits {
                        *self = Known::Leaf(leaf.clone());
                    }
                    fits
                }
            };
        };
        match step {
            Step::Key(_) | Step::At(_) | Step::Parted(_) => {
                self.reach(std::slice::from_ref(step)).is_some_and(|part| part.tell(rest, leaf))
            }
            Step::Tail(from) => {
                if let Some(text) = self.whole() {
                    let end: String = text.chars().skip(*from).collect();
                    return Leaf::closed(end.into()).and(leaf).is_some();
                }
                self.become_pieces();
                let Known::Pieces { tail, .. } = self else { return false };
                match tail {
                    None => {
                        *tail = Some((*from, leaf.clone()));
                        true
                    }
                    Some((known, before)) if known == from => match before.and(leaf) {
                        Some(both) => {
                            *before = both;
                            true
                        }
                        None => false,
                    },
                    Some(_) => false,
                }
            }
            Step::Character(at) => {
                let Json::String(told) = &leaf.value else { return false };
                if let Some(text) = self.whole() {
                    return text.chars().nth(*at).is_some_and(|c| c.to_string() == *told);
                }
                self.become_pieces();
                let Known::Pieces { characters, .. } = self else { return false };
                characters.entry(*at).or_insert_with(|| told.clone()) == told
            }
        }
    }

    fn whole(&self) -> Option<&str> {
        match self {
            Known::Leaf(Leaf { value: Json::String(text), .. }) => Some(text),
            _ => None,
        }
    }

    fn become_list(&mut self) {
        if matches!(self, Known::Nothing) {
            *self = Known::List { items: BTreeMap::new(), last: BTreeMap::new(), length: None };
        }
    }

    fn become_pieces(&mut self) {
        if matches!(self, Known::Nothing) {
            *self = Known::Pieces { characters: BTreeMap::new(), tail: None };
        }
    }

    fn item(&mut self, at: i64) -> Option<&mut Known> {
        let Known::List { items, last, length } = self else { return None };
        if let Some(length) = length {
            let at = super::expression::place(&at.into(), *length)?;
            return Some(items.entry(at).or_default());
        }
        match usize::try_from(at) {
            Ok(at) => Some(items.entry(at).or_default()),
            Err(_) => Some(last.entry(usize::try_from(-at).ok()?).or_default()),
        }
    }

    /// Learns a list from this item on, up to so many before its end.
    pub(super) fn tell_slice(&mut self, leaves: &[Leaf], start: usize, missing: usize) -> bool {
        self.become_list();
        self.tell_length(start + leaves.len() + missing)
            && leaves.iter().zip(start..).all(|(leaf, at)| {
                self.item(i64::try_from(at).unwrap_or(i64::MAX)).is_some_and(|part| part.tell(&[], leaf))
            })
    }

    pub(super) fn tell_length(&mut self, count: usize) -> bool {
        self.become_list();
        let Known::List { items, last, length } = self else { return false };
        if length.is_some_and(|known| known != count)
            || items.keys().any(|at| *at >= count)
            || last.keys().any(|at| *at > count)
        {
            return false;
        }
        *length = Some(count);
        for (at, known) in std::mem::take(last) {
            let place = items.entry(count - at).or_default();
            match known {
                Known::Nothing => {}
                Known::Leaf(leaf) => {
                    if !place.tell(&[], &leaf) {
                        return false;
                    }
                }
                other => *place = other,
            }
        }
        true
    }

    /// The part that a path leads to, made where nothing is known of it yet; none where the path does not fit.
    pub(super) fn reach(&mut self, path: &[Step]) -> Option<&mut Known> {
        let Some((step, rest)) = path.split_first() else { return Some(self) };
        match step {
            Step::Key(key) => {
                if matches!(self, Known::Nothing) {
                    *self = Known::Map(BTreeMap::new());
                }
                let Known::Map(entries) = self else { return None };
                entries.entry(key.clone()).or_default().reach(rest)
            }
            Step::At(at) => {
                self.become_list();
                self.item(*at)?.reach(rest)
            }
            Step::Parted(separator) => {
                if matches!(self, Known::Nothing) {
                    *self = Known::Parted(separator.clone(), Box::default());
                } else if let Some(text) = self.whole() {
                    let parts: Vec<Leaf> =
                        text.split(separator.as_str()).map(|part| Leaf::closed(part.into())).collect();
                    let mut list = Known::Nothing;
                    list.tell_slice(&parts, 0, 0);
                    *self = Known::Parted(separator.clone(), Box::new(list));
                }
                match self {
                    Known::Parted(known, list) if known == separator => list.reach(rest),
                    _ => None,
                }
            }
            Step::Tail(_) | Step::Character(_) => None,
        }
    }

    /// The part that a path leads to, if anything is known of it.
    pub(super) fn find(&self, path: &[Step]) -> Option<&Known> {
        let Some((step, rest)) = path.split_first() else { return Some(self) };
        match (step, self) {
            (Step::Key(key), Known::Map(entries)) => entries.get(key)?.find(rest),
            (Step::At(at), Known::List { items, last, length }) => match (usize::try_from(*at), length) {
                (Ok(at), _) => items.get(&at)?.find(rest),
                (Err(_), Some(length)) => {
                    items.get(&super::expression::place(&(*at).into(), *length)?)?.find(rest)
                }
                (Err(_), None) => last.get(&usize::try_from(-at).ok()?)?.find(rest),
            },
            (Step::Parted(separator), Known::Parted(known, list)) if separator == known => list.find(rest),
            _ => None,
        }
    }

    /// The text or number that it is, put together where it is known in parts.
    pub(super) fn single(&self) -> Option<Json> {
        match self {
            Known::Leaf(leaf) => Some(leaf.value.clone()),
            Known::Parted(separator, list) => {
                let items = list.items()?;
                let texts: Vec<&str> = items.iter().filter_map(|item| item.as_str()).collect();
                (texts.len() == items.len()).then(|| texts.join(separator).into())
            }
            Known::Pieces { characters, tail: Some((from, Leaf { value: Json::String(tail), .. })) } => {
                let mut text = String::new();
                for at in 0..*from {
                    text.push_str(characters.get(&at)?);
                }
                text.push_str(tail);
                Some(text.into())
            }
            _ => None,
        }
    }

    /// The end of a text, from this character on.
    pub(super) fn tail(&self) -> Option<(usize, &str)> {
        match self {
            Known::Pieces { tail: Some((from, Leaf { value: Json::String(tail), .. })), .. } => {
                Some((*from, tail))
            }
            _ => None,
        }
    }

    /// Whether something is known that makes it true in a condition, or false.
    pub(super) fn truth(&self) -> Option<bool> {
        match self {
            Known::Nothing => None,
            Known::Leaf(leaf) => match &leaf.value {
                Json::Bool(verdict) => Some(*verdict),
                Json::String(text) => Some(!text.is_empty()),
                Json::Number(number) => Some(number.as_f64() != Some(0.0)),
                Json::Null => Some(false),
                Json::Array(items) => Some(!items.is_empty()),
                Json::Object(entries) => Some(!entries.is_empty()),
            },
            Known::Map(entries) => (!entries.is_empty()).then_some(true),
            Known::List { length: Some(length), .. } => Some(*length > 0),
            Known::List { items, last, length: None } => {
                (!items.is_empty() || !last.is_empty()).then_some(true)
            }
            Known::Parted(_, list) => match &**list {
                Known::List { items, .. } => {
                    items.values().any(|item| item.truth() == Some(true)).then_some(true)
                }
                _ => None,
            },
            Known::Pieces { characters, tail } => (!characters.is_empty() || tail.is_some()).then_some(true),
        }
    }

    /// The text or number that it is.
    pub(super) fn leaf(&self) -> Option<&Json> {
        match self {
            Known::Leaf(leaf) => Some(&leaf.value),
            _ => None,
        }
    }

    /// The items of a list of which all are known.
    pub(super) fn items(&self) -> Option<Vec<&Json>> {
        let Known::List { items, length: Some(length), .. } = self else { return None };
        (0..*length).map(|at| items.get(&at)?.leaf()).collect()
    }

    /// The value, with what had to be made up.
    pub(super) fn settle(&self, path: &str, notes: &mut Notes) -> Json {
        match self {
            Known::Nothing => {
                notes.assumed.insert(path.to_owned());
                Json::from("")
            }
            Known::Leaf(leaf) => leaf.value.clone(),
            Known::Map(entries) => {
                let mut map = Map::new();
                for (key, value) in entries {
                    let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    map.insert(key.clone(), value.settle(&path, notes));
                }
                Json::Object(map)
            }
            Known::List { items, last, length } => {
                let front = items.keys().next_back().map_or(0, |at| at + 1);
                let back = last.keys().next_back().copied().unwrap_or(0);
                // Of a list of unknown length: no longer than it must be.
                let count = length.unwrap_or(front + back);
                if length.is_none() {
                    notes.losses.insert((path.to_owned(), LossKind::Others));
                }
                let list = (0..count)
                    .map(|at| {
                        let item = items.get(&at).or_else(|| last.get(&(count - at)));
                        item.unwrap_or(&Known::Nothing).settle(&format!("{path}[{at}]"), notes)
                    })
                    .collect();
                Json::Array(list)
            }
            Known::Parted(separator, list) => match list.settle(path, notes) {
                Json::Array(parts) => {
                    let parts: Vec<&str> = parts.iter().filter_map(Json::as_str).collect();
                    Json::from(parts.join(separator))
                }
                other => other,
            },
            Known::Pieces { characters, tail } => {
                let from = tail.as_ref().map_or(characters.len(), |(from, _)| *from);
                let mut text = String::new();
                for at in 0..from {
                    match characters.get(&at) {
                        Some(c) => text.push_str(c),
                        None => {
                            notes.losses.insert((path.to_owned(), LossKind::Cut));
                            text.push(' ');
                        }
                    }
                }
                match tail {
                    Some((_, Leaf { value: Json::String(tail), .. })) => text.push_str(tail),
                    Some(_) => {}
                    None => {
                        notes.losses.insert((path.to_owned(), LossKind::Cut));
                    }
                }
                Json::from(text)
            }
        }
    }
}

/// What was found out about fields beside their values.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Notes {
    /// Paths whose value only makes the template's conditions come out right.
    pub(super) assumed: BTreeSet<String>,
    /// Paths of which the template does not show everything.
    pub(super) losses: BTreeSet<(String, LossKind)>,
}

/// The texts and numbers of a value by their path.
pub(super) fn leaves(value: &Json, path: &str, into: &mut BTreeMap<String, Json>) {
    match value {
        Json::Object(map) => {
            for (key, value) in map {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                leaves(value, &path, into);
            }
        }
        Json::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                leaves(item, &format!("{path}[{at}]"), into);
            }
            // So that lists of different lengths differ.
            into.insert(format!("{path}[]"), items.len().into());
        }
        value => {
            into.insert(path.to_owned(), value.clone());
        }
    }
}

/// Whether two rows differ in blanks alone: at the ends of texts, and in empty items at the end of lists.
pub(super) fn alike(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::String(a), Json::String(b)) => python_strip(a) == python_strip(b),
        (Json::Array(a), Json::Array(b)) => {
            let empty = |item: &Json| item.as_str().is_some_and(|text| python_strip(text).is_empty());
            let filled = |items: &[Json]| items.iter().rposition(|item| !empty(item)).map_or(0, |at| at + 1);
            let (m, n) = (filled(a), filled(b));
            m == n && a.iter().zip(b).take(m).all(|(a, b)| alike(a, b))
        }
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| alike(a, b)))
        }
        (a, b) => a == b,
    }
}
