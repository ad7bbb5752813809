use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{CommitId, RepositoryName};

/// A repository as `GET /v1/repositories` shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RepositoryView {
    /// Its configured name.
    pub name: RepositoryName,
    /// The branch that was looked at last.
    pub branch: String,
    /// The commit up to which flags are set; absent before the first.
    pub accepted: Option<CommitId>,
    /// Since when.
    pub accepted_at: Option<Timestamp>,
    /// The tip of the branch when it was looked at last.
    pub seen: CommitId,
    /// When that was.
    pub seen_at: Timestamp,
    /// Why that tip is not accepted, where it is not.
    pub problem: Option<String>,
}

/// All repositories that were ever looked at, ordered by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RepositoryList {
    /// The repositories.
    pub repositories: Vec<RepositoryView>,
}
