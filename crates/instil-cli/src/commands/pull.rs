//! `pull`: a model or dataset of the Hub into the cache.

use std::path::PathBuf;
use std::time::Duration;

use instil::{Error, Result};
use instil_remote::hub::{self, Config, Kind, Repo, Wanted};
use serde_json::json;

use crate::args::PullArgs;
use crate::progress::{Progress, catch_interrupts};
use crate::tables::plural;
use crate::{env, exit, output};

pub(crate) fn run(args: PullArgs) -> Result<u8> {
    let PullArgs { id, dataset, file, json: as_json, quiet } = args;
    let repo = Repo::parse(&id, if dataset { Kind::Dataset } else { Kind::Model })?;
    let config = hub_config()?;
    catch_interrupts()?;
    let mut progress = Progress::start(quiet);
    let pulled =
        hub::pull(&config, &repo, &Wanted { files: file }, &mut |transfer| progress.watch_transfer(transfer));
    progress.finish();
    let Some(pulled) = pulled? else {
        output::talk("interrupted; the same command goes on where this one stopped");
        return Ok(exit::INTERRUPTED);
    };
    if !quiet {
        let (short, found) = (&pulled.commit[..12], plural(pulled.files.len(), "file"));
        output::talk(&match (&pulled.unasked, pulled.fetched) {
            (Some(why), _) => format!("`{repo}` at {short}, as it was fetched before: {why}"),
            (None, 0) => format!("`{repo}` at {short}: {found}, all of them here already"),
            (None, fetched) => format!("`{repo}` at {short}: {found}, {fetched} of them fetched now"),
        });
    }
    if as_json {
        let object = json!({
            "repo": repo.id(),
            "commit": pulled.commit,
            "folder": pulled.folder,
            "files": pulled.files,
            "fetched": pulled.fetched,
        });
        output::data(&object.to_string());
    } else {
        output::data(&pulled.folder.display().to_string());
    }
    Ok(exit::DONE)
}

/// The Hub and its cache as the environment says, with the rules of `huggingface_hub`.
pub(crate) fn hub_config() -> Result<Config> {
    let home = || std::env::home_dir().map(|home| home.join(".cache"));
    let caches = || env::get(env::XDG_CACHE_HOME).map(expanded).or_else(home);
    let hf_home =
        env::get(env::HF_HOME).map(expanded).or_else(|| caches().map(|caches| caches.join("huggingface")));
    let cache =
        env::get(env::HF_HUB_CACHE).map(expanded).or_else(|| hf_home.as_ref().map(|home| home.join("hub")));
    let cache = cache.ok_or_else(|| {
        Error::usage("there is no home folder for the Hub's cache")
            .with_hint("name a folder with HF_HUB_CACHE")
    })?;
    // Where `hf auth login` leaves it.
    let kept = || std::fs::read_to_string(hf_home.as_ref()?.join("token")).ok();
    let mut config = Config::new(cache);
    config.token = env::get(env::HF_TOKEN).or_else(kept).map(|token| token.trim().to_owned());
    config.offline = env::is_on(env::HF_HUB_OFFLINE);
    if let Some(endpoint) = env::get(env::HF_ENDPOINT) {
        config.endpoint = endpoint;
    }
    if let Some(seconds) = env::get(env::HF_HUB_DOWNLOAD_TIMEOUT) {
        config.patience =
            seconds.parse().ok().filter(|seconds| *seconds > 0).map(Duration::from_secs).ok_or_else(
                || {
                    Error::usage(format!(
                        "{} is `{seconds}`, which is no number of seconds",
                        env::HF_HUB_DOWNLOAD_TIMEOUT
                    ))
                },
            )?;
    }
    Ok(config)
}

/// A path with `~` spelt out.
fn expanded(path: String) -> PathBuf {
    match (path.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(path),
    }
}
