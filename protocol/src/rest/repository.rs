use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{CommitId, RepositoryName};

/// A repository in `GET /v1/repositories`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RepositoryView {
    /// The repository's name in the configuration.
    pub name: RepositoryName,
    /// The branch of the last refresh.
    pub branch: String,
    /// The accepted commit: sync flags cover every change up to it. Absent before the first accepted commit.
    pub accepted: Option<CommitId>,
    /// When the accepted commit was set.
    pub accepted_at: Option<Timestamp>,
    /// The tip of the branch at the last refresh.
    pub seen: CommitId,
    /// When the last refresh was.
    pub seen_at: Timestamp,
    /// Why the tip was not accepted; absent if it was.
    pub problem: Option<String>,
}

/// Every repository that was refreshed at least once, ordered by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RepositoryList {
    /// The repositories, ordered by name.
    pub repositories: Vec<RepositoryView>,
}
