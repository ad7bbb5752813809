//! Broker and database are killed and started again in the middle of an execution, which ends by itself.

use std::time::Duration;

use anyhow::{Result, ensure};
use lockstep_testbed::{Broker, Database};

use super::Installation;
use crate::system::{ExecutionOracle, Scene};

const ELEMENTS: u32 = 300;
const ALL: usize = 300;
const AT_ONCE: usize = 20;
const LATENCY: Duration = Duration::from_millis(400);

async fn in_the_middle(oracle: &ExecutionOracle) -> Result<()> {
    let open = oracle
        .count("SELECT count(*) FROM element WHERE outcome = 'open'")
        .await?;
    ensure!(open > 0, "all elements had ended before");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn private_broker_killed_in_the_middle_of_an_execution() -> Result<()> {
    let mut broker = Broker::start().await?;
    let scene = Scene::on(broker.vhost().await?, lockstep_testbed::schema().await?).await?;
    // An orderly stop writes the queues down, see `outage`.
    broker.stop().await?;
    broker.restart().await?;
    let installation = Installation::new(scene, ELEMENTS, LATENCY, Some(AT_ONCE)).await?;
    let oracle = installation.oracle().await?;
    let (first, second) = installation.two_workers().await?;
    installation.run(0..ALL).await?;
    oracle.ended_at_least(ALL / 4).await?;
    broker.kill().await?;
    in_the_middle(&oracle).await?;
    broker.restart().await?;
    oracle.all_ended(1).await?;
    let executions = installation.check().await?;
    ensure!(executions[0].state == "SUCCESSFUL", "{executions:?}");
    installation.check_peak(AT_ONCE)?;
    first.stop().await?;
    second.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn private_database_killed_in_the_middle_of_an_execution() -> Result<()> {
    let mut database = Database::start().await?;
    let scene = Scene::on(lockstep_testbed::vhost().await?, database.schema().await?).await?;
    let installation = Installation::new(scene, ELEMENTS, LATENCY, Some(AT_ONCE)).await?;
    let (first, second) = installation.two_workers().await?;
    installation.run(0..ALL).await?;
    installation.oracle().await?.ended_at_least(ALL / 4).await?;
    database.kill().await?;
    database.restart().await?;
    let oracle = installation.oracle().await?;
    in_the_middle(&oracle).await?;
    oracle.all_ended(1).await?;
    let executions = installation.check().await?;
    ensure!(executions[0].state == "SUCCESSFUL", "{executions:?}");
    installation.check_peak(AT_ONCE)?;
    first.stop().await?;
    second.stop().await
}

/// The devices take longer than the lease of a run. Without the database no worker can renew it, so all runs are told to stop before
/// others may begin them; and they begin again when the database is back.
#[tokio::test(flavor = "multi_thread")]
async fn private_database_away_for_longer_than_the_lease_of_a_run() -> Result<()> {
    const SLOW: Duration = Duration::from_secs(12);
    let mut database = Database::start().await?;
    let scene = Scene::on(lockstep_testbed::vhost().await?, database.schema().await?).await?;
    let installation = Installation::new(scene, 8, SLOW, None).await?;
    let worker = installation.worker()?;
    worker.prints("worker started").await?;
    installation.run(0..8).await?;
    let oracle = installation.oracle().await?;
    let running = "SELECT count(*) - 8 FROM element WHERE state = 'RUNNING'";
    oracle.none("all elements to run", running).await?;
    database.kill().await?;
    worker.prints("running elements are told to stop").await?;
    database.restart().await?;
    let oracle = installation.oracle().await?;
    oracle.all_ended(1).await?;
    let executions = installation.check().await?;
    ensure!(executions[0].state == "SUCCESSFUL", "{executions:?}");
    let repeated = oracle.elements().await?;
    ensure!(
        repeated.iter().all(|element| element.attempts == 2),
        "{repeated:?}"
    );
    worker.stop().await
}
