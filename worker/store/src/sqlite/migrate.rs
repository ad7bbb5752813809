use std::fs::File;
use std::path::PathBuf;
use std::sync::LazyLock;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::Connection;

use super::connection::PooledConnection;
use super::error::{Failure, error_class};
use super::{SqliteOptions, SqliteStore};
use crate::error_class::ErrorClass;
use crate::migrated::{self, Found, failed, migrated, newer, newest, number};
use crate::{Migrated, Schema, StoreError};

mod embedded {
    refinery::embed_migrations!("src/migrations/sqlite");
}

static NEEDED: LazyLock<u32> = LazyLock::new(|| newest(&embedded::migrations::runner()));

const OPERATION: &str = "migrate";

/// Fails unless this program may use the schema.
pub(super) fn check(connection: &Connection) -> Result<(), Failure> {
    Ok(migrated::check(found(connection)?, *NEEDED)?)
}

/// Reads the version information in the schema.
fn found(connection: &Connection) -> rusqlite::Result<Found> {
    let newest = "SELECT max(version) FROM refinery_schema_history";
    let version = integer(connection, "refinery_schema_history", newest)?.map_or(0, number);
    let oldest = if version > *NEEDED {
        let oldest = "SELECT max(oldest) FROM schema_compatibility";
        integer(connection, "schema_compatibility", oldest)?
    } else {
        None
    };
    Ok(Found {
        version,
        oldest: oldest.map(number),
    })
}

fn integer(connection: &Connection, table: &str, select: &str) -> rusqlite::Result<Option<i32>> {
    let exists = connection
        .prepare_cached("SELECT 1 FROM sqlite_master WHERE name = ?1")?
        .exists([table])?;
    if !exists {
        return Ok(None);
    }
    connection.prepare_cached(select)?.query_row([], |row| row.get(0))
}

#[async_trait]
impl Schema for SqliteStore {
    async fn migrate(&self) -> Result<Migrated, StoreError> {
        let lock = lock(&self.options).await?;
        let pooled = PooledConnection::from(&self.writer, OPERATION).await?;
        let migrated = pooled
            .run(OPERATION, |connection| {
                if let Some(migrated) = newer(found(connection)?, *NEEDED)? {
                    return Ok(migrated);
                }
                let report = embedded::migrations::runner().run(connection);
                let report = report.map_err(|error| failed(error, error_class))?;
                Ok(migrated(&report, *NEEDED))
            })
            .await?;
        pooled.give_back();
        drop(lock);
        Ok(migrated)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        const OPERATION: &str = "ping";
        let pooled = PooledConnection::from(&self.readers, OPERATION).await?;
        pooled.run(OPERATION, |connection| check(connection)).await?;
        pooled.give_back();
        Ok(())
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        const OPERATION: &str = "read the clock";
        let pooled = PooledConnection::from(&self.readers, OPERATION).await?;
        let now = pooled.run(OPERATION, |connection| now(connection)).await?;
        pooled.give_back();
        Ok(now)
    }
}

/// The time by SQLite's clock.
pub(super) fn now(connection: &Connection) -> Result<Timestamp, Failure> {
    let clock = "SELECT CAST(unixepoch('subsec') * 1000000 AS INTEGER)";
    let microseconds = connection.query_row(clock, [], |row| row.get(0))?;
    Ok(crate::column::read_microseconds("the clock", microseconds)?)
}

/// Locks a file beside the store, because a migration has several transactions. The system frees the lock when the file is
/// closed, also after a crash.
async fn lock(options: &SqliteOptions) -> Result<File, StoreError> {
    let mut path = options.path.clone().into_os_string();
    path.push(".lock");
    let path = PathBuf::from(path);
    let locked = tokio::task::spawn_blocking(move || {
        let file = File::options().create(true).append(true).open(path)?;
        file.lock()?;
        Ok(file)
    });
    locked
        .await
        .unwrap_or_else(|error| Err(std::io::Error::other(error)))
        .map_err(|error| ErrorClass::Unavailable.error(OPERATION, error))
}
