//! Measures a reconcile pass over a large store with nothing due, against one query to the database.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use lockstep_bus::Bus;
use lockstep_bus::amqp::{AmqpBus, AmqpOptions};
use lockstep_clock::SystemClock;
use lockstep_store::postgres::{PostgresOptions, PostgresStore};
use lockstep_worker::reconcile::{OverdueFollowUps, Reconcile};
use lockstep_worker::runtime::{HeldLeases, Leadership, REPUBLISH_AFTER};

use crate::rounds::{Side, alternate};
use crate::scene::{Host, Scene};
use crate::table::{Goal, Row, Table};

/// Number of processed messages.
const INBOX: i64 = 1_000_000;
/// Number of dead letters, none of them requeued.
const DEAD_LETTERS: i64 = 10_000;
/// Passes of one round.
const PASSES: u32 = 50;

const FILL_INBOX: &str = "\
    INSERT INTO inbox (source, id, kind, digest, state, at, result_type, result) \
    SELECT 'urn:example:netbox', number::text, 'lockstep.interface.updated', '', 'applied', now(), \
        'lockstep.event.applied', repeat('x', 150) \
    FROM generate_series(1, $1::bigint) AS number";

const FILL_DEAD_LETTERS: &str = "\
    INSERT INTO dead_letter (source, id, redrive_count, lane, kind, code, reason, attempts, first_at, dead_lettered_at, body, properties, state) \
    SELECT 'urn:example:netbox', number::text, 0, 'events', 'lockstep.interface.updated', 'unknown-device', 'x', 1, \
        now(), now(), convert_to(repeat('x', 400), 'UTF8'), '{}', 'dead' \
    FROM generate_series(1, $1::bigint) AS number";

/// Measures both alternately.
///
/// # Errors
/// A server rejects a request, or something was due.
pub(crate) async fn measure(host: &Host, rounds: u32, table: &mut Table) -> anyhow::Result<()> {
    let scene = host.scene(1).await?;
    fill(&scene).await?;
    let store = PostgresStore::connect(PostgresOptions::new(scene.schema.url()))?;
    let bus: Arc<dyn Bus> = AmqpBus::connect(AmqpOptions::new(scene.vhost.url())).await?;
    let every = Duration::from_mins(1);
    let follow_ups = OverdueFollowUps::new(
        store.clone(),
        store.clone(),
        bus.clone(),
        Arc::new(SystemClock),
        REPUBLISH_AFTER,
    );
    let reconcile = Reconcile::new(vec![Arc::new(follow_ups)]);
    let lease = HeldLeases::acquire(store, ["follow-ups".to_owned()], every, Duration::ZERO);
    let lease = lease.await?.context("nobody else is here")?;
    let runs = alternate("reconcile", rounds, &Side::BOTH, async |side| {
        let took = match side {
            Side::Baseline => question(&scene).await?,
            Side::Lockstep => {
                let began = Instant::now();
                for _ in 0..PASSES {
                    let pass = reconcile.pass(&Leadership::new(&lease)).await;
                    ensure!(!pass.cut && pass.failed.is_empty(), "{pass:?}");
                    ensure!(pass.repaired == [("follow-up", 0)], "{pass:?}");
                }
                began.elapsed() / PASSES
            }
        };
        Ok(took.as_secs_f64() * 1e3)
    })
    .await?;
    lease.release().await;
    bus.close().await;
    table.rows.push(Row::new(
        "a reconcile pass, 1,000,000 messages, nothing due",
        "ms",
        runs.of(Side::Lockstep),
        ("one question", runs.of(Side::Baseline)),
        Goal::Plus(5.0),
    ));
    Ok(())
}

async fn fill(scene: &Scene) -> anyhow::Result<()> {
    let client = scene.schema.connect().await?;
    client.execute(FILL_INBOX, &[&INBOX]).await?;
    client.execute(FILL_DEAD_LETTERS, &[&DEAD_LETTERS]).await?;
    // One statement each, because VACUUM cannot run inside a transaction.
    client.batch_execute("VACUUM ANALYZE inbox").await?;
    client.batch_execute("VACUUM ANALYZE dead_letter").await?;
    Ok(client.batch_execute("CHECKPOINT").await?)
}

/// The time of a query that reads no table.
async fn question(scene: &Scene) -> anyhow::Result<Duration> {
    let client = scene.schema.connect().await?;
    let select = client.prepare("SELECT 1").await?;
    let began = Instant::now();
    for _ in 0..PASSES {
        client.query_one(&select, &[]).await?;
    }
    Ok(began.elapsed() / PASSES)
}
