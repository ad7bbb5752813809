//! The password of all devices is changed while elements run. What is guaranteed: a connection that is opened, or taken from the pool, after
//! the file was replaced has the new password. So an element fails only if it ran while the change took place.

use std::time::Duration;

use anyhow::{Result, ensure};
use lockstep_testbed::Schema;

use super::Installation;
use crate::system::{Ground, Scene};

const ELEMENTS: u32 = 200;
const ALL: usize = 200;
const AT_ONCE: usize = 20;
const LATENCY: Duration = Duration::from_millis(400);

/// The clock of the database, in microseconds.
async fn now(schema: &Schema) -> Result<i64> {
    let client = schema.connect().await?;
    let select = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
    Ok(client.query_one(select, &[]).await?.get(0))
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_ran_while_the_password_changed_can_fail() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let installation = Installation::new(scene, ELEMENTS, LATENCY, Some(AT_ONCE)).await?;
    let schema = &installation.scene.servers()?.schema;
    let oracle = installation.oracle().await?;
    let (first, second) = installation.two_workers().await?;
    installation.run(0..ALL).await?;
    oracle.ended_at_least(ALL / 4).await?;
    let before = now(schema).await?;
    installation.set_password("rotated")?;
    installation.fleet.set_password("rotated");
    let after = now(schema).await?;
    oracle.all_ended(1).await?;

    let others = format!(
        "SELECT count(*) FROM element WHERE outcome = 'failed' AND (reason <> 'wrong-credentials'
             OR started_at > to_timestamp({after} / 1000000.0) OR ended_at < to_timestamp({before} / 1000000.0))"
    );
    ensure!(
        oracle.count(&others).await? == 0,
        "an element failed that did not run meanwhile"
    );
    let began = format!(
        "SELECT count(*) FROM element WHERE outcome = 'done' AND started_at > to_timestamp({after} / 1000000.0)"
    );
    ensure!(
        oracle.count(&began).await? > 0,
        "all elements had begun before the change"
    );
    let failed = "SELECT count(*) FROM element WHERE outcome = 'failed'";
    let failed = oracle.count(failed).await?;
    ensure!(failed <= AT_ONCE, "{failed} elements failed");

    // Connections that are idle in the pool have the former password, and are not used again.
    installation.set_password("rotated again")?;
    installation.fleet.set_password("rotated again");
    installation.run(0..ALL).await?;
    oracle.all_ended(2).await?;
    let executions = installation.check().await?;
    ensure!(executions[1].counts.done == i64::from(ELEMENTS), "{executions:?}");
    first.stop().await?;
    second.stop().await
}

/// The workers are not restarted for it: a file that is unreadable for a while does not matter, either.
#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_devices_refuse_fails_elements_until_the_file_has_the_new_one() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let installation = Installation::new(scene, 10, Duration::ZERO, None).await?;
    let oracle = installation.oracle().await?;
    let worker = installation.worker()?;
    installation.fleet.set_password("rotated");
    installation.run(0..10).await?;
    oracle.all_ended(1).await?;
    let refused = "SELECT count(*) FROM element WHERE reason = 'wrong-credentials'";
    ensure!(
        oracle.count(refused).await? == 10,
        "{:?}",
        oracle.elements().await?
    );
    installation.set_password("rotated")?;
    installation.run(0..10).await?;
    oracle.all_ended(2).await?;
    let executions = installation.check().await?;
    ensure!(
        executions[0].state == "FAILED" && executions[1].state == "SUCCESSFUL",
        "{executions:?}"
    );
    worker.stop().await
}
