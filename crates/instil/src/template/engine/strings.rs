//! What Python's strings can do, as far as Rust's do it otherwise.

use minijinja::{Error, Value};

use super::arguments::text;
use super::values::{LONGEST, wrong};
use crate::prompt::bonito::python_strip;

/// Whether Python counts a character as space.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// The words between spaces.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|word| !word.is_empty())
}

/// `str.capitalize`.
pub(super) fn capitalize(text: &str) -> String {
    let mut chars = text.chars();
    let Some(first) = chars.next() else { return String::new() };
    // Small letters are told by what surrounds them: a final sigma follows a letter.
    let lower = text.to_lowercase();
    let skipped: usize = first.to_lowercase().map(char::len_utf8).sum();
    titled(first) + lower.get(skipped..).unwrap_or_default()
}

/// One character as the beginning of a title.
fn titled(c: char) -> String {
    match c {
        'Ǆ'..='ǆ' => "ǅ".to_owned(),
        'Ǉ'..='ǉ' => "ǈ".to_owned(),
        'Ǌ'..='ǌ' => "ǋ".to_owned(),
        'Ǳ'..='ǳ' => "ǲ".to_owned(),
        'ŉ' => "ʼN".to_owned(),
        _ => {
            let mut upper = c.to_uppercase();
            let mut titled: String = upper.next().into_iter().collect();
            if upper.len() > 0 && c.is_alphabetic() {
                titled.push_str(&upper.collect::<String>().to_lowercase());
            }
            titled
        }
    }
}

/// `str.title`: the first letter of every run of letters is large.
pub(super) fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        let cased = c.is_lowercase() || c.is_uppercase() || matches!(c, 'ǅ' | 'ǈ' | 'ǋ' | 'ǲ');
        if cased && !inside {
            out.push_str(&titled(c));
        } else {
            out.extend(c.to_lowercase());
        }
        inside = cased;
    }
    out
}

/// `str.strip`, `lstrip` and `rstrip`.
///
/// # Errors
/// When `chars` is no string.
pub(super) fn strip(whole: &str, chars: Option<&Value>, left: bool, right: bool) -> Result<String, Error> {
    let chars = match chars.filter(|chars| !chars.is_none()) {
        None if left && right => return Ok(python_strip(whole).to_owned()),
        None => None,
        Some(chars) => Some(text(chars)?),
    };
    let is_cut = |c: char| chars.map_or_else(|| is_space(c), |chars| chars.contains(c));
    let mut rest = whole;
    if left {
        rest = rest.trim_start_matches(is_cut);
    }
    if right {
        rest = rest.trim_end_matches(is_cut);
    }
    Ok(rest.to_owned())
}

/// `str.replace`; a negative count is all of them.
///
/// # Errors
/// When the result is too long.
pub(super) fn replace(text: &str, old: &str, new: &str, count: i64) -> Result<String, Error> {
    if new.len() > old.len() {
        let places = if old.is_empty() { text.chars().count() + 1 } else { text.len() / old.len() };
        if places.saturating_mul(new.len()) > LONGEST {
            let found = text.matches(old).count();
            if found.saturating_mul(new.len()) > LONGEST {
                return Err(wrong("a text grew too long"));
            }
        }
    }
    Ok(match usize::try_from(count) {
        Ok(count) => text.replacen(old, new, count),
        Err(_) => text.replace(old, new),
    })
}

/// Where the text is put when it is padded.
#[derive(Clone, Copy)]
pub(super) enum Side {
    Left,
    Right,
    Both,
}

/// `count` times a character.
///
/// # Errors
/// When that is too many.
pub(super) fn repeat(c: char, count: i64) -> Result<String, Error> {
    let count = usize::try_from(count.max(0)).unwrap_or(usize::MAX);
    if count > LONGEST {
        return Err(wrong("a text grew too long"));
    }
    Ok(c.to_string().repeat(count))
}

/// `str.ljust`, `rjust` and `center`.
///
/// # Errors
/// When the result is too long.
pub(super) fn pad(text: &str, width: i64, fill: char, side: Side) -> Result<String, Error> {
    let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
    let missing = (width - length).max(0);
    let left = match side {
        Side::Left => 0,
        Side::Right => missing,
        Side::Both => missing / 2 + (missing & width & 1),
    };
    Ok([&repeat(fill, left)?, text, &repeat(fill, missing - left)?].concat())
}

/// `str.splitlines`.
pub(super) fn lines(text: &str, keep_ends: bool) -> Vec<&str> {
    let is_end = |c: char| {
        matches!(
            c,
            '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}'
        )
    };
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(is_end) {
        let end = if rest[at..].starts_with("\r\n") {
            at + 2
        } else {
            at + rest[at..].chars().next().map_or(1, char::len_utf8)
        };
        lines.push(&rest[..if keep_ends { end } else { at }]);
        rest = &rest[end..];
    }
    if !rest.is_empty() {
        lines.push(rest);
    }
    lines
}

/// `str.split` and `rsplit`; a negative count is all of them.
///
/// # Errors
/// When the separator is empty.
pub(super) fn split<'a>(
    whole: &'a str,
    separator: Option<&str>,
    count: i64,
    from_right: bool,
) -> Result<Vec<&'a str>, Error> {
    let most = usize::try_from(count).unwrap_or(usize::MAX);
    Ok(match (separator, from_right) {
        (Some(""), _) => return Err(wrong("empty separator")),
        (Some(separator), false) => whole.splitn(most.saturating_add(1), separator).collect(),
        (Some(separator), true) => {
            let mut parts: Vec<&str> = whole.rsplitn(most.saturating_add(1), separator).collect();
            parts.reverse();
            parts
        }
        (None, false) => {
            let mut parts = Vec::new();
            let mut rest = whole.trim_start_matches(is_space);
            while !rest.is_empty() {
                if parts.len() == most {
                    parts.push(rest);
                    break;
                }
                let end = rest.find(is_space).unwrap_or(rest.len());
                parts.push(&rest[..end]);
                rest = rest[end..].trim_start_matches(is_space);
            }
            parts
        }
        (None, true) => {
            let mut parts = Vec::new();
            let mut rest = whole.trim_end_matches(is_space);
            while !rest.is_empty() {
                if parts.len() == most {
                    parts.push(rest);
                    break;
                }
                let start = rest
                    .char_indices()
                    .rev()
                    .find(|(_, c)| is_space(*c))
                    .map_or(0, |(at, c)| at + c.len_utf8());
                parts.push(&rest[start..]);
                rest = rest[..start].trim_end_matches(is_space);
            }
            parts.reverse();
            parts
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_where_python_ends_them() {
        assert_eq!(lines("a\r\nb\n\nc\u{85}d\u{1c}e\u{2028}f", false), ["a", "b", "", "c", "d", "e", "f"]);
        assert_eq!(lines("a\r\nb\r", true), ["a\r\n", "b\r"]);
        assert!(lines("", false).is_empty());
    }

    #[test]
    fn splits_are_python_s() {
        let of = |text, separator, count, right| split(text, separator, count, right).unwrap();
        assert_eq!(of(" a  b c ", None, -1, false), ["a", "b", "c"]);
        assert_eq!(of(" a  b c ", None, 1, false), ["a", "b c "]);
        assert_eq!(of(" a  b c ", None, 1, true), [" a  b", "c"]);
        assert_eq!(of("a,b,c", Some(","), 1, true), ["a,b", "c"]);
        assert_eq!(of("", Some(","), -1, false), [""]);
        assert!(of("  ", None, -1, false).is_empty());
        assert!(split("a", Some(""), -1, false).is_err());
    }

    #[test]
    fn titles_are_python_s() {
        for (text, capital, titled) in [
            ("they're BILL's x1y", "They're bill's x1y", "They'Re Bill'S X1Y"),
            ("\u{fb01}x \u{df}a", "Fix \u{df}a", "Fix Ssa"),
            ("\u{1c6}a", "\u{1c5}a", "\u{1c5}a"),
            ("", "", ""),
        ] {
            assert_eq!((capitalize(text).as_str(), title(text).as_str()), (capital, titled));
        }
    }

    #[test]
    fn padding_in_the_middle_leans_as_python_s() {
        assert_eq!(pad("ab", 5, '.', Side::Both).unwrap(), "..ab.");
        assert_eq!(pad("a", 4, '.', Side::Both).unwrap(), ".a..");
        assert!(pad("a", i64::MAX, '.', Side::Left).is_err());
    }
}
