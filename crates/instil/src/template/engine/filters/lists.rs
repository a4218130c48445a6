//! Filters that choose, order and gather.

use std::cmp::Ordering;

use minijinja::value::Tuple;
use minijinja::{Error, ErrorKind, State, Value};

use super::super::arguments::{bind, flag, integer, needed, split, text};
use super::super::operators::{item, plus};
use super::super::python::{self, equal};
use super::super::row::draw;
use super::super::values::{Dict, List, Once, Outcome, Shape, items, length, shape, type_of, wrong};
use super::Filter;

pub(super) const FILTERS: [(&str, Filter); 25] = [
    ("attr", attribute),
    ("batch", batch),
    ("choice", choice),
    ("d", default),
    ("default", default),
    ("dictsort", dict_sort),
    ("first", first),
    ("groupby", group_by),
    ("items", pairs),
    ("last", last),
    ("list", list),
    ("map", map),
    ("max", |_, arguments| extreme(arguments, "max", Ordering::Greater)),
    ("min", |_, arguments| extreme(arguments, "min", Ordering::Less)),
    ("most_frequent", most_frequent),
    ("random", random),
    ("reject", |state, arguments| select(state, arguments, false, false)),
    ("rejectattr", |state, arguments| select(state, arguments, true, false)),
    ("reverse", reverse),
    ("select", |state, arguments| select(state, arguments, false, true)),
    ("selectattr", |state, arguments| select(state, arguments, true, true)),
    ("slice", slices),
    ("sort", sort),
    ("sum", sum),
    ("unique", unique),
];

/// The attribute of an item that a name with dots means: `a.b.0`.
///
/// # Errors
/// When a part of it but the last isn't there.
pub(super) fn attribute_of(value: &Value, name: &Value) -> Outcome {
    let Some(path) = name.as_str() else { return item(value, name) };
    let mut found = value.clone();
    for part in path.split('.') {
        let key = match part.parse::<i64>() {
            Ok(index) if part.bytes().all(|b| b.is_ascii_digit()) => Value::from(index),
            _ => Value::from(part),
        };
        found = item(&found, &key)?;
    }
    Ok(found)
}

/// A text in small letters, unless case counts.
fn folded(value: Value, case_sensitive: bool) -> Value {
    match value.as_str() {
        Some(text) if !case_sensitive => Value::from(text.to_lowercase()),
        _ => value,
    }
}

/// What an item is compared by.
fn key_of(item: &Value, attribute: Option<&Value>, case_sensitive: bool) -> Outcome {
    let key = match attribute.filter(|name| !name.is_none()) {
        Some(name) => attribute_of(item, name)?,
        None => item.clone(),
    };
    Ok(folded(key, case_sensitive))
}

/// Sorts by key as Python does: stably, and in reverse without turning equal ones around.
fn sorted(mut keyed: Vec<(Value, Value)>, reverse: bool) -> Result<Vec<Value>, Error> {
    let mut failed = None;
    keyed.sort_by(|(a, _), (b, _)| match python::order("<", a, b) {
        Ok(order) if reverse => order.unwrap_or(Ordering::Equal).reverse(),
        Ok(order) => order.unwrap_or(Ordering::Equal),
        Err(e) => {
            failed.get_or_insert(e);
            Ordering::Equal
        }
    });
    match failed {
        Some(e) => Err(e),
        None => Ok(keyed.into_iter().map(|(_, item)| item).collect()),
    }
}

fn attribute(_: &mut State<'_, '_>, arguments: &[Value]) -> Outcome {
    let [value, name] = bind("attr", arguments, ["obj", "name"])?;
    let (value, name) = (needed("attr", "obj", value)?, needed("attr", "name", name)?);
    // Items aren't attributes; of what a template meets, namespaces alone have some.
    match shape(&value) {
        Shape::Other => Ok(value.get_attr(text(&name)?).unwrap_or(Value::UNDEFINED)),
        _ => Ok(Value::UNDEFINED),
    }
}

fn default(_: &mut State<'_, '_>, arguments: &[Value]) -> Outcome {
    let [value, default, boolean] = bind("default", arguments, ["value", "default_value", "boolean"])?;
    let value = needed("default", "value", value)?;
    if value.is_undefined() || flag(boolean.as_ref(), false) && !value.is_true() {
        return Ok(default.unwrap_or_else(|| Value::from("")));
    }
    Ok(value)
}

/// The item that a draw chooses.
fn drawn(state: &State<'_, '_>, value: &Value) -> Outcome {
    let at = draw(state, length(value)?)?;
    match shape(value) {
        Shape::Dict(dict) => {
            dict.get(&Value::from(at)).ok_or_else(|| wrong(format!("the dictionary has no key {at}")))
        }
        Shape::View(_) => Err(wrong(format!("'{}' object is not subscriptable", type_of(value)))),
        _ => item(value, &Value::from(at)),
    }
}

fn choice(state: &mut State<'_, '_>, arguments: &[Value]) -> Outcome {
    let [value] = bind("choice", arguments, ["choices"])?;
    let value = needed("choice", "choices", value)?;
    if length(&value)? == 0 {
        return Err(wrong("cannot choose from an empty sequence"));
    }
    drawn(state, &value)
}

fn random(state: &mut State<'_, '_>, arguments: &[Value]) -> Outcome {
    let [value] = bind("random", arguments, ["seq"])?;
    let value = needed("random", "seq", value)?;
    if length(&value)? == 0 { Ok(Value::UNDEFINED) } else { drawn(state, &value) }
}

fn most_frequent(_: &mut State<'_, '_>, arguments: &[Value]) -> Outcome {
    let [value] = bind("most_frequent", arguments, ["items"])?;
    let value = needed("most_frequent", "items", value)?;
    if !value.is_true() {
        return Ok(Value::from(()));
    }
    let mut counts: Vec<(Value, usize)> = Vec::new();
    for item in items(&value)? {
        hashable(&item)?;
        match counts.iter_mut().find(|(known, _)| equal(known, &item)) {
            Some((_, count)) => *count += 1,
            None => counts.push((item, 1)),
        }
    }
    let most = counts.iter().map(|(_, count)| *count).max().unwrap_or(0);
    Ok(List::value(counts.into_iter().filter(|(_, count)| *count == most).map(|(item, _)| item).collect()))
}

/// Whether a value may be a key or a member of a set.
///
/// # Errors
/// When it is a list or a dictionary.
fn hashable(value: &Value) -> Result<(), Error> {
    match shape(value) {
        Shape::List(_) | Shape::Dict(_) => Err(wrong(format!("unhashable type: '{}'", type_of(value)))),
        Shape::Tuple(tuple) => tuple.iter().try_for_each(hashable),
        _ => Ok(()),
    }
}

fn first(_: &mut State<'_, '_>, arguments: &[Value]) -> Outcome {
    let [value] = bind("first", arguments, ["seq"])?;
    let value = needed("first", "seq", value)?;
    match shape(&value) {
        Shape::List(_) | Shape::Tuple(_) | Shape::Range(_) | Shape::Str(_) => item(&value, &Value::from(0)),
        _ => Ok(items(&value)?.into_iter().next().unwrap_or(Value::UNDEFINED)),
    }
}

fn last(_: &mut State<'_, '_>, arguments: &[Value]) -> Outcome {
    let [value] = bind("last", arguments, ["seq"])?;
    let value = needed("last", "seq", value)?;
    match shape(&value) {
        Shape::List(_) | Shape::Tuple(_) | Shape::Range(_) | Shape::Str(_) => item(&value, &Value::from(-1)),
        Shape::Once(once) => Err(wrong(format!("'{}' object is not reversible", once.kind))),
        Shape::Undefined => Ok(Value::UNDEFINED),
        _ => Ok(items(&value)?.pop().unwrap_or(Value::UNDEFINED)),
    }
}

fn list(_: &mut State<'_, '_>, arguments: &[Value]) -> Outcome {
    let [value] = bind("list", arguments, ["value"])?;
    items(&needed("list", "value", value)?).map(List::value)
}

fn reverse(_: &mut State<'_, '_>, arguments: &[Value]) -> Outcome {
    let [value] = bind("reverse", arguments, ["value"])?;
    let value = needed("reverse", "value", value)?;
    if let Some(text) = value.as_str() {
        return Ok(Value::from(text.chars().rev().collect::<String>()));
    }
    let mut reversed = items(&value)?;
    reversed.reverse();
    Ok(match shape(&value) {
        Shape::List(_) => Once::value("list_reverseiterator", reversed),
        Shape::Once(_) => List::value(reversed),
        _ => Once::value("reversed", reversed),
    })
}

fn extreme(arguments: &[Value], filter: &str, wanted: Ordering) -> Outcome {
    let [value, case_sensitive, attribute] =
        bind(filter, arguments, ["value", "case_sensitive", "attribute"])?;
    let case_sensitive = flag(case_sensitive.as_ref(), false);
    let mut best: Option<(Value, Value)> = None;
    for item in items(&needed(filter, "value", value)?)? {
        let key = key_of(&item, attribute.as_ref(), case_sensitive)?;
        let better = match &best {
            None => true,
            Some((known, _)) => python::order("<", &key, known)? == Some(wanted),
        };
        if better {
            best = Some((key, item));
        }
    }
    Ok(best.map_or(Value::UNDEFINED, |(_, item)| item))
}

fn sort(_: &mut State<'_, '_>, arguments: &[Value]) -> Outcome {
    let [value, reverse, case_sensitive, attribute] =
        bind("sort", arguments, ["value", "reverse", "case_sensitive", "attribute"])?;
    let case_sensitive = flag(case_sensitive.as_ref(), false);
    let mut keyed = Vec::new();
    for item in items(&needed("sort", "value", value)?)? {
        // Several attributes, parted by commas, are compared one after another. One alone is a list as well,
        // so that two undefined ones are equal and not an error.
        let names: Vec<Value> = match attribute.as_ref() {
            Some(names) if names.as_str().is_some() => text(names)?.split(',').map(Value::from).collect(),
            other => vec![other.cloned().unwrap_or_else(|| Value::from(()))],
        };
        let keys = names.iter().map(|name| key_of(&item, Some(name), case_sensitive));
        let key = Value::from(Tuple::from(keys.collect::<Result<Vec<_>, Error>>()?));
        keyed.push((key, item));
    }
    sorted(keyed, flag(reverse.as_ref(), false)).map(List::value)
}

fn unique(_: &mut State<'_, '_>, arguments: &[Value]) -> Outcome {
    let [value, case_sensitive, attribute] =
        bind("unique", arguments, ["value", "case_sensitive", "attribute"])?;
    let case_sensitive = flag(case_sensitive.as_ref(), false);
    let mut known: Vec<Value> = Vec::new();
    let mut kept = Vec::new();
    for item in items(&needed("unique", "value", value)?)? {
        let key = key_of(&item, attribute.as_ref(), case_sensitive)?;
        hashable(&key)?;
        if !known.iter().any(|other| equal(other, &key)) {
            known.push(key);
            kept.push(item);
        }
    }
    Ok(Once::value("generator", kept))
}

fn sum(_: &mut State<'_, '_>, arguments: &[Value]) -> Outcome {
    let [value, attribute, start] = bind("sum", arguments, ["iterable", "attribute", "start"])?;
    let mut total = start.unwrap_or_else(|| Value::from(0));
    if total.as_str().is_some() {
        return Err(wrong("sum() can't sum strings"));
    }
    for item in items(&needed("sum", "iterable", value)?)? {
        let item = match attribute.as_ref().filter(|name| !name.is_none()) {
            Some(name) => attribute_of(&item, name)?,
            None => item,
        };
        total = plus(&total, &item)?;
    }
    Ok(total)
}

fn pairs(_: &mut State<'_, '_>, arguments: &[Value]) -> Outcome {
    let [value] = bind("items", arguments, ["value"])?;
    let value = needed("items", "value", value)?;
    match shape(&value) {
        Shape::Undefined => Ok(Once::value("generator", Vec::new())),
        Shape::Dict(dict) => Ok(Once::value("generator", tuples(dict))),
        _ => Err(wrong("Can only get item pairs from a mapping.")),
    }
}

/// The pairs of a dictionary as tuples.
pub(in super::super) fn tuples(dict: &Dict) -> Vec<Value> {
    let pairs = dict.pairs();
    pairs.iter().map(|(key, value)| Value::from(Tuple::from([key.clone(), value.clone()]))).collect()
}

fn dict_sort(_: &mut State<'_, '_>, arguments: &[Value]) -> Outcome {
    let [value, case_sensitive, by, reverse] =
        bind("dictsort", arguments, ["value", "case_sensitive", "by", "reverse"])?;
    let at = match by.as_ref().and_then(Value::as_str).unwrap_or("key") {
        "key" => 0,
        "value" => 1,
        _ => return Err(wrong("You can only sort by either \"key\" or \"value\"")),
    };
    let value = needed("dictsort", "value", value)?;
    let Shape::Dict(dict) = shape(&value) else {
        return Err(wrong(format!("'{}' object has no attribute 'items'", type_of(&value))));
    };
    let case_sensitive = flag(case_sensitive.as_ref(), false);
    let mut keyed = Vec::new();
    for pair in tuples(dict) {
        keyed.push((folded(item(&pair, &Value::from(at))?, case_sensitive), pair));
    }
    sorted(keyed, flag(reverse.as_ref(), false)).map(List::value)
}

fn group_by(_: &mut State<'_, '_>, arguments: &[Value]) -> Outcome {
    let [value, attribute, default, case_sensitive] =
        bind("groupby", arguments, ["value", "attribute", "default", "case_sensitive"])?;
    let attribute = needed("groupby", "attribute", attribute)?;
    let case_sensitive = flag(case_sensitive.as_ref(), false);
    let own_key = |item: &Value| {
        let key = attribute_of(item, &attribute)?;
        Ok::<Value, Error>(if key.is_undefined() { default.clone().unwrap_or(key) } else { key })
    };
    let mut keyed = Vec::new();
    for item in items(&needed("groupby", "value", value)?)? {
        keyed.push((folded(own_key(&item)?, case_sensitive), item));
    }
    let mut groups: Vec<(Value, Value, Vec<Value>)> = Vec::new();
    for item in sorted(keyed, false)? {
        let own = own_key(&item)?;
        let key = folded(own.clone(), case_sensitive);
        match groups.last_mut() {
            Some((known, _, members)) if equal(known, &key) => members.push(item),
            _ => groups.push((key, own, vec![item])),
        }
    }
    let groups =
        groups.into_iter().map(|(_, own, members)| Value::from(Tuple::from([own, List::value(members)])));
    Ok(List::value(groups.collect()))
}

fn batch(_: &mut State<'_, '_>, arguments: &[Value]) -> Outcome {
    let [value, size, fill] = bind("batch", arguments, ["value", "linecount", "fill_with"])?;
    let size = usize::try_from(integer(size.as_ref(), 0)?).ok().filter(|size| *size > 0);
    let size = size.ok_or_else(|| wrong("`batch` needs a size from 1"))?;
    let value = items(&needed("batch", "value", value)?)?;
    let batches = value.chunks(size).map(|chunk| {
        let mut chunk = chunk.to_vec();
        if let Some(fill) = fill.as_ref().filter(|fill| !fill.is_none()) {
            chunk.resize(size.min(super::super::values::MOST), fill.clone());
        }
        List::value(chunk)
    });
    Ok(Once::value("generator", batches.collect()))
}

fn slices(_: &mut State<'_, '_>, arguments: &[Value]) -> Outcome {
    let [value, count, fill] = bind("slice", arguments, ["value", "slices", "fill_with"])?;
    let count =
        usize::try_from(integer(count.as_ref(), 0)?).ok().filter(|count| (1..=1 << 20).contains(count));
    let count = count.ok_or_else(|| wrong("`slice` needs a number of slices from 1"))?;
    let value = items(&needed("slice", "value", value)?)?;
    let (each, longer) = (value.len() / count, value.len() % count);
    let mut at = 0;
    let mut slices = Vec::with_capacity(count);
    for index in 0..count {
        let end = at + each + usize::from(index < longer);
        let mut slice = value[at..end].to_vec();
        if let Some(fill) = fill.as_ref().filter(|fill| !fill.is_none() && index >= longer) {
            slice.push(fill.clone());
        }
        slices.push(List::value(slice));
        at = end;
    }
    Ok(Once::value("generator", slices))
}

/// Applies a filter by name.
fn filtered(state: &mut State<'_, '_>, name: &str, arguments: &[Value]) -> Outcome {
    state.apply_filter(name, arguments).map_err(|e| match e.kind() {
        ErrorKind::UnknownFilter => wrong(format!("unknown filter `{name}`")),
        _ => e,
    })
}

fn map(state: &mut State<'_, '_>, arguments: &[Value]) -> Outcome {
    let (positional, named) = split(arguments);
    let Some((value, rest)) = positional.split_first() else { return Err(wrong("`map` needs a list")) };
    let mut mapped = Vec::new();
    match (rest.split_first(), named) {
        (None, Some(named)) => {
            let attribute = named.peek::<Value>("attribute").ok();
            let attribute = attribute.ok_or_else(|| wrong("`map` needs a filter or `attribute`"))?;
            let default = if named.has("default") { Some(named.peek::<Value>("default")?) } else { None };
            for item in items(value)? {
                let found = attribute_of(&item, &attribute)?;
                mapped.push(if found.is_undefined() { default.clone().unwrap_or(found) } else { found });
            }
        }
        (Some((name, rest)), named) => {
            let name = text(name)?.to_owned();
            let mut call = vec![Value::UNDEFINED];
            call.extend_from_slice(rest);
            call.extend(named.map(Value::from));
            for item in items(value)? {
                call[0] = item;
                mapped.push(filtered(state, &name, &call)?);
            }
        }
        (None, None) => return Err(wrong("`map` needs a filter or `attribute`")),
    }
    Ok(Once::value("generator", mapped))
}

fn select(state: &mut State<'_, '_>, arguments: &[Value], by_attribute: bool, keep: bool) -> Outcome {
    let (positional, _) = split(arguments);
    let Some((value, mut rest)) = positional.split_first() else { return Err(wrong("a list is missing")) };
    let mut attribute = None;
    if by_attribute {
        let (name, others) =
            rest.split_first().ok_or_else(|| wrong("the name of an attribute is missing"))?;
        (attribute, rest) = (Some(name), others);
    }
    let mut kept = Vec::new();
    for item in items(value)? {
        let tested = match attribute {
            Some(name) => attribute_of(&item, name)?,
            None => item.clone(),
        };
        let holds = match rest.split_first() {
            None => tested.is_true(),
            Some((test, others)) => {
                let test = text(test)?;
                let mut call = vec![tested];
                call.extend_from_slice(others);
                state.perform_test(test, &call).map_err(|e| match e.kind() {
                    ErrorKind::UnknownTest => wrong(format!("unknown test `{test}`")),
                    _ => e,
                })?
            }
        };
        if holds == keep {
            kept.push(item);
        }
    }
    Ok(Once::value("generator", kept))
}
