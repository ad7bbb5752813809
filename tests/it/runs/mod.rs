//! Run lanes: messages are coalesced by key, keys run concurrently, and each message is settled however its run ends.

mod acting;
mod cancelling;
mod follow_ups;
mod poison;
mod scripted;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lockstep_protocol::topology::Lane;
use lockstep_protocol::{Code, Envelope};
use lockstep_worker::handlers::Rejection;
use lockstep_worker::runtime::{ProcessingError, RunEnd, RunLaneOptions};
use tokio::sync::Semaphore;

use crate::system::load::dead;
use crate::system::{Expected, Sent};
use scripted::{ALONE, Place, Run, Scripted, applied, in_batches, message, options, options_of};

const APPLIED: Expected = Expected::Applied { flags: None };

fn all_applied<'a>(messages: impl IntoIterator<Item = &'a Envelope>) -> Sent {
    let messages = messages.into_iter();
    messages
        .map(|message| (message.identity.clone(), APPLIED))
        .collect()
}

/// A runner whose runs each wait for a permit and then apply all messages.
fn gated() -> (Arc<Scripted>, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let opened = gate.clone();
    let runner = Scripted::new(move |run: Run| {
        let gate = opened.clone();
        async move {
            gate.acquire().await.expect("it is never closed").forget();
            run.applied()
        }
    });
    (runner, gate)
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_arrive_during_a_run_share_the_next_run() -> Result<()> {
    let place = Place::new().await?;
    let (runner, gate) = gated();
    let worker = place.work(&(runner.clone() as _), options());
    let first = message("a");
    place.publish([&first]).await?;
    runner.running(1).await?;

    // The queue keeps its order: when the other key runs, all earlier messages were taken.
    let more: Vec<Envelope> = (0..5).map(|_| message("a")).collect();
    let other = message("b");
    place.publish(more.iter().chain([&other])).await?;
    runner.running(2).await?;
    let sizes = |sizes: &[(&str, usize)]| -> Vec<(String, usize)> {
        sizes
            .iter()
            .map(|(key, size)| ((*key).to_owned(), *size))
            .collect()
    };
    ensure!(
        runner.sizes() == sizes(&[("a", 1), ("b", 1)]),
        "{:?}",
        runner.sizes()
    );
    gate.add_permits(100);
    let sent = all_applied(more.iter().chain([&first, &other]));
    place.oracle().processed(&sent).await?;
    ensure!(
        runner.sizes() == sizes(&[("a", 1), ("b", 1), ("a", 5)]),
        "{:?}",
        runner.sizes()
    );
    let order: Vec<&str> = more.iter().map(|message| message.identity.id.as_str()).collect();
    ensure!(runner.runs()[2].ids() == order);

    // A key that was idle for a while is processed again.
    let late = message("a");
    place.publish([&late]).await?;
    let sent = all_applied(more.iter().chain([&first, &other, &late]));
    place.oracle().processed(&sent).await?;
    worker.stop().await?;
    ensure!(place.left(Lane::Repositories).await?.is_empty());
    place.oracle().check(&sent, &*place.bus).await
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_within_the_debounce_time_share_one_run() -> Result<()> {
    let place = Place::new().await?;
    let runner = Scripted::new(async |run: Run| run.applied());
    let messages: Vec<Envelope> = (0..20).map(|_| message("a")).collect();
    place.publish(&messages).await?;
    let worker = place.work(&(runner.clone() as _), in_batches());
    let sent = all_applied(&messages);
    place.oracle().processed(&sent).await?;
    ensure!(runner.sizes() == [("a".to_owned(), 20)], "{:?}", runner.sizes());
    worker.stop().await?;
    place.oracle().check(&sent, &*place.bus).await
}

#[tokio::test(flavor = "multi_thread")]
async fn never_more_runs_than_the_prefetch_allows() -> Result<()> {
    let place = Place::new().await?;
    let (runner, gate) = gated();
    let messages: Vec<Envelope> = (0..10).map(|_| message(ALONE)).collect();
    place.publish(&messages).await?;
    let few = options_of(RunLaneOptions {
        permits: 3,
        debounce: Duration::ZERO,
        ..RunLaneOptions::default()
    });
    let worker = place.work(&(runner.clone() as _), few);
    for begun in 3..=10 {
        runner.running(3).await?;
        let moment = Duration::from_millis(50);
        let one_more = tokio::time::timeout(moment, runner.running(4)).await;
        ensure!(one_more.is_err(), "more runs than permits");
        ensure!(runner.runs().len() == begun, "{:?}", runner.sizes());
        gate.add_permits(1);
        if begun < 10 {
            lockstep_testbed::wait::until("the next run", crate::system::PATIENCE, async || {
                runner.runs().len() > begun
            })
            .await?;
        }
    }
    gate.add_permits(10);
    let sent = all_applied(&messages);
    place.oracle().processed(&sent).await?;
    worker.stop().await?;
    place.oracle().check(&sent, &*place.bus).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_message_twice_in_a_coalesced_batch_is_one_attempt() -> Result<()> {
    let place = Place::new().await?;
    let runner = Scripted::new(async |run: Run| run.applied());
    let (twice, once) = (message("a"), message("a"));
    place.publish([&twice, &once, &twice]).await?;
    let worker = place.work(&(runner.clone() as _), in_batches());
    let sent = all_applied([&twice, &once]);
    place.oracle().processed(&sent).await?;
    worker.stop().await?;
    ensure!(runner.sizes() == [("a".to_owned(), 2)], "{:?}", runner.sizes());
    ensure!(
        place.left(Lane::Repositories).await?.is_empty(),
        "both deliveries are settled"
    );
    place.oracle().check(&sent, &*place.bus).await
}

#[tokio::test(flavor = "multi_thread")]
async fn another_message_under_the_same_id_in_a_coalesced_batch_is_rejected() -> Result<()> {
    let place = Place::new().await?;
    let runner = Scripted::new(async |run: Run| run.applied());
    let first = message("a");
    let forged = Envelope {
        subject: Some("another".to_owned()),
        ..first.clone()
    };
    ensure!(forged.digest() != first.digest());
    place.publish([&first, &forged, &forged]).await?;
    let worker = place.work(&(runner.clone() as _), in_batches());
    let sent: Sent = [
        (first.identity.clone(), APPLIED),
        (first.identity.of_reuse(&forged.digest()), dead(Code::IdReused)),
    ]
    .into();
    place.oracle().processed(&sent).await?;
    worker.stop().await?;
    place.oracle().check(&sent, &*place.bus).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_fails_only_its_message_which_is_dead_lettered_after_five_attempts() -> Result<()> {
    let place = Place::new().await?;
    let messages: Vec<Envelope> = (0..4).map(|_| message("a")).collect();
    let bad = messages[1].clone();
    let selector = bad.identity.clone();
    let runner = Scripted::new(move |run: Run| {
        let bad = run
            .attempts
            .iter()
            .any(|attempt| attempt.key.identity == selector);
        async move {
            assert!(!bad, "panics on purpose for this message");
            run.applied()
        }
    });
    place.publish(&messages).await?;
    let worker = place.work(&(runner.clone() as _), in_batches());
    let mut sent = all_applied(&messages);
    sent.insert(bad.identity.clone(), dead(Code::Crashed));
    place.oracle().processed(&sent).await?;
    worker.stop().await?;
    let numbers = runner.numbers(&bad);
    ensure!(
        numbers == [1, 1, 2, 3, 4, 5],
        "in the coalesced batch, alone, and after each retry delay: {numbers:?}"
    );
    for good in messages.iter().filter(|message| message.identity != bad.identity) {
        ensure!(
            runner.numbers(good) == [1, 1],
            "no attempt was spent: {:?}",
            runner.numbers(good)
        );
    }
    let dead_letters = place.dead_letters().await?;
    ensure!(dead_letters.len() == 1 && dead_letters[0].body == bad.encode());
    ensure!(dead_letters[0].head.attempts == 5, "{:?}", dead_letters[0].head);
    place.oracle().check(&sent, &*place.bus).await
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_without_a_result_of_their_run_are_retried() -> Result<()> {
    let place = Place::new().await?;
    let runner = Scripted::new(async |run: Run| match run.number {
        0 => vec![applied()],
        // And a run with too many results.
        _ => vec![applied(); 7],
    });
    let messages = [message("a"), message("a"), message("a")];
    place.publish(&messages).await?;
    let worker = place.work(&(runner.clone() as _), in_batches());
    let sent = all_applied(&messages);
    place.oracle().processed(&sent).await?;
    worker.stop().await?;
    let numbers: Vec<Vec<u32>> = messages.iter().map(|message| runner.numbers(message)).collect();
    ensure!(numbers == [vec![1], vec![1, 2], vec![1, 2]], "{numbers:?}");
    place.oracle().check(&sent, &*place.bus).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_hangs_is_cancelled_and_retried() -> Result<()> {
    let place = Place::new().await?;
    let runner = Scripted::new(async |run: Run| match run.number {
        0 => std::future::pending().await,
        _ => run.applied(),
    });
    let message = message("a");
    place.publish([&message]).await?;
    let short = options_of(RunLaneOptions {
        debounce: Duration::ZERO,
        deadline: Duration::from_millis(100),
        grace: Duration::from_millis(10),
        ..RunLaneOptions::default()
    });
    let worker = place.work(&(runner.clone() as _), short);
    let sent = all_applied([&message]);
    place.oracle().processed(&sent).await?;
    worker.stop().await?;
    ensure!(runner.numbers(&message) == [1, 2]);
    place.oracle().check(&sent, &*place.bus).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postponed_message_spends_no_attempt() -> Result<()> {
    let place = Place::new().await?;
    // More often than the maximum number of attempts.
    let runner = Scripted::new(async |run: Run| match run.number {
        0..7 => vec![RunEnd::Failed(ProcessingError::later("somebody else has it"))],
        7 => vec![RunEnd::Failed(ProcessingError::transient(
            "the remote is unavailable",
        ))],
        _ => run.applied(),
    });
    let message = message("a");
    place.publish([&message]).await?;
    let worker = place.work(&(runner.clone() as _), options());
    let sent = all_applied([&message]);
    place.oracle().processed(&sent).await?;
    worker.stop().await?;
    let numbers = runner.numbers(&message);
    ensure!(numbers == [1, 1, 1, 1, 1, 1, 1, 1, 2], "{numbers:?}");
    place.oracle().check(&sent, &*place.bus).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lasting_failure_is_dead_lettered_after_five_attempts() -> Result<()> {
    let place = Place::new().await?;
    let runner = Scripted::new(async |_| {
        vec![RunEnd::Failed(ProcessingError::transient(
            "the remote is unavailable",
        ))]
    });
    let message = message("a");
    place.publish([&message]).await?;
    let worker = place.work(&(runner.clone() as _), options());
    let sent: Sent = [(message.identity.clone(), dead(Code::AttemptsExhausted))].into();
    place.oracle().processed(&sent).await?;
    worker.stop().await?;
    ensure!(runner.numbers(&message) == [1, 2, 3, 4, 5]);
    ensure!(place.dead_letters().await?.len() == 1);
    place.oracle().check(&sent, &*place.bus).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_message_is_a_dead_letter_and_its_neighbour_is_applied() -> Result<()> {
    let place = Place::new().await?;
    let rejection = Rejection::new(Code::UnknownRepository, "$.data.repository", "unknown repository");
    let runner = Scripted::new(move |_| {
        let ends = vec![applied(), rejection.clone().into()];
        async move { ends }
    });
    let (good, bad) = (message("a"), message("a"));
    place.publish([&good, &bad]).await?;
    let worker = place.work(&(runner.clone() as _), in_batches());
    let sent: Sent = [
        (good.identity.clone(), APPLIED),
        (bad.identity.clone(), dead(Code::UnknownRepository)),
    ]
    .into();
    place.oracle().processed(&sent).await?;
    worker.stop().await?;
    ensure!(runner.runs().len() == 1);
    let dead_letters = place.dead_letters().await?;
    let dead_letter = dead_letters.first().context("a dead letter")?;
    ensure!(dead_letters.len() == 1 && dead_letter.body == bad.encode());
    ensure!(
        dead_letter.head.code == "unknown-repository",
        "{:?}",
        dead_letter.head
    );
    place.oracle().check(&sent, &*place.bus).await
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_finishes_current_runs_and_requeues_the_rest() -> Result<()> {
    let place = Place::new().await?;
    let (runner, gate) = gated();
    let worker = place.work(&(runner.clone() as _), options());
    let first = message("a");
    place.publish([&first]).await?;
    runner.running(1).await?;
    let rest: Vec<Envelope> = (0..3).map(|_| message("a")).collect();
    let other = message("b");
    place.publish(rest.iter().chain([&other])).await?;
    runner.running(2).await?;

    worker.stop.cancel();
    gate.add_permits(100);
    worker.ended().await?;
    let finished = all_applied([&first, &other]);
    place.oracle().processed(&finished).await?;
    ensure!(
        runner.runs().len() == 2,
        "no other run started: {:?}",
        runner.sizes()
    );
    ensure!(place.left(Lane::Repositories).await?.len() == 3);

    let worker = place.work(&(runner.clone() as _), options());
    let sent = all_applied(rest.iter().chain([&first, &other]));
    place.oracle().processed(&sent).await?;
    worker.stop().await?;
    for message in &rest {
        ensure!(runner.numbers(message) == [1], "no attempt was spent");
    }
    place.oracle().check(&sent, &*place.bus).await
}

async fn abandoned(stop_first: bool) -> Result<()> {
    let place = Place::new().await?;
    let runner = Scripted::new(async |run: Run| match run.number {
        0 | 1 => std::future::pending().await,
        _ => run.applied(),
    });
    let messages = [message("a"), message("b"), message("a")];
    place.publish(&messages).await?;
    let worker = place.work(&(runner.clone() as _), options());
    runner.running(2).await?;
    if stop_first {
        worker.stop.cancel();
    }
    worker.abandon.cancel();
    worker.ended().await?;
    runner.running(0).await?;
    ensure!(place.oracle().records.processed().await? == 0);
    ensure!(place.left(Lane::Repositories).await?.len() == 3);

    let worker = place.work(&(runner.clone() as _), options());
    let sent = all_applied(&messages);
    place.oracle().processed(&sent).await?;
    worker.stop().await?;
    for message in &messages {
        let numbers = runner.numbers(message);
        ensure!(
            numbers.iter().all(|number| *number == 1),
            "an attempt was spent: {numbers:?}"
        );
    }
    place.oracle().check(&sent, &*place.bus).await
}

#[tokio::test(flavor = "multi_thread")]
async fn abandoning_after_stopping_requeues_current_runs() -> Result<()> {
    abandoned(true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn abandoning_alone_requeues_current_runs() -> Result<()> {
    abandoned(false).await
}
