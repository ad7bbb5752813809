use std::sync::LazyLock;

use async_trait::async_trait;
use deadpool_postgres::{ClientWrapper, Object};
use jiff::Timestamp;
use tokio_postgres::error::SqlState;

use super::PostgresStore;
use super::error::{classify, error_class, unavailable};
use super::grant;
use super::microseconds::Microseconds;
use crate::migrated::{self, Found, failed, migrated, newer, newest, number};
use crate::{Migrated, Schema, StoreError};

mod embedded {
    refinery::embed_migrations!("src/migrations/postgres");
}

static NEEDED: LazyLock<u32> = LazyLock::new(|| newest(&embedded::migrations::runner()));

/// Fails unless this program may use the schema.
pub(super) fn check(found: Found) -> Result<(), StoreError> {
    migrated::check(found, *NEEDED)
}

/// Reads the version information in the schema. The session must have no open transaction, because a missing table is an error
/// that would abort it.
pub(super) async fn found(client: &tokio_postgres::Client) -> Result<Found, tokio_postgres::Error> {
    let version = integer(client, "SELECT max(version) FROM refinery_schema_history").await?;
    let version = version.map_or(0, number);
    let oldest = if version > *NEEDED {
        integer(client, "SELECT max(oldest) FROM schema_compatibility").await?
    } else {
        None
    };
    Ok(Found {
        version,
        oldest: oldest.map(number),
    })
}

async fn integer(
    client: &tokio_postgres::Client,
    select: &str,
) -> Result<Option<i32>, tokio_postgres::Error> {
    match client.query_one(select, &[]).await {
        Ok(row) => Ok(row.get(0)),
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => Ok(None),
        Err(error) => Err(error),
    }
}

#[async_trait]
impl Schema for PostgresStore {
    /// The lock is an advisory lock of the session on the schema. The server frees it when the session ends, also after a
    /// crash. A pooler between Lockstep and the server must pool sessions, not transactions.
    async fn migrate(&self) -> Result<Migrated, StoreError> {
        const OPERATION: &str = "migrate";
        let session = self
            .pool
            .get()
            .await
            .map_err(|error| unavailable(OPERATION, error))?;
        // The session leaves the pool, because its time-outs change.
        let mut session = Object::take(session);
        lock(&session).await.map_err(|error| classify(OPERATION, error))?;
        let found = found(&session)
            .await
            .map_err(|error| classify(OPERATION, error))?;
        if let Some(migrated) = newer(found, *NEEDED)? {
            return Ok(migrated);
        }
        let report = embedded::migrations::runner()
            .run_async(&mut *session)
            .await
            .map_err(|error| failed(error, error_class))?;
        let granted = grant::apply(&session)
            .await
            .map_err(|error| classify("grant rights", error))?;
        Ok(Migrated {
            granted,
            ..migrated(&report, *NEEDED)
        })
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

/// Waits up to 15 minutes for another migration. The migration itself has no time limit, but waits at most 30 seconds for the
/// lock of a table, because workers queue behind that wait.
async fn lock(session: &ClientWrapper) -> Result<(), tokio_postgres::Error> {
    session
        .batch_execute(
            "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET lock_timeout = '15min'; \
             SELECT pg_advisory_lock(hashtextextended('lockstep migrate ' || current_schema(), 0)); \
             SET lock_timeout = '30s'",
        )
        .await
}
