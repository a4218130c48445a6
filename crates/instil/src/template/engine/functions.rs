//! The functions that Jinja2 and PromptSource offer to templates.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use minijinja::value::{Kwargs, Object, ObjectRepr, Rest, Tuple, ValueOrKwargs};

use minijinja::{Environment, Error, State, Value};

use super::arguments::{bind, integer, split};
use super::values::{Dict, List, Once, Outcome, Range, Shape, items, put, shape, wrong};

/// The names of the functions.
pub(super) const FUNCTIONS: [&str; 6] = ["range", "dict", "namespace", "joiner", "cycler", "zip"];

/// Adds them to an environment.
pub(super) fn add_to(env: &mut Environment<'static>) {
    env.add_function("range", range);
    env.add_function("dict", |arguments: Rest<ValueOrKwargs>| dict(&arguments.into_values()));
    env.add_function("namespace", |arguments: Rest<ValueOrKwargs>| namespace(&arguments.into_values()));
    env.add_function("zip", zip);
    env.add_function("joiner", |arguments: Rest<ValueOrKwargs>| {
        let [separator] = bind("joiner", &arguments.into_values(), ["sep"])?;
        let separator = separator.unwrap_or_else(|| Value::from(", "));
        Ok::<Value, Error>(Value::from_object(Joiner { separator, used: Mutex::new(false) }))
    });
    env.add_function("cycler", |arguments: Rest<Value>| {
        if arguments.is_empty() {
            return Err(wrong("at least one item has to be provided"));
        }
        Ok(Value::from_object(Cycler { items: arguments.0, at: Mutex::new(0) }))
    });
}

/// `range(…)`.
///
/// # Errors
/// When its arguments aren't one to three whole numbers, or the step is zero.
pub(super) fn range(arguments: Rest<Value>) -> Outcome {
    let whole = |value: &Value| match shape(value) {
        Shape::Int(_) | Shape::Bool(_) => integer(Some(value), 0),
        _ => Err(wrong("`range` takes whole numbers")),
    };
    let (start, stop, step) = match arguments.0.as_slice() {
        [stop] => (0, whole(stop)?, 1),
        [start, stop] => (whole(start)?, whole(stop)?, 1),
        [start, stop, step] => (whole(start)?, whole(stop)?, whole(step)?),
        _ => return Err(wrong("`range` takes one to three numbers")),
    };
    if step == 0 {
        return Err(wrong("range() arg 3 must not be zero"));
    }
    Ok(Value::from_object(Range { start, stop, step }))
}

/// The pairs that `dict(…)` and `update(…)` take: a dictionary or pairs, then names.
///
/// # Errors
/// When the first isn't a dictionary or pairs.
pub(super) fn pairs_of(arguments: &[Value]) -> Result<Vec<(Value, Value)>, Error> {
    let (positional, named) = split(arguments);
    let mut pairs = Vec::new();
    match positional {
        [] => {}
        [one] => match shape(one) {
            Shape::Dict(dict) => pairs.clone_from(&dict.pairs()),
            _ => {
                for pair in items(one)? {
                    let [key, value] = items(&pair)?.try_into().map_err(|_| wrong("a pair is expected"))?;
                    put(&mut pairs, key, value);
                }
            }
        },
        _ => return Err(wrong("one dictionary is expected")),
    }
    for name in named.iter().flat_map(Kwargs::args) {
        if let Some(named) = &named {
            put(&mut pairs, Value::from(name), named.peek::<Value>(name)?);
        }
    }
    Ok(pairs)
}

fn dict(arguments: &[Value]) -> Outcome {
    Ok(Dict::value(pairs_of(arguments)?))
}

/// `namespace(…)`, of the pairs of its arguments.
///
/// # Errors
/// As [`pairs_of`].
pub(super) fn namespace(arguments: &[Value]) -> Outcome {
    let named: Kwargs = pairs_of(arguments)?
        .into_iter()
        .filter_map(|(key, value)| Some((key.as_str()?.to_owned(), value)))
        .collect();
    minijinja::functions::namespace(Some(ValueOrKwargs::from(Value::from(named))))
}

fn zip(arguments: Rest<Value>) -> Outcome {
    let lists = arguments.iter().map(items).collect::<Result<Vec<_>, Error>>()?;
    let len = lists.iter().map(Vec::len).min().unwrap_or(0);
    let row =
        |at: usize| Value::from(Tuple::from(lists.iter().map(|list| list[at].clone()).collect::<Vec<_>>()));
    Ok(Once::value("zip", (0..len).map(row).collect()))
}

/// Nothing at the first call, its separator afterwards.
#[derive(Debug)]
struct Joiner {
    separator: Value,
    used: Mutex<bool>,
}

impl Object for Joiner {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, _: &mut State<'_, '_>, _: &[Value]) -> Outcome {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let first = !std::mem::replace(&mut *used, true);
        Ok(if first { Value::from("") } else { self.separator.clone() })
    }

    fn render(self: &Arc<Self>, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Err(fmt::Error)
    }
}

/// Its items in turn.
#[derive(Debug)]
struct Cycler {
    items: Vec<Value>,
    at: Mutex<usize>,
}

impl Object for Cycler {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let at = *self.at.lock().unwrap_or_else(PoisonError::into_inner);
        match key.as_str()? {
            "current" => self.items.get(at).cloned(),
            "items" => Some(List::value(self.items.clone())),
            "pos" => Some(Value::from(at)),
            _ => None,
        }
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, name: &str, _: &[Value]) -> Outcome {
        let mut at = self.at.lock().unwrap_or_else(PoisonError::into_inner);
        match name {
            "next" => {
                let item = self.items.get(*at).cloned().unwrap_or(Value::UNDEFINED);
                *at = (*at + 1) % self.items.len();
                Ok(item)
            }
            "reset" => {
                *at = 0;
                Ok(Value::from(()))
            }
            _ => Err(Error::from(minijinja::ErrorKind::UnknownMethod)),
        }
    }

    fn render(self: &Arc<Self>, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Err(fmt::Error)
    }
}
