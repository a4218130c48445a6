//! Values, where they lie, and how much of everything a call may use.
//!
//! A value is a number or the place of an object. Objects lie in one list, which goes as a whole when its call ends: no
//! chain of objects is too long to be freed, and no circle stays. Every element that is ever made is counted, and never
//! uncounted, so that the count is at least what is held, and is the same on every machine.

use std::collections::HashMap;

use super::builtins::Builtin;
use super::{Fault, Place};
use crate::cook::draw::Draw;
use crate::cook::knobs::Knob;

/// How much one call may use: of the top level of a script, or of `make`, `solve` or `check` for one sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Steps: expressions, statements, and elements that an operation looks at.
    pub steps: u64,
    /// Bytes of all lists, strings and dicts that are made.
    pub bytes: u64,
    /// How deep calls and expressions may lie within each other; a call is about four deep.
    pub levels: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { steps: 2_000_000, bytes: 64 << 20, levels: 250 }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Value {
    /// A name without a value yet, and an argument that isn't given.
    Unset,
    None,
    Bool(bool),
    Int(i64),
    /// In millionths.
    Share(u32),
    /// A word or mark of the pool.
    Token(u32),
    Str(u32),
    List(u32),
    Tuple(u32),
    Dict(u32),
    Range(u32),
    Knob(u32),
    Function(u32),
    Builtin(Builtin),
}

#[derive(Debug)]
pub(super) enum Object {
    Str(Box<str>),
    List(Vec<Value>),
    Tuple(Box<[Value]>),
    Dict(Dict),
    Range { start: i64, step: i64, len: u64 },
    Knob(Box<Knob>),
}

/// Pairs in the order in which their keys came.
#[derive(Debug, Default)]
pub(super) struct Dict {
    pub(super) pairs: Vec<(Value, Value)>,
    pub(super) places: HashMap<Vec<u8>, usize>,
}

/// What the top level made: nothing changes it any more.
#[derive(Debug, Default)]
pub(super) struct Frozen {
    pub(super) objects: Vec<Object>,
    pub(super) globals: Vec<Value>,
}

/// Why a call ended before its end.
#[derive(Debug)]
pub(super) enum Stop {
    Fault(Box<Fault>),
    /// `fail("…")`.
    Fail(Box<Fault>),
    /// `redraw()`.
    Redraw,
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(Box::new(fault))
    }
}

pub(super) type Run<T> = Result<T, Stop>;

/// Bytes of an object without its elements, and of an element.
const OBJECT: u64 = 48;
const ELEMENT: u64 = size_of::<Value>() as u64;

/// What one call works with.
#[derive(Debug)]
pub(super) struct Heap<'a> {
    frozen: &'a [Object],
    objects: Vec<Object>,
    limits: Limits,
    steps: u64,
    bytes: u64,
    pub(super) level: u32,
    /// The chance of a sample; none outside of `make`.
    pub(super) chance: Option<&'a mut Draw>,
    /// How many words the pool has; 0 where there is none.
    pub(super) words: u32,
}

impl<'a> Heap<'a> {
    pub(super) fn new(frozen: &'a [Object], limits: Limits) -> Self {
        Self {
            frozen,
            objects: Vec::new(),
            limits,
            steps: limits.steps,
            bytes: limits.bytes,
            level: 0,
            chance: None,
            words: 0,
        }
    }

    /// Its objects, to be frozen.
    pub(super) fn into_objects(self) -> Vec<Object> {
        self.objects
    }

    /// Counts steps.
    #[inline]
    pub(super) fn spend(&mut self, steps: usize, place: Place) -> Run<()> {
        match self.steps.checked_sub(steps as u64) {
            Some(left) => {
                self.steps = left;
                Ok(())
            }
            None => Err(Fault::new(place, format!("still going after {} steps", self.limits.steps))
                .with_hint("a loop here or around it has no end, or goes over too much: shorten it")
                .into()),
        }
    }

    /// Counts bytes before they are taken.
    #[inline]
    pub(super) fn reserve(&mut self, bytes: u64, place: Place) -> Run<()> {
        match self.bytes.checked_sub(bytes) {
            Some(left) => {
                self.bytes = left;
                Ok(())
            }
            None => {
                Err(Fault::new(place, format!("more than {} bytes are made in one call", self.limits.bytes))
                    .with_hint(
                        "something here grows with each turn of a loop: keep only what the sample needs",
                    )
                    .into())
            }
        }
    }

    /// [`Heap::reserve`] and [`Heap::spend`] for elements of a list.
    #[inline]
    pub(super) fn elements(&mut self, count: usize, place: Place) -> Run<()> {
        self.spend(count / 8 + 1, place)?;
        self.reserve((count as u64).saturating_mul(ELEMENT), place)
    }

    /// One level deeper, which [`Heap::level`] is to be lowered after.
    #[inline]
    pub(super) fn deeper(&mut self, place: Place) -> Run<()> {
        self.level += 1;
        if self.level > self.limits.levels {
            return Err(Fault::new(place, format!("calls lie more than {} levels deep", self.limits.levels))
                .with_hint("a function calls itself without an end, or too often: use a loop")
                .into());
        }
        Ok(())
    }

    fn add(&mut self, object: Object) -> u32 {
        self.objects.push(object);
        (self.frozen.len() + self.objects.len() - 1) as u32
    }

    pub(super) fn object(&self, at: u32) -> &Object {
        match (at as usize).checked_sub(self.frozen.len()) {
            None => &self.frozen[at as usize],
            Some(at) => &self.objects[at],
        }
    }

    /// The object that is to be changed.
    pub(super) fn change(&mut self, at: u32, place: Place) -> Run<&mut Object> {
        match (at as usize).checked_sub(self.frozen.len()) {
            Some(at) => Ok(&mut self.objects[at]),
            None => Err(Fault::new(place, "what the top level made can't be changed by a function")
                .with_hint("no sample may depend on another: change a copy, `list(…)` or `dict(…)`")
                .into()),
        }
    }

    /// A new list. Its elements are counted here.
    pub(super) fn list(&mut self, items: Vec<Value>, place: Place) -> Run<Value> {
        self.elements(items.len(), place)?;
        self.reserve(OBJECT, place)?;
        Ok(Value::List(self.add(Object::List(items))))
    }

    pub(super) fn tuple(&mut self, items: Vec<Value>, place: Place) -> Run<Value> {
        self.elements(items.len(), place)?;
        self.reserve(OBJECT, place)?;
        Ok(Value::Tuple(self.add(Object::Tuple(items.into()))))
    }

    /// A list of words.
    pub(super) fn tokens(&mut self, tokens: &[u32], place: Place) -> Run<Value> {
        self.list(tokens.iter().map(|token| Value::Token(*token)).collect(), place)
    }

    pub(super) fn text(&mut self, text: impl Into<Box<str>>, place: Place) -> Run<Value> {
        let text = text.into();
        self.spend(text.len() / 16 + 1, place)?;
        self.reserve(OBJECT + text.len() as u64, place)?;
        Ok(Value::Str(self.add(Object::Str(text))))
    }

    pub(super) fn dict(&mut self, place: Place) -> Run<Value> {
        self.reserve(2 * OBJECT, place)?;
        Ok(Value::Dict(self.add(Object::Dict(Dict::default()))))
    }

    pub(super) fn range(&mut self, start: i64, step: i64, len: u64, place: Place) -> Run<Value> {
        self.reserve(OBJECT, place)?;
        Ok(Value::Range(self.add(Object::Range { start, step, len })))
    }

    pub(super) fn knob(&mut self, knob: Knob, place: Place) -> Run<Value> {
        self.reserve(4 * OBJECT, place)?;
        Ok(Value::Knob(self.add(Object::Knob(Box::new(knob)))))
    }

    /// Puts a pair into a dict.
    pub(super) fn put(&mut self, dict: u32, key: Value, value: Value, place: Place) -> Run<()> {
        let bytes = self.key(key, place)?;
        self.reserve(4 * ELEMENT + OBJECT + bytes.len() as u64, place)?;
        if let Object::Dict(dict) = self.change(dict, place)? {
            match dict.places.get(&bytes) {
                Some(at) => dict.pairs[*at].1 = value,
                None => {
                    dict.places.insert(bytes, dict.pairs.len());
                    dict.pairs.push((key, value));
                }
            }
        }
        Ok(())
    }

    /// What stands for a key in a dict.
    pub(super) fn get(&mut self, dict: u32, key: Value, place: Place) -> Run<Option<Value>> {
        let bytes = self.key(key, place)?;
        Ok(match self.object(dict) {
            Object::Dict(dict) => dict.places.get(&bytes).map(|at| dict.pairs[*at].1),
            _ => None,
        })
    }

    pub(super) fn str(&self, value: Value) -> Option<&str> {
        match value {
            Value::Str(at) => match self.object(at) {
                Object::Str(text) => Some(text),
                _ => None,
            },
            _ => None,
        }
    }

    /// The elements of a list or a tuple.
    pub(super) fn items(&self, value: Value) -> Option<&[Value]> {
        match value {
            Value::List(at) | Value::Tuple(at) => match self.object(at) {
                Object::List(items) => Some(items),
                Object::Tuple(items) => Some(items),
                _ => None,
            },
            _ => None,
        }
    }

    /// The pairs of a dict.
    pub(super) fn pairs(&self, value: Value) -> Option<&[(Value, Value)]> {
        match value {
            Value::Dict(at) => match self.object(at) {
                Object::Dict(dict) => Some(&dict.pairs),
                _ => None,
            },
            _ => None,
        }
    }

    /// How many elements it has.
    pub(super) fn len(&self, value: Value) -> Option<usize> {
        match value {
            Value::Str(_) => self.str(value).map(|text| text.chars().count()),
            Value::Range(at) => match self.object(at) {
                Object::Range { len, .. } => Some(usize::try_from(*len).unwrap_or(usize::MAX)),
                _ => None,
            },
            _ => self.items(value).map(<[_]>::len).or_else(|| self.pairs(value).map(<[_]>::len)),
        }
    }

    /// The element at a place of something that a loop goes over; a dict's are its keys.
    ///
    /// # Errors
    /// When no loop goes over it.
    pub(super) fn nth(&self, value: Value, at: usize, place: Place) -> Run<Option<Value>> {
        if let Some(items) = self.items(value) {
            return Ok(items.get(at).copied());
        }
        if let Some(pairs) = self.pairs(value) {
            return Ok(pairs.get(at).map(|(key, _)| *key));
        }
        match value {
            Value::Range(object) => Ok(match self.object(object) {
                Object::Range { start, step, len } if (at as u64) < *len => {
                    Some(Value::Int(start.wrapping_add(step.wrapping_mul(at as i64))))
                }
                _ => None,
            }),
            _ => Err(self.wrong("a list", value, place)),
        }
    }

    /// All that a loop would go over.
    pub(super) fn all(&mut self, value: Value, place: Place) -> Run<Vec<Value>> {
        let len = self.len(value).unwrap_or(0);
        self.elements(len, place)?;
        if let Some(items) = self.items(value) {
            return Ok(items.to_vec());
        }
        let mut all = Vec::new();
        while let Some(item) = self.nth(value, all.len(), place)? {
            all.push(item);
        }
        Ok(all)
    }

    /// What kind of value it is.
    pub(super) fn kind(&self, value: Value) -> &'static str {
        match value {
            Value::Unset => "nothing",
            Value::None => "None",
            Value::Bool(_) => "True or False",
            Value::Int(_) => "a number",
            Value::Share(_) => "a share",
            Value::Token(_) => "a word",
            Value::Str(_) => "a string",
            Value::List(_) => "a list",
            Value::Tuple(_) => "a tuple",
            Value::Dict(_) => "a dict",
            Value::Range(_) => "a range",
            Value::Knob(_) => "a knob",
            Value::Function(_) | Value::Builtin(_) => "a function",
        }
    }

    /// The fault that something else was needed.
    pub(super) fn wrong(&self, needed: &str, value: Value, place: Place) -> Stop {
        Fault::new(place, format!("this should be {needed}, and is {}", self.kind(value))).into()
    }

    pub(super) fn is_true(&self, value: Value) -> bool {
        match value {
            Value::Unset | Value::None => false,
            Value::Bool(is) => is,
            Value::Int(number) => number != 0,
            Value::Share(share) => share != 0,
            _ => self.len(value) != Some(0),
        }
    }

    /// Whether two values are the same.
    pub(super) fn equal(&mut self, a: Value, b: Value, place: Place) -> Run<bool> {
        self.spend(1, place)?;
        Ok(match (a, b) {
            (Value::None, Value::None) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Int(a), Value::Int(b)) => a == b,
            (Value::Share(a), Value::Share(b)) | (Value::Token(a), Value::Token(b)) => a == b,
            (Value::Function(a), Value::Function(b)) => a == b,
            (Value::Builtin(a), Value::Builtin(b)) => a == b,
            (Value::Str(_), Value::Str(_)) => self.str(a) == self.str(b),
            (Value::List(_), Value::List(_)) | (Value::Tuple(_), Value::Tuple(_)) => {
                let len = self.len(a);
                if len != self.len(b) {
                    return Ok(false);
                }
                self.deeper(place)?;
                for at in 0..len.unwrap_or(0) {
                    let (Some(a), Some(b)) = (self.nth(a, at, place)?, self.nth(b, at, place)?) else {
                        break;
                    };
                    if !self.equal(a, b, place)? {
                        self.level -= 1;
                        return Ok(false);
                    }
                }
                self.level -= 1;
                true
            }
            (Value::Dict(one), Value::Dict(_)) => {
                let pairs = self.pairs(a).unwrap_or_default().to_vec();
                self.elements(2 * pairs.len(), place)?;
                if Some(pairs.len()) != self.len(b) {
                    return Ok(false);
                }
                let Value::Dict(other) = b else { return Ok(false) };
                if one == other {
                    return Ok(true);
                }
                self.deeper(place)?;
                for (key, value) in pairs {
                    let is_same = match self.get(other, key, place)? {
                        Some(found) => self.equal(value, found, place)?,
                        None => false,
                    };
                    if !is_same {
                        self.level -= 1;
                        return Ok(false);
                    }
                }
                self.level -= 1;
                true
            }
            _ => false,
        })
    }

    /// Which of two values of one kind is less.
    pub(super) fn order(&mut self, a: Value, b: Value, place: Place) -> Run<std::cmp::Ordering> {
        self.spend(1, place)?;
        Ok(match (a, b) {
            (Value::Bool(a), Value::Bool(b)) => a.cmp(&b),
            (Value::Int(a), Value::Int(b)) => a.cmp(&b),
            (Value::Share(a), Value::Share(b)) | (Value::Token(a), Value::Token(b)) => a.cmp(&b),
            (Value::Str(_), Value::Str(_)) => self.str(a).cmp(&self.str(b)),
            (Value::List(_), Value::List(_)) | (Value::Tuple(_), Value::Tuple(_)) => {
                self.deeper(place)?;
                let mut at = 0;
                let order = loop {
                    match (self.nth(a, at, place)?, self.nth(b, at, place)?) {
                        (Some(a), Some(b)) => match self.order(a, b, place)? {
                            std::cmp::Ordering::Equal => at += 1,
                            order => break order,
                        },
                        (a, b) => break a.is_some().cmp(&b.is_some()),
                    }
                };
                self.level -= 1;
                order
            }
            _ => {
                let why = format!("{} and {} have no order", self.kind(a), self.kind(b));
                return Err(Fault::new(place, why)
                    .with_hint("compare numbers with numbers, strings with strings")
                    .into());
            }
        })
    }

    /// Bytes that are the same for equal values alone; for what can be a key.
    pub(super) fn key(&mut self, value: Value, place: Place) -> Run<Vec<u8>> {
        let mut bytes = Vec::new();
        self.write_key(value, &mut bytes, place)?;
        Ok(bytes)
    }

    fn write_key(&mut self, value: Value, bytes: &mut Vec<u8>, place: Place) -> Run<()> {
        self.spend(1, place)?;
        match value {
            Value::None => bytes.push(0),
            Value::Bool(is) => bytes.extend([1, u8::from(is)]),
            Value::Int(number) => {
                bytes.push(2);
                bytes.extend(number.to_le_bytes());
            }
            Value::Share(number) | Value::Token(number) => {
                bytes.push(if matches!(value, Value::Share(_)) { 3 } else { 4 });
                bytes.extend(number.to_le_bytes());
            }
            Value::Str(_) => {
                let text = self.str(value).unwrap_or_default().as_bytes();
                bytes.push(5);
                bytes.extend((text.len() as u64).to_le_bytes());
                bytes.extend(text);
                let len = text.len();
                self.reserve(len as u64, place)?;
            }
            // A list can be a key, too: it is its elements at this moment.
            Value::List(_) | Value::Tuple(_) => {
                let len = self.len(value).unwrap_or(0);
                bytes.push(6);
                bytes.extend((len as u64).to_le_bytes());
                self.elements(len, place)?;
                self.deeper(place)?;
                for at in 0..len {
                    if let Some(item) = self.nth(value, at, place)? {
                        self.write_key(item, bytes, place)?;
                    }
                }
                self.level -= 1;
            }
            _ => return Err(self.wrong("a word, a number, a string or a list of them", value, place)),
        }
        Ok(())
    }
}
