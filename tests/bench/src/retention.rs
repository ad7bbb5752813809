//! Measures throughput while old rows are deleted, against throughput without deletion.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use async_trait::async_trait;
use jiff::Timestamp;
use lockstep_store::postgres::{PostgresOptions, PostgresStore};
use lockstep_store::{Expired, OpenCauses, Records, Retention, StoreError};
use lockstep_worker::retention::{Deleted, Keep, RetentionSweep};
use lockstep_worker::runtime::{HeldLeases, Leadership};

use crate::rounds::{Side, alternate};
use crate::scene::{Host, Role, Scene};
use crate::table::{Goal, Row, Table};

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
    let runs = alternate("retention", rounds, &Side::BOTH, async |side| {
        let scene = filled(host, events, devices).await?;
        let worker = scene.start(Role::Lockstep, events)?;
        let measured = match side {
            Side::Baseline => worker.measured().await?,
            Side::Lockstep => deleting(&scene, worker.measured()).await?.0,
        };
        scene.check(events).await?;
        Ok(measured.rate())
    })
    .await?;
    table.rows.push(Row::new(
        "events while old rows are deleted",
        "msg/s",
        runs.of(Side::Lockstep),
        ("without", runs.of(Side::Baseline)),
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

/// What was deleted meanwhile.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deletion {
    /// The time of each chunk that deleted rows, in milliseconds.
    pub(crate) chunks: Vec<f64>,
}

/// Deletes old rows until something is done.
///
/// # Errors
/// A server rejects a request, it fails, or old rows are missing.
pub(crate) async fn deleting<T>(
    scene: &Scene,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<(T, Deletion)> {
    let store = PostgresStore::connect(PostgresOptions::new(scene.schema.url()))?;
    let lease = HeldLeases::acquire(
        store.clone(),
        ["retention".to_owned()],
        Duration::from_secs(15),
        Duration::ZERO,
    );
    let lease = lease.await?.context("another owner has the lease")?;
    let timed = Arc::new(TimedRetention {
        store: store.clone(),
        chunks: Mutex::default(),
    });
    let sweep = RetentionSweep {
        store: timed.clone(),
        schema: store,
        keep: Keep {
            inbox: 30 * DAY,
            causes: 30 * DAY,
            dead_letters: 90 * DAY,
            executions: 90 * DAY,
            sync_texts: 30 * DAY,
            audit: 400 * DAY,
        },
    };
    let mut deleted = Deleted::default();
    let done = {
        let leadership = Leadership::new(&lease);
        let sweeping = sweep.sweep(&leadership, &mut deleted);
        tokio::select! {
            swept = sweeping => {
                swept?;
                anyhow::bail!("all old rows were deleted before the work was done: there were too few");
            }
            done = work => done?,
        }
    };
    ensure!(deleted.inbox > 0, "nothing was deleted meanwhile");
    lease.release().await;
    let chunks = timed
        .chunks
        .lock()
        .expect("nothing panics while it holds the lock");
    let deletion = Deletion {
        chunks: chunks.iter().map(|took| took.as_secs_f64() * 1e3).collect(),
    };
    Ok((done, deletion))
}

/// The store of a sweep, which records how long each chunk took.
#[derive(Debug)]
struct TimedRetention {
    store: Arc<PostgresStore>,
    chunks: Mutex<Vec<Duration>>,
}

#[async_trait]
impl Retention for TimedRetention {
    async fn open_causes(&self) -> Result<OpenCauses, StoreError> {
        self.store.open_causes().await
    }

    async fn expire(
        &self,
        records: &Records,
        before: Timestamp,
        from: u64,
        limit: u32,
    ) -> Result<Expired, StoreError> {
        let began = Instant::now();
        let expired = self.store.expire(records, before, from, limit).await?;
        if expired.deleted > 0 {
            let mut chunks = self
                .chunks
                .lock()
                .expect("nothing panics while it holds the lock");
            chunks.push(began.elapsed());
        }
        Ok(expired)
    }
}
