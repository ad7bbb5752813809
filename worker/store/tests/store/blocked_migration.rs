//! A migration beside workers that hold locks.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lockstep_testbed::wait;

use crate::postgres::{open, schema};

const PATIENCE: Duration = Duration::from_secs(20);

/// Whether a session waits for a lock of the table `device` in this mode.
fn waits(mode: &str) -> String {
    format!(
        "SELECT mode FROM pg_locks WHERE relation = to_regclass('device') AND mode = '{mode}' AND NOT granted"
    )
}

/// The migration to version 3 locks `device` and then `cause`, and a worker the other way round. Version 2 is committed by then.
#[tokio::test]
async fn a_migration_that_a_deadlock_aborts_is_repeated() -> Result<()> {
    let place = open().await?;
    let known = place.owners[0].migrate().await?.known;
    for (version, statements) in place.probe.undo() {
        let forget = format!("DELETE FROM refinery_schema_history WHERE version = {version}");
        for statement in statements.iter().copied().chain([forget.as_str()]) {
            place.probe.texts(statement).await.context(version)?;
        }
    }
    let (worker, gate) = (schema(&place).connect().await?, schema(&place).connect().await?);
    // Only the migration looks for a deadlock, so it is the one that is aborted.
    worker
        .batch_execute("SET deadlock_timeout = '1h'; BEGIN; LOCK TABLE cause IN ACCESS SHARE MODE")
        .await?;
    gate.batch_execute("BEGIN; LOCK TABLE device IN ACCESS SHARE MODE")
        .await?;
    let owner = place.owners[1].clone();
    let migrating = tokio::spawn(async move { owner.migrate().await });
    let waiting = async |mode| {
        wait::until("a session to wait for the table", PATIENCE, async || {
            let found = place.probe.texts(&waits(mode)).await;
            found.is_ok_and(|found| found.len() == 1)
        })
        .await
    };
    waiting("AccessExclusiveLock").await?;
    let working = tokio::spawn(async move {
        worker
            .batch_execute("LOCK TABLE device IN ACCESS SHARE MODE; COMMIT")
            .await
    });
    waiting("AccessShareLock").await?;
    gate.batch_execute("COMMIT").await?;
    // It gets the table only when the migration has given it up.
    tokio::time::timeout(PATIENCE, working).await???;

    let migrated = tokio::time::timeout(PATIENCE, migrating).await???;
    ensure!(
        migrated.version == known && migrated.applied.len() == place.probe.undo().len(),
        "{migrated:?}"
    );
    ensure!(migrated.applied[0] == "V2__senders", "{migrated:?}");
    place.store.ping().await?;
    Ok(())
}
