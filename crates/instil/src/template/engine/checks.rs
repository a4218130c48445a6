//! Jinja2's tests: what may follow `is`.

use minijinja::value::{Rest, ValueKind};
use minijinja::{Environment, Error, Value};

use super::operators::{compared, contains};
use super::python::equal;
use super::values::{Shape, shape, type_of, wrong};

/// A test: what it is applied to, and what follows in parentheses.
pub(super) type Check = fn(&Value, &[Value]) -> Result<bool, Error>;

/// The tests by name.
const CHECKS: [(&str, Check); 40] = [
    ("defined", |value, _| Ok(!value.is_undefined())),
    ("undefined", |value, _| Ok(value.is_undefined())),
    ("none", |value, _| Ok(value.is_none())),
    ("boolean", |value, _| Ok(matches!(shape(value), Shape::Bool(_)))),
    ("true", |value, _| Ok(matches!(shape(value), Shape::Bool(true)))),
    ("false", |value, _| Ok(matches!(shape(value), Shape::Bool(false)))),
    ("integer", |value, _| Ok(matches!(shape(value), Shape::Int(_)))),
    ("float", |value, _| Ok(matches!(shape(value), Shape::Float(_)))),
    ("number", |value, _| Ok(matches!(shape(value), Shape::Bool(_) | Shape::Int(_) | Shape::Float(_)))),
    ("string", |value, _| Ok(matches!(shape(value), Shape::Str(_)))),
    ("mapping", |value, _| Ok(matches!(shape(value), Shape::Dict(_)))),
    ("iterable", |value, _| Ok(iterates(value))),
    ("sequence", |value, _| {
        Ok(matches!(
            shape(value),
            Shape::Undefined
                | Shape::Str(_)
                | Shape::List(_)
                | Shape::Tuple(_)
                | Shape::Dict(_)
                | Shape::Range(_)
        ))
    }),
    ("callable", |value, _| Ok(value.kind() == ValueKind::Plain)),
    ("escaped", |value, _| Ok(value.is_safe())),
    ("lower", |value, _| cased(value, char::is_lowercase, char::is_uppercase)),
    ("upper", |value, _| cased(value, char::is_uppercase, char::is_lowercase)),
    ("odd", |value, _| Ok(modulo(value, 2)? == 1)),
    ("even", |value, _| Ok(modulo(value, 2)? == 0)),
    ("divisibleby", |value, arguments| {
        let by = one("divisibleby", arguments)?;
        match shape(by) {
            Shape::Int(by) if by != 0 => Ok(modulo(value, by)? == 0),
            _ => Err(wrong("`divisibleby` takes a whole number other than 0")),
        }
    }),
    ("sameas", |value, arguments| {
        let other = one("sameas", arguments)?;
        Ok(match (shape(value), shape(other)) {
            (Shape::List(a), Shape::List(b)) => std::ptr::eq(a, b),
            (Shape::Dict(a), Shape::Dict(b)) => std::ptr::eq(a, b),
            _ => type_of(value) == type_of(other) && equal(value, other),
        })
    }),
    ("in", |value, arguments| contains(one("in", arguments)?, value)),
    ("==", |value, arguments| Ok(equal(value, one("==", arguments)?))),
    ("eq", |value, arguments| Ok(equal(value, one("eq", arguments)?))),
    ("equalto", |value, arguments| Ok(equal(value, one("equalto", arguments)?))),
    ("!=", |value, arguments| Ok(!equal(value, one("!=", arguments)?))),
    ("ne", |value, arguments| Ok(!equal(value, one("ne", arguments)?))),
    (">", |value, arguments| compared(">", value, one(">", arguments)?)),
    ("gt", |value, arguments| compared(">", value, one("gt", arguments)?)),
    ("greaterthan", |value, arguments| compared(">", value, one("greaterthan", arguments)?)),
    (">=", |value, arguments| compared(">=", value, one(">=", arguments)?)),
    ("ge", |value, arguments| compared(">=", value, one("ge", arguments)?)),
    ("<", |value, arguments| compared("<", value, one("<", arguments)?)),
    ("lt", |value, arguments| compared("<", value, one("lt", arguments)?)),
    ("lessthan", |value, arguments| compared("<", value, one("lessthan", arguments)?)),
    ("<=", |value, arguments| compared("<=", value, one("<=", arguments)?)),
    ("le", |value, arguments| compared("<=", value, one("le", arguments)?)),
    ("filter", |value, _| Ok(value.as_str().is_some_and(super::filters::is_known))),
    ("test", |value, _| Ok(value.as_str().is_some_and(is_known))),
    ("safe", |value, _| Ok(value.is_safe())),
];

/// The names of the tests.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    CHECKS.iter().map(|(name, _)| *name)
}

/// Whether there is a test of this name.
pub(super) fn is_known(name: &str) -> bool {
    names().any(|known| known == name)
}

/// The test of this name.
pub(super) fn of(name: &str) -> Option<Check> {
    CHECKS.iter().find(|(known, _)| *known == name).map(|(_, check)| *check)
}

/// Adds them to an environment.
pub(super) fn add_to(env: &mut Environment<'static>) {
    for (name, check) in CHECKS {
        env.add_test(name, move |value: &Value, rest: Rest<Value>| check(value, &rest));
    }
}

fn one<'a>(test: &str, arguments: &'a [Value]) -> Result<&'a Value, Error> {
    match arguments {
        [one] => Ok(one),
        _ => Err(wrong(format!("the test `{test}` takes one argument"))),
    }
}

fn iterates(value: &Value) -> bool {
    !matches!(shape(value), Shape::None | Shape::Bool(_) | Shape::Int(_) | Shape::Float(_))
        && value.kind() != ValueKind::Plain
}

fn cased(value: &Value, wanted: fn(char) -> bool, other: fn(char) -> bool) -> Result<bool, Error> {
    let text = super::python::string(value)?;
    Ok(text.chars().any(wanted) && !text.chars().any(other))
}

fn modulo(value: &Value, by: i128) -> Result<i128, Error> {
    match shape(value) {
        Shape::Int(number) => Ok(number.rem_euclid(by)),
        Shape::Bool(yes) => Ok(i128::from(yes).rem_euclid(by)),
        _ => Err(wrong(format!("a whole number is expected, not '{}'", type_of(value)))),
    }
}
