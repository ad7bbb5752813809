//! The store on PostgreSQL.
//!
//! A batch is two network round trips, whatever its size: [`begin`](super::BatchStore::begin) sends `BEGIN` and all its
//! reads at once, [`commit`](super::BatchTransaction::commit) all its writes and `COMMIT`, each a prepared statement over
//! arrays. Both hold the order of locks: devices by id, then inbox, groups, new devices, the rest, each sorted.
//!
//! A text that PostgreSQL cannot hold (with U+0000) is refused, together with the transaction; the memory of a message
//! (type, subject, actor) has U+FFFD instead, so that a message can always be remembered.

mod address;
mod begin;
mod cause;
mod commit;
mod connect;
mod dead_letter;
mod dead_letters;
mod delivery_attempt;
mod device;
mod error;
mod fleet;
mod inbox;
mod lease;
mod microseconds;
mod migrate;
mod options;
mod related;
mod repository;
mod retention;
mod session;
mod stats;
mod write;

use std::fmt;
use std::sync::Arc;

use deadpool_postgres::Pool;

pub use options::PostgresOptions;

use super::StoreError;
use cause::CauseIds;

/// A store on PostgreSQL, with its pool of sessions.
pub struct PostgresStore {
    pool: Pool,
    options: PostgresOptions,
    cause_ids: Arc<CauseIds>,
}

impl PostgresStore {
    /// A store at the address of the options. Nothing is connected before the first use: the database may be away.
    ///
    /// # Errors
    /// [`StoreError::Address`] if the address or its certificates cannot be used.
    pub fn connect(options: PostgresOptions) -> Result<Arc<Self>, StoreError> {
        Ok(Arc::new(Self {
            pool: connect::pool(&options)?,
            options,
            cause_ids: Arc::default(),
        }))
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("options", &self.options)
            .field("pool", &self.pool.status())
            .finish_non_exhaustive()
    }
}
