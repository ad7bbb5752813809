use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{CommitId, RepositoryName};

/// A repository as `GET /v1/repositories` shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RepositoryView {
    /// The name in the configuration.
    pub name: RepositoryName,
    /// The branch of the last sync.
    pub branch: String,
    /// The commit up to which devices are flagged; null before the first one is accepted.
    pub accepted: Option<CommitId>,
    /// When that commit was accepted.
    pub accepted_at: Option<Timestamp>,
    /// The tip of the branch at the last sync.
    pub seen: CommitId,
    /// When the last sync was.
    pub seen_at: Timestamp,
    /// Why the tip was not accepted; null if it was.
    pub problem: Option<String>,
}

/// The answer of `GET /v1/repositories`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RepositoryList {
    /// Every repository that was synchronized at least once, ordered by name.
    pub repositories: Vec<RepositoryView>,
}
