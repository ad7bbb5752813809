//! When a run is told to end, and what happens if it does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use lockstep_testbed::wait;
use lockstep_worker::runtime::{RunEnd, RunLaneOptions};

use super::acting::{Acting, result};
use super::scripted::{Place, message, options_of};
use super::{APPLIED, all_applied};
use crate::system::PATIENCE;

fn lane(change: impl FnOnce(&mut RunLaneOptions)) -> RunLaneOptions {
    let mut options = RunLaneOptions {
        debounce: Duration::ZERO,
        ..RunLaneOptions::default()
    };
    change(&mut options);
    options
}

async fn begun(runner: &Acting, count: usize) -> Result<()> {
    wait::until("a run to begin", PATIENCE, async || {
        match runner.identities().len() {
            begun if begun >= count => Ok(()),
            begun => Err(format!("{begun} began")),
        }
    })
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_cancels_a_run_and_lets_it_finish() -> Result<()> {
    let place = Place::new().await?;
    let runner = Acting::new(|context, attempts| {
        Box::pin(async move {
            context.cancel.cancelled().await;
            vec![RunEnd::Applied(result()); attempts.len()]
        })
    });
    let message = message("a");
    place.publish([&message]).await?;
    let worker = place.work(&(runner.clone() as _), options_of(lane(|_| ())));
    begun(&runner, 1).await?;
    worker.stop().await?;
    let sent = all_applied([&message]);
    ensure!(sent.values().all(|expected| *expected == APPLIED));
    place.oracle().check(&sent, &*place.bus).await
}

/// The first run loses its lease and hangs; the second one is applied.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_lost_its_lease_is_cancelled_and_its_message_comes_back() -> Result<()> {
    let place = Place::new().await?;
    let cancelled = Arc::new(AtomicUsize::new(0));
    let (seen, number) = (cancelled.clone(), AtomicUsize::new(0));
    let runner = Acting::new(move |context, attempts| {
        let (seen, number) = (seen.clone(), number.fetch_add(1, Ordering::SeqCst));
        Box::pin(async move {
            if number == 0 {
                context.cancel.cancelled().await;
                seen.fetch_add(1, Ordering::SeqCst);
                std::future::pending::<()>().await;
            }
            vec![RunEnd::Applied(result()); attempts.len()]
        })
    });
    let message = message("a");
    place.publish([&message]).await?;
    let options = lane(|options| {
        options.lease_time = Duration::from_millis(900);
        options.lease_wait = Duration::from_secs(10);
    });
    let worker = place.work(&(runner.clone() as _), options_of(options));
    begun(&runner, 1).await?;
    // Another owner took it, which runs out by itself.
    place.execute("UPDATE lease SET owner = 'another', fence = fence + 1 WHERE name = 'repository/a'")?;
    let sent = all_applied([&message]);
    place.oracle().processed(&sent).await?;
    ensure!(cancelled.load(Ordering::SeqCst) == 1, "the run was told");
    worker.stop().await?;
    place.oracle().check(&sent, &*place.bus).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_run_has_its_grace_time_and_is_then_dropped() -> Result<()> {
    let place = Place::new().await?;
    let cancelled = Arc::new(AtomicUsize::new(0));
    let seen = cancelled.clone();
    let runner = Acting::new(move |context, _| {
        let seen = seen.clone();
        Box::pin(async move {
            context.cancel.cancelled().await;
            seen.fetch_add(1, Ordering::SeqCst);
            std::future::pending().await
        })
    });
    let message = message("a");
    place.publish([&message]).await?;
    let grace = Duration::from_millis(200);
    let worker = place.work(
        &(runner.clone() as _),
        options_of(lane(|options| options.grace = grace)),
    );
    begun(&runner, 1).await?;
    let began = std::time::Instant::now();
    worker.abandon.cancel();
    worker.ended().await?;
    ensure!(began.elapsed() >= grace, "it had its grace");
    ensure!(cancelled.load(Ordering::SeqCst) == 1);
    ensure!(
        place
            .left(lockstep_protocol::topology::Lane::Repositories)
            .await?
            .len()
            == 1,
        "given back"
    );
    Ok(())
}

impl Place {
    fn execute(&self, statement: &str) -> Result<()> {
        let connection = rusqlite::Connection::open(self.store_file())?;
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.execute(statement, [])?;
        Ok(())
    }
}
