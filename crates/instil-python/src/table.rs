//! Arrow tables on their way in and out, through capsules: buffers are shared, never copied.

use std::fs::File;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use arrow_array::{RecordBatch, StructArray};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, Field, SchemaRef};
use instil::format::{Mixed, ObjectBuilder, together};
use instil::source::{self, MemoryTable};
use instil::{Error, Result};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use pyo3_arrow::PyRecordBatchReader;
use pyo3_arrow::error::PyArrowResult;
use pyo3_arrow::ffi::{ArrayIterator, to_stream_pycapsule};

use crate::error::exception;

/// The most rows of a batch that is read from a file …
const BATCH_ROWS: usize = 65_536;
/// … and of bytes in a column of texts, which has room for 2³¹.
const BATCH_TEXT_BYTES: usize = 64 << 20;
/// So many bytes of lines are read at once.
const PART_BYTES: usize = 8 << 20;

/// A whole Arrow table: every batch of it.
#[pyclass(frozen, module = "instil._instil")]
pub(crate) struct Table(pub(crate) MemoryTable);

/// A name that a table has as long as this object is there.
#[pyclass(frozen, module = "instil._instil")]
pub(crate) struct Held(source::Held);

#[pymethods]
impl Table {
    /// The table behind anything with `__arrow_c_stream__`: every batch of the stream, none copied.
    #[staticmethod]
    fn of(py: Python<'_>, data: PyRecordBatchReader) -> PyResult<Self> {
        let reader = data.into_reader()?;
        // A stream may be read from a file or computed, and Python may have to help.
        let read = py.detach(|| {
            let schema = reader.schema();
            let batches = reader.collect::<Result<Vec<_>, _>>().map_err(broken)?;
            MemoryTable::new(schema, batches)
        });
        read.map(Self).map_err(|error| exception(py, &error))
    }

    /// The rows of Parquet files of one schema, one after the other.
    #[staticmethod]
    fn from_parquet(py: Python<'_>, paths: Vec<PathBuf>) -> PyResult<Self> {
        py.detach(|| parquet(&paths)).map(Self).map_err(|error| exception(py, &error))
    }

    /// The rows of a file of objects, whatever `generate` and `apply` read, with the columns that they have together.
    #[staticmethod]
    fn from_rows(py: Python<'_>, path: String) -> PyResult<Self> {
        py.detach(|| rows(path)).map(Self).map_err(|error| exception(py, &error))
    }

    /// Writes its rows to a Parquet file.
    fn to_parquet(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        py.detach(|| to_parquet(&self.0, &path)).map_err(|error| exception(py, &error))
    }

    /// 32 hexadecimal digits of what it holds.
    fn hash(&self, py: Python<'_>) -> PyResult<String> {
        py.detach(|| hash(&self.0)).map_err(|error| exception(py, &broken(error)))
    }

    /// Gives it a name, which inputs can be called by.
    fn hold(&self, which: &str) -> Held {
        Held(source::Held::new(which, self.0.clone()))
    }

    /// The same table with these columns alone.
    fn select(&self, py: Python<'_>, columns: Vec<String>) -> PyResult<Self> {
        let index = |name: &String| self.0.schema().index_of(name);
        let chosen = || {
            let chosen =
                columns.iter().map(index).collect::<std::result::Result<Vec<_>, _>>().map_err(broken)?;
            let schema = Arc::new(self.0.schema().project(&chosen).map_err(broken)?);
            let batches = self.0.batches().iter().map(|batch| batch.project(&chosen).map_err(broken));
            MemoryTable::new(schema, batches.collect::<Result<_>>()?)
        };
        chosen().map(Self).map_err(|error| exception(py, &error))
    }

    fn __len__(&self) -> usize {
        usize::try_from(self.0.rows()).unwrap_or(usize::MAX)
    }

    /// The names of its columns.
    #[getter]
    fn columns(&self) -> Vec<String> {
        self.0.schema().fields().iter().map(|field| field.name().clone()).collect()
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyArrowResult<Bound<'py, PyCapsule>> {
        let schema = self.0.schema();
        let field =
            Field::new_struct("", schema.fields().clone(), false).with_metadata(schema.metadata().clone());
        let arrays: Vec<_> = self
            .0
            .batches()
            .iter()
            .map(|batch| Ok(Arc::new(StructArray::from(batch.clone())) as _))
            .collect();
        to_stream_pycapsule(py, Box::new(ArrayIterator::new(arrays, Arc::new(field))), requested_schema)
    }
}

#[pymethods]
impl Held {
    /// What inputs call the table.
    #[getter]
    fn input(&self) -> &str {
        self.0.input()
    }
}

fn broken(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::input("a table can't be read").because(error)
}

fn parquet(paths: &[PathBuf]) -> Result<MemoryTable> {
    let mut schema = None;
    // Groups of rows are read beside each other.
    let mut groups = Vec::new();
    for path in paths {
        let opened = File::open(path).map_err(|error| unreadable(path, error))?;
        let opened =
            ParquetRecordBatchReaderBuilder::try_new(opened).map_err(|error| unreadable(path, error))?;
        schema.get_or_insert_with(|| Arc::clone(opened.schema()));
        groups.extend((0..opened.metadata().num_row_groups()).map(|group| (path.as_path(), group)));
    }
    let schema: SchemaRef = schema.ok_or_else(|| Error::input("there is no file of rows"))?;
    let read = |(path, group): (&Path, usize)| {
        let file = File::open(path).map_err(|error| unreadable(path, error))?;
        let reader = ParquetRecordBatchReaderBuilder::try_new(file)
            .and_then(|reader| reader.with_row_groups(vec![group]).with_batch_size(BATCH_ROWS).build())
            .map_err(|error| unreadable(path, error))?;
        reader.collect::<Result<Vec<_>, _>>().map_err(|error| unreadable(path, error))
    };
    let batches = in_parallel(groups, read)?;
    MemoryTable::new(schema, batches)
}

fn to_parquet(table: &MemoryTable, path: &Path) -> Result<()> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
        Error::output(format!("can't write `{}`", path.display())).because(error)
    };
    let file = File::create(path).map_err(|error| failed(error.into()))?;
    let write = || {
        let mut writer = ArrowWriter::try_new(file, Arc::clone(table.schema()), None)?;
        table.batches().iter().try_for_each(|batch| writer.write(batch))?;
        writer.close()
    };
    write().map(drop).map_err(|error| failed(error.into()))
}

fn unreadable(path: &Path, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::input(format!("`{}` can't be read", path.display())).because(error)
}

/// What `read` makes of each part, in their order, on as many threads as there are processors.
fn in_parallel<P: Copy + Send + Sync, E: Send>(
    parts: Vec<P>,
    read: impl Fn(P) -> std::result::Result<Vec<RecordBatch>, E> + Sync,
) -> std::result::Result<Vec<RecordBatch>, E> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(parts.len());
    let next = AtomicUsize::new(0);
    let work = || {
        let mut made = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(part) = parts.get(index) else { return made };
            made.push((index, read(*part)));
        }
    };
    let mut made: Vec<_> = thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        running.into_iter().flat_map(|thread| thread.join().expect("reading doesn't panic")).collect()
    });
    made.sort_by_key(|(index, _)| *index);
    let made = made.into_iter().map(|(_, batches)| batches).collect::<std::result::Result<Vec<_>, E>>()?;
    Ok(made.into_iter().flatten().collect())
}

fn rows(path: String) -> Result<MemoryTable> {
    let mixed = |mixed: Mixed| {
        Error::input(format!("the rows of `{path}` don't fit one table"))
            .because(mixed)
            .with_hint("read the file as you like")
    };
    let batches = match lines(&path) {
        Some(batches) => batches,
        None => objects(&path)?,
    };
    let (schema, batches) = batches.and_then(together).map_err(mixed)?;
    MemoryTable::new(schema, batches)
}

/// The rows of a file as every verb reads it.
fn objects(path: &str) -> Result<std::result::Result<Vec<RecordBatch>, Mixed>> {
    let files = source::resolve_rows(&[path.to_owned()])?;
    let (mut builder, mut batches) = (ObjectBuilder::default(), Vec::new());
    for row in source::open_rows(files)? {
        match row {
            Ok(row) => {
                if let Err(mixed) = builder.push(&row.fields) {
                    return Ok(Err(mixed));
                }
                if builder.rows() == BATCH_ROWS || builder.text_bytes() >= BATCH_TEXT_BYTES {
                    batches.push(builder.finish());
                }
            }
            Err(reject) if reject.reason == instil::reject::Reason::EmptyText => {}
            Err(reject) => {
                return Err(Error::input(format!("a row of `{path}` can't be read")).because(reject.raw));
            }
        }
    }
    batches.push(builder.finish());
    Ok(Ok(batches))
}

/// Lines of JSON, read on all processors; none where the file is something else, or has a line that is no object.
fn lines(path: &str) -> Option<std::result::Result<Vec<RecordBatch>, Mixed>> {
    let text = path.ends_with(".jsonl").then(|| std::fs::read(path).ok())??;
    let mut parts = Vec::new();
    let mut rest = text.as_slice();
    while !rest.is_empty() {
        let end = rest.iter().skip(PART_BYTES).position(|byte| *byte == b'\n');
        let (part, behind) = rest.split_at(end.map_or(rest.len(), |end| PART_BYTES + end + 1));
        parts.push(part);
        rest = behind;
    }
    let read = |part: &[u8]| {
        let mut builder = ObjectBuilder::default();
        for line in part.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
            let Ok(object) = serde_json::from_slice(line) else { return Err(None) };
            builder.push(&object).map_err(Some)?;
        }
        Ok(vec![builder.finish()])
    };
    match in_parallel(parts, read) {
        Err(None) => None,
        Err(Some(mixed)) => Some(Err(mixed)),
        Ok(batches) => Some(Ok(batches)),
    }
}

/// A hash of the bytes that the table has as a stream. Slices are written as they are seen.
fn hash(table: &MemoryTable) -> std::result::Result<String, ArrowError> {
    let mut hasher = blake3::Hasher::new();
    let mut writer = StreamWriter::try_new(&mut hasher, table.schema())?;
    table.batches().iter().try_for_each(|batch: &RecordBatch| writer.write(batch))?;
    writer.finish()?;
    drop(writer);
    Ok(hasher.finalize().to_hex()[..32].to_owned())
}
