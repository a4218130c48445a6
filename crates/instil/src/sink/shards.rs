//! A table in files of so many rows each, split by split.

use std::path::{Path, PathBuf};

use super::FinishedFile;
use super::card::Size;
use super::file::Written;
use super::layout::{shard_name, shards_in};
use super::publish::{Plan, Step, make_folder};
use super::table::{Table, TableFile};
use crate::error::Result;
use crate::format::Column;

/// The shards of one split of a table. How many there will be isn't known before the end, so they are
/// numbered in the folder of unfinished files and get their names when they are put in place.
pub(super) struct Shards {
    folder: PathBuf,
    columns: Vec<Column>,
    shard_rows: usize,
    open: Option<Table>,
    done: Vec<Written>,
    size: Size,
}

/// The finished shards of one split, still in the folder of unfinished files.
pub(super) struct ShardFiles {
    pub(super) files: Vec<Written>,
    pub(super) size: Size,
}

impl Shards {
    pub(super) fn create(folder: PathBuf, columns: Vec<Column>, shard_rows: usize) -> Result<Self> {
        make_folder(&folder)?;
        Ok(Self { folder, columns, shard_rows, open: None, done: Vec::new(), size: Size::default() })
    }

    /// The shard that takes the next row.
    pub(super) fn next(&mut self) -> Result<&mut Table> {
        if let Some(full) = self.open.take_if(|table| table.rows() >= self.shard_rows as u64) {
            self.add(full.finish()?);
        }
        match &mut self.open {
            Some(table) => Ok(table),
            none => Ok(none.insert(Self::table(&self.folder, self.done.len(), &self.columns)?)),
        }
    }

    fn table(folder: &Path, index: usize, columns: &[Column]) -> Result<Table> {
        Table::create(folder.join(format!("{index:05}.parquet")), columns)
    }

    fn add(&mut self, shard: TableFile) {
        self.size += Size { rows: shard.rows, arrow_bytes: shard.arrow_bytes, file_bytes: shard.file.bytes };
        self.done.push(shard.file);
    }

    /// Ends the last shard. There is always one, so that a dataset without rows has its columns.
    pub(super) fn finish(mut self) -> Result<ShardFiles> {
        if let Some(last) = self.open.take() {
            self.add(last.finish()?);
        }
        if self.done.is_empty() {
            let empty = Self::table(&self.folder, 0, &self.columns)?;
            self.add(empty.finish()?);
        }
        Ok(ShardFiles { files: self.done, size: self.size })
    }
}

/// A table that is parted into splits, each in shards of its own.
pub(super) struct SplitShards {
    splits: Vec<(String, Shards)>,
}

/// The finished shards of all splits with their names, in the order in which the splits were asked for.
pub(super) type SplitFiles = Vec<(String, ShardFiles)>;

impl SplitShards {
    /// A table of these splits below `folder`; those after the first have folders in it.
    pub(super) fn create(
        folder: &Path,
        names: &[&str],
        columns: &[Column],
        shard_rows: usize,
    ) -> Result<Self> {
        let create = |(index, name): (usize, &&str)| {
            let folder = if index == 0 { folder.to_owned() } else { folder.join(name) };
            Ok(((*name).to_owned(), Shards::create(folder, columns.to_vec(), shard_rows)?))
        };
        let splits = names.iter().enumerate().map(create).collect::<Result<_>>()?;
        Ok(Self { splits })
    }

    /// The shard that takes the next row of this split.
    pub(super) fn next(&mut self, split: usize) -> Result<&mut Table> {
        self.splits[split].1.next()
    }

    /// Ends the last shard of every split.
    pub(super) fn finish(self) -> Result<SplitFiles> {
        self.splits.into_iter().map(|(name, shards)| Ok((name, shards.finish()?))).collect()
    }
}

/// Adds the steps that put the shards of all splits into `folder`, and that take shards of an earlier
/// run out of it.
pub(super) fn place(splits: SplitFiles, folder: &Path, plan: &mut Plan) -> Result<Vec<FinishedFile>> {
    let placed = splits.into_iter().flat_map(|(split, shards)| {
        let count = shards.files.len();
        let name = move |index| folder.join(shard_name(&split, index, count));
        shards.files.into_iter().enumerate().map(move |(index, file)| (file, name(index)))
    });
    let placed: Vec<(Written, PathBuf)> = placed.collect();
    let stale = shards_in(folder)?.into_iter().filter(|old| placed.iter().all(|(_, place)| place != old));
    stale.for_each(|old| plan.add(Step::Remove(old)));
    plan.add(Step::Folder(folder.to_owned()));
    let finished = placed.iter().map(|(file, place)| FinishedFile::of(file, place.clone())).collect();
    for (file, to) in placed {
        plan.add(Step::Move { from: file.path, to });
    }
    plan.add(Step::Sync(folder.to_owned()));
    Ok(finished)
}
