//! An adapter's file: its keys, and what of them makes sense together.

use std::collections::BTreeMap;
use std::fmt;

use regex::Regex;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) dataset: Dataset,
    pub(super) path: Paths,
    #[serde(default)]
    pub(super) reader: Reader,
    #[serde(default)]
    pub(super) each: Option<String>,
    #[serde(default)]
    pub(super) about: String,
    pub(super) license: String,
    #[serde(default)]
    pub(super) non_commercial: bool,
    #[serde(default)]
    pub(super) left_out: String,
    #[serde(default, rename = "match")]
    pub(super) patterns: BTreeMap<String, Pattern>,
    pub(super) fields: Fields,
}

/// How rows are made of those of another shape: what a benchmark's file says of its data.
#[derive(Deserialize)]
pub(crate) struct Shape {
    #[serde(default)]
    pub(super) each: Option<String>,
    #[serde(default, rename = "match")]
    pub(super) patterns: BTreeMap<String, Pattern>,
    pub(super) fields: Fields,
}

/// The dataset's key, or the column that holds it.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected the dataset's key, or `{ from = \"COLUMN\" }`")]
pub(super) enum Dataset {
    Key(String),
    Column(FromColumn),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FromColumn {
    pub(super) from: String,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a path below the data folder, or a list of them")]
pub(super) enum Paths {
    One(String),
    Many(Vec<String>),
}

/// How bytes become the rows that fields are taken from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reader {
    /// As [`open_rows`](crate::source::open_rows).
    #[default]
    Rows,
    /// The children of an XML root.
    Xml,
    /// As `rows`; the fields are a rendered prompt and completion.
    Rendered,
}

/// Fields by name, in the order of the file.
pub(crate) struct Fields(pub(super) Vec<(String, Field)>);

/// Where the value of a field comes from.
#[derive(Clone, Debug)]
pub(crate) enum Field {
    /// A column, its value put into another form.
    From(Path, Form),
    /// An object of fields.
    Object(Vec<(String, Field)>),
    /// A list of fields.
    List(Vec<Field>),
    /// The texts of fields, put together.
    Join(Vec<Field>, String),
}

/// What is done to a value, and to each of a list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Form {
    pub(super) trim: bool,
    pub(super) to: Option<Type>,
    pub(super) values: Option<BTreeMap<String, Scalar>>,
    pub(super) position_of: Option<String>,
    /// The key under which the objects of a list have what `position_of` looks for.
    pub(super) key: Option<String>,
}

/// A type that a value is put into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Type {
    /// An integer.
    Int,
    /// A string.
    Text,
}

/// A value that a text stands for.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "expected an integer, a string, or true or false")]
pub(crate) enum Scalar {
    Bool(bool),
    Int(i64),
    Text(String),
}

/// The name of a column, or the way from it into what it holds.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    pub(super) whole: String,
    pub(super) parts: Vec<String>,
}

/// A pattern for the whole text of a column; its named groups are columns.
pub(crate) struct Pattern {
    pub(super) regex: Regex,
    pub(super) groups: Vec<String>,
}

impl Path {
    fn new(whole: String) -> Self {
        let parts = whole.split('.').map(str::to_owned).collect();
        Self { whole, parts }
    }
}

/// The keys of a field that is more than the name of a column.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    from: Option<String>,
    #[serde(default)]
    trim: bool,
    #[serde(rename = "as")]
    to: Option<Type>,
    values: Option<BTreeMap<String, Scalar>>,
    position_of: Option<String>,
    key: Option<String>,
    object: Option<Fields>,
    list: Option<Vec<Field>>,
    join: Option<Vec<Field>>,
    with: Option<String>,
}

impl Table {
    fn check(self) -> Result<Field, &'static str> {
        let forms = [self.to.is_some(), self.values.is_some(), self.position_of.is_some()];
        let formed = self.trim || forms.contains(&true);
        if formed && self.from.is_none() {
            return Err("`trim`, `as`, `values` and `position_of` need `from`, the column that they work on");
        }
        if forms.iter().filter(|is_there| **is_there).count() > 1 {
            return Err("only one of `as`, `values` and `position_of` can be given");
        }
        if self.key.is_some() && self.position_of.is_none() {
            return Err("`key` needs `position_of`, what stands under it");
        }
        if self.with.is_some() && self.join.is_none() {
            return Err("`with` needs `join`, the fields that it stands between");
        }
        if self.values.as_ref().is_some_and(BTreeMap::is_empty) {
            return Err("`values` is empty, so that no row would fit");
        }
        let Self { trim, to, values, position_of, key, .. } = self;
        let form = Form { trim, to, values, position_of, key };
        match (self.from, self.object, self.list, self.join) {
            (Some(from), None, None, None) => Ok(Field::From(Path::new(from), form)),
            (None, Some(Fields(fields)), None, None) if !fields.is_empty() => Ok(Field::Object(fields)),
            (None, None, Some(fields), None) if !fields.is_empty() => Ok(Field::List(fields)),
            (None, None, None, Some(fields)) if !fields.is_empty() => {
                Ok(Field::Join(fields, self.with.unwrap_or_default()))
            }
            _ => Err("a field needs one of `from`, `object`, `list` and `join`, and something in it"),
        }
    }
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldVisitor;

        impl<'de> Visitor<'de> for FieldVisitor {
            type Value = Field;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a column, or a table with `from`, `object`, `list` or `join`")
            }

            fn visit_str<E: serde::de::Error>(self, column: &str) -> Result<Field, E> {
                Ok(Field::From(Path::new(column.to_owned()), Form::default()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Field, A::Error> {
                Table::deserialize(MapAccessDeserializer::new(map))?.check().map_err(A::Error::custom)
            }
        }

        deserializer.deserialize_any(FieldVisitor)
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;

        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of fields")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(FieldsVisitor)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let regex = Regex::new(&format!(r"\A(?:{text})\z")).map_err(D::Error::custom)?;
        let groups: Vec<String> = regex.capture_names().flatten().map(str::to_owned).collect();
        if groups.is_empty() {
            return Err(D::Error::custom(format!(
                "the pattern `{text}` has no group with a name, `(?P<name>…)`"
            )));
        }
        Ok(Self { regex, groups })
    }
}

impl File {
    /// What of the keys does not make sense, each right by itself.
    pub(super) fn fault(&self) -> Option<String> {
        let Fields(fields) = &self.fields;
        if fields.is_empty() {
            return Some("[fields] is empty, so that no row would hold anything".to_owned());
        }
        if matches!(&self.dataset, Dataset::Key(key) if key.is_empty()) {
            return Some("`dataset` is empty; it is a key such as `super_glue/boolq`".to_owned());
        }
        if self.paths().is_empty() {
            return Some("`path` names no file".to_owned());
        }
        let leaves = |path: &&String| {
            path.is_empty() || path.starts_with('/') || path.split('/').any(|part| part == "..")
        };
        if let Some(path) = self.paths().iter().find(leaves) {
            return Some(format!("`path` is meant below the data folder, and `{path}` is not"));
        }
        let mut seen = BTreeMap::new();
        for (column, pattern) in &self.patterns {
            for group in &pattern.groups {
                if let Some(other) = seen.insert(group, column) {
                    return Some(format!(
                        "the group `{group}` is in the patterns of `{other}` and of `{column}`"
                    ));
                }
            }
        }
        let used = self.columns();
        if let Some(group) = seen.keys().find(|group| !used.contains(&group.as_str())) {
            return Some(format!("no field is made from the group `{group}` of [match]"));
        }
        if self.reader == Reader::Rendered {
            let is_there = |name: &&&str| fields.iter().any(|(field, _)| field == **name);
            let wanted = ["prompt", "completion", "template"];
            if let Some(missing) = wanted.iter().find(|name| !is_there(name)) {
                return Some(format!("the reader `rendered` needs the field `{missing}`"));
            }
        }
        None
    }

    pub(super) fn paths(&self) -> &[String] {
        match &self.path {
            Paths::One(path) => std::slice::from_ref(path),
            Paths::Many(paths) => paths,
        }
    }

    /// The columns and groups that something is made from.
    fn columns(&self) -> Vec<&str> {
        fn add<'a>(field: &'a Field, columns: &mut Vec<&'a str>) {
            match field {
                Field::From(path, _) => columns.extend([path.whole.as_str(), path.parts[0].as_str()]),
                Field::Object(fields) => fields.iter().for_each(|(_, field)| add(field, columns)),
                Field::List(fields) | Field::Join(fields, _) => {
                    fields.iter().for_each(|field| add(field, columns));
                }
            }
        }
        let mut columns = Vec::new();
        self.fields.0.iter().for_each(|(_, field)| add(field, &mut columns));
        if let Dataset::Column(FromColumn { from }) = &self.dataset {
            columns.push(from);
        }
        columns
    }
}
