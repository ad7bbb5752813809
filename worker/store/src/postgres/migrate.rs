use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use deadpool_postgres::{ClientWrapper, Object};
use jiff::Timestamp;
use tokio_postgres::error::SqlState;

use super::PostgresStore;
use super::error::{classify, error_class, unavailable};
use super::grant;
use super::microseconds::Microseconds;
use crate::migrated::{self, Found, applied, driver_error, failed, newer, newest, number};
use crate::{Migrated, Schema, StoreError};

mod embedded {
    refinery::embed_migrations!("src/migrations/postgres");
}

/// The most attempts at a migration. Their waits for locks and pauses end within the time for which others wait for this migration.
const ATTEMPTS: u32 = 10;
/// The pause after the first attempt. It grows by as much with each further one.
const PAUSE: Duration = Duration::from_secs(1);

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
        let applied = apply(&mut session).await?;
        let granted = grant::apply(&session)
            .await
            .map_err(|error| classify("grant rights", error))?;
        Ok(Migrated {
            version: *NEEDED,
            known: *NEEDED,
            applied,
            granted,
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

/// Applies the migrations that the schema lacks, and returns their names. One that workers block is repeated: it is one transaction, of
/// which nothing is left.
async fn apply(session: &mut ClientWrapper) -> Result<Vec<String>, StoreError> {
    let mut names = Vec::new();
    let mut attempts = 0;
    loop {
        let error = match embedded::migrations::runner().run_async(&mut **session).await {
            Ok(report) => {
                names.extend(applied(&report));
                return Ok(names);
            }
            Err(error) => error,
        };
        // Those before the one that failed are committed.
        names.extend(error.report().into_iter().flat_map(applied));
        attempts += 1;
        let state = driver_error(&error).and_then(tokio_postgres::Error::code);
        let Some(pause) = state.and_then(|state| pause(state, attempts)) else {
            return Err(failed(error, error_class));
        };
        tracing::warn!(
            attempts,
            pause_ms = pause.as_millis(),
            %error,
            "other sessions block a migration; it is repeated"
        );
        tokio::time::sleep(pause).await;
    }
}

/// How long to wait before a migration that failed so is repeated; workers go on in the meantime. `None` if it is not repeated.
fn pause(state: &SqlState, attempts: u32) -> Option<Duration> {
    let blocked = [SqlState::T_R_DEADLOCK_DETECTED, SqlState::LOCK_NOT_AVAILABLE].contains(state);
    (blocked && attempts < ATTEMPTS).then(|| PAUSE * attempts)
}

/// Waits up to 15 minutes for another migration. The migration itself has no time limit, but each attempt waits at most 30 seconds for
/// the lock of a table, because workers queue behind that wait.
async fn lock(session: &ClientWrapper) -> Result<(), tokio_postgres::Error> {
    session
        .batch_execute(
            "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET lock_timeout = '15min'; \
             SELECT pg_advisory_lock(hashtextextended('lockstep migrate ' || current_schema(), 0)); \
             SET lock_timeout = '30s'",
        )
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_migration_that_workers_block_is_repeated_for_some_time() {
        let table = [
            ("40P01", 1, Some(1)),
            ("55P03", 1, Some(1)),
            ("40P01", 9, Some(9)),
            ("40P01", 10, None),
            ("57014", 1, None),
            ("42501", 1, None),
            ("08006", 1, None),
        ];
        for (code, attempts, expected) in table {
            let pause = pause(&SqlState::from_code(code), attempts);
            assert_eq!(pause, expected.map(Duration::from_secs), "{code} {attempts}");
        }
    }
}
