//! Measures one command that requeues ten thousand dead letters, against publishing the same number of messages of the same
//! size with confirms.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use lockstep_bus::amqp::{AmqpBus, AmqpOptions};
use lockstep_bus::{Bus, Outgoing, Properties};
use lockstep_clock::{Clock, SystemClock};
use lockstep_protocol::commands::{DeadLetterRequeueRequested, DeadLetterSelection};
use lockstep_protocol::topology::{Destination, Lane, RetryDelay};
use lockstep_protocol::{Envelope, Kind, Source};
use lockstep_store::postgres::{PostgresOptions, PostgresStore};
use lockstep_worker::handlers::FleetHandlers;
use lockstep_worker::runtime::{self, WorkerContext, WorkerOptions};
use tokio_util::sync::CancellationToken;

use crate::counting::CountingBus;
use crate::rounds::{Side, alternate};
use crate::scene::{Host, Scene};
use crate::table::{Goal, Row, Table};

const DEAD_LETTERS: i64 = 10_000;
const BODY: usize = 400;

const FILL: &str = "\
    INSERT INTO dead_letter (source, id, redrive_count, lane, kind, code, reason, attempts, first_at, dead_lettered_at, body, properties, state) \
    SELECT 'urn:example:netbox', number::text, 0, 'events', 'lockstep.interface.updated', 'unknown-device', 'x', 1, \
        now(), now(), convert_to(repeat('x', $2::integer), 'UTF8'), '{}', 'dead' \
    FROM generate_series(1, $1::bigint) AS number";

/// Measures both alternately.
///
/// # Errors
/// A server rejects a request, or dead letters are left.
pub(crate) async fn measure(host: &Host, rounds: u32, table: &mut Table) -> anyhow::Result<()> {
    let runs = alternate("fan-out", rounds, &Side::BOTH, async |side| {
        let scene = host.scene(1).await?;
        let took = match side {
            Side::Baseline => publish(&scene).await?,
            Side::Lockstep => requeue(&scene).await?,
        };
        Ok(took.as_secs_f64() * 1e3)
    })
    .await?;
    table.rows.push(Row::new(
        "10,000 dead letters requeued by one command",
        "ms",
        runs.of(Side::Lockstep),
        ("published with confirms", runs.of(Side::Baseline)),
        Goal::AtMost(2.0),
    ));
    Ok(())
}

/// The time to publish the same number of messages with confirms.
async fn publish(scene: &Scene) -> anyhow::Result<Duration> {
    let bus = AmqpBus::connect(AmqpOptions::new(scene.vhost.url())).await?;
    let message = Outgoing {
        destination: Destination::Delay(RetryDelay::Minutes10, Lane::Events),
        properties: Properties::default(),
        body: vec![b'x'; BODY].into(),
    };
    bus.publish(vec![message.clone()]).await?;
    let began = Instant::now();
    bus.publish(vec![message; usize::try_from(DEAD_LETTERS)?]).await?;
    let took = began.elapsed();
    bus.close().await;
    Ok(took)
}

/// The time from the start of the worker's consumer to the acknowledgement of the command. All copies are confirmed by then.
async fn requeue(scene: &Scene) -> anyhow::Result<Duration> {
    let client = scene.schema.connect().await?;
    client
        .execute(FILL, &[&DEAD_LETTERS, &i32::try_from(BODY)?])
        .await?;
    client.batch_execute("VACUUM ANALYZE dead_letter").await?;
    client.batch_execute("CHECKPOINT").await?;
    let amqp: Arc<dyn Bus> = AmqpBus::connect(AmqpOptions::new(scene.vhost.url())).await?;
    amqp.publish(vec![command()?]).await?;
    let done = CancellationToken::new();
    let bus = Arc::new(CountingBus::new(amqp, 1, scene.servers, done.clone()));
    let store = PostgresStore::connect(PostgresOptions::new(scene.schema.url()))?;
    let context = WorkerContext {
        bus: bus.clone(),
        store: store.clone(),
        follow_ups: store.clone(),
        delivery_attempts: store.clone(),
        leases: store.clone(),
        schema: store,
        handlers: Arc::new(FleetHandlers::default()),
        claimants: std::collections::BTreeMap::new(),
        runners: std::collections::BTreeMap::new(),
        clock: Arc::new(SystemClock),
    };
    let options = WorkerOptions {
        lanes: vec![Lane::Commands],
        ..WorkerOptions::default()
    };
    runtime::run(context, options, done, CancellationToken::new()).await?;
    bus.close().await;
    let left = "SELECT count(*) FROM dead_letter WHERE state <> 'requeued'";
    let left: i64 = client.query_one(left, &[]).await?.get(0);
    ensure!(left == 0, "{left} are not requeued");
    Ok(bus.measured().context("the command was not processed")?.wall)
}

fn command() -> anyhow::Result<Outgoing> {
    let source = Source::try_from("urn:lockstep:bench".to_owned())?;
    let selection = DeadLetterSelection {
        up_to: u64::MAX,
        code: None,
        lane: None,
        message_type: None,
    };
    let command = DeadLetterRequeueRequested {
        dead_letter: None,
        matching: Some(selection),
    };
    let envelope = Envelope::new(source, SystemClock.now(), command);
    Ok(Outgoing {
        destination: Destination::Ingress(Kind::DeadLetterRequeueRequested),
        properties: Properties {
            message_id: Some(envelope.identity.id.clone().into()),
            kind: Some(Kind::DeadLetterRequeueRequested.as_str().into()),
            content_type: Some(lockstep_protocol::envelope::CONTENT_TYPE.into()),
            ..Properties::default()
        },
        body: envelope.encode().into(),
    })
}
