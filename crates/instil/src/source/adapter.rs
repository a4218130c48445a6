//! Raw files to labelled rows of another schema, told by a file instead of a program.
//!
//! An adapter says where the fields that the templates of a dataset read are found in files that were
//! published in another shape. It is a TOML file:
//!
//! ```toml
//! dataset = "squad"                         # the key of the templates' dataset
//! path = "articles/*.json.gz"               # below the data folder; a glob, or a list of them
//! each = "data.paragraphs.qas"              # rows are the innermost of these lists
//! license = "CC BY-SA 4.0"
//!
//! [fields]                                  # the field that templates read = where it is from
//! title = "title"
//! context = "context"
//! question = "question"
//! answers = { object = { text = "answers.text", answer_start = "answers.answer_start" } }
//! ```
//!
//! | key | means |
//! |---|---|
//! | `dataset` | the key of the dataset, or `{ from = "COLUMN" }` where a column holds it |
//! | `path` | files below the data folder, with `*`, `?`, `**` and `[…]`, or a list of such paths |
//! | `reader` | `rows` (also if it isn't given): what [`open_rows`] reads; `xml`: the children of the root, attributes as `@name`, text beside them as `#text`; `rendered`: as `rows`, the fields being `prompt`, `completion` and `template` |
//! | `each` | names of lists, one inside the other, parted by dots: each innermost object is a row, beside the fields of those around it (of two fields of one name the inner stays). `NAME{}` is an object whose values are the rows, each with its own name as `@key` |
//! | `license`, `non_commercial`, `about`, `left_out` | what is said of the data: whose terms, whether they forbid commercial use, what it is, what of it is not used and why |
//! | `[match]` | column = pattern: a regular expression for the whole text of that column; each named group is a column of its own, before the row's |
//! | `[fields]` | field = where it is from |
//!
//! A field is the name of a column or a table:
//!
//! | table | value |
//! |---|---|
//! | `{ from = "a.b.0" }` | what stands there: into objects by key, into lists by number, and by key into each object of a list, so that `answers.text` is the list of the texts |
//! | `from` with `trim = true` | without blanks at both ends |
//! | `from` with `as = "int"` or `as = "text"` | as an integer, as a string |
//! | `from` with `values = { No = 0, Yes = 1 }` | what the text stands for |
//! | `from` with `position_of = "True"` | where in the list the one `True` stands, from 0 |
//! | that with `key = "correct"` | where the one object stands that has `True` under this key |
//! | `{ object = { NAME = FIELD, … } }` | an object of fields |
//! | `{ list = [FIELD, …] }` | a list of fields |
//! | `{ join = [FIELD, …], with = " " }` | the texts of fields, put together |
//!
//! `trim`, `as` and `values` go into each element of a list. A row that doesn't fit is a reject that says
//! why: a column that is missing or null, a text that the pattern doesn't match, a value that is not among
//! `values`. No row is mended.

mod each;
mod field;
mod spec;

use std::collections::VecDeque;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use serde_json::{Map, Value};

use super::labelled::{Item, LabelledRows, open_rows};
use super::place::Place;
use super::{SourceFile, resolve, xml_rows};
use crate::error::{Error, Result};
use crate::record::Row;
use crate::reject::{Reason, Reject};
use field::{Columns, Misfit};
pub(crate) use spec::Shape;
use spec::{Dataset, File, Reader};

/// How rows of a dataset are made of files of another shape.
#[derive(Clone)]
pub struct Adapter(Arc<Inner>);

struct Inner {
    name: String,
    file: File,
    /// The key of the dataset, where all rows are of one.
    dataset: Option<Arc<str>>,
    each: Vec<String>,
}

/// The fields of rows that are rendered prompts instead of what was rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RenderedColumns {
    /// The field that holds the prompt.
    pub prompt: &'static str,
    /// The field that holds the completion.
    pub completion: &'static str,
    /// The field that holds the template's name.
    pub template: &'static str,
}

impl Adapter {
    /// Reads an adapter's file.
    ///
    /// # Errors
    /// When it can't be read or [`parse`](Self::parse) refuses it.
    pub fn read(path: &Path) -> Result<Self> {
        let failed = || Error::input(format!("failed to read the adapter `{}`", path.display()));
        let text = fs::read_to_string(path).map_err(|error| failed().because(error))?;
        let name = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        Self::parse(&name, &text).map_err(|error| {
            let hint = error.hint().map(str::to_owned);
            let told = failed().because(error.to_string());
            match hint {
                Some(hint) => told.with_hint(hint),
                None => told,
            }
        })
    }

    /// The adapter that `text` is, called `name`.
    ///
    /// # Errors
    /// When it is no TOML, has an unknown key (the hint says the nearest) or lacks one, a pattern is no
    /// regular expression or has no named group, a group is not used, or keys don't go together.
    pub fn parse(name: &str, text: &str) -> Result<Self> {
        let file: File = toml::from_str(text).map_err(|error| crate::recipe::misread(text, &error))?;
        Self::of_file(name, file)
    }

    /// The adapter of files that a benchmark reads, called `name`; its fields are `shape`'s.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub(crate) fn of_shape(name: &str, paths: Vec<String>, shape: Shape) -> Result<Self> {
        let Shape { each, patterns, fields } = shape;
        let file = File {
            dataset: Dataset::Key(name.to_owned()),
            path: spec::Paths::Many(paths),
            reader: Reader::Rows,
            each,
            about: String::new(),
            license: String::new(),
            non_commercial: false,
            left_out: String::new(),
            patterns,
            fields,
        };
        Self::of_file(name, file)
    }

    fn of_file(name: &str, file: File) -> Result<Self> {
        if let Some(fault) = file.fault() {
            return Err(Error::input(fault));
        }
        let dataset = match &file.dataset {
            Dataset::Key(key) => Some(key.as_str().into()),
            Dataset::Column(_) => None,
        };
        let each = file.each.iter().flat_map(|each| each.split('.')).map(str::to_owned).collect();
        Ok(Self(Arc::new(Inner { name: name.to_owned(), file, dataset, each })))
    }

    /// What it is called: its file's name without the ending.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The key of the dataset whose templates its rows fit; none where a column tells it.
    pub fn dataset(&self) -> Option<&str> {
        self.0.dataset.as_deref()
    }

    /// The licence of the data, in its source's words.
    pub fn license(&self) -> &str {
        &self.0.file.license
    }

    /// Whether that licence forbids commercial use.
    pub fn is_non_commercial(&self) -> bool {
        self.0.file.non_commercial
    }

    /// What the data is; empty if it isn't said.
    pub fn about(&self) -> &str {
        &self.0.file.about
    }

    /// What of the set is not used, and why; empty if all is.
    pub fn left_out(&self) -> &str {
        &self.0.file.left_out
    }

    /// The names of the fields that its rows have.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.0.file.fields.0.iter().map(|(name, _)| name.as_str())
    }

    /// Where prompt and completion are, if its rows are rendered; a
    /// [lifter](crate::template::lift) makes rows of them.
    pub fn rendered(&self) -> Option<RenderedColumns> {
        (self.0.file.reader == Reader::Rendered).then_some(RenderedColumns {
            prompt: "prompt",
            completion: "completion",
            template: "template",
        })
    }

    /// Its files, below the folder `data`, sorted within each path; they are called by their path below
    /// it, with `/` between the parts.
    ///
    /// # Errors
    /// When a path matches no file, or a file can't be opened.
    pub fn files(&self, data: &Path) -> Result<Vec<SourceFile>> {
        let not_found = |path: &str| {
            let here = data.display();
            Error::input(format!("the adapter `{}` finds no file `{path}` in `{here}`", self.name()))
                .with_hint("name the folder that the adapter's paths are meant below")
        };
        let folder = data.to_str().ok_or_else(|| {
            Error::input(format!("the name of the folder `{}` is not UTF-8", data.display()))
        })?;
        let folder = if folder.is_empty() { "." } else { folder };
        let mut files: Vec<SourceFile> = Vec::new();
        for path in self.0.file.paths() {
            let pattern = format!("{}/{path}", glob::Pattern::escape(folder));
            let found = glob::glob(&pattern)
                .map_err(|error| Error::input(format!("`{path}` is not a pattern")).because(error))?;
            let before = files.len();
            for found in found {
                let found = found.map_err(|error| not_found(path).because(error.to_string()))?;
                if found.is_dir() || files.iter().any(|file| file.path == found) {
                    continue;
                }
                let typed = found.to_str().ok_or_else(|| not_found(path).because("its name is not UTF-8"))?;
                let name: Vec<_> = found.strip_prefix(data).unwrap_or(&found).iter().collect();
                let name: Vec<_> = name.iter().map(|part| part.to_string_lossy()).collect();
                for file in resolve(&[typed.to_owned()])? {
                    files.push(SourceFile { name: name.join("/").into(), ..file });
                }
            }
            if files.len() == before {
                return Err(not_found(path));
            }
        }
        Ok(files)
    }

    /// Its rows, each with the key of its dataset; their origin is the file's path below `data` and the
    /// number of the row (with `each`, counted over the innermost).
    ///
    /// # Errors
    /// As [`files`](Self::files), and when a file is of a kind that the reader doesn't read.
    pub fn rows(&self, data: &Path) -> Result<AdapterRows> {
        self.rows_of(self.files(data)?)
    }

    /// The rows that it makes of these files.
    ///
    /// # Errors
    /// When a file is of a kind that the reader doesn't read.
    pub fn rows_of(&self, files: Vec<SourceFile>) -> Result<AdapterRows> {
        let source = match self.0.file.reader {
            Reader::Rows | Reader::Rendered => open_rows(files)?,
            Reader::Xml => LabelledRows::new(files, xml_rows::read),
        };
        Ok(AdapterRows { adapter: self.clone(), source, ready: VecDeque::new(), of_file: None })
    }

    /// A row of the source as a row of the dataset.
    fn adapt(&self, row: Row) -> Item {
        let mut groups = Map::new();
        let adapted = self.match_patterns(&row.fields, &mut groups).and_then(|()| {
            let columns = Columns { groups, row: &row.fields };
            let fields = self.0.file.fields.0.iter();
            let fields = fields.map(|(name, field)| Ok((name.clone(), columns.value(field)?)));
            let fields = fields.collect::<Result<Map<_, _>, Misfit>>()?;
            Ok((fields, self.dataset_of(&columns)?))
        });
        match adapted {
            Ok((fields, dataset)) => Ok(Row { fields, origin: row.origin, dataset: Some(dataset) }),
            Err((reason, why)) => {
                let place = Place(row.origin.source);
                Err(place.reject(reason, row.origin.row, format!("{why}: {}", Value::Object(row.fields))))
            }
        }
    }

    fn match_patterns(
        &self,
        row: &Map<String, Value>,
        groups: &mut Map<String, Value>,
    ) -> Result<(), Misfit> {
        for (column, pattern) in &self.0.file.patterns {
            let text = field::text(column, row.get(column).unwrap_or(&Value::Null))?;
            let captures = pattern
                .regex
                .captures(&text)
                .ok_or_else(|| (Reason::NoMatch, format!("the pattern for `{column}` does not match it")))?;
            for group in &pattern.groups {
                if let Some(found) = captures.name(group) {
                    groups.insert(group.clone(), found.as_str().into());
                }
            }
        }
        Ok(())
    }

    fn dataset_of(&self, columns: &Columns<'_>) -> Result<Arc<str>, Misfit> {
        match (&self.0.dataset, &self.0.file.dataset) {
            (Some(key), _) => Ok(Arc::clone(key)),
            (None, Dataset::Column(column)) => {
                let value = columns.groups.get(&column.from).or_else(|| columns.row.get(&column.from));
                field::text(&column.from, value.unwrap_or(&Value::Null)).map(Into::into)
            }
            (None, Dataset::Key(key)) => Ok(key.as_str().into()),
        }
    }
}

/// The rows of an adapter's files, in order, each read when it is asked for.
pub struct AdapterRows {
    adapter: Adapter,
    source: LabelledRows,
    /// Rows inside the row that was read last.
    ready: VecDeque<Item>,
    /// The file of that row, and how many rows were in it so far.
    of_file: Option<(Arc<str>, u64)>,
}

impl AdapterRows {
    /// As [`LabelledRows::read_bytes`].
    pub fn read_bytes(&self) -> Arc<AtomicU64> {
        self.source.read_bytes()
    }

    fn expand(&mut self, row: Row) {
        let source = &row.origin.source;
        let of_file = self.of_file.get_or_insert_with(|| (Arc::clone(source), 0));
        if of_file.0 != *source {
            *of_file = (Arc::clone(source), 0);
        }
        each::expand(row, &self.adapter.0.each, &mut of_file.1, &mut self.ready);
    }
}

impl Iterator for AdapterRows {
    type Item = Result<Row, Reject>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some(item.and_then(|row| self.adapter.adapt(row)));
            }
            match self.source.next()? {
                Ok(row) if !self.adapter.0.each.is_empty() => self.expand(row),
                item => return Some(item.and_then(|row| self.adapter.adapt(row))),
            }
        }
    }
}

#[cfg(test)]
mod tests;
