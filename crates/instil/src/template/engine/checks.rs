//! Jinja2's tests: what may follow `is`.

use minijinja::value::{Rest, ValueKind};
use minijinja::{Environment, Error, State, Value};

use super::operators::{compared, contains};
use super::python::equal;
use super::values::{Shape, shape, type_of, wrong};

type Check = fn(&State<'_, '_>, &Value, &[Value]) -> Result<bool, Error>;

/// The tests by name.
const CHECKS: [(&str, Check); 40] = [
    ("defined", |_, value, _| Ok(!value.is_undefined())),
    ("undefined", |_, value, _| Ok(value.is_undefined())),
    ("none", |_, value, _| Ok(value.is_none())),
    ("boolean", |_, value, _| Ok(matches!(shape(value), Shape::Bool(_)))),
    ("true", |_, value, _| Ok(matches!(shape(value), Shape::Bool(true)))),
    ("false", |_, value, _| Ok(matches!(shape(value), Shape::Bool(false)))),
    ("integer", |_, value, _| Ok(matches!(shape(value), Shape::Int(_)))),
    ("float", |_, value, _| Ok(matches!(shape(value), Shape::Float(_)))),
    ("number", |_, value, _| Ok(matches!(shape(value), Shape::Bool(_) | Shape::Int(_) | Shape::Float(_)))),
    ("string", |_, value, _| Ok(matches!(shape(value), Shape::Str(_)))),
    ("mapping", |_, value, _| Ok(matches!(shape(value), Shape::Dict(_)))),
    ("iterable", |_, value, _| Ok(iterates(value))),
    ("sequence", |_, value, _| {
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
    ("callable", |_, value, _| Ok(value.kind() == ValueKind::Plain)),
    ("escaped", |_, value, _| Ok(value.is_safe())),
    ("lower", |_, value, _| cased(value, char::is_lowercase, char::is_uppercase)),
    ("upper", |_, value, _| cased(value, char::is_uppercase, char::is_lowercase)),
    ("odd", |_, value, _| Ok(modulo(value, 2)? == 1)),
    ("even", |_, value, _| Ok(modulo(value, 2)? == 0)),
    ("divisibleby", |_, value, arguments| {
        let by = one("divisibleby", arguments)?;
        match shape(by) {
            Shape::Int(by) if by != 0 => Ok(modulo(value, by)? == 0),
            _ => Err(wrong("`divisibleby` takes a whole number other than 0")),
        }
    }),
    ("sameas", |_, value, arguments| {
        let other = one("sameas", arguments)?;
        Ok(match (shape(value), shape(other)) {
            (Shape::List(a), Shape::List(b)) => std::ptr::eq(a, b),
            (Shape::Dict(a), Shape::Dict(b)) => std::ptr::eq(a, b),
            _ => type_of(value) == type_of(other) && equal(value, other),
        })
    }),
    ("in", |_, value, arguments| contains(one("in", arguments)?, value)),
    ("==", |_, value, arguments| Ok(equal(value, one("==", arguments)?))),
    ("eq", |_, value, arguments| Ok(equal(value, one("eq", arguments)?))),
    ("equalto", |_, value, arguments| Ok(equal(value, one("equalto", arguments)?))),
    ("!=", |_, value, arguments| Ok(!equal(value, one("!=", arguments)?))),
    ("ne", |_, value, arguments| Ok(!equal(value, one("ne", arguments)?))),
    (">", |_, value, arguments| compared(">", value, one(">", arguments)?)),
    ("gt", |_, value, arguments| compared(">", value, one("gt", arguments)?)),
    ("greaterthan", |_, value, arguments| compared(">", value, one("greaterthan", arguments)?)),
    (">=", |_, value, arguments| compared(">=", value, one(">=", arguments)?)),
    ("ge", |_, value, arguments| compared(">=", value, one("ge", arguments)?)),
    ("<", |_, value, arguments| compared("<", value, one("<", arguments)?)),
    ("lt", |_, value, arguments| compared("<", value, one("lt", arguments)?)),
    ("lessthan", |_, value, arguments| compared("<", value, one("lessthan", arguments)?)),
    ("<=", |_, value, arguments| compared("<=", value, one("<=", arguments)?)),
    ("le", |_, value, arguments| compared("<=", value, one("le", arguments)?)),
    ("filter", |_, value, _| Ok(value.as_str().is_some_and(super::filters::is_known))),
    ("test", |_, value, _| Ok(value.as_str().is_some_and(is_known))),
    ("safe", |_, value, _| Ok(value.is_safe())),
];

/// The names of the tests.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    CHECKS.iter().map(|(name, _)| *name)
}

/// Whether there is a test of this name.
pub(super) fn is_known(name: &str) -> bool {
    names().any(|known| known == name)
}

/// Adds them to an environment.
pub(super) fn add_to(env: &mut Environment<'static>) {
    for (name, check) in CHECKS {
        env.add_test(name, move |state: &State<'_, '_>, value: &Value, rest: Rest<Value>| {
            check(state, value, &rest)
        });
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
