//! Caps hold over all workers, and the place of a killed worker is free when its lease is.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use lockstep_protocol::commands::ExecutionCancelRequested;
use lockstep_testbed::wait;
use rustix::process::Signal;

use super::Installation;
use crate::system::{Ground, PATIENCE, Scene};

/// The lease of a run is 10 s, and the periodic task runs every 2 s.
const LEASE_AND_PERIOD: Duration = Duration::from_secs(12);
/// For what is done in this time on a slow machine.
const SLACK: Duration = Duration::from_secs(12);

/// The only place is taken by a run on a device that does not answer. Its worker is killed, and its execution cancelled.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_the_only_place_begins_when_the_lease_of_a_killed_worker_is_over() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let installation = Installation::new(scene, 2, Duration::ZERO, Some(1)).await?;
    let fleet = &installation.fleet;
    fleet.edit(0, |device| device.latency = Duration::from_mins(10));
    let oracle = installation.oracle().await?;
    let (first, second) = installation.two_workers().await?;
    let running = installation.run(0..1).await?;
    wait::until("the first execution to run", PATIENCE, async || {
        fleet.requests_to(0) == 1
    })
    .await?;
    let waiting = installation.run(1..2).await?;
    let waits = format!(
        "SELECT count(*) FROM element WHERE execution = {} AND waits_for IS DISTINCT FROM 'overall'",
        waiting.number
    );
    oracle.none("the second execution to wait", &waits).await?;

    let elements = oracle.elements().await?;
    let runs = elements.first().and_then(|element| element.worker.clone());
    let runs = runs.context("nobody runs the first element")?;
    let (killed, left) = if runs.ends_with(&format!(":{}", first.id())) {
        (first, second)
    } else {
        (second, first)
    };
    killed.signal(Signal::KILL)?;
    let began = Instant::now();
    installation
        .publish(ExecutionCancelRequested {
            execution: running.id.parse()?,
        })
        .await?;
    wait::until("the second execution to run", PATIENCE, async || {
        fleet.requests_to(1) == 1
    })
    .await?;
    let took = began.elapsed();
    ensure!(took < LEASE_AND_PERIOD + SLACK, "it began after {took:?}");

    oracle.all_ended(2).await?;
    let unannounced = "SELECT count(*) FROM element WHERE due_at IS NOT NULL";
    oracle.none("all ends to be announced", unannounced).await?;
    let took = began.elapsed();
    ensure!(
        took < LEASE_AND_PERIOD + SLACK,
        "the ends were announced after {took:?}"
    );
    let executions = installation.check().await?;
    ensure!(
        executions[0].state == "ABORTED" && executions[0].counts.failed == 1,
        "{executions:?}"
    );
    ensure!(executions[1].state == "SUCCESSFUL", "{executions:?}");
    let cancelled = &oracle.elements().await?[0];
    ensure!(cancelled.reason.as_deref() == Some("cancelled"), "{cancelled:?}");
    installation.check_peak(1)?;
    left.stop().await
}

/// The only place became free, and the worker is killed before it publishes who has it now.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_begins_although_the_worker_that_made_room_is_killed() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let installation = Installation::new(scene, 2, Duration::ZERO, Some(1)).await?;
    let oracle = installation.oracle().await?;
    let mut killed = installation.worker_with(&[("LOCKSTEP_FAIL_POINT", "after-finish:1:kill")])?;
    installation.run(0..2).await?;
    killed.ended().await?;
    let began = Instant::now();
    let left = installation.worker()?;
    let second = || installation.fleet.requests() == 2;
    wait::until("the second element to run", PATIENCE, async || second()).await?;
    let took = began.elapsed();
    ensure!(took < LEASE_AND_PERIOD + SLACK, "it began after {took:?}");
    oracle.all_ended(1).await?;
    let executions = installation.check().await?;
    ensure!(executions[0].state == "SUCCESSFUL", "{executions:?}");
    installation.check_peak(1)?;
    left.stop().await
}

/// All elements are queued by a worker without the cap, so that both workers find many messages when they start.
#[tokio::test(flavor = "multi_thread")]
async fn two_cold_workers_with_a_hundred_queued_elements_never_exceed_a_cap_of_two() -> Result<()> {
    const QUEUED: u32 = 100;
    let scene = Scene::new(Ground::Servers).await?;
    let all = usize::try_from(QUEUED)?;
    let installation = Installation::new(scene, QUEUED, Duration::from_millis(50), None).await?;
    let oracle = installation.oracle().await?;
    let accepting = installation.accepting()?;
    installation.run(0..all).await?;
    let vhost = &installation.scene.servers()?.vhost;
    wait::until("all messages in the lane", PATIENCE, async || {
        let lane = vhost.queue("lockstep.lane.devices").await;
        let lane = lane.map_err(|error| format!("{error:#}"))?;
        match lane.map_or(0, |lane| lane.ready) {
            ready if ready == u64::from(QUEUED) => Ok(()),
            ready => Err(format!("{ready} messages")),
        }
    })
    .await?;
    accepting.stop().await?;

    let cap = [("LOCKSTEP__EXECUTIONS__AT_ONCE", "2")];
    let (first, second) = (installation.worker_with(&cap)?, installation.worker_with(&cap)?);
    oracle.all_ended(1).await?;
    let executions = installation.check().await?;
    ensure!(executions[0].state == "SUCCESSFUL", "{executions:?}");
    installation.check_peak(2)?;
    ensure!(
        installation.fleet.peak_concurrency() == 2,
        "the cap was not reached"
    );
    first.stop().await?;
    second.stop().await
}
