//! A worker of two is killed, or told to stop, in the middle of an execution with thousands of elements.

use std::time::Duration;

use anyhow::{Result, ensure};
use rustix::process::Signal;

use super::Installation;
use crate::system::{Ground, OutcomeCounts, Scene};

const ELEMENTS: u32 = 2000;
/// Every hundredth device refuses connections.
const UNREACHABLE: usize = 100;
const AT_ONCE: usize = 100;
const LATENCY: Duration = Duration::from_millis(200);

#[tokio::test(flavor = "multi_thread")]
async fn of_thousands_of_elements_none_is_lost_when_a_worker_is_killed() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let all = usize::try_from(ELEMENTS)?;
    let installation = Installation::new(scene, ELEMENTS, LATENCY, Some(AT_ONCE)).await?;
    for device in (UNREACHABLE - 1..all).step_by(UNREACHABLE) {
        installation.fleet.take_down(device).await;
    }
    let oracle = installation.oracle().await?;
    let (first, second) = installation.two_workers().await?;
    installation.run(0..all).await?;
    oracle.ended_at_least(all / 3).await?;
    first.signal(Signal::KILL)?;
    let third = installation.worker()?;
    let ended = oracle
        .count("SELECT count(*) FROM element WHERE outcome <> 'open'")
        .await?;
    ensure!(ended < all * 9 / 10, "{ended} of {all} had ended before the kill");
    oracle.all_ended(1).await?;

    let executions = installation.check().await?;
    let failed = i64::from(ELEMENTS) / i64::try_from(UNREACHABLE)?;
    let expected = OutcomeCounts {
        elements: ELEMENTS.into(),
        done: i64::from(ELEMENTS) - failed,
        failed,
        skipped: 0,
    };
    ensure!(
        executions[0].counts == expected && executions[0].state == "PARTIAL_FAILED",
        "{executions:?}"
    );
    let elements = oracle.elements().await?;
    let reasons = elements.iter().filter(|element| element.outcome == "failed");
    let mut reasons = reasons.filter_map(|element| element.reason.as_deref());
    ensure!(reasons.all(|reason| reason == "unreachable"), "another reason");
    let again = elements.iter().filter(|element| element.attempts > 1).count();
    ensure!((1..=AT_ONCE).contains(&again), "{again} elements were repeated");
    installation.check_peak(AT_ONCE)?;
    second.stop().await?;
    third.stop().await
}

/// A worker that is told to stop begins nothing more, leaves what it runs to the others, and ends by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_stops_leaves_its_elements_to_the_others() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let all = 400;
    let installation = Installation::new(scene, 400, LATENCY, Some(40)).await?;
    let oracle = installation.oracle().await?;
    let (first, second) = installation.two_workers().await?;
    installation.run(0..all).await?;
    oracle.ended_at_least(all / 4).await?;
    first.stop().await?;
    let ended = oracle
        .count("SELECT count(*) FROM element WHERE outcome <> 'open'")
        .await?;
    ensure!(ended < all, "all had ended before the worker stopped");
    oracle.all_ended(1).await?;
    let executions = installation.check().await?;
    ensure!(executions[0].state == "SUCCESSFUL", "{executions:?}");
    second.stop().await
}

/// Both executions have an element on each device. The second one waits for the first one, device by device.
#[tokio::test(flavor = "multi_thread")]
async fn two_executions_on_the_same_devices_use_each_one_at_a_time() -> Result<()> {
    const DEVICES: usize = 100;
    let scene = Scene::new(Ground::Servers).await?;
    let latency = Duration::from_secs(1);
    let installation = Installation::new(scene, 100, latency, None).await?;
    let oracle = installation.oracle().await?;
    let (first, second) = installation.two_workers().await?;
    for _ in 0..2 {
        installation.request(0..DEVICES).await?;
    }
    oracle.ended_at_least(DEVICES / 2).await?;
    first.signal(Signal::KILL)?;
    oracle.all_ended(2).await?;
    let executions = installation.check().await?;
    ensure!(
        executions.iter().all(|execution| execution.state == "SUCCESSFUL"),
        "{executions:?}"
    );
    second.stop().await
}
