//! A worker of the next version runs beside: its messages and columns do not disturb the others.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lockstep_bus::{Acknowledge, ConsumeOptions, Outgoing};
use lockstep_protocol::Kind;
use lockstep_protocol::topology::{Destination, Lane, Queue};

use super::Installation;
use crate::system::load::raw;
use crate::system::{Ground, PATIENCE, Scene};
use crate::upgrade::upgrade;

const ELEMENTS: u32 = 100;
const ALL: usize = 100;
const LATENCY: Duration = Duration::from_millis(400);

/// The migration of a newer program, with additions only.
const UPGRADE: [&str; 4] = [
    "ALTER TABLE execution ADD COLUMN newer text",
    "ALTER TABLE element ADD COLUMN newer integer NOT NULL DEFAULT 7",
    "ALTER TABLE task ADD COLUMN newer text",
    "INSERT INTO refinery_schema_history (version, name, applied_on, checksum) \
     SELECT max(version) + 1, 'newer', '2026-01-02T03:04:05Z', '7' FROM refinery_schema_history",
];

/// A message about an element of newer workers, with a type that this program does not know.
fn of_a_newer_worker() -> Outgoing {
    let body = r#"{"specversion":"1.0","id":"newer","source":"urn:lockstep:worker","type":"lockstep.internal.element.newer","data":{"element":1}}"#;
    Outgoing {
        destination: Destination::Lane(Lane::Devices),
        ..raw(Kind::ElementQueued, "newer", body)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn elements_run_beside_a_worker_of_the_next_version() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let installation = Installation::new(scene, ELEMENTS, LATENCY, Some(10)).await?;
    let oracle = installation.oracle().await?;
    let before = installation.worker()?;
    before.prints("worker started").await?;
    installation.bus.publish(vec![of_a_newer_worker()]).await?;
    installation.run(0..ALL).await?;
    oracle.ended_at_least(ALL / 4).await?;
    let database = installation.scene.servers()?.schema.connect().await?;
    upgrade(&database, &UPGRADE).await?;
    let since = installation.worker()?;
    since.prints("worker started").await?;
    oracle.all_ended(1).await?;
    let executions = installation.check().await?;
    ensure!(executions[0].state == "SUCCESSFUL", "{executions:?}");
    before.stop().await?;
    since.stop().await?;

    // The message of the newer worker is unchanged in its lane, and no attempt was spent.
    let options = ConsumeOptions {
        prefetch: 10,
        acknowledge: Acknowledge::InOrder,
    };
    let mut lane = installation
        .bus
        .consume(Queue::Lane(Lane::Devices), options)
        .await?;
    let batch = tokio::time::timeout(PATIENCE, lane.take(10)).await?;
    let batch = batch.context("the bus was closed")?;
    let [delivery] = &batch.deliveries[..] else {
        anyhow::bail!("not one message: {batch:?}");
    };
    ensure!(delivery.body == of_a_newer_worker().body, "{delivery:?}");
    let attempt = delivery.properties.headers.get("lockstep-attempt");
    ensure!(attempt.is_some_and(|attempt| attempt == "1"), "{delivery:?}");
    batch.receipt.ack().await;
    lane.close().await;
    Ok(())
}
