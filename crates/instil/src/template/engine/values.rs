//! The kinds of value that Python has and minijinja lacks: lists and dictionaries that methods change,
//! and the objects that iterate but aren't lists.

use std::cell::RefCell;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use minijinja::value::{Enumerator, Object, ObjectRepr, Tuple, ValueKind};
use minijinja::{Error, ErrorKind, Value};

use super::python;

/// How deep values may lie within each other.
pub(super) const DEEPEST: usize = 200;
/// How many bytes a string may be made to hold.
pub(super) const LONGEST: usize = 1 << 24;
/// How many items a list may be made to hold.
pub(super) const MOST: usize = 1 << 20;

pub(super) type Outcome = Result<Value, Error>;

/// An error of the template or of the row, as Python raises a `TypeError`.
pub(super) fn wrong(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

thread_local! {
    static DROPPED: RefCell<Option<Vec<Vec<Value>>>> = const { RefCell::new(None) };
}

/// Drops values without one stack frame for each level of nesting, since a template can nest without end.
fn drop_flat(values: Vec<Value>) {
    if !values.iter().any(|value| value.as_object().is_some()) {
        return;
    }
    let mut waiting = Some(values);
    let outermost = DROPPED.try_with(|dropped| {
        let mut dropped = dropped.borrow_mut();
        let outermost = dropped.is_none();
        dropped.get_or_insert_with(Vec::new).extend(waiting.take());
        outermost
    });
    if outermost == Ok(true) {
        while let Some(next) = DROPPED.with(|dropped| dropped.borrow_mut().as_mut().and_then(Vec::pop)) {
            drop(next);
        }
        DROPPED.with(|dropped| *dropped.borrow_mut() = None);
    }
}

/// A Python list.
#[derive(Debug, Default)]
pub(super) struct List(Mutex<Vec<Value>>);

impl List {
    pub(super) fn value(items: Vec<Value>) -> Value {
        Value::from_object(Self(Mutex::new(items)))
    }

    /// Its items as they are now. Unlike [`items`](Self::items) it leaves nothing locked, so that two lists
    /// that may be one can be looked at.
    pub(super) fn snapshot(&self) -> Vec<Value> {
        self.items().clone()
    }

    pub(super) fn items(&self) -> MutexGuard<'_, Vec<Value>> {
        locked(&self.0)
    }
}

impl Drop for List {
    fn drop(&mut self) {
        drop_flat(std::mem::take(self.0.get_mut().unwrap_or_else(PoisonError::into_inner)));
    }
}

impl Object for List {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.items().get(key.as_usize()?).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.items().len())
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        python::repr_to(f, &Value::from_dyn_object(Arc::clone(self)), 0).map_err(|_| fmt::Error)
    }
}

/// A Python dictionary: its pairs in the order of insertion.
#[derive(Debug, Default)]
pub(super) struct Dict(Mutex<Vec<(Value, Value)>>);

impl Dict {
    pub(super) fn value(pairs: Vec<(Value, Value)>) -> Value {
        Value::from_object(Self(Mutex::new(pairs)))
    }

    /// Its pairs as they are now; nothing stays locked.
    pub(super) fn snapshot(&self) -> Vec<(Value, Value)> {
        self.pairs().clone()
    }

    pub(super) fn pairs(&self) -> MutexGuard<'_, Vec<(Value, Value)>> {
        locked(&self.0)
    }

    pub(super) fn get(&self, key: &Value) -> Option<Value> {
        match key.as_str() {
            Some(key) => self.get_str(key),
            None => {
                let pairs = self.pairs();
                pairs.iter().find(|(own, _)| python::equal(own, key)).map(|(_, value)| value.clone())
            }
        }
    }

    fn get_str(&self, key: &str) -> Option<Value> {
        let pairs = self.pairs();
        pairs.iter().find(|(own, _)| own.as_str() == Some(key)).map(|(_, value)| value.clone())
    }

    pub(super) fn set(&self, key: Value, value: Value) {
        put(&mut self.pairs(), key, value);
    }
}

/// Sets a key in pairs, at its old place if it has one.
pub(super) fn put(pairs: &mut Vec<(Value, Value)>, key: Value, value: Value) {
    match pairs.iter_mut().find(|(own, _)| python::equal(own, &key)) {
        Some((_, old)) => *old = value,
        None => pairs.push((key, value)),
    }
}

impl Drop for Dict {
    fn drop(&mut self) {
        let pairs = std::mem::take(self.0.get_mut().unwrap_or_else(PoisonError::into_inner));
        drop_flat(pairs.into_iter().map(|(_, value)| value).collect());
    }
}

impl Object for Dict {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get(key)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        self.get_str(key)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.pairs().iter().map(|(key, _)| key.clone()).collect())
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        python::repr_to(f, &Value::from_dyn_object(Arc::clone(self)), 0).map_err(|_| fmt::Error)
    }
}

/// What `map`, `select`, `unique` and `zip` give: items to be taken once, without a length or a text.
#[derive(Debug)]
pub(super) struct Once {
    pub(super) kind: &'static str,
    left: Mutex<Vec<Value>>,
}

impl Once {
    pub(super) fn value(kind: &'static str, items: Vec<Value>) -> Value {
        Value::from_object(Self { kind, left: Mutex::new(items) })
    }

    fn take(&self) -> Vec<Value> {
        std::mem::take(&mut *locked(&self.left))
    }
}

impl Object for Once {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Iterable
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.take())
    }

    fn is_true(self: &Arc<Self>) -> bool {
        true
    }
}

/// The keys, values or pairs of a dictionary: iterable and countable, but without indices.
#[derive(Debug)]
pub(super) struct View {
    /// `dict_keys`, `dict_values` or `dict_items`.
    pub(super) kind: &'static str,
    pub(super) items: Vec<Value>,
}

impl Object for View {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Iterable
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.items.clone())
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.items.len())
    }
}

/// A Python `range`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    pub(super) start: i64,
    pub(super) stop: i64,
    pub(super) step: i64,
}

impl Range {
    pub(super) fn len(self) -> usize {
        let (span, step) = if self.step > 0 {
            (i128::from(self.stop) - i128::from(self.start), i128::from(self.step))
        } else {
            (i128::from(self.start) - i128::from(self.stop), -i128::from(self.step))
        };
        usize::try_from((span + step - 1).div_euclid(step).max(0)).unwrap_or(usize::MAX)
    }

    pub(super) fn nth(self, index: usize) -> Option<Value> {
        if index >= self.len() {
            return None;
        }
        let index = i64::try_from(index).ok()?;
        Some(Value::from(self.start + index * self.step))
    }
}

impl Object for Range {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.nth(key.as_usize()?)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.len())
    }
}

/// What a value is to Python, borrowed.
pub(super) enum Shape<'a> {
    Undefined,
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Str(&'a str),
    List(&'a List),
    Tuple(&'a [Value]),
    Dict(&'a Dict),
    Once(&'a Once),
    View(&'a View),
    Range(Range),
    Other,
}

/// What a value is to Python.
pub(super) fn shape(value: &Value) -> Shape<'_> {
    match value.kind() {
        ValueKind::Undefined => Shape::Undefined,
        ValueKind::None => Shape::None,
        ValueKind::Bool => Shape::Bool(value.is_true()),
        ValueKind::String => value.as_str().map_or(Shape::Other, Shape::Str),
        ValueKind::Number if value.is_integer() => match value.as_i64() {
            Some(small) => Shape::Int(i128::from(small)),
            None => i128::try_from(value.clone()).map_or(Shape::Other, Shape::Int),
        },
        ValueKind::Number => f64::try_from(value.clone()).map_or(Shape::Other, Shape::Float),
        _ => {
            let Some(object) = value.as_object() else { return Shape::Other };
            if let Some(list) = object.downcast_ref::<List>() {
                Shape::List(list)
            } else if let Some(dict) = object.downcast_ref::<Dict>() {
                Shape::Dict(dict)
            } else if let Some(tuple) = object.downcast_ref::<Tuple>() {
                Shape::Tuple(tuple)
            } else if let Some(once) = object.downcast_ref::<Once>() {
                Shape::Once(once)
            } else if let Some(view) = object.downcast_ref::<View>() {
                Shape::View(view)
            } else if let Some(range) = object.downcast_ref::<Range>() {
                Shape::Range(*range)
            } else {
                Shape::Other
            }
        }
    }
}

/// The name of a value's type, as Python's errors say it.
pub(super) fn type_of(value: &Value) -> &'static str {
    match shape(value) {
        Shape::Undefined => "Undefined",
        Shape::None => "NoneType",
        Shape::Bool(_) => "bool",
        Shape::Int(_) => "int",
        Shape::Float(_) => "float",
        Shape::Str(_) => "str",
        Shape::List(_) => "list",
        Shape::Tuple(_) => "tuple",
        Shape::Dict(_) => "dict",
        Shape::Once(once) => once.kind,
        Shape::View(view) => view.kind,
        Shape::Range(_) => "range",
        Shape::Other => "object",
    }
}

/// The items that Python iterates over: characters of a string, keys of a dictionary, nothing of what is
/// undefined.
///
/// # Errors
/// When the value doesn't iterate, or a range is too long.
pub(super) fn items(value: &Value) -> Result<Vec<Value>, Error> {
    Ok(match shape(value) {
        Shape::Undefined => Vec::new(),
        Shape::Str(text) => text.chars().map(|c| Value::from(c.to_string())).collect(),
        Shape::List(list) => list.snapshot(),
        Shape::Tuple(tuple) => tuple.to_vec(),
        Shape::Dict(dict) => dict.pairs().iter().map(|(key, _)| key.clone()).collect(),
        Shape::Once(once) => once.take(),
        Shape::View(view) => view.items.clone(),
        Shape::Range(range) => {
            if range.len() > MOST {
                return Err(wrong(format!("a range of {} numbers is too long", range.len())));
            }
            (0..range.len()).filter_map(|index| range.nth(index)).collect()
        }
        Shape::Other if matches!(value.kind(), ValueKind::Iterable | ValueKind::Seq | ValueKind::Map) => {
            value.try_iter()?.collect()
        }
        _ => return Err(wrong(format!("'{}' object is not iterable", type_of(value)))),
    })
}

/// How many items or characters there are.
///
/// # Errors
/// When the value has no length.
pub(super) fn length(value: &Value) -> Result<usize, Error> {
    Ok(match shape(value) {
        Shape::Undefined => 0,
        Shape::Str(text) => text.chars().count(),
        Shape::List(list) => list.items().len(),
        Shape::Tuple(tuple) => tuple.len(),
        Shape::Dict(dict) => dict.pairs().len(),
        Shape::View(view) => view.items.len(),
        Shape::Range(range) => range.len(),
        _ => return Err(wrong(format!("object of type '{}' has no len()", type_of(value)))),
    })
}

/// A copy whose lists and dictionaries nothing else holds, made of whatever list and map types it has.
///
/// # Errors
/// When it is nested too deep.
pub(super) fn copy(value: &Value, depth: usize) -> Outcome {
    if depth > DEEPEST {
        return Err(wrong("nested too deep"));
    }
    let all = |items: Vec<Value>| {
        items.iter().map(|item| copy(item, depth + 1)).collect::<Result<Vec<Value>, Error>>()
    };
    Ok(match shape(value) {
        Shape::Tuple(tuple) => Value::from(Tuple::from(all(tuple.to_vec())?)),
        Shape::List(list) => {
            let items = list.snapshot();
            List::value(all(items)?)
        }
        Shape::Dict(dict) => {
            let pairs = dict.snapshot();
            let pairs = pairs.into_iter().map(|(key, value)| Ok((key, copy(&value, depth + 1)?)));
            Dict::value(pairs.collect::<Result<Vec<_>, Error>>()?)
        }
        Shape::Other => match value.kind() {
            ValueKind::Seq | ValueKind::Iterable => List::value(all(value.try_iter()?.collect())?),
            ValueKind::Map => {
                let object = value.as_object().ok_or_else(|| wrong("a map without pairs"))?;
                let mut pairs = Vec::new();
                for (key, value) in object.try_iter_pairs().into_iter().flatten() {
                    put(&mut pairs, key, copy(&value, depth + 1)?);
                }
                Dict::value(pairs)
            }
            _ => value.clone(),
        },
        _ => value.clone(),
    })
}

/// The value of a JSON value.
pub(super) fn of_json(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::from(()),
        serde_json::Value::Bool(yes) => Value::from(*yes),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(number), _, _) => Value::from(number),
            (None, Some(number), _) => Value::from(number),
            (None, None, number) => Value::from(number.unwrap_or(f64::NAN)),
        },
        serde_json::Value::String(text) => Value::from(text.as_str()),
        serde_json::Value::Array(items) => List::value(items.iter().map(of_json).collect()),
        serde_json::Value::Object(pairs) => Dict::value(
            pairs.iter().map(|(key, value)| (Value::from(key.as_str()), of_json(value))).collect(),
        ),
    }
}
