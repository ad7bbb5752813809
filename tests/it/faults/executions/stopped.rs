//! A worker stands still for longer than the lease of its elements, and goes on: what others ended meanwhile is not changed by it.

use std::time::Duration;

use anyhow::{Result, ensure};
use lockstep_testbed::wait;
use rustix::process::Signal;

use super::Installation;
use crate::system::{Ground, PATIENCE, Scene};

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_stands_still_in_the_middle_changes_nothing_when_it_goes_on() -> Result<()> {
    const ELEMENTS: usize = 200;
    let scene = Scene::new(Ground::Servers).await?;
    let latency = Duration::from_millis(200);
    let installation = Installation::new(scene, 200, latency, Some(20)).await?;
    let oracle = installation.oracle().await?;
    let (first, second) = installation.two_workers().await?;
    installation.run(0..ELEMENTS).await?;
    oracle.ended_at_least(ELEMENTS / 4).await?;
    first.signal(Signal::STOP)?;
    oracle.all_ended(1).await?;
    let ended = oracle.elements().await?;
    first.signal(Signal::CONT)?;
    wait::until("its elements to end", PATIENCE, async || {
        let log = first.log().map_err(|error| format!("{error:#}"))?;
        let told = [
            "the end of an element is discarded",
            "element left to other workers",
        ];
        if told.iter().any(|line| log.contains(line)) {
            Ok(())
        } else {
            Err("it says nothing of them".to_owned())
        }
    })
    .await?;
    first.stop().await?;
    let executions = installation.check().await?;
    ensure!(executions[0].state == "SUCCESSFUL", "{executions:?}");
    ensure!(
        oracle.elements().await? == ended,
        "elements changed after their end"
    );
    second.stop().await
}

/// The elements are claimed, and nobody has been asked. When the worker goes on, they are those of another one.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_leases_are_over_before_its_elements_begin_asks_no_device() -> Result<()> {
    const ELEMENTS: usize = 20;
    let scene = Scene::new(Ground::Servers).await?;
    let installation = Installation::new(scene, 20, Duration::ZERO, None).await?;
    let oracle = installation.oracle().await?;
    let mut first = installation.worker_with(&[("LOCKSTEP_FAIL_POINT", "after-claim:1:stop")])?;
    installation.run(0..ELEMENTS).await?;
    first.stopped().await?;
    let second = installation.worker()?;
    oracle.all_ended(1).await?;
    first.signal(Signal::CONT)?;
    first.prints("the lease of a claimed element is over").await?;
    first.stop().await?;
    let executions = installation.check().await?;
    ensure!(executions[0].state == "SUCCESSFUL", "{executions:?}");
    let twice = "SELECT count(*) FROM element WHERE attempts = 2";
    ensure!(oracle.count(twice).await? > 0, "nothing was claimed before");
    let requests = installation.fleet.requests();
    ensure!(requests == ELEMENTS, "{requests} requests to {ELEMENTS} devices");
    second.stop().await
}
