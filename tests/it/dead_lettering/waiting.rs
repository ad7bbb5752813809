//! Messages that only wait are not poison, however often their worker is killed or stopped meanwhile.

use anyhow::{Result, ensure};
use lockstep_protocol::{Envelope, Identity};
use lockstep_testbed::wait;
use rustix::process::Signal;

use crate::system::load::{flags, outgoing};
use crate::system::{Ground, Load, PATIENCE, Scene, Sent};

const LOAD: Load = Load {
    devices: 5,
    events: 40,
};
/// More often than attempts may begin without an end.
const ROUNDS: usize = 7;

/// Waits until a session of the schema waits for a lock in this statement.
async fn waits_in(scene: &Scene, statement: &str) -> Result<()> {
    let client = scene.servers()?.schema.connect().await?;
    let query = "SELECT count(*) FROM pg_stat_activity activity JOIN pg_locks USING (pid) \
                 WHERE NOT granted AND query LIKE $1 AND EXISTS (SELECT 1 FROM pg_locks own \
                     WHERE own.pid = activity.pid AND own.relation = 'device'::regclass)";
    wait::until("the worker to wait for a lock", PATIENCE, async || {
        match client.query_one(query, &[&statement]).await {
            Ok(row) if row.get::<_, i64>(0) > 0 => Ok(()),
            Ok(_) => Err("none waits".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    })
    .await?;
    Ok(())
}

/// Another session holds what `lock` takes, given one of the messages, while workers start and end.
async fn workers_end_while_messages_wait(lock: fn(&Envelope) -> String, statement: &str) -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let bus = scene.bus().await?;
    let fleet = Load { events: 0, ..LOAD };
    let mut sent: Sent = fleet.publish(&*bus).await?;
    let worker = scene.worker(&[])?;
    scene.oracle().processed(&sent).await?;
    worker.stop().await?;

    let mut holder = scene.servers()?.schema.connect().await?;
    let transaction = holder.transaction().await?;
    let updates = LOAD.updates();
    transaction.batch_execute(&lock(&updates[0])).await?;
    bus.publish(updates.iter().map(outgoing).collect()).await?;
    sent.extend(updates.iter().map(|event| (event.identity.clone(), flags(event))));
    for round in 0..ROUNDS {
        let mut worker = scene.worker(&[("LOCKSTEP__WORKER__GRACE_SECONDS", "1")])?;
        waits_in(&scene, statement).await?;
        if round % 2 == 0 {
            worker.signal(Signal::KILL)?;
            worker.ended().await?;
        } else {
            worker.signal(Signal::TERM)?;
            let status = worker.ended().await?;
            ensure!(status.success(), "{status}: {}", worker.log()?);
        }
    }
    transaction.rollback().await?;
    let worker = scene.worker(&[])?;
    scene.oracle().processed(&sent).await?;
    worker.stop().await?;
    scene.oracle().check(&sent, &*bus).await
}

#[tokio::test(flavor = "multi_thread")]
async fn for_the_rows_of_devices() -> Result<()> {
    let lock = |_: &Envelope| "SELECT 1 FROM device FOR UPDATE".to_owned();
    workers_end_while_messages_wait(lock, "SELECT%FOR%UPDATE%").await
}

#[tokio::test(flavor = "multi_thread")]
async fn for_the_inbox_in_the_commit() -> Result<()> {
    // As if another worker were about to commit the same message.
    let lock = |event: &Envelope| {
        let Identity { source, id } = &event.identity;
        format!(
            "INSERT INTO inbox (source, id, kind, digest, state, at, result_type, result) \
             VALUES ('{source}', '{id}', '', '', 'applied', now(), '', '')"
        )
    };
    workers_end_while_messages_wait(lock, "INSERT INTO inbox%").await
}
