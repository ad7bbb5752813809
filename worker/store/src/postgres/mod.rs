//! Implements the store on PostgreSQL.
//!
//! A batch is two network round trips, whatever its size: [`begin`](super::UnitOfWork::begin) sends `BEGIN` and all its
//! reads at once, [`commit`](super::Transaction::commit) all its writes and `COMMIT`, each a prepared statement over
//! arrays. The transaction of a run first locks leases and repositories, one after the other.
//!
//! PostgreSQL cannot store U+0000 in texts and refuses the transaction. In the fields about a message (type, subject, actor)
//! U+FFFD replaces it, so that every message can be recorded.

mod access;
mod address;
mod age;
mod begin;
mod broad;
mod cause;
mod commit;
mod connect;
mod delivery_attempt;
mod device;
pub(crate) mod error;
mod flag;
mod fleet;
mod grant;
mod group;
mod history;
mod inbox;
mod lease;
mod lock_watch;
mod management_domain;
mod message;
mod message_columns;
mod microseconds;
mod migrate;
mod options;
mod quote;
mod related;
mod repository;
mod retention;
mod session;
mod set_up;
mod sql;
mod stats;
mod sync;
mod write;

use std::fmt;
use std::sync::Arc;

use deadpool_postgres::Pool;

pub use access::{DatabaseRole, OBJECTS, ObjectRights, Privilege};
pub use grant::DatabaseAccess;
pub use options::PostgresOptions;
pub use set_up::{Change, DatabaseSetUp};

use super::StoreError;
use super::group_table::KnownRules;
use cause::CauseIds;
use delivery_attempt::AttemptSessions;
use lock_watch::LockWatch;
use session::Session;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

/// A store on PostgreSQL, with its pool of sessions.
pub struct PostgresStore {
    pool: Pool,
    options: PostgresOptions,
    cause_ids: Arc<CauseIds>,
    attempts: Arc<AttemptSessions>,
    locks: Arc<LockWatch>,
    group_rules: KnownRules,
}

impl PostgresStore {
    /// A store at the address of the options. It connects on the first use, so the database may be unavailable now.
    ///
    /// # Errors
    /// [`StoreError::Address`] if the address or its certificates are invalid.
    pub fn connect(options: PostgresOptions) -> Result<Arc<Self>, StoreError> {
        let pool = connect::pool(&options)?;
        let locks = LockWatch {
            pool: pool.clone(),
            options: options.clone(),
        };
        Ok(Arc::new(Self {
            pool,
            locks: Arc::new(locks),
            attempts: Arc::new(AttemptSessions::new(&options)?),
            options,
            cause_ids: Arc::default(),
            group_rules: KnownRules::default(),
        }))
    }
}

impl PostgresStore {
    /// A session on a schema that this program may use, with the statements of batches prepared.
    async fn session(&self, operation: &'static str) -> Result<Session, StoreError> {
        let statements = begin::STATEMENTS.into_iter().chain(commit::STATEMENTS);
        Session::from_pool(&self.pool, &self.options, statements, operation).await
    }

    /// Runs a query outside of a transaction.
    async fn rows(
        &self,
        operation: &'static str,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        let session = self.session(operation).await?;
        let rows = session.rows_for(operation, sql, parameters).await?;
        session.give_back();
        Ok(rows)
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
