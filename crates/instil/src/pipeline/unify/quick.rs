//! Rows of two texts, read without building objects of them: most rows there are.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};

use crate::convert::Shape;
use crate::unify::content::{Content, TASK_COLUMNS};

/// The shapes of two texts that are quickly read, with the keys of these.
const SHAPES: [(&str, [&str; 2]); 3] = [
    ("prompt-completion", ["prompt", "completion"]),
    ("flan", ["inputs", "targets"]),
    ("bonito", ["input", "output"]),
];

/// What a row says; none where anything about it isn't as simple as that, so that the shape itself has to read it.
pub(super) fn content<'a>(bytes: &'a [u8], shape: &Shape, column: Option<&str>) -> Option<Content<'a>> {
    let (_, [prompt, output]) = SHAPES.iter().find(|(name, _)| *name == shape.name)?;
    let text = simdutf8::basic::from_utf8(bytes).ok()?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let row = deserializer.deserialize_map(Row { prompt, output, column }).ok()?;
    deserializer.end().ok()?;
    let is_said = |text: &str| !text.trim().is_empty();
    (is_said(&row.prompt) && is_said(&row.output)).then_some(row)
}

struct Row<'k> {
    prompt: &'k str,
    output: &'k str,
    column: Option<&'k str>,
}

impl<'de> Visitor<'de> for Row<'_> {
    type Value = Content<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Content<'de>, A::Error> {
        let (mut prompt, mut output) = (None, None);
        let mut tasks = [None, None];
        let (mut dataset, mut template) = (None, None);
        let mut extra: Vec<Cow<'de, str>> = Vec::new();
        let mut has_id = false;
        while let Some(Text(key)) = map.next_key()? {
            let is_known = extra.contains(&key) || (key == "id" && has_id);
            if key == self.prompt && prompt.is_none() {
                prompt = Some(map.next_value::<Text<'de>>()?.0);
            } else if key == self.output && output.is_none() {
                output = Some(map.next_value::<Text<'de>>()?.0);
            } else if is_known || key == self.prompt || key == self.output {
                return Err(A::Error::custom("a key is there twice"));
            } else if key == "id" {
                map.next_value::<Text<'de>>()?;
                has_id = true;
            } else {
                let place = match self.column {
                    Some(column) => (key == column).then_some(0),
                    None => TASK_COLUMNS.iter().position(|known| *known == key),
                };
                let text = if let Some(place) = place {
                    Some(&mut tasks[place])
                } else if key == "dataset" {
                    Some(&mut dataset)
                } else if key == "template" {
                    Some(&mut template)
                } else {
                    None
                };
                match text {
                    Some(text) => *text = Some(map.next_value::<Text<'de>>()?.0),
                    None => {
                        let _: Plain = map.next_value()?;
                    }
                }
                extra.push(key);
            }
        }
        let missing = || A::Error::custom("a text is missing");
        let [first, second] = tasks;
        Ok(Content {
            task: first.or(second),
            prompt: prompt.ok_or_else(missing)?,
            output: output.ok_or_else(missing)?,
            rendered: dataset.zip(template),
            extra,
            ..Content::default()
        })
    }
}

/// A text, not copied where nothing in it is escaped.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrowed;
        impl<'de> Visitor<'de> for Borrowed {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Borrowed)
    }
}

/// A value that holds no other one.
struct Plain;

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Single;
        impl Visitor<'_> for Single {
            type Value = Plain;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a single value")
            }

            fn visit_str<E>(self, _: &str) -> Result<Plain, E> {
                Ok(Plain)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Plain, E> {
                Ok(Plain)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Plain, E> {
                Ok(Plain)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Plain, E> {
                Ok(Plain)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Plain, E> {
                Ok(Plain)
            }

            fn visit_unit<E>(self) -> Result<Plain, E> {
                Ok(Plain)
            }
        }
        deserializer.deserialize_any(Single)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_is_read_as_its_shape_reads_it() {
        let shape = Shape::parse("prompt-completion").unwrap();
        for row in [
            json!({"prompt": "p\n\"q\"", "completion": "c"}),
            json!({"task": "t", "prompt": "p", "completion": " c", "id": "7", "score": 3}),
            json!({"task_name": "n", "dataset": "d", "template": "e", "prompt": "p", "completion": "c"}),
        ] {
            let quick = serde_json::to_vec(&row).unwrap();
            let quick = content(&quick, shape, None).unwrap();
            let record = shape.read(row.as_object().unwrap()).remove(0).unwrap();
            assert_eq!(quick, Content::of(record, None).unwrap(), "{row}");
        }
    }

    #[test]
    fn what_is_not_so_simple_is_left_to_the_shape() {
        let shape = Shape::parse("prompt-completion").unwrap();
        for row in [
            r#"{"prompt": "p", "prompt": "q", "completion": "c"}"#,
            r#"{"prompt": "p", "completion": "c", "a": 1, "a": 2}"#,
            r#"{"prompt": "p", "completion": "c", "a": {}}"#,
            r#"{"prompt": "p", "completion": "c", "id": 1}"#,
            r#"{"prompt": "p", "completion": "c", "task": null}"#,
            r#"{"prompt": "p", "completion": " "}"#,
            r#"{"prompt": "p"}"#,
            r#"{"prompt": ["p"], "completion": "c"}"#,
            r#"{"prompt": "p", "completion": "c"} x"#,
        ] {
            assert_eq!(content(row.as_bytes(), shape, None), None, "{row}");
        }
    }
}
