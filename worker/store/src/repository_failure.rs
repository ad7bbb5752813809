//! The repositories that cannot be fetched, on both databases. What is written here informs operators and decides nothing.

use std::fmt::Debug;

use async_trait::async_trait;
use jiff::Timestamp;
use lockstep_protocol::RepositoryName;

use super::sql::{Row, SqlDatabase};
use super::{StoreError, column};

/// The most characters of a reason that are kept.
const MOST_CHARACTERS: usize = 2000;

const READ: &str = "read failures of repositories";
const WRITE: &str = "write a failure of a repository";

const SELECT: &str = "SELECT name, reason, since, at FROM repository_failure ORDER BY name";

/// The clock is read once: the times of a first failure are equal.
const INSERT: &str = "\
    INSERT INTO repository_failure (name, reason, since, at) \
    SELECT CAST($1 AS text), CAST($2 AS text), now, now FROM (SELECT {now} AS now) AS clock WHERE true \
    ON CONFLICT (name) DO UPDATE SET reason = excluded.reason, at = excluded.at";

/// No refresh reads it, so the revision stays.
const ASKED: &str = "UPDATE repository SET asked_at = {now} WHERE name = $1";

const DELETE: &str = "DELETE FROM repository_failure WHERE name = $1";

/// A repository that could not be fetched at the last attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryFailure {
    /// The configured name of the repository.
    pub name: RepositoryName,
    /// Why the last attempt failed.
    pub reason: String,
    /// The first attempt that failed since the last one that did not, by the store's clock.
    pub since: Timestamp,
    /// The last attempt, by the store's clock.
    pub at: Timestamp,
}

/// Keeps which repositories cannot be fetched, and why.
#[async_trait]
pub trait RepositoryFailures: Debug + Send + Sync + 'static {
    /// The repositories whose last attempt failed, ordered by name.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn failures(&self) -> Result<Vec<RepositoryFailure>, StoreError>;

    /// Records that an attempt failed now. A long reason is cut.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn failed(&self, name: &RepositoryName, reason: &str) -> Result<(), StoreError>;

    /// Records that an attempt succeeded now.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn recovered(&self, name: &RepositoryName) -> Result<(), StoreError>;
}

#[async_trait]
impl<D: SqlDatabase> RepositoryFailures for D {
    async fn failures(&self) -> Result<Vec<RepositoryFailure>, StoreError> {
        let rows = self.read(READ, SELECT, Vec::new()).await?;
        rows.iter().map(read).collect()
    }

    async fn failed(&self, name: &RepositoryName, reason: &str) -> Result<(), StoreError> {
        let reason: String = reason.chars().take(MOST_CHARACTERS).collect();
        let transaction = self.write(WRITE).await?;
        let row = vec![name.as_str().into(), reason.into()];
        transaction.execute_each(WRITE, INSERT, vec![row]).await?;
        transaction.commit(WRITE).await
    }

    async fn recovered(&self, name: &RepositoryName) -> Result<(), StoreError> {
        let transaction = self.write(WRITE).await?;
        let row = vec![name.as_str().into()];
        transaction.execute_each(WRITE, DELETE, vec![row.clone()]).await?;
        transaction.execute_each(WRITE, ASKED, vec![row]).await?;
        transaction.commit(WRITE).await
    }
}

fn read(row: &Row) -> Result<RepositoryFailure, StoreError> {
    Ok(RepositoryFailure {
        name: column::name("repository_failure.name", row.text("repository_failure.name", 0)?)?,
        reason: row.text("repository_failure.reason", 1)?,
        since: row.time("repository_failure.since", 2)?,
        at: row.time("repository_failure.at", 3)?,
    })
}
