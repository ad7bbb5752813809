//! A backend is killed inside its commit, the answer to a commit is lost, the database is locked: no message is lost or
//! applied twice, and no attempt is spent. Full disks are in `disks.rs`.

use std::time::Duration;

use anyhow::{Result, ensure};
use lockstep_testbed::{Mode, Schema, wait};
use rusqlite::Connection;

use crate::system::{Ground, Load, PATIENCE, Process, Scene};

const LOAD: Load = Load {
    devices: 40,
    events: 1200,
};

/// Makes each commit of an inbox row wait for an advisory lock, inside its `COMMIT`.
struct Gate {
    client: tokio_postgres::Client,
    schema: String,
}

/// The first of the two keys of the advisory lock; the second is derived from the name of the schema.
const LOCK: i32 = 7701;

impl Gate {
    async fn install(schema: &Schema) -> Result<Self> {
        let client = schema.connect().await?;
        let name = schema.name();
        client
            .batch_execute(&format!(
                "CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS $$
                 BEGIN
                     PERFORM pg_advisory_xact_lock_shared({LOCK}, hashtext('{name}'));
                     RETURN NULL;
                 END $$;
                 CREATE CONSTRAINT TRIGGER gate AFTER INSERT ON inbox DEFERRABLE INITIALLY DEFERRED
                     FOR EACH ROW EXECUTE FUNCTION gate();"
            ))
            .await?;
        Ok(Self {
            client,
            schema: name.to_owned(),
        })
    }

    async fn close(&self) -> Result<()> {
        self.call("pg_advisory_lock").await
    }

    async fn open(&self) -> Result<()> {
        self.call("pg_advisory_unlock").await
    }

    async fn call(&self, function: &str) -> Result<()> {
        let call = format!("SELECT {function}({LOCK}, hashtext('{}'))", self.schema);
        Ok(self.client.batch_execute(&call).await?)
    }

    /// Waits for backends in their `COMMIT` and calls a function on each.
    async fn on_committing(&self, function: &str) -> Result<()> {
        let select = format!(
            "SELECT {function} FROM pg_locks JOIN pg_stat_activity USING (pid)
             WHERE NOT granted AND locktype = 'advisory' AND classid = {LOCK} AND query = 'COMMIT'
               AND objid::bigint = hashtext('{}')::bigint & 4294967295",
            self.schema
        );
        wait::until("a backend in its commit", PATIENCE, async || {
            match self.client.query(&select, &[]).await {
                Ok(rows) if rows.is_empty() => Err("none".to_owned()),
                Ok(_) => Ok(()),
                Err(error) => Err(error.to_string()),
            }
        })
        .await?;
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_is_killed_inside_its_commit_again_and_again() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let bus = scene.bus().await?;
    let sent = LOAD.publish(&*bus).await?;
    let gate = Gate::install(&scene.servers()?.schema).await?;
    gate.close().await?;
    let worker = scene.worker(&[])?;
    for _ in 0..4 {
        gate.on_committing("pg_terminate_backend(pid)").await?;
    }
    ensure!(
        scene.oracle().records.processed().await? == 0,
        "a batch was committed"
    );
    gate.open().await?;
    scene.oracle().processed(&sent).await?;
    ensure_no_attempt_spent(&worker)?;
    worker.stop().await?;
    scene.oracle().check(&sent, &*bus).await
}

/// The commit takes effect, but its answer does not reach the worker.
#[tokio::test(flavor = "multi_thread")]
async fn the_answer_to_a_commit_is_lost_again_and_again() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let bus = scene.bus().await?;
    let sent = LOAD.publish(&*bus).await?;
    let servers = scene.servers()?;
    let gate = Gate::install(&servers.schema).await?;
    gate.close().await?;
    let worker = scene.worker(&[])?;
    let records = scene.oracle().records;
    for _ in 0..4 {
        gate.on_committing("pid").await?;
        let before = records.processed().await?;
        servers.to_database.set(Mode::Blackhole).await?;
        gate.open().await?;
        wait::until("the commit to be in effect", PATIENCE, async || {
            records
                .processed()
                .await
                .is_ok_and(|processed| processed > before)
        })
        .await?;
        gate.close().await?;
        servers.to_database.cut();
        servers.to_database.set(Mode::Pass).await?;
    }
    worker
        .prints_times("the transaction waits and is tried again", 4)
        .await?;
    gate.open().await?;
    scene.oracle().processed(&sent).await?;
    ensure_no_attempt_spent(&worker)?;
    worker.stop().await?;
    scene.oracle().check(&sent, &*bus).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inbox_is_locked_for_longer_than_the_lock_timeout() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let bus = scene.bus().await?;
    let sent = LOAD.publish(&*bus).await?;
    let locking = scene.servers()?.schema.connect().await?;
    let store = scene.store_url("-c lock_timeout=500ms")?;
    let worker = scene.worker(&[("LOCKSTEP__STORE__URL", &store)])?;
    scene.oracle().processed_at_least(100).await?;
    locking
        .batch_execute("BEGIN; LOCK TABLE inbox IN ACCESS EXCLUSIVE MODE")
        .await?;
    worker.prints_times("due to lock timeout", 3).await?;
    locking.batch_execute("COMMIT").await?;
    scene.oracle().processed(&sent).await?;
    ensure_no_attempt_spent(&worker)?;
    worker.stop().await?;
    scene.oracle().check(&sent, &*bus).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_is_locked_for_longer_than_the_lock_timeout() -> Result<()> {
    let scene = Scene::new(Ground::Embedded).await?;
    let bus = scene.bus().await?;
    let sent = LOAD.publish(&*bus).await?;
    bus.close().await;
    let locking = Connection::open(scene.folder().join("lockstep-data/store.sqlite"))?;
    locking.busy_timeout(Duration::from_secs(5))?;
    locking.execute_batch("BEGIN IMMEDIATE")?;
    let worker = scene.worker(&[])?;
    worker.prints("the store is unavailable").await?;
    locking.execute_batch("COMMIT")?;
    scene.oracle().processed(&sent).await?;
    ensure_no_attempt_spent(&worker)?;
    worker.stop().await?;
    let bus = scene.bus().await?;
    scene.oracle().check(&sent, &*bus).await
}

fn ensure_no_attempt_spent(worker: &Process) -> Result<()> {
    let log = worker.log()?;
    ensure!(!log.contains("message will be tried again"), "{log}");
    Ok(())
}
