//! The store on SQLite: one file in WAL mode, synced at each commit.
//!
//! One connection writes, under `BEGIN IMMEDIATE`: a batch holds the whole store from its beginning to its end, so
//! batches come one after another and a message is never worked twice at the same time. Others read meanwhile.

mod cause;
mod connection;
mod delivery_attempt;
mod device;
mod error;
mod flag;
mod fleet;
mod inbox;
mod lease;
mod migrate;
mod related;
mod repository;
mod retention;
mod sql;
mod stats;
mod transaction;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use deadpool_sqlite::Pool;

use super::StoreError;

/// Where the file is, and how long to wait for it.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// The file; SQLite keeps `-wal` and `-shm` beside it, and migrations a `.lock`. Its folder must be there.
    pub path: PathBuf,
    /// How long to wait for another batch, or for another process that holds the file.
    pub lock_timeout: Duration,
    /// How many may read at once.
    pub readers: usize,
}

impl SqliteOptions {
    /// Options for this file, with the usual times.
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
}

impl SqliteStore {
    /// A store in the file of the options. Nothing is opened before the first use.
    ///
    /// # Errors
    /// [`StoreError::Address`] if the options make no sense.
    pub fn open(options: SqliteOptions) -> Result<Arc<Self>, StoreError> {
        Ok(Arc::new(Self {
            writer: connection::pool(&options, 1)?,
            readers: connection::pool(&options, options.readers)?,
            options,
        }))
    }
}
