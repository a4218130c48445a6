//! Rows to files: shards, provenance, rejects and the card, none of them ever half there.
//!
//! A [`Writer`] takes examples and rejects in the order in which the road gives them, and writes below
//! [`Layout::partial`]. [`Writer::finish`] puts all files in their places at once (`publish.rs` says
//! how). The same examples, rejects and card give the same bytes.

mod batches;
mod card;
mod features;
mod file;
mod layout;
mod memory;
mod mixed;
mod objects;
mod publish;
mod records;
mod shards;
mod table;
mod text;

pub use batches::{Batch, BatchWriter};
pub use card::{Card, CardSet, CardSource, CardTemplate, Made};
pub(crate) use file::failed;
pub(crate) use layout::split_of;
pub use layout::{Layout, Packing, Shape};
pub use memory::{Came, Kept};
pub use mixed::{MixWriter, MixedFrom, fits_columns};
pub use objects::{ObjectWriter, Row as ObjectRow};

use std::io::Write as _;
use std::path::{Path, PathBuf};

use card::Facts;
use file::{OutFile, Written};
use memory::SplitTables;
use publish::{Plan, Step};
use records::{PROVENANCE, REJECTS};
use shards::{SplitFiles, SplitShards, place};
use table::{Table, TableFile};
use text::TextFile;

use crate::draw;
use crate::error::{Error, Result};
use crate::format::{Cell, Format, Row};
use crate::lm::Sampling;
use crate::record::Example;
use crate::reject::Reject;

/// How many examples a shard holds unless something else is said.
pub const SHARD_ROWS: usize = 500_000;

/// Writes the files of a run.
///
/// # Example
/// ```
/// use instil::{draw::TRAIN, format::Format, lm::Sampling, sink::{Card, Layout, SHARD_ROWS, Writer}};
/// # let folder = tempfile::tempdir().unwrap();
/// # let output = folder.path().join("out.jsonl");
/// let layout = Layout::of(&output)?;
/// let writer = Writer::create(&layout, Format::Messages, Sampling::default(), SHARD_ROWS, &[TRAIN])?;
/// let finished = writer.finish(&Card::default())?;
/// assert_eq!(finished.rows, 0);
/// # Ok::<(), instil::Error>(())
/// ```
pub struct Writer {
    layout: Layout,
    format: Format,
    sampling: Sampling,
    rows: Rows,
    provenance: SplitShards,
    rejects: Table,
}

/// What a finished run has written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Examples.
    pub rows: u64,
    /// Rejects.
    pub rejects: u64,
    /// The files of rows, split by split, in order.
    pub files: Vec<FinishedFile>,
}

impl Finished {
    /// Bytes of all files of rows.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// A file of rows in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinishedFile {
    /// Where it lies.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
}

/// Where the rows go.
enum Rows {
    /// To the shards of a dataset folder, each row after its id.
    Shards(SplitShards),
    /// To one Parquet file.
    Table(Table),
    /// To one text file.
    Text(TextFile),
    /// To whoever keeps them, each row after its id.
    Memory(SplitTables),
}

impl Writer {
    /// A writer for this layout, with the names of its splits: at least one, for a file exactly one. What
    /// an unfinished run left in [`Layout::partial`] is removed.
    ///
    /// # Errors
    /// When the format doesn't fit the file, when one file is to hold several splits, when a split's name
    /// isn't one or comes twice, when `shard_rows` is 0, or when the folder can't be written to.
    pub fn create(
        layout: &Layout,
        format: Format,
        sampling: Sampling,
        shard_rows: usize,
        splits: &[&str],
    ) -> Result<Self> {
        check_splits(layout, splits)?;
        if layout.shape() == Shape::Csv && !format.is_flat() {
            return Err(text::no_csv(layout.output(), format));
        }
        if shard_rows == 0 {
            return Err(Error::usage("can't write shards of 0 rows")
                .with_hint("leave the number of rows out, or name one above 0"));
        }
        let partial = layout.partial();
        publish::clear(&partial)?;
        publish::make_folder(&partial)?;
        let file = partial.join(layout.output().file_name().unwrap_or_default());
        let rows = match layout.shape() {
            Shape::Folder => {
                let columns = records::keyed(format);
                Rows::Shards(SplitShards::create(&partial.join("data"), splits, &columns, shard_rows)?)
            }
            Shape::Parquet => Rows::Table(Table::create(file, format.columns())?),
            Shape::Jsonl(packing) => Rows::Text(TextFile::jsonl(file, packing)?),
            Shape::Json => Rows::Text(TextFile::json(file)?),
            Shape::Csv => Rows::Text(TextFile::csv(file, format.columns())?),
            Shape::Memory => Rows::Memory(SplitTables::new(splits, &records::keyed(format))),
        };
        let shard_rows = if layout.is_folder() { shard_rows } else { usize::MAX };
        let provenance = SplitShards::create(&partial.join("provenance"), splits, PROVENANCE, shard_rows)?;
        let rejects = Table::create(partial.join("rejects.parquet"), REJECTS)?;
        Ok(Self { layout: layout.clone(), format, sampling, rows, provenance, rejects })
    }

    /// Adds an example to the split with this index among those of [`create`](Self::create).
    ///
    /// # Errors
    /// When it can't be written, for instance to a full disk. The writer is of no use afterwards.
    ///
    /// # Panics
    /// When there is no such split.
    pub fn example(&mut self, example: &Example, split: usize) -> Result<()> {
        let row = self.format.row(example);
        match &mut self.rows {
            Rows::Shards(shards) => shards.next(split)?.push(&keyed(row, example))?,
            Rows::Memory(tables) => tables.push(split, &keyed(row, example)),
            Rows::Table(table) => table.push(row.cells())?,
            Rows::Text(file) => file.push(&row)?,
        }
        self.provenance.next(split)?.push(&records::provenance(example, &self.sampling))
    }

    /// Adds something that was not used.
    ///
    /// # Errors
    /// As [`example`](Self::example).
    pub fn reject(&mut self, reject: &Reject) -> Result<()> {
        self.rejects.push(&records::reject(reject))
    }

    /// Ends every file and puts all of them in their places, the card last.
    ///
    /// # Errors
    /// When something can't be written or moved. The run can be done again then.
    pub fn finish(self, card: &Card) -> Result<Finished> {
        let (plan, finished) = self.close(card)?;
        plan.run()?;
        Ok(finished)
    }

    /// Ends every file, and says what is left to do.
    fn close(self, card: &Card) -> Result<(Plan, Finished)> {
        let Self { layout, format, sampling, rows, provenance, rejects } = self;
        let rejects = rejects.finish()?;
        let provenance = provenance.finish()?;
        let rows_written = provenance.iter().map(|(_, shards)| shards.size.rows).sum();
        let mut finished = Finished { rows: rows_written, rejects: rejects.rows, files: Vec::new() };
        let mut plan = Plan::default();
        match rows {
            Rows::Shards(data) => {
                let data = data.finish()?;
                let sizes = |splits: &SplitFiles| {
                    splits.iter().map(|(name, shards)| (name.clone(), shards.size)).collect()
                };
                let facts = Facts {
                    format: format.name(),
                    columns: records::keyed(format),
                    sampling: &sampling,
                    data: sizes(&data),
                    provenance: sizes(&provenance),
                    provenance_columns: PROVENANCE,
                };
                let card = write_card(layout.partial().join("README.md"), &card.text(&facts))?;
                let readme = layout.output().join("README.md");
                plan.add(Step::Remove(readme.clone()));
                finished.files = place(data, &layout.output().join("data"), &mut plan)?;
                place(provenance, &layout.output().join("provenance"), &mut plan)?;
                plan.add(Step::Move { from: rejects.file.path, to: layout.rejects() });
                plan.add(Step::Move { from: card.path, to: readme });
            }
            Rows::Table(table) => {
                place_one(&layout, table.finish()?.file, provenance, rejects, &mut plan, &mut finished)
            }
            Rows::Text(file) => {
                place_one(&layout, file.finish()?, provenance, rejects, &mut plan, &mut finished)
            }
            Rows::Memory(tables) => {
                place(provenance, &layout.output().join("provenance"), &mut plan)?;
                plan.add(Step::Move { from: rejects.file.path, to: layout.rejects() });
                tables.hand_over(layout.output());
            }
        }
        plan.add(Step::Sync(layout.run()));
        plan.add(Step::Sync(
            if layout.is_folder() { layout.output() } else { parent(layout.output()) }.to_owned(),
        ));
        plan.add(Step::Clear(layout.partial()));
        Ok((plan, finished))
    }
}

/// The cells of a row with its id before them.
fn keyed<'a>(row: Row<'a>, example: &'a Example) -> Vec<Cell<'a>> {
    let mut cells = row.into_cells();
    cells.insert(0, example.id.as_str().into());
    cells
}

/// The steps for one file: what belongs to it first, the file itself last.
fn place_one(
    layout: &Layout,
    rows: Written,
    provenance: SplitFiles,
    rejects: TableFile,
    plan: &mut Plan,
    finished: &mut Finished,
) {
    let files: Vec<Written> = provenance.into_iter().flat_map(|(_, shards)| shards.files).collect();
    let [provenance] = files.try_into().expect("the provenance of one file is never cut");
    finished.files = vec![FinishedFile::of(&rows, layout.output().to_owned())];
    plan.add(Step::Move { from: provenance.path, to: layout.run().join("provenance.parquet") });
    plan.add(Step::Move { from: rejects.file.path, to: layout.rejects() });
    plan.add(Step::Move { from: rows.path, to: layout.output().to_owned() });
}

impl FinishedFile {
    fn of(file: &Written, path: PathBuf) -> Self {
        Self { path, bytes: file.bytes }
    }
}

/// Refuses splits that can't be written.
fn check_splits(layout: &Layout, splits: &[&str]) -> Result<()> {
    for (index, split) in splits.iter().enumerate() {
        draw::check_name(split)?;
        if splits[..index].contains(split) {
            return Err(
                Error::usage(format!("the split `{split}` is named twice")).with_hint("name each split once")
            );
        }
    }
    match splits {
        [] => Err(Error::usage("can't write a dataset without a split").with_hint("name one, as `train`")),
        [_, _, ..] if !layout.is_folder() => Err(Error::usage(format!(
            "one file, `{}`, can't hold the splits `{}`",
            layout.output().display(),
            splits.join("`, `")
        ))
        .with_hint("write a folder, which has files for each: name the output without an ending")),
        _ => Ok(()),
    }
}

/// Writes a small file beside the data, so that it is there whole or not at all.
///
/// # Errors
/// When it can't be written.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    let partial = PathBuf::from(name);
    let mut file = OutFile::create(partial.clone())?;
    file.write_all(bytes).map_err(|error| failed("write", &partial, error))?;
    file.finish()?;
    Step::Move { from: partial, to: path.to_owned() }.run()
}

fn write_card(path: PathBuf, text: &str) -> Result<Written> {
    let mut file = OutFile::create(path.clone())?;
    file.write_all(text.as_bytes()).map_err(|error| failed("write", &path, error))?;
    file.finish()
}

/// The folder that a file lies in.
fn parent(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests;
