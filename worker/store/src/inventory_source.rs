//! How far the change logs of inventories were read, on both databases. The names of removed sources stay: each is one row.

use std::fmt::Debug;

use async_trait::async_trait;
use jiff::Timestamp;

use super::StoreError;
use super::sql::{Row, SqlDatabase};

/// The most characters of an error that are kept.
const MOST_CHARACTERS: usize = 2000;

const READ: &str = "read the sources of the inventory";
const WRITE: &str = "write a source of the inventory";

const SELECT: &str = "\
    SELECT name, begins, read_until, succeeded_at, error, error_since, error_at FROM inventory_source ORDER BY name";

/// Never moves back, if a process that lost its lease is late.
const POLLED: &str = "\
    INSERT INTO inventory_source (name, begins, read_until, succeeded_at) \
    SELECT CAST($1 AS text), $2, $3, {now} WHERE true \
    ON CONFLICT (name) DO UPDATE SET \
        begins = coalesce(inventory_source.begins, excluded.begins), \
        read_until = CASE WHEN inventory_source.read_until > excluded.read_until \
            THEN inventory_source.read_until ELSE excluded.read_until END, \
        succeeded_at = excluded.succeeded_at, error = NULL, error_since = NULL, error_at = NULL";

/// The clock is read once: the times of a first failure are equal.
const FAILED: &str = "\
    INSERT INTO inventory_source (name, error, error_since, error_at) \
    SELECT CAST($1 AS text), CAST($2 AS text), now, now FROM (SELECT {now} AS now) AS clock WHERE true \
    ON CONFLICT (name) DO UPDATE SET error = excluded.error, \
        error_since = coalesce(inventory_source.error_since, excluded.error_since), error_at = excluded.error_at";

/// A source of the inventory, as far as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InventorySourceRow {
    /// Its configured name.
    pub name: String,
    /// How far its change log was read; `None` before the first poll that succeeded.
    pub cursor: Option<SourceCursor>,
    /// When a poll succeeded last, by the store's clock.
    pub succeeded_at: Option<Timestamp>,
    /// Why the last poll failed; `None` if it succeeded.
    pub error: Option<SourceError>,
}

/// How far a change log was read, by the clock of its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceCursor {
    /// Nothing before this time is read: it is where the first poll began.
    pub begins: Timestamp,
    /// Everything until this time was read.
    pub read_until: Timestamp,
}

/// Why polls of a source fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceError {
    /// The error of the last poll.
    pub reason: String,
    /// The first poll that failed since the last one that did not, by the store's clock.
    pub since: Timestamp,
    /// The last poll, by the store's clock.
    pub at: Timestamp,
}

/// Keeps how far the change logs of inventories were read.
#[async_trait]
pub trait InventorySources: Debug + Send + Sync + 'static {
    /// Every source that was polled, ordered by name.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn inventory_sources(&self) -> Result<Vec<InventorySourceRow>, StoreError>;

    /// Records that a poll succeeded now, and how far it read. The place never moves back, and the beginning never moves.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn source_polled(&self, name: &str, cursor: SourceCursor) -> Result<(), StoreError>;

    /// Records that a poll failed now. A long reason is cut.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn source_failed(&self, name: &str, reason: &str) -> Result<(), StoreError>;
}

#[async_trait]
impl<D: SqlDatabase> InventorySources for D {
    async fn inventory_sources(&self) -> Result<Vec<InventorySourceRow>, StoreError> {
        let rows = self.read(READ, SELECT, Vec::new()).await?;
        rows.iter().map(read).collect()
    }

    async fn source_polled(&self, name: &str, cursor: SourceCursor) -> Result<(), StoreError> {
        let row = vec![name.into(), cursor.begins.into(), cursor.read_until.into()];
        let transaction = self.write(WRITE).await?;
        transaction.execute_each(WRITE, POLLED, vec![row]).await?;
        transaction.commit(WRITE).await
    }

    async fn source_failed(&self, name: &str, reason: &str) -> Result<(), StoreError> {
        let reason: String = reason.chars().take(MOST_CHARACTERS).collect();
        let transaction = self.write(WRITE).await?;
        let row = vec![name.into(), reason.into()];
        transaction.execute_each(WRITE, FAILED, vec![row]).await?;
        transaction.commit(WRITE).await
    }
}

fn read(row: &Row) -> Result<InventorySourceRow, StoreError> {
    let begins = row.optional_time("inventory_source.begins", 1)?;
    let read_until = row.optional_time("inventory_source.read_until", 2)?;
    let reason = row.optional_text("inventory_source.error", 4)?;
    let since = row.optional_time("inventory_source.error_since", 5)?;
    let at = row.optional_time("inventory_source.error_at", 6)?;
    let error = reason.zip(since).zip(at);
    Ok(InventorySourceRow {
        name: row.text("inventory_source.name", 0)?,
        cursor: begins
            .zip(read_until)
            .map(|(begins, read_until)| SourceCursor { begins, read_until }),
        succeeded_at: row.optional_time("inventory_source.succeeded_at", 3)?,
        error: error.map(|((reason, since), at)| SourceError { reason, since, at }),
    })
}
