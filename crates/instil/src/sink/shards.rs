//! A table in files of so many rows each.

use std::path::{Path, PathBuf};

use super::FinishedFile;
use super::card::Size;
use super::file::Written;
use super::layout::{shard_name, shards_in};
use super::publish::{Plan, Step, make_folder};
use super::table::{Table, TableFile};
use crate::error::Result;
use crate::format::Column;

/// The shards of one table. How many there will be isn't known before the end, so they are
/// numbered in the folder of unfinished files and get their names when they are put in place.
pub(super) struct Shards {
    folder: PathBuf,
    columns: Vec<Column>,
    shard_rows: usize,
    open: Option<Table>,
    done: Vec<Written>,
    size: Size,
}

/// The finished shards of one table, still in the folder of unfinished files.
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
        self.size.rows += shard.rows;
        self.size.arrow_bytes += shard.arrow_bytes;
        self.size.file_bytes += shard.file.bytes;
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

impl ShardFiles {
    /// Adds the steps that put the shards into `folder`, and that take shards of an earlier run out of it.
    pub(super) fn place(self, folder: &Path, plan: &mut Plan) -> Result<Vec<FinishedFile>> {
        let count = self.files.len();
        let places: Vec<_> = (0..count).map(|index| folder.join(shard_name(index, count))).collect();
        let stale = shards_in(folder)?.into_iter().filter(|old| !places.contains(old));
        stale.for_each(|old| plan.add(Step::Remove(old)));
        plan.add(Step::Folder(folder.to_owned()));
        let finished = self
            .files
            .iter()
            .zip(&places)
            .map(|(file, place)| FinishedFile::of(file, place.clone()))
            .collect();
        for (file, to) in self.files.into_iter().zip(places) {
            plan.add(Step::Move { from: file.path, to });
        }
        plan.add(Step::Sync(folder.to_owned()));
        Ok(finished)
    }
}
