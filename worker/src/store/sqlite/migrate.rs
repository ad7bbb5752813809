use std::fs::File;
use std::path::PathBuf;
use std::sync::LazyLock;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::Connection;

use super::connection::Lent;
use super::error::{Failure, meaning};
use super::{SqliteOptions, SqliteStore};
use crate::store::meaning::Meaning;
use crate::store::migrated::{failed, migrated, newest, number};
use crate::store::{Migrated, Schema, StoreError};

mod embedded {
    refinery::embed_migrations!("src/store/migrations/sqlite");
}

static NEEDED: LazyLock<u32> = LazyLock::new(|| newest(&embedded::migrations::runner()));

const OPERATION: &str = "migrate";

/// Fails unless the schema is of this program's version.
pub(super) fn check(connection: &Connection) -> Result<(), Failure> {
    let needed = *NEEDED;
    let found = version(connection)?;
    if found == needed {
        Ok(())
    } else {
        Err(StoreError::SchemaVersion { found, needed }.into())
    }
}

fn version(connection: &Connection) -> rusqlite::Result<u32> {
    let history = "SELECT count(*) FROM sqlite_master WHERE name = 'refinery_schema_history'";
    let there: i64 = connection
        .prepare_cached(history)?
        .query_row([], |row| row.get(0))?;
    if there == 0 {
        return Ok(0);
    }
    let newest = "SELECT max(version) FROM refinery_schema_history";
    let newest: Option<i32> = connection
        .prepare_cached(newest)?
        .query_row([], |row| row.get(0))?;
    Ok(newest.map_or(0, number))
}

#[async_trait]
impl Schema for SqliteStore {
    async fn migrate(&self) -> Result<Migrated, StoreError> {
        let lock = lock(&self.options).await?;
        let lent = Lent::from(&self.writer, OPERATION).await?;
        let migrated = lent
            .run(OPERATION, |connection| {
                let report = embedded::migrations::runner().run(connection);
                let report = report.map_err(|error| failed(error, *NEEDED, meaning))?;
                Ok(migrated(&report, *NEEDED))
            })
            .await?;
        lent.give_back();
        drop(lock);
        Ok(migrated)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        const OPERATION: &str = "ping";
        let lent = Lent::from(&self.readers, OPERATION).await?;
        lent.run(OPERATION, |connection| check(connection)).await?;
        lent.give_back();
        Ok(())
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        const OPERATION: &str = "read the clock";
        let lent = Lent::from(&self.readers, OPERATION).await?;
        let microsecond: i64 = lent
            .run(OPERATION, |connection| {
                let clock = "SELECT CAST(unixepoch('subsec') * 1000000 AS INTEGER)";
                Ok(connection.query_row(clock, [], |row| row.get(0))?)
            })
            .await?;
        lent.give_back();
        Timestamp::from_microsecond(microsecond).map_err(|error| Meaning::Refused.error(OPERATION, error))
    }
}

/// A lock on a file beside the store, since a migration is several transactions. The system frees it when the file is
/// closed, however that comes.
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
        .map_err(|error| Meaning::Unavailable.error(OPERATION, error))
}
