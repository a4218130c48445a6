//! A dataset from this machine to the Hub: what of it is new there, sent, then named in one commit.

use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use instil::error::ErrorKind;
use instil::{Error, Result};
use serde_json::{Value, json};

use super::commit::{Operation, commit};
use super::config::Config;
use super::digest::{Hasher, feed};
use super::http::{Call, Client, Failure, Why};
use super::lfs::{self, Large};
use super::listing::RepoFile;
use super::local::{LocalFile, is_shard};
use super::pull::{commit_of, list};
use super::repo::{Kind, Repo, quoted};
use super::watch::{Counters, Transfer, watched};
use crate::endpoint::wait::Cancel;

/// Files that one request asks about; the Hub takes no more.
const BATCH: usize = 256;
/// Bytes of a file's begin by which the Hub tells text from anything else.
const SAMPLE: u64 = 512;

/// How something is pushed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Push {
    /// A repository that is made is private, and one that is there has to be.
    pub private: bool,
    /// The commit's message.
    pub message: String,
    /// Shards in the repository that the new dataset hasn't are removed from it; otherwise `load_dataset` would read
    /// them along.
    pub whole_dataset: bool,
}

/// What a push came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// The page of the dataset, or of the branch.
    pub url: String,
    /// The commit that holds everything.
    pub commit: String,
    /// Whether the repository was made.
    pub created: bool,
    /// The paths that are new or have new bytes.
    pub sent: Vec<String>,
    /// The paths that are gone.
    pub removed: Vec<String>,
    /// How many files were there already.
    pub unchanged: u64,
}

/// Sends files to a dataset on the Hub, which is made if it isn't there, and its branch too. Files that are there with the
/// same bytes are not sent again, so that a push that broke off is finished by the same call. None if `watch` broke
/// off; then nothing in the repository has changed.
///
/// # Errors
/// Without a token, offline, for a commit in place of a branch, if a repository that has to be private isn't; when the
/// token may not write, the Hub isn't reached, or somebody else changes the branch at the same time.
pub fn push(
    config: &Config,
    repo: &Repo,
    files: &[LocalFile],
    how: &Push,
    watch: &mut dyn FnMut(&Transfer) -> ControlFlow<()>,
) -> Result<Option<Pushed>> {
    if repo.kind() != Kind::Dataset || !repo.id().contains('/') {
        return Err(Error::usage(format!("`{repo}` has no owner"))
            .with_hint("name the dataset `owner/name`, with your name or your organisation's"));
    }
    if repo.commit().is_some() {
        return Err(Error::usage(format!("`{repo}` names a commit, which can't be changed"))
            .with_hint("name a branch behind the `@`"));
    }
    if config.offline {
        return Err(Error::usage("HF_HUB_OFFLINE is set, and a push goes to the Hub").with_hint("unset it"));
    }
    let (stop, counters) = (Cancel::default(), Counters::default());
    let client = Client::new(config, repo, &stop, ErrorKind::Output)?;
    if !client.has_token() {
        return Err(Error::usage("a push needs a token").with_hint(format!(
            "make one with the right to write at {}/settings/tokens and set HF_TOKEN to it",
            client.base
        )));
    }
    match watched(&stop, &counters, watch, || publish(&client, files, how, &counters)) {
        Ok(pushed) => Ok(Some(pushed)),
        Err(failure) if failure.why == Why::Stopped => Ok(None),
        Err(failure) => Err(failure.error),
    }
}

fn publish(
    client: &Client<'_>,
    files: &[LocalFile],
    how: &Push,
    counters: &Counters,
) -> Result<Pushed, Failure> {
    let (parent, created) = branch(client, how)?;
    let plan = Plan::of(client, &parent, files, how)?;
    let mut pushed = Pushed {
        url: match client.repo.revision() {
            "main" => client.page(),
            branch => format!("{}/tree/{}", client.page(), quoted(branch, false)),
        },
        commit: parent.clone(),
        created,
        sent: plan.changed.iter().map(|file| file.path.clone()).collect(),
        removed: plan.stale.clone(),
        unchanged: (files.len() - plan.changed.len()) as u64,
    };
    if plan.is_empty() {
        return Ok(pushed);
    }
    for file in &plan.changed {
        counters.expect(file.bytes);
    }
    let modes = upload_modes(client, &plan.changed)?;
    let mut operations: Vec<Operation<'_>> = Vec::new();
    let mut large = Vec::new();
    for file in &plan.changed {
        // The store of large files takes no empty ones.
        if file.bytes > 0 && modes.get(&file.path) == Some(&Mode::Large) {
            large.push(Large { file, sha256: hashed(client, file, Hasher::sha256())? });
        } else {
            operations.push(Operation::Small(file));
        }
    }
    for batch in large.chunks(BATCH) {
        lfs::upload(client, batch, counters)?;
    }
    operations.extend(large.iter().map(Operation::Large));
    operations.extend(plan.stale.iter().map(|path| Operation::Remove(path)));
    pushed.commit = match commit(client, &parent, &how.message, &operations) {
        // An answer that was lost looks as if somebody else had been faster.
        Err(failure) if failure.why == Why::Stale => {
            let now = commit_of(client)?.commit;
            if Plan::of(client, &now, files, how)?.is_empty() { now } else { return Err(failure) }
        }
        done => done?,
    };
    for file in &plan.changed {
        if modes.get(&file.path) != Some(&Mode::Large) {
            counters.add_bytes(file.bytes);
            counters.file_done();
        }
    }
    Ok(pushed)
}

/// The commit at the head of the branch, and whether the repository had to be made.
fn branch(client: &Client<'_>, how: &Push) -> Result<(String, bool), Failure> {
    let repo = client.repo;
    let created = match commit_of(client) {
        Ok(found) if how.private && !found.private => {
            let error = client
                .error(format!(
                    "the dataset `{}` is there and public, and --private asks for a private one",
                    repo.id()
                ))
                .with_hint(format!("make it private at {}/settings, or leave out --private", client.page()));
            return Err(error.into());
        }
        Ok(found) => return Ok((found.commit, false)),
        Err(failure) if failure.why == Why::NoRepo => {
            create(client, how)?;
            true
        }
        Err(failure) if failure.why == Why::NoRevision => false,
        Err(failure) => return Err(failure),
    };
    if repo.revision() != "main" {
        let url = client.api(&format!("/branch/{}", quoted(repo.revision(), false)));
        match client.json(&format!("make the branch `{}`", repo.revision()), &Call::post(url, &json!({}))) {
            Err(failure) if failure.why != Why::Conflict => return Err(failure),
            _ => {}
        }
    }
    let found = commit_of(client)?;
    if how.private && !found.private {
        let error = client
            .error(format!("the dataset `{}` is public, and --private asks for a private one", repo.id()))
            .with_hint(format!("make it private at {}/settings, or leave out --private", client.page()));
        return Err(error.into());
    }
    Ok((found.commit, created))
}

fn create(client: &Client<'_>, how: &Push) -> Result<(), Failure> {
    let (owner, name) = client.repo.id().split_once('/').unwrap_or_default();
    let mut asked = json!({"type": "dataset", "organization": owner, "name": name});
    if how.private {
        asked["private"] = Value::Bool(true);
    }
    let url = format!("{}/api/repos/create", client.base);
    match client.json(&format!("make the dataset `{}`", client.repo.id()), &Call::post(url, &asked)) {
        // Somebody made it in between.
        Err(failure) if failure.why == Why::Conflict => Ok(()),
        done => done.map(|_| ()),
    }
}

/// What of the files is new, and what in the repository is old.
struct Plan<'a> {
    changed: Vec<&'a LocalFile>,
    stale: Vec<String>,
}

impl<'a> Plan<'a> {
    fn of(client: &Client<'_>, commit: &str, files: &'a [LocalFile], how: &Push) -> Result<Self, Failure> {
        let there = list(client, commit)?;
        let by_path: BTreeMap<&str, &RepoFile> =
            there.iter().map(|file| (file.path.as_str(), file)).collect();
        let mut changed = Vec::new();
        for file in files {
            let same = match by_path.get(file.path.as_str()) {
                Some(other) if other.bytes == file.bytes => {
                    let hasher = Hasher::for_name(&other.name, file.bytes);
                    hashed(client, file, hasher)? == other.name.digits()
                }
                _ => false,
            };
            if !same {
                changed.push(file);
            }
        }
        let mine: HashSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
        let stale =
            by_path.into_keys().filter(|path| is_shard(path) && !mine.contains(path)).map(str::to_owned);
        Ok(Self { changed, stale: if how.whole_dataset { stale.collect() } else { Vec::new() } })
    }

    fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.stale.is_empty()
    }
}

/// A file's digest; a file that has grown or shrunk since it was looked at is refused.
fn hashed(client: &Client<'_>, file: &LocalFile, mut hasher: Hasher) -> Result<String, Failure> {
    match feed(&mut hasher, &file.file) {
        Ok(bytes) if bytes == file.bytes => Ok(hasher.finish()),
        Ok(_) => Err(changing(client, &file.file)),
        Err(e) => Err(client.error(format!("failed to read `{}`", file.file.display())).because(e).into()),
    }
}

/// What is said of a file that changes while it is sent.
pub(super) fn changing(client: &Client<'_>, file: &Path) -> Failure {
    let error = client
        .error(format!("`{}` changes while it is sent", file.display()))
        .with_hint("is another run writing it? push again when it is finished");
    error.into()
}

/// How the Hub wants a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// In the commit.
    Small,
    /// In the store of large files.
    Large,
}

/// Asks the Hub how it wants each file.
fn upload_modes(client: &Client<'_>, files: &[&LocalFile]) -> Result<BTreeMap<String, Mode>, Failure> {
    let url = client.api(&format!("/preupload/{}", quoted(client.repo.revision(), false)));
    let mut modes = BTreeMap::new();
    for batch in files.chunks(BATCH) {
        let asked = batch.iter().map(|file| {
            Ok(json!({"path": file.path, "size": file.bytes, "sample": STANDARD.encode(sample(client, file)?)}))
        });
        let asked = json!({"files": asked.collect::<Result<Vec<_>, Failure>>()?});
        let answer = client.json("ask how files are to be sent", &Call::post(url.clone(), &asked))?;
        for file in answer["files"].as_array().into_iter().flatten() {
            let Some(path) = file["path"].as_str() else { continue };
            if file["shouldIgnore"].as_bool() == Some(true) {
                let error = client
                    .error(format!("the dataset's .gitignore leaves out `{path}`"))
                    .with_hint(format!("change it at {}/blob/main/.gitignore", client.page()));
                return Err(error.into());
            }
            let mode = if file["uploadMode"] == "lfs" { Mode::Large } else { Mode::Small };
            modes.insert(path.to_owned(), mode);
        }
    }
    match files.iter().find(|file| !modes.contains_key(&file.path)) {
        None => Ok(modes),
        Some(file) => Err(client
            .error(format!("the Hub at `{}` doesn't say how it wants `{}`", client.base, file.path))
            .with_hint("is HF_ENDPOINT the address of the Hub?")
            .into()),
    }
}

/// The first bytes of a file.
fn sample(client: &Client<'_>, file: &LocalFile) -> Result<Vec<u8>, Failure> {
    let mut sample = Vec::new();
    std::fs::File::open(&file.file)
        .and_then(|open| std::io::Read::read_to_end(&mut std::io::Read::take(open, SAMPLE), &mut sample))
        .map_err(|e| client.error(format!("failed to read `{}`", file.file.display())).because(e))?;
    Ok(sample)
}
