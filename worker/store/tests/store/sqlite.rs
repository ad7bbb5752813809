//! The contract on SQLite, and tests of its file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};
use async_trait::async_trait;
use jiff::Timestamp;
use lockstep_store::sqlite::{SqliteOptions, SqliteStore};
use lockstep_store::{Schema, StoreError};
use rusqlite::Connection;

use crate::contract::{Place, Probe, create_all, undo};

contract!(crate::sqlite::open);

pub(crate) async fn open() -> Result<Place> {
    open_with(Duration::from_secs(10)).await
}

async fn open_with(lock_timeout: Duration) -> Result<Place> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("store.sqlite");
    let options = SqliteOptions {
        lock_timeout,
        ..SqliteOptions::new(&path)
    };
    let store = SqliteStore::open(options.clone())?;
    store.migrate().await?;
    let other = SqliteStore::open(options)?;
    Ok(Place {
        owners: [store.clone(), other.clone()],
        store,
        other,
        probe: Box::new(File(path)),
        keep: Box::new(folder),
    })
}

struct File(PathBuf);

#[async_trait]
impl Probe for File {
    async fn texts(&self, query: &str) -> Result<Vec<String>> {
        let connection = Connection::open(&self.0)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.execute_batch("PRAGMA foreign_keys = OFF")?;
        let mut statement = connection.prepare(query)?;
        let rows = statement.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn time(&self, at: Timestamp) -> String {
        at.as_microsecond().to_string()
    }

    fn blob(&self, bytes: &[u8]) -> String {
        format!("x'{}'", hex::encode(bytes))
    }

    fn earlier(&self, column: &str, minutes: i64) -> String {
        format!("{column} - {}", minutes * 60_000_000)
    }

    fn causes(&self) -> &'static str {
        "cause"
    }

    fn watch(&self, table: &str) -> Vec<String> {
        let trigger = |operation| {
            format!(
                "CREATE TRIGGER {table}_{operation} AFTER {operation} ON {table} BEGIN INSERT INTO written VALUES ('{table} {operation}'); END"
            )
        };
        let written = "CREATE TABLE IF NOT EXISTS written (what TEXT)".to_owned();
        std::iter::once(written)
            .chain(["INSERT", "UPDATE", "DELETE"].map(trigger))
            .collect()
    }

    fn undo(&self) -> &'static [(u32, &'static [&'static str])] {
        // Versions 2 and 4 copy each table, so their migrations run on their own tables, too.
        &[
            (18, undo::AUDIT_DECISIONS),
            (17, undo::OIDC),
            (16, undo::FLEET_SAMPLES),
            (15, undo::TRACES),
            (14, undo::ACCESS),
            (13, &["DROP TABLE inventory_source"]),
            (12, undo::WORKFLOW),
            (11, undo::TASK_FORMS),
            (10, undo::PAGES),
            (9, undo::SYNC),
            (
                8,
                &[
                    "DROP TABLE former_hostname",
                    "DROP TABLE device_history",
                    "ALTER TABLE device DROP COLUMN state_since",
                    "ALTER TABLE device DROP COLUMN primary_group",
                    "DROP INDEX linknet_removed",
                    "ALTER TABLE linknet DROP COLUMN present",
                    "ALTER TABLE linknet DROP COLUMN removed_at",
                    "ALTER TABLE linknet DROP COLUMN version_time",
                    "ALTER TABLE linknet DROP COLUMN version_id",
                    "ALTER TABLE linknet DROP COLUMN added_time",
                    "ALTER TABLE linknet DROP COLUMN added_id",
                    "ALTER TABLE cause DROP COLUMN detail",
                    "DROP TABLE group_rule_device",
                    "DROP TABLE group_rules",
                    "ALTER TABLE device_group DROP COLUMN regex",
                    "ALTER TABLE device_group DROP COLUMN priority",
                    "ALTER TABLE device_group DROP COLUMN position",
                    "ALTER TABLE group_member DROP COLUMN listed",
                    "ALTER TABLE group_member DROP COLUMN by_rule",
                ],
            ),
            (7, &[]),
            (6, undo::RUN_CYCLE),
            (5, undo::EXECUTIONS),
            (4, &["DROP TABLE repository_failure"]),
            (
                3,
                &[
                    "DROP INDEX device_hostname_folded",
                    "ALTER TABLE device DROP COLUMN hostname_folded",
                    "ALTER TABLE device DROP COLUMN marked_at",
                    "ALTER TABLE device DROP COLUMN marked_by",
                    "ALTER TABLE device DROP COLUMN marked_note",
                    "ALTER TABLE cause DROP COLUMN note",
                ],
            ),
            (2, &["UPDATE schema_compatibility SET oldest = 1"]),
        ]
    }
}

fn file(place: &Place) -> PathBuf {
    let folder: &tempfile::TempDir = place.keep.downcast_ref().expect("the folder");
    folder.path().join("store.sqlite")
}

#[tokio::test]
async fn a_file_that_another_process_holds_is_waited_for_and_then_used() -> Result<()> {
    let place = open_with(Duration::from_millis(100)).await?;
    let holder = Connection::open(file(&place))?;
    holder.execute_batch("BEGIN IMMEDIATE")?;
    let held = create_all(&place, &["sw1"]).await;
    ensure!(matches!(held, Err(StoreError::Unavailable { .. })), "{held:?}");
    place.store.ping().await?;
    drop(holder);
    create_all(&place, &["sw1"]).await?;
    Ok(())
}

#[tokio::test]
async fn a_folder_that_is_missing_is_waited_for() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let inner = folder.path().join("later");
    let store = SqliteStore::open(SqliteOptions::new(inner.join("store.sqlite")))?;
    let missing = store.migrate().await;
    ensure!(
        matches!(missing, Err(StoreError::Unavailable { .. })),
        "{missing:?}"
    );
    ensure!(matches!(store.ping().await, Err(StoreError::Unavailable { .. })));
    std::fs::create_dir(&inner)?;
    store.migrate().await?;
    store.ping().await?;
    Ok(())
}

#[tokio::test]
async fn commits_are_synced_and_logged_ahead() -> Result<()> {
    let place = open().await?;
    create_all(&place, &["sw1"]).await?;
    let mode = place.probe.texts("PRAGMA journal_mode").await?;
    ensure!(mode == ["wal"]);
    ensure!(Path::new(&format!("{}-wal", file(&place).display())).exists());
    Ok(())
}
