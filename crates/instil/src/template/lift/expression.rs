//! What a template shows, as expressions over the row's fields: the part of Jinja that can be turned round.

use minijinja::Value;
use minijinja::machinery::ast;
use serde_json::Value as Json;

/// An expression, with loops, `set` variables and `answer_choices` already put in.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expression {
    Constant(Json),
    /// A field of the row.
    Field(String),
    /// `a.b`, `a["b"]` and `a[0]`.
    Item(Box<Self>, Box<Self>),
    /// `a[start:stop]`.
    Slice(Box<Self>, Option<i64>, Option<i64>),
    /// A filter, or a method that does the same.
    Filter(String, Box<Self>, Vec<Self>),
    List(Vec<Self>),
    Map(Vec<(Self, Self)>),
    Sum(Box<Self>, Box<Self>),
    Difference(Box<Self>, Box<Self>),
    /// `a ~ b`.
    Concat(Vec<Self>),
    Equal(Box<Self>, Box<Self>),
    /// Whether the second holds the first.
    In(Box<Self>, Box<Self>),
    Not(Box<Self>),
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
    /// `a if test else b`.
    If(Box<Self>, Box<Self>, Box<Self>),
    /// How often this loop has begun anew, from 0.
    Turn(usize),
    /// Whether this is the last turn of the loop.
    Last(usize),
    /// What this draw drew: a number below the count of its options.
    Draw(usize),
    /// A condition that can only be checked by rendering.
    Opaque,
}

use Expression as E;

impl E {
    pub(super) fn text(text: &str) -> Self {
        E::Constant(Json::from(text))
    }

    /// `a[i]`, worked out as far as it goes.
    pub(super) fn item(of: Self, key: Self) -> Self {
        match (of, key) {
            (E::If(test, a, b), key) => {
                E::If(test, Box::new(Self::item(*a, key.clone())), Box::new(Self::item(*b, key)))
            }
            (E::List(items), E::Constant(key)) if place(&key, items.len()).is_some() => {
                let at = place(&key, items.len()).unwrap_or_default();
                items.into_iter().nth(at).unwrap_or(E::Opaque)
            }
            (E::Map(entries), E::Constant(key))
                if entries.iter().any(|(k, _)| *k == E::Constant(key.clone())) =>
            {
                entries
                    .into_iter()
                    .find(|(k, _)| *k == E::Constant(key.clone()))
                    .map_or(E::Opaque, |(_, v)| v)
            }
            (of, key) => E::Item(Box::new(of), Box::new(key)),
        }
    }

    pub(super) fn slice(of: Self, start: Option<i64>, stop: Option<i64>) -> Self {
        match of {
            E::If(test, a, b) => {
                E::If(test, Box::new(Self::slice(*a, start, stop)), Box::new(Self::slice(*b, start, stop)))
            }
            E::List(items) => {
                let count = i64::try_from(items.len()).unwrap_or(i64::MAX);
                let bound = |at: i64| if at < 0 { (count + at).max(0) } else { at.min(count) };
                let (from, to) = (bound(start.unwrap_or(0)), bound(stop.unwrap_or(count)));
                E::List(
                    items
                        .into_iter()
                        .zip(0..)
                        .filter(|(_, i)| (from..to).contains(i))
                        .map(|(item, _)| item)
                        .collect(),
                )
            }
            // A slice of a slice, where both count from the same side.
            E::Slice(of, a, b)
                if a.unwrap_or(0) >= 0
                    && start.unwrap_or(0) >= 0
                    && b.is_none_or(|b| b < 0)
                    && stop.is_none_or(|stop| stop < 0) =>
            {
                let sum = |a: Option<i64>, b: Option<i64>| {
                    Some(a.unwrap_or(0) + b.unwrap_or(0)).filter(|n| *n != 0)
                };
                E::Slice(of, sum(a, start), sum(b, stop))
            }
            of => E::Slice(Box::new(of), start, stop),
        }
    }

    pub(super) fn filter(name: &str, of: Self, arguments: Vec<Self>) -> Self {
        match (name, of) {
            (_, E::If(test, a, b)) => E::If(
                test,
                Box::new(Self::filter(name, *a, arguments.clone())),
                Box::new(Self::filter(name, *b, arguments)),
            ),
            ("first", of) => Self::item(of, E::Constant(0.into())),
            ("last", of) => Self::item(of, E::Constant((-1).into())),
            ("string" | "safe" | "list", of @ (E::List(_) | E::Constant(_))) => of,
            ("length" | "count", E::List(items)) => E::Constant(items.len().into()),
            ("strip", of) => Self::filter("trim", of, arguments),
            (name, E::Constant(Json::String(text)))
                if arguments.iter().all(|a| matches!(a, E::Constant(_))) =>
            {
                match apply(name, &text, &arguments) {
                    Some(text) => E::Constant(Json::String(text)),
                    None => E::Filter(name.to_owned(), Box::new(E::text(&text)), arguments),
                }
            }
            (name, of) => E::Filter(name.to_owned(), Box::new(of), arguments),
        }
    }

    /// The name of the field that it starts from, and how it goes on from there, for messages.
    pub(super) fn describe(&self) -> String {
        match self {
            E::Constant(Json::String(text)) => text.clone(),
            E::Constant(value) => value.to_string(),
            E::Field(name) => name.clone(),
            E::Item(of, key) => match &**key {
                E::Constant(Json::String(key)) => format!("{}.{key}", of.describe()),
                E::Constant(key) => format!("{}[{key}]", of.describe()),
                _ => of.describe(),
            },
            E::Slice(of, ..) | E::Filter(_, of, _) => of.describe(),
            E::List(_) => "a list".to_owned(),
            E::Map(_) => "a map".to_owned(),
            _ => "an expression".to_owned(),
        }
    }
}

/// The index that a number means in a list of this length.
pub(super) fn place(key: &Json, length: usize) -> Option<usize> {
    let at = key.as_i64()?;
    let at = if at < 0 { at.checked_add(i64::try_from(length).ok()?)? } else { at };
    usize::try_from(at).ok().filter(|at| *at < length)
}

/// The filters that go from text to text.
pub(super) fn apply(name: &str, text: &str, arguments: &[E]) -> Option<String> {
    let argument = |i: usize| match arguments.get(i) {
        Some(E::Constant(Json::String(text))) => Some(text.as_str()),
        _ => None,
    };
    Some(match name {
        "string" | "safe" => text.to_owned(),
        "stripped" => crate::prompt::bonito::python_strip(text).to_owned(),
        "trim" => match arguments {
            [] => crate::prompt::bonito::python_strip(text).to_owned(),
            _ => {
                let set = argument(0)?;
                text.trim_matches(|c| set.contains(c)).to_owned()
            }
        },
        "lower" => text.to_lowercase(),
        "upper" => text.to_uppercase(),
        "capitalize" => {
            let mut rest = text.chars();
            rest.next().map_or(String::new(), |first| {
                first.to_uppercase().chain(rest.as_str().to_lowercase().chars()).collect()
            })
        }
        "replace" => text.replace(argument(0)?, argument(1)?),
        _ => return None,
    })
}

/// Names that a template has set, and what they stand for.
pub(super) type Names = std::collections::HashMap<String, E>;

/// What of a syntax tree can't be turned round.
pub(super) struct Unreadable {
    pub(super) construct: String,
    pub(super) span: minijinja::machinery::Span,
}

pub(super) fn unreadable(construct: impl Into<String>, span: minijinja::machinery::Span) -> Unreadable {
    Unreadable { construct: construct.into(), span }
}

/// Reads an expression of the syntax tree, with names replaced by what they stand for.
pub(super) fn read(expr: &ast::Expr<'_>, names: &Names) -> Result<E, Unreadable> {
    let boxed = |expr: &ast::Expr<'_>| read(expr, names).map(Box::new);
    let span = expr.span();
    Ok(match expr {
        ast::Expr::Var(var) => match names.get(var.id) {
            Some(E::Opaque) => {
                return Err(unreadable(
                    format!("`{}`, which is set under a condition or in a loop", var.id),
                    span,
                ));
            }
            Some(stands_for) => stands_for.clone(),
            None => E::Field(var.id.to_owned()),
        },
        ast::Expr::Const(constant) => E::Constant(json(&constant.value)),
        ast::Expr::Slice(slice) => {
            let bound = |bound: &Option<ast::Expr<'_>>| match bound.as_ref().map(|b| read(b, names)) {
                None => Ok(None),
                Some(Ok(E::Constant(Json::Number(n)))) if n.as_i64().is_some() => Ok(n.as_i64()),
                Some(Err(e)) => Err(e),
                Some(Ok(_)) => Err(unreadable("a slice with computed bounds", span)),
            };
            if slice.step.is_some() {
                return Err(unreadable("a slice with a step", span));
            }
            E::slice(read(&slice.expr, names)?, bound(&slice.start)?, bound(&slice.stop)?)
        }
        ast::Expr::UnaryOp(op) => match op.op {
            ast::UnaryOpKind::Not => E::Not(boxed(&op.expr)?),
            ast::UnaryOpKind::Neg => match read(&op.expr, names)? {
                E::Constant(Json::Number(n)) if n.as_i64().is_some() => {
                    E::Constant(n.as_i64().map_or(Json::Null, |n| (-n).into()))
                }
                _ => return Err(unreadable("a negated expression", span)),
            },
        },
        ast::Expr::BinOp(op) => {
            let (a, b) = (boxed(&op.left)?, boxed(&op.right)?);
            match op.op {
                ast::BinOpKind::Eq => E::Equal(a, b),
                ast::BinOpKind::Ne => E::Not(Box::new(E::Equal(a, b))),
                ast::BinOpKind::In => E::In(a, b),
                ast::BinOpKind::ScAnd => E::And(a, b),
                ast::BinOpKind::ScOr => E::Or(a, b),
                ast::BinOpKind::Concat => E::Concat(vec![*a, *b]),
                ast::BinOpKind::Add if is_text(&a) || is_text(&b) => E::Concat(vec![*a, *b]),
                ast::BinOpKind::Add => match (*a, *b) {
                    (E::List(mut a), E::List(b)) => {
                        a.extend(b);
                        E::List(a)
                    }
                    (a, b) => E::Sum(Box::new(a), Box::new(b)),
                },
                ast::BinOpKind::Sub => E::Difference(a, b),
                ast::BinOpKind::Lt | ast::BinOpKind::Lte | ast::BinOpKind::Gt | ast::BinOpKind::Gte => {
                    E::Opaque
                }
                _ => return Err(unreadable("arithmetic other than + and -", span)),
            }
        }
        ast::Expr::Compare(compare) => {
            let mut all: Option<E> = None;
            let mut left = read(&compare.expr, names)?;
            for op in &compare.ops {
                let right = read(&op.expr, names)?;
                let (a, b) = (Box::new(left), Box::new(right.clone()));
                let one = match op.op {
                    ast::CompareOpKind::Eq => E::Equal(a, b),
                    ast::CompareOpKind::Ne => E::Not(Box::new(E::Equal(a, b))),
                    ast::CompareOpKind::In => E::In(a, b),
                    ast::CompareOpKind::NotIn => E::Not(Box::new(E::In(a, b))),
                    _ => E::Opaque,
                };
                all = Some(match all {
                    Some(all) => E::And(Box::new(all), Box::new(one)),
                    None => one,
                });
                left = right;
            }
            all.unwrap_or(E::Opaque)
        }
        ast::Expr::IfExpr(choice) => {
            let otherwise = match &choice.false_expr {
                Some(expr) => boxed(expr)?,
                None => Box::new(E::text("")),
            };
            E::If(boxed(&choice.test_expr)?, boxed(&choice.true_expr)?, otherwise)
        }
        ast::Expr::Filter(filter) => {
            let Some(of) = &filter.expr else { return Err(unreadable("a filter block", span)) };
            let of = read(of, names)?;
            match filter.name {
                "map" | "reject" => attribute_or_reject(filter, of, names, span)?,
                "replace" | "trim" | "lower" | "upper" | "capitalize" | "join" | "choice" | "int"
                | "string" | "safe" | "list" | "first" | "last" | "length" | "count" => {
                    E::filter(filter.name, of, arguments(&filter.args, names, span)?)
                }
                other => return Err(unreadable(format!("the filter `{other}`"), span)),
            }
        }
        ast::Expr::Test(_) => E::Opaque,
        ast::Expr::GetAttr(attr) => {
            if let ast::Expr::Var(var) = &attr.expr
                && var.id == "loop"
                && let Some(turn) = names.get("loop")
            {
                return match (attr.name, turn) {
                    ("index0", turn) => Ok(turn.clone()),
                    ("index", turn) => Ok(E::Sum(Box::new(turn.clone()), Box::new(E::Constant(1.into())))),
                    ("first", turn) => Ok(E::Equal(Box::new(turn.clone()), Box::new(E::Constant(0.into())))),
                    ("last", E::Turn(number)) => Ok(E::Last(*number)),
                    (name, _) => Err(unreadable(format!("`loop.{name}`"), span)),
                };
            }
            E::item(read(&attr.expr, names)?, E::text(attr.name))
        }
        ast::Expr::GetItem(item) => E::item(read(&item.expr, names)?, read(&item.subscript_expr, names)?),
        ast::Expr::Call(call) => match call.identify_call() {
            ast::CallType::Method(of, name) => {
                let (of, arguments) = (read(of, names)?, arguments(&call.args, names, span)?);
                match (name, arguments.as_slice()) {
                    ("join", [list]) => E::filter("join", list.clone(), vec![of]),
                    ("split", [E::Constant(Json::String(_))]) | ("index", [_]) => {
                        E::filter(name, of, arguments)
                    }
                    ("replace", [_, _]) | ("strip", [] | [_]) | ("lower" | "upper" | "capitalize", []) => {
                        E::filter(name, of, arguments)
                    }
                    _ => return Err(unreadable(format!("the method `{name}`"), span)),
                }
            }
            ast::CallType::Function("range") => {
                let bounds: Vec<i64> = arguments(&call.args, names, span)?
                    .iter()
                    .filter_map(|a| if let E::Constant(n) = a { n.as_i64() } else { None })
                    .collect();
                match bounds[..] {
                    [to] if call.args.len() == 1 && to < 1000 => {
                        E::List((0..to).map(|n| E::Constant(n.into())).collect())
                    }
                    [from, to] if call.args.len() == 2 && to - from < 1000 => {
                        E::List((from..to).map(|n| E::Constant(n.into())).collect())
                    }
                    _ => return Err(unreadable("a range with computed bounds", span)),
                }
            }
            ast::CallType::Function(name) => return Err(unreadable(format!("the function `{name}`"), span)),
            _ => return Err(unreadable("a call", span)),
        },
        ast::Expr::List(list) => {
            E::List(list.items.iter().map(|item| read(item, names)).collect::<Result<_, _>>()?)
        }
        ast::Expr::Tuple(tuple) => {
            E::List(tuple.items.iter().map(|item| read(item, names)).collect::<Result<_, _>>()?)
        }
        ast::Expr::Map(map) => E::Map(
            map.keys
                .iter()
                .zip(&map.values)
                .map(|(key, value)| Ok((read(key, names)?, read(value, names)?)))
                .collect::<Result<_, Unreadable>>()?,
        ),
    })
}

fn is_text(expression: &E) -> bool {
    matches!(expression, E::Constant(Json::String(_)) | E::Concat(_))
}

pub(super) fn arguments(
    args: &[ast::CallArg<'_>],
    names: &Names,
    span: minijinja::machinery::Span,
) -> Result<Vec<E>, Unreadable> {
    args.iter()
        .map(|arg| match arg {
            ast::CallArg::Pos(expr) => read(expr, names),
            _ => Err(unreadable("a named argument", span)),
        })
        .collect()
}

/// `map(attribute="a")`, and `reject("equalto", "")` behind a split.
fn attribute_or_reject(
    filter: &ast::Filter<'_>,
    of: E,
    names: &Names,
    span: minijinja::machinery::Span,
) -> Result<E, Unreadable> {
    if let ("map", [ast::CallArg::Kwarg("attribute", key)]) = (filter.name, filter.args.as_slice()) {
        return Ok(E::filter("attribute", of, vec![read(key, names)?]));
    }
    if filter.name == "reject"
        && let [E::Constant(Json::String(test)), E::Constant(Json::String(with))] =
            arguments(&filter.args, names, span)?.as_slice()
        && ["equalto", "eq", "=="].contains(&test.as_str())
        && with.is_empty()
    {
        return Ok(E::filter("filled", of, Vec::new()));
    }
    Err(unreadable(format!("the filter `{}` with these arguments", filter.name), span))
}

/// A constant of the syntax tree.
fn json(value: &Value) -> Json {
    serde_json::to_value(value).unwrap_or(Json::Null)
}
