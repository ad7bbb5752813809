//! Implements the store on SQLite: one file in WAL mode, synced at each commit.
//!
//! One connection writes, under `BEGIN IMMEDIATE`. A batch locks the whole store for writing, so batches run one after another,
//! and a message is never processed twice at the same time. Other connections can read meanwhile.

mod age;
mod cause;
mod connection;
mod delivery_attempt;
mod device;
mod error;
mod flag;
mod fleet;
mod history;
mod inbox;
mod lease;
mod management_domain;
mod message;
mod migrate;
mod related;
mod repository;
mod retention;
pub(crate) mod sql;
mod stats;
mod sync;
mod transaction;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use deadpool_sqlite::Pool;

use super::StoreError;
use super::group_table::KnownRules;
use connection::PooledConnection;
use error::Failure;
use rusqlite::{Connection, TransactionBehavior};

/// The file of the store, and limits.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// The file; SQLite keeps `-wal` and `-shm` beside it, and migrations a `.lock`. Its folder must exist.
    pub path: PathBuf,
    /// How long to wait for another batch, or for another process that locks the file.
    pub lock_timeout: Duration,
    /// The maximum number of concurrent readers.
    pub readers: usize,
}

impl SqliteOptions {
    /// Options for this file, with default limits.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            lock_timeout: Duration::from_secs(5),
            readers: 4,
        }
    }
}

/// A store on SQLite.
#[derive(Debug)]
pub struct SqliteStore {
    options: SqliteOptions,
    writer: Pool,
    readers: Pool,
    group_rules: KnownRules,
}

impl SqliteStore {
    /// A store in the file of the options. The file is opened on the first use.
    ///
    /// # Errors
    /// [`StoreError::Address`] if the options are invalid.
    pub fn open(options: SqliteOptions) -> Result<Arc<Self>, StoreError> {
        Ok(Arc::new(Self {
            writer: connection::pool(&options, 1)?,
            readers: connection::pool(&options, options.readers)?,
            options,
            group_rules: KnownRules::default(),
        }))
    }
}

impl SqliteStore {
    /// Reads in one transaction, which sees one state.
    async fn read_in<T: Send + 'static>(
        &self,
        operation: &'static str,
        read: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let pooled = PooledConnection::from(&self.readers, operation).await?;
        let answer = pooled
            .run(operation, |connection| {
                let transaction = connection.transaction()?;
                migrate::check(&transaction)?;
                read(&transaction)
            })
            .await?;
        pooled.give_back();
        Ok(answer)
    }

    /// Writes in one transaction.
    async fn write_in<T: Send + 'static>(
        &self,
        operation: &'static str,
        write: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let pooled = PooledConnection::from(&self.writer, operation).await?;
        let written = pooled
            .run(operation, |connection| {
                let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                migrate::check(&transaction)?;
                let written = write(&transaction)?;
                transaction.commit()?;
                Ok(written)
            })
            .await?;
        pooled.give_back();
        Ok(written)
    }
}
