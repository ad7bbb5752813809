use std::sync::LazyLock;

use async_trait::async_trait;
use deadpool_postgres::{ClientWrapper, Object};
use jiff::Timestamp;

use super::PostgresStore;
use super::error::{classify, meaning, unavailable};
use super::microseconds::Microseconds;
use crate::store::migrated::{failed, migrated, newest};
use crate::store::{Migrated, Schema, StoreError};

mod embedded {
    refinery::embed_migrations!("src/store/migrations/postgres");
}

static NEEDED: LazyLock<u32> = LazyLock::new(|| newest(&embedded::migrations::runner()));

/// Fails unless this is the version of this program.
pub(super) fn check(found: u32) -> Result<(), StoreError> {
    let needed = *NEEDED;
    if found == needed {
        Ok(())
    } else {
        Err(StoreError::SchemaVersion { found, needed })
    }
}

#[async_trait]
impl Schema for PostgresStore {
    /// The lock is one of the session that migrates, for the schema it works in. Closing the session frees it, however
    /// that comes. A pooler between us and the server must pool sessions, not transactions.
    async fn migrate(&self) -> Result<Migrated, StoreError> {
        const OPERATION: &str = "migrate";
        let session = self
            .pool
            .get()
            .await
            .map_err(|error| unavailable(OPERATION, error))?;
        // Never given back to the pool: it has other time-outs from here on.
        let mut session = Object::take(session);
        lock(&session).await.map_err(|error| classify(OPERATION, error))?;
        let report = embedded::migrations::runner()
            .run_async(&mut *session)
            .await
            .map_err(|error| failed(error, *NEEDED, meaning))?;
        Ok(migrated(&report, *NEEDED))
    }

    async fn ping(&self) -> Result<(), StoreError> {
        const OPERATION: &str = "ping";
        let session = self.session(OPERATION).await?;
        session.check_version(OPERATION).await?;
        session.give_back();
        Ok(())
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        const OPERATION: &str = "read the clock";
        let session = self.session(OPERATION).await?;
        let row = session
            .answer(OPERATION, session.query_one("SELECT clock_timestamp()", &[]))
            .await?;
        session.give_back();
        Ok(row.get::<_, Microseconds>(0).0)
    }
}

/// Waits as long as another migration may reasonably take. A migration itself may take its time, but must not keep
/// workers waiting behind its own wait for a table.
async fn lock(session: &ClientWrapper) -> Result<(), tokio_postgres::Error> {
    session
        .batch_execute(
            "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET lock_timeout = '15min'; \
             SELECT pg_advisory_lock(hashtextextended('lockstep migrate ' || current_schema(), 0)); \
             SET lock_timeout = '30s'",
        )
        .await
}
