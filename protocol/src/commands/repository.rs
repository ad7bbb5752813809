use serde::{Deserialize, Serialize};

use crate::{CommitId, RepositoryName};

/// Fetch a repository now, and flag what differs from the accepted commit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RepositoryRefreshRequested {
    /// The repository, by its configured name.
    pub repository: RepositoryName,
}

/// Take a commit as the accepted one, without flagging anything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RepositoryAcceptRequested {
    /// The repository, by its configured name.
    pub repository: RepositoryName,
    /// The commit.
    pub commit: CommitId,
}
