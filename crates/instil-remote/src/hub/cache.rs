//! What there is on this machine: the folder of one repository in the cache.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use instil::{Error, Result};

use super::config::Config;
use super::listing::{self, RepoFile};
use super::pull::Wanted;
use super::repo::{Kind, Repo, is_commit};

/// A repository's folder.
pub(super) struct Cache {
    root: PathBuf,
    locks: PathBuf,
}

impl Cache {
    pub(super) fn of(config: &Config, repo: &Repo) -> Self {
        let folder = repo.folder();
        Self { locks: config.cache.join(".locks").join(&folder), root: config.cache.join(folder) }
    }

    pub(super) fn blob(&self, file: &RepoFile) -> PathBuf {
        self.root.join("blobs").join(file.name.digits())
    }

    pub(super) fn lock(&self, file: &RepoFile) -> PathBuf {
        self.locks.join(format!("{}.lock", file.name.digits()))
    }

    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.root.join("snapshots").join(commit)
    }

    /// The commit that a revision stood for when it was looked up last.
    pub(super) fn commit(&self, repo: &Repo) -> Option<String> {
        if let Some(commit) = repo.commit() {
            return Some(commit.to_owned());
        }
        let commit = fs::read_to_string(self.root.join("refs").join(repo.revision())).ok()?;
        Some(commit.trim().to_owned()).filter(|commit| is_commit(commit))
    }

    /// The list of a commit's files, if this program or `huggingface_hub` has kept it.
    pub(super) fn listing(&self, commit: &str) -> Option<Vec<RepoFile>> {
        [format!("{commit}.instil.json"), format!("{commit}.json")]
            .iter()
            .find_map(|name| listing::from_json(&fs::read(self.root.join("trees").join(name)).ok()?))
    }

    /// The snapshot of a commit, if all that is wanted of it is there.
    pub(super) fn complete(&self, commit: &str, repo: &Repo, wanted: &Wanted) -> Option<PathBuf> {
        let snapshot = self.snapshot(commit);
        let files = match self.listing(commit) {
            Some(files) => files,
            None => return self.looks_complete(&snapshot, repo, wanted).then_some(snapshot),
        };
        let wanted = listing::select(&files, wanted, repo).ok()?;
        let is_there = |file: &RepoFile| {
            fs::metadata(snapshot.join(&file.path))
                .is_ok_and(|found| found.is_file() && found.len() == file.bytes)
        };
        wanted.iter().all(is_there).then_some(snapshot)
    }

    /// The same without a list, for what an older `huggingface_hub` has fetched: every file of a pattern may be there or
    /// not, so one is enough; of a model, all weights that its index names.
    fn looks_complete(&self, snapshot: &Path, repo: &Repo, wanted: &Wanted) -> bool {
        let files = files_below(snapshot);
        let Ok(selected) = listing::select(&files, wanted, repo) else { return false };
        if repo.kind() == Kind::Dataset || !wanted.files.is_empty() {
            return true;
        }
        let has = |name: &str| selected.iter().any(|file| file.path == name);
        let ends = |ending: &str| selected.iter().any(|file| file.path.ends_with(ending));
        match fs::read(snapshot.join("model.safetensors.index.json")) {
            Ok(index) => {
                let index: serde_json::Value = serde_json::from_slice(&index).unwrap_or_default();
                let shards = index["weight_map"].as_object();
                shards.is_some_and(|shards| shards.values().all(|shard| shard.as_str().is_some_and(has)))
            }
            Err(_) => ends(".gguf") || ends(".safetensors"),
        }
    }

    /// Puts the files of a commit into its snapshot, then says what the revision stands for. Their blobs are there.
    ///
    /// # Errors
    /// When a folder, link or file can't be written.
    pub(super) fn place(
        &self,
        commit: &str,
        repo: &Repo,
        files: &[RepoFile],
        all: &[RepoFile],
    ) -> Result<()> {
        let snapshot = self.snapshot(commit);
        for file in files {
            let (blob, place) = (self.blob(file), snapshot.join(&file.path));
            link(&blob, &place, &file.path, make_link).map_err(|e| failed_to_write(&place, e))?;
        }
        let kept = self.root.join("trees").join(format!("{commit}.instil.json"));
        write_whole(&kept, &listing::to_json(all)).map_err(|e| failed_to_write(&kept, e))?;
        if repo.commit().is_none() {
            let kept = self.root.join("refs").join(repo.revision());
            let is_new = fs::read(&kept).ok().as_deref() != Some(commit.as_bytes());
            if is_new {
                write_whole(&kept, commit.as_bytes()).map_err(|e| failed_to_write(&kept, e))?;
            }
        }
        Ok(())
    }
}

/// What can't be written, and what to do about it.
pub(super) fn failed_to_write(path: &Path, error: io::Error) -> Error {
    use io::ErrorKind::{FileTooLarge, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    let hint = match error.kind() {
        StorageFull | QuotaExceeded | FileTooLarge => {
            "there is no room: free some, or name another folder with HF_HUB_CACHE; what has come over so far is kept"
        }
        PermissionDenied | ReadOnlyFilesystem => "name a folder that can be written with HF_HUB_CACHE",
        _ => "is the cache, HF_HUB_CACHE, where it should be?",
    };
    Error::output(format!("failed to write `{}`", path.display())).because(error).with_hint(hint)
}

/// The files below a folder, as far as a list of them is needed.
fn files_below(folder: &Path) -> Vec<RepoFile> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).into_iter().flatten().flatten() {
            let path = entry.path();
            // A link whose blob is gone is no file.
            match fs::metadata(&path) {
                Ok(found) if found.is_dir() => folders.push(path),
                Ok(found) => {
                    let parts = path.strip_prefix(folder).into_iter().flat_map(Path::iter);
                    let parts: Vec<_> = parts.map(|part| part.to_string_lossy()).collect();
                    let name = listing::Name::Git(String::new());
                    files.push(RepoFile { path: parts.join("/"), bytes: found.len(), name });
                }
                Err(_) => {}
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// Makes `place`, which is `path` in a snapshot, mean `blob`: a link relative to it, so that the cache can be moved;
/// where there are no links, another name of the same file, or a copy.
fn link(
    blob: &Path,
    place: &Path,
    path: &str,
    make: impl Fn(&Path, &Path) -> io::Result<()>,
) -> io::Result<()> {
    // Blobs may have been made anew under the same name, but never with other bytes.
    let same = |place: &Path| {
        fs::metadata(place).and_then(|there| Ok(there.len() == fs::metadata(blob)?.len())).unwrap_or(false)
    };
    if same(place) {
        return Ok(());
    }
    if let Some(folder) = place.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut target = PathBuf::from("../..");
    target.extend(path.split('/').skip(1).map(|_| ".."));
    target.extend(["blobs".as_ref(), blob.file_name().unwrap_or_default()]);
    let partial = beside(place);
    let made = make(&target, &partial)
        .or_else(|_| fs::hard_link(blob, &partial))
        .or_else(|_| fs::copy(blob, &partial).map(|_| ()))
        .and_then(|()| fs::rename(&partial, place));
    if made.is_err() {
        // The first failure is the one to tell.
        let _ = fs::remove_file(&partial);
    }
    made
}

#[cfg(unix)]
fn make_link(target: &Path, place: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, place)
}

#[cfg(windows)]
fn make_link(target: &Path, place: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(target, place)
}

#[cfg(not(any(unix, windows)))]
fn make_link(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Writes a small file so that nobody sees half of it.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let partial = beside(path);
    let mut file = File::create(&partial)?;
    io::Write::write_all(&mut file, bytes)?;
    drop(file);
    fs::rename(&partial, path)
}

/// A name beside a path that no other process or thread uses.
pub(super) fn beside(path: &Path) -> PathBuf {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}-{}.tmp", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_without_links_gets_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let (blob, place) = (folder.path().join("blobs/b"), folder.path().join("snapshots/c/a/x.json"));
        fs::create_dir_all(blob.parent().unwrap()).unwrap();
        fs::write(&blob, "{}").unwrap();
        link(&blob, &place, "a/x.json", |_, _| Err(io::ErrorKind::Unsupported.into())).unwrap();
        assert!(!fs::symlink_metadata(&place).unwrap().is_symlink());
        assert_eq!(fs::read(&place).unwrap(), b"{}");
        assert_eq!(fs::read_dir(place.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_relative_and_replaces_one_that_leads_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let (blob, place) = (folder.path().join("blobs/b"), folder.path().join("snapshots/c/a/x.json"));
        fs::create_dir_all(blob.parent().unwrap()).unwrap();
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        make_link(Path::new("../../../blobs/gone"), &place).unwrap();
        fs::write(&blob, "{}").unwrap();
        link(&blob, &place, "a/x.json", make_link).unwrap();
        assert_eq!(fs::read_link(&place).unwrap(), Path::new("../../../blobs/b"));
        assert_eq!(fs::read(&place).unwrap(), b"{}");
    }
}
