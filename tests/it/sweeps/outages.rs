//! CloudVision loses its sessions, or goes away, in the middle of a sweep.

use std::time::Duration;

use anyhow::{Result, ensure};
use lockstep_protocol::results::CvpTaskAction;
use lockstep_simulators::cvp::{Endpoint, Scenario};
use lockstep_testbed::wait;

use super::Site;
use crate::system::PATIENCE;

const TASKS: usize = 200;
const EMPTY: usize = 100;

fn scenario() -> Scenario {
    Scenario::many(TASKS, 50).tuned(|knobs| knobs.latency = Duration::from_millis(20))
}

/// Waits until CloudVision was asked to cancel this number of tasks.
async fn cancelling(site: &Site, count: usize) -> Result<()> {
    wait::until("tasks to be cancelled", PATIENCE, async || {
        match site.simulator.count(Endpoint::Cancel) {
            found if found >= count => Ok(()),
            found => Err(format!("{found} of {count}")),
        }
    })
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_expire_under_load_lose_no_task() -> Result<()> {
    let site = Site::new(scenario()).await?;
    let (first, second) = (site.worker()?, site.worker()?);
    site.request(false).await?;
    for cancels in [1, EMPTY / 4, EMPTY / 2] {
        cancelling(&site, cancels).await?;
        site.simulator.expire_sessions();
    }
    site.ended(1).await?;
    let told = site.told().await?;
    ensure!(
        told.with(CvpTaskAction::Cancelled).len() == EMPTY,
        "{:?}",
        told.sweeps
    );
    ensure!(
        site.cancels().values().all(|count| *count == 1),
        "{:?}",
        site.cancels()
    );
    // Two workers, each with one session at a time.
    let logins = site.simulator.logins();
    ensure!((2..=8).contains(&logins), "{logins} logins");
    first.stop().await?;
    second.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_goes_away_in_the_middle_is_swept_by_the_next_one() -> Result<()> {
    let site = Site::new(scenario()).await?;
    let (first, second) = (site.worker()?, site.worker()?);
    site.request(false).await?;
    cancelling(&site, EMPTY / 4).await?;
    site.simulator.take_down(0).await;
    site.ended(1).await?;
    site.simulator.bring_up(0).await?;
    let state = site.oracle().await?.executions().await?.remove(0);
    ensure!(usize::try_from(state.counts.elements)? == TASKS + 1, "{state:?}");
    site.request(false).await?;
    site.ended(2).await?;
    let told = site.told().await?;
    ensure!(site.simulator.cancelled().len() == EMPTY, "{:?}", told.sweeps);
    ensure!(
        site.cancels()
            .keys()
            .all(|task| site.simulator.cancelled().contains(task))
    );
    first.stop().await?;
    second.stop().await
}
