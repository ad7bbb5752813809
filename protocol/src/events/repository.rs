use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::bounds::{self, MAX_PATH, MAX_PATHS};
use crate::{CommitId, RepositoryName};

/// A branch of a repository points at another commit. A hint to look: what changed is read from git itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RepositoryChanged {
    /// The repository, by its configured name.
    pub repository: RepositoryName,
    /// The branch, without `refs/heads/`.
    #[serde(deserialize_with = "branch")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Branch"))]
    pub branch: String,
    /// The commit before; all zeros where the branch is new.
    pub before: CommitId,
    /// The commit after; all zeros where the branch is gone.
    pub after: CommitId,
    /// Whether history was rewritten.
    #[serde(default)]
    pub forced: bool,
    /// The paths the sender believes changed, at most 10,000. Never relied upon.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "paths")]
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<Vec<crate::schema::Path>>", length(max = MAX_PATHS))
    )]
    pub paths: Option<Vec<String>>,
}

fn branch<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let branch = bounds::label(deserializer)?;
    if branch.starts_with("refs/") {
        // It would match no configured branch, and be ignored without anybody noticing.
        return Err(D::Error::custom(format!(
            "{branch:?} is a ref, the name of a branch is needed: main, not refs/heads/main"
        )));
    }
    Ok(branch)
}

fn paths<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    let paths: Option<Vec<String>> = bounds::optional_list(deserializer, 0..=MAX_PATHS)?;
    for path in paths.iter().flatten() {
        let length = path.chars().count();
        if length > MAX_PATH {
            return Err(D::Error::custom(format!(
                "one has {length} characters, the most is {MAX_PATH}"
            )));
        }
    }
    Ok(paths)
}
