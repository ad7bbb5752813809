//! An execution with thousands of elements is cancelled, and a worker is killed meanwhile: it ends, and all counts add up.

use std::time::Duration;

use anyhow::{Result, ensure};
use lockstep_protocol::commands::ExecutionCancelRequested;
use rustix::process::Signal;

use super::Installation;
use crate::system::{Ground, Scene};

/// More than twice what one transaction skips.
const ELEMENTS: u32 = 2500;
const AT_ONCE: usize = 50;

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_execution_ends_although_a_worker_is_killed_meanwhile() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let all = usize::try_from(ELEMENTS)?;
    let latency = Duration::from_millis(500);
    let installation = Installation::new(scene, ELEMENTS, latency, Some(AT_ONCE)).await?;
    let oracle = installation.oracle().await?;
    let (first, second) = installation.two_workers().await?;
    let execution = installation.run(0..all).await?;
    oracle.ended_at_least(AT_ONCE).await?;
    installation
        .publish(ExecutionCancelRequested {
            execution: execution.id.parse()?,
        })
        .await?;
    let goes_on = "SELECT count(*) FROM execution WHERE halt IS NULL";
    oracle.none("the execution to be cancelled", goes_on).await?;
    let requests = installation.fleet.requests();
    first.signal(Signal::KILL)?;
    oracle.all_ended(1).await?;

    let executions = installation.check().await?;
    let counts = executions[0].counts;
    ensure!(executions[0].state == "ABORTED", "{executions:?}");
    ensure!(
        counts.skipped > i64::from(ELEMENTS) / 2 && counts.done >= i64::try_from(AT_ONCE)?,
        "{executions:?}"
    );
    let others =
        "SELECT count(*) FROM element WHERE outcome <> 'done' AND reason IS DISTINCT FROM 'cancelled'";
    ensure!(oracle.count(others).await? == 0, "{:?}", oracle.elements().await?);
    let begun = installation.fleet.requests() - requests;
    ensure!(begun <= AT_ONCE, "{begun} elements began after the cancellation");
    installation.check_peak(AT_ONCE)?;
    second.stop().await
}
