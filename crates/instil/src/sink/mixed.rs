//! Rows of any shape to a dataset folder or a file, each with where it came from: the sink of `mix`.

use serde_json::{Map, Value};

use super::card::{Card, Facts, Size};
use super::file::Written;
use super::memory::SplitTables;
use super::publish::{self, Plan, Step};
use super::records::{self, MIXED, REJECTS};
use super::shards::{SplitShards, place};
use super::table::Table;
use super::text::TextFile;
use super::{Finished, FinishedFile, Layout, Shape, parent, write_card};
use crate::convert::Shape as RowShape;
use crate::draw::TRAIN;
use crate::error::{Error, Result};
use crate::format::{Cell, Column, Kind};
use crate::lm::Sampling;
use crate::record::{Origin, Role, Turn};
use crate::reject::Reject;
use crate::rng::hex_of;

/// The key of rows and provenance.
const ID: Column = Column::new("id", Kind::Text);

/// The name of the shape whose rows are conversations.
const MESSAGES: &str = "messages";

/// Where a row of a mix came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MixedFrom {
    /// The source's name.
    pub name: String,
    /// The file and the row.
    pub origin: Origin,
    /// The shape that it was read as.
    pub shape: String,
    /// Which of the rows that it became this is, from 0.
    pub sample: u64,
    /// Which taking of it, from 0.
    pub copy: u32,
    /// The id that it has in its source.
    pub id: Option<String>,
}

impl MixedFrom {
    /// Its id in the mix: the source's name and 16 hexadecimal digits.
    pub fn mixed_id(&self) -> String {
        let row = self.origin.row.map_or(String::new(), |row| row.to_string());
        let parts = [&*self.origin.source, &row, &self.sample.to_string(), &self.copy.to_string()];
        format!("{}-{}", self.name, hex_of(&parts, 16))
    }
}

/// Writes the rows of a mix, their provenance, and the rejects beside them.
pub struct MixWriter {
    layout: Layout,
    shape: &'static str,
    columns: Vec<Column>,
    rows: Rows,
    origins: Origins,
    rejects: Table,
    written: u64,
}

enum Rows {
    Shards(SplitShards),
    Table(Box<Table>),
    Text(TextFile),
    Csv(TextFile),
    Memory(SplitTables),
}

enum Origins {
    Shards(SplitShards),
    Table(Box<Table>),
}

impl MixWriter {
    /// A writer for rows of this shape. What an unfinished run left in [`Layout::partial`] is removed.
    ///
    /// # Errors
    /// When the layout can't hold rows of the shape, `shard_rows` is 0, or the folder can't be written to.
    pub fn create(layout: &Layout, shape: &'static RowShape, shard_rows: usize) -> Result<Self> {
        Self::check(layout, shape)?;
        if shard_rows == 0 {
            return Err(Error::usage("can't write shards of 0 rows")
                .with_hint("leave the number of rows out, or name one above 0"));
        }
        let partial = layout.partial();
        publish::clear(&partial)?;
        publish::make_folder(&partial)?;
        let columns = columns_of(shape);
        let file = partial.join(layout.output().file_name().unwrap_or_default());
        let shards = |folder: &str, columns: &[Column]| {
            SplitShards::create(&partial.join(folder), &[TRAIN], columns, shard_rows)
        };
        let mut keyed = vec![ID];
        keyed.extend(&columns);
        let rows = match layout.shape() {
            Shape::Folder => Rows::Shards(shards("data", &keyed)?),
            Shape::Parquet => Rows::Table(Box::new(Table::create(file, &columns)?)),
            Shape::Csv => Rows::Csv(TextFile::csv(file, &columns)?),
            Shape::Jsonl(packing) => Rows::Text(TextFile::jsonl(file, packing)?),
            Shape::Json => Rows::Text(TextFile::json(file)?),
            Shape::Memory => Rows::Memory(SplitTables::new(&[TRAIN], &keyed)),
        };
        let origins = match layout.is_folder() {
            true => Origins::Shards(shards("provenance", MIXED)?),
            false => Origins::Table(Box::new(Table::create(partial.join("provenance.parquet"), MIXED)?)),
        };
        let rejects = Table::create(partial.join("rejects.parquet"), REJECTS)?;
        Ok(Self { layout: layout.clone(), shape: shape.name, columns, rows, origins, rejects, written: 0 })
    }

    /// Refuses an output that rows of a shape don't fit.
    ///
    /// # Errors
    /// For a folder or a table and a shape whose rows nest, and for CSV and conversations.
    pub fn check(layout: &Layout, shape: &RowShape) -> Result<()> {
        let shown = layout.output().display();
        let is_flat = !shape.columns().is_empty();
        let fits = match layout.shape() {
            Shape::Jsonl(_) | Shape::Json => true,
            Shape::Csv => is_flat,
            Shape::Folder | Shape::Parquet | Shape::Memory => is_flat || shape.name == MESSAGES,
        };
        if fits {
            return Ok(());
        }
        if layout.is_in_memory() {
            let what = format!("rows of `{}` nest, and a mix in memory has columns", shape.name);
            return Err(Error::usage(what).with_hint(
                "name an output that ends in .jsonl; or `--to messages`, for which there are columns",
            ));
        }
        Err(Error::usage(format!("rows of `{}` nest and don't fit the columns of `{shown}`", shape.name))
            .with_hint("end the output's name in .jsonl, .jsonl.gz, .jsonl.zst or .json; or `--to messages`, for which there are columns"))
    }

    /// Whether rows are put into columns, which hold texts and plain conversations alone.
    pub fn has_columns(layout: &Layout) -> bool {
        matches!(layout.shape(), Shape::Folder | Shape::Parquet | Shape::Csv | Shape::Memory)
    }

    /// Adds a row, with where it came from.
    ///
    /// # Errors
    /// When it can't be written. The writer is of no use afterwards.
    ///
    /// # Panics
    /// When it is put into columns and [`fits_columns`] refuses it.
    pub fn push(&mut self, json: &[u8], from: &MixedFrom) -> Result<()> {
        self.written += 1;
        let id = from.mixed_id();
        if let Rows::Text(file) = &mut self.rows {
            file.push_json(json)?;
        } else {
            let row: Map<String, Value> = serde_json::from_slice(json).expect("it was written as JSON");
            let turns = turns(&row).unwrap_or_default();
            let cell = |column: &Column| match column.kind {
                Kind::Turns => Cell::Turns(&turns),
                _ => Cell::from(row.get(column.name).and_then(Value::as_str).unwrap_or_default()),
            };
            let cells = self.columns.iter().map(cell);
            match &mut self.rows {
                Rows::Shards(shards) => {
                    let cells: Vec<Cell<'_>> =
                        std::iter::once(Cell::from(id.as_str())).chain(cells).collect();
                    shards.next(0)?.push(&cells)?;
                }
                Rows::Memory(tables) => {
                    let cells: Vec<Cell<'_>> =
                        std::iter::once(Cell::from(id.as_str())).chain(cells).collect();
                    tables.push(0, &cells);
                }
                Rows::Table(table) => table.push(&cells.collect::<Vec<_>>())?,
                Rows::Csv(file) => {
                    let texts = self
                        .columns
                        .iter()
                        .map(|column| row.get(column.name).and_then(Value::as_str).unwrap_or_default());
                    file.push_cells(texts)?;
                }
                Rows::Text(_) => unreachable!("texts were written above"),
            }
        }
        let cells = records::mixed(&id, from);
        match &mut self.origins {
            Origins::Shards(shards) => shards.next(0)?.push(&cells),
            Origins::Table(table) => table.push(&cells),
        }
    }

    /// Adds something that was not used.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn reject(&mut self, reject: &Reject) -> Result<()> {
        self.rejects.push(&records::reject(reject))
    }

    /// Ends the files and puts them in their places, the card last.
    ///
    /// # Errors
    /// When something can't be written or moved. The run can be done again then.
    pub fn finish(self, card: &Card) -> Result<Finished> {
        let Self { layout, shape, columns, rows, origins, rejects, written } = self;
        let rejects = rejects.finish()?;
        let mut finished = Finished { rows: written, rejects: rejects.rows, files: Vec::new() };
        let mut plan = Plan::default();
        let one: Option<Written> = match (rows, origins) {
            (Rows::Shards(data), Origins::Shards(origins)) => {
                let (data, origins) = (data.finish()?, origins.finish()?);
                let sizes = |splits: &super::SplitFiles| -> Vec<(String, Size)> {
                    splits.iter().map(|(name, shards)| (name.clone(), shards.size)).collect()
                };
                let mut keyed = vec![ID];
                keyed.extend(&columns);
                let sampling = Sampling::default();
                let facts = Facts {
                    format: shape,
                    columns: keyed,
                    sampling: &sampling,
                    data: sizes(&data),
                    provenance: sizes(&origins),
                    provenance_columns: MIXED,
                };
                let card = write_card(layout.partial().join("README.md"), &card.text(&facts))?;
                let readme = layout.output().join("README.md");
                plan.add(Step::Remove(readme.clone()));
                finished.files = place(data, &layout.output().join("data"), &mut plan)?;
                place(origins, &layout.output().join("provenance"), &mut plan)?;
                plan.add(Step::Move { from: rejects.file.path, to: layout.rejects() });
                plan.add(Step::Move { from: card.path, to: readme });
                None
            }
            (Rows::Memory(tables), Origins::Shards(origins)) => {
                place(origins.finish()?, &layout.output().join("provenance"), &mut plan)?;
                plan.add(Step::Move { from: rejects.file.path, to: layout.rejects() });
                tables.hand_over(layout.output());
                None
            }
            (rows, Origins::Table(origins)) => {
                let to = layout.run().join("provenance.parquet");
                plan.add(Step::Move { from: origins.finish()?.file.path, to });
                plan.add(Step::Move { from: rejects.file.path, to: layout.rejects() });
                Some(match rows {
                    Rows::Table(table) => table.finish()?.file,
                    Rows::Text(file) | Rows::Csv(file) => file.finish()?,
                    Rows::Shards(_) | Rows::Memory(_) => unreachable!("a folder has shards of both"),
                })
            }
            (_, Origins::Shards(_)) => unreachable!("a file has one table of provenance"),
        };
        if let Some(file) = one {
            finished.files = vec![FinishedFile::of(&file, layout.output().to_owned())];
            plan.add(Step::Move { from: file.path, to: layout.output().to_owned() });
        }
        plan.add(Step::Sync(layout.run()));
        plan.add(Step::Sync(
            if layout.is_folder() { layout.output() } else { parent(layout.output()) }.to_owned(),
        ));
        plan.add(Step::Clear(layout.partial()));
        plan.run()?;
        Ok(finished)
    }
}

/// The columns of a shape's rows.
fn columns_of(shape: &RowShape) -> Vec<Column> {
    match shape.name {
        MESSAGES => vec![Column::new(MESSAGES, Kind::Turns)],
        _ => shape.columns().iter().map(|name| Column::new(name, Kind::Text)).collect(),
    }
}

/// Whether a row of a shape can be put into its columns; else what of it can't.
///
/// # Errors
/// For conversations with anything beside roles and texts, and for cells that are no texts.
pub fn fits_columns(shape: &RowShape, row: &Map<String, Value>) -> Result<(), String> {
    if shape.name == MESSAGES {
        if row.keys().any(|key| key != MESSAGES) {
            return Err("the columns of a mix hold `messages` alone, and the row has tools".to_owned());
        }
        return turns(row)
            .map(drop)
            .ok_or_else(|| "a message has something beside its role and a text".to_owned());
    }
    match shape.columns().iter().find(|name| row.get(**name).is_some_and(|value| !value.is_string())) {
        Some(name) => Err(format!("`{name}` is no text")),
        None => Ok(()),
    }
}

/// The turns of a row of messages, where these are plain.
fn turns(row: &Map<String, Value>) -> Option<Vec<Turn>> {
    let turn = |message: &Value| {
        let message = message.as_object().filter(|message| message.len() == 2)?;
        let role = match message.get("role")?.as_str()? {
            "system" => Role::System,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            _ => return None,
        };
        Some(Turn { role, content: message.get("content")?.as_str()?.to_owned() })
    };
    row.get(MESSAGES)?.as_array()?.iter().map(turn).collect()
}
