use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use lockstep_protocol::{CommitId, Hostname, RepositoryName};

use super::{GroupRules, RepositoryFailures, StoreError};

/// A repository, without its listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryRow {
    /// The configured name of the repository.
    pub name: RepositoryName,
    /// The branch of the last refresh.
    pub branch: String,
    /// Increases with each write of the row.
    pub revision: i64,
    /// The accepted commit and when it was accepted. `None` before the first one.
    pub accepted: Option<(CommitId, Timestamp)>,
    /// What the accepted commit holds that has no effect, one text for each.
    pub warnings: Vec<String>,
    /// The tip of the last refresh.
    pub seen: CommitId,
    /// The time of the last refresh.
    pub seen_at: Timestamp,
    /// When a worker last asked the remote for its tip, and got an answer, by the store's clock.
    pub asked_at: Option<Timestamp>,
    /// Why the tip is not accepted. `None` if it is.
    pub problem: Option<String>,
    /// Since when no tip was accepted. `None` if it is.
    pub problem_since: Option<Timestamp>,
}

/// What a refresh writes to the row of a repository. Its transaction holds the lease of the repository and has read the row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryChange {
    /// The configured name of the repository.
    pub name: RepositoryName,
    /// The branch that was fetched.
    pub branch: String,
    /// The revision of the row that was read; 0 if there was none. Another revision in the store is a
    /// [`StoreError::Conflict`].
    pub revision: i64,
    /// The tip that was fetched.
    pub seen: CommitId,
    /// The time of the refresh.
    pub at: Timestamp,
    /// Why the tip is not accepted. `None` if it is.
    pub problem: Option<String>,
    /// The new accepted commit. `None` leaves it unchanged.
    pub advance: Option<Advance>,
}

/// Sets the accepted commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advance {
    /// The new accepted commit.
    pub commit: CommitId,
    /// Its tree, as `git ls-tree -r -z` prints it.
    pub listing: Arc<Vec<u8>>,
    /// What it holds that has no effect, one text without line feeds for each.
    pub warnings: Vec<String>,
}

/// Reads the rows of repositories.
#[async_trait]
pub trait Repositories: RepositoryFailures {
    /// All repositories that were ever refreshed, ordered by name.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn repositories(&self) -> Result<Vec<RepositoryRow>, StoreError>;

    /// The row of a repository. `None` if it was never refreshed.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn repository(&self, name: &RepositoryName) -> Result<Option<RepositoryRow>, StoreError>;

    /// The tree of the accepted commit, as `git ls-tree -r -z` prints it. `None` before the first one.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn listing(&self, name: &RepositoryName) -> Result<Option<Vec<u8>>, StoreError>;

    /// The names of all devices. The groups of a repository are matched with them before the transaction that flags devices.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn hostnames(&self) -> Result<Vec<Hostname>, StoreError>;

    /// The rules of groups that are stored. `None` before the first ones are accepted. They change only under the lease of the settings
    /// repository.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn group_rules(&self) -> Result<Option<GroupRules>, StoreError>;
}

/// Warnings as one text, a line for each. `None` if there are none.
pub(crate) fn joined(warnings: &[String]) -> Option<String> {
    (!warnings.is_empty()).then(|| warnings.join("\n"))
}

/// The reverse of [`joined`].
pub(crate) fn split(warnings: Option<&str>) -> Vec<String> {
    warnings.unwrap_or_default().lines().map(str::to_owned).collect()
}
