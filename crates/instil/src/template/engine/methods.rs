//! The methods of Python's strings, lists, dictionaries and tuples.

use std::sync::Arc;

use minijinja::formatting::{FormatStyle, format};
use minijinja::value::{Object, ObjectRepr, Tuple};
use minijinja::{Error, ErrorKind, State, Value};

use super::arguments::{bind, flag, integer, needed, text};
use super::filters::tuples;
use super::functions::pairs_of;
use super::operators::place;
use super::percent;
use super::python::{self, equal, undefined};
use super::strings::{self, Side};
use super::values::{Dict, List, MOST, Outcome, Shape, View, items, put, shape, type_of, wrong};

/// The methods that change what they are called on.
pub(super) const CHANGING: [&str; 11] = [
    "append",
    "clear",
    "extend",
    "insert",
    "pop",
    "popitem",
    "remove",
    "reverse",
    "setdefault",
    "sort",
    "update",
];

/// The methods that dictionaries have.
const OF_DICTS: [&str; 11] =
    ["clear", "copy", "fromkeys", "get", "items", "keys", "pop", "popitem", "setdefault", "update", "values"];
/// The methods that lists have and dictionaries don't.
const OF_LISTS: [&str; 8] = ["append", "count", "extend", "index", "insert", "remove", "reverse", "sort"];

/// Whether a list or a dictionary has a method of this name.
pub(super) fn is_method(name: &str) -> bool {
    OF_DICTS.contains(&name) || OF_LISTS.contains(&name)
}

/// A method that isn't called. It has no text that is the same at every run.
#[derive(Debug)]
struct Method;

impl Object for Method {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }
}

/// `value.name`: the method before the item, as Python's attributes go before items.
///
/// # Errors
/// When the value is undefined.
pub(super) fn attribute(value: &Value, name: &Value) -> Outcome {
    let known = name.as_str().unwrap_or_default();
    let is_own = match shape(value) {
        Shape::Undefined => return Err(Error::from(ErrorKind::UndefinedError)),
        Shape::Dict(_) => OF_DICTS.contains(&known),
        Shape::List(_) => OF_LISTS.contains(&known) || matches!(known, "clear" | "copy" | "pop"),
        Shape::Str(_) | Shape::Tuple(_) | Shape::Range(_) => matches!(known, "count" | "index"),
        _ => false,
    };
    if is_own {
        Ok(Value::from_object(Method))
    } else {
        Ok(value.get_attr(known).unwrap_or(Value::UNDEFINED))
    }
}

/// Calls a method of a value that minijinja has no method for.
///
/// # Errors
/// When there is no such method, or its arguments are wrong.
pub(super) fn call(_: &mut State<'_, '_>, value: &Value, name: &str, arguments: &[Value]) -> Outcome {
    let known = match shape(value) {
        Shape::Str(text) => of_string(text, name, arguments)?,
        Shape::List(list) => of_list(value, list, name, arguments)?,
        Shape::Dict(dict) => of_dict(value, dict, name, arguments)?,
        Shape::Tuple(tuple) => of_items(tuple, name, arguments)?,
        Shape::Range(_) => of_items(&items(value)?, name, arguments)?,
        Shape::Float(number) if name == "is_integer" => Some(Value::from(number.fract() == 0.0)),
        Shape::Undefined => return Err(undefined(name)),
        Shape::Other => return Err(Error::from(ErrorKind::UnknownMethod)),
        _ => None,
    };
    known.ok_or_else(|| {
        let of = type_of(value);
        Error::new(ErrorKind::UnknownMethod, format!("'{of}' object has no method `{name}`"))
    })
}

/// `count` and `index`, which every sequence has.
fn of_items(own: &[Value], name: &str, arguments: &[Value]) -> Result<Option<Value>, Error> {
    Ok(Some(match name {
        "count" => {
            let [wanted] = bind(name, arguments, ["value"])?;
            let wanted = needed(name, "value", wanted)?;
            Value::from(own.iter().filter(|item| equal(item, &wanted)).count())
        }
        "index" => {
            let [wanted, start, stop] = bind(name, arguments, ["value", "start", "stop"])?;
            let wanted = needed(name, "value", wanted)?;
            let (start, stop) = window(start.as_ref(), stop.as_ref(), own.len())?;
            let found = (start..stop).find(|at| equal(&own[*at], &wanted));
            Value::from(found.ok_or_else(|| wrong("the value is not in the list"))?)
        }
        _ => return Ok(None),
    }))
}

/// The places from `start` to `stop`, as Python clamps them.
fn window(start: Option<&Value>, stop: Option<&Value>, len: usize) -> Result<(usize, usize), Error> {
    let len = i64::try_from(len).unwrap_or(i64::MAX);
    let clamp = |at: i64| usize::try_from(if at < 0 { at + len } else { at }.clamp(0, len)).unwrap_or(0);
    Ok((clamp(integer(start, 0)?), clamp(integer(stop, len)?)))
}

/// Whether `holder` lies in what it is to hold.
///
/// # Errors
/// When it does, or when that is too much to look through.
fn check_no_circle(holder: &Value, held: &[Value]) -> Result<(), Error> {
    let mut waiting: Vec<Value> = held.iter().filter(|value| value.as_object().is_some()).cloned().collect();
    let mut seen = 0;
    while let Some(next) = waiting.pop() {
        seen += 1;
        if seen > 100_000 || next.as_object().map(address) == holder.as_object().map(address) {
            return Err(wrong("a list or dictionary can't hold itself"));
        }
        match shape(&next) {
            Shape::List(list) => {
                waiting.extend(list.items().iter().filter(|value| value.as_object().is_some()).cloned());
            }
            Shape::Tuple(tuple) => {
                waiting.extend(tuple.iter().filter(|value| value.as_object().is_some()).cloned());
            }
            Shape::Dict(dict) => {
                let pairs = dict.pairs();
                let values = pairs.iter().map(|(_, value)| value);
                waiting.extend(values.filter(|value| value.as_object().is_some()).cloned());
            }
            _ => {}
        }
    }
    Ok(())
}

/// Where an object lies, as its identity.
fn address(object: &minijinja::value::DynObject) -> Option<*const ()> {
    object
        .downcast_ref::<List>()
        .map(|list| std::ptr::from_ref(list).cast())
        .or_else(|| object.downcast_ref::<Dict>().map(|dict| std::ptr::from_ref(dict).cast()))
}

fn of_list(value: &Value, list: &List, name: &str, arguments: &[Value]) -> Result<Option<Value>, Error> {
    let none = Value::from(());
    let room = |more: usize| {
        if list.items().len() + more > MOST { Err(wrong("a list grew too long")) } else { Ok(()) }
    };
    Ok(Some(match name {
        "append" => {
            let [item] = bind(name, arguments, ["object"])?;
            let item = needed(name, "object", item)?;
            check_no_circle(value, std::slice::from_ref(&item))?;
            room(1)?;
            list.items().push(item);
            none
        }
        "extend" => {
            let [more] = bind(name, arguments, ["iterable"])?;
            let more = items(&needed(name, "iterable", more)?)?;
            check_no_circle(value, &more)?;
            room(more.len())?;
            list.items().extend(more);
            none
        }
        "insert" => {
            let [index, item] = bind(name, arguments, ["index", "object"])?;
            let item = needed(name, "object", item)?;
            check_no_circle(value, std::slice::from_ref(&item))?;
            room(1)?;
            let (at, _) = window(Some(&needed(name, "index", index)?), None, list.items().len())?;
            list.items().insert(at, item);
            none
        }
        "pop" => {
            let [index] = bind(name, arguments, ["index"])?;
            let mut items = list.items();
            let at = place(i128::from(integer(index.as_ref(), -1)?), items.len());
            items.remove(at.ok_or_else(|| wrong("pop index out of range"))?)
        }
        "remove" => {
            let [wanted] = bind(name, arguments, ["value"])?;
            let wanted = needed(name, "value", wanted)?;
            let found = list.snapshot().iter().position(|item| equal(item, &wanted));
            list.items().remove(found.ok_or_else(|| wrong("list.remove(x): x not in list"))?);
            none
        }
        "clear" => {
            let [] = bind(name, arguments, [])?;
            let old = std::mem::take(&mut *list.items());
            drop(old);
            none
        }
        "copy" => {
            let [] = bind(name, arguments, [])?;
            List::value(list.snapshot())
        }
        "reverse" => {
            let [] = bind(name, arguments, [])?;
            list.items().reverse();
            none
        }
        "sort" => {
            let [_, reverse] = bind(name, arguments, ["key", "reverse"])?;
            let mut sorted = list.snapshot();
            let mut failed = None;
            let reverse = flag(reverse.as_ref(), false);
            sorted.sort_by(|a, b| {
                let order = python::order("<", a, b).unwrap_or_else(|e| {
                    failed.get_or_insert(e);
                    None
                });
                let order = order.unwrap_or(std::cmp::Ordering::Equal);
                if reverse { order.reverse() } else { order }
            });
            if let Some(e) = failed {
                return Err(e);
            }
            *list.items() = sorted;
            none
        }
        _ => {
            let items = list.snapshot();
            return of_items(&items, name, arguments);
        }
    }))
}

fn of_dict(value: &Value, dict: &Dict, name: &str, arguments: &[Value]) -> Result<Option<Value>, Error> {
    let view = |kind, items| Value::from_object(View { kind, items });
    let pop = |key: &Value| {
        let mut pairs = dict.pairs();
        let at = pairs.iter().position(|(own, _)| equal(own, key))?;
        Some(pairs.remove(at).1)
    };
    Ok(Some(match name {
        "keys" => {
            let [] = bind(name, arguments, [])?;
            view("dict_keys", dict.pairs().iter().map(|(key, _)| key.clone()).collect())
        }
        "values" => {
            let [] = bind(name, arguments, [])?;
            view("dict_values", dict.pairs().iter().map(|(_, value)| value.clone()).collect())
        }
        "items" => {
            let [] = bind(name, arguments, [])?;
            view("dict_items", tuples(dict))
        }
        "get" => {
            let [key, default] = bind(name, arguments, ["key", "default"])?;
            let found = dict.get(&needed(name, "key", key)?);
            found.or(default).unwrap_or_else(|| Value::from(()))
        }
        "pop" => {
            let [key, default] = bind(name, arguments, ["key", "default"])?;
            let key = needed(name, "key", key)?;
            pop(&key).or(default).ok_or_else(|| wrong("pop of a key that the dictionary lacks"))?
        }
        "popitem" => {
            let [] = bind(name, arguments, [])?;
            let (key, value) = dict.pairs().pop().ok_or_else(|| wrong("popitem(): dictionary is empty"))?;
            Value::from(Tuple::from([key, value]))
        }
        "setdefault" => {
            let [key, default] = bind(name, arguments, ["key", "default"])?;
            let key = needed(name, "key", key)?;
            if let Some(found) = dict.get(&key) {
                return Ok(Some(found));
            }
            let default = default.unwrap_or_else(|| Value::from(()));
            check_no_circle(value, std::slice::from_ref(&default))?;
            dict.set(key, default.clone());
            default
        }
        "update" => {
            let more = pairs_of(arguments)?;
            let values: Vec<Value> = more.iter().map(|(_, value)| value.clone()).collect();
            check_no_circle(value, &values)?;
            let mut pairs = dict.pairs();
            for (key, value) in more {
                put(&mut pairs, key, value);
            }
            Value::from(())
        }
        "clear" => {
            let [] = bind(name, arguments, [])?;
            let old = std::mem::take(&mut *dict.pairs());
            drop(old);
            Value::from(())
        }
        "copy" => {
            let [] = bind(name, arguments, [])?;
            Dict::value(dict.snapshot())
        }
        _ => return Ok(None),
    }))
}

/// Whether a string begins or ends with one of what is given: a string or a tuple of them.
fn any_of(given: &Value, holds: impl Fn(&str) -> bool) -> Result<Value, Error> {
    if let Shape::Tuple(tuple) = shape(given) {
        for one in tuple {
            if holds(text(one)?) {
                return Ok(Value::from(true));
            }
        }
        return Ok(Value::from(false));
    }
    Ok(Value::from(holds(text(given)?)))
}

/// The part of a string between two places counted in characters, and how many characters precede it.
fn part<'a>(whole: &'a str, start: Option<&Value>, stop: Option<&Value>) -> Result<(&'a str, usize), Error> {
    if start.is_none() && stop.is_none() {
        return Ok((whole, 0));
    }
    let (start, stop) = window(start, stop, whole.chars().count())?;
    let byte = |at: usize| whole.char_indices().nth(at).map_or(whole.len(), |(at, _)| at);
    Ok((&whole[byte(start)..byte(stop.max(start))], start))
}

fn of_string(own: &str, name: &str, arguments: &[Value]) -> Result<Option<Value>, Error> {
    let all_of = |test: fn(char) -> bool| {
        let [] = bind(name, arguments, [])?;
        Ok::<Value, Error>(Value::from(!own.is_empty() && own.chars().all(test)))
    };
    let texts = |parts: Vec<&str>| List::value(parts.into_iter().map(Value::from).collect());
    Ok(Some(match name {
        "upper" => {
            let [] = bind(name, arguments, [])?;
            Value::from(own.to_uppercase())
        }
        "lower" | "casefold" => {
            let [] = bind(name, arguments, [])?;
            let lower = own.to_lowercase();
            Value::from(if name == "lower" { lower } else { lower.replace('ß', "ss").replace('ς', "σ") })
        }
        "capitalize" => {
            let [] = bind(name, arguments, [])?;
            Value::from(strings::capitalize(own))
        }
        "title" => {
            let [] = bind(name, arguments, [])?;
            Value::from(strings::title(own))
        }
        "swapcase" => {
            let [] = bind(name, arguments, [])?;
            let swap = |c: char| {
                if c.is_uppercase() {
                    c.to_lowercase().collect::<String>()
                } else {
                    c.to_uppercase().collect()
                }
            };
            Value::from(own.chars().map(swap).collect::<String>())
        }
        "strip" | "lstrip" | "rstrip" => {
            let [chars] = bind(name, arguments, ["chars"])?;
            Value::from(strings::strip(own, chars.as_ref(), name != "rstrip", name != "lstrip")?)
        }
        "replace" => {
            let [old, new, count] = bind(name, arguments, ["old", "new", "count"])?;
            let (old, new) = (needed(name, "old", old)?, needed(name, "new", new)?);
            Value::from(strings::replace(own, text(&old)?, text(&new)?, integer(count.as_ref(), -1)?)?)
        }
        "split" | "rsplit" => {
            let [separator, count] = bind(name, arguments, ["sep", "maxsplit"])?;
            let separator = separator.filter(|separator| !separator.is_none());
            let separator = separator.as_ref().map(text).transpose()?;
            texts(strings::split(own, separator, integer(count.as_ref(), -1)?, name == "rsplit")?)
        }
        "splitlines" => {
            let [keep] = bind(name, arguments, ["keepends"])?;
            texts(strings::lines(own, flag(keep.as_ref(), false)))
        }
        "partition" | "rpartition" => {
            let [separator] = bind(name, arguments, ["sep"])?;
            let separator = needed(name, "sep", separator)?;
            let separator = text(&separator)?;
            let found =
                if name == "partition" { own.split_once(separator) } else { own.rsplit_once(separator) };
            let parts = match found {
                Some((before, after)) => [before, separator, after],
                None if name == "partition" => [own, "", ""],
                None => ["", "", own],
            };
            Value::from(Tuple::from(parts.map(Value::from).to_vec()))
        }
        "join" => {
            let [list] = bind(name, arguments, ["iterable"])?;
            let list = items(&needed(name, "iterable", list)?)?;
            let parts = list.iter().map(text).collect::<Result<Vec<_>, Error>>()?;
            Value::from(parts.join(own))
        }
        "startswith" | "endswith" => {
            let [given, start, stop] = bind(name, arguments, ["prefix", "start", "end"])?;
            let (own, _) = part(own, start.as_ref(), stop.as_ref())?;
            let given = needed(name, "prefix", given)?;
            if name == "startswith" {
                any_of(&given, |given| own.starts_with(given))?
            } else {
                any_of(&given, |given| own.ends_with(given))?
            }
        }
        "removeprefix" | "removesuffix" => {
            let [given] = bind(name, arguments, ["prefix"])?;
            let given = needed(name, "prefix", given)?;
            let given = text(&given)?;
            let cut = if name == "removeprefix" { own.strip_prefix(given) } else { own.strip_suffix(given) };
            Value::from(cut.unwrap_or(own))
        }
        "find" | "rfind" | "index" | "rindex" => {
            let [wanted, start, stop] = bind(name, arguments, ["sub", "start", "end"])?;
            let wanted = needed(name, "sub", wanted)?;
            let wanted = text(&wanted)?;
            let (part, before) = part(own, start.as_ref(), stop.as_ref())?;
            let found = if name.starts_with('r') { part.rfind(wanted) } else { part.find(wanted) };
            match found {
                Some(at) => Value::from(before + part[..at].chars().count()),
                None if name.ends_with("find") => Value::from(-1),
                None => return Err(wrong("substring not found")),
            }
        }
        "count" => {
            let [wanted, start, stop] = bind(name, arguments, ["sub", "start", "end"])?;
            let wanted = needed(name, "sub", wanted)?;
            let (part, _) = part(own, start.as_ref(), stop.as_ref())?;
            Value::from(part.matches(text(&wanted)?).count())
        }
        "center" | "ljust" | "rjust" => {
            let [width, fill] = bind(name, arguments, ["width", "fillchar"])?;
            let width = integer(Some(&needed(name, "width", width)?), 0)?;
            let fill = fill.as_ref().map_or(Ok(" "), text)?;
            let mut chars = fill.chars();
            let (Some(fill), None) = (chars.next(), chars.next()) else {
                return Err(wrong("The fill character must be exactly one character long"));
            };
            let side = match name {
                "ljust" => Side::Left,
                "rjust" => Side::Right,
                _ => Side::Both,
            };
            Value::from(strings::pad(own, width, fill, side)?)
        }
        "zfill" => {
            let [width] = bind(name, arguments, ["width"])?;
            let width = integer(Some(&needed(name, "width", width)?), 0)?;
            let (sign, digits) = own.split_at(usize::from(own.starts_with(['+', '-'])));
            let width = width - i64::try_from(sign.len()).unwrap_or(0);
            Value::from([sign, &strings::pad(digits, width, '0', Side::Right)?].concat())
        }
        "format" => {
            let ready = arguments.iter().map(|argument| match shape(argument) {
                _ if argument.is_kwargs() => Ok(argument.clone()),
                Shape::Str(_) | Shape::Int(_) | Shape::Float(_) => Ok(argument.clone()),
                _ => python::string(argument).map(Value::from),
            });
            let ready = ready.collect::<Result<Vec<_>, Error>>()?;
            for field in own.split('{').skip(1) {
                percent::bounded(field.split('}').next().unwrap_or_default())?;
            }
            Value::from(format(FormatStyle::StrFormat, own, &ready)?)
        }
        "isalnum" => all_of(char::is_alphanumeric)?,
        "isalpha" => all_of(char::is_alphabetic)?,
        "isdigit" | "isdecimal" | "isnumeric" => all_of(char::is_numeric)?,
        "isspace" => all_of(strings::is_space)?,
        "isascii" => {
            let [] = bind(name, arguments, [])?;
            Value::from(own.is_ascii())
        }
        "islower" => {
            let [] = bind(name, arguments, [])?;
            Value::from(own.chars().any(char::is_lowercase) && !own.chars().any(char::is_uppercase))
        }
        "isupper" => {
            let [] = bind(name, arguments, [])?;
            Value::from(own.chars().any(char::is_uppercase) && !own.chars().any(char::is_lowercase))
        }
        "istitle" => {
            let [] = bind(name, arguments, [])?;
            Value::from(own.chars().any(char::is_alphabetic) && strings::title(own) == own)
        }
        _ => return Ok(None),
    }))
}
