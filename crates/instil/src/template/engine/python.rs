//! Python's `str`, `repr`, `==` and `<` over template values.

use std::cell::Cell;
use std::cmp::Ordering;
use std::fmt::{self, Write};

use minijinja::{Error, Value};

use super::values::{DEEPEST, LONGEST, MOST, Shape, shape, type_of, wrong};

/// What stops a text that grows too long: a list that holds another twice, and that one as well, is short and
/// its text isn't.
struct Bounded<'a> {
    out: &'a mut dyn Write,
    left: usize,
}

impl Write for Bounded<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.left = self.left.checked_sub(text.len()).ok_or(fmt::Error)?;
        self.out.write_str(text)
    }
}

/// Writes `str(value)`.
///
/// # Errors
/// When the value has no text that is the same at every run, or is nested too deep.
pub(super) fn str_to(out: &mut dyn Write, value: &Value) -> Result<(), Error> {
    match shape(value) {
        Shape::Str(text) => out.write_str(text).map_err(Error::from),
        Shape::Undefined => Ok(()),
        Shape::List(_) | Shape::Tuple(_) | Shape::Dict(_) | Shape::View(_) => {
            let mut bounded = Bounded { out, left: LONGEST };
            repr_to(&mut bounded, value, 0).map_err(|e| match bounded.left {
                left if left < LONGEST && e.kind() == minijinja::ErrorKind::WriteFailure => {
                    wrong("a text grew too long")
                }
                _ => e,
            })
        }
        _ => repr_to(out, value, 0),
    }
}

/// `str(value)`.
///
/// # Errors
/// As [`str_to`].
pub(super) fn string(value: &Value) -> Result<String, Error> {
    let mut text = String::new();
    str_to(&mut text, value)?;
    Ok(text)
}

/// Writes `repr(value)`.
///
/// # Errors
/// As [`str_to`].
pub(super) fn repr_to(out: &mut dyn Write, value: &Value, depth: usize) -> Result<(), Error> {
    if depth > DEEPEST {
        return Err(wrong("nested too deep to print"));
    }
    let each = |out: &mut dyn Write, items: &[Value]| {
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                out.write_str(", ")?;
            }
            repr_to(out, item, depth + 1)?;
        }
        Ok::<(), Error>(())
    };
    match shape(value) {
        Shape::Undefined => out.write_str("Undefined")?,
        Shape::None => out.write_str("None")?,
        Shape::Bool(yes) => out.write_str(if yes { "True" } else { "False" })?,
        Shape::Int(number) => write!(out, "{number}")?,
        Shape::Float(number) => float_to(out, number)?,
        Shape::Str(text) => quote_to(out, text)?,
        Shape::List(list) => {
            let items = list.snapshot();
            out.write_char('[')?;
            each(out, &items)?;
            out.write_char(']')?;
        }
        Shape::Tuple(tuple) => {
            out.write_char('(')?;
            each(out, tuple)?;
            out.write_str(if tuple.len() == 1 { ",)" } else { ")" })?;
        }
        Shape::Dict(dict) => {
            let pairs = dict.snapshot();
            out.write_char('{')?;
            for (index, (key, value)) in pairs.iter().enumerate() {
                if index > 0 {
                    out.write_str(", ")?;
                }
                repr_to(out, key, depth + 1)?;
                out.write_str(": ")?;
                repr_to(out, value, depth + 1)?;
            }
            out.write_char('}')?;
        }
        Shape::View(view) => {
            write!(out, "{}([", view.kind)?;
            each(out, &view.items)?;
            out.write_str("])")?;
        }
        Shape::Range(range) => match range.step {
            1 => write!(out, "range({}, {})", range.start, range.stop)?,
            step => write!(out, "range({}, {}, {step})", range.start, range.stop)?,
        },
        Shape::Once(once) => {
            return Err(wrong(format!("a {} has no text to print; `| list` makes a list of it", once.kind)));
        }
        Shape::Other => return Err(wrong("the value has no text to print")),
    }
    Ok(())
}

/// Writes `repr` of a float: the shortest digits, with an exponent below 1e-4 and from 1e16.
pub(super) fn float_to(out: &mut dyn Write, number: f64) -> fmt::Result {
    if number.is_nan() {
        return out.write_str("nan");
    }
    if number.is_infinite() {
        return out.write_str(if number < 0.0 { "-inf" } else { "inf" });
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if number != 0.0 && !(-4..16).contains(&exponent) {
        return write!(out, "{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs());
    }
    let plain = number.to_string();
    out.write_str(&plain)?;
    if plain.contains('.') { Ok(()) } else { out.write_str(".0") }
}

/// Writes `repr` of a string.
pub(super) fn quote_to(out: &mut dyn Write, text: &str) -> fmt::Result {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.write_char(quote)?;
    for c in text.chars() {
        match c {
            '\\' => out.write_str("\\\\")?,
            '\n' => out.write_str("\\n")?,
            '\r' => out.write_str("\\r")?,
            '\t' => out.write_str("\\t")?,
            _ if c == quote => write!(out, "\\{c}")?,
            ' '..='~' => out.write_char(c)?,
            _ if is_printable(c) => out.write_char(c)?,
            '\0'..='\u{ff}' => write!(out, "\\x{:02x}", u32::from(c))?,
            '\u{100}'..='\u{ffff}' => write!(out, "\\u{:04x}", u32::from(c))?,
            _ => write!(out, "\\U{:08x}", u32::from(c))?,
        }
    }
    out.write_char(quote)
}

/// Python's `str.isprintable` of one character: neither control, format, private, unassigned, nor a
/// separator but the blank.
fn is_printable(c: char) -> bool {
    // `Debug` of a string leaves printable characters, and marks that follow another one, as they are.
    c.is_alphanumeric() || {
        let mut pair = [0; 5];
        pair[0] = b'a';
        let end = 1 + c.encode_utf8(&mut pair[1..]).len();
        std::str::from_utf8(&pair[..end]).is_ok_and(|pair| pair.escape_debug().eq(pair.chars()))
    }
}

thread_local! {
    /// How many comparisons the rendering on this thread may still make; those of rows aren't counted.
    static COMPARISONS: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Lets what is rendered on this thread compare so many times.
pub(super) fn allow_comparisons(count: usize) {
    COMPARISONS.set(count);
}

/// Python's `==`. Where it takes too many comparisons the answer is no.
pub(super) fn equal(a: &Value, b: &Value) -> bool {
    let allowed = COMPARISONS.get();
    let mut left = allowed.min(2 * MOST);
    let before = left;
    let equal = equal_at(a, b, 0, &mut left);
    if allowed != usize::MAX {
        COMPARISONS.set(allowed - (before - left));
    }
    equal
}

/// Values that take more than `left` comparisons aren't equal.
fn equal_at(a: &Value, b: &Value, depth: usize, left: &mut usize) -> bool {
    if depth > DEEPEST || *left == 0 {
        return false;
    }
    *left -= 1;
    if let (Some(a), Some(b)) = (a.as_str(), b.as_str()) {
        *left = left.saturating_sub(a.len() / 64);
        return a == b;
    }
    let mut same = |a: &[Value], b: &[Value]| {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal_at(a, b, depth + 1, left))
    };
    match (shape(a), shape(b)) {
        (Shape::Undefined, Shape::Undefined) | (Shape::None, Shape::None) => true,
        (Shape::List(a), Shape::List(b)) => {
            std::ptr::eq(a, b) || {
                let (a, b) = (a.snapshot(), b.snapshot());
                same(&a, &b)
            }
        }
        (Shape::Tuple(a), Shape::Tuple(b)) => same(a, b),
        (Shape::Dict(a), Shape::Dict(b)) => {
            std::ptr::eq(a, b) || {
                let pairs = a.snapshot();
                pairs.len() == b.snapshot().len()
                    && pairs.iter().all(|(key, value)| {
                        b.get(key).is_some_and(|other| equal_at(value, &other, depth + 1, left))
                    })
            }
        }
        (Shape::Range(a), Shape::Range(b)) => {
            a.len() == b.len() && (0..a.len().min(2)).all(|index| a.nth(index) == b.nth(index))
        }
        (Shape::Other | Shape::Once(_), Shape::Other | Shape::Once(_)) => a == b,
        (a, b) => number_order(&a, &b) == Some(Ordering::Equal),
    }
}

/// The order of two numbers; `None` where one isn't a number.
fn number_order(a: &Shape<'_>, b: &Shape<'_>) -> Option<Ordering> {
    let int = |shape: &Shape<'_>| match shape {
        Shape::Bool(yes) => Some(i128::from(*yes)),
        Shape::Int(number) => Some(*number),
        _ => None,
    };
    match (int(a), int(b), a, b) {
        (Some(a), Some(b), ..) => Some(a.cmp(&b)),
        (None, None, Shape::Float(a), Shape::Float(b)) => a.partial_cmp(b),
        (Some(a), None, _, Shape::Float(b)) => int_against_float(a, *b),
        (None, Some(b), Shape::Float(a), _) => int_against_float(b, *a).map(Ordering::reverse),
        _ => None,
    }
}

/// Compares without rounding the integer to a float.
fn int_against_float(int: i128, float: f64) -> Option<Ordering> {
    if float.is_nan() {
        return None;
    }
    if float >= 1.7e38 {
        return Some(Ordering::Less);
    }
    if float <= -1.7e38 {
        return Some(Ordering::Greater);
    }
    let whole = float.floor();
    let order = int.cmp(&(whole as i128));
    Some(if order == Ordering::Equal && float > whole { Ordering::Less } else { order })
}

/// The order of two values under `sign`, Python's operator; `None` where nothing holds, as with NaN.
///
/// # Errors
/// When the two have no order.
pub(super) fn order(sign: &str, a: &Value, b: &Value) -> Result<Option<Ordering>, Error> {
    order_at(sign, a, b, 0)
}

fn order_at(sign: &str, a: &Value, b: &Value, depth: usize) -> Result<Option<Ordering>, Error> {
    if let (Some(a), Some(b)) = (a.as_str(), b.as_str()) {
        return Ok(Some(a.cmp(b)));
    }
    if depth > DEEPEST {
        return Err(wrong("nested too deep to compare"));
    }
    let items = |a: &[Value], b: &[Value]| {
        for (a, b) in a.iter().zip(b) {
            if !equal(a, b) {
                return order_at(sign, a, b, depth + 1);
            }
        }
        Ok(Some(a.len().cmp(&b.len())))
    };
    match (shape(a), shape(b)) {
        (Shape::Undefined, _) | (_, Shape::Undefined) => Err(undefined(sign)),
        (Shape::List(a), Shape::List(b)) => {
            let (a, b) = (a.snapshot(), b.snapshot());
            items(&a, &b)
        }
        (Shape::Tuple(a), Shape::Tuple(b)) => items(a, b),
        (one, other) => {
            let number =
                |shape: &Shape<'_>| matches!(shape, Shape::Bool(_) | Shape::Int(_) | Shape::Float(_));
            if number(&one) && number(&other) {
                return Ok(number_order(&one, &other));
            }
            Err(wrong(format!(
                "'{sign}' not supported between instances of '{}' and '{}'",
                type_of(a),
                type_of(b)
            )))
        }
    }
}

/// The error of an operation on what isn't there.
pub(super) fn undefined(what: &str) -> Error {
    Error::new(minijinja::ErrorKind::UndefinedError, format!("`{what}` of an undefined value"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_python_writes_them() {
        // The right side is what Python 3.11 prints of the left.
        for (number, expected) in [
            ("0.0", "0.0"),
            ("-0.0", "-0.0"),
            ("1.0", "1.0"),
            ("-1.5", "-1.5"),
            ("0.1", "0.1"),
            ("1e-4", "0.0001"),
            ("0.0001", "0.0001"),
            ("0.00001", "1e-05"),
            ("1e15", "1000000000000000.0"),
            ("1e16", "1e+16"),
            ("123456789012345680.0", "1.2345678901234568e+17"),
            ("1e22", "1e+22"),
            ("1e100", "1e+100"),
            ("1.7976931348623157e308", "1.7976931348623157e+308"),
            ("5e-324", "5e-324"),
            ("0.30000000000000004", "0.30000000000000004"),
            ("2.5e-5", "2.5e-05"),
            ("999999999999999.9", "999999999999999.9"),
            ("9999999999999998.0", "9999999999999998.0"),
            ("1234567.0", "1234567.0"),
            ("3.14", "3.14"),
            ("inf", "inf"),
            ("-inf", "-inf"),
            ("nan", "nan"),
        ] {
            let mut written = String::new();
            float_to(&mut written, number.parse().unwrap()).unwrap();
            assert_eq!(written, expected);
        }
    }

    #[test]
    fn strings_are_quoted_as_python_quotes_them() {
        for (text, expected) in [
            ("", "''"),
            ("a", "'a'"),
            ("it's", "\"it's\""),
            ("say \"x\"", "'say \"x\"'"),
            ("both ' and \"", "'both \\' and \"'"),
            ("\\", "'\\\\'"),
            ("\u{a}\u{d}\u{9}", "'\\n\\r\\t'"),
            ("\u{0}\u{7}\u{1f}\u{7f}", "'\\x00\\x07\\x1f\\x7f'"),
            ("\u{80}\u{9f}\u{a0}\u{ad}\u{ff}", "'\\x80\\x9f\\xa0\\xad\u{ff}'"),
            ("\u{e9}\u{65e5}\u{f1}", "'\u{e9}\u{65e5}\u{f1}'"),
            ("\u{301}", "'\u{301}'"),
            ("a\u{301}", "'a\u{301}'"),
            ("\u{200b}\u{200d}\u{2028}\u{2029}\u{feff}", "'\\u200b\\u200d\\u2028\\u2029\\ufeff'"),
            ("\u{1f600}\u{e0001}\u{10ffff}", "'\u{1f600}\\U000e0001\\U0010ffff'"),
            ("\u{378}\u{e000}", "'\\u0378\\ue000'"),
            ("\u{3000}\u{2003} ", "'\\u3000\\u2003 '"),
            ("\u{600}\u{6dd}", "'\\u0600\\u06dd'"),
        ] {
            let mut quoted = String::new();
            quote_to(&mut quoted, text).unwrap();
            assert_eq!(quoted, expected, "{text:?}");
        }
    }

    #[test]
    fn whole_numbers_and_floats_compare_without_rounding() {
        let large = Value::from((1_i64 << 53) + 1);
        assert!(!equal(&large, &Value::from(9_007_199_254_740_992.0)));
        assert_eq!(order("<", &Value::from(9_007_199_254_740_992.0), &large).unwrap(), Some(Ordering::Less));
        assert!(equal(&Value::from(true), &Value::from(1.0)));
        assert_eq!(order("<", &Value::from(f64::NAN), &large).unwrap(), None);
        assert!(order("<", &Value::from("a"), &large).is_err());
    }
}
