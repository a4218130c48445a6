//! A Parquet file of rows, written row group by row group so that memory stays flat.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{Array, RecordBatch};
use arrow_schema::Schema;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use super::features;
use super::file::{OutFile, Written, failed};
use crate::error::Result;
use crate::format::{Builder, Cell, Column, schema};

/// A row group ends after this many bytes of text …
const GROUP_TEXT_BYTES: usize = 16 << 20;
/// … or after this many rows, whatever comes first.
const GROUP_ROWS: usize = 50_000;
/// Rows go to the encoder in parts of this size: it packs them, the builder does not.
const PART_TEXT_BYTES: usize = 1 << 20;
const PART_ROWS: usize = 4096;

/// A Parquet file that is being written.
pub(super) struct Table {
    path: PathBuf,
    writer: ArrowWriter<OutFile>,
    builder: Builder,
    rows: u64,
    arrow_bytes: u64,
    group_rows: usize,
    group_text_bytes: usize,
}

/// What a finished table holds.
pub(super) struct TableFile {
    pub(super) file: Written,
    pub(super) rows: u64,
    /// The size of its rows as Arrow arrays: what dataset cards call `num_bytes`.
    pub(super) arrow_bytes: u64,
}

impl Table {
    /// A table of these columns. The schema, and with it the head of the file, is the same
    /// whichever rows follow.
    pub(super) fn create(path: PathBuf, columns: &[Column]) -> Result<Self> {
        // Level 3 takes twice the time and makes files a sixth smaller.
        let level = ZstdLevel::try_new(1).expect("Zstandard has a level 1");
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_created_by(concat!("instil version ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_key_value_metadata(Some(vec![KeyValue::new(
                "huggingface".to_owned(),
                features::json(columns),
            )]))
            // The writer is told when to end a row group.
            .set_max_row_group_row_count(None)
            .build();
        let file = OutFile::create(path.clone())?;
        // pyarrow, and with it `datasets`, looks for the features in the metadata of the Arrow schema.
        let features = HashMap::from([("huggingface".to_owned(), features::json(columns))]);
        let schema = Schema::clone(&schema(columns)).with_metadata(features);
        let writer = ArrowWriter::try_new(file, Arc::new(schema), Some(properties));
        let writer = writer.map_err(|error| write_failed(&path, error))?;
        let builder = Builder::new(columns);
        Ok(Self { path, writer, builder, rows: 0, arrow_bytes: 0, group_rows: 0, group_text_bytes: 0 })
    }

    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    pub(super) fn push(&mut self, cells: &[Cell<'_>]) -> Result<()> {
        self.builder.push(cells);
        self.rows += 1;
        if self.builder.rows() >= PART_ROWS || self.builder.text_bytes() >= PART_TEXT_BYTES {
            self.flush_part()?;
        }
        Ok(())
    }

    /// Adds rows that were put into arrays elsewhere; no row may have been pushed by itself.
    pub(super) fn push_batch(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        self.write(batch, batch.num_rows(), arrow_bytes(batch) as usize)
    }

    fn flush_part(&mut self) -> Result<()> {
        let (rows, text_bytes) = (self.builder.rows(), self.builder.text_bytes());
        let batch = self.builder.finish();
        self.write(&batch, rows, text_bytes)
    }

    fn write(&mut self, batch: &RecordBatch, rows: usize, text_bytes: usize) -> Result<()> {
        self.group_rows += rows;
        self.group_text_bytes += text_bytes;
        self.arrow_bytes += arrow_bytes(batch);
        self.writer.write(batch).map_err(|error| write_failed(&self.path, error))?;
        if self.group_rows >= GROUP_ROWS || self.group_text_bytes >= GROUP_TEXT_BYTES {
            self.writer.flush().map_err(|error| write_failed(&self.path, error))?;
            (self.group_rows, self.group_text_bytes) = (0, 0);
        }
        Ok(())
    }

    /// Writes what is left and the foot, and brings the file to the disk.
    pub(super) fn finish(mut self) -> Result<TableFile> {
        if self.builder.rows() > 0 {
            self.flush_part()?;
        }
        let file = self.writer.into_inner().map_err(|error| write_failed(&self.path, error))?;
        Ok(TableFile { file: file.finish()?, rows: self.rows, arrow_bytes: self.arrow_bytes })
    }
}

fn write_failed(path: &Path, error: ParquetError) -> crate::Error {
    match error {
        // The I/O error says all that there is to say.
        ParquetError::External(cause) => match cause.downcast::<std::io::Error>() {
            Ok(cause) => failed("write", path, *cause),
            Err(cause) => failed("write", path, ParquetError::External(cause)),
        },
        error => failed("write", path, error),
    }
}

fn arrow_bytes(batch: &RecordBatch) -> u64 {
    let sizes = batch.columns().iter().map(|column| {
        column.to_data().get_slice_memory_size().expect("arrays fresh from a builder have a known size")
            as u64
    });
    sizes.sum()
}
