//! More records than memory holds, in an order drawn by a seed.
//!
//! Each record gets a key, a number that seed and ordinal decide, and the records are given out by
//! rising key: a uniform permutation of all of them, not the order of a window that slides over them.
//! Records are collected by the high bits of their keys in buckets. Those of a small input stay in
//! memory; otherwise the buckets are files, and one at a time is read back and sorted. The order is the
//! same either way, for it depends on seed and ordinals alone.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::vec::IntoIter;

use crate::error::Result;
use crate::rng;
use crate::sink::failed;

/// How many bits of the key choose the bucket.
const BUCKET_BITS: u32 = 7;
/// How many buckets there are at once. Each may be an open file, and some systems allow only 256.
const BUCKETS: usize = 1 << BUCKET_BITS;
/// The ending of the files of buckets.
const ENDING: &str = "bucket";
/// What stands before a record in its bucket: its key, and its length in bytes.
const HEAD_BYTES: usize = 16;
/// How much is held in memory.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Records waiting for their files; an input that is smaller never touches the disk.
    buffered_bytes: usize,
    /// A bucket that is read back; a larger one is split again.
    bucket_bytes: u64,
}

impl Default for Limits {
    /// With 10 million records of 1 kB a bucket is 80 MB, below the limit.
    fn default() -> Self {
        Self { buffered_bytes: 16 << 20, bucket_bytes: 96 << 20 }
    }
}

/// Takes records in one order, to give them out in another.
///
/// # Example
/// ```
/// use instil::shuffle::Shuffle;
/// # let folder = tempfile::tempdir().unwrap();
/// let mut shuffle = Shuffle::create(&folder.path().join("shuffle"), 7)?;
/// for record in ["a", "b", "c"] {
///     shuffle.push(record.as_bytes())?;
/// }
/// let mut records = shuffle.finish()?.collect::<Result<Vec<_>, _>>()?;
/// records.sort();
/// assert_eq!(records, [b"a", b"b", b"c"]);
/// # Ok::<(), instil::Error>(())
/// ```
pub struct Shuffle {
    seed: u64,
    ordinal: u64,
    limits: Limits,
    buckets: Buckets,
}

impl Shuffle {
    /// A shuffle by `seed` that may use `folder`, which is its own: it is made when memory doesn't
    /// suffice and removed at the end. What a killed run has left there is removed now.
    ///
    /// # Errors
    /// When what a killed run has left can't be removed.
    pub fn create(folder: &Path, seed: u64) -> Result<Self> {
        Self::with_limits(folder, seed, Limits::default())
    }

    fn with_limits(folder: &Path, seed: u64, limits: Limits) -> Result<Self> {
        clear(folder).map_err(|error| failed("clear the folder", folder, error))?;
        // Other choices that are made by the same seed and ordinals mustn't go with the order.
        let seed = rng::seed_of(seed, &["shuffle"]);
        let buckets = Buckets::new(folder.to_owned(), 0, String::new());
        Ok(Self { seed, ordinal: 0, limits, buckets })
    }

    /// Adds a record.
    ///
    /// # Errors
    /// When it can't be written, for instance to a full disk. The shuffle is of no use afterwards.
    pub fn push(&mut self, record: &[u8]) -> Result<()> {
        let key = rng::nth(self.seed, self.ordinal);
        self.ordinal += 1;
        self.buckets.push(key, record);
        self.buckets.spill_above(self.limits.buffered_bytes)
    }

    /// Ends the input and begins to give out the records.
    ///
    /// # Errors
    /// None today: what can fail is told by the records' iterator.
    pub fn finish(self) -> Result<Shuffled> {
        let Self { limits, buckets, .. } = self;
        Ok(Shuffled { sorted: Sorted::default(), levels: vec![buckets.into_iter()], limits })
    }
}

/// The records of a [`Shuffle`] in their new order. After an error there are no more.
pub struct Shuffled {
    // Declared first and so dropped first: the files before their folder.
    sorted: Sorted,
    /// The buckets that are still to come, those of a split bucket above the ones beside it.
    levels: Vec<Level>,
    limits: Limits,
}

impl Iterator for Shuffled {
    type Item = Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(record) = self.sorted.next() {
                return Some(Ok(record));
            }
            let Some(bucket) = self.levels.last_mut()?.buckets.next() else {
                self.levels.pop();
                continue;
            };
            if let Err(error) = self.enter(bucket) {
                self.sorted = Sorted::default();
                self.levels.clear();
                return Some(Err(error));
            }
        }
    }
}

impl Shuffled {
    /// Reads a bucket into memory, or splits it where it is too large.
    fn enter(&mut self, bucket: Bucket) -> Result<()> {
        let level = self.levels.last().expect("the bucket came from there");
        let bits = level.bits + BUCKET_BITS;
        if bucket.bytes <= self.limits.bucket_bytes || bucket.records == 1 || bits + BUCKET_BITS > u64::BITS {
            // The old one goes first: there is memory for one.
            self.sorted = Sorted::default();
            self.sorted = Sorted::of(bucket)?;
            return Ok(());
        }
        let name = bucket.name.clone() + ".";
        let mut split = Buckets::new(level.folder.path.clone(), bits, name);
        let limit = self.limits.buffered_bytes;
        bucket.each(|key, record| {
            split.push(key, record);
            split.spill_above(limit)
        })?;
        self.levels.push(split.into_iter());
        Ok(())
    }
}

/// Records by some bits of their keys.
struct Buckets {
    buckets: Vec<Bucket>,
    folder: Folder,
    /// How many high bits of the key all these records share.
    bits: u32,
    buffered_bytes: usize,
}

/// The buckets of one level that have not been read yet.
struct Level {
    buckets: IntoIter<Bucket>,
    bits: u32,
    folder: Folder,
}

impl Buckets {
    fn new(folder: PathBuf, bits: u32, prefix: String) -> Self {
        let bucket = |index| Bucket {
            name: format!("{prefix}{index:03}"),
            buffer: Vec::new(),
            file: None,
            bytes: 0,
            records: 0,
        };
        Self {
            buckets: (0..BUCKETS).map(bucket).collect(),
            folder: Folder { path: folder, is_made: false },
            bits,
            buffered_bytes: 0,
        }
    }

    fn push(&mut self, key: u64, record: &[u8]) {
        let index = key << self.bits >> (u64::BITS - BUCKET_BITS);
        // Below 128.
        self.buckets[index as usize].push(key, record);
        self.buffered_bytes += HEAD_BYTES + record.len();
    }

    /// Writes all buffers to their files once they hold more than `limit` bytes together.
    fn spill_above(&mut self, limit: usize) -> Result<()> {
        if self.buffered_bytes <= limit {
            return Ok(());
        }
        self.folder.make()?;
        for bucket in &mut self.buckets {
            bucket.spill(&self.folder.path)?;
        }
        self.buffered_bytes = 0;
        Ok(())
    }

    fn into_iter(self) -> Level {
        Level { buckets: self.buckets.into_iter(), bits: self.bits, folder: self.folder }
    }
}

/// The records whose keys begin with the same bits, in the order in which they came: the first
/// ones in a file, the last ones in memory.
struct Bucket {
    name: String,
    buffer: Vec<u8>,
    file: Option<BucketFile>,
    /// Bytes of the records with their heads, in file and buffer.
    bytes: u64,
    records: u64,
}

impl Bucket {
    fn push(&mut self, key: u64, record: &[u8]) {
        self.buffer.extend(key.to_le_bytes());
        self.buffer.extend((record.len() as u64).to_le_bytes());
        self.buffer.extend(record);
        self.bytes += (HEAD_BYTES + record.len()) as u64;
        self.records += 1;
    }

    /// Appends the buffer to the file.
    fn spill(&mut self, folder: &Path) -> Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(BucketFile::create(folder.join(format!("{}.{ENDING}", self.name)))?),
        };
        file.file.write_all(&self.buffer).map_err(|error| failed("write", &file.path, error))?;
        file.bytes += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// All records as they lie one after the other. The file is removed.
    fn read(self) -> Result<Vec<u8>> {
        let Some(mut file) = self.file else {
            return Ok(self.buffer);
        };
        let mut bytes = Vec::with_capacity(self.bytes as usize);
        bytes.resize(file.bytes as usize, 0);
        let read = file.file.rewind().and_then(|()| file.file.read_exact(&mut bytes));
        read.map_err(|error| failed("read back", &file.path, error))?;
        bytes.extend(self.buffer);
        Ok(bytes)
    }

    /// Gives the records to `take` one after the other. The file is removed.
    fn each(self, mut take: impl FnMut(u64, &[u8]) -> Result<()>) -> Result<()> {
        if let Some(mut file) = self.file {
            let failed = |error| failed("read back", &file.path, error);
            file.file.rewind().map_err(failed)?;
            let mut reader = BufReader::with_capacity(1 << 16, &file.file);
            let (mut head, mut record) = ([0; HEAD_BYTES], Vec::new());
            let mut read = 0;
            while read < file.bytes {
                reader.read_exact(&mut head).map_err(failed)?;
                record.resize(number(&head[8..]) as usize, 0);
                reader.read_exact(&mut record).map_err(failed)?;
                take(number(&head), &record)?;
                read += (HEAD_BYTES + record.len()) as u64;
            }
        }
        records(&self.buffer).try_for_each(|(key, record)| take(key, record))
    }
}

/// A file of records. It is removed when this is dropped.
struct BucketFile {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl BucketFile {
    /// The file is not packed: packing by zstd 1 halves it and makes a shuffle take more than twice the time.
    fn create(path: PathBuf) -> Result<Self> {
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path);
        let file = file.map_err(|error| failed("create the file", &path, error))?;
        Ok(Self { path, file, bytes: 0 })
    }
}

impl Drop for BucketFile {
    fn drop(&mut self) {
        // Nobody is there to hear of an error; the next shuffle in this folder removes what stays.
        let _ = fs::remove_file(&self.path);
    }
}

/// The folder of the buckets' files. It is removed when this is dropped, unless something is in it.
struct Folder {
    path: PathBuf,
    is_made: bool,
}

impl Folder {
    fn make(&mut self) -> Result<()> {
        fs::create_dir_all(&self.path).map_err(|error| failed("make the folder", &self.path, error))?;
        self.is_made = true;
        Ok(())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.is_made {
            let _ = fs::remove_dir(&self.path);
        }
    }
}

/// Removes the files of a shuffle that was killed, and their folder if nothing else is in it.
fn clear(folder: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    let mut others = false;
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == ENDING) {
            fs::remove_file(path)?;
        } else {
            others = true;
        }
    }
    if others { Ok(()) } else { fs::remove_dir(folder) }
}

/// The records of one bucket by rising key, those of equal keys as they came.
#[derive(Default)]
struct Sorted {
    bytes: Vec<u8>,
    /// Keys, and where in `bytes` their records begin.
    places: IntoIter<(u64, usize)>,
}

impl Sorted {
    fn of(bucket: Bucket) -> Result<Self> {
        let mut places = Vec::with_capacity(bucket.records as usize);
        let bytes = bucket.read()?;
        let mut place = 0;
        for (key, record) in records(&bytes) {
            places.push((key, place));
            place += HEAD_BYTES + record.len();
        }
        // Records lie as they came, so that their places part equal keys as their ordinals would.
        places.sort_unstable();
        Ok(Self { bytes, places: places.into_iter() })
    }

    fn next(&mut self) -> Option<Vec<u8>> {
        let (_, place) = self.places.next()?;
        records(&self.bytes[place..]).next().map(|(_, record)| record.to_vec())
    }
}

/// The records that lie one after the other in `bytes`, with their keys.
fn records(mut bytes: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let (head, rest) = bytes.split_at(HEAD_BYTES);
        let (record, rest) = rest.split_at(number(&head[8..]) as usize);
        bytes = rest;
        Some((number(head), record))
    })
}

/// The number that `bytes` begin with.
fn number(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;
    use crate::error::Error;

    /// So little memory that a few records spill, and that their buckets are split again and again.
    const TINY: Limits = Limits { buffered_bytes: 100, bucket_bytes: 60 };

    fn shuffled(folder: &Path, seed: u64, limits: Limits, records: &[Vec<u8>]) -> Result<Vec<Vec<u8>>> {
        let mut shuffle = Shuffle::with_limits(folder, seed, limits)?;
        records.iter().try_for_each(|record| shuffle.push(record))?;
        shuffle.finish()?.collect()
    }

    fn numbered(count: u64) -> Vec<Vec<u8>> {
        (0..count).map(|n| n.to_string().into_bytes()).collect()
    }

    fn sorted(mut records: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        records.sort();
        records
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = walkdir::WalkDir::new(folder).min_depth(1).sort_by_file_name().into_iter();
        entries
            .map(|entry| entry.unwrap().path().strip_prefix(folder).unwrap().to_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn memory_and_files_give_one_order() {
        let folder = TempDir::new().unwrap();
        let place = folder.path().join("shuffle");
        let records = numbered(2000);
        let held = shuffled(&place, 7, Limits::default(), &records).unwrap();
        assert_eq!(names(folder.path()), [""; 0]);
        for (buffered_bytes, bucket_bytes) in [(0, u64::MAX), (5000, u64::MAX), (100, 60), (5000, 0)] {
            let limits = Limits { buffered_bytes, bucket_bytes };
            assert_eq!(shuffled(&place, 7, limits, &records).unwrap(), held, "{limits:?}");
            assert_eq!(names(folder.path()), [""; 0]);
        }
        // The order is part of what a recipe makes: a later version mustn't change it.
        let first: Vec<_> = held[..8].iter().map(|record| str::from_utf8(record).unwrap()).collect();
        insta::assert_snapshot!(first.join(" "), @"538 1277 1388 1907 998 1003 394 337");
    }

    #[test]
    fn another_seed_is_another_order() {
        let folder = TempDir::new().unwrap();
        let records = numbered(200);
        let of = |seed| shuffled(&folder.path().join("shuffle"), seed, Limits::default(), &records).unwrap();
        assert_eq!(of(1), of(1));
        let (one, two) = (of(1), of(2));
        // A random permutation leaves one record in its place on average.
        let same = |a: &[Vec<u8>], b: &[Vec<u8>]| a.iter().zip(b).filter(|(a, b)| a == b).count();
        assert!(same(&one, &two) < 8 && same(&one, &records) < 8);
    }

    #[test]
    fn every_record_comes_to_every_place_as_often() {
        let folder = TempDir::new().unwrap();
        const RECORDS: usize = 8;
        const SEEDS: u64 = 8000;
        let records = numbered(RECORDS as u64);
        let mut counts = [[0.0; RECORDS]; RECORDS];
        // How often a record follows the one before it: a window or a rotation would do that too often.
        let mut followed = 0.0;
        for seed in 0..SEEDS {
            let order = shuffled(&folder.path().join("shuffle"), seed, Limits::default(), &records).unwrap();
            for (place, record) in order.iter().enumerate() {
                counts[usize::from(record[0] - b'0')][place] += 1.0;
            }
            followed += order.windows(2).filter(|pair| pair[1][0] == pair[0][0] + 1).count() as f64;
        }
        let expected = SEEDS as f64 / RECORDS as f64;
        let chi: f64 = counts.as_flattened().iter().map(|n| (n - expected) * (n - expected) / expected).sum();
        // 49 degrees of freedom: mean 49, deviation 10. The seeds are fixed, so that this can't flake.
        assert!((20.0..85.0).contains(&chi), "{chi}");
        // 7 pairs in 8 records, each in 7 of 56 neighbourhoods: 7 / 8 a permutation.
        let followed = followed / SEEDS as f64;
        assert!((followed - 0.875).abs() < 0.05, "{followed}");
    }

    #[test]
    fn a_killed_shuffle_leaves_files_in_its_folder_alone_and_the_next_one_removes_them() {
        let folder = TempDir::new().unwrap();
        let place = folder.path().join("shuffle");
        let records = numbered(500);
        let mut shuffle = Shuffle::with_limits(&place, 7, TINY).unwrap();
        records.iter().for_each(|record| shuffle.push(record).unwrap());
        let mut rest = shuffle.finish().unwrap();
        rest.next().unwrap().unwrap();
        // What is forgotten is not dropped, as in a process that is killed.
        std::mem::forget(rest);
        let left = names(folder.path());
        assert!(left.len() > 100, "{left:?}");
        assert!(left[1..].iter().all(|name| name.starts_with("shuffle/") && name.ends_with(".bucket")));

        let again = shuffled(&place, 7, TINY, &records).unwrap();
        assert_eq!(sorted(again), sorted(records));
        assert_eq!(names(folder.path()), [""; 0]);
    }

    #[test]
    fn what_is_dropped_is_removed() {
        let folder = TempDir::new().unwrap();
        let place = folder.path().join("shuffle");
        std::fs::create_dir(&place).unwrap();
        std::fs::write(place.join("mine"), "").unwrap();
        for read in [None, Some(0), Some(1), Some(40)] {
            let mut shuffle = Shuffle::with_limits(&place, 7, TINY).unwrap();
            numbered(500).iter().for_each(|record| shuffle.push(record).unwrap());
            assert!(names(&place).len() > 100);
            match read {
                None => drop(shuffle),
                Some(read) => assert_eq!(shuffle.finish().unwrap().take(read).count(), read),
            }
            assert_eq!(names(&place), ["mine"]);
        }
    }

    #[test]
    fn records_of_any_size_come_back() {
        let folder = TempDir::new().unwrap();
        let records = vec![vec![], vec![7; 5_000_000], vec![], vec![0; 70_000], vec![1]];
        let limits = Limits { buffered_bytes: 1000, bucket_bytes: 1000 };
        let found = shuffled(&folder.path().join("shuffle"), 7, limits, &records).unwrap();
        assert_eq!(sorted(found), sorted(records));
        assert!(shuffled(&folder.path().join("shuffle"), 7, TINY, &[]).unwrap().is_empty());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_is_an_error_with_a_way_out() {
        // `/dev/full` answers every write as a full disk does.
        let folder = TempDir::new().unwrap();
        let place = folder.path().join("shuffle");
        let mut shuffle = Shuffle::with_limits(&place, 7, TINY).unwrap();
        std::fs::create_dir(&place).unwrap();
        for bucket in 0..BUCKETS {
            let file = place.join(format!("{bucket:03}.{ENDING}"));
            std::os::unix::fs::symlink("/dev/full", file).unwrap();
        }
        let error = numbered(500).iter().try_for_each(|record| shuffle.push(record)).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Output);
        let message = error.to_string();
        assert!(message.starts_with("can't write `") && message.ends_with(".bucket`"), "{message}");
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("No space left"), "{cause}");
        assert!(error.hint().unwrap().contains("free some space"), "{error:?}");
    }

    #[test]
    fn a_file_that_was_cut_is_an_error_and_the_end() {
        let folder = TempDir::new().unwrap();
        let place = folder.path().join("shuffle");
        let mut shuffle = Shuffle::with_limits(&place, 7, TINY).unwrap();
        numbered(500).iter().for_each(|record| shuffle.push(record).unwrap());
        for name in names(&place) {
            let file = File::options().write(true).open(place.join(name)).unwrap();
            file.set_len(file.metadata().unwrap().len() - 1).unwrap();
        }
        let mut records = shuffle.finish().unwrap();
        let error: Error = records.find_map(Result::err).unwrap();
        assert!(error.to_string().starts_with("can't read back `"), "{error}");
        assert!(records.next().is_none());
        assert_eq!(names(folder.path()), [""; 0]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn nothing_is_lost_and_nothing_made(
            records in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..200),
            seed: u64,
            buffered_bytes in 0_usize..2000,
            bucket_bytes in 0_u64..500,
        ) {
            let folder = TempDir::new().unwrap();
            let place = folder.path().join("shuffle");
            let held = shuffled(&place, seed, Limits::default(), &records).unwrap();
            let limits = Limits { buffered_bytes, bucket_bytes };
            prop_assert_eq!(&shuffled(&place, seed, limits, &records).unwrap(), &held);
            prop_assert_eq!(sorted(held), sorted(records));
            prop_assert!(!place.exists());
        }
    }
}
