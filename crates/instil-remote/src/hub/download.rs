//! One file of a repository on its way into the cache: continued where it broke off, checked, and named last.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::cache::{Cache, beside, failed_to_write};
use super::digest::{Hasher, feed};
use super::http::{Call, Client, Failure, Trouble, Why};
use super::listing::RepoFile;
use super::repo::quoted;
use super::watch::Counters;
use crate::endpoint::http::header;

/// How much is read at once.
const PIECE: usize = 256 << 10;
/// Between two looks at a lock that another process holds.
const LOCKED: Duration = Duration::from_millis(200);
/// Attempts begin to be counted anew when one has brought this much.
const PROGRESS: u64 = 8 << 20;

/// Brings one file of a commit into the cache; the blob is there and right when this has succeeded.
pub(super) fn fetch(
    client: &Client<'_>,
    cache: &Cache,
    commit: &str,
    file: &RepoFile,
    counters: &Counters,
) -> Result<(), Failure> {
    let blob = cache.blob(file);
    let mut partial = blob.with_extension("incomplete");
    for folder in [&blob, &cache.lock(file)].into_iter().filter_map(|path| path.parent()) {
        fs::create_dir_all(folder).map_err(|e| failed_to_write(folder, e))?;
    }
    let lock = lock(client, &cache.lock(file))?;
    if lock.is_none() {
        // Where files can't be locked two processes must not write to one.
        partial = beside(&blob);
    }
    if !has(&blob, file) {
        let mut arriving = Arriving { client, commit, file, partial, counters, hasher: None, counted: 0 };
        arriving.whole()?;
        fs::rename(&arriving.partial, &blob).map_err(|e| failed_to_write(&blob, e))?;
    } else {
        // Another process was faster.
        counters.add_bytes(file.bytes);
    }
    counters.file_done();
    Ok(())
}

/// Whether a file's blob is there.
pub(super) fn has(blob: &Path, file: &RepoFile) -> bool {
    fs::metadata(blob).is_ok_and(|found| found.is_file() && found.len() == file.bytes)
}

/// Waits until no other process fetches the same blob; none where files can't be locked.
fn lock(client: &Client<'_>, path: &Path) -> Result<Option<File>, Failure> {
    let file = File::create(path).map_err(|e| failed_to_write(path, e))?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::Error(_)) => return Ok(None),
            Err(TryLockError::WouldBlock) if client.stop.is_raised() => return Err(client.stopped()),
            Err(TryLockError::WouldBlock) => client.stop.wait(LOCKED),
        }
    }
}

struct Arriving<'a> {
    client: &'a Client<'a>,
    commit: &'a str,
    file: &'a RepoFile,
    partial: PathBuf,
    counters: &'a Counters,
    /// What the bytes in `partial` come to, and how many they are, if they were all seen.
    hasher: Option<(Hasher, u64)>,
    /// Bytes that are counted as done.
    counted: u64,
}

impl Arriving<'_> {
    /// Asks until the file is there with the bytes that the Hub lists.
    fn whole(&mut self) -> Result<(), Failure> {
        let doing = format!("fetch `{}` of `{}`", self.file.path, self.client.repo);
        let mut corrupt = 0;
        loop {
            let before = self.counted;
            let arrived = self.client.patiently(&doing, || {
                match self.attempt() {
                    // So much came that the next failure is another one; the attempts are counted anew below.
                    Err(Trouble::Passing { .. }) if self.counted >= before + PROGRESS => Ok(false),
                    Err(trouble) => Err(trouble),
                    Ok(()) => Ok(true),
                }
            })?;
            if !arrived {
                continue;
            }
            let found = self.hasher.take().map(|(hasher, _)| hasher.finish()).unwrap_or_default();
            if found == self.file.name.digits() {
                return Ok(());
            }
            self.restart()?;
            corrupt += 1;
            if corrupt == 2 {
                let error = self
                    .client
                    .error(format!(
                        "`{}` of `{}` arrived twice with other bytes than the Hub lists: {found} and not {}",
                        self.file.path,
                        self.client.repo,
                        self.file.name.digits()
                    ))
                    .with_hint(
                        "something between here and the Hub changes files: a proxy, a mirror, a failing disk",
                    );
                return Err(error.into());
            }
        }
    }

    /// Throws away what has arrived.
    fn restart(&mut self) -> Result<(), Failure> {
        self.counters.take_back(self.counted);
        self.counted = 0;
        self.hasher = None;
        match fs::remove_file(&self.partial) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(failed_to_write(&self.partial, e).into()),
            _ => Ok(()),
        }
    }

    /// One request for what is missing.
    fn attempt(&mut self) -> Result<(), Trouble> {
        let failed = |path: &Path, e| Trouble::from(Failure::from(failed_to_write(path, e)));
        let mut have = fs::metadata(&self.partial).map_or(0, |found| found.len());
        if have > self.file.bytes {
            self.restart()?;
            have = 0;
        }
        if !matches!(&self.hasher, Some((_, seen)) if *seen == have) {
            let mut hasher = Hasher::for_name(&self.file.name, self.file.bytes);
            if have > 0 {
                have = feed(&mut hasher, &self.partial).map_err(|e| failed(&self.partial, e))?;
            }
            self.hasher = Some((hasher, have));
        }
        self.counters.add_bytes(have.saturating_sub(self.counted));
        self.counted = self.counted.max(have);
        let mut open = OpenOptions::new();
        let mut file =
            open.append(true).create(true).open(&self.partial).map_err(|e| failed(&self.partial, e))?;
        if have < self.file.bytes {
            self.rest(&mut file, have)?;
        }
        // A blob with its name on it has to be whole after a power cut, too.
        file.sync_all().map_err(|e| failed(&self.partial, e))
    }

    /// Reads from byte `have` on.
    fn rest(&mut self, file: &mut File, have: u64) -> Result<(), Trouble> {
        let client = self.client;
        let (page, path) = (client.page(), quoted(&self.file.path, true));
        let mut call = Call::get(format!("{page}/resolve/{}/{path}", self.commit))
            // Sizes and ranges are those of the file itself.
            .with("accept-encoding", "identity");
        if have > 0 {
            call = call.with("range", format!("bytes={have}-"));
        }
        let response = match client.open(&call) {
            Err(Trouble::Lasting(failure)) if failure.why == Why::Range => {
                self.restart_in(file)?;
                return Err(Trouble::passing(failure.error.to_string()));
            }
            opened => opened?,
        };
        if have > 0 && !continues(&response, have) {
            // It begins with the first byte, or says nothing about it.
            self.restart_in(file)?;
        }
        if response.status() != 200 && self.counted == 0 {
            return Err(Trouble::passing("a part came that was not asked for"));
        }
        let mut body = response.into_body().into_with_config().limit(u64::MAX).reader();
        let mut piece = vec![0; PIECE];
        while self.counted < self.file.bytes {
            if client.stop.is_raised() {
                return Err(client.stopped().into());
            }
            let read =
                body.read(&mut piece).map_err(|e| Trouble::passing(format!("the file broke off: {e}")))?;
            if read == 0 {
                return Err(Trouble::passing(format!(
                    "the file ended after {} of {} bytes",
                    self.counted, self.file.bytes
                )));
            }
            let left = usize::try_from(self.file.bytes - self.counted).unwrap_or(usize::MAX);
            if read > left {
                return Err(Trouble::passing("more bytes came than the Hub lists"));
            }
            file.write_all(&piece[..read]).map_err(|e| Failure::from(failed_to_write(&self.partial, e)))?;
            if let Some((hasher, seen)) = &mut self.hasher {
                hasher.update(&piece[..read]);
                *seen += read as u64;
            }
            self.counted += read as u64;
            self.counters.add_bytes(read as u64);
        }
        Ok(())
    }

    /// Begins with the first byte in a file that is open.
    fn restart_in(&mut self, file: &File) -> Result<(), Failure> {
        file.set_len(0).map_err(|e| failed_to_write(&self.partial, e))?;
        self.counters.take_back(self.counted);
        self.counted = 0;
        self.hasher = Some((Hasher::for_name(&self.file.name, self.file.bytes), 0));
        Ok(())
    }
}

/// Whether an answer goes on at byte `have`.
fn continues(response: &ureq::http::Response<ureq::Body>, have: u64) -> bool {
    let range = header(response.headers(), "content-range").unwrap_or_default();
    response.status() == 206
        && range.strip_prefix("bytes ").is_some_and(|range| range.starts_with(&format!("{have}-")))
}
