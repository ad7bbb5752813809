//! Measures throughput while old rows are deleted, against throughput without deletion.

use std::time::Duration;

use anyhow::{Context, ensure};
use lockstep_store::postgres::{PostgresOptions, PostgresStore};
use lockstep_worker::retention::{Deleted, Keep, RetentionSweep};
use lockstep_worker::runtime::{HeldLeases, Leadership};

use crate::meter::Measured;
use crate::scene::{Host, Role, Scene};
use crate::table::{Goal, Row, Table, median};

/// Rows to delete: more than can be deleted while the events are processed. Their state is `dead`, so every applied row is new.
const FILL: &str = "\
    INSERT INTO inbox (source, id, kind, digest, state, at, result_type, result) \
    SELECT 'urn:example:old', gen_random_uuid()::text, 'lockstep.interface.updated', sha256(number::text::bytea), 'dead', \
        now() - interval '60 days' + number * interval '1 second', 'lockstep.message.rejected', \
        '{\"code\": \"unknown-device\", \"reason\": \"' || repeat('x', 150) || '\"}' \
    FROM generate_series(1, $1::bigint) AS number";

const DAY: Duration = Duration::from_hours(24);

/// Measures both alternately.
///
/// # Errors
/// A server rejects a request, or nothing was deleted while the events were processed.
pub(crate) async fn measure(
    host: &Host,
    (events, devices): (u32, u32),
    rounds: u32,
    table: &mut Table,
) -> anyhow::Result<()> {
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        let scene = filled(host, events, devices).await?;
        without.push(scene.start(Role::Lockstep, events)?.measured().await?.rate());
        scene.check(events).await?;

        let scene = filled(host, events, devices).await?;
        let (measured, deleted) = deleting(&scene, events).await?;
        scene.check(events).await?;
        with.push(measured.rate());
        eprintln!(
            "retention, round {round}: {with:.0?} msg/s beside {without:.0?}; {deleted} rows deleted meanwhile"
        );
    }
    table.rows.push(Row::new(
        "events while old rows are deleted",
        "msg/s",
        median(with),
        ("without", median(without)),
        Goal::Times(0.9),
    ));
    Ok(())
}

/// A scene with old rows, whether or not they will be deleted.
async fn filled(host: &Host, events: u32, devices: u32) -> anyhow::Result<Scene> {
    let scene = host.scene(devices).await?;
    let client = scene.schema.connect().await?;
    client.execute(FILL, &[&(i64::from(events) * 20)]).await?;
    client.batch_execute("VACUUM ANALYZE inbox").await?;
    client.batch_execute("CHECKPOINT").await?;
    scene.publish_events(events).await?;
    Ok(scene)
}

/// Processes the events and deletes old rows at the same time.
async fn deleting(scene: &Scene, events: u32) -> anyhow::Result<(Measured, u64)> {
    let store = PostgresStore::connect(PostgresOptions::new(scene.schema.url()))?;
    let lease = HeldLeases::acquire(
        store.clone(),
        ["retention".to_owned()],
        Duration::from_secs(15),
        Duration::ZERO,
    );
    let lease = lease.await?.context("another owner has the lease")?;
    let sweep = RetentionSweep {
        store: store.clone(),
        schema: store,
        keep: Keep {
            inbox: 30 * DAY,
            causes: 30 * DAY,
            dead_letters: 90 * DAY,
            executions: 90 * DAY,
        },
    };
    let mut deleted = Deleted::default();
    let worker = scene.start(Role::Lockstep, events)?;
    let measured = {
        let leadership = Leadership::new(&lease);
        let sweeping = sweep.sweep(&leadership, &mut deleted);
        tokio::select! {
            swept = sweeping => {
                swept?;
                anyhow::bail!("all old rows were deleted before the events were processed: there were too few");
            }
            measured = worker.measured() => measured?,
        }
    };
    ensure!(deleted.inbox > 0, "nothing was deleted meanwhile");
    lease.release().await;
    Ok((measured, deleted.inbox))
}
