//! A benchmark's rows: where they are looked for, and of which shape they are.

use std::path::{Path, PathBuf};

use super::item::render;
use super::spec::{Benchmark, Form};
use crate::error::{Error, Result};
use crate::record::Row;
use crate::reject::{Reason, Reject};
use crate::source::{self, Adapter, SourceFile};
use crate::template::engine::Fields;

/// The rows of a benchmark, read when they are asked for.
pub struct Rows<'a> {
    /// The files that they are read from.
    pub files: Vec<SourceFile>,
    benchmark: &'a Benchmark,
    form: Option<&'a Form>,
    inner: Box<dyn Iterator<Item = Result<Row, Reject>>>,
}

/// Files, and the shapes that their rows may have.
type Found<'a> = (Vec<SourceFile>, Vec<&'a Form>);

/// Opens the rows of a benchmark: of the files or the folder that the user named, or of a snapshot in the Hub's cache,
/// which `hub` gives the folder of.
///
/// The first of the benchmark's shapes is taken that a row of the files fits. Rows that are cooked need no file.
///
/// # Errors
/// When there is no file, and where it was looked for; when no row has one of the shapes, and what they lack.
pub fn open<'a>(
    benchmark: &'a Benchmark,
    named: &[String],
    hub: &dyn Fn(&str) -> Option<PathBuf>,
) -> Result<Rows<'a>> {
    if let Some(cooked) = &benchmark.cooked {
        return Ok(Rows { files: Vec::new(), benchmark, form: None, inner: Box::new(cooked.rows()) });
    }
    let (files, forms) = if named.is_empty() { cached(benchmark, hub)? } else { of_user(benchmark, named)? };
    if forms.is_empty() {
        let inner = Box::new(source::open_rows(files.clone())?);
        return Ok(Rows { files, benchmark, form: None, inner });
    }
    let mut misfits = Vec::new();
    for form in forms {
        let mut rows = Rows { files: files.clone(), benchmark, form: Some(form), inner: form.open(&files)? };
        match rows.by_ref().take(PROBED).find(Result::is_ok) {
            // What was read in search of a row is read anew.
            Some(_) => return Ok(Rows { inner: form.open(&files)?, ..rows }),
            None => {
                let rows = Rows { inner: form.open(&files)?, ..rows };
                let mut rejects = rows.filter_map(Result::err);
                misfits.push(
                    rejects
                        .next()
                        .map_or_else(|| "there is no row".to_owned(), |reject| beginning(&reject.raw)),
                );
            }
        }
    }
    let names: Vec<&str> = files.iter().take(3).map(|file| &*file.name).collect();
    let tried = misfits.iter().enumerate().map(|(number, why)| format!("as shape {}: {why}", number + 1));
    Err(Error::input(format!(
        "no row of `{}` has a shape that the benchmark `{}` reads",
        names.join("`, `"),
        benchmark.name
    ))
    .because(tried.collect::<Vec<_>>().join("\n"))
    .with_hint("other shapes are read by a benchmark of your own: a YAML file that says it under `data`"))
}

/// So many rows are tried in search of one that fits.
const PROBED: usize = 100;

fn beginning(text: &str) -> String {
    const SHOWN: usize = 160;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// What the user named: files as they are, or folders in which files are looked for by the shapes' patterns.
fn of_user<'a>(benchmark: &'a Benchmark, named: &[String]) -> Result<Found<'a>> {
    if named.iter().any(|name| name == "-") {
        return Err(Error::usage("a benchmark's rows are read twice, and standard input can't be")
            .with_hint("write them to a file and name it with --data"));
    }
    if named.iter().all(|folder| Path::new(folder).is_dir()) {
        for form in &benchmark.forms {
            let mut files: Vec<SourceFile> = Vec::new();
            for folder in named {
                for mut file in below(Path::new(folder), &form.files)? {
                    if files.iter().any(|known| known.path == file.path) {
                        continue;
                    }
                    // Two folders may have files of one name, and items are told by it.
                    if files.iter().any(|known| known.name == file.name) {
                        file.name = file.path.display().to_string().into();
                    }
                    files.push(file);
                }
            }
            if !files.is_empty() {
                return Ok((files, vec![form]));
            }
        }
        let patterns: Vec<&str> =
            benchmark.forms.iter().flat_map(|form| form.files.iter().map(String::as_str)).collect();
        if !patterns.is_empty() {
            return Err(Error::input(format!(
                "the folder `{}` has no data of the benchmark `{}`",
                named.join("`, `"),
                benchmark.name
            ))
            .because(format!("looked for `{}`", patterns.join("`, `")))
            .with_hint("name the files themselves with --data"));
        }
    }
    Ok((source::resolve_rows(named)?, benchmark.forms.iter().collect()))
}

/// What is in the Hub's cache.
fn cached<'a>(benchmark: &'a Benchmark, hub: &dyn Fn(&str) -> Option<PathBuf>) -> Result<Found<'a>> {
    let mut looked = Vec::new();
    for form in &benchmark.forms {
        let Some(id) = &form.hub else { continue };
        match hub(id) {
            None => looked.push(format!("the dataset `{id}` isn't in the Hub's cache")),
            Some(folder) => {
                let files = below(&folder, &form.files)?;
                if !files.is_empty() {
                    return Ok((files, vec![form]));
                }
                looked.push(format!("`{}` has no `{}`", folder.display(), form.files.join("`, `")));
            }
        }
    }
    let error = Error::usage(format!("the data of the benchmark `{}` isn't there", benchmark.name));
    let id = benchmark.forms.iter().find_map(|form| form.hub.as_deref());
    Err(match id {
        Some(id) => error.because(looked.join("\n")).with_hint(format!(
            "`instil pull {id} --dataset` brings it, or name its files or folder with --data PATH"
        )),
        None => error.with_hint("name its files or folder with --data PATH"),
    })
}

/// The files below a folder that match one of the patterns, in the order of their names.
fn below(folder: &Path, patterns: &[String]) -> Result<Vec<SourceFile>> {
    let shown = folder
        .to_str()
        .ok_or_else(|| Error::input(format!("the name of `{}` is no UTF-8", folder.display())))?;
    let mut files: Vec<SourceFile> = Vec::new();
    for pattern in patterns {
        let whole = format!("{}/{pattern}", glob::Pattern::escape(shown));
        let found = glob::glob(&whole)
            .map_err(|e| Error::input(format!("`{pattern}` is not a pattern")).because(e))?;
        for path in found {
            let path = path.map_err(|e| Error::input(format!("can't look into `{shown}`")).because(e))?;
            let typed = path.to_string_lossy().into_owned();
            if path.is_file() && !files.iter().any(|file| file.path == path) {
                let name: Vec<_> = path.strip_prefix(folder).unwrap_or(&path).iter().collect();
                let name: Vec<_> = name.iter().map(|part| part.to_string_lossy()).collect();
                for file in source::resolve_rows(&[typed])? {
                    files.push(SourceFile { name: name.join("/").into(), ..file });
                }
            }
        }
        // One pattern's files are a dataset; the next one's may be the same once more.
        if !files.is_empty() {
            break;
        }
    }
    Ok(files)
}

impl Form {
    fn open(&self, files: &[SourceFile]) -> Result<Box<dyn Iterator<Item = Result<Row, Reject>>>> {
        Ok(match self.shape()? {
            None => Box::new(source::open_rows(files.to_vec())?),
            Some(shape) => {
                let patterns = if self.files.is_empty() { vec!["*".to_owned()] } else { self.files.clone() };
                Box::new(Adapter::of_shape("benchmark", patterns, shape)?.rows_of(files.to_vec())?)
            }
        })
    }
}

impl Rows<'_> {
    fn finished(&self, mut row: Row) -> Result<Row, Reject> {
        for (name, value) in &self.benchmark.constants {
            row.fields.insert(name.clone(), value.as_str().into());
        }
        for (name, template) in self.form.iter().flat_map(|form| &form.derive) {
            let fields = Fields::of(&row.fields);
            let text = render(template, &fields, &row.fields, 0)
                .map_err(|(reason, why)| misfit(reason, &why, &row))?;
            row.fields.insert(name.clone(), text.into());
        }
        if let Some(step) = self.benchmark.prepare {
            step.row(&mut row.fields);
        }
        Ok(row)
    }
}

/// A row that can't be asked about.
pub(super) fn misfit(reason: Reason, why: &str, row: &Row) -> Reject {
    let raw = serde_json::Value::Object(row.fields.clone());
    Reject::read(reason, row.origin.clone(), format!("{why}: {raw}"))
}

impl Iterator for Rows<'_> {
    type Item = Result<Row, Reject>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.inner.next()?.and_then(|row| self.finished(row)))
    }
}
