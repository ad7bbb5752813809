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

/// The sessions of the schema that wait for a lock in a statement.
const WAITING: &str = "FROM pg_stat_activity activity JOIN pg_locks USING (pid) \
     WHERE NOT granted AND query LIKE $1 AND EXISTS (SELECT 1 FROM pg_locks own \
         WHERE own.pid = activity.pid AND own.relation = 'device'::regclass)";

/// Waits until a session waits for a lock in this statement.
async fn waits_in(scene: &Scene, statement: &str) -> Result<()> {
    let client = scene.servers()?.schema.connect().await?;
    let query = &format!("SELECT count(*) {WAITING}");
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

/// Ends those sessions: that of a worker that was killed waits on.
async fn terminate(scene: &Scene, statement: &str) -> Result<()> {
    let client = scene.servers()?.schema.connect().await?;
    let query = &format!("SELECT pg_terminate_backend(pid) {WAITING}");
    client.query(query, &[&statement]).await?;
    Ok(())
}

/// Another session holds what `lock` takes, given one of the messages and its sender, while workers start and end.
async fn workers_end_while_messages_wait(lock: fn(&Envelope, &str) -> String, statement: &str) -> Result<()> {
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
    transaction.batch_execute(&lock(&updates[0], bus.user())).await?;
    bus.publish(updates.iter().map(outgoing).collect()).await?;
    sent.extend(updates.iter().map(|event| (event.identity.clone(), flags(event))));
    for round in 0..ROUNDS {
        terminate(&scene, statement).await?;
        let mut worker = scene.worker(&[("LOCKSTEP__WORKER__GRACE_SECONDS", "1")])?;
        worker.prints("worker started").await?;
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
    // A session of a worker that was killed may have committed them; this worker answers.
    scene.oracle().check(&sent, &*bus).await?;
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn for_the_rows_of_devices() -> Result<()> {
    let lock = |_: &Envelope, _: &str| "SELECT 1 FROM device FOR UPDATE".to_owned();
    workers_end_while_messages_wait(lock, "SELECT%FOR%UPDATE%").await
}

#[tokio::test(flavor = "multi_thread")]
async fn for_the_inbox_in_the_commit() -> Result<()> {
    // As if another worker were about to commit the same message.
    let lock = |event: &Envelope, user: &str| {
        let Identity { source, id } = &event.identity;
        format!(
            "INSERT INTO inbox (source, id, actor, kind, digest, state, at, result_type, result) \
             VALUES ('{source}', '{id}', '{user}', '', '', 'applied', now(), '', '')"
        )
    };
    workers_end_while_messages_wait(lock, "INSERT INTO inbox%").await
}
