use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{CommitId, RepositoryName};

/// A repository in `GET /v1/repositories`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RepositoryView {
    /// The name in the configuration.
    pub name: RepositoryName,
    /// The branch of the last sync; null before the first one.
    pub branch: Option<String>,
    /// The commit up to which devices are flagged; null before the first one is accepted.
    pub accepted: Option<CommitId>,
    /// When that commit was accepted.
    pub accepted_at: Option<Timestamp>,
    /// What the accepted commit holds that has no effect, such as a misspelled folder; some of many.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// The tip of the branch at the last sync; null before the first one.
    pub seen: Option<CommitId>,
    /// When the last sync was.
    pub seen_at: Option<Timestamp>,
    /// When a worker last asked the remote for its tip, and got an answer; null before the first time.
    #[serde(default)]
    pub asked_at: Option<Timestamp>,
    /// Why the tip was not accepted; null if it was.
    pub problem: Option<String>,
    /// Since when no tip was accepted; null if it was.
    #[serde(default)]
    pub problem_since: Option<Timestamp>,
    /// Why the last attempt to fetch the repository failed; null if it succeeded.
    #[serde(default)]
    pub failure: Option<String>,
    /// The first attempt that failed since the last one that succeeded.
    #[serde(default)]
    pub failing_since: Option<Timestamp>,
    /// The last attempt that failed.
    #[serde(default)]
    pub failed_at: Option<Timestamp>,
}

/// The answer of `GET /v1/repositories`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RepositoryList {
    /// Every repository that was synchronized at least once or cannot be fetched, ordered by name.
    pub repositories: Vec<RepositoryView>,
}
