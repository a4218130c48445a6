//! kill -9 at any moment: the same command continues, and the bytes are those of a run that was left alone.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::server::{Reply, Server};
use crate::support::{Place, bytes};

fn corpus(documents: usize) -> String {
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

/// Kills the command after growing times until it comes to its end by itself; gives the number of kills.
fn kill_until_done(place: &Place, args: &[&str], step: Duration) -> u32 {
    for kills in 0..200 {
        let mut child = place.command(args).stderr(Stdio::null()).spawn().unwrap();
        // 20 moments spread over the run by steps that share no factor with its parts.
        let patience = step * (1 + (kills * 7) % 20) + step * (kills / 20) * 20;
        let deadline = std::time::Instant::now() + patience;
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                assert!(status.success(), "{args:?}");
                return kills;
            }
            if std::time::Instant::now() >= deadline {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    panic!("the run never came to its end");
}

#[test]
fn a_run_against_an_endpoint_survives_any_kill() {
    let server = Server::start(Duration::from_millis(4), |_| Reply::Answer);
    let place = Place::new();
    place.write("corpus.jsonl", corpus(150));
    let args = |output| {
        [
            "generate",
            "corpus.jsonl",
            "-o",
            output,
            "--endpoint",
            &server.url,
            "--task",
            "exqa,qa",
            "-n",
            "2",
            "--concurrency",
            "4",
        ]
        .map(str::to_owned)
    };
    let straight = args("straight/out");
    place.ok(&straight.each_ref().map(String::as_str));
    let asked = server.calls.swap(0, std::sync::atomic::Ordering::Relaxed);

    let killed = args("killed/out");
    let kills = kill_until_done(&place, &killed.each_ref().map(String::as_str), Duration::from_millis(12));
    assert!(kills >= 5, "only {kills} kills: the run is too short to prove anything");
    assert!(bytes(&place.path("straight/out")) == bytes(&place.path("killed/out")));
    // Only what was under way at a kill is asked again: twice the concurrency at the most.
    let again = server.calls.load(std::sync::atomic::Ordering::Relaxed) - asked;
    assert!(again <= kills as usize * 8, "{again} calls were repeated over {kills} kills");
    assert!(!Path::new(&place.path("killed/out/run/partial")).exists());
}

#[test]
fn a_run_of_rules_survives_any_kill_on_any_number_of_threads() {
    let place = Place::new();
    place.write("corpus.jsonl", corpus(3000));
    let run = |output, threads| {
        ["generate", "corpus.jsonl", "-o", output, "--threads", threads, "--shard-rows", "2000"]
    };
    place.ok(&run("straight/out", "1"));
    let straight = bytes(&place.path("straight/out"));
    assert!(straight.keys().filter(|name| name.starts_with("data/")).count() > 1, "several shards");
    place.ok(&run("two/out", "2"));
    assert!(straight == bytes(&place.path("two/out")), "1 and 2 threads differ");
    kill_until_done(&place, &run("killed/out", "2"), Duration::from_millis(60));
    assert!(straight == bytes(&place.path("killed/out")));
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
        place.ok(&[
            "generate",
            "corpus.jsonl",
            "-o",
            output,
            "--endpoint",
            &server.url,
            "--task",
            "exqa,qa",
            "-q",
        ]);
    }
    let read = |name| std::fs::read_to_string(place.path(name)).unwrap();
    assert!(read("whole.jsonl").lines().count() > 60);
    assert_eq!(read("whole.jsonl"), read("failing.jsonl"));
}
