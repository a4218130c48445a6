//! Rows that come in batches made elsewhere, which is how programs write them as fast as they make them.

use arrow_array::RecordBatch;

use super::card::{Card, Facts, Size};
use super::memory::SplitTables;
use super::publish::{self, Plan, Step};
use super::records::PROVENANCE;
use super::shards::{SplitShards, place};
use super::table::Table;
use super::text::TextFile;
use super::{Finished, FinishedFile, Layout, Shape, check_splits, parent, write_card};
use crate::error::{Error, Result};
use crate::format::Column;
use crate::lm::Sampling;

/// Some rows, as the output wants them.
#[derive(Debug)]
pub enum Batch {
    /// For a dataset folder, for Parquet and for memory: arrays of the columns.
    Arrays(RecordBatch),
    /// For text files: rows of JSON, each ended by a line feed.
    Lines {
        /// The rows.
        text: Vec<u8>,
        /// How many they are.
        rows: u64,
    },
}

/// Writes batches to a dataset folder or a file.
pub struct BatchWriter {
    layout: Layout,
    format: &'static str,
    columns: Vec<Column>,
    rows: Rows,
}

enum Rows {
    Shards(SplitShards),
    Table(Table),
    Text(TextFile, u64),
    Memory(SplitTables),
}

impl BatchWriter {
    /// A writer for this layout of rows of these columns; `format` is their format's name. What an unfinished run left
    /// in [`Layout::partial`] is removed.
    ///
    /// # Errors
    /// For CSV and for one JSON array, when one file is to hold several splits, when `shard_rows` is 0, or when the
    /// folder can't be written to.
    pub fn create(
        layout: &Layout,
        format: &'static str,
        columns: &[Column],
        shard_rows: usize,
        splits: &[&str],
    ) -> Result<Self> {
        check_splits(layout, splits)?;
        if shard_rows == 0 {
            return Err(Error::usage("can't write shards of 0 rows")
                .with_hint("leave the number of rows out, or name one above 0"));
        }
        Self::check(layout)?;
        let partial = layout.partial();
        publish::clear(&partial)?;
        publish::make_folder(&partial)?;
        let file = partial.join(layout.output().file_name().unwrap_or_default());
        let rows = match layout.shape() {
            Shape::Folder => {
                Rows::Shards(SplitShards::create(&partial.join("data"), splits, columns, shard_rows)?)
            }
            Shape::Parquet => Rows::Table(Table::create(file, columns)?),
            Shape::Jsonl(packing) => Rows::Text(TextFile::jsonl(file, packing)?, 0),
            Shape::Memory => Rows::Memory(SplitTables::new(splits, columns)),
            Shape::Json | Shape::Csv => unreachable!("they are refused above"),
        };
        Ok(Self { layout: layout.clone(), format, columns: columns.to_vec(), rows })
    }

    /// Refuses an output that batches don't fit.
    ///
    /// # Errors
    /// For CSV and for one JSON array.
    pub fn check(layout: &Layout) -> Result<()> {
        match layout.shape() {
            Shape::Json | Shape::Csv => Err(Error::usage(format!(
                "`{}` can't take rows in batches",
                layout.output().display()
            ))
            .with_hint(
                "end the output's name in .jsonl, .jsonl.gz, .jsonl.zst or .parquet, or name a folder",
            )),
            _ => Ok(()),
        }
    }

    /// Whether batches are arrays.
    pub fn takes_arrays(layout: &Layout) -> bool {
        matches!(layout.shape(), Shape::Folder | Shape::Parquet | Shape::Memory)
    }

    /// Adds rows to the split with this index among those of [`create`](Self::create).
    ///
    /// # Errors
    /// When they can't be written. The writer is of no use afterwards.
    ///
    /// # Panics
    /// When there is no such split, or the batch is of another kind than the output.
    pub fn push(&mut self, batch: &Batch, split: usize) -> Result<()> {
        match (&mut self.rows, batch) {
            (Rows::Shards(shards), Batch::Arrays(batch)) => shards.next(split)?.push_batch(batch),
            (Rows::Table(table), Batch::Arrays(batch)) => table.push_batch(batch),
            (Rows::Memory(tables), Batch::Arrays(batch)) => {
                tables.push_batch(split, batch.clone());
                Ok(())
            }
            (Rows::Text(file, written), Batch::Lines { text, rows }) => {
                *written += rows;
                file.push_lines(text)
            }
            _ => unreachable!("batches are made for the layout that they are written to"),
        }
    }

    /// Ends every file and puts all of them in their places, the card last.
    ///
    /// # Errors
    /// When something can't be written or moved. The run can be done again then.
    pub fn finish(self, card: &Card) -> Result<Finished> {
        let Self { layout, format, columns, rows } = self;
        let mut plan = Plan::default();
        let mut finished = Finished { rows: 0, rejects: 0, files: Vec::new() };
        let one = match rows {
            Rows::Shards(shards) => {
                let data = shards.finish()?;
                let sizes: Vec<(String, Size)> =
                    data.iter().map(|(name, shards)| (name.clone(), shards.size)).collect();
                finished.rows = sizes.iter().map(|(_, size)| size.rows).sum();
                let sampling = Sampling::default();
                let facts = Facts {
                    format,
                    columns,
                    sampling: &sampling,
                    data: sizes,
                    provenance: Vec::new(),
                    provenance_columns: PROVENANCE,
                };
                let card = write_card(layout.partial().join("README.md"), &card.text(&facts))?;
                let readme = layout.output().join("README.md");
                plan.add(Step::Remove(readme.clone()));
                finished.files = place(data, &layout.output().join("data"), &mut plan)?;
                plan.add(Step::Move { from: card.path, to: readme });
                None
            }
            Rows::Table(table) => {
                let table = table.finish()?;
                finished.rows = table.rows;
                Some(table.file)
            }
            Rows::Text(file, written) => {
                finished.rows = written;
                Some(file.finish()?)
            }
            Rows::Memory(tables) => {
                finished.rows = tables.hand_over(layout.output());
                None
            }
        };
        if let Some(file) = one {
            finished.files = vec![FinishedFile::of(&file, layout.output().to_owned())];
            plan.add(Step::Move { from: file.path, to: layout.output().to_owned() });
        }
        plan.add(Step::Sync(layout.run()));
        let folder = if layout.is_folder() { layout.output() } else { parent(layout.output()) };
        plan.add(Step::Sync(folder.to_owned()));
        plan.add(Step::Clear(layout.partial()));
        plan.run()?;
        Ok(finished)
    }
}
