//! Filters that make numbers.

use minijinja::{Error, State, Value};

use super::super::arguments::{bind, integer, needed};
use super::super::operators::int;
use super::super::python::{self, undefined};
use super::super::values::{self, Outcome, Shape, shape, type_of, wrong};
use super::Filter;

pub(super) const FILTERS: [(&str, Filter); 6] = [
    ("abs", absolute),
    ("count", length),
    ("float", to_float),
    ("int", to_int),
    ("length", length),
    ("round", round),
];

fn length(_: &mut State<'_, '_>, arguments: &[Value]) -> Outcome {
    let [value] = bind("length", arguments, ["value"])?;
    values::length(&needed("length", "value", value)?).map(Value::from)
}

fn absolute(_: &mut State<'_, '_>, arguments: &[Value]) -> Outcome {
    let [value] = bind("abs", arguments, ["value"])?;
    let value = needed("abs", "value", value)?;
    match shape(&value) {
        Shape::Bool(yes) => Ok(Value::from(i64::from(yes))),
        Shape::Int(number) => Ok(int(number.checked_abs().ok_or_else(|| wrong("a number is too large"))?)),
        Shape::Float(number) => Ok(Value::from(number.abs())),
        _ => Err(wrong(format!("bad operand type for abs(): '{}'", type_of(&value)))),
    }
}

/// What Python's `int(text, base)` reads.
fn parse_int(text: &str, base: u32) -> Option<i128> {
    let text = crate::prompt::bonito::python_strip(text);
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let marked = match base {
        2 => ["0b", "0B"],
        8 => ["0o", "0O"],
        16 => ["0x", "0X"],
        _ => ["", ""],
    };
    let bare = marked.iter().find_map(|mark| digits.strip_prefix(mark).filter(|_| !mark.is_empty()));
    let digits = bare.map_or(digits, |digits| digits.strip_prefix('_').unwrap_or(digits));
    let pieces_are_whole = digits.split('_').all(|piece| !piece.is_empty());
    let digits: String = digits.chars().filter(|c| *c != '_').map(ascii_digit).collect();
    if !pieces_are_whole || !digits.chars().all(|c| c.is_digit(base)) {
        return None;
    }
    let number = i128::from_str_radix(&digits, base).ok()?;
    Some(if negative { -number } else { number })
}

/// A decimal digit of another script as Python reads it: full-width and Arabic ones.
fn ascii_digit(c: char) -> char {
    let zeros = ['\u{660}', '\u{6f0}', '\u{966}', '\u{ff10}'];
    zeros
        .iter()
        .find_map(|zero| char::from_digit(u32::from(c).checked_sub(u32::from(*zero))?, 10))
        .unwrap_or(c)
}

/// What Python's `float(text)` reads.
fn parse_float(text: &str) -> Option<f64> {
    let text = crate::prompt::bonito::python_strip(text);
    let bytes = text.as_bytes();
    let apart = |at: usize| {
        at > 0 && bytes[at - 1].is_ascii_digit() && bytes.get(at + 1).is_some_and(u8::is_ascii_digit)
    };
    if text.match_indices('_').any(|(at, _)| !apart(at)) {
        return None;
    }
    text.chars().filter(|c| *c != '_').map(ascii_digit).collect::<String>().parse().ok()
}

fn truncated(number: f64) -> Option<i128> {
    (number.is_finite() && number.abs() < 1.7e38).then_some(number.trunc() as i128)
}

fn to_int(_: &mut State<'_, '_>, arguments: &[Value]) -> Outcome {
    let [value, default, base] = bind("int", arguments, ["value", "default", "base"])?;
    let value = needed("int", "value", value)?;
    let default = default.unwrap_or_else(|| Value::from(0));
    let base = u32::try_from(integer(base.as_ref(), 10)?).ok().filter(|base| (2..=36).contains(base));
    let base = base.ok_or_else(|| wrong("`int` takes a base from 2 to 36"))?;
    match shape(&value) {
        Shape::Undefined => Err(undefined("int")),
        Shape::Bool(yes) => Ok(Value::from(i64::from(yes))),
        Shape::Int(_) => Ok(value),
        Shape::Float(number) if number.is_nan() => Ok(default),
        Shape::Float(number) => {
            truncated(number).map(int).ok_or_else(|| wrong("cannot convert float infinity to integer"))
        }
        Shape::Str(text) => {
            Ok(parse_int(text, base).or_else(|| parse_float(text).and_then(truncated)).map_or(default, int))
        }
        _ => Ok(default),
    }
}

fn to_float(_: &mut State<'_, '_>, arguments: &[Value]) -> Outcome {
    let [value, default] = bind("float", arguments, ["value", "default"])?;
    let value = needed("float", "value", value)?;
    let default = default.unwrap_or_else(|| Value::from(0.0));
    Ok(match shape(&value) {
        Shape::Undefined => return Err(undefined("float")),
        Shape::Bool(yes) => Value::from(f64::from(u8::from(yes))),
        Shape::Int(number) => Value::from(number as f64),
        Shape::Float(_) => value,
        Shape::Str(text) => parse_float(text).map_or(default, Value::from),
        _ => default,
    })
}

fn round(_: &mut State<'_, '_>, arguments: &[Value]) -> Outcome {
    let [value, precision, method] = bind("round", arguments, ["value", "precision", "method"])?;
    let value = needed("round", "value", value)?;
    let precision = integer(precision.as_ref(), 0)?;
    let method = method.as_ref().and_then(Value::as_str).unwrap_or("common");
    let number = match shape(&value) {
        Shape::Float(number) => number,
        Shape::Bool(_) | Shape::Int(_) if method == "common" => return round_int(&value, precision),
        Shape::Int(number) => number as f64,
        Shape::Bool(yes) => f64::from(u8::from(yes)),
        _ => return Err(wrong(format!("type {} doesn't define __round__ method", type_of(&value)))),
    };
    let scale = 10_f64.powi(i32::try_from(precision).map_err(|_| wrong("too precise"))?);
    match method {
        "common" => Ok(Value::from(round_float(number, precision))),
        "ceil" => Ok(Value::from((number * scale).ceil() / scale)),
        "floor" => Ok(Value::from((number * scale).floor() / scale)),
        _ => Err(wrong("method must be common, ceil or floor")),
    }
}

/// Python's `round` of a float: to the nearest decimal, of two equally near ones the even.
fn round_float(number: f64, precision: i64) -> f64 {
    if !number.is_finite() {
        return number;
    }
    match usize::try_from(precision) {
        // No double has digits further behind.
        Ok(digits) if digits > 1100 => number,
        // Formatting rounds the exact decimal value half to even, and so does Python.
        Ok(digits) => format!("{number:.digits$}").parse().unwrap_or(number),
        Err(_) if precision < -308 => 0.0_f64.copysign(number),
        Err(_) => {
            let scale = 10_f64.powi(i32::try_from(-precision).unwrap_or(308));
            (number / scale).round_ties_even() * scale
        }
    }
}

fn round_int(value: &Value, precision: i64) -> Outcome {
    let Shape::Int(number) = shape(value) else { return Ok(Value::from(i64::from(value.is_true()))) };
    if precision >= 0 {
        return Ok(value.clone());
    }
    let Some(unit) = u32::try_from(-precision).ok().and_then(|digits| 10_i128.checked_pow(digits)) else {
        return Ok(Value::from(0));
    };
    let (down, rest) = (number.div_euclid(unit), number.rem_euclid(unit));
    let up = rest * 2 > unit || rest * 2 == unit && down % 2 != 0;
    Ok(int((down + i128::from(up)) * unit))
}

/// `str` of a float, for messages and JSON.
pub(super) fn float_text(number: f64) -> Result<String, Error> {
    let mut text = String::new();
    python::float_to(&mut text, number)?;
    Ok(text)
}
