//! `pull` and `push` against a Hub on 127.0.0.1.

mod loopback;
mod pull;
mod push;

use std::process::{Command, Output};

use loopback::{Hub, TOKEN};

use crate::support::Place;

/// So many bytes that don't repeat soon.
fn bytes(count: usize, seed: u8) -> Vec<u8> {
    (0..count).map(|i| ((i * i + i / 251) as u8).wrapping_add(seed)).collect()
}

/// The program with this Hub, and a cache in the place.
fn command(place: &Place, hub: &Hub, args: &[&str]) -> Command {
    let mut command = place.command(args);
    command.env("HF_ENDPOINT", &hub.url).env("HF_HOME", place.path("hf"));
    for variable in ["HF_TOKEN", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_HUB_DOWNLOAD_TIMEOUT"] {
        command.env_remove(variable);
    }
    command
}

fn run(place: &Place, hub: &Hub, args: &[&str]) -> Output {
    command(place, hub, args).output().unwrap()
}

/// The same with the token that is good.
fn run_with_token(place: &Place, hub: &Hub, args: &[&str]) -> Output {
    command(place, hub, args).env("HF_TOKEN", TOKEN).output().unwrap()
}

#[track_caller]
fn ok(output: &Output) -> String {
    assert!(output.status.success(), "{}", stderr(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[track_caller]
fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(2), "{}", stderr(output));
    assert!(output.stdout.is_empty());
    stderr(output)
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}
