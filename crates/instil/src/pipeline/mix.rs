//! The road from several datasets to one: rows are read and brought into one shape, some are drawn, all that are drawn
//! get a common order, and are written.
//!
//! The sources are read twice: a first time to know how large they are ([`sizes`]), a second time to take rows of them
//! ([`mix`]). Nothing but counts is held between the two, and the order is made by a [`Shuffle`], which goes to the
//! disk where memory doesn't suffice.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};
use tokenizers::Tokenizer;

use super::Ended;
use super::convert::ConvertRoad;
use super::convert::entries::{Batch, Entries, Entry, Format, parse};
use super::convert::row::{other_shape, reject};
use super::in_order::in_order;
use crate::convert::{Misfit, Shape, first_error};
use crate::error::{Error, Result};
use crate::ledger::Ledger;
use crate::mix::draw::{Draw, Size};
use crate::record::{Origin, Row};
use crate::reject::{Reason, Reject, Stage};
use crate::rng::seed_of;
use crate::rows;
use crate::shuffle::Shuffle;
use crate::sink::{MixWriter, MixedFrom, fits_columns};
use crate::source::SourceFile;

/// One of the datasets that are mixed.
#[derive(Clone, Debug)]
pub struct MixSource {
    /// What it is called in the mix.
    pub name: String,
    /// Its files.
    pub files: Vec<SourceFile>,
}

/// How rows are brought into one shape.
#[derive(Clone, Debug)]
pub struct MixRoad {
    /// The sources, in order.
    pub sources: Vec<MixSource>,
    /// The shape of all rows; none where each file's is found out.
    pub from: Option<&'static Shape>,
    /// The shape that they get.
    pub to: &'static Shape,
    /// Whether rows are put into columns.
    pub has_columns: bool,
    /// What counts tokens, where the mix is measured in them.
    pub tokenizer: Option<Arc<Tokenizer>>,
    /// Decides which rows are drawn, and their order.
    pub seed: u64,
}

/// A row in the shape of the mix.
struct Made {
    json: Vec<u8>,
    from: MixedFrom,
    tokens: u64,
    lost_keys: bool,
}

/// What became of what was read: rows, or what could not become one.
enum Came {
    Unread(Reject),
    Row(Vec<Result<Made, Reject>>),
}

impl MixRoad {
    fn seed_of(&self, source: &MixSource) -> u64 {
        seed_of(self.seed, &["mix", &source.name])
    }

    fn rows(&self) -> ConvertRoad {
        ConvertRoad {
            from: self.from,
            to: self.to,
            view: None,
            strict: false,
            is_table: false,
            limit: u64::MAX,
        }
    }

    /// Reads a source on threads, and hands what became of its rows to `take`, in their order.
    fn read(
        &self,
        source: &MixSource,
        counts: bool,
        threads: NonZeroUsize,
        mut take: impl FnMut(Came) -> Result<()>,
        watch: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Ended> {
        let road = self.rows();
        let mut entries = Entries::new(&road, source.files.clone());
        let (ended, _) = in_order(
            threads,
            || {
                let batch = entries.batch()?;
                Ok((!batch.items.is_empty()).then_some(batch))
            },
            |(): &mut (), batch: Batch| -> Vec<Came> {
                let came = |item| match item {
                    Ok(entry) => self.made(source, entry, counts),
                    Err(reject) => Came::Unread(reject),
                };
                batch.items.into_iter().map(came).collect()
            },
            |came: Vec<Came>| {
                came.into_iter().try_for_each(&mut take)?;
                Ok(watch())
            },
        )?;
        Ok(ended)
    }

    fn made(&self, source: &MixSource, entry: Entry, counts: bool) -> Came {
        let Format { shape, has_cells, is_tabbed } = entry.format;
        match parse(entry.raw, has_cells, is_tabbed) {
            Ok(row) => Came::Row(self.of_row(source, &row, shape, counts)),
            Err(reject) if reject.reason.stage() == Stage::Convert => Came::Row(vec![Err(reject)]),
            Err(reject) => Came::Unread(reject),
        }
    }

    /// The rows of the mix that a row can become.
    fn of_row(
        &self,
        source: &MixSource,
        row: &Row,
        shape: &'static Shape,
        counts: bool,
    ) -> Vec<Result<Made, Reject>> {
        let refused = |misfit: &Misfit| reject(row, shape, misfit);
        let mut made: Vec<Result<Made, Reject>> = Vec::new();
        for read in shape.read(&row.fields) {
            let record = read.map_err(|misfit| other_shape(row, shape, misfit)).and_then(|record| {
                match first_error(&record, shape) {
                    None => Ok(record),
                    Some(finding) => Err(Misfit {
                        reason: finding.reason.expect("an error has a reason"),
                        path: finding.path,
                        message: finding.message,
                    }),
                }
            });
            let mut record = match record {
                Ok(record) => record,
                Err(misfit) => {
                    made.push(Err(refused(&misfit)));
                    continue;
                }
            };
            // All rows of a mix have the same keys, whatever stood beside them.
            let lost_keys = !record.extra.is_empty();
            record.extra.clear();
            let id = record.id.take();
            for part in self.to.parts(record) {
                let sample = made.len() as u64;
                let written = self.to.write(&part).and_then(|written| match self.has_columns {
                    true => fits_columns(self.to, &written.row)
                        .map(|()| written.row)
                        .map_err(|message| Misfit { reason: Reason::Unfit, path: String::new(), message }),
                    false => Ok(written.row),
                });
                made.push(match written {
                    Ok(object) => Ok(Made {
                        json: serde_json::to_vec(&object).expect("an object is JSON"),
                        tokens: if counts { self.tokens(&object) } else { 0 },
                        from: MixedFrom {
                            name: source.name.clone(),
                            origin: row.origin.clone(),
                            shape: shape.name.to_owned(),
                            sample,
                            copy: 0,
                            id: id.clone(),
                        },
                        lost_keys,
                    }),
                    Err(misfit) => Err(refused(&misfit)),
                });
            }
        }
        made
    }

    /// The tokens of a row: of prompt and completion, each by itself, or of all its text.
    fn tokens(&self, row: &Map<String, Value>) -> u64 {
        let Some(tokenizer) = &self.tokenizer else { return 0 };
        let count = |text: &str| match tokenizer.encode_fast(text, false) {
            Ok(encoding) => encoding.len() as u64,
            // What there are no tokens for counts as its bytes, which is never too few.
            Err(_) => text.len() as u64,
        };
        match rows::prompt_and_completion(row) {
            Some((prompt, completion)) => count(&prompt) + count(&completion),
            None => row.values().filter_map(Value::as_str).map(count).sum(),
        }
    }
}

/// How large each source is: rows that can be used, and their tokens where the road counts them. None where `watch` broke
/// off, which it is asked after each batch, with the number of rows read so far.
///
/// # Errors
/// When a file's shape is not known.
pub fn sizes(
    road: &MixRoad,
    threads: NonZeroUsize,
    watch: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<Option<Vec<Size>>> {
    let mut sizes = Vec::with_capacity(road.sources.len());
    let mut read = 0;
    for source in &road.sources {
        let seed = road.seed_of(source);
        let counts = road.tokenizer.is_some();
        let mut size = if counts { Size::of_tokens(seed) } else { Size::of_rows(seed) };
        let count = std::cell::Cell::new(read);
        let ended = road.read(
            source,
            counts,
            threads,
            |came| {
                count.set(count.get() + 1);
                if let Came::Row(made) = came {
                    made.iter().flatten().for_each(|row| size.add(row.tokens));
                }
                Ok(())
            },
            &mut || watch(count.get()),
        )?;
        if ended == Ended::Interrupted {
            return Ok(None);
        }
        read = count.get();
        sizes.push(size);
    }
    Ok(Some(sizes))
}

/// Takes rows of the sources as the draws say, one draw a source, and writes them in an order of their own.
///
/// `watch` sees the ledger after each batch, and can break off.
///
/// # Errors
/// When a source has changed since it was counted, or something can't be written.
pub fn mix(
    road: &MixRoad,
    sizes: &[Size],
    draws: Vec<Draw>,
    threads: NonZeroUsize,
    partial: &Path,
    writer: &mut MixWriter,
    watch: &mut dyn FnMut(&Ledger) -> ControlFlow<()>,
) -> Result<(Ledger, Ended)> {
    let ledger = std::cell::RefCell::new(Ledger::of(&Stage::FROM_SOURCES));
    let mut shuffle = Shuffle::create(&partial.join("shuffle"), road.seed)?;
    for (number, (source, mut draw)) in (0_u32..).zip(road.sources.iter().zip(draws)) {
        let mut usable = 0;
        ledger.borrow_mut().set(&source.name);
        let ended = road.read(
            source,
            road.tokenizer.is_some(),
            threads,
            |came| {
                let ledger = &mut *ledger.borrow_mut();
                ledger.enter(Stage::Read, 1);
                let made = match came {
                    Came::Unread(reject) => {
                        ledger.reject(reject.reason, None);
                        ledger.set(&source.name).reject(reject.reason);
                        return writer.reject(&reject);
                    }
                    Came::Row(made) => made,
                };
                ledger.leave(Stage::Read);
                ledger.enter(Stage::Convert, made.len() as u64);
                ledger.set(&source.name).rows += 1;
                for row in made {
                    let row = match row {
                        Ok(row) => row,
                        Err(reject) => {
                            ledger.reject(reject.reason, None);
                            let set = ledger.set(&source.name);
                            set.reject(reject.reason);
                            set.expected += 1;
                            writer.reject(&reject)?;
                            continue;
                        }
                    };
                    ledger.leave(Stage::Convert);
                    usable += 1;
                    let copies = draw.take(|| row.tokens);
                    if copies == 0 {
                        ledger.enter(Stage::Draw, 1);
                        ledger.reject_many(Reason::NotDrawn, 1);
                        continue;
                    }
                    ledger.enter(Stage::Draw, u64::from(copies));
                    let set = ledger.set(&source.name);
                    set.expected += u64::from(copies);
                    set.tokens += u64::from(copies) * row.tokens;
                    if row.lost_keys {
                        *ledger.losses.entry("extra".to_owned()).or_default() += u64::from(copies);
                    }
                    for copy in 0..copies {
                        ledger.leave(Stage::Draw);
                        shuffle.push(&packed(number, copy, &row))?;
                    }
                }
                Ok(())
            },
            &mut || watch(&ledger.borrow()),
        )?;
        if ended == Ended::Interrupted {
            let mut ledger = ledger.into_inner();
            // What waits for its place has come as far as the last stage.
            let waiting = ledger.stage(Stage::Draw).out;
            ledger.pass(Stage::Write, waiting, 0);
            ledger.interrupt();
            return Ok((ledger, ended));
        }
        if usable != sizes[number as usize].rows {
            return Err(Error::input(format!("`{}` has changed while it was read", source.name))
                .because(format!("{} rows the first time, {usable} the second", sizes[number as usize].rows))
                .with_hint("run the same command again when nothing writes to it"));
        }
    }
    let mut ledger = ledger.into_inner();
    for (place, record) in (1_u64..).zip(shuffle.finish()?) {
        let (number, from, json) = unpacked(&record?);
        let name = &road.sources[number as usize].name;
        let from = MixedFrom { name: name.clone(), ..from };
        writer.push(&json, &from)?;
        ledger.pass(Stage::Write, 1, 1);
        ledger.set(name).kept += 1;
        if place % 1024 == 0 && watch(&ledger).is_break() {
            let left = ledger.stage(Stage::Draw).out - ledger.stage(Stage::Write).out;
            ledger.pass(Stage::Write, left, 0);
            ledger.interrupt();
            return Ok((ledger, Ended::Interrupted));
        }
    }
    Ok((ledger, Ended::Whole))
}

/// What a row of a mix was made of: the row as it was read, and as it is in the mix. None where it isn't there.
///
/// # Errors
/// As [`mix`].
pub fn one(
    road: &MixRoad,
    source: &MixSource,
    from: &MixedFrom,
) -> Result<Option<(Row, Map<String, Value>)>> {
    let shape = Shape::parse(&from.shape)?;
    let rows = ConvertRoad { from: Some(shape), ..road.rows() };
    let files = source.files.iter().filter(|file| file.name == from.origin.source).cloned().collect();
    let mut entries = Entries::new(&rows, files);
    loop {
        let batch = entries.batch()?;
        if batch.items.is_empty() {
            return Ok(None);
        }
        for entry in batch.items.into_iter().flatten() {
            let Format { has_cells, is_tabbed, .. } = entry.format;
            let Ok(row) = parse(entry.raw, has_cells, is_tabbed) else { continue };
            if row.origin.row != from.origin.row {
                continue;
            }
            let made = road.of_row(source, &row, shape, false).into_iter().flatten();
            let found = made.filter(|made| made.from.sample == from.sample).map(|made| made.json).next();
            let object = found.map(|json| serde_json::from_slice(&json).expect("it was written as JSON"));
            return Ok(object.map(|object| (row, object)));
        }
    }
}

/// A row on its way through the shuffle: numbers, then texts with their lengths, then the row.
fn packed(source: u32, copy: u32, row: &Made) -> Vec<u8> {
    let MixedFrom { origin, shape, sample, id, .. } = &row.from;
    let mut bytes = Vec::with_capacity(row.json.len() + 96);
    bytes.extend(source.to_le_bytes());
    bytes.extend(copy.to_le_bytes());
    bytes.extend(sample.to_le_bytes());
    bytes.extend(origin.row.unwrap_or(u64::MAX).to_le_bytes());
    bytes.push(u8::from(id.is_some()));
    for text in [&*origin.source, shape, id.as_deref().unwrap_or_default()] {
        bytes.extend((text.len() as u32).to_le_bytes());
        bytes.extend(text.as_bytes());
    }
    bytes.extend(&row.json);
    bytes
}

/// What [`packed`] packed; the source's name is the caller's to fill in.
fn unpacked(bytes: &[u8]) -> (u32, MixedFrom, Vec<u8>) {
    fn taken<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
        let (head, tail) = bytes.split_at(count);
        *bytes = tail;
        head
    }
    fn number(bytes: &mut &[u8]) -> u32 {
        u32::from_le_bytes(taken(bytes, 4).try_into().expect("four bytes were taken"))
    }
    fn long(bytes: &mut &[u8]) -> u64 {
        u64::from_le_bytes(taken(bytes, 8).try_into().expect("eight bytes were taken"))
    }
    fn text(bytes: &mut &[u8]) -> String {
        let len = number(bytes) as usize;
        String::from_utf8(taken(bytes, len).to_vec()).expect("it was packed from a text")
    }
    let mut bytes = bytes;
    let (source, copy) = (number(&mut bytes), number(&mut bytes));
    let (sample, row) = (long(&mut bytes), long(&mut bytes));
    let has_id = taken(&mut bytes, 1) == [1];
    let (file, shape, id) = (text(&mut bytes), text(&mut bytes), text(&mut bytes));
    let origin = Origin { source: file.into(), row: (row != u64::MAX).then_some(row) };
    let from = MixedFrom { name: String::new(), origin, shape, sample, copy, id: has_id.then_some(id) };
    (source, from, bytes.to_vec())
}
