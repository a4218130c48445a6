//! Bytes to documents.
//!
//! [`resolve`] makes files of what the user typed ([`resolve_rows`] where it is to be rows), [`open`] makes [`Documents`] of the files, and
//! [`open_rows`] makes [`LabelledRows`] of them, whose fields templates read. It knows endings and
//! bytes; it does not know what a document or a row will be used for. An [`Adapter`] tells how rows of
//! another shape become rows that templates fit.

pub mod adapter;
mod arrow_value;
mod bytes;
mod column;
mod docx;
mod elements;
mod guard;
mod html;
mod json;
mod kind;
mod labelled;
mod memory;
mod meter;
mod parquet_rows;
mod pdf;
mod place;
mod resolve;
mod row;
mod table;
mod whole;
mod xml_rows;

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::error::Result;
use crate::reject::{Reason, Reject};

pub use adapter::{Adapter, AdapterRows, RenderedColumns};
pub use bytes::Packing;
pub use kind::Kind;
pub use labelled::{LabelledRows, RawRow, RawRows, open_raw_rows, open_rows};
pub use memory::{Held, MemoryTable};
pub use resolve::{resolve, resolve_rows};

pub(crate) use column::TEXT_NAMES;

use bytes::{Bytes, Peeked};
use column::Choice;
use meter::{Meter, Position};
use place::{Item, Place};

/// What the user says about columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The column that holds the text. Otherwise it is `text`, `content`, `context`, `passage`,
    /// `document`, `body` or `article`, the first that is there, else the only column of strings.
    pub text_column: Option<String>,
    /// The column that holds the document's id, a string or an integer; otherwise `id`, if it is
    /// there. A row without it gets a hash of the source's name and the row's number.
    pub id_column: Option<String>,
}

/// A file that is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// What ids and messages call it: a folder's last part and the path below it, a file's last
    /// part, or `stdin`.
    pub name: Arc<str>,
    /// Where it is, as typed; `-` is stdin.
    pub path: PathBuf,
    /// What it is.
    pub kind: Kind,
    /// How it is compressed.
    pub packing: Packing,
    /// Its size on disk; 0 where that is not known.
    pub bytes: u64,
    /// When it was written, in nanoseconds since 1970, where that is known.
    pub modified: Option<i64>,
    /// Whether it was found in a folder, rather than named by the user.
    pub in_folder: bool,
}

/// The documents of one file, in order.
trait Reader: Iterator<Item = Item> + Send {
    /// The columns chosen in the first good row, from the time it has been read.
    fn choice(&self) -> Option<&Choice>;
}

/// A document, or what came in its place, that is already there.
struct Ready(std::vec::IntoIter<Item>);

impl Iterator for Ready {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        self.0.next()
    }
}

impl Reader for Ready {
    fn choice(&self) -> Option<&Choice> {
        None
    }
}

/// How many bad rows [`open`] reads in search of a good one.
const PROBED_ROWS: usize = 1000;

/// Begins to read `files`.
///
/// The first good row of the first table that has one is read now, so that a wrong column is known
/// before any work is done. Tables may have different columns: in each the text column is looked for
/// anew.
///
/// # Errors
/// When that row has no text column, or not the column that `options` names. A table without a text
/// column that was found in a folder beside other files is passed over: its rows become rejects.
pub fn open(files: Vec<SourceFile>, options: &Options) -> Result<Documents> {
    let mut documents = Documents {
        files: files.into_iter().map(|file| (file, None)).collect(),
        options: options.clone(),
        current: None,
        columns: Vec::new(),
        meter: Meter::default(),
    };
    // One odd table among a folder's files is a matter of its rows; if there is nothing else to read,
    // or the user said which column, it is a mistake.
    let may_pass_over = options.text_column.is_none();
    let mut first_fault = None;
    let mut others = false;
    for (file, probed) in &mut documents.files {
        if !file.kind.is_table() && file.kind != Kind::Stream {
            others |= !matches!(file.kind, Kind::Unreadable(_));
            continue;
        }
        let mut current = Current::open(file, options);
        let settled = match current.probe() {
            Ok(settled) => settled,
            Err(fault) if may_pass_over && file.in_folder => {
                first_fault.get_or_insert(fault);
                false
            }
            Err(fault) => return Err(fault),
        };
        // A pipe can't be opened a second time.
        if settled || file.bytes == 0 {
            *probed = Some(current);
        }
        if settled {
            others = true;
            break;
        }
    }
    if let Some(fault) = first_fault.filter(|_| !others) {
        return Err(fault);
    }
    Ok(documents)
}

/// The documents of all files, in order, each read when it is asked for.
pub struct Documents {
    files: VecDeque<(SourceFile, Option<Current>)>,
    options: Options,
    current: Option<Current>,
    columns: Vec<(Arc<str>, String)>,
    meter: Meter,
}

impl Documents {
    /// A counter of the bytes read from disk so far, kept up to date while the documents are used
    /// elsewhere. Against the sum of [`SourceFile::bytes`] it says how much is left.
    pub fn read_bytes(&self) -> Arc<AtomicU64> {
        self.meter.read_bytes()
    }

    /// The text column of each table of which a row has been read, by the source's name.
    pub fn text_columns(&self) -> impl Iterator<Item = (&str, &str)> {
        let probed = self.current.iter().chain(self.files.iter().filter_map(|(_, probed)| probed.as_ref()));
        let probed = probed.filter_map(|current| Some((&*current.place.0, current.column()?)));
        self.columns.iter().map(|(name, column)| (&**name, column.as_str())).chain(probed)
    }
}

impl Iterator for Documents {
    type Item = Result<crate::record::Document, Reject>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.current.is_none() {
                let (file, probed) = self.files.pop_front()?;
                self.current = Some(probed.unwrap_or_else(|| Current::open(&file, &self.options)));
            }
            let current = self.current.as_mut().expect("it was set above");
            self.meter.step(&current.position);
            if let Some(item) = current.next() {
                return Some(item);
            }
            self.meter.finish(&current.position);
            if let Some(column) = current.column() {
                self.columns.push((Arc::clone(&current.place.0), column.to_owned()));
            }
            self.current = None;
        }
    }
}

/// A file that is being read.
struct Current {
    place: Place,
    reader: Box<dyn Reader>,
    /// What was read in search of a good row.
    ahead: VecDeque<Item>,
    is_empty: bool,
    position: Position,
}

impl Current {
    fn open(file: &SourceFile, options: &Options) -> Self {
        let place = Place(Arc::clone(&file.name));
        let (reader, open) = reader(place.clone(), file, options)
            .unwrap_or_else(|error| (ready([Err(place.unreadable(None, &error))]), None));
        let position = Position { bytes: file.bytes, file: open };
        Self { place, reader, ahead: VecDeque::new(), is_empty: true, position }
    }

    /// Reads until the columns are chosen; whether they are.
    fn probe(&mut self) -> Result<bool> {
        while self.reader.choice().is_none() && self.ahead.len() < PROBED_ROWS {
            match self.reader.next() {
                Some(item) => self.ahead.push_back(item),
                None => break,
            }
        }
        self.reader.choice().map_or(Ok(false), |choice| choice.to_result().map(|_| true))
    }

    fn column(&self) -> Option<&str> {
        match self.reader.choice() {
            Some(Choice::Made(columns)) => Some(&columns.text),
            _ => None,
        }
    }
}

impl Iterator for Current {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        let next = self.ahead.pop_front().or_else(|| self.reader.next());
        if next.is_some() {
            self.is_empty = false;
            return next;
        }
        if !std::mem::replace(&mut self.is_empty, false) {
            return None;
        }
        Some(Err(self.place.reject(Reason::EmptyText, None, "there is nothing in it")))
    }
}

/// The reader of a file, and the file where it is one.
fn reader(place: Place, file: &SourceFile, options: &Options) -> io::Result<(Box<dyn Reader>, Option<File>)> {
    if let Kind::Unreadable(why) = &file.kind {
        return Ok((ready([Err(place.reject(Reason::Unreadable, None, why))]), None));
    }
    if let Kind::Table(table) = &file.kind {
        return Ok((Box::new(parquet_rows::rows_of_table(place, table.clone(), options)), None));
    }
    if file.path == Path::new("-") {
        return Ok((read_as(place, Box::new(io::stdin()), &file.kind, options)?, None));
    }
    let raw = File::open(&file.path)?;
    let same = raw.try_clone().ok();
    let reader = match file.kind {
        Kind::Parquet => Box::new(parquet_rows::rows(place, raw, options)?),
        _ => read_as(place, Box::new(raw), &file.kind, options)?,
    };
    Ok((reader, same))
}

/// Reads what can be read from its beginning to its end.
fn read_as(
    place: Place,
    raw: Box<dyn Read + Send>,
    kind: &Kind,
    options: &Options,
) -> io::Result<Box<dyn Reader>> {
    let (kind, bytes) = match unpacked(&place, raw, kind, Kind::of_content)? {
        Ok(unpacked) => unpacked,
        Err(reject) => return Ok(ready([Err(reject)])),
    };
    let reject = |why: &str| Ok(ready([Err(place.reject(Reason::Unreadable, None, why))]));
    let options = options.clone();
    Ok(match kind {
        Some(Kind::Text) => ready([whole::plain(&place, bytes)]),
        Some(Kind::Html) => ready([html::page(&place, bytes)]),
        Some(Kind::Jsonl) => Box::new(json::lines(place, bytes, options)),
        Some(Kind::Json) => Box::new(json::elements(place, bytes, options)),
        Some(Kind::Csv) => Box::new(table::rows(place, bytes, b',', options)),
        Some(Kind::Tsv) => Box::new(table::rows(place, bytes, b'\t', options)),
        Some(Kind::Pdf) => ready(pdf::document(&place, bytes)),
        Some(Kind::Docx) => ready([docx::document(&place, bytes)]),
        Some(Kind::Parquet) => return reject(PARQUET_NEEDS_A_FILE),
        Some(Kind::Stream | Kind::Unreadable(_) | Kind::Table(_)) | None => {
            return reject("it is neither text nor a kind of file that is known");
        }
    })
}

const PARQUET_NEEDS_A_FILE: &str = "parquet is read from a file only, not packed or from a pipe";

/// What a source is, `of_content` telling it of a stream, and its bytes behind packing and
/// byte-order mark; a reject if they are characters of another encoding than UTF-8.
fn unpacked(
    place: &Place,
    raw: Box<dyn Read + Send>,
    kind: &Kind,
    of_content: fn(&[u8]) -> Option<Kind>,
) -> io::Result<Result<(Option<Kind>, Bytes), Reject>> {
    let packed = Peeked::new(raw);
    let packing = Packing::of(packed.head());
    let mut bytes = Peeked::new(packing.unpack(packed)?);
    let kind = match kind {
        Kind::Stream => of_content(bytes.head()),
        kind => Some(kind.clone()),
    };
    if kind.as_ref().is_none_or(Kind::is_characters)
        && let Some(encoding) = kind::other_encoding(bytes.head())
    {
        let hint = kind::encoding_hint(encoding);
        let why = format!("it is {encoding}, and only UTF-8 is read; {hint}");
        return Ok(Err(place.reject(Reason::Unreadable, None, why)));
    }
    if kind.as_ref().is_some_and(Kind::is_characters) {
        bytes.skip_byte_order_mark();
    }
    Ok(Ok((kind, Box::new(bytes))))
}

fn ready(items: impl Into<Vec<Item>>) -> Box<dyn Reader> {
    Box::new(Ready(items.into().into_iter()))
}

#[cfg(test)]
mod tests;
