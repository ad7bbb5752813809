//! Recovery after a kill. The killed process is this test binary, started again to run one of the `victim_` tests.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::open;
use crate::contract::{LANE, consume, number_of, publish, take_and_ack, work};

/// The environment variable with the victim's folder. Without it the victim tests do nothing.
const FOLDER: &str = "LOCKSTEP_TEST_VICTIM";
/// The prefixes of the victim's output lines, to find them among those of the test harness.
const CONFIRMED: &str = "confirmed ";
const TAKEN: &str = "taken ";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn confirmed_messages_survive_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut expected = BTreeSet::new();
    // Each round is killed at another point, and starts with the file of the previous rounds.
    for round in 0..3 {
        let lines = kill_after("victim_publishes", folder.path(), CONFIRMED, 100 + round * 37);
        expected.extend(said(&lines, CONFIRMED));
    }
    let bus = open(folder.path());
    publish(&bus, vec![work("0")]).await;
    let mut consumer = consume(&bus, LANE, 500).await;
    let mut found = BTreeSet::new();
    while !found.contains(&0) {
        let delivery = take_and_ack(&mut consumer, 1).await.remove(0);
        found.insert(number_of(&String::from_utf8_lossy(&delivery.body)));
    }
    let lost: Vec<&usize> = expected.difference(&found).collect();
    assert!(lost.is_empty(), "confirmed and lost: {lost:?}");
    assert!(expected.len() >= 300);
    bus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_taken_before_a_kill_are_redelivered() {
    let folder = tempfile::tempdir().unwrap();
    let lines = kill_after("victim_takes", folder.path(), TAKEN, 10);
    let taken = said(&lines, TAKEN);
    let bus = open(folder.path());
    let mut consumer = consume(&bus, LANE, 500).await;
    let deliveries = take_and_ack(&mut consumer, 20).await;
    for delivery in deliveries {
        let number = number_of(&String::from_utf8_lossy(&delivery.body));
        assert!(
            delivery.redelivered || !taken.contains(&number),
            "{number} was delivered before"
        );
    }
    // Messages published now were never delivered before.
    publish(&bus, vec![work("new")]).await;
    let new = take_and_ack(&mut consumer, 1).await.remove(0);
    assert!(!new.redelivered);
    bus.close().await;
}

/// Publishes from several tasks until it is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn victim_publishes() {
    let Some(folder) = folder_of_victim() else {
        return;
    };
    let bus = open(Path::new(&folder));
    let first = 1 + usize::try_from(std::process::id()).unwrap() * 1_000_000;
    let mut publishers = tokio::task::JoinSet::new();
    for publisher in 0..4 {
        let bus = bus.clone();
        publishers.spawn(async move {
            for number in (first + publisher..first + 1_000_000).step_by(4) {
                publish(&bus, vec![work(number)]).await;
                say(CONFIRMED, number);
            }
        });
    }
    publishers.join_all().await;
}

/// Takes ten of twenty messages and keeps them until it is killed.
#[tokio::test]
async fn victim_takes() {
    let Some(folder) = folder_of_victim() else {
        return;
    };
    let bus = open(Path::new(&folder));
    publish(&bus, (0..20).map(work).collect()).await;
    let mut consumer = consume(&bus, LANE, 10).await;
    let mut held = Vec::new();
    loop {
        let batch = consumer.take(10).await.unwrap();
        for delivery in &batch.deliveries {
            say(TAKEN, number_of(&String::from_utf8_lossy(&delivery.body)));
        }
        held.push(batch);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "how a child process of a test learns what it is"
)]
fn folder_of_victim() -> Option<OsString> {
    env::var_os(FOLDER)
}

/// Starts the victim, kills it after `count` lines with this beginning, and returns all its lines.
fn kill_after(victim: &str, folder: &Path, beginning: &str, count: usize) -> Vec<String> {
    let mut child = start(victim, folder);
    let output = child.stdout.take().expect("the output is a pipe");
    let mut heard = 0;
    let mut lines = Vec::new();
    for line in BufReader::new(output).lines() {
        let line = line.expect("the output is text");
        heard += usize::from(line.starts_with(beginning));
        lines.push(line);
        if heard == count {
            child.kill().expect("the victim can be killed");
        }
    }
    child.wait().expect("the victim has ended");
    assert!(heard >= count, "the victim ended by itself: {lines:?}");
    lines
}

fn start(victim: &str, folder: &Path) -> Child {
    Command::new(env::current_exe().expect("the test binary has a path"))
        .args([&format!("embedded::crash::{victim}"), "--exact", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the victim starts")
}

/// Prints one line and flushes it.
#[expect(clippy::disallowed_methods, reason = "the test reads these lines")]
fn say(beginning: &str, number: usize) {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{beginning}{number}").expect("the killer listens");
    output.flush().expect("the killer listens");
}

fn said(lines: &[String], beginning: &str) -> BTreeSet<usize> {
    lines
        .iter()
        .filter_map(|line| line.strip_prefix(beginning))
        .map(number_of)
        .collect()
}
