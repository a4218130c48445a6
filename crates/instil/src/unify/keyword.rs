//! Rows at the level of keywords: names of fields, their contents, and nothing else (spec/uit.md 1.3e).

use std::sync::LazyLock;

use regex::Regex;

/// What parts the fields of CrossFit's rows.
const SEPARATOR: &str = " [SEP] ";

/// The fields of a row, each with its name: `question: … [SEP] context: …`. None where the text isn't written so to
/// the byte: put together again, the fields are the text.
pub fn split(text: &str) -> Option<Vec<(&str, &str)>> {
    static NAME: LazyLock<Regex> = LazyLock::new(|| {
        // At most 24 characters, as the procedure of spec/uit.md 1.1 has it.
        Regex::new(r"^([A-Za-z][\w ]{0,24}): ").expect("the pattern is valid")
    });
    text.split(SEPARATOR)
        .map(|part| {
            let name = NAME.captures(part)?.get(1)?.as_str();
            Some((name, &part[name.len() + 2..]))
        })
        .collect()
}

/// The text of fields, as [`split`] reads it.
pub fn join<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let fields: Vec<String> = fields.into_iter().map(|(name, value)| format!("{name}: {value}")).collect();
    fields.join(SEPARATOR)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_are_parted_by_their_names() {
        let split = |text| split(text).map(|fields| format!("{fields:?}")).unwrap_or_default();
        insta::assert_snapshot!(split("question: why: so? [SEP] context: a [SEP"), @r#"[("question", "why: so?"), ("context", "a [SEP")]"#);
        insta::assert_snapshot!(split("summarize: a text"), @r#"[("summarize", "a text")]"#);
        insta::assert_snapshot!(split("question: why? [SEP] because"), @"");
        insta::assert_snapshot!(split("A sentence, and no field."), @"");
        insta::assert_snapshot!(split(""), @"");
    }

    proptest! {
        #[test]
        fn what_is_split_joins_to_the_same_bytes(text in "([a-z]{1,5}: .{0,8}( \\[SEP\\] )?){0,4}.{0,4}") {
            if let Some(fields) = split(&text) {
                prop_assert_eq!(join(fields), text);
            }
        }
    }
}
