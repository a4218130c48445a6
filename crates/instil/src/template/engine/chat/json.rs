//! The filter `tojson` of chat templates: Python's `json.dumps`, whose characters stay as they are.

use std::fmt::Write;

use minijinja::Value;

use super::super::arguments::{bind, flag, needed, text};
use super::super::python;
use super::super::values::{DEEPEST, LONGEST, Outcome, Shape, items, shape, type_of, wrong};

/// How a value is written.
struct Style {
    ensure_ascii: bool,
    /// What a level is indented by; everything stands on one line without.
    indent: Option<String>,
    between: String,
    after_key: String,
    sort_keys: bool,
}

/// `tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False)`.
///
/// # Errors
/// When an argument is of another type, or a part of the value has no JSON.
pub(super) fn to_json(arguments: &[Value]) -> Outcome {
    let names = ["x", "ensure_ascii", "indent", "separators", "sort_keys"];
    let [value, ensure_ascii, indent, separators, sort_keys] = bind("tojson", arguments, names)?;
    let given = |argument: Option<Value>| argument.filter(|argument| !argument.is_none());
    let indent = match given(indent) {
        None => None,
        Some(indent) => Some(match shape(&indent) {
            Shape::Str(text) => text.to_owned(),
            Shape::Bool(yes) => " ".repeat(usize::from(yes)),
            Shape::Int(width) => {
                let width = usize::try_from(width.max(0)).ok().filter(|width| *width <= 1000);
                " ".repeat(width.ok_or_else(|| wrong("`tojson` indents by 1000 at the most"))?)
            }
            _ => return Err(wrong(format!("`tojson` can't indent by '{}'", type_of(&indent)))),
        }),
    };
    let (between, after_key) = match given(separators) {
        None => (if indent.is_some() { "," } else { ", " }.to_owned(), ": ".to_owned()),
        Some(pair) => match items(&pair)?.as_slice() {
            [between, after_key] => (text(between)?.to_owned(), text(after_key)?.to_owned()),
            _ => return Err(wrong("`separators` are two strings")),
        },
    };
    let style = Style {
        ensure_ascii: flag(ensure_ascii.as_ref(), false),
        indent,
        between,
        after_key,
        sort_keys: flag(sort_keys.as_ref(), false),
    };
    let mut json = String::new();
    style.value_to(&mut json, &needed("tojson", "x", value)?, 0)?;
    Ok(Value::from(json))
}

impl Style {
    fn value_to(&self, out: &mut String, value: &Value, depth: usize) -> Result<(), minijinja::Error> {
        if depth > DEEPEST {
            return Err(wrong("nested too deep for JSON"));
        }
        if out.len() > LONGEST {
            return Err(wrong("a text grew too long"));
        }
        match shape(value) {
            Shape::None => out.push_str("null"),
            Shape::Bool(yes) => out.push_str(if yes { "true" } else { "false" }),
            Shape::Int(number) => write!(out, "{number}")?,
            Shape::Float(number) => out.push_str(&float(number)?),
            Shape::Str(text) => self.string_to(out, text)?,
            Shape::List(list) => self.array_to(out, &list.snapshot(), depth)?,
            Shape::Tuple(tuple) => self.array_to(out, tuple, depth)?,
            Shape::Dict(dict) => {
                let mut pairs = dict.snapshot();
                if self.sort_keys {
                    let mut failed = None;
                    pairs.sort_by(|(a, _), (b, _)| match python::order("<", a, b) {
                        Ok(order) => order.unwrap_or(std::cmp::Ordering::Equal),
                        Err(e) => {
                            failed.get_or_insert(e);
                            std::cmp::Ordering::Equal
                        }
                    });
                    if let Some(e) = failed {
                        return Err(e);
                    }
                }
                let write = |out: &mut String, (key, value): &(Value, Value)| {
                    self.string_to(out, &key_of(key)?)?;
                    out.push_str(&self.after_key);
                    self.value_to(out, value, depth + 1)
                };
                self.each(out, ['{', '}'], &pairs, depth, write)?;
            }
            _ => return Err(wrong(format!("Object of type {} is not JSON serializable", type_of(value)))),
        }
        Ok(())
    }

    fn array_to(&self, out: &mut String, items: &[Value], depth: usize) -> Result<(), minijinja::Error> {
        self.each(out, ['[', ']'], items, depth, |out, item| self.value_to(out, item, depth + 1))
    }

    /// Writes items between brackets, each on a line of its own where there is an indent.
    fn each<T>(
        &self,
        out: &mut String,
        [open, close]: [char; 2],
        items: &[T],
        depth: usize,
        write: impl Fn(&mut String, &T) -> Result<(), minijinja::Error>,
    ) -> Result<(), minijinja::Error> {
        let line = |out: &mut String, depth: usize| {
            if let Some(indent) = &self.indent {
                out.push('\n');
                (0..depth).for_each(|_| out.push_str(indent));
            }
        };
        out.push(open);
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                out.push_str(&self.between);
            }
            line(out, depth + 1);
            write(out, item)?;
        }
        if !items.is_empty() {
            line(out, depth);
        }
        out.push(close);
        Ok(())
    }

    fn string_to(&self, out: &mut String, text: &str) -> Result<(), minijinja::Error> {
        out.push('"');
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                ' '..='~' => out.push(c),
                '\0'..='\u{1f}' => write!(out, "\\u{:04x}", u32::from(c))?,
                _ if self.ensure_ascii => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        write!(out, "\\u{unit:04x}")?;
                    }
                }
                _ => out.push(c),
            }
        }
        out.push('"');
        Ok(())
    }
}

/// A number as Python's `json` writes it.
fn float(number: f64) -> Result<String, minijinja::Error> {
    if number.is_nan() {
        return Ok("NaN".to_owned());
    }
    if number.is_infinite() {
        return Ok(if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned());
    }
    let mut text = String::new();
    python::float_to(&mut text, number)?;
    Ok(text)
}

/// A key of a dictionary as the string that JSON has instead.
fn key_of(key: &Value) -> Result<String, minijinja::Error> {
    Ok(match shape(key) {
        Shape::Str(text) => text.to_owned(),
        Shape::None => "null".to_owned(),
        Shape::Bool(yes) => if yes { "true" } else { "false" }.to_owned(),
        Shape::Int(number) => number.to_string(),
        Shape::Float(number) => float(number)?,
        _ => {
            let of = type_of(key);
            return Err(wrong(format!("keys must be str, int, float, bool or None, not {of}")));
        }
    })
}
