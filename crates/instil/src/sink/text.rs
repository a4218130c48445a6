//! Rows as text: lines of JSON, one JSON array, CSV.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use flate2::write::GzEncoder;

use super::file::{OutFile, Written, failed};
use super::layout::Packing;
use crate::error::{Error, Result};
use crate::format::{Cell, Column, Row};

/// A text file of rows that is being written.
pub(super) struct TextFile {
    path: PathBuf,
    rows: u64,
    packed: Packed,
    notation: Notation,
    /// The row that is being put together, so that packing gets it in one piece.
    row: Vec<u8>,
}

enum Notation {
    Jsonl,
    Json,
    Csv,
}

/// The file behind its packing. None of them writes a time or a name into the file's head.
enum Packed {
    Plain(OutFile),
    Gzip(GzEncoder<OutFile>),
    Zstd(zstd::Encoder<'static, OutFile>),
}

impl TextFile {
    pub(super) fn jsonl(path: PathBuf, packing: Packing) -> Result<Self> {
        Self::create(path, packing, Notation::Jsonl)
    }

    pub(super) fn json(path: PathBuf) -> Result<Self> {
        Self::create(path, Packing::Plain, Notation::Json)
    }

    /// A table with a head, also when no row follows.
    pub(super) fn csv(path: PathBuf, columns: &[Column]) -> Result<Self> {
        let mut file = Self::create(path, Packing::Plain, Notation::Csv)?;
        let head = columns.iter().map(|column| column.name);
        write_csv(&mut file.packed, head).map_err(|error| failed("write", &file.path, error))?;
        Ok(file)
    }

    fn create(path: PathBuf, packing: Packing, notation: Notation) -> Result<Self> {
        let file = OutFile::create(path.clone())?;
        let packed = match packing {
            Packing::Plain => Packed::Plain(file),
            Packing::Gzip => Packed::Gzip(GzEncoder::new(file, flate2::Compression::new(6))),
            Packing::Zstd => {
                let encoder = zstd::Encoder::new(file, 3).and_then(|mut encoder| {
                    encoder.include_checksum(true)?;
                    Ok(encoder)
                });
                Packed::Zstd(encoder.map_err(|error| failed("write", &path, error))?)
            }
        };
        Ok(Self { path, rows: 0, packed, notation, row: Vec::new() })
    }

    pub(super) fn push(&mut self, row: &Row<'_>) -> Result<()> {
        self.write(row).map_err(|error| failed("write", &self.path, error))?;
        self.rows += 1;
        Ok(())
    }

    /// Adds a row that is JSON already.
    pub(super) fn push_json(&mut self, json: &[u8]) -> Result<()> {
        self.write_json(json).map_err(|error| failed("write", &self.path, error))?;
        self.rows += 1;
        Ok(())
    }

    /// Adds rows of a `.jsonl`, each ended by a line feed.
    pub(super) fn push_lines(&mut self, lines: &[u8]) -> Result<()> {
        self.packed.write_all(lines).map_err(|error| failed("write", &self.path, error))
    }

    fn write_json(&mut self, json: &[u8]) -> io::Result<()> {
        match self.notation {
            Notation::Jsonl => {
                self.packed.write_all(json)?;
                self.packed.write_all(b"\n")
            }
            Notation::Json => {
                self.packed.write_all(if self.rows == 0 { b"[\n" } else { b",\n" })?;
                self.packed.write_all(json)
            }
            Notation::Csv => unreachable!("CSV is written by its cells"),
        }
    }

    /// Adds a row of a table.
    pub(super) fn push_cells<'a>(&mut self, cells: impl Iterator<Item = &'a str> + Clone) -> Result<()> {
        write_csv(&mut self.packed, cells).map_err(|error| failed("write", &self.path, error))?;
        self.rows += 1;
        Ok(())
    }

    fn write(&mut self, row: &Row<'_>) -> io::Result<()> {
        let out = &mut self.row;
        out.clear();
        match self.notation {
            Notation::Jsonl => {
                serde_json::to_writer(&mut *out, row)?;
                out.push(b'\n');
            }
            Notation::Json => {
                out.extend(if self.rows == 0 { b"[\n" } else { b",\n" });
                serde_json::to_writer(&mut *out, row)?;
            }
            Notation::Csv => write_csv(
                out,
                row.cells().iter().map(|cell| match cell {
                    Cell::Text(text) => text.as_ref(),
                    _ => unreachable!("CSV is refused for formats that aren't flat"),
                }),
            )?,
        }
        self.packed.write_all(&self.row)
    }

    /// Writes the end and brings the file to the disk.
    pub(super) fn finish(mut self) -> Result<Written> {
        self.close().map_err(|error| failed("write", &self.path, error))?;
        let path: &Path = &self.path;
        let file = match self.packed {
            Packed::Plain(file) => Ok(file),
            Packed::Gzip(encoder) => encoder.finish(),
            Packed::Zstd(encoder) => encoder.finish(),
        };
        file.map_err(|error| failed("write", path, error))?.finish()
    }

    fn close(&mut self) -> io::Result<()> {
        match self.notation {
            Notation::Json if self.rows == 0 => self.packed.write_all(b"[]\n"),
            Notation::Json => self.packed.write_all(b"\n]\n"),
            Notation::Jsonl | Notation::Csv => Ok(()),
        }
    }
}

/// Writes one record. A fresh writer for each costs its buffer, so the buffer is the record's size.
fn write_csv<'a>(out: &mut impl Write, cells: impl Iterator<Item = &'a str> + Clone) -> io::Result<()> {
    let bytes = cells.clone().map(|cell| cell.len() + 3).sum();
    let mut writer = csv::WriterBuilder::new().buffer_capacity(bytes).from_writer(out);
    writer.write_record(cells)?;
    writer.flush()
}

/// The refusal of CSV for a format whose cells are lists.
pub(super) fn no_csv(output: &Path, format: crate::format::Format) -> Error {
    let flat = crate::format::Format::ALL.into_iter().filter(|format| format.is_flat());
    let flat = flat.map(|format| format!("`{}`", format.name())).collect::<Vec<_>>().join(", ");
    Error::usage(format!(
        "format `{}` doesn't fit the CSV file `{}`: its rows hold lists",
        format.name(),
        output.display()
    ))
    .with_hint(format!("formats that fit are {flat}; or end the output's name in .jsonl or .parquet"))
}

impl Write for Packed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
            Self::Zstd(encoder) => encoder.write(bytes),
        }
    }

    /// Nothing: flushing a packed stream would cost bytes, and the file is flushed at its end.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
