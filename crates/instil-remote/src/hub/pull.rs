//! A snapshot of a repository into the cache.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Mutex;

use instil::error::ErrorKind;
use instil::{Error, Result};

use super::cache::Cache;
use super::config::Config;
use super::download::{fetch, has};
use super::http::{Call, Client, Failure, Trouble, Why};
use super::listing::{self, RepoFile};
use super::repo::{Repo, is_commit, quoted};
use super::watch::{Counters, Transfer, watched};
use crate::endpoint::http::header;
use crate::endpoint::wait::Cancel;

/// What of a repository is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The files that match one of these patterns, in which `*` stands for any characters, `/` among them. Without one: of
    /// a dataset all; of a model the weights in safetensors, or else the one `.gguf` file, with settings, tokenizer
    /// and chat templates.
    pub files: Vec<String>,
}

/// A snapshot in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// Its folder, which holds the files under the paths that they have in the repository.
    pub folder: PathBuf,
    /// The commit.
    pub commit: String,
    /// What was wanted and is there, by its paths.
    pub files: Vec<String>,
    /// Files that were fetched now; the others were there.
    pub fetched: u64,
    /// Why nobody was asked, or nobody answered, if the snapshot is what was there before.
    pub unasked: Option<String>,
}

/// The snapshot of a repository, if what is wanted of it is in the cache; nothing is sent.
pub fn find(config: &Config, repo: &Repo, wanted: &Wanted) -> Option<Pulled> {
    let cache = Cache::of(config, repo);
    let commit = cache.commit(repo)?;
    let folder = cache.complete(&commit, repo, wanted)?;
    let files = cache.listing(&commit).and_then(|files| listing::select(&files, wanted, repo).ok());
    let files = files.unwrap_or_default().into_iter().map(|file| file.path).collect();
    Some(Pulled { folder, commit, files, fetched: 0, unasked: None })
}

/// Brings what is wanted of a repository into the cache, and gives its snapshot; none if `watch` broke off, in which
/// case the same call goes on where this one stopped.
///
/// The Hub is asked what the revision stands for now, unless it is a commit that is there in full. If nobody can be reached
/// and an older snapshot is there, that is given, and [`Pulled::unasked`] says why.
///
/// # Errors
/// When the repository, the revision or a file isn't there or isn't given to this token, the Hub isn't reached, a file
/// arrives otherwise than the Hub lists it, or the cache can't be written; offline, when it isn't in the cache.
pub fn pull(
    config: &Config,
    repo: &Repo,
    wanted: &Wanted,
    watch: &mut dyn FnMut(&Transfer) -> ControlFlow<()>,
) -> Result<Option<Pulled>> {
    if config.offline || repo.commit().is_some() {
        let found = find(config, repo, wanted);
        if let Some(found) = found {
            let unasked = Some("it is in the cache".to_owned());
            return Ok(Some(Pulled { unasked, ..found }));
        }
    }
    if config.offline {
        return Err(missing_offline(config, repo));
    }
    let (stop, counters) = (Cancel::default(), Counters::default());
    let client = Client::new(config, repo, &stop, ErrorKind::Input)?;
    match watched(&stop, &counters, watch, || snapshot(&client, wanted, &counters)) {
        Ok(pulled) => Ok(Some(pulled)),
        Err(failure) if failure.why == Why::Stopped => Ok(None),
        Err(failure) if failure.why == Why::Unreachable => match find(config, repo, wanted) {
            Some(found) => Ok(Some(Pulled { unasked: Some(failure.error.to_string()), ..found })),
            None => Err(failure.error),
        },
        Err(failure) => Err(failure.error),
    }
}

fn missing_offline(config: &Config, repo: &Repo) -> Error {
    let flag = if repo.kind() == super::Kind::Dataset { " --dataset" } else { "" };
    Error::input(format!(
        "the {} `{repo}` is not in the cache `{}`, or not all that is wanted of it",
        repo.kind().word(),
        config.cache.display()
    ))
    .with_hint(format!("HF_HUB_OFFLINE is set: without it `instil pull {repo}{flag}` fetches it"))
}

fn snapshot(client: &Client<'_>, wanted: &Wanted, counters: &Counters) -> Result<Pulled, Failure> {
    let commit = commit_of(client)?.commit;
    let cache = Cache::of(client.config, client.repo);
    // What a commit holds stays so.
    let all = match cache.listing(&commit) {
        Some(files) => files,
        None => list(client, &commit)?,
    };
    let selected = listing::select(&all, wanted, client.repo)?;
    // Two paths may have the same bytes.
    let mut missing: Vec<&RepoFile> = Vec::new();
    for file in &selected {
        let is_known = missing.iter().any(|other| other.name == file.name);
        if !is_known && !has(&cache.blob(file), file) {
            counters.expect(file.bytes);
            missing.push(file);
        }
    }
    at_once(client, &missing, |file| fetch(client, &cache, &commit, file, counters))?;
    let fetched = missing.len() as u64;
    cache.place(&commit, client.repo, &selected, &all)?;
    Ok(Pulled {
        folder: cache.snapshot(&commit),
        commit,
        files: selected.into_iter().map(|file| file.path).collect(),
        fetched,
        unasked: None,
    })
}

/// A revision, looked up.
pub(super) struct Found {
    pub(super) commit: String,
    pub(super) private: bool,
}

/// What the revision stands for now.
pub(super) fn commit_of(client: &Client<'_>) -> Result<Found, Failure> {
    let repo = client.repo;
    let url = client.api(&format!("/revision/{}", quoted(repo.revision(), false)));
    let answer = client.json(&format!("look up `{repo}`"), &Call::get(url))?;
    match answer["sha"].as_str().filter(|sha| is_commit(sha)) {
        Some(sha) => {
            Ok(Found { commit: sha.to_owned(), private: answer["private"].as_bool().unwrap_or(false) })
        }
        None => {
            let error = client
                .error(format!("the Hub at `{}` names no commit for `{repo}`", client.base))
                .with_hint("is HF_ENDPOINT the address of the Hub, or of one of its mirrors?");
            Err(error.into())
        }
    }
}

/// All files of a commit.
pub(super) fn list(client: &Client<'_>, commit: &str) -> Result<Vec<RepoFile>, Failure> {
    /// More pages than any repository has.
    const PAGES: usize = 10_000;
    let doing = format!("list the files of `{}`", client.repo);
    let mut next = Some(client.api(&format!("/tree/{commit}?recursive=true&expand=false")));
    let mut files = Vec::new();
    for _ in 0..PAGES {
        let Some(url) = next else { return Ok(files) };
        let (page, headers) = client.json_and_headers(&doing, &Call::get(url))?;
        files.extend(listing::files_of(page).map_err(|what| odd_list(client, &what))?);
        next = header(&headers, "link").and_then(next_page);
    }
    Err(odd_list(client, "the list of files has no end"))
}

fn odd_list(client: &Client<'_>, what: &str) -> Failure {
    client
        .error(format!("the Hub at `{}` answers oddly about `{}`: {what}", client.base, client.repo))
        .with_hint("is HF_ENDPOINT the address of the Hub, or of one of its mirrors?")
        .into()
}

/// The address of the next page in a header `link: <URL>; rel="next"`.
fn next_page(link: &str) -> Option<String> {
    let (url, _) = link.split(',').find_map(|one| {
        let (url, rest) = one.trim().strip_prefix('<')?.split_once('>')?;
        rest.contains("rel=\"next\"").then_some((url, rest))
    })?;
    Some(url.to_owned())
}

/// Does something with each of these on threads. The first failure stops the others.
pub(super) fn at_once<T: Sync>(
    client: &Client<'_>,
    all: &[T],
    one: impl Fn(&T) -> Result<(), Failure> + Sync,
) -> Result<(), Failure> {
    let queue = Mutex::new((all.iter(), None::<Failure>));
    let lock = || queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    std::thread::scope(|scope| {
        for _ in 0..client.config.concurrency.get().min(all.len()) {
            scope.spawn(|| {
                loop {
                    let next = {
                        let mut queue = lock();
                        if queue.1.is_some() { None } else { queue.0.next() }
                    };
                    let Some(next) = next else { return };
                    if let Err(failure) = one(next) {
                        let first = &mut lock().1;
                        // Those that stop because of a failure are not the failure.
                        if first.as_ref().is_none_or(|first| first.why == Why::Stopped) {
                            *first = Some(failure);
                        }
                        client.stop.raise();
                    }
                }
            });
        }
    });
    match queue.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner).1 {
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}

/// A trouble that is known to last.
impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Failure::from(error).into()
    }
}

#[cfg(test)]
mod tests {
    use super::next_page;

    #[test]
    fn the_next_page_is_the_one_called_so() {
        let link = "<https://x/a?cursor=1>; rel=\"prev\", <https://x/a?cursor=3>; rel=\"next\"";
        assert_eq!(next_page(link).as_deref(), Some("https://x/a?cursor=3"));
        assert_eq!(next_page("<https://x/a>; rel=\"last\""), None);
    }
}
