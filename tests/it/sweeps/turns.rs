//! Several sweeps of one cluster.

use anyhow::{Result, ensure};
use lockstep_protocol::results::CvpTaskAction;
use lockstep_simulators::cvp::{Endpoint, Scenario};
use lockstep_testbed::wait;

use super::{Site, set};
use crate::system::PATIENCE;

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_by_message_ends_as_the_one_of_the_command_line() -> Result<()> {
    let site = Site::new(Scenario::seed()).await?;
    let (first, second) = (site.worker()?, site.worker()?);
    site.request(false).await?;
    site.ended(1).await?;
    let told = site.told().await?;
    let empty = set(["1811", "1810", "1809"]);
    ensure!(told.with(CvpTaskAction::Cancelled) == empty, "{told:?}");
    ensure!(
        told.tasks.len() == 14 && told.with(CvpTaskAction::Kept).len() == 11,
        "{told:?}"
    );
    ensure!(set(site.simulator.cancelled()) == empty && site.cancels().values().all(|count| *count == 1));
    let sweep = told.sweeps.values().next();
    ensure!(
        sweep.is_some_and(|sweep| sweep.alerts == 0 && sweep.kept["not-compliant"] == 11),
        "{told:?}"
    );
    let state = site.oracle().await?.executions().await?.remove(0).state;
    ensure!(state == "SUCCESSFUL", "{state}");
    first.stop().await?;
    second.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sweeps_of_one_cluster_take_turns_and_a_third_joins_the_one_that_waits() -> Result<()> {
    let site = Site::new(Scenario::seed()).await?;
    let (first, second) = (site.worker()?, site.worker()?);
    first.prints("worker started").await?;
    second.prints("worker started").await?;
    let listing = site.simulator.hold(Endpoint::Tasks, None);
    site.request(false).await?;
    listing.arrived(1).await;
    // The first one lists its tasks.
    for _ in 0..5 {
        site.request(false).await?;
    }
    site.request(true).await?;
    let oracle = site.oracle().await?;
    wait::until("the requests to be answered", PATIENCE, async || {
        let answered = oracle
            .count("SELECT count(*) FROM inbox WHERE kind = 'lockstep.cvp-sweep.requested'")
            .await;
        match answered {
            Ok(7) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await?;
    let executions = oracle.executions().await?;
    ensure!(
        executions.len() == 3,
        "one that runs, one that waits, and the dry run: {executions:?}"
    );
    let waiting = "SELECT count(*) FROM element WHERE waits_for = 'cluster/lab'";
    ensure!(oracle.count(waiting).await? == 2 && site.simulator.count(Endpoint::Tasks) == 1);
    drop(listing);
    site.ended(3).await?;
    let told = site.told().await?;
    ensure!(
        told.with(CvpTaskAction::Cancelled) == set(["1811", "1810", "1809"]),
        "{told:?}"
    );
    ensure!(
        site.cancels().values().all(|count| *count == 1),
        "{:?}",
        site.cancels()
    );
    let overlapping = "SELECT count(*) FROM execution AS a JOIN execution AS b ON a.number < b.number \
        WHERE b.started_at < a.ended_at";
    ensure!(oracle.count(overlapping).await? == 0, "two ran at once");
    first.stop().await?;
    second.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_that_is_cancelled_lets_the_next_one_begin() -> Result<()> {
    use lockstep_protocol::commands::ExecutionCancelRequested;

    use crate::system::load::{envelope, outgoing};

    let site = Site::new(Scenario::seed()).await?;
    let worker = site.worker()?;
    let listing = site.simulator.hold(Endpoint::Tasks, None);
    site.request(false).await?;
    listing.arrived(1).await;
    site.request(true).await?;
    let oracle = site.oracle().await?;
    let executions = wait::until("both to be accepted", PATIENCE, async || {
        let executions = oracle.executions().await.map_err(|error| format!("{error:#}"))?;
        if executions.len() == 2 {
            Ok(executions)
        } else {
            Err(format!("{executions:?}"))
        }
    })
    .await?;
    let cancel = ExecutionCancelRequested {
        execution: executions[0].id.parse()?,
    };
    site.bus.publish(vec![outgoing(&envelope(cancel))]).await?;
    oracle.all_ended(1).await?;
    drop(listing);
    site.ended(2).await?;
    let states: Vec<String> = oracle
        .executions()
        .await?
        .into_iter()
        .map(|one| one.state)
        .collect();
    ensure!(
        states[0] != "SUCCESSFUL" && states[1] == "SUCCESSFUL",
        "{states:?}"
    );
    ensure!(site.simulator.cancelled().is_empty());
    worker.stop().await
}
