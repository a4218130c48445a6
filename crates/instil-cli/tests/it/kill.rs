//! kill -9 at any moment: the same command continues, and the bytes are those of a run that was left alone.

use std::process::Stdio;
use std::time::Duration;

use crate::server::{Reply, Server};
use crate::support::{Place, bytes};

pub(crate) fn corpus(documents: usize) -> String {
    (0..documents)
        .map(|i| {
            let text = format!(
                "The {i}th survey of Lake Orrin was led by Ada Brandt in {}. The team counted {} herons and {} grebes. \
                 Water samples were taken at Pine Point because the inflow had been dammed. The survey may be repeated in {}.",
                1900 + i % 100,
                i + 12,
                3 * i + 7,
                2001 + i % 20
            );
            format!("{{\"id\": \"s{i}\", \"text\": \"{text}\"}}\n")
        })
        .collect()
}

/// How many moments a run is killed at.
pub(crate) const MOMENTS: u32 = 20;

/// For each of 20 moments of a run that takes `whole`: begins anew, kills at that moment, and lets the same
/// command come to its end; gives how often the kill came before the end.
pub(crate) fn kill_at_moments(
    place: &Place,
    output: &str,
    args: &[&str],
    whole: Duration,
    same: impl Fn(),
) -> u32 {
    let mut kills = 0;
    for moment in 0..MOMENTS {
        if place.path(output).exists() {
            std::fs::remove_dir_all(place.path(output)).unwrap();
        }
        let mut child = place.command(args).stderr(Stdio::null()).spawn().unwrap();
        // Spread over the run, each a little off from a regular step.
        std::thread::sleep(whole * (moment * 37 + moment % 7) / (MOMENTS * 37));
        kills += u32::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
        place.ok(args);
        same();
    }
    kills
}

#[test]
fn a_run_against_an_endpoint_survives_a_kill_at_any_moment() {
    let server = Server::start(Duration::from_millis(4), |_| Reply::Answer);
    let place = Place::new();
    place.write("corpus.jsonl", corpus(100));
    let args = |output| {
        let endpoint = server.url.as_str();
        [
            "generate",
            "corpus.jsonl",
            "-o",
            output,
            "--endpoint",
            endpoint,
            "--task",
            "exqa,qa",
            "-n",
            "2",
            "--concurrency",
            "4",
        ]
    };
    let started = std::time::Instant::now();
    place.ok(&args("straight/out"));
    let whole = started.elapsed();
    let straight = bytes(&place.path("straight/out"));
    let calls = || server.calls.swap(0, std::sync::atomic::Ordering::Relaxed);
    let asked = calls();
    let kills = kill_at_moments(&place, "killed/out", &args("killed/out"), whole, || {
        assert!(straight == bytes(&place.path("killed/out")));
        assert!(!place.path("killed/out/run/partial").exists());
        // Only what was under way at the kill is asked again.
        let again = calls() - asked;
        assert!(again <= 8, "{again} calls were repeated");
    });
    assert!(kills >= MOMENTS / 4, "only {kills} kills came before the end");
}

#[test]
fn a_run_of_rules_survives_a_kill_at_any_moment_on_any_number_of_threads() {
    let place = Place::new();
    place.write("corpus.jsonl", corpus(2000));
    let run = |output, threads| {
        ["generate", "corpus.jsonl", "-o", output, "--threads", threads, "--shard-rows", "2000"]
    };
    place.ok(&run("straight/out", "1"));
    let straight = bytes(&place.path("straight/out"));
    assert!(straight.keys().filter(|name| name.starts_with("data/")).count() > 1, "several shards");
    let started = std::time::Instant::now();
    place.ok(&run("two/out", "2"));
    let whole = started.elapsed();
    assert!(straight == bytes(&place.path("two/out")), "1 and 2 threads differ");
    let kills = kill_at_moments(&place, "killed/out", &run("killed/out", "2"), whole, || {
        assert!(straight == bytes(&place.path("killed/out")));
    });
    assert!(kills >= MOMENTS / 4, "only {kills} kills came before the end");
}

#[test]
fn a_run_from_labelled_rows_survives_a_kill_at_any_moment() {
    let place = Place::with_leases();
    let row = |i: u32| {
        format!(
            "{{\"clause\": \"Clause {i}.\", \"question\": \"Who, {i}?\", \"answer\": \"{i}\", \"topic\": {}}}\n",
            i % 9
        )
    };
    place.write("rows.jsonl", (0..2000).map(row).collect::<String>());
    let run = |output| {
        let templates = "recipes/leases/templates.yaml";
        let args = ["remix", "rows.jsonl", "-o", output, "--templates", templates, "--template", "all"];
        [&args[..], &["--shuffle", "--split", "test=10%", "--shard-rows", "1000"]].concat()
    };
    let started = std::time::Instant::now();
    place.ok(&run("straight/out"));
    let whole = started.elapsed();
    let straight = bytes(&place.path("straight/out"));
    let kills = kill_at_moments(&place, "killed/out", &run("killed/out"), whole, || {
        assert!(straight == bytes(&place.path("killed/out")));
        assert!(!place.path("killed/out/run/partial").exists());
    });
    assert!(kills >= MOMENTS / 4, "only {kills} kills came before the end");
}

#[test]
fn a_server_that_fails_three_calls_of_ten_loses_nothing() {
    let whole = Server::start(Duration::ZERO, |_| Reply::Answer);
    let failing = Server::start(Duration::ZERO, |i| match i % 20 {
        3 => Reply::Status(429, "{\"error\": \"slow down\"}"),
        7 => Reply::Status(500, "oops"),
        9 => Reply::Status(503, ""),
        12 => Reply::Garbage,
        15 => Reply::Half,
        18 => Reply::Nothing,
        _ => Reply::Answer,
    });
    let place = Place::new();
    place.write("corpus.jsonl", corpus(60));
    for (server, output) in [(&whole, "whole.jsonl"), (&failing, "failing.jsonl")] {
        let args =
            ["generate", "corpus.jsonl", "-o", output, "--endpoint", &server.url, "--task", "exqa,qa", "-q"];
        // Of 120 calls that fail three times of ten, one in a dozen runs has one that fails six times in a row
        // and is given up; the same command asks for that one again.
        if !place.run(&args).status.success() && !place.run(&args).status.success() {
            place.ok(&args);
        }
    }
    let read = |name| std::fs::read_to_string(place.path(name)).unwrap();
    assert!(read("whole.jsonl").lines().count() > 60);
    assert_eq!(read("whole.jsonl"), read("failing.jsonl"));
}
