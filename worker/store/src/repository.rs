use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use lockstep_protocol::{CommitId, RepositoryName};

use super::StoreError;

/// A repository, without its listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryRow {
    /// Its configured name.
    pub name: RepositoryName,
    /// The branch that was looked at last.
    pub branch: String,
    /// Raised whenever the row is written.
    pub revision: i64,
    /// The commit whose flags are set, and since when; `None` before the first.
    pub accepted: Option<(CommitId, Timestamp)>,
    /// The tip that was looked at last.
    pub seen: CommitId,
    /// When it was.
    pub seen_at: Timestamp,
    /// Why the tip is not the accepted commit, where it is not.
    pub problem: Option<String>,
}

/// What a refresh of a repository writes. Its transaction holds the lease of the repository and has read the row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryChange {
    /// The repository.
    pub name: RepositoryName,
    /// The branch that was fetched.
    pub branch: String,
    /// The revision of the row on which it was decided; 0 if there was none. Another revision in the store is a
    /// [`StoreError::Conflict`].
    pub revision: i64,
    /// The tip that was fetched.
    pub seen: CommitId,
    /// When.
    pub at: Timestamp,
    /// Why the tip is not accepted, where it is not.
    pub problem: Option<String>,
    /// The new accepted commit, where there is one.
    pub advance: Option<Advance>,
}

/// The accepted commit moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advance {
    /// To this commit.
    pub commit: CommitId,
    /// Its tree, as `git ls-tree -r -z` prints it.
    pub listing: Arc<Vec<u8>>,
}

/// Keeps what is known of repositories.
#[async_trait]
pub trait Repositories: Debug + Send + Sync + 'static {
    /// All that were ever looked at, by name.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn repositories(&self) -> Result<Vec<RepositoryRow>, StoreError>;

    /// One of them.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn repository(&self, name: &RepositoryName) -> Result<Option<RepositoryRow>, StoreError>;

    /// What is in the accepted commit.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn listing(&self, name: &RepositoryName) -> Result<Option<Vec<u8>>, StoreError>;
}
