use serde::{Deserialize, Serialize};

use crate::RepositoryName;

/// A branch of a repository points at another commit. A hint to look: what changed is read from git itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RepositoryChanged {
    /// The repository, by its configured name.
    pub repository: RepositoryName,
    /// The branch, without `refs/heads/`.
    pub branch: String,
    /// The commit before, as 40 or 64 hexadecimal digits; all zeros where the branch is new.
    pub before: String,
    /// The commit after; all zeros where the branch is gone.
    pub after: String,
    /// Whether history was rewritten.
    #[serde(default)]
    pub forced: bool,
    /// The paths the sender believes changed. Never relied upon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paths: Option<Vec<String>>,
}
