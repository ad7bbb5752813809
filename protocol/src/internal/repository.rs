use serde::{Deserialize, Serialize};

use crate::{CommitId, RepositoryName};

/// The tip of a repository's configured branch is not the commit at which a worker last saw it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RepositoryTipMoved {
    /// The repository, by its configured name.
    pub repository: RepositoryName,
    /// The tip that the remote had when it was polled. By the time the message is processed it may have moved again.
    pub tip: CommitId,
}
