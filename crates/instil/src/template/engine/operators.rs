//! Python's operators. The compiled template calls each as a filter, under its own sign.

use std::cmp::Ordering;

use minijinja::value::Tuple;
use minijinja::{Environment, Error, ErrorKind, State, Value};

use super::python::{self, equal, undefined};
use super::row::chosen;
use super::values::{
    self, Dict, LONGEST, List, MOST, Outcome, Shape, copy, items, length, put, shape, type_of, wrong,
};
use super::{methods, percent};

/// An operator of one or two operands.
#[derive(Clone, Copy)]
pub(super) enum Operator {
    Unary(fn(&Value) -> Outcome),
    Binary(fn(&Value, &Value) -> Outcome),
}

/// The operators with a fixed number of operands, by sign.
const OPERATORS: [(&str, Operator); 20] = [
    ("copy", Operator::Unary(|value| copy(value, 0))),
    ("iter", Operator::Unary(iterate)),
    ("neg", Operator::Unary(negate)),
    ("item", Operator::Binary(item)),
    ("attribute", Operator::Binary(methods::attribute)),
    ("+", Operator::Binary(plus)),
    ("-", Operator::Binary(|a, b| arithmetic("-", a, b, i128::checked_sub, |a, b| a - b))),
    ("*", Operator::Binary(times)),
    ("/", Operator::Binary(divide)),
    ("//", Operator::Binary(divide_down)),
    ("%", Operator::Binary(remainder)),
    ("**", Operator::Binary(power)),
    ("~", Operator::Binary(concatenate)),
    ("==", Operator::Binary(|a, b| Ok(Value::from(equal(a, b))))),
    ("!=", Operator::Binary(|a, b| Ok(Value::from(!equal(a, b))))),
    ("<", Operator::Binary(|a, b| compared("<", a, b).map(Value::from))),
    ("<=", Operator::Binary(|a, b| compared("<=", a, b).map(Value::from))),
    (">", Operator::Binary(|a, b| compared(">", a, b).map(Value::from))),
    (">=", Operator::Binary(|a, b| compared(">=", a, b).map(Value::from))),
    ("in", Operator::Binary(|a, b| contains(b, a).map(Value::from))),
];

/// The operator of this sign; none where it takes another number of operands.
pub(super) fn of(sign: &str) -> Option<Operator> {
    OPERATORS.iter().find(|(own, _)| *own == sign).map(|(_, operator)| *operator)
}

/// Adds the operators to an environment.
pub(super) fn add_to(env: &mut Environment<'static>) {
    for (sign, operator) in OPERATORS {
        match operator {
            Operator::Unary(operator) => env.add_filter(sign, move |value: &Value| operator(value)),
            Operator::Binary(operator) => env.add_filter(sign, move |a: &Value, b: &Value| operator(a, b)),
        }
    }
    env.add_filter("[]", |items: &[Value]| List::value(items.to_vec()));
    env.add_filter("{}", dict);
    env.add_filter("chosen", |state: &State<'_, '_>, value: &Value, number: &Value| {
        item(value, &Value::from(chosen(state, number.as_usize().unwrap_or(0))?))
    });
    env.add_filter("slice[]", slice);
    for sign in ["==", "!=", "<", "<=", ">", ">=", "in", "notin"] {
        // A chained comparison goes on with its right side.
        env.add_filter(format!("{sign}&"), move |a: &Value, b: &Value| {
            let holds = match sign {
                "==" => equal(a, b),
                "!=" => !equal(a, b),
                "in" => contains(b, a)?,
                "notin" => !contains(b, a)?,
                _ => compared(sign, a, b)?,
            };
            Ok::<Value, Error>(Value::from(Tuple::from([Value::from(holds), b.clone()])))
        });
    }
}

/// The dictionary of keys and values by turns.
pub(super) fn dict(items: &[Value]) -> Value {
    let mut pairs = Vec::with_capacity(items.len() / 2);
    for pair in items.chunks_exact(2) {
        put(&mut pairs, pair[0].clone(), pair[1].clone());
    }
    Dict::value(pairs)
}

/// Whether `a sign b`.
///
/// # Errors
/// When the two have no order.
pub(super) fn compared(sign: &str, a: &Value, b: &Value) -> Result<bool, Error> {
    let Some(order) = python::order(sign, a, b)? else { return Ok(false) };
    Ok(match sign {
        "<" => order == Ordering::Less,
        "<=" => order != Ordering::Greater,
        ">" => order == Ordering::Greater,
        _ => order != Ordering::Less,
    })
}

/// What a `for` goes over.
fn iterate(value: &Value) -> Outcome {
    Ok(match shape(value) {
        Shape::List(_) | Shape::Tuple(_) | Shape::Range(_) | Shape::Undefined => value.clone(),
        _ => Value::from(Tuple::from(items(value)?)),
    })
}

/// `value[key]`, or the attribute of that name; undefined where there is neither.
///
/// # Errors
/// When the value itself is undefined.
pub(super) fn item(value: &Value, key: &Value) -> Outcome {
    let index = |len: usize| match shape(key) {
        Shape::Int(index) => place(index, len),
        Shape::Bool(yes) => place(i128::from(yes), len),
        _ => None,
    };
    let found = match shape(value) {
        Shape::Dict(dict) => dict.get(key),
        Shape::List(list) => {
            let items = list.items();
            index(items.len()).map(|at| items[at].clone())
        }
        Shape::Tuple(tuple) => index(tuple.len()).map(|at| tuple[at].clone()),
        Shape::Str(text) if text.is_ascii() => index(text.len()).map(|at| Value::from(&text[at..=at])),
        Shape::Str(text) => index(text.chars().count())
            .and_then(|at| text.chars().nth(at))
            .map(|c| Value::from(c.to_string())),
        Shape::Range(range) => index(range.len()).and_then(|at| range.nth(at)),
        Shape::Undefined => return Err(Error::from(ErrorKind::UndefinedError)),
        Shape::Other => value.get_item(key).ok(),
        _ => None,
    };
    Ok(found.unwrap_or(Value::UNDEFINED))
}

/// The place that a Python index means; negative ones count from the end.
pub(super) fn place(index: i128, len: usize) -> Option<usize> {
    let at = if index < 0 { index + i128::try_from(len).ok()? } else { index };
    usize::try_from(at).ok().filter(|at| *at < len)
}

/// `value[start:stop:step]`.
///
/// # Errors
/// When the value can't be sliced, or a bound is no whole number.
pub(super) fn slice(value: &Value, start: &Value, stop: &Value, step: &Value) -> Outcome {
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    let bound = |bound: &Value| match shape(bound) {
        Shape::None => Ok(None),
        Shape::Int(number) => Ok(Some(number)),
        Shape::Bool(yes) => Ok(Some(i128::from(yes))),
        _ => Err(wrong("slice indices must be integers or None")),
    };
    let len = match shape(value) {
        Shape::Str(_) | Shape::List(_) | Shape::Tuple(_) | Shape::Range(_) => length(value)?,
        _ => return Err(wrong(format!("'{}' object can't be sliced", type_of(value)))),
    };
    let (start, stop, step) = (bound(start)?, bound(stop)?, bound(step)?);
    let step = step.unwrap_or(1);
    if step == 0 {
        return Err(wrong("slice step cannot be zero"));
    }
    let places = places(start, stop, step, len);
    Ok(match shape(value) {
        Shape::Str(text) if step == 1 => {
            let (first, count) = (places.first().copied().unwrap_or(0), places.len());
            let mut ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            let begin = ends.nth(first).unwrap_or(text.len());
            let end = if count == 0 { begin } else { ends.nth(count - 1).unwrap_or(text.len()) };
            Value::from(&text[begin..end])
        }
        Shape::Str(text) => {
            let chars: Vec<char> = text.chars().collect();
            Value::from(places.iter().map(|at| chars[*at]).collect::<String>())
        }
        Shape::List(list) => {
            let items = list.snapshot();
            List::value(places.iter().map(|at| items[*at].clone()).collect())
        }
        Shape::Tuple(tuple) => {
            Value::from(Tuple::from(places.iter().map(|at| tuple[*at].clone()).collect::<Vec<_>>()))
        }
        Shape::Range(range) => {
            let start = i64::try_from(step).ok().and_then(|step| step.checked_mul(range.step));
            let step = start.ok_or_else(|| wrong("the step is too large"))?;
            let first = places.first().and_then(|at| range.nth(*at)).and_then(|first| first.as_i64());
            let start = first.unwrap_or(range.start);
            let stop = start + step * i64::try_from(places.len()).unwrap_or(0);
            Value::from_object(values::Range { start, stop, step })
        }
        _ => Value::UNDEFINED,
    })
}

/// The places of a slice, in its order.
fn places(start: Option<i128>, stop: Option<i128>, step: i128, len: usize) -> Vec<usize> {
    let len = i128::try_from(len).unwrap_or(i128::MAX);
    let (lowest, highest) = if step > 0 { (0, len) } else { (-1, len - 1) };
    let clamp = |bound: Option<i128>, default: i128| {
        bound.map_or(default, |at| (if at < 0 { at.saturating_add(len) } else { at }).clamp(lowest, highest))
    };
    let (start, stop) =
        if step > 0 { (clamp(start, 0), clamp(stop, len)) } else { (clamp(start, len - 1), clamp(stop, -1)) };
    let mut places = Vec::new();
    let mut at = start;
    while if step > 0 { at < stop } else { at > stop } {
        places.extend(usize::try_from(at));
        at = at.saturating_add(step);
    }
    places
}

fn unsupported(sign: &str, a: &Value, b: &Value) -> Error {
    if a.is_undefined() || b.is_undefined() {
        return undefined(sign);
    }
    wrong(format!("unsupported operand type(s) for {sign}: '{}' and '{}'", type_of(a), type_of(b)))
}

fn too_large() -> Error {
    wrong("a number is too large")
}

/// A whole number as a value, small if it fits.
pub(super) fn int(number: i128) -> Value {
    i64::try_from(number).map_or_else(|_| Value::from(number), Value::from)
}

enum Pair {
    Ints(i128, i128),
    Floats(f64, f64),
}

fn numbers(a: &Value, b: &Value) -> Option<Pair> {
    enum Number {
        Int(i128),
        Float(f64),
    }
    let number = |value: &Value| match shape(value) {
        Shape::Bool(yes) => Some(Number::Int(i128::from(yes))),
        Shape::Int(number) => Some(Number::Int(number)),
        Shape::Float(number) => Some(Number::Float(number)),
        _ => None,
    };
    Some(match (number(a)?, number(b)?) {
        (Number::Int(a), Number::Int(b)) => Pair::Ints(a, b),
        (Number::Int(a), Number::Float(b)) => Pair::Floats(a as f64, b),
        (Number::Float(a), Number::Int(b)) => Pair::Floats(a, b as f64),
        (Number::Float(a), Number::Float(b)) => Pair::Floats(a, b),
    })
}

fn arithmetic(
    sign: &str,
    a: &Value,
    b: &Value,
    ints: fn(i128, i128) -> Option<i128>,
    floats: fn(f64, f64) -> f64,
) -> Outcome {
    match numbers(a, b) {
        Some(Pair::Ints(a, b)) => ints(a, b).map(int).ok_or_else(too_large),
        Some(Pair::Floats(a, b)) => Ok(Value::from(floats(a, b))),
        None => Err(unsupported(sign, a, b)),
    }
}

fn bounded(text: String) -> Outcome {
    if text.len() > LONGEST { Err(wrong("a text grew too long")) } else { Ok(Value::from(text)) }
}

/// `a + b`.
pub(super) fn plus(a: &Value, b: &Value) -> Outcome {
    let joined = |a: &[Value], b: &[Value]| {
        if a.len() + b.len() > MOST {
            return Err(wrong("a list grew too long"));
        }
        Ok([a, b].concat())
    };
    match (shape(a), shape(b)) {
        (Shape::Str(a), Shape::Str(b)) => bounded([a, b].concat()),
        (Shape::List(a), Shape::List(b)) => {
            let (a, b) = (a.snapshot(), b.snapshot());
            joined(&a, &b).map(List::value)
        }
        (Shape::Tuple(a), Shape::Tuple(b)) => Ok(Value::from(Tuple::from(joined(a, b)?))),
        (Shape::Str(_), _) if !b.is_undefined() => {
            Err(wrong(format!("can only concatenate str (not \"{}\") to str", type_of(b))))
        }
        _ => arithmetic("+", a, b, i128::checked_add, |a, b| a + b),
    }
}

fn repeated_items(items: &[Value], count: usize) -> Vec<Value> {
    std::iter::repeat_n(items, count).flatten().cloned().collect()
}

fn times(a: &Value, b: &Value) -> Outcome {
    let count = |value: &Value| match shape(value) {
        Shape::Bool(yes) => Some(usize::from(yes)),
        Shape::Int(number) => Some(usize::try_from(number.max(0)).unwrap_or(usize::MAX)),
        _ => None,
    };
    let (repeated, count) = match (count(a), count(b)) {
        (None, Some(count)) => (a, count),
        (Some(count), None) => (b, count),
        _ => return arithmetic("*", a, b, i128::checked_mul, |a, b| a * b),
    };
    let fits = |len: usize, most: usize| match len.checked_mul(count) {
        Some(len) if len <= most => Ok(()),
        _ => Err(wrong("a repeated value grew too long")),
    };
    match shape(repeated) {
        Shape::Str(text) => fits(text.len(), LONGEST).map(|()| Value::from(text.repeat(count))),
        Shape::List(list) => {
            let items = list.snapshot();
            fits(items.len(), MOST).map(|()| List::value(repeated_items(&items, count)))
        }
        Shape::Tuple(tuple) => {
            fits(tuple.len(), MOST).map(|()| Value::from(Tuple::from(repeated_items(tuple, count))))
        }
        _ => arithmetic("*", a, b, i128::checked_mul, |a, b| a * b),
    }
}

fn divide(a: &Value, b: &Value) -> Outcome {
    let (dividend, divisor) = match numbers(a, b) {
        Some(Pair::Ints(a, b)) => (a as f64, b as f64),
        Some(Pair::Floats(a, b)) => (a, b),
        None => return Err(unsupported("/", a, b)),
    };
    if divisor == 0.0 { Err(wrong("division by zero")) } else { Ok(Value::from(dividend / divisor)) }
}

/// Quotient rounded down and the remainder that goes with it.
fn floor_of(a: f64, b: f64) -> (f64, f64) {
    let mut rest = a % b;
    let mut quotient = (a - rest) / b;
    if rest == 0.0 {
        rest = 0.0_f64.copysign(b);
    } else if (b < 0.0) != (rest < 0.0) {
        rest += b;
        quotient -= 1.0;
    }
    let down = if quotient == 0.0 {
        0.0_f64.copysign(a / b)
    } else {
        let down = quotient.floor();
        if quotient - down > 0.5 { down + 1.0 } else { down }
    };
    (down, rest)
}

fn floor_of_ints(a: i128, b: i128) -> Option<(i128, i128)> {
    let (quotient, rest) = (a.checked_div(b)?, a.checked_rem(b)?);
    Some(if rest != 0 && (rest < 0) != (b < 0) { (quotient - 1, rest + b) } else { (quotient, rest) })
}

fn divide_down(a: &Value, b: &Value) -> Outcome {
    match numbers(a, b) {
        Some(Pair::Ints(_, 0)) => Err(wrong("integer division or modulo by zero")),
        Some(Pair::Ints(a, b)) => floor_of_ints(a, b).map(|(down, _)| int(down)).ok_or_else(too_large),
        Some(Pair::Floats(_, 0.0)) => Err(wrong("float floor division by zero")),
        Some(Pair::Floats(a, b)) => Ok(Value::from(floor_of(a, b).0)),
        None => Err(unsupported("//", a, b)),
    }
}

fn remainder(a: &Value, b: &Value) -> Outcome {
    if let Some(text) = a.as_str() {
        let arguments = match shape(b) {
            Shape::Tuple(tuple) => tuple.to_vec(),
            _ => vec![b.clone()],
        };
        return bounded(percent::format(text, &arguments)?);
    }
    match numbers(a, b) {
        Some(Pair::Ints(_, 0)) => Err(wrong("integer division or modulo by zero")),
        Some(Pair::Ints(a, b)) => floor_of_ints(a, b).map(|(_, rest)| int(rest)).ok_or_else(too_large),
        Some(Pair::Floats(_, 0.0)) => Err(wrong("float modulo")),
        Some(Pair::Floats(a, b)) => Ok(Value::from(floor_of(a, b).1)),
        None => Err(unsupported("%", a, b)),
    }
}

fn power(a: &Value, b: &Value) -> Outcome {
    let (base, exponent) = match numbers(a, b) {
        Some(Pair::Ints(a, b)) if b >= 0 => {
            let exponent = u32::try_from(b).map_err(|_| too_large())?;
            return a.checked_pow(exponent).map(int).ok_or_else(too_large);
        }
        Some(Pair::Ints(a, b)) => (a as f64, b as f64),
        Some(Pair::Floats(a, b)) => (a, b),
        None => return Err(unsupported("** or pow()", a, b)),
    };
    if base == 0.0 && exponent < 0.0 {
        return Err(wrong("0.0 cannot be raised to a negative power"));
    }
    if base < 0.0 && exponent.is_finite() && exponent.fract() != 0.0 {
        return Err(wrong("a root of a negative number"));
    }
    let power = base.powf(exponent);
    if power.is_infinite() && base.is_finite() && exponent.is_finite() {
        Err(too_large())
    } else {
        Ok(Value::from(power))
    }
}

fn negate(value: &Value) -> Outcome {
    match shape(value) {
        Shape::Bool(yes) => Ok(Value::from(-i64::from(yes))),
        Shape::Int(number) => number.checked_neg().map(int).ok_or_else(too_large),
        Shape::Float(number) => Ok(Value::from(-number)),
        Shape::Undefined => Err(undefined("-")),
        _ => Err(wrong(format!("bad operand type for unary -: '{}'", type_of(value)))),
    }
}

fn concatenate(a: &Value, b: &Value) -> Outcome {
    let mut text = String::new();
    python::str_to(&mut text, a)?;
    python::str_to(&mut text, b)?;
    bounded(text)
}

/// `value in container`.
///
/// # Errors
/// When the container has no members.
pub(super) fn contains(container: &Value, value: &Value) -> Result<bool, Error> {
    match (shape(container), shape(value)) {
        (Shape::Str(text), Shape::Str(part)) => Ok(text.contains(part)),
        (Shape::Str(_), _) => {
            Err(wrong(format!("'in <string>' requires string as left operand, not {}", type_of(value))))
        }
        (Shape::Dict(dict), _) => Ok(dict.get(value).is_some()),
        _ => Ok(items(container)?.iter().any(|item| equal(item, value))),
    }
}
