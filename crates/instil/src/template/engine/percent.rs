//! Python's `%` formatting.

use minijinja::formatting::{FormatStyle, format as formatted};
use minijinja::{Error, Value};

use super::python;
use super::values::{Shape, shape, wrong};

/// The widest field and the most digits that a text may ask for: a template must not fill the memory.
const WIDEST: u64 = 99_999;

/// Refuses a width or precision above [`WIDEST`] in a directive.
///
/// # Errors
/// When there is one.
pub(super) fn bounded(directive: &str) -> Result<(), Error> {
    let numbers = directive.split(|c: char| !c.is_ascii_digit());
    let is_wide =
        |number: &str| !number.is_empty() && number.parse().map_or(true, |number: u64| number > WIDEST);
    if numbers.into_iter().any(is_wide) { Err(too_wide()) } else { Ok(()) }
}

fn too_wide() -> Error {
    wrong("a width or precision above 99999")
}

/// `text % arguments`.
///
/// # Errors
/// When the text and its arguments don't go together.
pub(super) fn format(text: &str, arguments: &[Value]) -> Result<String, Error> {
    // `%s` and `%r` of what isn't a plain string or number are written here.
    let mut ready = Vec::with_capacity(arguments.len());
    let mut written = String::with_capacity(text.len());
    let mut arguments = arguments.iter();
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        let directive = &rest[at + 1..];
        written.push_str(&rest[..=at]);
        let end = directive
            .find(|c: char| c.is_ascii_alphabetic() && !"hlL".contains(c) || c == '%')
            .ok_or_else(|| wrong("incomplete format"))?;
        if directive.starts_with('(') {
            return Err(wrong("format by name isn't supported"));
        }
        bounded(&directive[..end])?;
        for _ in directive[..end].matches('*') {
            let width = arguments.next();
            if width.and_then(Value::as_i64).is_some_and(|width| width.unsigned_abs() > WIDEST) {
                return Err(too_wide());
            }
            ready.extend(width.cloned());
        }
        match directive.as_bytes()[end] {
            b'%' => {}
            kind => {
                let argument =
                    arguments.next().ok_or_else(|| wrong("not enough arguments for format string"))?;
                ready.push(match (kind, shape(argument)) {
                    (b's', Shape::Str(_)) => argument.clone(),
                    (b's', _) => Value::from(python::string(argument)?),
                    (b'r', _) => {
                        let mut text = String::new();
                        python::repr_to(&mut text, argument, 0)?;
                        Value::from(text)
                    }
                    (b'd' | b'i' | b'u', Shape::Bool(yes)) => Value::from(i64::from(yes)),
                    (b'd' | b'i' | b'u', Shape::Float(number)) if number.abs() < 1e18 => {
                        Value::from(number.trunc() as i64)
                    }
                    (b'd' | b'i' | b'u' | b'f' | b'e' | b'g' | b'F' | b'E' | b'G', Shape::Str(_)) => {
                        return Err(wrong("a number is required, not str"));
                    }
                    _ => argument.clone(),
                });
            }
        }
        let directive_end = &directive[..=end];
        written.push_str(directive_end.strip_suffix('r').unwrap_or(directive_end));
        if directive_end.ends_with('r') {
            written.push('s');
        }
        rest = &directive[end + 1..];
    }
    if arguments.next().is_some() {
        return Err(wrong("not all arguments converted during string formatting"));
    }
    written.push_str(rest);
    formatted(FormatStyle::Printf, &written, &ready)
}
