//! Rolling upgrades: old and new workers run side by side on a schema that is newer than some of them.

use anyhow::{Context, Result, ensure};
use lockstep_bus::{Acknowledge, Bus, ConsumeOptions, Outgoing};
use lockstep_protocol::topology::{Destination, Lane, Queue};
use lockstep_protocol::{Envelope, Kind};
use lockstep_testbed::wait;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error};

use crate::reconcile::{logged, started};
use crate::system::load::{flags, hostname, outgoing, raw, update};
use crate::system::{Ground, Load, PATIENCE, Scene};

const LOAD: Load = Load {
    devices: 50,
    events: 4000,
};

/// The migration of a newer program, with additions only.
const UPGRADE: [&str; 5] = [
    "ALTER TABLE inbox ADD COLUMN newer text",
    "ALTER TABLE device ADD COLUMN newer integer NOT NULL DEFAULT 7",
    "ALTER TABLE dead_letter ADD COLUMN newer text",
    "CREATE TABLE newer (id integer PRIMARY KEY)",
    "INSERT INTO refinery_schema_history (version, name, applied_on, checksum) \
     SELECT max(version) + 1, 'newer', '2026-01-02T03:04:05Z', '7' FROM refinery_schema_history",
];

/// An internal message of newer workers, with a type that this program does not know.
fn of_a_newer_worker() -> Outgoing {
    let body = r#"{"specversion":"1.0","id":"newer","source":"urn:lockstep:worker","type":"lockstep.internal.newer","data":{"x":1}}"#;
    Outgoing {
        destination: Destination::Lane(Lane::Events),
        ..raw(Kind::InterfaceUpdated, "newer", body)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_of_two_versions_work_side_by_side() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let servers = scene.servers()?;
    let database = servers.schema.connect().await?;
    let bus = scene.bus().await?;
    let mut sent = LOAD.publish(&*bus).await?;
    let before = scene.worker(&[])?;
    scene.oracle().processed_at_least(300).await?;
    upgrade(&database, &UPGRADE).await?;
    let processed = scene.oracle().records.processed().await?;
    ensure!(
        usize::try_from(processed)? < sent.len(),
        "all messages were processed before the upgrade"
    );
    let since = scene.worker(&[])?;
    started(&since).await?;

    // An older `migrate` has nothing to do and logs that.
    let mut migrate = scene.run(&["migrate"], &[])?;
    ensure!(migrate.ended().await?.success(), "{}", migrate.log()?);
    logged(&migrate, "the schema is newer than version").await?;

    bus.publish(vec![of_a_newer_worker()]).await?;
    scene.oracle().processed(&sent).await?;

    // A stored result of a newer worker is sent again, although it has fields unknown here.
    let event = update(&hostname(0));
    sent.insert(event.identity.clone(), flags(&event));
    bus.publish(vec![outgoing(&event)]).await?;
    scene.oracle().processed(&sent).await?;
    answers(&scene, sent.len()).await?;
    let more = "UPDATE inbox SET result = (result::jsonb || '{\"newer\": {\"x\": [7]}}')::text WHERE id = $1";
    let changed = database.execute(more, &[&event.identity.id.as_str()]).await?;
    ensure!(changed == 1);
    bus.publish(vec![outgoing(&event)]).await?;
    answers(&scene, sent.len() + 1).await?;

    before.stop().await?;
    since.stop().await?;
    scene.oracle().check(&sent, &*bus).await?;
    postponed(&*bus).await
}

/// Applies a migration as `migrate` does: in one transaction, which is repeated if the locks of workers block it.
pub(crate) async fn upgrade(database: &Client, statements: &[&str]) -> Result<()> {
    let migration = statements.join(";");
    wait::until("the upgrade", PATIENCE, async || {
        let applied = database.batch_execute(&migration).await;
        match applied.as_ref().err().and_then(Error::code) {
            Some(&SqlState::T_R_DEADLOCK_DETECTED) => Err("a deadlock".to_owned()),
            _ => Ok(applied),
        }
    })
    .await?
    .context("the upgrade")
}

/// Waits until this number of answers has arrived.
async fn answers(scene: &Scene, count: usize) -> Result<()> {
    let vhost = &scene.servers()?.vhost;
    wait::until("the answers", PATIENCE, async || {
        let results = vhost.queue("lockstep.results").await;
        let ready = results
            .map_err(|error| format!("{error:#}"))?
            .map_or(0, |queue| queue.ready);
        if ready == count as u64 {
            Ok(())
        } else {
            Err(format!("{ready} of {count}"))
        }
    })
    .await?;
    Ok(())
}

/// The message of the newer worker is unchanged in its queue, and no attempt was spent.
async fn postponed(bus: &dyn Bus) -> Result<()> {
    let options = ConsumeOptions {
        prefetch: 10,
        acknowledge: Acknowledge::InOrder,
    };
    let mut lane = bus.consume(Queue::Lane(Lane::Events), options).await?;
    let batch = tokio::time::timeout(PATIENCE, lane.take(10)).await?;
    let batch = batch.context("the bus was closed")?;
    let [delivery] = &batch.deliveries[..] else {
        anyhow::bail!("more than one message: {batch:?}");
    };
    ensure!(delivery.body == of_a_newer_worker().body, "{delivery:?}");
    let attempt = delivery.properties.headers.get("lockstep-attempt");
    ensure!(attempt.is_some_and(|attempt| attempt == "1"), "{delivery:?}");
    ensure!(
        Envelope::decode(&delivery.body).is_err(),
        "this program knows the type"
    );
    batch.receipt.ack().await;
    lane.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_program_starts_on_a_newer_file_if_it_may() -> Result<()> {
    let scene = Scene::new(Ground::Embedded).await?;
    let path = scene.folder().join("lockstep-data/store.sqlite");
    let bus = scene.bus().await?;
    let sent = Load {
        devices: 5,
        events: 50,
    }
    .publish(&*bus)
    .await?;
    bus.close().await;
    rusqlite::Connection::open(&path)?.execute_batch(&UPGRADE.join(";"))?;
    let worker = scene.worker(&[])?;
    scene.oracle().processed(&sent).await?;
    worker.stop().await?;
    let bus = scene.bus().await?;
    scene.oracle().check(&sent, &*bus).await?;
    bus.close().await;

    let contract =
        "UPDATE schema_compatibility SET oldest = (SELECT max(version) FROM refinery_schema_history)";
    rusqlite::Connection::open(&path)?.execute_batch(contract)?;
    let mut refused = scene.worker(&[])?;
    ensure!(!refused.ended().await?.success(), "it started");
    ensure!(refused.log()?.contains("upgrade it"), "{}", refused.log()?);
    Ok(())
}
