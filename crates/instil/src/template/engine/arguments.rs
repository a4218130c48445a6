//! Arguments as Python binds them: by position, then by name.

use minijinja::value::Kwargs;
use minijinja::{Error, Value};

use super::python;
use super::values::{Shape, shape, type_of, wrong};

/// The positional arguments, and those given by name.
pub(super) fn split(arguments: &[Value]) -> (&[Value], Option<Kwargs>) {
    match arguments.split_last() {
        Some((last, rest)) if last.is_kwargs() => (rest, Kwargs::try_from(last.clone()).ok()),
        _ => (arguments, None),
    }
}

/// The arguments of `function` in the order of `names`.
///
/// # Errors
/// When there are too many, one is given twice, or one has a name that the function doesn't know.
pub(super) fn bind<const N: usize>(
    function: &str,
    arguments: &[Value],
    names: [&str; N],
) -> Result<[Option<Value>; N], Error> {
    let (positional, named) = split(arguments);
    if positional.len() > N {
        return Err(wrong(format!("`{function}` takes {N} arguments at most, not {}", positional.len())));
    }
    let mut bound: [Option<Value>; N] = std::array::from_fn(|at| positional.get(at).cloned());
    if let Some(named) = named {
        for name in named.args() {
            let Some(at) = names.iter().position(|known| *known == name) else {
                return Err(wrong(format!("`{function}` has no argument `{name}`")));
            };
            if bound[at].is_some() {
                return Err(wrong(format!("`{function}` got `{name}` twice")));
            }
            bound[at] = Some(named.peek::<Value>(name)?);
        }
    }
    Ok(bound)
}

/// A required argument.
///
/// # Errors
/// When it isn't there.
pub(super) fn needed(function: &str, name: &str, argument: Option<Value>) -> Result<Value, Error> {
    argument.ok_or_else(|| wrong(format!("`{function}` needs the argument `{name}`")))
}

/// A whole number, or `default` where there is no argument or none is said.
///
/// # Errors
/// When it is something else.
pub(super) fn integer(argument: Option<&Value>, default: i64) -> Result<i64, Error> {
    let Some(argument) = argument else { return Ok(default) };
    match shape(argument) {
        Shape::None => Ok(default),
        Shape::Bool(yes) => Ok(i64::from(yes)),
        Shape::Int(number) => i64::try_from(number).map_err(|_| wrong("a number is too large")),
        _ => Err(wrong(format!("'{}' object cannot be interpreted as an integer", type_of(argument)))),
    }
}

/// A string.
///
/// # Errors
/// When it is something else.
pub(super) fn text(argument: &Value) -> Result<&str, Error> {
    argument.as_str().ok_or_else(|| wrong(format!("a str is expected, not '{}'", type_of(argument))))
}

/// Whether an optional argument holds.
pub(super) fn flag(argument: Option<&Value>, default: bool) -> bool {
    argument.map_or(default, Value::is_true)
}

/// `str(argument)`, or `default` where there is none.
///
/// # Errors
/// When it has no text.
pub(super) fn string_or(argument: Option<&Value>, default: &str) -> Result<String, Error> {
    argument.map_or_else(|| Ok(default.to_owned()), python::string)
}
