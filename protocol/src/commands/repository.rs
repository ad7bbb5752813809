use serde::{Deserialize, Serialize};

use crate::{CommitId, RepositoryName};

/// Fetch a repository now, and flag the devices affected by the difference from the accepted commit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RepositoryRefreshRequested {
    /// The repository's name in the configuration.
    pub repository: RepositoryName,
}

/// Set the accepted commit without flagging any device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RepositoryAcceptRequested {
    /// The repository's name in the configuration.
    pub repository: RepositoryName,
    /// The commit's full id.
    pub commit: CommitId,
}
