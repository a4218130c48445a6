//! Rows of any shape to one file or to memory: the sink of `convert`, which knows no examples.

use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use serde_json::{Map, Value};

use super::file::Written;
use super::memory::{Objects, Origins};
use super::publish::{self, Plan, Step};
use super::records::{self, ORIGINS, REJECTS};
use super::table::Table;
use super::text::TextFile;
use super::{Finished, FinishedFile, Layout, Shape, parent};
use crate::error::{Error, Result};
use crate::format::{Cell, Column, Kind, Mixed};
use crate::record::Origin;
use crate::reject::Reject;

/// Writes one file of JSON objects or of texts in columns, or keeps rows in memory; and the rejects beside them.
pub struct ObjectWriter {
    layout: Layout,
    rows: Rows,
    columns: Vec<Column>,
    written: u64,
    origins: Option<Whence>,
    rejects: Table,
}

enum Rows {
    Table(Table),
    Text(TextFile),
    Csv(TextFile),
    Memory(Objects),
}

/// Where it is kept where rows come from.
enum Whence {
    Table(Box<Table>),
    Memory(Origins),
}

/// A row on its way to the file: the JSON of it, or the texts of its columns.
pub enum Row {
    /// For lines and arrays of JSON.
    Json(Vec<u8>),
    /// For tables, in the order of the columns.
    Cells(Vec<String>),
    /// For memory: it is in the batch that comes with it.
    InBatch,
}

impl ObjectWriter {
    /// A writer for this layout. `columns` are the names of the columns where each is a text; it is empty where
    /// rows nest. What an unfinished run left in [`Layout::partial`] is removed.
    ///
    /// # Errors
    /// For a dataset folder, for a table of rows that nest, or when the file can't be written to.
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
            Shape::Memory => Rows::Memory(Objects::new()),
        };
        let rejects = Table::create(partial.join("rejects.parquet"), REJECTS)?;
        Ok(Self { layout: layout.clone(), rows, columns, written: 0, origins: None, rejects })
    }

    /// The same writer, which also says where each row came from: in a file in the run folder, or in memory.
    ///
    /// # Errors
    /// When it can't be written to.
    pub fn with_origins(mut self) -> Result<Self> {
        self.origins = Some(if self.is_in_memory() {
            Whence::Memory(Origins::default())
        } else {
            Whence::Table(Box::new(Table::create(self.layout.partial().join("provenance.parquet"), ORIGINS)?))
        });
        Ok(self)
    }

    /// Whether rows stay in memory. They are best put into arrays where they are made:
    /// [`push_batch`](Self::push_batch).
    pub fn is_in_memory(&self) -> bool {
        matches!(self.rows, Rows::Memory(_))
    }

    /// Refuses an output that rows of the shape `name` with these columns don't fit.
    ///
    /// # Errors
    /// For a dataset folder, and for a table of rows that nest.
    pub fn check(layout: &Layout, name: &str, columns: &[&str]) -> Result<()> {
        let shown = layout.output().display();
        let lines = "end the output's name in .jsonl, .jsonl.gz, .jsonl.zst or .json";
        if layout.shape() == Shape::Folder {
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
            (Rows::Memory(_), Row::InBatch) => Ok(()),
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
            Rows::Csv(_) | Rows::Table(_) | Rows::Memory(_) => {
                unreachable!("rows are made for the layout that they are written to")
            }
        }
    }

    /// Adds a row, whatever this writer makes of it.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    ///
    /// # Panics
    /// As [`row`](Self::row).
    pub fn push_object(&mut self, object: &Map<String, Value>) -> Result<()> {
        if let Rows::Memory(rows) = &mut self.rows {
            self.written += 1;
            rows.push(object);
            return Ok(());
        }
        let columns: Vec<&str> = self.columns.iter().map(|column| column.name).collect();
        self.push(&Self::row(object, &columns, Self::is_table(&self.layout), 128))
    }

    /// Takes the arrays of rows that were added as [`Row::InBatch`], or why they could not be made, which whoever asks for
    /// the rows is told.
    ///
    /// # Panics
    /// When rows don't stay in memory.
    pub fn push_batch(&mut self, batch: std::result::Result<RecordBatch, Mixed>) {
        match &mut self.rows {
            Rows::Memory(rows) => rows.push_batch(batch),
            _ => unreachable!("batches are made for memory alone"),
        }
    }

    /// Says where the row came from that was added last, where that is kept: the file and the row, the shape that
    /// it was read as, and which of the rows that it became this is, from 0.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn origin(&mut self, origin: &Origin, shape: &str, sample: u64) -> Result<()> {
        match &mut self.origins {
            None => Ok(()),
            Some(Whence::Memory(origins)) => {
                origins.push(origin, shape, sample);
                Ok(())
            }
            Some(Whence::Table(origins)) => {
                let id = records::converted_id(origin, sample);
                origins.push(&records::origin(&id, origin, shape, sample))
            }
        }
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
        let mut plan = Plan::default();
        let output: PathBuf = layout.output().to_owned();
        let mut finished = Finished { rows: written, rejects: rejects.rows, files: Vec::new() };
        let origins = match origins {
            Some(Whence::Table(origins)) => {
                let to = layout.run().join("provenance.parquet");
                plan.add(Step::Move { from: origins.finish()?.file.path, to });
                None
            }
            Some(Whence::Memory(origins)) => Some(origins),
            None => None,
        };
        plan.add(Step::Move { from: rejects.file.path, to: layout.rejects() });
        let file: Option<Written> = match rows {
            Rows::Table(table) => Some(table.finish()?.file),
            Rows::Text(file) | Rows::Csv(file) => Some(file.finish()?),
            Rows::Memory(rows) => {
                rows.hand_over(&output, origins);
                None
            }
        };
        if let Some(file) = file {
            finished.files.push(FinishedFile::of(&file, output.clone()));
            plan.add(Step::Move { from: file.path, to: output });
        }
        plan.add(Step::Sync(layout.run()));
        let folder: &Path = parent(layout.output());
        plan.add(Step::Sync(folder.to_owned()));
        plan.add(Step::Clear(layout.partial()));
        plan.run()?;
        Ok(finished)
    }
}
