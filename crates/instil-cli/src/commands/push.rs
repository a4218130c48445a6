//! `push`: a dataset to the Hub.

use indicatif::DecimalBytes;
use instil::Result;
use instil_remote::hub::{self, Kind, LocalFile, Push, Pushed, Repo};
use serde_json::json;

use super::pull::hub_config;
use crate::args::PushArgs;
use crate::progress::{Progress, catch_interrupts};
use crate::tables::plural;
use crate::{exit, output};

pub(crate) fn run(args: PushArgs) -> Result<u8> {
    let PushArgs { dataset, id, private, message, dry_run, json: as_json, quiet } = args;
    let repo = Repo::parse(&id, Kind::Dataset)?;
    let files = hub::local_files(&dataset)?;
    if dry_run {
        show(&repo, &files, as_json);
        return Ok(exit::DONE);
    }
    let name = dataset.canonicalize().unwrap_or(dataset.clone());
    let name = name.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let how = Push {
        private,
        message: message.unwrap_or_else(|| format!("{name}, by instil {}", env!("CARGO_PKG_VERSION"))),
        whole_dataset: dataset.is_dir(),
    };
    let config = hub_config()?;
    catch_interrupts()?;
    let mut progress = Progress::start(quiet);
    let pushed = hub::push(&config, &repo, &files, &how, &mut |transfer| progress.watch_transfer(transfer));
    progress.finish();
    let Some(pushed) = pushed? else {
        output::talk(
            "interrupted; nothing in the dataset has changed, and the same command sends only what is missing",
        );
        return Ok(exit::INTERRUPTED);
    };
    if !quiet {
        say(&repo, &pushed);
    }
    if as_json {
        let object = json!({
            "url": pushed.url,
            "commit": pushed.commit,
            "created": pushed.created,
            "sent": pushed.sent,
            "removed": pushed.removed,
            "unchanged": pushed.unchanged,
        });
        output::data(&object.to_string());
    } else {
        output::data(&pushed.url);
    }
    Ok(exit::DONE)
}

/// Prints what would be sent.
fn show(repo: &Repo, files: &[LocalFile], as_json: bool) {
    if as_json {
        let files: Vec<_> =
            files.iter().map(|file| json!({"path": file.path, "bytes": file.bytes})).collect();
        output::data(&json!({"repo": repo.id(), "branch": repo.revision(), "files": files}).to_string());
        return;
    }
    let bytes = files.iter().map(|file| file.bytes).sum();
    output::data(&format!(
        "would send to `{repo}`, as far as they aren't there: {}, {}",
        plural(files.len(), "file"),
        DecimalBytes(bytes)
    ));
    for file in files {
        output::data(&format!("  {} ({})", file.path, DecimalBytes(file.bytes)));
    }
}

fn say(repo: &Repo, pushed: &Pushed) {
    if pushed.created {
        output::talk(&format!("made the dataset `{}`", repo.id()));
    }
    let sent = plural(pushed.sent.len(), "file");
    let mut line = format!("`{repo}`: {sent} sent, {} there already", pushed.unchanged);
    if !pushed.removed.is_empty() {
        line += &format!(", {} of an earlier push removed", plural(pushed.removed.len(), "shard"));
    }
    output::talk(&line);
}
