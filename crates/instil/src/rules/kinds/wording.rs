//! Filling in the wordings.

use super::Draft;

/// Puts the parts in the places of their names in square brackets, in one pass: what a part says is not read again.
pub(super) fn fill(wording: &str, parts: &[(&str, &str)]) -> String {
    let mut out = String::with_capacity(wording.len() + 80);
    let mut rest = wording;
    while let Some(open) = rest.find('[') {
        out.push_str(&rest[..open]);
        let named = rest[open + 1..].split_once(']').and_then(|(name, after)| {
            let part = parts.iter().find(|(known, _)| *known == name)?;
            Some((part.1, after))
        });
        match named {
            Some((part, after)) => {
                out.push_str(part);
                rest = after;
            }
            None => {
                out.push('[');
                rest = &rest[open + 1..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// A draft of one wording.
pub(super) fn draft(wording: &str, parts: &[(&str, &str)], response: &str) -> Draft {
    Draft { instruction: fill(wording, parts), response: response.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_put_in_once() {
        assert_eq!(fill("[a] and [b] [c", &[("a", "[b]"), ("b", "x")]), "[b] and x [c");
    }
}
