//! Filters that make text.

use std::fmt::Write;
use std::sync::LazyLock;

use minijinja::{Error, State, Value};
use regex::Regex;

use super::super::arguments::{bind, flag, integer, needed, split, string_or, text};
use super::super::values::{Outcome, Shape, items, length, shape, type_of, wrong};
use super::super::{percent, python, strings};
use super::Filter;
use super::lists::attribute_of;
use super::numbers::float_text;

pub(super) const FILTERS: [(&str, Filter); 22] = [
    ("capitalize", capitalize),
    ("center", center),
    ("e", escape),
    ("escape", escape),
    ("filesizeformat", file_size),
    ("forceescape", escape),
    ("format", format),
    ("highlight", highlight),
    ("indent", indent),
    ("join", join),
    ("lower", lower),
    ("replace", replace),
    ("safe", string),
    ("string", string),
    ("striptags", striptags),
    ("title", title),
    ("tojson", to_json),
    ("trim", trim),
    ("truncate", truncate),
    ("upper", upper),
    ("urlencode", url_encode),
    ("wordcount", word_count),
];

/// `str` of what a filter without arguments is applied to.
fn alone(filter: &str, arguments: &[Value]) -> Result<String, Error> {
    let [value] = bind(filter, arguments, ["s"])?;
    python::string(&needed(filter, "s", value)?)
}

fn string(_: &mut State<'_, '_>, arguments: &[Value]) -> Outcome {
    match arguments {
        [value] if value.as_str().is_some() => Ok(value.clone()),
        _ => alone("string", arguments).map(Value::from),
    }
}

fn lower(_: &mut State<'_, '_>, arguments: &[Value]) -> Outcome {
    Ok(Value::from(alone("lower", arguments)?.to_lowercase()))
}

fn upper(_: &mut State<'_, '_>, arguments: &[Value]) -> Outcome {
    Ok(Value::from(alone("upper", arguments)?.to_uppercase()))
}

fn capitalize(_: &mut State<'_, '_>, arguments: &[Value]) -> Outcome {
    Ok(Value::from(strings::capitalize(&alone("capitalize", arguments)?)))
}

fn title(_: &mut State<'_, '_>, arguments: &[Value]) -> Outcome {
    let text = alone("title", arguments)?;
    let mut titled = String::with_capacity(text.len());
    let mut begins = true;
    for c in text.chars() {
        let parts = c == '-' || strings::is_space(c) || "({[<".contains(c);
        if parts {
            titled.push(c);
        } else if begins {
            titled.extend(c.to_uppercase());
        } else {
            titled.extend(c.to_lowercase());
        }
        begins = parts;
    }
    Ok(Value::from(titled))
}

fn highlight(_: &mut State<'_, '_>, arguments: &[Value]) -> Outcome {
    let [value] = bind("highlight", arguments, ["input"])?;
    let value = needed("highlight", "input", value)?;
    Ok(Value::from(["<span style='color: #F08080'>", text(&value)?, "</span>"].concat()))
}

fn join(_: &mut State<'_, '_>, arguments: &[Value]) -> Outcome {
    let [value, separator, attribute] = bind("join", arguments, ["value", "d", "attribute"])?;
    let value = needed("join", "value", value)?;
    let separator = string_or(separator.as_ref(), "")?;
    let mut joined = String::new();
    let mut append = |index: usize, item: &Value| {
        if index > 0 {
            joined.push_str(&separator);
        }
        match attribute.as_ref().filter(|name| name.is_true()) {
            Some(name) => python::str_to(&mut joined, &attribute_of(item, name)?),
            None => python::str_to(&mut joined, item),
        }
    };
    match shape(&value) {
        Shape::Tuple(tuple) => tuple.iter().enumerate().try_for_each(|(at, item)| append(at, item))?,
        _ => items(&value)?.iter().enumerate().try_for_each(|(at, item)| append(at, item))?,
    }
    Ok(Value::from(joined))
}

fn replace(_: &mut State<'_, '_>, arguments: &[Value]) -> Outcome {
    let [value, old, new, count] = bind("replace", arguments, ["s", "old", "new", "count"])?;
    let value = python::string(&needed("replace", "s", value)?)?;
    let old = python::string(&needed("replace", "old", old)?)?;
    let new = python::string(&needed("replace", "new", new)?)?;
    Ok(Value::from(strings::replace(&value, &old, &new, integer(count.as_ref(), -1)?)?))
}

fn trim(_: &mut State<'_, '_>, arguments: &[Value]) -> Outcome {
    let [value, chars] = bind("trim", arguments, ["value", "chars"])?;
    let value = python::string(&needed("trim", "value", value)?)?;
    Ok(Value::from(strings::strip(&value, chars.as_ref(), true, true)?))
}

fn truncate(_: &mut State<'_, '_>, arguments: &[Value]) -> Outcome {
    let [value, longest, kill, end, leeway] =
        bind("truncate", arguments, ["s", "length", "killwords", "end", "leeway"])?;
    let value = needed("truncate", "s", value)?;
    let longest = integer(longest.as_ref(), 255)?;
    let leeway = integer(leeway.as_ref(), 5)?;
    let end = end.as_ref().map_or(Ok("..."), text)?;
    let end_length = i64::try_from(end.chars().count()).unwrap_or(i64::MAX);
    if longest < end_length || leeway < 0 {
        return Err(wrong(format!("`truncate` needs a length from {end_length} and no negative leeway")));
    }
    // Bytes are at least as many as characters, so that most texts need not be counted.
    let fits = longest.saturating_add(leeway);
    let bytes = value.as_str().map_or(usize::MAX, str::len);
    if i64::try_from(bytes).is_ok_and(|bytes| bytes <= fits)
        || i64::try_from(length(&value)?).is_ok_and(|length| length <= fits)
    {
        return Ok(value);
    }
    let whole = text(&value)?;
    let keep = usize::try_from(longest - end_length).unwrap_or(0);
    let cut = whole.char_indices().nth(keep).map_or(whole.len(), |(at, _)| at);
    let cut = &whole[..cut];
    let kept =
        if flag(kill.as_ref(), false) { cut } else { cut.rsplit_once(' ').map_or(cut, |(kept, _)| kept) };
    Ok(Value::from([kept, end].concat()))
}

fn format(_: &mut State<'_, '_>, arguments: &[Value]) -> Outcome {
    let (positional, named) = split(arguments);
    let Some((value, rest)) = positional.split_first() else { return Err(wrong("`format` needs a text")) };
    if named.is_some() {
        return Err(wrong("`format` by name isn't supported"));
    }
    percent::format(&python::string(value)?, rest).map(Value::from)
}

fn center(_: &mut State<'_, '_>, arguments: &[Value]) -> Outcome {
    let [value, width] = bind("center", arguments, ["value", "width"])?;
    let value = python::string(&needed("center", "value", value)?)?;
    strings::pad(&value, integer(width.as_ref(), 80)?, ' ', strings::Side::Both).map(Value::from)
}

fn escape(_: &mut State<'_, '_>, arguments: &[Value]) -> Outcome {
    let mut escaped = String::new();
    for c in alone("escape", arguments)?.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\'' => escaped.push_str("&#39;"),
            '"' => escaped.push_str("&#34;"),
            _ => escaped.push(c),
        }
    }
    Ok(Value::from(escaped))
}

fn striptags(_: &mut State<'_, '_>, arguments: &[Value]) -> Outcome {
    static TAG: LazyLock<Regex> =
        LazyLock::new(|| Regex::new("(?s)<!--.*?-->|<.*?>").expect("the expression is constant"));
    let text = alone("striptags", arguments)?;
    let bare = TAG.replace_all(&text, "");
    Ok(Value::from(strings::words(&bare).collect::<Vec<_>>().join(" ")))
}

fn word_count(_: &mut State<'_, '_>, arguments: &[Value]) -> Outcome {
    static WORD: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"[\p{L}\p{N}_]+").expect("the expression is constant"));
    Ok(Value::from(WORD.find_iter(&alone("wordcount", arguments)?).count()))
}

fn url_encode(_: &mut State<'_, '_>, arguments: &[Value]) -> Outcome {
    let [value] = bind("urlencode", arguments, ["value"])?;
    let value = needed("urlencode", "value", value)?;
    if !matches!(shape(&value), Shape::Str(_) | Shape::Int(_) | Shape::Float(_)) {
        return Err(wrong(format!("`urlencode` of '{}' isn't supported", type_of(&value))));
    }
    let mut encoded = String::new();
    for byte in python::string(&value)?.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' | b'/' => {
                encoded.push(byte.into())
            }
            _ => write!(encoded, "%{byte:02X}")?,
        }
    }
    Ok(Value::from(encoded))
}

fn indent(_: &mut State<'_, '_>, arguments: &[Value]) -> Outcome {
    let [value, width, first, blank] = bind("indent", arguments, ["s", "width", "first", "blank"])?;
    let value = needed("indent", "s", value)?;
    let indentation = match width.as_ref().and_then(Value::as_str) {
        Some(indentation) => indentation.to_owned(),
        None => strings::repeat(' ', integer(width.as_ref(), 4)?)?,
    };
    // A line end more, so that the last line is a line.
    let whole = [text(&value)?, "\n"].concat();
    let lines = strings::lines(&whole, false);
    let mut indented = String::new();
    if flag(first.as_ref(), false) {
        indented.push_str(&indentation);
    }
    for (index, line) in lines.iter().enumerate() {
        if index > 0 {
            indented.push('\n');
            if !line.is_empty() || flag(blank.as_ref(), false) {
                indented.push_str(&indentation);
            }
        }
        indented.push_str(line);
    }
    Ok(Value::from(indented))
}

fn file_size(_: &mut State<'_, '_>, arguments: &[Value]) -> Outcome {
    let [value, binary] = bind("filesizeformat", arguments, ["value", "binary"])?;
    let value = needed("filesizeformat", "value", value)?;
    let bytes = match shape(&value) {
        Shape::Int(number) => number as f64,
        Shape::Float(number) => number,
        Shape::Str(text) => text.trim().parse().map_err(|_| wrong("could not convert string to float"))?,
        _ => return Err(wrong(format!("`filesizeformat` of '{}'", type_of(&value)))),
    };
    let binary = flag(binary.as_ref(), false);
    let (base, unit) = if binary { (1024.0, "iB") } else { (1000.0, "B") };
    if bytes < base {
        return Ok(Value::from(if bytes == 1.0 { "1 Byte".to_owned() } else { format!("{bytes:.0} Bytes") }));
    }
    let mut size = bytes / base;
    let mut prefixes = if binary { "KMGTPEZY" } else { "kMGTPEZY" }.chars();
    let mut prefix = prefixes.next();
    for next in prefixes {
        if size < base {
            break;
        }
        (size, prefix) = (size / base, Some(next));
    }
    Ok(Value::from(format!("{size:.1} {}{unit}", prefix.unwrap_or('Y'))))
}

fn to_json(_: &mut State<'_, '_>, arguments: &[Value]) -> Outcome {
    let [value, indent] = bind("tojson", arguments, ["value", "indent"])?;
    if indent.is_some_and(|indent| !indent.is_none()) {
        return Err(wrong("`tojson` with `indent` isn't supported"));
    }
    let mut json = String::new();
    json_to(&mut json, &needed("tojson", "value", value)?, 0)?;
    Ok(Value::from(json))
}

/// Python's `json.dumps` with sorted keys, safe inside HTML as Jinja2 makes it.
fn json_to(out: &mut String, value: &Value, depth: usize) -> Result<(), Error> {
    if depth > super::super::values::DEEPEST {
        return Err(wrong("nested too deep for JSON"));
    }
    let array = |out: &mut String, items: &[Value]| {
        out.push('[');
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                out.push_str(", ");
            }
            json_to(out, item, depth + 1)?;
        }
        out.push(']');
        Ok::<(), Error>(())
    };
    match shape(value) {
        Shape::None => out.push_str("null"),
        Shape::Bool(yes) => out.push_str(if yes { "true" } else { "false" }),
        Shape::Int(number) => write!(out, "{number}")?,
        Shape::Float(number) if number.is_nan() => out.push_str("NaN"),
        Shape::Float(number) if number.is_infinite() => {
            out.push_str(if number > 0.0 { "Infinity" } else { "-Infinity" });
        }
        Shape::Float(number) => out.push_str(&float_text(number)?),
        Shape::Str(text) => json_string_to(out, text)?,
        Shape::List(list) => {
            let items = list.snapshot();
            array(out, &items)?;
        }
        Shape::Tuple(tuple) => array(out, tuple)?,
        Shape::Dict(dict) => {
            let mut pairs = Vec::new();
            for (key, value) in dict.pairs().iter() {
                let key = key.as_str().ok_or_else(|| wrong("`tojson` takes string keys alone"))?;
                pairs.push((key.to_owned(), value.clone()));
            }
            pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
            out.push('{');
            for (index, (key, value)) in pairs.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                json_string_to(out, key)?;
                out.push_str(": ");
                json_to(out, value, depth + 1)?;
            }
            out.push('}');
        }
        _ => return Err(wrong(format!("Object of type {} is not JSON serializable", type_of(value)))),
    }
    Ok(())
}

fn json_string_to(out: &mut String, text: &str) -> Result<(), Error> {
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
            ' '..='~' if !"<>&'".contains(c) => out.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}")?;
                }
            }
        }
    }
    out.push('"');
    Ok(())
}
