//! Rows of any shape to one file: the sink of `convert`, which knows no examples.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::file::Written;
use super::publish::{self, Plan, Step};
use super::records::{self, ORIGINS, REJECTS};
use super::table::Table;
use super::text::TextFile;
use super::{Finished, FinishedFile, Layout, Shape, parent};
use crate::error::{Error, Result};
use crate::format::{Cell, Column, Kind};
use crate::record::Origin;
use crate::reject::Reject;

/// Writes one file of JSON objects or of texts in columns, and the rejects beside it.
pub struct ObjectWriter {
    layout: Layout,
    rows: Rows,
    columns: Vec<Column>,
    written: u64,
    origins: Option<Table>,
    rejects: Table,
}

enum Rows {
    Table(Table),
    Text(TextFile),
    Csv(TextFile),
}

/// A row on its way to the file: the JSON of it, or the texts of its columns.
pub enum Row {
    /// For lines and arrays of JSON.
    Json(Vec<u8>),
    /// For tables, in the order of the columns.
    Cells(Vec<String>),
}

impl ObjectWriter {
    /// A writer for this layout. `columns` are the names of the columns where each is a text; it is empty where
    /// rows nest. What an unfinished run left in [`Layout::partial`] is removed.
    ///
    /// # Errors
    /// For a folder, for a table of rows that nest, or when the file can't be written to.
    pub fn create(layout: &Layout, name: &str, columns: &[&'static str]) -> Result<Self> {
        Self::check(layout, name, columns)?;
        let columns: Vec<Column> = columns.iter().map(|name| Column::new(name, Kind::Text)).collect();
        let partial = layout.partial();
        publish::clear(&partial)?;
        publish::make_folder(&partial)?;
        let file = partial.join(layout.output().file_name().unwrap_or_default());
        let rows = match layout.shape() {
            Shape::Folder => unreachable!("a folder is refused above"),
            Shape::Parquet => Rows::Table(Table::create(file, &columns)?),
            Shape::Csv => Rows::Csv(TextFile::csv(file, &columns)?),
            Shape::Jsonl(packing) => Rows::Text(TextFile::jsonl(file, packing)?),
            Shape::Json => Rows::Text(TextFile::json(file)?),
        };
        let rejects = Table::create(partial.join("rejects.parquet"), REJECTS)?;
        Ok(Self { layout: layout.clone(), rows, columns, written: 0, origins: None, rejects })
    }

    /// The same writer, with a file in the run folder that says where each row came from.
    ///
    /// # Errors
    /// When it can't be written to.
    pub fn with_origins(mut self) -> Result<Self> {
        self.origins = Some(Table::create(self.layout.partial().join("provenance.parquet"), ORIGINS)?);
        Ok(self)
    }

    /// Refuses an output that rows of the shape `name` with these columns don't fit.
    ///
    /// # Errors
    /// For a folder, and for a table of rows that nest.
    pub fn check(layout: &Layout, name: &str, columns: &[&str]) -> Result<()> {
        let shown = layout.output().display();
        let lines = "end the output's name in .jsonl, .jsonl.gz, .jsonl.zst or .json";
        if layout.is_folder() {
            return Err(Error::usage(format!("`convert` writes one file, and `{shown}` is a folder"))
                .with_hint(format!("{lines}; rows of texts alone also fit .csv and .parquet")));
        }
        if Self::is_table(layout) && columns.is_empty() {
            return Err(Error::usage(format!("rows of `{name}` nest and don't fit the table `{shown}`"))
                .with_hint(lines));
        }
        Ok(())
    }

    /// Whether the rows of a layout are texts in columns.
    pub fn is_table(layout: &Layout) -> bool {
        matches!(layout.shape(), Shape::Csv | Shape::Parquet)
    }

    /// A row as [`push`](Self::push) takes it; work that needs no file, so that others can do it.
    ///
    /// `bytes` is how long the row will be, near enough.
    ///
    /// # Panics
    /// When a value of a table is no text.
    pub fn row(object: &Map<String, Value>, columns: &[&str], is_table: bool, bytes: usize) -> Row {
        if !is_table {
            let mut json = Vec::with_capacity(bytes + 64);
            serde_json::to_writer(&mut json, object).expect("an object is JSON");
            return Row::Json(json);
        }
        let cell = |name: &&str| match object.get(*name) {
            Some(Value::String(text)) => text.clone(),
            None | Some(Value::Null) => String::new(),
            Some(other) => unreachable!("the columns of a table are texts, not {other}"),
        };
        Row::Cells(columns.iter().map(cell).collect())
    }

    /// Adds a row.
    ///
    /// # Errors
    /// When it can't be written. The writer is of no use afterwards.
    ///
    /// # Panics
    /// When the row is not of this file's kind.
    pub fn push(&mut self, row: &Row) -> Result<()> {
        if let Row::Json(json) = row {
            return self.push_json(json);
        }
        self.written += 1;
        match (&mut self.rows, row) {
            (Rows::Csv(file), Row::Cells(cells)) => file.push_cells(cells.iter().map(String::as_str)),
            (Rows::Table(table), Row::Cells(cells)) => {
                assert_eq!(cells.len(), self.columns.len(), "a row has a cell for each column");
                let cells: Vec<Cell<'_>> = cells.iter().map(|cell| Cell::from(cell.as_str())).collect();
                table.push(&cells)
            }
            _ => unreachable!("rows are made for the layout that they are written to"),
        }
    }

    /// Adds a row that is JSON.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    ///
    /// # Panics
    /// When the file holds no JSON.
    pub fn push_json(&mut self, json: &[u8]) -> Result<()> {
        self.written += 1;
        match &mut self.rows {
            Rows::Text(file) => file.push_json(json),
            Rows::Csv(_) | Rows::Table(_) => {
                unreachable!("rows are made for the layout that they are written to")
            }
        }
    }

    /// Says where the row came from that was added last, where that is kept: the file and the row, the shape that
    /// it was read as, and which of the rows that it became this is, from 0.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn origin(&mut self, origin: &Origin, shape: &str, sample: u64) -> Result<()> {
        let Some(origins) = &mut self.origins else { return Ok(()) };
        let id = records::converted_id(origin, sample);
        origins.push(&records::origin(&id, origin, shape, sample))
    }

    /// Adds something that was not used.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn reject(&mut self, reject: &Reject) -> Result<()> {
        self.rejects.push(&records::reject(reject))
    }

    /// Ends the files and puts them in their places.
    ///
    /// # Errors
    /// When something can't be written or moved.
    pub fn finish(self) -> Result<Finished> {
        let Self { layout, rows, written, origins, rejects, .. } = self;
        let rejects = rejects.finish()?;
        let file: Written = match rows {
            Rows::Table(table) => table.finish()?.file,
            Rows::Text(file) | Rows::Csv(file) => file.finish()?,
        };
        let mut plan = Plan::default();
        let output: PathBuf = layout.output().to_owned();
        let finished = Finished {
            rows: written,
            rejects: rejects.rows,
            files: vec![FinishedFile::of(&file, output.clone())],
        };
        if let Some(origins) = origins {
            let to = layout.run().join("provenance.parquet");
            plan.add(Step::Move { from: origins.finish()?.file.path, to });
        }
        plan.add(Step::Move { from: rejects.file.path, to: layout.rejects() });
        plan.add(Step::Move { from: file.path, to: output });
        plan.add(Step::Sync(layout.run()));
        let folder: &Path = parent(layout.output());
        plan.add(Step::Sync(folder.to_owned()));
        plan.add(Step::Clear(layout.partial()));
        plan.run()?;
        Ok(finished)
    }
}
